// isa/exec_fpu.c: handlers of the control instructions of x87 and SSE: thin wrappers around isa/fpu.h.
#include "isa/exec.h"
#include "isa/fpu.h"

#define FPOP(family)                                                                                                               \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = isa_x_##family(c, i);                                                                                              \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family)

FPOP(fninit);
FPOP(fnclex);
FPOP(fnopx);
FPOP(fnstcw);
FPOP(fldcw);
FPOP(fnstsw_m);
FPOP(fnstsw_ax);
FPOP(fnstenv);
FPOP(fldenv);
FPOP(fnsave);
FPOP(frstor);
FPOP(fxsave);
FPOP(fxrstor);
FPOP(ldmxcsr);
FPOP(stmxcsr);
FPOP(emms);
