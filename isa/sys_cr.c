// isa/sys_cr.c: MOV CR, MOV DR, CLTS, LMSW, SMSW, RDMSR, WRMSR, XGETBV, XSETBV.
#include "isa/cr.h"
#include "isa/fpu.h"
#include "isa/mem.h"
#include "isa/msr.h"
#include "isa/sysop.h"
#include "isa/tables.h"

static uint64_t operand_mask(const struct isa_cpu *c) { return c->mode == ISA_LONG64 ? UINT64_MAX : UINT32_MAX; }

static bool cr_exists(const struct isa_cpu *c, unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || (n == 8 && c->mode == ISA_LONG64);
}

ISA_SYSOP(mov_r_c)
{
    unsigned n = i->reg;
    int r;
    if (!cr_exists(c, n))
        return isa_ud(c, ISA_RULE_UD_CR);
    if ((r = isa_need_cpl0(c)))
        return r;
    uint64_t v = n == 0 ? c->cr0 : n == 2 ? c->cr2 : n == 3 ? c->cr3 : n == 4 ? c->cr4 : c->cr8;
    if (n != 2 && (r = isa_icpt(c, i, ISA_ICPT_MOV_FROM_CR, n | (uint64_t)i->rm << 8, &v)))
        return r;
    c->gpr[i->rm] = v & operand_mask(c);
    return 0;
}

ISA_SYSOP(mov_c_r)
{
    unsigned n = i->reg;
    int r;
    if (!cr_exists(c, n))
        return isa_ud(c, ISA_RULE_UD_CR);
    if ((r = isa_need_cpl0(c)))
        return r;
    uint64_t v = c->gpr[i->rm] & operand_mask(c);
    if (n != 2 && (r = isa_icpt(c, i, ISA_ICPT_MOV_TO_CR, n | (uint64_t)i->rm << 8, &v)))
        return r == ISA_ICPT_DONE ? 0 : r;
    switch (n) {
    case 0: return isa_set_cr0(c, v);
    case 2: {
        uint64_t old = c->cr2;
        c->cr2 = v;
        c->env->on_cr(c, 2, old, v);
        return 0;
    }
    case 3: return isa_set_cr3(c, v);
    case 4: return isa_set_cr4(c, v);
    default: return isa_set_cr8(c, v);
    }
}

// What MOV to and from a debug register have in common; *n: the register that DR4 and DR5 stand for.
static int dr_access(struct isa_cpu *c, const struct isa_insn *i, bool from, unsigned *n)
{
    int r;
    *n = i->reg;
    if (*n > 7)
        return isa_ud(c, ISA_RULE_UD_CR);
    if (*n == 4 || *n == 5) {
        if (c->cr4 & ISA_CR4_DE)
            return isa_ud(c, ISA_RULE_UD_DR_DE);
        *n += 2;
    }
    if ((r = isa_need_cpl0(c)) || (r = isa_icpt(c, i, ISA_ICPT_MOV_DR, i->reg | (uint64_t)i->rm << 8 | (uint64_t)from << 16, NULL)))
        return r;
    return c->dr[7] & ISA_DR7_GD ? isa_raise_db(c, ISA_DR6_BD, ISA_RULE_DB_GD) : 0;
}

ISA_SYSOP(mov_r_d)
{
    unsigned n;
    int r = dr_access(c, i, true, &n);
    if (!r)
        c->gpr[i->rm] = isa_get_dr(c, n) & operand_mask(c);
    return r;
}

ISA_SYSOP(mov_d_r)
{
    unsigned n;
    int r = dr_access(c, i, false, &n);
    return r ? r : isa_set_dr(c, n, c->gpr[i->rm] & operand_mask(c));
}

ISA_SYSOP(clts)
{
    uint64_t v = c->cr0 & ~(uint64_t)ISA_CR0_TS;
    int r = isa_need_cpl0(c);
    if (r)
        return r;
    if (c->vmx == ISA_VMX_NONROOT) {
        v = c->cr0;
        if ((r = isa_icpt(c, i, ISA_ICPT_CLTS, 0, &v)))
            return r;
    }
    return isa_set_cr0(c, v);
}

ISA_SYSOP(lmsw)
{
    uint64_t la = 0, v;
    uint16_t src;
    int r = isa_need_cpl0(c);
    if (r)
        return r;
    if (i->is_mem) {
        if ((r = isa_operand_la(c, i, 2, ISA_ACC_R, &la)) || (r = isa_ld16(c, la, &src)))
            return r;
    } else {
        src = isa_r16(c, i->rm);
    }
    v = src;
    if ((r = isa_icpt(c, i, ISA_ICPT_LMSW, (uint64_t)i->is_mem | la << 1, &v)))
        return r;
    return isa_set_cr0(c, (c->cr0 & ~0xeull) | (v & 0xf)); // PE can be set, never cleared
}

ISA_SYSOP(smsw)
{
    uint64_t v = c->cr0, la;
    int r;
    if (c->cpl && (c->cr4 & ISA_CR4_UMIP))
        return isa_gp0(c, ISA_RULE_GP_UMIP);
    if ((r = isa_icpt(c, i, ISA_ICPT_SMSW, 0, &v)))
        return r;
    if (i->is_mem)
        return (r = isa_operand_la(c, i, 2, ISA_ACC_W, &la)) ? r : isa_st16(c, la, (uint16_t)v);
    isa_wreg(c, i->rm, i->osz, v);
    return 0;
}

static void set_edx_eax(struct isa_cpu *c, uint64_t v)
{
    c->gpr[ISA_RAX] = (uint32_t)v;
    c->gpr[ISA_RDX] = v >> 32;
}
static uint64_t edx_eax(const struct isa_cpu *c) { return isa_r32(c, ISA_RAX) | (uint64_t)isa_r32(c, ISA_RDX) << 32; }

ISA_SYSOP(rdmsr)
{
    uint32_t msr = isa_r32(c, ISA_RCX);
    uint64_t v, icpt = 0;
    enum isa_rule rule;
    int r = isa_need_cpl0(c);
    if (r)
        return r;
    if (msr == ISA_MSR_TSC)
        icpt = c->env->tsc(c, isa_now(c, i));
    r = isa_icpt(c, i, ISA_ICPT_RDMSR, msr, &icpt);
    if (r && r != ISA_ICPT_DONE)
        return r;
    if (!r && !isa_rdmsr(c, msr, &v, &rule))
        return isa_gp0(c, rule);
    set_edx_eax(c, r || msr == ISA_MSR_TSC ? icpt : v);
    return 0;
}

ISA_SYSOP(wrmsr)
{
    uint32_t msr = isa_r32(c, ISA_RCX);
    uint64_t v = edx_eax(c);
    enum isa_rule rule;
    int r = isa_need_cpl0(c);
    if (r || (r = isa_icpt(c, i, ISA_ICPT_WRMSR, msr, &v)))
        return r == ISA_ICPT_DONE ? 0 : r;
    return isa_wrmsr(c, msr, v, &rule) ? 0 : isa_gp0(c, rule);
}

ISA_SYSOP(xgetbv)
{
    if (!(c->cr4 & ISA_CR4_OSXSAVE))
        return isa_ud(c, ISA_RULE_UD_OSXSAVE);
    uint32_t n = isa_r32(c, ISA_RCX), r[4];
    c->env->cpuid(c, 0xd, 1, r);
    if (n > 1 || (n == 1 && !(r[0] >> isa_feature_info[ISA_FEAT_XGETBV1].bit & 1)))
        return isa_gp0(c, ISA_RULE_GP_XCR0);
    set_edx_eax(c, n ? c->xcr0 & isa_xinuse(c) : c->xcr0);
    return 0;
}

ISA_SYSOP(xsetbv)
{
    int r;
    if (!(c->cr4 & ISA_CR4_OSXSAVE))
        return isa_ud(c, ISA_RULE_UD_OSXSAVE);
    if ((r = isa_need_cpl0(c)) || (r = isa_icpt(c, i, ISA_ICPT_XSETBV, 0, NULL)))
        return r;
    if (isa_r32(c, ISA_RCX) != 0)
        return isa_gp0(c, ISA_RULE_GP_XCR0);
    return isa_set_xcr0(c, edx_eax(c));
}

// --- protection keys

ISA_SYSOP(rdpkru)
{
    if (!(c->cr4 & ISA_CR4_PKE))
        return isa_ud(c, ISA_RULE_UD_PKE);
    if (isa_r32(c, ISA_RCX))
        return isa_gp0(c, ISA_RULE_GP_PKRU);
    set_edx_eax(c, c->pkru);
    return 0;
}

ISA_SYSOP(wrpkru)
{
    if (!(c->cr4 & ISA_CR4_PKE))
        return isa_ud(c, ISA_RULE_UD_PKE);
    if (isa_r32(c, ISA_RCX) || isa_r32(c, ISA_RDX))
        return isa_gp0(c, ISA_RULE_GP_PKRU);
    isa_set_pkru(c, isa_r32(c, ISA_RAX));
    return 0;
}
