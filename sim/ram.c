// sim/ram.c: one reservation of address space; the host gives memory to the pages that are touched.
#include "sim/ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

// Guests that walk through memory make the host's TLB miss at every step: large host pages where the host has them.
#define HUGE_PAGE (2ull << 20)

int ram_create(struct sim_ram *r, uint64_t size, struct sim_error *err)
{
    uint64_t whole = size + HUGE_PAGE; // room to align
    void *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return sim_fail(err, SIM_USAGE, "machine: cannot reserve %llu MiB of RAM: %s; ask for less",
                        (unsigned long long)(size >> 20), strerror(errno));
    r->map = p;
    r->map_size = whole;
    r->base = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    r->size = size;
    (void)madvise(r->base, size, MADV_HUGEPAGE); // advice: without it everything works, slower
    return 0;
}

void ram_destroy(struct sim_ram *r)
{
    if (r->map)
        munmap(r->map, r->map_size);
    r->map = NULL;
    r->base = NULL;
}
