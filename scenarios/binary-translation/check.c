// check.c: a guest that does what a translator may get wrong, and prints what came of it. On the bare machine and under each VMM the lines must be the same.
// See start.S.
#include "paging32.h"

static void put(char c) { outb(0xe9, (u8)c); }
#include "console.h"

#define WINDOW 0x60000000u

u32 run_user(u32 eip, u32 esp, u32 argument);
u32 *set_up(void);
void page_fault(u32 at), kernel_main(void);
extern char divide_error[], page_fault_entry[], user_page[];
u32 idt[32][2];
static u32 directory[1024] __attribute__((aligned(4096))), kernel_tables[4][1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096))), user_table[1024] __attribute__((aligned(4096)));
static u32 pages[4][1024] __attribute__((aligned(4096)));
static u32 faults, last_fault;

static void report(const char *name, u32 v)
{
    print_text(name);
    for (int n = 28; n >= 0; n -= 4)
        print_number(v >> n & 15, 16);
    put('\n');
}
void protection(void);
asm("protection: movl 4(%esp), %eax; movl %eax, protection_eip; addl $4, %esp; incl (%esp); iret\n" // the instruction is 1 byte long
    ".section .data; protection_eip: .long 0; .text");
extern u32 protection_eip;
u32 *set_up(void)
{
    set_gate(idt[0], 8, 0, (u32)divide_error);
    set_gate(idt[13], 8, 0, (u32)protection);
    set_gate(idt[14], 8, 0, (u32)page_fault_entry);
    map_identical(kernel_tables, directory);
    directory[WINDOW >> 22] = (u32)table | PRESENT | WRITABLE;
    directory[0x40000000 >> 22] = (u32)user_table | PRESENT | WRITABLE | USER;
    user_table[0] = (u32)user_page | PRESENT | USER;
    user_table[1] = (u32)pages[3] | PRESENT | WRITABLE | USER;
    for (u32 n = 0; n < 4; n++)
        for (u32 k = 0; k < 1024; k++)
            pages[n][k] = n * 0x11111111 + k;
    return directory;
}
// A page fault of the kernel: the page that is touched comes to be there.
void page_fault(u32 at)
{
    faults++;
    last_fault = at;
    table[at >> 12 & 1023] = (u32)pages[1] | PRESENT | WRITABLE;
}

static void control_flow(void)
{
    u32 a, b;
    asm volatile("xorl %0, %0; stc; call 1f; adcl $0, %0; std; call 1f; pushfl; popl %1; cld; jmp 2f\n1: ret\n2:"
                 : "=&r"(a), "=&r"(b)
                 :
                 : "cc");
    report("flags across CALL and RET ", a | (b & 0xcd5) << 8);
    asm volatile("xorl %0, %0; movl $5, %%ecx; 1: incl %0; loop 1b; jecxz 2f; addl $100, %0; 2: movl $3, %%ecx; 3: incl %0; cmpl "
                 "$7, %0; loopne 3b"
                 : "=&r"(a)
                 :
                 : "ecx", "cc");
    report("LOOP, JECXZ, LOOPNE ", a);
    asm volatile("movl $1f, %%eax; call *%%eax; movl %%eax, %0; jmp 3f\n1: call *2f\n4: ret\n2: .long 5f\n5: pushl $6f; ret\n6: "
                 "movl $77, %%eax; ret\n3:"
                 : "=r"(a)
                 :
                 : "eax");
    report("CALL through registers and memory, PUSH and RET ", a);
    asm volatile("pushl $1; pushl $2; movl %%esp, %0; call 1f; subl %%esp, %0; jmp 2f\n1: ret $8\n2:" : "=&r"(a) : : "cc");
    report("RET 8 ", a);
    asm volatile("pushfl; pushl %%cs; pushl $1f; iret; 1: movl %%cs, %0; movl %%ss, %1" : "=r"(a), "=r"(b) : : "cc", "memory");
    report("IRET in the kernel, CS and SS ", a << 16 | b);
    asm volatile("pushl %%ds; pushl %%ss; popl %0; pushl %%es; popl %%ds; pushl %%ds; popl %1; popl %%es"
                 : "=r"(a), "=r"(b)
                 :
                 : "memory");
    report("PUSH and POP of segment registers ", a << 16 | b);
}
static void flags(void)
{
    u32 a, b, c;
    asm volatile("cli; pushfl; popl %0; movl %0, %2; orl $0x200, %2; pushl %2; popfl; pushfl; popl %1; cli; pushfl; popl %2"
                 : "=&r"(a), "=&r"(b), "=&r"(c)
                 :
                 : "cc");
    report("CLI, POPF, PUSHF ", (a >> 9 & 1) | (b >> 9 & 1) << 1 | (c >> 9 & 1) << 2);
    asm volatile("movl %%cr0, %0; movl %%cr3, %1" : "=r"(a), "=r"(b));
    report("CR0 ", a);
    report("CR3 ", b);
}
static void copied(void)
{
    u32 a = 0x12345678, b = 3;
    asm volatile("bswapl %0; rorw $3, %w0; btsl $30, %0; shldl $5, %0, %1; cmpl %0, %1; setb %b1; cmovbl %1, %0; imull $-7, %1, "
                 "%1; xaddl %1, %0; bsrl %0, %1"
                 : "+r"(a), "+q"(b)
                 :
                 : "cc");
    report("instructions that are copied ", a);
    report("and the other register ", b);
    asm volatile("pushw $0x1234; pushw $0x5678; popl %0; movw $9, %w0; movsbl %b0, %1; lock; addl %1, pages; movl pages, %1"
                 : "=&q"(a), "=&r"(b)
                 :
                 : "cc", "memory");
    report("16 bits, LOCK ", a ^ b << 8);
}
static void exceptions(void)
{
    static const uint8_t program[] = {0xfa, 0xb8, 1,    0,    0,
                                      0,    0x89, 0xfb, 0x0f, 0x34}; // cli; mov $1, %eax; mov %edi, %ebx; sysenter
    u32 a, b;
    asm volatile("xorl %%ecx, %%ecx; movl $5, %%eax; cltd; divl %%ecx; movl %%eax, %0" : "=r"(a) : : "eax", "ecx", "edx", "cc");
    report("divide error in the kernel ", a);
    asm volatile("movl $0x50000000, %%ecx; movl $9, %%eax; movl (%%ecx), %%eax; movl %%eax, %0" : "=r"(a) : : "eax", "ecx");
    report("page fault in the kernel, skipped ", a);
    a = *(volatile u32 *)(WINDOW + 7 * PAGE + 8);
    report("page fault in the kernel, mended ", a ^ faults << 16 ^ last_fault);
    for (u32 n = 0; n < sizeof program; n++)
        ((volatile uint8_t *)pages[3])[n] = program[n];
    b = run_user(0x40001000, 0x40001800, 42);
    report("a program, its result ", b);
    report("CLI of the program faults at ", protection_eip);
}
// Stores to a page table in use, in the forms that there are.
static void page_tables(void)
{
    volatile u32 *at = (volatile u32 *)(WINDOW + 16 * PAGE);
    u32 sum = 0, entry[3];
    for (u32 n = 0; n < 3; n++)
        entry[n] = (u32)pages[n] | PRESENT | WRITABLE;
    for (u32 round = 0; round < 3; round++) { // each form three times: before and after it is adapted
        asm volatile("movl %1, %0" : "=m"(table[16]) : "r"(entry[round]));
        invlpg((u32)at);
        sum = sum * 31 + *at;
        asm volatile("movl $16, %%ecx; movl %0, %%eax; movl %%eax, table(, %%ecx, 4)"
                     :
                     : "m"(entry[(round + 1) % 3])
                     : "eax", "ecx", "memory");
        invlpg((u32)at);
        sum = sum * 31 + *at;
        asm volatile("movl $table + 200, %%eax; movl %0, %%ecx; movl %%ecx, -136(%%eax)"
                     :
                     : "m"(entry[(round + 2) % 3])
                     : "eax", "ecx", "memory");
        invlpg((u32)at);
        sum = sum * 31 + *at;
        asm volatile("stc; movl $0, table + 64; adcl $0, %0"
                     : "+r"(sum)
                     :
                     : "cc", "memory"); // not there: the next access faults; the carry is kept
        invlpg((u32)at);
        sum = sum * 31 + *at;
    }
    report("stores to a page table ", sum);
    table[16] = 0;
    invlpg((u32)at);
    asm volatile("orl %1, %0" : "+m"(table[16]) : "r"(entry[2]) : "cc"); // not a plain store
    sum = *at;
    asm volatile("xchgl %1, %0" : "+m"(table[16]), "+r"(entry[0]) : : "memory");
    invlpg((u32)at);
    sum = sum * 31 + *at;
    u32 to = (u32)&table[16], n = 4;
    asm volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(entry[1]) : "memory");
    invlpg((u32)at);
    invlpg((u32)at + 3 * PAGE);
    sum = sum * 31 + *at + at[3 * 1024];
    report("other stores to it ", sum);
    report("accessed and dirty ", (table[16] & 0x60) | (at[3 * 1024] = 1, table[19] & 0x60) << 8);
    report("faults ", faults);
}
void kernel_main(void)
{
    for (u32 n = 0; n < 3; n++) { // translated, chained, and once more
        faults = 0;
        control_flow();
        flags();
        copied();
        exceptions();
        page_tables();
        table[7] = 0;
        invlpg(WINDOW + 7 * PAGE);
    }
    report("CHECK-OK ", 0);
}
