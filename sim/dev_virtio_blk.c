// sim/dev_virtio_blk.c: a virtio disk: a raw image file, mapped privately, so that what the guest writes stays in memory and the file is
// never changed.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/dev_pc.h"
#include "sim/dev_virtio.h"
#include "sim/internal.h"

#define BLK_IN       0
#define BLK_OUT      1
#define BLK_FLUSH    4
#define BLK_GET_ID   8
#define BLK_OK       0
#define BLK_IOERR    1
#define BLK_UNSUPP   2
#define BLK_SEGMENTS (VIRTIO_QUEUE_MAX - 2)

struct blk {
    struct virtio v;
    uint8_t *disk;
    uint64_t size; // whole sectors
};
struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

// Sectors to or from the disk, piece by piece without another copy.
static uint8_t transfer(struct blk *b, const struct virtio_chain *c, const struct header *h, uint64_t n, bool write)
{
    if (n % 512 || h->sector > b->size / 512 || n > b->size - h->sector * 512)
        return BLK_IOERR;
    uint8_t *at = b->disk + h->sector * 512;
    return (write ? virtio_get(&b->v, c, sizeof *h, at, n) : virtio_put(&b->v, c, 0, at, n)) ? BLK_OK : BLK_IOERR;
}

static uint32_t blk_request(struct virtio *v, unsigned queue, const struct virtio_chain *c)
{
    static const char id[20] = "ringside-disk";
    struct blk *b = (struct blk *)v;
    struct header h;
    uint8_t status;
    uint64_t in = c->in_bytes ? c->in_bytes - 1 : 0, written = 0; // the last byte takes the status
    if (!c->in_bytes || !virtio_get(v, c, 0, &h, sizeof h))
        return 0;
    switch (h.type) {
    case BLK_IN:
        status = transfer(b, c, &h, in, false);
        written = status == BLK_OK ? in : 0;
        break;
    case BLK_OUT: status = transfer(b, c, &h, c->out_bytes - sizeof h, true); break;
    case BLK_FLUSH: status = BLK_OK; break;
    case BLK_GET_ID:
        written = in < sizeof id ? in : sizeof id;
        status = virtio_put(v, c, 0, id, written) ? BLK_OK : BLK_IOERR;
        break;
    default: status = BLK_UNSUPP;
    }
    virtio_put(v, c, in, &status, 1);
    return (uint32_t)written + 1;
}

static void blk_destroy(struct dev *d)
{
    struct blk *b = (struct blk *)d;
    if (b->disk)
        munmap(b->disk, b->size);
}

static void blk_reset(struct dev *d)
{
    pci_reset((struct pci_fn *)d);
    virtio_reset(d);
}

static const struct virtio_ops blk_virtio = {.id = 2,
                                             .pci_class = 0x018000,
                                             .nqueues = 1,
                                             .features = 1ull << 2 | 1ull << 6 | 1ull << 9, // SEG_MAX, BLK_SIZE, FLUSH
                                             .config_size = 24,
                                             .request = blk_request};
static const struct dev_ops blk_ops = {.name = "virtio-blk",
                                       .reset = blk_reset,
                                       .destroy = blk_destroy,
                                       .read = virtio_read,
                                       .write = virtio_write,
                                       .hash = virtio_hash};

static int open_image(struct blk *b, const char *path, struct sim_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sim_fail(err, SIM_IMAGE, "%s: cannot open the disk image: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 512) {
        close(fd);
        return sim_fail(err, SIM_IMAGE, "%s: a disk image is a regular file of at least one sector (512 bytes)", path);
    }
    b->size = (uint64_t)st.st_size & ~511ull;
    void *p = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return sim_fail(err, SIM_IMAGE, "%s: cannot map the disk image: %s", path, strerror(errno));
    b->disk = p;
    return 0;
}

struct dev *dev_virtio_blk_attach(struct sim_machine *m, struct dev *bridge, unsigned slot, struct sim_error *err)
{
    struct blk *b = calloc(1, sizeof *b);
    if (!b || open_image(b, m->cfg.disk, err) < 0) {
        if (!b)
            sim_fail(err, SIM_INTERNAL, "machine: out of memory for the disk");
        free(b);
        return NULL;
    }
    uint64_t sectors = b->size / 512;
    uint32_t segments = BLK_SEGMENTS, block = 512;
    memcpy(b->v.config, &sectors, 8);
    memcpy(b->v.config + 12, &segments, 4);
    memcpy(b->v.config + 20, &block, 4);
    b->v.ops = &blk_virtio;
    b->v.f.d.ops = &blk_ops;
    virtio_attach(&b->v, bridge, slot);
    return &b->v.f.d;
}
