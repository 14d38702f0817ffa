// isa/testenv.h: a small machine for the tests of this folder: flat RAM, identity translation, recorders for everything else.
//
// MODELS     RAM at linear = physical addresses [base, base + size), with page protection for fault tests; an inline TLB that can be
//            switched off; either dispatcher; no interrupts, no devices.
// USE        struct isa_testenv *t = isa_te_create(0x10000, 0x10000);
//            isa_te_mode(t, ISA_PROT32, 0);
//            isa_te_code(t, 0x10000, (const uint8_t[]){0x40}, 1);      // inc eax, and RIP to it
//            assert_int_equal(isa_te_run(t, 1), ISA_R_STOP);
//            isa_te_destroy(t);
//            It stops before anything it cannot do: see isa_te_run. Set deliver = isa_deliver_fault to let guests handle faults.
#ifndef ISA_TESTENV_H
#define ISA_TESTENV_H

#include "isa/decode.h"
#include "isa/exec.h"
#include "isa/tables.h"

#define ISA_TE_BLOCK 32 // most instructions in a block

// Page rights that isa_te_protect() takes away.
enum {
    ISA_TE_NO_READ = 1,
    ISA_TE_NO_WRITE = 2,
    ISA_TE_NO_EXEC = 4,
    ISA_TE_NO_RUN = 8 /* no host pointers, no inline TLB: as MMIO */
};

struct isa_testenv {
    struct isa_cpu cpu; // first: env functions convert
    struct isa_env env;
    // the machine; change it between runs
    bool mirror;    // fill the inline TLB (default true)
    bool tail;      // use the tail-calling handlers where the build has them (default false)
    bool one_chunk; // return when a repeated instruction gives way, instead of entering it again (default false)
    unsigned block; // instructions per block, 1..ISA_TE_BLOCK (default 1)
    uint64_t features[4];
    uint32_t cost[ISA_COST_NUM];
    int (*deliver)(struct isa_cpu *c); // called on ISA_R_FAULT if not NULL; 0 or ISA_R_STOP lets the run go on
    uint8_t *ram;
    uint64_t base, size;
    uint8_t *rights; // ISA_TE_*, one byte per page
    // recorders
    struct isa_te_io {
        uint16_t port;
        uint8_t size;
        bool in;
        uint32_t val;
    } io[16];
    unsigned nio;
    uint32_t in_value; // what port reads return, truncated to their size
    unsigned nicpt;
    enum isa_icpt icpt;
    uint64_t icpt_arg, icpt_val;
    int icpt_result; // what intercept() returns (default 0)
    uint64_t icpt_new;
    bool icpt_set; // intercept() replaces *val by icpt_new
    unsigned nvmx;
    uint16_t vmx_op;
    int vmx_result;
    unsigned ninval;
    enum isa_inval inval;
    uint64_t inval_a, inval_b, inval_la;
    unsigned nevent, ncr, nmsr, nseg, nring;
    struct isa_event event;
    unsigned ncharge[ISA_COST_NUM];
    uint64_t random;
    // performance monitoring: CPUID.0AH for the next isa_reset() (0: none), how far sources have come, overflow interrupts
    uint32_t perfmon[4];
    uint64_t branches, llc_refs, llc_misses;
    unsigned npmi;
    // MSRs behind env->rdmsr and wrmsr: one, for tests
    uint32_t msr;
    uint64_t msr_val;
    // the current block
    struct isa_insn insn[ISA_TE_BLOCK + 1];
};

// All RAM zero, all rights given, 64-bit mode at CPL 0, all features. base and size are multiples of 4096. NULL if memory is short.
struct isa_testenv *isa_te_create(uint64_t base, uint64_t size);
void isa_te_destroy(struct isa_testenv *t);

// Enter a mode with flat segments (real and virtual-8086 mode: base 0, limit FFFFH), CPL 0..3 where the mode has a choice, RFLAGS = 2;
// general registers stay. Selectors are 8 + 8 * register number + CPL (real, virtual-8086: 0).
void isa_te_mode(struct isa_testenv *t, enum isa_mode mode, unsigned cpl);

// Host pointer to a linear address; bytes up to base + size follow.
void *isa_te_at(struct isa_testenv *t, uint64_t la);
// Put code into RAM and let RIP point to it (CS.base is subtracted).
void isa_te_code(struct isa_testenv *t, uint64_t la, const void *code, unsigned n);
// Take rights away from the pages of [la, la + n), or give all back (0).
void isa_te_protect(struct isa_testenv *t, uint64_t la, uint64_t n, unsigned rights);
void isa_te_flush(struct isa_testenv *t); // empty the inline TLB

// Run until `max` instructions have retired (ISA_R_STOP), or the processor leaves ISA_ACTIVE (ISA_R_STOP), or a fault that nobody
// delivers (ISA_R_FAULT; cpu.fault is set and RIP at the instruction), or a VM exit. A repeated string instruction that gives way
// is entered again (but see one_chunk). cpu.insns and cpu.cycles count on.
int isa_te_run(struct isa_testenv *t, uint64_t max);

#endif
