// window-vmm.h: for 32-bit C: what VMMs share that live in the last 64 MiB of every address space (window.s starts them).
//
// Linear addresses: all physical memory (64 MiB) is seen from FC000000H; the guest has the rest, 0 to FBFFFFFFH. Physical addresses: the VMM is loaded at 16 MiB, the guest's
// memory begins at 32 MiB.
//
//   window(p), physical(p)  from a physical address to a pointer, and back
//   guest_memory(gpa)       where the VMM sees the guest's memory
//   print(format, ...)      console.h's formats, to port E9H
//   end_run(status)         by port F4H; does not return
//   load_guest(info)        the guest is a Multiboot module whose header gives addresses (multiboot.s): put it where it wants to be. Returns its entry point.
//                           Stops the VMM, by the includer's stop(), if there is none
#ifndef WINDOW_VMM_H
#define WINDOW_VMM_H
#include "insn.h"

#define WINDOW     0xfc000000u
#define GUEST_BASE 0x2000000u
#define GUEST_SIZE 0x1000000u
#define FRAMES     (GUEST_SIZE / 4096)

static inline void *window(u32 physical) { return (void *)(WINDOW + physical); }
static inline u32 physical(const void *p) { return (u32)p - WINDOW; }
static inline u32 *guest_memory(u32 gpa) { return window(GUEST_BASE + gpa); }
void print(const char *format, ...);
void stop(const char *why) __attribute__((noreturn));
void *memset(void *to, int v, unsigned n), *memcpy(void *to, const void *from, unsigned n);
extern u32 host_directory[1024];

static inline void __attribute__((noreturn)) end_run(u8 status)
{
    for (;;)
        outb(0xf4, status);
}
static inline u32 load_guest(const u32 *info)
{
    const u32 *module = window(info[6]);
    if (!(info[0] & 8) || !info[5])
        stop("the guest is to be a Multiboot module");
    const u32 *h = window(module[0]);
    while (h[0] != 0x1badb002 || h[0] + h[1] + h[2])
        if (physical(++h) >= module[0] + 8192)
            stop("the guest has no Multiboot header");
    const u8 *first = (const u8 *)h - (h[3] - h[4]);
    memcpy(guest_memory(h[4]), first, h[5] - h[4]);
    memset(guest_memory(h[5]), 0, h[6] - h[5]);
    return h[7];
}

#endif
