// sim/engine.c: running a processor: find or build the block at RIP, run it, deal with how it ended.
//
// EXACT      boundaries, faults, exits and limits fall on the same instruction and cycle whatever the dispatcher: a block is entered
//            only if no boundary inside it can need attention; else instructions run one by one. What comes up in the middle of a
//            block (a page walk's cycles, a device's interrupt, a stop request) stops it after the instruction under way, by
//            replacing the handler of the next one (engine_kick).
#include "sim/engine.h"

#include <inttypes.h>
#include <string.h>

#include "isa/deliver.h"
#include "isa/flags.h"
#include "sim/pmu.h"

// --- stopping inside a block

static void unpatch(struct engine_cpu *e)
{
    if (e->patched)
        e->patched->run = e->patched_run;
    e->patched = NULL;
}

// Stands in for the instruction after the one that was kicked: the block ends before it.
static int kicked(struct isa_cpu *c, const struct isa_insn *i)
{
    unpatch(sim_cpu_of(c)->eng);
    c->rip = engine_wrap(c, c->gpr[ISA_REG_RIP] + i->off);
    engine_settle(c, i);
    c->at = NULL;
    return ISA_R_STOP;
}

static void kick(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    struct engine_cpu *e = cpu->eng;
    c->attention = 1;
    if (!c->at || !c->at->len || e->patched)
        return;
    struct isa_insn *next = &block_of(c->at)->insn[c->at->idx + 1];
    if (!next->len) // a sentinel: it sees attention itself
        return;
    e->patched = next;
    e->patched_run = next->run;
    next->run = kicked;
}

void engine_kick(struct sim_machine *m)
{
    for (unsigned n = 0; n < m->ncpus; n++)
        kick(m->cpu[n]);
}

void engine_charge(struct isa_cpu *c, uint64_t cycles)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    c->cycles += cycles;
    if (c->at && c->cycles + block_of(c->at)->cost > cpu->eng->budget)
        kick(cpu);
}

// --- outcomes

static void emit_shutdown(struct sim_cpu *cpu)
{
    struct ev e = {.kind = EV_SHUTDOWN};
    if (cpu->isa.activity == ISA_SHUTDOWN && ev_wanted(cpu->m, EV_SHUTDOWN))
        ev_emit(cpu, &e);
}

void engine_outcome(struct sim_cpu *cpu, int r)
{
    struct isa_cpu *c = &cpu->isa;
    struct engine_cpu *e = cpu->eng;
    c->attention = 1;
    c->rep_cut = false;
    isa_settle_rf(c, 0);
    if (r == ISA_R_FAULT) {
        e->last = c->fault;
        e->last_rip = e->deliver_rip = c->rip;
        e->last_insns = c->insns;
        e->has_last = true;
        engine_count_event(cpu);
        r = isa_deliver_fault(c);
        if (!r)
            c->blocking &= ~(ISA_BLOCK_STI | ISA_BLOCK_MOVSS);
    }
    if (r == ISA_R_VMEXIT)
        glue_do_exit(cpu);
    c->rep_mid = false;
    emit_shutdown(cpu);
}

// A block was left at instruction c->at: make RIP, cycles and instructions exact.
static void leave(struct sim_cpu *cpu, int r)
{
    struct isa_cpu *c = &cpu->isa;
    const struct isa_insn *i = c->at;
    unpatch(cpu->eng);
    engine_settle(c, i);
    if (r == ISA_R_VMEXIT && cpu->vmx.exit.trap_like) { // the instruction completed and its exit comes after it
        c->cycles += i->cost;
        c->insns++;
        engine_take_hits(c);
    } else {
        c->rip = isa_insn_rip(c, i);
        c->dbg_hits = 0;
    }
    c->at = NULL;
}

// --- finding the block

static bool canonical(const struct isa_cpu *c, uint64_t la) { return c->mode != ISA_LONG64 || isa_canonical(c, la); }

static int fetch(struct isa_cpu *c, uint64_t la, uint64_t *pa)
{
    struct hpa h = {0};
    if (!canonical(c, la))
        return isa_gp0(c, ISA_RULE_GP_CANONICAL);
    int r = mmu_fetch(c, la, &h);
    *pa = h.v;
    return r;
}

static int fetch_second(struct isa_cpu *c, struct block_bytes *w)
{
    if (w->has_second)
        return 0;
    uint64_t la = (engine_code_la(c) & ~0xfffull) + 0x1000;
    int r = fetch(c, c->mode == ISA_LONG64 ? la : (uint32_t)la, &w->pa2);
    w->has_second = !r;
    return r;
}

// The block at RIP, whose first byte is at w->pa. 0, FAULT or VMEXIT; STOP if the machine cannot go on.
static int find(struct sim_cpu *cpu, struct block_bytes *w, bool single, struct block **out)
{
    struct isa_cpu *c = &cpu->isa;
    struct block *b = block_find(cpu, w->pa, c->rip, c->mode_key | (single ? BLOCK_SINGLE : 0));
    int r;
    if (b && b->cross) {
        if ((r = fetch_second(c, w)))
            return r;
        if (b->pa2 != w->pa2) { // the second page is another one now
            block_drop(cpu->m, b);
            b = NULL;
        }
    }
    while (!b)
        switch (block_build(cpu, w, single, &b)) {
        case BLOCK_OK: break;
        case BLOCK_LIMIT: return isa_gp0(c, ISA_RULE_GP_LIMIT);
        case BLOCK_NEED_SECOND:
            if ((r = fetch_second(c, w)))
                return r;
            break;
        case BLOCK_NO_RAM:
            sim_unmodelled(cpu->m, "instruction fetch at 0x%" PRIx64 " from physical address 0x%" PRIx64 ", where there is no RAM",
                           c->rip, w->has_second ? w->pa2 : w->pa);
            return ISA_R_STOP;
        }
    *out = b;
    return b->last > c->seg[ISA_CS].limit && single ? isa_gp0(c, ISA_RULE_GP_LIMIT) : 0;
}

// May all of b run without a look in between?
static bool fits(const struct sim_cpu *cpu, const struct block *b)
{
    const struct isa_cpu *c = &cpu->isa;
    const struct engine_cpu *e = cpu->eng;
    if (c->cycles + b->cost > e->budget || c->insns + b->n > e->insn_budget || b->last > c->seg[ISA_CS].limit)
        return false;
    return !engine_has_stops(e->until) || !engine_stop_inside(e->until, engine_code_la(c), b->bytes);
}

// --- running

// What observers of everything see before an instruction: its fetch, then the instruction.
static void emit_fetch(struct sim_cpu *cpu, uint64_t la, uint64_t pa, unsigned n)
{
    struct ev e = {.kind = EV_MEM};
    e.u.mem.la = cpu->isa.mode == ISA_LONG64 ? la : (uint32_t)la;
    e.u.mem.pa.v = pa;
    e.u.mem.size = (uint8_t)n;
    e.u.mem.acc = ISA_ACC_X;
    memcpy(&e.u.mem.value, bus_code_at(cpu->m, (struct hpa){pa}), n < 8 ? n : 8);
    ev_emit(cpu, &e);
}

static void emit_insn(struct sim_cpu *cpu, const struct block *b)
{
    struct ev e = {.kind = EV_INSN};
    if (ev_wanted(cpu->m, EV_MEM)) {
        uint64_t la = engine_code_la(&cpu->isa);
        unsigned first = b->cross ? 0x1000 - (unsigned)(b->pa & 0xfff) : b->bytes;
        emit_fetch(cpu, la, b->pa, first);
        if (b->cross)
            emit_fetch(cpu, la + first, b->pa2, b->bytes - first);
    }
    e.u.insn_.i = b->insn;
    if (ev_wanted(cpu->m, EV_INSN))
        ev_emit(cpu, &e);
}

// One instruction, with what must be seen after each: single-step traps, the end of blocking and of RF.
static int run_single(struct sim_cpu *cpu, struct block *b)
{
    struct isa_cpu *c = &cpu->isa;
    uint32_t flags = c->rflags_sys, blocking = c->blocking & (ISA_BLOCK_STI | ISA_BLOCK_MOVSS);
    uint8_t vmx = c->vmx;
    uint64_t insns = c->insns;
    cpu->eng->delivered = false;
    int r = engine_dispatch_loop(c, b);
    c->attention = 1;
    if (c->pmu.branches && r == ISA_R_STOP && c->insns != insns)
        pmu_retired(cpu, b->insn[0].op);
    if (r != ISA_R_STOP || c->vmx != vmx)
        return r;
    c->blocking &= ~blocking;
    if (cpu->eng->delivered)
        return r;
    if (c->insns != insns) // not in the middle of a repeated string instruction
        c->rflags_sys &= ~(flags & ISA_FL_RF);
    if (flags & ISA_FL_TF)
        c->pending_dbg |= 1u << 14; // DR6.BS
    return r;
}

static void step(struct sim_cpu *cpu)
{
    struct isa_cpu *c = &cpu->isa;
    struct block_bytes w = {0};
    struct block *b = NULL;
    bool single = cpu->eng->precise || engine_observed(cpu->m);
    int r = fetch(c, engine_code_la(c), &w.pa);
    if (!r)
        r = find(cpu, &w, single, &b);
    if (!r && !single && !fits(cpu, b)) {
        single = true;
        r = find(cpu, &w, true, &b);
    }
    if (r) {
        engine_outcome(cpu, r);
        return;
    }
    if (engine_observed(cpu->m))
        emit_insn(cpu, b);
    c->gpr[ISA_REG_RIP] = c->rip;
    c->at = b->insn;
    if (single)
        r = run_single(cpu, b);
    else if (cpu->m->cfg.loop)
        r = engine_dispatch_loop(c, b);
    else
        r = b->insn[0].run(c, b->insn);
    if (r == ISA_R_STOP) {
        emit_shutdown(cpu); // INT n that could not be delivered ends so
        return;
    }
    leave(cpu, r);
    engine_outcome(cpu, r);
}

static uint64_t saturating(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

// Instructions are counted over all processors: what is left of a number of them for this one, as its own count.
static uint64_t share(const struct sim_cpu *cpu, uint64_t insns)
{
    return insns == UINT64_MAX ? UINT64_MAX : saturating(cpu->isa.insns, insns - sim_insns(cpu->m));
}

static void turn_begin(struct sim_cpu *cpu)
{
    const struct sim_machine *m = cpu->m;
    cpu->eng->until_insns = share(cpu, m->until_insns);
    cpu->eng->limit_insns = share(cpu, m->limit_insns);
    cpu->isa.attention = 1;
}

static void run_setup(struct sim_machine *m, const struct sim_until *u)
{
    uint64_t insns = sim_insns(m), now = sim_now(m);
    m->until_insns = u->insns ? saturating(insns, u->insns) : UINT64_MAX;
    m->limit_insns = u->max_insns ? saturating(insns, u->max_insns) : UINT64_MAX;
    for (unsigned n = 0; n < m->ncpus; n++) {
        struct engine_cpu *e = m->cpu[n]->eng;
        e->until = u;
        e->first = n == m->running;
        e->until_cycles = u->cycles ? u->cycles : UINT64_MAX;
        e->limit_cycles = u->max_cycles ? saturating(now, u->max_cycles) : UINT64_MAX;
        e->idle_insns = m->cpu[n]->isa.insns;
        e->idle = 0;
    }
    m->runs = true;
    m->stop_requested = false;
    m->events_seen = 0;
    m->ev_until = u->events;
    ev_update_mask(m);
}

// One processor, until its turn is over or the run ends.
static enum engine_next run_turn(struct sim_cpu *cpu, struct sim_stop *stop)
{
    struct isa_cpu *c = &cpu->isa;
    struct engine_cpu *e = cpu->eng;
    enum engine_next next = ENGINE_GO;
    turn_begin(cpu);
    while (!(c->attention || c->cycles >= e->horizon || c->insns >= e->insn_budget ||
             (engine_has_stops(e->until) && engine_stop_at(e->until, engine_code_la(c)))) ||
           (next = engine_boundary(cpu, stop)) == ENGINE_GO) {
        step(cpu);
        e->first = false;
    }
    return next;
}

struct sim_stop sim_run(struct sim_machine *m, const struct sim_until *until)
{
    static const struct sim_until none;
    struct sim_stop stop;
    run_setup(m, until ? until : &none);
    while (run_turn(m->cpu[m->running], &stop) == ENGINE_TURN)
        turn_next(m);
    for (unsigned n = 0; n < m->ncpus; n++)
        m->cpu[n]->eng->until = &none;
    m->runs = false;
    psc_settle_all(m);
    m->ev_until = 0;
    ev_update_mask(m);
    return stop;
}

void sim_request_stop(struct sim_machine *m)
{
    m->stop_requested = true;
    engine_kick(m);
}
