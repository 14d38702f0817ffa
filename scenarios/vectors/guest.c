// guest.c: vectors() on the bare machine: enable SSE and AVX, and print to the serial port.
#include "vectors.h"

void put(char c) { __asm__ volatile("outb %0, %1" ::"a"(c), "d"((unsigned short)0x3f8)); }

// CR4: OSFXSR, OSXMMEXCPT, OSXSAVE; XCR0: x87, SSE, AVX.
void bench(void)
{
    unsigned long cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x40600));
    __asm__ volatile("xsetbv" ::"a"(7), "c"(0), "d"(0));
    vectors();
}
