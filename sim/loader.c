// sim/loader.c: images into memory; see sim/loader.h. Multiboot has sim/multiboot.c, start states sim/start.c.
#include "sim/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/elf.h"
#include "sim/inspect.h"
#include "sim/multiboot.h"

#define IMAGE_MAX (1ull << 30)

int loader_read_file(const char *path, void **bytes, uint64_t *n, struct sim_error *err)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); // a FIFO is refused, not waited for
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!f)
        return sim_fail(err, SIM_IMAGE, "%s: cannot open the image: %s", path, strerror(errno));
    if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode)) {
        fclose(f);
        return sim_fail(err, SIM_IMAGE, "%s: not a regular file%s", path,
                        S_ISDIR(st.st_mode) ? " but a folder; a lesson is its lab.lua" : "");
    }
    if ((uint64_t)st.st_size > IMAGE_MAX) {
        fclose(f);
        return sim_fail(err, SIM_IMAGE, "%s: %lld bytes; images of at most 1 GiB are loaded", path, (long long)st.st_size);
    }
    *n = (uint64_t)st.st_size;
    *bytes = malloc(*n + 1);
    errno = 0;
    if (!*bytes || fread(*bytes, 1, *n, f) != *n) {
        free(*bytes);
        fclose(f);
        return sim_fail(err, SIM_IMAGE, "%s: cannot read the image: %s", path,
                        errno ? strerror(errno) : "it became shorter while being read");
    }
    fclose(f);
    return 0;
}

int loader_copy(struct sim_machine *m, const char *name, uint64_t addr, const void *bytes, uint64_t n, struct sim_error *err)
{
    uint64_t done = n ? sim_poke(m, 0, SIM_HOST_PHYSICAL, addr, bytes, n) : 0;
    if (done != n)
        return sim_fail(err, SIM_IMAGE,
                        "%s: needs memory at 0x%llx..0x%llx, but the machine has %llu MiB of RAM (a hole lies at 3..4 GiB); give "
                        "it more (--ram 256M, or ram in a scenario) or load it elsewhere",
                        name, (unsigned long long)addr, (unsigned long long)(addr + n - 1),
                        (unsigned long long)(sim_ram_size(m) >> 20));
    return 0;
}

static int zero(struct sim_machine *m, const char *name, uint64_t addr, uint64_t n, struct sim_error *err)
{
    static const uint8_t zeros[4096];
    while (n) {
        uint64_t k = n < sizeof zeros ? n : sizeof zeros;
        if (loader_copy(m, name, addr, zeros, k, err) < 0)
            return -1;
        addr += k;
        n -= k;
    }
    return 0;
}

static int load_elf(struct sim_machine *m, const char *name, const void *bytes, uint64_t n, struct sim_loaded *out,
                    struct elf_image *elf, struct sim_error *err)
{
    if (elf_parse(name, bytes, n, elf, err) < 0)
        return -1;
    out->lo = UINT64_MAX;
    out->hi = 0;
    for (unsigned i = 0; i < elf->nsegments; i++) {
        const struct elf_segment *s = &elf->segment[i];
        if (s->memsz > sim_ram_size(m))
            return sim_fail(err, SIM_IMAGE, "%s: segment %u needs 0x%llx bytes of memory; the machine has %llu MiB of RAM", name, i,
                            (unsigned long long)s->memsz, (unsigned long long)(sim_ram_size(m) >> 20));
        if (loader_copy(m, name, s->paddr, (const uint8_t *)bytes + s->offset, s->filesz, err) < 0 ||
            zero(m, name, s->paddr + s->filesz, s->memsz - s->filesz, err) < 0)
            return -1;
        if (s->paddr < out->lo)
            out->lo = s->paddr;
        if (s->paddr + s->memsz > out->hi)
            out->hi = s->paddr + s->memsz;
    }
    out->entry = elf->entry;
    elf_symbols(m, bytes, n);
    return 0;
}

// Several lines of text and nothing else, as far as the first page shows.
static bool is_text(const uint8_t *b, uint64_t n)
{
    unsigned lines = 0;
    for (uint64_t k = 0; k < n && k < 4096; k++) {
        if (b[k] == 0x7f || (b[k] < 0x20 && b[k] != '\n' && b[k] != '\r' && b[k] != '\t'))
            return false;
        lines += b[k] == '\n';
    }
    return lines >= 3;
}

// What a file that we do not load probably is, and what to do about it.
static int refuse_foreign(const char *name, const uint8_t *b, uint64_t n, struct sim_error *err)
{
    static const struct {
        const char *magic;
        unsigned off, len;
        const char *what;
    } known[] = {
        {"HdrS", 0x202, 4, "a Linux bzImage; boot it: ringside boot linux --kernel FILE"},
        {"\x1f\x8b", 0, 2, "gzip-compressed; unpack it first: gunzip FILE"},
        {"\xfd"
         "7zXZ",
         0, 5, "xz-compressed; unpack it first: unxz FILE"},
        {"MZ", 0, 2, "a PE/DOS executable; convert it: objcopy -O binary FILE guest.bin"},
        {"QFI\xfb", 0, 4, "a qcow2 disk image; disks are not guests"},
        {"!<arch>", 0, 7, "an archive of object files; link them first"},
    };
    if (is_text(b, n))
        return sim_fail(err, SIM_IMAGE,
                        "%s: this is text; scenarios end in .lua, and source code has to be assembled or compiled first", name);
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
        if (n >= known[i].off + known[i].len && !memcmp(b + known[i].off, known[i].magic, known[i].len))
            return sim_fail(err, SIM_IMAGE, "%s: this is %s", name, known[i].what);
    return 0;
}

int sim_load_bytes(struct sim_machine *m, const char *name, const void *bytes, uint64_t n, const struct sim_load *how,
                   struct sim_loaded *out, struct sim_error *err)
{
    static const struct sim_load none;
    struct sim_loaded dummy;
    struct elf_image elf;
    if (!how)
        how = &none;
    if (!out)
        out = &dummy;
    memset(out, 0, sizeof *out);
    if (!n)
        return sim_fail(err, SIM_IMAGE, "%s: the image is empty", name);
    enum sim_image image = how->image;
    if (image == SIM_IMAGE_AUTO) {
        if (refuse_foreign(name, bytes, n, err) < 0)
            return -1;
        image = multiboot_find(bytes, n) >= 0 ? SIM_IMAGE_MULTIBOOT : elf_is(bytes, n) ? SIM_IMAGE_ELF : SIM_IMAGE_FLAT;
    }
    out->image = image;
    if (image != SIM_IMAGE_MULTIBOOT && (how->nmodules || how->cmdline))
        return sim_fail(err, SIM_IMAGE, "%s: %s: only a Multiboot image takes %s", name,
                        image == SIM_IMAGE_ELF ? "an ELF file without a Multiboot header" : "a flat binary",
                        how->nmodules ? "modules" : "a command line");
    enum sim_start start = how->start;
    switch (image) {
    case SIM_IMAGE_MULTIBOOT: return multiboot_load(m, name, bytes, n, how, out, err);
    case SIM_IMAGE_ELF:
        if (load_elf(m, name, bytes, n, out, &elf, err) < 0)
            return -1;
        if (start == SIM_START_AUTO)
            start = elf.x86_64 && elf.is64 ? SIM_START_LONG64 : SIM_START_PROT32;
        break;
    default:
        if (loader_copy(m, name, how->addr, bytes, n, err) < 0)
            return -1;
        out->lo = out->entry = how->addr;
        out->hi = how->addr + n;
        if (start == SIM_START_AUTO)
            start = SIM_START_REAL;
    }
    if (how->entry)
        out->entry = how->entry;
    return sim_start_at(m, start, out->entry, err);
}

int sim_load_file(struct sim_machine *m, const char *path, const struct sim_load *how, struct sim_loaded *out,
                  struct sim_error *err)
{
    void *bytes;
    uint64_t n;
    if (loader_read_file(path, &bytes, &n, err) < 0)
        return -1;
    int r = sim_load_bytes(m, path, bytes, n, how, out, err);
    free(bytes);
    return r;
}
