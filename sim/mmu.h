// sim/mmu.h: the memory-management unit of one processor: cached configuration, contexts of the inline TLB, and the
// functions that the files sim/mmu*.c, sim/tlb.c and sim/mirror.c share. Part of sim/internal.h.
//
// INVARIANTS of the mirrors (isa_cpu.rd, isa_cpu.wr, mmu_state.fx); mmu_mirror_check() asserts them:
//   1. an entry mirrors a live L1 dTLB (fx: iTLB) entry of its context, or the identity of the paging-off context;
//   2. tlb_drop() alone removes L1 entries, and it drops the mirror of the page in all contexts;
//   3. wr entries only where D is set at both levels and the context may write; rd entries only where it may read;
//   4. plain RAM only; wr never where decoded code is; nothing while INSN, MEM or TLB_STALE have listeners or cfg.no_mirror is set;
//   5. L1 replacement is by fill order, so hits that the mirror hides change nothing.
#ifndef SIM_MMU_H
#define SIM_MMU_H

#include "isa/paging.h"
#include "sim/tlb.h"
#include "vmx-model/ept.h"

struct sim_cpu;
struct sim_machine;

struct mmu_fetch_mirror {
    uint64_t tag; // as isa_mirror.tag
    uint64_t page;
};
#define MMU_FX_SIZE 64u
static inline unsigned mmu_fx_slot(uint64_t la) { return (unsigned)((la >> 12) ^ (la >> 18)) & (MMU_FX_SIZE - 1); }

// What a mirror context number stands for: two contexts with the same descriptor see the same translations and rights.
struct mmu_mctx {
    uint64_t eptrta;
    uint16_t vpid, pcid;
    uint8_t flags; // MMU_CTX_*
};
enum { MMU_CTX_USED = 1, MMU_CTX_DIRECT = 2 /* no paging, no EPT */, MMU_CTX_EPT = 4, MMU_CTX_WP = 8, MMU_CTX_SMAP = 16 };
#define MMU_NCTX 32u

struct mmu_state {
    // inputs that the rest was computed from
    uint64_t cr0, cr3, cr4, efer, eptp;
    uint8_t vmx;
    bool valid;
    // derived by mmu_context()
    bool direct; // no paging and no EPT: linear = host-physical
    bool ept_on;
    struct isa_pg pg;
    struct ept ept;
    uint16_t vpid, pcid;
    uint64_t eptrta;            // 0 when EPT is off
    uint64_t root;              // guest-physical address of the top table
    uint64_t key0, key1, gkey1; // parts of TLB keys (sim/tlb.c)
    // mirror contexts
    struct mmu_mctx ctx[MMU_NCTX];
    uint8_t ctx_cur, ctx_next;
    struct mmu_fetch_mirror fx[MMU_FX_SIZE];
};

#endif
