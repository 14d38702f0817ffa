// sim/engine.h: what the files of the engine share: engine.c (runs), boundary.c (what happens between instructions), dispatch_*.c.
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "isa/exec.h"
#include "sim/block.h"

// The engine's part of a processor.
struct engine_cpu {
    // the run under way, in absolute numbers; UINT64_MAX for none
    const struct sim_until *until;
    uint64_t until_cycles, until_insns, limit_cycles, limit_insns;
    bool first;           // no instruction has run yet: the address to stop at does not count
    bool precise;         // one instruction at a time: traps, blocking or breakpoints are pending
    uint64_t budget;      // a block may run if it ends at or before this cycle
    uint64_t insn_budget; // and at or before this instruction
    uint64_t horizon;     // the boundary at or after this cycle needs attention
    // the handler that was replaced to stop the block under way
    struct isa_insn *patched;
    isa_handler *patched_run;
    // deliveries
    bool halted;           // EV_HALT was sent, its end was not
    bool delivered;        // an event went through the IDT since this was cleared
    uint64_t deliver_rip;  // where the event under way struck
    struct isa_event last; // the last fault that an instruction raised, and where
    uint64_t last_rip, last_insns;
    bool has_last;
    // VM exits without progress: the last one, and how many before it were the same
    struct {
        uint64_t entry_insns; // when the guest was entered
        uint64_t rip, qual, gpa, gpr[16];
        uint32_t reason;
        unsigned same;
    } stuck;
    uint64_t idle_insns; // no-progress guard: events and waits since insns was this
    unsigned idle;
};

// Between two instructions: devices, stop conditions, turns, debug traps, VM-exit windows, interrupts, HLT. Chooses budget and precise.
// GO: run the next instruction; TURN: it is another processor's turn (turn_next); STOP: the run ends with *stop. (boundary.c)
enum engine_next { ENGINE_GO, ENGINE_TURN, ENGINE_STOP };
enum engine_next engine_boundary(struct sim_cpu *cpu, struct sim_stop *stop);

// An event was delivered, or the guest waited. A run ends when millions of them follow each other without one instruction. (boundary.c)
void engine_count_event(struct sim_cpu *cpu);
// "at 0x7c05 (start+0x5), cycle 1234"
const char *engine_place(struct sim_cpu *cpu, uint64_t rip, char *buf, size_t size);
// The events that led to a triple fault (struct isa_cpu.chain), which struck `at` such a place. (chain.c)
void chain_text(const struct isa_cpu *c, const char *at, char *buf, size_t size);

// Sleep (sleep.c). engine_asleep: what the boundary does with a processor that sleeps; GO: look again. engine_tell_halt: it falls asleep, or
// wakes. sleep_wake: at a boundary of the running processor, those others that were woken run from now on.
enum engine_next engine_asleep(struct sim_cpu *cpu, struct sim_stop *stop);
void engine_tell_halt(struct sim_cpu *cpu, bool awake);
void sleep_wake(struct sim_cpu *running);
bool engine_interrupts_can_come(const struct sim_cpu *cpu); // external ones, by RFLAGS.IF and the VM-execution controls
bool engine_nmi_can_come(const struct sim_cpu *cpu);        // one waits and is not blocked by NMI

// Turns (turn.c)
uint64_t turn_end(const struct sim_cpu *cpu);     // the cycle at which the turn of the running processor is over; UINT64_MAX: never
struct sim_cpu *turn_next(struct sim_machine *m); // the processor that is furthest behind; it becomes the running one

// INIT and start-up IPIs (startup.c): can one be taken now? Take it; true: there was one.
bool startup_init_can_come(const struct sim_cpu *cpu);
bool startup_sipi_can_come(const struct sim_cpu *cpu);
bool startup_take(struct sim_cpu *cpu);
void engine_stop(struct sim_cpu *cpu, struct sim_stop *stop, enum sim_stop_kind kind, uint64_t code, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
// Deliver what an attempt to deliver or fetch returned: nothing, a fault or a VM exit. c->rip is exact, c->at NULL. (engine.c)
void engine_outcome(struct sim_cpu *cpu, int r);

// Run a block from its first instruction; c->at, c->gpr[ISA_REG_RIP] are set. Returns an enum isa_result; STOP leaves c->rip, cycles and
// insns exact and c->at NULL, others leave them at the block's start and c->at at the instruction.
int engine_dispatch_loop(struct isa_cpu *c, struct block *b);

static inline uint64_t engine_code_la(const struct isa_cpu *c)
{
    return c->mode == ISA_LONG64 ? c->rip : (uint32_t)(c->seg[ISA_CS].base + c->rip);
}
// The run is to stop before executing at some addresses: at la, or at one of the n - 1 bytes that follow la.
static inline bool engine_has_stops(const struct sim_until *u) { return u->has_rip || u->nstops; }
static inline bool engine_stop_at(const struct sim_until *u, uint64_t la)
{
    bool hit = u->has_rip && u->rip == la;
    for (unsigned k = 0; k < u->nstops && !hit; k++)
        hit = u->stops[k] == la;
    return hit;
}
static inline bool engine_stop_inside(const struct sim_until *u, uint64_t la, unsigned n)
{
    bool hit = u->has_rip && u->rip - la - 1 < n - 1u;
    for (unsigned k = 0; k < u->nstops && !hit; k++)
        hit = u->stops[k] - la - 1 < n - 1u;
    return hit;
}
// What both fallthrough sentinels and the kick do: the block's progress up to instruction i becomes the processor's state.
static inline void engine_settle(struct isa_cpu *c, const struct isa_insn *i)
{
    c->cycles += i->cost_before;
    c->insns += i->idx;
}
// A repeated string instruction may leave its block in the middle, for interrupts and limits, with RIP still at itself. It retires once:
// how it is cut into pieces depends on the run and must not show.
static inline void engine_settle_rep(struct isa_cpu *c, const struct isa_insn *sentinel)
{
    if (c->rip == isa_insn_rip(c, sentinel - 1))
        c->insns--;
}
// The instruction that met data or I/O breakpoints is complete.
static inline void engine_take_hits(struct isa_cpu *c)
{
    c->pending_dbg |= c->dbg_hits;
    c->dbg_hits = 0;
}
static inline uint64_t engine_wrap(const struct isa_cpu *c, uint64_t rip) { return c->mode == ISA_LONG64 ? rip : (uint32_t)rip; }

#endif
