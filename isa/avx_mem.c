// isa/avx_mem.c: AVX instructions that reach memory element by element: masked moves and gathers.
//
// MASKS      the sign bit of an element of VEX.vvvv selects the element; memory of others is not accessed, and cannot fault.
// MANUAL     "VMASKMOV", "VPMASKMOV", "VGATHERDPS" and its kin.
#include "isa/avx.h"
#include "isa/exec.h"
#include "isa/mem.h"
#include "isa/vec.h"

// A vector by elements of 4 or 8 bytes.
static uint8_t *element(union isa_vec *v, unsigned k, unsigned size) { return &v[k * size / 16].b[k * size % 16]; }
static bool selected(const union isa_vec *v, unsigned k, unsigned size)
{
    return v[k * size / 16].sb[k * size % 16 + size - 1] < 0;
}
static void get(const struct isa_cpu *c, unsigned reg, union isa_vec v[2])
{
    v[0] = c->xmm[reg];
    v[1] = c->ymmh[reg];
}

// Linear address of n bytes at an offset in the operand's segment.
static int linear(struct isa_cpu *c, const struct isa_insn *i, uint64_t ea, unsigned n, unsigned acc, uint64_t *la)
{
    ea = i->asz == 8 ? ea : (uint32_t)ea;
    struct isa_loaded p = {ea, 0};
    if (i->segchk)
        p = isa_seg_la_v(c, i->seg, ea, n, acc);
    *la = p.v;
    return p.r;
}

// --- masked moves: VMASKMOVPS and VPMASKMOVD have elements of 4 bytes, VMASKMOVPD (odd opcode) and VPMASKMOVQ (VEX.W) of 8

static unsigned element_size(const struct isa_insn *i) { return (i->opcode >= 0x8c ? i->wide : i->opcode & 1) ? 8 : 4; }

int isa_avx_maskload(struct isa_cpu *c, const struct isa_insn *i)
{
    union isa_vec m[2], v[2] = {{.q = {0, 0}}, {.q = {0, 0}}};
    unsigned size = element_size(i), count = (16u << i->vex_l) / size;
    uint64_t la;
    int r = isa_avx_on(c);
    get(c, i->vvvv, m);
    for (unsigned k = 0; !r && k < count; k++)
        if (selected(m, k, size) && !(r = linear(c, i, isa_ea(c, i) + k * size, size, ISA_ACC_R, &la)))
            r = isa_ld_slow(c, la, element(v, k, size), size, ISA_ACC_R);
    if (!r)
        isa_avx_put(c, i->reg, v, 1 + i->vex_l);
    return r;
}

int isa_avx_maskstore(struct isa_cpu *c, const struct isa_insn *i)
{
    union isa_vec m[2], v[2];
    unsigned size = element_size(i), count = (16u << i->vex_l) / size;
    int r = isa_avx_on(c);
    get(c, i->vvvv, m);
    get(c, i->reg, v);
    for (unsigned pass = 0; pass < 2; pass++) // everything is checked before anything is written
        for (unsigned k = 0; !r && k < count; k++) {
            uint64_t la;
            if (!selected(m, k, size) || (r = linear(c, i, isa_ea(c, i) + k * size, size, ISA_ACC_W, &la)))
                continue;
            r = pass ? isa_st_slow(c, la, element(v, k, size), size, ISA_ACC_W) : isa_probe_w(c, la, size, ISA_ACC_W);
        }
    return r;
}

// --- gathers

// Opcode bit 0: indices of 8 bytes; VEX.W: elements of 8 bytes. A fault leaves what was loaded before it, and the mask of what is left;
// only the whole instruction clears the upper part of the destination.
int isa_avx_gather(struct isa_cpu *c, const struct isa_insn *i)
{
    union isa_vec index[2], m[2], v[2];
    unsigned size = i->wide ? 8 : 4, isize = i->opcode & 1 ? 8 : 4;
    unsigned count = (16u << i->vex_l) / (size > isize ? size : isize);
    unsigned lanes = count * size > 16 ? 2 : 1;
    int r = isa_avx_on(c);
    if (r)
        return r;
    get(c, i->rm, index);
    get(c, i->vvvv, m);
    get(c, i->reg, v);
    for (unsigned k = 0; k < 32 / size; k++) // a mask is all ones or zeros, and no longer than the elements
        memset(element(m, k, size), k < count && selected(m, k, size) ? 0xff : 0, size);
    for (unsigned k = 0; !r && k < count; k++) {
        uint64_t la, at;
        if (!selected(m, k, size))
            continue;
        at = isize == 8 ? index[k / 2].q[k % 2] : (uint64_t)(int64_t)index[k / 4].sd[k % 4];
        r = linear(c, i, c->gpr[i->base] + (at << i->scale) + i->disp, size, ISA_ACC_R, &la);
        if (!r && !(r = isa_ld_slow(c, la, element(v, k, size), size, ISA_ACC_R)))
            memset(element(m, k, size), 0, size);
    }
    isa_avx_put(c, i->vvvv, m, lanes);
    if (!r && count * size < 16) // VGATHERQPS with two elements
        v[0].q[1] = 0;
    isa_avx_put(c, i->reg, v, r ? 2 : lanes);
    return r;
}
