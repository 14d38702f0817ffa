// isa/xsave.c: XSAVE, XRSTOR, XSAVEOPT, XSAVEC, XSAVES, XRSTORS, XGETBV: the state components x87, SSE, and those of isa/xstate.def.
//
// IN USE   a component in its initial state counts as not in use: XSAVEOPT, XSAVEC and XSAVES leave it out. Modifications are not
//          tracked.
// XSS      supervisor components are handled by XSAVES and XRSTORS alone, where IA32_XSS enables them.
// MANUAL   "Managing State Using the XSAVE Feature Set".
#include "isa/cr.h"
#include "isa/fpu.h"
#include "isa/mem.h"
#include "isa/mpx.h"
#include "isa/sysop.h"
#include "isa/xstate.h"

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

// --- components

static bool x87_in_use(const struct isa_x87 *x)
{
    uint64_t any = x->sw | x->valid | x->fop | x->fip | x->fdp;
    for (unsigned k = 0; k < 8; k++)
        any |= x->r[k].sig | x->r[k].se;
    return any || x->cw != ISA_FCW_INIT;
}
static bool any_set(const union isa_vec v[16])
{
    uint64_t any = 0;
    for (unsigned k = 0; k < 16; k++)
        any |= v[k].q[0] | v[k].q[1];
    return any != 0;
}
static bool component_in_use(const struct isa_cpu *c, unsigned k)
{
    uint64_t any = 0;
    switch (k) {
    case ISA_XSTATE_AVX: return any_set(c->ymmh);
    case ISA_XSTATE_BNDREGS:
        for (unsigned n = 0; n < 4; n++)
            any |= c->bnd[n].lb | c->bnd[n].ub;
        return any;
    case ISA_XSTATE_BNDCSR: return c->bndcfgu | c->bndstatus;
    case ISA_XSTATE_PKRU: return c->pkru;
    default: return c->pm_ctl1 != ISA_PM_CTL1_INIT;
    }
}
static uint64_t in_use(const struct isa_cpu *c)
{
    uint64_t used = (x87_in_use(&c->x87) ? ISA_XS_X87 : 0) | (any_set(c->xmm) ? ISA_XS_SSE : 0);
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        used |= (uint64_t)component_in_use(c, k) << isa_xstate[k].bit;
    return used;
}
// To the compacting instructions and XGETBV, MXCSR belongs to the SSE component.
static uint64_t in_use_mxcsr(const struct isa_cpu *c) { return in_use(c) | (c->mxcsr != ISA_MXCSR_INIT ? ISA_XS_SSE : 0); }
uint64_t isa_xinuse(const struct isa_cpu *c) { return in_use_mxcsr(c); }

// Of the vector registers only 0..7 exist outside 64-bit mode: bytes of their halves, and of what is stored of component k.
static unsigned xmm_bytes(const struct isa_cpu *c) { return c->mode == ISA_LONG64 ? 256 : 128; }
static unsigned component_bytes(const struct isa_cpu *c, unsigned k)
{
    return k == ISA_XSTATE_AVX ? xmm_bytes(c) : isa_xstate[k].size;
}

// Component k of isa/xstate.def as bytes, and back (NULL: its initial state).
union any_component {
#define X(id, bit, feature, offset, size, aligned, text) uint8_t id[size];
#include "isa/xstate.def"
#undef X
};
#define COMPONENT_MAX sizeof(union any_component)
static void put_component(const struct isa_cpu *c, unsigned k, uint8_t *p)
{
    switch (k) {
    case ISA_XSTATE_AVX: memcpy(p, c->ymmh, sizeof c->ymmh); break;
    case ISA_XSTATE_BNDREGS: memcpy(p, c->bnd, sizeof c->bnd); break;
    case ISA_XSTATE_BNDCSR: memcpy(p, (const uint64_t[8]){c->bndcfgu, c->bndstatus}, 64); break;
    case ISA_XSTATE_PKRU: memcpy(p, &(uint64_t){c->pkru}, 8); break;
    case ISA_XSTATE_HDC: memcpy(p, &c->pm_ctl1, 8); break;
    }
}
static void get_component(struct isa_cpu *c, unsigned k, const uint8_t *p)
{
    switch (k) {
    case ISA_XSTATE_AVX:
        if (p)
            memcpy(c->ymmh, p, xmm_bytes(c));
        else
            memset(c->ymmh, 0, xmm_bytes(c));
        break;
    case ISA_XSTATE_BNDREGS: p ? memcpy(c->bnd, p, sizeof c->bnd) : memset(c->bnd, 0, sizeof c->bnd); break;
    case ISA_XSTATE_BNDCSR:
        isa_set_bndcfgu(c, p ? get64(p) : 0);
        c->bndstatus = p ? get64(p + 8) : 0;
        break;
    case ISA_XSTATE_PKRU: isa_set_pkru(c, p ? (uint32_t)get64(p) : 0); break;
    case ISA_XSTATE_HDC: c->pm_ctl1 = p ? get64(p) : ISA_PM_CTL1_INIT; break;
    }
}

// What WRMSR would refuse XRSTORS refuses too.
static bool component_ok(unsigned k, const uint8_t *p) { return k != ISA_XSTATE_HDC || !(get64(p) & ~ISA_PM_CTL1_MASK); }

// --- what all have in common

static uint64_t asked(const struct isa_cpu *c) { return isa_r32(c, ISA_RAX) | c->gpr[ISA_RDX] << 32; }

static int operand(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc, uint64_t *la)
{
    int r = isa_operand_la(c, i, n, acc, la);
    if (r)
        return r;
    return *la & 63 ? isa_gp0(c, ISA_RULE_GP_ALIGN_XSAVE) : 0;
}

// Checks of every instruction. rfbm: the components that EDX:EAX, XCR0 and for the supervisor's instructions IA32_XSS ask for.
static int begin(struct isa_cpu *c, const struct isa_insn *i, uint64_t *rfbm)
{
    if (!(c->cr4 & ISA_CR4_OSXSAVE))
        return isa_ud(c, ISA_RULE_UD_OSXSAVE);
    if (c->cr0 & ISA_CR0_TS)
        return isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_TS);
    *rfbm = c->xcr0 & asked(c);
    return 0;
}
static int begin_supervisor(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t *rfbm)
{
    int r;
    if (!(c->cr4 & ISA_CR4_OSXSAVE))
        return isa_ud(c, ISA_RULE_UD_OSXSAVE);
    if ((r = isa_icpt(c, i, point, asked(c) & c->xss, NULL)) || (r = isa_need_cpl0(c)) || (r = begin(c, i, rfbm)))
        return r;
    *rfbm = (c->xcr0 | c->xss) & asked(c);
    return 0;
}

// --- saving

// Pieces of the area that are written.
struct piece {
    unsigned at, n;
    const uint8_t *from;
};
#define PIECES (5 + ISA_XSTATE_NUM)
static int store(struct isa_cpu *c, uint64_t la, const struct piece *p, unsigned count)
{
    int r = 0;
    for (unsigned pass = 0; pass < 2; pass++) // everything is checked before anything is written
        for (unsigned j = 0; j < count; j++)
            for (unsigned k = 0; !r && k < p[j].n; k += 64) {
                unsigned n = p[j].n - k < 64 ? p[j].n - k : 64;
                uint64_t at = la + p[j].at + k;
                r = pass ? isa_st_slow(c, at, p[j].from + k, n, ISA_ACC_W) : isa_probe_w(c, at, n, ISA_ACC_W);
            }
    return r;
}

// What is saved where.
struct plan {
    uint64_t mask;     // these components
    bool mxcsr;        // MXCSR
    uint64_t bv, comp; // XSTATE_BV; XCOMP_BV, with bit 63 for the compacted format
};
static int save(struct isa_cpu *c, const struct isa_insn *i, uint64_t la, const struct plan *s)
{
    static const uint32_t mxcsr_mask = ISA_MXCSR_MASK;
    uint8_t a[ISA_XSAVE_AREA] = {0}, more[ISA_XSTATE_NUM][COMPONENT_MAX];
    struct piece p[PIECES];
    unsigned n = 0;
    isa_fx_put_x87(c, a, i->osz == 8);
    memcpy(a + 24, &c->mxcsr, 4);
    memcpy(a + 28, &mxcsr_mask, 4);
    memcpy(a + 160, c->xmm, 256);
    memcpy(a + ISA_XSAVE_HEADER, &s->bv, 8);
    memcpy(a + ISA_XSAVE_HEADER + 8, &s->comp, 8);
    if (s->mask & ISA_XS_X87) {
        p[n++] = (struct piece){0, 24, a};
        p[n++] = (struct piece){32, 128, a + 32};
    }
    if (s->mxcsr)
        p[n++] = (struct piece){24, 8, a + 24};
    if (s->mask & ISA_XS_SSE)
        p[n++] = (struct piece){160, xmm_bytes(c), a + 160};
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        if (s->mask >> isa_xstate[k].bit & 1) {
            put_component(c, k, more[k]);
            p[n++] = (struct piece){isa_xstate_at(k, s->comp), component_bytes(c, k), more[k]};
        }
    p[n++] = (struct piece){ISA_XSAVE_HEADER, s->comp ? 16 : 8, a + ISA_XSAVE_HEADER};
    return store(c, la, p, n);
}

// The standard format keeps MXCSR for both components of the vector registers, the compacted one for SSE alone.
#define WITH_MXCSR (ISA_XS_SSE | ISA_XS_AVX)

static int save_standard(struct isa_cpu *c, const struct isa_insn *i, bool optimize)
{
    uint64_t la, rfbm = 0, old = 0;
    int r = begin(c, i, &rfbm);
    if (r || (r = operand(c, i, isa_xstate_size(rfbm, false), ISA_ACC_W, &la)) || (r = isa_ld64(c, la + ISA_XSAVE_HEADER, &old)))
        return r;
    uint64_t used = in_use(c), mask = rfbm & (optimize ? used : ~0ull);
    return save(c, i, la, &(struct plan){mask, rfbm & WITH_MXCSR, (old & ~rfbm) | (used & rfbm), 0});
}
ISA_FPOP(xsave) { return save_standard(c, i, false); }
ISA_FPOP(xsaveopt) { return save_standard(c, i, true); }

static int save_compact(struct isa_cpu *c, const struct isa_insn *i, uint64_t rfbm)
{
    uint64_t la, mask = in_use_mxcsr(c) & rfbm;
    int r = operand(c, i, isa_xstate_size(rfbm, true), ISA_ACC_W, &la);
    return r ? r : save(c, i, la, &(struct plan){mask, mask & ISA_XS_SSE, mask, rfbm | ISA_XS_COMPACT});
}
ISA_FPOP(xsavec)
{
    uint64_t rfbm = 0;
    int r = begin(c, i, &rfbm);
    return r ? r : save_compact(c, i, rfbm);
}
ISA_FPOP(xsaves)
{
    uint64_t rfbm = 0;
    int r = begin_supervisor(c, i, ISA_ICPT_XSAVES, &rfbm);
    return r ? r : save_compact(c, i, rfbm);
}

// --- restoring

// The header must make sense: #GP otherwise. may: the components that the instruction can handle.
static bool header_ok(struct isa_cpu *c, const uint8_t *h, uint64_t may, bool supervisor)
{
    uint64_t bv = get64(h), comp = get64(h + 8), rest = 0;
    bool compact = comp & ISA_XS_COMPACT;
    for (unsigned k = compact ? 16 : 8; k < (compact ? 64 : 24); k += 8)
        rest |= get64(h + k);
    if (rest || (bv & ~may))
        return false;
    if (!compact)
        return !supervisor;
    uint32_t cpuid[4];
    c->env->cpuid(c, 0xd, 1, cpuid);
    bool known = supervisor || (cpuid[0] >> isa_feature_info[ISA_FEAT_XSAVEC].bit & 1);
    return known && !(comp & ~may & ~ISA_XS_COMPACT) && !(bv & ~comp);
}

static void restore_legacy(struct isa_cpu *c, const uint8_t *a, uint64_t rfbm, uint64_t bv, bool wide)
{
    if ((rfbm & ISA_XS_X87) && (bv & ISA_XS_X87)) {
        isa_fx_get_x87(c, a, wide);
    } else if (rfbm & ISA_XS_X87) {
        memset(c->x87.r, 0, sizeof c->x87.r);
        isa_x87_init(&c->x87);
    }
    if ((rfbm & ISA_XS_SSE) && (bv & ISA_XS_SSE))
        memcpy(c->xmm, a + 160, xmm_bytes(c));
    else if (rfbm & ISA_XS_SSE)
        memset(c->xmm, 0, xmm_bytes(c));
}

static int load_component(struct isa_cpu *c, uint64_t la, unsigned k, uint8_t *to)
{
    int r = 0;
    for (unsigned at = 0, size = component_bytes(c, k); !r && at < size; at += 64)
        r = isa_ld_slow(c, la + at, to + at, size - at < 64 ? size - at : 64, ISA_ACC_R);
    return r;
}

static int restore(struct isa_cpu *c, const struct isa_insn *i, uint64_t rfbm, bool supervisor)
{
    uint8_t a[ISA_XSAVE_AREA], more[ISA_XSTATE_NUM][COMPONENT_MAX];
    uint64_t la;
    int r = operand(c, i, ISA_XSAVE_AREA, ISA_ACC_R, &la);
    for (unsigned k = 0; !r && k < ISA_XSAVE_AREA; k += 64)
        r = isa_ld_slow(c, la + k, a + k, 64, ISA_ACC_R);
    if (r)
        return r;
    if (!header_ok(c, a + ISA_XSAVE_HEADER, supervisor ? c->xcr0 | c->xss : c->xcr0, supervisor))
        return isa_gp0(c, ISA_RULE_GP_XSAVE_HEADER);
    uint64_t bv = get64(a + ISA_XSAVE_HEADER), comp = get64(a + ISA_XSAVE_HEADER + 8);
    bool compact = comp & ISA_XS_COMPACT;
    if ((r = operand(c, i, isa_xstate_size(compact ? comp : rfbm, compact), ISA_ACC_R, &la)))
        return r;
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        if ((rfbm & bv) >> isa_xstate[k].bit & 1 && (r = load_component(c, la + isa_xstate_at(k, comp), k, more[k])))
            return r;
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        if ((rfbm & bv) >> isa_xstate[k].bit & 1 && !component_ok(k, more[k]))
            return isa_gp0(c, ISA_RULE_GP_MSR_VALUE);
    uint32_t mxcsr;
    memcpy(&mxcsr, a + 24, 4);
    // The standard format loads MXCSR whether or not the SSE state is in its initial form.
    bool load_mxcsr = compact ? rfbm & bv & ISA_XS_SSE : rfbm & WITH_MXCSR;
    if (load_mxcsr && mxcsr & ~ISA_MXCSR_MASK)
        return isa_gp0(c, ISA_RULE_GP_MXCSR);
    restore_legacy(c, a, rfbm, bv, i->osz == 8);
    if (load_mxcsr)
        c->mxcsr = mxcsr;
    else if (rfbm & ISA_XS_SSE)
        c->mxcsr = ISA_MXCSR_INIT;
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        if (rfbm >> isa_xstate[k].bit & 1)
            get_component(c, k, bv >> isa_xstate[k].bit & 1 ? more[k] : NULL);
    return 0;
}
ISA_FPOP(xrstor)
{
    uint64_t rfbm = 0;
    int r = begin(c, i, &rfbm);
    return r ? r : restore(c, i, rfbm, false);
}
ISA_FPOP(xrstors)
{
    uint64_t rfbm = 0;
    int r = begin_supervisor(c, i, ISA_ICPT_XRSTORS, &rfbm);
    return r ? r : restore(c, i, rfbm, true);
}
