// visualizer/view_walk.c: one translation as the grid of its references: columns are guest levels, rows EPT levels.
//
// While the references of an instruction are played, the grid holds those of the walk under way, as they happened; else it shows the
// walk of a chosen address, or of the last one that was walked, as it would go now without caches.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static bool is_leaf(unsigned level, uint64_t entry) { return level == 1 || (level <= 3 && entry >> 7 & 1); }

static void add_ref(struct sim_walk *w, const struct ev *e)
{
    if (w->refs >= SIM_WALK_MAX)
        return;
    struct sim_walk_step *s = &w->step[w->refs++];
    bool ept = e->u.ref.dim == EV_DIM_EPT;
    *s = (struct sim_walk_step){.number = e->u.ref.number,
                                .ept = ept,
                                .glevel = e->u.ref.glevel,
                                .elevel = ept ? e->u.ref.elevel : 0,
                                .index = (e->u.ref.at.v & 0xfff) / 8,
                                .gpa = e->u.ref.gpa,
                                .at = e->u.ref.at,
                                .entry = e->u.ref.entry};
    s->leaf = is_leaf(ept ? s->elevel : s->glevel, s->entry);
    if (s->glevel > w->guest_levels)
        w->guest_levels = s->glevel;
    if (s->elevel > w->ept_levels)
        w->ept_levels = s->elevel;
}

// In-memory levels of the paging mode; caches may let a walk begin further down.
static uint8_t paging_levels(const struct isa_cpu *c)
{
    if (!(c->cr0 & ISA_CR0_PG))
        return 0;
    return isa_long(c) ? c->cr4 & ISA_CR4_LA57 ? 5 : 4 : 2;
}

bool vz_play_walk(struct vz *v, struct sim_walk *w, unsigned *reached)
{
    const struct vz_play *p = &v->play;
    memset(w, 0, sizeof *w);
    *reached = 0;
    if (!p->on || !p->pos)
        return false;
    int start = (int)p->pos - 1; // the last walk that began before this reference
    while (start >= 0 && !(p->ent[start].e.kind == EV_WALK && !p->ent[start].e.u.walk.done))
        start--;
    if (start < 0)
        return false;
    w->guest_levels = paging_levels(&p->cpu);
    w->pde_shift = p->cpu.cr4 & ISA_CR4_PAE ? 21 : 22;
    w->ept_levels = p->eptp ? (p->eptp >> 3 & 7) + 1 : 0;
    w->la = p->ent[start].e.u.walk.la;
    w->acc = p->ent[start].e.u.walk.acc;
    for (unsigned i = (unsigned)start + 1; i < p->n; i++) {
        const struct ev *e = &p->ent[i].e;
        if (e->kind == EV_REF) {
            add_ref(w, e);
            *reached += i < p->pos;
        } else if (e->kind == EV_WALK) {
            if (e->u.walk.done) {
                w->outcome = (enum sim_walk_outcome)e->u.walk.outcome;
                w->hpa = e->u.walk.hpa;
                w->gpa = e->u.walk.gpa;
                if (w->outcome != SIM_WALK_OK && w->refs)
                    w->step[w->refs - 1].failed = true;
            }
            break;
        }
    }
    return w->refs > 0;
}

// The walk to show; what it is goes into title.
static void choose(struct vz *v, struct sim_walk *w, unsigned *reached, char *title, size_t n)
{
    if (vz_play_walk(v, w, reached)) {
        snprintf(title, n, "Walk for the %s of %llx", vz_acc_name(w->acc), (ull)w->la);
        return;
    }
    uint64_t la = vz_rip_la(v);
    unsigned acc = ISA_ACC_X;
    const char *what = "as it would go now";
    if (v->walk_chosen) {
        la = v->walk_la;
        acc = v->walk_acc;
    } else if (v->paging.n) // the last walk that there was
        for (unsigned i = vz_log_count(&v->paging); i-- > 0;) {
            const struct ev *e = &vz_log_at(&v->paging, i)->e;
            if (e->kind != EV_WALK)
                continue;
            la = e->u.walk.la;
            acc = e->u.walk.acc;
            what = "the last one walked";
            break;
        }
    sim_translate(v->m, v->cpu, la, acc, w);
    *reached = w->refs;
    snprintf(title, n, "Walk for a %s of %llx (%s; :walk ADDR)", vz_acc_name(acc), (ull)la, what);
}

// "P W U A D XD" -> "PWUAD XD"
static void squeeze(char *s)
{
    char *o = s, prev = 0;
    for (char *t = strtok(s, " "); t; t = strtok(NULL, " ")) {
        bool one = !t[1];
        if (prev && !(one && prev == 1))
            *o++ = ' ';
        size_t l = strlen(t);
        memmove(o, t, l);
        o += l;
        prev = one ? 1 : 2;
    }
    *o = 0;
}

static void draw_cell(const struct vz_win *w, int r, int c, int lines, int width, const struct sim_walk *x,
                      const struct sim_walk_step *s, bool seen, bool now)
{
    if (!s || !seen) {
        vz_text(w, r, c + 2, VZ_A_DIM, s ? "\u00b7" : "-");
        return;
    }
    char flags[64];
    enum vz_attr a = s->failed ? VZ_A_BAD : now ? VZ_A_CURRENT : s->ept ? VZ_A_EPT : VZ_A_GUEST;
    vz_pte_flags(flags, sizeof flags, s->entry, s->ept, x->pde_shift, s->ept ? s->elevel : s->glevel, s->leaf);
    if (!strcmp(flags, "not present"))
        strcpy(flags, "not P");
    squeeze(flags);
    vz_text(w, r, c, a, s->failed ? "!" : now ? "\u25b6" : " ");
    if (lines > 1) {
        vz_at(w, r, c + 1, a, "%2u %.*s", s->number, width - 5, flags);
        vz_at(w, r + 1, c + 1, VZ_A_NORMAL, "%.*llx", 1, (ull)s->entry);
    } else
        vz_at(w, r, c + 1, a, "%2u %llx", s->number, (ull)(s->entry & 0xfffffffffffffull));
    if (now)
        for (int i = 0; i < lines; i++)
            vz_select(w, r + i, c, width - 1);
}

static const struct sim_walk_step *find(const struct sim_walk *w, unsigned glevel, unsigned elevel, unsigned *nth)
{
    for (unsigned i = 0; i < w->refs && i < SIM_WALK_MAX; i++)
        if (w->step[i].glevel == glevel && w->step[i].elevel == elevel) {
            *nth = i;
            return &w->step[i];
        }
    return NULL;
}

// Before the first reference of the walk, or of its column: a cache knew the answer.
static bool skipped(const struct sim_walk *x, unsigned glevel, unsigned elevel)
{
    const struct sim_walk_step *first = NULL;
    for (unsigned i = 0; i < x->refs && !first; i++)
        if (x->step[i].glevel == glevel)
            first = &x->step[i];
    if (!first)
        return x->refs && glevel > x->step[0].glevel;
    return elevel > first->elevel || (!elevel && first->ept && !glevel);
}

static int grid(const struct vz_win *w, const struct sim_walk *x, unsigned reached, unsigned now)
{
    int left = 8, cols = x->guest_levels + 1, width = (w->w - left) / (cols > 5 ? cols : 5);
    int rows = x->ept_levels + 1, lines = w->h - 4 >= rows * 2 ? 2 : 1;
    if (width > 24)
        width = 24;
    for (int c = 0; c < cols; c++) {
        unsigned lv = (unsigned)(cols - 1 - c), nth = 0;
        int at = left + c * width;
        const struct sim_walk_step *first = NULL;
        for (unsigned i = 0; i < x->refs && !first; i++)
            if (x->step[i].glevel == lv && i < reached)
                first = &x->step[i];
        vz_text(w, 0, at, VZ_A_TITLE, lv ? vz_level_name(lv) : "final");
        if (first && x->ept_levels)
            vz_at(w, 1, at, VZ_A_ADDR, "gPA %llx", (ull)first->gpa.v);
        else if (first)
            vz_at(w, 1, at, VZ_A_ADDR, "[%llu]", (ull)first->index);
        for (int r = 0; r < rows; r++) {
            unsigned el = (unsigned)(rows - 1 - r);
            const struct sim_walk_step *s = lv || el ? find(x, lv, el, &nth) : NULL;
            int y = 2 + r * lines;
            if (c == 0)
                vz_at(w, y, 0, el ? VZ_A_EPT : VZ_A_GUEST, el ? "E.%s" : x->ept_levels ? "guest" : "entry", vz_level_name(el));
            if (!s && (lv || el) && skipped(x, lv, el))
                vz_text(w, y, at + 2, VZ_A_DIM, "cached");
            else if (lv || el)
                draw_cell(w, y, at, lines, width, x, s, s && nth < reached, s && nth == now);
            else if (x->outcome == SIM_WALK_OK && reached == x->refs)
                vz_at(w, y, at, VZ_A_GOOD, "=hPA %llx", (ull)x->hpa.v);
            else
                vz_text(w, y, at + 2, VZ_A_DIM, "-");
        }
    }
    return 2 + rows * lines;
}

// One reference in words; returns the number of rows.
static int detail(const struct vz_win *w, int r, const struct sim_walk *x, const struct sim_walk_step *s)
{
    char flags[64], target[64], text[320];
    vz_pte_flags(flags, sizeof flags, s->entry, s->ept, x->pde_shift, s->ept ? s->elevel : s->glevel, s->leaf);
    if (s->ept)
        snprintf(target, sizeof target, "EPT %s for %s, gPA %llx", vz_level_name(s->elevel),
                 s->glevel ? vz_level_name(s->glevel) : "data", (ull)s->gpa.v);
    else
        snprintf(target, sizeof target, "guest %s[%llu]", vz_level_name(s->glevel), (ull)s->index);
    snprintf(text, sizeof text, "%2u %s: at hPA %llx = %llx %s%s%s", s->number, target, (ull)s->at.v, (ull)s->entry, flags,
             s->failed && s->why ? ". " : "", s->failed && s->why ? s->why : "");
    return vz_wrap(w, r, 1, w->w - 2, s->failed ? VZ_A_BAD : VZ_A_NORMAL, text);
}

void vz_view_walk(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    struct sim_walk x;
    unsigned reached = 0;
    choose(v, &x, &reached, p->title, sizeof p->title);
    if (x.refs > SIM_WALK_MAX)
        x.refs = SIM_WALK_MAX;
    p->nsel = x.refs;
    p->nrows = p->height = w->h;
    if (x.outcome == SIM_WALK_NO_PAGING && !x.refs) {
        vz_at(w, 0, 1, VZ_A_NORMAL, "Paging is off: linear %llx is physical %llx, with no reference.", (ull)x.la, (ull)x.hpa.v);
        return;
    }
    if (!x.refs) {
        vz_at(w, 0, 1, VZ_A_BAD, "No reference was made: %s (the address is not canonical, or the table is missing).",
              vz_walk_outcome(&x));
        return;
    }
    if (v->play.on && reached)
        p->sel = (int)reached - 1;
    if (p->sel >= (int)x.refs)
        p->sel = 0;
    int r = grid(w, &x, reached, (unsigned)p->sel);
    unsigned ept = 0;
    for (unsigned i = 0; i < reached; i++)
        ept += x.step[i].ept;
    int c = vz_at(w, r, 1, VZ_A_TITLE, "%u of %u reference%s", reached, x.refs, x.refs == 1 ? "" : "s");
    c = vz_at(w, r, c, VZ_A_NORMAL, ": %u EPT + %u guest", ept, reached - ept);
    if (reached == x.refs)
        vz_at(w, r, c, x.outcome == SIM_WALK_OK ? VZ_A_GOOD : VZ_A_BAD, ", %s%s", vz_walk_outcome(&x),
              x.outcome == SIM_WALK_OK ? "; the data access is one more" : "");
    r++;
    int room = w->h - r; // for all of them, or for the last ones up to the chosen one
    unsigned from = room < (int)x.refs && p->sel + 1 > room ? (unsigned)(p->sel + 1 - room) : 0;
    for (unsigned i = from; i < reached && r < w->h; i++) {
        int rows = detail(w, r, &x, &x.step[i]);
        if ((int)i == p->sel)
            vz_select(w, r, 0, w->w);
        r += rows;
    }
}
