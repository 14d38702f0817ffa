// shadow.c: memory of the guest on a processor without EPT (`ept=0`), by shadow page tables.
//
// The processor then walks one set of tables only, and its leaves must be our addresses. So the guest's tables never reach CR3: we keep others, shadows, which begin
// empty. A page fault comes to us; we walk the guest's tables as the processor would, and either the fault is the guest's own, or the shadow lacks an entry and gets
// it: the guest's translation, moved by vm.base. What the guest changes in its tables later need not be watched: like a TLB, a shadow may be stale until the guest
// invalidates (MOV to CR3, INVLPG, INVVPID, a VM entry or exit without VPID), and at each of those we are asked. One shadow for each address space in use.
//
// The same code serves the guest's guest: its tables are then those that our guest made for it (shadows themselves, if our guest has no EPT either).
#include "hv.h"

#define PRESENT  1ull
#define WRITABLE 2ull
#define USER     4ull
#define ACCESSED 0x20ull
#define DIRTY    0x40ull
#define LARGE    0x80ull
#define NO_EXEC  (1ull << 63)
#define FRAME    0xffffffffff000ull
#define ERROR_P  1u // bits of a page fault's error code
#define ERROR_W  2u
#define ERROR_U  4u
#define ERROR_I  16u

static u64 pool[96][512] __attribute__((aligned(4096)));
static unsigned used;
static struct space {
    u64 tag, cr3; // tag: 0 our guest, else its guest's VPID + 1
    enum paging paging;
    u64 *root; // NULL: free
} spaces[4];
static struct space *now;

static void flush_tlb(void)
{
    u64 operand[2] = {0, 0};
    if (vm.use_vpid) // else every VM entry does it
        asm volatile("invvpid %0, %1" : : "m"(operand), "r"(2ull) : "cc", "memory");
}
static u64 *pool_page(void)
{
    u64 *p = pool[used++];
    memset(p, 0, PAGE_SIZE);
    return p;
}
void shadow_drop(void)
{
    used = 0;
    memset(spaces, 0, sizeof spaces);
    flush_tlb();
}
// The address space that is walked from now on; `fresh`: without what was cached of it.
void shadow_use(u64 tag, u64 cr3, enum paging paging, bool fresh)
{
    unsigned n = 0;
    while (n < 4 && spaces[n].root && (spaces[n].tag != tag || spaces[n].cr3 != cr3 || spaces[n].paging != paging))
        n++;
    if (n == 4 || used > 96 - 8) {
        shadow_drop();
        n = 0;
    }
    now = &spaces[n];
    if (fresh && now->root) { // its pages are lost until the pool is used up
        now->root = 0;
        flush_tlb();
    }
    if (!now->root)
        *now = (struct space){tag, cr3, paging, pool_page()};
    if (vmread(VMCS_GUEST_CR3) != (u64)now->root) {
        vmwrite(VMCS_GUEST_CR3, (u64)now->root);
        flush_tlb(); // translations are tagged by VPID, not by CR3
    }
}

// Where the leaf for an address is, or belongs, in the shadow. Without paging, the guest runs by PAE tables that map each address to itself.
static u64 *leaf(u64 la, bool big, bool make)
{
    u64 *table = now->root;
    for (int shift = now->paging == PAGING_LONG ? 39 : 30; shift > (big ? 21 : 12); shift -= 9) {
        u64 *e = &table[la >> shift & 511];
        if (!(*e & PRESENT) || *e & LARGE) {
            if (!make)
                return *e & LARGE ? e : 0;
            if (*e)
                flush_tlb();
            *e = (u64)pool_page() | (now->paging != PAGING_LONG && shift == 30 ? PRESENT : PRESENT | WRITABLE | USER);
        }
        table = (u64 *)(*e & FRAME);
    }
    return &table[la >> (big ? 21 : 12) & 511];
}
void shadow_invlpg(u64 la)
{
    u64 *e = leaf(la, false, false);
    if (e)
        *e = 0;
    flush_tlb();
}

// A page fault at `la`. True: the shadow lacked an entry and has it. False: it is the guest's, with the error code in *error.
bool shadow_fault(u64 la, u32 *error, bool write_protect)
{
    u64 rights = WRITABLE | USER, no_exec = 0, table = now->cr3 & FRAME, gpa = la, *e = 0;
    int shift = 21;
    if (now->paging == PAGING_PAE)
        table = now->cr3 & 0xffffffe0;
    if (now->paging != PAGING_NONE) {
        for (shift = now->paging == PAGING_LONG ? 39 : 30;; shift -= 9) {
            e = guest_memory(table + (la >> shift & 511) * 8, 8);
            if (!e || !(*e & PRESENT)) {
                *error &= ~ERROR_P;
                return false;
            }
            if (now->paging == PAGING_LONG || shift != 30) { // a PDPTE of PAE paging has no such bits
                rights &= *e;
                no_exec |= *e & NO_EXEC;
                *e |= ACCESSED;
            }
            if (shift == 12 || (*e & LARGE && shift < 39))
                break;
            table = *e & FRAME;
        }
        gpa = (*e & FRAME & ~((1ull << shift) - 1)) | (la & ((1ull << shift) - 1));
        bool ring0_write = *error & ERROR_W && !(*error & ERROR_U) && !write_protect;
        if ((*error & ERROR_W && !(rights & WRITABLE) && !ring0_write) || (*error & ERROR_U && !(rights & USER)) ||
            (*error & ERROR_I && no_exec)) {
            *error |= ERROR_P;
            return false;
        }
        if (*error & ERROR_W)
            *e |= DIRTY;
        if (ring0_write &&
            !(rights &
              WRITABLE)) // CR0.WP = 0; the true one is always 1. A ring 3 that reads the page faults, and gets its own rights
            rights = WRITABLE;
        if (!(*e & DIRTY)) // the first write is to fault, so that we can set D
            rights &= ~WRITABLE;
    }
    bool big = shift >= 21 && guest_memory(gpa & ~(BIG_PAGE - 1), BIG_PAGE);
    u64 size = big ? BIG_PAGE : PAGE_SIZE, page = gpa & ~(size - 1);
    if (!guest_memory(page, size)) {
        print("guest-physical %x is no memory (linear %x, RIP %x)", gpa, la, vmread(VMCS_GUEST_RIP));
        stop("page fault");
    }
    if (used > 96 - 4) {
        struct space s = *now;
        shadow_drop();
        shadow_use(s.tag, s.cr3, s.paging, false);
    }
    u64 *to = leaf(la, big, true);
    if (*to & PRESENT)
        flush_tlb();
    *to = (vm.base + page) | rights | no_exec | PRESENT | (big ? LARGE : 0);
    return true;
}
