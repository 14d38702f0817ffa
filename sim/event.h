// sim/event.h: the event bus, the only way out of the machine for Lua, views, traces, diagrams and graders.
//
// Subscribers are called synchronously, in order of subscription, in the middle of what happens; they may inspect the machine
// (sim/inspect.h) and ask it to stop (sim_request_stop), nothing else. While nobody listens to a kind, it costs nothing.
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "isa/env.h"

struct sim_machine;
struct sim_cpu;
struct vmx_entry_report;

enum ev_kind {
#define E(id, name, rarity, text) EV_##id,
#include "sim/events.def"
#undef E
    EV_NUM
};
#define EV_BIT(k) (1ull << (k))
#define EV_ALL    (EV_BIT(EV_NUM) - 1)

struct ev_info {
    const char *name;
    bool frequent;
    const char *text;
};
extern const struct ev_info ev_info[EV_NUM];
// Kind by name, or -1.
int ev_by_name(const char *name);

enum ev_dim { EV_DIM_GUEST, EV_DIM_EPT }; // whose table a reference reads

// What happened to an interrupt: its line moved, the processor accepted it, took an INIT or a start-up IPI, delivered a virtual interrupt of its
// guest, or took over what was posted for its guest.
enum ev_irq_what {
    EV_IRQ_LOWERED,
    EV_IRQ_RAISED,
    EV_IRQ_ACCEPTED,
    EV_IRQ_INIT,
    EV_IRQ_SIPI,
    EV_IRQ_VIRTUAL,
    EV_IRQ_POSTED,
    EV_NIRQ
};

struct ev {
    enum ev_kind kind;
    uint8_t cpu;
    uint8_t level;        // virtualization level at the time: 0 root or no VMX, 1 non-root
    uint64_t cycle, insn; // clock
    uint64_t rip;
    union {
        struct {
            const struct isa_insn *i;
        } insn_;
        struct {
            uint64_t la;
            struct hpa pa;
            uint8_t size, acc;
            uint64_t value;
        } mem;
        // WALK: done = 0 at the start, 1 at the end. refs counts REF events so far. outcome: 0 translated, 1 #PF, 2 EPT violation,
        // 3 EPT misconfiguration, 5 the page-modification log is full (enum sim_walk_outcome)
        struct {
            uint64_t la;
            uint8_t acc, done, outcome;
            uint16_t refs;
            uint32_t err;
            struct gpa gpa;
            struct hpa hpa;
            uint64_t page;
        } walk;
        // REF: number counts from 1 inside the walk. table: the dimension of the entry read; glevel: guest level 4..1 (5 with LA57) whose
        // entry is wanted, 0 for the final guest-physical address; elevel: EPT level 4..1, 0 for the guest entry itself.
        struct {
            uint8_t dim, glevel, elevel;
            uint16_t number;
            uint64_t la;
            struct gpa gpa;
            struct hpa at;
            uint64_t entry;
            bool hit_psc, set_ad;
        } ref;
        struct {
            const struct tlb_entry *e;
        } tlb;
        struct {
            const char *cause;
            uint64_t a, b, la;
            uint32_t dropped;
        } flush;
        struct {
            const struct tlb_entry *e;
            uint64_t la, now;
        } stale;
        struct {
            struct isa_event e;
            uint16_t cs;
            uint64_t handler;
        } exc;
        struct {
            uint8_t from, to;
        } ring;
        struct {
            uint8_t n;
            uint64_t old, now;
        } cr;
        struct {
            uint32_t n;
            uint64_t val;
            bool write;
        } msr;
        struct {
            uint8_t sreg;
            uint16_t sel;
        } seg;
        struct {
            uint16_t port;
            uint8_t size;
            bool in;
            uint32_t val;
        } io;
        struct {
            uint8_t line, vector;
            uint8_t what; // enum ev_irq_what
        } irq;
        struct {
            uint16_t vpid;
            uint64_t vmcs, eptp;
            bool launch;
        } vmentry;
        struct {
            const struct vmx_entry_report *report;
        } entry_fail;
        struct {
            uint16_t reason;
            uint64_t qual;
            uint32_t len, info;
            uint64_t gla;
            struct gpa gpa;
            uint32_t intr_info, intr_err;
        } vmexit;
        struct {
            uint16_t op;
            uint8_t outcome;
            uint32_t error;
            uint64_t operand;
        } vmx; // outcome: 0 ok, 1 VMfailInvalid, 2 VMfailValid
        struct {
            bool awake;
        } halt;
        struct {
            const char *port;
            uint8_t byte;
        } output;
        struct {
            const char *name;
        } mark;
    } u;
};

typedef void ev_fn(void *ctx, struct sim_machine *m, const struct ev *e);

// Subscribe fn to the kinds in mask. Returns a handle > 0. Both are allowed inside a callback; a new subscriber hears of the next event first.
int ev_subscribe(struct sim_machine *m, uint64_t mask, ev_fn *fn, void *ctx);
void ev_unsubscribe(struct sim_machine *m, int handle);
// The scenario declares a mark here. The name need not outlive the call.
void ev_mark(struct sim_machine *m, unsigned cpu, const char *name);

#endif
