// visualizer/view_gdt.c: the GDT, decoded. Runs of null entries are one row; the table may be garbage.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;
enum { MAX_ROWS = 512 };

static void draw_row(const struct vz_win *w, int r, const struct isa_cpu *c, unsigned i, unsigned run, const struct sim_desc *d)
{
    char users[40], what[80], ar[80];
    if (run > 1) {
        vz_at(w, r, 1, VZ_A_DIM, "%04x..%04x  %u null entries", i * 8, (i + run - 1) * 8, run);
        return;
    }
    vz_seg_users(users, sizeof users, c, (uint16_t)(i * 8));
    vz_desc_text(what, sizeof what, d);
    vz_at(w, r, 1, users[0] ? VZ_A_CURRENT : VZ_A_ADDR, "%04x", i * 8);
    enum vz_attr a = users[0] ? VZ_A_CURRENT : VZ_A_NORMAL;
    if (!d->valid || d->gate || vz_desc_null(d)) {
        vz_text(w, r, 7, d->valid && !d->gate ? VZ_A_DIM : a, i == 0 && d->valid ? "null descriptor" : what);
        if (d->valid && d->gate)
            vz_at(w, r, 58, a, "DPL%u", d->dpl);
    } else {
        vz_ar_text(ar, sizeof ar, d->seg.ar);
        char *noun = strstr(ar, "data ");
        if (!noun)
            noun = strstr(ar, "code ");
        if (noun) // the kind says that already
            memmove(noun, noun + 5, strlen(noun + 5) + 1);
        vz_at(w, r, 7, a, "%-14.14s %-12llx %8x  %s", what, (ull)d->seg.base, d->seg.limit, ar);
    }
    vz_text(w, r, 64, VZ_A_CURRENT, users);
}

void vz_view_gdt(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct isa_cpu *c = vz_cpu(v);
    struct {
        uint16_t first, run;
    } row[MAX_ROWS];
    unsigned slots = (c->gdtr.limit + 1u) / 8, n = 0;
    for (unsigned i = 0; i < slots && n < MAX_ROWS; i++) {
        struct sim_desc d;
        sim_descriptor(v->m, v->cpu, (uint16_t)(i * 8), &d);
        bool null = d.valid && vz_desc_null(&d);
        bool more = n && null && row[n - 1].run && i > 1 && row[n - 1].first > 0;
        if (more) { // extend a run of nulls
            struct sim_desc e;
            sim_descriptor(v->m, v->cpu, (uint16_t)(row[n - 1].first * 8), &e);
            if (e.valid && vz_desc_null(&e)) {
                row[n - 1].run++;
                continue;
            }
        }
        row[n].first = (uint16_t)i;
        row[n++].run = 1;
        if (d.valid && d.wide)
            i++;
    }
    struct vz_win body = vz_sub(w, 1, 0, w->h - 1, w->w);
    vz_text(w, 0, 1, VZ_A_TITLE, "sel   descriptor     base            limit  access rights       held by");
    int top = vz_rows(p, &body, (int)n);
    for (int r = 0; r < body.h && top + r < (int)n; r++) {
        struct sim_desc d;
        sim_descriptor(v->m, v->cpu, (uint16_t)(row[top + r].first * 8), &d);
        draw_row(&body, r, c, row[top + r].first, row[top + r].run, &d);
    }
    if (n > 0)
        vz_select(&body, p->cursor - top, 0, 6);
    snprintf(p->title, sizeof p->title, "GDT at %llx, limit %x%s", (ull)c->gdtr.base, c->gdtr.limit,
             c->mode == ISA_REAL ? " (not used in real mode)" : "");
}
