// vmx-model/apic.c: the virtual-APIC page: what CR8, the MSRs of the x2APIC and the APIC-access page are to the guest.
//
// STATE      the page holds the registers of a virtual local APIC at the offsets of the xAPIC, each in the low 4 of 16 bytes.
// WRITES     go to the page, and then to what the register does (APIC-write emulation): the priority, an end of interrupt or an IPI to itself
//            are virtualized (vmx-model/virq.c); for the rest the VMM gets an APIC-write VM exit behind the instruction.
// MANUAL     "APIC Virtualization and Virtual Interrupts": "Virtual APIC State", "TPR Virtualization", "Virtualizing CR8-Based TPR
//            Accesses", "Virtualizing Memory-Mapped APIC Accesses", "Virtualizing MSR-Based APIC Accesses".
#include "vmx-model/internal.h"

// Registers by number: offset / 16 in the page, MSR - 800H.
enum {
    A_ID = 0x02,
    A_VERSION,
    A_TPR = 0x08,
    A_EOI = 0x0b,
    A_LDR = 0x0d,
    A_DFR,
    A_SVR,
    A_ISR,
    A_ESR = 0x28,
    A_ICR = 0x30,
    A_ICR_HIGH
};
enum { A_LVT = 0x32, A_INIT_COUNT = 0x38, A_DIVIDE = 0x3e, A_SELF_IPI };
#define VAPIC_TPR    (16u * A_TPR)
#define X2APIC_FIRST 0x800u

static uint64_t at(const struct vmx_cpu *v, unsigned off) { return vmx_get(v, VF_VIRTUAL_APIC_PAGE_ADDR) + off; }
static bool delivers(const struct vmx_cpu *v) { return vmx_proc2(v) & VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY; }

unsigned vmx_virtual_priority(struct isa_cpu *c, const struct vmx_cpu *v)
{
    uint8_t b = 0;
    vmx_phys_read(c, at(v, VAPIC_TPR), &b, 1);
    return b >> 4;
}

// The exit comes after the instruction, at the boundary: vmx_trap_exit().
void vmx_trap_after(struct isa_cpu *c, struct vmx_cpu *v, uint32_t reason, uint64_t qual)
{
    v->trap_reason = reason;
    v->trap_qual = qual;
    c->attention = 1;
}

static void tpr_written(struct isa_cpu *c, struct vmx_cpu *v)
{
    if (delivers(v))
        vmx_priority_changed(c, v);
    else if (vmx_virtual_priority(c, v) < (vmx_get(v, VF_TPR_THRESHOLD) & 15))
        vmx_trap_after(c, v, VMX_R_TPR_BELOW_THRESHOLD, 0);
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

// --- MSRs

// Vectors 0 to 15 are no interrupts: the VMM is to raise what the APIC would.
static void self_ipi_written(struct isa_cpu *c, struct vmx_cpu *v, unsigned vector)
{
    if (vector >> 4)
        vmx_virtualize_self_ipi(c, v, vector);
    else
        vmx_trap_after(c, v, VMX_R_APIC_WRITE, 16 * A_SELF_IPI);
}

static int write_x2apic(struct isa_cpu *c, struct vmx_cpu *v, unsigned reg, uint64_t val)
{
    const uint64_t may = reg == A_EOI ? 0 : 0xff;
    if (reg != A_TPR && !(delivers(v) && (reg == A_EOI || reg == A_SELF_IPI)))
        return 0;
    if (val & ~may)
        return isa_gp0(c, ISA_RULE_GP_MSR_VALUE);
    if (reg == A_TPR)
        return write_tpr(c, v, val, 8);
    vmx_phys_write(c, at(v, 16 * reg), &val, 8);
    if (reg == A_EOI)
        vmx_virtualize_eoi(c, v);
    else
        self_ipi_written(c, v, (unsigned)val);
    return ISA_ICPT_DONE;
}

int vmx_x2apic(struct isa_cpu *c, struct vmx_cpu *v, uint32_t msr, bool write, uint64_t *val)
{
    const unsigned reg = msr - X2APIC_FIRST;
    if (!(vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_X2APIC) || reg > 0xff)
        return 0;
    if (write)
        return write_x2apic(c, v, reg, *val);
    if (reg != A_TPR && !(vmx_proc2(v) & VMX_PROC2_APIC_REGISTER_VIRTUALIZATION))
        return 0;
    vmx_phys_read(c, at(v, 16 * reg), val, 8); // whether the APIC has such a register or not
    return ISA_ICPT_DONE;
}

// --- the APIC-access page

enum { LINEAR_READ, LINEAR_WRITE, LINEAR_FETCH, LINEAR_DELIVERY, PHYSICAL_DELIVERY = 10, PHYSICAL = 15 };

static int apic_exit(struct isa_cpu *c, struct vmx_cpu *v, unsigned off, uint64_t type)
{
    return vmx_exit_record(v, VMX_R_APIC_ACCESS, off | type << 12, c->delivering_valid ? NULL : c->at);
}

#define REG(n)     (1ull << (n))
#define REGS(n, k) (((1ull << (k)) - 1) << (n)) // k registers from number n
#define WRITABLE                                                                                                                   \
    (REG(A_ID) | REG(A_TPR) | REG(A_EOI) | REG(A_LDR) | REG(A_DFR) | REG(A_SVR) | REG(A_ESR) | REGS(A_ICR, 9) | REG(A_DIVIDE))
#define READABLE (WRITABLE | REG(A_VERSION) | REGS(A_ISR, 24))

// Which registers are virtualized; a bit per number. The processor priority and the current count never are.
static uint64_t registers(const struct vmx_cpu *v, bool write)
{
    if (!(vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW))
        return 0;
    if (vmx_proc2(v) & VMX_PROC2_APIC_REGISTER_VIRTUALIZATION)
        return write ? WRITABLE : READABLE;
    return REG(A_TPR) | (write && delivers(v) ? REG(A_EOI) | REG(A_ICR) : 0);
}

// Up to 32 bits inside the low 4 bytes of a register, and data.
static bool virtualized(const struct vmx_cpu *v, unsigned off, unsigned n, unsigned acc)
{
    uint64_t set = registers(v, acc & ISA_ACC_W);
    if (acc & ISA_ACC_RMW)
        set &= registers(v, true); // the write comes
    return !(acc & ISA_ACC_X) && off < 0x400 && off % 16 + n <= 4 && (set >> off / 16 & 1);
}

uint64_t vmx_apic_access_page(const struct vmx_cpu *v)
{
    return vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_APIC_ACCESSES ? vmx_get(v, VF_APIC_ACCESS_ADDR) : VMX_NO_PTR;
}

static void clear_bytes(struct isa_cpu *c, const struct vmx_cpu *v, unsigned off, unsigned n)
{
    const uint32_t zero = 0;
    vmx_phys_write(c, at(v, off), &zero, n);
}

// A fixed, edge-triggered interrupt to itself with a legal vector: bits 31:20, 17:16, 13 and 12 are 0, the shorthand (19:18) is 01B, the trigger
// mode (15), the delivery mode (10:8) and the destination mode's don't-care bit (11) aside, nothing else is set.
static bool self_ipi(uint32_t icr)
{
    const uint32_t must_match = 0xfff00000 | 3u << 18 | 3u << 16 | 1u << 15 | 1u << 13 | 1u << 12 | 7u << 8;
    return (icr & must_match) == 1u << 18 && (icr & 0xf0);
}

static void icr_written(struct isa_cpu *c, struct vmx_cpu *v, unsigned off)
{
    uint32_t icr = 0;
    vmx_phys_read(c, at(v, 16 * A_ICR), &icr, 4);
    if (delivers(v) && self_ipi(icr))
        vmx_virtualize_self_ipi(c, v, icr & 0xff);
    else
        vmx_trap_after(c, v, VMX_R_APIC_WRITE, off);
}

// Manual, "APIC-Write Emulation". What is cleared here are the bytes that the register does not have.
static void emulate_write(struct isa_cpu *c, struct vmx_cpu *v, unsigned off)
{
    switch (off / 16) {
    case A_TPR:
        clear_bytes(c, v, VAPIC_TPR + 1, 3);
        tpr_written(c, v);
        break;
    case A_EOI:
        if (delivers(v)) {
            clear_bytes(c, v, 16 * A_EOI, 4);
            vmx_virtualize_eoi(c, v);
        } else {
            vmx_trap_after(c, v, VMX_R_APIC_WRITE, off);
        }
        break;
    case A_ICR: icr_written(c, v, off); break;
    case A_ICR_HIGH: clear_bytes(c, v, 16 * A_ICR_HIGH, 3); break;
    default: vmx_trap_after(c, v, VMX_R_APIC_WRITE, off);
    }
}

int vmx_apic_access(struct isa_cpu *c, struct vmx_cpu *v, unsigned off, void *buf, unsigned n, unsigned acc)
{
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
    emulate_write(c, v, off);
    return 0;
}

int vmx_apic_access_physical(struct isa_cpu *c, struct vmx_cpu *v, unsigned off)
{
    return apic_exit(c, v, off, c->delivering_valid ? PHYSICAL_DELIVERY : PHYSICAL);
}

// With virtual-interrupt delivery: PPR virtualization, and what waits may be delivered at once. Without, and where APIC accesses are virtualized:
// the check that takes the place of E-CT-020 (manual, "VM Exits Induced by the TPR Threshold").
void vmx_enter_apic(struct isa_cpu *c, struct vmx_cpu *v)
{
    v->virq = false;
    if (delivers(v) || ((vmx_proc(v) & VMX_PROC_USE_TPR_SHADOW) && (vmx_proc2(v) & VMX_PROC2_VIRTUALIZE_APIC_ACCESSES)))
        tpr_written(c, v);
}
