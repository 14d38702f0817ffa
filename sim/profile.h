// sim/profile.h: a micro-architecture as data: frequency, TLB geometry, costs, features, VMX capability MSRs.
//
// A machine has a copy of its own, so that single values can be set: each has a dotted name, a unit and a range, and is a row of
// sim/profile_keys.def (costs: "cost." and the row's name in isa/costs.def, in small letters). What belongs together (the entries and
// ways of a TLB) is checked when the machine is made, so the order of assignments does not matter.
// SOURCES    each value of a named profile has a tag and a source (sim/profiles.def); what it does not name is as in teach: an estimate.
// ERRORS     a name that does not exist, a value out of range, a geometry that no hardware could have: SIM_USAGE, with the nearest name.
#ifndef SIM_PROFILE_H
#define SIM_PROFILE_H

#include "isa/tables.h"
#include "sim/error.h"
#include "vmx-model/caps.h"

struct profile_tlb {
    uint16_t entries, ways;
}; // entries 0: absent; ways = entries, or 0: fully associative
struct profile_cache {
    uint32_t size, ways, line, latency;
}; // bytes (0: absent), bytes, cycles from the request to the value
// Cycles of an access to a line that another processor has modified (or that others share, of a store): a load, a store, a locked operation.
struct profile_line {
    uint32_t load, store, rmw;
};
// Performance monitoring (isa/pmu.h): version (0: none), counters of both kinds and their widths in bits.
struct profile_pmu {
    uint8_t version, general, width, fixed, fixed_width;
};
// How a set of the second-level TLB chooses what to give up. First-level TLBs go by fill order, all other units least recently used.
//    LRU         the way not used for longest
//    FIFO        the way filled longest ago
//    PLRU        a binary tree over 1, 2, 4 or 8 ways points away from what was used
//    MRU3PLRU4   12 ways: three groups of four; the group behind that of the last use, and its tree
enum profile_policy { PROFILE_LRU, PROFILE_FIFO, PROFILE_PLRU, PROFILE_MRU3PLRU4 };
struct sim_profile {
    const char *name, *text;
    uint64_t hz;
    uint32_t cost[ISA_COST_NUM];
    struct profile_tlb itlb, itlb_2m, dtlb, dtlb_2m, dtlb_1g, stlb, ntlb, pml5e, pml4e, pdpte, pde, ept_pml5e, ept_pml4e, ept_pdpte,
        ept_pde;
    uint8_t stlb_policy, stlb_hash; // so many further bits of the page number are XORed into the set
    uint8_t stlb_2m;                // the second level takes 2- and 4-MByte pages, too
    struct profile_cache l1i, l1d, l2, l3;
    uint32_t dram_ns;            // what an access to memory takes that no cache served
    struct profile_line line[3]; // the other processor is on the same die, one hop away, two hops away
    uint32_t die, ipi;           // processors on a die (0: all); cycles of an interrupt to another processor
    uint64_t features[4];        // bit set of enum isa_feature: what the decoder accepts and CPUID reports
    uint8_t maxphyaddr;
    uint32_t family_model_stepping; // CPUID.1:EAX
    struct profile_pmu pmu;
    uint32_t max_leaf, leaf2[4]; // CPUID.0:EAX, CPUID.2
    struct vmx_caps vmx;
};

// Names and descriptions of the profiles; NULL at the end.
const char *sim_profile_nth(unsigned n);
const char *sim_profile_text(unsigned n);
// Fill *p. -1 with a message that lists the profiles, if none is called so.
int sim_profile_load(struct sim_profile *p, const char *name, struct sim_error *err);

// One assignment, "tlb.l2.entries=64". Numbers are decimal or 0x..., with K, M or G for powers of 1024.
int sim_profile_set(struct sim_profile *p, const char *assignment, struct sim_error *err);
// After the last assignment: VMX controls for what the profile has no more are not allowed.
void sim_profile_settle(struct sim_profile *p);
// Do the values fit together? To be called after the last assignment.
int sim_profile_check(const struct sim_profile *p, struct sim_error *err);

// Where a value of a named profile comes from: P primary text or measurement, S secondary source that quotes it, D derived, M from memory, E
// estimate; and the source in words.
char sim_profile_source(const char *profile, const char *key, const char **source);

// The keys in order; false at the end. value: in the unit of the key.
struct profile_key {
    char name[40];
    const char *unit, *text;
    uint64_t lowest, highest, scale;
    unsigned offset, size; // of the member of struct sim_profile; size 0: feature number offset
};
bool sim_profile_key(unsigned n, struct profile_key *k);
bool sim_profile_find_key(const char *name, struct profile_key *k);
uint64_t sim_profile_get(const struct sim_profile *p, const struct profile_key *k);
void sim_profile_put(struct sim_profile *p, const struct profile_key *k, uint64_t v); // v in range

#endif
