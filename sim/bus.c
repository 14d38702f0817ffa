// sim/bus.c: ports, memory-mapped ranges, deadlines and interrupt controllers: what connects devices to the machine.
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/msr.h"
#include "sim/dev_lapic.h"
#include "sim/dev_pc.h"
#include "sim/dev_virtio.h"
#include "sim/internal.h"

#define BUS_MAX_DEVICES 32
#define BUS_MAX_RANGES  64

struct bus_range {
    struct dev *d;
    unsigned range; // the device's own number
    uint64_t base, n;
};
struct bus_intc {
    struct dev *d;
    const struct dev_intc *ops;
    unsigned priority;
};
struct sim_bus {
    struct dev *dev[BUS_MAX_DEVICES];
    unsigned ndev;
    struct bus_range port_range[BUS_MAX_RANGES], mmio[BUS_MAX_RANGES];
    unsigned nport_range, nmmio;
    uint8_t port[0x10000]; // index + 1 into port_range, 0: absent
    struct bus_intc intc[4];
    unsigned nintc;
    uint64_t next_deadline;
    struct dev_pc pc;
    struct { // memory-mapped too, so that data accesses and the mirrors go by the device
        uint64_t base, n;
        const uint8_t *bytes;
    } rom;
};

int bus_create(struct sim_machine *m, struct sim_error *err)
{
    m->bus = calloc(1, sizeof *m->bus);
    if (!m->bus)
        return sim_fail(err, SIM_INTERNAL, "machine: out of memory for the device bus");
    m->bus->next_deadline = m->mmio_lo = UINT64_MAX;
    if (dev_pc_attach(m, &m->bus->pc, err) < 0) {
        bus_destroy(m);
        return -1;
    }
    return 0;
}

void bus_destroy(struct sim_machine *m)
{
    if (!m->bus)
        return;
    for (unsigned i = 0; i < m->bus->ndev; i++) {
        struct dev *d = m->bus->dev[i];
        if (d->ops->destroy)
            d->ops->destroy(d);
        free(d);
    }
    free(m->bus);
    m->bus = NULL;
}

void bus_reset(struct sim_machine *m)
{
    for (unsigned i = 0; i < m->bus->ndev; i++) {
        struct dev *d = m->bus->dev[i];
        dev_set_deadline(d, UINT64_MAX);
        if (d->ops->reset)
            d->ops->reset(d);
    }
}

uint64_t bus_hash(const struct sim_machine *m, uint64_t h)
{
    for (unsigned i = 0; i < m->bus->ndev; i++)
        if (m->bus->dev[i]->ops->hash)
            h = m->bus->dev[i]->ops->hash(m->bus->dev[i], h);
    return h;
}

void bus_input(struct sim_machine *m, const void *bytes, uint64_t n)
{
    const struct dev_pc *pc = &m->bus->pc;
    if (pc->console && dev_virtio_console_open(pc->console))
        dev_virtio_console_input(pc->console, bytes, n);
    else
        dev_uart_input(pc->serial, bytes, n);
}

// --- attaching

void dev_attach(struct sim_machine *m, struct dev *d)
{
    assert(m->bus->ndev < BUS_MAX_DEVICES);
    d->m = m;
    d->deadline = UINT64_MAX;
    m->bus->dev[m->bus->ndev++] = d;
}

void dev_map_port(struct dev *d, unsigned range, uint16_t port, unsigned n)
{
    struct sim_bus *b = d->m->bus;
    assert(b->nport_range < BUS_MAX_RANGES && port + n <= 0x10000);
    b->port_range[b->nport_range++] = (struct bus_range){d, range, port, n};
    memset(&b->port[port], (int)b->nport_range, n);
}

static void mmio_changed(struct sim_machine *m)
{
    struct sim_bus *b = m->bus;
    m->mmio_lo = UINT64_MAX;
    for (unsigned i = 0; i < b->nmmio; i++)
        if ((b->mmio[i].base & ~0xfffull) < m->mmio_lo)
            m->mmio_lo = b->mmio[i].base & ~0xfffull;
    mmu_mirror_clear(m);
}

void dev_map_mmio(struct dev *d, unsigned range, struct hpa base, uint64_t n)
{
    struct sim_bus *b = d->m->bus;
    assert(b->nmmio < BUS_MAX_RANGES);
    b->mmio[b->nmmio++] = (struct bus_range){d, range, base.v, n};
    mmio_changed(d->m);
}

void dev_unmap_mmio(struct dev *d, unsigned range)
{
    struct sim_bus *b = d->m->bus;
    for (unsigned i = 0; i < b->nmmio; i++)
        if (b->mmio[i].d == d && b->mmio[i].range == range) {
            memmove(&b->mmio[i], &b->mmio[i + 1], (b->nmmio - i - 1) * sizeof b->mmio[0]);
            b->nmmio--;
            mmio_changed(d->m);
            return;
        }
}

// --- accesses

static uint64_t ones(unsigned size) { return size == 8 ? UINT64_MAX : (1ull << size * 8) - 1; }

// The range that holds all bytes of a port access, or NULL. An access that straddles ranges is split by the callers below.
static const struct bus_range *port_at(const struct sim_bus *b, uint16_t port, unsigned size)
{
    unsigned k = b->port[port];
    if (!k)
        return NULL;
    const struct bus_range *r = &b->port_range[k - 1];
    return port + size <= r->base + r->n ? r : NULL;
}

static void emit_io(struct sim_machine *m, uint16_t port, unsigned size, bool in, uint32_t val)
{
    if (!ev_wanted(m, EV_IO))
        return;
    struct ev e = {.kind = EV_IO};
    e.u.io.port = port;
    e.u.io.size = (uint8_t)size;
    e.u.io.in = in;
    e.u.io.val = val;
    ev_emit(m->cpu[m->running], &e);
}

static uint32_t port_read(struct sim_bus *b, uint16_t port, unsigned size)
{
    const struct bus_range *r = port_at(b, port, size);
    if (r)
        return (uint32_t)(r->d->ops->read(r->d, r->range, port - r->base, size) & ones(size));
    if (size == 1)
        return 0xff;
    uint32_t lo = port_read(b, port, size / 2), hi = port_read(b, (uint16_t)(port + size / 2), size / 2);
    return lo | hi << size * 4;
}

static void port_write(struct sim_bus *b, uint16_t port, unsigned size, uint32_t val)
{
    const struct bus_range *r = port_at(b, port, size);
    if (r) {
        r->d->ops->write(r->d, r->range, port - r->base, size, val);
    } else if (size > 1) {
        port_write(b, port, size / 2, val & (uint32_t)ones(size / 2));
        port_write(b, (uint16_t)(port + size / 2), size / 2, val >> size * 4);
    }
}

uint32_t bus_in(struct sim_machine *m, uint16_t port, unsigned size)
{
    uint32_t v = port_read(m->bus, port, size);
    emit_io(m, port, size, true, v);
    return v;
}

void bus_out(struct sim_machine *m, uint16_t port, unsigned size, uint32_t val)
{
    emit_io(m, port, size, false, val);
    port_write(m->bus, port, size, val);
}

static const struct bus_range *mmio_at(const struct sim_bus *b, uint64_t pa)
{
    for (unsigned i = 0; i < b->nmmio; i++)
        if (pa - b->mmio[i].base < b->mmio[i].n)
            return &b->mmio[i];
    return NULL;
}

bool bus_mmio_search(const struct sim_machine *m, struct hpa pa)
{
    uint64_t page = pa.v & ~0xfffull;
    const struct sim_bus *b = m->bus;
    for (unsigned i = 0; i < b->nmmio; i++)
        if (page < b->mmio[i].base + b->mmio[i].n && page + 0x1000 > b->mmio[i].base)
            return true;
    return false;
}

uint64_t bus_mmio_read(struct sim_machine *m, struct hpa pa, unsigned size)
{
    const struct bus_range *r = mmio_at(m->bus, pa.v);
    if (!r || pa.v + size > r->base + r->n)
        return ones(size);
    return r->d->ops->read(r->d, r->range, pa.v - r->base, size) & ones(size);
}

void bus_mmio_write(struct sim_machine *m, struct hpa pa, unsigned size, uint64_t val)
{
    const struct bus_range *r = mmio_at(m->bus, pa.v);
    if (r && pa.v + size <= r->base + r->n)
        r->d->ops->write(r->d, r->range, pa.v - r->base, size, val);
}

void bus_set_rom(struct sim_machine *m, struct hpa base, uint64_t n, const uint8_t *bytes)
{
    m->bus->rom.base = base.v;
    m->bus->rom.n = n;
    m->bus->rom.bytes = bytes;
}

const uint8_t *bus_code_at(const struct sim_machine *m, struct hpa pa)
{
    const uint8_t *p = ram_at(&m->ram, pa);
    return p || pa.v - m->bus->rom.base >= m->bus->rom.n ? p : m->bus->rom.bytes + (pa.v - m->bus->rom.base);
}

struct dev *bus_fwcfg(const struct sim_machine *m) { return m->bus->pc.fwcfg; }

// --- time

static void recompute_deadline(struct sim_bus *b)
{
    b->next_deadline = UINT64_MAX;
    for (unsigned i = 0; i < b->ndev; i++)
        if (b->dev[i]->deadline < b->next_deadline)
            b->next_deadline = b->dev[i]->deadline;
}

void dev_set_deadline(struct dev *d, uint64_t cycle)
{
    d->deadline = cycle;
    recompute_deadline(d->m->bus);
    engine_kick(d->m);
}

uint64_t bus_next_deadline(const struct sim_machine *m) { return m->bus->next_deadline; }

void bus_run_deadlines(struct sim_machine *m, uint64_t now)
{
    while (m->bus->next_deadline <= now) {
        struct dev *due = NULL;
        for (unsigned i = 0; i < m->bus->ndev; i++) // earliest first, then order of attachment
            if (m->bus->dev[i]->deadline <= now && (!due || m->bus->dev[i]->deadline < due->deadline))
                due = m->bus->dev[i];
        due->deadline = UINT64_MAX;
        recompute_deadline(m->bus);
        due->ops->deadline(due);
    }
}

uint64_t dev_now(const struct dev *d)
{
    struct sim_cpu *cpu = d->m->cpu[d->m->running];
    return cpu ? engine_observe(&cpu->isa) : 0;
}
uint64_t dev_hz(const struct dev *d) { return d->m->profile->hz; }
uint64_t dev_ns_to_cycles(const struct dev *d, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * d->m->profile->hz / 1000000000u);
}

// --- interrupts

void dev_irq(struct dev *d, unsigned line, bool level)
{
    struct sim_machine *m = d->m;
    const struct dev_pc *pc = &m->bus->pc;
    if (line >= 16) { // the upper pins of the I/O APIC
        dev_ioapic_line(pc->ioapic, line, level);
        return;
    }
    bool changed = dev_pic_line(pc->pic, line, level);
    if (changed && pc->ioapic && line != 2)
        dev_ioapic_line(pc->ioapic, line ? line : 2, level);
    if (changed && ev_wanted(m, EV_IRQ)) {
        struct ev e = {.kind = EV_IRQ};
        e.u.irq.line = (uint8_t)line;
        e.u.irq.what = level;
        ev_emit(m->cpu[m->running], &e);
    }
}

void dev_set_intc(struct sim_machine *m, struct dev *d, const struct dev_intc *ops, unsigned priority)
{
    struct sim_bus *b = m->bus;
    assert(b->nintc < 4);
    unsigned k = b->nintc++;
    for (; k > 0 && b->intc[k - 1].priority > priority; k--)
        b->intc[k] = b->intc[k - 1];
    b->intc[k] = (struct bus_intc){d, ops, priority};
}

void dev_intc_changed(struct sim_machine *m) { engine_kick(m); }

bool bus_irq_pending(const struct sim_machine *m, unsigned cpu)
{
    for (unsigned i = 0; i < m->bus->nintc; i++)
        if (m->bus->intc[i].ops->pending(m->bus->intc[i].d, cpu))
            return true;
    return false;
}

void bus_pmi(struct sim_machine *m, unsigned cpu) { dev_lapic_pmi(m->bus->pc.lapic, cpu); }

void bus_cpu_init(struct sim_machine *m, unsigned cpu) { dev_lapic_init(m->bus->pc.lapic, cpu); }

int bus_irq_ack(struct sim_machine *m, unsigned cpu)
{
    for (unsigned i = 0; i < m->bus->nintc; i++) {
        struct bus_intc *n = &m->bus->intc[i];
        if (n->ops->pending(n->d, cpu))
            return n->ops->ack(n->d, cpu);
    }
    return -1;
}

void bus_irq_eoi(struct sim_machine *m, unsigned cpu) { dev_lapic_eoi(m->bus->pc.lapic, cpu); }

// --- MSRs of devices

bool bus_rdmsr(struct sim_machine *m, unsigned cpu, uint32_t msr, uint64_t *val)
{
    return dev_lapic_rdmsr(m->bus->pc.lapic, cpu, msr, val);
}
bool bus_wrmsr(struct sim_machine *m, unsigned cpu, uint32_t msr, uint64_t val)
{
    return dev_lapic_wrmsr(m->bus->pc.lapic, cpu, msr, val);
}
void bus_msr_changed(struct sim_machine *m, unsigned cpu, uint32_t msr)
{
    if (msr == ISA_MSR_APIC_BASE || msr == ISA_MSR_TSC || msr == 0x3b)
        dev_lapic_msr_changed(m->bus->pc.lapic, cpu, msr);
}

// --- output and exit

void dev_output(struct dev *d, const char *port, uint8_t byte)
{
    struct sim_machine *m = d->m;
    const bool keep = strcmp(port, SIM_OUTPUT_FIRMWARE) != 0;
    if (keep && m->output_len + 1 >= m->output_cap) {
        uint64_t cap = m->output_cap ? m->output_cap * 2 : 4096;
        char *p = cap <= (64u << 20) ? realloc(m->output, cap) : NULL; // beyond 64 MiB the record keeps what it has
        if (p) {
            m->output = p;
            m->output_cap = cap;
        }
    }
    if (keep && m->output_len + 1 < m->output_cap) {
        m->output[m->output_len++] = (char)byte;
        m->output[m->output_len] = 0;
    }
    if (ev_wanted(m, EV_OUTPUT)) {
        struct ev e = {.kind = EV_OUTPUT};
        e.u.output.port = port;
        e.u.output.byte = byte;
        ev_emit(m->cpu[m->running], &e);
    }
}

static void request_stop(struct sim_machine *m, struct sim_stop stop)
{
    if (m->has_pending_stop)
        return;
    m->pending_stop = stop;
    m->has_pending_stop = true;
    engine_kick(m);
}

void dev_exit(struct dev *d, uint64_t code)
{
    struct sim_stop s = {.kind = SIM_STOP_EXIT, .code = code};
    snprintf(s.text, sizeof s.text, "the guest wrote %" PRIu64 " to port F4H: status %" PRIu64, code >> 1, code);
    request_stop(d->m, s);
}

void dev_request_reset(struct dev *d, const char *by)
{
    struct sim_stop s = {.kind = SIM_STOP_RESET};
    snprintf(s.text, sizeof s.text, "the guest asked for a reset through %s", by);
    request_stop(d->m, s);
}

void dev_power_off(struct dev *d)
{
    request_stop(d->m, (struct sim_stop){.kind = SIM_STOP_EXIT, .text = "the guest switched the machine off"});
}

void dev_refuse(struct dev *d, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sim_unmodelled(d->m, "%s: %s", d->ops->name, text);
}
