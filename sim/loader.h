// sim/loader.h: guest images into memory: flat binaries, ELF32 and ELF64, Multiboot 1.
// Images are untrusted: every offset and size is checked; errors name the file, what was seen and what to do.
#ifndef SIM_LOADER_H
#define SIM_LOADER_H

#include "sim/machine.h"

enum sim_image { SIM_IMAGE_AUTO, SIM_IMAGE_FLAT, SIM_IMAGE_ELF, SIM_IMAGE_MULTIBOOT, SIM_IMAGE_LINUX };
// How the processor starts.
enum sim_start {
    SIM_START_AUTO, // by the image: Multiboot -> its contract; ELF64 -> LONG64; ELF32 -> PROT32; flat -> REAL at the load address
    SIM_START_REAL,
    SIM_START_PROT32,
    SIM_START_LONG64, // LONG64 and PROT32: flat segments, GDT and (64) identity page tables prepared below 1 MiB
    SIM_START_KEEP,   // only load; touch no register
};
struct sim_load {
    enum sim_image image;
    enum sim_start start;
    uint64_t addr;       // flat: load address (guest-physical); others: ignored
    uint64_t entry;      // 0: by the image
    const char *cmdline; // Multiboot command line
    struct {
        const char *path, *string;
    } modules[8];
    unsigned nmodules;
};
struct sim_loaded {
    enum sim_image image;
    uint64_t lo, hi, entry;
};

int sim_load_file(struct sim_machine *m, const char *path, const struct sim_load *how, struct sim_loaded *out,
                  struct sim_error *err);
int sim_load_bytes(struct sim_machine *m, const char *name, const void *bytes, uint64_t n, const struct sim_load *how,
                   struct sim_loaded *out, struct sim_error *err);
// Bring processor 0 into a documented start state at an entry point (used by sim_load_*; scenarios may call it).
int sim_start_at(struct sim_machine *m, enum sim_start start, uint64_t entry, struct sim_error *err);

#endif
