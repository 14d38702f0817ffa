// vmx-model/apic.c: the virtual-APIC page: what CR8 and the task-priority MSR are to the guest.
//
// STATE      the page holds the registers of a virtual local APIC at the offsets of the xAPIC; VTPR is its 32 bits at 080H.
// MANUAL     "APIC Virtualization and Virtual Interrupts": "Virtual APIC State", "TPR Virtualization", "Virtualizing CR8-Based TPR
//            Accesses", "Virtualizing MSR-Based APIC Accesses".
#include "vmx-model/internal.h"

#define VAPIC_TPR    0x80u
#define X2APIC_FIRST 0x800u
#define X2APIC_TPR   (X2APIC_FIRST + VAPIC_TPR / 16)

static uint64_t at(const struct vmx_cpu *v, unsigned off) { return vmx_get(v, VF_VIRTUAL_APIC_PAGE_ADDR) + off; }

unsigned vmx_virtual_priority(struct isa_cpu *c, const struct vmx_cpu *v)
{
    uint8_t b = 0;
    vmx_phys_read(c, at(v, VAPIC_TPR), &b, 1);
    return b >> 4;
}

// The exit comes after the instruction, at the boundary: vmx_trap_exit().
static void tpr_written(struct isa_cpu *c, struct vmx_cpu *v)
{
    if (vmx_virtual_priority(c, v) >= (vmx_get(v, VF_TPR_THRESHOLD) & 15))
        return;
    v->trap_reason = VMX_R_TPR_BELOW_THRESHOLD;
    c->attention = 1;
}

static int write_tpr(struct isa_cpu *c, struct vmx_cpu *v, uint64_t val, unsigned size)
{
    vmx_phys_write(c, at(v, VAPIC_TPR), &val, size);
    tpr_written(c, v);
    return ISA_ICPT_DONE;
}

// Reserved bits are left to MOV to CR8 itself, which faults.
int vmx_write_cr8(struct isa_cpu *c, struct vmx_cpu *v, uint64_t val)
{
    if (!(vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW) || (val & ~15ull))
        return 0;
    return write_tpr(c, v, val << 4, 4);
}

void vmx_read_cr8(struct isa_cpu *c, const struct vmx_cpu *v, uint64_t *val)
{
    if (vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW)
        *val = vmx_virtual_priority(c, v);
}

int vmx_x2apic(struct isa_cpu *c, struct vmx_cpu *v, uint32_t msr, bool write, uint64_t *val)
{
    if (!(vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_X2APIC) || msr != X2APIC_TPR)
        return 0;
    if (write)
        return *val & ~0xffull ? isa_gp0(c, ISA_RULE_GP_MSR_VALUE) : write_tpr(c, v, *val, 8);
    vmx_phys_read(c, at(v, VAPIC_TPR), val, 8);
    return ISA_ICPT_DONE;
}
