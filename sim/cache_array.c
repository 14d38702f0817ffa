// sim/cache_array.c: see sim/cache_array.h.
#include "sim/cache_array.h"

#include <stdlib.h>
#include <string.h>

// The nodes on the path to a way point to the other half once it is used.
static void init_uses(struct cache_array *a)
{
    for (uint32_t way = 0; way < a->ways; way++) {
        a->use[way].keep = ~0ull;
        for (uint64_t node = 1, half = a->leaves / 2; half; half /= 2) {
            const uint64_t bit = 1ull << node;
            const bool right = way & half;
            a->use[way].keep &= ~bit;
            a->use[way].right |= right ? 0 : bit;
            a->forks |= right ? bit : 0; // where the ways are no power of two, the tree lacks some leaves on the right
            node = node * 2 + right;
        }
    }
}

static void init_start(struct cache_array *a)
{
    for (unsigned k = 0; k < sizeof a->start; k++) {
        const uint64_t tree = (uint64_t)k << 1 & a->forks;
        unsigned node = 1;
        while (node < a->leaves && node < 8)
            node = node * 2 + (tree >> node & 1);
        a->start[k] = (uint8_t)node;
    }
}

static size_t words_of(const struct cache_array *a) { return (size_t)(a->sets ? a->sets : 1) * a->stride; }

void array_clear(struct cache_array *a)
{
    memset(a->memory, 0, words_of(a) * sizeof *a->memory);
    for (size_t k = 0; k < a->sets; k++)
        a->set[k * a->stride + CACHE_EMPTY] = ~0ull >> (CACHE_MAX_WAYS - a->ways);
    a->n = (struct cache_counts){0};
}

bool array_init(struct cache_array *a, const struct profile_cache *g, uint32_t line)
{
    if (g->size) {
        a->ways = g->ways;
        a->sets = g->size / line / g->ways;
        a->leaves = a->ways > 1 ? 2u << (31u - (unsigned)__builtin_clz(a->ways - 1)) : 1;
        a->latency = g->latency;
        a->index = (uint64_t)(a->sets - 1) * line;
        init_uses(a);
        init_start(a);
    }
    a->frame = -(uint64_t)line;
    a->more = a->ways > 8;
    const uint32_t hints = a->ways ? (a->ways + 7) / 8 : 1;
    // A record is as long as some of the lines that it tells of: then its place is a product, and it begins where a line of most hosts does.
    const uint32_t unit = line / sizeof *a->set;
    a->scale = (hints + CACHE_WAYS + hints * 8 + unit - 1) / unit;
    a->stride = (uint32_t)a->scale * unit;
    a->memory = aligned_alloc(64, (words_of(a) * sizeof *a->memory + 63) & ~63ull);
    if (!a->memory)
        return false;
    a->set = a->memory + hints;
    array_clear(a);
    return true;
}

void array_free(struct cache_array *a) { free(a->memory); }

uint64_t *array_look(const struct cache_array *a, uint64_t line) { return array_search(a, array_set(a, line), line); }
