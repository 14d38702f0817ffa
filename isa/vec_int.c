// isa/vec_int.c: integer operations on vectors: MMX and SSE2, and the shuffles of SSE and SSE3.
//
// MANUAL     the instructions' own pages.
#include <string.h>

#include "isa/env.h"
#include "isa/exec.h"
#include "isa/mem.h"
#include "isa/vec.h"

// One lane of d at a time, from a (of d) and b (of s).
#define LANES(name, lane, type, expr)                                                                                              \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        for (unsigned k = 0; k < n / sizeof d->lane[0]; k++) {                                                                     \
            type a = d->lane[k], b = s->lane[k];                                                                                   \
            d->lane[k] = expr;                                                                                                     \
        }                                                                                                                          \
        return 0;                                                                                                                  \
    }

static int32_t clamp(int32_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : v; }

LANES(paddb, b, unsigned, (uint8_t)(a + b))
LANES(paddw, w, unsigned, (uint16_t)(a + b))
LANES(paddd, d, uint32_t, a + b)
LANES(paddq, q, uint64_t, a + b)
LANES(psubb, b, unsigned, (uint8_t)(a - b))
LANES(psubw, w, unsigned, (uint16_t)(a - b))
LANES(psubd, d, uint32_t, a - b)
LANES(psubq, q, uint64_t, a - b)
LANES(paddsb, sb, int, (int8_t)clamp(a + b, -0x80, 0x7f))
LANES(paddsw, sw, int, (int16_t)clamp(a + b, -0x8000, 0x7fff))
LANES(psubsb, sb, int, (int8_t)clamp(a - b, -0x80, 0x7f))
LANES(psubsw, sw, int, (int16_t)clamp(a - b, -0x8000, 0x7fff))
LANES(paddusb, b, int, (uint8_t)clamp(a + b, 0, 0xff))
LANES(paddusw, w, int, (uint16_t)clamp(a + b, 0, 0xffff))
LANES(psubusb, b, int, (uint8_t)clamp(a - b, 0, 0xff))
LANES(psubusw, w, int, (uint16_t)clamp(a - b, 0, 0xffff))
LANES(pand, q, uint64_t, a &b)
LANES(pandn, q, uint64_t, ~a &b)
LANES(por, q, uint64_t, a | b)
LANES(pxor, q, uint64_t, a ^ b)
LANES(pcmpeqb, b, unsigned, a == b ? 0xff : 0)
LANES(pcmpeqw, w, unsigned, a == b ? 0xffff : 0)
LANES(pcmpeqd, d, uint32_t, a == b ? ~0u : 0)
LANES(pcmpgtb, sb, int, a > b ? -1 : 0)
LANES(pcmpgtw, sw, int, a > b ? -1 : 0)
LANES(pcmpgtd, sd, int32_t, a > b ? -1 : 0)
LANES(pminub, b, unsigned, (uint8_t)(a < b ? a : b))
LANES(pmaxub, b, unsigned, (uint8_t)(a > b ? a : b))
LANES(pminsw, sw, int, (int16_t)(a < b ? a : b))
LANES(pmaxsw, sw, int, (int16_t)(a > b ? a : b))
LANES(pavgb, b, unsigned, (uint8_t)((a + b + 1) >> 1))
LANES(pavgw, w, unsigned, (uint16_t)((a + b + 1) >> 1))
LANES(pmullw, sw, int, (int16_t)((unsigned)a *(unsigned)b))
LANES(pmulhw, sw, int, (int16_t)(a *b >> 16))
LANES(pmulhuw, w, uint32_t, (uint16_t)(a *b >> 16))
LANES(pmuludq, q, uint64_t, (a & 0xffffffff) * (b & 0xffffffff))

ISA_VFN(pmaddwd)
{
    for (unsigned k = 0; k < n / 4; k++)
        d->d[k] = (uint32_t)(d->sw[2 * k] * s->sw[2 * k]) + (uint32_t)(d->sw[2 * k + 1] * s->sw[2 * k + 1]);
    return 0;
}

ISA_VFN(psadbw)
{
    for (unsigned h = 0; h < n / 8; h++) {
        unsigned sum = 0;
        for (unsigned k = 8 * h; k < 8 * h + 8; k++)
            sum += d->b[k] > s->b[k] ? (unsigned)(d->b[k] - s->b[k]) : (unsigned)(s->b[k] - d->b[k]);
        d->q[h] = sum;
    }
    return 0;
}

// --- shifts: by a count in the source, or an immediate

#define SHIFT(name, lane, type, bits, past, expr)                                                                                  \
    static int name(union isa_vec *d, uint64_t count, unsigned n)                                                                  \
    {                                                                                                                              \
        for (unsigned k = 0; k < n / sizeof d->lane[0]; k++) {                                                                     \
            type a = d->lane[k];                                                                                                   \
            d->lane[k] = (type)(count >= bits ? (past) : (expr));                                                                  \
        }                                                                                                                          \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_VFN(p##name) { return name(d, s->q[0], n); }                                                                               \
    ISA_VFN(p##name##i) { return name(d, i->imm, n); }
SHIFT(sllw, w, uint16_t, 16, 0, (unsigned)a << count)
SHIFT(slld, d, uint32_t, 32, 0, a << count)
SHIFT(sllq, q, uint64_t, 64, 0, a << count)
SHIFT(srlw, w, uint16_t, 16, 0, a >> count)
SHIFT(srld, d, uint32_t, 32, 0, a >> count)
SHIFT(srlq, q, uint64_t, 64, 0, a >> count)
SHIFT(sraw, sw, int16_t, 16, a >> 15, a >> count)
SHIFT(srad, sd, int32_t, 32, a >> 31, a >> count)

ISA_VFN(psrldqi)
{
    union isa_vec r = {.q = {0, 0}};
    for (unsigned k = 0; k + i->imm < 16; k++)
        r.b[k] = d->b[k + i->imm];
    *d = r;
    return 0;
}
ISA_VFN(pslldqi)
{
    union isa_vec r = {.q = {0, 0}};
    for (unsigned k = 0; k + i->imm < 16; k++)
        r.b[k + i->imm] = d->b[k];
    *d = r;
    return 0;
}

// --- interleaving and packing

#define UNPACK(name, lane, high)                                                                                                   \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        union isa_vec r = {.q = {0, 0}};                                                                                           \
        unsigned half = n / (unsigned)sizeof d->lane[0] / 2, from = high ? half : 0;                                               \
        for (unsigned k = 0; k < half; k++) {                                                                                      \
            r.lane[2 * k] = d->lane[from + k];                                                                                     \
            r.lane[2 * k + 1] = s->lane[from + k];                                                                                 \
        }                                                                                                                          \
        *d = r;                                                                                                                    \
        return 0;                                                                                                                  \
    }
UNPACK(punpcklbw, b, false)
UNPACK(punpcklwd, w, false)
UNPACK(punpckldq, d, false)
UNPACK(punpcklqdq, q, false)
UNPACK(punpckhbw, b, true)
UNPACK(punpckhwd, w, true)
UNPACK(punpckhdq, d, true)
UNPACK(punpckhqdq, q, true)
UNPACK(unpcklps, d, false)
UNPACK(unpcklpd, q, false)
UNPACK(unpckhps, d, true)
UNPACK(unpckhpd, q, true)

#define PACK(name, to, from, type, lo, hi)                                                                                         \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        union isa_vec r = {.q = {0, 0}};                                                                                           \
        unsigned half = n / (unsigned)sizeof d->from[0];                                                                           \
        for (unsigned k = 0; k < half; k++) {                                                                                      \
            r.to[k] = (type)clamp(d->from[k], lo, hi);                                                                             \
            r.to[half + k] = (type)clamp(s->from[k], lo, hi);                                                                      \
        }                                                                                                                          \
        *d = r;                                                                                                                    \
        return 0;                                                                                                                  \
    }
PACK(packsswb, b, sw, uint8_t, -0x80, 0x7f)
PACK(packuswb, b, sw, uint8_t, 0, 0xff)
PACK(packssdw, w, sd, uint16_t, -0x8000, 0x7fff)

// --- shuffles

ISA_VFN(pshufw)
{
    *d = *s;
    for (unsigned k = 0; k < 4; k++)
        d->w[k] = s->w[i->imm >> 2 * k & 3];
    return 0;
}
ISA_VFN(pshuflw) { return isa_v_pshufw(c, i, d, s, n); }
ISA_VFN(pshufhw)
{
    *d = *s;
    for (unsigned k = 0; k < 4; k++)
        d->w[4 + k] = s->w[4 + (i->imm >> 2 * k & 3)];
    return 0;
}
ISA_VFN(pshufd)
{
    for (unsigned k = 0; k < 4; k++)
        d->d[k] = s->d[i->imm >> 2 * k & 3];
    return 0;
}
ISA_VFN(shufps)
{
    union isa_vec r;
    for (unsigned k = 0; k < 4; k++)
        r.d[k] = (k < 2 ? d : s)->d[i->imm >> 2 * k & 3];
    *d = r;
    return 0;
}
ISA_VFN(shufpd)
{
    uint64_t low = d->q[i->imm & 1];
    d->q[1] = s->q[i->imm >> 1 & 1];
    d->q[0] = low;
    return 0;
}
ISA_VFN(movsldup)
{
    for (unsigned k = 0; k < 4; k++)
        d->d[k] = s->d[k & 2];
    return 0;
}
ISA_VFN(movshdup)
{
    for (unsigned k = 0; k < 4; k++)
        d->d[k] = s->d[k | 1];
    return 0;
}
ISA_VFN(movddup)
{
    d->q[0] = d->q[1] = s->q[0];
    return 0;
}
ISA_VFN(movhlps)
{
    d->q[0] = s->q[1];
    return 0;
}
ISA_VFN(movlhps)
{
    d->q[1] = s->q[0];
    return 0;
}
ISA_VFN(movq2dq)
{
    *d = *s;
    return 0;
}
ISA_VFN(movdq2q)
{
    *d = *s;
    return 0;
}

// --- to and from general registers and masks

ISA_VFN(pinsrw)
{
    d->w[i->imm & (n / 2 - 1)] = s->w[0];
    return 0;
}
ISA_VFN(pextrw_g)
{
    d->q[0] = s->w[i->imm & (n / 2 - 1)];
    return 0;
}
ISA_VFN(pextrw_g_v) { return isa_v_pextrw_g(c, i, d, s, n); }

ISA_VFN(pmovmskb)
{
    unsigned m = 0;
    for (unsigned k = 0; k < n; k++)
        m |= (unsigned)(s[k / 16].b[k % 16] >> 7) << k;
    d->q[0] = m;
    return 0;
}
ISA_VFN(movmskps)
{
    unsigned m = 0;
    for (unsigned k = 0; k < n / 4; k++)
        m |= s[k / 4].d[k % 4] >> 31 << k;
    d->q[0] = m;
    return 0;
}
ISA_VFN(movmskpd)
{
    uint64_t m = 0;
    for (unsigned k = 0; k < n / 8; k++)
        m |= s[k / 2].q[k % 2] >> 63 << k;
    d->q[0] = m;
    return 0;
}

// MASKMOVQ, MASKMOVDQU: bytes of d whose mask bit (of s) is set go to DS:rDI, or the segment that overrides DS. Whether the bytes that
// are masked off are checked is up to the processor; here the whole operand is checked first if any byte is written.
ISA_VFN(maskmov)
{
    uint64_t ea = c->gpr[ISA_RDI], la = 0, any = 0;
    ea = i->asz == 8 ? ea : i->asz == 4 ? (uint32_t)ea : (uint16_t)ea;
    for (unsigned k = 0; k < n; k++)
        any |= s->b[k] & 0x80;
    if (!any)
        return 0;
    struct isa_loaded p = {ea, 0};
    if (i->segchk)
        p = isa_seg_la_v(c, i->seg, ea, n, ISA_ACC_W);
    la = p.v;
    int r = p.r;
    for (unsigned k = 0; !r && k < n; k++)
        if (s->b[k] & 0x80)
            r = isa_probe_w(c, la + k, 1, ISA_ACC_W);
    for (unsigned k = 0; !r && k < n; k++)
        if (s->b[k] & 0x80)
            r = isa_st_slow(c, la + k, &d->b[k], 1, ISA_ACC_W);
    return r;
}
