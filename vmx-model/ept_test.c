// EPT entries: misconfigurations, rights, qualification, memory types.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "vmx-model/ept.h"

#define CAP_ALL (1ull | 1ull << 16 | 1ull << 17 | 1ull << 21)

static struct ept make(uint64_t cap)
{
    struct ept e;
    ept_init(&e, 0x12345000 | 3 << 3 | 6, 40, cap);
    return e;
}

static void test_pointer(void **state)
{
    struct ept e;
    ept_init(&e, 0x00000087654321deull & ~0x39ull, 40, CAP_ALL);
    assert_int_equal(e.root, 0x8765432000ull);
    assert_true(e.ad);
    ept_init(&e, 0x1000 | 3 << 3 | 6, 40, 0);
    assert_int_equal(e.levels, 4);
    assert_false(e.ad || e.exec_only || e.page2m || e.page1g);
}

// Every combination of the low bits at every level, against the manual's list of misconfigurations.
static bool manual_misconfigured(unsigned level, uint64_t v, bool exec_only, bool page2m, bool page1g)
{
    bool r = v & 1, w = v & 2, x = v & 4, ps = v & 0x80;
    unsigned type = (unsigned)(v >> 3) & 7;
    if (!r && !w && !x)
        return false;
    if (!r && w)
        return true;
    if (!r && x && !exec_only)
        return true;
    if (v >> 40 & 0xfff)
        return true;
    bool leaf = level == 1 || (ps && (level == 2 || level == 3));
    if (!leaf)
        return (v >> 3 & 0xf) || (level == 4 && ps); // bits 6:3, and 7 of a PML4E
    if ((level == 2 && !page2m) || (level == 3 && !page1g))
        return true; // bit 7 is reserved then
    if (type == 2 || type == 3 || type == 7)
        return true;
    if (level == 2 && (v >> 12 & 0x1ff))
        return true;
    return level == 3 && (v >> 12 & 0x3ffff);
}

static void test_misconfigurations(void **state)
{
    static const uint64_t high[] = {0,          0x1000,     0x100000,   0x200000,   0x20000000, 0x40000000,
                                    1ull << 39, 1ull << 40, 1ull << 51, 1ull << 52, 1ull << 63};
    unsigned n = 0, bad = 0;
    for (unsigned caps = 0; caps < 8; caps++) {
        struct ept e = make((caps & 1) | (uint64_t)(caps >> 1 & 1) << 16 | (uint64_t)(caps >> 2) << 17);
        for (unsigned level = 1; level <= 4; level++)
            for (unsigned low = 0; low < 1u << 12; low++)
                for (unsigned h = 0; h < sizeof high / sizeof high[0]; h++) {
                    uint64_t v = low | high[h];
                    bool want = manual_misconfigured(level, v, caps & 1, caps & 2, caps & 4);
                    enum ept_status st = ept_check(&e, level, v);
                    if (ept_is_misconfig(st) != want || (st == EPT_NOT_PRESENT) != !(v & 7))
                        fail_msg("level %u entry %llx caps %u: status %d", level, (unsigned long long)v, caps, st);
                    bad += want;
                    n++;
                }
    }
    assert_true(bad > 0 && bad < n);
    printf("# EPT entries checked: %u, misconfigured %u\n", n, bad);
}

static void test_each_status(void **state)
{
    struct ept e = make(CAP_ALL), old = make(0);
    assert_int_equal(ept_check(&e, 1, 0), EPT_NOT_PRESENT);
    assert_int_equal(ept_check(&e, 1, 0x37), EPT_OK);
    assert_int_equal(ept_check(&e, 1, 0x32), EPT_BAD_WRITE_ONLY);
    assert_int_equal(ept_check(&e, 1, 0x34), EPT_OK);
    assert_int_equal(ept_check(&old, 1, 0x34), EPT_BAD_EXEC_ONLY);
    assert_int_equal(ept_check(&e, 1, 0x3f), EPT_BAD_TYPE);
    assert_int_equal(ept_check(&e, 4, 0x87), EPT_BAD_RESERVED);
    for (int s = EPT_OK; s <= EPT_BAD_TYPE; s++)
        assert_non_null(ept_status_text((enum ept_status)s));
}

// With mode-based execute control bit 10 makes an entry present, and execute-only counts for it too.
static void test_mode_based(void **state)
{
    struct ept e = make(CAP_ALL), old = make(0), plain = make(CAP_ALL);
    e.mbec = old.mbec = true;
    assert_int_equal(ept_check(&e, 1, 0x430), EPT_OK);
    assert_int_equal(ept_check(&plain, 1, 0x430), EPT_NOT_PRESENT);
    assert_int_equal(ept_check(&old, 1, 0x430), EPT_BAD_EXEC_ONLY);
    assert_int_equal(ept_check(&old, 1, 0x431), EPT_OK);
    assert_int_equal(ept_check(&e, 1, 0x432), EPT_BAD_WRITE_ONLY);
    assert_int_equal(ept_grants(&e, 0x431), EPT_R | EPT_USER_X);
    assert_int_equal(ept_grants(&e, 0x35), EPT_R | EPT_X);
    assert_int_equal(ept_grants(&plain, 0x431), EPT_R);
    assert_int_equal(ept_grants(&plain, 0x35), EPT_R | EPT_X | EPT_USER_X);
}

static void test_geometry(void **state)
{
    assert_int_equal(ept_index(1, 0x1ff000), 0x1ff);
    assert_int_equal(ept_index(4, 1ull << 39), 1);
    assert_true(ept_leaf(1, 7));
    assert_true(ept_leaf(2, 0x87));
    assert_false(ept_leaf(2, 7));
    assert_false(ept_leaf(4, 0x87));
    assert_int_equal(ept_frame(2, 0x12345687, true), 0x12200000);
    assert_int_equal(ept_frame(2, 0x12345607, false), 0x12345000);
    assert_int_equal(ept_frame(3, 0x7fe00087ull, true), 0x40000000);
}

static void test_rights_and_qualification(void **state)
{
    for (unsigned perms = 0; perms < 8; perms++)
        for (unsigned need = 1; need < 8; need++) {
            bool all = true;
            for (unsigned b = 0; b < 3; b++)
                if ((need >> b & 1) && !(perms >> b & 1))
                    all = false;
            assert_int_equal(ept_allows(perms, need), all);
            assert_int_equal(ept_violation_qual(need, perms, false, false), need | perms << 3);
            assert_int_equal(ept_violation_qual(need, perms, true, false), need | perms << 3 | 0x80);
            assert_int_equal(ept_violation_qual(need, perms, true, true), need | perms << 3 | 0x180);
        }
    assert_int_equal(ept_violation_qual(1, 0, false, true), 1); // bit 8 means nothing without bit 7
    struct ept e = make(CAP_ALL);
    assert_int_equal(ept_need_structure(&e), EPT_R);
    e.ad = true;
    assert_int_equal(ept_need_structure(&e), EPT_R | EPT_W);
}

static void test_memory_types(void **state)
{
    assert_int_equal(ept_memtype(6 << 3, 6, false), 6);
    assert_int_equal(ept_memtype(6 << 3, 6, true), 0);
    assert_int_equal(ept_memtype(6 << 3, 0, false), 0);
    assert_int_equal(ept_memtype(6 << 3 | EPT_IPAT, 0, false), 6);
    assert_int_equal(ept_memtype(0 << 3, 6, false), 0);
    assert_int_equal(ept_memtype(6 << 3, 1, false), 1);
    assert_int_equal(ept_memtype(1 << 3, 7, false), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointer),      cmocka_unit_test(test_misconfigurations),
        cmocka_unit_test(test_each_status),  cmocka_unit_test(test_mode_based),
        cmocka_unit_test(test_geometry),     cmocka_unit_test(test_rights_and_qualification),
        cmocka_unit_test(test_memory_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
