// isa/hostdiff_test.c: every unprivileged integer instruction against the host processor itself.
//
// Each row of isa/opcodes.def that this folder executes without the help of the system is encoded at random (prefixes, REX, registers,
// addressing forms, immediates), run natively by isa/hostrun.h and by the handlers on the same registers, flags and memory, and
// compared: registers, defined flags, RIP, memory, and exceptions with their error codes and addresses.
// DIFF_CASES=n sets the number of cases, DIFF_SEED=n the seed, DIFF_ROW=name picks one row, DIFF_STRICT=1 compares undefined flags too
// (they agree with recent Intel processors only).
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/testenv.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "isa/hostrows.h"
#include "isa/hostrun.h"
#include "isa/hostvendor.h"

// Which flags the manual leaves undefined, by family. DOUBLE and SHIFT depend on the count.
enum undef { U_NONE, U_LOGIC, U_MUL, U_DIV, U_SHIFT, U_SAR, U_ROTATE, U_DOUBLE, U_BT, U_SCAN, U_COUNT, U_BLS, U_BEXTR };
static const struct family {
    const char *group, *name;
    enum undef undef;
} families[] = {
    {"alu", "add_e_g"},
    {"alu", "add_g_e"},
    {"alu", "add_e_i"},
    {"alu", "adc_e_g"},
    {"alu", "adc_g_e"},
    {"alu", "adc_e_i"},
    {"alu", "sub_e_g"},
    {"alu", "sub_g_e"},
    {"alu", "sub_e_i"},
    {"alu", "sbb_e_g"},
    {"alu", "sbb_g_e"},
    {"alu", "sbb_e_i"},
    {"alu", "cmp_e_g"},
    {"alu", "cmp_g_e"},
    {"alu", "cmp_e_i"},
    {"alu", "and_e_g", U_LOGIC},
    {"alu", "and_g_e", U_LOGIC},
    {"alu", "and_e_i", U_LOGIC},
    {"alu", "or_e_g", U_LOGIC},
    {"alu", "or_g_e", U_LOGIC},
    {"alu", "or_e_i", U_LOGIC},
    {"alu", "xor_e_g", U_LOGIC},
    {"alu", "xor_g_e", U_LOGIC},
    {"alu", "xor_e_i", U_LOGIC},
    {"alu", "test_e_g", U_LOGIC},
    {"alu", "test_e_i", U_LOGIC},
    {"alu", "inc_e"},
    {"alu", "dec_e"},
    {"alu", "neg_e"},
    {"alu", "not_e"},
    {"atomic", "xadd_e_g"},
    {"atomic", "cmpxchg_e_g"},
    {"atomic", "cmpxchg8b"},
    {"atomic", "cmpxchg16b"},
    {"atomic", "xchg_e_g"},
    {"mov", "mov_e_g"},
    {"mov", "mov_g_e"},
    {"mov", "mov_e_i"},
    {"mov", "movzx8_g_e"},
    {"mov", "movzx16_g_e"},
    {"mov", "movsx8_g_e"},
    {"mov", "movsx16_g_e"},
    {"mov", "movsx32_g_e"},
    {"mov", "cmovcc_g_e"},
    {"mov", "setcc_e"},
    {"mov", "bswap_r"},
    {"mov", "movbe_g_m"},
    {"mov", "movbe_m_g"},
    {"mov", "cbw"},
    {"mov", "cwd"},
    {"shift", "shl_e_i", U_SHIFT},
    {"shift", "shl_e_cl", U_SHIFT},
    {"shift", "shr_e_i", U_SHIFT},
    {"shift", "shr_e_cl", U_SHIFT},
    {"shift", "sar_e_i", U_SAR},
    {"shift", "sar_e_cl", U_SAR},
    {"shift", "rol_e_i", U_ROTATE},
    {"shift", "rol_e_cl", U_ROTATE},
    {"shift", "ror_e_i", U_ROTATE},
    {"shift", "ror_e_cl", U_ROTATE},
    {"shift", "rcl_e_i", U_ROTATE},
    {"shift", "rcl_e_cl", U_ROTATE},
    {"shift", "rcr_e_i", U_ROTATE},
    {"shift", "rcr_e_cl", U_ROTATE},
    {"shift", "shld_e_g_i", U_DOUBLE},
    {"shift", "shld_e_g_cl", U_DOUBLE},
    {"shift", "shrd_e_g_i", U_DOUBLE},
    {"shift", "shrd_e_g_cl", U_DOUBLE},
    {"shift", "shlx"},
    {"shift", "shrx"},
    {"shift", "sarx"},
    {"shift", "rorx"},
    {"bit", "bt_e_g", U_BT},
    {"bit", "bt_e_i", U_BT},
    {"bit", "bts_e_g", U_BT},
    {"bit", "bts_e_i", U_BT},
    {"bit", "btr_e_g", U_BT},
    {"bit", "btr_e_i", U_BT},
    {"bit", "btc_e_g", U_BT},
    {"bit", "btc_e_i", U_BT},
    {"bit", "bsf_g_e", U_SCAN},
    {"bit", "bsr_g_e", U_SCAN},
    {"bit", "tzcnt_g_e", U_COUNT},
    {"bit", "lzcnt_g_e", U_COUNT},
    {"bit", "popcnt_g_e"},
    {"bit", "andn", U_BLS},
    {"bit", "blsr", U_BLS},
    {"bit", "blsmsk", U_BLS},
    {"bit", "blsi", U_BLS},
    {"bit", "bzhi", U_BLS},
    {"bit", "bextr", U_BEXTR},
    {"bit", "pdep"},
    {"bit", "pext"},
    {"muldiv", "mul_e", U_MUL},
    {"muldiv", "imul_e", U_MUL},
    {"muldiv", "imul_g_e", U_MUL},
    {"muldiv", "imul_g_e_i", U_MUL},
    {"muldiv", "div_e", U_DIV},
    {"muldiv", "idiv_e", U_DIV},
    {"muldiv", "mulx"},
    {"muldiv", "adcx_g_e"},
    {"muldiv", "adox_g_e"},
    {"flow", "jmp_rel"},
    {"flow", "jcc_rel"},
    {"flow", "call_rel"},
    {"flow", "jmp_e"},
    {"flow", "call_e"},
    {"flow", "ret"},
    {"flow", "ret_i"},
    {"flow", "loop"},
    {"flow", "loope"},
    {"flow", "loopne"},
    {"flow", "jcxz"},
    {"string", "movs"},
    {"string", "stos"},
    {"string", "lods"},
    {"string", "cmps"},
    {"string", "scas"},
    {"stack", "push_e"},
    {"stack", "push_i"},
    {"stack", "pop_e"},
    {"stack", "enter"},
    {"stack", "leave"},
    {"misc", "lea_g_m"},
    {"misc", "nop"},
    {"misc", "prefetch"},
    {"misc", "prefetchw"},
    {"misc", "xlat"},
    {"misc", "lahf"},
    {"misc", "sahf"},
    {"misc", "cmc"},
    {"misc", "clc"},
    {"misc", "stc"},
    {"misc", "cld"},
    {"misc", "std"},
    {"misc", "fence"},
    {"misc", "clflush"},
    {"misc", "crc32_g_e"},
    {"misc", "crc32_g_e8"},
    {"misc", "ud"},
};
enum { NFAMILIES = sizeof families / sizeof *families };

static const struct family *family_of(const struct row *r)
{
    for (unsigned k = 0; k < NFAMILIES; k++)
        if (strcmp(families[k].name, r->family) == 0)
            return &families[k];
    return NULL;
}
static bool is_integer(const struct row *r) { return family_of(r) && !row_is_system(r); }

// --- random numbers

static uint64_t rng = 1;
static uint64_t rnd(void)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((rnd() >> 32) % n); }
static bool percent(unsigned p) { return below(100) < p; }

// Numbers at which arithmetic turns: 0, powers of two and their neighbours, ends of every width; small ones; any.
static uint64_t operand(void)
{
    uint64_t v;
    switch (below(8)) {
    case 0: return below(3) - 1ull;
    case 1: v = 1ull << below(64); break;
    case 2: return below(256);
    case 3: return (uint64_t)(int64_t)(int8_t)rnd();
    case 4: v = 0xffffffffffffffffull >> below(64); break;
    case 5: return (uint32_t)rnd();
    default: return rnd();
    }
    return v + below(3) - 1;
}

// --- encodings

struct enc {
    uint8_t b[24];
    unsigned n, disp_at, disp_n, imm_at, imm_n;
    struct isa_insn i; // as decoded
};

static bool operand_is(const char *operands, const char *what)
{
    size_t n = strlen(what);
    for (const char *p = operands; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, what, n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    return false;
}
static bool operand_starts(const char *operands, char c)
{
    for (const char *p = operands; *p; p += strcspn(p, ","), p += *p == ',')
        if (*p == c)
            return true;
    return false;
}
static void put(struct enc *e, uint64_t v, unsigned n)
{
    memcpy(e->b + e->n, &v, n);
    e->n += n;
}

static void modrm(struct enc *e, const struct row *r)
{
    unsigned mod = r->props & ISA_F_REG || r->ext == X_RM ? 3 : r->props & ISA_F_MEM ? below(3) : below(4);
    unsigned reg = r->ext == X_REG || r->ext == X_RM ? r->ext_reg : below(8), rm = r->ext == X_RM ? r->ext_rm : below(8);
    put(e, mod << 6 | reg << 3 | rm, 1);
    if (mod == 3)
        return;
    unsigned base = rm;
    if (rm == 4) {
        unsigned sib = below(256);
        put(e, sib, 1);
        base = sib & 7;
    }
    e->disp_n = mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0;
    e->disp_at = e->n;
    put(e, rnd(), e->disp_n);
}

static void legacy_prefixes(struct enc *e, const struct row *r, bool *p66, bool *p67)
{
    bool sized = r->prefix == PFX_ANY || r->prefix == PFX_NFX || r->prefix == PFX_PF3 || r->prefix == PFX_PF2;
    *p66 = r->prefix == PFX_P66 || (sized && !(r->props & (ISA_F_BRANCH | ISA_F_VEX)) && percent(25));
    *p67 = percent(15);
    if (r->props & ISA_F_VEX)
        *p66 = false;
    if (percent(5))
        put(e, percent(50) ? 0x65 : percent(50) ? 0x3e : 0x36, 1); // GS; the others are ignored
    if (*p67)
        put(e, 0x67, 1);
    if (*p66)
        put(e, 0x66, 1);
    if ((r->props & ISA_F_LOCK) && percent(15))
        put(e, 0xf0, 1);
    if (r->props & ISA_F_REP && percent(67))
        put(e, percent(50) ? 0xf3 : 0xf2, 1);
    if (!(r->props & ISA_F_VEX) && (r->prefix == PFX_PF3 || r->prefix == PFX_PF2))
        put(e, r->prefix == PFX_PF3 ? 0xf3 : 0xf2, 1);
}

// Bytes of a random encoding of the row. Not always a good one: the caller decodes it and looks.
static void encode(struct enc *e, const struct row *r)
{
    *e = (struct enc){.n = 0};
    bool p66, p67, rex = percent(60);
    unsigned bits = rex ? below(16) : 0; // W R X B
    legacy_prefixes(e, r, &p66, &p67);
    unsigned opcode = r->opcode;
    if (operand_starts(r->operands, 'Z'))
        opcode += below(8);
    if (r->props & ISA_F_COND)
        opcode += below(16);
    if (r->props & ISA_F_VEX) {
        static const uint8_t pp[] = {0, 0, 0, 1, 2, 3};
        put(e, 0xc4, 1);
        put(e, (~bits & 7) << 5 | (r->map == 2 ? 1 : r->map == 3 ? 2 : 3), 1);
        put(e, (bits & 8) << 4 | below(16) << 3 | pp[r->prefix], 1);
    } else {
        if (rex)
            put(e, 0x40 | bits, 1);
        if (r->map > 1)
            put(e, 0x0f, 1);
        if (r->map > 2)
            put(e, r->map == 3 ? 0x38 : 0x3a, 1);
    }
    put(e, opcode, 1);
    const char *o = r->operands;
    if (r->ext == X_REG || r->ext == X_RM || operand_starts(o, 'E') || operand_starts(o, 'G') || operand_starts(o, 'M'))
        modrm(e, r);
    bool w = bits & 8;
    e->imm_at = e->n;
    if (operand_is(o, "Iw"))
        put(e, percent(50) ? below(256) : below(0x900), 2); // ENTER: no further than the page without access
    if (operand_is(o, "Ib") || operand_is(o, "Ibs"))
        put(e, operand(), 1);
    if (operand_is(o, "Iz"))
        put(e, operand(), p66 && !w ? 2 : 4);
    if (operand_is(o, "Iv"))
        put(e, operand(), w ? 8 : p66 ? 2 : 4);
    if (operand_is(o, "Jb"))
        put(e, HOST_PAD(below(2)) - (HOST_INSN + e->n + 1), 1);
    if (operand_is(o, "Jz"))
        put(e, HOST_PAD(below(2)) - (HOST_INSN + e->n + 4), 4);
    if (operand_starts(o, 'O'))
        put(e, HOST_ARENA + below(HOST_ARENA_N - 16), p67 ? 4 : 8);
    e->imm_n = e->n - e->imm_at;
}

#ifdef RINGSIDE_DEBUG
#define DEFAULT_CASES 250000 // sanitized builds take ten times as long
#else
#define DEFAULT_CASES 2000000
#endif

static struct isa_testenv *env;

static bool decode(struct enc *e, const struct row *r)
{
    struct isa_decode_mode m = {.mode = ISA_LONG64, .flat = true};
    memcpy(m.features, env->features, sizeof m.features);
    return isa_decode(&m, e->b, e->n, &e->i) == e->n && e->i.op == r - rows;
}

static bool is(const struct row *r, const char *family) { return strcmp(r->family, family) == 0; }
static bool bit_string(const struct row *r, const struct enc *e)
{
    return e->i.is_mem && operand_starts(r->operands, 'G') && family_of(r)->undef == U_BT;
}
static bool locked(const struct row *r, const struct enc *e)
{
    return e->i.is_mem && (e->i.lock || is(r, "xchg_e_g") || is(r, "cmpxchg16b"));
}

// An encoding whose memory operand can be led into the arena; displacements that no register can correct are set here.
static bool usable(struct enc *e, const struct row *r)
{
    struct isa_insn *i = &e->i;
    if (!decode(e, r))
        return false;
    if (!i->is_mem && !(r->props & ISA_F_MEM))
        return true;
    if (is(r, "lea_g_m") || is(r, "nop") || is(r, "prefetch") || is(r, "prefetchw") || is(r, "ud"))
        return true;
    if (bit_string(r, e) && (i->reg == i->base || i->reg == i->index))
        return false;
    if (operand_starts(r->operands, 'O'))
        return true;
    if (i->base == i->index)
        return false;
    if (i->base == ISA_RSP && strcmp(family_of(r)->group, "mov") != 0 && (i->index != ISA_REG_ZERO || e->disp_n == 4))
        return false; // stack instructions: RSP itself must stay in the arena
    if (i->base != ISA_REG_ZERO && i->base != ISA_REG_RIP)
        return true;
    if (e->disp_n != 4)
        return false;
    // Aligned well inside the arena: the index adds up to 15 * 8. A 32-bit displacement serves both address sizes.
    uint64_t disp = HOST_ARENA + (0x400 + below(0x1800)) / 16 * 16 - (i->base == ISA_REG_RIP ? HOST_INSN + e->n : 0);
    memcpy(e->b + e->disp_at, &disp, 4);
    return decode(e, r);
}

// --- operands

static uint64_t target_address(const struct row *r, const struct enc *e, bool free_choice)
{
    if (locked(r, e)) // keep locked accesses inside a cache line: hosts may trap split locks
        return HOST_ARENA + 0x400 + below(0x180) * 16;
    unsigned k = free_choice ? below(100) : 50;
    if (k < 4)
        return HOST_ARENA + HOST_ARENA_N - 1 - below(16); // into the read-only page
    if (k < 6)
        return HOST_RO + below(0xff0);
    if (k < 7)
        return HOST_RO + 0x1000 - 1 - below(16); // out of it
    if (k < 8)
        return HOST_ARENA - below(16);
    if (k < 10 && e->i.asz == 8)
        return (below(0x7ffe) + 1ull) << 48 | rnd() >> 17; // never canonical
    if (k < 16)
        return HOST_ARENA + 0x1000 - below(16);
    uint64_t a = HOST_ARENA + 0x400 + below(0x1800);
    return k < 50 ? a & ~15ull : a;
}
static uint64_t upper_junk(const struct enc *e) { return e->i.asz == 4 ? rnd() << 32 : 0; }

static void set_rsp(struct host_state *s)
{
    unsigned k = below(100);
    uint64_t a = HOST_ARENA + 0x800 + below(0x1000);
    s->gpr[ISA_RSP] = k < 3 ? HOST_ARENA + below(24) : k < 6 ? HOST_RO - below(24) : k < 70 ? a & ~7ull : a;
}

// Where the instruction goes by a value from a register or memory: a landing pad.
static void branch_target(const struct row *r, const struct enc *e, struct host_state *s, uint64_t where)
{
    uint64_t pad = HOST_PAD(below(2));
    bool is_ret = is(r, "ret") || is(r, "ret_i");
    if (is_ret)
        where = s->gpr[ISA_RSP];
    else if (!e->i.is_mem) {
        s->gpr[e->i.rm] = pad;
        return;
    }
    if (where > HOST_ARENA - 8 && where < HOST_RO + 0x1000) {
        if (where < HOST_ARENA || where > HOST_ARENA + HOST_ARENA_N - 8) { // readable, but not ours to write
            *(is_ret ? &s->gpr[ISA_RSP] : &s->gpr[e->i.base]) += HOST_ARENA + 0x800 - where;
            where = HOST_ARENA + 0x800;
        }
        memcpy((void *)(uintptr_t)where, &pad, 8);
        memcpy(isa_te_at(env, where), &pad, 8);
    }
}

// GS has this base here and in the host process, if that lets us; 0 if not.
static uint64_t gs_base;
static uint64_t segment_base(const struct enc *e) { return e->i.seg == ISA_GS ? gs_base : 0; }

static uint64_t set_memory_operand(const struct row *r, const struct enc *e, struct host_state *s)
{
    const struct isa_insn *i = &e->i;
    if (i->index != ISA_REG_ZERO && (i->base == ISA_REG_ZERO || i->base == ISA_REG_RIP))
        s->gpr[i->index] = below(16) | upper_junk(e);
    if (i->base == ISA_REG_ZERO || i->base == ISA_REG_RIP) {
        uint64_t x = i->index != ISA_REG_ZERO ? (s->gpr[i->index] & 15) << i->scale : 0;
        return (i->base == ISA_REG_RIP ? HOST_INSN + e->n : 0) + i->disp + x + segment_base(e);
    }
    uint64_t target = target_address(r, e, true);
    uint64_t x = i->index != ISA_REG_ZERO ? s->gpr[i->index] << i->scale : 0;
    s->gpr[i->base] = target - x - i->disp - segment_base(e);
    if (i->asz == 4)
        s->gpr[i->base] = (uint32_t)s->gpr[i->base] | upper_junk(e);
    return target;
}

static void set_string_operands(const struct enc *e, struct host_state *s)
{
    uint64_t junk = upper_junk(e), a = HOST_ARENA + 0x400 + below(0x1800);
    s->gpr[ISA_RSI] = (percent(5) ? HOST_RO + below(0x1000) : a) | junk;
    s->gpr[ISA_RDI] = (percent(40) ? a + below(33) - 16 : HOST_ARENA + 0x200 + below(0x1dff)) | upper_junk(e);
    s->gpr[ISA_RCX] = below(percent(80) ? 8 : 200) | upper_junk(e);
    s->rflags &= ~(uint64_t)ISA_FL_DF;
    s->rflags |= percent(40) ? ISA_FL_DF : 0;
    if (percent(50)) // a run of equal bytes for REPE
        memset((void *)(uintptr_t)(a & ~63ull), (int)(s->gpr[ISA_RAX] & 0xff), 64);
    memcpy(isa_te_at(env, a & ~63ull), (void *)(uintptr_t)(a & ~63ull), 64);
}

static void registers(const struct row *r, const struct enc *e, struct host_state *s)
{
    const struct isa_insn *i = &e->i;
    for (unsigned k = 0; k < 16; k++)
        s->gpr[k] = operand();
    s->rflags = ISA_FL_1 | ISA_FL_IF | (rnd() & ISA_FL_STATUS) | (percent(5) ? ISA_FL_DF : 0);
    set_rsp(s);
    s->gpr[ISA_RBP] = percent(50) ? HOST_ARENA + 0x400 + below(0x1800) : s->gpr[ISA_RBP];
    uint64_t where = 0;
    if (is(r, "xlat"))
        s->gpr[ISA_RBX] = (HOST_ARENA + below(0x1f00)) | upper_junk(e);
    if (r->props & ISA_F_REP)
        set_string_operands(e, s);
    if (is(r, "enter") || is(r, "leave"))
        s->gpr[ISA_RBP] = target_address(r, e, true);
    if ((is(r, "div_e") || is(r, "idiv_e")) && percent(60)) // quotients that fit
        s->gpr[ISA_RDX] = is(r, "div_e") ? below(3) : 0 - (s->gpr[ISA_RAX] >> 63);
    if ((is(r, "loop") || is(r, "loope") || is(r, "loopne") || is(r, "jcxz")) && percent(50))
        s->gpr[ISA_RCX] = below(3) | upper_junk(e);
    if (i->is_mem)
        where = set_memory_operand(r, e, s);
    if (is(r, "cmpxchg_e_g") || is(r, "cmpxchg8b") || is(r, "cmpxchg16b")) { // make half of them equal
        uint64_t m[2] = {0, 0};
        if (where >= HOST_ARENA && where <= HOST_RO)
            memcpy(m, (void *)(uintptr_t)where, 16);
        bool a = i->base != ISA_RAX && i->index != ISA_RAX, d = i->base != ISA_RDX && i->index != ISA_RDX;
        if (a && percent(50))
            s->gpr[ISA_RAX] = i->is_mem ? m[0] : s->gpr[i->rm];
        if (d && percent(80))
            s->gpr[ISA_RDX] = is(r, "cmpxchg8b") ? m[0] >> 32 : m[1];
    }
    if (bit_string(r, e)) {
        int64_t bit = (int64_t)below(8000) - 4000;
        s->gpr[i->reg] = (uint64_t)bit;
        if (i->osz < 8)
            s->gpr[i->reg] = (s->gpr[i->reg] & ((1ull << i->osz * 8) - 1)) | rnd() << i->osz * 8;
    }
    if (is(r, "jmp_e") || is(r, "call_e") || is(r, "ret") || is(r, "ret_i"))
        branch_target(r, e, s, where);
}

// --- comparison

static unsigned undefined_flags(const struct row *r, const struct enc *e, const struct host_state *in)
{
    unsigned size = e->i.osz * 8, mask = size == 64 ? 63 : 31;
    unsigned count = (operand_is(r->operands, "CL") ? (unsigned)in->gpr[ISA_RCX] : (unsigned)e->i.imm) & mask;
    unsigned of = count != 1 ? ISA_FL_OF : 0;
    switch (family_of(r)->undef) {
    case U_NONE: return 0;
    case U_LOGIC: return ISA_FL_AF;
    case U_MUL: return ISA_FL_SF | ISA_FL_ZF | ISA_FL_AF | ISA_FL_PF;
    case U_DIV: return ISA_FL_STATUS;
    case U_SHIFT: return count == 0 ? 0 : ISA_FL_AF | of | (count >= size ? ISA_FL_CF : 0);
    case U_SAR: return count == 0 ? 0 : ISA_FL_AF | of;
    case U_ROTATE: return count == 0 ? 0 : of;
    case U_DOUBLE: return count == 0 ? 0 : count > size ? ISA_FL_STATUS : ISA_FL_AF | of;
    case U_BT: return ISA_FL_OF | ISA_FL_SF | ISA_FL_AF | ISA_FL_PF;
    case U_SCAN: return ISA_FL_STATUS & ~ISA_FL_ZF;
    case U_COUNT: return ISA_FL_OF | ISA_FL_SF | ISA_FL_PF | ISA_FL_AF;
    case U_BLS: return ISA_FL_AF | ISA_FL_PF;
    default: return ISA_FL_AF | ISA_FL_SF | ISA_FL_PF;
    }
}
// Results that the manual leaves undefined, by name: SHLD and SHRD of 16 bits by more than 16; BSWAP of 16 bits.
static bool undefined_result(const struct row *r, const struct enc *e, const struct host_state *in)
{
    if (family_of(r)->undef == U_DOUBLE && e->i.osz == 2)
        return ((operand_is(r->operands, "CL") ? in->gpr[ISA_RCX] : e->i.imm) & 31) > 16;
    return is(r, "bswap_r") && e->i.osz == 2;
}
// ENTER that faults at its last step may have written its frame already, below a stack pointer that did not move.
static bool undefined_memory(const struct row *r, int res) { return is(r, "enter") && res == ISA_R_FAULT; }

static bool strict;
static unsigned long ncases, nfaults, nfailed, nundef;

static void report(const struct row *r, const struct enc *e, const struct host_page *p, int res)
{
    static const char *const name[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    const struct isa_cpu *c = &env->cpu;
    if (++nfailed > 20)
        return;
    print_error("%s:", r->id);
    for (unsigned k = 0; k < e->n; k++)
        print_error(" %02x", e->b[k]);
    print_error("  osz %u asz %u mem %d tail %d mirror %d\n", e->i.osz, e->i.asz, e->i.is_mem, env->tail, env->mirror);
    for (unsigned k = 0; k < 16; k++)
        if (p->out.gpr[k] != c->gpr[k] || p->in.gpr[k] != p->out.gpr[k] || k == e->i.rm || k == e->i.reg)
            print_error("   %s in %016lx host %016lx ours %016lx%s\n", name[k], p->in.gpr[k], p->out.gpr[k], c->gpr[k],
                        p->out.gpr[k] != c->gpr[k] ? " <--" : "");
    print_error("   flags in %03lx host %03lx ours %03lx, undefined %03x\n", p->in.rflags,
                p->out.rflags & (ISA_FL_STATUS | ISA_FL_DF), isa_rflags(c) & (ISA_FL_STATUS | ISA_FL_DF),
                undefined_flags(r, e, &p->in));
    print_error("   rip host %lx ours %lx; exception host %ld err %lx cr2 %lx, ours %d: %d err %x addr %lx rule %s\n", p->out.rip,
                c->rip, (long)p->trap, p->err, p->cr2, res, res == ISA_R_FAULT ? c->fault.vector : -1, c->fault.error,
                c->fault.addr, isa_rule_info(c->fault.rule)->id);
    const uint8_t *a = (const uint8_t *)(uintptr_t)HOST_ARENA, *b = isa_te_at(env, HOST_ARENA);
    for (unsigned k = 0, shown = 0; k < HOST_ARENA_N && shown < 8; k++)
        if (a[k] != b[k]) {
            print_error("   memory %llx host %02x ours %02x\n", HOST_ARENA + k, a[k], b[k]);
            shown++;
        }
}

static bool exceptions_agree(const struct enc *e, const struct host_page *p, int res)
{
    const struct isa_event *f = &env->cpu.fault;
    if (res != ISA_R_FAULT)
        return p->trap < 0;
    // A stack-segment operand makes it #SS; isa_deliver_fault() does that from isa_cpu.at.
    int vector =
        f->vector == ISA_X_GP && f->rule == ISA_RULE_GP_CANONICAL && e->i.is_mem && e->i.seg == ISA_SS ? ISA_X_SS : f->vector;
    if (p->trap != vector)
        return false;
    uint64_t hidden = p->cr2 >> 47 ? ISA_PF_P : 0; // operating systems do not tell what is mapped of theirs
    return vector != ISA_X_PF || (((p->err ^ f->error) & ~hidden) == 0 && p->cr2 == f->addr);
}

static void run_case(const struct row *r, const struct enc *e)
{
    static uint8_t initial[HOST_ARENA_N];
    struct host_page *p = HOST_PAGE;
    struct isa_cpu *c = &env->cpu;
    void *arena = (void *)(uintptr_t)HOST_ARENA, *ours = isa_te_at(env, HOST_ARENA);
    registers(r, e, &p->in);
    memcpy(initial, arena, sizeof initial);
    host_run();
    memcpy(c->gpr, p->in.gpr, sizeof p->in.gpr);
    isa_set_rflags(c, p->in.rflags);
    c->rip = HOST_INSN;
    int res = isa_te_run(env, 1);
    ncases++;
    nfaults += res == ISA_R_FAULT;
    if (r->props & ISA_F_REP && e->i.asz == 4)
        host_rep_forgive(p->in.gpr, p->out.gpr, c->gpr);
    if (strcmp(r->id, "PREFETCHW") == 0 && host_prefetchw_register(p->trap == ISA_X_UD, res == ISA_R_FAULT, e->i.is_mem))
        return;
    if (strcmp(r->id, "MOVSXD_Gv_Ed") == 0 && host_movsxd_reads_more(p->trap == ISA_X_PF, res == ISA_R_FAULT, e->i.osz))
        return;
    uint64_t diff = (isa_rflags(c) ^ p->out.rflags) & (ISA_FL_STATUS | ISA_FL_DF),
             undef = p->trap < 0 ? undefined_flags(r, e, &p->in) : 0;
    diff &= ~host_rep_flags_forgiven(strncmp(r->id, "CMPS", 4) == 0 || strncmp(r->id, "SCAS", 4) == 0, p->trap >= 0);
    nundef += (diff & undef) != 0;
    bool same = memcmp(arena, ours, HOST_ARENA_N) == 0, free_result = undefined_result(r, e, &p->in);
    if (!exceptions_agree(e, p, res) || (memcmp(c->gpr, p->out.gpr, sizeof p->out.gpr) != 0 && !free_result) ||
        (diff & ~(strict ? 0 : undef)) || (!same && !free_result && !undefined_memory(r, res)) || c->rip != p->out.rip)
        report(r, e, p, res);
    if (!same || memcmp(arena, initial, sizeof initial) != 0) {
        memcpy(arena, initial, sizeof initial);
        memcpy(ours, initial, sizeof initial);
    }
}

// One encoding with several sets of operands. False if the row gave none.
static bool run_encoding(const struct row *r, unsigned sets)
{
    struct enc e;
    unsigned tries = 0;
    do {
        if (++tries > 10000)
            return false;
        encode(&e, r);
    } while (!usable(&e, r));
    host_install(e.b, e.n);
    memcpy(isa_te_at(env, HOST_INSN), e.b, e.n);
    env->tail = percent(50);
    if (percent(5)) {
        env->mirror = !env->mirror;
        isa_te_flush(env);
    }
    for (unsigned k = 0; k < sets; k++)
        run_case(r, &e);
    return true;
}

static bool host_has(unsigned feature)
{
    const struct isa_feature_info *f = &isa_feature_info[feature];
    unsigned v[4];
    if (feature == ISA_FEAT_NONE)
        return true;
    return __get_cpuid_count(f->leaf, f->sub, &v[0], &v[1], &v[2], &v[3]) && (v[f->reg] >> f->bit & 1);
}

static uint64_t number(const char *name, uint64_t dflt)
{
    const char *s = getenv(name);
    return s ? strtoull(s, NULL, 0) : dflt;
}

static void open_host(void)
{
    static bool open;
    if (!open && !host_open()) {
        print_message("# hostdiff: skipped: the host gives no executable memory at %llx\n", HOST_BASE);
        skip();
    }
    open = true;
    env = isa_te_create(HOST_BASE, HOST_SIZE);
    assert_non_null(env);
    isa_te_mode(env, ISA_LONG64, 3);
    gs_base = syscall(SYS_arch_prctl, ARCH_SET_GS, 0x40) == 0 ? 0x40 : 0;
    env->cpu.seg[ISA_GS].base = gs_base;
    isa_te_protect(env, HOST_BASE + 0x1000, 0x2000, ISA_TE_NO_READ);
    isa_te_protect(env, HOST_RO, 0x1000, ISA_TE_NO_WRITE);
    isa_te_protect(env, HOST_RO + 0x1000, 0x1000, ISA_TE_NO_READ);
    uint64_t *a = (uint64_t *)(uintptr_t)HOST_ARENA;
    for (unsigned k = 0; k < HOST_ARENA_N / 8; k++)
        a[k] = operand();
    memcpy(isa_te_at(env, HOST_ARENA), a, HOST_ARENA_N);
    mprotect((void *)(uintptr_t)HOST_RO, 0x1000, PROT_READ | PROT_WRITE);
    memcpy((void *)(uintptr_t)HOST_RO, a, 0x1000);
    mprotect((void *)(uintptr_t)HOST_RO, 0x1000, PROT_READ);
    memcpy(isa_te_at(env, HOST_RO), a, 0x1000);
}

// No row of the opcode map is forgotten, or counted twice.
static void test_rows_accounted_for(void **state)
{
    for (const struct row *r = rows + 1; r < rows + ISA_OP_NUM; r++)
        if (is_integer(r) + row_is_system(r) + row_is_vector(r) + row_is_mpx(r) != 1)
            fail_msg("%s: family %s: this test has it %d, the system %d, the vectors %d", r->id, r->family, is_integer(r),
                     row_is_system(r), row_is_vector(r));
}

static void test_against_host(void **state)
{
    enum { SETS = 16 };
    rng = number("DIFF_SEED", 20050613);
    strict = number("DIFF_STRICT", 0);
    const char *only = getenv("DIFF_ROW");
    open_host();
    const struct row *list[ISA_OP_NUM];
    unsigned n = 0;
    for (const struct row *r = rows + 1; r < rows + ISA_OP_NUM; r++) {
        if (!is_integer(r) || (only && strcmp(only, r->id) != 0))
            continue;
        if (host_has(r->feature))
            list[n++] = r;
        else
            print_message("# hostdiff: %s skipped: the host lacks %s\n", r->id, isa_feature_info[r->feature].id);
    }
    assert_int_not_equal(n, 0);
    unsigned long per_row = (unsigned long)number("DIFF_CASES", DEFAULT_CASES) / n / SETS + 1;
    struct {
        const char *name;
        unsigned long cases;
    } group[NFAMILIES] = {{NULL}};
    for (unsigned k = 0; k < n; k++) {
        unsigned g = 0;
        while (group[g].name && strcmp(group[g].name, family_of(list[k])->group) != 0)
            g++;
        group[g].name = family_of(list[k])->group;
        unsigned long before = ncases;
        for (unsigned long j = 0; j < per_row; j++)
            if (!run_encoding(list[k], SETS))
                fail_msg("%s: no encoding found", list[k]->id);
        group[g].cases += ncases - before;
    }
    print_message("# hostdiff: %lu cases, %u instructions (rows), by group", ncases, n);
    for (unsigned g = 0; group[g].name; g++)
        print_message(" %s %lu", group[g].name, group[g].cases);
    print_message("; %lu exceptions; undefined flags differ in %lu\n", nfaults, nundef);
    isa_te_destroy(env);
    assert_int_equal(nfailed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_accounted_for), cmocka_unit_test(test_against_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
static void test_no_host(void **state)
{
    print_message("# hostdiff: skipped: this host is not x86-64\n");
    skip();
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
