// vmx.h: VMX for a program of scenarios/bench/start.S: a guest that shares the program's page tables and segments, behind an EPT that maps the first GiB to itself.
#ifndef BENCH_VMX_H
#define BENCH_VMX_H
#include "vmx-insn.h"

#define REASON_CPUID  10
#define REASON_VMCALL 18

extern u64 pml4[];
static u64 vmxon_region[512] __attribute__((aligned(4096))), vmcs[512] __attribute__((aligned(4096)));
static u64 ept[3][512] __attribute__((aligned(4096))); // PML4, PDPT, and a directory of 2 MiB pages: the first GiB, identical
static u64 guest_stack[64];

static void put(char c) { outb(0xe9, (u8)c); } // at once, unlike a serial port
#include "console.h"
static void fail(const char *why)
{
    print_text("VMX-FAILED: ");
    print_text(why);
    print_text("\n");
    outb(0xf4, 1);
    for (;;)
        asm volatile("cli; hlt");
}
// A field of the VMCS.
static void put_field(u64 field, u64 v)
{
    if (vmwrite(field, v))
        fail("VMWRITE");
}
static u32 controls(u32 msr, u32 wanted)
{
    u32 missing, v = vmx_controls(msr, wanted, &missing);
    if (missing)
        fail("the processor lacks a control");
    return v;
}

static void vmx_on(void)
{
    u64 cr;
    if (!vmx_allowed())
        fail("IA32_FEATURE_CONTROL is locked without VMX");
    asm volatile("mov %%cr0, %0; or $0x20, %0; mov %0, %%cr0" : "=r"(cr));   // NE
    asm volatile("mov %%cr4, %0; or $0x2000, %0; mov %0, %%cr4" : "=r"(cr)); // VMXE
    vmxon_region[0] = vmcs[0] = vmx_revision();
    if (vmxon((u64)vmxon_region))
        fail("VMXON");
}
static void new_vmcs(void)
{
    if (vmclear((u64)vmcs) || vmptrld((u64)vmcs))
        fail("VMPTRLD");
}
static u64 cr(int n)
{
    u64 v;
    if (n == 0)
        asm volatile("mov %%cr0, %0" : "=r"(v));
    else
        asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static void set_controls(int use_ept)
{
    ept[0][0] = (u64)ept[1] | 7;
    ept[1][0] = (u64)ept[2] | 7;
    for (u64 n = 0; n < 512; n++)
        ept[2][n] = n << 21 | 1 << 7 | 6 << 3 | 7; // large, write-back, all rights
    put_field(VMCS_PIN_BASED_VM_EXEC_CONTROL, controls(0x48d, 0));
    put_field(VMCS_CPU_BASED_VM_EXEC_CONTROL, controls(0x48e, 1u << 31));
    put_field(VMCS_SECONDARY_VM_EXEC_CONTROL, controls(0x48b, (use_ept ? 1 << 1 : 0) | 1 << 5)); // EPT, VPID
    put_field(VMCS_VM_EXIT_CONTROLS, controls(0x48f, 1 << 9));                                   // 64-bit host
    put_field(VMCS_VM_ENTRY_CONTROLS, controls(0x490, 1 << 9));                                  // 64-bit guest
    if (use_ept)
        put_field(VMCS_EPT_POINTER, (u64)ept | 3 << 3 | 6);
    put_field(VMCS_VIRTUAL_PROCESSOR_ID, 1);
    put_field(VMCS_VMCS_LINK_POINTER, ~0ull);
}
static void set_host(void)
{
    struct __attribute__((packed)) {
        unsigned short limit;
        u64 base;
    } table;
    asm volatile("sgdt %0" : "=m"(table));
    put_field(VMCS_HOST_GDTR_BASE, table.base);
    asm volatile("sidt %0" : "=m"(table));
    put_field(VMCS_HOST_IDTR_BASE, table.base);
    for (u32 n = 0; n < 6; n++) // ES CS SS DS FS GS
        put_field(VMCS_HOST_ES_SELECTOR + 2 * n, n == 1 ? 8 : n < 4 ? 16 : 0);
    put_field(VMCS_HOST_TR_SELECTOR, 24); // no exit reads a descriptor
    put_field(VMCS_HOST_CR0, cr(0));
    put_field(VMCS_HOST_CR3, (u64)pml4);
    put_field(VMCS_HOST_CR4, cr(4));
}
static void set_guest(void)
{
    for (u32 n = 0; n < 8; n++) { // ES CS SS DS FS GS LDTR TR
        put_field(VMCS_GUEST_ES_SELECTOR + 2 * n, n == 1 ? 8 : n < 4 ? 16 : n == 7 ? 24 : 0);
        put_field(VMCS_GUEST_ES_LIMIT + 2 * n, n < 6 ? 0xffffffff : 0xffff);
        put_field(VMCS_GUEST_ES_AR_BYTES + 2 * n, n == 1 ? 0xa09b : n < 4 ? 0xc093 : n == 7 ? 0x8b : 0x10000);
    }
    put_field(VMCS_GUEST_CR0, cr(0));
    put_field(VMCS_GUEST_CR3, (u64)pml4);
    put_field(VMCS_GUEST_CR4, cr(4));
    put_field(VMCS_GUEST_RFLAGS, 2);
    put_field(VMCS_GUEST_DR7, 0x400);
    put_field(VMCS_GUEST_RSP, (u64)(guest_stack + 64));
}

#endif
