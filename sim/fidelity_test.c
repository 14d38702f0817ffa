// Each fidelity is the same machine: after the same number of instructions registers and memory are what they are in fast fidelity, also
// when the fidelity changes on the way; in detailed fidelity both dispatchers take the same cycles and leave the same lines; functional translations go when the guest invalidates them; and in detailed fidelity a guest
// meets each cache by its latency.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/flags.h"
#include "sim/internal.h"
#include "sim/loader.h"

#define RAM (256u << 20)

static struct sim_machine *create(const char *guest, enum sim_fidelity f, bool loop)
{
    struct sim_error err = {0};
    char path[100];
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = RAM, .fidelity = f, .loop = loop}, &err);
    assert_non_null(m);
    snprintf(path, sizeof path, "build/guests/%s.bin", guest);
    const bool hypervisor = !strcmp(guest, "hypervisor/hypervisor");
    const struct sim_load how = {.image = SIM_IMAGE_AUTO,
                                 .modules = {{"build/guests/hypervisor/kernel.bin", ""}},
                                 .nmodules = hypervisor,
                                 .cmdline = hypervisor ? "depth=2 vpid=1" : NULL};
    if (sim_load_file(m, path, &how, NULL, &err) < 0)
        fail_msg("%s", err.what);
    return m;
}

static void same(struct sim_machine *a, struct sim_machine *b, const char *guest, uint64_t at)
{
    struct isa_cpu *x = sim_cpu(a, 0), *y = sim_cpu(b, 0);
    const bool regs = !memcmp(x->gpr, y->gpr, 16 * 8) && x->rip == y->rip && isa_rflags(x) == isa_rflags(y) && x->cr0 == y->cr0 &&
                      x->cr2 == y->cr2 && x->cr3 == y->cr3 && x->cr4 == y->cr4 && x->efer == y->efer && x->vmx == y->vmx &&
                      x->cpl == y->cpl && !memcmp(x->xmm, y->xmm, sizeof x->xmm) && !memcmp(x->ymmh, y->ymmh, sizeof x->ymmh);
    if (!regs)
        fail_msg("%s, after %llu instructions: other registers", guest, (unsigned long long)at);
    if (memcmp(a->ram.base, b->ram.base, 64 << 20))
        fail_msg("%s, after %llu instructions: other memory", guest, (unsigned long long)at);
}

static bool run(struct sim_machine *m, uint64_t insns)
{
    const struct sim_stop s = sim_run(m, &(struct sim_until){.insns = insns});
    return s.kind == SIM_STOP_UNTIL;
}

static void same_cycles(const struct sim_machine *a, const struct sim_machine *b, const char *guest, uint64_t at)
{
    if (sim_now(a) != sim_now(b) || caches_hash(a->caches) != caches_hash(b->caches))
        fail_msg("%s, after %llu instructions: the plain dispatcher is at cycle %llu, not %llu, or has other lines", guest,
                 (unsigned long long)at, (unsigned long long)sim_now(b), (unsigned long long)sim_now(a));
}

// c starts in fast fidelity and goes round at each stop.
static void compare(const char *guest, uint64_t insns, unsigned times)
{
    struct sim_machine *a = create(guest, SIM_FAST, false), *b = create(guest, SIM_FUNCTIONAL, false),
                       *c = create(guest, SIM_FAST, false), *d = create(guest, SIM_DETAILED, false),
                       *e = create(guest, SIM_DETAILED, true);
    uint64_t at = 0;
    bool on = true;
    for (unsigned k = 0; k < times && on; k++) {
        on = run(a, insns);
        assert_int_equal(run(b, insns), on);
        assert_int_equal(run(c, insns), on);
        assert_int_equal(run(d, insns), on);
        assert_int_equal(run(e, insns), on);
        at += insns;
        same(a, b, guest, at);
        same(a, c, guest, at);
        same(a, d, guest, at);
        same(a, e, guest, at);
        same_cycles(d, e, guest, at);
        caches_check(d->caches);
        sim_set_fidelity(c, (enum sim_fidelity)((k + 1) % 3));
    }
    // No guest of it sleeps: a cycle for each instruction, for those that faulted, and for each element of repeated ones.
    if (!sim_cpu(b, 0)->vmx && strcmp(guest, "bench/repmovs") != 0)
        assert_true(sim_cpu(b, 0)->cycles - sim_insns(b) < 1000);
    sim_destroy(a);
    sim_destroy(b);
    sim_destroy(c);
    sim_destroy(d);
    sim_destroy(e);
}

static void test_programs(void **state)
{
    static const char *const guest[] = {"bench/sieve",     "bench/isprime", "bench/memcpy",   "bench/streams", "bench/repmovs",
                                        "bench/hash",      "bench/chase",   "bench/recurse",  "bench/syscall", "bench/vmexit",
                                        "bench/pagefault", "boot/sector",   "vectors/vectors"};
    for (unsigned k = 0; k < sizeof guest / sizeof *guest; k++)
        compare(guest[k], 300007, 3);
}

// Guests of guests, with nested paging, by our own hypervisor under itself.
static void test_hypervisor(void **state) { compare("hypervisor/hypervisor", 20011, 6); }

// A page is mapped elsewhere; only after INVLPG does everyone see it: in functional fidelity too.
static void test_invalidation(void **state)
{
    static const uint8_t code[] = {
        0x8a, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00,                   // mov al, [400000h]
        0x48, 0xc7, 0x04, 0x25, 0x00, 0x00, 0x09, 0x00, 0x03, 0x10, // mov qword [90000h], 0a1003h: the entry of 400000h
        0x0a, 0x00, 0x8a, 0x24, 0x25, 0x00, 0x00, 0x40, 0x00,       // mov ah, [400000h]: what the processor has cached
        0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x40, 0x00,             // invlpg [400000h]
        0x8a, 0x1c, 0x25, 0x00, 0x00, 0x40, 0x00,                   // mov bl, [400000h]
        0xf4};
    for (unsigned f = SIM_FAST; f <= SIM_DETAILED; f++) {
        struct sim_error err = {0};
        struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 16 << 20, .fidelity = (enum sim_fidelity)f}, &err);
        const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = 0x100000, .start = SIM_START_LONG64};
        assert_int_equal(sim_load_bytes(m, "code", code, sizeof code, &how, NULL, &err), 0);
        const uint64_t pde = 0x90003, pte = 0xa0003;
        sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x4000 + 2 * 8, &pde, 8); // 400000h: small pages, the first at A0000H
        sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x90000, &pte, 8);
        sim_poke(m, 0, SIM_HOST_PHYSICAL, 0xa0000, "A", 1);
        sim_poke(m, 0, SIM_HOST_PHYSICAL, 0xa1000, "B", 1);
        assert_int_equal(sim_run(m, &(struct sim_until){.max_insns = 100}).kind, SIM_STOP_HALT);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_RAX] & 0xffff, 'A' | 'A' << 8);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_RBX] & 0xff, 'B');
        sim_destroy(m);
    }
}

// A chain of pointers, a line apart, round and round: cycles per load.
static uint64_t chase(uint64_t bytes, enum sim_fidelity f)
{
    enum { CODE = 0x100000, CHAIN = 0x1000000 };
    uint8_t code[40 * 3 + 2];
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 64 << 20, .fidelity = f}, &err);
    assert_non_null(m);
    for (unsigned k = 0; k < 40; k++)
        memcpy(code + 3 * k, "\x48\x8b\x00", 3); // mov rax, [rax]
    memcpy(code + 120, "\xeb\x84", 2);           // jmp to the first
    const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = CODE, .start = SIM_START_LONG64};
    assert_int_equal(sim_load_bytes(m, "code", code, sizeof code, &how, NULL, &err), 0);
    for (uint64_t at = 0; at < bytes; at += 64) {
        const uint64_t next = CHAIN + (at + 64) % bytes;
        sim_poke(m, 0, SIM_HOST_PHYSICAL, CHAIN + at, &next, 8);
    }
    sim_cpu(m, 0)->gpr[ISA_RAX] = CHAIN;
    const uint64_t insns = bytes / 64 * 41 / 40;
    assert_true(run(m, 2 * insns)); // until it is where it belongs
    const uint64_t before = sim_now(m);
    assert_true(run(m, insns));
    const uint64_t cycles = ((sim_now(m) - before) * 64 + bytes / 2) / bytes;
    uint64_t hits = 0, misses = 0, memory = 0;
    assert_true(sim_stat(m, 0, "l1d.hit", &hits) && sim_stat(m, 0, "l1d.miss", &misses) && sim_stat(m, 0, "memory", &memory));
    assert_int_equal(f == SIM_DETAILED, hits + misses >= 3 * bytes / 64 - 3);
    assert_int_equal(f == SIM_DETAILED, memory >= bytes / 64);
    sim_destroy(m);
    return cycles;
}

// Some lines stay by luck of replacement where they do not belong.
static void near(uint64_t got, uint64_t want)
{
    if (got > want || got * 20 < want * 19)
        fail_msg("%llu cycles per load instead of %llu", (unsigned long long)got, (unsigned long long)want);
}

static void test_latencies(void **state)
{
    near(chase(16 << 10, SIM_DETAILED), 2);   // teach: L1D 32K in 2 cycles,
    near(chase(128 << 10, SIM_DETAILED), 10); // L2 256K in 10,
    near(chase(1 << 20, SIM_DETAILED), 40);   // L3 2M in 40,
    near(chase(8 << 20, SIM_DETAILED), 100);  // memory 100 ns at 1 GHz
    near(chase(8 << 20, SIM_FAST), 2);
}

// Cycles and counters of one instruction on a modified line at 2000000H, in detailed fidelity.
struct requested {
    uint64_t cycles, flushed, cleaned, past;
    char state; // of the line in L1D, afterwards
};

static struct requested request(const uint8_t *insn, unsigned n)
{
    uint8_t code[64] = {0x48, 0x89, 0x07, // mov [rdi], rax
                        0x0f, 0xae, 0xf0, // mfence: the next fetch comes from the same line
                        0xf4};
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 64 << 20, .fidelity = SIM_DETAILED}, &err);
    assert_non_null(m);
    memcpy(code + 6, insn, n);
    code[6 + n] = 0xf4;
    const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = 0x100000, .start = SIM_START_LONG64};
    assert_int_equal(sim_load_bytes(m, "code", code, sizeof code, &how, NULL, &err), 0);
    sim_cpu(m, 0)->gpr[ISA_RDI] = 0x2000000;
    assert_true(sim_reg_set(m, 0, "cr4", sim_cpu(m, 0)->cr4 | 1 << 9)); // OSFXSR, for MOVNTDQ
    assert_true(run(m, 2));
    const uint64_t before = sim_now(m);
    assert_true(run(m, 1));
    struct requested r = {.cycles = sim_now(m) - before,
                          .state = cache_state_letter(cache_state(m->caches, 0, CACHE_L1D, 0x2000000))};
    sim_stat(m, 0, "line.flush", &r.flushed);
    sim_stat(m, 0, "line.clean", &r.cleaned);
    sim_stat(m, 0, "line.past", &r.past);
    caches_check(m->caches);
    sim_destroy(m);
    return r;
}
#define REQUEST(...) request((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

// Manual: the instructions' pages, and "Cache Management Instructions".
static void test_requests(void **state)
{
    const struct requested nothing = REQUEST(0x0f, 0xae, 0xf0), // mfence
        flush = REQUEST(0x0f, 0xae, 0x3f), opt = REQUEST(0x66, 0x0f, 0xae, 0x3f), clwb = REQUEST(0x66, 0x0f, 0xae, 0x37),
                           movnti = REQUEST(0x0f, 0xc3, 0x07), movntdq = REQUEST(0x66, 0x0f, 0xe7, 0x07),
                           wbinvd = REQUEST(0x0f, 0x09), invd = REQUEST(0x0f, 0x08), load = REQUEST(0x8a, 0x07);
    const struct {
        struct requested got;
        uint64_t flushed, cleaned, past;
        char state;
    } t[] = {
        {nothing, 0, 0, 0, 'M'}, {flush, 1, 1, 0, 'I'},   {opt, 1, 1, 0, 'I'},  {clwb, 0, 1, 0, 'E'},
        {movnti, 1, 1, 1, 'I'},  {movntdq, 1, 1, 1, 'I'}, {load, 0, 0, 0, 'M'},
    };
    for (unsigned k = 0; k < sizeof t / sizeof *t; k++)
        if (t[k].got.flushed != t[k].flushed || t[k].got.cleaned != t[k].cleaned || t[k].got.past != t[k].past ||
            t[k].got.state != t[k].state)
            fail_msg("request %u: %llu flushed, %llu cleaned, %llu past, state %c", k, (unsigned long long)t[k].got.flushed,
                     (unsigned long long)t[k].got.cleaned, (unsigned long long)t[k].got.past, t[k].got.state);
    assert_int_equal(flush.cycles, opt.cycles + 100); // it waits for memory; the others do not
    assert_int_equal(clwb.cycles, opt.cycles);
    assert_true(wbinvd.flushed >= 2 && wbinvd.state == 'I' && wbinvd.cleaned >= 1); // code and page tables, too
    assert_true(wbinvd.cycles >= invd.cycles + 100 * wbinvd.cleaned);
    assert_int_equal(invd.flushed, wbinvd.flushed);
    assert_int_equal(invd.cleaned, 0);
    assert_int_equal(invd.state, 'I');
}

// A geometry that no cache can have is refused when the machine is made, whatever its fidelity.
static void test_geometry(void **state)
{
    static const char *const set[] = {"cache.l2.line=128"};
    struct sim_error err = {0};
    assert_null(sim_create(&(struct sim_config){.set = set, .nset = 1}, &err));
    assert_non_null(strstr(err.what, "equally long"));
}

static void test_names(void **state)
{
    enum sim_fidelity f;
    struct sim_error err = {0};
    for (unsigned k = 0; sim_fidelity_names()[k]; k++) {
        assert_int_equal(sim_fidelity_by_name(sim_fidelity_names()[k], &f, &err), 0);
        assert_int_equal(f, k);
    }
    assert_int_equal(sim_fidelity_by_name("exact", &f, &err), -1);
    assert_non_null(strstr(err.what, "functional"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_programs),     cmocka_unit_test(test_hypervisor),
                                       cmocka_unit_test(test_invalidation), cmocka_unit_test(test_latencies),
                                       cmocka_unit_test(test_requests),     cmocka_unit_test(test_geometry),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
