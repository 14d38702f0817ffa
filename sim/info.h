// sim/info.h: the tables of the simulator as text: `ringside info` and `ringside explain`, and the source of docs/gen.
#ifndef SIM_INFO_H
#define SIM_INFO_H

#include <stdio.h>

#include "sim/error.h"

// Print a table as Markdown; NULL lists the tables. An unknown name is an error that suggests the nearest.
// All values of a profile with their sources, and its capability MSRs. -1 with a message that lists the profiles.
int info_profile(FILE *f, const char *name, struct sim_error *err);
int info_table(FILE *f, const char *name, struct sim_error *err);
// Explain what the words name: 0x681e or GUEST_RIP, exit 48, error 7, E-GS-041, #GP, a rule's id, a control's name, a feature.
int info_explain(FILE *f, char **words, int n, struct sim_error *err);

#endif
