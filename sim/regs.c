// sim/regs.c: registers by name, from isa/regs.def and isa/msr.def.
//
// Reading has no side effect. Writing is raw: no rule of the instruction set applies, but what the processor derives from registers
// (mode, translation context, PDPTE registers) follows, and translations are invalidated as by the instruction that writes the register.
#include <stdio.h>
#include <string.h>

#include "isa/msr.h"
#include "isa/cr.h"
#include "isa/flags.h"
#include "isa/fpu.h"
#include "sim/internal.h"

enum how { RIP, RFLAGS, CPL, GPR, FIELD, ST_sig, ST_se };
struct reg {
    const char *name;
    uint16_t where; // register number, or offset in struct isa_cpu
    uint8_t how, shift, bits;
};
static const struct reg regs[] = {
#define G(nm, r, sh, n, text) {nm, r, GPR, sh, n},
#define F(nm, field, text)    {nm, offsetof(struct isa_cpu, field), FIELD, 0, 8 * sizeof((struct isa_cpu *)0)->field},
#define T(nm, k, part, text)  {nm, k, ST_##part, 0, 8 * sizeof((struct isa_f80 *)0)->part},
#define S(nm, h, text)        {nm, 0, h, 0, 64},
#include "isa/regs.def"
#undef T
#undef G
#undef F
#undef S
};
#define NREGS (sizeof regs / sizeof *regs)

// MSRs that the processor holds; others are the virtualization layer's (VMX capabilities, read-only).
static const struct {
    const char *name;
    uint32_t addr;
    uint16_t where;
    uint8_t kind;
    uint64_t mask;
} msrs[] = {
#define M(addr, name, field, kind, mask, need, text) {"msr." name, addr, offsetof(struct isa_cpu, field), ISA_MSR_##kind, mask},
#include "isa/msr.def"
#undef M
};
#define NMSRS (sizeof msrs / sizeof *msrs)
#define NCAPS (VMX_MSR_LAST - VMX_MSR_FIRST + 1)

static const struct reg *find(const char *name)
{
    for (unsigned k = 0; k < NREGS; k++)
        if (strcmp(regs[k].name, name) == 0)
            return &regs[k];
    return NULL;
}

static int find_msr(const char *name)
{
    for (unsigned k = 0; k < NMSRS; k++)
        if (strcmp(msrs[k].name, name) == 0)
            return (int)k;
    return -1;
}

static uint64_t mask_of(unsigned bits) { return bits == 64 ? UINT64_MAX : (1ull << bits) - 1; }

static uint64_t get(const struct isa_cpu *c, const struct reg *r)
{
    uint64_t v = 0;
    switch (r->how) {
    case RIP: return engine_rip(c);
    case RFLAGS: return isa_rflags(c) | isa_late_rf(c, c->at ? c->at->idx : 0);
    case CPL: return c->cpl;
    case GPR: return c->gpr[r->where] >> r->shift & mask_of(r->bits);
    case ST_sig: return c->x87.r[isa_x87_phys(&c->x87, r->where)].sig;
    case ST_se: return c->x87.r[isa_x87_phys(&c->x87, r->where)].se;
    default: memcpy(&v, (const char *)c + r->where, r->bits / 8); return v;
    }
}

static bool get_msr(struct sim_machine *m, unsigned cpu, const char *name, uint64_t *val)
{
    struct isa_cpu *c = &m->cpu[cpu]->isa;
    int k = find_msr(name);
    if (k >= 0) {
        if (msrs[k].addr == 0x10)
            *val = c->env->tsc(c, engine_now(c));
        else if (msrs[k].kind == ISA_MSR_CONST || msrs[k].kind == ISA_MSR_HELD)
            *val = msrs[k].mask;
        else if (msrs[k].kind == ISA_MSR_PMU)
            *val = isa_pmu_peek(c, msrs[k].addr);
        else
            memcpy(val, (const char *)c + msrs[k].where, 8);
        return true;
    }
    for (uint32_t n = VMX_MSR_FIRST; n <= VMX_MSR_LAST; n++)
        if (vmx_caps_msr_name(n) && strcmp(name + 4, vmx_caps_msr_name(n)) == 0)
            return vmx_caps_rdmsr(&m->profile->vmx, n, val);
    return false;
}

bool sim_reg_get(struct sim_machine *m, unsigned cpu, const char *name, uint64_t *val)
{
    if (cpu >= m->ncpus)
        return false;
    if (strncmp(name, "msr.", 4) == 0)
        return get_msr(m, cpu, name, val);
    const struct reg *r = find(name);
    if (r)
        *val = get(&m->cpu[cpu]->isa, r);
    return r != NULL;
}

static void set(struct isa_cpu *c, const struct reg *r, uint64_t v)
{
    switch (r->how) {
    case RIP:
        c->rip = v;
        if (c->activity == ISA_HLT) // whoever sets RIP wants the processor to go on there
            c->activity = ISA_ACTIVE;
        break;
    case RFLAGS: isa_set_rflags(c, v); break;
    case ST_sig: c->x87.r[isa_x87_phys(&c->x87, r->where)].sig = v; break;
    case ST_se: c->x87.r[isa_x87_phys(&c->x87, r->where)].se = (uint16_t)v; break;
    case GPR:
        if (r->bits == 32)
            c->gpr[r->where] = (uint32_t)v;
        else
            c->gpr[r->where] = (c->gpr[r->where] & ~(mask_of(r->bits) << r->shift)) | (v & mask_of(r->bits)) << r->shift;
        break;
    default: memcpy((char *)c + r->where, &v, r->bits / 8); break;
    }
}

// What follows from a register that was written: derived state, and invalidations as by the instruction that writes it.
static void settle(struct isa_cpu *c, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
    isa_update_mode(c);
    if ((cr0 ^ c->cr0) & ISA_CR0_PG)
        mmu_inval(c, ISA_INVAL_CR0_PG, 0, 0, 0);
    if (cr3 != c->cr3)
        mmu_inval(c, ISA_INVAL_CR3, c->cr3, 0, 0);
    if (cr4 != c->cr4)
        mmu_inval(c, ISA_INVAL_CR4, cr4 ^ c->cr4, 0, 0);
    if (efer != c->efer)
        mmu_inval(c, ISA_INVAL_EFER, 0, 0, 0);
    if ((cr0 != c->cr0 || cr3 != c->cr3 || cr4 != c->cr4) && isa_pae_paging(c))
        isa_read_pdptes(c, c->cr3, c->pdpte);
    c->attention = 1;
    c->rep_cut = c->rep_mid = false;
}

bool sim_reg_set(struct sim_machine *m, unsigned cpu, const char *name, uint64_t val)
{
    if (cpu >= m->ncpus)
        return false;
    struct isa_cpu *c = &m->cpu[cpu]->isa;
    uint64_t cr0 = c->cr0, cr3 = c->cr3, cr4 = c->cr4, efer = c->efer;
    if (strncmp(name, "msr.", 4) == 0) {
        int k = find_msr(name);
        if (k < 0 || msrs[k].kind == ISA_MSR_CONST || msrs[k].kind == ISA_MSR_HELD)
            return false;
        enum isa_rule rule;
        if (msrs[k].kind == ISA_MSR_PMU && !(isa_pmu_has(c, msrs[k].addr) && isa_pmu_write(c, msrs[k].addr, val, &rule)))
            return false;
        if (msrs[k].addr == 0x10)
            c->tsc_offset = val - engine_now(c);
        else if (msrs[k].kind != ISA_MSR_PMU)
            memcpy((char *)c + msrs[k].where, &val, 8);
    } else {
        const struct reg *r = find(name);
        if (!r || r->how == CPL)
            return false;
        set(c, r, val);
    }
    settle(c, cr0, cr3, cr4, efer);
    return true;
}

const char *sim_reg_name(unsigned n)
{
    if (n < NREGS)
        return regs[n].name;
    return n - NREGS < NMSRS ? msrs[n - NREGS].name : NULL;
}
