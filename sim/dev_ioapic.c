// sim/dev_ioapic.c: the 82093AA I/O APIC at FEC00000H with 24 pins; see sim/dev_lapic.h.
//
// MODELS     index and data register, identification, version 11H, 24 redirection entries: fixed, lowest-priority, NMI and ExtINT delivery, edge
//            and level triggering with remote IRR, masks. Pins 0 to 15 carry the ISA lines, but the timer (line 0) is on pin 2.
//            Polarity is kept without effect: a line of this machine is asserted or not, whatever voltage that is.
// SOURCE     Intel 82093AA data sheet.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_lapic.h"
#include "sim/dev_pc.h"

#define PINS       24
#define RTE_LEVEL  (1u << 15)
#define RTE_MASK   (1u << 16)
#define RTE_REMOTE (1u << 14)
#define RTE_WRITES 0xff0000000001afffull // not: delivery status, remote IRR

struct ioapic {
    struct dev d;
    struct dev *lapic;
    uint32_t index, id, lines;
    uint64_t rte[PINS];
};

static void send(struct ioapic *a, unsigned pin)
{
    uint64_t e = a->rte[pin];
    const struct apic_msg g = {.dest = (uint32_t)(e >> 56),
                               .vector = (uint8_t)e,
                               .mode = e >> 8 & 7,
                               .logical = e >> 11 & 1,
                               .level = (e & RTE_LEVEL) != 0};
    if (g.mode == APIC_EXTINT)
        return; // the 8259s' INTR goes to the processor directly
    if (e & RTE_LEVEL)
        a->rte[pin] |= RTE_REMOTE;
    dev_lapic_deliver(a->lapic, &g);
}

// A level-triggered pin that is asserted sends, unless its last message is still in service.
static void level(struct ioapic *a, unsigned pin)
{
    uint64_t e = a->rte[pin];
    if ((a->lines >> pin & 1) && (e & RTE_LEVEL) && !(e & (RTE_MASK | RTE_REMOTE)))
        send(a, pin);
}

void dev_ioapic_line(struct dev *d, unsigned pin, bool on)
{
    struct ioapic *a = (struct ioapic *)d;
    bool was = a->lines >> pin & 1;
    a->lines = on ? a->lines | 1u << pin : a->lines & ~(1u << pin);
    if (a->rte[pin] & RTE_LEVEL)
        level(a, pin);
    else if (on && !was && !(a->rte[pin] & RTE_MASK))
        send(a, pin);
}

void dev_ioapic_eoi(struct dev *d, uint8_t vector)
{
    struct ioapic *a = (struct ioapic *)d;
    for (unsigned pin = 0; pin < PINS; pin++)
        if ((uint8_t)a->rte[pin] == vector && (a->rte[pin] & RTE_REMOTE)) {
            a->rte[pin] &= ~(uint64_t)RTE_REMOTE;
            level(a, pin);
        }
}

static uint32_t window_read(const struct ioapic *a)
{
    unsigned n = a->index - 0x10;
    switch (a->index) {
    case 0:
    case 2: return a->id;
    case 1: return (PINS - 1) << 16 | 0x11;
    default: return n < 2 * PINS ? (uint32_t)(a->rte[n / 2] >> (n % 2 ? 32 : 0)) : 0;
    }
}

static void window_write(struct ioapic *a, uint32_t v)
{
    unsigned n = a->index - 0x10, pin = n / 2;
    if (a->index == 0)
        a->id = v & 0x0f000000;
    if (a->index < 0x10 || n >= 2 * PINS)
        return;
    uint64_t half = n % 2 ? 0xffffffff00000000ull : 0xffffffffull, may = RTE_WRITES & half;
    a->rte[pin] = (a->rte[pin] & ~may) | ((n % 2 ? (uint64_t)v << 32 : v) & may);
    if (!(a->rte[pin] & RTE_LEVEL))
        a->rte[pin] &= ~(uint64_t)RTE_REMOTE;
    level(a, pin);
    if (pin == 0)
        dev_lapic_extint_by_ioapic(a->lapic, !(a->rte[0] & RTE_MASK) && (a->rte[0] >> 8 & 7) == APIC_EXTINT);
}

static uint64_t ioapic_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    const struct ioapic *a = (const struct ioapic *)d;
    return off == 0 ? a->index : off == 0x10 ? window_read(a) : 0;
}

static void ioapic_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct ioapic *a = (struct ioapic *)d;
    if (off == 0)
        a->index = (uint8_t)val;
    else if (off == 0x10)
        window_write(a, (uint32_t)val);
}

static void ioapic_reset(struct dev *d)
{
    struct ioapic *a = (struct ioapic *)d;
    a->index = a->id = a->lines = 0;
    for (unsigned pin = 0; pin < PINS; pin++)
        a->rte[pin] = RTE_MASK;
}

static uint64_t ioapic_hash(const struct dev *d, uint64_t h)
{
    const struct ioapic *a = (const struct ioapic *)d;
    const uint32_t flat[] = {a->index, a->id, a->lines};
    return dev_hash_bytes(dev_hash_bytes(h, flat, sizeof flat), a->rte, sizeof a->rte);
}

static const struct dev_ops ioapic_ops = {
    .name = "ioapic", .reset = ioapic_reset, .read = ioapic_read, .write = ioapic_write, .hash = ioapic_hash};

struct dev *dev_ioapic_attach(struct sim_machine *m, struct dev *lapic)
{
    struct ioapic *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->d.ops = &ioapic_ops;
    a->lapic = lapic;
    dev_attach(m, &a->d);
    ioapic_reset(&a->d);
    dev_map_mmio(&a->d, 0, (struct hpa){0xfec00000}, 0x1000);
    dev_lapic_set_ioapic(lapic, &a->d);
    return &a->d;
}
