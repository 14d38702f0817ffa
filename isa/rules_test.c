// isa/rules_test.c: the tables of rules, vectors and manual sections fit together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/fault.h"
#include "isa/manual.h"
#include "isa/msr.h"

static void rules(void **state)
{
    for (unsigned r = 1; r < ISA_RULE_NUM; r++) {
        const struct isa_rule_info *i = isa_rule_info(r);
        if (!isa_manual(i->sdm))
            fail_msg("rule %s cites %s, which isa/sdm.def does not have", i->id, i->sdm);
        assert_string_not_equal(isa_vector_info(i->vector)->mnemonic, "reserved");
        size_t n = strlen(i->text);
        if (n < 10 || i->text[n - 1] != '.')
            fail_msg("rule %s: not a sentence: %s", i->id, i->text);
        for (unsigned q = 1; q < r; q++)
            assert_string_not_equal(isa_rule_info(q)->id, i->id);
    }
    assert_string_equal(isa_rule_info(ISA_RULE_NUM)->id, "NONE");
    printf("# rules: %d, each with a manual section and a sentence\n", ISA_RULE_NUM - 1);
}

static void sections(void **state)
{
    for (unsigned n = 0; isa_manual_n(n); n++)
        if (isa_manual(isa_manual_n(n)->key) != isa_manual_n(n))
            fail_msg("key %s twice in isa/sdm.def", isa_manual_n(n)->key);
}

static void vectors(void **state)
{
    assert_string_equal(isa_vector_info(ISA_X_GP)->mnemonic, "#GP");
    assert_true(isa_vector_info(ISA_X_DE)->contributory);
    assert_false(isa_vector_info(ISA_X_PF)->contributory);
    assert_string_equal(isa_vector_info(15)->mnemonic, "reserved");
    assert_string_equal(isa_vector_info(255)->mnemonic, "interrupt");
}

static void msrs(void **state)
{
    for (unsigned k = 1; k < isa_msr_count; k++)
        assert_true(isa_msr_info[k].addr > isa_msr_info[k - 1].addr); // sorted, so no duplicates
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(sections),
        cmocka_unit_test(vectors),
        cmocka_unit_test(msrs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
