// isa/alu_body.h: the bodies of two-operand arithmetic and logic, and of INC, DEC, NOT, NEG; isa/exec_alu.c and isa/exec_fused.c make handlers
// of them.
//
// MANUAL     "ADD", "ADC", "SUB", "SBB", "CMP", "AND", "OR", "XOR", "TEST", "INC", "DEC", "NEG", "NOT".
#ifndef ISA_ALU_BODY_H
#define ISA_ALU_BODY_H

#include "isa/operand.h"

// Results. The carry-in is read before anything is committed.
#define R_add(a, b, t)  (t)((a) + (b))
#define R_adc(a, b, t)  (t)((a) + (b) + isa_cf(c))
#define R_sub(a, b, t)  (t)((a) - (b))
#define R_sbb(a, b, t)  (t)((a) - (b)-isa_cf(c))
#define R_cmp(a, b, t)  (t)((a) - (b))
#define R_and(a, b, t)  (t)((a) & (b))
#define R_or(a, b, t)   (t)((a) | (b))
#define R_xor(a, b, t)  (t)((a) ^ (b))
#define R_test(a, b, t) (t)((a) & (b))
// Flags from sign-extended operands.
#define F_add(a, b, r)  isa_cc_set(c, ISA_CC_ADD, a, b, r)
#define F_adc(a, b, r)  isa_cc_set(c, ISA_CC_ADD, a, b, r)
#define F_sub(a, b, r)  isa_cc_set(c, ISA_CC_SUB, a, b, r)
#define F_sbb(a, b, r)  isa_cc_set(c, ISA_CC_SUB, a, b, r)
#define F_cmp(a, b, r)  isa_cc_set(c, ISA_CC_SUB, a, b, r)
#define F_and(a, b, r)  isa_cc_logic(c, r)
#define F_or(a, b, r)   isa_cc_logic(c, r)
#define F_xor(a, b, r)  isa_cc_logic(c, r)
#define F_test(a, b, r) isa_cc_logic(c, r)

// One operation at one width: E,G G,E and E,imm, register and memory. WB(x): x if the operation writes its result.
#define ALU_BODIES(op, bits, WB, RD)                                                                                               \
    ISA_BODY(op##_eg##bits##r)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i), b = isa_g##bits(c, i), r = R_##op(a, b, uint##bits##_t);                             \
        WB(isa_sete##bits(c, i, r);)                                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_eg##bits##m)                                                                                                     \
    {                                                                                                                              \
        RD(bits)                                                                                                                   \
        uint##bits##_t b = isa_g##bits(c, i), r = R_##op(a, b, uint##bits##_t);                                                    \
        WB(ISA_TRY(isa_opwr##bits(c, fast, &p, r));)                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_ge##bits##r)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t a = isa_g##bits(c, i), b = isa_e##bits(c, i), r = R_##op(a, b, uint##bits##_t);                             \
        WB(isa_setg##bits(c, i, r);)                                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_ge##bits##m)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t b;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &b));                                                                                   \
        uint##bits##_t a = isa_g##bits(c, i), r = R_##op(a, b, uint##bits##_t);                                                    \
        WB(isa_setg##bits(c, i, r);)                                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_ei##bits##r)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i), b = (uint##bits##_t)i->imm, r = R_##op(a, b, uint##bits##_t);                        \
        WB(isa_sete##bits(c, i, r);)                                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_ei##bits##m)                                                                                                     \
    {                                                                                                                              \
        RD(bits)                                                                                                                   \
        uint##bits##_t b = (uint##bits##_t)i->imm, r = R_##op(a, b, uint##bits##_t);                                               \
        WB(ISA_TRY(isa_opwr##bits(c, fast, &p, r));)                                                                               \
        F_##op(isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                                                 \
        return 0;                                                                                                                  \
    }

#define WRITES(x) x
#define DISCARDS(x)
#define READ_TO_WRITE(bits)                                                                                                        \
    struct isa_place p;                                                                                                            \
    uint##bits##_t a;                                                                                                              \
    ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &a));
#define READ_ONLY(bits)                                                                                                            \
    uint##bits##_t a;                                                                                                              \
    ISA_TRY(isa_opld##bits(c, i, fast, &a));

// One operand. INC and DEC keep CF: it is computed now, because the operation that made it is forgotten.
#define OVERFLOW_AT(v, bits, top) ((v) == (uint##bits##_t)(top) ? ISA_FL_OF : 0)
#define U_inc(bits)                                                                                                                \
    uint##bits##_t r = (uint##bits##_t)(a + 1);                                                                                    \
    uint64_t fl = isa_cf(c) | OVERFLOW_AT(r, bits, 1ull << (bits - 1)) | ((r & 0xf) == 0 ? ISA_FL_AF : 0);
#define U_dec(bits)                                                                                                                \
    uint##bits##_t r = (uint##bits##_t)(a - 1);                                                                                    \
    uint64_t fl = isa_cf(c) | OVERFLOW_AT(a, bits, 1ull << (bits - 1)) | ((a & 0xf) == 0 ? ISA_FL_AF : 0);
#define U_neg(bits)  uint##bits##_t r = (uint##bits##_t)(0 - a);
#define U_not(bits)  uint##bits##_t r = (uint##bits##_t) ~a;
#define FU_inc(bits) isa_cc_set(c, ISA_CC_RES, 0, fl, isa_sx##bits(r))
#define FU_dec(bits) isa_cc_set(c, ISA_CC_RES, 0, fl, isa_sx##bits(r))
#define FU_neg(bits) isa_cc_set(c, ISA_CC_SUB, 0, isa_sx##bits(a), isa_sx##bits(r))
#define FU_not(bits) (void)0

#define UNARY_BODIES(op, bits)                                                                                                     \
    ISA_BODY(op##_e##bits##r)                                                                                                      \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i);                                                                                      \
        U_##op(bits) isa_sete##bits(c, i, r);                                                                                      \
        FU_##op(bits);                                                                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(op##_e##bits##m)                                                                                                      \
    {                                                                                                                              \
        READ_TO_WRITE(bits)                                                                                                        \
        U_##op(bits) ISA_TRY(isa_opwr##bits(c, fast, &p, r));                                                                      \
        FU_##op(bits);                                                                                                             \
        return 0;                                                                                                                  \
    }

#endif
