// Whatever runs a program, it is the same program: random guests (sim/random_testkit.h) give the same state, TLBs, cycles,
// instructions and events under {tail, loop} x {inline TLB on, off} x {observed, not}, in one run or in pieces; in detailed fidelity
// also the same caches. Guests that cannot tell the time, and invalidate what they change, compute the same in all fidelities.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/random_testkit.h"

struct result {
    int kind;
    uint64_t cycles, insns, state, events, tlb, exits, caches, counts;
};

static void ignore(void *ctx, struct sim_machine *m, const struct ev *e) { ++*(uint64_t *)ctx; }

enum {
    LOOP = 1,
    NO_MIRROR = 2,
    OBSERVED = 4,
    PIECES = 8,
    QUIET = 16 /* nobody listens */,
    NMODES = 32,
    GUEST = 32,
    NARROW = 64,
    DETAILED = 128,
    SEEDED = 256,
    FORGETFUL = 512,
    COUNTED = 1024 /* by performance counters that interrupt */
};

// What the TLBs have counted. Observed instructions are fetched one by one.
static uint64_t counts(struct sim_machine *m)
{
    uint64_t h = 0;
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++) {
        const struct tlb_counts n = tlb_counts(m->cpu[0]->tlb, (enum tlb_unit)unit);
        h = hash_u64(hash_u64(hash_u64(h, n.fills), n.evicts), n.dropped);
    }
    return h;
}

static struct result run(const struct asm_ *a, uint64_t seed, unsigned mode)
{
    const enum sim_tlb_policy tlb = mode & SEEDED ? SIM_TLB_SEED : mode & FORGETFUL ? SIM_TLB_FORGET : SIM_TLB_MODEL;
    struct sim_machine *m = boot(a, seed, (mode & 3) | (mode & COUNTED ? 4 : 0), mode & DETAILED ? SIM_DETAILED : SIM_FAST, tlb);
    struct sim_stop s;
    uint64_t seen = 0;
    if (!(mode & QUIET))
        sim_event_hash_enable(m);
    if (mode & GUEST)
        enter_guest(m, seed, a->timeless);
    if (mode & OBSERVED)
        ev_subscribe(m, EV_BIT(EV_INSN) | EV_BIT(EV_MEM), ignore, &seen);
    struct isa_cpu *c = sim_cpu(m, 0);
    const uint64_t max = 40000;
    struct rnd r = {seed + mode};
    do {
        struct sim_until u = {.max_insns = max - c->insns};
        if (mode & PIECES) {
            if (chance(&r, 2))
                u.insns = 1 + below(&r, 300);
            else
                u.cycles = c->cycles + 1 + below(&r, 700);
        }
        s = sim_run(m, &u);
    } while (s.kind == SIM_STOP_UNTIL && c->insns < max);
    struct result x = {s.kind == SIM_STOP_UNTIL ? SIM_STOP_LIMIT : s.kind,
                       c->cycles,
                       c->insns,
                       sim_state_hash(m),
                       sim_event_hash(m),
                       sim_tlb_hash(m),
                       0,
                       m->caches ? caches_hash(m->caches) : 0,
                       counts(m)};
    sim_stat(m, 0, "vmexits", &x.exits);
    if (mode & OBSERVED)
        assert_true(seen >= c->insns);
    sim_destroy(m);
    return x;
}

static void compare(uint64_t seed, unsigned mode, const struct result *want, const struct result *got)
{
    struct result w = *want;
    if (mode & QUIET)
        w.events = got->events;
    if (memcmp(&w, got, sizeof w) == 0)
        return;
    fail_msg("seed %llu, mode %u: stop %d/%d cycles %llu/%llu insns %llu/%llu state %d events %d tlb %d caches %d counts %d",
             (unsigned long long)seed, mode, want->kind, got->kind, (unsigned long long)want->cycles,
             (unsigned long long)got->cycles, (unsigned long long)want->insns, (unsigned long long)got->insns,
             want->state == got->state, want->events == got->events, want->tlb == got->tlb, want->caches == got->caches,
             want->counts == got->counts);
}

#ifdef RINGSIDE_NO_TAIL // sanitized builds: one dispatcher, and slow
#define SEEDS 3
#else
#define SEEDS 10
#endif

// Modes that tell nothing new: observers never meet the inline TLB; without a tail dispatcher all runs are LOOP.
static bool redundant(unsigned mode)
{
#ifdef RINGSIDE_NO_TAIL
    if (mode & LOOP)
        return true;
#endif
    return ((mode & PIECES) || (mode & QUIET)) && (mode & OBSERVED) && (mode & NO_MIRROR);
}

static void random_programs(const char *what, unsigned flags)
{
    const char *env = getenv("EQUALITY_SEEDS"), *from = getenv("EQUALITY_FROM");
    const uint64_t usual = flags & FORGETFUL ? 2
                           : flags & SEEDED  ? 4
                           : flags & COUNTED ? SEEDS / 2
                                             : SEEDS,
                   n = env ? strtoull(env, NULL, 0) : usual;
    uint64_t first = from ? strtoull(from, NULL, 0) : 0, insns = 0, exits = 0;
    unsigned stops[8] = {0};
    struct asm_ *a = malloc(sizeof *a);
    for (uint64_t seed = first; seed < first + n; seed++) {
        program(a, seed, !(flags & NARROW), false);
        struct result want = {0};
        for (unsigned mode = 0; mode < NMODES; mode++) {
            if (redundant(mode) || (flags & FORGETFUL && mode & PIECES))
                continue;
            struct result got = run(a, seed, mode | flags);
            insns += got.insns;
            if (!mode)
                want = got;
            compare(seed, mode | flags, &want, &got);
        }
        exits += want.exits;
        stops[want.kind]++;
    }
    free(a);
    printf("# equality of %s: %llu programs, %llu instructions in all modes, %llu VM exits in each; ended by halt %u, limit %u, "
           "shutdown %u, unmodelled %u\n",
           what, (unsigned long long)n, (unsigned long long)insns, (unsigned long long)exits, stops[SIM_STOP_HALT],
           stops[SIM_STOP_LIMIT], stops[SIM_STOP_SHUTDOWN], stops[SIM_STOP_UNMODELLED]);
}

static void test_random_programs(void **state) { random_programs("native programs", 0); }
static void test_random_programs32(void **state) { random_programs("32-bit programs", NARROW); }
static void test_random_guests(void **state) { random_programs("VMX guests", GUEST); }

static void test_random_detailed(void **state) { random_programs("native programs, detailed", DETAILED); }
static void test_random_detailed32(void **state) { random_programs("32-bit programs, detailed", DETAILED | NARROW); }
static void test_random_detailed_guests(void **state) { random_programs("VMX guests, detailed", DETAILED | GUEST); }

// --tlb=seed:N, which drops entries at random: the same ones in every mode.
static void test_random_seeded(void **state) { random_programs("native programs, seeded", SEEDED); }
static void test_random_seeded32(void **state) { random_programs("32-bit programs, seeded", SEEDED | NARROW); }
static void test_random_seeded_guests(void **state) { random_programs("VMX guests, seeded", SEEDED | GUEST); }

// --tlb=forget: each instruction is fetched anew, also inside a block. So is a repeated string instruction in which a run was cut: no pieces here.
static void test_random_forgetful(void **state) { random_programs("native programs, forgetful", FORGETFUL); }
static void test_random_forgetful_guests(void **state) { random_programs("VMX guests, forgetful", FORGETFUL | GUEST); }

// With performance counters, whose overflows must come behind the same instruction. What they have counted is in the state.
static void test_random_counted(void **state) { random_programs("native programs, counted", COUNTED); }
static void test_random_counted32(void **state) { random_programs("32-bit programs, counted", COUNTED | NARROW); }
static void test_random_counted_guests(void **state) { random_programs("VMX guests, counted", COUNTED | GUEST); }
static void test_random_counted_detailed(void **state)
{
    random_programs("native programs, counted, detailed", COUNTED | DETAILED);
}

// --- across fidelities

// What a program computed: all that a guest sees, but for the time.
static uint64_t outcome(struct sim_machine *m)
{
    struct isa_cpu *c = sim_cpu(m, 0);
    struct vmx_cpu *v = &m->cpu[0]->vmx;
    const uint64_t cycles = c->cycles;
    c->cycles = 0;
    uint64_t h = 0;
    for (unsigned k = 0; k < VMCS_NFIELD; k++)
        h = hash_u64(h, v->vmcs.f[k]);
    h = hash_u64(h, sim_state_hash(m));
    c->cycles = cycles;
    return h;
}

static struct result run_as(const struct asm_ *a, uint64_t seed, unsigned flags, enum sim_fidelity f)
{
    struct sim_machine *m = boot(a, seed, flags & LOOP, f, SIM_TLB_MODEL);
    if (flags & GUEST)
        enter_guest(m, seed, true);
    sim_event_hash_enable(m);
    const struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 40000});
    struct result x = {s.kind, sim_cpu(m, 0)->cycles, sim_cpu(m, 0)->insns, outcome(m), sim_event_hash(m), sim_tlb_hash(m), 0, 0};
    sim_stat(m, 0, "vmexits", &x.exits);
    sim_destroy(m);
    return x;
}

// The tables above the last level, without what processors set in them.
static uint64_t upper_tables(const struct sim_machine *m)
{
    uint64_t h = 0;
    for (uint64_t at = 0x2000; at < EPT + 0x6000; at = at == PD0 + 0x3ff8 ? EPT : at + 8) {
        uint64_t e;
        memcpy(&e, m->ram.base + at, 8);
        h = hash_u64(h, e & ~(at < EPT ? 0x60ull : 0x6000000360ull)); // at EPT also two of 32-bit paging
    }
    return h;
}

// Does it invalidate whatever it changes? Wild jumps and stores may make page-table changes of their own. A TLB that drops nothing by
// itself tells those of the last level; there are no others on purpose.
static bool invalidates(const struct asm_ *a, uint64_t seed, unsigned flags)
{
    struct sim_machine *m = boot(a, seed, flags & LOOP, SIM_FAST, SIM_TLB_KEEP);
    uint64_t stale = 0;
    ev_subscribe(m, EV_BIT(EV_TLB_STALE), ignore, &stale);
    if (flags & GUEST)
        enter_guest(m, seed, true);
    const uint64_t before = upper_tables(m);
    sim_run(m, &(struct sim_until){.max_insns = 40000});
    const bool same = upper_tables(m) == before;
    sim_destroy(m);
    return same && !stale;
}

// One program under three fidelities and both dispatchers: cycles, events and TLBs are the same for both dispatchers; instructions, VM exits
// and the outcome are the same for all.
static struct result across(const struct asm_ *a, uint64_t seed, unsigned flags)
{
    struct result first = {0};
    for (enum sim_fidelity f = SIM_FAST; f <= SIM_DETAILED; f++) {
        const struct result tail = run_as(a, seed, flags, f), loop = run_as(a, seed, flags | LOOP, f);
        compare(seed, flags | LOOP | f << 8, &tail, &loop);
        struct result timeless = tail;
        if (f == SIM_FAST)
            first = tail;
        timeless.cycles = first.cycles, timeless.events = first.events, timeless.tlb = first.tlb;
        compare(seed, flags | f << 8, &first, &timeless);
    }
    return first;
}

// EQUALITY_PROGRAMS: of each kind.
static void across_fidelities(const char *what, unsigned flags)
{
    const char *env = getenv("EQUALITY_PROGRAMS"), *from = getenv("EQUALITY_FROM");
    const uint64_t n = env ? strtoull(env, NULL, 0) : SEEDS * 4, first = from ? strtoull(from, NULL, 0) : 0;
    uint64_t insns = 0, exits = 0, wild = 0;
    struct asm_ *a = malloc(sizeof *a);
    for (uint64_t seed = first; seed < first + n + wild; seed++) {
        program(a, seed, !(flags & NARROW), true);
        if (!invalidates(a, seed, flags)) {
            wild++;
            continue;
        }
        const struct result x = across(a, seed, flags);
        insns += x.insns;
        exits += x.exits;
        if ((seed - first) % 500 == 499 && isatty(STDERR_FILENO))
            fprintf(stderr, "%s: %llu of %llu\n", what, (unsigned long long)(seed - first + 1), (unsigned long long)n);
    }
    free(a);
    printf("# equality across fidelities and dispatchers of %s: %llu programs, %llu instructions and %llu VM exits in each (left "
           "out for lack of "
           "invalidation: %llu)\n",
           what, (unsigned long long)n, (unsigned long long)insns, (unsigned long long)exits, (unsigned long long)wild);
    assert_true(wild <= n / 10 + 2);
}

static void test_fidelities(void **state) { across_fidelities("native programs", 0); }
static void test_fidelities32(void **state) { across_fidelities("32-bit programs", NARROW); }
static void test_fidelities_guests(void **state) { across_fidelities("VMX guests", GUEST); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_random_programs32),
        cmocka_unit_test(test_random_guests),
        cmocka_unit_test(test_random_detailed),
        cmocka_unit_test(test_random_detailed32),
        cmocka_unit_test(test_random_detailed_guests),
        cmocka_unit_test(test_random_seeded),
        cmocka_unit_test(test_random_seeded32),
        cmocka_unit_test(test_random_seeded_guests),
        cmocka_unit_test(test_random_forgetful),
        cmocka_unit_test(test_random_forgetful_guests),
        cmocka_unit_test(test_random_counted),
        cmocka_unit_test(test_random_counted32),
        cmocka_unit_test(test_random_counted_guests),
        cmocka_unit_test(test_random_counted_detailed),
        cmocka_unit_test(test_fidelities),
        cmocka_unit_test(test_fidelities32),
        cmocka_unit_test(test_fidelities_guests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
