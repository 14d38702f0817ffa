// sim/stats.h: the counters of a run as a list of name, value and description: those of sim/stats.def, and per event kind, TLB unit, walk
// outcome, reference, invalidation, exit reason and exception.
//
// Counts begin when the recorder is opened. What the dispatcher or the inline TLB would change is not in the list: same input, same bytes.
#ifndef SIM_STATS_H
#define SIM_STATS_H

#include <stdio.h>

#include "sim/machine.h"

struct stats_recorder;
struct stats_recorder *stats_open(struct sim_machine *m);
void stats_close(struct stats_recorder *s); // before m goes; NULL is allowed

typedef void stats_fn(void *ctx, const char *name, uint64_t value, const char *text);
// Call fn for every counter, in a fixed order. Names are like cpu0.tlb.stlb.fills; no name comes twice.
void stats_visit(const struct stats_recorder *s, stats_fn *fn, void *ctx);

// One line per counter: name, value, # description.
void stats_text(const struct stats_recorder *s, FILE *f);
// {WHAT"profile":...,"stats":[{"name":...,"value":...,"description":...},...]}; what: further members with a comma behind each, or "".
void stats_json(const struct stats_recorder *s, FILE *f, const char *what);

#endif
