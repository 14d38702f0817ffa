// The inline TLB mirrors the architectural one, and nobody can tell that it is there.
#include "sim/mmu_testkit.h"

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
            uint64_t op = kit_random(&seed), arg = kit_random(&seed), arg2 = kit_random(&seed);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mirror_is_invisible),
        cmocka_unit_test(test_mirror_survives_rings_and_worlds),
        cmocka_unit_test(test_code_pages_are_not_written_inline),
        cmocka_unit_test(test_wide_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
