// vmx-model/virq.c: virtual interrupts: how the guest gets interrupts, and ends them, without a VM exit.
//
// STATE      the guest interrupt status: RVI (bits 7:0), the highest virtual interrupt that is requested, and SVI (15:8), the highest that is in
//            service; in the virtual-APIC page VTPR, VPPR, VIRR and VISR; and whether a pending virtual interrupt is recognized.
//            While the guest runs the field of the cached VMCS is the processor's RVI and SVI.
// POSTED     another processor sets bits in the posted-interrupt descriptor and sends the notification vector:
//              bytes 31..0 PIR, one bit per vector     byte 32 bit 0: ON, a notification is under way     the rest is software's
// MANUAL     "APIC Virtualization and Virtual Interrupts": "PPR Virtualization", "EOI Virtualization", "Self-IPI Virtualization", "Evaluation and
//            Delivery of Virtual Interrupts", "Posted-Interrupt Processing".
#include "vmx-model/internal.h"

#define VAPIC_TPR 0x80u
#define VAPIC_PPR 0xa0u
#define VAPIC_ISR 0x100u // eight registers of 32 vectors, 16 bytes apart
#define VAPIC_IRR 0x200u
#define PID_ON    32u

static unsigned rvi(const struct vmx_cpu *v) { return vmx_get(v, VF_GUEST_INTR_STATUS) & 0xff; }
static unsigned svi(const struct vmx_cpu *v) { return vmx_get(v, VF_GUEST_INTR_STATUS) >> 8 & 0xff; }
static uint64_t at(const struct vmx_cpu *v, unsigned off) { return vmx_get(v, VF_VIRTUAL_APIC_PAGE_ADDR) + off; }

// The processor's write, not the VMM's: nobody is to blame for the value.
static void set_status(struct vmx_cpu *v, unsigned requested, unsigned serviced)
{
    vmcs_put(&v->vmcs, VF_GUEST_INTR_STATUS, requested | serviced << 8);
    v->vmcs.writer[VF_GUEST_INTR_STATUS].cycle = v->vmcs.writer[VF_GUEST_INTR_STATUS].rip = 0;
}

static void put_bit(struct isa_cpu *c, const struct vmx_cpu *v, unsigned reg, unsigned vector, bool on)
{
    const uint64_t pa = at(v, reg + vector / 32 * 16);
    uint32_t word = 0, bit = 1u << vector % 32;
    vmx_phys_read(c, pa, &word, 4);
    word = on ? word | bit : word & ~bit;
    vmx_phys_write(c, pa, &word, 4);
}

// The highest vector of VISR or VIRR, or 0.
static unsigned highest(struct isa_cpu *c, const struct vmx_cpu *v, unsigned reg)
{
    for (unsigned k = 8; k--;) {
        uint32_t word = 0;
        vmx_phys_read(c, at(v, reg + k * 16), &word, 4);
        if (word)
            return k * 32 + 31 - (unsigned)__builtin_clz(word);
    }
    return 0;
}

static void put_ppr(struct isa_cpu *c, const struct vmx_cpu *v, uint32_t ppr) { vmx_phys_write(c, at(v, VAPIC_PPR), &ppr, 4); }

static void virtualize_ppr(struct isa_cpu *c, const struct vmx_cpu *v)
{
    uint8_t tpr = 0;
    vmx_phys_read(c, at(v, VAPIC_TPR), &tpr, 1);
    put_ppr(c, v, tpr >> 4 >= svi(v) >> 4 ? tpr : svi(v) & 0xf0);
}

static void evaluate(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint8_t ppr = 0;
    vmx_phys_read(c, at(v, VAPIC_PPR), &ppr, 1);
    v->virq = !(vmx_proc(v) & VMX_PROC_INT_WINDOW_EXITING) && rvi(v) >> 4 > ppr >> 4;
    if (v->virq)
        c->attention = 1; // the boundary delivers it
}

void vmx_priority_changed(struct isa_cpu *c, struct vmx_cpu *v)
{
    virtualize_ppr(c, v);
    evaluate(c, v);
}

void vmx_virtualize_eoi(struct isa_cpu *c, struct vmx_cpu *v)
{
    unsigned vector = svi(v);
    put_bit(c, v, VAPIC_ISR, vector, false);
    set_status(v, rvi(v), highest(c, v, VAPIC_ISR));
    virtualize_ppr(c, v);
    if (vmx_get(v, VF_EOI_EXIT_BITMAP0 + vector / 64) >> vector % 64 & 1)
        vmx_trap_after(c, v, VMX_R_VIRTUALIZED_EOI, vector);
    else
        evaluate(c, v);
}

static void request(struct isa_cpu *c, struct vmx_cpu *v, unsigned vector)
{
    put_bit(c, v, VAPIC_IRR, vector, true);
    if (vector > rvi(v))
        set_status(v, vector, svi(v));
}

void vmx_virtualize_self_ipi(struct isa_cpu *c, struct vmx_cpu *v, unsigned vector)
{
    request(c, v, vector);
    evaluate(c, v);
}

int vmx_take_virtual_interrupt(struct isa_cpu *c, struct vmx_cpu *v)
{
    bool asleep_for_good = c->activity == ISA_SHUTDOWN || c->activity == ISA_WAIT_SIPI;
    if (!v->virq || !(c->rflags_sys & ISA_FL_IF) || (c->blocking & (ISA_BLOCK_STI | ISA_BLOCK_MOVSS)) || asleep_for_good)
        return -1;
    unsigned vector = rvi(v);
    put_bit(c, v, VAPIC_ISR, vector, true);
    put_ppr(c, v, vector & 0xf0);
    put_bit(c, v, VAPIC_IRR, vector, false);
    set_status(v, highest(c, v, VAPIC_IRR), vector);
    v->virq = false;
    return (int)vector;
}

bool vmx_post_interrupts(struct isa_cpu *c, struct vmx_cpu *v, int vector)
{
    const uint64_t desc = vmx_get(v, VF_POSTED_INTR_DESC_ADDR);
    uint32_t pir[8] = {0};
    const uint32_t none[8] = {0};
    uint8_t on = 0;
    if (!(vmx_pin(v) & VMX_PIN_POSTED_INTERRUPTS) || vector != (int)vmx_get(v, VF_POSTED_INTR_NV))
        return false;
    vmx_phys_read(c, desc + PID_ON, &on, 1);
    on &= 0xfe;
    vmx_phys_write(c, desc + PID_ON, &on, 1);
    vmx_phys_read(c, desc, pir, sizeof pir);
    vmx_phys_write(c, desc, none, sizeof none);
    for (unsigned n = 0; n < 256; n++)
        if (pir[n / 32] >> n % 32 & 1)
            request(c, v, n);
    evaluate(c, v);
    return true;
}
