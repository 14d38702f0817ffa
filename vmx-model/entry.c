// vmx-model/entry.c: VM entry.
//
// ORDER (manual, "VM Entries"): checks on controls and host state (VMfailValid); checks on guest state (exit reason 33); guest state is
// loaded; MSR-load area (exit reason 34); the VMCS becomes launched; the event of the VM-entry interruption information is delivered.
#include "isa/cr.h"
#include "isa/deliver.h"
#include "vmx-model/checks.h"
#include "vmx-model/internal.h"

uint64_t vmx_eptp_bad_bits(const struct vmx_cpu *v, uint64_t eptp)
{
    uint64_t cap = v->caps->ept_vpid, bad = 0;
    unsigned type = eptp & 7, walk = eptp >> 3 & 7;
    bool type_ok = (type == 0 && (cap >> 8 & 1)) || (type == 6 && (cap >> 14 & 1));
    bool walk_ok = (walk == 3 && (cap >> 6 & 1)) || (walk == 4 && (cap >> 7 & 1));
    if (!type_ok)
        bad |= 7;
    if (!walk_ok)
        bad |= 7 << 3;
    if ((eptp & 1u << 6) && !(cap >> 21 & 1))
        bad |= 1 << 6;
    return bad | (eptp & 0xf80) | (eptp >> v->maxphyaddr << v->maxphyaddr);
}

// Which VM-instruction error, or exit, the first failing check in hardware's order leads to.
static void conclude(struct vmx_entry_report *r)
{
    r->outcome = VMX_ENTRY_OK;
    r->error = 0;
    r->qualification = 0;
    if (!r->n)
        return;
    const struct vmx_check *first = r->failure[0].row;
    switch (first->group) {
    case VMX_CHECK_CT:
        r->outcome = VMX_ENTRY_FAIL_VALID;
        r->error = VMX_E_BAD_CONTROL_FIELDS;
        break;
    case VMX_CHECK_HS:
        r->outcome = VMX_ENTRY_FAIL_VALID;
        r->error = VMX_E_BAD_HOST_STATE;
        break;
    default:
        r->outcome = VMX_ENTRY_FAIL_EXIT;
        r->error = VMX_R_ENTRY_INVALID_GUEST_STATE;
        r->qualification = first->qual; // manual, "VM-Entry Failures During or After Loading Guest State"
        break;
    }
}

void vmx_check_entry(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_entry_report *r)
{
    vmx_run_checks(c, v, NULL, r);
    conclude(r);
}

// The fixed bits that bind MOV to CR0 and CR4 in the guest: an unrestricted guest may clear PE and PG.
static void guest_fixed_bits(struct isa_cpu *c, const struct vmx_cpu *v)
{
    const uint64_t exempt = ISA_CR0_PE | ISA_CR0_PG;
    c->cr0_fixed0 = v->caps->cr0_fixed0;
    if (vmx_proc2(v) & VMX_PROC2_UNRESTRICTED_GUEST)
        c->cr0_fixed0 &= ~exempt;
    c->cr0_fixed1 = v->caps->cr0_fixed1;
    c->cr4_fixed0 = v->caps->cr4_fixed0;
    c->cr4_fixed1 = v->caps->cr4_fixed1;
}

// A VM entry that failed late: whatever was loaded is replaced by host state, as by a VM exit.
static int fail_late(struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, uint64_t qual)
{
    v->report.outcome = VMX_ENTRY_FAIL_EXIT;
    v->report.error = reason;
    v->report.qualification = qual;
    vmx_fail_exit(c, v, reason, qual);
    return ISA_R_STOP;
}

int vmx_enter(struct isa_cpu *c, struct vmx_cpu *v, bool launch, struct vmx_done *done)
{
    struct vmx_entry_report *r = &v->report;
    done->action = VMX_ACT_ENTER;
    v->has_report = true;
    vmx_recheck(c, v, &v->passed, r);
    conclude(r);
    if (r->outcome == VMX_ENTRY_FAIL_VALID)
        return ISA_R_NEXT;
    if (r->outcome == VMX_ENTRY_FAIL_EXIT)
        return fail_late(c, v, r->error, r->qualification);
    vmx_load_guest(c, v);
    // without EPT the PDPTEs come from memory; they were checked
    if (!(vmx_proc2(v) & VMX_PROC2_ENABLE_EPT))
        vmx_load_pdptes(c);
    uint64_t msrs = vmx_get(v, VF_VM_ENTRY_MSR_LOAD_COUNT);
    if (msrs) // what may be written depends on the mode
        isa_update_mode(c);
    unsigned bad = vmx_msr_load(c, v, vmx_get(v, VF_VM_ENTRY_MSR_LOAD_ADDR), msrs);
    if (bad)
        return fail_late(c, v, VMX_R_ENTRY_MSR_LOADING, bad);
    v->vmcs.launched = true;
    for (unsigned k = 0; k < sizeof v->vmcs.changed / sizeof *v->vmcs.changed; k++)
        v->vmcs.changed[k] = 0;
    c->vmx = ISA_VMX_NONROOT;
    guest_fixed_bits(c, v);
    v->mtf_pending = false;
    v->pause_last = v->pause_first = 0;
    v->trap_reason = 0;
    vmx_start_clock(v, r->cycle);
    c->delivering_valid = false;
    c->iret_unblocked = false;
    c->iret_keeps_nmi = (vmx_pin(v) & VMX_PIN_NMI_EXITING) && !(vmx_pin(v) & VMX_PIN_VIRTUAL_NMIS);
    c->attention = 1;
    isa_update_mode(c);
    vmx_enter_apic(c, v);
    return ISA_R_STOP;
}

int vmx_inject(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint32_t info = (uint32_t)vmx_get(v, VF_VM_ENTRY_INTR_INFO_FIELD);
    unsigned type = VMX_INTR_TYPE(info);
    if (!(info & VMX_INTR_VALID))
        return 0;
    if (type == VMX_INTR_TYPE_OTHER) {
        v->mtf_pending = true;
        return 0;
    }
    bool software = type == ISA_EV_SWINT || type == ISA_EV_PRIVSW || type == ISA_EV_SWEXC;
    struct isa_event e = {
        .type = (uint8_t)type,
        .vector = (uint8_t)VMX_INTR_VECTOR(info),
        .insn_len = software ? (uint8_t)vmx_get(v, VF_VM_ENTRY_INSTRUCTION_LEN) : 0,
        .has_error = info & VMX_INTR_ERROR,
        .error = (uint32_t)vmx_get(v, VF_VM_ENTRY_EXCEPTION_ERROR_CODE),
        .addr = c->cr2, // injection leaves CR2, DR6 and DR7 alone: the VMM sets what the guest shall see
        .dr6 = c->dr[6] & 15,
    };
    uint64_t dr7 = c->dr[7];
    int r = isa_deliver_event(c, &e);
    c->dr[7] = dr7;
    if (!r && (vmx_proc(v) & VMX_PROC_MONITOR_TRAP_FLAG))
        v->mtf_pending = true; // the exit comes before the handler's first instruction
    return r;
}
