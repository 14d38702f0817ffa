// visualizer/draw_rings.c: the privilege rings as circles, one set for VMX root operation and one for non-root operation, with what
// leads inwards (gates, SYSCALL, SYSENTER, VM exits) and where the processor is now.
#include <string.h>

#include "visualizer/dot.h"
#include "visualizer/model.h"

enum { R0 = 62, STEP = 46, TOP = 84, LIST_W = 330, GAP = 40 };
typedef unsigned long long ull;

struct panel {
    const char *title, *sub;
    double cx, cy;
    int cpl;       // -1: unknown
    bool now;      // the processor is here
    unsigned here; // node of the marker
};

static double radius(unsigned ring) { return R0 + ring * (double)STEP; }

static void rings(struct dot *d, struct panel *p)
{
    static const char *const fill[] = {"#b9c7da", "#d3dcE9", "#e6ecf4", "#f6f8fb"};
    double big = radius(3);
    dot_line(d, p->cx - big - 30, p->cy - big - 54, 2 * big + 60, 20, "CENTER", true, NULL, p->title);
    dot_line(d, p->cx - big - 30, p->cy - big - 27, 2 * big + 60, 13, "CENTER", false, DOT_GREY, p->sub);
    for (int r = 3; r >= 0; r--) {
        double q = radius((unsigned)r);
        bool on = p->now && p->cpl == r;
        dot_plain(d, &(struct dot_box){.x = p->cx - q,
                                       .y = p->cy - q,
                                       .w = 2 * q,
                                       .h = 2 * q,
                                       .shape = "circle",
                                       .style = "filled",
                                       .fill = fill[r],
                                       .ink = DOT_INK,
                                       .pen = on            ? 5
                                              : p->cpl == r ? 2.5
                                                            : 1});
    }
    for (unsigned r = 0; r < 4; r++) {
        char t[16];
        snprintf(t, sizeof t, "ring %u", r); // who runs there differs: a kernel may be at ring 1 or 3
        dot_line(d, p->cx - big, r ? p->cy - radius(r) + STEP / 2.0 - 10 : p->cy - 34, 2 * big, 14, "CENTER", (int)r == p->cpl,
                 NULL, t);
    }
    if (p->cpl < 0 || p->cpl > 3)
        return;
    // The marker: a dot in the ring, below the centre, its label under it.
    double top = p->cpl ? p->cy + radius((unsigned)p->cpl - 1) + 4 : p->cy - 4;
    p->here = dot_plain(d, &(struct dot_box){.x = p->cx - 8,
                                             .y = top,
                                             .w = 16,
                                             .h = 16,
                                             .shape = "circle",
                                             .style = "filled",
                                             .fill = p->now ? DOT_INK : "white",
                                             .ink = DOT_INK,
                                             .pen = 2});
    char t[32];
    snprintf(t, sizeof t, p->now ? "here: CPL %d" : "waits: CPL %d", p->cpl);
    dot_line(d, p->cx - 60, top + 17, 120, 13, "CENTER", p->now, NULL, t);
}

static void list(struct dot *d, double x, double y, const struct vz_lines *l)
{
    dot_line(d, x, y, LIST_W, 18, "LEFT", true, NULL, "What leads inwards");
    for (unsigned i = 0; i < l->n; i++)
        dot_line(d, x, y + 34 + i * 24.0, LIST_W, 14, "LEFT", false, NULL, l->text[i]);
}

// Panels, list of ways inwards, and between two panels the arrows of VM entry and VM exit.
void draw_rings(FILE *f, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    const struct vmcs *v = sim_vmcs(fig->m, fig->cpu);
    bool two = c->vmx != ISA_VMX_OFF, in_guest = c->vmx == ISA_VMX_NONROOT;
    double big = radius(3), cy = TOP + 62 + big, between = 150;
    struct panel root = {.title = two ? "VMX root operation" : "no VMX operation",
                         .sub = two ? "L0: the hypervisor" : "",
                         .cx = big + 30,
                         .cy = cy,
                         .cpl = in_guest ? 0 : c->cpl,
                         .now = !in_guest};
    struct panel guest = {.title = "VMX non-root operation",
                          .sub = "L1: the guest",
                          .cx = 3 * big + 30 + between,
                          .cy = cy,
                          .cpl = -1,
                          .now = in_guest};
    if (in_guest)
        guest.cpl = c->cpl;
    else if (two && v && v->launched)
        guest.cpl = (int)(v->f[VF_GUEST_SS_AR_BYTES] >> ISA_AR_DPL_SHIFT & 3);
    double right = two ? guest.cx + big + GAP : root.cx + big + GAP;
    struct vz_lines l;
    vz_inward(&l, fig->m, fig->cpu);
    struct dot d;
    double h = cy + big + 46, w = right + LIST_W;
    dot_begin(&d, f, fig->mark->name ? fig->mark->name : "rings", w, h);
    char t[200];
    snprintf(t, sizeof t, "Privilege: %s%s, ring %u", two ? (in_guest ? "non-root operation" : "root operation") : sim_mode_name(c),
             two ? "" : " mode", c->cpl);
    dot_line(&d, 0, 0, w, 30, "LEFT", true, NULL, t);
    dot_line(&d, 0, 48, w, 16, "LEFT", false, DOT_GREY, fig->mark->text ? fig->mark->text : "");
    rings(&d, &root);
    if (two) {
        rings(&d, &guest);
        double x0 = root.cx + big + 8, x1 = guest.cx - big - 8, y0 = cy - 26, y1 = cy + 26;
        unsigned a = dot_line(&d, x0, y0 - 30, x1 - x0, 15, "CENTER", true, NULL, "VM entry");
        unsigned b = dot_line(&d, x0, y1 + 6, x1 - x0, 15, "CENTER", true, NULL, "VM exit");
        dot_path(&d, a, b, (double[]){x0, y0, x1, y0}, 2, true, NULL, 2.6, NULL);
        dot_path(&d, b, a, (double[]){x1, y1, x0, y1}, 2, true, "dashed", 2.6, NULL);
    }
    list(&d, right, cy - big + 6, &l);
    char at[160], sym[64];
    sim_symbol(fig->m, vz_code_la(c, c->rip), sym, sizeof sym);
    snprintf(at, sizeof at, "%s mode, CS %04x, RIP %llx %s, IOPL %u, IF %u", sim_mode_name(c), c->seg[ISA_CS].sel, (ull)c->rip, sym,
             (c->rflags_sys & ISA_FL_IOPL) >> ISA_FL_IOPL_SHIFT, !!(c->rflags_sys & ISA_FL_IF));
    dot_line(&d, 0, h - 26, w, 15, "LEFT", false, NULL, at);
    dot_end(&d);
}
