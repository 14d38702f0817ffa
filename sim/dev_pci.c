// sim/dev_pci.c: see sim/dev_pci.h. CF8H holds the address, CFCH..CFFH the data; CF9H inside is the reset port (sim/dev_chipset.c).
#include "sim/dev_pci.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

enum { PCI_ADDRESS, PCI_DATA };
#define C_COMMAND  0x04
#define C_STATUS   0x06
#define C_BAR      0x10
#define C_LINE     0x3c
#define C_PIN      0x3d
#define CMD_MEMORY 2u
#define CMD_INTX   0x400u // disabled
#define ST_INTX    8u
#define BRIDGE_PAM 0x59

struct pci {
    struct dev d;
    uint32_t address;
    struct pci_fn *fn[PCI_SLOTS];
};
void pci_put(struct pci_fn *f, unsigned at, uint32_t v, unsigned size) { memcpy(f->cfg + at, &v, size); }
static uint32_t get(const struct pci_fn *f, unsigned at, unsigned size)
{
    uint32_t v = 0;
    memcpy(&v, f->cfg + at, size);
    return v;
}

// As PC firmware expects of a 440FX board: four wires that rotate with the slot, two on each line.
unsigned pci_line(unsigned slot) { return (slot - 1) & 2 ? 11 : 10; }

// --- interrupts: a line is asserted while any function on it asserts INTA#

static void drive(struct pci *p, unsigned line)
{
    bool level = false;
    for (unsigned s = 0; s < PCI_SLOTS; s++)
        if (p->fn[s] && p->fn[s]->irq && pci_line(s) == line && !(get(p->fn[s], C_COMMAND, 2) & CMD_INTX))
            level = true;
    dev_irq(&p->d, line, level);
}

// --- base addresses

static void map(struct pci_fn *f)
{
    bool on = f->cfg[C_COMMAND] & CMD_MEMORY;
    for (unsigned b = 0; b < 6; b++) {
        if (!f->bar_size[b])
            continue;
        uint32_t at = get(f, C_BAR + 4 * b, 4) & ~15u;
        if (!on || at < PCI_MEM_START || at >= PCI_MEM_END || f->bar_size[b] > PCI_MEM_END - at)
            at = 0;
        if (at == f->mapped[b])
            continue;
        if (f->mapped[b])
            dev_unmap_mmio(&f->d, b);
        if (at)
            dev_map_mmio(&f->d, b, (struct hpa){at}, f->bar_size[b]);
        f->mapped[b] = at;
    }
}

// --- configuration space

static struct pci_fn *selected(struct pci *p)
{
    unsigned slot = p->address >> 11 & 31;
    if (!(p->address >> 31) || (p->address >> 16 & 0xff) || (p->address >> 8 & 7) || slot >= PCI_SLOTS)
        return NULL;
    return p->fn[slot];
}

static uint64_t pci_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct pci *p = (struct pci *)d;
    if (range == PCI_ADDRESS)
        return size == 4 && !off ? p->address : UINT64_MAX;
    const struct pci_fn *f = selected(p);
    unsigned at = (p->address & 0xfc) + (unsigned)off;
    if (!f)
        return UINT64_MAX;
    uint32_t v = get(f, at, size);
    if (at <= C_STATUS && at + size > C_STATUS && f->irq)
        v |= ST_INTX << (C_STATUS - at) * 8;
    return v;
}

static void pci_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct pci *p = (struct pci *)d;
    if (range == PCI_ADDRESS) {
        if (size == 4 && !off)
            p->address = (uint32_t)val & 0x80fffffc;
        return;
    }
    struct pci_fn *f = selected(p);
    if (!f)
        return;
    for (unsigned k = 0; k < size; k++) {
        unsigned at = (p->address & 0xfc) + (unsigned)off + k;
        f->cfg[at] = (uint8_t)((f->cfg[at] & ~f->may[at]) | (val >> 8 * k & f->may[at]));
    }
    map(f);
    drive(p, pci_line(f->slot));
}

// --- functions

void pci_attach(struct dev *bridge, struct pci_fn *f, unsigned slot)
{
    struct pci *p = (struct pci *)bridge;
    assert(slot < PCI_SLOTS && !p->fn[slot]);
    p->fn[slot] = f;
    f->bus = p;
    f->slot = slot;
    dev_attach(bridge->m, &f->d);
}

void pci_irq(struct pci_fn *f, bool level)
{
    f->irq = level;
    drive(f->bus, pci_line(f->slot));
}

void pci_reset(struct pci_fn *f)
{
    f->irq = false;
    memset(f->may + C_COMMAND, 0, 2);
    f->may[C_COMMAND] = 7; // I/O, memory, bus master
    f->may[C_COMMAND + 1] = CMD_INTX >> 8;
    f->may[C_LINE] = 0xff;
    pci_put(f, C_COMMAND, f->slot ? 7 : 0, 2);
    pci_put(f, C_LINE, f->cfg[C_PIN] ? pci_line(f->slot) : 0, 1);
    for (unsigned b = 0; b < 6; b++)
        if (f->bar_size[b]) {
            uint32_t may = ~(f->bar_size[b] - 1);
            memcpy(f->may + C_BAR + 4 * b, &may, 4);
            pci_put(f, C_BAR + 4 * b, 0xfe000000u + f->slot * 0x100000 + b * 0x10000, 4);
        }
    map(f);
}

uint64_t pci_hash(const struct pci_fn *f, uint64_t h)
{
    h = dev_hash_bytes(h, f->cfg, sizeof f->cfg);
    return dev_hash_bytes(h, &f->irq, sizeof f->irq);
}

// --- the host bridge, slot 0: configuration space and nothing else

// Firmware sets the registers that make C0000H..FFFFFH writable (PAM); here all of that always is RAM, and they are only kept.
static void bridge_reset(struct dev *d)
{
    struct pci_fn *f = (struct pci_fn *)d;
    pci_reset(f);
    memset(f->cfg + BRIDGE_PAM, 0, 7);
    memset(f->may + BRIDGE_PAM, 0x33, 7);
}
static uint64_t bridge_hash(const struct dev *d, uint64_t h) { return pci_hash((const struct pci_fn *)d, h); }
static uint64_t bridge_read(struct dev *d, unsigned range, uint64_t off, unsigned size) { return UINT64_MAX; }
static void bridge_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val) {}
static const struct dev_ops bridge_ops = {
    .name = "host bridge", .reset = bridge_reset, .read = bridge_read, .write = bridge_write, .hash = bridge_hash};

static void address_reset(struct dev *d) { ((struct pci *)d)->address = 0; }
static uint64_t address_hash(const struct dev *d, uint64_t h) { return dev_hash_bytes(h, &((const struct pci *)d)->address, 4); }
static const struct dev_ops pci_ops = {
    .name = "pci", .reset = address_reset, .read = pci_read, .write = pci_write, .hash = address_hash};

struct dev *dev_pci_attach(struct sim_machine *m)
{
    struct pci *p = calloc(1, sizeof *p);
    struct pci_fn *f = calloc(1, sizeof *f);
    if (!p || !f) {
        free(p);
        free(f);
        return NULL;
    }
    p->d.ops = &pci_ops;
    dev_attach(m, &p->d);
    dev_map_port(&p->d, PCI_ADDRESS, 0xcf8, 4);
    dev_map_port(&p->d, PCI_DATA, 0xcfc, 4);
    f->d.ops = &bridge_ops;
    pci_put(f, 0, 0x12378086, 4); // the bridge of the 440FX, which every kernel knows
    pci_put(f, 8, 0x06000002, 4);
    pci_attach(&p->d, f, 0);
    return &p->d;
}
