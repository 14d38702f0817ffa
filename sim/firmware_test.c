// Firmware at the reset vector: a small ROM of our own, images that lie, and the files that are handed over.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/dev_testkit.h"
#include "sim/firmware.h"

#define ROM 0x10000u

static struct sim_error err;

static int load(const uint8_t *b, size_t n)
{
    char path[] = "/tmp/ringside-firmware-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, b, n) == (ssize_t)n);
    close(fd);
    int r = sim_load_firmware(m, path, &err);
    unlink(path);
    return r;
}

// A write to the ROM is ignored; the jump goes to the copy below 1 MiB; the ROM's byte leaves by the exit port.
static void test_reset_vector(void **state)
{
    static const uint8_t top[] = {0x2e, 0xc6, 0x06, 0x00, 0xff, 0x55,         // mov byte [cs:ff00h], 55h
                                  0x2e, 0xa0, 0x00, 0xff,                     // mov al, [cs:ff00h]
                                  0xea, 0x00, 0x00, 0x00, 0xf0},              // jmp f000h:0
        low[] = {0x8c, 0xcb, 0x80, 0xff, 0xf0, 0x75, 0x02, 0xe6, 0xf4, 0xf4}; // mov bx, cs; cmp bh, f0h; jne +2; out f4h, al; hlt
    uint8_t *b = calloc(1, ROM);
    assert_non_null(b);
    b[0xff00] = 0x21;
    memcpy(b + 0xfff0, top, sizeof top);
    memcpy(b, low, sizeof low);
    assert_int_equal(load(b, ROM), 0);
    free(b);
    uint8_t seen[2] = {0};
    assert_int_equal(sim_peek(m, 0, SIM_HOST_PHYSICAL, 0xffffff00, seen, 1), 1);
    assert_int_equal(seen[0], 0x21);
    struct sim_until u = {.max_insns = 100};
    struct sim_stop s = sim_run(m, &u);
    assert_int_equal(s.kind, SIM_STOP_EXIT);
    assert_int_equal(s.code, 0x21 << 1 | 1);
}

static uint32_t big(void)
{
    uint32_t v = 0;
    for (unsigned k = 0; k < 4; k++)
        v = v << 8 | in8(0x511);
    return v;
}

// The loader's commands, carried out as a firmware does, give tables whose pointers lead to tables and whose sums are zero.
static uint8_t file[2][0x2000];
static uint32_t file_size[2];

static void read_file(const char *want, uint8_t *to, uint32_t *n)
{
    char name[56];
    bus_out(m, 0x510, 2, 0x19);
    for (uint32_t count = big(); count; count--) {
        *n = big();
        unsigned key = big() >> 16;
        for (unsigned k = 0; k < 56; k++)
            name[k] = (char)in8(0x511);
        if (strcmp(name, want))
            continue;
        bus_out(m, 0x510, 2, key);
        assert_true(*n <= 0x2000);
        for (unsigned k = 0; k < *n; k++)
            to[k] = (uint8_t)in8(0x511);
        return;
    }
    fail_msg("no file %s", want);
}

static void test_acpi_files(void **state)
{
    static const uint32_t base[2] = {0xf0000, 0x3000000};
    static uint8_t loader[0x2000];
    uint8_t *b = calloc(1, ROM);
    uint32_t n, sums = 0;
    assert_non_null(b);
    assert_int_equal(load(b, ROM), 0);
    free(b);
    read_file("etc/acpi/rsdp", file[0], &file_size[0]);
    read_file("etc/acpi/tables", file[1], &file_size[1]);
    read_file("etc/table-loader", loader, &n);
    for (uint8_t *c = loader; c < loader + n; c += 128) {
        unsigned which = !strcmp((char *)c + 4, "etc/acpi/tables");
        uint32_t at, start, len;
        if (c[0] == 2) {
            uint64_t v = 0;
            memcpy(&at, c + 116, 4);
            assert_true(at + c[120] <= file_size[which]);
            memcpy(&v, file[which] + at, c[120]);
            assert_true(v < file_size[1]);
            v += base[1];
            memcpy(file[which] + at, &v, c[120]);
        } else if (c[0] == 3) {
            memcpy(&at, c + 60, 4);
            memcpy(&start, c + 64, 4);
            memcpy(&len, c + 68, 4);
            uint8_t sum = 0;
            for (uint32_t k = 0; k < len; k++)
                sum += file[which][start + k];
            file[which][at] -= sum;
            sums++;
        }
    }
    assert_int_equal(sums, 6); // XSDT, FADT, MADT, DSDT, and two of the RSDP
    uint64_t xsdt, fadt;
    memcpy(&xsdt, file[0] + 24, 8);
    assert_memory_equal(file[1] + (xsdt - base[1]), "XSDT", 4);
    memcpy(&fadt, file[1] + (xsdt - base[1]) + 36, 8);
    assert_memory_equal(file[1] + (fadt - base[1]), "FACP", 4);
}

static void test_refuses(void **state)
{
    static const uint8_t b[513];
    assert_int_equal(load(b, 0), -1);
    assert_int_equal(load(b, sizeof b), -1);
    assert_int_equal(err.status, SIM_IMAGE);
    assert_int_equal(sim_load_firmware(m, "/nonexistent", &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_reset_vector), T(test_acpi_files), T(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
