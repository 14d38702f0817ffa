// sim/perfetto.c: see sim/perfetto.h. Format: "Trace Event Format" of the Chromium project.
#include "sim/perfetto.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sim/internal.h"
#include "sim/json.h"
#include "sim/ledger.h"
#include "vmx-model/explain.h"

#define SAMPLE 1000u  // cycles between two samples at least
#define SHARE  16384u // the same, as a part of the time so far

struct perfetto {
    FILE *f;
    bool more;
    unsigned pids; // given away
};
struct perfetto_machine {
    struct perfetto *p;
    struct sim_machine *m;
    int handle;
    unsigned pid; // of processor 0
    struct ledger ledger;
    struct track {
        bool named[LEDGER_LEVELS];
        uint64_t sampled; // cycle of the last sample
        bool counted;     // there was one
    } cpu[SIM_MAX_CPUS];
};

// Microseconds with a fixed number of decimals, without floating point: the same digits on every host.
static void put_time(const struct perfetto_machine *pm, const char *key, uint64_t cycles)
{
    unsigned __int128 ps = (unsigned __int128)cycles * 1000000000000ull / pm->m->profile->hz;
    fprintf(pm->p->f, ",\"%s\":%" PRIu64 ".%06u", key, (uint64_t)(ps / 1000000), (unsigned)(ps % 1000000));
}

static void begin(struct perfetto *p, const char *ph, unsigned pid, unsigned tid, const char *name)
{
    fprintf(p->f, "%s\n{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u,\"name\":", p->more ? "," : "", ph, pid, tid);
    json_string(p->f, name);
    p->more = true;
}

static void metadata(struct perfetto *p, unsigned pid, unsigned tid, const char *what, const char *name)
{
    begin(p, "M", pid, tid, what);
    fputs(",\"args\":{\"name\":", p->f);
    json_string(p->f, name);
    fputs("}}", p->f);
}

// Threads are numbered from 1: level + 1.
static unsigned tid_of(struct perfetto_machine *pm, unsigned cpu, unsigned level)
{
    static const char *const name[LEDGER_LEVELS] = {"L0 root operation", "L1 guest", "L2 guest of the guest", "L3",
                                                    "L4 and deeper"};
    if (!pm->cpu[cpu].named[level]) {
        pm->cpu[cpu].named[level] = true;
        metadata(pm->p, pm->pid + cpu, level + 1, "thread_name", name[level]);
        begin(pm->p, "M", pm->pid + cpu, level + 1, "thread_sort_index");
        fprintf(pm->p->f, ",\"args\":{\"sort_index\":%u}}", level);
    }
    return level + 1;
}

static const char *exit_name(unsigned reason)
{
    const char *name = reason < LEDGER_REASONS ? vmx_exit_name(reason) : "before the first VM exit";
    return name ? name : "unknown";
}

// The stretch that ended last. Its beginning: the ledger's ring.
static void slice(struct perfetto_machine *pm, const struct ledger_stretch *s)
{
    char name[80];
    if (s->level)
        snprintf(name, sizeof name, "VMCS %u", s->vmcs + 1u);
    else
        snprintf(name, sizeof name, "%s", exit_name(s->reason));
    unsigned tid = tid_of(pm, s->cpu, s->level);
    begin(pm->p, "X", pm->pid + s->cpu, tid, name);
    put_time(pm, "ts", s->begin);
    put_time(pm, "dur", s->end > s->begin ? s->end - s->begin : 0);
    fprintf(pm->p->f, ",\"args\":{\"cycles\":%" PRIu64 "}}", s->end > s->begin ? s->end - s->begin : 0);
}

static void counters(struct perfetto_machine *pm, unsigned n, uint64_t cycle, bool always)
{
    static const struct {
        const char *name;
        enum sim_stat_id id;
    } c[] = {{"page walks", SIM_STAT_WALKS}, {"walk references", SIM_STAT_WALK_REFS}, {"TLB misses", SIM_STAT_TLB_MISSES}};
    struct track *t = &pm->cpu[n];
    uint64_t least = cycle / SHARE > SAMPLE ? cycle / SHARE : SAMPLE;
    if (!always && t->counted && cycle - t->sampled < least)
        return;
    t->counted = true;
    t->sampled = cycle;
    for (unsigned k = 0; k < sizeof c / sizeof *c; k++) {
        begin(pm->p, "C", pm->pid + n, 0, c[k].name);
        put_time(pm, "ts", cycle);
        fprintf(pm->p->f, ",\"args\":{\"count\":%" PRIu64 "}}", pm->m->cpu[n]->stat[c[k].id]);
    }
}

static void instant(struct perfetto_machine *pm, const struct ev *e, unsigned level, const char *name)
{
    unsigned tid = tid_of(pm, e->cpu, level);
    begin(pm->p, "i", pm->pid + e->cpu, tid, name);
    put_time(pm, "ts", e->cycle);
    fprintf(pm->p->f, ",\"s\":\"t\",\"args\":{\"cycle\":%" PRIu64 ",\"insn\":%" PRIu64 ",\"rip\":\"0x%" PRIx64 "\"", e->cycle,
            e->insn, e->rip);
    if (e->kind == EV_VMEXIT)
        fprintf(pm->p->f, ",\"reason\":%u,\"qualification\":\"0x%" PRIx64 "\"", e->u.vmexit.reason, e->u.vmexit.qual);
    fputs("}}", pm->p->f);
}

// The ledger subscribed first, so it knows of the transition already.
static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct perfetto_machine *pm = ctx;
    const struct ledger *l = &pm->ledger;
    char name[64];
    unsigned level = l->cpu[e->cpu].level;
    switch (e->kind) {
    case EV_VMENTRY:
    case EV_VMEXIT:
        if (!l->nstretches)
            return;
        const struct ledger_stretch *s = &l->ring[(l->nstretches - 1) % LEDGER_STRETCHES];
        if (s->cpu != e->cpu || s->end != e->cycle)
            return; // the exit of a guest that was entered before the trace began
        slice(pm, s);
        if (e->kind == EV_VMEXIT)
            instant(pm, e, s->level, exit_name(e->u.vmexit.reason));
        break;
    case EV_EXCEPTION:
        snprintf(name, sizeof name, "vector %u", e->u.exc.e.vector);
        instant(pm, e, level, name);
        break;
    case EV_SHUTDOWN: instant(pm, e, level, "triple fault"); break;
    case EV_MARK:
        snprintf(name, sizeof name, "mark %.50s", e->u.mark.name ? e->u.mark.name : "");
        instant(pm, e, level, name);
        break;
    default: break;
    }
    counters(pm, e->cpu, e->cycle, false);
}

struct perfetto *perfetto_begin(FILE *f)
{
    struct perfetto *p = calloc(1, sizeof *p);
    assert(p);
    p->f = f;
    p->pids = 1;
    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"source\":\"ringside\"},\"traceEvents\":[", f);
    return p;
}

struct perfetto_machine *perfetto_open(struct perfetto *p, struct sim_machine *m, const char *name)
{
    struct perfetto_machine *pm = calloc(1, sizeof *pm);
    assert(pm); // 100 kB
    pm->p = p;
    pm->m = m;
    pm->pid = p->pids;
    p->pids += m->ncpus;
    for (unsigned n = 0; n < m->ncpus; n++) {
        char text[128];
        snprintf(text, sizeof text, "%s processor %u", name, n);
        metadata(p, pm->pid + n, 0, "process_name", text);
        tid_of(pm, n, 0);
    }
    ledger_open(&pm->ledger, m);
    const uint64_t mask =
        EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMEXIT) | EV_BIT(EV_WALK) | EV_BIT(EV_EXCEPTION) | EV_BIT(EV_SHUTDOWN) | EV_BIT(EV_MARK);
    pm->handle = ev_subscribe(m, mask, on_event, pm);
    return pm;
}

void perfetto_close(struct perfetto_machine *pm)
{
    if (!pm)
        return;
    for (unsigned n = 0; n < pm->m->ncpus; n++) {
        const struct ledger_cpu *c = &pm->ledger.cpu[n];
        uint64_t now = engine_now(&pm->m->cpu[n]->isa);
        slice(pm, &(struct ledger_stretch){
                      .cpu = (uint8_t)n, .level = c->level, .vmcs = c->vmcs, .begin = c->since, .end = now, .reason = c->reason});
        counters(pm, n, now, true);
    }
    ev_unsubscribe(pm->m, pm->handle);
    ledger_close(&pm->ledger);
    free(pm);
}

void perfetto_end(struct perfetto *p)
{
    if (!p)
        return;
    fputs("\n]}\n", p->f);
    free(p);
}
