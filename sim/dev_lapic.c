// sim/dev_lapic.c: local APICs; see sim/dev_lapic.h.
//
// MODELS     xAPIC registers at the page of IA32_APIC_BASE and x2APIC MSRs; version 14H with six LVT entries; fixed, lowest-priority, NMI,
//            INIT, start-up and self IPIs; physical and logical destinations, flat and cluster; the timer in one-shot, periodic and TSC-deadline mode; spurious
//            vector, software and global disable, error status. The state at reset is what a firmware leaves: enabled by software, LINT0 of
//            the bootstrap processor takes the 8259s' ExtINT, LINT1 is NMI.
// TIME       the timer counts at a tenth of the processor's frequency; its count is computed from the cycle clock.
//            An interrupt to other processors takes what the profile's `ipi` says, except in functional fidelity; at most 32 are under way.
// MANUAL     "Advanced Programmable Interrupt Controller (APIC)", "Extended XAPIC (x2APIC)".
#include "sim/dev_lapic.h"

#include <stdlib.h>
#include <string.h>

#include "isa/msr.h"
#include "sim/dev_pc.h"
#include "sim/internal.h"

#define TIMER_RATIO 10u // processor cycles per tick of the undivided timer
#define VERSION     0x00050014u

// Register numbers: offset / 16 in the page, MSR - 800H.
enum {
    R_ID = 0x02,
    R_VERSION,
    R_TPR = 0x08,
    R_APR,
    R_PPR,
    R_EOI,
    R_RRD,
    R_LDR,
    R_DFR,
    R_SVR,
    R_ISR,
    R_TMR = 0x18,
    R_IRR = 0x20,
    R_ESR = 0x28,
    R_ICR = 0x30,
    R_ICR_HIGH,
    R_LVT,
    R_INIT_COUNT = 0x38,
    R_COUNT,
    R_DIVIDE = 0x3e,
    R_SELF_IPI
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_N };
#define LVT_MASK        (1u << 16)
#define ESR_SEND_VECTOR (1u << 5)
#define ESR_RECV_VECTOR (1u << 6)
#define ESR_REGISTER    (1u << 7)
#define SVR_ENABLE      (1u << 8)
#define ICR_ASSERT      (1u << 14)
#define TSC_DEADLINE    0x6e0u
#define NEVER           UINT64_MAX

static const uint32_t lvt_bits[LVT_N] = {0x710ff, 0x117ff, 0x117ff, 0x1f7ff, 0x1f7ff, 0x110ff};

struct lapic {
    uint32_t id, tpr_low, ldr, dfr, svr, esr, esr_new, icr_high, icr_low, divide;
    uint32_t lvt[LVT_N];
    uint32_t isr[8], irr[8], tmr[8];
    uint64_t init_count;   // 32 bits of it; so wide that the structure has no padding, for it is hashed as bytes
    uint64_t start;        // cycle at which the timer began to count from init_count
    uint64_t tsc_deadline; // as written; 0: not armed
    uint64_t due;          // cycle of the timer's next interrupt
};
_Static_assert(sizeof(struct lapic) == 40 * 4 + 4 * 8, "no padding");
// An interrupt on its way to other processors: it takes what the profile's `ipi` says.
struct flight {
    uint64_t due;
    uint32_t low, dest, sender, x2; // what was written to the ICR; the sender's mode
};
struct lapics {
    struct dev d;
    struct dev *pic, *ioapic;
    uint64_t mapped; // physical page of the registers now, or NEVER
    bool extint_by_ioapic;
    struct lapic l[SIM_MAX_CPUS];
    struct flight flight[32]; // the next to arrive first, since all take equally long
    unsigned flights;
};

static struct isa_cpu *cpu_of(const struct lapics *a, unsigned n) { return &a->d.m->cpu[n]->isa; }
static bool enabled(const struct lapics *a, unsigned n) { return cpu_of(a, n)->apic_base >> 11 & 1; }
static bool is_x2(const struct lapics *a, unsigned n) { return (cpu_of(a, n)->apic_base >> 10 & 3) == 3; }

// --- priorities

static int highest(const uint32_t set[8])
{
    for (int w = 7; w >= 0; w--)
        if (set[w])
            return w * 32 + 31 - __builtin_clz(set[w]);
    return -1;
}
static void put(uint32_t set[8], unsigned v, bool on)
{
    set[v / 32] = on ? set[v / 32] | 1u << v % 32 : set[v / 32] & ~(1u << v % 32);
}

static uint32_t tpr(const struct lapics *a, unsigned n) { return (uint32_t)cpu_of(a, n)->cr8 << 4 | a->l[n].tpr_low; }

static uint32_t ppr(const struct lapics *a, unsigned n)
{
    int busy = highest(a->l[n].isr);
    uint32_t t = tpr(a, n), s = busy < 0 ? 0 : (uint32_t)busy & 0xf0;
    return t >> 4 >= s >> 4 ? t : s;
}

static bool wants(const struct lapics *a, unsigned n)
{
    int v = highest(a->l[n].irr);
    return v >= 0 && (a->l[n].svr & SVR_ENABLE) && enabled(a, n) && (uint32_t)v >> 4 > ppr(a, n) >> 4;
}

static bool lapic_pending(struct dev *d, unsigned n) { return wants((struct lapics *)d, n); }

static int lapic_ack(struct dev *d, unsigned n)
{
    struct lapics *a = (struct lapics *)d;
    struct lapic *l = &a->l[n];
    if (!wants(a, n))
        return -1;
    unsigned v = (unsigned)highest(l->irr);
    put(l->irr, v, false);
    put(l->isr, v, true);
    return (int)v;
}

// --- delivery

static void error(struct lapics *a, unsigned n, uint32_t bit);

static void accept(struct lapics *a, unsigned n, unsigned mode, unsigned vector, bool level)
{
    struct lapic *l = &a->l[n];
    if (!enabled(a, n))
        return;
    if (mode == APIC_NMI) {
        a->d.m->cpu[n]->nmi = true;
    } else if (mode == APIC_INIT) {
        startup_init(a->d.m->cpu[n]);
    } else if (mode == APIC_STARTUP) {
        startup_sipi(a->d.m->cpu[n], (uint8_t)vector);
    } else if (mode == APIC_FIXED || mode == APIC_LOWEST) {
        if (vector < 16) {
            error(a, n, ESR_RECV_VECTOR);
            return;
        }
        if (!(l->svr & SVR_ENABLE))
            return;
        put(l->irr, vector, true);
        put(l->tmr, vector, level);
    }
    dev_intc_changed(a->d.m);
}

static void lvt_fire(struct lapics *a, unsigned n, unsigned which)
{
    uint32_t e = a->l[n].lvt[which];
    if (!(e & LVT_MASK))
        accept(a, n, which == LVT_TIMER || which == LVT_ERROR ? (unsigned)APIC_FIXED : e >> 8 & 7, e & 0xff, false);
}

// The entry masks itself, so that the handler is not interrupted by the next overflow.
void dev_lapic_pmi(struct dev *d, unsigned n)
{
    struct lapics *a = (struct lapics *)d;
    lvt_fire(a, n, LVT_PERF);
    a->l[n].lvt[LVT_PERF] |= LVT_MASK;
}

static void error(struct lapics *a, unsigned n, uint32_t bit)
{
    struct lapic *l = &a->l[n];
    bool fresh = !(l->esr_new & bit);
    l->esr_new |= bit;
    if (fresh && (l->lvt[LVT_ERROR] & 0xff) >= 16) // an illegal vector there would call us again
        lvt_fire(a, n, LVT_ERROR);
}

static uint32_t x2_ldr(uint32_t id) { return id >> 4 << 16 | 1u << (id & 15); }

static bool addressed(const struct lapics *a, unsigned n, const struct apic_msg *g)
{
    const struct lapic *l = &a->l[n];
    if (g->dest == (g->x2 ? 0xffffffffu : 0xffu))
        return true;
    if (!g->logical)
        return g->dest == l->id;
    if (is_x2(a, n)) {
        uint32_t ldr = x2_ldr(l->id);
        return g->x2 ? g->dest >> 16 == ldr >> 16 && (g->dest & ldr & 0xffff) : (g->dest & ldr & 0xff) != 0;
    }
    uint32_t ldr = l->ldr >> 24, dest = g->dest & 0xff;
    if (l->dfr >> 28 == 15)
        return ldr & dest;
    return (ldr >> 4 == dest >> 4 || dest >> 4 == 15) && (ldr & dest & 15);
}

// Of the processors addressed, the one whose processor priority is lowest; of equals the lowest number.
static void deliver_lowest(struct lapics *a, const struct apic_msg *g)
{
    int best = -1;
    for (unsigned n = 0; n < a->d.m->ncpus; n++)
        if (addressed(a, n, g) && enabled(a, n) && (a->l[n].svr & SVR_ENABLE) && (best < 0 || ppr(a, n) < ppr(a, (unsigned)best)))
            best = (int)n;
    if (best >= 0)
        accept(a, (unsigned)best, g->mode, g->vector, g->level);
}

void dev_lapic_deliver(struct dev *d, const struct apic_msg *g)
{
    struct lapics *a = (struct lapics *)d;
    if (g->mode == APIC_LOWEST) {
        deliver_lowest(a, g);
        return;
    }
    for (unsigned n = 0; n < d->m->ncpus; n++)
        if (addressed(a, n, g))
            accept(a, n, g->mode, g->vector, g->level);
}

static void arrive(struct lapics *a, const struct flight *f)
{
    const unsigned shorthand = f->low >> 18 & 3, mode = f->low >> 8 & 7, vector = f->low & 0xff;
    const struct apic_msg g = {
        .dest = f->dest, .vector = (uint8_t)vector, .mode = (uint8_t)mode, .logical = f->low >> 11 & 1, .x2 = f->x2};
    if (!shorthand) {
        dev_lapic_deliver(&a->d, &g);
        return;
    }
    for (unsigned k = 0; k < a->d.m->ncpus; k++)
        if (shorthand == 1 ? k == f->sender : shorthand == 2 || k != f->sender)
            accept(a, k, mode, vector, false);
}

static void land_first(struct lapics *a)
{
    const struct flight f = a->flight[0];
    memmove(a->flight, a->flight + 1, --a->flights * sizeof a->flight[0]);
    arrive(a, &f);
}

static void set_deadline(struct lapics *a);

static void send_ipi(struct lapics *a, unsigned n, uint32_t low, uint32_t dest)
{
    const unsigned mode = low >> 8 & 7;
    const bool self = (low >> 18 & 3) == 1;
    struct flight f = {dev_now(&a->d), low, dest, n, is_x2(a, n)};
    if ((mode == APIC_FIXED || mode == APIC_LOWEST) && (low & 0xff) < 16) {
        error(a, n, ESR_SEND_VECTOR);
        return;
    }
    if (mode == APIC_INIT && !(low & ICR_ASSERT))
        return; // INIT level de-assert: processors since the Pentium 4 have no use for it
    if (self || a->d.m->fidelity == SIM_FUNCTIONAL || !a->d.m->profile->ipi) {
        arrive(a, &f);
        return;
    }
    if (a->flights == sizeof a->flight / sizeof a->flight[0])
        land_first(a); // no more can be under way
    f.due += a->d.m->profile->ipi;
    unsigned k = a->flights++;
    for (; k && a->flight[k - 1].due > f.due; k--) // processors' clocks differ by a quantum
        a->flight[k] = a->flight[k - 1];
    a->flight[k] = f;
    set_deadline(a);
}

static void end_of_interrupt(struct lapics *a, unsigned n)
{
    struct lapic *l = &a->l[n];
    int v = highest(l->isr);
    if (v < 0)
        return;
    put(l->isr, (unsigned)v, false);
    if (a->ioapic && (l->tmr[v / 32] >> v % 32 & 1))
        dev_ioapic_eoi(a->ioapic, (uint8_t)v);
    dev_intc_changed(a->d.m);
}

void dev_lapic_eoi(struct dev *d, unsigned n) { end_of_interrupt((struct lapics *)d, n); }

// --- timer

static unsigned timer_mode(const struct lapic *l) { return l->lvt[LVT_TIMER] >> 17 & 3; }
static uint64_t cycles_per_tick(const struct lapic *l)
{
    unsigned k = (l->divide & 3) | (l->divide >> 1 & 4);
    return (uint64_t)TIMER_RATIO << (k == 7 ? 0 : k + 1);
}

static void set_deadline(struct lapics *a)
{
    uint64_t next = a->flights ? a->flight[0].due : NEVER;
    for (unsigned n = 0; n < a->d.m->ncpus; n++)
        if (a->l[n].due < next)
            next = a->l[n].due;
    dev_set_deadline(&a->d, next);
}

// When the timer fires next, from its registers.
static void timer_update(struct lapics *a, unsigned n)
{
    struct lapic *l = &a->l[n];
    uint64_t now = dev_now(&a->d), tick = cycles_per_tick(l), period = l->init_count * tick;
    l->due = NEVER;
    if (timer_mode(l) == 2) {
        if (l->tsc_deadline) {
            uint64_t cycle = l->tsc_deadline - cpu_of(a, n)->tsc_offset;
            l->due = (int64_t)(l->tsc_deadline - (now + cpu_of(a, n)->tsc_offset)) <= 0 ? now : cycle;
        }
    } else if (l->init_count) {
        if (timer_mode(l) == 1)
            l->due = l->start + ((now - l->start) / period + 1) * period;
        else if (now - l->start < period)
            l->due = l->start + period;
    }
    set_deadline(a);
}

static uint32_t timer_count(const struct lapics *a, unsigned n)
{
    const struct lapic *l = &a->l[n];
    if (!l->init_count || timer_mode(l) == 2)
        return 0;
    uint64_t ticks = (dev_now(&a->d) - l->start) / cycles_per_tick(l);
    if (timer_mode(l) == 1)
        return (uint32_t)(l->init_count - ticks % l->init_count);
    return ticks < l->init_count ? (uint32_t)(l->init_count - ticks) : 0;
}

static void lapic_deadline(struct dev *d)
{
    struct lapics *a = (struct lapics *)d;
    uint64_t now = dev_now(d);
    while (a->flights && a->flight[0].due <= now)
        land_first(a);
    for (unsigned n = 0; n < d->m->ncpus; n++) {
        struct lapic *l = &a->l[n];
        if (l->due > now)
            continue;
        if (timer_mode(l) == 2)
            l->tsc_deadline = 0;
        lvt_fire(a, n, LVT_TIMER);
        timer_update(a, n);
    }
    set_deadline(a);
}

// --- what the processor's INTR input is connected to

static void route_extint(struct lapics *a)
{
    const struct lapic *l = &a->l[0];
    bool lint0 = (l->lvt[LVT_LINT0] & (LVT_MASK | 0x700)) == APIC_EXTINT << 8 || a->extint_by_ioapic;
    dev_pic_gate(a->pic, !enabled(a, 0) || ((l->svr & SVR_ENABLE) && lint0));
    dev_intc_changed(a->d.m);
}

void dev_lapic_extint_by_ioapic(struct dev *d, bool on)
{
    ((struct lapics *)d)->extint_by_ioapic = on;
    route_extint((struct lapics *)d);
}

void dev_lapic_set_ioapic(struct dev *d, struct dev *ioapic) { ((struct lapics *)d)->ioapic = ioapic; }

// --- registers

static uint32_t reg_read(const struct lapics *a, unsigned n, unsigned reg)
{
    const struct lapic *l = &a->l[n];
    if (reg >= R_ISR && reg < R_ISR + 8)
        return l->isr[reg - R_ISR];
    if (reg >= R_TMR && reg < R_TMR + 8)
        return l->tmr[reg - R_TMR];
    if (reg >= R_IRR && reg < R_IRR + 8)
        return l->irr[reg - R_IRR];
    if (reg >= R_LVT && reg < R_LVT + LVT_N)
        return l->lvt[reg - R_LVT];
    switch (reg) {
    case R_ID: return is_x2(a, n) ? l->id : l->id << 24;
    case R_VERSION: return VERSION;
    case R_TPR: return tpr(a, n);
    case R_APR:
    case R_PPR: return ppr(a, n);
    case R_LDR: return is_x2(a, n) ? x2_ldr(l->id) : l->ldr;
    case R_DFR: return l->dfr;
    case R_SVR: return l->svr;
    case R_ESR: return l->esr;
    case R_ICR: return l->icr_low;
    case R_ICR_HIGH: return l->icr_high;
    case R_INIT_COUNT: return (uint32_t)l->init_count;
    case R_COUNT: return timer_count(a, n);
    case R_DIVIDE: return l->divide;
    default: return 0;
    }
}

static void write_lvt(struct lapics *a, unsigned n, unsigned which, uint32_t v)
{
    struct lapic *l = &a->l[n];
    uint32_t old = l->lvt[which];
    l->lvt[which] = (v & lvt_bits[which]) | (l->svr & SVR_ENABLE ? 0 : LVT_MASK);
    if (which == LVT_LINT0)
        route_extint(a);
    if (which == LVT_TIMER && ((old ^ v) & 0x60000)) { // a change of mode stops what was under way
        if ((old >> 17 & 3) == 2 || timer_mode(l) == 2) {
            l->init_count = 0;
            l->tsc_deadline = 0;
        }
        timer_update(a, n);
    }
}

static void write_svr(struct lapics *a, unsigned n, uint32_t v)
{
    struct lapic *l = &a->l[n];
    l->svr = v & 0x3ff;
    if (!(v & SVR_ENABLE))
        for (unsigned k = 0; k < LVT_N; k++)
            l->lvt[k] |= LVT_MASK;
    route_extint(a);
}

// True if the register can be written.
static bool reg_write(struct lapics *a, unsigned n, unsigned reg, uint32_t v)
{
    struct lapic *l = &a->l[n];
    if (reg >= R_LVT && reg < R_LVT + LVT_N) {
        write_lvt(a, n, reg - R_LVT, v);
        return true;
    }
    switch (reg) {
    case R_TPR:
        cpu_of(a, n)->cr8 = v >> 4 & 15;
        l->tpr_low = v & 15;
        dev_intc_changed(a->d.m);
        return true;
    case R_EOI: end_of_interrupt(a, n); return true;
    case R_SVR: write_svr(a, n, v); return true;
    case R_ESR:
        l->esr = l->esr_new;
        l->esr_new = 0;
        return true;
    case R_INIT_COUNT:
        if (timer_mode(l) == 2)
            return true;
        l->init_count = v;
        l->start = dev_now(&a->d);
        timer_update(a, n);
        return true;
    case R_DIVIDE:
        l->divide = v & 0xb;
        timer_update(a, n);
        return true;
    default: return false;
    }
}

// --- xAPIC: the page

static uint64_t lapic_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct lapics *a = (struct lapics *)d;
    unsigned n = d->m->running, shift = (unsigned)(off & 15) * 8;
    if (is_x2(a, n) || off >= 0x400 || shift >= 32)
        return 0;
    return reg_read(a, n, (unsigned)off >> 4) >> shift;
}

static void lapic_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct lapics *a = (struct lapics *)d;
    unsigned n = d->m->running, reg = (unsigned)off >> 4;
    struct lapic *l = &a->l[n];
    if (is_x2(a, n) || off & 15)
        return;
    switch (reg) {
    case R_ID: l->id = (uint32_t)val >> 24; break;
    case R_LDR: l->ldr = (uint32_t)val & 0xff000000; break;
    case R_DFR: l->dfr = (uint32_t)val | 0x0fffffff; break;
    case R_ICR_HIGH: l->icr_high = (uint32_t)val & 0xff000000; break;
    case R_ICR:
        l->icr_low = (uint32_t)val & 0xccfff;
        send_ipi(a, n, l->icr_low, l->icr_high >> 24);
        break;
    default:
        if (!reg_write(a, n, reg, (uint32_t)val))
            error(a, n, ESR_REGISTER);
    }
}

// --- x2APIC: MSRs

static bool x2_readable(unsigned reg)
{
    return reg == R_ID || reg == R_VERSION || reg == R_TPR || reg == R_PPR || reg == R_LDR || reg == R_SVR ||
           (reg >= R_ISR && reg <= R_ESR) || reg == R_ICR || (reg >= R_LVT && reg < R_LVT + LVT_N) || reg == R_INIT_COUNT ||
           reg == R_COUNT || reg == R_DIVIDE;
}

// Bits that may be set; anything else is #GP. 0 for registers that cannot be written.
static bool x2_writable(unsigned reg, uint64_t v)
{
    uint64_t may;
    if (reg >= R_LVT && reg < R_LVT + LVT_N)
        may = lvt_bits[reg - R_LVT];
    else
        switch (reg) {
        case R_TPR: may = 0xff; break;
        case R_EOI:
        case R_ESR: may = 0; break;
        case R_SVR: may = 0x3ff; break;
        case R_INIT_COUNT: may = 0xffffffff; break;
        case R_DIVIDE: may = 0xb; break;
        default: return false;
        }
    return !(v & ~may);
}

bool dev_lapic_rdmsr(struct dev *d, unsigned n, uint32_t msr, uint64_t *val)
{
    const struct lapics *a = (const struct lapics *)d;
    unsigned reg = msr - 0x800;
    if (msr == TSC_DEADLINE) {
        *val = a->l[n].tsc_deadline;
        return isa_has(d->m->profile->features, ISA_FEAT_TSC_DEADLINE);
    }
    if (msr < 0x800 || msr > 0x83f || !is_x2(a, n) || !x2_readable(reg))
        return false;
    *val = reg == R_ICR ? a->l[n].icr_low | (uint64_t)a->l[n].icr_high << 32 : reg_read(a, n, reg);
    return true;
}

bool dev_lapic_wrmsr(struct dev *d, unsigned n, uint32_t msr, uint64_t v)
{
    struct lapics *a = (struct lapics *)d;
    struct lapic *l = &a->l[n];
    unsigned reg = msr - 0x800;
    if (msr == TSC_DEADLINE) {
        if (!isa_has(d->m->profile->features, ISA_FEAT_TSC_DEADLINE))
            return false;
        if (timer_mode(l) == 2) {
            l->tsc_deadline = v;
            timer_update(a, n);
        }
        return true;
    }
    if (msr < 0x800 || msr > 0x83f || !is_x2(a, n))
        return false;
    if (reg == R_ICR) {
        if ((uint32_t)v & ~0xccfffu)
            return false;
        l->icr_low = (uint32_t)v;
        l->icr_high = (uint32_t)(v >> 32);
        send_ipi(a, n, l->icr_low, l->icr_high);
        return true;
    }
    if (reg == R_SELF_IPI) {
        if (v > 0xff)
            return false;
        send_ipi(a, n, (uint32_t)v | 1u << 18, 0);
        return true;
    }
    return x2_writable(reg, v) && reg_write(a, n, reg, (uint32_t)v);
}

// --- IA32_APIC_BASE

static void clear(struct lapics *a, unsigned n)
{
    struct lapic *l = &a->l[n];
    uint32_t id = l->id;
    *l = (struct lapic){.id = id, .dfr = 0xffffffff, .svr = 0xff, .due = NEVER};
    for (unsigned k = 0; k < LVT_N; k++)
        l->lvt[k] = LVT_MASK;
}

// One page for all processors whose local APIC is memory-mapped; each finds its own there.
static void map(struct lapics *a)
{
    uint64_t page = NEVER;
    for (unsigned n = 0; n < a->d.m->ncpus; n++) {
        uint64_t own = cpu_of(a, n)->apic_base & ~0xfffull;
        if (!enabled(a, n) || is_x2(a, n))
            continue;
        if (page != NEVER && page != own) {
            dev_refuse(&a->d, "processor %u moved its registers to 0x%llx, and another one has them at 0x%llx: all must agree", n,
                       (unsigned long long)own, (unsigned long long)page);
            return;
        }
        page = own;
    }
    if (page == a->mapped)
        return;
    if (a->mapped != NEVER)
        dev_unmap_mmio(&a->d, 0);
    if (page != NEVER)
        dev_map_mmio(&a->d, 0, (struct hpa){page}, 0x1000);
    a->mapped = page;
}

void dev_lapic_msr_changed(struct dev *d, unsigned n, uint32_t msr)
{
    struct lapics *a = (struct lapics *)d;
    if (msr == ISA_MSR_APIC_BASE) {
        if (!enabled(a, n)) { // as after power-up; APIC_BASE.EN may be set again
            clear(a, n);
            set_deadline(a);
        }
        map(a);
        route_extint(a);
    } else if (timer_mode(&a->l[n]) == 2) {
        timer_update(a, n);
    }
}

void dev_lapic_init(struct dev *d, unsigned n)
{
    struct lapics *a = (struct lapics *)d;
    clear(a, n);
    set_deadline(a);
    route_extint(a);
}

// --- life

static void lapic_reset(struct dev *d)
{
    struct lapics *a = (struct lapics *)d;
    for (unsigned n = 0; n < d->m->ncpus; n++) {
        a->l[n].id = n;
        clear(a, n);
    }
    a->l[0].svr = 0x1ff;
    a->l[0].lvt[LVT_LINT0] = APIC_EXTINT << 8;
    a->l[0].lvt[LVT_LINT1] = APIC_NMI << 8;
    a->extint_by_ioapic = false;
    a->flights = 0;
    map(a);
    route_extint(a);
}

static uint64_t lapic_hash(const struct dev *d, uint64_t h)
{
    const struct lapics *a = (const struct lapics *)d;
    for (unsigned n = 0; n < d->m->ncpus; n++)
        h = dev_hash_bytes(h, &a->l[n], sizeof a->l[n]);
    return dev_hash_bytes(h, a->flight, a->flights * sizeof a->flight[0]);
}

static const struct dev_ops lapic_ops = {.name = "lapic",
                                         .reset = lapic_reset,
                                         .read = lapic_read,
                                         .write = lapic_write,
                                         .deadline = lapic_deadline,
                                         .hash = lapic_hash};
static const struct dev_intc lapic_intc = {lapic_pending, lapic_ack};

struct dev *dev_lapic_attach(struct sim_machine *m, struct dev *pic)
{
    struct lapics *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->d.ops = &lapic_ops;
    a->pic = pic;
    a->mapped = NEVER;
    dev_attach(m, &a->d);
    dev_set_intc(m, &a->d, &lapic_intc, 2); // ExtINT, which has no priority, is asked before
    return &a->d;
}
