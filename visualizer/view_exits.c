// visualizer/view_exits.c: the log of VM exits and entries, with what the time between them cost.
#include "visualizer/ui.h"
#include "vmx-model/explain.h"

typedef unsigned long long ull;

void vz_view_exits(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    unsigned n = vz_log_count(&v->exits), kinds = 0;
    struct vz_win body = vz_sub(w, 1, 0, w->h - 1, w->w);
    uint64_t total = 0;
    int c = 1;
    for (unsigned i = 0; i < 128; i++) {
        total += v->exit_count[i];
        kinds += v->exit_count[i] != 0;
    }
    for (unsigned i = 0; i < 128 && c < w->w - 20; i++)
        if (v->exit_count[i])
            c = vz_at(w, 0, c, VZ_A_TITLE, "%s %llu", vmx_exit_name(i) ? vmx_exit_name(i) : "?", (ull)v->exit_count[i]) + 2;
    if (!n)
        vz_text(&body, 0, 1, VZ_A_DIM, "No VM exit or entry so far. x runs to the next one.");
    int top = vz_rows(p, &body, (int)n), digits = 12;
    for (int r = 0; r < body.h && top + r < (int)n; r++)
        if (vz_log_at(&v->exits, (unsigned)(top + r))->e.rip >> 48) // a kernel's
            digits = 16;
    for (int r = 0; r < body.h && top + r < (int)n; r++) {
        const struct vz_logent *l = vz_log_at(&v->exits, (unsigned)(top + r));
        char text[220], cyc[32], gap[32] = "";
        vz_log_text(v, l, text, sizeof text);
        vz_commas(cyc, sizeof cyc, l->e.cycle);
        uint64_t last = top + r > 0 ? vz_log_at(&v->exits, (unsigned)(top + r - 1))->e.cycle : UINT64_MAX;
        if (last <= l->e.cycle) { // else another machine begins
            char t[24];
            vz_commas(t, sizeof t, l->e.cycle - last);
            snprintf(gap, sizeof gap, "+%s", t);
        }
        bool in = l->e.kind == EV_VMENTRY;
        vz_text(&body, r, 0, in ? VZ_A_GOOD : VZ_A_WARN, in ? "\u2192" : l->e.kind == EV_VMEXIT ? "\u2190" : "!");
        vz_at(&body, r, 2, VZ_A_DIM, "%11s %9s", cyc, gap);
        vz_at(&body, r, 24, VZ_A_ADDR, "%-*llx", digits, (ull)l->e.rip);
        vz_text(&body, r, 25 + digits, l->e.kind == EV_VMENTRY_FAIL ? VZ_A_BAD : VZ_A_NORMAL, text);
    }
    if (n)
        vz_select(&body, p->cursor - top, 2, 21);
    snprintf(p->title, sizeof p->title, "VM exits: %llu of %u kind%s", (ull)total, kinds, kinds == 1 ? "" : "s");
}
