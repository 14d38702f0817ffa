// isa/testenv.c: see isa/testenv.h.
#include "isa/testenv.h"

#include <stdlib.h>
#include <string.h>

static struct isa_testenv *te(struct isa_cpu *c) { return (struct isa_testenv *)c; }

static bool in_ram(const struct isa_testenv *t, uint64_t la, uint64_t n)
{
    return la >= t->base && la - t->base < t->size && n <= t->size - (la - t->base);
}

// Take-away rights of an access, or'ed over its pages.
static unsigned lost(const struct isa_testenv *t, uint64_t la, uint64_t n)
{
    unsigned r = 0;
    for (uint64_t p = (la - t->base) >> 12; p <= (la - t->base + n - 1) >> 12; p++)
        r |= t->rights[p];
    return r;
}

static int page_fault(struct isa_testenv *t, uint64_t la, unsigned acc, enum isa_rule rule)
{
    uint32_t err = (acc & (ISA_ACC_W | ISA_ACC_RMW) ? ISA_PF_W : 0) | (acc & ISA_ACC_X ? ISA_PF_I : 0);
    if (t->cpu.cpl == 3 && !(acc & ISA_ACC_SYS))
        err |= ISA_PF_U;
    return isa_raise_pf(&t->cpu, la, err | (rule == ISA_RULE_PF_NOT_PRESENT ? 0 : ISA_PF_P), rule);
}

// 0, or the page fault of the first byte that the access may not touch.
static int check(struct isa_testenv *t, uint64_t la, unsigned n, unsigned acc)
{
    uint64_t a = la, pages = (((la & 0xfff) + n - 1) >> 12) + 1; // counted: the last byte may lie beyond the end of addresses
    for (; pages != 0; pages--, a = (a | 0xfff) + 1) {
        if (!in_ram(t, a, 1))
            return page_fault(t, a, acc, ISA_RULE_PF_NOT_PRESENT);
        unsigned l = t->rights[(a - t->base) >> 12];
        if ((l & ISA_TE_NO_READ) || ((l & ISA_TE_NO_EXEC) && (acc & ISA_ACC_X)))
            return page_fault(t, a, acc, ISA_RULE_PF_NOT_PRESENT);
        if ((l & ISA_TE_NO_WRITE) && (acc & (ISA_ACC_W | ISA_ACC_RMW)))
            return page_fault(t, a, acc, ISA_RULE_PF_WRITE);
    }
    return 0;
}

static void fill(struct isa_testenv *t, uint64_t la, unsigned n, unsigned acc)
{
    struct isa_cpu *c = &t->cpu;
    if (!t->mirror || (acc & (ISA_ACC_SYS | ISA_ACC_USER | ISA_ACC_X)) || (la & 0xfff) + n > 0x1000 ||
        (lost(t, la, n) & ISA_TE_NO_RUN))
        return;
    struct isa_mirror *m = acc & (ISA_ACC_W | ISA_ACC_RMW) ? c->wr : c->rd;
    m[isa_mirror_slot(la)] = (struct isa_mirror){(la & ~0xfffull) | c->mctx, (uintptr_t)t->ram - t->base};
}

static int te_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    struct isa_testenv *t = te(c);
    int r = check(t, la, n, acc);
    if (r)
        return r;
    memcpy(buf, isa_te_at(t, la), n);
    fill(t, la, n, acc);
    return 0;
}

static int te_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    struct isa_testenv *t = te(c);
    int r = check(t, la, n, acc | ISA_ACC_W);
    if (r)
        return r;
    memcpy(isa_te_at(t, la), buf, n);
    fill(t, la, n, acc | ISA_ACC_W);
    return 0;
}

static int te_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc) { return check(te(c), la, n, acc); }

static void *te_host_run(struct isa_cpu *c, uint64_t la, uint64_t max, uint64_t *len, unsigned acc)
{
    struct isa_testenv *t = te(c);
    uint64_t n = 0x1000 - (la & 0xfff);
    n = n < max ? n : max;
    if (!t->mirror || n == 0 || !in_ram(t, la, n))
        return NULL;
    unsigned l = lost(t, la, n);
    if ((l & (ISA_TE_NO_READ | ISA_TE_NO_RUN)) || ((l & ISA_TE_NO_WRITE) && (acc & ISA_ACC_W)))
        return NULL;
    *len = n;
    return isa_te_at(t, la);
}

static int te_read_phys(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n)
{
    if (in_ram(te(c), pa.v, n))
        memcpy(buf, isa_te_at(te(c), pa.v), n);
    else
        memset(buf, 0xff, n);
    return 0;
}

static int te_write_phys(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n)
{
    if (in_ram(te(c), pa.v, n))
        memcpy(isa_te_at(te(c), pa.v), buf, n);
    return 0;
}

static void record_io(struct isa_testenv *t, uint16_t port, unsigned size, bool in, uint32_t val)
{
    t->io[t->nio++ % (sizeof t->io / sizeof *t->io)] = (struct isa_te_io){port, (uint8_t)size, in, val};
}

static int te_in(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t *val)
{
    *val = size == 4 ? te(c)->in_value : te(c)->in_value & ((1u << size * 8) - 1);
    record_io(te(c), port, size, true, *val);
    return 0;
}

static int te_out(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t val)
{
    record_io(te(c), port, size, false, val);
    return 0;
}

static bool te_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val)
{
    *val = te(c)->msr_val;
    return msr == te(c)->msr;
}

static bool te_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val)
{
    if (msr != te(c)->msr)
        return false;
    te(c)->msr_val = val;
    return true;
}

// What the question can be seen from; all of the XSAVE family; performance monitoring if the test has any.
static void te_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    if (te(c)->perfmon[0] && (leaf == 0 || leaf == 10)) {
        memcpy(out, te(c)->perfmon, sizeof te(c)->perfmon);
        out[0] = leaf ? out[0] : 10;
        return;
    }
    const uint32_t v[4] = {leaf == 0xd ? 15 : leaf, sub, ~leaf, ~sub};
    memcpy(out, v, sizeof v);
}

static void te_pmu_now(struct isa_cpu *c, uint64_t now[ISA_PMU_NSOURCE])
{
    now[ISA_PMU_NONE] = 0;
    now[ISA_PMU_CYCLES] = c->cycles + (c->at ? c->at->cost_before : 0);
    now[ISA_PMU_INSNS] = c->insns + (c->at ? c->at->idx : 0);
    now[ISA_PMU_BRANCHES] = te(c)->branches;
    now[ISA_PMU_LLC_REFS] = te(c)->llc_refs;
    now[ISA_PMU_LLC_MISSES] = te(c)->llc_misses;
}

static void te_pmi(struct isa_cpu *c) { te(c)->npmi++; }
static void te_pmu_changed(struct isa_cpu *c) {}

static uint64_t te_tsc(struct isa_cpu *c, uint64_t cycles) { return cycles; }

static uint64_t te_random(struct isa_cpu *c)
{
    uint64_t *x = &te(c)->random;
    *x = *x * 6364136223846793005ull + 1442695040888963407ull;
    return *x ^ *x >> 29;
}

static void te_inval(struct isa_cpu *c, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la)
{
    struct isa_testenv *t = te(c);
    t->ninval++;
    t->inval = kind, t->inval_a = a, t->inval_b = b, t->inval_la = la;
    isa_te_flush(t);
}

static int te_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val)
{
    struct isa_testenv *t = te(c);
    t->nicpt++;
    t->icpt = point, t->icpt_arg = arg, t->icpt_val = val ? *val : 0;
    if (val && t->icpt_set)
        *val = t->icpt_new;
    return t->icpt_result;
}

static int te_intercept_event(struct isa_cpu *c, const struct isa_event *e) { return 0; }
static int te_intercept_triple(struct isa_cpu *c) { return 0; }

static int te_vmx(struct isa_cpu *c, const struct isa_insn *i)
{
    te(c)->nvmx++;
    te(c)->vmx_op = i->op;
    if (te(c)->vmx_result == 0)
        c->rip = isa_next_rip(c, i);
    return te(c)->vmx_result;
}

static void te_charge(struct isa_cpu *c, unsigned cost_class)
{
    te(c)->ncharge[cost_class]++;
    c->cycles += te(c)->cost[cost_class];
}

static void te_on_event(struct isa_cpu *c, const struct isa_event *e) { te(c)->nevent++, te(c)->event = *e; }
static void te_on_cr(struct isa_cpu *c, unsigned cr, uint64_t old, uint64_t now) { te(c)->ncr++; }
static void te_on_msr(struct isa_cpu *c, uint32_t msr, uint64_t val, bool write) { te(c)->nmsr++; }
static void te_on_seg(struct isa_cpu *c, unsigned sreg, uint16_t sel) { te(c)->nseg++; }
static void te_on_ring(struct isa_cpu *c, unsigned from, unsigned to) { te(c)->nring++; }

static const struct isa_env te_env = {
    .read = te_read,
    .write = te_write,
    .probe = te_probe,
    .host_run = te_host_run,
    .read_phys = te_read_phys,
    .write_phys = te_write_phys,
    .in = te_in,
    .out = te_out,
    .rdmsr = te_rdmsr,
    .wrmsr = te_wrmsr,
    .cpuid = te_cpuid,
    .pmu_now = te_pmu_now,
    .pmi = te_pmi,
    .pmu_changed = te_pmu_changed,
    .tsc = te_tsc,
    .random = te_random,
    .inval = te_inval,
    .intercept = te_intercept,
    .intercept_event = te_intercept_event,
    .intercept_triple = te_intercept_triple,
    .vmx = te_vmx,
    .charge = te_charge,
    .on_event = te_on_event,
    .on_cr = te_on_cr,
    .on_msr = te_on_msr,
    .on_seg = te_on_seg,
    .on_ring = te_on_ring,
};

struct isa_testenv *isa_te_create(uint64_t base, uint64_t size)
{
    struct isa_testenv *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->ram = calloc(1, size);
    t->rights = calloc(1, size >> 12);
    if (!t->ram || !t->rights) {
        isa_te_destroy(t);
        return NULL;
    }
    t->base = base;
    t->size = size;
    t->env = te_env;
    t->cpu.env = &t->env;
    isa_reset(&t->cpu);
    t->cpu.budget = UINT64_MAX;
    t->mirror = true;
    t->block = 1;
    t->random = 1;
    memset(t->features, 0xff, sizeof t->features);
    for (unsigned k = 0; k < ISA_COST_NUM; k++)
        t->cost[k] = isa_cost_info[k].teach;
    isa_te_mode(t, ISA_LONG64, 0);
    return t;
}

void isa_te_destroy(struct isa_testenv *t)
{
    if (!t)
        return;
    free(t->ram);
    free(t->rights);
    free(t);
}

void isa_te_flush(struct isa_testenv *t)
{
    for (unsigned k = 0; k < ISA_MIRROR_SIZE; k++)
        t->cpu.rd[k].tag = t->cpu.wr[k].tag = ISA_MIRROR_EMPTY;
}

static void set_segments(struct isa_cpu *c, enum isa_mode mode, unsigned cpl)
{
    bool real = mode == ISA_REAL || mode == ISA_V86, big = mode == ISA_PROT32 || mode == ISA_COMPAT32;
    uint32_t ar = ISA_AR_P | ISA_AR_S | cpl << ISA_AR_DPL_SHIFT | (real ? 0 : ISA_AR_G);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s] = (struct isa_seg){
            .limit = real ? 0xffff : 0xffffffff,
            .ar = ar | 3 | (real || mode == ISA_PROT16 || mode == ISA_COMPAT16 ? 0 : ISA_AR_DB),
            .sel = real ? 0 : (uint16_t)(8 + 8 * s + cpl),
        };
    if (!real)
        c->seg[ISA_CS].ar = ar | 11 | (big ? ISA_AR_DB : 0) | (mode == ISA_LONG64 ? ISA_AR_L : 0);
}

void isa_te_mode(struct isa_testenv *t, enum isa_mode mode, unsigned cpl)
{
    struct isa_cpu *c = &t->cpu;
    bool lng = mode == ISA_LONG64 || mode == ISA_COMPAT16 || mode == ISA_COMPAT32;
    cpl = mode == ISA_REAL ? 0 : mode == ISA_V86 ? 3 : cpl;
    c->cr0 = mode == ISA_REAL ? ISA_CR0_ET : ISA_CR0_ET | ISA_CR0_PE | (lng ? ISA_CR0_PG : 0);
    c->cr4 = ISA_CR4_PAE | ISA_CR4_FSGSBASE | ISA_CR4_OSFXSR | ISA_CR4_OSXSAVE;
    c->efer = lng ? ISA_EFER_LME | ISA_EFER_LMA : 0;
    isa_set_rflags(c, ISA_FL_1 | (mode == ISA_V86 ? ISA_FL_VM : 0));
    set_segments(c, mode, cpl);
    isa_update_mode(c);
    isa_te_flush(t);
}

void *isa_te_at(struct isa_testenv *t, uint64_t la) { return t->ram + (la - t->base); }

void isa_te_code(struct isa_testenv *t, uint64_t la, const void *code, unsigned n)
{
    memcpy(isa_te_at(t, la), code, n);
    t->cpu.rip = t->cpu.mode == ISA_LONG64 ? la : (uint32_t)(la - t->cpu.seg[ISA_CS].base);
}

void isa_te_protect(struct isa_testenv *t, uint64_t la, uint64_t n, unsigned rights)
{
    for (uint64_t p = (la - t->base) >> 12; p <= (la - t->base + n - 1) >> 12; p++)
        t->rights[p] = (uint8_t)rights;
    isa_te_flush(t);
}

// Sentinels of a block: after a row that set RIP, and after a straight-line cut.
static int h_end(struct isa_cpu *c, const struct isa_insn *i) { return ISA_R_STOP; }
static int h_fall(struct isa_cpu *c, const struct isa_insn *i)
{
    c->rip = isa_next_rip(c, i - 1);
    return ISA_R_STOP;
}

// Fetch and decode one instruction at an offset from the block's start. 0, or a fault.
static int fetch(struct isa_testenv *t, unsigned off, struct isa_insn *i)
{
    struct isa_cpu *c = &t->cpu;
    struct isa_decode_mode m = isa_decode_mode_of(c, t->features);
    m.flat = c->mode == ISA_LONG64 || (c->seg_flat & 0xf) == 0xf;
    uint64_t rip = c->rip + off, la = rip;
    if (c->mode != ISA_LONG64) {
        if (rip > c->seg[ISA_CS].limit)
            return isa_gp0(c, ISA_RULE_GP_LIMIT);
        la = (uint32_t)(c->seg[ISA_CS].base + rip);
    }
    uint8_t buf[ISA_MAX_INSN_LEN];
    unsigned n = 0;
    while (n < sizeof buf && check(t, la + n, 1, ISA_ACC_X) == 0) {
        buf[n] = *(uint8_t *)isa_te_at(t, la + n);
        n++;
    }
    if (isa_decode(&m, buf, n, i) == 0)
        return check(t, la + n, 1, ISA_ACC_X); // the page fault of the first byte that is missing
    return 0;
}

// Decode a block at RIP. Gives the number of instructions, or 0 with the fault of the first one raised.
static unsigned build(struct isa_testenv *t)
{
    unsigned n = 0, off = 0;
    uint32_t cost = 0;
    bool end = false;
#ifdef RINGSIDE_NO_TAIL
    isa_handler *const *const *table = isa_run_loop;
#else
    isa_handler *const *const *table = t->tail ? isa_run_tail : isa_run_loop;
#endif
    while (n < t->block && !end) {
        struct isa_insn *i = &t->insn[n];
        memset(i, 0, sizeof *i);
        if (fetch(t, off, i))
            break;
        isa_prepare(i, table, off, n, cost, t->cost);
        off += i->len;
        cost += i->cost;
        end = isa_opinfo[i->op].props & ISA_F_END;
        n++;
    }
    memset(&t->insn[n], 0, sizeof t->insn[n]);
    t->insn[n].run = end ? h_end : h_fall;
    t->insn[n].off = (uint16_t)off;
    t->insn[n].idx = (uint16_t)n;
    t->insn[n].cost_before = cost;
    return n;
}

// A repeated string instruction has iterations left: RIP still stands at it.
static bool gave_way(const struct isa_cpu *c, const struct isa_insn *i)
{
    return (isa_opinfo[i->op].props & ISA_F_REP) && i->rep != ISA_REP_NONE && c->rip == isa_insn_rip(c, i);
}

// Run the block in t->insn. RIP, cycles and insns are exact afterwards.
static int run_block(struct isa_testenv *t)
{
    struct isa_cpu *c = &t->cpu;
    uint64_t rip = c->rip;
    c->gpr[ISA_REG_RIP] = rip;
    const struct isa_insn *i = t->insn;
    c->at = i;
    int r = ISA_R_NEXT;
#ifndef RINGSIDE_NO_TAIL
    if (t->tail)
        r = i->run(c, i);
    else
#endif
        while ((r = i->run(c, i)) == ISA_R_NEXT)
            c->at = ++i;
    bool whole = r == ISA_R_STOP;
    const struct isa_insn *at = c->at;
    if (whole) // the loop's at is still the last instruction
        while (at->run != h_end && at->run != h_fall)
            at++;
    else if (r == ISA_R_FAULT)
        c->rip = rip + at->off;
    c->insns += at->idx;
    if (whole && at > t->insn && gave_way(c, at - 1))
        c->insns--;
    c->cycles += at->cost_before;
    c->at = NULL;
    return r;
}

int isa_te_run(struct isa_testenv *t, uint64_t max)
{
    struct isa_cpu *c = &t->cpu;
    uint64_t end = c->insns + max;
    unsigned block = t->block;
    int r = ISA_R_STOP;
    while (c->insns < end && c->activity == ISA_ACTIVE && r == ISA_R_STOP) {
        t->block = end - c->insns < block ? (unsigned)(end - c->insns) : block;
        uint64_t before = c->insns;
        r = build(t) ? run_block(t) : ISA_R_FAULT;
        if (r == ISA_R_STOP && t->one_chunk && c->insns == before)
            break;
        if (r == ISA_R_FAULT && t->deliver) {
            r = t->deliver(c);
            c->insns++; // a delivery counts, so that a guest that only faults comes to an end
            r = r == 0 ? ISA_R_STOP : r;
        }
    }
    t->block = block;
    return r;
}
