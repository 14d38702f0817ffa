// vmx-model/exit.c: carrying out a VM exit.
//
// ORDER (manual, "VM Exits"): information about the exit; guest state; MSR-store area; host state; MSR-load area. A failure on the way
// is a VMX abort: the processor shuts down.
#include "isa/cr.h"
#include "vmx-model/internal.h"

int vmx_exit_record(struct vmx_cpu *v, uint32_t reason, uint64_t qual, const struct isa_insn *i)
{
    v->exit = (struct vmx_exit){.reason = reason, .qual = qual, .insn_len = i ? i->len : 0};
    return ISA_R_VMEXIT;
}

// Which exits happen in the middle of event delivery: those that delivery itself caused. A double fault that exits directly, a
// triple fault and exits for other events do not count (manual, "Information for VM Exits During Event Delivery").
static bool during_delivery(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    if (!c->delivering_valid)
        return false;
    switch (v->exit.reason) {
    case VMX_R_EXCEPTION_NMI: return VMX_INTR_VECTOR(v->exit.intr_info) != ISA_X_DF;
    case VMX_R_EPT_VIOLATION:
    case VMX_R_EPT_MISCONFIGURATION:
    case VMX_R_PML_FULL:
    case VMX_R_APIC_ACCESS:
    case VMX_R_TASK_SWITCH: return true;
    default: return false;
    }
}

static bool software_event(unsigned type) { return type == ISA_EV_SWINT || type == ISA_EV_PRIVSW || type == ISA_EV_SWEXC; }

static void record_vectoring(struct isa_cpu *c, struct vmx_cpu *v)
{
    const struct isa_event *d = &c->delivering;
    uint32_t info = 0, error = 0;
    if (during_delivery(c, v)) {
        info = VMX_INTR_VALID | d->vector | (uint32_t)d->type << 8;
        if (d->has_error && d->type == ISA_EV_HWEXC && (c->cr0 & ISA_CR0_PE)) {
            info |= VMX_INTR_ERROR;
            error = d->error;
        }
        if (software_event(d->type))
            v->exit.insn_len = d->insn_len;
    }
    vmcs_put(&v->vmcs, VF_IDT_VECTORING_INFO_FIELD, info);
    vmcs_put(&v->vmcs, VF_IDT_VECTORING_ERROR_CODE, error);
}

void vmx_record_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    struct vmcs *m = &v->vmcs;
    record_vectoring(c, v);
    vmcs_put(m, VF_VM_EXIT_REASON, v->exit.reason);
    vmcs_put(m, VF_EXIT_QUALIFICATION, v->exit.qual);
    vmcs_put(m, VF_VM_EXIT_INTR_INFO, v->exit.intr_info);
    vmcs_put(m, VF_VM_EXIT_INTR_ERROR_CODE, v->exit.intr_err);
    vmcs_put(m, VF_VM_EXIT_INSTRUCTION_LEN, v->exit.insn_len);
    vmcs_put(m, VF_VMX_INSTRUCTION_INFO, v->exit.insn_info);
    vmcs_put(m, VF_GUEST_LINEAR_ADDRESS, v->exit.gla);
    vmcs_put(m, VF_GUEST_PHYSICAL_ADDRESS, v->exit.gpa.v);
    uint64_t inject = vmcs_get(m, VF_VM_ENTRY_INTR_INFO_FIELD);
    vmcs_put(m, VF_VM_ENTRY_INTR_INFO_FIELD, inject & ~(uint64_t)VMX_INTR_VALID);
    vmx_save_guest(c, v);
}

static bool abort_with(struct isa_cpu *c, struct vmx_cpu *v, enum vmx_abort why)
{
    v->vmcs.abort = why;
    vmx_phys_write(c, v->vmcs_ptr + VMCS_OFF_ABORT, &v->vmcs.abort, 4);
    c->activity = ISA_SHUTDOWN;
    c->vmx = ISA_VMX_ROOT; // not a guest that sleeps
    return false;
}

// Root operation again: the fixed bits of CR0 bind without exception, events are blocked as the host left them.
static bool enter_root(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint64_t x = vmx_get(v, VF_VM_EXIT_CONTROLS);
    c->vmx = ISA_VMX_ROOT;
    c->cr0_fixed0 = v->caps->cr0_fixed0;
    c->delivering_valid = false;
    c->iret_unblocked = c->iret_keeps_nmi = false;
    v->mtf_pending = false;
    v->trap_reason = 0;
    v->virq = false;
    vmx_load_host(c, v);
    isa_update_mode(c);
    if (!vmx_load_pdptes(c))
        return abort_with(c, v, VMX_ABORT_PDPTE);
    uint64_t msrs = vmx_get(v, VF_VM_EXIT_MSR_LOAD_COUNT);
    if (vmx_msr_load(c, v, vmx_get(v, VF_VM_EXIT_MSR_LOAD_ADDR), msrs))
        return abort_with(c, v, VMX_ABORT_LOAD_MSR);
    if (msrs)
        isa_update_mode(c);
    c->attention = 1; // pending interrupts of the host
    return !(x & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE) || isa_long(c);
}

bool vmx_leave_guest(struct isa_cpu *c, struct vmx_cpu *v)
{
    bool nmi = v->exit.reason == VMX_R_EXCEPTION_NMI && VMX_INTR_TYPE(v->exit.intr_info) == ISA_EV_NMI;
    bool host64 = vmx_get(v, VF_VM_EXIT_CONTROLS) & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE;
    bool was_long = isa_long(c);
    bool virtual_nmis = vmx_pin(v) & VMX_PIN_VIRTUAL_NMIS;
    if (vmx_msr_store(c, v, vmx_get(v, VF_VM_EXIT_MSR_STORE_ADDR), vmx_get(v, VF_VM_EXIT_MSR_STORE_COUNT)))
        return abort_with(c, v, VMX_ABORT_STORE_MSR);
    if (was_long && !host64)
        return abort_with(c, v, VMX_ABORT_64_TO_32);
    // STI and MOV SS blocking ends; NMIs are blocked after an exit for one. With virtual NMIs the guest's bit was not the processor's.
    uint32_t nmi_block = virtual_nmis ? 0 : c->blocking & ISA_BLOCK_NMI;
    c->blocking = nmi ? ISA_BLOCK_NMI : nmi_block;
    return enter_root(c, v);
}

bool vmx_take_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    vmx_record_exit(c, v);
    return vmx_leave_guest(c, v);
}

bool vmx_fail_exit(struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, uint64_t qual)
{
    v->exit = (struct vmx_exit){.reason = reason | VMX_R_ENTRY_FAILURE, .qual = qual};
    vmcs_put(&v->vmcs, VF_VM_EXIT_REASON, v->exit.reason);
    vmcs_put(&v->vmcs, VF_EXIT_QUALIFICATION, qual);
    c->blocking &= ~(uint32_t)(ISA_BLOCK_STI | ISA_BLOCK_MOVSS);
    return enter_root(c, v);
}

uint32_t vmx_pin(const struct vmx_cpu *v) { return (uint32_t)vmx_get(v, VF_PIN_BASED_VM_EXEC_CONTROL); }
uint32_t vmx_proc(const struct vmx_cpu *v) { return (uint32_t)vmx_get(v, VF_CPU_BASED_VM_EXEC_CONTROL); }
uint32_t vmx_proc2(const struct vmx_cpu *v)
{
    return vmx_proc(v) & VMX_PROC_ACTIVATE_SECONDARY ? (uint32_t)vmx_get(v, VF_SECONDARY_VM_EXEC_CONTROL) : 0;
}
