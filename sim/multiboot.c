// sim/multiboot.c: Multiboot 1: find the header, load by ELF or by the header's addresses, build the information block, enter at the contract.
// SOURCE  "Multiboot Specification version 0.6.96", sections "The layout of Multiboot header", "Machine state", "Boot information format".
#include "sim/multiboot.h"

#include <stdlib.h>
#include <string.h>

#include "sim/acpi.h"
#include "sim/elf.h"
#include "sim/inspect.h"

#define MB_MAGIC          0x1badb002u
#define MB_BOOT_MAGIC     0x2badb002u
#define MB_INFO           0x9000u // information block, below 1 MiB and not in page 0
#define MB_INFO_END       0x10000u
#define MB_FLAG_ADDRESSES (1u << 16)

int64_t multiboot_find(const void *bytes, uint64_t n)
{
    const uint8_t *b = bytes;
    for (uint64_t off = 0; off + 12 <= n && off < 8192; off += 4) {
        uint32_t w[3];
        memcpy(w, b + off, sizeof w);
        if (w[0] == MB_MAGIC && w[0] + w[1] + w[2] == 0)
            return (int64_t)off;
    }
    return -1;
}

// Load by the addresses in the header (flag bit 16), for images that are not ELF.
static int load_by_header(struct sim_machine *m, const char *name, const uint8_t *b, uint64_t n, uint64_t off,
                          struct sim_loaded *out, struct sim_error *err)
{
    uint32_t w[8];
    if (off + sizeof w > n)
        return sim_fail(err, SIM_IMAGE, "%s: the Multiboot header at 0x%llx is truncated", name, (unsigned long long)off);
    memcpy(w, b + off, sizeof w);
    uint32_t header = w[3], load = w[4], load_end = w[5], bss_end = w[6];
    if (load > header || header - load > off)
        return sim_fail(err, SIM_IMAGE,
                        "%s: Multiboot header_addr 0x%x and load_addr 0x%x do not fit its place in the file (0x%llx)", name, header,
                        load, (unsigned long long)off);
    uint64_t from = off - (header - load), size = load_end ? (uint64_t)load_end - load : n - from;
    if (load_end && (load_end < load || size > n - from))
        return sim_fail(err, SIM_IMAGE, "%s: Multiboot load_end_addr 0x%x lies beyond the file: the image is truncated", name,
                        load_end);
    if (bss_end && bss_end < load + size)
        return sim_fail(err, SIM_IMAGE, "%s: Multiboot bss_end_addr 0x%x lies inside the loaded part", name, bss_end);
    if (loader_copy(m, name, load, b + from, size, err) < 0)
        return -1;
    out->lo = load;
    out->hi = bss_end ? bss_end : load + size;
    out->entry = w[7];
    uint64_t zeros = bss_end ? bss_end - (load + size) : 0;
    if (zeros > sim_ram_size(m))
        return sim_fail(err, SIM_IMAGE, "%s: bss of 0x%llx bytes does not fit in RAM", name, (unsigned long long)zeros);
    uint8_t *z = calloc(1, zeros + 1);
    int r = z ? loader_copy(m, name, load + size, z, zeros, err) : sim_fail(err, SIM_IMAGE, "%s: out of memory", name);
    free(z);
    return r;
}

// What a BIOS leaves in its data area and kernels look at: the first serial port, the EBDA's segment, KiB of base memory. All agree with the memory map.
static int bios_data_area(struct sim_machine *m, const char *name, struct sim_error *err)
{
    static const struct {
        uint16_t at, value;
    } words[] = {{0x400, 0x3f8}, {0x40e, 0x9f00}, {0x413, 0x9f000 >> 10}};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (loader_copy(m, name, words[i].at, &words[i].value, 2, err) < 0)
            return -1;
    return 0;
}

// There is no firmware behind this loader, but some kernels (Xen) go back to real mode to ask one. Each software interrupt returns with the
// carry flag set, which says that the service does not exist. F000:FF53 is where PC firmware has its IRET for interrupts without a handler.
static int no_bios_services(struct sim_machine *m, const char *name, struct sim_error *err)
{
    static const uint8_t fail[] = {0x55, 0x89, 0xe5, 0x80, 0x4e,
                                   0x06, 0x01, 0x5d, 0xcf}; // push bp; mov bp, sp; or byte [bp+6], 1; pop bp; iret
    uint32_t vectors[256];
    for (unsigned n = 0; n < 256; n++)
        vectors[n] = 0xf000ff53;
    return loader_copy(m, name, 0xfff53, fail, sizeof fail, err) < 0 ? -1 : loader_copy(m, name, 0, vectors, sizeof vectors, err);
}

// The information block being laid out in memory.
struct info {
    uint8_t b[MB_INFO_END - MB_INFO];
    uint32_t used;
};

static uint32_t place(struct info *i, const void *p, uint32_t n)
{
    if (n > sizeof i->b - i->used)
        return 0;
    uint32_t at = MB_INFO + i->used;
    memcpy(i->b + i->used, p, n);
    i->used = (i->used + n + 3) & ~3u;
    return at;
}

static int load_modules(struct sim_machine *m, const struct sim_load *how, struct info *info, uint64_t at, uint32_t *mods,
                        struct sim_error *err)
{
    uint32_t table[8][4];
    memset(table, 0, sizeof table);
    for (unsigned i = 0; i < how->nmodules; i++) {
        void *bytes;
        uint64_t n;
        at = (at + 0xfff) & ~0xfffull;
        if (loader_read_file(how->modules[i].path, &bytes, &n, err) < 0)
            return -1;
        int r = loader_copy(m, how->modules[i].path, at, bytes, n, err);
        free(bytes);
        if (r < 0)
            return -1;
        const char *s = how->modules[i].string ? how->modules[i].string : how->modules[i].path;
        table[i][0] = (uint32_t)at;
        table[i][1] = (uint32_t)(at + n);
        table[i][2] = place(info, s, (uint32_t)strlen(s) + 1);
        if (!table[i][2])
            return sim_fail(err, SIM_IMAGE, "%s: the module strings do not fit in the Multiboot information block",
                            how->modules[i].path);
        at += n;
    }
    *mods = place(info, table, how->nmodules * 16);
    return 0;
}

// One memory-map entry: size (of the rest), base, length, type 1 = RAM, 2 = reserved.
static void map_entry(uint8_t *p, uint64_t base, uint64_t len, uint32_t type)
{
    uint32_t size = 20;
    memcpy(p, &size, 4);
    memcpy(p + 4, &base, 8);
    memcpy(p + 12, &len, 8);
    memcpy(p + 20, &type, 4);
}

static int build_info(struct sim_machine *m, const char *name, const struct sim_load *how, uint64_t hi, struct sim_error *err)
{
    struct info *info = calloc(1, sizeof *info);
    if (!info)
        return sim_fail(err, SIM_IMAGE, "%s: out of memory", name);
    uint64_t ram = sim_ram_size(m), low_end = ram < 0xc0000000ull ? ram : 0xc0000000ull;
    uint32_t w[13] = {0};
    info->used = 120;
    uint8_t map[24 * 4];
    unsigned nmap = 0;
    map_entry(map + 24 * nmap++, 0, 0x9f000, 1);
    map_entry(map + 24 * nmap++, 0x9f000, 0x61000, 2);
    if (low_end > 0x100000)
        map_entry(map + 24 * nmap++, 0x100000, low_end - 0x100000, 1);
    if (ram > low_end)
        map_entry(map + 24 * nmap++, 0x100000000ull, ram - low_end, 1);
    const char *args = how->cmdline ? how->cmdline : "";
    size_t cmdlen = strlen(name) + 1 + strlen(args) + 1;
    char *cmd = calloc(1, cmdlen);
    int r = -1;
    if (cmd) {
        strcpy(cmd, name);
        if (*args)
            strcat(strcat(cmd, " "), args);
        uint32_t mods = 0;
        w[0] = 0x01 | 0x04 | 0x40 | (how->nmodules ? 0x08 : 0);
        w[1] = 0x9f000 >> 10;
        w[2] = low_end > 0x100000 ? (uint32_t)((low_end - 0x100000) >> 10) : 0;
        w[4] = place(info, cmd, (uint32_t)cmdlen);
        if (!w[4]) {
            r = sim_fail(err, SIM_IMAGE, "%s: the command line is too long for the Multiboot information block", name);
        } else {
            r = load_modules(m, how, info, hi, &mods, err);
            w[5] = how->nmodules;
            w[6] = mods;
            w[11] = nmap * 24;
            w[12] = place(info, map, nmap * 24);
        }
    }
    memcpy(info->b, w, sizeof w);
    if (!r)
        r = loader_copy(m, name, MB_INFO, info->b, info->used, err);
    free(cmd);
    free(info);
    return r;
}

int multiboot_load(struct sim_machine *m, const char *name, const void *bytes, uint64_t n, const struct sim_load *how,
                   struct sim_loaded *out, struct sim_error *err)
{
    const uint8_t *b = bytes;
    int64_t off = multiboot_find(bytes, n);
    if (off < 0)
        return sim_fail(err, SIM_IMAGE, "%s: no Multiboot header (1BADB002H, checksum right, 4-byte aligned) in the first 8 KiB",
                        name);
    uint32_t flags;
    memcpy(&flags, b + off + 4, 4);
    if (flags & 0xfff8)
        return sim_fail(err, SIM_IMAGE, "%s: the Multiboot header requires features 0x%x that no loader offers", name,
                        flags & 0xfff8);
    if (flags & 4)
        return sim_fail(err, SIM_IMAGE, "%s: the Multiboot header requires a video mode; there is no graphics adapter", name);
    out->image = SIM_IMAGE_MULTIBOOT;
    if (flags & MB_FLAG_ADDRESSES) {
        if (load_by_header(m, name, b, n, (uint64_t)off, out, err) < 0)
            return -1;
    } else if (elf_is(bytes, n)) {
        struct sim_load elf = {.image = SIM_IMAGE_ELF, .start = SIM_START_KEEP};
        if (sim_load_bytes(m, name, bytes, n, &elf, out, err) < 0)
            return -1;
        out->image = SIM_IMAGE_MULTIBOOT;
    } else {
        return sim_fail(err, SIM_IMAGE, "%s: a Multiboot image that is neither ELF nor gives load addresses (flag bit 16)", name);
    }
    if (how->entry)
        out->entry = how->entry;
    if (how->start == SIM_START_KEEP)
        return 0;
    if (how->nmodules > 8)
        return sim_fail(err, SIM_IMAGE, "%s: at most 8 modules", name);
    if (sim_start_at(m, SIM_START_PROT32, out->entry, err) < 0 || bios_data_area(m, name, err) < 0 ||
        no_bios_services(m, name, err) < 0 || acpi_place(m, err) < 0 ||
        build_info(m, name, how, out->hi > 0x100000 ? out->hi : 0x100000, err) < 0)
        return -1;
    struct isa_cpu *c = sim_cpu(m, 0);
    c->gpr[ISA_RAX] = MB_BOOT_MAGIC;
    c->gpr[ISA_RBX] = MB_INFO;
    return 0;
}
