// isa/vec_avx.c: operations on vectors that only VEX forms have: permutations, broadcasts, blends by a register, shifts lane by lane.
//
// MANUAL     the instructions' own pages.
#include <string.h>

#include "isa/exec.h"
#include "isa/vec.h"

// --- within 128 bits

ISA_VFN(permilps)
{
    union isa_vec v = *d;
    for (unsigned k = 0; k < 4; k++)
        d->d[k] = v.d[s->d[k] & 3];
    return 0;
}
ISA_VFN(permilpd)
{
    union isa_vec v = *d;
    for (unsigned k = 0; k < 2; k++)
        d->q[k] = v.q[s->q[k] >> 1 & 1];
    return 0;
}
ISA_VFN(permilpdi)
{
    for (unsigned k = 0; k < 2; k++)
        d->q[k] = s->q[i->imm >> k & 1];
    return 0;
}

#define BROADCAST(name, lane)                                                                                                      \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        for (unsigned k = 0; k < 16 / sizeof d->lane[0]; k++)                                                                      \
            d->lane[k] = s->lane[0];                                                                                               \
        return 0;                                                                                                                  \
    }
BROADCAST(broadcastb, b)
BROADCAST(broadcastw, w)
BROADCAST(broadcastd, d)
BROADCAST(broadcastq, q)
ISA_VFN(broadcast128)
{
    *d = *s;
    return 0;
}

#define SHIFT(name, lane, type, bits, past, expr)                                                                                  \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        for (unsigned k = 0; k < 16 / sizeof d->lane[0]; k++) {                                                                    \
            type a = d->lane[k];                                                                                                   \
            uint##bits##_t count = (uint##bits##_t)s->lane[k];                                                                     \
            d->lane[k] = count >= bits ? (past) : (expr);                                                                          \
        }                                                                                                                          \
        return 0;                                                                                                                  \
    }
SHIFT(psllvd, d, uint32_t, 32, 0, a << count)
SHIFT(psllvq, q, uint64_t, 64, 0, a << count)
SHIFT(psrlvd, d, uint32_t, 32, 0, a >> count)
SHIFT(psrlvq, q, uint64_t, 64, 0, a >> count)
SHIFT(psravd, sd, int32_t, 32, a >> 31, a >> count)

// --- across lanes

// VPERM2F128: each half of the destination is one of four, or 0.
ISA_VFN(perm128)
{
    const union isa_vec from[4] = {d[0], d[1], s[0], s[1]};
    for (unsigned k = 0; k < 2; k++) {
        unsigned pick = (unsigned)i->imm >> 4 * k;
        d[k] = pick & 8 ? (union isa_vec){.q = {0, 0}} : from[pick & 3];
    }
    return 0;
}
ISA_VFN(insert128)
{
    d[i->imm & 1] = *s;
    return 0;
}
ISA_VFN(extract128)
{
    d[0] = d[i->imm & 1];
    return 0;
}
// VPERMD, VPERMPS: d are the indices.
ISA_VFN(permd)
{
    for (unsigned k = 0; k < 8; k++) {
        unsigned from = d[k / 4].d[k % 4] & 7;
        d[k / 4].d[k % 4] = s[from / 4].d[from % 4];
    }
    return 0;
}
ISA_VFN(permqi)
{
    for (unsigned k = 0; k < 4; k++) {
        unsigned from = (unsigned)i->imm >> 2 * k & 3;
        d[k / 2].q[k % 2] = s[from / 2].q[from % 2];
    }
    return 0;
}

// --- by sign bits. The fourth operand is the register in bits 7..4 of the immediate

#define BLEND(name, lane, sign)                                                                                                    \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        const union isa_vec m[2] = {c->xmm[i->imm >> 4], c->ymmh[i->imm >> 4]};                                                    \
        for (unsigned v = 0; v < n / 16; v++)                                                                                      \
            for (unsigned k = 0; k < 16 / sizeof d->lane[0]; k++)                                                                  \
                if (m[v].sign[k] < 0)                                                                                              \
                    d[v].lane[k] = s[v].lane[k];                                                                                   \
        return 0;                                                                                                                  \
    }
BLEND(vpblendvb, b, sb)
BLEND(vblendvps, d, sd)
BLEND(vblendvpd, q, sq)

#define TEST(name, lane)                                                                                                           \
    ISA_VFN(name)                                                                                                                  \
    {                                                                                                                              \
        bool both = false, only = false;                                                                                           \
        for (unsigned v = 0; v < n / 16; v++)                                                                                      \
            for (unsigned k = 0; k < 16 / sizeof d->lane[0]; k++) {                                                                \
                both |= (d[v].lane[k] & s[v].lane[k]) < 0;                                                                         \
                only |= (~d[v].lane[k] & s[v].lane[k]) < 0;                                                                        \
            }                                                                                                                      \
        isa_set_status(c, (both ? 0 : ISA_FL_ZF) | (only ? 0 : ISA_FL_CF));                                                        \
        return 0;                                                                                                                  \
    }
TEST(testps, sd)
TEST(testpd, sq)
