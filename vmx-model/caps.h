// vmx-model/caps.h: what VMX a processor offers: the IA32_VMX_* capability MSRs (manual, "VMX Capability Reporting Facility").
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

struct vmx_caps {
    uint64_t basic, pin, proc, exit, entry, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, proc2, ept_vpid;
    uint64_t true_pin, true_proc, true_exit, true_entry, vmfunc;
};
// Which capability makes a VMCS field exist (column cap of vmcs_fields.def).
enum vmcs_cap {
    VMCS_CAP_ALWAYS,
    VMCS_CAP_PROC2,
    VMCS_CAP_TPR_SHADOW,
    VMCS_CAP_MSR_BITMAP,
    VMCS_CAP_VPID,
    VMCS_CAP_EPT,
    VMCS_CAP_APIC_ACCESS,
    VMCS_CAP_PLE,
    VMCS_CAP_VMFUNC,
    VMCS_CAP_SHADOW,
    VMCS_CAP_PML,
    VMCS_CAP_VE,
    VMCS_CAP_XSAVES,
    VMCS_CAP_TSC_SCALING,
    VMCS_CAP_POSTED,
    VMCS_CAP_VID,
    VMCS_CAP_PREEMPTION,
    VMCS_CAP_PAT,
    VMCS_CAP_EFER,
    VMCS_CAP_PERF,
    VMCS_CAP_BNDCFGS,
    VMCS_CAP_UNMODELLED
};

#endif
