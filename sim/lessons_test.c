// Lessons by name: all are found and say what they are about; nothing else is taken for one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/lessons.h"

static void test_names(void **state)
{
    char path[2048];
    assert_true(lessons_path(path, sizeof path, "page-walk"));
    assert_int_equal(access(path, R_OK), 0);
    static const char *const none[] = {"", ".", "..", "include", "page-walk/lab.lua", "../scenarios/page-walk", "nosuch"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(lessons_path(path, sizeof path, none[i]));
}

static void test_list(void **state)
{
    struct sim_error err = {0};
    char *text, dir[2048], at[2048];
    size_t n;
    FILE *f = open_memstream(&text, &n);
    assert_int_equal(lessons_list(f, &err), 0);
    fclose(f);
    assert_non_null(strstr(text, "  page-walk            how many memory references"));
    unsigned listed = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) < 80);
        if (strncmp(line, "  ", 2) || line[2] == ' ' || !strncmp(line, "  ringside", 10))
            continue;
        listed++;
        assert_int_not_equal(line[23], 0); // each says something
        line[2 + strcspn(line + 2, " ")] = 0;
        assert_true(lessons_path(at, sizeof at, line + 2));
    }
    assert_true(listed >= 13);
    free(text);
    lessons_tree_path(dir, sizeof dir, "scenarios/validate");
    assert_int_equal(access(dir, R_OK), 0);
    lessons_tree_path(dir, sizeof dir, "no/such/place");
    assert_int_not_equal(access(dir, R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
