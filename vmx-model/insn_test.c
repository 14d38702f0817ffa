// vmx-model/insn_test.c: the VMX instructions as guests execute them: #UD and #GP in every wrong state, every VMfail, and success.
#include "vmx-model/testvm.h"

#include <stdio.h>

#include "isa/flags.h"

// Machine code; the memory operand is [rax] (RAX = TV_DATA), the register operand RCX.
#define CODE(name, ...) static const uint8_t name[] = {__VA_ARGS__}
CODE(VMXON, 0xf3, 0x0f, 0xc7, 0x30);
CODE(VMXOFF, 0x0f, 0x01, 0xc4);
CODE(VMCLEAR, 0x66, 0x0f, 0xc7, 0x30);
CODE(VMPTRLD, 0x0f, 0xc7, 0x30);
CODE(VMPTRST, 0x0f, 0xc7, 0x38);
CODE(VMCALL, 0x0f, 0x01, 0xc1);
CODE(VMLAUNCH, 0x0f, 0x01, 0xc2);
CODE(VMRESUME, 0x0f, 0x01, 0xc3);
CODE(VMFUNC, 0x0f, 0x01, 0xd4);
CODE(VMREAD_REG, 0x0f, 0x78, 0xcb);  // vmread rbx, rcx
CODE(VMREAD_MEM, 0x0f, 0x78, 0x08);  // vmread [rax], rcx
CODE(VMWRITE_REG, 0x0f, 0x79, 0xcb); // vmwrite rcx, rbx
CODE(VMWRITE_MEM, 0x0f, 0x79, 0x08); // vmwrite rcx, [rax]
CODE(INVEPT, 0x66, 0x0f, 0x38, 0x80, 0x08);
CODE(INVVPID, 0x66, 0x0f, 0x38, 0x81, 0x08);
#define ALL_VMX                                                                                                                    \
    X(VMXON)                                                                                                                       \
    X(VMXOFF)                                                                                                                      \
    X(VMCLEAR)                                                                                                                     \
    X(VMPTRLD)                                                                                                                     \
    X(VMPTRST) X(VMCALL) X(VMLAUNCH) X(VMRESUME) X(VMREAD_REG) X(VMREAD_MEM) X(VMWRITE_REG) X(VMWRITE_MEM) X(INVEPT) X(INVVPID)

static unsigned ncases;

static int run_bytes(const uint8_t *code, unsigned n)
{
    tv.c->gpr[ISA_RAX] = TV_DATA;
    isa_te_code(tv.t, TV_HOST, code, n);
    isa_set_status(tv.c, ISA_FL_STATUS);
    ncases++;
    return isa_te_run(tv.t, 1);
}
#define RUN(code) run_bytes(code, sizeof code)

static uint32_t status(void) { return (uint32_t)isa_rflags(tv.c) & ISA_FL_STATUS; }

static void expect_success(int r)
{
    assert_int_equal(r, ISA_R_STOP);
    assert_int_equal(status(), 0);
    assert_int_equal(tv.done.outcome, VMX_SUCCEED);
}
static void expect_invalid(int r)
{
    assert_int_equal(r, ISA_R_STOP);
    assert_int_equal(status(), ISA_FL_CF);
    assert_int_equal(tv.done.outcome, VMX_FAIL_INVALID);
}
static void expect_error(int r, enum vmx_error e)
{
    assert_int_equal(r, ISA_R_STOP);
    assert_int_equal(status(), ISA_FL_ZF);
    assert_int_equal(tv.done.error, e);
    assert_int_equal(tv_get(VF_VM_INSTRUCTION_ERROR), e);
}
static void expect_fault(int r, unsigned vector)
{
    assert_int_equal(r, ISA_R_FAULT);
    assert_int_equal(tv.c->fault.vector, vector);
    assert_int_equal(tv.c->rip, TV_HOST);
}

// --- faults

static const struct {
    const char *name;
    const uint8_t *code;
    unsigned n;
} all[] = {
#define X(name) {#name, name, sizeof name},
    ALL_VMX
#undef X
};
#define NALL (sizeof all / sizeof *all)

static void test_outside_vmx(void **state)
{
    for (unsigned n = 1; n < NALL; n++) { // all but VMXON
        tv_open();
        expect_fault(run_bytes(all[n].code, all[n].n), ISA_X_UD);
        tv_close();
    }
}

static void test_wrong_mode(void **state)
{
    static const enum isa_mode wrong[] = {ISA_REAL, ISA_V86, ISA_COMPAT32, ISA_COMPAT16};
    for (unsigned m = 0; m < 4; m++)
        for (unsigned n = 0; n < NALL; n++) {
            tv_root();
            isa_te_mode(tv.t, wrong[m], 0);
            tv.c->cr4 |= ISA_CR4_VMXE;
            tv.c->gpr[ISA_RAX] = TV_DATA;
            isa_te_code(tv.t, 0x8000, all[n].code, all[n].n);
            assert_int_equal(isa_te_run(tv.t, 1), ISA_R_FAULT);
            assert_int_equal(tv.c->fault.vector, ISA_X_UD);
            ncases++;
            tv_close();
        }
}

static void test_privilege(void **state)
{
    for (unsigned n = 0; n < NALL; n++) {
        tv_root();
        uint64_t cr0 = tv.c->cr0;
        isa_te_mode(tv.t, ISA_LONG64, 3);
        tv.c->cr0 = cr0;
        tv.c->cr4 |= ISA_CR4_VMXE;
        expect_fault(run_bytes(all[n].code, all[n].n), ISA_X_GP);
        tv_close();
    }
}

static void test_vmfunc(void **state)
{
    static const struct {
        uint64_t rax, rcx, eptp;
        bool exits;
    } k[] = {
        {0, 3, TV_DATA | 0x1e, false},         {0, 511, TV_DATA | 0x5e, false},
        {0, 512, TV_DATA | 0x1e, true},        {0, 3, TV_DATA | 0x1f, true},
        {0, 3, 1ull << TV_WIDTH | 0x1e, true}, {0, 3, 0, true},
        {1, 3, TV_DATA | 0x1e, true},          {64, 3, TV_DATA | 0x1e, true},
        {32, 3, TV_DATA | 0x1e, true},         {1ull << 32, 3ull | 1ull << 40, TV_DATA | 0x1e, false},
    };
    tv_root();
    expect_fault(RUN(VMFUNC), ISA_X_UD);
    tv_close();
    tv_golden(TV_64);
    tv.c->vmx = ISA_VMX_NONROOT;
    expect_fault(RUN(VMFUNC), ISA_X_UD); // not enabled
    tv_close();
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++)
        for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
            tv_golden(TV_64);
            isa_te_mode(tv.t, ISA_LONG64, cpl);
            tv.c->vmx = ISA_VMX_NONROOT;
            tv_set(VF_SECONDARY_VM_EXEC_CONTROL, tv_get(VF_SECONDARY_VM_EXEC_CONTROL) | VMX_PROC2_ENABLE_VMFUNC);
            tv_set(VF_VM_FUNCTION_CONTROL, 1);
            tv_set(VF_EPTP_LIST_ADDRESS, TV_AREA);
            tv_w64(TV_AREA + 8 * (k[n].rcx & 511), k[n].eptp);
            uint64_t before = tv_get(VF_EPT_POINTER);
            tv.c->gpr[ISA_RCX] = k[n].rcx;
            isa_te_code(tv.t, TV_HOST, VMFUNC, sizeof VMFUNC);
            tv.c->gpr[ISA_RAX] = k[n].rax;
            isa_set_status(tv.c, ISA_FL_STATUS);
            int r = isa_te_run(tv.t, 1);
            assert_int_equal(r, k[n].exits ? ISA_R_VMEXIT : ISA_R_STOP);
            assert_int_equal(tv_get(VF_EPT_POINTER), k[n].exits ? before : k[n].eptp);
            assert_int_equal(status(), ISA_FL_STATUS);
            if (k[n].exits) {
                assert_int_equal(tv.v.exit.reason, VMX_R_VMFUNC);
                assert_int_equal(tv.v.exit.qual, 0);
                assert_int_equal(tv.v.exit.insn_len, 3);
            }
            ncases++;
            tv_close();
        }
}

// Memory operands fault like any other, and nothing is changed.
static void test_operand_fault(void **state)
{
    static const char *const with_operand[] = {"VMCLEAR", "VMPTRLD", "VMPTRST", "VMREAD_MEM", "VMWRITE_MEM", "INVEPT", "INVVPID"};
    for (unsigned k = 0; k < sizeof with_operand / sizeof *with_operand; k++)
        for (unsigned n = 0; n < NALL; n++) {
            if (strcmp(all[n].name, with_operand[k]))
                continue;
            tv_root();
            isa_te_protect(tv.t, TV_DATA, 0x1000, ISA_TE_NO_READ | ISA_TE_NO_WRITE);
            tv.c->gpr[ISA_RCX] = 1;
            if (!strncmp(all[n].name, "VM", 2))
                tv.c->gpr[ISA_RCX] = 0x681e;
            expect_fault(run_bytes(all[n].code, all[n].n), ISA_X_PF);
            assert_int_equal(status(), ISA_FL_STATUS);
            assert_int_equal(tv.v.vmcs_ptr, TV_VMCS);
            tv_close();
        }
}

// --- VMXON and VMXOFF

static void test_vmxon(void **state)
{
    tv_open();
    tv_w64(TV_DATA, TV_VMXON);
    expect_success(RUN(VMXON));
    assert_int_equal(tv.c->vmx, ISA_VMX_ROOT);
    assert_int_equal(tv.v.vmxon_ptr, TV_VMXON);
    assert_true(tv.v.vmcs_ptr == VMX_NO_PTR);
    assert_int_equal(tv.c->cr4_fixed0, ISA_CR4_VMXE);
    expect_invalid(RUN(VMXON)); // no current VMCS to hold error 15
    tv_w64(TV_DATA, TV_VMCS);
    expect_success(RUN(VMPTRLD));
    expect_error(RUN(VMXON), VMX_E_VMXON_IN_ROOT);
    expect_success(RUN(VMXOFF));
    assert_int_equal(tv.c->vmx, ISA_VMX_OFF);
    expect_fault(RUN(VMXOFF), ISA_X_UD);
    tv_close();
}

static void test_vmxon_refused(void **state)
{
    static const struct {
        uint64_t pointer;
        uint32_t revision;
    } bad[] = {{TV_VMXON + 8, 0x12}, {1ull << TV_WIDTH, 0x12}, {TV_VMXON, 0x13}, {TV_VMXON, 0x80000012}};
    for (unsigned n = 0; n < sizeof bad / sizeof *bad; n++) {
        tv_open();
        tv_w64(TV_DATA, bad[n].pointer);
        tv_w32(TV_VMXON, bad[n].revision);
        expect_invalid(RUN(VMXON));
        assert_int_equal(tv.c->vmx, ISA_VMX_OFF);
        tv_close();
    }
}

static void test_vmxon_conditions(void **state)
{
    for (unsigned n = 0; n < 5; n++) {
        tv_open();
        tv_w64(TV_DATA, TV_VMXON);
        switch (n) {
        case 0: tv.c->cr0 &= ~(uint64_t)ISA_CR0_NE; break;
        case 1: tv.c->cr4 |= ISA_CR4_LA57; break;
        case 2: tv.c->feature_control = 4; break; // not locked
        case 3: tv.c->feature_control = 1; break; // locked without VMX
        default: tv.c->cr4 &= ~(uint64_t)ISA_CR4_VMXE; break;
        }
        expect_fault(RUN(VMXON), n == 4 ? ISA_X_UD : ISA_X_GP);
        tv_close();
    }
}

// --- VMCLEAR, VMPTRLD, VMPTRST

static void test_pointers(void **state)
{
    static const struct {
        uint64_t pointer;
        enum vmx_error clear, load;
    } bad[] = {
        {TV_VMCS2 + 1, VMX_E_VMCLEAR_BAD_ADDRESS, VMX_E_VMPTRLD_BAD_ADDRESS},
        {TV_VMCS2 + 0x800, VMX_E_VMCLEAR_BAD_ADDRESS, VMX_E_VMPTRLD_BAD_ADDRESS},
        {1ull << TV_WIDTH, VMX_E_VMCLEAR_BAD_ADDRESS, VMX_E_VMPTRLD_BAD_ADDRESS},
        {TV_VMXON, VMX_E_VMCLEAR_VMXON_POINTER, VMX_E_VMPTRLD_VMXON_POINTER},
    };
    tv_root();
    for (unsigned n = 0; n < sizeof bad / sizeof *bad; n++) {
        tv_w64(TV_DATA, bad[n].pointer);
        expect_error(RUN(VMCLEAR), bad[n].clear);
        expect_error(RUN(VMPTRLD), bad[n].load);
        assert_int_equal(tv.v.vmcs_ptr, TV_VMCS);
    }
    tv_w64(TV_DATA, TV_VMCS2);
    tv_w32(TV_VMCS2, 0x11);
    expect_error(RUN(VMPTRLD), VMX_E_VMPTRLD_BAD_REVISION);
    tv_w32(TV_VMCS2, 0x80000012); // a shadow VMCS, on a processor that does not have them
    tv.caps.proc2 &= ~((uint64_t)VMX_PROC2_VMCS_SHADOWING << 32);
    expect_error(RUN(VMPTRLD), VMX_E_VMPTRLD_BAD_REVISION);
    tv_w32(TV_VMCS2, 0x12);
    expect_success(RUN(VMPTRLD));
    assert_int_equal(tv.v.vmcs_ptr, TV_VMCS2);
    expect_success(RUN(VMPTRST));
    assert_int_equal(tv_r64(TV_DATA), TV_VMCS2);
    expect_success(RUN(VMCLEAR));
    expect_success(RUN(VMPTRST));
    assert_true(tv_r64(TV_DATA) == VMX_NO_PTR);
    tv_w64(TV_DATA, 1);
    expect_invalid(RUN(VMPTRLD)); // error 9 has no VMCS to stand in
    tv_close();
}

// Fields live in the processor until VMCLEAR or another VMPTRLD puts them into the region; the launch state too.
// VMPTRST stores the pointer, all ones if no VMCS is current, and exists in root operation only.
static void test_vmptrst(void **state)
{
    static const uint64_t ptr[] = {TV_VMCS, TV_VMCS2, VMX_NO_PTR};
    tv_root();
    for (unsigned n = 0; n < 3; n++) {
        tv.v.vmcs_ptr = ptr[n];
        tv_w64(TV_DATA, 0x123);
        tv_w64(TV_DATA + 8, 0x456);
        expect_success(RUN(VMPTRST));
        assert_true(tv_r64(TV_DATA) == ptr[n]);
        assert_int_equal(tv_r64(TV_DATA + 8), 0x456);
        assert_true(tv.done.operand == ptr[n]);
    }
    tv.c->cpl = 3;
    tv_w64(TV_DATA, 0x123);
    expect_fault(RUN(VMPTRST), ISA_X_GP);
    assert_int_equal(tv_r64(TV_DATA), 0x123);
    tv_close();
}

static void test_region(void **state)
{
    const uint64_t rip_at = TV_VMCS + vmcs_image_offset(VF_GUEST_RIP);
    tv_root();
    tv.v.vmcs.launched = true;
    tv.c->gpr[ISA_RCX] = 0x681e;
    tv.c->gpr[ISA_RBX] = 0x1234;
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_r64(rip_at), 0);
    tv_w64(TV_DATA, TV_VMCS2);
    expect_success(RUN(VMPTRLD));
    assert_int_equal(tv_r64(rip_at), 0x1234);
    assert_int_equal(tv_get(VF_GUEST_RIP), 0);
    assert_false(tv.v.vmcs.launched);
    tv_w64(TV_DATA, TV_VMCS);
    expect_success(RUN(VMPTRLD));
    assert_int_equal(tv_get(VF_GUEST_RIP), 0x1234);
    assert_true(tv.v.vmcs.launched);
    expect_success(RUN(VMPTRLD)); // of the current one: nothing is lost
    assert_int_equal(tv_get(VF_GUEST_RIP), 0x1234);
    expect_success(RUN(VMCLEAR));
    expect_success(RUN(VMPTRLD));
    assert_false(tv.v.vmcs.launched);
    assert_int_equal(tv_get(VF_GUEST_RIP), 0x1234);
    tv_close();
}

// --- VMREAD and VMWRITE

static void test_fields(void **state)
{
    tv_root();
    for (unsigned f = 0; f < VMCS_NFIELD; f++) {
        bool exists = vmcs_exists(&tv.caps, (enum vmcs_field)f);
        tv.c->gpr[ISA_RCX] = vmcs_field_info[f].encoding;
        tv.c->gpr[ISA_RBX] = 0x8877665544332211ull + f;
        if (!exists) {
            expect_error(RUN(VMWRITE_REG), VMX_E_UNSUPPORTED_FIELD);
            expect_error(RUN(VMREAD_REG), VMX_E_UNSUPPORTED_FIELD);
            continue;
        }
        expect_success(RUN(VMWRITE_REG));
        unsigned bits = vmcs_bits((enum vmcs_field)f);
        uint64_t want = tv.c->gpr[ISA_RBX] & (~0ull >> (64 - bits));
        tv.c->gpr[ISA_RBX] = ~0ull;
        expect_success(RUN(VMREAD_REG));
        assert_int_equal(tv.c->gpr[ISA_RBX], want);
        expect_success(RUN(VMREAD_MEM));
        assert_int_equal(tv_r64(TV_DATA), want);
        tv_w64(TV_DATA, 5);
        expect_success(RUN(VMWRITE_MEM));
        assert_int_equal(tv_get((enum vmcs_field)f), 5);
        assert_true(vmcs_changed(&tv.v.vmcs, (enum vmcs_field)f));
        assert_int_equal(tv.v.vmcs.writer[f].rip, TV_HOST);
    }
    tv_close();
}

static void test_high_access(void **state)
{
    tv_root();
    tv.c->gpr[ISA_RCX] = 0x2011; // TSC offset, high
    tv.c->gpr[ISA_RBX] = 0xffffffff11223344ull;
    tv_set(VF_TSC_OFFSET, 0x99aabbcc);
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_get(VF_TSC_OFFSET), 0x1122334499aabbccull);
    expect_success(RUN(VMREAD_REG));
    assert_int_equal(tv.c->gpr[ISA_RBX], 0x11223344);
    tv.c->gpr[ISA_RCX] = 0x681f; // only 64-bit fields have a high half
    expect_error(RUN(VMREAD_REG), VMX_E_UNSUPPORTED_FIELD);
    tv.c->gpr[ISA_RCX] = 1ull << 32 | 0x681e;
    expect_error(RUN(VMREAD_REG), VMX_E_UNSUPPORTED_FIELD);
    tv.c->gpr[ISA_RCX] = 0x6ffe;
    expect_error(RUN(VMWRITE_REG), VMX_E_UNSUPPORTED_FIELD);
    tv_close();
}

static void test_read_only(void **state)
{
    tv_root();
    tv.c->gpr[ISA_RCX] = 0x4402;
    tv.c->gpr[ISA_RBX] = 48;
    expect_success(RUN(VMWRITE_REG)); // IA32_VMX_MISC bit 29: any field may be written
    tv.caps.misc &= ~(1ull << 29);
    expect_error(RUN(VMWRITE_REG), VMX_E_VMWRITE_READ_ONLY);
    tv.v.vmcs_ptr = VMX_NO_PTR;
    expect_invalid(RUN(VMWRITE_REG));
    expect_invalid(RUN(VMREAD_REG));
    tv_close();
}

// Outside 64-bit mode operands have 32 bits: halves of 64-bit fields are accessed one by one.
static void test_32bit_operands(void **state)
{
    tv_root();
    isa_te_mode(tv.t, ISA_PROT32, 0);
    tv_set(VF_EPT_POINTER, 0x1122334455667788ull);
    tv.c->gpr[ISA_RCX] = 0x201a;
    tv.c->gpr[ISA_RBX] = ~0ull;
    expect_success(RUN(VMREAD_REG));
    assert_int_equal(tv.c->gpr[ISA_RBX], 0x55667788);
    tv.c->gpr[ISA_RCX] = 0x201b;
    expect_success(RUN(VMREAD_REG));
    assert_int_equal(tv.c->gpr[ISA_RBX], 0x11223344);
    tv_w64(TV_DATA, ~0ull);
    expect_success(RUN(VMREAD_MEM));
    assert_int_equal(tv_r64(TV_DATA), 0xffffffff11223344ull);
    tv.c->gpr[ISA_RCX] = 0x201a;
    tv.c->gpr[ISA_RBX] = 0x1e;
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_get(VF_EPT_POINTER), 0x1e);
    tv_close();
}

// --- VMLAUNCH, VMRESUME, VMCALL

static void test_entry_errors(void **state)
{
    tv_golden(TV_64);
    expect_error(RUN(VMCALL), VMX_E_VMCALL_IN_ROOT);
    expect_error(RUN(VMRESUME), VMX_E_VMRESUME_NONLAUNCHED);
    tv.v.vmcs.launched = true;
    expect_error(RUN(VMLAUNCH), VMX_E_VMLAUNCH_NONCLEAR);
    tv.c->blocking = ISA_BLOCK_MOVSS;
    expect_error(RUN(VMRESUME), VMX_E_BLOCKED_BY_MOV_SS);
    tv.c->blocking = 0;
    tv_set(VF_HOST_CR4, 0);
    expect_error(RUN(VMRESUME), VMX_E_BAD_HOST_STATE);
    tv_set(VF_VIRTUAL_PROCESSOR_ID, 0); // controls are checked first
    expect_error(RUN(VMRESUME), VMX_E_BAD_CONTROL_FIELDS);
    assert_int_equal(tv.v.report.n, 3); // host CR4: VMXE and PAE
    tv.v.vmcs_ptr = VMX_NO_PTR;
    expect_invalid(RUN(VMLAUNCH));
    expect_invalid(RUN(VMRESUME));
    expect_invalid(RUN(VMCALL));
    tv_close();
}

// --- shadow VMCSs

// The type of a VMCS stands in its region, survives VMCLEAR, and bars it from VM entry.
static void test_shadow_vmcs(void **state)
{
    tv_golden(TV_64);
    tv_w32(TV_VMCS2, 0x80000012);
    tv_w64(TV_DATA, TV_VMCS2);
    expect_success(RUN(VMPTRLD));
    tv.c->gpr[ISA_RCX] = 0x681e;
    tv.c->gpr[ISA_RBX] = 0x1234;
    expect_success(RUN(VMWRITE_REG)); // root operation accesses either type
    expect_invalid(RUN(VMLAUNCH));
    expect_invalid(RUN(VMRESUME));
    expect_success(RUN(VMCLEAR));
    assert_int_equal(tv_r64(TV_VMCS2) & 0xffffffff, 0x80000012);
    assert_int_equal(tv_r64(TV_VMCS2 + vmcs_image_offset(VF_GUEST_RIP)), 0x1234);
    tv_close();
}

// A guest in 64-bit mode with shadowing on; bitmaps: only GUEST_RIP may be accessed without exit.
static void shadow_guest(void)
{
    tv_golden(TV_64);
    tv.c->vmx = ISA_VMX_NONROOT;
    tv_set(VF_SECONDARY_VM_EXEC_CONTROL, tv_get(VF_SECONDARY_VM_EXEC_CONTROL) | VMX_PROC2_VMCS_SHADOWING);
    tv_set(VF_VMREAD_BITMAP, TV_IO_A);
    tv_set(VF_VMWRITE_BITMAP, TV_IO_B);
    memset(isa_te_at(tv.t, TV_IO_A), 0xff, 0x2000);
    *(uint8_t *)isa_te_at(tv.t, TV_IO_A + 0x681e / 8) = 0xbf; // bit 6
    *(uint8_t *)isa_te_at(tv.t, TV_IO_B + 0x681e / 8) = 0xbf;
    tv_set(VF_VMCS_LINK_POINTER, TV_VMCS2);
    tv_w32(TV_VMCS2, 0x80000012);
    tv.c->gpr[ISA_RCX] = 0x681e;
}

static void allow(uint32_t encoding)
{
    *(uint8_t *)isa_te_at(tv.t, TV_IO_A + encoding / 8) &= (uint8_t) ~(1u << encoding % 8);
    *(uint8_t *)isa_te_at(tv.t, TV_IO_B + encoding / 8) &= (uint8_t) ~(1u << encoding % 8);
}

static void expect_exit(int r, uint32_t reason)
{
    assert_int_equal(r, ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.reason, reason);
    assert_int_equal(status(), ISA_FL_STATUS);
}

static void test_shadowing(void **state)
{
    const uint64_t rip = TV_VMCS2 + vmcs_image_offset(VF_GUEST_RIP), offset = TV_VMCS2 + vmcs_image_offset(VF_TSC_OFFSET);
    shadow_guest();
    tv.c->gpr[ISA_RBX] = 0x1122334455667788ull;
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_r64(rip), 0x1122334455667788ull);
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST); // the current VMCS is another one
    tv_w64(rip, 0x99);
    expect_success(RUN(VMREAD_REG));
    assert_int_equal(tv.c->gpr[ISA_RBX], 0x99);
    expect_success(RUN(VMREAD_MEM));
    assert_int_equal(tv_r64(TV_DATA), 0x99);
    // halves of a 64-bit field have bits of their own in the bitmaps
    tv_w64(offset, 0x0000000199aabbccull);
    tv.c->gpr[ISA_RCX] = 0x2011;
    expect_exit(RUN(VMREAD_REG), VMX_R_VMREAD);
    allow(0x2011);
    expect_success(RUN(VMREAD_REG));
    assert_int_equal(tv.c->gpr[ISA_RBX], 1);
    tv.c->gpr[ISA_RBX] = 7;
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_r64(offset), 0x0000000799aabbccull);
    tv.c->gpr[ISA_RCX] = 0x2010;
    expect_exit(RUN(VMWRITE_REG), VMX_R_VMWRITE);
    // fields of fewer bits are cut
    allow(0x0802);
    tv.c->gpr[ISA_RCX] = 0x0802;
    tv.c->gpr[ISA_RBX] = 0x12345;
    expect_success(RUN(VMWRITE_REG));
    assert_int_equal(tv_r64(TV_VMCS2 + vmcs_image_offset(VF_GUEST_CS_SELECTOR)), 0x2345);
    tv_close();
}

static void test_shadowing_refused(void **state)
{
    shadow_guest();
    *(uint8_t *)isa_te_at(tv.t, TV_IO_B + 0x681e / 8) = 0xff;
    expect_success(RUN(VMREAD_REG)); // each instruction has its bitmap
    expect_exit(RUN(VMWRITE_REG), VMX_R_VMWRITE);
    assert_int_equal(tv.v.exit.insn_info, 1u << 10 | 3u << 3 | 1u << 28);
    tv.c->gpr[ISA_RCX] = 0x8000; // beyond the bitmap
    expect_exit(RUN(VMREAD_REG), VMX_R_VMREAD);
    tv.c->gpr[ISA_RCX] = 1ull << 32;
    expect_exit(RUN(VMREAD_REG), VMX_R_VMREAD);
    allow(0x6ffe);
    tv.c->gpr[ISA_RCX] = 0x6ffe;
    expect_error(RUN(VMREAD_REG), VMX_E_UNSUPPORTED_FIELD);
    expect_error(RUN(VMWRITE_REG), VMX_E_UNSUPPORTED_FIELD);
    allow(0x4402);
    tv.caps.misc &= ~(1ull << 29);
    tv.c->gpr[ISA_RCX] = 0x4402;
    expect_error(RUN(VMWRITE_REG), VMX_E_VMWRITE_READ_ONLY);
    tv_set(VF_VMCS_LINK_POINTER, VMX_NO_PTR);
    expect_invalid(RUN(VMREAD_REG));
    expect_invalid(RUN(VMWRITE_REG));
    tv_set(VF_SECONDARY_VM_EXEC_CONTROL, tv_get(VF_SECONDARY_VM_EXEC_CONTROL) & ~(uint64_t)VMX_PROC2_VMCS_SHADOWING);
    expect_exit(RUN(VMREAD_REG), VMX_R_VMREAD);
    tv_close();
    // the exit comes before the check of CPL, the access after it
    for (unsigned bit = 0; bit < 2; bit++) {
        shadow_guest();
        isa_te_mode(tv.t, ISA_LONG64, 3);
        tv.c->vmx = ISA_VMX_NONROOT;
        if (bit)
            *(uint8_t *)isa_te_at(tv.t, TV_IO_A + 0x681e / 8) = 0xff;
        int r = RUN(VMREAD_REG);
        if (bit)
            expect_exit(r, VMX_R_VMREAD);
        else
            expect_fault(r, ISA_X_GP);
        tv_close();
    }
}

// --- INVEPT and INVVPID

static void test_invept(void **state)
{
    tv_root();
    tv_w64(TV_DATA, TV_TABLE | 0x1e);
    tv_w64(TV_DATA + 8, 0);
    for (unsigned type = 1; type <= 2; type++) {
        tv.c->gpr[ISA_RCX] = type;
        expect_success(RUN(INVEPT));
        assert_int_equal(tv.done.action, VMX_ACT_INVEPT);
        assert_int_equal(tv.done.operand, type);
        assert_int_equal(tv.done.a, TV_TABLE | 0x1e);
    }
    static const uint64_t bad_type[] = {0, 3, 1ull << 32 | 1};
    for (unsigned n = 0; n < 3; n++) {
        tv.c->gpr[ISA_RCX] = bad_type[n];
        expect_error(RUN(INVEPT), VMX_E_INVALID_INV_OPERAND);
        assert_int_equal(tv.done.action, VMX_ACT_NONE);
    }
    tv.c->gpr[ISA_RCX] = 1;
    tv_w64(TV_DATA, TV_TABLE | 6); // page-walk length 1
    expect_error(RUN(INVEPT), VMX_E_INVALID_INV_OPERAND);
    tv_w64(TV_DATA, TV_TABLE | 0x1e);
    tv_w64(TV_DATA + 8, 1);
    expect_error(RUN(INVEPT), VMX_E_INVALID_INV_OPERAND);
    tv.caps.ept_vpid &= ~(1ull << 20);
    expect_fault(RUN(INVEPT), ISA_X_UD);
    tv_close();
}

static void test_invvpid(void **state)
{
    static const struct {
        uint64_t type, vpid, la;
        bool ok;
    } k[] = {
        {0, 1, 0x1000, true},      {1, 1, 0, true},           {2, 0, 0, true},        {3, 0xffff, 0, true},
        {4, 1, 0, false},          {0, 0, 0x1000, false},     {1, 0, 0, false},       {3, 0, 0, false},
        {0, 0x10001, 0, false},    {1, 0x10001, 0, false},    {2, 0x10000, 0, false}, {3, 1ull << 63 | 1, 0, false},
        {0, 1, 1ull << 47, false}, {1ull << 32, 1, 0, false},
    };
    tv_root();
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        tv.c->gpr[ISA_RCX] = k[n].type;
        tv_w64(TV_DATA, k[n].vpid);
        tv_w64(TV_DATA + 8, k[n].la);
        int r = RUN(INVVPID);
        if (k[n].ok) {
            expect_success(r);
            assert_int_equal(tv.done.a, k[n].vpid);
            assert_int_equal(tv.done.la, k[n].la);
        } else {
            expect_error(r, VMX_E_INVALID_INV_OPERAND);
        }
    }
    tv_close();
}

static void test_count(void **state) { printf("# VMX instructions: %u executed\n", ncases); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outside_vmx),   cmocka_unit_test(test_wrong_mode),       cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_vmfunc),        cmocka_unit_test(test_operand_fault),    cmocka_unit_test(test_vmxon),
        cmocka_unit_test(test_vmxon_refused), cmocka_unit_test(test_vmxon_conditions), cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_region),        cmocka_unit_test(test_fields),           cmocka_unit_test(test_high_access),
        cmocka_unit_test(test_read_only),     cmocka_unit_test(test_32bit_operands),   cmocka_unit_test(test_entry_errors),
        cmocka_unit_test(test_invept),        cmocka_unit_test(test_invvpid),          cmocka_unit_test(test_count),
        cmocka_unit_test(test_shadow_vmcs),   cmocka_unit_test(test_shadowing),        cmocka_unit_test(test_shadowing_refused),
        cmocka_unit_test(test_vmptrst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
