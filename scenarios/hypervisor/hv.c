// hv.c: start, VMX set-up, EPT, and the exits of our guest. shadow.c does without EPT; nested.c lets the guest do the same.
// MANUAL  "Introduction to Virtual Machine Extensions", "VM Entries", "VM Exits", "VMX Support for Address Translation".
#include "hv.h"

// The console is the serial port. A real one would be polled for "transmitter empty"; each poll would be one more VM exit of every level above 0.
static void put(char c) { outb(0x3f8, (u8)c); }
#include "console.h"
#include "mem.h"

u64 regs[16] __attribute__((aligned(16)));
u64 vmcs01[512] __attribute__((aligned(4096))), vmcs02[512] __attribute__((aligned(4096)));
static u64 vmxon_region[512] __attribute__((aligned(4096)));
static u64 pool[16][512] __attribute__((aligned(4096))); // tables of EPT 01
static unsigned used;
static u64 idt[256][2];
static u64 exits;
static u32 by_reason[64];
struct vm vm;
int level;
u32 revision, physical_bits; // of a VMCS; of an address
volatile int host_vector;
static int depth, spare;
static const char *ept_words; // ept=DIGITS: 1 or 0 for each level, ours first
extern char _load[], _load_end[], gdt[], payload[], payload_end[], stubs[], vm_exit[];
extern u64 pml4[];

void print(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    put('L');
    print_number((u64)level, 10);
    print_text(": ");
    print_list(f, a);
    put('\n');
    va_end(a);
}
void stop(const char *why)
{
    print("STOP: %s", why);
    outb(0xf4, 1);
    for (;;)
        asm volatile("cli; hlt");
}
void host_fault(u32 vector, u64 *stack);
void host_fault(u32 vector, u64 *stack)
{
    print("exception %d in the hypervisor itself; stack %x %x %x", (u64)vector, stack[0], stack[1], stack[2]);
    stop("a bug");
}

// --- EPT: four levels, tables made when they are needed. Entry bits: 0 read, 1 write, 2 execute, 5:3 memory type (6: write-back), 7 large page.
static u64 *pool_page(void)
{
    if (used == 16)
        stop("no page left for EPT 01");
    return pool[used++];
}
void ept_map(u64 *table, u64 gpa, u64 hpa, bool big, u32 rights, u64 *(*page)(void))
{
    for (int shift = 39; shift > (big ? 21 : 12); shift -= 9) {
        u64 *e = &table[gpa >> shift & 511];
        if (!(*e & 7))
            *e = (u64)page() | 7;
        else if (*e & 0x80)
            stop("a large page is in the way");
        table = (u64 *)(*e & ~0xfffull);
    }
    table[gpa >> (big ? 21 : 12) & 511] = hpa | 6 << 3 | (big ? 0x80 : 0) | rights;
}
void *guest_memory(u64 gpa, u64 n) { return gpa < vm.size && n <= vm.size - gpa ? (void *)(vm.base + gpa) : 0; }

// An EPT violation of our guest: it touched memory for the first time. The first 2 MiB get small pages (unless big=1), the rest large ones.
static void ept_violation(void)
{
    u64 gpa = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
    if (!guest_memory(gpa, 1)) {
        print("guest-physical %x is no memory (qualification %x, RIP %x)", gpa, vmread(VMCS_EXIT_QUALIFICATION),
              vmread(VMCS_GUEST_RIP));
        stop("EPT violation");
    }
    bool big = gpa >= BIG_PAGE || vm.big_only;
    u64 page = gpa & ~((big ? BIG_PAGE : PAGE_SIZE) - 1);
    ept_map((u64 *)(vm.eptp01 & ~0xfffull), page, vm.base + page, big, 7, pool_page);
}

// --- entering VMX operation
static u32 controls(u32 msr, u32 wanted)
{
    u32 missing, v = vmx_controls(msr, wanted, &missing);
    if (missing) {
        print("capability MSR %x does not allow controls %x", (u64)msr, (u64)missing);
        stop("this processor lacks a feature");
    }
    return v;
}
void load_vmcs(void *region) { vmptrld((u64)region); }
void clear_vmcs(void *region) { vmclear((u64)region); }
static void vmx_on(void)
{
    if (!vmx_allowed())
        stop("IA32_FEATURE_CONTROL is locked without VMX");
    asm volatile("mov %0, %%cr4" : : "r"((u64)0x20 | CR4_VMXE));
    revision = vmx_revision();
    vmxon_region[0] = vmcs01[0] = vmcs02[0] = revision;
    if (vmxon((u64)vmxon_region))
        stop("VMXON failed");
    clear_vmcs(vmcs02);
    clear_vmcs(vmcs01);
    load_vmcs(vmcs01);
}

// --- the VMCS, group by group. set_controls and set_host serve VMCS 02 as well.
static void set_controls(void)
{
    u32 sec = (vm.ept ? 2 | 1 << 7 : 0) | (vm.use_vpid ? 1 << 5 : 0); // EPT, unrestricted guest, VPID
    u32 shadow = vm.ept ? 0 : 1 << 9 | 1 << 15 | 1 << 16;             // INVLPG, MOV to and from CR3
    vm.proc01 = controls(0x48e, shadow | 1 << 7 | 1 << 24 |
                                    (sec ? 1u << 31 : 0)); // HLT, all I/O; no MSR bitmap: every RDMSR and WRMSR exits
    vmwrite(VMCS_PIN_BASED_VM_EXEC_CONTROL, controls(0x48d, 1));
    vmwrite(VMCS_CPU_BASED_VM_EXEC_CONTROL, vm.proc01);
    if (sec)
        vmwrite(VMCS_SECONDARY_VM_EXEC_CONTROL, controls(0x48b, sec));
    vmwrite(VMCS_VM_EXIT_CONTROLS,
            controls(0x48f, 1 << 9 | 1 << 15 | 1 << 20 | 1 << 21)); // 64-bit host, acknowledge interrupt, EFER
    vmwrite(VMCS_VM_ENTRY_CONTROLS, controls(0x490, 1 << 15));      // load EFER
    if (vm.ept)
        vmwrite(VMCS_EPT_POINTER, vm.eptp01);
    else
        vmwrite(VMCS_EXCEPTION_BITMAP, 1 << 14); // every page fault
    if (vm.use_vpid)
        vmwrite(VMCS_VIRTUAL_PROCESSOR_ID, 1);
    vmwrite(VMCS_VMCS_LINK_POINTER, ~0ull);
}
static void set_host(void)
{
    static const uint16_t data[] = {VMCS_HOST_ES_SELECTOR, VMCS_HOST_SS_SELECTOR, VMCS_HOST_DS_SELECTOR, VMCS_HOST_FS_SELECTOR,
                                    VMCS_HOST_GS_SELECTOR};
    for (unsigned n = 0; n < 5; n++)
        vmwrite(data[n], 16);
    vmwrite(VMCS_HOST_CS_SELECTOR, 8);
    vmwrite(VMCS_HOST_TR_SELECTOR, 24);
    vmwrite(VMCS_HOST_CR0, 0x80000033);
    vmwrite(VMCS_HOST_CR3, (u64)pml4);
    vmwrite(VMCS_HOST_CR4, 0x20 | CR4_VMXE);
    vmwrite(VMCS_HOST_IA32_EFER, EFER_LME | EFER_LMA);
    vmwrite(VMCS_HOST_GDTR_BASE, (u64)gdt);
    vmwrite(VMCS_HOST_IDTR_BASE, (u64)idt);
    vmwrite(VMCS_HOST_RSP, (u64)(regs + 16));
    vmwrite(VMCS_HOST_RIP, (u64)vm_exit);
}
// The state in which Multiboot starts a kernel: 32-bit protected mode, flat segments, no paging.
static void set_guest(u64 entry)
{
    vmx_flat_guest();
    vmwrite(VMCS_GUEST_CR0, real_cr0(0x11));
    vmwrite(VMCS_CR0_GUEST_HOST_MASK, own_cr0()); // bits that VMX operation fixes belong to us ...
    vmwrite(VMCS_CR0_READ_SHADOW, 0x11);          // ... and the guest reads here what it believes them to be
    vmwrite(VMCS_GUEST_CR4, real_cr4(0));
    vmwrite(VMCS_CR4_GUEST_HOST_MASK, own_cr4());
    if (!vm.ept)
        use_cr3(true);
    vmwrite(VMCS_GUEST_RIP, entry);
    regs[RAX] = 0x2badb002;
    regs[RBX] = 0x9000;
}

// --- what to run: ourselves again while depth > 1, then the kernel
static u64 load_guest(u32 *info)
{
    const char *image = payload, *end = payload_end, *kernel = payload, *kernel_end = payload_end;
    if (info[0] & 8 && info[5]) { // a Multiboot module takes the place of the built-in kernel
        u32 *module = (u32 *)(u64)info[6];
        image = kernel = (char *)(u64)module[0];
        end = kernel_end = (char *)(u64)module[1];
    }
    if (depth > 1)
        image = _load, end = _load_end;
    const u32 *h = (const u32 *)image;
    while (h[0] != 0x1badb002 || h[0] + h[1] + h[2])
        if ((const char *)++h >= image + 8192 || (const char *)h >= end)
            stop("the guest has no Multiboot header");
    if (!(h[1] & 1 << 16))
        stop("the guest's Multiboot header gives no addresses");
    u32 offset = h[3] - h[4], at = (u32)((const char *)h - image), n = h[5] - h[4];
    memcpy((void *)(vm.base + h[4]), image + at - offset, n);
    memset((void *)(vm.base + h[5]), 0, h[6] - h[5]);
    u32 *mb = (u32 *)(vm.base + 0x9000);
    memset(mb, 0, 4096);
    mb[0] = 1 | 4 | 8;
    mb[1] = 0x9f000 >> 10;
    mb[2] = (u32)(vm.size >> 10) - 1024;
    mb[4] = 0x9100;
    char *words = (char *)mb + 0x100;
    memcpy(words, "hv depth=0 vpid=0 spare=0 ept=", 31);
    words[9] = (char)('0' + depth - 1);
    words[16] = (char)('0' + vm.use_vpid);
    words[24] = (char)('0' + spare);
    if (ept_words[1] >= '0' && ept_words[1] <= '9') // ours is the first digit; the last one holds for all that follow
        ept_words++;
    for (words += 30; *ept_words >= '0' && *ept_words <= '9';)
        *words++ = *ept_words++;
    mb[5] = 1;
    mb[6] = 0x9200;
    u32 to = (h[6] + 0xfff) & ~0xfffu; // the kernel as a module
    memcpy((void *)(vm.base + to), kernel, (unsigned long)(kernel_end - kernel));
    u32 module[4] = {to, (u32)(to + (u64)(kernel_end - kernel)), 0x9100, 0};
    memcpy((char *)mb + 0x200, module, sizeof module);
    return h[7];
}
// What follows NAME= on the command line, or what stands for it.
static const char *text(const char *words, const char *name, const char *otherwise)
{
    for (; *words; words++) {
        const char *w = words, *n = name;
        while (*n && *w == *n)
            w++, n++;
        if (!*n)
            return w;
    }
    return otherwise;
}
static int word(const char *words, const char *name, const char *otherwise) { return *text(words, name, otherwise) - '0'; }

void hv_main(u32 *info);
void hv_main(u32 *info)
{
    u32 r[4] = {1, 0, 0, 0};
    for (u64 n = 0; n < 256; n++) {
        u64 at = (u64)stubs + 16 * n;
        idt[n][0] = (at & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
        idt[n][1] = at >> 32;
    }
    struct __attribute__((packed)) {
        uint16_t limit;
        u64 base;
    } idtr = {sizeof idt - 1, (u64)idt};
    asm volatile("lidt %0" : : "m"(idtr));
    cpuid(r);
    if (!(r[2] >> 5 & 1))
        stop("CPUID reports no VMX");
    u32 width[4] = {0x80000008, 0, 0, 0};
    cpuid(width);
    physical_bits = width[0] & 255;
    if (r[2] >> 31) { // somebody virtualizes us: ask for our level
        r[0] = 0x40000001;
        cpuid(r);
        level = (int)r[0];
    }
    const char *words = info[0] & 4 ? (const char *)(u64)info[4] : "";
    depth = word(words, "depth=", "1");
    vm.use_vpid = word(words, "vpid=", "1") != 0;
    ept_words = text(words, "ept=", "1");
    vm.ept = *ept_words != '0';
    vm.big_only = word(words, "big=", "0") != 0;
    spare = word(words, "spare=", "0") != 0;
    vm.size = ((((u64)info[2] + 1024) << 10) / 2) & ~(BIG_PAGE - 1);
    vm.base = vm.size;
    vm.pending = host_vector = -1;
    vm.vmcs12 = ~0ull;
    vmx_on();
    if (vm.ept)
        vm.eptp01 = (u64)pool_page() | 3 << 3 | 6; // walk length 4, write-back
    set_controls();
    set_host();
    set_guest(load_guest(info));
    load_vmcs(vmcs02);
    set_controls();
    set_host();
    load_vmcs(vmcs01);
    if (spare)
        spare_on();
    print("VMX on; guest of %d MiB at %x: %s", vm.size >> 20, vm.base, depth > 1 ? "myself" : "the kernel");
    if (!vm.ept)
        print("no EPT: shadow page tables");
}

// --- events for the guest
// HLT of the guest: with nothing to do, so do we; the interrupt that wakes us is the guest's.
static void wait_for_interrupt(void)
{
    vmx_skip();
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY_INFO, 0); // STI blocks interrupts for one instruction; that was the HLT, which is over
    if (vm.pending >= 0)
        return;
    host_vector = -1;
    while (host_vector < 0)
        asm volatile("sti; hlt; cli" : : : "memory");
    vm.pending = host_vector;
}
// Before each entry: hand over the interrupt that waits, or ask for an exit as soon as the guest can take it.
static void deliver_pending(void)
{
    static bool window;
    bool busy, want = false;
    if (vm.pending >= 0 && vm.in_l2 && vmread(VMCS_PIN_BASED_VM_EXEC_CONTROL) & 1) {
        u32 vector = (u32)vm.pending;
        vm.pending = -1;
        nested_reflect(EXIT_EXT_INT, 0, VALID | vector);
    }
    if (vm.pending >= 0) {
        busy = vmread(VMCS_VM_ENTRY_INTR_INFO_FIELD) & VALID || !(vmread(VMCS_GUEST_RFLAGS) & 0x200) ||
               vmread(VMCS_GUEST_INTERRUPTIBILITY_INFO) & 3;
        if (busy) {
            want = true;
        } else {
            vmwrite(VMCS_VM_ENTRY_INTR_INFO_FIELD, VALID | (u32)vm.pending);
            vm.pending = -1;
        }
    }
    if (want != window && !vm.in_l2) {
        vmwrite(VMCS_CPU_BASED_VM_EXEC_CONTROL, vm.proc01 | (want ? 4 : 0));
        window = want;
    }
}
// --- instructions
static void exit_cpuid(void)
{
    u32 leaf = (u32)regs[RAX], r[4] = {leaf, 0, (u32)regs[RCX], 0};
    if (leaf == 0x40000000)
        r[0] = 0x40000001, r[1] = 0x676e6952, r[2] = 0x65646973, r[3] = 0x21505948;
    else if (leaf == 0x40000001)
        r[0] = (u32)level + 1, r[1] = r[2] = r[3] = 0;
    else if (!spare || !spare_cpuid(r))
        cpuid(r);
    if (leaf == 1)
        r[2] = (r[2] | 1u << 31) & ~(3u << 26); // virtualized; no XSAVE
    regs[RAX] = r[0], regs[RBX] = r[1], regs[RCX] = r[2], regs[RDX] = r[3];
    vmx_skip();
}
static void exit_io(void)
{
    u64 q = vmread(VMCS_EXIT_QUALIFICATION);
    uint16_t port = (uint16_t)(q >> 16);
    bool known = port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || (port >= 0x40 && port <= 0x43) ||
                 (port >= 0x3f8 && port <= 0x3ff) || port == 0xe9 || port == 0xf4;
    if (!known || q & 0x17) { // string, or wider than a byte
        print("I/O that I do not emulate: qualification %x, RIP %x", q, vmread(VMCS_GUEST_RIP));
        stop("I/O");
    }
    if (port == 0xf4) { // the guest ends the run: say what it cost
        print("%d exits: %d VMREAD, %d VMWRITE, %d VMRESUME, %d EPT, %d I/O, %d CPUID", exits, (u64)by_reason[EXIT_VMREAD],
              (u64)by_reason[EXIT_VMWRITE], (u64)by_reason[EXIT_VMRESUME], (u64)by_reason[EXIT_EPT_VIOLATION],
              (u64)by_reason[EXIT_IO], (u64)by_reason[EXIT_CPUID]);
    }
    if (q & 8)
        regs[RAX] = (regs[RAX] & ~0xffull) | inb(port);
    else
        outb(port, (uint8_t)regs[RAX]);
    vmx_skip();
}
// --- control registers. VMX operation fixes some bits. Shadow page tables need more: paging, PAE and write protection are on in truth, and what changes the
// meaning of page tables exits.
u64 own_cr0(void) { return vm.ept ? CR0_NE : CR0_NE | 1 | CR0_WP | CR0_PG; }
u64 own_cr4(void) { return vm.ept ? CR4_VMXE : CR4_VMXE | CR4_PAE | 1 << 4 | 1 << 7 | 1 << 12 | 1 << 17 | 3 << 20; }
u64 real_cr0(u64 v) { return v | own_cr0(); }
u64 real_cr4(u64 v)
{
    if (vm.ept)
        return v | CR4_VMXE;
    if (v & (1 << 12 | 1 << 17 | 3 << 20))
        stop("CR4: five levels, PCIDs, SMEP and SMAP are not done with shadow page tables");
    return v | CR4_VMXE | CR4_PAE;
}
void use_cr3(bool fresh)
{
    bool paged = vmread(VMCS_CR0_READ_SHADOW) & CR0_PG, lma = paged && vm.efer & EFER_LME;
    if (paged && !(vmread(VMCS_CR4_READ_SHADOW) & CR4_PAE))
        stop("32-bit paging is not done with shadow page tables");
    shadow_use(0, vm.cr3, !paged ? PAGING_NONE : lma ? PAGING_LONG : PAGING_PAE, fresh);
}
// EFER as the guest wrote it; LMA follows CR0.PG. With shadow page tables paging is on in truth, and then LME cannot be 1 before the guest has paging.
static void set_efer(void)
{
    bool lma = vm.efer & EFER_LME && vmread(VMCS_CR0_READ_SHADOW) & CR0_PG;
    u64 entry = vmread(VMCS_VM_ENTRY_CONTROLS) & ~(1ull << 9);
    vm.efer = lma ? vm.efer | EFER_LMA : vm.efer & ~(u64)EFER_LMA;
    vmwrite(VMCS_GUEST_IA32_EFER, vm.ept || lma ? vm.efer : vm.efer & ~(u64)EFER_LME);
    vmwrite(VMCS_VM_ENTRY_CONTROLS, entry | (lma ? 1 << 9 : 0));
}
static void exit_cr(void)
{
    u64 q = vmread(VMCS_EXIT_QUALIFICATION), cr = q & 15, n = q >> 8 & 15;
    u64 v = n == RSP ? vmread(VMCS_GUEST_RSP) : regs[n];
    vmx_skip();
    if ((q >> 4 & 3) == 1 && cr == 3 && !vm.ept) { // MOV from CR3
        v = vm.in_l2 ? nested_cr(3) : vm.cr3;
        if (n == RSP)
            vmwrite(VMCS_GUEST_RSP, v);
        else
            regs[n] = v;
        return;
    }
    if (q >> 4 & 3 || (cr != 0 && cr != 4 && cr != 3))
        stop("an access to a control register that should not exit");
    if (vm.in_l2) {
        nested_write_cr((u32)cr, v);
        return;
    }
    if (cr == 3) {
        vm.cr3 = v;
    } else {
        vmwrite(cr ? VMCS_CR4_READ_SHADOW : VMCS_CR0_READ_SHADOW, v);
        vmwrite(cr ? VMCS_GUEST_CR4 : VMCS_GUEST_CR0, cr ? real_cr4(v) : real_cr0(v));
        if (!vm.ept && !cr && !(v & 1))
            stop("real mode needs an unrestricted guest, hence EPT");
        set_efer();
    }
    if (!vm.ept)
        use_cr3(true);
}
static void exit_page_fault(void)
{
    u64 la = vmread(VMCS_EXIT_QUALIFICATION), vectoring = vmread(VMCS_IDT_VECTORING_INFO_FIELD);
    u32 error = (u32)vmread(VMCS_VM_EXIT_INTR_ERROR_CODE);
    if (shadow_fault(la, &error, vmread(VMCS_CR0_READ_SHADOW) & CR0_WP))
        return;
    if (vectoring & VALID && (vectoring >> 8 & 7) == 3 && (vectoring & 255) == 14) { // a fault while it delivers one
        vmx_inject(8, true, 0);
        return;
    }
    asm volatile("mov %0, %%cr2" : : "r"(la)); // no VMCS field: CR2 is the guest's all the time
    vmx_inject(14, true, error);
}
static void exit_msr(bool write)
{
    u32 n = (u32)regs[RCX];
    bool ok = true, plain = n == 0x1b || n == 0x10 || (n >= 0xc0000081 && n <= 0xc0000084) || n == 0xc0000102;
    u64 v = (u64)(u32)regs[RDX] << 32 | (u32)regs[RAX];
    if (!write)
        v = n == 0xc0000080 ? vm.efer : plain ? rdmsr(n) : guest_msr(n, &ok);
    else if (n == 0xc0000080)
        vm.efer = v, set_efer();
    else if (plain)
        wrmsr(n, v);
    else
        ok = false;
    if (!ok) {
        print("MSR %x does not exist: #GP", (u64)n);
        vmx_inject(13, true, 0);
        return;
    }
    if (!write)
        regs[RAX] = (u32)v, regs[RDX] = v >> 32;
    vmx_skip();
}

int handle_exit(void);
int handle_exit(void)
{
    u32 reason = (u32)vmread(VMCS_VM_EXIT_REASON);
    exits++;
    by_reason[reason & 63]++;
    if (vm.in_l2) {
        if (!(reason & VALID)) // bit 31: the entry failed on L2's state, and VMCS 02 stays clear
            vm.launched02 = true;
        vm.trying = false;
        if (nested_exit(reason))
            goto out;
    }
    vmx_redeliver();
    switch (reason) {
    case EXIT_EXCEPTION:
        if (vm.ept || (vmread(VMCS_VM_EXIT_INTR_INFO) & 255) != 14)
            stop("an exception that should not exit");
        exit_page_fault();
        break;
    case EXIT_INVLPG:
        shadow_invlpg(vmread(VMCS_EXIT_QUALIFICATION));
        vmx_skip();
        break;
    case EXIT_EXT_INT: vm.pending = (int)(vmread(VMCS_VM_EXIT_INTR_INFO) & 255); break;
    case EXIT_INT_WINDOW: break; // deliver_pending() does it
    case EXIT_CPUID: exit_cpuid(); break;
    case EXIT_HLT: wait_for_interrupt(); break;
    case EXIT_CR: exit_cr(); break;
    case EXIT_IO: exit_io(); break;
    case EXIT_RDMSR: exit_msr(false); break;
    case EXIT_WRMSR: exit_msr(true); break;
    case EXIT_EPT_VIOLATION: ept_violation(); break;
    case EXIT_VMCALL: // no hypercalls yet: the guest is told so by its own convention
        regs[RAX] = ~0ull;
        vmx_skip();
        break;
    default:
        if (nested_handles(reason))
            break;
        print("unexpected exit %d (field %x), RIP %x, qualification %x", (u64)(reason & 0xffff), (u64)reason,
              vmread(VMCS_GUEST_RIP), vmread(VMCS_EXIT_QUALIFICATION));
        stop(reason == EXIT_TRIPLE_FAULT ? "the guest has shut down (triple fault)" : "nothing handles this exit");
    }
out:
    deliver_pending();
    return vm.in_l2 && !vm.launched02;
}
int entry_failed(void);
int entry_failed(void)
{
    u32 error = (u32)vmread(VMCS_VM_INSTRUCTION_ERROR);
    if (!vm.trying) {
        print("VM entry failed: VM-instruction error %d", (u64)error);
        stop("see `ringside explain error`");
    }
    nested_entry_failed(error);
    return 0;
}
