// vmx-model/caps.h: what VMX a processor offers: the IA32_VMX_* capability MSRs (manual, "VMX Capability Reporting Facility").
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

struct vmx_caps {
    uint64_t basic, pin, proc, exit, entry, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, proc2, ept_vpid;
    uint64_t true_pin, true_proc, true_exit, true_entry, vmfunc;
};

// The MSRs of the teach profile: those of a Haswell (CPUID 306C3H), less what is not modelled (vmx-model/controls.def says what
// is; vmx-model/caps.c asserts that nothing else is allowed). Different from the Haswell:
//   BASIC     region of 4096 bytes (this model's image is longer than 1 KB); no dual-monitor treatment of SMM
//   PIN, PROC2   posted interrupts, APIC-register virtualization and virtual-interrupt delivery, as the Haswells of servers have them; RDSEED
//             exiting, page-modification logging, #VE, TSC scaling, mode-based execute control, which came later
//   EPT_VPID  advanced information on EPT violations, which came later
//   MISC      no SMM; VMWRITE may write any field
//   CR4_FIXED1   SMAP and UMIP may be set, SMX may not
#define VMX_CAPS_TEACH VMX_CAPS_(0x372fff, 0x02477fff, 0x41, 0x007fffff)
// The same for a processor with protection keys, 5-level paging and XSAVES: CR4.PKE and CR4.LA57 may be set, "enable XSAVES/XRSTORS" too, an EPT may
// have 5 levels, and IA32_PERF_GLOBAL_CTRL may be saved on exit.
#define VMX_CAPS_LATER VMX_CAPS_(0x773fff, 0x02577fff, 0xc1, 0x407fffff)
#define VMX_CAPS_(fixed1, may_proc2, ept_low, may_exit)                                                                            \
    {                                                                                                                              \
        .basic = 0x00d8100000000012, .pin = 0x000000ff00000016, .proc = 0xfff9fffe0401e172,                                        \
        .exit = (may_exit##ull) << 32 | 0x36dff, .entry = 0x0000ffff000011ff, .misc = 0x200401e5, .cr0_fixed0 = 0x80000021,        \
        .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000, .cr4_fixed1 = (fixed1), .vmcs_enum = 0x32,                                 \
        .proc2 = (may_proc2##ull) << 32, .ept_vpid = 0x00000f0106734100 | (ept_low), .true_pin = 0x000000ff00000016,               \
        .true_proc = 0xfff9fffe04006172, .true_exit = (may_exit##ull) << 32 | 0x36dfb, .true_entry = 0x0000ffff000011fb,           \
        .vmfunc = 1,                                                                                                               \
    }
extern const struct vmx_caps vmx_caps_teach, vmx_caps_later;

// A capability MSR by number (480H to 491H). false: the processor has no such MSR (then RDMSR is #GP).
#define VMX_MSR_FIRST 0x480u
#define VMX_MSR_LAST  0x491u
bool vmx_caps_rdmsr(const struct vmx_caps *caps, uint32_t msr, uint64_t *val);
// Name of the n-th of them, "IA32_VMX_BASIC" ..., and its value.
const char *vmx_caps_msr_name(uint32_t msr);

// Fields of the MSRs.
static inline uint32_t vmx_revision(const struct vmx_caps *k) { return (uint32_t)k->basic & 0x7fffffffu; }
static inline bool vmx_has_true(const struct vmx_caps *k) { return k->basic >> 55 & 1; }
static inline bool vmx_has_proc2(const struct vmx_caps *k) { return k->proc >> 63 & 1; }
static inline unsigned vmx_cr3_targets(const struct vmx_caps *k) { return (unsigned)(k->misc >> 16) & 0x1ff; }
static inline unsigned vmx_msr_list_max(const struct vmx_caps *k) { return 512u * (((unsigned)(k->misc >> 25) & 7) + 1); }

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
