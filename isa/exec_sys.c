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

NEXT(mov_r_c);
NEXT(mov_r_d);
END(mov_c_r);
END(mov_d_r);
END(clts);
END(lmsw);
NEXT(smsw);
NEXT(rdmsr);
END(wrmsr);
NEXT(xgetbv);
NEXT(rdpkru);
NEXT(wrpkru);
END(xsetbv);
NEXT(rdtsc);
NEXT(rdtscp);
NEXT(rdpmc);
NEXT(rdpid);
NEXT(cpuid);
NEXT(rdrand);
NEXT(rdseed);
END(hlt);
NEXT(pause);
NEXT(monitor);
END(mwait);
NEXT(invd);
NEXT(wbinvd);
END(invlpg);
END(invpcid);
NEXT(wait);
END(rsm);
END(getsec);
NEXT(rdfsbase);
NEXT(rdgsbase);
NEXT(wrfsbase);
NEXT(wrgsbase);
NEXT(swapgs);
NEXT(pushf);
END(popf);
END(cli);
END(sti);
END(clac);
END(stac);
NEXT(mov_e_s);
END(mov_s_e);
NEXT(push_seg);
END(pop_seg);
END(lseg);
NEXT(sgdt);
NEXT(sidt);
NEXT(lgdt);
NEXT(lidt);
NEXT(sldt);
NEXT(str);
NEXT(lldt);
NEXT(ltr);
NEXT(lar);
NEXT(lsl);
NEXT(verr);
NEXT(verw);
NEXT(arpl);
END(in_i);
END(in_dx);
END(out_i);
END(out_dx);
