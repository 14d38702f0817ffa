// Tests of the event bus: order, subscriptions during delivery, masks, clock and place, the event hash.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sim/internal.h"
#include "sim/loader.h"

#define CODE 0x100000u

static const uint8_t code[] = {
    0xb0, 0x41,                               // mov al, 'A'
    0xe6, 0xe9,                               // out 0xe9, al
    0x48, 0x8b, 0x1c, 0x25, 0, 0, 0x20, 0x00, // mov rbx, [0x200000]
    0x48, 0x89, 0x1c, 0x25, 8, 0, 0x20, 0x00, // mov [0x200008], rbx
    0x0f, 0x20, 0xd8,                         // mov rax, cr3
    0x0f, 0x22, 0xd8,                         // mov cr3, rax
    0xb0, 0x42,                               // mov al, 'B'
    0xe6, 0xe9,                               // out 0xe9, al
    0xf4,                                     // hlt
};
static const uint64_t at[] = {0, 2, 4, 12, 20, 23, 26, 28, 30}; // offsets of the instructions

static struct sim_machine *boot(void)
{
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20}, &err);
    assert_non_null(m);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
    assert_int_equal(sim_load_bytes(m, "test", code, sizeof code, &l, NULL, &err), 0);
    return m;
}

struct log {
    char text[256];
    struct ev last;
    unsigned n;
};
static void write_a(void *ctx, struct sim_machine *m, const struct ev *e) { strcat(((struct log *)ctx)->text, "a"); }
static void write_b(void *ctx, struct sim_machine *m, const struct ev *e) { strcat(((struct log *)ctx)->text, "b"); }
static void keep(void *ctx, struct sim_machine *m, const struct ev *e)
{
    ((struct log *)ctx)->last = *e;
    ((struct log *)ctx)->n++;
}

static void test_names(void **state)
{
    for (int k = 0; k < EV_NUM; k++)
        assert_int_equal(ev_by_name(ev_info[k].name), k);
    assert_int_equal(ev_by_name("no such event"), -1);
    assert_true(ev_info[EV_INSN].frequent);
    assert_false(ev_info[EV_VMEXIT].frequent);
}

static void test_order_and_masks(void **state)
{
    struct sim_machine *m = boot();
    struct log log = {0};
    int b = ev_subscribe(m, EV_BIT(EV_OUTPUT), write_b, &log);
    ev_subscribe(m, EV_BIT(EV_OUTPUT) | EV_BIT(EV_CR), write_a, &log);
    assert_true(b > 0);
    assert_false(ev_wanted(m, EV_IO));
    sim_run(m, NULL);
    assert_string_equal(log.text, "baaba"); // 'A' to both in the order of subscription, CR3 to one, 'B' to both
    assert_string_equal(sim_output(m, NULL), "AB");
    sim_destroy(m);
}

struct dropper {
    struct log log;
    int self, other;
};
static void drop_other(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct dropper *d = ctx;
    strcat(d->log.text, "d");
    ev_unsubscribe(m, d->other);
}
static void drop_self(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct dropper *d = ctx;
    strcat(d->log.text, "s");
    ev_unsubscribe(m, d->self);
}

static void test_unsubscribe_inside(void **state)
{
    struct sim_machine *m = boot();
    struct dropper d = {0};
    ev_subscribe(m, EV_BIT(EV_OUTPUT), drop_other, &d);
    d.other = ev_subscribe(m, EV_BIT(EV_OUTPUT), write_a, &d.log); // never called: dropped first
    d.self = ev_subscribe(m, EV_BIT(EV_OUTPUT), drop_self, &d);
    ev_subscribe(m, EV_BIT(EV_OUTPUT), write_b, &d.log);
    sim_run(m, NULL);
    assert_string_equal(d.log.text, "dsbdb");
    sim_destroy(m);
}

static void subscribe_more(void *ctx, struct sim_machine *m, const struct ev *e)
{
    strcat(((struct log *)ctx)->text, "m");
    ev_subscribe(m, EV_BIT(EV_OUTPUT), subscribe_more, ctx);
}

// Who comes while an event is delivered hears of the next one: a handler that subscribes itself does not go on for ever.
static void test_subscribe_inside(void **state)
{
    struct sim_machine *m = boot();
    struct log log = {0};
    ev_subscribe(m, EV_BIT(EV_OUTPUT), subscribe_more, &log);
    sim_run(m, NULL);
    assert_string_equal(log.text, "mmm"); // one at 'A', two at 'B'
    sim_destroy(m);
}

// Events carry the exact clock and place of the instruction that caused them, in the middle of a block too.
static void test_clock(void **state)
{
    struct sim_machine *m = boot(), *ref = boot();
    struct log log = {0};
    ev_subscribe(m, EV_BIT(EV_IO), keep, &log);
    sim_run(m, &(struct sim_until){.events = EV_BIT(EV_IO)});
    assert_int_equal(log.n, 1);
    assert_int_equal(log.last.rip, CODE + at[1]);
    assert_int_equal(log.last.insn, 1);
    sim_run(ref, &(struct sim_until){.insns = 1});
    assert_int_equal(log.last.cycle, sim_cpu(ref, 0)->cycles);
    assert_int_equal(log.last.u.io.port, 0xe9);
    assert_int_equal(log.last.u.io.val, 'A');
    assert_int_equal(sim_cpu(m, 0)->insns, 2); // the run ended after the instruction
    sim_run(m, NULL);
    assert_int_equal(log.n, 2);
    assert_int_equal(log.last.rip, CODE + at[7]);
    sim_destroy(m);
    sim_destroy(ref);
}

struct trace {
    uint64_t rip[32];
    unsigned n, reads, writes, fetches;
};
static void on_insn(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct trace *t = ctx;
    if (e->kind == EV_INSN) {
        assert_int_equal(e->insn, t->n);
        assert_int_equal(sim_cpu(m, 0)->rip, e->rip); // exact for whoever looks
        assert_int_equal(sim_cpu(m, 0)->cycles, e->cycle);
        t->rip[t->n++] = e->rip;
    } else if (e->u.mem.acc & ISA_ACC_X) {
        t->fetches++;
    } else if (e->u.mem.acc & ISA_ACC_W) {
        t->writes++;
        assert_int_equal(e->u.mem.la, 0x200008);
        assert_int_equal(e->u.mem.size, 8);
    } else {
        t->reads++;
        assert_int_equal(e->u.mem.la, 0x200000);
    }
}

static void test_observed(void **state)
{
    struct sim_machine *m = boot();
    struct trace t = {0};
    int h = ev_subscribe(m, EV_BIT(EV_INSN) | EV_BIT(EV_MEM), on_insn, &t);
    assert_true(engine_observed(m));
    sim_run(m, NULL);
    assert_int_equal(t.n, sizeof at / sizeof *at);
    for (unsigned k = 0; k < t.n; k++)
        assert_int_equal(t.rip[k], CODE + at[k]);
    assert_int_equal(t.reads, 1);
    assert_int_equal(t.writes, 1);
    assert_true(t.fetches >= t.n);
    ev_unsubscribe(m, h);
    assert_false(engine_observed(m));
    sim_destroy(m);
}

static void test_hash(void **state)
{
    uint64_t h[3];
    for (unsigned k = 0; k < 3; k++) {
        struct sim_machine *m = boot();
        sim_event_hash_enable(m);
        if (k == 2) // another guest: another hash
            sim_poke(m, 0, SIM_HOST_PHYSICAL, CODE + 1, "\x43", 1);
        sim_run(m, NULL);
        h[k] = sim_event_hash(m);
        sim_destroy(m);
    }
    assert_int_equal(h[0], h[1]);
    assert_int_not_equal(h[0], h[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_order_and_masks),
        cmocka_unit_test(test_unsubscribe_inside),
        cmocka_unit_test(test_subscribe_inside),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_observed),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
