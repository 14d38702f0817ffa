// vmexit.c: what a VM exit costs. A guest executes CPUID a million times; each exits to a hypervisor that does the least: read the reason, step over, resume.
//
// EPT and VPID are on, as under KVM, so no transition empties a TLB. The guest shares the page tables and the general registers of the hypervisor: neither
// side's work is measured, but the exit, four accesses to the VMCS, and the entry. VMX comes from the processor that runs this, whoever made it.
#include "vmx.h"

#define ROUNDS 1000000

// The guest counts in R12D; the hypervisor uses RAX, RDX and RSI. Returns the reason of the exit that was no CPUID, or -1 if an entry failed.
static long run(u32 rounds)
{
    long reason;
    asm volatile("vmwrite %%rsp, %[host_rsp]\n"
                 "lea 1f(%%rip), %%rax; vmwrite %%rax, %[host_rip]\n"
                 "lea 4f(%%rip), %%rax; vmwrite %%rax, %[guest_rip]\n"
                 "mov %[rounds], %%r12d\n"
                 "vmlaunch\n"
                 "jmp 2f\n"
                 "1: vmread %[exit_reason], %%rax\n"
                 "cmp %[cpuid], %%eax; jne 3f\n"
                 "vmread %[guest_rip], %%rdx\n"
                 "vmread %[length], %%rsi\n"
                 "add %%rsi, %%rdx\n"
                 "vmwrite %%rdx, %[guest_rip]\n"
                 "vmresume\n"
                 "2: mov $-1, %%rax; jmp 3f\n"
                 "4: cpuid; dec %%r12d; jnz 4b; vmcall\n" // the guest
                 "3:"
                 : "=&a"(reason)
                 : [host_rsp] "r"((u64)VMCS_HOST_RSP), [host_rip] "r"((u64)VMCS_HOST_RIP), [guest_rip] "r"((u64)VMCS_GUEST_RIP),
                   [exit_reason] "r"((u64)VMCS_VM_EXIT_REASON), [length] "r"((u64)VMCS_VM_EXIT_INSTRUCTION_LEN),
                   [rounds] "r"(rounds), [cpuid] "i"(REASON_CPUID)
                 : "rdx", "rsi", "r12", "cc", "memory");
    return reason;
}

void bench(void);
void bench(void)
{
    vmx_on();
    new_vmcs();
    set_controls(1);
    set_host();
    set_guest();
    if (run(ROUNDS) != REASON_VMCALL)
        fail("not every CPUID exited");
    print_text("VMEXIT-OK\n");
}
