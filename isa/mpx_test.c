// isa/mpx_test.c: memory-protection extensions: what every instruction does by its page in the manual. (No processor to compare with: those
// that still have MPX are rare.)
#include <stdlib.h>

#include "isa/fault.h"
#include "isa/mpx.h"
#include "isa/msr.h"
#include "isa/systest.h"

#define DIRECTORY 0x40000u // bound directory of the tests
#define TABLE     0x60000u // bound table

static void open_at(struct st *t, enum st_mode mode, unsigned cpl, uint64_t cfg)
{
    st_init(t, mode, cpl);
    struct isa_cpu *c = &t->c;
    c->cr4 |= ISA_CR4_OSXSAVE;
    c->xcr0 = ISA_XS_X87 | ISA_XS_SSE | ISA_XS_MPX;
    *(cpl == 3 || mode == ST_V86 ? &c->bndcfgu : &c->bndcfgs) = cfg;
    isa_update_mode(c);
    c->bndstatus = 0x5555;
    for (unsigned k = 0; k < 4; k++)
        c->bnd[k] = (struct isa_bounds){0x1000 + k, ~(0x2000ull + k)};
}

static int run(struct st *t, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t b[16];
    unsigned n = 0;
    for (; hex[0]; hex += 2)
        b[n++] = (uint8_t)((strchr(digits, hex[0]) - digits) << 4 | (strchr(digits, hex[1]) - digits));
    t->c.rip = t->c.mode == ISA_REAL || t->c.mode == ISA_V86 ? 0x7000 : ST_CODE;
    memset(t->ram + (t->c.mode == ISA_LONG64 ? 0 : t->c.seg[ISA_CS].base) + t->c.rip, 0x90, 16);
    st_code(t, b, n);
    return st_step(t);
}

static struct st *machine(enum st_mode mode, unsigned cpl, uint64_t cfg)
{
    struct st *t = calloc(1, sizeof *t);
    assert_non_null(t);
    open_at(t, mode, cpl, cfg);
    return t;
}
#define EN       ISA_BNDCFG_EN
#define PRESERVE ISA_BNDCFG_PRESERVE
#define BND_IS(k, low, up)                                                                                                         \
    do {                                                                                                                           \
        assert_int_equal(t->c.bnd[k].lb, low);                                                                                     \
        assert_int_equal(t->c.bnd[k].ub, up);                                                                                      \
    } while (0)

// --- enabled or not

static void test_enabled(void **state)
{
    static const struct {
        unsigned cpl;
        uint64_t cr4, xcr0, s, u;
        bool on;
    } cases[] = {
        {0, ISA_CR4_OSXSAVE, 0x1b, EN, 0, true},
        {0, ISA_CR4_OSXSAVE, 0x1b, 0, EN, false},
        {2, ISA_CR4_OSXSAVE, 0x1b, EN, 0, true},
        {2, ISA_CR4_OSXSAVE, 0x1b, 0, EN, false},
        {3, ISA_CR4_OSXSAVE, 0x1b, EN, 0, false},
        {3, ISA_CR4_OSXSAVE, 0x1b, 0, EN, true},
        {0, 0, 0x1b, EN, EN, false},
        {0, ISA_CR4_OSXSAVE, 3, EN, EN, false},
        {0, ISA_CR4_OSXSAVE, 0x1b, PRESERVE | ~0xfffull, EN, false},
        {3, ISA_CR4_OSXSAVE, 0x1b, EN, PRESERVE, false},
    };
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct st *t = machine(ST_L64, cases[k].cpl, 0);
        struct isa_cpu *c = &t->c;
        c->cr4 = ISA_CR4_PAE | cases[k].cr4;
        c->xcr0 = cases[k].xcr0;
        c->bndcfgs = cases[k].s;
        c->bndcfgu = cases[k].u;
        isa_update_mode(c);
        c->gpr[ISA_RBX] = 0x1234;
        assert_int_equal(run(t, "f30f1b4b0f"), 0); // bndmk bnd1, [rbx + 15]
        BND_IS(1, cases[k].on ? 0x1234 : 0x1001, cases[k].on ? ~0x1243ull : ~0x2001ull);
        // What is undefined while it is enabled is a no-operation else.
        assert_int_equal(run(t, "f30f1b63ff"), cases[k].on ? ISA_R_FAULT : 0);       // bnd4
        assert_int_equal(run(t, "f30f1b0d00000000"), cases[k].on ? ISA_R_FAULT : 0); // relative to RIP
        assert_int_equal(run(t, "f20f1a8300100000"), cases[k].on ? ISA_R_FAULT : 0); // bndcu bnd0, [rbx + 1000H]: outside
        free(t);
    }
}

// --- BNDMK

static void test_make(void **state)
{
    static const struct {
        enum st_mode mode;
        const char *code;
        uint64_t lb, ub;
    } cases[] = {
        {ST_L64, "f30f1b0b", 0xffff800000001000, ~0xffff800000001000ull},   // [rbx]
        {ST_L64, "f30f1b4b7f", 0xffff800000001000, ~0xffff80000000107full}, // [rbx + 127]
        {ST_L64, "f30f1b0ccb", 0xffff800000001000, ~0xffff800000001050ull}, // [rbx + rcx * 8]
        {ST_L64, "f30f1b0c4d05000000", 0, ~0x19ull},                        // [rcx * 2 + 5]: no base
        {ST_L64, "f30f1b0c2578563412", 0, ~0x12345678ull},                  // [12345678H]
        {ST_L64, "67f30f1b0b", 0xffff800000001000, ~0xffff800000001000ull}, // the prefix does not count
        {ST_L64, "66f30f1b0b", 0xffff800000001000, ~0xffff800000001000ull},
        {ST_L64, "f3480f1b0b", 0xffff800000001000, ~0xffff800000001000ull},
        {ST_L64, "64f30f1b0b", 0xffff800000001000, ~0xffff800000001000ull}, // no segment, as with LEA
        {ST_P32, "f30f1b0b", 0x1000, 0xffffefff},
        {ST_P32, "f30f1b8bfeffffff", 0x1000, 0xfffff001}, // [ebx - 2]
        {ST_P32, "f30f1b0d44332211", 0, 0xeeddccbb},      // [11223344H]
        {ST_C32M, "f30f1b0ccb", 0x1000, 0xffffefaf},
        {ST_REAL, "67f30f1b0b", 0x1000, 0xffffefff},
        {ST_V86, "67f30f1b0ccb", 0x1000, 0xffffefaf},
    };
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct st *t = machine(cases[k].mode, cases[k].mode == ST_V86 ? 3 : 0, EN);
        t->c.gpr[ISA_RBX] = 0xffff800000001000;
        t->c.gpr[ISA_RCX] = 10;
        t->c.seg[ISA_FS].base = 0x777000;
        assert_int_equal(run(t, cases[k].code), 0);
        BND_IS(1, cases[k].lb, cases[k].ub);
        BND_IS(0, 0x1000, ~0x2000ull);
        assert_int_equal(t->c.bndstatus, 0x5555);
        free(t);
    }
}

// --- BNDCL, BNDCU, BNDCN

static void test_check(void **state)
{
    // bnd1 = { lb, ub }, RBX the pointer. l, u, n: BNDCL, BNDCU, BNDCN raise #BR.
    static const struct {
        enum st_mode mode;
        uint64_t lb, ub, rbx;
        bool l, u, n;
    } cases[] = {
        {ST_L64, 0x1000, ~0x1fffull, 0x1000, false, false, false},
        {ST_L64, 0x1000, ~0x1fffull, 0xfff, true, false, false},
        {ST_L64, 0x1000, ~0x1fffull, 0x1fff, false, false, false},
        {ST_L64, 0x1000, ~0x1fffull, 0x2000, false, true, false},
        {ST_L64, 0, 0, UINT64_MAX, false, false, true},
        {ST_L64, 0, 0, 0, false, false, false},
        {ST_L64, 0, 0x2000, 0x2000, false, false, false},
        {ST_L64, 0, 0x2000, 0x2001, false, false, true},
        {ST_L64, 0xffff800000000000, 0, 0x7fffffffffff, true, false, true}, // unsigned
        {ST_P32, 0x1000, 0xffffe000, 0x100000fff, true, false, false},      // 32 bits of each
        {ST_P32, 0x1000, 0xffffe000, 0x2000, false, true, false},
        {ST_C32M, 0x1000, 0xffffe000, 0x1fff, false, false, false},
        {ST_P32, 0x500001000, 0x6ffffe000, 0x1800, false, false, false},
    };
    static const struct {
        const char *reg, *mem;
        enum isa_rule rule;
    } op[] = {{"f30f1acb", "f30f1a0b", ISA_RULE_BR_LOWER},
              {"f20f1acb", "f20f1a0b", ISA_RULE_BR_UPPER},
              {"f20f1bcb", "f20f1b0b", ISA_RULE_BR_UPPER}};
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++)
        for (unsigned o = 0; o < 6; o++) {
            struct st *t = machine(cases[k].mode, 3, EN);
            const bool want = (const bool[]){cases[k].l, cases[k].u, cases[k].n}[o / 2];
            t->c.gpr[ISA_RBX] = cases[k].rbx;
            t->c.bnd[1] = (struct isa_bounds){cases[k].lb, cases[k].ub};
            assert_int_equal(run(t, o & 1 ? op[o / 2].mem : op[o / 2].reg), want ? ISA_R_FAULT : 0);
            if (want) {
                assert_int_equal(t->c.fault.vector, ISA_X_BR);
                assert_int_equal(t->c.fault.rule, op[o / 2].rule);
                assert_false(t->c.fault.has_error);
            }
            assert_int_equal(t->c.bndstatus, want ? 1 : 0x5555);
            BND_IS(1, cases[k].lb, cases[k].ub);
            free(t);
        }
}

// --- BNDMOV

static void test_move(void **state)
{
    struct st *t = machine(ST_L64, 0, EN);
    assert_int_equal(run(t, "660f1ad1"), 0); // bndmov bnd2, bnd1
    BND_IS(2, 0x1001, ~0x2001ull);
    assert_int_equal(run(t, "660f1bd8"), 0); // bndmov bnd0, bnd3
    BND_IS(0, 0x1003, ~0x2003ull);
    assert_int_equal(run(t, "660f1b0b"), 0); // bndmov [rbx], bnd1
    assert_int_equal(st_get(t, ST_DATA, 8), 0x1001);
    assert_int_equal(st_get(t, ST_DATA + 8, 8), ~0x2001ull);
    st_put(t, ST_DATA + 0x18, 0x1122334455667788, 8);
    assert_int_equal(run(t, "660f1a5b10"), 0); // bndmov bnd3, [rbx + 16]
    BND_IS(3, 0, 0x1122334455667788);
    assert_int_equal(run(t, "67660f1a0b"), 0); // the prefix does not count
    BND_IS(1, 0x1001, ~0x2001ull);
    // Half of it on an absent page: nothing is done.
    t->absent = ST_DATA + 0x1000;
    t->c.gpr[ISA_RBX] = ST_DATA + 0xff8;
    assert_int_equal(run(t, "660f1a03"), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_PF);
    assert_int_equal(t->c.fault.addr, ST_DATA + 0x1000);
    BND_IS(0, 0x1003, ~0x2003ull);
    assert_int_equal(run(t, "660f1b03"), ISA_R_FAULT);
    assert_int_equal(st_get(t, ST_DATA + 0xff8, 8), 0);
    t->c.gpr[ISA_RBX] = 0x8000000000000000;
    assert_int_equal(run(t, "660f1a03"), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_CANONICAL);
    free(t);
    // 32-bit: two doublewords, upper halves cleared.
    t = machine(ST_P32, 0, EN);
    t->c.bnd[1] = (struct isa_bounds){0x7000001001, 0x8000002002};
    assert_int_equal(run(t, "660f1b0b"), 0);
    assert_int_equal(st_get(t, ST_DATA, 8), 0x0000200200001001);
    assert_int_equal(st_get(t, ST_DATA + 8, 8), 0);
    assert_int_equal(run(t, "660f1a13"), 0);
    BND_IS(2, 0x1001, 0x2002);
    assert_int_equal(run(t, "660f1ad9"), 0);
    BND_IS(3, 0x1001, 0x2002);
    st_load(t, ISA_DS, ST_SMALL);
    isa_update_mode(&t->c);
    t->c.gpr[ISA_RBX] = 0xffc;
    assert_int_equal(run(t, "660f1a13"), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_LIMIT);
    st_load(t, ISA_DS, ST_ROM);
    isa_update_mode(&t->c);
    t->c.gpr[ISA_RBX] = ST_DATA;
    assert_int_equal(run(t, "660f1b13"), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_TYPE_WRITE);
    free(t);
}

// --- BNDLDX, BNDSTX

static void test_tables_64(void **state)
{
    struct st *t = machine(ST_L64, 3, DIRECTORY | EN);
    struct isa_cpu *c = &t->c;
    const uint64_t at = 0x0000000000345678, entry = DIRECTORY + (at >> 20) * 8, slot = TABLE + (at >> 3 & 0x1ffff) % 0x1000 * 32;
    const uint64_t table = slot - (at >> 3 & 0x1ffff) * 32; // so that the entry lies in this small RAM
    c->gpr[ISA_RBX] = at - 0x10;
    c->gpr[ISA_RSI] = 0xdeadbeef12345678;                // the pointer's value
    assert_int_equal(run(t, "0f1b4c3310"), ISA_R_FAULT); // bndstx [rbx + rsi + 16], bnd1
    assert_int_equal(c->fault.vector, ISA_X_BR);
    assert_int_equal(c->fault.rule, ISA_RULE_BR_DIRECTORY);
    assert_int_equal(c->bndstatus, entry | 2);
    c->bndstatus = 0;
    assert_int_equal(run(t, "0f1a543310"), ISA_R_FAULT); // bndldx bnd2, [rbx + rsi + 16]
    assert_int_equal(c->bndstatus, entry | 2);
    st_put(t, entry, table | 6, 8); // still not valid
    assert_int_equal(run(t, "0f1a543310"), ISA_R_FAULT);
    st_put(t, entry, table | 7, 8); // bits 2 and 1 are ignored
    assert_int_equal(run(t, "0f1b4c3310"), 0);
    assert_int_equal(st_get(t, slot, 8), 0x1001);
    assert_int_equal(st_get(t, slot + 8, 8), ~0x2001ull);
    assert_int_equal(st_get(t, slot + 16, 8), 0xdeadbeef12345678);
    assert_int_equal(st_get(t, slot + 24, 8), 0);
    assert_int_equal(run(t, "0f1a543310"), 0);
    BND_IS(2, 0x1001, ~0x2001ull);
    assert_int_equal(run(t, "0f1a1cf310"), 0); // the scale does not count, but the displacement does: another entry
    BND_IS(3, 0, 0);                           // whose pointer value is 0, not RSI
    assert_int_equal(run(t, "0f1a5cf310"), 0); // bndldx bnd3, [rbx + rsi * 8 + 16]
    BND_IS(3, 0x1001, ~0x2001ull);
    c->gpr[ISA_RSI]++; // another value: all is allowed
    assert_int_equal(run(t, "0f1a543310"), 0);
    BND_IS(2, 0, 0);
    assert_int_equal(run(t, "0f1b7c3310"), ISA_R_FAULT); // bnd7
    assert_int_equal(c->fault.rule, ISA_RULE_UD_BND);
    assert_int_equal(run(t, "0f1ad1"), 0); // registers: no-operations
    assert_int_equal(run(t, "0f1bd1"), 0);
    assert_int_equal(run(t, "f30f1bd1"), 0);
    BND_IS(2, 0, 0);
    // Without an index the value is 0; FS adds its base.
    c->seg[ISA_FS].base = 0x10;
    st_put(t, slot + 16, 0, 8);
    assert_int_equal(run(t, "640f1a13"), 0); // bndldx bnd2, fs:[rbx]
    BND_IS(2, 0x1001, ~0x2001ull);
    // Base register none: the pointer lies at the displacement.
    st_put(t, DIRECTORY, TABLE | 1, 8);
    st_put(t, TABLE + 32 * 5, 0x4444, 8);
    st_put(t, TABLE + 32 * 5 + 8, 0x5555, 8);
    st_put(t, TABLE + 32 * 5 + 16, 0xdeadbeef12345679, 8);
    assert_int_equal(run(t, "0f1a0c3528000000"), 0); // bndldx bnd1, [rsi * 1 + 28H]
    BND_IS(1, 0x4444, 0x5555);
    // Bits 63..48 of the address do not count, nor is it checked.
    c->gpr[ISA_RBX] = 0xabcd000000000028;
    st_put(t, TABLE + 32 * 5 + 16, 0, 8);
    assert_int_equal(run(t, "0f1a13"), 0);
    BND_IS(2, 0x4444, 0x5555);
    free(t);
}

static void test_table_faults_64(void **state)
{
    struct st *t = machine(ST_L64, 0, DIRECTORY | EN);
    struct isa_cpu *c = &t->c;
    c->gpr[ISA_RBX] = c->gpr[ISA_RBP] = 0x28;
    st_put(t, DIRECTORY, 0x800000000001, 8);
    assert_int_equal(run(t, "0f1a5500"), ISA_R_FAULT);      // bndldx bnd2, [rbp]
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CANONICAL); // not #SS
    assert_int_equal(c->bndstatus, 0x5555);
    st_put(t, DIRECTORY, TABLE | 1, 8);
    t->absent = TABLE;
    assert_int_equal(run(t, "0f1a13"), ISA_R_FAULT);
    assert_int_equal(c->fault.vector, ISA_X_PF);
    assert_int_equal(c->fault.addr, TABLE + 5 * 32);
    BND_IS(2, 0x1002, ~0x2002ull);
    assert_int_equal(run(t, "0f1b13"), ISA_R_FAULT);
    assert_int_equal(c->fault.error, ISA_PF_W);
    t->absent = DIRECTORY;
    assert_int_equal(run(t, "0f1b13"), ISA_R_FAULT);
    assert_int_equal(c->fault.addr, DIRECTORY);
    assert_int_equal(c->fault.error, 0); // it is read
    // An entry of the table across a page: nothing is written unless all can be.
    t->absent = TABLE + 0x1000;
    st_put(t, DIRECTORY, (TABLE + 0xff0 - 5 * 32) | 1, 8);
    assert_int_equal(run(t, "0f1b13"), ISA_R_FAULT);
    assert_int_equal(c->fault.addr, TABLE + 0x1000);
    assert_int_equal(st_get(t, TABLE + 0xff0, 8), 0);
    // The directory at the end of the canonical half.
    isa_set_bndcfgs(c, 0x00007ffffffff000 | EN);
    c->gpr[ISA_RBX] = 1ull << 29; // entry 512
    assert_int_equal(run(t, "0f1a13"), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CANONICAL);
    free(t);
}

static void test_tables_32(void **state)
{
    static const enum st_mode modes[] = {ST_P32, ST_C32M, ST_REAL};
    for (unsigned k = 0; k < 3; k++) {
        struct st *t = machine(modes[k], 0, 0xffff000000000000 | DIRECTORY | EN);
        struct isa_cpu *c = &t->c;
        const uint64_t at = 0x1234, entry = DIRECTORY + 4, slot = TABLE + (0x234 >> 2) * 16;
        const char *const store = k < 2 ? "0f1b4c3304" : "670f1b4c3304", *const load = k < 2 ? "0f1a543304" : "670f1a543304";
        c->gpr[ISA_RBX] = 0x5500000000 | (at - 4);
        c->gpr[ISA_RSI] = 0xdeadbeef12345678;
        assert_int_equal(run(t, store), ISA_R_FAULT);
        assert_int_equal(c->fault.rule, ISA_RULE_BR_DIRECTORY);
        assert_int_equal(c->bndstatus, entry | 2);
        st_put(t, entry, TABLE | 3, 4);
        assert_int_equal(run(t, store), 0);
        assert_int_equal(st_get(t, slot, 8), 0xffffdffe00001001);
        assert_int_equal(st_get(t, slot + 8, 8), 0x12345678);
        c->gpr[ISA_RSI] = 0x12345678;
        assert_int_equal(run(t, load), 0);
        BND_IS(2, 0x1001, 0xffffdffe);
        c->gpr[ISA_RSI] = 0x12345679;
        assert_int_equal(run(t, load), 0);
        BND_IS(2, 0, 0);
        c->seg[ISA_DS].base = 8; // the segment's base belongs to the pointer's address; its limit does not matter
        c->seg[ISA_DS].limit = 0;
        isa_update_mode(c);
        c->gpr[ISA_RBX] -= 8;
        c->gpr[ISA_RSI]--;
        assert_int_equal(run(t, load), 0);
        BND_IS(2, 0x1001, 0xffffdffe);
        free(t);
    }
}

// --- what is undefined while MPX is enabled

static void test_undefined(void **state)
{
    static const struct {
        enum st_mode mode;
        const char *code;
        enum isa_rule rule;
    } cases[] = {
        {ST_L64, "f30f1b23", ISA_RULE_UD_BND},
        {ST_L64, "f3440f1b03", ISA_RULE_UD_BND},
        {ST_L64, "f30f1ae3", ISA_RULE_UD_BND},
        {ST_L64, "f20f1ae3", ISA_RULE_UD_BND},
        {ST_L64, "f20f1be3", ISA_RULE_UD_BND},
        {ST_L64, "660f1ac4", ISA_RULE_UD_BND},
        {ST_L64, "66410f1ac0", ISA_RULE_UD_BND},
        {ST_L64, "660f1be0", ISA_RULE_UD_BND},
        {ST_L64, "0f1a23", ISA_RULE_UD_BND},
        {ST_L64, "0f1b23", ISA_RULE_UD_BND},
        {ST_L64, "f30f1b0500000000", ISA_RULE_UD_BND_ADDRESS},
        {ST_L64, "0f1a0500000000", ISA_RULE_UD_BND_ADDRESS},
        {ST_L64, "0f1b0500000000", ISA_RULE_UD_BND_ADDRESS},
        {ST_L64, "f0f30f1b03", ISA_RULE_UD_LOCK},
        {ST_L64, "f0660f1b03", ISA_RULE_UD_LOCK},
        {ST_L64, "f00f1b03", ISA_RULE_UD_LOCK},
        {ST_L64, "f0f30f1ac3", ISA_RULE_UD_LOCK},
        {ST_P32, "67f30f1b07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "67f30f1a07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "67f20f1a07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "67f20f1b07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "67660f1a07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "67660f1b07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "670f1a07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "670f1b07", ISA_RULE_UD_BND_ADDRESS},
        {ST_REAL, "f30f1b07", ISA_RULE_UD_BND_ADDRESS},
        {ST_V86, "0f1a07", ISA_RULE_UD_BND_ADDRESS},
        {ST_P32, "f30f1b23", ISA_RULE_UD_BND},
        {ST_P32, "67f30f1ac8", ISA_RULE_NONE},
        {ST_REAL, "f30f1ac8", ISA_RULE_NONE}, // registers have no address size
        {ST_L64, "f30f1a0500000000", ISA_RULE_NONE},
        {ST_L64, "660f1a0500000000", ISA_RULE_NONE},
    };
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct st *t = machine(cases[k].mode, cases[k].mode == ST_V86 ? 3 : 0, EN);
        t->c.gpr[ISA_RAX] = 0x1800;
        assert_int_equal(run(t, cases[k].code), cases[k].rule ? ISA_R_FAULT : 0);
        if (cases[k].rule) {
            assert_int_equal(t->c.fault.vector, ISA_X_UD);
            assert_int_equal(t->c.fault.rule, cases[k].rule);
        }
        free(t);
    }
}

// --- branches

static void test_branches(void **state)
{
    // Bounds go with a legacy branch, unless BNDPRESERVE or BND keeps them; near: 1 if the branch is one of those that do this.
    static const struct {
        const char *code;
        bool near;
    } cases[] = {
        {"e800000000", true},   {"e900000000", true},   {"eb00", false},  {"7400", true},  {"7500", true},
        {"0f8400000000", true}, {"0f8500000000", true}, {"ffd3", true},   {"ffe3", true},  {"ff542440", true},
        {"ff642440", true},     {"c3", true},           {"c20800", true}, {"e300", false}, {"e200", false},
        {"90", false},          {"0f05", false},
    };
    static const enum st_mode modes[] = {ST_L64, ST_P32};
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++)
        for (unsigned f = 0; f < 16; f++) {
            const bool on = f & 1, keep = f & 2, bnd = f & 4;
            struct st *t = machine(modes[f >> 3], 3, (on ? EN : 0) | (keep ? PRESERVE : 0));
            char code[32] = "f2";
            st_put(t, t->c.gpr[ISA_RSP], ST_CODE + 64, 8);
            st_put(t, t->c.gpr[ISA_RSP] + 0x40, ST_CODE + 64, 8);
            t->c.gpr[ISA_RBX] = ST_CODE + 32;
            strcpy(code + (bnd ? 2 : 0), cases[k].code);
            if (strcmp(cases[k].code, "0f05") != 0 || f >> 3 == 0) { // SYSCALL is #UD here: it keeps them, too
                run(t, code);
                const bool gone = on && !keep && !bnd && cases[k].near;
                for (unsigned b = 0; b < 4; b++)
                    BND_IS(b, gone ? 0 : 0x1000 + b, gone ? 0 : ~(0x2000ull + b));
            }
            free(t);
        }
}

static void test_branch_faults(void **state)
{
    struct st *t = machine(ST_L64, 3, EN);
    t->c.gpr[ISA_RBX] = 0x8000000000000000;
    assert_int_equal(run(t, "ffe3"), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_CANONICAL);
    BND_IS(0, 0x1000, ~0x2000ull);
    t->absent = t->c.gpr[ISA_RSP] & ~0xfffull;
    assert_int_equal(run(t, "c3"), ISA_R_FAULT);
    BND_IS(0, 0x1000, ~0x2000ull);
    free(t);
}

// --- BOUND, the MSR, XCR0, RESET and INIT

static void test_bound(void **state)
{
    for (unsigned on = 0; on < 2; on++) {
        struct st *t = machine(ST_P32, 3, on ? EN : 0);
        st_put(t, ST_DATA, 0x0000001000000000, 8);
        t->c.gpr[ISA_RAX] = 5;
        assert_int_equal(run(t, "6203"), 0);
        assert_int_equal(t->c.bndstatus, 0x5555);
        t->c.gpr[ISA_RAX] = 17;
        assert_int_equal(run(t, "6203"), ISA_R_FAULT);
        assert_int_equal(t->c.fault.vector, ISA_X_BR);
        assert_int_equal(t->c.fault.rule, ISA_RULE_BR_BOUND);
        assert_int_equal(t->c.bndstatus, on ? 0 : 0x5555);
        free(t);
    }
}

static void test_registers(void **state)
{
    struct st *t = machine(ST_L64, 0, 0);
    struct isa_cpu *c = &t->c;
    enum isa_rule rule;
    uint64_t v;
    assert_false(c->mode_key & ISA_KEY_MPX);
    assert_true(isa_wrmsr(c, ISA_MSR_BNDCFGS, 0xffff8000dead0003, &rule));
    assert_true(isa_rdmsr(c, ISA_MSR_BNDCFGS, &v, &rule));
    assert_int_equal(v, 0xffff8000dead0003);
    assert_true(c->mode_key & ISA_KEY_MPX);
    for (unsigned bit = 2; bit < 12; bit++) {
        assert_false(isa_wrmsr(c, ISA_MSR_BNDCFGS, 1ull << bit, &rule));
        assert_int_equal(rule, ISA_RULE_GP_MSR_VALUE);
    }
    assert_false(isa_wrmsr(c, ISA_MSR_BNDCFGS, 0x0000800000000001, &rule));
    assert_int_equal(rule, ISA_RULE_GP_MSR_CANONICAL);
    assert_int_equal(c->bndcfgs, 0xffff8000dead0003);
    // XCR0: both or none; clearing them disables MPX.
    assert_int_equal(isa_set_xcr0(c, 0xb), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_XCR0_MPX);
    assert_int_equal(isa_set_xcr0(c, 0x13), ISA_R_FAULT);
    assert_int_equal(isa_set_xcr0(c, 3), 0);
    assert_false(c->mode_key & ISA_KEY_MPX);
    assert_int_equal(isa_set_xcr0(c, 0x1b), 0);
    assert_true(c->mode_key & ISA_KEY_MPX);
    isa_set_bndcfgu(c, 0x0000812345678fff); // what an area holds is made a value that the register can have
    assert_int_equal(c->bndcfgu, 0xffff812345678003);
    c->apic_base |= ISA_APIC_BASE_BSP;
    isa_init(c);
    assert_int_equal(c->bndcfgs | c->bndcfgu | c->bndstatus, 0);
    BND_IS(3, 0, 0);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enabled),       cmocka_unit_test(test_make),      cmocka_unit_test(test_check),
        cmocka_unit_test(test_move),          cmocka_unit_test(test_tables_64), cmocka_unit_test(test_table_faults_64),
        cmocka_unit_test(test_tables_32),     cmocka_unit_test(test_undefined), cmocka_unit_test(test_branches),
        cmocka_unit_test(test_branch_faults), cmocka_unit_test(test_bound),     cmocka_unit_test(test_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
