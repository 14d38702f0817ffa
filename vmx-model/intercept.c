// vmx-model/intercept.c: which instructions of the guest exit, and what the guest sees where they do not.
//
// The simple ones are rows of vmx-model/intercepts.def; the functions here serve the rows that say FN. Each returns 0 (go on, with
// *val changed where masks, shadows or offsets apply), ISA_ICPT_DONE, ISA_R_VMEXIT with the record in v->exit, or ISA_R_FAULT.
#include "isa/exec.h"
#include "isa/msr.h"
#include "vmx-model/internal.h"

// --- instruction information (manual, "VM-Exit Instruction-Information Field")
//    1:0 scaling  6:3 register 1  9:7 address size  10 register operand  17:15 segment  21:18 index  22 no index  26:23 base
//    27 no base  31:28 register 2
uint32_t vmx_operand_info(const struct isa_cpu *c, const struct isa_insn *i)
{
    uint32_t reg2 = (uint32_t)(i->reg & 15) << 28;
    if (!i->is_mem)
        return 1u << 10 | (uint32_t)(i->rm & 15) << 3 | reg2;
    uint32_t info = reg2 | (i->asz == 8 ? 2u : i->asz == 4 ? 1u : 0u) << 7 | (uint32_t)i->seg << 15;
    info |= i->index < 16 ? i->scale | (uint32_t)i->index << 18 : 1u << 22;
    info |= i->base < 16 ? (uint32_t)i->base << 23 : 1u << 27;
    return info;
}

uint64_t vmx_displacement(const struct isa_cpu *c, const struct isa_insn *i)
{
    if (!i->is_mem)
        return 0;
    uint64_t d = i->base == ISA_REG_RIP ? c->gpr[ISA_REG_RIP] + i->disp : i->disp;
    return c->mode == ISA_LONG64 ? d : (uint32_t)d;
}

// LGDT and its kin: operand size in bit 11; which of the four in bits 29..28, in another order than ModRM.reg has it.
static uint32_t dtr_info(const struct isa_cpu *c, const struct isa_insn *i, bool tables)
{
    unsigned which = i->modrm >> 3 & 3; // SGDT SIDT LGDT LIDT, or SLDT STR LLDT LTR
    uint32_t info = vmx_operand_info(c, i) & ~(15u << 28);
    if (tables && c->mode != ISA_LONG64 && i->osz == 4)
        info |= 1u << 11;
    return info | which << 28;
}

static uint32_t rand_info(const struct isa_insn *i)
{
    return (uint32_t)(i->rm & 15) << 3 | (i->osz == 8 ? 2u : i->osz == 4 ? 1u : 0u) << 11;
}

// --- control registers
//    qualification: 3:0 CR  5:4 access (0 MOV to, 1 MOV from, 2 CLTS, 3 LMSW)  6 LMSW from memory  11:8 register  31:16 LMSW source
enum { CR_TO, CR_FROM, CR_CLTS, CR_LMSW };

static int cr_exit(struct vmx_cpu *v, const struct isa_insn *i, unsigned cr, unsigned access, unsigned reg, uint64_t more)
{
    return vmx_exit_record(v, VMX_R_CR_ACCESS, cr | access << 4 | (uint64_t)reg << 8 | more, i);
}

static bool is_cr3_target(const struct vmx_cpu *v, uint64_t val)
{
    for (unsigned n = 0; n < vmx_get(v, VF_CR3_TARGET_COUNT) && n < 4; n++)
        if (vmx_get(v, VF_CR3_TARGET_VALUE0 + n) == val)
            return true;
    return false;
}

static int mov_to_cr(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint64_t arg, uint64_t *val)
{
    unsigned cr = arg & 0xff, reg = arg >> 8 & 15;
    bool zero = cr == 0;
    if (cr == 3) {
        bool exits = (vmx_proc(v) & VMX_PROC_CR3_LOAD_EXITING) && !is_cr3_target(v, *val);
        return exits ? cr_exit(v, i, cr, CR_TO, reg, 0) : 0;
    }
    if (cr == 8)
        return vmx_proc(v) & VMX_PROC_CR8_LOAD_EXITING ? cr_exit(v, i, cr, CR_TO, reg, 0) : vmx_write_cr8(c, v, *val);
    if (cr != 0 && cr != 4)
        return 0;
    uint64_t mask = vmx_get(v, zero ? VF_CR0_GUEST_HOST_MASK : VF_CR4_GUEST_HOST_MASK);
    uint64_t shadow = vmx_get(v, zero ? VF_CR0_READ_SHADOW : VF_CR4_READ_SHADOW);
    if ((*val ^ shadow) & mask)
        return cr_exit(v, i, cr, CR_TO, reg, 0);
    *val = (*val & ~mask) | ((zero ? c->cr0 : c->cr4) & mask);
    return 0;
}

static int mov_from_cr(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint64_t arg, uint64_t *val)
{
    unsigned cr = arg & 0xff, reg = arg >> 8 & 15;
    if (cr == 3)
        return vmx_proc(v) & VMX_PROC_CR3_STORE_EXITING ? cr_exit(v, i, cr, CR_FROM, reg, 0) : 0;
    if (cr == 8) {
        if (vmx_proc(v) & VMX_PROC_CR8_STORE_EXITING)
            return cr_exit(v, i, cr, CR_FROM, reg, 0);
        vmx_read_cr8(c, v, val);
        return 0;
    }
    if (cr != 0 && cr != 4)
        return 0;
    uint64_t mask = vmx_get(v, cr == 0 ? VF_CR0_GUEST_HOST_MASK : VF_CR4_GUEST_HOST_MASK);
    uint64_t shadow = vmx_get(v, cr == 0 ? VF_CR0_READ_SHADOW : VF_CR4_READ_SHADOW);
    *val = (*val & ~mask) | (shadow & mask);
    return 0;
}

static int clts(struct vmx_cpu *v, const struct isa_insn *i, uint64_t *val)
{
    uint64_t mask = vmx_get(v, VF_CR0_GUEST_HOST_MASK), shadow = vmx_get(v, VF_CR0_READ_SHADOW);
    if (!(mask & ISA_CR0_TS))
        *val &= ~(uint64_t)ISA_CR0_TS;
    else if (shadow & ISA_CR0_TS)
        return cr_exit(v, i, 0, CR_CLTS, 0, 0);
    return 0; // the guest thinks TS is clear already
}

// LMSW can set PE, not clear it: only a host-owned PE that reads 0 and would become 1 exits.
static int lmsw(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint64_t arg, uint64_t *val)
{
    uint64_t mask = vmx_get(v, VF_CR0_GUEST_HOST_MASK) & 0xf, shadow = vmx_get(v, VF_CR0_READ_SHADOW);
    uint64_t change = (*val ^ shadow) & mask;
    bool pe = change & *val & ISA_CR0_PE;
    if (pe || (change & 0xe)) {
        int r = cr_exit(v, i, 0, CR_LMSW, 0, (*val & 0xffff) << 16 | (arg & 1) << 6);
        if (arg & 1)
            v->exit.gla = arg >> 1;
        return r;
    }
    *val = (*val & 0xf & ~mask) | (c->cr0 & mask);
    return 0;
}

// --- time, INVPCID

// Instructions that are #UD in non-root operation unless a control enables them: that goes before any other fault of theirs.
static int enabled(struct isa_cpu *c, const struct vmx_cpu *v, uint32_t proc2)
{
    return vmx_proc2(v) & proc2 ? 0 : isa_ud(c, ISA_RULE_UD_VMX_CONTROL);
}

static int rdtsc(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, bool rdtscp, uint64_t *val)
{
    if (vmx_proc(v) & VMX_PROC_RDTSC_EXITING)
        return vmx_exit_record(v, rdtscp ? VMX_R_RDTSCP : VMX_R_RDTSC, 0, i);
    if (val)
        *val = vmx_guest_tsc(v, *val);
    return 0;
}

uint64_t vmx_guest_tsc(const struct vmx_cpu *v, uint64_t tsc)
{
    if (!(vmx_proc(v) & VMX_PROC_TSC_OFFSETTING))
        return tsc;
    if (vmx_proc2(v) & VMX_PROC2_USE_TSC_SCALING) // a factor with 48 fraction bits; the product has 128 bits
        tsc = (uint64_t)((unsigned __int128)tsc * vmx_get(v, VF_TSC_MULTIPLIER) >> 48);
    return tsc + vmx_get(v, VF_TSC_OFFSET);
}

// "PAUSE-loop exiting" counts at CPL 0 and without "PAUSE exiting" only. PAUSEs no further apart than the gap are a loop; a loop that is
// older than the window exits. Time is that of the time-stamp counter.
static int pause_insn(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i)
{
    if (vmx_proc(v) & VMX_PROC_PAUSE_EXITING)
        return vmx_exit_record(v, VMX_R_PAUSE, 0, i);
    if (!(vmx_proc2(v) & VMX_PROC2_PAUSE_LOOP_EXITING) || c->cpl)
        return 0;
    uint64_t now = isa_now(c, i);
    if (!v->pause_last || now - v->pause_last > vmx_get(v, VF_PLE_GAP))
        v->pause_first = now;
    v->pause_last = now;
    if (now - v->pause_first <= vmx_get(v, VF_PLE_WINDOW))
        return 0;
    return vmx_exit_record(v, VMX_R_PAUSE, 0, i);
}

static int operand_exit(const struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, const struct isa_insn *i)
{
    int r = vmx_exit_record(v, reason, vmx_displacement(c, i), i);
    v->exit.insn_info = vmx_operand_info(c, i);
    return r;
}

static int invpcid(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i)
{
    return vmx_proc(v) & VMX_PROC_INVLPG_EXITING ? operand_exit(c, v, VMX_R_INVPCID, i) : 0;
}

// components: those that EDX:EAX asks for and IA32_XSS enables. #GP(0) above ring 0 goes before the exit: the instruction raises it.
static int supervisor_xsave(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint32_t reason, uint64_t components)
{
    int r = enabled(c, v, VMX_PROC2_ENABLE_XSAVES);
    bool exits = !c->cpl && (components & vmx_get(v, VF_XSS_EXIT_BITMAP));
    return r || !exits ? r : operand_exit(c, v, reason, i);
}

// --- MSRs and ports

// Four bitmaps of 1 KB: read low (0..1FFFH), read high (C0000000H..C0001FFFH), write low, write high. Other MSRs exit.
static bool msr_exits(struct isa_cpu *c, const struct vmx_cpu *v, uint32_t msr, bool write)
{
    uint8_t byte = 0;
    uint32_t n = msr & 0x1fff;
    bool high = msr - 0xc0000000u < 0x2000;
    if (!(vmx_proc(v) & VMX_PROC_USE_MSR_BITMAPS) || (!high && msr >= 0x2000))
        return true;
    vmx_phys_read(c, vmx_get(v, VF_MSR_BITMAP) + (write ? 0x800 : 0) + (high ? 0x400 : 0) + n / 8, &byte, 1);
    return byte >> (n % 8) & 1;
}

static int msr_access(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint32_t msr, bool write, uint64_t *val)
{
    if (msr_exits(c, v, msr, write))
        return vmx_exit_record(v, write ? VMX_R_WRMSR : VMX_R_RDMSR, 0, i);
    if (!write && msr == ISA_MSR_TSC && val)
        *val = vmx_guest_tsc(v, *val);
    return vmx_x2apic(c, v, msr, write, val);
}

static bool port_exits(struct isa_cpu *c, const struct vmx_cpu *v, unsigned port, unsigned size)
{
    if (!(vmx_proc(v) & VMX_PROC_USE_IO_BITMAPS))
        return vmx_proc(v) & VMX_PROC_UNCONDITIONAL_IO_EXITING;
    for (unsigned n = 0; n < size; n++, port++) {
        uint8_t byte = 0;
        if (port > 0xffff)
            return true; // an access that wraps around exits
        vmx_phys_read(c, vmx_get(v, port < 0x8000 ? VF_IO_BITMAP_A : VF_IO_BITMAP_B) + (port & 0x7fff) / 8, &byte, 1);
        if (byte >> (port % 8) & 1)
            return true;
    }
    return false;
}

//    qualification: 2:0 size - 1  3 IN  4 string  5 REP  6 immediate port  31:16 port
static int io(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint64_t arg, const uint64_t *val)
{
    unsigned port = arg & 0xffff, size = arg >> 16 & 0xff;
    uint64_t in = arg >> 24 & 1, string = arg >> 25 & 1, rep = arg >> 26 & 1, imm = arg >> 27 & 1;
    if (!port_exits(c, v, port, size))
        return 0;
    int r = vmx_exit_record(v, VMX_R_IO_INSTRUCTION,
                            (size - 1) | in << 3 | string << 4 | rep << 5 | imm << 6 | (uint64_t)port << 16, i);
    if (string) {
        v->exit.gla = val ? *val : 0;
        v->exit.insn_info = (i->asz == 8 ? 2u : i->asz == 4 ? 1u : 0u) << 7 | (in ? 0 : (uint32_t)i->seg << 15);
    }
    return r;
}

static int task_switch(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, uint64_t arg)
{
    int r = vmx_exit_record(v, VMX_R_TASK_SWITCH, (arg & 0xffff) | (arg & 3ull << 30), i);
    if (!i && c->delivering_valid)
        v->exit.insn_len = c->delivering.insn_len;
    return r;
}

// --- the table

enum info { INFO_NONE, INFO_ADDRESS, INFO_DESC, INFO_DTR_TABLE, INFO_DTR_SEL, INFO_RAND, INFO_DR };
enum word { WORD_ALWAYS, WORD_FN, WORD_PIN, WORD_PROC, WORD_PROC2 };
static const struct {
    uint8_t reason, word, info;
    uint32_t control;
} intercept[ISA_ICPT_NUM] = {
#define I(point, reason, word, control, info, text) [ISA_ICPT_##point] = {VMX_R_##reason, WORD_##word, INFO_##info, control},
#include "vmx-model/intercepts.def"
#undef I
};

static int by_function(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, enum isa_icpt point, uint64_t arg,
                       uint64_t *val)
{
    switch (point) {
    case ISA_ICPT_PAUSE: return pause_insn(c, v, i);
    case ISA_ICPT_RDTSC: return rdtsc(c, v, i, false, val);
    case ISA_ICPT_RDTSCP: return rdtsc(c, v, i, true, val);
    case ISA_ICPT_RDPID: return enabled(c, v, VMX_PROC2_ENABLE_RDTSCP);
    case ISA_ICPT_INVPCID_ENABLED: return enabled(c, v, VMX_PROC2_ENABLE_INVPCID);
    case ISA_ICPT_XSAVES: return supervisor_xsave(c, v, i, VMX_R_XSAVES, arg);
    case ISA_ICPT_XRSTORS: return supervisor_xsave(c, v, i, VMX_R_XRSTORS, arg);
    case ISA_ICPT_INVPCID: return invpcid(c, v, i);
    case ISA_ICPT_RDMSR: return msr_access(c, v, i, (uint32_t)arg, false, val);
    case ISA_ICPT_WRMSR: return msr_access(c, v, i, (uint32_t)arg, true, val);
    case ISA_ICPT_MOV_TO_CR: return mov_to_cr(c, v, i, arg, val);
    case ISA_ICPT_MOV_FROM_CR: return mov_from_cr(c, v, i, arg, val);
    case ISA_ICPT_CLTS: return clts(v, i, val);
    case ISA_ICPT_LMSW: return lmsw(c, v, i, arg, val);
    case ISA_ICPT_SMSW: return mov_from_cr(c, v, i, 0, val);
    case ISA_ICPT_IO: return io(c, v, i, arg, val);
    case ISA_ICPT_TASK_SWITCH: return task_switch(c, v, i, arg);
    default: return 0;
    }
}

static void add_info(const struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, enum info info, uint64_t arg)
{
    switch (info) {
    case INFO_NONE: break;
    case INFO_ADDRESS: v->exit.qual = arg; break;
    case INFO_DR: v->exit.qual = (arg & 7) | (arg >> 16 & 1) << 4 | (arg >> 8 & 15) << 8; break;
    case INFO_RAND: v->exit.insn_info = rand_info(i); break;
    case INFO_DTR_TABLE:
    case INFO_DTR_SEL:
        v->exit.insn_info = dtr_info(c, i, info == INFO_DTR_TABLE);
        v->exit.qual = vmx_displacement(c, i);
        break;
    case INFO_DESC:
        v->exit.insn_info = vmx_operand_info(c, i);
        v->exit.qual = vmx_displacement(c, i);
        break;
    }
}

int vmx_intercept(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val)
{
    uint32_t word;
    switch ((enum word)intercept[point].word) {
    case WORD_FN: return by_function(c, v, i, point, arg, val);
    case WORD_PIN: word = vmx_pin(v); break;
    case WORD_PROC: word = vmx_proc(v); break;
    case WORD_PROC2: word = vmx_proc2(v); break;
    default: word = ~0u; break;
    }
    if (intercept[point].word != WORD_ALWAYS && !(word & intercept[point].control))
        return 0;
    int r = vmx_exit_record(v, intercept[point].reason, 0, i);
    add_info(c, v, i, (enum info)intercept[point].info, arg);
    return r;
}
