// sim/profile.c: the named micro-architectures of sim/profiles.def.
#include "sim/profile.h"

#include <stdio.h>
#include <string.h>

#define TEACH_CACHES                                                                                                               \
    .l1i = {32 << 10, 8, 64, 2}, .l1d = {32 << 10, 8, 64, 2}, .l2 = {256 << 10, 8, 64, 10}, .l3 = {2 << 20, 16, 64, 40},           \
    .dram_ns = 100

static const struct sim_profile profile[] = {
#define P(id, nm, txt, ...) {.name = nm, .text = txt, __VA_ARGS__},
#include "sim/profiles.def"
#undef P
};
#define NPROFILE (sizeof profile / sizeof *profile)

const char *sim_profile_nth(unsigned n) { return n < NPROFILE ? profile[n].name : NULL; }
const char *sim_profile_text(unsigned n) { return n < NPROFILE ? profile[n].text : NULL; }

// No profile offers a feature that isa/ does not implement whole (docs/quirks.md).
static bool is_offered(enum isa_feature f) { return f != ISA_FEAT_LA57 && f != ISA_FEAT_XGETBV1 && f != ISA_FEAT_XSAVES; }

int sim_profile_load(struct sim_profile *p, const char *name, struct sim_error *err)
{
    unsigned n = 0;
    while (n < NPROFILE && strcmp(profile[n].name, name) != 0)
        n++;
    if (n == NPROFILE) {
        char names[200];
        size_t len = 0;
        for (unsigned k = 0; k < NPROFILE && len < sizeof names; k++)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", k ? ", " : "", profile[k].name);
        return sim_fail(err, SIM_USAGE, "machine: no profile is called '%s'; there are: %s", name, names);
    }
    *p = profile[n];
    for (unsigned k = 0; k < ISA_COST_NUM; k++)
        p->cost[k] = isa_cost_info[k].teach;
    _Static_assert(ISA_FEAT_NUM <= 256, "struct sim_profile.features has room for all");
    for (unsigned f = 0; f < ISA_FEAT_NUM; f++)
        if (is_offered((enum isa_feature)f))
            p->features[f / 64] |= 1ull << f % 64;
    return 0;
}
