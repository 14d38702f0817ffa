// vmx-model/recheck_test.c: vmx_recheck() reports what vmx_run_checks() does, whatever changed since the last entry that passed.
#include "vmx-model/testvm.h"

#include <stdio.h>

#include "vmx-model/checks.h"

static uint64_t seed = 0x123456789abcdef;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static struct vmx_passed passed;
static unsigned compared, quick;

static bool same(void)
{
    static struct vmx_entry_report full, again;
    vmx_run_checks(tv.c, &tv.v, NULL, &full);
    quick += vmx_recheck(tv.c, &tv.v, &passed, &again);
    compared++;
    assert_int_equal(again.n, full.n);
    assert_int_equal(again.checks, full.checks);
    for (unsigned n = 0; n < full.n; n++) {
        assert_ptr_equal(again.failure[n].row, full.failure[n].row);
        assert_int_equal(again.failure[n].field, full.failure[n].field);
        assert_true(again.failure[n].value == full.failure[n].value && again.failure[n].bits == full.failure[n].bits);
    }
    return !full.n;
}

// Legal variations under which other rows apply, so that single bits meet many of them.
static void vary(void)
{
    static const uint32_t inject[] = {0,
                                      VMX_INTR_VALID | 0x30,
                                      VMX_INTR_VALID | 2u << 8 | 2,
                                      VMX_INTR_VALID | 3u << 8 | 6,
                                      VMX_INTR_VALID | 3u << 8 | VMX_INTR_ERROR | 13,
                                      VMX_INTR_VALID | 4u << 8 | 0x80};
    static const uint32_t flags[] = {0, ISA_FL_IF, ISA_FL_TF, ISA_FL_IF | ISA_FL_TF};
    tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, inject[rnd() % 6]);
    tv_set(VF_VM_ENTRY_INSTRUCTION_LEN, rnd() % 4);
    tv_set(VF_GUEST_RFLAGS, (tv_get(VF_GUEST_RFLAGS) & ISA_FL_VM) | 2 | flags[rnd() % 4]);
    tv_set(VF_GUEST_INTERRUPTIBILITY_INFO, rnd() % 3);
    tv_set(VF_GUEST_ACTIVITY_STATE, rnd() % 4 == 0);
    tv_set(VF_GUEST_PENDING_DBG_EXCEPTIONS, rnd() % 2 << 14);
    tv_set(VF_VMCS_LINK_POINTER, rnd() % 4 ? VMX_NO_PTR : TV_VMCS2);
    tv_w32(TV_VMCS2, rnd() % 4 ? vmx_revision(&tv.caps) : 5);
    tv_w64(TV_TABLE, rnd() % 4 ? 0 : 0x1e7);
    tv_set(VF_VIRTUAL_APIC_PAGE_ADDR, TV_VMCS2);
    tv_set(VF_TPR_THRESHOLD, rnd() % 3);
    tv_w64(TV_VMCS2 + 0x80, rnd() % 4 << 4);
    if (rnd() % 4 == 0)
        tv_set(VF_CPU_BASED_VM_EXEC_CONTROL, tv_get(VF_CPU_BASED_VM_EXEC_CONTROL) ^ VMX_PROC_USE_TPR_SHADOW);
}

// Each bit of each field, alone, from every valid state and from many variations of it.
static void test_single_bits(void **state)
{
    for (unsigned g = 0; g < TV_NGOLDEN; g++) {
        tv_golden((enum tv_golden)g);
        if (g == TV_PAE) // PDPTEs from memory too
            tv_set(VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_RDTSCP);
        for (unsigned round = 0; round < 8; round++) {
            const struct vmcs base = tv.v.vmcs;
            do {
                tv.v.vmcs = base;
                if (round)
                    vary();
            } while (!same());
            const struct vmcs valid = tv.v.vmcs;
            for (unsigned f = 0; f < VMCS_NFIELD; f++)
                for (unsigned bit = 0; bit < vmcs_bits((enum vmcs_field)f); bit++) {
                    tv_set((enum vmcs_field)f, valid.f[f] ^ 1ull << bit);
                    bool pass = same();
                    tv.v.vmcs = valid;
                    if (!pass)
                        same(); // remembers the valid state
                }
        }
        tv_close();
    }
}

static void change(void)
{
    enum vmcs_field f = (enum vmcs_field)(rnd() % VMCS_NFIELD);
    switch (rnd() % 8) {
    case 0: vary(); break;
    case 1: tv_set(f, rnd()); break;
    case 2: tv_set(f, tv_get((enum vmcs_field)(rnd() % VMCS_NFIELD))); break;
    case 3: tv_set(f, 0); break;
    case 4: tv.v.vmcs_ptr = rnd() % 2 ? TV_VMCS : TV_VMCS2; break;
    case 5: tv.c->efer ^= ISA_EFER_LMA; break;
    default: tv_set(f, tv_get(f) ^ 1ull << rnd() % vmcs_bits(f)); break;
    }
}

static void test_random_changes(void **state)
{
    for (unsigned g = 0; g < TV_NGOLDEN; g++) {
        tv_golden((enum tv_golden)g);
        struct vmcs valid = tv.v.vmcs;
        uint64_t efer = tv.c->efer;
        for (unsigned n = 0; n < 30000; n++) {
            for (unsigned k = 1 + rnd() % 3; k; k--)
                change();
            if (same() && tv.c->efer == efer) {
                valid = tv.v.vmcs;
            } else if (rnd() % 4) {
                tv.v.vmcs = valid;
                tv.v.vmcs_ptr = TV_VMCS;
                tv.c->efer = efer;
            }
        }
        tv_close();
    }
}

static void test_most_take_the_short_way(void **state)
{
    printf("# VM-entry checks: %u comparisons, %u by the short way\n", compared, quick);
    assert_true(quick > compared / 10);
    tv_golden(TV_64);
    same();
    quick = 0;
    tv_set(VF_GUEST_RIP, TV_GUEST + 2);
    tv_set(VF_GUEST_RFLAGS, 2 | ISA_FL_IF);
    tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_VALID | 0x30);
    tv_set(VF_VM_EXIT_REASON, 10);
    same();
    assert_int_equal(quick, 1); // what a VMM does at every exit
    tv_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_most_take_the_short_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
