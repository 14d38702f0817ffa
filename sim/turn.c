// sim/turn.c: several processors take turns; what wakes one that sleeps; INIT and start-up IPIs.
//
// TURNS      the processor that is furthest behind (of equals the one with the lowest number) runs until it is `quantum` cycles ahead of
//            the next. A turn ends at an instruction boundary that follows from the clocks alone: never from the dispatcher, an
//            observer or where a run was cut in two.
// SLEEP      a processor in HLT, MWAIT or wait-for-SIPI is parked: its clock stands and nobody waits for it. What wakes it comes from
//            the running processor or from a device; it goes on at that moment. The last processor to fall asleep is not parked: it
//            takes the clock to the next deadline.
// MANUAL     "Multiple-Processor Management"; "Processor State After Reset"; "Other Causes of VM Exits".
#include "isa/cpu.h"
#include "isa/env.h"
#include "sim/engine.h"

// --- turns

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

// --- sleep

static bool init_can_come(const struct sim_cpu *cpu)
{
    const struct isa_cpu *c = &cpu->isa;
    return cpu->init && c->vmx != ISA_VMX_ROOT && !(c->vmx == ISA_VMX_NONROOT && c->activity == ISA_WAIT_SIPI);
}

static bool sipi_can_come(const struct sim_cpu *cpu) { return cpu->sipi && cpu->isa.activity == ISA_WAIT_SIPI; }

static bool wakes(const struct sim_cpu *cpu)
{
    if (init_can_come(cpu) || sipi_can_come(cpu))
        return true;
    if (cpu->isa.activity == ISA_WAIT_SIPI)
        return false;
    return engine_nmi_can_come(cpu) || (engine_interrupts_can_come(cpu) && bus_irq_pending(cpu->m, cpu->n)) ||
           (cpu->monitor.waiting && cpu->monitor.written);
}

void turn_wake(struct sim_cpu *cpu)
{
    const struct sim_machine *m = cpu->m;
    for (unsigned n = 0; n < m->ncpus; n++) {
        struct sim_cpu *other = m->cpu[n];
        if (!other->parked || !wakes(other))
            continue;
        other->parked = false;
        other->isa.attention = 1;
        if (other->isa.cycles < cpu->isa.cycles)
            other->isa.cycles = cpu->isa.cycles;
    }
}

bool turn_can_wake(const struct sim_machine *m)
{
    for (unsigned n = 0; n < m->ncpus; n++)
        if (m->cpu[n]->isa.activity != ISA_WAIT_SIPI && engine_interrupts_can_come(m->cpu[n]))
            return true;
    return false;
}

// --- INIT and start-up IPIs

void turn_init(struct sim_cpu *cpu)
{
    cpu->init = true;
    engine_kick(cpu->m);
}

// One that comes while the processor does not wait for it is lost.
void turn_sipi(struct sim_cpu *cpu, uint8_t vector)
{
    if (!cpu->init && cpu->isa.activity != ISA_WAIT_SIPI)
        return;
    cpu->sipi = 0x100 | vector;
    engine_kick(cpu->m);
}

static void tell(struct sim_cpu *cpu, unsigned what, uint8_t vector)
{
    if (!ev_wanted(cpu->m, EV_IRQ))
        return;
    struct ev e = {.kind = EV_IRQ};
    e.u.irq.vector = vector;
    e.u.irq.what = (uint8_t)what;
    ev_emit(cpu, &e);
}

static void take_init(struct sim_cpu *cpu)
{
    cpu->init = false;
    tell(cpu, 3, 0);
    if (cpu->eng->halted)
        engine_tell_halt(cpu, true);
    if (cpu->isa.vmx == ISA_VMX_NONROOT) {
        glue_intercept_init(cpu);
        engine_outcome(cpu, ISA_R_VMEXIT);
        return;
    }
    isa_init(&cpu->isa);
    cpu->nmi = cpu->monitor.armed = cpu->monitor.waiting = false;
    bus_cpu_init(cpu->m, cpu->n);
    mmu_reset(cpu);
}

static void take_sipi(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    uint8_t vector = (uint8_t)cpu->sipi;
    cpu->sipi = 0;
    tell(cpu, 4, vector);
    if (cpu->eng->halted)
        engine_tell_halt(cpu, true);
    if (c->vmx == ISA_VMX_NONROOT) {
        glue_intercept_sipi(cpu, vector);
        engine_outcome(cpu, ISA_R_VMEXIT);
        return;
    }
    c->activity = ISA_ACTIVE;
    c->seg[ISA_CS].sel = (uint16_t)(vector << 8);
    c->seg[ISA_CS].base = (uint64_t)vector << 12;
    c->rip = 0;
    isa_update_mode(c);
}

bool turn_startup(struct sim_cpu *cpu)
{
    if (init_can_come(cpu))
        take_init(cpu);
    else if (sipi_can_come(cpu))
        take_sipi(cpu);
    else
        return false;
    return true;
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
