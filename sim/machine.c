// sim/machine.c: the life of a machine.
#include "sim/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "isa/msr.h"
#include "sim/engine.h"
#include "sim/ledger.h"
#include "sim/pmu.h"
#include "sim/symbols.h"

#define RAM_DEFAULT (64ull << 20)
#define RAM_LEAST   (1ull << 20)
#define RAM_MOST    (64ull << 30)

static int check_config(struct sim_config *cfg, struct sim_profile *profile, struct sim_error *err)
{
    if (!cfg->ram_bytes)
        cfg->ram_bytes = RAM_DEFAULT;
    if (!cfg->cpus)
        cfg->cpus = 1;
    if (!cfg->profile)
        cfg->profile = "teach";
    if (cfg->ram_bytes < RAM_LEAST || cfg->ram_bytes > RAM_MOST || cfg->ram_bytes % 4096)
        return sim_fail(err, SIM_USAGE,
                        "machine: RAM of %llu bytes: give 1 MiB to 64 GiB in whole pages of 4096 bytes (64M is 64 MiB)",
                        (unsigned long long)cfg->ram_bytes);
    if (cfg->cpus > SIM_MAX_CPUS)
        return sim_fail(err, SIM_USAGE, "machine: %u processors: give 1 to %u", cfg->cpus, SIM_MAX_CPUS);
    if (!cfg->quantum)
        cfg->quantum = SIM_QUANTUM;
    if (sim_profile_load(profile, cfg->profile, err) < 0)
        return -1;
    for (unsigned k = 0; k < cfg->nset; k++)
        if (sim_profile_set(profile, cfg->set[k], err) < 0)
            return -1;
    sim_profile_settle(profile);
    return sim_profile_check(profile, err) < 0 ? -1 : detailed_check(profile, err);
}

static int create_cpus(struct sim_machine *m, struct sim_error *err)
{
    for (unsigned n = 0; n < m->cfg.cpus; n++) {
        struct sim_cpu *cpu = calloc(1, sizeof *cpu);
        struct engine_cpu *eng = calloc(1, sizeof *eng);
        struct tlb *tlb = tlb_create(m->profile, m->cfg.tlb, m->cfg.tlb_seed + n);
        if (!cpu || !eng || !tlb) {
            free(cpu);
            free(eng);
            if (tlb)
                tlb_destroy(tlb);
            return sim_fail(err, SIM_INTERNAL, "machine: out of memory for a processor");
        }
        cpu->m = m;
        cpu->n = n;
        cpu->eng = eng;
        cpu->tlb = tlb;
        cpu->isa.env = &sim_env;
        cpu->isa.generation = n;
        m->cpu[m->ncpus++] = cpu;
    }
    return 0;
}

struct sim_machine *sim_create(const struct sim_config *cfg, struct sim_error *err)
{
    struct sim_config c = cfg ? *cfg : (struct sim_config){0};
    struct sim_profile profile;
    if (check_config(&c, &profile, err) < 0)
        return NULL;
    struct sim_machine *m = calloc(1, sizeof *m);
    if (!m) {
        sim_fail(err, SIM_INTERNAL, "machine: out of memory");
        return NULL;
    }
    m->cfg = c;
    m->own_profile = profile;
    m->profile = &m->own_profile;
    m->cfg.profile = profile.name;
    m->cfg.set = NULL; // the caller's
    m->cfg.nset = 0;
#ifdef RINGSIDE_NO_TAIL
    m->cfg.loop = true; // this build has no other dispatcher
#endif
    m->fidelity = c.fidelity;
    if (ram_create(&m->ram, c.ram_bytes, err) < 0 || create_cpus(m, err) < 0 || block_cache_create(m, err) < 0 ||
        bus_create(m, err) < 0) {
        sim_destroy(m);
        return NULL;
    }
    sim_set_fidelity(m, c.fidelity);
    sim_reset(m);
    return m;
}

void sim_destroy(struct sim_machine *m)
{
    if (!m)
        return;
    bus_destroy(m);
    detailed_destroy(m);
    block_cache_destroy(m);
    for (unsigned n = 0; n < m->ncpus; n++) {
        mmu_destroy(m->cpu[n]);
        tlb_destroy(m->cpu[n]->tlb);
        free(m->cpu[n]->eng);
        free(m->cpu[n]);
    }
    ram_destroy(&m->ram);
    symbols_destroy(m->symbols);
    free(m->ledger);
    free(m->subs);
    free(m->output);
    free(m);
}

void sim_reset(struct sim_machine *m)
{
    static const struct sim_until none;
    if (m->ledger)
        ledger_restart(m->ledger);
    m->rng = m->cfg.seed;
    m->has_pending_stop = m->stop_requested = false;
    m->running = 0;
    m->seen = 0;
    for (unsigned n = 0; n < m->ncpus; n++) {
        struct sim_cpu *cpu = m->cpu[n];
        *cpu->eng = (struct engine_cpu){.until = &none};
        for (unsigned s = 0; s < SIM_NSTAT; s++)
            cpu->stat[s] = 0;
        cpu->nmi = cpu->init = cpu->monitor.armed = cpu->monitor.waiting = false;
        cpu->sipi = 0;
        cpu->parked = n > 0;
        vmx_init(&cpu->vmx, &m->profile->vmx, m->profile->maxphyaddr);
        pmu_reset(cpu);
        isa_reset(&cpu->isa);
        if (n > 0) {
            cpu->isa.apic_base &= ~(uint64_t)ISA_APIC_BASE_BSP;
            cpu->isa.activity = ISA_WAIT_SIPI;
        }
        mmu_reset(cpu);
    }
    detailed_reset(m);
    bus_reset(m);
}

void sim_unmodelled(struct sim_machine *m, const char *fmt, ...)
{
    if (m->has_pending_stop)
        return;
    m->pending_stop = (struct sim_stop){.kind = SIM_STOP_UNMODELLED};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m->pending_stop.text, sizeof m->pending_stop.text, fmt, ap);
    va_end(ap);
    m->has_pending_stop = true;
    engine_kick(m);
}

unsigned sim_ncpus(const struct sim_machine *m) { return m->ncpus; }
struct isa_cpu *sim_cpu(struct sim_machine *m, unsigned n) { return n < m->ncpus ? &m->cpu[n]->isa : NULL; }
uint64_t sim_ram_size(const struct sim_machine *m) { return m->ram.size; }
const char *sim_profile_name(const struct sim_machine *m) { return m->profile->name; }
