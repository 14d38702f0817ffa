// isa/xsave.c: XSAVE, XRSTOR, XSAVEOPT, XSAVEC of the components x87 (bit 0) and SSE (bit 1).
//
// AREA     0..511 legacy region (isa/fxsave.c), 512 XSTATE_BV, 520 XCOMP_BV (bit 63: compacted), 528..575 reserved. Both components live
//          in the legacy region, so the standard and the compacted format differ in the header alone.
// IN USE   a component in its initial state counts as not in use: XSAVEOPT and XSAVEC leave it out. XSAVEOPT does not track
//          modifications.
// MANUAL   "Managing State Using the XSAVE Feature Set".
#include "isa/fpu.h"
#include "isa/mem.h"

enum { X87 = 1, SSE = 2, HEADER = 512, SIZE = 576 };

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static bool x87_in_use(const struct isa_x87 *x)
{
    uint64_t any = x->sw | x->valid | x->fop | x->fip | x->fdp;
    for (unsigned k = 0; k < 8; k++)
        any |= x->r[k].sig | x->r[k].se;
    return any || x->cw != ISA_FCW_INIT;
}
static bool sse_in_use(const struct isa_cpu *c)
{
    uint64_t any = 0;
    for (unsigned k = 0; k < 16; k++)
        any |= c->xmm[k].q[0] | c->xmm[k].q[1];
    return any != 0;
}
static unsigned in_use(const struct isa_cpu *c) { return (x87_in_use(&c->x87) ? X87 : 0) | (sse_in_use(c) ? SSE : 0); }

// Checks of every instruction; rfbm: the components that EDX:EAX and XCR0 ask for.
static int begin(struct isa_cpu *c, const struct isa_insn *i, unsigned acc, uint64_t *la, uint64_t *rfbm)
{
    if (!(c->cr4 & ISA_CR4_OSXSAVE))
        return isa_ud(c, ISA_RULE_UD_OSXSAVE);
    if (c->cr0 & ISA_CR0_TS)
        return isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_TS);
    *rfbm = c->xcr0 & (isa_r32(c, ISA_RAX) | c->gpr[ISA_RDX] << 32);
    int r = isa_operand_la(c, i, SIZE, acc, la);
    if (r)
        return r;
    return *la & 63 ? isa_gp0(c, ISA_RULE_GP_ALIGN_XSAVE) : 0;
}

static unsigned xmm_bytes(const struct isa_cpu *c) { return c->mode == ISA_LONG64 ? 256 : 128; }

// Pieces of the area that are written or read.
struct piece {
    unsigned at, n;
};
static int store(struct isa_cpu *c, uint64_t la, const uint8_t *a, const struct piece *p, unsigned count)
{
    int r = 0;
    for (unsigned pass = 0; pass < 2; pass++) // everything is checked before anything is written
        for (unsigned j = 0; j < count; j++)
            for (unsigned k = p[j].at, end = k + p[j].n; !r && k < end; k += 64) {
                unsigned n = end - k < 64 ? end - k : 64;
                r = pass ? isa_st_slow(c, la + k, a + k, n, ISA_ACC_W) : isa_probe_w(c, la + k, n, ISA_ACC_W);
            }
    return r;
}

// What XSAVE, XSAVEOPT and XSAVEC have in common: save the components in mask; bv goes to XSTATE_BV, and XCOMP_BV if compacted.
static int save(struct isa_cpu *c, const struct isa_insn *i, uint64_t la, unsigned mask, bool mxcsr, uint64_t bv, bool compact,
                uint64_t comp)
{
    static const uint32_t mxcsr_mask = ISA_MXCSR_MASK;
    uint8_t a[SIZE] = {0};
    struct piece p[5];
    unsigned n = 0;
    isa_fx_put_x87(c, a, i->osz == 8);
    memcpy(a + 24, &c->mxcsr, 4);
    memcpy(a + 28, &mxcsr_mask, 4);
    memcpy(a + 160, c->xmm, 256);
    memcpy(a + HEADER, &bv, 8);
    memcpy(a + HEADER + 8, &comp, 8);
    if (mask & X87) {
        p[n++] = (struct piece){0, 24};
        p[n++] = (struct piece){32, 128};
    }
    if (mxcsr)
        p[n++] = (struct piece){24, 8};
    if (mask & SSE)
        p[n++] = (struct piece){160, xmm_bytes(c)};
    p[n++] = (struct piece){HEADER, compact ? 16 : 8};
    return store(c, la, a, p, n);
}

static int save_standard(struct isa_cpu *c, const struct isa_insn *i, bool optimize)
{
    uint64_t la, rfbm, old = 0;
    int r = begin(c, i, ISA_ACC_W, &la, &rfbm);
    if (r || (r = isa_ld64(c, la + HEADER, &old)))
        return r;
    unsigned used = in_use(c), mask = (unsigned)rfbm & (optimize ? used : ~0u);
    return save(c, i, la, mask, rfbm & SSE, (old & ~rfbm) | (used & rfbm), false, 0);
}
ISA_FPOP(xsave) { return save_standard(c, i, false); }
ISA_FPOP(xsaveopt) { return save_standard(c, i, true); }

// Here MXCSR belongs to the SSE component and makes it count as in use.
ISA_FPOP(xsavec)
{
    uint64_t la, rfbm;
    int r = begin(c, i, ISA_ACC_W, &la, &rfbm);
    if (r)
        return r;
    unsigned used = in_use(c) | (c->mxcsr != ISA_MXCSR_INIT ? SSE : 0), mask = used & (unsigned)rfbm;
    return save(c, i, la, mask, mask & SSE, mask, true, rfbm | 1ull << 63);
}

// The header must make sense: #GP otherwise.
static bool header_ok(const struct isa_cpu *c, const uint8_t *h)
{
    uint64_t bv = get64(h), comp = get64(h + 8), rest = 0;
    bool compact = comp >> 63;
    for (unsigned k = compact ? 16 : 8; k < (compact ? 64 : 24); k += 8)
        rest |= get64(h + k);
    if (rest || (bv & ~c->xcr0))
        return false;
    return !compact || (!(comp & ~c->xcr0 & ~(1ull << 63)) && !(bv & ~comp));
}

ISA_FPOP(xrstor)
{
    uint8_t a[SIZE];
    uint64_t la, rfbm;
    int r = begin(c, i, ISA_ACC_R, &la, &rfbm);
    for (unsigned k = 0; !r && k < SIZE; k += 64)
        r = isa_ld_slow(c, la + k, a + k, 64, ISA_ACC_R);
    if (r)
        return r;
    if (!header_ok(c, a + HEADER))
        return isa_gp0(c, ISA_RULE_GP_XSAVE_HEADER);
    uint64_t bv = get64(a + HEADER);
    bool compact = a[HEADER + 15] & 0x80;
    uint32_t mxcsr;
    memcpy(&mxcsr, a + 24, 4);
    // The standard format loads MXCSR whether or not the SSE state is in its initial form.
    bool load_mxcsr = compact ? rfbm & bv & SSE : rfbm & SSE;
    if (load_mxcsr && mxcsr & ~ISA_MXCSR_MASK)
        return isa_gp0(c, ISA_RULE_GP_MXCSR);
    if (rfbm & X87) {
        if (bv & X87)
            isa_fx_get_x87(c, a, i->osz == 8);
        else {
            memset(c->x87.r, 0, sizeof c->x87.r);
            isa_x87_init(&c->x87);
        }
    }
    if (rfbm & SSE) {
        if (bv & SSE)
            memcpy(c->xmm, a + 160, xmm_bytes(c));
        else
            memset(c->xmm, 0, xmm_bytes(c));
        c->mxcsr = load_mxcsr ? mxcsr : ISA_MXCSR_INIT;
    }
    return 0;
}
