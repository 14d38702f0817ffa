// isa/exec_sse.c: handlers of the MMX, SSE and AVX operations of isa/vec.def. The work is in isa/sse.c, isa/avx.c and isa/vec_*.c.
#include "isa/exec.h"
#include "isa/vec.h"

#define RUN(family, frame, fn, shape)                                                                                              \
    static int h_##family(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = frame(c, i, isa_v_##fn, shape);                                                                                    \
        if (r)                                                                                                                     \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    ISA_FAMILY1(family, h_##family);
#define PV(name)        P(name, 8) V(name, 16)
#define P(name, shape)  RUN(name##_p, isa_mmx, name, shape)
#define V(name, shape)  RUN(name##_v, isa_sse, name, shape) A(name, shape)
#define X(name, shape)  RUN(name, isa_sse, name, shape) A(name, shape)
#define XF(name, shape) RUN(name, isa_sse, name, shape) AF(name, shape)
#define XP(name, shape) RUN(name, isa_sse, name, shape)
#define A(name, shape)  RUN(name##_y, isa_avx, name, shape)
#define AF(name, shape) RUN(name##_y, isa_avx_fp, name, shape)
#include "isa/vec.def"
