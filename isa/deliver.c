// isa/deliver.c: delivering interrupts and exceptions.
#include "isa/deliver.h"

#include <stddef.h>

#include "isa/cr.h"
#include "isa/exec.h"
#include "isa/far.h"
#include "isa/farcs.h"
#include "isa/frame.h"
#include "isa/task.h"
#include "isa/tables.h"

static bool software(const struct isa_event *e) { return e->type == ISA_EV_SWINT || e->type == ISA_EV_SWEXC; }

// Error code that names an IDT entry. isa_raise() adds EXT.
static uint32_t idt_error(const struct isa_event *e) { return e->vector * 8u | ISA_ERR_IDT; }

// Where the interrupted program resumes.
static uint64_t return_rip(const struct isa_cpu *c, const struct isa_event *e)
{
    uint64_t rip = c->rip + e->insn_len;
    return c->mode == ISA_LONG64 ? rip : (uint32_t)rip;
}

// RFLAGS as saved. Faults set RF, so that the instruction does not hit its own breakpoint again when restarted; but a debug exception is
// a fault that does so for DR7.GD only. RF is set, too, by what comes between two iterations of a repeated string instruction. INT and
// its kin are complete by now, so they leave RF clear. Manual, "System Flags and Fields in the EFLAGS Register" (RF).
static uint64_t saved_flags(const struct isa_cpu *c, const struct isa_event *e)
{
    uint64_t fl = isa_rflags(c);
    bool fault = e->type == ISA_EV_HWEXC && e->insn_len == 0 &&
                 (isa_vector_info(e->vector)->klass == ISA_VC_FAULT || (e->vector == ISA_X_DB && (e->dr6 & ISA_DR6_BD)));
    if (fault || c->rep_mid)
        fl |= ISA_FL_RF;
    if (software(e) || e->type == ISA_EV_PRIVSW)
        fl &= ~(uint64_t)ISA_FL_RF;
    return fl;
}

static void clear_flags(struct isa_cpu *c, bool interrupt_gate, uint64_t more)
{
    uint64_t fl = isa_rflags(c) & ~(ISA_FL_TF | ISA_FL_NT | ISA_FL_RF | ISA_FL_VM | more);
    isa_set_rflags(c, interrupt_gate ? fl & ~(uint64_t)ISA_FL_IF : fl);
}

// --- real mode

static int deliver_real(struct isa_cpu *c, const struct isa_event *e)
{
    uint32_t entry;
    int r;
    if (e->vector * 4u + 3 > c->idtr.limit)
        return isa_raise(c, ISA_X_GP, idt_error(e), ISA_RULE_GP_IDT_LIMIT);
    if ((r = isa_sys_read(c, c->idtr.base + e->vector * 4u, &entry, 4)))
        return r;
    struct isa_seg cs = isa_seg_real(&c->seg[ISA_CS], (uint16_t)(entry >> 16));
    if ((entry & 0xffff) > cs.limit)
        return isa_gp0(c, ISA_RULE_GP_RIP_LIMIT);
    struct isa_frame f;
    isa_frame_current(&f, c);
    isa_frame_push(&f, isa_rflags(c) & 0xffff, 2);
    isa_frame_push(&f, c->seg[ISA_CS].sel, 2);
    isa_frame_push(&f, return_rip(c, e), 2);
    if ((r = isa_frame_write(c, &f)))
        return r;
    isa_set_sp(c, f.sp);
    isa_set_rflags(c, isa_rflags(c) & ~(uint64_t)(ISA_FL_IF | ISA_FL_TF | ISA_FL_AC | ISA_FL_RF));
    c->seg[ISA_CS] = cs;
    c->rip = entry & 0xffff;
    isa_update_mode(c);
    return 0;
}

// --- protected and IA-32e mode

static int read_gate(struct isa_cpu *c, const struct isa_event *e, struct isa_gate *g)
{
    unsigned size = isa_long(c) ? 16 : 8;
    uint64_t d[2] = {0, 0};
    int r;
    if (e->vector * size + size - 1 > c->idtr.limit)
        return isa_raise(c, ISA_X_GP, idt_error(e), ISA_RULE_GP_IDT_LIMIT);
    if ((r = isa_sys_read(c, c->idtr.base + e->vector * size, d, size)))
        return r;
    *g = isa_gate_parse(d[0], d[1] & 0xffffffff);
    bool system = !(d[0] >> 44 & 1);
    bool wide = g->type == ISA_SYS_INT32 || g->type == ISA_SYS_TRAP32;
    bool narrow = g->type == ISA_SYS_INT16 || g->type == ISA_SYS_TRAP16 || g->type == ISA_SYS_TASK_GATE;
    if (!system || !(wide || (narrow && !isa_long(c))))
        return isa_raise(c, ISA_X_GP, idt_error(e), ISA_RULE_GP_IDT_TYPE);
    if (software(e) && g->dpl < c->cpl)
        return isa_raise(c, ISA_X_GP, idt_error(e), ISA_RULE_GP_IDT_DPL);
    if (!g->present)
        return isa_raise(c, ISA_X_NP, idt_error(e), ISA_RULE_NP_IDT);
    return 0;
}

// The handler's code segment; *cpl is the level it will run at.
static int handler_cs(struct isa_cpu *c, const struct isa_gate *g, struct isa_desc *d, unsigned *cpl)
{
    uint32_t err = g->sel & 0xfffc;
    if (!err)
        return isa_gp0(c, ISA_RULE_GP_GATE_NULL);
    int r = isa_desc_get(c, g->sel, ISA_X_GP, d);
    if (r)
        return r;
    if (!isa_seg_is_code(&d->seg))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_GATE_TARGET);
    if (isa_dpl(&d->seg) > c->cpl)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_GATE_OUTWARD);
    if (isa_long(c) && (d->seg.ar & (ISA_AR_L | ISA_AR_DB)) != ISA_AR_L)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_GATE_NOT64);
    if (!(d->seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_CS);
    *cpl = isa_seg_conforming(&d->seg) ? c->cpl : isa_dpl(&d->seg);
    if (c->mode == ISA_V86 && *cpl != 0)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_V86_HANDLER);
    return 0;
}

// The stack in IA-32e mode: an IST stack, RSPn of the inner level, or the current one; always aligned to 16 bytes.
static int stack64(struct isa_cpu *c, const struct isa_gate *g, unsigned cpl, struct isa_frame *f, struct isa_seg *ss)
{
    uint64_t rsp = c->gpr[ISA_RSP];
    int r = 0;
    *ss = c->seg[ISA_SS];
    if (g->ist)
        r = isa_tss_rsp(c, 3u + g->ist, &rsp);
    else if (cpl != c->cpl)
        r = isa_tss_rsp(c, cpl, &rsp);
    if (r)
        return r;
    if (cpl != c->cpl) {
        *ss = isa_seg_null((uint16_t)cpl);
        ss->ar |= cpl << ISA_AR_DPL_SHIFT;
    }
    isa_frame_switch(f, c, ss, rsp & ~15ull, cpl, true);
    f->ss_error = 0;
    return 0;
}

static int deliver64(struct isa_cpu *c, const struct isa_event *e, const struct isa_gate *g)
{
    struct isa_desc d;
    struct isa_frame f;
    struct isa_seg ss;
    unsigned cpl;
    int r;
    if ((r = handler_cs(c, g, &d, &cpl)) || (r = stack64(c, g, cpl, &f, &ss)))
        return r;
    isa_frame_push(&f, c->seg[ISA_SS].sel, 8);
    isa_frame_push(&f, c->gpr[ISA_RSP], 8);
    isa_frame_push(&f, saved_flags(c, e), 8);
    isa_frame_push(&f, c->seg[ISA_CS].sel, 8);
    isa_frame_push(&f, return_rip(c, e), 8);
    if (e->has_error)
        isa_frame_push(&f, e->error, 8);
    if ((r = isa_cs_target(c, &d.seg, g->offset)) || (r = isa_desc_access(c, &d)) || (r = isa_frame_write(c, &f)))
        return r;
    clear_flags(c, g->type == ISA_SYS_INT32, 0);
    bool switched = cpl != c->cpl;
    isa_cs_commit(c, d.seg, switched ? &ss : NULL, cpl, g->offset);
    c->gpr[ISA_RSP] = f.sp;
    return 0;
}

// The stack in protected mode: the one the TSS names for an inner level, with the old stack (and, out of virtual-8086 mode, the old
// data segments) saved on it; else the current one.
static int stack32(struct isa_cpu *c, unsigned cpl, unsigned size, struct isa_frame *f, struct isa_seg *ss)
{
    static const uint8_t v86_saved[] = {ISA_GS, ISA_FS, ISA_DS, ISA_ES};
    uint16_t sel;
    uint64_t sp;
    int r;
    if (cpl == c->cpl) {
        isa_frame_current(f, c);
        return 0;
    }
    if ((r = isa_tss_stack(c, cpl, &sel, &sp)) || (r = isa_ss_check(c, sel, cpl, true, ss)))
        return r;
    isa_frame_switch(f, c, ss, sp, cpl, false);
    for (unsigned k = 0; c->mode == ISA_V86 && k < sizeof v86_saved; k++)
        isa_frame_push(f, c->seg[v86_saved[k]].sel, size);
    isa_frame_push(f, c->seg[ISA_SS].sel, size);
    isa_frame_push(f, c->gpr[ISA_RSP], size);
    return 0;
}

static int deliver32(struct isa_cpu *c, const struct isa_event *e, struct isa_gate *g)
{
    bool wide = g->type == ISA_SYS_INT32 || g->type == ISA_SYS_TRAP32;
    unsigned size = wide ? 4 : 2, cpl;
    struct isa_desc d;
    struct isa_frame f;
    struct isa_seg ss;
    int r;
    if (!wide)
        g->offset = (uint16_t)g->offset;
    if ((r = handler_cs(c, g, &d, &cpl)) || (r = stack32(c, cpl, size, &f, &ss)))
        return r;
    isa_frame_push(&f, saved_flags(c, e), size);
    isa_frame_push(&f, c->seg[ISA_CS].sel, size);
    isa_frame_push(&f, return_rip(c, e), size);
    if (e->has_error)
        isa_frame_push(&f, e->error, size);
    if ((r = isa_cs_target(c, &d.seg, g->offset)) || (r = isa_desc_access(c, &d)) || (r = isa_frame_write(c, &f)))
        return r;
    bool v86 = c->mode == ISA_V86, switched = cpl != c->cpl;
    clear_flags(c, g->type == ISA_SYS_INT32 || g->type == ISA_SYS_INT16, 0);
    if (v86)
        c->seg[ISA_ES] = c->seg[ISA_DS] = c->seg[ISA_FS] = c->seg[ISA_GS] = isa_seg_null(0);
    isa_cs_commit(c, d.seg, switched ? &ss : NULL, cpl, g->offset);
    isa_set_sp(c, f.sp);
    return 0;
}

static int deliver_once(struct isa_cpu *c, const struct isa_event *e)
{
    struct isa_gate g;
    if (c->mode == ISA_REAL)
        return deliver_real(c, e);
    int r = read_gate(c, e, &g);
    if (r)
        return r;
    if (g.type == ISA_SYS_TASK_GATE)
        return isa_task_gate(c, NULL, g.sel, ISA_TASK_GATE, return_rip(c, e), e->has_error, e->error);
    return isa_long(c) ? deliver64(c, e, &g) : deliver32(c, e, &g);
}

// --- what surrounds a delivery

// Registers that describe the event, loaded once it is certain that it is delivered rather than intercepted.
static void load_event_registers(struct isa_cpu *c, const struct isa_event *e)
{
    if (e->type != ISA_EV_HWEXC)
        return;
    if (e->vector == ISA_X_PF)
        c->cr2 = e->addr;
    if (e->vector == ISA_X_DB) {
        c->dr[6] = (c->dr[6] & ~15ull) | e->dr6;
        c->dr[7] &= ~(uint64_t)ISA_DR7_GD;
    }
}

enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE };
static enum severity severity(const struct isa_event *e)
{
    if (e->type != ISA_EV_HWEXC)
        return BENIGN;
    if (e->vector == ISA_X_DF)
        return DOUBLE;
    if (e->vector == ISA_X_PF || e->vector == ISA_X_VE)
        return PAGE_FAULT;
    return isa_vector_info(e->vector)->contributory ? CONTRIBUTORY : BENIGN;
}

// The conditions for a double fault (manual, "Double Fault Exception (#DF)"): the second event cannot be handled serially.
static bool escalates(const struct isa_event *first, const struct isa_event *second)
{
    enum severity a = severity(first), b = severity(second);
    return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && (b == CONTRIBUTORY || b == PAGE_FAULT)) ||
           (a == DOUBLE && b != BENIGN);
}

static int vmexit(struct isa_cpu *c, bool vectoring)
{
    c->delivering_valid = vectoring;
    c->raise_ext = 0;
    c->chain_n = 0;
    return ISA_R_VMEXIT;
}

static int triple_fault(struct isa_cpu *c)
{
    c->delivering_valid = false;
    c->raise_ext = 0;
    int r = c->env->intercept_triple(c);
    if (r) {
        c->chain_n = 0;
        return r;
    }
    c->activity = ISA_SHUTDOWN;
    c->attention = 1;
    return 0;
}

static void delivered(struct isa_cpu *c, const struct isa_event *e)
{
    c->delivering_valid = false;
    c->iret_unblocked = false;
    c->raise_ext = 0;
    c->chain_n = 0;
    c->activity = ISA_ACTIVE;
    c->blocking &= ~(ISA_BLOCK_STI | ISA_BLOCK_MOVSS);
    if (e->type == ISA_EV_NMI)
        c->blocking |= ISA_BLOCK_NMI;
    isa_flags_loaded(c);
    c->env->on_event(c, e);
}

static void remember(struct isa_cpu *c, const struct isa_event *e)
{
    if (c->chain_n < ISA_CHAIN_MAX)
        c->chain[c->chain_n++] = *e;
}

static int deliver(struct isa_cpu *c, struct isa_event e, bool intercept)
{
    c->delivering_valid = false;
    c->chain_n = 0;
    for (;;) {
        remember(c, &e);
        if (intercept && c->vmx == ISA_VMX_NONROOT && c->env->intercept_event(c, &e))
            return vmexit(c, c->delivering_valid);
        // delivering still names the outer event here, if this one is a fault of its delivery.
        if (c->delivering_valid && escalates(&c->delivering, &e)) {
            load_event_registers(c, &e);
            if (severity(&c->delivering) == DOUBLE)
                return triple_fault(c);
            e = (struct isa_event){.type = ISA_EV_HWEXC, .vector = ISA_X_DF, .has_error = true, .rule = e.rule};
            c->delivering_valid = false; // an intercepted #DF is an original event, not a nested one
            continue;
        }
        load_event_registers(c, &e);
        c->delivering = e;
        c->delivering_valid = true;
        c->raise_ext = !software(&e);
        c->env->charge(c, ISA_COST_INT);
        int r = deliver_once(c, &e);
        if (!r) {
            delivered(c, &e);
            return 0;
        }
        if (r != ISA_R_FAULT)
            return vmexit(c, true); // memory access or task switch that leaves the guest
        e = c->fault;
        intercept = true;
    }
}

int isa_deliver_fault(struct isa_cpu *c) { return deliver(c, c->fault, true); }

int isa_deliver_event(struct isa_cpu *c, const struct isa_event *e) { return deliver(c, *e, false); }

int isa_deliver_software(struct isa_cpu *c, const struct isa_event *e) { return deliver(c, *e, e->type != ISA_EV_SWINT); }
