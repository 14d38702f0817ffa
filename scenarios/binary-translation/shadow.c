// shadow.c: shadow page tables that are kept in step with the guest's by traces.
//
// Each page table and page directory of the guest that is in use has a shadow, made entry by entry when a fault asks for it (a hidden fault: the guest never hears of
// it). While a table has a shadow it is traced: no shadow entry lets the guest write to it, so each store to it faults, and shadow_store() does it for
// the guest and clears the entry of the shadow. So a shadow is never out of step, and what is left for INVLPG and MOV to CR3 is the processor's TLB.
//
// Where the guest stores in a way that the VMM does not care to emulate, the table loses its shadow and its trace (unshadow), and gets another when it is
// next walked.
#include "vmm.h"

#define NONE   0xffffffffu
#define TABLES 48
static u32 pool[TABLES][1024] __attribute__((aligned(4096)));
static struct {
    bool used, directory;
    u32 frame; // guest frame of the table that it is the shadow of; NONE without paging
} info[TABLES];
static u8 table_of[FRAMES], directory_of[FRAMES]; // shadow of a guest frame, plus 1
static u8 flat_directory;                         // for a guest without paging, plus 1
static u32 *writers[FRAMES][2];                   // shadow entries through which a frame can be written: two at most at a time
static u32 *now;                                  // the directory in use
static u32 free_tables = TABLES;
void (*flush)(void);
void (*flush_page)(u32 la);

// --- writers of a frame
static void clear(u32 *entry)
{
    if (*entry & PRESENT && *entry & WRITABLE) {
        u32 **w = writers[((*entry & ~0xfffu) - GUEST_BASE) / PAGE];
        if (w[0] == entry)
            w[0] = 0;
        if (w[1] == entry)
            w[1] = 0;
    }
    *entry = 0;
}
static void add_writer(u32 frame, u32 *entry)
{
    u32 **w = writers[frame];
    if (w[0] && w[1]) { // the older one makes room; it comes back by a hidden fault
        clear(w[0]);
        w[0] = w[1];
        w[1] = 0;
        flush();
    }
    w[w[0] ? 1 : 0] = entry;
}
static void forbid_writes(u32 frame)
{
    for (int k = 0; k < 2; k++)
        if (writers[frame][k]) {
            *writers[frame][k] &= ~WRITABLE;
            writers[frame][k] = 0;
            flush();
        }
}

// --- tables
static void forget_all(void)
{
    memset(info, 0, sizeof info);
    memset(table_of, 0, sizeof table_of);
    memset(directory_of, 0, sizeof directory_of);
    memset(writers, 0, sizeof writers);
    flat_directory = 0;
    free_tables = TABLES;
    shadow_use();
    flush();
}
static u8 new_table(u32 frame, bool directory)
{
    u8 n = 0;
    while (n < TABLES && info[n].used)
        n++;
    if (n == TABLES)
        stop("no page left for shadows"); // make_room() sees to it
    info[n].used = true;
    free_tables--;
    info[n].directory = directory;
    info[n].frame = frame;
    memset(pool[n], 0, PAGE);
    if (directory) // the VMM itself, for the supervisor only
        memcpy(&pool[n][WINDOW >> 22], &host_directory[WINDOW >> 22], 16 * 4);
    if (frame != NONE)
        forbid_writes(frame);
    return (u8)(n + 1);
}
static void make_room(void)
{
    if (free_tables < 2)
        forget_all();
}
u32 shadow_use(void)
{
    u32 frame = vcpu.cr3 / PAGE;
    u8 *n = vcpu.cr0 & CR0_PG ? &directory_of[frame % FRAMES] : &flat_directory;
    if (vcpu.cr0 & CR0_PG && frame >= FRAMES)
        stop("CR3 points to no memory");
    if (!*n)
        *n = new_table(vcpu.cr0 & CR0_PG ? frame : NONE, true);
    now = pool[*n - 1];
    return physical(now);
}
u32 *shadow_table(u32 gpa) { return table_of[gpa / PAGE] ? pool[table_of[gpa / PAGE] - 1] : 0; }
bool traced(u32 gpa) { return gpa < GUEST_SIZE && (table_of[gpa / PAGE] || directory_of[gpa / PAGE]); }

// --- the guest's own tables
static u32 *guest_entry(u32 table, u32 index)
{
    if (table >= GUEST_SIZE)
        stop("a page table outside the guest's memory");
    return guest_memory((table & ~0xfffu) + index * 4);
}
bool guest_walk(u32 la, u32 *gpa)
{
    *gpa = la;
    if (vcpu.cr0 & CR0_PG) {
        u32 pde = *guest_entry(vcpu.cr3, la >> 22);
        u32 pte = pde & PRESENT ? *guest_entry(pde, la >> 12 & 1023) : 0;
        if (!(pte & PRESENT))
            return false;
        *gpa = (pte & ~0xfffu) | (la & 0xfff);
    }
    return *gpa < GUEST_SIZE;
}

// --- faults
// Put the translation of `la` into the shadow: a page of the guest with these rights; `table`: the guest's page table that it comes from.
static void fill(u32 la, u32 table, u32 pde_rights, u32 gpa, u32 rights)
{
    u32 *pde = &now[la >> 22], frame = gpa / PAGE;
    if (!(*pde & PRESENT)) {
        u8 fresh = 0, *n = table == NONE ? &fresh : &table_of[table / PAGE];
        if (!*n)
            *n = new_table(table == NONE ? NONE : table / PAGE, false);
        *pde = physical(pool[*n - 1]) | (pde_rights & (WRITABLE | USER)) | PRESENT;
    }
    u32 *pte = (u32 *)window(*pde & ~0xfffu) + (la >> 12 & 1023);
    if (*pte & PRESENT) {
        clear(pte);
        flush_page(la);
    }
    if (traced(gpa))
        rights &= ~WRITABLE;
    *pte = GUEST_BASE + frame * PAGE + (rights & (WRITABLE | USER)) + PRESENT;
    if (rights & WRITABLE)
        add_writer(frame, pte);
}
enum fault shadow_fault(u32 la, u32 *error, u32 *gpa)
{
    u32 *pde, *pte, rights = WRITABLE | USER, table = NONE, pde_rights = rights;
    make_room();
    if (la >= WINDOW)
        stop("the guest uses linear addresses that the VMM has for itself");
    *gpa = la;
    if (vcpu.cr0 & CR0_PG) {
        pde = guest_entry(vcpu.cr3, la >> 22);
        pte = *pde & PRESENT ? guest_entry(*pde, la >> 12 & 1023) : pde;
        if (!(*pde & *pte & PRESENT)) {
            *error &= ~PRESENT;
            return FAULT_TRUE;
        }
        rights = *pde & *pte;
        if ((*error & WRITABLE && !(rights & WRITABLE)) || (*error & USER && !(rights & USER))) {
            *error |= PRESENT;
            return FAULT_TRUE;
        }
        *pde |= ACCESSED;
        *pte |= ACCESSED | (*error & WRITABLE ? DIRTY : 0);
        *gpa = (*pte & ~0xfffu) | (la & 0xfff);
        table = *pde & ~0xfffu;
        pde_rights = *pde;
        rights = *pte & DIRTY ? *pte : *pte & ~WRITABLE; // the first write is to fault, so that D can be set
    }
    if (*gpa >= GUEST_SIZE)
        stop("the guest uses memory that it has not got");
    fill(la, table, pde_rights, *gpa, rights);
    if (*error & WRITABLE && traced(*gpa))
        return FAULT_TRACED;
    stat.hidden++;
    return FAULT_HIDDEN;
}
// A store of the guest to a table that is traced.
void shadow_store(u32 gpa, u32 value)
{
    u32 frame = gpa / PAGE, index = gpa >> 2 & 1023;
    *guest_memory(gpa & ~3u) = value;
    stat.traced++;
    if (table_of[frame])
        clear(&pool[table_of[frame] - 1][index]);
    if (directory_of[frame])
        pool[directory_of[frame] - 1][index] = 0;
}
void unshadow(u32 gpa)
{
    u32 frame = gpa / PAGE;
    if (directory_of[frame] && pool[directory_of[frame] - 1] == now)
        stop("a store to the page directory in use that is not emulated");
    stat.unshadowed++;
    for (u32 k = 0; k < 2; k++) {
        u8 *n = k ? &directory_of[frame] : &table_of[frame];
        if (!*n)
            continue;
        for (u32 i = 0; i < (k ? WINDOW >> 22 : 1024u); i++)
            if (k)
                pool[*n - 1][i] = 0;
            else
                clear(&pool[*n - 1][i]);
        for (u32 d = 0; d < TABLES && !k; d++) // directories that point to it
            for (u32 i = 0; i < WINDOW >> 22 && info[d].used && info[d].directory; i++)
                if ((pool[d][i] & ~0xfffu) == physical(pool[*n - 1]))
                    pool[d][i] = 0;
        info[*n - 1].used = false;
        free_tables++;
        *n = 0;
    }
    flush();
}
