// vmx.h: VMX for a program of scenarios/bench/start.S: a guest that shares the program's page tables and segments, behind an EPT that maps the first GiB to itself.
#ifndef BENCH_VMX_H
#define BENCH_VMX_H
#include "vmcs.h" // generated from the simulator's table: VMCS_<NAME> is the encoding of a field

typedef unsigned long long u64;
typedef unsigned u32;
#define REASON_CPUID  10
#define REASON_VMCALL 18

extern u64 pml4[];
static u64 vmxon_region[512] __attribute__((aligned(4096))), vmcs[512] __attribute__((aligned(4096)));
static u64 ept[3][512] __attribute__((aligned(4096))); // PML4, PDPT, and a directory of 2 MiB pages: the first GiB, identical
static u64 guest_stack[64];

static void outb(unsigned short port, unsigned char v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static void print(const char *s)
{
    for (; *s; s++)
        outb(0xe9, (unsigned char)*s); // at once, unlike a serial port
}
static void fail(const char *why)
{
    print("VMX-FAILED: ");
    print(why);
    print("\n");
    outb(0xf4, 1);
    for (;;)
        asm volatile("cli; hlt");
}
static u64 rdmsr(u32 n)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
    return (u64)hi << 32 | lo;
}
static void put(u64 field, u64 v)
{
    unsigned char bad;
    asm volatile("vmwrite %1, %2; setna %0" : "=r"(bad) : "r"(v), "r"(field) : "cc", "memory");
    if (bad)
        fail("VMWRITE");
}
static u32 controls(u32 msr, u32 wanted)
{
    u64 cap = rdmsr(msr);
    if (wanted & ~(u32)(cap >> 32))
        fail("the processor lacks a control");
    return wanted | (u32)cap;
}

static void vmx_on(void)
{
    u64 at = (u64)vmxon_region, lock = rdmsr(0x3a), cr;
    unsigned char bad;
    if (!(lock & 1))
        asm volatile("wrmsr" : : "c"(0x3a), "a"(5), "d"(0));
    else if (!(lock & 4))
        fail("IA32_FEATURE_CONTROL is locked without VMX");
    asm volatile("mov %%cr0, %0; or $0x20, %0; mov %0, %%cr0" : "=r"(cr));   // NE
    asm volatile("mov %%cr4, %0; or $0x2000, %0; mov %0, %%cr4" : "=r"(cr)); // VMXE
    vmxon_region[0] = vmcs[0] = rdmsr(0x480) & 0x7fffffff;
    asm volatile("vmxon %1; setna %0" : "=r"(bad) : "m"(at) : "cc", "memory");
    if (bad)
        fail("VMXON");
}
static void new_vmcs(void)
{
    u64 at = (u64)vmcs;
    unsigned char bad;
    asm volatile("vmclear %1; vmptrld %1; setna %0" : "=r"(bad) : "m"(at) : "cc", "memory");
    if (bad)
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
    put(VMCS_PIN_BASED_VM_EXEC_CONTROL, controls(0x48d, 0));
    put(VMCS_CPU_BASED_VM_EXEC_CONTROL, controls(0x48e, 1u << 31));
    put(VMCS_SECONDARY_VM_EXEC_CONTROL, controls(0x48b, (use_ept ? 1 << 1 : 0) | 1 << 5)); // EPT, VPID
    put(VMCS_VM_EXIT_CONTROLS, controls(0x48f, 1 << 9));                                   // 64-bit host
    put(VMCS_VM_ENTRY_CONTROLS, controls(0x490, 1 << 9));                                  // 64-bit guest
    if (use_ept)
        put(VMCS_EPT_POINTER, (u64)ept | 3 << 3 | 6);
    put(VMCS_VIRTUAL_PROCESSOR_ID, 1);
    put(VMCS_VMCS_LINK_POINTER, ~0ull);
}
static void set_host(void)
{
    struct __attribute__((packed)) {
        unsigned short limit;
        u64 base;
    } table;
    asm volatile("sgdt %0" : "=m"(table));
    put(VMCS_HOST_GDTR_BASE, table.base);
    asm volatile("sidt %0" : "=m"(table));
    put(VMCS_HOST_IDTR_BASE, table.base);
    for (u32 n = 0; n < 6; n++) // ES CS SS DS FS GS
        put(VMCS_HOST_ES_SELECTOR + 2 * n, n == 1 ? 8 : n < 4 ? 16 : 0);
    put(VMCS_HOST_TR_SELECTOR, 24); // no exit reads a descriptor
    put(VMCS_HOST_CR0, cr(0));
    put(VMCS_HOST_CR3, (u64)pml4);
    put(VMCS_HOST_CR4, cr(4));
}
static void set_guest(void)
{
    for (u32 n = 0; n < 8; n++) { // ES CS SS DS FS GS LDTR TR
        put(VMCS_GUEST_ES_SELECTOR + 2 * n, n == 1 ? 8 : n < 4 ? 16 : n == 7 ? 24 : 0);
        put(VMCS_GUEST_ES_LIMIT + 2 * n, n < 6 ? 0xffffffff : 0xffff);
        put(VMCS_GUEST_ES_AR_BYTES + 2 * n, n == 1 ? 0xa09b : n < 4 ? 0xc093 : n == 7 ? 0x8b : 0x10000);
    }
    put(VMCS_GUEST_CR0, cr(0));
    put(VMCS_GUEST_CR3, (u64)pml4);
    put(VMCS_GUEST_CR4, cr(4));
    put(VMCS_GUEST_RFLAGS, 2);
    put(VMCS_GUEST_DR7, 0x400);
    put(VMCS_GUEST_RSP, (u64)(guest_stack + 64));
}

#endif
