// sim/pmu.h: what the counters of isa/pmu.h count in this machine, and when the engine has to look at them.
//
// SOURCES    cycles: the clock, less the time asleep (HLT, MWAIT, waiting for a start-up IPI). Core and reference cycles are the same: no profile
//            changes its frequency. In functional fidelity a cycle is an instruction. Instructions: those that the engine retires anyway; a
//            repeated string instruction is one. Branches: nobody knows their number, so while a counter counts them instructions run one by
//            one and those that retire and are branches are counted: slow, but only then. References to the last-level cache: what that
//            cache has counted of the processor's fetches, accesses and page walks, in detailed fidelity; the others have no caches.
// DEADLINE   a counter that interrupts has a cycle or an instruction from which on it may have overflowed. Both bound the engine's blocks like a
//            device's deadline, so overflow is found behind the same instruction in all dispatchers.
// COST       none while no counter is on, nor at changes of ring unless one counts in some rings only.
#ifndef SIM_PMU_H
#define SIM_PMU_H

#include "sim/internal.h"

// Behind env->pmu_now, env->pmi, env->pmu_changed.
void pmu_now(struct isa_cpu *c, uint64_t now[ISA_PMU_NSOURCE]);
void pmu_interrupt(struct isa_cpu *c);
void pmu_changed(struct isa_cpu *c);

bool pmu_knows_llc(const struct sim_machine *m); // can references to the last-level cache be counted?
void pmu_reset(struct sim_cpu *cpu);
void pmu_slept(struct sim_cpu *cpu, uint64_t cycles); // the clock went on by so much while the processor slept
void pmu_retired(struct sim_cpu *cpu, unsigned op);   // an instruction, run by itself

// Registers of last-branch records, which systems expect of a processor by its signature, and clear. Nothing is recorded, since IA32_DEBUGCTL.LBR
// cannot be set: they read 0, and writes change nothing. Is this one of them?
bool pmu_branch_record(const struct isa_cpu *c, uint32_t msr);

// Between two instructions: has an overflow been reached?
static inline bool pmu_due(const struct sim_cpu *cpu)
{
    return cpu->isa.cycles >= cpu->pmu.at_cycle || cpu->isa.insns >= cpu->pmu.at_insn;
}

#endif
