// isa/x87_trans.c: x87 transcendental functions.
//
// Results are computed to about 120 bits and rounded once, so they are the correctly rounded ones but for the rarest of cases.
// Processors promise an error below one unit in the last place, and now and then differ from these in the last bit (docs/quirks.md).
// FSIN, FCOS, FSINCOS and FPTAN reduce their argument by a pi of 66 bits, as Intel processors do.
// MANUAL     "Transcendental Instruction Accuracy", "Approximation of Pi", the tables of special operands of each instruction.
#include "isa/x87.h"

#define BEGIN                                                                                                                      \
    struct isa_x87_run o;                                                                                                          \
    int r_ = isa_x87_begin(&o, c, i);                                                                                              \
    if (r_)                                                                                                                        \
    return r_

// --- numbers with 128 bits: s / 2^127 * 2^e; s is 0 or has bit 127 set

struct wide {
    isa_u128 s;
    int e;
    bool neg;
};

static struct wide normal(isa_u128 s, int e, bool neg)
{
    if (!s)
        return (struct wide){0, 0, neg};
    uint64_t h = (uint64_t)(s >> 64);
    int sh = h ? __builtin_clzll(h) : 64 + __builtin_clzll((uint64_t)s);
    return (struct wide){s << sh, e - sh, neg};
}
static struct wide from(struct isa_fp a) { return (struct wide){(isa_u128)a.sig << 64, a.exp, a.neg}; }
static struct wide small(uint64_t v) { return normal(v, 127, false); }
static struct wide negate(struct wide a)
{
    a.neg = !a.neg;
    return a;
}

static struct wide add(struct wide a, struct wide b)
{
    if (!a.s || !b.s)
        return a.s ? a : b;
    if (a.e < b.e || (a.e == b.e && a.s < b.s)) {
        struct wide t = a;
        a = b;
        b = t;
    }
    int d = a.e - b.e;
    isa_u128 y = d > 126 ? 1 : b.s >> d >> 1; // one bit of headroom; never nothing at all
    isa_u128 x = a.s >> 1;
    return normal(a.neg == b.neg ? x + y : x - y, a.e + 1, a.neg);
}

static struct wide mul(struct wide a, struct wide b)
{
    if (!a.s || !b.s)
        return (struct wide){0, 0, a.neg != b.neg};
    uint64_t ah = (uint64_t)(a.s >> 64), al = (uint64_t)a.s, bh = (uint64_t)(b.s >> 64), bl = (uint64_t)b.s;
    isa_u128 m1 = (isa_u128)ah * bl, m2 = (isa_u128)al * bh, low = (isa_u128)al * bl;
    isa_u128 mid = (m1 & ~0ull) + (m2 & ~0ull) + (low >> 64);
    return normal((isa_u128)ah * bh + (m1 >> 64) + (m2 >> 64) + (mid >> 64), a.e + b.e + 1, a.neg != b.neg);
}

static struct wide quotient(struct wide a, struct wide b)
{
    if (!a.s)
        return a;
    isa_u128 q = 0, r = a.s;
    int e = a.e - b.e;
    if (r < b.s)
        e--;
    else
        r -= b.s, q = 1;
    for (unsigned k = q ? 1 : 0; k < 128; k++) { // r < b.s: one more bit each time
        bool carry = r >> 127;
        r <<= 1;
        q <<= 1;
        if (carry || r >= b.s) {
            r -= b.s;
            q |= 1;
        }
    }
    return normal(q, e, a.neg != b.neg);
}
static struct wide divide_by(struct wide a, unsigned n)
{
    isa_u128 q = a.s / n, r = a.s % n;
    return normal(q << 16 >> 16 == q ? q << 16 | ((r << 16) / n) : q, q << 16 >> 16 == q ? a.e - 16 : a.e, a.neg);
}

static struct isa_fp to_fp(struct isa_x87_run *o, struct wide a)
{
    if (!a.s)
        return isa_fp_zero(a.neg);
    return isa_fp_round(&o->e, &isa_fp80, a.neg, a.e, a.s | 1);
}

#define K128(h, l) ((isa_u128)(h) << 64 | (l))
static const struct wide ln2 = {K128(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af), -1, false};
static const struct wide pi = {K128(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1), 1, false};

// --- series

// Terms below this share of the first do not count.
static bool done(struct wide term, struct wide sum) { return !term.s || term.e < sum.e - 130; }

// e^y - 1, |y| < 1.
static struct wide exp_minus_1(struct wide y)
{
    struct wide sum = y, term = y;
    for (unsigned k = 2; !done(term, sum); k++) {
        term = divide_by(mul(term, y), k);
        sum = add(sum, term);
    }
    return sum;
}
// atanh(s) or atan(s), |s| small.
static struct wide arc_series(struct wide s, bool hyperbolic)
{
    struct wide sum = s, power = s, sq = mul(s, s), term = s;
    if (!hyperbolic)
        sq = negate(sq);
    for (unsigned k = 3; !done(term, sum); k += 2) {
        power = mul(power, sq);
        term = divide_by(power, k);
        sum = add(sum, term);
    }
    return sum;
}
// sin(r) - starting at r - or cos(r), starting at 1.
static struct wide circular(struct wide r, bool cosine)
{
    struct wide sq = negate(mul(r, r)), sum = cosine ? small(1) : r, term = sum;
    for (unsigned k = cosine ? 1 : 2; !done(term, sum); k += 2) {
        term = divide_by(divide_by(mul(term, sq), k), k + 1);
        sum = add(sum, term);
    }
    return sum;
}
// The binary logarithm of (1 + a) / (1 + b) ... from s = (x - 1) / (x + 1).
static struct wide log2_from(struct wide s)
{
    struct wide l = quotient(arc_series(s, true), ln2);
    l.e++;
    return l;
}

// --- logarithms and powers

static struct isa_fp power(struct isa_x87_run *o, struct isa_fp a)
{
    if (a.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, a, a);
    if (a.cls == ISA_FP_INF)
        return a.neg ? isa_fp_int(-1) : a;
    if (a.den)
        o->e.flags |= ISA_FX_D;
    if (a.cls == ISA_FP_ZERO || a.exp > 0 || (a.exp == 0 && a.sig << 1)) // beyond 1 the result is undefined: unchanged
        return a;
    if (a.exp == 0) {
        struct isa_fp r = isa_fp_int(a.neg ? -1 : 1);
        r.exp -= a.neg;
        return r;
    }
    return to_fp(o, exp_minus_1(mul(from(a), ln2)));
}

// y * log2(x), both numbers, x > 0 and not 1.
static struct isa_fp y_log2_x(struct isa_x87_run *o, struct isa_fp y, struct isa_fp x)
{
    int e = x.exp;
    if (x.sig == 1ull << 63)
        return isa_fp_mul(&o->e, &isa_fp80, y, isa_fp_int(e));
    x.exp = 0;
    if (x.sig > 0xb504f333f9de6484) { // above the root of 2
        x.exp = -1;
        e++;
    }
    struct wide m = from(x), s = quotient(add(m, negate(small(1))), add(m, small(1)));
    struct wide l = e < 0 ? negate(small((uint64_t)-e)) : small((uint64_t)e);
    return to_fp(o, mul(from(y), add(l, log2_from(s))));
}
static struct isa_fp invalid(struct isa_x87_run *o)
{
    o->e.flags |= ISA_FX_I;
    return isa_fp_default_nan();
}
static bool is_one(struct isa_fp x) { return x.cls == ISA_FP_NUM && x.exp == 0 && !(x.sig << 1); }

static struct isa_fp yl2x(struct isa_x87_run *o, struct isa_fp y, struct isa_fp x)
{
    if (x.cls > ISA_FP_INF || y.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, y, x);
    if (x.neg && x.cls != ISA_FP_ZERO)
        return invalid(o);
    if (x.cls == ISA_FP_ZERO) {
        if (y.cls == ISA_FP_ZERO)
            return invalid(o);
        if (y.cls == ISA_FP_NUM)
            o->e.flags |= ISA_FX_Z;
        return isa_fp_inf(!y.neg);
    }
    bool above = x.cls == ISA_FP_INF || x.exp >= 0;
    if (x.cls == ISA_FP_INF || y.cls == ISA_FP_INF) {
        if (y.cls == ISA_FP_ZERO || is_one(x))
            return invalid(o);
        if (x.den || y.den)
            o->e.flags |= ISA_FX_D;
        return isa_fp_inf(above ? y.neg : !y.neg);
    }
    if (x.den || y.den)
        o->e.flags |= ISA_FX_D;
    if (is_one(x) || y.cls == ISA_FP_ZERO)
        return isa_fp_zero(above ? y.neg : !y.neg);
    return y_log2_x(o, y, x);
}

static struct isa_fp yl2xp1(struct isa_x87_run *o, struct isa_fp y, struct isa_fp x)
{
    if (x.cls > ISA_FP_INF || y.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, y, x);
    if (x.cls == ISA_FP_INF) {
        if (x.neg || y.cls == ISA_FP_ZERO)
            return invalid(o);
        if (y.den)
            o->e.flags |= ISA_FX_D;
        return isa_fp_inf(y.neg);
    }
    if (y.cls == ISA_FP_INF) {
        if (x.cls == ISA_FP_ZERO)
            return invalid(o);
        if (x.den)
            o->e.flags |= ISA_FX_D;
        return isa_fp_inf(x.neg != y.neg);
    }
    if (x.den || y.den)
        o->e.flags |= ISA_FX_D;
    if (x.cls == ISA_FP_ZERO || y.cls == ISA_FP_ZERO)
        return isa_fp_zero(x.neg != y.neg);
    if (x.exp >= -1) { // outside the domain, where the result is undefined: 1 + x as a number
        struct wide one = add(small(1), from(x));
        if (!one.s || one.neg)
            return x.neg ? invalid(o) : x;
        struct isa_fp_env e = o->e;
        struct isa_fp t = isa_fp_round(&e, &isa_fp80, false, one.e, one.s);
        return y_log2_x(o, y, t);
    }
    struct wide s = quotient(from(x), add(small(2), from(x)));
    return to_fp(o, mul(from(y), log2_from(s)));
}

typedef struct isa_fp binary(struct isa_x87_run *o, struct isa_fp y, struct isa_fp x);
// ST(1) = f(ST(1), ST(0)); pop.
static int with_two(struct isa_cpu *c, const struct isa_insn *i, binary *f)
{
    BEGIN;
    bool ok = isa_x87_need2(&o, 1);
    struct isa_fp v = ok ? f(&o, isa_x87_get(&o, 1), isa_x87_get(&o, 0)) : isa_fp_default_nan();
    if (!isa_x87_blocked(&o)) {
        isa_x87_put(&o, 1, v);
        isa_x87_pop(&o);
    }
    return isa_x87_end(&o);
}
ISA_FPOP(fyl2x) { return with_two(c, i, yl2x); }
ISA_FPOP(fyl2xp1) { return with_two(c, i, yl2xp1); }

ISA_FPOP(f2xm1)
{
    BEGIN;
    struct isa_fp v = isa_x87_need(&o, 0) ? power(&o, isa_x87_get(&o, 0)) : isa_fp_default_nan();
    if (!isa_x87_blocked(&o))
        isa_x87_put(&o, 0, v);
    return isa_x87_end(&o);
}

// --- arctangent

// atan(t), 0 < t <= 1: by steps of 1/8, atan(k/8) being a sum of atan((1/8) / (1 + (k - 1) k / 64)).
static struct wide arctangent(struct wide t)
{
    unsigned k = t.e < -3 ? 0 : (unsigned)(t.s >> (124 - t.e) & 15); // floor(8 t)
    struct wide sum = {0, 0, false};
    for (unsigned j = 1; j <= k; j++)
        sum = add(sum, arc_series(quotient(small(8), small(64 + (j - 1) * j)), false));
    if (k) {
        struct wide step = divide_by(small(k), 8);
        t = quotient(add(t, negate(step)), add(small(1), mul(t, step)));
    }
    return t.s ? add(sum, arc_series(t, false)) : sum;
}

// The angle of the point (x, y).
static struct isa_fp patan(struct isa_x87_run *o, struct isa_fp y, struct isa_fp x)
{
    if (x.cls > ISA_FP_INF || y.cls > ISA_FP_INF)
        return isa_fp_nan2(&o->e, y, x);
    if (x.den || y.den)
        o->e.flags |= ISA_FX_D;
    struct wide v = {0, 0, false}, quarter = pi, half = pi;
    quarter.e -= 2;
    half.e -= 1;
    if (y.cls == ISA_FP_ZERO || (x.cls == ISA_FP_INF && y.cls != ISA_FP_INF)) {
        if (!x.neg)
            return isa_fp_zero(y.neg);
        v = pi;
    } else if (x.cls == ISA_FP_INF)
        v = x.neg ? add(half, quarter) : quarter;
    else if (y.cls == ISA_FP_INF || x.cls == ISA_FP_ZERO)
        v = half;
    else {
        struct wide a = from(y), b = from(x);
        a.neg = b.neg = false;
        bool swap = a.e > b.e || (a.e == b.e && a.s > b.s);
        int apart = swap ? a.e - b.e : b.e - a.e;
        struct wide q = swap ? quotient(b, a) : quotient(a, b);
        v = apart > 140 ? q : arctangent(q);
        if (swap)
            v = add(half, negate(v));
        if (x.neg)
            v = add(pi, negate(v));
    }
    v.neg = y.neg;
    return to_fp(o, v);
}
ISA_FPOP(fpatan) { return with_two(c, i, patan); }

// --- circular functions

// a = n * pi/2 + r, |r| <= pi/4, with the pi of 66 bits. Gives n mod 4.
static unsigned reduce(struct isa_fp a, struct wide *r)
{
    const isa_u128 half_pi = K128(0xc, 0x90fdaa22168c234c); // in units of 2^-67
    *r = from(a);
    if (a.exp < -1 || (a.exp == -1 && a.sig < 0xc90fdaa22168c235)) {
        return 0;
    }
    isa_u128 num = (isa_u128)a.sig << 3; // a = num * 2^(exp - 66)
    unsigned n = (unsigned)(num / half_pi);
    num %= half_pi;
    for (int k = -1; k < a.exp; k++) { // num is in units of 2^(k - 66): at last 2^(exp - 66) has become 2^-67
        num <<= 1;
        n <<= 1;
        if (num >= half_pi) {
            num -= half_pi;
            n++;
        }
    }
    bool neg = num * 2 > half_pi;
    if (neg) {
        num = half_pi - num;
        n++;
    }
    *r = normal(num, 60, neg != a.neg);
    return (a.neg ? 0 - n : n) & 3;
}

// Special operands; true if there is nothing to compute. out: C2, the operand is too large.
static bool circular_special(struct isa_x87_run *o, struct isa_fp a, struct isa_fp *v, bool *out)
{
    *out = false;
    if (a.cls > ISA_FP_INF) {
        *v = isa_fp_nan2(&o->e, a, a);
        return true;
    }
    if (a.cls == ISA_FP_INF) {
        *v = invalid(o);
        return true;
    }
    *v = a;
    if (a.cls == ISA_FP_NUM && a.exp >= 63)
        return *out = true;
    if (a.den)
        o->e.flags |= ISA_FX_D;
    return false;
}
static struct isa_fp sine(struct isa_x87_run *o, unsigned n, struct wide r, bool cosine)
{
    n += cosine;
    struct wide v = circular(r, n & 1);
    if (n & 2)
        v = negate(v);
    return v.s == (isa_u128)1 << 127 && v.e == 0 && !r.s ? isa_fp_int(v.neg ? -1 : 1) : to_fp(o, v);
}

// One result in place of ST(0), and one to push if there are two.
static int circle(struct isa_cpu *c, const struct isa_insn *i, bool sin, bool cos, bool tan)
{
    BEGIN;
    struct isa_fp first = isa_fp_default_nan(), second = first;
    bool two = tan || (sin && cos), out = false, ok = isa_x87_need(&o, 0) && (!two || isa_x87_room(&o));
    if (ok && !circular_special(&o, isa_x87_get(&o, 0), &first, &out)) {
        struct wide r;
        struct isa_fp a = first;
        unsigned n = a.cls == ISA_FP_ZERO ? 0 : reduce(a, &r);
        if (a.cls == ISA_FP_ZERO) {
            first = sin || tan ? a : isa_fp_int(1);
            second = isa_fp_int(1);
        } else if (tan) {
            struct wide s = circular(r, n & 1), k = circular(r, !(n & 1));
            first = to_fp(&o, quotient(n & 1 ? negate(s) : s, k));
            second = isa_fp_int(1);
        } else {
            first = sine(&o, n, r, !sin);
            if (two)
                second = sine(&o, n, r, true);
        }
    } else if (ok)
        second = first;
    isa_x87_cc(&o, ISA_FSW_C2, out ? ISA_FSW_C2 : 0);
    if (!isa_x87_blocked(&o) && !out) {
        isa_x87_put(&o, 0, first);
        if (two)
            isa_x87_push(&o, second);
    }
    return isa_x87_end(&o);
}
ISA_FPOP(fsin) { return circle(c, i, true, false, false); }
ISA_FPOP(fcos) { return circle(c, i, false, true, false); }
ISA_FPOP(fsincos) { return circle(c, i, true, true, false); }
ISA_FPOP(fptan) { return circle(c, i, false, false, true); }
