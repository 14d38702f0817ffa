// sim/gdb_monitor.c: GDB's "monitor" commands: what the machine knows and GDB has no words for. All of them only look.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/cli.h"
#include "sim/gdb_internal.h"
#include "vmx-model/explain.h"

static bool number(const char *s, uint64_t *v)
{
    char *end;
    if (*s < '0' || *s > '9')
        return false;
    *v = strtoull(s, &end, 0);
    return !*end;
}

// An address: a number, a register (rip is linear) or a symbol of the image.
static bool address(struct gdb *g, const char *s, uint64_t *v)
{
    if (!strcasecmp(s, "rip") || !strcasecmp(s, "$rip") || !strcasecmp(s, "pc")) {
        *v = gdb_pc(g, g->cpu);
        return true;
    }
    return number(s, v) || sim_reg_get(g->m, g->cpu, *s == '$' ? s + 1 : s, v) || sim_symbol_addr(g->m, s, v);
}

static void cmd_info(struct gdb *g, const char *arg, struct gdb_text *t)
{
    if (strcmp(arg, "registers") && strcmp(arg, "")) {
        gdb_textf(t, "info knows: info registers\n");
        return;
    }
    static const char *const vmx[] = {"off", "root", "non-root"};
    const struct isa_cpu *c = sim_cpu(g->m, g->cpu);
    gdb_textf(t, "processor %u: %s mode, CPL %u, VMX %s, cycle %" PRIu64 ", %" PRIu64 " instructions\n", g->cpu, sim_mode_name(c),
              c->cpl, vmx[c->vmx], c->cycles, c->insns);
    gdb_system_registers(g, t);
}

static void cmd_regs(struct gdb *g, const char *arg, struct gdb_text *t)
{
    uint64_t v;
    unsigned n = 0;
    if (*arg) {
        if (sim_reg_get(g->m, g->cpu, arg, &v))
            gdb_textf(t, "%s 0x%" PRIx64 "\n", arg, v);
        else
            gdb_textf(t, "no register %s; monitor regs lists them\n", arg);
        return;
    }
    for (unsigned k = 0; sim_reg_name(k); k++)
        if (sim_reg_get(g->m, g->cpu, sim_reg_name(k), &v))
            gdb_textf(t, "%-10s %16" PRIx64 "%s", sim_reg_name(k), v, ++n % 3 ? "  " : "\n");
    gdb_textf(t, "%s", n % 3 ? "\n" : "");
}

static void cmd_walk(struct gdb *g, const char *arg, struct gdb_text *t)
{
    static const char *const outcome[] = {"translated", "page fault", "EPT violation", "EPT misconfiguration", "no paging"};
    uint64_t la;
    struct sim_walk w;
    if (!address(g, arg, &la)) {
        gdb_textf(t, "walk ADDRESS: a number, a register or a symbol of the image\n");
        return;
    }
    sim_translate(g->m, g->cpu, la, ISA_ACC_R | ISA_ACC_SYS, &w);
    for (unsigned k = 0; k < w.refs && k < SIM_WALK_MAX; k++) {
        const struct sim_walk_step *s = &w.step[k];
        gdb_textf(t, "%3u %s guest level %u, EPT level %u: entry %3" PRIu64 " at 0x%" PRIx64 " = 0x%" PRIx64 "%s%s%s\n", s->number,
                  s->ept ? "EPT  " : "guest", s->glevel, s->elevel, s->index, s->at.v, s->entry, s->leaf ? " leaf" : "",
                  s->failed ? ": " : "", s->failed && s->why ? s->why : "");
    }
    gdb_textf(t, "0x%" PRIx64 ": %s", la, outcome[w.outcome]);
    if (w.outcome == SIM_WALK_OK || w.outcome == SIM_WALK_NO_PAGING)
        gdb_textf(t, " to guest-physical 0x%" PRIx64 ", host-physical 0x%" PRIx64 ", %u references", w.gpa.v, w.hpa.v, w.refs);
    if (w.outcome == SIM_WALK_PF)
        gdb_textf(t, ", error code 0x%x", w.pf_error);
    gdb_textf(t, "\n");
}

static void cmd_tlb(struct gdb *g, const char *arg, struct gdb_text *t)
{
    const struct tlb *tlb = sim_tlb(g->m, g->cpu);
    const struct tlb_entry *e;
    unsigned pos = 0, n = 0;
    while ((e = tlb_next(tlb, &pos))) {
        n++;
        if (t->n + 200 < t->size)
            gdb_textf(t, "%-6s %-14s %016" PRIx64 " -> %" PRIx64 " %uK %c%c%c%s VPID %u PCID %u%s\n", tlb_unit_name(e->unit),
                      tlb_mapping_name(e->mapping), e->tag, e->frame.v, 1u << (e->page_shift - 10),
                      e->perms & TLB_PERM_W ? 'W' : '-', e->perms & TLB_PERM_U ? 'U' : '-', e->perms & TLB_PERM_X ? 'X' : '-',
                      e->global ? " global" : "", e->vpid, e->pcid, e->stale ? " STALE" : "");
    }
    gdb_textf(t, "%u entries\n", n);
}

static void put_field(const struct vmcs *v, unsigned f, struct gdb_text *t)
{
    char words[300] = "";
    vmx_value_text(f, v->f[f], words, sizeof words);
    gdb_textf(t, "0x%04x %-32s 0x%" PRIx64 "%s%s\n", vmcs_field_info[f].encoding, vmcs_field_info[f].name, v->f[f],
              *words ? "  " : "", words);
}

static void cmd_vmcs(struct gdb *g, const char *arg, struct gdb_text *t)
{
    const struct vmcs *v = sim_vmcs(g->m, g->cpu);
    uint64_t n;
    if (!v) {
        gdb_textf(t, "there is no current VMCS\n");
        return;
    }
    if (!*arg) {
        gdb_textf(t, "VMCS at 0x%" PRIx64 ", %s; fields that are not 0:\n", sim_vmcs_ptr(g->m, g->cpu),
                  v->launched ? "launched" : "clear");
        for (unsigned f = 0; f < VMCS_NFIELD && t->n + 400 < t->size; f++)
            if (v->f[f])
                gdb_textf(t, "0x%04x %-32s 0x%" PRIx64 "\n", vmcs_field_info[f].encoding, vmcs_field_info[f].name, v->f[f]);
        return;
    }
    int f = number(arg, &n) ? n <= UINT32_MAX ? vmcs_by_encoding((uint32_t)n) : -1 : vmcs_by_name(arg);
    if (f >= 0) {
        put_field(v, (unsigned)f, t);
        gdb_textf(t, "%s\n", vmcs_field_info[f].text);
    } else {
        const char *near = vmcs_nearest_name(arg);
        gdb_textf(t, "no VMCS field %s%s%s%s\n", arg, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    }
}

static void cmd_exits(struct gdb *g, const char *arg, struct gdb_text *t)
{
    gdb_textf(t, "%" PRIu64 " VM exits since GDB attached\n", g->nexits);
    for (unsigned k = 0; k < GDB_NEXITREASON; k++)
        if (g->exit_count[k])
            gdb_textf(t, "%10" PRIu64 "  %2u %s\n", g->exit_count[k], k, vmx_exit_name(k) ? vmx_exit_name(k) : "?");
    for (uint64_t k = g->nexits > GDB_EXITS ? g->nexits - GDB_EXITS : 0; k < g->nexits; k++) {
        const struct gdb_exit *e = &g->exits[k % GDB_EXITS];
        char words[200] = "";
        vmx_qual_text(e->reason, e->qual, words, sizeof words);
        gdb_textf(t, "cycle %" PRIu64 " processor %u at 0x%" PRIx64 ": %s%s%s\n", e->cycle, e->cpu, e->rip,
                  vmx_exit_name(e->reason) ? vmx_exit_name(e->reason) : "?", *words ? ", " : "", words);
    }
}

static void cmd_disas(struct gdb *g, const char *arg, struct gdb_text *t)
{
    uint64_t la = gdb_pc(g, g->cpu);
    if (*arg && !address(g, arg, &la)) {
        gdb_textf(t, "disas [ADDRESS]: a number, a register or a symbol of the image\n");
        return;
    }
    for (unsigned k = 0; k < 10; k++) {
        char text[160], sym[96];
        uint8_t bytes[16];
        unsigned n = sim_disasm(g->m, g->cpu, la, false, text, sizeof text, bytes);
        if (!n) {
            gdb_textf(t, "0x%" PRIx64 ": cannot be read\n", la);
            return;
        }
        sim_symbol(g->m, la, sym, sizeof sym);
        gdb_textf(t, "0x%" PRIx64 "%s%s%s: %s\n", la, *sym ? " <" : "", sym, *sym ? ">" : "", text);
        la += n;
    }
}

static void cmd_reset(struct gdb *g, const char *arg, struct gdb_text *t)
{
    gdb_textf(t, "reset: a machine does not go back while GDB is attached; kill, and start ringside again\n");
}

static void cmd_help(struct gdb *g, const char *arg, struct gdb_text *t);
static const struct command {
    const char *name, *args, *text;
    void (*run)(struct gdb *g, const char *arg, struct gdb_text *t);
} commands[] = {
    {"help", "", "this list", cmd_help},
    {"info", "registers", "mode, privilege and the system registers of the processor", cmd_info},
    {"regs", "[NAME]", "every register by the simulator's names, hidden parts and MSRs too", cmd_regs},
    {"walk", "ADDRESS", "the page walk of a linear address, reference by reference", cmd_walk},
    {"tlb", "", "the entries of the TLBs and paging-structure caches", cmd_tlb},
    {"vmcs", "[FIELD]", "the current VMCS, or one field by name or encoding", cmd_vmcs},
    {"exits", "", "VM exits so far: counts, and the last ones", cmd_exits},
    {"disas", "[ADDRESS]", "ten instructions, decoded in the processor's present mode", cmd_disas},
    {"reset", "", "refused: start ringside again", cmd_reset},
};
#define NCOMMANDS (sizeof commands / sizeof *commands)

static void cmd_help(struct gdb *g, const char *arg, struct gdb_text *t)
{
    for (unsigned k = 0; k < NCOMMANDS; k++)
        gdb_textf(t, "monitor %-5s %-10s %s\n", commands[k].name, commands[k].args, commands[k].text);
}

void gdb_monitor(struct gdb *g, const char *command, struct gdb_text *t)
{
    const char *names[NCOMMANDS + 1] = {NULL};
    char arg[128];
    while (*command == ' ')
        command++;
    size_t n = strcspn(command, " ");
    snprintf(arg, sizeof arg, "%s", command + n + strspn(command + n, " "));
    for (size_t k = strlen(arg); k && arg[k - 1] == ' ';)
        arg[--k] = 0;
    for (unsigned k = 0; k < NCOMMANDS; k++) {
        names[k] = commands[k].name;
        if (strlen(names[k]) == n && !strncmp(names[k], command, n)) {
            commands[k].run(g, arg, t);
            return;
        }
    }
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(n < 60 ? n : 60), command);
    const char *near = cli_nearest(word, names);
    gdb_textf(t, "no monitor command \"%s\"%s%s%s; monitor help lists them\n", word, near ? " (did you mean " : "",
              near ? near : "", near ? "?)" : "");
}
