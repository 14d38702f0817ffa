// sim/mmu_testkit.h: a machine with hand-made paging structures and EPT, for the tests of the mmu and of the TLB.
#ifndef SIM_MMU_TESTKIT_H
#define SIM_MMU_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "isa/mem.h"
#include "sim/internal.h"
#include "vmx-model/controls.h"

#define KIT_P   ISA_PTE_P
#define KIT_RW  (ISA_PTE_P | ISA_PTE_RW)
#define KIT_URW (ISA_PTE_P | ISA_PTE_RW | ISA_PTE_US)
#define KIT_WB  (6ull << 3)

struct kit {
    struct sim_machine *m;
    struct sim_cpu *c;
    uint64_t bias;     // host-physical minus guest-physical, for guest tables under EPT
    uint64_t next;     // next free guest-physical page for guest tables
    uint64_t ept_next; // next free host-physical page for EPT tables
    uint64_t eptp;
    // recorded events
    unsigned count[EV_NUM];
    struct ev ev[256];
    struct tlb_entry entry[256]; // copies of what ev[] pointed to
    unsigned nev;
    int sub;
};

static inline void kit_record(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct kit *k = ctx;
    k->count[e->kind]++;
    if (k->nev < 256) {
        k->ev[k->nev] = *e;
        if (e->kind == EV_TLB_FILL || e->kind == EV_TLB_EVICT)
            k->entry[k->nev] = *e->u.tlb.e;
        if (e->kind == EV_TLB_STALE)
            k->entry[k->nev] = *e->u.stale.e;
        k->nev++;
    }
}
static inline void kit_forget(struct kit *k)
{
    memset(k->count, 0, sizeof k->count);
    k->nev = 0;
}
static inline void kit_listen(struct kit *k, uint64_t mask) { k->sub = ev_subscribe(k->m, mask, kit_record, k); }
#define KIT_TRANSLATION (EV_BIT(EV_WALK) | EV_BIT(EV_REF) | EV_BIT(EV_TLB_FILL) | EV_BIT(EV_TLB_EVICT) | EV_BIT(EV_TLB_FLUSH))

static inline void kit_open_as(struct kit *k, struct sim_config cfg)
{
    struct sim_error err;
    cfg.ram_bytes = 64 << 20;
    memset(k, 0, sizeof *k);
    k->m = sim_create(&cfg, &err);
    assert_non_null(k->m);
    k->c = k->m->cpu[0];
    k->next = 0x100000;
    k->ept_next = 0x2000000;
}
static inline void kit_open(struct kit *k, bool no_mirror) { kit_open_as(k, (struct sim_config){.no_mirror = no_mirror}); }
static inline void kit_close(struct kit *k) { sim_destroy(k->m); }

static inline void *kit_ram(struct kit *k, uint64_t hpa)
{
    void *p = ram_at(&k->m->ram, (struct hpa){hpa});
    assert_non_null(p);
    return p;
}
static inline uint64_t kit_get(struct kit *k, uint64_t hpa)
{
    uint64_t v;
    memcpy(&v, kit_ram(k, hpa), 8);
    return v;
}
static inline void kit_put(struct kit *k, uint64_t hpa, uint64_t v) { memcpy(kit_ram(k, hpa), &v, 8); }
static inline void kit_put32(struct kit *k, uint64_t hpa, uint32_t v) { memcpy(kit_ram(k, hpa), &v, 4); }
static inline uint32_t kit_get32(struct kit *k, uint64_t hpa)
{
    uint32_t v;
    memcpy(&v, kit_ram(k, hpa), 4);
    return v;
}

static inline uint64_t kit_table(struct kit *k)
{
    uint64_t t = k->next;
    k->next += 0x1000;
    memset(kit_ram(k, t + k->bias), 0, 4096);
    return t;
}

// Host-physical address of the guest's entry of a level for la in the table tree at root (64-bit entries), making tables as needed.
static inline uint64_t kit_entry(struct kit *k, uint64_t root, unsigned top, uint64_t la, unsigned level)
{
    uint64_t t = root;
    for (unsigned l = top;; l--) {
        uint64_t at = t + k->bias + 8 * isa_pg_index(ISA_PG_4L, l, la);
        if (l == level)
            return at;
        if (!(kit_get(k, at) & 1))
            kit_put(k, at, kit_table(k) | KIT_URW);
        t = kit_get(k, at) & 0x000ffffffffff000ull;
    }
}
static inline void kit_map(struct kit *k, uint64_t root, uint64_t la, uint64_t pa, uint64_t flags, unsigned level)
{
    kit_put(k, kit_entry(k, root, 4, la, level), pa | flags | (level > 1 ? ISA_PTE_PS : 0));
}

static inline uint64_t kit_ept_table(struct kit *k)
{
    uint64_t t = k->ept_next;
    k->ept_next += 0x1000;
    memset(kit_ram(k, t), 0, 4096);
    return t;
}
static inline uint64_t kit_ept_entry(struct kit *k, uint64_t eptp, uint64_t gpa, unsigned level)
{
    uint64_t t = eptp & EPT_ADDR;
    for (unsigned l = EPTP_LEVELS(eptp);; l--) {
        uint64_t at = t + 8 * ept_index(l, gpa);
        if (l == level)
            return at;
        if (!(kit_get(k, at) & EPT_RWX))
            kit_put(k, at, kit_ept_table(k) | EPT_RWX | EPT_XU); // XU: ignored without mode-based execute control
        t = kit_get(k, at) & EPT_ADDR;
    }
}
static inline void kit_ept_map(struct kit *k, uint64_t eptp, uint64_t gpa, uint64_t hpa, uint64_t perms, unsigned level)
{
    kit_put(k, kit_ept_entry(k, eptp, gpa, level), hpa | perms | KIT_WB | (level > 1 ? EPT_PS : 0));
}
// An EPT that maps guest-physical 0..limit to host-physical + bias, with pages of one level.
static inline uint64_t kit_ept_deep(struct kit *k, uint64_t limit, unsigned level, bool ad, unsigned levels)
{
    uint64_t eptp = kit_ept_table(k) | (levels - 1) << 3 | 6 | (ad ? EPTP_AD : 0);
    for (uint64_t g = 0; g < limit; g += 1ull << ept_shift(level))
        kit_ept_map(k, eptp, g, g + k->bias, EPT_RWX, level);
    return eptp;
}

static inline uint64_t kit_ept(struct kit *k, uint64_t limit, unsigned level, bool ad)
{
    return kit_ept_deep(k, limit, level, ad, 4);
}

// Processor modes, set raw.
static inline void kit_long(struct kit *k, uint64_t cr3)
{
    struct isa_cpu *c = &k->c->isa;
    c->cr0 |= ISA_CR0_PE | ISA_CR0_PG | ISA_CR0_WP;
    c->cr4 |= ISA_CR4_PAE | ISA_CR4_PGE;
    c->efer |= ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_NXE;
    c->cr3 = cr3;
    c->seg[ISA_CS].ar = 0xa09b;
    c->seg[ISA_SS].ar = 0xc093;
    isa_update_mode(c);
    assert_int_equal(c->mode, ISA_LONG64);
}
static inline void kit_cpl(struct kit *k, unsigned cpl)
{
    struct isa_cpu *c = &k->c->isa;
    c->seg[ISA_SS].ar = (c->seg[ISA_SS].ar & ~ISA_AR_DPL) | cpl << ISA_AR_DPL_SHIFT;
    isa_update_mode(c);
    assert_int_equal(c->cpl, cpl);
}
// Enter or leave non-root operation with these controls (no checks, no state switch: only what translation sees).
static inline void kit_nonroot(struct kit *k, uint64_t eptp, uint16_t vpid)
{
    uint64_t *f = k->c->vmx.vmcs.f;
    f[VF_CPU_BASED_VM_EXEC_CONTROL] = 1u << 31;
    f[VF_SECONDARY_VM_EXEC_CONTROL] = (eptp ? 2u : 0) | (vpid ? 1u << 5 : 0);
    f[VF_EPT_POINTER] = eptp;
    f[VF_VIRTUAL_PROCESSOR_ID] = vpid;
    k->c->vmx.vmcs_ptr = 0x1000;
    k->c->isa.vmx = ISA_VMX_NONROOT;
    isa_update_mode(&k->c->isa);
    k->c->mmu.valid = false; // tests enter again with other controls, without an exit in between
    mmu_vm_transition(k->c, true);
}
// From now on EPT execute permissions are separate for supervisor- and user-mode linear addresses.
static inline void kit_mode_based(struct kit *k)
{
    k->c->vmx.vmcs.f[VF_SECONDARY_VM_EXEC_CONTROL] |= VMX_PROC2_MODE_BASED_EXECUTE;
    k->c->mmu.valid = false;
    mmu_vm_transition(k->c, true);
}
static inline void kit_root(struct kit *k)
{
    k->c->isa.vmx = ISA_VMX_ROOT;
    isa_update_mode(&k->c->isa);
    mmu_vm_transition(k->c, false);
}

// As an instruction after whatever changed the context.
static inline int kit_read(struct kit *k, uint64_t la, uint64_t *v)
{
    mmu_context(k->c);
    return mmu_read(&k->c->isa, la, v, 8, ISA_ACC_R);
}
static inline int kit_write(struct kit *k, uint64_t la, uint64_t v)
{
    mmu_context(k->c);
    return mmu_write(&k->c->isa, la, &v, 8, ISA_ACC_W);
}
static inline uint64_t kit_must_read(struct kit *k, uint64_t la)
{
    uint64_t v = 0;
    assert_int_equal(kit_read(k, la, &v), 0);
    return v;
}
#define kit_expect_pf(k, r, err, ru)                                                                                               \
    do {                                                                                                                           \
        assert_int_equal(r, ISA_R_FAULT);                                                                                          \
        assert_int_equal((k)->c->isa.fault.vector, ISA_X_PF);                                                                      \
        assert_int_equal((k)->c->isa.fault.error, err);                                                                            \
        assert_int_equal((k)->c->isa.fault.rule, ru);                                                                              \
    } while (0)

// References of the cold walk for la, counted from events.
static inline unsigned kit_cold(struct kit *k, uint64_t la)
{
    uint64_t v;
    sim_tlb_flush_all(k->m, 0);
    kit_forget(k);
    assert_int_equal(kit_read(k, la, &v), 0);
    return k->count[EV_REF];
}
// References of the walk for la with the caches as they are.
static inline unsigned kit_refs(struct kit *k, uint64_t la)
{
    uint64_t v;
    kit_forget(k);
    assert_int_equal(kit_read(k, la, &v), 0);
    return k->count[EV_REF];
}

// Random numbers: xorshift.
static inline uint64_t kit_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

#endif
