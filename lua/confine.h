// lua/confine.h: run a program on a scenario's behalf with as little power as the host allows.
#ifndef LX_CONFINE_H
#define LX_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

struct lx_process {
    const char *const *argv; // argv[0] is sought in PATH
    const char *dir;         // working directory, the only one that it may write to
    char output[4096];       // the beginning of what it wrote to stdout and stderr
    size_t n;
    int status; // exit status; -1: ended by a signal; -2: could not be started, see error
    int error;  // errno of the failure to start
};
// Run to completion: empty environment, no input, 10 seconds of processor time, files of at most 64 MiB. Where the kernel has
// Landlock the process sees only its folder and the system's programs and libraries.
void lx_run_process(struct lx_process *p);

#endif
