// insn.h: for freestanding C of 32 and 64 bits: the processor's instructions that C has no words for, one function each, and the integer types of the guests.
//
// Model-specific registers are EDX:EAX whatever the mode. cpuid: r is EAX, EBX, ECX, EDX; EAX and ECX say which leaf.
#ifndef INSN_H
#define INSN_H
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static inline void outb(uint16_t port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(uint16_t port)
{
    u8 v;
    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u32 rdtsc(void) // its low half
{
    u32 lo;
    asm volatile("rdtsc" : "=a"(lo) : : "edx");
    return lo;
}
static inline u64 rdmsr(u32 n)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
    return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 n, u64 v) { asm volatile("wrmsr" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
static inline void cpuid(u32 r[4]) { asm volatile("cpuid" : "+a"(r[0]), "=b"(r[1]), "+c"(r[2]), "=d"(r[3])); }
static inline void invlpg(unsigned long la) { asm volatile("invlpg (%0)" : : "r"(la) : "memory"); }

#endif
