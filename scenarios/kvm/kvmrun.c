// scenarios/kvm/kvmrun.c: the lecture's KVM program, whole: a virtual machine monitor in one file, on Linux's /dev/kvm.
//
//   kvmrun tiny [PREFIX]                             three tiny guests, in real, protected and long mode: each prints its name and halts
//   kvmrun linux KERNEL INITRD CMDLINE [MEGABYTES]   boot a Linux kernel as the guest, with its serial port on our standard output
//
// The kernel's part (kvm.ko, kvm-intel.ko) is the hypervisor proper: it owns VMXON, the VMCS, EPT, and every VM exit. We are its user-space
// part: we lend it memory, set the registers, and are asked only for what the kernel does not emulate itself. One KVM_RUN may hide
// thousands of VM exits; each return from it costs a VM exit and a way out of the kernel and in again on top.
//
// In the pseudo-code of the lecture, and here in this order:
//
//   kvm  = open("/dev/kvm")                           the hypervisor
//   vm   = ioctl(kvm, KVM_CREATE_VM)                  a guest-physical address space
//          ioctl(vm, KVM_SET_TSS_ADDR)                three pages that Intel needs to run real mode without "unrestricted guest"
//          ioctl(vm, KVM_SET_USER_MEMORY_REGION)      our memory becomes the guest's RAM: what EPT will translate to
//   vcpu = ioctl(vm, KVM_CREATE_VCPU)                 a processor: a VMCS
//   run  = mmap(vcpu)                                 the page in which the kernel says why KVM_RUN returned
//          ioctl(vcpu, KVM_SET_SREGS, KVM_SET_REGS)   the guest-state area
//   loop   ioctl(vcpu, KVM_RUN)                       VMLAUNCH, VMRESUME ... until there is something to do for us
//          switch (run->exit_reason)                  KVM_EXIT_IO, KVM_EXIT_HLT, ...
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COM1       0x3f8
#define COM1_IRQ   4
#define LARGE_PAGE ((size_t)2 << 20)
#define EXIT_PORT  0xf4 // a device of ours: a guest ends itself, with the status that it writes there

static void die(const char *what)
{
    fprintf(stderr, "kvmrun: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int must(int r, const char *what)
{
    if (r < 0)
        die(what);
    return r;
}

// --- a 16550 serial port, as much as a driver looks at. The transmitter is always empty: what is written is printed at once.
//
// Without an interrupt a driver must poll; the 8250 driver of Linux polls only for kernel messages, and sends what programs write from
// the interrupt "transmitter holding register empty". So we raise line 4, if the kernel emulates interrupt controllers for us.

enum { IER_RX = 1, IER_TX = 2, LCR_DLAB = 0x80, MCR_OUT2 = 8, MCR_LOOP = 0x10, LSR_IDLE = 0x60, IIR_NONE = 1, IIR_TX = 2 };

struct uart {
    uint8_t ier, fcr, lcr, mcr, scratch, divisor[2];
    bool tx_pending; // the transmitter became empty, and nobody has read IIR since
    bool line;
};

// The modem status: all well, or in loop-back mode what the modem control register says (RTS DTR OUT1 OUT2 come back as CTS DSR RI DCD).
static uint8_t uart_modem(const struct uart *u)
{
    if (!(u->mcr & MCR_LOOP))
        return 0xb0;
    return (uint8_t)((u->mcr & 2) << 3 | (u->mcr & 1) << 5 | (u->mcr & 0xc) << 4);
}

static uint8_t uart_read(struct uart *u, unsigned reg)
{
    uint8_t iir;
    switch (reg) {
    case 0: return u->lcr & LCR_DLAB ? u->divisor[0] : 0;
    case 1: return u->lcr & LCR_DLAB ? u->divisor[1] : u->ier;
    case 2: // interrupt identification; reading "transmitter empty" acknowledges it. Bits 7..6: FIFOs are on
        iir = u->tx_pending && (u->ier & IER_TX) ? IIR_TX : IIR_NONE;
        if (iir == IIR_TX)
            u->tx_pending = false;
        return iir | (u->fcr & 1 ? 0xc0 : 0);
    case 3: return u->lcr;
    case 4: return u->mcr;
    case 5: return LSR_IDLE;
    case 6: return uart_modem(u);
    default: return u->scratch;
    }
}

static void uart_write(struct uart *u, unsigned reg, uint8_t val)
{
    switch (reg) {
    case 0:
        if (u->lcr & LCR_DLAB) {
            u->divisor[0] = val;
        } else {
            if (!(u->mcr & MCR_LOOP))
                putchar(val);
            if (val == '\n')
                fflush(stdout);
            u->tx_pending = true;
        }
        break;
    case 1:
        if (u->lcr & LCR_DLAB) {
            u->divisor[1] = val;
        } else {
            if (val & ~u->ier & IER_TX)
                u->tx_pending = true; // enabling the interrupt while empty raises it
            u->ier = val & 0xf;
        }
        break;
    case 2: u->fcr = val; break;
    case 3: u->lcr = val; break;
    case 4: u->mcr = val & 0x1f; break;
    case 7: u->scratch = val; break;
    default: break; // line and modem status are read-only
    }
}

// --- the virtual machine

struct vm {
    int kvm, vm, vcpu;
    size_t run_size;
    struct kvm_run *run; // shared with the kernel: why KVM_RUN returned, and the data of port and memory accesses
    uint8_t *ram;        // the guest's RAM, from guest-physical address 0
    size_t ram_size;
    bool irqchip; // the kernel emulates 8259, I/O APIC, local APIC and 8254
    struct uart com1;
    uint8_t cmos_index;
    bool ended; // the guest wrote its status to the exit port
    uint8_t status;
};

static void create(struct vm *m, size_t ram_size, bool irqchip)
{
    memset(m, 0, sizeof *m);
    m->kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm (is kvm-intel loaded, and does the processor have VT-x?)");
    int version = ioctl(m->kvm, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        fprintf(stderr, "kvmrun: the kernel speaks KVM API %d, this program %d\n", version, KVM_API_VERSION);
        exit(1);
    }
    m->vm = must(ioctl(m->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    // Somewhere below 4 GB, away from RAM and devices: real mode before "unrestricted guest" ran as virtual-8086 mode, which needs a TSS.
    must(ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");
    m->irqchip = irqchip;
    if (irqchip) { // before the first processor: its local APIC is created with it
        struct kvm_pit_config pit = {.flags =
                                         KVM_PIT_SPEAKER_DUMMY}; // port 61h as well: kernels time the 8254's channel 2 through it
        must(ioctl(m->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
        must(ioctl(m->vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    }
    // The host gives pages when they are first touched: an EPT violation for each. With 2 MB pages these are 512 times fewer, and so are
    // the EPT entries that a TLB miss has to read; that needs an aligned start.
    m->ram_size = ram_size;
    m->ram = mmap(NULL, ram_size + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->ram == MAP_FAILED)
        die("memory for the guest");
    m->ram += -(uintptr_t)m->ram & (LARGE_PAGE - 1);
    madvise(m->ram, ram_size, MADV_HUGEPAGE); // a wish: the guest runs without it too
    struct kvm_userspace_memory_region region = {
        .slot = 0, .guest_phys_addr = 0, .memory_size = ram_size, .userspace_addr = (uintptr_t)m->ram};
    must(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    m->vcpu = must(ioctl(m->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    m->run_size = (size_t)must(ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    if (m->run == MAP_FAILED)
        die("the run structure");
}

static void destroy(struct vm *m)
{
    munmap(m->run, m->run_size); // the kernel keeps the processor, and with it the machine, as long as anything refers to it
    munmap(m->ram, m->ram_size);
    close(m->vcpu);
    close(m->vm);
    close(m->kvm);
}

// CPUID exits always. The kernel answers from a table that we fill in: here with all that this kernel can virtualize.
static void set_cpuid(struct vm *m)
{
    enum { MAX = 128 };
    struct kvm_cpuid2 *id = calloc(1, sizeof *id + MAX * sizeof id->entries[0]);
    if (!id)
        die("memory");
    id->nent = MAX;
    must(ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, id), "KVM_GET_SUPPORTED_CPUID");
    for (unsigned k = 0; k < id->nent; k++) // bit 31 says that there is a VMM, so a guest tries registers before it relies on them
        if (id->entries[k].function == 1)
            id->entries[k].ecx |= 1u << 31;
    must(ioctl(m->vcpu, KVM_SET_CPUID2, id), "KVM_SET_CPUID2");
    free(id);
}

// --- the guest's port I/O: KVM_EXIT_IO

// The line follows the port's interrupt condition. The 8259 wants an edge for each event, so it is lowered before it is raised again.
static void com1_interrupt(struct vm *m, bool again)
{
    bool up = m->com1.tx_pending && (m->com1.ier & IER_TX) && (m->com1.mcr & MCR_OUT2);
    struct kvm_irq_level irq = {.irq = COM1_IRQ};
    if (!m->irqchip)
        return;
    if (m->com1.line && (!up || again)) {
        must(ioctl(m->vm, KVM_IRQ_LINE, &irq), "KVM_IRQ_LINE");
        m->com1.line = false;
    }
    if (up && !m->com1.line) {
        irq.level = 1;
        must(ioctl(m->vm, KVM_IRQ_LINE, &irq), "KVM_IRQ_LINE");
        m->com1.line = true;
    }
}

static uint8_t port_read(struct vm *m, uint16_t port)
{
    if (port >= COM1 && port < COM1 + 8)
        return uart_read(&m->com1, port - COM1);
    if (port ==
        0x71) // clock: register 0AH says "no update in progress", 0BH "24 hours, BCD", 0DH "the battery is good"; day 1, month 1
        return m->cmos_index == 0xa ? 0x26 : m->cmos_index == 0xb ? 2 : m->cmos_index == 0xd ? 0x80 : m->cmos_index >= 7 ? 1 : 0;
    return 0xff; // nobody is there
}

static void port_write(struct vm *m, uint16_t port, uint8_t val)
{
    if (port >= COM1 && port < COM1 + 8)
        uart_write(&m->com1, port - COM1, val);
    else if (port == 0x70)
        m->cmos_index = val & 0x7f;
    else if (port == EXIT_PORT)
        m->ended = true, m->status = val;
}

static void port_io(struct vm *m)
{
    uint8_t *data = (uint8_t *)m->run + m->run->io.data_offset;
    bool out = m->run->io.direction == KVM_EXIT_IO_OUT;
    for (unsigned n = 0; n < m->run->io.count; n++)              // INS and OUTS: several at once
        for (unsigned b = 0; b < m->run->io.size; b++, data++) { // wide accesses are those of neighbouring byte ports
            uint16_t port = (uint16_t)(m->run->io.port + b);
            if (out)
                port_write(m, port, *data);
            else
                *data = port_read(m, port);
        }
    if (m->run->io.port >= COM1 && m->run->io.port < COM1 + 8)
        com1_interrupt(m, out && m->run->io.port == COM1);
}

// --- KVM_RUN: the loop

static const char *const exit_name[] = {
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_EXCEPTION] = "exception",
    [KVM_EXIT_IO] = "io",
    [KVM_EXIT_HYPERCALL] = "hypercall",
    [KVM_EXIT_DEBUG] = "debug",
    [KVM_EXIT_HLT] = "hlt",
    [KVM_EXIT_MMIO] = "mmio",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq window open",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_FAIL_ENTRY] = "fail entry",
    [KVM_EXIT_INTR] = "interrupted",
    [KVM_EXIT_SET_TPR] = "set TPR",
    [KVM_EXIT_TPR_ACCESS] = "TPR access",
    [KVM_EXIT_NMI] = "NMI",
    [KVM_EXIT_INTERNAL_ERROR] = "internal error",
    [KVM_EXIT_SYSTEM_EVENT] = "system event",
    [KVM_EXIT_IOAPIC_EOI] = "I/O APIC EOI",
};

static void show_registers(struct vm *m)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    if (ioctl(m->vcpu, KVM_GET_REGS, &r) < 0 || ioctl(m->vcpu, KVM_GET_SREGS, &s) < 0)
        return;
    fprintf(stderr, "kvmrun: rip %llx cs %x base %llx rsp %llx rflags %llx cr0 %llx cr3 %llx cr4 %llx efer %llx\n", r.rip,
            s.cs.selector, s.cs.base, r.rsp, r.rflags, s.cr0, s.cr3, s.cr4, s.efer);
}

// Runs the guest to its end. Returns the reason that ended it: if all is well KVM_EXIT_HLT, KVM_EXIT_SHUTDOWN, or KVM_EXIT_IO (exit port).
static unsigned run(struct vm *m)
{
    for (;;) {
        if (ioctl(m->vcpu, KVM_RUN, 0) < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue; // a signal for us came: no exit of the guest
            die("KVM_RUN");
        }
        unsigned reason = m->run->exit_reason;
        switch (reason) {
        case KVM_EXIT_IO:
            port_io(m);
            if (m->ended)
                return reason;
            continue;
        case KVM_EXIT_MMIO: // an access outside of RAM, and to no device of the kernel: nobody is there either
            if (!m->run->mmio.is_write)
                memset(m->run->mmio.data, 0xff, sizeof m->run->mmio.data);
            continue;
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN: continue;
        case KVM_EXIT_HLT:      // the guest waits. Without an interrupt controller nothing can wake it: it has ended
        case KVM_EXIT_SHUTDOWN: // a triple fault; for the kernel it is the last way to reboot
            return reason;
        case KVM_EXIT_FAIL_ENTRY: // the processor refused the VM entry; the reason is that of the VM exit, or the VM-instruction error
            fprintf(stderr, "kvmrun: VM entry failed: hardware reason %llx\n",
                    (unsigned long long)m->run->fail_entry.hardware_entry_failure_reason);
            break;
        case KVM_EXIT_INTERNAL_ERROR: // KVM could not go on: suberror 1 is an instruction that its emulator does not know
            fprintf(stderr, "kvmrun: KVM internal error %u\n", m->run->internal.suberror);
            break;
        default:
            fprintf(stderr, "kvmrun: KVM_RUN returned reason %u (%s), which this program does not expect\n", reason,
                    reason < sizeof exit_name / sizeof *exit_name && exit_name[reason] ? exit_name[reason] : "new");
            break;
        }
        show_registers(m);
        return reason;
    }
}

static void set_state(struct vm *m, const struct kvm_sregs *sregs, const struct kvm_regs *regs)
{
    must(ioctl(m->vcpu, KVM_SET_SREGS, sregs), "KVM_SET_SREGS");
    must(ioctl(m->vcpu, KVM_SET_REGS, regs), "KVM_SET_REGS");
}

// A flat segment: base 0, 4 GB. type 0BH is accessed code, 3 accessed data. In 64-bit code L is set and D clear.
static struct kvm_segment flat(uint16_t selector, uint8_t type, bool is64)
{
    bool code = type & 8;
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .s = 1,
                                .g = 1,
                                .db = !(is64 && code),
                                .l = is64 && code};
}

// Protected mode, flat, without paging: CR0.PE and segments. Nothing is read from a GDT: SREGS are the hidden parts of the registers.
static void protected_mode(struct kvm_sregs *s)
{
    s->cr0 |= 1; // PE
    s->cs = flat(0x10, 0xb, false);
    s->ds = s->es = s->fs = s->gs = s->ss = flat(0x18, 3, false);
}

// --- the tiny guests: print the string at DS:(R/E)SI, then halt. The same few lines three times, in three sizes.

#define GUEST(name, bits, body)                                                                                                    \
    extern const uint8_t name[], name##_end[];                                                                                     \
    __asm__(".pushsection .rodata\n" #name ":\n.code" #bits "\n" body "\n" #name "_end:\n.code64\n.popsection\n");

GUEST(guest_real, 16,
      "    mov $0x3f8, %dx\n"
      "1:  lodsb\n" // AL = DS:[SI++]
      "    test %al, %al\n"
      "    jz 2f\n"
      "    outb %al, %dx\n" // a VM exit: "I/O instruction", then KVM_EXIT_IO for us
      "    jmp 1b\n"
      "2:  hlt\n") // a VM exit: "HLT"
GUEST(guest_prot, 32,
      "    mov $0x3f8, %edx\n"
      "1:  lodsb\n"
      "    test %al, %al\n"
      "    jz 2f\n"
      "    outb %al, %dx\n"
      "    jmp 1b\n"
      "2:  hlt\n")
GUEST(guest_long, 64,
      "    mov $0x3f8, %edx\n"
      "    movabs $0xffff800000003000, %rsi\n" // only long mode has such an address, and only our page tables map it
      "1:  lodsb\n"
      "    test %al, %al\n"
      "    jz 2f\n"
      "    outb %al, %dx\n"
      "    jmp 1b\n"
      "2:  hlt\n")

#define TINY_RAM   0x100000
#define TINY_CODE  0x1000
#define TINY_STACK 0x2000 // grows down
#define TINY_TEXT  0x3000
#define TINY_PML4  0x10000

static void put64(uint8_t *at, uint64_t v) { memcpy(at, &v, 8); }

// Long mode in one step: page tables in the guest's RAM, then CR3, CR4.PAE, EFER.LME and LMA, CR0.PE and PG, and a 64-bit CS.
//   PML4[0]   -> PDPT[0] -> PD[0]: a 2 MB page, guest-physical 0 at linear 0
//   PML4[256] -> the same PDPT:    and again at FFFF800000000000H, where the upper half of the canonical addresses begins
static void long_mode(struct vm *m, struct kvm_sregs *s)
{
    enum { P = 1, RW = 2, PS = 0x80 };
    uint64_t pml4 = TINY_PML4, pdpt = TINY_PML4 + 0x1000, pd = TINY_PML4 + 0x2000;
    put64(m->ram + pml4, pdpt | P | RW);
    put64(m->ram + pml4 + 8 * 256, pdpt | P | RW);
    put64(m->ram + pdpt, pd | P | RW);
    put64(m->ram + pd, 0 | P | RW | PS);
    s->cr3 = pml4;
    s->cr4 |= 1u << 5;                // PAE
    s->efer |= 1u << 8 | 1u << 10;    // LME, LMA
    s->cr0 |= 1u << 31 | 1u << 5 | 1; // PG, NE, PE
    s->cs = flat(0x10, 0xb, true);
    s->ds = s->es = s->fs = s->gs = s->ss = flat(0x18, 3, true);
}

static int tiny(const char *mode, const uint8_t *code, const uint8_t *end, const char *prefix)
{
    struct vm m;
    struct kvm_sregs s;
    create(&m, TINY_RAM, false);
    set_cpuid(&m); // long mode must be offered there before EFER may be set
    memcpy(m.ram + TINY_CODE, code, (size_t)(end - code));
    snprintf((char *)m.ram + TINY_TEXT, 0x1000, "%sKVM-%s-OK\n", prefix, mode);
    must(ioctl(m.vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS"); // as after RESET: real mode, CS = F000H with base FFFF0000H
    s.cs.base = 0;
    s.cs.selector = 0;
    if (code == guest_prot)
        protected_mode(&s);
    if (code == guest_long)
        long_mode(&m, &s);
    // Bit 1 of RFLAGS is always 1: with 0 there the processor refuses the VM entry.
    set_state(&m, &s, &(struct kvm_regs){.rip = TINY_CODE, .rsi = TINY_TEXT, .rsp = TINY_STACK, .rflags = 2});
    unsigned reason = run(&m);
    fflush(stdout);
    destroy(&m);
    if (reason != KVM_EXIT_HLT)
        fprintf(stderr, "kvmrun: the guest in %s mode did not halt\n", mode);
    return reason == KVM_EXIT_HLT ? 0 : 1;
}

static int tiny_guests(const char *prefix)
{
    int bad = tiny("REAL", guest_real, guest_real_end, prefix);
    bad |= tiny("PROT", guest_prot, guest_prot_end, prefix);
    bad |= tiny("LONG", guest_long, guest_long_end, prefix);
    return bad;
}

// --- a Linux kernel: "The Linux/x86 Boot Protocol", 32-bit entry. Offsets below are into the file's first sectors and the zero page.

#define LINUX_GDT     0x1000
#define LINUX_ZERO    0x10000 // struct boot_params
#define LINUX_CMDLINE 0x20000

static uint32_t get32(const uint8_t *b, unsigned at)
{
    uint32_t v;
    memcpy(&v, b + at, 4);
    return v;
}
static void put32(uint8_t *b, unsigned at, uint32_t v) { memcpy(b + at, &v, 4); }

static uint8_t *map_file(const char *path, size_t *size)
{
    struct stat st;
    int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
    must(fstat(fd, &st), path);
    uint8_t *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        die(path);
    close(fd);
    *size = (size_t)st.st_size;
    return bytes;
}

static void refuse(const char *path, const char *why)
{
    fprintf(stderr, "kvmrun: %s: %s\n", path, why);
    exit(1);
}

// The memory map: RAM to 640 KB, a hole for what PCs keep there, RAM from 1 MB on.
static void e820(uint8_t *zero, uint64_t ram)
{
    const uint64_t map[][3] = {{0, 0x9f000, 1}, {0x9f000, 0x61000, 2}, {0x100000, ram - 0x100000, 1}};
    for (unsigned n = 0; n < 3; n++) {
        memcpy(zero + 0x2d0 + 20 * n, map[n], 16);
        put32(zero, 0x2d0 + 20 * n + 16, (uint32_t)map[n][2]);
    }
    zero[0x1e8] = 3;
}

static uint32_t load_linux(struct vm *m, const char *kernel, const char *initrd, const char *cmdline)
{
    size_t size, rd_size;
    uint8_t *b = map_file(kernel, &size), *rd = map_file(initrd, &rd_size), *zero = m->ram + LINUX_ZERO;
    if (size < 0x268 || memcmp(b + 0x202, "HdrS", 4) || !(b[0x211] & 1))
        refuse(kernel, "not a bzImage");
    size_t setup = ((b[0x1f1] ? b[0x1f1] : 4) + 1) * 512u; // real-mode sectors: only a BIOS would need them
    uint64_t at, end;
    memcpy(&at, b + 0x258, 8); // pref_address
    end = at + (get32(b, 0x260) > size - setup ? get32(b, 0x260) : size - setup);
    uint64_t rd_at = (m->ram_size - rd_size) & ~0xfffull;
    if (rd_size > m->ram_size || at < 0x100000 || rd_at < end)
        refuse(initrd, "kernel and RAM disk do not fit into the guest's memory");
    if (strlen(cmdline) > get32(b, 0x238))
        refuse(kernel, "the command line is too long");
    memcpy(m->ram + at, b + setup, size - setup);
    memcpy(m->ram + rd_at, rd, rd_size);
    strcpy((char *)m->ram + LINUX_CMDLINE, cmdline);
    memcpy(zero + 0x1f1, b + 0x1f1, 0x202 + b[0x201] - 0x1f1); // the header: what the kernel said, to which we add
    zero[0x210] = 0xff;                                        // a boot loader without a number
    put32(zero, 0x214, (uint32_t)at);
    put32(zero, 0x218, (uint32_t)rd_at);
    put32(zero, 0x21c, (uint32_t)rd_size);
    put32(zero, 0x228, LINUX_CMDLINE);
    e820(zero, m->ram_size);
    munmap(b, size);
    munmap(rd, rd_size);
    return (uint32_t)at;
}

static int boot_linux(const char *kernel, const char *initrd, const char *cmdline, size_t megabytes)
{
    static const uint64_t gdt[] = {0, 0, 0x00cf9b000000ffff,
                                   0x00cf93000000ffff}; // selectors 10H and 18H, as the protocol wants them
    struct vm m;
    struct kvm_sregs s;
    create(&m, megabytes << 20, true);
    set_cpuid(&m);
    uint32_t entry = load_linux(&m, kernel, initrd, cmdline);
    memcpy(m.ram + LINUX_GDT, gdt, sizeof gdt);
    must(ioctl(m.vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
    protected_mode(&s);
    s.gdt.base = LINUX_GDT;
    s.gdt.limit = sizeof gdt - 1;
    set_state(&m, &s, &(struct kvm_regs){.rip = entry, .rsi = LINUX_ZERO, .rflags = 2});
    unsigned reason = run(&m);
    fflush(stdout);
    destroy(&m);
    if (m.ended)
        return m.status;
    if (reason != KVM_EXIT_SHUTDOWN)
        return 1;
    printf("kvmrun: the guest shut down\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && argc <= 3 && !strcmp(argv[1], "tiny"))
        return tiny_guests(argc > 2 ? argv[2] : "");
    if (argc >= 5 && argc <= 6 && !strcmp(argv[1], "linux")) {
        int megabytes = argc > 5 ? atoi(argv[5]) : 128;
        if (megabytes >= 16 && megabytes <= 3072)
            return boot_linux(argv[2], argv[3], argv[4], (size_t)megabytes);
    }
    fprintf(stderr, "usage: kvmrun tiny [PREFIX]\n       kvmrun linux KERNEL INITRD CMDLINE [MEGABYTES 16..3072]\n");
    return 2;
}
