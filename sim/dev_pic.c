// sim/dev_pic.c: the two cascaded 8259A interrupt controllers of the PC.
//
// MODELS     initialisation words 1..4, operation words 1..3, edge and level triggering (ICW1.LTIM and the ELCR of ports 4D0H, 4D1H), fully
//            nested mode, special mask mode, specific and non-specific EOI, rotation, automatic EOI, polling, spurious vectors 7 and 15.
//            8086 mode only: MCS-80 call vectors are not modelled (docs/quirks.md).
// SOURCE     Intel 8259A data sheet.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

enum { PIC_MASTER, PIC_SLAVE, PIC_ELCR };

struct chip {
    uint8_t irr, isr, imr, lines; // lines: current input levels
    uint8_t elcr;                 // bit set: level-triggered
    uint8_t vector;               // ICW2 bits 7..3
    uint8_t lowest;               // line with the lowest priority; 7 is the power-up order
    uint8_t icw_step;             // next ICW expected (2, 3, 4), 0 when initialised
    uint8_t icw4_needed, single, ltim;
    uint8_t auto_eoi, rotate_auto, special_mask, read_isr, poll, sfnm;
};
struct pic {
    struct dev d;
    struct chip c[2];
    bool gate; // INTR reaches the processor
};

static uint8_t level_mask(const struct chip *k) { return k->ltim ? 0xff : k->elcr; }

// Priority of a line, 0 highest, by the current rotation.
static unsigned rank_of(const struct chip *k, unsigned line) { return (line - k->lowest - 1) & 7; }

// The highest-priority line of a set, or -1.
static int best(const struct chip *k, uint8_t set)
{
    for (unsigned n = 0; n < 8; n++) {
        unsigned line = (k->lowest + 1 + n) & 7;
        if (set >> line & 1)
            return (int)line;
    }
    return -1;
}

// The line that the chip would signal now, or -1: requested, not masked, above every line in service.
static int chip_request(const struct chip *k, bool master)
{
    if (k->icw_step)
        return -1;
    uint8_t isr = k->isr;
    if (k->special_mask)
        isr &= (uint8_t)~k->imr;
    int want = best(k, k->irr & ~k->imr), busy = best(k, isr);
    if (want < 0 || busy < 0)
        return want;
    if (master && k->sfnm && want == 2 && busy == 2) // special fully nested: the slave may interrupt itself
        return want;
    return rank_of(k, (unsigned)want) < rank_of(k, (unsigned)busy) ? want : -1;
}

static void chip_line(struct chip *k, unsigned line, bool level)
{
    uint8_t bit = (uint8_t)(1u << line);
    if (level) {
        if (!(k->lines & bit) || (level_mask(k) & bit))
            k->irr |= bit;
        k->lines |= bit;
    } else {
        k->lines &= (uint8_t)~bit;
        k->irr &= (uint8_t)~bit; // a request that falls before it is acknowledged is lost: the spurious vector answers
    }
}

// The slave's output is the master's line 2.
static void cascade(struct pic *p)
{
    bool out = chip_request(&p->c[1], false) >= 0;
    bool was = p->c[0].lines & 4;
    if (out != was)
        chip_line(&p->c[0], 2, out);
    dev_intc_changed(p->d.m);
}

bool dev_pic_line(struct dev *d, unsigned line, bool level)
{
    struct pic *p = (struct pic *)d;
    struct chip *k = &p->c[line >> 3 & 1];
    bool changed = (k->lines >> (line & 7) & 1) != level;
    if (changed) {
        chip_line(k, line & 7, level);
        cascade(p);
    }
    return changed;
}

// Interrupt acknowledge of one chip: the line taken into service (7 for a spurious one, with *spurious set).
static unsigned chip_ack(struct chip *k, bool master, bool *spurious)
{
    int line = chip_request(k, master);
    *spurious = line < 0;
    if (line < 0)
        return 7;
    uint8_t bit = (uint8_t)(1u << line);
    if (!(level_mask(k) & bit))
        k->irr &= (uint8_t)~bit;
    if (k->auto_eoi) {
        if (k->rotate_auto)
            k->lowest = (uint8_t)line;
    } else {
        k->isr |= bit;
    }
    return (unsigned)line;
}

static bool pic_pending(struct dev *d, unsigned cpu)
{
    const struct pic *p = (const struct pic *)d;
    return cpu == 0 && p->gate && chip_request(&p->c[0], true) >= 0; // INTR goes to LINT0 of the bootstrap processor
}

void dev_pic_gate(struct dev *d, bool open) { ((struct pic *)d)->gate = open; }

static int pic_ack(struct dev *d, unsigned cpu)
{
    struct pic *p = (struct pic *)d;
    bool spurious;
    unsigned line = chip_ack(&p->c[0], true, &spurious);
    int vector = p->c[0].vector | (int)line;
    if (!spurious && line == 2) {
        line = chip_ack(&p->c[1], false, &spurious);
        vector = p->c[1].vector | (int)line;
    }
    cascade(p);
    return vector;
}

static void write_ocw2(struct chip *k, uint8_t v)
{
    unsigned line = v & 7;
    int top = best(k, k->isr);
    switch (v >> 5) {
    case 0: k->rotate_auto = 0; break;
    case 4: k->rotate_auto = 1; break;
    case 1: // non-specific EOI
    case 5: // and rotate
        if (top >= 0) {
            k->isr &= (uint8_t) ~(1u << top);
            if (v >> 5 == 5)
                k->lowest = (uint8_t)top;
        }
        break;
    case 3: k->isr &= (uint8_t) ~(1u << line); break;
    case 7:
        k->isr &= (uint8_t) ~(1u << line);
        k->lowest = (uint8_t)line;
        break;
    case 6: k->lowest = (uint8_t)line; break;
    }
}

static void write_command(struct chip *k, uint8_t v)
{
    if (v & 0x10) { // ICW1
        uint8_t elcr = k->elcr, lines = k->lines;
        memset(k, 0, sizeof *k);
        k->elcr = elcr;
        k->lines = lines;
        k->lowest = 7;
        k->icw_step = 2;
        k->icw4_needed = v & 1;
        k->single = v >> 1 & 1;
        k->ltim = v >> 3 & 1;
        k->irr = lines & level_mask(k);
    } else if (v & 8) { // OCW3
        k->poll = v >> 2 & 1;
        if (v & 2)
            k->read_isr = v & 1;
        if (v & 0x40)
            k->special_mask = v >> 5 & 1;
    } else {
        write_ocw2(k, v);
    }
}

static void write_data(struct chip *k, uint8_t v)
{
    switch (k->icw_step) {
    case 0:
    case 1: k->imr = v; break; // before initialisation too: software probes for the chip so
    case 2:
        k->vector = v & 0xf8;
        k->icw_step = k->single ? (k->icw4_needed ? 4 : 0) : 3;
        break;
    case 3: k->icw_step = k->icw4_needed ? 4 : 0; break; // the cascade is wired to line 2
    case 4:
        k->auto_eoi = v >> 1 & 1;
        k->sfnm = v >> 4 & 1;
        k->icw_step = 0;
        break;
    }
}

static uint64_t pic_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct pic *p = (struct pic *)d;
    if (range == PIC_ELCR)
        return p->c[off].elcr;
    struct chip *k = &p->c[range];
    if (k->poll) {
        bool spurious;
        unsigned line = chip_ack(k, range == PIC_MASTER, &spurious);
        k->poll = 0;
        cascade(p);
        return spurious ? 0 : 0x80 | line;
    }
    return off ? k->imr : k->read_isr ? k->isr : k->irr;
}

static void pic_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct pic *p = (struct pic *)d;
    if (range == PIC_ELCR)
        p->c[off].elcr = (uint8_t)val & (off ? 0xde : 0xf8); // timer, keyboard, cascade, RTC and FPU lines are always edges
    else if (off)
        write_data(&p->c[range], (uint8_t)val);
    else
        write_command(&p->c[range], (uint8_t)val);
    cascade(p);
}

static void pic_reset(struct dev *d)
{
    struct pic *p = (struct pic *)d;
    memset(p->c, 0, sizeof p->c);
    for (unsigned i = 0; i < 2; i++) {
        p->c[i].lowest = 7;
        p->c[i].icw_step = 1; // not initialised: no request until ICW1..
        p->c[i].imr = 0xff;
    }
    p->c[1].elcr = 0x0c; // a firmware has made lines 10 and 11 those of PCI
}

static uint64_t pic_hash(const struct dev *d, uint64_t h)
{
    const struct pic *p = (const struct pic *)d;
    return dev_hash_bytes(h, p->c, sizeof p->c);
}

static const struct dev_ops pic_ops = {.name = "pic", .reset = pic_reset, .read = pic_read, .write = pic_write, .hash = pic_hash};
static const struct dev_intc pic_intc = {pic_pending, pic_ack};

struct dev *dev_pic_attach(struct sim_machine *m)
{
    struct pic *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->d.ops = &pic_ops;
    dev_attach(m, &p->d);
    pic_reset(&p->d);
    dev_map_port(&p->d, PIC_MASTER, 0x20, 2);
    dev_map_port(&p->d, PIC_SLAVE, 0xa0, 2);
    dev_map_port(&p->d, PIC_ELCR, 0x4d0, 2);
    dev_set_intc(m, &p->d, &pic_intc, 1);
    return &p->d;
}
