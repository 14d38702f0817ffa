// visualizer/draw_walk.c: the page walk as textbooks draw it. Columns are the guest-physical addresses that need translating (one
// per guest level, then the final one), rows the EPT levels, and below them the guest's own entry. References carry the number of
// the step; a thick line follows the walk. Cells that a large page saves are drawn as absent.
#include <string.h>

#include "sim/warm.h"
#include "visualizer/dot.h"
#include "visualizer/model.h"

enum {
    TOP = 112,
    LABEL_W = 124,
    CELL_W = 188,
    GUTTER = 36,
    CELL_H = 66,
    ROW_GAP = 20,
    HEAD_H = 48,
    HEAD_GAP = 26,
    BAR_W = 34,
    WHY_H = 24
};

struct geo {
    struct dot d;
    const struct sim_walk *w;
    const struct sim_warm *warm; // what saves references, or NULL: a cold walk
    unsigned shown;              // references that are drawn; one more: the result, too
    bool steps;                  // the last one shown stands out
    unsigned ncols, nrows;       // columns with the final one; EPT rows
    uint8_t glevel[8];           // of each column; 0 for the final one
    unsigned cell[8][8];         // node numbers, 0 where absent
    unsigned head[8];
    double width;
};

static double col_x(unsigned c) { return LABEL_W + c * (double)(CELL_W + GUTTER); }
static double row_y(unsigned r) { return TOP + HEAD_H + HEAD_GAP + r * (double)(CELL_H + ROW_GAP); }

static const struct sim_walk_step *find(const struct sim_walk *w, unsigned glevel, unsigned elevel)
{
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        if (w->step[i].glevel == glevel && w->step[i].elevel == elevel)
            return &w->step[i];
    return NULL;
}

static bool column_reached(const struct geo *g, unsigned glevel)
{
    const struct sim_walk *w = g->w;
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        if (w->step[i].glevel == glevel && w->step[i].number <= g->shown)
            return true;
    return false;
}

static unsigned cell(struct geo *g, const struct sim_walk_step *s, double x, double y)
{
    bool guest = !s->ept, now = g->steps && s->number == g->shown;
    FILE *f = g->d.f;
    unsigned id = dot_open(&g->d, &(struct dot_box){.x = x,
                                                    .y = y,
                                                    .w = CELL_W,
                                                    .h = CELL_H,
                                                    .style = s->failed || now ? "filled,bold" : "filled",
                                                    .fill = guest ? DOT_GUEST_FILL : DOT_EPT_FILL,
                                                    .ink = guest || s->failed || now ? DOT_INK : DOT_EPT_BAR,
                                                    .pen = s->failed || now ? 5
                                                           : guest          ? 2.6
                                                                            : 1.2,
                                                    .rings = 1});
    char flags[64], value[32], at[48];
    vz_pte_flags(flags, sizeof flags, s->entry, s->ept, g->w->pde_shift, s->ept ? s->elevel : s->glevel, s->leaf);
    snprintf(value, sizeof value, "0x%llx", (unsigned long long)s->entry);
    snprintf(at, sizeof at, "[%llu] at 0x%llx", (unsigned long long)s->index, (unsigned long long)s->at.v);
    unsigned tw = CELL_W - BAR_W;
    fprintf(f,
            "<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR><TD ROWSPAN=\"3\" FIXEDSIZE=\"TRUE\" "
            "WIDTH=\"%d\" "
            "HEIGHT=\"%d\" BGCOLOR=\"%s\"><FONT COLOR=\"white\" POINT-SIZE=\"20\"><B>%u</B></FONT></TD>",
            BAR_W, CELL_H, guest ? DOT_GUEST_BAR : DOT_EPT_BAR, s->number);
    fprintf(f, "<TD FIXEDSIZE=\"TRUE\" WIDTH=\"%u\" HEIGHT=\"20\"><FONT FACE=\"" DOT_MONO "\" POINT-SIZE=\"%d\">", tw,
            strlen(at) > 19 ? 10 : 12);
    dot_text(f, at);
    fprintf(f,
            "</FONT></TD></TR><TR><TD FIXEDSIZE=\"TRUE\" WIDTH=\"%u\" HEIGHT=\"24\"><FONT FACE=\"" DOT_MONO
            "\" POINT-SIZE=\"%d\"><B>",
            tw, strlen(value) > 13 ? 13 : 17);
    dot_text(f, value);
    fprintf(f, "</B></FONT></TD></TR><TR><TD FIXEDSIZE=\"TRUE\" WIDTH=\"%u\" HEIGHT=\"20\"><FONT POINT-SIZE=\"13\">%s", tw,
            s->failed ? "<B>" : "");
    dot_text(f, s->failed ? "FAILS: " : "");
    dot_text(f, flags);
    fprintf(f, "%s</FONT></TD></TR></TABLE>", s->failed ? "</B>" : "");
    dot_close(&g->d);
    return id;
}

// A reference that does not happen: dashed and empty. The line of the walk may pass through its left part, so the text keeps right.
static void absent(struct geo *g, double x, double y, const char *text)
{
    dot_open(&g->d, &(struct dot_box){.x = x, .y = y, .w = CELL_W, .h = CELL_H, .style = "dashed", .ink = DOT_FAINT, .pen = 1});
    fprintf(
        g->d.f,
        "<TABLE BORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR><TD FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"%d\"></TD><TD "
        "FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"%d\"><FONT COLOR=\"" DOT_GREY "\" POINT-SIZE=\"13\"><I>",
        BAR_W, CELL_H, CELL_W - BAR_W, CELL_H);
    dot_text(g->d.f, text);
    fputs("</I></FONT></TD></TR></TABLE>", g->d.f);
    dot_close(&g->d);
}

static void column_head(struct geo *g, unsigned c, bool reached)
{
    bool nested = g->nrows > 0;
    unsigned lv = g->glevel[c];
    const struct sim_walk_step *s = NULL;
    for (unsigned i = 0; i < g->w->refs && !s; i++)
        if (g->w->step[i].glevel == lv && g->w->step[i].number <= g->shown)
            s = &g->w->step[i];
    char name[48], addr[48] = "";
    if (lv)
        snprintf(name, sizeof name, nested ? "guest %s" : "%s", vz_level_name(lv));
    else
        snprintf(name, sizeof name, nested ? "final address" : "data");
    if (nested && s)
        snprintf(addr, sizeof addr, "gPA 0x%llx", (unsigned long long)s->gpa.v);
    else if (!nested && lv)
        snprintf(addr, sizeof addr, s ? "index %llu" : "-", s ? (unsigned long long)s->index : 0ull);
    else if (!reached)
        snprintf(addr, sizeof addr, "-");
    g->head[c] = dot_open(&g->d, &(struct dot_box){.x = col_x(c),
                                                   .y = TOP,
                                                   .w = CELL_W,
                                                   .h = HEAD_H,
                                                   .style = reached ? "filled,rounded" : "dashed,rounded",
                                                   .fill = DOT_HEAD_FILL,
                                                   .ink = reached ? DOT_INK : DOT_FAINT,
                                                   .pen = 1});
    const char *ink = reached ? DOT_INK : DOT_GREY;
    fprintf(g->d.f, "<FONT POINT-SIZE=\"16\" COLOR=\"%s\"><B>", ink);
    dot_text(g->d.f, name);
    fputs("</B></FONT>", g->d.f);
    if (addr[0]) {
        fprintf(g->d.f, "<BR/><FONT FACE=\"" DOT_MONO "\" POINT-SIZE=\"13\" COLOR=\"%s\">", ink);
        dot_text(g->d.f, addr);
        fputs("</FONT>", g->d.f);
    }
    dot_close(&g->d);
}

// What stands where no reference was made: saved by a large page of the host or of the guest, or not reached.
static const char *why_absent(const struct geo *g, unsigned glevel, unsigned elevel)
{
    const struct sim_walk *w = g->w;
    const char *unit = g->warm ? sim_warm_why(g->warm, glevel, elevel) : NULL;
    if (unit)
        return unit;
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++) {
        const struct sim_walk_step *s = &w->step[i];
        if (!s->leaf)
            continue;
        if (s->ept && s->glevel == glevel && elevel && s->elevel > elevel)
            return s->elevel == 2 ? "absent: 2 MB page" : "absent: 1 GB page";
        if (!s->ept && s->glevel > glevel && glevel)
            return s->glevel == 3 ? "absent: 1 GB page" : w->pde_shift == 22 ? "absent: 4 MB page" : "absent: 2 MB page";
    }
    return w->outcome == SIM_WALK_OK ? "absent" : "not reached";
}

static void result_cell(struct geo *g, unsigned c, unsigned r)
{
    const struct sim_walk *w = g->w;
    bool ok = w->outcome == SIM_WALK_OK || w->outcome == SIM_WALK_NO_PAGING;
    if (g->shown <= w->refs) {
        absent(g, col_x(c), row_y(r), " ");
        return;
    }
    if (!ok && !column_reached(g, 0)) {
        absent(g, col_x(c), row_y(r), "not reached");
        return;
    }
    g->cell[c][r] = dot_open(&g->d, &(struct dot_box){.x = col_x(c),
                                                      .y = row_y(r) + 5,
                                                      .w = CELL_W,
                                                      .h = CELL_H - 10,
                                                      .style = ok ? "filled,rounded" : "dashed,rounded",
                                                      .fill = "white",
                                                      .ink = DOT_INK,
                                                      .pen = 2,
                                                      .rings = ok ? 2 : 1});
    fputs("<FONT POINT-SIZE=\"15\"><B>", g->d.f);
    dot_text(g->d.f, ok ? "the data, at hPA" : "no translation");
    fputs("</B></FONT>", g->d.f);
    if (ok) {
        fputs("<BR/><FONT FACE=\"" DOT_MONO "\" POINT-SIZE=\"15\">", g->d.f);
        dot_f(g->d.f, "0x%llx", (unsigned long long)w->hpa.v);
        fputs("</FONT>", g->d.f);
    }
    dot_close(&g->d);
}

static void cells(struct geo *g)
{
    for (unsigned c = 0; c < g->ncols; c++) {
        unsigned lv = g->glevel[c];
        bool reached = column_reached(g, lv) || (lv == 0 && g->w->outcome == SIM_WALK_OK && g->shown > g->w->refs);
        column_head(g, c, reached);
        for (unsigned r = 0; r <= g->nrows; r++) {
            unsigned el = r < g->nrows ? g->w->ept_levels - r : 0;
            const struct sim_walk_step *s = el || lv ? find(g->w, lv, el) : NULL;
            if (s && s->number > g->shown)
                absent(g, col_x(c), row_y(r), " "); // in a later frame
            else if (s)
                g->cell[c][r] = cell(g, s, col_x(c), row_y(r));
            else if (!lv && !el)
                result_cell(g, c, r);
            else
                absent(g, col_x(c), row_y(r), why_absent(g, lv, el));
        }
    }
}

// PAE paging: the walk begins at a register that holds a PDPTE.
static bool pae(const struct sim_walk *w) { return w->guest_levels == 2 && w->pde_shift == 21; }

// root: CR3, or that register.
static void row_labels(struct geo *g, uint64_t root)
{
    char text[64];
    unsigned id = dot_open(&g->d, &(struct dot_box){.x = 0,
                                                    .y = TOP + 2,
                                                    .w = LABEL_W - 30,
                                                    .h = HEAD_H - 4,
                                                    .shape = "cds",
                                                    .style = "filled",
                                                    .fill = "white",
                                                    .pen = 1.4});
    fprintf(g->d.f, "<FONT POINT-SIZE=\"16\"><B>%s</B></FONT><BR/><FONT POINT-SIZE=\"12\" FACE=\"" DOT_MONO "\">",
            pae(g->w)            ? "PDPTE"
            : g->w->guest_levels ? "CR3"
                                 : "linear");
    dot_f(g->d.f, "0x%llx", (unsigned long long)(g->w->guest_levels ? root & 0xffffffffff000ull : g->w->la));
    fputs("</FONT>", g->d.f);
    dot_close(&g->d);
    if (g->ncols)
        dot_path(&g->d, id, g->head[0], (double[]){LABEL_W - 30, TOP + HEAD_H / 2.0, LABEL_W, TOP + HEAD_H / 2.0}, 2, true, NULL,
                 2.4, NULL);
    for (unsigned r = 0; r <= g->nrows; r++) {
        if (r < g->nrows)
            snprintf(text, sizeof text, "EPT %s", vz_level_name(g->w->ept_levels - r));
        else
            snprintf(text, sizeof text, "%s", !g->w->guest_levels ? "" : g->nrows ? "guest entry" : "entry");
        dot_line(&g->d, 0, row_y(r) + CELL_H / 2.0 - 12, LABEL_W - 14, 16, "RIGHT", true,
                 r < g->nrows ? DOT_EPT_BAR : DOT_GUEST_BAR, text);
    }
}

// The walk as a line: down along the number bars, then through the gutter up to the head of the next column.
static void arrows(struct geo *g)
{
    unsigned prev = 0;
    double px = 0, py = 0; // where the next line starts: bottom of the number bar
    for (unsigned c = 0; c < g->ncols; c++) {
        bool any = false;
        double bar = col_x(c) + BAR_W / 2.0, hy = TOP + HEAD_H / 2.0;
        for (unsigned r = 0; r <= g->nrows; r++)
            any |= g->cell[c][r] != 0;
        if (!any)
            continue;
        if (prev) { // from the right side of the last guest entry
            double gut = px + GUTTER / 2.0, gut2 = col_x(c) - GUTTER / 2.0, lane = TOP + HEAD_H + HEAD_GAP / 2.0;
            if (gut2 - gut < 1)
                dot_path(&g->d, prev, g->head[c], (double[]){px, py, gut, py, gut, hy, col_x(c), hy}, 4, true, NULL, 2.4, NULL);
            else
                dot_path(&g->d, prev, g->head[c], (double[]){px, py, gut, py, gut, lane, gut2, lane, gut2, hy, col_x(c), hy}, 6,
                         true, NULL, 2.4, NULL);
        }
        prev = g->head[c];
        py = TOP + HEAD_H;
        for (unsigned r = 0; r <= g->nrows; r++) {
            if (!g->cell[c][r])
                continue;
            bool result = !g->glevel[c] && r == g->nrows;
            dot_path(&g->d, prev, g->cell[c][r], (double[]){bar, py, bar, row_y(r) + (result ? 1 : 0)}, 2, true, NULL, 2.4, NULL);
            prev = g->cell[c][r];
            py = row_y(r) + CELL_H;
        }
        px = col_x(c) + CELL_W;
        py = row_y(g->nrows) + CELL_H / 2.0;
    }
}

// What the processor looked up before it walked.
static void look_ups(const struct geo *g, char *t, size_t size)
{
    const struct sim_warm *h = g->warm;
    static const char *const cache[] = {[2] = "PDE", [3] = "PDPTE", [4] = "PML4E"};
    size_t n = (size_t)snprintf(t, size, "looked up: %s %s", g->w->acc & ISA_ACC_X ? "iTLB" : "dTLB",
                                h->tlb == TLB_ITLB || h->tlb == TLB_DTLB ? "hit" : "miss");
    if (h->tlb == TLB_ITLB || h->tlb == TLB_DTLB)
        return;
    n += (size_t)snprintf(t + n, size - n, ", STLB %s", h->tlb == TLB_STLB ? "hit" : "miss");
    for (unsigned level = 2; h->tlb < 0 && level <= 4 && level <= g->w->guest_levels; level++) {
        n += (size_t)snprintf(t + n, size - n, ", %s cache %s", cache[level], h->psc == level ? "hit" : "miss");
        if (h->psc == level)
            break;
    }
    for (unsigned c = 0, hits = 0; h->tlb < 0 && c < g->ncols; c++)
        if (h->ntlb >> g->glevel[c] & 1 && !(h->psc && g->glevel[c] + 1u >= h->psc))
            n += (size_t)snprintf(t + n, size - n, "%s %s", hits++ ? "," : ", nTLB hit for",
                                  g->glevel[c] ? vz_level_name(g->glevel[c]) : "the final address");
}

static void title_and_caption(struct geo *g, const char *name, const char *text, uint64_t eptp)
{
    const struct sim_walk *w = g->w;
    char t[256], s[256];
    unsigned ept = 0, guest = 0;
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        if (w->step[i].ept)
            ept++;
        else
            guest++;
    if (g->steps && g->shown <= w->refs)
        snprintf(t, sizeof t, "%s page walk: %u of %u references", g->nrows ? "Nested" : "Native", g->shown, w->refs);
    else
        snprintf(t, sizeof t, "%s: %u reference%s",
                 !w->guest_levels ? "EPT walk, without paging"
                 : g->nrows       ? "Nested page walk"
                                  : "Native page walk",
                 w->refs, w->refs == 1 ? "" : "s");
    if (!w->guest_levels && !g->nrows)
        snprintf(t, sizeof t, "Paging is off: no page walk");
    dot_line(&g->d, 0, 0, g->width, 30, "LEFT", true, NULL, t);
    snprintf(s, sizeof s, "linear address 0x%llx%s", (unsigned long long)w->la, text && *text ? ": " : "");
    if (text)
        snprintf(s + strlen(s), sizeof s - strlen(s), "%s", text);
    dot_line(&g->d, 0, 48, g->width, 16, "LEFT", false, DOT_GREY, s);
    if (g->nrows)
        snprintf(t, sizeof t, "EPTP 0x%llx: the EPT walk of every column starts there", (unsigned long long)eptp);
    else
        snprintf(t, sizeof t,
                 w->guest_levels ? "no EPT: the addresses in the entries are host-physical"
                                 : "a linear address is the physical address");
    if (g->warm)
        look_ups(g, t, sizeof t);
    dot_line(&g->d, 0, 74, g->width, 14, "LEFT", false, DOT_GREY, t);

    if (g->shown <= w->refs)
        return; // the sum stands in the last frame
    double y = row_y(g->nrows) + CELL_H + 14;
    const struct sim_walk_step *f = NULL;
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        if (w->step[i].failed)
            f = &w->step[i];
    double x = g->ncols < 4 ? 0 : LABEL_W;
    if (g->nrows)
        snprintf(t, sizeof t, "%u EPT reference%s + %u guest entr%s = %u reference%s", ept, ept == 1 ? "" : "s", guest,
                 guest == 1 ? "y" : "ies", w->refs, w->refs == 1 ? "" : "s");
    else
        snprintf(t, sizeof t, "%u reference%s", guest, guest == 1 ? "" : "s");
    if (f) {
        snprintf(t + strlen(t), sizeof t - strlen(t), ". %s at reference %u%s", vz_walk_outcome(w), f->number, f->why ? ":" : ".");
        if (f->why)
            dot_line(&g->d, x, y + WHY_H, g->width - x, 17, "LEFT", true, NULL, f->why);
    } else {
        snprintf(t + strlen(t), sizeof t - strlen(t), "; the access to the data itself is one more.");
    }
    dot_line(&g->d, x, y, g->width - x, 17, "LEFT", f != NULL, NULL, t);
    (void)name;
}

static void figure(struct geo *g, FILE *f, const char *name, const char *text, uint64_t root, uint64_t eptp)
{
    const struct sim_walk *w = g->w;
    g->nrows = w->ept_levels > 5 ? 5 : w->ept_levels;
    for (unsigned lv = w->guest_levels > 5 ? 5 : w->guest_levels; lv >= 1; lv--)
        g->glevel[g->ncols++] = (uint8_t)lv;
    g->glevel[g->ncols++] = 0;
    g->width = col_x(g->ncols) - GUTTER;
    if (g->width < 760)
        g->width = 760;
    bool fails = false;
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        fails = fails || w->step[i].failed;
    dot_begin(&g->d, f, name ? name : "walk", g->width, row_y(g->nrows) + CELL_H + 14 + 26 + (fails ? WHY_H : 0));
    title_and_caption(g, name, text, eptp);
    cells(g);
    row_labels(g, root);
    arrows(g);
    dot_end(&g->d);
}

void draw_walk_of(FILE *f, const struct sim_walk *w, const char *name, const char *text, uint64_t root, uint64_t eptp)
{
    struct geo g = {.w = w, .shown = w->refs + 1u};
    figure(&g, f, name, text, root, eptp);
}

// The references that are left when the caches have done their part.
static void warmed(struct sim_walk *w, const struct sim_warm *h)
{
    unsigned n = 0;
    for (unsigned k = 0; k < w->refs && k < SIM_WALK_MAX; k++)
        if (sim_warm_makes(h, &w->step[k])) {
            w->step[n] = w->step[k];
            w->step[n].number = (uint16_t)(n + 1);
            n++;
        }
    w->refs = (uint16_t)n;
}

static void translate(const struct vz_fig *fig, struct sim_walk *w, struct sim_warm *h)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    if (fig->mark->has_la)
        sim_translate(fig->m, fig->cpu, fig->mark->la, fig->mark->acc, w);
    else
        sim_translate(fig->m, fig->cpu, vz_code_la(c, c->rip), ISA_ACC_X, w);
    if (fig->warm) {
        sim_warm(fig->m, fig->cpu, w, h);
        warmed(w, h);
    }
}

// Before the first reference, after each, and the result.
unsigned draw_walk_frames(const struct vz_fig *fig)
{
    struct sim_walk w;
    struct sim_warm h;
    translate(fig, &w, &h);
    return w.refs + 2u;
}

void draw_walk(FILE *f, const struct vz_fig *fig)
{
    struct sim_walk w;
    struct sim_warm h;
    translate(fig, &w, &h);
    struct geo g = {.w = &w, .warm = fig->warm ? &h : NULL, .steps = fig->steps, .shown = fig->steps ? fig->step : w.refs + 1u};
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    figure(&g, f, fig->mark->name, fig->mark->text, pae(&w) ? c->pdpte[w.la >> 30 & 3] : c->cr3, sim_eptp(fig->m, fig->cpu));
}
