// sim/ledger.c: see sim/ledger.h.
#include "sim/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "vmx-model/explain.h"

#define VMLAUNCH 20
#define VMRESUME 24
static bool enters_guest(unsigned reason) { return reason == VMLAUNCH || reason == VMRESUME; }

_Static_assert(LEDGER_CPUS == SIM_MAX_CPUS, "an account for each processor");

static unsigned column(struct ledger *l, const struct ev *e)
{
    for (unsigned k = 0; k < l->n; k++)
        if (l->vmcs[k].ptr == e->u.vmentry.vmcs)
            return k;
    if (l->n == LEDGER_VMCSES) {
        l->more = true;
        return LEDGER_VMCSES - 1;
    }
    const struct ledger_cpu *cpu = &l->cpu[e->cpu];
    unsigned level = 1 + (enters_guest(cpu->reason) ? l->vmcs[cpu->vmcs].level : 0u);
    l->vmcs[l->n] = (struct ledger_vmcs){.ptr = e->u.vmentry.vmcs,
                                         .eptp = e->u.vmentry.eptp,
                                         .vpid = e->u.vmentry.vpid,
                                         .level = (uint8_t)(level < LEDGER_LEVELS ? level : LEDGER_LEVELS - 1)};
    return l->n++;
}

// A reset in between sets clocks and counters to 0.
static uint64_t since(uint64_t now, uint64_t then) { return now >= then ? now - then : now; }

// Credit the processor's level with what happened since the last transition.
static void settle(struct ledger *l, unsigned n, uint64_t now)
{
    struct ledger_cpu *cpu = &l->cpu[n];
    struct ledger_level *level = &l->level[cpu->level];
    const uint64_t *stat = l->m->cpu[n]->stat;
    uint64_t cycles = since(now, cpu->since);
    level->cycles += cycles;
    if (cpu->level)
        l->vmcs[cpu->vmcs].cycles += cycles;
    level->walks += since(stat[SIM_STAT_WALKS], cpu->walks);
    level->refs += since(stat[SIM_STAT_WALK_REFS], cpu->refs);
    level->dropped += since(stat[SIM_STAT_TLB_FLUSHED], cpu->dropped);
    cpu->since = now;
    cpu->walks = stat[SIM_STAT_WALKS];
    cpu->refs = stat[SIM_STAT_WALK_REFS];
    cpu->dropped = stat[SIM_STAT_TLB_FLUSHED];
}

static void stretch(struct ledger *l, unsigned n, uint64_t begin, uint64_t end)
{
    const struct ledger_cpu *cpu = &l->cpu[n];
    l->ring[l->nstretches++ % LEDGER_STRETCHES] = (struct ledger_stretch){.cpu = (uint8_t)n,
                                                                          .level = cpu->level,
                                                                          .vmcs = cpu->vmcs,
                                                                          .begin = begin,
                                                                          .end = end,
                                                                          .reason = cpu->reason,
                                                                          .rip = cpu->rip};
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct ledger *l = ctx;
    struct ledger_cpu *cpu = &l->cpu[e->cpu];
    if (e->kind == EV_TLB_FLUSH) {
        l->level[cpu->level].flushes++;
        return;
    }
    if (e->kind == EV_VMEXIT && !cpu->level)
        return; // the exit of a guest that was entered before the ledger was opened
    uint64_t begin = cpu->since;
    settle(l, e->cpu, e->cycle);
    if (e->kind == EV_VMENTRY) {
        stretch(l, e->cpu, begin, e->cycle);
        cpu->vmcs = (uint8_t)column(l, e);
        cpu->level = l->vmcs[cpu->vmcs].level;
        l->vmcs[cpu->vmcs].entries++;
        l->level[cpu->level].entries++;
        return;
    }
    struct ledger_vmcs *v = &l->vmcs[cpu->vmcs];
    unsigned reason = e->u.vmexit.reason % LEDGER_REASONS;
    cpu->reason = (uint16_t)reason;
    cpu->rip = e->rip;
    stretch(l, e->cpu, begin, e->cycle);
    v->exits++;
    v->by_reason[reason]++;
    l->level[cpu->level].exits++;
    l->level[cpu->level].by_reason[reason]++;
    cpu->level = 0;
}

void ledger_open(struct ledger *l, struct sim_machine *m)
{
    memset(l, 0, sizeof *l);
    l->m = m;
    for (unsigned n = 0; n < m->ncpus; n++) {
        const struct sim_cpu *c = m->cpu[n];
        l->cpu[n] = (struct ledger_cpu){.reason = LEDGER_REASONS,
                                        .since = engine_now(&c->isa),
                                        .walks = c->stat[SIM_STAT_WALKS],
                                        .refs = c->stat[SIM_STAT_WALK_REFS],
                                        .dropped = c->stat[SIM_STAT_TLB_FLUSHED]};
    }
    l->handle = ev_subscribe(m, EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMEXIT) | EV_BIT(EV_TLB_FLUSH), on_event, l);
}

void ledger_close(struct ledger *l) { ev_unsubscribe(l->m, l->handle); }

struct ledger *ledger_keep(struct sim_machine *m)
{
    if (!m->ledger) {
        m->ledger = malloc(sizeof *m->ledger);
        assert(m->ledger); // 100 kB
        ledger_open(m->ledger, m);
    }
    return m->ledger;
}

void ledger_update(struct ledger *l)
{
    for (unsigned n = 0; n < l->m->ncpus; n++)
        settle(l, n, engine_now(&l->m->cpu[n]->isa));
}

void ledger_restart(struct ledger *l)
{
    ledger_update(l);
    for (unsigned n = 0; n < l->m->ncpus; n++)
        l->cpu[n] = (struct ledger_cpu){.reason = LEDGER_REASONS};
}

uint64_t ledger_exits(const struct ledger *l, unsigned reason)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < LEDGER_LEVELS; k++)
        n += reason < LEDGER_REASONS ? l->level[k].by_reason[reason] : l->level[k].exits;
    return n;
}

unsigned ledger_levels(const struct ledger *l)
{
    unsigned n = 1;
    for (unsigned k = 0; k < l->n; k++)
        n = l->vmcs[k].level >= n ? l->vmcs[k].level + 1u : n;
    return n;
}

bool ledger_deeper(const struct ledger *l, unsigned level)
{
    if (level < 2 || level + 1 < ledger_levels(l))
        return false;
    return l->level[level].by_reason[VMLAUNCH] != 0;
}

struct row {
    uint64_t n;
    uint16_t reason;
};
static int more_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return x->reason < y->reason ? -1 : 1;
}

unsigned ledger_reasons(const struct ledger *l, uint16_t reasons[LEDGER_REASONS])
{
    struct row row[LEDGER_REASONS];
    unsigned n = 0;
    for (unsigned r = 0; r < LEDGER_REASONS; r++)
        row[r] = (struct row){ledger_exits(l, r), (uint16_t)r};
    qsort(row, LEDGER_REASONS, sizeof *row, more_first);
    for (; n < LEDGER_REASONS && row[n].n; n++)
        reasons[n] = row[n].reason;
    return n;
}

// --- as text

static void cell(FILE *f, uint64_t v) { fprintf(f, " %11llu", (unsigned long long)v); }

static void level_name(const struct ledger *l, unsigned k, char name[8])
{
    snprintf(name, 8, "L%u%s", k, ledger_deeper(l, k) ? "+" : "");
}

static void print_exits(const struct ledger *l, FILE *f)
{
    uint16_t reason[LEDGER_REASONS];
    unsigned n = ledger_reasons(l, reason), levels = ledger_levels(l);
    fprintf(f, "%-29s %11s", "VM exits by reason and level", "all");
    for (unsigned k = 1; k < levels; k++) {
        char name[8];
        level_name(l, k, name);
        fprintf(f, " %11s", name);
    }
    fputc('\n', f);
    for (unsigned r = 0; r < n; r++) {
        const char *name = vmx_exit_name(reason[r]);
        fprintf(f, "  %2u %-24s", reason[r], name ? name : "?");
        cell(f, ledger_exits(l, reason[r]));
        for (unsigned k = 1; k < levels; k++)
            cell(f, l->level[k].by_reason[reason[r]]);
        fputc('\n', f);
    }
    fprintf(f, "     %-24s", "all");
    cell(f, ledger_exits(l, LEDGER_REASONS));
    for (unsigned k = 1; k < levels; k++)
        cell(f, l->level[k].exits);
    fputc('\n', f);
}

static void print_vmcses(const struct ledger *l, FILE *f)
{
    fputs("\nVMCS     address      EPTP  VPID     entries       exits  model cycles in the guest  level\n", f);
    for (unsigned k = 0; k < l->n; k++) {
        const struct ledger_vmcs *v = &l->vmcs[k];
        fprintf(f, "%3u%s %12llx %9llx %5u %11llu %11llu %15llu            L%u%s\n", k + 1, l->more && k + 1 == l->n ? "+" : " ",
                (unsigned long long)v->ptr, (unsigned long long)v->eptp, v->vpid, (unsigned long long)v->entries,
                (unsigned long long)v->exits, (unsigned long long)v->cycles, v->level,
                v->level > 1 && v->by_reason[VMLAUNCH] ? " or deeper" : "");
    }
    if (l->more)
        fprintf(f, "  (the last row stands for all the VMCSs from number %u on)\n", LEDGER_VMCSES);
}

static void print_account(const struct ledger *l, FILE *f)
{
    static const struct {
        const char *text;
        size_t at;
    } row[] = {{"VM entries", offsetof(struct ledger_level, entries)},
               {"VM exits", offsetof(struct ledger_level, exits)},
               {"model cycles", offsetof(struct ledger_level, cycles)},
               {"page walks", offsetof(struct ledger_level, walks)},
               {"references of walks", offsetof(struct ledger_level, refs)},
               {"TLB invalidations", offsetof(struct ledger_level, flushes)},
               {"TLB entries they dropped", offsetof(struct ledger_level, dropped)}};
    unsigned levels = ledger_levels(l);
    uint64_t all = 0;
    fprintf(f, "\n%-29s %11s", "by level", "all");
    for (unsigned k = 0; k < levels; k++) {
        char name[8];
        level_name(l, k, name);
        fprintf(f, " %11s", k ? name : "L0 (root)");
        all += l->level[k].cycles;
    }
    fputc('\n', f);
    for (unsigned r = 0; r < sizeof row / sizeof *row; r++) {
        uint64_t sum = 0, v[LEDGER_LEVELS];
        for (unsigned k = 0; k < levels; k++)
            sum += v[k] = *(const uint64_t *)(const void *)((const char *)&l->level[k] + row[r].at);
        fprintf(f, "  %-27s", row[r].text);
        cell(f, sum);
        for (unsigned k = 0; k < levels; k++)
            cell(f, v[k]);
        fputc('\n', f);
    }
    fprintf(f, "  %-27s %11s", "share of the cycles, 1/1000", "");
    for (unsigned k = 0; k < levels; k++)
        cell(f, all ? (uint64_t)((unsigned __int128)l->level[k].cycles * 1000 / all) : 0);
    fputc('\n', f);
}

void ledger_print(struct ledger *l, FILE *f)
{
    if (!l->n) {
        fputs("ledger: no VM entry\n", f);
        return;
    }
    ledger_update(l);
    print_exits(l, f);
    print_account(l, f);
    print_vmcses(l, f);
}
