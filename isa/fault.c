// isa/fault.c: raising exceptions; the tables of rules and vectors.
#include "isa/fault.h"

static const struct isa_rule_info rules[ISA_RULE_NUM] = {
    [ISA_RULE_NONE] = {"NONE", 0, "", ""},
#define R(id, vector, sdm, text) [ISA_RULE_##id] = {#id, vector, sdm, text},
#include "isa/rules.def"
#undef R
};

const struct isa_rule_info *isa_rule_info(unsigned rule) { return &rules[rule < ISA_RULE_NUM ? rule : ISA_RULE_NONE]; }

static const struct isa_vector_info vectors[32] = {
#define V(num, id, mnemonic, klass, err, contributory, text) [num] = {num, mnemonic, klass, err, contributory, text},
#include "isa/vectors.def"
#undef V
};
static const struct isa_vector_info reserved = {0, "reserved", ISA_VC_INTERRUPT, false, false, "Reserved by the processor"};
static const struct isa_vector_info external = {32, "interrupt", ISA_VC_INTERRUPT, false, false, "Interrupt"};

const struct isa_vector_info *isa_vector_info(unsigned vector)
{
    if (vector >= 32)
        return &external;
    return vectors[vector].mnemonic ? &vectors[vector] : &reserved;
}

int isa_raise(struct isa_cpu *c, enum isa_vector vector, uint32_t err, enum isa_rule rule)
{
    bool has_error = isa_vector_info(vector)->has_error;
    bool ext = vector == ISA_X_TS || vector == ISA_X_NP || vector == ISA_X_SS || vector == ISA_X_GP;
    c->fault = (struct isa_event){
        .type = ISA_EV_HWEXC,
        .vector = vector,
        .has_error = has_error,
        .error = has_error ? err | (ext ? c->raise_ext : 0) : 0,
        .rule = rule,
    };
    return ISA_R_FAULT;
}

int isa_raise_pf(struct isa_cpu *c, uint64_t la, uint32_t err, enum isa_rule rule)
{
    isa_raise(c, ISA_X_PF, err, rule);
    c->fault.addr = la;
    return ISA_R_FAULT;
}

int isa_raise_db(struct isa_cpu *c, uint64_t dr6_bits, enum isa_rule rule)
{
    isa_raise(c, ISA_X_DB, 0, rule);
    c->fault.dr6 = dr6_bits;
    return ISA_R_FAULT;
}
