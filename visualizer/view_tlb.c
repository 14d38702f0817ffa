// visualizer/view_tlb.c: TLB entries with their tags. '!' marks entries that the page tables have left behind, with the write that did it.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static const char *size_name(unsigned shift)
{
    return shift == 12 ? "4K" : shift == 21 ? "2M" : shift == 22 ? "4M" : shift == 30 ? "1G" : "?";
}

// Six letters that tell a unit from the others: paging-structure caches by their entries, those of EPT with an e before.
static void unit_name(char *buf, size_t size, enum tlb_unit unit)
{
    const char *name = tlb_unit_name(unit);
    const bool ept = strncmp(name, "EPT ", 4) == 0;
    name += ept ? 4 : 0;
    snprintf(buf, size, "%s%.*s", ept ? "e" : "", (int)strcspn(name, " "), name);
}

// The tag's upper byte is not of the address: copies of bit 55 are.
static uint64_t page(const struct tlb_entry *e) { return (uint64_t)((int64_t)(e->tag << 8) >> 8); }

static void row(struct vz *v, const struct vz_win *w, int r, const struct tlb_entry *e, int digits)
{
    char unit[8], perms[8], tags[48], age[24];
    uint64_t now = vz_cpu(v)->cycles;
    enum vz_attr a = e->stale ? VZ_A_WARN : VZ_A_NORMAL;
    snprintf(perms, sizeof perms, "%c%c%c%c", e->perms & TLB_PERM_R || e->unit < TLB_NTLB ? 'R' : '-',
             e->perms & TLB_PERM_W ? 'W' : '-', e->perms & TLB_PERM_X ? 'X' : '-', e->perms & TLB_PERM_U ? 'U' : 'S');
    snprintf(tags, sizeof tags, "%4u %4u %-9llx%c", e->vpid, e->pcid, (ull)e->eptrta, e->global ? 'G' : ' ');
    vz_commas(age, sizeof age, now >= e->filled_at ? now - e->filled_at : 0);
    vz_text(w, r, 0, VZ_A_BAD, e->stale ? "!" : " ");
    unit_name(unit, sizeof unit, (enum tlb_unit)e->unit);
    vz_text(w, r, 1, VZ_A_TITLE, unit);
    vz_at(w, r, 8, a, "%-*llx %-11llx %s %s %s", digits, (ull)page(e), (ull)e->frame.v,
          tlb_is_cache(e->unit) ? "- " : size_name(e->page_shift), perms, tags);
    int c = vz_at(w, r, 49 + digits, VZ_A_DIM, "%9s", age);
    if (e->stale) {
        char sym[48];
        sim_symbol(v->m, e->stale_rip, sym, sizeof sym);
        vz_at(w, r, c + 1, VZ_A_WARN, "STALE by %s", sym[0] ? sym : "a write");
    } else if (w->w >= 100)
        vz_at(w, r, c + 2, VZ_A_DIM, "%s, by %llx", tlb_mapping_name((enum tlb_mapping)e->mapping), (ull)e->filled_rip);
}

void vz_view_tlb(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct tlb *t = sim_tlb(v->m, v->cpu);
    const struct tlb_entry *e;
    unsigned pos = 0, n = 0, stale = 0;
    int digits = 13;
    p->nsel = TLB_NUNIT + 1;
    while (t && (e = tlb_next(t, &pos))) {
        n += !p->sel || e->unit == p->sel - 1;
        stale += e->stale;
        if (page(e) >> 52)
            digits = 16;
    }
    struct vz_win body = vz_sub(w, 1, 0, w->h - 1, w->w);
    vz_at(w, 0, 1, VZ_A_TITLE, "unit   %-*s frame       sz perm VPID PCID EP4TA    G       age", digits, "page");
    int top = vz_rows(p, &body, (int)n), r = 0;
    pos = 0;
    while (t && (e = tlb_next(t, &pos)))
        if (!p->sel || e->unit == p->sel - 1) {
            if (r >= top && r - top < body.h)
                row(v, &body, r - top, e, digits);
            r++;
        }
    if (!n)
        vz_text(&body, 0, 1, VZ_A_DIM, "No entries.");
    else
        vz_select(&body, p->cursor - top, 1, 6);
    snprintf(p->title, sizeof p->title, "TLB < %s >  %u entr%s, %u stale",
             p->sel ? tlb_unit_name((enum tlb_unit)(p->sel - 1)) : "all", n, n == 1 ? "y" : "ies", stale);
}
