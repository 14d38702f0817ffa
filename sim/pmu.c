// sim/pmu.c: the machine's side of performance monitoring (sim/pmu.h).
#include "sim/pmu.h"

// The last-level cache, where there are caches: the third level, or the second if there is no third.
static enum cache_unit last_level(const struct sim_profile *p) { return p->l3.size ? CACHE_L3 : CACHE_L2; }

// Each reference has to take a cycle at least, or overflow could not be bound.
bool pmu_knows_llc(const struct sim_machine *m)
{
    const struct profile_cache *last = m->profile->l3.size ? &m->profile->l3 : &m->profile->l2;
    return m->caches && last->size && last->latency > m->profile->l1d.latency && last->latency > m->profile->l1i.latency;
}

void pmu_now(struct isa_cpu *c, uint64_t now[ISA_PMU_NSOURCE])
{
    const struct sim_cpu *cpu = sim_cpu_of(c);
    now[ISA_PMU_NONE] = 0;
    now[ISA_PMU_CYCLES] = engine_now(c) - cpu->pmu.halted;
    now[ISA_PMU_INSNS] = engine_insns(c);
    now[ISA_PMU_BRANCHES] = cpu->pmu.branches;
    now[ISA_PMU_LLC_REFS] = now[ISA_PMU_LLC_MISSES] = 0;
    if (!pmu_knows_llc(cpu->m))
        return;
    const struct cache_counts n = cache_counts(cpu->m->caches, cpu->n, last_level(cpu->m->profile));
    now[ISA_PMU_LLC_REFS] = n.hits + n.misses;
    now[ISA_PMU_LLC_MISSES] = n.misses;
}

void pmu_interrupt(struct isa_cpu *c) { bus_pmi(sim_cpu_of(c)->m, sim_cpu_of(c)->n); }

static uint64_t saturating(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

void pmu_changed(struct isa_cpu *c)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    const struct isa_pmu_next next = c->pmu.armed ? isa_pmu_next(c) : (struct isa_pmu_next){UINT64_MAX, UINT64_MAX};
    const uint64_t cycle = saturating(c->pmu.base[ISA_PMU_CYCLES] + cpu->pmu.halted, next.cycles);
    const uint64_t insn = saturating(c->pmu.base[ISA_PMU_INSNS], next.insns);
    if (cycle != cpu->pmu.at_cycle || insn != cpu->pmu.at_insn || c->pmu.branches)
        c->attention = 1;
    cpu->pmu.at_cycle = cycle;
    cpu->pmu.at_insn = insn;
}

void pmu_reset(struct sim_cpu *cpu)
{
    cpu->pmu.halted = cpu->pmu.branches = 0;
    cpu->pmu.at_cycle = cpu->pmu.at_insn = UINT64_MAX;
}

void pmu_slept(struct sim_cpu *cpu, uint64_t cycles)
{
    cpu->pmu.halted += cycles;
    cpu->pmu.at_cycle = saturating(cpu->pmu.at_cycle, cycles);
}

void pmu_retired(struct sim_cpu *cpu, unsigned op) { cpu->pmu.branches += isa_pmu_branch(op); }

bool pmu_branch_record(const struct isa_cpu *c, uint32_t msr)
{
    static const struct {
        uint8_t since, until; // versions of performance monitoring, which tell the generations apart
        uint16_t first, n;
    } range[] = {
        {2, 2, 0x40, 4},   // MSR_LASTBRANCH_x_FROM_IP, TO_IP and TOS of Merom
        {2, 2, 0x60, 4},   //
        {2, 2, 0x1c9, 1},  //
        {3, 4, 0x1c8, 2},  // MSR_LBR_SELECT, MSR_LASTBRANCH_TOS
        {3, 3, 0x680, 16}, // FROM_IP
        {3, 3, 0x6c0, 16}, // TO_IP
        {4, 4, 0x680, 32}, //
        {4, 4, 0x6c0, 32}, //
        {4, 4, 0xdc0, 32}, // MSR_LBR_INFO_x
    };
    const unsigned version = c->pmu.has.version;
    for (unsigned k = 0; k < sizeof range / sizeof *range; k++)
        if (version >= range[k].since && version <= range[k].until && msr - range[k].first < range[k].n)
            return true;
    return false;
}
