// Tests of performance monitoring: which registers each version has, their reserved bits, what each selection counts, overflow, RDPMC.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/msr.h"
#include "isa/pmu.h"
#include "isa/testenv.h"

#define ALL_RINGS (3u << 16)
#define EN        (1u << 22)
#define INT       (1u << 20)
#define CYCLES    0x3cu
#define REF       0x13cu
#define INSNS     0xc0u
#define BRANCHES  0xc4u
#define STATUS    0x38eu
#define GLOBAL    0x38fu
#define RESET     0x390u
#define BIT40     (1ull << 40)
#define BIT48     (1ull << 48)

static struct isa_testenv *t;
static struct isa_cpu *c;

// A processor with CPUID.0AH as given.
static void open(uint32_t eax, uint32_t edx)
{
    t = isa_te_create(0x10000, 0x1000);
    c = &t->cpu;
    memcpy(t->perfmon, (uint32_t[]){eax, 0, 0, edx}, sizeof t->perfmon);
    isa_reset(c);
}
static void open_v(unsigned version)
{
    static const uint32_t eax[] = {0, 0x07280201, 0x07280202, 0x07300403, 0x07300404};
    open(eax[version], version == 1 ? 0 : version == 2 ? 0x503 : 0x603);
}
static void close_(void) { isa_te_destroy(t); }

static enum isa_rule wr(uint32_t msr, uint64_t v)
{
    enum isa_rule rule;
    return isa_wrmsr(c, msr, v, &rule) ? ISA_RULE_NONE : rule;
}
static uint64_t rd(uint32_t msr)
{
    enum isa_rule rule;
    uint64_t v = 0;
    assert_true(isa_rdmsr(c, msr, &v, &rule));
    return v;
}
static bool has(uint32_t msr)
{
    enum isa_rule rule;
    uint64_t v;
    const bool readable = isa_rdmsr(c, msr, &v, &rule);
    assert_true(readable || rule == ISA_RULE_GP_MSR_UNKNOWN);
    assert_true(readable || wr(msr, 0) == ISA_RULE_GP_MSR_UNKNOWN);
    return readable;
}
static void pass(uint64_t cycles, uint64_t insns, uint64_t branches)
{
    c->cycles += cycles;
    c->insns += insns;
    t->branches += branches;
    t->llc_refs += branches / 2;
    t->llc_misses += branches / 4;
}
static void ring(unsigned cpl)
{
    c->cpl = (uint8_t)cpl;
    if (c->pmu_rings)
        isa_pmu_ring(c);
}

static void test_registers(void **state)
{
    static const struct {
        uint32_t first;
        unsigned n[5]; // by version
    } all[] = {
        {0xc1, {0, 2, 2, 4, 4}},  {0x186, {0, 2, 2, 4, 4}},  {0x309, {0, 0, 3, 3, 3}},  {0x345, {0, 1, 1, 1, 1}},
        {0x38d, {0, 0, 1, 1, 1}}, {STATUS, {0, 0, 1, 1, 1}}, {GLOBAL, {0, 0, 1, 1, 1}}, {RESET, {0, 0, 1, 1, 1}},
        {0x391, {0, 0, 0, 0, 1}}, {0x392, {0, 0, 0, 0, 1}},  {0x4c1, {0, 2, 2, 4, 4}},
    };
    for (unsigned v = 0; v < 5; v++) {
        open_v(v);
        for (unsigned k = 0; k < sizeof all / sizeof *all; k++)
            for (unsigned n = 0; n < all[k].n[v]; n++)
                assert_true(has(all[k].first + n));
        for (unsigned k = 0; k < sizeof all / sizeof *all; k++)
            if (all[k].n[v] < all[k].n[4])
                assert_false(has(all[k].first + all[k].n[v]));
        assert_false(has(0xc5));
        assert_false(has(0x30c));
        assert_int_equal(rd(ISA_MSR_MISC_ENABLE) >> 7 & 1, v > 0);
        assert_int_equal(wr(ISA_MSR_MISC_ENABLE, 1 | (v ? 0 : 1 << 7)), 0); // the bit is fixed
        assert_int_equal(rd(ISA_MSR_MISC_ENABLE), v ? 0x81 : 1);
        close_();
    }
    open_v(3);
    c->pmu.has.capabilities = false;
    assert_false(has(0x345));
    assert_false(has(0x4c1));
    assert_int_equal(wr(ISA_MSR_DEBUGCTL, ISA_DEBUGCTL_FREEZE_PMU), ISA_RULE_GP_MSR_VALUE);
    close_();
}

static void test_reserved(void **state)
{
    static const struct {
        unsigned version;
        uint32_t msr;
        uint64_t may; // each bit, alone
    } all[] = {
        {1, 0x186, 0xffdfffff}, // no "any thread"
        {2, 0x187, 0xffdfffff},
        {3, 0x186, 0xffffffff},
        {4, 0x189, 0xffffffff},
        {2, 0x4c1, BIT40 - 1},
        {3, 0x4c4, BIT48 - 1},
        {3, 0x309, BIT48 - 1},
        {2, 0x30b, BIT40 - 1},
        {3, 0xc1, ~0ull},
        {2, 0x38d, 0xbbb},
        {3, 0x38d, 0xfff},
        {2, GLOBAL, 0x700000003},
        {3, GLOBAL, 0x70000000f},
        {2, RESET, 0xc000000700000003},
        {3, RESET, 0xe00000070000000f},
        {4, RESET, 0xe80000070000000f},
        {4, 0x391, 0x680000070000000f},
        {3, ISA_MSR_DEBUGCTL, ISA_DEBUGCTL_FREEZE_PMU},
        {1, ISA_MSR_DEBUGCTL, 0},
    };
    unsigned bits = 0;
    for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
        open_v(all[k].version);
        for (unsigned b = 0; b < 64; b++, bits++) {
            const enum isa_rule bad = all[k].msr == ISA_MSR_DEBUGCTL ? ISA_RULE_GP_MSR_VALUE : ISA_RULE_GP_PMU_RESERVED;
            assert_int_equal(wr(all[k].msr, 1ull << b), all[k].may >> b & 1 ? ISA_RULE_NONE : bad);
        }
        close_();
    }
    printf("# bits of registers of performance monitoring: %u\n", bits);
    open_v(4);
    for (const uint32_t *r = (const uint32_t[]){0x345, STATUS, 0x392, 0}; *r; r++)
        assert_int_equal(wr(*r, 0), ISA_RULE_GP_MSR_READONLY);
    assert_int_equal(rd(0x345), 0x2000);
    assert_int_equal(rd(RESET), 0);
    close_();
}

static void test_values(void **state)
{
    open_v(3);
    assert_int_equal(rd(GLOBAL), 0xf); // after RESET
    assert_int_equal(wr(0xc1, 0x1234567880000000), 0);
    assert_int_equal(rd(0xc1), 0xffff80000000); // bit 31 extended to the width
    assert_int_equal(wr(0xc1, 0xffffffff7fffffff), 0);
    assert_int_equal(rd(0xc1), 0x7fffffff);
    assert_int_equal(wr(0x4c1, 0x123456789abc), 0);
    assert_int_equal(rd(0xc1), 0x123456789abc);
    assert_int_equal(rd(0x4c1), 0x123456789abc);
    isa_init(c);
    assert_int_equal(rd(0xc1), 0x123456789abc); // INIT changes nothing
    isa_reset(c);
    assert_int_equal(rd(0xc1), 0);
    close_();
    open_v(2);
    assert_int_equal(wr(0xc2, 0x80000000), 0);
    assert_int_equal(rd(0xc2), 0xff80000000);
    close_();
}

static void test_events(void **state)
{
    static const struct {
        uint32_t sel;
        uint64_t counts; // of 1000 cycles, 300 instructions, 40 branches, 20 references to the last-level cache, 10 misses
    } all[] = {
        {CYCLES, 1000},
        {REF, 1000},
        {INSNS, 300},
        {BRANCHES, 40},
        {0xc5, 0}, // mispredicted branches: none predicts
        {0x412e, 10},
        {0x4f2e, 20},
        {0x1c0, 0}, // a processor's own event
        {0x108, 0}, //
        {INSNS | 1u << 24, 300},
        {INSNS | 2u << 24, 0},
        {INSNS | 1u << 24 | 1u << 23, 700}, // cycles without
        {INSNS | 16u << 24 | 1u << 23, 1000},
        {INSNS | 1u << 23, 300}, // INV means nothing without CMASK
        {BRANCHES | 1u << 24 | 1u << 23, 960},
        {CYCLES | 1u << 24, 1000},
        {CYCLES | 1u << 24 | 1u << 23, 0},
        {CYCLES | 2u << 24 | 1u << 23, 1000},
        {INSNS | 1u << 18, 0},   // EDGE
        {INSNS | 1u << 21, 300}, // any thread: there is one
        {INSNS | 1u << 19, 300}, // pin control
    };
    for (unsigned k = 0; k < sizeof all / sizeof *all; k++)
        for (unsigned counter = 0; counter < 4; counter++) {
            open_v(3);
            pass(5, 4, 3);
            assert_int_equal(wr(0x186 + counter, all[k].sel | ALL_RINGS | EN), 0);
            pass(1000, 300, 40);
            assert_int_equal(rd(0xc1 + counter), all[k].counts);
            assert_int_equal(rd(0xc1 + counter), all[k].counts);
            assert_int_equal(wr(0x186 + counter, all[k].sel | ALL_RINGS), 0);
            pass(7, 6, 5); // off
            assert_int_equal(rd(0xc1 + counter), all[k].counts);
            close_();
        }
}

// An observer's look changes nothing.
static void test_peek(void **state)
{
    open_v(3);
    wr(0x186, INSNS | ALL_RINGS | EN | INT);
    wr(0x4c1, BIT48 - 5);
    pass(9, 7, 0);
    const struct isa_pmu before = c->pmu;
    assert_int_equal(isa_pmu_peek(c, 0xc1), 2);
    assert_int_equal(isa_pmu_peek(c, STATUS), 1);
    assert_int_equal(isa_pmu_peek(c, 0x392), 0); // version 4 has it
    assert_memory_equal(&before, &c->pmu, sizeof before);
    assert_int_equal(t->npmi, 0);
    assert_int_equal(rd(0xc1), 2);
    assert_int_equal(t->npmi, 1);
    close_();
}

static void test_rings(void **state)
{
    open_v(3);
    wr(0x186, INSNS | 1u << 17 | EN); // ring 0
    wr(0x187, INSNS | 1u << 16 | EN); // above
    wr(0x188, INSNS | ALL_RINGS | EN);
    wr(0x189, INSNS | EN); // none
    wr(0x38d, 0x321);
    wr(GLOBAL, 0x70000000f);
    for (unsigned r = 0; r < 4; r++) {
        ring(r);
        pass(100, 10, 1);
    }
    ring(0);
    const uint64_t want[] = {10, 30, 40, 0};
    for (unsigned k = 0; k < 4; k++)
        assert_int_equal(rd(0xc1 + k), want[k]);
    assert_int_equal(rd(0x309), 10);
    assert_int_equal(rd(0x30a), 300);
    assert_int_equal(rd(0x30b), 400);
    assert_true(c->pmu_rings);
    wr(0x38d, 0x300);
    wr(0x186, 0), wr(0x187, 0);
    assert_false(c->pmu_rings);
    assert_true(c->pmu.on);
    wr(GLOBAL, 0);
    pass(5, 5, 5);
    assert_int_equal(rd(0xc3), 40);
    assert_false(c->pmu.on);
    close_();
}

// Version 1 has no global registers.
static void test_version1(void **state)
{
    open_v(1);
    wr(0x187, INSNS | ALL_RINGS | EN | INT);
    wr(0xc2, (uint64_t)-10);
    pass(100, 12, 0);
    assert_int_equal(rd(0xc2), 2);
    assert_int_equal(t->npmi, 1);
    assert_int_equal(c->pmu.status, 0);
    close_();
}

static void test_overflow(void **state)
{
    open_v(3);
    wr(0x186, INSNS | ALL_RINGS | EN);
    wr(0x187, CYCLES | ALL_RINGS | EN | INT);
    wr(0x188, INSNS | 1u << 24 | 1u << 23 | ALL_RINGS | EN | INT); // cycles without
    wr(0x38d, 0x00b);
    wr(GLOBAL, 0x10000000f);
    wr(0x309, BIT48 - 50);
    wr(0x4c1, BIT48 - 20);
    wr(0x4c2, BIT48 - 200);
    wr(0x4c3, BIT48 - 400);
    struct isa_pmu_next n = isa_pmu_next(c);
    assert_int_equal(n.cycles, 200);
    assert_int_equal(n.insns, 50);
    pass(100, 20, 0);
    assert_int_equal(rd(STATUS), 1); // without INT
    assert_int_equal(t->npmi, 0);
    assert_int_equal(rd(0xc1), 0);
    pass(100, 29, 0);
    isa_pmu_sync(c);
    assert_int_equal(t->npmi, 1);
    assert_int_equal(rd(STATUS), 3);
    pass(1, 1, 0);
    assert_int_equal(rd(STATUS), 0x100000003);
    assert_int_equal(t->npmi, 2);
    assert_int_equal(wr(RESET, 1), 0);
    assert_int_equal(rd(STATUS), 0x100000002);
    pass(249, 0, 0);
    assert_int_equal(rd(STATUS), 0x100000006);
    assert_int_equal(t->npmi, 3);
    assert_int_equal(wr(RESET, 0xc00000010000000f), 0);
    assert_int_equal(rd(STATUS), 0);
    close_();
}

static void test_freeze(void **state)
{
    for (unsigned v = 3; v < 5; v++) {
        open_v(v);
        assert_int_equal(wr(ISA_MSR_DEBUGCTL, ISA_DEBUGCTL_FREEZE_PMU), 0);
        wr(0x186, INSNS | ALL_RINGS | EN | INT);
        wr(0x187, CYCLES | ALL_RINGS | EN);
        wr(0x4c1, BIT48 - 5);
        pass(9, 5, 0);
        isa_pmu_sync(c);
        pass(100, 100, 0);
        assert_int_equal(rd(0xc1), 0);
        assert_int_equal(rd(0xc2), 9);
        assert_int_equal(rd(GLOBAL), v == 3 ? 0 : 0xf);
        assert_int_equal(rd(STATUS), v == 3 ? 1 : 1 | 1ull << 59);
        assert_int_equal(v == 3 ? wr(GLOBAL, 0xf) : wr(RESET, 1ull << 59), 0);
        pass(7, 7, 0);
        assert_int_equal(rd(0xc1), 7);
        close_();
    }
    open_v(4);
    assert_int_equal(wr(0x391, 1ull << 59 | 2), 0);
    assert_int_equal(rd(STATUS), 1ull << 59 | 2);
    assert_int_equal(t->npmi, 0);
    assert_int_equal(rd(0x392), 0);
    wr(0x187, CYCLES), wr(0x38d, 0x020);
    assert_int_equal(rd(0x392), 0x200000002);
    wr(0x38d, 0x0a0);
    assert_int_equal(rd(0x392), 0x8000000200000002);
    close_();
}

static void test_rdpmc(void **state)
{
    for (unsigned v = 0; v < 4; v++) {
        open_v(v);
        const unsigned general = v == 0 ? 0 : v < 3 ? 2 : 4, fixed = v < 2 ? 0 : 3;
        for (unsigned k = 0; k < 6; k++) {
            uint64_t val = 99;
            if (k < general)
                wr(0x4c1 + k, 1000 + k);
            assert_int_equal(isa_pmu_rdpmc(c, k, &val), k < general);
            assert_int_equal(val, k < general ? 1000 + k : 99);
            if (k < fixed)
                wr(0x309 + k, 2000 + k);
            assert_int_equal(isa_pmu_rdpmc(c, 1u << 30 | k, &val), k < fixed);
            assert_false(isa_pmu_rdpmc(c, 1u << 31 | k, &val));
        }
        close_();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_reserved), cmocka_unit_test(test_values),
        cmocka_unit_test(test_events),    cmocka_unit_test(test_rings),    cmocka_unit_test(test_version1),
        cmocka_unit_test(test_overflow),  cmocka_unit_test(test_freeze),   cmocka_unit_test(test_rdpmc),
        cmocka_unit_test(test_peek),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
