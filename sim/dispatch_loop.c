// sim/dispatch_loop.c: the plain dispatcher: handlers return to a loop. Used for single steps, for observers, under sanitizers, in
// builds without sibling-call optimisation, and on request (sim_config.loop).
#include "sim/engine.h"

int block_end_loop(struct isa_cpu *c, const struct isa_insn *s)
{
    engine_settle(c, s);
    c->at = NULL;
    return ISA_R_STOP;
}

int block_rep_loop(struct isa_cpu *c, const struct isa_insn *s)
{
    engine_settle_rep(c, s);
    return block_end_loop(c, s);
}

int block_fall_loop(struct isa_cpu *c, const struct isa_insn *s)
{
    c->rip = engine_wrap(c, c->gpr[ISA_REG_RIP] + s->off);
    return block_end_loop(c, s);
}

int engine_dispatch_loop(struct isa_cpu *c, struct block *b)
{
    const struct isa_insn *i = b->insn;
    int r;
    while ((r = i->run(c, i)) == ISA_R_NEXT)
        c->at = ++i;
    if (r == ISA_R_STOP && c->at) { // an ISA_F_END instruction: its sentinel follows
        c->at = i + 1;
        r = i[1].run(c, i + 1);
    }
    return r;
}
