// The Linux boot protocol: a small bzImage of our own that looks at what it is given, and images that lie.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/dev_testkit.h"
#include "sim/linux.h"

#define SETUP 0x400u // one setup sector behind the boot sector

static uint8_t image[0x2000];
static char kernel[32], initrd[32];

static void put(unsigned at, uint64_t v, unsigned n) { memcpy(image + at, &v, n); }

// 32-bit code at the entry: ESI is the zero page. Prints the first byte of the command line and of the RAM disk, then exits.
static const uint8_t code[] = {
    0x8b, 0x86, 0x28, 0x02, 0x00, 0x00, // mov eax, [esi + 228h]
    0x8a, 0x00,                         // mov al, [eax]
    0xe6, 0xe9,                         // out 0e9h, al
    0x8b, 0x86, 0x18, 0x02, 0x00, 0x00, // mov eax, [esi + 218h]
    0x8a, 0x00, 0xe6, 0xe9,             // mov al, [eax]; out 0e9h, al
    0x8b, 0x86, 0x70, 0x00, 0x00, 0x00, // mov eax, [esi + 70h]: the RSDP
    0x8a, 0x00, 0xe6, 0xe9,             // its first letter
    0x8a, 0x86, 0xe8, 0x01, 0x00, 0x00, // mov al, [esi + 1e8h]: entries of the memory map
    0x04, 0x30, 0xe6, 0xe9,             // add al, '0'; out 0e9h, al
    0xb0, 0x07, 0xe6, 0xf4,             // mov al, 7; out 0f4h, al
};

static void write_file(char *path, const void *p, size_t n)
{
    strcpy(path, "/tmp/ringside-linux-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
}

static void good_image(void)
{
    memset(image, 0, sizeof image);
    put(0x1f1, 1, 1);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x66eb, 2); // the header ends at 268H
    memcpy(image + 0x202, "HdrS", 4);
    put(0x206, 0x20f, 2);
    put(0x211, 1, 1);
    put(0x22c, 0x7fffffff, 4);
    put(0x238, 255, 4);
    put(0x258, 0x1000000, 8);
    put(0x260, 0x10000, 4);
    memcpy(image + SETUP, code, sizeof code);
}

static int load(struct sim_error *e, const char *cmdline)
{
    struct sim_linux how = {.kernel = kernel, .initrd = initrd, .cmdline = cmdline};
    write_file(kernel, image, sizeof image);
    write_file(initrd, "initrd", 6);
    int r = sim_load_linux(m, &how, NULL, e);
    unlink(kernel);
    unlink(initrd);
    return r;
}

static void test_boots(void **state)
{
    struct sim_error e;
    struct sim_until u = {.max_insns = 1000};
    good_image();
    assert_int_equal(load(&e, "quiet"), 0);
    struct sim_stop s = sim_run(m, &u);
    assert_int_equal(s.kind, SIM_STOP_EXIT);
    assert_int_equal(s.code, 15);
    assert_string_equal(sim_output(m, NULL), "qiR3"); // three entries: low RAM, reserved, RAM from 1 MiB
}

static void refused(const char *because)
{
    struct sim_error e = {0};
    assert_int_equal(load(&e, "quiet"), -1);
    assert_int_equal(e.status, SIM_IMAGE);
    if (!strstr(e.what, because))
        fail_msg("\"%s\" does not say \"%s\"", e.what, because);
}

static void test_refuses(void **state)
{
    struct sim_error e = {0};
    char longline[300];
    good_image(), put(0x202, 0, 4), refused("bzImage");
    good_image(), put(0x206, 0x204, 2), refused("2.12");
    good_image(), put(0x1f1, 255, 1), refused("truncated");
    good_image(), put(0x211, 0, 1), refused("zImage");
    good_image(), put(0x258, 0xfffffffffffff000ull, 8), refused("memory");
    good_image(), put(0x258, 0x1000, 8), refused("memory");
    good_image(), put(0x260, 0xffffffff, 4), refused("memory");
    good_image(), put(0x22c, 0x1000000, 4), refused("does not fit");
    good_image();
    memset(longline, 'x', sizeof longline - 1);
    longline[sizeof longline - 1] = 0;
    assert_int_equal(load(&e, longline), -1);
    assert_non_null(strstr(e.what, "299 characters"));
}

// A header with random bytes loads or is refused; nothing else happens (run it under the sanitizers).
static void test_random_headers(void **state)
{
    uint64_t r = 88172645463325252ull;
    unsigned loaded = 0;
    for (unsigned k = 0; k < 300; k++) {
        struct sim_error e = {0};
        good_image();
        for (unsigned n = 0; n < 1 + k % 4; n++) {
            r ^= r << 13, r ^= r >> 7, r ^= r << 17;
            image[0x1f1 + (r >> 8) % 0x77] = (uint8_t)(r >> 32);
        }
        loaded += load(&e, "quiet") == 0;
    }
    printf("# random boot headers: 300, of which %u loaded\n", loaded);
    assert_in_range(loaded, 1, 299);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_boots), T(test_refuses), T(test_random_headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
