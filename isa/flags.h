// isa/flags.h: the six status flags, kept lazily.
//
// An arithmetic instruction stores its operands and result, sign-extended to 64 bits from whatever width it has, and the kind
// of operation. Sign extension keeps the order of unsigned numbers and copies the top bit to bit 63, so one formula per kind
// serves all widths: the carry out of the top bit is bit 63 of the carry vector.
//
//    kind       CF                               OF                    AF              ZF SF PF
//    ADD        bit 63 of (a&b | (a|b)&~res)     (a^res)&(b^res)       (a^b^res)&10H   from res   (also ADC)
//    SUB        bit 63 of (~a&b | (~a|b)&res)    (a^b)&(a^res)         (a^b^res)&10H   from res   (also SBB, CMP, NEG: 0-b)
//    RES        CF, OF and AF stand in cc_b as RFLAGS bits                            from res   (shifts, INC, DEC, MUL)
//    EXPLICIT   all six stand in cc_b as RFLAGS bits                                             (POPF, SAHF, IRET, BT)
//
// Logic operations (AND, OR, XOR, TEST) are SUB with a = res, b = 0: CF, OF and AF come out 0.
// MANUAL: "EFLAGS Register", "EFLAGS Cross-Reference".
#ifndef ISA_FLAGS_H
#define ISA_FLAGS_H

#include "isa/cpu.h"

enum isa_cc_kind { ISA_CC_EXPLICIT, ISA_CC_RES, ISA_CC_ADD, ISA_CC_SUB };

static inline void isa_cc_set(struct isa_cpu *c, enum isa_cc_kind kind, uint64_t a, uint64_t b, uint64_t res)
{
    c->cc_kind = kind;
    c->cc_a = a;
    c->cc_b = b;
    c->cc_res = res;
}
static inline void isa_cc_logic(struct isa_cpu *c, uint64_t res) { isa_cc_set(c, ISA_CC_SUB, res, 0, res); }

static inline bool isa_cf(const struct isa_cpu *c)
{
    uint64_t a = c->cc_a, b = c->cc_b, r = c->cc_res;
    switch (c->cc_kind) {
    case ISA_CC_ADD: return ((a & b) | ((a | b) & ~r)) >> 63;
    case ISA_CC_SUB: return ((~a & b) | ((~a | b) & r)) >> 63;
    default: return b & ISA_FL_CF;
    }
}
static inline bool isa_of(const struct isa_cpu *c)
{
    uint64_t a = c->cc_a, b = c->cc_b, r = c->cc_res;
    switch (c->cc_kind) {
    case ISA_CC_ADD: return ((a ^ r) & (b ^ r)) >> 63;
    case ISA_CC_SUB: return ((a ^ b) & (a ^ r)) >> 63;
    default: return (b & ISA_FL_OF) != 0;
    }
}
static inline bool isa_af(const struct isa_cpu *c)
{
    return c->cc_kind >= ISA_CC_ADD ? ((c->cc_a ^ c->cc_b ^ c->cc_res) & 0x10) != 0 : (c->cc_b & ISA_FL_AF) != 0;
}
static inline bool isa_zf(const struct isa_cpu *c)
{
    return c->cc_kind != ISA_CC_EXPLICIT ? c->cc_res == 0 : (c->cc_b & ISA_FL_ZF) != 0;
}
static inline bool isa_sf(const struct isa_cpu *c)
{
    return c->cc_kind != ISA_CC_EXPLICIT ? c->cc_res >> 63 : (c->cc_b & ISA_FL_SF) != 0;
}
static inline bool isa_pf(const struct isa_cpu *c)
{
    return c->cc_kind != ISA_CC_EXPLICIT ? !__builtin_parity((unsigned)(c->cc_res & 0xff)) : (c->cc_b & ISA_FL_PF) != 0;
}

// The six status flags as RFLAGS bits.
static inline uint32_t isa_status(const struct isa_cpu *c)
{
    if (c->cc_kind == ISA_CC_EXPLICIT)
        return (uint32_t)c->cc_b & ISA_FL_STATUS;
    return (isa_cf(c) ? ISA_FL_CF : 0) | (isa_pf(c) ? ISA_FL_PF : 0) | (isa_af(c) ? ISA_FL_AF : 0) | (isa_zf(c) ? ISA_FL_ZF : 0) |
           (isa_sf(c) ? ISA_FL_SF : 0) | (isa_of(c) ? ISA_FL_OF : 0);
}
static inline void isa_set_status(struct isa_cpu *c, uint32_t fl) { isa_cc_set(c, ISA_CC_EXPLICIT, 0, fl & ISA_FL_STATUS, 0); }

// Replace CF, OF or both by the RFLAGS bits in now, and keep the others (named by kept): CMC, STC, BT, rotates, ADCX.
static inline void isa_cc_keep(struct isa_cpu *c, uint32_t kept, uint64_t now)
{
    if (c->cc_kind == ISA_CC_EXPLICIT) {
        c->cc_b = (c->cc_b & kept) | now;
    } else {
        c->cc_b = (isa_af(c) ? ISA_FL_AF : 0) | ((kept & ISA_FL_OF) && isa_of(c) ? ISA_FL_OF : 0) |
                  ((kept & ISA_FL_CF) && isa_cf(c) ? ISA_FL_CF : 0) | now;
        c->cc_kind = ISA_CC_RES;
    }
}
static inline void isa_cc_cf(struct isa_cpu *c, bool cf) { isa_cc_keep(c, ISA_FL_STATUS & ~ISA_FL_CF, cf); }
static inline void isa_cc_cf_of(struct isa_cpu *c, uint64_t cf_of)
{
    isa_cc_keep(c, ISA_FL_STATUS & ~(ISA_FL_CF | ISA_FL_OF), cf_of);
}

// The whole of RFLAGS, and its raw replacement (no permission rules; those are POPF's and IRET's). The caller of
// isa_set_rflags() calls isa_update_mode() if VM changed.
static inline uint64_t isa_rflags(const struct isa_cpu *c) { return c->rflags_sys | isa_status(c); }
static inline void isa_set_rflags(struct isa_cpu *c, uint64_t fl)
{
    c->rflags_sys = ((uint32_t)fl & 0x3f7700u) | ISA_FL_1;
    isa_set_status(c, (uint32_t)fl);
}

// RF that was loaded lately (isa_cpu.rf_at) becomes a flag again. idx: position in its block of the instruction under way; 0 between two.
static inline uint32_t isa_late_rf(const struct isa_cpu *c, unsigned idx)
{
    return __builtin_expect(c->rf_at != 0, 0) && c->rf_at == c->insns + idx ? ISA_FL_RF : 0;
}
static inline void isa_settle_rf(struct isa_cpu *c, unsigned idx)
{
    c->rflags_sys |= isa_late_rf(c, idx);
    c->rf_at = 0;
}

// RFLAGS was loaded: must the engine look before the next instruction? (Where TF, RF, blocking or a debug trap were there before, it does anyway.)
static inline void isa_flags_loaded(struct isa_cpu *c)
{
    if ((c->rflags_sys & (ISA_FL_TF | ISA_FL_RF)) || ((c->rflags_sys & ISA_FL_IF) && c->irq_waits))
        c->attention = 1;
}

// Condition code 0..15 of Jcc, SETcc, CMOVcc (manual, "EFLAGS Condition Codes").
static inline __attribute__((always_inline)) bool isa_cond(const struct isa_cpu *c, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0: r = isa_of(c); break;
    case 1: r = isa_cf(c); break;
    case 2: r = isa_zf(c); break;
    case 3: r = isa_cf(c) || isa_zf(c); break;
    case 4: r = isa_sf(c); break;
    case 5: r = isa_pf(c); break;
    case 6: r = isa_sf(c) != isa_of(c); break;
    default: r = isa_zf(c) || isa_sf(c) != isa_of(c); break;
    }
    return r != (cc & 1);
}

#endif
