// isa/vec_crypto.c: AES rounds and carry-less multiplication.
//
// The substitution boxes are computed: the inverse in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, and an affine map (FIPS 197).
// MANUAL     "Advanced Encryption Standard (AES) Instructions", the instructions' own pages.
#include "isa/exec.h"
#include "isa/vec.h"

static uint8_t times(uint8_t a, uint8_t b)
{
    uint8_t r = 0;
    for (; b; b >>= 1) {
        r ^= b & 1 ? a : 0;
        a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
    }
    return r;
}
static uint8_t inverse(uint8_t a) // a^254
{
    uint8_t r = 1, p = a;
    for (unsigned e = 254; e; e >>= 1) {
        if (e & 1)
            r = times(r, p);
        p = times(p, p);
    }
    return r;
}
static uint8_t rotate(uint8_t v, unsigned n) { return (uint8_t)(v << n | v >> (8 - n)); }
static uint8_t sub(uint8_t v)
{
    v = inverse(v);
    return v ^ rotate(v, 1) ^ rotate(v, 2) ^ rotate(v, 3) ^ rotate(v, 4) ^ 0x63;
}
static uint8_t inverse_sub(uint8_t v) { return inverse(rotate(v, 1) ^ rotate(v, 3) ^ rotate(v, 6) ^ 5); }

// Rows are bytes k, k + 4, k + 8, k + 12; row k rotates by k.
static void shift_rows(union isa_vec *v, bool back)
{
    union isa_vec r;
    for (unsigned k = 0; k < 16; k++)
        r.b[k] = v->b[(back ? k - 4 * (k % 4) : k + 4 * (k % 4)) & 15];
    *v = r;
}
static void substitute(union isa_vec *v, bool back)
{
    for (unsigned k = 0; k < 16; k++)
        v->b[k] = back ? inverse_sub(v->b[k]) : sub(v->b[k]);
}
static void mix_columns(union isa_vec *v, bool back)
{
    static const uint8_t forward_row[4] = {2, 3, 1, 1}, back_row[4] = {14, 11, 13, 9};
    const uint8_t *m = back ? back_row : forward_row;
    union isa_vec r = {.q = {0, 0}};
    for (unsigned k = 0; k < 16; k++)
        for (unsigned j = 0; j < 4; j++)
            r.b[k] ^= times(v->b[(k & ~3u) + j], m[(j - k) & 3]);
    *v = r;
}
static int round_(union isa_vec *d, const union isa_vec *key, bool back, bool last)
{
    union isa_vec k = *key;
    shift_rows(d, back);
    substitute(d, back);
    if (!last)
        mix_columns(d, back);
    d->q[0] ^= k.q[0];
    d->q[1] ^= k.q[1];
    return 0;
}
ISA_VFN(aesenc) { return round_(d, s, false, false); }
ISA_VFN(aesenclast) { return round_(d, s, false, true); }
ISA_VFN(aesdec) { return round_(d, s, true, false); }
ISA_VFN(aesdeclast) { return round_(d, s, true, true); }
ISA_VFN(aesimc)
{
    *d = *s;
    mix_columns(d, true);
    return 0;
}
static uint32_t sub_word(uint32_t v)
{
    return sub((uint8_t)v) | (uint32_t)sub((uint8_t)(v >> 8)) << 8 | (uint32_t)sub((uint8_t)(v >> 16)) << 16 |
           (uint32_t)sub((uint8_t)(v >> 24)) << 24;
}
ISA_VFN(aeskeygenassist)
{
    uint32_t x1 = sub_word(s->d[1]), x3 = sub_word(s->d[3]);
    d->d[0] = x1;
    d->d[1] = (x1 >> 8 | x1 << 24) ^ (uint32_t)i->imm;
    d->d[2] = x3;
    d->d[3] = (x3 >> 8 | x3 << 24) ^ (uint32_t)i->imm;
    return 0;
}

ISA_VFN(pclmulqdq)
{
    uint64_t a = d->q[i->imm & 1], b = s->q[i->imm >> 4 & 1];
    unsigned __int128 r = 0;
    for (unsigned k = 0; k < 64; k++)
        if (b >> k & 1)
            r ^= (unsigned __int128)a << k;
    d->q[0] = (uint64_t)r;
    d->q[1] = (uint64_t)(r >> 64);
    return 0;
}
