// isa/vec_fp.c: floating-point operations on vectors: SSE, SSE2, SSE3, and the rounding and dot products of SSE4.1.
//
// Exceptions come in two stages. Those of the operands (#I, #D, #Z) are found for all lanes first; if one of them is not masked, nothing
// is computed and the others (#O, #U, #P) are not noted. Flags in MXCSR are set also where the instruction faults.
// MANUAL     "SSE, SSE2, and SSE3 Exceptions", "Handling SIMD Floating-Point Exceptions in Software".
#include "isa/exec.h"
#include "isa/fp.h"
#include "isa/vec.h"

#define ENV() struct isa_fp_env e = isa_fp_env_sse(c->mxcsr)

static uint32_t op32(struct isa_fp_env *e, isa_fp_op *op, uint32_t a, uint32_t b)
{
    return isa_fp_pk32(op(e, &isa_fp32, isa_fp_un32(e, a), isa_fp_un32(e, b)));
}
static uint64_t op64(struct isa_fp_env *e, isa_fp_op *op, uint64_t a, uint64_t b)
{
    return isa_fp_pk64(op(e, &isa_fp64, isa_fp_un64(e, a), isa_fp_un64(e, b)));
}

// --- lane by lane

#define LANES(name, suffix, lane, bits, count, expr)                                                                               \
    ISA_VFN(name##suffix)                                                                                                          \
    {                                                                                                                              \
        ENV();                                                                                                                     \
        for (unsigned k = 0; k < count; k++) {                                                                                     \
            uint##bits##_t a = d->lane[k], b = s->lane[k];                                                                         \
            d->lane[k] = (uint##bits##_t)(expr);                                                                                   \
            (void)a;                                                                                                               \
        }                                                                                                                          \
        return isa_fp_finish(c, &e);                                                                                               \
    }
#define ALL4(name, expr32, expr64)                                                                                                 \
    LANES(name, ps, d, 32, 4, expr32)                                                                                              \
    LANES(name, ss, d, 32, 1, expr32)                                                                                              \
    LANES(name, pd, q, 64, 2, expr64)                                                                                              \
    LANES(name, sd, q, 64, 1, expr64)
#define BINARY(name) ALL4(name, op32(&e, isa_fp_##name, a, b), op64(&e, isa_fp_##name, a, b))
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)

ALL4(sqrt, isa_fp_pk32(isa_fp_sqrt(&e, &isa_fp32, isa_fp_un32(&e, b))), isa_fp_pk64(isa_fp_sqrt(&e, &isa_fp64, isa_fp_un64(&e, b))))

// MINPS and MAXPS: the second operand if one is a NaN (any NaN is invalid) or both are zero.
static struct isa_fp extreme(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b, enum isa_fp_order want)
{
    return isa_fp_compare(e, a, b, false) == want ? a : b;
}
static uint32_t extreme32(struct isa_fp_env *e, uint32_t a, uint32_t b, enum isa_fp_order want)
{
    struct isa_fp x = isa_fp_un32(e, a), y = isa_fp_un32(e, b);
    if (isa_fp_nan(y)) {
        extreme(e, x, y, want);
        return b; // as it is, not made quiet
    }
    return isa_fp_pk32(extreme(e, x, y, want));
}
static uint64_t extreme64(struct isa_fp_env *e, uint64_t a, uint64_t b, enum isa_fp_order want)
{
    struct isa_fp x = isa_fp_un64(e, a), y = isa_fp_un64(e, b);
    if (isa_fp_nan(y)) {
        extreme(e, x, y, want);
        return b;
    }
    return isa_fp_pk64(extreme(e, x, y, want));
}
ALL4(min, extreme32(&e, a, b, ISA_FP_LESS), extreme64(&e, a, b, ISA_FP_LESS))
ALL4(max, extreme32(&e, a, b, ISA_FP_GREATER), extreme64(&e, a, b, ISA_FP_GREATER))

// CMPPS: EQ LT LE UNORD and their negations; LT and LE (and negations) find quiet NaNs invalid.
static bool predicate(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b, unsigned imm)
{
    bool quiet = (imm & 3) == 0 || (imm & 3) == 3, yes;
    enum isa_fp_order o = isa_fp_compare(e, a, b, quiet);
    switch (imm & 3) {
    case 0: yes = o == ISA_FP_EQUAL; break;
    case 1: yes = o == ISA_FP_LESS; break;
    case 2: yes = o == ISA_FP_LESS || o == ISA_FP_EQUAL; break;
    default: yes = o == ISA_FP_UNORDERED; break;
    }
    return yes != (imm >> 2 & 1);
}
ALL4(cmp, predicate(&e, isa_fp_un32(&e, a), isa_fp_un32(&e, b), (unsigned)i->imm) ? ~0u : 0,
     predicate(&e, isa_fp_un64(&e, a), isa_fp_un64(&e, b), (unsigned)i->imm) ? ~0ull : 0)

// VCMPPS: the same with 32 predicates. Bit 3 of 8..15 and 24..31 gives the other outcome for unordered operands, bit 4 turns quiet into
// signalling and the reverse.
static bool predicate32(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b, unsigned imm)
{
    static const uint8_t yes[16] = {// bits: less, equal, greater, unordered
                                    [0] = 2,  [1] = 1, [2] = 3,   [3] = 8,  [4] = 13, [5] = 14, [6] = 12, [7] = 7,
                                    [8] = 10, [9] = 9, [10] = 11, [11] = 0, [12] = 5, [13] = 6, [14] = 4, [15] = 15};
    bool quiet = ((imm & 3) == 0 || (imm & 3) == 3) != (imm >> 4 & 1);
    return yes[imm & 15] >> isa_fp_compare(e, a, b, quiet) & 1;
}
ALL4(vcmp, predicate32(&e, isa_fp_un32(&e, a), isa_fp_un32(&e, b), (unsigned)i->imm) ? ~0u : 0,
     predicate32(&e, isa_fp_un64(&e, a), isa_fp_un64(&e, b), (unsigned)i->imm) ? ~0ull : 0)

static int compare_flags(struct isa_cpu *c, const struct isa_fp_env *e, enum isa_fp_order o)
{
    static const uint8_t flags[] = {[ISA_FP_LESS] = ISA_FL_CF,
                                    [ISA_FP_EQUAL] = ISA_FL_ZF,
                                    [ISA_FP_GREATER] = 0,
                                    [ISA_FP_UNORDERED] = ISA_FL_CF | ISA_FL_PF | ISA_FL_ZF};
    int r = isa_fp_finish(c, e);
    if (!r)
        isa_set_status(c, flags[o]);
    return r;
}
#define COMPARE(name, lane, bits, quiet)                                                                                           \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        ENV();                                                                                                                     \
        struct isa_fp a = isa_fp_un##bits(&e, d->lane[0]), b = isa_fp_un##bits(&e, s->lane[0]);                                    \
        enum isa_fp_order o = isa_fp_compare(&e, a, b, quiet);                                                                     \
        return compare_flags(c, &e, o);                                                                                            \
    }
COMPARE(comiss, d, 32, false)
COMPARE(comisd, q, 64, false)
COMPARE(ucomiss, d, 32, true)
COMPARE(ucomisd, q, 64, true)

// --- horizontally

static int pairs32(struct isa_cpu *c, union isa_vec *d, const union isa_vec *s, isa_fp_op *op)
{
    ENV();
    union isa_vec r;
    for (unsigned k = 0; k < 2; k++) {
        r.d[k] = op32(&e, op, d->d[2 * k], d->d[2 * k + 1]);
        r.d[2 + k] = op32(&e, op, s->d[2 * k], s->d[2 * k + 1]);
    }
    *d = r;
    return isa_fp_finish(c, &e);
}
static int pairs64(struct isa_cpu *c, union isa_vec *d, const union isa_vec *s, isa_fp_op *op)
{
    ENV();
    uint64_t low = op64(&e, op, d->q[0], d->q[1]);
    d->q[1] = op64(&e, op, s->q[0], s->q[1]);
    d->q[0] = low;
    return isa_fp_finish(c, &e);
}
ISA_VFN(haddps) { return pairs32(c, d, s, isa_fp_add); }
ISA_VFN(hsubps) { return pairs32(c, d, s, isa_fp_sub); }
ISA_VFN(haddpd) { return pairs64(c, d, s, isa_fp_add); }
ISA_VFN(hsubpd) { return pairs64(c, d, s, isa_fp_sub); }
LANES(addsub, ps, d, 32, 4, op32(&e, k & 1 ? isa_fp_add : isa_fp_sub, a, b))
LANES(addsub, pd, q, 64, 2, op64(&e, k & 1 ? isa_fp_add : isa_fp_sub, a, b))

// --- conversions

ISA_VFN(cvtps2pd)
{
    ENV();
    for (unsigned k = 2; k-- > 0;)
        d->q[k] = isa_fp_pk64(isa_fp_convert(&e, &isa_fp64, isa_fp_un32(&e, s->d[k])));
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtpd2ps)
{
    ENV();
    for (unsigned k = 0; k < 2; k++)
        d->d[k] = isa_fp_pk32(isa_fp_convert(&e, &isa_fp32, isa_fp_un64(&e, s->q[k])));
    d->q[1] = 0;
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtss2sd)
{
    ENV();
    d->q[0] = isa_fp_pk64(isa_fp_convert(&e, &isa_fp64, isa_fp_un32(&e, s->d[0])));
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtsd2ss)
{
    ENV();
    d->d[0] = isa_fp_pk32(isa_fp_convert(&e, &isa_fp32, isa_fp_un64(&e, s->q[0])));
    return isa_fp_finish(c, &e);
}

static uint32_t int_to_32(struct isa_fp_env *e, int64_t v) { return isa_fp_pk32(isa_fp_convert(e, &isa_fp32, isa_fp_int(v))); }
static uint64_t int_to_64(struct isa_fp_env *e, int64_t v) { return isa_fp_pk64(isa_fp_convert(e, &isa_fp64, isa_fp_int(v))); }
static int64_t general(const struct isa_insn *i, const union isa_vec *s) { return i->osz == 8 ? s->sq[0] : s->sd[0]; }

ISA_VFN(cvtsi2ss)
{
    ENV();
    d->d[0] = int_to_32(&e, general(i, s));
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtsi2sd)
{
    ENV();
    d->q[0] = int_to_64(&e, general(i, s));
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtpi2ps)
{
    ENV();
    for (unsigned k = 0; k < 2; k++)
        d->d[k] = int_to_32(&e, s->sd[k]);
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtdq2ps)
{
    ENV();
    for (unsigned k = 0; k < 4; k++)
        d->d[k] = int_to_32(&e, s->sd[k]);
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtdq2pd)
{
    ENV();
    for (unsigned k = 2; k-- > 0;)
        d->q[k] = int_to_64(&e, s->sd[k]);
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtpi2pd) { return isa_v_cvtdq2pd(c, i, d, s, n); }

// To integers, rounding or truncating. count lanes; the rest of the destination becomes 0.
static int from32(struct isa_cpu *c, union isa_vec *d, const union isa_vec *s, unsigned count, bool truncate)
{
    ENV();
    union isa_vec r = {.q = {0, 0}};
    e.rc = truncate ? ISA_RC_ZERO : e.rc;
    for (unsigned k = 0; k < count; k++)
        r.sd[k] = (int32_t)isa_fp_to_int(&e, isa_fp_un32(&e, s->d[k]), 32);
    *d = r;
    return isa_fp_finish(c, &e);
}
static int from64(struct isa_cpu *c, union isa_vec *d, const union isa_vec *s, bool truncate)
{
    ENV();
    union isa_vec r = {.q = {0, 0}};
    e.rc = truncate ? ISA_RC_ZERO : e.rc;
    for (unsigned k = 0; k < 2; k++)
        r.sd[k] = (int32_t)isa_fp_to_int(&e, isa_fp_un64(&e, s->q[k]), 32);
    *d = r;
    return isa_fp_finish(c, &e);
}
static int to_general(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *d, const union isa_vec *s, bool wide,
                      bool truncate)
{
    ENV();
    e.rc = truncate ? ISA_RC_ZERO : e.rc;
    struct isa_fp a = wide ? isa_fp_un64(&e, s->q[0]) : isa_fp_un32(&e, s->d[0]);
    d->sq[0] = isa_fp_to_int(&e, a, i->osz == 8 ? 64 : 32);
    return isa_fp_finish(c, &e);
}
ISA_VFN(cvtps2dq) { return from32(c, d, s, 4, false); }
ISA_VFN(cvttps2dq) { return from32(c, d, s, 4, true); }
ISA_VFN(cvtps2pi) { return from32(c, d, s, 2, false); }
ISA_VFN(cvttps2pi) { return from32(c, d, s, 2, true); }
ISA_VFN(cvtpd2dq) { return from64(c, d, s, false); }
ISA_VFN(cvttpd2dq) { return from64(c, d, s, true); }
ISA_VFN(cvtpd2pi) { return from64(c, d, s, false); }
ISA_VFN(cvttpd2pi) { return from64(c, d, s, true); }
ISA_VFN(cvtss2si) { return to_general(c, i, d, s, false, false); }
ISA_VFN(cvttss2si) { return to_general(c, i, d, s, false, true); }
ISA_VFN(cvtsd2si) { return to_general(c, i, d, s, true, false); }
ISA_VFN(cvttsd2si) { return to_general(c, i, d, s, true, true); }

// --- approximations

// 1/x of 1 <= x < 2, in units of 2^-13: the value in the middle of one of 2048 intervals, rounded. This is what Intel processors give.
static uint32_t reciprocal(uint32_t frac)
{
    uint32_t mid = 4097 + 2 * (frac >> 12);
    return ((1u << 26) + mid) / (2 * mid);
}
// 1/sqrt(x) of 1 <= x < 4, in units of 2^-13, in 1024 intervals for each power of two.
static uint32_t reciprocal_root(uint32_t frac, bool doubled)
{
    uint64_t mid = (uint64_t)(2049 + 2 * (frac >> 13)) << doubled, lo = 4096, hi = 8192;
    while (lo < hi) { // the greatest m with (m - 1/2)^2 <= 2^37 / mid
        uint64_t m = (lo + hi + 1) / 2, t = 2 * m - 1;
        if (t * t * mid <= 1ull << 39)
            lo = m;
        else
            hi = m - 1;
    }
    return (uint32_t)lo;
}
// m * 2^-13 * 2^exp, 4096 <= m <= 8192; too small becomes 0.
static uint32_t assemble(bool neg, uint32_t m, int exp)
{
    if (m == 8192) {
        m = 4096;
        exp++;
    }
    int biased = exp - 1 + 127;
    if (biased <= 0)
        return (uint32_t)neg << 31;
    return (uint32_t)neg << 31 | (uint32_t)biased << 23 | (m & 4095) << 11;
}
static uint32_t approximate(uint32_t v, bool root)
{
    struct isa_fp_env e = {.daz = true};
    struct isa_fp a = isa_fp_un32(&e, v);
    uint32_t sign = v & 0x80000000;
    if (isa_fp_nan(a))
        return v | 0x400000;
    if (a.cls == ISA_FP_ZERO)
        return sign | 0x7f800000;
    if (root && a.neg)
        return 0xffc00000;
    if (a.cls == ISA_FP_INF)
        return sign;
    if (!root)
        return assemble(a.neg, reciprocal(v & 0x7fffff), -a.exp);
    int odd = a.exp & 1;
    return assemble(false, reciprocal_root(v & 0x7fffff, odd), -((a.exp - odd) / 2));
}
#define APPROXIMATE(name, root)                                                                                                    \
    ISA_VFN(name##ss)                                                                                                              \
    {                                                                                                                              \
        d->d[0] = approximate(s->d[0], root);                                                                                      \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_VFN(name##ps)                                                                                                              \
    {                                                                                                                              \
        for (unsigned k = 0; k < 4; k++)                                                                                           \
            d->d[k] = approximate(s->d[k], root);                                                                                  \
        return 0;                                                                                                                  \
    }
APPROXIMATE(rcp, false)
APPROXIMATE(rsqrt, true)

// --- SSE4.1

// imm: 1..0 rounding mode, 2 that of MXCSR instead, 3 no #P.
static struct isa_fp round_to(struct isa_fp_env *e, uint64_t imm, struct isa_fp a)
{
    uint8_t flags = e->flags;
    struct isa_fp_env t = *e;
    t.rc = imm & 4 ? e->rc : imm & 3;
    struct isa_fp r = isa_fp_rint(&t, a);
    e->flags = flags | (t.flags & ~(imm & 8 && !(flags & ISA_FX_P) ? ISA_FX_P : 0));
    return r;
}
ALL4(round, isa_fp_pk32(round_to(&e, i->imm, isa_fp_un32(&e, b))), isa_fp_pk64(round_to(&e, i->imm, isa_fp_un64(&e, b))))

// imm: 7..4 products that count, 3..0 lanes that get the sum. An unmasked exception stops it at its stage; each stage notes its flags.
// Which of two NaNs wins differs by lane: the sums are made in each lane, of itself and a neighbour.
static bool stage_stops(struct isa_cpu *c, struct isa_fp_env *e)
{
    if (e->flags & ~(unsigned)e->masks)
        return true;
    c->mxcsr |= e->flags;
    e->flags = 0;
    return false;
}
// All lanes of 128 bits go through a stage together.
static uint32_t *single(union isa_vec *v, unsigned k) { return &v[k / 4].d[k % 4]; }
ISA_VFN(dpps)
{
    ENV();
    unsigned count = n / 4;
    uint32_t p[8], t[8] = {0}, u[8] = {0};
    for (unsigned k = 0; k < count; k++)
        p[k] = i->imm >> (4 + k % 4) & 1 ? op32(&e, isa_fp_mul, *single(d, k), s[k / 4].d[k % 4]) : 0;
    bool stop = stage_stops(c, &e);
    for (unsigned k = 0; k < count && !stop; k++)
        t[k] = op32(&e, isa_fp_add, p[k ^ 1], p[k]);
    stop = stop || stage_stops(c, &e);
    for (unsigned k = 0; k < count && !stop; k++)
        u[k] = op32(&e, isa_fp_add, t[k], t[k ^ 2]);
    for (unsigned k = 0; k < count; k++)
        *single(d, k) = i->imm >> k % 4 & 1 ? u[k] : 0;
    return isa_fp_finish(c, &e);
}
ISA_VFN(dppd)
{
    ENV();
    uint64_t p[2], t[2] = {0};
    for (unsigned k = 0; k < 2; k++)
        p[k] = i->imm >> (4 + k) & 1 ? op64(&e, isa_fp_mul, d->q[k], s->q[k]) : 0;
    bool stop = stage_stops(c, &e);
    for (unsigned k = 0; k < 2 && !stop; k++)
        t[k] = op64(&e, isa_fp_add, p[k], p[k ^ 1]);
    for (unsigned k = 0; k < 2; k++)
        d->q[k] = i->imm >> k & 1 ? t[k] : 0;
    return isa_fp_finish(c, &e);
}
