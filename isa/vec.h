// isa/vec.h: how MMX, SSE and AVX instructions are written.
//
// An operation is a function of two vectors: isa_v_NAME(c, i, d, s, n). d is a copy of the destination register, s the source (register
// or memory); the function leaves the result in d. n is 8 for MMX and 16 for XMM. It returns 0, or a fault, in which case nothing is
// committed. isa_sse() and isa_mmx() do the rest: availability, alignment, operands, commit. isa/vec.def lists the operations and the
// shape of their operands; isa/exec_sse.c makes a handler of each row, and isa/exec_avx.c one for the VEX form.
//
// AVX        a row of isa/opcodes.def with ISA_F_VEX names the same operation: family NAME_y. isa_avx() applies the function to the
//            lower 128 bits, and with VEX.L = 1 to the upper ones; what a lane is given and where it goes the shape says. d starts as
//            the register VEX.vvvv; bits that nothing is written to become 0; nothing needs to be aligned. A function whose lanes are
//            not independent has ISA_VS_WHOLE and gets arrays: d[0], d[1], s[0], s[1], and n = 32 if there are two.
//            Flags in MXCSR, and unmasked exceptions, are those of both lanes together.
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
    ISA_VS_RMDST = 1 << 13,    // register rm is the destination, there is no source (VEX: rm is the source, vvvv the destination)
    ISA_VS_XMM0 = 1 << 14,     // the destination is XMM0, the first operand register reg
    // Of VEX forms alone, with 256 bits:
    ISA_VS_SPREAD = 1 << 15,            // the bytes are those of one lane: the source of the upper lane follows that of the lower
    ISA_VS_PACK = 1 << 16,              // a lane gives 8 bytes, which together are the lower half of the destination
    ISA_VS_BOTH = 1 << 17,              // both lanes have the same source
    ISA_VS_WHOLE = 1 << 18,             // see above
    ISA_VS_LANES = 1 << 19,             // two lanes have 32 bytes in memory, if one has fewer than 16
    ISA_VS_DST = 1 << 20,               // d starts as the destination register
#define ISA_VS_IMM(bits) ((bits) << 21) // the immediate of the upper lane starts at this bit, 0..7
};
#define ISA_VS_IMM_BITS(shape) ((shape) >> 21 & 7)

int isa_sse(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape);
int isa_avx(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape);
int isa_avx_fp(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn,
               unsigned shape); // ... whose function may set flags of MXCSR
int isa_mmx(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape);

// Slow paths of the moves (isa/exec_sse_move.c, isa/exec_avx_move.c): n bytes between memory and a register, with every check.
int isa_vec_load(struct isa_cpu *c, const struct isa_insn *i, void *dst, unsigned n, bool aligned);
int isa_vec_store(struct isa_cpu *c, const struct isa_insn *i, const void *src, unsigned n, bool aligned);

// Gathers and masked moves, which may fault at any element (isa/avx_mem.c).
typedef int isa_avx_mem(struct isa_cpu *c, const struct isa_insn *i);
isa_avx_mem isa_avx_gather, isa_avx_maskload, isa_avx_maskstore;

#define PV(name)        ISA_VFN(name);
#define P(name, shape)  ISA_VFN(name);
#define V(name, shape)  ISA_VFN(name);
#define X(name, shape)  ISA_VFN(name);
#define XF(name, shape) ISA_VFN(name);
#define XP(name, shape) ISA_VFN(name);
#define A(name, shape)  ISA_VFN(name);
#define AF(name, shape) ISA_VFN(name);
#include "isa/vec.def"
#undef PV
#undef P
#undef V
#undef X
#undef XF
#undef XP
#undef A
#undef AF

#endif
