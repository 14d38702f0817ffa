// Accesses: across pages, without RAM, to devices, by host pointers; their events; translations that a walk replaces.
#include "sim/mmu_testkit.h"

static void test_cross_page(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x305000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(kit_write(&k, la + 0xffd, 0x8877665544332211), 0);
    assert_int_equal(kit_must_read(&k, la + 0xffd), 0x8877665544332211);
    assert_int_equal(kit_get(&k, 0x300ff8) >> 40, 0x332211);
    assert_int_equal(kit_get(&k, 0x305000) & 0xffffffffff, 0x8877665544);
    // The second page is not writable: nothing is written to the first, and CR2 is to be the start of the second.
    kit_map(&k, root, la + 0x1000, 0x305000, KIT_P, 1);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la + 0x1000, 0, 0);
    kit_expect_pf(&k, kit_write(&k, la + 0xffd, 0), ISA_PF_P | ISA_PF_W, ISA_RULE_PF_WRITE);
    assert_int_equal(k.c->isa.fault.addr, la + 0x1000);
    assert_int_equal(kit_get(&k, 0x300ff8) >> 40, 0x332211);
    v = 0x55;
    kit_map(&k, root, la + 0x1000, 0, 0, 1);
    mmu_inval(&k.c->isa, ISA_INVAL_INVLPG, la + 0x1000, 0, 0);
    kit_expect_pf(&k, kit_read(&k, la + 0xffd, &v), 0, ISA_RULE_PF_NOT_PRESENT);
    assert_int_equal(v, 0x55);
    kit_close(&k);
}

static void test_no_memory(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000;
    kit_map(&k, root, la, 0x100000000ull, KIT_RW, 1);
    kit_map(&k, root, la + 0x1000, 0x7ffffff000ull, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(kit_must_read(&k, la), ~0ull);
    assert_int_equal(kit_write(&k, la, 5), 0);
    assert_int_equal(kit_must_read(&k, la), ~0ull);
    assert_int_equal(kit_must_read(&k, la + 0x1000), ~0ull);
    uint64_t len;
    assert_null(mmu_host_run(&k.c->isa, la, 64, &len, ISA_ACC_R));
    kit_close(&k);
}

// A device that notes how it was accessed.
struct probe_dev {
    struct dev dev;
    unsigned n;
    struct {
        uint64_t off, val;
        unsigned size;
        bool write;
    } a[16];
};
static uint64_t probe_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct probe_dev *p = (struct probe_dev *)d;
    p->a[p->n].off = off;
    p->a[p->n++].size = size;
    return 0x1111111111111111ull * (off & 15);
}
static void probe_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct probe_dev *p = (struct probe_dev *)d;
    p->a[p->n].off = off;
    p->a[p->n].size = size;
    p->a[p->n].write = true;
    p->a[p->n++].val = val;
}
static void probe_reset(struct dev *d) {}
static uint64_t probe_hash(const struct dev *d, uint64_t h) { return h; }

static void test_mmio(void **state)
{
    static const struct dev_ops ops = {"probe", probe_reset, NULL, probe_read, probe_write, NULL, probe_hash};
    struct kit k;
    kit_open(&k, false);
    struct probe_dev *p = calloc(1, sizeof *p);
    p->dev.ops = &ops;
    dev_attach(k.m, &p->dev);
    dev_map_mmio(&p->dev, 0, (struct hpa){0xfe000000}, 0x1000);
    uint64_t root = kit_table(&k), la = 0x200000;
    uint32_t v;
    kit_map(&k, root, la, 0xfe000000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_ld32(&k.c->isa, la + 4, &v), 0);
    assert_int_equal(v, 0x44444444);
    assert_int_equal(isa_ld32(&k.c->isa, la + 4, &v), 0); // not mirrored: the device sees every access
    assert_int_equal(p->n, 2);
    assert_int_equal(p->a[0].size, 4);
    assert_int_equal(isa_st32(&k.c->isa, la + 8, 0xdeadbeef), 0);
    assert_true(p->a[2].write && p->a[2].size == 4 && p->a[2].off == 8 && p->a[2].val == 0xdeadbeef);
    // Unaligned: single accesses, each naturally aligned.
    p->n = 0;
    uint32_t w = 0x44332211;
    assert_int_equal(mmu_write(&k.c->isa, la + 0x11, &w, 4, ISA_ACC_W), 0);
    assert_int_equal(p->n, 3);
    assert_true(p->a[0].size == 1 && p->a[0].val == 0x11 && p->a[1].size == 2 && p->a[1].val == 0x3322 && p->a[2].val == 0x44);
    assert_int_equal(mmu_mirror_check(k.c), 0);
    uint64_t len;
    assert_null(mmu_host_run(&k.c->isa, la, 64, &len, ISA_ACC_R));
    kit_close(&k);
}

static void test_host_run(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, len = 0;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    uint64_t cycles = k.c->isa.cycles;
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_R)); // not in the TLB: no walk behind the caller's back
    assert_int_equal(k.c->isa.cycles, cycles);
    assert_int_equal(k.c->stat[SIM_STAT_WALKS], 0);
    kit_must_read(&k, la);
    assert_ptr_equal(mmu_host_run(&k.c->isa, la + 0x10, 100, &len, ISA_ACC_R), kit_ram(&k, 0x300010));
    assert_int_equal(len, 100);
    assert_ptr_equal(mmu_host_run(&k.c->isa, la + 0xff0, 100, &len, ISA_ACC_R), kit_ram(&k, 0x300ff0));
    assert_int_equal(len, 16);
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_W)); // D is clear
    assert_int_equal(kit_write(&k, la, 1), 0);
    assert_non_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_W));
    kit_cpl(&k, 3);
    assert_null(mmu_host_run(&k.c->isa, la, 100, &len, ISA_ACC_R)); // would fault
    kit_close(&k);
}

static void test_mem_events(void **state)
{
    struct kit k;
    kit_open(&k, false);
    uint64_t root = kit_table(&k), la = 0x200000, v;
    kit_map(&k, root, la, 0x300000, KIT_RW, 1);
    kit_long(&k, root);
    assert_int_equal(isa_st64(&k.c->isa, la, 7), 0);
    assert_true(mmu_mirror_check(k.c) > 0);
    kit_listen(&k, EV_BIT(EV_MEM));
    assert_int_equal(mmu_mirror_check(k.c), 0); // the subscription emptied the mirrors
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(isa_ld64(&k.c->isa, la, &v), 0);
    assert_int_equal(k.count[EV_MEM], 3);
    assert_int_equal(k.ev[0].u.mem.pa.v, 0x300000);
    assert_int_equal(k.ev[0].u.mem.value, 7);
    kit_close(&k);
}

// A page whose D is clear becomes part of a large page, without INVLPG. The first write walks again to set D; from then on reads see what
// the write saw, by the inline TLB and without it.
static void test_write_finds_another_size(void **state)
{
    for (unsigned large = 0; large < 2; large++) {
        struct kit k;
        kit_open(&k, false);
        const uint64_t root = kit_table(&k), la = 0x400000;
        kit_map(&k, root, large ? la & ~0x1fffffull : la, large ? 0x200000 : 0x300000, KIT_RW, large ? 2 : 1);
        kit_long(&k, root);
        kit_must_read(&k, la);
        const uint64_t pde = kit_entry(&k, root, 4, la, 2);
        if (large) { // the other way round: a table in place of the large page
            kit_put(&k, pde, 0);
            kit_map(&k, root, la, 0x300000, KIT_RW, 1);
        } else {
            kit_put(&k, pde, 0x200000 | KIT_RW | ISA_PTE_PS);
        }
        assert_int_equal(kit_write(&k, la, 0x1234), 0);
        assert_int_equal(kit_must_read(&k, la), 0x1234);
        assert_int_equal(kit_must_read(&k, la), 0x1234);
        mmu_mirror_check(k.c);
        assert_int_equal(tlb_count(k.c->tlb, TLB_DTLB), 1);
        assert_int_equal(tlb_count(k.c->tlb, TLB_STLB), 1);
        kit_close(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_finds_another_size),
        cmocka_unit_test(test_cross_page),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_host_run),
        cmocka_unit_test(test_mem_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
