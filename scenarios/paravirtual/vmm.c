// vmm.c: start of the hypervisor and of its guest, exceptions, hypercalls.
#include "vmm.h"

#include <stdarg.h>

struct statistics stat;
u32 host_directory[1024] __attribute__((aligned(4096)));
extern u32 gdt[][2], tss[];
extern char traps[], hypercall_entry[], trap_stack_top[];
static u32 idt[256][2];
static u32 handlers[32]; // of the guest, for exceptions

static void number(u32 v, u32 base)
{
    if (v >= base)
        number(v / base, base);
    outb(0xe9, (uint8_t) "0123456789abcdef"[v % base]);
}
void print(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    for (; *f; f++) {
        if (*f != '%') {
            outb(0xe9, (uint8_t)*f);
            continue;
        }
        f++;
        if (*f == 's')
            for (const char *s = va_arg(a, const char *); *s; s++)
                outb(0xe9, (uint8_t)*s);
        else
            number(va_arg(a, u32), *f == 'x' ? 16 : 10);
    }
    va_end(a);
}
void stop(const char *why)
{
    print("VMM: STOP: %s\n", why);
    for (;;)
        outb(0xf4, 1);
}
void *memcpy(void *to, const void *from, unsigned n), *memset(void *to, int v, unsigned n);
void *memcpy(void *to, const void *from, unsigned n)
{
    void *d = to;
    asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
    return to;
}
void *memset(void *to, int v, unsigned n)
{
    void *d = to;
    asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
    return to;
}

// An address that the guest has chosen: it must be the guest's, or the hypervisor would read or write itself on its behalf.
static bool guests(u32 la, u32 size) { return la < WINDOW && size <= WINDOW - la; }

// --- exceptions
// Give an exception to the guest: make the frame that its kernel expects, on its stack, and return into its handler. An exception bounces.
static void bounce(struct frame *f, bool has_error, bool has_address, u32 address)
{
    u32 *sp = (u32 *)((f->cs & 3) == 3 ? tss[3] : f->esp);
    if (f->vector > 31 || !handlers[f->vector]) {
        print("VMM: vector %d, error %x, CR2 %x, EIP %x, CS %x\n", f->vector, f->error, address, f->eip, f->cs);
        stop("the guest has no handler for an exception");
    }
    if (!guests((u32)sp - 28, 28))
        stop("the guest's stack is not its own");
    if ((f->cs & 3) == 3) {
        *--sp = f->ss;
        *--sp = f->esp;
        f->ss = tss[4];
    }
    *--sp = f->eflags;
    *--sp = f->cs;
    *--sp = f->eip;
    if (has_error)
        *--sp = f->error;
    if (has_address)
        *--sp = address;
    f->esp = (u32)sp;
    f->cs = 0x09;
    f->eip = handlers[f->vector];
    f->eflags &= ~0x14100u; // TF, NT, RF
    stat.bounced++;
}
void trap(struct frame *f);
void trap(struct frame *f)
{
    u32 address, v = f->vector;
    asm volatile("movl %%cr2, %0" : "=r"(address));
    if (!(f->cs & 3)) {
        print("VMM: vector %d, error %x, CR2 %x, EIP %x\n", v, f->error, address, f->eip);
        stop("an exception of the hypervisor itself");
    }
    bounce(f, v == 8 || (v >= 10 && v <= 14) || v == 17, v == 14, address);
}

// --- hypercalls
static bool mmu_update(u32 list, u32 count)
{
    const struct mmu_update *u = (const struct mmu_update *)list;
    if (count > 2048 || !guests(list, count * sizeof *u))
        return false;
    for (; count; count--, u++) {
        if (!memory_update(u->entry, u->value))
            return false;
        stat.updates++;
    }
    stat.batches++;
    return true;
}
static bool update_mapping(u32 la, u32 value)
{
    u32 *e = memory_entry(la);
    if (!e || !memory_update((u32)e - WINDOW, value))
        return false;
    asm volatile("invlpg (%0)" : : "r"(la) : "memory");
    stat.updates++;
    return true;
}
static void set_gate(u32 vector, u32 selector, u32 dpl, u32 address)
{
    idt[vector][0] = (address & 0xffff) | selector << 16;
    idt[vector][1] = (address & 0xffff0000) | 0x8e00 | dpl << 13;
}
// Exceptions go to the hypervisor and bounce; what programs may call goes to the guest's kernel straight, from ring 3 to ring 1.
static bool trap_table(u32 list)
{
    const struct trap *t = (const struct trap *)list;
    for (; guests(list, 256 * sizeof *t) && t->address; t++) {
        if (!guests(t->address, 1))
            return false;
        if (t->vector < 32)
            handlers[t->vector] = t->address;
        else if (t->vector < 256 && t->vector != 0x82 && t->dpl == 3)
            set_gate(t->vector, 0x09, 3, t->address);
        else
            return false;
    }
    return true;
}
void hypercall_from(struct frame *f);
void hypercall_from(struct frame *f)
{
    bool ok = true;
    u32 cr3;
    stat.hypercalls++;
    switch (f->eax) {
    case HC_MMU_UPDATE: ok = mmu_update(f->ebx, f->ecx); break;
    case HC_UPDATE_MAPPING: ok = update_mapping(f->ebx, f->ecx); break;
    case HC_NEW_BASE: ok = memory_new_base(f->ebx); break;
    case HC_PIN: ok = memory_pin(f->ebx, f->ecx); break;
    case HC_FLUSH: asm volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(cr3) : : "memory"); break;
    case HC_TRAP_TABLE: ok = trap_table(f->ebx); break;
    case HC_STACK: tss[3] = f->ebx; break;
    case HC_CONSOLE: outb(0xe9, (uint8_t)f->ebx); break;
    case HC_EXIT:
        print("VMM: hypercalls %d bounced %d updates %d batches %d refused %d\n", stat.hypercalls, stat.bounced, stat.updates,
              stat.batches, stat.refused);
        for (;;)
            outb(0xf4, 0);
    default: ok = false;
    }
    stat.refused += !ok;
    f->eax = ok ? 0 : ~0u;
}

// --- start
static u32 load_guest(const u32 *info)
{
    const u32 *module = window(info[6]), *h;
    if (!(info[0] & 8) || !info[5])
        stop("the guest is to be a Multiboot module");
    for (h = window(module[0]); h[0] != 0x1badb002 || h[0] + h[1] + h[2]; h++)
        if ((u32)h - WINDOW >= module[0] + 8192)
            stop("the guest has no Multiboot header");
    const uint8_t *first = (const uint8_t *)h - (h[3] - h[4]);
    memcpy(window(GUEST_BASE + h[4]), first, h[5] - h[4]);
    memset(window(GUEST_BASE + h[5]), 0, h[6] - h[5]);
    return h[7];
}
void vmm_main(u32 info);
void vmm_main(u32 info)
{
    u32 entry = load_guest(window(info)), directory = memory_build();
    for (u32 n = 0; n < 32; n++)
        set_gate(n, 0x80, 0, (u32)traps + 16 * n);
    set_gate(0x82, 0x80, 1, (u32)hypercall_entry);
    tss[1] = (u32)trap_stack_top;
    tss[2] = 0x88;
    tss[4] = 0x11;
    tss[25] = 0x68 << 16;
    gdt[0x90 / 8][0] |= (u32)tss << 16;
    gdt[0x90 / 8][1] |= ((u32)tss >> 16 & 255) | ((u32)tss & 0xff000000);
    struct __attribute__((packed)) {
        uint16_t limit;
        u32 base;
    } idtr = {sizeof idt - 1, (u32)idt};
    asm volatile("lidt %0; ltr %w1" : : "m"(idtr), "r"(0x90));
    asm volatile("movl %0, %%ds; movl %0, %%es; pushl $0x11; pushl $0; pushl $2; pushl $0x09; pushl %1; iret"
                 :
                 : "r"(0x23), "r"(entry), "S"(GUEST_BASE), "D"(directory - GUEST_BASE)
                 : "memory");
    __builtin_unreachable();
}
