// visualizer/draw_tables.c: the GDT, the IDT, the TSS and the VMCS as tables for a slide.
//
// All of them are untrusted: limits may claim thousands of entries in memory that does not exist. What is drawn is bounded, and the
// caption says what was left out.
#include <string.h>

#include "visualizer/dot.h"
#include "visualizer/model.h"
#include "vmx-model/explain.h"

enum { MAX_ROWS = 40 };
typedef unsigned long long ull;

static void table_open(FILE *f)
{
    fputs("  <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"5\">\n", f);
}
static void table_close(FILE *f) { fputs("  </TABLE>\n", f); }

// A row of n texts. style per cell: 'm' monospaced, 'M' the same and bold, 'b' bold, 't' plain.
static void row(FILE *f, const char *fill, bool rule_below, const char *style, const char *const *text)
{
    fputs("    <TR>", f);
    for (unsigned i = 0; style[i]; i++) {
        bool bold = style[i] == 'b' || style[i] == 'M', mono = style[i] == 'm' || style[i] == 'M';
        fprintf(f, "<TD ALIGN=\"LEFT\"%s%s%s%s>", fill ? " BGCOLOR=\"" : "", fill ? fill : "", fill ? "\"" : "",
                rule_below ? " BORDER=\"1\" SIDES=\"B\"" : "");
        fprintf(f, "<FONT FACE=\"%s\">%s", mono ? DOT_MONO : DOT_SANS, bold ? "<B>" : "");
        dot_text(f, text[i] && *text[i] ? text[i] : " ");
        fprintf(f, "%s</FONT></TD>", bold ? "</B>" : "");
    }
    fputs("</TR>\n", f);
}
#define ROW(f, fill, rule, style, ...) row(f, fill, rule, style, (const char *const[]){__VA_ARGS__})

static void wide_row(FILE *f, unsigned cols, const char *text)
{
    fprintf(f, "    <TR><TD COLSPAN=\"%u\" ALIGN=\"LEFT\"><FONT COLOR=\"" DOT_GREY "\"><I>", cols);
    dot_text(f, text);
    fputs("</I></FONT></TD></TR>\n", f);
}

static const char *mark_text(const struct vz_fig *fig) { return fig->mark->text ? fig->mark->text : ""; }

// --- GDT

void draw_gdt(FILE *f, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    unsigned slots = (c->gdtr.limit + 1u) / 8, shown = 0, nulls = 0, more = 0;
    char cap[300];
    snprintf(cap, sizeof cap, "GDTR: base 0x%llx, limit 0x%x (%u entries of 8 bytes)", (ull)c->gdtr.base, c->gdtr.limit, slots);
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "gdt", "Global descriptor table", mark_text(fig), cap);
    table_open(f);
    ROW(f, DOT_HEAD_FILL, true, "bbbbbbb", "selector", "descriptor", "base", "limit", "DPL", "access rights", "held by");
    for (unsigned i = 0; i < slots; i++) {
        struct sim_desc d;
        char sel[16], base[24] = "", limit[24] = "", dpl[8], ar[64] = "", users[48], what[96];
        sim_descriptor(fig->m, fig->cpu, (uint16_t)(i * 8), &d);
        if (i && vz_desc_null(&d)) {
            nulls++;
            continue;
        }
        if (shown >= MAX_ROWS) {
            more++;
            i += d.wide;
            continue;
        }
        vz_desc_text(what, sizeof what, i ? &d : &(struct sim_desc){.valid = true});
        snprintf(sel, sizeof sel, "%04x", i * 8);
        snprintf(dpl, sizeof dpl, "%u", d.dpl);
        if (d.valid && i && !d.gate) {
            snprintf(base, sizeof base, "%llx", (ull)d.seg.base);
            snprintf(limit, sizeof limit, "%x", d.seg.limit);
            vz_ar_text(ar, sizeof ar, d.seg.ar);
        }
        vz_seg_users(users, sizeof users, c, (uint16_t)(i * 8));
        ROW(f,
            users[0]    ? DOT_GUEST_FILL
            : shown % 2 ? DOT_ROW_FILL
                        : NULL,
            false, users[0] ? "MbmmttM" : "mtmmttt", sel, what, base, limit, i && d.valid ? dpl : "", ar, users);
        shown++;
        if (d.valid && d.wide)
            i++;
    }
    if (more || nulls) {
        char t[96];
        snprintf(t, sizeof t, "%u null entr%s%s", nulls, nulls == 1 ? "y" : "ies", more ? "" : " left out");
        if (more)
            snprintf(t + strlen(t), sizeof t - strlen(t), " and %u more entries left out", more);
        wide_row(f, 7, t);
    }
    table_close(f);
    dot_end_table(f);
}

// --- IDT

static void gate_row(FILE *f, const struct vz_fig *fig, unsigned first, unsigned last, const struct sim_desc *d, unsigned shown)
{
    char vec[24], to[48] = "", sym[64] = "", dpl[8] = "", ist[8] = "";
    if (first == last)
        snprintf(vec, sizeof vec, "%u", first);
    else
        snprintf(vec, sizeof vec, "%u-%u", first, last);
    if (d->valid && d->present) {
        snprintf(to, sizeof to, "%04x:%llx", d->gate_sel, (ull)d->gate_off);
        sim_symbol(fig->m, d->gate_off, sym, sizeof sym);
        snprintf(dpl, sizeof dpl, "%u", d->dpl);
        if (d->wide)
            snprintf(ist, sizeof ist, "%u", d->gate_ist);
    }
    bool user = d->valid && d->present && d->dpl == 3;
    ROW(f,
        user        ? DOT_GUEST_FILL
        : shown % 2 ? DOT_ROW_FILL
                    : NULL,
        false, user ? "Mbbmmbb" : "mttmmtt", vec, first == last ? vz_vector_name(first) : "",
        !d->valid     ? "outside the limit or unreadable"
        : !d->present ? "not present"
        : d->kind     ? d->kind
                      : "not a gate",
        to, sym, dpl, ist);
}

static bool same_gate(const struct sim_desc *a, const struct sim_desc *b)
{
    if (a->valid != b->valid)
        return false;
    if (!a->valid || (!a->present && !b->present))
        return true;
    return a->raw[0] == b->raw[0] && a->raw[1] == b->raw[1];
}

void draw_idt(FILE *f, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    char cap[300];
    snprintf(cap, sizeof cap,
             "IDTR: base 0x%llx, limit 0x%x. Software may use INT n only through gates whose DPL is at least its CPL.",
             (ull)c->idtr.base, c->idtr.limit);
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "idt",
                    c->mode == ISA_REAL ? "Interrupt vector table" : "Interrupt descriptor table", mark_text(fig), cap);
    table_open(f);
    ROW(f, DOT_HEAD_FILL, true, "bbbbbbb", "vector", "name", "gate", "handler", "symbol", "DPL", "IST");
    unsigned shown = 0, v = 0;
    for (; v < 256 && shown < MAX_ROWS;) {
        struct sim_desc d, e;
        unsigned last = v;
        sim_idt_gate(fig->m, fig->cpu, v, &d);
        for (; last + 1 < 256; last++) {
            sim_idt_gate(fig->m, fig->cpu, last + 1, &e);
            if (!same_gate(&d, &e))
                break;
        }
        gate_row(f, fig, v, last, &d, shown++);
        v = last + 1;
    }
    if (v < 256) {
        char t[64];
        snprintf(t, sizeof t, "vectors %u-255 left out", v);
        wide_row(f, 7, t);
    }
    table_close(f);
    dot_end_table(f);
}

// --- TSS

static void tss_io_row(FILE *f, const struct vz_fig *fig)
{
    struct vz_iobitmap b;
    char t[200];
    vz_iobitmap(fig->m, fig->cpu, &b);
    if (!b.present)
        snprintf(t, sizeof t, "No I/O permission bitmap: ports need CPL at most IOPL.");
    else {
        snprintf(t, sizeof t, "I/O permission bitmap: %u of %u ports allowed to every CPL", b.allowed, b.ports);
        for (unsigned i = 0; i < b.nruns; i++)
            snprintf(t + strlen(t), sizeof t - strlen(t), b.run[i].lo == b.run[i].hi ? "%s%x" : "%s%x-%x", i ? ", " : ": ",
                     b.run[i].lo, b.run[i].hi);
    }
    wide_row(f, 4, t);
}

static void tss_open(FILE *f)
{
    table_open(f);
    ROW(f, DOT_HEAD_FILL, true, "bbbb", "offset", "field", "value", "use");
}

static void tss_row(FILE *f, const struct vz_fig *fig, unsigned i, const struct vz_tss_field *t)
{
    const struct isa_seg *tr = &sim_cpu(fig->m, fig->cpu)->seg[ISA_TR];
    uint64_t v = 0;
    char off[16], val[32];
    snprintf(off, sizeof off, "%u", t->off);
    if ((uint64_t)t->off + t->size > (uint64_t)tr->limit + 1)
        snprintf(val, sizeof val, "beyond the limit");
    else if (sim_peek(fig->m, fig->cpu, SIM_LINEAR, tr->base + t->off, &v, t->size) != t->size)
        snprintf(val, sizeof val, "unreadable");
    else
        snprintf(val, sizeof val, "%0*llx", t->size * 2, (ull)v);
    bool stack = strstr(t->text, "stack") != NULL && v;
    ROW(f, stack ? DOT_GUEST_FILL : i % 2 ? DOT_ROW_FILL : NULL, false, stack ? "mbMb" : "mtmt", off, t->name, val, t->text);
}

void draw_tss(FILE *f, const struct vz_fig *fig)
{
    const struct isa_cpu *c = sim_cpu(fig->m, fig->cpu);
    const struct isa_seg *tr = &c->seg[ISA_TR];
    static const char *const title[] = {"No task-state segment", "16-bit task-state segment", "32-bit task-state segment",
                                        "64-bit task-state segment"};
    enum vz_tss_kind k = vz_tss_kind(c);
    char cap[300];
    snprintf(cap, sizeof cap, "TR: selector %04x, base 0x%llx, limit 0x%x", tr->sel, (ull)tr->base, tr->limit);
    dot_begin_table(f, fig->mark->name ? fig->mark->name : "tss", title[k], mark_text(fig), cap);
    fputs("  <TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"4\"><TR><TD VALIGN=\"TOP\">\n", f);
    tss_open(f);
    const struct vz_tss_field *t;
    for (unsigned i = 0; (t = vz_tss_field(k, i)); i++) {
        if (i == 14) { // a second column: the saved registers of a task
            table_close(f);
            fputs("  </TD><TD VALIGN=\"TOP\">\n", f);
            tss_open(f);
        }
        tss_row(f, fig, i, t);
    }
    if (k == VZ_TSS_NONE)
        wide_row(f, 4, "TR holds no usable TSS: a change to an inner ring would fail.");
    else if (k != VZ_TSS_16)
        tss_io_row(f, fig);
    table_close(f);
    fputs("  </TD></TR></TABLE>\n", f);
    dot_end_table(f);
}

// --- VMCS: the six groups side by side in one node. Fields that are 0 are counted, not listed, unless a VM entry would fail for them.

struct vmcs_fig {
    const struct vmcs *v;
    struct vmx_entry_report fails;
};

static bool listed(const struct vmcs_fig *g, unsigned field) { return g->v->f[field] || vz_failing(&g->fails, field); }

static unsigned count(const struct vmcs_fig *g, unsigned group, bool in_list)
{
    unsigned n = 0;
    for (unsigned i = 0; i < VMCS_NFIELD; i++)
        n += vmcs_field_info[i].group == group && listed(g, i) == in_list;
    return n;
}

static void vmcs_row(FILE *f, const struct vmcs_fig *g, unsigned field, const char *fill)
{
    const uint64_t x = g->v->f[field];
    const char *id = vz_failing(&g->fails, field);
    char val[64];
    if (field == VF_VM_EXIT_REASON && vmx_exit_name((uint32_t)x & 0xffff))
        snprintf(val, sizeof val, "%llx %s", (ull)x, vmx_exit_name((uint32_t)x & 0xffff));
    else
        snprintf(val, sizeof val, id ? "%llx ! %s" : "%llx", (ull)x, id);
    ROW(f, fill, false, id ? "bM" : "tm", vmcs_field_info[field].name, val);
}

// The fields from..to-1 (of those that are listed) of a group.
static void vmcs_group(FILE *f, const struct vmcs_fig *g, unsigned group, unsigned from, unsigned to, const char *more)
{
    unsigned zero = count(g, group, false), all = count(g, group, true), n = 0;
    const char *fill = group == VMCS_G_GUEST ? DOT_GUEST_FILL : group == VMCS_G_HOST ? DOT_EPT_FILL : DOT_HEAD_FILL;
    fprintf(f,
            "    <TABLE BORDER=\"1\" COLOR=\"" DOT_GREY "\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"4\">\n"
            "    <TR><TD COLSPAN=\"2\" BGCOLOR=\"%s\" BORDER=\"1\" SIDES=\"B\"><FONT POINT-SIZE=\"17\"><B>",
            fill);
    dot_f(f, "%s%s", vmcs_group_name[group], more);
    fputs("</B></FONT></TD></TR>\n", f);
    for (unsigned i = 0; i < VMCS_NFIELD; i++) {
        if (vmcs_field_info[i].group != group || !listed(g, i) || n++ < from || n > to)
            continue;
        vmcs_row(f, g, i, n % 2 ? NULL : DOT_ROW_FILL);
    }
    if (to >= all && zero) {
        char t[64];
        snprintf(t, sizeof t, "%u field%s 0", zero, zero == 1 ? " is" : "s are");
        wide_row(f, 2, t);
    }
    fputs("    </TABLE>\n", f);
}

// A column of groups, from the top.
static void vmcs_open(FILE *f)
{
    fputs("  <TD VALIGN=\"TOP\"><TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"4\" CELLPADDING=\"0\">\n", f);
}
static void vmcs_cell(FILE *f, const struct vmcs_fig *g, unsigned group, unsigned from, unsigned to, const char *more)
{
    fputs("  <TR><TD VALIGN=\"TOP\" ALIGN=\"LEFT\">\n", f);
    vmcs_group(f, g, group, from, to, more);
    fputs("  </TD></TR>\n", f);
}
static void vmcs_close(FILE *f) { fputs("  </TABLE></TD>\n", f); }

static void vmcs_columns(FILE *f, const struct vmcs_fig *g)
{
    static const uint8_t rest[2][3] = {{VMCS_G_HOST, VMCS_G_INFO, VMCS_NGROUP}, {VMCS_G_EXEC, VMCS_G_EXIT, VMCS_G_ENTRY}};
    unsigned guest = count(g, VMCS_G_GUEST, true), half = (guest + 2) / 2;
    fputs("  <TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR>\n", f);
    vmcs_open(f);
    vmcs_cell(f, g, VMCS_G_GUEST, 0, half, "");
    vmcs_close(f);
    if (guest > half) {
        vmcs_open(f);
        vmcs_cell(f, g, VMCS_G_GUEST, half, UINT32_MAX, ", continued");
        vmcs_close(f);
    }
    for (unsigned c = 0; c < 2; c++) {
        vmcs_open(f);
        for (unsigned i = 0; i < 3 && rest[c][i] < VMCS_NGROUP; i++)
            vmcs_cell(f, g, rest[c][i], 0, UINT32_MAX, "");
        vmcs_close(f);
    }
    fputs("  </TR></TABLE>\n", f);
}

void draw_vmcs(FILE *f, const struct vz_fig *fig)
{
    struct vmcs_fig g = {.v = sim_vmcs(fig->m, fig->cpu)};
    const char *name = fig->mark->name ? fig->mark->name : "vmcs";
    char cap[300];
    if (!g.v) {
        dot_begin_table(f, name, "No current VMCS", mark_text(fig), "");
        table_open(f);
        wide_row(f, 1, "VMPTRLD makes a VMCS current; there is none here.");
        table_close(f);
        dot_end_table(f);
        return;
    }
    vz_check_entry(fig->m, fig->cpu, &g.fails);
    int n = snprintf(cap, sizeof cap, "current VMCS at 0x%llx, %s", (ull)sim_vmcs_ptr(fig->m, fig->cpu),
                     g.v->launched ? "launched" : "clear");
    if (g.fails.n)
        snprintf(cap + n, sizeof cap - (size_t)n, "; ! VM entry fails: %u check%s", g.fails.n, g.fails.n == 1 ? "" : "s");
    dot_begin_table(f, name, "Virtual-machine control structure", mark_text(fig), cap);
    vmcs_columns(f, &g);
    dot_end_table(f);
}
