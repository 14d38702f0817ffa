// kernel.c: a small kernel with fork by copy on write, a null call and context switches, for the bare machine and, by ops.h, for the hypervisor of vmm.c. See start.S.
//
// It prints one line per measurement: name, cycles.
#include "ops.h"

#include "console.h"

#define COW       0x200u
#define USER_CODE 0x40000000u
#define USER_DATA 0x40100000u
#define PAGES     24 // of a program's memory
#define TOUCHED   8  // of which it writes so many
#define ROUNDS    64
#define FORKS     24

extern char user_page[], user_null[], user_touch[], user_yield[], system_call[], page_fault_entry[], stack_top[];
u32 run_user(u32 eip, u32 esp, u32 argument, u32 another);
u32 *set_up(void);
void page_fault(u32 at), kernel_main(void);
u32 other_process(u32 esp);

static struct process {
    u32 directory[1024], table[1024];
} process[2] __attribute__((aligned(4096)));
static struct process *now;
static u32 stack[2048], stopped[2]; // the second process's kernel stack; where a process stopped
static uint8_t frames[64][PAGE] __attribute__((aligned(4096)));
static uint8_t users[64]; // how many processes map a frame
#ifdef XEN
struct mmu_update batch[BATCH];
u32 batched;
extern u32 first_directory;
static const struct trap traps[] = {{14, 0, (u32)page_fault_entry}, {0x80, 3, (u32)system_call}, {0, 0, 0}};
#else
static u32 kernel_tables[4][1024] __attribute__((aligned(4096))); // 16 MiB, identical
u32 tss[26], idt[129][2];
#endif

static void report(const char *name, u32 cycles)
{
    print_text(name);
    print_number(cycles, 10);
    put('\n');
}

// --- memory
static u32 new_frame(void)
{
    u32 n = 0;
    while (users[n])
        n++;
    users[n] = 1;
    return n;
}
static u32 entry_for(u32 frame, u32 rights) { return ((u32)frames[frame] + machine_base) | rights; }
static u32 frame_of(u32 entry) { return ((entry & ~0xfffu) - machine_base - (u32)frames) / PAGE; }
// The processes' tables, before they are in use.
static void set_up_process(struct process *p, const u32 *kernel)
{
    for (u32 n = 0; n < 4; n++)
        p->directory[n] = kernel[n];
    p->directory[USER_CODE >> 22] = ((u32)p->table + machine_base) | PRESENT | WRITABLE | USER;
    p->table[0] = ((u32)user_page + machine_base) | PRESENT | USER;
    if (p != process)
        return;
    for (u32 n = 0; n < PAGES; n++)
        p->table[256 + n] = entry_for(new_frame(), PRESENT | WRITABLE | USER);
    now = p;
}
static void copy_page(u32 to, u32 from)
{
    u32 n = PAGE / 4;
    asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}
#ifdef XEN
// The kernel was started with page tables, which it keeps for itself and shares among its processes.
u32 *set_up(void)
{
    for (u32 k = 0; k < 2; k++)
        set_up_process(&process[k], (const u32 *)first_directory);
    for (u32 at = (u32)process; at < (u32)(process + 2); at += PAGE) // from here on only the hypervisor may write to them
        hypercall(HC_UPDATE_MAPPING, at, (at + machine_base) | PRESENT);
    for (u32 k = 0; k < 2; k++) {
        hypercall(HC_PIN, (u32)process[k].table + machine_base, 1);
        hypercall(HC_PIN, (u32)process[k].directory + machine_base, 2);
    }
    hypercall(HC_TRAP_TABLE, (u32)traps, 0);
    load_directory(now->directory);
    return now->directory;
}
#else
u32 *set_up(void)
{
    u32 first[4];
    map_identical(kernel_tables, first);
    for (u32 k = 0; k < 2; k++)
        set_up_process(&process[k], first);
    set_gate(idt[14], 8, 0, (u32)page_fault_entry);
    set_gate(idt[0x80], 8, 3, (u32)system_call);
    return now->directory;
}
#endif
// A write to a page that is shared until written. The last one who has it keeps it.
void page_fault(u32 at)
{
    u32 *entry = &now->table[at >> 12 & 1023], old = *entry, frame = frame_of(old);
    if (at < USER_DATA || at >= USER_DATA + PAGES * PAGE || !(old & COW)) {
        report("kernel: page fault at ", at);
        finish();
    }
    if (users[frame] > 1) {
        u32 fresh = new_frame();
        copy_page((u32)frames[fresh], (u32)frames[frame]);
        users[frame]--;
        frame = fresh;
    }
    set_mapping(entry, at, entry_for(frame, PRESENT | WRITABLE | USER));
}
static void fork(struct process *parent, struct process *child)
{
    for (u32 n = 256; n < 256 + PAGES; n++) {
        u32 entry = (parent->table[n] & ~WRITABLE) | COW;
        users[frame_of(entry)]++;
        set_entry(&parent->table[n], entry);
        set_entry(&child->table[n], entry);
    }
    flush_updates();
    flush_tlb();
}
static void exit_process(struct process *p)
{
    for (u32 n = 256; n < 256 + PAGES; n++) {
        users[frame_of(p->table[n])]--;
        set_entry(&p->table[n], 0);
    }
    flush_updates();
}
static u32 user(char *program, u32 argument, u32 another)
{
    return run_user(USER_CODE + (u32)(program - user_page), USER_DATA + PAGE, argument, another);
}
static void forkwait(void)
{
    fork(&process[0], &process[1]);
    load_directory((now = &process[1])->directory);
    user(user_touch, TOUCHED, 0);
    load_directory((now = &process[0])->directory);
    exit_process(&process[1]);
    user(user_touch, TOUCHED, 0);
}

// --- two processes that take turns
u32 other_process(u32 esp)
{
    u32 from = now == &process[1];
    stopped[from] = esp;
    now = &process[!from];
    set_stack(from ? (u32)stack_top - 4096 : (u32)(stack + 2048));
    load_directory(now->directory);
    return stopped[!from];
}
static u32 context_switch(u32 pages)
{
    u32 *top = stack + 2048;
    fork(&process[0], &process[1]);
    *--top = 0x23; // the second process, as if it had stopped before its first instruction
    *--top = USER_DATA + PAGE;
    *--top = 0x202;
    *--top = 0x1b;
    *--top = USER_CODE + (u32)(user_yield - user_page);
    top -= 8; // EAX at the top, EDI at the bottom
    top[0] = 2 * ROUNDS + 2;
    top[1] = pages;
    stopped[1] = (u32)top;
    user(user_yield, 2, pages); // copies what is shared
    u32 cycles = user(user_yield, ROUNDS, pages);
    exit_process(&process[1]);
    return cycles / (2 * ROUNDS);
}
#ifdef XEN
// What a kernel must not be able to do. Each of these would give it memory that is not its own, or page tables that nobody checks.
static void try_to_escape(void)
{
    u32 table = (u32)process[0].table + machine_base, tried = 0, refused = 0;
    const struct mmu_update others = {table + 4 * 512, 0x1000000 | PRESENT | WRITABLE}, // the hypervisor's memory
        own_table = {table + 4 * 512, table | PRESENT | WRITABLE},                      // a page table, to be written to
        directory = {(u32)process[0].directory + machine_base + 4 * 512, ((u32)frames[60] + machine_base) | PRESENT},
                            window = {(u32)process[0].directory + machine_base + 4 * 1020, 0}; // an entry of the hypervisor's
    tried++, refused += hypercall(HC_MMU_UPDATE, (u32)&others, 1) != 0;
    tried++, refused += hypercall(HC_MMU_UPDATE, (u32)&own_table, 1) != 0;
    tried++, refused += hypercall(HC_MMU_UPDATE, (u32)&directory, 1) != 0; // memory that was not pinned, as a page table
    tried++, refused += hypercall(HC_MMU_UPDATE, (u32)&window, 1) != 0;
    tried++, refused += hypercall(HC_MMU_UPDATE, 0xfd000000, 1) != 0; // a list in the hypervisor's memory
    tried++, refused += hypercall(HC_UPDATE_MAPPING, (u32)process, table | PRESENT | WRITABLE) != 0;
    tried++, refused += hypercall(HC_NEW_BASE, (u32)frames[60] + machine_base, 0) != 0;
    tried++, refused += hypercall(HC_PIN, (u32)frames[60] + machine_base, 2) != 0; // the kernel can write to it
    tried++, refused += hypercall(99, 0, 0) != 0;
    print_text("tried ");
    print_number(tried, 10);
    report(" refused ", refused);
}
#endif
void kernel_main(void)
{
#ifdef XEN
    try_to_escape();
#endif
    set_stack((u32)stack_top - 4096); // below what kernel_main() itself uses
    user(user_null, 1, 0);
    report("null ", user(user_null, ROUNDS, 0) / ROUNDS);
    u32 sum = 0;
    for (u32 n = 0; n < 2 + FORKS; n++) {
        u32 from = rdtsc();
        forkwait();
        sum += n < 2 ? 0 : rdtsc() - from;
    }
    report("fork ", sum / FORKS);
    for (u32 pages = 0; pages <= 16; pages += 4) {
        u32 cycles = context_switch(pages);
        print_text("switch ");
        print_number(pages, 10);
        report(" ", cycles);
    }
    print_text("KERNEL-OK\n");
    finish();
}
