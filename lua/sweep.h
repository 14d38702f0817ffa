// lua/sweep.h: run a scenario once for every combination of values, and collect a table.
//
// TASKS      a task is one line, "tlb.l2.entries=64 ept.page=4k". The sweep makes the lines, or reads them: so GNU parallel or an array job
//            can hand them out, and each worker runs what it is given. There is no scheduler here but a number of local processes.
// CSV        a row per task, in their order, whatever the number of processes: what was set, the status, the counters of sim/stats.def
//            summed over all machines of the scenario, and what it reported by ringside.result(): as result.NAME where a counter or a
//            parameter has that name. A file keeps its contents until the tasks have ended.
// SIGNALS    to leave (SIGINT, SIGTERM, SIGHUP) end the tasks that are under way; the table has those that had ended.
#ifndef LX_SWEEP_H
#define LX_SWEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/error.h"

#define LX_SWEEP_TASKS 100000u

struct lx_sweep_options {
    const char *file, *guests; // as in lx_options
    const char *const *args;   // likewise
    const char *const *set;    // "name=value,value..."; the last one changes fastest
    unsigned nset;
    const char *from; // file of task lines instead, "-": standard input
    const char *csv;  // NULL: out
    unsigned jobs;    // processes at a time; 0: 1
    bool tasks;       // print the task lines, run nothing
    bool no_header;
    uint64_t max_cycles; // of each task
    FILE *out;
};
// SIM_OK even where claims of the scenario did not hold (status 1 in the table); SIM_CHECK_FAILED if tasks failed otherwise, or did
// not come to their end.
enum sim_status lx_sweep(const struct lx_sweep_options *o, struct sim_error *err);

#endif
