// Tests of targets and their report: the table, verdicts, charts, and all scenarios of scenarios/validate.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua/lx.h"
#include "lua/target.h"

static char dir[] = "/tmp/ringside-target-XXXXXX";
static const char *in_dir(const char *name)
{
    static char path[4][sizeof dir + 48];
    static unsigned k;
    char *p = path[k++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}
static int make_dir(void **state) { return mkdtemp(dir) ? 0 : -1; }
static int remove_dir(void **state) { return rmdir(dir); }

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *s = calloc(1, 1 << 20);
    assert_true(fread(s, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return s;
}

// Run validate; the text is the caller's.
static enum sim_status validate(const char *where, const char *const *ids, const char *report, char **text, struct sim_error *err)
{
    size_t n;
    *err = (struct sim_error){0};
    FILE *f = open_memstream(text, &n);
    enum sim_status s = lx_validate(&(struct lx_validate_options){.dir = where, .ids = ids, .report = report, .out = f}, err);
    fclose(f);
    return s;
}

static void test_table(void **state)
{
    assert_true(lx_ntarget_rows >= 45);
    for (unsigned k = 0; k < lx_ntarget_rows; k++) {
        const struct lx_target_row *t = &lx_target_rows[k];
        assert_true(strlen(t->id) == 3 && t->id[0] == 'V' && t->lowest <= t->highest);
        assert_true(*t->expected && *t->tolerance && *t->statement && *t->source);
        assert_true(k == 0 || strcmp(lx_target_rows[k - 1].id, t->id) < 0);
    }
}

// A line per scenario, before it runs.
static void test_progress_lines(void)
{
    char *out, *progress;
    size_t nout, nprogress;
    struct sim_error err = {0};
    FILE *f = open_memstream(&out, &nout), *g = open_memstream(&progress, &nprogress);
    lx_validate(&(struct lx_validate_options){.dir = dir, .out = f, .progress = g}, &err);
    fclose(f);
    fclose(g);
    static const char lines[] = "measuring, 1 of 2: v01-v05-a\nmeasuring, 2 of 2: v22-b\nmeasured in ";
    assert_int_equal(strncmp(progress, lines, sizeof lines - 1), 0);
    free(out);
    free(progress);
}

static void test_verdicts(void **state)
{
    char *text, *md;
    struct sim_error err;
    put("v01-v05-a.lua", "ringside.target('V01', 24)\n"
                         "ringside.target('V05', 5.9)\n"
                         "ringside.target('V07', 9, 'counted', 'a reason')\n"
                         "ringside.plot{name = 'p', title = 'a < b', x = 'x', y = 'y', names = {'one', 'two'}, series = {{'s', {1, "
                         "2}, {2, 4.5}}}}\n");
    put("v22-b.lua", "ringside.target('V22', true)\nerror('broken')\n");
    assert_int_equal(validate(dir, NULL, in_dir("r.md"), &text, &err), SIM_CHECK_FAILED);
    assert_non_null(strstr(err.what, "1 targets and 1 scenarios"));
    assert_non_null(strstr(text, "PASS       V01"));
    assert_non_null(strstr(text, "FAIL       V05"));
    assert_non_null(strstr(text, "5.900"));
    assert_non_null(strstr(text, "EXPLAINED  V07"));
    assert_non_null(strstr(text, "9 (counted)"));
    assert_non_null(strstr(text, "PASS       V22"));
    assert_non_null(strstr(text, "broken"));
    assert_non_null(strstr(text, "2 passed, 1 missed and explained, 1 failed"));
    free(text);
    md = slurp(in_dir("r.md"));
    assert_non_null(strstr(md, "| V05 |"));
    assert_non_null(strstr(md, "validation-p.svg"));
    free(md);
    md = slurp(in_dir("validation-p.svg"));
    assert_non_null(strstr(md, "a &#60; b"));
    assert_non_null(strstr(md, ">two</text>"));
    assert_non_null(strstr(md, "</svg>"));
    free(md);
    test_progress_lines();
    // One of them, named in small letters; a name that is none.
    const char *const one[] = {"v01", NULL}, *const none[] = {"V99", NULL};
    assert_int_equal(validate(dir, one, NULL, &text, &err), SIM_OK);
    assert_null(strstr(text, "V05"));
    free(text);
    assert_int_equal(validate(dir, none, NULL, &text, &err), SIM_USAGE);
    free(text);
    assert_int_equal(validate(dir, one, "/nonexistent/r.md", &text, &err), SIM_USAGE);
    free(text);
    static const char *const files[] = {"v01-v05-a.lua", "v22-b.lua", "r.md", "validation-p.svg"};
    for (unsigned k = 0; k < sizeof files / sizeof *files; k++)
        unlink(in_dir(files[k]));
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *script, *message;
    } t[] = {{"ringside.target('V011', 1)", "did you mean 'V01'"},
             {"ringside.target('V01', 'many')", "number expected"},
             {"ringside.target('V01', 1e300)", "below 1e12"},
             {"ringside.plot{name = '../x', title = '', x = '', y = '', series = {}}", "small letters"},
             {"ringside.plot{title = '', x = '', y = '', series = {}}", "name is missing"},
             {"ringside.plot{name = 'a', title = '', x = '', y = '', names = 'b', series = {}}", "table expected"},
             {"ringside.plot{name = 'a', title = '', x = '', y = '', series = {{'s', {1}}}}", "number expected"}};
    for (unsigned k = 0; k < sizeof t / sizeof *t; k++) {
        struct sim_error err = {0};
        put("t.lua", t[k].script);
        FILE *null = fopen("/dev/null", "w");
        assert_int_equal(lx_run(&(struct lx_options){.file = in_dir("t.lua"), .out = null}, NULL, &err), SIM_SCRIPT);
        fclose(null);
        if (!strstr(err.what, t[k].message))
            fail_msg("%s: %s", t[k].script, err.what);
    }
    unlink(in_dir("t.lua"));
}

// All scenarios; what misses is explained. And, of some, the same bytes each time.
static void test_scenarios(void **state)
{
    char *text, *again;
    struct sim_error err;
    static const char *const some[] = {"V01", "V13", "V23", "V50", "V70", "V75", NULL};
    char *first;
    assert_int_equal(validate("scenarios/validate", some, NULL, &first, &err), SIM_OK);
    assert_int_equal(validate("scenarios/validate", some, NULL, &again, &err), SIM_OK);
    assert_string_equal(first, again);
    if (validate("scenarios/validate", NULL, NULL, &text, &err) != SIM_OK)
        fail_msg("%s\n%s", err.what, text);
    unsigned passed = 0;
    for (const char *p = text; (p = strstr(p, "PASS ")); p++)
        passed++;
    assert_true(passed >= 35);
    print_message("# %u targets met\n", passed);
    free(text);
    free(first);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_verdicts),
                                       cmocka_unit_test(test_mistakes), cmocka_unit_test(test_scenarios)};
    return cmocka_run_group_tests_name("target", tests, make_dir, remove_dir);
}
