// MONITOR and MWAIT: time passes to the next deadline, once, and only if nothing happened since MONITOR.
#include "sim/dev_testkit.h"

#define LAPIC 0xfee00000ull

static void run(const uint8_t *code, unsigned n, unsigned insns)
{
    struct sim_until u = {.insns = insns};
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x7c00, code, n);
    m->cpu[0]->isa.seg[ISA_CS].base = 0;
    m->cpu[0]->isa.rip = 0x7c00;
    m->cpu[0]->isa.gpr[ISA_RAX] = 0x1000;
    m->cpu[0]->isa.gpr[ISA_RCX] = 0;
    isa_update_mode(&m->cpu[0]->isa);
    struct sim_stop s = sim_run(m, &u);
    assert_int_equal(s.kind, SIM_STOP_UNTIL);
}
static void arm_timer(void)
{
    mmio_write(LAPIC + 0x3e0, 0xb), mmio_write(LAPIC + 0x320, 0x10030);
    mmio_write(LAPIC + 0x380, 100000); // a million cycles
}

static void test_waits(void **state)
{
    static const uint8_t code[] = {0x0f, 0x01, 0xc8, 0x0f, 0x01, 0xc9, 0x90}; // monitor; mwait; nop
    arm_timer();
    uint64_t deadline = bus_next_deadline(m);
    run(code, sizeof code, 3);
    assert_in_range(m->cpu[0]->isa.cycles, deadline, deadline + 1000);
    assert_int_equal(m->cpu[0]->isa.rip, 0x7c07);
}

static void test_does_not_wait(void **state)
{
    static const uint8_t alone[] = {0x0f, 0x01, 0xc9, 0x90};                                              // mwait; nop
    static const uint8_t store[] = {0x0f, 0x01, 0xc8, 0xc6, 0x06, 0x08, 0x10, 1, 0x0f, 0x01, 0xc9, 0x90}; // mov byte [1008h], 1
    arm_timer();
    run(alone, sizeof alone, 2);
    assert_in_range(m->cpu[0]->isa.cycles, 0, 10000);
    run(store, sizeof store, 4);
    assert_in_range(m->cpu[0]->isa.cycles, 0, 20000);
}

static void test_no_deadline(void **state)
{
    static const uint8_t code[] = {0x0f, 0x01, 0xc8, 0x0f, 0x01, 0xc9, 0x90};
    run(code, sizeof code, 3); // nothing would ever end the wait
    assert_in_range(m->cpu[0]->isa.cycles, 0, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_waits), T(test_does_not_wait), T(test_no_deadline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
