// isa/exec_mpx.c: handlers of the memory-protection extensions: thin wrappers around isa/mpx.c, and branches that set bounds to zeros.
#include "isa/decode.h"
#include "isa/mpx.h"

ISA_THIN(bndmk);
ISA_THIN(bndcl);
ISA_THIN(bndcu);
ISA_THIN(bndcn);
ISA_THIN(bndmov_g_e);
ISA_THIN(bndmov_e_g);
ISA_THIN(bndldx);
ISA_THIN(bndstx);

// A near branch without BND while MPX is enabled: the branch as always, then the bounds. If the branch faults, they stay.
int ISA_H(isa_h_unbound)(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    int r = isa_row_handler(isa_run_loop, i)(c, i);
    if (r != ISA_R_STOP)
        return r;
    isa_bounds_init(c);
    ISA_END(c, i);
}
