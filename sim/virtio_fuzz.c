// Fuzz the virtio devices: a hostile driver writes rings, descriptors and registers as it likes, in any order; nothing may crash.
//
// The input is poured over the guest memory where the queues are, then read as register accesses and further writes.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/inspect.h"
#include "sim/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RINGS     0x10000u
#define RINGS_N   0x1000u
#define BAR(slot) (0xfe000000u + (slot)*0x100000u)

static const char *disk(void) // a disk of 64 KiB, the same for all runs: writes stay in the machine
{
    static char path[40];
    if (!*path) {
        int fd = memfd_create("disk", 0);
        if (fd < 0 || ftruncate(fd, 65536) < 0)
            return NULL;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    return path;
}

// Take a device to DRIVER_OK with queues whose rings lie in RINGS.
static void start(struct sim_machine *m, unsigned slot, unsigned queue)
{
    const uint32_t at = RINGS + queue * 0x400;
    const uint32_t reg[][3] = {{0x14, 1, 3},          {8, 4, 1},    {12, 4, 1},    {0x14, 1, 11},
                               {0x16, 2, queue},      {0x18, 2, 8}, {0x20, 4, at}, {0x28, 4, at + 0x100},
                               {0x30, 4, at + 0x200}, {0x1c, 2, 1}, {0x14, 1, 15}};
    for (unsigned k = 0; k < sizeof reg / sizeof *reg; k++)
        bus_mmio_write(m, (struct hpa){BAR(slot) + reg[k][0]}, reg[k][1], reg[k][2]);
}

// One operation of 8 bytes: what, device and size, place, value.
static void operation(struct sim_machine *m, const uint8_t *b)
{
    unsigned slot = 1 + b[1] % 3, size = 1u << (b[1] >> 4 & 3), off = b[2] | (b[3] & 0x3fu) << 8;
    uint32_t v;
    memcpy(&v, b + 4, 4);
    struct hpa pa = {BAR(slot) + (off & ~(size - 1))};
    switch (b[0] & 7) {
    case 0:
    case 1: bus_mmio_write(m, (struct hpa){BAR(slot) + 0x3000 + 4 * (b[2] & 1)}, 2, v); break; // notify
    case 2: bus_mmio_write(m, pa, size, v); break;
    case 3: bus_mmio_read(m, pa, size); break;
    case 4:
    case 5: sim_poke(m, 0, SIM_HOST_PHYSICAL, RINGS + (off & (RINGS_N - 4)), &v, 4); break;
    case 6: bus_input(m, b + 4, 4); break;
    case 7: bus_mmio_write(m, (struct hpa){BAR(slot) + (off & 0x3f)}, 4, v); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_error e;
    struct sim_config cfg = {.ram_bytes = 1 << 20, .virtio_console = true, .disk = disk()};
    struct sim_machine *m = sim_create(&cfg, &e);
    if (!m)
        return 0;
    for (unsigned slot = 1; slot <= 3; slot++)
        for (unsigned queue = 0; queue < (slot == 3 ? 2 : 1); queue++)
            start(m, slot, queue);
    size_t pour = size < RINGS_N ? size / 2 : RINGS_N;
    sim_poke(m, 0, SIM_HOST_PHYSICAL, RINGS, data, pour);
    for (size_t k = pour; k + 8 <= size && k < pour + 4000; k += 8)
        operation(m, data + k);
    sim_destroy(m);
    return 0;
}
