// isa/exec_misc.c: what fits nowhere else: LEA, NOP, XLAT, flag instructions, fences, cache-line flushes, CRC32, BOUND, UD.
//
// MANUAL     the instructions' own pages.
#include "isa/mpx.h"
#include "isa/operand.h"

ISA_BODY(nop) { return 0; }
ISA_HANDLER(nop)
ISA_FAMILY1(nop, nop);

// PREFETCHh (0F 18 /0 to /3) and PREFETCHW (0F 0D /1): translated like a load, but without a fault of any kind; other forms do nothing.
ISA_INLINE int prefetch_line(struct isa_cpu *c, const struct isa_insn *i, enum isa_prefetch hint, bool fast)
{
    uint64_t la;
    if (fast)
        return isa_fast_la(c, i, &la) && isa_hit(c->rd, c, la, 1) ? 0 : ISA_GO_SLOW;
    la = isa_ea(c, i) + (i->segchk ? c->seg[i->seg].base : 0);
    if (c->mode != ISA_LONG64)
        la = (uint32_t)la;
    else if (!isa_canonical(c, la))
        return 0;
    if (c->env->prefetch)
        c->env->prefetch(c, la, hint);
    return 0;
}
ISA_BODY(prefetch)
{
    static const uint8_t hints[] = {ISA_PREFETCH_NTA, ISA_PREFETCH_T0, ISA_PREFETCH_T1, ISA_PREFETCH_T2};
    const unsigned form = i->modrm >> 3 & 7;
    return i->is_mem && form < 4 ? prefetch_line(c, i, (enum isa_prefetch)hints[form], fast) : 0;
}
ISA_HANDLER(prefetch)
ISA_FAMILY1(prefetch, prefetch);
ISA_BODY(prefetchw) { return i->is_mem && (i->modrm >> 3 & 7) == 1 ? prefetch_line(c, i, ISA_PREFETCH_W, fast) : 0; }
ISA_HANDLER(prefetchw)
ISA_FAMILY1(prefetchw, prefetchw);

// There is nothing to order: every access completes at once.
ISA_FAMILY1(fence, nop);

// LEA does not touch segments: the address is the result.
#define LEA(bits)                                                                                                                  \
    ISA_BODY(lea##bits)                                                                                                            \
    {                                                                                                                              \
        isa_setg##bits(c, i, (uint##bits##_t)isa_ea(c, i));                                                                        \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(lea##bits)
LEA(16)
LEA(32)
LEA(64)
ISA_FAMILY6S(lea_g_m, lea);

ISA_BODY(xlat)
{
    uint64_t ea = c->gpr[ISA_RBX] + isa_r8(c, 0);
    ea = i->asz == 8 ? ea : i->asz == 4 ? (uint32_t)ea : (uint16_t)ea;
    struct isa_loaded la = {ea, 0};
    if (i->segchk) {
        if (fast)
            return ISA_GO_SLOW;
        la = isa_seg_la_v(c, i->seg, ea, 1, ISA_ACC_R);
        ISA_TRY(la.r);
    }
    if (fast && !isa_hit(c->rd, c, la.v, 1))
        return ISA_GO_SLOW; // which says first which instruction it is
    uint8_t v;
    ISA_TRY(isa_ld8(c, la.v, &v));
    isa_w8(c, 0, v);
    return 0;
}
ISA_HANDLER(xlat)
ISA_FAMILY1(xlat, xlat);

// Flags.
ISA_BODY(lahf)
{
    isa_w8(c, 1, (uint8_t)((isa_status(c) & 0xd5) | ISA_FL_1));
    return 0;
}
ISA_BODY(sahf)
{
    isa_set_status(c, (isa_of(c) ? ISA_FL_OF : 0) | (isa_r8(c, 1) & 0xd5));
    return 0;
}
ISA_BODY(cmc)
{
    isa_cc_cf(c, !isa_cf(c));
    return 0;
}
ISA_BODY(clc)
{
    isa_cc_cf(c, false);
    return 0;
}
ISA_BODY(stc)
{
    isa_cc_cf(c, true);
    return 0;
}
ISA_BODY(cld)
{
    c->rflags_sys &= ~ISA_FL_DF;
    return 0;
}
ISA_BODY(std)
{
    c->rflags_sys |= ISA_FL_DF;
    return 0;
}
ISA_BODY(salc)
{
    isa_w8(c, 0, isa_cf(c) ? 0xff : 0);
    return 0;
}
ISA_HANDLER(lahf)
ISA_HANDLER(sahf)
ISA_HANDLER(cmc)
ISA_HANDLER(clc)
ISA_HANDLER(stc)
ISA_HANDLER(cld)
ISA_HANDLER(std)
ISA_HANDLER(salc)
ISA_FAMILY1(lahf, lahf);
ISA_FAMILY1(sahf, sahf);
ISA_FAMILY1(cmc, cmc);
ISA_FAMILY1(clc, clc);
ISA_FAMILY1(stc, stc);
ISA_FAMILY1(cld, cld);
ISA_FAMILY1(std, std);
ISA_FAMILY1(salc, salc);

// CLFLUSH and its kin are ordered and checked like loads of one byte. Caches, where there are any, see which instruction loads.
ISA_BODY(clflush)
{
    uint8_t v;
    return isa_opld8(c, i, fast, &v);
}
ISA_HANDLER(clflush)
ISA_FAMILY1(clflush, clflush);

// CRC32 accumulates with the polynomial 11EDC6F41H, bits reflected.
ISA_INLINE uint32_t crc32_byte(uint32_t crc, uint8_t b)
{
    crc ^= b;
    for (unsigned k = 0; k < 8; k++)
        crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    return crc;
}
static uint32_t crc32_bytes(uint32_t crc, uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        crc = crc32_byte(crc, (uint8_t)(v >> k * 8));
    return crc;
}
#define CRC32(bits)                                                                                                                \
    ISA_BODY(crc32_##bits##r)                                                                                                      \
    {                                                                                                                              \
        isa_w32(c, i->reg, crc32_bytes(isa_r32(c, i->reg), isa_e##bits(c, i), bits / 8));                                          \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(crc32_##bits##m)                                                                                                      \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        isa_w32(c, i->reg, crc32_bytes(isa_r32(c, i->reg), v, bits / 8));                                                          \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(crc32_##bits##r)                                                                                                   \
    ISA_HANDLER(crc32_##bits##m)
CRC32(8)
CRC32(16)
CRC32(32)
CRC32(64)
ISA_FAMILY6(crc32_g_e, crc32_);
ISA_FAMILY(crc32_g_e8, isa_h_bug, isa_h_bug, crc32_8r, crc32_8m, crc32_8r, crc32_8m, crc32_8r, crc32_8m);

// BOUND: the pair of bounds is signed, lower first; both bounds are allowed.
#define BOUND(bits)                                                                                                                \
    ISA_BODY(bound##bits)                                                                                                          \
    {                                                                                                                              \
        uint64_t la;                                                                                                               \
        uint##bits##_t lo, hi;                                                                                                     \
        if (fast)                                                                                                                  \
            return ISA_GO_SLOW;                                                                                                    \
        ISA_TRY(isa_operand_la(c, i, bits / 4, ISA_ACC_R, &la));                                                                   \
        ISA_TRY(isa_ld##bits(c, la, &lo));                                                                                         \
        ISA_TRY(isa_ld##bits(c, la + bits / 8, &hi));                                                                              \
        int##bits##_t x = (int##bits##_t)isa_g##bits(c, i);                                                                        \
        return x < (int##bits##_t)lo || x > (int##bits##_t)hi ? isa_bound_broken(c) : 0;                                           \
    }                                                                                                                              \
    ISA_HANDLER(bound##bits)
BOUND(16)
BOUND(32)
ISA_FAMILY(bound, isa_h_bug, isa_h_bug, isa_h_bug, bound16, isa_h_bug, bound32, isa_h_bug, isa_h_bug);

// UD0, UD1, UD2: undefined for good.
static int ud(struct isa_cpu *c, const struct isa_insn *i) { ISA_ABORT(c, i, isa_ud(c, ISA_RULE_UD_OPCODE)); }
ISA_FAMILY1(ud, ud);
