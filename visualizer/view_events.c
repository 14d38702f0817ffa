// visualizer/view_events.c: the last events, and apart from them, because they are so many, those of paging.
#include "visualizer/ui.h"

typedef unsigned long long ull;

void vz_view_events(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    p->nsel = 2;
    const struct vz_log *log = p->sel ? &v->paging : &v->log;
    unsigned n = vz_log_count(log);
    if (!n)
        vz_text(w, 0, 1, VZ_A_DIM, "No event so far. e runs to the next one.");
    int top = vz_rows(p, w, (int)n);
    for (int r = 0; r < w->h && top + r < (int)n; r++) {
        const struct vz_logent *l = vz_log_at(log, (unsigned)(top + r));
        char text[220], cyc[32];
        vz_log_text(v, l, text, sizeof text);
        vz_commas(cyc, sizeof cyc, l->e.cycle);
        enum vz_attr a =
            l->e.kind == EV_EXCEPTION || l->e.kind == EV_TLB_STALE || l->e.kind == EV_VMENTRY_FAIL || l->e.kind == EV_SHUTDOWN
                ? VZ_A_WARN
                : VZ_A_NORMAL;
        vz_at(w, r, 1, VZ_A_DIM, "%11s L%u", cyc, l->e.level);
        vz_at(w, r, 16, VZ_A_TITLE, "%-12.12s", ev_info[l->e.kind].name);
        vz_text(w, r, 29, a, text);
    }
    if (n)
        vz_select(w, p->cursor - top, 1, 11);
    snprintf(p->title, sizeof p->title, "Events < %s >  %llu in all", p->sel ? "paging" : "all but paging", (ull)log->n);
}
