// What paging structures allow: accessed and dirty flags, rights, protection keys, page faults and their error codes.
#include "isa/cr.h"
#include "sim/mmu_testkit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protection_keys),    cmocka_unit_test(test_accessed_dirty),
        cmocka_unit_test(test_ept_accessed_dirty), cmocka_unit_test(test_reserved_and_levels),
        cmocka_unit_test(test_rights_end_to_end),  cmocka_unit_test(test_spurious_fault_does_not_recur),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
