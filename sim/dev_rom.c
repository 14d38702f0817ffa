// sim/dev_rom.c: the flash memory that holds a PC's firmware, at the end of the first 4 GiB, where the reset vector is. Writes are ignored.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/internal.h"

struct rom {
    struct dev d;
    uint32_t n;
    uint8_t bytes[];
};

static uint64_t rom_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, ((const struct rom *)d)->bytes + off, size);
    return v;
}

static void rom_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val) {}

static uint64_t rom_hash(const struct dev *d, uint64_t h)
{
    const struct rom *r = (const struct rom *)d;
    return hash_bytes(h, r->bytes, r->n);
}

static const struct dev_ops rom_ops = {.name = "rom", .read = rom_read, .write = rom_write, .hash = rom_hash};

struct dev *dev_rom_attach(struct sim_machine *m, const void *bytes, uint32_t n)
{
    struct rom *r = malloc(sizeof *r + n);
    if (!r)
        return NULL;
    memset(r, 0, sizeof *r);
    r->d.ops = &rom_ops;
    r->n = n;
    memcpy(r->bytes, bytes, n);
    dev_attach(m, &r->d);
    struct hpa base = {RAM_HOLE_END - n};
    dev_map_mmio(&r->d, 0, base, n);
    bus_set_rom(m, base, n, r->bytes);
    return &r->d;
}
