// Local APIC and I/O APIC, through their page, their MSRs and the machine's lines.
#include "isa/msr.h"
#include "sim/dev_testkit.h"

#define LAPIC  0xfee00000ull
#define IOAPIC 0xfec00000ull

static uint32_t reg(unsigned off) { return mmio_read(LAPIC + off); }
static void set(unsigned off, uint32_t v) { mmio_write(LAPIC + off, v); }
static bool wr(uint32_t msr, uint64_t v)
{
    enum isa_rule rule;
    return isa_wrmsr(&m->cpu[0]->isa, msr, v, &rule);
}
static uint64_t rd(uint32_t msr)
{
    enum isa_rule rule;
    uint64_t v = 0xdead;
    return isa_rdmsr(&m->cpu[0]->isa, msr, &v, &rule) ? v : 0xdead;
}
static void rte(unsigned pin, uint64_t v)
{
    mmio_write(IOAPIC, 0x10 + 2 * pin), mmio_write(IOAPIC + 0x10, (uint32_t)v);
    mmio_write(IOAPIC, 0x11 + 2 * pin), mmio_write(IOAPIC + 0x10, (uint32_t)(v >> 32));
}
static uint32_t rte_low(unsigned pin)
{
    mmio_write(IOAPIC, 0x10 + 2 * pin);
    return mmio_read(IOAPIC + 0x10);
}

static void test_firmware_state(void **state)
{
    assert_int_equal(reg(0x20), 0);
    assert_int_equal(reg(0x30), 0x50014);
    assert_int_equal(reg(0xf0), 0x1ff);
    assert_int_equal(reg(0x350), 0x700);
    init_pic(1);
    line(5, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x25); // through LINT0
    line(6, true);
    out8(0x20, 0x20);
    set(0x350, 0x10700); // masked: the 8259 does not reach the processor
    assert_false(bus_irq_pending(m, 0));
    set(0x350, 0x700);
    assert_true(bus_irq_pending(m, 0));
    set(0xf0, 0xff); // disabled by software: all LVT entries masked
    assert_int_equal(reg(0x350), 0x10700);
    assert_false(bus_irq_pending(m, 0));
    set(0x350, 0x700);
    assert_int_equal(reg(0x350), 0x10700);
}

static void test_priorities(void **state)
{
    set(0x300, 0x40041), set(0x300, 0x40062), set(0x300, 0x40063); // self IPIs
    assert_int_equal(bus_irq_ack(m, 0), 0x63);
    assert_int_equal(reg(0xa0), 0x60);
    assert_false(bus_irq_pending(m, 0)); // 62 is of the same class
    set(0xb0, 0);
    assert_int_equal(bus_irq_ack(m, 0), 0x62);
    set(0xb0, 0);
    m->cpu[0]->isa.cr8 = 4;
    assert_int_equal(reg(0x80), 0x40);
    assert_false(bus_irq_pending(m, 0)); // 41 is held back by the task priority
    set(0x80, 0x35);
    assert_int_equal(m->cpu[0]->isa.cr8, 3);
    assert_int_equal(bus_irq_ack(m, 0), 0x41);
    assert_int_equal(reg(0x120), 2); // in service: 41H
    set(0xb0, 0);
    assert_int_equal(reg(0x120), 0);
}

static void test_errors(void **state)
{
    set(0x370, 0xfe);
    set(0x300, 0x40005); // vector 5
    set(0x280, 0);
    assert_int_equal(reg(0x280), 0x20);
    assert_int_equal(bus_irq_ack(m, 0), 0xfe);
    set(0x280, 0);
    assert_int_equal(reg(0x280), 0);
    set(0x30, 1); // the version cannot be written
    set(0x280, 0);
    assert_int_equal(reg(0x280), 0x80);
}

static void test_timer(void **state)
{
    set(0x3e0, 0xb);  // undivided
    set(0x320, 0x30); // one-shot
    set(0x380, 1000);
    pass(5000);
    assert_int_equal(reg(0x390), 500);
    pass(4999);
    assert_false(bus_irq_pending(m, 0));
    pass(1);
    assert_int_equal(bus_irq_ack(m, 0), 0x30);
    set(0xb0, 0);
    assert_int_equal(reg(0x390), 0);
    pass(100000);
    assert_false(bus_irq_pending(m, 0));
    set(0x320, 0x20031), set(0x3e0, 0), set(0x380, 50); // periodic, by two: 1000 cycles
    unsigned n = 0;
    for (unsigned k = 0; k < 1000; k++) {
        pass(100);
        if (bus_irq_pending(m, 0)) {
            assert_int_equal(bus_irq_ack(m, 0), 0x31);
            set(0xb0, 0);
            n++;
        }
    }
    assert_int_equal(n, 100);
    set(0x380, 0);
    pass(10000);
    assert_false(bus_irq_pending(m, 0));
}

static void test_tsc_deadline(void **state)
{
    set(0x320, 0x40040);
    assert_true(wr(0x10, 1000000)); // the counter is ahead of the cycles
    assert_true(wr(0x6e0, 1005000));
    assert_int_equal(rd(0x6e0), 1005000);
    pass(4999);
    assert_false(bus_irq_pending(m, 0));
    pass(1);
    assert_int_equal(bus_irq_ack(m, 0), 0x40);
    assert_int_equal(rd(0x6e0), 0); // one shot
    set(0xb0, 0);
    assert_true(wr(0x6e0, 5)); // long past
    pass(1);
    assert_int_equal(bus_irq_ack(m, 0), 0x40);
    set(0xb0, 0);
    assert_true(wr(0x6e0, rd(0x10) + 1000));
    assert_true(wr(0x6e0, 0)); // disarmed
    pass(10000);
    assert_false(bus_irq_pending(m, 0));
}

static void test_global_disable(void **state)
{
    init_pic(1);
    set(0x350, 0x10000);
    line(5, true);
    assert_false(bus_irq_pending(m, 0));
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfee00100));
    assert_int_equal(bus_irq_ack(m, 0), 0x25); // without the local APIC, INTR is the processor's own
    assert_int_equal(reg(0x30), 0xffffffff);
    uint32_t r[4];
    sim_cpuid(&m->cpu[0]->isa, 1, 0, r);
    assert_int_equal(r[3] >> 9 & 1, 0);
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfee00900)); // and back, in the power-up state
    assert_int_equal(reg(0xf0), 0xff);
    assert_int_equal(reg(0x350), 0x10000);
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfed10900)); // moved
    assert_int_equal(reg(0x30), 0xffffffff);
    assert_int_equal(mmio_read(0xfed10030), 0x50014);
}

static void test_x2apic(void **state)
{
    assert_int_equal(rd(0x803), 0xdead); // not in xAPIC mode
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfee00d00));
    assert_int_equal(reg(0x30), 0xffffffff);
    assert_int_equal(rd(0x803), 0x50014);
    assert_int_equal(rd(0x80d), 1);
    assert_int_equal(rd(0x80e), 0xdead); // no DFR
    assert_int_equal(rd(0x831), 0xdead); // the ICR is one register
    assert_true(wr(0x83f, 0x55));
    assert_int_equal(bus_irq_ack(m, 0), 0x55);
    assert_false(wr(0x80b, 1)); // EOI takes 0 only
    assert_true(wr(0x80b, 0));
    assert_false(wr(0x803, 0));
    assert_false(wr(0x808, 0x100));
    assert_true(wr(0x830, 0x56));        // to identifier 0
    assert_true(wr(0x830, 0x100000857)); // logical: member 1 of cluster 0
    pass(m->profile->ipi);
    assert_int_equal(bus_irq_ack(m, 0), 0x57);
    assert_int_equal(rd(0x830), 0x100000857);
    assert_false(wr(ISA_MSR_APIC_BASE, 0xfee00900)); // not back to xAPIC directly
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfee00000));
    assert_true(wr(ISA_MSR_APIC_BASE, 0xfee00800));
    assert_int_equal(reg(0x30), 0x50014);
}

// An interrupt for another processor arrives after what the profile says, in the order of sending; in functional fidelity at once.
static void test_latency(void **state)
{
    const uint32_t ipi = m->profile->ipi;
    uint32_t way[8] = {0};
    assert_true(ipi > 1);
    for (unsigned k = 0; k < 40; k++) // more than can be under way: the first ones arrive early
        set(0x300, 0x40 + k);
    for (unsigned k = 0; k < 8; k++)
        way[k] = reg(0x200 + 0x10 * k);
    assert_int_equal(way[2], 0xff);
    assert_int_equal(bus_irq_ack(m, 0), 0x47);
    pass(ipi - 1);
    assert_false(bus_irq_pending(m, 0)); // 4xH is in service
    assert_int_equal(reg(0x220), 0x7f);
    pass(1);
    assert_int_equal(bus_irq_ack(m, 0), 0x67);
    sim_set_fidelity(m, SIM_FUNCTIONAL);
    set(0x300, 0x70);
    assert_int_equal(bus_irq_ack(m, 0), 0x70);
}

static void test_ioapic(void **state)
{
    mmio_write(IOAPIC, 1);
    assert_int_equal(mmio_read(IOAPIC + 0x10), 0x170011);
    mmio_write(IOAPIC, 0);
    mmio_write(IOAPIC + 0x10, 0xff000000);
    assert_int_equal(mmio_read(IOAPIC + 0x10), 0x0f000000);
    assert_int_equal(rte_low(3), 0x10000);
    rte(3, 0x33);
    line(3, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x33);
    set(0xb0, 0);
    assert_false(bus_irq_pending(m, 0)); // an edge comes once
    line(3, false), line(3, true);
    assert_true(bus_irq_pending(m, 0));
    bus_irq_ack(m, 0), set(0xb0, 0);
    rte(2, 0x32); // the timer is on pin 2
    line(0, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x32);
    set(0xb0, 0);
    rte(5, 0x10035); // masked edges are lost
    line(5, true);
    rte(5, 0x35);
    assert_false(bus_irq_pending(m, 0));
}

static void test_ioapic_level(void **state)
{
    rte(10, 0x803a | 0ull << 56);
    line(10, true);
    assert_int_equal(rte_low(10) & 0x4000, 0x4000); // remote IRR
    assert_int_equal(bus_irq_ack(m, 0), 0x3a);
    assert_int_equal(reg(0x190), 1u << (0x3a - 0x20)); // TMR
    assert_false(bus_irq_pending(m, 0));
    set(0xb0, 0); // still asserted: comes again
    assert_int_equal(bus_irq_ack(m, 0), 0x3a);
    line(10, false);
    set(0xb0, 0);
    assert_false(bus_irq_pending(m, 0));
    assert_int_equal(rte_low(10) & 0x4000, 0);
    rte(10, 0x1803a);
    line(10, true);
    assert_false(bus_irq_pending(m, 0));
    rte(10, 0x803a); // unmasked while asserted
    assert_true(bus_irq_pending(m, 0));
}

static void test_destinations(void **state)
{
    set(0xd0, 0x04000000); // logical identifier 4, flat
    rte(3, 0x833 | 4ull << 56);
    line(3, true);
    assert_int_equal(bus_irq_ack(m, 0), 0x33);
    set(0xb0, 0), line(3, false);
    rte(3, 0x833 | 8ull << 56);
    line(3, true);
    assert_false(bus_irq_pending(m, 0));
    line(3, false);
    rte(3, 0x33 | 7ull << 56); // physical, nobody
    line(3, true);
    assert_false(bus_irq_pending(m, 0));
    line(3, false);
    rte(3, 0x33 | 0xffull << 56);
    line(3, true);
    assert_true(bus_irq_pending(m, 0));
    rte(4, 0x400); // NMI
    line(4, true);
    assert_true(m->cpu[0]->nmi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_firmware_state), T(test_priorities),     T(test_errors),       T(test_timer),
        T(test_tsc_deadline),   T(test_global_disable), T(test_x2apic),       T(test_latency),
        T(test_ioapic),         T(test_ioapic_level),   T(test_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
