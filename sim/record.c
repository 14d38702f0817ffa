// sim/record.c: see sim/record.h.
#include "sim/record.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sim/inspect.h"
#include "sim/ledger.h"
#include "sim/perfetto.h"
#include "sim/stats.h"

#define SLICE 20000000u // cycles between two looks for a signal

static volatile sig_atomic_t interrupted;
static void on_signal(int n) { interrupted = n; }

struct recorded {
    struct recorded *next;
    struct sim_machine *m;
    unsigned n; // from 1
    struct stats_recorder *stats;
    struct perfetto_machine *trace;
    struct ledger *ledger;
};
struct record {
    struct record_options o;
    FILE *stats, *trace;
    bool json;
    unsigned written, nmachines;
    struct perfetto *perfetto;
    struct recorded *machines;
};

static FILE *create(const char *option, const char *path, struct sim_error *err)
{
    FILE *f = fopen(path, "w");
    if (!f)
        sim_fail(err, SIM_USAGE, "%s %s: cannot be written: %s", option, path, strerror(errno));
    return f;
}

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

struct record *record_begin(const struct record_options *o, struct sim_error *err)
{
    if (!o->stats && !o->perfetto && !o->ledger && !o->stoppable)
        return NULL;
    struct record *r = calloc(1, sizeof *r);
    assert(r);
    r->o = *o;
    if ((o->stats && !(r->stats = create("--stats", o->stats, err))) ||
        (o->perfetto && !(r->trace = create("--trace-perfetto", o->perfetto, err)))) {
        if (r->stats)
            fclose(r->stats);
        free(r);
        return NULL;
    }
    r->json = o->stats && ends_in(o->stats, ".json");
    if (r->json)
        fputs("{\"schema\":\"ringside-stats\",\"version\":1,\"machines\":[", r->stats);
    if (r->trace)
        r->perfetto = perfetto_begin(r->trace);
    const struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    return r;
}

void record_open(struct record *r, struct sim_machine *m)
{
    if (!r)
        return;
    struct recorded *x = calloc(1, sizeof *x);
    assert(x);
    *x = (struct recorded){.next = r->machines, .m = m, .n = ++r->nmachines};
    r->machines = x;
    char name[32];
    snprintf(name, sizeof name, "machine %u", x->n);
    if (r->stats)
        x->stats = stats_open(m);
    if (r->perfetto)
        x->trace = perfetto_open(r->perfetto, m, name);
    if (r->o.ledger) {
        x->ledger = malloc(sizeof *x->ledger);
        assert(x->ledger); // 100 kB
        ledger_open(x->ledger, m);
    }
}

static void write_stats(struct record *r, const struct recorded *x)
{
    char what[64];
    if (r->json) {
        snprintf(what, sizeof what, "\"machine\":%u,", x->n);
        fputs(r->written ? ",\n" : "\n", r->stats);
        stats_json(x->stats, r->stats, what);
    } else {
        fprintf(r->stats, "%s# machine %u, profile %s\n", r->written ? "\n" : "", x->n, sim_profile_name(x->m));
        stats_text(x->stats, r->stats);
    }
    r->written++;
}

void record_close(struct record *r, struct sim_machine *m)
{
    struct recorded **p = r ? &r->machines : NULL;
    while (p && *p && (*p)->m != m)
        p = &(*p)->next;
    if (!p || !*p)
        return;
    struct recorded *x = *p;
    *p = x->next;
    if (x->stats)
        write_stats(r, x);
    if (x->ledger) {
        if (r->nmachines > 1)
            fprintf(r->o.ledger, "\nmachine %u\n", x->n);
        ledger_print(x->ledger, r->o.ledger);
        ledger_close(x->ledger);
    }
    stats_close(x->stats);
    perfetto_close(x->trace);
    free(x->ledger);
    free(x);
}

static int finish(FILE *f, const char *option, const char *path, struct sim_error *err)
{
    if (!f)
        return 0;
    errno = 0;
    bool bad = ferror(f);
    if (fclose(f) != 0)
        bad = true;
    return bad ? sim_fail(err, SIM_USAGE, "%s %s: could not be written whole: %s", option, path, strerror(errno ? errno : EIO)) : 0;
}

int record_end(struct record *r, struct sim_error *err)
{
    if (!r)
        return 0;
    while (r->machines)
        record_close(r, r->machines->m);
    if (r->json)
        fputs("\n]}\n", r->stats);
    perfetto_end(r->perfetto);
    int bad = finish(r->stats, "--stats", r->o.stats, err);
    bad |= finish(r->trace, "--trace-perfetto", r->o.perfetto, err);
    free(r);
    return bad;
}

static uint64_t left(uint64_t of, uint64_t done) { return !of ? 0 : of > done ? of - done : 1; }

struct sim_stop record_run(struct record *r, struct sim_machine *m, const struct sim_until *until, bool *quit)
{
    if (!r)
        return sim_run(m, until);
    const uint64_t cycle0 = sim_now(m), insn0 = sim_insns(m);
    for (;;) {
        struct sim_until u = *until;
        uint64_t now = sim_now(m), insns = sim_insns(m) - insn0;
        u.cycles = until->cycles && until->cycles < now + SLICE ? until->cycles : now + SLICE;
        u.insns = left(until->insns, insns);
        u.max_insns = left(until->max_insns, insns);
        u.max_cycles = left(until->max_cycles, now - cycle0);
        struct sim_stop s = sim_run(m, &u);
        if (s.kind != SIM_STOP_UNTIL || s.code != SIM_UNTIL_CYCLES || (until->cycles && sim_now(m) >= until->cycles))
            return s;
        if (interrupted) {
            s.kind = SIM_STOP_REQUEST;
            snprintf(s.text, sizeof s.text, "ended by a signal, at RIP 0x%llx, cycle %llu",
                     (unsigned long long)sim_cpu(m, s.cpu)->rip, (unsigned long long)sim_now(m));
            *quit = true;
            return s;
        }
    }
}
