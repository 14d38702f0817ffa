// sim/dispatch_tail.c: the fast dispatcher: handlers call their successors in tail position, and the sentinel behind a block goes on to
// the next block without returning, as long as nobody has to look.
//
// CHAIN      a block may be entered if its bytes are where the fetch mirror says (an architectural iTLB hit, which costs nothing), the mode is
//            the same, it ends within the cycle budget and inside the CS limit, and does not cross pages. While the processor's epoch stands
//            still, all of that but the budget is as it was: blocks remember the two that followed them last, with the epoch, and indirect
//            branches share a table by RIP. All else is the engine's business.
// PROCESSORS blocks are shared, epochs are not: what one processor noted says nothing to another.
#ifndef RINGSIDE_NO_TAIL
#include "sim/engine.h"

static inline int out(struct isa_cpu *c)
{
    c->at = NULL;
    return ISA_R_STOP;
}

static inline int enter(struct isa_cpu *c, struct block *n)
{
    if (__builtin_expect(c->cycles + n->cost > sim_cpu_of(c)->chain_budget, 0))
        return out(c);
    c->gpr[ISA_REG_RIP] = c->rip;
    return n->insn[0].run(c, n->insn);
}

// Nothing that was noted fits: look the block up, and note it.
static __attribute__((noinline)) int look_up(struct isa_cpu *c, struct block *b)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    uint64_t la = engine_code_la(c);
    const struct mmu_fetch_mirror *e = &cpu->mmu.fx[mmu_fx_slot(la, c->mctx)];
    if (e->tag != ((la & ~0xfffull) | c->mctx))
        return out(c);
    struct block *n = block_find(cpu, e->page | (la & 0xfff), c->rip, c->mode_key);
    if (!n || n->cross || n->last > c->seg[ISA_CS].limit)
        return out(c);
    b->succ[1] = b->succ[0];
    b->epoch[1] = b->epoch[0];
    b->succ[0] = n;
    b->epoch[0] = c->epoch;
    cpu->next[c->rip % SIM_NEXT_SIZE] = (struct sim_next){n, c->epoch};
    return enter(c, n);
}

static inline int chain(struct isa_cpu *c, const struct isa_insn *s)
{
    struct block *b = block_of(s);
    if (__builtin_expect(c->attention, 0))
        return out(c);
    const uint64_t epoch = c->epoch, rip = c->rip;
    if (__builtin_expect(b->epoch[0] == epoch && b->succ[0]->rip == rip, 1))
        return enter(c, b->succ[0]);
    if (b->epoch[1] == epoch && b->succ[1]->rip == rip)
        return enter(c, b->succ[1]);
    const struct sim_next *t = &sim_cpu_of(c)->next[rip % SIM_NEXT_SIZE];
    if (t->epoch == epoch && t->block->rip == rip)
        return enter(c, t->block);
    return look_up(c, b);
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
