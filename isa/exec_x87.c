// isa/exec_x87.c: handlers of the x87 instructions of isa/x87.def: thin wrappers.
#include "isa/exec.h"
#include "isa/x87.h"

#define X(family) ISA_THIN(family);
#include "isa/x87.def"
