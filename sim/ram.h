// sim/ram.h: the machine's RAM by host-physical address, sparse. Below 3 GiB at its address; what is above continues at 4 GiB.
#ifndef SIM_RAM_H
#define SIM_RAM_H

#include <stddef.h>

#include "isa/cpu.h"
#include "sim/error.h"

#define RAM_HOLE_START 0xc0000000ull
#define RAM_HOLE_END   0x100000000ull

struct sim_ram {
    uint8_t *base; // one reservation; untouched pages cost nothing
    uint64_t size;
    void *map; // what was reserved
    uint64_t map_size;
};
int ram_create(struct sim_ram *r, uint64_t size, struct sim_error *err);
void ram_destroy(struct sim_ram *r);

// Host pointer of a host-physical address, or NULL where there is no RAM. Valid to the end of its 4 KiB page.
static inline uint8_t *ram_at(const struct sim_ram *r, struct hpa pa)
{
    uint64_t a = pa.v;
    if (a >= RAM_HOLE_START) {
        if (a < RAM_HOLE_END)
            return NULL;
        a -= RAM_HOLE_END - RAM_HOLE_START;
    }
    return a < r->size ? r->base + a : NULL;
}
// The other way round.
static inline struct hpa ram_address(const struct sim_ram *r, const void *p)
{
    const uint64_t a = (uint64_t)((const uint8_t *)p - r->base);
    return (struct hpa){a < RAM_HOLE_START ? a : a + (RAM_HOLE_END - RAM_HOLE_START)};
}

#endif
