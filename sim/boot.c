// sim/boot.c: see sim/boot.h. The host's clock is used here only to tell the speed and to keep an idle guest from racing ahead of its user.
#include "sim/boot.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"
#include "sim/device.h"
#include "sim/firmware.h"
#include "sim/gdb.h"
#include "sim/inspect.h"
#include "sim/lessons.h"
#include "sim/linux.h"
#include "sim/loader.h"
#include "sim/machine.h"

#define APPEND "console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr"
#define SLICE  5000000u // cycles between two looks at the keyboard
#define CTRL_A 1

static const struct system {
    const char *name, *files; // files: the argument of fetch-guests.sh and the folder in build/cache
    const char *append, *marker;
    uint64_t ram;
    const char
        *hypervisor;  // Multiboot command line of the file FILES/xen, which then boots the kernel as its first guest; NULL: none
    bool firmware;    // FILES/bios.bin runs, and boots the disk
    const char *disk; // in FILES, unless another one is given
} systems[] = {
    {"linux", "linux", APPEND, NULL, 256ull << 20, NULL},
    {"debian", "debian", APPEND " root=/dev/vda", NULL, 256ull << 20, NULL, false, "disk"},
    {"bios", "seabios", NULL, NULL, 64ull << 20, NULL, true, "disk"},
    {"grub", "grub", NULL, NULL, 256ull << 20, NULL, true, "disk"},
    {"memtest", "memtest", "console=ttyS0,115200", NULL, 32ull << 20, NULL},
    {"kvm", "kvm", APPEND, "KVM-GUESTS-DONE", 384ull << 20, NULL},
    {"kvm-nested", "kvm", APPEND " nested=1", "KVM-GUESTS-DONE", 384ull << 20, NULL},
    {"xen", "xen", "console=hvc0 earlyprintk=xen cryptomgr.notests=1", NULL, 1024ull << 20,
     "console=com1 com1=115200,8n1 dom0_mem=512M noreboot"},
};
#define SYSTEM_NAMES "linux", "debian", "bios", "grub", "memtest", "kvm", "kvm-nested", "xen" // in the order of the rows
#define NSYSTEM      (sizeof systems / sizeof *systems)

extern char **environ;
static volatile sig_atomic_t interrupted; // a signal came: leave in an orderly way

struct console {
    struct sim_machine *m;
    struct gdb_net *net;
    struct gdb *gdb; // NULL: not asked for
    struct termios saved;
    bool raw, prefix, leave, printed, progress;
    const char *marker;
    size_t matched; // of marker
    bool reached;
    const char *forward; // what ends the fast forward; NULL: nothing does
    size_t forward_matched;
    bool arrived; // it came: the fidelity changes
    enum sim_fidelity fidelity;
    bool firmware_log;
    const char *script;    // EXPECTED|TYPED|..., what is left of it
    size_t script_matched; // of EXPECTED
    bool type;             // EXPECTED came: TYPED is due
    double start;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// --- the terminal

static void on_signal(int n) { interrupted = n; }

static void console_open(struct console *c)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    c->progress = isatty(STDERR_FILENO);
    c->start = seconds();
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->saved) < 0)
        return;
    struct termios t = c->saved;
    cfmakeraw(&t);
    c->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static void console_close(struct console *c)
{
    if (c->raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
    c->raw = false;
    fflush(stdout);
}

static void clear_progress(struct console *c)
{
    if (c->progress && !c->printed)
        fprintf(stderr, "\r%60s\r", "");
    c->printed = true;
}

size_t sim_boot_matched(const char *text, size_t n, char b)
{
    for (size_t k = n + 1; k > 0; k--)
        if (text[k - 1] == b && !memcmp(text, text + n + 1 - k, k - 1))
            return k;
    return 0;
}

static void expect(struct console *c, struct sim_machine *m, char b)
{
    if (!c->script || c->type || !c->script[c->script_matched]) // the last: a text that nothing follows waits for ever
        return;
    c->script_matched = sim_boot_matched(c->script, c->script_matched, b);
    if (c->script[c->script_matched] != '|')
        return;
    c->script += c->script_matched + 1;
    c->script_matched = 0;
    c->type = true;
    sim_request_stop(m);
}

static void forward(struct console *c, struct sim_machine *m, char b)
{
    if (!c->forward)
        return;
    c->forward_matched = sim_boot_matched(c->forward, c->forward_matched, b);
    if (c->forward[c->forward_matched])
        return;
    c->forward = NULL;
    c->arrived = true;
    sim_request_stop(m);
}

static void type(struct console *c)
{
    size_t n = strcspn(c->script, "|");
    sim_input(c->m, c->script, n);
    sim_input(c->m, "\r", 1);
    c->script = c->script[n] ? c->script + n + 1 : NULL;
    c->type = false;
}

static void on_output(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct console *c = ctx;
    char b = (char)e->u.output.byte;
    if (!c->firmware_log && !strcmp(e->u.output.port, SIM_OUTPUT_FIRMWARE))
        return;
    clear_progress(c);
    putchar(b);
    expect(c, m, b);
    forward(c, m, b);
    if (!c->marker)
        return;
    c->matched = sim_boot_matched(c->marker, c->matched, b);
    if (!c->marker[c->matched]) {
        c->reached = true;
        sim_request_stop(m);
        c->matched = 0;
    }
}

static void key(struct console *c, char b)
{
    if (c->prefix) {
        c->prefix = false;
        if (b == 'x' || b == 'X')
            c->leave = true;
        if (b != CTRL_A)
            return;
    } else if (b == CTRL_A) {
        c->prefix = true;
        return;
    }
    sim_input(c->m, &b, 1);
}

// What was typed; waits for at most `ms` milliseconds.
static void keys(struct console *c, int ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char buf[64];
    if (!c->raw || poll(&p, 1, ms) <= 0)
        return;
    ssize_t n = read(STDIN_FILENO, buf, sizeof buf);
    for (ssize_t k = 0; k < n; k++)
        key(c, buf[k]);
    if (n <= 0)
        c->leave = true;
}

// --- GDB

static int look_up(void *ctx) // while GDB holds the guest
{
    struct console *c = ctx;
    keys(c, 0);
    return c->leave || interrupted;
}

static int gdb_begin(struct console *c, const char *where, struct sim_error *err)
{
    if (!where)
        return 0;
    c->net = gdb_net_open(where, err);
    if (!c->net)
        return -1;
    const struct gdb_io io = gdb_net_io(c->net);
    c->gdb = gdb_create(&io, look_up, c);
    return c->gdb ? 0 : sim_fail(err, SIM_INTERNAL, "boot linux: out of memory");
}

static void gdb_end(struct console *c, unsigned status)
{
    if (c->gdb) {
        gdb_finish(c->gdb, status);
        gdb_destroy(c->gdb);
    }
    gdb_net_close(c->net);
}

// --- running

static struct sim_stop run(struct console *c, uint64_t max_cycles)
{
    uint64_t end = max_cycles ? sim_now(c->m) + max_cycles : UINT64_MAX, insns = 0;
    double shown = seconds();
    for (;;) {
        uint64_t now = sim_now(c->m), next = now + SLICE < end ? now + SLICE : end;
        double begin = seconds();
        const struct sim_until u = {.cycles = next};
        bool quit = false;
        struct sim_stop s = c->gdb ? gdb_drive(c->gdb, c->m, &u, &quit) : sim_run(c->m, &u);
        double took = seconds() - begin;
        fflush(stdout);
        if (s.kind == SIM_STOP_REQUEST && !c->reached && (c->type || c->arrived)) {
            if (c->type)
                type(c);
            if (c->arrived)
                sim_set_fidelity(c->m, c->fidelity);
            c->arrived = false;
            continue;
        }
        if (s.kind != SIM_STOP_UNTIL || c->reached || quit)
            return s;
        if (sim_now(c->m) >= end || interrupted) {
            s.kind = interrupted ? SIM_STOP_REQUEST : SIM_STOP_LIMIT;
            snprintf(s.text, sizeof s.text, interrupted ? "ended by a signal" : "the limit of model cycles was reached");
            return s;
        }
        bool idle = sim_insns(c->m) - insns < SLICE / 100;
        insns = sim_insns(c->m);
        keys(c, idle && took < 0.005 ? 5 : 0);
        if (c->leave) {
            s.kind = SIM_STOP_REQUEST;
            snprintf(s.text, sizeof s.text, "left with Ctrl-A X");
            return s;
        }
        if (c->progress && !c->printed && seconds() - shown > 0.5) {
            shown = seconds();
            fprintf(stderr, "\rringside: %llu million instructions, %.0f MIPS ", (unsigned long long)(insns / 1000000),
                    (double)insns / (shown - c->start) / 1e6);
        }
    }
}

static enum sim_status tell(struct console *c, const struct sim_stop *s)
{
    double t = seconds() - c->start;
    uint64_t n = sim_insns(c->m);
    clear_progress(c);
    fprintf(stderr, "\nringside: %s: %s (%llu instructions, %.1f s, %.0f MIPS)\n", c->reached ? "reached" : sim_stop_name(s->kind),
            c->reached ? c->marker : s->text, (unsigned long long)n, t, t > 0 ? (double)n / t / 1e6 : 0);
    if (c->reached)
        return SIM_OK;
    switch (s->kind) {
    case SIM_STOP_LIMIT: return SIM_LIMIT;
    case SIM_STOP_EXIT:
    case SIM_STOP_HALT:
    case SIM_STOP_RESET:
    case SIM_STOP_REQUEST: return c->marker ? SIM_CHECK_FAILED : SIM_OK;
    default: return SIM_UNRECOVERABLE;
    }
}

// --- Debian's kernel

// build/cache/FILES of the tree that this program was built in, and the script that makes it.
static void places(const char *files, char *dir, size_t size, char script[2100])
{
    char root[2048];
    lessons_tree_above(root, sizeof root, 3); // ROOT/build/MODE/ringside
    snprintf(script, 2100, "%s/docs/tools/fetch-guests.sh", root);
    snprintf(dir, size, "%s/build/cache/%s", root, files);
}

static int fetch(const char *files, char *dir, size_t size, struct sim_error *err)
{
    char script[2100];
    places(files, dir, size, script);
    if (access(script, R_OK) != 0)
        return sim_fail(err, SIM_USAGE, "boot: %s is not there to fetch Debian's kernel; give --kernel FILE (and --initrd FILE)",
                        script);
    char *argv[] = {(char *)"bash", script, (char *)files, NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, "bash", NULL, NULL, argv, environ) || waitpid(pid, &status, 0) < 0)
        return sim_fail(err, SIM_INTERNAL, "boot: cannot run bash for %s", script);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return sim_fail(err, SIM_IMAGE,
                        "boot: Debian's kernel could not be fetched (see above); give --kernel FILE and --initrd FILE");
    return 0;
}

// The kernel by the Linux boot protocol, or a Multiboot hypervisor with the kernel and its RAM disk as modules.
static int load(struct sim_machine *m, const struct system *y, const char *dir, const struct sim_linux *how, struct sim_error *err)
{
    char xen[2150], first[2048];
    if (y->firmware) {
        snprintf(xen, sizeof xen, "%s/bios.bin", dir);
        return sim_load_firmware(m, xen, err);
    }
    if (!y->hypervisor || !*dir)
        return sim_load_linux(m, how, NULL, err);
    snprintf(xen, sizeof xen, "%s/xen", dir);
    snprintf(first, sizeof first, "vmlinuz %s",
             how->cmdline); // a module's string begins with its name, as loaders other than GRUB 2 have it
    const struct sim_load mb = {.image = SIM_IMAGE_MULTIBOOT,
                                .cmdline = y->hypervisor,
                                .modules = {{how->kernel, first}, {how->initrd, "initrd"}},
                                .nmodules = 2};
    return sim_load_file(m, xen, &mb, NULL, err);
}

static struct sim_machine *make(const struct system *y, const struct boot_options *o, struct sim_error *err)
{
    char dir[2100] = "", kernel[2150], initrd[2150], disk[2150];
    if (y->firmware && (o->kernel || o->initrd || o->append)) {
        sim_fail(err, SIM_USAGE,
                 "boot %s: the firmware boots what is on the disk; --kernel, --initrd and --append have no use here", y->name);
        return NULL;
    }
    struct sim_linux how = {.kernel = o->kernel, .initrd = o->initrd, .cmdline = o->append ? o->append : y->append};
    if (!o->kernel) {
        if (fetch(y->files, dir, sizeof dir, err) < 0)
            return NULL;
        snprintf(kernel, sizeof kernel, "%s/vmlinuz", dir);
        snprintf(initrd, sizeof initrd, "%s/initrd", dir);
        how.kernel = kernel;
        if (!o->initrd && access(initrd, F_OK) == 0)
            how.initrd = initrd;
        snprintf(disk, sizeof disk, "%s/%s", dir, y->disk ? y->disk : "");
    }
    struct sim_config cfg = {.ram_bytes = o->ram_bytes ? o->ram_bytes : y->ram,
                             .cpus = o->cpus,
                             .fidelity = o->forward ? SIM_FUNCTIONAL : o->fidelity,
                             .profile = o->profile,
                             .set = o->set,
                             .nset = o->nset,
                             .disk = o->disk           ? o->disk
                                     : *dir && y->disk ? disk
                                                       : NULL,
                             .virtio_console = o->virtio_console};
    if (o->tlb && sim_tlb_policy_by_name(o->tlb, &cfg, err) < 0)
        return NULL;
    struct sim_machine *m = sim_create(&cfg, err);
    if (m && load(m, y, dir, &how, err) < 0) {
        sim_destroy(m);
        return NULL;
    }
    return m;
}

const char *const *sim_boot_systems(void)
{
    static const char *const name[] = {SYSTEM_NAMES, NULL};
    _Static_assert(sizeof name / sizeof *name == NSYSTEM + 1, "name[] lists all systems");
    return name;
}

static const struct system *find(const char *name, struct sim_error *err)
{
    for (unsigned k = 0; k < NSYSTEM; k++)
        if (!strcmp(systems[k].name, name))
            return &systems[k];
    const char *near = cli_nearest(name, sim_boot_systems());
    sim_fail(err, SIM_USAGE, "boot: no system \"%s\"%s%s%s; there are linux, debian, bios, grub, memtest, kvm, kvm-nested and xen",
             name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return NULL;
}

static void on_forward(void *ctx, struct sim_machine *m, const struct ev *e) { forward(ctx, m, (char)e->u.output.byte); }

struct sim_machine *sim_boot_machine(const struct boot_options *o, struct sim_error *err)
{
    const struct system *y = find(o->system, err);
    struct console c = {.m = y ? make(y, o, err) : NULL, .forward = o->forward && *o->forward ? o->forward : NULL};
    if (!c.m || !o->forward)
        return c.m;
    const int sub = ev_subscribe(c.m, EV_BIT(EV_OUTPUT), on_forward, &c);
    const bool progress = isatty(STDERR_FILENO);
    const uint64_t end = o->max_cycles ? sim_now(c.m) + o->max_cycles : UINT64_MAX;
    struct sim_stop s = {.kind = SIM_STOP_UNTIL};
    for (double shown = 0; c.forward && s.kind == SIM_STOP_UNTIL && sim_now(c.m) < end;) {
        s = sim_run(c.m, &(struct sim_until){.cycles = end - sim_now(c.m) < SLICE ? end : sim_now(c.m) + SLICE});
        if (progress && seconds() - shown > 0.5) {
            shown = seconds();
            fprintf(stderr, "\rringside: %llu million instructions ", (unsigned long long)(sim_insns(c.m) / 1000000));
        }
    }
    if (progress)
        fprintf(stderr, "\r%50s\r", "");
    ev_unsubscribe(c.m, sub);
    if (c.arrived || !*o->forward) {
        sim_set_fidelity(c.m, o->fidelity);
        return c.m;
    }
    sim_fail(err, SIM_CHECK_FAILED, "boot: the guest ended without printing \"%s\": %s", o->forward,
             s.kind == SIM_STOP_UNTIL ? "the limit of model cycles was reached" : s.text);
    sim_destroy(c.m);
    return NULL;
}

int sim_boot_load(struct sim_machine *m, const char *system, const char *append, struct sim_error *err)
{
    const struct system *y = find(system, err);
    char dir[2100], script[2100], kernel[2150], initrd[2150];
    if (!y)
        return -1;
    if (y->disk || y->firmware)
        return sim_fail(err, SIM_USAGE, "boot: %s boots from a disk, which a machine that is there already cannot get", system);
    if (sim_ram_size(m) < y->ram)
        return sim_fail(err, SIM_USAGE, "boot: %s needs %lluM of memory, this machine has %lluM", system,
                        (unsigned long long)(y->ram >> 20), (unsigned long long)(sim_ram_size(m) >> 20));
    places(y->files, dir, sizeof dir, script);
    snprintf(kernel, sizeof kernel, "%s/vmlinuz", dir);
    snprintf(initrd, sizeof initrd, "%s/initrd", dir);
    if (access(kernel, R_OK) != 0)
        return sim_fail(err, SIM_IMAGE, "boot: %s is not there; docs/tools/fetch-guests.sh %s makes it", kernel, y->files);
    const struct sim_linux how = {
        .kernel = kernel, .initrd = access(initrd, R_OK) == 0 ? initrd : NULL, .cmdline = append ? append : y->append};
    return load(m, y, dir, &how, err);
}

enum sim_status sim_boot(const struct boot_options *o, struct sim_error *err)
{
    const struct system *y = find(o->system, err);
    struct console c = {0};
    if (!y)
        return err->status;
    struct record *record = record_begin(&o->record, err);
    if (err->status)
        return err->status;
    if (!(c.m = make(y, o, err))) {
        struct sim_error other = {0};
        record_end(record, &other);
        return err->status;
    }
    c.firmware_log = o->firmware_log;
    c.script = o->script;
    c.forward = o->forward && *o->forward ? o->forward : NULL;
    c.fidelity = o->fidelity;
    c.marker = o->marker ? o->marker : o->kernel ? NULL : y->marker;
    if (c.marker && !*c.marker)
        c.marker = NULL;
    if (gdb_begin(&c, o->gdb, err) < 0) {
        struct sim_error other = {0};
        gdb_end(&c, 0);
        sim_destroy(c.m);
        record_end(record, &other);
        return err->status;
    }
    record_open(record, c.m);
    ev_subscribe(c.m, EV_BIT(EV_OUTPUT), on_output, &c);
    console_open(&c);
    struct sim_stop s = run(&c, o->max_cycles);
    console_close(&c);
    gdb_end(&c, gdb_exit_code(&s));
    enum sim_status status = tell(&c, &s);
    record_close(record, c.m);
    sim_destroy(c.m);
    record_end(record, err);
    return status;
}
