// sim/profile.c: the named micro-architectures, built from the rows of sim/profiles.def.
#include "sim/profile.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "vmx-model/controls.h"

enum generation { PRESCOTT, MEROM, NEHALEM, SANDYBRIDGE, HASWELL, SKYLAKE, TEACH, LATER };

// --- the rows

struct value {
    const char *key;
    uint64_t value;
    char tag;
    const char *source;
};
#define V(key, value, tag, source) {key, value, #tag[0], source},
#define MSRS(...)
#define END                                                                                                                        \
    {                                                                                                                              \
        0                                                                                                                          \
    }                                                                                                                              \
    }                                                                                                                              \
    ;
#define PROFILE(id, name, generation, text) static const struct value values_##id[] = {
#include "sim/profiles.def"
#undef PROFILE
#undef END
#undef MSRS
#undef V

// The processor's own capability MSRs; none: those of teach.
struct published {
    uint64_t basic, pin, proc, exit, entry, misc, cr4_fixed1, vmcs_enum, proc2, ept_vpid;
};
#define V(key, value, tag, source)
#define MSRS(...) __VA_ARGS__
#define END                                                                                                                        \
    }                                                                                                                              \
    ;
#define PROFILE(id, name, generation, text) static const struct published msrs_##id = {
#include "sim/profiles.def"
#undef PROFILE
#undef END
#undef MSRS

static const struct row {
    const char *name, *text;
    enum generation generation;
    const struct value *values;
    const struct published *msrs;
} rows[] = {
#define MSRS(...)
#define END
#define PROFILE(id, name, generation, text) {name, text, generation, values_##id, &msrs_##id},
#include "sim/profiles.def"
#undef PROFILE
#undef END
#undef MSRS
#undef V
};
#define NROWS (sizeof rows / sizeof *rows)

// --- features, VMX

static void choose_features(struct sim_profile *p, enum generation generation)
{
    static const uint8_t since[ISA_FEAT_NUM] = {
#define SINCE(generation, id) [ISA_FEAT_##id] = generation + 1,
#define ONLY(generation, id)  [ISA_FEAT_##id] = generation + 1,
#include "sim/profile_features.def"
#undef SINCE
#undef ONLY
    };
    static const bool only[ISA_FEAT_NUM] = {
#define SINCE(generation, id)
#define ONLY(generation, id) [ISA_FEAT_##id] = true,
#include "sim/profile_features.def"
#undef SINCE
#undef ONLY
    };
    for (unsigned f = ISA_FEAT_NONE + 1; f < ISA_FEAT_NUM; f++) {
        const unsigned first = since[f] ? since[f] - 1u : (unsigned)TEACH;
        if (only[f] ? first == generation : first <= generation)
            p->features[f / 64] |= 1ull << f % 64;
    }
}

// What may be 1 of a word of controls: what the processor allows and this model knows, and what must be 1. (A control of what the profile's CPUID does
// not report is not allowed either: sim_profile_settle().)
static uint64_t allow(uint64_t msr, enum vmx_ctl_word word)
{
    uint64_t known = 0;
    const struct vmx_control *k;
    for (unsigned n = 0; (k = vmx_control_n(n)); n++)
        if (k->word == word && k->modelled)
            known |= 1ull << k->bit;
    return msr & ((known | (uint32_t)msr) << 32 | 0xffffffff);
}

static void choose_caps(struct sim_profile *p, const struct published *m)
{
    struct vmx_caps *k = &p->vmx;
    const bool has_true = m->basic >> 55 & 1;
    // A region of 4096 bytes; no dual-monitor treatment of SMM.
    k->basic = (m->basic & ~(0x1fffull << 32 | 1ull << 49)) | 0x1000ull << 32;
    k->pin = allow(m->pin, VMX_WORD_PIN);
    k->proc = allow(m->proc, VMX_WORD_PROC);
    k->exit = allow(m->exit, VMX_WORD_EXIT);
    k->entry = allow(m->entry, VMX_WORD_ENTRY);
    k->proc2 = allow(m->proc2, VMX_WORD_PROC2);
    if (!k->proc2)
        k->proc &= ~(1ull << 63);
    k->misc &= m->misc;
    k->cr4_fixed1 &= m->cr4_fixed1;
    k->vmcs_enum = m->vmcs_enum;
    k->ept_vpid &= m->ept_vpid;
    k->true_pin = has_true ? k->pin : 0;
    k->true_proc = has_true ? k->proc & ~(1ull << 15 | 1ull << 16) : 0; // CR3 exiting may be 0
    k->true_exit = has_true ? k->exit & ~(1ull << 2) : 0;
    k->true_entry = has_true ? k->entry & ~(1ull << 2) : 0;
    k->vmfunc = k->proc2 >> 45 & 1;
}

// --- building

static void teach(struct sim_profile *p)
{
    static const struct profile_tlb small = {16, 4}, four = {4, 4};
    *p = (struct sim_profile){.hz = 1000000000,
                              .itlb = small,
                              .dtlb = small,
                              .stlb = {64, 4},
                              .stlb_2m = 1,
                              .ntlb = small,
                              .pml4e = four,
                              .pdpte = four,
                              .pde = four,
                              .l1i = {32 << 10, 8, 64, 2},
                              .l1d = {32 << 10, 8, 64, 2},
                              .l2 = {256 << 10, 8, 64, 10},
                              .l3 = {2 << 20, 16, 64, 40},
                              .dram_ns = 100,
                              .line = {{60, 60, 60}, {150, 150, 150}, {200, 200, 200}},
                              .ipi = 500,
                              .maxphyaddr = 39,
                              .family_model_stepping = 0x306c3,
                              .max_leaf = 0x0d,
                              .pmu = {3, 4, 48, 3, 48},
                              .vmx = VMX_CAPS_TEACH};
    for (unsigned k = 0; k < ISA_COST_NUM; k++)
        p->cost[k] = isa_cost_info[k].teach;
}

static const struct row *find(const char *name)
{
    for (unsigned n = 0; n < NROWS; n++)
        if (!strcmp(rows[n].name, name))
            return &rows[n];
    return NULL;
}

int sim_profile_load(struct sim_profile *p, const char *name, struct sim_error *err)
{
    const struct row *r = find(name);
    if (!r) {
        char names[300];
        size_t len = 0;
        for (unsigned k = 0; k < NROWS && len < sizeof names; k++)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", k ? ", " : "", rows[k].name);
        return sim_fail(err, SIM_USAGE, "machine: no profile is called '%s'; there are: %s", name, names);
    }
    teach(p);
    p->name = r->name;
    p->text = r->text;
    choose_features(p, r->generation);
    for (const struct value *v = r->values; v->key; v++) {
        struct profile_key k;
        bool found = sim_profile_find_key(v->key, &k);
        assert(found && v->value >= k.lowest && v->value <= k.highest);
        if (found)
            sim_profile_put(p, &k, v->value);
    }
    if (r->generation == LATER)
        p->vmx = vmx_caps_later;
    if (r->msrs->basic)
        choose_caps(p, r->msrs);
    sim_profile_settle(p);
    return 0;
}

static void forbid(struct vmx_caps *k, uint32_t proc2, uint32_t exit, uint32_t entry)
{
    k->proc2 &= ~((uint64_t)proc2 << 32);
    k->exit &= ~((uint64_t)exit << 32);
    k->true_exit &= ~((uint64_t)exit << 32);
    k->entry &= ~((uint64_t)entry << 32);
    k->true_entry &= ~((uint64_t)entry << 32);
}

void sim_profile_settle(struct sim_profile *p)
{
    if (p->pmu.version <= 1)
        forbid(&p->vmx, 0, VMX_EXIT_LOAD_PERF_GLOBAL_CTRL | VMX_EXIT_SAVE_PERF_GLOBAL_CTRL, VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL);
    if (!isa_has(p->features, ISA_FEAT_MPX))
        forbid(&p->vmx, 0, VMX_EXIT_CLEAR_BNDCFGS, VMX_ENTRY_LOAD_BNDCFGS);
    if (!isa_has(p->features, ISA_FEAT_XSAVES))
        forbid(&p->vmx, VMX_PROC2_ENABLE_XSAVES, 0, 0);
}

const char *sim_profile_nth(unsigned n) { return n < NROWS ? rows[n].name : NULL; }
const char *sim_profile_text(unsigned n) { return n < NROWS ? rows[n].text : NULL; }

char sim_profile_source(const char *profile, const char *key, const char **source)
{
    const struct row *r = find(profile);
    for (const struct value *v = r ? r->values : NULL; v && v->key; v++)
        if (!strcmp(v->key, key)) {
            *source = v->source;
            return v->tag;
        }
    const bool feature = !strncmp(key, "feature.", 8), round = r && r->generation >= TEACH;
    *source = round     ? "a round number for the blackboard"
              : feature ? "the features of the generation, as far as modelled"
                        : "as in teach";
    return round ? 'D' : feature ? 'M' : 'E';
}
