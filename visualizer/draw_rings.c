// visualizer/draw_rings.c: the privilege rings as circles, one set for VMX root operation and one for non-root operation, with what
// leads inwards (gates, SYSCALL, SYSENTER, VM exits) and where the processor is now.
#include <stdarg.h>
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
    static const char *const use[] = {"kernel", "", "", "applications"};
    double big = radius(3);
    dot_line(d, p->cx - big - 30, p->cy - big - 46, 2 * big + 60, 20, "CENTER", true, NULL, p->title);
    dot_line(d, p->cx - big - 30, p->cy - big - 20, 2 * big + 60, 13, "CENTER", false, DOT_GREY, p->sub);
    for (int r = 3; r >= 0; r--) {
        double q = radius((unsigned)r);
        bool on = p->now && p->cpl == r;
        dot_open(d, &(struct dot_box){.x = p->cx - q,
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
        fputs(" ", d->f);
        dot_close(d);
    }
    for (unsigned r = 0; r < 4; r++) {
        char t[48];
        snprintf(t, sizeof t, r == 0 || r == 3 ? "ring %u: %s" : "ring %u", r, use[r]);
        dot_line(d, p->cx - big, r ? p->cy - radius(r) + STEP / 2.0 - 10 : p->cy - 34, 2 * big, 14, "CENTER", (int)r == p->cpl,
                 NULL, t);
    }
    if (p->cpl < 0 || p->cpl > 3)
        return;
    // The marker: a dot in the ring, below the centre, with its label beside it.
    double y = p->cpl ? p->cy + radius((unsigned)p->cpl) - STEP / 2.0 : p->cy + 6;
    p->here = dot_open(d, &(struct dot_box){.x = p->cx - 9,
                                            .y = y - 9,
                                            .w = 18,
                                            .h = 18,
                                            .shape = "circle",
                                            .style = "filled",
                                            .fill = p->now ? DOT_INK : "white",
                                            .ink = DOT_INK,
                                            .pen = 2});
    fputs(" ", d->f);
    dot_close(d);
    char t[32];
    snprintf(t, sizeof t, p->now ? "here: CPL %d" : "waits: CPL %d", p->cpl);
    dot_line(d, p->cx - 80, y + 10 - (p->cpl ? 2 : 0), 160, 13, "CENTER", p->now, NULL, t);
}

// --- what leads inwards: lines of text

struct lines {
    char text[24][160];
    unsigned n;
};
static void say(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct lines *l, const char *fmt, ...)
{
    va_list ap;
    if (l->n >= 24)
        return;
    va_start(ap, fmt);
    vsnprintf(l->text[l->n++], sizeof l->text[0], fmt, ap);
    va_end(ap);
}

static void idt_lines(struct lines *l, const struct vz_fig *fig)
{
    unsigned gates = 0, user = 0, first_user[4];
    for (unsigned v = 0; v < 256; v++) {
        struct sim_desc d;
        sim_idt_gate(fig->m, fig->cpu, v, &d);
        if (!d.valid || !d.present || !d.gate)
            continue;
        gates++;
        if (d.dpl == 3 && user++ < 4)
            first_user[user - 1] = v;
    }
    if (!gates) {
        say(l, "IDT: no present gate");
        return;
    }
    say(l, "IDT: %u gate%s; exceptions and interrupts", gates, gates == 1 ? "" : "s");
    for (unsigned i = 0; i < user && i < 4; i++) {
        struct sim_desc d;
        char sym[48];
        sim_idt_gate(fig->m, fig->cpu, first_user[i], &d);
        sim_symbol(fig->m, d.gate_off, sym, sizeof sym);
        say(l, "INT %u from ring 3 \u2192 %s", first_user[i], sym[0] ? sym : "its handler");
    }
    if (user > 4)
        say(l, "and %u more gates with DPL 3", user - 4);
}

static void gate_lines(struct lines *l, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    unsigned slots = (c->gdtr.limit + 1u) / 8, found = 0;
    for (unsigned i = 1; i < slots; i++) {
        struct sim_desc d, code;
        sim_descriptor(fig->m, fig->cpu, (uint16_t)(i * 8), &d);
        if (d.valid && d.wide)
            i++;
        if (!d.valid || !d.gate || !d.present || ++found > 3)
            continue;
        sim_descriptor(fig->m, fig->cpu, d.gate_sel, &code);
        say(l, "call gate %04x, DPL %u \u2192 ring %u", (i - (d.wide ? 1 : 0)) * 8, d.dpl, code.valid ? code.dpl : 0);
    }
    if (found > 3)
        say(l, "and %u more gates in the GDT", found - 3);
}

static void inward_lines(struct lines *l, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    char sym[64];
    if (c->mode == ISA_REAL) {
        say(l, "real mode: no rings are checked");
        return;
    }
    idt_lines(l, fig);
    gate_lines(l, fig);
    if (c->efer & ISA_EFER_SCE && isa_long(c)) {
        sim_symbol(fig->m, c->lstar, sym, sizeof sym);
        say(l, "SYSCALL, ring 3 \u2192 ring 0 at %llx %s", (ull)c->lstar, sym);
    } else
        say(l, "SYSCALL is off (EFER.SCE = 0)");
    if (c->sysenter_cs & ~3ull) {
        sim_symbol(fig->m, c->sysenter_eip, sym, sizeof sym);
        say(l, "SYSENTER, ring 3 \u2192 ring 0 at %llx %s", (ull)c->sysenter_eip, sym);
    }
    say(l, "outwards: IRET, far RET, SYSRET, SYSEXIT");
}

static void list(struct dot *d, double x, double y, const struct lines *l)
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
    double big = radius(3), cy = TOP + 56 + big, between = 150;
    struct panel root = {.title = two ? "VMX root operation" : "no VMX operation",
                         .sub = two ? "L0: the hypervisor" : "the operating system",
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
    struct lines l = {.n = 0};
    inward_lines(&l, fig);
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
