// isa/stack.h: the stack of PUSH, POP, CALL, RET and of everything else that pushes.
//
// MODELS     stack-address size (64 bits in 64-bit mode, else SS.D), stack-pointer wrap-around, #SS(0) for limit and
//            non-canonical stack references. Manual: "Stack", "Stacks in 64-Bit Mode".
// USE        isa_push(c, n, v) and isa_pop(c, n, &v) are whole operations: RSP moves only if the access succeeds. Instructions that
//            push several items read or write relative to a private copy of the stack pointer and commit it last:
//               uint64_t sp = isa_sp(c);
//               if ((r = isa_stack_st(c, sp - 4, 4, v))) ISA_ABORT(c, i, r);    // offsets wrap by themselves
//               isa_set_sp(c, sp - 8);
// n is 2, 4 or 8. Results come back in registers (isa/mem.h).
#ifndef ISA_STACK_H
#define ISA_STACK_H

#include "isa/mem.h"

// Bytes of the stack pointer: 8, 4, 2.
static inline unsigned isa_stack_size(const struct isa_cpu *c)
{
    return c->mode == ISA_LONG64 ? 8 : c->seg[ISA_SS].ar & ISA_AR_DB ? 4 : 2;
}
static inline uint64_t isa_stack_mask(const struct isa_cpu *c)
{
    return c->mode == ISA_LONG64 ? UINT64_MAX : c->seg[ISA_SS].ar & ISA_AR_DB ? UINT32_MAX : UINT16_MAX;
}
// The stack pointer as far as the stack size uses it, and its replacement.
static inline uint64_t isa_sp(const struct isa_cpu *c) { return c->gpr[ISA_RSP] & isa_stack_mask(c); }
static inline void isa_set_sp(struct isa_cpu *c, uint64_t sp)
{
    if (c->mode == ISA_LONG64)
        c->gpr[ISA_RSP] = sp;
    else if (c->seg[ISA_SS].ar & ISA_AR_DB)
        isa_w32(c, ISA_RSP, (uint32_t)sp);
    else
        isa_w16(c, ISA_RSP, (uint16_t)sp);
}

// SS needs no check for this access: 64-bit mode, or a flat stack segment.
static inline bool isa_stack_flat(const struct isa_cpu *c) { return c->mode == ISA_LONG64 || (c->seg_flat & 1u << ISA_SS); }

// Linear address of n bytes at stack offset sp (taken modulo the stack size).
static inline int isa_stack_la(struct isa_cpu *c, uint64_t sp, unsigned n, unsigned acc, uint64_t *la)
{
    sp &= isa_stack_mask(c);
    if (__builtin_expect(!isa_stack_flat(c), 0)) {
        struct isa_loaded x = isa_seg_la_v(c, ISA_SS, sp, n, acc);
        *la = x.v;
        return x.r;
    }
    *la = sp;
    return 0;
}

static inline int isa_stack_ld(struct isa_cpu *c, uint64_t sp, unsigned n, uint64_t *v)
{
    uint64_t la;
    int r = isa_stack_la(c, sp, n, ISA_ACC_R, &la);
    if (r)
        return r;
    struct isa_loaded x = isa_ld_v(c, la, n, ISA_ACC_R | ISA_ACC_STACK);
    *v = x.v;
    return x.r;
}

static inline int isa_stack_st(struct isa_cpu *c, uint64_t sp, unsigned n, uint64_t v)
{
    uint64_t la;
    int r = isa_stack_la(c, sp, n, ISA_ACC_W, &la);
    return r ? r : isa_st_v(c, la, v, n, ISA_ACC_W | ISA_ACC_STACK);
}

// Check that n bytes at stack offset sp can be written.
static inline int isa_stack_probe(struct isa_cpu *c, uint64_t sp, unsigned n)
{
    uint64_t la;
    int r = isa_stack_la(c, sp, n, ISA_ACC_W, &la);
    return r ? r : isa_probe_w(c, la, n, ISA_ACC_W | ISA_ACC_STACK);
}

static inline int isa_push(struct isa_cpu *c, unsigned n, uint64_t v)
{
    uint64_t sp = isa_sp(c) - n;
    int r = isa_stack_st(c, sp, n, v);
    if (r)
        return r;
    isa_set_sp(c, sp);
    return 0;
}

static inline int isa_pop(struct isa_cpu *c, unsigned n, uint64_t *v)
{
    uint64_t sp = isa_sp(c);
    int r = isa_stack_ld(c, sp, n, v);
    if (r)
        return r;
    isa_set_sp(c, sp + n);
    return 0;
}

#endif
