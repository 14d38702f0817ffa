// sim/walk.c: translations explained, step by step, without touching anything (sim/walk.h).
//
// A second walk beside the live one of sim/mmu_walk.c, on purpose: it never looks at caches, sets no flag, charges nothing and goes
// on to say why. Both take their rules from isa/paging.h and vmx-model/ept.h; a test compares them.
#include <string.h>

#include "sim/internal.h"

struct explain {
    struct sim_cpu *c;
    struct mmu_state *s;
    struct sim_walk *w;
};

static uint64_t load(const struct sim_cpu *c, uint64_t hpa, unsigned size)
{
    uint64_t v = 0;
    const uint8_t *p = ram_at(&c->m->ram, (struct hpa){hpa});
    if (!p)
        return size == 8 ? ~0ull : 0xffffffffu;
    memcpy(&v, p, size);
    return v;
}

static struct sim_walk_step *step(struct explain *x)
{
    struct sim_walk *w = x->w;
    struct sim_walk_step *s = &w->step[w->refs];
    if (w->refs < SIM_WALK_MAX - 1)
        w->refs++;
    *s = (struct sim_walk_step){.number = w->refs};
    return s;
}

static bool fail(struct explain *x, struct sim_walk_step *s, enum sim_walk_outcome outcome, const char *why)
{
    x->w->outcome = outcome;
    if (s) {
        s->failed = true;
        s->why = why;
    }
    return false;
}

// Guest-physical to host-physical. perms: what the EPT grants there.
static bool ept_steps(struct explain *x, uint64_t gpa, unsigned need, unsigned glevel, uint64_t *hpa, unsigned *perms,
                      unsigned *shift)
{
    const struct ept *ept = &x->s->ept;
    *hpa = gpa;
    *perms = EPT_ALL;
    *shift = 30;
    if (!x->s->ept_on)
        return true;
    if (ept_too_wide(ept, gpa))
        return fail(x, x->w->refs ? &x->w->step[x->w->refs - 1] : NULL, SIM_WALK_EPT_VIOLATION,
                    "The guest-physical address has bits beyond the 48 that a 4-level EPT translates (EPT violation).");
    uint64_t table = ept->root;
    for (unsigned level = ept->levels;; level--) {
        uint64_t at = table + 8 * ept_index(level, gpa), e = load(x->c, at, 8);
        enum ept_status st = ept_check(ept, level, e);
        struct sim_walk_step *s = step(x);
        s->ept = true;
        s->glevel = (uint8_t)glevel;
        s->elevel = (uint8_t)level;
        s->index = ept_index(level, gpa);
        s->gpa.v = gpa;
        s->at.v = at;
        s->entry = e;
        s->leaf = st == EPT_OK && ept_leaf(level, e);
        *perms &= ept_grants(ept, e);
        if (st != EPT_OK)
            return fail(x, s, ept_is_misconfig(st) ? SIM_WALK_EPT_MISCONFIG : SIM_WALK_EPT_VIOLATION, ept_status_text(st));
        if (s->leaf) {
            if (!ept_allows(*perms, need))
                return fail(x, s, SIM_WALK_EPT_VIOLATION,
                            "The EPT entries used do not all allow this kind of access (EPT violation).");
            *shift = ept_shift(level);
            *hpa = ept_frame(level, e, true) | (gpa & ((1ull << *shift) - 1));
            return true;
        }
        table = ept_frame(level, e, false);
    }
}

static bool page_fault(struct explain *x, struct sim_walk_step *s, enum isa_rule rule, unsigned rights)
{
    struct sim_walk *w = x->w;
    w->pf_error = isa_pg_error(&x->s->pg, rule, rights, isa_pg_user(&x->c->isa, w->acc), w->acc);
    return fail(x, s, SIM_WALK_PF, isa_rule_info(rule)->text);
}

// The guest's tables: linear to guest-physical.
static bool guest_steps(struct explain *x, uint64_t *gpa, unsigned *shift, bool *user)
{
    const struct isa_pg *pg = &x->s->pg;
    const struct isa_cpu *isa = &x->c->isa;
    struct sim_walk *w = x->w;
    const unsigned size = isa_pg_entry_size(pg->mode);
    const unsigned need = x->s->ept_on ? ept_need_structure(&x->s->ept) : 0;
    unsigned rights = ISA_PG_W | ISA_PG_U | ISA_PG_X;
    uint64_t table = x->s->root;
    if (pg->mode == ISA_PG_PAE) {
        uint64_t e = isa->pdpte[w->la >> 30 & 3];
        if (!(e & ISA_PTE_P))
            return page_fault(x, NULL, ISA_RULE_PF_NOT_PRESENT, 0);
        table = e & 0x000ffffffffff000ull;
    }
    for (unsigned level = isa_pg_top(pg->mode);; level--) {
        unsigned index = isa_pg_index(pg->mode, level, w->la), perms, eshift;
        uint64_t hpa;
        if (!ept_steps(x, table + (uint64_t)size * index, need, level, &hpa, &perms, &eshift))
            return false;
        uint64_t e = load(x->c, hpa, size);
        struct sim_walk_step *s = step(x);
        s->glevel = (uint8_t)level;
        s->index = index;
        s->gpa.v = table + (uint64_t)size * index;
        s->at.v = hpa;
        s->entry = e;
        if (!(e & ISA_PTE_P))
            return page_fault(x, s, ISA_RULE_PF_NOT_PRESENT, 0);
        if (e & isa_pg_reserved(pg, level, e))
            return page_fault(x, s, ISA_RULE_PF_RSVD, 0);
        rights &= isa_pg_rights(e);
        s->leaf = isa_pg_leaf(pg, level, e);
        uint64_t flags = ISA_PTE_A;
        if (s->leaf) {
            rights |= isa_pg_key(pg, e);
            enum isa_rule rule = isa_pg_check(pg, rights, isa_pg_user(isa, w->acc), w->acc, isa->rflags_sys & ISA_FL_AC);
            if (rule != ISA_RULE_NONE)
                return page_fault(x, s, rule, rights);
            if (w->acc & (ISA_ACC_W | ISA_ACC_RMW))
                flags |= ISA_PTE_D;
        }
        if ((flags & ~e) && !(perms & EPT_W))
            return fail(x, s, SIM_WALK_EPT_VIOLATION, "The processor must set A or D in this entry, but EPT forbids the write.");
        table = isa_pg_frame(pg, level, e, s->leaf);
        if (s->leaf) {
            *shift = isa_pg_shift(pg->mode, level);
            *gpa = table | (w->la & ((1ull << *shift) - 1));
            *user = rights & ISA_PG_U;
            return true;
        }
    }
}

static struct explain start(struct sim_machine *m, unsigned cpu, uint64_t la, unsigned acc, struct sim_walk *out)
{
    struct sim_cpu *c = m->cpu[cpu];
    mmu_context(c);
    memset(out, 0, sizeof *out);
    out->la = la;
    out->acc = (uint8_t)acc;
    out->ept_levels = c->mmu.ept_on ? c->mmu.ept.levels : 0;
    return (struct explain){c, &c->mmu, out};
}

static void final(struct explain *x, uint64_t gpa, unsigned shift, bool user)
{
    unsigned perms, eshift, need = mmu_ept_need(x->w->acc);
    x->w->gpa.v = gpa;
    if (!ept_steps(x, gpa, need == EPT_X && user ? EPT_USER_X : need, 0, &x->w->hpa.v, &perms, &eshift))
        return;
    x->w->page_shift = (uint8_t)(x->s->ept_on && eshift < shift ? eshift : shift);
}

void sim_translate(struct sim_machine *m, unsigned cpu, uint64_t la, unsigned acc, struct sim_walk *out)
{
    struct explain x = start(m, cpu, la, acc, out);
    uint64_t gpa = la;
    unsigned shift = 30;
    bool user = true; // without paging every linear address is
    if (x.s->direct) {
        out->outcome = SIM_WALK_NO_PAGING;
        out->gpa.v = out->hpa.v = la;
        out->page_shift = 12;
        return;
    }
    if (x.s->pg.mode != ISA_PG_NONE) {
        out->guest_levels = (uint8_t)isa_pg_top(x.s->pg.mode);
        out->pde_shift = (uint8_t)isa_pg_shift(x.s->pg.mode, 2);
        if (!guest_steps(&x, &gpa, &shift, &user))
            return;
    }
    final(&x, gpa, shift, user);
}

void sim_translate_gpa(struct sim_machine *m, unsigned cpu, struct gpa gpa, unsigned acc, struct sim_walk *out)
{
    struct explain x = start(m, cpu, gpa.v, acc, out);
    final(&x, gpa.v, 30, false);
    if (!x.s->ept_on)
        out->outcome = SIM_WALK_NO_PAGING;
}
