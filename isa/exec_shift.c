// isa/exec_shift.c: shifts and rotates, double shifts, and the flagless shifts of BMI2.
//
// MODELS     counts taken modulo 32 (64 for 64-bit operands); a count of 0 leaves the flags alone; rotates change CF and OF only.
//            OF is defined for counts of 1 alone: recent processors set it as if the count were 1, and so does this.
// MANUAL     "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD", "SARX/SHLX/SHRX", "RORX".
#include "isa/operand.h"

// Bit of a value as the flag CF; top bit, or the top two bits' difference, as OF.
#define CF_IF(x)             ((uint64_t)((x)&1))
#define OF_IF(x)             ((uint64_t)((x)&1) << 11)
#define TOP(bits, v)         ((v) >> (bits - 1))
#define TOP2_DIFFER(bits, v) (TOP(bits, v) ^ ((v) >> (bits - 2))) // shifting left by 1 changes the sign

// What each operation does to the value a for a count n != 0: gives the result, and CF and OF in *fl.
#define SHIFT_OPS(bits)                                                                                                            \
    ISA_INLINE uint##bits##_t do_shl##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint64_t out = bits == 64 ? (uint64_t)a >> (64 - n) : (uint64_t)a << n >> (bits & 63);                                     \
        uint##bits##_t r = (uint##bits##_t)((uint64_t)a << n);                                                                     \
        *fl = CF_IF(out) | OF_IF(TOP2_DIFFER(bits, a));                                                                            \
        return r;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_shr##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint##bits##_t r = (uint##bits##_t)((uint64_t)a >> n);                                                                     \
        *fl = CF_IF((uint64_t)a >> (n - 1)) | OF_IF(TOP(bits, a));                                                                 \
        return r;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_sar##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        int64_t s = (int64_t)isa_sx##bits(a);                                                                                      \
        *fl = CF_IF(s >> (n - 1));                                                                                                 \
        return (uint##bits##_t)(s >> n);                                                                                           \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_rol##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint##bits##_t r = (uint##bits##_t)(a << (n & (bits - 1)) | a >> (-n & (bits - 1)));                                       \
        *fl = CF_IF(r) | OF_IF(TOP2_DIFFER(bits, a));                                                                              \
        return r;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_ror##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint##bits##_t r = (uint##bits##_t)(a >> (n & (bits - 1)) | a << (-n & (bits - 1)));                                       \
        *fl = CF_IF(TOP(bits, r)) | OF_IF(a ^ TOP(bits, a));                                                                       \
        return r;                                                                                                                  \
    }                                                                                                                              \
    /* Rotates through CF turn bits + 1 bits; m = 0 turns them all the way round. */                                               \
    ISA_INLINE uint##bits##_t do_rcl##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        unsigned m = bits < 32 ? n % (bits + 1) : n;                                                                               \
        uint64_t cf = isa_cf(c), r = a;                                                                                            \
        if (m != 0) {                                                                                                              \
            r = (uint64_t)a << m | cf << (m - 1) | (m > 1 ? (uint64_t)a >> (bits + 1 - m) : 0);                                    \
            cf = (uint64_t)a >> (bits - m);                                                                                        \
        }                                                                                                                          \
        *fl = CF_IF(cf) | OF_IF(TOP2_DIFFER(bits, a));                                                                             \
        return (uint##bits##_t)r;                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_rcr##bits(struct isa_cpu *c, uint##bits##_t a, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        unsigned m = bits < 32 ? n % (bits + 1) : n;                                                                               \
        uint64_t in = isa_cf(c), cf = in, r = a;                                                                                   \
        if (m != 0) {                                                                                                              \
            r = (uint64_t)a >> m | cf << (bits - m) | (m > 1 ? (uint64_t)a << (bits + 1 - m) : 0);                                 \
            cf = (uint64_t)a >> (m - 1);                                                                                           \
        }                                                                                                                          \
        *fl = CF_IF(cf) | OF_IF(in ^ TOP(bits, a));                                                                                \
        return (uint##bits##_t)r;                                                                                                  \
    }
SHIFT_OPS(8)
SHIFT_OPS(16)
SHIFT_OPS(32)
SHIFT_OPS(64)

#define COUNT_i(bits)       ((unsigned)i->imm & (bits == 64 ? 63 : 31))
#define COUNT_cl(bits)      ((unsigned)isa_r8(c, ISA_RCX * 8) & (bits == 64 ? 63 : 31))
#define SET_shift(bits, r)  isa_cc_set(c, ISA_CC_RES, 0, fl, isa_sx##bits(r))
#define SET_rotate(bits, r) isa_cc_cf_of(c, fl)

#define SHIFT_FORM(op, kind, cnt, bits)                                                                                            \
    ISA_BODY(op##_##cnt##bits##r)                                                                                                  \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i);                                                                                      \
        unsigned n = COUNT_##cnt(bits);                                                                                            \
        if (n == 0) {                                                                                                              \
            isa_sete##bits(c, i, a);                                                                                               \
            return 0;                                                                                                              \
        }                                                                                                                          \
        uint64_t fl;                                                                                                               \
        uint##bits##_t r = do_##op##bits(c, a, n, &fl);                                                                            \
        isa_sete##bits(c, i, r);                                                                                                   \
        SET_##kind(bits, r);                                                                                                       \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_##cnt##bits##m)                                                                                                  \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t a;                                                                                                          \
        unsigned n = COUNT_##cnt(bits);                                                                                            \
        ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &a));                                                                              \
        if (n == 0)                                                                                                                \
            return isa_opwr##bits(c, fast, &p, a);                                                                                 \
        uint64_t fl;                                                                                                               \
        uint##bits##_t r = do_##op##bits(c, a, n, &fl);                                                                            \
        ISA_TRY(isa_opwr##bits(c, fast, &p, r));                                                                                   \
        SET_##kind(bits, r);                                                                                                       \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(op##_##cnt##bits##r)                                                                                               \
    ISA_HANDLER(op##_##cnt##bits##m)
#define SHIFT_FORMS(op, kind, cnt)                                                                                                 \
    SHIFT_FORM(op, kind, cnt, 8)                                                                                                   \
    SHIFT_FORM(op, kind, cnt, 16) SHIFT_FORM(op, kind, cnt, 32) SHIFT_FORM(op, kind, cnt, 64) ISA_FAMILY8(op##_e_##cnt, op##_##cnt);
#define SHIFT_OP(op, kind) SHIFT_FORMS(op, kind, i) SHIFT_FORMS(op, kind, cl)
SHIFT_OP(shl, shift)
SHIFT_OP(shr, shift)
SHIFT_OP(sar, shift)
SHIFT_OP(rol, rotate)
SHIFT_OP(ror, rotate)
SHIFT_OP(rcl, rotate)
SHIFT_OP(rcr, rotate)

// Double shifts, count 1..63. With 16 bits and counts above 16 (undefined) bits of a follow those of b, as in a 48-bit register.
ISA_INLINE uint16_t do_shld16(uint16_t a, uint16_t b, unsigned n, uint64_t *fl)
{
    uint64_t w = ((uint64_t)a << 32 | (uint64_t)b << 16 | a) << n;
    uint16_t r = (uint16_t)(w >> 32);
    *fl = CF_IF(w >> 48) | OF_IF(TOP2_DIFFER(16, a));
    return r;
}
ISA_INLINE uint16_t do_shrd16(uint16_t a, uint16_t b, unsigned n, uint64_t *fl)
{
    uint64_t w = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
    uint16_t r = (uint16_t)(w >> n);
    *fl = CF_IF(w >> (n - 1)) | OF_IF(b ^ TOP(16, a));
    return r;
}
#define DOUBLE_OPS(bits)                                                                                                           \
    ISA_INLINE uint##bits##_t do_shld##bits(uint##bits##_t a, uint##bits##_t b, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint##bits##_t r = a << n | b >> (bits - n);                                                                               \
        *fl = CF_IF(a >> (bits - n)) | OF_IF(TOP2_DIFFER(bits, a));                                                                \
        return r;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE uint##bits##_t do_shrd##bits(uint##bits##_t a, uint##bits##_t b, unsigned n, uint64_t *fl)                          \
    {                                                                                                                              \
        uint##bits##_t r = a >> n | b << (bits - n);                                                                               \
        *fl = CF_IF(a >> (n - 1)) | OF_IF(b ^ TOP(bits, a));                                                                       \
        return r;                                                                                                                  \
    }
DOUBLE_OPS(32)
DOUBLE_OPS(64)

#define DOUBLE_FORM(op, cnt, bits)                                                                                                 \
    ISA_BODY(op##_##cnt##bits##r)                                                                                                  \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i);                                                                                      \
        unsigned n = COUNT_##cnt(bits);                                                                                            \
        if (n == 0) {                                                                                                              \
            isa_sete##bits(c, i, a);                                                                                               \
            return 0;                                                                                                              \
        }                                                                                                                          \
        uint64_t fl;                                                                                                               \
        uint##bits##_t r = do_##op##bits(a, isa_g##bits(c, i), n, &fl);                                                            \
        isa_sete##bits(c, i, r);                                                                                                   \
        SET_shift(bits, r);                                                                                                        \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_##cnt##bits##m)                                                                                                  \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t a;                                                                                                          \
        unsigned n = COUNT_##cnt(bits);                                                                                            \
        ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &a));                                                                              \
        if (n == 0)                                                                                                                \
            return isa_opwr##bits(c, fast, &p, a);                                                                                 \
        uint64_t fl;                                                                                                               \
        uint##bits##_t r = do_##op##bits(a, isa_g##bits(c, i), n, &fl);                                                            \
        ISA_TRY(isa_opwr##bits(c, fast, &p, r));                                                                                   \
        SET_shift(bits, r);                                                                                                        \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(op##_##cnt##bits##r)                                                                                               \
    ISA_HANDLER(op##_##cnt##bits##m)
#define DOUBLE_FORMS(op, cnt)                                                                                                      \
    DOUBLE_FORM(op, cnt, 16) DOUBLE_FORM(op, cnt, 32) DOUBLE_FORM(op, cnt, 64) ISA_FAMILY6(op##_e_g_##cnt, op##_##cnt);
DOUBLE_FORMS(shld, i)
DOUBLE_FORMS(shld, cl)
DOUBLE_FORMS(shrd, i)
DOUBLE_FORMS(shrd, cl)

// BMI2: no flags; the count is a register (VEX.vvvv) or an immediate.
#define X_OP(name, bits, expr)                                                                                                     \
    ISA_E_FN(name, bits)                                                                                                           \
    {                                                                                                                              \
        unsigned n = (unsigned)c->gpr[i->vvvv] & (bits - 1);                                                                       \
        isa_setg##bits(c, i, (uint##bits##_t)(expr));                                                                              \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(name, bits)
X_OP(shlx, 32, e << n)
X_OP(shlx, 64, e << n)
X_OP(shrx, 32, e >> n)
X_OP(shrx, 64, e >> n)
X_OP(sarx, 32, (int32_t)e >> n)
X_OP(sarx, 64, (int64_t)e >> n)
ISA_FAMILY4(shlx, shlx);
ISA_FAMILY4(shrx, shrx);
ISA_FAMILY4(sarx, sarx);

#define RORX(bits)                                                                                                                 \
    ISA_E_FN(rorx, bits)                                                                                                           \
    {                                                                                                                              \
        unsigned n = (unsigned)i->imm & (bits - 1);                                                                                \
        isa_setg##bits(c, i, e >> n | e << (-n & (bits - 1)));                                                                     \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_READS_E(rorx, bits)
RORX(32)
RORX(64)
ISA_FAMILY4(rorx, rorx);
