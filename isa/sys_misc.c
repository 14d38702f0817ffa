// isa/sys_misc.c: time stamps, CPUID, random numbers, HLT, caches and TLBs, FS and GS bases, and the rest.
#include "isa/cr.h"
#include "isa/fpu.h"
#include "isa/mem.h"
#include "isa/sysop.h"

static void set_edx_eax(struct isa_cpu *c, uint64_t v)
{
    c->gpr[ISA_RAX] = (uint32_t)v;
    c->gpr[ISA_RDX] = v >> 32;
}

// --- time stamps and counters

static int read_tsc(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t *tsc)
{
    if (c->cpl && (c->cr4 & ISA_CR4_TSD))
        return isa_gp0(c, ISA_RULE_GP_TSD);
    *tsc = c->env->tsc(c, isa_now(c, i));
    return isa_icpt(c, i, point, 0, tsc);
}

ISA_SYSOP(rdtsc)
{
    uint64_t tsc;
    int r = read_tsc(c, i, ISA_ICPT_RDTSC, &tsc);
    if (!r)
        set_edx_eax(c, tsc);
    return r;
}

ISA_SYSOP(rdtscp)
{
    uint64_t tsc;
    int r = isa_icpt(c, i, ISA_ICPT_RDPID, 0, NULL);
    if (r || (r = read_tsc(c, i, ISA_ICPT_RDTSCP, &tsc)))
        return r;
    set_edx_eax(c, tsc);
    c->gpr[ISA_RCX] = (uint32_t)c->tsc_aux;
    return 0;
}

ISA_SYSOP(rdpmc)
{
    if (c->cpl && !(c->cr4 & ISA_CR4_PCE))
        return isa_gp0(c, ISA_RULE_GP_PCE);
    uint64_t v;
    int r = isa_icpt(c, i, ISA_ICPT_RDPMC, 0, NULL);
    if (r)
        return r;
    if (!isa_pmu_rdpmc(c, isa_r32(c, ISA_RCX), &v))
        return isa_gp0(c, ISA_RULE_GP_PMC);
    set_edx_eax(c, v);
    return 0;
}

ISA_SYSOP(rdpid)
{
    int r = isa_icpt(c, i, ISA_ICPT_RDPID, 0, NULL);
    if (r)
        return r;
    c->gpr[i->rm] = (uint32_t)c->tsc_aux;
    return 0;
}

// --- CPUID, random numbers

ISA_SYSOP(cpuid)
{
    uint32_t out[4];
    int r = isa_icpt(c, i, ISA_ICPT_CPUID, 0, NULL);
    if (r)
        return r;
    c->env->cpuid(c, isa_r32(c, ISA_RAX), isa_r32(c, ISA_RCX), out);
    c->gpr[ISA_RAX] = out[0];
    c->gpr[ISA_RBX] = out[1];
    c->gpr[ISA_RCX] = out[2];
    c->gpr[ISA_RDX] = out[3];
    return 0;
}

static int random_number(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point)
{
    int r = isa_icpt(c, i, point, 0, NULL);
    if (r)
        return r;
    isa_wreg(c, i->rm, i->osz, c->env->random(c));
    isa_set_status(c, ISA_FL_CF);
    return 0;
}

ISA_SYSOP(rdrand) { return random_number(c, i, ISA_ICPT_RDRAND); }
ISA_SYSOP(rdseed) { return random_number(c, i, ISA_ICPT_RDSEED); }

// --- waiting

ISA_SYSOP(hlt)
{
    int r = isa_need_cpl0(c);
    if (r || (r = isa_icpt(c, i, ISA_ICPT_HLT, 0, NULL)))
        return r;
    c->activity = ISA_HLT;
    c->attention = 1;
    return 0;
}

ISA_SYSOP(pause) { return isa_icpt(c, i, ISA_ICPT_PAUSE, 0, NULL); }

ISA_SYSOP(monitor)
{
    if (c->cpl)
        return isa_ud(c, ISA_RULE_UD_MODE);
    int r = isa_icpt(c, i, ISA_ICPT_MONITOR, 0, NULL);
    if (r)
        return r;
    if ((uint32_t)c->gpr[ISA_RCX]) // no extensions are defined
        return isa_gp0(c, ISA_RULE_GP_MONITOR_HINT);
    uint64_t la = c->gpr[ISA_RAX];
    la = i->asz == 8 ? la : i->asz == 4 ? (uint32_t)la : (uint16_t)la;
    if (c->mode != ISA_LONG64 && (r = isa_seg_la(c, ISA_DS, la, 1, ISA_ACC_R, &la)))
        return r;
    struct isa_loaded line = isa_ld_v(c, la, 1, ISA_ACC_R); // MONITOR counts as a load
    if (line.r)
        return line.r;
    if (c->env->monitor)
        c->env->monitor(c, la);
    return 0;
}

ISA_SYSOP(mwait)
{
    if (c->cpl)
        return isa_ud(c, ISA_RULE_UD_MODE);
    int r = isa_icpt(c, i, ISA_ICPT_MWAIT, 0, NULL);
    if (r)
        return r;
    if ((uint32_t)c->gpr[ISA_RCX]) // CPUID leaf 5 reports no extensions
        return isa_gp0(c, ISA_RULE_GP_MONITOR_HINT);
    if (c->env->mwait)
        c->env->mwait(c);
    c->attention = 1;
    return 0;
}

ISA_SYSOP(wait)
{
    bool nm = (c->cr0 & ISA_CR0_MP) && (c->cr0 & ISA_CR0_TS);
    return nm ? isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_WAIT) : isa_x87_pending(c);
}

ISA_SYSOP(rsm) { return isa_ud(c, ISA_RULE_UD_SMM); }
ISA_SYSOP(getsec) { return isa_ud(c, ISA_RULE_UD_SMX); }

// --- caches and TLBs

// Data caches hold no data of their own in this model: INVD loses nothing.
static int flush_caches(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, bool write_back)
{
    int r = isa_need_cpl0(c);
    if (r || (r = isa_icpt(c, i, point, 0, NULL)))
        return r;
    if (c->env->flush_caches)
        c->env->flush_caches(c, write_back);
    return 0;
}
ISA_SYSOP(invd) { return flush_caches(c, i, ISA_ICPT_INVD, false); }
ISA_SYSOP(wbinvd) { return flush_caches(c, i, ISA_ICPT_WBINVD, true); }

ISA_SYSOP(invlpg)
{
    uint64_t la = isa_raw_la(c, i);
    int r = isa_need_cpl0(c);
    if (r || (r = isa_icpt(c, i, ISA_ICPT_INVLPG, la, NULL)))
        return r;
    if (c->mode != ISA_LONG64 || isa_canonical_base(c, la))
        c->env->inval(c, ISA_INVAL_INVLPG, la, 0, 0);
    return 0;
}

ISA_SYSOP(invpcid)
{
    uint64_t desc[2], la, type = c->gpr[i->reg] & (i->osz == 8 ? UINT64_MAX : UINT32_MAX);
    int r = isa_icpt(c, i, ISA_ICPT_INVPCID_ENABLED, 0, NULL);
    if (r || (r = isa_need_cpl0(c)) || (r = isa_icpt(c, i, ISA_ICPT_INVPCID, isa_raw_la(c, i), NULL)))
        return r;
    if ((r = isa_operand_la(c, i, 16, ISA_ACC_R, &la)) || (r = isa_ld_slow(c, la, desc, 16, ISA_ACC_R)))
        return r;
    if (type > 3 || (desc[0] >> 12))
        return isa_gp0(c, ISA_RULE_GP_INVPCID_TYPE);
    if (type == 0 && !isa_canonical_base(c, desc[1]))
        return isa_gp0(c, ISA_RULE_GP_CANONICAL);
    if (type < 2 && desc[0] && !(c->cr4 & ISA_CR4_PCIDE))
        return isa_gp0(c, ISA_RULE_GP_INVPCID_PCIDE);
    c->env->inval(c, ISA_INVAL_INVPCID, type, desc[0], desc[1]);
    return 0;
}

// --- FS and GS bases

static int rdbase(struct isa_cpu *c, const struct isa_insn *i, unsigned s)
{
    if (!(c->cr4 & ISA_CR4_FSGSBASE))
        return isa_ud(c, ISA_RULE_UD_FSGSBASE);
    isa_wreg(c, i->rm, i->osz, c->seg[s].base);
    return 0;
}

static int wrbase(struct isa_cpu *c, const struct isa_insn *i, unsigned s)
{
    uint64_t v = i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm);
    if (!(c->cr4 & ISA_CR4_FSGSBASE))
        return isa_ud(c, ISA_RULE_UD_FSGSBASE);
    if (!isa_canonical_base(c, v))
        return isa_gp0(c, ISA_RULE_GP_BASE_CANONICAL);
    c->seg[s].base = v;
    return 0;
}

ISA_SYSOP(rdfsbase) { return rdbase(c, i, ISA_FS); }
ISA_SYSOP(rdgsbase) { return rdbase(c, i, ISA_GS); }
ISA_SYSOP(wrfsbase) { return wrbase(c, i, ISA_FS); }
ISA_SYSOP(wrgsbase) { return wrbase(c, i, ISA_GS); }

ISA_SYSOP(swapgs)
{
    int r = isa_need_cpl0(c);
    if (r)
        return r;
    uint64_t base = c->seg[ISA_GS].base;
    c->seg[ISA_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
    return 0;
}
