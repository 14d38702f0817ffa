// vmx-insn.h: for freestanding C of 32 and 64 bits: VMX instructions, and what every small hypervisor does in the same way. VMCS_<NAME> is the encoding of a field.
//
//   vmread, vmwrite, vmxon, vmclear, vmptrld  one instruction each; a region is given by its physical address. True: it failed (CF or ZF); a caller that does not look
//                           pays for no test. A field has the width of a register: 64-bit fields in 32-bit mode have their high half behind the low one
//   vmx_revision()          what the first word of a VMXON region and of a VMCS must be
//   vmx_allowed()           IA32_FEATURE_CONTROL allows VMX outside SMX; lets it, if firmware has not locked the register
//   vmx_controls(msr, wanted, &missing)  a control word: `wanted`, and the bits that must be 1 by a capability MSR. missing: wanted bits that must be 0
//   vmx_flat_guest()        guest-state area: segments, RFLAGS and DR7 as Multiboot starts a kernel: flat, 32-bit, ring 0
//   vmx_skip()              the guest goes on behind the instruction that has exited
//   vmx_inject(vector, has_error, error)  an exception for the guest with the next entry
//   vmx_redeliver()         the exit came in the middle of the delivery of an event: deliver it again with the next entry
//
// MANUAL  "VMX Instruction Reference", "Virtual Machine Control Structures", "VM Exits".
#ifndef VMX_INSN_H
#define VMX_INSN_H
#include "insn.h"
#include "vmcs.h" // generated from the simulator's table

#define IA32_FEATURE_CONTROL 0x3a
#define IA32_VMX_BASIC       0x480
#define VALID                0x80000000u // of an interruption-information field
#define HAS_ERROR            0x800u

static inline unsigned long vmread(unsigned long field)
{
    unsigned long v;
    asm volatile("vmread %1, %0" : "=r"(v) : "r"(field) : "cc");
    return v;
}
static inline bool vmwrite(unsigned long field, unsigned long v)
{
    bool bad;
    asm volatile("vmwrite %1, %2" : "=@ccbe"(bad) : "r"(v), "r"(field) : "memory");
    return bad;
}
static inline bool vmxon(u64 at)
{
    bool bad;
    asm volatile("vmxon %1" : "=@ccbe"(bad) : "m"(at) : "memory");
    return bad;
}
static inline bool vmclear(u64 at)
{
    bool bad;
    asm volatile("vmclear %1" : "=@ccbe"(bad) : "m"(at) : "memory");
    return bad;
}
static inline bool vmptrld(u64 at)
{
    bool bad;
    asm volatile("vmptrld %1" : "=@ccbe"(bad) : "m"(at) : "memory");
    return bad;
}

static inline u32 vmx_revision(void) { return (u32)rdmsr(IA32_VMX_BASIC) & 0x7fffffff; }
static inline bool vmx_allowed(void)
{
    u64 v = rdmsr(IA32_FEATURE_CONTROL);
    if (!(v & 1))
        wrmsr(IA32_FEATURE_CONTROL, v |= 5);
    return v & 4;
}
// The low half of a capability MSR has the bits that must be 1, the high half those that may be 1.
static inline u32 vmx_controls(u32 msr, u32 wanted, u32 *missing)
{
    u64 cap = rdmsr(msr);
    *missing = wanted & ~(u32)(cap >> 32);
    return wanted | (u32)cap;
}

static inline void vmx_flat_guest(void)
{
    for (u32 n = 0; n < 8; n++) { // ES CS SS DS FS GS LDTR TR: the encodings of each attribute are 2 apart
        vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * n, n == 1 ? 8 : n < 6 ? 16 : 0);
        vmwrite(VMCS_GUEST_ES_LIMIT + 2 * n, n < 6 ? 0xffffffff : 0xffff);
        vmwrite(VMCS_GUEST_ES_AR_BYTES + 2 * n, n == 1 ? 0xc09b : n < 6 ? 0xc093 : n == 6 ? 0x10000 : 0x8b);
    }
    vmwrite(VMCS_GUEST_RFLAGS, 2);
    vmwrite(VMCS_GUEST_DR7, 0x400);
}
static inline void vmx_skip(void) { vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + vmread(VMCS_VM_EXIT_INSTRUCTION_LEN)); }
static inline void vmx_inject(u32 vector, bool has_error, u32 error)
{
    vmwrite(VMCS_VM_ENTRY_INTR_INFO_FIELD, VALID | 3 << 8 | (has_error ? HAS_ERROR : 0) | vector);
    if (has_error)
        vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, error);
}
static inline void vmx_redeliver(void)
{
    u32 info = (u32)vmread(VMCS_IDT_VECTORING_INFO_FIELD);
    if (!(info & VALID))
        return;
    vmwrite(VMCS_VM_ENTRY_INTR_INFO_FIELD, info & ~0x1000u);
    if ((info >> 8 & 7) >= 4) // of an instruction (INT n, INT3, INTO): its return address is behind it
        vmwrite(VMCS_VM_ENTRY_INSTRUCTION_LEN, vmread(VMCS_VM_EXIT_INSTRUCTION_LEN));
    if (info & HAS_ERROR)
        vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, vmread(VMCS_IDT_VECTORING_ERROR_CODE));
}

#endif
