// isa/cr.c: control registers, EFER, XCR0 and debug registers.
#include "isa/cr.h"

#include "isa/flags.h"
#include "isa/seg.h"
#include "isa/xstate.h"

#define CR0_DEFINED                                                                                                                \
    (ISA_CR0_PE | ISA_CR0_MP | ISA_CR0_EM | ISA_CR0_TS | ISA_CR0_ET | ISA_CR0_NE | ISA_CR0_WP | ISA_CR0_AM | ISA_CR0_NW |          \
     ISA_CR0_CD | ISA_CR0_PG)

unsigned isa_maxphyaddr(struct isa_cpu *c)
{
    uint32_t r[4];
    c->env->cpuid(c, 0x80000008, 0, r);
    unsigned bits = r[0] & 0xff;
    return bits >= 32 && bits <= 52 ? bits : 36;
}

bool isa_canonical_base(struct isa_cpu *c, uint64_t la)
{
    uint32_t r[4];
    if (isa_canonical(c, la))
        return true;
    c->env->cpuid(c, 0x80000008, 0, r);
    return (r[0] >> 8 & 0xff) >= 57 && (uint64_t)((int64_t)(la << 7) >> 7) == la;
}

// Which CPUID bit must be offered for a CR4 flag. leaf 0: always allowed.
static const struct {
    uint32_t flag, leaf;
    uint8_t reg, bit;
} cr4_needs[] = {
    {ISA_CR4_TSD, 1, 3, 4},      {ISA_CR4_DE, 1, 3, 2},   {ISA_CR4_PSE, 1, 3, 3},         {ISA_CR4_PAE, 1, 3, 6},
    {ISA_CR4_MCE, 1, 3, 7},      {ISA_CR4_PGE, 1, 3, 13}, {ISA_CR4_PCE, 0, 0, 0},         {ISA_CR4_OSFXSR, 1, 3, 24},
    {ISA_CR4_OSFXSR, 1, 3, 26},  {ISA_CR4_UMIP, 7, 2, 2}, {ISA_CR4_OSXMMEXCPT, 1, 3, 26}, {ISA_CR4_LA57, 7, 2, 16},
    {ISA_CR4_VMXE, 1, 2, 5},     {ISA_CR4_SMXE, 1, 2, 6}, {ISA_CR4_FSGSBASE, 7, 1, 0},    {ISA_CR4_PCIDE, 1, 2, 17},
    {ISA_CR4_OSXSAVE, 1, 2, 26}, {ISA_CR4_SMEP, 7, 1, 7}, {ISA_CR4_SMAP, 7, 1, 20},       {ISA_CR4_PKE, 7, 2, 3},
};

uint64_t isa_cr4_allowed(struct isa_cpu *c)
{
    uint32_t one[4], seven[4];
    c->env->cpuid(c, 1, 0, one);
    c->env->cpuid(c, 7, 0, seven);
    uint64_t allowed = 0;
    for (unsigned k = 0; k < sizeof cr4_needs / sizeof *cr4_needs; k++) {
        const uint32_t *r = cr4_needs[k].leaf == 7 ? seven : one;
        if (cr4_needs[k].leaf == 0 || (r[cr4_needs[k].reg] >> cr4_needs[k].bit & 1))
            allowed |= cr4_needs[k].flag;
    }
    return allowed;
}

// --- PDPTEs

int isa_read_pdptes(struct isa_cpu *c, uint64_t cr3, uint64_t out[4])
{
    uint64_t e[4];
    int r = c->env->read_phys(c, (struct gpa){cr3 & 0xffffffe0}, e, sizeof e);
    if (r)
        return r;
    uint64_t reserved = ~((1ull << isa_maxphyaddr(c)) - 1) | 0x1e6;
    for (unsigned k = 0; k < 4; k++)
        if ((e[k] & 1) && (e[k] & reserved))
            return isa_gp0(c, ISA_RULE_GP_PDPTE);
    for (unsigned k = 0; k < 4; k++)
        out[k] = e[k];
    return 0;
}

// Load the PDPTE registers if the state {cr0, cr4, efer} about to be used means PAE paging. Nothing is committed on failure.
static int reload_pdptes(struct isa_cpu *c, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    if (!(cr0 & ISA_CR0_PG) || !(cr4 & ISA_CR4_PAE) || (c->efer & (ISA_EFER_LME | ISA_EFER_LMA)))
        return 0;
    return isa_read_pdptes(c, cr3, c->pdpte);
}

// --- CR0

static int vmx_fixed(struct isa_cpu *c, uint64_t v, uint64_t fixed0, uint64_t fixed1)
{
    if (c->vmx != ISA_VMX_OFF && ((v & fixed0) != fixed0 || (v & ~fixed1)))
        return isa_gp0(c, ISA_RULE_GP_VMX_FIXED);
    return 0;
}

static int check_cr0(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr0;
    if (v >> 32)
        return isa_gp0(c, ISA_RULE_GP_CR0_HIGH);
    if ((v & ISA_CR0_PG) && !(v & ISA_CR0_PE))
        return isa_gp0(c, ISA_RULE_GP_CR0_PG_PE);
    if ((v & ISA_CR0_NW) && !(v & ISA_CR0_CD))
        return isa_gp0(c, ISA_RULE_GP_CR0_NW_CD);
    if (!(v & ISA_CR0_PG) && (old & ISA_CR0_PG)) {
        if (c->mode == ISA_LONG64)
            return isa_gp0(c, ISA_RULE_GP_CR0_PG_LONG);
        if (c->cr4 & ISA_CR4_PCIDE)
            return isa_gp0(c, ISA_RULE_GP_CR0_PG_PCIDE);
    }
    if ((v & ISA_CR0_PG) && !(old & ISA_CR0_PG) && (c->efer & ISA_EFER_LME)) {
        unsigned tss = isa_seg_type(&c->seg[ISA_TR]);
        if (!(c->cr4 & ISA_CR4_PAE))
            return isa_gp0(c, ISA_RULE_GP_LME_PAE);
        if (c->seg[ISA_CS].ar & ISA_AR_L)
            return isa_gp0(c, ISA_RULE_GP_LME_CS_L);
        if ((old & ISA_CR0_PE) && (tss == ISA_SYS_TSS16 || tss == ISA_SYS_TSS16_BUSY))
            return isa_gp0(c, ISA_RULE_GP_LME_TSS16);
    }
    return vmx_fixed(c, v, c->cr0_fixed0, c->cr0_fixed1);
}

int isa_set_cr0(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr0, was_efer = c->efer;
    if (!(v >> 32)) // undefined low bits are ignored
        v = (v & CR0_DEFINED) | ISA_CR0_ET;
    int r = check_cr0(c, v);
    if (r)
        return r;
    if (((v ^ old) & (ISA_CR0_PG | ISA_CR0_CD | ISA_CR0_NW)) && (r = reload_pdptes(c, v, c->cr3, c->cr4)))
        return r;
    c->cr0 = v;
    if ((v ^ old) & ISA_CR0_PG) {
        c->efer &= ~(uint64_t)ISA_EFER_LMA;
        if ((v & ISA_CR0_PG) && (c->efer & ISA_EFER_LME))
            c->efer |= ISA_EFER_LMA;
        c->env->inval(c, ISA_INVAL_CR0_PG, v, 0, 0);
        if (c->efer != was_efer)
            c->env->inval(c, ISA_INVAL_EFER, c->efer ^ was_efer, 0, 0);
    }
    isa_update_mode(c);
    c->env->on_cr(c, 0, old, v);
    return 0;
}

// --- CR3

int isa_set_cr3(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr3, asked = v;
    if (isa_long(c)) {
        uint64_t reserved = ~((1ull << isa_maxphyaddr(c)) - 1);
        if (c->cr4 & ISA_CR4_PCIDE)
            v &= ~(1ull << 63);
        if (v & reserved)
            return isa_gp0(c, ISA_RULE_GP_CR3_RESERVED);
    } else {
        asked = v = (uint32_t)v;
        int r = reload_pdptes(c, c->cr0, v, c->cr4);
        if (r)
            return r;
    }
    c->cr3 = v;
    c->env->inval(c, ISA_INVAL_CR3, asked, 0, 0);
    c->env->on_cr(c, 3, old, v);
    return 0;
}

// --- CR4

static int check_cr4(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr4;
    if (v & ~isa_cr4_allowed(c))
        return isa_gp0(c, ISA_RULE_GP_CR4_RESERVED);
    if (isa_long(c)) {
        if (!(v & ISA_CR4_PAE))
            return isa_gp0(c, ISA_RULE_GP_CR4_PAE_LONG);
        if ((v ^ old) & ISA_CR4_LA57)
            return isa_gp0(c, ISA_RULE_GP_CR4_LA57);
    }
    if ((v & ISA_CR4_PCIDE) && !(old & ISA_CR4_PCIDE) && (!isa_long(c) || (c->cr3 & 0xfff)))
        return isa_gp0(c, ISA_RULE_GP_CR4_PCIDE);
    if (c->vmx != ISA_VMX_OFF && !(v & ISA_CR4_VMXE))
        return isa_gp0(c, ISA_RULE_GP_CR4_VMXE);
    return vmx_fixed(c, v, c->cr4_fixed0, c->cr4_fixed1);
}

int isa_set_cr4(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr4;
    int r = check_cr4(c, v);
    if (r)
        return r;
    if (((v ^ old) & (ISA_CR4_PAE | ISA_CR4_PGE | ISA_CR4_PSE | ISA_CR4_SMEP)) && (r = reload_pdptes(c, c->cr0, c->cr3, v)))
        return r;
    c->cr4 = v;
    c->env->inval(c, ISA_INVAL_CR4, v ^ old, 0, 0);
    isa_update_mode(c);
    c->env->on_cr(c, 4, old, v);
    return 0;
}

// --- CR8, EFER, XCR0

int isa_set_cr8(struct isa_cpu *c, uint64_t v)
{
    uint64_t old = c->cr8;
    if (v & ~15ull)
        return isa_gp0(c, ISA_RULE_GP_CR8_RESERVED);
    c->cr8 = v;
    c->attention = 1; // a lower priority threshold may let an interrupt through
    c->env->on_cr(c, 8, old, v);
    return 0;
}

int isa_set_efer(struct isa_cpu *c, uint64_t v)
{
    uint32_t r[4];
    c->env->cpuid(c, 0x80000001, 0, r);
    uint64_t allowed = ISA_EFER_LMA, old = c->efer;
    if (r[3] >> 11 & 1)
        allowed |= ISA_EFER_SCE;
    if (r[3] >> 20 & 1)
        allowed |= ISA_EFER_NXE;
    if (r[3] >> 29 & 1)
        allowed |= ISA_EFER_LME;
    if (v & ~allowed)
        return isa_gp0(c, ISA_RULE_GP_EFER_RESERVED);
    if (((v ^ old) & ISA_EFER_LME) && (c->cr0 & ISA_CR0_PG))
        return isa_gp0(c, ISA_RULE_GP_EFER_LME);
    c->efer = (v & ~(uint64_t)ISA_EFER_LMA) | (old & ISA_EFER_LMA); // LMA is the processor's
    if (c->efer != old) {
        c->env->inval(c, ISA_INVAL_EFER, c->efer ^ old, 0, 0);
        isa_update_mode(c);
    }
    return 0;
}

int isa_set_xcr0(struct isa_cpu *c, uint64_t v)
{
    uint32_t r[4];
    c->env->cpuid(c, 0xd, 0, r);
    uint64_t allowed = (r[0] | (uint64_t)r[3] << 32) | 1;
    if (!(v & 1) || (v & ~allowed) || ((v & 4) && !(v & 2)))
        return isa_gp0(c, ISA_RULE_GP_XCR0);
    if ((v & ISA_XS_MPX) && (v & ISA_XS_MPX) != ISA_XS_MPX)
        return isa_gp0(c, ISA_RULE_GP_XCR0_MPX);
    c->xcr0 = v;
    isa_update_mode(c); // MPX may be enabled by it
    return 0;
}

void isa_set_pkru(struct isa_cpu *c, uint32_t v)
{
    if (v == c->pkru)
        return;
    c->pkru = v;
    if (c->env->context)
        c->env->context(c);
}

// --- debug registers

int isa_set_dr(struct isa_cpu *c, unsigned n, uint64_t v)
{
    if (n >= 6 && v >> 32)
        return isa_gp0(c, ISA_RULE_GP_DR_HIGH);
    if (n == 6)
        v = (v & 0xe00f) | ISA_DR6_INIT;
    else if (n == 7)
        v = (v & 0xffff23ff) | ISA_DR7_INIT;
    c->dr[n] = v;
    c->attention = 1;
    return 0;
}

uint64_t isa_get_dr(const struct isa_cpu *c, unsigned n) { return c->dr[n]; }
