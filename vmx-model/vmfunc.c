// vmx-model/vmfunc.c: VM functions: what a guest may do to its own virtual machine without a VM exit.
//
// FUNCTION 0 EPTP switching: the guest replaces its EPTP by entry ECX of the EPTP list. Nothing is invalidated: translations are tagged
//            with the EPTRTA they were made by.
// MANUAL     "VM Functions", "EPTP Switching".
#include "isa/exec.h"
#include "vmx-model/internal.h"

#define EPTP_SWITCHING 0u
#define EPTP_LIST_LEN  512u

static int eptp_switching(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint32_t index = isa_r32(c, ISA_RCX);
    uint64_t eptp = 0;
    if (index >= EPTP_LIST_LEN)
        return vmx_exit_record(v, VMX_R_VMFUNC, 0, i);
    vmx_phys_read(c, vmx_get(v, VF_EPTP_LIST_ADDRESS) + 8ull * index, &eptp, 8);
    if (vmx_eptp_bad_bits(v, eptp))
        return vmx_exit_record(v, VMX_R_VMFUNC, 0, i);
    vmcs_put(&v->vmcs, VF_EPT_POINTER, eptp);
    if (vmx_proc2(v) & VMX_PROC2_EPT_VIOLATION_VE)
        vmcs_put(&v->vmcs, VF_EPTP_INDEX, index);
    done->action = VMX_ACT_EPTP;
    done->a = eptp;
    return ISA_R_NEXT;
}

int vmx_vmfunc(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_insn *i, struct vmx_done *done)
{
    uint32_t function = isa_r32(c, ISA_RAX);
    if (c->vmx != ISA_VMX_NONROOT)
        return isa_ud(c, ISA_RULE_UD_NOT_VMX);
    if (!(vmx_proc2(v) & VMX_PROC2_ENABLE_VMFUNC))
        return isa_ud(c, ISA_RULE_UD_VMX_CONTROL);
    done->operand = function;
    if (function > 63 || !(vmx_get(v, VF_VM_FUNCTION_CONTROL) >> function & 1))
        return vmx_exit_record(v, VMX_R_VMFUNC, 0, i);
    return eptp_switching(c, v, i, done); // entry checks allow no other
}
