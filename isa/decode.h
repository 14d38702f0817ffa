// isa/decode.h: bytes to struct isa_insn.
//
// MODELS     the instruction formats of real, virtual-8086, protected, compatibility and 64-bit mode: legacy prefixes, REX, VEX
//            (for the instructions that isa/opcodes.def lists), ModRM, SIB and VSIB, displacement, immediates; which encodings are #UD.
// PURE       depends on its arguments alone; allocates nothing; reads at most n bytes.
// MANUAL     "Instruction Format", "Opcode Map" (isa/opcodes.def is that map as data).
#ifndef ISA_DECODE_H
#define ISA_DECODE_H

#include "isa/exec.h"
#include "isa/insn.h"
#include "isa/tables.h"

enum isa_op {
    ISA_OP_INVALID, // decoding failed; executing it raises #UD (or #GP for length) by the rule in isa_insn.imm
#define OP(id, ...) ISA_OP_##id,
#include "isa/opcodes.def"
#undef OP
    ISA_OP_NUM
};

// Properties of a row (or'ed).
enum {
    ISA_F_END = 1 << 0,     // ends a block: may change RIP, mode, privilege, interruptibility or address space
    ISA_F_LOCK = 1 << 1,    // LOCK allowed with a memory destination
    ISA_F_CPL0 = 1 << 2,    // privileged: #GP(0) unless CPL = 0 (the handler checks, after #UD)
    ISA_F_NO64 = 1 << 3,    // #UD in 64-bit mode
    ISA_F_ONLY64 = 1 << 4,  // #UD outside 64-bit mode
    ISA_F_D64 = 1 << 5,     // operand size defaults to 64 bits in 64-bit mode (near branches, stack)
    ISA_F_F64 = 1 << 6,     // operand size is 64 bits in 64-bit mode, whatever prefix
    ISA_F_NOREAL = 1 << 7,  // #UD in real and virtual-8086 mode
    ISA_F_MEM = 1 << 8,     // ModRM must be memory
    ISA_F_REG = 1 << 9,     // ModRM must be a register
    ISA_F_REP = 1 << 10,    // F3/F2 mean REP/REPE/REPNE (string instructions), not a mandatory prefix
    ISA_F_COND = 1 << 11,   // i->cc = low four bits of the opcode
    ISA_F_VEX = 1 << 12,    // VEX-encoded
    ISA_F_BRANCH = 1 << 13, // near branch: i->imm is the relative displacement where the operand is J
    ISA_F_RD = 1 << 14,     // the ModRM (or moffs) operand, if in memory, is read
    ISA_F_WR = 1 << 15,     // ... is written (with RD: read, then written)
    ISA_F_W0 = 1 << 16,     // REX.W or VEX.W must be 0
    ISA_F_W1 = 1 << 17,     // ... must be 1
    ISA_F_L0 = 1 << 18,     // VEX.L must be 0
    ISA_F_L1 = 1 << 19,     // ... must be 1
    ISA_F_LIG = 1 << 20,    // ... is ignored: isa_insn.vex_l is 0
    ISA_F_AVX2L = 1 << 21,  // ... = 1 asks for AVX2
    ISA_F_BND = 1 << 24,    // near branch that sets the bound registers to zeros unless it has the prefix BND (F2)
    ISA_F_NORIP = 1 << 25,  // no RIP-relative operand
};

struct isa_opinfo {
    const char *mnemonic; // lower case, Intel syntax
    const char *operands; // the manual's letters, "Ev,Gv"; "" for none
    uint32_t props;       // ISA_F_*
    uint8_t cost;         // enum isa_cost: static cost class
    uint16_t feature;     // enum isa_feature that CPUID must offer, 0 for none
    const char *text;     // one line of description
};
extern const struct isa_opinfo isa_opinfo[];

struct isa_decode_mode {
    uint8_t mode;         // enum isa_mode
    bool flat;            // ES, CS, SS, DS are flat: memory operands through them need no check
    uint64_t features[4]; // bit set of enum isa_feature; rows whose feature is missing are #UD. MPX: only where it is enabled
};
// What a processor with these features decodes in its present state.
static inline struct isa_decode_mode isa_decode_mode_of(const struct isa_cpu *c, const uint64_t features[4])
{
    struct isa_decode_mode m = {.mode = c->mode, .flat = c->mode_key & ISA_KEY_FLAT};
    for (unsigned k = 0; k < 4; k++)
        m.features[k] = features[k];
    if (!(c->mode_key & ISA_KEY_MPX))
        m.features[ISA_FEAT_MPX / 64] &= ~(1ull << ISA_FEAT_MPX % 64);
    return m;
}

// Decode one instruction from n bytes. Fills *i except run, off, idx, cost fields (the block builder's); a RIP-relative operand has
// base = ISA_REG_RIP and disp relative to the end of the instruction (the block builder adds off + len).
// Returns the length, or 0 if n bytes are not enough (the caller must then give more, at most 15). Undefined encodings give
// op = ISA_OP_INVALID, len = what was consumed, imm = the rule (enum isa_rule).
unsigned isa_decode(const struct isa_decode_mode *m, const uint8_t *bytes, unsigned n, struct isa_insn *i);

// For block builders (isa/prepare.c). The static cycles of an instruction, given the cycles of every cost class: those of its row;
// with a memory operand LOAD, STORE, RMW or LOCKED instead of ALU, and on top of any other class what memory adds to ALU.
uint32_t isa_static_cost(const struct isa_insn *i, const uint32_t *cost);

// Make a decoded instruction ready to run as number idx of a block, off bytes from the block's start and after cost_before cycles: sets
// off, idx, cost, cost_before, run (from a table of isa/exec.h) and adds off + len to the displacement of a RIP-relative operand.
void isa_prepare(struct isa_insn *i, isa_handler *const *const *table, unsigned off, unsigned idx, uint32_t cost_before,
                 const uint32_t *cost);

// The handler that the row of a decoded instruction names, in a table of isa/exec.h.
static inline isa_handler *isa_row_handler(isa_handler *const *const *table, const struct isa_insn *i)
{
    return table[i->op][i->cc * 8 + __builtin_ctz(i->osz) * 2 + i->is_mem];
}
// The one that runs it: branches that set the bound registers to zeros have one of their own (isa/exec_mpx.c).
isa_handler isa_h_unbound_loop, isa_h_unbound_tail;
#ifdef RINGSIDE_NO_TAIL
#define ISA_UNBOUND_TAIL isa_h_unbound_loop
#else
#define ISA_UNBOUND_TAIL isa_h_unbound_tail
#endif
static inline isa_handler *isa_handler_in(isa_handler *const *const *table, const struct isa_insn *i)
{
    if (__builtin_expect(i->unbound, 0))
        return table == isa_run_loop ? isa_h_unbound_loop : ISA_UNBOUND_TAIL;
    return isa_row_handler(table, i);
}

#endif
