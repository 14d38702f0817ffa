// isa/xstate.c: the layout of XSAVE areas (isa/xstate.h).
#include "isa/xstate.h"

const struct isa_xstate isa_xstate[ISA_XSTATE_NUM] = {
#define X(id, bit, feature, offset, size, aligned, text) {#id, bit, aligned, ISA_FEAT_##feature, offset, size, text},
#include "isa/xstate.def"
#undef X
};

unsigned isa_xstate_at(unsigned k, uint64_t comp)
{
    if (!(comp & ISA_XS_COMPACT))
        return isa_xstate[k].offset;
    unsigned at = ISA_XSAVE_AREA;
    for (unsigned j = 0; j <= k; j++) {
        if (!(comp >> isa_xstate[j].bit & 1))
            continue;
        if (isa_xstate[j].aligned)
            at = (at + 63) & ~63u;
        if (j < k)
            at += isa_xstate[j].size;
    }
    return at;
}

unsigned isa_xstate_size(uint64_t components, bool compact)
{
    unsigned end = ISA_XSAVE_AREA;
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++)
        if (components >> isa_xstate[k].bit & 1) {
            unsigned e = isa_xstate_at(k, compact ? components | ISA_XS_COMPACT : 0) + isa_xstate[k].size;
            end = e > end ? e : end;
        }
    return end;
}
