// isa/exec_sys.c: handlers of the system instructions: thin wrappers around isa/sysop.h.
#include "isa/decode.h"
#include "isa/sysop.h"

#define NEXT           ISA_THIN
#define END            ISA_THIN_END
#define FAR(family)    // isa/exec_far.c
#define S(family, end) end(family);
#include "isa/sysops.def"
#undef S
