// vmx-model/vmcs_test.c: the tables agree with each other, with the encodings and with the capability MSRs; texts come out whole.
#include "vmx-model/testvm.h"

#include <stdio.h>

#include "vmx-model/explain.h"

static void test_fields(void **state)
{
    unsigned existing = 0, index = 0;
    for (unsigned f = 0; f < VMCS_NFIELD; f++) {
        const struct vmcs_field_info *i = &vmcs_field_info[f];
        assert_int_equal(vmcs_by_encoding(i->encoding), f);
        assert_int_equal(vmcs_by_encoding(i->encoding | 1u), f);
        assert_int_equal(vmcs_by_name(i->name), f);
        assert_string_equal(vmcs_nearest_name(i->name), i->name);
        assert_int_equal(vmcs_read_only((enum vmcs_field)f), (i->encoding >> 10 & 3) == 1);
        assert_true(strlen(i->text) > 4);
        if (f) // each class in the order of the manual's appendix
            assert_true(i->encoding > vmcs_field_info[f - 1].encoding);
        if (vmcs_exists(&vmx_caps_teach, (enum vmcs_field)f)) {
            existing++;
            if ((i->encoding >> 1 & 0x1ffu) > index)
                index = i->encoding >> 1 & 0x1ff;
        }
    }
    assert_int_equal(vmx_caps_teach.vmcs_enum >> 1 & 0x1ff, index);
    assert_int_equal(vmcs_by_encoding(0x6fff), -1);
    assert_int_equal(vmcs_by_encoding(0x16800), -1);
    assert_int_equal(vmcs_by_name("GUEST_CR5"), -1);
    printf("# VMCS fields: %u, of which the teach profile has %u\n", (unsigned)VMCS_NFIELD, existing);
}

// Pairs that every hypervisor's headers agree on.
static void test_known_encodings(void **state)
{
    static const struct {
        const char *name;
        uint16_t encoding;
    } known[] = {
        {"VIRTUAL_PROCESSOR_ID", 0x0000},
        {"GUEST_CS_SELECTOR", 0x0802},
        {"HOST_TR_SELECTOR", 0x0c0c},
        {"IO_BITMAP_A", 0x2000},
        {"MSR_BITMAP", 0x2004},
        {"TSC_OFFSET", 0x2010},
        {"EPT_POINTER", 0x201a},
        {"GUEST_PHYSICAL_ADDRESS", 0x2400},
        {"VMCS_LINK_POINTER", 0x2800},
        {"GUEST_IA32_EFER", 0x2806},
        {"GUEST_PDPTR3", 0x2810},
        {"HOST_IA32_EFER", 0x2c02},
        {"PIN_BASED_VM_EXEC_CONTROL", 0x4000},
        {"CPU_BASED_VM_EXEC_CONTROL", 0x4002},
        {"EXCEPTION_BITMAP", 0x4004},
        {"VM_EXIT_CONTROLS", 0x400c},
        {"VM_ENTRY_CONTROLS", 0x4012},
        {"VM_ENTRY_INTR_INFO_FIELD", 0x4016},
        {"SECONDARY_VM_EXEC_CONTROL", 0x401e},
        {"VM_INSTRUCTION_ERROR", 0x4400},
        {"VM_EXIT_REASON", 0x4402},
        {"IDT_VECTORING_INFO_FIELD", 0x4408},
        {"VMX_INSTRUCTION_INFO", 0x440e},
        {"GUEST_ES_LIMIT", 0x4800},
        {"GUEST_TR_AR_BYTES", 0x4822},
        {"GUEST_ACTIVITY_STATE", 0x4826},
        {"VMX_PREEMPTION_TIMER_VALUE", 0x482e},
        {"HOST_IA32_SYSENTER_CS", 0x4c00},
        {"CR0_GUEST_HOST_MASK", 0x6000},
        {"CR3_TARGET_VALUE3", 0x600e},
        {"EXIT_QUALIFICATION", 0x6400},
        {"GUEST_LINEAR_ADDRESS", 0x640a},
        {"GUEST_CR0", 0x6800},
        {"GUEST_RIP", 0x681e},
        {"GUEST_RFLAGS", 0x6820},
        {"GUEST_SYSENTER_EIP", 0x6826},
        {"HOST_CR0", 0x6c00},
        {"HOST_RSP", 0x6c14},
        {"HOST_RIP", 0x6c16},
    };
    for (unsigned n = 0; n < sizeof known / sizeof *known; n++) {
        int f = vmcs_by_name(known[n].name);
        assert_true(f >= 0);
        assert_int_equal(vmcs_field_info[f].encoding, known[n].encoding);
    }
}

static void test_nearest_name(void **state)
{
    assert_string_equal(vmcs_nearest_name("GUEST_CR33"), "GUEST_CR3");
    assert_string_equal(vmcs_nearest_name("guest_rlfags"), "GUEST_RFLAGS");
    assert_string_equal(vmcs_nearest_name("EXITQUALIFICATION"), "EXIT_QUALIFICATION");
    assert_null(vmcs_nearest_name(""));
    assert_null(vmcs_nearest_name("vmcs")); // nothing is near
}

static void test_image(void **state)
{
    static struct vmcs a, b;
    static uint8_t image[VMCS_REGION_SIZE];
    memset(&a, 0, sizeof a);
    a.revision = 0x12;
    a.launched = true;
    a.abort = 4;
    for (unsigned f = 0; f < VMCS_NFIELD; f++)
        vmcs_write(&a, (enum vmcs_field)f, 0x1122334455667788ull * (f + 1), 7, 9);
    assert_true(vmcs_changed(&a, VF_GUEST_CR3));
    vmcs_to_image(&a, image);
    vmcs_from_image(&b, image);
    assert_memory_equal(a.f, b.f, sizeof a.f);
    assert_int_equal(b.revision, 0x12);
    assert_true(b.launched);
    assert_int_equal(b.abort, 4);
    assert_int_equal(b.writer[VF_GUEST_CR3].cycle, 0);
    assert_int_equal(vmcs_get(&a, VF_GUEST_CS_SELECTOR) >> 16, 0); // cut to the field's width
    memset(image, 0xff, sizeof image);
    vmcs_from_image(&b, image);
    assert_int_equal(vmcs_get(&b, VF_GUEST_CS_LIMIT), 0xffffffff);
    assert_true(b.shadow);
    assert_false(b.launched);
}

// The controls of MPX, which later processors gave up again.
static bool of_mpx(unsigned word, unsigned bit)
{
    return (word == VMX_WORD_EXIT && 1u << bit == VMX_EXIT_CLEAR_BNDCFGS) ||
           (word == VMX_WORD_ENTRY && 1u << bit == VMX_ENTRY_LOAD_BNDCFGS);
}

// What the capability MSRs allow is what is modelled, and nothing that must be 1 is forbidden.
static void test_capabilities(void **state)
{
    const struct vmx_caps *k = &vmx_caps_later;
    const uint64_t msr[VMX_NWORD] = {[VMX_WORD_PIN] = k->pin,
                                     [VMX_WORD_PROC] = k->proc,
                                     [VMX_WORD_PROC2] = k->proc2,
                                     [VMX_WORD_EXIT] = k->exit,
                                     [VMX_WORD_ENTRY] = k->entry};
    unsigned modelled = 0, controls = 0;
    for (unsigned w = 0; w < VMX_NWORD; w++)
        for (unsigned b = 0; b < 32; b++) {
            const struct vmx_control *c = vmx_control((enum vmx_ctl_word)w, b);
            bool must = msr[w] >> b & 1, may = msr[w] >> (32 + b) & 1;
            controls += c != NULL;
            modelled += c && c->modelled;
            assert_true(may || !must);
            assert_int_equal(may, must || (c && c->modelled && !of_mpx(w, b)));
        }
    for (unsigned n = 0; vmx_control_n(n); n++)
        assert_ptr_equal(vmx_control((enum vmx_ctl_word)vmx_control_n(n)->word, vmx_control_n(n)->bit), vmx_control_n(n));
    assert_int_equal(vmx_caps_teach.proc2 ^ k->proc2, (uint64_t)VMX_PROC2_ENABLE_XSAVES << 32); // what CPUID reports there alone
    assert_int_equal(k->true_pin >> 32, k->pin >> 32);
    assert_int_equal((uint32_t)k->true_proc & ~(uint32_t)k->proc, 0);
    assert_int_equal((uint32_t)k->true_exit & ~(uint32_t)k->exit, 0);
    assert_int_equal((uint32_t)k->true_entry & ~(uint32_t)k->entry, 0);
    printf("# controls: %u, of which %u are modelled\n", controls, modelled);
}

static void test_capability_msrs(void **state)
{
    struct vmx_caps k = vmx_caps_teach;
    uint64_t val;
    for (uint32_t n = VMX_MSR_FIRST; n <= VMX_MSR_LAST; n++) {
        assert_true(vmx_caps_rdmsr(&k, n, &val));
        assert_memory_equal(vmx_caps_msr_name(n), "IA32_VMX_", 9);
    }
    assert_false(vmx_caps_rdmsr(&k, 0x47f, &val));
    assert_true(vmx_caps_rdmsr(&k, 0x48b, &val));
    assert_int_equal(val, k.proc2);
    k.proc2 &= ~((uint64_t)VMX_PROC2_ENABLE_VMFUNC << 32);
    assert_false(vmx_caps_rdmsr(&k, 0x491, &val));
    k.basic &= ~(1ull << 55);
    assert_false(vmx_caps_rdmsr(&k, 0x48d, &val));
    k.proc &= ~(1ull << 63);
    assert_false(vmx_caps_rdmsr(&k, 0x48b, &val));
    assert_false(vmx_caps_rdmsr(&k, 0x48c, &val));
    assert_false(vmcs_exists(&k, VF_SECONDARY_VM_EXEC_CONTROL));
    assert_false(vmcs_exists(&k, VF_EPT_POINTER));
}

static void test_numbers(void **state)
{
    for (unsigned n = 0; n <= 77; n++)
        if (vmx_exit_name(n)) {
            assert_int_equal(vmx_exit_by_name(vmx_exit_name(n)), n);
            assert_non_null(vmx_exit_text(n));
        }
    assert_null(vmx_exit_name(35));
    assert_string_equal(vmx_exit_name(0x80000021), "ENTRY_INVALID_GUEST_STATE");
    assert_int_equal(vmx_exit_by_name("ept_violation"), 48);
    assert_int_equal(vmx_exit_by_name("NO_SUCH"), -1);
    assert_string_equal(vmx_error_name(7), "BAD_CONTROL_FIELDS");
    assert_null(vmx_error_name(0));
    assert_null(vmx_error_name(14));
    assert_non_null(vmx_error_text(28));
}

static void expect_qual(uint32_t reason, uint64_t qual, const char *text)
{
    char buf[256];
    unsigned len = vmx_qual_text(reason, qual, buf, sizeof buf);
    assert_string_equal(buf, text);
    assert_int_equal(len, strlen(text));
}

static void test_texts(void **state)
{
    char buf[8192], small[8];
    expect_qual(VMX_R_CR_ACCESS, 3 | 2 << 8, "control register CR 3, access: MOV to CR, register: RDX, LMSW source: 0x0");
    expect_qual(VMX_R_IO_INSTRUCTION, 0x3f8u << 16 | 1 << 6, "port: 0x3f8, size: 1 byte, direction: OUT, port given by: immediate");
    expect_qual(
        VMX_R_EPT_VIOLATION, 2 | 1 << 3 | 1 << 7 | 1 << 8,
        "data write, readable: yes, writable: no, executable: no, guest-linear address valid, access: to the translated address");
    expect_qual(VMX_R_INVLPG, 0x1000, "linear address: 0x1000");
    expect_qual(VMX_R_CPUID, 0, "");
    for (unsigned f = 0; f < VMCS_NFIELD; f++) {
        unsigned n = vmx_explain_field(vmcs_field_info[f].encoding, buf, sizeof buf);
        assert_int_equal(n, strlen(buf));
        assert_non_null(strstr(buf, vmcs_field_info[f].name));
        const unsigned cap = vmcs_field_info[f].cap; // what makes it exist, or that nothing does
        assert_true(cap == VMCS_CAP_ALWAYS || strstr(buf, cap == VMCS_CAP_UNMODELLED ? "not modelled" : "exists where"));
        assert_int_equal(vmx_explain_field(vmcs_field_info[f].encoding, small, sizeof small), n); // the whole length
        assert_int_equal(strlen(small), sizeof small - 1);
        assert_int_equal(vmx_explain_field(vmcs_field_info[f].encoding, NULL, 0), n);
        vmx_value_text((enum vmcs_field)f, ~0ull, buf, sizeof buf);
        assert_true(strlen(buf) > 0);
    }
    unsigned len;
    for (unsigned n = 0; vmx_check_n(n); n++) {
        len = vmx_explain_check(vmx_check_n(n)->id, buf, sizeof buf);
        assert_int_equal(len, strlen(buf));
    }
    for (unsigned n = 0; n < 80; n++) {
        len = vmx_explain_exit(n, buf, sizeof buf);
        assert_int_equal(len, strlen(buf));
        len = vmx_explain_error(n, buf, sizeof buf);
        assert_int_equal(len, strlen(buf));
    }
    vmx_access_rights_text(0xa09b, buf, sizeof buf);
    assert_string_equal(buf, "code readable accessed, DPL 0, present, L, G");
    vmx_access_rights_text(0x10000, buf, sizeof buf);
    assert_string_equal(buf, "unusable, reserved, DPL 0, not present");
    vmx_intr_info_text(0x80000b0e, buf, sizeof buf);
    assert_string_equal(buf, "hardware exception, vector 14 (#PF), with error code");
    vmx_value_text(VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_HLT_EXITING | VMX_PROC_USE_MSR_BITMAPS, buf, sizeof buf);
    assert_string_equal(buf, "HLT_EXITING, USE_MSR_BITMAPS");
    vmx_bits_text(VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_ACTIVATE_TERTIARY | 1 << 7 | 1 << 8, buf, sizeof buf);
    assert_string_equal(buf, "HLT_EXITING (bit 7), bit 8, ACTIVATE_TERTIARY (bit 17, not modelled)");
    vmx_bits_text(VF_GUEST_CR0, 0xffffffff80000001, buf, sizeof buf);
    assert_string_equal(buf, "PE (bit 0), PG (bit 31), bits 63:32");
    vmx_bits_text(VF_GUEST_CS_AR_BYTES, 0, buf, sizeof buf);
    assert_string_equal(buf, "");
    vmx_value_text(VF_VM_EXIT_REASON, 0x80000021, buf, sizeof buf);
    assert_string_equal(buf, "ENTRY_INVALID_GUEST_STATE, VM-entry failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),  cmocka_unit_test(test_known_encodings), cmocka_unit_test(test_nearest_name),
        cmocka_unit_test(test_image),   cmocka_unit_test(test_capabilities),    cmocka_unit_test(test_capability_msrs),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
