// isa/exec_flow.c: near branches: JMP, Jcc, CALL, RET, LOOP, JCXZ.
//
// MODELS     targets truncated by operand size, the canonical check of 64-bit mode, the CS limit elsewhere. The check comes before
//            anything is committed, so a bad target faults at the branch.
// MANUAL     "CALL", "RET", "JMP", "Jcc", "LOOP/LOOPcc"; "Control Transfer Instructions".
#include "isa/flow_body.h"

#define REL_TARGET(bits) ((uint##bits##_t)(isa_insn_rip(c, i) + i->len + i->imm))

#define FLOW_FORMS(bits)                                                                                                           \
    ISA_BODY(jmp_j##bits)                                                                                                          \
    {                                                                                                                              \
        uint##bits##_t t = REL_TARGET(bits);                                                                                       \
        ISA_TRY(check_target##bits(c, t, fast));                                                                                   \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(jmp_e##bits##r)                                                                                                       \
    {                                                                                                                              \
        uint##bits##_t t = isa_e##bits(c, i);                                                                                      \
        ISA_TRY(check_target##bits(c, t, fast));                                                                                   \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(jmp_e##bits##m)                                                                                                       \
    {                                                                                                                              \
        uint##bits##_t t;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &t));                                                                                   \
        ISA_TRY(check_target##bits(c, t, fast));                                                                                   \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE int call##bits(struct isa_cpu *c, const struct isa_insn *i, bool fast, uint##bits##_t t)                            \
    {                                                                                                                              \
        ISA_TRY(check_target##bits(c, t, fast));                                                                                   \
        ISA_TRY(isa_push##bits(c, fast, (uint##bits##_t)isa_next_rip(c, i)));                                                      \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(call_j##bits) { return call##bits(c, i, fast, REL_TARGET(bits)); }                                                    \
    ISA_BODY(call_e##bits##r) { return call##bits(c, i, fast, isa_e##bits(c, i)); }                                                \
    ISA_BODY(call_e##bits##m)                                                                                                      \
    {                                                                                                                              \
        uint##bits##_t t;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &t));                                                                                   \
        return call##bits(c, i, fast, t);                                                                                          \
    }                                                                                                                              \
    /* RET and RET imm16; the row without immediate has imm = 0. */                                                                \
    ISA_BODY(ret##bits)                                                                                                            \
    {                                                                                                                              \
        uint##bits##_t t;                                                                                                          \
        ISA_TRY(isa_peek##bits(c, fast, &t));                                                                                      \
        ISA_TRY(check_target##bits(c, t, fast));                                                                                   \
        isa_drop##bits(c, fast, bits / 8 + (uint16_t)i->imm);                                                                      \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER_END(jmp_j##bits)                                                                                                   \
    ISA_HANDLER_END(jmp_e##bits##r)                                                                                                \
    ISA_HANDLER_END(jmp_e##bits##m)                                                                                                \
    ISA_HANDLER_END(call_j##bits)                                                                                                  \
    ISA_HANDLER_END(call_e##bits##r)                                                                                               \
    ISA_HANDLER_END(call_e##bits##m)                                                                                               \
    ISA_HANDLER_END(ret##bits)
FLOW_FORMS(16)
FLOW_FORMS(32)
FLOW_FORMS(64)
ISA_FAMILY6S(jmp_rel, jmp_j);
ISA_FAMILY6(jmp_e, jmp_e);
ISA_FAMILY6S(call_rel, call_j);
ISA_FAMILY6(call_e, call_e);
ISA_FAMILY6S(ret, ret);
ISA_FAMILY6S(ret_i, ret);

#define JCC(cc, bits) JCC_BODY(cc, bits) ISA_HANDLER_END(jcc##cc##_##bits)
#define JCC_FORMS(cc) JCC(cc, 16) JCC(cc, 32) JCC(cc, 64)
ISA_EACH_COND(JCC_FORMS)
#define JCC_ROW(cc) isa_h_bug, isa_h_bug, jcc##cc##_16, jcc##cc##_16, jcc##cc##_32, jcc##cc##_32, jcc##cc##_64, jcc##cc##_64,
ISA_FAMILY_COND(jcc_rel, JCC_ROW);

// LOOP, LOOPE, LOOPNE, JCXZ: the counter has the address size, the target the operand size.
ISA_INLINE uint64_t counter(const struct isa_cpu *c, const struct isa_insn *i)
{
    return i->asz == 8 ? c->gpr[ISA_RCX] : i->asz == 4 ? isa_r32(c, ISA_RCX) : isa_r16(c, ISA_RCX);
}
ISA_INLINE void set_counter(struct isa_cpu *c, const struct isa_insn *i, uint64_t v)
{
    if (i->asz == 8)
        c->gpr[ISA_RCX] = v;
    else if (i->asz == 4)
        isa_w32(c, ISA_RCX, (uint32_t)v);
    else
        isa_w16(c, ISA_RCX, (uint16_t)v);
}
ISA_INLINE uint64_t counter_minus_1(const struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t n = c->gpr[ISA_RCX] - 1;
    return i->asz == 8 ? n : i->asz == 4 ? (uint32_t)n : (uint16_t)n;
}

#define LOOP_FORM(name, bits, COND)                                                                                                \
    ISA_BODY(name##bits)                                                                                                           \
    {                                                                                                                              \
        uint64_t n = counter_minus_1(c, i);                                                                                        \
        uint64_t t = isa_next_rip(c, i);                                                                                           \
        if (n != 0 && (COND)) {                                                                                                    \
            t = REL_TARGET(bits);                                                                                                  \
            ISA_TRY(check_target##bits(c, (uint##bits##_t)t, fast));                                                               \
        }                                                                                                                          \
        set_counter(c, i, n);                                                                                                      \
        c->rip = t;                                                                                                                \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER_END(name##bits)
#define JCXZ_FORM(bits)                                                                                                            \
    ISA_BODY(jcxz##bits)                                                                                                           \
    {                                                                                                                              \
        if (counter(c, i) == 0)                                                                                                    \
            return jmp_j##bits##_b(c, i, fast);                                                                                    \
        c->rip = isa_next_rip(c, i);                                                                                               \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER_END(jcxz##bits)
#define LOOP_FORMS(bits)                                                                                                           \
    LOOP_FORM(loop, bits, true) LOOP_FORM(loope, bits, isa_zf(c)) LOOP_FORM(loopne, bits, !isa_zf(c)) JCXZ_FORM(bits)
LOOP_FORMS(16)
LOOP_FORMS(32)
LOOP_FORMS(64)
ISA_FAMILY6S(loop, loop);
ISA_FAMILY6S(loope, loope);
ISA_FAMILY6S(loopne, loopne);
ISA_FAMILY6S(jcxz, jcxz);
