// sim/mmu_walk.c: the page walk: guest paging structures times EPT.
//
// Every access to a paging-structure entry is itself a guest-physical access that EPT translates (when it is on), so a cold walk of g
// guest levels and h EPT levels makes (g + 1) * (h + 1) - 1 references; each is an event, is counted and is charged. What a walk
// puts into the caches serves later walks only: it takes effect when the walk is over. Manual: "4-Level Paging and 5-Level
// Paging", "Accessed and Dirty Flags", "EPT Translation Mechanism", "Accessed and Dirty Flags for EPT".
#include <string.h>

#include "sim/internal.h"
#include "sim/walk.h"

enum outcome { WALK_DONE, WALK_PF, WALK_VIOLATION, WALK_MISCONFIG, WALK_LOG_FULL = SIM_WALK_LOG_FULL };

struct walk {
    struct sim_cpu *c;
    struct mmu_state *s;
    uint64_t la;
    unsigned acc;
    bool has_la, from_cache;
    unsigned rights; // ISA_PG_* of the linear address by the guest's tables, once they were walked
    uint16_t refs, charged;
    enum outcome outcome;
    uint32_t err;
    // Without EPT and listeners, what goes into paging-structure caches waits (sim/psc.c), and the entries of upper levels are remembered.
    bool defer;
    struct mmu_uppers *uppers; // where, or NULL
    unsigned nupper;           // of this walk
};

// A guest-physical address translated.
struct located {
    uint64_t hpa;
    uint8_t perms; // EPT_R | EPT_W | EPT_X | EPT_USER_X
    uint8_t shift;
    bool dirty;
    uint8_t src_size; // last EPT entry: 8, or 0 without EPT
    bool large;
    uint64_t src, src_val;
};

// --- memory that holds paging structures

static uint64_t load(const struct sim_cpu *c, uint64_t hpa, unsigned size)
{
    uint64_t v = 0;
    const uint8_t *p = ram_at(&c->m->ram, (struct hpa){hpa});
    if (!p)
        return size == 8 ? ~0ull : 0xffffffffu;
    if (size == 8) // a copy of a variable size is a call
        memcpy(&v, p, 8);
    else
        memcpy(&v, p, 4);
    return v;
}

static void store(struct sim_cpu *c, uint64_t hpa, uint64_t v, unsigned size)
{
    uint8_t *p = ram_at(&c->m->ram, (struct hpa){hpa});
    if (!p)
        return;
    if (engine_page_has_code(c->m, (struct hpa){hpa}))
        engine_code_written(c->m, (struct hpa){hpa}, size);
    memcpy(p, &v, size);
}

// --- events and charges

static void charge(struct walk *w)
{
    unsigned n = w->refs - w->charged;
    w->charged = w->refs;
    if (n)
        engine_charge(&w->c->isa, (uint64_t)n * w->c->m->charge[ISA_COST_WALKREF]);
}

static void tell_reference(struct walk *w, enum ev_dim dim, unsigned glevel, unsigned elevel, uint64_t gpa, uint64_t at,
                           uint64_t entry, bool set_ad)
{
    charge(w);
    if (w->c->m->caches) // which want all of them: ev_update_mask()
        detailed_reference(w->c, (struct hpa){at}, set_ad);
    if (!w->c->m->refs_heard)
        return;
    struct ev ev = {.kind = EV_REF,
                    .u.ref = {.dim = (uint8_t)dim,
                              .glevel = (uint8_t)glevel,
                              .elevel = (uint8_t)elevel,
                              .number = w->refs,
                              .la = w->la,
                              .gpa = {gpa},
                              .at = {at},
                              .entry = entry,
                              .hit_psc = w->from_cache,
                              .set_ad = set_ad}};
    ev_emit(w->c, &ev);
}

static inline void reference(struct walk *w, enum ev_dim dim, unsigned glevel, unsigned elevel, uint64_t gpa, uint64_t at,
                             uint64_t entry, bool set_ad)
{
    w->refs++;
    if (ev_wanted(w->c->m, EV_REF))
        tell_reference(w, dim, glevel, elevel, gpa, at, entry, set_ad);
}

static void begin(struct walk *w)
{
    w->c->tlb->walk++;
    if (__builtin_expect(w->c->tlb->policy == SIM_TLB_SEED, 0))
        tlb_draw_lots(w->c->tlb);
    w->c->stat[SIM_STAT_WALKS]++;
    if (ev_wanted(w->c->m, EV_WALK)) {
        struct ev ev = {.kind = EV_WALK, .u.walk = {.la = w->la, .acc = (uint8_t)w->acc}};
        ev_emit(w->c, &ev);
    }
}

static void end(struct walk *w, uint64_t gpa, uint64_t hpa, unsigned shift)
{
    w->c->stat[SIM_STAT_WALK_REFS] += w->refs;
    charge(w);
    if (ev_wanted(w->c->m, EV_WALK)) {
        struct ev ev = {.kind = EV_WALK,
                        .u.walk = {.la = w->la,
                                   .acc = (uint8_t)w->acc,
                                   .done = 1,
                                   .outcome = (uint8_t)w->outcome,
                                   .refs = w->refs,
                                   .err = w->err,
                                   .gpa = {gpa},
                                   .hpa = {hpa},
                                   .page = shift ? 1ull << shift : 0}};
        ev_emit(w->c, &ev);
    }
}

// --- the EPT dimension

// References take time, though it may not be charged yet.
static uint64_t now(const struct walk *w)
{
    return engine_now(&w->c->isa) + (uint64_t)(w->refs - w->charged) * w->c->m->charge[ISA_COST_WALKREF];
}

static void stamp(const struct walk *w, struct tlb_entry *e)
{
    e->filled_at = now(w);
    e->filled_rip = engine_rip(&w->c->isa);
}

// Of a page of which only fetches from user-mode, or only from supervisor-mode linear addresses count: one execute permission.
static unsigned of_address(const struct walk *w, unsigned ept)
{
    unsigned x = w->rights & ISA_PG_U ? ept >> 3 & 1 : ept >> 2 & 1;
    return (ept & (EPT_R | EPT_W)) | x << 2;
}

static unsigned need_of(const struct walk *w, unsigned acc)
{
    unsigned need = mmu_ept_need(acc);
    return need == EPT_X && (w->rights & ISA_PG_U) ? EPT_USER_X : need;
}

static void fill_guest_physical(struct walk *w, uint64_t gpa, const struct located *l)
{
    if (mmu_is_soft(w->c))
        return;
    uint64_t in = (1ull << l->shift) - 1;
    struct tlb_entry e = {.dirty = l->dirty,
                          .mapping = TLB_GUEST_PHYSICAL,
                          .unit = TLB_NTLB,
                          .page_shift = l->shift,
                          .perms = tlb_perms_of_ept(l->perms),
                          .gperms = TLB_PERM_W | TLB_PERM_U | TLB_PERM_X | TLB_PERM_R,
                          .eperms = tlb_perms_of_ept(l->perms),
                          .eptrta = w->s->eptrta,
                          .tag = gpa & ~in,
                          .gpa = {gpa & ~in},
                          .frame = {l->hpa & ~in},
                          .src = {{0}, {l->src}},
                          .src_val = {0, l->src_val},
                          .src_size = {0, l->src_size},
                          .src_leaf_large = {false, l->large}};
    stamp(w, &e);
    tlb_fill(w->c->tlb, &e);
}

static bool cached_guest_physical(struct walk *w, uint64_t gpa, unsigned need, struct located *l)
{
    struct tlb *t = w->c->tlb;
    const struct tlb_unit_state *u = &t->u[TLB_NTLB];
    int i = u->size ? tlb_find(u, 0, w->s->gkey1, gpa) : -1;
    if (i < 0 || u->entry[i].walk == t->walk)
        return false;
    const struct tlb_hot *h = &u->hot[i];
    const struct tlb_entry *e = &u->entry[i];
    bool dirty = h->data & TLB_DATA_DIRTY;
    if (!dirty && (need & EPT_W) && ept_allows(TLB_DATA_EPERMS(h->data), need))
        return false; // the walk must set D first
    tlb_touch(t, TLB_NTLB, i);
    if (ev_wanted(w->c->m, EV_TLB_STALE))
        tlb_used(w->c, &u->entry[i], gpa);
    *l = (struct located){.hpa = (h->data & TLB_DATA_FRAME) | (gpa & ((1ull << e->page_shift) - 1)),
                          .perms = (uint8_t)TLB_DATA_GRANTS(h->data),
                          .shift = e->page_shift,
                          .dirty = dirty,
                          .src_size = e->src_size[1],
                          .large = e->src_leaf_large[1],
                          .src = e->src[1].v,
                          .src_val = e->src_val[1]};
    return true;
}

static int violation(struct walk *w, uint64_t gpa, bool final, unsigned acc, unsigned perms, uint64_t entry)
{
    w->outcome = WALK_VIOLATION;
    end(w, gpa, 0, 0);
    return mmu_ept_violation(w->c, (struct gpa){gpa}, w->la, w->has_la, final, acc, perms | (final ? mmu_advanced(w->rights) : 0),
                             entry);
}

// Start below the deepest cached entry of an upper level, else at the root. Returns the level to read first.
static unsigned ept_start(struct walk *w, uint64_t gpa, uint64_t *table, unsigned *perms)
{
    struct tlb *t = w->c->tlb;
    const struct ept *ept = &w->s->ept;
    *table = ept->root;
    *perms = EPT_ALL;
    for (unsigned level = 2; level <= ept->levels; level++) {
        const enum tlb_unit unit = tlb_ept_cache_of_level(level);
        const struct tlb_unit_state *u = &t->u[unit];
        if (!tlb_live(u, tlb_class(ept_shift(level))))
            continue;
        const unsigned shift = ept_shift(level);
        int i = tlb_probe(u, tlb_key0(0, gpa, shift), w->s->gkey1, gpa, shift);
        if (i < 0 || u->entry[i].walk == t->walk)
            continue;
        tlb_touch(t, unit, i);
        if (ev_wanted(w->c->m, EV_TLB_STALE))
            tlb_used(w->c, &u->entry[i], gpa);
        *table = u->entry[i].frame.v;
        *perms = TLB_DATA_GRANTS(u->hot[i].data);
        return level - 1;
    }
    return ept->levels;
}

// The entry e at `at`, of that level, refers to a table.
static void ept_fill_cache(struct walk *w, uint64_t gpa, unsigned level, uint64_t at, uint64_t e, unsigned perms)
{
    if (level < 2 || !w->c->tlb->u[tlb_ept_cache_of_level(level)].size || mmu_is_soft(w->c))
        return;
    const unsigned shift = ept_shift(level);
    struct tlb_entry x = {.mapping = TLB_GUEST_PHYSICAL,
                          .unit = tlb_ept_cache_of_level(level),
                          .page_shift = (uint8_t)shift,
                          .perms = tlb_perms_of_ept(perms),
                          .gperms = TLB_PERM_W | TLB_PERM_U | TLB_PERM_X | TLB_PERM_R,
                          .eperms = tlb_perms_of_ept(perms),
                          .eptrta = w->s->eptrta,
                          .tag = gpa >> shift << shift,
                          .frame = {ept_frame(level, e, false)},
                          .src = {{0}, {at}},
                          .src_val = {0, e},
                          .src_size = {0, 8}};
    stamp(w, &x);
    tlb_fill(w->c->tlb, &x);
}

// Walk the EPT for one guest-physical address. glevel: the guest level whose entry is wanted, 0 for the final address.
static int ept_walk(struct walk *w, uint64_t gpa, unsigned acc, unsigned glevel, struct located *l)
{
    const struct ept *ept = &w->s->ept;
    unsigned need = need_of(w, acc), perms;
    uint64_t table;
    int r;
    if (ept_too_wide(ept, gpa)) // no entry decides, so none lets it become a virtualization exception
        return violation(w, gpa, glevel == 0, acc, 0, EPT_SUPPRESS_VE);
    for (unsigned level = ept_start(w, gpa, &table, &perms);; level--) {
        uint64_t at = table + 8 * ept_index(level, gpa), e = load(w->c, at, 8), set = 0;
        enum ept_status st = ept_check(ept, level, e);
        bool leaf = ept_leaf(level, e);
        perms &= ept_grants(ept, e);
        bool refused = st != EPT_OK || (leaf && !ept_allows(perms, need));
        if (ept->ad && !refused)
            set = (EPT_A | (leaf && (need & EPT_W) ? EPT_D : 0)) & ~e;
        if ((set & EPT_D) && (r = glue_log_dirty(&w->c->isa, (struct gpa){gpa}))) {
            w->outcome = WALK_LOG_FULL; // and no flag of the entry is set
            reference(w, EV_DIM_EPT, glevel, level, gpa, at, e, false);
            end(w, gpa, 0, 0);
            return r;
        }
        if (set)
            store(w->c, at, e |= set, 8);
        reference(w, EV_DIM_EPT, glevel, level, gpa, at, e, set != 0);
        if (ept_is_misconfig(st)) {
            w->outcome = WALK_MISCONFIG;
            end(w, gpa, 0, 0);
            return mmu_ept_misconfig(w->c, (struct gpa){gpa});
        }
        if (refused)
            return violation(w, gpa, glevel == 0, acc, perms, e);
        if (leaf) {
            unsigned shift = ept_shift(level);
            *l = (struct located){.hpa = ept_frame(level, e, true) | (gpa & ((1ull << shift) - 1)),
                                  .perms = (uint8_t)perms,
                                  .shift = (uint8_t)shift,
                                  .dirty = !ept->ad || (e & EPT_D),
                                  .src_size = 8,
                                  .large = level > 1,
                                  .src = at,
                                  .src_val = e};
            fill_guest_physical(w, gpa, l);
            return 0;
        }
        table = ept_frame(level, e, false);
        ept_fill_cache(w, gpa, level, at, e, perms);
    }
}

// Translate a guest-physical address for an access: identity without EPT, else by the nTLB or a walk.
static int locate_by_ept(struct walk *w, uint64_t gpa, unsigned acc, unsigned glevel, struct located *l)
{
    if (cached_guest_physical(w, gpa, need_of(w, acc), l)) {
        if (ept_allows(l->perms, need_of(w, acc)))
            return 0;
        return violation(w, gpa, glevel == 0, acc, l->perms, l->src_val);
    }
    return ept_walk(w, gpa, acc, glevel, l);
}

static inline struct located identity(uint64_t gpa)
{
    return (struct located){.hpa = gpa, .perms = EPT_ALL, .shift = 30, .dirty = true};
}

static inline int locate(struct walk *w, uint64_t gpa, unsigned acc, unsigned glevel, struct located *l)
{
    if (w->s->ept_on)
        return locate_by_ept(w, gpa, acc, glevel, l);
    *l = identity(gpa);
    return 0;
}

// --- the guest dimension

// Whoever listens to these sees each fill where it happens.
#define FILL_EVENTS (EV_BIT(EV_REF) | EV_BIT(EV_TLB_FILL) | EV_BIT(EV_TLB_EVICT) | EV_BIT(EV_TLB_FLUSH))

// What most walks have in common is known when they are compiled: 4-level paging without EPT. One text serves these and all others.
struct kind {
    enum isa_pg_mode mode;
    bool ept;
};
#define FOR_EACH_KIND static inline __attribute__((always_inline))

// Where the walk stands: the table to read next.
struct place {
    unsigned level;
    uint64_t gpa, hpa; // of the table; hpa valid if located
    bool located;
    unsigned rights, eperms;
    uint64_t ept_entry; // that maps the table
};

// Start below the deepest paging-structure-cache entry for the address, else at the root.
FOR_EACH_KIND bool from_cache(struct walk *w, const struct kind k, struct place *p)
{
    struct tlb *t = w->c->tlb;
    const unsigned top = k.mode == ISA_PG_4L ? 4 : isa_pg_top(k.mode);
    for (unsigned level = 2; level <= top; level++) {
        const enum tlb_unit unit = tlb_cache_of_level(level);
        const struct tlb_unit_state *u = &t->u[unit];
        const unsigned shift = isa_pg_shift(k.mode, level);
        if (!tlb_live(u, tlb_class(shift)))
            continue;
        int i = tlb_probe(u, tlb_key0(w->s->vpid, w->la, shift), w->s->key1, w->la, shift);
        if (i < 0)
            continue;
        tlb_touch(t, unit, i);
        if (ev_wanted(w->c->m, EV_TLB_STALE))
            tlb_used(w->c, &u->entry[i], w->la);
        *p = (struct place){.level = level - 1,
                            .gpa = u->entry[i].gpa.v,
                            .hpa = u->entry[i].frame.v,
                            .located = true,
                            .rights = TLB_DATA_GPERMS(u->hot[i].data),
                            .eperms = TLB_DATA_GRANTS(u->hot[i].data),
                            .ept_entry = u->entry[i].src_val[1]};
        return true;
    }
    return false;
}

static struct psc_path path_of(const struct walk *w)
{
    const struct mmu_state *s = w->s;
    return (struct psc_path){.la = w->la,
                             .key1 = s->key1,
                             .eptrta = s->eptrta,
                             .filled_at = w->defer ? engine_now(&w->c->isa) : now(w),
                             .filled_rip = engine_rip(&w->c->isa),
                             .walk = w->c->tlb->walk,
                             .vpid = s->vpid,
                             .pcid = s->pcid,
                             .mode = s->pg.mode,
                             .mapping = s->ept_on ? TLB_COMBINED : TLB_LINEAR};
}

// The entry val at src refers to the table of p, which was located at l.
static inline void fill_structure_cache(struct walk *w, const struct place *p, uint64_t src, uint64_t val, const struct located *l)
{
    const struct psc_entry e = {.gpa = p->gpa,
                                .table = p->hpa,
                                .src = {{src}, {l->src}},
                                .src_val = {val, l->src_val},
                                .level = (uint8_t)(p->level + 1),
                                .rights = (uint8_t)p->rights,
                                .ept = l->perms,
                                .ept_size = l->src_size,
                                .ept_large = l->large};
    if (w->uppers) {
        w->uppers->tag = MMU_NO_UPPERS;
        w->uppers->entry[w->nupper++] = e;
    } else if (!mmu_is_soft(w->c)) {
        const struct psc_path path = path_of(w);
        psc_fill(w->c->tlb, &path, &e);
    }
}

// The walk has read all entries of upper levels that it will read.
static void leave_uppers(struct walk *w)
{
    struct mmu_uppers *u = w->uppers;
    if (!w->nupper)
        return;
    if (w->nupper == MMU_NUPPER && !w->from_cache && w->s->pg.mode == ISA_PG_4L) {
        u->tag = w->la >> 21;
        u->root = w->s->root;
        u->nxe = w->s->pg.nxe;
    }
    if (w->defer) {
        const struct psc_path path = path_of(w);
        psc_wait(w->c->tlb, &path, u->entry, w->nupper);
    }
}

// 4-level paging without EPT: where the entries of upper levels are those of an earlier walk in the same 2 MBytes, they mean what they meant.
static inline bool resume(struct walk *w, struct place *p)
{
    const struct mmu_uppers *u = w->uppers;
    if (!u || u->tag != w->la >> 21 || u->root != w->s->root || u->nxe != w->s->pg.nxe)
        return false;
    for (unsigned k = 0; k < MMU_NUPPER; k++)
        if (load(w->c, u->entry[k].src[0].v, 8) != u->entry[k].src_val[0])
            return false;
    const struct psc_entry *last = &u->entry[MMU_NUPPER - 1];
    w->refs = w->nupper = MMU_NUPPER;
    *p = (struct place){
        .level = 1, .gpa = last->gpa, .hpa = last->table, .located = true, .rights = last->rights, .eperms = last->ept};
    return true;
}

static int page_fault(struct walk *w, enum isa_rule rule, unsigned rights)
{
    w->outcome = WALK_PF;
    w->err = isa_pg_error(&w->s->pg, rule, rights, isa_pg_user(&w->c->isa, w->acc), w->acc);
    leave_uppers(w);
    end(w, 0, 0, 0);
    return mmu_page_fault(w->c, w->la, w->acc, rights, rule);
}

// The root of the walk; with PAE paging the PDPTE register of the address.
FOR_EACH_KIND int root(struct walk *w, const struct kind k, struct place *p)
{
    const unsigned top = k.mode == ISA_PG_4L ? 4 : isa_pg_top(k.mode);
    *p = (struct place){.level = top, .gpa = w->s->root, .rights = ISA_PG_W | ISA_PG_U | ISA_PG_X};
    if (k.mode == ISA_PG_PAE) {
        uint64_t e = w->c->isa.pdpte[w->la >> 30 & 3];
        if (!(e & ISA_PTE_P))
            return page_fault(w, ISA_RULE_PF_NOT_PRESENT, 0);
        p->gpa = e & 0x000ffffffffff000ull;
    }
    return 0;
}

// What remains to be known of a page after its leaf entry was read.
struct leaf {
    uint64_t gpa, at, val;
    unsigned shift, rights;
    bool dirty, global;
};

// What one guest entry says: the rule it breaks or NONE, whether it maps the page, and which of A and D must be set in it.
struct verdict {
    enum isa_rule rule;
    bool leaf;
    uint64_t set;
};
// Most entries have none of the bits that are reserved anywhere.
static inline bool may_be_reserved(const struct isa_pg *pg, uint64_t e)
{
    const uint64_t anywhere = (~0ull << pg->maxphyaddr & 0x000fffffffffffffull) | (pg->nxe ? 0 : ISA_PTE_XD) | ISA_PTE_PS;
    return pg->mode < ISA_PG_4L || e & anywhere;
}
FOR_EACH_KIND struct verdict judge(const struct walk *w, const struct isa_pg *pg, struct place *p, uint64_t e)
{
    const struct isa_cpu *isa = &w->c->isa;
    struct verdict v = {.rule = ISA_RULE_NONE};
    if (!(e & ISA_PTE_P)) {
        v.rule = ISA_RULE_PF_NOT_PRESENT;
        return v;
    }
    if (may_be_reserved(pg, e) && e & isa_pg_reserved(&w->s->pg, p->level, e)) {
        v.rule = ISA_RULE_PF_RSVD;
        return v;
    }
    p->rights &= isa_pg_rights(e);
    v.leaf = isa_pg_leaf(pg, p->level, e);
    if (v.leaf)
        p->rights |= isa_pg_key(pg, e);
    if (v.leaf)
        v.rule = isa_pg_check(pg, p->rights, isa_pg_user(isa, w->acc), w->acc, isa->rflags_sys & ISA_FL_AC);
    if (v.rule == ISA_RULE_NONE)
        v.set = (ISA_PTE_A | (v.leaf && (w->acc & (ISA_ACC_W | ISA_ACC_RMW)) ? ISA_PTE_D : 0)) & ~e;
    return v;
}

// Find the table of p in host memory. src, val: the entry that referred to it (src 0: the root).
FOR_EACH_KIND int locate_table(struct walk *w, const struct kind k, struct place *p, uint64_t off, uint64_t src, uint64_t val)
{
    const unsigned acc = w->s->ept.ad ? ISA_ACC_RMW : ISA_ACC_R;
    struct located l = identity(p->gpa + off);
    if (k.ept) {
        struct located by_ept;
        const int r = locate_by_ept(w, p->gpa + off, acc, p->level, &by_ept);
        if (r)
            return r;
        l = by_ept;
    }
    p->hpa = l.hpa & ~0xfffull;
    p->eperms = l.perms;
    p->ept_entry = l.src_val;
    if (k.ept && mmu_is_apic_page(w->s, (struct hpa){l.hpa})) {
        w->outcome = WALK_VIOLATION;
        end(w, p->gpa + off, 0, 0);
        return vmx_apic_access_physical(&w->c->isa, &w->c->vmx, (unsigned)(l.hpa & 0xfff));
    }
    if (src)
        fill_structure_cache(w, p, src, val, &l);
    return 0;
}

FOR_EACH_KIND int walk_tables(struct walk *w, const struct kind k, struct leaf *leaf)
{
    struct isa_pg pg = w->s->pg;
    pg.mode = k.mode;
    const unsigned size = isa_pg_entry_size(k.mode);
    struct place p;
    uint64_t at = 0, e = 0; // the entry read last
    int r;
    w->from_cache = from_cache(w, k, &p);
    if (!w->from_cache && !(k.mode == ISA_PG_4L && !k.ept && resume(w, &p)) && (r = root(w, k, &p)))
        return r;
    for (;; p.level--, p.located = false) {
        const uint64_t off = (uint64_t)size * isa_pg_index(k.mode, p.level, w->la), gpa = p.gpa + off;
        if (!p.located && (r = locate_table(w, k, &p, off, at, e)))
            return r;
        at = p.hpa + off;
        e = load(w->c, at, size);
        struct verdict v = judge(w, &pg, &p, e);
        bool forbidden = v.set && !(p.eperms & EPT_W); // by EPT: the processor may not set A or D
        if (v.set && !forbidden)
            store(w->c, at, e |= v.set, size);
        reference(w, EV_DIM_GUEST, p.level, 0, gpa, at, e, v.set && !forbidden);
        if (v.rule != ISA_RULE_NONE)
            return page_fault(w, v.rule, p.rights);
        if (forbidden)
            return violation(w, gpa, false, ISA_ACC_W, p.eperms, p.ept_entry);
        p.gpa = isa_pg_frame(&pg, p.level, e, v.leaf);
        if (v.leaf)
            break;
    }
    leave_uppers(w);
    leaf->shift = isa_pg_shift(k.mode, p.level);
    leaf->gpa = p.gpa | (w->la & ((1ull << leaf->shift) - 1));
    leaf->at = at;
    leaf->val = e;
    leaf->rights = p.rights;
    leaf->dirty = e & ISA_PTE_D;
    leaf->global = pg.pge && (e & ISA_PTE_G);
    return 0;
}

static __attribute__((noinline)) int guest_walk_4_levels(struct walk *w, struct leaf *leaf)
{
    return walk_tables(w, (struct kind){ISA_PG_4L, false}, leaf);
}

static __attribute__((noinline)) int guest_walk(struct walk *w, struct leaf *leaf)
{
    return walk_tables(w, (struct kind){(enum isa_pg_mode)w->s->pg.mode, w->s->ept_on}, leaf);
}

int mmu_walk(struct sim_cpu *c, uint64_t la, unsigned acc, struct tlb_entry *e)
{
    struct walk w = {.c = c, .s = &c->mmu, .la = la, .acc = acc, .has_la = true};
    struct located l;
    bool paged = w.s->pg.mode != ISA_PG_NONE;
    // Without paging the linear address is guest-physical and the guest's own tables grant everything.
    struct leaf leaf = {.gpa = la, .shift = 30, .rights = ISA_PG_W | ISA_PG_U | ISA_PG_X, .dirty = true};
    int r;
    psc_settle(c->tlb);
    if (!w.s->ept_on && !(c->m->ev_mask & FILL_EVENTS) && c->tlb->policy == SIM_TLB_MODEL) {
        w.uppers = &c->mmu.uppers[la >> 21 & (MMU_UPPERS_SIZE - 1)];
        w.defer = !mmu_is_soft(c);
    }
    begin(&w);
    if (paged && (r = w.s->pg.mode == ISA_PG_4L && !w.s->ept_on ? guest_walk_4_levels(&w, &leaf) : guest_walk(&w, &leaf)))
        return r;
    w.rights = leaf.rights;
    if ((r = locate(&w, leaf.gpa, acc, 0, &l)))
        return r;
    unsigned shift = paged && leaf.shift < l.shift ? leaf.shift : l.shift;
    if (!w.s->ept_on)
        shift = leaf.shift;
    const uint64_t in = (1ull << shift) - 1;
    *e = (struct tlb_entry){.global = leaf.global,
                            .dirty = leaf.dirty && l.dirty,
                            .unpaged = !paged,
                            .mapping = w.s->ept_on ? TLB_COMBINED : TLB_LINEAR,
                            .page_shift = (uint8_t)shift,
                            .guest_shift = (uint8_t)(paged ? leaf.shift : shift),
                            .gperms = (leaf.rights & (ISA_PG_W | ISA_PG_U | ISA_PG_X)) | TLB_PERM_R,
                            .pkey = (uint8_t)(leaf.rights >> ISA_PG_KEY_SHIFT),
                            .eperms = tlb_perms_of_ept(of_address(&w, l.perms)),
                            .vpid = w.s->vpid,
                            .pcid = w.s->pcid,
                            .eptrta = w.s->eptrta,
                            .tag = la & ~in,
                            .gpa = {leaf.gpa & ~in},
                            .frame = {l.hpa & ~in},
                            .src = {{leaf.at}, {l.src}},
                            .src_val = {leaf.val, l.src_val},
                            .src_size = {(uint8_t)(paged ? isa_pg_entry_size(w.s->pg.mode) : 0), l.src_size},
                            .src_leaf_large = {leaf.shift > 12 && paged, l.large}};
    e->perms = e->gperms & e->eperms;
    stamp(&w, e);
    end(&w, leaf.gpa, l.hpa, shift);
    return 0;
}

int mmu_walk_gpa(struct sim_cpu *c, struct gpa gpa, unsigned acc, struct hpa *pa)
{
    struct walk w = {.c = c, .s = &c->mmu, .la = gpa.v, .acc = acc};
    struct located l;
    int r;
    if (!w.s->ept_on) {
        pa->v = gpa.v;
        return 0;
    }
    // An nTLB hit is no walk.
    c->tlb->walk++;
    if (cached_guest_physical(&w, gpa.v, mmu_ept_need(acc), &l) && ept_allows(l.perms, mmu_ept_need(acc))) {
        pa->v = l.hpa;
        return 0;
    }
    begin(&w);
    if ((r = locate(&w, gpa.v, acc, 0, &l)))
        return r;
    end(&w, gpa.v, l.hpa, l.shift);
    pa->v = l.hpa;
    return 0;
}
