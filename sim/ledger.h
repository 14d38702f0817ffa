// sim/ledger.h: the account of a run under VT-x: VM exits by reason and level, model cycles, walks and invalidations by level, and when
// the processor changed between the levels.
//
// LEVELS     0 is root operation, 1 its guest, 2 the guest's guest and so on. The processor knows none of them: a VMCS counts as that of
//            a guest's guest if it was first entered right after another one's guest had executed VMLAUNCH or VMRESUME; its level is one
//            more. A hypervisor that runs all its guest's guests by one VMCS shows as one level, "or deeper" if those guests executed
//            VMLAUNCH or VMRESUME, too. Levels beyond the last count as the last.
// VMCSs      each is one virtual processor of the hypervisor that runs in root operation, known by the address of its region: a region
//            that is used again for another guest counts as the same one. A hypervisor that lets its guest be a hypervisor keeps two
//            for it. So the columns show how nesting multiplies exits.
// BORDERS    what a VM entry or exit itself costs and drops counts for level 0.
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdio.h>

#include "sim/event.h"

#define LEDGER_CPUS      8
#define LEDGER_LEVELS    5
#define LEDGER_VMCSES    64 // what more there is counts in the last one
#define LEDGER_REASONS   128
#define LEDGER_STRETCHES 256 // how many of the latest stretches are kept

// What one level did.
struct ledger_level {
    uint64_t entries, exits, by_reason[LEDGER_REASONS];
    uint64_t cycles;      // 0: those of all processors that are no other level's, sleep included
    uint64_t walks, refs; // page walks, and references to paging structures
    uint64_t flushes;     // invalidations: instructions, faults and transitions
    uint64_t dropped;     // TLB entries that they dropped
};
// A stretch of time that a processor spent at one level.
struct ledger_stretch {
    uint8_t cpu, level, vmcs; // vmcs: index into ledger.vmcs[] where level is not 0
    uint64_t begin, end;      // cycles; end: of the transition that ended it
    uint16_t reason;          // level 0: exit that it began with, LEDGER_REASONS for none; else the exit that ended it
    uint64_t rip;             // of that exit
};

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
    bool more; // the last VMCS stands for several
    struct ledger_level level[LEDGER_LEVELS];
    struct ledger_cpu {
        uint8_t level, vmcs;           // at which level the processor is, by which VMCS
        uint16_t reason;               // of its last exit; LEDGER_REASONS: none so far
        uint64_t rip;                  // of its last exit
        uint64_t since;                // cycle of the last transition
        uint64_t walks, refs, dropped; // its counters then
    } cpu[LEDGER_CPUS];
    uint64_t nstretches; // so far; stretch k is in ring[k % LEDGER_STRETCHES]
    struct ledger_stretch ring[LEDGER_STRETCHES];
};

// Start to listen to m. l must stay in place until ledger_close(), which must come before m goes.
void ledger_open(struct ledger *l, struct sim_machine *m);
void ledger_close(struct ledger *l);
// The ledger that a machine keeps for whoever wants to look at it later: made by the first call, gone with the machine.
struct ledger *ledger_keep(struct sim_machine *m);
// Bring the accounts up to the present: those of a level are complete only up to its last transition.
void ledger_update(struct ledger *l);
// The machine is about to be reset: its processors begin in root operation, with clocks and counters of 0. The accounts go on.
void ledger_restart(struct ledger *l);
// VM exits in all, by basic reason (LEDGER_REASONS: of all reasons).
uint64_t ledger_exits(const struct ledger *l, unsigned reason);
unsigned ledger_levels(const struct ledger *l);             // levels that were met, root operation included
bool ledger_deeper(const struct ledger *l, unsigned level); // does the level stand for deeper ones, too?
// Basic reasons that were met, the most frequent first; returns how many.
unsigned ledger_reasons(const struct ledger *l, uint16_t reasons[LEDGER_REASONS]);
// The tables as text. Prints one line if nothing was virtualized.
void ledger_print(struct ledger *l, FILE *f);

#endif
