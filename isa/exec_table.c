// isa/exec_table.c: from rows of isa/opcodes.def to handlers, once for each dispatcher.
#include <assert.h>

#include "isa/decode.h"
#include "isa/exec.h"

// Undefined encodings: the decoder left the broken rule in imm.
static int h_invalid(struct isa_cpu *c, const struct isa_insn *i)
{
    enum isa_rule rule = (enum isa_rule)i->imm;
    ISA_ABORT(c, i, isa_raise(c, isa_rule_info(rule)->vector, 0, rule));
}

int isa_h_bug(struct isa_cpu *c, const struct isa_insn *i)
{
#ifdef RINGSIDE_DEBUG
    assert(!"the decoder selected an empty entry of a family");
#endif
    ISA_ABORT(c, i, isa_ud(c, ISA_RULE_UD_FORM));
}

#define ALL8(h)                                                                                                                    \
    {                                                                                                                              \
        h, h, h, h, h, h, h, h                                                                                                     \
    }
static isa_handler *const invalid[8] = ALL8(h_invalid);

#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text)                                   \
    extern isa_handler *const isa_f_##family##_loop[];
#include "isa/opcodes.def"
#undef OP

isa_handler *const *const isa_run_loop[] = {
    invalid,
#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text) isa_f_##family##_loop,
#include "isa/opcodes.def"
#undef OP
};

#ifndef RINGSIDE_NO_TAIL
#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text)                                   \
    extern isa_handler *const isa_f_##family##_tail[];
#include "isa/opcodes.def"
#undef OP

isa_handler *const *const isa_run_tail[] = {
    invalid,
#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text) isa_f_##family##_tail,
#include "isa/opcodes.def"
#undef OP
};
#endif
