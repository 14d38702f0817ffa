// isprime: trial division, the loop of the binary-translation lecture: DIV and branches.
volatile int result;
static int is_prime(int a)
{
    for (int i = 2; i < a; i++)
        if (a % i == 0)
            return 0;
    return 1;
}
void bench(void)
{
    for (int round = 0; round < 8; round++)
        result = is_prime(2999999);
}
