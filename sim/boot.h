// sim/boot.h: `ringside boot`: a real operating system with its serial console in this terminal.
//
// The terminal is raw while the guest runs and restored on every way out; Ctrl-A X leaves, Ctrl-A Ctrl-A types a Ctrl-A. When standard input is
// not a terminal, only output happens. While the guest has printed nothing, a progress line goes to standard error if that is a terminal.
#ifndef SIM_BOOT_H
#define SIM_BOOT_H

#include <stdint.h>

#include "sim/error.h"

struct boot_options {
    const char *kernel, *initrd, *append, *disk, *profile; // NULL: the default of each
    uint64_t ram_bytes, max_cycles;                        // 0: default, no limit
    const char *gdb;                                       // wait for GDB at [HOST]:PORT; NULL: no
    const char *marker;                                    // end with SIM_OK once the guest printed this; NULL: run on
};
// Boot Linux and run until the guest switches itself off, asks for a reset, the user leaves, or something goes wrong. Without a kernel,
// Debian's cloud kernel and busybox are fetched into build/cache by docs/tools/fetch-guests.sh.
// A run that ends in words (its stop, instructions, seconds, MIPS) prints them to standard error.
enum sim_status sim_boot_linux(const struct boot_options *o, struct sim_error *err);

#endif
