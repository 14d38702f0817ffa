// vmx-model/vmx.h: the VMX state of a logical processor and its transitions, as pure logic on struct isa_cpu.
//
// MODELS     VMX operation (root, non-root), the current VMCS, VMX instructions, VM entries with all their checks, VM exits.
// PURE       no I/O, no allocation; memory through isa_cpu.env only. The machine (sim/vmx_glue.c) emits events and charges costs.
// MANUAL     "Introduction to Virtual Machine Extensions" to "VMX Instruction Reference".
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "isa/env.h"
#include "vmx-model/caps.h"
#include "vmx-model/vmcs.h"

#define VMX_NO_PTR UINT64_MAX

struct vmx_check; // vmx-model/checks.h

// One failing check of a VM entry (row of entry_checks.def, with what was found).
struct vmx_failure {
    const char *id;        // "E-GS-041"
    const char *title;     // what is checked
    enum vmcs_field field; // the field to look at first
    uint64_t value;        // its value
    uint64_t bits;         // the offending bits of it (0: the whole value)
    const char *rule;      // one sentence
    const char *sdm;       // key of isa/sdm.def
    bool has_suggestion;
    uint64_t suggestion;               // the nearest legal value of field
    uint64_t writer_cycle, writer_rip; // who wrote it (0: never written)
    const struct vmx_check *row;
};
#define VMX_MAX_FAILURES 96
enum vmx_entry_outcome {
    VMX_ENTRY_OK,
    VMX_ENTRY_FAIL_INVALID,
    VMX_ENTRY_FAIL_VALID /* error 7, 8 ... */,
    VMX_ENTRY_FAIL_EXIT /* reason 33, 34, 41 */
};
struct vmx_entry_report {
    enum vmx_entry_outcome outcome;
    uint32_t error; // VM-instruction error (FAIL_VALID), or exit reason (FAIL_EXIT)
    uint64_t qualification;
    unsigned checks; // how many rows applied
    unsigned n;      // failures, in the order hardware would meet them: hardware would report failure[0]
    struct vmx_failure failure[VMX_MAX_FAILURES];
    uint64_t cycle, rip; // where
};

// The last VM entry of which every check passed (vmx-model/recheck.c): what its checks saw, and the rows by field.
#define VMX_MAX_CHECKS 176
struct vmx_passed {
    bool valid, indexed;
    bool host_long;  // the host was in IA-32e mode
    unsigned checks; // rows that applied
    uint64_t f[VMCS_NFIELD];
    bool applied[VMX_MAX_CHECKS];
    uint8_t first[VMCS_NFIELD], next[256], row[256]; // lists; node 0 ends them
};

// A VM exit being taken ("plain record"). Field meanings as the VM-exit information fields.
struct vmx_exit {
    uint32_t reason; // basic exit reason; bit 31 for entry failures
    uint64_t qual;
    uint32_t insn_len, insn_info;
    uint64_t gla;
    struct gpa gpa;
    uint32_t intr_info, intr_err;
    bool trap_like; // state after the instruction (RIP already advanced)
};

struct vmx_cpu {
    const struct vmx_caps *caps;
    uint8_t maxphyaddr;
    bool on;                      // between VMXON and VMXOFF
    uint64_t vmxon_ptr, vmcs_ptr; // VMX_NO_PTR: none
    struct vmcs vmcs;             // the current VMCS, cached; valid if vmcs_ptr != VMX_NO_PTR
    struct vmx_exit exit;         // the exit being taken, or the last one taken
    struct vmx_entry_report report;
    bool has_report;
    struct vmx_passed passed;
    bool mtf_pending;        // monitor trap flag: exit at the next instruction boundary
    uint32_t trap_reason;    // an exit that follows the instruction under way (TPR below threshold, APIC write, EOI), or 0
    uint64_t trap_qual;      // and its qualification
    bool virq;               // a pending virtual interrupt is recognized
    uint64_t entry_cycle;    // when non-root operation was entered
    uint64_t timer_deadline; // when the VMX-preemption timer reaches 0; UINT64_MAX: it does not run
    // PAUSE-loop exiting: cycles of the last PAUSE at CPL 0 and of the first one of its loop; both 0: none since VM entry
    uint64_t pause_last, pause_first;
    uint64_t exit_cycle; // when the exit that is being taken happened; for whom calls vmx_take_exit() to set
};

// After creation and after RESET of the processor. caps must outlive v.
void vmx_init(struct vmx_cpu *v, const struct vmx_caps *caps, unsigned maxphyaddr);

// --- VMX instructions (vmx-model/insn.c)
enum vmx_outcome { VMX_SUCCEED, VMX_FAIL_INVALID, VMX_FAIL_VALID };
enum vmx_action { VMX_ACT_NONE, VMX_ACT_INVEPT, VMX_ACT_INVVPID, VMX_ACT_ON, VMX_ACT_OFF, VMX_ACT_ENTER, VMX_ACT_EPTP };
// What a VMX instruction did, for the machine: what to invalidate, what to tell observers.
struct vmx_done {
    enum vmx_outcome outcome;
    uint32_t error;         // VM-instruction error of FAIL_VALID
    uint64_t operand;       // VMCS pointer, field encoding, or invalidation type
    enum vmx_action action; // ENTER: a VM entry was attempted; v->report says how it went
    uint64_t a, la;         // INVEPT, EPTP (VMFUNC switched to it): EPTP; INVVPID: VPID and linear address
};
// Runs the VMX instruction *i in any operation. ISA_R_NEXT: done, RIP is the caller's to advance. ISA_R_STOP: a VM entry loaded guest
// state, or failed late and loaded host state; c->rip is set. FAULT; VMEXIT: record in v->exit (non-root operation).
int vmx_insn(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done);

// --- VM entry (vmx-model/entry.c)
// All checks of a VM entry with the current VMCS, without entering (it reads memory, and changes nothing); also what a view shows while a VMCS is edited.
// launch: VMLAUNCH or VMRESUME. Fills v->report but does not touch the processor.
void vmx_check_entry(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_entry_report *report);
// Inject the event of the VM-entry interruption-information field, after a VM entry. 0, FAULT or VMEXIT like isa_deliver_event().
int vmx_inject(struct isa_cpu *c, struct vmx_cpu *v);

// The guest starts to run at this cycle: starts the VMX-preemption timer. (vmx_insn() did so for the cycle of VMLAUNCH or VMRESUME;
// the machine says it again if entering took time.)
void vmx_start_clock(struct vmx_cpu *v, uint64_t cycle);
// The cycle whose boundary must be watched for the VMX-preemption timer, or UINT64_MAX.
static inline uint64_t vmx_deadline(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    return c->vmx == ISA_VMX_NONROOT ? v->timer_deadline : UINT64_MAX;
}

// --- VM exits (vmx-model/intercept.c prepares the record, vmx-model/exit.c carries it out)
int vmx_intercept(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val);
int vmx_intercept_event(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_event *e);
int vmx_intercept_triple(struct isa_cpu *c, struct vmx_cpu *v);
// ept_perms: what the EPT entries grant, and EPT_QUAL_ADVANCED of the linear address. entry: the EPT entry that did not allow the access. VMEXIT, or FAULT: a virtualization exception (#VE).
int vmx_ept_violation(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa, uint64_t la, bool la_valid, bool translating_la,
                      unsigned acc, unsigned ept_perms, uint64_t entry);
// The dirty flag of the page at gpa is about to be set: 0 (logged, where page-modification logging is on) or VMEXIT: the log is full.
int vmx_log_dirty(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa);
// Host-physical address of the APIC-access page, or VMX_NO_PTR: accesses are not virtualized.
uint64_t vmx_apic_access_page(const struct vmx_cpu *v);
// A linear access to offset off of the APIC-access page (acc with W: a write): 0, carried out on the virtual-APIC page, or VMEXIT.
// buf NULL: a probe, which changes nothing. The access may end beyond the page. The other: a guest-physical access, always VMEXIT.
int vmx_apic_access(struct isa_cpu *c, struct vmx_cpu *v, unsigned off, void *buf, unsigned n, unsigned acc);
int vmx_apic_access_physical(struct isa_cpu *c, struct vmx_cpu *v, unsigned off);
int vmx_ept_misconfig(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa);
// An interrupt waits in non-root operation (vector < 0: not acknowledged): true and a record if it causes a VM exit.
bool vmx_intercept_irq(struct isa_cpu *c, struct vmx_cpu *v, bool nmi, int vector);
// An INIT arrives in non-root operation, or a start-up IPI in the activity state wait-for-SIPI: the record of the VM exit.
void vmx_intercept_init(struct vmx_cpu *v);
void vmx_intercept_sipi(struct vmx_cpu *v, uint8_t vector);
// Whether an exit for an external interrupt must acknowledge it ("acknowledge interrupt on exit").
bool vmx_ack_on_exit(const struct vmx_cpu *v);
// At an instruction boundary in non-root operation: true and a record if there is a VM exit. From the highest priority down: before an INIT, what the
// instruction did to the virtual APIC (the TPR fell below its threshold, an APIC write, an EOI); before debug traps, the monitor trap flag; before NMIs,
// the VMX-preemption timer and NMI windows; before external interrupts, interrupt windows. vmx_window_armed: each boundary must be watched (the
// timer's alone: vmx_deadline).
bool vmx_trap_exit(struct isa_cpu *c, struct vmx_cpu *v);
bool vmx_mtf_exit(struct isa_cpu *c, struct vmx_cpu *v);
bool vmx_nmi_window_exit(struct isa_cpu *c, struct vmx_cpu *v);
bool vmx_int_window_exit(struct isa_cpu *c, struct vmx_cpu *v);
// Nothing of that came, so an instruction will be executed: with the monitor trap flag an exit follows it.
void vmx_insn_comes(const struct isa_cpu *c, struct vmx_cpu *v);
// An event is about to be delivered through the IDT at a boundary: with the monitor trap flag an exit follows it.
void vmx_event_comes(const struct isa_cpu *c, struct vmx_cpu *v);
// Virtual interrupts (vmx-model/virq.c). The vector to deliver at this boundary, which is in service from now on, or -1. Their priority is that
// of an interrupt-window exit: below NMIs, above external interrupts.
int vmx_take_virtual_interrupt(struct isa_cpu *c, struct vmx_cpu *v);
// An external interrupt was acknowledged: true if its vector is the notification vector; then the interrupts that are posted in the descriptor
// were taken over, the local APIC needs an EOI, and there is no VM exit.
bool vmx_post_interrupts(struct isa_cpu *c, struct vmx_cpu *v, int vector);
bool vmx_window_armed(const struct isa_cpu *c, const struct vmx_cpu *v);
// Take the VM exit of v->exit, in two steps. RIP must be exact. The first writes the VM-exit information fields and the guest-state area; the guest's
// registers still are the processor's then, so that observers see both. The second stores the guest's MSRs and loads host state. False: VMX abort
// (v->vmcs.abort says why).
void vmx_record_exit(struct isa_cpu *c, struct vmx_cpu *v);
bool vmx_leave_guest(struct isa_cpu *c, struct vmx_cpu *v);
bool vmx_take_exit(struct isa_cpu *c, struct vmx_cpu *v); // both

// The control words as they act now: secondary controls count as 0 unless activated.
uint32_t vmx_pin(const struct vmx_cpu *v);
uint32_t vmx_proc(const struct vmx_cpu *v);
uint32_t vmx_proc2(const struct vmx_cpu *v);
static inline uint64_t vmx_get(const struct vmx_cpu *v, enum vmcs_field f) { return v->vmcs.f[f]; }

#endif
