// sim/replace.c: replacement by trees (enum profile_policy in sim/profile.h), in units whose page sizes share one array.
//
// A tree of n ways is n - 1 bits, node 1 the root, the children of node k at 2k and 2k + 1; a bit that is set points to the right. The state
// of a set is 8 bits per tree; behind the trees of MRU3PLRU4 stands the group of the last use.
#include <stdlib.h>

#include "sim/internal.h"

static void point_away(uint8_t *tree, unsigned ways, unsigned way)
{
    unsigned node = 1;
    for (unsigned half = ways / 2; half; half /= 2) {
        bool right = way & half;
        *tree = (uint8_t)(right ? *tree & ~(1u << node) : *tree | 1u << node);
        node = 2 * node + right;
    }
}

static unsigned follow(uint8_t tree, unsigned ways)
{
    unsigned node = 1, way = 0;
    for (unsigned half = ways / 2; half; half /= 2) {
        bool right = tree >> node & 1;
        way |= right ? half : 0;
        node = 2 * node + right;
    }
    return way;
}

#define STATE 4u // bytes per set

void replace_touch(struct tlb_unit_state *u, unsigned i)
{
    unsigned way = (i - u->g[0].base) % u->g[0].ways;
    uint8_t *state = &u->tree[(i - u->g[0].base) / u->g[0].ways * STATE];
    if (u->policy == PROFILE_PLRU) {
        point_away(state, u->g[0].ways, way);
        return;
    }
    state[3] = (uint8_t)(way / 4);
    point_away(&state[way / 4], 4, way % 4);
}

unsigned replace_victim(const struct tlb_unit_state *u, unsigned set)
{
    const uint8_t *state = &u->tree[set * STATE];
    if (u->policy == PROFILE_PLRU)
        return follow(state[0], u->g[0].ways);
    unsigned group = (state[3] + 1u) % 3;
    return group * 4 + follow(state[group], 4);
}

uint8_t *replace_create(unsigned sets) { return calloc(sets, STATE); }
