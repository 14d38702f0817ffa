// recurse: recursive calls and returns.
volatile unsigned result;
static __attribute__((noinline)) unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
void bench(void) { result = fib(35); }
