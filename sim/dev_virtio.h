// sim/dev_virtio.h: virtio 1.x devices over PCI: what they share. A device embeds struct virtio first and gives struct virtio_ops.
//
// MODELS     the modern interface (no legacy registers), split queues of up to 128 entries, interrupts by INTA#. Not offered: indirect
//            descriptors, event indexes, packed queues, MSI-X, and access to the registers through configuration space.
// HOSTILE    every index, length and address of a queue comes from the guest and is checked; a queue that makes no sense sets
//            DEVICE_NEEDS_RESET and is not looked at again.
// SOURCE     "Virtual I/O Device (VIRTIO) Version 1.1".
#ifndef SIM_DEV_VIRTIO_H
#define SIM_DEV_VIRTIO_H

#include "sim/dev_pci.h"

#define VIRTIO_QUEUES    2
#define VIRTIO_QUEUE_MAX 128
#define VIRTIO_BYTES_MAX (64u << 20) // of one request

// A request: pieces of guest memory that the device reads (out), then pieces that it writes (in).
struct virtio_piece {
    uint64_t addr;
    uint32_t len;
};
struct virtio_chain {
    struct virtio_piece piece[VIRTIO_QUEUE_MAX];
    unsigned nout, n; // pieces 0..nout-1 are out, nout..n-1 in
    uint64_t out_bytes, in_bytes;
};

struct virtio;
struct virtio_ops {
    unsigned id; // device type of the specification
    uint32_t pci_class;
    unsigned nqueues;
    uint64_t features; // without VIRTIO_F_VERSION_1
    unsigned config_size;
    // Serve one request; the number of bytes written to its in pieces.
    uint32_t (*request)(struct virtio *v, unsigned queue, const struct virtio_chain *c);
    void (*reset)(struct virtio *v); // may be NULL
    // Has the device something for a request of this queue now? NULL: always. Requests wait in their queue until then.
    bool (*more)(const struct virtio *v, unsigned queue);
};
struct virtio_queue {
    uint16_t size, last, used; // last, used: indexes into the rings, counting on
    bool enabled;
    uint64_t desc, avail, ring; // guest-physical addresses; ring is the used ring
};
struct virtio {
    struct pci_fn f;
    const struct virtio_ops *ops;
    uint8_t status, isr;
    uint16_t selected;
    uint32_t feature_page, driver_page;
    uint64_t features; // that the driver accepted
    struct virtio_queue q[VIRTIO_QUEUES];
    uint8_t config[64];
};

// Fill in and attach; v->ops, v->config and v->f.d.ops are set by the caller.
void virtio_attach(struct virtio *v, struct dev *bridge, unsigned slot);
// For the device's dev_ops.
void virtio_reset(struct dev *d);
uint64_t virtio_read(struct dev *d, unsigned range, uint64_t off, unsigned size);
void virtio_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val);
uint64_t virtio_hash(const struct dev *d, uint64_t h);
// Serve what waits in a queue: the driver notified it, or the device has something for it.
void virtio_serve(struct virtio *v, unsigned queue);
bool virtio_alive(const struct virtio *v); // the driver is ready, and no queue is broken
// Copy between a request and a buffer: n bytes from byte `at` of the out (in) pieces. False: some of it is not RAM, or past the end.
bool virtio_get(struct virtio *v, const struct virtio_chain *c, uint64_t at, void *buf, uint64_t n);
bool virtio_put(struct virtio *v, const struct virtio_chain *c, uint64_t at, const void *buf, uint64_t n);

struct dev *dev_virtio_blk_attach(struct sim_machine *m, struct dev *bridge, unsigned slot, struct sim_error *err);
// A console that takes what is typed as soon as the guest has opened it.
struct dev *dev_virtio_console_attach(struct sim_machine *m, struct dev *bridge, unsigned slot);
void dev_virtio_console_input(struct dev *d, const void *bytes, uint64_t n);
bool dev_virtio_console_open(const struct dev *d);
struct dev *dev_virtio_rng_attach(struct sim_machine *m, struct dev *bridge, unsigned slot);

#endif
