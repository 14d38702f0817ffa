// sim/detailed.c: detailed fidelity: the caches are told of every reference to memory, and their latencies are charged.
//
// FETCH      the processor keeps the line that it fetched from last; an instruction that lies in it costs nothing more, one that does not
//            brings its line in. Hits in L1I are hidden by pipelining, so what is charged is what a line takes beyond that.
// DATA       the static cost of an instruction covers a hit in L1D (cost.load is its latency here); what the line takes beyond that is
//            charged where it is touched, once per line. Stores wait like loads: there is no store buffer. Repeated MOVS and STOS go on inside a
//            line that their first element has brought in without asking for each (detailed_host_run): those are hits, which are counted.
// WALKS      a reference to a paging-structure entry takes what its line takes, and costs nothing else.
// REQUESTS   CLFLUSH and WBINVD wait for memory, once for each modified line that they write back; CLFLUSHOPT, CLWB and non-temporal stores
//            leave that to the background, INVD writes nothing back.
// PREFETCH   brings lines in like loads and stores, but what they take passes beside what the processor does: who uses a line earlier waits for the rest.
// LEFT OUT   device memory is not cached. Devices reach RAM past the caches.
#include "sim/block.h"
#include "sim/cache_array.h"
#include "sim/engine.h"

#include <assert.h>
#include <string.h>

#include "isa/decode.h"

static struct cache_config config_of(const struct sim_profile *p, unsigned cpus)
{
    return (struct cache_config){
        .cpus = cpus,
        .unit = {[CACHE_L1I] = p->l1i, [CACHE_L1D] = p->l1d, [CACHE_L2] = p->l2, [CACHE_L3] = p->l3},
        .memory = (uint32_t)(p->dram_ns * (p->hz / 1000000) / 1000),
        .line = {p->line[0], p->line[1], p->line[2]},
        .die = p->die,
    };
}

int detailed_check(const struct sim_profile *p, struct sim_error *err)
{
    const struct cache_config cfg = config_of(p, 1);
    return cache_config_check(&cfg, err);
}

void detailed_select(struct sim_machine *m)
{
    const bool on = m->fidelity == SIM_DETAILED;
    detailed_destroy(m);
    if (on) {
        const struct cache_config cfg = config_of(m->profile, m->ncpus);
        struct sim_error err = {0};
        m->caches = caches_create(&cfg, &err);
        assert(m->caches && "detailed_check() was asked at creation");
        m->line = cache_geometry(m->caches, CACHE_L1D).line;
        m->memory_cycles = cfg.memory;
    }
    for (unsigned n = 0; n < m->ncpus; n++) {
        m->cpu[n]->isa.env = on ? &sim_env_detailed : &sim_env;
        m->cpu[n]->l1i = on ? cache_first(m->caches, n, CACHE_L1I) : NULL;
        m->cpu[n]->l1d = on ? cache_first(m->caches, n, CACHE_L1D) : NULL;
        m->cpu[n]->fetch_line = UINT64_MAX, m->cpu[n]->ncoming = 0;
    }
}

void detailed_destroy(struct sim_machine *m)
{
    caches_destroy(m->caches);
    m->caches = NULL;
}

void detailed_reset(struct sim_machine *m)
{
    if (m->caches)
        caches_clear(m->caches);
    for (unsigned n = 0; n < m->ncpus; n++)
        m->cpu[n]->fetch_line = UINT64_MAX, m->cpu[n]->ncoming = 0;
}

void detailed_costs(struct sim_machine *m)
{
    const struct profile_cache *l1 = &m->profile->l1d;
    m->charge[ISA_COST_WALKREF] = 0;
    if (l1->size && l1->latency)
        m->cost[ISA_COST_LOAD] = m->charge[ISA_COST_LOAD] = l1->latency;
}

void detailed_counts(struct sim_machine *m)
{
    for (unsigned n = 0; m->caches && n < m->ncpus; n++) {
        uint64_t *stat = m->cpu[n]->stat;
        const struct cache_traffic t = cache_traffic(m->caches, n);
#define UNIT(u)                                                                                                                    \
    do {                                                                                                                           \
        const struct cache_counts k = cache_counts(m->caches, n, CACHE_##u);                                                       \
        stat[SIM_STAT_##u##_HIT] = k.hits;                                                                                         \
        stat[SIM_STAT_##u##_MISS] = k.misses;                                                                                      \
        stat[SIM_STAT_##u##_EVICT] = k.evictions;                                                                                  \
        stat[SIM_STAT_##u##_WRITEBACK] = k.writebacks;                                                                             \
    } while (0)
        UNIT(L1I);
        UNIT(L1D);
        UNIT(L2);
        UNIT(L3);
#undef UNIT
        stat[SIM_STAT_MEMORY] = t.memory;
        stat[SIM_STAT_LINE_TRANSFER] = t.transfers;
        stat[SIM_STAT_LINE_INVALIDATE] = t.invalidations;
        stat[SIM_STAT_LINE_UPGRADE] = t.upgrades;
        stat[SIM_STAT_LINE_RECALL] = t.recalls;
        stat[SIM_STAT_LINE_FLUSH] = t.flushed;
        stat[SIM_STAT_LINE_CLEAN] = t.cleaned;
        stat[SIM_STAT_LINE_PAST] = t.past;
    }
}

// What a request for a line takes, with what it waits for those of other processors.
static inline uint32_t queued(struct sim_cpu *c, uint64_t line, struct cache_result r)
{
    if (__builtin_expect(c->m->ncpus == 1, 1) || r.server <= CACHE_L2)
        return r.cycles;
    return cache_queue(c->m->caches, c->n, line, r, engine_now(&c->isa));
}

static inline uint32_t cycles_of(struct sim_cpu *c, uint64_t line, enum cache_kind kind)
{
    return queued(c, line, cache_access(c->m->caches, c->n, line, kind));
}

static void charge_beyond(struct sim_cpu *c, uint32_t cycles, uint32_t hidden)
{
    if (cycles > hidden)
        engine_charge(&c->isa, cycles - hidden);
}

// For that many lines to reach memory.
static void wait_for(struct sim_cpu *c, unsigned lines)
{
    if (lines)
        engine_charge(&c->isa, (uint64_t)lines * c->m->memory_cycles);
}

// --- data

static enum cache_kind kind_of(const struct isa_insn *i, unsigned acc)
{
    if (!(acc & (ISA_ACC_W | ISA_ACC_RMW)))
        return CACHE_LOAD;
    const bool locked = i && (i->lock || ((i->op == ISA_OP_XCHG_Eb_Gb || i->op == ISA_OP_XCHG_Ev_Gv) && i->is_mem));
    return locked && (acc & ISA_ACC_RMW) ? CACHE_RMW : CACHE_STORE;
}

// A line that is used before it has come takes what is left of its way, or more if it has been lost meanwhile.
static __attribute__((noinline)) uint32_t await(struct sim_cpu *c, uint64_t line, uint32_t cycles)
{
    const uint64_t now = engine_now(&c->isa);
    unsigned left = 0;
    for (unsigned k = 0; k < c->ncoming; k++) {
        const bool due = c->coming[k].ready <= now, mine = c->coming[k].line == line;
        if (!due && mine && c->coming[k].ready - now > cycles)
            cycles = (uint32_t)(c->coming[k].ready - now);
        if (!due && !mine)
            c->coming[left++] = c->coming[k];
    }
    c->ncoming = left;
    return cycles;
}

static __attribute__((noinline)) void touch_line(struct sim_cpu *c, uint64_t line, enum cache_kind kind)
{
    uint32_t cycles = cycles_of(c, line, kind);
    if (__builtin_expect(c->ncoming != 0, 0))
        cycles = await(c, line, cycles);
    charge_beyond(c, cycles, c->m->profile->l1d.latency);
}

static __attribute__((noinline)) void touch_lines(struct sim_cpu *c, struct hpa pa, unsigned n, enum cache_kind kind)
{
    const uint64_t size = c->m->line, last = (pa.v + n - 1) & -size;
    for (uint64_t line = pa.v & -size; line <= last; line += size)
        touch_line(c, line, kind);
}

// Most accesses lie in one line, and most of those where its set was used last: they take no more than the instruction's own cost.
static inline __attribute__((always_inline)) void touch(struct sim_cpu *c, struct hpa pa, unsigned n, unsigned acc)
{
    const uint64_t frame = c->l1d->frame;
    if (__builtin_expect(((pa.v ^ (pa.v + n - 1)) & frame) != 0, 0))
        touch_lines(c, pa, n, kind_of(c->isa.at, acc));
    else if (c->ncoming || !array_again(c->l1d, pa.v, acc & (ISA_ACC_W | ISA_ACC_RMW)))
        touch_line(c, pa.v & frame, kind_of(c->isa.at, acc));
}

// Instructions whose accesses are no loads and stores to the caches.
enum request { NO_REQUEST, FLUSH, FLUSH_OPT, WRITE_BACK, STORE_PAST };
static const uint8_t requests[ISA_OP_NUM] = {
    [ISA_OP_CLFLUSH] = FLUSH,
    [ISA_OP_CLFLUSHOPT] = FLUSH_OPT,
    [ISA_OP_CLWB] = WRITE_BACK,
    [ISA_OP_MOVNTPS_Mx_Vx] = STORE_PAST,
    [ISA_OP_MOVNTPD_Mx_Vx] = STORE_PAST,
    [ISA_OP_MOVNTI_My_Gy] = STORE_PAST,
    [ISA_OP_MOVNTQ_Mq_Pq] = STORE_PAST,
    [ISA_OP_MOVNTDQ_Mx_Vx] = STORE_PAST,
    [ISA_OP_MASKMOVQ_Pq_Nq] = STORE_PAST,
    [ISA_OP_MASKMOVDQU_Vx_Ux] = STORE_PAST,
};

static inline enum request request_of(const struct isa_insn *i, unsigned acc)
{
    if (!i || acc & ISA_ACC_SYS)
        return NO_REQUEST;
    const enum request q = (enum request)requests[i->op];
    return (q == STORE_PAST) == (acc & ISA_ACC_W) ? q : NO_REQUEST;
}

static void carry_out(struct sim_cpu *c, struct hpa pa, unsigned n, enum request q)
{
    struct caches *h = c->m->caches;
    unsigned written = 0;
    switch (q) {
    case FLUSH: written = cache_flush_line(h, c->n, pa.v); break;
    case FLUSH_OPT: cache_flush_line(h, c->n, pa.v); break;
    case WRITE_BACK: cache_clean_line(h, c->n, pa.v); break;
    case STORE_PAST:
        for (uint64_t line = pa.v & -c->m->line; line < pa.v + n; line += c->m->line)
            cache_store_past(h, c->n, line);
        break;
    case NO_REQUEST: break;
    }
    wait_for(c, written);
}

void detailed_data(struct sim_cpu *c, struct hpa pa, unsigned n, unsigned acc)
{
    if (bus_mmio_at(c->m, pa) || !ram_at(&c->m->ram, pa))
        return;
    const enum request q = request_of(c->isa.at, acc);
    if (__builtin_expect(q != NO_REQUEST, 0))
        carry_out(c, pa, n, q);
    else
        touch(c, pa, n, acc);
}

void detailed_flush_caches(struct isa_cpu *isa, bool write_back)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    wait_for(c, cache_flush_all(c->m->caches, c->n, write_back));
    c->fetch_line = UINT64_MAX;
}

// The host's address of bytes in a page that the inline TLB would know, if it were asked.
static inline void *known(const struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    const struct isa_mirror *e = &(acc & (ISA_ACC_W | ISA_ACC_RMW) ? c->wr : c->rd)[isa_mirror_slot(la)];
    if (e->tag != ((la & ~0xfffull) | c->mctx | MMU_HIDDEN) || (la & 0xfff) + n > 0x1000)
        return NULL;
    if (acc & (ISA_ACC_USER | ISA_ACC_X) || ((acc & ISA_ACC_SYS) && c->cpl == 3)) // other rights than the context's
        return NULL;
    return (void *)(uintptr_t)(e->addend + la);
}

static inline void copy(void *to, const void *from, unsigned n)
{
    if (n == 8)
        memcpy(to, from, 8);
    else if (n == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, n);
}

int detailed_read(struct isa_cpu *isa, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    acc &= ~ISA_ACC_W;
    const void *p = known(isa, la, n, acc);
    if (!p || request_of(isa->at, acc))
        return mmu_read_detailed(isa, la, buf, n, acc);
    touch(c, ram_address(&c->m->ram, p), n, acc);
    copy(buf, p, n);
    return 0;
}

int detailed_write(struct isa_cpu *isa, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    acc |= ISA_ACC_W;
    void *p = known(isa, la, n, acc);
    if (!p || request_of(isa->at, acc))
        return mmu_write_detailed(isa, la, buf, n, acc);
    touch(c, ram_address(&c->m->ram, p), n, acc);
    copy(p, buf, n);
    return 0;
}

// The rest of a line that L1D has in the state that is wanted: all of it are hits, which charge nothing and of which each but the first changes nothing
// but the count of hits. (Of two lines that are used in turn the order of replacement is that of one turn.)
void *detailed_host_run(struct isa_cpu *isa, uint64_t la, uint64_t max, uint64_t *len, unsigned acc)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    void *p = known(isa, la, 1, acc);
    if (!p)
        return NULL;
    const struct hpa pa = ram_address(&c->m->ram, p);
    if (!cache_hits(c->m->caches, c->n, pa.v, acc & ISA_ACC_W ? CACHE_STORE : CACHE_LOAD))
        return NULL;
    const uint64_t room = c->m->line - (pa.v & (c->m->line - 1));
    *len = max < room ? max : room;
    return p;
}

void detailed_host_ran(struct isa_cpu *isa, const void *d, const void *s, uint64_t k)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct caches *h = c->m->caches;
    if (s)
        cache_access(h, c->n, ram_address(&c->m->ram, s).v, CACHE_LOAD);
    cache_access(h, c->n, ram_address(&c->m->ram, d).v, CACHE_STORE);
    cache_count_hits(h, c->n, (s ? 2 : 1) * (k - 1));
}

// The processor waits for the translation, and for one of its buffers where all have a line on its way, but not for the line.
void detailed_prefetch(struct isa_cpu *isa, uint64_t la, enum isa_prefetch hint)
{
    static const enum cache_prefetch how[] = {[ISA_PREFETCH_NTA] = CACHE_PREFETCH_NTA,
                                              [ISA_PREFETCH_T0] = CACHE_PREFETCH_T0,
                                              [ISA_PREFETCH_T1] = CACHE_PREFETCH_L2,
                                              [ISA_PREFETCH_T2] = CACHE_PREFETCH_L2,
                                              [ISA_PREFETCH_W] = CACHE_PREFETCH_W};
    struct sim_cpu *c = sim_cpu_of(isa);
    const void *p = known(isa, la, 1, ISA_ACC_R);
    struct hpa pa = {0};
    if (p)
        pa = ram_address(&c->m->ram, p);
    else if (!mmu_translate_quietly(c, la, &pa) || bus_mmio_at(c->m, pa) || !ram_at(&c->m->ram, pa))
        return;
    const uint64_t line = pa.v & -c->m->line;
    const uint32_t cycles = queued(c, line, cache_prefetch(c->m->caches, c->n, line, how[hint]));
    if (cycles <= c->m->profile->l1d.latency)
        return;
    uint64_t now = engine_now(isa), first = UINT64_MAX;
    (void)await(c, UINT64_MAX, 0); // those that have come leave their buffers
    for (unsigned k = 0; k < c->ncoming; k++)
        first = c->coming[k].ready < first ? c->coming[k].ready : first;
    if (c->ncoming == sizeof c->coming / sizeof *c->coming) {
        engine_charge(isa, first - now);
        now = first;
        (void)await(c, UINT64_MAX, 0);
    }
    c->coming[c->ncoming].line = line;
    c->coming[c->ncoming++].ready = now + cycles;
}

int detailed_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    return known(c, la, n, acc) ? 0 : mmu_probe(c, la, n, acc);
}

void detailed_reference(struct sim_cpu *c, struct hpa pa, bool set_ad)
{
    const bool again = array_again(c->l1d, pa.v, set_ad);
    engine_charge(&c->isa, again ? c->l1d->latency : cycles_of(c, pa.v, set_ad ? CACHE_RMW : CACHE_LOAD));
}

// --- instruction fetch

static void fetch_line(struct sim_cpu *c, uint64_t line)
{
    if (line == c->fetch_line)
        return;
    c->fetch_line = line;
    if (!array_again(c->l1i, line, false))
        charge_beyond(c, cycles_of(c, line, CACHE_FETCH), c->m->profile->l1i.latency);
}

static __attribute__((noinline)) void fetch_lines(struct isa_cpu *c, const struct isa_insn *i)
{
    struct sim_cpu *cpu = sim_cpu_of(c);
    const struct block *b = block_of(i);
    const uint64_t first = b->pa + i->off, frame = cpu->l1i->frame;
    const unsigned in_page = 0x1000 - (unsigned)(b->pa & 0xfff);
    const uint64_t last = b->cross ? b->pa2 + b->bytes - in_page - 1 : first + i->len - 1;
    c->at = i;
    fetch_line(cpu, first & frame);
    fetch_line(cpu, last & frame);
}

// Every instruction lies in one line, or in one and the next. The next one's page may be elsewhere.
static inline __attribute__((always_inline)) void fetch(struct isa_cpu *c, const struct isa_insn *i)
{
    const struct sim_cpu *cpu = sim_cpu_of(c);
    const struct block *b = block_of(i);
    const uint64_t first = b->pa + i->off, last = first + i->len - 1, here = cpu->fetch_line;
    if (__builtin_expect(b->cross || (((first ^ here) | (last ^ here)) & cpu->l1i->frame), 0))
        fetch_lines(c, i);
}

// Stand before the handlers of instructions that may have to bring a line in.
static int fetch_loop(struct isa_cpu *c, const struct isa_insn *i)
{
    fetch(c, i);
    return isa_handler_in(isa_run_loop, i)(c, i);
}
#ifndef RINGSIDE_NO_TAIL
static int fetch_tail(struct isa_cpu *c, const struct isa_insn *i)
{
    fetch(c, i);
    return isa_handler_in(isa_run_tail, i)(c, i);
}
#else
#define fetch_tail fetch_loop
#endif

void detailed_prepare(const struct sim_machine *m, struct block *b, bool loop)
{
    for (unsigned k = 0; k < b->n; k++) {
        struct isa_insn *i = &b->insn[k];
        const uint64_t at = b->pa + i->off;
        // The first of a block comes from anywhere; others follow one that ended in the line that is here.
        if (k == 0 || cache_line(m->caches, at - 1) != cache_line(m->caches, at + i->len - 1))
            i->run = loop ? fetch_loop : fetch_tail;
    }
}
