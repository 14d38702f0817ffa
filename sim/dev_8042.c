// sim/dev_8042.c: the 8042 keyboard controller with nothing plugged in, ports 60H and 64H.
//
// MODELS     status, configuration byte, self-test and interface test, output port (A20 stays on; bit 0 resets the processor), the pulse
//            commands (FEH: reset). A byte sent to the keyboard that is not there is answered as the controller does: FEH with the time-out
//            flag, and interrupt line 1 if enabled. There is no auxiliary (mouse) port.
// SOURCE     Intel 8042 as the PC/AT's keyboard controller (IBM PC/AT technical reference).
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

enum { KBD_DATA, KBD_COMMAND };
#define ST_OUT     0x01u // output buffer full
#define ST_SYS     0x04u // passed its self-test
#define ST_CMD     0x08u // last write went to 64H
#define ST_NOLOCK  0x10u
#define ST_TIMEOUT 0x40u
#define CFG_IRQ1   0x01u
#define CFG_SYS    0x04u
#define CFG_OFF    0x10u // keyboard clock off
#define OUT_RUN    0x01u // output port: 0 holds the processor in reset
#define OUT_A20    0x02u

struct kbd {
    struct dev d;
    uint8_t status, config, data, pending; // pending: the command that waits for its data byte
    bool level;
};

static void update(struct kbd *k)
{
    bool level = (k->status & ST_OUT) && (k->config & CFG_IRQ1);
    if (level != k->level) {
        k->level = level;
        dev_irq(&k->d, 1, level);
    }
}

static void answer(struct kbd *k, uint8_t v, unsigned flags)
{
    k->data = v;
    k->status = (uint8_t)((k->status & ~ST_TIMEOUT) | ST_OUT | flags);
}

static void command(struct kbd *k, uint8_t v)
{
    k->pending = 0;
    switch (v) {
    case 0x20: answer(k, k->config, 0); break;
    case 0xaa:
        k->status |= ST_SYS;
        answer(k, 0x55, 0);
        break;
    case 0xab: answer(k, 0, 0); break;
    case 0xad: k->config |= CFG_OFF; break;
    case 0xae: k->config &= (uint8_t)~CFG_OFF; break;
    case 0xc0: answer(k, 0x80, 0); break; // input port: not locked
    case 0xd0: answer(k, OUT_RUN | OUT_A20 | (k->status & ST_OUT ? 0x10 : 0), 0); break;
    case 0x60:
    case 0xd1:
    case 0xd2: k->pending = v; break;
    default:
        if (v >= 0xf0 && !(v & OUT_RUN))
            dev_request_reset(&k->d, "command FEH of the keyboard controller");
    }
}

static void data(struct kbd *k, uint8_t v)
{
    uint8_t c = k->pending;
    k->pending = 0;
    switch (c) {
    case 0x60:
        k->config = v & 0x7f;
        k->status = (uint8_t)((k->status & ~ST_SYS) | (v & CFG_SYS));
        break;
    case 0xd1:
        if (!(v & OUT_RUN))
            dev_request_reset(&k->d, "the output port of the keyboard controller");
        break;
    case 0xd2: answer(k, v, 0); break;
    default: answer(k, 0xfe, ST_TIMEOUT);
    }
}

static uint64_t kbd_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct kbd *k = (struct kbd *)d;
    if (range == KBD_COMMAND)
        return k->status;
    k->status &= (uint8_t) ~(ST_OUT | ST_TIMEOUT);
    update(k);
    return k->data;
}

static void kbd_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct kbd *k = (struct kbd *)d;
    if (range == KBD_COMMAND) {
        k->status |= ST_CMD;
        command(k, (uint8_t)val);
    } else {
        k->status &= (uint8_t)~ST_CMD;
        data(k, (uint8_t)val);
    }
    update(k);
}

static void kbd_reset(struct dev *d)
{
    struct kbd *k = (struct kbd *)d;
    k->status = ST_NOLOCK | ST_SYS;
    k->config = CFG_SYS;
    k->data = k->pending = 0;
    k->level = false;
}

static uint64_t kbd_hash(const struct dev *d, uint64_t h)
{
    const struct kbd *k = (const struct kbd *)d;
    const uint8_t flat[] = {k->status, k->config, k->data, k->pending, k->level};
    return dev_hash_bytes(h, flat, sizeof flat);
}

static const struct dev_ops kbd_ops = {.name = "8042", .reset = kbd_reset, .read = kbd_read, .write = kbd_write, .hash = kbd_hash};

struct dev *dev_8042_attach(struct sim_machine *m)
{
    struct kbd *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->d.ops = &kbd_ops;
    dev_attach(m, &k->d);
    kbd_reset(&k->d);
    dev_map_port(&k->d, KBD_DATA, 0x60, 1);
    dev_map_port(&k->d, KBD_COMMAND, 0x64, 1);
    return &k->d;
}
