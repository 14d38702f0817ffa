// isa/iret.c: IRET in every mode.
#include "isa/exec.h"

#include <stddef.h>
#include <string.h>
#include "isa/far.h"
#include "isa/farcs.h"
#include "isa/frame.h"
#include "isa/task.h"
#include "isa/tables.h"

uint64_t isa_flags_writable(const struct isa_cpu *c, unsigned osz, bool iret)
{
    uint64_t w = ISA_FL_STATUS | ISA_FL_TF | ISA_FL_DF | ISA_FL_NT;
    unsigned iopl = (c->rflags_sys & ISA_FL_IOPL) >> ISA_FL_IOPL_SHIFT;
    if (osz > 2)
        w |= ISA_FL_AC | ISA_FL_ID | (iret ? ISA_FL_RF : 0);
    if (c->cpl <= iopl)
        w |= ISA_FL_IF;
    if (c->cpl == 0) {
        w |= ISA_FL_IOPL;
        if (iret && osz > 2 && c->mode != ISA_REAL)
            w |= ISA_FL_VIF | ISA_FL_VIP;
    }
    return w;
}

static void load_flags(struct isa_cpu *c, uint64_t fl, uint64_t writable)
{
    isa_set_rflags(c, (isa_rflags(c) & ~(writable | ISA_FL_RF)) | (fl & writable));
    c->blocking &= ~(ISA_BLOCK_STI | ISA_BLOCK_MOVSS);
    if ((c->rflags_sys & ISA_FL_RF) && c->rf_lazy && c->at) {
        c->rflags_sys &= ~ISA_FL_RF;
        c->rf_at = c->insns + c->at->idx + 1;
    }
    isa_flags_loaded(c);
}

static int iret_paragraphs(struct isa_cpu *c, unsigned osz)
{
    uint64_t rip, cs, fl;
    int r;
    if ((r = isa_stack_read(c, 0, osz, &rip)) || (r = isa_stack_read(c, osz, osz, &cs)) ||
        (r = isa_stack_read(c, 2 * osz, osz, &fl)))
        return r;
    struct isa_seg seg = c->mode == ISA_V86 ? isa_seg_v86((uint16_t)cs) : isa_seg_real(&c->seg[ISA_CS], (uint16_t)cs);
    if (rip > seg.limit)
        return isa_gp0(c, ISA_RULE_GP_RIP_LIMIT);
    isa_set_sp(c, isa_sp_up(c, 3 * osz));
    load_flags(c, fl, isa_flags_writable(c, osz, true));
    c->seg[ISA_CS] = seg;
    c->rip = rip;
    isa_update_mode(c);
    c->env->on_seg(c, ISA_CS, seg.sel);
    return 0;
}

// Out of a nested task: the back link in the current TSS names the task to resume.
static int iret_task(struct isa_cpu *c, const struct isa_insn *i)
{
    uint16_t link;
    struct isa_desc d;
    int r = isa_sys_read(c, c->seg[ISA_TR].base, &link, 2);
    if (r)
        return r;
    uint32_t err = link & 0xfffc;
    if ((link & 4) || !err)
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_LINK);
    if ((r = isa_desc_get(c, link, ISA_X_TS, &d)))
        return r;
    unsigned type = isa_seg_type(&d.seg);
    if ((d.seg.ar & ISA_AR_S) || (type != ISA_SYS_TSS16_BUSY && type != ISA_SYS_TSS32_BUSY))
        return isa_raise(c, ISA_X_TS, err, ISA_RULE_TS_LINK_BUSY);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_TSS);
    return isa_task_switch(c, i, &d, ISA_TASK_IRET, isa_next_rip(c, i), false, 0);
}

static int iret_to_v86(struct isa_cpu *c, uint64_t rip, uint16_t cs, uint64_t fl)
{
    static const uint8_t order[] = {ISA_SS, ISA_ES, ISA_DS, ISA_FS, ISA_GS};
    uint64_t esp, v[5];
    int r = isa_stack_read(c, 12, 4, &esp);
    for (unsigned k = 0; !r && k < 5; k++)
        r = isa_stack_read(c, 16 + 4 * k, 4, &v[k]);
    if (r)
        return r;
    if (rip > 0xffff)
        return isa_gp0(c, ISA_RULE_GP_RIP_LIMIT);
    unsigned from = c->cpl;
    load_flags(c, fl, UINT64_MAX);
    c->seg[ISA_CS] = isa_seg_v86(cs);
    for (unsigned k = 0; k < 5; k++)
        c->seg[order[k]] = isa_seg_v86((uint16_t)v[k]);
    c->gpr[ISA_RSP] = (uint32_t)esp;
    c->rip = rip;
    isa_update_mode(c);
    c->env->on_seg(c, ISA_CS, cs);
    c->env->on_ring(c, from, c->cpl);
    return 0;
}

struct iret_frame {
    uint64_t rip, cs, fl, rsp, ss;
};

// The usual frame: five words of a 64-bit stack, in one page that the inline TLB knows. Else the words are read when their turn comes.
static bool read_at_once(const struct isa_cpu *c, unsigned osz, struct iret_frame *f)
{
    if (c->mode != ISA_LONG64 || osz != 8 || (c->cpl == 3 && (c->rflags_sys & ISA_FL_AC))) // which may check alignment
        return false;
    const void *p = isa_mirror_at(c, c->gpr[ISA_RSP], sizeof *f, ISA_ACC_R);
    if (p)
        memcpy(f, p, sizeof *f);
    return p;
}

static int iret_protected(struct isa_cpu *c, unsigned osz)
{
    struct iret_frame f = {0};
    struct isa_desc d;
    struct isa_seg new_ss;
    int r;
    const bool known = read_at_once(c, osz, &f);
    if (!known && ((r = isa_stack_read(c, 0, osz, &f.rip)) || (r = isa_stack_read(c, osz, osz, &f.cs)) ||
                   (r = isa_stack_read(c, 2 * osz, osz, &f.fl))))
        return r;
    const uint64_t rip = f.rip, cs = f.cs, fl = f.fl;
    if (osz == 4 && (fl & ISA_FL_VM) && c->cpl == 0 && !isa_long(c))
        return iret_to_v86(c, rip, (uint16_t)cs, fl);
    if ((r = isa_cs_return(c, (uint16_t)cs, &d)))
        return r;
    unsigned cpl = cs & 3, from = c->cpl;
    bool pops_stack = cpl != from || c->mode == ISA_LONG64;
    if (pops_stack && !known && ((r = isa_stack_read(c, 3 * osz, osz, &f.rsp)) || (r = isa_stack_read(c, 4 * osz, osz, &f.ss))))
        return r;
    if (pops_stack && (r = isa_ss_return(c, (uint16_t)f.ss, cpl, d.seg.ar & ISA_AR_L, &new_ss)))
        return r;
    if ((r = isa_cs_target(c, &d.seg, rip)) || (r = isa_desc_access(c, &d)))
        return r;
    load_flags(c, fl, isa_flags_writable(c, osz, true));
    if (pops_stack) {
        isa_cs_commit(c, d.seg, &new_ss, cpl, rip);
        isa_set_sp(c, f.rsp);
        if (cpl != from) {
            isa_seg_drop_inner(c, cpl);
            isa_update_mode(c);
        }
    } else {
        isa_set_sp(c, isa_sp_up(c, 3 * osz));
        isa_cs_commit(c, d.seg, NULL, cpl, rip);
    }
    return 0;
}

static int iret(struct isa_cpu *c, const struct isa_insn *i, unsigned osz)
{
    if (c->mode == ISA_REAL)
        return iret_paragraphs(c, osz);
    if (c->mode == ISA_V86) {
        if ((c->rflags_sys & ISA_FL_IOPL) != ISA_FL_IOPL)
            return isa_gp0(c, ISA_RULE_GP_V86_IOPL);
        return iret_paragraphs(c, osz);
    }
    if (c->rflags_sys & ISA_FL_NT)
        return isa_long(c) ? isa_gp0(c, ISA_RULE_GP_IRET_NT) : iret_task(c, i);
    return iret_protected(c, osz);
}

// Blocking by NMI ends whether or not the IRET succeeds (manual, "Handling Multiple NMIs").
int isa_iret(struct isa_cpu *c, const struct isa_insn *i, unsigned osz)
{
    if (!c->iret_keeps_nmi && (c->blocking & ISA_BLOCK_NMI)) {
        c->blocking &= ~ISA_BLOCK_NMI;
        c->iret_unblocked = true;
        c->attention = 1; // one may be waiting
    }
    int r = iret(c, i, osz);
    if (r != ISA_R_FAULT && r != ISA_R_VMEXIT)
        c->iret_unblocked = false;
    return r;
}
