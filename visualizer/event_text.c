// visualizer/event_text.c: one line about an event, for the event log and the exit log.
#include <stdio.h>
#include <string.h>

#include "isa/decode.h"
#include "isa/env.h"
#include "isa/msr.h"
#include "vmx-model/caps.h"
#include "vmx-model/explain.h"
#include "visualizer/model.h"

typedef unsigned long long ull;

static void ref_text(char *buf, size_t n, const struct ev *e)
{
    char flags[64];
    bool ept = e->u.ref.dim == EV_DIM_EPT;
    vz_pte_flags(flags, sizeof flags, e->u.ref.entry, ept, 0, ept ? e->u.ref.elevel : e->u.ref.glevel, false);
    if (ept)
        snprintf(buf, n, "%u. EPT %s for %s%s, gPA %llx: at %llx = %llx %s", e->u.ref.number, vz_level_name(e->u.ref.elevel),
                 e->u.ref.glevel ? "guest " : "the ", e->u.ref.glevel ? vz_level_name(e->u.ref.glevel) : "final address",
                 (ull)e->u.ref.gpa.v, (ull)e->u.ref.at.v, (ull)e->u.ref.entry, flags);
    else
        snprintf(buf, n, "%u. %s for %llx: at %llx = %llx %s", e->u.ref.number, vz_level_name(e->u.ref.glevel), (ull)e->u.ref.la,
                 (ull)e->u.ref.at.v, (ull)e->u.ref.entry, flags);
    if (e->u.ref.hit_psc)
        snprintf(buf + strlen(buf), n - strlen(buf), " (cached)");
    if (e->u.ref.set_ad)
        snprintf(buf + strlen(buf), n - strlen(buf), " (sets A/D)");
}

static void walk_text(char *buf, size_t n, const struct ev *e)
{
    static const char *const outcome[] = {"translated", "#PF", "EPT violation", "EPT misconfiguration", "", "PML full"};
    if (!e->u.walk.done)
        snprintf(buf, n, "walk for a %s of %llx", vz_acc_name(e->u.walk.acc), (ull)e->u.walk.la);
    else if (e->u.walk.outcome == 0)
        snprintf(buf, n, "walk of %llx done: %u references, hPA %llx", (ull)e->u.walk.la, e->u.walk.refs, (ull)e->u.walk.hpa.v);
    else
        snprintf(buf, n, "walk of %llx fails after %u references: %s", (ull)e->u.walk.la, e->u.walk.refs,
                 e->u.walk.outcome < sizeof outcome / sizeof *outcome ? outcome[e->u.walk.outcome] : "?");
}

static void irq_text(char *buf, size_t n, unsigned line, unsigned vector, unsigned what)
{
    static const char *const form[EV_NIRQ] = {
        [EV_IRQ_ACCEPTED] = "interrupt vector %u accepted",
        [EV_IRQ_INIT] = "INIT taken",
        [EV_IRQ_SIPI] = "start-up IPI taken, vector 0x%02x",
        [EV_IRQ_VIRTUAL] = "virtual interrupt vector %u delivered to the guest",
        [EV_IRQ_POSTED] = "posted interrupts taken over, notification vector %u",
    };
    if (what < EV_NIRQ && form[what])
        snprintf(buf, n, form[what], vector);
    else
        snprintf(buf, n, "line %u %s", line, what ? "raised" : "lowered");
}

static void exception_text(char *buf, size_t n, struct sim_machine *m, const struct ev *e)
{
    const struct isa_event *x = &e->u.exc.e;
    char sym[64];
    sym[0] = 0;
    if (m)
        sim_symbol(m, e->u.exc.handler, sym, sizeof sym);
    int o = snprintf(buf, n, "%s vector %u",
                     x->vector < 32 && x->type != ISA_EV_EXTINT && x->type != ISA_EV_SWINT ? vz_vector_name(x->vector)
                     : x->type == ISA_EV_EXTINT                                            ? "interrupt"
                                                                                           : "INT n",
                     x->vector);
    if (x->has_error)
        o += snprintf(buf + o, n - (size_t)o, " error %x", x->error);
    if (x->vector == ISA_X_PF && x->type == ISA_EV_HWEXC)
        o += snprintf(buf + o, n - (size_t)o, " CR2 %llx", (ull)x->addr);
    snprintf(buf + o, n - (size_t)o, " to %x:%llx %s", e->u.exc.cs, (ull)e->u.exc.handler, sym);
}

static void exit_text(char *buf, size_t n, const struct ev *e)
{
    const char *name = vmx_exit_name(e->u.vmexit.reason);
    char q[160] = "";
    vmx_qual_text(e->u.vmexit.reason, e->u.vmexit.qual, q, sizeof q);
    int o = snprintf(buf, n, "exit %u %s", e->u.vmexit.reason, name ? name : "?");
    if (e->u.vmexit.reason == 48 || e->u.vmexit.reason == 49)
        o += snprintf(buf + o, n - (size_t)o, " gPA %llx", (ull)e->u.vmexit.gpa.v);
    if (q[0])
        snprintf(buf + o, n - (size_t)o, " - %s", q);
}

static const char *op_name(uint16_t op) { return op < ISA_OP_NUM ? isa_opinfo[op].mnemonic : "?"; }

// The operand says most by its name: a field for VMREAD and VMWRITE, an address for the pointer instructions.
static void vmx_text(char *buf, size_t n, const struct ev *e)
{
    static const char *const outcome[] = {"succeeds", "VMfailInvalid", "VMfailValid"};
    const char *name = op_name(e->u.vmx.op), *err = vmx_error_name(e->u.vmx.error);
    int f = !strcmp(name, "vmwrite") || !strcmp(name, "vmread") ? vmcs_by_encoding((uint32_t)e->u.vmx.operand) : -1;
    int o = snprintf(buf, n, "%s", name);
    if (f >= 0)
        o += snprintf(buf + o, n - (size_t)o, " %s", vmcs_field_info[f].name);
    else if (e->u.vmx.operand)
        o += snprintf(buf + o, n - (size_t)o, " %llx", (ull)e->u.vmx.operand);
    o += snprintf(buf + o, n - (size_t)o, ": %s", e->u.vmx.outcome < 3 ? outcome[e->u.vmx.outcome] : "?");
    if (e->u.vmx.outcome == 2)
        snprintf(buf + o, n - (size_t)o, ", error %u %s", e->u.vmx.error, err ? err : "");
}

static void msr_text(char *buf, size_t n, const struct ev *e)
{
    const struct isa_msr_info *i = isa_msr_find(e->u.msr.n);
    const char *name = i ? i->name : vmx_caps_msr_name(e->u.msr.n);
    snprintf(buf, n, "MSR %x%s%s %s %llx", e->u.msr.n, name ? " " : "", name ? name : "", e->u.msr.write ? "<-" : "is",
             (ull)e->u.msr.val);
}

void vz_refused_text(char *buf, size_t n, const struct vmx_entry_report *r)
{
    char more[24] = "";
    if (r->n > 1)
        snprintf(more, sizeof more, " and %u more", r->n - 1);
    snprintf(buf, n, "entry refused: %s%s", r->n ? r->failure[0].id : "-", more);
}

void vz_event_text(char *buf, size_t n, struct sim_machine *m, const struct ev *e)
{
    if (n == 0)
        return;
    buf[0] = 0;
    switch (e->kind) {
    case EV_REF: ref_text(buf, n, e); break;
    case EV_WALK: walk_text(buf, n, e); break;
    case EV_MEM:
        snprintf(buf, n, "%s %u byte%s at %llx, hPA %llx = %llx", vz_acc_name(e->u.mem.acc), e->u.mem.size,
                 e->u.mem.size == 1 ? "" : "s", (ull)e->u.mem.la, (ull)e->u.mem.pa.v, (ull)e->u.mem.value);
        break;
    case EV_TLB_FILL:
    case EV_TLB_EVICT:
        if (e->u.tlb.e)
            snprintf(buf, n, "%s %s: %llx -> %llx", tlb_unit_name(e->u.tlb.e->unit), e->kind == EV_TLB_FILL ? "gets" : "loses",
                     (ull)e->u.tlb.e->tag, (ull)e->u.tlb.e->frame.v);
        break;
    case EV_TLB_FLUSH:
        snprintf(buf, n, "%s drops %u entr%s", e->u.flush.cause ? e->u.flush.cause : "flush", e->u.flush.dropped,
                 e->u.flush.dropped == 1 ? "y" : "ies");
        break;
    case EV_TLB_STALE:
        if (e->u.stale.e) {
            int len = snprintf(buf, n, "%llx: ", (ull)e->u.stale.la);
            if (len > 0 && (unsigned)len < n)
                sim_stale_text(m, e->cpu, e->u.stale.e, e->u.stale.la, buf + len, n - (unsigned)len);
        }
        break;
    case EV_EXCEPTION: exception_text(buf, n, m, e); break;
    case EV_RING: snprintf(buf, n, "ring %u -> ring %u", e->u.ring.from, e->u.ring.to); break;
    case EV_CR: snprintf(buf, n, "CR%u %llx -> %llx", e->u.cr.n, (ull)e->u.cr.old, (ull)e->u.cr.now); break;
    case EV_MSR: msr_text(buf, n, e); break;
    case EV_SEG: snprintf(buf, n, "%s loaded with selector %04x", vz_sreg_name(e->u.seg.sreg), e->u.seg.sel); break;
    case EV_IO:
        snprintf(buf, n, "%s port %x, %u byte%s: %x", e->u.io.in ? "IN from" : "OUT to", e->u.io.port, e->u.io.size,
                 e->u.io.size == 1 ? "" : "s", e->u.io.val);
        break;
    case EV_IRQ: irq_text(buf, n, e->u.irq.line, e->u.irq.vector, e->u.irq.what); break;
    case EV_VMENTRY:
        snprintf(buf, n, "VM entry by %s, VMCS %llx, VPID %u, EPTP %llx", e->u.vmentry.launch ? "VMLAUNCH" : "VMRESUME",
                 (ull)e->u.vmentry.vmcs, e->u.vmentry.vpid, (ull)e->u.vmentry.eptp);
        break;
    case EV_VMENTRY_FAIL:
        if (e->u.entry_fail.report)
            vz_refused_text(buf, n, e->u.entry_fail.report);
        break;
    case EV_VMEXIT: exit_text(buf, n, e); break;
    case EV_VMX: vmx_text(buf, n, e); break;
    case EV_HALT: snprintf(buf, n, e->u.halt.awake ? "woken from HLT" : "HLT"); break;
    case EV_SHUTDOWN: snprintf(buf, n, "TRIPLE FAULT: shutdown"); break;
    case EV_OUTPUT:
        snprintf(buf, n, e->u.output.byte >= 0x20 && e->u.output.byte < 0x7f ? "%s: '%c'" : "%s: byte %02x",
                 e->u.output.port ? e->u.output.port : "?", e->u.output.byte);
        break;
    case EV_MARK: snprintf(buf, n, "mark %s", e->u.mark.name ? e->u.mark.name : "?"); break;
    case EV_INSN: snprintf(buf, n, "%s", e->u.insn_.i ? op_name(e->u.insn_.i->op) : "?"); break;
    default: break;
    }
}
