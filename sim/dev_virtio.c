// sim/dev_virtio.c: see sim/dev_virtio.h. Base address 0 holds all structures, a page each.
#include "sim/dev_virtio.h"

#include <string.h>

#include "sim/dev_pc.h"
#include "sim/inspect.h"

enum { AT_COMMON = 0, AT_ISR = 0x1000, AT_DEVICE = 0x2000, AT_NOTIFY = 0x3000, BAR_SIZE = 0x4000 };
#define F_VERSION_1   (1ull << 32)
#define S_DRIVER_OK   4u
#define S_FEATURES_OK 8u
#define S_NEEDS_RESET 0x40u
#define ISR_QUEUE     1u
#define ISR_CONFIG    2u
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_IRQ  1u

static bool mem_read(struct virtio *v, uint64_t at, void *buf, uint64_t n)
{
    return sim_peek(v->f.d.m, 0, SIM_HOST_PHYSICAL, at, buf, n) == n;
}
static bool mem_write(struct virtio *v, uint64_t at, const void *buf, uint64_t n)
{
    return sim_poke(v->f.d.m, 0, SIM_HOST_PHYSICAL, at, buf, n) == n;
}

static void raise(struct virtio *v, unsigned bit)
{
    v->isr |= (uint8_t)bit;
    pci_irq(&v->f, true);
}

static void broken(struct virtio *v)
{
    v->status |= S_NEEDS_RESET;
    if (v->status & S_DRIVER_OK)
        raise(v, ISR_CONFIG);
}

// --- queues

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static bool collect(struct virtio *v, const struct virtio_queue *q, unsigned head, struct virtio_chain *c)
{
    struct desc d;
    unsigned at = head;
    c->n = c->nout = 0;
    c->out_bytes = c->in_bytes = 0;
    do {
        if (at >= q->size || c->n >= q->size || !mem_read(v, q->desc + 16ull * at, &d, sizeof d) || (d.flags & DESC_INDIRECT))
            return false;
        if (d.flags & DESC_WRITE) {
            c->in_bytes += d.len;
        } else {
            if (c->nout != c->n) // what the device reads comes first
                return false;
            c->nout++;
            c->out_bytes += d.len;
        }
        c->piece[c->n++] = (struct virtio_piece){d.addr, d.len};
        if (c->out_bytes + c->in_bytes > VIRTIO_BYTES_MAX)
            return false;
        at = d.next;
    } while (d.flags & DESC_NEXT);
    return true;
}

static bool serve_one(struct virtio *v, unsigned n)
{
    struct virtio_queue *q = &v->q[n];
    struct virtio_chain c;
    uint16_t head;
    uint32_t used[2];
    if (!mem_read(v, q->avail + 4 + 2ull * (q->last % q->size), &head, 2) || !collect(v, q, head, &c))
        return false;
    q->last++;
    used[0] = head;
    used[1] = v->ops->request(v, n, &c);
    if (!mem_write(v, q->ring + 4 + 8ull * (q->used % q->size), used, 8))
        return false;
    q->used++;
    return mem_write(v, q->ring + 2, &q->used, 2);
}

bool virtio_alive(const struct virtio *v) { return (v->status & S_DRIVER_OK) && !(v->status & S_NEEDS_RESET); }

void virtio_serve(struct virtio *v, unsigned n)
{
    struct virtio_queue *q = &v->q[n];
    uint16_t head[2], before = q->used; // flags, index
    if (n >= v->ops->nqueues || !q->enabled || !virtio_alive(v))
        return;
    if (!mem_read(v, q->avail, head, 4) || (uint16_t)(head[1] - q->last) > q->size) {
        broken(v);
        return;
    }
    while (q->last != head[1] && (!v->ops->more || v->ops->more(v, n)))
        if (!serve_one(v, n)) {
            broken(v);
            return;
        }
    if (q->used != before && mem_read(v, q->avail, head, 2) && !(head[0] & AVAIL_NO_IRQ))
        raise(v, ISR_QUEUE);
}

static bool copy(struct virtio *v, const struct virtio_chain *c, unsigned from, unsigned to, uint64_t at, uint8_t *buf, uint64_t n,
                 bool write)
{
    for (unsigned k = from; k < to && n; k++) {
        uint64_t len = c->piece[k].len;
        if (at >= len) {
            at -= len;
            continue;
        }
        uint64_t part = len - at < n ? len - at : n;
        if (!(write ? mem_write(v, c->piece[k].addr + at, buf, part) : mem_read(v, c->piece[k].addr + at, buf, part)))
            return false;
        buf += part;
        n -= part;
        at = 0;
    }
    return !n;
}

bool virtio_get(struct virtio *v, const struct virtio_chain *c, uint64_t at, void *buf, uint64_t n)
{
    return copy(v, c, 0, c->nout, at, buf, n, false);
}
bool virtio_put(struct virtio *v, const struct virtio_chain *c, uint64_t at, const void *buf, uint64_t n)
{
    return copy(v, c, c->nout, c->n, at, (uint8_t *)buf, n, true);
}

// --- common configuration

static uint64_t offered(const struct virtio *v) { return v->ops->features | F_VERSION_1; }

static uint32_t common_read(const struct virtio *v, unsigned off)
{
    static const struct virtio_queue none;
    const struct virtio_queue *q = v->selected < v->ops->nqueues ? &v->q[v->selected] : &none;
    switch (off) {
    case 0x00: return v->feature_page;
    case 0x04: return v->feature_page < 2 ? (uint32_t)(offered(v) >> 32 * v->feature_page) : 0;
    case 0x08: return v->driver_page;
    case 0x0c: return v->driver_page < 2 ? (uint32_t)(v->features >> 32 * v->driver_page) : 0;
    case 0x10: return 0xffff; // no MSI-X vector
    case 0x12: return v->ops->nqueues;
    case 0x14: return v->status; // the byte after it, the configuration generation, stays 0
    case 0x16: return v->selected;
    case 0x18: return q->size;
    case 0x1a: return 0xffff;
    case 0x1c: return q->enabled;
    case 0x1e: return v->selected; // notification offset
    case 0x20: return (uint32_t)q->desc;
    case 0x24: return (uint32_t)(q->desc >> 32);
    case 0x28: return (uint32_t)q->avail;
    case 0x2c: return (uint32_t)(q->avail >> 32);
    case 0x30: return (uint32_t)q->ring;
    case 0x34: return (uint32_t)(q->ring >> 32);
    default: return 0;
    }
}

static void write_status(struct virtio *v, uint8_t s)
{
    if (!s) {
        virtio_reset(&v->f.d);
        return;
    }
    if ((s & S_FEATURES_OK) && ((v->features & ~offered(v)) || !(v->features & F_VERSION_1)))
        s &= (uint8_t)~S_FEATURES_OK; // the driver sees that its choice was refused
    v->status = (uint8_t)(s | (v->status & S_NEEDS_RESET));
}

static void half(uint64_t *field, bool high, uint32_t v)
{
    *field = high ? (*field & 0xffffffff) | (uint64_t)v << 32 : (*field & ~0xffffffffull) | v;
}

static void common_write(struct virtio *v, unsigned off, uint32_t val)
{
    switch (off) {
    case 0x00: v->feature_page = val; return;
    case 0x08: v->driver_page = val; return;
    case 0x0c:
        if (v->driver_page < 2 && !(v->status & S_FEATURES_OK))
            half(&v->features, v->driver_page, val);
        return;
    case 0x14: write_status(v, (uint8_t)val); return;
    case 0x16: v->selected = (uint16_t)val; return;
    }
    if (v->selected >= v->ops->nqueues || v->q[v->selected].enabled)
        return;
    struct virtio_queue *q = &v->q[v->selected];
    switch (off) {
    case 0x18: // a power of two that is not larger than what was offered
        if (val && val <= VIRTIO_QUEUE_MAX && !(val & (val - 1)))
            q->size = (uint16_t)val;
        return;
    case 0x1c: q->enabled = val == 1; return;
    case 0x20:
    case 0x24: half(&q->desc, off & 4, val); return;
    case 0x28:
    case 0x2c: half(&q->avail, off & 4, val); return;
    case 0x30:
    case 0x34: half(&q->ring, off & 4, val); return;
    }
}

// --- the page

uint64_t virtio_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct virtio *v = (struct virtio *)d;
    uint64_t r = 0;
    if (off < AT_ISR) {
        r = common_read(v, (unsigned)off);
        return size == 8 ? r | (uint64_t)common_read(v, (unsigned)off + 4) << 32 : r;
    }
    if (off == AT_ISR) { // reading takes the interrupt back
        r = v->isr;
        v->isr = 0;
        pci_irq(&v->f, false);
    } else if (off >= AT_DEVICE && off - AT_DEVICE + size <= sizeof v->config) {
        memcpy(&r, v->config + (off - AT_DEVICE), size);
    }
    return r;
}

void virtio_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct virtio *v = (struct virtio *)d;
    if (off < AT_ISR) {
        common_write(v, (unsigned)off, (uint32_t)val);
        if (size == 8)
            common_write(v, (unsigned)off + 4, (uint32_t)(val >> 32));
    } else if (off >= AT_NOTIFY && off < AT_NOTIFY + 4 * VIRTIO_QUEUES) {
        virtio_serve(v, (unsigned)(off - AT_NOTIFY) / 4);
    }
}

// --- life

void virtio_reset(struct dev *d)
{
    struct virtio *v = (struct virtio *)d;
    v->status = v->isr = 0;
    v->selected = 0;
    v->feature_page = v->driver_page = 0;
    v->features = 0;
    for (unsigned n = 0; n < VIRTIO_QUEUES; n++)
        v->q[n] = (struct virtio_queue){.size = VIRTIO_QUEUE_MAX};
    if (v->f.irq)
        pci_irq(&v->f, false);
    if (v->ops->reset)
        v->ops->reset(v);
}

uint64_t virtio_hash(const struct dev *d, uint64_t h)
{
    const struct virtio *v = (const struct virtio *)d;
    const uint64_t flat[] = {v->status, v->isr, v->selected, v->feature_page, v->driver_page, v->features};
    h = dev_hash_bytes(pci_hash(&v->f, h), flat, sizeof flat);
    for (unsigned n = 0; n < VIRTIO_QUEUES; n++) {
        const struct virtio_queue *q = &v->q[n];
        const uint64_t queue[] = {q->size, q->last, q->used, q->enabled, q->desc, q->avail, q->ring};
        h = dev_hash_bytes(h, queue, sizeof queue);
    }
    return dev_hash_bytes(h, v->config, sizeof v->config);
}

// A vendor-specific capability: where a structure is.
static unsigned capability(struct virtio *v, unsigned at, unsigned type, unsigned offset, unsigned length, unsigned size)
{
    pci_put(&v->f, at, 0x09 | size << 16 | type << 24, 4);
    v->f.cfg[at + 1] = (uint8_t)(type == 4 ? 0 : at + size);
    pci_put(&v->f, at + 8, offset, 4);
    pci_put(&v->f, at + 12, length, 4);
    return at + size;
}

void virtio_attach(struct virtio *v, struct dev *bridge, unsigned slot)
{
    struct pci_fn *f = &v->f;
    pci_put(f, 0x00, 0x1af4 | (0x1040 + v->ops->id) << 16, 4);
    pci_put(f, 0x06, 0x10, 2); // there are capabilities
    pci_put(f, 0x08, v->ops->pci_class << 8 | 1, 4);
    pci_put(f, 0x2c, 0x1af4 | (0x1100u << 16), 4);
    pci_put(f, 0x34, 0x40, 1);
    pci_put(f, 0x3d, 1, 1); // INTA#
    f->bar_size[0] = BAR_SIZE;
    unsigned at = capability(v, 0x40, 1, AT_COMMON, 0x38, 16);
    at = capability(v, at, 2, AT_NOTIFY, 4 * VIRTIO_QUEUES, 20);
    pci_put(f, at - 4, 4, 4); // notification offsets count in words
    at = capability(v, at, 3, AT_ISR, 1, 16);
    capability(v, at, 4, AT_DEVICE, v->ops->config_size ? v->ops->config_size : 4, 16);
    pci_attach(bridge, f, slot);
}
