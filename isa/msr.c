// isa/msr.c: reading and writing model-specific registers by the rows of isa/msr.def.
#include "isa/msr.h"

#include <stddef.h>
#include <string.h>

#include "isa/cr.h"
#include "isa/mpx.h"

struct row {
    uint32_t addr;
    uint16_t field; // offset in struct isa_cpu
    uint8_t kind;
    uint64_t mask;
    uint32_t leaf; // 0: always there
    uint8_t sub, reg, bit;
};
#define NEED(l, r, b) l, 0, r, b
#define ALWAYS        0, 0, 0, 0
#define XSAVES        0xd, 1, 0, 3
static const struct row rows[] = {
#define M_(addr, name, field, kind, mask, leaf, sub, reg, bit, text)                                                               \
    {addr, offsetof(struct isa_cpu, field), ISA_MSR_##kind, mask, leaf, sub, reg, bit},
#define M(...) M_(__VA_ARGS__)
#include "isa/msr.def"
#undef M
#undef M_
};
const struct isa_msr_info isa_msr_info[] = {
#define M(addr, name, field, kind, mask, need, text) {addr, name, text},
#include "isa/msr.def"
#undef M
};
const unsigned isa_msr_count = sizeof rows / sizeof *rows;

// Cycles at the instruction under way.
static uint64_t now(const struct isa_cpu *c) { return c->cycles + (c->at ? c->at->cost_before : 0); }

// The rows stand in the order of their addresses.
static const struct row *search(uint32_t addr)
{
    unsigned lo = 0, hi = isa_msr_count;
    while (lo < hi) {
        const unsigned mid = (lo + hi) / 2;
        if (rows[mid].addr == addr)
            return &rows[mid];
        *(rows[mid].addr < addr ? &lo : &hi) = rows[mid].addr < addr ? mid + 1 : mid;
    }
    return NULL;
}

static const struct row *find(struct isa_cpu *c, uint32_t msr)
{
    const struct row *m = search(msr);
    uint32_t r[4] = {0};
    if (!m || m->kind == ISA_MSR_PMU)
        return m && isa_pmu_has(c, msr) ? m : NULL;
    if (m->leaf)
        c->env->cpuid(c, m->leaf, m->sub, r);
    return !m->leaf || (r[m->reg] >> m->bit & 1) ? m : NULL;
}

const struct isa_msr_info *isa_msr_find(uint32_t addr)
{
    const struct row *m = search(addr);
    return m ? &isa_msr_info[m - rows] : NULL;
}

static bool held(uint32_t msr) { return isa_msr_find(msr) != NULL; }

bool isa_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val, enum isa_rule *rule)
{
    const struct row *m = find(c, msr);
    *rule = ISA_RULE_GP_MSR_UNKNOWN;
    if (!m) {
        if (held(msr) || !c->env->rdmsr(c, msr, val))
            return false;
    } else if (m->kind == ISA_MSR_CONST || m->kind == ISA_MSR_HELD) {
        *val = m->mask;
    } else if (msr == ISA_MSR_TSC) {
        *val = c->env->tsc(c, now(c));
    } else if (m->kind == ISA_MSR_PMU) {
        *val = isa_pmu_read(c, msr);
    } else {
        memcpy(val, (const char *)c + m->field, 8);
    }
    c->env->on_msr(c, msr, *val, false);
    return true;
}

// --- writes that need more than a mask

static bool pat_ok(uint64_t v)
{
    for (unsigned k = 0; k < 8; k++) {
        unsigned t = v >> (8 * k) & 0xff;
        if (t > 7 || t == 2 || t == 3)
            return false;
    }
    return true;
}

// Eight memory types: UC, WC, WT, WP or WB.
static bool mtypes_ok(uint64_t v)
{
    for (unsigned k = 0; k < 8; k++) {
        unsigned t = v >> (8 * k) & 0xff;
        if (t > 6 || t == 2 || t == 3)
            return false;
    }
    return true;
}

static bool apic_base_ok(struct isa_cpu *c, uint64_t v)
{
    uint32_t r[4];
    c->env->cpuid(c, 1, 0, r);
    bool x2 = r[2] >> 21 & 1, en = v >> 11 & 1, ext = v >> 10 & 1;
    bool was_en = c->apic_base >> 11 & 1, was_ext = c->apic_base >> 10 & 1;
    uint64_t defined = ((1ull << isa_maxphyaddr(c)) - 1) & ~0xfffull;
    defined |= 1u << 8 | 1u << 11 | (x2 ? 1u << 10 : 0);
    if ((v & ~defined) || (ext && !en))
        return false;
    if (was_ext && en && !ext) // x2APIC mode is left by disabling the APIC only
        return false;
    return !(ext && !was_en); // and entered from the enabled state only
}

static bool xss_ok(struct isa_cpu *c, uint64_t v)
{
    uint32_t r[4];
    c->env->cpuid(c, 0xd, 1, r);
    return !(v & ~(r[2] | (uint64_t)r[3] << 32));
}

#define MISC_ENABLE_BITS 0x851809ull // those that software may change

static bool write_fn(struct isa_cpu *c, uint32_t msr, uint64_t v, enum isa_rule *rule)
{
    switch (msr) {
    case ISA_MSR_TSC: {
        uint64_t delta = v - c->env->tsc(c, now(c));
        c->tsc_offset += delta;
        c->tsc_adjust += delta;
        return true;
    }
    case 0x3b: // IA32_TSC_ADJUST
        c->tsc_offset += v - c->tsc_adjust;
        c->tsc_adjust = v;
        return true;
    case ISA_MSR_APIC_BASE:
        if (!apic_base_ok(c, v))
            return false;
        c->apic_base = v;
        return true;
    case ISA_MSR_FEATURE_CONTROL:
        *rule = ISA_RULE_GP_MSR_LOCKED;
        if (c->feature_control & 1)
            return false;
        *rule = ISA_RULE_GP_MSR_VALUE;
        if (v & ~5ull)
            return false;
        c->feature_control = v;
        return true;
    case ISA_MSR_MISC_ENABLE:
        if (v & ~(MISC_ENABLE_BITS | ISA_MISC_PERFMON))
            return false;
        c->misc_enable = (v & MISC_ENABLE_BITS) | (c->misc_enable & ISA_MISC_PERFMON);
        return true;
    case ISA_MSR_DEBUGCTL:
        if (v & ~isa_pmu_debugctl_bits(c))
            return false;
        c->debugctl = v;
        return true;
    case ISA_MSR_EFER:
        if (isa_set_efer(c, v)) {
            *rule = c->fault.rule;
            return false;
        }
        return true;
    case ISA_MSR_BNDCFGS:
        if (v & ISA_BNDCFG_RESERVED)
            return false;
        *rule = ISA_RULE_GP_MSR_CANONICAL;
        if (!isa_canonical_base(c, v))
            return false;
        isa_set_bndcfgs(c, v);
        return true;
    case ISA_MSR_XSS:
        if (!xss_ok(c, v))
            return false;
        c->xss = v;
        return true;
    default: // IA32_PAT
        if (!pat_ok(v))
            return false;
        c->pat = v;
        return true;
    }
}

static bool write_row(struct isa_cpu *c, const struct row *m, uint64_t v, enum isa_rule *rule)
{
    *rule = ISA_RULE_GP_MSR_VALUE;
    switch (m->kind) {
    case ISA_MSR_CONST: *rule = ISA_RULE_GP_MSR_READONLY; return false;
    case ISA_MSR_HELD: return true;
    case ISA_MSR_PMU: return isa_pmu_write(c, m->addr, v, rule);
    case ISA_MSR_FN: return write_fn(c, m->addr, v, rule);
    case ISA_MSR_CANON:
        *rule = ISA_RULE_GP_MSR_CANONICAL;
        if (!isa_canonical_base(c, v))
            return false;
        break;
    case ISA_MSR_RW:
        if (v & ~m->mask)
            return false;
        break;
    case ISA_MSR_MTYPES:
        if (!mtypes_ok(v))
            return false;
        break;
    case ISA_MSR_KEEP: v &= m->mask; break;
    }
    memcpy((char *)c + m->field, &v, 8);
    return true;
}

bool isa_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t v, enum isa_rule *rule)
{
    const struct row *m = find(c, msr);
    *rule = ISA_RULE_GP_MSR_UNKNOWN;
    if (m ? !write_row(c, m, v, rule) : held(msr) || !c->env->wrmsr(c, msr, v))
        return false;
    c->env->on_msr(c, msr, v, true);
    return true;
}
