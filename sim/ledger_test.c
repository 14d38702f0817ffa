// Tests of the ledger: which VMCS an exit counts for, and the levels of the VMCSs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sim/internal.h"
#include "sim/ledger.h"

static void enter(struct sim_cpu *c, uint64_t vmcs)
{
    struct ev e = {.kind = EV_VMENTRY};
    e.u.vmentry.vmcs = vmcs;
    ev_emit(c, &e);
}
static void leave(struct sim_cpu *c, uint16_t reason)
{
    struct ev e = {.kind = EV_VMEXIT};
    e.u.vmexit.reason = reason;
    ev_emit(c, &e);
}

// VMCS 1000H runs a hypervisor, 2000H the guest that it resumes; 3000H is a second guest of the first level.
static void test_levels(void **state)
{
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20}, &err);
    assert_non_null(m);
    struct ledger l;
    ledger_open(&l, m);
    struct sim_cpu *c = m->cpu[0];
    enter(c, 0x1000), leave(c, 20), enter(c, 0x2000), leave(c, 10);
    enter(c, 0x1000), leave(c, 24), enter(c, 0x2000), leave(c, 10);
    enter(c, 0x1000), leave(c, 12), enter(c, 0x3000), leave(c, 10);
    ledger_close(&l);
    assert_int_equal(l.n, 3);
    assert_int_equal(l.vmcs[0].level, 1);
    assert_int_equal(l.vmcs[1].level, 2);
    assert_int_equal(l.vmcs[2].level, 1);
    assert_int_equal(l.vmcs[0].exits, 3);
    assert_int_equal(l.vmcs[1].by_reason[10], 2);
    assert_int_equal(ledger_exits(&l, 10), 3);
    sim_destroy(m);
}

// A machine that is reset in a guest begins in root operation, and what it enters next is of the first level.
static void test_reset(void **state)
{
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20}, &err);
    assert_non_null(m);
    struct ledger *l = ledger_keep(m);
    struct sim_cpu *c = m->cpu[0];
    enter(c, 0x1000), leave(c, 20);
    c->isa.cycles = 100;
    enter(c, 0x1000);
    c->isa.cycles = 150;
    sim_reset(m);
    c->isa.cycles = 30;
    ledger_update(l);
    assert_int_equal(l->level[0].cycles, 100 + 30);
    assert_int_equal(l->level[1].cycles, 50);
    enter(c, 0x2000);
    assert_int_equal(l->vmcs[1].level, 1); // VMLAUNCH was the last exit before
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_reset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
