// sim/tlb.h: the architectural TLB and paging-structure caches, with tags.
//
// MODELS     linear mappings tagged (VPID, PCID), guest-physical mappings tagged EPTRTA, combined mappings tagged
//            (VPID, PCID, EPTRTA), global entries; geometry and replacement from the profile. Manual: "Caching Translation
//            Information", "VMX Support for Address Translation".
// RULE       one function ends an entry, for whatever reason, and it drops the inline-TLB mirror of it (sim/tlb.c).
#ifndef SIM_TLB_H
#define SIM_TLB_H

#include "isa/cpu.h"

enum tlb_mapping { TLB_LINEAR, TLB_GUEST_PHYSICAL, TLB_COMBINED };
enum tlb_unit {
    TLB_ITLB,
    TLB_DTLB,
    TLB_STLB,
    TLB_NTLB /* guest-physical mappings */,
    TLB_PML5E,
    TLB_PML4E,
    TLB_PDPTE,
    TLB_PDE,
    TLB_EPT_PML5E /* of guest-physical mappings */,
    TLB_EPT_PML4E,
    TLB_EPT_PDPTE,
    TLB_EPT_PDE,
    TLB_NUNIT
};
static inline bool tlb_is_cache(enum tlb_unit unit) { return unit >= TLB_PML5E; } // of paging structures

#define TLB_PERM_W      1u // all levels allow writes
#define TLB_PERM_U      2u // all levels allow user
#define TLB_PERM_X      4u // no level forbids fetches
#define TLB_PERM_R      8u // readable (EPT execute-only pages are not)
// Of guest-physical mappings and paging-structure caches: fetches from user-mode linear addresses. In combined mappings TLB_PERM_X is what holds for
// their own linear addresses.
#define TLB_PERM_USER_X 16u

struct tlb_entry {
    bool valid, global, dirty;
    bool unpaged;        // made while CR0.PG = 0 (under EPT): linear = guest-physical
    uint8_t mapping;     // enum tlb_mapping
    uint8_t unit;        // enum tlb_unit
    uint8_t page_shift;  // 12, 21, 30 (22 for 4 MB pages)
    uint8_t guest_shift; // page size of the guest's own tables, where larger than page_shift the entry is a fragment of that page
    uint8_t perms;       // TLB_PERM_*: gperms & eperms
    uint8_t gperms;      // of the guest's paging structures alone (W, U, X, R)
    uint8_t eperms;      // of the EPT alone (W, U, X, R); all without EPT
    uint8_t pkey;        // protection key of the guest's page
    uint16_t vpid, pcid;
    uint64_t eptrta;  // EPTP bits 51:12, 0 without EPT
    uint64_t tag;     // linear (or guest-physical) page base
    struct gpa gpa;   // guest-physical page base (combined mappings)
    struct hpa frame; // host-physical page base; for paging-structure-cache units: the next table
    // for people
    uint64_t filled_at;     // cycle
    uint64_t filled_rip;    // instruction that caused the walk
    struct hpa src[2];      // the entries it was made from: last guest entry, last EPT entry (0: none)
    uint64_t src_val[2];    // their values then
    uint8_t src_size[2];    // their sizes in bytes (0: none)
    bool src_leaf_large[2]; // they map a large page by their PS bit
    bool stale;             // a source has changed since
    // The write that made it stale (cycle 0: not by an instruction): by which processor, in VMX root operation or without VMX; which of
    // the sources it changed, and what that holds since
    uint64_t stale_cycle, stale_rip, stale_new;
    uint8_t stale_cpu, stale_which;
    bool stale_root;
    bool counted;  // in struct tlb's counts of sources
    uint64_t lru;  // when it was filled, by the TLB's own count
    uint64_t walk; // number of the walk that filled it
};

struct tlb;
// Iterate over all valid entries in a fixed order (unit, set, way). *pos starts at 0; returns NULL at the end.
const struct tlb_entry *tlb_next(const struct tlb *t, unsigned *pos);
unsigned tlb_count(const struct tlb *t, enum tlb_unit unit);
// What a unit has met since the machine was made. hits: look-ups that it answered; 0 for first-level units, whose hits the inline TLB hides.
struct tlb_counts {
    uint64_t hits, fills, evicts, dropped;
};
struct tlb_counts tlb_counts(const struct tlb *t, enum tlb_unit unit);
// Compare every entry with the tables in RAM it was made from, and set stale accordingly.
struct sim_machine;
void tlb_refresh_stale(struct sim_machine *m, unsigned cpu);
// In words: the entry, the write that made it stale, and the instruction that is missing between that write and a use for la by
// processor cpu; and that instruction alone. Return the length, as snprintf does.
unsigned sim_stale_text(struct sim_machine *m, unsigned cpu, const struct tlb_entry *e, uint64_t la, char *buf, unsigned size);
unsigned sim_stale_remedy(const struct tlb_entry *e, uint64_t la, char *buf, unsigned size);
const char *tlb_unit_name(enum tlb_unit unit);
const char *tlb_mapping_name(enum tlb_mapping mapping);

#endif
