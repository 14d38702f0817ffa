// sieve: the sieve of Eratosthenes, bytes: loads, stores and short loops.
static unsigned char composite[1 << 20];
volatile unsigned primes;
void bench(void)
{
    for (int round = 0; round < 12; round++) {
        unsigned n = sizeof composite, count = 0;
        for (unsigned i = 0; i < n; i++)
            composite[i] = 0;
        for (unsigned i = 2; i < n; i++) {
            if (composite[i])
                continue;
            count++;
            for (unsigned k = i + i; k < n; k += i)
                composite[k] = 1;
        }
        primes = count;
    }
}
