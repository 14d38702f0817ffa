// sim/ledger.c: see sim/ledger.h.
#include "sim/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "sim/inspect.h"
#include "vmx-model/explain.h"

#define VMLAUNCH 20
#define VMRESUME 24
static bool enters_guest(unsigned reason) { return reason == VMLAUNCH || reason == VMRESUME; }

static unsigned column(struct ledger *l, const struct ev *e)
{
    for (unsigned k = 0; k < l->n; k++)
        if (l->vmcs[k].ptr == e->u.vmentry.vmcs)
            return k;
    if (l->n == LEDGER_VMCSES) {
        l->more = true;
        return LEDGER_VMCSES - 1;
    }
    unsigned cpu = e->cpu % LEDGER_CPUS, above = enters_guest(l->reason[cpu]) ? l->vmcs[l->current[cpu]].level : 0;
    l->vmcs[l->n] = (struct ledger_vmcs){
        .ptr = e->u.vmentry.vmcs, .eptp = e->u.vmentry.eptp, .vpid = e->u.vmentry.vpid, .level = (uint8_t)(above + 1)};
    return l->n++;
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct ledger *l = ctx;
    unsigned cpu = e->cpu % LEDGER_CPUS;
    if (e->kind == EV_VMENTRY) {
        l->current[cpu] = (uint8_t)column(l, e);
        l->vmcs[l->current[cpu]].entries++;
        l->entered[cpu] = e->cycle;
        return;
    }
    if (!l->n)
        return; // the exit of a guest that was entered before the ledger was opened
    struct ledger_vmcs *v = &l->vmcs[l->current[cpu]];
    l->reason[cpu] = e->u.vmexit.reason;
    v->exits++;
    v->by_reason[e->u.vmexit.reason % LEDGER_REASONS]++;
    v->cycles += e->cycle - l->entered[cpu];
}

void ledger_open(struct ledger *l, struct sim_machine *m)
{
    memset(l, 0, sizeof *l);
    l->m = m;
    l->handle = ev_subscribe(m, EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMEXIT), on_event, l);
}

void ledger_close(struct ledger *l) { ev_unsubscribe(l->m, l->handle); }

uint64_t ledger_exits(const struct ledger *l, unsigned reason)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < l->n; k++)
        n += reason < LEDGER_REASONS ? l->vmcs[k].by_reason[reason] : l->vmcs[k].exits;
    return n;
}

static uint64_t stat(const struct ledger *l, const char *name)
{
    uint64_t sum = 0, one;
    for (unsigned n = 0; n < sim_ncpus(l->m); n++)
        if (sim_stat(l->m, n, name, &one))
            sum += one;
    return sum;
}

struct row {
    uint64_t n;
    unsigned reason;
};
static int more_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return x->reason < y->reason ? -1 : 1;
}

static void print_exits(const struct ledger *l, FILE *f)
{
    struct row row[LEDGER_REASONS];
    for (unsigned r = 0; r < LEDGER_REASONS; r++)
        row[r] = (struct row){ledger_exits(l, r), r};
    qsort(row, LEDGER_REASONS, sizeof *row, more_first);
    fprintf(f, "%-29s %10s", "VM exits by reason", "all");
    for (unsigned k = 0; k < l->n; k++)
        fprintf(f, "   VMCS %c%s", 'A' + k, l->more && k + 1 == l->n ? "+" : " ");
    fputc('\n', f);
    for (unsigned r = 0; r < LEDGER_REASONS && row[r].n; r++) {
        const char *name = vmx_exit_name(row[r].reason);
        fprintf(f, "  %2u %-24s %10llu", row[r].reason, name ? name : "?", (unsigned long long)row[r].n);
        for (unsigned k = 0; k < l->n; k++)
            fprintf(f, " %9llu ", (unsigned long long)l->vmcs[k].by_reason[row[r].reason]);
        fputc('\n', f);
    }
    fprintf(f, "     %-24s %10llu", "all", (unsigned long long)ledger_exits(l, LEDGER_REASONS));
    for (unsigned k = 0; k < l->n; k++)
        fprintf(f, " %9llu ", (unsigned long long)l->vmcs[k].exits);
    fputc('\n', f);
}

static void print_vmcses(const struct ledger *l, FILE *f)
{
    fputs("\nVMCS        address      EPTP  VPID     entries  model cycles in the guest  level\n", f);
    for (unsigned k = 0; k < l->n; k++) {
        const struct ledger_vmcs *v = &l->vmcs[k];
        fprintf(f, "  %c%s  %12llx %9llx %5u %11llu %15llu            L%u%s\n", 'A' + k, l->more && k + 1 == l->n ? "+" : " ",
                (unsigned long long)v->ptr, (unsigned long long)v->eptp, v->vpid, (unsigned long long)v->entries,
                (unsigned long long)v->cycles, v->level, v->level > 1 && v->by_reason[VMLAUNCH] ? " or deeper" : "");
    }
    if (l->more)
        fprintf(f, "  (the last row and column stand for all the VMCSs from the %uth on)\n", LEDGER_VMCSES);
}

void ledger_print(const struct ledger *l, FILE *f)
{
    static const char *const shown[] = {"walks", "walk_refs", "tlb_misses", "tlb_flushed", "exceptions", "interrupts"};
    uint64_t all = 0, guest = stat(l, "cycles_nonroot");
    if (!l->n) {
        fputs("ledger: no VM entry\n", f);
        return;
    }
    for (unsigned n = 0; n < sim_ncpus(l->m); n++)
        all += sim_cpu(l->m, n)->cycles;
    print_exits(l, f);
    print_vmcses(l, f);
    fprintf(f, "\nmodel cycles  in root operation %llu, in non-root operation %llu (%.1f %%)\n", (unsigned long long)(all - guest),
            (unsigned long long)guest, all ? 100.0 * (double)guest / (double)all : 0);
    for (unsigned k = 0; k < sizeof shown / sizeof *shown; k++)
        fprintf(f, "%s%s %llu", k ? ", " : "counters      ", shown[k], (unsigned long long)stat(l, shown[k]));
    fputc('\n', f);
}
