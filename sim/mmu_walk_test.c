// Page walks: their references, counted from events, in every paging mode, with and without EPT; what they cost; the walk that sim_translate() explains is the live one.
#include "isa/cr.h"
#include "isa/msr.h"
#include "sim/mmu_testkit.h"

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
        assert_int_equal(r[0], later ? 0x207 : 7);
        assert_int_equal(r[1], 576);
        assert_int_equal(r[2], later ? 2696 : 832);
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

// --- sim_translate against the live walk, on random tables

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
            kit_map(&k, root, la + p * 0x1000, 0x300000 + p * 0x1000, 1 | (kit_random(&seed) & (7 | ISA_PTE_XD)), 1);
        kit_map(&k, root, la + 0x200000, 0x400000, 1 | (kit_random(&seed) & 7), 2);
        kit_long(&k, root);
        uint64_t eptp = kit_ept(&k, 0x800000, 1, round & 1);
        for (unsigned i = 0; i < 40; i++) {
            uint64_t at = kit_ept_entry(&k, eptp, 0x300000 + (kit_random(&seed) % 64) * 0x1000, 1);
            kit_put(&k, at, (kit_get(&k, at) & ~(EPT_RWX | EPT_XU)) | (kit_random(&seed) & (EPT_RWX | EPT_XU)));
        }
        for (unsigned i = 0; i < 8; i++) { // reserved bits, absences
            kit_put(&k, kit_entry(&k, root, 4, la + (kit_random(&seed) % 64) * 0x1000, 1),
                    kit_random(&seed) & 1 ? 0 : 0x300001 | 1ull << 50);
        }
        kit_nonroot(&k, eptp, 1);
        if (round & 2)
            kit_mode_based(&k);
        kit_listen(&k, EV_BIT(EV_REF) | EV_BIT(EV_WALK));
        for (unsigned i = 0; i < 120; i++) {
            uint64_t a = la + (kit_random(&seed) % 8 ? kit_random(&seed) % 0x41000 : 0x200000 + kit_random(&seed) % 0x1ff000);
            static const unsigned kinds[] = {ISA_ACC_R, ISA_ACC_W, ISA_ACC_X, ISA_ACC_RMW};
            unsigned acc = kinds[kit_random(&seed) & 3];
            kit_cpl(&k, kit_random(&seed) & 1 ? 3 : 0);
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
        cmocka_unit_test(test_five_level_caches),
        cmocka_unit_test(test_later_profile),
        cmocka_unit_test(test_wide_guest_physical),
        cmocka_unit_test(test_five_level_ept_caches),
        cmocka_unit_test(test_explained_walk_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
