// isa/exec_fused.c: a compare, a test or another arithmetic instruction and the conditional branch behind it, as one handler.
//
// MODELS     nothing of its own: it runs the two bodies one after the other, flags included, and saves the dispatch between them and the
//            branch's look at how the flags were made. Where either body cannot go on the plain handlers take over, so faults, slow
//            accesses and whatever wants to stop between the two find two instructions, as they are.
// WHERE      in 64-bit mode, in the tail-calling build; the engine asks isa_fused() when it has decoded a branch.
#include "isa/alu_body.h"
#include "isa/decode.h"
#include "isa/flow_body.h"

#if ISA_TAIL
#define JCC(cc) JCC_BODY(cc, 64)
ISA_EACH_COND(JCC)

// The first of the two by its own handler.
ISA_COLD int plain(struct isa_cpu *c, const struct isa_insn *i)
{
    return isa_run_tail[i->op][(unsigned)__builtin_ctz(i->osz) * 2 + i->is_mem](c, i);
}

#define PAIR(body, cc)                                                                                                             \
    static int body##_j##cc(struct isa_cpu *c, const struct isa_insn *i)                                                           \
    {                                                                                                                              \
        if (ISA_RARE(body##_b(c, i, true)))                                                                                        \
            return plain(c, i);                                                                                                    \
        if (ISA_RARE(jcc##cc##_64_b(c, i + 1, true)))                                                                              \
            return i[1].run(c, i + 1);                                                                                             \
        return i[2].run(c, i + 2);                                                                                                 \
    }

// The forms of a family: with a memory operand, and without.
#define PAIRS_R(stem, cc) PAIR(stem##8r, cc) PAIR(stem##32r, cc) PAIR(stem##64r, cc)
#define PAIRS(stem, cc)   PAIRS_R(stem, cc) PAIR(stem##8m, cc) PAIR(stem##32m, cc) PAIR(stem##64m, cc)
#define ROW_R(stem, cc)                                                                                                            \
    {                                                                                                                              \
        stem##8r_j##cc, NULL, NULL, NULL, stem##32r_j##cc, NULL, stem##64r_j##cc, NULL                                             \
    }
#define ROW(stem, cc)                                                                                                              \
    {                                                                                                                              \
        stem##8r_j##cc, stem##8m_j##cc, NULL, NULL, stem##32r_j##cc, stem##32m_j##cc, stem##64r_j##cc, stem##64m_j##cc             \
    }

// X(family, stem of its bodies, how its forms and rows are made). Arithmetic on memory is too rare before a branch to be worth the room.
#define FAMILIES(X)                                                                                                                \
    X(cmp_e_g, cmp_eg, PAIRS, ROW)                                                                                                 \
    X(cmp_g_e, cmp_ge, PAIRS, ROW)                                                                                                 \
    X(cmp_e_i, cmp_ei, PAIRS, ROW)                                                                                                 \
    X(test_e_g, test_eg, PAIRS, ROW)                                                                                               \
    X(test_e_i, test_ei, PAIRS, ROW)                                                                                               \
    X(add_e_g, add_eg, PAIRS_R, ROW_R)                                                                                             \
    X(add_e_i, add_ei, PAIRS_R, ROW_R)                                                                                             \
    X(sub_e_g, sub_eg, PAIRS_R, ROW_R)                                                                                             \
    X(sub_e_i, sub_ei, PAIRS_R, ROW_R)                                                                                             \
    X(and_e_g, and_eg, PAIRS_R, ROW_R)                                                                                             \
    X(and_e_i, and_ei, PAIRS_R, ROW_R)                                                                                             \
    X(inc_e, inc_e, PAIRS_R, ROW_R)                                                                                                \
    X(dec_e, dec_e, PAIRS_R, ROW_R)

// clang-format off
#define ALU(op, WB, RD) ALU_BODIES(op, 8, WB, RD) ALU_BODIES(op, 32, WB, RD) ALU_BODIES(op, 64, WB, RD)
#define UNARY(op) UNARY_BODIES(op, 8) UNARY_BODIES(op, 32) UNARY_BODIES(op, 64)
ALU(cmp, DISCARDS, READ_ONLY)
ALU(test, DISCARDS, READ_ONLY)
ALU(add, WRITES, READ_TO_WRITE)
ALU(sub, WRITES, READ_TO_WRITE)
ALU(and, WRITES, READ_TO_WRITE)
UNARY(inc)
UNARY(dec)

#define SIXTEEN(M, stem, END) \
    M(stem, 0) END M(stem, 1) END M(stem, 2) END M(stem, 3) END M(stem, 4) END M(stem, 5) END M(stem, 6) END M(stem, 7) END \
    M(stem, 8) END M(stem, 9) END M(stem, a) END M(stem, b) END M(stem, c) END M(stem, d) END M(stem, e) END M(stem, f)
#define COMMA ,
#define NOTHING
#define MAKE(family, stem, PAIRS_, ROW_) \
    SIXTEEN(PAIRS_, stem, NOTHING) \
    extern isa_handler *const isa_f_##family##_tail[8]; \
    static isa_handler *const fused_##family[16][8] = {SIXTEEN(ROW_, stem, COMMA)};
FAMILIES(MAKE)
// clang-format on

static const struct {
    isa_handler *const *family;
    isa_handler *const (*fused)[8];
} families[] = {
#define X(family, stem, PAIRS_, ROW_) {isa_f_##family##_tail, fused_##family},
    FAMILIES(X)
#undef X
};

isa_handler *isa_fused(const struct isa_insn *i)
{
    if (i[1].op < ISA_OP_NUM && isa_run_tail[i[1].op] == isa_f_jcc_rel_tail && i[1].osz == 8 && !i[1].unbound && !i->lock)
        for (unsigned k = 0; k < sizeof families / sizeof *families; k++)
            if (isa_run_tail[i->op] == families[k].family)
                return families[k].fused[i[1].cc][(unsigned)__builtin_ctz(i->osz) * 2 + i->is_mem];
    return NULL;
}
#endif
