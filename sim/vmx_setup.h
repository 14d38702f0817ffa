// sim/vmx_setup.h: a processor in VMX operation with a VMCS filled in, for benchmarks and tests: the guest starts in the host's own
// state (64-bit mode, same CR3 and segments), so that a program can be run in non-root operation without a hypervisor to write.
#ifndef SIM_VMX_SETUP_H
#define SIM_VMX_SETUP_H

#include "sim/machine.h"
#include "sim/inspect.h"

struct vmx_setup {
    uint64_t vmxon, vmcs;          // regions of 4096 bytes
    uint64_t stub;                 // 64 bytes for the few instructions that enter VMX operation
    uint64_t guest_rip, guest_rsp; // where the guest starts
    uint64_t host_rip, host_rsp;   // where VM exits go
    uint32_t pin, proc, proc2;     // controls wanted besides those that must be 1
    uint64_t eptp;
    uint16_t vpid;
};
// Enter VMX operation, fill in the VMCS; RIP then stands before VMLAUNCH. Processor 0 must be in 64-bit mode at CPL 0.
int vmx_setup(struct sim_machine *m, const struct vmx_setup *s, struct sim_error *err);

#endif
