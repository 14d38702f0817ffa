// sim/info.c: see sim/info.h.
#include "sim/info.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "isa/decode.h"
#include "isa/fault.h"
#include "isa/manual.h"
#include "isa/msr.h"
#include "isa/tables.h"
#include "sim/cli.h"
#include "sim/inspect.h"
#include "sim/profile.h"
#include "vmx-model/explain.h"

// --- tables as Markdown

static void opcodes(FILE *f)
{
    fprintf(f, "| instruction | operands | description |\n|---|---|---|\n");
    for (unsigned op = 1; op < ISA_OP_NUM; op++)
        fprintf(f, "| %s | %s | %s |\n", isa_opinfo[op].mnemonic, isa_opinfo[op].operands, isa_opinfo[op].text);
}

static void features(FILE *f)
{
    static const char *const reg[] = {"EAX", "EBX", "ECX", "EDX"};
    fprintf(f, "| feature | CPUID | description |\n|---|---|---|\n");
    for (unsigned k = 1; k < ISA_FEAT_NUM; k++)
        fprintf(f, "| %s | %XH:%s[%u] | %s |\n", isa_feature_info[k].flag, isa_feature_info[k].leaf,
                reg[isa_feature_info[k].reg & 3], isa_feature_info[k].bit, isa_feature_info[k].text);
}

static void costs(FILE *f)
{
    fprintf(f, "Model cycles of the `teach` profile: round numbers for the blackboard, measured on no processor.\n\n| class | "
               "cycles | what |\n|---|---|---|\n");
    for (unsigned k = 0; k < ISA_COST_NUM; k++)
        fprintf(f, "| %s | %u | %s |\n", isa_cost_info[k].id, isa_cost_info[k].teach, isa_cost_info[k].text);
}

static void rules(FILE *f)
{
    fprintf(f, "| rule | raises | sentence | manual |\n|---|---|---|---|\n");
    for (unsigned k = 1; k < ISA_RULE_NUM; k++) {
        const struct isa_rule_info *r = isa_rule_info(k);
        const struct isa_manual_section *s = isa_manual(r->sdm);
        fprintf(f, "| %s | %s | %s | %s |\n", r->id, isa_vector_info(r->vector)->mnemonic, r->text, s ? s->title : r->sdm);
    }
}

static void vectors(FILE *f)
{
    fprintf(f, "| vector | name | error code | description |\n|---|---|---|---|\n");
    for (unsigned v = 0; v < 32; v++)
        fprintf(f, "| %u | %s | %s | %s |\n", v, isa_vector_info(v)->mnemonic, isa_vector_info(v)->has_error ? "yes" : "no",
                isa_vector_info(v)->text);
}

static void msrs(FILE *f)
{
    fprintf(f, "| address | name | description |\n|---|---|---|\n");
    for (unsigned k = 0; k < isa_msr_count; k++)
        fprintf(f, "| %XH | %s | %s |\n", isa_msr_info[k].addr, isa_msr_info[k].name, isa_msr_info[k].text);
}

static void manual(FILE *f)
{
    const struct isa_manual_section *s;
    fprintf(f, "| key | volume | section | title |\n|---|---|---|---|\n");
    for (unsigned n = 0; (s = isa_manual_n(n)); n++)
        fprintf(f, "| %s | %s | %s | %s |\n", s->key, s->volume, s->number, s->title);
}

static void fields(FILE *f)
{
    fprintf(f, "| encoding | field | bits | group | description |\n|---|---|---|---|---|\n");
    for (unsigned k = 0; k < VMCS_NFIELD; k++)
        fprintf(f, "| %04XH | %s | %u | %s | %s |\n", vmcs_field_info[k].encoding, vmcs_field_info[k].name,
                vmcs_bits((enum vmcs_field)k), vmcs_group_name[vmcs_field_info[k].group], vmcs_field_info[k].text);
}

static void controls(FILE *f)
{
    const struct vmx_control *k;
    fprintf(f, "| word | bit | control | modelled | meaning of 1 |\n|---|---|---|---|---|\n");
    for (unsigned n = 0; (k = vmx_control_n(n)); n++)
        fprintf(f, "| %s | %u | %s | %s | %s |\n", vmx_word_name((enum vmx_ctl_word)k->word), k->bit, k->name,
                k->modelled ? "yes" : "no", k->text);
}

static void exits(FILE *f)
{
    fprintf(f, "| reason | name | description |\n|---|---|---|\n");
    for (unsigned r = 0; r < 128; r++)
        if (vmx_exit_name(r))
            fprintf(f, "| %u | %s | %s |\n", r, vmx_exit_name(r), vmx_exit_text(r));
}

static void errors(FILE *f)
{
    fprintf(f, "| error | name | description |\n|---|---|---|\n");
    for (unsigned n = 1; n < 64; n++)
        if (vmx_error_name(n))
            fprintf(f, "| %u | %s | %s |\n", n, vmx_error_name(n), vmx_error_text(n));
}

static void checks(FILE *f)
{
    const struct vmx_check_info *k;
    fprintf(f, "| id | checks | field | rule | what to do |\n|---|---|---|---|---|\n");
    for (unsigned n = 0; (k = vmx_check_n(n)); n++)
        fprintf(f, "| %s | %s | %s | %s | %s |\n", k->id, k->title, vmcs_field_info[k->field].name, k->rule, k->fix ? k->fix : "");
}

static void events(FILE *f)
{
    fprintf(f, "| event | frequent | what happened |\n|---|---|---|\n");
    for (unsigned k = 0; k < EV_NUM; k++)
        fprintf(f, "| %s | %s | %s |\n", ev_info[k].name, ev_info[k].frequent ? "yes" : "no", ev_info[k].text);
}

static void stats(FILE *f)
{
    fprintf(f, "| counter | counts |\n|---|---|\n");
    for (unsigned n = 0; sim_stat_name(n); n++)
        fprintf(f, "| %s | %s |\n", sim_stat_name(n), sim_stat_text(n));
}

static void profiles(FILE *f)
{
    const char *name;
    fprintf(f, "| profile | description | MHz |\n|---|---|---|\n");
    for (unsigned n = 0; (name = sim_profile_nth(n)); n++) {
        struct sim_profile p;
        sim_profile_load(&p, name, NULL);
        fprintf(f, "| %s | %s | %llu |\n", name, p.text, (unsigned long long)(p.hz / 1000000));
    }
}

static void profile_keys(FILE *f)
{
    struct profile_key k;
    struct sim_profile p;
    sim_profile_load(&p, "teach", NULL);
    fprintf(f, "What `--set NAME=VALUE` and `ringside.machine{set = {[NAME] = VALUE}}` can change of a profile.\n\n"
               "| name | unit | lowest | highest | teach | what |\n|---|---|---|---|---|---|\n");
    for (unsigned n = 0; sim_profile_key(n, &k); n++)
        fprintf(f, "| %s | %s | %llu | %llu | %llu | %s |\n", k.name, k.unit, (unsigned long long)k.lowest,
                (unsigned long long)k.highest, (unsigned long long)sim_profile_get(&p, &k), k.text);
}

// The values of a profile that no text confirms, by name.
static void unverified(FILE *f, const char *profile)
{
    static const struct {
        char tag;
        const char *why;
    } kinds[] = {{'E', "Estimates"}, {'M', "From memory"}};
    const char *source;
    struct profile_key k;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        unsigned n = 0;
        fprintf(f, "\nUnverified. %s:", kinds[i].why);
        for (unsigned j = 0; sim_profile_key(j, &k); j++)
            if (sim_profile_source(profile, k.name, &source) == kinds[i].tag)
                fprintf(f, n++ ? ", %s" : " %s", k.name);
        fprintf(f, n ? " (%u values).\n" : " none.\n", n);
    }
}

int info_profile(FILE *f, const char *name, struct sim_error *err)
{
    static const char *const meaning = "PSDME";
    struct sim_profile p;
    struct profile_key k;
    const char *source;
    if (sim_profile_load(&p, name, err) < 0)
        return -1;
    fprintf(f, "# %s\n\n%s.\n\n", p.name, p.text);
    fprintf(f, "P primary text or measurement, S secondary source that quotes it, D derived, M from memory, E estimate.\n\n");
    fprintf(f, "| key | value | unit | | source |\n|---|---|---|---|---|\n");
    for (unsigned n = 0; sim_profile_key(n, &k); n++) {
        const uint64_t v = sim_profile_get(&p, &k);
        const char tag = sim_profile_source(name, k.name, &source);
        fprintf(f, !strcmp(k.name, "signature") ? "| %s | 0x%llx | %s | %c | %s |\n" : "| %s | %llu | %s | %c | %s |\n", k.name,
                (unsigned long long)v, k.unit, strchr(meaning, tag) ? tag : '?', source);
    }
    fprintf(f, "\n| capability MSR | value |\n|---|---|\n");
    for (uint32_t n = VMX_MSR_FIRST; n <= VMX_MSR_LAST; n++) {
        uint64_t v;
        if (vmx_caps_rdmsr(&p.vmx, n, &v))
            fprintf(f, "| %s | %08llx_%08llx |\n", vmx_caps_msr_name(n), (unsigned long long)v >> 32,
                    (unsigned long long)v & 0xffffffff);
        else
            fprintf(f, "| %s | absent |\n", vmx_caps_msr_name(n));
    }
    unverified(f, name);
    return 0;
}

static const struct table {
    const char *name, *text;
    void (*print)(FILE *);
} tables[] = {
    {"opcodes", "the instructions that are implemented", opcodes},
    {"features", "the processor features, with their CPUID bits", features},
    {"costs", "the cost classes of the cycle model", costs},
    {"rules", "the rules whose violation raises an exception", rules},
    {"vectors", "the exception vectors", vectors},
    {"msrs", "the model-specific registers", msrs},
    {"manual", "the sections of the processor manual that are cited", manual},
    {"vmcs", "the fields of the VMCS", fields},
    {"controls", "the VM-execution, VM-exit and VM-entry controls", controls},
    {"exits", "the VM-exit reasons", exits},
    {"errors", "the VM-instruction errors", errors},
    {"checks", "the checks of a VM entry", checks},
    {"events", "what observers can subscribe to", events},
    {"stats", "the counters of a processor", stats},
    {"profiles", "the micro-architectures; ringside info profile NAME prints all values of one, with their sources", profiles},
    {"keys", "the values of a profile that can be set", profile_keys},
};
#define NTABLES (sizeof tables / sizeof tables[0])

int info_table(FILE *f, const char *name, struct sim_error *err)
{
    const char *names[NTABLES + 1] = {NULL};
    for (unsigned k = 0; k < NTABLES; k++) {
        names[k] = tables[k].name;
        if (!name)
            fprintf(f, "  %-10s %s\n", tables[k].name, tables[k].text);
        else if (!strcmp(name, tables[k].name))
            return fprintf(f, "# %s\n\n%c%s.\n\n", name, tables[k].text[0] - 32, tables[k].text + 1), tables[k].print(f), 0;
    }
    if (!name)
        return 0;
    const char *near = cli_nearest(name, names);
    return sim_fail(err, SIM_USAGE, "info: no table \"%s\"%s%s%s; ringside info lists them", name, near ? " (did you mean " : "",
                    near ? near : "", near ? "?)" : "");
}

// --- explanations

static void say(FILE *f, unsigned (*fill)(uint32_t, char *, unsigned), uint32_t n)
{
    char buf[4096];
    fill(n, buf, sizeof buf);
    fprintf(f, "%s\n", buf);
}

static void explain_rule(FILE *f, unsigned k)
{
    const struct isa_rule_info *r = isa_rule_info(k);
    const struct isa_manual_section *s = isa_manual(r->sdm);
    fprintf(f, "%s raises %s (%s)\n  %s\n", r->id, isa_vector_info(r->vector)->mnemonic, isa_vector_info(r->vector)->text, r->text);
    if (s)
        fprintf(f, "  manual: \"%s\"\n", s->title);
}

static bool explain_exception(FILE *f, const char *w)
{
    for (unsigned v = 0; v < 32; v++) {
        const struct isa_vector_info *i = isa_vector_info(v);
        if (strcasecmp(w, i->mnemonic) && !(i->mnemonic[0] == '#' && !strcasecmp(w, i->mnemonic + 1)))
            continue;
        fprintf(f, "%s, vector %u: %s. %s error code.\n", i->mnemonic, v, i->text, i->has_error ? "Pushes an" : "No");
        fprintf(f, "Rules whose violation raises it:\n");
        for (unsigned k = 1; k < ISA_RULE_NUM; k++)
            if (isa_rule_info(k)->vector == v)
                fprintf(f, "  %-20s %s\n", isa_rule_info(k)->id, isa_rule_info(k)->text);
        return true;
    }
    return false;
}

static bool explain_word(FILE *f, const char *w)
{
    char buf[4096], *end;
    uint64_t n = strtoull(w, &end, 0);
    const struct vmx_control *c;
    if (end != w && !*end && vmcs_by_encoding((uint32_t)n) >= 0)
        return say(f, vmx_explain_field, (uint32_t)n), true;
    if (vmcs_by_name(w) >= 0)
        return say(f, vmx_explain_field, vmcs_field_info[vmcs_by_name(w)].encoding), true;
    if (vmx_check_by_id(w))
        return vmx_explain_check(w, buf, sizeof buf), fprintf(f, "%s\n", buf), true;
    if (vmx_exit_by_name(w) >= 0)
        return say(f, vmx_explain_exit, (uint32_t)vmx_exit_by_name(w)), true;
    if (explain_exception(f, w))
        return true;
    for (unsigned k = 1; k < ISA_RULE_NUM; k++)
        if (!strcasecmp(isa_rule_info(k)->id, w))
            return explain_rule(f, k), true;
    for (unsigned k = 0; (c = vmx_control_n(k)); k++)
        if (!strcasecmp(c->name, w))
            return fprintf(f, "%s: bit %u of the %s%s\n  1: %s\n", c->name, c->bit, vmx_word_name((enum vmx_ctl_word)c->word),
                           c->modelled ? "" : " (not modelled: the capability MSRs do not allow it)", c->text),
                   true;
    for (unsigned k = 1; k < ISA_FEAT_NUM; k++)
        if (!strcasecmp(isa_feature_info[k].flag, w))
            return fprintf(f, "%s: %s (CPUID leaf %XH, bit %u)\n", isa_feature_info[k].flag, isa_feature_info[k].text,
                           isa_feature_info[k].leaf, isa_feature_info[k].bit),
                   true;
    return false;
}

int info_explain(FILE *f, char **words, int n, struct sim_error *err)
{
    if (n >= 2 && (!strcasecmp(words[0], "exit") || !strcasecmp(words[0], "error"))) {
        bool exit = !strcasecmp(words[0], "exit");
        char *end;
        uint32_t k = (uint32_t)strtoul(words[1], &end, 0);
        if (exit && *end && vmx_exit_by_name(words[1]) >= 0)
            return say(f, vmx_explain_exit, (uint32_t)vmx_exit_by_name(words[1])), 0;
        if (*end || !(exit ? vmx_exit_name(k) : vmx_error_name(k)))
            return sim_fail(err, SIM_USAGE, "explain: there is no %s %s; ringside info %s lists them",
                            exit ? "exit reason" : "VM-instruction error", words[1], exit ? "exits" : "errors");
        return say(f, exit ? vmx_explain_exit : vmx_explain_error, k), 0;
    }
    char said[128] = "", name[128]; // "EPT violation" is EPT_VIOLATION
    for (int k = 0; k < n; k++)
        snprintf(said + strlen(said), sizeof said - strlen(said), "%s%s", k ? " " : "", words[k]);
    memcpy(name, said, sizeof name);
    for (char *p = name; *p; p++)
        if (*p == ' ')
            *p = '_';
    if (explain_word(f, name))
        return 0;
    const char *near = vmcs_nearest_name(name);
    return sim_fail(err, SIM_USAGE,
                    "explain: nothing is called \"%s\"%s%s%s; try a VMCS field, exit N, error N, E-GS-001, #GP or a rule's id",
                    said, near ? " (nearest VMCS field: " : "", near ? near : "", near ? ")" : "");
}
