// sim/sleep.c: a processor in HLT, MWAIT, wait-for-SIPI or (a guest) shutdown, and what wakes it.
//
// PARKED     while another processor is awake one that sleeps takes no turns: its clock stands and nobody waits for it. What wakes it comes from
//            the running processor or from a device; it goes on at that moment. One whose VMX-preemption timer runs is not parked.
// ALONE      the last processor to fall asleep takes the clock to the next deadline.
// MANUAL     "HLT", "MWAIT", "Guest Non-Register State".
#include "isa/flags.h"
#include "sim/engine.h"
#include "sim/pmu.h"
#include "vmx-model/controls.h"

bool engine_interrupts_can_come(const struct sim_cpu *cpu)
{
    const struct isa_cpu *c = &cpu->isa;
    if (c->activity == ISA_SHUTDOWN || c->activity == ISA_WAIT_SIPI)
        return false;
    return (c->rflags_sys & ISA_FL_IF) || (c->vmx == ISA_VMX_NONROOT && (vmx_pin(&cpu->vmx) & 1));
}

// With virtual NMIs the guest's blocking by NMI is virtual and holds none of the processor's back.
bool engine_nmi_can_come(const struct sim_cpu *cpu)
{
    bool virtual = cpu->isa.vmx == ISA_VMX_NONROOT && (vmx_pin(&cpu->vmx) & VMX_PIN_VIRTUAL_NMIS);
    return cpu->nmi && cpu->isa.activity != ISA_WAIT_SIPI && (virtual || !(cpu->isa.blocking & ISA_BLOCK_NMI));
}

static bool wakes(const struct sim_cpu *cpu)
{
    if (startup_init_can_come(cpu) || startup_sipi_can_come(cpu))
        return true;
    return engine_nmi_can_come(cpu) || (engine_interrupts_can_come(cpu) && bus_irq_pending(cpu->m, cpu->n)) ||
           (cpu->monitor.waiting && cpu->monitor.written);
}

static void sleep_to(struct sim_cpu *cpu, uint64_t cycle)
{
    pmu_slept(cpu, cycle - cpu->isa.cycles);
    cpu->isa.cycles = cycle;
}

void sleep_wake(struct sim_cpu *cpu)
{
    const struct sim_machine *m = cpu->m;
    for (unsigned n = 0; n < m->ncpus; n++) {
        struct sim_cpu *other = m->cpu[n];
        if (!other->parked || !wakes(other))
            continue;
        other->parked = false;
        other->isa.attention = 1;
        if (other->isa.cycles < cpu->isa.cycles)
            sleep_to(other, cpu->isa.cycles);
    }
}

// Do any interrupts find a processor that takes them?
static bool can_wake(const struct sim_machine *m)
{
    for (unsigned n = 0; n < m->ncpus; n++)
        if (engine_interrupts_can_come(m->cpu[n]))
            return true;
    return false;
}

void engine_tell_halt(struct sim_cpu *cpu, bool awake)
{
    cpu->eng->halted = !awake;
    if (!ev_wanted(cpu->m, EV_HALT))
        return;
    struct ev e = {.kind = EV_HALT};
    e.u.halt.awake = awake;
    ev_emit(cpu, &e);
}

// A processor sleeps. If another one is awake it takes no more turns; else time goes on to `next`, to the limit, or to the end of its turn.
static enum engine_next sleep_until(struct sim_cpu *cpu, uint64_t next)
{
    struct isa_cpu *c = &cpu->isa;
    uint64_t end = turn_end(cpu), timer = vmx_deadline(c, &cpu->vmx);
    if (end != UINT64_MAX && timer == UINT64_MAX) {
        cpu->parked = true;
        return ENGINE_TURN;
    }
    if (timer < next)
        next = timer;
    if (end < next)
        next = end;
    if (cpu->eng->until_cycles < next)
        next = cpu->eng->until_cycles;
    if (cpu->eng->limit_cycles < next)
        next = cpu->eng->limit_cycles;
    if (next > c->cycles)
        sleep_to(cpu, next);
    if (next == end)
        cpu->eng->idle = 0; // others work meanwhile: this is no lack of progress
    return ENGINE_GO;
}

// Why nothing will ever wake a processor that is halted, alone or with all others; NULL if something may.
static const char *sleeps_for_ever(const struct sim_cpu *cpu)
{
    const struct isa_cpu *c = &cpu->isa;
    const bool timer = vmx_deadline(c, &cpu->vmx) != UINT64_MAX;
    const bool deadline = timer || bus_next_deadline(cpu->m) != UINT64_MAX || cpu->eng->until_cycles != UINT64_MAX;
    if (turn_end(cpu) != UINT64_MAX)
        return NULL; // others are awake
    if (cpu->m->ncpus > 1)
        return !timer && !can_wake(cpu->m) ? "halted, as are all others, and no interrupt can wake any of them"
               : !deadline                 ? "halted, as are all others, and no device will raise an interrupt"
                                           : NULL;
    if (c->activity == ISA_WAIT_SIPI)
        return "waits for a start-up interrupt, and there is no other processor";
    if (!timer && c->activity == ISA_SHUTDOWN)
        return "is a guest in the shutdown state, which no external interrupt leaves";
    if (!timer && !engine_interrupts_can_come(cpu))
        return "halted with interrupts off (IF = 0), so nothing can wake it";
    return deadline ? NULL : "halted to wait for an interrupt, but no device will raise one";
}

// HLT, wait-for-SIPI, shutdown: skip to the next moment at which something can happen.
static enum engine_next halt(struct sim_cpu *cpu, struct sim_stop *stop)
{
    struct isa_cpu *c = &cpu->isa;
    char at[160];
    if (!cpu->eng->halted) {
        engine_tell_halt(cpu, false);
        return ENGINE_GO; // somebody may want to stop here
    }
    const char *why = sleeps_for_ever(cpu);
    if (!why)
        return sleep_until(cpu, bus_next_deadline(cpu->m));
    engine_stop(cpu, stop, SIM_STOP_HALT, 0, "the processor %s; %s", why, engine_place(cpu, c->rip, at, sizeof at));
    return ENGINE_STOP;
}

// MWAIT, with several processors: wait for a store to the line or an event. If all others sleep, the next deadline ends it too, as it may.
static enum engine_next mwait(struct sim_cpu *cpu)
{
    const uint64_t deadline = bus_next_deadline(cpu->m);
    const bool alone = turn_end(cpu) == UINT64_MAX;
    if (!cpu->monitor.written && !alone)
        return sleep_until(cpu, deadline);
    if (!cpu->monitor.written && deadline != UINT64_MAX) {
        sleep_until(cpu, deadline);
        if (cpu->isa.cycles < deadline)
            return ENGINE_GO; // the run ends before
    }
    cpu->monitor.waiting = false;
    return ENGINE_GO;
}

enum engine_next engine_asleep(struct sim_cpu *cpu, struct sim_stop *stop)
{
    return cpu->isa.activity != ISA_ACTIVE ? halt(cpu, stop) : mwait(cpu);
}
