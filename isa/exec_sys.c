// isa/exec_sys.c: handlers of the system instructions: thin wrappers around isa/sysop.h.
#include "isa/decode.h"
#include "isa/sysop.h"

// A row that does not end a block.
#define NEXT(family)                                                                                                               \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)
// A row that ends one, and goes on with the next instruction (whose address is computed in the mode that this one began in).
#define END(family)                                                                                                                \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        uint64_t next = isa_next_rip(c, i);                                                                                        \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        c->rip = next;                                                                                                             \
        ISA_END(c, i);                                                                                                             \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)

#define FAR(family)    // isa/exec_far.c
#define S(family, end) end(family);
#include "isa/sysops.def"
#undef S
