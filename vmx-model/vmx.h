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
    bool on;                      // between VMXON and VMXOFF
    uint64_t vmxon_ptr, vmcs_ptr; // VMX_NO_PTR: none
    struct vmcs vmcs;             // the current VMCS, cached; valid if vmcs_ptr != VMX_NO_PTR
    struct vmx_exit exit;         // the exit being taken
    struct vmx_entry_report report;
    bool has_report;
    uint64_t entry_cycle; // when non-root operation was entered
};

#endif
