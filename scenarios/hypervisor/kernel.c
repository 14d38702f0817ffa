// kernel.c: a ring-0 kernel that knows nothing of virtualization. It runs on the bare machine as well as under any number of hypervisors.
// It is started by scenarios/bench/start.S, which calls bench() in 64-bit mode and ends the run when that returns.
#include "insn.h"

static void put(char c) { outb(0x3f8, (u8)c); }
#include "console.h"

static uint64_t gates[256][2];
#define TICKS 3
static volatile unsigned ticks;
__attribute__((interrupt)) static void tick(void *frame)
{
    if (++ticks ==
        TICKS) // close the line here: three levels deep a tick costs more than its period, and the interrupted code never runs again
        outb(0x21, 0xff);
    outb(0x20, 0x20); // end of interrupt
}

// Interrupt controller with vectors from 20H, only line 0 open; the timer at about 1 kHz.
static void start_timer(void)
{
    uint64_t at = (uint64_t)tick;
    gates[32][0] = (at & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
    gates[32][1] = at >> 32;
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idtr = {sizeof gates - 1, (uint64_t)gates};
    asm volatile("lidt %0" : : "m"(idtr));
    outb(0x20, 0x11), outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1), outb(0x21, 0xfe);
    outb(0x43, 0x34), outb(0x40, 1193 & 0xff), outb(0x40, 1193 >> 8);
}

void cpuid_once(void);
// A function of its own, so that a lesson can stop at it.
__attribute__((noinline)) void cpuid_once(void)
{
    u32 r[4] = {0, 0, 0, 0};
    cpuid(r);
}
void bench(void);
void bench(void)
{
    print_text("kernel: hello\n");
    cpuid_once();
    cpuid_once();
    for (uint64_t at = 0x200000; at < 0x600000; at += 0x1000) // memory that nobody has touched before
        *(volatile uint64_t *)at = at;
    start_timer();
    while (ticks < TICKS)
        asm volatile("sti; hlt; cli");
    print_text("kernel: 3 ticks\nKERNEL-OK\n");
}
