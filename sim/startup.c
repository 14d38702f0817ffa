// sim/startup.c: INIT and start-up IPIs at the processor that receives them.
//
// MODELS     INIT: the state after INIT (isa_init), or VM exit 3; it waits while the processor is in VMX root operation, or in the activity
//            state wait-for-SIPI of a guest. A start-up IPI starts a processor that waits for it at vector * 1000H in real mode, or is VM exit
//            4; one that comes at any other time is lost.
// MANUAL     "Multiple-Processor Management"; "Other Causes of VM Exits".
#include "sim/engine.h"

bool startup_init_can_come(const struct sim_cpu *cpu)
{
    const struct isa_cpu *c = &cpu->isa;
    return cpu->init && c->vmx != ISA_VMX_ROOT && !(c->vmx == ISA_VMX_NONROOT && c->activity == ISA_WAIT_SIPI);
}

bool startup_sipi_can_come(const struct sim_cpu *cpu) { return cpu->sipi && cpu->isa.activity == ISA_WAIT_SIPI; }

void startup_init(struct sim_cpu *cpu)
{
    cpu->init = true;
    engine_kick(cpu->m);
}

// One that comes while the processor does not wait for it is lost, and none will wait that takes its INIT as a VM exit.
void startup_sipi(struct sim_cpu *cpu, uint8_t vector)
{
    const bool will_wait = cpu->init && cpu->isa.vmx == ISA_VMX_OFF;
    if (!will_wait && cpu->isa.activity != ISA_WAIT_SIPI)
        return;
    cpu->sipi = 0x100 | vector;
    engine_kick(cpu->m);
}

static void tell(struct sim_cpu *cpu, enum ev_irq_what what, uint8_t vector)
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
    tell(cpu, EV_IRQ_INIT, 0);
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
    tell(cpu, EV_IRQ_SIPI, vector);
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

bool startup_take(struct sim_cpu *cpu)
{
    if (startup_init_can_come(cpu))
        take_init(cpu);
    else if (startup_sipi_can_come(cpu))
        take_sipi(cpu);
    else
        return false;
    return true;
}
