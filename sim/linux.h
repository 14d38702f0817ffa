// sim/linux.h: the Linux/x86 boot protocol: bzImage, initial RAM disk, command line, memory map.
// SOURCE  "The Linux/x86 Boot Protocol" in the kernel's documentation; entry is the 32-bit one ("32-bit Boot Protocol").
#ifndef SIM_LINUX_H
#define SIM_LINUX_H

#include "sim/loader.h"

struct sim_linux {
    const char *kernel;  // bzImage, protocol 2.12 or later
    const char *initrd;  // NULL: none
    const char *cmdline; // NULL: empty
};
// Is this a bzImage?
bool linux_is(const void *bytes, uint64_t n);
// Load kernel and RAM disk, fill in the zero page and enter at the kernel's 32-bit entry point.
int sim_load_linux(struct sim_machine *m, const struct sim_linux *how, struct sim_loaded *out, struct sim_error *err);

#endif
