// isa/decode_zydis_test.c: the decoder against Zydis over the opcode space.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <Zydis/Zydis.h>

#include "isa/decode_testing.h"
#include "isa/fault.h"

struct cmp {
    struct isa_decode_mode m;
    ZydisDecoder z;
    uint64_t compared, valid, failures;
    const char *last_what; // print one line per kind of failure and instruction
    ZydisMnemonic last_name;
    uint16_t last_op;
    bool claimed[ISA_OP_NUM]; // rows that agreed at least once
};

static const struct {
    enum isa_mode mode;
    ZydisMachineMode zmode;
    ZydisStackWidth zstack;
} modes[] = {
    {ISA_REAL, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
    {ISA_PROT16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
    {ISA_PROT32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
    {ISA_COMPAT16, ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16},
    {ISA_COMPAT32, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32},
    {ISA_LONG64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
};
enum { NMODES = sizeof modes / sizeof modes[0] };

// mpx: memory-protection extensions are enabled; else their instructions are no-operations.
static void cmp_init(struct cmp *c, unsigned n, bool mpx)
{
    memset(c, 0, sizeof *c);
    c->m = mode_of(modes[n].mode, true);
    if (!mpx)
        c->m.features[ISA_FEAT_MPX / 64] &= ~(1ull << ISA_FEAT_MPX % 64);
    ZydisDecoderInit(&c->z, modes[n].zmode, modes[n].zstack);
    // Hint encodings that are plain NOPs on processors without the feature.
    ZydisDecoderEnableMode(&c->z, ZYDIS_DECODER_MODE_MPX, mpx);
    ZydisDecoderEnableMode(&c->z, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(&c->z, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    ZydisDecoderEnableMode(&c->z, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
}

static void complain(struct cmp *c, const uint8_t *b, const struct isa_insn *i, const ZydisDecodedInstruction *z, const char *what)
{
    ZydisMnemonic name = z ? z->mnemonic : ZYDIS_MNEMONIC_INVALID;
    c->failures++;
    if (what == c->last_what && name == c->last_name && i->op == c->last_op)
        return;
    c->last_what = what;
    c->last_name = name;
    c->last_op = i->op;
    char hex[64] = "";
    for (unsigned k = 0; k < 15; k++)
        sprintf(hex + 3 * k, "%02x ", b[k]);
    print_error("mode %u, %s: %s; ours %s %s len %u osz %u imm %#llx, Zydis %s len %u\n", c->m.mode, hex, what,
                isa_opinfo[i->op].mnemonic, isa_opinfo[i->op].operands, i->len, i->osz, (unsigned long long)i->imm,
                z ? ZydisMnemonicGetString(z->mnemonic) : "invalid", z ? z->length : 0);
}

// What Zydis knows and this part of isa/ does not claim.
static bool not_modelled(const ZydisDecodedInstruction *z)
{
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_ADOX_ADCX:
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_BMI1:
    case ZYDIS_ISA_EXT_BMI2:
    case ZYDIS_ISA_EXT_CLFLUSHOPT:
    case ZYDIS_ISA_EXT_CLFSH:
    case ZYDIS_ISA_EXT_CLWB:
    case ZYDIS_ISA_EXT_INVPCID:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_LZCNT:
    case ZYDIS_ISA_EXT_MONITOR:
    case ZYDIS_ISA_EXT_MOVBE:
    case ZYDIS_ISA_EXT_MPX:
    case ZYDIS_ISA_EXT_PAUSE:
    case ZYDIS_ISA_EXT_RDPID:
    case ZYDIS_ISA_EXT_RDRAND:
    case ZYDIS_ISA_EXT_RDSEED:
    case ZYDIS_ISA_EXT_RDTSCP:
    case ZYDIS_ISA_EXT_RDWRFSGS:
    case ZYDIS_ISA_EXT_SMAP:
    case ZYDIS_ISA_EXT_SMX:
    case ZYDIS_ISA_EXT_VMFUNC:
    case ZYDIS_ISA_EXT_VTX:
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_AVX:
    case ZYDIS_ISA_EXT_AVX2:
    case ZYDIS_ISA_EXT_AVX2GATHER:
    case ZYDIS_ISA_EXT_AVXAES:
    case ZYDIS_ISA_EXT_F16C:
    case ZYDIS_ISA_EXT_FMA:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
    case ZYDIS_ISA_EXT_XSAVE:
    case ZYDIS_ISA_EXT_XSAVEC:
    case ZYDIS_ISA_EXT_XSAVEOPT:
    case ZYDIS_ISA_EXT_X87: return false;
    default: return true;
    }
}

// Zydis splits what is one row here; compare names up to the split.
static bool same_name(const struct isa_insn *i, const char *z)
{
    static const char *const cc[16] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"};
    static const char *const alias[][2] = {
        {"cbw", "cwde"},   {"cbw", "cdqe"},     {"cwd", "cdq"},      {"cwd", "cqo"},    {"jrcxz", "jcxz"}, {"jrcxz", "jecxz"},
        {"retf", "ret"},   {"wait", "fwait"},   {"pusha", "pushad"}, {"popa", "popad"}, {"sal", "shl"},    {"iret", "iretd"},
        {"iret", "iretq"}, {"pushf", "pushfd"}, {"pushf", "pushfq"}, {"popf", "popfd"}, {"popf", "popfq"}, {"prefetchw", "nop"},
    };
    const char *m = isa_opinfo[i->op].mnemonic;
    uint32_t props = isa_opinfo[i->op].props;
    size_t n = strlen(m);
    if (props & ISA_F_COND)
        return !strncmp(m, z, n - 2) && !strcmp(z + n - 2, cc[i->cc]);
    if (props & ISA_F_REP)
        return !strncmp(m, z, n) && z[n] == " bw d   q"[i->osz] && !z[n + 1];
    if (!strncmp(m, "prefetch", 8) || !strcmp(m, "nop"))
        return !strncmp(z, "prefetch", 8) || !strcmp(z, "nop");
    if (m[0] == 'f' && (!strcmp(m, "fcmove") || !strcmp(m, "fcmovne"))) // Zydis has names of its own
        return !strncmp(z, "fcmov", 5);
    for (unsigned k = 0; k < sizeof alias / sizeof alias[0]; k++)
        if (!strcmp(m, alias[k][0]) && !strcmp(z, alias[k][1]))
            return true;
    return !strncmp(m, z, n) && (!z[n] || !strcmp(z + n, "64")); // FXSAVE64 is FXSAVE with REX.W
}

static bool same_gpr(ZydisRegister r, unsigned ours)
{
    return r == ZYDIS_REGISTER_NONE                             ? ours == ISA_REG_ZERO
           : r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP ? ours == ISA_REG_RIP
                                                                : (unsigned)ZydisRegisterGetId(r) == ours;
}

static bool same_memory(const struct isa_insn *i, const ZydisDecodedOperand *o)
{
    uint64_t mask = i->asz == 8 ? ~0ull : (1ull << (8 * i->asz)) - 1;
    bool agen = o->mem.type == ZYDIS_MEMOP_TYPE_AGEN;
    bool index = o->mem.type == ZYDIS_MEMOP_TYPE_VSIB
                     ? i->index == ISA_REG_ZERO && (unsigned)ZydisRegisterGetId(o->mem.index) == i->rm
                     : same_gpr(o->mem.index, i->index);
    return i->is_mem && same_gpr(o->mem.base, i->base) && index &&
           (o->mem.index == ZYDIS_REGISTER_NONE || o->mem.scale == 1u << i->scale) &&
           (((uint64_t)o->mem.disp.value ^ i->disp) & mask) == 0 &&
           (agen || (unsigned)ZydisRegisterGetId(o->mem.segment) == i->seg);
}

static bool same_reg(const ZydisDecodedOperand *o, unsigned reg, unsigned reg8)
{
    static const uint8_t gpr8[] = {0,  8,  16, 24, 1,  9,  17, 25,  32,  40,
                                   48, 56, 64, 72, 80, 88, 96, 104, 112, 120}; // AL CL DL BL AH CH DH BH SPL ... R15B
    if (ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_GPR8)
        return gpr8[o->reg.value - ZYDIS_REGISTER_AL] == reg8;
    return (unsigned)ZydisRegisterGetId(o->reg.value) == reg;
}

static bool same_imm(const struct isa_insn *i, const ZydisDecodedOperand *o, unsigned nth)
{
    uint64_t ours = nth ? i->imm >> 16 : i->imm;
    if (isa_opinfo[i->op].operands[0] == 'I' && strchr(isa_opinfo[i->op].operands, ',') && !nth)
        ours &= 0xffff;
    if (o->imm.is_relative)
        return o->imm.value.u == ours;
    uint64_t mask = o->size == 64 ? ~0ull : (1ull << o->size) - 1;
    return ((o->imm.value.u ^ ours) & mask) == 0;
}

// Zydis 4.0 lets REX.B turn "no base" into R13 where the address size is 32 bits. The manual: mod 00 with base 101B has no base.
static bool zydis_adds_r13(const struct isa_insn *i, const ZydisDecodedInstruction *z)
{
    return i->asz == 4 && z->raw.sib.offset && z->raw.sib.base == 5 && z->raw.modrm.mod == 0 && z->raw.rex.B;
}

// Operand k of the row; letters of a vector register give its size too: "x" by VEX.L, "qq" YMM, anything else XMM.
static const char *explicit_operand(const struct isa_insn *i, unsigned k)
{
    const char *s = isa_opinfo[i->op].operands;
    for (; k && (s = strchr(s, ',')); k--)
        s++;
    return s;
}
static bool same_vector_size(const struct isa_insn *i, const ZydisDecodedOperand *o, const char *s)
{
    ZydisRegisterClass cl = ZydisRegisterGetClass(o->reg.value);
    if ((cl != ZYDIS_REGCLASS_XMM && cl != ZYDIS_REGCLASS_YMM) || !(isa_opinfo[i->op].props & ISA_F_VEX) ||
        o->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
        return true;
    return s && (cl == ZYDIS_REGCLASS_YMM) == ((s[1] == 'x' && i->vex_l) || (s[1] == 'q' && s[2] == 'q'));
}

// The first explicit operand that disagrees is named; NULL if all agree.
static const char *compare_operands(const struct isa_insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
    unsigned imms = 0;
    for (unsigned k = 0; k < z->operand_count; k++) {
        const ZydisDecodedOperand *o = &ops[k];
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            continue;
        bool modrm = o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM || o->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64;
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && modrm) {
            if (!same_memory(i, o) && !zydis_adds_r13(i, z))
                return "memory operand differs";
        } else if (o->type == ZYDIS_OPERAND_TYPE_POINTER) {
            if (i->imm != ((uint64_t)o->ptr.segment << 32 | o->ptr.offset))
                return "far pointer differs";
        } else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            if (!same_imm(i, o, imms++))
                return "immediate differs";
        } else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            bool ok = true;
            if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG)
                ok = same_reg(o, i->reg, i->reg8);
            else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM || o->encoding == ZYDIS_OPERAND_ENCODING_OPCODE)
                ok = !i->is_mem && same_reg(o, i->rm, i->rm8);
            else if (o->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD)
                ok = same_reg(o, i->vvvv, ~0u);
            else if (o->encoding == ZYDIS_OPERAND_ENCODING_IS4)
                ok = same_reg(o, (unsigned)i->imm >> 4, ~0u);
            else if (ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_SEGMENT)
                ok = same_reg(o, i->rm, ~0u);
            ok = ok && same_vector_size(i, o, explicit_operand(i, k));
            if (!ok)
                return "register differs";
        }
    }
    return NULL;
}

// Rows whose osz is not the width of an operand by convention (head of isa/opcodes.def), or means nothing.
static bool size_matters(const struct isa_insn *i)
{
    const struct isa_opinfo *op = &isa_opinfo[i->op];
    if (strstr(op->operands, "Mp") || strstr(op->operands, "Ms") || !strcmp(op->operands, "M") || !strcmp(op->operands, "Mdq") ||
        strchr(op->operands, 'm'))
        return false;
    if (strpbrk(op->operands, "Kk"))
        return false; // a bound, as wide as the mode's addresses
    if (i->is_mem ? !strcmp(op->operands, "M") : strpbrk(op->operands, "VWUPQNT") && !strpbrk(op->operands, "EGR"))
        return false; // registers of one size, or an area
    switch (i->op) {
    case ISA_OP_FNSTSW_AX:
    case ISA_OP_MOVMSKPS_Gd_Ux:
    case ISA_OP_MOVMSKPD_Gd_Ux:
    case ISA_OP_PREFETCHW:
    case ISA_OP_NOP_18:
    case ISA_OP_NOP_1E:
    case ISA_OP_CLFLUSH:
    case ISA_OP_CLFLUSHOPT:
    case ISA_OP_CLWB:
    case ISA_OP_UD0:
    case ISA_OP_UD1:
    case ISA_OP_SYSCALL:
    case ISA_OP_CRC32_Gv_Ev:
    case ISA_OP_INS_Yz:
    case ISA_OP_OUTS_Xz: return false;
    default: return true;
    }
}

// Operand size: the width of the first operand that is a general register or plain memory, else Zydis's operand width.
static unsigned zydis_osz(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
    for (unsigned k = 0; k < z->operand_count; k++) {
        const ZydisDecodedOperand *o = &ops[k];
        bool port =
            o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value == ZYDIS_REGISTER_DX && z->meta.category == ZYDIS_CATEGORY_IO;
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN || port)
            continue;
        ZydisRegisterClass cl =
            o->type == ZYDIS_OPERAND_TYPE_REGISTER ? ZydisRegisterGetClass(o->reg.value) : ZYDIS_REGCLASS_INVALID;
        bool gpr =
            cl == ZYDIS_REGCLASS_GPR8 || cl == ZYDIS_REGCLASS_GPR16 || cl == ZYDIS_REGCLASS_GPR32 || cl == ZYDIS_REGCLASS_GPR64;
        if (gpr || (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_MEM))
            return o->size > 64 ? 8 : o->size / 8;
    }
    return z->operand_width / 8;
}

// Which branches set the bounds of MPX to zeros: those that may have the prefix BND, without it.
static const char *compare_bnd(const struct cmp *c, const struct isa_insn *i, const ZydisDecodedInstruction *z)
{
    const bool branch = isa_opinfo[i->op].props & ISA_F_BND, on = isa_has(c->m.features, ISA_FEAT_MPX);
    if (on && branch != !!(z->attributes & ZYDIS_ATTRIB_ACCEPTS_BND))
        return "one of us takes BND";
    return i->unbound != (on && branch && !(z->attributes & ZYDIS_ATTRIB_HAS_BND)) ? "BND differs" : NULL;
}

static const char *compare_sizes(const struct isa_insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
    if (i->asz * 8 != z->address_width)
        return "address size differs";
    if (size_matters(i) && zydis_osz(z, ops) != i->osz)
        return "operand size differs";
    return NULL;
}

// Where Zydis is known to differ from Intel processors, and the manual decides.
static bool zydis_is_lax(const struct isa_insn *i, const struct cmp *c, const ZydisDecodedInstruction *z)
{
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET: return c->m.mode != ISA_LONG64; // AMD has them in legacy modes
    case ZYDIS_MNEMONIC_VMWRITE: return c->m.mode == ISA_REAL && i->imm == ISA_RULE_UD_MODE;
    default: return false;
    }
}
static bool zydis_is_strict(const struct isa_insn *i, const struct cmp *c)
{
    switch (i->op) {
    case ISA_OP_SYSENTER: // in real mode these raise #GP, not #UD
    case ISA_OP_SYSEXIT:
    case ISA_OP_GETSEC: return c->m.mode == ISA_REAL;
    default: return false;
    }
}
// Returns false if what follows the opcode is known to be no ModRM byte.
static bool compare(struct cmp *c, const uint8_t *b)
{
    struct isa_insn i;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderContext ctx;
    unsigned len = isa_decode(&c->m, b, 16, &i);
    bool zok = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&c->z, &ctx, b, 16, &z));
    c->compared++;
    if (i.op == ISA_OP_INVALID) {
        if (zok && !not_modelled(&z) && !zydis_is_lax(&i, c, &z))
            complain(c, b, &i, &z, "we say undefined");
        return true;
    }
    if (!zok) {
        if (!zydis_is_strict(&i, c))
            complain(c, b, &i, NULL, "Zydis says undefined");
        return true;
    }
    const char *what = NULL;
    if (len != z.length || len != i.len)
        what = "length differs";
    else if (!same_name(&i, ZydisMnemonicGetString(z.mnemonic)))
        what = "another instruction";
    else if (ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&c->z, &ctx, &z, ops, z.operand_count)) &&
             !(what = compare_operands(&i, &z, ops)))
        what = compare_sizes(&i, &z, ops);
    if (!what)
        what = compare_bnd(c, &i, &z);
    if (what)
        complain(c, b, &i, &z, what);
    c->valid++;
    c->claimed[i.op] = true;
    return z.attributes & ZYDIS_ATTRIB_HAS_MODRM;
}

static const char *const prefix_sets[] = {
    "",
    "66",
    "67",
    "f2",
    "f3",
    "f0",
    "64",
    "2e",
    "6667",
    "66f2",
    "66f3",
    "f066",
    "f2f3",
    "f3f2",
    "f0f3",
    "6536",
    "26",
    // 64-bit mode only from here
    "48",
    "41",
    "44",
    "42",
    "40",
    "4f",
    "6648",
    "f348",
    "f248",
    "f048",
    "4866",
    "f34f",
    "6766",
    "66f345",
    "642e48",
    "6741",
};
enum { NPREFIX = sizeof prefix_sets / sizeof prefix_sets[0], NPREFIX_LEGACY = 17 };

static const uint8_t tail[] = {0x25, 0x87, 0x66, 0xe5, 0x74, 0x91, 0x38, 0xa2};

static unsigned put_opcode(uint8_t *b, unsigned map, unsigned opcode)
{
    unsigned n = 0;
    if (map > 1)
        b[n++] = 0x0f;
    if (map > 2)
        b[n++] = map == 3 ? 0x38 : 0x3a;
    b[n++] = (uint8_t)opcode;
    return n;
}

// All ModRM bytes, or a selection of forms; a different SIB byte each time.
static void sweep_modrm(struct cmp *c, uint8_t *b, unsigned n, bool whole)
{
    static const uint8_t forms[] = {0x00, 0x04, 0x05, 0x06, 0x42, 0x44, 0x84, 0x85, 0xc0, 0xc1, 0xc4, 0xc7};
    static uint8_t sibs[] = {0x25, 0x00, 0x6d, 0xa5, 0x24, 0xfd, 0x98, 0x65, 0xe4, 0x5b, 0x05, 0x2c, 0xc5};
    unsigned count = 0, total = whole ? 256 : 8 * sizeof forms;
    for (unsigned k = 0; k < total; k++) {
        unsigned modrm = whole ? k : forms[k % sizeof forms] | (k / sizeof forms) << 3;
        b[n] = (uint8_t)modrm;
        memcpy(b + n + 1, tail, sizeof tail);
        b[n + 1] = sibs[count++ % sizeof sibs];
        if (!compare(c, b))
            return;
    }
}

static bool opcode_is_prefix(unsigned map, unsigned opcode, bool is64)
{
    if (map == 1)
        switch (opcode) {
        case 0x0f:
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x66:
        case 0x67:
        case 0xf0:
        case 0xf2:
        case 0xf3: return true;
        default: return is64 && (opcode & 0xf0) == 0x40;
        }
    return map == 2 && (opcode == 0x38 || opcode == 0x3a);
}

static void sweep_mode(struct cmp *c)
{
    bool is64 = c->m.mode == ISA_LONG64;
    uint8_t b[40] = {0};
    for (unsigned p = 0; p < (is64 ? NPREFIX : NPREFIX_LEGACY); p++)
        for (unsigned map = 1; map <= 4; map++)
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                if (opcode_is_prefix(map, opcode, is64))
                    continue;
                unsigned n = put_hex(b, prefix_sets[p]);
                n += put_opcode(b + n, map, opcode);
                sweep_modrm(c, b, n, p == 0 || (map == 2 && opcode < 2) || opcode == 0xae || opcode == 0xc7);
            }
}

static bool has_vex_row(unsigned map, unsigned opcode)
{
    static bool known, has[5][256];
    if (!known) {
#define OP(id, m, o, prefix, ext, mnemonic, operands, family, props, ...) has[(m)-1][o] |= ((props)&ISA_F_VEX) != 0;
#include "isa/opcodes.def"
#undef OP
        known = true;
    }
    return map < 5 && has[map][opcode];
}

// VEX: every opcode, W, L and prefix field, with a choice of register extensions, vvvv and ModRM; more of it where rows are.
static void sweep_vex_opcode(struct cmp *c, uint8_t *b, unsigned n, unsigned map, unsigned opcode)
{
    static const uint8_t rxb[] = {0xe0, 0xc0, 0x60, 0x00};
    bool ours = has_vex_row(map, opcode);
    for (unsigned low = 0; low < 256; low++) { // W vvvv L pp
        unsigned vvvv = low >> 3 & 15;
        if (vvvv != 15 && !(ours && (vvvv == 0 || vvvv == 6)))
            continue;
        for (unsigned k = 0; k < (ours ? sizeof rxb : 1); k++)
            for (unsigned modrm = 0; modrm < 256; modrm += (ours ? 5 : 67)) {
                const uint8_t insn[] = {0xc4, (uint8_t)(rxb[k] | map), (uint8_t)low, (uint8_t)opcode, (uint8_t)modrm};
                memcpy(b + n, insn, sizeof insn);
                memcpy(b + n + sizeof insn, tail, sizeof tail);
                compare(c, b);
            }
    }
}

static void sweep_vex(struct cmp *c)
{
    static const char *const before[] = {"66", "f2", "f3", "f0", "67", "65", "48"};
    uint8_t b[40] = {0};
    for (unsigned map = 0; map < 5; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++)
            sweep_vex_opcode(c, b, 0, map, opcode);
    for (unsigned p = 0; p < sizeof before / sizeof before[0] - (c->m.mode != ISA_LONG64); p++)
        for (unsigned opcode = 0xf2; opcode < 0xf8; opcode++)
            sweep_vex_opcode(c, b, put_hex(b, before[p]), 2, opcode);
    for (unsigned k = 0; k < 0x10000; k++) { // the two-byte form reaches map 0F only
        const uint8_t insn[] = {0xc5, (uint8_t)(k >> 8), (uint8_t)k, 0xc1};
        memcpy(b, insn, sizeof insn);
        memcpy(b + sizeof insn, tail, sizeof tail);
        compare(c, b);
    }
}

static void zydis_agrees(void **state)
{
    static struct cmp c[2 * NMODES];
    uint64_t compared = 0, valid = 0, failures = 0;
    unsigned rows = 0;
    for (unsigned k = 0; k < 2 * NMODES; k++) {
        cmp_init(&c[k], k % NMODES, k < NMODES);
        sweep_mode(&c[k]);
        sweep_vex(&c[k]);
        compared += c[k].compared;
        valid += c[k].valid;
        failures += c[k].failures;
    }
    for (unsigned op = 1; op < ISA_OP_NUM; op++) {
        bool seen = false;
        for (unsigned k = 0; k < 2 * NMODES; k++)
            seen |= c[k].claimed[op];
        if (!seen)
            print_error("row %u (%s %s) was never reached\n", op, isa_opinfo[op].mnemonic, isa_opinfo[op].operands);
        rows += seen;
    }
    printf("# decode: %llu encodings compared with Zydis, %llu defined, %u rows\n", (unsigned long long)compared,
           (unsigned long long)valid, rows);
    assert_int_equal(failures, 0);
    assert_int_equal(rows, ISA_OP_NUM - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(zydis_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
