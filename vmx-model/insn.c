// vmx-model/insn.c: the VMX instructions.
//
// Each follows the order of its page in "VMX Instruction Reference": #UD, then the VM exit in non-root operation, then #GP(0) for
// privilege, then the operand, then VMfail. Results are the status flags: VMsucceed clears all six, VMfailInvalid sets CF,
// VMfailValid sets ZF and stores the error number in the current VMCS.
#include <string.h>

#include "isa/cr.h"
#include "isa/decode.h"
#include "isa/mem.h"
#include "vmx-model/internal.h"

void vmx_init(struct vmx_cpu *v, const struct vmx_caps *caps, unsigned maxphyaddr)
{
    memset(v, 0, sizeof *v);
    v->caps = caps;
    v->maxphyaddr = (uint8_t)maxphyaddr;
    v->vmxon_ptr = v->vmcs_ptr = VMX_NO_PTR;
    v->timer_deadline = UINT64_MAX;
}

static int succeed(struct isa_cpu *c, struct vmx_done *done)
{
    isa_set_status(c, 0);
    done->outcome = VMX_SUCCEED;
    return ISA_R_NEXT;
}

static int fail_invalid(struct isa_cpu *c, struct vmx_done *done)
{
    isa_set_status(c, ISA_FL_CF);
    done->outcome = VMX_FAIL_INVALID;
    return ISA_R_NEXT;
}

static int fail(struct isa_cpu *c, struct vmx_cpu *v, struct vmx_done *done, enum vmx_error error)
{
    if (v->vmcs_ptr == VMX_NO_PTR)
        return fail_invalid(c, done);
    isa_set_status(c, ISA_FL_ZF);
    vmcs_put(&v->vmcs, VF_VM_INSTRUCTION_ERROR, error);
    done->outcome = VMX_FAIL_VALID;
    done->error = error;
    return ISA_R_NEXT;
}

// --- operands

static unsigned operand_size(const struct isa_cpu *c) { return c->mode == ISA_LONG64 ? 8 : 4; }

// The 64-bit pointer that VMXON, VMCLEAR and VMPTRLD take from memory.
static int read_pointer(struct isa_cpu *c, const struct isa_insn *i, uint64_t *pa)
{
    uint64_t la;
    int r = isa_operand_la(c, i, 8, ISA_ACC_R, &la);
    return r ? r : isa_ld64(c, la, pa);
}

static uint64_t read_reg(const struct isa_cpu *c, unsigned reg) { return operand_size(c) == 8 ? c->gpr[reg] : isa_r32(c, reg); }

static int read_rm(struct isa_cpu *c, const struct isa_insn *i, uint64_t *val)
{
    uint64_t la;
    uint32_t v32;
    int r;
    if (!i->is_mem) {
        *val = read_reg(c, i->rm);
        return 0;
    }
    if ((r = isa_operand_la(c, i, operand_size(c), ISA_ACC_R, &la)))
        return r;
    if (operand_size(c) == 8)
        return isa_ld64(c, la, val);
    if ((r = isa_ld32(c, la, &v32)))
        return r;
    *val = v32;
    return 0;
}

static int write_rm(struct isa_cpu *c, const struct isa_insn *i, uint64_t val)
{
    uint64_t la;
    int r;
    if (!i->is_mem) {
        c->gpr[i->rm] = operand_size(c) == 8 ? val : (uint32_t)val;
        return 0;
    }
    if ((r = isa_operand_la(c, i, operand_size(c), ISA_ACC_W, &la)))
        return r;
    return operand_size(c) == 8 ? isa_st64(c, la, val) : isa_st32(c, la, (uint32_t)val);
}

// The 16-byte descriptor of INVEPT and INVVPID.
static int read_descriptor(struct isa_cpu *c, const struct isa_insn *i, uint64_t d[2])
{
    uint64_t la;
    int r = isa_operand_la(c, i, 16, ISA_ACC_R, &la);
    if (r || (r = isa_ld64(c, la, &d[0])))
        return r;
    return isa_ld64(c, c->mode == ISA_LONG64 ? la + 8 : (uint32_t)(la + 8), &d[1]);
}

static bool bad_pointer(const struct vmx_cpu *v, uint64_t pa)
{
    bool only32 = v->caps->basic >> 48 & 1;
    return (pa & 0xfff) || vmx_beyond_width(v, pa) || (only32 && pa >> 32);
}

// --- the VMCS region

static int write_back(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint8_t image[VMCS_REGION_SIZE];
    if (v->vmcs_ptr == VMX_NO_PTR)
        return 0;
    vmcs_to_image(&v->vmcs, image);
    for (unsigned n = 0; n < VMCS_OFF_FIELDS + 8 * VMCS_NFIELD; n += 8)
        vmx_phys_write(c, v->vmcs_ptr + n, image + n, 8);
    return 0;
}

static void read_region(struct isa_cpu *c, struct vmx_cpu *v, uint64_t pa)
{
    uint8_t image[VMCS_REGION_SIZE] = {0};
    for (unsigned n = 0; n < VMCS_OFF_FIELDS + 8 * VMCS_NFIELD; n += 8)
        vmx_phys_read(c, pa + n, image + n, 8);
    vmcs_from_image(&v->vmcs, image);
}

// --- VMXON and VMXOFF

static bool vmxon_state_ok(struct isa_cpu *c, const struct vmx_cpu *v)
{
    const struct vmx_caps *k = v->caps;
    bool cr0 = (c->cr0 & k->cr0_fixed0) == k->cr0_fixed0 && !(c->cr0 & ~k->cr0_fixed1);
    bool cr4 = (c->cr4 & k->cr4_fixed0) == k->cr4_fixed0 && !(c->cr4 & ~k->cr4_fixed1);
    return cr0 && cr4;
}

// IA32_FEATURE_CONTROL: locked, and VMX enabled outside SMX operation.
static bool feature_control_ok(const struct isa_cpu *c) { return (c->feature_control & 5) == 5; }

static int vmxon(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t pa;
    uint32_t revision = 0;
    int r;
    if (c->vmx == ISA_VMX_ROOT)
        return c->cpl ? isa_gp0(c, ISA_RULE_GP_CPL0) : fail(c, v, done, VMX_E_VMXON_IN_ROOT);
    if (c->cpl)
        return isa_gp0(c, ISA_RULE_GP_CPL0);
    if (!vmxon_state_ok(c, v))
        return isa_gp0(c, ISA_RULE_GP_VMXON_FIXED);
    if (!feature_control_ok(c))
        return isa_gp0(c, ISA_RULE_GP_VMXON_FEATURE);
    if ((r = read_pointer(c, i, &pa)))
        return r;
    done->operand = pa;
    if (bad_pointer(v, pa))
        return fail_invalid(c, done);
    vmx_phys_read(c, pa, &revision, 4);
    if (revision != vmx_revision(v->caps))
        return fail_invalid(c, done);
    v->on = true;
    v->vmxon_ptr = pa;
    v->vmcs_ptr = VMX_NO_PTR;
    c->vmx = ISA_VMX_ROOT;
    c->cr0_fixed0 = v->caps->cr0_fixed0, c->cr0_fixed1 = v->caps->cr0_fixed1;
    c->cr4_fixed0 = v->caps->cr4_fixed0, c->cr4_fixed1 = v->caps->cr4_fixed1;
    isa_update_mode(c);
    done->action = VMX_ACT_ON;
    return succeed(c, done);
}

static int vmxoff(struct isa_cpu *c, struct vmx_cpu *v, struct vmx_done *done)
{
    write_back(c, v);
    v->on = false;
    v->vmxon_ptr = v->vmcs_ptr = VMX_NO_PTR;
    c->vmx = ISA_VMX_OFF;
    isa_update_mode(c);
    done->action = VMX_ACT_OFF;
    return succeed(c, done);
}

// --- VMCLEAR, VMPTRLD, VMPTRST

static int vmclear(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t pa;
    int r = read_pointer(c, i, &pa);
    if (r)
        return r;
    done->operand = pa;
    if (bad_pointer(v, pa))
        return fail(c, v, done, VMX_E_VMCLEAR_BAD_ADDRESS);
    if (pa == v->vmxon_ptr)
        return fail(c, v, done, VMX_E_VMCLEAR_VMXON_POINTER);
    if (pa == v->vmcs_ptr) {
        v->vmcs.launched = false;
        write_back(c, v);
        v->vmcs_ptr = VMX_NO_PTR;
    } else {
        const uint32_t clear = 0;
        vmx_phys_write(c, pa + VMCS_OFF_LAUNCH, &clear, 4);
    }
    return succeed(c, done);
}

static int vmptrld(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t pa;
    uint32_t revision = 0;
    int r = read_pointer(c, i, &pa);
    if (r)
        return r;
    done->operand = pa;
    if (bad_pointer(v, pa))
        return fail(c, v, done, VMX_E_VMPTRLD_BAD_ADDRESS);
    if (pa == v->vmxon_ptr)
        return fail(c, v, done, VMX_E_VMPTRLD_VMXON_POINTER);
    vmx_phys_read(c, pa, &revision, 4);
    bool shadowing = v->caps->proc2 >> (32 + 14) & 1;
    if ((revision & 0x7fffffff) != vmx_revision(v->caps) || (revision >> 31 && !shadowing))
        return fail(c, v, done, VMX_E_VMPTRLD_BAD_REVISION);
    if (pa != v->vmcs_ptr) {
        write_back(c, v);
        read_region(c, v, pa);
        v->vmcs_ptr = pa;
    }
    return succeed(c, done);
}

static int vmptrst(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t la;
    int r = isa_operand_la(c, i, 8, ISA_ACC_W, &la);
    if (r || (r = isa_st64(c, la, v->vmcs_ptr)))
        return r;
    done->operand = v->vmcs_ptr;
    return succeed(c, done);
}

// --- VMREAD and VMWRITE

// The field of an encoding operand, or -1: no such field. *high: the upper half of a 64-bit field is meant.
static int field_of(const struct vmx_cpu *v, uint64_t encoding, bool *high)
{
    if (encoding >> 32)
        return -1;
    *high = encoding & 1;
    int f = vmcs_by_encoding((uint32_t)encoding);
    if (f < 0 || !vmcs_exists(v->caps, (enum vmcs_field)f) || (*high && vmcs_field_info[f].width != VMCS_W64))
        return -1;
    return f;
}

// Which VMCS VMREAD and VMWRITE access: the current one, or in non-root operation the shadow VMCS at the link pointer (VMX_NO_PTR: none).
static uint64_t accessed_vmcs(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    return c->vmx == ISA_VMX_NONROOT ? vmx_get(v, VF_VMCS_LINK_POINTER) : v->vmcs_ptr;
}

// A shadow VMCS that guests access is not cached: its fields are in the region, from which any VMPTRLD will take them.
static uint64_t get_field(struct isa_cpu *c, const struct vmx_cpu *v, enum vmcs_field f)
{
    uint64_t val = 0;
    if (c->vmx != ISA_VMX_NONROOT)
        return vmcs_get(&v->vmcs, f);
    vmx_phys_read(c, vmx_get(v, VF_VMCS_LINK_POINTER) + vmcs_image_offset(f), &val, 8);
    return vmcs_cut(f, val);
}

static void put_field(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, enum vmcs_field f, uint64_t val)
{
    if (c->vmx != ISA_VMX_NONROOT) {
        vmcs_write(&v->vmcs, f, val, isa_now(c, i), isa_insn_rip(c, i));
        return;
    }
    val = vmcs_cut(f, val);
    vmx_phys_write(c, vmx_get(v, VF_VMCS_LINK_POINTER) + vmcs_image_offset(f), &val, 8);
}

static int vmread(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t encoding = read_reg(c, i->reg);
    bool high;
    done->operand = encoding;
    if (accessed_vmcs(c, v) == VMX_NO_PTR)
        return fail_invalid(c, done);
    int f = field_of(v, encoding, &high);
    if (f < 0)
        return fail(c, v, done, VMX_E_UNSUPPORTED_FIELD);
    int r = write_rm(c, i, get_field(c, v, (enum vmcs_field)f) >> (high ? 32 : 0));
    return r ? r : succeed(c, done);
}

static int vmwrite(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t encoding = read_reg(c, i->reg), val;
    bool high;
    int r = read_rm(c, i, &val);
    if (r)
        return r;
    done->operand = encoding;
    if (accessed_vmcs(c, v) == VMX_NO_PTR)
        return fail_invalid(c, done);
    int f = field_of(v, encoding, &high);
    if (f < 0)
        return fail(c, v, done, VMX_E_UNSUPPORTED_FIELD);
    bool any = v->caps->misc >> 29 & 1; // VMWRITE may write the exit information too
    if (vmcs_read_only((enum vmcs_field)f) && !any)
        return fail(c, v, done, VMX_E_VMWRITE_READ_ONLY);
    if (high)
        val = val << 32 | (uint32_t)get_field(c, v, (enum vmcs_field)f);
    put_field(c, v, i, (enum vmcs_field)f, val);
    return succeed(c, done);
}

// Whether a VMREAD or VMWRITE of the guest goes to the shadow VMCS without a VM exit: "VMCS shadowing" is 1, the encoding has 15 bits, and
// its bit in the bitmap is 0.
static bool shadowed(struct isa_cpu *c, const struct vmx_cpu *v, const struct isa_insn *i)
{
    bool read = i->op == ISA_OP_VMREAD;
    uint64_t encoding = read_reg(c, i->reg);
    uint8_t byte = 0;
    if ((!read && i->op != ISA_OP_VMWRITE) || !(vmx_proc2(v) & VMX_PROC2_VMCS_SHADOWING) || encoding >> 15)
        return false;
    vmx_phys_read(c, vmx_get(v, read ? VF_VMREAD_BITMAP : VF_VMWRITE_BITMAP) + encoding / 8, &byte, 1);
    return !(byte >> (encoding % 8) & 1);
}

// --- INVEPT and INVVPID

static int invept(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t type = read_reg(c, i->reg), d[2];
    int r = read_descriptor(c, i, d);
    if (r)
        return r;
    done->operand = type;
    bool single = v->caps->ept_vpid >> 25 & 1, all = v->caps->ept_vpid >> 26 & 1;
    bool known = (type == 1 && single) || (type == 2 && all);
    if (!known || d[1] || (type == 1 && vmx_eptp_bad_bits(v, d[0])))
        return fail(c, v, done, VMX_E_INVALID_INV_OPERAND);
    done->action = VMX_ACT_INVEPT;
    done->a = d[0];
    return succeed(c, done);
}

static int invvpid(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint64_t type = read_reg(c, i->reg), d[2];
    int r = read_descriptor(c, i, d);
    if (r)
        return r;
    done->operand = type;
    bool known = type <= 3 && (v->caps->ept_vpid >> (40 + type) & 1);
    if (!known || d[0] >> 16 || (type != 2 && !d[0]) || (type == 0 && !isa_canonical_base(c, d[1])))
        return fail(c, v, done, VMX_E_INVALID_INV_OPERAND);
    done->action = VMX_ACT_INVVPID;
    done->a = d[0];
    done->la = d[1];
    return succeed(c, done);
}

// --- dispatch

static int exit_reason(unsigned op)
{
    switch (op) {
    case ISA_OP_VMCALL: return VMX_R_VMCALL;
    case ISA_OP_VMCLEAR: return VMX_R_VMCLEAR;
    case ISA_OP_VMLAUNCH: return VMX_R_VMLAUNCH;
    case ISA_OP_VMPTRLD: return VMX_R_VMPTRLD;
    case ISA_OP_VMPTRST: return VMX_R_VMPTRST;
    case ISA_OP_VMREAD: return VMX_R_VMREAD;
    case ISA_OP_VMRESUME: return VMX_R_VMRESUME;
    case ISA_OP_VMWRITE: return VMX_R_VMWRITE;
    case ISA_OP_VMXOFF: return VMX_R_VMXOFF;
    case ISA_OP_VMXON: return VMX_R_VMXON;
    case ISA_OP_INVEPT: return VMX_R_INVEPT;
    case ISA_OP_INVVPID: return VMX_R_INVVPID;
    default: return -1;
    }
}

// In non-root operation every VMX instruction exits, but VMFUNC, and VMREAD and VMWRITE of a shadow VMCS.
static int exit_for(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i)
{
    bool has_operand = i->op != ISA_OP_VMCALL && i->op != ISA_OP_VMLAUNCH && i->op != ISA_OP_VMRESUME && i->op != ISA_OP_VMXOFF;
    int r = vmx_exit_record(v, (uint32_t)exit_reason(i->op), has_operand ? vmx_displacement(c, i) : 0, i);
    if (has_operand)
        v->exit.insn_info = vmx_operand_info(c, i);
    return r;
}

static bool supported(const struct vmx_cpu *v, unsigned op)
{
    if (op == ISA_OP_INVEPT)
        return v->caps->ept_vpid >> 20 & 1;
    if (op == ISA_OP_INVVPID)
        return v->caps->ept_vpid >> 32 & 1;
    return exit_reason(op) >= 0;
}

static bool wrong_mode(const struct isa_cpu *c)
{
    return !(c->cr0 & ISA_CR0_PE) || c->mode == ISA_V86 || (isa_long(c) && !isa_code64(c));
}

static int run(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    switch (i->op) {
    case ISA_OP_VMCALL: return fail(c, v, done, VMX_E_VMCALL_IN_ROOT);
    case ISA_OP_VMXOFF: return vmxoff(c, v, done);
    case ISA_OP_VMCLEAR: return vmclear(c, v, i, done);
    case ISA_OP_VMPTRLD: return vmptrld(c, v, i, done);
    case ISA_OP_VMPTRST: return vmptrst(c, v, i, done);
    case ISA_OP_VMREAD: return vmread(c, v, i, done);
    case ISA_OP_VMWRITE: return vmwrite(c, v, i, done);
    case ISA_OP_INVEPT: return invept(c, v, i, done);
    case ISA_OP_INVVPID: return invvpid(c, v, i, done);
    default: break;
    }
    if (v->vmcs_ptr == VMX_NO_PTR || v->vmcs.shadow)
        return fail_invalid(c, done);
    bool launch = i->op == ISA_OP_VMLAUNCH;
    if (c->blocking & ISA_BLOCK_MOVSS)
        return fail(c, v, done, VMX_E_BLOCKED_BY_MOV_SS);
    if (launch == v->vmcs.launched)
        return fail(c, v, done, launch ? VMX_E_VMLAUNCH_NONCLEAR : VMX_E_VMRESUME_NONLAUNCHED);
    v->report.cycle = isa_now(c, i);
    v->report.rip = isa_insn_rip(c, i);
    int r = vmx_enter(c, v, launch, done);
    return r == ISA_R_NEXT ? fail(c, v, done, (enum vmx_error)v->report.error) : r;
}

int vmx_insn(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    memset(done, 0, sizeof *done);
    if (c->vmx == ISA_VMX_ROOT && c->mode == ISA_LONG64 && !c->cpl) { // a VMM's, most often: nothing below concerns them
        if (i->op == ISA_OP_VMREAD)
            return vmread(c, v, i, done);
        if (i->op == ISA_OP_VMWRITE)
            return vmwrite(c, v, i, done);
    }
    if (i->op == ISA_OP_VMFUNC) // the one that is for guests, in any mode and at any CPL
        return vmx_vmfunc(c, v, i, done);
    if (!supported(v, i->op))
        return isa_ud(c, ISA_RULE_UD_FEATURE);
    if (i->op == ISA_OP_VMXON) {
        if (wrong_mode(c))
            return isa_ud(c, ISA_RULE_UD_MODE);
        if (!(c->cr4 & ISA_CR4_VMXE))
            return isa_ud(c, ISA_RULE_UD_VMXE);
        return c->vmx == ISA_VMX_NONROOT ? exit_for(c, v, i) : vmxon(c, v, i, done);
    }
    if (c->vmx == ISA_VMX_OFF)
        return isa_ud(c, ISA_RULE_UD_NOT_VMX);
    if (c->vmx == ISA_VMX_NONROOT && i->op == ISA_OP_VMCALL)
        return exit_for(c, v, i); // in any mode
    if (wrong_mode(c))
        return isa_ud(c, ISA_RULE_UD_MODE);
    if (c->vmx == ISA_VMX_NONROOT && !shadowed(c, v, i))
        return exit_for(c, v, i);
    if (c->cpl)
        return isa_gp0(c, ISA_RULE_GP_CPL0);
    return run(c, v, i, done);
}
