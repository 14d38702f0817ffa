// isa/tables.c: the tables of isa/*.def that are plain data.
#include "isa/tables.h"
#include "isa/decode.h"

const struct isa_cost_info isa_cost_info[ISA_COST_NUM] = {
#define C(id, teach, text) {#id, teach, text},
#include "isa/costs.def"
#undef C
};

const struct isa_feature_info isa_feature_info[ISA_FEAT_NUM] = {
    {"NONE", 0, 0, 0, 0, "", "always present"},
#define F(id, leaf, sub, reg, bit, flag, text) {#id, leaf, sub, reg, bit, flag, text},
#include "isa/features.def"
#undef F
};

const struct isa_opinfo isa_opinfo[ISA_OP_NUM] = {
    {"(bad)", "", ISA_F_END, ISA_COST_NONE, ISA_FEAT_NONE, "Undefined encoding"},
#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text)                                   \
    {mnemonic, operands, props, ISA_COST_##cost, ISA_FEAT_##feature, text},
#include "isa/opcodes.def"
#undef OP
};
