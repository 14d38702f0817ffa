// Entry formats and access rights, against a model written from the manual's sentences rather than from isa/paging.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "isa/paging.h"

static struct isa_pg pg(enum isa_pg_mode mode)
{
    return (struct isa_pg){
        .mode = mode, .maxphyaddr = 40, .nxe = true, .pse = true, .pse36 = true, .page1g = true, .wp = true, .pge = true};
}

// --- access rights

// The manual's lists of "Determination of Access Rights", sentence by sentence. True: allowed.
static bool manual_allows(bool user_access, bool implicit, char kind, bool user_page, bool rw, bool xd, bool wp, bool smep,
                          bool smap, bool nxe, bool ac)
{
    if (!user_access) {
        switch (kind) {
        case 'r':
            if (!user_page)
                return true; // data may be read from any supervisor-mode address
            if (!smap)
                return true;
            return !implicit && ac;
        case 'w':
            if (!user_page)
                return wp ? rw : true;
            if (smap && (implicit || !ac))
                return false;
            return wp ? rw : true;
        default:
            if (user_page && smep)
                return false;
            return nxe ? !xd : true;
        }
    }
    if (!user_page)
        return false;
    switch (kind) {
    case 'r': return true;
    case 'w': return rw;
    default: return nxe ? !xd : true;
    }
}

static void test_rights_matrix(void **state)
{
    unsigned n = 0, refused = 0;
    for (unsigned m = 0; m < 1u << 9; m++)
        for (unsigned who = 0; who < 3; who++) // user, supervisor explicit, supervisor implicit
            for (const char *k = "rwx"; *k; k++) {
                bool upage = m & 1, rw = m & 2, xd = m & 4, wp = m & 8, smep = m & 16, smap = m & 32, nxe = m & 64, ac = m & 128;
                bool rmw = m & 256;
                if ((xd && !nxe) || (rmw && *k != 'w') || (who == 2 && *k == 'x'))
                    continue; // reserved bit; only writes read first; no implicit fetches
                struct isa_pg p = pg(ISA_PG_4L);
                p.wp = wp;
                p.smep = smep;
                p.smap = smap;
                p.nxe = nxe;
                uint64_t entry = 1 | (rw ? ISA_PTE_RW : 0) | (upage ? ISA_PTE_US : 0) | (xd ? ISA_PTE_XD : 0);
                unsigned acc = *k == 'r' ? ISA_ACC_R : *k == 'x' ? ISA_ACC_X : rmw ? ISA_ACC_RMW : ISA_ACC_W;
                if (who == 2)
                    acc |= ISA_ACC_SYS;
                struct isa_cpu c = {.cpl = who == 0 ? 3 : 0};
                bool user = isa_pg_user(&c, acc);
                assert_int_equal(user, who == 0);
                enum isa_rule r = isa_pg_check(&p, isa_pg_rights(entry), user, acc, ac);
                bool want = manual_allows(who == 0, who == 2, *k, upage, rw, xd, wp, smep, smap, nxe, ac);
                if ((r == ISA_RULE_NONE) != want)
                    fail_msg("m=%x who=%u kind=%c: rule %d, the manual says %s", m, who, *k, r, want ? "allowed" : "refused");
                refused += !want;
                n++;
                if (r == ISA_RULE_NONE)
                    continue;
                uint32_t err =
                    ISA_PF_P | (*k == 'w' ? ISA_PF_W : 0) | (who == 0 ? ISA_PF_U : 0) | (*k == 'x' && (nxe || smep) ? ISA_PF_I : 0);
                assert_int_equal(isa_pg_error(&p, r, isa_pg_rights(entry), user, acc), err);
            }
    assert_true(refused > 100 && refused < n);
    printf("# access-rights cases: %u, refused %u\n", n, refused);
}

// What the manual says of protection keys ("Protection Keys"; error code: "Page-Fault Exceptions", PK flag).
static void test_protection_keys(void **state)
{
    unsigned n = 0, refused = 0;
    for (unsigned m = 0; m < 1u << 6; m++)
        for (unsigned who = 0; who < 3; who++)
            for (const char *k = "rwxm"; *k; k++) { // m: read-modify-write
                bool upage = m & 1, rw = m & 2, wp = m & 4, ad = m & 8, wd = m & 16, other = m & 32;
                struct isa_pg p = pg(other ? ISA_PG_5L : ISA_PG_4L);
                unsigned key = other ? 11 : 15;
                p.wp = wp;
                p.pkru =
                    (ad ? 1u << 2 * key : 0) | (wd ? 2u << 2 * key : 0) | (other ? 3 : 3u << 8); // of key 0 or 4: does not matter
                uint64_t entry = 1 | (rw ? ISA_PTE_RW : 0) | (upage ? ISA_PTE_US : 0) | (uint64_t)key << 59;
                if (who == 2 && *k == 'x')
                    continue;
                unsigned acc = *k == 'r' ? ISA_ACC_R : *k == 'x' ? ISA_ACC_X : *k == 'm' ? ISA_ACC_RMW : ISA_ACC_W;
                acc |= who == 2 ? ISA_ACC_SYS : 0;
                bool user = who == 0, writes = *k == 'w' || *k == 'm';
                bool denied = upage && *k != 'x' && (ad || (wd && writes && (user || wp)));
                bool plain = !(user && !upage) && !(writes && !rw && (user || wp));
                unsigned rights = isa_pg_rights(entry) | isa_pg_key(&p, entry);
                enum isa_rule r = isa_pg_check(&p, rights, user, acc, false);
                assert_int_equal(r == ISA_RULE_NONE, plain && !denied);
                assert_int_equal(r == ISA_RULE_PF_PKEY, plain && denied);
                if (r != ISA_RULE_NONE) {
                    refused++;
                    uint32_t err = isa_pg_error(&p, r, rights, user, acc);
                    assert_int_equal(err & (ISA_PF_P | ISA_PF_PK), ISA_PF_P | (denied ? ISA_PF_PK : 0));
                }
                assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, rights, user, acc) & ISA_PF_PK, 0);
                assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_RSVD, rights, user, acc) & ISA_PF_PK, 0);
                n++;
            }
    assert_true(refused > 100 && refused < n);
    printf("# protection-key cases: %u, refused %u\n", n, refused);
    struct isa_pg pae = pg(ISA_PG_PAE); // no keys outside IA-32e mode
    assert_int_equal(isa_pg_key(&pae, 15ull << 59), 0);
    struct isa_cpu c = {.cr0 = ISA_CR0_PG, .cr4 = ISA_CR4_PAE | ISA_CR4_PKE, .pkru = 0x55, .efer = ISA_EFER_LMA};
    isa_pg_init(&pae, &c, 36, true, true);
    assert_int_equal(pae.pkru, 0x55);
    c.efer = 0;
    isa_pg_init(&pae, &c, 36, true, true);
    assert_int_equal(pae.pkru, 0);
}

static void test_who_is_user(void **state)
{
    struct isa_cpu c = {.cpl = 3};
    assert_true(isa_pg_user(&c, ISA_ACC_W));
    assert_false(isa_pg_user(&c, ISA_ACC_W | ISA_ACC_SYS));
    for (c.cpl = 0; c.cpl < 3; c.cpl++) {
        assert_false(isa_pg_user(&c, ISA_ACC_R));
        assert_true(isa_pg_user(&c, ISA_ACC_R | ISA_ACC_USER));
    }
}

static void test_rules_named(void **state)
{
    struct isa_pg p = pg(ISA_PG_4L);
    p.smep = p.smap = true;
    assert_int_equal(isa_pg_check(&p, ISA_PG_W | ISA_PG_X, true, ISA_ACC_R, false), ISA_RULE_PF_USER);
    assert_int_equal(isa_pg_check(&p, ISA_PG_U, true, ISA_ACC_W, false), ISA_RULE_PF_WRITE);
    assert_int_equal(isa_pg_check(&p, ISA_PG_U | ISA_PG_W, true, ISA_ACC_X, false), ISA_RULE_PF_XD);
    assert_int_equal(isa_pg_check(&p, ISA_PG_U | ISA_PG_X, false, ISA_ACC_X, false), ISA_RULE_PF_SMEP);
    assert_int_equal(isa_pg_check(&p, ISA_PG_U | ISA_PG_W, false, ISA_ACC_R, false), ISA_RULE_PF_SMAP);
}

// --- formats

static uint64_t span(unsigned hi, unsigned lo)
{
    uint64_t v = 0;
    for (unsigned i = lo; i <= hi; i++)
        v |= 1ull << i;
    return v;
}

static void test_reserved_long(void **state)
{
    struct isa_pg p = pg(ISA_PG_4L);
    const uint64_t phys = span(51, 40);
    assert_int_equal(isa_pg_reserved(&p, 4, 1), phys | span(7, 7));
    assert_int_equal(isa_pg_reserved(&p, 3, 1), phys);
    assert_int_equal(isa_pg_reserved(&p, 3, 1 | ISA_PTE_PS), phys | span(29, 13));
    assert_int_equal(isa_pg_reserved(&p, 2, 1), phys);
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), phys | span(20, 13));
    assert_int_equal(isa_pg_reserved(&p, 1, 1 | ISA_PTE_PS), phys); // PAT
    p.page1g = false;
    assert_int_equal(isa_pg_reserved(&p, 3, 1 | ISA_PTE_PS), phys | span(7, 7));
    p.nxe = false;
    assert_int_equal(isa_pg_reserved(&p, 1, 1), phys | span(63, 63));
    p.maxphyaddr = 52;
    assert_int_equal(isa_pg_reserved(&p, 1, 1), span(63, 63));
    p = pg(ISA_PG_5L);
    assert_int_equal(isa_pg_reserved(&p, 5, 1), phys | span(7, 7));
}

static void test_reserved_pae(void **state)
{
    struct isa_pg p = pg(ISA_PG_PAE);
    assert_int_equal(isa_pg_reserved(&p, 1, 1), span(62, 40));
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), span(62, 40) | span(20, 13));
    p.nxe = false;
    assert_int_equal(isa_pg_reserved(&p, 1, 1), span(63, 40));
    assert_int_equal(isa_pg_pdpte_reserved(40), span(63, 40) | span(8, 5) | span(2, 1));
}

static void test_reserved_32(void **state)
{
    struct isa_pg p = pg(ISA_PG_32);
    assert_int_equal(isa_pg_reserved(&p, 1, 0xffffffff), 0);
    assert_int_equal(isa_pg_reserved(&p, 2, 1), 0);
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), span(21, 21));
    p.maxphyaddr = 36;
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), span(21, 17));
    p.pse36 = false;
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), span(21, 13));
    p.pse = false;
    assert_int_equal(isa_pg_reserved(&p, 2, 1 | ISA_PTE_PS), 0);
    assert_false(isa_pg_leaf(&p, 2, 1 | ISA_PTE_PS));
}

static void test_geometry(void **state)
{
    const uint64_t la = 0x0123456789abcdefull;
    struct isa_pg p = pg(ISA_PG_4L);
    assert_int_equal(isa_pg_shift(ISA_PG_4L, 4), 39);
    assert_int_equal(isa_pg_shift(ISA_PG_32, 2), 22);
    assert_int_equal(isa_pg_index(ISA_PG_4L, 1, la), la >> 12 & 0x1ff);
    assert_int_equal(isa_pg_index(ISA_PG_4L, 4, la), la >> 39 & 0x1ff);
    assert_int_equal(isa_pg_index(ISA_PG_5L, 5, la), la >> 48 & 0x1ff);
    assert_int_equal(isa_pg_index(ISA_PG_32, 1, la), la >> 12 & 0x3ff);
    assert_int_equal(isa_pg_index(ISA_PG_32, 2, la), la >> 22 & 0x3ff);
    assert_int_equal(isa_pg_top(ISA_PG_NONE), 0);
    assert_int_equal(isa_pg_top(ISA_PG_PAE), 2);
    assert_int_equal(isa_pg_top(ISA_PG_5L), 5);
    uint64_t e = 0x80000012345fffffull;
    assert_int_equal(isa_pg_frame(&p, 1, e, true), 0x12345ff000ull);
    assert_int_equal(isa_pg_frame(&p, 2, e, true), 0x1234400000ull);
    assert_int_equal(isa_pg_frame(&p, 3, e, true), 0x1200000000ull);
    assert_int_equal(isa_pg_frame(&p, 3, e, false), 0x12345ff000ull);
    p = pg(ISA_PG_32);
    // PSE-36: bits 20:13 of the entry are address bits 39:32.
    assert_int_equal(isa_pg_frame(&p, 2, 0xabc00000ull | 0x5aull << 13 | ISA_PTE_PS, true), 0x5aabc00000ull);
    assert_int_equal(isa_pg_frame(&p, 2, 0xabcde007ull, false), 0xabcde000ull);
    assert_int_equal(isa_pg_entry_size(ISA_PG_32), 4);
    assert_int_equal(isa_pg_entry_size(ISA_PG_PAE), 8);
    assert_string_equal(isa_pg_level_name(4), "PML4E");
}

static void test_init(void **state)
{
    struct isa_cpu c;
    struct isa_pg p;
    memset(&c, 0, sizeof c);
    isa_pg_init(&p, &c, 39, true, false);
    assert_int_equal(p.mode, ISA_PG_NONE);
    c.cr0 = ISA_CR0_PG | ISA_CR0_PE | ISA_CR0_WP;
    isa_pg_init(&p, &c, 39, true, false);
    assert_int_equal(p.mode, ISA_PG_32);
    assert_true(p.wp && !p.page1g && p.maxphyaddr == 39);
    c.cr4 = ISA_CR4_PAE;
    isa_pg_init(&p, &c, 39, true, false);
    assert_int_equal(p.mode, ISA_PG_PAE);
    c.efer = ISA_EFER_LMA | ISA_EFER_LME | ISA_EFER_NXE;
    isa_pg_init(&p, &c, 39, true, false);
    assert_int_equal(p.mode, ISA_PG_4L);
    assert_true(p.nxe);
    c.cr4 |= ISA_CR4_LA57;
    isa_pg_init(&p, &c, 39, true, false);
    assert_int_equal(p.mode, ISA_PG_5L);
}

static void test_error_code(void **state)
{
    struct isa_pg p = pg(ISA_PG_4L);
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, false, ISA_ACC_R), 0);
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, true, ISA_ACC_W), ISA_PF_W | ISA_PF_U);
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_RSVD, 0, false, ISA_ACC_R), ISA_PF_P | ISA_PF_RSVD);
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, false, ISA_ACC_X), ISA_PF_I);
    p.nxe = false;
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, false, ISA_ACC_X), 0);
    p.smep = true;
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, false, ISA_ACC_X), ISA_PF_I);
    p = pg(ISA_PG_32); // NXE does nothing with 32-bit paging
    assert_int_equal(isa_pg_error(&p, ISA_RULE_PF_NOT_PRESENT, 0, false, ISA_ACC_X), 0);
}

static void test_memory_types(void **state)
{
    const uint64_t reset = 0x0007040600070406ull;
    assert_int_equal(isa_pg_pat(reset, 1, 0), ISA_MT_WB);
    assert_int_equal(isa_pg_pat(reset, 1, ISA_PTE_PWT), ISA_MT_WT);
    assert_int_equal(isa_pg_pat(reset, 1, ISA_PTE_PCD), ISA_MT_UC_MINUS);
    assert_int_equal(isa_pg_pat(reset, 1, ISA_PTE_PCD | ISA_PTE_PWT), ISA_MT_UC);
    assert_int_equal(isa_pg_pat(0x0100000000000006ull, 1, ISA_PTE_PCD | ISA_PTE_PWT | ISA_PTE_PS), ISA_MT_WC);
    assert_int_equal(isa_pg_pat(0x0100000000000006ull, 2, ISA_PTE_PCD | ISA_PTE_PWT | 1ull << 12), ISA_MT_WC);
    assert_int_equal(isa_memtype_combine(ISA_MT_WB, ISA_MT_WB), ISA_MT_WB);
    assert_int_equal(isa_memtype_combine(ISA_MT_UC, ISA_MT_WB), ISA_MT_UC);
    assert_int_equal(isa_memtype_combine(ISA_MT_WB, ISA_MT_UC), ISA_MT_UC);
    assert_int_equal(isa_memtype_combine(ISA_MT_WC, ISA_MT_UC_MINUS), ISA_MT_WC);
    assert_int_equal(isa_memtype_combine(ISA_MT_UC, ISA_MT_WC), ISA_MT_WC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights_matrix), cmocka_unit_test(test_who_is_user),   cmocka_unit_test(test_protection_keys),
        cmocka_unit_test(test_rules_named),   cmocka_unit_test(test_reserved_long), cmocka_unit_test(test_reserved_pae),
        cmocka_unit_test(test_reserved_32),   cmocka_unit_test(test_geometry),      cmocka_unit_test(test_init),
        cmocka_unit_test(test_error_code),    cmocka_unit_test(test_memory_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
