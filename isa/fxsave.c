// isa/fxsave.c: the images of floating-point state in memory: FXSAVE and FXRSTOR, FSAVE and FRSTOR, FSTENV and FLDENV.
//
// FXSAVE area: 0 FCW, 2 FSW, 4 tags (a bit per physical register), 6 FOP, 8 FIP, 16 FDP, 24 MXCSR, 28 MXCSR_MASK, 32 ST(0)..ST(7) in
// 16 bytes each, 160 XMM0..XMM15. Without REX.W, FIP and FDP have 32 bits and a selector (0) behind them.
// FSAVE image: an environment of 14 or 28 bytes by operand size, then ST(0)..ST(7) in 10 bytes each.
// MANUAL     "x87 FPU State in Memory", the instructions' own pages.
#include "isa/fpu.h"
#include "isa/mem.h"

static void put(uint8_t *p, uint64_t v, unsigned n) { memcpy(p, &v, n); }
static uint64_t get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

// Areas of more than 64 bytes, in pieces that the machine takes. Writes are all checked before the first one is made.
static int load(struct isa_cpu *c, const struct isa_insn *i, uint8_t *p, unsigned n, uint64_t *la)
{
    int r = isa_operand_la(c, i, n, ISA_ACC_R, la);
    for (unsigned k = 0; !r && k < n; k += 64)
        r = isa_ld_slow(c, *la + k, p + k, n - k < 64 ? n - k : 64, ISA_ACC_R);
    return r;
}
static int store(struct isa_cpu *c, uint64_t la, const uint8_t *p, unsigned n)
{
    int r = 0;
    for (unsigned k = 0; !r && k < n; k += 64)
        r = isa_probe_w(c, la + k, n - k < 64 ? n - k : 64, ISA_ACC_W);
    for (unsigned k = 0; !r && k < n; k += 64)
        r = isa_st_slow(c, la + k, p + k, n - k < 64 ? n - k : 64, ISA_ACC_W);
    return r;
}

// --- FXSAVE

void isa_fx_put_x87(const struct isa_cpu *c, uint8_t *a, bool wide)
{
    const struct isa_x87 *x = &c->x87;
    put(a, x->cw, 2);
    put(a + 2, x->sw, 2);
    put(a + 4, x->valid, 2);
    put(a + 6, x->fop, 2);
    put(a + 8, wide ? x->fip : (uint32_t)x->fip, 8);
    put(a + 16, wide ? x->fdp : (uint32_t)x->fdp, 8);
    for (unsigned k = 0; k < 8; k++) {
        const struct isa_f80 *r = &x->r[isa_x87_phys(x, k)];
        put(a + 32 + 16 * k, r->sig, 8);
        put(a + 40 + 16 * k, r->se, 8);
    }
}

// The instruction pointer has 57 bits.
static uint64_t canonical(uint64_t v) { return (uint64_t)((int64_t)(v << 7) >> 7); }

void isa_fx_get_x87(struct isa_cpu *c, const uint8_t *a, bool wide)
{
    struct isa_x87 *x = &c->x87;
    x->cw = (uint16_t)((get(a, 2) & 0x1f3f) | 0x40);
    x->sw = (uint16_t)get(a + 2, 2);
    x->valid = a[4];
    x->fop = (uint16_t)(get(a + 6, 2) & 0x7ff);
    x->fip = wide ? canonical(get(a + 8, 8)) : get(a + 8, 4);
    x->fdp = get(a + 16, wide ? 8 : 4);
    for (unsigned k = 0; k < 8; k++) {
        struct isa_f80 *r = &x->r[isa_x87_phys(x, k)];
        r->sig = get(a + 32 + 16 * k, 8);
        r->se = (uint16_t)get(a + 40 + 16 * k, 2);
    }
    isa_x87_summary(x);
}

static unsigned xmm_count(const struct isa_cpu *c) { return !(c->cr4 & ISA_CR4_OSFXSR) ? 0 : c->mode == ISA_LONG64 ? 16 : 8; }

static int fx_operand(struct isa_cpu *c, const struct isa_insn *i, unsigned acc, uint64_t *la)
{
    int r = isa_x87_on(c, false);
    if (r || (r = isa_operand_la(c, i, 512, acc, la)))
        return r;
    return *la & 15 ? isa_gp0(c, ISA_RULE_GP_ALIGN_FXSAVE) : 0;
}

ISA_FPOP(fxsave)
{
    uint8_t a[416];
    uint64_t la;
    int r = fx_operand(c, i, ISA_ACC_W, &la);
    if (r)
        return r;
    isa_fx_put_x87(c, a, i->osz == 8);
    put(a + 24, c->mxcsr, 4);
    put(a + 28, ISA_MXCSR_MASK, 4);
    memcpy(a + 160, c->xmm, sizeof c->xmm);
    return store(c, la, a, 160 + 16 * xmm_count(c));
}

ISA_FPOP(fxrstor)
{
    uint8_t a[512];
    uint64_t la;
    int r = fx_operand(c, i, ISA_ACC_R, &la);
    if (r || (r = load(c, i, a, 512, &la)))
        return r;
    if (get(a + 24, 4) & ~(uint64_t)ISA_MXCSR_MASK)
        return isa_gp0(c, ISA_RULE_GP_MXCSR);
    isa_fx_get_x87(c, a, i->osz == 8);
    c->mxcsr = (uint32_t)get(a + 24, 4);
    memcpy(c->xmm, a + 160, 16 * xmm_count(c));
    return 0;
}

// --- FSAVE, FSTENV

static bool real_format(const struct isa_cpu *c) { return c->mode == ISA_REAL || c->mode == ISA_V86; }
static unsigned env_size(const struct isa_insn *i) { return i->osz == 2 ? 14 : 28; }

static void put_env(const struct isa_cpu *c, const struct isa_insn *i, uint8_t *a)
{
    const struct isa_x87 *x = &c->x87;
    unsigned n = i->osz == 2 ? 2 : 4;
    memset(a, 0, 28);
    uint64_t ones = n == 4 ? 0xffff0000u : 0;
    put(a, x->cw | ones, n);
    put(a + n, x->sw | ones, n);
    put(a + 2 * n, isa_x87_tags(x) | ones, n);
    if (real_format(c)) {
        put(a + 3 * n, (x->fip & 0xffff) | ones, n);
        put(a + 4 * n, (x->fip >> 16 & (n == 2 ? 15 : 0xffff)) << 12 | (x->fop & 0x7ff), n);
        put(a + 5 * n, (x->fdp & 0xffff) | ones, n);
        put(a + 6 * n, (x->fdp >> 16 & (n == 2 ? 15 : 0xffff)) << 12, n);
        return;
    }
    put(a + 3 * n, x->fip, n);
    put(a + 4 * n, n == 4 ? (uint64_t)(x->fop & 0x7ff) << 16 : 0, n);
    put(a + 5 * n, x->fdp, n);
    put(a + 6 * n, ones, n);
}

static void get_env(struct isa_cpu *c, const struct isa_insn *i, const uint8_t *a)
{
    struct isa_x87 *x = &c->x87;
    unsigned n = i->osz == 2 ? 2 : 4;
    x->cw = (uint16_t)((get(a, 2) & 0x1f3f) | 0x40);
    x->sw = (uint16_t)get(a + n, 2);
    isa_x87_set_tags(x, (uint16_t)get(a + 2 * n, 2));
    if (real_format(c)) {
        x->fip = get(a + 3 * n, 2) | (get(a + 4 * n, n) >> 12 & (n == 2 ? 15 : 0xffff)) << 16;
        x->fop = (uint16_t)(get(a + 4 * n, 2) & 0x7ff);
        x->fdp = get(a + 5 * n, 2) | (get(a + 6 * n, n) >> 12 & (n == 2 ? 15 : 0xffff)) << 16;
    } else {
        x->fip = get(a + 3 * n, n);
        if (n == 4)
            x->fop = (uint16_t)(get(a + 4 * n + 2, 2) & 0x7ff);
        x->fdp = get(a + 5 * n, n);
    }
    isa_x87_summary(x);
}

ISA_FPOP(fnstenv)
{
    uint8_t a[28];
    uint64_t la;
    int r = isa_x87_on(c, false);
    if (r || (r = isa_operand_la(c, i, env_size(i), ISA_ACC_W, &la)))
        return r;
    put_env(c, i, a);
    if ((r = store(c, la, a, env_size(i))))
        return r;
    c->x87.cw |= ISA_FX_ALL; // FSTENV masks all exceptions
    isa_x87_summary(&c->x87);
    return 0;
}

ISA_FPOP(fldenv)
{
    uint8_t a[28];
    uint64_t la;
    int r = isa_x87_on(c, true);
    if (r || (r = load(c, i, a, env_size(i), &la)))
        return r;
    get_env(c, i, a);
    return 0;
}

ISA_FPOP(fnsave)
{
    uint8_t a[108];
    uint64_t la;
    unsigned n = env_size(i);
    int r = isa_x87_on(c, false);
    if (r || (r = isa_operand_la(c, i, n + 80, ISA_ACC_W, &la)))
        return r;
    put_env(c, i, a);
    for (unsigned k = 0; k < 8; k++) {
        const struct isa_f80 *s = &c->x87.r[isa_x87_phys(&c->x87, k)];
        put(a + n + 10 * k, s->sig, 8);
        put(a + n + 10 * k + 8, s->se, 2);
    }
    if ((r = store(c, la, a, n + 80)))
        return r;
    isa_x87_init(&c->x87);
    return 0;
}

ISA_FPOP(frstor)
{
    uint8_t a[108];
    uint64_t la;
    unsigned n = env_size(i);
    int r = isa_x87_on(c, true);
    if (r || (r = load(c, i, a, n + 80, &la)))
        return r;
    get_env(c, i, a);
    for (unsigned k = 0; k < 8; k++) {
        struct isa_f80 *d = &c->x87.r[isa_x87_phys(&c->x87, k)];
        d->sig = get(a + n + 10 * k, 8);
        d->se = (uint16_t)get(a + n + 10 * k + 8, 2);
    }
    return 0;
}
