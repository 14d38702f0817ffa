// Tests of sweeps: tasks, tables, parameters, and that the number of processes changes no byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua/lx.h"
#include "lua/sweep.h"

static char dir[] = "/tmp/ringside-sweep-XXXXXX";
static const char *in_dir(const char *name)
{
    static char path[4][sizeof dir + 32];
    static unsigned k;
    char *p = path[k++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}
static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}
static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    put("s.lua", "local n, word, yes = ringside.param('n', 1), ringside.param('word', 'a'), ringside.param('yes', false)\n"
                 "local m = ringside.machine{}\n"
                 "m:assemble('again: dec rcx\\njnz again\\nhlt', {start = 'long64'})\n"
                 "m.cpu.rcx = n\n"
                 "m:run()\n"
                 "ringside.result('loops', m.insns // 2)\n"
                 "if n > 100 then ringside.result('text', word .. ', \"' .. tostring(yes) .. '\"') end\n"
                 "ringside.check(n ~= 7, 'not seven')\n"
                 "if n == 13 then error('bad luck') end\n");
    return 0;
}
static int remove_dir(void **state)
{
    static const char *const files[] = {"s.lua", "tasks", "one", "table"};
    for (unsigned k = 0; k < sizeof files / sizeof *files; k++)
        unlink(in_dir(files[k]));
    return rmdir(dir);
}

static char *sweep(struct lx_sweep_options o, enum sim_status want, struct sim_error *err)
{
    char *text;
    size_t n;
    *err = (struct sim_error){0};
    o.file = in_dir("s.lua");
    o.out = open_memstream(&text, &n);
    enum sim_status s = lx_sweep(&o, err);
    fclose(o.out);
    if (s != want)
        fail_msg("status %d: %s\n%s", s, err->what, text);
    return text;
}

static void test_tasks(void **state)
{
    static const char *const set[] = {"n=1,200", "tlb.l2.entries=16,64,256"};
    struct sim_error err;
    char *t = sweep((struct lx_sweep_options){.set = set, .nset = 2, .tasks = true}, SIM_OK, &err);
    assert_string_equal(t, "n=1 tlb.l2.entries=16\nn=1 tlb.l2.entries=64\nn=1 tlb.l2.entries=256\n"
                           "n=200 tlb.l2.entries=16\nn=200 tlb.l2.entries=64\nn=200 tlb.l2.entries=256\n");
    free(t);
}

// The table is the same with any number of processes, from lines, and from one process per line as a scheduler would have it.
static void test_same_bytes(void **state)
{
    static const char *const set[] = {"n=1,3,200,201,7", "word=x,y", "profile=teach,textbook"};
    struct sim_error err;
    char *one = sweep((struct lx_sweep_options){.set = set, .nset = 3, .jobs = 1}, SIM_OK, &err);
    char *three = sweep((struct lx_sweep_options){.set = set, .nset = 3, .jobs = 3}, SIM_OK, &err);
    assert_string_equal(one, three);
    assert_non_null(strstr(one, "n,word,profile,status,cycles,insns,"));
    assert_non_null(strstr(one, ",loops,text\n"));
    assert_non_null(strstr(one, "\n200,x,teach,0,"));
    assert_non_null(strstr(one, "\"x, \"\"false\"\"\""));
    assert_non_null(strstr(one, "\n7,y,textbook,1,")); // a claim that does not hold is a value of the table
    char *tasks = sweep((struct lx_sweep_options){.set = set, .nset = 3, .tasks = true}, SIM_OK, &err);
    put("tasks", tasks);
    char *from = sweep((struct lx_sweep_options){.from = in_dir("tasks"), .jobs = 2}, SIM_OK, &err);
    assert_string_equal(one, from);
    char *joined = calloc(1, strlen(one) + 1000), *line = tasks;
    strncat(joined, one, strcspn(one, "\n") + 1);
    for (unsigned k = 0; *line; k++, line += strcspn(line, "\n") + 1) {
        char text[128];
        snprintf(text, sizeof text, "# comment\n\n%.*s\n", (int)strcspn(line, "\n"), line);
        put("one", text);
        char *row = sweep((struct lx_sweep_options){.from = in_dir("one"), .no_header = true}, SIM_OK, &err);
        strcat(joined, row);
        free(row);
    }
    // A worker knows only the columns of its own task: the last one is missing where the scenario did not report it.
    assert_int_equal(strlen(one) - strlen(joined), 2 * 2 * 3);
    free(one), free(three), free(tasks), free(from), free(joined);
}

static void test_failures(void **state)
{
    static const char *const bad[] = {"n=1,13,2"}, *const unknown[] = {"wrod=a"}, *const word[] = {"n=many"},
                             *const key[] = {"tlb.l2.entries=0x"}, *const empty[] = {"n=1,,2"}, *const none[] = {"n"};
    struct sim_error err;
    char *t = sweep((struct lx_sweep_options){.set = bad, .nset = 1, .jobs = 2}, SIM_CHECK_FAILED, &err);
    assert_non_null(strstr(err.what, "1 of 3 tasks failed"));
    assert_non_null(strstr(t, "\n13,3,"));
    assert_non_null(strstr(t, "\n2,0,"));
    free(t);
    t = sweep((struct lx_sweep_options){.set = unknown, .nset = 1}, SIM_CHECK_FAILED, &err);
    assert_non_null(strstr(t, "\na,2,")); // usage
    free(t);
    t = sweep((struct lx_sweep_options){.set = word, .nset = 1}, SIM_CHECK_FAILED, &err);
    assert_non_null(strstr(t, "\nmany,2,"));
    free(t);
    t = sweep((struct lx_sweep_options){.set = key, .nset = 1}, SIM_CHECK_FAILED, &err);
    free(t);
    free(sweep((struct lx_sweep_options){.set = empty, .nset = 1}, SIM_USAGE, &err));
    free(sweep((struct lx_sweep_options){.set = none, .nset = 1}, SIM_USAGE, &err));
    free(sweep((struct lx_sweep_options){.set = bad, .nset = 1, .csv = "/nonexistent/x.csv"}, SIM_USAGE, &err));
    assert_non_null(strstr(err.what, "/nonexistent/x.csv"));
    free(sweep((struct lx_sweep_options){.from = "/nonexistent/tasks"}, SIM_USAGE, &err));
    free(sweep((struct lx_sweep_options){.from = dir}, SIM_USAGE, &err)); // a folder has no lines
    assert_non_null(strstr(err.what, "Is a directory"));
    char many[512] = "";
    for (unsigned k = 0; k < 65; k++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "n=%u ", k);
    put("tasks", many);
    free(sweep((struct lx_sweep_options){.from = in_dir("tasks")}, SIM_CHECK_FAILED, &err)); // not some of it
}

// A result may have the name of a counter or of a parameter: its column does not.
static void test_column_names(void **state)
{
    static const char *const set[] = {"n=1"};
    struct sim_error err;
    put("s.lua", "for _, name in ipairs{'walks', 'n', 'status', 'own'} do ringside.result(name, ringside.param('n', 0)) end");
    char *t = sweep((struct lx_sweep_options){.set = set, .nset = 1}, SIM_OK, &err);
    assert_non_null(strstr(t, ",result.walks,result.n,result.status,own\n1,0,"));
    assert_non_null(strstr(t, ",1,1,1,1\n"));
    free(t);
}

static void file_is(const char *name, const char *want)
{
    char text[64] = "";
    FILE *f = fopen(in_dir(name), "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    assert_memory_equal(text, want, strlen(want));
}

// A file's old table stays until the tasks have ended; a signal to leave ends them, and what was found is there.
static void test_interrupted(void **state)
{
    static const char *const set[] = {"n=1,2,0,3"};
    int status;
    put("table", "old");
    put("s.lua", "local m = ringside.machine{ram = '1M'} m:assemble('a: jmp a') if ringside.param('n', 1) == 0 then m:run() end");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct sim_error err = {0};
        const struct lx_sweep_options o = {.file = in_dir("s.lua"), .set = set, .nset = 1, .jobs = 1, .csv = in_dir("table")};
        _exit(lx_sweep(&o, &err) == SIM_CHECK_FAILED && strstr(err.what, "ended by a signal: the table has ") ? 0 : 1);
    }
    usleep(500000); // it is at n=0, which does not end
    file_is("table", "old");
    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    file_is("table", "n,status,");
}

// What a run says of a parameter that nobody reads, and of one that is read.
static void test_parameters(void **state)
{
    static const char *const unknown[] = {"wrod=a"}, *const near[] = {"tlb.l2.entires=4"},
                             *const good[] = {"n=5", "tlb.l2.entries=16", "n=6"};
    struct sim_error err = {0};
    FILE *null = fopen("/dev/null", "w");
    assert_int_equal(lx_run(&(struct lx_options){.file = in_dir("s.lua"), .out = null, .set = unknown, .nset = 1}, NULL, &err),
                     SIM_USAGE);
    assert_non_null(strstr(err.what, "did you mean word?"));
    assert_int_equal(lx_run(&(struct lx_options){.file = in_dir("s.lua"), .out = null, .set = near, .nset = 1}, NULL, &err),
                     SIM_USAGE);
    assert_non_null(strstr(err.what, "did you mean tlb.l2.entries?"));
    fclose(null);
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    assert_int_equal(lx_run(&(struct lx_options){.file = in_dir("s.lua"), .out = f, .set = good, .nset = 3}, NULL, &err), SIM_OK);
    fclose(f);
    assert_non_null(strstr(text, "loops = 6"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tasks),        cmocka_unit_test(test_same_bytes),
                                       cmocka_unit_test(test_failures),     cmocka_unit_test(test_parameters),
                                       cmocka_unit_test(test_column_names), cmocka_unit_test(test_interrupted)};
    return cmocka_run_group_tests_name("sweep", tests, make_dir, remove_dir);
}
