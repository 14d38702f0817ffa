// isa/msr.h: model-specific registers (isa/msr.def), without privilege and intercepts, which are the caller's business.
//
// An MSR that isa/msr.def does not hold goes to env->rdmsr/wrmsr (VMX capabilities, local APIC).
// MANUAL     "Model-Specific Registers (MSRs)".
#ifndef ISA_MSR_H
#define ISA_MSR_H

#include "isa/env.h"
#include "isa/fault.h"

// false: no such MSR, or a value it does not take: #GP(0), with *rule saying why.
bool isa_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val, enum isa_rule *rule);
bool isa_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val, enum isa_rule *rule);

// Column kind of isa/msr.def; the table's head comment says what each does.
enum isa_msr_kind { ISA_MSR_RW, ISA_MSR_KEEP, ISA_MSR_CANON, ISA_MSR_CONST, ISA_MSR_HELD, ISA_MSR_MTYPES, ISA_MSR_PMU, ISA_MSR_FN };

struct isa_msr_info {
    uint32_t addr;
    const char *name, *text;
};
extern const struct isa_msr_info isa_msr_info[];
extern const unsigned isa_msr_count;
const struct isa_msr_info *isa_msr_find(uint32_t addr); // NULL if the table does not hold it

#define ISA_MSR_TSC             0x10u
#define ISA_MSR_APIC_BASE       0x1bu
#define ISA_MSR_FEATURE_CONTROL 0x3au
#define ISA_MSR_MISC_ENABLE     0x1a0u
#define ISA_MSR_DEBUGCTL        0x1d9u
#define ISA_MSR_BNDCFGS         0xd90u
#define ISA_MSR_XSS             0xda0u
#define ISA_MSR_EFER            0xc0000080u
#define ISA_MSR_FS_BASE         0xc0000100u
#define ISA_MSR_GS_BASE         0xc0000101u
#define ISA_MSR_KERNEL_GS_BASE  0xc0000102u

#define ISA_MISC_PERFMON        (1u << 7) // of IA32_MISC_ENABLE: there are performance counters; fixed
#define ISA_APIC_BASE_BSP       (1u << 8) // of IA32_APIC_BASE: the bootstrap processor; fixed

#endif
