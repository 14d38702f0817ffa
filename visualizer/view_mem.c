// visualizer/view_mem.c: memory, in any of its three address spaces. '*' marks rows with bytes that changed since the last stop.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;
enum { PER_ROW = 16 };

void vz_mem_keep(struct vz *v)
{
    for (unsigned o = 0; o < v->mem_old_n; o += PER_ROW) {
        uint64_t n = sim_peek(v->m, v->cpu, (enum sim_space)v->mem_old_sel, v->mem_old_addr + o, v->mem_old + o, PER_ROW);
        memset(v->mem_old + o + n, 0, PER_ROW - n);
    }
}

static void draw_row(const struct vz_win *w, int r, uint64_t a, const uint8_t *b, unsigned n, const uint8_t *old, unsigned old_n)
{
    int c = vz_at(w, r, 1, VZ_A_ADDR, a >> 32 ? "%016llx" : "%08llx", (ull)a) + 1;
    bool changed = false;
    for (unsigned i = 0; i < PER_ROW; i++) {
        bool differs = i < n && i < old_n && b[i] != old[i];
        changed |= differs;
        if (i < n)
            c = vz_at(w, r, c, differs ? VZ_A_CHANGED : VZ_A_NORMAL, "%02x", b[i]);
        else
            c = vz_text(w, r, c, VZ_A_DIM, "--");
        c += i % 2;
    }
    vz_text(w, r, 0, VZ_A_CHANGED, changed ? "*" : " ");
    for (unsigned i = 0; i < n; i++) {
        char t[2] = {b[i] >= 0x20 && b[i] < 0x7f ? (char)b[i] : '.', 0};
        vz_text(w, r, c + 1 + (int)i, VZ_A_DIM, t);
    }
}

void vz_view_mem(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    static const char *const space[] = {"linear", "guest-physical", "host-physical"};
    uint8_t b[sizeof v->mem_old];
    char sym[64];
    unsigned rows = w->h > 0 ? (unsigned)w->h : 0, got = 0;
    if (rows > sizeof b / PER_ROW)
        rows = sizeof b / PER_ROW;
    p->nsel = 3;
    p->nrows = p->height = (int)rows;
    bool same_place = v->mem_old_addr == v->mem_addr && v->mem_old_sel == p->sel;
    unsigned total = rows * PER_ROW;
    // Pages may be missing in between, so read row by row.
    for (unsigned r = 0; r < rows; r++) {
        uint64_t n = sim_peek(v->m, v->cpu, (enum sim_space)p->sel, v->mem_addr + r * PER_ROW, b + r * PER_ROW, PER_ROW);
        if (n < PER_ROW)
            memset(b + r * PER_ROW + n, 0, PER_ROW - n);
        got += n > 0;
        draw_row(w, (int)r, v->mem_addr + r * PER_ROW, b + r * PER_ROW, (unsigned)n, v->mem_old + r * PER_ROW,
                 same_place && v->mem_old_n >= total ? PER_ROW : 0);
    }
    if (!same_place || v->mem_old_n != total) {
        memcpy(v->mem_old, b, total);
        v->mem_old_n = total;
        v->mem_old_addr = v->mem_addr;
        v->mem_old_sel = p->sel;
    }
    sim_symbol(v->m, v->mem_addr, sym, sizeof sym);
    snprintf(p->title, sizeof p->title, "Memory < %s >  %llx %s%s", space[p->sel], (ull)v->mem_addr, p->sel ? "" : sym,
             got ? "" : "  not mapped");
}
