// syscall: SYSCALL and SYSRET between ring 3 and ring 0.
extern char syscall_entry[];
extern void user_calls(unsigned n);
static void wrmsr(unsigned msr, unsigned long v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((unsigned)v), "d"((unsigned)(v >> 32)));
}
void bench(void)
{
    wrmsr(0xc0000081, 0x1bul << 48 | 8ul << 32); // STAR: user segments from 1BH, kernel from 08H
    wrmsr(0xc0000082, (unsigned long)syscall_entry);
    wrmsr(0xc0000084, 0);
    user_calls(8000000);
}
