// sim/dev_fwcfg.c: the configuration interface through which PC firmware under emulators learns what machine it is on.
//
//    510H  a 16-bit key selects an item           511H  its bytes, one after another; 0 beyond its end and for unknown keys
//    0 "QEMU"  1 version: this interface only, no DMA  3 RAM size  5, FH processors  11H eight zero bytes (no kernel behind)
//    19H directory: count, then per file size, key (both big-endian), 2 bytes of nothing, name (56 bytes); files have keys from 20H on
//
// Without files (there is no firmware) the directory is empty.
// SOURCE     QEMU's documentation, "QEMU Firmware Configuration (fw_cfg) Device".
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/internal.h"

#define FILES     16
#define NAME_SIZE 56
#define KEY_DIR   0x19
#define KEY_FILE  0x20

struct file {
    char name[NAME_SIZE];
    uint8_t *bytes;
    uint32_t n;
};
struct fwcfg {
    struct dev d;
    uint16_t key;
    uint32_t at; // next byte of the item
    struct file file[FILES];
    unsigned nfiles;
};

static uint8_t big_endian(uint32_t v, unsigned byte) { return (uint8_t)(v >> (24 - 8 * byte)); }

static uint8_t directory_byte(const struct fwcfg *f, uint32_t at)
{
    if (at < 4)
        return big_endian(f->nfiles, at);
    uint32_t k = (at - 4) / 64, b = (at - 4) % 64;
    if (k >= f->nfiles)
        return 0;
    if (b < 4)
        return big_endian(f->file[k].n, b);
    if (b < 8)
        return big_endian((KEY_FILE + k) << 16, b - 4);
    return (uint8_t)f->file[k].name[b - 8];
}

static uint8_t item_byte(const struct fwcfg *f)
{
    const struct sim_machine *m = f->d.m;
    uint8_t b[8] = {0};
    if (f->key == KEY_DIR)
        return directory_byte(f, f->at);
    if (f->key >= KEY_FILE && f->key < KEY_FILE + f->nfiles) {
        const struct file *x = &f->file[f->key - KEY_FILE];
        return f->at < x->n ? x->bytes[f->at] : 0;
    }
    switch (f->key) {
    case 0x00: memcpy(b, "QEMU", 4); break;
    case 0x01: b[0] = 1; break;
    case 0x03: memcpy(b, &m->ram.size, 8); break;
    case 0x05:
    case 0x0f: b[0] = (uint8_t)m->ncpus; break; // present, and possible
    }
    return f->at < sizeof b ? b[f->at] : 0;
}

static uint64_t fwcfg_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct fwcfg *f = (struct fwcfg *)d;
    if (off != 1)
        return UINT64_MAX;
    uint8_t v = item_byte(f);
    f->at += f->at < UINT32_MAX;
    return v;
}

static void fwcfg_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct fwcfg *f = (struct fwcfg *)d;
    if (off == 0 && size == 2) {
        f->key = (uint16_t)val;
        f->at = 0;
    }
}

static void fwcfg_reset(struct dev *d)
{
    struct fwcfg *f = (struct fwcfg *)d;
    f->key = 0;
    f->at = 0;
}

static void fwcfg_destroy(struct dev *d)
{
    struct fwcfg *f = (struct fwcfg *)d;
    for (unsigned k = 0; k < f->nfiles; k++)
        free(f->file[k].bytes);
}

static uint64_t fwcfg_hash(const struct dev *d, uint64_t h)
{
    const struct fwcfg *f = (const struct fwcfg *)d;
    const uint32_t flat[] = {f->key, f->at, f->nfiles};
    h = dev_hash_bytes(h, flat, sizeof flat);
    for (unsigned k = 0; k < f->nfiles; k++)
        h = dev_hash_bytes(h, f->file[k].bytes, f->file[k].n);
    return h;
}

static const struct dev_ops fwcfg_ops = {
    .name = "fw_cfg", .reset = fwcfg_reset, .destroy = fwcfg_destroy, .read = fwcfg_read, .write = fwcfg_write, .hash = fwcfg_hash};

int dev_fwcfg_add(struct dev *d, const char *name, const void *bytes, uint32_t n)
{
    struct fwcfg *f = (struct fwcfg *)d;
    uint8_t *copy = f->nfiles < FILES && strlen(name) < NAME_SIZE ? malloc(n + 1) : NULL;
    if (!copy)
        return -1;
    struct file *x = &f->file[f->nfiles++];
    memcpy(copy, bytes, n);
    memcpy(x->name, name, strlen(name) + 1);
    x->bytes = copy;
    x->n = n;
    return 0;
}

struct dev *dev_fwcfg_attach(struct sim_machine *m)
{
    struct fwcfg *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->d.ops = &fwcfg_ops;
    dev_attach(m, &f->d);
    dev_map_port(&f->d, 0, 0x510, 2);
    return &f->d;
}
