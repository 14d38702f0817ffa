// Detailed fidelity: repeated string instructions tell the caches once per line, and everything is as if each element had. Prefetches: where lines come, when they
// come, and that nothing faults.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/flags.h"
#include "sim/inspect.h"
#include "sim/internal.h"
#include "sim/loader.h"

#define CODE 0x100000
#define DATA 0x200000
#define SPAN 0x6000

static uint64_t lottery(uint64_t *s, uint64_t n) { return ((*s = *s * 6364136223846793005ull + 1442695040888963407ull) >> 33) % n; }

static struct sim_machine *create(const char *const *set, unsigned nset, bool no_mirror, const void *code, unsigned n)
{
    struct sim_error err = {0};
    const struct sim_config cfg = {
        .ram_bytes = 16 << 20, .fidelity = SIM_DETAILED, .no_mirror = no_mirror, .set = set, .nset = nset};
    struct sim_machine *m = sim_create(&cfg, &err);
    if (!m)
        fail_msg("%s", err.what);
    const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = CODE, .start = SIM_START_LONG64};
    assert_int_equal(sim_load_bytes(m, "code", code, n, &how, NULL, &err), 0);
    uint64_t seed = 7;
    for (unsigned k = 0; k < SPAN; k++)
        m->ram.base[DATA + k] = (uint8_t)lottery(&seed, 256);
    return m;
}

// --- repeated strings

static struct isa_env counting; // that of detailed fidelity, but it counts what went by host pointer
static uint64_t ran;
static void count_ran(struct isa_cpu *c, const void *d, const void *s, uint64_t k)
{
    ran += s ? 2 * k : k;
    detailed_host_ran(c, d, s, k);
}

// One repeated instruction, in one run or in pieces of a few cycles.
static void string(struct sim_machine *m, uint64_t *seed)
{
    static const uint8_t ops[][4] = {{0xf3, 0xa4, 0xf4}, {0xf3, 0x66, 0xa5, 0xf4}, {0xf3, 0xa5, 0xf4}, {0xf3, 0x48, 0xa5, 0xf4},
                                     {0xf3, 0xaa, 0xf4}, {0xf3, 0x66, 0xab, 0xf4}, {0xf3, 0xab, 0xf4}, {0xf3, 0x48, 0xab, 0xf4}};
    struct isa_cpu *c = sim_cpu(m, 0);
    const bool aligned = lottery(seed, 2), down = !lottery(seed, 4), pieces = !lottery(seed, 3);
    const uint64_t mask = aligned ? ~7ull : ~0ull;
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, CODE, ops[lottery(seed, 8)], 4), 4);
    c->rip = CODE;
    c->activity = ISA_ACTIVE;
    c->gpr[ISA_RSI] = (DATA + 0x1000 + lottery(seed, SPAN - 0x2000)) & mask;
    // Near the source, far from it, or in the same sets of the caches.
    const uint64_t way = lottery(seed, 3);
    c->gpr[ISA_RDI] = way == 0 ? c->gpr[ISA_RSI] + lottery(seed, 100) - 50
                               : (way == 1 ? DATA + 0x1000 + lottery(seed, SPAN - 0x2000) : (c->gpr[ISA_RSI] ^ 0x1000)) & mask;
    c->gpr[ISA_RCX] = lottery(seed, 3) ? lottery(seed, 40) : lottery(seed, 400);
    c->gpr[ISA_RAX] = lottery(seed, 1 << 30) * 0x100000001ull;
    isa_set_rflags(c, ISA_FL_1 | (down ? ISA_FL_DF : 0));
    sim_touch(m, 0);
    do {
        const struct sim_until u = {.cycles = pieces ? c->cycles + 1 + lottery(seed, 60) : 0, .max_insns = 1000};
        sim_run(m, &u);
    } while (c->activity == ISA_ACTIVE);
}

static void same(struct sim_machine *a, struct sim_machine *b, unsigned round)
{
    if (sim_state_hash(a) != sim_state_hash(b) || sim_now(a) != sim_now(b))
        fail_msg("round %u: cycle %llu by lines, %llu by elements, or another state", round, (unsigned long long)sim_now(a),
                 (unsigned long long)sim_now(b));
    if (caches_hash(a->caches) != caches_hash(b->caches))
        fail_msg("round %u: other lines, states, or order of replacement", round);
    for (unsigned n = 0; sim_stat_name(n); n++) {
        uint64_t x = 0, y = 0;
        sim_stat(a, 0, sim_stat_name(n), &x);
        sim_stat(b, 0, sim_stat_name(n), &y);
        if (x != y)
            fail_msg("round %u: %s is %llu by lines, %llu by elements", round, sim_stat_name(n), (unsigned long long)x,
                     (unsigned long long)y);
    }
}

static void strings_by_lines(void **state)
{
    static const char *const sets[][4] = {{"cache.l1d.ways=8"},
                                          {"cache.l1d.size=1024", "cache.l1d.ways=1", "cache.l2.size=4096", "cache.l3.size=8192"},
                                          {"cache.l1d.size=512", "cache.l1d.ways=2", "cache.l2.size=1024"},
                                          {"cache.l1d.size=0"},
                                          {"cache.l2.size=0", "cache.l3.size=0"}};
    counting = sim_env_detailed;
    counting.host_ran = count_ran;
    for (unsigned n = 0; n < sizeof sets / sizeof *sets; n++) {
        unsigned nset = 0;
        while (nset < 4 && sets[n][nset])
            nset++;
        struct sim_machine *a = create(sets[n], nset, false, "\xf4", 1), *b = create(sets[n], nset, true, "\xf4", 1);
        a->cpu[0]->isa.env = &counting;
        ran = 0;
        for (unsigned round = 0; round < 500; round++) {
            uint64_t seed = round * 977 + n, again = seed;
            string(a, &seed);
            string(b, &again);
            same(a, b, round);
        }
        caches_check(a->caches);
        printf("# repeated strings, %s: %llu accesses by lines\n", sets[n][0], (unsigned long long)ran);
        assert_true(n == 3 ? ran == 0 : ran > 20000); // without L1D there is nothing that such a hit could be
        sim_destroy(a);
        sim_destroy(b);
    }
}

// --- prefetches

enum { AT = 0x300000, NOPS = 32 };

// What the code of some bytes takes from AT on, with RBX = AT; it ends with HLT.
static struct sim_machine *prefetch(const uint8_t *code, unsigned n, uint64_t *cycles)
{
    uint8_t all[256];
    memset(all, 0x90, sizeof all);
    memcpy(all + 1, code, n);
    all[1 + n] = 0xf4;
    struct sim_machine *m = create(NULL, 0, false, all, sizeof all);
    struct isa_cpu *c = sim_cpu(m, 0);
    c->gpr[ISA_RBX] = AT;
    assert_true(sim_reg_set(m, 0, "rsi", AT + 0x40000));
    uint8_t line;
    for (unsigned k = 0; k < sizeof all; k += 64) // the code is in L1I, the page in the TLB
        cache_access(m->caches, 0, CODE + k, CACHE_FETCH);
    assert_int_equal(detailed_read(c, AT + 0x8000, &line, 1, ISA_ACC_R), 0);
    const uint64_t from = c->cycles;
    assert_int_equal(sim_run(m, &(struct sim_until){.max_insns = 1000}).kind, SIM_STOP_HALT);
    *cycles = c->cycles - from;
    caches_check(m->caches);
    return m;
}

static void states(const uint8_t *code, unsigned n, char l1d, char l2, char l3)
{
    uint64_t cycles;
    struct sim_machine *m = prefetch(code, n, &cycles);
    const char got[] = {cache_state_letter(cache_state(m->caches, 0, CACHE_L1D, AT)),
                        cache_state_letter(cache_state(m->caches, 0, CACHE_L2, AT)),
                        cache_state_letter(cache_state(m->caches, 0, CACHE_L3, AT))};
    if (got[0] != l1d || got[1] != l2 || got[2] != l3)
        fail_msg("%02x %02x %02x: %.3s", code[0], code[1], code[2], got);
    sim_destroy(m);
}
#define STATES(l1d, l2, l3, ...) states((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), l1d, l2, l3)

static void prefetches_bring_lines(void **state)
{
    STATES('E', 'I', 'E', 0x0f, 0x18, 0x03);             // prefetchnta [rbx]
    STATES('E', 'E', 'E', 0x0f, 0x18, 0x0b);             // prefetcht0
    STATES('I', 'E', 'E', 0x0f, 0x18, 0x13);             // prefetcht1
    STATES('I', 'E', 'E', 0x0f, 0x18, 0x1b);             // prefetcht2
    STATES('E', 'E', 'E', 0x0f, 0x0d, 0x0b);             // prefetchw: owned, but not modified
    STATES('M', 'E', 'E', 0x89, 0x03, 0x0f, 0x0d, 0x0b); // mov [rbx], eax; prefetchw: it stays modified
    STATES('M', 'E', 'E', 0x0f, 0x0d, 0x0b, 0x89, 0x03); // the other way round
    STATES('I', 'I', 'I', 0x0f, 0x18, 0x23);             // 0F 18 /4: no prefetch
    STATES('I', 'I', 'I', 0x0f, 0x0d, 0x03);             // 0F 0D /0
    STATES('I', 'I', 'I', 0x0f, 0x18, 0xcb);             // of a register
    STATES('E', 'E', 'E', 0x64, 0x0f, 0x18, 0x4b, 0x3f); // fs: [rbx + 3fh]: the same line
    STATES('I', 'I', 'I', 0x0f, 0x18, 0x4b, 0x40);       // the next one
}

static uint64_t takes(const char *what, unsigned nops)
{
    uint8_t code[200];
    unsigned n = 0;
    uint64_t cycles;
    for (; *what; what++)
        switch (*what) {
        case 'p': memcpy(code + n, "\x0f\x18\x0b", 3), n += 3; break;             // prefetcht0 [rbx]
        case 'P': memcpy(code + n, "\x0f\x18\x0e\x83\xc6\x40", 6), n += 6; break; // prefetcht0 [rsi]; add esi, 64
        case 'l': memcpy(code + n, "\x8b\x03", 2), n += 2; break;                 // mov eax, [rbx]
        case 'n': memset(code + n, 0x90, nops), n += nops; break;
        }
    sim_destroy(prefetch(code, n, &cycles));
    return cycles;
}

// teach: memory takes 100 cycles, L1D 2, a NOP 1.
static void prefetches_take_time(void **state)
{
    const uint64_t load = takes("l", 0), nothing = takes("", 0), both = takes("pl", 0);
    assert_int_equal(load - nothing, 100);
    assert_int_equal(takes("p", 0) - nothing, 1);  // nobody waits for it
    assert_true(both >= load && both <= load + 1); // used at once it saves nothing
    assert_int_equal(takes("pnl", 60), both);      // what is done meanwhile is free
    assert_int_equal(takes("pnl", 120) - nothing, 1 + 120 + 2);
    // Ten are on their way at a time; the eleventh waits for the first.
    const uint64_t ten = takes("PPPPPPPPPP", 0) - nothing, eleven = takes("PPPPPPPPPPP", 0) - nothing;
    assert_int_equal(ten, 20);
    assert_int_equal(eleven, 102);
}

// Where a load would fault nothing happens: not present, not canonical, no RAM, a device. There is no IDT: a fault would be a triple fault.
static void prefetches_never_fault(void **state)
{
    static const uint64_t at[] = {0x7fffffff0000, 0x8000000000000000, 0xffff900000000000, 0x3000000, 0xfee00020};
    for (unsigned fidelity = SIM_FAST; fidelity <= SIM_DETAILED; fidelity++)
        for (unsigned k = 0; k < sizeof at / sizeof *at; k++) {
            static const uint8_t code[] = {0x0f, 0x18, 0x0b, 0x0f, 0x0d, 0x0b, 0x0f, 0x18, 0x03, 0xf4};
            struct sim_machine *m = create(NULL, 0, false, code, sizeof code);
            sim_set_fidelity(m, (enum sim_fidelity)fidelity);
            sim_cpu(m, 0)->gpr[ISA_RBX] = at[k];
            uint64_t walks[2];
            sim_stat(m, 0, "exceptions", &walks[0]);
            assert_int_equal(sim_run(m, &(struct sim_until){.max_insns = 100}).kind, SIM_STOP_HALT);
            sim_stat(m, 0, "exceptions", &walks[1]);
            assert_int_equal(walks[0], walks[1]);
            sim_destroy(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_by_lines),
        cmocka_unit_test(prefetches_bring_lines),
        cmocka_unit_test(prefetches_take_time),
        cmocka_unit_test(prefetches_never_fault),
    };
    return cmocka_run_group_tests_name("detailed", tests, NULL, NULL);
}
