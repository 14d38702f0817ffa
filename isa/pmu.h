// isa/pmu.h: architectural performance monitoring: the counters, what they count, and the registers that control them.
//
// MODELS     versions 1 to 4 as CPUID.0AH has them: up to four general-purpose and three fixed-function counters, overflow status, global control,
//            the interrupt on overflow, full-width writes (with IA32_PERF_CAPABILITIES), freezing on that interrupt.
//            IA32_PERFEVTSELx    31..24   23   22  21   20   19  18    17  16   15..8      7..0
//                                CMASK    INV  EN  Any  INT  PC  EDGE  OS  USR  unit mask  event
//            IA32_FIXED_CTR_CTRL, four bits a counter: 3 interrupt, 2 any thread, 1 count above ring 0, 0 count in ring 0
//            global control, status and its writes: bit k counter k, bit 32 + k fixed-function counter k
// EVENTS     cycles while not halted (3C/00, at the fixed rate of the time-stamp counter 3C/01: the same here), instructions retired (C0/00), branch
//            instructions retired (C4/00), references to the last-level cache and its misses (2E/4F, 2E/41) if the machine knows them. Any other
//            event, and any with EDGE, counts nothing. With CMASK = n a counter counts cycles that see n or more of its events, with INV too
//            those that see fewer: a cycle sees at most one, for instructions run one after another.
// LAZY       nothing is counted while instructions run. A counter holds its value as of the last change of ring, of a control or of itself, and
//            isa_pmu_sync() adds what its source has gone on by since. An instruction that changes or reads the state does so as of its own
//            beginning: the WRMSR that starts a counter is counted by it. One that changes the ring counts for the new ring, as measured on
//            processors (an IRET to ring 3 is an instruction of ring 3).
// OVERFLOW   is found by isa_pmu_sync(), too, so the machine calls it as soon as isa_pmu_next() says.
// MANUAL     "Architectural Performance Monitoring".
#ifndef ISA_PMU_H
#define ISA_PMU_H

#include <stdbool.h>
#include <stdint.h>

#define ISA_PMU_GENERAL 4u
#define ISA_PMU_FIXED   3u
#define ISA_PMU_ALL     (ISA_PMU_GENERAL + ISA_PMU_FIXED) // fixed-function counter k is number ISA_PMU_GENERAL + k

// What goes on while a program runs, as far as the machine knows it without looking at each instruction; NONE stands still.
enum isa_pmu_source {
    ISA_PMU_NONE,
    ISA_PMU_CYCLES,
    ISA_PMU_INSNS,
    ISA_PMU_BRANCHES,
    ISA_PMU_LLC_REFS,
    ISA_PMU_LLC_MISSES,
    ISA_PMU_NSOURCE
};

// What the processor has, from CPUID.0AH and CPUID.1:ECX.PDCM. A version of 0: nothing.
struct isa_pmu_shape {
    uint8_t version, general, fixed, general_width, fixed_width;
    bool capabilities; // IA32_PERF_CAPABILITIES, with full-width writes; freezing on the interrupt
};

struct isa_pmu {
    struct isa_pmu_shape has;
    uint64_t counter[ISA_PMU_ALL];
    uint64_t select[ISA_PMU_GENERAL];
    uint64_t fixed_ctrl, global_ctrl, status;
    // derived
    uint64_t base[ISA_PMU_NSOURCE]; // the sources when the counters were brought up to date
    struct {
        uint8_t plus, minus; // counts what the first source has gone on by more than the second (enum isa_pmu_source)
        uint8_t rings;       // bit 0: in ring 0, bit 1: above; 0: the counter is off
        bool interrupts;     // when it overflows
    } how[ISA_PMU_ALL];
    uint8_t ring;             // CPL for which it counted since
    bool on, armed, branches; // some counter is on; interrupts when it overflows; counts branches
};

struct isa_cpu;
enum isa_rule;

#define ISA_DEBUGCTL_FREEZE_PMU (1ull << 12)             // IA32_DEBUGCTL: an overflow interrupt stops all counters
#define ISA_PERF_FULL_WRITES    (1ull << 13)             // IA32_PERF_CAPABILITIES
uint64_t isa_pmu_global_bits(const struct isa_cpu *c);   // those of IA32_PERF_GLOBAL_CTRL that are not reserved
uint64_t isa_pmu_debugctl_bits(const struct isa_cpu *c); // those of IA32_DEBUGCTL that performance monitoring defines

// MSRs: the rows of isa/msr.def of kind PMU. Does the processor have this one? Its value; a write: false with *rule if it may not be.
bool isa_pmu_has(const struct isa_cpu *c, uint32_t msr);
uint64_t isa_pmu_read(struct isa_cpu *c, uint32_t msr);
uint64_t isa_pmu_peek(struct isa_cpu *c, uint32_t msr); // the same for an observer: nothing changes; 0 if there is no such register
bool isa_pmu_write(struct isa_cpu *c, uint32_t msr, uint64_t v, enum isa_rule *rule);
// IA32_PERF_GLOBAL_CTRL as VM entries and VM exits load and save it; no checks.
void isa_pmu_load_global(struct isa_cpu *c, uint64_t v);
// RDPMC: the counter that ECX names. false: there is none.
bool isa_pmu_rdpmc(struct isa_cpu *c, uint32_t ecx, uint64_t *val);

// Is the instruction of a row of isa/opcodes.def a branch, near or far? Software interrupts and system calls are.
bool isa_pmu_branch(unsigned op);

void isa_pmu_reset(struct isa_cpu *c); // after RESET; asks CPUID what there is. INIT changes nothing
// Bring the counters up to date; overflows set status bits and send interrupts (env->pmi).
void isa_pmu_sync(struct isa_cpu *c);
// The sources begin anew: from now on their numbers have nothing to do with those before. To be called after isa_pmu_sync().
void isa_pmu_restart(struct isa_cpu *c);
// CPL has changed while isa_cpu.pmu_rings is set.
void isa_pmu_ring(struct isa_cpu *c);
// No counter that interrupts overflows before its processor has gone on by so many cycles, and no other one before so many instructions.
// UINT64_MAX: never. Exact for a counter of plain cycles or instructions, else a lower bound.
struct isa_pmu_next {
    uint64_t cycles, insns;
};
struct isa_pmu_next isa_pmu_next(const struct isa_cpu *c);

#endif
