// sim/firmware.c: see sim/firmware.h.
#include "sim/firmware.h"

#include <stdlib.h>
#include <string.h>

#include "sim/acpi.h"
#include "sim/dev_pc.h"
#include "sim/internal.h"
#include "sim/multiboot.h"

#define FIRMWARE_UNIT 0x10000u
#define FIRMWARE_MOST 0x1000000u
#define SHADOW_SIZE   0x20000u
#define SHADOW_END    0x100000u

// The file etc/e820: entries of base, length and type; RAM only, the firmware reserves what it takes.
static int memory_map(struct sim_machine *m)
{
    uint64_t ram = sim_ram_size(m), low = ram < RAM_HOLE_START ? ram : RAM_HOLE_START;
    const uint64_t range[2][2] = {{0, low}, {RAM_HOLE_END, ram - low}};
    uint8_t map[40] = {0};
    unsigned n = 0;
    for (unsigned k = 0; k < 2; k++)
        if (range[k][1]) {
            memcpy(map + n, range[k], 16);
            map[n + 16] = 1;
            n += 20;
        }
    return dev_fwcfg_add(bus_fwcfg(m), "etc/e820", map, n);
}

static int load(struct sim_machine *m, const char *path, const uint8_t *b, uint64_t n, struct sim_error *err)
{
    static const uint8_t no_menu[2] = {0};
    if (!n || n % FIRMWARE_UNIT || n > FIRMWARE_MOST)
        return sim_fail(err, SIM_IMAGE,
                        "%s: %llu bytes; a PC firmware image has 64 KiB to 16 MiB in whole 64 KiB (SeaBIOS: bios.bin)", path,
                        (unsigned long long)n);
    uint32_t shadow = n < SHADOW_SIZE ? (uint32_t)n : SHADOW_SIZE;
    if (loader_copy(m, path, SHADOW_END - shadow, b + n - shadow, shadow, err) < 0)
        return -1;
    if (!dev_rom_attach(m, b, (uint32_t)n) || memory_map(m) < 0 || acpi_fwcfg(m) < 0 ||
        dev_fwcfg_add(bus_fwcfg(m), "etc/show-boot-menu", no_menu, sizeof no_menu) < 0)
        return sim_fail(err, SIM_INTERNAL, "%s: out of memory for the firmware", path);
    sim_reset(m);
    return 0;
}

int sim_load_firmware(struct sim_machine *m, const char *path, struct sim_error *err)
{
    void *bytes;
    uint64_t n;
    if (loader_read_file(path, &bytes, &n, err) < 0)
        return -1;
    int r = load(m, path, bytes, n, err);
    free(bytes);
    return r;
}
