// sim/main.c: the composition root: the one file that knows the simulator, Lua and the visualizer at once. Verbs are rows of sim/options.def.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/lx.h"
#include "lua/sweep.h"
#include "lua/target.h"
#include "sim/bench.h"
#include "sim/boot.h"
#include "sim/cli.h"
#include "sim/gdb.h"
#include "sim/info.h"
#include "sim/inspect.h"
#include "sim/lessons.h"
#include "sim/loader.h"
#include "sim/profile.h"
#include "sim/record.h"
#include "visualizer/vz.h"

static enum sim_status complain(const struct sim_error *e)
{
    fprintf(stderr, "ringside: %s\n", e->what);
    return e->status;
}

static bool is_scenario(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".lua");
}

static bool is_system(const char *name)
{
    for (const char *const *s = sim_boot_systems(); *s; s++)
        if (!strcmp(*s, name))
            return access(name, F_OK) != 0; // a file of that name is an image
    return false;
}

// A lesson may go by its name, unless a file is called that.
static void find_lesson(const struct cli *c, int n)
{
    static char path[2048];
    if (n < c->nargs && access(c->args[n], F_OK) != 0 && lessons_path(path, sizeof path, c->args[n]))
        c->args[n] = path;
}

static int one_argument(const struct cli *c, const char *what, struct sim_error *e)
{
    if (c->nargs < 1)
        return sim_fail(e, SIM_USAGE, "which %s?%s ringside help shows the usage", what,
                        strstr(what, "scenario") ? " ringside lessons lists ours," : "");
    return 0;
}

// --- a guest image without a scenario

static struct sim_machine *machine_for_image(const struct cli *c, struct sim_error *e)
{
    static const char *const starts[] = {"auto", "real", "prot32", "long64", NULL};
    struct sim_config cfg = {.profile = c->opt[OPT_PROFILE], .loop = c->opt[OPT_LOOP], .no_mirror = c->opt[OPT_NO_MIRROR]};
    cfg.stuck_exits = c->opt[OPT_STUCK] ? 0 : SIM_STUCK_EXITS;
    if (c->opt[OPT_TLB] && sim_tlb_policy_by_name(c->opt[OPT_TLB], &cfg, e) < 0)
        return NULL;
    cfg.set = c->set;
    cfg.nset = c->nset;
    struct sim_load how = {
        .cmdline = c->opt[OPT_APPEND], .modules = {{.path = c->opt[OPT_MODULE]}}, .nmodules = c->opt[OPT_MODULE] ? 1 : 0};
    if (cli_count(c, OPT_CPUS, SIM_MAX_CPUS, &cfg.cpus, e) < 0 || cli_number(c, OPT_RAM, 64u << 20, &cfg.ram_bytes, e) < 0 ||
        cli_number(c, OPT_ADDR, 0x7c00, &how.addr, e) < 0 || cli_number(c, OPT_ENTRY, 0, &how.entry, e) < 0)
        return NULL;
    if (c->opt[OPT_FIDELITY] && sim_fidelity_by_name(c->opt[OPT_FIDELITY], &cfg.fidelity, e) < 0)
        return NULL;
    for (unsigned s = 0; c->opt[OPT_START]; s++) {
        if (!starts[s]) {
            const char *near = cli_nearest(c->opt[OPT_START], starts);
            sim_fail(e, SIM_USAGE, "--start %s: the states are auto, real, prot32 and long64%s%s%s", c->opt[OPT_START],
                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
            return NULL;
        }
        if (!strcmp(starts[s], c->opt[OPT_START])) {
            how.start = (enum sim_start)s;
            break;
        }
    }
    struct sim_machine *m = sim_create(&cfg, e);
    if (m && sim_load_file(m, c->args[0], &how, NULL, e) < 0) {
        sim_destroy(m);
        return NULL;
    }
    return m;
}

static void print_output(void *ctx, struct sim_machine *m, const struct ev *e)
{
    putchar(e->u.output.byte);
    if (e->u.output.byte == '\n')
        fflush(stdout);
}

static enum sim_status status_of(const struct sim_stop *s, bool from_guest)
{
    switch (s->kind) {
    case SIM_STOP_EXIT: return from_guest ? (enum sim_status)(s->code & 0xff) : SIM_OK;
    case SIM_STOP_LIMIT: return SIM_LIMIT;
    case SIM_STOP_SHUTDOWN:
    case SIM_STOP_STUCK:
    case SIM_STOP_UNMODELLED: return SIM_UNRECOVERABLE;
    default: return SIM_OK;
    }
}

// --- GDB and recording

struct session {
    struct gdb_net *net;
    struct gdb *gdb; // NULL: not asked for
    struct record *record;
    bool quit;
};

static int gdb_begin(const struct cli *c, struct session *g, struct sim_error *e)
{
    if (!c->opt[OPT_GDB])
        return 0;
    g->net = gdb_net_open(c->opt[OPT_GDB], e);
    if (!g->net)
        return -1;
    const struct gdb_io io = gdb_net_io(g->net);
    g->gdb = gdb_create(&io, NULL, NULL);
    return g->gdb ? 0 : sim_fail(e, SIM_INTERNAL, "out of memory");
}

static void gdb_end(struct session *g, unsigned status)
{
    if (g->gdb) {
        gdb_finish(g->gdb, status);
        gdb_destroy(g->gdb);
    }
    gdb_net_close(g->net);
}

// stoppable: Ctrl-C ends the run as any stop does, with the place where the guest is.
static int session_begin(const struct cli *c, bool stoppable, struct session *g, struct sim_error *e)
{
    const struct record_options o = {.stats = c->opt[OPT_STATS],
                                     .perfetto = c->opt[OPT_TRACE_PERFETTO],
                                     .ledger = c->opt[OPT_LEDGER] ? stderr : NULL,
                                     .stoppable = stoppable};
    *g = (struct session){0};
    g->record = record_begin(&o, e);
    if (e->status)
        return -1;
    if (gdb_begin(c, g, e) == 0)
        return 0;
    struct sim_error other = {0};
    record_end(g->record, &other);
    return -1;
}

static struct sim_stop session_drive(void *ctx, struct sim_machine *m, const struct sim_until *u, bool *quit)
{
    struct session *g = ctx;
    return g->gdb ? gdb_drive(g->gdb, m, u, quit) : record_run(g->record, m, u, quit);
}

static void session_machine(void *ctx, struct sim_machine *m, bool made)
{
    struct session *g = ctx;
    (made ? record_open : record_close)(g->record, m);
}

static enum sim_status run_image(const struct cli *c)
{
    struct session g;
    struct sim_error e = {0};
    struct sim_until until = {0};
    struct sim_machine *m = NULL;
    if (c->opt[OPT_JSON])
        sim_fail(&e, SIM_USAGE, "--json: for scenarios; --stats FILE.json has what there is to say of a guest image");
    if (e.status || cli_refuse(c, "scenario: ", "for scenarios; a guest image has no checks", &e) < 0 ||
        cli_number(c, OPT_LIMIT, 100000000000ull, &until.max_cycles, &e) < 0 || !(m = machine_for_image(c, &e)))
        return complain(&e);
    if (session_begin(c, true, &g, &e) < 0) {
        sim_destroy(m);
        return complain(&e);
    }
    record_open(g.record, m);
    ev_subscribe(m, EV_BIT(EV_OUTPUT), print_output, NULL);
    if (c->opt[OPT_HASH])
        sim_event_hash_enable(m);
    struct sim_stop s = session_drive(&g, m, &until, &g.quit);
    gdb_end(&g, gdb_exit_code(&s));
    const struct isa_cpu *cpu = sim_cpu(m, s.cpu);
    fflush(stdout);
    fprintf(stderr, "ringside: %s: %s (%llu instructions, %llu model cycles)\n", sim_stop_name(s.kind), s.text,
            (unsigned long long)cpu->insns, (unsigned long long)cpu->cycles);
    record_close(g.record, m);
    if (c->opt[OPT_HASH])
        printf("state %016llx events %016llx\n", (unsigned long long)sim_state_hash(m), (unsigned long long)sim_event_hash(m));
    sim_destroy(m);
    return record_end(g.record, &e) < 0 ? complain(&e) : status_of(&s, c->opt[OPT_EXIT_FROM_GUEST]);
}

// --- scenarios

static int scenario_options(const struct cli *c, struct lx_options *o, struct sim_error *e)
{
    if (c->nargs && is_scenario(c->args[0]) &&
        cli_refuse(c, "image: ", "for guest images; a scenario makes its own machines, and --set changes values of their profile",
                   e) < 0)
        return -1;
    *o = (struct lx_options){
        .file = c->args[0], .guests = c->opt[OPT_GUESTS], .args = (const char *const *)c->args + 1, .set = c->set, .nset = c->nset};
    struct sim_config policy = {0};
    if (c->opt[OPT_TLB] && sim_tlb_policy_by_name(c->opt[OPT_TLB], &policy, e) < 0)
        return -1;
    o->tlb = c->opt[OPT_TLB];
    return cli_number(c, OPT_LIMIT, 0, &o->max_cycles, e);
}

static enum sim_status verb_run(const struct cli *c)
{
    struct sim_error e = {0};
    struct lx_options o;
    find_lesson(c, 0);
    if (one_argument(c, "scenario or image", &e) < 0)
        return complain(&e);
    if (is_system(c->args[0])) {
        sim_fail(&e, SIM_USAGE, "%s is a system, not a file: ringside boot %s", c->args[0], c->args[0]);
        return complain(&e);
    }
    if (!is_scenario(c->args[0]))
        return run_image(c);
    if (scenario_options(c, &o, &e) < 0)
        return complain(&e);
    o.format = c->opt[OPT_JSON] ? LX_JSON : c->opt[OPT_TAP] ? LX_TAP : LX_TEXT;
    o.quiet = c->opt[OPT_QUIET];
    o.loop = c->opt[OPT_LOOP];
    o.no_mirror = c->opt[OPT_NO_MIRROR];
    o.stuck_exits = c->opt[OPT_STUCK] ? 0 : SIM_STUCK_EXITS;
    o.hash = c->opt[OPT_HASH];
    struct session g;
    if (session_begin(c, false, &g, &e) < 0)
        return complain(&e);
    const struct lx_hooks hooks = {.ctx = &g, .drive = session_drive, .machine = session_machine};
    enum sim_status s = lx_run(&o, g.gdb || g.record ? &hooks : NULL, &e);
    gdb_end(&g, s);
    struct sim_error last = {0};
    if (record_end(g.record, &last) < 0) {
        complain(&last);
        return s == SIM_OK ? last.status : complain(&e);
    }
    return s == SIM_OK ? s : complain(&e);
}

// --- whole systems

static int boot_options(const struct cli *c, struct boot_options *o, struct sim_error *e)
{
    *o = (struct boot_options){.kernel = c->opt[OPT_KERNEL],
                               .initrd = c->opt[OPT_INITRD],
                               .append = c->opt[OPT_APPEND],
                               .disk = c->opt[OPT_DISK],
                               .virtio_console = c->opt[OPT_VIRTIO_CONSOLE],
                               .profile = c->opt[OPT_PROFILE],
                               .tlb = c->opt[OPT_TLB],
                               .set = c->set,
                               .nset = c->nset,
                               .marker = c->opt[OPT_UNTIL],
                               .gdb = c->opt[OPT_GDB],
                               .firmware_log = c->opt[OPT_FIRMWARE_LOG],
                               .script = c->opt[OPT_TYPE],
                               .record = {.stats = c->opt[OPT_STATS],
                                          .perfetto = c->opt[OPT_TRACE_PERFETTO],
                                          .ledger = c->opt[OPT_LEDGER] ? stderr : NULL}};
    o->system = c->args[0];
    if (cli_count(c, OPT_CPUS, SIM_MAX_CPUS, &o->cpus, e) < 0 || cli_number(c, OPT_MEMORY, 0, &o->ram_bytes, e) < 0 ||
        cli_number(c, OPT_LIMIT, 0, &o->max_cycles, e) < 0)
        return -1;
    o->forward = c->opt[OPT_FORWARD];
    if (c->opt[OPT_FIDELITY] && sim_fidelity_by_name(c->opt[OPT_FIDELITY], &o->fidelity, e) < 0)
        return -1;
    return 0;
}

// --- the visualizer

static struct sim_stop debug_drive(void *ctx, struct sim_machine *m, const struct sim_until *u, bool *quit)
{
    return vz_drive(ctx, m, u, quit);
}
static void debug_narrate(void *ctx, const char *text) { vz_narrate(ctx, text); }
static void debug_check(void *ctx, bool ok, const char *what, const char *detail) { vz_check(ctx, ok, what, detail); }
static int debug_mark(void *ctx, const struct sim_mark *mark)
{
    vz_mark(ctx, mark);
    return 0;
}
static void debug_finish(void *ctx, struct sim_machine *m, enum sim_status status, const char *verdict)
{
    vz_finish(ctx, m, verdict);
}

static struct sim_machine *machine_for_debug(const struct cli *c, struct sim_error *e)
{
    struct boot_options o;
    if (!is_system(c->args[0]))
        return machine_for_image(c, e);
    if (boot_options(c, &o, e) < 0)
        return NULL;
    if (o.forward)
        fprintf(stderr, "ringside: running until the guest prints \"%s\" ...\n", o.forward);
    return sim_boot_machine(&o, e);
}

static enum sim_status debug_image(const struct cli *c, struct vz *v, struct sim_machine *m, struct sim_error *e)
{
    struct sim_until until = {0};
    bool quit = false;
    if (cli_number(c, OPT_LIMIT, 0, &until.max_cycles, e) < 0)
        quit = true;
    struct sim_stop s = {0};
    if (!quit)
        s = vz_drive(v, m, &until, &quit);
    if (!quit)
        vz_finish(v, m, s.text);
    sim_destroy(m);
    return e->status;
}

static enum sim_status verb_debug(const struct cli *c)
{
    struct sim_error e = {0};
    struct lx_options o;
    if (c->nargs && !is_system(c->args[0]))
        find_lesson(c, 0);
    if (one_argument(c, "scenario or image", &e) < 0 || scenario_options(c, &o, &e) < 0)
        return complain(&e);
    if (access(c->args[0], R_OK) != 0 && !is_system(c->args[0])) {
        sim_fail(&e, is_scenario(c->args[0]) ? SIM_SCRIPT : SIM_IMAGE, "%s: cannot be read", c->args[0]);
        return complain(&e);
    }
    struct vz_options vo = {
        .theme = c->opt[OPT_THEME], .ascii = c->opt[OPT_ASCII], .mono = getenv("NO_COLOR") && *getenv("NO_COLOR")};
    struct sim_machine *m =
        NULL; // before the terminal changes: a system may be fetched, and has much to do until it is where it is to be looked at
    if (!is_scenario(c->args[0]) && !(m = machine_for_debug(c, &e)))
        return complain(&e);
    struct vz *v = vz_open(&vo, &e);
    if (!v) {
        sim_destroy(m);
        return complain(&e);
    }
    enum sim_status s;
    if (is_scenario(c->args[0])) {
        const struct lx_hooks hooks = {.ctx = v,
                                       .drive = debug_drive,
                                       .narrate = debug_narrate,
                                       .check = debug_check,
                                       .mark = debug_mark,
                                       .finish = debug_finish};
        s = lx_run(&o, &hooks, &e);
    } else {
        s = debug_image(c, v, m, &e);
    }
    vz_close(v);
    return s == SIM_OK ? s : complain(&e);
}

// --- diagrams

struct draw {
    const char *kind, *at, *path;
    struct vz_draw_how how;
    bool list, drawn, failed;
    struct sim_error e;
    char seen[512];
};

static int draw_mark(void *ctx, const struct sim_mark *mark)
{
    struct draw *d = ctx;
    if (d->list) {
        printf("%-24s %s\n", mark->name, mark->text ? mark->text : "");
        return 0;
    }
    if (d->at && strcmp(d->at, mark->name)) {
        size_t n = strlen(d->seen);
        snprintf(d->seen + n, sizeof d->seen - n, "%s%s", n ? ", " : "", mark->name);
        return 0;
    }
    d->failed = vz_draw_how(d->kind, mark, &d->how, d->path, stdout, &d->e) < 0;
    d->drawn = true;
    return 1;
}
static void draw_narrate(void *ctx, const char *text) {}
static void draw_check(void *ctx, bool ok, const char *what, const char *detail) {}

static int draw_arguments(const struct cli *c, struct draw *d, struct lx_options *o, struct sim_error *e)
{
    const char *kinds[24] = {NULL};
    char all[160];
    *d = (struct draw){.at = c->opt[OPT_AT],
                       .path = c->opt[OPT_OUTPUT],
                       .list = c->opt[OPT_LIST],
                       .how = {.steps = c->opt[OPT_STEPS], .warm = c->opt[OPT_WARM]}};
    for (unsigned k = 0; k < 23 && vz_draw_kind(k); k++)
        kinds[k] = vz_draw_kind(k);
    if (scenario_options(c, o, e) < 0)
        return -1;
    if (d->list && c->nargs == 1) {
        o->file = c->args[0];
        return 0;
    }
    if (c->nargs < 2)
        return sim_fail(e, SIM_USAGE, "draw needs a kind and a scenario: ringside draw walk page-walk --at nested -o walk.svg");
    for (unsigned k = 0; kinds[k]; k++)
        if (!strcmp(kinds[k], c->args[0]))
            d->kind = kinds[k];
    if (!d->kind) {
        const char *near = cli_nearest(c->args[0], kinds);
        return sim_fail(e, SIM_USAGE, "draw: no diagram \"%s\"%s%s%s; there are %s", c->args[0], near ? " (did you mean " : "",
                        near ? near : "", near ? "?)" : "", vz_draw_kinds(all, sizeof all));
    }
    o->file = c->args[1];
    o->args = (const char *const *)c->args + 2;
    return 0;
}

static enum sim_status verb_draw(const struct cli *c)
{
    struct sim_error e = {0};
    struct lx_options o;
    struct draw d;
    find_lesson(c, c->nargs > 1);
    if (draw_arguments(c, &d, &o, &e) < 0)
        return complain(&e);
    const struct lx_hooks hooks = {.ctx = &d, .narrate = draw_narrate, .check = draw_check, .mark = draw_mark};
    enum sim_status s = lx_run(&o, &hooks, &e);
    if (d.list) {
        for (unsigned k = 0; vz_draw_kind(k); k++)
            printf("%s%-10s %s\n", k ? "" : "\ndiagrams:\n", vz_draw_kind(k), vz_draw_text(k));
        return s == SIM_CHECK_FAILED ? SIM_OK : s == SIM_OK ? s : complain(&e);
    }
    if (d.drawn)
        return d.failed ? complain(&d.e) : SIM_OK;
    if (s != SIM_OK && s != SIM_CHECK_FAILED)
        return complain(&e);
    sim_fail(&e, SIM_USAGE, d.at ? "%s: no mark \"%s\"; its marks are: %s" : "%s: declares no mark to draw at", o.file,
             d.at ? d.at : "", d.seen[0] ? d.seen : "none");
    return complain(&e);
}

// --- the rest

static enum sim_status verb_explain(const struct cli *c)
{
    struct sim_error e = {0};
    if (one_argument(c, "thing", &e) < 0 || info_explain(stdout, c->args, c->nargs, &e) < 0)
        return complain(&e);
    return SIM_OK;
}

static enum sim_status verb_info(const struct cli *c)
{
    struct sim_error e = {0};
    if (c->nargs && !strcmp(c->args[0], "annotations")) {
        char *text = lx_annotations();
        fputs(text, stdout);
        free(text);
        return SIM_OK;
    }
    if (c->nargs && !strcmp(c->args[0], "profile")) // without a name: the error lists them
        return info_profile(stdout, c->nargs > 1 ? c->args[1] : "", &e) < 0 ? complain(&e) : SIM_OK;
    if (c->nargs && !strcmp(c->args[0], "man"))
        return cli_man(stdout), SIM_OK;
    if (c->nargs && !strcmp(c->args[0], "completion"))
        return cli_completion_bash(stdout), SIM_OK;
    if (c->nargs && !strcmp(c->args[0], "options"))
        return cli_markdown(stdout), SIM_OK;
    if (info_table(stdout, c->nargs ? c->args[0] : NULL, &e) < 0)
        return complain(&e);
    return SIM_OK;
}

static enum sim_status verb_bench(const struct cli *c)
{
    struct sim_error e = {0};
    return sim_bench(stdout, c->opt[OPT_JSON] != NULL, c->set, c->nset, &e) < 0 ? complain(&e) : SIM_OK;
}

static enum sim_status verb_lessons(const struct cli *c)
{
    struct sim_error e = {0};
    return lessons_list(stdout, &e) < 0 ? complain(&e) : SIM_OK;
}

static enum sim_status verb_validate(const struct cli *c)
{
    struct sim_error e = {0};
    char dir[2048];
    lessons_tree_path(dir, sizeof dir, "scenarios/validate");
    const struct lx_validate_options o = {.dir = dir,
                                          .guests = c->opt[OPT_GUESTS],
                                          .ids = (const char *const *)c->args,
                                          .report = c->opt[OPT_REPORT],
                                          .out = stdout,
                                          .progress = stderr};
    enum sim_status s = lx_validate(&o, &e);
    return s == SIM_OK ? s : complain(&e);
}

static enum sim_status verb_sweep(const struct cli *c)
{
    struct sim_error e = {0};
    find_lesson(c, 0);
    struct lx_sweep_options o = {.file = c->args[0],
                                 .guests = c->opt[OPT_GUESTS],
                                 .args = (const char *const *)c->args + 1,
                                 .set = c->set,
                                 .nset = c->nset,
                                 .from = c->opt[OPT_FROM],
                                 .csv = c->opt[OPT_CSV],
                                 .tasks = c->opt[OPT_TASKS],
                                 .no_header = c->opt[OPT_NO_HEADER],
                                 .out = stdout};
    uint64_t jobs;
    if (one_argument(c, "scenario", &e) < 0 || cli_number(c, OPT_JOBS, 1, &jobs, &e) < 0 ||
        cli_number(c, OPT_LIMIT, 0, &o.max_cycles, &e) < 0)
        return complain(&e);
    o.jobs = jobs < 1024 ? (unsigned)jobs : 1024;
    enum sim_status s = lx_sweep(&o, &e);
    return s == SIM_OK ? s : complain(&e);
}

static enum sim_status verb_boot(const struct cli *c)
{
    struct sim_error e = {0};
    struct boot_options o;
    if (c->nargs != 1) {
        sim_fail(&e, SIM_USAGE,
                 "boot which system? linux, debian, bios, grub, memtest, kvm, kvm-nested or xen: ringside boot linux");
        return complain(&e);
    }
    if (boot_options(c, &o, &e) < 0)
        return complain(&e);
    enum sim_status s = sim_boot(&o, &e);
    return e.status ? complain(&e) : s;
}

static enum sim_status verb_help(const struct cli *c)
{
    char *argv[] = {(char *)"ringside", c->nargs ? c->args[0] : NULL, NULL};
    struct sim_error e = {0};
    struct cli of;
    if (!c->nargs)
        return cli_help(stdout), SIM_OK;
    if (cli_parse(&of, 2, argv, &e) < 0)
        return complain(&e);
    return cli_help_verb(stdout, of.verb), SIM_OK;
}

int main(int argc, char **argv)
{
    static enum sim_status (*const verb[CLI_NVERB])(const struct cli *) = {
        [CLI_RUN] = verb_run,           [CLI_DEBUG] = verb_debug, [CLI_DRAW] = verb_draw,      [CLI_EXPLAIN] = verb_explain,
        [CLI_INFO] = verb_info,         [CLI_BOOT] = verb_boot,   [CLI_BENCH] = verb_bench,    [CLI_HELP] = verb_help,
        [CLI_VALIDATE] = verb_validate, [CLI_SWEEP] = verb_sweep, [CLI_LESSONS] = verb_lessons};
    struct sim_error e = {0};
    struct cli c;
    if (cli_parse(&c, argc, argv, &e) < 0)
        return complain(&e);
    if (c.opt[OPT_HELP])
        return cli_help_verb(stdout, c.verb), SIM_OK;
    enum sim_status s = verb[c.verb](&c);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ringside: cannot write to standard output\n");
        return s == SIM_OK ? SIM_INTERNAL : s;
    }
    return s;
}
