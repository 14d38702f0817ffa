// isa/env.h: what instructions ask of the machine around the processor.
//
// isa/ must not include sim/ or vmx-model/, so the machine hands every processor this table of functions. All of them are on
// slow paths: the common memory access is served by the inline TLB of struct isa_cpu (isa/mem.h), everything else is rare.
//
// RESULTS    functions returning int give 0 (done) or an enum isa_result other than NEXT, with c->fault or the machine's VM-exit
//            record set; the handler then commits nothing and returns it.
// TESTS      isa/testenv.h gives a small flat machine for the tests of this folder.
#ifndef ISA_ENV_H
#define ISA_ENV_H

#include "isa/insn.h"

// How memory is accessed (or'ed).
enum {
    ISA_ACC_R = 0,
    ISA_ACC_W = 1,     // write
    ISA_ACC_X = 2,     // instruction fetch
    ISA_ACC_SYS = 4,   // implicit supervisor access: descriptor tables, TSS, inner stacks; ignores CPL
    ISA_ACC_RMW = 8,   // with R: the same bytes will be written; write permission is checked and D set now
    ISA_ACC_USER = 16, // with any: treat as user whatever CPL (not with SYS)
};

// Points at which the virtualization layer may take over in VMX non-root operation. A handler calls env->intercept() after the
// checks that come before the VM exit (#UD, CPL where the manual says so) and before it commits. arg and *val per point:
enum isa_icpt {
    ISA_ICPT_CPUID, // -
    ISA_ICPT_HLT,
    ISA_ICPT_PAUSE,
    ISA_ICPT_MWAIT,
    ISA_ICPT_MONITOR,
    ISA_ICPT_INVD,
    ISA_ICPT_WBINVD,
    ISA_ICPT_XSETBV,
    ISA_ICPT_XSAVES,  // arg = components asked for that IA32_XSS enables
    ISA_ICPT_XRSTORS, // the same
    ISA_ICPT_RSM,
    ISA_ICPT_GETSEC,
    ISA_ICPT_INVLPG,          // arg = linear address
    ISA_ICPT_INVPCID,         // arg = linear address of the descriptor
    ISA_ICPT_INVPCID_ENABLED, // before all other checks of INVPCID: never exits, but #UD unless the VMM enables it
    ISA_ICPT_RDTSC,
    ISA_ICPT_RDPID,  // of RDTSCP too, before its other checks: never exits, but #UD unless the VMM enables it
    ISA_ICPT_RDTSCP, // *val: TSC value in and out (offset applied)
    ISA_ICPT_RDPMC,
    ISA_ICPT_RDRAND,
    ISA_ICPT_RDSEED,
    ISA_ICPT_RDMSR,       // arg = MSR, *val: for IA32_TSC the counter in and out (TSC offsetting), else 0
    ISA_ICPT_WRMSR,       // arg = MSR, *val = value
    ISA_ICPT_MOV_TO_CR,   // arg = CR number | gpr << 8, *val: value in; value to load out (guest/host mask applied)
    ISA_ICPT_MOV_FROM_CR, // arg = CR number | gpr << 8, *val: value in; value to return out (read shadow applied)
    ISA_ICPT_CLTS,        // *val: CR0 in; CR0 to load out
    ISA_ICPT_LMSW,        // arg = is_mem | linear address << 1 (16-bit operand), *val: source in; CR0 bits 3..0 to load out
    ISA_ICPT_SMSW,        // *val: CR0 in; value to store out. Never exits
    ISA_ICPT_MOV_DR,      // arg = DR number | gpr << 8 | (from DR) << 16
    ISA_ICPT_IO, // arg = port | size << 16 | in << 24 | string << 25 | rep << 26 | imm << 27; *val: linear address (string)
    ISA_ICPT_TASK_SWITCH,   // arg = selector | source << 30 (0 CALL, 1 IRET, 2 JMP, 3 task gate in IDT: i is NULL)
    ISA_ICPT_DTR_GDTR_IDTR, // SGDT SIDT LGDT LIDT; arg = linear address of the operand
    ISA_ICPT_DTR_LDTR_TR,   // SLDT STR LLDT LTR; arg = linear address, or 0 for a register operand
    ISA_ICPT_NUM
};

// The virtualization layer carried out the access itself (RDMSR: *val is the value; WRMSR, MOV to CR: nothing is left to do).
#define ISA_ICPT_DONE 0x40

// TLB and paging-structure-cache effects of instructions (manual, "Invalidation of TLBs and Paging-Structure Caches").
enum isa_inval {
    ISA_INVAL_INVLPG,  // a = linear address
    ISA_INVAL_INVPCID, // a = type, b = PCID, la = address
    ISA_INVAL_CR3,     // after CR3 was loaded; a = new value as written (bit 63 = no flush)
    ISA_INVAL_CR0_PG,  // PG changed
    ISA_INVAL_CR4,     // a = old CR4 ^ new CR4
    ISA_INVAL_TASK,    // task switch loaded CR3
    ISA_INVAL_EFER,    // NXE or LMA changed
};

// What PREFETCHh and PREFETCHW ask for (manual, "PREFETCHh").
enum isa_prefetch { ISA_PREFETCH_NTA, ISA_PREFETCH_T0, ISA_PREFETCH_T1, ISA_PREFETCH_T2, ISA_PREFETCH_W };

struct isa_env {
    // Linear memory. n bytes, 1..64, may cross pages; Canonicality was checked by segmentation. acc as above. *buf untouched on failure.
    int (*read)(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc);
    int (*write)(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc);
    // Check that an access of n bytes would succeed (a write if acc says W), setting A and D; for instructions that must not fault half-way.
    int (*probe)(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc);
    // A host pointer for a run of bytes starting at la inside one page of plain RAM, and how many bytes follow there (at most max).
    // NULL where there is no such run (MMIO, code page on write, watched page, would fault): use read/write instead.
    void *(*host_run)(struct isa_cpu *c, uint64_t la, uint64_t max, uint64_t *len, unsigned acc);
    // k elements were moved by such pointers, from s (NULL: from a register) to d. May be NULL.
    void (*host_ran)(struct isa_cpu *c, const void *d, const void *s, uint64_t k);
    uint64_t run_mask; // bits of an address inside of what runs end at: a page, or a line of the caches
    // Guest-physical memory, without paging (PDPTE loads, VMX). EPT applies in non-root operation when phys is guest-physical.
    int (*read_phys)(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n);
    int (*write_phys)(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n);
    // Ports. size 1, 2, 4. The I/O permission bitmap was checked before.
    int (*in)(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t *val);
    int (*out)(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t val);
    // MSRs that isa/msr.def does not hold (VMX capability, APIC, ...). false: no such MSR or bad value -> #GP(0).
    bool (*rdmsr)(struct isa_cpu *c, uint32_t msr, uint64_t *val);
    bool (*wrmsr)(struct isa_cpu *c, uint32_t msr, uint64_t val);
    void (*cpuid)(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4]);
    uint64_t (*tsc)(struct isa_cpu *c, uint64_t cycles); // time-stamp counter at a cycle count, TSC offset of the MSR applied
    uint64_t (*random)(struct isa_cpu *c);               // RDRAND, RDSEED: from the machine's seeded log
    void (*inval)(struct isa_cpu *c, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la);
    // The mode, CPL, CR0, CR4 or RFLAGS.AC changed (from isa_update_mode): choose the mirror context. May be NULL.
    void (*context)(struct isa_cpu *c);
    // VMX. intercept() is called in non-root operation only. vmx() runs the VMX instruction of row i->op in any operation.
    int (*intercept)(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val);
    int (*intercept_event)(struct isa_cpu *c, const struct isa_event *e); // exception or NMI about to be delivered: 0 or VMEXIT
    int (*intercept_triple)(struct isa_cpu *c);                           // triple fault: VMEXIT, or 0 (then shutdown)
    int (*vmx)(struct isa_cpu *c, const struct isa_insn *i);
    // Charge dynamic cycles by name of a cost class (isa/costs.def): segment load, exception delivery, task switch ...
    void (*charge)(struct isa_cpu *c, unsigned cost_class);
    // Performance monitoring (isa/pmu.h): how far the sources have come at the beginning of the instruction under way; a counter overflowed that
    // interrupts; the counters or their controls have changed.
    void (*pmu_now)(struct isa_cpu *c, uint64_t now[ISA_PMU_NSOURCE]);
    void (*pmi)(struct isa_cpu *c);
    void (*pmu_changed)(struct isa_cpu *c);
    // Bring the line of an address towards the processor, unless that would fault. May be NULL.
    void (*prefetch)(struct isa_cpu *c, uint64_t la, enum isa_prefetch hint);
    // INVD, WBINVD: empty the caches. May be NULL.
    void (*flush_caches)(struct isa_cpu *c, bool write_back);
    // MONITOR armed the line around a linear address; MWAIT waits for a store to it, or for anything else that the machine chooses. May be
    // NULL: MWAIT returns at once, which is within its definition.
    void (*monitor)(struct isa_cpu *c, uint64_t la);
    void (*mwait)(struct isa_cpu *c);
    // Tell observers; no-ops while nobody listens. Rare events only.
    void (*on_event)(struct isa_cpu *c, const struct isa_event *e); // an event was delivered (vector through the IDT)
    void (*on_cr)(struct isa_cpu *c, unsigned cr, uint64_t old, uint64_t now);
    void (*on_msr)(struct isa_cpu *c, uint32_t msr, uint64_t val, bool write);
    void (*on_seg)(struct isa_cpu *c, unsigned sreg, uint16_t sel); // a descriptor was loaded by a far transfer or MOV
    void (*on_ring)(struct isa_cpu *c, unsigned from, unsigned to); // CPL changed
};

#endif
