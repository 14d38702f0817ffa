// visualizer/inward.c: what leads from an outer ring to an inner one: gates, SYSCALL, SYSENTER.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "visualizer/model.h"

typedef unsigned long long ull;

static void say(struct vz_lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct vz_lines *l, const char *fmt, ...)
{
    va_list ap;
    if (l->n >= VZ_MAX_LINES)
        return;
    va_start(ap, fmt);
    vsnprintf(l->text[l->n++], sizeof l->text[0], fmt, ap);
    va_end(ap);
}

// The ring that a gate leads to: the DPL of its code segment.
static unsigned target_ring(struct sim_machine *m, unsigned cpu, const struct sim_desc *gate)
{
    struct sim_desc code;
    sim_descriptor(m, cpu, gate->gate_sel, &code);
    return code.valid ? code.dpl & 3u : 0;
}

static void idt_lines(struct vz_lines *l, struct sim_machine *m, unsigned cpu)
{
    unsigned to[4] = {0}, user = 0;
    for (unsigned v = 0; v < 256; v++) {
        struct sim_desc d;
        sim_idt_gate(m, cpu, v, &d);
        if (d.valid && d.present && d.gate)
            to[target_ring(m, cpu, &d)]++;
    }
    if (!(to[0] + to[1] + to[2] + to[3]))
        say(l, "IDT: no present gate");
    for (unsigned r = 0; r < 4; r++)
        if (to[r])
            say(l, "IDT: %u gate%s to ring %u", to[r], to[r] == 1 ? "" : "s", r);
    for (unsigned v = 0; v < 256; v++) {
        struct sim_desc d;
        char sym[48];
        sim_idt_gate(m, cpu, v, &d);
        if (!d.valid || !d.present || !d.gate || d.dpl != 3 || ++user > 4)
            continue;
        sim_symbol(m, d.gate_off, sym, sizeof sym);
        say(l, "INT %XH, ring 3 \u2192 ring %u %s", v, target_ring(m, cpu, &d), sym);
    }
    if (user > 4)
        say(l, "and %u more gates with DPL 3", user - 4);
}

static void gate_lines(struct vz_lines *l, struct sim_machine *m, unsigned cpu)
{
    const struct isa_cpu *c = sim_cpu(m, cpu);
    unsigned slots = (c->gdtr.limit + 1u) / 8, found = 0;
    for (unsigned i = 1; i < slots; i++) {
        struct sim_desc d, code;
        sim_descriptor(m, cpu, (uint16_t)(i * 8), &d);
        if (d.valid && d.wide)
            i++;
        if (!d.valid || !d.gate || !d.present || ++found > 3)
            continue;
        sim_descriptor(m, cpu, d.gate_sel, &code);
        say(l, "call gate %04x, DPL %u \u2192 ring %u", (i - (d.wide ? 1 : 0)) * 8, d.dpl, code.valid ? code.dpl : 0);
    }
    if (found > 3)
        say(l, "and %u more gates in the GDT", found - 3);
}

void vz_inward(struct vz_lines *l, struct sim_machine *m, unsigned cpu)
{
    l->n = 0;
    const struct isa_cpu *c = sim_cpu(m, cpu);
    char sym[64];
    if (c->mode == ISA_REAL) {
        say(l, "real mode: no rings are checked");
        return;
    }
    idt_lines(l, m, cpu);
    gate_lines(l, m, cpu);
    if (c->efer & ISA_EFER_SCE && isa_long(c)) {
        sim_symbol(m, c->lstar, sym, sizeof sym);
        say(l, "SYSCALL, ring 3 \u2192 ring 0 at %llx %s", (ull)c->lstar, sym);
    } else
        say(l, c->efer & ISA_EFER_SCE ? "SYSCALL: not outside IA-32e mode" : "SYSCALL is off (EFER.SCE = 0)");
    if (c->sysenter_cs & ~3ull) {
        sim_symbol(m, c->sysenter_eip, sym, sizeof sym);
        say(l, "SYSENTER, ring 3 \u2192 ring 0 at %llx %s", (ull)c->sysenter_eip, sym);
    }
    say(l, "outwards: IRET, far RET, SYSRET, SYSEXIT");
}
