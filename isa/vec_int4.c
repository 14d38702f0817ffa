// isa/vec_int4.c: integer operations on vectors of SSSE3 and SSE4.1.
//
// MANUAL     the instructions' own pages.
#include "isa/exec.h"
#include "isa/vec.h"

#define LANES(name, lane, type, expr)                                                                                              \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        for (unsigned k = 0; k < n / sizeof d->lane[0]; k++) {                                                                     \
            type a = d->lane[k], b = s->lane[k];                                                                                   \
            d->lane[k] = expr;                                                                                                     \
            (void)a;                                                                                                               \
        }                                                                                                                          \
        return 0;                                                                                                                  \
    }
static int32_t clamp(int32_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : v; }

// --- SSSE3

LANES(psignb, sb, int, (int8_t)(b < 0 ? -a : b ? a : 0))
LANES(psignw, sw, int, (int16_t)(b < 0 ? -a : b ? a : 0))
LANES(psignd, sd, int64_t, (int32_t)(b < 0 ? -a : b ? a : 0))
LANES(pabsb, sb, int, (int8_t)(b < 0 ? -b : b))
LANES(pabsw, sw, int, (int16_t)(b < 0 ? -b : b))
LANES(pabsd, sd, int64_t, (int32_t)(b < 0 ? -b : b))
LANES(pmulhrsw, sw, int, (int16_t)(((a * b >> 14) + 1) >> 1))

ISA_VFN(pshufb)
{
    union isa_vec r = {.q = {0, 0}};
    for (unsigned k = 0; k < n; k++)
        r.b[k] = s->b[k] & 0x80 ? 0 : d->b[s->b[k] & (n - 1)];
    *d = r;
    return 0;
}
#define PAIRS(name, lane, type, expr)                                                                                              \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        union isa_vec r = {.q = {0, 0}};                                                                                           \
        unsigned half = n / (unsigned)sizeof d->lane[0] / 2;                                                                       \
        for (unsigned k = 0; k < 2 * half; k++) {                                                                                  \
            const union isa_vec *v = k < half ? d : s;                                                                             \
            type a = v->lane[2 * (k % half)], b = v->lane[2 * (k % half) + 1];                                                     \
            r.lane[k] = expr;                                                                                                      \
        }                                                                                                                          \
        *d = r;                                                                                                                    \
        return 0;                                                                                                                  \
    }
PAIRS(phaddw, w, unsigned, (uint16_t)(a + b))
PAIRS(phaddd, d, uint32_t, a + b)
PAIRS(phaddsw, sw, int, (int16_t)clamp(a + b, -0x8000, 0x7fff))
PAIRS(phsubw, w, unsigned, (uint16_t)(a - b))
PAIRS(phsubd, d, uint32_t, a - b)
PAIRS(phsubsw, sw, int, (int16_t)clamp(a - b, -0x8000, 0x7fff))

ISA_VFN(pmaddubsw)
{
    for (unsigned k = 0; k < n / 2; k++)
        d->sw[k] = (int16_t)clamp(d->b[2 * k] * s->sb[2 * k] + d->b[2 * k + 1] * s->sb[2 * k + 1], -0x8000, 0x7fff);
    return 0;
}
ISA_VFN(palignr)
{
    union isa_vec r = {.q = {0, 0}};
    for (unsigned k = 0; k < n; k++) {
        uint64_t at = k + i->imm;
        r.b[k] = at < n ? s->b[at] : at < 2 * n ? d->b[at - n] : 0;
    }
    *d = r;
    return 0;
}

// --- SSE4.1

LANES(pminsb, sb, int, (int8_t)(a < b ? a : b))
LANES(pmaxsb, sb, int, (int8_t)(a > b ? a : b))
LANES(pminuw, w, unsigned, (uint16_t)(a < b ? a : b))
LANES(pmaxuw, w, unsigned, (uint16_t)(a > b ? a : b))
LANES(pminsd, sd, int32_t, a < b ? a : b)
LANES(pmaxsd, sd, int32_t, a > b ? a : b)
LANES(pminud, d, uint32_t, a < b ? a : b)
LANES(pmaxud, d, uint32_t, a > b ? a : b)
LANES(pmulld, d, uint32_t, a *b)
LANES(pmuldq, sq, int64_t, (int64_t)(int32_t)a *(int32_t)b)
LANES(pcmpeqq, q, uint64_t, a == b ? ~0ull : 0)
LANES(pcmpgtq, sq, int64_t, a > b ? -1 : 0)

ISA_VFN(packusdw)
{
    union isa_vec r;
    for (unsigned k = 0; k < 4; k++) {
        r.w[k] = (uint16_t)clamp(d->sd[k], 0, 0xffff);
        r.w[4 + k] = (uint16_t)clamp(s->sd[k], 0, 0xffff);
    }
    *d = r;
    return 0;
}
ISA_VFN(phminposuw)
{
    unsigned at = 0;
    for (unsigned k = 1; k < 8; k++)
        if (s->w[k] < s->w[at])
            at = k;
    *d = (union isa_vec){.q = {s->w[at] | at << 16, 0}};
    return 0;
}

#define EXTEND(name, to, from, count)                                                                                              \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        union isa_vec v = *s;                                                                                                      \
        for (unsigned k = 0; k < count; k++)                                                                                       \
            d->to[k] = v.from[k];                                                                                                  \
        return 0;                                                                                                                  \
    }
EXTEND(pmovsxbw, sw, sb, 8)
EXTEND(pmovsxbd, sd, sb, 4)
EXTEND(pmovsxbq, sq, sb, 2)
EXTEND(pmovsxwd, sd, sw, 4)
EXTEND(pmovsxwq, sq, sw, 2)
EXTEND(pmovsxdq, sq, sd, 2)
EXTEND(pmovzxbw, w, b, 8)
EXTEND(pmovzxbd, d, b, 4)
EXTEND(pmovzxbq, q, b, 2)
EXTEND(pmovzxwd, d, w, 4)
EXTEND(pmovzxwq, q, w, 2)
EXTEND(pmovzxdq, q, d, 2)

#define BLEND(name, lane, count, choose)                                                                                           \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        const union isa_vec m = c->xmm[0];                                                                                         \
        for (unsigned k = 0; k < count; k++)                                                                                       \
            if (choose)                                                                                                            \
                d->lane[k] = s->lane[k];                                                                                           \
        (void)m;                                                                                                                   \
        return 0;                                                                                                                  \
    }
BLEND(pblendvb, b, 16, m.sb[k] < 0)
BLEND(blendvps, d, 4, m.sd[k] < 0)
BLEND(blendvpd, q, 2, m.sq[k] < 0)
BLEND(blendps, d, 4, i->imm >> k & 1)
BLEND(blendpd, q, 2, i->imm >> k & 1)
BLEND(pblendw, w, 8, i->imm >> k & 1)

ISA_VFN(ptest)
{
    uint64_t both = 0, only = 0;
    for (unsigned k = 0; k < n / 16; k++) {
        both |= (d[k].q[0] & s[k].q[0]) | (d[k].q[1] & s[k].q[1]);
        only |= (~d[k].q[0] & s[k].q[0]) | (~d[k].q[1] & s[k].q[1]);
    }
    isa_set_status(c, (both ? 0 : ISA_FL_ZF) | (only ? 0 : ISA_FL_CF));
    return 0;
}

ISA_VFN(mpsadbw)
{
    union isa_vec r;
    unsigned from = i->imm & 4, block = (i->imm & 3) * 4;
    for (unsigned k = 0; k < 8; k++) {
        int sum = 0;
        for (unsigned j = 0; j < 4; j++) {
            int x = d->b[from + k + j] - s->b[block + j];
            sum += x < 0 ? -x : x;
        }
        r.w[k] = (uint16_t)sum;
    }
    *d = r;
    return 0;
}

ISA_VFN(pextrb)
{
    *d = (union isa_vec){.q = {d->b[i->imm & 15], 0}};
    return 0;
}
ISA_VFN(pextrw)
{
    *d = (union isa_vec){.q = {d->w[i->imm & 7], 0}};
    return 0;
}
ISA_VFN(pextrd)
{
    *d = (union isa_vec){.q = {i->osz == 8 ? d->q[i->imm & 1] : d->d[i->imm & 3], 0}};
    return 0;
}
ISA_VFN(extractps)
{
    *d = (union isa_vec){.q = {d->d[i->imm & 3], 0}};
    return 0;
}
ISA_VFN(pinsrb)
{
    d->b[i->imm & 15] = s->b[0];
    return 0;
}
ISA_VFN(pinsrd)
{
    if (i->osz == 8)
        d->q[i->imm & 1] = s->q[0];
    else
        d->d[i->imm & 3] = s->d[0];
    return 0;
}
ISA_VFN(insertps)
{
    d->d[i->imm >> 4 & 3] = s->d[i->is_mem ? 0 : i->imm >> 6 & 3];
    for (unsigned k = 0; k < 4; k++)
        if (i->imm >> k & 1)
            d->d[k] = 0;
    return 0;
}
