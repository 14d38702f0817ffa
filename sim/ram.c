// sim/ram.c: one reservation of address space; the host gives memory to the pages that are touched.
#include "sim/ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int ram_create(struct sim_ram *r, uint64_t size, struct sim_error *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return sim_fail(err, SIM_USAGE, "machine: cannot reserve %llu MiB of RAM: %s; ask for less",
                        (unsigned long long)(size >> 20), strerror(errno));
    r->base = p;
    r->size = size;
    return 0;
}

void ram_destroy(struct sim_ram *r)
{
    if (r->base)
        munmap(r->base, r->size);
    r->base = NULL;
}
