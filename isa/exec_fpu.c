// isa/exec_fpu.c: handlers of the control instructions of x87 and SSE: thin wrappers around isa/fpu.h.
#include "isa/exec.h"
#include "isa/fpu.h"

ISA_THIN(fninit);
ISA_THIN(fnclex);
ISA_THIN(fnopx);
ISA_THIN(fnstcw);
ISA_THIN(fldcw);
ISA_THIN(fnstsw_m);
ISA_THIN(fnstsw_ax);
ISA_THIN(fnstenv);
ISA_THIN(fldenv);
ISA_THIN(fnsave);
ISA_THIN(frstor);
ISA_THIN(fxsave);
ISA_THIN(fxrstor);
ISA_THIN(ldmxcsr);
ISA_THIN(stmxcsr);
ISA_THIN(emms);
