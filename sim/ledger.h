// sim/ledger.h: the account of a run under VT-x: VM exits by reason and by VMCS, model cycles in root and non-root operation, walks,
// invalidations.
//
// Each VMCS is one virtual processor of the hypervisor that runs in root operation. A hypervisor that lets its guest be a hypervisor
// keeps two for it: one that runs the guest, one that runs the guest's guest. So the columns show how nesting multiplies exits.
// Levels: the processor knows none. A VMCS counts as that of a guest's guest if it was first entered right after another one's guest had
// executed VMLAUNCH or VMRESUME: its level is one more. A hypervisor that runs all its guest's guests by one VMCS shows as one level,
// "or deeper" if those guests executed VMLAUNCH or VMRESUME, too.
// A VMCS is known by the address of its region: a region that is used again for another guest counts as the same one.
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdio.h>

#include "sim/event.h"

#define LEDGER_CPUS    16
#define LEDGER_VMCSES  8 // columns; what more there is counts in the last one
#define LEDGER_REASONS 128

struct ledger {
    struct sim_machine *m;
    int handle;
    unsigned n; // VMCSs met
    struct ledger_vmcs {
        uint64_t ptr, eptp; // of its first entry
        uint16_t vpid;
        uint8_t level; // of its guest: 1, 2, ...
        uint64_t entries, exits, cycles, by_reason[LEDGER_REASONS];
    } vmcs[LEDGER_VMCSES];
    bool more;                     // the last column stands for several
    uint8_t current[LEDGER_CPUS];  // column of the guest that a processor runs
    uint64_t entered[LEDGER_CPUS]; // since when
    uint16_t reason[LEDGER_CPUS];  // of its last exit
};

// Start to listen to m. l must stay in place until ledger_close().
void ledger_open(struct ledger *l, struct sim_machine *m);
void ledger_close(struct ledger *l);
// VM exits in all, by basic reason (LEDGER_REASONS: of all reasons).
uint64_t ledger_exits(const struct ledger *l, unsigned reason);
// The tables as text. Prints one line if nothing was virtualized.
void ledger_print(const struct ledger *l, FILE *f);

#endif
