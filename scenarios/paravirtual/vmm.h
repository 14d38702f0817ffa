// vmm.h: a small hypervisor in the manner of the first Xen (SOSP 2003). Start reading at vmm.c.
//
// It owns ring 0; the guest's kernel runs at ring 1, its programs at ring 3 (the 0/1/3 model). Nothing is emulated and nothing is translated: the kernel has been
// changed (ops.h) and asks. The processor walks the guest's own page tables; the guest reads them, and every change is checked.
//
// Linear addresses: see window-vmm.h. The hypervisor is in every address space, so that entering it changes no CR3; segments of rings 1 and 3 end below it.
#ifndef VMM_H
#define VMM_H
#include "ops.h"
#include "window-vmm.h"

// What an exception or a hypercall finds on the stack of ring 0: registers as PUSHA leaves them, and what the processor has pushed.
struct frame {
    u32 gs, fs, es, ds, edi, esi, ebp, none, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};

static inline u32 *entry_at(u32 machine) { return (u32 *)(WINDOW + (machine & ~3u)); }

// vmm.c
extern struct statistics {
    u32 hypercalls, bounced, updates, batches, refused;
} stat;

// memory.c: who may use which frame how. Addresses are machine addresses. Each gives false if the guest may not do that.
u32 memory_build(void); // the first page tables of the guest: its directory
bool memory_pin(u32 table, u32 level);
bool memory_update(u32 entry, u32 value);
bool memory_new_base(u32 directory);
u32 *memory_entry(u32 la); // of the page table in use, or NULL
#endif
