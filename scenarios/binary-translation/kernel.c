// kernel.c: the nanobenchmarks of Adams and Agesen (ASPLOS 2006) and their forkwait, in a small kernel of its own. See start.S.
//
// It prints one line per benchmark: name, cycles for one operation. It runs on the bare machine (ringside run kernel.bin), and under the VMMs of vmm.c.
#include "paging32.h"

static void put(char c) { outb(0xe9, (u8)c); }
#include "console.h"

#define COW       0x200u // one of the bits that the processor leaves to software: shared until somebody writes
#define USER_CODE 0x40000000u
#define USER_DATA 0x40100000u
#define PAGES     24 // of a program's memory
#define TOUCHED   8  // of which it writes so many
#define ROUNDS    64
#define FORKS     24

extern char user_page[], user_syscall[], user_divzero[], user_pgfault[], user_touch[], divide_error[], page_fault_entry[];
u32 run_user(u32 eip, u32 esp, u32 argument);
u32 loop_nothing(u32 rounds, u32 argument), loop_in(u32 rounds, u32 argument), loop_callret(u32 rounds, u32 argument);
u32 loop_ptemod(u32 rounds, u32 argument), straight(void);
u32 *set_up(void);
void page_fault(u32 at), kernel_main(void);

u32 idt[32][2];
static u32 kernel_tables[4][1024] __attribute__((aligned(4096))); // 16 MiB, identical
static u32 bench_table[1024] __attribute__((aligned(4096)));      // what ptemod writes to
// A process: a directory, and one table for its program (4 MiB from 40000000H).
static struct process {
    u32 directory[1024], table[1024];
} process[2] __attribute__((aligned(4096)));
static struct process *now;
static uint8_t frames[64][PAGE] __attribute__((aligned(4096)));
static uint8_t users[64]; // how many processes map a frame

static inline void write_cr3(struct process *p) { asm volatile("mov %0, %%cr3" : : "r"(p->directory) : "memory"); }
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
static u32 address(u32 frame) { return (u32)frames[frame]; }
static u32 frame_of(u32 entry) { return ((entry & ~0xfffu) - (u32)frames) / PAGE; }
static void copy_page(u32 to, u32 from)
{
    u32 n = PAGE / 4;
    asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}
u32 *set_up(void)
{
    set_gate(idt[0], 8, 0, (u32)divide_error);
    set_gate(idt[14], 8, 0, (u32)page_fault_entry);
    for (u32 k = 0; k < 2; k++) {
        map_identical(kernel_tables, process[k].directory);
        process[k].directory[0x60000000 >> 22] = (u32)bench_table | PRESENT | WRITABLE;
        process[k].directory[USER_CODE >> 22] = (u32)process[k].table | PRESENT | WRITABLE | USER;
        process[k].table[0] = (u32)user_page | PRESENT | USER;
    }
    for (u32 n = 0; n < PAGES; n++)
        process[0].table[256 + n] = address(new_frame()) | PRESENT | WRITABLE | USER;
    now = &process[0];
    return now->directory;
}
// A page fault that is not the nanobenchmark's: a write to a page that is shared until written. The last one who has it keeps it.
void page_fault(u32 at)
{
    u32 *entry = &now->table[at >> 12 & 1023], old = *entry, frame = frame_of(old);
    if (at < USER_DATA || at >= USER_DATA + PAGES * PAGE || !(old & COW)) {
        report("kernel: page fault at ", at);
        outb(0xf4, 1);
    }
    if (users[frame] > 1) {
        u32 fresh = new_frame();
        copy_page(address(fresh), address(frame));
        users[frame]--;
        frame = fresh;
    }
    write_entry(entry, address(frame) | PRESENT | WRITABLE | USER);
    invlpg(at);
}
static void fork(struct process *parent, struct process *child)
{
    for (u32 n = 256; n < 256 + PAGES; n++) {
        u32 entry = (parent->table[n] & ~WRITABLE) | COW;
        users[frame_of(entry)]++;
        write_entry(&parent->table[n], entry);
        write_entry(&child->table[n], entry);
    }
}
static void exit_process(struct process *p)
{
    for (u32 n = 256; n < 256 + PAGES; n++) {
        users[frame_of(p->table[n])]--;
        write_entry(&p->table[n], 0);
    }
}
static u32 user(char *program, u32 argument)
{
    return run_user(USER_CODE + (u32)(program - user_page), USER_DATA + PAGE, argument);
}
// Fork; the child writes some of its pages and exits, while the parent waits; the parent then writes the same pages.
static void forkwait(void)
{
    fork(&process[0], &process[1]);
    write_cr3(now = &process[1]);
    user(user_touch, TOUCHED);
    write_cr3(now = &process[0]);
    exit_process(&process[1]);
    user(user_touch, TOUCHED);
}

static u32 each(u32 (*loop)(u32, u32), u32 argument)
{
    loop(4, argument); // caches and TLBs are warm, and a translator has done what it does once
    u32 empty = loop_nothing(ROUNDS, 0);
    return (loop(ROUNDS, argument) - empty + 8 * ROUNDS) / (16 * ROUNDS);
}
static u32 each_user(char *program)
{
    user(program, 4);
    return user(program, ROUNDS) / ROUNDS;
}
void kernel_main(void)
{
    for (u32 n = 0; n < 3; n++)
        report("once ", straight());
    loop_nothing(1, 0);
    report("in ", each(loop_in, 0));
    report("syscall ", each_user(user_syscall));
    report("callret ", each(loop_callret, 0));
    report("divzero ", each_user(user_divzero));
    report("pgfault ", each_user(user_pgfault));
    write_entry(&bench_table[0], address(new_frame()) | PRESENT | WRITABLE);
    *(volatile u32 *)0x60000000 = 1; // the table is in use
    report("ptemod ", each(loop_ptemod, (u32)&bench_table[5]));
    u32 sum = 0;
    for (u32 n = 0; n < 2 + FORKS; n++) {
        u32 from = rdtsc();
        forkwait();
        sum += n < 2 ? 0 : rdtsc() - from;
    }
    report("forkwait ", sum / FORKS);
    print_text("KERNEL-OK\n");
}
