// sim/profile.c: the named micro-architectures of sim/profiles.def.
#include "sim/profile.h"

#include <string.h>

static const uint32_t cost_teach[ISA_COST_NUM] = {
#define C(id, teach, text) [ISA_COST_##id] = teach,
#include "isa/costs.def"
#undef C
};

// No profile offers a feature that isa/ does not implement whole (docs/quirks.md).
#define UNOFFERED(f) ((f) == ISA_FEAT_LA57 || (f) == ISA_FEAT_XGETBV1 || (f) == ISA_FEAT_XSAVES)
#define BIT(f, w)    ((unsigned)(f) / 64 == (w) && !UNOFFERED(f) ? 1ull << (unsigned)(f) % 64 : 0)
_Static_assert(ISA_FEAT_NUM <= 128, "features_all has two words in use");
static const uint64_t features_all[4] = {
#define F(id, leaf, sub, reg, bit, flag, text) | BIT(ISA_FEAT_##id, 0)
    0
#include "isa/features.def"
#undef F
    ,
#define F(id, leaf, sub, reg, bit, flag, text) | BIT(ISA_FEAT_##id, 1)
    0
#include "isa/features.def"
#undef F
};

static const struct sim_profile profile[] = {
#define P(id, nm, txt, ...) {.name = nm, .text = txt, __VA_ARGS__},
#include "sim/profiles.def"
#undef P
};

const struct sim_profile *sim_profile_n(unsigned n) { return n < sizeof profile / sizeof *profile ? &profile[n] : NULL; }

const struct sim_profile *sim_profile_by_name(const char *name)
{
    for (unsigned n = 0; sim_profile_n(n); n++)
        if (strcmp(profile[n].name, name) == 0)
            return &profile[n];
    return NULL;
}
