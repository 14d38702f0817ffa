// sim/internal.h: the inside of a machine; included by sim/*.c only (and by sim's tests).
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include "sim/cache.h"
#include "sim/device.h"
#include "sim/event.h"
#include "sim/inspect.h"
#include "sim/machine.h"
#include "sim/mmu.h"
#include "sim/profile.h"
#include "sim/ram.h"
#include "vmx-model/vmx.h"

enum sim_stat_id {
#define S(id, name, text) SIM_STAT_##id,
#include "sim/stats.def"
#undef S
    SIM_NSTAT
};

#define SIM_NEXT_SIZE 128u

// A processor of the machine. isa comes first, so that the env functions, which are handed a struct isa_cpu, find the rest.
struct sim_cpu {
    struct isa_cpu isa;
    struct vmx_cpu vmx;
    struct sim_machine *m;
    unsigned n;
    bool nmi;      // a non-maskable interrupt waits
    bool init;     // an INIT waits
    uint16_t sipi; // a start-up IPI waits: 100H | vector; else 0
    bool parked;   // sleeps, and takes no turns until something wakes it (sim/turn.c)
    struct {       // what MONITOR watches: the line and what it held
        bool armed;
        bool waiting, written; // MWAIT sleeps; somebody stored to the line since
        uint64_t la;
        struct hpa pa; // while waiting
        uint8_t line[64];
    } monitor;
    struct {                        // performance monitoring (sim/pmu.h)
        uint64_t halted, branches;  // cycles asleep; branches that were counted
        uint64_t at_cycle, at_insn; // no counter overflows and interrupts before both; UINT64_MAX: never
    } pmu;
    struct tlb *tlb;
    struct mmu_state mmu;
    struct cache_array *l1i, *l1d; // detailed fidelity: its first-level caches
    uint64_t fetch_line;           // the line that instructions were fetched from last; UINT64_MAX: none
    struct {                       // and the lines that prefetches have asked for and that are still on their way
        uint64_t line, ready;
    } coming[10];
    unsigned ncoming;
    uint64_t stat[SIM_NSTAT];
    // engine (sim/engine.c)
    struct engine_cpu *eng;
    struct block **blocks; // hash table of decoded blocks (sim/block.c)
    uint64_t chain_budget; // blocks may follow one another only while they end at or before this cycle; 0: not at all
    struct sim_next {      // where indirect branches went lately, by RIP: blocks that may be entered while epoch is the processor's
        struct block *block;
        uint64_t epoch;
    } next[SIM_NEXT_SIZE];
};
static inline struct sim_cpu *sim_cpu_of(struct isa_cpu *c) { return (struct sim_cpu *)c; }

struct ev_sub {
    int handle;
    uint64_t mask;
    ev_fn *fn;
    void *ctx;
};

struct sim_machine {
    struct sim_config cfg;
    const struct sim_profile *profile; // own_profile
    struct sim_profile own_profile;
    enum sim_fidelity fidelity;
    bool no_data_mirror, no_fetch_mirror;              // inline TLBs stay empty, whoever listens
    struct caches *caches;                             // in detailed fidelity, else NULL
    uint64_t hidden;                                   // what tags of data mirrors have besides: MMU_HIDDEN in detailed fidelity
    uint64_t line, memory_cycles;                      // bytes of a cache line, and what memory takes, there
    uint32_t cost[ISA_COST_NUM], charge[ISA_COST_NUM]; // of instructions, and of what they cause (sim/fidelity.c)
    struct sim_ram ram;
    struct sim_cpu *cpu[SIM_MAX_CPUS];
    uint64_t pkg_hdc; // IA32_PKG_HDC_CTL, of all processors
    unsigned ncpus;
    unsigned running; // the processor whose turn it is
    uint64_t seen;    // the latest cycle that a guest or a device has observed
    // event bus (sim/event.c)
    uint64_t ev_mask;  // union of all subscriptions and needs below; tested before an event is even built
    bool refs_heard;   // that has EV_REF; ev_mask always has, in detailed fidelity
    uint64_t ev_until; // kinds that end the run under way
    struct ev_sub *subs;
    unsigned nsubs;
    int next_handle;
    bool hash_events;
    uint64_t ev_hash;
    unsigned delivering; // depth of event delivery
    bool subs_dead;      // some subscription ended during delivery
    // run control (sim/engine.c)
    uint64_t until_insns, limit_insns; // of the run under way, over all processors; UINT64_MAX: none
    bool runs, stop_requested;
    struct sim_stop pending_stop; // set by dev_exit, unmodelled
    bool has_pending_stop;
    uint64_t events_seen; // mask of kinds since the run began
    struct block_cache *block_cache;
    uint64_t *code_pages; // one bit per page of RAM: holds decoded code (sim/block.c)
    struct {              // the first access to where RAM would be if there were more of it; pa 0: none
        uint64_t pa, rip; // of the instruction
    } beyond;
    uint64_t mmio_lo; // no device answers in a page below (sim/bus.c)
    uint64_t rng;     // RDRAND, RDSEED (sim/env.c)
    // devices (sim/bus.c)
    struct sim_bus *bus;
    struct ledger *ledger; // ledger_keep() (sim/ledger.h), or NULL
    // symbols (sim/symbols.c), output (sim/output.c)
    struct sim_symbols *symbols;
    char *output;
    uint64_t output_len, output_cap;
};

static inline bool ev_wanted(const struct sim_machine *m, enum ev_kind k) { return __builtin_expect((m->ev_mask >> k) & 1, 0); }
void ev_update_mask(struct sim_machine *m); // after ev_until, hash_events or a subscription changed
// Fill in clock, cpu, level and rip, and deliver. Call only if ev_wanted().
void ev_emit(struct sim_cpu *c, struct ev *e);
void ev_emit_at(struct sim_cpu *c, struct ev *e, uint64_t rip); // the same, of an instruction that c->rip has left already
// The machine met something that it does not model: the run ends at the next boundary with SIM_STOP_UNMODELLED and this text.
void sim_unmodelled(struct sim_machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Hashing (sim/hash.c): fold 64 bits, or bytes, into h. Not cryptographic; the same on every host.
static inline uint64_t hash_u64(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}
uint64_t hash_bytes(uint64_t h, const void *p, uint64_t n);
uint64_t sim_tlb_hash(const struct sim_machine *m); // of all live TLB entries

// sim/env.c, sim/cpuid.c
extern const struct isa_env sim_env;
void sim_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4]);

// mmu (sim/mmu.c): the functions behind isa_env's memory ports, and the fetch for the engine.
int mmu_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc);
int mmu_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc);
int mmu_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc);
void *mmu_host_run(struct isa_cpu *c, uint64_t la, uint64_t max, uint64_t *len, unsigned acc);
int mmu_read_phys(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n);
int mmu_write_phys(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n);
// Translate a fetch: 0 with *pa, or FAULT/VMEXIT. Charges and fills like any access. Repeated fetches from a page are served inline
// by the fetch mirror, which obeys the same rules as the data mirror (an entry mirrors a live iTLB entry of the current context).
int mmu_fetch_slow(struct isa_cpu *c, uint64_t la, struct hpa *pa);
static inline int mmu_fetch(struct isa_cpu *c, uint64_t la, struct hpa *pa)
{
    const struct mmu_fetch_mirror *e = &sim_cpu_of(c)->mmu.fx[mmu_fx_slot(la, c->mctx)];
    if (__builtin_expect(e->tag == ((la & ~0xfffull) | c->mctx), 1)) {
        pa->v = e->page | (la & 0xfff);
        return 0;
    }
    return mmu_fetch_slow(c, la, pa);
}
void mmu_inval(struct isa_cpu *c, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la);
// VMX transitions and instructions (called by sim/vmx_glue.c).
void mmu_vm_transition(struct sim_cpu *c, bool entry); // after state was loaded: flush by VPID rule, choose the mirror context
void mmu_eptp_switched(struct sim_cpu *c);
void mmu_invept(struct sim_cpu *c, unsigned type, uint64_t eptp);
void mmu_invvpid(struct sim_cpu *c, unsigned type, uint16_t vpid, uint64_t la);
// Behind env->context: the mode, CPL, CR0, CR3, CR4, EFER or the VMX context may have changed (cheap if nothing did):
// recompute what is cached of them and choose the mirror context number. What depends on RFLAGS.AC is never mirrored.
void mmu_context(struct sim_cpu *c);
static inline uint64_t mmu_mctx(const struct sim_cpu *c) { return ((uint64_t)c->mmu.ctx_cur << 1 | (c->isa.cpl == 3)) << 4; }
static inline bool mmu_inputs_stand(const struct sim_cpu *c)
{
    const struct mmu_state *s = &c->mmu;
    const struct isa_cpu *i = &c->isa;
    return s->valid && !((s->cr0 ^ i->cr0) | (s->cr3 ^ i->cr3) | (s->cr4 ^ i->cr4) | (s->efer ^ i->efer) | (s->pkru ^ i->pkru) |
                         (uint64_t)(s->vmx ^ i->vmx));
}
// Would mmu_context() change nothing that translations depend on?
static inline bool mmu_context_stands(const struct sim_cpu *c) { return c->isa.mctx == mmu_mctx(c) && mmu_inputs_stand(c); }
// After reset: drops every TLB entry and mirror entry. Also attaches the processor to its TLB, so call it once after creation.
void mmu_reset(struct sim_cpu *c);
void mmu_forget(struct sim_cpu *c); // drop all cached translations, of whatever fidelity, unseen by observers
void mmu_destroy(struct sim_cpu *c);
// Something that decides what may be mirrored changed (a subscription to INSN, MEM or TLB_STALE; an MMIO range): empty all mirrors.
void mmu_mirror_clear(struct sim_machine *m);
// The page at pa now holds decoded code: no mirror may write it. The engine calls this when a page gets its first block.
void mmu_code_page(struct sim_machine *m, struct hpa pa);

static inline bool mmu_is_soft(const struct sim_cpu *c)
{
    return c->m->fidelity == SIM_FUNCTIONAL && c->m->cfg.tlb == SIM_TLB_MODEL;
}

// tlb (sim/tlb.c)
static inline bool mmu_guarded_by(const struct sim_cpu *c, struct hpa pa)
{
    return tlb_guards(c->tlb, pa) || (c->monitor.waiting && (c->monitor.pa.v ^ pa.v) < 0x1000);
}
static inline bool mmu_guarded(const struct sim_machine *m, struct hpa pa)
{
    bool guarded = mmu_guarded_by(m->cpu[0], pa);
    for (unsigned n = 1; __builtin_expect(n < m->ncpus, 0) && !guarded; n++)
        guarded = mmu_guarded_by(m->cpu[n], pa);
    return guarded;
}
// n bytes of a page that is guarded were written: entries get stale, sleepers in MWAIT wake.
void mmu_written(struct sim_machine *m, struct hpa pa, unsigned n);
struct tlb *tlb_create(const struct sim_profile *p, enum sim_tlb_policy policy, uint64_t seed);
void tlb_destroy(struct tlb *t);

// Detailed fidelity (sim/detailed.c): what the caches are told, and what it costs.
extern const struct isa_env sim_env_detailed; // sim_env, whose memory accesses come here (sim/env.c)
int detailed_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc);
int detailed_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc);
void detailed_flush_caches(struct isa_cpu *c, bool write_back);
int detailed_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc);
void mmu_prefetch(struct isa_cpu *c, uint64_t la, enum isa_prefetch hint);
// As a load, but where that would fault or exit nothing happens. False then, and for the APIC-access page.
bool mmu_translate_quietly(struct sim_cpu *c, uint64_t la, struct hpa *pa);
void detailed_prefetch(struct isa_cpu *c, uint64_t la, enum isa_prefetch hint);
void *detailed_host_run(struct isa_cpu *c, uint64_t la, uint64_t max, uint64_t *len, unsigned acc);
void detailed_host_ran(struct isa_cpu *c, const void *d, const void *s, uint64_t k);
int mmu_read_detailed(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc);
int mmu_write_detailed(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc);
int mmu_read_phys_detailed(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n);
int mmu_write_phys_detailed(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n);
int detailed_check(const struct sim_profile *p, struct sim_error *err); // can caches be built of the profile?
void detailed_select(struct sim_machine *m);                            // make or drop the caches, as the fidelity has it
void detailed_costs(struct sim_machine *m);
void detailed_destroy(struct sim_machine *m);
void detailed_reset(struct sim_machine *m);
void detailed_counts(struct sim_machine *m); // bring the counters of sim_stat() up to date
void detailed_data(struct sim_cpu *c, struct hpa pa, unsigned n, unsigned acc);
void detailed_reference(struct sim_cpu *c, struct hpa pa, bool set_ad); // of a page walk
struct block;
void detailed_prepare(const struct sim_machine *m, struct block *b, bool loop); // b is whole, but for its sentinel

// engine (sim/engine.c, sim/block.c)
//
// Exact time and place, in the middle of a block too: c->at is the instruction being executed. Nobody but the engine reads
// c->cycles, c->insns and c->rip directly.
static inline uint64_t engine_now(const struct isa_cpu *c) { return c->cycles + (c->at ? c->at->cost_before : 0); }
static inline uint64_t engine_insns(const struct isa_cpu *c) { return c->insns + (c->at ? c->at->idx : 0); }
static inline uint64_t engine_rip(const struct isa_cpu *c) { return c->at ? c->gpr[ISA_REG_RIP] + c->at->off : c->rip; }
// Spend cycles. All dynamic costs go through here, so that the block under way stops at the boundary where a deadline falls.
void engine_charge(struct isa_cpu *c, uint64_t cycles);
// The present, for whoever lets it be seen: a processor that is behind what another one saw waits until then, so that time never runs
// backwards. Costs nothing with one processor.
uint64_t engine_observe(struct isa_cpu *c);
// Something happened that the engine must look at before the next instruction: an interrupt line, an earlier deadline, a request to
// stop. May be called from anywhere; the instruction under way completes first.
void engine_kick(struct sim_machine *m);
// Bytes of RAM that hold decoded code were written, or are about to be, by whomever. Needs no answer: a block that is being
// executed ends after the current instruction. Cheap if the page holds no code.
void engine_code_written(struct sim_machine *m, struct hpa pa, uint64_t n);
// The mmu must not mirror it for writes.
static inline bool engine_host_has_code(const struct sim_machine *m, const uint8_t *p)
{
    const uint64_t k = (uint64_t)(p - m->ram.base) >> 12;
    return m->code_pages[k / 64] >> k % 64 & 1;
}
static inline bool engine_page_has_code(const struct sim_machine *m, struct hpa pa)
{
    const uint8_t *p = ram_at(&m->ram, pa);
    return p && engine_host_has_code(m, p);
}
// Someone listens to INSN or MEM: mirror nothing. Where nothing is cached, each instruction's fetch walks, so instructions come one by one as they
// do for an observer.
#define ENGINE_OBSERVERS (EV_BIT(EV_INSN) | EV_BIT(EV_MEM))
static inline bool engine_observed(const struct sim_machine *m)
{
    return m->ev_mask & ENGINE_OBSERVERS || m->cfg.tlb == SIM_TLB_FORGET;
}

// start-up (sim/startup.c): an INIT or a start-up IPI arrives at a processor.
void startup_init(struct sim_cpu *cpu);
void startup_sipi(struct sim_cpu *cpu, uint8_t vector);

// vmx glue (sim/vmx_glue.c)
int glue_vmx(struct isa_cpu *c, const struct isa_insn *i);
int glue_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val);
int glue_intercept_event(struct isa_cpu *c, const struct isa_event *e);
int glue_intercept_triple(struct isa_cpu *c);
// Page-modification logging: a walk is about to set D for gpa. 0, or ISA_R_VMEXIT if the log is full (record prepared).
int glue_log_dirty(struct isa_cpu *c, struct gpa gpa);
// EPT violation or misconfiguration found by the mmu: prepare the VM-exit record and return ISA_R_VMEXIT. translating_la: the
// access was to the translation of la itself, not to a paging-structure entry (exit qualification bit 8). ept_perms: logical AND of
// the EPT entries (EPT_R | EPT_W | EPT_X). Bits of the qualification: ept_violation_qual() in vmx-model/ept.h.
int glue_ept_violation(struct isa_cpu *c, struct gpa gpa, uint64_t la, bool la_valid, bool translating_la, unsigned acc,
                       unsigned ept_perms, uint64_t entry);
int glue_ept_misconfig(struct isa_cpu *c, struct gpa gpa);
// Carry out the VM exit whose record the processor holds (state save, host load, events, cost). RIP must be exact.
void glue_do_exit(struct sim_cpu *c);
// External interrupt or NMI arrives in non-root operation: true if it causes a VM exit (record prepared).
bool glue_intercept_irq(struct sim_cpu *c, bool nmi, int vector_if_acked);
// INIT, or a start-up IPI, arrives in non-root operation: the VM exit's record is prepared.
void glue_intercept_init(struct sim_cpu *c);
void glue_intercept_sipi(struct sim_cpu *c, uint8_t vector);
bool glue_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val);
bool glue_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val);

// disassembly (sim/disasm.c): the work of sim_disasm() on bytes that the caller has. la = linear address of the first.
unsigned disasm_bytes(struct sim_machine *m, const struct isa_cpu *c, uint64_t la, bool att, const uint8_t *bytes, unsigned n,
                      char *text, unsigned size);

// bus (sim/bus.c): ports and MMIO. bus_create also attaches the devices of the PC (sim/dev_pc.c).
// bus_hash folds all device state into h.
int bus_create(struct sim_machine *m, struct sim_error *err);
void bus_destroy(struct sim_machine *m);
void bus_reset(struct sim_machine *m);
uint64_t bus_hash(const struct sim_machine *m, uint64_t h);
void bus_input(struct sim_machine *m, const void *bytes,
               uint64_t n); // to the virtio console once the guest has opened it, else to the first serial port
// bus_mmio_at tells the mmu that a physical page is not plain RAM.
uint32_t bus_in(struct sim_machine *m, uint16_t port, unsigned size);
void bus_out(struct sim_machine *m, uint16_t port, unsigned size, uint32_t val);
bool bus_mmio_search(const struct sim_machine *m, struct hpa pa);
static inline bool bus_mmio_at(const struct sim_machine *m, struct hpa pa)
{
    return __builtin_expect(pa.v >= m->mmio_lo, 0) && bus_mmio_search(m, pa);
}
uint64_t bus_mmio_read(struct sim_machine *m, struct hpa pa, unsigned size);
void bus_mmio_write(struct sim_machine *m, struct hpa pa, unsigned size, uint64_t val);
// Read-only memory that code can be fetched from: bytes stay the device's. bus_code_at: like ram_at, where code is fetched.
void bus_set_rom(struct sim_machine *m, struct hpa base, uint64_t n, const uint8_t *bytes);
const uint8_t *bus_code_at(const struct sim_machine *m, struct hpa pa);
struct dev *bus_fwcfg(const struct sim_machine *m);
uint64_t bus_next_deadline(const struct sim_machine *m);
void bus_run_deadlines(struct sim_machine *m, uint64_t now);
// MSRs that devices hold: those of the local APIC. The third: the processor wrote one of its own that they must know of.
bool bus_rdmsr(struct sim_machine *m, unsigned cpu, uint32_t msr, uint64_t *val);
bool bus_wrmsr(struct sim_machine *m, unsigned cpu, uint32_t msr, uint64_t val);
void bus_msr_changed(struct sim_machine *m, unsigned cpu, uint32_t msr);
void bus_cpu_init(struct sim_machine *m, unsigned cpu); // the processor took an INIT
void bus_pmi(struct sim_machine *m, unsigned cpu);      // a performance counter overflowed: the local APIC's entry for that
bool bus_irq_pending(const struct sim_machine *m, unsigned cpu);
int bus_irq_ack(struct sim_machine *m, unsigned cpu);
void bus_irq_eoi(struct sim_machine *m, unsigned cpu); // as if the processor wrote its local APIC's EOI register

#endif
