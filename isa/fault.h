// isa/fault.h: raising exceptions, and the name of the rule that was broken.
//
// A handler that finds a broken rule returns isa_raise(...). Nothing is delivered then: the engine does that, once RIP is exact.
// Every call names a row of isa/rules.def, so that "why did this fault?" has an answer at no cost to code that does not fault.
// MANUAL: "Interrupt and Exception Handling".
#ifndef ISA_FAULT_H
#define ISA_FAULT_H

#include "isa/insn.h"

// Exception vectors ISA_X_DE, ISA_X_GP ...: isa/vectors.def.
enum isa_vector {
#define V(num, id, mnemonic, klass, err, contributory, text) ISA_X_##id = num,
#include "isa/vectors.def"
#undef V
};

enum isa_rule {
    ISA_RULE_NONE,
#define R(id, vector, sdm, text) ISA_RULE_##id,
#include "isa/rules.def"
#undef R
    ISA_RULE_NUM
};

struct isa_rule_info {
    const char *id;
    uint8_t vector;
    const char *sdm;
    const char *text;
};
const struct isa_rule_info *isa_rule_info(unsigned rule);

enum isa_vclass { ISA_VC_FAULT, ISA_VC_TRAP, ISA_VC_ABORT, ISA_VC_FAULT_OR_TRAP, ISA_VC_INTERRUPT };
struct isa_vector_info {
    uint8_t num;
    const char *mnemonic;
    uint8_t klass;
    bool has_error;
    bool contributory;
    const char *text;
};
// Always valid for 0..31; unused vectors are described as reserved.
const struct isa_vector_info *isa_vector_info(unsigned vector);

// Error code of #TS, #NP, #SS, #GP: selector index and TI, IDT and EXT bits.
#define ISA_ERR_EXT 1u
#define ISA_ERR_IDT 2u
// Error code of #PF.
#define ISA_PF_P    1u
#define ISA_PF_W    2u
#define ISA_PF_U    4u
#define ISA_PF_RSVD 8u
#define ISA_PF_I    16u
#define ISA_PF_PK   32u

// Each sets c->fault and returns ISA_R_FAULT. err is ignored for vectors without error code.
int isa_raise(struct isa_cpu *c, enum isa_vector vector, uint32_t err, enum isa_rule rule);
int isa_raise_pf(struct isa_cpu *c, uint64_t la, uint32_t err, enum isa_rule rule);
int isa_raise_db(struct isa_cpu *c, uint64_t dr6_bits, enum isa_rule rule);
static inline int isa_ud(struct isa_cpu *c, enum isa_rule rule) { return isa_raise(c, ISA_X_UD, 0, rule); }
static inline int isa_gp0(struct isa_cpu *c, enum isa_rule rule) { return isa_raise(c, ISA_X_GP, 0, rule); }

#endif
