// repmovs: the same copy by REP MOVSQ.
static unsigned long buffer[2][1 << 14] __attribute__((aligned(1 << 17)));
void bench(void)
{
    for (int round = 0; round < 4000; round++) {
        void *to = buffer[round & 1], *from = buffer[~round & 1];
        unsigned long n = 1 << 14;
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    }
}
