// visualizer/view_vmcs.c: the current VMCS by its six groups. '*' was written since the last VM entry; '!' would fail one now.
#include <string.h>

#include "visualizer/ui.h"
#include "vmx-model/explain.h"

typedef unsigned long long ull;

static void row(const struct vz_win *w, int r, const struct vmcs *x, const struct vmx_entry_report *rep, unsigned f)
{
    char text[200];
    const char *bad = vz_failing(rep, f);
    bool changed = vmcs_changed(x, (enum vmcs_field)f);
    enum vz_attr a = bad ? VZ_A_BAD : changed ? VZ_A_CHANGED : x->f[f] ? VZ_A_NORMAL : VZ_A_DIM;
    int digits = (int)vmcs_bits((enum vmcs_field)f) / 4;
    vz_text(w, r, 0, VZ_A_CHANGED, changed ? "*" : " ");
    vz_text(w, r, 1, VZ_A_BAD, bad ? "!" : " ");
    vz_at(w, r, 2, VZ_A_ADDR, "%04x", vmcs_field_info[f].encoding);
    int c = vz_at(w, r, 7, a, "%-27.27s", vmcs_field_info[f].name) + 1;
    vz_at(w, r, c + 16 - digits, a, "%0*llx", digits, (ull)x->f[f]);
    c += 17;
    if (bad)
        c = vz_at(w, r, c, VZ_A_BAD, "%s ", bad);
    text[0] = 0;
    vmx_value_text((enum vmcs_field)f, x->f[f], text, sizeof text);
    char hex[24];
    snprintf(hex, sizeof hex, "%llx", (ull)x->f[f]);
    if (text[0] && strcasecmp(text, hex) && strncmp(text, "0x", 2)) // words, not the number again
        vz_text(w, r, c, VZ_A_DIM, text);
    else if (w->w >= 100)
        vz_text(w, r, c, VZ_A_DIM, vmcs_field_info[f].text);
}

void vz_view_vmcs(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct vmcs *x = sim_vmcs(v->m, v->cpu);
    struct vmx_entry_report rep;
    p->nsel = VMCS_NGROUP;
    if (!x) {
        vz_rows(p, w, 1);
        vz_text(w, 0, 1, VZ_A_DIM, "There is no current VMCS: VMPTRLD makes one current.");
        return;
    }
    vz_check_entry(v->m, v->cpu, &rep);
    unsigned f[VMCS_NFIELD], n = 0;
    for (unsigned i = 0; i < VMCS_NFIELD; i++)
        if (vmcs_field_info[i].group == p->sel)
            f[n++] = i;
    int top = vz_rows(p, w, (int)n);
    for (int r = 0; r < w->h && top + r < (int)n; r++)
        row(w, r, x, &rep, f[top + r]);
    vz_select(w, p->cursor - top, 2, 4);
    int o = snprintf(p->title, sizeof p->title, "VMCS %llx %s  < %s >", (ull)sim_vmcs_ptr(v->m, v->cpu),
                     x->launched ? "launched" : "clear", vmcs_group_name[p->sel]);
    if (rep.n && o < (int)sizeof p->title)
        snprintf(p->title + o, sizeof p->title - (size_t)o, " ! %u would fail", rep.n);
}
