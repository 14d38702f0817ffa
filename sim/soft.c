// sim/soft.c: translations in functional fidelity: one large cache of 4-KByte pages in the place of TLBs and paging-structure caches.
//
// Nothing of it is architectural but its manners: an entry serves the context that made it, with the rights that it had then, and goes whenever
// the manual lets a processor's TLB keep nothing. Most invalidations drop everything, by leaving the contexts: entries carry the serial
// number of theirs. Accesses that an entry does not allow walk again, so faults and exits come from the tables as they are.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

//    page   63..12 linear page   11..0 serial number of the context, low part; 0 only where empty
//    data   as struct tlb_hot.data, but 63..53 high part of the serial number
struct soft_entry {
    uint64_t page, data;
};
#define SOFT_SIZE   MMU_WIDE_SIZE
#define SERIAL_BITS 23

static struct soft_entry *slot(const struct sim_cpu *c, uint64_t la) { return &c->mmu.soft[mmu_wide_index(la)]; }
static uint64_t serial_low(const struct mmu_state *s) { return s->serial[s->ctx_cur] & 0xfff; }
static uint64_t serial_high(const struct mmu_state *s) { return s->serial[s->ctx_cur] >> 12 << 53; }

void soft_create(struct sim_cpu *c)
{
    if (!c->mmu.soft)
        c->mmu.soft = calloc(SOFT_SIZE, sizeof *c->mmu.soft);
    if (!c->mmu.wide)
        c->mmu.wide = calloc(MMU_WIDE_SIZE, sizeof *c->mmu.wide);
    assert(c->mmu.soft && c->mmu.wide);
}

void soft_destroy(struct sim_cpu *c)
{
    free(c->mmu.soft);
    free(c->mmu.wide);
    c->mmu.soft = NULL;
    c->mmu.wide = NULL;
}

uint64_t soft_serial(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    do
        if (++s->last_serial >> SERIAL_BITS) {
            s->last_serial = 1;
            if (s->soft)
                memset(s->soft, 0, SOFT_SIZE * sizeof *s->soft);
        }
    while (!(s->last_serial & 0xfff));
    return s->last_serial;
}

bool soft_find(const struct sim_cpu *c, uint64_t la, unsigned acc, uint64_t *data)
{
    const struct mmu_state *s = &c->mmu;
    const struct soft_entry *e = slot(c, la);
    if ((e->page ^ ((la & ~0xfffull) | serial_low(s))) | (e->data ^ serial_high(s)) >> 53)
        return false;
    *data = e->data & 0x001fffffffffffffull;
    if (s->pg.mode != ISA_PG_NONE && isa_pg_check(&s->pg, TLB_DATA_RIGHTS(e->data), isa_pg_user(&c->isa, acc), acc,
                                                  c->isa.rflags_sys & ISA_FL_AC) != ISA_RULE_NONE)
        return false;
    return ept_allows(TLB_DATA_EPERMS(e->data), mmu_ept_need(acc)) &&
           (!(acc & (ISA_ACC_W | ISA_ACC_RMW)) || (e->data & TLB_DATA_DIRTY));
}

// Regions of 4 MBytes, modulo 4 GBytes, of which some page is part of a larger one: INVLPG drops all of that, wherever it lies.
#define REGION(la)      ((la) >> 22 & 1023)
#define REGION_BIT(la)  (1ull << REGION(la) % 64)
#define REGION_WORD(la) (REGION(la) / 64)

uint64_t soft_fill(struct sim_cpu *c, uint64_t la, const struct tlb_entry *e)
{
    struct mmu_state *s = &c->mmu;
    const unsigned shift = e->page_shift > e->guest_shift ? e->page_shift : e->guest_shift;
    const uint64_t frame = e->frame.v | (la & ((1ull << e->page_shift) - 1) & ~0xfffull);
    const uint64_t data = (tlb_data(e) & ~TLB_DATA_FRAME) | frame;
    mmu_mirror_unwide(c, la);
    *slot(c, la) = (struct soft_entry){(la & ~0xfffull) | serial_low(s), data | serial_high(s)};
    s->soft_huge |= shift > 22;
    if (shift > 12)
        s->soft_large[REGION_WORD(la)] |= REGION_BIT(la);
    return data;
}

// All contexts end: whatever runs next gets a new number and a new serial.
static void leave_contexts(struct sim_cpu *c)
{
    for (unsigned k = 0; k < MMU_NCTX; k++)
        c->mmu.ctx[k].flags = 0;
    c->mmu.soft_huge = false;
    memset(c->mmu.soft_large, 0, sizeof c->mmu.soft_large);
    mmu_mirror_select(c);
}

void soft_invalidate(struct sim_cpu *c, const struct tlb_select *s)
{
    if (!(s->mappings & TLB_MAP_LA) || !(s->units & TLB_UNITS_TLB))
        return; // nothing here is made of those alone
    if (!s->one_page || c->mmu.soft_huge || (c->mmu.soft_large[REGION_WORD(s->addr)] & REGION_BIT(s->addr))) {
        leave_contexts(c);
        return;
    }
    struct soft_entry *e = slot(c, s->addr);
    if (e->page >> 12 == s->addr >> 12)
        e->page = 0;
    mmu_mirror_drop(c, TLB_ITLB, s->addr, 12);
    mmu_mirror_drop(c, TLB_DTLB, s->addr, 12);
}
