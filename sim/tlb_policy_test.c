// What TLBs may do to a guest that forgets an invalidation: the policies, stale entries in every unit, previews.
#include "sim/mmu_testkit.h"

#define LA 0x7f0040000000ull

static uint64_t native(struct kit *k, unsigned pages)
{
    uint64_t root = kit_table(k);
    for (unsigned p = 0; p < pages; p++)
        kit_map(k, root, LA + p * 0x1000ull, 0x2000000 + p * 0x1000ull, KIT_RW, 1);
    kit_long(k, root);
    return root;
}

static uint64_t sweep(struct kit *k, unsigned pages)
{
    uint64_t before = k->c->stat[SIM_STAT_WALKS];
    for (unsigned p = 0; p < pages; p++)
        (void)kit_must_read(k, LA + p * 0x1000ull);
    return k->c->stat[SIM_STAT_WALKS] - before;
}

static unsigned live(const struct kit *k)
{
    unsigned n = 0;
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++)
        n += tlb_count(k->c->tlb, (enum tlb_unit)unit);
    return n;
}

static void names(void **state)
{
    struct sim_config c = {0};
    struct sim_error e = {0};
    assert_int_equal(sim_tlb_policy_by_name("keep", &c, &e), 0);
    assert_int_equal(c.tlb, SIM_TLB_KEEP);
    assert_int_equal(sim_tlb_policy_by_name("seed:0x10", &c, &e), 0);
    assert_int_equal(c.tlb, SIM_TLB_SEED);
    assert_int_equal(c.tlb_seed, 16);
    assert_int_equal(sim_tlb_policy_by_name("model", &c, &e), 0);
    assert_int_equal(c.tlb, SIM_TLB_MODEL);
    static const char *const bad[] = {"", "kept", "seed", "seed:", "seed:x", "seed:1x", "seed:-1"};
    for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(sim_tlb_policy_by_name(bad[k], &c, &e), -1);
        assert_int_equal(e.status, SIM_USAGE);
    }
}

// Thousands of pages, and nothing is given up; what the manual says is dropped is dropped.
static void keep_keeps(void **state)
{
    struct kit k;
    const unsigned pages = 3000;
    kit_open_as(&k, (struct sim_config){.tlb = SIM_TLB_KEEP});
    uint64_t root = native(&k, pages);
    assert_int_equal(sweep(&k, pages), pages);
    assert_int_equal(sweep(&k, pages), 0);
    assert_int_equal(k.c->stat[SIM_STAT_TLB_EVICTS], 0);
    assert_int_equal(tlb_count(k.c->tlb, TLB_DTLB), pages);
    assert_int_equal(tlb_count(k.c->tlb, TLB_STLB), pages);
    (void)mmu_mirror_check(k.c);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, LA + 0x5000, 0, 0);
    assert_int_equal(sweep(&k, pages), 1);
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(sweep(&k, pages), pages);
    kit_close(&k);
}

// The same pages in many contexts: sets get wider, not only more.
static void keep_keeps_contexts_apart(void **state)
{
    struct kit k;
    kit_open_as(&k, (struct sim_config){.tlb = SIM_TLB_KEEP});
    uint64_t root = native(&k, 20);
    k.c->isa.cr4 |= ISA_CR4_PCIDE;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned pcid = 1; pcid < 60; pcid++) {
            k.c->isa.cr3 = root | pcid;
            assert_int_equal(sweep(&k, 20), round ? 0 : 20);
        }
    k.c->isa.cr3 = root | 7;
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root | 7, 0, 0);
    assert_int_equal(sweep(&k, 20), 20);
    k.c->isa.cr3 = root | 8;
    assert_int_equal(sweep(&k, 20), 0);
    kit_close(&k);
}

static void forget_forgets(void **state)
{
    struct kit k;
    uint64_t len;
    kit_open_as(&k, (struct sim_config){.tlb = SIM_TLB_FORGET});
    uint64_t root = native(&k, 4);
    assert_int_equal(sweep(&k, 4), 4);
    assert_int_equal(sweep(&k, 4), 4);
    assert_int_equal(live(&k), 0);
    assert_int_equal(mmu_mirror_check(k.c), 0);
    assert_null(mmu_host_run(&k.c->isa, LA, 100, &len, ISA_ACC_R));
    // A change of the tables is seen at once, in data and code.
    struct hpa pa;
    assert_int_equal(mmu_fetch(&k.c->isa, LA, &pa), 0);
    assert_int_equal(pa.v, 0x2000000);
    kit_put(&k, kit_entry(&k, root, 4, LA, 1), 0x2001000 | KIT_RW);
    assert_int_equal(mmu_fetch(&k.c->isa, LA, &pa), 0);
    assert_int_equal(pa.v, 0x2001000);
    kit_close(&k);
}

// In functional fidelity, too: the translations that it keeps would hide the policy.
static void forget_in_functional_fidelity(void **state)
{
    struct kit k;
    kit_open_as(&k, (struct sim_config){.tlb = SIM_TLB_FORGET, .fidelity = SIM_FUNCTIONAL});
    (void)native(&k, 4);
    assert_int_equal(sweep(&k, 4), 4);
    assert_int_equal(sweep(&k, 4), 4);
    kit_close(&k);
}

static void seeds_are_reproducible(void **state)
{
    uint64_t walks[4], hash[4];
    static const uint64_t seed[4] = {1, 1, 2, 3};
    for (unsigned n = 0; n < 4; n++) {
        struct kit k;
        kit_open_as(&k, (struct sim_config){.tlb = SIM_TLB_SEED, .tlb_seed = seed[n], .no_mirror = n == 1});
        (void)native(&k, 64);
        walks[n] = 0;
        for (unsigned round = 0; round < 50; round++)
            walks[n] += sweep(&k, 64);
        hash[n] = sim_tlb_hash(k.m);
        assert_true(walks[n] > 64); // the second level has room for all
        kit_close(&k);
    }
    assert_int_equal(walks[0], walks[1]);
    assert_int_equal(hash[0], hash[1]);
    assert_true(walks[0] != walks[2] || walks[2] != walks[3]);
}

// --- stale entries in every kind of unit

static const struct tlb_entry *used(const struct kit *k, enum tlb_unit unit)
{
    for (unsigned n = 0; n < k->nev; n++)
        if (k->ev[n].kind == EV_TLB_STALE && k->entry[n].unit == unit)
            return &k->entry[n];
    return NULL;
}

static void stale_paging_structure_entries(void **state)
{
    struct kit k;
    char text[512];
    kit_open(&k, false);
    uint64_t root = native(&k, 4), other = kit_table(&k), at = kit_entry(&k, root, 4, LA, 2);
    kit_listen(&k, EV_BIT(EV_TLB_STALE));
    (void)kit_must_read(&k, LA);
    const uint64_t old = kit_get(&k, at);
    // The guest writes the PDE: map it, and let the write be seen.
    kit_map(&k, root, LA + 0x200000, at & ~0xfffull, KIT_RW, 1);
    assert_int_equal(kit_write(&k, LA + 0x200000 + (at & 0xfff), other | KIT_RW), 0);
    kit_forget(&k);
    (void)kit_must_read(&k, LA + 0x1000); // the PDE cache still leads to the old table
    const struct tlb_entry *e = used(&k, TLB_PDE);
    assert_non_null(e);
    assert_int_equal(e->src[0].v, at);
    assert_int_equal(e->src_val[0], old);
    assert_int_equal(e->stale_new, other | KIT_RW);
    assert_int_equal(e->stale_which, 0);
    assert_true(e->stale_root);
    sim_stale_text(k.m, 0, e, LA + 0x1000, text, sizeof text);
    assert_non_null(strstr(text, "PDE cache entry"));
    assert_non_null(strstr(text, "missing: INVLPG of 7f0040001000"));
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, LA, 0, 0); // any address: it empties the caches
    kit_forget(&k);
    uint64_t v;
    assert_int_equal(kit_read(&k, LA + 0x2000, &v), ISA_R_FAULT);
    assert_int_equal(k.count[EV_TLB_STALE], 0);
    kit_close(&k);
}

static void stale_guest_physical_entries(void **state)
{
    struct kit k;
    char text[512];
    uint64_t v;
    kit_open(&k, false);
    k.bias = 0x800000;
    const uint64_t root = kit_table(&k);
    kit_map(&k, root, LA, 0x600000, KIT_RW, 1);
    kit_map(&k, root, LA + 0x1000, 0x600000, KIT_RW, 1); // the same page
    kit_long(&k, root);
    const uint64_t eptp = kit_ept(&k, 0x1000000, 1, false), at = kit_ept_entry(&k, eptp, 0x600000, 1);
    kit_nonroot(&k, eptp, 3);
    kit_listen(&k, EV_BIT(EV_TLB_STALE));
    assert_int_equal(kit_read(&k, LA, &v), 0);
    // The hypervisor's write, in root operation.
    kit_root(&k);
    k.c->isa.cr0 &= ~(uint64_t)ISA_CR0_PG;
    isa_update_mode(&k.c->isa);
    const uint64_t new = kit_get(&k, at) + 0x1000;
    assert_int_equal(kit_write(&k, at, new), 0);
    kit_long(&k, root);
    kit_nonroot(&k, eptp, 3);
    kit_forget(&k);
    assert_int_equal(kit_read(&k, LA + 0x1000, &v), 0);
    const struct tlb_entry *e = used(&k, TLB_NTLB);
    assert_non_null(e);
    assert_int_equal(e->stale_which, 1);
    assert_int_equal(e->stale_new, new);
    sim_stale_text(k.m, 0, e, 0x600000, text, sizeof text);
    assert_non_null(strstr(text, "nTLB entry 600000 -> e00000"));
    assert_non_null(strstr(text, "missing: INVEPT of type 1"));
    mmu_invept(k.c, 1, eptp);
    kit_forget(&k);
    assert_int_equal(kit_read(&k, LA + 0x1000, &v), 0);
    assert_int_equal(k.count[EV_TLB_STALE], 0);
    kit_close(&k);
}

// --- previews

static void count(void *ctx, const struct tlb_entry *e) { ++*(unsigned *)ctx; }

static int preview(struct kit *k, const char *text)
{
    struct sim_error e = {0};
    unsigned seen = 0;
    const uint64_t before = sim_tlb_hash(k->m);
    int n = sim_tlb_preview(k->m, 0, text, count, &seen, &e);
    assert_int_equal(sim_tlb_hash(k->m), before);
    assert_int_equal(n < 0 ? 0 : n, seen);
    assert_int_equal(n < 0, e.status == SIM_USAGE);
    return n;
}

static unsigned flushed(struct kit *k, uint64_t before) { return (unsigned)(k->c->stat[SIM_STAT_TLB_FLUSHED] - before); }

static void previews_come_true(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = native(&k, 8), before;
    (void)sweep(&k, 8);
    int n = preview(&k, "INVLPG 0x7f0040003000");
    assert_int_equal(n, 5); // data TLB, second level, three caches
    before = k.c->stat[SIM_STAT_TLB_FLUSHED];
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, LA + 0x3000, 0, 0);
    assert_int_equal(flushed(&k, before), n);
    assert_int_equal(preview(&k, "invlpg 0x7f0040003000"), 0);
    n = preview(&k, "MOV CR3 0x5000");
    assert_int_equal(n, 14);
    assert_int_equal(preview(&k, "INVVPID 1 0"), n);
    assert_int_equal(preview(&k, "INVVPID 1, 7"), 0);
    assert_int_equal(preview(&k, "INVVPID 2"), 0);
    assert_int_equal(preview(&k, "INVPCID 0 0 0x7f0040004000"), 2);
    assert_int_equal(preview(&k, "INVPCID 2"), n);
    assert_int_equal(preview(&k, "INVEPT 2"), 0);
    before = k.c->stat[SIM_STAT_TLB_FLUSHED];
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(flushed(&k, before), n);
    static const char *const bad[] = {"",         "INVLPG",     "INVLP 3",   "INVLPGX 3", "INVLPG x",        "INVLPG 1 2",
                                      "INVEPT 3", "INVEPT 0 1", "INVVPID 4", "INVPCID 4", "INVPCID 1 2 3 4", "MOV CR4 0"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(preview(&k, bad[i]), -1);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(keep_keeps),
        cmocka_unit_test(keep_keeps_contexts_apart),
        cmocka_unit_test(forget_forgets),
        cmocka_unit_test(forget_in_functional_fidelity),
        cmocka_unit_test(seeds_are_reproducible),
        cmocka_unit_test(stale_paging_structure_entries),
        cmocka_unit_test(stale_guest_physical_entries),
        cmocka_unit_test(previews_come_true),
    };
    return cmocka_run_group_tests_name("tlb policies", tests, NULL, NULL);
}
