// sim/mirror.c: the inline mirrors of live L1 TLB entries, and the context numbers in their tags. Invariants: sim/mmu.h.
#include <assert.h>
#include <string.h>

#include "sim/internal.h"

_Static_assert(MMU_NCTX * 2 << MMU_WIDE_SERIAL_BITS == 1 << 19,
               "a tag of the wide mirror has its bits for contexts and serial number");

static uint64_t tag_of(const struct sim_cpu *c, uint64_t la) { return (la & ~0xfffull) | c->isa.mctx; }
static unsigned tag_ctx(uint64_t tag) { return (unsigned)(tag >> 4) & 0x7f; }
_Static_assert(MMU_NCTX * 2 - 1 < 0x7f && MMU_HIDDEN >> 4 > 0x7f, "context numbers, the user bit and MMU_HIDDEN share eight bits");

// off: no_data_mirror or no_fetch_mirror, which stand for the TLB's policy as well.
static inline bool allowed(const struct sim_machine *m, bool off)
{
    return !off && !(m->ev_mask & (ENGINE_OBSERVERS | EV_BIT(EV_TLB_STALE)));
}

// --- the wide mirror

static struct isa_mirror *wide_slot(const struct sim_cpu *c, uint64_t la) { return &c->mmu.wide[mmu_wide_index(la)]; }

static uint64_t wide_tag(const struct sim_cpu *c, uint64_t la)
{
    return la << 7 >> 19 << 19 | c->isa.mctx >> 4 << MMU_WIDE_SERIAL_BITS | c->mmu.wide_serial;
}

// Does the access have the rights of the context, and no others?
static bool as_context(const struct sim_cpu *c, unsigned acc)
{
    return !(acc & (ISA_ACC_USER | ISA_ACC_X)) && !((acc & ISA_ACC_SYS) && c->isa.cpl == 3);
}

static void wide_drop(struct sim_cpu *c, uint64_t la)
{
    if (c->mmu.wide && wide_slot(c, la)->tag >> 19 == (la << 7 >> 19))
        wide_slot(c, la)->tag = 0;
}

// Nothing in it holds any longer.
static void wide_clear(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    if (!s->wide || ++s->wide_serial < 1u << MMU_WIDE_SERIAL_BITS)
        return;
    memset(s->wide, 0, MMU_WIDE_SIZE * sizeof *s->wide);
    s->wide_serial = 1;
}

// Part of the memory that the inline TLB may write: no decoded code, nothing that the TLBs or a sleeper must hear of.
static inline bool plain(const struct sim_cpu *c, struct hpa page, const uint8_t *host)
{
    return !engine_host_has_code(c->m, host) && !mmu_guarded(c->m, page);
}

void *mmu_mirror_wide(struct sim_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    const struct isa_mirror *e = wide_slot(c, la);
    if (e->tag != wide_tag(c, la) || (la & 0xfff) + n > 0x1000 || !as_context(c, acc))
        return NULL;
    const struct isa_mirror m = {tag_of(c, la), e->addend & ~1ull};
    const struct hpa page = ram_address(&c->m->ram, (const void *)(uintptr_t)(m.addend + (la & ~0xfffull)));
    const bool wr = (e->addend & 1) && plain(c, page, (const void *)(uintptr_t)(m.addend + la));
    if ((acc & (ISA_ACC_W | ISA_ACC_RMW)) && !wr)
        return NULL;
    const unsigned slot = isa_mirror_slot(la);
    c->mmu.used[slot / 64] |= 1ull << slot % 64;
    c->isa.rd[slot] = m;
    c->mmu.may_write[slot] = e->addend & 1;
    if (wr)
        c->isa.wr[slot] = m;
    c->isa.guess = m.addend;
    return (void *)(uintptr_t)(m.addend + la);
}

void mmu_mirror_unwide(struct sim_cpu *c, uint64_t la)
{
    if (c->mmu.wide)
        wide_slot(c, la)->tag = 0;
}

// --- the mirrors

static inline void take_note(struct mmu_note *note, unsigned slot)
{
    if (!note || note->one == slot + 1)
        return;
    if (!note->one) {
        note->one = slot + 1;
        return;
    }
    if (note->one != MMU_NOTE_MORE)
        note->more[(note->one - 1) / 64] |= 1ull << (note->one - 1) % 64;
    note->more[slot / 64] |= 1ull << slot % 64;
    note->one = MMU_NOTE_MORE;
}

void *mmu_mirror_fill(struct sim_cpu *c, uint64_t la, struct hpa pa, unsigned may, bool write, struct mmu_note *note)
{
    struct isa_cpu *isa = &c->isa;
    const struct mmu_state *s = &c->mmu;
    if (!allowed(c->m, c->m->no_data_mirror) || (__builtin_expect(s->watching, 0) && mmu_is_watched(s, la)))
        return NULL;
    struct hpa page = {pa.v & ~0xfffull};
    uint8_t *host = ram_at(&c->m->ram, page);
    if (!host || bus_mmio_at(c->m, page) || !may)
        return NULL;
    const struct isa_mirror m = {tag_of(c, la) | c->m->hidden, (uint64_t)(uintptr_t)host - (la & ~0xfffull)};
    const unsigned slot = isa_mirror_slot(la);
    const bool may_write = may & MMU_MAY_WRITE, wr = may_write && plain(c, page, host);
    c->mmu.used[slot / 64] |= 1ull << slot % 64;
    take_note(note, slot);
    isa->rd[slot] = m;
    isa->guess = m.addend;
    c->mmu.may_write[slot] = may_write;
    if (wr)
        isa->wr[slot] = m;
    if (mmu_is_soft(c))
        *wide_slot(c, la) = (struct isa_mirror){wide_tag(c, la), m.addend | may_write};
    return wr || !write ? host + (la & 0xfff) : NULL;
}

void mmu_mirror_fill_fetch(struct sim_cpu *c, uint64_t la, struct hpa pa, struct mmu_note *note)
{
    if (!allowed(c->m, c->m->no_fetch_mirror))
        return;
    const unsigned slot = mmu_fx_slot(la, c->isa.mctx);
    c->mmu.fx_old[slot] = c->mmu.fx[slot];
    c->mmu.fx[slot] = (struct mmu_fetch_mirror){tag_of(c, la), pa.v & ~0xfffull};
    c->mmu.fx_used |= 1ull << slot;
    take_note(note, slot);
}

bool mmu_mirror_fetch_again(struct sim_cpu *c, uint64_t la)
{
    const unsigned slot = mmu_fx_slot(la, c->isa.mctx);
    const struct mmu_fetch_mirror old = c->mmu.fx_old[slot];
    if (old.tag != tag_of(c, la))
        return false;
    c->mmu.fx_old[slot] = c->mmu.fx[slot];
    c->mmu.fx[slot] = old;
    return true;
}

static inline bool drop_slot(uint64_t *tag, uint64_t la, unsigned shift)
{
    if ((*tag ^ la) >> shift == 0)
        *tag = ISA_MIRROR_EMPTY;
    return *tag == ISA_MIRROR_EMPTY;
}

static inline void drop_data(struct sim_cpu *c, unsigned slot, uint64_t la, unsigned shift)
{
    bool no_rd = drop_slot(&c->isa.rd[slot].tag, la, shift), no_wr = drop_slot(&c->isa.wr[slot].tag, la, shift);
    if (no_rd && no_wr)
        c->mmu.used[slot / 64] &= ~(1ull << slot % 64);
}

static void drop_fetch(struct sim_cpu *c, unsigned slot, uint64_t la, unsigned shift)
{
    isa_new_generation(&c->isa);
    bool no_fx = drop_slot(&c->mmu.fx[slot].tag, la, shift), no_old = drop_slot(&c->mmu.fx_old[slot].tag, la, shift);
    if (no_fx && no_old)
        c->mmu.fx_used &= ~(1ull << slot);
}

// Each slot in use, for what concerns more than one page.
#define EACH_DATA_SLOT(c, slot)                                                                                                    \
    for (unsigned word_ = 0, slot; word_ < ISA_MIRROR_SIZE / 64; word_++)                                                          \
        for (uint64_t left_ = (c)->mmu.used[word_]; left_ && (slot = word_ * 64 + (unsigned)__builtin_ctzll(left_), true);         \
             left_ &= left_ - 1)
#define EACH_FETCH_SLOT(c, slot)                                                                                                   \
    for (uint64_t left_ = (c)->mmu.fx_used, slot; left_ && (slot = (unsigned)__builtin_ctzll(left_), true); left_ &= left_ - 1)

void mmu_mirror_drop(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned shift)
{
    if (unit == TLB_ITLB) {
        if (shift == 12) {
            drop_fetch(c, mmu_fx_slot(la, 0), la, shift);
            drop_fetch(c, mmu_fx_slot(la, ISA_MCTX_USER), la, shift);
        } else
            EACH_FETCH_SLOT(c, slot) drop_fetch(c, (unsigned)slot, la, shift);
    } else if (shift == 12) {
        wide_drop(c, la);
        drop_data(c, isa_mirror_slot(la), la, shift);
    } else {
        wide_clear(c);
        EACH_DATA_SLOT(c, slot) drop_data(c, slot, la, shift);
    }
}

static void drop_one(struct sim_cpu *c, enum tlb_unit unit, unsigned slot, uint64_t la, unsigned shift)
{
    if (unit == TLB_ITLB)
        drop_fetch(c, slot, la, shift);
    else
        drop_data(c, slot, la, shift);
}

static __attribute__((noinline)) void drop_more(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned shift,
                                                struct mmu_note *note)
{
    for (unsigned word = 0; word < ISA_MIRROR_SIZE / 64; word++)
        for (; note->more[word]; note->more[word] &= note->more[word] - 1)
            drop_one(c, unit, word * 64 + (unsigned)__builtin_ctzll(note->more[word]), la, shift);
}

void mmu_mirror_drop_noted(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned shift, struct mmu_note *note)
{
    const uint32_t one = note->one;
    note->one = 0;
    if (one == MMU_NOTE_MORE)
        drop_more(c, unit, la, shift, note);
    else if (one)
        drop_one(c, unit, one - 1, la, shift);
}

void mmu_mirror_clear_cpu(struct sim_cpu *c)
{
    memset(c->isa.rd, 0xff, sizeof c->isa.rd);
    memset(c->isa.wr, 0xff, sizeof c->isa.wr);
    memset(c->mmu.fx, 0xff, sizeof c->mmu.fx);
    memset(c->mmu.fx_old, 0xff, sizeof c->mmu.fx_old);
    memset(c->mmu.used, 0, sizeof c->mmu.used);
    wide_clear(c);
    c->mmu.fx_used = 0;
    isa_new_generation(&c->isa);
}

void mmu_mirror_clear(struct sim_machine *m)
{
    for (unsigned i = 0; i < m->ncpus; i++)
        if (m->cpu[i])
            mmu_mirror_clear_cpu(m->cpu[i]);
}

void mmu_mirror_drop_writes(struct sim_machine *m, struct hpa pa)
{
    const uint8_t *host = ram_at(&m->ram, (struct hpa){pa.v & ~0xfffull});
    if (!host)
        return;
    for (unsigned n = 0; n < m->ncpus && m->cpu[n]; n++)
        EACH_DATA_SLOT(m->cpu[n], slot)
        {
            struct isa_mirror *e = &m->cpu[n]->isa.wr[slot];
            if (e->tag != ISA_MIRROR_EMPTY && e->addend + (e->tag & ~0xfffull) == (uint64_t)(uintptr_t)host)
                e->tag = ISA_MIRROR_EMPTY;
        }
}

void mmu_code_page(struct sim_machine *m, struct hpa pa) { mmu_mirror_drop_writes(m, pa); }

void mmu_watch(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    if (__builtin_expect(!(c->isa.dr[7] & 0xff) && !s->watching, 1))
        return;
    bool changed = false;
    s->watching = false;
    for (unsigned n = 0; n < ISA_NBP; n++) {
        uint64_t page = isa_bp_on(&c->isa, n, ISA_BP_DATA) ? (c->isa.dr[n] & ~0xfffull) | 1 : 0;
        changed |= page != s->watched[n];
        s->watched[n] = page;
        s->watching |= page != 0;
    }
    if (changed)
        mmu_mirror_clear_cpu(c);
}

// --- contexts

static struct mmu_mctx current(const struct mmu_state *s)
{
    struct mmu_mctx d = {.flags = MMU_CTX_USED};
    if (s->direct) {
        d.flags |= MMU_CTX_DIRECT;
        return d;
    }
    d.eptrta = s->eptrta;
    d.vpid = s->vpid;
    d.pcid = s->pcid;
    d.pkru = s->pg.pkru;
    d.flags |= (s->ept_on ? MMU_CTX_EPT : 0) | (s->pg.mode ? MMU_CTX_PG : 0) | (s->pg.wp ? MMU_CTX_WP : 0) |
               (s->pg.smap ? MMU_CTX_SMAP : 0);
    return d;
}

static bool same(const struct mmu_mctx *a, const struct mmu_mctx *b)
{
    return a->flags == b->flags && a->vpid == b->vpid && a->pcid == b->pcid && a->pkru == b->pkru && a->eptrta == b->eptrta;
}

// A context number is about to mean something else: forget what is mirrored under it.
static void retire(struct sim_cpu *c, unsigned n)
{
    EACH_DATA_SLOT(c, slot)
    {
        if (tag_ctx(c->isa.rd[slot].tag) >> 1 == n)
            c->isa.rd[slot].tag = ISA_MIRROR_EMPTY;
        if (tag_ctx(c->isa.wr[slot].tag) >> 1 == n)
            c->isa.wr[slot].tag = ISA_MIRROR_EMPTY;
    }
    EACH_FETCH_SLOT(c, slot)
    {
        if (tag_ctx(c->mmu.fx[slot].tag) >> 1 == n)
            c->mmu.fx[slot].tag = ISA_MIRROR_EMPTY;
        if (tag_ctx(c->mmu.fx_old[slot].tag) >> 1 == n)
            c->mmu.fx_old[slot].tag = ISA_MIRROR_EMPTY;
    }
    wide_clear(c);
    isa_new_generation(&c->isa);
}

void mmu_mirror_select(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    struct mmu_mctx d = current(s);
    unsigned n = 0;
    while (n < MMU_NCTX && !same(&s->ctx[n], &d))
        n++;
    if (n == MMU_NCTX) {
        n = s->ctx_next;
        s->ctx_next = (uint8_t)((n + 1) % MMU_NCTX);
        retire(c, n);
        s->ctx[n] = d;
        s->serial[n] = soft_serial(c);
    }
    s->ctx_cur = (uint8_t)n;
    c->isa.mctx = mmu_mctx(c);
    isa_new_epoch(&c->isa);
}

// --- the invariants, asserted

// The L1 entry that backs a mirror tag, as its hot part; NULL if none does.
static const struct tlb_hot *backing(const struct sim_cpu *c, enum tlb_unit unit, uint64_t tag)
{
    const struct mmu_mctx *d = &c->mmu.ctx[tag_ctx(tag) >> 1];
    uint64_t key1 = d->eptrta | d->pcid | (uint64_t)(d->flags & MMU_CTX_EPT ? TLB_COMBINED : TLB_LINEAR) << TLB_K1_MAP_SHIFT |
                    (d->flags & MMU_CTX_PG ? 0 : TLB_K1_UNPAGED);
    const struct tlb_unit_state *u = &c->tlb->u[unit];
    int i = tlb_find(u, d->vpid, key1, tag & ~0xfffull);
    return i < 0 ? NULL : &u->hot[i];
}

// Is the slot noted at the entry that backs it, where that is needed?
static bool noted(const struct sim_cpu *c, enum tlb_unit unit, const struct tlb_hot *h, unsigned slot)
{
    const struct tlb_unit_state *u = &c->tlb->u[unit];
    const struct mmu_note *note = &u->mirrored[h - u->hot];
    return !(h->key0 >> 1 & 3) || (note->one == MMU_NOTE_MORE ? note->more[slot / 64] >> slot % 64 & 1 : note->one == slot + 1);
}

static unsigned check_data(const struct sim_cpu *c, const struct isa_mirror *e, bool write)
{
    if (e->tag == ISA_MIRROR_EMPTY)
        return 0;
    const struct mmu_mctx *d = &c->mmu.ctx[tag_ctx(e->tag) >> 1];
    bool user = tag_ctx(e->tag) & 1;
    uint64_t la = e->tag & ~0xfffull;
    struct hpa pa = {la};
    assert(d->flags & MMU_CTX_USED);
    assert(!mmu_is_watched(&c->mmu, la));
    if (!(d->flags & MMU_CTX_DIRECT)) {
        const struct tlb_hot *h = backing(c, TLB_DTLB, e->tag);
        assert(h && "a mirror entry has no L1 entry");
        assert(noted(c, TLB_DTLB, h, isa_mirror_slot(la)));
        pa.v = (h->data & TLB_DATA_FRAME) | (la & tlb_class_mask[h->key0 >> 1 & 3]);
        struct isa_pg pg = {.wp = d->flags & MMU_CTX_WP, .smap = d->flags & MMU_CTX_SMAP, .pkru = d->pkru};
        unsigned acc = write ? ISA_ACC_W : ISA_ACC_R, need = write ? EPT_W : EPT_R;
        assert(isa_pg_check(&pg, TLB_DATA_RIGHTS(h->data), user, acc, false) == ISA_RULE_NONE);
        assert(ept_allows(TLB_DATA_EPERMS(h->data), need));
        assert(!write || (h->data & TLB_DATA_DIRTY));
    }
    const uint8_t *host = ram_at(&c->m->ram, pa);
    assert(host && e->addend + la == (uint64_t)(uintptr_t)host);
    assert(!bus_mmio_at(c->m, pa));
    assert(!write || (!engine_page_has_code(c->m, pa) && !mmu_guarded(c->m, pa)));
    (void)user;
    return 1;
}

static unsigned check_fetch(const struct sim_cpu *c, const struct mmu_fetch_mirror *e, unsigned slot)
{
    if (e->tag == ISA_MIRROR_EMPTY)
        return 0;
    if (c->mmu.ctx[tag_ctx(e->tag) >> 1].flags & MMU_CTX_DIRECT) {
        assert(e->page == (e->tag & ~0xfffull));
        return 1;
    }
    const struct tlb_hot *h = backing(c, TLB_ITLB, e->tag);
    assert(h && "a fetch mirror entry has no iTLB entry");
    assert(noted(c, TLB_ITLB, h, slot));
    assert(e->page == ((h->data & TLB_DATA_FRAME) | (e->tag & ~0xfffull & tlb_class_mask[h->key0 >> 1 & 3])));
    return 1;
}

unsigned mmu_mirror_check(struct sim_cpu *c)
{
    unsigned n = 0;
    if (mmu_is_soft(c))
        return 0; // entries of contexts that have ended stand until their number is used again
    for (unsigned i = 0; i < ISA_MIRROR_SIZE; i++) {
        unsigned here = check_data(c, &c->isa.rd[i], false) + check_data(c, &c->isa.wr[i], true);
        assert(!here || c->mmu.used[i / 64] >> i % 64 & 1);
        n += here;
    }
    for (unsigned i = 0; i < MMU_FX_SIZE; i++) {
        unsigned here = check_fetch(c, &c->mmu.fx[i], i) + check_fetch(c, &c->mmu.fx_old[i], i);
        assert(!here || c->mmu.fx_used >> i & 1);
        n += here;
    }
    assert(!n || allowed(c->m, c->m->no_fetch_mirror));
    return n;
}
