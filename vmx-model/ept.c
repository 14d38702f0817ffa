// vmx-model/ept.c: extended page tables (vmx-model/ept.h).
#include "vmx-model/ept.h"

void ept_init(struct ept *e, uint64_t eptp, unsigned maxphyaddr, uint64_t cap)
{
    // IA32_VMX_EPT_VPID_CAP: 0 execute-only, 16 2-MByte pages, 17 1-GByte pages, 21 A/D flags.
    *e = (struct ept){
        .root = eptp & EPT_ADDR,
        .levels = (uint8_t)EPTP_LEVELS(eptp),
        .ad = eptp & EPTP_AD,
        .maxphyaddr = (uint8_t)maxphyaddr,
        .exec_only = cap & 1,
        .page2m = cap >> 16 & 1,
        .page1g = cap >> 17 & 1,
    };
}

// Bits hi..lo.
static uint64_t bits(unsigned hi, unsigned lo) { return hi < lo ? 0 : (~0ull >> (63 - hi)) & (~0ull << lo); }

static uint64_t reserved(const struct ept *e, unsigned level, uint64_t entry)
{
    uint64_t r = bits(51, e->maxphyaddr);
    if (level >= 4)
        return r | bits(7, 3);
    if (level == 1)
        return r;
    bool large = level == 2 ? e->page2m : e->page1g;
    if (!large)
        return r | bits(7, 3);
    return r | (entry & EPT_PS ? bits(ept_shift(level) - 1, 12) : bits(6, 3));
}

enum ept_status ept_check(const struct ept *e, unsigned level, uint64_t entry)
{
    if (!ept_grants(e, entry))
        return EPT_NOT_PRESENT;
    if ((entry & (EPT_R | EPT_W)) == EPT_W)
        return EPT_BAD_WRITE_ONLY;
    if (!(entry & EPT_R) && !e->exec_only)
        return EPT_BAD_EXEC_ONLY;
    if (entry & reserved(e, level, entry))
        return EPT_BAD_RESERVED;
    if (ept_leaf(level, entry)) {
        unsigned t = EPT_TYPE(entry);
        if (t == 2 || t == 3 || t == 7)
            return EPT_BAD_TYPE;
    }
    return EPT_OK;
}

const char *ept_status_text(enum ept_status s)
{
    static const char *const text[] = {
        [EPT_OK] = "The entry is present and well formed.",
        [EPT_NOT_PRESENT] = "The EPT entry grants no access (EPT violation).",
        [EPT_BAD_WRITE_ONLY] = "The EPT entry allows writes but not reads (EPT misconfiguration).",
        [EPT_BAD_EXEC_ONLY] = "The EPT entry is execute-only, which this processor does not support (EPT misconfiguration).",
        [EPT_BAD_RESERVED] = "A reserved bit of the EPT entry is set (EPT misconfiguration).",
        [EPT_BAD_TYPE] = "The memory type of the EPT entry is a reserved value (EPT misconfiguration).",
    };
    return text[s];
}

const char *ept_level_name(unsigned level)
{
    static const char *const name[] = {"page", "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E", "EPT PML5E"};
    return name[level];
}

uint64_t ept_violation_qual(unsigned need, unsigned perms, bool la_valid, bool translating_la)
{
    uint64_t q = (need & EPT_RWX) | (uint64_t)(perms & EPT_RWX) << 3;
    if (la_valid)
        q |= 1u << 7 | (translating_la ? 1u << 8 : 0);
    return q;
}

unsigned ept_memtype(uint64_t entry, unsigned pat, bool cd)
{
    // The EPT type takes the place of the MTRR type; IPAT makes PAT irrelevant; CR0.CD makes everything uncacheable.
    enum { UC = 0, WC = 1, WT = 4, WP = 5, WB = 6, UC_MINUS = 7 };
    unsigned t = EPT_TYPE(entry);
    if (cd)
        return UC;
    if (entry & EPT_IPAT)
        return t;
    switch (pat) {
    case UC_MINUS: return t == WC ? WC : UC;
    case WC: return WC;
    case WT: return t == WB || t == WT ? WT : UC;
    case WP: return t == WB || t == WP ? WP : UC;
    case WB: return t;
    default: return UC;
    }
}
