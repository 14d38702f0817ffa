// sim/dispatch_tail.c: the fast dispatcher: handlers call their successors in tail position, and the sentinel behind a block goes on to
// the next block without returning, as long as nobody has to look.
//
// CHAIN      the next block is one of two that followed lately, or found by hash. It may be entered if its bytes are where the fetch
//            mirror says (an architectural iTLB hit, which costs nothing), the mode is the same, it ends within the cycle and
//            instruction budgets and inside the CS limit, and does not cross pages. All else is the engine's business.
#ifndef RINGSIDE_NO_TAIL
#include "sim/engine.h"

static inline bool fits(const struct isa_cpu *c, const struct block *b, uint64_t pa)
{
    return b && b->pa == pa && b->rip == c->rip && b->key == c->mode_key;
}

static inline int out(struct isa_cpu *c)
{
    c->at = NULL;
    return ISA_R_STOP;
}

static inline int chain(struct isa_cpu *c, const struct isa_insn *s)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    struct block *b = block_of(s);
    if (__builtin_expect(c->attention, 0))
        return out(c);
    uint64_t la = engine_code_la(c);
    const struct mmu_fetch_mirror *e = &cpu->mmu.fx[mmu_fx_slot(la)];
    if (__builtin_expect(e->tag != ((la & ~0xfffull) | c->mctx), 0))
        return out(c);
    uint64_t pa = e->page | (la & 0xfff);
    struct block *n = b->succ[0];
    if (__builtin_expect(!fits(c, n, pa), 0)) {
        n = b->succ[1];
        if (!fits(c, n, pa)) {
            n = block_find(cpu, pa, c->rip, c->mode_key);
            if (!n || n->cross)
                return out(c);
            b->succ[1] = b->succ[0];
            b->succ[0] = n;
        }
    }
    if (__builtin_expect(c->cycles + n->cost > c->budget || c->insns + n->n > cpu->insn_budget || n->last > c->seg[ISA_CS].limit,
                         0))
        return out(c);
    c->gpr[ISA_REG_RIP] = c->rip;
    return n->insn[0].run(c, n->insn);
}

int block_end_tail(struct isa_cpu *c, const struct isa_insn *s)
{
    engine_settle(c, s);
    return chain(c, s);
}

int block_rep_tail(struct isa_cpu *c, const struct isa_insn *s)
{
    engine_settle_rep(c, s);
    return block_end_tail(c, s);
}

int block_fall_tail(struct isa_cpu *c, const struct isa_insn *s)
{
    engine_settle(c, s);
    c->rip = engine_wrap(c, c->gpr[ISA_REG_RIP] + s->off);
    return chain(c, s);
}
#endif
