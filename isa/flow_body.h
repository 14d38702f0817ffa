// isa/flow_body.h: the body of Jcc, and the checks of a near branch's target; isa/exec_flow.c and isa/exec_fused.c make handlers of them.
//
// MANUAL     "Jcc"; "Control Transfer Instructions".
// SIZES      near branches have 64-bit operands in 64-bit mode and never elsewhere, so the handler's width decides between the
//            canonical check and the limit check.
#ifndef ISA_FLOW_BODY_H
#define ISA_FLOW_BODY_H

#include "isa/operand.h"

// 0, or #GP(0) raised.
ISA_INLINE int check_target64(struct isa_cpu *c, uint64_t t, bool fast)
{
    if (!ISA_RARE((t + (1ull << 47)) >> 48))
        return 0;
    if (fast)
        return ISA_GO_SLOW;
    return isa_canonical(c, t) ? 0 : isa_gp0(c, ISA_RULE_GP_CANONICAL);
}
ISA_INLINE int check_target32(struct isa_cpu *c, uint32_t t, bool fast)
{
    if (!ISA_RARE(t > c->seg[ISA_CS].limit))
        return 0;
    return fast ? ISA_GO_SLOW : isa_gp0(c, ISA_RULE_GP_LIMIT);
}
ISA_INLINE int check_target16(struct isa_cpu *c, uint16_t t, bool fast) { return check_target32(c, t, fast); }

// Jcc, one handler for each condition. Whether the guest's branch is taken decides nothing here but the value of RIP: the host would
// predict it no better than it will predict which block comes next. A fall-through is never checked; that is the next fetch's business.
#define JCC_BODY(cc, bits)                                                                                                         \
    ISA_BODY(jcc##cc##_##bits)                                                                                                     \
    {                                                                                                                              \
        bool taken = isa_cond(c, 0x##cc);                                                                                          \
        uint64_t next = isa_insn_rip(c, i) + i->len;                                                                               \
        uint##bits##_t t = (uint##bits##_t)(next + i->imm);                                                                        \
        uint64_t to = taken ? t : bits == 64 ? next : (uint32_t)next;                                                              \
        if (fast ? bits == 64 || taken : taken)                                                                                    \
            ISA_TRY(check_target##bits(c, (uint##bits##_t)to, fast));                                                              \
        c->rip = to;                                                                                                               \
        return 0;                                                                                                                  \
    }

#endif
