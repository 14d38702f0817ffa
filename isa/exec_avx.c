// isa/exec_avx.c: handlers of the AVX moves, which are too common for the frame of isa/avx.c, and of what fits no frame.
//
// A fast body reaches memory through the inline TLB alone; the slow one calls isa_avx_load() and isa_avx_store().
// MANUAL     the instructions' own pages.
#include "isa/avx.h"
#include "isa/fpu.h"
#include "isa/operand.h"
#include "isa/vec.h"

ISA_INLINE int on(struct isa_cpu *c, bool fast)
{
    if (ISA_RARE(isa_avx_off(c)))
        return fast ? ISA_GO_SLOW : isa_avx_on(c);
    return 0;
}

// Host address of the operand where the fast path may go.
ISA_INLINE void *fast_at(const struct isa_cpu *c, const struct isa_insn *i, const struct isa_mirror *m, unsigned n)
{
    uint64_t la = isa_ea(c, i);
    const struct isa_mirror *e = &m[isa_mirror_slot(la)];
    if (ISA_RARE(i->segchk) || e->tag != ((la & ~0xfffull) | c->mctx) || (la & 0xfff) > 0x1000 - n || (c->rflags_sys & ISA_FL_AC))
        return NULL;
    return (void *)(uintptr_t)(e->addend + la);
}

// Operands that must be aligned to their size.
ISA_COLD int misaligned(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc)
{
    uint64_t la;
    int r = isa_operand_la(c, i, n, acc, &la);
    if (r)
        return r;
    return la & (n - 1) ? isa_gp0(c, ISA_RULE_GP_ALIGN_AVX) : 0;
}

ISA_INLINE int load(struct isa_cpu *c, const struct isa_insn *i, bool fast, void *p, unsigned n, bool aligned)
{
    if (fast) {
        const void *at = fast_at(c, i, c->rd, n);
        if (!at || (aligned && (isa_ea(c, i) & (n - 1))))
            return ISA_GO_SLOW;
        memcpy(p, at, n);
        return 0;
    }
    if (aligned)
        ISA_TRY(misaligned(c, i, n, ISA_ACC_R));
    return isa_avx_load(c, i, p, n);
}
ISA_INLINE int store(struct isa_cpu *c, const struct isa_insn *i, bool fast, const void *p, unsigned n, bool aligned)
{
    if (fast) {
        void *at = fast_at(c, i, c->wr, n);
        if (!at || (aligned && (isa_ea(c, i) & (n - 1))))
            return ISA_GO_SLOW;
        memcpy(at, p, n);
        return 0;
    }
    if (aligned)
        ISA_TRY(misaligned(c, i, n, ISA_ACC_W));
    return isa_avx_store(c, i, p, n);
}

// --- whole registers

#define ZERO ((union isa_vec){.q = {0, 0}})
ISA_BODY(reg_rm)
{
    ISA_TRY(on(c, fast));
    union isa_vec h = i->vex_l ? c->ymmh[i->rm] : ZERO;
    c->xmm[i->reg] = c->xmm[i->rm];
    c->ymmh[i->reg] = h;
    return 0;
}
ISA_BODY(rm_reg)
{
    ISA_TRY(on(c, fast));
    union isa_vec h = i->vex_l ? c->ymmh[i->reg] : ZERO;
    c->xmm[i->rm] = c->xmm[i->reg];
    c->ymmh[i->rm] = h;
    return 0;
}
#define WHOLE(name, aligned)                                                                                                       \
    ISA_BODY(name##_load)                                                                                                          \
    {                                                                                                                              \
        union isa_vec v[2];                                                                                                        \
        ISA_TRY(on(c, fast));                                                                                                      \
        if (i->vex_l) {                                                                                                            \
            ISA_TRY(load(c, i, fast, v, 32, aligned));                                                                             \
            isa_avx_put(c, i->reg, v, 2);                                                                                          \
        } else {                                                                                                                   \
            ISA_TRY(load(c, i, fast, v, 16, aligned));                                                                             \
            isa_avx_put(c, i->reg, v, 1);                                                                                          \
        }                                                                                                                          \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(name##_store)                                                                                                         \
    {                                                                                                                              \
        const union isa_vec v[2] = {c->xmm[i->reg], c->ymmh[i->reg]};                                                              \
        ISA_TRY(on(c, fast));                                                                                                      \
        return i->vex_l ? store(c, i, fast, v, 32, aligned) : store(c, i, fast, v, 16, aligned);                                   \
    }                                                                                                                              \
    ISA_HANDLER(name##_load)                                                                                                       \
    ISA_HANDLER(name##_store)
ISA_HANDLER(reg_rm)
ISA_HANDLER(rm_reg)
WHOLE(mova, true)
WHOLE(movu, false)
#define BY_FORM(name, r, m) ISA_FAMILY(name, r, m, r, m, r, m, r, m)
BY_FORM(mova_v_w_y, reg_rm, mova_load);
BY_FORM(mova_w_v_y, rm_reg, mova_store);
BY_FORM(movu_v_w_y, reg_rm, movu_load);
BY_FORM(movu_w_v_y, rm_reg, movu_store);

// --- parts: loads clear the rest of the register, or take it from the register in VEX.vvvv (MOVLPS, MOVHPS, and MOVSS between registers)

#define LOAD(name, bytes, start, lane)                                                                                             \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        union isa_vec v = start;                                                                                                   \
        ISA_TRY(on(c, fast));                                                                                                      \
        ISA_TRY(load(c, i, fast, &v.lane, bytes, false));                                                                          \
        isa_avx_put(c, i->reg, &v, 1);                                                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name)
#define STORE(name, lane, bytes)                                                                                                   \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        ISA_TRY(on(c, fast));                                                                                                      \
        return store(c, i, fast, &c->xmm[i->reg].lane, bytes, false);                                                              \
    }                                                                                                                              \
    ISA_HANDLER(name)
// to: the number of a register; its lower half becomes value, an expression of reg, rm and other (VEX.vvvv).
#define MOVE(name, to, ...)                                                                                                        \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        union isa_vec reg = c->xmm[i->reg], rm = c->xmm[i->rm], other = c->xmm[i->vvvv];                                           \
        ISA_TRY(on(c, fast));                                                                                                      \
        (void)reg, (void)rm, (void)other;                                                                                          \
        isa_avx_put(c, to, &(union isa_vec){__VA_ARGS__}, 1);                                                                      \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name)
LOAD(load4, 4, ZERO, d[0])
LOAD(load8, 8, ZERO, q[0])
LOAD(loadl, 8, c->xmm[i->vvvv], q[0])
LOAD(loadh, 8, c->xmm[i->vvvv], q[1])
STORE(store4, d[0], 4)
STORE(store8, q[0], 8)
STORE(storeh, q[1], 8)
MOVE(movss_r, i->reg, .d = {rm.d[0], other.d[1], other.d[2], other.d[3]})
MOVE(movsd_r, i->reg, .q = {rm.q[0], other.q[1]})
MOVE(movss_rs, i->rm, .d = {reg.d[0], other.d[1], other.d[2], other.d[3]})
MOVE(movsd_rs, i->rm, .q = {reg.q[0], other.q[1]})
MOVE(movq_r, i->reg, .q = {rm.q[0], 0})
MOVE(movq_rs, i->rm, .q = {reg.q[0], 0})
BY_FORM(movss_v_w_y, movss_r, load4);
BY_FORM(movss_w_v_y, movss_rs, store4);
BY_FORM(movsd_v_w_y, movsd_r, load8);
BY_FORM(movsd_w_v_y, movsd_rs, store8);
BY_FORM(movq_v_w_y, movq_r, load8);
BY_FORM(movq_w_v_y, movq_rs, store8);
BY_FORM(movlp_v_m_y, isa_h_bug, loadl);
BY_FORM(movlp_m_v_y, isa_h_bug, store8);
BY_FORM(movhp_v_m_y, isa_h_bug, loadh);
BY_FORM(movhp_m_v_y, isa_h_bug, storeh);

// --- general registers

MOVE(movd_v_r, i->reg, .q = {i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm), 0})
ISA_BODY(movd_r_v)
{
    ISA_TRY(on(c, fast));
    c->gpr[i->rm] = i->osz == 8 ? c->xmm[i->reg].q[0] : c->xmm[i->reg].d[0];
    return 0;
}
ISA_HANDLER(movd_r_v)
ISA_FAMILY(movd_v_e_y, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, movd_v_r, load4, movd_v_r, load8);
ISA_FAMILY(movd_e_v_y, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, movd_r_v, store4, movd_r_v, store8);

// --- upper halves. Registers 8..15 are there in 64-bit mode alone

ISA_BODY(vzero)
{
    unsigned n = c->mode == ISA_LONG64 ? 16 : 8;
    ISA_TRY(on(c, fast));
    memset(c->ymmh, 0, n * sizeof c->ymmh[0]);
    if (i->vex_l)
        memset(c->xmm, 0, n * sizeof c->xmm[0]);
    return 0;
}
ISA_HANDLER(vzero)
ISA_FAMILY1(vzero, vzero);

// --- what has no fast path

#define CALL(family, call)                                                                                                         \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = call;                                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)
CALL(gather, isa_avx_gather(c, i));
CALL(maskload, isa_avx_maskload(c, i));
CALL(maskstore, isa_avx_maskstore(c, i));
CALL(ldmxcsr_y, isa_x_ldmxcsr_y(c, i));
CALL(stmxcsr_y, isa_x_stmxcsr_y(c, i));
