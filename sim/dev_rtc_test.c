// Clock, keyboard controller and reset ports, driven as a guest drives them.
#include "sim/dev_testkit.h"

#define HZ (m->profile->hz)

static unsigned cmos(unsigned reg)
{
    out8(0x70, reg);
    return in8(0x71);
}
static void set_cmos(unsigned reg, unsigned v)
{
    out8(0x70, reg);
    out8(0x71, v);
}

static void test_time(void **state)
{
    assert_int_equal(cmos(9), 0x24); // BCD, 24 hours
    assert_int_equal(cmos(0x32), 0x20);
    assert_int_equal(cmos(8), 1);
    assert_int_equal(cmos(7), 1);
    assert_int_equal(cmos(6), 2); // Monday
    assert_int_equal(cmos(4), 0);
    pass(HZ * 61);
    assert_int_equal(cmos(0), 1);
    assert_int_equal(cmos(2), 1);
    // 2024-02-28 23:59:59, binary, with SET
    set_cmos(0xb, 0x86);
    set_cmos(8, 2), set_cmos(7, 28), set_cmos(4, 23), set_cmos(2, 59), set_cmos(0, 59);
    pass(HZ * 5);
    assert_int_equal(cmos(0), 59); // stands still
    set_cmos(0xb, 6);
    pass(HZ);
    assert_int_equal(cmos(8), 2);
    assert_int_equal(cmos(7), 29);
    assert_int_equal(cmos(4), 0);
    assert_int_equal(cmos(6), 5); // a Thursday
    pass(HZ * 86400);
    assert_int_equal(cmos(8), 3);
    assert_int_equal(cmos(7), 1);
    set_cmos(0xb, 0); // BCD, 12 hours
    set_cmos(4, 0x81);
    assert_int_equal(cmos(4), 0x81);
    set_cmos(0xb, 2);
    assert_int_equal(cmos(4), 0x13);
}

static void test_update_in_progress(void **state)
{
    assert_int_equal(cmos(0xa), 0x26);
    pass(HZ - HZ / 10000);
    assert_int_equal(cmos(0xa), 0xa6);
    pass(HZ / 10000);
    assert_int_equal(cmos(0xa), 0x26);
}

static void test_interrupts(void **state)
{
    init_pic(1);
    set_cmos(0xb, 0x42); // periodic, 1024 Hz
    unsigned n = 0;
    for (unsigned k = 0; k < 1024; k++) {
        pass(HZ / 1024 + 1);
        if (bus_irq_pending(m, 0)) {
            assert_int_equal(bus_irq_ack(m, 0), 0x28);
            assert_int_equal(cmos(0xc) & 0xc0, 0xc0);
            out8(0xa0, 0x20), out8(0x20, 0x20);
            n++;
        }
    }
    assert_int_equal(n, 1024);
    cmos(0xc);
    set_cmos(0xb, 0x12); // update ended
    cmos(0xc);
    pass(HZ);
    assert_int_equal(bus_irq_ack(m, 0), 0x28);
    assert_int_equal(cmos(0xc) & 0x90, 0x90);
    out8(0xa0, 0x20), out8(0x20, 0x20);
    set_cmos(1, 0x30), set_cmos(3, 0xff), set_cmos(5, 0xff); // alarm at second 30 of any minute
    set_cmos(0xb, 0x22);
    cmos(0xc);
    pass(HZ * 20);
    assert_false(bus_irq_pending(m, 0));
    pass(HZ * 40);
    assert_int_equal(bus_irq_ack(m, 0), 0x28);
    assert_int_equal(cmos(0xc) & 0xa0, 0xa0);
}

static void test_memory_sizes(void **state)
{
    assert_int_equal(cmos(0x15) | cmos(0x16) << 8, 640);
    assert_int_equal(cmos(0x17) | cmos(0x18) << 8, 31 * 1024);
    assert_int_equal(cmos(0x34) | cmos(0x35) << 8, 256);
    set_cmos(0x40, 0x5a);
    assert_int_equal(cmos(0x40), 0x5a);
}

static void test_keyboard_controller(void **state)
{
    assert_int_equal(in8(0x64) & 1, 0);
    out8(0x64, 0xaa);
    assert_int_equal(in8(0x64) & 5, 5);
    assert_int_equal(in8(0x60), 0x55);
    assert_int_equal(in8(0x64) & 1, 0);
    out8(0x64, 0x60), out8(0x60, 0x65);
    out8(0x64, 0x20);
    assert_int_equal(in8(0x60), 0x65);
    init_pic(1);
    out8(0x60, 0xff); // reset the keyboard: none
    assert_int_equal(in8(0x64) & 0x41, 0x41);
    assert_int_equal(bus_irq_ack(m, 0), 0x21);
    assert_int_equal(in8(0x60), 0xfe);
    out8(0x64, 0xd0);
    assert_int_equal(in8(0x60) & 3, 3);
    assert_false(m->has_pending_stop);
    out8(0x64, 0xfe);
    assert_true(m->has_pending_stop);
    assert_int_equal(m->pending_stop.kind, SIM_STOP_RESET);
    assert_non_null(strstr(m->pending_stop.text, "keyboard"));
}

static void test_reset_ports(void **state)
{
    assert_int_equal(in8(0x92), 2);
    out8(0x92, 2);
    out8(0xcf9, 2);
    assert_false(m->has_pending_stop);
    out8(0xcf9, 6);
    assert_true(m->has_pending_stop);
    assert_non_null(strstr(m->pending_stop.text, "CF9H"));
    m->has_pending_stop = false;
    out8(0x92, 3);
    assert_non_null(strstr(m->pending_stop.text, "92H"));
    out8(0x80, 0x5a);
    assert_int_equal(in8(0x80), 0x5a);
    assert_int_equal(in8(0x81), 0xff); // DMA page registers: absent
}

// A guest that asks for a reset ends its run and says how.
static void test_reset_ends_run(void **state)
{
    static const uint8_t code[] = {0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe}; // mov al, 0feh; out 64h, al; jmp $
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x7c00, code, sizeof code);
    m->cpu[0]->isa.seg[ISA_CS].base = 0;
    m->cpu[0]->isa.rip = 0x7c00;
    isa_update_mode(&m->cpu[0]->isa);
    struct sim_until u = {.max_insns = 1000};
    struct sim_stop s = sim_run(m, &u);
    assert_int_equal(s.kind, SIM_STOP_RESET);
    assert_string_equal(sim_stop_name(s.kind), "reset");
    assert_int_equal(m->cpu[0]->isa.insns, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_time),        T(test_update_in_progress), T(test_interrupts), T(test_memory_sizes), T(test_keyboard_controller),
        T(test_reset_ports), T(test_reset_ends_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
