// sim/linux.c: see sim/linux.h. Offsets below are into the kernel file's first sectors and, equally, into the zero page.
#include "sim/linux.h"

#include <stdlib.h>
#include <string.h>

#include "sim/acpi.h"
#include "sim/inspect.h"
#include "sim/multiboot.h"
#include "sim/ram.h"

#define H_SETUP_SECTS  0x1f1
#define H_BOOT_FLAG    0x1fe
#define H_JUMP         0x201 // its value + 0x202 ends the header
#define H_MAGIC        0x202
#define H_VERSION      0x206
#define H_LOADER       0x210
#define H_LOADFLAGS    0x211
#define H_CODE32_START 0x214
#define H_RAMDISK      0x218
#define H_RAMDISK_SIZE 0x21c
#define H_CMDLINE      0x228
#define H_INITRD_MAX   0x22c
#define H_CMDLINE_SIZE 0x238
#define H_PREF_ADDRESS 0x258
#define H_INIT_SIZE    0x260
#define H_END          0x268
#define Z_ACPI_RSDP    0x070
#define Z_E820_COUNT   0x1e8
#define Z_E820         0x2d0
#define Z_VIDEO_MODE   0x1fa

#define LX_GDT         0x1000
#define LX_ZERO        0x10000 // the zero page (struct boot_params)
#define LX_CMDLINE     0x20000
#define LX_STACK       0x8000

static uint16_t get16(const uint8_t *b, unsigned off) { return (uint16_t)(b[off] | b[off + 1] << 8); }
static uint32_t get32(const uint8_t *b, unsigned off)
{
    uint32_t v;
    memcpy(&v, b + off, 4);
    return v;
}
static uint64_t get64(const uint8_t *b, unsigned off)
{
    uint64_t v;
    memcpy(&v, b + off, 8);
    return v;
}
static void put32(uint8_t *b, unsigned off, uint32_t v) { memcpy(b + off, &v, 4); }

bool linux_is(const void *bytes, uint64_t n) { return n >= H_END && !memcmp((const uint8_t *)bytes + H_MAGIC, "HdrS", 4); }

// The memory map: entries of base, length, type (1 RAM, 2 reserved).
static void e820(uint8_t *zero, uint64_t ram)
{
    uint64_t low_end = ram < 0xc0000000ull ? ram : 0xc0000000ull;
    const struct {
        uint64_t base, len;
        uint32_t type;
    } map[] = {{0, 0x9f000, 1}, {0x9f000, 0x61000, 2}, {0x100000, low_end - 0x100000, 1}, {0x100000000ull, ram - low_end, 1}};
    unsigned n = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *e = zero + Z_E820 + 20 * n;
        if (!map[i].len)
            continue;
        memcpy(e, &map[i].base, 8);
        memcpy(e + 8, &map[i].len, 8);
        memcpy(e + 16, &map[i].type, 4);
        n++;
    }
    zero[Z_E820_COUNT] = (uint8_t)n;
}

static int load_initrd(struct sim_machine *m, const char *path, const uint8_t *head, uint64_t kernel_end, uint8_t *zero,
                       struct sim_error *err)
{
    void *bytes;
    uint64_t n, top = sim_ram_size(m) < 0xc0000000ull ? sim_ram_size(m) : 0xc0000000ull;
    if (loader_read_file(path, &bytes, &n, err) < 0)
        return -1;
    if (top > (uint64_t)get32(head, H_INITRD_MAX) + 1)
        top = (uint64_t)get32(head, H_INITRD_MAX) + 1;
    uint64_t at = n < top ? (top - n) & ~0xfffull : 0;
    int r = at >= kernel_end ? loader_copy(m, path, at, bytes, n, err)
                             : sim_fail(err, SIM_IMAGE,
                                        "%s: the RAM disk of %llu KiB does not fit between the kernel and the end of RAM (%llu "
                                        "MiB); give the machine more RAM",
                                        path, (unsigned long long)(n >> 10), (unsigned long long)(sim_ram_size(m) >> 20));
    free(bytes);
    put32(zero, H_RAMDISK, (uint32_t)at);
    put32(zero, H_RAMDISK_SIZE, (uint32_t)n);
    return r;
}

static int load_cmdline(struct sim_machine *m, const struct sim_linux *how, const uint8_t *head, uint8_t *zero,
                        struct sim_error *err)
{
    const char *s = how->cmdline ? how->cmdline : "";
    if (strlen(s) > get32(head, H_CMDLINE_SIZE))
        return sim_fail(err, SIM_IMAGE, "%s: the command line has %zu characters; this kernel takes %u", how->kernel, strlen(s),
                        get32(head, H_CMDLINE_SIZE));
    put32(zero, H_CMDLINE, LX_CMDLINE);
    return loader_copy(m, how->kernel, LX_CMDLINE, s, strlen(s) + 1, err);
}

// The entry state: 32-bit protected mode, paging off, selectors 10H and 18H, ESI = zero page.
static int enter(struct sim_machine *m, uint64_t entry, struct sim_error *err)
{
    static const uint64_t gdt[] = {0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    if (sim_start_at(m, SIM_START_PROT32, entry, err) < 0 || loader_copy(m, "Linux boot", LX_GDT, gdt, sizeof gdt, err) < 0)
        return -1;
    struct isa_cpu *c = sim_cpu(m, 0);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s].sel = s == ISA_CS ? 0x10 : 0x18;
    c->gdtr = (struct isa_dtr){LX_GDT, sizeof gdt - 1};
    c->gpr[ISA_RSI] = LX_ZERO;
    c->gpr[ISA_RSP] = LX_STACK;
    sim_touch(m, 0);
    return 0;
}

static int load_kernel(struct sim_machine *m, const struct sim_linux *how, const uint8_t *b, uint64_t n, struct sim_loaded *out,
                       struct sim_error *err)
{
    if (!linux_is(b, n) || get16(b, H_BOOT_FLAG) != 0xaa55)
        return sim_fail(err, SIM_IMAGE,
                        "%s: not a bzImage (no HdrS signature at 202H); a kernel of Debian's packages is /boot/vmlinuz-*",
                        how->kernel);
    if (get16(b, H_VERSION) < 0x20c)
        return sim_fail(err, SIM_IMAGE, "%s: boot protocol %x.%02x; 2.12 or later is needed", how->kernel, b[H_VERSION + 1],
                        b[H_VERSION]);
    uint64_t setup = ((b[H_SETUP_SECTS] ? b[H_SETUP_SECTS] : 4) + 1) * 512ull;
    if (setup >= n || !(b[H_LOADFLAGS] & 1))
        return sim_fail(err, SIM_IMAGE, "%s: the image is truncated, or a zImage that loads low", how->kernel);
    uint64_t at = get64(b, H_PREF_ADDRESS), room = get32(b, H_INIT_SIZE), end = at + (room > n - setup ? room : n - setup);
    if (at < 0x100000 || end > sim_ram_size(m) || end > RAM_HOLE_START)
        return sim_fail(err, SIM_IMAGE,
                        "%s: the kernel needs memory up to %llu MiB to unpack itself; the machine has %llu MiB of RAM", how->kernel,
                        (unsigned long long)(end >> 20), (unsigned long long)(sim_ram_size(m) >> 20));
    uint8_t zero[4096] = {0};
    unsigned header_end = H_MAGIC + b[H_JUMP];
    memcpy(zero + H_SETUP_SECTS, b + H_SETUP_SECTS, (header_end < H_END ? H_END : header_end) - H_SETUP_SECTS);
    zero[H_LOADER] = 0xff;
    zero[Z_VIDEO_MODE] = zero[Z_VIDEO_MODE + 1] = 0xff;
    put32(zero, H_CODE32_START, (uint32_t)at);
    e820(zero, sim_ram_size(m));
    put32(zero, Z_ACPI_RSDP, ACPI_RSDP);
    if (acpi_place(m, err) < 0 || loader_copy(m, how->kernel, at, b + setup, n - setup, err) < 0 ||
        load_cmdline(m, how, b, zero, err) < 0 || (how->initrd && load_initrd(m, how->initrd, b, end, zero, err) < 0) ||
        enter(m, at, err) < 0)
        return -1;
    *out = (struct sim_loaded){.image = SIM_IMAGE_LINUX, .lo = at, .hi = end, .entry = at};
    return loader_copy(m, how->kernel, LX_ZERO, zero, sizeof zero, err);
}

int sim_load_linux(struct sim_machine *m, const struct sim_linux *how, struct sim_loaded *out, struct sim_error *err)
{
    struct sim_loaded dummy;
    void *bytes;
    uint64_t n;
    if (loader_read_file(how->kernel, &bytes, &n, err) < 0)
        return -1;
    int r = load_kernel(m, how, bytes, n, out ? out : &dummy, err);
    free(bytes);
    return r;
}
