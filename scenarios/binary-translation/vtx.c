// vtx.c: the hardware VMM: the guest's kernel runs in VMX non-root operation. Without EPT (the first processors have none) by shadow page tables, and then these
// exit: page faults, INVLPG, MOV to and from CR3. Always: I/O, RDMSR and WRMSR, CPUID, HLT, and MOV to CR0 where it changes a bit that the VMM owns.
// MANUAL  "Introduction to Virtual Machine Extensions", "VM Exits", "The Extended Page Table Mechanism (EPT)".
#include "vmm.h"
#include "vmx-insn.h"

enum {
    EXIT_EXCEPTION = 0,
    EXIT_CPUID = 10,
    EXIT_HLT = 12,
    EXIT_INVLPG = 14,
    EXIT_CR = 28,
    EXIT_IO = 30,
    EXIT_RDMSR = 31,
    EXIT_WRMSR = 32
};
static u32 vmxon_region[1024] __attribute__((aligned(4096))), vmcs[1024] __attribute__((aligned(4096)));
static u64 ept_tables[3][512] __attribute__((aligned(4096))), ept_small[GUEST_SIZE >> 21][512] __attribute__((aligned(4096)));
static bool ept, small, fuse, vpid;
u32 vtx_launched;
extern char vtx_exit[], gdt[];
void vtx_enter(void) __attribute__((noreturn));
void vtx_handle(void), vtx_failed(void);

static void vmwrite64(u32 field, u64 v) // a field of 64 bits in 32-bit mode: its high half has the encoding after it
{
    vmwrite(field, (u32)v);
    vmwrite(field + 1, (u32)(v >> 32));
}
static u32 controls(u32 msr, u32 wanted)
{
    u32 missing, v = vmx_controls(msr, wanted, &missing);
    if (missing)
        stop("this processor lacks a control");
    return v;
}
// Without VPID every entry and every exit drops what the TLB holds of the guest.
static void invvpid(u32 type, u32 la)
{
    const u32 operand[4] = {1, 0, la, 0};
    if (vpid)
        asm volatile("invvpid %0, %1" : : "m"(operand), "r"(type) : "cc", "memory");
}
static void use_directory(void)
{
    vmwrite(VMCS_GUEST_CR3, shadow_use());
    invvpid(1, 0);
}
static void page_changed(u32 la) { invvpid(0, la); }

// --- set-up
static void vmx_on(void)
{
    if (!vmx_allowed())
        stop("IA32_FEATURE_CONTROL is locked without VMX");
    asm volatile("mov %%cr4, %%eax; or $0x2000, %%eax; mov %%eax, %%cr4" : : : "eax");
    vmxon_region[0] = vmcs[0] = vmx_revision();
    if (vmxon(physical(vmxon_region)))
        stop("VMXON failed");
    if (vmclear(physical(vmcs)) || vmptrld(physical(vmcs)))
        stop("VMPTRLD failed");
}
static void set_controls(void)
{
    u32 exact =
        (u32)(rdmsr(0x480) >> 32) >> 23 & 1 ? 0x48d - 0x481 : 0; // are there MSRs that tell which controls must be 1 in truth?
    u32 primary = 1 << 7 | 1 << 24 | (ept ? 0 : 1 << 9 | 1 << 15 | 1 << 16); // HLT, all I/O; INVLPG, MOV to and from CR3
    u32 secondary = ept ? 1 << 1 | 1 << 5 | 1 << 7 : 0;                      // EPT, VPID, unrestricted guest
    if (rdmsr(0x482) >> 63)
        secondary |= (u32)(rdmsr(0x48b) >> 32) & 1 << 5;
    else if (ept)
        stop("this processor lacks EPT");
    vpid = secondary & 1 << 5;
    vmwrite(VMCS_PIN_BASED_VM_EXEC_CONTROL, controls(0x481 + exact, 0));
    vmwrite(VMCS_CPU_BASED_VM_EXEC_CONTROL, controls(0x482 + exact, primary | (secondary ? 1u << 31 : 0)));
    if (secondary)
        vmwrite(VMCS_SECONDARY_VM_EXEC_CONTROL, controls(0x48b, secondary));
    vmwrite(VMCS_VM_EXIT_CONTROLS, controls(0x483 + exact, 0));
    vmwrite(VMCS_VM_ENTRY_CONTROLS, controls(0x484 + exact, 0));
    vmwrite64(VMCS_VMCS_LINK_POINTER, ~0ull);
    if (vpid)
        vmwrite(VMCS_VIRTUAL_PROCESSOR_ID, 1);
    if (!ept) {
        vmwrite(VMCS_EXCEPTION_BITMAP, 1 << 14);
        return;
    }
    ept_tables[0][0] = physical(ept_tables[1]) | 7;
    ept_tables[1][0] = physical(ept_tables[2]) | 7;
    for (u32 n = 0; n < GUEST_SIZE >> 21; n++) // pages of 2 MiB or of 4 KiB, write-back
        ept_tables[2][n] = small ? physical(ept_small[n]) | 7 : (GUEST_BASE + (n << 21)) | 0x80 | 6 << 3 | 7;
    for (u32 n = 0; n < FRAMES; n++)
        ept_small[n >> 9][n & 511] = (GUEST_BASE + n * PAGE) | 6 << 3 | 7;
    vmwrite64(VMCS_EPT_POINTER, physical(ept_tables[0]) | 3 << 3 | 6);
}
static void set_host(void)
{
    u32 cr;
    for (u32 n = 0; n < 6; n++) // ES CS SS DS FS GS
        vmwrite(VMCS_HOST_ES_SELECTOR + 2 * n, n == 1 ? 0x80 : 0x88);
    vmwrite(VMCS_HOST_TR_SELECTOR, 0x90);
    asm volatile("mov %%cr0, %0" : "=r"(cr));
    vmwrite(VMCS_HOST_CR0, cr);
    asm volatile("mov %%cr4, %0" : "=r"(cr));
    vmwrite(VMCS_HOST_CR4, cr);
    vmwrite(VMCS_HOST_CR3, physical(host_directory));
    vmwrite(VMCS_HOST_GDTR_BASE, (u32)gdt);
    vmwrite(VMCS_HOST_RSP, (u32)(vcpu.regs + 8)); // vtx_exit pushes the guest's registers there
    vmwrite(VMCS_HOST_RIP, (u32)vtx_exit);
}
static u32 real_cr0(u32 v) { return v | CR0_NE | (ept ? 0 : CR0_PG | CR0_WP); }
static void set_guest(void)
{
    vmx_flat_guest();
    vmwrite(VMCS_GUEST_CR0, real_cr0(vcpu.cr0));
    vmwrite(VMCS_CR0_GUEST_HOST_MASK, real_cr0(0));
    vmwrite(VMCS_CR0_READ_SHADOW, vcpu.cr0);
    vmwrite(VMCS_GUEST_CR4, 0x2000);
    vmwrite(VMCS_CR4_GUEST_HOST_MASK, 0x2000 | (ept ? 0 : 0x30)); // VMXE; PSE and PAE
    if (!ept)
        vmwrite(VMCS_GUEST_CR3, shadow_use());
    vmwrite(VMCS_GUEST_RIP, vcpu.eip);
}
void vtx_run(bool with_ept, bool small_pages, bool with_fusing)
{
    ept = with_ept;
    small = small_pages;
    fuse = with_fusing;
    flush = use_directory;
    flush_page = page_changed;
    vmx_on();
    set_controls();
    set_host();
    set_guest();
    print("VMM: VT-x, %s\n", ept ? "EPT" : "shadow page tables");
    vtx_enter();
}

// --- exits
// The guest's code at `eip`; across the end of a page, a copy of it. NULL: not mapped.
static const u8 *fetch(u32 eip)
{
    static u8 copy[16];
    u32 gpa, n = PAGE - (eip & (PAGE - 1));
    if (!guest_walk(eip, &gpa))
        return 0;
    const u8 *code = (const u8 *)guest_memory(0) + gpa;
    if (n >= sizeof copy)
        return code;
    memcpy(copy, code, n);
    if (guest_walk(eip + n, &gpa))
        memcpy(copy + n, (u8 *)guest_memory(0) + gpa, sizeof copy - n);
    return copy;
}
// Emulate the store at `eip` to a traced table; `known`: it is at gpa, and else to be looked up. The length of the instruction, or 0 if it is no such store.
static u32 emulate_store(u32 eip, u32 gpa, bool known)
{
    const u8 *code = fetch(eip);
    struct insn i;
    u32 value;
    if (!code || !decode(code, &i) || !is_store(&i, vcpu.regs, &value))
        return 0;
    if (!known && (!guest_walk(operand_address(&i, vcpu.regs), &gpa) || !traced(gpa)))
        return 0;
    shadow_store(gpa, value);
    return i.length;
}
static void exit_store(u32 gpa)
{
    u32 eip = vmread(VMCS_GUEST_RIP), n;
    vcpu.regs[ESP] = vmread(VMCS_GUEST_RSP);
    if (!(n = emulate_store(eip, gpa, true))) {
        unshadow(gpa);
        return;
    }
    eip += n;
    // Two entries, or the two halves of one of 64 bits, are often written by neighbouring instructions: save the second exit.
    if (fuse && (n = emulate_store(eip, 0, false))) {
        eip += n;
        stat.fused++;
    }
    vmwrite(VMCS_GUEST_RIP, eip);
}
static void exit_exception(void)
{
    u32 la = vmread(VMCS_EXIT_QUALIFICATION), error = vmread(VMCS_VM_EXIT_INTR_ERROR_CODE), gpa;
    if ((vmread(VMCS_VM_EXIT_INTR_INFO) & 255) != 14)
        stop("an exception that should not exit");
    vmx_redeliver();
    switch (shadow_fault(la, &error, &gpa)) {
    case FAULT_HIDDEN: break;
    case FAULT_TRACED: exit_store(gpa); break;
    case FAULT_TRUE:
        stat.true_faults++;
        asm volatile("mov %0, %%cr2" : : "r"(la)); // no VMCS field: CR2 is the guest's all the time
        vmx_inject(14, true, error);
    }
}
static void exit_cr(void)
{
    u32 q = vmread(VMCS_EXIT_QUALIFICATION), cr = q & 15, n = q >> 8 & 15, how = q >> 4 & 3;
    vcpu.regs[ESP] = vmread(VMCS_GUEST_RSP);
    vmx_skip();
    if (how == 0 && cr == 3) {
        vcpu.cr3 = vcpu.regs[n];
        stat.cr3++;
    } else if (how == 0 && cr == 0) {
        vcpu.cr0 = vcpu.regs[n];
        if (!ept && vcpu.cr0 & CR0_PG && !(vcpu.cr0 & CR0_WP))
            stop("paging without CR0.WP is not done with shadow page tables");
        vmwrite(VMCS_GUEST_CR0, real_cr0(vcpu.cr0));
        vmwrite(VMCS_CR0_READ_SHADOW, vcpu.cr0);
    } else if (how == 1 && cr == 3 && n != ESP) {
        vcpu.regs[n] = vcpu.cr3;
        return;
    } else {
        stop("an access to a control register that is not done");
    }
    if (!ept)
        use_directory();
}
static void exit_io(void)
{
    u32 q = vmread(VMCS_EXIT_QUALIFICATION);
    if (q & 0x17)
        stop("string I/O, and I/O wider than a byte, is not done");
    if (q & 8)
        vcpu.regs[EAX] = (vcpu.regs[EAX] & ~0xffu) | device_in(q >> 16);
    else
        device_out(q >> 16, vcpu.regs[EAX] & 0xff);
    vmx_skip();
}
static void exit_msr(bool write)
{
    static const u32 field[] = {VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP};
    u32 n = vcpu.regs[ECX] - 0x174;
    if (n > 2)
        stop("an MSR that the guest has not got");
    if (write)
        vmwrite(field[n], vcpu.regs[EAX]);
    else
        vcpu.regs[EAX] = vmread(field[n]), vcpu.regs[EDX] = 0;
    vmx_skip();
}
void vtx_handle(void)
{
    u32 reason = vmread(VMCS_VM_EXIT_REASON), *r = vcpu.regs;
    stat.exits++;
    switch (reason) {
    case EXIT_EXCEPTION: exit_exception(); break;
    case EXIT_INVLPG: // the shadow is right already
        stat.invlpg++;
        page_changed(vmread(VMCS_EXIT_QUALIFICATION));
        vmx_skip();
        break;
    case EXIT_CR: exit_cr(); break;
    case EXIT_IO: exit_io(); break;
    case EXIT_RDMSR: exit_msr(false); break;
    case EXIT_WRMSR: exit_msr(true); break;
    case EXIT_CPUID:
        asm volatile("cpuid" : "+a"(r[EAX]), "=b"(r[EBX]), "+c"(r[ECX]), "=d"(r[EDX]));
        vmx_skip();
        break;
    case EXIT_HLT: end_of_run(); // without interrupts it would last for ever
    default:
        vcpu.eip = vmread(VMCS_GUEST_RIP);
        print("VMM: exit reason %x, qualification %x\n", reason, vmread(VMCS_EXIT_QUALIFICATION));
        stop("nothing handles this exit");
    }
}
void vtx_failed(void)
{
    print("VMM: VM-instruction error %d\n", vmread(VMCS_VM_INSTRUCTION_ERROR));
    stop("the VM entry failed; see `ringside explain error`");
}
