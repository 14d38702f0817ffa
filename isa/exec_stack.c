// isa/exec_stack.c: PUSH, POP, PUSHA, POPA, ENTER, LEAVE.
//
// MODELS     stack and operand sizes in all modes, and that each of these can be run again after a fault: PUSHA and ENTER probe
//            the whole of what they write before they write any of it.
// MANUAL     "PUSH", "POP", "PUSHA/PUSHAD", "POPA/POPAD", "ENTER", "LEAVE"; "Stack Behavior in 64-Bit Mode".
#include "isa/operand.h"

#define PUSH_FORMS(bits)                                                                                                           \
    /* PUSH RSP pushes its value before the decrement. */                                                                          \
    ISA_BODY(push_z##bits) { return isa_push##bits(c, fast, isa_r##bits(c, i->rm)); }                                              \
    ISA_BODY(push_i##bits) { return isa_push##bits(c, fast, (uint##bits##_t)i->imm); }                                             \
    ISA_BODY(push_m##bits)                                                                                                         \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        return isa_push##bits(c, fast, v);                                                                                         \
    }                                                                                                                              \
    /* The increment comes before the write: POP RSP leaves what was popped. */                                                    \
    ISA_BODY(pop_z##bits)                                                                                                          \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_peek##bits(c, fast, &v));                                                                                      \
        isa_drop##bits(c, fast, bits / 8);                                                                                         \
        isa_w##bits(c, i->rm, v);                                                                                                  \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(push_z##bits)                                                                                                      \
    ISA_HANDLER(push_i##bits)                                                                                                      \
    ISA_HANDLER(push_m##bits)                                                                                                      \
    ISA_HANDLER(pop_z##bits)
PUSH_FORMS(16)
PUSH_FORMS(32)
PUSH_FORMS(64)
ISA_FAMILY6S(push_i, push_i);
ISA_FAMILY(push_e, isa_h_bug, isa_h_bug, push_z16, push_m16, push_z32, push_m32, push_z64, push_m64);

// POP to memory: an address based on RSP uses RSP after the increment, yet nothing moves if the write fails.
static int pop_m(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    uint64_t old = c->gpr[ISA_RSP], v, la;
    int r = isa_stack_ld(c, isa_sp(c), i->osz, &v);
    if (r)
        ISA_ABORT(c, i, r);
    isa_set_sp(c, isa_sp(c) + i->osz);
    if ((r = isa_operand_la(c, i, i->osz, ISA_ACC_W, &la)) || (r = isa_st_v(c, la, v, i->osz, ISA_ACC_W))) {
        c->gpr[ISA_RSP] = old;
        ISA_ABORT(c, i, r);
    }
    ISA_NEXT(c, i);
}
ISA_FAMILY(pop_e, isa_h_bug, isa_h_bug, pop_z16, pop_m, pop_z32, pop_m, pop_z64, pop_m);

// PUSHA: AX CX DX BX, the SP from before, BP SI DI. A wrapping stack pointer makes the items' addresses wrap one by one.
static int push_all(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    unsigned n = i->osz;
    uint64_t sp = isa_sp(c);
    int r;
    for (unsigned k = 1; k <= 8; k++)
        if ((r = isa_stack_probe(c, sp - k * n, n)))
            ISA_ABORT(c, i, r);
    for (unsigned k = 1; k <= 8; k++)
        if ((r = isa_stack_st(c, sp - k * n, n, c->gpr[k - 1])))
            ISA_ABORT(c, i, r);
    isa_set_sp(c, sp - 8 * n);
    ISA_NEXT(c, i);
}
ISA_FAMILY1(pusha, push_all);

static inline int read_all(struct isa_cpu *c, uint64_t sp, unsigned n, uint64_t v[8])
{
    for (unsigned k = 0; k < 8; k++) {
        int r = isa_stack_ld(c, sp + k * n, n, &v[k]);
        if (r)
            return r;
    }
    return 0;
}
static int pop_all_b(struct isa_cpu *c, unsigned n)
{
    uint64_t v[8], sp = isa_sp(c);
    int r = read_all(c, sp, n, v);
    if (r)
        return r;
    isa_set_sp(c, sp + 8 * n);
    for (unsigned k = 0; k < 8; k++) {
        unsigned reg = 7 - k;
        if (reg == ISA_RSP)
            continue;
        if (n == 2)
            isa_w16(c, reg, (uint16_t)v[k]);
        else
            isa_w32(c, reg, (uint32_t)v[k]);
    }
    return 0;
}
static int pop_all(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    int r = pop_all_b(c, i->osz);
    if (r)
        ISA_ABORT(c, i, r);
    ISA_NEXT(c, i);
}
ISA_FAMILY1(popa, pop_all);

static inline void set_rbp(struct isa_cpu *c, unsigned n, uint64_t v)
{
    if (n == 8)
        c->gpr[ISA_RBP] = v;
    else if (n == 4)
        isa_w32(c, ISA_RBP, (uint32_t)v);
    else
        isa_w16(c, ISA_RBP, (uint16_t)v);
}

// ENTER size, level: i->imm = size | level << 16. Frame pointers of the enclosing levels are copied from the old frame.
static int enter_b(struct isa_cpu *c, const struct isa_insn *i)
{
    unsigned n = i->osz, level = (unsigned)(i->imm >> 16) & 31;
    uint64_t size = i->imm & 0xffff, old = isa_sp(c), frame = old - n, sp = frame, bp = c->gpr[ISA_RBP];
    int r;
    // First everything that can fault, in the processor's order. Each link is read again when its turn comes, because the new frame may
    // overlap the old one. The manual has ENTER fault where the next push would: the final stack pointer must be writable, too.
    uint64_t link;
    if ((r = isa_stack_probe(c, frame, n)))
        return r;
    for (unsigned k = 1; k < level; k++)
        if ((r = isa_stack_ld(c, bp - k * n, n, &link)) || (r = isa_stack_probe(c, frame - k * n, n)))
            return r;
    if (level && (r = isa_stack_probe(c, frame - level * n, n)))
        return r;
    if ((r = isa_stack_probe(c, frame - level * n - size, n)) || (r = isa_stack_st(c, frame, n, bp)))
        return r;
    for (unsigned k = 1; k < level; k++)
        if ((r = isa_stack_ld(c, bp - k * n, n, &link)) || (r = isa_stack_st(c, sp -= n, n, link)))
            return r;
    if (level && (r = isa_stack_st(c, sp -= n, n, frame)))
        return r;
    set_rbp(c, n, isa_stack_size(c) < n ? (c->gpr[ISA_RSP] & ~0xffffull) | (frame & isa_stack_mask(c)) : frame & isa_stack_mask(c));
    isa_set_sp(c, sp - size);
    return 0;
}
static int enter(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    int r = enter_b(c, i);
    if (r)
        ISA_ABORT(c, i, r);
    ISA_NEXT(c, i);
}
ISA_FAMILY1(enter, enter);

// LEAVE: the stack pointer from RBP, then POP RBP.
ISA_BODY(leave64)
{
    uint64_t sp = c->gpr[ISA_RBP], v;
    if (fast) {
        const struct isa_mirror *e = isa_hit(c->rd, c, sp, 8);
        if (!e)
            return ISA_GO_SLOW;
        memcpy(&v, (const void *)(uintptr_t)(e->addend + sp), 8);
    } else {
        ISA_TRY(isa_stack_ld(c, sp, 8, &v));
    }
    c->gpr[ISA_RSP] = sp + 8;
    c->gpr[ISA_RBP] = v;
    return 0;
}
ISA_HANDLER(leave64)
static int leave(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    uint64_t sp = c->gpr[ISA_RBP], v;
    int r = isa_stack_ld(c, sp, i->osz, &v);
    if (r)
        ISA_ABORT(c, i, r);
    isa_set_sp(c, sp + i->osz);
    set_rbp(c, i->osz, v);
    ISA_NEXT(c, i);
}
ISA_FAMILY(leave, isa_h_bug, isa_h_bug, leave, leave, leave, leave, leave64, leave64);
