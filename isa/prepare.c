// isa/prepare.c: what a block builder does to each decoded instruction.
#include <assert.h>

#include "isa/decode.h"
#include "isa/tables.h"

// XCHG with memory locks with or without the prefix.
static bool locked(const struct isa_insn *i) { return i->lock || i->op == ISA_OP_XCHG_Eb_Gb || i->op == ISA_OP_XCHG_Ev_Gv; }

uint32_t isa_static_cost(const struct isa_insn *i, const uint32_t *cost)
{
    const struct isa_opinfo *op = &isa_opinfo[i->op];
    unsigned mem = ISA_COST_ALU;
    if (i->is_mem)
        switch (op->props & (ISA_F_RD | ISA_F_WR)) {
        case ISA_F_RD: mem = ISA_COST_LOAD; break;
        case ISA_F_WR: mem = ISA_COST_STORE; break;
        case ISA_F_RD | ISA_F_WR: mem = locked(i) ? ISA_COST_LOCKED : ISA_COST_RMW; break;
        }
    uint32_t extra = cost[mem] > cost[ISA_COST_ALU] ? cost[mem] - cost[ISA_COST_ALU] : 0;
    return cost[op->cost] + extra;
}

void isa_prepare(struct isa_insn *i, isa_handler *const *const *table, unsigned off, unsigned idx, uint32_t cost_before,
                 const uint32_t *cost)
{
    assert(i->osz == 1 || i->osz == 2 || i->osz == 4 || i->osz == 8);
    i->off = (uint16_t)off;
    i->idx = (uint16_t)idx;
    i->cost_before = cost_before;
    i->cost = isa_static_cost(i, cost);
    i->run = isa_handler_in(table, i);
    i->simple = i->asz == 8 && !i->segchk;
    if (i->is_mem && i->base == ISA_REG_RIP)
        i->disp += off + i->len;
}
