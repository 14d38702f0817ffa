// visualizer/view_tss.c: the current TSS and its I/O permission bitmap.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static void field(struct vz *v, const struct vz_win *w, int r, const struct isa_seg *tr, const struct vz_tss_field *t)
{
    uint64_t val = 0;
    char sym[64] = "";
    int c = vz_at(w, r, 1, VZ_A_ADDR, "%3u  ", t->off);
    c = vz_at(w, r, c, VZ_A_TITLE, "%-8s", t->name);
    if ((uint64_t)t->off + t->size > (uint64_t)tr->limit + 1)
        vz_text(w, r, c, VZ_A_DIM, "beyond the limit");
    else if (sim_peek(v->m, v->cpu, SIM_LINEAR, tr->base + t->off, &val, t->size) != t->size)
        vz_text(w, r, c, VZ_A_DIM, "unreadable");
    else {
        if (t->size == 8 && val)
            sim_symbol(v->m, val, sym, sizeof sym);
        vz_at(w, r, c, VZ_A_NORMAL, "%0*llx", t->size * 2, (ull)val);
        vz_at(w, r, c + 18, VZ_A_DIM, "%s  %s", t->text, sym);
    }
}

static void bitmap(struct vz *v, const struct vz_win *w, int r)
{
    struct vz_iobitmap b;
    char t[160];
    vz_iobitmap(v->m, v->cpu, &b);
    if (!b.present) {
        vz_text(w, r, 1, VZ_A_NORMAL, "No I/O permission bitmap: ports need CPL at most IOPL.");
        return;
    }
    snprintf(t, sizeof t, "I/O bitmap at offset %x: %u of %u ports allowed", b.base, b.allowed, b.ports);
    for (unsigned i = 0; i < b.nruns; i++)
        snprintf(t + strlen(t), sizeof t - strlen(t), b.run[i].lo == b.run[i].hi ? "%s%x" : "%s%x-%x", i ? ", " : ": ", b.run[i].lo,
                 b.run[i].hi);
    vz_text(w, r, 1, VZ_A_NORMAL, t);
}

void vz_view_tss(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    static const char *const kind[] = {"no TSS", "16-bit TSS", "32-bit TSS", "64-bit TSS"};
    const struct isa_cpu *c = vz_cpu(v);
    const struct isa_seg *tr = &c->seg[ISA_TR];
    enum vz_tss_kind k = vz_tss_kind(c);
    int n = 0;
    while (vz_tss_field(k, (unsigned)n))
        n++;
    snprintf(p->title, sizeof p->title, "%s: TR %04x, base %llx, limit %x", kind[k], tr->sel, (ull)tr->base, tr->limit);
    if (k == VZ_TSS_NONE) {
        vz_rows(p, w, 1);
        vz_text(w, 0, 1, VZ_A_DIM, "TR holds no usable TSS: a change to an inner ring would fail.");
        return;
    }
    int top = vz_rows(p, w, n + (k != VZ_TSS_16));
    for (int r = 0; r < w->h && top + r < n; r++)
        field(v, w, r, tr, vz_tss_field(k, (unsigned)(top + r)));
    if (k != VZ_TSS_16)
        bitmap(v, w, n - top);
    vz_select(w, p->cursor - top, 0, 5);
}
