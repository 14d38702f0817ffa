// sim/psc.c: filling the paging-structure caches of the guest dimension, at once or when somebody can tell the difference (sim/mmu.h).
//
// Manual: "Paging-Structure Caches", "Invalidation of TLBs and Paging-Structure Caches".
#include <string.h>

#include "sim/internal.h"

void psc_fill(struct tlb *t, const struct psc_path *path, const struct psc_entry *p)
{
    const enum tlb_unit unit = tlb_cache_of_level(p->level);
    const enum isa_pg_mode mode = (enum isa_pg_mode)path->mode;
    const unsigned shift = isa_pg_shift(mode, p->level);
    const uint64_t tag = path->la >> shift << shift;
    const uint64_t data = p->table | (p->ept & EPT_USER_X ? TLB_DATA_USER_X : 0) | (p->ept & 7u) << 3 | (p->rights & 7u);
    if (t->policy == SIM_TLB_FORGET)
        return;
    const int i = tlb_place(t, unit, tag, shift, tlb_key0(path->vpid, tag, shift), path->key1, data);
    if (i < 0)
        return;
    struct tlb_entry *e = &t->u[unit].entry[i];
    memset(e, 0, sizeof *e);
    e->mapping = path->mapping;
    e->page_shift = (uint8_t)shift;
    e->perms = e->gperms = p->rights | TLB_PERM_R;
    e->eperms = tlb_perms_of_ept(p->ept);
    e->vpid = path->vpid;
    e->pcid = path->pcid;
    e->eptrta = path->eptrta;
    e->tag = tag;
    e->gpa.v = p->gpa;
    e->frame.v = p->table;
    e->filled_at = path->filled_at;
    e->filled_rip = path->filled_rip;
    e->src[0] = p->src[0];
    e->src[1] = p->src[1];
    e->src_val[0] = p->src_val[0];
    e->src_val[1] = p->src_val[1];
    e->src_size[0] = (uint8_t)isa_pg_entry_size(mode);
    e->src_size[1] = p->ept_size;
    e->src_leaf_large[1] = p->ept_large;
    tlb_placed(t, unit, (unsigned)i);
}

// --- waiting

void psc_wait(struct tlb *t, const struct psc_path *path, const struct psc_entry *e, unsigned n)
{
    struct psc_waiting *w = &t->waiting;
    bool may = t->cpu->m->runs; // afterwards everybody looks
    w->path = *path;
    w->entry = e;
    w->clock = t->clock;
    w->n = n;
    for (unsigned k = 0; k < n; k++)
        if (t->u[tlb_cache_of_level(e[k].level)].size) {
            t->clock++;
            may &= tlb_guards(t, e[k].src[0]); // writes there are noticed as it is
        }
    if (!may)
        psc_fill_waiting(t);
}

// As if each had been filled when it was read.
void psc_fill_waiting(struct tlb *t)
{
    struct psc_waiting *w = &t->waiting;
    const uint64_t clock = t->clock, walk = t->walk;
    const unsigned n = w->n;
    w->n = 0;
    t->clock = w->clock;
    t->walk = w->path.walk;
    for (unsigned k = 0; k < n; k++) {
        w->path.filled_at += t->cpu->m->charge[ISA_COST_WALKREF];
        psc_fill(t, &w->path, &w->entry[k]);
    }
    t->clock = clock;
    t->walk = walk;
}

void psc_settle_all(struct sim_machine *m)
{
    for (unsigned k = 0; k < m->ncpus && m->cpu[k]; k++)
        psc_settle(m->cpu[k]->tlb);
}

void psc_written(struct tlb *t, struct hpa pa)
{
    const struct psc_waiting *w = &t->waiting;
    bool from = false;
    for (unsigned k = 0; k < w->n; k++)
        from |= tlb_bucket(w->entry[k].src[0]) == tlb_bucket(pa);
    if (from)
        psc_fill_waiting(t);
}

// --- dropping what waits

static bool selects_all(const struct tlb_select *s, const struct psc_waiting *w)
{
    const struct psc_path *p = &w->path;
    const unsigned deepest = isa_pg_shift((enum isa_pg_mode)p->mode, w->entry[w->n - 1].level);
    return (s->units & TLB_UNITS_PSC) == TLB_UNITS_PSC && s->mappings >> p->mapping & 1 && !(s->one_vpid && s->vpid != p->vpid) &&
           !(s->not_vpid0 && !p->vpid) && !(s->one_eptrta && s->eptrta != p->eptrta) && !(s->one_pcid && s->pcid != p->pcid) &&
           !(s->one_page && (s->addr ^ p->la) >> deepest);
}

// What remains of filling an entry that is dropped at once: one less where there was no room.
static void make_room(struct tlb *t, const struct psc_path *path, unsigned level)
{
    const unsigned shift = isa_pg_shift((enum isa_pg_mode)path->mode, level);
    const enum tlb_unit unit = tlb_cache_of_level(level);
    const unsigned i = tlb_choose(&t->u[unit], path->la, shift, tlb_key0(path->vpid, path->la, shift), path->key1);
    if (t->u[unit].hot[i].key0)
        tlb_evict(t, unit, i);
}

void psc_invalidate(struct tlb *t, const struct tlb_select *s)
{
    struct psc_waiting *w = &t->waiting;
    const unsigned n = w->n;
    unsigned filled = 0;
    if (!selects_all(s, w)) {
        psc_fill_waiting(t);
        return;
    }
    w->n = 0;
    for (unsigned k = 0; k < n; k++) {
        const enum tlb_unit unit = tlb_cache_of_level(w->entry[k].level);
        if (t->occupied >> unit & 1)
            make_room(t, &w->path, w->entry[k].level);
        const unsigned one = t->u[unit].size != 0;
        t->u[unit].count.fills += one;
        t->u[unit].count.dropped += one;
        filled += one;
    }
    t->cpu->stat[SIM_STAT_TLB_FILLS] += filled;
    t->cpu->stat[SIM_STAT_TLB_FLUSHED] += filled;
}
