// Fuzz the devices: the input is a list of port and memory accesses by one to four processors, DMA memory writes, waits and turns of the
// processors; nothing may crash, whatever the guest does.
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/inspect.h"
#include "sim/internal.h"
#include "sim/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t ports[] = {0x20,  0xa0,  0x40,  0x60,  0x64,  0x70,  0x71,   0x3f8,
                                 0x2f8, 0xcf8, 0xcfc, 0x510, 0x600, 0x604, 0x2000, 0xe0};
static const uint64_t pages[] = {0xfee00000, 0xfec00000, 0xfe200000, 0xfe201000, 0xfe202000, 0xfe203000, 0xff000000, 0xe0000000};

// One operation of 8 bytes: kind and size, place, value.
static void operation(struct sim_machine *m, const uint8_t *b)
{
    m->running = (b[0] >> 6) % m->ncpus;
    m->cpu[m->running]->parked = false;
    unsigned size = 1u << (b[0] >> 4 & 3), port = ports[b[1] & 15] + (b[1] >> 4);
    uint32_t v;
    memcpy(&v, b + 4, 4);
    if (b[0] & 8) // any port at all
        port = b[2] | (unsigned)b[3] << 8;
    struct hpa pa = {pages[b[1] & 7] + ((b[2] | (unsigned)b[3] << 8) & 0xfff & ~(size - 1))};
    switch (b[0] & 7) {
    case 0: bus_out(m, (uint16_t)port, size == 8 ? 4 : size, v); break;
    case 1: bus_in(m, (uint16_t)port, size == 8 ? 4 : size); break;
    case 2: bus_mmio_write(m, pa, size, v); break;
    case 3: bus_mmio_read(m, pa, size); break;
    case 4: sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x10000 + (b[2] | (b[3] & 0x0fu) << 8), &v, 4); break;
    case 5:
        m->cpu[m->running]->isa.cycles += v >> (b[1] & 31);
        bus_run_deadlines(m, m->cpu[m->running]->isa.cycles);
        break;
    case 6:
        if (b[1] & 1) // what lies in memory is run, by whom is awake
            sim_run(m, &(struct sim_until){.insns = 1 + b[2] % 64, .max_cycles = 100000});
        else if (bus_irq_pending(m, m->running))
            bus_irq_ack(m, m->running);
        break;
    case 7: bus_wrmsr(m, m->running, b[1] & 0x80 ? 0x1b : 0x800 + (b[1] & 0x3f), v); break;
    }
}

// The state that makes queues interesting: the entropy device with a queue at 10000H.
static void start_queue(struct sim_machine *m)
{
    static const uint32_t reg[][3] = {{0x14, 1, 3},       {8, 4, 1},    {12, 4, 1},         {0x14, 1, 11},
                                      {0x16, 2, 0},       {0x18, 2, 8}, {0x20, 4, 0x10000}, {0x28, 4, 0x10100},
                                      {0x30, 4, 0x10200}, {0x1c, 2, 1}, {0x14, 1, 15}};
    for (unsigned k = 0; k < sizeof reg / sizeof *reg; k++)
        bus_mmio_write(m, (struct hpa){0xfe200000 + reg[k][0]}, reg[k][1], reg[k][2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_error e;
    struct sim_config cfg = {.ram_bytes = 1 << 20, .cpus = size ? 1 + data[0] % 4 : 1};
    struct sim_machine *m = sim_create(&cfg, &e);
    if (!m)
        return 0;
    sim_start_at(m, SIM_START_REAL, 0x7c00, &e);
    start_queue(m);
    dev_fwcfg_add(bus_fwcfg(m), "etc/file", data, size < 100 ? (uint32_t)size : 100);
    for (size_t k = 0; k + 8 <= size && k < 8000; k += 8)
        operation(m, data + k);
    sim_destroy(m);
    return 0;
}
