// vmm.c: start of the hypervisor and of its guest, exceptions, hypercalls.
#include "vmm.h"

#include "console.h"
#include "mem.h"

struct statistics stat;
u32 host_directory[1024] __attribute__((aligned(4096)));
extern u32 gdt[][2], tss[];
extern char traps[], hypercall_entry[], trap_stack_top[];
static u32 idt[256][2];
static u32 handlers[32]; // of the guest, for exceptions

void print(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    print_list(f, a);
    va_end(a);
}
void stop(const char *why)
{
    print("VMM: STOP: %s\n", why);
    end_run(1);
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
    invlpg(la);
    stat.updates++;
    return true;
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
            set_gate(idt[t->vector], 0x09, 3, t->address);
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
        end_run(0);
    default: ok = false;
    }
    stat.refused += !ok;
    f->eax = ok ? 0 : ~0u;
}

// --- start
void vmm_main(u32 info);
void vmm_main(u32 info)
{
    u32 entry = load_guest(window(info)), directory = memory_build();
    for (u32 n = 0; n < 32; n++)
        set_gate(idt[n], 0x80, 0, (u32)traps + 16 * n);
    set_gate(idt[0x82], 0x80, 1, (u32)hypercall_entry);
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
