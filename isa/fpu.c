// isa/fpu.c: when x87, MMX and SSE instructions may run; the control and status words.
//
// MANUAL     "Control Registers" (EM, MP, TS, NE), "x87 FPU Floating-Point Exception Handling", "MXCSR Control and Status Register".
#include "isa/fpu.h"

#include "isa/avx.h"
#include "isa/mem.h"

int isa_x87_pending(struct isa_cpu *c)
{
    if (!(c->x87.sw & ISA_FSW_ES) || !(c->cr0 & ISA_CR0_NE))
        return 0;
    return isa_raise(c, ISA_X_MF, 0, ISA_RULE_MF_PENDING);
}

int isa_x87_on(struct isa_cpu *c, bool waiting)
{
    if (c->cr0 & (ISA_CR0_EM | ISA_CR0_TS))
        return isa_raise(c, ISA_X_NM, 0, c->cr0 & ISA_CR0_EM ? ISA_RULE_NM_EM : ISA_RULE_NM_TS);
    return waiting ? isa_x87_pending(c) : 0;
}

int isa_mmx_on(struct isa_cpu *c)
{
    if (c->cr0 & ISA_CR0_EM)
        return isa_ud(c, ISA_RULE_UD_SSE_EM);
    if (c->cr0 & ISA_CR0_TS)
        return isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_TS);
    return isa_x87_pending(c);
}

int isa_sse_on(struct isa_cpu *c)
{
    if (!isa_sse_off(c))
        return 0;
    if (c->cr0 & ISA_CR0_EM)
        return isa_ud(c, ISA_RULE_UD_SSE_EM);
    if (!(c->cr4 & ISA_CR4_OSFXSR))
        return isa_ud(c, ISA_RULE_UD_OSFXSR);
    return isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_TS);
}

void isa_x87_summary(struct isa_x87 *x)
{
    bool es = x->sw & ~x->cw & ISA_FX_ALL;
    x->sw = (uint16_t)((x->sw & ~(ISA_FSW_ES | ISA_FSW_B)) | (es ? ISA_FSW_ES | ISA_FSW_B : 0));
}

void isa_x87_init(struct isa_x87 *x)
{
    x->cw = ISA_FCW_INIT;
    x->sw = x->fop = 0;
    x->fip = x->fdp = 0;
    x->valid = 0;
}

// Two bits for each physical register: 0 valid, 1 zero, 2 special (NaN, infinity, denormal, unsupported), 3 empty.
uint16_t isa_x87_tags(const struct isa_x87 *x)
{
    unsigned tags = 0;
    for (unsigned k = 0; k < 8; k++) {
        const struct isa_f80 *r = &x->r[k];
        unsigned e = r->se & 0x7fff, t;
        if (!(x->valid >> k & 1))
            t = 3;
        else if (e == 0 && r->sig == 0)
            t = 1;
        else
            t = e == 0 || e == 0x7fff || !(r->sig >> 63) ? 2 : 0;
        tags |= t << 2 * k;
    }
    return (uint16_t)tags;
}

void isa_x87_set_tags(struct isa_x87 *x, uint16_t tags)
{
    x->valid = 0;
    for (unsigned k = 0; k < 8; k++)
        x->valid |= (uint8_t)(((tags >> 2 * k & 3) != 3) << k);
}

void isa_mmx_enter(struct isa_x87 *x)
{
    isa_x87_set_top(x, 0);
    x->valid = 0xff;
}

// --- instructions

ISA_FPOP(fninit)
{
    int r = isa_x87_on(c, false);
    if (r)
        return r;
    isa_x87_init(&c->x87);
    return 0;
}

ISA_FPOP(fnclex)
{
    int r = isa_x87_on(c, false);
    if (r)
        return r;
    c->x87.sw &= (uint16_t) ~(ISA_FX_ALL | ISA_FSW_SF | ISA_FSW_ES | ISA_FSW_B);
    return 0;
}

ISA_FPOP(fnopx) { return isa_x87_on(c, false); }

static int store16(struct isa_cpu *c, const struct isa_insn *i, uint16_t v)
{
    uint64_t la;
    int r = isa_x87_on(c, false);
    if (r || (r = isa_operand_la(c, i, 2, ISA_ACC_W, &la)))
        return r;
    return isa_st16(c, la, v);
}
ISA_FPOP(fnstcw) { return store16(c, i, c->x87.cw); }
ISA_FPOP(fnstsw_m) { return store16(c, i, c->x87.sw); }

ISA_FPOP(fnstsw_ax)
{
    int r = isa_x87_on(c, false);
    if (!r)
        isa_w16(c, ISA_RAX, c->x87.sw);
    return r;
}

ISA_FPOP(fldcw)
{
    uint64_t la;
    uint16_t v;
    int r = isa_x87_on(c, true);
    if (r || (r = isa_operand_la(c, i, 2, ISA_ACC_R, &la)) || (r = isa_ld16(c, la, &v)))
        return r;
    c->x87.cw = (v & 0x1f3f) | 0x40;
    isa_x87_summary(&c->x87);
    return 0;
}

static int ldmxcsr(struct isa_cpu *c, const struct isa_insn *i, int r)
{
    uint64_t la;
    uint32_t v;
    if (r || (r = isa_operand_la(c, i, 4, ISA_ACC_R, &la)) || (r = isa_ld32(c, la, &v)))
        return r;
    if (v & ~ISA_MXCSR_MASK)
        return isa_gp0(c, ISA_RULE_GP_MXCSR);
    c->mxcsr = v;
    return 0;
}

static int stmxcsr(struct isa_cpu *c, const struct isa_insn *i, int r)
{
    uint64_t la;
    if (r || (r = isa_operand_la(c, i, 4, ISA_ACC_W, &la)))
        return r;
    return isa_st32(c, la, c->mxcsr);
}
ISA_FPOP(ldmxcsr) { return ldmxcsr(c, i, isa_sse_on(c)); }
ISA_FPOP(stmxcsr) { return stmxcsr(c, i, isa_sse_on(c)); }
ISA_FPOP(ldmxcsr_y) { return ldmxcsr(c, i, isa_avx_on(c)); }
ISA_FPOP(stmxcsr_y) { return stmxcsr(c, i, isa_avx_on(c)); }

ISA_FPOP(emms)
{
    int r = isa_mmx_on(c);
    if (r)
        return r;
    isa_x87_set_top(&c->x87, 0);
    c->x87.valid = 0;
    return 0;
}
