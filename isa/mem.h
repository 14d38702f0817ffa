// isa/mem.h: data access by instructions: segmentation, then the inline TLB, then the machine.
//
// isa_ld8..64 and isa_st8..64 take a linear address; isa_operand_la() makes one from the instruction's memory operand.
//    uint64_t la; uint32_t v; int r;
//    if ((r = isa_operand_la(c, i, 4, ISA_ACC_R, &la)) || (r = isa_ld32(c, la, &v))) ISA_ABORT(c, i, r);
// The inline TLB answers only for naturally aligned accesses in the current context; all else goes to env->read/write.
#ifndef ISA_MEM_H
#define ISA_MEM_H

#include <string.h>

#include "isa/exec.h"

// Full segmentation check of n bytes at offset ea in segment s (limit, type, canonicality, null selector): gives the linear address,
// or raises #GP, or #SS for the stack segment. Manual: "Protection", "Segmentation in IA-32e Mode". (isa/seg.c)
int isa_seg_la(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, unsigned acc, uint64_t *la);

static inline int isa_operand_la(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc, uint64_t *la)
{
    uint64_t ea = isa_ea(c, i);
    if (__builtin_expect(i->segchk, 0))
        return isa_seg_la(c, i->seg, ea, n, acc, la);
    *la = ea;
    return 0;
}

// Slow paths (isa/mem.c): unaligned accesses inside a page through the inline TLB, canonical check, alignment check, then env.
int isa_ld_slow(struct isa_cpu *c, uint64_t la, void *v, unsigned n, unsigned acc);
int isa_st_slow(struct isa_cpu *c, uint64_t la, const void *v, unsigned n, unsigned acc);

static inline const struct isa_mirror *isa_hit(const struct isa_mirror *m, const struct isa_cpu *c, uint64_t la, unsigned n)
{
    const struct isa_mirror *e = &m[isa_mirror_slot(la)];
    return __builtin_expect(e->tag == ((la & (~0xfffull | (n - 1))) | (uint64_t)c->mctx << 4), 1) ? e : NULL;
}

#define ISA_LDST(bits)                                                                                                             \
    static inline int isa_ld##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t *v)                                              \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->rd, c, la, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return isa_ld_slow(c, la, v, bits / 8, ISA_ACC_R);                                                                     \
        memcpy(v, (const void *)(uintptr_t)(e->addend + la), bits / 8);                                                            \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    static inline int isa_st##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t v)                                               \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->wr, c, la, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return isa_st_slow(c, la, &v, bits / 8, ISA_ACC_W);                                                                    \
        memcpy((void *)(uintptr_t)(e->addend + la), &v, bits / 8);                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    /* Read what the same instruction will write: fails where the write would. */                                                  \
    static inline int isa_ldw##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t *v)                                             \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->wr, c, la, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return isa_ld_slow(c, la, v, bits / 8, ISA_ACC_R | ISA_ACC_RMW);                                                       \
        memcpy(v, (const void *)(uintptr_t)(e->addend + la), bits / 8);                                                            \
        return 0;                                                                                                                  \
    }
ISA_LDST(8)
ISA_LDST(16)
ISA_LDST(32)
ISA_LDST(64)
#undef ISA_LDST

// Stack pushes and pops use SS and the stack size (64 bits, or SS.D): isa/stack.h.

#endif
