// sim/boundary.c: what happens between two instructions, in the order of the manual ("Priority Among Concurrent Events"):
// device time, stop conditions, turns, then from exits for the virtual APIC down to instruction breakpoints, HLT.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "isa/debug.h"
#include "isa/deliver.h"
#include "isa/flags.h"
#include "sim/engine.h"
#include "sim/pmu.h"
#include "vmx-model/controls.h"

#define BLOCK_ONE  (ISA_BLOCK_STI | ISA_BLOCK_MOVSS) // what lasts for one instruction
#define FAR_INSNS  1000u                             // so many more instructions are worth another bound in cycles
#define IDLE_LIMIT 2000000u                          // events and waits without one instruction retired

void engine_stop(struct sim_cpu *cpu, struct sim_stop *stop, enum sim_stop_kind kind, uint64_t code, const char *fmt, ...)
{
    *stop = (struct sim_stop){.kind = kind, .cpu = cpu->n, .code = code};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(stop->text, sizeof stop->text, fmt, ap);
    va_end(ap);
}

const char *engine_place(struct sim_cpu *cpu, uint64_t rip, char *buf, size_t size)
{
    char sym[96];
    sim_symbol(cpu->m, rip, sym, sizeof sym);
    snprintf(buf, size, "at 0x%" PRIx64 "%s%s%s, cycle %" PRIu64, rip, *sym ? " (" : "", sym, *sym ? ")" : "", cpu->isa.cycles);
    return buf;
}

static void stop_limit(struct sim_cpu *cpu, struct sim_stop *stop, const char *what, uint64_t n)
{
    const struct isa_cpu *c = &cpu->isa;
    uint8_t b[2] = {0, 0};
    char at[160];
    sim_peek(cpu->m, cpu->n, SIM_LINEAR, engine_code_la(c), b, 2);
    const char *hint = b[0] == 0xeb && b[1] == 0xfe && !engine_interrupts_can_come(cpu)
                           ? "; the guest jumps to itself with interrupts off, so nothing can end it"
                           : "; raise the limit if the guest needs longer";
    engine_stop(cpu, stop, SIM_STOP_LIMIT, n, "limit of %" PRIu64 " %s reached %s%s", n, what,
                engine_place(cpu, c->rip, at, sizeof at), hint);
}

// A guest that needs more memory than there is stores into nothing, reads ones, and fails much later.
static const char *beyond_text(const struct sim_machine *m, char *buf, size_t size)
{
    const unsigned long long mib = m->ram.size >> 20;
    *buf = 0;
    if (m->beyond.pa)
        snprintf(buf, size,
                 " Before, at 0x%" PRIx64 ", it accessed address 0x%" PRIx64
                 ", where no memory is: the machine has %llu MiB; --ram %lluM gives it more.",
                 m->beyond.rip, m->beyond.pa, mib,
                 (unsigned long long)(m->beyond.pa >> 20) + 1 > 2 * mib ? (unsigned long long)(m->beyond.pa >> 20) + 1 : 2 * mib);
    return buf;
}

static void stop_shutdown(struct sim_cpu *cpu, struct sim_stop *stop)
{
    const struct engine_cpu *e = cpu->eng;
    const struct isa_cpu *c = &cpu->isa;
    bool raised = e->has_last && e->last_insns == c->insns;
    char at[160], text[600], beyond[200];
    engine_place(cpu, raised ? e->last_rip : c->rip, at, sizeof at);
    if (c->chain_n < 2) {
        engine_stop(cpu, stop, SIM_STOP_SHUTDOWN, 0, "shutdown %s%s", at, beyond_text(cpu->m, beyond, sizeof beyond));
        return;
    }
    chain_text(c, at, text, sizeof text);
    engine_stop(cpu, stop, SIM_STOP_SHUTDOWN, c->chain[0].vector, "triple fault: %s%s", text,
                beyond_text(cpu->m, beyond, sizeof beyond));
}

// Stop conditions, in the order in which they are reported when several hold.
static bool stops(struct sim_cpu *cpu, struct sim_stop *stop)
{
    struct sim_machine *m = cpu->m;
    const struct isa_cpu *c = &cpu->isa;
    const struct engine_cpu *e = cpu->eng;
    const struct sim_until *u = e->until;
    if (m->has_pending_stop) {
        *stop = m->pending_stop;
        stop->cpu = cpu->n;
        m->has_pending_stop = false;
        return true;
    }
    if (c->activity == ISA_SHUTDOWN && c->vmx != ISA_VMX_NONROOT)
        stop_shutdown(cpu, stop);
    else if (m->stop_requested)
        engine_stop(cpu, stop, SIM_STOP_REQUEST, 0, "stopped on request");
    else if (m->events_seen & u->events)
        engine_stop(cpu, stop, SIM_STOP_UNTIL, SIM_UNTIL_EVENT, "event %s",
                    ev_info[__builtin_ctzll(m->events_seen & u->events)].name);
    else if (c->insns >= e->until_insns)
        engine_stop(cpu, stop, SIM_STOP_UNTIL, SIM_UNTIL_INSNS, "%" PRIu64 " instructions executed", u->insns);
    else if (c->cycles >= e->until_cycles)
        engine_stop(cpu, stop, SIM_STOP_UNTIL, SIM_UNTIL_CYCLES, "cycle %" PRIu64 " reached", c->cycles);
    else if (engine_has_stops(u) && !e->first && c->activity == ISA_ACTIVE && engine_stop_at(u, engine_code_la(c)))
        engine_stop(cpu, stop, SIM_STOP_UNTIL, SIM_UNTIL_RIP, "reached 0x%" PRIx64, engine_code_la(c));
    else if (c->insns >= e->limit_insns)
        stop_limit(cpu, stop, "instructions", u->max_insns);
    else if (c->cycles >= e->limit_cycles)
        stop_limit(cpu, stop, "cycles", u->max_cycles);
    else
        return false;
    return true;
}

// Events without progress: an exception whose handler cannot be fetched, a timer that cannot wake.
void engine_count_event(struct sim_cpu *cpu)
{
    struct engine_cpu *e = cpu->eng;
    if (cpu->isa.insns != e->idle_insns) {
        e->idle_insns = cpu->isa.insns;
        e->idle = 0;
    }
    e->idle++;
}

static bool stuck(struct sim_cpu *cpu, struct sim_stop *stop)
{
    struct engine_cpu *e = cpu->eng;
    char at[160];
    if (e->idle < IDLE_LIMIT || cpu->isa.insns != e->idle_insns)
        return false;
    e->idle = 0;
    const char *what = e->has_last ? isa_vector_info(e->last.vector)->mnemonic : "interrupt";
    engine_stop(cpu, stop, SIM_STOP_LIMIT, IDLE_LIMIT,
                "%u events in a row without one instruction executed (last: %s) %s: the guest makes no progress", IDLE_LIMIT, what,
                engine_place(cpu, cpu->isa.rip, at, sizeof at));
    return true;
}

// Deliver an event that is not a fault of an instruction.
static void deliver(struct sim_cpu *cpu, const struct isa_event *e, bool ask)
{
    struct isa_cpu *c = &cpu->isa;
    cpu->eng->deliver_rip = c->rip;
    int r = 0;
    if (ask && c->vmx == ISA_VMX_NONROOT)
        r = c->env->intercept_event(c, e);
    if (!r) {
        vmx_event_comes(c, &cpu->vmx);
        if (c->activity != ISA_ACTIVE) {
            c->activity = ISA_ACTIVE;
            engine_tell_halt(cpu, true);
        }
        r = isa_deliver_event(c, e);
        if (!r)
            c->blocking &= ~BLOCK_ONE;
    }
    engine_outcome(cpu, r);
}

static bool debug_trap(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    if (!c->pending_dbg || (c->blocking & ISA_BLOCK_MOVSS))
        return false;
    struct isa_event e = {.type = ISA_EV_HWEXC, .vector = ISA_X_DB, .dr6 = c->pending_dbg};
    c->pending_dbg = 0;
    deliver(cpu, &e, true);
    return true;
}

static void tell_irq(struct sim_cpu *cpu, int vector, enum ev_irq_what what)
{
    if (!ev_wanted(cpu->m, EV_IRQ))
        return;
    struct ev e = {.kind = EV_IRQ};
    e.u.irq.vector = (uint8_t)vector;
    e.u.irq.what = what;
    ev_emit(cpu, &e);
}

static bool nmi(struct sim_cpu *cpu)
{
    const struct isa_event e = {.type = ISA_EV_NMI, .vector = ISA_X_NMI};
    if (!engine_nmi_can_come(cpu) || (cpu->isa.blocking & BLOCK_ONE))
        return false;
    cpu->nmi = false;
    deliver(cpu, &e, true);
    return true;
}

static bool virtual_interrupt(struct sim_cpu *cpu)
{
    const int vector = cpu->isa.vmx == ISA_VMX_NONROOT ? vmx_take_virtual_interrupt(&cpu->isa, &cpu->vmx) : -1;
    if (vector < 0)
        return false;
    tell_irq(cpu, vector, EV_IRQ_VIRTUAL);
    const struct isa_event e = {.type = ISA_EV_EXTINT, .vector = (uint8_t)vector};
    deliver(cpu, &e, false);
    return true;
}

// An interrupt that was acknowledged (or vector < 0: was not) for the host of the running guest.
static bool host_interrupt(struct sim_cpu *cpu, int vector)
{
    if (vector >= 0 && vmx_post_interrupts(&cpu->isa, &cpu->vmx, vector)) {
        bus_irq_eoi(cpu->m, cpu->n);
        tell_irq(cpu, vector, EV_IRQ_POSTED);
        return true;
    }
    if (!glue_intercept_irq(cpu, false, vector))
        return false;
    if (cpu->eng->halted)
        engine_tell_halt(cpu, true);
    engine_outcome(cpu, ISA_R_VMEXIT);
    return true;
}

static bool interrupt(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    if ((c->blocking & BLOCK_ONE) || !engine_interrupts_can_come(cpu) || !bus_irq_pending(cpu->m, cpu->n))
        return false;
    int vector = -1;
    if (c->vmx == ISA_VMX_NONROOT && (vmx_pin(&cpu->vmx) & 1)) {
        if (vmx_ack_on_exit(&cpu->vmx) && (vector = bus_irq_ack(cpu->m, cpu->n)) >= 0)
            tell_irq(cpu, vector, EV_IRQ_ACCEPTED);
        return host_interrupt(cpu, vector);
    }
    vector = bus_irq_ack(cpu->m, cpu->n);
    if (vector < 0)
        return false;
    tell_irq(cpu, vector, EV_IRQ_ACCEPTED);
    struct isa_event e = {.type = ISA_EV_EXTINT, .vector = (uint8_t)vector};
    deliver(cpu, &e, false);
    return true;
}

// Instruction breakpoints of DR7: a fault before the instruction, unless RF is set.
static bool insn_breakpoint(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    uint64_t hit = 0, la = engine_code_la(c);
    if (!(c->dr[7] & 0xff) || (c->rflags_sys & ISA_FL_RF) || (c->blocking & ISA_BLOCK_MOVSS)) // MOV SS suppresses it like RF
        return false;
    for (unsigned n = 0; n < ISA_NBP; n++)
        if (isa_bp_on(c, n, ISA_BP_EXEC) && c->dr[n] == la)
            hit |= 1u << n;
    if (!hit)
        return false;
    engine_outcome(cpu, isa_raise_db(c, hit, ISA_RULE_NONE));
    return true;
}

// Is there something that RFLAGS.IF holds back?
static bool irq_waits(struct sim_cpu *cpu)
{
    return cpu->nmi || (!(cpu->isa.rflags_sys & ISA_FL_IF) && (cpu->vmx.virq || bus_irq_pending(cpu->m, cpu->n)));
}

// Performance counters that interrupt. A bound in instructions that is far away holds blocks up from as many cycles on, so there it is drawn anew.
static void bound_by_counters(struct sim_cpu *cpu)
{
    struct engine_cpu *e = cpu->eng;
    const uint64_t left = cpu->pmu.at_insn - cpu->isa.insns;
    if (cpu->pmu.at_cycle < e->horizon)
        e->horizon = cpu->pmu.at_cycle;
    if (cpu->pmu.at_insn >= e->insn_budget)
        return;
    e->insn_budget = cpu->pmu.at_insn;
    if (left > FAR_INSNS && cpu->isa.cycles + left < e->horizon)
        e->horizon = cpu->isa.cycles + left;
}

static void choose_budget(struct sim_cpu *cpu)
{
    const uint64_t end = turn_end(cpu);
    struct isa_cpu *c = &cpu->isa;
    struct engine_cpu *e = cpu->eng;
    e->precise = (c->rflags_sys & (ISA_FL_TF | ISA_FL_RF)) || (c->blocking & BLOCK_ONE) || c->pending_dbg ||
                 isa_bp_any(c, ISA_BP_EXEC) || c->pmu.branches || (c->vmx == ISA_VMX_NONROOT && vmx_window_armed(c, &cpu->vmx));
    if (e->precise)
        c->attention = 1;
    c->rf_lazy = !e->precise && !engine_observed(cpu->m) && c->vmx != ISA_VMX_NONROOT;
    mmu_watch(cpu);
    c->irq_waits = irq_waits(cpu);
    e->horizon = bus_next_deadline(cpu->m);
    if (vmx_deadline(c, &cpu->vmx) < e->horizon)
        e->horizon = vmx_deadline(c, &cpu->vmx);
    if (end < e->horizon)
        e->horizon = end;
    if (e->until_cycles < e->horizon)
        e->horizon = e->until_cycles;
    if (e->limit_cycles < e->horizon)
        e->horizon = e->limit_cycles;
    e->insn_budget = e->until_insns < e->limit_insns ? e->until_insns : e->limit_insns;
    if (c->pmu.armed)
        bound_by_counters(cpu);
    e->budget = e->horizon ? e->horizon - 1 : 0; // no boundary inside a block may reach the horizon
    c->budget = e->budget;
    // An instruction costs at least a cycle, so a bound in cycles bounds instructions too.
    const uint64_t left = e->insn_budget - c->insns, most = c->cycles + left < left ? UINT64_MAX : c->cycles + left;
    cpu->chain_budget = engine_has_stops(e->until) || engine_observed(cpu->m) ? 0 : most < e->budget ? most : e->budget;
}

// A VM exit at the boundary that one of vmx-model/event.c's functions finds.
static bool boundary_exit(struct sim_cpu *cpu, bool (*due)(struct isa_cpu *c, struct vmx_cpu *v))
{
    if (cpu->isa.vmx != ISA_VMX_NONROOT || !due(&cpu->isa, &cpu->vmx))
        return false;
    if (cpu->eng->halted)
        engine_tell_halt(cpu, true);
    engine_outcome(cpu, ISA_R_VMEXIT);
    return true;
}

// With several processors: is it the turn of another one?
static bool turn_over(struct sim_cpu *cpu)
{
    if (cpu->m->ncpus == 1)
        return false;
    sleep_wake(cpu);
    return cpu->isa.cycles >= turn_end(cpu);
}

// What comes at this boundary, by its priority. false: nothing does.
static bool event(struct sim_cpu *cpu)
{
    return boundary_exit(cpu, vmx_trap_exit) || startup_take(cpu) || boundary_exit(cpu, vmx_mtf_exit) || debug_trap(cpu) ||
           boundary_exit(cpu, vmx_nmi_window_exit) || nmi(cpu) || boundary_exit(cpu, vmx_int_window_exit) ||
           virtual_interrupt(cpu) || interrupt(cpu);
}

enum engine_next engine_boundary(struct sim_cpu *cpu, struct sim_stop *stop)
{
    struct isa_cpu *c = &cpu->isa;
    for (;;) {
        c->attention = 0;
        isa_settle_rf(c, 0);
        engine_take_hits(c);
        if (c->cycles >= bus_next_deadline(cpu->m))
            bus_run_deadlines(cpu->m, c->cycles);
        if (c->pmu.armed && pmu_due(cpu))
            isa_pmu_sync(c);
        if (stops(cpu, stop) || stuck(cpu, stop))
            return ENGINE_STOP;
        if (turn_over(cpu))
            return ENGINE_TURN;
        if (!event(cpu)) {
            if (c->activity == ISA_ACTIVE && !cpu->monitor.waiting) {
                vmx_insn_comes(c, &cpu->vmx);
                if (!insn_breakpoint(cpu))
                    break;
            } else {
                enum engine_next next = engine_asleep(cpu, stop);
                if (next != ENGINE_GO)
                    return next;
            }
        }
        engine_count_event(cpu);
    }
    choose_budget(cpu);
    return ENGINE_GO;
}
