// sim/fidelity.c: how much of the micro-architecture is modelled, and switching that between runs.
//
// A switch drops what is cached: translations, lines, decoded blocks with their costs. A guest cannot tell, but for the time that passes.
#include <string.h>

#include "sim/block.h"

static const char *const names[] = {[SIM_FAST] = "fast", [SIM_FUNCTIONAL] = "functional", [SIM_DETAILED] = "detailed", NULL};

const char *const *sim_fidelity_names(void) { return names; }

int sim_fidelity_by_name(const char *name, enum sim_fidelity *f, struct sim_error *err)
{
    for (unsigned k = 0; names[k]; k++)
        if (!strcmp(names[k], name)) {
            *f = (enum sim_fidelity)k;
            return 0;
        }
    return sim_fail(
        err, SIM_USAGE,
        "fidelity '%s': there are %s (cycles counted, TLBs modelled), %s (one cycle per instruction) and %s (caches, too)", name,
        names[SIM_FAST], names[SIM_FUNCTIONAL], names[SIM_DETAILED]);
}

enum sim_fidelity sim_fidelity(const struct sim_machine *m) { return m->fidelity; }

// Without a cycle model each instruction takes a cycle, so that time passes and timers run; what else costs time costs none.
static void choose_costs(struct sim_machine *m)
{
    for (unsigned k = 0; k < ISA_COST_NUM; k++) {
        m->cost[k] = m->fidelity == SIM_FUNCTIONAL ? 1 : m->profile->cost[k];
        m->charge[k] = m->fidelity == SIM_FUNCTIONAL ? 0 : m->profile->cost[k];
    }
    if (m->fidelity == SIM_DETAILED)
        detailed_costs(m);
}

void sim_set_fidelity(struct sim_machine *m, enum sim_fidelity f)
{
    for (unsigned n = 0; n < m->ncpus; n++)
        isa_pmu_sync(&m->cpu[n]->isa);
    m->fidelity = f;
    m->no_fetch_mirror = m->no_data_mirror = m->cfg.no_mirror || m->cfg.tlb == SIM_TLB_FORGET;
    m->hidden = f == SIM_DETAILED ? MMU_HIDDEN : 0;
    detailed_select(m);
    choose_costs(m);
    ev_update_mask(m);
    block_flush(m);
    for (unsigned n = 0; n < m->ncpus; n++)
        mmu_forget(m->cpu[n]);
    for (unsigned n = 0; n < m->ncpus; n++)
        isa_pmu_restart(&m->cpu[n]->isa); // other caches
}
