// The walk, its references, A and D, faults and exits, access details, and the mirror's invariants.
#include "isa/cr.h"
#include "isa/msr.h"
#include "sim/mmu_testkit.h"

#include "isa/decode.h"
#include "vmx-model/controls.h"

// --- reference counts (the numbers of the textbooks, counted from events)

static void test_native(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k);
    kit_map(&k, root, 0x7f0012345000, 0x300000, KIT_RW, 1);
    kit_map(&k, root, 0x7f0012600000, 0x400000, KIT_RW, 2);
    kit_map(&k, root, 0x7f0080000000, 0, KIT_RW, 3);
    kit_long(&k, root);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, 0x7f0012345008), 4);
    assert_int_equal(k.count[EV_WALK], 2);
    // Levels 4 to 1, each at its index, numbered from 1.
    unsigned level = 4;
    for (unsigned i = 0; i < k.nev; i++)
        if (k.ev[i].kind == EV_REF) {
            const struct ev *e = &k.ev[i];
            assert_int_equal(e->u.ref.dim, EV_DIM_GUEST);
            assert_int_equal(e->u.ref.glevel, level);
            assert_int_equal(e->u.ref.number, 5 - level);
            assert_int_equal(e->u.ref.at.v, kit_entry(&k, root, 4, 0x7f0012345000, level));
            assert_true(e->u.ref.entry & ISA_PTE_A);
            level--;
        }
    assert_int_equal(level, 0);
    assert_int_equal(kit_cold(&k, 0x7f0012600000), 3);
    assert_int_equal(kit_cold(&k, 0x7f0080000000), 2);
    // A neighbour in the same table: the PDE cache leaves one reference. TLB hit: none.
    kit_map(&k, root, 0x7f0012346000, 0x301000, KIT_RW, 1);
    assert_int_equal(kit_cold(&k, 0x7f0012345000), 4);
    assert_int_equal(kit_refs(&k, 0x7f0012346000), 1);
    assert_int_equal(kit_refs(&k, 0x7f0012346ff8), 0);
    // Only the PDPTE cache serves a page under another PDE, only the PML4E cache one under another PDPTE.
    kit_map(&k, root, 0x7f0012800000, 0x302000, KIT_RW, 1);
    assert_int_equal(kit_refs(&k, 0x7f0012800000), 2);
    kit_map(&k, root, 0x7f0052800000, 0x303000, KIT_RW, 1);
    assert_int_equal(kit_refs(&k, 0x7f0052800000), 3);
    kit_close(&k);
}

struct nested_case {
    const char *name;
    unsigned guest_level, ept_level, refs;
};

static void test_nested_counts(void **state)
{
    static const struct nested_case cases[] = {
        {"4K/4K", 1, 1, 24}, {"guest 2M, host 4K", 2, 1, 19}, {"guest 4K, host 2M", 1, 2, 19}, {"2M/2M", 2, 2, 15},
        {"1G/1G", 3, 3, 8},
    };
    for (unsigned n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        struct kit k;
        kit_open(&k, false);
        k.bias = cases[n].ept_level == 3 ? 0 : 0x800000; // a 1-GByte EPT page cannot be shifted by megabytes
        uint64_t root = kit_table(&k), la = 0x7f0040000000;
        kit_map(&k, root, la, cases[n].guest_level == 3 ? 0 : 0x400000, KIT_RW, cases[n].guest_level);
        kit_long(&k, root);
        uint64_t eptp = kit_ept(&k, 0x1000000, cases[n].ept_level, false);
        kit_nonroot(&k, eptp, 1);
        kit_listen(&k, KIT_TRANSLATION);
        unsigned refs = kit_cold(&k, la);
        if (refs != cases[n].refs)
            fail_msg("%s: %u references, want %u", cases[n].name, refs, cases[n].refs);
        uint64_t walks = k.c->stat[SIM_STAT_WALK_REFS];
        assert_int_equal(walks, refs);
        assert_int_equal(kit_refs(&k, la + 8), 0);
        // With guest-physical mappings kept, only the guest dimension is walked again (INVLPG drops none of them).
        mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
        assert_int_equal(kit_refs(&k, la), 5 - cases[n].guest_level);
        // The explaining walk numbers the same references.
        struct sim_walk w;
        sim_translate(k.m, 0, la, ISA_ACC_R, &w);
        assert_int_equal(w.refs, refs);
        assert_int_equal(w.outcome, SIM_WALK_OK);
        kit_close(&k);
    }
}

// The 24 references in the order of the textbooks' grid, and what each one reads.
static void test_nested_order(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x7f0040001000;
    kit_map(&k, root, la, 0x400000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 1);
    kit_listen(&k, EV_BIT(EV_REF));
    assert_int_equal(kit_cold(&k, la), 24);
    struct sim_walk w;
    sim_translate(k.m, 0, la, ISA_ACC_R, &w);
    for (unsigned i = 0; i < 24; i++) {
        const struct ev *e = &k.ev[i];
        unsigned row = i / 5, col = i % 5;
        assert_int_equal(e->u.ref.number, i + 1);
        assert_int_equal(e->u.ref.glevel, 4 - row);
        assert_int_equal(e->u.ref.elevel, 4 - col);
        assert_int_equal(e->u.ref.dim, col == 4 ? EV_DIM_GUEST : EV_DIM_EPT);
        assert_int_equal(w.step[i].at.v, e->u.ref.at.v);
        assert_int_equal(w.step[i].gpa.v, e->u.ref.gpa.v);
        assert_int_equal(w.step[i].glevel, e->u.ref.glevel);
        assert_int_equal(w.step[i].elevel, e->u.ref.elevel);
    }
    assert_int_equal(w.hpa.v, 0x400000 + k.bias);
    assert_int_equal(w.gpa.v, 0x400000);
    kit_close(&k);
}

static void protected_mode(struct kit *k, uint64_t cr3, uint64_t cr4)
{
    struct isa_cpu *c = &k->c->isa;
    c->cr0 |= ISA_CR0_PE | ISA_CR0_PG | ISA_CR0_WP;
    c->cr4 = cr4;
    c->cr3 = cr3;
    c->seg[ISA_CS].ar = 0xc09b;
    c->seg[ISA_SS].ar = 0xc093;
    isa_update_mode(c);
}

static void test_32bit(void **state)
{
    for (unsigned nested = 0; nested < 2; nested++) {
        struct kit k;
        kit_open(&k, false);
        k.bias = nested ? 0x800000 : 0;
        uint64_t pd = kit_table(&k), pt = kit_table(&k);
        kit_put32(&k, k.bias + pd + 4 * 2, (uint32_t)pt | 3);
        kit_put32(&k, k.bias + pt + 4 * 5, 0x300000 | 3);
        kit_put32(&k, k.bias + pd + 4 * 3, 0x400000 | 0x83);
        protected_mode(&k, pd, ISA_CR4_PSE);
        if (nested)
            kit_nonroot(&k, kit_ept(&k, 0x800000, 1, false), 1);
        kit_listen(&k, KIT_TRANSLATION);
        kit_put(&k, k.bias + 0x300010, 0x1122334455667788);
        assert_int_equal(kit_cold(&k, 0x805010), nested ? 14 : 2);
        assert_int_equal(kit_must_read(&k, 0x805010), 0x1122334455667788);
        assert_int_equal(kit_get32(&k, k.bias + pt + 20), 0x300023); // A, not D
        kit_put(&k, k.bias + 0x400020, 42);
        assert_int_equal(kit_cold(&k, 0xc00020), nested ? 9 : 1);
        assert_int_equal(kit_must_read(&k, 0xc00020), 42);
        uint64_t v;
        kit_expect_pf(&k, kit_read(&k, 0x806000, &v), 0, ISA_RULE_PF_NOT_PRESENT);
        assert_int_equal(k.c->isa.fault.addr, 0x806000);
        kit_close(&k);
    }
}

static void test_pae(void **state)
{
    for (unsigned nested = 0; nested < 2; nested++) {
        struct kit k;
        kit_open(&k, false);
        k.bias = nested ? 0x800000 : 0;
        uint64_t pd = kit_table(&k), pt = kit_table(&k);
        kit_put(&k, k.bias + pd + 8 * 4, pt | 3);
        kit_put(&k, k.bias + pt, 0x300000 | 3);
        k.c->isa.pdpte[1] = pd | 1;
        protected_mode(&k, 0, ISA_CR4_PAE);
        if (nested)
            kit_nonroot(&k, kit_ept(&k, 0x800000, 1, false), 1);
        kit_listen(&k, KIT_TRANSLATION);
        assert_int_equal(kit_cold(&k, 0x40800000), nested ? 14 : 2);
        uint64_t v;
        kit_expect_pf(&k, kit_read(&k, 0x800000, &v), 0, ISA_RULE_PF_NOT_PRESENT);
        kit_close(&k);
    }
}

static void test_paging_off_under_ept(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 0);
    kit_listen(&k, KIT_TRANSLATION);
    kit_put(&k, 0x800000 + 0x5008, 77);
    assert_int_equal(kit_cold(&k, 0x5008), 4);
    assert_int_equal(kit_must_read(&k, 0x5008), 77);
    for (unsigned unit = TLB_PML5E; unit <= TLB_PDE; unit++)
        assert_int_equal(tlb_count(k.c->tlb, (enum tlb_unit)unit), 0);
    kit_close(&k);
}

static void test_five_levels(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x00f2345678abc000;
    kit_put(&k, kit_entry(&k, root, 5, la, 1), 0x300000 | KIT_RW);
    k.c->isa.cr4 = ISA_CR4_LA57;
    kit_long(&k, root);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, la), 5);
    kit_close(&k);

    kit_open(&k, false);
    k.bias = 0x800000;
    root = kit_table(&k);
    kit_put(&k, kit_entry(&k, root, 5, la, 1), 0x300000 | KIT_RW);
    k.c->isa.cr4 = ISA_CR4_LA57;
    kit_long(&k, root);
    kit_nonroot(&k, kit_ept(&k, 0x800000, 1, false), 1);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, la), 29);
    kit_nonroot(&k, kit_ept_deep(&k, 0x800000, 1, false, 5), 1);
    assert_int_equal(kit_cold(&k, la), 35);
    struct sim_walk w;
    sim_translate(k.m, 0, la, ISA_ACC_R, &w);
    assert_int_equal(w.refs, 35);
    assert_int_equal(w.ept_levels, 5);
    kit_close(&k);
}

// A 4-level EPT translates 48 bits of a guest-physical address, a 5-level one all that there are.
static void test_wide_guest_physical(void **state)
{
    static const char *const set[] = {"maxphyaddr=52"};
    static const uint64_t gpa = 1ull << 48 | 0x5000, la = 0x7f0040000000;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct kit k;
        uint64_t val = 0;
        kit_open_as(&k, (struct sim_config){.profile = "later", .set = set, .nset = 1});
        k.bias = 0x800000;
        const uint64_t root = kit_table(&k);
        kit_map(&k, root, la, gpa, KIT_RW, 1);
        kit_long(&k, root);
        const uint64_t eptp = kit_ept_deep(&k, 0x800000, 1, false, levels);
        kit_ept_map(&k, eptp, gpa, 0x600000, EPT_RWX, 1);
        kit_put(&k, 0x600000, 0x1234);
        kit_nonroot(&k, eptp, 1);
        struct sim_walk w;
        sim_translate(k.m, 0, la, ISA_ACC_R, &w);
        assert_int_equal(w.outcome, levels == 4 ? SIM_WALK_EPT_VIOLATION : SIM_WALK_OK);
        assert_int_equal(w.refs, levels == 4 ? 20 : 29);
        assert_int_equal(kit_read(&k, la, &val), levels == 4 ? ISA_R_VMEXIT : 0);
        if (levels == 5) {
            assert_int_equal(val, 0x1234);
        } else {
            assert_int_equal(k.c->vmx.exit.reason, 48);
            assert_int_equal(k.c->vmx.exit.gpa.v, gpa);
            assert_int_equal(k.c->vmx.exit.qual & 0x1ff, 1 | 1 << 7 | 1 << 8); // a read; nothing grants anything
        }
        kit_close(&k);
    }
}

// The cache of EPT PML5 entries saves a reference of each EPT walk, and INVEPT empties it. Bits 7:3 of such an entry are reserved.
static void test_five_level_ept_caches(void **state)
{
    static const char *const set[] = {"tlb.nested.entries=0", "psc.pde.entries=0", "psc.pdpte.entries=0", "psc.pml4e.entries=0",
                                      "psc.ept.pml5e.entries=4"};
    struct kit k;
    uint64_t val;
    kit_open_as(&k, (struct sim_config){.profile = "later", .set = set, .nset = 5});
    k.bias = 0x800000;
    const uint64_t root = kit_table(&k), la = 0x7f0040000000;
    kit_map(&k, root, la, 0x600000, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x601000, KIT_RW, 1);
    kit_long(&k, root);
    const uint64_t eptp = kit_ept_deep(&k, 0x1000000, 1, false, 5);
    kit_nonroot(&k, eptp, 1);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, la), 29);
    assert_int_equal(tlb_count(k.c->tlb, TLB_EPT_PML5E), 1);
    assert_int_equal(kit_refs(&k, la + 0x1000), 24);
    mmu_invept(k.c, 1, eptp);
    assert_int_equal(tlb_count(k.c->tlb, TLB_EPT_PML5E), 0);
    for (unsigned bit = 3; bit < 8; bit++) {
        const uint64_t at = eptp & EPT_ADDR, e = kit_get(&k, at);
        kit_put(&k, at, e | 1u << bit);
        mmu_invept(k.c, 2, 0);
        assert_int_equal(kit_read(&k, la, &val), ISA_R_VMEXIT);
        assert_int_equal(k.c->vmx.exit.reason, 49);
        kit_put(&k, at, e);
    }
    kit_close(&k);
}

// The PML5E cache shortens a walk by one reference, and INVLPG and MOV CR3 empty it.
static void test_five_level_caches(void **state)
{
    struct kit k;
    kit_open_as(&k, (struct sim_config){.profile = "later"});
    struct isa_cpu *c = &k.c->isa;
    uint64_t root = kit_table(&k), la = 0x00f2345678abc000, near = la ^ 1ull << 40; // the same PML5E, another PML4E
    kit_put(&k, kit_entry(&k, root, 5, la, 1), 0x300000 | KIT_RW);
    kit_put(&k, kit_entry(&k, root, 5, near, 1), 0x301000 | KIT_RW);
    c->cr4 |= ISA_CR4_LA57;
    kit_long(&k, root);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, la), 5);
    assert_int_equal(tlb_count(k.c->tlb, TLB_PML5E), 1);
    assert_int_equal(kit_refs(&k, near), 4);
    mmu_inval(c, ISA_INVAL_INVLPG, la, 0, 0);
    assert_int_equal(tlb_count(k.c->tlb, TLB_PML5E), 0);
    assert_int_equal(kit_refs(&k, la), 5);
    mmu_inval(c, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(kit_refs(&k, near), 5);
    // what is canonical: addresses by the paging mode, registers that hold one by the processor
    enum isa_rule rule;
    const uint64_t high = 0xff00000000000000, wrong = 0xfe00000000000000;
    for (unsigned on = 0; on < 2; on++) {
        c->cr4 = on ? c->cr4 | ISA_CR4_LA57 : c->cr4 & ~(uint64_t)ISA_CR4_LA57;
        assert_int_equal(isa_canonical(c, high), on);
        assert_false(isa_canonical(c, wrong));
        assert_true(isa_wrmsr(c, 0xc0000082, high, &rule)); // IA32_LSTAR
        assert_false(isa_wrmsr(c, 0xc0000082, wrong, &rule));
    }
    uint32_t r[4];
    sim_cpuid(c, 0x80000008, 0, r);
    assert_int_equal(r[0] >> 8 & 0xff, 57);
    kit_close(&k);
    kit_open(&k, false);
    assert_false(isa_wrmsr(&k.c->isa, 0xc0000082, high, &rule)); // a processor without 5-level paging
    kit_close(&k);
}

// What the profile adds shows in CPUID, and CR4 takes it; the default profile has neither.
static void test_later_profile(void **state)
{
    for (unsigned later = 0; later < 2; later++) {
        struct kit k;
        uint32_t r[4];
        kit_open_as(&k, (struct sim_config){.profile = later ? "later" : "teach"});
        struct isa_cpu *c = &k.c->isa;
        sim_cpuid(c, 7, 0, r);
        assert_int_equal(r[2] >> 3 & 3, later); // PKU, not yet OSPKE
        assert_int_equal(r[2] >> 16 & 1, later);
        assert_int_equal(isa_set_cr4(c, ISA_CR4_PKE), later ? 0 : ISA_R_FAULT);
        assert_int_equal(isa_set_cr4(c, ISA_CR4_LA57), later ? 0 : ISA_R_FAULT);
        if (later) {
            assert_int_equal(isa_set_cr4(c, ISA_CR4_PKE | ISA_CR4_OSXSAVE), 0);
            sim_cpuid(c, 7, 0, r);
            assert_int_equal(r[2] >> 3 & 3, 3);
        }
        sim_cpuid(c, 0xd, 0, r);
        assert_int_equal(r[0], later ? 0x203 : 3);
        assert_int_equal(r[1], 576);
        assert_int_equal(r[2], later ? 2696 : 576);
        assert_int_equal(isa_set_xcr0(c, 0x203), later ? 0 : ISA_R_FAULT);
        sim_cpuid(c, 0xd, 0, r);
        assert_int_equal(r[1], later ? 2696 : 576);
        sim_cpuid(c, 0xd, 1, r);
        assert_int_equal(r[0], later ? 15 : 3);
        assert_int_equal(r[1], later ? 584 : 576);
        assert_int_equal(r[2], later ? 1u << 13 : 0); // the bits of IA32_XSS
        assert_int_equal(r[3], 0);
        sim_cpuid(c, 0xd, 9, r);
        assert_int_equal(r[0], later ? 8 : 0);
        assert_int_equal(r[1], later ? 2688 : 0);
        kit_close(&k);
    }
}

// Protection keys: walks, cached translations and mirrors obey PKRU as it is now, without an invalidation.
static void test_protection_keys(void **state)
{
    for (unsigned how = 0; how < 3; how++) // with mirrors, without, in functional fidelity
        for (unsigned user = 0; user < 2; user++) {
            const bool plain = how == 1;
            struct kit k;
            uint64_t v;
            kit_open(&k, plain);
            if (how == 2)
                sim_set_fidelity(k.m, SIM_FUNCTIONAL);
            struct isa_cpu *c = &k.c->isa;
            uint64_t root = kit_table(&k), la = 0x1000, sup = 0x2000;
            const uint32_t u = user ? ISA_PF_U : 0;
            kit_map(&k, root, la, 0x300000, KIT_URW | 5ull << 59, 1);
            kit_map(&k, root, sup, 0x301000, KIT_RW | 5ull << 59, 1);
            c->cr4 |= ISA_CR4_PKE;
            kit_long(&k, root);
            kit_cpl(&k, user ? 3 : 0);
            isa_set_pkru(c, 3u << 10);
            kit_expect_pf(&k, kit_read(&k, la, &v), ISA_PF_P | ISA_PF_PK | u, ISA_RULE_PF_PKEY); // by the walk
            struct hpa pa;
            assert_int_equal(mmu_translate(k.c, la, ISA_ACC_X, &pa), 0); // fetches are free
            if (!user)
                assert_int_equal(kit_read(&k, sup, &v), 0); // a supervisor page has no key
            isa_set_pkru(c, 2u << 10);
            assert_int_equal(kit_read(&k, la, &v), 0);
            assert_true(plain || isa_hit(c->rd, c, la, 8));
            kit_expect_pf(&k, kit_write(&k, la, 1), ISA_PF_P | ISA_PF_PK | ISA_PF_W | u, ISA_RULE_PF_PKEY); // by the TLB
            isa_set_pkru(c, 0);
            assert_int_equal(kit_write(&k, la, 1), 0);
            assert_true(plain || isa_hit(c->wr, c, la, 8));
            isa_set_pkru(c, 1u << 10);
            assert_null(isa_hit(c->rd, c, la, 8));
            assert_null(isa_hit(c->wr, c, la, 8));
            assert_null(mmu_host_run(c, la, 8, &v, ISA_ACC_R));
            kit_expect_pf(&k, kit_read(&k, la, &v), ISA_PF_P | ISA_PF_PK | u, ISA_RULE_PF_PKEY);
            struct sim_walk w;
            sim_translate(k.m, 0, la, ISA_ACC_R, &w);
            assert_int_equal(w.outcome, SIM_WALK_PF);
            assert_int_equal(w.pf_error, ISA_PF_P | ISA_PF_PK | u);
            isa_set_pkru(c, 0); // back in an earlier context: its mirrors serve again
            assert_int_equal(kit_read(&k, la, &v), 0);
            c->cr4 &= ~(uint64_t)ISA_CR4_PKE;
            isa_update_mode(c);
            isa_set_pkru(c, 1u << 10);
            assert_int_equal(kit_read(&k, la, &v), 0);
            (void)mmu_mirror_check(k.c);
            kit_close(&k);
        }
}

static void test_cycles(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k);
    kit_map(&k, root, 0x1000, 0x300000, KIT_RW, 1);
    for (unsigned i = 0; i < 64; i++) // same dTLB set
        kit_map(&k, root, 0x10000 + i * 0x4000, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    const uint32_t *cost = k.m->profile->cost;
    uint64_t t = k.c->isa.cycles;
    kit_must_read(&k, 0x1000);
    assert_int_equal(k.c->isa.cycles - t, 4 * cost[ISA_COST_WALKREF]);
    t = k.c->isa.cycles;
    kit_must_read(&k, 0x1008);
    assert_int_equal(k.c->isa.cycles, t);
    // Push a page out of the first level; the second level has it still.
    kit_must_read(&k, 0x10000);
    for (unsigned i = 1; i <= k.m->profile->dtlb.ways; i++)
        kit_must_read(&k, 0x10000 + i * 0x4000);
    t = k.c->isa.cycles;
    kit_must_read(&k, 0x10000);
    assert_int_equal(k.c->isa.cycles - t, cost[ISA_COST_STLB]);
    kit_close(&k);
}

// --- accessed and dirty flags

static void test_accessed_dirty(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    kit_must_read(&k, la);
    for (unsigned level = 4; level >= 1; level--) {
        uint64_t e = kit_get(&k, kit_entry(&k, root, 4, la, level));
        assert_int_equal(e & (ISA_PTE_A | ISA_PTE_D), ISA_PTE_A);
    }
    // A write through the cached translation walks again to set D; the next one does not.
    uint64_t refs = k.c->stat[SIM_STAT_WALK_REFS];
    assert_int_equal(kit_write(&k, la, 5), 0);
    assert_true(k.c->stat[SIM_STAT_WALK_REFS] > refs);
    assert_true(kit_get(&k, kit_entry(&k, root, 4, la, 1)) & ISA_PTE_D);
    assert_false(kit_get(&k, kit_entry(&k, root, 4, la, 2)) & ISA_PTE_D);
    refs = k.c->stat[SIM_STAT_WALK_REFS];
    assert_int_equal(kit_write(&k, la + 8, 5), 0);
    assert_int_equal(k.c->stat[SIM_STAT_WALK_REFS], refs);
    // A read that will write (RMW) sets D at once.
    uint64_t v;
    kit_map(&k, root, la + 0x1000, 0x301000, KIT_RW, 1);
    assert_int_equal(mmu_read(&k.c->isa, la + 0x1000, &v, 8, ISA_ACC_RMW), 0);
    assert_true(kit_get(&k, kit_entry(&k, root, 4, la + 0x1000, 1)) & ISA_PTE_D);
    // A refused write sets neither A nor D in the entry that maps the page.
    kit_map(&k, root, la + 0x2000, 0x302000, KIT_P, 1);
    kit_expect_pf(&k, kit_write(&k, la + 0x2000, 1), ISA_PF_P | ISA_PF_W, ISA_RULE_PF_WRITE);
    assert_int_equal(kit_get(&k, kit_entry(&k, root, 4, la + 0x2000, 1)), 0x302000 | KIT_P);
    // A probe for writing counts as the write.
    kit_map(&k, root, la + 0x3000, 0x303000, KIT_RW, 1);
    assert_int_equal(mmu_probe(&k.c->isa, la + 0x3000, 8, ISA_ACC_W), 0);
    assert_true(kit_get(&k, kit_entry(&k, root, 4, la + 0x3000, 1)) & ISA_PTE_D);
    kit_close(&k);
}

static void test_ept_accessed_dirty(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, true);
    kit_nonroot(&k, eptp, 1);
    kit_must_read(&k, la);
    // Accesses to guest paging structures count as writes; the final read does not.
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, root, 1)) & (EPT_A | EPT_D), EPT_A | EPT_D);
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, 0x300000, 1)) & (EPT_A | EPT_D), EPT_A);
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, 0x300000, 2)) & (EPT_A | EPT_D), EPT_A);
    assert_int_equal(kit_write(&k, la, 9), 0);
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, 0x300000, 1)) & (EPT_A | EPT_D), EPT_A | EPT_D);
    assert_true(kit_get(&k, kit_entry(&k, root, 4, la, 1)) & ISA_PTE_D);
    // D at the guest's level alone is not enough to write through a cached translation.
    kit_map(&k, root, la + 0x1000, 0x301000, KIT_RW | ISA_PTE_A | ISA_PTE_D, 1);
    kit_must_read(&k, la + 0x1000);
    assert_int_equal(kit_write(&k, la + 0x1000, 9), 0);
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, 0x301000, 1)) & (EPT_A | EPT_D), EPT_A | EPT_D);
    kit_close(&k);
    // Without A/D flags the EPT is never written.
    kit_open(&k, false);
    k.bias = 0x800000;
    root = kit_table(&k);
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 1);
    assert_int_equal(kit_write(&k, la, 9), 0);
    assert_int_equal(kit_get(&k, kit_ept_entry(&k, eptp, 0x300000, 1)) & (EPT_A | EPT_D), 0);
    kit_close(&k);
}

// --- page faults

static void test_reserved_and_levels(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x40200000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t at = kit_entry(&k, root, 4, la, level), good = kit_get(&k, at);
        kit_put(&k, at, good & ~1ull);
        kit_expect_pf(&k, kit_read(&k, la, &v), 0, ISA_RULE_PF_NOT_PRESENT);
        kit_put(&k, at, good | 1ull << 51);
        kit_expect_pf(&k, kit_read(&k, la, &v), ISA_PF_P | ISA_PF_RSVD, ISA_RULE_PF_RSVD);
        kit_cpl(&k, 3);
        kit_expect_pf(&k, kit_write(&k, la, 0), ISA_PF_P | ISA_PF_RSVD | ISA_PF_W | ISA_PF_U, ISA_RULE_PF_RSVD);
        kit_cpl(&k, 0);
        kit_put(&k, at, good);
        assert_int_equal(kit_read(&k, la, &v), 0); // nothing was cached from the bad entry
        mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
    }
    kit_close(&k);
}

// The whole matrix of rights through real walks: flags at one level at a time, every processor setting, against the sentences of
// the manual as written in isa/paging_test.c. Each case is tried cold, and again through the TLB.
static void test_rights_end_to_end(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x40200000;
    kit_map(&k, root, la, 0x300000, KIT_URW, 1);
    kit_long(&k, root);
    struct isa_cpu *c = &k.c->isa;
    unsigned n = 0;
    for (unsigned level = 1; level <= 4; level++)
        for (unsigned m = 0; m < 1u << 9; m++) {
            bool rw = m & 1, us = m & 2, xd = m & 4, wp = m & 8, smep = m & 16, smap = m & 32, ac = m & 64;
            unsigned cpl = m & 128 ? 3 : 0;
            bool implicit = m & 256;
            uint64_t at = kit_entry(&k, root, 4, la, level);
            uint64_t keep = kit_get(&k, at) & ~(ISA_PTE_RW | ISA_PTE_US | ISA_PTE_XD);
            kit_put(&k, at, keep | (rw ? ISA_PTE_RW : 0) | (us ? ISA_PTE_US : 0) | (xd ? ISA_PTE_XD : 0));
            c->cr0 = (c->cr0 & ~(uint64_t)ISA_CR0_WP) | (wp ? ISA_CR0_WP : 0);
            c->cr4 = (c->cr4 & ~(uint64_t)(ISA_CR4_SMEP | ISA_CR4_SMAP)) | (smep ? ISA_CR4_SMEP : 0) | (smap ? ISA_CR4_SMAP : 0);
            c->rflags_sys = (c->rflags_sys & ~ISA_FL_AC) | (ac ? ISA_FL_AC : 0);
            kit_cpl(&k, cpl);
            for (unsigned kind = 0; kind < 3; kind++) {
                bool user = cpl == 3 && !implicit, ok;
                if (implicit && kind == 2)
                    continue;
                if (user)
                    ok = us && (kind == 0 || (kind == 1 ? rw : !xd));
                else if (kind == 2)
                    ok = !(us && smep) && !xd;
                else
                    ok = !(us && smap && (implicit || !ac)) && (kind == 0 || rw || !wp);
                unsigned acc = (kind == 1 ? ISA_ACC_W : kind == 2 ? ISA_ACC_X : 0) | (implicit ? ISA_ACC_SYS : 0);
                uint32_t err = ISA_PF_P | (kind == 1 ? ISA_PF_W : 0) | (user ? ISA_PF_U : 0) | (kind == 2 ? ISA_PF_I : 0);
                sim_tlb_flush_all(k.m, 0);
                for (unsigned again = 0; again < 2; again++) {
                    struct hpa pa;
                    int r = mmu_translate(k.c, la, acc, &pa);
                    assert_int_equal(r, ok ? 0 : ISA_R_FAULT);
                    if (!ok)
                        assert_int_equal(c->fault.error, err);
                    // Something else may have cached the page: then the refusal comes from the TLB.
                    if (!ok && !again)
                        (void)mmu_translate(k.c, la, ISA_ACC_R | ISA_ACC_SYS, &pa);
                    n++;
                }
                mmu_mirror_check(k.c);
            }
            kit_put(&k, at, keep | KIT_URW);
        }
    printf("# rights through walks: %u accesses\n", n);
    kit_close(&k);
}

static void test_spurious_fault_does_not_recur(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_P, 1);
    kit_long(&k, root);
    kit_must_read(&k, la);
    kit_map(&k, root, la, 0x300000, KIT_RW, 1); // raised without INVLPG
    kit_expect_pf(&k, kit_write(&k, la, 1), ISA_PF_P | ISA_PF_W, ISA_RULE_PF_WRITE);
    assert_int_equal(kit_write(&k, la, 1), 0);
    kit_close(&k);
}

// --- EPT violations and misconfigurations

static void nested_open(struct kit *k, uint64_t *root, uint64_t la, bool ad)
{
    kit_open(k, false);
    k->bias = 0x800000;
    *root = kit_table(k);
    kit_map(k, *root, la, 0x300000, KIT_RW, 1);
    kit_long(k, *root);
    k->eptp = kit_ept(k, 0x800000, 1, ad);
    kit_nonroot(k, k->eptp, 1);
}

#define expect_violation(k, r, q, g)                                                                                               \
    do {                                                                                                                           \
        assert_int_equal(r, ISA_R_VMEXIT);                                                                                         \
        assert_int_equal((k)->c->vmx.exit.reason, 48);                                                                             \
        assert_int_equal((k)->c->vmx.exit.qual & 0x1bf, q);                                                                        \
        assert_int_equal((k)->c->vmx.exit.gpa.v, g);                                                                               \
    } while (0)

static void test_ept_violations(void **state)
{
    struct kit k;
    uint64_t root, la = 0x200000, v, at;
    struct hpa pa;
    nested_open(&k, &root, la, false);
    at = kit_ept_entry(&k, k.eptp, 0x300000, 1);
    uint64_t good = kit_get(&k, at);
    // The final address: not present; then readable only; then execute-only.
    kit_put(&k, at, 0);
    expect_violation(&k, kit_read(&k, la + 0x18, &v), 1 | 0 << 3 | 0x180, 0x300018);
    assert_int_equal(k.c->vmx.exit.gla, la + 0x18);
    kit_put(&k, at, (good & ~7ull) | EPT_R);
    assert_int_equal(kit_read(&k, la, &v), 0);
    expect_violation(&k, kit_write(&k, la, 0), 2 | 1 << 3 | 0x180, 0x300000);
    expect_violation(&k, mmu_translate(k.c, la, ISA_ACC_X, &pa), 4 | 1 << 3 | 0x180, 0x300000);
    // Raising the rights needs no INVEPT: the violation dropped what was cached.
    kit_put(&k, at, good);
    assert_int_equal(kit_write(&k, la, 0), 0);
    kit_put(&k, at, (good & ~7ull) | EPT_X);
    mmu_invept(k.c, 2, 0);
    expect_violation(&k, kit_read(&k, la, &v), 1 | 4 << 3 | 0x180, 0x300000);
    assert_int_equal(mmu_translate(k.c, la, ISA_ACC_X, &pa), 0);
    expect_violation(&k, kit_read(&k, la, &v), 1 | 4 << 3 | 0x180, 0x300000); // from the second-level TLB
    kit_put(&k, at, good);
    // A paging structure: bit 8 clear, the address is the entry's.
    mmu_invept(k.c, 2, 0);
    uint64_t pte = kit_entry(&k, root, 4, la, 1) - k.bias;
    at = kit_ept_entry(&k, k.eptp, pte, 1);
    good = kit_get(&k, at);
    kit_put(&k, at, 0);
    expect_violation(&k, kit_read(&k, la, &v), 1 | 0x80, pte);
    // Not writable: setting A is what fails; once A is set, reads go through, and setting D fails.
    kit_put(&k, at, (good & ~7ull) | EPT_R);
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    expect_violation(&k, kit_read(&k, la, &v), 2 | 1 << 3 | 0x80, pte);
    assert_int_equal(kit_get(&k, pte + k.bias), 0x300000 | KIT_RW);
    kit_map(&k, root, la, 0x300000, KIT_RW | ISA_PTE_A, 1);
    assert_int_equal(kit_read(&k, la, &v), 0);
    expect_violation(&k, kit_write(&k, la, 0), 2 | 1 << 3 | 0x80, pte);
    kit_close(&k);
    // With A/D flags any access to a paging structure counts as a read and a write.
    nested_open(&k, &root, la, true);
    pte = kit_entry(&k, root, 4, la, 1) - k.bias;
    at = kit_ept_entry(&k, k.eptp, pte, 1);
    kit_put(&k, at, (kit_get(&k, at) & ~7ull) | EPT_R);
    expect_violation(&k, kit_read(&k, la, &v), 3 | 1 << 3 | 0x80, pte);
    // vmx-model reads its structures by host-physical address, posing as root operation; that leaves the context alone.
    uint64_t mctx = k.c->isa.mctx;
    kit_put(&k, 0x301008, 4711);
    k.c->isa.vmx = ISA_VMX_ROOT;
    assert_int_equal(mmu_read_phys(&k.c->isa, (struct gpa){0x301008}, &v, 8), 0);
    k.c->isa.vmx = ISA_VMX_NONROOT;
    assert_int_equal(v, 4711);
    assert_int_equal(k.c->isa.mctx, mctx);
    assert_true(k.c->mmu.ept_on);
    // Physical accesses have no linear address.
    kit_put(&k, kit_ept_entry(&k, k.eptp, 0x301000, 1), 0);
    expect_violation(&k, mmu_read_phys(&k.c->isa, (struct gpa){0x301008}, &v, 8), 1, 0x301008);
    kit_close(&k);
}

// Mode-based execute control: bit 2 of the EPT entries rules fetches from supervisor-mode linear addresses, bit 10 those from user-mode ones,
// whatever the CPL; the exit tells both, and what the guest's tables say, whether a walk or a cached translation refuses.
static void test_mode_based_execute(void **state)
{
    enum { XS = 1, XU = 2, USER_PAGE = 4, RING3 = 8, WARM = 16, UPPER = 32, NCASE = 64 };
    unsigned allowed = 0, refused = 0;
    for (unsigned n = 0; n < NCASE; n++) {
        struct kit k;
        uint64_t root, la = 0x200000;
        struct hpa pa;
        if ((n & RING3) && !(n & USER_PAGE))
            continue; // #PF goes before
        nested_open(&k, &root, la, false);
        kit_mode_based(&k);
        const uint64_t user = n & USER_PAGE ? ISA_PTE_US : 0;
        kit_map(&k, root, la, 0x300000, KIT_RW | user, 1);
        // the page's own entry grants, or one above it
        const uint64_t leaf = kit_ept_entry(&k, k.eptp, 0x300000, 1), at = kit_ept_entry(&k, k.eptp, 0x300000, n & UPPER ? 2 : 1);
        kit_put(&k, leaf, kit_get(&k, leaf) | EPT_XU);
        kit_put(&k, at, (kit_get(&k, at) & ~(EPT_X | EPT_XU)) | (n & XS ? EPT_X : 0) | (n & XU ? EPT_XU : 0));
        if (n & WARM)
            (void)kit_must_read(&k, la + 8);
        kit_cpl(&k, n & RING3 ? 3 : 0);
        const bool want = n & USER_PAGE ? n & XU : n & XS;
        for (unsigned again = 0; again < 2; again++) {
            int r = mmu_translate(k.c, la + 0x10, ISA_ACC_X, &pa);
            assert_int_equal(r, want ? 0 : ISA_R_VMEXIT);
            if (want) {
                assert_int_equal(pa.v, 0x300010 + k.bias);
                continue;
            }
            assert_int_equal(k.c->vmx.exit.qual, EPT_X | 3 << 3 | (n & XS ? 1u << 5 : 0) | (n & XU ? EPT_QUAL_USER_X : 0) | 0x180 |
                                                     (user ? EPT_QUAL_USER : 0) | EPT_QUAL_WRITABLE);
        }
        want ? allowed++ : refused++;
        kit_close(&k);
    }
    printf("# mode-based execute control: %u cases allowed, %u refused\n", allowed, refused);
}

// Page-modification logging: one entry per dirty flag that is set, from 511 down; a full log exits before the flag is set.
static void test_page_modification_log(void **state)
{
    struct kit k;
    uint64_t root, log = 0x3f00000;
    nested_open(&k, &root, 0x400000, true);
    uint64_t *f = k.c->vmx.vmcs.f, leaf = kit_ept_entry(&k, k.eptp, 0x300000, 1);
    f[VF_SECONDARY_VM_EXEC_CONTROL] |= VMX_PROC2_ENABLE_PML;
    f[VF_PML_ADDRESS] = log;
    f[VF_GUEST_PML_INDEX] = 511;
    // the guest's four tables count as written, because A may be set in them; the page was only read
    (void)kit_must_read(&k, 0x400000);
    assert_int_equal(f[VF_GUEST_PML_INDEX], 507);
    assert_int_equal(kit_get(&k, log + 8 * 511), root);
    assert_false(kit_get(&k, leaf) & EPT_D);
    assert_int_equal(kit_write(&k, 0x400123, 1), 0);
    assert_int_equal(f[VF_GUEST_PML_INDEX], 506);
    assert_int_equal(kit_get(&k, log + 8 * 507), 0x300000);
    assert_int_equal(kit_write(&k, 0x400123, 2), 0); // dirty already
    assert_int_equal(f[VF_GUEST_PML_INDEX], 506);
    // full
    kit_put(&k, leaf, kit_get(&k, leaf) & ~(uint64_t)(EPT_D | EPT_A));
    mmu_invept(k.c, 2, 0);
    f[VF_GUEST_PML_INDEX] = 0xffff;
    assert_int_equal(kit_write(&k, 0x400000, 3), ISA_R_VMEXIT);
    assert_int_equal(k.c->vmx.exit.reason, 62);
    assert_int_equal(k.c->vmx.exit.qual, 0);
    assert_false(kit_get(&k, leaf) & (EPT_D | EPT_A));
    f[VF_GUEST_PML_INDEX] = 0; // the last entry; then the index wraps
    assert_int_equal(kit_write(&k, 0x400000, 3), 0);
    assert_int_equal(f[VF_GUEST_PML_INDEX], 0xffff);
    assert_int_equal(kit_get(&k, log), 0x300000);
    assert_true(kit_get(&k, leaf) & EPT_D);
    kit_close(&k);
}

// EPT violations that become #VE: where the suppress bit of the refusing entry is 0, the area is free, and no event is being delivered.
static void test_virtualization_exception(void **state)
{
    enum { NOT_PRESENT, READ_ONLY, CACHED, NCASE };
    for (unsigned n = 0; n < NCASE; n++)
        for (unsigned how = 0; how < 6; how++) {
            struct kit k;
            uint64_t root, area = 0x3f00000;
            nested_open(&k, &root, 0x400000, false);
            uint64_t *f = k.c->vmx.vmcs.f, leaf = kit_ept_entry(&k, k.eptp, 0x300000, 1), e = kit_get(&k, leaf);
            e = n == NOT_PRESENT ? e & ~(uint64_t)EPT_RWX : e & ~(uint64_t)EPT_W;
            kit_put(&k, leaf, how == 1 ? e | EPT_SUPPRESS_VE : e);
            if (n == CACHED)
                (void)kit_must_read(&k, 0x400000);
            f[VF_SECONDARY_VM_EXEC_CONTROL] |= how == 5 ? 0 : VMX_PROC2_EPT_VIOLATION_VE;
            f[VF_VIRT_EXCEPTION_INFO] = area;
            f[VF_EPTP_INDEX] = 0x1234;
            memset(kit_ram(&k, area), 0, 64);
            if (how == 2)
                kit_put32(&k, area + 4, 1); // the guest has not taken the last one
            if (how == 3)
                k.c->isa.delivering_valid = true;
            if (how == 4)
                k.c->isa.cr0 &= ~(uint64_t)ISA_CR0_PE;
            int r = kit_write(&k, 0x400008, 1);
            if (how) {
                assert_int_equal(r, ISA_R_VMEXIT);
                assert_int_equal(k.c->vmx.exit.reason, 48);
                assert_int_equal(kit_get32(&k, area), 0);
            } else {
                uint64_t qual = 2 | (n == NOT_PRESENT ? 0 : (EPT_R | EPT_X) << 3) | 0x180 | EPT_QUAL_WRITABLE;
                assert_int_equal(r, ISA_R_FAULT);
                assert_int_equal(k.c->isa.fault.vector, ISA_X_VE);
                assert_int_equal(kit_get(&k, area), 0xffffffff00000030ull);
                assert_int_equal(kit_get(&k, area + 8), qual);
                assert_int_equal(kit_get(&k, area + 16), 0x400008);
                assert_int_equal(kit_get(&k, area + 24), 0x300008);
                assert_int_equal(kit_get(&k, area + 32), 0x1234);
            }
            kit_close(&k);
        }
}

// VMFUNC changes the EPT under the guest: nothing is invalidated, and each EPT's translations serve it alone.
static void test_eptp_switching(void **state)
{
    struct kit k;
    uint64_t root, first, second;
    nested_open(&k, &root, 0x400000, false);
    first = k.eptp;
    second = kit_ept(&k, 4 << 20, 2, false);
    k.c->vmx.vmcs.f[VF_SECONDARY_VM_EXEC_CONTROL] |= VMX_PROC2_ENABLE_VMFUNC;
    k.c->vmx.vmcs.f[VF_VM_FUNCTION_CONTROL] = 1;
    k.c->vmx.vmcs.f[VF_EPTP_LIST_ADDRESS] = 0x3f00000;
    memset(kit_ram(&k, 0x3f00000), 0, 4096);
    kit_put(&k, 0x3f00000, first);
    kit_put(&k, 0x3f00008, second);
    (void)kit_must_read(&k, 0x400000);
    uint64_t walks = k.c->stat[SIM_STAT_WALKS];
    const struct isa_insn vmfunc = {.op = ISA_OP_VMFUNC, .len = 3};
    for (unsigned n = 0; n < 6; n++) {
        k.c->isa.gpr[ISA_RAX] = 0;
        k.c->isa.gpr[ISA_RCX] = ~n & 1;
        assert_int_equal(glue_vmx(&k.c->isa, &vmfunc), ISA_R_NEXT);
        assert_int_equal(k.c->mmu.eptrta, (n & 1 ? first : second) & EPT_ADDR);
        (void)kit_must_read(&k, 0x400000);
    }
    assert_int_equal(k.c->stat[SIM_STAT_WALKS], walks + 1); // of the second EPT, once
    kit_close(&k);
}

static void test_ept_misconfig(void **state)
{
    struct kit k;
    uint64_t root, la = 0x200000, v;
    nested_open(&k, &root, la, false);
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t at = kit_ept_entry(&k, k.eptp, 0x300000, level), good = kit_get(&k, at);
        kit_put(&k, at, (good & ~7ull) | EPT_W);
        mmu_invept(k.c, 2, 0);
        assert_int_equal(kit_read(&k, la, &v), ISA_R_VMEXIT);
        assert_int_equal(k.c->vmx.exit.reason, 49);
        kit_put(&k, at, good);
        assert_int_equal(kit_read(&k, la, &v), 0); // nothing was cached from it
    }
    kit_close(&k);
}

static void test_guest_fault_comes_first(void **state)
{
    struct kit k;
    uint64_t root, la = 0x200000;
    nested_open(&k, &root, la, false);
    kit_map(&k, root, la, 0x300000, KIT_P, 1);
    kit_put(&k, kit_ept_entry(&k, k.eptp, 0x300000, 1), 0);
    kit_expect_pf(&k, kit_write(&k, la, 0), ISA_PF_P | ISA_PF_W, ISA_RULE_PF_WRITE);
    kit_close(&k);
}

// --- accesses

static void test_cross_page(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x305000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(kit_write(&k, la + 0xffd, 0x8877665544332211), 0);
    assert_int_equal(kit_must_read(&k, la + 0xffd), 0x8877665544332211);
    assert_int_equal(kit_get(&k, 0x300ff8) >> 40, 0x332211);
    assert_int_equal(kit_get(&k, 0x305000) & 0xffffffffff, 0x8877665544);
    // The second page is not writable: nothing is written to the first, and CR2 is to be the start of the second.
    kit_map(&k, root, la + 0x1000, 0x305000, KIT_P, 1);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la + 0x1000, 0, 0);
    kit_expect_pf(&k, kit_write(&k, la + 0xffd, 0), ISA_PF_P | ISA_PF_W, ISA_RULE_PF_WRITE);
    assert_int_equal(k.c->isa.fault.addr, la + 0x1000);
    assert_int_equal(kit_get(&k, 0x300ff8) >> 40, 0x332211);
    v = 0x55;
    kit_map(&k, root, la + 0x1000, 0, 0, 1);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la + 0x1000, 0, 0);
    kit_expect_pf(&k, kit_read(&k, la + 0xffd, &v), 0, ISA_RULE_PF_NOT_PRESENT);
    assert_int_equal(v, 0x55);
    kit_close(&k);
}

static void test_no_memory(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x100000000ull, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x7ffffff000ull, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(kit_must_read(&k, la), ~0ull);
    assert_int_equal(kit_write(&k, la, 5), 0);
    assert_int_equal(kit_must_read(&k, la), ~0ull);
    assert_int_equal(kit_must_read(&k, la + 0x1000), ~0ull);
    uint64_t len;
    assert_null(mmu_host_run(&k.c->isa, la, 64, &len, ISA_ACC_R));
    kit_close(&k);
}

// A device that notes how it was accessed.
struct probe_dev {
    struct dev dev;
    unsigned n;
    struct {
        uint64_t off, val;
        unsigned size;
        bool write;
    } a[16];
};
static uint64_t probe_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct probe_dev *p = (struct probe_dev *)d;
    p->a[p->n].off = off;
    p->a[p->n++].size = size;
    return 0x1111111111111111ull * (off & 15);
}
static void probe_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct probe_dev *p = (struct probe_dev *)d;
    p->a[p->n].off = off;
    p->a[p->n].size = size;
    p->a[p->n].write = true;
    p->a[p->n++].val = val;
}
static void probe_reset(struct dev *d) {}
static uint64_t probe_hash(const struct dev *d, uint64_t h) { return h; }

static void test_mmio(void **state)
{
    static const struct dev_ops ops = {"probe", probe_reset, NULL, probe_read, probe_write, NULL, probe_hash};
    struct kit k;
    kit_open(&k, false);
    struct probe_dev *p = calloc(1, sizeof *p);
    p->dev.ops = &ops;
    dev_attach(k.m, &p->dev);
    dev_map_mmio(&p->dev, 0, (struct hpa){0xfe000000}, 0x1000);
    uint64_t root = kit_table(&k), la = 0x200000;
    uint32_t v;
    kit_map(&k, root, la, 0xfe000000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_ld32(&k.c->isa, la + 4, &v), 0);
    assert_int_equal(v, 0x44444444);
    assert_int_equal(isa_ld32(&k.c->isa, la + 4, &v), 0); // not mirrored: the device sees every access
    assert_int_equal(p->n, 2);
    assert_int_equal(p->a[0].size, 4);
    assert_int_equal(isa_st32(&k.c->isa, la + 8, 0xdeadbeef), 0);
    assert_true(p->a[2].write && p->a[2].size == 4 && p->a[2].off == 8 && p->a[2].val == 0xdeadbeef);
    // Unaligned: single accesses, each naturally aligned.
    p->n = 0;
    uint32_t w = 0x44332211;
    assert_int_equal(mmu_write(&k.c->isa, la + 0x11, &w, 4, ISA_ACC_W), 0);
    assert_int_equal(p->n, 3);
    assert_true(p->a[0].size == 1 && p->a[0].val == 0x11 && p->a[1].size == 2 && p->a[1].val == 0x3322 && p->a[2].val == 0x44);
    assert_int_equal(mmu_mirror_check(k.c), 0);
    uint64_t len;
    assert_null(mmu_host_run(&k.c->isa, la, 64, &len, ISA_ACC_R));
    kit_close(&k);
}

static void test_host_run(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, len = 0;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t cycles = k.c->isa.cycles;
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_R)); // not in the TLB: no walk behind the caller's back
    assert_int_equal(k.c->isa.cycles, cycles);
    assert_int_equal(k.c->stat[SIM_STAT_WALKS], 0);
    kit_must_read(&k, la);
    assert_ptr_equal(mmu_host_run(&k.c->isa, la + 0x10, 100, &len, ISA_ACC_R), kit_ram(&k, 0x300010));
    assert_int_equal(len, 100);
    assert_ptr_equal(mmu_host_run(&k.c->isa, la + 0xff0, 100, &len, ISA_ACC_R), kit_ram(&k, 0x300ff0));
    assert_int_equal(len, 16);
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_W)); // D is clear
    assert_int_equal(kit_write(&k, la, 1), 0);
    assert_non_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_W));
    kit_cpl(&k, 3);
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_R)); // would fault
    kit_close(&k);
}

static void test_mem_events(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_st64(&k.c->isa, la, 7), 0);
    assert_true(mmu_mirror_check(k.c) > 0);
    kit_listen(&k, EV_BIT(EV_MEM));
    assert_int_equal(mmu_mirror_check(k.c), 0); // the subscription emptied the mirrors
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    assert_int_equal(k.count[EV_MEM], 3);
    assert_int_equal(k.ev[0].u.mem.pa.v, 0x300000);
    assert_int_equal(k.ev[0].u.mem.value, 7);
    kit_close(&k);
}

// --- sim_translate against the live walk, on random tables

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void test_explained_walk_agrees(void **state)
{
    uint64_t seed = 0x1234567;
    unsigned outcomes[5] = {0}, n = 0;
    for (unsigned round = 0; round < 24; round++) {
        struct kit k;
        kit_open(&k, false);
        k.bias = 0x800000;
        uint64_t root = kit_table(&k), la = 0x40000000;
        for (unsigned p = 0; p < 64; p++)
            kit_map(&k, root, la + p * 0x1000, 0x300000 + p * 0x1000, 1 | (rnd(&seed) & (7 | ISA_PTE_XD)), 1);
        kit_map(&k, root, la + 0x200000, 0x400000, 1 | (rnd(&seed) & 7), 2);
        kit_long(&k, root);
        uint64_t eptp = kit_ept(&k, 0x800000, 1, round & 1);
        for (unsigned i = 0; i < 40; i++) {
            uint64_t at = kit_ept_entry(&k, eptp, 0x300000 + (rnd(&seed) % 64) * 0x1000, 1);
            kit_put(&k, at, (kit_get(&k, at) & ~(EPT_RWX | EPT_XU)) | (rnd(&seed) & (EPT_RWX | EPT_XU)));
        }
        for (unsigned i = 0; i < 8; i++) { // reserved bits, absences
            kit_put(&k, kit_entry(&k, root, 4, la + (rnd(&seed) % 64) * 0x1000, 1), rnd(&seed) & 1 ? 0 : 0x300001 | 1ull << 50);
        }
        kit_nonroot(&k, eptp, 1);
        if (round & 2)
            kit_mode_based(&k);
        kit_listen(&k, EV_BIT(EV_REF) | EV_BIT(EV_WALK));
        for (unsigned i = 0; i < 120; i++) {
            uint64_t a = la + (rnd(&seed) % 8 ? rnd(&seed) % 0x41000 : 0x200000 + rnd(&seed) % 0x1ff000);
            static const unsigned kinds[] = {ISA_ACC_R, ISA_ACC_W, ISA_ACC_X, ISA_ACC_RMW};
            unsigned acc = kinds[rnd(&seed) & 3];
            kit_cpl(&k, rnd(&seed) & 1 ? 3 : 0);
            struct sim_walk w;
            struct hpa pa = {0};
            uint64_t before = sim_state_hash(k.m);
            sim_translate(k.m, 0, a, acc, &w);
            if (i % 40 == 0)
                assert_int_equal(sim_state_hash(k.m), before); // it touches nothing
            sim_tlb_flush_all(k.m, 0);
            kit_forget(&k);
            int r = mmu_translate(k.c, a, acc, &pa);
            const struct ev *done = &k.ev[k.nev - 1];
            assert_int_equal(done->kind, EV_WALK);
            assert_int_equal(done->u.walk.done, 1);
            assert_int_equal(w.outcome, done->u.walk.outcome);
            assert_int_equal(w.refs, done->u.walk.refs);
            assert_int_equal(w.refs, k.count[EV_REF]);
            for (unsigned j = 0, ref = 0; j < k.nev; j++)
                if (k.ev[j].kind == EV_REF)
                    assert_int_equal(w.step[ref++].at.v, k.ev[j].u.ref.at.v);
            if (!r)
                assert_int_equal(w.hpa.v, pa.v);
            if (w.outcome == SIM_WALK_PF)
                assert_int_equal(w.pf_error, k.c->isa.fault.error);
            if (r) {
                assert_true(w.step[w.refs - 1].failed);
                assert_non_null(w.step[w.refs - 1].why);
            }
            outcomes[w.outcome]++;
            n++;
        }
        kit_close(&k);
    }
    assert_true(outcomes[SIM_WALK_OK] && outcomes[SIM_WALK_PF] && outcomes[SIM_WALK_EPT_VIOLATION] &&
                outcomes[SIM_WALK_EPT_MISCONFIG]);
    printf("# explained walks compared with live ones: %u (%u ok, %u #PF, %u EPT violations, %u misconfigurations)\n", n,
           outcomes[SIM_WALK_OK], outcomes[SIM_WALK_PF], outcomes[SIM_WALK_EPT_VIOLATION], outcomes[SIM_WALK_EPT_MISCONFIG]);
}

// --- the mirror: random operations on two machines, with and without it, must leave the same state, TLBs and clock

struct world {
    struct kit k;
    uint64_t root[2], eptp[2], ad_eptp;
};

static void world_open(struct world *w, bool no_mirror, uint64_t n)
{
    // Units split by page size or not, and every policy.
    static const char *const as[] = {"teach", "skylake-2015", "merom-2006", "prescott-2005"};
    kit_open_as(&w->k, (struct sim_config){
                           .no_mirror = no_mirror, .profile = as[n % 4], .tlb = (enum sim_tlb_policy)(n / 4 % 4), .tlb_seed = n});
    w->k.bias = 0;
    for (unsigned r = 0; r < 2; r++) {
        w->root[r] = kit_table(&w->k);
        for (unsigned p = 0; p < 96; p++)
            kit_map(&w->k, w->root[r], 0x40000000 + p * 0x1000, 0x400000 + (p + 32 * r) * 0x1000,
                    KIT_URW | (p % 7 == 0 ? ISA_PTE_G : 0), 1);
        kit_map(&w->k, w->root[r], 0x40200000, 0x600000, KIT_URW, 2);
    }
    w->eptp[0] = kit_ept(&w->k, 0x1000000, 1, false);
    w->eptp[1] = kit_ept(&w->k, 0x1000000, 2, true);
    kit_long(&w->k, w->root[0]);
}

static void world_cr(struct world *w, uint64_t *reg, uint64_t flip, bool cr4)
{
    *reg ^= flip;
    isa_update_mode(&w->k.c->isa);
    if (cr4)
        mmu_inval(&w->k.c->isa, ISA_INVAL_CR4, flip, 0, 0);
}

static void world_operate(struct world *w, uint64_t op, uint64_t arg, uint64_t arg2)
{
    struct isa_cpu *c = &w->k.c->isa;
    uint64_t la = 0x40000000 + (arg2 & 1 ? (arg >> 8) % 0x60000 : (arg >> 8) % 0x8000), v;
    uint32_t v32;
    uint8_t v8;
    struct hpa pa;
    if (arg2 >> 5 % 16 == 3)
        la += 0x200000;
    switch (op % 64) {
    case 0: mmu_inval(c, ISA_INVAL_INVLPG, la, 0, 0); break;
    case 1:
        c->cr3 = w->root[arg & 1] | (c->cr4 & ISA_CR4_PCIDE ? arg >> 1 & 3 : 0);
        mmu_inval(c, ISA_INVAL_CR3, c->cr3 | (arg & 64 ? 1ull << 63 : 0), 0, 0);
        break;
    case 2: world_cr(w, &c->cr0, ISA_CR0_WP, false); break;
    case 3:
        world_cr(w, &c->cr4,
                 (arg & 3) == 0   ? ISA_CR4_PGE
                 : (arg & 3) == 1 ? ISA_CR4_SMAP
                 : (arg & 3) == 2 ? ISA_CR4_PCIDE
                                  : ISA_CR4_SMEP,
                 true);
        break;
    case 4: kit_cpl(&w->k, 0); break;
    case 5: kit_cpl(&w->k, 3); break;
    case 6:
        if (c->vmx == ISA_VMX_NONROOT)
            kit_root(&w->k);
        else
            kit_nonroot(&w->k, arg & 1 ? w->eptp[arg >> 1 & 1] : 0, arg & 4 ? 1 + (arg >> 3 & 1) : 0);
        break;
    case 7: mmu_invept(w->k.c, 1 + (arg & 1), w->eptp[arg >> 1 & 1]); break;
    case 8: mmu_invvpid(w->k.c, arg & 3, 1 + (arg >> 2 & 1), la); break;
    case 9:
        if (c->cr4 & ISA_CR4_PCIDE)
            mmu_inval(c, ISA_INVAL_INVPCID, arg & 3, arg >> 2 & 3, la);
        break;
    case 10: { // the guest's operating system changes a page table entry, raw
        uint64_t at = kit_entry(&w->k, w->root[arg & 1], 4, 0x40000000 + (arg >> 8) % 0x60000, 1);
        kit_put(&w->k, at, kit_get(&w->k, at) ^ (arg2 & 1 ? ISA_PTE_RW : arg2 & 2 ? ISA_PTE_US : arg2 & 4 ? ISA_PTE_D : 0x1000));
        break;
    }
    case 11: c->rflags_sys ^= ISA_FL_AC; break;
    case 12: (void)mmu_fetch(c, la, &pa); break;
    case 13: (void)mmu_read(c, la, &v, 8, ISA_ACC_R | ISA_ACC_SYS); break;
    case 14: (void)mmu_write(c, la, &arg, 4, ISA_ACC_W | (arg & 1 ? ISA_ACC_SYS : ISA_ACC_USER)); break;
    case 15: (void)isa_st8(c, la, (uint8_t)arg); break;
    case 16: (void)isa_ldw64(c, la & ~7ull, &v); break;
    default:
        if (op & 64)
            (void)isa_st64(c, la & ~7ull, arg);
        else if (op & 128)
            (void)isa_st32(c, la, (uint32_t)arg);
        else if (op & 256)
            (void)isa_ld32(c, la, &v32);
        else
            (void)isa_ld8(c, la, &v8);
    }
}

static void test_mirror_is_invisible(void **state)
{
    unsigned n = 0;
    uint64_t most = 0, alive = 0;
    for (uint64_t s = 0; s < 16; s++) {
        struct world a, b;
        uint64_t seed = s * 0x9e3779b97f4a7c15ull;
        world_open(&a, false, s);
        world_open(&b, true, s);
        sim_event_hash_enable(a.k.m);
        sim_event_hash_enable(b.k.m);
        for (unsigned i = 0; i < 6000; i++, n++) {
            uint64_t op = rnd(&seed), arg = rnd(&seed), arg2 = rnd(&seed);
            if (s & 1 && op % 64 == 6)
                op++; // half of the worlds stay in one VMX mode: longer mirror lives
            world_operate(&a, op, arg, arg2);
            world_operate(&b, op, arg, arg2);
            unsigned live = mmu_mirror_check(a.k.c);
            most = live > most ? live : most;
            alive += live;
            assert_int_equal(mmu_mirror_check(b.k.c), 0);
            if (a.k.c->isa.cycles != b.k.c->isa.cycles || sim_event_hash(a.k.m) != sim_event_hash(b.k.m))
                fail_msg("seed %u, operation %u (%u): cycles %llu and %llu", (unsigned)s, i, (unsigned)(op % 64),
                         (unsigned long long)a.k.c->isa.cycles, (unsigned long long)b.k.c->isa.cycles);
            if (i % 500 == 499) {
                assert_int_equal(sim_tlb_hash(a.k.m), sim_tlb_hash(b.k.m));
                assert_int_equal(sim_state_hash(a.k.m), sim_state_hash(b.k.m));
            }
        }
        kit_close(&a.k);
        kit_close(&b.k);
    }
    assert_true(most >= 24 && alive / n >= 4);
    printf("# operations compared with and without the mirror: %u; mirror entries alive: %u on average, %u at most\n", n,
           (unsigned)(alive / n), (unsigned)most);
}

static void test_mirror_survives_rings_and_worlds(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, v;
    kit_map(&k, root, la, 0x300000, KIT_URW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    kit_cpl(&k, 3);
    assert_int_equal(isa_ld64(&k.c->isa, la + 8, &v), 0);
    uint64_t user = k.c->isa.mctx;
    kit_cpl(&k, 0);
    assert_int_not_equal(k.c->isa.mctx, user);
    kit_cpl(&k, 3);
    assert_int_equal(k.c->isa.mctx, user); // and back: the entries of that context are still there
    assert_non_null(isa_hit(k.c->isa.rd, &k.c->isa, la, 8));
    // Many contexts: numbers are reused, and nothing of the old meaning survives.
    k.c->isa.cr4 |= ISA_CR4_PCIDE;
    for (unsigned pcid = 0; pcid < 3 * MMU_NCTX; pcid++) {
        k.c->isa.cr3 = root | pcid;
        mmu_inval(&k.c->isa, ISA_INVAL_CR3, k.c->isa.cr3 | 1ull << 63, 0, 0);
        assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
        mmu_mirror_check(k.c);
    }
    kit_close(&k);
}

static void test_code_pages_are_not_written_inline(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_st64(&k.c->isa, la, 1), 0);
    assert_non_null(isa_hit(k.c->isa.wr, &k.c->isa, la, 8));
    mmu_code_page(k.m, (struct hpa){0x300000});
    assert_null(isa_hit(k.c->isa.wr, &k.c->isa, la, 8));
    assert_non_null(isa_hit(k.c->isa.rd, &k.c->isa, la, 8));
    kit_close(&k);
}

// Functional fidelity: a page that lost its slot of the inline TLB comes back without a walk, with the rights that hold by then.
static void test_wide_mirror(void **state)
{
    struct kit k;
    kit_open_as(&k, (struct sim_config){.fidelity = SIM_FUNCTIONAL});
    struct isa_cpu *c = &k.c->isa;
    const uint64_t root = kit_table(&k), la = 0x200000, rival = la ^ 0x101000, far = la + (1ull << 27) + 0x1000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_map(&k, root, rival, 0x301000, KIT_P, 1);
    kit_map(&k, root, far, 0x302000, KIT_RW, 1);
    assert_int_equal(isa_mirror_slot(la), isa_mirror_slot(rival)); // they evict each other from rd and wr
    assert_int_equal(mmu_wide_index(la), mmu_wide_index(far));     // and these from the cache
    kit_long(&k, root);
    kit_listen(&k, EV_BIT(EV_WALK));
    assert_int_equal(isa_st64(c, la, 7), 0);
    assert_int_equal(kit_must_read(&k, rival), 0);
    assert_int_not_equal(k.count[EV_WALK], 0);
    kit_forget(&k);
    assert_null(mmu_mirror_wide(k.c, rival, 8, ISA_ACC_W)); // read-only
    assert_null(mmu_mirror_wide(k.c, la + 0xffc, 8, ISA_ACC_R));
    assert_null(isa_hit(c->rd, c, la, 8));
    assert_int_equal(kit_must_read(&k, la), 7);
    assert_non_null(isa_hit(c->rd, c, la, 8));
    assert_non_null(isa_hit(c->wr, c, la, 8));
    k.m->code_pages[0x300 / 64] |= 1ull << 0x300 % 64; // no code may be written unseen
    mmu_code_page(k.m, (struct hpa){0x300000});
    assert_null(mmu_mirror_wide(k.c, la, 8, ISA_ACC_W));
    assert_non_null(mmu_mirror_wide(k.c, la, 8, ISA_ACC_R));
    assert_null(isa_hit(c->wr, c, la, 8));
    kit_cpl(&k, 3);
    assert_null(mmu_mirror_wide(k.c, la, 8, ISA_ACC_R));
    kit_cpl(&k, 0);
    assert_int_equal(k.count[EV_WALK], 0);
    assert_int_equal(kit_must_read(&k, far), 0);
    assert_null(mmu_mirror_wide(k.c, la, 8, ISA_ACC_R)); // the cache has no translation of it any more
    assert_non_null(mmu_mirror_wide(k.c, far, 8, ISA_ACC_R));
    mmu_inval(c, ISA_INVAL_INVLPG, far, 0, 0);
    assert_null(mmu_mirror_wide(k.c, far, 8, ISA_ACC_R));
    assert_non_null(mmu_mirror_wide(k.c, rival, 8, ISA_ACC_R));
    mmu_inval(c, ISA_INVAL_CR3, root, 0, 0);
    assert_null(mmu_mirror_wide(k.c, rival, 8, ISA_ACC_R));
    kit_close(&k);
}

// A page whose D is clear becomes part of a large page, without INVLPG. The first write walks again to set D; from then on reads see what
// the write saw, by the inline TLB and without it.
static void test_write_finds_another_size(void **state)
{
    for (unsigned large = 0; large < 2; large++) {
        struct kit k;
        kit_open(&k, false);
        const uint64_t root = kit_table(&k), la = 0x400000;
        kit_map(&k, root, large ? la & ~0x1fffffull : la, large ? 0x200000 : 0x300000, KIT_RW, large ? 2 : 1);
        kit_long(&k, root);
        kit_must_read(&k, la);
        const uint64_t pde = kit_entry(&k, root, 4, la, 2);
        if (large) { // the other way round: a table in place of the large page
            kit_put(&k, pde, 0);
            kit_map(&k, root, la, 0x300000, KIT_RW, 1);
        } else {
            kit_put(&k, pde, 0x200000 | KIT_RW | ISA_PTE_PS);
        }
        assert_int_equal(kit_write(&k, la, 0x1234), 0);
        assert_int_equal(kit_must_read(&k, la), 0x1234);
        assert_int_equal(kit_must_read(&k, la), 0x1234);
        mmu_mirror_check(k.c);
        assert_int_equal(tlb_count(k.c->tlb, TLB_DTLB), 1);
        assert_int_equal(tlb_count(k.c->tlb, TLB_STLB), 1);
        kit_close(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_nested_counts),
        cmocka_unit_test(test_nested_order),
        cmocka_unit_test(test_32bit),
        cmocka_unit_test(test_pae),
        cmocka_unit_test(test_paging_off_under_ept),
        cmocka_unit_test(test_five_levels),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_write_finds_another_size),
        cmocka_unit_test(test_protection_keys),
        cmocka_unit_test(test_five_level_caches),
        cmocka_unit_test(test_later_profile),
        cmocka_unit_test(test_wide_guest_physical),
        cmocka_unit_test(test_five_level_ept_caches),
        cmocka_unit_test(test_accessed_dirty),
        cmocka_unit_test(test_ept_accessed_dirty),
        cmocka_unit_test(test_reserved_and_levels),
        cmocka_unit_test(test_rights_end_to_end),
        cmocka_unit_test(test_spurious_fault_does_not_recur),
        cmocka_unit_test(test_ept_violations),
        cmocka_unit_test(test_mode_based_execute),
        cmocka_unit_test(test_ept_misconfig),
        cmocka_unit_test(test_eptp_switching),
        cmocka_unit_test(test_page_modification_log),
        cmocka_unit_test(test_virtualization_exception),
        cmocka_unit_test(test_guest_fault_comes_first),
        cmocka_unit_test(test_cross_page),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_host_run),
        cmocka_unit_test(test_mem_events),
        cmocka_unit_test(test_explained_walk_agrees),
        cmocka_unit_test(test_mirror_is_invisible),
        cmocka_unit_test(test_mirror_survives_rings_and_worlds),
        cmocka_unit_test(test_code_pages_are_not_written_inline),
        cmocka_unit_test(test_wide_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
