// isa/manual.c: see isa/manual.h.
#include "isa/manual.h"

#include <stddef.h>
#include <string.h>

static const struct isa_manual_section sections[] = {
#define K(key, volume, number, title) {#key, volume, number, title},
#include "isa/sdm.def"
#undef K
};

const struct isa_manual_section *isa_manual_n(unsigned n) { return n < sizeof sections / sizeof sections[0] ? &sections[n] : NULL; }

const struct isa_manual_section *isa_manual(const char *key)
{
    for (unsigned n = 0; key && isa_manual_n(n); n++)
        if (!strcmp(sections[n].key, key))
            return &sections[n];
    return NULL;
}
