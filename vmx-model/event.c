// vmx-model/event.c: which events of the guest exit: exceptions, interrupts, windows, EPT faults.
// Manual: "Other Causes of VM Exits", "VM-Exit Information Fields".
#include "vmx-model/ept.h"
#include "vmx-model/internal.h"

// Bits of DR6 that the qualification of a debug exception shows: B3..B0, BD, BS.
#define QUAL_DB 0x600full

static bool exception_exits(const struct vmx_cpu *v, const struct isa_event *e)
{
    bool bit = vmx_get(v, VF_EXCEPTION_BITMAP) >> e->vector & 1;
    if (e->vector != ISA_X_PF)
        return bit;
    uint64_t mask = vmx_get(v, VF_PAGE_FAULT_ERROR_CODE_MASK), match = vmx_get(v, VF_PAGE_FAULT_ERROR_CODE_MATCH);
    return (e->error & mask) == match ? bit : !bit; // no match reverses the bit's meaning
}

// "NMI unblocking due to IRET": for a fault of IRET itself, not of the delivery of an event.
static bool unblocked_by_iret(const struct isa_cpu *c) { return c->iret_unblocked && !c->delivering_valid; }

int vmx_intercept_event(struct isa_cpu *c, struct vmx_cpu *v, const struct isa_event *e)
{
    bool exits;
    switch (e->type) {
    case ISA_EV_NMI: exits = vmx_pin(v) & VMX_PIN_NMI_EXITING; break;
    case ISA_EV_HWEXC:
    case ISA_EV_PRIVSW:
    case ISA_EV_SWEXC: exits = exception_exits(v, e); break;
    default: exits = false; break; // INT n never exits; external interrupts: vmx_intercept_irq()
    }
    if (!exits)
        return 0;
    uint64_t qual = 0;
    if (e->type != ISA_EV_NMI)
        qual = e->vector == ISA_X_PF ? e->addr : e->vector == ISA_X_DB ? e->dr6 & QUAL_DB : 0;
    int r = vmx_exit_record(v, VMX_R_EXCEPTION_NMI, qual, NULL);
    const bool error = e->has_error && (c->cr0 & ISA_CR0_PE); // real mode has no error codes
    v->exit.intr_info = VMX_INTR_VALID | e->vector | (uint32_t)e->type << 8 | (error ? VMX_INTR_ERROR : 0);
    if (e->vector != ISA_X_DF && unblocked_by_iret(c))
        v->exit.intr_info |= VMX_INTR_UNBLOCKED;
    v->exit.intr_err = error ? e->error : 0;
    v->exit.insn_len = e->insn_len;
    v->exit.trap_like = e->type == ISA_EV_NMI;
    return r;
}

int vmx_intercept_triple(struct isa_cpu *c, struct vmx_cpu *v) { return vmx_exit_record(v, VMX_R_TRIPLE_FAULT, 0, NULL); }

// External interrupts and most exits at a boundary do not come in the activity states shutdown and wait-for-SIPI.
static bool runs_or_halts(const struct isa_cpu *c) { return c->activity == ISA_ACTIVE || c->activity == ISA_HLT; }

bool vmx_ack_on_exit(const struct vmx_cpu *v) { return vmx_get(v, VF_VM_EXIT_CONTROLS) & VMX_EXIT_ACK_INTERRUPT; }

// The exit happens whatever RFLAGS.IF says: the interrupt is the host's.
bool vmx_intercept_irq(struct isa_cpu *c, struct vmx_cpu *v, bool nmi, int vector)
{
    uint32_t pin = vmx_pin(v);
    if (nmi) {
        if (!(pin & VMX_PIN_NMI_EXITING) || (!(pin & VMX_PIN_VIRTUAL_NMIS) && (c->blocking & ISA_BLOCK_NMI)))
            return false;
        vmx_exit_record(v, VMX_R_EXCEPTION_NMI, 0, NULL);
        v->exit.intr_info = VMX_INTR_VALID | ISA_X_NMI | (uint32_t)ISA_EV_NMI << 8;
    } else {
        if (!(pin & VMX_PIN_EXT_INT_EXITING) || !runs_or_halts(c))
            return false;
        vmx_exit_record(v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
        if (vector >= 0 && vmx_ack_on_exit(v))
            v->exit.intr_info = VMX_INTR_VALID | ((uint32_t)vector & 0xff);
    }
    v->exit.trap_like = true;
    return true;
}

void vmx_intercept_init(struct vmx_cpu *v)
{
    vmx_exit_record(v, VMX_R_INIT_SIGNAL, 0, NULL);
    v->exit.trap_like = true;
}

void vmx_intercept_sipi(struct vmx_cpu *v, uint8_t vector)
{
    vmx_exit_record(v, VMX_R_STARTUP_IPI, vector, NULL);
    v->exit.trap_like = true;
}

// The timer counts down by 1 when bit 0..4 of IA32_VMX_MISC of the time-stamp counter changes; whole steps from the VM entry here.
static unsigned timer_shift(const struct vmx_cpu *v) { return v->caps->misc & 0x1f; }

void vmx_start_clock(struct vmx_cpu *v, uint64_t cycle)
{
    v->entry_cycle = cycle;
    v->timer_deadline = UINT64_MAX;
    if (vmx_pin(v) & VMX_PIN_PREEMPTION_TIMER)
        v->timer_deadline = cycle + (vmx_get(v, VF_VMX_PREEMPTION_TIMER_VALUE) << timer_shift(v));
}

uint64_t vmx_timer_left(const struct vmx_cpu *v)
{
    return v->exit_cycle < v->timer_deadline ? (v->timer_deadline - v->exit_cycle) >> timer_shift(v) : 0;
}

static bool exit_at_boundary(struct vmx_cpu *v, uint32_t reason, uint64_t qual)
{
    v->mtf_pending = false;
    v->trap_reason = 0;
    vmx_exit_record(v, reason, qual, NULL);
    v->exit.trap_like = true;
    return true;
}

// --- exits at a boundary, from the highest priority down; sim/boundary.c asks in this order, with INIT, debug traps and interrupts in between
//
// Manual: "TPR Virtualization", "APIC-Write VM Exits", "Monitor Trap Flag", "VMX-Preemption Timer", "NMI-Window Exiting", "Interrupt-Window Exiting and
// Virtual-Interrupt Delivery"; which activity state blocks what: "Activity State", "Architectural State Before a VM Exit".

// A guest in the shutdown state takes the exit once an NMI has woken it.
bool vmx_trap_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    return v->trap_reason && runs_or_halts(c) && exit_at_boundary(v, v->trap_reason, v->trap_qual);
}

bool vmx_mtf_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    return v->mtf_pending && runs_or_halts(c) && exit_at_boundary(v, VMX_R_MONITOR_TRAP_FLAG, 0);
}

bool vmx_nmi_window_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    if (c->activity == ISA_WAIT_SIPI)
        return false;
    if (c->cycles >= v->timer_deadline)
        return exit_at_boundary(v, VMX_R_PREEMPTION_TIMER, 0);
    bool open = !(c->blocking & (ISA_BLOCK_NMI | ISA_BLOCK_STI | ISA_BLOCK_MOVSS));
    return open && (vmx_proc(v) & VMX_PROC_NMI_WINDOW_EXITING) && exit_at_boundary(v, VMX_R_NMI_WINDOW, 0);
}

bool vmx_int_window_exit(struct isa_cpu *c, struct vmx_cpu *v)
{
    bool open = (c->rflags_sys & ISA_FL_IF) && !(c->blocking & (ISA_BLOCK_STI | ISA_BLOCK_MOVSS)) && runs_or_halts(c);
    return open && (vmx_proc(v) & VMX_PROC_INT_WINDOW_EXITING) && exit_at_boundary(v, VMX_R_INTERRUPT_WINDOW, 0);
}

void vmx_insn_comes(const struct isa_cpu *c, struct vmx_cpu *v)
{
    if (c->vmx == ISA_VMX_NONROOT && (vmx_proc(v) & VMX_PROC_MONITOR_TRAP_FLAG))
        v->mtf_pending = true;
}

// Manual, "Monitor Trap Flag": the exit then is pending before the handler's first instruction.
void vmx_event_comes(const struct isa_cpu *c, struct vmx_cpu *v)
{
    if (c->vmx == ISA_VMX_NONROOT && (vmx_proc(v) & VMX_PROC_MONITOR_TRAP_FLAG))
        v->mtf_pending = true;
}

bool vmx_window_armed(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    const uint32_t any = VMX_PROC_INT_WINDOW_EXITING | VMX_PROC_NMI_WINDOW_EXITING | VMX_PROC_MONITOR_TRAP_FLAG;
    return v->mtf_pending || v->trap_reason || (vmx_proc(v) & any);
}

// --- virtualization exceptions
//
// The information area: 0 exit reason (32 bits), 4 all ones (32 bits; the guest writes 0 when it can take the next one), 8 exit
// qualification, 16 guest-linear and 24 guest-physical address, 32 EPTP index (16 bits). Manual: "Convertible EPT Violations",
// "Virtualization-Exception Information".

static bool becomes_ve(struct isa_cpu *c, const struct vmx_cpu *v, uint64_t entry)
{
    uint32_t busy = 0;
    if (!(vmx_proc2(v) & VMX_PROC2_EPT_VIOLATION_VE) || (entry & EPT_SUPPRESS_VE) || !(c->cr0 & ISA_CR0_PE) || c->delivering_valid)
        return false;
    vmx_phys_read(c, vmx_get(v, VF_VIRT_EXCEPTION_INFO) + 4, &busy, 4);
    return !busy;
}

static int virtualization_exception(struct isa_cpu *c, struct vmx_cpu *v)
{
    const uint64_t area = vmx_get(v, VF_VIRT_EXCEPTION_INFO), index = vmx_get(v, VF_EPTP_INDEX);
    const uint64_t info[] = {VMX_R_EPT_VIOLATION | 0xffffffffull << 32, v->exit.qual, v->exit.gla, v->exit.gpa.v};
    vmx_phys_write(c, area, info, sizeof info);
    vmx_phys_write(c, area + sizeof info, &index, 2);
    return isa_raise(c, ISA_X_VE, 0, ISA_RULE_VE_EPT_VIOLATION);
}

int vmx_ept_violation(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa, uint64_t la, bool la_valid, bool translating_la,
                      unsigned acc, unsigned ept_perms, uint64_t entry)
{
    unsigned need = acc & ISA_ACC_X ? EPT_X : acc & ISA_ACC_W ? EPT_W : acc & ISA_ACC_RMW ? EPT_R | EPT_W : EPT_R;
    int r = vmx_exit_record(v, VMX_R_EPT_VIOLATION, ept_violation_qual(need, ept_perms, la_valid, translating_la), NULL);
    v->exit.gpa = gpa;
    v->exit.gla = la_valid ? la : 0;
    if ((vmx_proc2(v) & VMX_PROC2_MODE_BASED_EXECUTE) && (ept_perms & EPT_USER_X))
        v->exit.qual |= EPT_QUAL_USER_X;
    if (la_valid && translating_la && (v->caps->ept_vpid >> 22 & 1))
        v->exit.qual |= ept_perms & EPT_QUAL_ADVANCED;
    if (unblocked_by_iret(c))
        v->exit.qual |= EPT_QUAL_UNBLOCKED;
    return becomes_ve(c, v, entry) ? virtualization_exception(c, v) : r;
}

// The log fills from entry 511 down; an index above 511 (it wraps below 0) says that it is full.
int vmx_log_dirty(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa)
{
    uint64_t index = vmx_get(v, VF_GUEST_PML_INDEX), page = gpa.v & ~0xfffull;
    if (!(vmx_proc2(v) & VMX_PROC2_ENABLE_PML))
        return 0;
    if (index > 511)
        return vmx_exit_record(v, VMX_R_PML_FULL, unblocked_by_iret(c) ? EPT_QUAL_UNBLOCKED : 0, NULL);
    vmx_phys_write(c, vmx_get(v, VF_PML_ADDRESS) + 8 * index, &page, 8);
    vmcs_put(&v->vmcs, VF_GUEST_PML_INDEX, index - 1);
    return 0;
}

int vmx_ept_misconfig(struct isa_cpu *c, struct vmx_cpu *v, struct gpa gpa)
{
    int r = vmx_exit_record(v, VMX_R_EPT_MISCONFIGURATION, 0, NULL);
    v->exit.gpa = gpa;
    return r;
}
