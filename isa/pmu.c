// isa/pmu.c: architectural performance monitoring (isa/pmu.h).
#include "isa/pmu.h"

#include <string.h>

#include "isa/env.h"
#include "isa/decode.h"
#include "isa/fault.h"
#include "isa/tables.h"

#define PMC0          0xc1u
#define PERFEVTSEL0   0x186u
#define CAPABILITIES  0x345u
#define FIXED0        0x309u
#define FIXED_CTRL    0x38du
#define GLOBAL_STATUS 0x38eu
#define GLOBAL_CTRL   0x38fu
#define GLOBAL_RESET  0x390u // IA32_PERF_GLOBAL_OVF_CTRL up to version 3
#define GLOBAL_SET    0x391u
#define GLOBAL_INUSE  0x392u
#define A_PMC0        0x4c1u

#define SEL_USR       (1u << 16)
#define SEL_OS        (1u << 17)
#define SEL_EDGE      (1u << 18)
#define SEL_INT       (1u << 20)
#define SEL_ANY       (1u << 21)
#define SEL_EN        (1u << 22)
#define SEL_INV       (1u << 23)
#define FIX_ANY       4u
#define FIX_INT       8u
#define ST_FROZEN     (1ull << 59)
#define ST_UNCORE     (1ull << 61)
#define ST_BUFFER     (1ull << 62)
#define ST_CHANGED    (1ull << 63)
#define RDPMC_FIXED   (1u << 30)

static uint64_t ones(unsigned n) { return n >= 64 ? UINT64_MAX : (1ull << n) - 1; }
static uint64_t all_counters(const struct isa_pmu_shape *s) { return ones(s->general) | ones(s->fixed) << 32; }
static unsigned width(const struct isa_pmu_shape *s, unsigned k) { return k < ISA_PMU_GENERAL ? s->general_width : s->fixed_width; }
static uint64_t status_bit(unsigned k) { return 1ull << (k < ISA_PMU_GENERAL ? k : 32 + k - ISA_PMU_GENERAL); }

uint64_t isa_pmu_global_bits(const struct isa_cpu *c) { return c->pmu.has.version > 1 ? all_counters(&c->pmu.has) : 0; }

uint64_t isa_pmu_debugctl_bits(const struct isa_cpu *c)
{
    return c->pmu.has.capabilities && c->pmu.has.version > 1 ? ISA_DEBUGCTL_FREEZE_PMU : 0;
}

// --- what each counter counts

static enum isa_pmu_source source(unsigned event)
{
    switch (event) {
    case 0x003c:
    case 0x013c: return ISA_PMU_CYCLES;
    case 0x00c0: return ISA_PMU_INSNS;
    case 0x00c4: return ISA_PMU_BRANCHES;
    case 0x4f2e: return ISA_PMU_LLC_REFS;
    case 0x412e: return ISA_PMU_LLC_MISSES;
    default: return ISA_PMU_NONE;
    }
}

static void general_how(struct isa_pmu *p, unsigned k)
{
    const uint32_t sel = (uint32_t)p->select[k], cmask = sel >> 24;
    uint8_t plus = source(sel & 0xffff), minus = ISA_PMU_NONE;
    if (cmask && plus) {
        if (sel & SEL_INV) { // cycles with fewer than cmask
            minus = cmask > 1 ? (uint8_t)ISA_PMU_NONE : plus;
            plus = ISA_PMU_CYCLES;
        } else if (cmask > 1) {
            plus = ISA_PMU_NONE;
        }
    }
    if ((sel & SEL_EDGE) || plus == minus)
        plus = minus = ISA_PMU_NONE;
    p->how[k].plus = plus;
    p->how[k].minus = minus;
    p->how[k].rings = sel & SEL_EN && plus ? (sel & SEL_OS ? 1 : 0) | (sel & SEL_USR ? 2 : 0) : 0;
    p->how[k].interrupts = sel & SEL_INT;
}

static void fixed_how(struct isa_pmu *p, unsigned k)
{
    const unsigned ctrl = p->fixed_ctrl >> (4 * k) & 15, n = ISA_PMU_GENERAL + k;
    p->how[n].plus = k ? ISA_PMU_CYCLES : ISA_PMU_INSNS;
    p->how[n].minus = ISA_PMU_NONE;
    p->how[n].rings = ctrl & 3;
    p->how[n].interrupts = ctrl & FIX_INT;
}

// A control has changed, and the counters are up to date: work out what is derived from the controls.
static void configure(struct isa_cpu *c)
{
    struct isa_pmu *p = &c->pmu;
    const uint64_t enabled = p->has.version < 2 ? ones(p->has.general) : p->status & ST_FROZEN ? 0 : p->global_ctrl;
    p->on = p->armed = p->branches = c->pmu_rings = false;
    for (unsigned k = 0; k < ISA_PMU_ALL; k++) {
        if (k < ISA_PMU_GENERAL)
            general_how(p, k);
        else
            fixed_how(p, k - ISA_PMU_GENERAL);
        if (!(enabled & status_bit(k)))
            p->how[k].rings = 0;
        if (!p->how[k].rings)
            continue;
        p->on = true;
        p->armed |= p->how[k].interrupts;
        p->branches |= p->how[k].plus == ISA_PMU_BRANCHES || p->how[k].minus == ISA_PMU_BRANCHES;
        c->pmu_rings |= p->how[k].rings != 3;
    }
    p->ring = c->cpl;
    c->env->pmu_changed(c);
}

// --- counting

static bool counts(const struct isa_pmu *p, unsigned k) { return p->how[k].rings & (p->ring ? 2 : 1); }

// An overflow that interrupts, and may freeze the counters.
static void interrupt(struct isa_cpu *c)
{
    c->env->pmi(c);
    if (!(c->debugctl & ISA_DEBUGCTL_FREEZE_PMU))
        return;
    if (c->pmu.has.version > 3)
        c->pmu.status |= ST_FROZEN;
    else
        c->pmu.global_ctrl = 0;
    configure(c);
}

// True: an overflow interrupts.
static bool add_all(struct isa_pmu *p, const uint64_t now[ISA_PMU_NSOURCE])
{
    bool interrupts = false;
    for (unsigned k = 0; k < ISA_PMU_ALL; k++) {
        if (!counts(p, k))
            continue;
        const unsigned plus = p->how[k].plus, minus = p->how[k].minus;
        p->counter[k] += (now[plus] - p->base[plus]) - (now[minus] - p->base[minus]);
        const uint64_t most = ones(width(&p->has, k));
        if (p->counter[k] <= most)
            continue;
        p->counter[k] &= most;
        if (p->has.version > 1)
            p->status |= status_bit(k);
        interrupts |= p->how[k].interrupts;
    }
    return interrupts;
}

void isa_pmu_sync(struct isa_cpu *c)
{
    struct isa_pmu *p = &c->pmu;
    uint64_t now[ISA_PMU_NSOURCE] = {0};
    if (!p->on)
        return;
    c->env->pmu_now(c, now);
    const bool interrupts = add_all(p, now);
    memcpy(p->base, now, sizeof p->base);
    if (interrupts)
        interrupt(c);
    c->env->pmu_changed(c);
}

void isa_pmu_restart(struct isa_cpu *c) { c->env->pmu_now(c, c->pmu.base); }

void isa_pmu_ring(struct isa_cpu *c)
{
    if (c->cpl == c->pmu.ring)
        return;
    isa_pmu_sync(c);
    c->pmu.ring = c->cpl;
    c->env->pmu_changed(c);
}

struct isa_pmu_next isa_pmu_next(const struct isa_cpu *c)
{
    const struct isa_pmu *p = &c->pmu;
    struct isa_pmu_next n = {UINT64_MAX, UINT64_MAX};
    for (unsigned k = 0; k < ISA_PMU_ALL; k++) {
        if (!counts(p, k) || !p->how[k].interrupts)
            continue;
        // No event comes twice in a cycle, nor an instruction or a branch twice in an instruction.
        const bool by_insn = p->how[k].plus == ISA_PMU_INSNS || p->how[k].plus == ISA_PMU_BRANCHES;
        const uint64_t left = ones(width(&p->has, k)) - p->counter[k] + 1;
        uint64_t *const least = by_insn ? &n.insns : &n.cycles;
        if (left < *least)
            *least = left;
    }
    return n;
}

bool isa_pmu_branch(unsigned op)
{
    switch (op) {
    case ISA_OP_CALL_Ap:
    case ISA_OP_CALL_Mp:
    case ISA_OP_JMP_Ap:
    case ISA_OP_JMP_Mp:
    case ISA_OP_RETF:
    case ISA_OP_RETF_Iw:
    case ISA_OP_IRET:
    case ISA_OP_INT_Ib:
    case ISA_OP_INT1:
    case ISA_OP_INT3:
    case ISA_OP_INTO:
    case ISA_OP_SYSCALL:
    case ISA_OP_SYSRET:
    case ISA_OP_SYSENTER:
    case ISA_OP_SYSEXIT: return true;
    default: return isa_opinfo[op].props & ISA_F_BRANCH;
    }
}

// --- registers

static struct isa_pmu_shape ask_cpuid(struct isa_cpu *c)
{
    uint32_t a[4] = {0}, f[4] = {0};
    c->env->cpuid(c, 0, 0, f);
    if (f[0] < 10) // then leaf 0AH is another one
        return (struct isa_pmu_shape){0};
    c->env->cpuid(c, 10, 0, a);
    c->env->cpuid(c, 1, 0, f);
    struct isa_pmu_shape s = {.version = (uint8_t)a[0]};
    if (!s.version)
        return s;
    s.general = a[0] >> 8 & 0xff;
    s.general_width = a[0] >> 16 & 0xff;
    if (s.version > 1) {
        s.fixed = a[3] & 31;
        s.fixed_width = a[3] >> 5 & 0xff;
    }
    s.capabilities = f[2] >> 15 & 1;
    if (s.general > ISA_PMU_GENERAL)
        s.general = ISA_PMU_GENERAL;
    if (s.fixed > ISA_PMU_FIXED)
        s.fixed = ISA_PMU_FIXED;
    return s;
}

void isa_pmu_reset(struct isa_cpu *c)
{
    struct isa_pmu *p = &c->pmu;
    *p = (struct isa_pmu){0};
    c->pmu_rings = false;
    if (c->env && c->env->cpuid)
        p->has = ask_cpuid(c);
    p->global_ctrl = p->has.version > 1 ? ones(p->has.general) : 0;
}

static unsigned in(uint32_t msr, uint32_t first, unsigned n) { return msr - first < n; }

bool isa_pmu_has(const struct isa_cpu *c, uint32_t msr)
{
    const struct isa_pmu_shape s = c->pmu.has;
    if (in(msr, PMC0, s.general) || in(msr, PERFEVTSEL0, s.general) || in(msr, FIXED0, s.fixed))
        return true;
    if (msr == CAPABILITIES)
        return s.capabilities;
    if (msr == FIXED_CTRL)
        return s.fixed;
    if (in(msr, FIXED_CTRL, 4))
        return s.version > 1;
    return msr == GLOBAL_SET || msr == GLOBAL_INUSE ? s.version > 3 : s.capabilities && in(msr, A_PMC0, s.general);
}

static uint64_t in_use(const struct isa_pmu *p)
{
    uint64_t v = 0;
    for (unsigned k = 0; k < ISA_PMU_GENERAL; k++)
        v |= (uint64_t)((p->select[k] & 0xff) != 0) << k | (p->select[k] & SEL_INT ? 1ull << 63 : 0);
    for (unsigned k = 0; k < ISA_PMU_FIXED; k++)
        v |= (uint64_t)((p->fixed_ctrl >> (4 * k) & 3) != 0) << (32 + k) | (p->fixed_ctrl >> (4 * k) & FIX_INT ? 1ull << 63 : 0);
    return v;
}

static uint64_t get(const struct isa_pmu *p, uint32_t msr)
{
    if (in(msr, PMC0, ISA_PMU_GENERAL))
        return p->counter[msr - PMC0];
    if (in(msr, A_PMC0, ISA_PMU_GENERAL))
        return p->counter[msr - A_PMC0];
    if (in(msr, FIXED0, ISA_PMU_FIXED))
        return p->counter[ISA_PMU_GENERAL + msr - FIXED0];
    if (in(msr, PERFEVTSEL0, ISA_PMU_GENERAL))
        return p->select[msr - PERFEVTSEL0];
    switch (msr) {
    case CAPABILITIES: return ISA_PERF_FULL_WRITES;
    case FIXED_CTRL: return p->fixed_ctrl;
    case GLOBAL_STATUS: return p->status;
    case GLOBAL_CTRL: return p->global_ctrl;
    case GLOBAL_INUSE: return in_use(p);
    default: return 0; // what only resets or sets bits of the status
    }
}

uint64_t isa_pmu_read(struct isa_cpu *c, uint32_t msr)
{
    isa_pmu_sync(c);
    return get(&c->pmu, msr);
}

uint64_t isa_pmu_peek(struct isa_cpu *c, uint32_t msr)
{
    struct isa_pmu p = c->pmu;
    uint64_t now[ISA_PMU_NSOURCE];
    if (!isa_pmu_has(c, msr))
        return 0;
    if (p.on) {
        c->env->pmu_now(c, now);
        add_all(&p, now);
    }
    return get(&p, msr);
}

// The bits of a register that may be 1.
static uint64_t writable(const struct isa_pmu_shape *s, uint32_t msr)
{
    const uint64_t freezing = s->version > 3 && s->capabilities ? ST_FROZEN : 0;
    if (in(msr, PMC0, ISA_PMU_GENERAL))
        return UINT64_MAX; // the upper half is ignored
    if (in(msr, A_PMC0, ISA_PMU_GENERAL))
        return ones(s->general_width);
    if (in(msr, FIXED0, ISA_PMU_FIXED))
        return ones(s->fixed_width);
    if (in(msr, PERFEVTSEL0, ISA_PMU_GENERAL))
        return s->version > 2 ? 0xffffffffu : 0xffffffffu & ~SEL_ANY;
    switch (msr) {
    case FIXED_CTRL: return (s->version > 2 ? 0xfff : 0xfff & ~(FIX_ANY * 0x111)) & ones(4 * s->fixed);
    case GLOBAL_CTRL: return all_counters(s);
    case GLOBAL_RESET: return all_counters(s) | freezing | (s->version > 2 ? ST_UNCORE : 0) | ST_BUFFER | ST_CHANGED;
    default: return all_counters(s) | freezing | ST_UNCORE | ST_BUFFER; // GLOBAL_SET
    }
}

static void put(struct isa_pmu *p, uint32_t msr, uint64_t v)
{
    if (in(msr, PMC0, ISA_PMU_GENERAL))
        p->counter[msr - PMC0] = (uint64_t)(int32_t)v & ones(p->has.general_width);
    else if (in(msr, A_PMC0, ISA_PMU_GENERAL))
        p->counter[msr - A_PMC0] = v;
    else if (in(msr, FIXED0, ISA_PMU_FIXED))
        p->counter[ISA_PMU_GENERAL + msr - FIXED0] = v;
    else if (in(msr, PERFEVTSEL0, ISA_PMU_GENERAL))
        p->select[msr - PERFEVTSEL0] = v;
    else if (msr == FIXED_CTRL)
        p->fixed_ctrl = v;
    else if (msr == GLOBAL_CTRL)
        p->global_ctrl = v;
    else if (msr == GLOBAL_RESET)
        p->status &= ~v;
    else
        p->status |= v;
}

bool isa_pmu_write(struct isa_cpu *c, uint32_t msr, uint64_t v, enum isa_rule *rule)
{
    *rule = ISA_RULE_GP_MSR_READONLY;
    if (msr == CAPABILITIES || msr == GLOBAL_STATUS || msr == GLOBAL_INUSE)
        return false;
    *rule = ISA_RULE_GP_PMU_RESERVED;
    if (v & ~writable(&c->pmu.has, msr))
        return false;
    isa_pmu_sync(c);
    put(&c->pmu, msr, v);
    isa_pmu_restart(c);
    configure(c);
    return true;
}

void isa_pmu_load_global(struct isa_cpu *c, uint64_t v)
{
    isa_pmu_sync(c);
    c->pmu.global_ctrl = v;
    isa_pmu_restart(c);
    configure(c);
}

bool isa_pmu_rdpmc(struct isa_cpu *c, uint32_t ecx, uint64_t *val)
{
    const struct isa_pmu_shape *s = &c->pmu.has;
    const bool fixed = ecx & RDPMC_FIXED;
    const uint32_t k = fixed ? ecx & ~RDPMC_FIXED : ecx;
    if (k >= (fixed ? s->fixed : s->general))
        return false;
    isa_pmu_sync(c);
    *val = c->pmu.counter[fixed ? ISA_PMU_GENERAL + k : k];
    return true;
}
