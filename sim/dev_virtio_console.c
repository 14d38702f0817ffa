// sim/dev_virtio_console.c: a virtio console with one port: queue 0 brings what is typed, queue 1 takes what is printed.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/dev_virtio.h"

struct console {
    struct virtio v;
    uint8_t *in; // typed, and not taken yet
    uint64_t len, at;
};

static bool console_more(const struct virtio *v, unsigned queue)
{
    const struct console *c = (const struct console *)v;
    return queue == 1 || c->at < c->len;
}

static uint32_t console_request(struct virtio *v, unsigned queue, const struct virtio_chain *c)
{
    struct console *k = (struct console *)v;
    uint8_t buf[256];
    if (queue == 0) {
        uint64_t n = k->len - k->at < c->in_bytes ? k->len - k->at : c->in_bytes;
        if (!virtio_put(v, c, 0, k->in + k->at, n))
            n = 0;
        k->at += n;
        return (uint32_t)n;
    }
    for (uint64_t at = 0; at < c->out_bytes;) {
        uint64_t n = c->out_bytes - at < sizeof buf ? c->out_bytes - at : sizeof buf;
        if (!virtio_get(v, c, at, buf, n))
            break;
        for (uint64_t i = 0; i < n; i++)
            dev_output(&v->f.d, "console", buf[i]);
        at += n;
    }
    return 0;
}

void dev_virtio_console_input(struct dev *d, const void *bytes, uint64_t n)
{
    struct console *k = (struct console *)d;
    uint64_t left = k->len - k->at;
    uint8_t *p = malloc(left + n + 1);
    if (!p)
        return;
    if (left)
        memcpy(p, k->in + k->at, left);
    memcpy(p + left, bytes, n);
    free(k->in);
    k->in = p;
    k->len = left + n;
    k->at = 0;
    virtio_serve(&k->v, 0);
}

bool dev_virtio_console_open(const struct dev *d)
{
    const struct virtio *v = (const struct virtio *)d;
    return v->q[0].enabled && virtio_alive(v);
}

static void console_destroy(struct dev *d) { free(((struct console *)d)->in); }

static void console_reset(struct dev *d)
{
    pci_reset((struct pci_fn *)d);
    virtio_reset(d);
}

static const struct virtio_ops console_virtio = {
    .id = 3, .pci_class = 0x078000, .nqueues = 2, .request = console_request, .more = console_more};
static const struct dev_ops console_ops = {.name = "virtio-console",
                                           .reset = console_reset,
                                           .destroy = console_destroy,
                                           .read = virtio_read,
                                           .write = virtio_write,
                                           .hash = virtio_hash};

struct dev *dev_virtio_console_attach(struct sim_machine *m, struct dev *bridge, unsigned slot)
{
    struct console *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->v.ops = &console_virtio;
    k->v.f.d.ops = &console_ops;
    virtio_attach(&k->v, bridge, slot);
    return &k->v.f.d;
}
