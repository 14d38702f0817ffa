// The ACPI tables as a guest finds them, and the fixed hardware they point to.
#include "sim/acpi.h"
#include "sim/dev_testkit.h"

static uint8_t area[0x2000];

static unsigned sum(const uint8_t *p, unsigned n)
{
    unsigned s = 0;
    while (n--)
        s += *p++;
    return s & 0xff;
}
static uint64_t get(unsigned at, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, area + at, n);
    return v;
}
static void place(void)
{
    struct sim_error e;
    assert_int_equal(acpi_place(m, &e), 0);
    assert_int_equal(sim_peek(m, 0, SIM_HOST_PHYSICAL, ACPI_RSDP, area, sizeof area), sizeof area);
}
// The offset of a table that the XSDT lists; its checksum must hold.
static unsigned table(const char *name)
{
    unsigned xsdt = (unsigned)(get(24, 8) - ACPI_RSDP), n = (unsigned)get(xsdt + 4, 4);
    for (unsigned k = xsdt + 36; k < xsdt + n; k += 8) {
        unsigned t = (unsigned)(get(k, 8) - ACPI_RSDP);
        if (!memcmp(area + t, name, 4)) {
            assert_int_equal(sum(area + t, (unsigned)get(t + 4, 4)), 0);
            return t;
        }
    }
    fail_msg("no table %s", name);
    return 0;
}

static void test_chain(void **state)
{
    place();
    assert_memory_equal(area, "RSD PTR ", 8);
    assert_int_equal(sum(area, 20), 0);
    assert_int_equal(sum(area, 36), 0);
    unsigned fadt = table("FACP"), dsdt = (unsigned)(get(fadt + 140, 8) - ACPI_RSDP);
    assert_int_equal(get(fadt + 4, 4), 244);
    assert_int_equal(get(fadt + 56, 4), ACPI_PM1_EVENT);
    assert_int_equal(get(fadt + 64, 4), ACPI_PM1_CONTROL);
    assert_int_equal(get(fadt + 76, 4), ACPI_PM_TIMER);
    assert_int_equal(get(fadt + 120, 8), 0xcf9); // reset register
    assert_int_equal(get(fadt + 128, 1), 6);
    assert_memory_equal(area + dsdt, "DSDT", 4);
    assert_int_equal(sum(area + dsdt, (unsigned)get(dsdt + 4, 4)), 0);
    assert_memory_equal(area + (get(fadt + 36, 4) - ACPI_RSDP), "FACS", 4);
}

// The lengths of the AML terms nest: the walk over the top level ends exactly at the table's end.
static void test_aml_lengths(void **state)
{
    place();
    unsigned fadt = table("FACP"), dsdt = (unsigned)(get(fadt + 40, 4) - ACPI_RSDP), end = dsdt + (unsigned)get(dsdt + 4, 4);
    unsigned at = dsdt + 36;
    assert_memory_equal(area + at, "\x08_S5_\x12", 6);
    at += 6;
    at += area[at] >> 6 == 1 ? (area[at] & 15) | area[at + 1] << 4 : 0;
    assert_int_equal(area[at], 0x10);
    at++;
    at += (area[at] & 15) | area[at + 1] << 4;
    assert_int_equal(at, end);
}

static void test_madt(void **state)
{
    place();
    unsigned t = table("APIC"), end = t + (unsigned)get(t + 4, 4), seen = 0;
    assert_int_equal(get(t + 36, 4), 0xfee00000);
    for (unsigned k = t + 44; k < end; k += area[k + 1]) {
        seen |= 1u << area[k];
        if (area[k] == 2 && area[k + 3] == 0)
            assert_int_equal(get(k + 4, 4), 2); // line 0 on pin 2
    }
    assert_int_equal(seen, 1 | 2 | 4 | 16);
}

static void test_timer_and_soft_off(void **state)
{
    uint32_t t = bus_in(m, ACPI_PM_TIMER, 4);
    pass(m->profile->hz);
    assert_in_range(bus_in(m, ACPI_PM_TIMER, 4) - t, 3579544, 3579546);
    assert_int_equal(bus_in(m, ACPI_PM1_CONTROL, 2) & 1, 1); // ACPI mode
    bus_out(m, ACPI_PM1_CONTROL, 2, ACPI_SLEEP_OFF << 10);
    assert_false(m->has_pending_stop);
    bus_out(m, ACPI_PM1_CONTROL, 2, ACPI_SLEEP_OFF << 10 | 1 << 13);
    assert_true(m->has_pending_stop);
    assert_int_equal(m->pending_stop.kind, SIM_STOP_EXIT);
    assert_int_equal(m->pending_stop.code, 0);
    m->has_pending_stop = false;
    bus_out(m, ACPI_PM1_CONTROL, 2, 3 << 10 | 1 << 13);
    assert_int_equal(m->pending_stop.kind, SIM_STOP_UNMODELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_chain), T(test_aml_lengths), T(test_madt), T(test_timer_and_soft_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
