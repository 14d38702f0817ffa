// visualizer/draw_caches.c: the caches of a processor for a slide: sizes, counts, and which lines the first-level caches hold.
#include <string.h>

#include "visualizer/dot.h"
#include "visualizer/model.h"

typedef unsigned long long ull;

enum { MAX_SETS = 16 };

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
    static const char *const fill[] = {NULL, DOT_ROW_FILL, DOT_EPT_FILL, DOT_GUEST_FILL};
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
        cell(f, fill[s], "LEFT", DOT_MONO, text);
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

void draw_caches(FILE *f, const struct vz_fig *fig)
{
    static const char *const titles[] = {"unit", "size",   "cycles",  "M lines",      "E lines", "S lines",
                                         "hits", "misses", "evicted", "written back", NULL};
    const struct caches *h = sim_caches(fig->m);
    char cap[240] = "there are caches in detailed fidelity only";
    if (h) {
        const struct cache_traffic t = cache_traffic(h, fig->cpu);
        snprintf(cap, sizeof cap,
                 "served by memory %llu, by another processor's modified line %llu; taken from others %llu; * the next to go",
                 (ull)t.memory, (ull)t.transfers, (ull)t.invalidations);
    }
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "caches", "Caches", fig->mark->text ? fig->mark->text : "", cap);
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"5\">\n", f);
    head(f, titles);
    for (unsigned k = 0; h && k < CACHE_NUNIT; k++)
        unit_row(f, h, fig->cpu, (enum cache_unit)k);
    fputs("  </TABLE>\n", f);
    for (unsigned k = CACHE_L1I; h && k <= CACHE_L1D; k++)
        if (cache_geometry(h, (enum cache_unit)k).sets)
            lines(f, h, fig->cpu, (enum cache_unit)k);
    dot_end_table(f);
}
