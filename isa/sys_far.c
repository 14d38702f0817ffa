// isa/sys_far.c: far transfers, software interrupts, IRET, SYSCALL and SYSENTER with their returns. All set c->rip.
#include "isa/deliver.h"
#include "isa/far.h"
#include "isa/farcs.h"
#include "isa/mem.h"
#include "isa/sysop.h"

// --- far JMP, CALL, RET

static int far_pointer(struct isa_cpu *c, const struct isa_insn *i, uint16_t *sel, uint64_t *off)
{
    uint64_t la;
    int r;
    if ((r = isa_operand_la(c, i, i->osz + 2u, ISA_ACC_R, &la)))
        return r;
    *off = 0;
    if ((r = isa_ld_slow(c, la, off, i->osz, ISA_ACC_R)))
        return r;
    return isa_ld16(c, la + i->osz, sel);
}

ISA_SYSOP(jmp_far_ptr) { return isa_far_jmp(c, i, (uint16_t)(i->imm >> 32), (uint32_t)i->imm, i->osz); }
ISA_SYSOP(call_far_ptr) { return isa_far_call(c, i, (uint16_t)(i->imm >> 32), (uint32_t)i->imm, i->osz); }

ISA_SYSOP(jmp_far_mem)
{
    uint16_t sel;
    uint64_t off;
    int r = far_pointer(c, i, &sel, &off);
    return r ? r : isa_far_jmp(c, i, sel, off, i->osz);
}

ISA_SYSOP(call_far_mem)
{
    uint16_t sel;
    uint64_t off;
    int r = far_pointer(c, i, &sel, &off);
    return r ? r : isa_far_call(c, i, sel, off, i->osz);
}

ISA_SYSOP(ret_far) { return isa_far_ret(c, i, i->osz, 0); }
ISA_SYSOP(ret_far_i) { return isa_far_ret(c, i, i->osz, (uint16_t)i->imm); }
ISA_SYSOP(iret) { return isa_iret(c, i, i->osz); }

// --- software interrupts

static int software_int(struct isa_cpu *c, const struct isa_insn *i, enum isa_event_type type, unsigned vector)
{
    struct isa_event e = {.type = type, .vector = (uint8_t)vector, .insn_len = i->len};
    uint64_t rip = isa_insn_rip(c, i);
    c->rip = c->mode == ISA_LONG64 ? rip : (uint32_t)rip;
    return isa_deliver_software(c, &e);
}

ISA_SYSOP(int_n)
{
    if (c->mode == ISA_V86 && !isa_iopl_ok(c))
        return isa_gp0(c, ISA_RULE_GP_V86_IOPL);
    return software_int(c, i, ISA_EV_SWINT, (uint8_t)i->imm);
}
ISA_SYSOP(int3) { return software_int(c, i, ISA_EV_SWEXC, ISA_X_BP); }
ISA_SYSOP(int1) { return software_int(c, i, ISA_EV_PRIVSW, ISA_X_DB); }
ISA_SYSOP(into)
{
    if (isa_of(c))
        return software_int(c, i, ISA_EV_SWEXC, ISA_X_OF);
    c->rip = isa_next_rip(c, i);
    return 0;
}

// --- SYSCALL, SYSENTER: flat segments are loaded without reading descriptors

#define AR_CODE64 0xa09bu // present, code, readable, accessed; L
#define AR_CODE32 0xc09bu // the same; D
#define AR_DATA   0xc093u

static struct isa_seg flat(uint16_t sel, uint32_t ar, unsigned dpl)
{
    return (struct isa_seg){.sel = sel, .limit = 0xffffffff, .ar = ar | dpl << ISA_AR_DPL_SHIFT};
}

static void enter(struct isa_cpu *c, uint16_t cs, uint16_t ss, uint32_t code, unsigned cpl, uint64_t rip)
{
    struct isa_seg stack = flat(ss, AR_DATA, cpl);
    isa_cs_commit(c, flat(cs, code, cpl), &stack, cpl, rip);
}

ISA_SYSOP(syscall)
{
    if (!(c->efer & ISA_EFER_SCE))
        return isa_ud(c, ISA_RULE_UD_SCE);
    uint16_t cs = (uint16_t)(c->star >> 32) & 0xfffc;
    c->gpr[ISA_RCX] = isa_next_rip(c, i);
    c->gpr[ISA_R11] = isa_rflags(c) & ~(uint64_t)ISA_FL_RF;
    isa_set_rflags(c, isa_rflags(c) & ~(c->fmask | ISA_FL_RF));
    enter(c, cs, cs + 8, AR_CODE64, 0, c->lstar);
    return 0;
}

ISA_SYSOP(sysret)
{
    if (!(c->efer & ISA_EFER_SCE))
        return isa_ud(c, ISA_RULE_UD_SCE);
    int r = isa_need_cpl0(c);
    if (r)
        return r;
    bool wide = i->osz == 8;
    uint64_t rip = wide ? c->gpr[ISA_RCX] : isa_r32(c, ISA_RCX);
    if (!isa_canonical(c, rip))
        return isa_gp0(c, ISA_RULE_GP_RIP_CANONICAL);
    uint16_t base = (uint16_t)(c->star >> 48);
    isa_set_rflags(c, c->gpr[ISA_R11] & 0x3c7fd7);
    isa_flags_loaded(c);
    enter(c, (uint16_t)(base + (wide ? 16 : 0)) | 3, (uint16_t)(base + 8) | 3, wide ? AR_CODE64 : AR_CODE32, 3, rip);
    return 0;
}

static int sysenter_check(struct isa_cpu *c)
{
    if (c->mode == ISA_REAL)
        return isa_gp0(c, ISA_RULE_GP_SYSENTER_REAL);
    return c->sysenter_cs & 0xfffc ? 0 : isa_gp0(c, ISA_RULE_GP_SYSENTER_CS);
}

ISA_SYSOP(sysenter)
{
    int r = sysenter_check(c);
    if (r)
        return r;
    bool wide = isa_long(c);
    uint16_t cs = (uint16_t)c->sysenter_cs & 0xfffc;
    isa_set_rflags(c, isa_rflags(c) & ~(uint64_t)(ISA_FL_VM | ISA_FL_IF | ISA_FL_RF));
    enter(c, cs, cs + 8, wide ? AR_CODE64 : AR_CODE32, 0, wide ? c->sysenter_eip : (uint32_t)c->sysenter_eip);
    c->gpr[ISA_RSP] = wide ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    return 0;
}

ISA_SYSOP(sysexit)
{
    int r = sysenter_check(c);
    if (r || (r = isa_need_cpl0(c)))
        return r;
    bool wide = i->osz == 8;
    uint64_t rip = wide ? c->gpr[ISA_RDX] : isa_r32(c, ISA_RDX), rsp = wide ? c->gpr[ISA_RCX] : isa_r32(c, ISA_RCX);
    if (wide && (!isa_canonical(c, rip) || !isa_canonical(c, rsp)))
        return isa_gp0(c, ISA_RULE_GP_RIP_CANONICAL);
    uint16_t base = (uint16_t)c->sysenter_cs;
    enter(c, (uint16_t)(base + (wide ? 32 : 16)) | 3, (uint16_t)(base + (wide ? 40 : 24)) | 3, wide ? AR_CODE64 : AR_CODE32, 3,
          rip);
    c->gpr[ISA_RSP] = rsp;
    return 0;
}
