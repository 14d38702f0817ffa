// isa/farcs.h: code and stack segment steps shared by far transfers, IRET and event delivery (isa/far.c). Internal to those files.
#ifndef ISA_FARCS_H
#define ISA_FARCS_H

#include "isa/seg.h"

// L and D not both set (IA-32e mode), present.
int isa_cs_usable(struct isa_cpu *c, const struct isa_desc *d);
// rip within the limit of cs, or canonical if cs is a 64-bit code segment.
int isa_cs_target(struct isa_cpu *c, const struct isa_seg *cs, uint64_t rip);
// The checks of RET and IRET on the code segment popped from the stack.
int isa_cs_return(struct isa_cpu *c, uint16_t sel, struct isa_desc *d);
// The stack segment of a return to level cpl; null is allowed where 64-bit code below level 3 is returned to.
int isa_ss_return(struct isa_cpu *c, uint16_t sel, unsigned cpl, bool to64, struct isa_seg *out);
// Load CS (RPL = cpl), SS unless NULL, and RIP; recompute the mode; tell observers.
void isa_cs_commit(struct isa_cpu *c, struct isa_seg cs, const struct isa_seg *ss, unsigned cpl, uint64_t rip);

#endif
