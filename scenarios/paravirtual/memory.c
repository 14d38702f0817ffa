// memory.c: direct page tables. The guest's page tables are in CR3 themselves, so nothing in them may reach further than the guest may.
//
// Each frame of the guest is either memory, or a page table, or a page directory. A table is one after it was pinned: all that it holds is checked then, and from
// then on no mapping lets the guest write to it; changes come one by one through memory_update(). So a frame that can be written is never a table, and
// a table is always safe.
#include "vmm.h"

enum { MEMORY, PAGE_TABLE, DIRECTORY };
static struct {
    uint8_t type;
    uint16_t writers; // mappings through which it can be written
} frames[FRAMES];

static bool owned(u32 machine) { return machine - GUEST_BASE < FRAMES * PAGE; }
static u32 frame(u32 machine) { return (machine - GUEST_BASE) / PAGE; }

// May a table of this type hold this entry? If so, count it.
static bool take(u32 type, u32 entry)
{
    if (!(entry & PRESENT))
        return true;
    if (!owned(entry) || entry & 0x180) // somebody else's memory; large and global pages
        return false;
    if (type == DIRECTORY)
        return frames[frame(entry)].type == PAGE_TABLE;
    if (entry & WRITABLE) {
        if (frames[frame(entry)].type != MEMORY)
            return false;
        frames[frame(entry)].writers++;
    }
    return true;
}
static void give_back(u32 type, u32 entry)
{
    if (type == PAGE_TABLE && entry & PRESENT && entry & WRITABLE)
        frames[frame(entry)].writers--;
}
static u32 current_directory(void)
{
    u32 v;
    asm volatile("movl %%cr3, %0" : "=r"(v));
    return v;
}
static void use_directory(u32 directory) { asm volatile("movl %0, %%cr3" : : "r"(directory) : "memory"); }
bool memory_pin(u32 table, u32 level)
{
    if (!owned(table) || table & (PAGE - 1) || level < PAGE_TABLE || level > DIRECTORY)
        return false;
    if (frames[frame(table)].type != MEMORY || frames[frame(table)].writers)
        return false;
    u32 *t = entry_at(table), count = level == DIRECTORY ? WINDOW >> 22 : 1024;
    for (u32 n = 0; n < count; n++)
        if (!take(level, t[n])) {
            while (n--)
                give_back(level, t[n]);
            return false;
        }
    if (level == DIRECTORY) // the hypervisor itself, for ring 0 and, though its segments do not reach there, ring 1
        for (u32 n = WINDOW >> 22; n < 1024; n++)
            t[n] = host_directory[n];
    frames[frame(table)].type = (uint8_t)level;
    use_directory(current_directory()); // no mapping lets it be written, but the TLB may remember one that did
    return true;
}
bool memory_update(u32 entry, u32 value)
{
    if (!owned(entry))
        return false;
    u32 type = frames[frame(entry)].type, *e = entry_at(entry), old = *e;
    if (type == MEMORY || (type == DIRECTORY && (entry & (PAGE - 1)) >> 2 >= WINDOW >> 22) || !take(type, value))
        return false;
    *e = value;
    give_back(type, old);
    return true;
}
bool memory_new_base(u32 directory)
{
    if (!owned(directory) || directory & (PAGE - 1) || frames[frame(directory)].type != DIRECTORY)
        return false;
    use_directory(directory);
    return true;
}
u32 *memory_entry(u32 la)
{
    u32 pde = entry_at(current_directory())[la >> 22];
    return la < WINDOW && pde & PRESENT ? entry_at(pde & ~(PAGE - 1)) + (la >> 12 & 1023) : 0;
}
// Linear 0 to 16 MiB is the guest's memory in order. The tables lie at its end, and the guest may read them.
u32 memory_build(void)
{
    u32 directory = GUEST_BASE + (FRAMES - 5) * PAGE, tables = directory + PAGE, *d = entry_at(directory);
    for (u32 n = 0; n < FRAMES; n++)
        entry_at(tables)[n] = (GUEST_BASE + n * PAGE) | PRESENT | (n < FRAMES - 5 ? WRITABLE : 0);
    for (u32 n = 0; n < 4; n++) {
        d[n] = (tables + n * PAGE) | PRESENT | WRITABLE;
        if (!memory_pin(tables + n * PAGE, PAGE_TABLE))
            stop("the guest's first page tables are wrong");
    }
    if (!memory_pin(directory, DIRECTORY) || !memory_new_base(directory))
        stop("the guest's first page directory is wrong");
    return directory;
}
