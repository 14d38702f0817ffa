// isa/hostdiff_fp_test.c: every x87, MMX, SSE and AVX instruction against the host processor itself.
//
// Like isa/hostdiff_test.c, with the floating-point state in addition: each row of these features is encoded with random registers or a
// memory operand, and run natively and by the handlers on the same registers, control words and memory. Compared, bit by bit: general
// registers, status flags, memory, XMM and YMM registers, MXCSR, the x87 stack, control, status and tag words and pointers, and exceptions.
// DIFF_CASES=n sets the number of cases, DIFF_SEED=n the seed, DIFF_ROW=name picks one row (or all that begin with name).
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/fpu.h"
#include "isa/testenv.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#include <cpuid.h>

#include "isa/hostrows.h"
#include "isa/hostrun.h"
#include "isa/hostvendor.h"

static bool named(const struct row *r, const char *list)
{
    char word[40];
    snprintf(word, sizeof word, " %s ", r->family);
    return strstr(list, word) != NULL;
}

// --- random numbers

static uint64_t rng = 1;
static uint64_t rnd(void)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((rnd() >> 32) % n); }
static bool percent(unsigned p) { return below(100) < p; }

// A floating-point number of a format with ebits and fbits: zeros, denormals, ends of the range, infinities, NaNs, near 1, integers, any.
static uint64_t number_of(unsigned ebits, unsigned fbits)
{
    uint64_t fmask = (1ull << fbits) - 1, top = (1ull << ebits) - 1, bias = top >> 1, e, f = rnd() & fmask;
    switch (below(6)) {
    case 0: f = 0; break;
    case 1: f = fmask; break;
    case 2: f &= ~0ull << below(fbits); break;
    case 3: f = 1ull << below(fbits); break;
    }
    switch (below(12)) {
    case 0: e = 0, f = percent(60) ? 0 : f; break;
    case 1: e = 0; break;
    case 2: e = 1 + below(3); break;
    case 3: e = top - 1 - below(3); break;
    case 4: e = top, f = percent(50) ? 0 : f; break;
    case 5: e = rnd() & top; break;
    case 6: e = bias; break;
    case 7: e = bias + fbits + below(8) - 4; break;
    default: e = bias + below(70) - 30; break;
    }
    return (rnd() >> 63) << (ebits + fbits) | e << fbits | f;
}
static uint64_t integer(void)
{
    switch (below(6)) {
    case 0: return below(3) - 1ull;
    case 1: return (1ull << below(64)) + below(3) - 1;
    case 2: return below(256);
    case 3: return 0xffffffffffffffffull >> below(64);
    default: return rnd();
    }
}
static void vector(union isa_vec *v)
{
    unsigned k, kind = below(8);
    for (k = 0; k < 2; k++)
        v->q[k] = kind < 3   ? number_of(8, 23) | number_of(8, 23) << 32
                  : kind < 6 ? number_of(11, 52)
                  : kind < 7 ? (percent(50) ? 0 : ~0ull) ^ (percent(30) ? 0xffull << 8 * below(8) : 0)
                             : integer();
}
static void extended(uint8_t *p)
{
    uint64_t e = rnd() & 0x7fff, f = rnd();
    switch (below(5)) {
    case 0: f = 0; break;
    case 1: f = ~0ull; break;
    case 2: f &= ~0ull << below(64); break;
    case 3: f = 1ull << below(64); break;
    }
    f |= 1ull << 63;
    switch (below(14)) {
    case 0: e = 0, f = percent(70) ? 0 : f; break;
    case 1: e = 0, f &= ~(1ull << 63); break;
    case 2: e = 1 + below(3); break;
    case 3: e = 0x7ffe - below(3); break;
    case 4: e = 0x7fff, f = percent(50) ? 1ull << 63 : f; break;
    case 5: break;
    case 6: e = 16383; break;
    case 7: e = 16383 + 63 + below(8) - 4; break;
    case 8:
        f = percent(50) ? f & ~(1ull << 63) : f, e = percent(50) ? 16383 - 1023 + below(8) - 60 : 16383 + 1020 + below(8);
        break;
    case 9: e = 16383 - 150 + below(30); break;
    default: e = 16383 + below(70) - 30; break;
    }
    e |= rnd() >> 63 << 15;
    memcpy(p, &f, 8);
    memcpy(p + 8, &e, 2);
}

static uint64_t number(const char *name, uint64_t dflt)
{
    const char *s = getenv(name);
    return s ? strtoull(s, NULL, 0) : dflt;
}

// --- one case

static struct isa_testenv *env;
struct enc {
    uint8_t b[24];
    unsigned n;
    struct isa_insn i;
};
static bool has(const char *operands, const char *letters)
{
    for (const char *p = operands; *p; p += strcspn(p, ","), p += *p == ',')
        if (strchr(letters, *p))
            return true;
    return false;
}
static void put(struct enc *e, uint64_t v, unsigned n)
{
    memcpy(e->b + e->n, &v, n);
    e->n += n;
}
static bool x87_row(const struct row *r) { return r->map == 1; }
static bool vex_row(const struct row *r) { return r->props & ISA_F_VEX; }

// A VEX prefix of two or three bytes, and the opcode. Extensions of register numbers are random.
static void vex_opcode(struct enc *e, const struct row *r)
{
    static const uint8_t pp[] = {[PFX_P66] = 1, [PFX_PF3] = 2, [PFX_PF2] = 3};
    unsigned w = r->props & ISA_F_W0 ? 0 : r->props & ISA_F_W1 ? 1 : below(2);
    unsigned l = r->props & ISA_F_L0 ? 0 : r->props & ISA_F_L1 ? 1 : below(2);
    unsigned low = (has(r->operands, "BH") ? below(16) : 15) << 3 | l << 2 | (r->prefix >= PFX_P66 ? pp[r->prefix] : 0);
    unsigned rxb = below(8) << 5;
    if (r->map == 2 && !w && percent(50)) {
        put(e, 0xc5, 1);
        put(e, (rxb & 0x80) | low, 1);
    } else {
        put(e, 0xc4, 1);
        put(e, rxb | (r->map - 1u), 1);
        put(e, w << 7 | low, 1);
    }
    put(e, r->opcode, 1);
}

static void legacy_opcode(struct enc *e, const struct row *r)
{
    static const uint8_t must[] = {[PFX_P66] = 0x66, [PFX_PF3] = 0xf3, [PFX_PF2] = 0xf2};
    if (r->prefix >= PFX_P66)
        put(e, must[r->prefix], 1);
    else if (r->prefix == PFX_ANY && percent(20))
        put(e, 0x66, 1);
    unsigned rex = percent(50) ? 0x40 | below(16) : 0;
    if (r->props & ISA_F_W0)
        rex &= ~8u;
    if (r->props & ISA_F_W1)
        rex |= 0x48;
    if (rex)
        put(e, rex, 1);
    if (r->map > 1)
        put(e, 0x0f, 1);
    if (r->map > 2)
        put(e, r->map == 3 ? 0x38 : 0x3a, 1);
    put(e, r->opcode, 1);
}

static void encode(struct enc *e, const struct row *r)
{
    memset(e, 0, sizeof *e);
    if (vex_row(r))
        vex_opcode(e, r);
    else
        legacy_opcode(e, r);
    bool modrm = r->ext != X_NONE || has(r->operands, "EGMRVWUPQN");
    if (modrm && has(r->operands, "m")) { // VSIB
        put(e, 0x84 | below(8) << 3, 1);
        put(e, below(256), 1);
        put(e, (uint32_t)rnd(), 4);
    } else if (modrm) {
        bool mem = r->ext != X_RM && !(r->props & ISA_F_REG) && (r->props & ISA_F_MEM || percent(40));
        unsigned reg = r->ext == X_REG || r->ext == X_RM ? r->ext_reg : below(8), rm = r->ext == X_RM ? r->ext_rm : below(8);
        if (mem && rm == 4)
            rm = 3;
        put(e, (mem ? 2u : 3u) << 6 | reg << 3 | rm, 1);
        if (mem)
            put(e, (uint32_t)rnd(), 4);
    }
    if (has(r->operands, "IL"))
        put(e, percent(60) ? below(32) : rnd(), 1);
}
static bool usable(struct enc *e, const struct row *r)
{
    struct isa_decode_mode m = {.mode = ISA_LONG64, .flat = true};
    memcpy(m.features, env->features, sizeof m.features);
    if (isa_decode(&m, e->b, sizeof e->b, &e->i) != e->n || &rows[e->i.op] != r)
        return false;
    bool mask = named(r, " xsave xrstor xsaveopt xsavec "); // EDX:EAX keep to the components that both have
    return !mask || (e->i.base != ISA_RAX && e->i.base != ISA_RDX);
}

static bool big(const struct row *r)
{
    return named(r, " fxsave fxrstor fnsave frstor fnstenv fldenv xsave xrstor xsaveopt xsavec ");
}

// The memory operand: where it is, and what is there.
static void operand_memory(const struct row *r, const struct enc *e, struct host_state *s)
{
    uint64_t at = HOST_ARENA + 0x400 + below(0x1000);
    unsigned k = below(100);
    if (vex_row(r) && k < 80)
        at &= k < 50 ? ~31ull : ~0ull;
    else if (k < 80)
        at &= r->feature == ISA_FEAT_XSAVE || r->feature == ISA_FEAT_XSAVEC || r->feature == ISA_FEAT_XSAVEOPT ? ~63ull : ~15ull;
    else if (k < 83)
        at = HOST_RO + (below(0xe00) & ~15u);
    else if (k < 85)
        at = HOST_RO + 0x1000 - below(4) * 16;
    else if (k < 87)
        at = HOST_ARENA + 0x1000 - below(40);
    s->gpr[e->i.base] = at - e->i.disp;
    if (at < HOST_ARENA || at + 832 > HOST_ARENA + HOST_ARENA_N)
        return;
    uint8_t *p = (uint8_t *)(uintptr_t)at;
    union isa_vec v;
    if (big(r))
        for (unsigned j = 0; j < 832; j += 16) {
            vector(&v);
            memcpy(p + j, &v, 16);
        }
    else if (named(r, " fbld ") && percent(80))
        for (unsigned j = 0; j < 10; j++)
            p[j] = (uint8_t)(below(10) | below(10) << 4);
    else if (x87_row(r) && strstr(r->operands, "Mt"))
        extended(p);
    else if (strstr(r->family, "_m32") || strstr(r->family, "_m64")) {
        uint64_t x = strstr(r->family, "_m32") ? number_of(8, 23) : number_of(11, 52);
        memcpy(p, &x, 8);
    } else if (x87_row(r)) {
        uint64_t x = integer();
        memcpy(p, &x, 8);
    } else
        for (unsigned j = 0; j < (vex_row(r) ? 32 : 16); j += 16) {
            vector(&v);
            memcpy(p + j, &v, 16);
        }
    if (named(r, " ldmxcsr ldmxcsr_y ") && percent(80))
        p[2] = p[3] = 0;
    if (named(r, " fxrstor xrstor ") && percent(90))
        p[26] = p[27] = 0;
    if (named(r, " xrstor ")) {
        memset(p + 512, 0, 64);
        p[512] = (uint8_t)below(host_avx ? 8 : 4);
        if (percent(30))
            p[527] = 0x80, p[520] = p[512] | (uint8_t)below(host_avx ? 8 : 4);
        if (percent(5))
            p[528 + below(48)] ^= (uint8_t)(1 << below(8));
    }
    memcpy(isa_te_at(env, at), p, 832);
}

static bool transcendental(const struct row *r);
static void fx_state(const struct row *r, uint8_t *fx)
{
    uint16_t cw = 0x37f, sw = (uint16_t)(rnd() & 0x7f00);
    unsigned tags = 0xff;
    uint32_t mxcsr = 0x1f80;
    memset(fx, 0, 512);
    if (x87_row(r)) {
        static const uint16_t pc[] = {0x300, 0x300, 0x300, 0x200, 0x000};
        cw = (uint16_t)((percent(70) ? 0x7f : 0x40 | (rnd() & 0x3f)) | pc[below(5)] | below(4) << 10);
        if (transcendental(r)) // what rounds differently may underflow differently
            cw |= 0x38;
        sw |= percent(50) ? 0 : (uint16_t)(rnd() & cw & 0x3f); // masked flags
        if (percent(3))
            sw |= (uint16_t)(rnd() & 0x7f);
        tags = percent(70) ? 0xff : percent(50) ? (unsigned)rnd() & 0xff : 0;
        if (strstr(r->family, "fld") || strstr(r->family, "fild"))
            tags = percent(80) ? 0 : tags;
    } else if (percent(2))
        sw |= 1, cw &= ~1u;
    mxcsr = (uint32_t)((percent(70) ? 0x1f80 : rnd() & 0x1f80) | below(4) << 13 | (percent(40) ? rnd() & 0x8040 : 0) |
                       (percent(30) ? rnd() & 0x3f : 0));
    memcpy(fx, &cw, 2);
    memcpy(fx + 2, &sw, 2);
    fx[4] = (uint8_t)tags;
    memcpy(fx + 24, &mxcsr, 4);
    for (unsigned k = 0; k < 8; k++)
        extended(fx + 32 + 16 * k);
    if (!x87_row(r) || percent(5))
        for (unsigned k = 0; k < 8; k++)
            if (percent(50)) {
                union isa_vec v;
                vector(&v);
                memcpy(fx + 32 + 16 * k, &v, 8);
            }
    for (unsigned k = 0; k < 16; k++) {
        union isa_vec v;
        vector(&v);
        memcpy(fx + 160 + 16 * k, &v, 16);
    }
    if (percent(10)) // equal operands
        memcpy(fx + 160, fx + 160 + 16 * below(16), 16);
    if (percent(20) && strstr(r->family, "pcmp")) // strings: short lengths, common characters
        for (unsigned k = 0; k < 256; k++)
            fx[160 + k] = (uint8_t)below(4);
}

// Gathers: indices that mostly lead into the arena.
static void gather_indices(const struct enc *e, struct host_page *p)
{
    unsigned size = e->i.opcode & 1 ? 8 : 4;
    uint8_t v[32];
    for (unsigned k = 0; k < 32; k += size) {
        int64_t to = percent(97) ? (int64_t)below(0x1800) - 0xc00 : (int64_t)below(0x2300) - 0x1400; // ... or next to it
        int64_t x = to / (1 << e->i.scale);
        memcpy(v + k, &x, size);
    }
    memcpy(p->fx_in + 160 + 16 * e->i.rm, v, 16);
    memcpy(p->ymm_in[e->i.rm] + 16, v + 16, 16);
}

static void ymm_state(const struct row *r, const struct enc *e, struct host_page *p)
{
    for (unsigned k = 0; k < 16; k++) {
        union isa_vec v;
        vector(&v);
        memcpy(p->ymm_in[k] + 16, &v, 16);
    }
    if (has(r->operands, "m"))
        gather_indices(e, p);
    for (unsigned k = 0; k < 16; k++)
        memcpy(p->ymm_in[k], p->fx_in + 160 + 16 * k, 16);
}

static void load_ours(struct isa_cpu *c, const uint8_t *fx)
{
    isa_fx_get_x87(c, fx, true);
    memcpy(&c->mxcsr, fx + 24, 4);
    memcpy(c->xmm, fx + 160, 256);
}
static void store_ours(const struct isa_cpu *c, uint8_t *fx)
{
    static const uint32_t mask = ISA_MXCSR_MASK;
    memset(fx, 0, 512);
    isa_fx_put_x87(c, fx, true);
    memcpy(fx + 24, &c->mxcsr, 4);
    memcpy(fx + 28, &mask, 4);
    memcpy(fx + 160, c->xmm, 256);
}

static unsigned long ncases, nfaults, nfailed, nclose;

static void hex(const char *what, const uint8_t *p, unsigned n)
{
    print_error("%s", what);
    while (n-- > 0)
        print_error("%02x", p[n]);
}

static void report(const struct row *r, const struct enc *e, const struct host_page *p, int res, const uint8_t *fx)
{
    const struct isa_cpu *c = &env->cpu;
    if (++nfailed > number("DIFF_SHOW", 2))
        return;
    print_error("%s:", r->id);
    for (unsigned k = 0; k < e->n; k++)
        print_error(" %02x", e->b[k]);
    uint32_t mi, mh;
    memcpy(&mi, p->fx_in + 24, 4);
    memcpy(&mh, p->fx_out + 24, 4);
    print_error("  osz %u mem %d; exception host %ld, ours %d: %d rule %s; rip host %lx ours %lx\n", e->i.osz, e->i.is_mem,
                (long)p->trap, res, res == ISA_R_FAULT ? c->fault.vector : -1, isa_rule_info(c->fault.rule)->id, p->out.rip,
                c->rip);
    print_error("   mxcsr in %04x host %04x ours %04x; flags host %lx ours %lx\n", mi, mh, c->mxcsr, p->out.rflags & ISA_FL_STATUS,
                isa_rflags(c) & ISA_FL_STATUS);
    hex("   x87 control in ", p->fx_in, 24);
    hex("\n              host ", p->fx_out, 24);
    hex("\n              ours ", fx, 24);
    print_error("\n");
    for (unsigned k = 0; k < 24; k++) {
        unsigned at = 32 + 16 * k;
        bool differs = memcmp(p->fx_out + at, fx + at, 16) != 0;
        bool operand = k >= 8 && (k - 8 == e->i.reg || (k - 8 == e->i.rm && !e->i.is_mem));
        if (!differs && !(operand && !x87_row(r)) && !(x87_row(r) && (k < 2 || k == (e->i.rm & 7))))
            continue;
        print_error("   %s%u", k < 8 ? "st" : "xmm", k < 8 ? k : k - 8);
        hex(" in ", p->fx_in + at, k < 8 ? 10 : 16);
        hex(" host ", p->fx_out + at, k < 8 ? 10 : 16);
        hex(" ours ", fx + at, k < 8 ? 10 : 16);
        print_error("%s\n", differs ? " <--" : "");
    }
    for (unsigned k = 0; host_avx && k < 16; k++) {
        bool differs = memcmp(p->ymm_out[k] + 16, &c->ymmh[k], 16) != 0;
        if (!differs && !(vex_row(r) && (k == e->i.reg || (k == e->i.rm && !e->i.is_mem) || k == e->i.vvvv)))
            continue;
        print_error("   ymm%u", k);
        hex(" in ", p->ymm_in[k], 32);
        hex(" host ", p->ymm_out[k], 32);
        hex(" ours high ", (const uint8_t *)&c->ymmh[k], 16);
        print_error("%s\n", differs ? " <--" : "");
    }
    for (unsigned k = 0; k < 16; k++)
        if (p->out.gpr[k] != c->gpr[k])
            print_error("   r%u in %016lx host %016lx ours %016lx\n", k, p->in.gpr[k], p->out.gpr[k], c->gpr[k]);
    if (e->i.is_mem) {
        uint64_t at = p->in.gpr[e->i.base] + e->i.disp;
        if (at >= HOST_ARENA && at + 16 <= HOST_RO) {
            hex("   operand ", isa_te_at(env, at), 16);
            print_error(" at %lx\n", at);
        }
    }
    const uint8_t *a = (const uint8_t *)(uintptr_t)HOST_ARENA, *b = isa_te_at(env, HOST_ARENA);
    for (unsigned k = 0, shown = 0; k < HOST_ARENA_N && shown < 8; k++)
        if (a[k] != b[k]) {
            print_error("   memory %llx host %02x ours %02x\n", HOST_ARENA + k, a[k], b[k]);
            shown++;
        }
}

// The parts of a large operand are read and written in an order of the processor's own, so any of them may fault first.
static bool exceptions_agree(const struct row *r, const struct enc *e, const struct host_page *p, int res)
{
    const struct isa_event *f = &env->cpu.fault;
    if (res != ISA_R_FAULT)
        return p->trap < 0;
    int vector =
        f->vector == ISA_X_GP && f->rule == ISA_RULE_GP_CANONICAL && e->i.is_mem && e->i.seg == ISA_SS ? ISA_X_SS : f->vector;
    return p->trap == vector && (vector != ISA_X_PF || big(r) || (p->err == f->error && p->cr2 == f->addr));
}

// Transcendental functions: what the host gives is within an ulp or so of the true value, and so is ours.
static bool transcendental(const struct row *r) { return named(r, " f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos "); }
// F2XM1 beyond 1 and FYL2XP1 beyond 1 - sqrt(1/2): the manual leaves the result undefined.
static bool outside_domain(const struct row *r, const uint8_t *fx)
{
    uint16_t se;
    memcpy(&se, fx + 40, 2);
    se &= 0x7fff;
    return se < 0x7fff && ((named(r, " f2xm1 ") && se >= 0x3fff) || (named(r, " fyl2xp1 ") && se >= 0x3ffd));
}
static void close_enough(uint8_t *host, uint8_t *fx)
{
    for (unsigned k = 0; k < 2; k++) {
        uint64_t a, b;
        uint16_t x, y;
        uint8_t *h = host + 32 + 16 * k, *o = fx + 32 + 16 * k;
        memcpy(&a, h, 8), memcpy(&b, o, 8), memcpy(&x, h + 8, 2), memcpy(&y, o + 8, 2);
        if (a == b && x == y)
            continue;
        unsigned __int128 p = (unsigned __int128)(x & 0x7fff) << 63 | (a << 1 >> 1),
                          q = (unsigned __int128)(y & 0x7fff) << 63 | (b << 1 >> 1);
        if ((x ^ y) >> 15 || (p > q ? p - q : q - p) > 4)
            continue;
        nclose++;
        memcpy(o, h, 10);
    }
    fx[3] = (uint8_t)((fx[3] & ~2) | (host[3] & 2));       // C1: which way it was rounded
    fx[2] = (uint8_t)((fx[2] & ~0x30) | (host[2] & 0x30)); // #U and #P of such a result
}

static void forgive_gather(const struct enc *e, const struct host_page *p, uint8_t *fx)
{
    unsigned size = e->i.wide ? 8 : 4, isize = e->i.opcode & 1 ? 8 : 4, k = e->i.vvvv;
    uint8_t mask[32];
    memcpy(mask, fx + 160 + 16 * k, 16);
    memcpy(mask + 16, &env->cpu.ymmh[k], 16);
    host_gather_forgive(p->ymm_out[k], mask, size, (16u << e->i.vex_l) / (size > isize ? size : isize) * size);
    memcpy(fx + 160 + 16 * k, mask, 16);
    memcpy(&env->cpu.ymmh[k], mask + 16, 16);
}

// What this host's vendor defines in its own way (isa/hostvendor.h). True if the whole case is: MXCSR bit 17.
static bool forgive_vendor(const struct row *r, const struct enc *e, const struct host_page *p, int res, uint8_t *fx)
{
    bool loads = named(r, " fldenv frstor fxrstor xrstor ");
    if (host_is_amd() && res == ISA_R_FAULT && p->trap < 0 && p->fx_out[26] & 2)
        return true;
    if (host_pf_before_mf(p->trap == ISA_X_PF, res == ISA_R_FAULT, fx))
        return true;
    if (named(r, " fprem fprem1 ") && host_remainder_by_infinity(p->fx_in))
        return true;
    if (named(r, " fscale ") && host_scale_by_zero(p->fx_in))
        return true;
    if (strchr(r->operands, 'P') && p->trap == ISA_X_PF && res == ISA_R_FAULT)
        host_mmx_fault_forgive(p->fx_out, fx);
    uint8_t *high = (uint8_t *)&env->cpu.ymmh[e->i.reg];
    if (named(r, " dpps dppd dpps_y dppd_y ")) {
        host_nan_forgive(p->fx_out + 160 + 16 * e->i.reg, fx + 160 + 16 * e->i.reg, named(r, " dppd dppd_y ") ? 8 : 4);
        host_nan_forgive(p->ymm_out[e->i.reg] + 16, high, named(r, " dppd dppd_y ") ? 8 : 4);
    }
    if (named(r, " gather ") && res == ISA_R_FAULT)
        forgive_gather(e, p, fx);
    host_fx_forgive(p->fx_out, fx, loads);
    if (named(r, " rcpps rcpss rsqrtps rsqrtss rcpps_y rcpss_y rsqrtps_y rsqrtss_y ")) {
        host_approximation_forgive(p->fx_out + 160 + 16 * e->i.reg, fx + 160 + 16 * e->i.reg);
        host_approximation_forgive(p->ymm_out[e->i.reg] + 16, high);
    }
    uint64_t at = e->i.is_mem ? p->in.gpr[e->i.base] + e->i.disp : 0;
    if (res != ISA_R_FAULT && at >= HOST_ARENA && at + 32 <= HOST_RO && named(r, " fxsave xsave xsaveopt xsavec "))
        host_fx_forgive((const uint8_t *)(uintptr_t)at, isa_te_at(env, at), false);
    return false;
}

static bool same_ymm(const struct isa_cpu *c, const struct host_page *p)
{
    bool same = true;
    for (unsigned k = 0; host_avx && k < 16; k++)
        same &= memcmp(p->ymm_out[k] + 16, &c->ymmh[k], 16) == 0;
    return same;
}

static void run_case(const struct row *r, const struct enc *e)
{
    static uint8_t initial[HOST_ARENA_N], fx[512];
    struct host_page *p = HOST_PAGE;
    struct isa_cpu *c = &env->cpu;
    void *arena = (void *)(uintptr_t)HOST_ARENA, *mine = isa_te_at(env, HOST_ARENA);
    for (unsigned k = 0; k < 16; k++)
        p->in.gpr[k] = integer();
    p->in.gpr[ISA_RSP] = HOST_ARENA + 0x1800;
    p->in.gpr[ISA_RDI] = named(r, " maskmov_p maskmov_v maskmov_y ") ? HOST_ARENA + 0x400 + below(0x1000) : p->in.gpr[ISA_RDI];
    if (percent(70) && strstr(r->family, "pcmpestr")) {
        p->in.gpr[ISA_RAX] = below(40) - 20ull;
        p->in.gpr[ISA_RDX] = below(40) - 20ull;
    }
    if (named(r, " xsave xrstor xsaveopt xsavec ")) {
        p->in.gpr[ISA_RAX] &= host_avx ? 7 : 3;
        p->in.gpr[ISA_RDX] = 0;
    }
    p->in.rflags = ISA_FL_1 | ISA_FL_IF | (rnd() & ISA_FL_STATUS);
    if (e->i.is_mem)
        operand_memory(r, e, &p->in);
    fx_state(r, p->fx_in);
    ymm_state(r, e, p);
    memcpy(initial, arena, sizeof initial);
    memcpy(mine, initial, sizeof initial);
    host_run();
    memcpy(c->gpr, p->in.gpr, sizeof p->in.gpr);
    isa_set_rflags(c, p->in.rflags);
    load_ours(c, p->fx_in);
    for (unsigned k = 0; k < 16; k++)
        memcpy(&c->ymmh[k], p->ymm_in[k] + 16, 16);
    c->rip = HOST_INSN;
    int res = isa_te_run(env, 1);
    store_ours(c, fx);
    ncases++;
    nfaults += res == ISA_R_FAULT;
    memset(p->fx_out + 416, 0, 96); // not state
    for (unsigned k = 0; k < 8; k++)
        memset(p->fx_out + 42 + 16 * k, 0, 6);
    if (outside_domain(r, p->fx_in))
        return;
    if (transcendental(r))
        close_enough(p->fx_out, fx);
    if (named(r, " xrstor ") && p->trap >= 0) { // processors have loaded some components by then
        memcpy(fx, p->fx_out, 512);
        for (unsigned k = 0; host_avx && k < 16; k++)
            memcpy(&c->ymmh[k], p->ymm_out[k] + 16, 16);
    }
    if (forgive_vendor(r, e, p, res, fx))
        return;
    bool same = memcmp(arena, mine, HOST_ARENA_N) == 0;
    if (!exceptions_agree(r, e, p, res) || memcmp(c->gpr, p->out.gpr, sizeof p->out.gpr) != 0 || !same || c->rip != p->out.rip ||
        ((isa_rflags(c) ^ p->out.rflags) & ISA_FL_STATUS) || memcmp(fx, p->fx_out, 416) != 0 || !same_ymm(c, p))
        report(r, e, p, res, fx);
    if (!same || memcmp(arena, initial, sizeof initial) != 0)
        memcpy(arena, initial, sizeof initial);
}

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
    return __get_cpuid_count(f->leaf, f->sub, &v[0], &v[1], &v[2], &v[3]) && (v[f->reg] >> f->bit & 1);
}

static void open_host(void)
{
    host_fp = true;
    host_avx = host_has(ISA_FEAT_AVX);
    if (!host_open()) {
        print_message("# hostdiff-fp: skipped: the host gives no executable memory at %llx\n", HOST_BASE);
        skip();
    }
    env = isa_te_create(HOST_BASE, HOST_SIZE);
    assert_non_null(env);
    isa_te_mode(env, ISA_LONG64, 3);
    env->cpu.cr0 |= ISA_CR0_NE | ISA_CR0_MP;
    env->cpu.cr4 |= ISA_CR4_OSFXSR | ISA_CR4_OSXMMEXCPT | ISA_CR4_OSXSAVE;
    env->cpu.xcr0 = host_avx ? 7 : 3;
    isa_te_protect(env, HOST_BASE + 0x1000, 0x2000, ISA_TE_NO_READ);
    isa_te_protect(env, HOST_RO, 0x1000, ISA_TE_NO_WRITE);
    isa_te_protect(env, HOST_RO + 0x1000, 0x1000, ISA_TE_NO_READ);
    uint64_t *a = (uint64_t *)(uintptr_t)HOST_ARENA;
    mprotect((void *)(uintptr_t)HOST_RO, 0x1000, PROT_READ | PROT_WRITE);
    for (unsigned k = 0; k < (HOST_ARENA_N + 0x1000) / 8; k++)
        a[k] = percent(50) ? number_of(11, 52) : integer();
    mprotect((void *)(uintptr_t)HOST_RO, 0x1000, PROT_READ);
    memcpy(isa_te_at(env, HOST_ARENA), a, HOST_ARENA_N + 0x1000);
}

static void test_against_host(void **state)
{
    enum { SETS = 16 };
    rng = number("DIFF_SEED", 20050613);
    const char *only = getenv("DIFF_ROW");
    open_host();
    const struct row *list[ISA_OP_NUM];
    unsigned n = 0;
    for (const struct row *r = rows + 1; r < rows + ISA_OP_NUM; r++) {
        if (!row_is_vector(r) || (only && strncmp(only, r->id, strlen(only)) != 0))
            continue;
        if (host_has(r->feature))
            list[n++] = r;
        else
            print_message("# hostdiff-fp: %s skipped: the host lacks %s\n", r->id, isa_feature_info[r->feature].id);
    }
    assert_int_not_equal(n, 0);
    print_message("# hostdiff-fp: the host's processor is %s\n", host_vendor_text());
    unsigned long per_row = (unsigned long)number("DIFF_CASES", 400000) / n / SETS + 1, all = 0, failing = 0;
    for (unsigned k = 0; k < n; k++) {
        nfailed = 0;
        for (unsigned long j = 0; j < per_row; j++)
            if (!run_encoding(list[k], SETS))
                fail_msg("%s: no encoding found", list[k]->id);
        if (nfailed)
            print_error("### %s: %lu of %lu cases differ\n", list[k]->id, nfailed, per_row * SETS);
        failing += nfailed != 0;
        all += nfailed;
    }
    print_message("# hostdiff-fp: %lu cases, %u instructions; %lu exceptions, %lu transcendental results off by a few units\n",
                  ncases, n, nfaults, nclose);
    isa_te_destroy(env);
    assert_int_equal(all, 0);
    assert_int_equal(failing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
static void test_no_host(void **state)
{
    print_message("# hostdiff-fp: skipped: this host is not x86-64\n");
    skip();
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
