// The TLB: replacement, and every rule of creation and invalidation that the manual gives, one by one.
#include "sim/mmu_testkit.h"

// --- a population with one entry of every kind, to see what each invalidation leaves

#define PAGE_A 0x0000123456789000ull
#define PAGE_B 0x00aa765432101000ull // another index at every level
#define EPT_1  0x11000ull
#define EPT_2  0x22000ull

struct specimen {
    enum tlb_unit unit;
    enum tlb_mapping map;
    uint16_t vpid, pcid;
    uint64_t eptrta;
    bool global;
    uint64_t page;
};
static struct specimen zoo[4096];
static unsigned nzoo;

static struct sim_profile big; // room for all of them

static void put(struct kit *k, struct specimen s)
{
    static const uint8_t shift[] = {
        [TLB_ITLB] = 12,  [TLB_DTLB] = 12, [TLB_STLB] = 12,      [TLB_NTLB] = 12,      [TLB_PML5E] = 48,     [TLB_PML4E] = 39,
        [TLB_PDPTE] = 30, [TLB_PDE] = 21,  [TLB_EPT_PML5E] = 48, [TLB_EPT_PML4E] = 39, [TLB_EPT_PDPTE] = 30, [TLB_EPT_PDE] = 21};
    struct tlb_entry e = {.global = s.global,
                          .mapping = s.map,
                          .unit = s.unit,
                          .page_shift = shift[s.unit],
                          .vpid = s.vpid,
                          .pcid = s.pcid,
                          .eptrta = s.eptrta,
                          .tag = s.page >> shift[s.unit] << shift[s.unit],
                          .frame = {0x5000},
                          .gperms = 15,
                          .eperms = 15};
    tlb_fill(k->c->tlb, &e);
    zoo[nzoo++] = s;
}

static bool there(struct kit *k, const struct specimen *s)
{
    unsigned pos = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k->c->tlb, &pos));)
        if (e->unit == s->unit && e->mapping == s->map && e->vpid == s->vpid && e->pcid == s->pcid && e->eptrta == s->eptrta &&
            e->global == s->global && e->tag == s->page >> e->page_shift << e->page_shift)
            return true;
    return false;
}

static void populate(struct kit *k)
{
    sim_tlb_flush_all(k->m, 0);
    nzoo = 0;
    for (unsigned page = 0; page < 2; page++) {
        const uint64_t a = page ? PAGE_B : PAGE_A;
        for (unsigned ept = 1; ept < 3; ept++)
            for (unsigned unit = 0; unit < TLB_NUNIT; unit++)
                if (TLB_UNITS_EPT >> unit & 1)
                    put(k, (struct specimen){unit, TLB_GUEST_PHYSICAL, 0, 0, ept == 1 ? EPT_1 : EPT_2, false, a});
        for (unsigned unit = TLB_ITLB; unit < TLB_NUNIT; unit++)
            for (uint16_t vpid = 0; vpid < 3; vpid++)
                for (uint16_t pcid = 0; pcid < 3; pcid++)
                    for (unsigned ept = 0; ept < 3; ept++) {
                        if (TLB_UNITS_EPT >> unit & 1)
                            continue;
                        uint64_t root = ept == 0 ? 0 : ept == 1 ? EPT_1 : EPT_2;
                        // A global entry serves all PCIDs, so PCID 2 holds the globals; caches have none.
                        put(k, (struct specimen){unit, ept ? TLB_COMBINED : TLB_LINEAR, vpid, pcid, root,
                                                 pcid == 2 && unit <= TLB_STLB, a});
                    }
    }
    for (unsigned i = 0; i < nzoo; i++)
        assert_true(there(k, &zoo[i]));
}

// What the rule under test must drop; context: the invalidation's operands.
struct ctx {
    uint16_t vpid, pcid;
    uint64_t ept, page;
};
typedef bool rule_fn(const struct specimen *s, const struct ctx *x);

static bool is_psc(const struct specimen *s) { return TLB_UNITS_PSC >> s->unit & 1; }
static bool is_la(const struct specimen *s) { return s->map != TLB_GUEST_PHYSICAL; }

static unsigned matrix_rows, matrix_cases; // invalidations made, and entries looked at after them

static unsigned expect(struct kit *k, const char *what, rule_fn *dropped, struct ctx x)
{
    unsigned n = 0;
    matrix_rows++;
    matrix_cases += nzoo;
    for (unsigned i = 0; i < nzoo; i++) {
        const struct specimen *s = &zoo[i];
        bool want = dropped(s, &x);
        if (there(k, s) == want)
            fail_msg("%s: %s entry, unit %s, VPID %u, PCID %u, EPTRTA %llx, %s, page %llx %s", what, tlb_mapping_name(s->map),
                     tlb_unit_name(s->unit), s->vpid, s->pcid, (unsigned long long)s->eptrta, s->global ? "global" : "not global",
                     (unsigned long long)s->page, want ? "survived" : "was dropped");
        n += want;
    }
    assert_true(n > 0 && n < nzoo);
    return n;
}

static void zoo_open(struct kit *k)
{
    kit_open(k, false);
    big = *k->m->profile;
    big.itlb = big.dtlb = big.stlb = big.ntlb = big.pml5e = big.pml4e = big.pdpte = big.pde = big.ept_pml5e = big.ept_pml4e =
        big.ept_pdpte = big.ept_pde = (struct profile_tlb){256, 256};
    k->m->profile = &big;
    tlb_destroy(k->c->tlb);
    k->c->tlb = tlb_create(&big, SIM_TLB_MODEL, 0);
    mmu_reset(k->c);
    kit_long(k, 0x5000);
}
// Put the processor into a context: VPID (0: root operation) and PCID.
static void be(struct kit *k, uint16_t vpid, uint16_t pcid)
{
    struct isa_cpu *c = &k->c->isa;
    c->cr4 |= ISA_CR4_PCIDE;
    c->cr3 = 0x5000 | pcid;
    if (vpid)
        kit_nonroot(k, EPT_1 | 3 << 3 | 6, vpid);
    else {
        c->vmx = ISA_VMX_OFF;
        isa_update_mode(c);
        k->c->mmu.valid = false;
        mmu_context(k->c);
    }
    assert_int_equal(k->c->mmu.vpid, vpid);
    assert_int_equal(k->c->mmu.pcid, pcid);
}

// 10. INVLPG: the page in the current PCID and global entries of any; all paging-structure caches of the PCID. All EPTRTAs.
static bool r_invlpg(const struct specimen *s, const struct ctx *x)
{
    if (!is_la(s) || s->vpid != x->vpid)
        return false;
    return is_psc(s) ? s->pcid == x->pcid : s->page == x->page && (s->pcid == x->pcid || s->global);
}
static void test_invlpg(void **state)
{
    struct kit k;
    zoo_open(&k);
    for (uint16_t vpid = 0; vpid < 3; vpid++)
        for (uint16_t pcid = 0; pcid < 2; pcid++) {
            be(&k, vpid, pcid);
            populate(&k);
            mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, PAGE_A + 0x123, 0, 0);
            expect(&k, "INVLPG", r_invlpg, (struct ctx){vpid, pcid, 0, PAGE_A});
        }
    kit_close(&k);
}

// 11. MOV CR3: everything but globals of the PCID that is loaded; nothing if bit 63 is set.
static bool r_pcid(const struct specimen *s, const struct ctx *x)
{
    return is_la(s) && s->vpid == x->vpid && s->pcid == x->pcid && !s->global;
}
static void test_mov_cr3(void **state)
{
    struct kit k;
    zoo_open(&k);
    for (uint16_t vpid = 0; vpid < 2; vpid++) {
        be(&k, vpid, 1);
        populate(&k);
        mmu_inval(&k.c->isa, ISA_INVAL_CR3, 0x5001, 0, 0);
        expect(&k, "MOV CR3", r_pcid, (struct ctx){vpid, 1, 0, 0});
        populate(&k);
        mmu_inval(&k.c->isa, ISA_INVAL_CR3, 0x5001 | 1ull << 63, 0, 0);
        for (unsigned i = 0; i < nzoo; i++)
            assert_true(there(&k, &zoo[i]));
    }
    // PCIDE = 0: PCID 0. A task switch likewise.
    be(&k, 0, 0);
    k.c->isa.cr4 &= ~(uint64_t)ISA_CR4_PCIDE;
    mmu_context(k.c);
    populate(&k);
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, 0x5000, 0, 0);
    expect(&k, "MOV CR3, PCIDE = 0", r_pcid, (struct ctx){0, 0, 0, 0});
    populate(&k);
    mmu_inval(&k.c->isa, ISA_INVAL_TASK, 0, 0, 0);
    expect(&k, "task switch", r_pcid, (struct ctx){0, 0, 0, 0});
    kit_close(&k);
}

// 12, 13. MOV CR4 and MOV CR0.
static bool r_vpid(const struct specimen *s, const struct ctx *x) { return is_la(s) && s->vpid == x->vpid; }
static bool r_pcid_and_globals(const struct specimen *s, const struct ctx *x)
{
    return is_la(s) && s->vpid == x->vpid && (s->pcid == x->pcid || s->global);
}
static void flip_cr4(struct kit *k, uint64_t bits)
{
    k->c->isa.cr4 ^= bits;
    mmu_context(k->c);
    mmu_inval(&k->c->isa, ISA_INVAL_CR4, bits, 0, 0);
}
static void test_control_registers(void **state)
{
    struct kit k;
    zoo_open(&k);
    be(&k, 1, 1);
    for (unsigned i = 0; i < 2; i++) { // PGE off, PGE on
        populate(&k);
        flip_cr4(&k, ISA_CR4_PGE);
        expect(&k, "MOV CR4, PGE", r_vpid, (struct ctx){1, 1, 0, 0});
    }
    populate(&k);
    flip_cr4(&k, ISA_CR4_SMEP); // 0 -> 1
    expect(&k, "MOV CR4, SMEP set", r_pcid_and_globals, (struct ctx){1, 1, 0, 0});
    populate(&k);
    flip_cr4(&k, ISA_CR4_SMEP); // 1 -> 0
    for (unsigned i = 0; i < nzoo; i++)
        assert_true(there(&k, &zoo[i]));
    k.c->isa.cr3 = 0x5000;
    populate(&k);
    flip_cr4(&k, ISA_CR4_PCIDE); // 1 -> 0
    expect(&k, "MOV CR4, PCIDE cleared", r_vpid, (struct ctx){1, 0, 0, 0});
    populate(&k);
    flip_cr4(&k, ISA_CR4_PCIDE); // 0 -> 1
    for (unsigned i = 0; i < nzoo; i++)
        assert_true(there(&k, &zoo[i]));
    populate(&k);
    k.c->isa.cr0 &= ~(uint64_t)ISA_CR0_PG;
    mmu_inval(&k.c->isa, ISA_INVAL_CR0_PG, 0, 0, 0);
    expect(&k, "MOV CR0, PG cleared", r_vpid, (struct ctx){1, 0, 0, 0});
    kit_close(&k);
}

// 14. Page fault.
static bool r_page_fault(const struct specimen *s, const struct ctx *x)
{
    return is_la(s) && s->vpid == x->vpid && s->page == x->page && (s->pcid == x->pcid || s->global);
}
static void test_page_fault(void **state)
{
    struct kit k;
    zoo_open(&k);
    be(&k, 0, 1);
    populate(&k);
    assert_int_equal(mmu_page_fault(k.c, PAGE_A + 8, ISA_ACC_W, 0, ISA_RULE_PF_WRITE), ISA_R_FAULT);
    expect(&k, "page fault", r_page_fault, (struct ctx){0, 1, 0, PAGE_A});
    kit_close(&k);
}

// 15. INVPCID.
static bool r_invpcid0(const struct specimen *s, const struct ctx *x) { return r_pcid(s, x) && s->page == x->page; }
static bool r_invpcid3(const struct specimen *s, const struct ctx *x) { return r_vpid(s, x) && !s->global; }
static void test_invpcid(void **state)
{
    static rule_fn *const rule[] = {r_invpcid0, r_pcid, r_vpid, r_invpcid3};
    struct kit k;
    zoo_open(&k);
    for (uint16_t vpid = 0; vpid < 2; vpid++)
        for (unsigned type = 0; type < 4; type++) {
            be(&k, vpid, 0); // the descriptor names another PCID than the current one
            populate(&k);
            mmu_inval(&k.c->isa, ISA_INVAL_INVPCID, type, 1, PAGE_A);
            expect(&k, "INVPCID", rule[type], (struct ctx){vpid, 1, 0, PAGE_A});
        }
    kit_close(&k);
}

// 17. EPT violation: the guest-physical page under this EPTRTA; combined mappings of the linear address.
static bool r_violation(const struct specimen *s, const struct ctx *x)
{
    if (s->eptrta != x->ept)
        return false;
    return is_la(s) ? s->page == PAGE_B && s->vpid == x->vpid && (s->pcid == x->pcid || s->global) : s->page == PAGE_A;
}
static void test_ept_violation(void **state)
{
    struct kit k;
    zoo_open(&k);
    be(&k, 2, 1);
    populate(&k);
    assert_int_equal(mmu_ept_violation(k.c, (struct gpa){PAGE_A}, PAGE_B, true, true, ISA_ACC_W, EPT_R, 0), ISA_R_VMEXIT);
    expect(&k, "EPT violation", r_violation, (struct ctx){2, 1, EPT_1, 0});
    kit_close(&k);
}

// 18. VM entries and VM exits with "enable VPID" = 0: linear and combined mappings of VPID 0, never guest-physical ones.
static void test_transitions(void **state)
{
    struct kit k;
    zoo_open(&k);
    populate(&k);
    kit_nonroot(&k, EPT_1 | 3 << 3 | 6, 0);
    expect(&k, "VM entry without VPID", r_vpid, (struct ctx){0, 0, 0, 0});
    populate(&k);
    kit_root(&k);
    expect(&k, "VM exit without VPID", r_vpid, (struct ctx){0, 0, 0, 0});
    populate(&k);
    kit_nonroot(&k, EPT_1 | 3 << 3 | 6, 1);
    kit_root(&k);
    for (unsigned i = 0; i < nzoo; i++)
        assert_true(there(&k, &zoo[i]));
    kit_close(&k);
}

// 19. INVVPID.
static bool r_invvpid0(const struct specimen *s, const struct ctx *x) { return r_vpid(s, x) && s->page == x->page; }
static bool r_invvpid2(const struct specimen *s, const struct ctx *x) { return is_la(s) && s->vpid != 0; }
static void test_invvpid(void **state)
{
    static rule_fn *const rule[] = {r_invvpid0, r_vpid, r_invvpid2, r_invpcid3};
    struct kit k;
    zoo_open(&k);
    for (unsigned type = 0; type < 4; type++) {
        populate(&k);
        mmu_invvpid(k.c, type, 1, PAGE_A);
        expect(&k, "INVVPID", rule[type], (struct ctx){1, 0, 0, PAGE_A});
    }
    kit_close(&k);
}

// 20. INVEPT: guest-physical and combined mappings, never linear ones.
static bool r_invept1(const struct specimen *s, const struct ctx *x) { return s->map != TLB_LINEAR && s->eptrta == x->ept; }
static bool r_invept2(const struct specimen *s, const struct ctx *x) { return s->map != TLB_LINEAR; }
static void test_invept(void **state)
{
    struct kit k;
    zoo_open(&k);
    populate(&k);
    mmu_invept(k.c, 1, EPT_2 | 3 << 3 | 6);
    expect(&k, "INVEPT 1", r_invept1, (struct ctx){0, 0, EPT_2, 0});
    populate(&k);
    mmu_invept(k.c, 2, 0);
    expect(&k, "INVEPT 2", r_invept2, (struct ctx){0, 0, 0, 0});
    kit_close(&k);
}

// 21. A reset empties everything, and so does what scenarios ask for.
static void test_everything(void **state)
{
    struct kit k;
    zoo_open(&k);
    populate(&k);
    unsigned pos = 0;
    sim_tlb_flush_all(k.m, 0);
    assert_null(tlb_next(k.c->tlb, &pos));
    populate(&k);
    mmu_reset(k.c);
    pos = 0;
    assert_null(tlb_next(k.c->tlb, &pos));
    kit_close(&k);
}

// --- creation

static void test_tags_and_contents(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_URW | ISA_PTE_G | ISA_PTE_XD, 1);
    kit_long(&k, root);
    k.c->isa.cr4 |= ISA_CR4_PCIDE;
    k.c->isa.cr3 = root | 7;
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_put(&k, kit_ept_entry(&k, eptp, 0x300000, 1), 0x300000 + k.bias + EPT_R + EPT_X + KIT_WB);
    kit_nonroot(&k, eptp, 5);
    kit_must_read(&k, la);
    unsigned pos = 0, seen = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k.c->tlb, &pos));) {
        assert_int_equal(e->eptrta, eptp & EPT_ADDR);
        if (e->unit == TLB_NTLB) {
            assert_int_equal(e->mapping, TLB_GUEST_PHYSICAL);
            assert_int_equal(e->frame.v, e->tag + k.bias);
            assert_int_equal(e->vpid, 0);
            continue;
        }
        seen |= 1u << e->unit;
        assert_int_equal(e->mapping, TLB_COMBINED);
        assert_int_equal(e->vpid, 5);
        assert_int_equal(e->pcid, 7);
        if (e->unit == TLB_DTLB) {
            assert_true(e->global);
            assert_false(e->dirty);
            assert_int_equal(e->tag, la);
            assert_int_equal(e->gpa.v, 0x300000);
            assert_int_equal(e->frame.v, 0x300000 + k.bias);
            assert_int_equal(e->gperms, TLB_PERM_R | TLB_PERM_W | TLB_PERM_U); // AND of the guest's levels
            assert_int_equal(e->perms, TLB_PERM_R | TLB_PERM_U);               // and of the EPT's
            assert_int_equal(e->src[0].v, kit_entry(&k, root, 4, la, 1));
            assert_int_equal(e->src[1].v, kit_ept_entry(&k, eptp, 0x300000, 1));
        }
        if (e->unit == TLB_PDE) {
            assert_false(e->global);
            assert_int_equal(e->tag, la);
            assert_int_equal(e->frame.v,
                             kit_entry(&k, root, 4, la, 1) & ~0xfffull); // host-physical: no EPT walk for the next table
        }
    }
    assert_int_equal(seen, 1u << TLB_DTLB | 1u << TLB_STLB | 1u << TLB_PML4E | 1u << TLB_PDPTE | 1u << TLB_PDE);
    kit_close(&k);
}

// Entries that map a page make no paging-structure-cache entry; absent entries make nothing; upper levels are cached even
// if nothing is present below them.
static void test_what_is_cached(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), v;
    kit_map(&k, root, 0x40000000, 0x400000, KIT_RW, 2);
    kit_entry(&k, root, 4, 0x80000000, 1);
    kit_long(&k, root);
    kit_must_read(&k, 0x40000000);
    assert_int_equal(tlb_count(k.c->tlb, TLB_PDE), 0);
    assert_int_equal(tlb_count(k.c->tlb, TLB_PDPTE), 1);
    kit_listen(&k, EV_BIT(EV_TLB_FILL));
    kit_expect_pf(&k, kit_read(&k, 0x80000000, &v), 0, ISA_RULE_PF_NOT_PRESENT);
    unsigned pde = 0, tlb = 0;
    for (unsigned i = 0; i < k.nev; i++) {
        pde += k.entry[i].unit == TLB_PDE;
        tlb += k.entry[i].unit <= TLB_STLB;
    }
    assert_int_equal(pde, 1);
    assert_int_equal(tlb, 0);
    kit_map(&k, root, 0x80000000, 0x300000, KIT_RW, 1); // not present -> present: nothing to flush
    kit_must_read(&k, 0x80000000);
    kit_close(&k);
}

// 2. With EPT on, linear mappings are not used, but may be retained.
static void test_linear_and_combined_do_not_mix(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_put(&k, 0x300000, 111);
    kit_put(&k, 0x301000, 222);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false), other = kit_ept(&k, 0x800000, 1, false);
    kit_ept_map(&k, eptp, 0x300000, 0x301000, EPT_RWX, 1);
    kit_listen(&k, KIT_TRANSLATION);
    kit_nonroot(&k, 0, 1);
    assert_int_equal(kit_must_read(&k, la), 111);
    kit_nonroot(&k, eptp, 1); // same VPID
    assert_int_equal(kit_must_read(&k, la), 222);
    kit_nonroot(&k, other, 1); // 23. two EPTs may share a VPID
    assert_int_equal(kit_must_read(&k, la), 111);
    kit_nonroot(&k, 0, 1);
    assert_int_equal(kit_refs(&k, la), 0); // retained
    kit_nonroot(&k, eptp, 1);
    assert_int_equal(kit_refs(&k, la), 0);
    assert_int_equal(kit_must_read(&k, la), 222);
    kit_close(&k);
}

static void test_paging_switched_on_under_ept(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_put(&k, 0x300000, 111);
    kit_put(&k, 0x200000, 222);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 1);
    assert_int_equal(kit_must_read(&k, la), 222);
    kit_long(&k, root);
    mmu_inval(&k.c->isa, ISA_INVAL_CR0_PG, 0, 0, 0);
    assert_int_equal(kit_must_read(&k, la), 111);
    kit_close(&k);
}

// 9. A large guest page on small EPT pages is cached as fragments; INVLPG of any address in it drops them all.
static void test_fragments(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x40000000;
    kit_map(&k, root, la, 0x400000, KIT_RW, 2);
    kit_long(&k, root);
    kit_nonroot(&k, kit_ept(&k, 0x800000, 1, false), 1);
    for (unsigned i = 0; i < 8; i++)
        kit_must_read(&k, la + i * 0x1000);
    assert_int_equal(tlb_count(k.c->tlb, TLB_DTLB), 8);
    unsigned pos = 0;
    assert_int_equal(tlb_next(k.c->tlb, &pos)->page_shift, 12);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la + 0x1ff000, 0, 0);
    assert_int_equal(tlb_count(k.c->tlb, TLB_DTLB), 0);
    assert_int_equal(tlb_count(k.c->tlb, TLB_STLB), 0);
    kit_close(&k);
}

static void test_globals_survive_cr3(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW | ISA_PTE_G, 1);
    kit_map(&k, root, la + 0x1000, 0x301000, KIT_RW, 1);
    kit_long(&k, root);
    kit_listen(&k, KIT_TRANSLATION);
    kit_must_read(&k, la);
    kit_must_read(&k, la + 0x1000);
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(kit_refs(&k, la), 0);
    assert_int_equal(kit_refs(&k, la + 0x1000), 4); // the paging-structure caches went too
    // G means nothing while CR4.PGE = 0.
    k.c->isa.cr4 &= ~(uint64_t)ISA_CR4_PGE;
    mmu_inval(&k.c->isa, ISA_INVAL_CR4, ISA_CR4_PGE, 0, 0);
    kit_must_read(&k, la);
    mmu_inval(&k.c->isa, ISA_INVAL_CR3, root, 0, 0);
    assert_int_equal(kit_refs(&k, la), 4);
    kit_close(&k);
}

// VPID 0: after an exit and an entry an EPT guest walks its own dimension only.
static void test_vpid_zero_keeps_guest_physical(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 0);
    kit_listen(&k, KIT_TRANSLATION);
    assert_int_equal(kit_refs(&k, la), 24);
    kit_root(&k);
    kit_nonroot(&k, eptp, 0);
    assert_int_equal(kit_refs(&k, la), 4);
    kit_root(&k);
    kit_nonroot(&k, eptp, 3);
    assert_int_equal(kit_refs(&k, la), 4);
    kit_root(&k);
    kit_nonroot(&k, eptp, 3);
    assert_int_equal(kit_refs(&k, la), 0);
    kit_close(&k);
}

// A missing INVEPT after rights were lowered is observable; INVEPT ends it.
static void test_missing_invept(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false), at = kit_ept_entry(&k, eptp, 0x300000, 1);
    kit_nonroot(&k, eptp, 1);
    assert_int_equal(kit_write(&k, la, 1), 0);
    kit_put(&k, at, (kit_get(&k, at) & ~7ull) | EPT_R);
    assert_int_equal(kit_write(&k, la, 2), 0);
    kit_root(&k);
    kit_nonroot(&k, eptp, 1);
    assert_int_equal(kit_write(&k, la, 3), 0);
    mmu_invept(k.c, 1, eptp);
    assert_int_equal(kit_write(&k, la, 4), ISA_R_VMEXIT);
    kit_close(&k);
}

// --- stale entries

static void test_stale(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_put(&k, 0x300000, 111);
    kit_put(&k, 0x301000, 222);
    kit_long(&k, root);
    uint64_t at = kit_entry(&k, root, 4, la, 1), v;
    assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    kit_listen(&k, EV_BIT(EV_TLB_STALE));
    assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    kit_put(&k, at, kit_get(&k, at) | ISA_PTE_D | 1ull << 9); // D and an available bit change nothing
    assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    assert_int_equal(k.count[EV_TLB_STALE], 0);
    kit_map(&k, root, la, 0x301000, KIT_RW | ISA_PTE_A, 1);
    for (unsigned i = 1; i <= 3; i++) { // each use tells: nothing hides behind the mirror
        assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
        assert_int_equal(v, 111);
        assert_int_equal(k.count[EV_TLB_STALE], i);
    }
    assert_int_equal(k.ev[0].u.stale.la, la);
    assert_int_equal(k.ev[0].u.stale.now, 0x301000 | KIT_RW | ISA_PTE_A);
    assert_true(k.entry[0].stale);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la, 0, 0);
    assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    assert_int_equal(v, 222);
    assert_int_equal(k.count[EV_TLB_STALE], 3);
    kit_close(&k);
}

static void test_stale_by_inspection(void **state)
{
    struct kit k;
    kit_open(&k, false);
    k.bias = 0x800000;
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t eptp = kit_ept(&k, 0x800000, 1, false);
    kit_nonroot(&k, eptp, 1);
    kit_must_read(&k, la);
    tlb_refresh_stale(k.m, 0);
    unsigned pos = 0, stale = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k.c->tlb, &pos));)
        stale += e->stale;
    assert_int_equal(stale, 0);
    kit_put(&k, kit_ept_entry(&k, eptp, 0x300000, 1), 0); // the last EPT entry
    tlb_refresh_stale(k.m, 0);
    pos = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k.c->tlb, &pos));) {
        assert_int_equal(e->stale, e->unit == TLB_DTLB || e->unit == TLB_STLB || (e->unit == TLB_NTLB && e->tag == 0x300000));
        stale += e->stale;
    }
    assert_int_equal(stale, 3);
    kit_close(&k);
}

// The write that made an entry stale is known, though the page table was written inline before it became a source.
static void test_stale_writer(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, win = 0x40000000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    uint64_t at = kit_entry(&k, root, 4, la, 1);
    kit_map(&k, root, win, at & ~0xfffull, KIT_RW, 1); // the page table itself
    kit_long(&k, root);
    struct isa_cpu *c = &k.c->isa;
    assert_int_equal(isa_st64(c, win + 0xff8, 0), 0);
    assert_non_null(isa_hit(c->wr, c, win, 8));
    assert_int_equal(isa_ld64(c, la, &v), 0);
    assert_null(isa_hit(c->wr, c, win, 8));
    c->rip = 0x1234;
    c->cycles += 1000;
    uint64_t then = c->cycles, slot = win + (at & 0xfff);
    assert_int_equal(isa_ld64(c, slot, &v), 0);
    assert_int_equal(isa_st64(c, slot, v | 1ull << 9), 0); // an available bit: no entry is stale for that
    assert_int_equal(isa_st64(c, slot, v ^ 0x1000), 0);
    c->rip = 0x5678;
    c->cycles += 1000;
    assert_int_equal(isa_st64(c, slot, v ^ 0x3000), 0); // stale already
    tlb_refresh_stale(k.m, 0);
    unsigned pos = 0, stale = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k.c->tlb, &pos));)
        if (e->stale) {
            assert_int_equal(e->tag, la);
            assert_int_equal(e->stale_rip, 0x1234);
            assert_int_equal(e->stale_cycle, then);
            stale++;
        }
    assert_int_equal(stale, 2);
    assert_int_equal(isa_st64(c, slot, v), 0); // as it was: not stale
    pos = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k.c->tlb, &pos));)
        assert_false(e->stale);
    // Once no entry comes from the page any more, it is written inline again.
    sim_tlb_flush_all(k.m, 0);
    kit_map(&k, root, win + 0x1000, 0x305000, KIT_RW, 1);
    kit_map(&k, root, win + 0x40000000, at & ~0xfffull, KIT_RW, 2 - 1);
    sim_tlb_flush_all(k.m, 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(isa_st64(c, win + 0x40000000 + 0xff8, 0), 0);
    assert_non_null(isa_hit(c->wr, c, win + 0x40000000, 8));
    mmu_mirror_check(k.c);
    kit_close(&k);
}

// --- replacement

static void read_set(struct kit *k, unsigned n) { kit_must_read(k, 0x200000 + n * 0x4000ull); } // teach: dTLB 4 sets, STLB 16 sets

static bool in_unit(struct kit *k, enum tlb_unit unit, unsigned n)
{
    unsigned pos = 0;
    for (const struct tlb_entry *e; (e = tlb_next(k->c->tlb, &pos));)
        if (e->unit == unit && e->tag == 0x200000 + n * 0x4000ull)
            return true;
    return false;
}

static void test_replacement(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k);
    for (unsigned n = 0; n < 64; n++)
        kit_map(&k, root, 0x200000 + n * 0x4000, 0x300000 + n * 0x1000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(k.c->tlb->u[TLB_DTLB].g[0].ways, 4);
    assert_int_equal(k.c->tlb->u[TLB_DTLB].g[0].sets, 4);
    // First level: by fill order. Uses of page 0 do not save it.
    for (unsigned n = 0; n < 4; n++)
        read_set(&k, n);
    for (unsigned i = 0; i < 10; i++)
        read_set(&k, 0);
    read_set(&k, 4);
    assert_false(in_unit(&k, TLB_DTLB, 0));
    for (unsigned n = 1; n <= 4; n++)
        assert_true(in_unit(&k, TLB_DTLB, n));
    // Second level: least recently used, hits counting. Pages 0, 4, 8, 12 share a set there.
    sim_tlb_flush_all(k.m, 0);
    for (unsigned n = 0; n < 16; n += 4)
        read_set(&k, n);
    read_set(&k, 16); // evicts 0 from the first level only if the sets are full: 0, 4, 8, 12 fill both
    assert_false(in_unit(&k, TLB_STLB, 0));
    read_set(&k, 1);
    read_set(&k, 2); // push 4 and 8 out of the first level
    read_set(&k, 4); // second-level hit: 4 is now the most recent there
    read_set(&k, 20);
    assert_true(in_unit(&k, TLB_STLB, 4));
    assert_false(in_unit(&k, TLB_STLB, 8));
    kit_close(&k);
}

static void test_evictions_are_told(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k);
    for (unsigned n = 0; n < 8; n++)
        kit_map(&k, root, 0x200000 + n * 0x4000, 0x300000 + n * 0x1000, KIT_RW, 1);
    kit_long(&k, root);
    kit_listen(&k, EV_BIT(EV_TLB_EVICT) | EV_BIT(EV_TLB_FLUSH));
    for (unsigned n = 0; n < 5; n++)
        read_set(&k, n);
    assert_int_equal(k.count[EV_TLB_EVICT], 1);
    assert_int_equal(k.entry[0].unit, TLB_DTLB);
    assert_int_equal(k.entry[0].tag, 0x200000);
    kit_forget(&k);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, 0x210000, 0, 0);
    assert_int_equal(k.count[EV_TLB_FLUSH], 1);
    assert_string_equal(k.ev[0].u.flush.cause, "INVLPG");
    assert_int_equal(k.ev[0].u.flush.dropped, 2 + 3); // both levels, and PML4E, PDPTE, PDE caches
    kit_close(&k);
}

static void test_matrix_size(void **state)
{
    assert_true(matrix_rows >= 20);
    printf("# invalidation matrix: %u invalidations (instructions, faults, transitions) of %u kinds of entries, %u cases\n",
           matrix_rows, nzoo, matrix_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invlpg),
        cmocka_unit_test(test_mov_cr3),
        cmocka_unit_test(test_control_registers),
        cmocka_unit_test(test_page_fault),
        cmocka_unit_test(test_invpcid),
        cmocka_unit_test(test_ept_violation),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_invvpid),
        cmocka_unit_test(test_invept),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_matrix_size),
        cmocka_unit_test(test_tags_and_contents),
        cmocka_unit_test(test_what_is_cached),
        cmocka_unit_test(test_linear_and_combined_do_not_mix),
        cmocka_unit_test(test_paging_switched_on_under_ept),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_globals_survive_cr3),
        cmocka_unit_test(test_vpid_zero_keeps_guest_physical),
        cmocka_unit_test(test_missing_invept),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_stale_by_inspection),
        cmocka_unit_test(test_stale_writer),
        cmocka_unit_test(test_replacement),
        cmocka_unit_test(test_evictions_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
