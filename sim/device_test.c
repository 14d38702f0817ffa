// The devices, driven through their ports as a guest would drive them, against their data sheets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sim/internal.h"

static struct sim_machine *m;

static int set_up(void **state)
{
    struct sim_error e;
    struct sim_config cfg = {.ram_bytes = 1 << 20};
    m = sim_create(&cfg, &e);
    return m ? 0 : -1;
}
static int tear_down(void **state)
{
    sim_destroy(m);
    return 0;
}

static void out8(uint16_t port, unsigned v) { bus_out(m, port, 1, v); }
static unsigned in8(uint16_t port) { return bus_in(m, port, 1); }
static void at_cycle(uint64_t c)
{
    bus_run_deadlines(m, c); // deadlines fall due at their own cycle
    m->cpu[0]->isa.cycles = c;
}
// Let time pass as the engine does: stop at every deadline.
static void pass(uint64_t cycles)
{
    uint64_t end = m->cpu[0]->isa.cycles + cycles;
    while (bus_next_deadline(m) <= end) {
        m->cpu[0]->isa.cycles = bus_next_deadline(m);
        bus_run_deadlines(m, m->cpu[0]->isa.cycles);
    }
    at_cycle(end);
}

static void init_pic(unsigned icw4)
{
    out8(0x20, 0x11), out8(0x21, 0x20), out8(0x21, 4), out8(0x21, icw4);
    out8(0xa0, 0x11), out8(0xa1, 0x28), out8(0xa1, 2), out8(0xa1, icw4);
    out8(0x21, 0), out8(0xa1, 0);
}
// dev_irq needs any device of the machine.
static void line(unsigned n, bool level)
{
    struct dev d = {.m = m};
    dev_irq(&d, n, level);
}

static void test_pic_priority(void **state)
{
    init_pic(1);
    assert_false(bus_irq_pending(m, 0));
    line(5, true);
    line(3, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x23);
    assert_false(bus_irq_pending(m, 0)); // 5 is below 3, which is in service
    line(1, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x21); // nests
    out8(0x20, 0x20);
    assert_false(bus_irq_pending(m, 0)); // 3 still in service
    out8(0x20, 0x20);
    assert_int_equal(bus_irq_ack(m, 0), 0x25);
    out8(0x20, 0x0b); // read ISR
    assert_int_equal(in8(0x20), 0x20);
}

static void test_pic_cascade_and_mask(void **state)
{
    init_pic(1);
    out8(0xa1, 0x02);
    line(9, true); // masked at the slave
    assert_false(bus_irq_pending(m, 0));
    out8(0xa1, 0);
    assert_int_equal(bus_irq_ack(m, 0), 0x29);
    assert_false(bus_irq_pending(m, 0));
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
    assert_false(bus_irq_pending(m, 0)); // an edge is taken once
    line(9, false);
    line(9, true);
    assert_true(bus_irq_pending(m, 0));
}

// Before any initialisation word the mask register is there: kernels look for the chip by it.
static void test_pic_probe(void **state)
{
    out8(0xa1, 0xff), out8(0x21, 0xfb);
    assert_int_equal(in8(0x21), 0xfb);
    line(1, true);
    assert_false(bus_irq_pending(m, 0));
}

static void test_pic_spurious_and_auto_eoi(void **state)
{
    init_pic(3);
    line(4, true);
    line(4, false); // withdrawn before the acknowledge
    assert_false(bus_irq_pending(m, 0));
    assert_int_equal(bus_irq_ack(m, 0), -1);
    line(6, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x26);
    line(7, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x27); // automatic EOI: nothing is in service
}

static void test_pic_rotation(void **state)
{
    init_pic(1);
    out8(0x20, 0xc3); // line 3 lowest: 4 is highest
    line(3, true);
    line(5, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x25);
    out8(0x20, 0xa0); // rotate on EOI: 5 becomes lowest
    assert_int_equal(bus_irq_ack(m, 0), 0x23);
}

// Channel 0 in mode 2 interrupts at its rate, to the cycle.
static void test_pit_rate(void **state)
{
    init_pic(1);
    out8(0x21, 0xfe);
    out8(0x43, 0x34), out8(0x40, 1193 & 0xff), out8(0x40, 1193 >> 8);
    uint64_t hz = m->profile->hz, period = 1193 * hz / 1193182;
    unsigned ticks = 0;
    pass(period / 2); // the output is low just before each edge: look in the middle
    for (unsigned k = 0; k < 100; k++) {
        pass(period);
        if (bus_irq_pending(m, 0)) {
            assert_int_equal(bus_irq_ack(m, 0), 0x20);
            out8(0x20, 0x20);
            ticks++;
        }
    }
    assert_int_equal(ticks, 100);
}

static void test_pit_counts(void **state)
{
    uint64_t hz = m->profile->hz;
    out8(0x43, 0x30), out8(0x40, 0xe8), out8(0x40, 3); // mode 0, 1000
    pass(400 * hz / 1193182 + 10);
    out8(0x43, 0x00); // latch
    unsigned v = in8(0x40);
    v |= in8(0x40) << 8;
    assert_in_range(v, 599, 600);
    out8(0x43, 0xe2); // read back the status of channel 0
    assert_int_equal(in8(0x40) & 0xbf, 0x30);
    pass(700 * hz / 1193182);
    out8(0x43, 0xe2);
    assert_int_equal(in8(0x40) & 0x80, 0x80); // terminal count: output high
    // channel 2: gate and output through port 61H
    out8(0x43, 0xb0), out8(0x42, 100), out8(0x42, 0), out8(0x61, 1);
    assert_int_equal(in8(0x61) & 0x20, 0);
    pass(101 * hz / 1193182 + 2);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
}

static void test_uart(void **state)
{
    uint64_t len;
    for (const char *s = "hello"; *s; s++)
        out8(0x3f8, (unsigned char)*s);
    assert_string_equal(sim_output(m, &len), "hello");
    assert_int_equal(len, 5);
    assert_int_equal(in8(0x3fd), 0x60);
    sim_input(m, "ab", 2);
    assert_int_equal(in8(0x3fd), 0x61);
    assert_int_equal(in8(0x3f8), 'a');
    assert_int_equal(in8(0x3f8), 'b');
    assert_int_equal(in8(0x3fd), 0x60);
    init_pic(1);
    out8(0x3fc, 8), out8(0x3f9, 1); // interrupts on receive
    assert_false(bus_irq_pending(m, 0));
    sim_input(m, "c", 1);
    assert_int_equal(bus_irq_ack(m, 0), 0x24);
    assert_int_equal(in8(0x3fa) & 0xf, 4);
    assert_int_equal(in8(0x3f8), 'c');
    assert_int_equal(in8(0x3fa) & 0xf, 1);
    out8(0x3fb, 0x80), out8(0x3f8, 3), out8(0x3fb, 3); // divisor latch does not transmit
    assert_string_equal(sim_output(m, &len), "hello");
}

static void test_absent_and_debug(void **state)
{
    assert_int_equal(bus_in(m, 0x1234, 4), 0xffffffff);
    assert_int_equal(bus_in(m, 0x1234, 1), 0xff);
    assert_int_equal(in8(0xe9), 0xe9);
    out8(0xe9, 'x');
    assert_string_equal(sim_output(m, NULL), "x");
    bus_out(m, 0x3f7, 2, 0x4100); // straddles into the serial port
    assert_string_equal(sim_output(m, NULL), "xA");
    out8(0xf4, 0x10);
    assert_true(m->has_pending_stop);
    assert_int_equal(m->pending_stop.kind, SIM_STOP_EXIT);
    assert_int_equal(m->pending_stop.code, 0x21);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_pic_priority),     T(test_pic_cascade_and_mask),
        T(test_pic_probe),        T(test_pic_spurious_and_auto_eoi),
        T(test_pic_rotation),     T(test_pit_rate),
        T(test_pit_counts),       T(test_uart),
        T(test_absent_and_debug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
