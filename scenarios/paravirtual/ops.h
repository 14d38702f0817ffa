// ops.h: what a kernel must leave to its hypervisor, as a layer of its own (Linux came to call this paravirt_ops). Built twice: for the bare machine, where each
// operation is an instruction or a store, and with XEN, where it is a hypercall.
#ifndef OPS_H
#define OPS_H
#include "paging32.h"

// Hypercalls: INT 82H from ring 1; EAX says which, EBX, ECX and EDX are arguments. EAX is 0 afterwards, or the hypercall was refused.
enum {
    HC_MMU_UPDATE,     // EBX: array of struct mmu_update, ECX: how many
    HC_UPDATE_MAPPING, // EBX: linear address, ECX: its new entry; the TLB forgets the page
    HC_NEW_BASE,       // EBX: machine address of a pinned page directory, for CR3
    HC_PIN,            // EBX: machine address of a table that is to be used as such, ECX: 1 page table, 2 page directory
    HC_FLUSH,          // the TLB forgets all
    HC_TRAP_TABLE,     // EBX: array of struct trap, ended by address 0
    HC_STACK,          // EBX: where exceptions and interrupts from ring 3 find the kernel's stack
    HC_CONSOLE,        // EBX: character
    HC_EXIT,
};
struct mmu_update {
    u32 entry, value; // machine address of an entry of a page table; what it is to hold
};
struct trap {
    u32 vector, dpl, address; // a DPL of 3 makes a vector that programs may call
};

extern u32
    machine_base; // machine address of the kernel's linear address 0: the memory of the machine is not contiguous for a guest, and it knows that

#ifdef XEN
static inline u32 hypercall(u32 which, u32 a, u32 b)
{
    asm volatile("int $0x82" : "+a"(which) : "b"(a), "c"(b) : "memory");
    return which;
}
// Updates are collected and handed over together: one entry into the hypervisor for many of them.
#define BATCH 128
extern struct mmu_update batch[BATCH];
extern u32 batched;
static inline void flush_updates(void)
{
    if (batched)
        hypercall(HC_MMU_UPDATE, (u32)batch, batched);
    batched = 0;
}
static inline void set_entry(u32 *entry, u32 value)
{
    if (batched == BATCH)
        flush_updates();
    batch[batched++] = (struct mmu_update){(u32)entry + machine_base, value};
}
static inline void set_mapping(u32 *entry, u32 la, u32 value) { hypercall(HC_UPDATE_MAPPING, la, value); }
static inline void load_directory(u32 *directory) { hypercall(HC_NEW_BASE, (u32)directory + machine_base, 0); }
static inline void flush_tlb(void) { hypercall(HC_FLUSH, 0, 0); }
static inline void set_stack(u32 top) { hypercall(HC_STACK, top, 0); }
static inline void put(char c) { hypercall(HC_CONSOLE, (u32)c, 0); }
static inline void finish(void) { hypercall(HC_EXIT, 0, 0); }
#else
extern u32 tss[];
static inline void flush_updates(void) {}
static inline void set_entry(u32 *entry, u32 value) { write_entry(entry, value); }
static inline void set_mapping(u32 *entry, u32 la, u32 value)
{
    set_entry(entry, value);
    invlpg(la);
}
static inline void load_directory(u32 *directory) { asm volatile("movl %0, %%cr3" : : "r"(directory) : "memory"); }
static inline void flush_tlb(void) { asm volatile("movl %%cr3, %%eax; movl %%eax, %%cr3" : : : "eax", "memory"); }
static inline void set_stack(u32 top) { tss[1] = top; }
static inline void put(char c) { outb(0xe9, (uint8_t)c); }
static inline void finish(void) { outb(0xf4, 0); }
#endif
#endif
