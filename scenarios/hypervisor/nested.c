// nested.c: a hypervisor as our guest. We are L0, it is L1, and what it runs is L2.
//
// The processor knows one level of virtualization. So there are three VMCSs (after "The Turtles Project", OSDI 2010):
//   VMCS 01   by which we run L1.
//   VMCS 12   by which L1 believes to run L2: a page of L1's memory that the processor never sees. L1's VMREAD and VMWRITE exit to us.
//   VMCS 02   by which L2 runs in truth: what L1 wants of L2 (from VMCS 12), merged with what we need for ourselves (as in VMCS 01).
// An exit of L2 always comes to us first. If L1 asked for it, we copy L2's state into VMCS 12, load VMCS 01 with the host state that L1 put into VMCS 12,
// and resume L1: to L1 this is a VM exit. Likewise EPT 12, which L1 made, and EPT 01 are folded into EPT 02, which the processor walks.
// Checks of an entry: what goes from VMCS 12 into VMCS 02 unchanged, the guest state above all, is left to the processor. An entry by VMCS 02 that fails is handed to
// L1 as its own. What we merge or use ourselves (controls, host state) no processor sees, so we check it.
#include "hv.h"

// What L2 can change: copied 12 -> 02 at an entry, 02 -> 12 at an exit.
// clang-format off
static const uint16_t guest_state[] = {
    0x800, 0x802, 0x804, 0x806, 0x808, 0x80a, 0x80c, 0x80e, // selectors: ES CS SS DS FS GS LDTR TR
    0x4800, 0x4802, 0x4804, 0x4806, 0x4808, 0x480a, 0x480c, 0x480e, VMCS_GUEST_GDTR_LIMIT, VMCS_GUEST_IDTR_LIMIT, // limits
    0x4814, 0x4816, 0x4818, 0x481a, 0x481c, 0x481e, 0x4820, 0x4822, // access rights
    0x6806, 0x6808, 0x680a, 0x680c, 0x680e, 0x6810, 0x6812, 0x6814, VMCS_GUEST_GDTR_BASE, VMCS_GUEST_IDTR_BASE, // bases
    VMCS_GUEST_CR0, VMCS_GUEST_CR3, VMCS_GUEST_CR4, VMCS_GUEST_DR7, VMCS_GUEST_RSP, VMCS_GUEST_RIP, VMCS_GUEST_RFLAGS,
    VMCS_GUEST_IA32_EFER, VMCS_GUEST_IA32_DEBUGCTL, VMCS_GUEST_PENDING_DBG_EXCEPTIONS, VMCS_GUEST_INTERRUPTIBILITY_INFO,
    VMCS_GUEST_ACTIVITY_STATE, VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP, VMCS_VM_ENTRY_CONTROLS,
};
// clang-format on
// What L1 alone decides: copied 12 -> 02.
static const uint16_t wishes[] = {
    VMCS_EXCEPTION_BITMAP,         VMCS_PAGE_FAULT_ERROR_CODE_MASK, VMCS_PAGE_FAULT_ERROR_CODE_MATCH,
    VMCS_CR0_GUEST_HOST_MASK,      VMCS_CR4_GUEST_HOST_MASK,        VMCS_CR0_READ_SHADOW,
    VMCS_CR4_READ_SHADOW,          VMCS_VM_ENTRY_INTR_INFO_FIELD,   VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE,
    VMCS_VM_ENTRY_INSTRUCTION_LEN,
};
// What tells L1 about an exit: copied 02 -> 12.
static const uint16_t exit_info[] = {
    VMCS_VM_EXIT_INTR_ERROR_CODE, VMCS_IDT_VECTORING_INFO_FIELD, VMCS_IDT_VECTORING_ERROR_CODE, VMCS_VM_EXIT_INSTRUCTION_LEN,
    VMCS_VMX_INSTRUCTION_INFO,    VMCS_GUEST_LINEAR_ADDRESS,     VMCS_GUEST_PHYSICAL_ADDRESS,
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

// --- VMCS 12: revision in the first word, launch state in slot 1, then a slot for each field. The encoding has the width in bits 14:13, the
// type in 11:10, the index in 9:1 (bit 0, the upper half of a 64-bit field, is for 32-bit guests); no index is above 26, so 32 slots for each of the 16 pairs of width and type are enough.
static u64 *slot(u64 encoding)
{
    u64 index = encoding >> 1 & 511;
    if (encoding & ~0x6ffeull || index > 27)
        return 0;
    return (u64 *)(vm.base + vm.vmcs12) + ((encoding >> 13 & 3) << 2 | (encoding >> 10 & 3)) * 32 + index + 4;
}
u64 *vmcs12_field(u64 encoding) { return slot(encoding); }
#define V12(name)  (*slot(VMCS_##name))
#define LAUNCHED12 (((u64 *)(vm.base + vm.vmcs12))[1])

// --- EPT 02: one set of tables for each EPT 12 that L1 uses. When L1 invalidates, or the pages run out, all go; violations bring back what is needed.
static u64 pool[96][512] __attribute__((aligned(4096)));
static unsigned used;
static struct {
    u64 eptp12, eptp02;
} roots[4];

static void invept_all(void)
{
    u64 operand[2] = {0, 0};
    asm volatile("invept %0, %1" : : "m"(operand), "r"(2ull) : "cc", "memory");
}
static u64 *pool_page(void)
{
    u64 *p = pool[used++];
    for (unsigned n = 0; n < 512; n++)
        p[n] = 0;
    return p;
}
static void drop_ept02(void)
{
    used = 0;
    for (unsigned n = 0; n < COUNT(roots); n++)
        roots[n].eptp12 = 0;
    invept_all();
}
static u64 eptp02_for(u64 eptp12)
{
    unsigned n = 0;
    while (n < COUNT(roots) && roots[n].eptp12 && roots[n].eptp12 != eptp12)
        n++;
    if (n == COUNT(roots) || used > COUNT(pool) - 4) {
        drop_ept02();
        n = 0;
    }
    if (!roots[n].eptp12) {
        roots[n].eptp12 = eptp12;
        roots[n].eptp02 = (u64)pool_page() | 3 << 3 | 6;
    }
    return roots[n].eptp02;
}
// An EPT violation of L2. If EPT 12 does not allow the access, it is L1's. Else EPT 02 lacks an entry, and gets it: L2's address is found in EPT 12,
// the L1 address that comes out in EPT 01 (which is a constant distance here), and the page is as small as the smaller of the two.
static bool fold_violation(void)
{
    u64 gpa = vmread(VMCS_GUEST_PHYSICAL_ADDRESS), wanted = vmread(VMCS_EXIT_QUALIFICATION) & 7, rights = 7, e = 0;
    u64 table = V12(EPT_POINTER) & ~0xfffull;
    int shift = 39;
    for (;; shift -= 9) {
        u64 *entry = guest_memory(table + (gpa >> shift & 511) * 8, 8);
        e = entry ? *entry : 0;
        rights &= e;
        if (!(rights & 7) || (rights & wanted) != wanted)
            return false;
        if (shift == 12 || e & 0x80)
            break;
        table = e & 0xffffffffff000ull;
    }
    u64 within = gpa & ((1ull << shift) - 1), at = (e & 0xffffffffff000ull & ~((1ull << shift) - 1)) + within;
    bool big = shift >= 21 && (at & ~(BIG_PAGE - 1)) >= BIG_PAGE; // EPT 01 has small pages below 2 MiB
    u64 mask = ~((big ? BIG_PAGE : PAGE_SIZE) - 1);
    if (!guest_memory(at, 1))
        return false;
    u64 eptp = eptp02_for(V12(EPT_POINTER));
    vmwrite(VMCS_EPT_POINTER, eptp); // the same, unless all were dropped just now
    ept_map((u64 *)(eptp & ~0xfffull), gpa & mask, vm.base + (at & mask), big, rights & 7, pool_page);
    return true;
}

// --- how a VMX instruction tells its outcome (manual, "Conventions")
static void outcome(u64 flags)
{
    vmwrite(VMCS_GUEST_RFLAGS, (vmread(VMCS_GUEST_RFLAGS) & ~0x8d5ull) | flags);
    vmx_skip();
}
static void succeed(void) { outcome(0); }
static void fail(u32 error)
{
    if (vm.vmcs12 == ~0ull) {
        outcome(1); // VMfailInvalid: CF
        return;
    }
    V12(VM_INSTRUCTION_ERROR) = error;
    outcome(0x40); // VMfailValid: ZF
}

// --- entry
static bool canonical(u64 a) { return (u64)((int64_t)(a << 16) >> 16) == a; }
static bool allowed(u32 msr, u64 v)
{
    bool ok = true;
    u64 cap = guest_msr(msr, &ok);
    return !((u32)cap & ~v) && !(v & ~(cap >> 32));
}
static u64 secondary(void) { return V12(CPU_BASED_VM_EXEC_CONTROL) >> 31 & 1 ? V12(SECONDARY_VM_EXEC_CONTROL) : 0; }
// "Checks on VMX Controls": those that VMCS 02 cannot fail, since it has our controls merged with L1's, our EPT, our VPIDs, and no MSR lists.
static bool controls_ok(void)
{
    u64 sec = secondary(), eptp = V12(EPT_POINTER);
    if (!allowed(0x48d, V12(PIN_BASED_VM_EXEC_CONTROL)) || !allowed(0x48e, V12(CPU_BASED_VM_EXEC_CONTROL)) ||
        !allowed(0x48b, sec) || !allowed(0x48f, V12(VM_EXIT_CONTROLS)) || !allowed(0x490, V12(VM_ENTRY_CONTROLS)) ||
        V12(CR3_TARGET_COUNT))
        return false;
    if (V12(VM_EXIT_MSR_STORE_COUNT) || V12(VM_EXIT_MSR_LOAD_COUNT) || V12(VM_ENTRY_MSR_LOAD_COUNT)) {
        print("my guest uses an MSR list, which I do not do");
        return false;
    }
    if (sec >> 5 & 1 && !V12(VIRTUAL_PROCESSOR_ID))
        return false;
    if (!(sec & 2))
        return !(sec >> 7 & 1); // unrestricted guest needs EPT
    return (eptp & 0xfff) == (3 << 3 | 6) && !(eptp >> physical_bits);
}
// "Checks on Host Control Registers, MSRs, Segment and Descriptor-Table Registers": the host state of VMCS 02 is ours.
static bool host_ok(void)
{
    static const uint16_t addresses[] = {VMCS_HOST_FS_BASE,           VMCS_HOST_GS_BASE,   VMCS_HOST_TR_BASE,
                                         VMCS_HOST_GDTR_BASE,         VMCS_HOST_IDTR_BASE, VMCS_HOST_IA32_SYSENTER_ESP,
                                         VMCS_HOST_IA32_SYSENTER_EIP, VMCS_HOST_RIP};
    u64 cr0 = V12(HOST_CR0), cr4 = V12(HOST_CR4), efer = V12(HOST_IA32_EFER);
    if (rdmsr(0x486) & ~cr0 || cr0 & ~rdmsr(0x487) || rdmsr(0x488) & ~cr4 || cr4 & ~rdmsr(0x489) || !(cr4 & 0x20) ||
        V12(HOST_CR3) >> physical_bits)
        return false;
    for (unsigned n = 0; n < COUNT(addresses); n++)
        if (!canonical(*slot(addresses[n])))
            return false;
    for (u32 n = 0; n < 7; n++) // ES CS SS DS FS GS TR: table and ring 0, and some not null
        if (*slot(VMCS_HOST_ES_SELECTOR + 2 * n) & 7 || ((n == 1 || n == 6) && !*slot(VMCS_HOST_ES_SELECTOR + 2 * n)))
            return false;
    return !(V12(VM_EXIT_CONTROLS) >> 21 & 1) || (efer & ~0x801ull) == (EFER_LME | EFER_LMA); // SCE and NXE are free
}
static void copy_in(const uint16_t *list, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        vmwrite(list[k], *slot(list[k]));
}
// PAE paging of L2. Once there is an EPT, the processor takes the four PDPTEs from the VMCS. L1 put them there if it has an EPT; else it left them in memory.
static bool pae_l2(void) { return !(V12(VM_ENTRY_CONTROLS) >> 9 & 1) && V12(GUEST_CR0) & CR0_PG && V12(GUEST_CR4) & CR4_PAE; }
static void enter_pae(bool ept12)
{
    u64 *pdpt =
        ept12 ? slot(VMCS_GUEST_PDPTR0) : guest_memory(V12(GUEST_CR3) & 0xffffffe0, 32); // fields 2 apart are neighbours in VMCS 12
    for (u32 n = 0; pdpt && n < 4; n++)
        vmwrite(VMCS_GUEST_PDPTR0 + 2 * n, pdpt[n]);
}
// Nor have we: shadow-on-shadow. Ours are made of L1's, in which L2 addresses lead to L1 addresses. What we own of L2's control registers and L1 does not, L2 reads in
// the read shadow.
static void show_cr(u32 n, u64 own)
{
    u64 guest = nested_cr(n), mask = *slot(n ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK);
    vmwrite(n ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK, mask | own);
    vmwrite(n ? VMCS_CR4_READ_SHADOW : VMCS_CR0_READ_SHADOW,
            (*slot(n ? VMCS_CR4_READ_SHADOW : VMCS_CR0_READ_SHADOW) & mask) | (guest & ~mask));
}
static enum paging paging_l2(void) { return V12(VM_ENTRY_CONTROLS) >> 9 & 1 ? PAGING_LONG : PAGING_PAE; }
static void enter_shadow(u64 tag)
{
    vmwrite(VMCS_EXCEPTION_BITMAP, V12(EXCEPTION_BITMAP) | 1 << 14);
    vmwrite(VMCS_PAGE_FAULT_ERROR_CODE_MASK, 0);
    vmwrite(VMCS_PAGE_FAULT_ERROR_CODE_MATCH, 0);
    show_cr(0, own_cr0());
    show_cr(4, own_cr4());
    vmwrite(VMCS_GUEST_CR0, V12(GUEST_CR0) | CR0_WP);
    shadow_use(tag, V12(GUEST_CR3), paging_l2(), tag == 0xffff);
}
static void enter_l2(bool launch)
{
    spare_fetch();
    u32 error = vm.vmcs12 == ~0ull                             ? 1 // no current VMCS: fail() needs no number
                : vmread(VMCS_GUEST_INTERRUPTIBILITY_INFO) & 2 ? 26
                : launch && LAUNCHED12                         ? 4
                : !launch && !LAUNCHED12                       ? 5
                : !controls_ok()                               ? 7
                : !host_ok()                                   ? 8
                                                               : 0;
    if (error) {
        fail(error);
        return;
    }
    vmx_skip();                            // of VMCS 01: where L1 would go on if the entry failed
    if (V12(VMCS_LINK_POINTER) != ~0ull) { // we offer no VMCS shadowing, and VMCS 02 links nothing
        nested_reflect(VALID | EXIT_BAD_GUEST_STATE, 4, 0);
        return;
    }
    if (!vm.ept && V12(GUEST_CR3) >> physical_bits) { // VMCS 02 has ours
        nested_reflect(VALID | EXIT_BAD_GUEST_STATE, 0, 0);
        return;
    }
    load_vmcs(vmcs02);
    vm.in_l2 = vm.trying = true;
    copy_in(guest_state, COUNT(guest_state));
    copy_in(wishes, COUNT(wishes));
    u64 sec = secondary(), tag = sec >> 5 & 1 && V12(VIRTUAL_PROCESSOR_ID) < 0xfffe ? V12(VIRTUAL_PROCESSOR_ID) + 1 : 0xffff;
    vmwrite(VMCS_PIN_BASED_VM_EXEC_CONTROL, V12(PIN_BASED_VM_EXEC_CONTROL) | 1);
    vmwrite(VMCS_CPU_BASED_VM_EXEC_CONTROL, V12(CPU_BASED_VM_EXEC_CONTROL) | vm.proc01);
    if (vm.ept || vm.use_vpid)
        vmwrite(VMCS_SECONDARY_VM_EXEC_CONTROL, sec | (vm.ept ? 2 : 0) | (vm.use_vpid ? 1 << 5 : 0));
    if (!vm.ept)
        enter_shadow(vm.tag = tag);
    else // EPT 02, or L1 has none: shadow-on-EPT. L1's shadows give addresses of L1's, and EPT 01 translates those.
        vmwrite(VMCS_EPT_POINTER, sec & 2 ? eptp02_for(V12(EPT_POINTER)) : vm.eptp01);
    if (vm.ept && pae_l2())
        enter_pae(sec & 2);
    if (vm.use_vpid) {
        vmwrite(VMCS_VIRTUAL_PROCESSOR_ID, tag);
        u64 operand[2] = {tag, 0};
        if (tag == 0xffff) // L1 uses no VPIDs (or the last ones): its VM entries flush
            asm volatile("invvpid %0, %1" : : "m"(operand), "r"(1ull) : "cc", "memory");
    }
}
void nested_entry_failed(u32 error)
{
    vm.in_l2 = vm.trying = false;
    load_vmcs(vmcs01);
    if (!vm.ept)
        use_cr3(false);
    V12(VM_INSTRUCTION_ERROR) = error;
    vmwrite(VMCS_GUEST_RFLAGS, (vmread(VMCS_GUEST_RFLAGS) & ~0x8d5ull) | 0x40);
}

// --- exit: L1 sees what it would see on a processor
static void load_l1(void)
{
    // clang-format off
    static const uint16_t base[] = {
        VMCS_HOST_FS_BASE, VMCS_GUEST_FS_BASE, VMCS_HOST_GS_BASE, VMCS_GUEST_GS_BASE, VMCS_HOST_TR_BASE, VMCS_GUEST_TR_BASE,
        VMCS_HOST_GDTR_BASE, VMCS_GUEST_GDTR_BASE, VMCS_HOST_IDTR_BASE, VMCS_GUEST_IDTR_BASE,
        VMCS_HOST_RSP, VMCS_GUEST_RSP, VMCS_HOST_RIP, VMCS_GUEST_RIP,
        VMCS_HOST_CR0, VMCS_CR0_READ_SHADOW, VMCS_HOST_CR4, VMCS_CR4_READ_SHADOW,
        VMCS_HOST_IA32_SYSENTER_CS, VMCS_GUEST_SYSENTER_CS, VMCS_HOST_IA32_SYSENTER_ESP, VMCS_GUEST_SYSENTER_ESP,
        VMCS_HOST_IA32_SYSENTER_EIP, VMCS_GUEST_SYSENTER_EIP,
    };
    // clang-format on
    for (unsigned n = 0; n < COUNT(base); n += 2)
        vmwrite(base[n + 1], *slot(base[n]));
    if (V12(VM_EXIT_CONTROLS) >> 21 & 1) // else EFER keeps what L1 had: it was and is in 64-bit mode
        vm.efer = V12(HOST_IA32_EFER);
    vmwrite(VMCS_GUEST_IA32_EFER, vm.efer);
    vmwrite(VMCS_VM_ENTRY_CONTROLS, vmread(VMCS_VM_ENTRY_CONTROLS) | 1 << 9);
    vmwrite(VMCS_GUEST_CR0, real_cr0(V12(HOST_CR0)));
    vmwrite(VMCS_GUEST_CR4, real_cr4(V12(HOST_CR4)));
    vm.cr3 = V12(HOST_CR3);
    if (vm.ept)
        vmwrite(VMCS_GUEST_CR3, vm.cr3);
    else
        use_cr3(vm.tag == 0xffff); // without VPIDs, an exit flushes
    for (u32 n = 0; n < 6; n++) {  // ES CS SS DS FS GS
        vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * n, *slot(VMCS_HOST_ES_SELECTOR + 2 * n));
        vmwrite(VMCS_GUEST_ES_LIMIT + 2 * n, 0xffffffff);
        vmwrite(VMCS_GUEST_ES_AR_BYTES + 2 * n, n == 1 ? 0xa09b : *slot(VMCS_HOST_ES_SELECTOR + 2 * n) ? 0xc093 : 0x10000);
    }
    vmwrite(VMCS_GUEST_LDTR_AR_BYTES, 0x10000);
    vmwrite(VMCS_GUEST_TR_SELECTOR, V12(HOST_TR_SELECTOR));
    vmwrite(VMCS_GUEST_TR_LIMIT, 0x67);
    vmwrite(VMCS_GUEST_TR_AR_BYTES, 0x8b);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
    vmwrite(VMCS_GUEST_RFLAGS, 2);
    vmwrite(VMCS_GUEST_DR7, 0x400);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY_INFO, 0);
    vmwrite(VMCS_GUEST_ACTIVITY_STATE, 0);
}
static void save_l2(void)
{
    u64 cr0 = V12(GUEST_CR0), cr3 = V12(GUEST_CR3), cr4 = V12(GUEST_CR4);
    for (unsigned n = 0; n < COUNT(guest_state); n++)
        *slot(guest_state[n]) = vmread(guest_state[n]);
    for (u32 n = 0; secondary() & 2 && pae_l2() && n < 4; n++)
        *slot(VMCS_GUEST_PDPTR0 + 2 * n) = vmread(VMCS_GUEST_PDPTR0 + 2 * n);
    if (!vm.ept) { // what we own did not change but by nested_write_cr()
        V12(GUEST_CR0) = (V12(GUEST_CR0) & ~own_cr0()) | (cr0 & own_cr0());
        V12(GUEST_CR4) = (V12(GUEST_CR4) & ~own_cr4()) | (cr4 & own_cr4());
        V12(GUEST_CR3) = cr3;
    }
    for (unsigned n = 0; n < COUNT(exit_info); n++)
        *slot(exit_info[n]) = vm.trying ? 0 : vmread(exit_info[n]); // an interrupt before L2 ran leaves no such information
    u64 unsent = vmread(VMCS_VM_ENTRY_INTR_INFO_FIELD);
    if (unsent & VALID) { // L1 wanted to inject, and an interrupt came first: to L1 that looks like an exit during the delivery
        V12(IDT_VECTORING_INFO_FIELD) = unsent;
        V12(IDT_VECTORING_ERROR_CODE) = vmread(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE);
    }
    V12(VM_ENTRY_INTR_INFO_FIELD) &= ~(u64)VALID;
    LAUNCHED12 = 1;
}
void nested_reflect(u32 reason, u64 qualification, u32 intr_info)
{
    if (!(reason & VALID)) { // an entry that failed (bit 31) saves nothing, tells no more than this, and does not launch
        save_l2();
        V12(VM_EXIT_INTR_INFO) = intr_info;
    }
    V12(VM_EXIT_REASON) = reason;
    V12(EXIT_QUALIFICATION) = qualification;
    vm.in_l2 = vm.trying = false;
    load_vmcs(vmcs01);
    load_l1();
    spare_show();
}
// --- L2 without an EPT of anybody's
u64 nested_cr(u32 n) { return n == 0 ? V12(GUEST_CR0) : n == 3 ? V12(GUEST_CR3) : V12(GUEST_CR4); }
// L2 writes what L1 left to it, and we did not.
void nested_write_cr(u32 n, u64 v)
{
    if (n == 3) {
        V12(GUEST_CR3) = v;
    } else {
        u64 mask = *slot(n ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK), new = (nested_cr(n) & mask) | (v & ~mask);
        if (n == 0 ? !(new &CR0_PG) || !(new & 1) : !(new &CR4_PAE)) {
            vmwrite(VMCS_GUEST_RIP,
                    vmread(VMCS_GUEST_RIP) - vmread(VMCS_VM_EXIT_INSTRUCTION_LEN)); // VMX operation fixes these: #GP
            vmx_inject(13, true, 0);
            return;
        }
        *slot(n ? VMCS_GUEST_CR4 : VMCS_GUEST_CR0) = new;
        vmwrite(n ? VMCS_GUEST_CR4 : VMCS_GUEST_CR0, n ? real_cr4(new) : real_cr0(new));
        show_cr(n, n ? own_cr4() : own_cr0());
    }
    shadow_use(vm.tag, V12(GUEST_CR3), paging_l2(), true);
}
// A page fault of L2: an entry that our shadow lacks, or L1's if it asked for this one, or L2's.
static bool page_fault(void)
{
    u64 la = vmread(VMCS_EXIT_QUALIFICATION);
    u32 error = (u32)vmread(VMCS_VM_EXIT_INTR_ERROR_CODE);
    if (shadow_fault(la, &error, V12(GUEST_CR0) & CR0_WP)) {
        vmx_redeliver();
        return true;
    }
    bool differs = (error & V12(PAGE_FAULT_ERROR_CODE_MASK)) != V12(PAGE_FAULT_ERROR_CODE_MATCH);
    if ((V12(EXCEPTION_BITMAP) >> 14 & 1) == differs) { // the match turns the bit of the bitmap around
        vmx_inject(14, true, error);
        asm volatile("mov %0, %%cr2" : : "r"(la));
        return true;
    }
    u32 intr = (u32)vmread(VMCS_VM_EXIT_INTR_INFO);
    nested_reflect(EXIT_EXCEPTION, la, intr);
    V12(VM_EXIT_INTR_ERROR_CODE) = error; // of L1's tables, not of ours
    return true;
}
static bool ours_without_ept(u32 reason)
{
    u32 primary = (u32)V12(CPU_BASED_VM_EXEC_CONTROL);
    u64 q = vmread(VMCS_EXIT_QUALIFICATION), cr = q & 15, n = q >> 8 & 15;
    if (reason == EXIT_INVLPG)
        return !(primary >> 9 & 1);
    if (reason != EXIT_CR || q >> 4 & 2)
        return false;
    if (cr == 3)
        return !(primary >> (q >> 4 & 1 ? 16 : 15) & 1);
    u64 v = n == RSP ? vmread(VMCS_GUEST_RSP) : regs[n];
    return !((v ^ *slot(cr ? VMCS_CR4_READ_SHADOW : VMCS_CR0_READ_SHADOW)) &
             *slot(cr ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK));
}
// Whose is an exit of L2? We keep what we alone asked for; all else L1 asked for, or it could not have happened.
bool nested_exit(u32 reason)
{
    u32 primary = (u32)V12(CPU_BASED_VM_EXEC_CONTROL);
    if (!vm.ept && reason == EXIT_EXCEPTION && (vmread(VMCS_VM_EXIT_INTR_INFO) & 0x7ff) == 0x30e)
        return page_fault();
    if (reason == EXIT_EPT_VIOLATION && secondary() & 2) {
        if (fold_violation()) {
            vmx_redeliver();
            return true;
        }
    } else if (reason == EXIT_EPT_VIOLATION || (reason == EXIT_EXT_INT && !(V12(PIN_BASED_VM_EXEC_CONTROL) & 1)) ||
               (reason == EXIT_HLT && !(primary >> 7 & 1)) || (reason == EXIT_IO && !(primary >> 24 & 1)) ||
               (!vm.ept && ours_without_ept(reason))) {
        return false;
    }
    nested_reflect(reason, vmread(VMCS_EXIT_QUALIFICATION), (u32)vmread(VMCS_VM_EXIT_INTR_INFO));
    return true;
}

// --- operands: where the memory operand of the instruction lies in our memory
static void *translate(u64 la)
{
    u64 table = (vm.ept ? vmread(VMCS_GUEST_CR3) : vm.cr3) & 0xffffffffff000ull;
    for (int shift = 39;; shift -= 9) {
        u64 *e = guest_memory(table + (la >> shift & 511) * 8, 8);
        if (!e || !(*e & 1))
            return 0;
        if (shift == 12 || (shift < 39 && *e & 0x80))
            return guest_memory((*e & 0xffffffffff000ull & ~((1ull << shift) - 1)) + (la & ((1ull << shift) - 1)), 8);
        table = *e & 0xffffffffff000ull;
    }
}
static u64 reg(u32 n) { return n == RSP ? vmread(VMCS_GUEST_RSP) : regs[n]; }
// Instruction information: 1:0 scale, 17:15 segment, 21:18 index, 22 no index, 26:23 base, 27 no base. The displacement is the qualification.
static u64 *operand(u32 info)
{
    u64 la = vmread(VMCS_EXIT_QUALIFICATION);
    if (!(info >> 22 & 1))
        la += reg(info >> 18 & 15) << (info & 3);
    if (!(info >> 27 & 1))
        la += reg(info >> 23 & 15);
    if ((info >> 15 & 7) >= 4) // FS or GS: the others have no base in 64-bit mode
        la += vmread(VMCS_GUEST_ES_BASE + 2 * (info >> 15 & 7));
    return translate(la);
}

// --- the instructions
static void vmread_or_write(u32 info, bool write)
{
    bool in_register = info >> 10 & 1;
    u64 field = reg(info >> 28), *memory = in_register ? 0 : operand(info), *at;
    if (vm.vmcs12 == ~0ull || (!in_register && !memory) || !(at = slot(field))) {
        fail(12);
        return;
    }
    if (write && (field >> 10 & 3) == 1) {
        fail(13);
        return;
    }
    if (write)
        *at = in_register ? reg(info >> 3 & 15) : *memory;
    else if (!in_register)
        *memory = *at;
    else if ((info >> 3 & 15) == RSP)
        vmwrite(VMCS_GUEST_RSP, *at);
    else
        regs[info >> 3 & 15] = *at;
    succeed();
}
static void pointer_instruction(u32 reason, u64 *memory)
{
    u64 at = memory ? *memory : 1, *page = at & 0xfff ? 0 : guest_memory(at, PAGE_SIZE);
    bool clear = reason == EXIT_VMCLEAR;
    if (reason == EXIT_VMXON) {
        if (vm.vmxon) {
            fail(15);
        } else if (!page || *(u32 *)page != revision) {
            outcome(1);
        } else {
            vm.vmxon = true, vm.vmxon_at = at;
            succeed();
        }
    } else if (!page) {
        fail(clear ? 2 : 9);
    } else if (at == vm.vmxon_at) {
        fail(clear ? 3 : 10);
    } else if (clear) {
        page[1] = 0; // the launch state
        if (vm.vmcs12 == at) {
            spare_fetch();
            vm.vmcs12 = ~0ull;
            spare_show();
        }
        succeed();
    } else if (*(u32 *)page != revision) {
        fail(11);
    } else {
        spare_fetch();
        vm.vmcs12 = at;
        spare_show();
        succeed();
    }
}
static void invalidate(u32 reason, u64 type, u64 *descriptor)
{
    bool ept = reason == EXIT_INVEPT, ok = descriptor && (ept ? type == 1 || type == 2 : type <= 3);
    if (ok && !ept && type != 2) // a VPID, and for type 0 an address in it
        ok = descriptor[0] && !(descriptor[0] >> 16) && (type || canonical(descriptor[1]));
    if (!ok) {
        fail(28);
    } else if (ept) {
        drop_ept02();
        succeed();
    } else if (!vm.ept) { // more than was asked for
        shadow_drop();
        use_cr3(false);
        succeed();
    } else {
        u64 d[2] = {(descriptor[0] & 0xffff) + 1, descriptor[1]};
        if (type == 2 || d[0] >= 0xffff) // all VPIDs of L1: ours with them, which costs time only
            type = 2, d[0] = d[1] = 0;
        asm volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
        succeed();
    }
}
bool nested_handles(u32 reason)
{
    bool vmx = (reason >= EXIT_VMCLEAR && reason <= EXIT_VMXON) || reason == EXIT_INVEPT || reason == EXIT_INVVPID;
    if (!vmx || vm.in_l2)
        return false;
    u32 info = (u32)vmread(VMCS_VMX_INSTRUCTION_INFO);
    if ((reason == EXIT_VMXON ? !(vmread(VMCS_CR4_READ_SHADOW) & CR4_VMXE) : !vm.vmxon) || (reason == EXIT_INVEPT && !vm.ept) ||
        (reason == EXIT_INVVPID && !vm.use_vpid)) {
        vmx_inject(6, false, 0);
        return true;
    }
    if (vmread(VMCS_GUEST_SS_AR_BYTES) >> 5 & 3) { // these instructions exit before the check of CPL: it is left to us
        vmx_inject(13, true, 0);
        return true;
    }
    switch (reason) {
    case EXIT_VMREAD: vmread_or_write(info, false); break;
    case EXIT_VMWRITE: vmread_or_write(info, true); break;
    case EXIT_VMLAUNCH: enter_l2(true); break;
    case EXIT_VMRESUME: enter_l2(false); break;
    case EXIT_VMXOFF: spare_fetch(), vm.vmxon = false, vm.vmcs12 = ~0ull, spare_show(), succeed(); break;
    case EXIT_VMPTRST: {
        u64 *to = operand(info);
        if (!to)
            return false;
        *to = vm.vmcs12;
        succeed();
        break;
    }
    case EXIT_INVEPT:
    case EXIT_INVVPID: invalidate(reason, reg(info >> 28), operand(info)); break;
    default: pointer_instruction(reason, operand(info));
    }
    return true;
}

// --- capability MSRs: those of the processor, less what VMCS 02 would not get right
u64 guest_msr(u32 n, bool *ok)
{
    static const u32 may[] = {0x1, 0x81018284, 1 << 9 | 1 << 15 | 1 << 20 | 1 << 21 | 0xfff,
                              1 << 9 | 1 << 15 | 0x1ff}; // pin, primary, exit, entry
    if (n == 0x3a)
        return 5;
    if (n < 0x480 || n > 0x490) {
        *ok = false;
        return 0;
    }
    u64 v = rdmsr(n);
    switch (n) {
    case 0x485: return v & (1 << 30 | 1 << 6 | 1 << 5 | 31); // MISC: HLT state; no CR3 targets, no VMWRITE to exit information
    case 0x48b: return (u64)((vm.use_vpid ? 1 << 5 : 0) | (vm.ept ? 2 | 1 << 7 : 0)) << 32;
    case 0x48c: // EPT_VPID_CAP: execute-only, 4 levels, write-back, large pages, INVEPT (not: A/D flags), INVVPID
        *ok = vm.ept || vm.use_vpid;
        return v & ((vm.ept ? 1 | 1 << 6 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 20 | 1 << 25 | 1 << 26 : 0) |
                    (vm.use_vpid ? 0xf01ull << 32 : 0));
    }
    u32 k = n >= 0x48d ? n - 0x48d : n - 0x481;
    if (k == 2)
        v |= 1 << 9; // the host of an exit is in 64-bit mode
    if (k < 4)
        return (v & 0xffffffff) | ((v >> 32 & (may[k] | (u32)v)) << 32);
    return v;
}
