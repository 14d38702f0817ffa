// sim/warm.c: see sim/warm.h. Looks where sim/mmu_access.c and sim/mmu_walk.c look, in the same order.
#include "sim/warm.h"

#include "sim/internal.h"

static uint8_t structure_cache(const struct sim_cpu *c, uint64_t la)
{
    const struct mmu_state *s = &c->mmu;
    unsigned top = isa_pg_top(s->pg.mode);
    for (unsigned level = 2; level <= top; level++) {
        const struct tlb_unit_state *u = &c->tlb->u[tlb_cache_of_level(level)];
        unsigned shift = isa_pg_shift(s->pg.mode, level);
        if (u->size && tlb_probe(u, tlb_key0(s->vpid, la, shift), s->key1, la, shift) >= 0)
            return (uint8_t)level;
    }
    return 0;
}

static uint8_t ept_structure_cache(const struct sim_cpu *c, uint64_t gpa)
{
    const struct mmu_state *s = &c->mmu;
    for (unsigned level = 2; level <= s->ept.levels; level++) {
        const struct tlb_unit_state *u = &c->tlb->u[tlb_ept_cache_of_level(level)];
        if (u->size && tlb_probe(u, tlb_key0(0, gpa, ept_shift(level)), s->gkey1, gpa, ept_shift(level)) >= 0)
            return (uint8_t)level;
    }
    return 0;
}

void sim_warm(struct sim_machine *m, unsigned cpu, const struct sim_walk *w, struct sim_warm *out)
{
    struct sim_cpu *c = m->cpu[cpu];
    const struct mmu_state *s = &c->mmu;
    *out = (struct sim_warm){.tlb = -1};
    if (s->direct || w->outcome == SIM_WALK_NO_PAGING)
        return;
    const enum tlb_unit unit[2] = {w->acc & ISA_ACC_X ? TLB_ITLB : TLB_DTLB, TLB_STLB};
    for (unsigned k = 0; k < 2 && out->tlb < 0; k++)
        if (c->tlb->u[unit[k]].size && tlb_find(&c->tlb->u[unit[k]], s->vpid, s->key1, w->la) >= 0)
            out->tlb = (int)unit[k];
    if (w->guest_levels)
        out->psc = structure_cache(c, w->la);
    const struct tlb_unit_state *n = &c->tlb->u[TLB_NTLB];
    for (unsigned k = 0; k < w->refs && s->ept_on; k++) {
        const struct sim_walk_step *x = &w->step[k];
        if (x->ept && !out->epsc[x->glevel])
            out->epsc[x->glevel] = ept_structure_cache(c, x->gpa.v);
        int i = x->ept && n->size ? tlb_find(n, 0, s->gkey1, x->gpa.v) : -1;
        // A write through an entry without D walks, to set D. With accessed and dirty flags for EPT, the walk writes to guest entries.
        bool write = x->glevel ? s->ept.ad : w->acc & (ISA_ACC_W | ISA_ACC_RMW);
        if (i >= 0 && (n->entry[i].dirty || !write || !(n->entry[i].eperms & TLB_PERM_W)))
            out->ntlb |= (uint8_t)(1u << x->glevel);
    }
}

const char *sim_warm_why(const struct sim_warm *h, unsigned glevel, unsigned elevel)
{
    if (h->tlb >= 0)
        return tlb_unit_name((enum tlb_unit)h->tlb);
    if (h->psc && (glevel >= h->psc || (glevel + 1 == h->psc && elevel)))
        return tlb_unit_name(tlb_cache_of_level(h->psc));
    if (elevel && (h->ntlb >> glevel & 1))
        return tlb_unit_name(TLB_NTLB);
    if (h->epsc[glevel] && elevel >= h->epsc[glevel])
        return tlb_unit_name(tlb_ept_cache_of_level(h->epsc[glevel]));
    return NULL;
}

bool sim_warm_makes(const struct sim_warm *h, const struct sim_walk_step *s)
{
    return !sim_warm_why(h, s->glevel, s->ept ? s->elevel : 0);
}
