// sim/boot.h: `ringside boot`: a real operating system with its serial console in this terminal.
//
// The terminal is raw while the guest runs and restored on every way out; Ctrl-A X leaves, Ctrl-A Ctrl-A types a Ctrl-A. When standard input is
// not a terminal, only output happens. While the guest has printed nothing, a progress line goes to standard error if that is a terminal.
#ifndef SIM_BOOT_H
#define SIM_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/record.h"

struct boot_options {
    const char *system;                                          // one of sim_boot_systems()
    const char *kernel, *initrd, *append, *disk, *profile, *tlb; // NULL: the default of each
    const char *const *set;                                      // as in struct sim_config
    unsigned nset;
    uint64_t ram_bytes, max_cycles; // 0: default, no limit
    unsigned cpus;                  // 0: 1
    enum sim_fidelity fidelity;
    const char *forward; // functional fidelity until the guest has printed this; NULL: no
    const char *gdb;     // wait for GDB at [HOST]:PORT; NULL: no
    // End with SIM_OK once the guest printed this. NULL: the system's own marker, if it has one; "": run on.
    const char *marker;
    bool virtio_console; // a virtio console beside the serial ports
    bool firmware_log;   // print what the firmware says to port 402H, too
    // What to type: EXPECTED|TYPED|EXPECTED|TYPED...: once the guest has printed the one, the other is typed, with Enter. NULL: nothing.
    const char *script;
    struct record_options record;
};
// Boot a system and run until its marker, or until it switches itself off, asks for a reset, the user leaves, or something goes wrong.
// Without a kernel, what boots is fetched into build/cache by docs/tools/fetch-guests.sh. All of them are Debian's kernel:
//   linux       with busybox
//   kvm         loads its own kvm-intel and runs scenarios/kvm/kvmrun.c on it: tiny guests, then the same kernel once more as L2
//   bios        Debian's SeaBIOS, which boots the disk; without --disk, one that holds scenarios/boot/sector.asm
//   debian      with a small Debian userland on a virtio disk: root, password ringside
//   grub        Debian's SeaBIOS and GRUB, which loads the kernel from the disk
//   memtest     Debian's memtest86+
//   kvm-nested  and there loads kvm-intel again, and runs the tiny guests as L3
// A run that ends in words (its stop, instructions, seconds, MIPS) prints them to standard error.
enum sim_status sim_boot(const struct boot_options *o, struct sim_error *err);
// The machine that sim_boot() would run, for those who run it themselves. With `forward` it has run that far already. NULL: see err.
struct sim_machine *sim_boot_machine(const struct boot_options *o, struct sim_error *err);
// Put a system that needs no disk into a machine, from what is in build/cache already. append: NULL for the system's own parameters.
int sim_boot_load(struct sim_machine *m, const char *system, const char *append, struct sim_error *err);
// How much of a text has been printed last once b comes after its first n characters: "==>" is in "===>", too.
size_t sim_boot_matched(const char *text, size_t n, char b);
// The names of the systems, ending with NULL.
const char *const *sim_boot_systems(void);

#endif
