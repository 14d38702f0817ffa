// isa/exec_bit.c: bit tests, scans and counts, and the bit fields of BMI1 and BMI2.
//
// MODELS     bit strings in memory: a register bit offset reaches beyond the operand, in both directions. Undefined flags are as
//            recent processors leave them.
// MANUAL     "BT", "BTS", "BTR", "BTC", "BSF", "BSR", "POPCNT", "LZCNT", "TZCNT", and the BMI instructions.
#include "isa/operand.h"

#define B_bt(v, m)  (v)
#define B_bts(v, m) ((v) | (m))
#define B_btr(v, m) ((v) & ~(m))
#define B_btc(v, m) ((v) ^ (m))

// Address of the operand that holds bit `off` (signed, in bits) of the bit string at the memory operand.
ISA_INLINE int bit_string_la(struct isa_cpu *c, const struct isa_insn *i, bool fast, int64_t off, unsigned bits, unsigned acc,
                             uint64_t *la)
{
    uint64_t ea = isa_ea(c, i) + (uint64_t)(off >> (bits == 16 ? 4 : bits == 32 ? 5 : 6)) * (bits / 8);
    ea = i->asz == 8 ? ea : i->asz == 4 ? (uint32_t)ea : (uint16_t)ea;
    *la = ea;
    if (!ISA_RARE(i->segchk))
        return 0;
    if (fast)
        return ISA_GO_SLOW;
    struct isa_loaded x = isa_seg_la_v(c, i->seg, ea, bits / 8, acc);
    *la = x.v;
    return x.r;
}

#define BIT_WRITES(op, bits, OFF)                                                                                                  \
    ISA_TRY(isa_lardw##bits(c, fast, &p, &a));                                                                                     \
    ISA_TRY(isa_opwr##bits(c, fast, &p, (uint##bits##_t)B_##op(a, (uint##bits##_t)1 << n)));
#define BIT_READS(op, bits, OFF)                                                                                                   \
    if (fast) {                                                                                                                    \
        const struct isa_mirror *e = isa_hit(c->rd, c, p.la, bits / 8);                                                            \
        if (!e)                                                                                                                    \
            return ISA_GO_SLOW;                                                                                                    \
        memcpy(&a, (const void *)(uintptr_t)(e->addend + p.la), bits / 8);                                                         \
    } else {                                                                                                                       \
        ISA_TRY(isa_ld##bits(c, p.la, &a));                                                                                        \
    }

#define BIT_FORM(op, src, bits, VALUE, OFFSET, ACCESS, ACC, WB)                                                                    \
    ISA_BODY(op##_##src##bits##r)                                                                                                  \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i);                                                                                      \
        unsigned n = (unsigned)(VALUE) & (bits - 1);                                                                               \
        WB(isa_sete##bits(c, i, (uint##bits##_t)B_##op(a, (uint##bits##_t)1 << n));)                                               \
        isa_cc_cf(c, a >> n & 1);                                                                                                  \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_##src##bits##m)                                                                                                  \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t a;                                                                                                          \
        unsigned n = (unsigned)(VALUE) & (bits - 1);                                                                               \
        ISA_TRY(bit_string_la(c, i, fast, OFFSET, bits, ACC, &p.la));                                                              \
        ACCESS(op, bits, n)                                                                                                        \
        isa_cc_cf(c, a >> n & 1);                                                                                                  \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(op##_##src##bits##r)                                                                                               \
    ISA_HANDLER(op##_##src##bits##m)
#define YES(x) x
#define NO(x)
#define BIT_FORMS(op, ACCESS, ACC, WB)                                                                                             \
    BIT_FORM(op, i, 16, i->imm, 0, ACCESS, ACC, WB)                                                                                \
    BIT_FORM(op, i, 32, i->imm, 0, ACCESS, ACC, WB)                                                                                \
    BIT_FORM(op, i, 64, i->imm, 0, ACCESS, ACC, WB)                                                                                \
    BIT_FORM(op, g, 16, isa_g16(c, i), (int16_t)isa_g16(c, i), ACCESS, ACC, WB)                                                    \
    BIT_FORM(op, g, 32, isa_g32(c, i), (int32_t)isa_g32(c, i), ACCESS, ACC, WB)                                                    \
    BIT_FORM(op, g, 64, isa_g64(c, i), (int64_t)isa_g64(c, i), ACCESS, ACC, WB)                                                    \
    ISA_FAMILY6(op##_e_i, op##_i);                                                                                                 \
    ISA_FAMILY6(op##_e_g, op##_g);
BIT_FORMS(bt, BIT_READS, ISA_ACC_R, NO)
BIT_FORMS(bts, BIT_WRITES, ISA_ACC_W, YES)
BIT_FORMS(btr, BIT_WRITES, ISA_ACC_W, YES)
BIT_FORMS(btc, BIT_WRITES, ISA_ACC_W, YES)

// Counts and scans. Index of the lowest and of the highest bit that is 1; v is not 0.
#define LOWEST(v)  ((unsigned)__builtin_ctzll(v))
#define HIGHEST(v) (63u - (unsigned)__builtin_clzll(v))

// BSF and BSR of 0 leave the destination alone.
#define SCAN(name, bits, expr)                                                                                                     \
    ISA_E_FN(name, bits)                                                                                                           \
    {                                                                                                                              \
        if (e != 0)                                                                                                                \
            isa_setg##bits(c, i, (uint##bits##_t)(expr));                                                                          \
        isa_set_status(c, e == 0 ? ISA_FL_ZF | ISA_FL_PF : __builtin_parity(expr) ? 0 : ISA_FL_PF);                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(name, bits)
#define COUNT(name, bits, expr)                                                                                                    \
    ISA_E_FN(name, bits)                                                                                                           \
    {                                                                                                                              \
        unsigned r = e == 0 ? bits : (expr);                                                                                       \
        isa_setg##bits(c, i, (uint##bits##_t)r);                                                                                   \
        isa_set_status(c, (e == 0 ? ISA_FL_CF : 0) | (r == 0 ? ISA_FL_ZF : 0));                                                    \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(name, bits)
#define POPCNT(bits)                                                                                                               \
    ISA_E_FN(popcnt, bits)                                                                                                         \
    {                                                                                                                              \
        isa_setg##bits(c, i, (uint##bits##_t)__builtin_popcountll(e));                                                             \
        isa_set_status(c, e == 0 ? ISA_FL_ZF : 0);                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(popcnt, bits)
#define SCANS(bits)                                                                                                                \
    SCAN(bsf, bits, LOWEST(e))                                                                                                     \
    SCAN(bsr, bits, HIGHEST(e)) COUNT(tzcnt, bits, LOWEST(e)) COUNT(lzcnt, bits, bits - 1 - HIGHEST(e)) POPCNT(bits)
SCANS(16)
SCANS(32)
SCANS(64)
ISA_FAMILY6(bsf_g_e, bsf);
ISA_FAMILY6(bsr_g_e, bsr);
ISA_FAMILY6(tzcnt_g_e, tzcnt);
ISA_FAMILY6(lzcnt_g_e, lzcnt);
ISA_FAMILY6(popcnt_g_e, popcnt);

// BMI1 and BMI2, 32 and 64 bits. B is the register in VEX.vvvv.
#define B_REG(bits)       isa_r##bits(c, i->vvvv)
#define LOW_MASK(bits, n) ((n) >= bits ? (uint##bits##_t) - 1 : (uint##bits##_t)(((uint##bits##_t)1 << (n)) - 1))

static inline uint64_t deposit(uint64_t v, uint64_t mask)
{
    uint64_t r = 0;
    for (; mask != 0; mask &= mask - 1, v >>= 1)
        if (v & 1)
            r |= mask & -mask;
    return r;
}
static inline uint64_t extract(uint64_t v, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned k = 0; mask != 0; mask &= mask - 1, k++)
        if (v & mask & -mask)
            r |= 1ull << k;
    return r;
}

// SF and ZF from the result; PF and AF (undefined) come out 0 on recent processors.
ISA_INLINE void set_bmi_flags(struct isa_cpu *c, bool cf, uint64_t r)
{
    isa_set_status(c, (cf ? ISA_FL_CF : 0) | (r == 0 ? ISA_FL_ZF : 0) | (r >> 63 ? ISA_FL_SF : 0));
}

#define BMI(bits)                                                                                                                  \
    ISA_E_FN(andn, bits)                                                                                                           \
    {                                                                                                                              \
        uint##bits##_t r = ~B_REG(bits) & e;                                                                                       \
        isa_setg##bits(c, i, r);                                                                                                   \
        set_bmi_flags(c, false, isa_sx##bits(r));                                                                                  \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(blsr, bits)                                                                                                           \
    {                                                                                                                              \
        uint##bits##_t r = e & (e - 1);                                                                                            \
        isa_w##bits(c, i->vvvv, r);                                                                                                \
        set_bmi_flags(c, e == 0, isa_sx##bits(r));                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(blsmsk, bits)                                                                                                         \
    {                                                                                                                              \
        uint##bits##_t r = e ^ (e - 1);                                                                                            \
        isa_w##bits(c, i->vvvv, r);                                                                                                \
        set_bmi_flags(c, e == 0, isa_sx##bits(r));                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(blsi, bits)                                                                                                           \
    {                                                                                                                              \
        uint##bits##_t r = e & (0 - e);                                                                                            \
        isa_w##bits(c, i->vvvv, r);                                                                                                \
        set_bmi_flags(c, e != 0, isa_sx##bits(r));                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(bzhi, bits)                                                                                                           \
    {                                                                                                                              \
        unsigned n = (uint8_t)B_REG(bits);                                                                                         \
        uint##bits##_t r = e & LOW_MASK(bits, n);                                                                                  \
        isa_setg##bits(c, i, r);                                                                                                   \
        set_bmi_flags(c, n > bits - 1, isa_sx##bits(r));                                                                           \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(bextr, bits)                                                                                                          \
    {                                                                                                                              \
        unsigned start = (uint8_t)B_REG(bits), len = (uint8_t)(B_REG(bits) >> 8);                                                  \
        uint##bits##_t r = start >= bits ? 0 : (e >> start) & LOW_MASK(bits, len);                                                 \
        isa_setg##bits(c, i, r);                                                                                                   \
        isa_set_status(c, r == 0 ? ISA_FL_ZF : 0);                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(pdep, bits)                                                                                                           \
    {                                                                                                                              \
        isa_setg##bits(c, i, (uint##bits##_t)deposit(B_REG(bits), e));                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_E_FN(pext, bits)                                                                                                           \
    {                                                                                                                              \
        isa_setg##bits(c, i, (uint##bits##_t)extract(B_REG(bits), e));                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(andn, bits)                                                                                                        \
    ISA_READS_E(blsr, bits)                                                                                                        \
    ISA_READS_E(blsmsk, bits)                                                                                                      \
    ISA_READS_E(blsi, bits)                                                                                                        \
    ISA_READS_E(bzhi, bits)                                                                                                        \
    ISA_READS_E(bextr, bits)                                                                                                       \
    ISA_READS_E(pdep, bits)                                                                                                        \
    ISA_READS_E(pext, bits)
BMI(32)
BMI(64)
ISA_FAMILY4(andn, andn);
ISA_FAMILY4(blsr, blsr);
ISA_FAMILY4(blsmsk, blsmsk);
ISA_FAMILY4(blsi, blsi);
ISA_FAMILY4(bzhi, bzhi);
ISA_FAMILY4(bextr, bextr);
ISA_FAMILY4(pdep, pdep);
ISA_FAMILY4(pext, pext);
