// mix.c: random reads over more pages than the TLBs hold, and changes of page tables in between: shadow page tables or EPT, which is faster? See start.S.
//
// It prints a line for each share of changes: how many for 1024 reads, cycles per read with them.
#include "paging32.h"

static void put(char c) { outb(0xe9, (u8)c); }
#include "console.h"

#define PAGES  2048u // 8 MiB, the upper half of memory
#define WINDOW 0x60000000u
#define READS  8192u

u32 *set_up(void);
void page_fault(u32 at), kernel_main(void);
u32 idt[32][2];
static u32 directory[1024] __attribute__((aligned(4096))), kernel_tables[4][1024] __attribute__((aligned(4096)));
static u32 tables[2][1024] __attribute__((aligned(4096)));
static u32 seed = 1;

static void number(u32 v, char end)
{
    print_number(v, 10);
    put(end);
}
u32 *set_up(void)
{
    map_identical(kernel_tables, directory);
    for (u32 n = 0; n < PAGES; n++)
        tables[n >> 10][n & 1023] = (2048 + n) * PAGE | PRESENT | WRITABLE;
    for (u32 n = 0; n < 2; n++)
        directory[(WINDOW >> 22) + n] = (u32)tables[n] | PRESENT | WRITABLE;
    return directory;
}
void page_fault(u32 at)
{
    number(at, '!');
    outb(0xf4, 1);
}
static u32 random_page(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 16 & (PAGES - 1);
}
// A page gets another frame.
static void change(void)
{
    u32 n = random_page(), *entry = &tables[n >> 10][n & 1023], v = *entry ^ PAGE;
    write_entry(entry, v);
    invlpg(WINDOW + n * PAGE);
}
// READS reads, and `share` changes for each 1024 of them.
static u32 mix(u32 share)
{
    u32 from = rdtsc(), due = 0;
    for (u32 n = 0; n < READS; n++) {
        u32 page = random_page();
        (void)*(volatile u32 *)(WINDOW + page * PAGE + (page * 64 & 0xfc0));
        for (due += share; due >= 1024; due -= 1024)
            change();
    }
    return (rdtsc() - from) / READS;
}
void kernel_main(void)
{
    for (u32 n = 0; n < PAGES; n++)
        (void)*(volatile u32 *)(WINDOW + n * PAGE);
    mix(0);
    number(0, ' '), number(mix(0), '\n');
    for (u32 share = 1; share <= 1024; share *= 2)
        number(share, ' '), number(mix(share), '\n');
}
