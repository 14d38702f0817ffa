// PCI configuration and the virtio devices, driven as a driver drives them, and as a hostile one would.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/dev_testkit.h"

#define BAR    0xfe100000u // slot 1
#define DESC   0x10000u
#define AVAIL  0x11000u
#define USED   0x12000u
#define HEADER 0x13000u
#define DATA   0x14000u
#define STATUS 0x15000u

static uint32_t cfg(unsigned slot, unsigned at)
{
    bus_out(m, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
    return bus_in(m, 0xcfc, 4);
}
static void set_cfg(unsigned slot, unsigned at, uint32_t v)
{
    bus_out(m, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
    bus_out(m, 0xcfc, 4, v);
}
static char path[] = "/tmp/ringside-disk-XXXXXX";

static int set_up_disk(void **state)
{
    char sector[512];
    struct sim_error e;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    for (unsigned k = 0; k < 16; k++) {
        memset(sector, 'a' + (int)k, sizeof sector);
        if (fd < 0 || write(fd, sector, sizeof sector) != sizeof sector)
            return -1;
    }
    close(fd);
    struct sim_config c = {.ram_bytes = 32 << 20, .disk = path, .virtio_console = true};
    m = sim_create(&c, &e);
    return m ? 0 : -1;
}
static int tear_down_disk(void **state)
{
    unlink(path);
    return tear_down(state);
}

static void poke(uint64_t at, const void *p, unsigned n) { sim_poke(m, 0, SIM_HOST_PHYSICAL, at, p, n); }
static uint64_t peek(uint64_t at, unsigned n)
{
    uint64_t v = 0;
    sim_peek(m, 0, SIM_HOST_PHYSICAL, at, &v, n);
    return v;
}
static void reg(unsigned off, unsigned size, uint64_t v) { bus_mmio_write(m, (struct hpa){BAR + off}, size, v); }
static uint64_t get(unsigned off, unsigned size) { return bus_mmio_read(m, (struct hpa){BAR + off}, size); }

static void desc(unsigned n, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    poke(DESC + 16 * n, &addr, 8), poke(DESC + 16 * n + 8, &len, 4);
    poke(DESC + 16 * n + 12, &flags, 2), poke(DESC + 16 * n + 14, &next, 2);
}
// The initialisation sequence of the specification, with 8 entries in the queue.
static void start(void)
{
    reg(0x14, 1, 0), reg(0x14, 1, 3);
    assert_int_equal(get(0x14, 1), 3);
    reg(8, 4, 1), reg(12, 4, 1); // VERSION_1
    reg(0x14, 1, 11);
    assert_int_equal(get(0x14, 1), 11);
    reg(0x16, 2, 0), reg(0x18, 2, 8);
    reg(0x20, 4, DESC), reg(0x28, 4, AVAIL), reg(0x30, 4, USED);
    reg(0x1c, 2, 1);
    reg(0x14, 1, 15);
    uint64_t zero[64] = {0};
    poke(AVAIL, zero, sizeof zero), poke(USED, zero, sizeof zero);
}
static void kick(uint16_t idx, uint16_t head)
{
    poke(AVAIL + 4 + 2 * ((idx - 1) % 8), &head, 2);
    poke(AVAIL + 2, &idx, 2);
    reg(0x3000, 2, 0);
}
static void request(uint16_t idx, uint32_t type, uint64_t sector, uint32_t bytes, bool write)
{
    const struct {
        uint32_t type, zero;
        uint64_t sector;
    } h = {type, 0, sector};
    poke(HEADER, &h, sizeof h);
    desc(0, HEADER, 16, 1, 1);
    desc(1, DATA, bytes, write ? 1 : 3, 2);
    desc(2, STATUS, 1, 2, 0);
    uint8_t none = 0xee;
    poke(STATUS, &none, 1);
    kick(idx, 0);
}

static void test_configuration(void **state)
{
    assert_int_equal(cfg(0, 0), 0x12378086);
    assert_int_equal(cfg(1, 0), 0x10421af4);
    assert_int_equal(cfg(2, 0), 0x10441af4);
    assert_int_equal(cfg(3, 0), 0x10431af4);
    assert_int_equal(cfg(4, 0), 0xffffffff);
    assert_int_equal(bus_in(m, 0xcfd, 1), 0xff);
    assert_int_equal(cfg(1, 0x10), BAR);
    assert_int_equal(cfg(1, 0x3c) & 0xffff, 0x010a); // INTA#, line 10
    set_cfg(1, 0x10, 0xffffffff);
    assert_int_equal(cfg(1, 0x10), 0xffffc000); // its size
    assert_int_equal(bus_mmio_read(m, (struct hpa){BAR + 0x12}, 2), 0xffff);
    set_cfg(1, 0x10, 0xe0000000);
    assert_int_equal(bus_mmio_read(m, (struct hpa){0xe0000012}, 2), 1); // queues
    set_cfg(1, 0x10, 0x100000);                                         // over RAM: not decoded
    assert_false(bus_mmio_at(m, (struct hpa){0x100000}));
    set_cfg(1, 0, 0x12345678); // read-only
    assert_int_equal(cfg(1, 0), 0x10421af4);
    unsigned at = cfg(1, 0x34) & 0xff, types = 0;
    for (unsigned k = 0; at && k < 10; k++, at = cfg(1, at) >> 8 & 0xff)
        types |= 1u << (cfg(1, at) >> 24);
    assert_int_equal(types, 2 | 4 | 8 | 16); // common, notify, ISR, device
    out8(0xcf9, 0);                          // still the reset port
    assert_int_equal(in8(0xcf9), 0);
}

static void test_disk(void **state)
{
    init_pic(1);
    start();
    assert_int_equal(get(0x2000, 8), 16); // sectors
    request(1, 0, 3, 1024, false);
    assert_int_equal(peek(STATUS, 1), 0);
    assert_int_equal(peek(USED + 2, 2), 1);
    assert_int_equal(peek(USED + 8, 4), 1025);
    assert_int_equal(peek(DATA, 1), 'd');
    assert_int_equal(peek(DATA + 1023, 1), 'e');
    assert_int_equal(bus_irq_ack(m, 0), 0x2a); // line 10
    assert_int_equal(get(0x1000, 1), 1);       // takes it back
    assert_int_equal(get(0x1000, 1), 0);
    poke(DATA, "written", 7);
    request(2, 1, 3, 512, true);
    assert_int_equal(peek(STATUS, 1), 0);
    poke(DATA, "-------", 7);
    request(3, 0, 3, 512, false);
    char back[7];
    sim_peek(m, 0, SIM_HOST_PHYSICAL, DATA, back, 7);
    assert_memory_equal(back, "written", 7);
    FILE *f = fopen(path, "rb"); // the file is as it was
    assert_int_equal(fseek(f, 3 * 512, SEEK_SET), 0);
    assert_int_equal(fgetc(f), 'd');
    fclose(f);
    request(4, 0, 15, 1024, false); // past the end
    assert_int_equal(peek(STATUS, 1), 1);
    request(5, 0, ~0ull, 512, false);
    assert_int_equal(peek(STATUS, 1), 1);
    request(6, 99, 0, 512, false);
    assert_int_equal(peek(STATUS, 1), 2);
}

// The console: prints from queue 1, types into queue 0, where requests wait until something is typed.
static void test_console(void **state)
{
    const uint64_t bar = 0xfe300000;
    const uint32_t seq[][3] = {{0x14, 1, 3},
                               {8, 4, 1},
                               {12, 4, 1},
                               {0x14, 1, 11},
                               {0x16, 2, 0},
                               {0x18, 2, 8},
                               {0x20, 4, DESC},
                               {0x28, 4, AVAIL},
                               {0x30, 4, USED},
                               {0x1c, 2, 1},
                               {0x16, 2, 1},
                               {0x18, 2, 8},
                               {0x20, 4, DESC + 0x8000},
                               {0x28, 4, AVAIL + 0x8000},
                               {0x30, 4, USED + 0x8000},
                               {0x1c, 2, 1}};
    for (unsigned k = 0; k < sizeof seq / sizeof *seq; k++)
        bus_mmio_write(m, (struct hpa){bar + seq[k][0]}, seq[k][1], seq[k][2]);
    sim_input(m, "s", 1); // not ready: goes to the serial port
    assert_int_equal(in8(0x3f8), 's');
    bus_mmio_write(m, (struct hpa){bar + 0x14}, 1, 15);
    desc(0, DATA, 4, 2, 0);
    uint16_t one = 1;
    poke(AVAIL + 2, &one, 2);
    bus_mmio_write(m, (struct hpa){bar + 0x3000}, 2, 0);
    assert_int_equal(peek(USED + 2, 2), 0); // waits
    sim_input(m, "abcdef", 6);
    assert_int_equal(peek(USED + 2, 2), 1);
    assert_int_equal(peek(USED + 8, 4), 4);
    assert_int_equal(peek(DATA, 4), 0x64636261);
    one = 2;
    poke(AVAIL + 2, &one, 2);
    bus_mmio_write(m, (struct hpa){bar + 0x3000}, 2, 0);
    assert_int_equal(peek(DATA, 2), 0x6665); // the rest
    const uint64_t text[2] = {DATA, 3};      // a descriptor: 3 bytes, no flags
    poke(DESC + 0x8000, text, 16);
    poke(DATA, "out", 3);
    one = 1;
    poke(AVAIL + 0x8002, &one, 2);
    bus_mmio_write(m, (struct hpa){bar + 0x3004}, 2, 1);
    assert_string_equal(sim_output(m, NULL), "out");
}

// Queues that make no sense: the device asks for a reset, and works after it.
static void test_hostile(void **state)
{
    for (unsigned k = 0; k < 7; k++) {
        start();
        uint16_t idx = 1, head = 0;
        desc(0, HEADER, 16, 1, 1), desc(1, DATA, 512, 3, 2), desc(2, STATUS, 1, 2, 0);
        switch (k) {
        case 0: desc(1, DATA, 512, 3, 0); break;   // a loop
        case 1: desc(1, DATA, 512, 3, 200); break; // next beyond the queue
        case 2: head = 77; break;                  // head beyond the queue
        case 3: idx = 100; break;                  // more than the queue holds
        case 4: desc(1, DATA, 512, 7, 2); break;   // indirect, not offered
        case 5: desc(1, DATA, 0xffffffff, 3, 2); break;
        case 6: desc(0, HEADER, 16, 3, 1), desc(1, DATA, 512, 1, 2); break; // in before out
        }
        kick(idx, head);
        assert_int_equal(get(0x14, 1) & 0x40, 0x40);
        assert_int_equal(get(0x1000, 1) & 2, 2);
    }
    start();
    reg(0x28, 4, 0xd0000000); // enabled: cannot be moved
    assert_int_equal(get(0x28, 4), AVAIL);
    desc(0, 0xd0000000, 16, 1, 1); // not RAM
    desc(1, DATA, 512, 3, 2), desc(2, STATUS, 1, 2, 0);
    kick(1, 0);
    request(2, 0, 0, 512, false);
    assert_int_equal(peek(STATUS, 1), 0); // the next one works
    reg(0x16, 2, 9);                      // no such queue
    assert_int_equal(get(0x18, 2), 0);
    reg(0x1c, 2, 1);
    reg(0x14, 1, 0);
    reg(8, 4, 0), reg(12, 4, 0), reg(0x14, 1, 11); // without VERSION_1
    assert_int_equal(get(0x14, 1) & 8, 0);
}

// Random writes everywhere must not harm the simulator (run it under the sanitizers).
static void test_random(void **state)
{
    uint64_t r = 88172645463325252ull;
    for (unsigned k = 0; k < 200000; k++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned size = 1u << (r >> 60 & 3), off = (unsigned)(r >> 8) % 0x40, v = (unsigned)(r >> 24);
        if (k % 500 == 0)
            start();
        if (k % 7 == 0)
            bus_mmio_write(m, (struct hpa){BAR + 0x3000 + (off & 4)}, 2, v);
        else if (k % 3 == 0)
            poke((k & 1 ? DESC : AVAIL) + off, &r, size);
        else
            bus_mmio_write(m, (struct hpa){BAR + (off & ~(size - 1))}, size, v & 0x1ffff);
        bus_mmio_read(m, (struct hpa){BAR + (off & ~(size - 1))}, size);
    }
    start();
    request(1, 0, 0, 512, false);
    assert_int_equal(peek(STATUS, 1), 0);
}

int main(void)
{
#define D(name) cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {D(test_configuration), D(test_disk), D(test_console), D(test_hostile), D(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
