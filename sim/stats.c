// sim/stats.c: see sim/stats.h.
#include "sim/stats.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/json.h"
#include "vmx-model/explain.h"

#define OUTCOMES 6 // enum sim_walk_outcome
#define CAUSES   32
#define REASONS  128

struct counts {
    uint64_t event[EV_NUM];
    uint64_t fills[TLB_NUNIT], evicts[TLB_NUNIT];
    uint64_t outcome[OUTCOMES];
    uint64_t ref[2][6]; // by dimension and level of the entry that was read
    uint64_t exit[REASONS], exception[256];
};
// Invalidations by cause, in the order in which they were first met.
struct cause {
    char name[32];
    uint64_t n[SIM_MAX_CPUS], dropped[SIM_MAX_CPUS];
};
struct stats_recorder {
    struct sim_machine *m;
    int handle;
    struct counts c[SIM_MAX_CPUS];
    unsigned ncauses;
    struct cause cause[CAUSES];
};

// A name without blanks and capitals.
static void slug(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        bool word = isalnum((unsigned char)*text);
        if (word || (n && out[n - 1] != '_'))
            out[n++] = word ? (char)tolower((unsigned char)*text) : '_';
    }
    while (n && out[n - 1] == '_')
        n--;
    out[n] = 0;
}

static void count_flush(struct stats_recorder *s, const struct ev *e)
{
    char name[sizeof s->cause[0].name];
    slug(name, sizeof name, e->u.flush.cause);
    unsigned k = 0;
    while (k < s->ncauses && strcmp(s->cause[k].name, name) != 0)
        k++;
    if (k == CAUSES)
        return; // still in the sums
    if (k == s->ncauses) {
        s->ncauses++;
        strcpy(s->cause[k].name, name);
    }
    s->cause[k].n[e->cpu]++;
    s->cause[k].dropped[e->cpu] += e->u.flush.dropped;
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct stats_recorder *s = ctx;
    struct counts *c = &s->c[e->cpu];
    if (e->kind == EV_WALK && !e->u.walk.done)
        return; // the end counts
    c->event[e->kind]++;
    switch (e->kind) {
    case EV_WALK: c->outcome[e->u.walk.outcome % OUTCOMES]++; break;
    case EV_REF: c->ref[e->u.ref.dim & 1][(e->u.ref.dim == EV_DIM_EPT ? e->u.ref.elevel : e->u.ref.glevel) % 6]++; break;
    case EV_TLB_FILL: c->fills[e->u.tlb.e->unit]++; break;
    case EV_TLB_EVICT: c->evicts[e->u.tlb.e->unit]++; break;
    case EV_TLB_FLUSH: count_flush(s, e); break;
    case EV_VMEXIT: c->exit[e->u.vmexit.reason % REASONS]++; break;
    case EV_EXCEPTION: c->exception[e->u.exc.e.vector]++; break;
    default: break;
    }
}

// Frequent events would take the fast paths away, and a listener to stale entries would, too.
static uint64_t counted(void)
{
    uint64_t mask = 0;
    for (unsigned k = 0; k < EV_NUM; k++)
        if (!ev_info[k].frequent && k != EV_TLB_STALE)
            mask |= EV_BIT(k);
    return mask;
}

struct stats_recorder *stats_open(struct sim_machine *m)
{
    struct stats_recorder *s = calloc(1, sizeof *s);
    assert(s); // some dozen kB
    s->m = m;
    s->handle = ev_subscribe(m, counted(), on_event, s);
    return s;
}

void stats_close(struct stats_recorder *s)
{
    if (s)
        ev_unsubscribe(s->m, s->handle);
    free(s);
}

// --- the list

struct list {
    stats_fn *fn;
    void *ctx;
    unsigned cpu;
};

static void tell(const struct list *l, uint64_t value, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void tell(const struct list *l, uint64_t value, const char *text, const char *fmt, ...)
{
    char name[128];
    int n = snprintf(name, sizeof name, "cpu%u.", l->cpu);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + n, sizeof name - (size_t)n, fmt, ap);
    va_end(ap);
    l->fn(l->ctx, name, value, text);
}

static void list_tlb(const struct stats_recorder *s, const struct list *l)
{
    const struct tlb *t = s->m->cpu[l->cpu]->tlb;
    for (unsigned u = 0; u < TLB_NUNIT; u++) {
        char unit[32];
        slug(unit, sizeof unit, tlb_unit_name(u));
        if (!t->u[u].size)
            continue; // the profile has no such unit
        tell(l, t->u[u].size, "entries that it can hold", "tlb.%s.size", unit);
        tell(l, tlb_count(t, u), "entries that it holds at the end", "tlb.%s.live", unit);
        tell(l, s->c[l->cpu].fills[u], "entries that entered it", "tlb.%s.fills", unit);
        tell(l, s->c[l->cpu].evicts[u], "entries that left it to make room", "tlb.%s.evicts", unit);
        tell(l, tlb_counts(t, u).dropped, "entries that invalidations dropped", "tlb.%s.invalidated", unit);
        if (u > TLB_DTLB)
            tell(l, tlb_counts(t, u).hits, "look-ups that it answered", "tlb.%s.hits", unit);
    }
}

static void list_walks(const struct counts *c, const struct list *l)
{
    static const char *const outcome[OUTCOMES] = {"ok", "page_fault", "ept_violation", "ept_misconfiguration", NULL, "log_full"};
    for (unsigned k = 0; k < OUTCOMES; k++)
        if (outcome[k])
            tell(l, c->outcome[k], "page walks that ended so", "walk.%s", outcome[k]);
    for (unsigned level = 5; level > 0; level--)
        tell(l, c->ref[EV_DIM_GUEST][level], "references to the guest's paging structures of that level", "ref.guest.level%u",
             level);
    for (unsigned level = 5; level > 0; level--)
        tell(l, c->ref[EV_DIM_EPT][level], "references to EPT paging structures of that level", "ref.ept.level%u", level);
}

static void list_exits(const struct counts *c, const struct list *l)
{
    for (unsigned k = 0; k < REASONS; k++) {
        char name[64];
        if (!c->exit[k])
            continue;
        slug(name, sizeof name, vmx_exit_name(k) ? vmx_exit_name(k) : "unknown");
        tell(l, c->exit[k], "VM exits for that reason", "vmexit.%u_%s", k, name);
    }
    for (unsigned k = 0; k < 256; k++)
        if (c->exception[k])
            tell(l, c->exception[k], "deliveries of that vector through the IDT", "vector.%u", k);
}

static void list_cpu(const struct stats_recorder *s, const struct list *l)
{
    const char *name;
    for (unsigned k = 0; (name = sim_stat_name(k)); k++) {
        uint64_t v = 0;
        sim_stat(s->m, l->cpu, name, &v);
        tell(l, v, sim_stat_text(k), "%s", name);
    }
    list_tlb(s, l);
    list_walks(&s->c[l->cpu], l);
    for (unsigned k = 0; k < s->ncauses; k++) {
        tell(l, s->cause[k].n[l->cpu], "invalidations by that", "flush.%s.count", s->cause[k].name);
        tell(l, s->cause[k].dropped[l->cpu], "entries that they dropped", "flush.%s.dropped", s->cause[k].name);
    }
    list_exits(&s->c[l->cpu], l);
    for (unsigned k = 0; k < EV_NUM; k++)
        if (counted() >> k & 1) {
            char kind[32];
            slug(kind, sizeof kind, ev_info[k].name);
            tell(l, s->c[l->cpu].event[k], ev_info[k].text, "event.%s", kind);
        }
}

void stats_visit(const struct stats_recorder *s, stats_fn *fn, void *ctx)
{
    fn(ctx, "cycles", sim_now(s->m), "model cycles: the latest that a processor has reached");
    fn(ctx, "insns", sim_insns(s->m), "instructions retired by all processors");
    fn(ctx, "cycles_per_second", s->m->profile->hz, "frequency of the profile");
    for (unsigned n = 0; n < s->m->ncpus; n++)
        list_cpu(s, &(struct list){fn, ctx, n});
}

static void text_line(void *ctx, const char *name, uint64_t value, const char *text)
{
    fprintf(ctx, "%-44s %20" PRIu64 "  # %s\n", name, value, text);
}
void stats_text(const struct stats_recorder *s, FILE *f) { stats_visit(s, text_line, f); }

struct json {
    FILE *f;
    bool more;
};
static void json_line(void *ctx, const char *name, uint64_t value, const char *text)
{
    struct json *j = ctx;
    fputs(j->more ? ",\n{\"name\":" : "\n{\"name\":", j->f);
    j->more = true;
    json_string(j->f, name);
    fprintf(j->f, ",\"value\":%" PRIu64 ",\"description\":", value);
    json_string(j->f, text);
    fputc('}', j->f);
}
void stats_json(const struct stats_recorder *s, FILE *f, const char *what)
{
    struct json j = {.f = f};
    fprintf(f, "{%s\"profile\":", what);
    json_string(f, sim_profile_name(s->m));
    fputs(",\"stats\":[", f);
    stats_visit(s, json_line, &j);
    fputs("]}", f);
}
