// isa/avx.h: what the AVX handlers share: availability, whole registers, memory operands.
//
// STATE      bits 127..0 of YMMk are c->xmm[k], bits 255..128 c->ymmh[k]. SSE instructions leave the latter alone; VEX instructions with
//            a 128-bit operand clear them.
// MANUAL     "Programming with Intel AVX, FMA, and Intel AVX2".
#ifndef ISA_AVX_H
#define ISA_AVX_H

#include "isa/insn.h"

#define ISA_XS_VECTORS 6u // of XCR0: the SSE and the AVX component

// May a VEX-encoded vector instruction run? 0, or the fault.
int isa_avx_on(struct isa_cpu *c);
static inline bool isa_avx_off(const struct isa_cpu *c)
{
    return ((c->cr0 & ISA_CR0_TS) | (~c->cr4 & ISA_CR4_OSXSAVE) | (~c->xcr0 & ISA_XS_VECTORS)) != 0;
}

// Write lanes * 128 bits of a register; the rest of it becomes 0.
static inline void isa_avx_put(struct isa_cpu *c, unsigned reg, const union isa_vec *v, unsigned lanes)
{
    c->xmm[reg] = v[0];
    c->ymmh[reg] = lanes == 2 ? v[1] : (union isa_vec){.q = {0, 0}};
}

// The memory operand, n bytes of any alignment, with every check.
int isa_avx_load(struct isa_cpu *c, const struct isa_insn *i, void *to, unsigned n);
int isa_avx_store(struct isa_cpu *c, const struct isa_insn *i, const void *from, unsigned n);

#endif
