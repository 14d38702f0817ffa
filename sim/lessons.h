// sim/lessons.h: the lessons: folders of scenarios/ that hold a lab.lua. They are looked for in the current folder, in the tree that this
// program was built in, and where it was installed with them.
#ifndef SIM_LESSONS_H
#define SIM_LESSONS_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/error.h"

// The folder so many levels above the file of this program; "" if nobody knows.
void lessons_tree_above(char *out, size_t size, unsigned up);
// Where a file of the tree is, "scenarios/validate" for example; the name itself if nowhere.
void lessons_tree_path(char *out, size_t size, const char *name);
// The script of a lesson; false if none is called that.
bool lessons_path(char *out, size_t size, const char *name);
// Names, each with the first line of its script. -1 if there is no folder of lessons.
int lessons_list(FILE *f, struct sim_error *err);

#endif
