// sim/bench.h: how fast the simulator runs: guest instructions per second of host time, and host time per costly event.
//
// The only place that reads the wall clock; nothing of it reaches a guest. The guest programs stand in sim/bench.c.
#ifndef SIM_BENCH_H
#define SIM_BENCH_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/error.h"

// Run all benchmarks in each fidelity (about six seconds) and print a table, or one JSON object: in it, "mips" and what follows from the
// time are those of fast fidelity. 0, or -1 with *err. set, nset: as in struct sim_config.
int sim_bench(FILE *out, bool json, const char *const *set, unsigned nset, struct sim_error *err);

#endif
