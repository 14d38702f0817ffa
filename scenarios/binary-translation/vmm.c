// vmm.c: start of the VMM, its console, and the guest's devices. The command line says which engine runs the guest: "bt", "vtx", or "vtx ept".
#include "vmm.h"

static void put(char c) { outb(0xe9, (u8)c); }
#include "console.h"
#include "mem.h"

struct vcpu vcpu __attribute__((aligned(4096)));
struct statistics stat;
u32 host_directory[1024] __attribute__((aligned(4096)));

void print(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    print_list(f, a);
    va_end(a);
}
// OUT needs ring 0; where the VMM is at ring 1 (a callout of translated code), its own #GP handler lets it through: see bt.c.
void stop(const char *why)
{
    print("VMM: STOP: %s (EIP %x, CR2 %x)\n", why, vcpu.eip, vcpu.cr2);
    end_run(1);
}
void end_of_run(void)
{
    print("VMM: exits %d hidden %d true %d traced %d fused %d cr3 %d invlpg %d io %d unshadowed %d blocks %d instructions %d "
          "callouts %d\n",
          stat.exits, stat.hidden, stat.true_faults, stat.traced, stat.fused, stat.cr3, stat.invlpg, stat.io, stat.unshadowed,
          stat.blocks, stat.instructions, stat.callouts);
    end_run(0);
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
