// visualizer/frame.c: the screen around the views: status lines, tabs, panes, message, footer.
//
//   row 0,1   status: never moves      row 2   tabs      rows 3..h-3   panes      row h-2   message or hint      row h-1   keys, or :command
// 80x24: the code view shows code beside the registers; the other views stand under a strip of code. From 100x34 on, code and registers
// stay on top and the view has the rest. Which panes there are depends on the size and the view alone, so a step never reflows.
#include <string.h>

#include "visualizer/ui.h"

enum { MIN_W = 60, MIN_H = 20, BIG_W = 100, BIG_H = 34, STRIP = 4, UPPER = 15 };
typedef unsigned long long ull;

const struct vz_view vz_views[VZ_NVIEW] = {
#define VIEW(id, key, tab, title, tabbed, machine, text) {#id, tab, title, text, key, tabbed, machine, vz_view_##id},
#include "visualizer/views.def"
#undef VIEW
};

int vz_rows(struct vz_pane *p, const struct vz_win *w, int nrows)
{
    p->nrows = nrows;
    p->height = w->h;
    if (p->follow_end)
        p->cursor = nrows - 1;
    if (p->cursor >= nrows)
        p->cursor = nrows - 1;
    if (p->cursor < 0)
        p->cursor = 0;
    if (p->top > p->cursor)
        p->top = p->cursor;
    if (p->top < p->cursor - w->h + 1)
        p->top = p->cursor - w->h + 1;
    if (p->top > nrows - w->h)
        p->top = nrows - w->h;
    if (p->top < 0)
        p->top = 0;
    return p->top;
}

void vz_show(struct vz *v, enum vz_view_id id)
{
    if (v->view != id && vz_views[v->view].tabbed)
        v->back = v->view;
    v->view = id;
}

// --- status

// Fields have fixed columns, so that the eye finds them without looking.
// Cycles and instructions as they fit: with commas, without, or in millions; digits that are cut off would make another number.
static void counts(const struct vz_win *w, int x, const struct isa_cpu *c)
{
    char cycles[32], insns[32], text[80];
    vz_commas(cycles, sizeof cycles, c->cycles);
    vz_commas(insns, sizeof insns, c->insns);
    if (snprintf(text, sizeof text, "cyc %-14s insn %s", cycles, insns) > w->w - x && c->cycles >= 1000000 &&
        snprintf(text, sizeof text, "cyc %llu  insn %llu", (ull)c->cycles, (ull)c->insns) > w->w - x)
        snprintf(text, sizeof text, "cyc %lluM  insn %lluM", (ull)c->cycles / 1000000, (ull)c->insns / 1000000);
    vz_text(w, 0, x, VZ_A_STATUS, text);
}

static void status(struct vz *v, const struct vz_win *w)
{
    vz_fill(w, 0, 0, 2, w->w, VZ_A_STATUS, ' ');
    if (!v->m) {
        vz_text(w, 0, 1, VZ_A_STATUS, "no machine");
        return;
    }
    const struct isa_cpu *c = vz_cpu(v);
    char sym[64];
    uint64_t eptp = v->play.on ? v->play.eptp : sim_eptp(v->m, v->cpu);
    unsigned vpid = v->play.on ? v->play.vpid : sim_vpid(v->m, v->cpu), pcid = v->play.on ? v->play.pcid : sim_pcid(v->m, v->cpu);
    vz_at(w, 0, 0, c->vmx == ISA_VMX_NONROOT ? VZ_A_NONROOT : VZ_A_ROOT, " %-11s ", vz_vmx_mode_name(c));
    vz_at(w, 0, 14, VZ_A_STATUS, "ring %u", c->cpl);
    vz_at(w, 0, 22, VZ_A_STATUS, "%-14s", sim_mode_name(c));
    vz_at(w, 0, 37, VZ_A_STATUS, "IF=%d", !!(c->rflags_sys & ISA_FL_IF));
    if (c->activity != ISA_ACTIVE)
        vz_text(w, 0, 42, VZ_A_STATUS, c->activity == ISA_HLT ? "HLT" : c->activity == ISA_SHUTDOWN ? "SHUT" : "SIPI");
    counts(w, 47, c);
    vz_at(w, 1, 1, VZ_A_STATUS, "CR3=%012llx", (ull)c->cr3 & 0xffffffffffffull);
    if (eptp)
        vz_at(w, 1, 18, VZ_A_STATUS, "EPTP=%010llx", (ull)eptp);
    else
        vz_text(w, 1, 18, VZ_A_STATUS, "EPTP=none");
    vz_at(w, 1, 34, VZ_A_STATUS, "VPID=%-4u PCID=%-4u", vpid, pcid);
    sim_symbol(v->m, vz_rip_la(v), sym, sizeof sym);
    int at = 55;
    if (sim_ncpus(v->m) > 1)
        at = vz_at(w, 1, at - 1, VZ_A_STATUS, "CPU%u ", v->cpu);
    vz_at(w, 1, at, VZ_A_STATUS, "RIP=%llx %s", (ull)c->rip, sym);
}

static void tabs(struct vz *v, const struct vz_win *w)
{
    int c = 1;
    for (unsigned i = 0; i < VZ_NVIEW; i++) {
        if (!vz_views[i].tabbed)
            continue;
        bool on = i == v->view;
        int from = c;
        const char *name = vz_views[i].tab + (vz_views[i].tab[0] == vz_views[i].key); // "Mem" shows its key as its first letter
        c = vz_at(w, 0, c, on ? VZ_A_TAB_ON : VZ_A_KEY, "%c", vz_views[i].key);
        c = vz_text(w, 0, c, on ? VZ_A_TAB_ON : VZ_A_TAB, name);
        if (on) // brackets: the choice is not told by colour alone
            vz_text(w, 0, from - 1, VZ_A_TAB_ON, "["), vz_text(w, 0, c, VZ_A_TAB_ON, "]");
        c++;
    }
}

// --- the last two lines

static const char *until_text(const struct vz *v, char *buf, size_t n)
{
    const struct sim_until *u = &v->until;
    if (u->insns)
        snprintf(buf, n, "%llu more instruction%s", (ull)(u->insns - v->ran), u->insns - v->ran == 1 ? "" : "s");
    else if (u->has_rip) {
        char sym[64];
        sim_symbol(v->m, u->rip, sym, sizeof sym);
        snprintf(buf, n, "address %llx %s", (ull)u->rip, sym);
    } else if (u->cycles)
        snprintf(buf, n, "cycle %llu", (ull)u->cycles);
    else if (u->events) {
        snprintf(buf, n, "the event");
        for (unsigned k = 0; k < EV_NUM; k++)
            if (u->events & EV_BIT(k))
                snprintf(buf + strlen(buf), n - strlen(buf), " %s", ev_info[k].name);
    } else
        snprintf(buf, n, "the end of the guest");
    return buf;
}

static void message(struct vz *v, const struct vz_win *w)
{
    char t[160];
    if (v->message[0])
        vz_text(w, 0, 1, v->message_attr, v->message);
    else if (v->m && !v->done)
        vz_at(w, 0, 1, VZ_A_HINT, "s steps, c runs on: the scenario waits for %s", until_text(v, t, sizeof t));
    if ((int)vz_text_width(v->message) > w->w - 1)
        vz_at(w, 0, w->w - 1, VZ_A_DIM, "\u2026");
}

static void footer(struct vz *v, const struct vz_win *w)
{
    const struct vz_keyrow *k;
    for (unsigned i = 0; (k = vz_keyrow(i)); i++) {
        int c = vz_footer_column(v, i, w->w);
        if (c < 0)
            continue;
        c = vz_text(w, 0, c, VZ_A_KEY, k->keys);
        vz_at(w, 0, c, VZ_A_NORMAL, " %s", k->label);
    }
}

static void last_line(struct vz *v, const struct vz_win *w)
{
    switch (v->mode) {
    case VZ_MODE_COMMAND: vz_at(w, 0, 0, VZ_A_INPUT, ":%s", v->edit.text); break;
    case VZ_MODE_FILTER: vz_at(w, 0, 0, VZ_A_INPUT, "/%s", v->edit.text); break;
    case VZ_MODE_CONFIRM: vz_text(w, 0, 1, VZ_A_WARN, "Leave and lose breakpoints and changes? y n"); break;
    default: footer(v, w);
    }
}

// --- panes

static void pane(struct vz *v, const struct vz_win *w, enum vz_view_id id)
{
    struct vz_pane *p = &v->pane[id];
    struct vz_win body = vz_sub(w, 1, 0, w->h - 1, w->w);
    p->title[0] = 0;
    if (vz_views[id].needs_machine && !v->m)
        vz_text(&body, 0, 1, VZ_A_DIM, "There is no machine now.");
    else
        vz_views[id].draw(v, &body, p);
    vz_hline(w, 0, VZ_A_TITLE, p->title[0] ? p->title : vz_views[id].title);
    if (p->nrows > p->height && p->height > 0)
        vz_at(w, 0, w->w - 16, VZ_A_DIM, " %d-%d of %d ", p->top + 1, p->top + p->height < p->nrows ? p->top + p->height : p->nrows,
              p->nrows);
}

static void code_and_regs(struct vz *v, const struct vz_win *w)
{
    int left = w->w >= BIG_W ? w->w * 3 / 5 : w->w - 34;
    struct vz_win l = vz_sub(w, 0, 0, w->h, left), r = vz_sub(w, 0, left + 1, w->h, w->w - left - 1);
    pane(v, &l, VZ_V_code);
    vz_vline(w, left, 1, w->h - 1, VZ_A_DIM);
    vz_hline(&r, 0, VZ_A_TITLE, "Registers");
    vz_fill(w, 0, left, 1, 1, VZ_A_DIM, 0x252c);
    struct vz_win body = vz_sub(&r, 1, 0, r.h - 1, r.w);
    if (v->m)
        vz_regs_column(v, &body);
}

static void panes(struct vz *v, const struct vz_win *w, bool big)
{
    enum vz_view_id id = v->view;
    if (!vz_views[id].tabbed) {
        pane(v, w, id);
        return;
    }
    if (big) {
        struct vz_win top = vz_sub(w, 0, 0, UPPER, w->w), low = vz_sub(w, UPPER, 0, w->h - UPPER, w->w);
        code_and_regs(v, &top);
        pane(v, &low, id == VZ_V_code ? VZ_V_story : id);
        return;
    }
    if (id == VZ_V_code) {
        code_and_regs(v, w);
        return;
    }
    struct vz_win top = vz_sub(w, 0, 0, STRIP, w->w), low = vz_sub(w, STRIP, 0, w->h - STRIP, w->w);
    if (v->m)
        vz_code_strip(v, &top);
    pane(v, &low, id);
}

void vz_draw_frame(struct vz *v)
{
    struct vz_grid *g = &v->grid;
    struct vz_win all = {.g = g, .r = 0, .c = 0, .h = g->h, .w = g->w};
    vz_grid_clear(g);
    if (g->w < MIN_W || g->h < MIN_H) {
        vz_at(&all, 0, 0, VZ_A_NORMAL, "ringside needs %dx%d", MIN_W, MIN_H);
        vz_at(&all, 1, 0, VZ_A_NORMAL, "this is %dx%d", g->w, g->h);
        vz_text(&all, 2, 0, VZ_A_NORMAL, "enlarge it, or q");
        return;
    }
    struct vz_win st = vz_sub(&all, 0, 0, 2, g->w), tb = vz_sub(&all, 2, 0, 1, g->w);
    struct vz_win body = vz_sub(&all, 3, 0, g->h - 5, g->w), msg = vz_sub(&all, g->h - 2, 0, 1, g->w),
                  foot = vz_sub(&all, g->h - 1, 0, 1, g->w);
    status(v, &st);
    tabs(v, &tb);
    panes(v, &body, g->w >= BIG_W && g->h >= BIG_H);
    message(v, &msg);
    last_line(v, &foot);
}

void vz_paint(struct vz *v)
{
    int w, h, row = -1, col = 0;
    v->io.size(v->io.ctx, &w, &h);
    if (w != v->grid.w || h != v->grid.h)
        vz_grid_resize(&v->grid, w, h);
    vz_draw_frame(v);
    if (v->mode == VZ_MODE_COMMAND || v->mode == VZ_MODE_FILTER) {
        row = v->grid.h - 1;
        col = 1 + (int)v->edit.pos;
    }
    v->io.paint(v->io.ctx, &v->grid, row, col);
}
