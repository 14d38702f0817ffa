// vmx-model/apic.c: the virtual-APIC page: what CR8, the task-priority MSR and the APIC-access page are to the guest.
//
// STATE      the page holds the registers of a virtual local APIC at the offsets of the xAPIC; VTPR is its 32 bits at 080H.
// MANUAL     "APIC Virtualization and Virtual Interrupts": "Virtual APIC State", "TPR Virtualization", "Virtualizing CR8-Based TPR
//            Accesses", "Virtualizing Memory-Mapped APIC Accesses", "Virtualizing MSR-Based APIC Accesses".
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

// --- the APIC-access page

enum { LINEAR_READ, LINEAR_WRITE, LINEAR_FETCH, LINEAR_DELIVERY, PHYSICAL_DELIVERY = 10, PHYSICAL = 15 };

static int apic_exit(struct isa_cpu *c, struct vmx_cpu *v, unsigned off, uint64_t type)
{
    return vmx_exit_record(v, VMX_R_APIC_ACCESS, off | type << 12, c->delivering_valid ? NULL : c->at);
}

// Of the registers only the task priority is virtualized: up to 32 bits inside its low 4 bytes, and data.
static bool virtualized(const struct vmx_cpu *v, unsigned off, unsigned n, unsigned acc)
{
    return (vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW) && !(acc & ISA_ACC_X) && off >= VAPIC_TPR && off + n <= VAPIC_TPR + 4;
}

uint64_t vmx_apic_access_page(const struct vmx_cpu *v)
{
    return vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_APIC_ACCESSES ? vmx_get(v, VF_APIC_ACCESS_ADDR) : VMX_NO_PTR;
}

int vmx_apic_access(struct isa_cpu *c, struct vmx_cpu *v, unsigned off, void *buf, unsigned n, unsigned acc)
{
    const uint64_t zero = 0;
    bool write = acc & ISA_ACC_W;
    if (!virtualized(v, off, n, acc))
        return apic_exit(c, v, off,
                         c->delivering_valid ? LINEAR_DELIVERY
                         : acc & ISA_ACC_X   ? LINEAR_FETCH
                         : write             ? LINEAR_WRITE
                                             : LINEAR_READ);
    if (!buf)
        return 0;
    if (!write)
        return vmx_phys_read(c, at(v, off), buf, n);
    vmx_phys_write(c, at(v, off), buf, n);
    vmx_phys_write(c, at(v, VAPIC_TPR + 1), &zero, 3); // TPR virtualization clears VTPR 31:8
    tpr_written(c, v);
    return 0;
}

int vmx_apic_access_physical(struct isa_cpu *c, struct vmx_cpu *v, unsigned off)
{
    return apic_exit(c, v, off, c->delivering_valid ? PHYSICAL_DELIVERY : PHYSICAL);
}

// Manual, "VM Exits Induced by the TPR Threshold": the check that takes the place of E-CT-020 where APIC accesses are virtualized.
void vmx_enter_tpr(struct isa_cpu *c, struct vmx_cpu *v)
{
    if ((vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW) && (vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_APIC_ACCESSES))
        tpr_written(c, v);
}
