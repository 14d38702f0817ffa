// isa/far.c: far JMP, CALL and RET.
#include "isa/far.h"

#include <stddef.h>

#include "isa/exec.h"
#include "isa/farcs.h"
#include "isa/frame.h"
#include "isa/task.h"
#include "isa/tables.h"

static bool segments_are_paragraphs(const struct isa_cpu *c) { return c->mode == ISA_REAL || c->mode == ISA_V86; }

// --- code segments

int isa_cs_usable(struct isa_cpu *c, const struct isa_desc *d)
{
    uint32_t err = d->seg.sel & 0xfffc;
    if (isa_long(c) && (d->seg.ar & ISA_AR_L) && (d->seg.ar & ISA_AR_DB))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_CS_L_D);
    if (!(d->seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_CS);
    return 0;
}

int isa_cs_target(struct isa_cpu *c, const struct isa_seg *cs, uint64_t rip)
{
    if (isa_long(c) && (cs->ar & ISA_AR_L))
        return isa_canonical(c, rip) ? 0 : isa_gp0(c, ISA_RULE_GP_RIP_CANONICAL);
    return rip <= cs->limit ? 0 : isa_gp0(c, ISA_RULE_GP_RIP_LIMIT);
}

// A direct JMP or CALL stays at CPL: the segment must be of that level, or conforming and at least as privileged.
static int direct_check(struct isa_cpu *c, const struct isa_desc *d)
{
    uint32_t err = d->seg.sel & 0xfffc;
    unsigned dpl = isa_dpl(&d->seg), rpl = d->seg.sel & 3;
    if (isa_seg_conforming(&d->seg)) {
        if (dpl > c->cpl)
            return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_CS_CONFORMING);
    } else {
        if (rpl > c->cpl)
            return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_CS_RPL);
        if (dpl != c->cpl)
            return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_CS_DPL);
    }
    return isa_cs_usable(c, d);
}

int isa_cs_return(struct isa_cpu *c, uint16_t sel, struct isa_desc *d)
{
    uint32_t err = sel & 0xfffc;
    unsigned rpl = sel & 3;
    if (!err)
        return isa_gp0(c, ISA_RULE_GP_CS_NULL);
    int r = isa_desc_get(c, sel, ISA_X_GP, d);
    if (r)
        return r;
    if (!isa_seg_is_code(&d->seg))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_CS_TYPE);
    if (rpl < c->cpl)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_RET_INWARD);
    if (isa_seg_conforming(&d->seg) ? isa_dpl(&d->seg) > rpl : isa_dpl(&d->seg) != rpl)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_RET_DPL);
    return isa_cs_usable(c, d);
}

int isa_ss_return(struct isa_cpu *c, uint16_t sel, unsigned cpl, bool to64, struct isa_seg *out)
{
    if (!(sel & ~3) && isa_long(c) && to64 && cpl != 3 && (sel & 3) == cpl) {
        *out = isa_seg_null(sel);
        out->ar |= cpl << ISA_AR_DPL_SHIFT;
        return 0;
    }
    return isa_ss_check(c, sel, cpl, false, out);
}

void isa_cs_commit(struct isa_cpu *c, struct isa_seg cs, const struct isa_seg *ss, unsigned cpl, uint64_t rip)
{
    unsigned from = c->cpl;
    cs.sel = (cs.sel & ~3) | cpl;
    c->seg[ISA_CS] = cs;
    if (ss)
        c->seg[ISA_SS] = *ss;
    c->rip = rip;
    isa_update_ring(c);
    c->env->on_seg(c, ISA_CS, cs.sel);
    if (ss)
        c->env->on_seg(c, ISA_SS, ss->sel);
    if (from != c->cpl)
        c->env->on_ring(c, from, c->cpl);
}

static uint64_t truncate(uint64_t off, unsigned osz) { return osz == 2 ? (uint16_t)off : osz == 4 ? (uint32_t)off : off; }

// --- real and virtual-8086 mode

static int paragraph_cs(struct isa_cpu *c, uint16_t sel, uint64_t off, struct isa_seg *cs)
{
    *cs = c->mode == ISA_V86 ? isa_seg_v86(sel) : isa_seg_real(&c->seg[ISA_CS], sel);
    return off <= cs->limit ? 0 : isa_gp0(c, ISA_RULE_GP_RIP_LIMIT);
}

static void paragraph_commit(struct isa_cpu *c, const struct isa_seg *cs, uint64_t off)
{
    c->seg[ISA_CS] = *cs;
    c->rip = off;
    isa_update_mode(c);
    c->env->on_seg(c, ISA_CS, cs->sel);
}

// --- TSS stacks

int isa_tss_stack(struct isa_cpu *c, unsigned dpl, uint16_t *ss, uint64_t *sp)
{
    const struct isa_seg *tr = &c->seg[ISA_TR];
    unsigned type = isa_seg_type(tr);
    bool wide = type == ISA_SYS_TSS32 || type == ISA_SYS_TSS32_BUSY;
    uint32_t at = wide ? dpl * 8 + 4 : dpl * 4 + 2, size = wide ? 4 : 2;
    uint32_t esp = 0;
    if ((tr->ar & ISA_AR_UNUSABLE) || at + size + 1 > tr->limit)
        return isa_raise(c, ISA_X_TS, tr->sel & 0xfffc, ISA_RULE_TS_STACK_LIMIT);
    int r = isa_sys_read(c, tr->base + at, &esp, size);
    if (!r)
        r = isa_sys_read(c, tr->base + at + size, ss, 2);
    *sp = esp;
    return r;
}

int isa_tss_rsp(struct isa_cpu *c, unsigned slot, uint64_t *rsp)
{
    const struct isa_seg *tr = &c->seg[ISA_TR];
    uint32_t at = 4 + slot * 8;
    if ((tr->ar & ISA_AR_UNUSABLE) || at + 7 > tr->limit)
        return isa_raise(c, ISA_X_TS, tr->sel & 0xfffc, ISA_RULE_TS_STACK_LIMIT);
    int r = isa_sys_read(c, tr->base + at, rsp, 8);
    if (!r && !isa_canonical(c, *rsp))
        r = isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_CANONICAL);
    return r;
}

// --- call gates

// The code segment that a call gate leads to.
static int gate_target(struct isa_cpu *c, const struct isa_gate *g, struct isa_desc *d)
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
    return isa_cs_usable(c, d);
}

// Push the old stack pointer, the parameters and the return address on the inner stack, and go there.
static int gate_inward(struct isa_cpu *c, const struct isa_insn *i, const struct isa_gate *g, struct isa_desc *d, unsigned size)
{
    unsigned cpl = isa_dpl(&d->seg);
    struct isa_seg ss;
    struct isa_frame f;
    uint16_t sel;
    uint64_t sp;
    int r;
    if (size == 8) {
        if ((r = isa_tss_rsp(c, cpl, &sp)))
            return r;
        ss = isa_seg_null((uint16_t)cpl);
        ss.ar |= cpl << ISA_AR_DPL_SHIFT;
    } else if ((r = isa_tss_stack(c, cpl, &sel, &sp)) || (r = isa_ss_check(c, sel, cpl, true, &ss))) {
        return r;
    }
    isa_frame_switch(&f, c, &ss, sp, cpl, size == 8);
    isa_frame_push(&f, c->seg[ISA_SS].sel, size);
    isa_frame_push(&f, c->gpr[ISA_RSP], size);
    for (unsigned k = size == 8 ? 0 : g->params; k > 0; k--) {
        uint64_t param;
        if ((r = isa_stack_read(c, (k - 1) * size, size, &param)))
            return r;
        isa_frame_push(&f, param, size);
    }
    isa_frame_push(&f, c->seg[ISA_CS].sel, size);
    isa_frame_push(&f, isa_next_rip(c, i), size);
    if ((r = isa_cs_target(c, &d->seg, g->offset)) || (r = isa_desc_access(c, d)) || (r = isa_frame_write(c, &f)))
        return r;
    isa_cs_commit(c, d->seg, &ss, cpl, g->offset);
    isa_set_sp(c, f.sp);
    return 0;
}

static int gate_same_level(struct isa_cpu *c, const struct isa_insn *i, const struct isa_gate *g, struct isa_desc *d, unsigned size,
                           bool call)
{
    struct isa_frame f;
    int r = isa_cs_target(c, &d->seg, g->offset);
    if (r || (r = isa_desc_access(c, d)))
        return r;
    isa_frame_current(&f, c);
    if (call) {
        isa_frame_push(&f, c->seg[ISA_CS].sel, size);
        isa_frame_push(&f, isa_next_rip(c, i), size);
        if ((r = isa_frame_write(c, &f)))
            return r;
        isa_set_sp(c, f.sp);
    }
    isa_cs_commit(c, d->seg, NULL, c->cpl, g->offset);
    return 0;
}

static int call_gate(struct isa_cpu *c, const struct isa_insn *i, struct isa_gate *g, unsigned size, bool call)
{
    struct isa_desc d;
    int r = gate_target(c, g, &d);
    if (r)
        return r;
    if (size == 2)
        g->offset = (uint16_t)g->offset;
    c->env->charge(c, ISA_COST_GATE);
    bool inner = !isa_seg_conforming(&d.seg) && isa_dpl(&d.seg) < c->cpl;
    if (inner && !call)
        return isa_raise(c, ISA_X_GP, g->sel & 0xfffc, ISA_RULE_GP_GATE_JMP);
    return inner ? gate_inward(c, i, g, &d, size) : gate_same_level(c, i, g, &d, size, call);
}

// A JMP or CALL whose selector names a system descriptor: call gate, task gate or TSS.
static int via_system(struct isa_cpu *c, const struct isa_insn *i, struct isa_desc *d, bool call)
{
    uint16_t sel = d->seg.sel;
    uint32_t err = sel & 0xfffc;
    struct isa_gate g = isa_gate_parse(d->lo, d->hi & 0xffffffff);
    bool call_gate_type = g.type == ISA_SYS_CALL32 || (g.type == ISA_SYS_CALL16 && !isa_long(c));
    bool tss = !isa_long(c) && (g.type == ISA_SYS_TSS16 || g.type == ISA_SYS_TSS32);
    bool task_gate = !isa_long(c) && g.type == ISA_SYS_TASK_GATE;
    if ((!call_gate_type && !tss && !task_gate) || (tss && (sel & 4))) // a TSS stands in the GDT only
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_FAR_TYPE);
    if (isa_long(c) && (d->hi >> 40 & 0x1f))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_GATE_HIGH);
    if (g.dpl < c->cpl || g.dpl < (sel & 3))
        return isa_raise(c, ISA_X_GP, err, tss ? ISA_RULE_GP_TSS_DPL : ISA_RULE_GP_GATE_DPL);
    if (!g.present)
        return isa_raise(c, ISA_X_NP, err, tss ? ISA_RULE_NP_TSS : ISA_RULE_NP_GATE);
    enum isa_task_source source = call ? ISA_TASK_CALL : ISA_TASK_JMP;
    if (tss)
        return isa_task_switch(c, i, d, source, isa_next_rip(c, i), false, 0);
    if (task_gate)
        return isa_task_gate(c, i, g.sel, source, isa_next_rip(c, i), false, 0);
    return call_gate(c, i, &g, isa_long(c) ? 8 : g.type == ISA_SYS_CALL32 ? 4 : 2, call);
}

// --- the instructions

int isa_far_jmp(struct isa_cpu *c, const struct isa_insn *i, uint16_t sel, uint64_t off, unsigned osz)
{
    off = truncate(off, osz);
    int r;
    if (segments_are_paragraphs(c)) {
        struct isa_seg cs;
        if ((r = paragraph_cs(c, sel, off, &cs)))
            return r;
        paragraph_commit(c, &cs, off);
        return 0;
    }
    struct isa_desc d;
    if (!(sel & ~3))
        return isa_gp0(c, ISA_RULE_GP_CS_NULL);
    if ((r = isa_desc_get(c, sel, ISA_X_GP, &d)))
        return r;
    if (!(d.seg.ar & ISA_AR_S))
        return via_system(c, i, &d, false);
    if (!isa_seg_is_code(&d.seg))
        return isa_raise(c, ISA_X_GP, sel & 0xfffc, ISA_RULE_GP_CS_TYPE);
    if ((r = direct_check(c, &d)) || (r = isa_cs_target(c, &d.seg, off)) || (r = isa_desc_access(c, &d)))
        return r;
    isa_cs_commit(c, d.seg, NULL, c->cpl, off);
    return 0;
}

int isa_far_call(struct isa_cpu *c, const struct isa_insn *i, uint16_t sel, uint64_t off, unsigned osz)
{
    struct isa_frame f;
    struct isa_desc d = {0};
    bool paragraphs = segments_are_paragraphs(c);
    off = truncate(off, osz);
    int r;
    if (paragraphs) {
        if ((r = paragraph_cs(c, sel, off, &d.seg)))
            return r;
    } else {
        if (!(sel & ~3))
            return isa_gp0(c, ISA_RULE_GP_CS_NULL);
        if ((r = isa_desc_get(c, sel, ISA_X_GP, &d)))
            return r;
        if (!(d.seg.ar & ISA_AR_S))
            return via_system(c, i, &d, true);
        if (!isa_seg_is_code(&d.seg))
            return isa_raise(c, ISA_X_GP, sel & 0xfffc, ISA_RULE_GP_CS_TYPE);
        if ((r = direct_check(c, &d)) || (r = isa_cs_target(c, &d.seg, off)) || (r = isa_desc_access(c, &d)))
            return r;
    }
    isa_frame_current(&f, c);
    isa_frame_push(&f, c->seg[ISA_CS].sel, osz);
    isa_frame_push(&f, isa_next_rip(c, i), osz);
    if ((r = isa_frame_write(c, &f)))
        return r;
    isa_set_sp(c, f.sp);
    if (paragraphs)
        paragraph_commit(c, &d.seg, off);
    else
        isa_cs_commit(c, d.seg, NULL, c->cpl, off);
    return 0;
}

int isa_far_ret(struct isa_cpu *c, const struct isa_insn *i, unsigned osz, unsigned pop)
{
    uint64_t rip, cs, rsp, ss;
    int r = isa_stack_read(c, 0, osz, &rip);
    if (r || (r = isa_stack_read(c, osz, osz, &cs)))
        return r;
    struct isa_desc d;
    if (segments_are_paragraphs(c)) {
        struct isa_seg seg;
        if ((r = paragraph_cs(c, (uint16_t)cs, rip, &seg)))
            return r;
        isa_set_sp(c, isa_sp_up(c, 2 * osz + pop));
        paragraph_commit(c, &seg, rip);
        return 0;
    }
    if ((r = isa_cs_return(c, (uint16_t)cs, &d)))
        return r;
    unsigned cpl = cs & 3;
    if (cpl == c->cpl) {
        if ((r = isa_cs_target(c, &d.seg, rip)) || (r = isa_desc_access(c, &d)))
            return r;
        isa_set_sp(c, isa_sp_up(c, 2 * osz + pop));
        isa_cs_commit(c, d.seg, NULL, cpl, rip);
        return 0;
    }
    struct isa_seg new_ss;
    if ((r = isa_stack_read(c, 2 * osz + pop, osz, &rsp)) || (r = isa_stack_read(c, 3 * osz + pop, osz, &ss)) ||
        (r = isa_ss_return(c, (uint16_t)ss, cpl, d.seg.ar & ISA_AR_L, &new_ss)) || (r = isa_cs_target(c, &d.seg, rip)) ||
        (r = isa_desc_access(c, &d)))
        return r;
    isa_cs_commit(c, d.seg, &new_ss, cpl, rip);
    isa_set_sp(c, rsp + pop);
    isa_seg_drop_inner(c, cpl);
    isa_update_mode(c);
    return 0;
}
