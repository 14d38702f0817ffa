// isa/task.c: the hardware task switch.
#include "isa/task.h"

#include <stddef.h>
#include <string.h>

#include "isa/cr.h"
#include "isa/deliver.h"
#include "isa/exec.h"
#include "isa/farcs.h"
#include "isa/frame.h"
#include "isa/tables.h"

// A TSS of either size, unpacked.
struct tss {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t sreg[6], ldt;
    bool trap;
};

#define TSS32_SIZE 104u
#define TSS16_SIZE 44u

static bool wide_type(unsigned type) { return type == ISA_SYS_TSS32 || type == ISA_SYS_TSS32_BUSY; }

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

// Read n bytes in pieces that the machine takes.
static int read_bytes(struct isa_cpu *c, uint64_t la, uint8_t *buf, unsigned n)
{
    for (unsigned at = 0; at < n;) {
        unsigned k = n - at > 64 ? 64 : n - at;
        int r = isa_sys_read(c, la + at, buf + at, k);
        if (r)
            return r;
        at += k;
    }
    return 0;
}

static int read_tss(struct isa_cpu *c, const struct isa_seg *s, bool wide, struct tss *t)
{
    uint8_t b[TSS32_SIZE];
    int r = read_bytes(c, s->base, b, wide ? TSS32_SIZE : TSS16_SIZE);
    if (r)
        return r;
    *t = (struct tss){0};
    if (wide) {
        t->cr3 = get32(b + 28);
        t->eip = get32(b + 32);
        t->eflags = get32(b + 36);
        for (unsigned k = 0; k < 8; k++)
            t->gpr[k] = get32(b + 40 + 4 * k);
        for (unsigned k = 0; k < 6; k++)
            t->sreg[k] = get16(b + 72 + 4 * k);
        t->ldt = get16(b + 96);
        t->trap = b[100] & 1;
    } else {
        t->eip = get16(b + 14);
        t->eflags = get16(b + 16);
        for (unsigned k = 0; k < 8; k++)
            t->gpr[k] = get16(b + 18 + 2 * k);
        for (unsigned k = 0; k < 4; k++)
            t->sreg[k] = get16(b + 34 + 2 * k);
        t->ldt = get16(b + 42);
    }
    return 0;
}

// The part of the old TSS that the processor writes: EIP .. GS, as bytes.
static unsigned pack_state(const struct isa_cpu *c, bool wide, uint32_t rip, uint32_t flags, uint8_t *b)
{
    unsigned n = 0, size = wide ? 4 : 2, sregs = wide ? 6 : 4;
    uint32_t v[16];
    v[n++] = rip;
    v[n++] = flags;
    for (unsigned k = 0; k < 8; k++)
        v[n++] = isa_r32(c, k);
    for (unsigned k = 0; k < sregs; k++)
        v[n++] = c->seg[k].sel;
    for (unsigned k = 0; k < n; k++)
        memcpy(b + k * size, &v[k], size);
    return n * size;
}

static int set_busy(struct isa_cpu *c, uint64_t la, uint64_t lo, bool busy)
{
    uint8_t access = (uint8_t)(lo >> 40);
    access = busy ? access | 2 : access & ~2;
    return isa_sys_write(c, la + 5, &access, 1);
}

// Everything that may fault before the point of no return, and the writes to both TSSs and descriptors.
static int leave_old(struct isa_cpu *c, struct isa_desc *d, enum isa_task_source source, uint64_t rip)
{
    struct isa_seg *tr = &c->seg[ISA_TR];
    bool wide = wide_type(isa_seg_type(tr)), nests = source == ISA_TASK_CALL || source == ISA_TASK_GATE;
    isa_settle_rf(c, c->at ? c->at->idx : 0);
    uint32_t flags = (uint32_t)isa_rflags(c);
    uint8_t state[64];
    struct isa_desc old = {0};
    int r;
    if (source == ISA_TASK_IRET)
        flags &= ~ISA_FL_NT;
    unsigned n = pack_state(c, wide, (uint32_t)rip, flags, state), at = wide ? 32 : 14;
    if ((tr->ar & ISA_AR_UNUSABLE) || at + n - 1 > tr->limit)
        return isa_raise(c, ISA_X_TS, tr->sel & 0xfffc, ISA_RULE_TS_OLD_LIMIT);
    if ((r = c->env->probe(c, (uint32_t)(tr->base + at), n, ISA_ACC_W | ISA_ACC_SYS)) ||
        (nests && (r = c->env->probe(c, (uint32_t)d->seg.base, 2, ISA_ACC_W | ISA_ACC_SYS))) ||
        (r = c->env->probe(c, (uint32_t)(d->la + 5), 1, ISA_ACC_W | ISA_ACC_SYS)))
        return r;
    if (!nests && ((r = isa_desc_get(c, tr->sel, ISA_X_TS, &old)) || (r = set_busy(c, old.la, old.lo, false))))
        return r;
    if ((r = isa_sys_write(c, tr->base + at, state, n)))
        return r;
    if (nests && (r = isa_sys_write(c, d->seg.base, &tr->sel, 2)))
        return r;
    return source == ISA_TASK_IRET ? 0 : set_busy(c, d->la, d->lo, true);
}

static int check_ldt(struct isa_cpu *c, uint16_t sel)
{
    struct isa_desc d;
    uint32_t err = sel & 0xfffc;
    int r;
    if (!err) {
        c->seg[ISA_LDTR] = isa_seg_null(sel);
        return 0;
    }
    if (sel & 4)
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_LDT);
    if ((r = isa_desc_get(c, sel, ISA_X_TS, &d)))
        return r;
    if ((d.seg.ar & ISA_AR_S) || isa_seg_type(&d.seg) != ISA_SYS_LDT || !(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_LDT);
    c->seg[ISA_LDTR] = d.seg;
    return 0;
}

static int check_cs(struct isa_cpu *c, uint16_t sel, struct isa_seg *out)
{
    struct isa_desc d;
    uint32_t err = sel & 0xfffc;
    unsigned rpl = sel & 3;
    if (!err)
        return isa_raise(c, ISA_X_TS, 0, ISA_RULE_TS_CS_TYPE);
    int r = isa_desc_get(c, sel, ISA_X_TS, &d);
    if (r)
        return r;
    if (!isa_seg_is_code(&d.seg))
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_CS_TYPE);
    if (isa_seg_conforming(&d.seg) ? isa_dpl(&d.seg) > rpl : isa_dpl(&d.seg) != rpl)
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_CS_DPL);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_CS);
    r = isa_desc_access(c, &d);
    *out = d.seg;
    return r;
}

// Load the segment registers of the new task. Each fault here happens in the new task, with the registers after it not valid.
static int load_segments(struct isa_cpu *c, const struct tss *t)
{
    static const uint8_t data[] = {ISA_DS, ISA_ES, ISA_FS, ISA_GS};
    unsigned cpl = t->sreg[ISA_CS] & 3;
    int r;
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s] = t->eflags & ISA_FL_VM ? isa_seg_v86(t->sreg[s]) : isa_seg_null(t->sreg[s]);
    if (!(t->eflags & ISA_FL_VM))
        c->seg[ISA_SS].ar |= cpl << ISA_AR_DPL_SHIFT;
    c->seg[ISA_LDTR] = isa_seg_null(t->ldt);
    isa_update_mode(c);
    if ((r = check_ldt(c, t->ldt)) || (t->eflags & ISA_FL_VM))
        return r;
    if ((r = check_cs(c, t->sreg[ISA_CS], &c->seg[ISA_CS])) || (r = isa_ss_check(c, t->sreg[ISA_SS], cpl, true, &c->seg[ISA_SS])))
        return r;
    isa_update_mode(c);
    for (unsigned k = 0; k < 4; k++)
        if ((r = isa_data_check(c, t->sreg[data[k]], true, &c->seg[data[k]])))
            return r;
    isa_update_mode(c);
    return isa_cs_target(c, &c->seg[ISA_CS], t->eip);
}

static int enter_new(struct isa_cpu *c, const struct isa_desc *d, const struct tss *t, bool wide, bool nests,
                     const uint64_t pdpte[4])
{
    c->seg[ISA_TR] = d->seg;
    c->seg[ISA_TR].ar |= 2;
    c->cr0 |= ISA_CR0_TS;
    c->dr[7] &= ~0x155ull; // local breakpoints are the task's
    if (wide && (c->cr0 & ISA_CR0_PG)) {
        uint64_t old = c->cr3;
        c->cr3 = t->cr3;
        memcpy(c->pdpte, pdpte, sizeof c->pdpte);
        c->env->inval(c, ISA_INVAL_TASK, c->cr3, 0, 0);
        c->env->on_cr(c, 3, old, c->cr3);
    }
    c->rip = t->eip;
    isa_set_rflags(c, t->eflags | (nests ? ISA_FL_NT : 0));
    for (unsigned k = 0; k < 8; k++)
        c->gpr[k] = t->gpr[k];
    return load_segments(c, t);
}

static int push_error(struct isa_cpu *c, uint32_t error, bool wide)
{
    struct isa_frame f;
    isa_frame_current(&f, c);
    isa_frame_push(&f, error, wide ? 4 : 2);
    int r = isa_frame_write(c, &f);
    if (!r)
        isa_set_sp(c, f.sp);
    return r;
}

int isa_task_switch(struct isa_cpu *c, const struct isa_insn *i, struct isa_desc *d, enum isa_task_source source, uint64_t next_rip,
                    bool has_error, uint32_t error)
{
    bool wide = wide_type(isa_seg_type(&d->seg)), nests = source == ISA_TASK_CALL || source == ISA_TASK_GATE;
    uint64_t pdpte[4] = {0};
    struct tss t;
    unsigned from = c->cpl;
    int r;
    if (d->seg.limit < (wide ? TSS32_SIZE : TSS16_SIZE) - 1)
        return isa_raise(c, ISA_X_TS, d->seg.sel & 0xfffc, ISA_RULE_TS_LIMIT);
    if (c->vmx == ISA_VMX_NONROOT) {
        uint64_t arg = d->seg.sel | (uint64_t)source << 30;
        if ((r = c->env->intercept(c, i, ISA_ICPT_TASK_SWITCH, arg, NULL)))
            return r;
    }
    if ((r = read_tss(c, &d->seg, wide, &t)))
        return r;
    if (wide && isa_pae_paging(c) && (r = isa_read_pdptes(c, t.cr3, pdpte)))
        return r;
    if ((r = leave_old(c, d, source, next_rip)))
        return r;
    c->env->charge(c, ISA_COST_TASK);
    r = enter_new(c, d, &t, wide, nests, pdpte);
    if (!r && has_error)
        r = push_error(c, error, wide);
    c->attention = 1;
    if (from != c->cpl)
        c->env->on_ring(c, from, c->cpl);
    if (!r) {
        if (t.trap)
            c->pending_dbg |= ISA_DR6_BT;
        c->env->on_seg(c, ISA_TR, c->seg[ISA_TR].sel);
        return 0;
    }
    // The fault belongs to the new task: rip is the new task's, which the caller's instruction pointer knows nothing of. (Non-root
    // operation never comes here, so no VM exit can follow.) In event delivery the caller's loop takes it.
    if (r == ISA_R_FAULT && source != ISA_TASK_GATE)
        return isa_deliver_fault(c);
    return r;
}

int isa_task_gate(struct isa_cpu *c, const struct isa_insn *i, uint16_t sel, enum isa_task_source source, uint64_t next_rip,
                  bool has_error, uint32_t error)
{
    uint32_t err = sel & 0xfffc;
    struct isa_desc d;
    if ((sel & 4) || !err)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_TASK_GATE_SEL);
    int r = isa_desc_get(c, sel, ISA_X_GP, &d);
    if (r)
        return r;
    unsigned type = isa_seg_type(&d.seg);
    if ((d.seg.ar & ISA_AR_S) || (type != ISA_SYS_TSS16 && type != ISA_SYS_TSS32))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_TASK_GATE_TSS);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_TSS);
    return isa_task_switch(c, i, &d, source, next_rip, has_error, error);
}
