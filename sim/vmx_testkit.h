// sim/vmx_testkit.h: a small VMM and its guest on the whole machine, for tests. The guest shares the VMM's page tables and is about to be launched.
// Included by tests only.
#ifndef SIM_VMX_TESTKIT_H
#define SIM_VMX_TESTKIT_H

#include "vmx-model/testvm.h"

#include "isa/flags.h"
#include "sim/internal.h"
#include "sim/loader.h"

#define HOST    0x100000u
#define HANDLER 0x110000u
#define GUEST   0x140000u
#define STACK   0x180000u
#define MODES   4 // dispatchers, with and without inline TLB

// Count the exit in R15; stop at HLT exits; else skip the instruction and resume.
static const uint8_t vmx_testkit_handler[] = {
    0x49, 0xff, 0xc7,             // inc r15
    0xb9, 0x02, 0x44, 0x00, 0x00, // mov ecx, 4402h
    0x0f, 0x78, 0xc8,             // vmread rax, rcx
    0x83, 0xf8, 0x0c,             // cmp eax, 12
    0x74, 0x19,                   // je done
    0xb9, 0x0c, 0x44, 0x00, 0x00, // mov ecx, 440ch
    0x0f, 0x78, 0xcb,             // vmread rbx, rcx
    0xb9, 0x1e, 0x68, 0x00, 0x00, // mov ecx, 681eh
    0x0f, 0x78, 0xca,             // vmread rdx, rcx
    0x48, 0x01, 0xda,             // add rdx, rbx
    0x0f, 0x79, 0xca,             // vmwrite rcx, rdx
    0x0f, 0x01, 0xc3,             // vmresume
    0xf4,                         // done: hlt
};

static inline void put(struct sim_machine *m, uint64_t at, const void *p, uint64_t n)
{
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, at, p, n), n);
}

// A VMM in root operation with a valid current VMCS, about to execute VMLAUNCH; the guest shares its page tables.
static inline struct sim_machine *boot_vmm(unsigned mode, const void *guest, unsigned n)
{
    static const uint8_t launch[] = {0x0f, 0x01, 0xc2, 0xf4}; // vmlaunch; hlt
    struct sim_config cfg = {.ram_bytes = 8 << 20, .loop = mode & 1, .no_mirror = mode & 2};
    struct sim_load load = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = HOST};
    struct sim_error err;
    struct sim_machine *m = sim_create(&cfg, &err);
    assert_non_null(m);
    assert_int_equal(sim_load_bytes(m, "vmm", launch, sizeof launch, &load, NULL, &err), 0);
    put(m, HANDLER, vmx_testkit_handler, sizeof vmx_testkit_handler);
    put(m, GUEST, guest, n);
    tv_golden(TV_64);
    struct sim_cpu *cpu = m->cpu[0];
    struct isa_cpu *c = &cpu->isa;
    c->cr0 |= ISA_CR0_NE;
    c->cr4 |= ISA_CR4_VMXE;
    c->vmx = ISA_VMX_ROOT;
    cpu->vmx.on = true;
    cpu->vmx.vmxon_ptr = TV_VMXON;
    cpu->vmx.vmcs_ptr = TV_VMCS;
    cpu->vmx.vmcs = tv.v.vmcs;
    tv_close();
    const struct {
        enum vmcs_field f;
        uint64_t val;
    } set[] = {
        {VF_CPU_BASED_VM_EXEC_CONTROL, 0x04006172 | VMX_PROC_HLT_EXITING},
        {VF_HOST_CR0, c->cr0},
        {VF_HOST_CR3, c->cr3},
        {VF_HOST_CR4, c->cr4},
        {VF_HOST_RIP, HANDLER},
        {VF_HOST_RSP, STACK},
        {VF_GUEST_CR0, c->cr0},
        {VF_GUEST_CR3, c->cr3},
        {VF_GUEST_CR4, c->cr4},
        {VF_GUEST_RIP, GUEST},
        {VF_GUEST_RSP, STACK - 4096},
    };
    for (unsigned k = 0; k < sizeof set / sizeof *set; k++)
        vmcs_put(&cpu->vmx.vmcs, set[k].f, set[k].val);
    isa_update_mode(c);
    sim_touch(m, 0);
    return m;
}

static inline struct vmcs *vmcs(struct sim_machine *m) { return &m->cpu[0]->vmx.vmcs; }
static inline void or_field(struct sim_machine *m, enum vmcs_field f, uint64_t bits)
{
    vmcs_put(vmcs(m), f, vmcs_get(vmcs(m), f) | bits);
}

// A guest's own descriptor tables, with a gate for one vector.
static inline void gate64(struct sim_machine *m, unsigned vector, uint64_t target)
{
    const uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    const uint64_t gate[] = {(target & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (target >> 16 & 0xffff) << 48, target >> 32};
    put(m, 0x202000, gdt, sizeof gdt);
    put(m, 0x203000 + 16 * vector, gate, sizeof gate);
    vmcs_put(vmcs(m), VF_GUEST_GDTR_BASE, 0x202000);
    vmcs_put(vmcs(m), VF_GUEST_IDTR_BASE, 0x203000);
}

// An interrupt for the processor, by its local APIC.
static inline void self_ipi(struct sim_machine *m, unsigned vector)
{
    bus_mmio_write(m, (struct hpa){0xfee00300}, 4, 0x40000 | vector);
}

#endif
