// sim/chain.c: a triple fault in words: each event, what its delivery read, and why that failed.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "isa/deliver.h"
#include "sim/engine.h"

struct text {
    char *buf;
    size_t size, n;
};
static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->buf + t->n, t->size - t->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->n = t->n + (size_t)n < t->size ? t->n + (size_t)n : t->size - 1;
}

static void add_event(struct text *t, const struct isa_event *e)
{
    if (e->type == ISA_EV_HWEXC || e->type == ISA_EV_SWEXC || e->type == ISA_EV_PRIVSW || e->type == ISA_EV_NMI)
        add(t, "%s", e->type == ISA_EV_NMI ? "NMI" : isa_vector_info(e->vector)->mnemonic);
    else
        add(t, "%s 0x%x", e->type == ISA_EV_SWINT ? "INT" : "interrupt", e->vector);
}

// What an error code says of the place: the address of a page fault, or the descriptor.
static void add_error(struct text *t, const struct isa_event *e)
{
    if (e->vector == ISA_X_PF)
        add(t, " for address 0x%" PRIx64 ", error code 0x%x", e->addr, e->error);
    else if (e->has_error && e->error & 0xfff8)
        add(t, " for %s entry %u", e->error & ISA_ERR_IDT ? "IDT" : e->error & 4 ? "LDT" : "GDT", e->error >> 3);
}

static void add_rule(struct text *t, const struct isa_event *e)
{
    if (e->rule)
        add(t, ": %s", isa_rule_info(e->rule)->text);
    else
        add(t, ".");
}

void chain_text(const struct isa_cpu *c, const char *at, char *buf, size_t size)
{
    struct text all = {.buf = buf, .size = size}, *t = &all;
    const unsigned gate = c->mode == ISA_REAL ? 4 : isa_long(c) ? 16 : 8; // bytes of an IDT entry
    for (unsigned k = 0; k < c->chain_n; k++) {
        const struct isa_event *e = &c->chain[k];
        bool df = e->vector == ISA_X_DF && k && e->type == ISA_EV_HWEXC;
        add(t, df ? " Together that is " : k ? ": " : "");
        add_event(t, e);
        if (!k)
            add(t, " %s", at);
        if (!df) {
            add_error(t, e);
            add_rule(t, e);
        }
        bool becomes_df = k + 1 < c->chain_n && c->chain[k + 1].vector == ISA_X_DF && c->chain[k + 1].type == ISA_EV_HWEXC;
        if (k + 1 < c->chain_n && !becomes_df) // the next event is what the delivery of this one raised
            add(t, "%s Its delivery looked up IDT entry %u at 0x%" PRIx64 ", and failed with", df ? "." : "", e->vector,
                c->idtr.base + (uint64_t)gate * e->vector);
    }
}
