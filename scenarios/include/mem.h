// mem.h: for freestanding C of 32 and 64 bits: memcpy and memset, which the compiler calls where it likes. Include it in one file of a program; others declare them.
#ifndef MEM_H
#define MEM_H

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n), *memset(void *to, int v, __SIZE_TYPE__ n);
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
    void *d = to;
    asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
    return to;
}
void *memset(void *to, int v, __SIZE_TYPE__ n)
{
    void *d = to;
    asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
    return to;
}

#endif
