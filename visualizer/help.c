// visualizer/help.c: the help view, from the tables of keys, commands, views and themes.
#include <string.h>

#include "visualizer/ui.h"

struct out {
    struct vz *v;
    const struct vz_win *w;
    int row, top;
};

static bool fits(const struct vz *v, const char *a, const char *b, const char *c)
{
    return !v->filter[0] || strcasestr(a, v->filter) || strcasestr(b, v->filter) || strcasestr(c, v->filter);
}

static void heading(struct out *o, const char *text)
{
    if (o->v->filter[0])
        return;
    o->row += o->row > 0;
    vz_text(o->w, o->row++ - o->top, 1, VZ_A_TITLE, text);
}

static void line(struct out *o, const char *key, const char *args, const char *text)
{
    if (!fits(o->v, key, args, text))
        return;
    int col = o->w->w >= 100 ? 34 : 22;
    int r = o->row - o->top, c = vz_text(o->w, r, 2, VZ_A_KEY, key);
    c = vz_text(o->w, r, c + 1, VZ_A_NORMAL, args);
    if (c > col) {
        o->row++;
        r++;
    }
    o->row += vz_wrap(o->w, r, col + 1, o->w->w - col - 2, VZ_A_NORMAL, text);
}

static void all(struct out *o)
{
    const struct vz_keyrow *k;
    const struct vz_cmdrow *c;
    char t[64];
    heading(o, "KEYS");
    for (unsigned i = 0; (k = vz_keyrow(i)); i++)
        line(o, k->keys, "", k->text);
    heading(o, "VIEWS");
    for (unsigned i = 0; i < VZ_NVIEW; i++) {
        snprintf(t, sizeof t, "%c", vz_views[i].key);
        line(o, t, vz_views[i].name, vz_views[i].text);
    }
    heading(o, "COMMANDS   addresses are hexadecimal, symbols or registers, with +N or -N");
    for (unsigned i = 0; (c = vz_cmdrow(i)); i++) {
        snprintf(t, sizeof t, ":%s", c->name);
        line(o, t, c->args, c->text);
    }
    heading(o, "THEMES   t: next one");
    for (unsigned i = 0; i < vz_theme_count(); i++)
        line(o, vz_theme_name(i), i == o->v->theme ? "*" : "", vz_theme_text(i));
    heading(o, "MARKS ON THE SCREEN");
    line(o, ">", "", "the current instruction");
    line(o, "*", "", "changed since the last stop; in the VMCS: since the last VM entry");
    line(o, "!", "", "would fail VM entry (VMCS), stale (TLB), failed (walk, checks)");
    line(o, "B", "", "breakpoint");
}

void vz_view_help(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    struct vz_win none = vz_sub(w, 0, 0, 0, w->w);
    struct out count = {.v = v, .w = &none};
    all(&count);
    struct out o = {.v = v, .w = w, .top = vz_rows(p, w, count.row)};
    all(&o);
    if (!count.row)
        vz_at(w, 0, 1, VZ_A_DIM, "Nothing contains '%s'.", v->filter);
    if (v->filter[0])
        snprintf(p->title, sizeof p->title, "Help with '%.40s': Esc goes back", v->filter);
}
