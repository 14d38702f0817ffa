// sim/tlb_policy.c: adversarial caching (enum sim_tlb_policy in sim/machine.h): what a processor may do to a guest that forgets an invalidation.
//
// KEEP grows a unit where it would have to give an entry up. FORGET is a test in tlb_fill(). SEED throws lots at the beginning of a walk. Walks are the same
// in every dispatcher, with and without the inline TLB, so the lots are, too; and for observers, as lots spare what fetches use: a block of
// instructions is fetched once, single instructions are fetched one by one.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

int sim_tlb_policy_by_name(const char *name, struct sim_config *cfg, struct sim_error *err)
{
    static const char *const names[] = {[SIM_TLB_MODEL] = "model", [SIM_TLB_KEEP] = "keep", [SIM_TLB_FORGET] = "forget"};
    char *end;
    for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
        if (!strcmp(name, names[k])) {
            cfg->tlb = (enum sim_tlb_policy)k;
            return 0;
        }
    if (!strncmp(name, "seed:", 5) && name[5] >= '0' && name[5] <= '9') {
        cfg->tlb_seed = strtoull(name + 5, &end, 0);
        cfg->tlb = SIM_TLB_SEED;
        if (!*end)
            return 0;
    }
    return sim_fail(
        err, SIM_USAGE,
        "tlb '%.40s': there are model, keep (drop nothing that may stay), forget (cache nothing) and seed:N (drop at random)",
        name);
}

// --- keep

// Twice as many sets where the unit is well filled, else twice as many ways: many contexts that use the same pages share a set.
static struct tlb_geometry wider(const struct tlb_unit_state *u, const struct tlb_geometry *g)
{
    struct tlb_geometry n = *g;
    unsigned live = 0;
    for (unsigned k = 0; k < 4; k++)
        live += tlb_live(u, k);
    if (2 * live >= u->size)
        n.sets *= 2;
    else
        n.ways *= 2;
    return n;
}

static void move(struct tlb_unit_state *to, const struct tlb_geometry *g, const struct tlb_unit_state *from, unsigned i)
{
    unsigned at = tlb_set(g, from->entry[i].tag, from->entry[i].page_shift);
    while (to->hot[at].key0)
        at++; // a set only gets emptier
    to->hot[at] = from->hot[i];
    to->entry[at] = from->entry[i];
    to->mirrored[at] = from->mirrored[i];
    to->live[at / 64] |= 1ull << at % 64;
}

#define MOST 16384u // entries of a unit

bool tlb_grow(struct tlb_unit_state *u)
{
    struct tlb_unit_state old = *u;
    if (old.size >= MOST)
        return false;
    // Under this policy all page sizes share the entries of a unit (sim/tlb.c).
    const struct tlb_geometry g = wider(u, &old.g[0]);
    u->size = g.sets * g.ways;
    for (unsigned k = 0; k < 4; k++)
        if (old.g[k].ways)
            u->g[k] = g;
    tlb_unit_alloc(u);
    for (unsigned i = 0; i < old.size; i++)
        if (old.hot[i].key0)
            move(u, &g, &old, i);
    tlb_unit_free(&old);
    return true;
}

// --- seed

static uint64_t draw(struct tlb *t)
{
    t->lots = t->lots * 6364136223846793005ull + 1442695040888963407ull;
    return t->lots >> 32;
}

// The entry for the code that runs.
static bool fetched_by(const struct tlb *t, enum tlb_unit unit, unsigned i, uint64_t la)
{
    const struct tlb_entry *e = &t->u[unit].entry[i];
    return unit == TLB_ITLB && e->tag >> e->page_shift == la >> e->page_shift;
}

static uint64_t running_la(const struct sim_cpu *cpu)
{
    const struct isa_cpu *c = &cpu->isa;
    const uint64_t rip = engine_rip(c);
    return c->mode == ISA_LONG64 ? rip : (uint32_t)(c->seg[ISA_CS].base + rip);
}

// One walk in four loses an entry, one in 64 all that may go: everything else.
void tlb_draw_lots(struct tlb *t)
{
    const uint64_t lot = draw(t), la = t->cpu ? running_la(t->cpu) : 0;
    unsigned live = 0, n;
    if (lot % 4)
        return;
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++)
        live += tlb_count(t, (enum tlb_unit)unit);
    if (!live)
        return;
    const bool all = lot % 64 == 0;
    n = (unsigned)(draw(t) % live);
    for (unsigned unit = 0; unit < TLB_NUNIT; unit++)
        for (unsigned i = 0; i < t->u[unit].size; i++)
            if (t->u[unit].hot[i].key0 && (all || n-- == 0)) {
                if (!t->cpu || !fetched_by(t, (enum tlb_unit)unit, i, la))
                    tlb_evict(t, (enum tlb_unit)unit, i);
                if (!all)
                    return;
            }
}
