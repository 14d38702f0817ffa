// sim/dev_testdev.c: what test images written for QEMU expect of its PC, beside fw_cfg (sim/dev_fwcfg.c).
//   E0H..E3H     pc-testdev: a scratch register of any width          E4H  swallows writes
//   2000H+n      pc-testdev: 1 raises, 0 lowers interrupt line n (0..23)
//   FF000000H    pc-testdev: 64 KiB of memory that is a device
//   8900H        the letters of "Shutdown", one by one, switch the machine off
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/internal.h"

enum { TEST_SCRATCH, TEST_SINK, TEST_IRQ, TEST_SHUTDOWN, TEST_RAM };
#define LINES    24
#define RAM_SIZE 0x10000u

static const char shutdown_word[] = "Shutdown";

struct testdev {
    struct dev d;
    uint8_t scratch[4];
    uint8_t letters; // of "Shutdown" seen so far
    uint8_t ram[RAM_SIZE];
};

static uint64_t test_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct testdev *t = (struct testdev *)d;
    uint64_t v = 0;
    switch (range) {
    case TEST_SCRATCH: memcpy(&v, t->scratch + off, size); break;
    case TEST_RAM: memcpy(&v, t->ram + off, size); break;
    default: v = UINT64_MAX;
    }
    return v;
}

static void test_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct testdev *t = (struct testdev *)d;
    switch (range) {
    case TEST_SCRATCH: memcpy(t->scratch + off, &val, size); break;
    case TEST_IRQ: dev_irq(d, (unsigned)off, val & 1); break;
    case TEST_RAM: memcpy(t->ram + off, &val, size); break;
    case TEST_SHUTDOWN:
        t->letters = (char)val == shutdown_word[t->letters] ? t->letters + 1 : 0;
        if (!shutdown_word[t->letters]) {
            t->letters = 0;
            dev_power_off(d);
        }
        break;
    }
}

static void test_reset(struct dev *d)
{
    struct testdev *t = (struct testdev *)d;
    t->letters = 0;
    memset(t->scratch, 0, sizeof t->scratch);
    memset(t->ram, 0, sizeof t->ram);
}

static uint64_t test_hash(const struct dev *d, uint64_t h)
{
    const struct testdev *t = (const struct testdev *)d;
    h = dev_hash_bytes(dev_hash_bytes(h, &t->letters, 1), t->scratch, sizeof t->scratch);
    return hash_bytes(h, t->ram, sizeof t->ram);
}

static const struct dev_ops test_ops = {
    .name = "testdev", .reset = test_reset, .read = test_read, .write = test_write, .hash = test_hash};

struct dev *dev_testdev_attach(struct sim_machine *m)
{
    struct testdev *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->d.ops = &test_ops;
    dev_attach(m, &t->d);
    dev_map_port(&t->d, TEST_SCRATCH, 0xe0, 4);
    dev_map_port(&t->d, TEST_SINK, 0xe4, 1);
    dev_map_port(&t->d, TEST_IRQ, 0x2000, LINES);
    dev_map_port(&t->d, TEST_SHUTDOWN, 0x8900, 1);
    dev_map_mmio(&t->d, TEST_RAM, (struct hpa){0xff000000}, RAM_SIZE);
    return &t->d;
}
