// memcpy: an 8-byte copy loop between two buffers that lie a power of two apart.
static unsigned long buffer[2][1 << 14] __attribute__((aligned(1 << 17)));
void bench(void)
{
    for (int round = 0; round < 2000; round++) {
        volatile unsigned long *to = buffer[round & 1];
        const volatile unsigned long *from = buffer[~round & 1];
        for (unsigned i = 0; i < 1 << 14; i++)
            to[i] = from[i];
    }
}
