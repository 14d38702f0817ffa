// isa/exec_atomic.c: the instructions made for LOCK: XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B.
//
// MODELS     a compare-and-exchange always writes its destination, with the old value if the comparison fails, so it faults as a
//            write does. There is one processor at work at a time: every instruction is atomic, LOCK or not.
// MANUAL     "XADD", "CMPXCHG", "CMPXCHG8B/CMPXCHG16B", "Locked Atomic Operations".
#include "isa/operand.h"

#define ATOMIC_FORMS(bits)                                                                                                         \
    /* Writing G before E makes the sum win where both are one register. */                                                        \
    ISA_BODY(xadd##bits##r)                                                                                                        \
    {                                                                                                                              \
        uint##bits##_t a = isa_e##bits(c, i), b = isa_g##bits(c, i), r = (uint##bits##_t)(a + b);                                  \
        isa_setg##bits(c, i, a);                                                                                                   \
        isa_sete##bits(c, i, r);                                                                                                   \
        isa_cc_set(c, ISA_CC_ADD, isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                              \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(xadd##bits##m)                                                                                                        \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t a;                                                                                                          \
        ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &a));                                                                              \
        uint##bits##_t b = isa_g##bits(c, i), r = (uint##bits##_t)(a + b);                                                         \
        ISA_TRY(isa_opwr##bits(c, fast, &p, r));                                                                                   \
        isa_setg##bits(c, i, a);                                                                                                   \
        isa_cc_set(c, ISA_CC_ADD, isa_sx##bits(a), isa_sx##bits(b), isa_sx##bits(r));                                              \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(cmpxchg##bits##r)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t a = isa_r##bits(c, ISA_RAX), e = isa_e##bits(c, i);                                                         \
        if (a == e)                                                                                                                \
            isa_sete##bits(c, i, isa_g##bits(c, i));                                                                               \
        else                                                                                                                       \
            isa_w##bits(c, ISA_RAX, e);                                                                                            \
        isa_cc_set(c, ISA_CC_SUB, isa_sx##bits(a), isa_sx##bits(e), isa_sx##bits((uint##bits##_t)(a - e)));                        \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(cmpxchg##bits##m)                                                                                                     \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t a = isa_r##bits(c, ISA_RAX), e;                                                                             \
        ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &e));                                                                              \
        ISA_TRY(isa_opwr##bits(c, fast, &p, a == e ? isa_g##bits(c, i) : e));                                                      \
        if (a != e)                                                                                                                \
            isa_w##bits(c, ISA_RAX, e);                                                                                            \
        isa_cc_set(c, ISA_CC_SUB, isa_sx##bits(a), isa_sx##bits(e), isa_sx##bits((uint##bits##_t)(a - e)));                        \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(xadd##bits##r)                                                                                                     \
    ISA_HANDLER(xadd##bits##m)                                                                                                     \
    ISA_HANDLER(cmpxchg##bits##r)                                                                                                  \
    ISA_HANDLER(cmpxchg##bits##m)
ATOMIC_FORMS(8)
ATOMIC_FORMS(16)
ATOMIC_FORMS(32)
ATOMIC_FORMS(64)
ISA_FAMILY8(xadd_e_g, xadd);
ISA_FAMILY8(cmpxchg_e_g, cmpxchg);

ISA_INLINE void set_zf(struct isa_cpu *c, bool zf) { isa_set_status(c, (isa_status(c) & ~ISA_FL_ZF) | (zf ? ISA_FL_ZF : 0)); }

ISA_BODY(cmpxchg8b)
{
    struct isa_place p;
    uint64_t m, want = (uint64_t)isa_r32(c, ISA_RDX) << 32 | isa_r32(c, ISA_RAX);
    uint64_t now = (uint64_t)isa_r32(c, ISA_RCX) << 32 | isa_r32(c, ISA_RBX);
    ISA_TRY(isa_oprdw64(c, i, fast, &p, &m));
    ISA_TRY(isa_opwr64(c, fast, &p, m == want ? now : m));
    if (m != want) {
        isa_w32(c, ISA_RAX, (uint32_t)m);
        isa_w32(c, ISA_RDX, (uint32_t)(m >> 32));
    }
    set_zf(c, m == want);
    return 0;
}
ISA_HANDLER(cmpxchg8b)
ISA_FAMILY1(cmpxchg8b, cmpxchg8b);

static __attribute__((noinline)) int cmpxchg16b_do(struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t la, m[2];
    ISA_TRY(isa_operand_la(c, i, 16, ISA_ACC_W, &la));
    if (la & 15)
        return isa_gp0(c, ISA_RULE_GP_ALIGN16);
    ISA_TRY(isa_ld_slow(c, la, m, 16, ISA_ACC_R | ISA_ACC_RMW));
    bool equal = m[0] == c->gpr[ISA_RAX] && m[1] == c->gpr[ISA_RDX];
    uint64_t now[2] = {c->gpr[ISA_RBX], c->gpr[ISA_RCX]};
    ISA_TRY(isa_st_slow(c, la, equal ? now : m, 16, ISA_ACC_W));
    if (!equal) {
        c->gpr[ISA_RAX] = m[0];
        c->gpr[ISA_RDX] = m[1];
    }
    set_zf(c, equal);
    return 0;
}
static int cmpxchg16b(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    int r = cmpxchg16b_do(c, i);
    if (r)
        ISA_ABORT(c, i, r);
    ISA_NEXT(c, i);
}
ISA_FAMILY1(cmpxchg16b, cmpxchg16b);
