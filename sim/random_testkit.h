// Random guest programs, for tests that compare ways to run them. The same seed gives the same program on every host.
//
// A guest is a loop over slots of 64 bytes with random contents: arithmetic on registers and memory, string instructions, stack,
// branches, segments, page-table changes with and without invalidation, self-modification, traps, system calls to and from ring 3,
// device accesses, plain random bytes. Exceptions skip to the next slot. A device interrupts every few hundred cycles.
//
// Usage: program() makes the code, boot() a machine with it, enter_guest() puts that machine in VMX non-root operation.
#ifndef SIM_RANDOM_TESTKIT_H
#define SIM_RANDOM_TESTKIT_H

#include <stdlib.h>
#include <string.h>

#include "isa/mpx.h"
#include "isa/msr.h"
#include "sim/internal.h"
#include "sim/loader.h"
#include "sim/vmx_setup.h"

#define CODE      0x100000u // slots
#define SLOT      64u
#define NSLOTS    160u
#define HANDLERS  0x180000u
#define IDT       0x190000u
#define TSS       0x192000u
#define GDT       0x193000u
#define IST_TOP   0x1a0000u
#define STACK_TOP 0x1b0000u
#define COUNTER   0x1c0000u
#define PT        0x1d0000u // maps the window
#define WINDOW    0x200000u
#define WIN_PAGES 48u
#define PD0       0x4000u // of the identity tables that sim_start_at() made
#define MMIO      0xfe000000u
#define EPT       0x1d2000u // PML4, PDPT, four page directories, the page table of the window
#define HOST      0x1e0000u // the hypervisor, VMXON region, VMCS, start-up code

// --- random numbers: the same on every host
struct rnd {
    uint64_t s;
};
static uint32_t rnd(struct rnd *r)
{
    r->s = r->s * 6364136223846793005ull + 1442695040888963407ull;
    uint32_t x = (uint32_t)(r->s >> 33);
    return x ^ x >> 15;
}
static uint32_t below(struct rnd *r, uint32_t n) { return rnd(r) % n; }
static bool chance(struct rnd *r, uint32_t n) { return below(r, n) == 0; }

// --- emitting code
struct asm_ {
    uint8_t b[NSLOTS * SLOT];
    unsigned n;
    unsigned end;  // of the slot
    bool wide;     // for 64-bit mode, else for 32-bit protected mode
    bool timeless; // nothing that depends on time or on what a TLB still holds
    struct rnd r;
};
static unsigned room(const struct asm_ *a) { return a->end - a->n; }
static void byte(struct asm_ *a, unsigned v)
{
    if (a->n < a->end)
        a->b[a->n++] = (uint8_t)v;
}
static void bytes(struct asm_ *a, const char *p, unsigned n)
{
    if (room(a) >= n)
        for (unsigned k = 0; k < n; k++)
            byte(a, (uint8_t)p[k]);
}
#define CODE_BYTES(a, s) bytes(a, s, sizeof(s) - 1)
static void le(struct asm_ *a, uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        byte(a, (unsigned)(v >> 8 * k) & 0xff);
}

// mov reg32, imm32
static void mov_imm(struct asm_ *a, unsigned reg, uint32_t v)
{
    if (room(a) < 5)
        return;
    byte(a, 0xb8 + reg);
    le(a, v, 4);
}
static uint32_t window_address(struct asm_ *a)
{
    uint32_t page = below(&a->r, WIN_PAGES), off = below(&a->r, 4096);
    if (chance(&a->r, 6))
        off = 4096 - below(&a->r, 9); // crosses into the next page
    else if (!chance(&a->r, 4))
        off &= ~7u;
    return WINDOW + page * 4096 + off;
}

// One ModRM instruction: register form, or memory at [rbx + disp8]. Never names RSP.
static void modrm_insn(struct asm_ *a, bool mem)
{
    static const uint8_t one[] = {0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a,
                                  0x1b, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39,
                                  0x3a, 0x3b, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x63, 0xd0, 0xd1, 0xd2, 0xd3,
                                  0xf6, 0xf7, 0xfe, 0xc0, 0xc1, 0x80, 0x81, 0x83, 0x69, 0x6b, 0xc6, 0xc7};
    static const uint8_t two[] = {0x40, 0x42, 0x44, 0x46, 0x48, 0x4c, 0x4f, 0x90, 0x94, 0x9f, 0xa3,
                                  0xab, 0xaf, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xbb, 0xbc, 0xbd, 0xbe,
                                  0xbf, 0xc0, 0xc1, 0xa4, 0xa5, 0xac, 0xad, 0xba, 0xc7, 0x0d, 0x18 /* prefetches */};
    struct rnd *r = &a->r;
    unsigned start = a->n;
    if (room(a) < 14)
        return;
    bool is_two = chance(r, 3);
    unsigned op = is_two ? two[below(r, sizeof two)] : one[below(r, sizeof one)];
    unsigned reg = below(r, 8);
    if (reg == 4)
        reg = 0;
    if (mem && chance(r, 8) && !is_two)
        byte(a, 0xf0); // LOCK: #UD where it is not allowed
    unsigned osz = below(r, 4);
    if (osz == 0)
        byte(a, 0x66);
    if (osz == 1)
        byte(a, 0x48);
    if (is_two)
        byte(a, 0x0f);
    byte(a, op);
    if (op == 0xf6 || op == 0xf7 || op == 0xba || op == 0xfe || op == 0xc6 || op == 0xc7)
        reg = op == 0xc6 || (op == 0xc7 && !is_two) ? 0 : op == 0xfe ? reg & 1 : op == 0xc7 ? 1 : reg;
    if (mem) {
        byte(a, 0x43 | reg << 3);
        byte(a, below(r, 256));
    } else {
        unsigned rm = below(r, 8);
        byte(a, 0xc0 | reg << 3 | (rm == 4 ? 5 : rm));
    }
    unsigned imm = 0, z = osz == 0 ? 2 : 4;
    if (!is_two) {
        if (op == 0xc0 || op == 0xc1 || op == 0x80 || op == 0x83 || op == 0x6b || op == 0xc6 || (op == 0xf6 && reg < 2))
            imm = 1;
        if (op == 0x81 || op == 0x69 || op == 0xc7 || (op == 0xf7 && reg < 2))
            imm = z;
    } else if (op == 0xa4 || op == 0xac || op == 0xba) {
        imm = 1;
    }
    le(a, rnd(r), imm);
    (void)start;
}

static void memory_mix(struct asm_ *a)
{
    mov_imm(a, 3, window_address(a)); // rbx
    for (unsigned n = 1 + below(&a->r, 4); n--;)
        modrm_insn(a, !chance(&a->r, 3));
}

static void register_mix(struct asm_ *a)
{
    for (unsigned n = 2 + below(&a->r, 6); n--;)
        modrm_insn(a, false);
}

static void string_op(struct asm_ *a)
{
    static const uint8_t op[] = {0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf};
    mov_imm(a, 1, chance(&a->r, 5) ? below(&a->r, 6000) : below(&a->r, 40));
    mov_imm(a, 6, window_address(a));
    mov_imm(a, 7, window_address(a));
    if (chance(&a->r, 4))
        byte(a, 0xfd); // std
    if (chance(&a->r, 3))
        byte(a, 0x66);
    byte(a, chance(&a->r, 5) ? 0xf2 : 0xf3);
    if (chance(&a->r, 3))
        byte(a, 0x48);
    byte(a, op[below(&a->r, sizeof op)]);
    byte(a, 0xfc); // cld
}

// Vector and x87 operands: 16 bytes, unaligned, across pages.
static void vector_mix(struct asm_ *a)
{
    static const struct {
        uint8_t n;
        char b[4];
    } op[] = {{3, "\x0f\x28\x43"},     {3, "\x0f\x29\x4b"},     {3, "\x0f\x10\x53"}, {3, "\x0f\x11\x43"}, {4, "\x66\x0f\xfe\x4b"},
              {4, "\xf3\x0f\x6f\x53"}, {4, "\xf3\x0f\x7f\x4b"}, {2, "\xdd\x43"},     {2, "\xdd\x5b"},     {4, "\x66\x0f\xef\x43"},
              {4, "\xf2\x0f\x58\x43"}, {3, "\x0f\xae\x43"},     {3, "\x0f\xae\x4b"}};
    mov_imm(a, 3, window_address(a));
    for (unsigned n = 2 + below(&a->r, 5); n--;) {
        unsigned k = below(&a->r, sizeof op / sizeof *op);
        if (room(a) < 5)
            return;
        bytes(a, op[k].b, op[k].n);
        byte(a, below(&a->r, 256));
    }
}

static uint64_t random_pte(struct rnd *r)
{
    uint64_t e = WINDOW + below(r, WIN_PAGES) * 4096 + 7;
    if (chance(r, 4))
        e &= ~1ull;
    if (chance(r, 4))
        e &= ~2ull;
    if (chance(r, 5))
        e &= ~4ull;
    if (chance(r, 4))
        e |= 0x60; // A, D
    if (chance(r, 5))
        e |= 0x100; // G
    if (chance(r, 8))
        e |= 1ull << 63;
    return e;
}

static void page_tables(struct asm_ *a)
{
    unsigned page = below(&a->r, WIN_PAGES);
    if (room(a) < 34)
        return;
    unsigned size = a->wide ? 8 : 4;
    if (a->timeless)
        CODE_BYTES(a, "\xcd\x31"); // to ring 0: what follows must not lack its INVLPG
    if (a->wide)
        byte(a, 0x48);
    byte(a, 0xb8); // mov rax, entry
    le(a, random_pte(&a->r), size);
    if (a->wide)
        byte(a, 0x48);
    byte(a, 0xa3); // mov [entry of the page], rax
    le(a, a->wide ? PT + page * 8 : PT + 0x800 + page * 4, size);
    if (a->timeless || chance(&a->r, 2)) {
        CODE_BYTES(a, "\x0f\x01\x3c\x25"); // invlpg [page]
        le(a, WINDOW + page * 4096, 4);
    } else if (chance(&a->r, 4)) {
        CODE_BYTES(a, "\x0f\x20\xd8\x0f\x22\xd8"); // mov rax, cr3; mov cr3, rax
    } else if (chance(&a->r, 4)) {
        CODE_BYTES(a, "\x0f\x20\xe0\x34\x80\x0f\x22\xe0"); // mov rax, cr4; xor al, PGE; mov cr4, rax
    }
}

static void branches(struct asm_ *a)
{
    switch (below(&a->r, 5)) {
    case 0: // a small loop
        mov_imm(a, 1, 1 + below(&a->r, 5));
        CODE_BYTES(a, "\x48\x01\xc8\x83\xe9\x01\x75\xf8"); // add rax, rcx; sub ecx, 1; jnz
        break;
    case 1: // over some bytes
        if (room(a) > 12) {
            byte(a, 0x70 + below(&a->r, 16));
            byte(a, 4);
            CODE_BYTES(a, "\x48\x01\xc3\x90");
        }
        break;
    case 2: CODE_BYTES(a, "\xe8\x00\x00\x00\x00\x58"); break; // call next; pop rax
    case 3:                                                   // to another slot, forward
        if (room(a) > 8) {
            mov_imm(a, 0, CODE + (a->n / SLOT + 1 + below(&a->r, 3)) % NSLOTS * SLOT);
            CODE_BYTES(a, "\xff\xe0"); // jmp rax
        }
        break;
    default: CODE_BYTES(a, "\xe3\x02\xff\xc1\xe0\x00"); break; // jrcxz +2; inc ecx; loopne +0
    }
}

static void self_modify(struct asm_ *a)
{
    static const uint8_t op[] = {0x90, 0xf8, 0xf9, 0xf5, 0x98, 0x99, 0x91, 0xcc};
    if (room(a) < 12)
        return;
    CODE_BYTES(a, "\xc6\x04\x25"); // mov byte [last byte of some slot], op
    le(a, CODE + below(&a->r, NSLOTS - 1) * SLOT + SLOT - 1, 4);
    byte(a, op[below(&a->r, sizeof op)]);
    if (chance(&a->r, 3) && room(a) > 12) { // and the byte after this instruction
        CODE_BYTES(a, "\xc6\x05\x00\x00\x00\x00");
        byte(a, op[below(&a->r, 7)]);
        byte(a, 0x90);
    }
}

static void user_mode(struct asm_ *a)
{
    if (room(a) < 24)
        return;
    CODE_BYTES(a, "\x6a\x2b\x68\x00\x00\x1b\x00\x9c\x6a\x33\x68"); // push 0x2b; push STACK_TOP; pushf; push 0x33; push next
    le(a, CODE + a->n + 4 + (a->wide ? 2 : 1), 4);
    if (a->wide)
        byte(a, 0x48);
    byte(a, 0xcf); // iret
    if (chance(&a->r, 2))
        memory_mix(a);
    if (!chance(&a->r, 3))
        CODE_BYTES(a, "\xcd\x31"); // back to ring 0
}

static void system_mix(struct asm_ *a)
{
    unsigned what = below(&a->r, 15);
    if (a->timeless && (what == 0 || what == 5 || what == 14)) // RDTSC, HLT, the device
        what = 1;
    switch (what) {
    case 13: // rep insb or outsb
        mov_imm(a, 1, below(&a->r, 30));
        mov_imm(a, 2, 0xe9);
        mov_imm(a, 6, window_address(a));
        mov_imm(a, 7, window_address(a));
        byte(a, 0xf3);
        byte(a, chance(&a->r, 2) ? 0x6c : 0x6e);
        break;
    case 0: CODE_BYTES(a, "\x0f\x31\x48\x01\xc3"); break;          // rdtsc; add rbx, rax
    case 1: CODE_BYTES(a, "\x31\xc0\x0f\xa2"); break;              // cpuid
    case 2: CODE_BYTES(a, "\x0f\xc7\xf0"); break;                  // rdrand eax
    case 3: CODE_BYTES(a, "\xcd\x30"); break;                      // int 0x30
    case 4: CODE_BYTES(a, "\xcc"); break;                          // int3
    case 5: CODE_BYTES(a, "\xfb\x90\xf4"); break;                  // sti; nop; hlt
    case 6: CODE_BYTES(a, "\xfa"); break;                          // cli
    case 7: CODE_BYTES(a, "\xfb"); break;                          // sti
    case 8: CODE_BYTES(a, "\x31\xc9\xf7\xf1"); break;              // div by zero
    case 9: CODE_BYTES(a, "\xb0\x41\xe6\xe9\xe4\xe9"); break;      // out 0xe9, al; in al, 0xe9
    case 10: CODE_BYTES(a, "\x9c\x58\x50\x9d\x0f\x01\xf8"); break; // pushf; pop rax; push rax; popf; swapgs
    case 11:                                                       // single steps
        CODE_BYTES(a, "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x48\xff\xc0\x48\x01\xc3\x9c\x81\x24\x24\xff\xfe\xff\xff\x9d");
        break;
    case 12: CODE_BYTES(a, "\xb9\x02\x01\x00\xc0\x0f\x32\xff\xc0\x0f\x30"); break; // rdmsr, wrmsr KERNEL_GS_BASE
    default: // the device: time of the access, and its interrupt
        mov_imm(a, 3, MMIO);
        CODE_BYTES(a, "\x8b\x03\x48\x01\xc2\x89\x03\x48\xff\xc2\x48\xff\xc6");
        break;
    }
}

// Segments: data segments of every kind in ES, FS and GS, used and looked at; far returns, also into compatibility mode.
static void segments(struct asm_ *a)
{
    static const uint8_t code[2][4] = {{8, 0x33, 8, 0x6b}, {0x18, 0x33, 0x5b, 0x6b}}; // 5b: 32-bit code of ring 3; 6b: not present
    static const char load[3][3] = {"\x8e\xc0", "\x8e\xe0", "\x8e\xe8"};              // mov es, eax; mov fs, eax; mov gs, eax
    static const char look[4][4] = {"\x0f\x02\xc8", "\x0f\x03\xd0", "\x0f\x00\xe0", "\x0f\x00\xe8"}; // lar lsl verr verw
    if (chance(&a->r, 5)) {
        byte(a, 0x68); // push the selector and the rest of the slot; retf
        le(a, code[a->wide][below(&a->r, 4)], 4);
        byte(a, 0x68);
        le(a, CODE + a->n + 4 + (a->wide ? 2 : 1), 4);
        if (a->wide)
            byte(a, 0x48);
        byte(a, 0xcb);
        return;
    }
    mov_imm(a, 0, chance(&a->r, 8) ? below(&a->r, 0x80) : (7 + below(&a->r, 7)) << 3 | 3);
    bytes(a, look[below(&a->r, 4)], 3);
    if (chance(&a->r, 4))
        CODE_BYTES(a, "\x0f\xa0\x0f\xa9"); // push fs; pop gs
    unsigned which = below(&a->r, 3);
    bytes(a, load[which], 2);
    mov_imm(a, 3, below(&a->r, 0x2100));
    for (unsigned n = 1 + below(&a->r, 4); n--;)
        if (room(a) > 4) {
            byte(a, which == 0 ? 0x26 : 0x62 + which + 1);
            byte(a, chance(&a->r, 2) ? 0x8b : 0x01); // mov edx, [rbx + disp8]; add [rbx + disp8], edx
            byte(a, 0x53);
            byte(a, below(&a->r, 256));
        }
}

// Bounds, and branches that set them to zeros or have the prefix that keeps them. Where MPX is off they are no-operations. The page table of
// the window is the bound directory, so that bound tables are pages of the window.
static void bounds(struct asm_ *a)
{
    static const char prefix[] = {0, 0, 0x66, 0x66, '\xf3', '\xf3', '\xf2', '\xf2'};
    static const char branch[][7] = {"\xe8\0\0\0\0", "\xe9\0\0\0\0", "\x0f\x84\0\0\0\0", "\x75\0", "\xeb\0"};
    static const uint8_t length[] = {5, 5, 6, 2, 2};
    mov_imm(a, 3, a->wide ? below(&a->r, 0x300) : window_address(a));
    mov_imm(a, 6, below(&a->r, 3));
    mov_imm(a, 7, window_address(a));
    for (unsigned n = 2 + below(&a->r, 5); n-- && room(a) > 14;) {
        const unsigned what = below(&a->r, 8), k = below(&a->r, 5);
        const bool table = what < 2, move = what < 4;
        if (chance(&a->r, 4)) {
            if (chance(&a->r, 2))
                byte(a, 0xf2);
            bytes(a, branch[k], length[k]);
            continue;
        }
        if (table && a->timeless) // accessed flags in the directory are part of the tables' addresses
            continue;
        if (prefix[what])
            byte(a, (uint8_t)prefix[what]);
        if (chance(&a->r, 8))
            byte(a, 0x64 + below(&a->r, 4)); // FS, GS, 66, 67
        byte(a, 0x0f);
        byte(a, 0x1a + (what & 1));
        const unsigned reg = below(&a->r, chance(&a->r, 12) ? 5 : 4) << 3;
        if (move && !table && chance(&a->r, 2)) {
            byte(a, 0xc0 | reg | below(&a->r, 4));
        } else if (move && !table) {
            byte(a, 0x47 | reg); // [rdi + disp8]
            byte(a, below(&a->r, 256));
        } else if (!table && what != 5 && chance(&a->r, 2)) {
            byte(a, 0xc3 | reg); // rbx
        } else {
            byte(a, 0x44 | reg);
            byte(a, 0x33); // [rbx + rsi + disp8]
            byte(a, below(&a->r, 128));
        }
    }
}

static void slot(struct asm_ *a)
{
    unsigned start = a->n;
    a->end = start + SLOT - 1; // the last byte stays a NOP, for self_modify()
    if (chance(&a->r, 3))
        mov_imm(a, 4, STACK_TOP - 8 * below(&a->r, 64)); // rsp
    switch (below(&a->r, 19)) {
    case 18: bounds(a); break;
    case 17: segments(a); break;
    case 16: vector_mix(a); break;
    case 0:
    case 1:
    case 2:
    case 3: memory_mix(a); break;
    case 4:
    case 5:
    case 6: register_mix(a); break;
    case 7:
    case 8: string_op(a); break;
    case 9:
    case 10: page_tables(a); break;
    case 11: branches(a); break;
    case 12: self_modify(a); break;
    case 13: user_mode(a); break;
    case 14: system_mix(a); break;
    default:
        if (!a->timeless && chance(&a->r, 3))
            for (unsigned n = 1 + below(&a->r, 14); n--;)
                byte(a, rnd(&a->r));
        else
            system_mix(a);
        break;
    }
    a->end = start + SLOT;
    while (a->n < a->end)
        byte(a, 0x90);
}

static void program(struct asm_ *a, uint64_t seed, bool wide, bool timeless)
{
    memset(a, 0, sizeof *a);
    a->wide = wide;
    a->timeless = timeless;
    a->r.s = seed * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned k = 0; k < 4; k++)
        rnd(&a->r);
    while (a->n < (NSLOTS - 1) * SLOT)
        slot(a);
    a->end = a->n + SLOT;
    // int 0x31 (to ring 0); dec dword [COUNTER]; jz +7; mov eax, CODE; jmp rax; cli; hlt
    CODE_BYTES(a, "\xcd\x31\xff\x0c\x25\x00\x00\x1c\x00\x74\x07\xb8\x00\x00\x10\x00\xff\xe0\xfa\xf4");
    while (a->n < a->end)
        byte(a, 0xf4);
}

// --- the machine

struct ticker {
    struct dev d; // first: the bus frees it
    uint64_t period;
    bool line, counted; // each tick sets the performance counters up anew
    struct rnd r;
};
static bool pending(struct dev *d, unsigned cpu) { return ((struct ticker *)d)->line; }
static int ack(struct dev *d, unsigned cpu)
{
    ((struct ticker *)d)->line = false;
    return 0x50;
}
static const struct dev_intc intc = {pending, ack};

// Performance counters of random events and rings that overflow soon, and send NMIs. Few programs have branches counted: those run one by one.
static void start_counters(struct sim_machine *m, struct rnd *r)
{
    static const uint32_t event[] = {0x3c, 0xc0, 0x018000c0, 0x4f2e, 0x412e, 0xc4};
    struct isa_cpu *c = sim_cpu(m, 0);
    const unsigned branches = chance(r, 5);
    enum isa_rule rule;
    bool done = isa_wrmsr(c, 0x38f, 0, &rule);
    for (unsigned k = 0; k < 4; k++) {
        const uint32_t rings = (1 + below(r, 3)) << 16, interrupts = below(r, 2) << 20;
        done &= isa_wrmsr(c, 0x4c1 + k, (1ull << 48) - 1 - below(r, 3000), &rule);
        done &= isa_wrmsr(c, 0x186 + k, event[below(r, 5 + branches)] | rings | interrupts | 1u << 22, &rule);
    }
    for (unsigned k = 0; k < 3; k++)
        done &= isa_wrmsr(c, 0x309 + k, (1ull << 48) - 1 - below(r, 3000), &rule);
    done &= isa_wrmsr(c, 0x38d, below(r, 0x1000), &rule) && isa_wrmsr(c, 0x38f, 0x700000000 | below(r, 16), &rule);
    assert_true(done);
    bus_mmio_write(m, (struct hpa){0xfee00340}, 4, 0x400);
}

static void tick(struct dev *d)
{
    struct ticker *t = (struct ticker *)d;
    t->line = true;
    if (t->counted)
        start_counters(d->m, &t->r);
    dev_set_deadline(d, dev_now(d) + t->period);
    dev_intc_changed(d->m);
}
static uint64_t dev_get(struct dev *d, unsigned range, uint64_t off, unsigned size) { return dev_now(d); }
static void dev_put(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    ((struct ticker *)d)->line = true;
    dev_intc_changed(d->m);
}
static uint64_t dev_hash(const struct dev *d, uint64_t h) { return hash_u64(h, d->deadline ^ ((const struct ticker *)d)->line); }
static const struct dev_ops ops = {.name = "ticker", .read = dev_get, .write = dev_put, .deadline = tick, .hash = dev_hash};

static void poke(struct sim_machine *m, uint64_t at, const void *p, uint64_t n)
{
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, at, p, n), n);
}

// From selector 38h: of the window, up to 1fffh; expand-down from 800h; read-only; not present; then 32-bit code (58h), conforming
// code (60h), and code that is not present (68h).
#define DATA_SEGMENTS 0x0040f32000001fff, 0x0040f720000007ff, 0x00cff1000000ffff, 0x00cf73000000ffff
#define CODE_SEGMENTS 0x00cffb000000ffff, 0x00cfff000000ffff, 0x00cf7b000000ffff
#define GDT_ENTRIES   14

static void set_gate(struct sim_machine *m, unsigned vector, uint32_t handler, unsigned dpl)
{
    uint64_t g[2] = {
        (handler & 0xffff) | 0x18u << 16 | 1ull << 32 | (uint64_t)(0x8e + dpl * 0x20) << 40 | (uint64_t)(handler >> 16) << 48, 0};
    poke(m, IDT + vector * 16, g, 16);
}

static void set_tables(struct sim_machine *m, struct rnd *r)
{
    static const uint64_t gdt[GDT_ENTRIES] = {
        0, 0, 0x00cf93000000ffff, 0x00af9b000000ffff, 0, 0x00cff3000000ffff, 0x00affb000000ffff, DATA_SEGMENTS, CODE_SEGMENTS};
    static const char handlers[] =
        "\x48\x83\xc4\x08\x90\x90\x90\x90"                                                  // +0: with an error code: add rsp, 8
        "\x48\x83\x24\x24\xc0\x48\x83\x04\x24\x40\x48\xcf"                                  // +8: to the next slot; iretq
        "\x49\xff\xc7\x48\xcf\x90\x90\x90\x90\x90\x90\x90"                                  // +20: inc r15; iretq
        "\x48\xc7\x44\x24\x08\x18\x00\x00\x00\x48\xc7\x44\x24\x20\x10\x00\x00\x00\x48\xcf"; // +32: to ring 0
    poke(m, GDT, gdt, sizeof gdt);
    poke(m, HANDLERS, handlers, sizeof handlers);
    for (unsigned v = 0; v < 32; v++)
        set_gate(m, v, HANDLERS + (v == 1 || v == 3 ? 20 : isa_vector_info(v)->has_error ? 0 : 8), v == 3 ? 3 : 0);
    for (unsigned v = 32; v < 256; v++)
        set_gate(m, v, HANDLERS + (v == 0x31 ? 32 : 20), 3);
    uint32_t tss[26] = {[1] = IST_TOP - 0x8000, [9] = IST_TOP};
    poke(m, TSS, tss, sizeof tss);
    for (unsigned k = 0; k < 2048; k++) { // all of the identity mapping is user's
        uint64_t e = ((uint64_t)k << 21) | 0x87;
        if (k == WINDOW >> 21)
            e = PT | 7;
        poke(m, PD0 + k * 8, &e, 8);
    }
    uint64_t e = 0x3007, up[4] = {0x4007, 0x5007, 0x6007, 0x7007};
    poke(m, 0x2000, &e, 8);
    poke(m, 0x3000, up, sizeof up);
    for (unsigned k = 0; k < 512; k++) {
        e = k < WIN_PAGES ? random_pte(r) : (WINDOW + k * 4096) | 7;
        poke(m, PT + k * 8, &e, 8);
    }
    for (unsigned k = 0; k < WIN_PAGES * 512; k++) {
        uint64_t v = (uint64_t)rnd(r) << 32 | rnd(r);
        poke(m, WINDOW + k * 8, &v, 8);
    }
}

static void set_gate32(struct sim_machine *m, unsigned vector, uint32_t handler, unsigned dpl)
{
    uint64_t g = (handler & 0xffff) | 8u << 16 | (uint64_t)(0x8e + dpl * 0x20) << 40 | (uint64_t)(handler >> 16) << 48;
    poke(m, IDT + vector * 8, &g, 8);
}

// 32-bit paging: the first 4 MiB by a page table, the rest by 4 MiB pages. No IST: a wild stack pointer ends in a shutdown.
static void set_tables32(struct sim_machine *m, struct rnd *r)
{
    static const uint64_t gdt[GDT_ENTRIES] = {
        0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0, 0, 0x00cff3000000ffff, 0x00cffb000000ffff, DATA_SEGMENTS, CODE_SEGMENTS};
    static const char handlers[] = "\x83\xc4\x04\x90\x90\x90\x90\x90"                 // +0: with an error code: add esp, 4
                                   "\x83\x24\x24\xc0\x83\x04\x24\x40\xcf\x90\x90\x90" // +8: to the next slot; iretd
                                   "\xff\x05\x08\x00\x1c\x00\xcf\x90\x90\x90\x90\x90" // +20: inc dword [COUNTER + 8]; iretd
                                   "\x58\xbc\x00\x00\x1b\x00\xff\xe0"; // +32: to ring 0: pop eax; mov esp, STACK_TOP; jmp eax
    poke(m, GDT, gdt, sizeof gdt);
    poke(m, HANDLERS, handlers, sizeof handlers);
    for (unsigned v = 0; v < 32; v++)
        set_gate32(m, v, HANDLERS + (v == 1 || v == 3 ? 20 : isa_vector_info(v)->has_error ? 0 : 8), v == 3 ? 3 : 0);
    for (unsigned v = 32; v < 256; v++)
        set_gate32(m, v, HANDLERS + (v == 0x31 ? 32 : 20), 3);
    uint32_t tss[26] = {[1] = IST_TOP, [2] = 0x10};
    poke(m, TSS, tss, sizeof tss);
    for (unsigned k = 0; k < 1024; k++) {
        uint32_t e = k ? k << 22 | 0x87 : PT | 7;
        poke(m, EPT + k * 4, &e, 4);
        e = k < 512 || k >= 512 + WIN_PAGES ? k << 12 | 7 : (uint32_t)random_pte(r);
        poke(m, PT + k * 4, &e, 4);
    }
    for (unsigned k = 0; k < WIN_PAGES * 512; k++) {
        uint64_t v = (uint64_t)rnd(r) << 32 | rnd(r);
        poke(m, WINDOW + k * 8, &v, 8);
    }
}

static struct sim_machine *boot(const struct asm_ *a, uint64_t seed, unsigned mode, enum sim_fidelity fidelity,
                                enum sim_tlb_policy tlb)
{
    struct sim_config cfg = {
        .ram_bytes = 4 << 20, .loop = mode & 1, .no_mirror = mode & 2, .fidelity = fidelity, .tlb = tlb, .tlb_seed = seed};
    static const char *const with_mpx[] = {"feature.mpx=1"};
    const bool mpx = seed % 3 == 1;
    cfg.set = with_mpx;
    cfg.nset = mpx;
    struct sim_error err;
    struct sim_machine *m = sim_create(&cfg, &err);
    assert_non_null(m);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = a->wide ? SIM_START_LONG64 : SIM_START_PROT32, .addr = CODE};
    assert_int_equal(sim_load_bytes(m, "random", a->b, a->n, &l, NULL, &err), 0);
    struct rnd r = {seed};
    (a->wide ? set_tables : set_tables32)(m, &r);
    struct ticker *t = calloc(1, sizeof *t);
    t->d.ops = &ops;
    dev_attach(m, &t->d);
    dev_set_intc(m, &t->d, &intc, 0);
    dev_map_mmio(&t->d, 0, (struct hpa){MMIO}, 0x1000);
    t->period = 100 + below(&r, 3000);
    t->counted = mode & 4;
    t->r = r;
    if (t->counted)
        start_counters(m, &t->r);
    if (!a->timeless)
        dev_set_deadline(&t->d, t->period);
    uint32_t turns = 6;
    poke(m, COUNTER, &turns, 4);
    struct isa_cpu *c = sim_cpu(m, 0);
    c->gdtr = (struct isa_dtr){GDT, GDT_ENTRIES * 8 - 1};
    c->idtr = (struct isa_dtr){IDT, 0xfff};
    c->seg[ISA_TR] = (struct isa_seg){.sel = 0x20, .base = TSS, .limit = 0x67, .ar = 0x8b};
    c->gpr[ISA_RSP] = STACK_TOP;
    c->cr4 |= ISA_CR4_OSFXSR;
    if (!a->wide) {
        c->seg[ISA_DS] = c->seg[ISA_ES] = (struct isa_seg){.sel = 0x2b, .limit = 0xffffffff, .ar = 0xc0f3}; // good in all rings
        c->cr3 = EPT;
        c->cr4 |= ISA_CR4_PSE;
        c->cr0 |= ISA_CR0_PG | ISA_CR0_WP;
    }
    if (mpx) {
        c->cr4 |= ISA_CR4_OSXSAVE;
        c->xcr0 = ISA_XS_X87 | ISA_XS_SSE | ISA_XS_MPX;
        c->bndcfgs = PT | ISA_BNDCFG_EN | (seed & ISA_BNDCFG_PRESERVE);
        c->bndcfgu = PT | ISA_BNDCFG_EN;
    }
    sim_touch(m, 0);
    return m;
}

// The same program in VMX non-root operation. The hypervisor skips to the next slot at every VM exit.
static void enter_guest(struct sim_machine *m, uint64_t seed, bool timeless)
{
    static const uint8_t host[] = {
        0xb8, 0x1e, 0x68, 0x00, 0x00, // mov eax, GUEST_RIP
        0x0f, 0x78, 0xc3,             // vmread rbx, rax
        0x48, 0x83, 0xe3, 0xc0,       // and rbx, -64
        0x48, 0x83, 0xc3, 0x40,       // add rbx, 64
        0x0f, 0x79, 0xc3,             // vmwrite rax, rbx
        0xb8, 0x00, 0x00, 0x20, 0x00, // mov eax, WINDOW: the guest may run into zeros, and these write where RAX points
        0x0f, 0x01, 0xc3,             // vmresume
        0xf4,                         // hlt
    };
    struct rnd r = {seed ^ 0x5555};
    uint64_t e = (EPT + 0x1000) | 7;
    poke(m, EPT, &e, 8);
    for (unsigned k = 0; k < 4; k++) {
        e = (EPT + 0x2000 + k * 0x1000) | 7;
        poke(m, EPT + 0x1000 + k * 8, &e, 8);
    }
    for (unsigned k = 0; k < 2048; k++) {
        e = ((uint64_t)k << 21) | 0xb7;
        if (k == WINDOW >> 21)
            e = (EPT + 0x6000) | 7;
        poke(m, EPT + 0x2000 + k * 8, &e, 8);
    }
    for (unsigned k = 0; k < 512; k++) {
        e = (WINDOW + (k < WIN_PAGES ? below(&r, WIN_PAGES) : k) * 4096) | 0x37;
        if (chance(&r, 12))
            e &= ~(uint64_t)(1 + below(&r, 7)); // rights missing; W without R is a misconfiguration
        poke(m, EPT + 0x6000 + k * 8, &e, 8);
    }
    poke(m, HOST, host, sizeof host);
    struct vmx_setup s = {.vmxon = HOST + 0x1000,
                          .vmcs = HOST + 0x2000,
                          .stub = HOST + 0x3000,
                          .guest_rip = CODE,
                          .guest_rsp = STACK_TOP,
                          .host_rip = HOST,
                          .host_rsp = HOST + 0x1000,
                          .eptp = EPT | 0x1e | (chance(&r, 2) ? 0x40 : 0)};
    bool timer = chance(&r, 3) && !timeless;
    s.pin = (chance(&r, 2) ? 1 : 0) | (timer ? 1u << 6 : 0); // external interrupts exit
    s.proc = (rnd(&r) & (1u << 7 | 1u << 9 | 1u << 12 | 1u << 15 | 1u << 24)) | (chance(&r, 6) ? 1u << 27 : 0); // HLT ... I/O; MTF
    if (timeless)
        s.proc &= ~(1u << 9 | 1u << 27); // no exit between a change of a page table and its INVLPG
    s.proc2 = (chance(&r, 6) ? 0 : 2) | (chance(&r, 2) ? 0x20 : 0) | 8 | 0x1000; // EPT, VPID, RDTSCP, INVPCID
    s.vpid = s.proc2 & 0x20 ? 3 : 0;
    struct sim_error err;
    if (vmx_setup(m, &s, &err) < 0)
        fail_msg("%s", err.what);
    if (timer)
        assert_true(sim_vmcs_write(m, 0, vmcs_field_info[VF_VMX_PREEMPTION_TIMER_VALUE].encoding, 1 + below(&r, 60)));
}

#endif
