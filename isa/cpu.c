// isa/cpu.c: the state after RESET, and what is derived from it.
#include "isa/cpu.h"

#include <assert.h>
#include <string.h>

#include "isa/cr.h"
#include "isa/env.h"
#include "isa/flags.h"
#include "isa/fpu.h"
#include "isa/mpx.h"
#include "isa/msr.h"

// What RESET and INIT have in common.
static void start_over(struct isa_cpu *c)
{
    memset(c->gpr, 0, sizeof c->gpr);
    c->gpr[ISA_RDX] = 0x600; // family 6
    c->rip = 0xfff0;
    isa_set_rflags(c, ISA_FL_1);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s] = (struct isa_seg){.limit = 0xffff, .ar = 0x93};
    c->seg[ISA_CS] = (struct isa_seg){.sel = 0xf000, .base = 0xffff0000, .limit = 0xffff, .ar = 0x9b};
    c->seg[ISA_LDTR] = (struct isa_seg){.limit = 0xffff, .ar = 0x82};
    c->seg[ISA_TR] = (struct isa_seg){.limit = 0xffff, .ar = 0x8b};
    c->gdtr = c->idtr = (struct isa_dtr){0, 0xffff};
    c->cr0 = (c->cr0 & (ISA_CR0_CD | ISA_CR0_NW)) | ISA_CR0_ET;
    c->cr2 = c->cr3 = c->cr4 = c->cr8 = c->efer = c->debugctl = c->pending_dbg = c->dbg_hits = 0;
    memset(c->dr, 0, sizeof c->dr);
    c->dr[6] = ISA_DR6_INIT;
    c->dr[7] = ISA_DR7_INIT;
    memset(c->bnd, 0, sizeof c->bnd);
    c->bndcfgu = c->bndstatus = c->bndcfgs = 0;
    c->activity = ISA_ACTIVE;
    c->blocking = 0;
    c->iret_keeps_nmi = c->iret_unblocked = c->delivering_valid = c->rep_cut = c->rep_mid = false;
}

void isa_init(struct isa_cpu *c)
{
    start_over(c);
    if (!(c->apic_base & ISA_APIC_BASE_BSP))
        c->activity = ISA_WAIT_SIPI;
    isa_update_mode(c);
}

void isa_reset(struct isa_cpu *c)
{
    const struct isa_env *env = c->env;
    const uint64_t generation = c->generation;
    memset(c, 0, sizeof *c);
    c->env = env;
    c->generation = generation + 8;
    c->cr0 = ISA_CR0_CD | ISA_CR0_NW;
    start_over(c);
    c->xcr0 = 1;
    c->pm_ctl1 = ISA_PM_CTL1_INIT;
    c->x87.cw = 0x40; // all registers hold +0 and are valid; FNINIT makes it 37FH
    c->x87.valid = 0xff;
    c->mxcsr = ISA_MXCSR_INIT;
    c->pat = 0x0007040600070406ull;
    c->apic_base = 0xfee00800ull | ISA_APIC_BASE_BSP;
    isa_pmu_reset(c);
    c->misc_enable = 1 | 3u << 11; // fast strings; branch trace store and PEBS unavailable
    if (c->pmu.has.version)
        c->misc_enable |= ISA_MISC_PERFMON;
    for (unsigned k = 0; k < ISA_MIRROR_SIZE; k++)
        c->rd[k].tag = c->wr[k].tag = ISA_MIRROR_EMPTY;
    isa_update_mode(c);
}

static enum isa_mode mode_of(const struct isa_cpu *c)
{
    const struct isa_seg *cs = &c->seg[ISA_CS];
    if (!(c->cr0 & ISA_CR0_PE))
        return ISA_REAL;
    if (c->efer & ISA_EFER_LMA)
        return cs->ar & ISA_AR_L ? ISA_LONG64 : cs->ar & ISA_AR_DB ? ISA_COMPAT32 : ISA_COMPAT16;
    if (c->rflags_sys & ISA_FL_VM)
        return ISA_V86;
    return cs->ar & ISA_AR_DB ? ISA_PROT32 : ISA_PROT16;
}

// A flat segment needs no check by the memory operands that use it: base 0, all of 4 GB, readable and writable. CS only ever has to be
// readable: decoders let writes through a CS override take the checked path.
static bool flat(const struct isa_seg *s, bool is_cs)
{
    if (s->base != 0 || s->limit != 0xffffffff || (s->ar & (ISA_AR_UNUSABLE | ISA_AR_P | ISA_AR_S)) != (ISA_AR_P | ISA_AR_S))
        return false;
    bool code = s->ar & 8, readable_or_writable = s->ar & 2, down_or_conforming = s->ar & 4;
    if (is_cs)
        return !code || readable_or_writable;
    return !code && readable_or_writable && !down_or_conforming;
}

void isa_update_ring(struct isa_cpu *c)
{
    if (c->mode != ISA_LONG64 || !(c->seg[ISA_CS].ar & ISA_AR_L)) {
        isa_update_mode(c);
        return;
    }
    c->cpl = isa_dpl(&c->seg[ISA_SS]);
    c->mode_key = ISA_LONG64 | ISA_KEY_FLAT | c->ring_key[c->cpl == 3] | (c->vmx == ISA_VMX_NONROOT ? ISA_KEY_NONROOT : 0);
    c->mctx = (c->mctx & ~(uint64_t)ISA_MCTX_USER) | (c->cpl == 3 ? ISA_MCTX_USER : 0);
    isa_new_epoch(c);
    if (c->pmu_rings)
        isa_pmu_ring(c);
#ifdef RINGSIDE_DEBUG
    const uint64_t mctx = c->mctx, key = c->mode_key, epoch = c->epoch;
    isa_update_mode(c);
    assert(c->mctx == mctx && c->mode_key == key && c->epoch == epoch);
#endif
}

void isa_update_mode(struct isa_cpu *c)
{
    c->mode = mode_of(c);
    c->cpl = c->mode == ISA_REAL ? 0 : c->mode == ISA_V86 ? 3 : isa_dpl(&c->seg[ISA_SS]);
    c->seg_flat = 0; // nobody asks in 64-bit mode
    for (unsigned s = ISA_ES; s <= ISA_GS && c->mode != ISA_LONG64; s++)
        c->seg_flat |= flat(&c->seg[s], s == ISA_CS) << s;
    const unsigned four = 1u << ISA_ES | 1u << ISA_CS | 1u << ISA_SS | 1u << ISA_DS;
    c->ring_key[0] = isa_mpx_on(c, c->bndcfgs) ? ISA_KEY_MPX : 0;
    c->ring_key[1] = ISA_KEY_CPL3 | (isa_mpx_on(c, c->bndcfgu) ? ISA_KEY_MPX : 0);
    uint32_t key = c->mode | c->ring_key[c->cpl == 3];
    if (c->mode == ISA_LONG64 || (c->seg_flat & four) == four)
        key |= ISA_KEY_FLAT;
    if (c->vmx == ISA_VMX_NONROOT)
        key |= ISA_KEY_NONROOT;
    if (c->mode != ISA_LONG64 && (c->seg[ISA_SS].ar & ISA_AR_DB))
        key |= ISA_KEY_SS_D;
    c->mode_key = key;
    if (c->env && c->env->context)
        c->env->context(c);
    if (c->mode == ISA_LONG64)
        isa_new_epoch(c);
    else
        isa_new_generation(c); // the base or the limit of CS may be another
    if (c->pmu_rings)
        isa_pmu_ring(c);
}
