// visualizer/view_caches.c: the caches of the processor: counts of each, and the lines of one, set by set, with their MESI states. With several processors
// also the lines of all of them, with who has them how.
#include <stdlib.h>
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

enum { SUMMARY = 6 };
enum { EVERYBODY = CACHE_NUNIT }; // behind the units, with several processors: who has what

// Numbers as they are, or in thousands where the line would be too long.
static void traffic(struct vz *v, const struct vz_win *w, const struct caches *h)
{
    const struct cache_traffic t = cache_traffic(h, v->cpu);
    const ull n[] = {t.memory, t.transfers, t.invalidations, t.upgrades, t.recalls};
    char text[200];
    for (unsigned scale = 1; scale <= 1000; scale *= 1000) {
        const char *k = scale > 1 ? "k" : "";
        int len = snprintf(text, sizeof text, "memory %llu%s", n[0] / scale, k);
        if (cache_cpus(h) > 1)
            len += snprintf(text + len, sizeof text - (size_t)len,
                            "  from others %llu%s  taken from others %llu%s  upgrades %llu%s  recalls %llu%s", n[1] / scale, k,
                            n[2] / scale, k, n[3] / scale, k, n[4] / scale, k);
        if (len < w->w)
            break;
    }
    vz_text(w, 5, 1, VZ_A_DIM, text);
}

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
    traffic(v, w, h);
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

static enum vz_attr state_attr(enum cache_state s)
{
    return s == CACHE_M ? VZ_A_WARN : s == CACHE_S || s == CACHE_I ? VZ_A_DIM : VZ_A_NORMAL;
}

// How the ways of a set are laid out: an address has as many digits as RAM asks for (with the hole below 4 GiB).
struct layout {
    int digits, space,
        cell; // space: between state and address; there is room for none in the usual case of eight ways on 80 columns
    unsigned per_row;
};
static struct layout layout_of(struct vz *v, const struct vz_win *w)
{
    struct layout l = {.digits = 7};
    uint64_t top = sim_ram_size(v->m);
    if (top > 3ull << 30)
        top += 1ull << 30;
    while ((top - 1) >> 4 * l.digits)
        l.digits++;
    l.space = l.digits > 7;
    l.cell = 1 + l.space + l.digits + 1;
    l.per_row = (unsigned)(w->w - 6) / (unsigned)l.cell;
    l.per_row = l.per_row >= 8 ? 8 : l.per_row >= 4 ? 4 : 1;
    return l;
}

// Some ways of a set, from `first` on. '*' marks the way that the next new line takes.
static void ways(struct vz *v, const struct vz_win *w, int r, const struct caches *h, enum cache_unit u, unsigned set,
                 unsigned first, const struct layout *l)
{
    const struct cache_geometry g = cache_geometry(h, u);
    const unsigned next = cache_victim(h, v->cpu, u, set);
    if (!first)
        vz_at(w, r, 0, VZ_A_TITLE, "%5x", set);
    for (unsigned k = 0; k < l->per_row && first + k < g.ways; k++) {
        const int c = 6 + (int)k * l->cell;
        uint64_t pa;
        enum cache_state s;
        if (cache_way(h, v->cpu, u, set, first + k, &pa, &s))
            vz_at(w, r, c, state_attr(s), "%c%*llx", cache_state_letter(s), l->space + l->digits, (ull)pa);
        else
            vz_at(w, r, c, VZ_A_DIM, "%*s", l->cell - 1, ".");
        if (first + k == next)
            vz_text(w, r, c + l->cell - 1, VZ_A_TITLE, "*");
    }
}

static void view_unit(struct vz *v, const struct vz_win *w, struct vz_pane *p, const struct caches *h, enum cache_unit u)
{
    const struct cache_geometry g = cache_geometry(h, u);
    const struct vz_win body = vz_sub(w, SUMMARY + 1, 0, w->h - SUMMARY - 1, w->w);
    const struct layout l = layout_of(v, w);
    const unsigned rows_per_set = (g.ways + l.per_row - 1) / l.per_row;
    const bool several = cache_cpus(h) > 1;
    unsigned sets = 0;
    for (unsigned set = 0; set < g.sets; set++)
        sets += holds(v, h, u, &g, set);
    const int top = vz_rows(p, &body, (int)(sets * rows_per_set));
    int r = 0;
    char whose[24] = "";
    if (several)
        snprintf(whose, sizeof whose, u == CACHE_L3 ? ", of all CPUs" : " of CPU %u", v->cpu);
    vz_at(w, SUMMARY, 1, VZ_A_TITLE, " set  lines of %s%s: state and address; * the next to go", cache_unit_name(u), whose);
    for (unsigned set = 0; set < g.sets; set++) {
        if (!holds(v, h, u, &g, set))
            continue;
        for (unsigned k = 0; k < rows_per_set; k++, r++)
            if (r >= top && r - top < body.h)
                ways(v, &body, r - top, h, u, set, k * l.per_row, &l);
    }
    if (!sets)
        vz_text(&body, 0, 1, VZ_A_DIM, "No lines.");
    snprintf(p->title, sizeof p->title, "Caches < %s%s >  %u of %u sets in use", cache_unit_name(u), whose, sets, g.sets);
}

// --- who has what

static int by_address(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Every line that a processor has in a cache of its own, once, by address. To be freed; NULL: none, or no memory.
static uint64_t *own_lines(const struct caches *h, unsigned *n)
{
    unsigned most = 0, found = 0;
    enum cache_state s;
    for (unsigned u = 0; u < CACHE_L3; u++)
        most += cache_geometry(h, (enum cache_unit)u).sets * cache_geometry(h, (enum cache_unit)u).ways * cache_cpus(h);
    uint64_t *pa = most ? malloc(most * sizeof *pa) : NULL;
    for (unsigned cpu = 0; pa && cpu < cache_cpus(h); cpu++)
        for (unsigned u = 0; u < CACHE_L3; u++) {
            const struct cache_geometry g = cache_geometry(h, (enum cache_unit)u);
            for (unsigned at = 0; at < g.sets * g.ways; at++)
                found += cache_way(h, cpu, (enum cache_unit)u, at / g.ways, at % g.ways, &pa[found], &s);
        }
    if (pa)
        qsort(pa, found, sizeof *pa, by_address);
    *n = 0;
    for (unsigned k = 0; pa && k < found; k++)
        if (!*n || pa[*n - 1] != pa[k])
            pa[(*n)++] = pa[k];
    return pa;
}

static void line_row(struct vz *v, const struct vz_win *w, int r, const struct caches *h, uint64_t pa)
{
    const unsigned cpus = cache_cpus(h);
    vz_at(w, r, 1, VZ_A_NORMAL, "%11llx", (ull)pa);
    for (unsigned cpu = 0; cpu <= cpus; cpu++) {
        const enum cache_state s = cpu < cpus ? cache_held(h, cpu, pa) : cache_state(h, 0, CACHE_L3, pa);
        vz_at(w, r, 17 + (int)cpu * 7, state_attr(s), "%c", s == CACHE_I ? '.' : cache_state_letter(s));
    }
}

static bool of_several(const struct caches *h, uint64_t pa)
{
    unsigned holders = 0;
    for (unsigned cpu = 0; cpu < cache_cpus(h); cpu++)
        holders += cache_held(h, cpu, pa) != CACHE_I;
    return holders > 1;
}

// Lines that several processors have come first.
static void view_everybody(struct vz *v, const struct vz_win *w, struct vz_pane *p, const struct caches *h)
{
    const struct vz_win body = vz_sub(w, SUMMARY + 1, 0, w->h - SUMMARY - 1, w->w);
    unsigned n, shared = 0, row = 0;
    uint64_t *pa = own_lines(h, &n);
    const int top = vz_rows(p, &body, (int)n);
    vz_text(w, SUMMARY, 1, VZ_A_TITLE, "       line");
    for (unsigned cpu = 0; cpu < cache_cpus(h); cpu++)
        vz_at(w, SUMMARY, 14 + (int)cpu * 7, cpu == v->cpu ? VZ_A_TITLE : VZ_A_DIM, "%cCPU %u", cpu == v->cpu ? '>' : ' ', cpu);
    vz_text(w, SUMMARY, 17 + (int)cache_cpus(h) * 7, VZ_A_TITLE, "L3");
    for (unsigned several = 2; several--;)
        for (unsigned k = 0; k < n; k++) {
            if (of_several(h, pa[k]) != several)
                continue;
            shared += several;
            line_row(v, &body, (int)row++ - top, h, pa[k]);
        }
    if (!n)
        vz_text(&body, 0, 1, VZ_A_DIM, "No lines.");
    free(pa);
    snprintf(p->title, sizeof p->title, "Caches < who has what >  %u lines, %u of several CPUs", n, shared);
}

void vz_view_caches(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct caches *h = sim_caches(v->m);
    if (!h) {
        vz_text(w, 1, 1, VZ_A_DIM, "There are caches in detailed fidelity only: --fidelity detailed.");
        return;
    }
    p->nsel = cache_cpus(h) > 1 ? EVERYBODY + 1 : CACHE_NUNIT;
    if (p->sel >= p->nsel)
        p->sel = 0;
    summary(v, w, h, p->sel);
    if (p->sel == EVERYBODY)
        view_everybody(v, w, p, h);
    else
        view_unit(v, w, p, h, (enum cache_unit)p->sel);
}
