// visualizer/past_test.c: going back is exact. Each session runs in a process of its own, as it leaves pasts behind that wait; what it
// presses and what it finds lie in shared memory, as keys that were pressed stay pressed.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "visualizer/testkit.h"

struct place {
    struct vz_when when;
    uint64_t state, cycles, insns, rip, rbx;
};
enum { PLACES = 400 };
struct found {
    struct kit k;
    struct place at, before[PLACES]; // where the last key was asked for; where each one was
    uint64_t mem_addr;
    unsigned nkeys, nbrk, view;
    bool finished;
    char message[320];
};
static struct found *found;

static int make_shared(void **state)
{
    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? -1 : 0;
}

static void look(struct vz *v, struct sim_machine *m)
{
    const struct isa_cpu *c = sim_cpu(m, 0);
    found->at = (struct place){vz_now(v), sim_state_hash(m), sim_now(m), c->insns, c->rip, c->gpr[ISA_RBX]};
    if (found->nkeys < PLACES)
        found->before[found->nkeys++] = found->at;
    found->nbrk = v->nbrk;
    found->view = v->view;
    found->mem_addr = v->mem_addr;
    found->finished = v->finished;
    snprintf(found->message, sizeof found->message, "%s", v->message);
}

// The script: a few drives, with what a script does between them.
static void drive_all(struct vz *v, struct sim_machine *m)
{
    static const struct sim_until until[] = {
        {.insns = 5}, {.insns = 1}, {.has_rip = true, .rip = KIT_LOOP}, {.insns = 60}, {.events = EV_BIT(EV_VMENTRY_FAIL)},
        {.insns = 0}};
    bool quit = false;
    for (unsigned i = 0; i < sizeof until / sizeof *until && !quit; i++) {
        uint64_t n = i;
        sim_reg_set(m, 0, "r15", n);
        if (vz_drive(v, m, &until[i], &quit).kind == SIM_STOP_SHUTDOWN)
            break;
    }
    if (!quit)
        vz_finish(v, m, "end");
}

static int key_and_look(void *ctx, bool wait)
{
    struct vz *v = ctx;
    if (wait)
        look(v, (struct sim_machine *)v->last_m);
    return kit_key(&found->k, wait);
}
static void paint(void *ctx, const struct vz_grid *g, int row, int col) {}
static void size(void *ctx, int *w, int *h) { *w = 80, *h = 24; }

// Press the keys; returns the status that the shell would see.
static int session(const char *keys, double apart, int end)
{
    int status;
    memset(found, 0, sizeof *found);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sim_machine *m = kit_machine();
        sim_cpu(m, 0)->idtr = (struct isa_dtr){KIT_IDT, 0xff};
        struct vz *v = kit_open(&found->k, 80, 24, false);
        found->k.keys = keys;
        v->io.ctx = v;
        v->io.key = key_and_look;
        v->io.paint = paint;
        v->io.size = size;
        vz_past_open(v, apart);
        drive_all(v, m);
        if (end < 0) {
            signal(-end, SIG_DFL);
            raise(-end);
        }
        _exit(end);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static bool same(const struct place *a, const struct place *b)
{
    return !vz_when_before(a->when, b->when) && !vz_when_before(b->when, a->when) && a->state == b->state &&
           a->cycles == b->cycles && a->insns == b->insns && a->rip == b->rip && a->rbx == b->rbx;
}

// Wherever somebody comes to by going to and fro, all is as if he had come there step by step.
static void there_and_back_is_there(void **state)
{
    static const char what[] = "sssnxecmmSSSSXU";
    static struct place step[PLACES];
    char keys[PLACES];
    uint64_t seed = 0x9e3779b97f4a7c15;
    unsigned compared = 0, behind = 0;
    memset(keys, 's', sizeof keys);
    keys[PLACES - 1] = 0;
    assert_int_equal(session(keys, 1e9, 0), 0);
    assert_true(found->finished); // all places there are
    const unsigned nplaces = found->nkeys;
    memcpy(step, found->before, sizeof step);
    for (unsigned round = 0; round < 120; round++) {
        memset(keys, 0, sizeof keys);
        for (unsigned n = 2 + (unsigned)(rnd(&seed) % 24); n-- > 0;)
            keys[n] = what[rnd(&seed) % (sizeof what - 1)];
        assert_int_equal(session(keys, round % 3 ? 0 : 1, 0), 0);
        for (unsigned k = 0; k < found->nkeys; k++) {
            const struct place *a = &found->before[k], *b = step;
            while (b < step + nplaces - 1 && vz_when_before(b->when, a->when))
                b++;
            if (a->when.done) // references of the last step are played: steps go on to the next drive at once
                continue;
            if (!same(a, b))
                fail_msg("keys %.*s: drive %u step %llu rip %llx cycle %llu, not drive %u step %llu rip %llx cycle %llu", (int)k,
                         keys, a->when.drive, (unsigned long long)a->when.time, (unsigned long long)a->rip,
                         (unsigned long long)a->cycles, b->when.drive, (unsigned long long)b->when.time, (unsigned long long)b->rip,
                         (unsigned long long)b->cycles);
            compared++;
            behind += k && vz_when_before(a->when, found->before[k - 1].when);
        }
    }
    assert_true(compared > 1000 && behind > 200);
}

static void one_step_back(void **state)
{
    static const struct {
        const char *keys;
        uint64_t rip;
        const char *message;
    } rows[] = {
        {"sS", KIT_START, "Back at"},
        {"ssS", KIT_START + 5, "Back at"},
        {"sssssssS", 0, "Back at"},                                 // over the end of a drive
        {":goto 100033\rsS", KIT_UD, "Back at"},                    // before the #UD, which is no instruction executed
        {":goto 100033\r:r idtr.limit=0\rsS", KIT_UD, "Back at"},   // before a step that shut the processor down
        {":goto 100033\r:r idtr.limit=0\rsccS", KIT_UD, "Back at"}, // and so from the end of the scenario
        {":goto 100033\rsE" K_UP K_UP K_UP "\r", 0, "Back at"},     // to an event of the log
        {"S", KIT_START, "Nothing has been executed"},
        {"X", KIT_START, "no VM exit"},
        {"cU", KIT_START, "Back at"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(session(rows[i].keys, i % 2, 0), 0);
        if ((rows[i].rip && found->at.rip != rows[i].rip) || !strstr(found->message, rows[i].message))
            fail_msg("%s: rip %llx \"%s\"", rows[i].keys, (unsigned long long)found->at.rip, found->message);
    }
}

// Behind a change the change is there, before it is not; what the user has set on the screen stays.
static void changes_are_part_of_the_past(void **state)
{
    assert_int_equal(session("ss:r rbx=0x77\rsS", 1, 0), 0);
    assert_int_equal(found->at.rbx, 0x77);
    assert_int_equal(found->at.when.time, 2);
    assert_int_equal(session("ss:r rbx=0x77\rsssSS", 1, 0), 0);
    assert_int_equal(found->at.rbx, 0x77);
    assert_int_equal(session("s:r rbx=0x77\rsSS", 1, 0), 0);
    assert_int_equal(found->at.rbx, 0);
    assert_int_equal(session("ss2:break start\rS", 1, 0), 0);
    assert_int_equal(found->nbrk, 1);
    assert_int_equal(found->view, VZ_V_regs);
    assert_int_equal(session("ss:mem 8000\rS", 1, 0), 0);
    assert_int_equal(found->view, VZ_V_mem);
    assert_int_equal(found->mem_addr, 0x8000);
}

// The shell sees what became of the last present.
static void ends_are_passed_on(void **state)
{
    assert_int_equal(session("sssSSq", 0, 5), 5);
    assert_int_equal(session("ssS", 0, -SIGTERM), -SIGTERM);
    assert_int_equal(session("ssS", 0, -SIGKILL), -SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_step_back), cmocka_unit_test(there_and_back_is_there),
                                       cmocka_unit_test(changes_are_part_of_the_past), cmocka_unit_test(ends_are_passed_on)};
    return cmocka_run_group_tests(tests, make_shared, NULL);
}
