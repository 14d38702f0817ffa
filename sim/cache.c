// sim/cache.c: see sim/cache.h.
#include "sim/cache_array.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct private
{
    struct cache_array u[CACHE_L3];
    struct cache_traffic n;
    struct cache_counts shared; // of L3, by this processor
    uint64_t past;              // the line after the last one that it stored to past the caches
    struct {                    // its last request beyond its own caches: in order as processors are, they have one at a time
        uint64_t line, from, until;
    } request;
};
struct caches {
    struct cache_config cfg;
    struct private cpu[16];
    struct cache_array l3;
};
#define MAX_CPUS (sizeof((struct caches *)0)->cpu / sizeof(struct private))

static const char *const unit_names[] = {"L1I", "L1D", "L2", "L3"};
const char *cache_unit_name(enum cache_unit u) { return unit_names[u]; }
char cache_state_letter(enum cache_state s) { return "ISEM"[s]; }

// --- making them

static bool is_power(uint32_t n) { return n && !(n & (n - 1)); }

static int unit_check(const struct cache_config *cfg, unsigned k, uint32_t line, struct sim_error *err)
{
    const struct profile_cache *g = &cfg->unit[k];
    if (!g->size)
        return 0;
    if (g->line != line)
        return sim_fail(err, SIM_USAGE, "caches: %s has lines of %u bytes, another cache %u; all must be equally long",
                        unit_names[k], g->line, line);
    if (!g->ways || g->ways > CACHE_MAX_WAYS || !is_power(line) || line < 16 || g->size % (line * g->ways) ||
        !is_power(g->size / line / g->ways))
        return sim_fail(err, SIM_USAGE,
                        "caches: %s: %u bytes in %u ways of %u-byte lines is no power of two of sets (at most 64 ways)",
                        unit_names[k], g->size, g->ways, line);
    return 0;
}

static uint32_t line_of(const struct cache_config *cfg)
{
    uint32_t line = 64;
    for (unsigned k = CACHE_NUNIT; k--;)
        if (cfg->unit[k].size)
            line = cfg->unit[k].line;
    return line;
}

int cache_config_check(const struct cache_config *cfg, struct sim_error *err)
{
    int r = 0;
    for (unsigned k = 0; k < CACHE_NUNIT && !r; k++)
        r = unit_check(cfg, k, line_of(cfg), err);
    return r;
}

struct caches *caches_create(const struct cache_config *cfg, struct sim_error *err)
{
    if (cache_config_check(cfg, err) < 0)
        return NULL;
    assert(cfg->cpus && cfg->cpus <= MAX_CPUS);
    struct caches *h = calloc(1, sizeof *h);
    bool ok = h != NULL;
    if (h) {
        h->cfg = *cfg;
        for (unsigned n = 0; n < cfg->cpus; n++)
            for (unsigned k = 0; k < CACHE_L3; k++)
                ok = array_init(&h->cpu[n].u[k], &cfg->unit[k], line_of(cfg)) && ok;
        ok = array_init(&h->l3, &cfg->unit[CACHE_L3], line_of(cfg)) && ok;
    }
    if (ok)
        return h;
    caches_destroy(h);
    sim_fail(err, SIM_INTERNAL, "caches: out of memory");
    return NULL;
}

void caches_destroy(struct caches *h)
{
    for (unsigned n = 0; h && n < MAX_CPUS; n++)
        for (unsigned k = 0; k < CACHE_L3; k++)
            array_free(&h->cpu[n].u[k]);
    if (h)
        array_free(&h->l3);
    free(h);
}

void caches_clear(struct caches *h)
{
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        for (unsigned k = 0; k < CACHE_L3; k++)
            array_clear(&h->cpu[n].u[k]);
        h->cpu[n].n = (struct cache_traffic){0};
        h->cpu[n].shared = (struct cache_counts){0};
        h->cpu[n].past = 0;
        memset(&h->cpu[n].request, 0, sizeof h->cpu[n].request);
    }
    array_clear(&h->l3);
}

uint64_t cache_line(const struct caches *h, uint64_t pa) { return pa & h->l3.frame; }

// --- one processor

// What the processor has of the line, as the others see it.
static enum cache_state held(const struct private *p, uint64_t line)
{
    enum cache_state s = CACHE_I;
    for (unsigned k = 0; k < CACHE_L3; k++) {
        const enum cache_state here = array_state(&p->u[k], line);
        s = here > s ? here : s;
    }
    return s;
}

// Drop a line; what the processor had of it.
static __attribute__((noinline)) enum cache_state drop(const struct private *p, uint64_t line)
{
    enum cache_state s = CACHE_I;
    for (unsigned k = 0; k < CACHE_L3; k++) {
        uint64_t *w = array_find(&p->u[k], line);
        if (!w)
            continue;
        const enum cache_state here = (enum cache_state)(*w & CACHE_STATE);
        s = here > s ? here : s;
        array_drop(&p->u[k], w);
    }
    return s;
}

static enum cache_state lose(const struct private *p, uint64_t line)
{
    const uint64_t any =
        array_may_hold(&p->u[CACHE_L1I], line) | array_may_hold(&p->u[CACHE_L1D], line) | array_may_hold(&p->u[CACHE_L2], line);
    return __builtin_expect(any != 0, 0) ? drop(p, line) : CACHE_I;
}

static void share(const struct private *p, uint64_t line)
{
    for (unsigned k = 0; k < CACHE_L3; k++)
        array_set_state(&p->u[k], line, CACHE_S);
}

// --- L3 and memory

// A modified line comes down; L3 has it already, where there is one.
static void write_back(const struct caches *h, uint64_t line) { array_set_state(&h->l3, line, CACHE_M); }

// --- the bus: what the other processors have

static unsigned hops(const struct caches *h, unsigned a, unsigned b)
{
    const unsigned n = h->cfg.die ? (unsigned)__builtin_popcount(a / h->cfg.die ^ b / h->cfg.die) : 0;
    return n < 2 ? n : 2;
}

// What the other processors have: the highest state, and how far away the farthest of them is.
struct peers {
    enum cache_state most;
    unsigned hops;
};

static uint32_t transfer_cost(const struct caches *h, struct peers p, enum cache_kind kind)
{
    const struct profile_line *line = &h->cfg.line[p.hops];
    return kind == CACHE_STORE ? line->store : kind == CACHE_RMW ? line->rmw : line->load;
}

// Ask the other processors for a line: each of them then shares it, or loses it to who wants to own it.
static struct peers snoop(struct caches *h, const struct private *by, uint64_t line, bool own)
{
    struct peers p = {CACHE_I, 0};
    const unsigned cpu = (unsigned)(by - h->cpu);
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        const enum cache_state s = n == cpu ? CACHE_I : held(&h->cpu[n], line);
        if (s == CACHE_I)
            continue;
        p.most = s > p.most ? s : p.most;
        p.hops = hops(h, cpu, n) > p.hops ? hops(h, cpu, n) : p.hops;
        if (s == CACHE_M)
            write_back(h, line);
        if (own)
            h->cpu[cpu].n.invalidations += lose(&h->cpu[n], line) != CACHE_I;
        else
            share(&h->cpu[n], line);
    }
    return p;
}

// --- filling

// What L3 gives up, the processors lose.
static void recall(struct caches *h, struct private *p, uint64_t old)
{
    enum cache_state most = (enum cache_state)(old & CACHE_STATE);
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        const enum cache_state had = lose(&h->cpu[n], old & ~CACHE_STATE);
        if (__builtin_expect(had != CACHE_I, 0)) {
            h->cpu[n].n.recalls++;
            most = had > most ? had : most;
        }
    }
    p->shared.evictions++;
    if (most == CACHE_M)
        p->shared.writebacks++;
}

// One of a processor's own caches takes a line. Returned: what has left for it, if it was modified; else 0.
static __attribute__((noinline)) uint64_t fill(struct cache_array *a, uint64_t line, enum cache_state s)
{
    const uint64_t old = a->sets ? array_put(a, line, s) : 0;
    if (!old)
        return 0;
    a->n.evictions++;
    if (__builtin_expect((old & CACHE_STATE) != CACHE_M, 1))
        return 0;
    a->n.writebacks++;
    return old;
}

static void fill_l2(struct caches *h, struct private *p, uint64_t line, enum cache_state s)
{
    const uint64_t old = fill(&p->u[CACHE_L2], line, s);
    if (__builtin_expect(old != 0, 0))
        write_back(h, old & ~CACHE_STATE);
}

// A modified line leaves L1D.
static __attribute__((noinline)) void hand_down(struct caches *h, struct private *p, uint64_t line)
{
    uint64_t *w = array_find(&p->u[CACHE_L2], line);
    if (w)
        *w = line | CACHE_M;
    else if (p->u[CACHE_L2].sets)
        fill_l2(h, p, line, CACHE_M);
    else
        write_back(h, line);
}

// --- an access

// From beyond the other processors: L3, else memory, whose line L3 keeps.
static __attribute__((noinline)) struct cache_result fetch_down(struct caches *h, struct private *p, uint64_t line)
{
    const uint64_t *w = array_look(&h->l3, line);
    if (w) {
        array_used(&h->l3, w);
        p->shared.hits++;
        return (struct cache_result){h->l3.latency, CACHE_L3};
    }
    p->n.memory++;
    p->shared.misses++;
    const uint64_t old = h->l3.sets ? array_put(&h->l3, line, CACHE_E) : 0;
    if (old)
        recall(h, p, old);
    return (struct cache_result){h->cfg.memory, CACHE_BY_MEMORY};
}

// The owner answers, or sharers say that theirs is gone.
static struct cache_result fetch_over(struct caches *h, struct private *p, uint64_t line, struct peers peers, enum cache_kind kind)
{
    const uint64_t *w = array_find(&h->l3, line);
    if (w)
        array_used(&h->l3, w);
    p->n.transfers += peers.most == CACHE_M;
    return (struct cache_result){transfer_cost(h, peers, kind), CACHE_BY_PEER};
}

// A line that L2 lacks. mine: the processor has it already, in its other first-level cache, so a load or a fetch need ask nobody. *s: the state that it
// comes in.
static inline struct cache_result fetch_line(struct caches *h, struct private *p, uint64_t line, enum cache_kind kind, bool mine,
                                             enum cache_state *s)
{
    const bool own = kind >= CACHE_STORE;
    *s = own ? CACHE_M : mine ? CACHE_S : CACHE_E;
    if (__builtin_expect(h->cfg.cpus > 1, 0) && (own || !mine)) {
        const struct peers peers = snoop(h, p, line, own);
        if (peers.most >= CACHE_E || (peers.most && own)) {
            *s = own ? CACHE_M : CACHE_S;
            return fetch_over(h, p, line, peers, kind);
        }
        *s = peers.most ? CACHE_S : *s;
    }
    return fetch_down(h, p, line);
}

// A store met a line that the processor has, in this state or a higher one, but has not modified yet. Nothing to do for E; S asks the others to
// give theirs up.
static struct cache_result take(struct caches *h, struct private *p, uint64_t line, enum cache_kind kind, enum cache_state s,
                                struct cache_result r)
{
    array_set_state(&p->u[CACHE_L1I], line, CACHE_I); // its own code, too
    if (s >= CACHE_E || held(p, line) >= CACHE_E)
        return r;
    p->n.upgrades++;
    const struct peers others = h->cfg.cpus > 1 ? snoop(h, p, line, true) : (struct peers){CACHE_I, 0};
    const uint32_t cost = others.most ? transfer_cost(h, others, kind) : h->l3.sets ? h->l3.latency : r.cycles;
    return cost > r.cycles ? (struct cache_result){cost, CACHE_BY_UPGRADE} : r;
}

// Code is fetched that the processor itself has modified: its data cache hands the line down first.
static void clean_for_fetch(struct caches *h, struct private *p, uint64_t line)
{
    uint64_t *w = array_find(&p->u[CACHE_L1D], line);
    if (!w || (*w & CACHE_STATE) == CACHE_S)
        return;
    const enum cache_state s = (enum cache_state)(*w & CACHE_STATE);
    uint64_t *below = array_find(&p->u[CACHE_L2], line);
    *w = line | CACHE_S;
    if (below)
        *below = line | ((*below & CACHE_STATE) > s ? *below & CACHE_STATE : s);
    else if (p->u[CACHE_L2].sets)
        fill_l2(h, p, line, s);
    else if (s == CACHE_M)
        write_back(h, line);
}

// L1, one of the first-level caches, lacks the line. pass: it is to have no place in L2.
static __attribute__((noinline)) struct cache_result miss(struct caches *h, struct private *p, struct cache_array *l1,
                                                          uint64_t line, enum cache_kind kind, bool pass)
{
    struct cache_array *l2 = &p->u[CACHE_L2];
    const bool own = kind >= CACHE_STORE;
    struct cache_result r = {l2->latency, CACHE_L2};
    enum cache_state s;
    l1->n.misses++;
    if (kind == CACHE_FETCH)
        clean_for_fetch(h, p, line);
    const uint64_t *w = array_find(l2, line);
    if (w) {
        array_used(l2, w);
        l2->n.hits++;
        // What is modified below comes up clean: it need not come down again.
        s = (*w & CACHE_STATE) == CACHE_M ? CACHE_E : (enum cache_state)(*w & CACHE_STATE);
        if (own) {
            r = take(h, p, line, kind, s, r);
            s = CACHE_M;
        }
    } else {
        struct cache_array *other = &p->u[kind == CACHE_FETCH ? CACHE_L1D : CACHE_L1I];
        uint64_t *there = array_find(other, line);
        l2->n.misses++;
        r = fetch_line(h, p, line, kind, there, &s);
        if (own && there)
            array_drop(other, there);
        if (!pass)
            fill_l2(h, p, line, own ? CACHE_E : s);
    }
    if (!l1->sets && s == CACHE_M) {
        array_set_state(l2, line, CACHE_M);
        if (!l2->sets)
            write_back(h, line);
    }
    const uint64_t old = fill(l1, line, kind == CACHE_FETCH ? CACHE_S : s);
    if (__builtin_expect(old != 0, 0))
        hand_down(h, p, old & ~CACHE_STATE);
    return r;
}

// A store met a line in L1D that is not modified.
static __attribute__((noinline)) struct cache_result modify(struct caches *h, struct private *p, uint64_t *w, enum cache_kind kind)
{
    const uint64_t line = *w & ~CACHE_STATE;
    const struct cache_result here = {p->u[CACHE_L1D].latency, CACHE_L1D};
    const struct cache_result r = take(h, p, line, kind, (enum cache_state)(*w & CACHE_STATE), here);
    *w = line | CACHE_M;
    return r;
}

static __attribute__((noinline)) struct cache_result access_line(struct caches *h, struct private *p, struct cache_array *l1,
                                                                 uint64_t line, enum cache_kind kind)
{
    uint64_t *t = array_set(l1, line), *w = array_search(l1, t, line);
    if (!w)
        return miss(h, p, l1, line, kind, false);
    array_touch(l1, t, (uint64_t)(w - t) - CACHE_WAYS);
    l1->n.hits++;
    if (kind >= CACHE_STORE && (*w & CACHE_STATE) != CACHE_M)
        return modify(h, p, w, kind);
    return (struct cache_result){l1->latency, kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D};
}

struct cache_result cache_access(struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind)
{
    struct private *p = &h->cpu[cpu];
    struct cache_array *l1 = &p->u[kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D];
    const uint64_t line = pa & l1->frame;
    return array_may_hold(l1, line) ? access_line(h, p, l1, line, kind) : miss(h, p, l1, line, kind, false);
}

struct cache_array *cache_first(struct caches *h, unsigned cpu, enum cache_unit l1) { return &h->cpu[cpu].u[l1]; }

// To L2, from what is farther away than that.
static struct cache_result prefetch_to_l2(struct caches *h, struct private *p, uint64_t line)
{
    struct cache_array *l2 = &p->u[CACHE_L2];
    const uint64_t *w = array_find(l2, line);
    enum cache_state s;
    if (w) {
        array_used(l2, w);
        l2->n.hits++;
        return (struct cache_result){0, CACHE_L2};
    }
    if (held(p, line))
        return (struct cache_result){0, CACHE_L1D};
    l2->n.misses++;
    const struct cache_result r = fetch_line(h, p, line, CACHE_LOAD, false, &s);
    fill_l2(h, p, line, s);
    return r;
}

struct cache_result cache_prefetch(struct caches *h, unsigned cpu, uint64_t pa, enum cache_prefetch how)
{
    struct private *p = &h->cpu[cpu];
    struct cache_array *l1 = &p->u[CACHE_L1D];
    const uint64_t line = cache_line(h, pa);
    const enum cache_state before = array_state(l1, line);
    if (how == CACHE_PREFETCH_L2)
        return prefetch_to_l2(h, p, line);
    if (how == CACHE_PREFETCH_NTA && before == CACHE_I && l1->sets)
        return miss(h, p, l1, line, CACHE_LOAD, true);
    if (how != CACHE_PREFETCH_W || !l1->sets)
        return cache_access(h, cpu, line, CACHE_LOAD);
    const struct cache_result r = cache_access(h, cpu, line, CACHE_STORE);
    if (before != CACHE_M)
        array_set_state(l1, line, CACHE_E);
    return r;
}

bool cache_hits(const struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind)
{
    const enum cache_state s = array_state(&h->cpu[cpu].u[CACHE_L1D], cache_line(h, pa));
    return kind >= CACHE_STORE ? s == CACHE_M : s != CACHE_I;
}

void cache_count_hits(struct caches *h, unsigned cpu, uint64_t n) { h->cpu[cpu].u[CACHE_L1D].n.hits += n; }

uint32_t cache_queue(struct caches *h, unsigned cpu, uint64_t pa, struct cache_result r, uint64_t now)
{
    const uint64_t line = cache_line(h, pa);
    uint64_t free = now;
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        if (n != cpu && h->cpu[n].request.line == line && h->cpu[n].request.from <= now && h->cpu[n].request.until > free)
            free = h->cpu[n].request.until;
    h->cpu[cpu].request.line = line;
    h->cpu[cpu].request.from = now;
    h->cpu[cpu].request.until = free + r.cycles;
    return (uint32_t)(free + r.cycles - now);
}

// --- what leaves on request

// The line leaves one processor's caches, and L3; the highest state that it had.
static enum cache_state expel(const struct private *p, uint64_t line, enum cache_state most)
{
    const enum cache_state s = lose(p, line);
    return s > most ? s : most;
}

static unsigned flush_line(struct caches *h, struct private *by, uint64_t line)
{
    enum cache_state s = array_state(&h->l3, line);
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        s = expel(&h->cpu[n], line, s);
    array_set_state(&h->l3, line, CACHE_I);
    by->n.flushed += s != CACHE_I;
    return s == CACHE_M;
}

unsigned cache_flush_line(struct caches *h, unsigned cpu, uint64_t pa)
{
    const unsigned written = flush_line(h, &h->cpu[cpu], cache_line(h, pa));
    h->cpu[cpu].n.cleaned += written;
    return written;
}

static bool clean(const struct cache_array *a, uint64_t line)
{
    uint64_t *w = array_find(a, line);
    if (!w || (*w & CACHE_STATE) != CACHE_M)
        return false;
    *w = line | CACHE_E;
    return true;
}

unsigned cache_clean_line(struct caches *h, unsigned cpu, uint64_t pa)
{
    const uint64_t line = cache_line(h, pa);
    bool dirty = clean(&h->l3, line);
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        for (unsigned k = 0; k < CACHE_L3; k++)
            dirty = clean(&h->cpu[n].u[k], line) || dirty;
    h->cpu[cpu].n.cleaned += dirty;
    return dirty;
}

unsigned cache_store_past(struct caches *h, unsigned cpu, uint64_t pa)
{
    struct private *p = &h->cpu[cpu];
    const uint64_t line = cache_line(h, pa);
    p->n.past += p->past != line + 1;
    p->past = line + 1;
    return cache_flush_line(h, cpu, line);
}

// L3 includes what processors have. Without one, what others have stays.
unsigned cache_flush_all(struct caches *h, unsigned cpu, bool write_back)
{
    struct private *p = &h->cpu[cpu];
    unsigned dirty = 0;
    for (size_t k = 0; k < array_ways(&h->l3); k++)
        if (*array_way(&h->l3, k))
            dirty += flush_line(h, p, *array_way(&h->l3, k) & ~CACHE_STATE);
    for (unsigned u = 0; u < CACHE_L3; u++)
        for (size_t k = 0; k < array_ways(&p->u[u]); k++)
            if (*array_way(&p->u[u], k)) {
                dirty += expel(p, *array_way(&p->u[u], k) & ~CACHE_STATE, CACHE_I) == CACHE_M;
                p->n.flushed++;
            }
    p->n.cleaned += write_back ? dirty : 0;
    return write_back ? dirty : 0;
}

// --- for people and tests

static const struct cache_array *unit_of(const struct caches *h, unsigned cpu, enum cache_unit u)
{
    return u == CACHE_L3 ? &h->l3 : &h->cpu[cpu].u[u];
}

struct cache_geometry cache_geometry(const struct caches *h, enum cache_unit k)
{
    const struct cache_array *a = unit_of(h, 0, k);
    return (struct cache_geometry){a->sets, a->ways, (uint32_t)-a->frame, a->latency};
}

enum cache_state cache_state(const struct caches *h, unsigned cpu, enum cache_unit u, uint64_t pa)
{
    return array_state(unit_of(h, cpu, u), cache_line(h, pa));
}

unsigned cache_cpus(const struct caches *h) { return h->cfg.cpus; }

enum cache_state cache_held(const struct caches *h, unsigned cpu, uint64_t pa) { return held(&h->cpu[cpu], cache_line(h, pa)); }

bool cache_way(const struct caches *h, unsigned cpu, enum cache_unit k, uint32_t set, uint32_t way, uint64_t *pa,
               enum cache_state *s)
{
    const struct cache_array *a = unit_of(h, cpu, k);
    if (set >= a->sets || way >= a->ways)
        return false;
    const uint64_t w = a->set[(size_t)set * a->stride + CACHE_WAYS + way];
    *pa = w & ~CACHE_STATE;
    *s = (enum cache_state)(w & CACHE_STATE);
    return w != 0;
}

uint32_t cache_victim(const struct caches *h, unsigned cpu, enum cache_unit u, uint32_t set)
{
    const struct cache_array *a = unit_of(h, cpu, u);
    if (set >= a->sets)
        return 0;
    const uint64_t *t = &a->set[(size_t)set * a->stride];
    return t[CACHE_EMPTY] ? (uint32_t)__builtin_ctzll(t[CACHE_EMPTY]) : (uint32_t)array_oldest(a, t);
}

static uint32_t set_of(const struct cache_array *a, uint64_t pa) { return (uint32_t)((pa & a->index) / -a->frame); }

uint32_t cache_set_of(const struct caches *h, enum cache_unit u, uint64_t pa) { return set_of(unit_of(h, 0, u), pa); }

struct cache_counts cache_counts(const struct caches *h, unsigned cpu, enum cache_unit u)
{
    const struct private *p = &h->cpu[cpu];
    return !unit_of(h, cpu, u)->sets ? (struct cache_counts){0} : u == CACHE_L3 ? p->shared : p->u[u].n;
}

struct cache_traffic cache_traffic(const struct caches *h, unsigned cpu) { return h->cpu[cpu].n; }

static uint64_t fold(uint64_t x, uint64_t v)
{
    x = (x ^ v) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static uint64_t unit_hash(const struct cache_array *a, uint64_t x)
{
    for (size_t k = 0; k < array_ways(a); k++)
        x = fold(x, *array_way(a, k));
    for (size_t k = 0; k < a->sets; k++)
        x = fold(x, a->set[k * a->stride + CACHE_TREE]);
    return x;
}

uint64_t caches_hash(const struct caches *h)
{
    uint64_t x = unit_hash(&h->l3, h->cfg.cpus);
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        for (unsigned k = 0; k < CACHE_L3; k++)
            x = unit_hash(&h->cpu[n].u[k], x);
        x = fold(fold(fold(x, h->cpu[n].request.line), h->cpu[n].request.from), h->cpu[n].request.until);
    }
    return x;
}

static void check_line(const struct caches *h, unsigned cpu, unsigned unit, uint64_t line)
{
    const enum cache_state mine = held(&h->cpu[cpu], line);
    assert(!h->l3.sets || array_find(&h->l3, line));
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        assert(n == cpu || mine < CACHE_E || held(&h->cpu[n], line) == CACHE_I);
    assert(unit != CACHE_L1I || array_state(&h->cpu[cpu].u[CACHE_L1D], line) != CACHE_M);
    (void)mine;
}

static void check_unit(const struct caches *h, unsigned cpu, unsigned unit)
{
    const struct cache_array *a = unit_of(h, cpu, (enum cache_unit)unit);
    for (uint32_t k = 0; k < array_ways(a); k++) {
        const uint64_t w = *array_way(a, k), line = w & ~CACHE_STATE;
        const bool empty = a->set[k / a->ways * a->stride + CACHE_EMPTY] >> k % a->ways & 1;
        assert(empty == !w);
        if (!w)
            continue;
        assert(w & CACHE_STATE);
        assert(set_of(a, line) == k / a->ways);
        assert(array_find(a, line) == array_way(a, k));
        if (unit != CACHE_L3)
            check_line(h, cpu, unit, line);
    }
}

void caches_check(const struct caches *h)
{
    check_unit(h, 0, CACHE_L3);
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        for (unsigned k = 0; k < CACHE_L3; k++)
            check_unit(h, n, k);
}
