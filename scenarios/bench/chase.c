// chase: a pointer chase through 64 MiB, a new page every time: no cache of translations holds it.
#include "needs.h"

NEEDS(96);
#define PAGES 16384
static void **ring = (void **)0x2000000;
volatile void *result;
void bench(void)
{
    for (unsigned k = 0; k < PAGES; k++) {
        unsigned long from = k * 6151ul % PAGES, to = (k + 1) * 6151ul % PAGES;
        ring[from * 512 + from % 8 * 8] = &ring[to * 512 + to % 8 * 8];
    }
    void **p = ring;
    for (unsigned i = 0; i < 20000000; i++)
        p = *p;
    result = p;
}
