// visualizer/view_regs.c: all registers, the hidden parts of the segment registers included; and the column beside the code.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static const char *const gpr_name[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                         "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
static const uint8_t gpr_order[16] = {ISA_RAX, ISA_RBX, ISA_RCX, ISA_RDX, ISA_RSI, ISA_RDI, ISA_RBP, ISA_RSP,
                                      8,       9,       10,      11,      12,      13,      14,      15};

struct bit {
    uint8_t n;
    const char *name;
};
static const struct bit cr0_bits[] = {{31, "PG"}, {30, "CD"}, {29, "NW"}, {18, "AM"}, {16, "WP"}, {5, "NE"},
                                      {4, "ET"},  {3, "TS"},  {2, "EM"},  {1, "MP"},  {0, "PE"},  {0, NULL}};
static const struct bit cr4_bits[] = {{22, "PKE"},  {21, "SMAP"}, {20, "SMEP"}, {18, "OSXSAVE"}, {17, "PCIDE"}, {16, "FSGSBASE"},
                                      {14, "SMXE"}, {13, "VMXE"}, {12, "LA57"}, {11, "UMIP"},    {10, "OSXMM"}, {9, "OSFXSR"},
                                      {8, "PCE"},   {7, "PGE"},   {6, "MCE"},   {5, "PAE"},      {4, "PSE"},    {3, "DE"},
                                      {2, "TSD"},   {1, "PVI"},   {0, "VME"},   {0, NULL}};
static const struct bit efer_bits[] = {{11, "NXE"}, {10, "LMA"}, {8, "LME"}, {0, "SCE"}, {0, NULL}};
static const struct bit flag_bits[] = {{21, "ID"}, {20, "VIP"}, {19, "VIF"}, {18, "AC"}, {17, "VM"}, {16, "RF"},
                                       {14, "NT"}, {11, "OF"},  {10, "DF"},  {9, "IF"},  {8, "TF"},  {7, "SF"},
                                       {6, "ZF"},  {4, "AF"},   {2, "PF"},   {0, "CF"},  {0, NULL}};

static void bits_text(char *buf, size_t n, const struct bit *b, uint64_t val)
{
    buf[0] = 0;
    for (; b->name; b++)
        if (val >> b->n & 1)
            snprintf(buf + strlen(buf), n - strlen(buf), "%s%s", buf[0] ? " " : "", b->name);
}

// A value of 16 digits with a '*' when it is not what it was.
static int value(const struct vz_win *w, int r, int c, const char *name, unsigned digits, uint64_t now, uint64_t was, bool known)
{
    bool changed = known && now != was;
    c = vz_at(w, r, c, VZ_A_TITLE, "%-4s", name);
    c = vz_at(w, r, c, changed ? VZ_A_CHANGED : VZ_A_NORMAL, "%0*llx", (int)digits, (ull)now);
    return vz_text(w, r, c, VZ_A_CHANGED, changed ? "*" : " ");
}

void vz_regs_column(struct vz *v, const struct vz_win *w)
{
    const struct isa_cpu *c = vz_cpu(v), *o = &v->before;
    bool k = v->has_before, two = w->w >= 44;
    char t[96];
    int r = 0;
    for (unsigned i = 0; i < 16; i++) {
        unsigned g = gpr_order[i];
        bool right = two && i >= 8;
        value(w, right ? (int)i - 8 : (int)i, right ? 23 : 1, gpr_name[g], 16, c->gpr[g], o->gpr[g], k);
        r = two ? 8 : (int)i + 1;
    }
    value(w, r++, 1, "RIP", 16, c->rip, o->rip, k);
    uint64_t fl = isa_rflags(c);
    bits_text(t, sizeof t, flag_bits, fl);
    snprintf(t + strlen(t), sizeof t - strlen(t), " IOPL%u", (unsigned)(fl >> 12 & 3));
    bool changed = k && fl != isa_rflags(o);
    int col = vz_text(w, r, 1, VZ_A_TITLE, "FL");
    col = vz_text(w, r, col + 1, changed ? VZ_A_CHANGED : VZ_A_NORMAL, t);
    vz_text(w, r++, col, VZ_A_CHANGED, changed ? "*" : "");
    static const uint8_t segs[] = {ISA_CS, ISA_SS, ISA_DS, ISA_ES, ISA_FS, ISA_GS, ISA_TR, ISA_LDTR};
    for (unsigned i = 0; i < sizeof segs && r < w->h; i++) { // as many as there is room for
        const struct isa_seg *s = &c->seg[segs[i]];
        changed = k && memcmp(s, &o->seg[segs[i]], sizeof *s);
        vz_ar_text(t, sizeof t, s->ar);
        vz_at(w, r++, 1, changed ? VZ_A_CHANGED : VZ_A_NORMAL, "%-4s %04x%s %s", vz_sreg_name(segs[i]), s->sel, changed ? "*" : " ",
              t);
    }
}

static int control(const struct vz_win *w, int r, const char *name, uint64_t now, uint64_t was, bool k, const struct bit *b)
{
    char t[160];
    bits_text(t, sizeof t, b, now);
    int c = value(w, r, 1, name, 16, now, was, k);
    vz_text(w, r, c + 1, VZ_A_DIM, t);
    return r + 1;
}

static int segments(struct vz *v, const struct vz_win *w, int r)
{
    const struct isa_cpu *c = vz_cpu(v);
    vz_text(w, r++, 1, VZ_A_TITLE, "      sel   hidden: base         limit    access rights");
    for (unsigned s = 0; s < ISA_NSREG; s++) {
        const struct isa_seg *g = &c->seg[s];
        char ar[80];
        bool changed = v->has_before && memcmp(g, &v->before.seg[s], sizeof *g);
        vz_ar_text(ar, sizeof ar, g->ar);
        int col = vz_at(w, r, 1, VZ_A_TITLE, "%-5s", vz_sreg_name(s));
        vz_at(w, r++, col, changed ? VZ_A_CHANGED : VZ_A_NORMAL, "%04x%s %016llx     %08x %04x %s", g->sel, changed ? "*" : " ",
              (ull)g->base, g->limit, g->ar & 0xffff, ar);
    }
    return r;
}

static int rows_of(struct vz *v, const struct vz_win *w, int r)
{
    const struct isa_cpu *c = vz_cpu(v), *o = &v->before;
    bool k = v->has_before;
    int cols = w->w >= 98 ? 4 : 3, per = (16 + cols - 1) / cols;
    for (int i = 0; i < 16; i++) {
        unsigned g = gpr_order[i];
        value(w, r + i % per, 1 + i / per * 25, gpr_name[g], 16, c->gpr[g], o->gpr[g], k);
    }
    if (cols == 3) // room for one more under R14, R15
        value(w, r + 4, 51, "RIP", 16, c->rip, o->rip, k), r += per;
    else
        value(w, r + per, 1, "RIP", 16, c->rip, o->rip, k), r += per + 1;
    r = control(w, r, "FL", isa_rflags(c), isa_rflags(o), k, flag_bits);
    r = segments(v, w, r);
    int col = vz_at(w, r, 1, VZ_A_TITLE, "GDTR");
    vz_at(w, r, col + 7, VZ_A_NORMAL, "%016llx     %04x", (ull)c->gdtr.base, c->gdtr.limit);
    r++;
    vz_at(w, r, 1, VZ_A_TITLE, "IDTR");
    vz_at(w, r++, col + 7, VZ_A_NORMAL, "%016llx     %04x", (ull)c->idtr.base, c->idtr.limit);
    r = control(w, r, "CR0", c->cr0, o->cr0, k, cr0_bits);
    col = value(w, r, 1, "CR2", 16, c->cr2, o->cr2, k);
    col = value(w, r, col + 2, "CR3", 16, c->cr3, o->cr3, k);
    value(w, r++, col + 2, "CR8", 2, c->cr8, o->cr8, k);
    r = control(w, r, "CR4", c->cr4, o->cr4, k, cr4_bits);
    r = control(w, r, "EFER", c->efer, o->efer, k, efer_bits);
    for (unsigned i = 0; i < 8; i++)
        if (i != 4 && i != 5) {
            char name[8];
            snprintf(name, sizeof name, "DR%u", i);
            unsigned n = i > 5 ? i - 2 : i;
            value(w, r + (int)n / 3, 1 + (int)(n % 3) * 25, name, 16, c->dr[i], o->dr[i], k);
        }
    r += 2;
    value(w, r, 1, "STAR", 16, c->star, o->star, k);
    value(w, r, 26, "LSTR", 16, c->lstar, o->lstar, k);
    value(w, r++, 51, "KGSB", 16, c->kernel_gs_base, o->kernel_gs_base, k);
    vz_at(w, r++, 1, VZ_A_NORMAL, "blocking:%s%s%s%s%s", c->blocking ? "" : " none", c->blocking & ISA_BLOCK_STI ? " STI" : "",
          c->blocking & ISA_BLOCK_MOVSS ? " MOV-SS" : "", c->blocking & ISA_BLOCK_SMI ? " SMI" : "",
          c->blocking & ISA_BLOCK_NMI ? " NMI" : "");
    return r;
}

void vz_view_regs(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    struct vz_win none = vz_sub(w, 0, 0, 0, w->w);
    int n = rows_of(v, &none, 0);
    rows_of(v, w, -vz_rows(p, w, n));
}
