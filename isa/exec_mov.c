// isa/exec_mov.c: moves: MOV, MOVZX, MOVSX, CMOVcc, SETcc, XCHG, BSWAP, MOVBE, CBW and CWD and their wider forms.
//
// MANUAL     the instructions' own pages; "General-Purpose Registers" for what 32-bit writes do to the upper half.
#include "isa/operand.h"

#define MOV_FORMS(bits)                                                                                                            \
    ISA_BODY(mov_eg##bits##r)                                                                                                      \
    {                                                                                                                              \
        isa_sete##bits(c, i, isa_g##bits(c, i));                                                                                   \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(mov_eg##bits##m) { return isa_opst##bits(c, i, fast, isa_g##bits(c, i)); }                                            \
    ISA_BODY(mov_ge##bits##r)                                                                                                      \
    {                                                                                                                              \
        isa_setg##bits(c, i, isa_e##bits(c, i));                                                                                   \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(mov_ge##bits##m)                                                                                                      \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        isa_setg##bits(c, i, v);                                                                                                   \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(mov_ei##bits##r)                                                                                                      \
    {                                                                                                                              \
        isa_sete##bits(c, i, (uint##bits##_t)i->imm);                                                                              \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(mov_ei##bits##m) { return isa_opst##bits(c, i, fast, (uint##bits##_t)i->imm); }                                       \
    ISA_BODY(xchg_eg##bits##r)                                                                                                     \
    {                                                                                                                              \
        uint##bits##_t e = isa_e##bits(c, i), g = isa_g##bits(c, i);                                                               \
        isa_setg##bits(c, i, e);                                                                                                   \
        isa_sete##bits(c, i, g);                                                                                                   \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(xchg_eg##bits##m)                                                                                                     \
    {                                                                                                                              \
        struct isa_place p;                                                                                                        \
        uint##bits##_t e;                                                                                                          \
        ISA_TRY(isa_oprdw##bits(c, i, fast, &p, &e));                                                                              \
        ISA_TRY(isa_opwr##bits(c, fast, &p, isa_g##bits(c, i)));                                                                   \
        isa_setg##bits(c, i, e);                                                                                                   \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(mov_eg##bits##r)                                                                                                   \
    ISA_HANDLER(mov_eg##bits##m)                                                                                                   \
    ISA_HANDLER(mov_ge##bits##r)                                                                                                   \
    ISA_HANDLER(mov_ge##bits##m)                                                                                                   \
    ISA_HANDLER(mov_ei##bits##r)                                                                                                   \
    ISA_HANDLER(mov_ei##bits##m)                                                                                                   \
    ISA_HANDLER(xchg_eg##bits##r)                                                                                                  \
    ISA_HANDLER(xchg_eg##bits##m)
MOV_FORMS(8)
MOV_FORMS(16)
MOV_FORMS(32)
MOV_FORMS(64)
ISA_FAMILY8(mov_e_g, mov_eg);
ISA_FAMILY8(mov_g_e, mov_ge);
ISA_FAMILY8(mov_e_i, mov_ei);
ISA_FAMILY8(xchg_e_g, xchg_eg);

// Extensions: from sbits (E) to dbits (G). The family's index is the destination's size.
#define EXTEND(name, sbits, dbits, FN)                                                                                             \
    ISA_BODY(name##dbits##r)                                                                                                       \
    {                                                                                                                              \
        isa_setg##dbits(c, i, (uint##dbits##_t)FN(isa_e##sbits(c, i)));                                                            \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(name##dbits##m)                                                                                                       \
    {                                                                                                                              \
        uint##sbits##_t v;                                                                                                         \
        ISA_TRY(isa_opld##sbits(c, i, fast, &v));                                                                                  \
        isa_setg##dbits(c, i, (uint##dbits##_t)FN(v));                                                                             \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(name##dbits##r)                                                                                                    \
    ISA_HANDLER(name##dbits##m)
EXTEND(movzx_eb, 8, 16, )
EXTEND(movzx_eb, 8, 32, )
EXTEND(movzx_eb, 8, 64, )
EXTEND(movzx_ew, 16, 16, )
EXTEND(movzx_ew, 16, 32, )
EXTEND(movzx_ew, 16, 64, )
EXTEND(movsx_eb, 8, 16, isa_sx8)
EXTEND(movsx_eb, 8, 32, isa_sx8)
EXTEND(movsx_eb, 8, 64, isa_sx8)
EXTEND(movsx_ew, 16, 16, isa_sx16)
EXTEND(movsx_ew, 16, 32, isa_sx16)
EXTEND(movsx_ew, 16, 64, isa_sx16)
EXTEND(movsxd, 16, 16, isa_sx16)
EXTEND(movsxd, 32, 32, isa_sx32)
EXTEND(movsxd, 32, 64, isa_sx32)
ISA_FAMILY6(movzx8_g_e, movzx_eb);
ISA_FAMILY6(movzx16_g_e, movzx_ew);
ISA_FAMILY6(movsx8_g_e, movsx_eb);
ISA_FAMILY6(movsx16_g_e, movsx_ew);
ISA_FAMILY6(movsx32_g_e, movsxd);

// CMOVcc reads its source, and clears the upper half of a 32-bit destination, whether or not the condition holds.
#define CMOV(cc, bits)                                                                                                             \
    ISA_BODY(cmov##cc##_##bits##r)                                                                                                 \
    {                                                                                                                              \
        isa_setg##bits(c, i, isa_cond(c, 0x##cc) ? isa_e##bits(c, i) : isa_g##bits(c, i));                                         \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(cmov##cc##_##bits##m)                                                                                                 \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        isa_setg##bits(c, i, isa_cond(c, 0x##cc) ? v : isa_g##bits(c, i));                                                         \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_HANDLER(cmov##cc##_##bits##r)                                                                                              \
    ISA_HANDLER(cmov##cc##_##bits##m)
#define CMOV_FORMS(cc) CMOV(cc, 16) CMOV(cc, 32) CMOV(cc, 64)
ISA_EACH_COND(CMOV_FORMS)
#define CMOV_ROW(cc)                                                                                                               \
    isa_h_bug, isa_h_bug, cmov##cc##_16r, cmov##cc##_16m, cmov##cc##_32r, cmov##cc##_32m, cmov##cc##_64r, cmov##cc##_64m,
ISA_FAMILY_COND(cmovcc_g_e, CMOV_ROW);

#define SETCC(cc)                                                                                                                  \
    ISA_BODY(set##cc##_r)                                                                                                          \
    {                                                                                                                              \
        isa_sete8(c, i, isa_cond(c, 0x##cc));                                                                                      \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(set##cc##_m) { return isa_opst8(c, i, fast, isa_cond(c, 0x##cc)); }                                                   \
    ISA_HANDLER(set##cc##_r)                                                                                                       \
    ISA_HANDLER(set##cc##_m)
ISA_EACH_COND(SETCC)
#define SET_ROW(cc) set##cc##_r, set##cc##_m, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug,
ISA_FAMILY_COND(setcc_e, SET_ROW);

// A 16-bit BSWAP is undefined; recent processors clear the 16 bits.
ISA_BODY(bswap16)
{
    isa_sete16(c, i, 0);
    return 0;
}
ISA_BODY(bswap32)
{
    isa_sete32(c, i, __builtin_bswap32(isa_e32(c, i)));
    return 0;
}
ISA_BODY(bswap64)
{
    isa_sete64(c, i, __builtin_bswap64(isa_e64(c, i)));
    return 0;
}
ISA_HANDLER(bswap16)
ISA_HANDLER(bswap32)
ISA_HANDLER(bswap64)
ISA_FAMILY6S(bswap_r, bswap);

#define MOVBE(bits)                                                                                                                \
    ISA_BODY(movbe_ge##bits)                                                                                                       \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        isa_setg##bits(c, i, __builtin_bswap##bits(v));                                                                            \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_BODY(movbe_eg##bits) { return isa_opst##bits(c, i, fast, __builtin_bswap##bits(isa_g##bits(c, i))); }                      \
    ISA_HANDLER(movbe_ge##bits)                                                                                                    \
    ISA_HANDLER(movbe_eg##bits)
MOVBE(16)
MOVBE(32)
MOVBE(64)
ISA_FAMILY6S(movbe_g_m, movbe_ge);
ISA_FAMILY6S(movbe_m_g, movbe_eg);

// CBW CWDE CDQE: the accumulator's lower half, extended. CWD CDQ CQO: its sign, through the data register.
ISA_BODY(cbw16)
{
    isa_w16(c, ISA_RAX, (uint16_t)isa_sx8(isa_r8(c, 0)));
    return 0;
}
ISA_BODY(cbw32)
{
    isa_w32(c, ISA_RAX, (uint32_t)isa_sx16(isa_r16(c, ISA_RAX)));
    return 0;
}
ISA_BODY(cbw64)
{
    c->gpr[ISA_RAX] = isa_sx32(isa_r32(c, ISA_RAX));
    return 0;
}
ISA_BODY(cwd16)
{
    isa_w16(c, ISA_RDX, (uint16_t) - (isa_r16(c, ISA_RAX) >> 15));
    return 0;
}
ISA_BODY(cwd32)
{
    isa_w32(c, ISA_RDX, 0u - (isa_r32(c, ISA_RAX) >> 31));
    return 0;
}
ISA_BODY(cwd64)
{
    c->gpr[ISA_RDX] = 0ull - (c->gpr[ISA_RAX] >> 63);
    return 0;
}
ISA_HANDLER(cbw16)
ISA_HANDLER(cbw32)
ISA_HANDLER(cbw64)
ISA_HANDLER(cwd16)
ISA_HANDLER(cwd32)
ISA_HANDLER(cwd64)
ISA_FAMILY6S(cbw, cbw);
ISA_FAMILY6S(cwd, cwd);
