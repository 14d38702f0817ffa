// vmx-model/insn_fuzz.c: random sequences of VMX instructions on random region images, in root operation and as the guest of a VMM that
// uses VMCS shadowing and VM functions.
//
// The first byte chooses the operation and the processor; records of 12 bytes (instruction, operand, register) follow, and what remains fills the regions.
// PROMISES   no crash, no finding of a sanitizer; each instruction ends in success, one of the two failures, a fault or a VM exit, and
//            the current-VMCS pointer stays a page inside the physical-address width.
#define TV_NO_CMOCKA
#include "vmx-model/testvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    uint8_t code[5], n;
} insn[] = {
    {{0xf3, 0x0f, 0xc7, 0x30}, 4},       // vmxon [rax]
    {{0x0f, 0x01, 0xc4}, 3},             // vmxoff
    {{0x66, 0x0f, 0xc7, 0x30}, 4},       // vmclear [rax]
    {{0x0f, 0xc7, 0x30}, 3},             // vmptrld [rax]
    {{0x0f, 0xc7, 0x38}, 3},             // vmptrst [rax]
    {{0x0f, 0x01, 0xc1}, 3},             // vmcall
    {{0x0f, 0x01, 0xc2}, 3},             // vmlaunch
    {{0x0f, 0x01, 0xc3}, 3},             // vmresume
    {{0x0f, 0x01, 0xd4}, 3},             // vmfunc
    {{0x0f, 0x78, 0xcb}, 3},             // vmread rbx, rcx
    {{0x0f, 0x78, 0x08}, 3},             // vmread [rax], rcx
    {{0x0f, 0x79, 0xcb}, 3},             // vmwrite rcx, rbx
    {{0x0f, 0x79, 0x08}, 3},             // vmwrite rcx, [rax]
    {{0x66, 0x0f, 0x38, 0x80, 0x08}, 5}, // invept rcx, [rax]
    {{0x66, 0x0f, 0x38, 0x81, 0x08}, 5}, // invvpid rcx, [rax]
};
#define NINSN (sizeof insn / sizeof *insn)

static void fill(const uint8_t *p, size_t n)
{
    for (unsigned at = TV_VMCS; n && at + n < TV_STACK; at += 0x1000)
        memcpy(isa_te_at(tv.t, at), p, n < 0x1000 ? n : 0x1000);
}

static void as_guest(void)
{
    tv_set(VF_SECONDARY_VM_EXEC_CONTROL,
           tv_get(VF_SECONDARY_VM_EXEC_CONTROL) | VMX_PROC2_VMCS_SHADOWING | VMX_PROC2_ENABLE_VMFUNC | VMX_PROC2_EPT_VIOLATION_VE);
    tv_set(VF_VM_FUNCTION_CONTROL, 1);
    tv_set(VF_EPTP_LIST_ADDRESS, TV_AREA);
    tv_set(VF_VMREAD_BITMAP, TV_IO_A);
    tv_set(VF_VMWRITE_BITMAP, TV_IO_B);
    tv_set(VF_VMCS_LINK_POINTER, TV_VMCS2);
    tv.c->vmx = ISA_VMX_NONROOT;
}

static void one(const uint8_t *rec, bool guest)
{
    static const uint64_t pointer[] = {TV_VMXON, TV_VMCS, TV_VMCS2, TV_DATA, TV_AREA, 1, 1ull << TV_WIDTH, VMX_NO_PTR};
    uint64_t val;
    unsigned k = rec[0] % NINSN;
    memcpy(&val, rec + 4, 8);
    if (!(rec[1] & 1))
        val = pointer[rec[1] >> 1 & 7];
    tv_w64(TV_DATA, val);
    tv.c->gpr[ISA_RAX] = k == 8 ? rec[2] : TV_DATA; // VMFUNC takes the function there
    tv.c->gpr[ISA_RBX] = val;
    tv.c->gpr[ISA_RCX] = rec[3] & 0x80 ? val : vmcs_field_info[rec[2] % VMCS_NFIELD].encoding | (rec[3] & 1);
    if (k >= 13 || k == 8)
        tv.c->gpr[ISA_RCX] = rec[3];
    isa_te_code(tv.t, TV_HOST, insn[k].code, insn[k].n);
    int r = isa_te_run(tv.t, 1);
    assert(r == ISA_R_STOP || r == ISA_R_FAULT || (r == ISA_R_VMEXIT && guest));
    assert(tv.v.vmcs_ptr == VMX_NO_PTR || (!(tv.v.vmcs_ptr & 0xfff) && !(tv.v.vmcs_ptr >> TV_WIDTH)));
    assert(!guest || (tv.v.vmcs_ptr == TV_VMCS && vmx_eptp_bad_bits(&tv.v, tv_get(VF_EPT_POINTER)) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bool guest = data[0] & 1;
    unsigned count = data[1] & 15;
    const uint8_t *rest = data + 2;
    size_t left = size - 2;
    tv_golden(TV_64);
    if (data[0] & 2)
        tv.caps = vmx_caps_later;
    if (data[0] & 4)
        tv_with_mpx();
    size_t records = 12u * count < left ? count : left / 12;
    fill(rest + 12 * records, left - 12 * records);
    if (guest)
        as_guest();
    for (size_t n = 0; n < records; n++) {
        if (tv.c->vmx == ISA_VMX_NONROOT && !guest) // a VM entry succeeded: guest code is the other target's
            break;
        if (tv.c->mode != ISA_LONG64) // a failed entry loaded a host that is none
            break;
        one(rest + 12 * n, guest);
    }
    tv_close();
    return 0;
}
