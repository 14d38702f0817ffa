// The command line: words, options, numbers, suggestions, and the texts generated from the same rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cli.h"
#include "sim/info.h"

static struct sim_error err;
static int parse(struct cli *c, const char *line)
{
    static char buf[512];
    static char *argv[32];
    int argc = 0;
    snprintf(buf, sizeof buf, "%s", line);
    for (char *w = strtok(buf, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    argv[argc] = NULL;
    memset(&err, 0, sizeof err);
    return cli_parse(c, argc, argv, &err);
}

static void test_words(void **state)
{
    struct cli c;
    assert_int_equal(parse(&c, "ringside"), 0);
    assert_int_equal(c.verb, CLI_HELP);
    assert_int_equal(parse(&c, "ringside run lab.lua --tap"), 0);
    assert_int_equal(c.verb, CLI_RUN);
    assert_non_null(c.opt[OPT_TAP]);
    assert_int_equal(c.nargs, 1);
    assert_string_equal(c.args[0], "lab.lua");
    assert_null(c.args[1]);
    assert_int_equal(parse(&c, "ringside draw walk --at nested lab.lua -o walk.svg"), 0);
    assert_string_equal(c.opt[OPT_AT], "nested");
    assert_string_equal(c.opt[OPT_OUTPUT], "walk.svg");
    assert_int_equal(c.nargs, 2);
    assert_string_equal(c.args[1], "lab.lua");
}

// After the scenario's first own word everything belongs to the scenario.
static void test_scenario_arguments(void **state)
{
    struct cli c;
    assert_int_equal(parse(&c, "ringside run --quiet lab.lua first --tap -x"), 0);
    assert_non_null(c.opt[OPT_QUIET]);
    assert_null(c.opt[OPT_TAP]);
    assert_int_equal(c.nargs, 4);
    assert_string_equal(c.args[2], "--tap");
}

static void test_mistakes(void **state)
{
    struct cli c;
    assert_int_equal(parse(&c, "ringside rnu lab.lua"), -1);
    assert_int_equal(err.status, SIM_USAGE);
    assert_string_equal(err.what, "no verb \"rnu\" (did you mean run?); ringside help lists them");
    assert_int_equal(parse(&c, "ringside run --tpa lab.lua"), -1);
    assert_string_equal(err.what, "ringside run: no option --tpa (did you mean --tap?); ringside help run lists them");
    assert_int_equal(parse(&c, "ringside draw walk lab.lua --at"), -1);
    assert_string_equal(err.what, "ringside draw: --at needs an argument");
    assert_int_equal(parse(&c, "ringside run -dash.bin"), -1); // several letters in one word
    assert_string_equal(err.what, "ringside run: no option -dash.bin; ringside help run lists them");
    assert_int_equal(parse(&c, "ringside run --theme light x"), -1); // an option of another verb
    assert_int_equal(err.status, SIM_USAGE);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
        int r;
    } rows[] = {
        {"64M", 64u << 20, 0},
        {"0x10", 16, 0},
        {"2G", 2ull << 30, 0},
        {"1e9", 1000000000, 0},
        {"12", 12, 0},
        {"4k", 4096, 0},
        {"", 0, -1},
        {"x", 0, -1},
        {"-1", 0, -1},
        {"1X", 0, -1},
        {"99999999999G", 0, -1},
        {"99999999999999999999", 0, -1},
        {"1e30", 0, -1},
        {"nan", 0, -1},
        {" -1", 0, -1},
        {"1e", 0, -1},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli c = {.opt = {[OPT_RAM] = rows[i].text}};
        uint64_t v;
        assert_int_equal(cli_number(&c, OPT_RAM, 7, &v, &err), rows[i].r);
        if (!rows[i].r)
            assert_int_equal(v, rows[i].want);
    }
    struct cli none = {0};
    uint64_t v;
    assert_int_equal(cli_number(&none, OPT_RAM, 7, &v, &err), 0);
    assert_int_equal(v, 7);
}

// What means nothing for a scenario, or for an image, is said.
static void test_refused(void **state)
{
    struct cli c;
    assert_int_equal(parse(&c, "ringside run lab.lua x --profile teach"), 0); // these words are the scenario's own
    assert_int_equal(cli_refuse(&c, "image: ", "no", &err), 0);
    assert_int_equal(parse(&c, "ringside run --set a=1 --profile teach lab.lua"), 0);
    assert_int_equal(cli_refuse(&c, "scenario: ", "no", &err), 0);
    assert_int_equal(cli_refuse(&c, "image: ", "no", &err), -1);
    assert_string_equal(err.what, "--profile: no");
    assert_int_equal(parse(&c, "ringside run --tap kernel.bin"), 0);
    assert_int_equal(cli_refuse(&c, "scenario: ", "no", &err), -1);
}

static void test_counts(void **state)
{
    struct cli c = {.opt = {[OPT_CPUS] = "99"}};
    unsigned n = 0;
    assert_int_equal(cli_count(&c, OPT_CPUS, 8, &n, &err), -1);
    assert_string_equal(err.what, "--cpus 99: give 1 to 8");
    c.opt[OPT_CPUS] = "0";
    assert_int_equal(cli_count(&c, OPT_CPUS, 8, &n, &err), -1);
    c.opt[OPT_CPUS] = "8";
    assert_int_equal(cli_count(&c, OPT_CPUS, 8, &n, &err), 0);
    assert_int_equal(n, 8);
    c.opt[OPT_CPUS] = NULL;
    assert_int_equal(cli_count(&c, OPT_CPUS, 8, &n, &err), 0);
    assert_int_equal(n, 1);
}

// Names as people say them, in one word or in several.
static void test_explain(void **state)
{
    static const struct {
        const char *words[3];
        const char *says; // NULL: nothing is called that
    } rows[] = {
        {{"EPT_VIOLATION"}, "exit reason 48"},
        {{"ept", "violation"}, "exit reason 48"},
        {{"HLT exiting"}, "bit 7 of the primary"},
        {{"exit", "48"}, "EPT_VIOLATION"},
        {{"#gp"}, "vector 13"},
        {{"ept", "nonsense"}, NULL},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text, *words[3] = {NULL};
        size_t n;
        int k = 0;
        for (; k < 3 && rows[i].words[k]; k++)
            words[k] = (char *)rows[i].words[k];
        FILE *f = open_memstream(&text, &n);
        assert_int_equal(info_explain(f, words, k, &err), rows[i].says ? 0 : -1);
        fclose(f);
        assert_true(!rows[i].says || strstr(text, rows[i].says));
        free(text);
    }
    assert_non_null(strstr(err.what, "\"ept nonsense\""));
}

// Every option stands in the help of its verbs, in the man page, in the completion and in the docs.
static void test_generated(void **state)
{
    char *man, *comp, *md, *help;
    size_t n;
    FILE *f = open_memstream(&man, &n);
    cli_man(f);
    fclose(f);
    f = open_memstream(&comp, &n);
    cli_completion_bash(f);
    fclose(f);
    f = open_memstream(&md, &n);
    cli_markdown(f);
    fclose(f);
    f = open_memstream(&help, &n);
    for (unsigned v = 0; v < CLI_NVERB; v++)
        cli_help_verb(f, (enum cli_verb)v);
    fclose(f);
    static const char *const names[] = {
#define OPT(id, verbs, name, letter, arg, text) name,
#include "sim/options.def"
#undef OPT
    };
    for (unsigned i = 0; i < CLI_NOPT; i++) {
        char dashed[64], roff[64];
        snprintf(dashed, sizeof dashed, "--%s", names[i]);
        snprintf(roff, sizeof roff, "\\-\\-%s", names[i]);
        assert_non_null(strstr(help, dashed));
        assert_non_null(strstr(comp, dashed));
        if (i != OPT_HELP) {
            assert_non_null(strstr(md, dashed));
            assert_non_null(strstr(man, roff));
        }
    }
    for (const char *p = help; *p;) { // 80 columns
        size_t len = strcspn(p, "\n");
        assert_true(len <= 80);
        p += len + (p[len] == '\n');
    }
    free(man);
    free(comp);
    free(md);
    free(help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),    cmocka_unit_test(test_scenario_arguments),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_counts),
        cmocka_unit_test(test_explain),  cmocka_unit_test(test_generated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
