// Several processors: start-up, turns, sleep and wake-up, locks; and that how a machine is run does not show in what its guest does.
// The guest is scenarios/smp/smp.asm.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/internal.h"
#include "sim/loader.h"

#define PARAMS   0x7000u
#define COUNTER  0x7100u
#define FINISHED 0x710cu
#define WARPS    0x7110u
#define PINGS    0x7400u
enum way { PLAIN, LOCKED, TAS, TTAS, TICKET, IPI, MWAIT, NWAY, WARP = NWAY };

static uint32_t u32(struct sim_machine *m, uint64_t at)
{
    uint32_t v = 0;
    sim_peek(m, 0, SIM_HOST_PHYSICAL, at, &v, 4);
    return v;
}

static struct sim_machine *create(const struct sim_config *cfg, enum way way, uint32_t rounds)
{
    struct sim_error err = {0};
    struct sim_config c = *cfg;
    c.ram_bytes = 4 << 20;
    struct sim_machine *m = sim_create(&c, &err);
    assert_non_null(m);
    const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = 0x10000, .start = SIM_START_PROT32};
    if (sim_load_file(m, "build/guests/smp/smp.bin", &how, NULL, &err) < 0)
        fail_msg("%s", err.what);
    const uint32_t params[] = {cfg->cpus, way, rounds};
    sim_poke(m, 0, SIM_HOST_PHYSICAL, PARAMS, params, sizeof params);
    sim_event_hash_enable(m);
    return m;
}

static void run(struct sim_machine *m)
{
    const struct sim_stop s = sim_run(m, &(struct sim_until){.max_cycles = 1000000000});
    if (s.kind != SIM_STOP_EXIT)
        fail_msg("%s", s.text);
}

static void test_ways(void **state)
{
    for (unsigned cpus = 1; cpus <= SIM_MAX_CPUS; cpus++)
        for (enum way way = PLAIN; way < NWAY; way++) {
            const uint32_t rounds = way >= IPI ? 20 : 500;
            struct sim_machine *m = create(&(struct sim_config){.cpus = cpus, .quantum = 100}, way, rounds);
            run(m);
            assert_int_equal(u32(m, FINISHED), cpus);
            if (way == PLAIN && cpus > 1)
                assert_true(u32(m, COUNTER) < cpus * rounds); // updates were lost
            else if (way < IPI)
                assert_int_equal(u32(m, COUNTER), cpus * rounds);
            for (unsigned n = 1; n < cpus && way >= IPI; n++)
                assert_int_equal(u32(m, PINGS + 64 * n), rounds);
            sim_destroy(m);
        }
}

struct outcome {
    uint64_t state, events, tlb, caches, cycles[SIM_MAX_CPUS], insns[SIM_MAX_CPUS];
};
static struct outcome outcome(struct sim_machine *m)
{
    struct outcome o = {.state = sim_state_hash(m), .events = sim_event_hash(m), .tlb = sim_tlb_hash(m)};
    o.caches = m->caches ? caches_hash(m->caches) : 0;
    for (unsigned n = 0; n < sim_ncpus(m); n++) {
        o.cycles[n] = sim_cpu(m, n)->cycles;
        o.insns[n] = sim_cpu(m, n)->insns;
    }
    return o;
}

// A run in pieces of a random number of instructions or cycles.
static void run_pieces(struct sim_machine *m, uint64_t seed)
{
    for (;;) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        const uint64_t n = seed >> 33;
        const struct sim_until u = {.insns = n & 1 ? 1 + n / 2 % 300 : 0, .cycles = n & 1 ? 0 : sim_now(m) + n / 2 % 1000};
        const struct sim_stop s = sim_run(m, &u);
        if (s.kind == SIM_STOP_EXIT)
            return;
        if (s.kind != SIM_STOP_UNTIL)
            fail_msg("%s", s.text);
    }
}

static void ignore(void *ctx, struct sim_machine *m, const struct ev *e) {}

static void same_however_run(const struct sim_config *base, enum way way)
{
    struct outcome want = {0};
    for (unsigned how = 0; how < 6; how++) {
        struct sim_config c = *base;
        c.loop = how == 1 || how == 4;
        c.no_mirror = how == 2;
        struct sim_machine *m = create(&c, way, way >= IPI ? 6 : 60);
        if (how == 5)
            ev_subscribe(m, EV_BIT(EV_INSN) | EV_BIT(EV_MEM), ignore, NULL);
        if (how == 3 || how == 4)
            run_pieces(m, how);
        else
            run(m);
        const struct outcome got = outcome(m);
        if (how == 0)
            want = got;
        else if (memcmp(&got, &want, sizeof got))
            fail_msg("%u processors, way %d, quantum %llu, fidelity %d, run in manner %u: another outcome", c.cpus, way,
                     (unsigned long long)c.quantum, c.fidelity, how);
        sim_destroy(m);
    }
}

static void test_same_however_run(void **state)
{
    for (unsigned cpus = 2; cpus <= 5; cpus += 3)
        for (enum way way = PLAIN; way < NWAY; way++)
            for (uint64_t quantum = 7; quantum <= 2000; quantum *= 15)
                same_however_run(&(struct sim_config){.cpus = cpus, .quantum = quantum}, way);
}

// In detailed fidelity what a request waits for depends on when others made theirs.
static void test_same_however_run_detailed(void **state)
{
    for (unsigned cpus = 2; cpus <= 5; cpus += 3)
        for (enum way way = PLAIN; way < NWAY; way++)
            for (uint64_t quantum = 1; quantum <= 1000; quantum *= 31)
                same_however_run(&(struct sim_config){.cpus = cpus, .quantum = quantum, .fidelity = SIM_DETAILED}, way);
}

// The number of instructions asked for is that of all processors together.
static void test_counts_all(void **state)
{
    struct sim_machine *m = create(&(struct sim_config){.cpus = 4}, LOCKED, 100000);
    for (unsigned k = 0; k < 100; k++) {
        const uint64_t before = sim_insns(m);
        assert_int_equal(sim_run(m, &(struct sim_until){.insns = 997}).code, SIM_UNTIL_INSNS);
        assert_int_equal(sim_insns(m) - before, 997);
    }
    sim_destroy(m);
}

// The others wait for a start-up interrupt; with processor 0 asleep for good, so is the machine, and that is said.
static void test_all_asleep(void **state)
{
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.cpus = 3}, &err);
    const uint8_t code[] = {0xfb, 0xf4, 0xfa, 0xf4}; // sti; hlt; cli; hlt
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x8000, code, sizeof code);
    assert_int_equal(sim_start_at(m, SIM_START_REAL, 0x8000, &err), 0);
    for (unsigned n = 1; n < 3; n++) {
        assert_int_equal(sim_cpu(m, n)->activity, ISA_WAIT_SIPI);
        assert_int_equal(sim_cpu(m, n)->apic_base, 0xfee00800);
    }
    struct sim_stop s = sim_run(m, NULL);
    assert_int_equal(s.kind, SIM_STOP_HALT);
    assert_non_null(strstr(s.text, "as are all others"));
    assert_int_equal(sim_cpu(m, 1)->insns, 0);
    sim_destroy(m);
}

// A processor that reads the time after another one did reads no earlier time, however far they run ahead of each other.
static void test_time(void **state)
{
    for (uint64_t quantum = 10; quantum <= 100000; quantum *= 10) {
        struct sim_machine *m = create(&(struct sim_config){.cpus = 4, .quantum = quantum}, WARP, 300);
        run(m);
        assert_int_equal(u32(m, COUNTER), 1200);
        assert_int_equal(u32(m, WARPS), 0);
        sim_destroy(m);
    }
}

// INIT resets what the manual says and keeps the rest; a processor that is not the bootstrap processor waits for a start-up IPI then.
static void test_init(void **state)
{
    struct sim_machine *m = create(&(struct sim_config){.cpus = 2}, LOCKED, 10);
    run(m);
    struct isa_cpu *c = sim_cpu(m, 1);
    assert_true(c->cr0 & ISA_CR0_PE);
    c->star = 0x1234;
    c->xmm[3].q[0] = 7;
    c->efer = ISA_EFER_SCE;
    const uint64_t cycles = c->cycles, insns = c->insns;
    startup_init(m->cpu[1]);
    const uint8_t spin[] = {0xeb, 0xfe};
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x9000, spin, 2);
    m->cpu[0]->isa.rip = 0x9000;
    m->cpu[0]->isa.activity = ISA_ACTIVE;
    sim_run(m, &(struct sim_until){.insns = 5000});
    assert_int_equal(c->activity, ISA_WAIT_SIPI);
    assert_int_equal(c->cr0 & (ISA_CR0_PE | ISA_CR0_PG), 0);
    assert_int_equal(c->star, 0x1234);
    assert_int_equal(c->xmm[3].q[0], 7);
    assert_int_equal(c->efer, 0);
    assert_int_equal(c->insns, insns);
    assert_true(c->cycles >= cycles);
    startup_sipi(m->cpu[1], 0x09);
    sim_run(m, &(struct sim_until){.insns = 5000});
    assert_int_equal(c->activity, ISA_ACTIVE);
    assert_int_equal(c->seg[ISA_CS].base, 0x9000);
    assert_true(c->insns > insns);
    startup_sipi(m->cpu[1], 0x0a); // lost: it does not wait for one
    sim_run(m, &(struct sim_until){.insns = 5000});
    assert_int_equal(c->seg[ISA_CS].base, 0x9000);
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ways),
                                       cmocka_unit_test(test_same_however_run),
                                       cmocka_unit_test(test_same_however_run_detailed),
                                       cmocka_unit_test(test_counts_all),
                                       cmocka_unit_test(test_all_asleep),
                                       cmocka_unit_test(test_time),
                                       cmocka_unit_test(test_init)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
