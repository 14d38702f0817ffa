// isa/fp.c: IEEE 754 arithmetic in integers (isa/fp.h).
#include "isa/fp.h"

const struct isa_fp_format isa_fp16 = {11, -14, 15}, isa_fp32 = {24, -126, 127}, isa_fp64 = {53, -1022, 1023},
                           isa_fp80 = {64, -16382, 16383};

#define TOP   (1ull << 63)
#define QUIET (1ull << 62)

struct isa_fp_env isa_fp_env_sse(uint32_t mxcsr)
{
    return (struct isa_fp_env){
        .rc = mxcsr >> 13 & 3, .masks = mxcsr >> 7 & ISA_FX_ALL, .daz = mxcsr & ISA_MXCSR_DAZ, .fz = mxcsr & ISA_MXCSR_FZ};
}
struct isa_fp_env isa_fp_env_x87(uint16_t fcw)
{
    return (struct isa_fp_env){.rc = fcw >> 10 & 3, .masks = fcw & ISA_FX_ALL, .x87 = true};
}

struct isa_fp isa_fp_default_nan(void) { return (struct isa_fp){.cls = ISA_FP_QNAN, .neg = true, .sig = TOP | QUIET}; }
struct isa_fp isa_fp_zero(bool neg) { return (struct isa_fp){.cls = ISA_FP_ZERO, .neg = neg}; }
struct isa_fp isa_fp_inf(bool neg) { return (struct isa_fp){.cls = ISA_FP_INF, .neg = neg, .sig = TOP}; }
struct isa_fp isa_fp_int(int64_t v)
{
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (!m)
        return isa_fp_zero(false);
    int sh = __builtin_clzll(m);
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = v < 0, .sig = m << sh, .exp = 63 - sh};
}

// --- packing

// Fields of an interchange format: frac is left-aligned below the integer bit.
static struct isa_fp unpack(const struct isa_fp_env *e, bool neg, unsigned biased, unsigned top, uint64_t frac, int emin)
{
    if (biased == top)
        return !frac ? isa_fp_inf(neg)
                     : (struct isa_fp){.cls = frac & QUIET ? ISA_FP_QNAN : ISA_FP_SNAN, .neg = neg, .sig = TOP | frac};
    if (biased)
        return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = TOP | frac, .exp = (int)biased - 1 + emin};
    if (!frac || e->daz)
        return isa_fp_zero(neg);
    int sh = __builtin_clzll(frac);
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = frac << sh, .exp = emin - sh, .den = true};
}
struct isa_fp isa_fp_un32(const struct isa_fp_env *e, uint32_t v)
{
    return unpack(e, v >> 31, v >> 23 & 0xff, 0xff, (uint64_t)(v & 0x7fffff) << 40, -126);
}
struct isa_fp isa_fp_un64(const struct isa_fp_env *e, uint64_t v)
{
    return unpack(e, v >> 63, v >> 52 & 0x7ff, 0x7ff, (v & 0xfffffffffffff) << 11, -1022);
}

struct isa_fp isa_fp_un16(uint16_t v)
{
    static const struct isa_fp_env plain = {0};
    struct isa_fp r = unpack(&plain, v >> 15, v >> 10 & 0x1f, 0x1f, (uint64_t)(v & 0x3ff) << 53, -14);
    r.den = false;
    return r;
}

struct isa_fp isa_fp_un80(struct isa_f80 v)
{
    unsigned b = v.se & 0x7fff;
    bool neg = v.se >> 15;
    if (b == 0) {
        if (!v.sig)
            return isa_fp_zero(neg);
        int sh = __builtin_clzll(v.sig); // 0 for a pseudo-denormal
        return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = v.sig << sh, .exp = -16382 - sh, .den = true};
    }
    if (!(v.sig >> 63))
        return (struct isa_fp){.cls = ISA_FP_BAD, .neg = neg, .sig = v.sig};
    if (b < 0x7fff)
        return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = v.sig, .exp = (int)b - 16383};
    if (v.sig == TOP)
        return isa_fp_inf(neg);
    return (struct isa_fp){.cls = v.sig & QUIET ? ISA_FP_QNAN : ISA_FP_SNAN, .neg = neg, .sig = v.sig};
}

// Biased exponent and significand (with its integer bit at bit 63, if it has one).
static unsigned pack(struct isa_fp v, int emin, unsigned top, uint64_t *sig)
{
    *sig = v.sig;
    if (v.cls == ISA_FP_ZERO) {
        *sig = 0;
        return 0;
    }
    if (v.cls != ISA_FP_NUM)
        return top;
    if (v.exp >= emin)
        return (unsigned)(v.exp - emin + 1);
    *sig = emin - v.exp > 63 ? 0 : v.sig >> (emin - v.exp);
    return 0;
}
uint32_t isa_fp_pk32(struct isa_fp v)
{
    uint64_t sig;
    unsigned b = pack(v, -126, 0xff, &sig);
    return (uint32_t)v.neg << 31 | b << 23 | (uint32_t)(sig >> 40 & 0x7fffff);
}
uint16_t isa_fp_pk16(struct isa_fp v)
{
    uint64_t sig;
    unsigned b = pack(v, -14, 0x1f, &sig);
    return (uint16_t)((unsigned)v.neg << 15 | b << 10 | (unsigned)(sig >> 53 & 0x3ff));
}
uint64_t isa_fp_pk64(struct isa_fp v)
{
    uint64_t sig;
    unsigned b = pack(v, -1022, 0x7ff, &sig);
    return (uint64_t)v.neg << 63 | (uint64_t)b << 52 | (sig >> 11 & 0xfffffffffffff);
}
struct isa_f80 isa_fp_pk80(struct isa_fp v)
{
    struct isa_f80 r;
    unsigned b = pack(v, -16382, 0x7fff, &r.sig);
    r.se = (uint16_t)((unsigned)v.neg << 15 | b);
    return r;
}

// --- rounding

static int clz128(isa_u128 v)
{
    uint64_t h = (uint64_t)(v >> 64);
    return h ? __builtin_clzll(h) : 64 + __builtin_clzll((uint64_t)v);
}
static isa_u128 shift_right_sticky(isa_u128 v, unsigned n)
{
    if (n == 0)
        return v;
    if (n > 127)
        return v != 0;
    return v >> n | ((v << (128 - n)) != 0);
}

static bool round_up(unsigned rc, bool neg, bool odd, isa_u128 rest)
{
    const isa_u128 half = (isa_u128)1 << 127;
    switch (rc) {
    case ISA_RC_NEAREST: return rest > half || (rest == half && odd);
    case ISA_RC_DOWN: return neg && rest;
    case ISA_RC_UP: return !neg && rest;
    default: return false;
    }
}

// The upper p bits of v, rounded; true if that carried out (the result is then 1.0 with an exponent one higher).
static bool round_bits(unsigned rc, bool neg, isa_u128 v, int p, uint64_t *sig, bool *inexact, bool *up)
{
    uint64_t h = (uint64_t)(v >> 64), ulp = p == 0 ? 0 : 1ull << (64 - p);
    isa_u128 rest = p == 64 ? v << 64 : p == 0 ? v : v << p;
    h = p == 0 ? 0 : h & ~(ulp - 1);
    *inexact = rest != 0;
    *up = round_up(rc, neg, (h & ulp) != 0, rest);
    if (*up && p == 0) { // the smallest denormal
        *sig = TOP;
        return true;
    }
    *sig = *up ? h + ulp : h;
    if (*up && *sig < h) {
        *sig = TOP;
        return true;
    }
    return false;
}

static struct isa_fp overflow(struct isa_fp_env *e, const struct isa_fp_format *f, bool neg)
{
    bool to_inf = e->rc == ISA_RC_NEAREST || e->rc == (neg ? ISA_RC_DOWN : ISA_RC_UP);
    e->flags |= ISA_FX_O | ISA_FX_P;
    e->up = to_inf;
    if (to_inf)
        return isa_fp_inf(neg);
    uint64_t all = f->p == 64 ? ~0ull : ~(~0ull >> f->p);
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = all, .exp = f->emax};
}

// A result below the normal range. As if the exponent were unbounded it would be sig, exp (inexact).
static struct isa_fp underflow(struct isa_fp_env *e, const struct isa_fp_format *f, bool neg, int exp, isa_u128 v, bool tiny)
{
    uint64_t sig;
    bool inexact, up;
    if (tiny && e->fz && (e->masks & ISA_FX_U)) {
        e->flags |= ISA_FX_U | ISA_FX_P;
        return isa_fp_zero(neg);
    }
    // Denormal: fewer bits of precision, down to none.
    int lost = f->emin - exp, p = f->p - lost;
    if (p < 0) {
        v = shift_right_sticky(v, (unsigned)(-p > 127 ? 127 : -p));
        v |= v == 0;
        p = 0;
    }
    int place = exp;
    if (f->p - lost < 0)
        place = f->emin - f->p;
    bool carry = round_bits(e->rc, neg, v, p, &sig, &inexact, &up);
    e->up = up;
    if (inexact)
        e->flags |= ISA_FX_P | (tiny ? ISA_FX_U : 0);
    if (p == 0)
        return up ? (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = TOP, .exp = f->emin - f->p + 1} : isa_fp_zero(neg);
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = sig, .exp = place + carry};
}

struct isa_fp isa_fp_round(struct isa_fp_env *e, const struct isa_fp_format *f, bool neg, int exp, isa_u128 v)
{
    uint64_t sig;
    bool inexact, up;
    if (!v)
        return isa_fp_zero(neg);
    int sh = clz128(v);
    v <<= sh;
    exp -= sh;
    bool carry = round_bits(e->rc, neg, v, f->p, &sig, &inexact, &up);
    int rexp = exp + carry;
    if (exp < f->emin) {
        bool tiny = rexp < f->emin;
        if (!tiny || (e->masks & ISA_FX_U))
            return underflow(e, f, neg, exp, v, tiny);
        e->flags |= ISA_FX_U; // unmasked: x87 registers get the exponent wrapped
        rexp += 24576;
    } else if (rexp > f->emax) {
        if (e->masks & ISA_FX_O)
            return overflow(e, f, neg);
        e->flags |= ISA_FX_O;
        rexp -= 24576;
    }
    e->up = up;
    if (inexact)
        e->flags |= ISA_FX_P;
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = neg, .sig = sig, .exp = rexp};
}

// --- NaNs

static struct isa_fp quiet(struct isa_fp a)
{
    a.cls = ISA_FP_QNAN;
    a.sig |= QUIET;
    return a;
}

struct isa_fp isa_fp_nan2(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b)
{
    if (a.cls == ISA_FP_BAD || b.cls == ISA_FP_BAD) {
        e->flags |= ISA_FX_I;
        return isa_fp_default_nan();
    }
    bool as = a.cls == ISA_FP_SNAN, bs = b.cls == ISA_FP_SNAN;
    if (as || bs)
        e->flags |= ISA_FX_I;
    if (!isa_fp_nan(a))
        return quiet(b);
    if (!isa_fp_nan(b) || !e->x87)
        return quiet(a);
    if (as != bs) // x87: the quiet one, else the larger significand, else the positive one
        return as ? b : a;
    uint64_t x = a.sig, y = b.sig;
    if (x != y)
        return quiet(x > y ? a : b);
    return quiet(a.neg ? b : a);
}

static bool special(struct isa_fp a) { return a.cls > ISA_FP_INF; }
static struct isa_fp invalid(struct isa_fp_env *e)
{
    e->flags |= ISA_FX_I;
    return isa_fp_default_nan();
}
static void note_denormals(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b)
{
    if (a.den || b.den)
        e->flags |= ISA_FX_D;
}

struct isa_fp isa_fp_convert(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a)
{
    if (special(a))
        return isa_fp_nan2(e, a, a);
    note_denormals(e, a, a);
    return a.cls == ISA_FP_NUM ? isa_fp_round(e, f, a.neg, a.exp, (isa_u128)a.sig << 64) : a;
}

// --- arithmetic

static struct isa_fp add_magnitudes(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b)
{
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        struct isa_fp t = a;
        a = b;
        b = t;
    }
    isa_u128 x = (isa_u128)a.sig << 63, y = shift_right_sticky((isa_u128)b.sig << 63, (unsigned)(a.exp - b.exp));
    isa_u128 v = a.neg == b.neg ? x + y : x - y;
    if (!v)
        return isa_fp_zero(e->rc == ISA_RC_DOWN);
    return isa_fp_round(e, f, a.neg, a.exp + 1, v);
}

struct isa_fp isa_fp_add(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b)
{
    if (special(a) || special(b))
        return isa_fp_nan2(e, a, b);
    if (a.cls == ISA_FP_INF && b.cls == ISA_FP_INF && a.neg != b.neg)
        return invalid(e);
    note_denormals(e, a, b);
    if (a.cls == ISA_FP_INF || b.cls == ISA_FP_INF)
        return a.cls == ISA_FP_INF ? a : b;
    if (a.cls == ISA_FP_ZERO && b.cls == ISA_FP_ZERO)
        return isa_fp_zero(a.neg == b.neg ? a.neg : e->rc == ISA_RC_DOWN);
    if (a.cls == ISA_FP_ZERO || b.cls == ISA_FP_ZERO) {
        struct isa_fp r = a.cls == ISA_FP_ZERO ? b : a;
        return isa_fp_round(e, f, r.neg, r.exp, (isa_u128)r.sig << 64);
    }
    return add_magnitudes(e, f, a, b);
}

struct isa_fp isa_fp_sub(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b)
{
    if (!special(b))
        b.neg = !b.neg;
    return isa_fp_add(e, f, a, b);
}

struct isa_fp isa_fp_mul(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b)
{
    bool neg = a.neg != b.neg;
    if (special(a) || special(b))
        return isa_fp_nan2(e, a, b);
    if ((a.cls == ISA_FP_INF && b.cls == ISA_FP_ZERO) || (a.cls == ISA_FP_ZERO && b.cls == ISA_FP_INF))
        return invalid(e);
    note_denormals(e, a, b);
    if (a.cls == ISA_FP_INF || b.cls == ISA_FP_INF)
        return isa_fp_inf(neg);
    if (a.cls == ISA_FP_ZERO || b.cls == ISA_FP_ZERO)
        return isa_fp_zero(neg);
    return isa_fp_round(e, f, neg, a.exp + b.exp + 1, (isa_u128)a.sig * b.sig);
}

// x / 2^127 * 2^xe plus the same of y, neither 0. What is shifted out is sticky: that is exact enough, since x and y come with at least
// 22 zeros at their end, so bits are lost only where no more than one leading bit can cancel.
static struct isa_fp add_wide(struct isa_fp_env *e, const struct isa_fp_format *f, bool xneg, int xe, isa_u128 x, bool yneg, int ye,
                              isa_u128 y)
{
    int xs = clz128(x), ys = clz128(y);
    x <<= xs, xe -= xs;
    y <<= ys, ye -= ys;
    if (xe < ye || (xe == ye && x < y)) {
        isa_u128 v = x;
        int exp = xe;
        bool neg = xneg;
        x = y, xe = ye, xneg = yneg;
        y = v, ye = exp, yneg = neg;
    }
    x >>= 1;
    y = shift_right_sticky(y, (unsigned)(xe - ye) + 1);
    isa_u128 v = xneg == yneg ? x + y : x - y;
    return v ? isa_fp_round(e, f, xneg, xe + 1, v) : isa_fp_zero(e->rc == ISA_RC_DOWN);
}

struct isa_fp isa_fp_fma(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b, struct isa_fp d,
                         bool negate_product, bool negate_addend)
{
    bool zero_by_inf = (a.cls == ISA_FP_INF && b.cls == ISA_FP_ZERO) || (a.cls == ISA_FP_ZERO && b.cls == ISA_FP_INF);
    bool neg = (a.neg != b.neg) != negate_product;
    if (special(a) || special(b) || special(d)) {
        if (d.cls == ISA_FP_SNAN)
            e->flags |= ISA_FX_I;
        return special(a) || special(b) ? isa_fp_nan2(e, a, b) : isa_fp_nan2(e, d, d);
    }
    if (zero_by_inf)
        return invalid(e);
    d.neg = d.neg != negate_addend;
    bool inf = a.cls == ISA_FP_INF || b.cls == ISA_FP_INF, zero = a.cls == ISA_FP_ZERO || b.cls == ISA_FP_ZERO;
    if (inf && d.cls == ISA_FP_INF && neg != d.neg)
        return invalid(e);
    note_denormals(e, a, b);
    note_denormals(e, d, d);
    if (inf || d.cls == ISA_FP_INF)
        return isa_fp_inf(inf ? neg : d.neg);
    if (zero && d.cls == ISA_FP_ZERO)
        return isa_fp_zero(neg == d.neg ? neg : e->rc == ISA_RC_DOWN);
    if (zero)
        return isa_fp_round(e, f, d.neg, d.exp, (isa_u128)d.sig << 64);
    isa_u128 product = (isa_u128)a.sig * b.sig;
    if (d.cls == ISA_FP_ZERO)
        return isa_fp_round(e, f, neg, a.exp + b.exp + 1, product);
    return add_wide(e, f, neg, a.exp + b.exp + 1, product, d.neg, d.exp, (isa_u128)d.sig << 64);
}

struct isa_fp isa_fp_div(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b)
{
    bool neg = a.neg != b.neg;
    if (special(a) || special(b))
        return isa_fp_nan2(e, a, b);
    if (a.cls == b.cls && a.cls != ISA_FP_NUM)
        return invalid(e);
    if (b.cls == ISA_FP_ZERO && a.cls == ISA_FP_NUM) {
        e->flags |= ISA_FX_Z;
        return isa_fp_inf(neg);
    }
    note_denormals(e, a, b);
    if (a.cls == ISA_FP_INF)
        return isa_fp_inf(neg);
    if (a.cls == ISA_FP_ZERO || b.cls == ISA_FP_INF)
        return isa_fp_zero(neg);
    int less = a.sig < b.sig;
    isa_u128 num = (isa_u128)a.sig << (63 + less);
    uint64_t q = (uint64_t)(num / b.sig), r = (uint64_t)(num % b.sig);
    isa_u128 rest = (isa_u128)r << 64;
    return isa_fp_round(e, f, neg, a.exp - b.exp - less, (isa_u128)q << 64 | (uint64_t)(rest / b.sig) | (rest % b.sig != 0));
}

// Integer square root, and what remains.
static uint64_t root(isa_u128 x, isa_u128 *rest)
{
    isa_u128 r = 0, bit = (isa_u128)1 << 126;
    for (; bit; bit >>= 2)
        if (x >= r + bit) {
            x -= r + bit;
            r = (r >> 1) + bit;
        } else
            r >>= 1;
    *rest = x;
    return (uint64_t)r;
}

struct isa_fp isa_fp_sqrt(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a)
{
    if (special(a))
        return isa_fp_nan2(e, a, a);
    if (a.cls == ISA_FP_ZERO)
        return a;
    if (a.neg)
        return invalid(e);
    note_denormals(e, a, a);
    if (a.cls == ISA_FP_INF)
        return a;
    int odd = a.exp & 1;
    isa_u128 rest;
    uint64_t r = root((isa_u128)a.sig << (63 + odd), &rest);
    return isa_fp_round(e, f, false, (a.exp - odd) / 2, (isa_u128)r << 64 | (rest > r ? TOP : 0) | (rest != 0));
}

enum isa_fp_order isa_fp_compare(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b, bool quiet_ok)
{
    if (special(a) || special(b)) {
        if (!quiet_ok || a.cls >= ISA_FP_SNAN || b.cls >= ISA_FP_SNAN)
            e->flags |= ISA_FX_I;
        return ISA_FP_UNORDERED;
    }
    note_denormals(e, a, b);
    if (a.cls == ISA_FP_ZERO && b.cls == ISA_FP_ZERO)
        return ISA_FP_EQUAL;
    bool less;
    if (a.cls == ISA_FP_ZERO)
        less = !b.neg;
    else if (b.cls == ISA_FP_ZERO)
        less = a.neg;
    else if (a.neg != b.neg)
        less = a.neg;
    else if (a.cls == ISA_FP_INF || b.cls == ISA_FP_INF) {
        if (a.cls == b.cls)
            return ISA_FP_EQUAL;
        less = (b.cls == ISA_FP_INF) != a.neg;
    } else {
        if (a.exp == b.exp && a.sig == b.sig)
            return ISA_FP_EQUAL;
        less = (a.exp != b.exp ? a.exp < b.exp : a.sig < b.sig) != a.neg;
    }
    return less ? ISA_FP_LESS : ISA_FP_GREATER;
}

// --- integers

// |a| as an integer with the fraction (64 bits) behind it; a.exp <= 63.
static isa_u128 fixed_point(struct isa_fp a)
{
    return a.cls == ISA_FP_ZERO ? 0 : shift_right_sticky((isa_u128)a.sig << 64, (unsigned)(63 - a.exp));
}

int64_t isa_fp_to_int(struct isa_fp_env *e, struct isa_fp a, unsigned bits)
{
    const int64_t indefinite = (int64_t)(~0ull << (bits - 1));
    if (a.cls > ISA_FP_NUM || (a.cls == ISA_FP_NUM && a.exp > 63)) {
        e->flags |= ISA_FX_I;
        return indefinite;
    }
    isa_u128 v = fixed_point(a), rest = v << 64, m = v >> 64;
    e->up = round_up(e->rc, a.neg, m & 1, rest);
    m += e->up;
    if (m > (isa_u128)1 << (bits - 1) || (m == (isa_u128)1 << (bits - 1) && !a.neg)) {
        e->up = false;
        e->flags |= ISA_FX_I;
        return indefinite;
    }
    if (rest)
        e->flags |= ISA_FX_P;
    return (int64_t)(a.neg ? 0 - (uint64_t)m : (uint64_t)m);
}

struct isa_fp isa_fp_rint(struct isa_fp_env *e, struct isa_fp a)
{
    if (special(a))
        return isa_fp_nan2(e, a, a);
    if (a.cls != ISA_FP_NUM || a.exp >= 63)
        return a;
    isa_u128 v = fixed_point(a), rest = v << 64;
    uint64_t m = (uint64_t)(v >> 64);
    e->up = round_up(e->rc, a.neg, m & 1, rest);
    if (rest)
        e->flags |= ISA_FX_P;
    m += e->up;
    if (!m)
        return isa_fp_zero(a.neg);
    int sh = __builtin_clzll(m);
    return (struct isa_fp){.cls = ISA_FP_NUM, .neg = a.neg, .sig = m << sh, .exp = 63 - sh};
}
