// sim/dev_pit.c: the 8254 interval timer, and port 61H with channel 2's gate and output.
//
// MODELS     three counters at 1,193,182 Hz derived from the machine's cycle clock: modes 0 to 5, binary and BCD, all access modes, latch and
//            read-back commands, gate of channel 2. Channel 0 drives interrupt line 0. The speaker is silent.
// SOURCE     Intel 8254 data sheet.
// TIME       a counter is never stepped: its value and output are computed from the cycles since it was loaded.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

#define PIT_HZ 1193182u

struct channel {
    uint8_t mode, access, bcd; // access: 1 low byte, 2 high byte, 3 low then high
    bool write_high, read_high, loaded, null_count, gate;
    uint8_t low;     // first byte of a two-byte write
    uint32_t reload; // 1..65536 in binary terms (10000 for BCD 0)
    uint64_t start;  // cycle at which counting from reload began
    bool latched, status_latched;
    uint16_t latch;
    uint8_t status;
};
struct pit {
    struct dev d;
    struct channel c[3];
    bool out0;
    uint8_t port61;
};

static uint64_t cycles_to_ticks(const struct pit *p, uint64_t cycles)
{
    return (uint64_t)((unsigned __int128)cycles * PIT_HZ / dev_hz(&p->d));
}
// The first cycle at which `ticks` ticks have passed.
static uint64_t ticks_to_cycles(const struct pit *p, uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * dev_hz(&p->d) + PIT_HZ - 1) / PIT_HZ);
}

static uint64_t elapsed(const struct pit *p, const struct channel *k) { return cycles_to_ticks(p, dev_now(&p->d) - k->start); }

// The counter's output pin, ticks after loading.
static bool output_at(const struct channel *k, uint64_t t)
{
    if (!k->loaded)
        return k->mode != 0;
    switch (k->mode) {
    case 0:
    case 1: return t >= k->reload;
    case 2: return t % k->reload != k->reload - 1;
    case 3: return t % k->reload < (k->reload + 1) / 2;
    default: return t != k->reload; // 4 and 5: one low pulse
    }
}

static uint16_t to_bcd(unsigned v) { return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12); }
static unsigned from_bcd(unsigned v) { return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12 & 15) * 1000; }

static uint16_t count_now(const struct pit *p, const struct channel *k)
{
    if (!k->loaded)
        return 0;
    uint64_t t = elapsed(p, k);
    unsigned modulus = k->bcd ? 10000 : 65536, v;
    if (k->mode == 2)
        v = k->reload - (unsigned)(t % k->reload);
    else if (k->mode == 3) // counts down by two, twice per period
        v = (k->reload & ~1u) - (unsigned)(t * 2 % (k->reload & ~1u ? k->reload & ~1u : 2));
    else
        v = (unsigned)((k->reload + (uint64_t)modulus - t % modulus) % modulus);
    return k->bcd ? to_bcd(v % 10000) : (uint16_t)v;
}

// Ticks from t to the next change of the output, or UINT64_MAX.
static uint64_t next_change(const struct channel *k, uint64_t t)
{
    if (!k->loaded)
        return UINT64_MAX;
    uint64_t in = t % k->reload, half = (k->reload + 1) / 2;
    switch (k->mode) {
    case 0:
    case 1: return t < k->reload ? k->reload - t : UINT64_MAX;
    case 2: return in < k->reload - 1 ? k->reload - 1 - in : 1;
    case 3: return in < half ? half - in : k->reload - in;
    default: return t < k->reload ? k->reload - t : t == k->reload ? 1 : UINT64_MAX;
    }
}

// Bring interrupt line 0 up to date and ask to be called at its next change.
static void pit_update(struct pit *p)
{
    struct channel *k = &p->c[0];
    uint64_t t = k->loaded ? elapsed(p, k) : 0;
    bool out = output_at(k, t);
    if (out != p->out0) {
        p->out0 = out;
        dev_irq(&p->d, 0, out);
    }
    uint64_t dt = next_change(k, t);
    dev_set_deadline(&p->d, dt == UINT64_MAX ? UINT64_MAX : k->start + ticks_to_cycles(p, t + dt));
}

static void load(struct pit *p, unsigned n, unsigned value)
{
    struct channel *k = &p->c[n];
    unsigned v = k->bcd ? from_bcd(value) : value;
    k->reload = v ? v : k->bcd ? 10000 : 65536;
    if ((k->mode == 2 || k->mode == 3) && k->reload == 1)
        k->reload = 2; // a count of one is illegal in these modes
    k->start = dev_now(&p->d);
    k->loaded = true;
    k->null_count = false;
}

static void latch_count(struct pit *p, struct channel *k)
{
    if (!k->latched) {
        k->latch = count_now(p, k);
        k->latched = true;
    }
}

static void write_control(struct pit *p, uint8_t v)
{
    if (v >> 6 == 3) { // read-back
        for (unsigned n = 0; n < 3; n++) {
            struct channel *k = &p->c[n];
            if (!(v >> (n + 1) & 1))
                continue;
            if (!(v & 0x20))
                latch_count(p, k);
            if (!(v & 0x10) && !k->status_latched) {
                k->status = (uint8_t)(output_at(k, k->loaded ? elapsed(p, k) : 0) << 7 | k->null_count << 6 | k->access << 4 |
                                      k->mode << 1 | k->bcd);
                k->status_latched = true;
            }
        }
        return;
    }
    struct channel *k = &p->c[v >> 6];
    if (!(v >> 4 & 3)) {
        latch_count(p, k);
        return;
    }
    bool gate = k->gate;
    memset(k, 0, sizeof *k);
    k->gate = gate;
    k->access = v >> 4 & 3;
    k->mode = (v >> 1 & 7) > 5 ? (v >> 1 & 3) : (v >> 1 & 7);
    k->bcd = v & 1;
    k->null_count = true;
    if (k == &p->c[0])
        pit_update(p);
}

static void write_count(struct pit *p, unsigned n, uint8_t v)
{
    struct channel *k = &p->c[n];
    if (k->access == 3 && !k->write_high) {
        k->low = v;
        k->write_high = true;
        return;
    }
    k->write_high = false;
    load(p, n, k->access == 1 ? v : k->access == 2 ? (unsigned)v << 8 : (unsigned)v << 8 | k->low);
    if (n == 0)
        pit_update(p);
}

static uint8_t read_count(struct pit *p, unsigned n)
{
    struct channel *k = &p->c[n];
    if (k->status_latched) {
        k->status_latched = false;
        return k->status;
    }
    uint16_t v = k->latched ? k->latch : count_now(p, k);
    bool high = k->access == 2 || (k->access == 3 && k->read_high);
    if (k->access == 3)
        k->read_high = !k->read_high;
    if (k->access != 3 || high)
        k->latched = false;
    return (uint8_t)(high ? v >> 8 : v);
}

static uint64_t pit_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct pit *p = (struct pit *)d;
    if (range == 1) {
        struct channel *k = &p->c[2];
        bool out = output_at(k, k->loaded ? elapsed(p, k) : 0);
        return (p->port61 & 0x0f) | (dev_now(d) / (dev_ns_to_cycles(d, 15085) + 1) & 1) << 4 |
               (uint64_t)out << 5; // bit 4: refresh toggles
    }
    return off < 3 ? read_count(p, (unsigned)off) : 0xff;
}

static void pit_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct pit *p = (struct pit *)d;
    uint8_t v = (uint8_t)val;
    if (range == 1) {
        bool rises = (v & 1) && !(p->port61 & 1);
        p->port61 = v & 0x0f;
        p->c[2].gate = v & 1;
        if (rises && p->c[2].loaded)
            p->c[2].start = dev_now(d);
    } else if (off == 3) {
        write_control(p, v);
    } else {
        write_count(p, (unsigned)off, v);
    }
}

static void pit_deadline(struct dev *d) { pit_update((struct pit *)d); }

static void pit_reset(struct dev *d)
{
    struct pit *p = (struct pit *)d;
    memset(p->c, 0, sizeof p->c);
    p->c[0].gate = p->c[1].gate = true;
    p->out0 = false;
    p->port61 = 0;
}

static uint64_t pit_hash(const struct dev *d, uint64_t h)
{
    const struct pit *p = (const struct pit *)d;
    for (unsigned n = 0; n < 3; n++) {
        const struct channel *k = &p->c[n];
        const uint64_t flat[] = {k->mode, k->access, k->bcd,    k->write_high, k->read_high, k->loaded,
                                 k->gate, k->low,    k->reload, k->start,      k->latched,   k->latch};
        h = dev_hash_bytes(h, flat, sizeof flat);
    }
    return dev_hash_bytes(h, &p->port61, 1);
}

static const struct dev_ops pit_ops = {
    .name = "pit", .reset = pit_reset, .read = pit_read, .write = pit_write, .deadline = pit_deadline, .hash = pit_hash};

struct dev *dev_pit_attach(struct sim_machine *m)
{
    struct pit *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->d.ops = &pit_ops;
    dev_attach(m, &p->d);
    pit_reset(&p->d);
    dev_map_port(&p->d, 0, 0x40, 4);
    dev_map_port(&p->d, 1, 0x61, 1);
    return &p->d;
}
