// sim/dev_chipset.c: the single ports of the PC's chipset.
//   80H   POST code: keeps the byte; old software writes it to wait
//   92H   system control: bit 1 address line A20 (kept, always on), bit 0 going from 0 to 1 resets
//   CF9H  reset control: bit 2 going from 0 to 1 resets
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

enum { CHIP_POST, CHIP_92, CHIP_CF9, CHIP_N };
struct chipset {
    struct dev d;
    uint8_t reg[CHIP_N];
};

static uint64_t chipset_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    return ((struct chipset *)d)->reg[range];
}

static void chipset_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct chipset *c = (struct chipset *)d;
    uint8_t rises = (uint8_t)(val & ~c->reg[range]);
    c->reg[range] = (uint8_t)val;
    if (range == CHIP_92 && (rises & 1))
        dev_request_reset(d, "port 92H");
    else if (range == CHIP_CF9 && (rises & 4))
        dev_request_reset(d, "port CF9H");
}

static void chipset_reset(struct dev *d)
{
    struct chipset *c = (struct chipset *)d;
    memset(c->reg, 0, sizeof c->reg);
    c->reg[CHIP_92] = 2;
}

static uint64_t chipset_hash(const struct dev *d, uint64_t h)
{
    return dev_hash_bytes(h, ((const struct chipset *)d)->reg, CHIP_N);
}

static const struct dev_ops chipset_ops = {
    .name = "chipset", .reset = chipset_reset, .read = chipset_read, .write = chipset_write, .hash = chipset_hash};

struct dev *dev_chipset_attach(struct sim_machine *m)
{
    struct chipset *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->d.ops = &chipset_ops;
    dev_attach(m, &c->d);
    chipset_reset(&c->d);
    dev_map_port(&c->d, CHIP_POST, 0x80, 1);
    dev_map_port(&c->d, CHIP_92, 0x92, 1);
    dev_map_port(&c->d, CHIP_CF9, 0xcf9, 1);
    return &c->d;
}
