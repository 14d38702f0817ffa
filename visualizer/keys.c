// visualizer/keys.c: what keys do (keys.def).
#include <stdlib.h>
#include <string.h>

#include "visualizer/ui.h"

// --- when a key is valid

static bool when_always(struct vz *v) { return true; }
static bool when_overlay(struct vz *v) { return !vz_views[v->view].tabbed; }
static bool when_drive(struct vz *v) { return v->m && !v->finished && !v->play.on && !when_overlay(v); }
static bool when_past(struct vz *v) { return v->past && (v->m || v->finished) && !when_overlay(v); }
static bool when_play(struct vz *v) { return v->play.on && !when_overlay(v); }
static bool when_code(struct vz *v) { return v->m && !v->finished && v->view == VZ_V_code; }
static bool when_has_last(struct vz *v) { return v->has_last; }
static bool when_help(struct vz *v) { return v->view == VZ_V_help; }

// --- running

static void key_step(struct vz *v) { vz_set_goal(v, VZ_GOAL_STEP, 1); }
static void key_over(struct vz *v) { vz_step_over(v); }
static void key_exit(struct vz *v) { vz_set_goal(v, VZ_GOAL_EXIT, 0); }
static void key_event(struct vz *v) { vz_set_goal(v, VZ_GOAL_EVENT, 0); }
static void key_cont(struct vz *v) { vz_set_goal(v, VZ_GOAL_CONTINUE, 0); }
static void key_finish(struct vz *v) { vz_set_goal(v, VZ_GOAL_FINISH, 0); }
static void key_step_back(struct vz *v)
{
    struct vz_when w = vz_now(v);
    if (v->m && !w.time && w.drive > 1 && (v->finished || !w.done))
        w = v->ended;
    if (!w.done) // else the last step may not have counted: see vz_past_arrived()
        w.time -= w.time > 0;
    w.done = false;
    vz_past_go(v, w);
}
static void key_exit_back(struct vz *v)
{
    for (unsigned i = vz_log_count(&v->exits); i-- > 0;)
        if (vz_when_before(vz_log_at(&v->exits, i)->when, vz_now(v)))
            vz_past_go(v, vz_log_at(&v->exits, i)->when);
    vz_message(v, VZ_A_WARN, "There was no VM exit and no VM entry before.");
}
static const struct vz_log *shown_log(const struct vz *v)
{
    return v->view == VZ_V_exits ? &v->exits : v->view != VZ_V_events ? NULL : v->pane[VZ_V_events].sel ? &v->paging : &v->log;
}
static bool when_event(struct vz *v) { return when_past(v) && shown_log(v) && vz_log_count(shown_log(v)); }
static void key_there(struct vz *v)
{
    const struct vz_log *log = shown_log(v);
    unsigned i = (unsigned)v->pane[v->view].cursor, n = vz_log_count(log);
    const struct vz_logent *l = vz_log_at(log, i < n ? i : n - 1);
    if (vz_when_before(l->when, vz_now(v)))
        vz_past_go(v, l->when);
    else
        vz_message(v, VZ_A_HINT, "That is here.");
}
static void key_undo(struct vz *v) { vz_past_go(v, v->came_from); }
static void key_play_end(struct vz *v) { vz_play_end(v); }
static void key_ref(struct vz *v)
{
    if (v->play.on)
        vz_play_next(v);
    else
        vz_set_goal(v, VZ_GOAL_REF, 0);
}

static uint64_t code_cursor(struct vz *v)
{
    unsigned i = (unsigned)(v->pane[VZ_V_code].cursor);
    return i < v->ncode ? v->code_line[i] : vz_rip_la(v);
}
static void key_cursor(struct vz *v)
{
    uint64_t la = code_cursor(v);
    vz_set_goal(v, VZ_GOAL_RIP, 0);
    v->goal_rip = la;
}
static void key_brk(struct vz *v)
{
    char t[32];
    snprintf(t, sizeof t, "%s 0x%llx", vz_at_break(v, code_cursor(v)) ? "delete" : "break", (unsigned long long)code_cursor(v));
    vz_command(v, t);
}

// --- moving about

static void view_by(struct vz *v, int step)
{
    int i = vz_views[v->view].tabbed ? (int)v->view : (int)v->back - step;
    do
        i = (i + step + VZ_NVIEW) % VZ_NVIEW;
    while (!vz_views[i].tabbed);
    vz_show(v, (enum vz_view_id)i);
}
static void key_next_view(struct vz *v) { view_by(v, 1); }
static void key_prev_view(struct vz *v) { view_by(v, -1); }

static void move(struct vz *v, int rows)
{
    struct vz_pane *p = &v->pane[v->view];
    if (v->view == VZ_V_code && vz_code_key(v, rows))
        return;
    if (v->view == VZ_V_mem) {
        v->mem_addr += (uint64_t)((int64_t)rows * 16);
        return;
    }
    if (p->nrows <= p->height || v->view == VZ_V_help || v->view == VZ_V_why ||
        v->view == VZ_V_story) { // text scrolls, it has no cursor
        int to = rows < 0 ? p->top + rows : p->top + p->height - 1 + rows;
        p->cursor = to < 0 ? 0 : to;
    } else
        p->cursor += rows;
    if (p->cursor < 0)
        p->cursor = 0;
    p->follow_end =
        p->nrows && p->cursor >= p->nrows - 1 && (v->view == VZ_V_events || v->view == VZ_V_exits || v->view == VZ_V_story);
}
static void key_down(struct vz *v) { move(v, 1); }
static void key_up(struct vz *v) { move(v, -1); }
static int page(struct vz *v) { return v->pane[v->view].height > 2 ? v->pane[v->view].height - 1 : 10; }
static void key_pgdn(struct vz *v) { move(v, page(v)); }
static void key_pgup(struct vz *v) { move(v, -page(v)); }
static void key_home(struct vz *v) { move(v, v->view == VZ_V_code || v->view == VZ_V_mem ? -page(v) : -1000000); }
static void key_end(struct vz *v) { move(v, v->view == VZ_V_code || v->view == VZ_V_mem ? page(v) : 1000000); }

static void choose(struct vz *v, int by)
{
    struct vz_pane *p = &v->pane[v->view];
    if (p->nsel < 1)
        return;
    p->sel = (p->sel + by + p->nsel) % p->nsel;
    if (v->view != VZ_V_walk)
        p->top = p->cursor = 0;
}
static void key_left(struct vz *v) { choose(v, -1); }
static void key_right(struct vz *v) { choose(v, 1); }

static void key_back(struct vz *v)
{
    if (!vz_views[v->view].tabbed)
        v->view = v->back;
    v->filter[0] = 0;
}

// --- the rest

static void key_why(struct vz *v)
{
    v->pane[VZ_V_why].top = v->pane[VZ_V_why].cursor = 0;
    vz_show(v, VZ_V_why);
}
static void key_help(struct vz *v)
{
    v->filter[0] = 0;
    v->pane[VZ_V_help].top = v->pane[VZ_V_help].cursor = 0;
    vz_show(v, VZ_V_help);
}
static void key_redraw(struct vz *v)
{
    if (v->io.again)
        v->io.again(v->io.ctx, v->theme);
}
static void key_att(struct vz *v) { v->att = !v->att; }
static void key_theme(struct vz *v)
{
    char t[48];
    snprintf(t, sizeof t, "set theme %s", vz_theme_name((v->theme + 1) % vz_theme_count()));
    vz_command(v, t);
}
static void key_filter(struct vz *v)
{
    v->mode = VZ_MODE_FILTER;
    v->filter[0] = 0;
    vz_edit_begin(&v->edit);
}
static void key_command(struct vz *v)
{
    v->mode = VZ_MODE_COMMAND;
    vz_edit_begin(&v->edit);
}
static void key_export(struct vz *v) { vz_command(v, "export"); }
static void key_quit(struct vz *v)
{
    if (!vz_views[v->view].tabbed)
        key_back(v);
    else if (v->edited && !v->finished)
        v->mode = VZ_MODE_CONFIRM;
    else
        v->quit = true;
}

// --- the table

struct row {
    struct vz_keyrow shown;
    int code[4];
    void (*run)(struct vz *v);
};
#define UNPACK(...) __VA_ARGS__
static const struct row rows[] = {
#define KEY(keys, codes, fn, when, footer, label, text) {{keys, label, text, footer, when_##when}, {UNPACK codes}, key_##fn},
#include "visualizer/keys.def"
#undef KEY
};
enum { NROWS = sizeof rows / sizeof *rows };

const struct vz_keyrow *vz_keyrow(unsigned n) { return n < NROWS ? &rows[n].shown : NULL; }

static int footer_width(const struct vz_keyrow *k) { return (int)vz_text_width(k->keys) + 1 + (int)strlen(k->label); }

// Where a row stands in the footer, or -1. The last two that are valid (help and quit) stand at the right and never give way.
int vz_footer_column(struct vz *v, unsigned n, int width)
{
    enum { FIXED = 2 };
    int right = width, at = 1;
    for (unsigned i = NROWS; i-- > NROWS - FIXED;) {
        right -= footer_width(&rows[i].shown) + 2;
        if (i == n)
            return right;
    }
    for (unsigned i = 0; i < NROWS - FIXED; i++) {
        const struct vz_keyrow *k = &rows[i].shown;
        int need = footer_width(k) + 2;
        if (!k->footer || !k->valid(v) || at + need > right)
            continue;
        if (i == n)
            return at;
        at += need;
    }
    return -1;
}

static bool run_row(struct vz *v, int key)
{
    for (unsigned i = 0; i < NROWS; i++)
        for (unsigned j = 0; j < 4 && rows[i].code[j]; j++)
            if (rows[i].code[j] == key && rows[i].shown.valid(v)) {
                rows[i].run(v);
                return true;
            }
    return false;
}

// A click on the footer presses the key that is named there; one on the tabs chooses the view.
static void click(struct vz *v)
{
    int r, c;
    v->io.mouse(v->io.ctx, &r, &c);
    if (r != 2 && r != v->grid.h - 1)
        return;
    if (r == 2) {
        int at = 1;
        for (unsigned i = 0; i < VZ_NVIEW; i++) {
            if (!vz_views[i].tabbed)
                continue;
            int end = at + 1 + (int)strlen(vz_views[i].tab) - (vz_views[i].tab[0] == vz_views[i].key);
            if (c >= at && c < end)
                vz_show(v, (enum vz_view_id)i);
            at = end + 1;
        }
        return;
    }
    for (unsigned i = 0; i < NROWS; i++) {
        int at = vz_footer_column(v, i, v->grid.w);
        if (at >= 0 && c >= at && c < at + footer_width(&rows[i].shown)) {
            rows[i].run(v);
            return;
        }
    }
}

static void edit(struct vz *v, int key)
{
    bool filter = v->mode == VZ_MODE_FILTER;
    int r = vz_edit_key(v, &v->edit, key);
    if (filter && r != VZ_EDIT_CANCEL)
        memcpy(v->filter, v->edit.text, sizeof v->filter);
    if (r == VZ_EDIT_GO_ON)
        return;
    v->mode = VZ_MODE_NORMAL;
    if (r == VZ_EDIT_CANCEL)
        v->filter[0] = 0;
    else if (!filter)
        vz_command(v, v->edit.text);
}

void vz_key(struct vz *v, int key)
{
    if (key == VZ_KEY_NONE)
        return;
    if (key == VZ_KEY_HANGUP) {
        v->quit = true;
        return;
    }
    if (v->mode == VZ_MODE_COMMAND || v->mode == VZ_MODE_FILTER) {
        edit(v, key);
        return;
    }
    if (v->mode == VZ_MODE_CONFIRM) {
        v->quit = key == 'y' || key == 'Y';
        v->mode = VZ_MODE_NORMAL;
        return;
    }
    if (key == VZ_KEY_MOUSE) {
        click(v);
        return;
    }
    for (unsigned i = 0; i < VZ_NVIEW; i++)
        if (vz_views[i].key && vz_views[i].tabbed && vz_views[i].key == key) {
            vz_show(v, (enum vz_view_id)i);
            return;
        }
    if (run_row(v, key))
        return;
    if (key == VZ_KEY_CTRL_C)
        vz_message(v, VZ_A_HINT, "q leaves.");
    else if (strchr("sncxerfSXU", key < 128 ? key : 0) && key)
        vz_message(v, VZ_A_WARN,
                   v->finished ? "The scenario has ended: nothing left to run. q leaves."

                   : when_overlay(v) ? "Esc goes back first."
                   : v->play.on      ? "References are being played: m next, s ends."
                                     : "Not here: this key needs another view (? lists the keys).");
    else
        vz_message(v, VZ_A_WARN, "This key does nothing here; ? lists the keys.");
}
