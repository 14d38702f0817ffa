// visualizer/why.c: "why": the explanation of the last fault, VM exit, failed VMX instruction or refused VM entry.
//
// The shape is fixed: a verdict in one line; what it was; the rule as one sentence; the section of the manual; what helps next.
#include <stdlib.h>
#include <string.h>

#include "isa/decode.h"
#include "visualizer/ui.h"
#include "vmx-model/explain.h"

typedef unsigned long long ull;

static void place(FILE *f, struct vz *v, uint64_t rip, uint64_t cycle)
{
    char sym[64] = "", n[32];
    if (v->m)
        sim_symbol(v->m, rip, sym, sizeof sym);
    vz_commas(n, sizeof n, cycle);
    fprintf(f, "at %llx%s%s%s, cycle %s\n", (ull)rip, sym[0] ? " (" : "", sym, sym[0] ? ")" : "", n);
}

static void rule(FILE *f, unsigned number)
{
    const struct isa_rule_info *r = number ? isa_rule_info(number) : NULL;
    if (!r || !r->text)
        return;
    fprintf(f, "  rule     %s\n", r->text);
    fprintf(f, "  manual   \"%s\"\n", vz_sdm_title(r->sdm));
}

static void pf_error(FILE *f, uint32_t e)
{
    fprintf(f, "  error    %x: %s, on a %s, in %s mode%s%s\n", e, e & ISA_PF_P ? "protection violation" : "page not present",
            e & ISA_PF_I   ? "fetch"
            : e & ISA_PF_W ? "write"
                           : "read",
            e & ISA_PF_U ? "user" : "supervisor", e & ISA_PF_RSVD ? ", reserved bit set" : "",
            e & ISA_PF_PK ? ", protection key" : "");
}

static void selector_error(FILE *f, uint32_t e)
{
    const char *while_what = e & ISA_ERR_EXT ? ", while delivering another event" : "";
    if (!(e & ~(uint32_t)ISA_ERR_EXT)) // as of #GP(0), #DF, #AC
        fprintf(f, "  error    %x: no selector is to blame%s\n", e, while_what);
    else if (e & ISA_ERR_IDT)
        fprintf(f, "  error    %x: IDT entry %u%s\n", e, e >> 3, while_what);
    else
        fprintf(f, "  error    %x: %s selector %x%s\n", e, e & 4 ? "LDT" : "GDT", e & 0xfffc, while_what);
}

// The address of a page fault or the place that an error code names; the rule.
static void event_details(FILE *f, const struct isa_event *x)
{
    if (x->vector == ISA_X_PF && x->type != ISA_EV_SWINT) {
        fprintf(f, "  address  %llx (CR2)\n", (ull)x->addr);
        pf_error(f, x->error);
    } else if (x->has_error)
        selector_error(f, x->error);
    rule(f, x->rule);
}

static void why_exception(FILE *f, struct vz *v, const struct ev *e)
{
    const struct isa_event *x = &e->u.exc.e;
    bool soft = x->type == ISA_EV_SWINT;
    fprintf(f, "%s%s%s  ", soft ? "SOFTWARE INTERRUPT" : vz_vector_name(x->vector), soft ? "" : " ",
            soft ? "" : isa_vector_info(x->vector & 31)->text);
    place(f, v, e->rip, e->cycle);
    fprintf(f, "  vector   %u, to the handler at %04x:%llx\n", x->vector, e->u.exc.cs, (ull)e->u.exc.handler);
    event_details(f, x);
    if (x->vector == ISA_X_PF && !soft)
        fprintf(f, "\n  next     :walk %llx shows the entries of this translation\n", (ull)x->addr);
}

static void event_name(FILE *f, const struct isa_event *x)
{
    if (x->type == ISA_EV_SWINT || x->type == ISA_EV_EXTINT)
        fprintf(f, "%s %x\n", x->type == ISA_EV_SWINT ? "INT" : "interrupt", x->vector);
    else
        fprintf(f, "%s %s\n", vz_vector_name(x->vector), isa_vector_info(x->vector & 31)->text);
}

// Each event, what its delivery read, and why that failed.
static void why_chain(FILE *f, const struct isa_cpu *c)
{
    const unsigned gate = c->mode == ISA_REAL ? 4 : isa_long(c) ? 16 : 8; // bytes of an IDT entry
    for (unsigned k = 0; k < c->chain_n; k++) {
        const struct isa_event *x = &c->chain[k], *last = k ? x - 1 : NULL;
        bool df = last && x->vector == ISA_X_DF && x->type == ISA_EV_HWEXC;
        if (df)
            fputs("\n  together ", f);
        else if (last)
            fprintf(f, "\n  then     the delivery looked up IDT entry %u at %llx, and failed with ", last->vector,
                    (ull)(c->idtr.base + (uint64_t)gate * last->vector));
        else
            fputs("\n  first    ", f);
        event_name(f, x);
        if (!df)
            event_details(f, x);
    }
}

static void why_shutdown(FILE *f, struct vz *v, const struct ev *e)
{
    fprintf(f, "TRIPLE FAULT: the processor shut down  ");
    place(f, v, e->rip, e->cycle);
    fprintf(f, "  A fault could not be delivered, and neither could the double fault that followed.\n");
    why_chain(f, &v->shut);
    fprintf(f, "\n  IDTR     base %llx, limit %x; 5 shows the IDT, 6 the TSS\n", (ull)v->shut.idtr.base, v->shut.idtr.limit);
    unsigned n = vz_log_count(&v->log), shown = 0;
    for (unsigned i = n; i-- > 0 && shown < 4;) {
        const struct vz_logent *l = vz_log_at(&v->log, i);
        char t[200];
        if (l->e.kind != EV_EXCEPTION)
            continue;
        vz_log_text(v, l, t, sizeof t);
        fprintf(f, "%s    %s\n", shown ? "" : "\n  Delivered before, the last one first:\n", t);
        shown++;
    }
}

static void why_exit(FILE *f, struct vz *v, const struct ev *e)
{
    const char *name = vmx_exit_name(e->u.vmexit.reason);
    char q[300] = "", i[200] = "";
    fprintf(f, "VM EXIT %u %s  ", e->u.vmexit.reason, name ? name : "");
    place(f, v, e->rip, e->cycle);
    vmx_qual_text(e->u.vmexit.reason, e->u.vmexit.qual, q, sizeof q);
    fprintf(f, "  qualif.  %llx%s%s\n", (ull)e->u.vmexit.qual, q[0] ? ": " : "", q);
    if (e->u.vmexit.reason == 48 || e->u.vmexit.reason == 49)
        fprintf(f, "  address  guest-physical %llx, linear %llx\n", (ull)e->u.vmexit.gpa.v, (ull)e->u.vmexit.gla);
    if (e->u.vmexit.intr_info >> 31) {
        vmx_intr_info_text(e->u.vmexit.intr_info, i, sizeof i);
        fprintf(f, "  event    %s\n", i);
    }
    if (e->u.vmexit.len) // 0: the exit has no instruction, or none whose length the processor tells
        fprintf(f, "  length   %u byte%s of instruction\n", e->u.vmexit.len, e->u.vmexit.len == 1 ? "" : "s");
    fputc('\n', f);
    char more[1500];
    vmx_explain_exit(e->u.vmexit.reason, more, sizeof more);
    fprintf(f, "%s\n", more);
    fprintf(f, "\n  next     7 shows the VMCS; its group 'exit information' holds these values\n");
}

static void why_failure(FILE *f, struct vz *v, const struct vmx_failure *x)
{
    char t[200] = "", sym[64] = "", n[32];
    vmx_value_text(x->field, x->value, t, sizeof t);
    fprintf(f, "\n%s  %s\n", x->id, x->title ? x->title : "");
    fprintf(f, "  field    %s = %llx", vmcs_field_info[x->field].name, (ull)x->value);
    if (x->bits) {
        char b[200];
        vmx_bits_text(x->field, x->bits, b, sizeof b);
        fprintf(f, ", offending: %s", b);
    }
    if (t[0])
        fprintf(f, "\n           %s", t);
    fprintf(f, "\n  rule     %s\n  manual   \"%s\"\n", x->rule ? x->rule : "", vz_sdm_title(x->sdm));
    vz_commas(n, sizeof n, x->writer_cycle);
    if (x->writer_cycle && !x->writer_rip)
        fprintf(f, "  set by   the scenario, or :vmcs, at cycle %s\n", n);
    else if (x->writer_cycle) {
        if (v->m)
            sim_symbol(v->m, x->writer_rip, sym, sizeof sym);
        fprintf(f, "  set by   VMWRITE at %llx %s, cycle %s\n", (ull)x->writer_rip, sym, n);
    } else
        fputs("  set by   nobody: the field was never written\n", f);
    if (x->has_suggestion)
        fprintf(f, "  try      %llx\n", (ull)x->suggestion);
}

static void why_entry(FILE *f, struct vz *v, const struct ev *e)
{
    const struct vmx_entry_report *r = &v->report;
    fprintf(f, "VM ENTRY REFUSED  ");
    place(f, v, e->rip, e->cycle);
    if (!v->has_report)
        return;
    if (r->outcome == VMX_ENTRY_FAIL_EXIT)
        fprintf(f, "  hardware would say only: exit reason %u (8%07xh), qualification %llx\n", r->error, r->error,
                (ull)r->qualification);
    else if (r->outcome == VMX_ENTRY_FAIL_VALID)
        fprintf(f, "  hardware would say only: VM-instruction error %u\n", r->error);
    else
        fputs("  hardware would say only: VMfailInvalid\n", f);
    fprintf(f, "  %u of %u checks failed; this processor reports the first, others may report another\n", r->n, r->checks);
    for (unsigned i = 0; i < r->n && i < VMX_MAX_FAILURES; i++)
        why_failure(f, v, &r->failure[i]);
}

static void why_vmx(FILE *f, struct vz *v, const struct ev *e)
{
    const char *text = e->u.vmx.outcome == 2 ? vmx_error_text(e->u.vmx.error) : NULL;
    fprintf(f, "%s FAILED  ", e->u.vmx.op < ISA_OP_NUM ? isa_opinfo[e->u.vmx.op].mnemonic : "VMX instruction");
    place(f, v, e->rip, e->cycle);
    if (e->u.vmx.outcome == 1)
        fputs("  VMfailInvalid: CF = 1. There is no current VMCS, or the operand is no valid address.\n", f);
    else
        fprintf(f, "  VMfailValid: ZF = 1, VM-instruction error %u\n  meaning  %s\n", e->u.vmx.error, text ? text : "");
    if (v->has_report && v->report.n && v->report.cycle == e->cycle)
        for (unsigned i = 0; i < v->report.n && i < VMX_MAX_FAILURES; i++)
            why_failure(f, v, &v->report.failure[i]);
}

char *vz_why_text(struct vz *v)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        return NULL;
    const struct ev *e = &v->last.e;
    if (!v->has_last)
        fputs("Nothing to explain yet: no fault, VM exit or refused VM entry has happened.", f);
    else if (e->kind == EV_EXCEPTION)
        why_exception(f, v, e);
    else if (e->kind == EV_SHUTDOWN)
        why_shutdown(f, v, e);
    else if (e->kind == EV_VMEXIT)
        why_exit(f, v, e);
    else if (e->kind == EV_VMENTRY_FAIL)
        why_entry(f, v, e);
    else
        why_vmx(f, v, e);
    fclose(f);
    return text;
}

// Lines are wrapped with their continuation indented under the text.
void vz_view_why(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    char *text = vz_why_text(v);
    if (!text)
        return;
    for (int pass = 0; pass < 2; pass++) {
        int row = 0, top = pass ? p->top : 0;
        struct vz_win none = vz_sub(w, 0, 0, 0, w->w);
        for (char *s = text; *s;) {
            char *end = strchrnul(s, '\n'), keep = *end;
            *end = 0;
            int indent = !strncmp(s, "  ", 2) && strlen(s) > 11 && s[10] == ' ' ? 11 : 0;
            int r = row - top;
            if (indent && s[2] != ' ') {
                char label[12];
                snprintf(label, sizeof label, "%.11s", s);
                vz_text(pass ? w : &none, r, 1, VZ_A_TITLE, label);
            }
            if (*s)
                row += vz_wrap(pass ? w : &none, r, 1 + indent, w->w - 2 - indent, row == 0 ? VZ_A_BAD : VZ_A_NORMAL, s + indent);
            else
                row++;
            *end = keep;
            s = keep ? end + 1 : end;
        }
        if (!pass)
            vz_rows(p, w, row);
    }
    free(text);
}
