// isa/debug.h: the breakpoints of DR0..DR3.
//
// MODELS     what DR7 says of breakpoint n = 0..3, and which accesses meet it:
//
//               31 30  29 28  ...  19 18  17 16   ...  13   ...  7  6  5  4  3  2  1  0
//               LEN3   R/W3   ...  LEN0   R/W0         GD        G3 L3 G2 L2 G1 L1 G0 L0
//
//               R/W   0 instruction, 1 write, 2 port (CR4.DE = 1; else undefined: here it never meets anything), 3 read or write
//               LEN   0 one byte, 1 two, 3 four, 2 eight; the low bits of the address that this covers count as 0
//
// FAULT      instruction breakpoints fault before the instruction, unless RFLAGS.RF is set.
// TRAP       data and I/O breakpoints trap after the instruction, or after the iteration of a repeated one. The access collects its
//            hits in isa_cpu.dbg_hits; the engine turns them into pending debug exceptions when the instruction is complete, and
//            forgets them if it faults or exits.
// MANUAL     "Debug Registers", "Breakpoint Field Recognition", "Data Memory and I/O Breakpoint Exception Conditions".
#ifndef ISA_DEBUG_H
#define ISA_DEBUG_H

#include "isa/cpu.h"

#define ISA_NBP      4u
// Kinds of breakpoints, as a bit set: 1 << R/W.
#define ISA_BP_EXEC  (1u << 0)
#define ISA_BP_WRITE (1u << 1)
#define ISA_BP_IO    (1u << 2)
#define ISA_BP_RW    (1u << 3)
#define ISA_BP_DATA  (ISA_BP_WRITE | ISA_BP_RW)

static inline bool isa_bp_on(const struct isa_cpu *c, unsigned n, unsigned kinds)
{
    return (c->dr[7] >> 2 * n & 3) && (kinds >> (c->dr[7] >> (16 + 4 * n) & 3) & 1);
}
static inline unsigned isa_bp_len(const struct isa_cpu *c, unsigned n)
{
    unsigned len = (unsigned)(c->dr[7] >> (18 + 4 * n)) & 3;
    return len == 2 ? 8 : len + 1;
}
// Is any breakpoint of these kinds enabled?
static inline bool isa_bp_any(const struct isa_cpu *c, unsigned kinds)
{
    bool any = false;
    for (unsigned n = 0; (c->dr[7] & 0xff) && n < ISA_NBP && !any; n++)
        any = isa_bp_on(c, n, kinds);
    return any;
}
// The enabled breakpoints of these kinds that size bytes at an address meet, as DR6 has them (B0 .. B3).
static inline uint8_t isa_bp_match(const struct isa_cpu *c, unsigned kinds, uint64_t addr, unsigned size)
{
    uint8_t hits = 0;
    for (unsigned n = 0; (c->dr[7] & 0xff) && n < ISA_NBP; n++) {
        const unsigned len = isa_bp_len(c, n);
        const uint64_t at = c->dr[n] & ~(uint64_t)(len - 1);
        if (isa_bp_on(c, n, kinds) && (addr - at < len || at - addr < size))
            hits |= (uint8_t)(1u << n);
    }
    return hits;
}
// An access to data, or to ports, was made.
static inline void isa_bp_data(struct isa_cpu *c, uint64_t la, unsigned size, bool write)
{
    c->dbg_hits |= isa_bp_match(c, write ? ISA_BP_DATA : ISA_BP_RW, la, size);
}
static inline void isa_bp_io(struct isa_cpu *c, uint16_t port, unsigned size)
{
    if (__builtin_expect(!(c->dr[7] & 0xff), 1) || !(c->cr4 & ISA_CR4_DE))
        return;
    c->dbg_hits |= isa_bp_match(c, ISA_BP_IO, port, size);
    if (c->dbg_hits)
        c->attention = 1; // these instructions end a block
}

#endif
