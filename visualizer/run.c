// visualizer/run.c: the step ladder. Every rung is made of sim_run() calls that also carry the scenario's own condition, so that the
// machine does exactly what it would do without a debugger, however the user gets there.
//
// Long runs go in slices of SLICE instructions, between which a key press is noticed. Slices do not change what the guest does: the
// engine's stops are exact.
#include <stdlib.h>
#include <string.h>

#include "isa/decode.h"
#include "visualizer/ui.h"

enum { SLICE = 250000, NO_PROGRESS = 4096 };
#define MASK_RARE_LOG                                                                                                              \
    (EV_BIT(EV_TLB_FLUSH) | EV_BIT(EV_TLB_STALE) | EV_BIT(EV_EXCEPTION) | EV_BIT(EV_RING) | EV_BIT(EV_CR) | EV_BIT(EV_MSR) |       \
     EV_BIT(EV_SEG) | EV_BIT(EV_IO) | EV_BIT(EV_IRQ) | EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMENTRY_FAIL) | EV_BIT(EV_VMEXIT) |          \
     EV_BIT(EV_VMX) | EV_BIT(EV_HALT) | EV_BIT(EV_SHUTDOWN) | EV_BIT(EV_OUTPUT) | EV_BIT(EV_MARK))
#define MASK_PAGING (EV_BIT(EV_WALK) | EV_BIT(EV_REF) | EV_BIT(EV_TLB_FILL) | EV_BIT(EV_TLB_EVICT))
#define MASK_EXITS  (EV_BIT(EV_VMEXIT) | EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMENTRY_FAIL))
#define MASK_NOTABLE                                                                                                               \
    (MASK_EXITS | EV_BIT(EV_EXCEPTION) | EV_BIT(EV_RING) | EV_BIT(EV_CR) | EV_BIT(EV_TLB_STALE) | EV_BIT(EV_HALT) |                \
     EV_BIT(EV_SHUTDOWN))
// A step of an instruction that faults or exits ends where that leads to: it does not count as executed, so the engine would go on.
#define MASK_STEP (EV_BIT(EV_EXCEPTION) | EV_BIT(EV_VMEXIT))

// --- listening

static void keep(struct vz_logent *l, const struct ev *e)
{
    *l = (struct vz_logent){.e = *e};
    if (e->kind == EV_TLB_FILL || e->kind == EV_TLB_EVICT) {
        if (e->u.tlb.e)
            l->tlb = *e->u.tlb.e;
        l->e.u.tlb.e = NULL; // read l->tlb instead: see vz_log_text()
    } else if (e->kind == EV_TLB_STALE) {
        if (e->u.stale.e)
            l->tlb = *e->u.stale.e;
        l->e.u.stale.e = NULL;
    } else if (e->kind == EV_VMENTRY_FAIL) { // the processor's report is that of its latest entry
        if (e->u.entry_fail.report)
            vz_refused_text(l->name, sizeof l->name, e->u.entry_fail.report);
        l->e.u.entry_fail.report = NULL;
    } else if (e->kind == EV_MARK) {
        snprintf(l->name, sizeof l->name, "%s", e->u.mark.name ? e->u.mark.name : "");
        l->e.u.mark.name = NULL;
    }
}

void vz_log_text(struct vz *v, const struct vz_logent *l, char *buf, size_t n)
{
    struct ev e = l->e;
    if (e.kind == EV_TLB_STALE)
        e.u.stale.e = &l->tlb;
    else if (e.kind == EV_TLB_FILL || e.kind == EV_TLB_EVICT)
        e.u.tlb.e = &l->tlb;
    else if (e.kind == EV_MARK)
        e.u.mark.name = l->name;
    if (e.kind == EV_VMENTRY_FAIL)
        snprintf(buf, n, "%s", l->name);
    else
        vz_event_text(buf, n, v->m, &e);
}

static void append(struct vz *v, struct vz_log *log, const struct ev *e)
{
    struct vz_logent *l = &log->ent[log->n++ % VZ_LOG_SIZE];
    keep(l, e);
    bool enters = e->kind == EV_VMENTRY || e->kind == EV_VMENTRY_FAIL; // the instruction has not been counted yet
    l->when = (struct vz_when){v->drive, false, sim_insns(v->m) - v->start_insn + v->bumps + enters};
}

// The same fault or exit at the same place, over and over, with nothing else in between that changes: say so instead of hanging.
static void watch_progress(struct vz *v, struct sim_machine *m, const struct ev *e)
{
    const struct ev *o = &v->repeat_ev;
    bool same = o->kind == e->kind && o->rip == e->rip;
    if (same && e->kind == EV_VMEXIT)
        same = o->u.vmexit.reason == e->u.vmexit.reason && o->u.vmexit.qual == e->u.vmexit.qual &&
               o->u.vmexit.gpa.v == e->u.vmexit.gpa.v &&
               (e->u.vmexit.reason == 48 || e->u.vmexit.reason == 49 || e->u.vmexit.reason == 0);
    else if (same)
        same = o->u.exc.e.vector == e->u.exc.e.vector && o->u.exc.e.addr == e->u.exc.e.addr && e->u.exc.e.type == ISA_EV_HWEXC;
    v->repeat = same ? v->repeat + 1 : 0;
    v->repeat_ev = *e;
    if (v->repeat == NO_PROGRESS) {
        v->no_progress = true;
        v->repeat = 0;
        sim_request_stop(m);
    }
}

static unsigned rank(enum ev_kind k)
{
    switch (k) {
    case EV_SHUTDOWN: return 9;
    case EV_VMENTRY_FAIL: return 8;
    case EV_EXCEPTION:
    case EV_TLB_STALE: return 7;
    case EV_VMEXIT:
    case EV_VMENTRY: return 6;
    case EV_RING:
    case EV_CR: return 4;
    case EV_VMX: return 3;
    case EV_TLB_FLUSH:
    case EV_IO:
    case EV_MSR:
    case EV_HALT: return 2;
    default: return 0;
    }
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct vz *v = ctx;
    v->seen |= EV_BIT(e->kind);
    if (e->cpu == v->cpu)
        v->seen_here |= EV_BIT(e->kind);
    v->bumps += (EV_BIT(e->kind) & MASK_STEP) != 0;
    append(v, EV_BIT(e->kind) & MASK_PAGING ? &v->paging : &v->log, e);
    bool asked = v->goal != VZ_GOAL_EXIT || EV_BIT(e->kind) & MASK_EXITS; // who runs to an exit is not told of faults on the way
    if (asked && rank(e->kind) && rank(e->kind) >= v->best_rank) {
        v->best_rank = rank(e->kind);
        keep(&v->best, e);
    }
    if (EV_BIT(e->kind) & MASK_EXITS) {
        append(v, &v->exits, e);
        if (e->kind == EV_VMEXIT)
            v->exit_count[e->u.vmexit.reason & 127]++;
    }
    if (e->kind == EV_EXCEPTION || e->kind == EV_VMEXIT)
        watch_progress(v, m, e);
    if (e->kind == EV_VMENTRY_FAIL && e->u.entry_fail.report) {
        v->report = *e->u.entry_fail.report;
        v->has_report = true;
    }
    if (e->kind == EV_SHUTDOWN)
        v->shut = *sim_cpu(m, e->cpu);
    bool refused = v->has_last && v->last.e.kind == EV_VMENTRY_FAIL && v->last.e.insn == e->insn; // that says it better
    bool fault = e->kind == EV_EXCEPTION && e->u.exc.e.type != ISA_EV_EXTINT;
    if (fault || e->kind == EV_VMEXIT || e->kind == EV_VMENTRY_FAIL || e->kind == EV_SHUTDOWN ||
        (e->kind == EV_VMX && e->u.vmx.outcome != 0 && !refused)) {
        keep(&v->last, e);
        v->has_last = true;
    }
}

static void on_reference(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct vz_play *p = &((struct vz *)ctx)->play;
    if (p->n == p->cap) {
        unsigned cap = p->cap ? p->cap * 2 : 128;
        void *q = cap <= 65536 ? realloc(p->ent, cap * sizeof *p->ent) : NULL;
        if (!q)
            return;
        p->ent = q;
        p->cap = cap;
    }
    keep(&p->ent[p->n++], e);
}

// --- a drive

void vz_run_begin(struct vz *v, struct sim_machine *m, const struct sim_until *until)
{
    if (v->last_m != m) { // another machine: nothing of the last one is comparable
        v->has_before = false;
        v->mem_old_n = v->nstopped = 0;
        if (v->goal != VZ_GOAL_FINISH && v->goal != VZ_GOAL_CONTINUE && v->goal != VZ_GOAL_WHEN)
            v->goal = VZ_GOAL_NONE;
    }
    v->ended = vz_now(v);
    v->ended.done = v->stop.kind == SIM_STOP_SHUTDOWN || v->stop.kind == SIM_STOP_UNMODELLED; // their last step does not count
    v->drive++;
    v->bumps = 0;
    v->m = m;
    v->last_m = m;
    v->cpu = sim_running(m);
    v->until = *until;
    v->start_cycle = sim_now(m);
    v->start_insn = sim_insns(m);
    v->ran = 0;
    v->done = false;
    v->stop = (struct sim_stop){.kind = SIM_STOP_REQUEST};
    v->code_free = false;
    v->repeat = 0;
    v->sub = ev_subscribe(m, MASK_RARE_LOG | MASK_PAGING, on_event, v);
}

void vz_run_end(struct vz *v)
{
    v->play.on = false;
    ev_unsubscribe(v->m, v->sub);
    v->m = NULL; // the scenario may destroy it
}

void vz_set_goal(struct vz *v, enum vz_goal g, uint64_t n)
{
    if (v->m) {
        v->before = *sim_cpu(v->m, v->cpu);
        v->has_before = true;
        vz_mem_keep(v);
    }
    v->came_from = vz_now(v);
    v->goal = g;
    v->goal_n = n;
    v->best_rank = 0;
    v->code_free = false;
    v->message[0] = 0;
}

bool vz_at_break(const struct vz *v, uint64_t la)
{
    for (unsigned i = 0; i < v->nbrk; i++)
        if (v->brk[i] == la)
            return true;
    return false;
}

// What is left of the scenario's condition.
static struct sim_until rest(const struct vz *v)
{
    struct sim_until u = v->until;
    uint64_t spent = sim_now(v->m) - v->start_cycle;
    if (u.insns)
        u.insns = u.insns > v->ran ? u.insns - v->ran : 1;
    if (u.max_insns)
        u.max_insns = u.max_insns > v->ran ? u.max_insns - v->ran : 1;
    if (u.max_cycles)
        u.max_cycles = u.max_cycles > spent ? u.max_cycles - spent : 1;
    return u;
}

// Whether the stop of one sim_run() is one that the scenario waits for, in the order of the engine. sim_run() passes over an address
// at which it starts, so an address that a slice happens to end at is noticed here.
static bool came_true(struct vz *v, const struct sim_stop *s, struct sim_stop *out)
{
    const struct sim_until *u = &v->until;
    const struct isa_cpu *c = sim_cpu(v->m, v->cpu);
    *out = *s;
    if (s->kind == SIM_STOP_LIMIT) { // the limit of the slice is what was left of the scenario's
        const char *unit = strstr(s->text, " instructions"), *rest_of = unit ? unit : strstr(s->text, " cycles");
        out->code = unit ? u->max_insns : u->max_cycles;
        if (rest_of)
            snprintf(out->text, sizeof out->text, "limit of %llu%s", (unsigned long long)out->code, rest_of);
    }
    if (s->kind != SIM_STOP_UNTIL)
        return s->kind != SIM_STOP_REQUEST || !v->no_progress;
    bool frequent = s->code == SIM_UNTIL_EVENT && u->events & (EV_BIT(EV_INSN) | EV_BIT(EV_MEM)) && !(v->seen & ~u->events);
    if (v->seen & u->events || frequent)
        out->code = SIM_UNTIL_EVENT;
    else if (u->insns && v->ran >= u->insns) {
        out->code = SIM_UNTIL_INSNS;
        snprintf(out->text, sizeof out->text, "%llu instructions executed", (unsigned long long)u->insns);
    } else if (u->cycles && sim_now(v->m) >= u->cycles)
        out->code = SIM_UNTIL_CYCLES;
    else if (u->has_rip && c->activity == ISA_ACTIVE && vz_rip_la(v) == u->rip) {
        out->code = SIM_UNTIL_RIP;
        snprintf(out->text, sizeof out->text, "reached 0x%llx", (unsigned long long)u->rip);
    } else
        return false;
    return true;
}

// Show the processor that a run ended at. A step is one of the processor that is shown: others may run meanwhile.
static void follow(struct vz *v, unsigned cpu)
{
    if (v->goal == VZ_GOAL_STEP && !v->done)
        return;
    v->has_before = v->has_before && v->cpu == cpu;
    v->cpu = cpu;
}

// One sim_run() towards the scenario's condition and the caller's; false: the drive is done.
static bool run_some(struct vz *v, uint64_t insns, uint64_t events, const uint64_t *stops, unsigned nstops)
{
    struct sim_until u = rest(v);
    if (!u.insns || u.insns > insns)
        u.insns = insns;
    if (v->goal == VZ_GOAL_CYCLE && (!u.cycles || u.cycles > v->goal_n))
        u.cycles = v->goal_n;
    u.events |= events;
    u.stops = stops;
    u.nstops = nstops;
    v->seen = v->seen_here = 0;
    v->no_progress = false;
    struct sim_stop s = sim_run(v->m, &u), out;
    v->ran = sim_insns(v->m) - v->start_insn;
    follow(v, s.cpu);
    if (came_true(v, &s, &out)) {
        v->stop = out;
        v->done = true;
        follow(v, s.cpu);
    }
    return !v->done;
}

static const char *goal_reached(struct vz *v)
{
    uint64_t la = vz_rip_la(v);
    if (v->goal == VZ_GOAL_WHEN)
        return v->done || vz_when_before(vz_now(v), v->goal_when) ? NULL : "";
    if (v->no_progress)
        return "No progress: the same fault or VM exit recurs at the same place. w: why";
    if (vz_at_break(v, la) && v->goal != VZ_GOAL_STEP)
        return "Breakpoint.";
    switch (v->goal) {
    case VZ_GOAL_STEP: return v->goal_n == 0 ? "" : NULL;
    case VZ_GOAL_RIP: return la == v->goal_rip ? "" : NULL;
    case VZ_GOAL_CYCLE: return sim_now(v->m) >= v->goal_n ? "" : NULL;
    case VZ_GOAL_EXIT: return v->seen & MASK_EXITS ? "" : NULL;
    case VZ_GOAL_EVENT: return v->seen & MASK_NOTABLE ? "" : NULL;
    default: return NULL;
    }
}

// After a step: the event of it that says most.
static void say_event(struct vz *v)
{
    char text[200];
    const struct ev *e = &v->best.e;
    if (!v->best_rank)
        return;
    vz_log_text(v, &v->best, text, sizeof text);
    bool bad = e->kind == EV_EXCEPTION || e->kind == EV_VMENTRY_FAIL || e->kind == EV_SHUTDOWN || e->kind == EV_TLB_STALE;
    vz_message(v, bad ? VZ_A_WARN : VZ_A_HINT, "%s%s", text, v->has_last && (bad || e->kind == EV_VMEXIT) ? "  (w: why)" : "");
}

static bool interrupted(struct vz *v)
{
    if (v->io.tick(v->io.ctx)) {
        char n[32];
        vz_commas(n, sizeof n, sim_insns(v->m) - v->start_insn);
        vz_message(v, VZ_A_HINT, "Running: %s instructions. Any key stops.", n);
        vz_paint(v);
    }
    int k = v->io.key(v->io.ctx, false);
    if (k == VZ_KEY_NONE)
        return false;
    if (k == VZ_KEY_HANGUP)
        v->quit = true;
    vz_message(v, VZ_A_HINT, "Stopped by a key.");
    return true;
}

// Run until something of the goal comes true. Addresses to stop at: the scenario's, the goal's, the breakpoints.
static void run_to_goal(struct vz *v)
{
    uint64_t events = v->goal == VZ_GOAL_EXIT ? MASK_EXITS : v->goal == VZ_GOAL_EVENT ? MASK_NOTABLE : 0;
    bool one = v->goal == VZ_GOAL_STEP && v->goal_n == 1;
    if (one || (v->goal == VZ_GOAL_WHEN && v->drive == v->goal_when.drive))
        events = MASK_STEP;
    uint64_t stops[VZ_MAX_BREAK + 1];
    unsigned nstops = 0;
    if (v->goal != VZ_GOAL_WHEN && v->goal != VZ_GOAL_STEP)
        for (; nstops < v->nbrk; nstops++)
            stops[nstops] = v->brk[nstops];
    if (v->goal == VZ_GOAL_RIP)
        stops[nstops++] = v->goal_rip;
    for (;;) {
        uint64_t n = SLICE;
        if (v->goal == VZ_GOAL_STEP)
            n = v->goal_n < SLICE ? v->goal_n : SLICE;
        if (v->goal == VZ_GOAL_WHEN && v->drive == v->goal_when.drive && v->goal_when.time - vz_now(v).time < n)
            n = v->goal_when.time - vz_now(v).time;
        uint64_t ran = sim_cpu(v->m, v->cpu)->insns;
        bool more = run_some(v, n, events, stops, nstops);
        if (v->goal == VZ_GOAL_STEP) {
            ran = sim_cpu(v->m, v->cpu)->insns - ran;
            v->goal_n -= ran > v->goal_n || (one && (sim_ncpus(v->m) == 1 || (v->seen_here & MASK_STEP))) ? v->goal_n : ran;
        }
        const char *why = goal_reached(v);
        if (why || !more) {
            bool on = !why && v->goal != VZ_GOAL_NONE && v->goal != VZ_GOAL_REF;
            if (why && v->goal == VZ_GOAL_WHEN)
                vz_past_arrived(v);
            else if (why && *why)
                vz_message(v, v->no_progress ? VZ_A_BAD : VZ_A_HINT, "%s", why);
            else if (v->goal == VZ_GOAL_STEP || v->goal == VZ_GOAL_EXIT || v->goal == VZ_GOAL_EVENT)
                say_event(v);
            if (!on)
                v->goal = VZ_GOAL_NONE;
            return;
        }
        if (interrupted(v)) {
            v->goal = VZ_GOAL_NONE;
            return;
        }
        if (vz_past_keep(v)) {
            v->again = true;
            return;
        }
    }
}

// --- the references of one instruction

static void record(struct vz *v)
{
    struct vz_play *p = &v->play;
    uint8_t bytes[16];
    p->cpu = *sim_cpu(v->m, v->cpu);
    p->eptp = sim_eptp(v->m, v->cpu);
    p->vpid = sim_vpid(v->m, v->cpu);
    p->pcid = sim_pcid(v->m, v->cpu);
    p->n = p->pos = 0;
    if (!sim_disasm(v->m, v->cpu, vz_rip_la(v), v->att, p->insn, sizeof p->insn, bytes))
        snprintf(p->insn, sizeof p->insn, "the instruction");
    int h = ev_subscribe(v->m, EV_BIT(EV_MEM) | EV_BIT(EV_REF) | EV_BIT(EV_WALK), on_reference, v);
    run_some(v, 1, MASK_STEP, NULL, 0);
    ev_unsubscribe(v->m, h);
    v->goal = VZ_GOAL_NONE;
    if (!p->n) {
        vz_message(v, VZ_A_HINT, "No memory reference.");
        say_event(v);
        return;
    }
    p->on = true;
    vz_play_next(v);
}

static bool is_reference(const struct vz_logent *l) { return l->e.kind == EV_REF || l->e.kind == EV_MEM; }

void vz_play_next(struct vz *v)
{
    struct vz_play *p = &v->play;
    if (p->pos >= p->n) {
        vz_play_end(v);
        return;
    }
    do // walk starts and ends are not references: pass over them
        p->pos++;
    while (p->pos < p->n && !is_reference(&p->ent[p->pos - 1]));
    unsigned at = 0, all = 0;
    for (unsigned i = 0; i < p->n; i++) {
        all += is_reference(&p->ent[i]);
        at += i < p->pos && is_reference(&p->ent[i]);
    }
    char text[200];
    vz_log_text(v, &p->ent[p->pos - 1], text, sizeof text);
    char *after = p->ent[p->pos - 1].e.kind == EV_REF ? strchr(text, ' ') : NULL; // its number in the walk stands in the grid
    vz_message(v, VZ_A_CURRENT, "%u of %u: %s", at, all, after ? after + 1 : text);
    if (p->ent[p->pos - 1].e.kind == EV_REF && v->view != VZ_V_walk && v->view != VZ_V_events)
        vz_show(v, VZ_V_walk);
}

void vz_play_end(struct vz *v)
{
    v->play.on = false;
    vz_message(v, VZ_A_HINT, "Executed: %s", v->play.insn);
    say_event(v);
}

void vz_step_over(struct vz *v)
{
    const struct isa_cpu *c = sim_cpu(v->m, v->cpu);
    char text[96];
    uint8_t bytes[16];
    uint64_t la = vz_rip_la(v);
    unsigned len = sim_disasm(v->m, v->cpu, la, false, text, sizeof text, bytes);
    bool call = len && (!strncmp(text, "call", 4) || !strncmp(text, "int", 3) || !strncmp(text, "rep", 3) ||
                        !strncmp(text, "syscall", 7) || !strncmp(text, "loop", 4));
    if (!call) {
        vz_set_goal(v, VZ_GOAL_STEP, 1);
        return;
    }
    vz_set_goal(v, VZ_GOAL_RIP, 0);
    v->goal_rip = vz_code_la(c, c->rip + len);
}

void vz_advance(struct vz *v)
{
    vz_past_keep(v);
    do {
        v->again = false;
        if (v->goal == VZ_GOAL_REF)
            record(v);
        else if (v->goal == VZ_GOAL_WHEN && goal_reached(v)) {
            vz_past_arrived(v);
            v->goal = VZ_GOAL_NONE;
        } else
            run_to_goal(v);
    } while (v->again);
    if (!v->done && v->goal != VZ_GOAL_NONE)
        v->goal = VZ_GOAL_NONE;
}
