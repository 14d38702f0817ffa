// vmm.c: start of the VMM, its console, and the guest's devices. The command line says which engine runs the guest: "bt", "vtx", or "vtx ept".
#include "vmm.h"

#include <stdarg.h>

struct vcpu vcpu __attribute__((aligned(4096)));
struct statistics stat;
u32 host_directory[1024] __attribute__((aligned(4096)));

static inline void outb(uint16_t port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static void put(char c) { outb(0xe9, (u8)c); }
static void number(u32 v, u32 base)
{
    if (v >= base)
        number(v / base, base);
    put("0123456789abcdef"[v % base]);
}
void print(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    for (; *f; f++) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        f++;
        if (*f == 's')
            for (const char *s = va_arg(a, const char *); *s; s++)
                put(*s);
        else
            number(va_arg(a, u32), *f == 'x' ? 16 : 10);
    }
    va_end(a);
}
// OUT needs ring 0; where the VMM is at ring 1 (a callout of translated code), its own #GP handler lets it through: see bt.c.
void stop(const char *why)
{
    print("VMM: STOP: %s (EIP %x, CR2 %x)\n", why, vcpu.eip, vcpu.cr2);
    for (;;)
        outb(0xf4, 1);
}
void end_of_run(void)
{
    print("VMM: exits %d hidden %d true %d traced %d fused %d cr3 %d invlpg %d io %d unshadowed %d blocks %d instructions %d "
          "callouts %d\n",
          stat.exits, stat.hidden, stat.true_faults, stat.traced, stat.fused, stat.cr3, stat.invlpg, stat.io, stat.unshadowed,
          stat.blocks, stat.instructions, stat.callouts);
    for (;;)
        outb(0xf4, 0);
}
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

// --- devices: a console at port E9H, the end of the run at F4H, and nothing at 80H
u32 device_in(u32 port)
{
    stat.io++;
    if (port != 0x80)
        stop("IN from a device that the guest has not got");
    return 0xff;
}
void device_out(u32 port, u32 value)
{
    stat.io++;
    if (port == 0xf4)
        end_of_run();
    if (port != 0xe9)
        stop("OUT to a device that the guest has not got");
    put((char)value);
}

// --- start
static u32 load_guest(u32 *info)
{
    u32 *module = window(info[6]);
    if (!(info[0] & 8) || !info[5])
        stop("the guest is to be a Multiboot module");
    const u32 *h = window(module[0]);
    while (h[0] != 0x1badb002 || h[0] + h[1] + h[2])
        if (physical(++h) >= module[0] + 8192)
            stop("the guest has no Multiboot header");
    u32 first = module[0] + (physical(h) - module[0]) - (h[3] - h[4]);
    memcpy(guest_memory(h[4]), window(first), h[5] - h[4]);
    memset(guest_memory(h[5]), 0, h[6] - h[5]);
    return h[7];
}
static bool word(const char *words, const char *name)
{
    for (; *words; words++) {
        const char *w = words, *n = name;
        while (*n && *w == *n)
            w++, n++;
        if (!*n)
            return true;
    }
    return false;
}
void vmm_main(u32 info);
void vmm_main(u32 info)
{
    u32 *mb = window(info);
    const char *words = mb[0] & 4 ? window(mb[4]) : "";
    vcpu.cr0 = 0x11;
    vcpu.regs[EAX] = 0x2badb002;
    vcpu.eip = load_guest(mb);
    if (word(words, "vtx"))
        vtx_run(word(words, "ept"), word(words, "small"), word(words, "fuse"));
    bt_run(!word(words, "plain"), word(words, "tiny"));
}
