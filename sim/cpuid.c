// sim/cpuid.c: the CPUID leaves, made from the profile and isa/features.def.
//
// MODELS     leaves 0, 1, 2, 4, 6, 7, 0AH, 0BH, 0DH; 80000000H to 80000004H, 80000008H. Other basic leaves inside the range read as 0, leaves
//            above it as the highest basic leaf, as Intel processors do.
// MANUAL     "CPUID--CPU Identification".
#include <string.h>

#include "isa/xstate.h"
#include "sim/internal.h"
#include "sim/pmu.h"

#define LEAF_MAX_EXT 0x80000008u

static void add_features(const struct sim_profile *p, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    for (unsigned f = 1; f < ISA_FEAT_NUM; f++) {
        const struct isa_feature_info *i = &isa_feature_info[f];
        if (i->leaf == leaf && i->sub == sub && isa_has(p->features, (enum isa_feature)f))
            out[i->reg] |= 1u << i->bit;
    }
}

static void brand(const struct sim_profile *p, uint32_t part, uint32_t out[4])
{
    char s[48] = "Ringside model processor, profile ";
    size_t n = strlen(s), k = strlen(p->name);
    memcpy(s + n, p->name, k < sizeof s - 1 - n ? k : sizeof s - 1 - n);
    memcpy(out, s + part * 16, 16);
}

// Leaf 4: deterministic cache parameters. The third level is shared by all processors.
static void caches(const struct sim_profile *p, unsigned ncpus, uint32_t sub, uint32_t out[4])
{
    const struct {
        uint8_t type, level;
        struct profile_cache c;
    } all[] = {{1, 1, p->l1d}, {2, 1, p->l1i}, {3, 2, p->l2}, {3, 3, p->l3}}, *x = NULL;
    for (unsigned k = 0, n = 0; k < sizeof all / sizeof *all && !x; k++)
        if (all[k].c.size && n++ == sub)
            x = &all[k];
    if (!x)
        return;
    out[0] = x->type | (uint32_t)x->level << 5 | 1u << 8 | (ncpus - 1) << 26;
    if (x->level == 3)
        out[0] |= (ncpus - 1) << 14;
    out[1] = (x->c.line - 1) | (x->c.ways - 1) << 22;
    out[2] = x->c.size / (x->c.ways * x->c.line) - 1;
}

// Leaf 0AH: performance monitoring. Of the seven architectural events mispredicted branches are not there, as nothing predicts them, and the last-level
// cache's references and misses only if there are caches.
static void perfmon(const struct sim_machine *m, uint32_t out[4])
{
    const struct profile_pmu *u = &m->profile->pmu;
    if (!u->version)
        return;
    out[0] = u->version | (uint32_t)u->general << 8 | (uint32_t)u->width << 16 | 7u << 24;
    out[1] = 1u << 6 | (pmu_knows_llc(m) ? 0 : 1u << 3 | 1u << 4);
    if (u->version > 1)
        out[3] = u->fixed | (uint32_t)u->fixed_width << 5;
}

// Leaf 0DH: which state components there are, and how large areas must be.
static void xsave_areas(const struct isa_cpu *c, const struct sim_profile *p, uint32_t sub, uint32_t out[4])
{
    uint64_t all = ISA_XS_X87 | ISA_XS_SSE, supervisor = 0;
    if (!isa_has(p->features, ISA_FEAT_XSAVE))
        return;
    for (unsigned k = 0; k < ISA_XSTATE_NUM; k++) {
        const struct isa_xstate *s = &isa_xstate[k];
        if (!isa_has(p->features, s->feature))
            continue;
        *(isa_xstate_supervisor(k) ? &supervisor : &all) |= 1ull << s->bit;
        if (sub == s->bit) {
            out[0] = s->size;
            out[1] = s->offset;
            out[2] = isa_xstate_supervisor(k) | (s->aligned ? 2u : 0);
        }
    }
    if (sub == 0) {
        out[0] = (uint32_t)all;
        out[1] = isa_xstate_size(c->xcr0, false);
        out[2] = isa_xstate_size(all, false);
        out[3] = (uint32_t)(all >> 32);
    } else if (sub == 1) {
        out[1] = isa_xstate_size(c->xcr0 | c->xss, true);
        out[2] = (uint32_t)supervisor;
        out[3] = (uint32_t)(supervisor >> 32);
    }
}

void sim_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct sim_cpu *cpu = sim_cpu_of(c);
    const struct sim_profile *p = cpu->m->profile;
    if ((leaf > p->max_leaf && leaf < 0x80000000u) || leaf > LEAF_MAX_EXT)
        leaf = p->max_leaf;
    memset(out, 0, 4 * sizeof *out);
    switch (leaf) {
    case 0:
        out[0] = p->max_leaf;
        memcpy(&out[1], "Genu", 4);
        memcpy(&out[3], "ineI", 4);
        memcpy(&out[2], "ntel", 4);
        break;
    case 1:
        out[0] = p->family_model_stepping;
        out[1] = cpu->n << 24 | cpu->m->ncpus << 16 | 8u << 8; // APIC id, processors, CLFLUSH line in units of 8 bytes
        if ((c->cr4 & ISA_CR4_OSXSAVE) && isa_has(p->features, ISA_FEAT_XSAVE))
            out[2] |= 1u << 27;
        break;
    case 2: memcpy(out, p->leaf2, sizeof p->leaf2); break;
    case 4: caches(p, cpu->m->ncpus, sub, out); break;
    case 0x0a: perfmon(cpu->m, out); break;
    case 0x0b: // one thread per core, ncpus cores
        out[2] = sub;
        out[3] = cpu->n;
        if (sub == 0) {
            out[1] = 1;
            out[2] |= 1u << 8;
        } else if (sub == 1) {
            out[0] = 4;
            out[1] = cpu->m->ncpus;
            out[2] |= 2u << 8;
        }
        break;
    case 7:
        if (sub == 0 && (c->cr4 & ISA_CR4_PKE))
            out[2] |= 1u << 4; // OSPKE
        break;
    case 0x0d: xsave_areas(c, p, sub, out); break;
    case 0x80000000: out[0] = LEAF_MAX_EXT; break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: brand(p, leaf - 0x80000002u, out); break;
    case 0x80000008: out[0] = p->maxphyaddr | (isa_has(p->features, ISA_FEAT_LA57) ? 57u : 48u) << 8; break;
    }
    add_features(p, leaf, leaf == 7 || leaf == 0x0d ? sub : 0, out);
    if (leaf == 1 && !p->pmu.version)
        out[2] &= ~(1u << 15); // IA32_PERF_CAPABILITIES belongs to it
    if (leaf == 1 && !(c->apic_base >> 11 & 1))
        out[3] &= ~(1u << 9); // disabled by IA32_APIC_BASE
}
