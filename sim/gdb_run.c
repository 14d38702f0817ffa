// sim/gdb_run.c: running a machine under GDB's control (sim/gdb.h).
//
// The guest runs in slices, so that GDB's interruption is seen; where slices end does not show in what the guest does. A breakpoint
// is an address that the engine stops at, before the instruction there. It does not count where the run was resumed until an
// instruction was executed, or GDB could never leave it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/engine.h"
#include "sim/gdb_internal.h"

#define SLICE    2000000u // cycles between two looks at GDB
#define WATCHING 200000u  // the same while every access is observed
#define IDLE_MS  50

// What the caller of gdb_drive() wants, in absolute numbers.
struct wish {
    const struct sim_until *u;
    uint64_t insns, cycles, max_insns, max_cycles;
};

static uint64_t plus(uint64_t a, uint64_t b) { return !b || a + b < a ? UINT64_MAX : a + b; }

static uint64_t insns_of(struct gdb *g) { return sim_insns(g->m); }
static uint64_t cycles_of(struct gdb *g) { return sim_now(g->m); }

// --- what observers see

static bool overlaps(const struct gdb_watch *w, uint64_t la, unsigned size) { return la - w->addr < w->len || w->addr - la < size; }

static void on_access(struct gdb *g, const struct ev *e)
{
    unsigned acc = e->u.mem.acc;
    if ((acc & ISA_ACC_X) || g->hit)
        return;
    for (unsigned k = 0; k < g->nwatch; k++) {
        const struct gdb_watch *w = &g->watch[k];
        bool kind = w->type == 4 || (acc & ISA_ACC_W ? w->type == 2 : w->type == 3);
        if (!kind || !overlaps(w, e->u.mem.la, e->u.mem.size))
            continue;
        g->hit = true;
        g->hit_watch = *w;
        g->hit_addr = e->u.mem.la - w->addr < w->len ? e->u.mem.la : w->addr;
        g->hit_cpu = e->cpu;
        sim_request_stop(g->m);
        return;
    }
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct gdb *g = ctx;
    g->seen |= EV_BIT(e->kind);
    if (e->kind == EV_MEM) {
        on_access(g, e);
    } else if (e->kind == EV_VMEXIT) {
        g->exits[g->nexits++ % GDB_EXITS] = (struct gdb_exit){e->cycle, e->rip, e->u.vmexit.qual, e->u.vmexit.reason, e->cpu};
        if (e->u.vmexit.reason < GDB_NEXITREASON)
            g->exit_count[e->u.vmexit.reason]++;
    }
    if (g->go == GDB_STEP && e->kind != EV_MEM)
        sim_request_stop(m); // a step ends before the first instruction of a handler, of a guest or of its host
}

// --- stopping

static void stopped(struct gdb *g, unsigned cpu, unsigned signal, const char *why)
{
    struct gdb_text t = {.p = g->stop_reply, .size = sizeof g->stop_reply};
    g->go = GDB_STOPPED;
    g->cpu = cpu;
    gdb_textf(&t, "T%02x%sthread:%x;", signal, why, cpu + 1);
    for (unsigned n = 6; n <= 16; n++) // RBP, RSP and the program counter, which GDB asks for next
        if (n < 8 || n == 16) {
            uint8_t b[16];
            gdb_reg_read(g, n, b);
            gdb_textf(&t, "%x:", n);
            gdb_put_hex(&t, b, 8);
            gdb_textf(&t, ";");
        }
    gdb_send(g, t.p, t.n);
}

static void stopped_watch(struct gdb *g)
{
    static const char *const name[] = {[2] = "watch", [3] = "rwatch", [4] = "awatch"};
    char why[64];
    snprintf(why, sizeof why, "%s:%" PRIx64 ";", name[g->hit_watch.type], g->hit_addr);
    stopped(g, g->hit_cpu, GDB_SIG_TRAP, why);
}

// Is a processor before an instruction with a breakpoint that counts? Gives its kinds.
static unsigned at_break(struct gdb *g, unsigned cpu)
{
    const struct isa_cpu *c = sim_cpu(g->m, cpu);
    uint64_t la = gdb_pc(g, cpu);
    if (c->activity != ISA_ACTIVE || (c->insns == g->resume_insns && la == g->resume_la))
        return 0;
    for (unsigned k = 0; k < g->nbrk; k++)
        if (g->brk[k] == la)
            return g->brk_kinds[k];
    return 0;
}

// The machine stopped by itself: say why, once; GDB may look around. Signals are the nearest that GDB has.
static void stopped_itself(struct gdb *g, const struct sim_stop *s)
{
    char line[840];
    snprintf(line, sizeof line, "ringside: %s: %s\n", sim_stop_name(s->kind), s->text);
    gdb_say(g, line);
    stopped(g, s->cpu, s->kind == SIM_STOP_SHUTDOWN ? GDB_SIG_SEGV : GDB_SIG_STOP, "");
}

// --- talking while the guest stands

static void serve(struct gdb *g)
{
    while (g->go == GDB_STOPPED) {
        if (!gdb_listen(g, g->idle ? IDLE_MS : -1)) {
            g->go = GDB_ENDED;
            g->end = "GDB went away";
        } else if (g->idle && g->idle(g->idle_ctx)) {
            g->go = GDB_ENDED;
            g->end = "ended at the console";
        }
    }
    g->interrupt = false;
    g->hit = false;
    g->resume_la = gdb_pc(g, g->cpu);
    g->resume_insns = sim_cpu(g->m, g->cpu)->insns;
}

// --- running

static uint64_t rest(uint64_t end, uint64_t now) { return end == UINT64_MAX ? 0 : end > now ? end - now : 1; }

// One slice. The condition is the caller's, cut short.
static struct sim_stop slice(struct gdb *g, const struct wish *w, uint64_t kinds)
{
    struct sim_until u = *w->u;
    uint64_t end = plus(cycles_of(g), g->go == GDB_DETACHED ? 0 : kinds & EV_BIT(EV_MEM) ? WATCHING : SLICE);
    u.insns = g->go == GDB_STEP ? 1 : rest(w->insns, insns_of(g));
    u.cycles = end < w->cycles ? end : w->cycles == UINT64_MAX && end == UINT64_MAX ? 0 : w->cycles;
    u.max_insns = rest(w->max_insns, insns_of(g));
    u.max_cycles = rest(w->max_cycles, cycles_of(g));
    u.stops = g->brk;
    u.nstops = g->nbrk;
    g->seen = 0;
    int h = ev_subscribe(g->m, kinds, on_event, g);
    struct sim_stop s = sim_run(g->m, &u);
    ev_unsubscribe(g->m, h);
    return s;
}

static uint64_t wanted(const struct gdb *g)
{
    uint64_t kinds = EV_BIT(EV_VMEXIT);
    if (g->nwatch)
        kinds |= EV_BIT(EV_MEM);
    if (g->go == GDB_STEP)
        kinds |= EV_BIT(EV_EXCEPTION) | EV_BIT(EV_VMENTRY);
    return kinds;
}

// Did the caller's own condition come true? A limit of cycles or instructions counts as one: the caller set it.
static bool granted(struct gdb *g, const struct wish *w, const struct sim_stop *s, const struct sim_stop **as)
{
    static const struct sim_stop insns = {.kind = SIM_STOP_UNTIL, .code = SIM_UNTIL_INSNS},
                                 cycles = {.kind = SIM_STOP_UNTIL, .code = SIM_UNTIL_CYCLES},
                                 rip = {.kind = SIM_STOP_UNTIL, .code = SIM_UNTIL_RIP},
                                 event = {.kind = SIM_STOP_UNTIL, .code = SIM_UNTIL_EVENT};
    *as = s;
    if (s->kind == SIM_STOP_UNTIL && s->code == SIM_UNTIL_EVENT)
        return true;
    if (s->kind != SIM_STOP_UNTIL && !(s->kind == SIM_STOP_REQUEST && (g->hit || g->go == GDB_STEP)))
        return false;
    if (g->seen & w->u->events)
        *as = &event;
    else if (insns_of(g) >= w->insns)
        *as = &insns;
    else if (cycles_of(g) >= w->cycles)
        *as = &cycles;
    else if (w->u->has_rip && s->kind == SIM_STOP_UNTIL && s->code == SIM_UNTIL_RIP && gdb_pc(g, s->cpu) == w->u->rip)
        *as = &rip;
    else
        return false;
    return true;
}

// Tell GDB of what ended a slice, if it is something to stand still for. false: nothing.
static bool report(struct gdb *g, const struct sim_stop *s)
{
    bool ours = s->kind == SIM_STOP_UNTIL || s->kind == SIM_STOP_REQUEST;
    unsigned kinds;
    if (!ours) {
        if (s->kind == SIM_STOP_EXIT)
            return false; // the caller says how the run ended
        stopped_itself(g, s);
    } else if (g->hit) {
        stopped_watch(g);
    } else if ((kinds = at_break(g, s->cpu))) {
        stopped(g, s->cpu, GDB_SIG_TRAP, (kinds & 1) && g->swbreak ? "swbreak:;" : !(kinds & 1) && g->hwbreak ? "hwbreak:;" : "");
    } else if (g->go == GDB_STEP && (s->kind == SIM_STOP_REQUEST || sim_cpu(g->m, g->cpu)->insns != g->resume_insns)) {
        stopped(g, s->cpu, GDB_SIG_TRAP, "");
    } else if (g->interrupt) {
        stopped(g, s->cpu, GDB_SIG_INT, "");
    } else {
        return false;
    }
    return true;
}

static struct sim_stop ended(struct gdb *g, bool *quit)
{
    struct sim_stop s = {.kind = SIM_STOP_REQUEST, .cpu = g->cpu};
    snprintf(s.text, sizeof s.text, "%s", g->end ? g->end : "GDB ended it");
    *quit = true;
    return s;
}

struct sim_stop gdb_drive(struct gdb *g, struct sim_machine *m, const struct sim_until *until, bool *quit)
{
    g->m = m;
    if (g->cpu >= sim_ncpus(m))
        g->cpu = 0;
    const struct wish w = {until, plus(insns_of(g), until->insns), until->cycles ? until->cycles : UINT64_MAX,
                           plus(insns_of(g), until->max_insns), plus(cycles_of(g), until->max_cycles)};
    for (;;) {
        if (g->go == GDB_STOPPED)
            serve(g);
        if (g->go == GDB_ENDED)
            return ended(g, quit);
        const struct sim_stop s = slice(g, &w, wanted(g)), *as;
        if (g->go != GDB_DETACHED && !gdb_listen(g, 0)) {
            g->go = GDB_ENDED;
            g->end = "GDB went away";
            return ended(g, quit);
        }
        bool done = granted(g, &w, &s, &as);
        struct sim_stop result = *as;
        bool told = g->go != GDB_DETACHED && report(g, &s);
        if (told)
            serve(g);
        if (g->go == GDB_ENDED)
            return ended(g, quit);
        if (done || (s.kind != SIM_STOP_UNTIL && !(s.kind == SIM_STOP_REQUEST && told)))
            return result;
    }
}

unsigned gdb_exit_code(const struct sim_stop *s) { return s->kind == SIM_STOP_EXIT ? (unsigned)(s->code & 0xff) : 0; }
