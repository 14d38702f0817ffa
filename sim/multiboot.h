// sim/multiboot.h: Multiboot 1 images (specification 0.6.96), and the reading and copying that all loaders share.
#ifndef SIM_MULTIBOOT_H
#define SIM_MULTIBOOT_H

#include "sim/loader.h"

// Offset of the Multiboot header in the first 8 KiB, or -1.
int64_t multiboot_find(const void *bytes, uint64_t n);
int multiboot_load(struct sim_machine *m, const char *name, const void *bytes, uint64_t n, const struct sim_load *how,
                   struct sim_loaded *out, struct sim_error *err);

// loader.c: a whole file into malloc'd memory; bytes into RAM with an error that names the image.
int loader_read_file(const char *path, void **bytes, uint64_t *n, struct sim_error *err);
int loader_copy(struct sim_machine *m, const char *name, uint64_t addr, const void *bytes, uint64_t n, struct sim_error *err);

#endif
