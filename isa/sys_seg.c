// isa/sys_seg.c: segment registers, descriptor-table registers, and queries about descriptors.
#include "isa/cr.h"
#include "isa/mem.h"
#include "isa/seg.h"
#include "isa/stack.h"
#include "isa/sysop.h"

static int read_e16(struct isa_cpu *c, const struct isa_insn *i, uint16_t *v)
{
    uint64_t la;
    int r;
    if (i->is_mem)
        return (r = isa_operand_la(c, i, 2, ISA_ACC_R, &la)) ? r : isa_ld16(c, la, v);
    *v = isa_r16(c, i->rm);
    return 0;
}

// A selector or such to a register (zero-extended to the operand size) or to 16 bits of memory.
static int write_e16(struct isa_cpu *c, const struct isa_insn *i, uint16_t v)
{
    uint64_t la;
    int r;
    if (i->is_mem)
        return (r = isa_operand_la(c, i, 2, ISA_ACC_W, &la)) ? r : isa_st16(c, la, v);
    isa_wreg(c, i->rm, i->osz, v);
    return 0;
}

// --- segment registers

ISA_SYSOP(mov_e_s)
{
    if (i->reg > ISA_GS)
        return isa_ud(c, ISA_RULE_UD_SREG);
    return write_e16(c, i, c->seg[i->reg].sel);
}

// Loading SS holds off interrupts and debug traps for one instruction, so that the stack pointer can follow.
static void ss_loaded(struct isa_cpu *c)
{
    c->blocking |= ISA_BLOCK_MOVSS;
    c->attention = 1;
}

ISA_SYSOP(mov_s_e)
{
    uint16_t sel;
    int r;
    if (i->reg == ISA_CS)
        return isa_ud(c, ISA_RULE_UD_MOV_CS);
    if (i->reg > ISA_GS)
        return isa_ud(c, ISA_RULE_UD_SREG);
    if ((r = read_e16(c, i, &sel)) || (r = isa_seg_load(c, i->reg, sel)))
        return r;
    if (i->reg == ISA_SS)
        ss_loaded(c);
    return 0;
}

ISA_SYSOP(push_seg) { return isa_push(c, i->osz, c->seg[i->rm].sel); }

ISA_SYSOP(pop_seg)
{
    uint64_t v, rsp = c->gpr[ISA_RSP];
    int r = isa_pop(c, i->osz, &v);
    if (r)
        return r;
    if ((r = isa_seg_load(c, i->rm, (uint16_t)v))) {
        c->gpr[ISA_RSP] = rsp;
        return r;
    }
    if (i->rm == ISA_SS)
        ss_loaded(c);
    return 0;
}

ISA_SYSOP(lseg)
{
    uint64_t la, off = 0;
    uint16_t sel;
    int r;
    if ((r = isa_operand_la(c, i, i->osz + 2u, ISA_ACC_R, &la)) || (r = isa_ld_slow(c, la, &off, i->osz, ISA_ACC_R)) ||
        (r = isa_ld16(c, la + i->osz, &sel)) || (r = isa_seg_load(c, i->rm, sel)))
        return r;
    isa_wreg(c, i->reg, i->osz, off);
    return 0;
}

// --- GDTR, IDTR

static int umip(struct isa_cpu *c) { return c->cpl && (c->cr4 & ISA_CR4_UMIP) ? isa_gp0(c, ISA_RULE_GP_UMIP) : 0; }

static int store_dtr(struct isa_cpu *c, const struct isa_insn *i, const struct isa_dtr *d)
{
    uint8_t b[10];
    unsigned n = c->mode == ISA_LONG64 ? 10 : 6;
    uint64_t la;
    int r = umip(c);
    if (r || (r = isa_icpt(c, i, ISA_ICPT_DTR_GDTR_IDTR, isa_raw_la(c, i), NULL)))
        return r;
    memcpy(b, &d->limit, 2);
    memcpy(b + 2, &d->base, 8);
    return (r = isa_operand_la(c, i, n, ISA_ACC_W, &la)) ? r : isa_st_slow(c, la, b, n, ISA_ACC_W);
}

static int load_dtr(struct isa_cpu *c, const struct isa_insn *i, struct isa_dtr *d)
{
    uint8_t b[10] = {0};
    unsigned n = c->mode == ISA_LONG64 ? 10 : 6;
    uint64_t la;
    struct isa_dtr new;
    int r = isa_need_cpl0(c);
    if (r || (r = isa_icpt(c, i, ISA_ICPT_DTR_GDTR_IDTR, isa_raw_la(c, i), NULL)) ||
        (r = isa_operand_la(c, i, n, ISA_ACC_R, &la)) || (r = isa_ld_slow(c, la, b, n, ISA_ACC_R)))
        return r;
    memcpy(&new.limit, b, 2);
    memcpy(&new.base, b + 2, 8);
    if (c->mode == ISA_LONG64 && !isa_canonical_base(c, new.base))
        return isa_gp0(c, ISA_RULE_GP_BASE_CANONICAL);
    if (i->osz == 2)
        new.base &= 0xffffff;
    *d = new;
    return 0;
}

ISA_SYSOP(sgdt) { return store_dtr(c, i, &c->gdtr); }
ISA_SYSOP(sidt) { return store_dtr(c, i, &c->idtr); }
ISA_SYSOP(lgdt) { return load_dtr(c, i, &c->gdtr); }
ISA_SYSOP(lidt) { return load_dtr(c, i, &c->idtr); }

// --- LDTR, TR

static int ldtr_tr_icpt(struct isa_cpu *c, const struct isa_insn *i)
{
    return isa_icpt(c, i, ISA_ICPT_DTR_LDTR_TR, i->is_mem ? isa_raw_la(c, i) : 0, NULL);
}

static int store_sel(struct isa_cpu *c, const struct isa_insn *i, unsigned s)
{
    int r = umip(c);
    if (r || (r = ldtr_tr_icpt(c, i)))
        return r;
    return write_e16(c, i, c->seg[s].sel);
}

ISA_SYSOP(sldt) { return store_sel(c, i, ISA_LDTR); }
ISA_SYSOP(str) { return store_sel(c, i, ISA_TR); }

ISA_SYSOP(lldt)
{
    uint16_t sel;
    int r = isa_need_cpl0(c);
    if (r || (r = ldtr_tr_icpt(c, i)) || (r = read_e16(c, i, &sel)))
        return r;
    return isa_load_ldtr(c, sel);
}

ISA_SYSOP(ltr)
{
    uint16_t sel;
    int r = isa_need_cpl0(c);
    if (r || (r = ldtr_tr_icpt(c, i)) || (r = read_e16(c, i, &sel)))
        return r;
    return isa_load_tr(c, sel);
}

// --- LAR, LSL, VERR, VERW, ARPL: answers in ZF, no fault for a bad selector

static void set_zf(struct isa_cpu *c, bool zf) { isa_set_status(c, (isa_status(c) & ~ISA_FL_ZF) | (zf ? ISA_FL_ZF : 0)); }

// Fetch the descriptor that the source operand names: *ok says whether there is one that CPL and RPL may look at.
static int query(struct isa_cpu *c, const struct isa_insn *i, struct isa_desc *d, bool *ok)
{
    uint16_t sel;
    int r = read_e16(c, i, &sel);
    *ok = false;
    if (r || !(sel & ~3))
        return r;
    r = isa_desc_read(c, sel, d);
    if (r)
        return r == ISA_DESC_LIMIT ? 0 : r;
    unsigned dpl = isa_dpl(&d->seg);
    *ok = isa_seg_conforming(&d->seg) || (c->cpl <= dpl && (sel & 3u) <= dpl);
    return 0;
}

static bool system_type_in(const struct isa_cpu *c, const struct isa_desc *d, uint16_t legacy, uint16_t ia32e)
{
    return (d->seg.ar & ISA_AR_S) || ((isa_long(c) ? ia32e : legacy) >> isa_seg_type(&d->seg) & 1);
}

ISA_SYSOP(lar)
{
    struct isa_desc d;
    bool ok;
    int r = query(c, i, &d, &ok);
    if (r)
        return r;
    // TSSs, LDTs, call gates, task gates
    ok = ok && system_type_in(c, &d, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12,
                              1 << 2 | 1 << 9 | 1 << 11 | 1 << 12);
    if (ok)
        isa_wreg(c, i->reg, i->osz, d.lo >> 32 & (i->osz == 2 ? 0xff00 : 0xf0ff00));
    set_zf(c, ok);
    return 0;
}

ISA_SYSOP(lsl)
{
    struct isa_desc d;
    bool ok;
    int r = query(c, i, &d, &ok);
    if (r)
        return r;
    ok = ok && system_type_in(c, &d, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11, 1 << 2 | 1 << 9 | 1 << 11);
    if (ok)
        isa_wreg(c, i->reg, i->osz, d.seg.limit);
    set_zf(c, ok);
    return 0;
}

ISA_SYSOP(verr)
{
    struct isa_desc d;
    bool ok;
    int r = query(c, i, &d, &ok);
    if (!r)
        set_zf(c, ok && (d.seg.ar & ISA_AR_S) && (!isa_seg_is_code(&d.seg) || (d.seg.ar & ISA_TY_READ)));
    return r;
}

ISA_SYSOP(verw)
{
    struct isa_desc d;
    bool ok;
    int r = query(c, i, &d, &ok);
    if (!r)
        set_zf(c, ok && isa_seg_is_data(&d.seg) && (d.seg.ar & ISA_TY_WRITE));
    return r;
}

ISA_SYSOP(arpl)
{
    uint64_t la = 0;
    uint16_t dst, src = isa_r16(c, i->reg);
    int r;
    if (i->is_mem) {
        if ((r = isa_operand_la(c, i, 2, ISA_ACC_W, &la)) || (r = isa_ldw16(c, la, &dst)))
            return r;
    } else {
        dst = isa_r16(c, i->rm);
    }
    bool raise = (dst & 3) < (src & 3);
    if (raise) {
        dst = (uint16_t)((dst & ~3) | (src & 3));
        if (i->is_mem && (r = isa_st16(c, la, dst)))
            return r;
        if (!i->is_mem)
            isa_w16(c, i->rm, dst);
    }
    set_zf(c, raise);
    return 0;
}
