// visualizer/view_idt.c: the IDT, decoded. Runs of equal gates are one row.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static bool same(const struct sim_desc *a, const struct sim_desc *b)
{
    if (a->valid != b->valid)
        return false;
    if (!a->valid || (!a->present && !b->present))
        return true;
    return a->raw[0] == b->raw[0] && a->raw[1] == b->raw[1];
}

static void draw_row(struct vz *v, const struct vz_win *w, int r, unsigned first, unsigned run)
{
    struct sim_desc d;
    char vec[16], sym[64];
    sim_idt_gate(v->m, v->cpu, first, &d);
    if (run > 1)
        snprintf(vec, sizeof vec, "%u-%u", first, first + run - 1);
    else
        snprintf(vec, sizeof vec, "%u", first);
    vz_at(w, r, 1, VZ_A_ADDR, "%-8s%s", vec, run == 1 ? vz_vector_name(first) : "");
    if (!d.valid || !d.present) {
        vz_text(w, r, 15, VZ_A_DIM, !d.valid ? "outside the limit or unreadable" : "not present");
        return;
    }
    sim_symbol(v->m, d.gate_off, sym, sizeof sym);
    bool user = d.dpl == 3;
    int c = vz_at(w, r, 15, user ? VZ_A_GUEST : VZ_A_NORMAL, "%-21.21s DPL%u %04x:%llx", d.kind ? d.kind : "not a gate", d.dpl,
                  d.gate_sel, (ull)d.gate_off);
    if (d.gate_ist)
        c = vz_at(w, r, c + 1, VZ_A_NORMAL, "IST%u", d.gate_ist);
    vz_text(w, r, c + 1, VZ_A_TITLE, sym);
}

void vz_view_idt(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct isa_cpu *c = vz_cpu(v);
    uint16_t first[256];
    unsigned n = 0;
    struct sim_desc last = {0}, d;
    for (unsigned i = 0; i < 256; i++) {
        sim_idt_gate(v->m, v->cpu, i, &d);
        if (i == 0 || !same(&d, &last))
            first[n++] = (uint16_t)i;
        last = d;
    }
    struct vz_win body = vz_sub(w, 1, 0, w->h - 1, w->w);
    vz_text(w, 0, 1, VZ_A_TITLE, "vector        gate                  DPL  handler");
    int top = vz_rows(p, &body, (int)n);
    for (int r = 0; r < body.h && top + r < (int)n; r++) {
        unsigned i = (unsigned)(top + r);
        draw_row(v, &body, r, first[i], (i + 1 < n ? first[i + 1] : 256u) - first[i]);
    }
    vz_select(&body, p->cursor - top, 0, 14);
    snprintf(p->title, sizeof p->title, "%s at %llx, limit %x", c->mode == ISA_REAL ? "IVT" : "IDT", (ull)c->idtr.base,
             c->idtr.limit);
}
