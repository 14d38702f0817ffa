// sim/cache.c: see sim/cache.h.
#include "sim/cache.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// A set is a record of words, so that what an access needs lies together:
//      0  tree   a bit for each inner node of a binary tree over the ways: which half was used less lately
//      1  live   a bit for each way that is not empty
//      2  last   the way that was used last: there a line is looked for first, and using it again changes nothing
//      3  hints  a byte of its line's number for each way, eight to a word: elsewhere lines are looked for by these
//      then the ways: the address of a line with its state in the low bits; 0 is an empty way
// An absent unit has one set of no ways.
#define STATE    3ull
#define MAX_WAYS 64u
#define BYTES(b) ((b)*0x0101010101010101ull)
enum { TREE, LIVE, LAST, HINTS };

struct unit {
    uint32_t sets, mask, ways, leaves, latency; // leaves: the power of two at or above ways
    uint32_t words, hint_shift;                 // words of hints of a set; which byte of an address a hint is
    uint32_t first, stride;                     // of a record: where the ways begin, how long it is
    uint64_t *set;
    struct cache_counts n;
    struct { // what a use of a way does to the tree: the nodes on its path, and those of them that point right from now on
        uint64_t path, right;
    } use[MAX_WAYS];
};
struct private
{
    struct unit u[CACHE_L3];
    struct cache_traffic n;
    struct cache_counts shared; // of L3, by this processor
    uint64_t past;              // the line after the last one that it stored to past the caches
    struct {                    // its last request beyond its own caches: in order as processors are, they have one at a time
        uint64_t line, from, until;
    } request;
};
struct caches {
    struct cache_config cfg;
    unsigned shift; // log2 of the line
    uint64_t frame; // the bits of an address that say which line it is in
    struct private cpu[16];
    struct unit l3;
};
#define MAX_CPUS (sizeof((struct caches *)0)->cpu / sizeof(struct private))

static const char *const unit_names[] = {"L1I", "L1D", "L2", "L3"};
const char *cache_unit_name(enum cache_unit u) { return unit_names[u]; }
char cache_state_letter(enum cache_state s) { return "ISEM"[s]; }

// --- making them

static unsigned log2_of(uint32_t n) { return 31u - (unsigned)__builtin_clz(n); }
static bool is_power(uint32_t n) { return n && !(n & (n - 1)); }

static int unit_check(const struct cache_config *cfg, unsigned k, uint32_t line, struct sim_error *err)
{
    const struct profile_cache *g = &cfg->unit[k];
    if (!g->size)
        return 0;
    if (g->line != line)
        return sim_fail(err, SIM_USAGE, "caches: %s has lines of %u bytes, another cache %u; all must be equally long",
                        unit_names[k], g->line, line);
    if (!g->ways || g->ways > MAX_WAYS || !is_power(line) || line < 16 || g->size % (line * g->ways) ||
        !is_power(g->size / line / g->ways))
        return sim_fail(err, SIM_USAGE,
                        "caches: %s: %u bytes in %u ways of %u-byte lines is no power of two of sets (at most 64 ways)",
                        unit_names[k], g->size, g->ways, line);
    return 0;
}

// The nodes on the path to a way point to the other half once it is used.
static void init_uses(struct unit *u)
{
    for (uint32_t way = 0; way < u->ways; way++)
        for (uint32_t node = 1, half = u->leaves / 2; half; half /= 2) {
            const uint32_t right = way & half ? 1 : 0;
            u->use[way].path |= 1ull << node;
            u->use[way].right |= right ? 0 : 1ull << node;
            node = node * 2 + right;
        }
}

static void unit_clear(struct unit *u)
{
    memset(u->set, 0, (size_t)(u->mask + 1) * u->stride * sizeof *u->set);
    u->n = (struct cache_counts){0};
}

static bool unit_init(struct unit *u, const struct profile_cache *g)
{
    if (g->size) {
        u->ways = g->ways;
        u->sets = g->size / g->line / g->ways;
        u->leaves = u->ways > 1 ? 2u << log2_of(u->ways - 1) : 1;
        u->latency = g->latency;
        u->mask = u->sets - 1;
        init_uses(u);
    }
    u->words = (u->ways + 7) / 8;
    u->hint_shift = log2_of(g->line ? g->line : 1) + log2_of(u->sets ? u->sets : 1);
    u->first = HINTS + u->words;
    u->stride = u->first + u->ways;
    u->set = calloc((size_t)(u->mask + 1) * u->stride + MAX_WAYS, sizeof *u->set); // find() may look past the last set
    return u->set;
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
        h->shift = log2_of(line_of(cfg));
        h->frame = ~0ull << h->shift;
        for (unsigned n = 0; n < cfg->cpus; n++)
            for (unsigned k = 0; k < CACHE_L3; k++)
                ok = unit_init(&h->cpu[n].u[k], &cfg->unit[k]) && ok;
        ok = unit_init(&h->l3, &cfg->unit[CACHE_L3]) && ok;
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
            free(h->cpu[n].u[k].set);
    if (h)
        free(h->l3.set);
    free(h);
}

void caches_clear(struct caches *h)
{
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        for (unsigned k = 0; k < CACHE_L3; k++)
            unit_clear(&h->cpu[n].u[k]);
        h->cpu[n].n = (struct cache_traffic){0};
        h->cpu[n].shared = (struct cache_counts){0};
        h->cpu[n].past = 0;
        memset(&h->cpu[n].request, 0, sizeof h->cpu[n].request);
    }
    unit_clear(&h->l3);
}

// --- one unit

uint64_t cache_line(const struct caches *h, uint64_t pa) { return pa & h->frame; }

static inline uint32_t set_of(const struct caches *h, const struct unit *u, uint64_t line)
{
    return (uint32_t)(line >> h->shift) & u->mask;
}

static inline uint64_t *set_at(const struct caches *h, const struct unit *u, uint64_t line)
{
    return &u->set[(size_t)set_of(h, u, line) * u->stride];
}

static inline bool holds(uint64_t way, uint64_t line) { return (way ^ line) - 1 < STATE; } // any state but I

// The way of the set t that holds a line, or NULL.
static inline uint64_t *find_in(const struct unit *u, uint64_t *t, uint64_t line)
{
    const uint64_t want = BYTES((line >> u->hint_shift) & 0xff);
    for (uint32_t k = 0; k < u->words; k++) {
        const uint64_t x = t[HINTS + k] ^ want;
        // The top bits of bytes that are 0, and perhaps of others above one of them.
        for (uint64_t zero = (x - BYTES(1)) & ~x & BYTES(0x80); zero; zero &= zero - 1) {
            uint64_t *at = &t[u->first + k * 8 + (unsigned)__builtin_ctzll(zero) / 8];
            if (holds(*at, line))
                return at;
        }
    }
    return NULL;
}

static inline uint64_t *find(const struct caches *h, const struct unit *u, uint64_t line)
{
    return find_in(u, set_at(h, u, line), line);
}

static inline void set_hint(const struct unit *u, uint64_t *t, uint32_t way, uint64_t line)
{
    uint64_t *hint = &t[HINTS + way / 8];
    const unsigned at = way % 8 * 8;
    *hint = (*hint & ~(0xffull << at)) | ((line >> u->hint_shift) & 0xff) << at;
}

static inline void touch(const struct unit *u, uint64_t *t, uint32_t way)
{
    t[TREE] = (t[TREE] & ~u->use[way].path) | u->use[way].right;
    t[LAST] = way;
}

// Find and touch.
static inline uint64_t *use(const struct caches *h, const struct unit *u, uint64_t line)
{
    uint64_t *t = set_at(h, u, line), *w = &t[u->first + t[LAST]];
    if (__builtin_expect(!holds(*w, line), 0) && (w = find_in(u, t, line)))
        touch(u, t, (uint32_t)(w - t) - u->first);
    return w;
}

static uint32_t victim(const struct unit *u, const uint64_t *t)
{
    const uint64_t empty = ~t[LIVE] & ~0ull >> (MAX_WAYS - u->ways);
    if (empty)
        return (uint32_t)__builtin_ctzll(empty);
    uint32_t way = 0;
    for (uint32_t node = 1, half = u->leaves / 2; half; half /= 2) {
        // Where the ways are no power of two, the tree lacks some leaves on the right.
        const uint32_t right = (t[TREE] >> node & 1) && way + half < u->ways;
        way += right ? half : 0;
        node = node * 2 + right;
    }
    return way;
}

// Put a line into a unit that does not have it; returns the way's former contents.
static uint64_t put(const struct caches *h, struct unit *u, uint64_t line, enum cache_state s)
{
    uint64_t *t = set_at(h, u, line);
    const uint32_t way = victim(u, t);
    const uint64_t old = t[u->first + way];
    t[u->first + way] = line | s;
    set_hint(u, t, way, line);
    t[LIVE] |= 1ull << way;
    touch(u, t, way);
    if (old) {
        u->n.evictions++;
        u->n.writebacks += (old & STATE) == CACHE_M;
    }
    return old;
}

static void drop(const struct caches *h, const struct unit *u, uint64_t *w)
{
    uint64_t *t = set_at(h, u, *w);
    t[LIVE] &= ~(1ull << ((uint32_t)(w - t) - u->first));
    *w = 0;
}

static enum cache_state state_in(const struct caches *h, const struct unit *u, uint64_t line)
{
    const uint64_t *w = find(h, u, line);
    return w ? (enum cache_state)(*w & STATE) : CACHE_I;
}

static void set_state(const struct caches *h, const struct unit *u, uint64_t line, enum cache_state s)
{
    uint64_t *w = find(h, u, line);
    if (w && s == CACHE_I)
        drop(h, u, w);
    else if (w)
        *w = line | s;
}

// --- one processor

// What the processor has of the line, as the others see it.
static enum cache_state held(const struct caches *h, const struct private *p, uint64_t line)
{
    enum cache_state s = CACHE_I;
    for (unsigned k = 0; k < CACHE_L3; k++) {
        const enum cache_state here = state_in(h, &p->u[k], line);
        s = here > s ? here : s;
    }
    return s;
}

// Drop a line; what the processor had of it.
static enum cache_state lose(const struct caches *h, const struct private *p, uint64_t line)
{
    enum cache_state s = CACHE_I;
    for (unsigned k = 0; k < CACHE_L3; k++) {
        uint64_t *w = find(h, &p->u[k], line);
        if (!w)
            continue;
        const enum cache_state here = (enum cache_state)(*w & STATE);
        s = here > s ? here : s;
        drop(h, &p->u[k], w);
    }
    return s;
}

static void share(const struct caches *h, const struct private *p, uint64_t line)
{
    for (unsigned k = 0; k < CACHE_L3; k++)
        set_state(h, &p->u[k], line, CACHE_S);
}

// --- L3 and memory

// A modified line comes down; L3 has it already, where there is one.
static void write_back(const struct caches *h, uint64_t line) { set_state(h, &h->l3, line, CACHE_M); }

static void fill_l3(struct caches *h, struct private *p, uint64_t line)
{
    const struct cache_counts before = h->l3.n;
    const uint64_t old = put(h, &h->l3, line, CACHE_E);
    bool dirty = (old & STATE) == CACHE_M;
    for (unsigned n = 0; old && n < h->cfg.cpus; n++) {
        const enum cache_state had = lose(h, &h->cpu[n], old & ~STATE);
        dirty |= had == CACHE_M;
        h->cpu[n].n.recalls += had != CACHE_I;
    }
    p->shared.evictions += h->l3.n.evictions - before.evictions;
    p->shared.writebacks += old && dirty;
}

// From beyond the other processors: L3, else memory, whose line L3 keeps.
static struct cache_result fetch_down(struct caches *h, struct private *p, uint64_t line)
{
    if (use(h, &h->l3, line)) {
        p->shared.hits++;
        return (struct cache_result){h->l3.latency, CACHE_L3};
    }
    if (h->l3.sets) {
        p->shared.misses++;
        fill_l3(h, p, line);
    }
    p->n.memory++;
    return (struct cache_result){h->cfg.memory, CACHE_BY_MEMORY};
}

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
static struct peers snoop(struct caches *h, unsigned cpu, uint64_t line, bool own)
{
    struct peers p = {CACHE_I, 0};
    for (unsigned n = 0; n < h->cfg.cpus; n++) {
        const enum cache_state s = n == cpu ? CACHE_I : held(h, &h->cpu[n], line);
        if (s == CACHE_I)
            continue;
        p.most = s > p.most ? s : p.most;
        p.hops = hops(h, cpu, n) > p.hops ? hops(h, cpu, n) : p.hops;
        if (s == CACHE_M)
            write_back(h, line);
        if (own)
            h->cpu[cpu].n.invalidations += lose(h, &h->cpu[n], line) != CACHE_I;
        else
            share(h, &h->cpu[n], line);
    }
    return p;
}

// A miss in all of the processor's own caches. *s: the state that the line comes in.
static struct cache_result fetch_line(struct caches *h, unsigned cpu, uint64_t line, enum cache_kind kind, enum cache_state *s)
{
    struct private *p = &h->cpu[cpu];
    const bool own = kind >= CACHE_STORE;
    const struct peers peers = h->cfg.cpus > 1 ? snoop(h, cpu, line, own) : (struct peers){CACHE_I, 0};
    const enum cache_state others = peers.most;
    *s = own ? CACHE_M : others ? CACHE_S : CACHE_E;
    if (others >= CACHE_E || (others && own)) { // the owner answers, or sharers say that theirs is gone
        p->n.transfers += others == CACHE_M;
        use(h, &h->l3, line);
        return (struct cache_result){transfer_cost(h, peers, kind), CACHE_BY_PEER};
    }
    return fetch_down(h, p, line);
}

// --- filling

static void fill_l2(struct caches *h, struct private *p, uint64_t line, enum cache_state s)
{
    struct unit *u = &p->u[CACHE_L2];
    if (!u->sets)
        return;
    const uint64_t old = put(h, u, line, s);
    if ((old & STATE) == CACHE_M)
        write_back(h, old & ~STATE);
}

static void fill_l1(struct caches *h, struct private *p, unsigned k, uint64_t line, enum cache_state s)
{
    struct unit *u = &p->u[k];
    if (!u->sets)
        return;
    const uint64_t old = put(h, u, line, s), gone = old & ~STATE;
    if ((old & STATE) != CACHE_M)
        return;
    uint64_t *w = find(h, &p->u[CACHE_L2], gone);
    if (w)
        *w = gone | CACHE_M;
    else if (p->u[CACHE_L2].sets)
        fill_l2(h, p, gone, CACHE_M);
    else
        write_back(h, gone);
}

// --- an access

// A store met a line that the processor has, but has not modified yet. Nothing to do for E; S asks the others to give theirs up.
static struct cache_result take(struct caches *h, unsigned cpu, uint64_t line, enum cache_kind kind, struct cache_result r)
{
    struct private *p = &h->cpu[cpu];
    set_state(h, &p->u[CACHE_L1I], line, CACHE_I); // its own code, too
    if (held(h, p, line) >= CACHE_E)
        return r;
    p->n.upgrades++;
    const struct peers others = h->cfg.cpus > 1 ? snoop(h, cpu, line, true) : (struct peers){CACHE_I, 0};
    const uint32_t cost = others.most ? transfer_cost(h, others, kind) : h->l3.sets ? h->l3.latency : r.cycles;
    return cost > r.cycles ? (struct cache_result){cost, CACHE_BY_UPGRADE} : r;
}

// Code is fetched that the processor itself has modified: its data cache hands the line down first.
static void clean_for_fetch(struct caches *h, struct private *p, uint64_t line)
{
    uint64_t *w = find(h, &p->u[CACHE_L1D], line);
    if (!w || (*w & STATE) == CACHE_S)
        return;
    const enum cache_state s = (enum cache_state)(*w & STATE);
    uint64_t *below = find(h, &p->u[CACHE_L2], line);
    *w = line | CACHE_S;
    if (below)
        *below = line | ((*below & STATE) > s ? *below & STATE : s);
    else if (p->u[CACHE_L2].sets)
        fill_l2(h, p, line, s);
    else if (s == CACHE_M)
        write_back(h, line);
}

// pass: the line is to have no place in L2.
static inline __attribute__((always_inline)) struct cache_result miss_by(struct caches *h, unsigned cpu, uint64_t line,
                                                                         enum cache_kind kind, bool pass)
{
    struct private *p = &h->cpu[cpu];
    struct unit *l2 = &p->u[CACHE_L2];
    const unsigned first = kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D;
    struct cache_result r;
    enum cache_state s;
    p->u[first].n.misses += p->u[first].sets != 0;
    if (kind == CACHE_FETCH)
        clean_for_fetch(h, p, line);
    uint64_t *w = use(h, l2, line);
    if (w) {
        l2->n.hits++;
        r = (struct cache_result){l2->latency, CACHE_L2};
        // What is modified below comes up clean: it need not come down again.
        s = (*w & STATE) == CACHE_M ? CACHE_E : (enum cache_state)(*w & STATE);
        if (kind >= CACHE_STORE) {
            r = take(h, cpu, line, kind, r);
            s = CACHE_M;
        }
    } else {
        l2->n.misses += l2->sets != 0;
        // The other first-level cache may have it; then the line is the processor's already.
        const enum cache_state own = state_in(h, &p->u[first == CACHE_L1I ? CACHE_L1D : CACHE_L1I], line);
        r = own == CACHE_I || kind >= CACHE_STORE ? fetch_line(h, cpu, line, kind, &s) : fetch_down(h, p, line);
        if (own != CACHE_I && kind < CACHE_STORE)
            s = CACHE_S;
        if (kind >= CACHE_STORE)
            set_state(h, &p->u[CACHE_L1I], line, CACHE_I);
        if (!pass)
            fill_l2(h, p, line, s == CACHE_M ? CACHE_E : s);
    }
    if (!p->u[first].sets && s == CACHE_M) {
        set_state(h, l2, line, CACHE_M);
        if (!l2->sets)
            write_back(h, line);
    }
    fill_l1(h, p, first, line, first == CACHE_L1I ? CACHE_S : s);
    return r;
}

static struct cache_result miss(struct caches *h, unsigned cpu, uint64_t line, enum cache_kind kind)
{
    return miss_by(h, cpu, line, kind, false);
}

static __attribute__((noinline)) struct cache_result access_line(struct caches *h, unsigned cpu, uint64_t line,
                                                                 enum cache_kind kind)
{
    struct unit *u = &h->cpu[cpu].u[kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D];
    uint64_t *w = use(h, u, line);
    if (!w)
        return miss(h, cpu, line, kind);
    u->n.hits++;
    struct cache_result r = {u->latency, kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D};
    if (kind >= CACHE_STORE && (*w & STATE) != CACHE_M) {
        r = take(h, cpu, line, kind, r);
        *w = line | CACHE_M;
    }
    return r;
}

// Most accesses find their line where their set was used last, and nobody need be asked.
struct cache_result cache_access(struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind)
{
    const unsigned first = kind == CACHE_FETCH ? CACHE_L1I : CACHE_L1D;
    struct unit *u = &h->cpu[cpu].u[first];
    const uint64_t line = pa & h->frame, *t = set_at(h, u, line), way = t[u->first + t[LAST]];
    if (__builtin_expect(!holds(way, line) || (kind >= CACHE_STORE && (way & STATE) != CACHE_M), 0))
        return access_line(h, cpu, line, kind);
    u->n.hits++;
    return (struct cache_result){u->latency, first};
}

// To L2, from what is farther away than that.
static struct cache_result prefetch_to_l2(struct caches *h, unsigned cpu, uint64_t line)
{
    struct private *p = &h->cpu[cpu];
    enum cache_state s;
    if (!p->u[CACHE_L2].sets)
        return held(h, p, line) ? (struct cache_result){0, CACHE_L1D} : fetch_line(h, cpu, line, CACHE_LOAD, &s);
    if (use(h, &p->u[CACHE_L2], line)) {
        p->u[CACHE_L2].n.hits++;
        return (struct cache_result){0, CACHE_L2};
    }
    if (held(h, p, line))
        return (struct cache_result){0, CACHE_L1D};
    p->u[CACHE_L2].n.misses++;
    const struct cache_result r = fetch_line(h, cpu, line, CACHE_LOAD, &s);
    fill_l2(h, p, line, s);
    return r;
}

struct cache_result cache_prefetch(struct caches *h, unsigned cpu, uint64_t pa, enum cache_prefetch how)
{
    struct private *p = &h->cpu[cpu];
    struct unit *l1 = &p->u[CACHE_L1D];
    const uint64_t line = pa & h->frame;
    const enum cache_state before = state_in(h, l1, line);
    if (how == CACHE_PREFETCH_L2)
        return prefetch_to_l2(h, cpu, line);
    if (how == CACHE_PREFETCH_NTA && before == CACHE_I && l1->sets)
        return miss_by(h, cpu, line, CACHE_LOAD, true);
    if (how != CACHE_PREFETCH_W || !l1->sets)
        return cache_access(h, cpu, line, CACHE_LOAD);
    const struct cache_result r = cache_access(h, cpu, line, CACHE_STORE);
    if (before != CACHE_M)
        set_state(h, l1, line, CACHE_E);
    return r;
}

bool cache_hits(const struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind)
{
    const enum cache_state s = state_in(h, &h->cpu[cpu].u[CACHE_L1D], pa & h->frame);
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
static enum cache_state expel(const struct caches *h, const struct private *p, uint64_t line, enum cache_state most)
{
    const enum cache_state s = lose(h, p, line);
    return s > most ? s : most;
}

static unsigned flush_line(struct caches *h, struct private *by, uint64_t line)
{
    enum cache_state s = state_in(h, &h->l3, line);
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        s = expel(h, &h->cpu[n], line, s);
    set_state(h, &h->l3, line, CACHE_I);
    by->n.flushed += s != CACHE_I;
    return s == CACHE_M;
}

unsigned cache_flush_line(struct caches *h, unsigned cpu, uint64_t pa)
{
    const unsigned written = flush_line(h, &h->cpu[cpu], cache_line(h, pa));
    h->cpu[cpu].n.cleaned += written;
    return written;
}

static bool clean(const struct caches *h, const struct unit *u, uint64_t line)
{
    uint64_t *w = find(h, u, line);
    if (!w || (*w & STATE) != CACHE_M)
        return false;
    *w = line | CACHE_E;
    return true;
}

unsigned cache_clean_line(struct caches *h, unsigned cpu, uint64_t pa)
{
    const uint64_t line = cache_line(h, pa);
    bool dirty = clean(h, &h->l3, line);
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        for (unsigned k = 0; k < CACHE_L3; k++)
            dirty = clean(h, &h->cpu[n].u[k], line) || dirty;
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
// Way number k of a unit, over all sets.
static inline uint64_t *way_at(const struct unit *u, size_t k) { return &u->set[k / u->ways * u->stride + u->first + k % u->ways]; }
static inline size_t all_ways(const struct unit *u) { return (size_t)u->sets * u->ways; }

unsigned cache_flush_all(struct caches *h, unsigned cpu, bool write_back)
{
    struct private *p = &h->cpu[cpu];
    unsigned dirty = 0;
    for (size_t k = 0; k < all_ways(&h->l3); k++)
        if (*way_at(&h->l3, k))
            dirty += flush_line(h, p, *way_at(&h->l3, k) & ~STATE);
    for (unsigned u = 0; u < CACHE_L3; u++)
        for (size_t k = 0; k < all_ways(&p->u[u]); k++)
            if (*way_at(&p->u[u], k)) {
                dirty += expel(h, p, *way_at(&p->u[u], k) & ~STATE, CACHE_I) == CACHE_M;
                p->n.flushed++;
            }
    p->n.cleaned += write_back ? dirty : 0;
    return write_back ? dirty : 0;
}

// --- for people and tests

static const struct unit *unit_of(const struct caches *h, unsigned cpu, enum cache_unit u)
{
    return u == CACHE_L3 ? &h->l3 : &h->cpu[cpu].u[u];
}

struct cache_geometry cache_geometry(const struct caches *h, enum cache_unit k)
{
    const struct unit *u = unit_of(h, 0, k);
    return (struct cache_geometry){u->sets, u->ways, 1u << h->shift, u->latency};
}

enum cache_state cache_state(const struct caches *h, unsigned cpu, enum cache_unit u, uint64_t pa)
{
    return state_in(h, unit_of(h, cpu, u), cache_line(h, pa));
}

unsigned cache_cpus(const struct caches *h) { return h->cfg.cpus; }

enum cache_state cache_held(const struct caches *h, unsigned cpu, uint64_t pa) { return held(h, &h->cpu[cpu], cache_line(h, pa)); }

bool cache_way(const struct caches *h, unsigned cpu, enum cache_unit k, uint32_t set, uint32_t way, uint64_t *pa,
               enum cache_state *s)
{
    const struct unit *u = unit_of(h, cpu, k);
    if (set >= u->sets || way >= u->ways)
        return false;
    const uint64_t w = u->set[(size_t)set * u->stride + u->first + way];
    *pa = w & ~STATE;
    *s = (enum cache_state)(w & STATE);
    return w != 0;
}

uint32_t cache_victim(const struct caches *h, unsigned cpu, enum cache_unit u, uint32_t set)
{
    const struct unit *unit = unit_of(h, cpu, u);
    return set < unit->sets ? victim(unit, &unit->set[(size_t)set * unit->stride]) : 0;
}

uint32_t cache_set_of(const struct caches *h, enum cache_unit u, uint64_t pa) { return set_of(h, unit_of(h, 0, u), pa); }

struct cache_counts cache_counts(const struct caches *h, unsigned cpu, enum cache_unit u)
{
    return u == CACHE_L3 ? h->cpu[cpu].shared : h->cpu[cpu].u[u].n;
}

struct cache_traffic cache_traffic(const struct caches *h, unsigned cpu) { return h->cpu[cpu].n; }

static uint64_t fold(uint64_t x, uint64_t v)
{
    x = (x ^ v) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static uint64_t unit_hash(const struct unit *u, uint64_t x)
{
    for (size_t k = 0; k < all_ways(u); k++)
        x = fold(x, *way_at(u, k));
    for (size_t k = 0; k < u->sets; k++)
        x = fold(x, u->set[k * u->stride + TREE]);
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
    const enum cache_state mine = held(h, &h->cpu[cpu], line);
    assert(!h->l3.sets || find(h, &h->l3, line));
    for (unsigned n = 0; n < h->cfg.cpus; n++)
        assert(n == cpu || mine < CACHE_E || held(h, &h->cpu[n], line) == CACHE_I);
    assert(unit != CACHE_L1I || state_in(h, &h->cpu[cpu].u[CACHE_L1D], line) != CACHE_M);
    (void)mine;
}

static void check_unit(const struct caches *h, unsigned cpu, unsigned unit)
{
    const struct unit *u = unit_of(h, cpu, (enum cache_unit)unit);
    for (uint32_t k = 0; k < all_ways(u); k++) {
        const uint64_t w = *way_at(u, k), line = w & ~STATE;
        const bool live = u->set[k / u->ways * u->stride + LIVE] >> k % u->ways & 1;
        assert(live == (w != 0));
        if (!w)
            continue;
        assert(w & STATE);
        assert(set_of(h, u, line) == k / u->ways);
        assert(find(h, u, line) == way_at(u, k));
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
