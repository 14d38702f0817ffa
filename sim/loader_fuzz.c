// Fuzz the loaders: the first byte chooses one, the rest is the image. Every image loads or is refused with words; nothing crashes.
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/firmware.h"
#include "sim/internal.h"
#include "sim/linux.h"
#include "sim/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The loaders that read files: the image in a file without a name.
static int from_file(struct sim_machine *m, unsigned which, const uint8_t *data, size_t size, struct sim_error *e)
{
    char path[40];
    int fd = memfd_create("image", 0), r;
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const struct sim_linux how = {.kernel = path, .initrd = which & 1 ? path : NULL, .cmdline = "console=ttyS0"};
    r = which < 2 ? sim_load_linux(m, &how, NULL, e) : sim_load_firmware(m, path, e);
    close(fd);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_error e = {0};
    struct sim_config cfg = {.ram_bytes = 4 << 20};
    if (!size)
        return 0;
    struct sim_machine *m = sim_create(&cfg, &e);
    assert(m);
    unsigned which = data[0] & 7;
    const struct sim_load how = {.image = which == 4   ? SIM_IMAGE_ELF
                                          : which == 5 ? SIM_IMAGE_MULTIBOOT
                                          : which == 6 ? SIM_IMAGE_FLAT
                                                       : SIM_IMAGE_AUTO,
                                 .cmdline = which == 5 ? "a b" : NULL}; // others refuse one
    int r =
        which < 3 ? from_file(m, which, data + 1, size - 1, &e) : sim_load_bytes(m, "image", data + 1, size - 1, &how, NULL, &e);
    assert(r == 0 || (e.status != SIM_OK && *e.what));
    if (!r) { // what was loaded can run
        const struct sim_until u = {.max_insns = 1000};
        sim_run(m, &u);
    }
    sim_destroy(m);
    return 0;
}
