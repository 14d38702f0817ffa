// The cache model: what serves an access, who owns a line, what makes room, what it costs; and random traffic of four processors, checked
// against rules that do not depend on how the model is built.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cache.h"

#define KB 1024u
// Two-way, four sets in the first level; nothing is large.
static const struct cache_config tiny = {
    .cpus = 4,
    .unit = {{512, 2, 64, 2}, {512, 2, 64, 2}, {2 * KB, 4, 64, 10}, {16 * KB, 8, 64, 40}},
    .memory = 100,
    .line = {{60, 70, 80}, {160, 170, 180}, {260, 270, 280}},
};

static struct caches *make(const struct cache_config *cfg)
{
    struct sim_error err = {0};
    struct caches *h = caches_create(cfg, &err);
    if (!h)
        fail_msg("%s", err.what);
    return h;
}

static void served(struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind, unsigned server, uint32_t cycles)
{
    const struct cache_result r = cache_access(h, cpu, pa, kind);
    assert_int_equal(r.server, server);
    assert_int_equal(r.cycles, cycles);
    caches_check(h);
}

// The states of a line in L1D of processors 0, 1, 2.
static void states(const struct caches *h, uint64_t pa, const char *want)
{
    char got[4] = "";
    for (unsigned n = 0; n < 3; n++)
        got[n] = cache_state_letter(cache_state(h, n, CACHE_L1D, pa));
    assert_string_equal(got, want);
}

static void test_levels(void **state)
{
    struct caches *h = make(&tiny);
    served(h, 0, 0x1000, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x103f, CACHE_LOAD, CACHE_L1D, 2); // the same line
    served(h, 0, 0x1040, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x1000, CACHE_FETCH, CACHE_L2, 10); // code and data have L2 in common
    served(h, 0, 0x1000, CACHE_FETCH, CACHE_L1I, 2);
    for (unsigned k = 1; k <= 2; k++) // two more lines of the set in L1D, of 256 bytes a way
        served(h, 0, 0x1000 + k * 256, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x1000, CACHE_LOAD, CACHE_L2, 10);
    for (unsigned k = 1; k <= 6; k++) // L2: 512 bytes a way
        served(h, 0, 0x4000 + k * 512, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x1000, CACHE_LOAD, CACHE_L3, 40);
    const struct cache_counts n = cache_counts(h, 0, CACHE_L1D);
    assert_int_equal(n.hits + n.misses, 13);
    assert_int_equal(n.hits, 1);
    assert_int_equal(cache_traffic(h, 0).memory, 10);
    caches_clear(h);
    served(h, 0, 0x1000, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    assert_int_equal(cache_traffic(h, 0).memory, 1);
    caches_destroy(h);
}

// Line 0 is a line like others, also where ways are fewer than are compared at once.
static void test_line_0(void **state)
{
    struct caches *h = make(&tiny);
    for (unsigned k = 1; k < 4; k++)
        served(h, 0, k * 64, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    assert_int_equal(cache_held(h, 0, 0), CACHE_I);
    served(h, 0, 0, CACHE_STORE, CACHE_BY_MEMORY, 100);
    served(h, 0, 0, CACHE_LOAD, CACHE_L1D, 2);
    assert_int_equal(cache_state(h, 0, CACHE_L1D, 0), CACHE_M);
    for (unsigned k = 1; k <= 2; k++) // it leaves L1D, modified
        cache_access(h, 0, k * 256, CACHE_LOAD);
    assert_int_equal(cache_counts(h, 0, CACHE_L1D).writebacks, 1);
    served(h, 0, 0, CACHE_LOAD, CACHE_L2, 10);
    caches_destroy(h);
}

// MESI, one transition after the other.
static void test_mesi(void **state)
{
    struct caches *h = make(&tiny);
    const uint64_t a = 0x2000;
    served(h, 0, a, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    states(h, a, "EII");
    served(h, 0, a, CACHE_STORE, CACHE_L1D, 2); // nobody need be asked
    states(h, a, "MII");
    served(h, 1, a, CACHE_LOAD, CACHE_BY_PEER, 60); // the owner hands it over
    states(h, a, "SSI");
    assert_int_equal(cache_state(h, 0, CACHE_L3, a), CACHE_M); // memory is still to be told
    served(h, 2, a, CACHE_LOAD, CACHE_L3, 40);                 // a clean copy is below
    states(h, a, "SSS");
    served(h, 1, a, CACHE_STORE, CACHE_BY_UPGRADE, 70);
    states(h, a, "IMI");
    assert_int_equal(cache_traffic(h, 1).invalidations, 2);
    assert_int_equal(cache_traffic(h, 1).upgrades, 1);
    served(h, 0, a, CACHE_RMW, CACHE_BY_PEER, 80); // from modified to modified
    states(h, a, "MII");
    served(h, 0, a, CACHE_LOAD, CACHE_L1D, 2);
    assert_int_equal(cache_traffic(h, 0).transfers, 1);
    assert_int_equal(cache_traffic(h, 1).transfers, 1);
    assert_int_equal(cache_flush_line(h, 1, a), 1);
    states(h, a, "III");
    served(h, 2, a, CACHE_STORE, CACHE_BY_MEMORY, 100);
    states(h, a, "IIM");
    assert_int_equal(cache_flush_all(h, 2, true), 1);
    served(h, 2, a, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    caches_destroy(h);
}

// Requests of several processors for one line are served one after another; for different lines they are not.
static void test_queue(void **state)
{
    struct caches *h = make(&tiny);
    const struct cache_result load = {60, CACHE_BY_PEER}, shared = {40, CACHE_L3};
    assert_int_equal(cache_queue(h, 0, 0x1000, load, 100), 60);   // until 160
    assert_int_equal(cache_queue(h, 1, 0x1010, shared, 110), 90); // the same line: from 160 until 200
    assert_int_equal(cache_queue(h, 2, 0x1000, load, 120), 140);  // from 200 until 260
    assert_int_equal(cache_queue(h, 3, 0x1040, load, 120), 60);   // another line
    assert_int_equal(cache_queue(h, 3, 0x1000, load, 105), 115);  // that of processor 0 alone began before
    assert_int_equal(cache_queue(h, 0, 0x1000, load, 300), 60);   // all are over
    const uint64_t hash = caches_hash(h);
    cache_queue(h, 0, 0x1000, load, 301);
    assert_true(caches_hash(h) != hash);
    caches_clear(h);
    assert_int_equal(cache_queue(h, 1, 0x1000, load, 301), 60);
    caches_destroy(h);
}

// Two dies apart costs more than one; of several that must answer, the farthest counts.
static void test_dies(void **state)
{
    struct cache_config cfg = tiny;
    cfg.die = 1;
    struct caches *h = make(&cfg);
    for (unsigned n = 0; n < 4; n++) { // 0 and 3 are corners of a square that are not neighbours
        const unsigned hops = n == 0 ? 0 : n == 3 ? 2 : 1;
        const uint64_t pa = 0x1000 + n * 0x40;
        served(h, n, pa, CACHE_STORE, CACHE_BY_MEMORY, 100);
        if (n)
            served(h, 0, pa, CACHE_LOAD, CACHE_BY_PEER, 60 + 100 * hops);
    }
    served(h, 1, 0x2000, CACHE_STORE, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x2000, CACHE_RMW, CACHE_BY_PEER, 180);
    served(h, 3, 0x2000, CACHE_LOAD, CACHE_BY_PEER, 260);
    served(h, 1, 0x2000, CACHE_LOAD, CACHE_L3, 40);
    served(h, 0, 0x2000, CACHE_STORE, CACHE_BY_UPGRADE, 270); // 1 is one hop away, 3 is two
    caches_destroy(h);
}

static void requested(const struct caches *h, unsigned cpu, uint64_t flushed, uint64_t cleaned, uint64_t past)
{
    const struct cache_traffic t = cache_traffic(h, cpu);
    assert_int_equal(t.flushed, flushed);
    assert_int_equal(t.cleaned, cleaned);
    assert_int_equal(t.past, past);
    caches_check(h);
}

// CLFLUSH and CLWB reach the caches of all processors; what is written back was modified somewhere.
static void test_requests(void **state)
{
    struct caches *h = make(&tiny);
    const uint64_t a = 0x2000, b = 0x3000;
    assert_int_equal(cache_flush_line(h, 0, a), 0); // nobody has it
    requested(h, 0, 0, 0, 0);
    cache_access(h, 1, a, CACHE_LOAD);
    assert_int_equal(cache_flush_line(h, 0, a + 63), 0); // it is clean
    states(h, a, "III");
    requested(h, 0, 1, 0, 0);
    cache_access(h, 1, a, CACHE_STORE);
    assert_int_equal(cache_clean_line(h, 0, a), 1);
    states(h, a, "IEI");
    assert_int_equal(cache_clean_line(h, 0, a), 0);
    served(h, 1, a, CACHE_STORE, CACHE_L1D, 2); // it still owns the line
    assert_int_equal(cache_flush_line(h, 0, a), 1);
    requested(h, 0, 2, 2, 0);
    served(h, 1, a, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    cache_access(h, 2, a, CACHE_STORE); // modified in L3 only, once it is shared
    cache_access(h, 1, a, CACHE_LOAD);
    states(h, a, "ISS");
    assert_int_equal(cache_clean_line(h, 2, a), 1);
    states(h, a, "ISS");
    assert_int_equal(cache_state(h, 0, CACHE_L3, a), CACHE_E);
    // Past the caches: the line leaves them; stores to the same line are one write.
    cache_access(h, 0, b, CACHE_STORE);
    assert_int_equal(cache_store_past(h, 1, b), 1);
    assert_int_equal(cache_store_past(h, 1, b + 8), 0);
    assert_int_equal(cache_store_past(h, 1, b + 64), 0);
    assert_int_equal(cache_store_past(h, 1, b), 0);
    states(h, b, "III");
    requested(h, 1, 1, 1, 3);
    caches_destroy(h);
}

// WBINVD: all that the processor has, and L3 with what it includes; INVD writes nothing back. Without L3 others keep theirs.
static void test_flush_all(void **state)
{
    struct cache_config cfg = tiny;
    for (unsigned k = 0; k < 4; k++) {
        cfg.unit[CACHE_L3].size = k & 1 ? 0 : tiny.unit[CACHE_L3].size;
        struct caches *h = make(&cfg);
        for (unsigned line = 0; line < 12; line++)
            cache_access(h, 0, 0x4000 + line * 64, line < 5 ? CACHE_STORE : CACHE_LOAD);
        cache_access(h, 0, 0x8000, CACHE_FETCH);
        cache_access(h, 1, 0x9000, CACHE_STORE);
        const bool alone = k & 1, write = k & 2;
        assert_int_equal(cache_flush_all(h, 0, write), write ? alone ? 5 : 6 : 0);
        requested(h, 0, alone ? 13 : 14, write ? alone ? 5 : 6 : 0, 0);
        states(h, 0x4000, "III");
        states(h, 0x9000, alone ? "IMI" : "III");
        served(h, 0, 0x8000, CACHE_FETCH, CACHE_BY_MEMORY, 100);
        caches_destroy(h);
    }
}

// A processor that writes what it also runs: its instruction cache must not keep the old bytes.
static void test_self_modification(void **state)
{
    struct caches *h = make(&tiny);
    served(h, 0, 0x3000, CACHE_FETCH, CACHE_BY_MEMORY, 100);
    served(h, 0, 0x3000, CACHE_STORE, CACHE_L2, 10);
    assert_int_equal(cache_state(h, 0, CACHE_L1I, 0x3000), CACHE_I);
    served(h, 0, 0x3000, CACHE_FETCH, CACHE_L2, 10); // L1D handed it down
    assert_int_equal(cache_state(h, 0, CACHE_L2, 0x3000), CACHE_M);
    served(h, 0, 0x3000, CACHE_LOAD, CACHE_L1D, 2);
    served(h, 0, 0x3000, CACHE_STORE, CACHE_L1D, 2); // the processor owns it by L2
    assert_int_equal(cache_state(h, 0, CACHE_L1I, 0x3000), CACHE_I);
    served(h, 1, 0x3000, CACHE_FETCH, CACHE_BY_PEER, 60);
    caches_destroy(h);
}

// What is modified goes down as it is displaced, level by level, and is counted once in each.
static void test_write_back(void **state)
{
    struct caches *h = make(&tiny);
    for (unsigned k = 0; k < 3; k++)
        cache_access(h, 0, 0x1000 + k * 256, CACHE_STORE);
    assert_int_equal(cache_counts(h, 0, CACHE_L1D).writebacks, 1);
    assert_int_equal(cache_state(h, 0, CACHE_L2, 0x1000), CACHE_M);
    for (unsigned k = 0; k < 8; k++)
        cache_access(h, 0, 0x8000 + k * 512, CACHE_LOAD);
    assert_int_equal(cache_state(h, 0, CACHE_L2, 0x1000), CACHE_I);
    assert_int_equal(cache_state(h, 0, CACHE_L3, 0x1000), CACHE_M);
    for (unsigned k = 0; k < 16; k++)
        cache_access(h, 1, 0x11000 + k * 2048, CACHE_LOAD); // L3: 2048 bytes a way
    assert_int_equal(cache_state(h, 0, CACHE_L3, 0x1000), CACHE_I);
    assert_true(cache_counts(h, 1, CACHE_L3).writebacks >= 1);
    caches_check(h);
    caches_destroy(h);
}

// L3 includes all: what it gives up, the processors lose.
static void test_inclusion(void **state)
{
    struct caches *h = make(&tiny);
    served(h, 0, 0x1000, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    for (unsigned k = 1; k <= 8; k++)
        cache_access(h, 1, 0x1000 + k * 2048, CACHE_LOAD);
    assert_int_equal(cache_state(h, 0, CACHE_L1D, 0x1000), CACHE_I);
    assert_int_equal(cache_traffic(h, 0).recalls, 1);
    caches_destroy(h);
}

// Tree pseudo-LRU by its description: of each half that an access was in, the other is the candidate, from the top down.
static unsigned described(const unsigned *history, unsigned n, unsigned low, unsigned high)
{
    if (high - low == 1)
        return low;
    const unsigned middle = (low + high) / 2;
    for (unsigned k = n; k--;) // the last access to any way here decides
        if (history[k] >= low && history[k] < high)
            return history[k] < middle ? described(history, n, middle, high) : described(history, n, low, middle);
    return described(history, n, low, middle);
}

static void test_replacement(void **state)
{
    const struct cache_config one = {.cpus = 1, .unit = {[CACHE_L1D] = {512, 8, 64, 1}}, .memory = 100};
    struct caches *h = make(&one);
    unsigned history[600], n = 0;
    uint64_t held[8], x = 1;
    for (unsigned k = 0; k < 8; k++) {
        cache_access(h, 0, held[k] = k * 64, CACHE_LOAD);
        history[n++] = k;
    }
    for (unsigned k = 0; k < 500; k++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        unsigned way = x >> 40 & 7;
        if (x >> 50 & 1) {
            way = described(history, n, 0, 8);
            assert_int_equal(cache_victim(h, 0, CACHE_L1D, 0), way);
            held[way] = (k + 8) * 64ull;
            assert_int_equal(cache_access(h, 0, held[way], CACHE_LOAD).server, CACHE_BY_MEMORY);
        } else {
            assert_int_equal(cache_access(h, 0, held[way], CACHE_LOAD).server, CACHE_L1D);
        }
        history[n++] = way;
    }
    for (unsigned way = 0; way < 8; way++) {
        uint64_t pa;
        enum cache_state s;
        assert_true(cache_way(h, 0, CACHE_L1D, 0, way, &pa, &s));
        assert_int_equal(pa, held[way]);
        assert_int_equal(s, CACHE_E);
    }
    caches_destroy(h);
}

// Where ways are no power of two, all of them are used, and none twice before each was.
static void test_odd_ways(void **state)
{
    const struct cache_config odd = {.cpus = 1, .unit = {[CACHE_L1D] = {12 * 64, 12, 64, 1}}, .memory = 100};
    struct caches *h = make(&odd);
    for (unsigned k = 0; k < 12; k++)
        served(h, 0, k * 64, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    for (unsigned k = 0; k < 12; k++)
        served(h, 0, k * 64, CACHE_LOAD, CACHE_L1D, 1);
    for (unsigned k = 12; k < 200; k++) {
        const uint32_t way = cache_victim(h, 0, CACHE_L1D, 0);
        assert_true(way < 12);
        served(h, 0, k * 64, CACHE_LOAD, CACHE_BY_MEMORY, 100);
    }
    caches_destroy(h);
}

// A walk in circles over more and more: each level's size shows as the point behind which the next one serves.
static void test_staircase(void **state)
{
    static const struct {
        uint32_t bytes;
        uint32_t cycles;
    } row[] = {{4 * KB, 4}, {32 * KB, 4}, {128 * KB, 12}, {256 * KB, 12}, {2048 * KB, 40}, {8192 * KB, 40}, {32768 * KB, 200}};
    const struct cache_config real = {
        .cpus = 1,
        .unit = {{32 * KB, 8, 64, 4}, {32 * KB, 8, 64, 4}, {256 * KB, 8, 64, 12}, {8192 * KB, 16, 64, 40}},
        .memory = 200};
    for (unsigned k = 0; k < sizeof row / sizeof *row; k++) {
        struct caches *h = make(&real);
        uint64_t cycles = 0;
        for (unsigned round = 0; round < 3; round++) {
            cycles = 0;
            for (uint64_t at = 0; at < row[k].bytes; at += 64)
                cycles += cache_access(h, 0, at, CACHE_LOAD).cycles;
        }
        assert_int_equal(cycles / (row[k].bytes / 64), row[k].cycles);
        caches_destroy(h);
    }
}

// Random traffic. Independent of the model: whoever touches a line that another one wrote since, is not served by caches of its own; a
// processor that was served by its own caches had it before; and the same traffic gives the same caches.
#define LINES 96u
static uint64_t traffic(const struct cache_config *cfg, uint64_t seed, unsigned accesses)
{
    struct caches *h = make(cfg);
    static bool fresh[4][LINES]; // has seen the line's latest contents
    uint64_t x = seed, sum = 0;
    memset(fresh, 0, sizeof fresh);
    for (unsigned k = 0; k < accesses; k++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        const unsigned cpu = (unsigned)(x >> 60) % cfg->cpus, line = (x >> 40) % LINES;
        const enum cache_kind kind = (enum cache_kind)(x >> 56 & 3);
        const struct cache_result r = cache_access(h, cpu, 0x10000 + line * 64ull, kind);
        if (r.server == CACHE_L1I || r.server == CACHE_L1D || r.server == CACHE_L2 || r.server == CACHE_BY_UPGRADE)
            assert_true(fresh[cpu][line]);
        if (kind >= CACHE_STORE)
            for (unsigned n = 0; n < cfg->cpus; n++)
                fresh[n][line] = false;
        fresh[cpu][line] = true;
        sum += r.cycles;
        if (k % 7 == 0)
            caches_check(h);
        if ((x >> 30) % 97 == 0)
            cache_flush_line(h, cpu, 0x10000 + line * 64ull);
    }
    const uint64_t hash = caches_hash(h) ^ sum;
    caches_destroy(h);
    return hash;
}

static void test_random(void **state)
{
    for (unsigned absent = 0; absent < 16; absent++) { // with each subset of the caches
        struct cache_config cfg = tiny;
        for (unsigned k = 0; k < CACHE_NUNIT; k++)
            if (absent >> k & 1)
                cfg.unit[k].size = 0;
        for (uint64_t seed = 1; seed <= 3; seed++)
            assert_int_equal(traffic(&cfg, seed, 4000), traffic(&cfg, seed, 4000));
        assert_int_not_equal(traffic(&tiny, 1, 4000), traffic(&tiny, 2, 4000));
    }
}

static void test_geometry(void **state)
{
    static const struct profile_cache bad[] = {{3000, 2, 64, 1}, {512, 2, 32, 1}, {512, 0, 64, 1}, {16 * KB, 128, 64, 1}};
    for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct cache_config cfg = tiny;
        struct sim_error err = {0};
        cfg.unit[CACHE_L2] = bad[k];
        assert_null(caches_create(&cfg, &err));
        assert_non_null(strstr(err.what, "L2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),      cmocka_unit_test(test_line_0),
        cmocka_unit_test(test_mesi),        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_dies),        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_flush_all),   cmocka_unit_test(test_self_modification),
        cmocka_unit_test(test_write_back),  cmocka_unit_test(test_inclusion),
        cmocka_unit_test(test_replacement), cmocka_unit_test(test_odd_ways),
        cmocka_unit_test(test_staircase),   cmocka_unit_test(test_random),
        cmocka_unit_test(test_geometry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
