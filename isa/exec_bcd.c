// isa/exec_bcd.c: decimal arithmetic: DAA, DAS, AAA, AAS, AAM, AAD. None of them exists in 64-bit mode.
//
// MODELS     results and defined flags; of the undefined ones OF (and CF, AF for AAM and AAD) come out 0, the others follow AL.
// MANUAL     "Decimal Arithmetic Instructions".
#include "isa/operand.h"

static inline uint8_t al(const struct isa_cpu *c) { return isa_r8(c, 0); }

// SF, ZF and PF from AL; CF and AF as given.
static inline void set_flags(struct isa_cpu *c, bool cf, bool af)
{
    isa_cc_set(c, ISA_CC_RES, 0, (cf ? ISA_FL_CF : 0) | (af ? ISA_FL_AF : 0), isa_sx8(al(c)));
}

ISA_INLINE void decimal_adjust(struct isa_cpu *c, bool subtract)
{
    uint8_t a = al(c), r = a;
    bool cf = isa_cf(c), af = (a & 0xf) > 9 || isa_af(c), high = a > 0x99 || cf;
    // Subtracting 6 may borrow; adding 6 to a low digit above 9 carries only if the high test finds it, too.
    if (af) {
        cf = cf || (subtract ? a < 6 : a > 0xf9);
        r = (uint8_t)(subtract ? r - 6 : r + 6);
    }
    if (high)
        r = (uint8_t)(subtract ? r - 0x60 : r + 0x60);
    isa_w8(c, 0, r);
    set_flags(c, subtract ? high || cf : high, af);
}
ISA_BODY(daa)
{
    decimal_adjust(c, false);
    return 0;
}
ISA_BODY(das)
{
    decimal_adjust(c, true);
    return 0;
}

ISA_INLINE void ascii_adjust(struct isa_cpu *c, uint16_t delta)
{
    bool adjust = (al(c) & 0xf) > 9 || isa_af(c);
    uint16_t ax = isa_r16(c, ISA_RAX);
    if (adjust)
        ax = (uint16_t)(ax + delta);
    isa_w16(c, ISA_RAX, ax & 0xff0f);
    set_flags(c, adjust, adjust);
}
ISA_BODY(aaa)
{
    ascii_adjust(c, 0x106);
    return 0;
}
ISA_BODY(aas)
{
    ascii_adjust(c, (uint16_t)-0x106);
    return 0;
}

ISA_BODY(aam)
{
    uint8_t base = (uint8_t)i->imm, a = al(c);
    if (base == 0)
        return fast ? ISA_GO_SLOW : isa_raise(c, ISA_X_DE, 0, ISA_RULE_DIV_ZERO);
    isa_w16(c, ISA_RAX, (uint16_t)(a / base << 8 | a % base));
    set_flags(c, false, false);
    return 0;
}
ISA_BODY(aad)
{
    isa_w16(c, ISA_RAX, (uint8_t)(al(c) + isa_r8(c, 1) * (uint8_t)i->imm));
    set_flags(c, false, false);
    return 0;
}

ISA_HANDLER(daa)
ISA_HANDLER(das)
ISA_HANDLER(aaa)
ISA_HANDLER(aas)
ISA_HANDLER(aam)
ISA_HANDLER(aad)
ISA_FAMILY1(daa, daa);
ISA_FAMILY1(das, das);
ISA_FAMILY1(aaa, aaa);
ISA_FAMILY1(aas, aas);
ISA_FAMILY1(aam, aam);
ISA_FAMILY1(aad, aad);
