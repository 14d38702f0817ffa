// isa/insn.h: one decoded instruction, the unit that handlers execute.
//
// MODELS     the result of decoding: which row of isa/opcodes.def, and its operands in a form that needs no further parsing.
// OWNERSHIP  plain data. The engine keeps arrays of them (blocks); the array ends with a sentinel whose handler leaves the block.
// MANUAL     "Instruction Format".
#ifndef ISA_INSN_H
#define ISA_INSN_H

#include "isa/cpu.h"

#define ISA_MAX_INSN_LEN 15

// What a handler returns. In the tail-calling build NEXT is never seen: the handler calls its successor.
enum isa_result {
    ISA_R_NEXT,   // go on with the next instruction of the block
    ISA_R_STOP,   // the block ends; c->rip is set
    ISA_R_FAULT,  // c->fault is set; nothing was committed; c->at is the instruction
    ISA_R_VMEXIT, // the machine holds a VM-exit record; nothing was committed unless the exit is trap-like; c->at is set
};

struct isa_insn;
typedef int isa_handler(struct isa_cpu *c, const struct isa_insn *i);

enum isa_rep { ISA_REP_NONE, ISA_REP_F3, ISA_REP_F2 }; // F3: REP/REPE, F2: REPNE

struct isa_insn {
    isa_handler *run;
    uint64_t disp;  // displacement, sign-extended; for a RIP-relative operand base = ISA_REG_RIP and disp already includes
                    // the distance from the block's start to the next instruction; moffs stands here too
    uint64_t imm;   // first immediate, sign-extended where the instruction does so; relative branch: displacement
                    // sign-extended; far pointer: offset in 31..0 with selector in 47..32; ENTER: imm16 | imm8 << 16
    uint16_t op;    // row of isa/opcodes.def (enum isa_op)
    uint8_t len;    // bytes, 1..15
    uint8_t osz;    // operand size in bytes: 1, 2, 4, 8 (as the row's operands say: byte forms have 1)
    uint8_t asz;    // address size in bytes: 2, 4, 8
    uint8_t modrm;  // raw ModRM byte, 0 where the form has none
    uint8_t opcode; // the last opcode byte
    bool is_mem;    // ModRM operand (or moffs) is memory
    uint8_t seg;    // enum isa_sreg of the memory operand, override applied (ignored ones in 64-bit mode not)
    bool segchk;    // the handler must go through isa_seg_la(): segment not known to be flat, or FS/GS
    uint8_t base, index, scale; // registers (ZERO for none, RIP for RIP-relative) and shift count
    uint8_t reg, rm; // register operands, REX applied: general registers 0..15 (rm also holds +r forms), or segment, CR, DR number;
                     // with a VSIB operand rm is the vector register of indices, and index is ZERO
    uint8_t reg8, rm8; // the same as byte registers: byte offset into gpr[] (AH = 1, CH = 9 ...; REX-less rules applied)
    uint8_t vvvv;      // VEX.vvvv, decoded, else 0
    bool lock;         // LOCK prefix present (and allowed)
    uint8_t rep;       // enum isa_rep
    uint8_t cc;        // condition of Jcc, SETcc, CMOVcc; else 0
    uint8_t vex_l;     // VEX.L
    bool wide;         // REX.W; VEX.W, but 0 outside 64-bit mode where the row has a general register
    bool simple;  // the memory operand's linear address is base + (index << scale) + disp, in 64 bits: no truncation, no segment
    uint16_t off; // distance of this instruction from the block's start, bytes
    uint16_t idx; // position in the block, 0..31
    uint32_t cost_before; // static cycles of the block's earlier instructions
    uint32_t cost;        // static cycles of this one
    bool unbound;         // a near branch without BND while MPX is enabled (isa/mpx.h)
};

#endif
