// isa/exec_xsave.c: handlers of the XSAVE family: thin wrappers around isa/xsave.c.
#include "isa/exec.h"
#include "isa/fpu.h"

#define XOP(family)                                                                                                                \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)
// What is restored may enable MPX, and what follows decodes by that.
#define XOP_END(family)                                                                                                            \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        c->rip = isa_next_rip(c, i);                                                                                               \
        ISA_END(c, i);                                                                                                             \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)

XOP(xsave);
XOP_END(xrstor);
XOP(xsaveopt);
XOP(xsavec);
XOP(xsaves);
XOP_END(xrstors);
