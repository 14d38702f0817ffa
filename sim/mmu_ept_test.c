// EPT violations and misconfigurations, mode-based execute control, the page-modification log, #VE, EPTP switching.
#include "sim/mmu_testkit.h"

#include "isa/decode.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ept_violations),          cmocka_unit_test(test_mode_based_execute),
        cmocka_unit_test(test_ept_misconfig),           cmocka_unit_test(test_eptp_switching),
        cmocka_unit_test(test_page_modification_log),   cmocka_unit_test(test_virtualization_exception),
        cmocka_unit_test(test_guest_fault_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
