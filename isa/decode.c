// isa/decode.c: bytes to struct isa_insn, driven by isa/opcodes.def.
//
// Prefixes, opcode and ModRM choose a row; the letters of the row's operands then say which bytes follow and which fields to fill.
#include <string.h>

#include "isa/decode.h"
#include "isa/fault.h"
#include "isa/tables.h"

enum pfx { PFX_ANY, PFX_NP, PFX_NFX, PFX_P66, PFX_PF3, PFX_PF2 };
enum ext_kind { EXT_NONE, EXT_REG, EXT_RM, EXT_NOREXB };

// Where a row stands in the opcode map; the rest of the row is in isa_opinfo, one place further on (row 0 there is INVALID).
struct row {
    uint16_t key; // map << 8 | opcode
    uint8_t pfx, ext, ext_reg, ext_rm;
};
static const struct row rows[] = {
#define NOEXT                                 EXT_NONE, 0, 0
#define REG(n)                                EXT_REG, n, 0
#define RM(n, m)                              EXT_RM, n, m
#define NOREXB                                EXT_NOREXB, 0, 0
#define OP(id, map, opcode, prefix, ext, ...) {(map) << 8 | (opcode), PFX_##prefix, ext},
#include "isa/opcodes.def"
#undef OP
#undef NOEXT
#undef REG
#undef RM
#undef NOREXB
};
enum { NROWS = sizeof rows / sizeof rows[0] };

// Everything known about the instruction so far.
struct dec {
    const struct isa_decode_mode *m;
    struct isa_insn *i;
    const uint8_t *b;
    unsigned n, pos;
    bool more;            // ran out of bytes
    bool too_long;        // ran past the 15th byte
    bool is64, real;      // 64-bit mode; real or virtual-8086 mode
    bool p66, p67, plock; // prefixes seen
    uint8_t rep;          // enum isa_rep, the last of F2 and F3
    int8_t seg;           // segment override, -1 for none
    uint8_t rex;          // the REX byte, or one made from a VEX prefix; 0 for none
    bool vex;             // VEX-encoded
    uint8_t vvvv, vex_l;  // VEX fields, decoded
    bool vex_w;
    uint8_t map, opcode; // where we are in the map
    bool has_modrm, mem; // a ModRM byte follows (modrm); it names memory
    uint8_t modrm;
    uint8_t osz; // effective operand size ("v")
    uint8_t ysz; // 4 or 8 ("y")
};
enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

// The next byte, 0 when there is none (the caller looks at more and too_long later).
static uint8_t peek(struct dec *d)
{
    if (d->pos >= ISA_MAX_INSN_LEN)
        d->too_long = true;
    else if (d->pos >= d->n)
        d->more = true;
    else
        return d->b[d->pos];
    return 0;
}
static uint8_t next(struct dec *d)
{
    uint8_t v = peek(d);
    if (!d->more && !d->too_long)
        d->pos++;
    return v;
}
static uint64_t next_n(struct dec *d, unsigned n)
{
    uint64_t v = 0;
    for (unsigned k = 0; k < n; k++)
        v |= (uint64_t)next(d) << (8 * k);
    return v;
}
static uint64_t sign_extend(uint64_t v, unsigned bytes)
{
    unsigned sh = 64 - 8 * bytes;
    return (uint64_t)((int64_t)(v << sh) >> sh);
}
static uint64_t next_signed(struct dec *d, unsigned n) { return sign_extend(next_n(d, n), n); }

// --- prefixes and opcode

// Legacy prefixes in any order and number; a REX prefix counts only if the opcode follows it directly.
static void prefixes(struct dec *d)
{
    for (;; d->pos++) {
        uint8_t b = peek(d);
        if (d->more || d->too_long)
            return;
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (!d->is64)
                d->seg = (int8_t)(b >> 3 & 3);
            break;
        case 0x64: d->seg = ISA_FS; break;
        case 0x65: d->seg = ISA_GS; break;
        case 0x66: d->p66 = true; break;
        case 0x67: d->p67 = true; break;
        case 0xf0: d->plock = true; break;
        case 0xf2: d->rep = ISA_REP_F2; break;
        case 0xf3: d->rep = ISA_REP_F3; break;
        default:
            if (!d->is64 || (b & 0xf0) != 0x40)
                return;
            d->rex = b;
            continue;
        }
        d->rex = 0;
    }
}

// C4 and C5 are LES and LDS where VEX cannot be: in real and virtual-8086 mode, and with a memory operand outside 64-bit mode.
static bool is_vex(struct dec *d, uint8_t opcode)
{
    if ((opcode != 0xc4 && opcode != 0xc5) || d->real)
        return false;
    return d->is64 || (peek(d) >= 0xc0 && !d->more && !d->too_long);
}

static enum isa_rule vex_prefix(struct dec *d, uint8_t opcode)
{
    bool bad = d->p66 || d->rep || d->rex;
    uint8_t b1 = next(d), b2;
    if (opcode == 0xc5) {
        d->map = 2;
        b2 = b1 & 0x7f;
        d->rex = 0x40 | (b1 & 0x80 ? 0 : REX_R);
    } else {
        d->map = (b1 & 0x1f) + 1; // mmmmm: 1 is 0F, 2 is 0F 38, 3 is 0F 3A
        b2 = next(d);
        d->rex = (uint8_t)(0x40 | (~b1 >> 5 & 7) | (b2 & 0x80 ? REX_W : 0));
        d->vex_w = b2 >> 7;
    }
    if (!d->is64)
        d->rex = 0;
    d->vex = true;
    d->vvvv = ~b2 >> 3 & 15;
    d->vex_l = b2 >> 2 & 1;
    d->p66 = (b2 & 3) == 1;
    d->rep = (b2 & 3) == 2 ? ISA_REP_F3 : (b2 & 3) == 3 ? ISA_REP_F2 : ISA_REP_NONE;
    d->opcode = next(d);
    if (d->plock)
        return ISA_RULE_UD_LOCK;
    return bad || d->map < 2 || d->map > 4 ? ISA_RULE_UD_OPCODE : ISA_RULE_NONE;
}

static enum isa_rule opcode_bytes(struct dec *d)
{
    uint8_t b = next(d);
    if (is_vex(d, b))
        return vex_prefix(d, b);
    d->map = 1;
    if (b == 0x0f) {
        b = next(d);
        d->map = b == 0x38 ? 3 : b == 0x3a ? 4 : 2;
        if (d->map > 2)
            b = next(d);
    }
    d->opcode = b;
    return ISA_RULE_NONE;
}

// --- operand strings

// The segment register that an operand names, or -1.
static int named_sreg(const char *s)
{
    static const char names[] = "ES CS SS DS FS GS";
    for (int k = 0; k < 6; k++)
        if (!memcmp(names + 3 * k, s, 2) && (s[2] == ',' || !s[2]))
            return k;
    return -1;
}

static bool is_named(const char *s)
{
    return named_sreg(s) >= 0 || *s == '1' || *s == 'r' || *s == 'e' || !memcmp(s, "AL", 2) || !memcmp(s, "CL", 2) ||
           !memcmp(s, "DX", 2) || *s == 'T';
}

static const char *next_operand(const char *s)
{
    s = strchrnul(s, ',');
    return *s ? s + 1 : s;
}

// An operand that starts with one of the letters, and is no name.
static bool has_letter(const char *s, const char *letters)
{
    for (; *s; s = next_operand(s))
        if (!is_named(s) && strchr(letters, *s))
            return true;
    return false;
}

// --- choosing the row

// The first row with this key or a greater one. Rows are sorted (isa/decode_test.c proves it).
static unsigned lower_bound(unsigned key)
{
    unsigned lo = 0, hi = NROWS;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (rows[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static const struct isa_opinfo *info(unsigned row) { return &isa_opinfo[row + 1]; }
static bool names_z(unsigned row) { return strchr(info(row)->operands, 'Z') != NULL; }

// Rows first..last-1 for the opcode: its own, or those of the row that covers it (register or condition in the opcode).
static void candidates(unsigned key, unsigned *first, unsigned *last)
{
    unsigned base = key, lo = lower_bound(key);
    if (lo == NROWS || rows[lo].key != key) {
        base = key & ~7u;
        for (lo = lower_bound(base); lo < NROWS && rows[lo].key == base && !names_z(lo); lo++)
            ;
        if (lo == NROWS || rows[lo].key != base) {
            base = key & ~15u;
            for (lo = lower_bound(base); lo < NROWS && rows[lo].key == base && !(info(lo)->props & ISA_F_COND); lo++)
                ;
        }
    }
    *first = *last = lo;
    while (*last < NROWS && rows[*last].key == base)
        ++*last;
}

static bool row_has_modrm(unsigned row)
{
    return rows[row].ext == EXT_REG || rows[row].ext == EXT_RM || has_letter(info(row)->operands, "EGMSCDBRVWUPQNKk");
}

// W as the row sees it. VEX.W tells instructions apart in any mode, but sizes of general registers in 64-bit mode only.
static bool row_w(const struct dec *d, unsigned row)
{
    return d->vex && !d->is64 ? d->vex_w && !has_letter(info(row)->operands, "EGR") : d->rex & REX_W;
}

static bool prefix_fits(const struct dec *d, uint8_t pfx)
{
    switch (pfx) {
    case PFX_NP: return !d->p66 && !d->rep;
    case PFX_NFX: return !d->rep;
    case PFX_P66: return d->p66 && !d->rep;
    case PFX_PF3: return d->rep == ISA_REP_F3;
    case PFX_PF2: return d->rep == ISA_REP_F2;
    default: return true;
    }
}

static bool ext_fits(const struct dec *d, const struct row *r)
{
    switch (r->ext) {
    case EXT_REG: return (d->modrm >> 3 & 7) == r->ext_reg;
    case EXT_RM: return d->modrm == (0xc0 | r->ext_reg << 3 | r->ext_rm);
    case EXT_NOREXB: return !(d->rex & REX_B);
    default: return true;
    }
}

// Why a row does not apply, or NONE if it does.
static enum isa_rule row_refuses(const struct dec *d, unsigned row)
{
    const struct isa_opinfo *op = info(row);
    uint32_t p = op->props;
    bool reg = d->has_modrm && d->modrm >= 0xc0;
    if (d->vex != !!(p & ISA_F_VEX) || !prefix_fits(d, rows[row].pfx) || !ext_fits(d, &rows[row]))
        return ISA_RULE_UD_OPCODE;
    if ((p & ISA_F_W0 && row_w(d, row)) || (p & ISA_F_W1 && !row_w(d, row)) || (p & ISA_F_L0 && d->vex_l) ||
        (p & ISA_F_L1 && !d->vex_l))
        return ISA_RULE_UD_OPCODE;
    if (d->vex && d->vvvv && !has_letter(op->operands, "BH"))
        return ISA_RULE_UD_OPCODE;
    if ((p & ISA_F_MEM && reg) || (p & ISA_F_REG && !reg))
        return ISA_RULE_UD_FORM;
    if ((p & ISA_F_NO64 && d->is64) || (p & ISA_F_ONLY64 && !d->is64) || (p & ISA_F_NOREAL && d->real))
        return ISA_RULE_UD_MODE;
    if (op->feature && !isa_has(d->m->features, (enum isa_feature)op->feature))
        return ISA_RULE_UD_FEATURE;
    if (p & ISA_F_AVX2L && d->vex_l && !isa_has(d->m->features, ISA_FEAT_AVX2))
        return ISA_RULE_UD_FEATURE;
    return ISA_RULE_NONE;
}

// Sets i->op; of several reasons to refuse, the one that came nearest to a match is given.
static enum isa_rule choose_row(struct dec *d)
{
    unsigned first, last;
    enum isa_rule rule = ISA_RULE_UD_OPCODE;
    candidates(d->map << 8 | d->opcode, &first, &last);
    if (first == last)
        return rule;
    d->has_modrm = row_has_modrm(first);
    if (d->has_modrm)
        d->modrm = next(d);
    if (d->more || d->too_long)
        return ISA_RULE_NONE;
    for (unsigned r = first; r < last; r++) {
        enum isa_rule why = row_refuses(d, r);
        if (!why) {
            d->i->op = (uint16_t)(r + 1);
            d->i->wide = d->vex ? row_w(d, r) : d->rex & REX_W;
            return ISA_RULE_NONE;
        }
        if (why != ISA_RULE_UD_OPCODE)
            rule = why;
    }
    return rule;
}

// --- operands

static void operand_sizes(struct dec *d, uint32_t props)
{
    static const uint8_t dflt[ISA_NMODE] = {2, 2, 2, 4, 2, 4, 4};
    unsigned osz = dflt[d->m->mode];
    bool w = d->rex & REX_W;
    if (w || (d->is64 && props & ISA_F_F64))
        osz = 8;
    else if (d->is64 && props & ISA_F_D64)
        osz = d->p66 ? 2 : 8;
    else if (d->p66)
        osz = 6 - osz;
    d->osz = (uint8_t)osz;
    d->ysz = w || (d->is64 && props & ISA_F_F64) ? 8 : 4;
}

static void memory16(struct dec *d)
{
    static const uint8_t base[8] = {ISA_RBX, ISA_RBX, ISA_RBP, ISA_RBP, ISA_RSI, ISA_RDI, ISA_RBP, ISA_RBX};
    static const uint8_t index[8] = {ISA_RSI, ISA_RDI, ISA_RSI, ISA_RDI, ISA_REG_ZERO, ISA_REG_ZERO, ISA_REG_ZERO, ISA_REG_ZERO};
    struct isa_insn *i = d->i;
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    i->base = base[rm];
    i->index = index[rm];
    if (mod == 0 && rm == 6) {
        i->base = ISA_REG_ZERO;
        mod = 2;
    }
    if (i->base == ISA_RBP)
        i->seg = ISA_SS;
    if (mod)
        i->disp = next_signed(d, mod);
}

static void sib(struct dec *d, unsigned mod, bool vector)
{
    struct isa_insn *i = d->i;
    uint8_t s = next(d);
    unsigned index = (s >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
    if (vector)
        i->rm = (uint8_t)index;
    else if (index != ISA_RSP)
        i->index = (uint8_t)index;
    if (vector || index != ISA_RSP)
        i->scale = s >> 6;
    if ((s & 7) != ISA_RBP || mod)
        i->base = (uint8_t)((s & 7) | (d->rex & REX_B ? 8 : 0));
}

// 32-bit and 64-bit addressing.
static void memory32(struct dec *d, bool vector)
{
    struct isa_insn *i = d->i;
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    if (rm == ISA_RSP)
        sib(d, mod, vector);
    else if (rm == ISA_RBP && !mod)
        i->base = d->is64 ? ISA_REG_RIP : ISA_REG_ZERO;
    else
        i->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    if (i->base == ISA_RSP || i->base == ISA_RBP)
        i->seg = ISA_SS;
    if (mod == 1)
        i->disp = next_signed(d, 1);
    else if (mod == 2 || i->base == ISA_REG_ZERO || i->base == ISA_REG_RIP)
        i->disp = next_signed(d, 4);
}

// Byte registers: offset into gpr[]. Without REX, 4..7 are AH, CH, DH, BH.
static uint8_t byte_reg(const struct dec *d, unsigned r) { return (uint8_t)(!d->rex && r >= 4 && r < 8 ? (r - 4) * 8 + 1 : r * 8); }

static void set_rm(struct dec *d, unsigned r)
{
    d->i->rm = (uint8_t)r;
    d->i->rm8 = byte_reg(d, r);
}
static void set_reg(struct dec *d, unsigned r)
{
    d->i->reg = (uint8_t)r;
    d->i->reg8 = byte_reg(d, r);
}

// The ModRM byte was read. MOV to and from control and debug registers ignores mod.
static void modrm(struct dec *d, const char *operands)
{
    struct isa_insn *i = d->i;
    bool ignore_mod = has_letter(operands, "CD");
    i->modrm = d->modrm;
    i->is_mem = d->mem = d->modrm < 0xc0 && !ignore_mod;
    set_reg(d, (d->modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0));
    if (!i->is_mem)
        set_rm(d, (d->modrm & 7) | (d->rex & REX_B ? 8 : 0));
    else if (i->asz == 2)
        memory16(d);
    else
        memory32(d, has_letter(operands, "m"));
}

// The size of an operand by its letters; 0 for none.
static unsigned letter_size(const struct dec *d, const char *s)
{
    switch (*s) {
    case 'b': return 1;
    case 'w': return 2;
    case 'd': return s[1] == 'q' ? 8 : 4;
    case 'q':
    case 't':
    case 'x': return 8;
    case 'h': return 8;
    case 'f': return d->vex_l ? 8 : 4;
    case 'e': return d->vex_l ? 4 : 2;
    case 'v':
    case 'p':
    case 's':
    case 'a': return d->osz;
    case 'z': return d->osz == 2 ? 2 : 4;
    case 'y': return d->ysz;
    default: return 0;
    }
}

// imm as isa_insn.imm describes it; second: ENTER's nesting level behind its size.
static void immediate(struct dec *d, const char *s, bool second)
{
    struct isa_insn *i = d->i;
    unsigned size = letter_size(d, s + 1);
    if (*s == 'A') {
        i->imm = next_n(d, size == 2 ? 2 : 4);
        i->imm |= next_n(d, 2) << 32;
    } else if (second)
        i->imm |= next_n(d, size) << 16;
    else if (*s == 'J' || s[1] == 'z' || s[1] == 'v' || s[2] == 's')
        i->imm = next_signed(d, size);
    else
        i->imm = next_n(d, size);
}

// Segment (REX.R is ignored), control and debug registers: which numbers exist. CS cannot be loaded by MOV.
static enum isa_rule special_reg(struct dec *d, char kind, bool dest)
{
    struct isa_insn *i = d->i;
    switch (kind) {
    case 'S': i->reg = d->modrm >> 3 & 7; return i->reg > ISA_GS || (dest && i->reg == ISA_CS) ? ISA_RULE_UD_OPCODE : ISA_RULE_NONE;
    case 'C': return i->reg == 1 || i->reg > 8 || (i->reg > 4 && i->reg < 8) ? ISA_RULE_UD_OPCODE : ISA_RULE_NONE;
    default: return i->reg > 7 ? ISA_RULE_UD_OPCODE : ISA_RULE_NONE;
    }
}

// Operands that the row names: accumulator, CL, DX, 1, segment registers. Returns the size they give, 0 for none.
static unsigned named(struct dec *d, const char *s, bool reg_side)
{
    struct isa_insn *i = d->i;
    unsigned size = *s == 'A' ? 1 : *s == 'r' ? d->osz : *s == 'e' ? letter_size(d, "z") : 0;
    int sreg = named_sreg(s);
    if (sreg >= 0)
        i->rm = (uint8_t)sreg;
    else if (*s == 'T')
        i->rm &= 7; // REX does not reach the x87 stack
    else if (*s == '1')
        i->imm = 1;
    else if (size && reg_side)
        set_reg(d, ISA_RAX);
    else if (size)
        set_rm(d, ISA_RAX);
    return size;
}

// *sized: the rank of the operand that gave i->osz so far.
static enum isa_rule operand(struct dec *d, const char *s, const char *all, unsigned *sized)
{
    struct isa_insn *i = d->i;
    unsigned size = 0;
    unsigned rank = 3; // vector registers give the size only if nothing better does
    enum isa_rule rule = ISA_RULE_NONE;
    if (is_named(s))
        size = named(d, s, has_letter(all, "OZ"));
    else
        switch (*s) {
        case 'I':
        case 'J':
        case 'A': immediate(d, s, memchr(all, 'I', (size_t)(s - all)) != NULL); break;
        case 'O':
            i->disp = next_n(d, i->asz);
            i->is_mem = true;
            size = letter_size(d, s + 1);
            break;
        case 'Z':
            set_rm(d, (d->opcode & 7) | (d->rex & REX_B ? 8 : 0));
            size = letter_size(d, s + 1);
            break;
        case 'S':
        case 'C':
        case 'D':
            rule = special_reg(d, *s, s == all);
            size = letter_size(d, s + 1);
            break;
        case 'K':
            rule = i->reg < 4 ? ISA_RULE_NONE : ISA_RULE_UD_BND;
            size = letter_size(d, s + 1);
            break;
        case 'k':
            rule = d->mem || i->rm < 4 ? ISA_RULE_NONE : ISA_RULE_UD_BND;
            size = letter_size(d, s + 1);
            break;
        case 'L':
            i->imm = next(d);
            if (!d->is64)
                i->imm &= 0x7f;
            break;
        case 'P':
        case 'V':
        case 'H':
        case 'U':
        case 'N': rank = 1; goto vector;
        case 'Q':
        case 'W':
            rank = 2;
        vector:
            if (*s == 'P') // REX does not reach MMX registers
                i->reg &= 7;
            else if (*s == 'Q' || *s == 'N')
                i->rm &= 7;
            size = letter_size(d, s + 1);
            break;
        default: size = letter_size(d, s + 1); break;
        }
    if (size && rank > *sized) {
        i->osz = (uint8_t)size;
        *sized = rank;
    }
    return rule;
}

static enum isa_rule operands(struct dec *d, const char *all)
{
    unsigned sized = 0;
    enum isa_rule rule = ISA_RULE_NONE;
    for (const char *s = all; *s && !rule; s = next_operand(s))
        rule = operand(d, d->mem && s[0] && s[1] && s[2] == '/' ? s + 3 : s, all, &sized);
    return rule;
}

// --- the whole

static unsigned finish_invalid(struct dec *d, enum isa_rule rule)
{
    struct isa_insn *i = d->i;
    if (d->too_long)
        rule = ISA_RULE_GP_INSN_LEN;
    memset(i, 0, sizeof *i);
    i->op = ISA_OP_INVALID;
    i->len = (uint8_t)d->pos;
    i->osz = 1;
    i->asz = 2;
    i->base = i->index = ISA_REG_ZERO;
    i->seg = ISA_DS;
    i->imm = rule;
    return d->pos;
}

static void start(struct dec *d)
{
    static const uint8_t asz[ISA_NMODE] = {2, 2, 2, 4, 2, 4, 8};
    struct isa_insn *i = d->i;
    memset(i, 0, sizeof *i);
    i->base = i->index = ISA_REG_ZERO;
    i->seg = ISA_DS;
    i->asz = asz[d->m->mode];
    if (d->p67)
        i->asz = i->asz == 4 && !d->is64 ? 2 : 4;
}

// MPX has 64-bit addresses in 64-bit mode, whatever prefix, and elsewhere 32-bit ones alone.
static enum isa_rule address_form(const struct dec *d, const struct isa_opinfo *op)
{
    const bool rip = op->props & ISA_F_NORIP && d->i->base == ISA_REG_RIP;
    return rip || (op->feature == ISA_FEAT_MPX && d->i->asz == 2) ? ISA_RULE_UD_BND_ADDRESS : ISA_RULE_NONE;
}

// Gathers: an address needs a SIB byte, and the three vector registers must be distinct ones.
static enum isa_rule vsib_rule(const struct dec *d)
{
    const struct isa_insn *i = d->i;
    unsigned mask = d->is64 ? d->vvvv : d->vvvv & 7;
    if ((d->modrm & 7) != ISA_RSP || i->asz == 2)
        return ISA_RULE_UD_FORM;
    return i->reg == mask || i->reg == i->rm || i->rm == mask ? ISA_RULE_UD_FORM : ISA_RULE_NONE;
}

// Fields that follow from prefixes once the operands are known; LOCK legality.
static enum isa_rule wind_up(struct dec *d, const struct isa_opinfo *op)
{
    struct isa_insn *i = d->i;
    if (d->plock && !(op->props & ISA_F_LOCK && i->is_mem))
        return ISA_RULE_UD_LOCK;
    if (d->seg >= 0)
        i->seg = (uint8_t)d->seg;
    // A code segment is never writable, so CS overrides are checked even where all segments are flat.
    i->segchk = i->seg >= ISA_FS || (!d->is64 && (!d->m->flat || i->seg == ISA_CS));
    i->lock = d->plock;
    i->rep = op->props & ISA_F_REP ? d->rep : ISA_REP_NONE;
    i->unbound = op->props & ISA_F_BND && d->rep != ISA_REP_F2 && isa_has(d->m->features, ISA_FEAT_MPX);
    i->cc = op->props & ISA_F_COND ? d->opcode & 15 : 0;
    i->vvvv = d->is64 ? d->vvvv : d->vvvv & 7;
    i->vex_l = op->props & ISA_F_LIG ? 0 : d->vex_l;
    i->opcode = d->opcode;
    i->len = (uint8_t)d->pos;
    return ISA_RULE_NONE;
}

unsigned isa_decode(const struct isa_decode_mode *m, const uint8_t *bytes, unsigned n, struct isa_insn *i)
{
    struct dec d = {.m = m, .i = i, .b = bytes, .n = n, .seg = -1};
    d.is64 = m->mode == ISA_LONG64;
    d.real = m->mode == ISA_REAL || m->mode == ISA_V86;
    prefixes(&d);
    enum isa_rule rule = opcode_bytes(&d);
    start(&d);
    if (!rule)
        rule = choose_row(&d);
    if (!rule && !d.more && !d.too_long) {
        const struct isa_opinfo *op = &isa_opinfo[i->op];
        operand_sizes(&d, op->props);
        i->osz = d.osz;
        if (op->feature == ISA_FEAT_MPX && d.is64 && d.modrm < 0xc0)
            i->asz = 8;
        if (d.has_modrm)
            modrm(&d, op->operands);
        rule = operands(&d, op->operands);
        if (!rule && d.mem)
            rule = address_form(&d, op);
        if (!rule && d.mem && has_letter(op->operands, "m"))
            rule = vsib_rule(&d);
        if (!rule)
            rule = wind_up(&d, op);
    }
    if (d.more)
        return 0;
    if (rule || d.too_long)
        return finish_invalid(&d, rule);
    return d.pos;
}
