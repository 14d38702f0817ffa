// sim/env.c: the table of functions through which instructions reach the machine (isa/env.h). Memory is sim/mmu.c, VMX sim/vmx_glue.c,
// ports sim/bus.c; here are the table itself, the clock, random numbers, and the translation of isa/'s notices into events.
#include <string.h>

#include "isa/decode.h"
#include "sim/engine.h"
#include "sim/pmu.h"

static int env_in(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t *val)
{
    *val = bus_in(sim_cpu_of(c)->m, port, size);
    return 0;
}

static int env_out(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t val)
{
    bus_out(sim_cpu_of(c)->m, port, size, val);
    return 0;
}

// Handlers ask for the present; engine_now() knows it in the middle of a block too.
static uint64_t env_tsc(struct isa_cpu *c, uint64_t cycles) { return engine_observe(c) + c->tsc_offset; }

// SplitMix64 from the configured seed: RDRAND gives the same numbers in every run.
static uint64_t env_random(struct isa_cpu *c)
{
    uint64_t z = sim_cpu_of(c)->m->rng += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void env_context(struct isa_cpu *c) { mmu_context(sim_cpu_of(c)); }

// VM entries change everything that boundaries look at.
static int env_vmx(struct isa_cpu *c, const struct isa_insn *i)
{
    if (isa_opinfo[i->op].props & ISA_F_END) // what is due at a boundary may be another now
        c->attention = 1;
    return glue_vmx(c, i);
}

static void env_charge(struct isa_cpu *c, unsigned cost_class) { engine_charge(c, sim_cpu_of(c)->m->charge[cost_class]); }

// MONITOR and MWAIT. With several processors MWAIT sleeps until one of them stores to the line or an event comes (sim/sleep.c); the
// page that holds the line is guarded meanwhile, so that no store slips by. On one processor only devices and the processor's own stores change the line: what it holds is kept and compared, and MWAIT
// waits for the next device deadline, where it returns whether or not an interrupt came. An event delivered in between disarms, for its
// handler may have stored to the line.
static void env_monitor(struct isa_cpu *c, uint64_t la)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    cpu->monitor.la = la & ~63ull;
    cpu->monitor.armed = sim_peek(cpu->m, cpu->n, SIM_LINEAR, cpu->monitor.la, cpu->monitor.line, 64) == 64;
}

static void mwait_sleep(struct sim_cpu *cpu)
{
    if (!sim_resolve(cpu->m, cpu->n, SIM_LINEAR, cpu->monitor.la, &cpu->monitor.pa))
        return;
    cpu->monitor.waiting = true;
    cpu->monitor.written = false;
    mmu_mirror_drop_writes(cpu->m, cpu->monitor.pa);
    cpu->isa.attention = 1;
}

static void env_mwait(struct isa_cpu *c)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    uint8_t line[64];
    bool armed = cpu->monitor.armed;
    uint64_t next = bus_next_deadline(cpu->m), now = engine_now(c);
    cpu->monitor.armed = false;
    if (!armed || cpu->nmi || bus_irq_pending(cpu->m, cpu->n) ||
        sim_peek(cpu->m, cpu->n, SIM_LINEAR, cpu->monitor.la, line, 64) != 64 || memcmp(line, cpu->monitor.line, 64))
        return;
    if (cpu->m->ncpus > 1)
        mwait_sleep(cpu);
    else if (next != UINT64_MAX && next > now) {
        pmu_slept(cpu, next - now);
        engine_charge(c, next - now);
    }
}

static void env_on_event(struct isa_cpu *c, const struct isa_event *e)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    cpu->monitor.armed = cpu->monitor.waiting = false;
    cpu->eng->delivered = true;
    cpu->stat[e->type == ISA_EV_EXTINT ? SIM_STAT_INTERRUPTS : SIM_STAT_EXCEPTIONS]++;
    if (!ev_wanted(cpu->m, EV_EXCEPTION))
        return;
    struct ev ev = {.kind = EV_EXCEPTION};
    ev.u.exc.e = *e;
    ev.u.exc.cs = c->seg[ISA_CS].sel;
    ev.u.exc.handler = c->rip;
    ev_emit_at(cpu, &ev, c->at ? engine_rip(c) : cpu->eng->deliver_rip);
}

static void env_on_cr(struct isa_cpu *c, unsigned cr, uint64_t old, uint64_t now)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    if (!ev_wanted(cpu->m, EV_CR))
        return;
    struct ev ev = {.kind = EV_CR};
    ev.u.cr.n = (uint8_t)cr;
    ev.u.cr.old = old;
    ev.u.cr.now = now;
    ev_emit(cpu, &ev);
}

// IA32_PKG_HDC_CTL: all processors of the package share it.
#define PKG_HDC_CTL 0xdb0u
static bool has_hdc(const struct sim_machine *m) { return isa_has(m->profile->features, ISA_FEAT_HDC); }

static bool env_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val)
{
    struct sim_machine *m = sim_cpu_of(c)->m;
    if (msr != PKG_HDC_CTL) {
        if (glue_rdmsr(c, msr, val) || bus_rdmsr(m, sim_cpu_of(c)->n, msr, val))
            return true;
        *val = 0;
        return pmu_branch_record(c, msr);
    }
    *val = m->pkg_hdc;
    return has_hdc(m);
}

static bool env_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val)
{
    struct sim_machine *m = sim_cpu_of(c)->m;
    if (msr != PKG_HDC_CTL)
        return glue_wrmsr(c, msr, val) || bus_wrmsr(m, sim_cpu_of(c)->n, msr, val) || pmu_branch_record(c, msr);
    if (!has_hdc(m) || val > 1)
        return false;
    m->pkg_hdc = val;
    return true;
}

static void env_on_msr(struct isa_cpu *c, uint32_t msr, uint64_t val, bool write)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    if (write)
        bus_msr_changed(cpu->m, cpu->n, msr);
    if (!ev_wanted(cpu->m, EV_MSR))
        return;
    struct ev ev = {.kind = EV_MSR};
    ev.u.msr.n = msr;
    ev.u.msr.val = val;
    ev.u.msr.write = write;
    ev_emit(cpu, &ev);
}

static void env_on_seg(struct isa_cpu *c, unsigned sreg, uint16_t sel)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    if (!ev_wanted(cpu->m, EV_SEG))
        return;
    struct ev ev = {.kind = EV_SEG};
    ev.u.seg.sreg = (uint8_t)sreg;
    ev.u.seg.sel = sel;
    ev_emit(cpu, &ev);
}

static void env_on_ring(struct isa_cpu *c, unsigned from, unsigned to)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    if (!ev_wanted(cpu->m, EV_RING))
        return;
    struct ev ev = {.kind = EV_RING};
    ev.u.ring.from = (uint8_t)from;
    ev.u.ring.to = (uint8_t)to;
    ev_emit(cpu, &ev);
}

// The same ports in all fidelities, but for memory.
#define PORTS                                                                                                                      \
    .in = env_in, .out = env_out, .rdmsr = env_rdmsr, .wrmsr = env_wrmsr, .cpuid = sim_cpuid, .tsc = env_tsc,                      \
    .random = env_random, .inval = mmu_inval, .context = env_context, .intercept = glue_intercept,                                 \
    .intercept_event = glue_intercept_event, .intercept_triple = glue_intercept_triple, .vmx = env_vmx, .charge = env_charge,      \
    .monitor = env_monitor, .mwait = env_mwait, .on_event = env_on_event, .on_cr = env_on_cr, .on_msr = env_on_msr,                \
    .on_seg = env_on_seg, .on_ring = env_on_ring, .pmu_now = pmu_now, .pmi = pmu_interrupt, .pmu_changed = pmu_changed,

const struct isa_env sim_env = {.read = mmu_read,
                                .write = mmu_write,
                                .probe = mmu_probe,
                                .host_run = mmu_host_run,
                                .run_mask = 0xfff,
                                .prefetch = mmu_prefetch,
                                .read_phys = mmu_read_phys,
                                .write_phys = mmu_write_phys,
                                PORTS};
const struct isa_env sim_env_detailed = {.read = detailed_read,
                                         .write = detailed_write,
                                         .probe = detailed_probe,
                                         .host_run = detailed_host_run,
                                         .host_ran = detailed_host_ran,
                                         .run_mask = 63,
                                         .prefetch = detailed_prefetch,
                                         .flush_caches = detailed_flush_caches,
                                         .read_phys = mmu_read_phys_detailed,
                                         .write_phys = mmu_write_phys_detailed,
                                         PORTS};
