// visualizer/view_caches.c: the caches of the processor: counts of each, and the lines of one, set by set, with their MESI states.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

enum { PER_ROW = 8, CELL = 9, SUMMARY = 6 };

static void summary(struct vz *v, const struct vz_win *w, const struct caches *h, int sel)
{
    vz_text(w, 0, 1, VZ_A_TITLE, "unit   size  ways  lat        hits      misses     evicted     written back");
    for (unsigned k = 0; k < CACHE_NUNIT; k++) {
        const struct cache_geometry g = cache_geometry(h, (enum cache_unit)k);
        const struct cache_counts n = cache_counts(h, v->cpu, (enum cache_unit)k);
        const int r = 1 + (int)k;
        char hits[32], misses[32], out[32], back[32];
        vz_text(w, r, 0, VZ_A_TITLE, (int)k == sel ? ">" : " ");
        vz_at(w, r, 1, VZ_A_TITLE, "%-4s", cache_unit_name((enum cache_unit)k));
        if (!g.sets) {
            vz_text(w, r, 8, VZ_A_DIM, "none");
            continue;
        }
        vz_commas(hits, sizeof hits, n.hits);
        vz_commas(misses, sizeof misses, n.misses);
        vz_commas(out, sizeof out, n.evictions);
        vz_commas(back, sizeof back, n.writebacks);
        vz_at(w, r, 6, VZ_A_NORMAL, "%5uK %5u %4u %11s %11s %11s  %11s", g.sets * g.ways * g.line / 1024, g.ways, g.latency, hits,
              misses, out, back);
    }
    const struct cache_traffic t = cache_traffic(h, v->cpu);
    vz_at(w, 5, 1, VZ_A_DIM, "memory %llu   from others %llu   taken from others %llu   upgrades %llu   recalls %llu",
          (ull)t.memory, (ull)t.transfers, (ull)t.invalidations, (ull)t.upgrades, (ull)t.recalls);
}

static bool holds(struct vz *v, const struct caches *h, enum cache_unit u, const struct cache_geometry *g, unsigned set)
{
    uint64_t pa;
    enum cache_state s;
    bool any = false;
    for (unsigned way = 0; way < g->ways && !any; way++)
        any = cache_way(h, v->cpu, u, set, way, &pa, &s);
    return any;
}

// Eight ways of a set, from `first` on. '*' marks the way that the next new line takes.
static void ways(struct vz *v, const struct vz_win *w, int r, const struct caches *h, enum cache_unit u, unsigned set,
                 unsigned first)
{
    const struct cache_geometry g = cache_geometry(h, u);
    const unsigned next = cache_victim(h, v->cpu, u, set);
    if (!first)
        vz_at(w, r, 0, VZ_A_TITLE, "%5x", set);
    for (unsigned k = 0; k < PER_ROW && first + k < g.ways; k++) {
        const int c = 6 + (int)k * CELL;
        uint64_t pa;
        enum cache_state s;
        if (cache_way(h, v->cpu, u, set, first + k, &pa, &s)) {
            vz_at(w, r, c,
                  s == CACHE_M   ? VZ_A_WARN
                  : s == CACHE_S ? VZ_A_DIM
                                 : VZ_A_NORMAL,
                  "%c%7llx", cache_state_letter(s), (ull)pa & 0xfffffff);
        } else {
            vz_text(w, r, c, VZ_A_DIM, "       .");
        }
        if (first + k == next)
            vz_text(w, r, c + 8, VZ_A_TITLE, "*");
    }
}

void vz_view_caches(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct caches *h = sim_caches(v->m);
    if (!h) {
        vz_text(w, 1, 1, VZ_A_DIM, "There are caches in detailed fidelity only: --fidelity detailed.");
        return;
    }
    p->nsel = CACHE_NUNIT;
    const enum cache_unit u = (enum cache_unit)p->sel;
    const struct cache_geometry g = cache_geometry(h, u);
    const unsigned rows_per_set = (g.ways + PER_ROW - 1) / PER_ROW;
    unsigned sets = 0;
    for (unsigned set = 0; set < g.sets; set++)
        sets += holds(v, h, u, &g, set);
    summary(v, w, h, p->sel);
    vz_at(w, SUMMARY, 1, VZ_A_TITLE, " set  lines of %s: state and address; * the next to go", cache_unit_name(u));
    const struct vz_win body = vz_sub(w, SUMMARY + 1, 0, w->h - SUMMARY - 1, w->w);
    const int top = vz_rows(p, &body, (int)(sets * rows_per_set));
    int r = 0;
    for (unsigned set = 0; set < g.sets; set++) {
        if (!holds(v, h, u, &g, set))
            continue;
        for (unsigned k = 0; k < rows_per_set; k++, r++)
            if (r >= top && r - top < body.h)
                ways(v, &body, r - top, h, u, set, k * PER_ROW);
    }
    if (!sets)
        vz_text(&body, 0, 1, VZ_A_DIM, "No lines.");
    snprintf(p->title, sizeof p->title, "Caches < %s >  %u of %u sets in use", cache_unit_name(u), sets, g.sets);
}
