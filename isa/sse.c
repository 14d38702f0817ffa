// isa/sse.c: the frame around every MMX and SSE operation: availability, operands, alignment, commit (isa/vec.h).
//
// MANUAL     "Memory Alignment and Access of SSE Data"; the tables of exceptions of each instruction class.
#include "isa/exec.h"
#include "isa/fp.h"
#include "isa/fpu.h"
#include "isa/mem.h"
#include "isa/vec.h"

#define BEFORE (ISA_FX_I | ISA_FX_D | ISA_FX_Z)
int isa_fp_finish(struct isa_cpu *c, const struct isa_fp_env *e)
{
    unsigned flags = e->flags;
    if (flags & BEFORE & ~(unsigned)e->masks)
        flags &= BEFORE;
    c->mxcsr |= flags;
    if (!(flags & ~(unsigned)e->masks))
        return 0;
    if (!(c->cr4 & ISA_CR4_OSXMMEXCPT))
        return isa_ud(c, ISA_RULE_UD_XM);
    return isa_raise(c, ISA_X_XM, 0, ISA_RULE_XM_UNMASKED);
}

static int address(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc, bool aligned, uint64_t *la)
{
    int r = isa_operand_la(c, i, n, acc, la);
    if (r)
        return r;
    return aligned && *la & 15 ? isa_gp0(c, ISA_RULE_GP_ALIGN_SSE) : 0;
}

// n bytes from memory into *v, the rest of which becomes 0.
static int load(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *v, unsigned n, bool aligned)
{
    uint64_t la;
    int r = address(c, i, n, ISA_ACC_R, aligned, &la);
    if (r)
        return r;
    v->q[0] = v->q[1] = 0;
    const struct isa_mirror *e = isa_hit(c->rd, c, la, n);
    if (!e)
        return isa_ld_slow(c, la, v, n, ISA_ACC_R);
    memcpy(v, (const void *)(uintptr_t)(e->addend + la), n);
    return 0;
}
static int store(struct isa_cpu *c, const struct isa_insn *i, const union isa_vec *v, unsigned n, bool aligned)
{
    uint64_t la;
    int r = address(c, i, n, ISA_ACC_W, aligned, &la);
    return r ? r : isa_st_slow(c, la, v, n, ISA_ACC_W);
}

int isa_vec_load(struct isa_cpu *c, const struct isa_insn *i, void *dst, unsigned n, bool aligned)
{
    union isa_vec v;
    int r = load(c, i, &v, n, aligned);
    if (!r)
        memcpy(dst, &v, n);
    return r;
}
int isa_vec_store(struct isa_cpu *c, const struct isa_insn *i, const void *src, unsigned n, bool aligned)
{
    union isa_vec v = {.q = {0, 0}};
    memcpy(&v, src, n);
    return store(c, i, &v, n, aligned);
}

static uint64_t general(const struct isa_cpu *c, const struct isa_insn *i)
{
    return i->osz == 8 ? c->gpr[i->rm] : isa_r32(c, i->rm);
}

static int source(struct isa_cpu *c, const struct isa_insn *i, union isa_vec *s, unsigned shape)
{
    unsigned n = shape & ISA_VS_BYTES;
    if (i->is_mem)
        return load(c, i, s, n ? n : i->osz, n == 16 && !(shape & ISA_VS_UNALIGNED));
    if (shape & (ISA_VS_GSRC | ISA_VS_PSRC))
        *s = (union isa_vec){.q = {shape & ISA_VS_GSRC ? general(c, i) : c->x87.r[i->rm].sig, 0}};
    else
        *s = c->xmm[i->rm];
    return 0;
}

// What is to be stored is in *d. A vector register keeps the bytes that the operand does not have.
static int put_operand(struct isa_cpu *c, const struct isa_insn *i, const union isa_vec *d, unsigned shape)
{
    unsigned n = shape & ISA_VS_BYTES ? shape & ISA_VS_BYTES : i->osz;
    if (i->is_mem)
        return store(c, i, d, n, n == 16 && !(shape & ISA_VS_UNALIGNED));
    if (shape & ISA_VS_GSTORE)
        c->gpr[i->rm] = d->q[0];
    else
        memcpy(&c->xmm[i->rm], d, n);
    return 0;
}

static void put_register(struct isa_cpu *c, const struct isa_insn *i, const union isa_vec *d, unsigned shape)
{
    if (shape & ISA_VS_GDST)
        c->gpr[i->reg] = i->osz == 8 ? d->q[0] : d->d[0];
    else if (shape & ISA_VS_PDST)
        isa_mmx_write(&c->x87, i->reg, d->q[0]);
    else if (!(shape & ISA_VS_NODST))
        c->xmm[shape & ISA_VS_XMM0 ? 0 : shape & ISA_VS_RMDST ? i->rm : i->reg] = *d;
}

int isa_sse(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape)
{
    bool mmx = shape & (ISA_VS_PSRC | ISA_VS_PDST) && !(shape & ISA_VS_PSRC && i->is_mem);
    union isa_vec d = c->xmm[shape & ISA_VS_RMDST ? i->rm : i->reg], s = d;
    int r = isa_sse_on(c);
    if (!r && mmx)
        r = isa_x87_pending(c);
    if (!r && !(shape & (ISA_VS_STORE | ISA_VS_GSTORE | ISA_VS_RMDST)))
        r = source(c, i, &s, shape);
    if (r)
        return r;
    if (mmx)
        isa_mmx_enter(&c->x87); // also if it faults now
    if ((r = fn(c, i, &d, &s, 16)))
        return r;
    if (shape & (ISA_VS_STORE | ISA_VS_GSTORE))
        return put_operand(c, i, &d, shape);
    put_register(c, i, &d, shape);
    return 0;
}

int isa_mmx(struct isa_cpu *c, const struct isa_insn *i, isa_vfn *fn, unsigned shape)
{
    unsigned n = shape & ISA_VS_BYTES, reg = shape & ISA_VS_RMDST ? i->rm : i->reg;
    union isa_vec d = {.q = {c->x87.r[reg & 7].sig, 0}}, s = d;
    int r = isa_mmx_on(c);
    if (r)
        return r;
    if (!(shape & ISA_VS_RMDST))
        r = i->is_mem ? load(c, i, &s, n, false) : source(c, i, &s, shape | (shape & ISA_VS_GSRC ? 0 : ISA_VS_PSRC));
    if (r || (r = fn(c, i, &d, &s, 8)))
        return r;
    if (shape & ISA_VS_GDST)
        c->gpr[i->reg] = d.d[0];
    else if (!(shape & ISA_VS_NODST))
        isa_mmx_write(&c->x87, reg, d.q[0]);
    isa_mmx_enter(&c->x87);
    return 0;
}
