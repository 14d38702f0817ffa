// sim/machine.h: the machine: create, load, run, stop.
//
// MODELS     one PC: RAM, up to SIM_MAX_CPUS processors, ports and devices, a deterministic clock.
// PROCESSORS each has a clock of its own. The one that is furthest behind runs, until it is `quantum` cycles ahead of the next one
//            (sim/turn.c). Time that has been observed, by a time-stamp counter or a device, never goes back for another processor.
// DETERMINISM same configuration, images and inputs give the same states, events and cycles on every host.
// ERRORS     host and user errors come as struct sim_error; what the guest does comes as a struct sim_stop.
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "isa/cpu.h"
#include "sim/error.h"
#include "sim/event.h"

#define SIM_MAX_CPUS 8 // what struct isa_cpu.generation has room for
#define SIM_QUANTUM  1000u

// How much of the micro-architecture is modelled. The architectural outcome is the same, but for what a guest learns from the time.
//    FAST        cycles: a cost per instruction and per event (profile), TLBs, paging-structure caches and page walks
//    FUNCTIONAL  one cycle per instruction, no TLB model: fast forward. No TLB events, no stale entries
//    DETAILED    as FAST, and every fetch, data access and page-walk reference goes through caches (sim/cache.h, sim/detailed.c)
enum sim_fidelity { SIM_FAST, SIM_FUNCTIONAL, SIM_DETAILED };

// What happens to translations that the processor may drop or keep as it likes. Architecturally all are right; a guest that invalidates where
// it must gives the same outcome under each.
//    MODEL   the profile's geometry decides; invalidations drop exactly what the manual requires
//    KEEP    units have room for everything: only invalidations drop entries
//    FORGET  nothing is cached; each reference to memory walks. Slow
//    SEED    like MODEL, and walks drop entries at random, by a generator of their own (tlb_seed)
// With any but MODEL, functional fidelity models the TLB, too.
enum sim_tlb_policy { SIM_TLB_MODEL, SIM_TLB_KEEP, SIM_TLB_FORGET, SIM_TLB_SEED };

struct sim_config {
    uint64_t ram_bytes;     // 0: 64 MiB. At most 64 GiB; sparse: untouched pages cost nothing
    unsigned cpus;          // 0: 1. Processor 0 is the bootstrap processor; the others wait for INIT and a start-up IPI
    uint64_t quantum;       // cycles that a processor may run ahead of the others; 0: SIM_QUANTUM
    const char *profile;    // NULL: "teach"
    const char *const *set; // nset values of the profile to set, "tlb.l2.entries=64" (sim/profile.h). Read at creation
    unsigned nset;
    enum sim_fidelity fidelity;
    enum sim_tlb_policy tlb;
    uint64_t tlb_seed;   // of SIM_TLB_SEED
    uint64_t seed;       // of RDRAND and of seeded policies
    uint64_t rtc_start;  // seconds since 1970 that the real-time clock shows at cycle 0; 0: 2024-01-01 00:00:00
    bool virtio_console; // a virtio console beside the serial ports
    const char *disk;    // raw image on virtio-blk; NULL: none. Read at creation, never written
    bool no_mirror;      // test switch: no inline TLB
    bool loop;           // test switch: plain dispatcher even when nobody observes
    // Stop when a guest has taken the same VM exit at the same RIP so many times in a row without completing an instruction or
    // changing a register in between: nothing will come of it. 0: never.
    unsigned stuck_exits;
};

struct sim_machine;

// Set tlb and tlb_seed by "model", "keep", "forget" or "seed:N".
int sim_tlb_policy_by_name(const char *name, struct sim_config *cfg, struct sim_error *err);
struct sim_machine *sim_create(const struct sim_config *cfg, struct sim_error *err); // NULL on error
void sim_destroy(struct sim_machine *m);
// Reset processors and devices; RAM keeps its contents.
void sim_reset(struct sim_machine *m);

// Why a run ended.
enum sim_stop_kind {
    SIM_STOP_UNTIL,      // the condition asked for came true
    SIM_STOP_REQUEST,    // an observer called sim_request_stop()
    SIM_STOP_LIMIT,      // cycle or instruction limit
    SIM_STOP_HALT,       // HLT with nothing that could ever wake it
    SIM_STOP_SHUTDOWN,   // triple fault; the machine stands before the reset
    SIM_STOP_EXIT,       // the guest wrote the debug-exit port; code = (v << 1) | 1
    SIM_STOP_RESET,      // the guest asked for a reset; text says how. The machine stands before it
    SIM_STOP_UNMODELLED, // the guest used something that is not modelled; text names it
    SIM_STOP_STUCK,      // a guest's guest makes no progress (sim_config.stuck_exits)
};
#define SIM_STUCK_EXITS 10000u // what `ringside run` asks for
struct sim_stop {
    enum sim_stop_kind kind;
    unsigned cpu;
    uint64_t code;  // EXIT: exit status; UNTIL: which condition (SIM_UNTIL_*)
    char text[768]; // one line for people: what, where, what to do
};

// When to stop; zero means no such condition. Several may be given; the first that comes true wins. All are exact. Instructions are
// counted over all processors; a cycle is reached when the first processor reaches it.
struct sim_until {
    uint64_t insns;  // after this many more instructions
    uint64_t cycles; // at the first instruction boundary at or after this absolute cycle
    uint64_t events; // mask of EV_BIT(): at the boundary after one of these events
    uint64_t rip;    // before executing at this linear address (has_rip)
    bool has_rip;
    const uint64_t *stops; // the same for each of these linear addresses; may be NULL
    unsigned nstops;
    uint64_t max_cycles; // safety limit, relative: gives SIM_STOP_LIMIT
    uint64_t max_insns;  // safety limit, relative
};
enum { SIM_UNTIL_INSNS, SIM_UNTIL_CYCLES, SIM_UNTIL_EVENT, SIM_UNTIL_RIP };

struct sim_stop sim_run(struct sim_machine *m, const struct sim_until *until);
// To be called by an observer: stop at the next instruction boundary.
void sim_request_stop(struct sim_machine *m);

// Not while the machine runs.
void sim_set_fidelity(struct sim_machine *m, enum sim_fidelity f);
enum sim_fidelity sim_fidelity(const struct sim_machine *m);
const char *const *sim_fidelity_names(void); // by enum sim_fidelity; ends with NULL
int sim_fidelity_by_name(const char *name, enum sim_fidelity *f, struct sim_error *err);

unsigned sim_ncpus(const struct sim_machine *m);
unsigned sim_running(const struct sim_machine *m);          // the processor whose turn it is
uint64_t sim_now(const struct sim_machine *m);              // the latest cycle that a processor has reached
uint64_t sim_insns(const struct sim_machine *m);            // instructions retired by all processors since reset
struct isa_cpu *sim_cpu(struct sim_machine *m, unsigned n); // architectural state; call isa_update_mode after writing it
uint64_t sim_ram_size(const struct sim_machine *m);
const char *sim_profile_name(const struct sim_machine *m);

// A hash of the whole architectural state (registers, RAM, VMCS, devices), and of the events so far (all kinds but INSN, MEM and TLB_STALE).
uint64_t sim_state_hash(struct sim_machine *m);
void sim_event_hash_enable(struct sim_machine *m);
uint64_t sim_event_hash(const struct sim_machine *m);

#endif
