// isa/x87.c: x87 arithmetic, comparisons, constants and stack manipulation.
//
// MANUAL     the instructions' own pages.
#include "isa/x87.h"

#include "isa/exec.h"
#include "isa/mem.h"

// --- the frame

int isa_x87_begin(struct isa_x87_run *o, struct isa_cpu *c, const struct isa_insn *i)
{
    *o = (struct isa_x87_run){.c = c, .i = i, .x = &c->x87, .e = isa_fp_env_x87(c->x87.cw)};
    return isa_x87_on(c, true);
}

int isa_x87_end(struct isa_x87_run *o)
{
    struct isa_x87 *x = o->x;
    bool blocked = isa_x87_blocked(o); // nothing was computed: no #P
    unsigned flags = blocked ? o->e.flags & (ISA_FX_I | ISA_FX_D | ISA_FX_Z) : o->e.flags;
    bool c1 = o->stack_fault ? o->overflow : o->keep_c1 ? x->sw & ISA_FSW_C1 : o->e.up && !blocked;
    x->sw = (uint16_t)((x->sw & ~ISA_FSW_C1) | flags | (c1 ? ISA_FSW_C1 : 0) | (o->stack_fault ? ISA_FSW_SF : 0));
    isa_x87_summary(x);
    x->fip = isa_insn_rip(o->c, o->i);
    if (flags & ~(unsigned)o->e.masks) {
        x->fop = (uint16_t)((o->i->opcode & 7) << 8 | o->i->modrm);
        if (o->i->is_mem)
            x->fdp = isa_ea(o->c, o->i);
    }
    return 0;
}

bool isa_x87_need(struct isa_x87_run *o, unsigned k)
{
    if (!isa_x87_empty(o->x, k))
        return true;
    o->e.flags |= ISA_FX_I;
    o->stack_fault = true;
    return false;
}
bool isa_x87_room(struct isa_x87_run *o)
{
    if (isa_x87_empty(o->x, 7))
        return true;
    o->e.flags |= ISA_FX_I;
    o->stack_fault = o->overflow = true;
    return false;
}

void isa_x87_put(struct isa_x87_run *o, unsigned k, struct isa_fp v)
{
    unsigned r = isa_x87_phys(o->x, k);
    o->x->r[r] = isa_fp_pk80(v);
    o->x->valid |= (uint8_t)(1u << r);
}
void isa_x87_push(struct isa_x87_run *o, struct isa_fp v)
{
    isa_x87_set_top(o->x, isa_x87_top(o->x) - 1);
    isa_x87_put(o, 0, v);
}
void isa_x87_pop(struct isa_x87_run *o)
{
    unsigned top = isa_x87_top(o->x);
    o->x->valid &= (uint8_t) ~(1u << top);
    isa_x87_set_top(o->x, top + 1);
}

struct isa_fp_format isa_x87_format(const struct isa_x87 *x)
{
    static const uint8_t p[4] = {24, 64, 53, 64};
    return (struct isa_fp_format){p[x->cw >> 8 & 3], isa_fp80.emin, isa_fp80.emax};
}

#define BEGIN                                                                                                                      \
    struct isa_x87_run o;                                                                                                          \
    int r_ = isa_x87_begin(&o, c, i);                                                                                              \
    if (r_)                                                                                                                        \
    return r_

// --- memory operands

enum kind { M32, M64, I16, I32, I64 };

static int load(struct isa_x87_run *o, enum kind kind, struct isa_fp *v)
{
    static const uint8_t size[] = {4, 8, 2, 4, 8};
    uint64_t la;
    int r = isa_operand_la(o->c, o->i, size[kind], ISA_ACC_R, &la);
    if (r)
        return r;
    struct isa_loaded x = isa_ld_v(o->c, la, size[kind], ISA_ACC_R);
    if (x.r)
        return x.r;
    switch (kind) {
    case M32: *v = isa_fp_un32(&o->e, (uint32_t)x.v); break;
    case M64: *v = isa_fp_un64(&o->e, x.v); break;
    case I16: *v = isa_fp_int((int16_t)x.v); break;
    case I32: *v = isa_fp_int((int32_t)x.v); break;
    default: *v = isa_fp_int((int64_t)x.v); break;
    }
    return 0;
}

// --- arithmetic

// ST(dst) = ST(dst) op b, or b op ST(dst).
static int arithmetic(struct isa_x87_run *o, isa_fp_op *op, bool reverse, unsigned dst, bool have, struct isa_fp b, bool pop)
{
    struct isa_fp_format f = isa_x87_format(o->x);
    struct isa_fp r = isa_fp_default_nan();
    if (isa_x87_need(o, dst) && have) {
        struct isa_fp a = isa_x87_get(o, dst);
        r = reverse ? op(&o->e, &f, b, a) : op(&o->e, &f, a, b);
    }
    if (!isa_x87_blocked(o)) {
        isa_x87_put(o, dst, r);
        if (pop)
            isa_x87_pop(o);
    }
    return isa_x87_end(o);
}
static int with_memory(struct isa_cpu *c, const struct isa_insn *i, isa_fp_op *op, bool reverse, enum kind kind)
{
    struct isa_fp b;
    BEGIN;
    if ((r_ = load(&o, kind, &b)))
        return r_;
    return arithmetic(&o, op, reverse, 0, true, b, false);
}
static int with_register(struct isa_cpu *c, const struct isa_insn *i, isa_fp_op *op, bool reverse, unsigned dst, unsigned src,
                         bool pop)
{
    BEGIN;
    bool have = isa_x87_need(&o, src);
    return arithmetic(&o, op, reverse, dst, have, isa_x87_get(&o, src), pop);
}
#define ARITHMETIC(name, op, reverse)                                                                                              \
    ISA_FPOP(name##_m32) { return with_memory(c, i, op, reverse, M32); }                                                           \
    ISA_FPOP(name##_m64) { return with_memory(c, i, op, reverse, M64); }                                                           \
    ISA_FPOP(name##_i16) { return with_memory(c, i, op, reverse, I16); }                                                           \
    ISA_FPOP(name##_i32) { return with_memory(c, i, op, reverse, I32); }                                                           \
    ISA_FPOP(name##_0i) { return with_register(c, i, op, reverse, 0, i->modrm & 7, false); }                                       \
    ISA_FPOP(name##_i0) { return with_register(c, i, op, reverse, i->modrm & 7, 0, false); }                                       \
    ISA_FPOP(name##p_i0) { return with_register(c, i, op, reverse, i->modrm & 7, 0, true); }
ARITHMETIC(fadd, isa_fp_add, false)
ARITHMETIC(fmul, isa_fp_mul, false)
ARITHMETIC(fsub, isa_fp_sub, false)
ARITHMETIC(fsubr, isa_fp_sub, true)
ARITHMETIC(fdiv, isa_fp_div, false)
ARITHMETIC(fdivr, isa_fp_div, true)

// ST(0) = f(ST(0)).
typedef struct isa_fp unary(struct isa_x87_run *o, struct isa_fp a);
static int with_top(struct isa_cpu *c, const struct isa_insn *i, unary *f)
{
    BEGIN;
    struct isa_fp v = isa_x87_need(&o, 0) ? f(&o, isa_x87_get(&o, 0)) : isa_fp_default_nan();
    if (!isa_x87_blocked(&o))
        isa_x87_put(&o, 0, v);
    return isa_x87_end(&o);
}
static struct isa_fp root(struct isa_x87_run *o, struct isa_fp a)
{
    struct isa_fp_format f = isa_x87_format(o->x);
    return isa_fp_sqrt(&o->e, &f, a);
}
static struct isa_fp rint_(struct isa_x87_run *o, struct isa_fp a)
{
    if (a.den)
        o->e.flags |= ISA_FX_D;
    return isa_fp_rint(&o->e, a);
}
ISA_FPOP(fsqrt) { return with_top(c, i, root); }
ISA_FPOP(frndint) { return with_top(c, i, rint_); }

// FCHS and FABS take any bits.
static int change_sign(struct isa_cpu *c, const struct isa_insn *i, uint16_t keep, uint16_t flip)
{
    BEGIN;
    if (isa_x87_need(&o, 0)) {
        struct isa_f80 *v = isa_x87_st(o.x, 0);
        v->se = (v->se & keep) ^ flip;
    } else if (!isa_x87_blocked(&o))
        isa_x87_put(&o, 0, isa_fp_default_nan());
    return isa_x87_end(&o);
}
ISA_FPOP(fchs) { return change_sign(c, i, 0xffff, 0x8000); }
ISA_FPOP(fabs) { return change_sign(c, i, 0x7fff, 0); }

// ST(0) scaled by 2 to the integer part of ST(1).
static struct isa_fp scale(struct isa_x87_run *o, struct isa_fp a, struct isa_fp b)
{
    if (a.cls > ISA_FP_INF || b.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, a, b);
    if (b.cls == ISA_FP_INF) {
        if ((a.cls == ISA_FP_ZERO && !b.neg) || (a.cls == ISA_FP_INF && b.neg)) {
            o->e.flags |= ISA_FX_I;
            return isa_fp_default_nan();
        }
        if (a.den)
            o->e.flags |= ISA_FX_D;
        return b.neg ? isa_fp_zero(a.neg) : isa_fp_inf(a.neg);
    }
    if (a.den || b.den)
        o->e.flags |= ISA_FX_D;
    if (a.cls != ISA_FP_NUM)
        return a;
    int n = 0;
    if (b.cls == ISA_FP_NUM && b.exp >= 0)
        n = b.exp > 15 ? 0x10000 : (int)(b.sig >> (63 - b.exp));
    if (b.cls == ISA_FP_ZERO)
        return a;
    return isa_fp_round(&o->e, &isa_fp80, a.neg, a.exp + (b.neg ? -n : n), (isa_u128)a.sig << 64);
}
ISA_FPOP(fscale)
{
    BEGIN;
    bool ok = isa_x87_need2(&o, 1);
    struct isa_fp v = ok ? scale(&o, isa_x87_get(&o, 0), isa_x87_get(&o, 1)) : isa_fp_default_nan();
    if (!isa_x87_blocked(&o)) {
        // An unmasked overflow or underflow may be too large even for the wrapped exponent: then it is an infinity or zero.
        bool over = v.exp > isa_fp80.emax, under = v.exp < isa_fp80.emin && (o.e.flags & ~(unsigned)o.e.masks & ISA_FX_U);
        if (v.cls == ISA_FP_NUM && (over || under)) {
            v = over ? isa_fp_inf(v.neg) : isa_fp_zero(v.neg);
            o.e.flags |= ISA_FX_P;
            o.e.up = over;
        }
        isa_x87_put(&o, 0, v);
    }
    return isa_x87_end(&o);
}

// ST(0) becomes its exponent; its significand is pushed.
ISA_FPOP(fxtract)
{
    BEGIN;
    struct isa_fp sig = isa_fp_default_nan(), exp = sig;
    if (isa_x87_need(&o, 0) && isa_x87_room(&o)) {
        struct isa_fp a = isa_x87_get(&o, 0);
        sig = exp = a;
        if (a.cls > ISA_FP_INF)
            sig = exp = isa_fp_nan2(&o.e, a, a);
        else if (a.cls == ISA_FP_ZERO) {
            o.e.flags |= ISA_FX_Z;
            exp = isa_fp_inf(true);
        } else if (a.cls == ISA_FP_INF)
            exp = isa_fp_inf(false);
        else {
            if (a.den)
                o.e.flags |= ISA_FX_D;
            exp = isa_fp_int(a.exp);
            sig.exp = 0;
        }
    }
    if (!isa_x87_blocked(&o)) {
        isa_x87_put(&o, 0, exp);
        isa_x87_push(&o, sig);
    }
    return isa_x87_end(&o);
}

// --- remainder

// a - q * b, where q is a / b truncated (FPREM) or rounded (FPREM1). When the exponents lie 64 or more apart only a part of the reduction
// is done, and C2 tells so.
static struct isa_fp remainder_(struct isa_x87_run *o, struct isa_fp a, struct isa_fp b, bool nearest)
{
    isa_x87_cc(o, ISA_FSW_C2, 0);
    if (a.cls > ISA_FP_INF || b.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, a, b);
    if (a.cls == ISA_FP_INF || b.cls == ISA_FP_ZERO) {
        o->e.flags |= ISA_FX_I;
        return isa_fp_default_nan();
    }
    if (a.den || b.den)
        o->e.flags |= ISA_FX_D;
    int d = a.exp - b.exp;
    if (a.cls == ISA_FP_ZERO || b.cls == ISA_FP_INF || d < -1 || (d == -1 && !nearest)) // a is small already
        isa_x87_cc(o, ISA_FSW_C0 | ISA_FSW_C3, 0);
    if (a.cls == ISA_FP_ZERO || b.cls == ISA_FP_INF)
        return a;
    if (d < -1 || (d == -1 && !nearest))
        return isa_fp_round(&o->e, &isa_fp80, a.neg, a.exp, (isa_u128)a.sig << 64);
    int n = d >= 64 ? 32 + (d & 31) : d; // bits of the quotient to take now
    bool partial = d >= 64;
    uint64_t q = 0, r = a.sig;
    bool neg = a.neg, odd_half = false;
    int exp = a.exp - n;
    if (d == -1) { // 1/4 < |a/b| < 1: halve b's scale
        exp = a.exp;
        isa_u128 twice = (isa_u128)b.sig << 1; // b in units of a's last place
        if ((isa_u128)r * 2 > twice) {
            q = 1;
            r = (uint64_t)(twice - r);
            neg = !neg;
        }
    } else {
        isa_u128 num = (isa_u128)a.sig;
        for (int k = 0; k <= n; k++) { // long division, a bit at a time
            q <<= 1;
            if (num >= b.sig) {
                num -= b.sig;
                q |= 1;
            }
            if (k < n)
                num <<= 1;
        }
        r = (uint64_t)num;
        if (nearest && !partial) {
            isa_u128 twice = num << 1;
            odd_half = twice == b.sig && (q & 1);
            if (twice > b.sig || odd_half) {
                r = b.sig - r;
                q++;
                neg = !neg;
            }
        }
    }
    if (partial)
        isa_x87_cc(o, ISA_FSW_CC, ISA_FSW_C2);
    else
        isa_x87_cc(o, ISA_FSW_CC, (q & 4 ? ISA_FSW_C0 : 0) | (q & 2 ? ISA_FSW_C3 : 0));
    if (!r)
        return o->e.up = !partial && (q & 1), isa_fp_zero(a.neg);
    struct isa_fp v = isa_fp_round(&o->e, &isa_fp80, neg, exp, (isa_u128)r << 64);
    o->e.up = !partial && (q & 1); // C1 is the lowest bit of the quotient
    return v;
}
static int prem(struct isa_cpu *c, const struct isa_insn *i, bool nearest)
{
    BEGIN;
    bool ok = isa_x87_need2(&o, 1);
    isa_x87_cc(&o, ISA_FSW_C2, 0);
    uint16_t sw = o.x->sw;
    struct isa_fp v = ok ? remainder_(&o, isa_x87_get(&o, 0), isa_x87_get(&o, 1), nearest) : isa_fp_default_nan();
    if (!isa_x87_blocked(&o))
        isa_x87_put(&o, 0, v);
    else
        o.x->sw = sw;
    return isa_x87_end(&o);
}
ISA_FPOP(fprem) { return prem(c, i, false); }
ISA_FPOP(fprem1) { return prem(c, i, true); }

// --- comparison

static const uint16_t order_cc[] = {[ISA_FP_LESS] = ISA_FSW_C0,
                                    [ISA_FP_EQUAL] = ISA_FSW_C3,
                                    [ISA_FP_GREATER] = 0,
                                    [ISA_FP_UNORDERED] = ISA_FSW_C0 | ISA_FSW_C2 | ISA_FSW_C3};
static int compare(struct isa_x87_run *o, bool have, struct isa_fp b, bool quiet, unsigned pops)
{
    enum isa_fp_order order = ISA_FP_UNORDERED;
    if (isa_x87_need(o, 0) && have) {
        struct isa_fp a = isa_x87_get(o, 0);
        if (a.cls == ISA_FP_BAD || b.cls == ISA_FP_BAD)
            o->e.flags |= ISA_FX_I;
        else
            order = isa_fp_compare(&o->e, a, b, quiet);
    }
    isa_x87_cc(o, ISA_FSW_C0 | ISA_FSW_C2 | ISA_FSW_C3, order_cc[order]);
    while (!isa_x87_blocked(o) && pops-- > 0)
        isa_x87_pop(o);
    return isa_x87_end(o);
}
static int compare_register(struct isa_cpu *c, const struct isa_insn *i, unsigned k, bool quiet, unsigned pops)
{
    BEGIN;
    bool have = isa_x87_need(&o, k);
    return compare(&o, have, isa_x87_get(&o, k), quiet, pops);
}
static int compare_memory(struct isa_cpu *c, const struct isa_insn *i, enum kind kind, unsigned pops)
{
    struct isa_fp b;
    BEGIN;
    if ((r_ = load(&o, kind, &b)))
        return r_;
    return compare(&o, true, b, false, pops);
}
#define COMPARE(name, pops)                                                                                                        \
    ISA_FPOP(name##_m32) { return compare_memory(c, i, M32, pops); }                                                               \
    ISA_FPOP(name##_m64) { return compare_memory(c, i, M64, pops); }                                                               \
    ISA_FPOP(name##_i16) { return compare_memory(c, i, I16, pops); }                                                               \
    ISA_FPOP(name##_i32) { return compare_memory(c, i, I32, pops); }                                                               \
    ISA_FPOP(name##_0i) { return compare_register(c, i, i->modrm & 7, false, pops); }
COMPARE(fcom, 0)
COMPARE(fcomp, 1)
ISA_FPOP(fcompp) { return compare_register(c, i, 1, false, 2); }
ISA_FPOP(fucom_0i) { return compare_register(c, i, i->modrm & 7, true, 0); }
ISA_FPOP(fucomp_0i) { return compare_register(c, i, i->modrm & 7, true, 1); }
ISA_FPOP(fucompp) { return compare_register(c, i, 1, true, 2); }
ISA_FPOP(ftst)
{
    BEGIN;
    return compare(&o, true, isa_fp_zero(false), false, 0);
}

static int compare_flags(struct isa_cpu *c, const struct isa_insn *i, bool quiet, bool pop)
{
    static const uint8_t flags[] = {[ISA_FP_LESS] = ISA_FL_CF,
                                    [ISA_FP_EQUAL] = ISA_FL_ZF,
                                    [ISA_FP_GREATER] = 0,
                                    [ISA_FP_UNORDERED] = ISA_FL_CF | ISA_FL_PF | ISA_FL_ZF};
    enum isa_fp_order order = ISA_FP_UNORDERED;
    BEGIN;
    if (isa_x87_need2(&o, i->modrm & 7)) {
        struct isa_fp a = isa_x87_get(&o, 0), b = isa_x87_get(&o, i->modrm & 7);
        if (a.cls == ISA_FP_BAD || b.cls == ISA_FP_BAD)
            o.e.flags |= ISA_FX_I;
        else
            order = isa_fp_compare(&o.e, a, b, quiet);
    }
    isa_set_status(c, flags[order]);
    o.keep_c1 = true;
    if (pop && !isa_x87_blocked(&o))
        isa_x87_pop(&o);
    return isa_x87_end(&o);
}
ISA_FPOP(fcomi) { return compare_flags(c, i, false, false); }
ISA_FPOP(fcomip) { return compare_flags(c, i, false, true); }
ISA_FPOP(fucomi) { return compare_flags(c, i, true, false); }
ISA_FPOP(fucomip) { return compare_flags(c, i, true, true); }

ISA_FPOP(fxam)
{
    static const uint16_t cc[] = {[ISA_FP_ZERO] = ISA_FSW_C3, [ISA_FP_NUM] = ISA_FSW_C2,  [ISA_FP_INF] = ISA_FSW_C2 | ISA_FSW_C0,
                                  [ISA_FP_QNAN] = ISA_FSW_C0, [ISA_FP_SNAN] = ISA_FSW_C0, [ISA_FP_BAD] = 0};
    BEGIN;
    struct isa_fp a = isa_x87_get(&o, 0);
    unsigned bits = isa_x87_empty(o.x, 0) ? ISA_FSW_C3 | ISA_FSW_C0 : a.den ? ISA_FSW_C3 | ISA_FSW_C2 : cc[a.cls];
    isa_x87_cc(&o, ISA_FSW_CC, bits);
    o.e.up = a.neg; // C1: the sign
    return isa_x87_end(&o);
}
