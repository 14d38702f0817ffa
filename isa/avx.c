// isa/avx.c: the frame around every AVX operation: availability, operands, lanes, commit (isa/vec.h).
//
// MANUAL     "Programming with Intel AVX, FMA, and Intel AVX2".
#include "isa/avx.h"
#include "isa/exec.h"
#include "isa/fpu.h"
#include "isa/mem.h"
#include "isa/vec.h"

int isa_avx_on(struct isa_cpu *c)
{
    if (!isa_avx_off(c))
        return 0;
    if (!(c->cr4 & ISA_CR4_OSXSAVE) || (c->xcr0 & ISA_XS_VECTORS) != ISA_XS_VECTORS)
        return isa_ud(c, ISA_RULE_UD_AVX_OFF);
    return isa_raise(c, ISA_X_NM, 0, ISA_RULE_NM_TS);
}

// Alignment checking knows operands of up to 8 bytes (manual, "Exceptions Type 4").
static unsigned kind(unsigned n, unsigned acc) { return n > 8 ? acc | ISA_ACC_NOAC : acc; }

int isa_avx_load(struct isa_cpu *c, const struct isa_insn *i, void *to, unsigned n)
{
    uint64_t la;
    int r = isa_operand_la(c, i, n, ISA_ACC_R, &la);
    if (r)
        return r;
    const void *p = c->rflags_sys & ISA_FL_AC ? NULL : isa_mirror_at(c, la, n, ISA_ACC_R);
    if (!p)
        return isa_ld_slow(c, la, to, n, kind(n, ISA_ACC_R));
    memcpy(to, p, n);
    return 0;
}
int isa_avx_store(struct isa_cpu *c, const struct isa_insn *i, const void *from, unsigned n)
{
    uint64_t la;
    int r = isa_operand_la(c, i, n, ISA_ACC_W, &la);
    return r ? r : isa_st_slow(c, la, from, n, kind(n, ISA_ACC_W));
}

// --- operands

static unsigned memory_bytes(const struct isa_insn *i, unsigned shape)
{
    unsigned n = shape & ISA_VS_BYTES ? shape & ISA_VS_BYTES : i->osz;
    if (!i->vex_l || shape & (ISA_VS_BOTH | ISA_VS_STORE))
        return n;
    if (shape & ISA_VS_LANES)
        return 32;
    return n == 16 || shape & ISA_VS_SPREAD ? 2 * n : n;
}

static int source(struct isa_cpu *c, const struct isa_insn *i, union isa_vec s[2], unsigned shape)
{
    int r = 0;
    s[0] = s[1] = (union isa_vec){.q = {0, 0}};
    if (i->is_mem)
        r = isa_avx_load(c, i, s, memory_bytes(i, shape));
    else if (shape & ISA_VS_GSRC)
        s[0].q[0] = i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm);
    else {
        s[0] = c->xmm[i->rm];
        s[1] = c->ymmh[i->rm];
    }
    if (shape & ISA_VS_BOTH)
        s[1] = s[0];
    if (shape & ISA_VS_SPREAD)
        memcpy(&s[1], (const uint8_t *)s + (shape & ISA_VS_BYTES), shape & ISA_VS_BYTES);
    return r;
}

static unsigned stored_bytes(const struct isa_insn *i, unsigned shape)
{
    return shape & ISA_VS_PACK ? 8u << i->vex_l : memory_bytes(i, shape);
}
static int probe(struct isa_cpu *c, const struct isa_insn *i, unsigned n)
{
    uint64_t la;
    int r = isa_operand_la(c, i, n, ISA_ACC_W, &la);
    return r ? r : isa_probe_w(c, la, n, kind(n, ISA_ACC_W));
}

static int put_operand(struct isa_cpu *c, const struct isa_insn *i, const union isa_vec *d, unsigned shape)
{
    if (i->is_mem)
        return isa_avx_store(c, i, d, stored_bytes(i, shape));
    if (shape & ISA_VS_GSTORE)
        c->gpr[i->rm] = d->q[0];
    else
        isa_avx_put(c, i->rm, d, 1);
    return 0;
}

static int commit(struct isa_cpu *c, const struct isa_insn *i, union isa_vec d[2], unsigned lanes, unsigned shape)
{
    if (shape & ISA_VS_PACK) {
        d[0].q[1] = lanes == 2 ? d[1].q[0] : 0;
        lanes = 1;
    }
    if (shape & (ISA_VS_STORE | ISA_VS_GSTORE))
        return put_operand(c, i, d, shape);
    if (shape & ISA_VS_GDST)
        c->gpr[i->reg] = i->osz == 8 ? d->q[0] : d->d[0];
    else if (!(shape & ISA_VS_NODST))
        isa_avx_put(c, shape & ISA_VS_XMM0 ? 0 : shape & ISA_VS_RMDST ? i->vvvv : i->reg, d, lanes);
    return 0;
}

// --- lanes

static int lane(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, union isa_vec *d, union isa_vec *s, unsigned k,
                unsigned shape)
{
    if (!k || !ISA_VS_IMM_BITS(shape))
        return fn(c, i, &d[k], &s[k], 16);
    struct isa_insn upper = *i;
    upper.imm >>= ISA_VS_IMM_BITS(shape);
    return fn(c, &upper, &d[k], &s[k], 16);
}

static int all_lanes(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, union isa_vec *d, union isa_vec *s, unsigned lanes,
                     unsigned shape)
{
    if (shape & ISA_VS_WHOLE)
        return fn(c, i, d, s, 16 * lanes);
    int r = lane(c, i, fn, d, s, 0, shape);
    return r || lanes == 1 ? r : lane(c, i, fn, d, s, 1, shape);
}

// Every lane is computed, whatever another one found; then the flags count as those of one operation: if an unmasked exception comes of
// the operands (#I, #D, #Z), those that come of results (#O, #U, #P) are not noted.
static int both_lanes_fp(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, union isa_vec *d, union isa_vec *s,
                         unsigned shape)
{
    const uint32_t before = ISA_FX_I | ISA_FX_D | ISA_FX_Z, was = c->mxcsr;
    uint32_t flags = 0;
    int r = 0;
    for (unsigned k = 0; k < 2; k++) {
        c->mxcsr = was & ~ISA_FX_ALL;
        int one = lane(c, i, fn, d, s, k, shape);
        r = one ? one : r;
        flags |= c->mxcsr & ISA_FX_ALL;
    }
    if (flags & before & ~(was >> 7))
        flags &= before;
    c->mxcsr = was | flags;
    return r;
}

// --- the frame

static inline int run(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape, bool fp)
{
    union isa_vec d[2], s[2];
    unsigned lanes = 1 + i->vex_l;
    unsigned first = shape & ISA_VS_RMDST                                                               ? i->rm
                     : shape & (ISA_VS_NODST | ISA_VS_STORE | ISA_VS_GSTORE | ISA_VS_XMM0 | ISA_VS_DST) ? i->reg
                                                                                                        : i->vvvv;
    int r = isa_avx_on(c);
    if (!r && !(shape & (ISA_VS_STORE | ISA_VS_GSTORE | ISA_VS_RMDST)))
        r = source(c, i, s, shape);
    if (!r && fp && shape & ISA_VS_STORE && i->is_mem) // a fault of the store comes first
        r = probe(c, i, stored_bytes(i, shape));
    if (r)
        return r;
    d[0] = c->xmm[first];
    d[1] = c->ymmh[first];
    if (shape & (ISA_VS_STORE | ISA_VS_GSTORE | ISA_VS_RMDST)) {
        s[0] = d[0];
        s[1] = d[1];
    }
    if (fp && lanes == 2 && !(shape & ISA_VS_WHOLE))
        r = both_lanes_fp(c, i, fn, d, s, shape);
    else
        r = all_lanes(c, i, fn, d, s, lanes, shape);
    return r ? r : commit(c, i, d, lanes, shape);
}
int isa_avx(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape) { return run(c, i, fn, shape, false); }
int isa_avx_fp(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape) { return run(c, i, fn, shape, true); }
