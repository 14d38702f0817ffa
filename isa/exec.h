// isa/exec.h: how instruction handlers are written.
//
// The files isa/exec_*.c are compiled twice, with ISA_TAIL=1 (handlers tail-call their successor: speed) and with ISA_TAIL=0
// (handlers return to a loop: stepping, observing, sanitizers). ISA_H(name) gives each build its own symbol. A handler
//   1. checks and computes, without committing anything;
//   2. on a broken rule: ISA_ABORT(c, i, isa_raise(...)) or, for a failed memory access r, ISA_ABORT(c, i, r);
//   3. commits, and ends with ISA_NEXT(c, i); or, if its row has END_BLOCK, sets c->rip and ends with ISA_END(c, i).
// Shared, dispatch-independent logic belongs in ordinary files (isa/seg.c, isa/far.c ...), compiled once.
//
// FAMILIES   a row of isa/opcodes.def names a family. A family is an array of eight handlers, indexed by
//            log2(operand size) * 2 + is_mem: {8r 8m 16r 16m 32r 32m 64r 64m}. Entries that cannot occur are isa_h_bug. The family of
//            an ISA_F_COND row has sixteen such groups, one for each condition: the index is cc * 8 more.
#ifndef ISA_EXEC_H
#define ISA_EXEC_H

#include "isa/env.h"
#include "isa/fault.h"
#include "isa/flags.h"

#ifndef ISA_TAIL
#define ISA_TAIL 0
#endif

#if ISA_TAIL
#define ISA_H(name)    name##_tail
#define ISA_NEXT(c, i) return (i)[1].run((c), (i) + 1)
#define ISA_END(c, i)  ISA_NEXT(c, i)
#else
#define ISA_H(name)    name##_loop
#define ISA_NEXT(c, i) return ((void)(c), (void)(i), ISA_R_NEXT)
#define ISA_END(c, i)  return ((void)(c), (void)(i), ISA_R_STOP)
#endif
// What may ask for the time or the place, or fault, says first which instruction it is. (Handlers that only reach memory through the inline TLB
// do neither, and leave c->at as it is: the instruction under way is then not known, and nobody can ask.)
#define ISA_HERE(c, i) ((c)->at = (i))
#define ISA_ABORT(c, i, r)                                                                                                         \
    do {                                                                                                                           \
        (c)->at = (i);                                                                                                             \
        return (r);                                                                                                                \
    } while (0)

// A family: static handlers h8r ... h64m, published under its name.
#define ISA_FAMILY(name, h8r, h8m, h16r, h16m, h32r, h32m, h64r, h64m)                                                             \
    isa_handler *const ISA_H(isa_f_##name)[8] = {h8r, h8m, h16r, h16m, h32r, h32m, h64r, h64m}
// A family whose handler does not depend on size or form (it looks at i->osz, i->is_mem itself).
#define ISA_FAMILY1(name, h) ISA_FAMILY(name, h, h, h, h, h, h, h, h)

// A family of one thin handler around isa_x_NAME(), an ordinary function: 0, or what ISA_ABORT takes.
//    ISA_THIN       goes on
//    ISA_THIN_END   ends the block, and goes on with the next instruction (whose address is computed in the mode that this one began in)
//    ISA_THIN_FAR   ends the block; the function has set RIP
#define ISA_THIN_(family, commit)                                                                                                  \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        const uint64_t next = isa_next_rip(c, i);                                                                                  \
        int r = isa_x_##family(c, i);                                                                                              \
        (void)next;                                                                                                                \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        commit;                                                                                                                    \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)
#define ISA_THIN(family)     ISA_THIN_(family, ISA_NEXT(c, i))
#define ISA_THIN_END(family) ISA_THIN_(family, c->rip = next; ISA_END(c, i))
#define ISA_THIN_FAR(family) ISA_THIN_(family, ISA_END(c, i))

// RIP of this and of the next instruction, exact in mid-block.
static inline uint64_t isa_insn_rip(const struct isa_cpu *c, const struct isa_insn *i) { return c->gpr[ISA_REG_RIP] + i->off; }
static inline uint64_t isa_next_rip(const struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t rip = isa_insn_rip(c, i) + i->len;
    return c->mode == ISA_LONG64 ? rip : (uint32_t)rip;
}
// Cycles at the start of this instruction.
static inline uint64_t isa_now(const struct isa_cpu *c, const struct isa_insn *i) { return c->cycles + i->cost_before; }

// Register access by size. 32-bit writes clear the upper half.
static inline uint8_t isa_r8(const struct isa_cpu *c, unsigned off) { return ((const uint8_t *)c->gpr)[off]; }
static inline void isa_w8(struct isa_cpu *c, unsigned off, uint8_t v) { ((uint8_t *)c->gpr)[off] = v; }
static inline uint16_t isa_r16(const struct isa_cpu *c, unsigned r) { return (uint16_t)c->gpr[r]; }
static inline void isa_w16(struct isa_cpu *c, unsigned r, uint16_t v) { c->gpr[r] = (c->gpr[r] & ~0xffffull) | v; }
static inline uint32_t isa_r32(const struct isa_cpu *c, unsigned r) { return (uint32_t)c->gpr[r]; }
static inline void isa_w32(struct isa_cpu *c, unsigned r, uint32_t v) { c->gpr[r] = v; }

// Effective address of the memory operand, truncated to the address size.
static inline uint64_t isa_ea(const struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t ea = c->gpr[i->base] + (c->gpr[i->index] << i->scale) + i->disp;
    return i->asz == 8 ? ea : i->asz == 4 ? (uint32_t)ea : (uint16_t)ea;
}

// The handler tables, one row per opcode (isa/exec_table.c), and the sentinels that the engine puts behind a block.
extern isa_handler *const *const isa_run_tail[];
extern isa_handler *const *const isa_run_loop[];

// The handler that runs i[0] and the conditional branch i[1] as one, for i[0].run, or NULL if there is none (isa/exec_fused.c).
isa_handler *isa_fused(const struct isa_insn *i);
extern isa_handler *const isa_f_jcc_rel_tail[];

int isa_h_bug(struct isa_cpu *c,
              const struct isa_insn *i); // entry that the decoder never selects: raises #UD, asserts in debug builds

#endif
