// fw_cfg, pc-testdev and the shutdown port.
#include "sim/dev_testkit.h"

static uint64_t item(unsigned key, unsigned n)
{
    uint64_t v = 0;
    bus_out(m, 0x510, 2, key);
    for (unsigned k = 0; k < n; k++)
        v |= (uint64_t)in8(0x511) << 8 * k;
    return v;
}

static void test_fw_cfg(void **state)
{
    assert_int_equal(item(0, 4), 0x554d4551); // "QEMU"
    assert_int_equal(item(3, 8), 32 << 20);
    assert_int_equal(item(5, 2), 1);
    assert_int_equal(item(0x11, 8), 0);
    assert_int_equal(item(0x19, 4), 0); // no files
    assert_int_equal(item(0x7777, 8), 0);
    for (unsigned k = 0; k < 100000; k++) // far beyond the end
        assert_int_equal(in8(0x511), 0);
}

static void test_testdev(void **state)
{
    bus_out(m, 0xe0, 4, 0x12345678);
    assert_int_equal(bus_in(m, 0xe0, 4), 0x12345678);
    assert_int_equal(bus_in(m, 0xe0, 2), 0x5678);
    assert_int_equal(bus_in(m, 0xe0, 1), 0x78);
    out8(0xe4, 1);
    mmio_write(0xff000010, 0xcafe);
    assert_int_equal(mmio_read(0xff000010), 0xcafe);
    assert_int_equal(mmio_read(0xff000014), 0);
    init_pic(1);
    out8(0x2005, 1);
    assert_int_equal(bus_irq_ack(m, 0), 0x25);
    out8(0x2005, 0);
    // line 20 exists on the I/O APIC only
    mmio_write(0xfec00000, 0x10 + 2 * 20);
    mmio_write(0xfec00010, 0x44);
    out8(0x2014, 1);
    out8(0x20, 0x20);
    assert_int_equal(bus_irq_ack(m, 0), 0x44);
    assert_int_equal(in8(0x2018), 0xff); // there is no line 24
}

static void test_shutdown(void **state)
{
    for (const char *s = "ShutShutdow"; *s; s++)
        out8(0x8900, (unsigned char)*s);
    assert_false(m->has_pending_stop); // interrupted: begins anew
    for (const char *s = "xShutdown"; *s; s++)
        out8(0x8900, (unsigned char)*s);
    assert_true(m->has_pending_stop);
    assert_int_equal(m->pending_stop.kind, SIM_STOP_EXIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_fw_cfg), T(test_testdev), T(test_shutdown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
