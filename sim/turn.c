// sim/turn.c: several processors take turns, and share one time.
//
// TURNS      the processor that is furthest behind (of equals the one with the lowest number) runs until it is `quantum` cycles ahead of
//            the next. A turn ends at an instruction boundary that follows from the clocks alone: never from the dispatcher, an
//            observer or where a run was cut in two.
#include "sim/engine.h"

uint64_t turn_end(const struct sim_cpu *cpu)
{
    const struct sim_machine *m = cpu->m;
    uint64_t least = UINT64_MAX;
    for (unsigned n = 0; n < m->ncpus; n++)
        if (n != cpu->n && !m->cpu[n]->parked && m->cpu[n]->isa.cycles < least)
            least = m->cpu[n]->isa.cycles;
    return least == UINT64_MAX ? UINT64_MAX : least + m->cfg.quantum;
}

struct sim_cpu *turn_next(struct sim_machine *m)
{
    struct sim_cpu *next = NULL;
    for (unsigned n = 0; n < m->ncpus; n++)
        if (!m->cpu[n]->parked && (!next || m->cpu[n]->isa.cycles < next->isa.cycles))
            next = m->cpu[n];
    m->running = next->n; // there is one: the last processor to fall asleep is not parked
    return next;
}

// --- the clocks of all

uint64_t engine_observe(struct isa_cpu *c)
{
    struct sim_machine *m = sim_cpu_of(c)->m;
    uint64_t now = engine_now(c);
    if (m->ncpus == 1)
        return now;
    if (now < m->seen) {
        engine_charge(c, m->seen - now);
        now = m->seen;
    }
    return m->seen = now;
}

unsigned sim_running(const struct sim_machine *m) { return m->running; }

uint64_t sim_now(const struct sim_machine *m)
{
    uint64_t now = 0;
    for (unsigned n = 0; n < m->ncpus; n++)
        if (m->cpu[n]->isa.cycles > now)
            now = m->cpu[n]->isa.cycles;
    return now;
}

uint64_t sim_insns(const struct sim_machine *m)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < m->ncpus; n++)
        sum += m->cpu[n]->isa.insns;
    return sum;
}
