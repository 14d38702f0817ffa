// sim/mmu_access.c: memory accesses that the inline mirror did not serve.
//
// TLB lookup, walk where needed, then RAM or device. An access that crosses a page translates both pages before anything is
// committed. Physical addresses with neither RAM nor a device read as all ones and ignore writes.
#include <assert.h>
#include <string.h>

#include "isa/mem.h"
#include "sim/internal.h"
#include "sim/walk.h"

// Debug builds assert the mirror's invariants now and then: a check costs far more than the slow path it follows.
static void check_mirror(struct sim_cpu *c)
{
#ifdef RINGSIDE_DEBUG
    if (++c->mmu.slow_paths % 64 == 0)
        (void)mmu_mirror_check(c);
#endif
}

#define WRITES (ISA_ACC_W | ISA_ACC_RMW)

// --- translation

enum verdict { HIT, REWALK, REFUSED };

// May a cached translation serve this access? REFUSED: *r is the fault or exit, which has been raised.
static __attribute__((noinline)) enum verdict judge(struct sim_cpu *c, const struct tlb_hot *h, const struct tlb_entry *e,
                                                    uint64_t la, unsigned acc, int *r)
{
    const struct mmu_state *s = &c->mmu;
    const unsigned need = mmu_ept_need(acc), eperms = TLB_DATA_EPERMS(h->data);
    if (s->pg.mode != ISA_PG_NONE) {
        enum isa_rule rule =
            isa_pg_check(&s->pg, TLB_DATA_RIGHTS(h->data), isa_pg_user(&c->isa, acc), acc, c->isa.rflags_sys & ISA_FL_AC);
        if (__builtin_expect(rule != ISA_RULE_NONE, 0)) {
            *r = mmu_page_fault(c, la, acc, TLB_DATA_RIGHTS(h->data), rule);
            return REFUSED;
        }
    }
    // A write through a translation whose D is still clear walks again to set it: before EPT may forbid it, as a walk has it.
    if ((acc & WRITES) && !(h->data & TLB_DATA_DIRTY))
        return REWALK;
    if (__builtin_expect(!ept_allows(eperms, need), 0)) {
        if (s->ept.mbec)
            return REWALK; // the entry knows one of the two execute permissions only, and the exit reports both
        *r = mmu_ept_violation(c, (struct gpa){e->gpa.v | (la & ((1ull << e->page_shift) - 1))}, la, true, true, acc,
                               eperms | mmu_advanced(TLB_DATA_GPERMS(h->data)), e->src_val[1]);
        return REFUSED;
    }
    return HIT;
}

static int fill(struct sim_cpu *c, enum tlb_unit l1, struct tlb_entry *e)
{
    // The second level has no 1-GByte entries.
    if (e->page_shift < 30) {
        e->unit = TLB_STLB;
        int i = tlb_fill(c->tlb, e);
        if (i >= 0)
            return tlb_promote(c->tlb, (unsigned)i, l1);
    }
    e->unit = (uint8_t)l1;
    return tlb_fill(c->tlb, e);
}

// Mirrors the page where it may be. may: what the context may do with it. Returns where the byte is for accesses of this kind, if the mirror knows it
// now, else NULL.
static inline __attribute__((always_inline)) void *mirror(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa pa, unsigned may,
                                                          struct mmu_note *note)
{
    if (mmu_is_apic_page(&c->mmu, pa))
        return NULL;
    if ((acc & ISA_ACC_USER) || ((acc & ISA_ACC_SYS) && c->isa.cpl == 3)) // other rights than those of the context
        return NULL;
    if (!(acc & ISA_ACC_X))
        return mmu_mirror_fill(c, la, pa, may, acc & WRITES, note);
    mmu_mirror_fill_fetch(c, la, pa, note);
    return NULL;
}

// Do the rights of the context, which most accesses have, suffice?
static inline bool suffices(unsigned may, unsigned acc)
{
    return !(acc & (ISA_ACC_X | ISA_ACC_SYS | ISA_ACC_USER)) && may & (acc & WRITES ? MMU_MAY_WRITE : MMU_MAY_READ);
}

// The entry of a unit that translates la for this access, and what the context may do with its page; or -1: there is none, or none that serves (then
// *again is set), or the access is refused (*r is not 0).
static inline __attribute__((always_inline)) int lookup(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned acc,
                                                        unsigned *may, bool *again, int *r)
{
    struct tlb_unit_state *u = &c->tlb->u[unit];
    const int i = tlb_look(u, c->mmu.vpid, c->mmu.key1, la);
    if (i < 0)
        return -1;
    *may = mmu_may(&c->mmu, c->isa.cpl == 3, u->hot[i].data);
    if (__builtin_expect(!suffices(*may, acc), 0)) {
        const enum verdict v = judge(c, &u->hot[i], &u->entry[i], la, acc, r);
        *again |= v == REWALK;
        if (v != HIT)
            return -1;
    }
    if (ev_wanted(c->m, EV_TLB_STALE))
        tlb_used(c, &u->entry[i], la);
    return i;
}

static inline struct hpa address_in(const struct tlb_hot *h, uint64_t la)
{
    return (struct hpa){(h->data & TLB_DATA_FRAME) | (la & tlb_class_mask[h->key0 >> 1 & 3])};
}

// Entry i of the second level serves: it comes to the first. Returns its index there, or -1.
static inline int promote(struct sim_cpu *c, enum tlb_unit l1, int i, struct hpa pa)
{
    // The access will often miss the host's caches too: let it start while the TLB is updated.
    __builtin_prefetch(ram_at(&c->m->ram, pa));
    tlb_touch(c->tlb, TLB_STLB, i);
    engine_charge(&c->isa, c->m->charge[ISA_COST_STLB]);
    return tlb_promote(c->tlb, (unsigned)i, l1);
}

// No entry serves: walk, and fill both levels. Returns 0, or the fault or exit; *i: the index in the first level, or -1.
static __attribute__((noinline)) int walk(struct sim_cpu *c, enum tlb_unit l1, uint64_t la, unsigned acc, bool again,
                                          struct hpa *pa, unsigned *may, int *i)
{
    struct tlb_entry e;
    c->stat[SIM_STAT_TLB_MISSES]++;
    const int r = mmu_walk(c, la, acc, &e);
    if (r)
        return r;
    pa->v = e.frame.v | (la & ((1ull << e.page_shift) - 1));
    __builtin_prefetch(ram_at(&c->m->ram, *pa));
    if (__builtin_expect(again, 0))
        tlb_supersede(c->tlb, l1, la, &e);
    *i = fill(c, l1, &e);
    *may = mmu_may(&c->mmu, c->isa.cpl == 3, tlb_data(&e));
    return 0;
}

// The translations return 0 with *pa, and *host as from mirror(); or the fault or exit.
static inline __attribute__((always_inline)) int translate_paged(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa,
                                                                 void **host)
{
    const enum tlb_unit l1 = acc & ISA_ACC_X ? TLB_ITLB : TLB_DTLB;
    struct tlb_unit_state *u = &c->tlb->u[l1];
    unsigned may;
    bool again = false;
    int r = 0, i = lookup(c, l1, la, acc, &may, &again, &r);
    if (i >= 0) {
        *pa = address_in(&u->hot[i], la);
        c->stat[SIM_STAT_TLB_HITS]++;
    } else if (r) {
        return r;
    } else if ((i = lookup(c, TLB_STLB, la, acc, &may, &again, &r)) >= 0) {
        *pa = address_in(&c->tlb->u[TLB_STLB].hot[i], la);
        c->stat[SIM_STAT_TLB_HITS]++;
        i = promote(c, l1, i, *pa);
    } else if (r || (r = walk(c, l1, la, acc, again, pa, &may, &i))) {
        return r;
    }
    // A profile without this first-level TLB keeps nothing that a mirror could stand for.
    if (i >= 0)
        *host = mirror(c, la, acc, *pa, may, u->hot[i].key0 >> 1 & 3 ? &u->mirrored[i] : NULL);
    return 0;
}

// In functional fidelity.
static __attribute__((noinline)) int walk_soft(struct sim_cpu *c, uint64_t la, unsigned acc, uint64_t *data)
{
    struct tlb_entry e;
    int r = mmu_walk(c, la, acc, &e);
    if (!r)
        *data = soft_fill(c, la, &e);
    return r;
}

static int translate_soft(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa, void **host)
{
    uint64_t data;
    if (soft_find(c, la, acc, &data)) {
        __builtin_prefetch(ram_at(&c->m->ram, (struct hpa){(data & TLB_DATA_FRAME) | (la & 0xfff)})); // as in translate_paged()
    } else {
        int r = walk_soft(c, la, acc, &data);
        if (r)
            return r;
    }
    pa->v = (data & TLB_DATA_FRAME) | (la & 0xfff);
    *host = mirror(c, la, acc, *pa, mmu_may(&c->mmu, c->isa.cpl == 3, data), NULL);
    return 0;
}

static int translate_direct(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa, void **host)
{
    pa->v = la;
    *host = mirror(c, la, acc, *pa, mmu_may(&c->mmu, c->isa.cpl == 3, TLB_DATA_DIRTY | 7 << 3 | 7), NULL);
    return 0;
}

// In the context that stands.
static inline __attribute__((always_inline)) int translate(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa,
                                                           void **host)
{
    *host = NULL;
#ifdef RINGSIDE_DEBUG
    assert(mmu_context_stands(c));
#endif
    const int r = c->mmu.direct    ? translate_direct(c, la, acc, pa, host)
                  : mmu_is_soft(c) ? translate_soft(c, la, acc, pa, host)
                                   : translate_paged(c, la, acc, pa, host);
    check_mirror(c);
    return r;
}

int mmu_translate(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa)
{
    void *host;
    if (__builtin_expect(!mmu_context_stands(c), 0))
        mmu_context(c);
    return translate(c, la, acc, pa, &host);
}

// --- prefetches

static bool readable(const struct sim_cpu *c, uint64_t data)
{
    const struct mmu_state *s = &c->mmu;
    const enum isa_rule rule = s->pg.mode == ISA_PG_NONE
                                   ? ISA_RULE_NONE
                                   : isa_pg_check(&s->pg, TLB_DATA_RIGHTS(data), isa_pg_user(&c->isa, ISA_ACC_R), ISA_ACC_R,
                                                  c->isa.rflags_sys & ISA_FL_AC);
    return rule == ISA_RULE_NONE && ept_allows(TLB_DATA_EPERMS(data), mmu_ept_need(ISA_ACC_R));
}

// Would a load of la be translated without a fault or an exit? By the TLB where it knows, else by the tables, which are not touched.
static bool translates(struct sim_cpu *c, uint64_t la)
{
    struct sim_walk w;
    uint64_t data;
    if (c->mmu.direct || (mmu_is_soft(c) && soft_find(c, la, ISA_ACC_R, &data)))
        return true;
    for (unsigned unit = TLB_DTLB; unit <= TLB_STLB && !mmu_is_soft(c); unit++) {
        const struct tlb_unit_state *u = &c->tlb->u[unit];
        const int i = u->size ? tlb_find(u, c->mmu.vpid, c->mmu.key1, la) : -1;
        if (i >= 0)
            return readable(c, u->hot[i].data);
    }
    sim_translate(c->m, c->n, la, ISA_ACC_R, &w);
    return w.outcome == SIM_WALK_OK || w.outcome == SIM_WALK_NO_PAGING;
}

bool mmu_translate_quietly(struct sim_cpu *c, uint64_t la, struct hpa *pa)
{
    mmu_context(c);
    if (!translates(c, la))
        return false;
    // What is left is a page-modification log that is full when the walk sets accessed flags.
    const struct isa_event fault = c->isa.fault;
    const struct vmx_exit exit = c->vmx.exit;
    if (!mmu_translate(c, la, ISA_ACC_R, pa))
        return !mmu_is_apic_page(&c->mmu, *pa);
    c->isa.fault = fault;
    c->vmx.exit = exit;
    return false;
}

void mmu_prefetch(struct isa_cpu *isa, uint64_t la, enum isa_prefetch hint)
{
    struct hpa pa;
    (void)mmu_translate_quietly(sim_cpu_of(isa), la, &pa);
}

// --- physical memory

// A copy of a variable size is a call; most are of these sizes.
static inline void copy(void *to, const void *from, unsigned n)
{
    if (n == 8)
        memcpy(to, from, 8);
    else if (n == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, n);
}

// Nothing answers. Where the machine could have RAM, that often is the beginning of the end: sim/boundary.c tells then.
static void nobody(struct sim_cpu *c, struct hpa pa)
{
    struct sim_machine *m = c->m;
    if (!m->beyond.pa && pa.v >= m->ram.size && pa.v < RAM_HOLE_START) {
        m->beyond.pa = pa.v;
        m->beyond.rip = engine_rip(&c->isa);
    }
}

static void phys_read(struct sim_cpu *c, struct hpa pa, uint8_t *buf, unsigned n)
{
    if (__builtin_expect(!bus_mmio_at(c->m, pa), 1)) {
        const uint8_t *p = ram_at(&c->m->ram, pa);
        if (p)
            copy(buf, p, n);
        else
            nobody(c, pa), memset(buf, 0xff, n);
        return;
    }
    while (n) { // naturally aligned pieces
        unsigned k = 8;
        while (k > n || pa.v & (k - 1))
            k /= 2;
        uint64_t v = bus_mmio_read(c->m, pa, k);
        memcpy(buf, &v, k);
        buf += k;
        pa.v += k;
        n -= k;
    }
}

void mmu_written(struct sim_machine *m, struct hpa pa, unsigned n)
{
    for (unsigned k = 0; k < m->ncpus; k++) {
        struct sim_cpu *c = m->cpu[k];
        tlb_written(c->tlb, pa, n);
        if (!c->monitor.waiting || pa.v >= c->monitor.pa.v + 64 || pa.v + n <= c->monitor.pa.v)
            continue;
        c->monitor.written = true;
        engine_kick(m);
    }
}

static void phys_write(struct sim_cpu *c, struct hpa pa, const uint8_t *buf, unsigned n)
{
    if (__builtin_expect(!bus_mmio_at(c->m, pa), 1)) {
        uint8_t *p = ram_at(&c->m->ram, pa);
        if (p) {
            if (engine_page_has_code(c->m, pa))
                engine_code_written(c->m, pa, n);
            copy(p, buf, n);
            if (mmu_guarded(c->m, pa))
                mmu_written(c->m, pa, n);
        } else {
            nobody(c, pa);
        }
        return;
    }
    while (n) {
        unsigned k = 8;
        while (k > n || pa.v & (k - 1))
            k /= 2;
        uint64_t v = 0;
        memcpy(&v, buf, k);
        bus_mmio_write(c->m, pa, k, v);
        buf += k;
        pa.v += k;
        n -= k;
    }
}

// --- linear accesses: at most two pages

struct span {
    struct hpa pa[2];
    unsigned n[2];
};

static __attribute__((noinline)) int second_page(struct sim_cpu *c, uint64_t la, unsigned acc, struct span *s)
{
    uint64_t next = la + s->n[0];
    if (!isa_long(&c->isa))
        next = (uint32_t)next;
    return mmu_translate(c, next, acc, &s->pa[1]);
}

static inline void split(struct span *s, uint64_t la, unsigned n)
{
    const unsigned room = 4096 - (unsigned)(la & 0xfff);
    assert(n >= 1 && n <= 4096);
    s->n[0] = n < room ? n : room;
    s->n[1] = n - s->n[0];
}

// In the context that stands. *host: as from mirror(), for what lies inside one page.
static inline __attribute__((always_inline)) int span(struct sim_cpu *c, uint64_t la, unsigned n, unsigned acc, struct span *s,
                                                      void **host)
{
    int r;
    split(s, la, n);
    if ((r = translate(c, la, acc, &s->pa[0], host)) || !s->n[1])
        return r;
    *host = NULL;
    return second_page(c, la, acc, s);
}

static void tell_mem(struct sim_cpu *c, uint64_t la, struct hpa pa, const void *buf, unsigned n, unsigned acc)
{
    if (!ev_wanted(c->m, EV_MEM))
        return;
    struct ev ev = {.kind = EV_MEM, .u.mem = {.la = la, .pa = pa, .size = (uint8_t)n, .acc = (uint8_t)acc}};
    memcpy(&ev.u.mem.value, buf, n < 8 ? n : 8);
    ev_emit(c, &ev);
}

// --- the APIC-access page (vmx-model/apic.c)

static bool spans_apic(const struct sim_cpu *c, const struct span *s)
{
    return __builtin_expect(c->mmu.apic_page != 0, 0) &&
           (mmu_is_apic_page(&c->mmu, s->pa[0]) || (s->n[1] && mmu_is_apic_page(&c->mmu, s->pa[1])));
}

static int apic_access(struct sim_cpu *c, const struct span *s, void *buf, unsigned acc)
{
    unsigned off = mmu_is_apic_page(&c->mmu, s->pa[0]) ? (unsigned)(s->pa[0].v & 0xfff) : 0;
    int r = vmx_apic_access(&c->isa, &c->vmx, off, buf, s->n[0] + s->n[1], acc);
    if (!r && c->vmx.trap_reason)
        engine_kick(c->m);
    return r;
}

// --- data breakpoints

static void meet_breakpoints(struct sim_cpu *c, uint64_t la, unsigned n, bool write)
{
    isa_bp_data(&c->isa, la, n, write);
    if (c->isa.dbg_hits)
        engine_kick(c->m); // the trap comes after this instruction
}

// detailed: tell the caches. A constant in each caller.
static inline __attribute__((always_inline)) void reach(struct sim_cpu *c, const struct span *s, unsigned acc, bool detailed)
{
    if (!detailed)
        return;
    detailed_data(c, s->pa[0], s->n[0], acc);
    if (s->n[1])
        detailed_data(c, s->pa[1], s->n[1], acc);
}

// Accesses by instructions have asked the inline TLB already, which is used in the context that stands only. Others may come in the middle of a change.
static inline void choose_context(struct sim_cpu *c, unsigned acc)
{
    if (__builtin_expect(acc & (ISA_ACC_SYS | ISA_ACC_USER), 0) && !mmu_context_stands(c))
        mmu_context(c);
}

static inline __attribute__((always_inline)) int read_linear(struct isa_cpu *isa, uint64_t la, void *buf, unsigned n, unsigned acc,
                                                             bool detailed)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct span s;
    void *p;
    if (!detailed && mmu_is_soft(c) && (p = mmu_mirror_wide(c, la, n, acc & ~ISA_ACC_W))) {
        copy(buf, p, n);
        return 0;
    }
    choose_context(c, acc);
    int r = span(c, la, n, acc & ~ISA_ACC_W, &s, &p);
    if (r)
        return r;
    if (!detailed && p) { // what is mirrored by now has nothing special
        copy(buf, p, n);
        return 0;
    }
    if (__builtin_expect(c->mmu.watching, 0))
        meet_breakpoints(c, la, n, false);
    if (spans_apic(c, &s))
        return apic_access(c, &s, buf, acc & ~ISA_ACC_W);
    reach(c, &s, acc & ~ISA_ACC_W, detailed);
    phys_read(c, s.pa[0], buf, s.n[0]);
    if (s.n[1])
        phys_read(c, s.pa[1], (uint8_t *)buf + s.n[0], s.n[1]);
    tell_mem(c, la, s.pa[0], buf, n, acc);
    return 0;
}

static inline __attribute__((always_inline)) int write_linear(struct isa_cpu *isa, uint64_t la, const void *buf, unsigned n,
                                                              unsigned acc, bool detailed)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct span s;
    void *p;
    if (!detailed && mmu_is_soft(c) && (p = mmu_mirror_wide(c, la, n, acc | ISA_ACC_W))) {
        copy(p, buf, n);
        return 0;
    }
    choose_context(c, acc);
    int r = span(c, la, n, acc | ISA_ACC_W, &s, &p);
    if (r)
        return r;
    if (!detailed && p) {
        copy(p, buf, n);
        return 0;
    }
    if (__builtin_expect(c->mmu.watching, 0))
        meet_breakpoints(c, la, n, true);
    if (spans_apic(c, &s)) {
        uint64_t val = 0; // what is longer than that exits
        memcpy(&val, buf, n < sizeof val ? n : sizeof val);
        return apic_access(c, &s, &val, acc | ISA_ACC_W);
    }
    reach(c, &s, acc | ISA_ACC_W, detailed);
    phys_write(c, s.pa[0], buf, s.n[0]);
    if (s.n[1])
        phys_write(c, s.pa[1], (const uint8_t *)buf + s.n[0], s.n[1]);
    tell_mem(c, la, s.pa[0], buf, n, acc | ISA_ACC_W);
    return 0;
}

// A store to a page that the inline TLB knows but may not write, for there are paging-structure entries in it, mostly: no translation is needed.
static bool write_guarded(struct isa_cpu *isa, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    const unsigned slot = isa_mirror_slot(la);
    uint8_t *p = c->mmu.may_write[slot] ? isa_mirror_in(isa->rd, isa, la, n, acc) : NULL;
    if (!p)
        return false;
    const struct hpa pa = ram_address(&c->m->ram, p);
    if (engine_page_has_code(c->m, pa))
        return false;
    copy(p, buf, n);
    if (mmu_guarded(c->m, pa))
        mmu_written(c->m, pa, n);
    if (!mmu_guarded(c->m, pa)) // any more
        isa->wr[slot] = isa->rd[slot];
    return true;
}

static __attribute__((noinline)) int read_otherwise(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    return read_linear(c, la, buf, n, acc, false);
}

// Almost all are plain loads: with a constant most questions about the access have gone.
int mmu_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    return acc == ISA_ACC_R ? read_linear(c, la, buf, n, ISA_ACC_R, false) : read_otherwise(c, la, buf, n, acc);
}
int mmu_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    return write_guarded(c, la, buf, n, acc) ? 0 : write_linear(c, la, buf, n, acc, false);
}
int mmu_read_detailed(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    return read_linear(c, la, buf, n, acc, true);
}
int mmu_write_detailed(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    return write_linear(c, la, buf, n, acc, true);
}

int mmu_probe(struct isa_cpu *isa, uint64_t la, unsigned n, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct span s;
    split(&s, la, n);
    int r = mmu_translate(c, la, acc, &s.pa[0]);
    if (!r && s.n[1])
        r = second_page(c, la, acc, &s);
    return !r && spans_apic(c, &s) ? apic_access(c, &s, NULL, acc) : r;
}

// A pure L1 lookup: no walk, no fill, no charge, no event. Where it finds nothing, the caller's element-wise access does all that and
// the next call finds it; so costs and events do not depend on whether runs are taken.
void *mmu_host_run(struct isa_cpu *isa, uint64_t la, uint64_t max, uint64_t *len, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct mmu_state *s = &c->mmu;
    struct hpa pa = {la};
    mmu_context(c);
    if (engine_observed(c->m) || ev_wanted(c->m, EV_TLB_STALE) || mmu_is_watched(s, la) || !max)
        return NULL;
    if (!s->direct && mmu_is_soft(c)) {
        uint64_t data;
        if (!soft_find(c, la, acc, &data))
            return NULL;
        pa.v = (data & TLB_DATA_FRAME) | (la & 0xfff);
    } else if (!s->direct) {
        const struct tlb_unit_state *u = &c->tlb->u[TLB_DTLB];
        int i = u->size ? tlb_find(u, s->vpid, s->key1, la) : -1;
        if (i < 0)
            return NULL;
        uint64_t data = u->hot[i].data;
        if (s->pg.mode != ISA_PG_NONE &&
            isa_pg_check(&s->pg, TLB_DATA_RIGHTS(data), isa_pg_user(isa, acc), acc, isa->rflags_sys & ISA_FL_AC) != ISA_RULE_NONE)
            return NULL;
        if (!ept_allows(TLB_DATA_EPERMS(data), mmu_ept_need(acc)) || ((acc & WRITES) && !(data & TLB_DATA_DIRTY)))
            return NULL;
        pa = address_in(&u->hot[i], la);
    }
    uint8_t *p = ram_at(&c->m->ram, pa);
    if (!p || bus_mmio_at(c->m, pa) || mmu_is_apic_page(s, pa) ||
        ((acc & WRITES) && (engine_page_has_code(c->m, pa) || mmu_guarded(c->m, pa))))
        return NULL;
    uint64_t room = 4096 - (la & 0xfff);
    *len = max < room ? max : room;
    return p;
}

int mmu_fetch_slow(struct isa_cpu *isa, uint64_t la, struct hpa *pa)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    if (mmu_mirror_fetch_again(c, la)) {
        c->stat[SIM_STAT_TLB_HITS] += !c->mmu.direct; // in the first level
        return mmu_fetch(isa, la, pa);
    }
    int r = mmu_translate(c, la, ISA_ACC_X, pa);
    if (!r && mmu_is_apic_page(&c->mmu, *pa))
        return vmx_apic_access(isa, &c->vmx, (unsigned)(pa->v & 0xfff), NULL, 1, ISA_ACC_X);
    return r;
}

// --- guest-physical accesses

static int phys(struct isa_cpu *isa, struct gpa gpa, unsigned n, unsigned acc, struct span *s)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    unsigned room = 4096 - (unsigned)(gpa.v & 0xfff);
    int r;
    s->n[0] = n < room ? n : room;
    s->n[1] = n - s->n[0];
    assert(s->n[1] <= 4096);
    // VMX reads its own structures by posing as root operation for a moment (vmx_phys_read): no reason to change context.
    if (isa->vmx != ISA_VMX_NONROOT) {
        s->pa[0].v = gpa.v;
        s->pa[1].v = gpa.v + s->n[0];
        return 0;
    }
    mmu_context(c);
    if ((r = mmu_walk_gpa(c, gpa, acc, &s->pa[0])) ||
        (s->n[1] && (r = mmu_walk_gpa(c, (struct gpa){gpa.v + s->n[0]}, acc, &s->pa[1]))))
        return r;
    return spans_apic(c, s) ? vmx_apic_access_physical(isa, &c->vmx, (unsigned)(s->pa[0].v & 0xfff)) : 0;
}

static int read_physical(struct isa_cpu *isa, struct gpa gpa, void *buf, unsigned n, bool detailed)
{
    struct span s;
    int r = phys(isa, gpa, n, ISA_ACC_R, &s);
    if (r)
        return r;
    reach(sim_cpu_of(isa), &s, ISA_ACC_R | ISA_ACC_SYS, detailed);
    phys_read(sim_cpu_of(isa), s.pa[0], buf, s.n[0]);
    if (s.n[1])
        phys_read(sim_cpu_of(isa), s.pa[1], (uint8_t *)buf + s.n[0], s.n[1]);
    return 0;
}

static int write_physical(struct isa_cpu *isa, struct gpa gpa, const void *buf, unsigned n, bool detailed)
{
    struct span s;
    int r = phys(isa, gpa, n, ISA_ACC_W, &s);
    if (r)
        return r;
    reach(sim_cpu_of(isa), &s, ISA_ACC_W | ISA_ACC_SYS, detailed);
    phys_write(sim_cpu_of(isa), s.pa[0], buf, s.n[0]);
    if (s.n[1])
        phys_write(sim_cpu_of(isa), s.pa[1], (const uint8_t *)buf + s.n[0], s.n[1]);
    return 0;
}

int mmu_read_phys(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n) { return read_physical(c, pa, buf, n, false); }
int mmu_write_phys(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n) { return write_physical(c, pa, buf, n, false); }
int mmu_read_phys_detailed(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n) { return read_physical(c, pa, buf, n, true); }
int mmu_write_phys_detailed(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n)
{
    return write_physical(c, pa, buf, n, true);
}
