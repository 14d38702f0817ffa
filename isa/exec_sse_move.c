// isa/exec_sse_move.c: the moves of MMX and SSE registers, which are too common for the frame of isa/sse.c.
//
// A fast body reaches memory through the inline TLB alone; the slow one calls isa_vec_load() and isa_vec_store().
// MANUAL     the instructions' own pages.
#include "isa/fpu.h"
#include "isa/operand.h"
#include "isa/vec.h"

// Registers may be touched: else the slow path says why not.
ISA_INLINE int sse_on(struct isa_cpu *c, bool fast)
{
    if (ISA_RARE(isa_sse_off(c)))
        return fast ? ISA_GO_SLOW : isa_sse_on(c);
    return 0;
}
ISA_INLINE int mmx_on(struct isa_cpu *c, bool fast)
{
    if (ISA_RARE((c->cr0 & (ISA_CR0_EM | ISA_CR0_TS)) || (c->x87.sw & ISA_FSW_ES)))
        return fast ? ISA_GO_SLOW : isa_mmx_on(c);
    return 0;
}

// n bytes between memory and *p. aligned: the fast path takes naturally aligned operands alone, and 16 bytes must be aligned.
ISA_INLINE int load(struct isa_cpu *c, const struct isa_insn *i, bool fast, void *p, unsigned n, bool aligned)
{
    if (!fast)
        return isa_vec_load(c, i, p, n, aligned && n == 16);
    uint64_t la = isa_ea(c, i);
    const struct isa_mirror *e = &c->rd[isa_mirror_slot(la)];
    uint64_t low = aligned ? n - 1 : 0;
    if (ISA_RARE(i->segchk) || e->tag != ((la & (~0xfffull | low)) | c->mctx) || (!aligned && (la & 0xfff) > 0x1000 - n) ||
        (!aligned && (c->rflags_sys & ISA_FL_AC)))
        return ISA_GO_SLOW;
    memcpy(p, (const void *)(uintptr_t)(e->addend + la), n);
    return 0;
}
ISA_INLINE int store(struct isa_cpu *c, const struct isa_insn *i, bool fast, const void *p, unsigned n, bool aligned)
{
    if (!fast)
        return isa_vec_store(c, i, p, n, aligned && n == 16);
    uint64_t la = isa_ea(c, i);
    const struct isa_mirror *e = &c->wr[isa_mirror_slot(la)];
    uint64_t low = aligned ? n - 1 : 0;
    if (ISA_RARE(i->segchk) || e->tag != ((la & (~0xfffull | low)) | c->mctx) || (!aligned && (la & 0xfff) > 0x1000 - n) ||
        (!aligned && (c->rflags_sys & ISA_FL_AC)))
        return ISA_GO_SLOW;
    memcpy((void *)(uintptr_t)(e->addend + la), p, n);
    return 0;
}

// --- whole registers

ISA_BODY(mov_v_v)
{
    ISA_TRY(sse_on(c, fast));
    c->xmm[i->reg] = c->xmm[i->rm];
    return 0;
}
ISA_BODY(mov_w_v)
{
    ISA_TRY(sse_on(c, fast));
    c->xmm[i->rm] = c->xmm[i->reg];
    return 0;
}
#define WHOLE(name, aligned)                                                                                                       \
    ISA_BODY(name##_load)                                                                                                          \
    {                                                                                                                              \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        return load(c, i, fast, &c->xmm[i->reg], 16, aligned);                                                                     \
    }                                                                                                                              \
    ISA_BODY(name##_store)                                                                                                         \
    {                                                                                                                              \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        return store(c, i, fast, &c->xmm[i->reg], 16, aligned);                                                                    \
    }                                                                                                                              \
    ISA_HANDLER(name##_load)                                                                                                       \
    ISA_HANDLER(name##_store)
ISA_HANDLER(mov_v_v)
ISA_HANDLER(mov_w_v)
WHOLE(mova, true)
WHOLE(movu, false)
#define BY_FORM(name, r, m) ISA_FAMILY(name, r, m, r, m, r, m, r, m)
BY_FORM(mova_v_w, mov_v_v, mova_load);
BY_FORM(mova_w_v, mov_w_v, mova_store);
BY_FORM(movu_v_w, mov_v_v, movu_load);
BY_FORM(movu_w_v, mov_w_v, movu_store);

// --- parts: loads clear the rest of the register (MOVQ, MOVD, MOVSS, MOVSD) or keep it (MOVLPS, MOVHPS); register moves of MOVSS and
// MOVSD keep it, MOVQ clears it

#define LOADZ(name, bytes)                                                                                                         \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        union isa_vec *d = &c->xmm[i->reg];                                                                                        \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        ISA_TRY(load(c, i, fast, d, bytes, true));                                                                                 \
        if (bytes == 4)                                                                                                            \
            d->d[1] = 0;                                                                                                           \
        d->q[1] = 0;                                                                                                               \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name)
#define STORE(name, lane, bytes)                                                                                                   \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        return store(c, i, fast, &c->xmm[i->reg].lane, bytes, true);                                                               \
    }                                                                                                                              \
    ISA_HANDLER(name)
#define MOVE(name, statement)                                                                                                      \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        union isa_vec *reg = &c->xmm[i->reg], *rm = &c->xmm[i->rm];                                                                \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        statement;                                                                                                                 \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name)
LOADZ(load4, 4)
LOADZ(load8, 8)
STORE(store4, d[0], 4)
STORE(store8, q[0], 8)
STORE(storeh, q[1], 8)
MOVE(movss_r, reg->d[0] = rm->d[0])
MOVE(movsd_r, reg->q[0] = rm->q[0])
MOVE(movss_rs, rm->d[0] = reg->d[0])
MOVE(movsd_rs, rm->q[0] = reg->q[0])
MOVE(movq_r, *reg = ((union isa_vec){.q = {rm->q[0], 0}}))
MOVE(movq_rs, *rm = ((union isa_vec){.q = {reg->q[0], 0}}))
BY_FORM(movss_v_w, movss_r, load4);
BY_FORM(movss_w_v, movss_rs, store4);
BY_FORM(movsd_v_w, movsd_r, load8);
BY_FORM(movsd_w_v, movsd_rs, store8);
BY_FORM(movq_v_w, movq_r, load8);
BY_FORM(movq_w_v, movq_rs, store8);

#define LOADKEEP(name, lane)                                                                                                       \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        ISA_TRY(sse_on(c, fast));                                                                                                  \
        return load(c, i, fast, &c->xmm[i->reg].lane, 8, true);                                                                    \
    }                                                                                                                              \
    ISA_HANDLER(name)
LOADKEEP(loadl, q[0])
LOADKEEP(loadh, q[1])
BY_FORM(movlp_v_m, isa_h_bug, loadl);
BY_FORM(movlp_m_v, isa_h_bug, store8);
BY_FORM(movhp_v_m, isa_h_bug, loadh);
BY_FORM(movhp_m_v, isa_h_bug, storeh);

// --- general registers

MOVE(movd_v_r, (void)rm; *reg = ((union isa_vec){.q = {i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm), 0}}))
MOVE(movd_r_v, (void)rm; c->gpr[i->rm] = i->osz == 8 ? reg->q[0] : reg->d[0])
ISA_FAMILY(movd_v_e, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, movd_v_r, load4, movd_v_r, load8);
ISA_FAMILY(movd_e_v, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, movd_r_v, store4, movd_r_v, store8);

// --- MMX

#define MMX(name, statement)                                                                                                       \
    ISA_BODY(name)                                                                                                                 \
    {                                                                                                                              \
        struct isa_x87 *x = &c->x87;                                                                                               \
        ISA_TRY(mmx_on(c, fast));                                                                                                  \
        statement;                                                                                                                 \
        isa_mmx_enter(x);                                                                                                          \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name)
#define MMXLD(bytes)                                                                                                               \
    ISA_TRY(load(c, i, fast, &x->r[i->reg].sig, bytes, true));                                                                     \
    isa_mmx_write(x, i->reg, bytes == 4 ? (uint32_t)x->r[i->reg].sig : x->r[i->reg].sig)
// A store that faults leaves the x87 state as MMX has it, as on Intel processors.
#define MMXST(bytes)                                                                                                               \
    isa_mmx_enter(x);                                                                                                              \
    ISA_TRY(store(c, i, fast, &x->r[i->reg].sig, bytes, true))
MMX(mmx_r, isa_mmx_write(x, i->reg, x->r[i->rm].sig))
MMX(mmx_rs, isa_mmx_write(x, i->rm, x->r[i->reg].sig))
MMX(mmx_load4, MMXLD(4))
MMX(mmx_load8, MMXLD(8))
MMX(mmx_store4, MMXST(4))
MMX(mmx_store8, MMXST(8))
MMX(mmx_p_g, isa_mmx_write(x, i->reg, i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm)))
MMX(mmx_g_p, c->gpr[i->rm] = i->osz == 8 ? x->r[i->reg].sig : (uint32_t)x->r[i->reg].sig)
BY_FORM(movq_p_q, mmx_r, mmx_load8);
BY_FORM(movq_q_p, mmx_rs, mmx_store8);
ISA_FAMILY(movd_p_e, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, mmx_p_g, mmx_load4, mmx_p_g, mmx_load8);
ISA_FAMILY(movd_e_p, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, mmx_g_p, mmx_store4, mmx_g_p, mmx_store8);
