// isa/seg.c: descriptors, the checks of segment loads, and segmentation of memory operands.
#include "isa/cr.h"
#include "isa/seg.h"

#include "isa/mem.h"
#include "isa/tables.h"

// --- linear access to system structures

static int sys_la(struct isa_cpu *c, uint64_t *la, unsigned n)
{
    if (!isa_long(c)) {
        *la = (uint32_t)*la;
        return 0;
    }
    if (!isa_canonical(c, *la) || !isa_canonical(c, *la + n - 1))
        return isa_gp0(c, ISA_RULE_GP_SYS_CANONICAL);
    return 0;
}

int isa_sys_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n)
{
    isa_context_stands(c);
    // What the inline TLB knows is canonical.
    const void *p = isa_mirror_at(c, isa_long(c) ? la : (uint32_t)la, n, ISA_ACC_R | ISA_ACC_SYS);
    if (!p) {
        int r = sys_la(c, &la, n);
        return r ? r : c->env->read(c, la, buf, n, ISA_ACC_R | ISA_ACC_SYS);
    }
    if (n == 8) // a copy of a variable size is a call
        memcpy(buf, p, 8);
    else
        memcpy(buf, p, n);
    return 0;
}

int isa_sys_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n)
{
    int r = sys_la(c, &la, n);
    return r ? r : c->env->write(c, la, buf, n, ISA_ACC_W | ISA_ACC_SYS);
}

// --- descriptors

struct isa_seg isa_desc_parse(uint64_t lo, uint64_t hi, uint16_t sel)
{
    struct isa_seg s = {.sel = sel};
    s.base = (lo >> 16 & 0xffffff) | (lo >> 56 << 24) | hi << 32;
    s.limit = (uint32_t)((lo & 0xffff) | (lo >> 32 & 0xf0000));
    s.ar = (uint32_t)((lo >> 40 & 0xff) | (lo >> 40 & 0xf000));
    if (s.ar & ISA_AR_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

struct isa_gate isa_gate_parse(uint64_t lo, uint64_t hi)
{
    return (struct isa_gate){
        .sel = (uint16_t)(lo >> 16),
        .offset = (lo & 0xffff) | (lo >> 32 & 0xffff0000) | hi << 32,
        .type = lo >> 40 & 15,
        .dpl = lo >> 45 & 3,
        .present = lo >> 47 & 1,
        .params = lo >> 32 & 31,
        .ist = lo >> 32 & 7,
    };
}

int isa_desc_read(struct isa_cpu *c, uint16_t sel, struct isa_desc *d)
{
    uint64_t base = c->gdtr.base;
    uint32_t limit = c->gdtr.limit, at = sel & 0xfff8u;
    if (sel & 4) {
        const struct isa_seg *ldt = &c->seg[ISA_LDTR];
        if (ldt->ar & ISA_AR_UNUSABLE)
            return ISA_DESC_LIMIT;
        base = ldt->base;
        limit = ldt->limit;
    }
    if (at + 7 > limit)
        return ISA_DESC_LIMIT;
    *d = (struct isa_desc){.la = base + at};
    int r = isa_sys_read(c, d->la, &d->lo, 8);
    if (r)
        return r;
    bool system = !(d->lo >> 44 & 1);
    if (isa_long(c) && system) {
        if (at + 15 > limit)
            return ISA_DESC_LIMIT;
        if ((r = isa_sys_read(c, d->la + 8, &d->hi, 8)))
            return r;
    }
    d->seg = isa_desc_parse(d->lo, isa_long(c) && system ? d->hi & 0xffffffff : 0, sel);
    return 0;
}

int isa_desc_get(struct isa_cpu *c, uint16_t sel, enum isa_vector vector, struct isa_desc *d)
{
    int r = isa_desc_read(c, sel, d);
    if (r != ISA_DESC_LIMIT)
        return r;
    return isa_raise(c, vector, sel & 0xfffc, vector == ISA_X_TS ? ISA_RULE_TS_TABLE_LIMIT : ISA_RULE_GP_TABLE_LIMIT);
}

int isa_desc_access(struct isa_cpu *c, struct isa_desc *d)
{
    if (d->seg.ar & ISA_TY_ACCESSED)
        return 0;
    uint8_t access = (uint8_t)(d->lo >> 40) | ISA_TY_ACCESSED;
    int r = isa_sys_write(c, d->la + 5, &access, 1);
    if (r)
        return r;
    d->lo |= 1ull << 40;
    d->seg.ar |= ISA_TY_ACCESSED;
    return 0;
}

// --- checks

int isa_ss_check(struct isa_cpu *c, uint16_t sel, unsigned cpl, bool ts, struct isa_seg *out)
{
    enum isa_vector x = ts ? ISA_X_TS : ISA_X_GP;
    uint32_t err = sel & 0xfffc;
    if (!(sel & ~3))
        return isa_raise(c, x, 0, ts ? ISA_RULE_TS_SS_NULL : ISA_RULE_GP_SS_NULL);
    struct isa_desc d;
    int r = isa_desc_get(c, sel, x, &d);
    if (r)
        return r;
    if ((sel & 3) != cpl)
        return isa_raise(c, x, err, ts ? ISA_RULE_TS_SS_RPL : ISA_RULE_GP_SS_RPL);
    if (!isa_seg_is_data(&d.seg) || !(d.seg.ar & ISA_TY_WRITE))
        return isa_raise(c, x, err, ts ? ISA_RULE_TS_SS_TYPE : ISA_RULE_GP_SS_TYPE);
    if (isa_dpl(&d.seg) != cpl)
        return isa_raise(c, x, err, ts ? ISA_RULE_TS_SS_DPL : ISA_RULE_GP_SS_DPL);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_SS, err, ISA_RULE_SS_NOT_PRESENT);
    if ((r = isa_desc_access(c, &d)))
        return r;
    *out = d.seg;
    return 0;
}

int isa_data_check(struct isa_cpu *c, uint16_t sel, bool ts, struct isa_seg *out)
{
    enum isa_vector x = ts ? ISA_X_TS : ISA_X_GP;
    uint32_t err = sel & 0xfffc;
    if (!(sel & ~3)) {
        *out = isa_seg_null(sel);
        return 0;
    }
    struct isa_desc d;
    int r = isa_desc_get(c, sel, x, &d);
    if (r)
        return r;
    bool code = isa_seg_is_code(&d.seg);
    if (!(d.seg.ar & ISA_AR_S) || (code && !(d.seg.ar & ISA_TY_READ)))
        return isa_raise(c, x, err, ts ? ISA_RULE_TS_DATA_TYPE : ISA_RULE_GP_DATA_TYPE);
    if (!isa_seg_conforming(&d.seg) && (isa_dpl(&d.seg) < c->cpl || isa_dpl(&d.seg) < (sel & 3u)))
        return isa_raise(c, x, err, ts ? ISA_RULE_TS_DATA_DPL : ISA_RULE_GP_DATA_DPL);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_DATA);
    if ((r = isa_desc_access(c, &d)))
        return r;
    *out = d.seg;
    return 0;
}

// --- loads

struct isa_seg isa_seg_null(uint16_t sel) { return (struct isa_seg){.sel = sel, .ar = ISA_AR_UNUSABLE}; }

struct isa_seg isa_seg_v86(uint16_t sel) { return (struct isa_seg){.sel = sel, .base = sel << 4, .limit = 0xffff, .ar = 0xf3}; }

// Real mode changes base and selector alone: limit and size stay what protected mode left there ("unreal" mode). A segment that
// protected mode left null has nothing to keep.
struct isa_seg isa_seg_real(const struct isa_seg *old, uint16_t sel)
{
    struct isa_seg s = {.sel = sel, .base = (uint32_t)sel << 4, .limit = 0xffff, .ar = 0x93};
    if (!(old->ar & ISA_AR_UNUSABLE)) {
        s.limit = old->limit;
        s.ar |= old->ar & (ISA_AR_G | ISA_AR_DB);
    }
    return s;
}

static int load_ss(struct isa_cpu *c, uint16_t sel, struct isa_seg *out)
{
    if (!(sel & ~3) && c->mode == ISA_LONG64 && c->cpl != 3 && (sel & 3) == c->cpl) {
        *out = isa_seg_null(sel);
        out->ar |= (uint32_t)c->cpl << ISA_AR_DPL_SHIFT; // CPL is SS.DPL
        return 0;
    }
    return isa_ss_check(c, sel, c->cpl, false, out);
}

int isa_seg_load(struct isa_cpu *c, unsigned s, uint16_t sel)
{
    struct isa_seg new;
    if (c->mode == ISA_REAL) {
        new = isa_seg_real(&c->seg[s], sel);
    } else if (c->mode == ISA_V86) {
        new = isa_seg_v86(sel);
    } else {
        int r = s == ISA_SS ? load_ss(c, sel, &new) : isa_data_check(c, sel, false, &new);
        if (r)
            return r;
    }
    c->seg[s] = new;
    isa_update_mode(c);
    c->env->on_seg(c, s, sel);
    return 0;
}

int isa_load_ldtr(struct isa_cpu *c, uint16_t sel)
{
    if (!(sel & ~3)) {
        c->seg[ISA_LDTR] = isa_seg_null(sel);
        return 0;
    }
    if (sel & 4)
        return isa_raise(c, ISA_X_GP, sel & 0xfffc, ISA_RULE_GP_LDTR_TI);
    struct isa_desc d;
    int r = isa_desc_get(c, sel, ISA_X_GP, &d);
    if (r)
        return r;
    if ((d.seg.ar & ISA_AR_S) || isa_seg_type(&d.seg) != ISA_SYS_LDT)
        return isa_raise(c, ISA_X_GP, sel & 0xfffc, ISA_RULE_GP_LDTR_TYPE);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, sel & 0xfffc, ISA_RULE_NP_LDT);
    if (isa_long(c) && !isa_canonical_base(c, d.seg.base))
        return isa_raise(c, ISA_X_GP, 0, ISA_RULE_GP_BASE_CANONICAL);
    c->seg[ISA_LDTR] = d.seg;
    c->env->on_seg(c, ISA_LDTR, sel);
    return 0;
}

int isa_load_tr(struct isa_cpu *c, uint16_t sel)
{
    uint32_t err = sel & 0xfffc;
    if (!(sel & ~3))
        return isa_gp0(c, ISA_RULE_GP_TR_NULL);
    if (sel & 4)
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_TR_TI);
    struct isa_desc d;
    int r = isa_desc_get(c, sel, ISA_X_GP, &d);
    if (r)
        return r;
    unsigned type = isa_seg_type(&d.seg);
    if ((d.seg.ar & ISA_AR_S) || !(type == ISA_SYS_TSS32 || (type == ISA_SYS_TSS16 && !isa_long(c))))
        return isa_raise(c, ISA_X_GP, err, ISA_RULE_GP_TR_TYPE);
    if (!(d.seg.ar & ISA_AR_P))
        return isa_raise(c, ISA_X_NP, err, ISA_RULE_NP_TSS);
    if (isa_long(c) && !isa_canonical_base(c, d.seg.base))
        return isa_raise(c, ISA_X_GP, 0, ISA_RULE_GP_BASE_CANONICAL);
    uint8_t busy = (uint8_t)(d.lo >> 40) | 2;
    if ((r = isa_sys_write(c, d.la + 5, &busy, 1)))
        return r;
    d.seg.ar |= 2;
    c->seg[ISA_TR] = d.seg;
    c->env->on_seg(c, ISA_TR, sel);
    return 0;
}

void isa_seg_drop_inner(struct isa_cpu *c, unsigned cpl)
{
    static const uint8_t data[] = {ISA_ES, ISA_DS, ISA_FS, ISA_GS};
    for (unsigned k = 0; k < sizeof data; k++) {
        struct isa_seg *s = &c->seg[data[k]];
        if ((s->ar & ISA_AR_UNUSABLE) || isa_dpl(s) >= cpl || isa_seg_conforming(s))
            continue;
        // A null selector can be in a usable register (a VM entry loads any access rights). What makes it unusable here is the check of
        // its DPL, not a load of the null selector, so its base survives: for FS and GS in 64-bit mode that is thread-local storage.
        uint64_t base = s->sel & ~3u ? 0 : s->base;
        *s = isa_seg_null(0);
        s->base = base;
    }
}

// --- memory operands

static int seg_type_check(struct isa_cpu *c, unsigned s, unsigned acc)
{
    const struct isa_seg *seg = &c->seg[s];
    if (seg->ar & ISA_AR_UNUSABLE)
        return s == ISA_SS ? isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_NULL_SEG) : isa_gp0(c, ISA_RULE_GP_NULL_SEG);
    bool code = seg->ar & ISA_TY_CODE;
    bool write = acc & (ISA_ACC_W | ISA_ACC_RMW);
    if (write && (code || !(seg->ar & ISA_TY_WRITE)))
        return isa_gp0(c, ISA_RULE_GP_TYPE_WRITE);
    if (!write && code && !(seg->ar & ISA_TY_READ) && !(acc & ISA_ACC_X))
        return isa_gp0(c, ISA_RULE_GP_TYPE_READ);
    return 0;
}

static int seg_la64(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, uint64_t *la)
{
    uint64_t a = ea + (s >= ISA_FS ? c->seg[s].base : 0);
    if (!isa_canonical(c, a) || !isa_canonical(c, a + n - 1))
        return s == ISA_SS ? isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_CANONICAL) : isa_gp0(c, ISA_RULE_GP_CANONICAL);
    *la = a;
    return 0;
}

int isa_seg_la(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, unsigned acc, uint64_t *la)
{
    if (c->mode == ISA_LONG64)
        return seg_la64(c, s, ea, n, la);
    const struct isa_seg *seg = &c->seg[s];
    int r;
    if (c->mode != ISA_REAL && c->mode != ISA_V86 && (r = seg_type_check(c, s, acc)))
        return r;
    uint64_t last = ea + n - 1;
    bool down = isa_seg_is_data(seg) && (seg->ar & ISA_TY_DOWN);
    bool bad = down ? ea <= seg->limit || last > (seg->ar & ISA_AR_DB ? 0xffffffffull : 0xffff) : last > seg->limit;
    if (bad)
        return s == ISA_SS ? isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_LIMIT) : isa_gp0(c, ISA_RULE_GP_LIMIT);
    *la = (uint32_t)(seg->base + ea);
    return 0;
}
