// isa/xstate.h: the layout of XSAVE areas: what isa/xstate.def says, for the instructions and for CPUID.
//
// AREA     0..511 legacy region (isa/fxsave.c), 512 header: XSTATE_BV, 520 XCOMP_BV (bit 63: compacted), 528..575 reserved; from 576
//          the components 2 and up: at their own offsets (standard format, which has no supervisor components) or one behind the other (compacted format).
// MANUAL   "XSAVE Area", "Standard Format of XSAVE Area", "Compacted Format of XSAVE Area".
#ifndef ISA_XSTATE_H
#define ISA_XSTATE_H

#include "isa/tables.h"

#define ISA_XS_X87       (1ull << 0)
#define ISA_XS_SSE       (1ull << 1)
#define ISA_XS_AVX       (1ull << 2)
#define ISA_XS_BNDREGS   (1ull << 3)
#define ISA_XS_BNDCSR    (1ull << 4)
#define ISA_XS_MPX       (ISA_XS_BNDREGS | ISA_XS_BNDCSR)
#define ISA_XS_PKRU      (1ull << 9)
#define ISA_XS_HDC       (1ull << 13)
#define ISA_XS_COMPACT   (1ull << 63) // in XCOMP_BV
#define ISA_XSAVE_HEADER 512u
#define ISA_XSAVE_AREA   576u // without further components

struct isa_xstate {
    const char *id;
    uint8_t bit;
    bool aligned;
    uint16_t feature, offset, size; // offset 0: a supervisor component
    const char *text;
};
enum {
#define X(id, bit, feature, offset, size, aligned, text) ISA_XSTATE_##id,
#include "isa/xstate.def"
#undef X
    ISA_XSTATE_NUM
};
extern const struct isa_xstate isa_xstate[ISA_XSTATE_NUM];

static inline bool isa_xstate_supervisor(unsigned k) { return !isa_xstate[k].offset; }
// Where component isa_xstate[k] lies. comp: XCOMP_BV of a compacted area; without bit 63 the area has the standard format.
unsigned isa_xstate_at(unsigned k, uint64_t comp);
// Bytes of an area that holds the components of a bitmap.
unsigned isa_xstate_size(uint64_t components, bool compact);

#endif
