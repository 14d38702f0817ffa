// isa/paging.c: paging-structure entries (isa/paging.h).
#include "isa/paging.h"

void isa_pg_init(struct isa_pg *p, const struct isa_cpu *c, unsigned maxphyaddr, bool pse36, bool page1g)
{
    *p = (struct isa_pg){
        .mode = ISA_PG_NONE,
        .maxphyaddr = (uint8_t)maxphyaddr,
        .nxe = c->efer & ISA_EFER_NXE,
        .pse = c->cr4 & ISA_CR4_PSE,
        .pse36 = pse36,
        .page1g = page1g,
        .wp = c->cr0 & ISA_CR0_WP,
        .smep = c->cr4 & ISA_CR4_SMEP,
        .smap = c->cr4 & ISA_CR4_SMAP,
        .pge = c->cr4 & ISA_CR4_PGE,
    };
    if (!(c->cr0 & ISA_CR0_PG))
        return;
    if (c->efer & ISA_EFER_LMA) {
        p->mode = c->cr4 & ISA_CR4_LA57 ? ISA_PG_5L : ISA_PG_4L;
        p->pkru = c->cr4 & ISA_CR4_PKE ? c->pkru : 0;
    } else
        p->mode = c->cr4 & ISA_CR4_PAE ? ISA_PG_PAE : ISA_PG_32;
}

unsigned isa_pg_top(enum isa_pg_mode mode)
{
    static const uint8_t top[] = {[ISA_PG_NONE] = 0, [ISA_PG_32] = 2, [ISA_PG_PAE] = 2, [ISA_PG_4L] = 4, [ISA_PG_5L] = 5};
    return top[mode];
}

const char *isa_pg_mode_name(enum isa_pg_mode mode)
{
    static const char *const name[] = {"none", "32-bit", "PAE", "4-level", "5-level"};
    return name[mode];
}

const char *isa_pg_level_name(unsigned level)
{
    static const char *const name[] = {"page", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    return name[level];
}

// Bits hi..lo.
static uint64_t bits(unsigned hi, unsigned lo) { return hi < lo ? 0 : (~0ull >> (63 - hi)) & (~0ull << lo); }

static uint64_t reserved_32(const struct isa_pg *p, unsigned level, uint64_t e)
{
    if (level != 2 || !(e & ISA_PTE_PS) || !p->pse)
        return 0;
    if (!p->pse36)
        return bits(21, 13);
    // Bits 20:13 hold address bits 39:32, as many of them as the processor has.
    unsigned have = p->maxphyaddr >= 40 ? 8 : p->maxphyaddr > 32 ? p->maxphyaddr - 32u : 0;
    return bits(21, 13 + have);
}

uint64_t isa_pg_reserved(const struct isa_pg *p, unsigned level, uint64_t e)
{
    if (p->mode == ISA_PG_32)
        return reserved_32(p, level, e);
    uint64_t r = bits(51, p->maxphyaddr);
    if (p->mode == ISA_PG_PAE)
        r |= bits(62, 52);
    if (!p->nxe)
        r |= ISA_PTE_XD;
    if (level >= 4 || (level == 3 && !p->page1g))
        r |= ISA_PTE_PS;
    if ((level == 2 || (level == 3 && p->page1g)) && (e & ISA_PTE_PS))
        r |= bits(isa_pg_shift(p->mode, level) - 1, 13);
    return r;
}

uint64_t isa_pg_pdpte_reserved(unsigned maxphyaddr) { return bits(63, maxphyaddr) | bits(8, 5) | bits(2, 1); }

uint32_t isa_pg_error(const struct isa_pg *p, enum isa_rule rule, unsigned rights, bool user, unsigned acc)
{
    uint32_t err = 0;
    if (rule != ISA_RULE_PF_NOT_PRESENT)
        err |= ISA_PF_P;
    if (rule == ISA_RULE_PF_RSVD)
        err |= ISA_PF_RSVD;
    else if (rule != ISA_RULE_PF_NOT_PRESENT && isa_pg_key_denies(p, rights, user, acc))
        err |= ISA_PF_PK;
    if (acc & (ISA_ACC_W | ISA_ACC_RMW))
        err |= ISA_PF_W;
    if (user)
        err |= ISA_PF_U;
    // I/D is defined only where fetches can be told apart by rights.
    if ((acc & ISA_ACC_X) && (p->smep || (p->nxe && p->mode != ISA_PG_32)))
        err |= ISA_PF_I;
    return err;
}

enum isa_memtype isa_pg_pat(uint64_t pat_msr, unsigned level, uint64_t leaf)
{
    unsigned pat = (unsigned)(leaf >> (level == 1 ? 7 : 12)) & 1;
    unsigned n = pat << 2 | ((leaf & ISA_PTE_PCD) != 0) << 1 | ((leaf & ISA_PTE_PWT) != 0);
    return (enum isa_memtype)(pat_msr >> (8 * n) & 7);
}

enum isa_memtype isa_memtype_combine(enum isa_memtype mtrr, enum isa_memtype pat)
{
    // Manual, "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families".
    switch (pat) {
    case ISA_MT_UC_MINUS: return mtrr == ISA_MT_WC ? ISA_MT_WC : ISA_MT_UC;
    case ISA_MT_WC: return ISA_MT_WC;
    case ISA_MT_WT: return mtrr == ISA_MT_WB ? ISA_MT_WT : mtrr == ISA_MT_WC ? ISA_MT_UC : mtrr == ISA_MT_WP ? ISA_MT_UC : mtrr;
    case ISA_MT_WP: return mtrr == ISA_MT_WB ? ISA_MT_WP : mtrr == ISA_MT_WP ? ISA_MT_WP : ISA_MT_UC;
    case ISA_MT_WB: return mtrr;
    default: return ISA_MT_UC;
    }
}

const char *isa_memtype_name(unsigned type)
{
    static const char *const name[8] = {"UC", "WC", "reserved", "reserved", "WT", "WP", "WB", "UC-"};
    return name[type & 7];
}
