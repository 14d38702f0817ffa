// visualizer/view_rings.c: the rings as nested boxes, one set for root and one for non-root operation; what leads inwards.
#include <string.h>

#include "visualizer/ui.h"

// Rings 3 to 0 as nested boxes of w columns and h rows; the current one carries its mark.
static void boxes(const struct vz_win *w, int r, int c, int h, int cols, const char *title, int cpl, bool now)
{
    vz_text(w, r, c + 1, now ? VZ_A_CURRENT : VZ_A_DIM, title);
    r++;
    h--;
    int step = h >= 10 ? 1 : 0;
    for (int ring = 3; ring >= 0; ring--) {
        int in = (3 - ring) * 2, top = r + (3 - ring) * (step ? 1 : 0), rows = h - 2 * (3 - ring) * (step ? 1 : 0);
        bool here = ring == cpl;
        if (step)
            vz_box(w, top, c + in, rows, cols - 2 * in, here && now ? VZ_A_CURRENT : VZ_A_DIM);
        else if (ring == 3)
            vz_box(w, r, c, h, cols, VZ_A_DIM);
        int y = step ? top : r + 1 + ring;
        vz_at(w, y, c + (step ? in : 0) + 2, here ? VZ_A_CURRENT : VZ_A_DIM, " %sring %d%s ", here && now ? "\u25b6 " : "", ring,
              here ? now ? " here" : " waits" : "");
    }
}

void vz_view_rings(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    const struct isa_cpu *c = vz_cpu(v);
    const struct vmcs *x = sim_vmcs(v->m, v->cpu);
    bool two = c->vmx != ISA_VMX_OFF, guest = c->vmx == ISA_VMX_NONROOT;
    struct vz_lines l;
    vz_inward(&l, v->m, v->cpu);
    p->nsel = 2;
    p->nrows = p->height = w->h;
    bool wide = w->w >= 100, list = wide || !two || p->sel, drawing = wide || !two || !p->sel;
    int h = w->h < 13 ? w->h : 13, col = 0;
    if (drawing) {
        boxes(w, 0, 1, h, 32, two ? "root operation (L0)" : "no VMX", guest ? 0 : c->cpl, !guest);
        col = 35;
        if (two) {
            int gcpl = guest ? c->cpl : x && x->launched ? (int)(x->f[VF_GUEST_SS_AR_BYTES] >> ISA_AR_DPL_SHIFT & 3) : -1;
            vz_text(w, h / 2 - 1, 34, VZ_A_TITLE, "VM entry");
            vz_text(w, h / 2, 34, VZ_A_NORMAL, "\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2192");
            vz_text(w, h / 2 + 1, 34, VZ_A_NORMAL, "\u2190\u2500\u2500\u2500\u2500\u2500\u2500\u2500");
            vz_text(w, h / 2 + 2, 34, VZ_A_TITLE, "VM exit");
            boxes(w, 0, 43, h, 32, "non-root operation (L1)", gcpl, guest);
            col = 77;
        }
    }
    if (list) {
        vz_text(w, 0, col + 1, VZ_A_TITLE, "What leads inwards");
        int r = 1;
        for (unsigned i = 0; i < l.n; i++)
            r += vz_wrap(w, r, col + 1, w->w - col - 2, VZ_A_NORMAL, l.text[i]);
    }
    snprintf(p->title, sizeof p->title, "Privilege: %s, ring %u, IOPL %u%s", vz_vmx_mode_name(c), c->cpl,
             (c->rflags_sys & ISA_FL_IOPL) >> ISA_FL_IOPL_SHIFT, two && !wide ? p->sel ? "  < ways inwards >" : "  < rings >" : "");
}
