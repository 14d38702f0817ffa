// sim/vmx_setup.c: see sim/vmx_setup.h.
#include "sim/vmx_setup.h"

#include <string.h>

static const uint8_t stub_code[] = {
    0xf3, 0x0f, 0xc7, 0x35, 0x1f, 0x00, 0x00, 0x00, // vmxon [rip + 0x1f]: stub + 39
    0x66, 0x0f, 0xc7, 0x35, 0x1f, 0x00, 0x00, 0x00, // vmclear [rip + 0x1f]: stub + 47
    0x0f, 0xc7, 0x35, 0x18, 0x00, 0x00, 0x00,       // vmptrld [rip + 0x18]: stub + 47
    0xf4,                                           // hlt: the VMCS is filled in here
    0x0f, 0x01, 0xc2,                               // vmlaunch
    0xf4,                                           // hlt: the entry failed
};
#define STUB_HLT    23
#define STUB_LAUNCH 24
#define STUB_VMXON  39
#define STUB_VMCS   47

static void put(struct sim_machine *m, enum vmcs_field f, uint64_t v) { sim_vmcs_write(m, 0, vmcs_field_info[f].encoding, v); }

static uint64_t get(struct sim_machine *m, const char *name)
{
    uint64_t v = 0;
    sim_reg_get(m, 0, name, &v);
    return v;
}

// Control words: what must be 1, and the wishes as far as they may be 1.
static uint64_t control(uint64_t cap, uint64_t wish) { return ((cap & 0xffffffff) | wish) & cap >> 32; }

static void fill_controls(struct sim_machine *m, const struct vmx_setup *s)
{
    put(m, VF_PIN_BASED_VM_EXEC_CONTROL, control(get(m, "msr.IA32_VMX_PINBASED_CTLS"), s->pin));
    put(m, VF_CPU_BASED_VM_EXEC_CONTROL, control(get(m, "msr.IA32_VMX_PROCBASED_CTLS"), s->proc | (s->proc2 ? 1u << 31 : 0)));
    put(m, VF_SECONDARY_VM_EXEC_CONTROL, control(get(m, "msr.IA32_VMX_PROCBASED_CTLS2"), s->proc2));
    put(m, VF_VM_EXIT_CONTROLS, control(get(m, "msr.IA32_VMX_EXIT_CTLS"), 1u << 9));   // the host is in 64-bit mode
    put(m, VF_VM_ENTRY_CONTROLS, control(get(m, "msr.IA32_VMX_ENTRY_CTLS"), 1u << 9)); // the guest in IA-32e mode
    put(m, VF_EPT_POINTER, s->eptp);
    put(m, VF_VIRTUAL_PROCESSOR_ID, s->vpid);
    put(m, VF_VMCS_LINK_POINTER, UINT64_MAX);
}

static void fill_host(struct sim_machine *m, const struct vmx_setup *s)
{
    const struct isa_cpu *c = sim_cpu(m, 0);
    put(m, VF_HOST_CR0, c->cr0);
    put(m, VF_HOST_CR3, c->cr3);
    put(m, VF_HOST_CR4, c->cr4);
    put(m, VF_HOST_CS_SELECTOR, c->seg[ISA_CS].sel);
    put(m, VF_HOST_SS_SELECTOR, c->seg[ISA_SS].sel);
    put(m, VF_HOST_TR_SELECTOR, 0x20);
    put(m, VF_HOST_TR_BASE, c->seg[ISA_TR].base);
    put(m, VF_HOST_GDTR_BASE, c->gdtr.base);
    put(m, VF_HOST_IDTR_BASE, c->idtr.base);
    put(m, VF_HOST_RIP, s->host_rip);
    put(m, VF_HOST_RSP, s->host_rsp);
}

static void fill_guest(struct sim_machine *m, const struct vmx_setup *s)
{
    static const struct {
        uint8_t sreg;
        uint16_t sel, base, limit, ar; // enum vmcs_field
    } seg[] = {
#define SEG(n) {ISA_##n, VF_GUEST_##n##_SELECTOR, VF_GUEST_##n##_BASE, VF_GUEST_##n##_LIMIT, VF_GUEST_##n##_AR_BYTES}
        SEG(ES), SEG(CS), SEG(SS), SEG(DS), SEG(FS), SEG(GS), SEG(LDTR), SEG(TR)};
    const struct isa_cpu *c = sim_cpu(m, 0);
    put(m, VF_GUEST_CR0, c->cr0);
    put(m, VF_GUEST_CR3, c->cr3);
    put(m, VF_GUEST_CR4, c->cr4);
    for (unsigned k = 0; k < sizeof seg / sizeof *seg; k++) {
        const struct isa_seg *g = &c->seg[seg[k].sreg];
        bool ldtr = seg[k].sreg == ISA_LDTR, tr = seg[k].sreg == ISA_TR;
        put(m, (enum vmcs_field)seg[k].sel, ldtr ? 0 : g->sel);
        put(m, (enum vmcs_field)seg[k].base, g->base);
        put(m, (enum vmcs_field)seg[k].limit, tr ? 0x67 : g->limit);
        put(m, (enum vmcs_field)seg[k].ar, ldtr ? ISA_AR_UNUSABLE : tr ? 0x8b : g->ar);
    }
    put(m, VF_GUEST_GDTR_BASE, c->gdtr.base);
    put(m, VF_GUEST_GDTR_LIMIT, c->gdtr.limit);
    put(m, VF_GUEST_IDTR_BASE, c->idtr.base);
    put(m, VF_GUEST_IDTR_LIMIT, c->idtr.limit);
    put(m, VF_GUEST_DR7, 0x400);
    put(m, VF_GUEST_RFLAGS, 2);
    put(m, VF_GUEST_RIP, s->guest_rip);
    put(m, VF_GUEST_RSP, s->guest_rsp);
}

int vmx_setup(struct sim_machine *m, const struct vmx_setup *s, struct sim_error *err)
{
    uint64_t revision = get(m, "msr.IA32_VMX_BASIC");
    sim_poke(m, 0, SIM_LINEAR, s->stub, stub_code, sizeof stub_code);
    sim_poke(m, 0, SIM_LINEAR, s->stub + STUB_VMXON, &s->vmxon, 8);
    sim_poke(m, 0, SIM_LINEAR, s->stub + STUB_VMCS, &s->vmcs, 8);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, s->vmxon, &revision, 4);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, s->vmcs, &revision, 4);
    sim_reg_set(m, 0, "cr0", get(m, "cr0") | ISA_CR0_NE);
    sim_reg_set(m, 0, "cr4", get(m, "cr4") | ISA_CR4_VMXE);
    sim_reg_set(m, 0, "msr.IA32_FEATURE_CONTROL", 5);
    sim_reg_set(m, 0, "rip", s->stub);
    struct sim_stop stop = sim_run(m, &(struct sim_until){.has_rip = true, .rip = s->stub + STUB_HLT, .max_insns = 10});
    if (stop.kind != SIM_STOP_UNTIL || !sim_vmcs(m, 0))
        return sim_fail(err, SIM_INTERNAL, "VMXON did not work: %s", stop.text);
    fill_controls(m, s);
    fill_host(m, s);
    fill_guest(m, s);
    sim_reg_set(m, 0, "rip", s->stub + STUB_LAUNCH);
    return 0;
}
