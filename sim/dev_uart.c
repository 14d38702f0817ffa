// sim/dev_uart.c: a 16550A serial port.
//
// MODELS     all registers, the 16-byte FIFOs, the interrupt identification priorities, loopback. Transmission is immediate: a byte
//            written leaves at once, so the transmitter is always empty (baud rate has no effect on timing; docs/quirks.md).
// SOURCE     National Semiconductor PC16550D data sheet.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"

#define IER_RX     1u
#define IER_THRE   2u
#define IER_LINE   4u
#define IER_MODEM  8u
#define LCR_DLAB   0x80u
#define MCR_OUT2   8u
#define MCR_LOOP   0x10u
#define LSR_DR     1u
#define LSR_OE     2u
#define LSR_THRE   0x20u
#define LSR_TEMT   0x40u
#define FCR_ENABLE 1u

struct uart_regs {
    uint8_t ier, lcr, mcr, scr, fcr, dll, dlm, lsr_oe;
    uint8_t rx[16], rx_len;
    bool thre_pending; // the "transmitter holding register empty" interrupt has not been read away
};
struct uart {
    struct dev d;
    unsigned irq;
    bool level;
    struct uart_regs r;
    // bytes from outside that do not fit into the FIFO yet
    uint8_t *in;
    uint64_t in_len, in_pos;
};

// Interrupt identification: highest-priority pending source, 1 if none.
static uint8_t uart_iir(const struct uart *u)
{
    const struct uart_regs *r = &u->r;
    static const uint8_t trigger[4] = {1, 4, 8, 14};
    uint8_t fifo = r->fcr & FCR_ENABLE ? 0xc0 : 0;
    if ((r->ier & IER_LINE) && r->lsr_oe)
        return fifo | 6;
    if ((r->ier & IER_RX) &&
        r->rx_len) // below the trigger level the character time-out applies at once: nothing else will come in time
        return fifo | (!fifo || r->rx_len >= trigger[r->fcr >> 6] ? 4 : 12);
    if ((r->ier & IER_THRE) && r->thre_pending)
        return fifo | 2;
    return fifo | 1;
}

static void uart_update(struct uart *u)
{
    bool level = !(uart_iir(u) & 1) && (u->r.mcr & MCR_OUT2) && !(u->r.mcr & MCR_LOOP);
    if (level != u->level) {
        u->level = level;
        dev_irq(&u->d, u->irq, level);
    }
}

static void uart_refill(struct uart *u)
{
    unsigned cap = u->r.fcr & FCR_ENABLE ? 16 : 1;
    while (u->in_pos < u->in_len && u->r.rx_len < cap && !(u->r.mcr & MCR_LOOP))
        u->r.rx[u->r.rx_len++] = u->in[u->in_pos++];
}

static uint8_t uart_pop(struct uart *u)
{
    if (!u->r.rx_len)
        return 0;
    uint8_t b = u->r.rx[0];
    memmove(u->r.rx, u->r.rx + 1, --u->r.rx_len);
    uart_refill(u);
    return b;
}

static uint64_t uart_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct uart *u = (struct uart *)d;
    struct uart_regs *r = &u->r;
    uint8_t v = 0xff;
    switch (off) {
    case 0: v = r->lcr & LCR_DLAB ? r->dll : uart_pop(u); break;
    case 1: v = r->lcr & LCR_DLAB ? r->dlm : r->ier; break;
    case 2:
        v = uart_iir(u);
        if ((v & 0xf) == 2)
            r->thre_pending = false;
        break;
    case 3: v = r->lcr; break;
    case 4: v = r->mcr; break;
    case 5:
        v = LSR_THRE | LSR_TEMT | (r->rx_len ? LSR_DR : 0) | r->lsr_oe;
        r->lsr_oe = 0;
        break;
    case 6: // loopback feeds the modem outputs back; else clear-to-send, data-set-ready and carrier are on
        v = r->mcr & MCR_LOOP ? (uint8_t)((r->mcr & 2) << 3 | (r->mcr & 1) << 5 | (r->mcr & 4) << 4 | (r->mcr & 8) << 4) : 0xb0;
        break;
    case 7: v = r->scr; break;
    }
    uart_update(u);
    return v;
}

static void uart_transmit(struct uart *u, uint8_t b)
{
    if (!(u->r.mcr & MCR_LOOP)) {
        dev_output(&u->d, "serial", b);
    } else if (u->r.rx_len < (u->r.fcr & FCR_ENABLE ? 16 : 1)) {
        u->r.rx[u->r.rx_len++] = b;
    } else {
        u->r.lsr_oe = LSR_OE;
    }
    u->r.thre_pending = true;
}

static void uart_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct uart *u = (struct uart *)d;
    struct uart_regs *r = &u->r;
    uint8_t v = (uint8_t)val;
    switch (off) {
    case 0:
        if (r->lcr & LCR_DLAB)
            r->dll = v;
        else
            uart_transmit(u, v);
        break;
    case 1:
        if (r->lcr & LCR_DLAB) {
            r->dlm = v;
        } else {
            if (!(r->ier & IER_THRE) && (v & IER_THRE))
                r->thre_pending = true; // enabling the interrupt while the register is empty raises it
            r->ier = v & 0x0f;
        }
        break;
    case 2:
        if ((v ^ r->fcr) & FCR_ENABLE || v & 2)
            r->rx_len = 0;
        r->fcr = v & 0xc9;
        uart_refill(u);
        break;
    case 3: r->lcr = v; break;
    case 4:
        r->mcr = v & 0x1f;
        uart_refill(u);
        break;
    case 7: r->scr = v; break;
    }
    uart_update(u);
}

static void uart_reset(struct dev *d)
{
    struct uart *u = (struct uart *)d;
    memset(&u->r, 0, sizeof u->r);
    u->r.dll = 1;
    uart_update(u);
}

static void uart_destroy(struct dev *d) { free(((struct uart *)d)->in); }

static uint64_t uart_hash(const struct dev *d, uint64_t h)
{
    const struct uart_regs *r = &((const struct uart *)d)->r;
    const uint8_t flat[] = {r->ier, r->lcr, r->mcr, r->scr, r->fcr, r->dll, r->dlm, r->lsr_oe, r->rx_len, r->thre_pending};
    return dev_hash_bytes(dev_hash_bytes(h, flat, sizeof flat), r->rx, r->rx_len);
}

static const struct dev_ops uart_ops = {
    .name = "uart", .reset = uart_reset, .destroy = uart_destroy, .read = uart_read, .write = uart_write, .hash = uart_hash};

struct dev *dev_uart_attach(struct sim_machine *m, uint16_t port, unsigned irq)
{
    struct uart *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->d.ops = &uart_ops;
    u->irq = irq;
    u->r.dll = 1;
    dev_attach(m, &u->d);
    dev_map_port(&u->d, 0, port, 8);
    return &u->d;
}

void dev_uart_input(struct dev *d, const void *bytes, uint64_t n)
{
    struct uart *u = (struct uart *)d;
    uint64_t left = u->in_len - u->in_pos;
    uint8_t *p = malloc(left + n + 1);
    if (!p)
        return;
    if (left)
        memcpy(p, u->in + u->in_pos, left);
    memcpy(p + left, bytes, n);
    free(u->in);
    u->in = p;
    u->in_len = left + n;
    u->in_pos = 0;
    uart_refill(u);
    uart_update(u);
}
