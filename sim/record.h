// sim/record.h: what a run leaves behind on request: counters (--stats), a trace (--trace-perfetto), the ledger (--ledger).
//
// FILES      opened before the guest starts, so that a path that cannot be written is an error before any work; complete however the
//            run ends, by a signal to leave (SIGINT, SIGTERM, SIGHUP) too.
// MACHINES   several may be recorded, one after another or side by side; each gets its own part, in the order in which they go. A reset sets
//            clocks and counters to 0, so it has to stand between two parts.
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include <stdio.h>

#include "sim/machine.h"

struct record_options {
    const char *stats;    // file, or NULL; an ending .json gives JSON
    const char *perfetto; // file, or NULL
    FILE *ledger;         // where the ledger of each machine goes, or NULL
    bool stoppable;       // a signal to leave ends the run, and says where the guest was, though nothing is written
};
struct record;
// NULL with an error, or, without one, if nothing is asked for; all functions take that NULL.
struct record *record_begin(const struct record_options *o, struct sim_error *err);
void record_open(struct record *r, struct sim_machine *m);  // right after the machine was made
void record_close(struct record *r, struct sim_machine *m); // right before it goes
// Ends the files. -1 if one of them could not be written.
int record_end(struct record *r, struct sim_error *err);

// sim_run(), but a signal to leave ends it: with SIM_STOP_REQUEST, and *quit set. A second one ends the process. The state afterwards is that of sim_run().
struct sim_stop record_run(struct record *r, struct sim_machine *m, const struct sim_until *until, bool *quit);

#endif
