// What `boot` waits for is found wherever it stands in the output.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/boot.h"

static bool found(const char *text, const char *output)
{
    size_t n = 0;
    for (; *output; output++) {
        n = sim_boot_matched(text, n, *output);
        if (!text[n])
            return true;
    }
    return false;
}

static void texts_are_found(void **state)
{
    static const char *const yes[][2] = {{"==>", "===>"}, {"aab", "aaab"}, {"abab!", "ababab!"}, {"a", "xa"}, {"# ", "\n## "}};
    for (unsigned i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(found(yes[i][0], yes[i][1]));
    assert_false(found("==>", "== =>"));
    assert_false(found("aab", "abb"));
}

// Against strstr(), on all outputs of ten characters of two kinds.
static void as_strstr_does(void **state)
{
    static const char *const texts[] = {"a", "ab", "aa", "aab", "aba", "abab", "aabaa", "abaab", "aaaa"};
    for (unsigned t = 0; t < sizeof texts / sizeof *texts; t++)
        for (unsigned bits = 0; bits < 1024; bits++) {
            char output[11] = "";
            for (unsigned k = 0; k < 10; k++)
                output[k] = bits >> k & 1 ? 'a' : 'b';
            assert_int_equal(found(texts[t], output), strstr(output, texts[t]) != NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_are_found), cmocka_unit_test(as_strstr_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
