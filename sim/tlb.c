// sim/tlb.c: the architectural TLB hierarchy and the paging-structure caches.
//
// Replacement: L1 TLBs by fill order, because the inline mirrors hide their hits; all other units least recently used. Manual:
// "Caching Translation Information", "Information in the TLBs and Paging-Structure Caches" (VMX).
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

_Static_assert(TLB_PERM_W == ISA_PG_W && TLB_PERM_U == ISA_PG_U && TLB_PERM_X == ISA_PG_X, "rights have one encoding");

static inline bool is_empty(const struct tlb_unit_state *u) { return !u->sizes; }
static unsigned total(const struct tlb_unit_state *u) { return u->size; }

static struct tlb_geometry geometry(struct tlb_unit_state *u, struct profile_tlb p)
{
    struct tlb_geometry g = {.base = u->size, .sets = 1};
    if (p.entries) {
        g.ways = p.ways ? p.ways : p.entries;
        g.sets = p.entries / g.ways;
        assert(g.sets && !(g.sets & (g.sets - 1)));
    }
    u->size += g.sets * g.ways;
    return g;
}

void tlb_unit_alloc(struct tlb_unit_state *u)
{
    if (!u->size)
        return;
    u->hot = calloc(u->size, sizeof *u->hot);
    u->entry = calloc(u->size, sizeof *u->entry);
    u->live = calloc((u->size + 63) / 64, sizeof *u->live);
    u->mirrored = calloc(u->size, sizeof *u->mirrored);
    assert(u->hot && u->entry && u->live && u->mirrored);
}

// One array for all page sizes.
static void unit_create(struct tlb_unit_state *u, struct profile_tlb all)
{
    *u = (struct tlb_unit_state){.policy = PROFILE_LRU};
    u->g[0] = u->g[1] = u->g[2] = u->g[3] = geometry(u, all);
    tlb_unit_alloc(u);
}

// A first-level TLB: 2- and 4-MByte pages and 1-GByte pages may have arrays of their own.
static void first_level_create(struct tlb_unit_state *u, struct profile_tlb small, struct profile_tlb large,
                               struct profile_tlb huge)
{
    *u = (struct tlb_unit_state){.policy = PROFILE_FIFO};
    u->g[0] = u->g[1] = geometry(u, small);
    if (large.entries)
        u->g[1] = geometry(u, large);
    u->g[2] = u->g[3] = u->g[1];
    if (huge.entries)
        u->g[3] = geometry(u, huge);
    tlb_unit_alloc(u);
}

// Without a choice to make, there is no policy.
static void second_level_create(struct tlb_unit_state *u, const struct sim_profile *p, bool bounded)
{
    unit_create(u, p->stlb);
    u->policy = bounded ? p->stlb_policy : PROFILE_LRU;
    for (unsigned k = 0; k < 4; k++)
        u->g[k].hash = p->stlb_hash, u->g[k].folded = (1u << p->stlb_hash) - 1;
    if (u->policy == PROFILE_PLRU || u->policy == PROFILE_MRU3PLRU4)
        u->tree = replace_create(u->g[0].sets);
    u->g[3].ways = 0;
    if (!p->stlb_2m)
        u->g[1].ways = u->g[2].ways = 0;
}

struct tlb *tlb_create(const struct sim_profile *p, enum sim_tlb_policy policy, uint64_t seed)
{
    static const struct profile_tlb none;
    struct tlb *t = calloc(1, sizeof *t);
    assert(t);
    const bool split = policy != SIM_TLB_KEEP; // what grows is one array for all sizes
    t->policy = policy;
    t->lots = seed;
    first_level_create(&t->u[TLB_ITLB], p->itlb, split ? p->itlb_2m : none, none);
    first_level_create(&t->u[TLB_DTLB], p->dtlb, split ? p->dtlb_2m : none, split ? p->dtlb_1g : none);
    second_level_create(&t->u[TLB_STLB], p, split);
    unit_create(&t->u[TLB_NTLB], p->ntlb);
    unit_create(&t->u[TLB_PML5E], p->pml5e);
    unit_create(&t->u[TLB_PML4E], p->pml4e);
    unit_create(&t->u[TLB_PDPTE], p->pdpte);
    unit_create(&t->u[TLB_PDE], p->pde);
    unit_create(&t->u[TLB_EPT_PML5E], p->ept_pml5e);
    unit_create(&t->u[TLB_EPT_PML4E], p->ept_pml4e);
    unit_create(&t->u[TLB_EPT_PDPTE], p->ept_pdpte);
    unit_create(&t->u[TLB_EPT_PDE], p->ept_pde);
    return t;
}

void tlb_unit_free(struct tlb_unit_state *u)
{
    free(u->hot);
    free(u->entry);
    free(u->live);
    free(u->mirrored);
    free(u->tree);
}

void tlb_destroy(struct tlb *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < TLB_NUNIT; i++)
        tlb_unit_free(&t->u[i]);
    free(t);
}

static void emit_entry(struct tlb *t, enum ev_kind kind, const struct tlb_entry *e)
{
    if (t->cpu && ev_wanted(t->cpu->m, kind)) {
        struct ev ev = {.kind = kind, .u.tlb.e = e};
        ev_emit(t->cpu, &ev);
    }
}

// --- sources

static bool first_level(enum tlb_unit unit) { return unit == TLB_ITLB || unit == TLB_DTLB; }

// First-level entries are not counted while the second level holds the same: it would cost each promotion.
static bool second_holds(const struct tlb *t, enum tlb_unit unit, unsigned cls)
{
    return first_level(unit) && t->u[TLB_STLB].g[cls].ways;
}
static unsigned word_bucket(uint64_t pa) { return (unsigned)(pa >> 3) & (TLB_SRC_SIZE - 1); }

static void count_sources(struct tlb *t, struct tlb_entry *e)
{
    e->counted = true;
    for (unsigned k = 0; k < 2; k++) {
        if (!e->src_size[k])
            continue;
        uint32_t *page = &t->src_page[tlb_bucket(e->src[k])];
        if (!(*page & TLB_SRC_GUARDED) && t->cpu)
            mmu_mirror_drop_writes(t->cpu->m, e->src[k]);
        *page = ((*page | TLB_SRC_GUARDED) & ~TLB_SRC_QUIET) + 1;
        t->src_word[word_bucket(e->src[k].v)]++;
    }
}

static void uncount_sources(struct tlb *t, struct tlb_entry *e)
{
    e->counted = false;
    for (unsigned k = 0; k < 2; k++)
        if (e->src_size[k]) {
            t->src_page[tlb_bucket(e->src[k])]--; // stays guarded for a while
            t->src_word[word_bucket(e->src[k].v)]--;
        }
}

static bool made_from(const struct tlb_entry *e, struct hpa pa, unsigned n)
{
    for (unsigned k = 0; k < 2; k++)
        if (e->src_size[k] && e->src[k].v < pa.v + n && pa.v < e->src[k].v + e->src_size[k])
            return true;
    return false;
}

// Of the entries made from the n bytes at pa, which were written: does e say something else than its sources now?
static void mark_entry(struct tlb *t, struct tlb_entry *e)
{
    uint64_t now;
    unsigned which;
    const bool stale = tlb_source_changed(t->cpu->m, e, &now, &which);
    if (stale && !e->stale)
        tlb_blame(t->cpu->m, e, now, which);
    e->stale = stale;
}

// First-level entries that hold the same as second-level entry i: nobody counts their sources.
static void mark_copies(struct tlb *t, unsigned i, struct hpa pa, unsigned n)
{
    const struct tlb_hot *h = &t->u[TLB_STLB].hot[i];
    const struct tlb_entry *e = &t->u[TLB_STLB].entry[i];
    for (unsigned unit = TLB_ITLB; unit <= TLB_DTLB; unit++) {
        struct tlb_unit_state *u = &t->u[unit];
        const bool maybe = u->there[h->key0 >> 1 & 3][tlb_there(e->tag >> e->page_shift)];
        const int k = maybe ? tlb_probe(u, h->key0, h->key1 & ~TLB_K1_GLOBAL, e->tag, e->page_shift) : -1;
        if (k >= 0 && made_from(&u->entry[k], pa, n))
            mark_entry(t, &u->entry[k]);
    }
}

static void mark_stale(struct tlb *t, struct hpa pa, unsigned n)
{
    // Sources are naturally aligned, so most entries are told by the words that were written. Of one word it is known how many sources lie there.
    const uint64_t first = pa.v >> 3, words = ((pa.v + n - 1) >> 3) - first;
    unsigned left = words ? UINT_MAX : t->src_word[word_bucket(pa.v)];
    for (unsigned k = 0, unit = TLB_STLB; k < TLB_NUNIT && left; k++, unit = (unit + 1) % TLB_NUNIT) {
        struct tlb_unit_state *u = &t->u[unit];
        for (unsigned b = 0; b < (total(u) + 63) / 64 && !is_empty(u) && left; b++)
            for (uint64_t m = u->live[b]; m && left; m &= m - 1) {
                const unsigned i = b * 64 + (unsigned)__builtin_ctzll(m);
                struct tlb_entry *e = &u->entry[i];
                const bool from[2] = {(e->src[0].v >> 3) - first <= words, (e->src[1].v >> 3) - first <= words};
                if (!(from[0] | from[1]) || !made_from(e, pa, n))
                    continue;
                mark_entry(t, e);
                if (unit == TLB_STLB)
                    mark_copies(t, i, pa, n);
                if (e->counted && !words)
                    left -= (from[0] && e->src_size[0]) + (from[1] && e->src_size[1]);
            }
    }
}

void tlb_written(struct tlb *t, struct hpa pa, unsigned n)
{
    psc_written(t, pa);
    uint32_t *page = &t->src_page[tlb_bucket(pa)];
    if (!(*page & TLB_SRC_COUNT)) { // no source is left here: guarded still for one write, for the next walk may come here again
        *page = *page & TLB_SRC_QUIET ? 0 : *page | TLB_SRC_QUIET;
        return;
    }
    for (uint64_t a = pa.v & ~7ull; a < pa.v + n; a += 8)
        if (t->src_word[word_bucket(a)]) {
            mark_stale(t, pa, n);
            return;
        }
}

// --- entries come and go

// Every entry ends here, whether its place gets empty or is taken at once: what is counted of it ends, and its mirrors are dropped.
static inline __attribute__((always_inline)) void part(struct tlb *t, enum tlb_unit unit, unsigned i, bool mirrored)
{
    struct tlb_unit_state *u = &t->u[unit];
    struct tlb_entry *e = &u->entry[i];
    assert(e->valid);
    const unsigned cls = u->hot[i].key0 >> 1 & 3;
    u->there[cls][tlb_there(e->tag >> e->page_shift)]--;
    t->fragments -= (u->hot[i].data & TLB_DATA_FRAGMENT) != 0;
    if (e->counted)
        uncount_sources(t, e);
    if (!mirrored)
        return;
    if (e->page_shift == 12)
        mmu_mirror_drop(t->cpu, unit, e->tag, 12);
    else
        mmu_mirror_drop_noted(t->cpu, unit, e->tag, e->page_shift, &u->mirrored[i]);
}

void tlb_drop(struct tlb *t, enum tlb_unit unit, unsigned i)
{
    struct tlb_unit_state *u = &t->u[unit];
    part(t, unit, i, t->cpu && first_level(unit));
    u->entry[i].valid = false;
    u->sizes -= 1ull << 16 * (u->hot[i].key0 >> 1 & 3);
    u->live[i / 64] &= ~(1ull << i % 64);
    if (is_empty(u))
        t->occupied &= ~(1u << unit);
    u->hot[i].key0 = u->hot[i].stamp = 0;
}

// The way of a set with the oldest stamp, an empty one first; NO_WAY if one has this key0, or there are none.
#define NO_WAY UINT_MAX
static inline unsigned oldest(const struct tlb_unit_state *u, unsigned base, unsigned ways, uint64_t key0)
{
    uint64_t stamp = UINT64_MAX;
    unsigned best = NO_WAY;
    bool twin = false;
    const struct tlb_hot *h = &u->hot[base];
    for (unsigned w = 0; w < ways; w++) {
        const bool older = h[w].stamp < stamp;
        twin |= h[w].key0 == key0;
        best = older ? w : best;
        stamp = older ? h[w].stamp : stamp;
    }
    return twin || best == NO_WAY ? NO_WAY : base + best;
}

// The way to use for a key: that of the entry which a lookup by the filling context would have found, else an empty one, else the
// one with the oldest stamp. *twin: there is an entry of the same key0 that such a lookup would not find.
static inline unsigned choose(const struct tlb_unit_state *u, unsigned base, unsigned ways, uint64_t key0, uint64_t key1,
                              bool *twin)
{
    *twin = false;
    if (is_empty(u))
        return base;
    const struct tlb_hot *h = &u->hot[base];
    uint64_t stamp = UINT64_MAX;
    unsigned best = 0;
    for (unsigned w = 0; w < ways; w++) {
        if (__builtin_expect(h[w].key0 == key0, 0)) {
            if (tlb_key1_equal(h[w].key1, key1 & ~TLB_K1_GLOBAL))
                return base + w;
            *twin = true;
        }
        bool older = h[w].stamp < stamp; // empty ways have stamp 0
        best = older ? w : best;
        stamp = older ? h[w].stamp : stamp;
    }
    return base + (u->tree && stamp ? replace_victim(u, (base - u->g[0].base) / ways) : best);
}

// An entry leaves the second level: where a first level still holds it, that one counts its sources from now on.
static void keep_counted(struct tlb *t, const struct tlb_hot *h, const struct tlb_entry *e)
{
    for (unsigned unit = TLB_ITLB; unit <= TLB_DTLB; unit++) {
        struct tlb_unit_state *u = &t->u[unit];
        if (!tlb_live(u, h->key0 >> 1 & 3))
            continue;
        int i = tlb_probe(u, h->key0, h->key1 & ~TLB_K1_GLOBAL, e->tag, e->page_shift);
        if (i >= 0 && !u->entry[i].counted)
            count_sources(t, &u->entry[i]);
    }
}

void tlb_evict(struct tlb *t, enum tlb_unit unit, unsigned i)
{
    struct tlb_unit_state *u = &t->u[unit];
    const struct tlb_hot h = u->hot[i];
    tlb_drop(t, unit, i);
    u->count.evicts++;
    if (unit == TLB_STLB)
        keep_counted(t, &h, &u->entry[i]);
    if (t->cpu) {
        t->cpu->stat[SIM_STAT_TLB_EVICTS]++;
        emit_entry(t, EV_TLB_EVICT, &u->entry[i]);
    }
}

unsigned tlb_choose(const struct tlb_unit_state *u, uint64_t tag, unsigned shift, uint64_t key0, uint64_t key1)
{
    const struct tlb_geometry *g = &u->g[tlb_class(shift)];
    bool twin;
    return choose(u, tlb_set(g, tag, shift), g->ways, key0, key1, &twin);
}

// Make room, as place().
static __attribute__((noinline)) void make_room(struct tlb *t, enum tlb_unit unit, unsigned i, bool same)
{
    same ? tlb_drop(t, unit, i) : tlb_evict(t, unit, i);
}

static inline bool has_other_sizes(const struct tlb_unit_state *u, unsigned cls)
{
    static const uint64_t other[4] = {~0xffffull, ~0xffff0000ull, ~0xffff00000000ull, ~0xffff000000000000ull};
    return u->sizes & other[cls];
}

static inline __attribute__((always_inline)) int place(struct tlb *t, enum tlb_unit unit, uint64_t tag, unsigned shift,
                                                       uint64_t key0, uint64_t key1, uint64_t data)
{
    struct tlb_unit_state *u = &t->u[unit];
    const unsigned cls = key0 >> 1 & 3;
    const struct tlb_geometry *g = &u->g[cls];
    if (!g->ways)
        return -1;
    bool twin;
    const unsigned i = choose(u, tlb_set(g, tag, shift), g->ways, key0, key1, &twin);
    struct tlb_hot *h = &u->hot[i];
    if (h->key0) {
        bool same = h->key0 == key0 && tlb_key1_equal(h->key1, key1 & ~TLB_K1_GLOBAL);
        if (__builtin_expect(t->policy == SIM_TLB_KEEP, 0) && !same && tlb_grow(u))
            return tlb_place(t, unit, tag, shift, key0, key1, data);
        make_room(t, unit, i, same);
    }
    // Lookups of the page may find this entry from now on, even where another one served so far: of another size, or a twin.
    if (first_level(unit) && t->cpu && (shift == 12 || twin || has_other_sizes(u, cls)))
        mmu_mirror_drop(t->cpu, unit, tag, shift);
    *h = (struct tlb_hot){key0, key1, data, ++t->clock};
    if (u->tree)
        replace_touch(u, i);
    u->live[i / 64] |= 1ull << i % 64;
    t->occupied |= 1u << unit;
    u->sizes += 1ull << 16 * cls;
    u->there[cls][tlb_there(tag >> shift)]++;
    t->fragments += (data & TLB_DATA_FRAGMENT) != 0;
    return (int)i;
}

int tlb_place(struct tlb *t, enum tlb_unit unit, uint64_t tag, unsigned shift, uint64_t key0, uint64_t key1, uint64_t data)
{
    return place(t, unit, tag, shift, key0, key1, data);
}

static inline __attribute__((always_inline)) void placed(struct tlb *t, enum tlb_unit unit, unsigned i)
{
    struct tlb_unit_state *u = &t->u[unit];
    struct tlb_entry *e = &u->entry[i];
    e->valid = true;
    e->unit = (uint8_t)unit;
    e->walk = t->walk;
    e->lru = t->clock;
    e->counted = false;
    u->count.fills++;
    if (!second_holds(t, unit, tlb_class(e->page_shift)))
        count_sources(t, e);
    if (t->cpu) {
        t->cpu->stat[SIM_STAT_TLB_FILLS]++;
        emit_entry(t, EV_TLB_FILL, e);
    }
}

void tlb_placed(struct tlb *t, enum tlb_unit unit, unsigned i) { placed(t, unit, i); }

static inline int insert(struct tlb *t, enum tlb_unit unit, const struct tlb_entry *e, uint64_t key0, uint64_t key1, uint64_t data)
{
    const int i = place(t, unit, e->tag, e->page_shift, key0, key1, data);
    if (i >= 0) {
        t->u[unit].entry[i] = *e;
        placed(t, unit, (unsigned)i);
    }
    return i;
}

uint64_t tlb_data(const struct tlb_entry *e)
{
    return e->frame.v | (uint64_t)e->pkey << ISA_PG_KEY_SHIFT | (e->dirty ? TLB_DATA_DIRTY : 0) |
           (e->guest_shift > e->page_shift ? TLB_DATA_FRAGMENT : 0) | (e->eperms & TLB_PERM_USER_X ? TLB_DATA_USER_X : 0) |
           (e->gperms & 7u) |
           ((e->eperms & TLB_PERM_R ? EPT_R : 0) | (e->eperms & TLB_PERM_W ? EPT_W : 0) | (e->eperms & TLB_PERM_X ? EPT_X : 0))
               << 3;
}

int tlb_fill(struct tlb *t, const struct tlb_entry *e)
{
    if (!t->u[e->unit].size || t->policy == SIM_TLB_FORGET)
        return -1;
    uint64_t key1 = e->eptrta | e->pcid | (uint64_t)e->mapping << TLB_K1_MAP_SHIFT | (e->unpaged ? TLB_K1_UNPAGED : 0) |
                    (e->global ? TLB_K1_GLOBAL : 0);
    return insert(t, (enum tlb_unit)e->unit, e, tlb_key0(e->vpid, e->tag, e->page_shift), key1, tlb_data(e));
}

// Everyday promotion, in short: the oldest of a set, of the same size, makes room, and nobody is told. Returns its index, or -1 where it is not
// so simple.
static inline __attribute__((always_inline)) int supplant(struct tlb *t, enum tlb_unit l1, const struct tlb_hot *from,
                                                          const struct tlb_entry *e)
{
    struct tlb_unit_state *u = &t->u[l1];
    const unsigned cls = from->key0 >> 1 & 3;
    const struct tlb_geometry *g = &u->g[cls];
    const unsigned base = tlb_set(g, e->tag, e->page_shift), i = oldest(u, base, g->ways, from->key0);
    const uint64_t events = EV_BIT(EV_TLB_EVICT) | EV_BIT(EV_TLB_FILL);
    if (i == NO_WAY || (u->hot[i].key0 ^ from->key0) & 7 || has_other_sizes(u, cls) || t->cpu->m->ev_mask & events ||
        t->policy == SIM_TLB_KEEP)
        return -1;
    part(t, l1, i, true);
    u->hot[i] = (struct tlb_hot){from->key0, from->key1, from->data, ++t->clock};
    u->there[cls][tlb_there(e->tag >> e->page_shift)]++;
    t->fragments += (from->data & TLB_DATA_FRAGMENT) != 0;
    u->count.evicts++, u->count.fills++;
    t->cpu->stat[SIM_STAT_TLB_EVICTS]++, t->cpu->stat[SIM_STAT_TLB_FILLS]++;
    u->entry[i] = *e;
    u->entry[i].unit = (uint8_t)l1;
    u->entry[i].lru = t->clock;
    u->entry[i].walk = t->walk;
    u->entry[i].counted = false; // the second level counts
    return (int)i;
}

int tlb_promote(struct tlb *t, unsigned i, enum tlb_unit l1)
{
    const struct tlb_hot *h = &t->u[TLB_STLB].hot[i];
    const struct tlb_entry *e = &t->u[TLB_STLB].entry[i];
    const int k = supplant(t, l1, h, e);
    return k >= 0 ? k : insert(t, l1, e, h->key0, h->key1, h->data);
}

void tlb_supersede(struct tlb *t, enum tlb_unit l1, uint64_t la, const struct tlb_entry *e)
{
    const enum tlb_unit units[] = {l1, TLB_STLB};
    for (unsigned k = 0; k < 2; k++) {
        struct tlb_unit_state *u = &t->u[units[k]];
        int i;
        while (u->size && (i = tlb_find(u, t->cpu->mmu.vpid, t->cpu->mmu.key1, la)) >= 0 &&
               u->entry[i].page_shift != e->page_shift) {
            const struct tlb_hot h = u->hot[i];
            tlb_drop(t, units[k], (unsigned)i);
            if (units[k] == TLB_STLB)
                keep_counted(t, &h, &u->entry[i]);
        }
    }
}

// --- invalidation

static inline bool selects(const struct tlb_select *s, const struct tlb_entry *e)
{
    if (!(s->mappings >> e->mapping & 1))
        return false;
    if ((s->one_vpid && e->vpid != s->vpid) || (s->not_vpid0 && e->vpid == 0) || (s->one_eptrta && e->eptrta != s->eptrta))
        return false;
    if (e->global && s->keep_global)
        return false;
    if (s->one_pcid && e->pcid != s->pcid && !e->global)
        return false;
    if (s->one_page) {
        unsigned sh = e->guest_shift > e->page_shift ? e->guest_shift : e->page_shift;
        if (e->tag >> sh != s->addr >> sh)
            return false;
    }
    return true;
}
bool tlb_selects(const struct tlb_select *s, const struct tlb_entry *e) { return selects(s, e); }

static unsigned invalidate_unit(struct tlb *t, enum tlb_unit unit, const struct tlb_select *s)
{
    struct tlb_unit_state *u = &t->u[unit];
    unsigned n = 0;
    for (unsigned b = 0; b < (total(u) + 63) / 64; b++)
        for (uint64_t m = u->live[b]; m; m &= m - 1) {
            unsigned i = b * 64 + (unsigned)__builtin_ctzll(m);
            if (selects(s, &u->entry[i])) {
                tlb_drop(t, unit, i);
                n++;
            }
        }
    u->count.dropped += n;
    return n;
}

// The one set that can hold an address as a page of the class whose shift this is.
static inline __attribute__((always_inline)) unsigned invalidate_set(struct tlb *t, enum tlb_unit unit, const struct tlb_select *s,
                                                                     unsigned shift)
{
    struct tlb_unit_state *u = &t->u[unit];
    const unsigned cls = tlb_class(shift), base = tlb_set(&u->g[cls], s->addr, shift);
    const uint64_t key0 = tlb_key0(0, s->addr, shift);
    unsigned n = 0;
    for (unsigned i = base; i < base + u->g[cls].ways; i++)
        if ((u->hot[i].key0 ^ key0) << 16 == 0 && selects(s, &u->entry[i])) { // all but the VPID
            tlb_drop(t, unit, i);
            n++;
        }
    u->count.dropped += n;
    return n;
}

// One page of a unit without fragments: only the sets that can hold it. there: where each size class counts it.
static unsigned invalidate_page(struct tlb *t, enum tlb_unit unit, const struct tlb_select *s, const unsigned there[4])
{
    const struct tlb_unit_state *u = &t->u[unit];
    unsigned n = 0;
    if (u->there[0][there[0]])
        n += invalidate_set(t, unit, s, 12);
    if (u->there[1][there[1]])
        n += invalidate_set(t, unit, s, 21);
    if (u->there[2][there[2]])
        n += invalidate_set(t, unit, s, 22);
    if (u->there[3][there[3]])
        n += invalidate_set(t, unit, s, 30);
    return n;
}

// Of one page, in the units that may hold it.
static unsigned invalidate_pages(struct tlb *t, const struct tlb_select *s, uint32_t units)
{
    const unsigned there[4] = {tlb_there(s->addr >> 12), tlb_there(s->addr >> 21), tlb_there(s->addr >> 22),
                               tlb_there(s->addr >> 30)};
    unsigned n = 0;
    for (uint32_t left = units; left; left &= left - 1)
        n += invalidate_page(t, (enum tlb_unit)__builtin_ctz(left), s, there);
    return n;
}

static unsigned invalidate_units(struct tlb *t, const struct tlb_select *s, uint32_t units)
{
    unsigned n = 0;
    for (uint32_t left = units; left; left &= left - 1)
        n += invalidate_unit(t, (enum tlb_unit)__builtin_ctz(left), s);
    return n;
}

unsigned tlb_invalidate(struct tlb *t, const struct tlb_select *s)
{
    if (t->waiting.n && s->units & TLB_UNITS_PSC)
        psc_invalidate(t, s);
    const uint32_t units = s->units & t->occupied, pages = s->one_page && !t->fragments ? units & TLB_UNITS_PAGES : 0;
    if (t->cpu && mmu_is_soft(t->cpu))
        soft_invalidate(t->cpu, s);
    const unsigned n = (pages ? invalidate_pages(t, s, pages) : 0) + invalidate_units(t, s, units & ~pages);
    if (t->cpu)
        t->cpu->stat[SIM_STAT_TLB_FLUSHED] += n;
    return n;
}

// --- looking

const struct tlb_entry *tlb_next(const struct tlb *t, unsigned *pos)
{
    unsigned n = *pos;
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++) {
        const struct tlb_unit_state *u = &t->u[unit];
        for (; n < total(u); n++, ++*pos)
            if (u->live[n / 64] >> n % 64 & 1) {
                ++*pos;
                return &u->entry[n];
            }
        n -= total(u);
    }
    return NULL;
}

unsigned tlb_count(const struct tlb *t, enum tlb_unit unit)
{
    unsigned n = 0;
    for (unsigned k = 0; k < 4; k++)
        n += tlb_live(&t->u[unit], k);
    return n;
}

struct tlb_counts tlb_counts(const struct tlb *t, enum tlb_unit unit) { return t->u[unit].count; }

const char *tlb_unit_name(enum tlb_unit unit)
{
    static const char *const name[] = {"iTLB",
                                       "dTLB",
                                       "STLB",
                                       "nTLB",
                                       "PML5E cache",
                                       "PML4E cache",
                                       "PDPTE cache",
                                       "PDE cache",
                                       "EPT PML5E cache",
                                       "EPT PML4E cache",
                                       "EPT PDPTE cache",
                                       "EPT PDE cache"};
    return name[unit];
}

const char *tlb_mapping_name(enum tlb_mapping mapping)
{
    static const char *const name[] = {"linear", "guest-physical", "combined"};
    return name[mapping];
}

// Bits that decide where a page is and who may use it: not A, D, nor what software may use freely.
#define GUEST_MEANING (ISA_PTE_P | ISA_PTE_RW | ISA_PTE_US | ISA_PTE_XD | 0x000ffffffffff000ull)
#define EPT_MEANING   (EPT_RWX | 7u << 3 | EPT_IPAT | EPT_ADDR)

bool tlb_source_changed(const struct sim_machine *m, const struct tlb_entry *e, uint64_t *now, unsigned *which)
{
    const bool keys = isa_has(m->profile->features, ISA_FEAT_PKU) && e->unit <= TLB_STLB;
    for (unsigned k = 0; k < 2; k++) {
        if (!e->src_size[k])
            continue;
        uint64_t v = 0;
        const uint8_t *p = ram_at(&m->ram, e->src[k]);
        if (p)
            memcpy(&v, p, e->src_size[k]);
        *now = v;
        *which = k;
        uint64_t meaning = (k ? EPT_MEANING : GUEST_MEANING | (keys ? ISA_PTE_KEY : 0)) | (e->src_leaf_large[k] ? ISA_PTE_PS : 0);
        if (p && (v ^ e->src_val[k]) & meaning)
            return true;
    }
    return false;
}

void tlb_refresh_stale(struct sim_machine *m, unsigned cpu)
{
    struct tlb *t = m->cpu[cpu]->tlb;
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++)
        for (unsigned i = 0; i < total(&t->u[unit]); i++) {
            uint64_t now = 0;
            unsigned which = 0;
            struct tlb_entry *e = &t->u[unit].entry[i];
            if (!e->valid)
                continue;
            bool stale = tlb_source_changed(m, e, &now, &which);
            if (!stale || !e->stale) { // else it is known who made it so
                e->stale_cycle = e->stale_rip = 0;
                e->stale_new = now;
                e->stale_which = (uint8_t)which;
            }
            e->stale = stale;
        }
}
