// isa/vec.h: how MMX and SSE instructions are written.
//
// An operation is a function of two vectors: isa_v_NAME(c, i, d, s, n). d is a copy of the destination register, s the source (register
// or memory); the function leaves the result in d. n is 8 for MMX and 16 for XMM. It returns 0, or a fault, in which case nothing is
// committed. isa_sse() and isa_mmx() do the rest: availability, alignment, operands, commit. isa/vec.def lists the operations and the
// shape of their operands; isa/exec_sse.c makes a handler of each row.
#ifndef ISA_VEC_H
#define ISA_VEC_H

#include "isa/insn.h"

#define ISA_VFN(name)                                                                                                              \
    int isa_v_##name(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *d, const union isa_vec *s, unsigned n)
typedef int isa_vfn(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *d, const union isa_vec *s, unsigned n);

// Shapes. The low bits are the number of bytes in memory: 1, 2, 4, 8, 16. 16 bytes must be aligned.
enum {
    ISA_VS_BYTES = 31,
    ISA_VS_UNALIGNED = 1 << 5, // ... need not be
    ISA_VS_PSRC = 1 << 6,      // the source is an MMX register or memory
    ISA_VS_PDST = 1 << 7,      // the destination is an MMX register
    ISA_VS_GSRC = 1 << 8,      // the source is a general register (of osz bytes) or memory
    ISA_VS_GDST = 1 << 9,      // the destination is general register reg: d->q[0], 64 bits if osz is 8, else 32
    ISA_VS_NODST = 1 << 10,    // no destination, or the function sees to it
    ISA_VS_STORE = 1 << 11,    // the operand that may be memory is the destination; the source is register reg
    ISA_VS_GSTORE = 1 << 12,   // the same, and a register is a general one (zero-extended)
    ISA_VS_RMDST = 1 << 13,    // register rm is the destination, there is no source
};

int isa_sse(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape);
int isa_mmx(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape);

// Slow paths of the moves (isa/exec_sse_move.c): n bytes between memory and a register, with every check.
int isa_vec_load(struct isa_cpu *c, const struct isa_insn *i, void *dst, unsigned n, bool aligned);
int isa_vec_store(struct isa_cpu *c, const struct isa_insn *i, const void *src, unsigned n, bool aligned);

// PV: an MMX and an XMM form; V, P: one of them. The row's family is NAME_v or NAME_p; X: the family is NAME.
#define PV(name)        ISA_VFN(name);
#define P(name, shape)  ISA_VFN(name);
#define V(name, shape)  ISA_VFN(name);
#define X(name, shape)  ISA_VFN(name);
#define XF(name, shape) ISA_VFN(name);
#include "isa/vec.def"
#undef PV
#undef P
#undef V
#undef X
#undef XF

#endif
