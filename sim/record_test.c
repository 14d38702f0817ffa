// Tests of what a run leaves behind: counters, trace and ledger of a hypervisor that runs itself, read with json-c; and the files.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "sim/internal.h"
#include "sim/json.h"
#include "sim/ledger.h"
#include "sim/loader.h"
#include "sim/record.h"
#include "sim/stats.h"

#define DIR "build/guests/hypervisor/"

static char dir[] = "/tmp/ringside-record-XXXXXX";
static const char *in_dir(const char *name)
{
    static char path[4][sizeof dir + 32];
    static unsigned k;
    char *p = path[k++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}
static int make_dir(void **state) { return mkdtemp(dir) ? 0 : -1; }
static int remove_dir(void **state) { return rmdir(dir); }

static struct sim_machine *hypervisor(const char *cmdline)
{
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(NULL, &err);
    const struct sim_load how = {
        .image = SIM_IMAGE_MULTIBOOT, .cmdline = cmdline, .modules = {{.path = DIR "kernel.bin"}}, .nmodules = 1};
    if (!m || sim_load_file(m, DIR "hypervisor.bin", &how, NULL, &err) < 0)
        fail_msg("%s (make guests)", err.what);
    return m;
}

static uint64_t stat(struct sim_machine *m, const char *name)
{
    uint64_t v = 0;
    assert_true(sim_stat(m, 0, name, &v));
    return v;
}

// Run with everything on; the files are written when this returns, the machine still stands.
static struct sim_machine *recorded(const char *cmdline, const char *stats, const char *trace)
{
    struct sim_error err = {0};
    const struct record_options o = {.stats = stats, .perfetto = trace};
    const struct sim_until until = {.max_cycles = 200000000};
    struct sim_machine *m = hypervisor(cmdline);
    struct record *r = record_begin(&o, &err);
    assert_non_null(r);
    bool quit = false;
    record_open(r, m);
    assert_int_equal(record_run(r, m, &until, &quit).kind, SIM_STOP_EXIT);
    assert_false(quit);
    assert_int_equal(record_end(r, &err), 0);
    return m;
}

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(o, name, &v))
        fail_msg("no member %s", name);
    return v;
}
static const char *text_of(struct json_object *o, const char *name) { return json_object_get_string(member(o, name)); }
static uint64_t number_of(struct json_object *o, const char *name) { return json_object_get_uint64(member(o, name)); }

static void test_stats(void **state)
{
    struct sim_machine *m = recorded("depth=2 vpid=0", in_dir("s.json"), NULL);
    struct json_object *doc = json_object_from_file(in_dir("s.json"));
    assert_non_null(doc);
    assert_string_equal(text_of(doc, "schema"), "ringside-stats");
    struct json_object *list = member(json_object_array_get_idx(member(doc, "machines"), 0), "stats");
    uint64_t exits = 0, refs = 0, fills = 0, dropped = 0, invalidated = 0, found = 0;
    for (size_t k = 0; k < json_object_array_length(list); k++) {
        struct json_object *s = json_object_array_get_idx(list, k);
        const char *name = text_of(s, "name");
        uint64_t v = number_of(s, "value");
        assert_true(strlen(text_of(s, "description")) > 3);
        for (size_t n = 0; n < k; n++)
            assert_string_not_equal(name, text_of(json_object_array_get_idx(list, n), "name"));
        exits += !strncmp(name, "cpu0.vmexit.", 12) ? v : 0;
        refs += !strncmp(name, "cpu0.ref.", 9) ? v : 0;
        fills += strstr(name, ".fills") ? v : 0;
        dropped += strstr(name, ".dropped") ? v : 0;
        invalidated += strstr(name, ".invalidated") ? v : 0;
        for (unsigned s2 = 0; sim_stat_name(s2); s2++)
            if (!strncmp(name, "cpu0.", 5) && !strcmp(name + 5, sim_stat_name(s2))) {
                assert_int_equal(v, stat(m, sim_stat_name(s2)));
                found++;
            }
    }
    // What the events say adds up to what the processor counted.
    assert_true(stat(m, "vmexits") > 500 && stat(m, "tlb_flushed") > 0);
    assert_int_equal(exits, stat(m, "vmexits"));
    assert_int_equal(refs, stat(m, "walk_refs"));
    assert_int_equal(fills, stat(m, "tlb_fills"));
    assert_int_equal(dropped, stat(m, "tlb_flushed"));
    assert_int_equal(invalidated, dropped);
    assert_int_equal(found, 0u + SIM_NSTAT - 2 + 2); // all but the simulator's own two, and cycles and insns
    print_message("# %zu counters\n", json_object_array_length(list));
    json_object_put(doc);
    sim_destroy(m);
    unlink(in_dir("s.json"));
}

struct track {
    double end;    // of its last slice
    double cycles; // in all its slices
    unsigned slices, instants;
};

static void test_perfetto(void **state)
{
    struct sim_machine *m = recorded("depth=2 vpid=1", NULL, in_dir("t.json"));
    struct json_object *doc = json_object_from_file(in_dir("t.json"));
    assert_non_null(doc);
    struct json_object *list = member(doc, "traceEvents");
    struct track track[8] = {0};
    double walks = -1;
    size_t n = json_object_array_length(list);
    for (size_t k = 0; k < n; k++) {
        struct json_object *e = json_object_array_get_idx(list, k);
        const char *ph = text_of(e, "ph"), *name = text_of(e, "name");
        uint64_t tid = number_of(e, "tid");
        assert_true(tid < 8 && number_of(e, "pid") == 1);
        if (!strcmp(ph, "X")) {
            double ts = json_object_get_double(member(e, "ts")), dur = json_object_get_double(member(e, "dur"));
            assert_true(ts >= track[tid].end - 1e-6); // slices of a track follow each other
            track[tid].end = ts + dur;
            track[tid].cycles += (double)number_of(member(e, "args"), "cycles");
            track[tid].slices++;
        } else if (!strcmp(ph, "i")) {
            track[tid].instants += json_object_object_get_ex(member(e, "args"), "reason", NULL);
        } else if (!strcmp(ph, "C")) {
            double v = (double)number_of(member(e, "args"), "count");
            if (!strcmp(name, "page walks")) {
                assert_true(v >= walks);
                walks = v;
            }
        } else {
            assert_string_equal(ph, "M");
        }
    }
    struct sim_cpu *c = m->cpu[0];
    assert_int_equal(track[1].slices, track[2].slices + track[3].slices + 1); // root at both ends
    assert_int_equal(track[2].instants + track[3].instants, stat(m, "vmexits"));
    assert_true(track[2].instants > 100 && track[3].instants > 10);                                   // both levels
    assert_int_equal((uint64_t)(track[1].cycles + track[2].cycles + track[3].cycles), c->isa.cycles); // all the time there was
    assert_int_equal((uint64_t)walks, stat(m, "walks"));
    print_message("# %zu trace events\n", n);
    json_object_put(doc);
    sim_destroy(m);
    unlink(in_dir("t.json"));
}

// Recording changes nothing in the guest, and the ledger's accounts add up.
static void test_same_run(void **state)
{
    struct sim_until until = {.max_cycles = 200000000};
    struct sim_machine *plain = hypervisor("depth=2 vpid=1"), *m;
    assert_int_equal(sim_run(plain, &until).kind, SIM_STOP_EXIT);
    m = recorded("depth=2 vpid=1", in_dir("s.txt"), in_dir("t.json"));
    assert_int_equal(sim_state_hash(m), sim_state_hash(plain));
    assert_int_equal(sim_now(m), sim_now(plain));
    unlink(in_dir("s.txt"));
    unlink(in_dir("t.json"));
    sim_destroy(plain);
    sim_destroy(m);
    m = hypervisor("depth=2 vpid=1");
    struct ledger *l = ledger_keep(m);
    assert_ptr_equal(l, ledger_keep(m));
    sim_run(m, &until);
    ledger_update(l);
    struct ledger_level sum = {0};
    for (unsigned k = 0; k < LEDGER_LEVELS; k++) {
        sum.cycles += l->level[k].cycles;
        sum.walks += l->level[k].walks;
        sum.refs += l->level[k].refs;
        sum.dropped += l->level[k].dropped;
        sum.exits += l->level[k].exits;
    }
    assert_int_equal(ledger_levels(l), 3);
    assert_int_equal(sum.cycles, sim_now(m));
    assert_int_equal(sum.walks, stat(m, "walks"));
    assert_int_equal(sum.refs, stat(m, "walk_refs"));
    assert_int_equal(sum.dropped, stat(m, "tlb_flushed"));
    assert_int_equal(sum.exits, stat(m, "vmexits"));
    sim_destroy(m);
}

static void test_files(void **state)
{
    struct sim_error err = {0};
    assert_null(record_begin(&(struct record_options){.stats = "/nonexistent/s"}, &err));
    assert_int_equal(err.status, SIM_USAGE);
    assert_non_null(strstr(err.what, "/nonexistent/s"));
    err.status = SIM_OK;
    assert_null(record_begin(&(struct record_options){.stats = in_dir("s"), .perfetto = "/nonexistent/t"}, &err));
    assert_int_equal(err.status, SIM_USAGE);
    unlink(in_dir("s"));
    err.status = SIM_OK;
    assert_null(record_begin(&(struct record_options){0}, &err));
    assert_int_equal(err.status, SIM_OK);
    if (access("/dev/full", W_OK) == 0) {
        struct record *r = record_begin(&(struct record_options){.stats = "/dev/full"}, &err);
        struct sim_machine *m = sim_create(NULL, &err);
        record_open(r, m);
        assert_int_equal(record_end(r, &err), -1);
        assert_non_null(strstr(err.what, "/dev/full"));
        sim_destroy(m);
    }
}

// A guest that never ends is left by a signal, and its files are whole.
static void test_signal(void **state)
{
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(NULL, &err);
    struct record *r = record_begin(&(struct record_options){.stats = in_dir("s.json"), .stoppable = true}, &err);
    static const uint8_t loop[] = {0xeb, 0xfe};
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x7c00, loop, sizeof loop);
    const struct sim_load how = {.addr = 0x7c00};
    FILE *f = fopen(in_dir("loop"), "w");
    fwrite(loop, 1, sizeof loop, f);
    fclose(f);
    assert_int_equal(sim_load_file(m, in_dir("loop"), &how, NULL, &err), 0);
    record_open(r, m);
    raise(SIGTERM);
    bool quit = false;
    struct sim_stop s = record_run(r, m, &(struct sim_until){0}, &quit);
    assert_int_equal(s.kind, SIM_STOP_REQUEST);
    assert_non_null(strstr(s.text, "at RIP 0x7c00, cycle "));
    assert_true(quit);
    assert_int_equal(record_end(r, &err), 0);
    struct json_object *doc = json_object_from_file(in_dir("s.json"));
    assert_non_null(doc);
    json_object_put(doc);
    sim_destroy(m);
    unlink(in_dir("s.json"));
    unlink(in_dir("loop"));
}

static void test_strings(void **state)
{
    static const struct {
        const char *s, *want;
    } t[] = {{"a\"b\\c", "a\"b\\c"},
             {"\x01\n\t\x7f", "\x01\n\t\x7f"},
             {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
             {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
             {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};
    for (unsigned k = 0; k < sizeof t / sizeof *t; k++) {
        char *text;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        json_string(f, t[k].s);
        fclose(f);
        struct json_object *o = json_tokener_parse(text);
        assert_non_null(o);
        assert_string_equal(json_object_get_string(o), t[k].want);
        json_object_put(o);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats), cmocka_unit_test(test_perfetto), cmocka_unit_test(test_same_run),
        cmocka_unit_test(test_files), cmocka_unit_test(test_strings),  cmocka_unit_test(test_signal),
    };
    return cmocka_run_group_tests_name("record", tests, make_dir, remove_dir);
}
