// vmx-model/internal.h: shared by the files of vmx-model/ only.
#ifndef VMX_INTERNAL_H
#define VMX_INTERNAL_H

#include "isa/env.h"
#include "isa/fault.h"
#include "vmx-model/controls.h"
#include "vmx-model/vmx.h"

enum vmx_reason {
#define X(number, name, qualification, text) VMX_R_##name = number,
#include "vmx-model/exit_reasons.def"
#undef X
};
#define VMX_R_ENTRY_FAILURE (1u << 31)

enum vmx_error {
#define E(number, name, text) VMX_E_##name = number,
#include "vmx-model/errors.def"
#undef E
};

// VMX-abort indicators (manual, "VMX Aborts").
enum vmx_abort { VMX_ABORT_STORE_MSR = 1, VMX_ABORT_PDPTE = 2, VMX_ABORT_LOAD_MSR = 4, VMX_ABORT_64_TO_32 = 6 };

// Interruption information (VM-entry, VM-exit and IDT-vectoring): vector 7..0, type 10..8, error code valid 11, valid 31.
#define VMX_INTR_VALID      (1u << 31)
#define VMX_INTR_ERROR      (1u << 11)
#define VMX_INTR_UNBLOCKED  (1u << 12) // VM exit: NMI unblocking due to IRET
#define EPT_QUAL_UNBLOCKED  (1u << 12) // the same in the qualification of an EPT violation
#define VMX_INTR_VECTOR(x)  ((unsigned)(x)&0xff)
#define VMX_INTR_TYPE(x)    ((unsigned)((x) >> 8) & 7)
#define VMX_INTR_TYPE_OTHER 7u // VM entry: with vector 0, a pending MTF VM exit

// Host-physical memory, in any operation: VMX structures are never translated by EPT.
int vmx_phys_read(struct isa_cpu *c, uint64_t pa, void *buf, unsigned n);
int vmx_phys_write(struct isa_cpu *c, uint64_t pa, const void *buf, unsigned n);
static inline bool vmx_beyond_width(const struct vmx_cpu *v, uint64_t pa) { return pa >> v->maxphyaddr; }

// Begin the record of a VM exit; returns ISA_R_VMEXIT. i (or NULL) gives the instruction length.
int vmx_exit_record(struct vmx_cpu *v, uint32_t reason, uint64_t qual, const struct isa_insn *i);
// VM-exit instruction information of an instruction with a memory (or register) operand: the part that all layouts share.
uint32_t vmx_operand_info(const struct isa_cpu *c, const struct isa_insn *i);
// Displacement as the exit qualification reports it.
uint64_t vmx_displacement(const struct isa_cpu *c, const struct isa_insn *i);

uint64_t vmx_timer_left(const struct vmx_cpu *v); // VMX-preemption timer at the exit being taken

// state.c: the loops over state_map.def.
void vmx_save_guest(struct isa_cpu *c, struct vmx_cpu *v);
void vmx_load_guest(struct isa_cpu *c, struct vmx_cpu *v);
void vmx_load_host(struct isa_cpu *c, struct vmx_cpu *v);
// MSR areas. Each returns 0, or the 1-based number of the entry that failed.
unsigned vmx_msr_load(struct isa_cpu *c, struct vmx_cpu *v, uint64_t at, uint64_t count);
unsigned vmx_msr_store(struct isa_cpu *c, struct vmx_cpu *v, uint64_t at, uint64_t count);
// Load the PDPTE registers from CR3 if PAE paging is in use: false if one is invalid.
bool vmx_load_pdptes(struct isa_cpu *c);

// entry.c: VMLAUNCH and VMRESUME after the checks of the instruction itself. ISA_R_NEXT: VMfail, *done says which.
int vmx_enter(struct isa_cpu *c, struct vmx_cpu *v, bool launch, struct vmx_done *done);
// Report a VM-entry failure as a VM exit: host state is loaded. false: VMX abort.
bool vmx_fail_exit(struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, uint64_t qual);

// VMFUNC in non-root operation (vmx-model/vmfunc.c): NEXT, FAULT or VMEXIT.
int vmx_vmfunc(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done);
// The time-stamp counter as the guest reads it: scaled and offset as its controls say.
uint64_t vmx_guest_tsc(const struct vmx_cpu *v, uint64_t tsc);
// apic.c: the virtual-APIC page. Each returns 0 (not virtualized: go on), ISA_ICPT_DONE or ISA_R_FAULT.
int vmx_write_cr8(struct isa_cpu *c, struct vmx_cpu *v, uint64_t val);
void vmx_read_cr8(struct isa_cpu *c, const struct vmx_cpu *v, uint64_t *val); // *val: CR8 in, what the guest sees out
int vmx_x2apic(struct isa_cpu *c, struct vmx_cpu *v, uint32_t msr, bool write, uint64_t *val);
void vmx_enter_apic(struct isa_cpu *c, struct vmx_cpu *v); // a VM entry may be followed by an exit or a virtual interrupt at once
// A VM exit with this qualification comes at the boundary behind the instruction under way.
void vmx_trap_after(struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, uint64_t qual);
unsigned vmx_virtual_priority(struct isa_cpu *c, const struct vmx_cpu *v); // VTPR 7:4
// virq.c, only with "virtual-interrupt delivery": the guest changed its TPR, ended an interrupt, or sent itself one.
void vmx_priority_changed(struct isa_cpu *c, struct vmx_cpu *v);
void vmx_virtualize_eoi(struct isa_cpu *c, struct vmx_cpu *v);
void vmx_virtualize_self_ipi(struct isa_cpu *c, struct vmx_cpu *v, unsigned vector);

uint64_t vmx_eptp_bad_bits(const struct vmx_cpu *v, uint64_t eptp);

#endif
