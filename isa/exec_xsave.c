// isa/exec_xsave.c: handlers of the XSAVE family: thin wrappers around isa/xsave.c.
#include "isa/exec.h"
#include "isa/fpu.h"

// XRSTOR and XRSTORS end a block: what they restore may enable MPX, and what follows decodes by that.
ISA_THIN(xsave);
ISA_THIN_END(xrstor);
ISA_THIN(xsaveopt);
ISA_THIN(xsavec);
ISA_THIN(xsaves);
ISA_THIN_END(xrstors);
