// visualizer/edit.c: the one-line editor of the command line and the filter: history, completion.
#include <string.h>

#include "visualizer/ui.h"

void vz_edit_begin(struct vz_edit *e)
{
    e->text[0] = e->kept[0] = e->list[0] = 0;
    e->len = e->pos = 0;
    e->browse = e->nhistory;
}

static void set(struct vz_edit *e, const char *text)
{
    snprintf(e->text, sizeof e->text, "%s", text);
    e->len = e->pos = (unsigned)strlen(e->text);
}

static void browse(struct vz_edit *e, int by)
{
    unsigned to = e->browse + (unsigned)by;
    if (to > e->nhistory) // wrapped below 0, or beyond the end
        return;
    if (e->browse == e->nhistory)
        memcpy(e->kept, e->text, sizeof e->kept);
    e->browse = to;
    set(e, to == e->nhistory ? e->kept : e->history[to]);
}

static void remember(struct vz_edit *e)
{
    if (!e->len || (e->nhistory && !strcmp(e->history[e->nhistory - 1], e->text)))
        return;
    if (e->nhistory == VZ_HISTORY) {
        memmove(e->history[0], e->history[1], sizeof e->history[0] * (VZ_HISTORY - 1));
        e->nhistory--;
    }
    memcpy(e->history[e->nhistory++], e->text, sizeof e->text);
}

static void insert(struct vz_edit *e, int key)
{
    if (key < 0x20 || key > 0x7e || e->len + 1 >= sizeof e->text) // commands are ASCII
        return;
    memmove(e->text + e->pos + 1, e->text + e->pos, e->len - e->pos + 1);
    e->text[e->pos++] = (char)key;
    e->len++;
}

static void erase(struct vz_edit *e, unsigned at)
{
    if (at >= e->len)
        return;
    memmove(e->text + at, e->text + at + 1, e->len - at);
    e->len--;
    e->pos = at;
}

int vz_edit_key(struct vz *v, struct vz_edit *e, int key)
{
    char out[VZ_EDIT_SIZE];
    switch (key) {
    case '\r':
    case '\n':
        if (v->mode == VZ_MODE_COMMAND)
            remember(e);
        return VZ_EDIT_DONE;
    case VZ_KEY_ESC:
    case VZ_KEY_CTRL_C: return VZ_EDIT_CANCEL;
    case '\t':
        if (v->mode == VZ_MODE_COMMAND && vz_complete(v, e->text, out, sizeof out, e->list, sizeof e->list)) {
            set(e, out);
            if (e->list[0])
                vz_message(v, VZ_A_HINT, "%s", e->list);
        }
        break;
    case VZ_KEY_UP: browse(e, -1); break;
    case VZ_KEY_DOWN: browse(e, 1); break;
    case VZ_KEY_LEFT: e->pos -= e->pos > 0; break;
    case VZ_KEY_RIGHT: e->pos += e->pos < e->len; break;
    case VZ_KEY_HOME: e->pos = 0; break;
    case VZ_KEY_END: e->pos = e->len; break;
    case 127:
    case 8:
    case VZ_KEY_BACKSPACE:
        if (!e->len)
            return VZ_EDIT_CANCEL;
        if (e->pos)
            erase(e, e->pos - 1);
        break;
    case VZ_KEY_DELETE: erase(e, e->pos); break;
    case 21: set(e, ""); break; // Ctrl-U
    default: insert(e, key);
    }
    return VZ_EDIT_GO_ON;
}
