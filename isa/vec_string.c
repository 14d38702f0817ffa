// isa/vec_string.c: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.
//
// imm  1..0 element (unsigned bytes, words, signed bytes, words), 3..2 how to aggregate, 5..4 polarity, 6 output selection
// MANUAL     "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM".
#include "isa/exec.h"
#include "isa/vec.h"

static int element(const union isa_vec *v, unsigned k, unsigned imm)
{
    switch (imm & 3) {
    case 0: return v->b[k];
    case 1: return v->w[k];
    case 2: return v->sb[k];
    default: return v->sw[k];
    }
}

// Elements up to a zero; or the magnitude of a register, at most all.
static unsigned implicit_length(const union isa_vec *v, unsigned imm, unsigned all)
{
    unsigned k = 0;
    while (k < all && element(v, k, imm))
        k++;
    return k;
}
static unsigned explicit_length(const struct isa_cpu *c, const struct isa_insn *i, unsigned reg, unsigned all)
{
    bool wide = i->wide && c->mode == ISA_LONG64;
    int64_t v = wide ? (int64_t)c->gpr[reg] : (int32_t)c->gpr[reg];
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    return m > all ? all : (unsigned)m;
}

// The four aggregations: equal any, ranges, equal each, equal ordered. a is the first operand (la elements), b the second.
static unsigned aggregate(const union isa_vec *a, unsigned la, const union isa_vec *b, unsigned lb, unsigned imm, unsigned all)
{
    unsigned result = 0;
    for (unsigned j = 0; j < all; j++) {
        bool yes = false;
        switch (imm >> 2 & 3) {
        case 0:
            for (unsigned k = 0; k < la && j < lb; k++)
                yes |= element(a, k, imm) == element(b, j, imm);
            break;
        case 1:
            for (unsigned k = 0; k + 1 < la && j < lb; k += 2)
                yes |= element(b, j, imm) >= element(a, k, imm) && element(b, j, imm) <= element(a, k + 1, imm);
            break;
        case 2: yes = j < la && j < lb ? element(a, j, imm) == element(b, j, imm) : j >= la && j >= lb; break;
        default:
            yes = true;
            for (unsigned k = 0; k < la && j + k < all; k++)
                yes &= j + k < lb && element(a, k, imm) == element(b, j + k, imm);
        }
        result |= (unsigned)yes << j;
    }
    return result;
}

static unsigned compare(struct isa_cpu *c, const struct isa_insn *i, const union isa_vec *a, const union isa_vec *b, bool lengths)
{
    unsigned imm = (unsigned)i->imm, all = imm & 1 ? 8 : 16;
    unsigned la = lengths ? explicit_length(c, i, ISA_RAX, all) : implicit_length(a, imm, all);
    unsigned lb = lengths ? explicit_length(c, i, ISA_RDX, all) : implicit_length(b, imm, all);
    unsigned r = aggregate(a, la, b, lb, imm, all);
    if ((imm >> 4 & 3) == 1)
        r ^= (1u << all) - 1;
    else if ((imm >> 4 & 3) == 3)
        r ^= (1u << lb) - 1;
    isa_set_status(c, (r ? ISA_FL_CF : 0) | (lb < all ? ISA_FL_ZF : 0) | (la < all ? ISA_FL_SF : 0) | (r & 1 ? ISA_FL_OF : 0));
    return r;
}

static int index_of(struct isa_cpu *c, const struct isa_insn *i, unsigned r)
{
    unsigned all = i->imm & 1 ? 8 : 16;
    c->gpr[ISA_RCX] = !r ? all : i->imm & 0x40 ? 31u - (unsigned)__builtin_clz(r) : (unsigned)__builtin_ctz(r);
    return 0;
}
static int mask_of(const struct isa_insn *i, union isa_vec *d, unsigned r)
{
    union isa_vec v = {.q = {r, 0}};
    if (i->imm & 0x40)
        for (unsigned k = 0; k < 16; k++)
            v.b[k] = r >> (i->imm & 1 ? k / 2 : k) & 1 ? 0xff : 0;
    *d = v;
    return 0;
}
ISA_VFN(pcmpestri) { return index_of(c, i, compare(c, i, d, s, true)); }
ISA_VFN(pcmpistri) { return index_of(c, i, compare(c, i, d, s, false)); }
ISA_VFN(pcmpestrm) { return mask_of(i, d, compare(c, i, d, s, true)); }
ISA_VFN(pcmpistrm) { return mask_of(i, d, compare(c, i, d, s, false)); }
