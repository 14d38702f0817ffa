// isa/cpu.h: the architectural state of one logical processor.
//
// MODELS     what software can observe of an x86-64 processor outside VMX: general registers, RFLAGS, segment registers with
//            their hidden parts, control, debug and model-specific registers, and what is pending or blocked.
// MANUAL     "Basic Execution Environment", "System Architecture Overview", "Protected-Mode Memory Management" (isa/sdm.def).
// OWNERSHIP  the machine (sim/) owns each struct isa_cpu; isa/ never allocates. sim/ embeds it as the first member of its
//            own processor, so a pointer converts both ways.
// EXACTNESS  inside a block of decoded instructions rip, cycles and insns lag: they are the values at the block's start. They
//            are exact whenever the engine has control (between blocks, at a fault, at a VM exit, in the observed loop). A
//            handler that needs them mid-block uses isa_insn_rip(), isa_next_rip() and isa_now() of isa/exec.h.
#ifndef ISA_CPU_H
#define ISA_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "isa/pmu.h"

// Physical addresses are of two kinds that must not mix. Linear addresses are plain uint64_t named `la`.
struct gpa {
    uint64_t v;
}; // guest-physical; equal to host-physical when EPT is off
struct hpa {
    uint64_t v;
}; // host-physical: an address in the machine's RAM or of its devices

// General registers in encoding order. Two more slots make address computation free of branches:
// ZERO always reads 0 ("no base", "no index"); RIP holds the linear start of the current block (see struct isa_insn.disp).
enum isa_reg {
    ISA_RAX,
    ISA_RCX,
    ISA_RDX,
    ISA_RBX,
    ISA_RSP,
    ISA_RBP,
    ISA_RSI,
    ISA_RDI,
    ISA_R8,
    ISA_R9,
    ISA_R10,
    ISA_R11,
    ISA_R12,
    ISA_R13,
    ISA_R14,
    ISA_R15,
    ISA_REG_ZERO,
    ISA_REG_RIP,
    ISA_NREG
};

// Segment registers in encoding order, then the two system segment registers.
enum isa_sreg { ISA_ES, ISA_CS, ISA_SS, ISA_DS, ISA_FS, ISA_GS, ISA_LDTR, ISA_TR, ISA_NSREG };

// A segment register with its hidden part. Access rights use the VMCS layout (manual, "Guest Register State"):
//    16        15  14   13  12   11..8  7  6..5  4  3..0
//    unusable  G   D/B  L   AVL  0      P  DPL   S  type
// limit is in bytes, already scaled by G.
struct isa_seg {
    uint64_t base;
    uint32_t limit;
    uint32_t ar;
    uint16_t sel;
};
#define ISA_AR_TYPE      0x000fu
#define ISA_AR_S         (1u << 4)
#define ISA_AR_DPL_SHIFT 5
#define ISA_AR_DPL       (3u << 5)
#define ISA_AR_P         (1u << 7)
#define ISA_AR_AVL       (1u << 12)
#define ISA_AR_L         (1u << 13)
#define ISA_AR_DB        (1u << 14)
#define ISA_AR_G         (1u << 15)
#define ISA_AR_UNUSABLE  (1u << 16)

struct isa_dtr {
    uint64_t base;
    uint16_t limit;
}; // GDTR, IDTR

// RFLAGS bits.
#define ISA_FL_CF          (1u << 0)
#define ISA_FL_1           (1u << 1)
#define ISA_FL_PF          (1u << 2)
#define ISA_FL_AF          (1u << 4)
#define ISA_FL_ZF          (1u << 6)
#define ISA_FL_SF          (1u << 7)
#define ISA_FL_TF          (1u << 8)
#define ISA_FL_IF          (1u << 9)
#define ISA_FL_DF          (1u << 10)
#define ISA_FL_OF          (1u << 11)
#define ISA_FL_IOPL        (3u << 12)
#define ISA_FL_IOPL_SHIFT  12
#define ISA_FL_NT          (1u << 14)
#define ISA_FL_RF          (1u << 16)
#define ISA_FL_VM          (1u << 17)
#define ISA_FL_AC          (1u << 18)
#define ISA_FL_VIF         (1u << 19)
#define ISA_FL_VIP         (1u << 20)
#define ISA_FL_ID          (1u << 21)
#define ISA_FL_STATUS      (ISA_FL_CF | ISA_FL_PF | ISA_FL_AF | ISA_FL_ZF | ISA_FL_SF | ISA_FL_OF)

#define ISA_CR0_PE         (1u << 0)
#define ISA_CR0_MP         (1u << 1)
#define ISA_CR0_EM         (1u << 2)
#define ISA_CR0_TS         (1u << 3)
#define ISA_CR0_ET         (1u << 4)
#define ISA_CR0_NE         (1u << 5)
#define ISA_CR0_WP         (1u << 16)
#define ISA_CR0_AM         (1u << 18)
#define ISA_CR0_NW         (1u << 29)
#define ISA_CR0_CD         (1u << 30)
#define ISA_CR0_PG         (1u << 31)

#define ISA_CR4_VME        (1u << 0)
#define ISA_CR4_PVI        (1u << 1)
#define ISA_CR4_TSD        (1u << 2)
#define ISA_CR4_DE         (1u << 3)
#define ISA_CR4_PSE        (1u << 4)
#define ISA_CR4_PAE        (1u << 5)
#define ISA_CR4_MCE        (1u << 6)
#define ISA_CR4_PGE        (1u << 7)
#define ISA_CR4_PCE        (1u << 8)
#define ISA_CR4_OSFXSR     (1u << 9)
#define ISA_CR4_OSXMMEXCPT (1u << 10)
#define ISA_CR4_UMIP       (1u << 11)
#define ISA_CR4_LA57       (1u << 12)
#define ISA_CR4_VMXE       (1u << 13)
#define ISA_CR4_SMXE       (1u << 14)
#define ISA_CR4_FSGSBASE   (1u << 16)
#define ISA_CR4_PCIDE      (1u << 17)
#define ISA_CR4_OSXSAVE    (1u << 18)
#define ISA_CR4_SMEP       (1u << 20)
#define ISA_CR4_SMAP       (1u << 21)
#define ISA_CR4_PKE        (1u << 22)

#define ISA_EFER_SCE       (1u << 0)
#define ISA_EFER_LME       (1u << 8)
#define ISA_EFER_LMA       (1u << 10)
#define ISA_EFER_NXE       (1u << 11)

// The processor mode, derived from CR0.PE, RFLAGS.VM, EFER.LMA, CS.L and CS.D by isa_update_mode().
enum isa_mode { ISA_REAL, ISA_V86, ISA_PROT16, ISA_PROT32, ISA_COMPAT16, ISA_COMPAT32, ISA_LONG64, ISA_NMODE };

enum isa_vmx_mode { ISA_VMX_OFF, ISA_VMX_ROOT, ISA_VMX_NONROOT };

// Interruptibility, with the bit positions of the VMCS field "Guest interruptibility state".
#define ISA_BLOCK_STI    (1u << 0)
#define ISA_BLOCK_MOVSS  (1u << 1)
#define ISA_BLOCK_SMI    (1u << 2)
#define ISA_BLOCK_NMI    (1u << 3)

// Activity, with the values of the VMCS field "Guest activity state".
// IA32_PM_CTL1: its bits, and its value at RESET, which is the initial state of the XSAVE component too.
#define ISA_PM_CTL1_MASK 1ull
#define ISA_PM_CTL1_INIT 1ull

enum isa_activity { ISA_ACTIVE, ISA_HLT, ISA_SHUTDOWN, ISA_WAIT_SIPI };

// How an event came about, with the values of the "interruption type" field of VM-entry interruption information.
enum isa_event_type {
    ISA_EV_EXTINT = 0,
    ISA_EV_NMI = 2,
    ISA_EV_HWEXC = 3,
    ISA_EV_SWINT = 4,
    ISA_EV_PRIVSW = 5 /* INT1 */,
    ISA_EV_SWEXC = 6 /* INT3, INTO */
};

// An interrupt or exception on its way to delivery. rule names the row of isa/rules.def that raised it (0: none).
struct isa_event {
    uint8_t type; // enum isa_event_type
    uint8_t vector;
    uint8_t insn_len; // of INT n, INT3, INTO, INT1: what the return address skips; 0 for faults
    bool has_error;
    uint32_t error;
    uint16_t rule;
    uint64_t addr; // #PF: the faulting linear address (loaded into CR2 at delivery); else 0
    uint64_t dr6;  // #DB: bits to set in DR6 at delivery; else 0
};

#define ISA_CHAIN_MAX 8 // events of one triple fault: serial faults, #DF, and what its delivery raised

// The inline TLB ("mirror"): a direct cache of live entries of the architectural L1 data TLB, so that the common memory
// access costs one compare. tag = page of la | context << 4 (that is isa_cpu.mctx; bits 3..0 are left for the alignment
// test); an empty slot holds ISA_MIRROR_EMPTY, which equals no tag. host = addend + la.
struct isa_mirror {
    uint64_t tag;
    uint64_t addend;
};
#define ISA_MIRROR_BITS  8
#define ISA_MIRROR_SIZE  (1u << ISA_MIRROR_BITS)
#define ISA_MIRROR_EMPTY UINT64_MAX
// Slot of a linear address. Folding higher bits in keeps streams that are a power of two apart from evicting each other.
static inline unsigned isa_mirror_slot(uint64_t la)
{
    return (unsigned)((la >> 12) ^ (la >> 20) ^ (la >> 28)) & (ISA_MIRROR_SIZE - 1);
}

// An XMM register, or the upper half of a YMM register, as lanes of every width.
union isa_vec {
    uint64_t q[2];
    uint32_t d[4];
    uint16_t w[8];
    uint8_t b[16];
    int64_t sq[2];
    int32_t sd[4];
    int16_t sw[8];
    int8_t sb[16];
};

// The x87 unit. r[] holds the physical registers R0..R7; ST(k) is R((TOP + k) mod 8), MMk is the significand of Rk.
//    sig   bit 63 integer bit, 62..0 fraction
//    se    bit 15 sign, 14..0 exponent, biased by 16383
// Instead of the tag word a bit for each physical register tells that it is not empty; the other tags follow from the contents.
// fip is the offset of the last instruction that was not a control instruction; fop and fdp are kept for unmasked exceptions only,
// and the selectors read 0, as on processors with CPUID.7.0:EBX[6] and [13].
struct isa_f80 {
    uint64_t sig;
    uint16_t se;
};
struct isa_x87 {
    struct isa_f80 r[8];
    uint16_t cw, sw, fop;
    uint8_t valid;
    uint64_t fip, fdp;
};

// A bound register: the lower bound, and the one's complement of the upper one, so that all zeros allow every address.
struct isa_bounds {
    uint64_t lb, ub;
};

struct isa_env;
struct isa_insn;

struct isa_cpu {
    // --- hot: general registers and lazy flags (isa/flags.h)
    uint64_t gpr[ISA_NREG];
    uint64_t rip;
    uint32_t cc_kind;
    uint32_t rflags_sys; // RFLAGS without the six status flags; bit 1 always set. Read with isa_rflags()
    uint64_t cc_a, cc_b, cc_res;
    // --- the clock
    uint64_t cycles; // model cycles since reset
    uint64_t insns;  // instructions retired since reset
    uint64_t budget; // blocks may run only while cycles <= budget; the engine owns it
    // Which block follows which holds for an epoch: it changes when what a fetch may find, the mode or the CS limit changes, and comes back with
    // them where that is sure (a system call and its return).
    //    63..16 generation (its low three bits are the processor's number; isa_new_generation)   15..8 mode_key   7..0 translation context
    uint64_t epoch, generation;
    // --- mode, derived (isa_update_mode)
    uint8_t mode; // enum isa_mode
    uint8_t cpl;
    uint8_t vmx;            // enum isa_vmx_mode
    uint8_t activity;       // enum isa_activity
    uint32_t blocking;      // ISA_BLOCK_*
    bool iret_keeps_nmi;    // IRET does not end blocking by NMI ("NMI exiting" without "virtual NMIs")
    bool iret_unblocked;    // an IRET ended it and then faulted; until that fault is delivered or exits
    uint8_t ring_key[2];    // what the ring adds to mode_key: CPL below 3, CPL 3; derived (isa_update_mode)
    uint32_t mode_key;      // what decoded blocks depend on: mode, flat segments, CPL class, non-root, MPX
    uint64_t mctx;          // context number << 4, as it stands in mirror tags; sim/ sets it
#define ISA_MCTX_USER 0x10u // of mctx: CPL = 3
    bool pmu_rings;         // a performance counter is on that counts in some rings only
    uint8_t seg_flat;       // bit s: segment s has base 0, covers all of 4 GB and is readable and writable (CS: readable)
    // --- segments and tables
    struct isa_seg seg[ISA_NSREG];
    struct isa_dtr gdtr, idtr;
    // --- control and debug registers
    uint64_t cr0, cr2, cr3, cr4, cr8, xcr0, xss;
    uint64_t pm_ctl1; // IA32_PM_CTL1: hardware duty cycling
    uint32_t pkru;    // protection keys: bits 2k (no access) and 2k + 1 (no write) of key k
    uint64_t dr[8];   // 4 and 5 unused
    uint64_t efer;
    uint64_t pdpte[4];    // PAE PDPTE registers
    uint64_t pending_dbg; // trap-class debug conditions (DR6 bits) that wait for the end of the instruction
    // --- model-specific registers with state (isa/msr.def); FS and GS base live in seg[]
    uint64_t kernel_gs_base, star, lstar, cstar, fmask;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, apic_base, tsc_offset, tsc_aux, tsc_adjust, misc_enable, debugctl, feature_control, spec_ctrl, mtrr_def_type;
    uint64_t mtrr_var[16], mtrr_fix[11]; // IA32_MTRR_PHYSBASEn and PHYSMASKn in turn; the fixed ranges in address order
    // --- VMX operation (vmx not OFF): bits that CR0 and CR4 must have (fixed0) and may have (fixed1); set by VMXON and VM entry
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    // --- what happened
    const struct isa_insn
        *at;                // the instruction being executed, or that stopped the block; NULL while no block runs. Handlers keep it
                            // (ISA_HERE), so time and place are exact wherever the machine has control
    struct isa_event fault; // set by isa_raise*()
    struct isa_event delivering; // event whose delivery is under way (IDT-vectoring information), if delivering_valid
    bool delivering_valid;
    uint8_t raise_ext; // 1 while an event external to the program is delivered: error codes get the EXT bit
    bool rep_mid; // a repeated string instruction gave way between two iterations, and nothing happened since: RF is pushed as 1
    bool rep_cut; // a repeated CMPS or SCAS gave way between two iterations, and nothing happened since: its flags at the start are
    uint64_t rep_cc[4]; // here (kind, a, b, res), for a fault gives them back. Whoever takes control elsewhere clears rep_cut
    uint8_t dbg_hits;   // data and I/O breakpoints that the instruction under way has met, as in DR6 (isa/debug.h)
    bool irq_waits;     // engine: an interrupt or NMI waits that would come in as soon as RFLAGS.IF lets it
    // RF that IRET loaded counts until an instruction completes, and where nobody can tell, no flag is set for so short a time: rf_at is the
    // count of instructions at which RF is 1 (0: none). rf_lazy: the engine allows it.
    uint64_t rf_at;
    bool rf_lazy;
    uint8_t attention; // engine: look at interrupts, debug traps or windows before the next block
    // --- ports to the machine, and the inline TLBs
    const struct isa_env *env;
    uint64_t guess; // addend of the page that the inline TLB learned last; neighbours often have the same
    struct isa_mirror rd[ISA_MIRROR_SIZE];
    struct isa_mirror wr[ISA_MIRROR_SIZE];
    // --- floating point and vectors (isa/fpu.h)
    union isa_vec xmm[16] __attribute__((aligned(16)));
    struct isa_x87 x87;
    uint32_t mxcsr;
    struct isa_pmu pmu; // performance monitoring
    // --- memory-protection extensions (isa/mpx.h). Change the configurations with the functions there: mode_key depends on them
    struct isa_bounds bnd[4];
    uint64_t bndcfgu, bndstatus, bndcfgs;
    // --- for people: the event under way, then what its delivery raised, and so on; complete when a triple fault ends it
    struct isa_event chain[ISA_CHAIN_MAX];
    uint8_t chain_n;
    // --- bits 255..128 of the YMM registers. They stand here, far from xmm[], so that what everything else uses stays close together
    union isa_vec ymmh[16] __attribute__((aligned(16)));
};

// Put the processor into the state after RESET (manual, "Processor State After Reset"): real mode, CS:RIP = F000:FFF0 with base
// FFFF0000H. Keeps env. The clock starts at 0.
void isa_reset(struct isa_cpu *c);

// Put the processor into the state after INIT: as after RESET, but the clock, the caches' bits of CR0, floating point, vectors and the
// model-specific registers other than IA32_EFER and IA32_DEBUGCTL keep their values. A processor that is not the bootstrap processor
// then waits for a start-up IPI.
void isa_init(struct isa_cpu *c);

// Recompute mode, cpl, seg_flat and mode_key, and let the machine choose its translation context (env->context). Call it after any
// change to CR0, CR4, EFER, XCR0, RFLAGS.VM, RFLAGS.AC, CS, SS, DS, ES or vmx. CPL is SS.DPL in protected mode, 0 in real, 3 in V86 mode.
//    mode_key  bits 2..0 mode, 3 MPX enabled for this CPL, 4 CPL = 3, 5 flat (64-bit mode, or ES, CS, SS, DS all flat), 6 VMX non-root, 7 SS.D
void isa_update_mode(struct isa_cpu *c);
// The same where nothing changed but CS and SS: 64-bit code that goes to 64-bit code of another ring, mostly.
void isa_update_ring(struct isa_cpu *c);
#define ISA_KEY_MPX     (1u << 3)
#define ISA_KEY_CPL3    (1u << 4)
#define ISA_KEY_FLAT    (1u << 5)
#define ISA_KEY_NONROOT (1u << 6)
#define ISA_KEY_SS_D    (1u << 7)

// mode_key or mctx may have changed; or, with a new generation, what a fetch finds under the same ones.
static inline void isa_new_epoch(struct isa_cpu *c)
{
    c->epoch = c->generation << 16 | (c->mode_key & 0xff) << 8 | (c->mctx >> 4 & 0xff);
}
static inline void isa_new_generation(struct isa_cpu *c)
{
    c->generation += 8;
    isa_new_epoch(c);
}

static inline bool isa_long(const struct isa_cpu *c) { return c->efer & ISA_EFER_LMA; }
static inline bool isa_code64(const struct isa_cpu *c) { return c->mode == ISA_LONG64; }
static inline unsigned isa_dpl(const struct isa_seg *s) { return (s->ar & ISA_AR_DPL) >> ISA_AR_DPL_SHIFT; }

// Canonical for the current paging mode: bits 63..47 equal (bits 63..56 with CR4.LA57).
static inline bool isa_canonical(const struct isa_cpu *c, uint64_t la)
{
    unsigned sh = (c->cr4 & ISA_CR4_LA57) ? 7 : 16;
    return (uint64_t)((int64_t)(la << sh) >> sh) == la;
}

#endif
