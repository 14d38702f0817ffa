// sim/dev_testkit.h: what the tests of devices share: a machine, ports, and time that passes as the engine lets it pass.
#ifndef SIM_DEV_TESTKIT_H
#define SIM_DEV_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sim/internal.h"

static struct sim_machine *m;

static inline int set_up(void **state)
{
    struct sim_error e;
    struct sim_config cfg = {.ram_bytes = 32 << 20};
    m = sim_create(&cfg, &e);
    return m ? 0 : -1;
}
static int tear_down(void **state)
{
    sim_destroy(m);
    return 0;
}

static inline void out8(uint16_t port, unsigned v) { bus_out(m, port, 1, v); }
static inline unsigned in8(uint16_t port) { return bus_in(m, port, 1); }

// Let time pass as the engine does: stop at every deadline.
static inline void pass(uint64_t cycles)
{
    uint64_t end = m->cpu[0]->isa.cycles + cycles;
    while (bus_next_deadline(m) <= end) {
        if (bus_next_deadline(m) > m->cpu[0]->isa.cycles)
            m->cpu[0]->isa.cycles = bus_next_deadline(m);
        bus_run_deadlines(m, m->cpu[0]->isa.cycles);
    }
    m->cpu[0]->isa.cycles = end;
}

// Both 8259s with vectors 20H and 28H, nothing masked.
static inline void init_pic(unsigned icw4)
{
    out8(0x20, 0x11), out8(0x21, 0x20), out8(0x21, 4), out8(0x21, icw4);
    out8(0xa0, 0x11), out8(0xa1, 0x28), out8(0xa1, 2), out8(0xa1, icw4);
    out8(0x21, 0), out8(0xa1, 0);
}
// dev_irq needs any device of the machine.
static inline void line(unsigned n, bool level)
{
    struct dev d = {.m = m};
    dev_irq(&d, n, level);
}
static inline uint32_t mmio_read(uint64_t pa) { return (uint32_t)bus_mmio_read(m, (struct hpa){pa}, 4); }
static inline void mmio_write(uint64_t pa, uint32_t v) { bus_mmio_write(m, (struct hpa){pa}, 4, v); }

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
