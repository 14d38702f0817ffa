// isa/exec_alu.c: two-operand arithmetic and logic, and INC, DEC, NOT, NEG.
#include "isa/alu_body.h"

#define ALU_HANDLERS(op, bits)                                                                                                     \
    ISA_HANDLER(op##_eg##bits##r)                                                                                                  \
    ISA_HANDLER(op##_eg##bits##m)                                                                                                  \
    ISA_HANDLER(op##_ge##bits##r)                                                                                                  \
    ISA_HANDLER(op##_ge##bits##m)                                                                                                  \
    ISA_HANDLER(op##_ei##bits##r)                                                                                                  \
    ISA_HANDLER(op##_ei##bits##m)

#define ALU_OP(op, WB, RD)                                                                                                         \
    ALU_BODIES(op, 8, WB, RD)                                                                                                      \
    ALU_HANDLERS(op, 8)                                                                                                            \
    ALU_BODIES(op, 16, WB, RD)                                                                                                     \
    ALU_HANDLERS(op, 16)                                                                                                           \
    ALU_BODIES(op, 32, WB, RD)                                                                                                     \
    ALU_HANDLERS(op, 32) ALU_BODIES(op, 64, WB, RD) ALU_HANDLERS(op, 64) ISA_FAMILY8(op##_e_g, op##_eg);                           \
    ISA_FAMILY8(op##_g_e, op##_ge);                                                                                                \
    ISA_FAMILY8(op##_e_i, op##_ei);

ALU_OP(add, WRITES, READ_TO_WRITE)
ALU_OP(adc, WRITES, READ_TO_WRITE)
ALU_OP(sub, WRITES, READ_TO_WRITE)
ALU_OP(sbb, WRITES, READ_TO_WRITE)
ALU_OP(and, WRITES, READ_TO_WRITE)
ALU_OP(or, WRITES, READ_TO_WRITE)
ALU_OP(xor, WRITES, READ_TO_WRITE)
ALU_OP(cmp, DISCARDS, READ_ONLY)
ALU_OP(test, DISCARDS, READ_ONLY)

#define UNARY_FORMS(op, bits) UNARY_BODIES(op, bits) ISA_HANDLER(op##_e##bits##r) ISA_HANDLER(op##_e##bits##m)
#define UNARY_OP(op)          UNARY_FORMS(op, 8) UNARY_FORMS(op, 16) UNARY_FORMS(op, 32) UNARY_FORMS(op, 64) ISA_FAMILY8(op##_e, op##_e);

UNARY_OP(inc)
UNARY_OP(dec)
UNARY_OP(neg)
UNARY_OP(not )
