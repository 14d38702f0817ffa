// Fills that wait for somebody to look leave what fills at once leave: two machines do the same random accesses, stores to their page tables
// and invalidations, one as if a run were under way, the other with a listener to fills; now and then all entries, sources and counts are compared.
#include "sim/mmu_testkit.h"

#define PML4  2 // tables of each level below the root, and pages
#define PDPT  3
#define PD    6
#define PT    3
#define NLA   (PML4 * PDPT * PD * PT)
#define NROOT 2

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 24;
}
static unsigned below(uint64_t *seed, unsigned n) { return (unsigned)(next(seed) % n); }

struct twin {
    struct kit k;
    uint64_t root[NROOT];
    bool waits;
    unsigned waited, found; // how often something waited, and did when compared
    unsigned told;
};

static uint64_t address(unsigned n)
{
    const uint64_t pt = n % PT, pd = n / PT % PD, pdpt = n / PT / PD % PDPT, pml4 = n / PT / PD / PDPT;
    return (pml4 * 7 + 1) << 39 | pdpt << 30 | pd << 21 | pt << 12;
}

// The tables themselves are mapped one to one, in the first 2 MBytes.
static void listen(void *ctx, struct sim_machine *m, const struct ev *e) { ++*(unsigned *)ctx; }

static void open_twin(struct twin *w, const char *profile, bool waits)
{
    memset(w, 0, sizeof *w);
    kit_open_as(&w->k, (struct sim_config){.profile = profile});
    w->waits = waits;
    if (!waits)
        ev_subscribe(w->k.m, EV_BIT(EV_TLB_FILL), listen, &w->told);
    for (unsigned r = 0; r < NROOT; r++) {
        w->root[r] = kit_table(&w->k);
        for (unsigned n = 0; n < NLA; n++)
            if (n % 5)
                kit_map(&w->k, w->root[r], address(n), 0x400000 + 0x1000 * n, n % 3 ? KIT_RW : KIT_P, 1);
        for (uint64_t page = 0x100000; page < 0x200000; page += 0x1000)
            kit_map(&w->k, w->root[r], page, page, KIT_RW, 1);
    }
    kit_long(&w->k, w->root[0]);
    w->k.c->isa.cr4 |= ISA_CR4_PCIDE;
    isa_update_mode(&w->k.c->isa);
}

// --- the operations

static void touch(struct twin *w, uint64_t la, bool write)
{
    uint64_t v = 0;
    struct isa_cpu *c = &w->k.c->isa;
    const int r = write ? mmu_write(c, la + 8, &v, 8, ISA_ACC_W) : mmu_read(c, la, &v, 8, ISA_ACC_R);
    assert_true(r == 0 || r == ISA_R_FAULT);
}

// Flip a bit of an entry that the walk for la reads, or only touch the page that holds it.
static void store(struct twin *w, uint64_t la, unsigned root, unsigned level, uint64_t flip)
{
    const uint64_t at = kit_entry(&w->k, w->root[root], 4, la, level);
    uint64_t v = kit_get(&w->k, at) ^ flip;
    const int r = mmu_write(&w->k.c->isa, at, &v, 8, ISA_ACC_W);
    assert_int_equal(r, 0);
}

static void switch_root(struct twin *w, unsigned root, uint16_t pcid, bool keep)
{
    struct isa_cpu *c = &w->k.c->isa;
    c->cr3 = w->root[root] | pcid;
    mmu_inval(c, ISA_INVAL_CR3, c->cr3 | (uint64_t)keep << 63, 0, 0);
}

static void operate(struct twin *w, uint64_t seed)
{
    uint64_t *r = &seed;
    const uint64_t la = address(below(r, NLA));
    const unsigned root = below(r, NROOT), level = 1 + below(r, 4);
    static const uint64_t flips[] = {0, 0, ISA_PTE_RW, ISA_PTE_US, ISA_PTE_A, ISA_PTE_G};
    w->k.m->runs = w->waits;
    w->k.c->isa.cycles += below(r, 50);
    switch (below(r, 16)) {
    case 0:
    case 1: store(w, la, root, level, flips[below(r, 6)]); break;
    case 2:
    case 3: mmu_inval(&w->k.c->isa, ISA_INVAL_INVLPG, la, 0, 0); break;
    case 4: switch_root(w, root, (uint16_t)below(r, 3), below(r, 2)); break;
    case 5: mmu_inval(&w->k.c->isa, ISA_INVAL_INVPCID, below(r, 4), below(r, 3), la); break;
    case 6: store(w, la, root, 1, ISA_PTE_P); break;
    case 7: // nothing is known of the tables any more: they are written inline again
        mmu_inval(&w->k.c->isa, ISA_INVAL_INVPCID, 2, 0, 0);
        for (unsigned n = 0; n < 3; n++)
            store(w, la, root, level, 0);
        touch(w, la, false);
        store(w, la, root, level, flips[below(r, 6)]);
        break;
    default: touch(w, la, below(r, 3) == 0);
    }
    w->waited += w->k.c->tlb->waiting.n != 0;
    w->k.m->runs = false;
}

// --- comparing

static void same_entry(const struct tlb_entry *a, const struct tlb_entry *b)
{
#define SAME(f) assert_int_equal(a->f, b->f)
    SAME(global), SAME(dirty), SAME(unpaged), SAME(mapping), SAME(unit), SAME(page_shift), SAME(guest_shift), SAME(perms);
    SAME(gperms), SAME(eperms), SAME(pkey), SAME(vpid), SAME(pcid), SAME(eptrta), SAME(tag), SAME(gpa.v), SAME(frame.v);
    SAME(filled_at), SAME(filled_rip), SAME(stale), SAME(counted), SAME(lru), SAME(walk);
    for (unsigned k = 0; k < 2; k++)
        SAME(src[k].v), SAME(src_val[k]), SAME(src_size[k]), SAME(src_leaf_large[k]);
    if (a->stale)
        SAME(stale_cycle), SAME(stale_new), SAME(stale_which);
#undef SAME
}

static void same(struct twin *a, struct twin *b)
{
    struct tlb *s = a->k.c->tlb, *t = b->k.c->tlb;
    a->found += s->waiting.n != 0;
    psc_settle_all(a->k.m);
    assert_int_equal(s->clock, t->clock);
    for (unsigned i = 0, j = 0;;) {
        const struct tlb_entry *x = tlb_next(s, &i), *y = tlb_next(t, &j);
        assert_int_equal(i, j);
        if (!x || !y)
            break;
        same_entry(x, y);
    }
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++) {
        const struct tlb_counts x = tlb_counts(s, (enum tlb_unit)unit), y = tlb_counts(t, (enum tlb_unit)unit);
        assert_memory_equal(&x, &y, sizeof x);
    }
    for (unsigned n = 0; n < TLB_SRC_SIZE; n++)
        assert_true((s->src_page[n] & TLB_SRC_COUNT) == (t->src_page[n] & TLB_SRC_COUNT) && s->src_word[n] == t->src_word[n]);
    assert_memory_equal(a->k.c->stat, b->k.c->stat, sizeof a->k.c->stat);
    assert_int_equal(sim_state_hash(a->k.m), sim_state_hash(b->k.m));
}

static void compare(const char *profile, unsigned programs, unsigned length)
{
    unsigned waited = 0, found = 0;
    for (unsigned p = 0; p < programs; p++) {
        struct twin a, b;
        uint64_t r = p + 1;
        open_twin(&a, profile, true);
        open_twin(&b, profile, false);
        for (unsigned n = 0; n < length; n++) {
            const uint64_t seed = next(&r);
            operate(&a, seed);
            operate(&b, seed);
            if (seed % 31)
                continue;
            same(&a, &b);
        }
        same(&a, &b);
        waited += a.waited;
        found += a.found;
        assert_int_equal(b.waited, 0);
        kit_close(&a.k);
        kit_close(&b.k);
    }
    assert_true(waited > programs * length / 20 && found > programs);
    printf("# waiting fills, %s: %u operations, after %u of them something waited\n", profile, programs * length, waited);
}

static void test_teach(void **state) { compare("teach", 8, 3000); }
static void test_nehalem(void **state) { compare("nehalem-2008", 4, 3000); }

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_teach), cmocka_unit_test(test_nehalem)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
