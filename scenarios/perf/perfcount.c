// scenarios/perf/perfcount.c: a Linux program that has the kernel's perf_event driver use the machine's performance counters, and checks what
// they say: exact numbers of instructions and branches of loops that are known, rings kept apart, overflow interrupts as often as they must come,
// and RDPMC in user mode. docs/tools/fetch-guests.sh puts it into a RAM disk. Prints PERF-OK, or what is wrong.
#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

static unsigned wrong;

static void check(int ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("perf: %s: ", ok ? "ok" : "WRONG");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    wrong += !ok;
}

enum { USER = 1, KERNEL = 2 };

static int open_event(uint64_t config, int rings, uint64_t period)
{
    struct perf_event_attr a = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof a,
        .config = config,
        .sample_period = period,
        .disabled = 1,
        .pinned = 1, // never by turns
        .exclude_user = !(rings & USER),
        .exclude_kernel = !(rings & KERNEL),
        .exclude_hv = 1,
    };
    int fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
    if (fd < 0)
        check(0, "perf_event_open of event %llu: %s", (unsigned long long)config, strerror(errno));
    return fd;
}

// Two instructions and a branch in each turn.
static void turns(uint64_t n) { __asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc"); }

static void calls(unsigned n)
{
    while (n--)
        syscall(SYS_getppid);
}

static uint64_t value(int fd)
{
    uint64_t v = 0;
    return read(fd, &v, 8) == 8 ? v : 0;
}

static uint64_t count(int fd, uint64_t loop, unsigned ncalls)
{
    ioctl(fd, PERF_EVENT_IOC_RESET, 0);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    if (loop)
        turns(loop);
    calls(ncalls);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    return value(fd);
}

// What the loop adds, without what starting and stopping the counter costs. An interrupt adds one: its IRET ends in ring 3.
static void exact(const char *what, uint64_t config, unsigned per_turn)
{
    const int fd = open_event(config, USER, 0);
    if (fd < 0)
        return;
    const uint64_t n = 100000, some = count(fd, n, 0), more = count(fd, 3 * n, 0), want = 2 * n * per_turn;
    check(more - some >= want && more - some < want + 10,
          "%s in ring 3 of %llu turns: %llu, should be %llu and at most some interrupts", what, (unsigned long long)(2 * n),
          (unsigned long long)(more - some), (unsigned long long)want);
    close(fd);
}

static void rings(void)
{
    const int user = open_event(PERF_COUNT_HW_INSTRUCTIONS, USER, 0), kernel = open_event(PERF_COUNT_HW_INSTRUCTIONS, KERNEL, 0);
    if (user < 0 || kernel < 0)
        return;
    const uint64_t u = count(user, 0, 1100) - count(user, 0, 100), k = count(kernel, 0, 1100) - count(kernel, 0, 100);
    check(u > 2000 && u < 50000, "1000 system calls in ring 3: %llu instructions", (unsigned long long)u);
    check(k > 20000 && k > u, "and in ring 0: %llu", (unsigned long long)k);
    close(user), close(kernel);
}

static volatile sig_atomic_t signals;
static void on_signal(int n) { signals = signals + (n == SIGIO); }

static void sampling(const char *what, uint64_t config, unsigned per_turn)
{
    const uint64_t period = 20000, n = 400000;
    const int fd = open_event(config, USER, period);
    if (fd < 0)
        return;
    signal(SIGIO, on_signal);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
    fcntl(fd, F_SETOWN, getpid());
    signals = 0;
    const uint64_t total = count(fd, n, 0), want = total / period;
    check(total >= n * per_turn && signals + 1u >= want && (unsigned)signals <= want + 1,
          "%s: %u overflow interrupts of %llu events, one every %llu", what, (unsigned)signals, (unsigned long long)total,
          (unsigned long long)period);
    close(fd);
}

static uint64_t rdpmc(uint32_t counter)
{
    uint32_t lo, hi;
    __asm__ volatile("rdpmc" : "=a"(lo), "=d"(hi) : "c"(counter));
    return lo | (uint64_t)hi << 32;
}

static void user_rdpmc(void)
{
    const int fd = open_event(PERF_COUNT_HW_INSTRUCTIONS, USER, 0);
    struct perf_event_mmap_page *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || p == MAP_FAILED || !p->cap_user_rdpmc) {
        check(0, "no RDPMC in user mode");
        return;
    }
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    const uint32_t counter = p->index - 1; // of the fixed-function counter: 40000000H and its number
    const uint64_t before = rdpmc(counter);
    turns(1000);
    const uint64_t after = rdpmc(counter), got = (after - before) & ((1ull << p->pmc_width) - 1);
    check(p->index && got >= 2000 && got < 2020, "RDPMC of counter %xH around 1000 turns: %llu instructions", counter,
          (unsigned long long)got);
    close(fd);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    exact("instructions", PERF_COUNT_HW_INSTRUCTIONS, 2);
    exact("branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 1);
    rings();
    sampling("instructions", PERF_COUNT_HW_INSTRUCTIONS, 2);
    sampling("cycles", PERF_COUNT_HW_CPU_CYCLES, 2);
    sampling("branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 1);
    sampling("reference cycles", PERF_COUNT_HW_REF_CPU_CYCLES, 2);
    user_rdpmc();
    const int missing =
        (int)syscall(SYS_perf_event_open,
                     &(struct perf_event_attr){
                         .type = PERF_TYPE_HARDWARE, .size = sizeof(struct perf_event_attr), .config = PERF_COUNT_HW_BRANCH_MISSES},
                     0, -1, -1, 0);
    check(missing < 0, "branch misses do not exist: %s", missing < 0 ? strerror(errno) : "opened");
    printf(wrong ? "PERF-WRONG-%u\n" : "PERF-OK\n", wrong);
    return wrong != 0;
}
