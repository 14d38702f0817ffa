// isa/exec_muldiv.c: MUL, IMUL, DIV, IDIV, MULX, ADCX, ADOX.
//
// MODELS     the divide error (rules DIV_ZERO, DIV_RANGE): nothing is committed then. MUL and IMUL set CF and OF if the upper half
//            is more than the extension of the lower one.
// MANUAL     "MUL", "IMUL", "DIV", "IDIV", "MULX", "ADCX", "ADOX".
#include "isa/operand.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

#define CF_OF (ISA_FL_CF | ISA_FL_OF)

// Flags after a multiplication: CF and OF as given. The others are undefined; recent processors take SF and PF from the lower half
// and clear ZF, even where that is 0: 100H is a value with the same SF and PF as 0.
ISA_INLINE void set_mul_flags(struct isa_cpu *c, bool wide, uint64_t lo)
{
    isa_cc_set(c, ISA_CC_RES, 0, wide ? CF_OF : 0, lo ? lo : 0x100);
}

// Lower and upper half of the double-width accumulator: AX in pieces, DX:AX, EDX:EAX, RDX:RAX.
ISA_INLINE void set_pair8(struct isa_cpu *c, uint8_t lo, uint8_t hi) { isa_w16(c, ISA_RAX, (uint16_t)(hi << 8 | lo)); }
#define PAIR(bits)                                                                                                                 \
    ISA_INLINE void set_pair##bits(struct isa_cpu *c, uint##bits##_t lo, uint##bits##_t hi)                                        \
    {                                                                                                                              \
        isa_w##bits(c, ISA_RAX, lo);                                                                                               \
        isa_w##bits(c, ISA_RDX, hi);                                                                                               \
    }
PAIR(16)
PAIR(32)
PAIR(64)

#define WIDE_8   uint16_t
#define WIDE_16  uint32_t
#define WIDE_32  uint64_t
#define WIDE_64  u128
#define SWIDE_8  int16_t
#define SWIDE_16 int32_t
#define SWIDE_32 int64_t
#define SWIDE_64 s128

#define MUL_FORMS(bits)                                                                                                            \
    ISA_E_FN(mul, bits)                                                                                                            \
    {                                                                                                                              \
        WIDE_##bits p = (WIDE_##bits)((WIDE_##bits)isa_r##bits(c, ISA_RAX) * e);                                                   \
        uint##bits##_t lo = (uint##bits##_t)p, hi = (uint##bits##_t)(p >> bits);                                                   \
        set_pair##bits(c, lo, hi);                                                                                                 \
        set_mul_flags(c, hi != 0, isa_sx##bits(lo));                                                                               \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(imul, bits)                                                                                                           \
    {                                                                                                                              \
        SWIDE_##bits p = (SWIDE_##bits)((SWIDE_##bits)(int##bits##_t)isa_r##bits(c, ISA_RAX) * (int##bits##_t)e);                  \
        uint##bits##_t lo = (uint##bits##_t)p, hi = (uint##bits##_t)(p >> bits);                                                   \
        set_pair##bits(c, lo, hi);                                                                                                 \
        set_mul_flags(c, p != (int##bits##_t)lo, isa_sx##bits(lo));                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(mul, bits)                                                                                                         \
    ISA_READS_E(imul, bits)
MUL_FORMS(8)
MUL_FORMS(16)
MUL_FORMS(32)
MUL_FORMS(64)
ISA_FAMILY8(mul_e, mul);
ISA_FAMILY8(imul_e, imul);

// Two and three operands: the product is truncated.
#define IMUL_FORMS(bits)                                                                                                           \
    ISA_INLINE int imul_to_g##bits(struct isa_cpu *c, const struct isa_insn *i, uint##bits##_t a, uint##bits##_t b)                \
    {                                                                                                                              \
        SWIDE_##bits p = (SWIDE_##bits)(int##bits##_t)a * (int##bits##_t)b;                                                        \
        uint##bits##_t r = (uint##bits##_t)p;                                                                                      \
        isa_setg##bits(c, i, r);                                                                                                   \
        set_mul_flags(c, p != (int##bits##_t)r, isa_sx##bits(r));                                                                  \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(imul_ge, bits) { return imul_to_g##bits(c, i, isa_g##bits(c, i), e); }                                                \
    ISA_E_FN(imul_gei, bits) { return imul_to_g##bits(c, i, e, (uint##bits##_t)i->imm); }                                          \
    ISA_READS_E(imul_ge, bits)                                                                                                     \
    ISA_READS_E(imul_gei, bits)
IMUL_FORMS(16)
IMUL_FORMS(32)
IMUL_FORMS(64)
ISA_FAMILY6(imul_g_e, imul_ge);
ISA_FAMILY6(imul_g_e_i, imul_gei);

// Division. The flags are undefined; they are left alone.
ISA_INLINE int divide_error(struct isa_cpu *c, bool fast, enum isa_rule rule)
{
    return fast ? ISA_GO_SLOW : isa_raise(c, ISA_X_DE, 0, rule);
}

#define DIV_FORM(bits, wide, NUM)                                                                                                  \
    ISA_E_FN(div, bits)                                                                                                            \
    {                                                                                                                              \
        if (ISA_RARE(e == 0))                                                                                                      \
            return divide_error(c, fast, ISA_RULE_DIV_ZERO);                                                                       \
        wide n = NUM, q = (wide)(n / e);                                                                                           \
        if (ISA_RARE(q > (uint##bits##_t) - 1))                                                                                    \
            return divide_error(c, fast, ISA_RULE_DIV_RANGE);                                                                      \
        set_pair##bits(c, (uint##bits##_t)q, (uint##bits##_t)(n - q * e));                                                         \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(div, bits)
DIV_FORM(8, uint32_t, isa_r16(c, ISA_RAX))
DIV_FORM(16, uint32_t, (uint32_t)isa_r16(c, ISA_RDX) << 16 | isa_r16(c, ISA_RAX))
DIV_FORM(32, uint64_t, (uint64_t)isa_r32(c, ISA_RDX) << 32 | isa_r32(c, ISA_RAX))

ISA_E_FN(div, 64)
{
    uint64_t hi = c->gpr[ISA_RDX], lo = c->gpr[ISA_RAX];
    if (ISA_RARE(e == 0))
        return divide_error(c, fast, ISA_RULE_DIV_ZERO);
    if (ISA_RARE(hi >= e))
        return divide_error(c, fast, ISA_RULE_DIV_RANGE);
    if (hi == 0) {
        set_pair64(c, lo / e, lo % e);
        return 0;
    }
    u128 n = (u128)hi << 64 | lo;
    uint64_t q = (uint64_t)(n / e);
    set_pair64(c, q, lo - q * e);
    return 0;
}
ISA_READS_E(div, 64)
ISA_FAMILY8(div_e, div);

// A divisor of -1 is set apart: the most negative dividend has no quotient, in C as in the processor.
#define IDIV_FORM(bits, wide, NUM)                                                                                                 \
    ISA_E_FN(idiv, bits)                                                                                                           \
    {                                                                                                                              \
        wide n = (wide)(NUM), d = (int##bits##_t)e;                                                                                \
        if (ISA_RARE(d == 0))                                                                                                      \
            return divide_error(c, fast, ISA_RULE_DIV_ZERO);                                                                       \
        if (ISA_RARE(d == -1 && n == (wide)((wide)1 << (sizeof(wide) * 8 - 2)) * -2))                                              \
            return divide_error(c, fast, ISA_RULE_DIV_RANGE);                                                                      \
        wide q = n / d;                                                                                                            \
        if (ISA_RARE(q != (int##bits##_t)q))                                                                                       \
            return divide_error(c, fast, ISA_RULE_DIV_RANGE);                                                                      \
        set_pair##bits(c, (uint##bits##_t)q, (uint##bits##_t)(n % d));                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(idiv, bits)
IDIV_FORM(8, int32_t, (int16_t)isa_r16(c, ISA_RAX))
IDIV_FORM(16, int32_t, (uint32_t)isa_r16(c, ISA_RDX) << 16 | isa_r16(c, ISA_RAX))
IDIV_FORM(32, int64_t, (uint64_t)isa_r32(c, ISA_RDX) << 32 | isa_r32(c, ISA_RAX))

ISA_E_FN(idiv, 64)
{
    uint64_t hi = c->gpr[ISA_RDX], lo = c->gpr[ISA_RAX];
    if (ISA_RARE(e == 0))
        return divide_error(c, fast, ISA_RULE_DIV_ZERO);
    if (hi == 0 - (lo >> 63) && e != UINT64_MAX) { // the dividend fits into 64 bits
        int64_t n = (int64_t)lo, d = (int64_t)e;
        set_pair64(c, (uint64_t)(n / d), (uint64_t)(n % d));
        return 0;
    }
    // Divide magnitudes; they fit into unsigned numbers of the same width.
    bool neg_n = hi >> 63, neg_d = e >> 63;
    u128 n = (u128)hi << 64 | lo;
    u128 mag = neg_n ? -n : n;
    uint64_t d = neg_d ? 0 - e : e;
    u128 q = mag / d;
    uint64_t rem = (uint64_t)(mag - q * d);
    if (ISA_RARE(q > (neg_n != neg_d ? 1ull << 63 : INT64_MAX)))
        return divide_error(c, fast, ISA_RULE_DIV_RANGE);
    set_pair64(c, neg_n != neg_d ? 0 - (uint64_t)q : (uint64_t)q, neg_n ? 0 - rem : rem);
    return 0;
}
ISA_READS_E(idiv, 64)
ISA_FAMILY8(idiv_e, idiv);

// MULX: the upper half goes to G, the lower to B, without flags; if both are one register it holds the upper half.
#define MULX(bits)                                                                                                                 \
    ISA_E_FN(mulx, bits)                                                                                                           \
    {                                                                                                                              \
        WIDE_##bits p = (WIDE_##bits)isa_r##bits(c, ISA_RDX) * e;                                                                  \
        isa_w##bits(c, i->vvvv, (uint##bits##_t)p);                                                                                \
        isa_setg##bits(c, i, (uint##bits##_t)(p >> bits));                                                                         \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(mulx, bits)
MULX(32)
MULX(64)
ISA_FAMILY4(mulx, mulx);

// ADCX and ADOX carry through one flag each and leave the others alone.
#define ADX(bits)                                                                                                                  \
    ISA_E_FN(adcx, bits)                                                                                                           \
    {                                                                                                                              \
        WIDE_##bits s = (WIDE_##bits)isa_g##bits(c, i) + e + isa_cf(c);                                                            \
        isa_setg##bits(c, i, (uint##bits##_t)s);                                                                                   \
        isa_cc_cf(c, (bool)(s >> bits));                                                                                           \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(adox, bits)                                                                                                           \
    {                                                                                                                              \
        WIDE_##bits s = (WIDE_##bits)isa_g##bits(c, i) + e + isa_of(c);                                                            \
        isa_setg##bits(c, i, (uint##bits##_t)s);                                                                                   \
        isa_cc_keep(c, ISA_FL_STATUS & ~ISA_FL_OF, s >> bits ? ISA_FL_OF : 0);                                                     \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(adcx, bits)                                                                                                        \
    ISA_READS_E(adox, bits)
ADX(32)
ADX(64)
ISA_FAMILY4(adcx_g_e, adcx);
ISA_FAMILY4(adox_g_e, adox);
