// sim/mmu.h: the memory-management unit of one processor: cached configuration, contexts of the inline TLB, and the
// functions that the files sim/mmu*.c, sim/tlb*.c, sim/psc.c and sim/mirror.c share. Part of sim/internal.h.
//
// INVARIANTS of the mirrors (isa_cpu.rd, isa_cpu.wr, mmu_state.fx, fx_old); mmu_mirror_check() asserts them:
//   1. an entry mirrors a live L1 dTLB (fx, fx_old: iTLB) entry of its context, or the identity of the paging-off context;
//   2. one function of sim/tlb.c, part(), ends L1 entries, and it drops the mirror of the page in all contexts;
//   3. wr entries only where D is set at both levels and the context may write; rd entries only where it may read;
//   4. plain RAM only, and not the APIC-access page; wr never where decoded code is, nor where paging-structure entries are that live TLB entries were made from;
//      nothing on a page with an enabled data breakpoint, nor while INSN, MEM or TLB_STALE have listeners or cfg.no_mirror is set;
//   5. in detailed fidelity data entries have MMU_HIDDEN in their tags: only sim/detailed.c finds them, for the caches must know of each access;
//   6. the mirrors of a large page lie in the slots noted at its L1 entry (tlb_unit_state.mirrored);
//   7. L1 replacement is by fill order, so hits that the mirror hides change nothing.
#ifndef SIM_MMU_H
#define SIM_MMU_H

#include "isa/debug.h"
#include "isa/paging.h"
#include "sim/machine.h"
#include "sim/profile.h"
#include "sim/tlb.h"
#include "vmx-model/ept.h"

struct sim_cpu;
struct sim_machine;

struct mmu_fetch_mirror {
    uint64_t tag; // as isa_mirror.tag
    uint64_t page;
};
#define MMU_FX_SIZE 64u      // at most 64: mmu_state.fx_used
#define MMU_HIDDEN  0x800ull // in the tag of a data mirror: inline code misses it
// User and supervisor have a half each, so that they may run in the same page.
static inline unsigned mmu_fx_slot(uint64_t la, uint64_t mctx)
{
    return ((unsigned)((la >> 12) ^ (la >> 17)) & (MMU_FX_SIZE / 2 - 1)) | (mctx & ISA_MCTX_USER ? MMU_FX_SIZE / 2 : 0);
}

// What a mirror context number stands for: two contexts with the same descriptor see the same translations and rights.
struct mmu_mctx {
    uint64_t eptrta;
    uint32_t pkru;
    uint16_t vpid, pcid;
    uint8_t flags; // MMU_CTX_*
};
enum {
    MMU_CTX_USED = 1,
    MMU_CTX_DIRECT = 2 /* no paging, no EPT */,
    MMU_CTX_EPT = 4,
    MMU_CTX_WP = 8,
    MMU_CTX_SMAP = 16,
    MMU_CTX_PG = 32
};
#define MMU_NCTX 32u

struct psc_entry {       // a paging-structure entry that refers to a table
    uint64_t gpa, table; // the table: its guest- and host-physical address
    struct hpa src[2];   // as in struct tlb_entry: the entry itself, and the EPT entry that maps the table
    uint64_t src_val[2];
    uint8_t level, rights; // 2 to 5; ISA_PG_*
    uint8_t ept;           // EPT_*: what EPT lets one do in the table
    uint8_t ept_size;      // of src[1]; 0 without EPT
    bool ept_large;
};
// What the last walk in a 2-MByte region read on its way to the level-1 table. A walk of 4-level paging without EPT that finds the same entries
// need not judge them again.
#define MMU_UPPERS_SIZE 64u
#define MMU_NUPPER      3u
#define MMU_NO_UPPERS   UINT64_MAX
struct mmu_uppers {
    uint64_t tag; // linear address, bits 63:21; MMU_NO_UPPERS: not all of them
    uint64_t root;
    bool nxe; // EFER.NXE then
    struct psc_entry entry[4];
};

struct mmu_state {
    // inputs that the rest was computed from
    uint64_t cr0, cr3, cr4, efer, eptp;
    uint32_t pkru;
    uint8_t vmx;
    bool valid;
    // derived by mmu_context()
    bool direct; // no paging and no EPT: linear = host-physical
    bool ept_on;
    struct isa_pg pg;
    unsigned grants; // row of the table below for CR0.WP and CR4.SMAP as they are: as supervisor; as user, the next one
    struct ept ept;
    uint16_t vpid, pcid;
    uint64_t eptrta;      // 0 when EPT is off
    uint64_t root;        // guest-physical address of the top table
    uint64_t key1, gkey1; // parts of TLB keys: linear or combined mappings, guest-physical mappings
    // The APIC-access page of the guest that runs, its bit 0 set, or 0: accesses to it are virtualized, and it is never mirrored.
    // last: at the last VM entry.
    uint64_t apic_page, apic_page_last;
    // Linear pages with enabled data breakpoints, their bit 0 set, or 0 (mmu_watch).
    uint64_t watched[ISA_NBP];
    bool watching; // there is one
    // mirror contexts
    struct mmu_mctx ctx[MMU_NCTX];
    uint8_t ctx_cur, ctx_next;
    // functional fidelity (sim/soft.c)
    struct soft_entry *soft;
    struct isa_mirror *wide;                                      // behind rd and wr: mmu_mirror_wide()
    uint64_t wide_serial;                                         // what its entries must carry to hold
    uint64_t serial[MMU_NCTX], last_serial;                       // of the contexts: never used twice
    bool soft_huge;                                               // some entry is of a page larger than 4 MBytes
    uint64_t soft_large[16];                                      // regions with entries of larger pages
    struct mmu_fetch_mirror fx[MMU_FX_SIZE], fx_old[MMU_FX_SIZE]; // fx_old: what lost its slot last, for mmu_fetch_slow()
    uint64_t slow_paths;                                          // counted in debug builds
    uint64_t used[ISA_MIRROR_SIZE / 64], fx_used;                 // slots of rd, wr and of fx that may hold something
    // Per slot of rd: the context may write the page, D is set, too. Where it is not in wr, somebody wants to hear of writes, or code is there.
    bool may_write[ISA_MIRROR_SIZE];
    struct mmu_uppers uppers[MMU_UPPERS_SIZE];
    uint8_t grant[8][128]; // MMU_MAY_* by CR0.WP, CR4.SMAP, user; and by bits 6..0 of struct tlb_hot.data
};

// --- the TLB from inside (sim/tlb.c)
//
// A unit is sets x ways of entries, for all page sizes or for some of them. What a lookup compares stands apart from the entries, so that a hit touches one cache line:
//    key0   63..48 VPID   47..3 page number   2..1 size class   0 valid
//    key1   63 global   54 unpaged   53..52 mapping   51..12 EPTRTA   11..0 PCID (ignored where global)
//    data   52 fetches in user mode   51..12 frame   11..8 protection key   7 fragment   6 dirty   5..3 eperms R W X   2..0 gperms W U X
struct tlb_hot {
    uint64_t key0, key1, data;
    uint64_t stamp; // order of filling (L1), or of last use (other units)
};
struct tlb_geometry {
    uint32_t hash, folded;     // so many further bits of the page number are XORed into the set, and a mask of as many
    uint32_t base, sets, ways; // entries base .. base + sets * ways - 1; sets is a power of two; 0 ways: nowhere to put such pages
};
// Which mirror slots an entry of a large page may have filled, so that its end need not look at all of them: none (0), one (1 + its number), or those
// set in more (MMU_NOTE_MORE).
#define MMU_NOTE_MORE UINT32_MAX
struct mmu_note {
    uint32_t one;
    uint64_t more[ISA_MIRROR_SIZE / 64];
};
#define TLB_THERE 64u
static inline unsigned tlb_there(uint64_t page) { return (unsigned)(page ^ page >> 6) & (TLB_THERE - 1); }
struct tlb_unit_state {
    uint32_t size;                // entries; 0: the profile has no such unit
    struct tlb_geometry g[4];     // by size class; classes may share their entries
    uint64_t sizes;               // live entries per size class, 16 bits each (tlb_live)
    uint16_t there[4][TLB_THERE]; // and per class and tlb_there(): most look-ups of what is not there end here
    struct tlb_counts count;
    uint8_t policy; // enum profile_policy
    uint8_t *tree;  // of the policies with trees (sim/replace.c), else NULL
    struct tlb_hot *hot;
    struct tlb_entry *entry;
    uint64_t *live;            // bit map over hot[]
    struct mmu_note *mirrored; // first-level units: of entry i, where it is of a large page
};
// --- fills of the guest's paging-structure caches (sim/psc.c)
//
// Most walks from the root end in a page fault or are followed by an INVLPG, which drop what the walk has put into these caches. Where nobody listens a
// walk's fills therefore wait until somebody can tell the difference: another walk, an invalidation, a write to a page that they come from, an
// event, the end of the run. What drops all of them drops nothing but counts.
struct psc_path { // the walk that read them
    uint64_t la, key1, eptrta, filled_at, filled_rip, walk;
    uint16_t vpid, pcid;
    uint8_t mode, mapping; // enum isa_pg_mode, enum tlb_mapping
};
struct psc_waiting {
    unsigned n;
    uint64_t clock;                // of the TLB, before the first of them
    struct psc_path path;          // filled_at: when the walk began
    const struct psc_entry *entry; // in mmu_state.uppers: nobody writes there before the next walk
};

#define TLB_SRC_SIZE    65536u
#define TLB_SRC_GUARDED 0x80000000u
#define TLB_SRC_QUIET   0x40000000u // since it was counted last, there was a write that concerned no source
#define TLB_SRC_COUNT   0x3fffffffu
struct tlb {
    struct tlb_unit_state u[TLB_NUNIT];
    struct sim_cpu *cpu; // whose mirrors the entries back; set by mmu_reset()
    enum sim_tlb_policy policy;
    uint64_t lots;      // generator of SIM_TLB_SEED
    uint64_t clock;     // stamps
    uint64_t walk;      // number of the walk under way: what it fills serves only later walks
    uint32_t occupied;  // bit set of units with live entries
    unsigned fragments; // live entries smaller than the guest page they translate
    struct psc_waiting waiting;
    // Where the paging-structure entries lie that live TLB entries were made from, so that the write which makes one stale is noticed:
    // how many sources per page (TLB_SRC_GUARDED: the page must not be written inline) and per 8 bytes, by address modulo the array.
    uint32_t src_page[TLB_SRC_SIZE];
    uint16_t src_word[TLB_SRC_SIZE];
};

#define TLB_K0_VALID       1ull
#define TLB_K1_GLOBAL      (1ull << 63)
#define TLB_K1_UNPAGED     (1ull << 54)
#define TLB_K1_MAP_SHIFT   52
#define TLB_DATA_DIRTY     (1ull << 6)
#define TLB_DATA_FRAGMENT  (1ull << 7)
#define TLB_DATA_USER_X    (1ull << 52) // EPT_USER_X
#define TLB_DATA_FRAME     0x000ffffffffff000ull
#define TLB_DATA_GPERMS(d) ((unsigned)(d)&7)
#define TLB_DATA_RIGHTS(d) ((unsigned)(d) & (7u | ISA_PG_KEY)) // as isa_pg_check() takes them
#define TLB_DATA_EPERMS(d) ((unsigned)((d) >> 3) & 7)          // EPT_R | EPT_W | EPT_X
#define TLB_DATA_GRANTS(d) (TLB_DATA_EPERMS(d) | ((d)&TLB_DATA_USER_X ? EPT_USER_X : 0))
static inline uint8_t tlb_perms_of_ept(unsigned ept) // TLB_PERM_* of EPT_*
{
    return (ept & EPT_R ? TLB_PERM_R : 0) | (ept & EPT_W ? TLB_PERM_W : 0) | (ept & EPT_X ? TLB_PERM_X : 0) |
           (ept & EPT_USER_X ? TLB_PERM_USER_X : 0) | TLB_PERM_U;
}
static const uint64_t tlb_class_mask[4] = {(1u << 12) - 1, (1u << 21) - 1, (1u << 22) - 1, (1u << 30) - 1}; // offset in the page
static inline unsigned tlb_class(unsigned shift) { return shift == 21 ? 1 : shift == 22 ? 2 : shift == 30 ? 3 : 0; }

static inline uint64_t tlb_key0(uint16_t vpid, uint64_t la, unsigned shift)
{
    return (uint64_t)vpid << 48 | (la >> shift << shift & 0x01ffffffffffffffull) >> 12 << 3 | tlb_class(shift) << 1 | TLB_K0_VALID;
}
static inline unsigned tlb_set(const struct tlb_geometry *g, uint64_t la, unsigned shift)
{
    const uint64_t page = la >> shift;
    return g->base + (((unsigned)page ^ ((unsigned)(page >> g->hash) & g->folded)) & (g->sets - 1u)) * g->ways;
}
static inline unsigned tlb_live(const struct tlb_unit_state *u, unsigned cls) { return u->sizes >> 16 * cls & 0xffff; }
static inline bool tlb_key1_equal(uint64_t have, uint64_t want)
{
    uint64_t d = have ^ want;
    return d == 0 || (d >> 63 && !(d & ~TLB_K1_GLOBAL & ~0xfffull));
}
// Index of the live entry for an address in a context, with its page shift, or -1. sh: the only shift to look for, or 0 for all.
static inline __attribute__((always_inline)) int tlb_probe(const struct tlb_unit_state *u, uint64_t key0, uint64_t key1,
                                                           uint64_t la, unsigned sh)
{
    const struct tlb_geometry *g = &u->g[key0 >> 1 & 3];
    const unsigned base = tlb_set(g, la, sh);
    for (unsigned w = 0; w < g->ways; w++)
        if (u->hot[base + w].key0 == key0 && tlb_key1_equal(u->hot[base + w].key1, key1))
            return (int)(base + w);
    return -1;
}
static inline __attribute__((always_inline)) int tlb_look(const struct tlb_unit_state *u, uint16_t vpid, uint64_t key1, uint64_t la)
{
    int i = -1; // one line per size class: with a constant shift a probe is a few instructions
    if (u->sizes & 0xffff && u->there[0][tlb_there(la >> 12)] && (i = tlb_probe(u, tlb_key0(vpid, la, 12), key1, la, 12)) >= 0)
        return i;
    if (u->there[1][tlb_there(la >> 21)] && (i = tlb_probe(u, tlb_key0(vpid, la, 21), key1, la, 21)) >= 0)
        return i;
    if (__builtin_expect(!(u->sizes >> 32), 1))
        return i;
    if (u->there[2][tlb_there(la >> 22)] && (i = tlb_probe(u, tlb_key0(vpid, la, 22), key1, la, 22)) >= 0)
        return i;
    return u->there[3][tlb_there(la >> 30)] ? tlb_probe(u, tlb_key0(vpid, la, 30), key1, la, 30) : i;
}
static inline int tlb_find(const struct tlb_unit_state *u, uint16_t vpid, uint64_t key1, uint64_t la)
{
    return tlb_look(u, vpid, key1, la);
}
// Policies with trees (sim/replace.c): the state of so many sets, all zero, to be freed; entry i was used; the way of a full set to give up.
uint8_t *replace_create(unsigned sets);
void replace_touch(struct tlb_unit_state *u, unsigned i);
unsigned replace_victim(const struct tlb_unit_state *u, unsigned set);
// A use of an entry (not of L1 entries: their replacement must not depend on hits).
static inline void tlb_touch(struct tlb *t, enum tlb_unit unit, int i)
{
    t->u[unit].count.hits++;
    if (t->u[unit].policy == PROFILE_LRU)
        t->u[unit].hot[i].stamp = ++t->clock;
    else if (t->u[unit].tree)
        replace_touch(&t->u[unit], (unsigned)i);
}
// Put an entry into its unit, replacing the entry with the same key, an empty way, or the oldest. Returns its index; -1 where the unit
// is absent.
int tlb_fill(struct tlb *t, const struct tlb_entry *e);
// The same in two steps, for who writes the entry where it will stay: room for it, with what look-ups compare (-1: there is none); then,
// once u[unit].entry[i] is filled in but for valid, unit, counted, lru and walk, the rest.
int tlb_place(struct tlb *t, enum tlb_unit unit, uint64_t tag, unsigned shift, uint64_t key0, uint64_t key1, uint64_t data);
void tlb_placed(struct tlb *t, enum tlb_unit unit, unsigned i);
// The way that tlb_place() would use.
unsigned tlb_choose(const struct tlb_unit_state *u, uint64_t tag, unsigned shift, uint64_t key0, uint64_t key1);
// Copy second-level entry i into a first-level unit; returns like tlb_fill().
int tlb_promote(struct tlb *t, unsigned i, enum tlb_unit l1);
// A walk for la found e although entries were there, which could not serve the access: drop those of another page size, for look-ups would
// go on finding them.
void tlb_supersede(struct tlb *t, enum tlb_unit l1, uint64_t la, const struct tlb_entry *e);
uint64_t tlb_data(const struct tlb_entry *e); // struct tlb_hot.data of an entry
// Remove an entry; drops its mirrors.
void tlb_drop(struct tlb *t, enum tlb_unit unit, unsigned i);
void tlb_evict(struct tlb *t, enum tlb_unit unit, unsigned i); // the same, told and counted as making room
void tlb_unit_alloc(struct tlb_unit_state *u);                 // arrays for u->size entries
void tlb_unit_free(struct tlb_unit_state *u);
// Policies (sim/tlb_policy.c). Make room in a unit (false: it has all it may have); throw the lots of a walk.
bool tlb_grow(struct tlb_unit_state *u);
void tlb_draw_lots(struct tlb *t);

static inline unsigned tlb_bucket(struct hpa pa) { return (unsigned)(pa.v >> 12) & (TLB_SRC_SIZE - 1); }
// May writes to the page bypass the TLB's attention? Not if a source lies there.
static inline bool tlb_guards(const struct tlb *t, struct hpa pa) { return t->src_page[tlb_bucket(pa)] != 0; }
// n bytes at pa, of one page that the TLB guards, were written: entries made from them may be stale now.
void tlb_written(struct tlb *t, struct hpa pa, unsigned n);

// Fill the cache of its level, if there is one, at once.
void psc_fill(struct tlb *t, const struct psc_path *path, const struct psc_entry *e);
// A walk leaves n entries, to be filled by and by. Its page fault may follow.
void psc_wait(struct tlb *t, const struct psc_path *path, const struct psc_entry *e, unsigned n);
void psc_fill_waiting(struct tlb *t);
static inline void psc_settle(struct tlb *t)
{
    if (__builtin_expect(t->waiting.n, 0))
        psc_fill_waiting(t);
}
void psc_settle_all(struct sim_machine *m);
// n bytes at pa were written: does anything that waits come from there?
void psc_written(struct tlb *t, struct hpa pa);

// Which entries an invalidation drops.
struct tlb_select {
    uint32_t units;           // bit set of enum tlb_unit
    uint8_t mappings;         // bit set of enum tlb_mapping
    bool one_vpid, not_vpid0; // only vpid; all but VPID 0
    bool one_pcid;            // only pcid; globals of other PCIDs match too unless keep_global
    bool keep_global;         // globals stay
    bool one_eptrta;          // only eptrta
    bool one_page;            // only what translates addr (TLBs: any part of its guest page; caches: its prefix)
    uint16_t vpid, pcid;
    uint64_t eptrta, addr;
};
#define TLB_UNITS_TLB   (1u << TLB_ITLB | 1u << TLB_DTLB | 1u << TLB_STLB)
#define TLB_UNITS_PAGES (TLB_UNITS_TLB | 1u << TLB_NTLB) // hold translations
#define TLB_UNITS_EPT                                                                                                              \
    (1u << TLB_NTLB | 1u << TLB_EPT_PML5E | 1u << TLB_EPT_PML4E | 1u << TLB_EPT_PDPTE |                                            \
     1u << TLB_EPT_PDE) // guest-physical mappings
#define TLB_UNITS_PSC (1u << TLB_PML5E | 1u << TLB_PML4E | 1u << TLB_PDPTE | 1u << TLB_PDE)
// Which of them keeps the entries of a level, 2 to 5.
static inline enum tlb_unit tlb_cache_of_level(unsigned level) { return (enum tlb_unit)(TLB_PDE + 2 - level); }
static inline enum tlb_unit tlb_ept_cache_of_level(unsigned level) { return (enum tlb_unit)(TLB_EPT_PDE + 2 - level); }
#define TLB_UNITS_ALL ((1u << TLB_NUNIT) - 1)
#define TLB_MAP_LA    (1u << TLB_LINEAR | 1u << TLB_COMBINED)
#define TLB_MAP_ALL   (TLB_MAP_LA | 1u << TLB_GUEST_PHYSICAL)
void psc_invalidate(struct tlb *t, const struct tlb_select *s);          // what waits is dropped where all is selected, else filled
unsigned tlb_invalidate(struct tlb *t, const struct tlb_select *s);      // how many entries it dropped
bool tlb_selects(const struct tlb_select *s, const struct tlb_entry *e); // (the unit aside)
// Has a source of the entry changed in RAM so that the translation or its rights would now be different? *now: its value, *which: 0 the
// guest's entry, 1 the EPT entry.
bool tlb_source_changed(const struct sim_machine *m, const struct tlb_entry *e, uint64_t *now, unsigned *which);
// Stale entries (sim/tlb_stale.c): the instruction under way has made one so; somebody listens to uses, and here is one.
void tlb_blame(struct sim_machine *m, struct tlb_entry *e, uint64_t now, unsigned which);
void tlb_used(struct sim_cpu *c, struct tlb_entry *e, uint64_t la);

// --- translations in functional fidelity (sim/soft.c)
void soft_create(struct sim_cpu *c);
void soft_destroy(struct sim_cpu *c);
uint64_t soft_serial(struct sim_cpu *c); // for a context: a number that no entry carries
bool soft_find(const struct sim_cpu *c, uint64_t la, unsigned acc,
               uint64_t *data); // one that allows the access; data as in struct tlb_hot
uint64_t soft_fill(struct sim_cpu *c, uint64_t la, const struct tlb_entry *e); // keep what a walk found for la; gives its data
void soft_invalidate(struct sim_cpu *c, const struct tlb_select *s);

// --- mirrors (sim/mirror.c)
// An access by the current context at la succeeded at pa. Mirrors it where that is allowed.
// note: where to note the slot used, for an entry of a large page (tlb_unit_state.mirrored), or NULL.
// may: what the context may do with the page (MMU_MAY_*). Returns where the byte is in the host's memory, if reads (write: writes) will find it in
// the mirror from now on, else NULL.
void *mmu_mirror_fill(struct sim_cpu *c, uint64_t la, struct hpa pa, unsigned may, bool write, struct mmu_note *note);
// Functional fidelity: the wide mirror remembers for each entry of the cache of translations what mmu_mirror_fill() made of it, so that a page
// which lost its slot of rd and wr gets it back without the questions. An entry ends with that of the cache.
//    tag      63..19 linear page (bits 56..12)   18..13 context and privilege, as in isa_cpu.mctx   12..0 mmu_state.wide_serial
//    addend   as isa_mirror.addend, but bit 0: the context may write, and D is set
// What drops entries by anything but their page drops all, by a new serial number.
#define MMU_WIDE_SIZE        32768u // as many as the cache, by the same part of the address
#define MMU_WIDE_SERIAL_BITS 13
static inline unsigned mmu_wide_index(uint64_t la) { return (unsigned)((la >> 12) ^ (la >> 27)) & (MMU_WIDE_SIZE - 1); }
void *mmu_mirror_wide(struct sim_cpu *c, uint64_t la, unsigned n,
                      unsigned acc);                    // the bytes, which rd and wr know from now on; or NULL
void mmu_mirror_unwide(struct sim_cpu *c, uint64_t la); // the cache puts another entry where that of la was
void mmu_mirror_fill_fetch(struct sim_cpu *c, uint64_t la, struct hpa pa, struct mmu_note *note);
bool mmu_mirror_fetch_again(struct sim_cpu *c,
                            uint64_t la); // a fetch missed fx: does fx have its page now, that another had put out?
// Drop the mirrors of a page, in all contexts: wherever they are, or in the slots noted (and no longer) for who knows that there are no
// others.
void mmu_mirror_drop(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned shift);
void mmu_mirror_drop_noted(struct sim_cpu *c, enum tlb_unit unit, uint64_t la, unsigned shift, struct mmu_note *note);
void mmu_mirror_clear_cpu(struct sim_cpu *c);
void mmu_mirror_drop_writes(struct sim_machine *m, struct hpa pa); // no wr entry for this page any more
void mmu_mirror_select(struct sim_cpu *c);                         // context number of the current context into isa.mctx
// Assert the invariants; returns how many mirror entries are live. Debug builds call it after some of the slow paths.
unsigned mmu_mirror_check(struct sim_cpu *c);

static inline bool mmu_is_apic_page(const struct mmu_state *s, struct hpa pa) { return ((pa.v & ~0xfffull) | 1) == s->apic_page; }

// The debug registers may have changed: pages with data breakpoints leave the mirrors, so that every access to them is seen.
void mmu_watch(struct sim_cpu *c);
static inline bool mmu_is_watched(const struct mmu_state *s, uint64_t la)
{
    bool hit = false;
    for (unsigned n = 0; s->watching && n < ISA_NBP; n++)
        hit |= s->watched[n] == ((la & ~0xfffull) | 1);
    return hit;
}

// What the context, as user or supervisor, may do through a translation with these data (struct tlb_hot) without another walk: MMU_MAY_*. What only
// RFLAGS.AC allows counts as forbidden.
#define MMU_MAY_READ  1u
#define MMU_MAY_WRITE 2u
static inline unsigned mmu_may(const struct mmu_state *s, bool user, uint64_t data)
{
    unsigned may = s->grant[s->grants + user][data & 0x7f];
    if (__builtin_expect(s->pg.pkru != 0, 0)) {
        may &= isa_pg_key_denies(&s->pg, TLB_DATA_RIGHTS(data), user, ISA_ACC_R) ? 0 : ~0u;
        may &= isa_pg_key_denies(&s->pg, TLB_DATA_RIGHTS(data), user, ISA_ACC_W) ? ~MMU_MAY_WRITE : ~0u;
    }
    return may;
}

// What an access of kind acc (ISA_ACC_*) needs of EPT: EPT_R, EPT_W, EPT_X.
static inline unsigned mmu_ept_need(unsigned acc)
{
    return acc & ISA_ACC_X ? EPT_X : acc & ISA_ACC_RMW ? EPT_R | EPT_W : acc & ISA_ACC_W ? EPT_W : EPT_R;
}

// What the guest's own tables say of a linear address, as the exit qualification of an EPT violation shows it.
// Without paging it has all rights.
static inline unsigned mmu_advanced(unsigned rights)
{
    return (rights & ISA_PG_U ? EPT_QUAL_USER : 0) | (rights & ISA_PG_W ? EPT_QUAL_WRITABLE : 0) |
           (rights & ISA_PG_X ? 0 : EPT_QUAL_XD);
}

// --- walks (sim/mmu_walk.c). 0 with *e filled (a TLB entry without unit), or FAULT / VMEXIT.
int mmu_walk(struct sim_cpu *c, uint64_t la, unsigned acc, struct tlb_entry *e);
// Guest-physical access without a linear address (PDPTE loads and the like).
int mmu_walk_gpa(struct sim_cpu *c, struct gpa gpa, unsigned acc, struct hpa *pa);

// --- invalidation (sim/mmu_inval.c)
// Raise #PF: drops what the manual says a page fault drops.
int mmu_page_fault(struct sim_cpu *c, uint64_t la, unsigned acc, unsigned rights, enum isa_rule rule);
// EPT violation found in a TLB entry or in a walk: drops what the manual says it drops.
int mmu_ept_violation(struct sim_cpu *c, struct gpa gpa, uint64_t la, bool la_valid, bool final, unsigned acc, unsigned perms,
                      uint64_t entry);
int mmu_ept_misconfig(struct sim_cpu *c, struct gpa gpa);

// --- access (sim/mmu_access.c): translate one access inside a page; *pa is exact on success.
int mmu_translate(struct sim_cpu *c, uint64_t la, unsigned acc, struct hpa *pa);

#endif
