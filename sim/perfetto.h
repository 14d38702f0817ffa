// sim/perfetto.h: a run as a trace for ui.perfetto.dev (or chrome://tracing): Chrome's JSON trace-event format.
//
// TRACKS     a process per processor, in it a thread per level: L0 is root operation, L1 its guest, L2 the guest's guest (sim/ledger.h).
// SLICES     time at a level; in L0 named after the VM exit that is handled, in guests after their VMCS.
// INSTANTS   VM exits (on the guest's track), exceptions and interrupts delivered, triple faults, marks.
// COUNTERS   page walks, references of walks, TLB misses: sums since reset. A sample per 1000 cycles at most, later one per 1/16384 of the time so far:
//            a counter's samples grow with the logarithm of the run.
// TIME       model time: cycles at the profile's frequency, written in microseconds with six decimals.
// MEMORY     events are written as they happen; nothing grows with the length of the run.
#ifndef SIM_PERFETTO_H
#define SIM_PERFETTO_H

#include <stdio.h>

#include "sim/machine.h"

struct perfetto; // a document: several machines may write to it
struct perfetto_machine;

struct perfetto *perfetto_begin(FILE *f);
// Start to listen to a machine; name tells it from the others.
struct perfetto_machine *perfetto_open(struct perfetto *p, struct sim_machine *m, const char *name);
void perfetto_close(struct perfetto_machine *pm); // writes the slices that are still open; before the machine goes
// Ends the document; the caller closes f and looks at its errors.
void perfetto_end(struct perfetto *p);

#endif
