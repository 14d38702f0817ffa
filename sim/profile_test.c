// sim/profile_test.c: profiles, and the values that can be set in them.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/info.h"
#include "sim/internal.h"
#include "vmx-model/controls.h"

static void every_profile_is_sound(void **state)
{
    const char *name;
    unsigned n = 0;
    for (; (name = sim_profile_nth(n)); n++) {
        struct sim_profile p;
        struct sim_error e = {0};
        struct profile_key k;
        assert_int_equal(sim_profile_load(&p, name, &e), 0);
        assert_int_equal(sim_profile_check(&p, &e), 0);
        for (unsigned i = 0; sim_profile_key(i, &k); i++) {
            uint64_t v = sim_profile_get(&p, &k);
            if (v < k.lowest || v > k.highest)
                fail_msg("%s: %s is %llu", name, k.name, (unsigned long long)v);
        }
        struct sim_machine *m = sim_create(&(struct sim_config){.profile = name}, &e);
        assert_non_null(m);
        sim_destroy(m);
    }
    printf("# profiles: %u\n", n);
    assert_true(n >= 2);
}

// Each key can be set to both ends of its range, reads back, and touches nothing else.
static void each_key_is_its_own(void **state)
{
    struct sim_profile teach, p;
    struct profile_key k, other;
    unsigned n = 0;
    assert_int_equal(sim_profile_load(&teach, "teach", NULL), 0);
    for (; sim_profile_key(n, &k); n++)
        for (unsigned end = 0; end < 2; end++) {
            uint64_t v = end ? k.highest : k.lowest;
            char text[96];
            p = teach;
            snprintf(text, sizeof text, "%s=%llu", k.name, (unsigned long long)v);
            assert_int_equal(sim_profile_set(&p, text, NULL), 0);
            assert_int_equal(sim_profile_get(&p, &k), v);
            for (unsigned i = 0; sim_profile_key(i, &other); i++)
                if (i != n)
                    assert_int_equal(sim_profile_get(&p, &other), sim_profile_get(&teach, &other));
            snprintf(text, sizeof text, "%s=%llu", k.name, (unsigned long long)k.highest + 1);
            assert_int_equal(sim_profile_set(&p, text, NULL), -1);
        }
    printf("# keys: %u\n", n);
}

static void refuses(const char *assignment, const char *saying)
{
    struct sim_profile p;
    struct sim_error e = {0};
    assert_int_equal(sim_profile_load(&p, "teach", NULL), 0);
    assert_int_equal(sim_profile_set(&p, assignment, &e), -1);
    assert_int_equal(e.status, SIM_USAGE);
    if (!strstr(e.what, saying))
        fail_msg("%s: \"%s\" does not say \"%s\"", assignment, e.what, saying);
}

static void mistakes_are_explained(void **state)
{
    refuses("tlb.l2.entrees=64", "did you mean tlb.l2.entries?");
    refuses("cost.vmentri=64", "did you mean cost.vmentry?");
    refuses("cost.none=1", "no value is called");
    refuses("tlb.l2.entries", "tlb.l2.entries=64");
    refuses("tlb.l2.entries=", "tlb.l2.entries=64");
    refuses("=3", "tlb.l2.entries=64");
    refuses("tlb.l2.entries=-1", "give 0 to 8192 entries");
    refuses("tlb.l2.entries=12x", "give 0 to 8192 entries");
    refuses("tlb.l2.entries=8193", "give 0 to 8192 entries");
    refuses("feature.avx=2", "feature.avx=2: give 0 or 1 (");
    refuses("tlb.l2.policy=mru", "tlb.l2.policy=mru: give lru/fifo/plru/mru3plru4 (");
    refuses("cache.l1d.size=99999999999999999999G", "bytes");
}

static void a_geometry_must_fit(void **state)
{
    static const char *const bad[] = {"tlb.l2.entries=63"}, *const good[] = {"tlb.l2.entries=63", "tlb.l2.ways=63"},
                             *const cache[] = {"cache.l2.line=48"};
    struct sim_error e = {0};
    assert_null(sim_create(&(struct sim_config){.set = bad, .nset = 1}, &e));
    assert_non_null(strstr(e.what, "tlb.l2: 63 entries in 4 ways"));
    assert_null(sim_create(&(struct sim_config){.set = cache, .nset = 1}, &e));
    assert_non_null(strstr(e.what, "cache.l2"));
    struct sim_machine *m = sim_create(&(struct sim_config){.set = good, .nset = 2}, &e);
    assert_non_null(m);
    assert_int_equal(m->cpu[0]->tlb->u[TLB_STLB].g[0].ways, 63);
    sim_destroy(m);
}

// What one machine sets, another does not see; later assignments win.
static void machines_are_apart(void **state)
{
    static const char *const set[] = {"cost.vmexit=7", "cache.l1d.size=16K", "freq.mhz=2000", "cost.vmexit=1234", "dram.ns=0x50"};
    struct sim_error e = {0};
    struct sim_machine *a = sim_create(&(struct sim_config){.set = set, .nset = 5}, &e), *b = sim_create(NULL, &e);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->charge[ISA_COST_VMEXIT], 1234);
    assert_int_equal(a->profile->l1d.size, 16 << 10);
    assert_int_equal(a->profile->hz, 2000000000);
    assert_int_equal(a->profile->dram_ns, 80);
    assert_int_equal(b->charge[ISA_COST_VMEXIT], 500);
    assert_int_equal(b->profile->hz, 1000000000);
    sim_destroy(a);
    sim_destroy(b);
}

static uint32_t modelled_proc2(void)
{
    uint32_t known = 0;
    const struct vmx_control *k;
    for (unsigned n = 0; (k = vmx_control_n(n)); n++)
        known |= k->word == VMX_WORD_PROC2 && k->modelled ? 1u << k->bit : 0;
    return known;
}

// The published numbers are there, each with its source; what is offered of VMX is published and modelled.
static void published_values(void **state)
{
    struct sim_profile p;
    struct profile_key k;
    const char *source;
    assert_int_equal(sim_profile_load(&p, "sandybridge-2011", NULL), 0);
    assert_int_equal(p.cost[ISA_COST_VMEXIT] + p.cost[ISA_COST_VMENTRY], 784);
    assert_int_equal(p.hz, 3400000000);
    assert_int_equal(sim_profile_source("sandybridge-2011", "cost.vmexit", &source), 'S');
    assert_non_null(strstr(source, "table 4.3"));
    assert_int_equal(sim_profile_source("sandybridge-2011", "cost.mul", &source), 'E');
    assert_true(isa_has(p.features, ISA_FEAT_PCID) && !isa_has(p.features, ISA_FEAT_INVPCID));
    assert_int_equal(p.vmx.proc2 >> 32, 0x4ff);
    assert_int_equal(sim_profile_load(&p, "merom-2006", NULL), 0);
    assert_false(vmx_has_proc2(&p.vmx) || vmx_has_true(&p.vmx));
    assert_int_equal(p.vmx.basic & 0x7fffffff, 7);
    for (unsigned n = 0; sim_profile_nth(n); n++) { // no control that is not modelled may be set, in any of them
        assert_int_equal(sim_profile_load(&p, sim_profile_nth(n), NULL), 0);
        assert_int_equal(p.vmx.proc2 >> 32 & ~modelled_proc2(), 0);
        assert_true(sim_profile_find_key("feature.vmx", &k) && sim_profile_get(&p, &k));
    }
}

// Large pages have entries of their own where the profile says so: sixty-four small pages and thirty-two large ones fit.
static void levels_by_page_size(void **state)
{
    struct sim_error e = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.profile = "haswell-2013"}, &e);
    assert_non_null(m);
    const struct tlb *t = m->cpu[0]->tlb;
    assert_int_equal(t->u[TLB_DTLB].size, 64 + 32 + 4);
    assert_int_equal(t->u[TLB_DTLB].g[1].base, 64);
    assert_int_equal(t->u[TLB_DTLB].g[3].base, 96);
    assert_int_equal(t->u[TLB_STLB].g[1].ways, 8);
    assert_int_equal(t->u[TLB_STLB].g[3].ways, 0);
    sim_destroy(m);
    m = sim_create(&(struct sim_config){.profile = "sandybridge-2011"}, &e);
    assert_int_equal(m->cpu[0]->tlb->u[TLB_STLB].g[1].ways, 0); // small pages only
    sim_destroy(m);
}

// What CPUID says of the caches and TLBs of a part.
static void cpuid_follows_the_profile(void **state)
{
    struct sim_error e = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.profile = "nehalem-2008"}, &e);
    uint32_t out[4];
    assert_non_null(m);
    sim_cpuid(&m->cpu[0]->isa, 2, 0, out);
    assert_int_equal(out[0], 0x55035a01);
    assert_int_equal(out[3], 0x09ca212c);
    sim_cpuid(&m->cpu[0]->isa, 4, 3, out); // 8 MB, 16 ways, 64-byte lines
    assert_int_equal(out[0] & 0xff, 3 << 5 | 3);
    assert_int_equal(((out[1] >> 22) + 1) * ((out[1] & 0xfff) + 1) * (out[2] + 1), 8 << 20);
    sim_cpuid(&m->cpu[0]->isa, 4, 4, out);
    assert_int_equal(out[0], 0);
    sim_cpuid(&m->cpu[0]->isa, 0, 0, out);
    assert_int_equal(out[0], 11);
    sim_cpuid(&m->cpu[0]->isa, 1, 0, out);
    assert_int_equal(out[0], 0x106a5);
    assert_int_equal(out[2] >> 17 & 1, 0); // no PCIDs
    sim_destroy(m);
}

// The page about a profile names each value that no text confirms, at its end.
static void unverified_values_are_named(void **state)
{
    char text[65536];
    struct sim_error e = {0};
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(info_profile(f, "haswell-2013", &e), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    const char *estimates = strstr(text, "Unverified. Estimates:"), *memory = strstr(text, "Unverified. From memory:");
    assert_true(estimates && memory && estimates < memory);
    for (unsigned n = 0; sim_profile_key(n, &(struct profile_key){0}); n++) {
        const char *source;
        struct profile_key k;
        char name[80];
        sim_profile_key(n, &k);
        const char tag = sim_profile_source("haswell-2013", k.name, &source);
        snprintf(name, sizeof name, " %s", k.name);
        const char *at = strstr(estimates, name);
        assert_int_equal(at && at < memory, tag == 'E');
        assert_int_equal(strstr(memory, name) != NULL, tag == 'M');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpuid_follows_the_profile), cmocka_unit_test(every_profile_is_sound),
        cmocka_unit_test(each_key_is_its_own),       cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(a_geometry_must_fit),       cmocka_unit_test(machines_are_apart),
        cmocka_unit_test(published_values),          cmocka_unit_test(unverified_values_are_named),
        cmocka_unit_test(levels_by_page_size),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
