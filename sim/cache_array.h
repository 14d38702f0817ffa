// sim/cache_array.h: the tag array of one cache (sim/cache.h): which lines its sets hold, looking for them, and replacement.
//
// RECORD     A set is a record of words, so that what an access needs lies together:
//               0  tree   a bit for each inner node of a binary tree over the ways: which half was used less lately
//               1  empty  a bit for each way that is empty
//               2  last   the way that was used last: there a line is looked for first, and using it again changes nothing
//               3  ways   each the address of a line with its state in the low bits; 0 if empty
//            Before them stand hints, 7 bits of each way's line, mixed, in a byte, from way 0 downward: elsewhere lines are looked for by these.
// ABSENT     A cache that is not there has one record, whose ways are empty and must not be filled.
// REPLACING  follows the tree from its root to a way, and its use makes all nodes on that path point elsewhere. Empty ways come first.
#ifndef SIM_CACHE_ARRAY_H
#define SIM_CACHE_ARRAY_H

#include <stddef.h>

#include "sim/cache.h"

#define CACHE_STATE    3ull
#define CACHE_MAX_WAYS 64u
enum { CACHE_TREE, CACHE_EMPTY, CACHE_LAST, CACHE_WAYS };

struct cache_array {
    uint64_t *set;         // word 0 of set 0
    uint64_t index, scale; // the bits of an address that choose a set; times scale: the place of its record in bytes
    uint64_t frame;        // the bits of an address that say which line it is in
    uint64_t forks;        // nodes of the tree with ways on both sides
    uint64_t more;         // not 0: a set has more hints than one word
    uint32_t sets, ways, latency;
    uint32_t leaves; // the power of two at or above ways
    uint32_t stride; // words from one record to the next
    struct cache_counts n;
    struct { // what a use of a way does to the tree: the nodes that it leaves as they are, and those that point right from now on
        uint64_t keep, right;
    } use[CACHE_MAX_WAYS];
    uint8_t start[128]; // the node that the first seven nodes of the tree lead to
    uint64_t *memory;   // of the records
};

bool array_init(struct cache_array *a, const struct profile_cache *g, uint32_t line); // false: out of memory. size 0: absent
void array_clear(struct cache_array *a);
void array_free(struct cache_array *a);

static inline uint64_t *array_set(const struct cache_array *a, uint64_t line)
{
    return (uint64_t *)((char *)a->set + (line & a->index) * a->scale);
}

// Does a way hold the line, in any state but I?
static inline bool array_holds(uint64_t way, uint64_t line) { return (way ^ line) - 1 < CACHE_STATE; }

// Is the line of an address where its set was used last, and modified, if that is asked? Then an access changes nothing but the count of hits.
static inline bool array_again(struct cache_array *a, uint64_t pa, bool modified)
{
    const uint64_t *t = array_set(a, pa), way = t[CACHE_WAYS + t[CACHE_LAST]], line = pa & a->frame;
    const bool again = modified ? way == (line | CACHE_M) : array_holds(way, line);
    a->n.hits += again;
    return again;
}

static inline uint64_t array_bytes(uint64_t byte) { return byte * 0x0101010101010101ull; }
static inline uint8_t array_hint(uint64_t line) { return (uint8_t)(line * 0x9e3779b97f4a7c15ull >> 57); }
// The top bits of bytes of a word of hints, which are 7 bits long, that are as wanted.
static inline uint64_t array_alike(uint64_t hints, uint64_t want)
{
    return (array_bytes(0x80) - (hints ^ want)) & array_bytes(0x80);
}

// May a way hold the line? 0: no. Where one word has not the hints of all ways, it is not told.
static inline uint64_t array_may_hold(const struct cache_array *a, uint64_t line)
{
    return array_alike(array_set(a, line)[-1], array_bytes(array_hint(line))) | a->more;
}

// The way of the set t that holds a line, or NULL.
static inline uint64_t *array_search(const struct cache_array *a, uint64_t *t, uint64_t line)
{
    const uint64_t *hints = t, want = array_bytes(array_hint(line));
    // `last` belongs to the lowest byte of a word of hints.
    for (uint64_t *last = &t[CACHE_WAYS + 7], *end = &last[a->ways]; last < end; last += 8)
        for (uint64_t alike = array_alike(*--hints, want); alike; alike &= alike - 1) {
            uint64_t *w = last - (unsigned)__builtin_ctzll(alike) / 8;
            if (array_holds(*w, line))
                return w;
        }
    return NULL;
}
uint64_t *array_look(const struct cache_array *a, uint64_t line);
static inline uint64_t *array_find(const struct cache_array *a, uint64_t line)
{
    return __builtin_expect(array_may_hold(a, line) != 0, 0) ? array_look(a, line) : NULL;
}

static inline void array_touch(const struct cache_array *a, uint64_t *t, uint64_t way)
{
    t[CACHE_TREE] = (t[CACHE_TREE] & a->use[way].keep) | a->use[way].right;
    t[CACHE_LAST] = way;
}

// A way that was found is used.
static inline void array_used(const struct cache_array *a, const uint64_t *w)
{
    uint64_t *t = array_set(a, *w);
    array_touch(a, t, (uint64_t)(w - t) - CACHE_WAYS);
}

// Where the tree of a set leads.
static inline uint64_t array_oldest(const struct cache_array *a, const uint64_t *t)
{
    uint64_t node = a->start[t[CACHE_TREE] >> 1 & 127];
    while (node < a->leaves)
        node = node * 2 + ((t[CACHE_TREE] & a->forks) >> node & 1);
    return node - a->leaves;
}

// Put a line into an array that does not have it. Returned: what was in its way, which has left.
static inline uint64_t array_put(const struct cache_array *a, uint64_t line, enum cache_state s)
{
    uint64_t *t = array_set(a, line), way = 0;
    if (__builtin_expect(t[CACHE_EMPTY] != 0, 0)) {
        way = (uint64_t)__builtin_ctzll(t[CACHE_EMPTY]);
        t[CACHE_EMPTY] &= t[CACHE_EMPTY] - 1;
    } else {
        way = array_oldest(a, t);
    }
    const uint64_t old = t[CACHE_WAYS + way];
    t[CACHE_WAYS + way] = line | s;
    ((uint8_t *)t)[~way] = array_hint(line);
    array_touch(a, t, way);
    return old;
}

// A way that was found becomes empty.
static inline void array_drop(const struct cache_array *a, uint64_t *w)
{
    uint64_t *t = array_set(a, *w);
    t[CACHE_EMPTY] |= 1ull << ((uint32_t)(w - t) - CACHE_WAYS);
    *w = 0;
}

static inline enum cache_state array_state(const struct cache_array *a, uint64_t line)
{
    const uint64_t *w = array_find(a, line);
    return w ? (enum cache_state)(*w & CACHE_STATE) : CACHE_I;
}

// The line, where it is there, is in this state from now on.
static inline void array_set_state(const struct cache_array *a, uint64_t line, enum cache_state s)
{
    uint64_t *w = array_find(a, line);
    if (w && s == CACHE_I)
        array_drop(a, w);
    else if (w)
        *w = line | s;
}

// Way number k, over all sets.
static inline uint64_t *array_way(const struct cache_array *a, size_t k)
{
    return &a->set[k / a->ways * a->stride + CACHE_WAYS + k % a->ways];
}
static inline size_t array_ways(const struct cache_array *a) { return (size_t)a->sets * a->ways; }

#endif
