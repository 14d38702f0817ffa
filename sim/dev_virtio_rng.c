// sim/dev_virtio_rng.c: a virtio entropy source: numbers from the machine's seed, the same in every run.
#include <stdlib.h>

#include "sim/dev_pc.h"
#include "sim/dev_virtio.h"
#include "sim/internal.h"

struct rng {
    struct virtio v;
    uint64_t state;
};

static uint64_t next(struct rng *r) // SplitMix64
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint32_t rng_request(struct virtio *v, unsigned queue, const struct virtio_chain *c)
{
    uint64_t n = c->in_bytes < 4096 ? c->in_bytes : 4096, done = 0; // a device may give less than was asked for
    while (done < n) {
        uint64_t word = next((struct rng *)v), part = n - done < 8 ? n - done : 8;
        if (!virtio_put(v, c, done, &word, part))
            break;
        done += part;
    }
    return (uint32_t)done;
}

static void rng_reset(struct dev *d)
{
    ((struct rng *)d)->state = d->m->cfg.seed ^ 0x5bd1e995;
    pci_reset((struct pci_fn *)d);
    virtio_reset(d);
}

static uint64_t rng_hash(const struct dev *d, uint64_t h)
{
    return dev_hash_bytes(virtio_hash(d, h), &((const struct rng *)d)->state, 8);
}

static const struct virtio_ops rng_virtio = {.id = 4, .pci_class = 0x00ff00, .nqueues = 1, .request = rng_request};
static const struct dev_ops rng_ops = {
    .name = "virtio-rng", .reset = rng_reset, .read = virtio_read, .write = virtio_write, .hash = rng_hash};

struct dev *dev_virtio_rng_attach(struct sim_machine *m, struct dev *bridge, unsigned slot)
{
    struct rng *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->v.ops = &rng_virtio;
    r->v.f.d.ops = &rng_ops;
    virtio_attach(&r->v, bridge, slot);
    return &r->v.f.d;
}
