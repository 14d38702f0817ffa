// Tests of sim_warm(): what it says before a walk is what the walk then makes, for every walk of a hypervisor that runs itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/internal.h"
#include "sim/loader.h"
#include "sim/warm.h"

#define DIR "build/guests/hypervisor/"

struct seen {
    unsigned predicted, walks, saved, cold, psc, ntlb, evictions;
    bool known, evicted;
};

static void on_walk(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct seen *s = ctx;
    struct sim_walk w;
    struct sim_warm h;
    if (e->kind == EV_TLB_EVICT) {
        s->evicted |= e->u.tlb.e->unit == TLB_NTLB;
    } else if (!e->u.walk.done) {
        s->evicted = false;
        sim_translate(m, e->cpu, e->u.walk.la, e->u.walk.acc, &w);
        s->known = w.outcome == SIM_WALK_OK; // a walk for a guest-physical address, or one that fails, is another matter
        sim_warm(m, e->cpu, &w, &h);
        h.tlb = -1; // the TLB has been asked: it may hold an entry that a write must not use yet
        s->predicted = 0;
        for (unsigned k = 0; k < w.refs; k++)
            s->predicted += sim_warm_makes(&h, &w.step[k]);
        s->saved += s->known ? w.refs - s->predicted : 0;
        s->cold += s->known && w.refs == s->predicted;
        s->psc += s->known && h.psc;
        s->ntlb += s->known && h.ntlb;
    } else if (s->known && e->u.walk.outcome == 0) {
        if (!s->evicted) // the walk may drive out what it would have used
            assert_int_equal(e->u.walk.refs, s->predicted);
        s->evictions += s->evicted;
        s->walks++;
    }
}

static void test_predicts(void **state)
{
    static const char *const cmdline[] = {"depth=2 vpid=1", "depth=2 vpid=0", "depth=1 vpid=1"};
    struct seen s = {0};
    for (unsigned k = 0; k < sizeof cmdline / sizeof *cmdline; k++) {
        struct sim_error err = {0};
        struct sim_machine *m = sim_create(NULL, &err);
        const struct sim_load how = {
            .image = SIM_IMAGE_MULTIBOOT, .cmdline = cmdline[k], .modules = {{.path = DIR "kernel.bin"}}, .nmodules = 1};
        if (!m || sim_load_file(m, DIR "hypervisor.bin", &how, NULL, &err) < 0)
            fail_msg("%s (make guests)", err.what);
        ev_subscribe(m, EV_BIT(EV_WALK) | EV_BIT(EV_TLB_EVICT), on_walk, &s);
        assert_int_equal(sim_run(m, &(struct sim_until){.max_cycles = 200000000}).kind, SIM_STOP_EXIT);
        sim_destroy(m);
    }
    assert_true(s.walks > 200 && s.saved > 500 && s.cold > 5 && s.psc > 20 && s.ntlb > 20 && s.evictions < s.walks / 2);
    print_message("# %u walks predicted, %u references saved by caches\n", s.walks - s.evictions, s.saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_predicts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
