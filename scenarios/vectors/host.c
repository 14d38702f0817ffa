// host.c: vectors() as a program of the host. Exit status 3: its processor has not what it takes.
#include <stdio.h>

#include "vectors.h"

void put(char c) { putchar(c); }

int main(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
        return 3;
    vectors();
    return 0;
}
