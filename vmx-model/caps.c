// vmx-model/caps.c: the VMX capability MSRs.
#include "vmx-model/caps.h"

#include <stddef.h>

const struct vmx_caps vmx_caps_teach = VMX_CAPS_TEACH, vmx_caps_later = VMX_CAPS_LATER;

static const struct {
    const char *name;
    size_t at;
} msr[VMX_MSR_LAST - VMX_MSR_FIRST + 1] = {
    {"IA32_VMX_BASIC", offsetof(struct vmx_caps, basic)},
    {"IA32_VMX_PINBASED_CTLS", offsetof(struct vmx_caps, pin)},
    {"IA32_VMX_PROCBASED_CTLS", offsetof(struct vmx_caps, proc)},
    {"IA32_VMX_EXIT_CTLS", offsetof(struct vmx_caps, exit)},
    {"IA32_VMX_ENTRY_CTLS", offsetof(struct vmx_caps, entry)},
    {"IA32_VMX_MISC", offsetof(struct vmx_caps, misc)},
    {"IA32_VMX_CR0_FIXED0", offsetof(struct vmx_caps, cr0_fixed0)},
    {"IA32_VMX_CR0_FIXED1", offsetof(struct vmx_caps, cr0_fixed1)},
    {"IA32_VMX_CR4_FIXED0", offsetof(struct vmx_caps, cr4_fixed0)},
    {"IA32_VMX_CR4_FIXED1", offsetof(struct vmx_caps, cr4_fixed1)},
    {"IA32_VMX_VMCS_ENUM", offsetof(struct vmx_caps, vmcs_enum)},
    {"IA32_VMX_PROCBASED_CTLS2", offsetof(struct vmx_caps, proc2)},
    {"IA32_VMX_EPT_VPID_CAP", offsetof(struct vmx_caps, ept_vpid)},
    {"IA32_VMX_TRUE_PINBASED_CTLS", offsetof(struct vmx_caps, true_pin)},
    {"IA32_VMX_TRUE_PROCBASED_CTLS", offsetof(struct vmx_caps, true_proc)},
    {"IA32_VMX_TRUE_EXIT_CTLS", offsetof(struct vmx_caps, true_exit)},
    {"IA32_VMX_TRUE_ENTRY_CTLS", offsetof(struct vmx_caps, true_entry)},
    {"IA32_VMX_VMFUNC", offsetof(struct vmx_caps, vmfunc)},
};

const char *vmx_caps_msr_name(uint32_t n) { return n >= VMX_MSR_FIRST && n <= VMX_MSR_LAST ? msr[n - VMX_MSR_FIRST].name : NULL; }

bool vmx_caps_rdmsr(const struct vmx_caps *k, uint32_t n, uint64_t *val)
{
    if (n < VMX_MSR_FIRST || n > VMX_MSR_LAST)
        return false;
    uint32_t proc2 = vmx_has_proc2(k) ? (uint32_t)(k->proc2 >> 32) : 0;
    if (n == 0x48b && !vmx_has_proc2(k))
        return false;
    if (n == 0x48c && !(proc2 & (1u << 1 | 1u << 5))) // EPT or VPID
        return false;
    if (n >= 0x48d && n <= 0x490 && !vmx_has_true(k))
        return false;
    if (n == 0x491 && !(proc2 & 1u << 13)) // VM functions
        return false;
    *val = *(const uint64_t *)(const void *)((const char *)k + msr[n - VMX_MSR_FIRST].at);
    return true;
}
