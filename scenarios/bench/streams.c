// streams: four streams, 8 MiB apart, read and written in step: a cache indexed by some low bits of the page number keeps one of them. (No more of
// them than a set of the smallest modelled TLB holds: what that loses is its own cost, which chase measures.)
#include "needs.h"

NEEDS(64);
#define STREAMS 4
#define APART   0x800000ul
#define WORDS   (1u << 15)
void bench(void)
{
    for (int round = 0; round < 250; round++)
        for (unsigned i = 0; i < WORDS; i++)
            for (unsigned long s = 0; s < STREAMS; s += 2) {
                volatile unsigned long *from = (unsigned long *)(0x2000000 + s * APART);
                from[APART / 8 + i] = from[i] + s;
            }
}
