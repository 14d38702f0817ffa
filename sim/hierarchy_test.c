// The TLB hierarchy that a profile describes: what the caches of EPT entries save, how far a second level reaches, what units count.
#include "sim/mmu_testkit.h"

static bool holds(const struct kit *k, enum tlb_unit unit, uint64_t la)
{
    unsigned pos = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k->c->tlb, &pos));)
        if (e->unit == unit && e->tag >> e->page_shift == la >> e->page_shift)
            return true;
    return false;
}

// The caches of EPT entries: what the second address of a neighbourhood still costs in its final walk.
static void ept_caches_save_references(void **state)
{
    static const char *const set[] = {"tlb.nested.entries=0",   "psc.pde.entries=0",     "psc.pdpte.entries=0",
                                      "psc.pml4e.entries=0",    "psc.ept.pde.entries=4", "psc.ept.pdpte.entries=4",
                                      "psc.ept.pml4e.entries=4"};
    struct kit k;
    uint64_t v;
    kit_open_as(&k, (struct sim_config){.set = set, .nset = 7});
    k.bias = 0x800000;
    const uint64_t root = kit_table(&k), la = 0x7f0040000000;
    kit_map(&k, root, la, 0x600000, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x601000, KIT_RW, 1);
    kit_long(&k, root);
    const uint64_t eptp = kit_ept(&k, 0x1000000, 1, false);
    kit_nonroot(&k, eptp, 1);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_cold(&k, la), 24); // what a walk caches serves later walks only
    // Five EPT walks of one reference each, and four guest references.
    assert_int_equal(kit_refs(&k, la + 0x1000), 9);
    // INVLPG does not touch guest-physical mappings, INVEPT of another EPTRTA neither, INVEPT of this one does.
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
    assert_int_equal(kit_refs(&k, la), 9);
    mmu_invept(k.c, 1, eptp + 0x1000);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
    assert_int_equal(kit_refs(&k, la), 9);
    mmu_invept(k.c, 1, eptp);
    assert_int_equal(kit_refs(&k, la), 24);
    // An EPT violation drops the cached entries that led to it.
    kit_put(&k, kit_ept_entry(&k, eptp, 0x601000, 1), 0);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
    assert_int_equal(kit_read(&k, la + 0x1000, &v), ISA_R_VMEXIT);
    assert_false(holds(&k, TLB_EPT_PDE, 0x601000));
    assert_true(holds(&k, TLB_EPT_PDE, root));
    kit_close(&k);
}

// --- replacement, against the definitions written once more

struct oracle {
    unsigned ways, group; // group: of the last use (MRU3PLRU4)
    bool right[64];       // of each node: the victim is on the right
};

static void use(struct oracle *o, unsigned first, unsigned ways, unsigned way, unsigned node)
{
    for (unsigned lo = 0, hi = ways; hi - lo > 1;) {
        unsigned mid = (lo + hi) / 2;
        o->right[first + node] = way < mid;
        node = 2 * node + (way >= mid);
        way >= mid ? (lo = mid) : (hi = mid);
    }
}
static unsigned victim(const struct oracle *o, unsigned first, unsigned ways)
{
    unsigned lo = 0, hi = ways, node = 1;
    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;
        bool r = o->right[first + node];
        r ? (lo = mid) : (hi = mid);
        node = 2 * node + r;
    }
    return lo;
}

static uint64_t lottery(uint64_t *s) { return (*s = *s * 6364136223846793005ull + 1442695040888963407ull) >> 33; }

static void trees_choose_as_defined(void **state)
{
    static const struct {
        enum profile_policy policy;
        unsigned ways;
    } cases[] = {{PROFILE_PLRU, 2}, {PROFILE_PLRU, 4}, {PROFILE_PLRU, 8}, {PROFILE_MRU3PLRU4, 12}};
    unsigned n = 0;
    for (unsigned c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct tlb_unit_state u = {.g = {{.sets = 4, .ways = cases[c].ways}}, .policy = (uint8_t)cases[c].policy};
        struct oracle o[4] = {{.ways = cases[c].ways}};
        const bool groups = cases[c].policy == PROFILE_MRU3PLRU4;
        uint64_t seed = c;
        u.tree = replace_create(u.g[0].sets);
        for (unsigned k = 0; k < 20000; k++, n++) {
            unsigned set = (unsigned)lottery(&seed) % 4, way = (unsigned)lottery(&seed) % u.g[0].ways;
            replace_touch(&u, set * u.g[0].ways + way);
            if (groups) {
                o[set].group = way / 4;
                use(&o[set], way / 4 * 4, 4, way % 4, 1);
            } else
                use(&o[set], 0, u.g[0].ways, way, 1);
            unsigned g = groups ? (o[set].group + 1) % 3 : 0;
            unsigned want = groups ? g * 4 + victim(&o[set], g * 4, 4) : victim(&o[set], 0, u.g[0].ways);
            assert_int_equal(replace_victim(&u, set), want);
            assert_int_not_equal(want, way);
        }
        free(u.tree);
    }
    printf("# choices of trees: %u\n", n);
}

// Skylake's second level: pages whose numbers differ by 128 * 129 in a power-of-two stride fall into one set without the hash.
static void the_hash_spreads_sets(void **state)
{
    struct tlb_geometry plain = {.sets = 128, .ways = 1}, hashed = {.sets = 128, .ways = 1, .hash = 7, .folded = 0x7f};
    uint64_t seen[2] = {0, 0}, sets[2][2] = {{0}};
    for (uint64_t k = 0; k < 64; k++) {
        unsigned p = tlb_set(&plain, (k * 128) << 12, 12), h = tlb_set(&hashed, (k * 128) << 12, 12);
        assert_int_equal(h, k % 128);
        sets[0][p / 64] |= 1ull << p % 64;
        sets[1][h / 64] |= 1ull << h % 64;
    }
    for (unsigned k = 0; k < 2; k++)
        seen[k] = (uint64_t)__builtin_popcountll(sets[k][0]) + (uint64_t)__builtin_popcountll(sets[k][1]);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 64);
    // 7 bits XORed with the next 7: the bits above do not count.
    assert_int_equal(tlb_set(&hashed, (5 << 7 | 3) << 12, 12), 6);
    assert_int_equal(tlb_set(&hashed, (1 << 14 | 5 << 7 | 3) << 12, 12), 6);
}

// The reach of a hierarchy: twice through n pages, the second round walks as soon as n exceeds what the second level holds.
static void reach_ends_at_the_second_level(void **state)
{
    static const struct {
        const char *profile;
        unsigned reach;
    } cases[] = {{"prescott-2005", 64}, {"nehalem-2008", 512}, {"haswell-2013", 1024}};
    for (unsigned n = 0; n < sizeof cases / sizeof *cases; n++)
        for (unsigned over = 0; over < 2; over++) {
            struct kit k;
            const uint64_t la = 0x7f0040000000;
            kit_open_as(&k, (struct sim_config){.profile = cases[n].profile});
            uint64_t root = kit_table(&k), walks = 0;
            const unsigned pages = cases[n].reach + (over ? cases[n].reach / 4 : 0);
            for (unsigned p = 0; p < pages; p++)
                kit_map(&k, root, la + p * 0x1000ull, 0x2000000 + p * 0x1000ull, KIT_RW, 1);
            kit_long(&k, root);
            for (unsigned round = 0; round < 2; round++) {
                walks = k.c->stat[SIM_STAT_WALKS];
                for (unsigned p = 0; p < pages; p++)
                    (void)kit_must_read(&k, la + p * 0x1000ull);
            }
            walks = k.c->stat[SIM_STAT_WALKS] - walks;
            if (over ? walks == 0 : walks != 0)
                fail_msg("%s: %u pages, %llu walks in the second round", cases[n].profile, pages, (unsigned long long)walks);
            kit_close(&k);
        }
}

// Each unit counts for itself.
static void units_count(void **state)
{
    struct kit k;
    const uint64_t la = 0x7f0040000000;
    kit_open(&k, false);
    uint64_t root = kit_table(&k);
    for (unsigned p = 0; p < 6; p++)
        kit_map(&k, root, la + p * 0x4000ull, 0x400000 + p * 0x1000ull, KIT_RW,
                1); // one set of the dTLB, several of the second level
    kit_long(&k, root);
    for (unsigned p = 0; p < 6; p++)
        (void)kit_must_read(&k, la + p * 0x4000ull);
    (void)kit_must_read(&k, la);
    struct tlb_counts d = tlb_counts(k.c->tlb, TLB_DTLB), s = tlb_counts(k.c->tlb, TLB_STLB), c = tlb_counts(k.c->tlb, TLB_PDE);
    assert_int_equal(d.fills, 7);
    assert_int_equal(d.evicts, 3);
    assert_int_equal(d.hits, 0);
    assert_int_equal(s.fills, 6);
    assert_int_equal(s.evicts, 0);
    assert_int_equal(s.hits, 1);
    assert_int_equal(c.fills, 1);
    assert_int_equal(c.hits, 5);
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(tlb_counts(k.c->tlb, TLB_DTLB).dropped, 4);
    assert_int_equal(tlb_counts(k.c->tlb, TLB_STLB).dropped, 6);
    assert_int_equal(tlb_counts(k.c->tlb, TLB_PDE).dropped, 1);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ept_caches_save_references),
        cmocka_unit_test(reach_ends_at_the_second_level),
        cmocka_unit_test(units_count),
        cmocka_unit_test(trees_choose_as_defined),
        cmocka_unit_test(the_hash_spreads_sets),
    };
    return cmocka_run_group_tests_name("hierarchy", tests, NULL, NULL);
}
