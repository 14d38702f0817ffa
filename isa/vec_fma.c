// isa/vec_fma.c: fused multiply-add, and conversions to and from half precision.
//
// The opcode says which: its upper half the order of operands, its lower half the signs; VEX.W the format.
//    9x 132: d * s + v   Ax 213: v * d + s   Bx 231: v * s + d        d destination, v VEX.vvvv, s register or memory
//    x6 ADDSUB, x7 SUBADD, x8 ADD, xA SUB, xC NADD, xE NSUB; the odd ones from 9 are scalar
// MANUAL     "Fused-Multiply-ADD (FMA) Numeric Behavior", "Half-Precision Floating-Point Conversion".
#include "isa/exec.h"
#include "isa/fp.h"
#include "isa/vec.h"

struct signs {
    bool product, addend; // negated
};
static struct signs signs_of(const struct isa_insn *i, unsigned k)
{
    unsigned op = i->opcode & 15;
    if (op < 8)
        return (struct signs){false, (op & 1) == (k & 1)}; // ADDSUB subtracts in even lanes, SUBADD in odd ones
    return (struct signs){op >= 12, (op & 2) != 0};
}

// The factors in the order that decides which NaN wins, then the addend.
struct three {
    uint64_t a, b, c;
};
static struct three in_order(const struct isa_insn *i, uint64_t d, uint64_t v, uint64_t s)
{
    switch (i->opcode >> 4) {
    case 9: return (struct three){d, s, v};
    case 10: return (struct three){v, d, s};
    default: return (struct three){v, s, d};
    }
}

static uint32_t fma32(struct isa_fp_env *e, struct signs n, struct three t)
{
    return isa_fp_pk32(isa_fp_fma(e, &isa_fp32, isa_fp_un32(e, (uint32_t)t.a), isa_fp_un32(e, (uint32_t)t.b),
                                  isa_fp_un32(e, (uint32_t)t.c), n.product, n.addend));
}
static uint64_t fma64(struct isa_fp_env *e, struct signs n, struct three t)
{
    return isa_fp_pk64(
        isa_fp_fma(e, &isa_fp64, isa_fp_un64(e, t.a), isa_fp_un64(e, t.b), isa_fp_un64(e, t.c), n.product, n.addend));
}

static int fused(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *d, const union isa_vec *s, bool wide, unsigned count)
{
    const union isa_vec v[2] = {c->xmm[i->vvvv], c->ymmh[i->vvvv]};
    struct isa_fp_env e = isa_fp_env_sse(c->mxcsr);
    for (unsigned k = 0; k < count; k++) {
        unsigned l = k / (wide ? 2 : 4), at = k % (wide ? 2 : 4);
        if (wide)
            d[l].q[at] = fma64(&e, signs_of(i, k), in_order(i, d[l].q[at], v[l].q[at], s[l].q[at]));
        else
            d[l].d[at] = fma32(&e, signs_of(i, k), in_order(i, d[l].d[at], v[l].d[at], s[l].d[at]));
    }
    return isa_fp_finish(c, &e);
}
ISA_VFN(fmap) { return fused(c, i, d, s, i->wide, n / (i->wide ? 8 : 4)); }
ISA_VFN(fmass) { return fused(c, i, d, s, false, 1); }
ISA_VFN(fmasd) { return fused(c, i, d, s, true, 1); }

// Half-precision denormals are numbers whatever MXCSR says: no #D, and DAZ does not reach them.
ISA_VFN(cvtph2ps)
{
    struct isa_fp_env e = isa_fp_env_sse(c->mxcsr);
    union isa_vec r;
    for (unsigned k = 0; k < 4; k++)
        r.d[k] = isa_fp_pk32(isa_fp_convert(&e, &isa_fp32, isa_fp_un16(s->w[k])));
    *d = r;
    return isa_fp_finish(c, &e);
}
// imm: 1..0 rounding mode, 2 that of MXCSR instead. Results are not flushed to zero.
ISA_VFN(cvtps2ph)
{
    struct isa_fp_env e = isa_fp_env_sse(c->mxcsr);
    union isa_vec r = {.q = {0, 0}};
    e.rc = i->imm & 4 ? e.rc : i->imm & 3;
    e.fz = false;
    for (unsigned k = 0; k < 4; k++)
        r.w[k] = isa_fp_pk16(isa_fp_convert(&e, &isa_fp16, isa_fp_un32(&e, d->d[k])));
    *d = r;
    return isa_fp_finish(c, &e);
}
