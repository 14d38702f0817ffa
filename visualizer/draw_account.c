// visualizer/draw_account.c: what the machine holds and has done, for a slide: TLBs, the latest changes of level, the ledger.
#include <string.h>

#include "sim/ledger.h"
#include "visualizer/dot.h"
#include "visualizer/model.h"
#include "vmx-model/explain.h"

typedef unsigned long long ull;

static void table_open(FILE *f)
{
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"5\">\n", f);
}
static void table_close(FILE *f) { fputs("  </TABLE>\n", f); }

// A cell: style 'm' monospaced, 'b' bold, 't' plain, 'r' and 'R' the first two, to the right.
static void cell(FILE *f, const char *fill, char style, const char *text)
{
    fprintf(f, "<TD ALIGN=\"%s\"", style == 'r' || style == 'R' ? "RIGHT" : "LEFT");
    if (fill)
        fprintf(f, " BGCOLOR=\"%s\"", fill);
    fprintf(f, "><FONT FACE=\"%s\">%s", style == 'm' || style == 'r' ? DOT_MONO : DOT_SANS,
            style == 'b' || style == 'R' ? "<B>" : "");
    dot_text(f, *text ? text : " ");
    fprintf(f, "%s</FONT></TD>", style == 'b' || style == 'R' ? "</B>" : "");
}

static void row(FILE *f, const char *fill, const char *style, const char *const *text)
{
    fputs("    <TR>", f);
    for (unsigned k = 0; style[k]; k++)
        cell(f, fill, style[k], text[k]);
    fputs("</TR>\n", f);
}
#define ROW(f, fill, style, ...) row(f, fill, style, (const char *const[]){__VA_ARGS__})

static void wide(FILE *f, unsigned cols, const char *text)
{
    fprintf(f, "    <TR><TD COLSPAN=\"%u\" ALIGN=\"LEFT\"><FONT COLOR=\"" DOT_GREY "\"><I>", cols);
    dot_text(f, text);
    fputs("</I></FONT></TD></TR>\n", f);
}

// 1234567 as 1,234,567.
static void grouped(char out[32], uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (ull)v), to = 0;
    for (int k = 0; k < n; k++) {
        out[to++] = digits[k];
        if (k + 1 < n && (n - k - 1) % 3 == 0)
            out[to++] = ',';
    }
    out[to] = 0;
}

static const char *mark_text(const struct vz_fig *fig) { return fig->mark->text ? fig->mark->text : ""; }

// --- TLB

enum { MAX_ENTRIES = 36, TLB_COLS = 8 };

static const char *size_name(unsigned shift)
{
    return shift >= 48   ? "256 TB"
           : shift >= 39 ? "512 GB"
           : shift == 30 ? "1 GB"
           : shift == 22 ? "4 MB"
           : shift == 21 ? "2 MB"
                         : "4 KB";
}

static void entry_row(FILE *f, const struct vz_fig *fig, const struct tlb_entry *e, unsigned shown)
{
    bool cache = tlb_is_cache(e->unit);
    char from[24], to[24], rights[24], tags[64], age[40], rip[24];
    snprintf(from, sizeof from, "%llx", (ull)e->tag);
    snprintf(to, sizeof to, "%llx", (ull)e->frame.v);
    snprintf(rights, sizeof rights, "%c%c%c%c%s", e->perms & TLB_PERM_R ? 'r' : '-', e->perms & TLB_PERM_W ? 'w' : '-',
             e->perms & TLB_PERM_X ? 'x' : '-', e->perms & TLB_PERM_U ? 'u' : '-', e->dirty && !cache ? " D" : "");
    if (e->mapping == TLB_GUEST_PHYSICAL)
        snprintf(tags, sizeof tags, "EPT %llx", (ull)e->eptrta);
    else if (e->mapping == TLB_COMBINED)
        snprintf(tags, sizeof tags, "VPID %u PCID %u EPT %llx%s", e->vpid, e->pcid, (ull)e->eptrta, e->global ? " G" : "");
    else
        snprintf(tags, sizeof tags, "VPID %u PCID %u%s", e->vpid, e->pcid, e->global ? " G" : "");
    uint64_t now = sim_cpu(fig->m, fig->cpu)->cycles;
    grouped(age, now >= e->filled_at ? now - e->filled_at : 0);
    snprintf(rip, sizeof rip, "%llx", (ull)e->filled_rip);
    const char *size = cache ? "table" : size_name(e->page_shift);
    ROW(f,
        e->stale    ? DOT_GUEST_FILL
        : shown % 2 ? DOT_ROW_FILL
                    : NULL,
        "mmtmtrmb", from, to, size, rights, tags, age, rip, e->stale ? "STALE" : "");
    if (e->stale && e->stale_cycle) {
        char t[160];
        snprintf(t, sizeof t, "stale since the write by the instruction at %llx, cycle %llu, changed its paging-structure entry",
                 (ull)e->stale_rip, (ull)e->stale_cycle);
        wide(f, TLB_COLS, t);
    }
}

void draw_tlb(FILE *f, const struct vz_fig *fig)
{
    const struct tlb *t = sim_tlb(fig->m, fig->cpu);
    const struct tlb_entry *e;
    unsigned pos = 0, shown = 0, more = 0, stale = 0;
    int unit = -1;
    char cap[200];
    while ((e = tlb_next(t, &pos)))
        stale += e->stale;
    snprintf(cap, sizeof cap, "now: VPID %u, PCID %u, EPTP 0x%llx; %u stale entr%s; D: writes need no walk, G: global",
             sim_vpid(fig->m, fig->cpu), sim_pcid(fig->m, fig->cpu), (ull)sim_eptp(fig->m, fig->cpu), stale,
             stale == 1 ? "y" : "ies");
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "tlb", "TLBs and paging-structure caches", mark_text(fig), cap);
    table_open(f);
    ROW(f, DOT_HEAD_FILL, "bbbbbbbb", "address", "to (host)", "covers", "rights", "tags", "age, cycles", "filled by", " ");
    for (pos = 0; (e = tlb_next(t, &pos));) {
        if (shown >= MAX_ENTRIES) {
            more++;
            continue;
        }
        if (e->unit != unit) {
            char head[80];
            unit = e->unit;
            unsigned n = tlb_count(t, (enum tlb_unit)unit);
            snprintf(head, sizeof head, "%s: %u entr%s", tlb_unit_name((enum tlb_unit)unit), n, n == 1 ? "y" : "ies");
            fprintf(f, "    <TR><TD COLSPAN=\"%u\" ALIGN=\"LEFT\" BGCOLOR=\"" DOT_EPT_FILL "\"><B>", TLB_COLS);
            dot_text(f, head);
            fputs("</B></TD></TR>\n", f);
        }
        entry_row(f, fig, e, shown++);
    }
    if (!shown)
        wide(f, TLB_COLS, "empty");
    if (more) {
        snprintf(cap, sizeof cap, "%u more entries left out", more);
        wide(f, TLB_COLS, cap);
    }
    table_close(f);
    dot_end_table(f);
}

// --- ledger

enum { MAX_REASONS = 18 };

static void level_head(char out[24], const struct ledger *l, unsigned k)
{
    snprintf(out, 24, k ? "L%u%s" : "L%u (root)", k, ledger_deeper(l, k) ? "+" : "");
}

static void account_row(FILE *f, const struct ledger *l, const char *name, size_t at, unsigned shown)
{
    uint64_t v[LEDGER_LEVELS], all = 0;
    char text[32];
    for (unsigned k = 0; k < ledger_levels(l); k++)
        all += v[k] = *(const uint64_t *)(const void *)((const char *)&l->level[k] + at);
    const char *fill = shown % 2 ? DOT_ROW_FILL : NULL;
    fputs("    <TR>", f);
    cell(f, fill, 't', name);
    grouped(text, all);
    cell(f, fill, 'r', text);
    for (unsigned k = 0; k < ledger_levels(l); k++) {
        grouped(text, v[k]);
        cell(f, fill, 'r', text);
    }
    fputs("</TR>\n", f);
}

static void head_row(FILE *f, const struct ledger *l, const char *what)
{
    char text[24];
    fputs("    <TR>", f);
    cell(f, DOT_HEAD_FILL, 'b', what);
    cell(f, DOT_HEAD_FILL, 'R', "all");
    for (unsigned k = 0; k < ledger_levels(l); k++) {
        level_head(text, l, k);
        cell(f, DOT_HEAD_FILL, 'R', text);
    }
    fputs("</TR>\n", f);
}

void draw_ledger(FILE *f, const struct vz_fig *fig)
{
    struct ledger *l = ledger_keep(fig->m);
    uint16_t reason[LEDGER_REASONS];
    char cap[160], name[64];
    ledger_update(l);
    unsigned n = ledger_reasons(l, reason);
    snprintf(cap, sizeof cap, "%llu VM exits up to cycle %llu; what a transition itself costs and drops counts for root operation",
             (ull)ledger_exits(l, LEDGER_REASONS), (ull)sim_now(fig->m));
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "ledger", "Ledger", mark_text(fig), cap);
    table_open(f);
    head_row(f, l, "VM exits from");
    for (unsigned k = 0; k < n && k < MAX_REASONS; k++) {
        snprintf(name, sizeof name, "%u %s", reason[k], vmx_exit_name(reason[k]) ? vmx_exit_name(reason[k]) : "?");
        account_row(f, l, name, offsetof(struct ledger_level, by_reason) + reason[k] * sizeof(uint64_t), k);
    }
    if (n > MAX_REASONS) {
        snprintf(name, sizeof name, "%u more reasons left out", n - MAX_REASONS);
        wide(f, ledger_levels(l) + 2, name);
    }
    account_row(f, l, "all reasons", offsetof(struct ledger_level, exits), n);
    head_row(f, l, "at the level");
    account_row(f, l, "model cycles", offsetof(struct ledger_level, cycles), 0);
    account_row(f, l, "page walks", offsetof(struct ledger_level, walks), 1);
    account_row(f, l, "references of walks", offsetof(struct ledger_level, refs), 0);
    account_row(f, l, "TLB invalidations", offsetof(struct ledger_level, flushes), 1);
    account_row(f, l, "TLB entries dropped", offsetof(struct ledger_level, dropped), 0);
    table_close(f);
    dot_end_table(f);
}

// --- timeline: a ladder, levels downwards, time to the right; not to scale, so that short stretches can be read

enum { STRETCHES = 17, BOX_W = 102, BOX_H = 62, LANE_H = 96, LABEL = 110, UP = 118 };

struct line {
    struct dot d;
    const struct ledger *l;
    struct ledger_stretch s[STRETCHES + 1];
    unsigned n, levels;
};

// The last stretches of the processor, and the one under way.
static void collect(struct line *t, const struct vz_fig *fig)
{
    struct ledger *l = ledger_keep(fig->m);
    const struct ledger_cpu *c = &l->cpu[fig->cpu];
    uint64_t first = l->nstretches > LEDGER_STRETCHES ? l->nstretches - LEDGER_STRETCHES : 0, k;
    unsigned want = STRETCHES;
    for (k = l->nstretches; k > first && want; k--)
        want -= l->ring[(k - 1) % LEDGER_STRETCHES].cpu == fig->cpu;
    *t = (struct line){.l = l, .levels = ledger_levels(l)};
    for (; k < l->nstretches; k++)
        if (l->ring[k % LEDGER_STRETCHES].cpu == fig->cpu)
            t->s[t->n++] = l->ring[k % LEDGER_STRETCHES];
    uint64_t begin = t->n ? t->s[t->n - 1].end : c->since;
    t->s[t->n++] = (struct ledger_stretch){.cpu = (uint8_t)fig->cpu,
                                           .level = c->level,
                                           .vmcs = c->vmcs,
                                           .begin = begin,
                                           .end = sim_cpu(fig->m, fig->cpu)->cycles,
                                           .reason = c->reason,
                                           .rip = c->rip};
}

static double lane_y(unsigned level) { return UP + level * (double)LANE_H; }

static unsigned stretch(struct line *t, unsigned k, bool last)
{
    const struct ledger_stretch *s = &t->s[k];
    char head[48], cycles[40];
    if (s->level)
        snprintf(head, sizeof head, "VMCS %u", s->vmcs + 1u);
    else
        snprintf(head, sizeof head, "%s",
                 s->reason < LEDGER_REASONS && vmx_exit_name(s->reason) ? vmx_exit_name(s->reason) : "start");
    grouped(cycles, s->end > s->begin ? s->end - s->begin : 0);
    unsigned id = dot_open(&t->d, &(struct dot_box){.x = LABEL + k * (double)BOX_W,
                                                    .y = lane_y(s->level),
                                                    .w = BOX_W,
                                                    .h = BOX_H,
                                                    .style = last ? "filled,dashed" : "filled",
                                                    .fill = s->level ? DOT_GUEST_FILL : DOT_EPT_FILL,
                                                    .ink = s->level ? DOT_GUEST_BAR : DOT_EPT_BAR,
                                                    .pen = 1.6});
    fprintf(t->d.f, "<FONT POINT-SIZE=\"%d\"><B>", strlen(head) > 14 ? 8 : strlen(head) > 10 ? 10 : 13);
    dot_text(t->d.f, head);
    fputs("</B></FONT><BR/><FONT FACE=\"" DOT_MONO "\" POINT-SIZE=\"14\">", t->d.f);
    dot_text(t->d.f, cycles);
    fputs("</FONT>", t->d.f);
    dot_close(&t->d);
    return id;
}

static void transition(struct line *t, unsigned k, unsigned from, unsigned to)
{
    double x = LABEL + k * (double)BOX_W, a = lane_y(t->s[k - 1].level), b = lane_y(t->s[k].level);
    double y0 = b > a ? a + BOX_H : a, y1 = b > a ? b : b + BOX_H;
    char text[32], group[32];
    if (t->s[k - 1].level != t->s[k].level)
        dot_path(&t->d, from, to, (double[]){x, y0, x, y1}, 2, true, NULL, 2.4, NULL);
    grouped(group, t->s[k].begin);
    snprintf(text, sizeof text, "%s", group);
    dot_line(&t->d, x - BOX_W / 2.0, lane_y(t->levels) - 20, BOX_W, 11, "CENTER", false, DOT_GREY, text);
}

unsigned draw_timeline_frames(const struct vz_fig *fig)
{
    struct line t;
    collect(&t, fig);
    return t.n;
}

void draw_timeline(FILE *f, const struct vz_fig *fig)
{
    static const char *const name[LEDGER_LEVELS] = {"L0 root", "L1 guest", "L2 guest", "L3 guest", "L4 guest"};
    struct line t;
    char cap[200];
    unsigned prev = 0;
    collect(&t, fig);
    unsigned shown = fig->steps && fig->step + 1 < t.n ? fig->step + 1 : t.n;
    double width = LABEL + t.n * (double)BOX_W + 20;
    if (width < 760)
        width = 760;
    dot_begin(&t.d, f, fig->mark->name ? fig->mark->name : "timeline", width, lane_y(t.levels) + 10);
    dot_line(&t.d, 0, 0, width, 28, "LEFT", true, NULL, "Between root operation and the guests");
    dot_line(&t.d, 0, 46, width, 16, "LEFT", false, DOT_GREY, mark_text(fig));
    snprintf(cap, sizeof cap, "the VM exit that root operation handles, or the VMCS; model cycles (not to scale)");
    dot_line(&t.d, 0, 72, width, 13, "LEFT", false, DOT_GREY, cap);
    for (unsigned k = 0; k < t.levels; k++)
        dot_line(&t.d, 0, lane_y(k) + BOX_H / 2.0 - 12, LABEL - 14, 16, "RIGHT", true, k ? DOT_GUEST_BAR : DOT_EPT_BAR, name[k]);
    dot_line(&t.d, 0, lane_y(t.levels) - 20, LABEL - 14, 11, "RIGHT", false, DOT_GREY, "cycle");
    for (unsigned k = 0; k < shown; k++) {
        unsigned id = stretch(&t, k, k + 1 == t.n);
        if (k)
            transition(&t, k, prev, id);
        prev = id;
    }
    dot_end(&t.d);
}
