// paging32.h: for freestanding C of 32 bits: paging without PAE, gates, and a kernel's identical tables.
//
// An entry of a page directory or page table; P, R/W and U/S are the same bits in a page fault's error code:
//    31                    12 11   9 8  7    6  5  4   3   2   1   0
//   | address of the frame   | free |  | PS | D | A |  |   |U/S|R/W| P |
#ifndef PAGING32_H
#define PAGING32_H
#include "insn.h"

#define PRESENT  1u
#define WRITABLE 2u
#define USER     4u
#define ACCESSED 0x20u
#define DIRTY    0x40u
#define LARGE    0x80u
#define PAGE     4096u

// Four page tables, of 16 MiB that lie where they are, and the first four entries of a directory for them.
static inline void map_identical(u32 tables[4][1024], u32 directory[4])
{
    for (u32 n = 0; n < 4096; n++)
        tables[n >> 10][n & 1023] = n * PAGE | PRESENT | WRITABLE;
    for (u32 n = 0; n < 4; n++)
        directory[n] = (u32)tables[n] | PRESENT | WRITABLE;
}
// A gate of an IDT: an interrupt gate, whose handler begins with interrupts off.
static inline void set_gate(u32 gate[2], u32 selector, u32 dpl, u32 handler)
{
    gate[0] = (handler & 0xffff) | selector << 16;
    gate[1] = (handler & 0xffff0000) | 0x8e00 | dpl << 13;
}
// An entry that may be in use is written by one MOV, as kernels do.
static inline void write_entry(u32 *entry, u32 v) { asm volatile("movl %1, %0" : "=m"(*entry) : "r"(v)); }

#endif
