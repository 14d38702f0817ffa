// sim/vmx_glue.c: connects the processor to vmx-model/: runs VMX instructions, takes VM exits, tells observers, charges cycles, keeps
// the TLBs in step, and answers the VMX MSRs.
#include <string.h>

#include "sim/engine.h"
#include "vmx-model/explain.h"

static void charge(struct isa_cpu *c, enum isa_cost k) { engine_charge(c, sim_cpu_of(c)->m->charge[k]); }

// --- events

static void tell_vmx(struct sim_cpu *cpu, const struct isa_insn *i, const struct vmx_done *d)
{
    if (!ev_wanted(cpu->m, EV_VMX))
        return;
    struct ev e = {.kind = EV_VMX};
    e.u.vmx.op = i->op;
    e.u.vmx.outcome = (uint8_t)d->outcome;
    e.u.vmx.error = d->error;
    e.u.vmx.operand = d->operand;
    ev_emit(cpu, &e);
}

static void tell_entry(struct sim_cpu *cpu, bool launch)
{
    cpu->stat[SIM_STAT_VMENTRIES]++;
    if (!ev_wanted(cpu->m, EV_VMENTRY))
        return;
    struct ev e = {.kind = EV_VMENTRY};
    e.u.vmentry.vpid = sim_vpid(cpu->m, cpu->n);
    e.u.vmentry.eptp = sim_eptp(cpu->m, cpu->n);
    e.u.vmentry.vmcs = cpu->vmx.vmcs_ptr;
    e.u.vmentry.launch = launch;
    ev_emit_at(cpu, &e, cpu->vmx.report.rip);
}

static void tell_entry_fail(struct sim_cpu *cpu)
{
    if (!ev_wanted(cpu->m, EV_VMENTRY_FAIL))
        return;
    struct ev e = {.kind = EV_VMENTRY_FAIL};
    e.u.entry_fail.report = &cpu->vmx.report;
    ev_emit_at(cpu, &e, cpu->vmx.report.rip);
}

static void tell_exit(struct sim_cpu *cpu, uint64_t rip)
{
    const struct vmx_exit *x = &cpu->vmx.exit;
    if (!ev_wanted(cpu->m, EV_VMEXIT))
        return;
    struct ev e = {.kind = EV_VMEXIT};
    e.u.vmexit.reason = (uint16_t)x->reason;
    e.u.vmexit.qual = x->qual;
    e.u.vmexit.len = x->insn_len;
    e.u.vmexit.info = x->insn_info;
    e.u.vmexit.gla = x->gla;
    e.u.vmexit.gpa = x->gpa;
    e.u.vmexit.intr_info = x->intr_info;
    e.u.vmexit.intr_err = x->intr_err;
    ev_emit_at(cpu, &e, rip);
}

// --- VM exits

static const char *abort_text(uint32_t why)
{
    switch (why) {
    case 1: return "an entry of the VM-exit MSR-store area could not be stored";
    case 2: return "the host's PDPTEs are invalid";
    case 4: return "an entry of the VM-exit MSR-load area could not be loaded";
    case 6: return "the guest is in IA-32e mode and \"host address-space size\" is 0";
    default: return "unknown";
    }
}

// Exits that come from outside or were asked for in advance say nothing of what the guest does.
static bool of_the_guest(uint32_t reason)
{
    static const uint64_t outside = 1ull << 1 | 1ull << 3 | 1ull << 4 | 1ull << 7 | 1ull << 8 | 1ull << 37 | 1ull << 52;
    return reason > 63 || !(outside >> reason & 1);
}

// Is the exit that is being taken the same as the last one, with nothing done by the guest in between? So often that it is reported?
static void watch_progress(struct sim_cpu *cpu, uint64_t rip)
{
    const struct isa_cpu *c = &cpu->isa;
    const struct vmx_exit *x = &cpu->vmx.exit;
    struct engine_cpu *e = cpu->eng;
    if (!cpu->m->cfg.stuck_exits || c->insns != e->stuck.entry_insns || !of_the_guest(x->reason)) {
        e->stuck.same = 0;
        return;
    }
    bool same = e->stuck.rip == rip && e->stuck.reason == x->reason && e->stuck.qual == x->qual && e->stuck.gpa == x->gpa.v &&
                !memcmp(e->stuck.gpr, c->gpr, sizeof e->stuck.gpr);
    e->stuck.rip = rip;
    e->stuck.reason = x->reason;
    e->stuck.qual = x->qual;
    e->stuck.gpa = x->gpa.v;
    memcpy(e->stuck.gpr, c->gpr, sizeof e->stuck.gpr);
    e->stuck.same = same ? e->stuck.same + 1 : 1;
    if (e->stuck.same < cpu->m->cfg.stuck_exits)
        return;
    sim_unmodelled(cpu->m,
                   "the guest took VM exit %u (%s) at 0x%llx %u times in a row, and neither completed an instruction nor changed a "
                   "register in between: its VMM resumes it without removing the cause; --let-stuck goes on",
                   x->reason, vmx_exit_name(x->reason), (unsigned long long)rip, e->stuck.same);
    cpu->m->pending_stop.kind = SIM_STOP_STUCK;
    e->stuck.same = 0;
}

void glue_do_exit(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    struct vmx_cpu *v = &cpu->vmx;
    uint64_t rip = c->rip;
    v->exit_cycle = engine_now(c);
    c->dbg_hits = 0; // those of an event whose delivery the guest does not see
    watch_progress(cpu, rip);
    cpu->stat[SIM_STAT_VMEXITS]++;
    vmx_record_exit(c, v);
    tell_exit(cpu, rip); // the VMCS has this exit, and the guest can still be inspected
    charge(c, ISA_COST_VMEXIT);
    cpu->stat[SIM_STAT_CYCLES_NONROOT] += engine_now(c) - v->entry_cycle;
    if (!vmx_leave_guest(c, v))
        sim_unmodelled(cpu->m, "VMX abort %u at 0x%llx: %s; the processor shuts down", v->vmcs.abort, (unsigned long long)rip,
                       abort_text(v->vmcs.abort));
    mmu_vm_transition(cpu, false);
}

int glue_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val)
{
    return vmx_intercept(c, &sim_cpu_of(c)->vmx, i, point, arg, val);
}

int glue_intercept_event(struct isa_cpu *c, const struct isa_event *e) { return vmx_intercept_event(c, &sim_cpu_of(c)->vmx, e); }

int glue_intercept_triple(struct isa_cpu *c)
{
    return c->vmx == ISA_VMX_NONROOT ? vmx_intercept_triple(c, &sim_cpu_of(c)->vmx) : 0;
}

int glue_ept_violation(struct isa_cpu *c, struct gpa gpa, uint64_t la, bool la_valid, bool translating_la, unsigned acc,
                       unsigned ept_perms, uint64_t entry)
{
    return vmx_ept_violation(c, &sim_cpu_of(c)->vmx, gpa, la, la_valid, translating_la, acc, ept_perms, entry);
}

int glue_log_dirty(struct isa_cpu *c, struct gpa gpa) { return vmx_log_dirty(c, &sim_cpu_of(c)->vmx, gpa); }

int glue_ept_misconfig(struct isa_cpu *c, struct gpa gpa) { return vmx_ept_misconfig(c, &sim_cpu_of(c)->vmx, gpa); }

bool glue_intercept_irq(struct sim_cpu *cpu, bool nmi, int vector_if_acked)
{
    return vmx_intercept_irq(&cpu->isa, &cpu->vmx, nmi, vector_if_acked);
}

void glue_intercept_init(struct sim_cpu *cpu) { vmx_intercept_init(&cpu->vmx); }
void glue_intercept_sipi(struct sim_cpu *cpu, uint8_t vector) { vmx_intercept_sipi(&cpu->vmx, vector); }

// --- VMX instructions

// A VM entry was attempted and did not end in VMfail: guest state, or host state again, is loaded.
static int entered(struct sim_cpu *cpu, bool launch)
{
    struct isa_cpu *c = &cpu->isa;
    struct vmx_cpu *v = &cpu->vmx;
    charge(c, ISA_COST_VMENTRY);
    if (v->report.outcome != VMX_ENTRY_OK) {
        tell_entry_fail(cpu);
        if (c->activity == ISA_SHUTDOWN)
            sim_unmodelled(cpu->m, "VMX abort %u after a failed VM entry: %s; the processor shuts down", v->vmcs.abort,
                           abort_text(v->vmcs.abort));
        return ISA_R_STOP;
    }
    vmx_start_clock(v, engine_now(c));
    mmu_vm_transition(cpu, true);
    tell_entry(cpu, launch);
    cpu->eng->stuck.entry_insns = c->at ? c->insns + c->at->idx + 1 : c->insns;
    cpu->eng->deliver_rip = c->rip;
    if (vmx_inject(c, v) == ISA_R_VMEXIT)
        glue_do_exit(cpu); // the delivery of the injected event exits; the guest has not executed an instruction
    return ISA_R_STOP;
}

int glue_vmx(struct isa_cpu *c, const struct isa_insn *i)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    struct vmx_cpu *v = &cpu->vmx;
    struct vmx_done done;
    bool launch = !v->vmcs.launched;
    int r = vmx_insn(c, v, i, &done);
    if (r == ISA_R_FAULT || r == ISA_R_VMEXIT)
        return r;
    if (r == ISA_R_STOP)
        return entered(cpu, launch);
    switch (done.action) {
    case VMX_ACT_INVEPT: mmu_invept(cpu, (unsigned)done.operand, done.a); break;
    case VMX_ACT_EPTP: mmu_eptp_switched(cpu); break;
    case VMX_ACT_INVVPID: mmu_invvpid(cpu, (unsigned)done.operand, (uint16_t)done.a, done.la); break;
    case VMX_ACT_ENTER:
        charge(c, ISA_COST_VMENTRY);
        tell_entry_fail(cpu);
        break;
    default: break;
    }
    tell_vmx(cpu, i, &done);
    return r;
}

// --- MSRs

bool glue_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val)
{
    const struct sim_cpu *cpu = sim_cpu_of(c);
    return isa_has(cpu->m->profile->features, ISA_FEAT_VMX) && vmx_caps_rdmsr(&cpu->m->profile->vmx, msr, val);
}

bool glue_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val) { return false; } // capability MSRs are read-only
