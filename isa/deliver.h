// isa/deliver.h: interrupts and exceptions on their way through the IDT.
//
// MODELS     the interrupt vector table of real mode; interrupt, trap and task gates of 16, 32 and 64 bits; stack switches through
//            the TSS (SS:ESP, RSPn, IST); error codes; CR2, DR6, RF; faults during delivery: benign, double and triple.
// BEFORE     c->rip is exact: the address of the instruction that faulted or, for interrupts and traps, of the next one. Software
//            interrupts leave rip at the instruction and give its length in insn_len.
// RESULTS    0: c->rip is the handler's first instruction (or c->activity is ISA_SHUTDOWN after a triple fault).
//            ISA_R_VMEXIT: the virtualization layer took over; c->delivering_valid then says whether an event was being delivered
//            (IDT-vectoring information), and c->delivering which. Its reader clears delivering_valid.
// MANUAL     "Interrupt and Exception Handling", "64-Bit Mode Interrupts and Exceptions", INT n page.
#ifndef ISA_DELIVER_H
#define ISA_DELIVER_H

#include "isa/env.h"
#include "isa/fault.h"

// Deliver c->fault, asking env->intercept_event() first.
int isa_deliver_fault(struct isa_cpu *c);
// Deliver an external interrupt, NMI, debug trap or an event injected by VM entry. The event itself is not offered to the
// exception intercepts; faults that its delivery causes are.
int isa_deliver_event(struct isa_cpu *c, const struct isa_event *e);
// Deliver the event of INT n, INT3, INTO or INT1: INT3, INTO and INT1 are offered to the intercepts first.
int isa_deliver_software(struct isa_cpu *c, const struct isa_event *e);

#endif
