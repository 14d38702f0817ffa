// isa/mem.h: data access by instructions: segmentation, then the inline TLB, then the machine.
//
// isa_ld8..64 and isa_st8..64 take a linear address; isa_operand_la() makes one from the instruction's memory operand.
//    uint64_t la; uint32_t v; int r;
//    if ((r = isa_operand_la(c, i, 4, ISA_ACC_R, &la)) || (r = isa_ld32(c, la, &v))) ISA_ABORT(c, i, r);
// The inline TLB answers only for naturally aligned accesses in the current context; all else goes to env->read/write.
// Addresses of a handler's locals never escape in these inline functions: else the compiler could not turn ISA_NEXT into a jump.
#ifndef ISA_MEM_H
#define ISA_MEM_H

#include <assert.h>
#include <string.h>

#include "isa/exec.h"

// Full segmentation check of n bytes at offset ea in segment s (limit, type, canonicality, null selector): gives the linear address,
// or raises #GP, or #SS for the stack segment. Manual: "Protection", "Segmentation in IA-32e Mode". (isa/seg.c)
int isa_seg_la(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, unsigned acc, uint64_t *la);

// The same, and loads, with both results in registers. v is 0 unless r is 0.
struct isa_loaded {
    uint64_t v;
    int r;
};
struct isa_loaded isa_seg_la_v(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, unsigned acc);

static inline int isa_operand_la(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc, uint64_t *la)
{
    uint64_t ea = isa_ea(c, i);
    if (__builtin_expect(i->segchk, 0)) {
        struct isa_loaded x = isa_seg_la_v(c, i->seg, ea, n, acc);
        *la = x.v;
        return x.r;
    }
    *la = ea;
    return 0;
}

// Slow paths (isa/mem.c): unaligned accesses inside a page through the inline TLB, canonical check, alignment check, then env.
// n is 1, 2, 4 or 8 for the _v forms, 1..64 for the others. A non-canonical address raises #GP(0), or #SS(0) with ISA_ACC_STACK.
int isa_ld_slow(struct isa_cpu *c, uint64_t la, void *v, unsigned n, unsigned acc);
int isa_st_slow(struct isa_cpu *c, uint64_t la, const void *v, unsigned n, unsigned acc);
struct isa_loaded isa_ld_v(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc);
int isa_st_v(struct isa_cpu *c, uint64_t la, uint64_t v, unsigned n, unsigned acc);
// Check that n bytes at la could be written (canonical, alignment, paging); commits nothing but A and D.
int isa_probe_w(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc);
// For these functions only, never passed on to the machine: a push or pop, whose address faults are stack faults.
#define ISA_ACC_STACK 0x100u
#define ISA_ACC_NOAC  0x200u // ... or an operand that need not be aligned even where RFLAGS.AC asks for it

static inline const struct isa_mirror *isa_hit(const struct isa_mirror *m, const struct isa_cpu *c, uint64_t la, unsigned n)
{
    const struct isa_mirror *e = &m[isa_mirror_slot(la)];
    return __builtin_expect(e->tag == ((la & (~0xfffull | (n - 1))) | c->mctx), 1) ? e : NULL;
}

// The inline TLB is used as it stands: nothing that decides about contexts has changed since the machine chose one. Debug builds look.
static inline void isa_context_stands(struct isa_cpu *c)
{
#ifdef RINGSIDE_DEBUG
    const uint64_t was = c->mctx;
    if (c->env->context)
        c->env->context(c);
    assert(c->mctx == was);
#endif
}

// Host address of bytes that lie inside one page the inline TLB knows, whatever their alignment; NULL if it does not. What the context
// may do as supervisor, implicit supervisor accesses may do too: RFLAGS.AC never opens a page to the inline TLB.
static inline void *isa_mirror_in(const struct isa_mirror *m, const struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    const struct isa_mirror *e = &m[isa_mirror_slot(la)];
    if (e->tag != ((la & ~0xfffull) | c->mctx) || (la & 0xfff) + n > 0x1000)
        return NULL;
    if (acc & (ISA_ACC_USER | ISA_ACC_X) ||
        ((acc & ISA_ACC_SYS) && c->cpl == 3)) // other rights than those that the context stands for
        return NULL;
    return (void *)(uintptr_t)(e->addend + la);
}
static inline void *isa_mirror_at(const struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    return isa_mirror_in(acc & (ISA_ACC_W | ISA_ACC_RMW) ? c->wr : c->rd, c, la, n, acc);
}

#define ISA_LDST(bits)                                                                                                             \
    static inline int isa_ld##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t *v)                                              \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->rd, c, la, bits / 8);                                                              \
        if (!e) {                                                                                                                  \
            struct isa_loaded x = isa_ld_v(c, la, bits / 8, ISA_ACC_R);                                                            \
            *v = (uint##bits##_t)x.v;                                                                                              \
            return x.r;                                                                                                            \
        }                                                                                                                          \
        memcpy(v, (const void *)(uintptr_t)(e->addend + la), bits / 8);                                                            \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    static inline int isa_st##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t v)                                               \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->wr, c, la, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return isa_st_v(c, la, v, bits / 8, ISA_ACC_W);                                                                        \
        memcpy((void *)(uintptr_t)(e->addend + la), &v, bits / 8);                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    /* Read what the same instruction will write: fails where the write would. */                                                  \
    static inline int isa_ldw##bits(struct isa_cpu *c, uint64_t la, uint##bits##_t *v)                                             \
    {                                                                                                                              \
        const struct isa_mirror *e = isa_hit(c->wr, c, la, bits / 8);                                                              \
        if (!e) {                                                                                                                  \
            struct isa_loaded x = isa_ld_v(c, la, bits / 8, ISA_ACC_R | ISA_ACC_RMW);                                              \
            *v = (uint##bits##_t)x.v;                                                                                              \
            return x.r;                                                                                                            \
        }                                                                                                                          \
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
