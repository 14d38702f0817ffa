// visualizer/draw_caches.c: the caches of a processor for a slide: sizes, counts, and which lines the first-level caches hold.
#include <string.h>

#include "visualizer/dot.h"
#include "visualizer/model.h"

typedef unsigned long long ull;

enum { MAX_SETS = 16, MAX_LINES = 12 };
// By enum cache_state.
static const char *const state_fill[] = {NULL, DOT_ROW_FILL, DOT_EPT_FILL, DOT_GUEST_FILL};

static void cell(FILE *f, const char *fill, const char *align, const char *face, const char *text)
{
    fprintf(f, "<TD ALIGN=\"%s\"", align);
    if (fill)
        fprintf(f, " BGCOLOR=\"%s\"", fill);
    fprintf(f, "><FONT FACE=\"%s\">", face);
    dot_text(f, text);
    fputs("</FONT></TD>", f);
}

static void head(FILE *f, const char *const *text)
{
    fputs("    <TR>", f);
    for (; *text; text++)
        cell(f, DOT_HEAD_FILL, "LEFT", DOT_SANS, *text);
    fputs("</TR>\n", f);
}

static void number(FILE *f, uint64_t v)
{
    char text[32];
    vz_commas(text, sizeof text, v);
    cell(f, NULL, "RIGHT", DOT_MONO, text);
}

static void count_states(const struct caches *h, unsigned cpu, enum cache_unit u, unsigned n[4])
{
    const struct cache_geometry g = cache_geometry(h, u);
    uint64_t pa;
    enum cache_state s;
    for (unsigned set = 0; set < g.sets; set++)
        for (unsigned way = 0; way < g.ways; way++)
            if (cache_way(h, cpu, u, set, way, &pa, &s))
                n[s]++;
}

static void unit_row(FILE *f, const struct caches *h, unsigned cpu, enum cache_unit u)
{
    const struct cache_geometry g = cache_geometry(h, u);
    const struct cache_counts n = cache_counts(h, cpu, u);
    unsigned in[4] = {0};
    char text[80];
    fputs("    <TR>", f);
    cell(f, NULL, "LEFT", DOT_SANS, cache_unit_name(u));
    if (!g.sets) {
        fputs("<TD COLSPAN=\"9\" ALIGN=\"LEFT\">none</TD></TR>\n", f);
        return;
    }
    snprintf(text, sizeof text, "%u KB, %u ways of %u sets", g.sets * g.ways * g.line / 1024, g.ways, g.sets);
    cell(f, NULL, "LEFT", DOT_SANS, text);
    number(f, g.latency);
    count_states(h, cpu, u, in);
    number(f, in[CACHE_M]);
    number(f, in[CACHE_E]);
    number(f, in[CACHE_S]);
    number(f, n.hits);
    number(f, n.misses);
    number(f, n.evictions);
    number(f, n.writebacks);
    fputs("</TR>\n", f);
}

static void set_row(FILE *f, const struct caches *h, unsigned cpu, enum cache_unit u, unsigned set)
{
    const unsigned ways = cache_geometry(h, u).ways, next = cache_victim(h, cpu, u, set);
    char text[40];
    fputs("    <TR>", f);
    snprintf(text, sizeof text, "%s set %u", cache_unit_name(u), set);
    cell(f, NULL, "LEFT", DOT_SANS, text);
    for (unsigned way = 0; way < ways; way++) {
        uint64_t pa;
        enum cache_state s;
        if (cache_way(h, cpu, u, set, way, &pa, &s))
            snprintf(text, sizeof text, "%c %llx%s", cache_state_letter(s), (ull)pa, way == next ? " *" : "");
        else
            snprintf(text, sizeof text, "%s", way == next ? "*" : " ");
        cell(f, state_fill[s], "LEFT", DOT_MONO, text);
    }
    fputs("</TR>\n", f);
}

static bool in_use(const struct caches *h, unsigned cpu, enum cache_unit u, unsigned set)
{
    uint64_t pa;
    enum cache_state s;
    bool any = false;
    for (unsigned way = 0; way < cache_geometry(h, u).ways; way++)
        any |= cache_way(h, cpu, u, set, way, &pa, &s);
    return any;
}

static void lines(FILE *f, const struct caches *h, unsigned cpu, enum cache_unit u)
{
    const unsigned sets = cache_geometry(h, u).sets;
    unsigned shown = 0, more = 0;
    fputs("  </TD></TR><TR><TD ALIGN=\"LEFT\" VALIGN=\"TOP\">\n", f);
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"4\">\n", f);
    for (unsigned set = 0; set < sets; set++) {
        if (!in_use(h, cpu, u, set))
            continue;
        if (shown < MAX_SETS)
            set_row(f, h, cpu, u, set);
        shown++;
    }
    more = shown > MAX_SETS ? shown - MAX_SETS : 0;
    if (!shown || more)
        fprintf(f, "    <TR><TD ALIGN=\"LEFT\" COLSPAN=\"%u\">%s: %u %s</TD></TR>\n", cache_geometry(h, u).ways + 1,
                cache_unit_name(u), more, shown ? "more sets in use left out" : "lines");
    fputs("  </TABLE>\n", f);
}

// --- several processors: who has which line

// Is this the first place, by processor and unit, that has the line? So each line is met once.
static bool first_place(const struct caches *h, unsigned cpu, unsigned unit, uint64_t pa)
{
    bool first = true;
    for (unsigned n = 0; n < cpu; n++)
        first &= cache_held(h, n, pa) == CACHE_I;
    for (unsigned k = 0; k < unit; k++)
        first &= cache_state(h, cpu, (enum cache_unit)k, pa) == CACHE_I;
    return first;
}

static void line_row(FILE *f, const struct caches *h, uint64_t pa)
{
    char text[24];
    fputs("    <TR>", f);
    snprintf(text, sizeof text, "%llx", (ull)pa);
    cell(f, NULL, "LEFT", DOT_MONO, text);
    for (unsigned n = 0; n <= cache_cpus(h); n++) {
        const enum cache_state s = n < cache_cpus(h) ? cache_held(h, n, pa) : cache_state(h, 0, CACHE_L3, pa);
        cell(f, state_fill[s], "CENTER", DOT_MONO, (char[]){cache_state_letter(s), 0});
    }
    fputs("</TR>\n", f);
}

// The lines that several processors have (shared), or one has modified. Returns how many were met; rows for those that there is room for.
static unsigned line_rows(FILE *f, const struct caches *h, bool shared, unsigned room)
{
    unsigned met = 0;
    uint64_t pa;
    enum cache_state s;
    for (unsigned cpu = 0; cpu < cache_cpus(h); cpu++)
        for (unsigned k = CACHE_L1I; k < CACHE_L3; k++) {
            const struct cache_geometry g = cache_geometry(h, (enum cache_unit)k);
            for (unsigned at = 0; at < g.sets * g.ways; at++) {
                if (!cache_way(h, cpu, (enum cache_unit)k, at / g.ways, at % g.ways, &pa, &s) || !first_place(h, cpu, k, pa))
                    continue;
                unsigned holders = 0;
                for (unsigned n = cpu; n < cache_cpus(h); n++)
                    holders += cache_held(h, n, pa) != CACHE_I;
                if (shared ? holders < 2 : cache_held(h, cpu, pa) != CACHE_M)
                    continue;
                if (met++ < room)
                    line_row(f, h, pa);
            }
        }
    return met;
}

static void who_has_what(FILE *f, const struct caches *h)
{
    const unsigned columns = cache_cpus(h) + 2;
    fputs("  </TD></TR><TR><TD ALIGN=\"LEFT\" VALIGN=\"TOP\">\n", f);
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"4\">\n    <TR>", f);
    cell(f, DOT_HEAD_FILL, "LEFT", DOT_SANS, "line, of all processors");
    for (unsigned n = 0; n < cache_cpus(h); n++) {
        char text[24];
        snprintf(text, sizeof text, "CPU %u", n);
        cell(f, DOT_HEAD_FILL, "CENTER", DOT_SANS, text);
    }
    cell(f, DOT_HEAD_FILL, "CENTER", DOT_SANS, "L3");
    fputs("</TR>\n", f);
    const unsigned shared = line_rows(f, h, true, MAX_LINES), room = shared < MAX_LINES ? MAX_LINES - shared : 0;
    const unsigned all = shared + line_rows(f, h, false, room);
    if (all > MAX_LINES)
        fprintf(f, "    <TR><TD ALIGN=\"LEFT\" COLSPAN=\"%u\">%u more that are shared or modified left out</TD></TR>\n", columns,
                all - MAX_LINES);
    if (!all)
        fprintf(f, "    <TR><TD ALIGN=\"LEFT\" COLSPAN=\"%u\">no line is shared or modified</TD></TR>\n", columns);
    fputs("  </TABLE>\n", f);
}

void draw_caches(FILE *f, const struct vz_fig *fig)
{
    static const char *const titles[] = {"unit", "size",   "cycles",  "M lines",      "E lines", "S lines",
                                         "hits", "misses", "evicted", "written back", NULL};
    const struct caches *h = sim_caches(fig->m);
    char cap[240] = "there are caches in detailed fidelity only";
    if (h) {
        const struct cache_traffic t = cache_traffic(h, fig->cpu);
        const int n = cache_cpus(h) > 1 ? snprintf(cap, sizeof cap, "CPU %u: ", fig->cpu) : 0;
        snprintf(cap + n, sizeof cap - (size_t)n,
                 "served by memory %llu, by another processor's modified line %llu; taken from others %llu; * the next to go",
                 (ull)t.memory, (ull)t.transfers, (ull)t.invalidations);
    }
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "caches", "Caches", fig->mark->text ? fig->mark->text : "", cap);
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"5\">\n", f);
    head(f, titles);
    for (unsigned k = 0; h && k < CACHE_NUNIT; k++)
        unit_row(f, h, fig->cpu, (enum cache_unit)k);
    fputs("  </TABLE>\n", f);
    if (h && cache_cpus(h) > 1)
        who_has_what(f, h);
    for (unsigned k = CACHE_L1I; h && k <= CACHE_L1D; k++)
        if (cache_geometry(h, (enum cache_unit)k).sets)
            lines(f, h, fig->cpu, (enum cache_unit)k);
    dot_end_table(f);
}
