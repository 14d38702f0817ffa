// isa/exec_x87.c: handlers of the x87 instructions of isa/x87.def: thin wrappers.
#include "isa/exec.h"
#include "isa/x87.h"

#define X(family)                                                                                                                  \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family);
#include "isa/x87.def"
