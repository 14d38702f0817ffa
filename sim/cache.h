// sim/cache.h: a hierarchy of caches, by the addresses of lines alone: what an access costs and what it changes.
//
// MODELS     per processor L1I, L1D and L2; one L3 for all of them, which includes what they hold; memory. Set-associative, indexed by
//            the low bits of the line number, replaced by a tree of pseudo-LRU bits. Write-back, write-allocate. L2 neither includes
//            nor excludes L1: a line that L1D gives up comes to L2 if it was modified, and is forgotten otherwise. Any cache may be absent.
// COHERENCE  MESI. A processor owns a line (E or M) or shares it (S). A load that finds it owned elsewhere makes both share it; a store
//            takes it from all others. Between the caches of one processor the one nearest to the core has the newest contents, so L2
//            may say E or M of a line that L1D has modified since.
// DIES       processors may be on several dies, which are the corners of a square or cube, linked along its edges; no more than two hops are
//            charged. What others have comes from the farthest that must answer. L3 is one for all dies.
// COST       cycles from the request to the value, of the one place that serves it: a cache's latency; memory; or, where another
//            processor has the line modified or must give it up, the transfer. Misses do not overlap, nothing is prefetched, and
//            what leaves a cache leaves in the background. Beyond a processor's own caches requests for one line are served one after
//            another: cache_queue() says what one of several processors waits for those before it.
// CONTENTS   none: guests read and write RAM, so nothing here can change what they compute.
// OWNERSHIP  caches_create() to caches_destroy(). Same accesses, same answers, on every host.
#ifndef SIM_CACHE_H
#define SIM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/error.h"
#include "sim/profile.h"

enum cache_unit { CACHE_L1I, CACHE_L1D, CACHE_L2, CACHE_L3, CACHE_NUNIT };
enum cache_state { CACHE_I, CACHE_S, CACHE_E, CACHE_M };
// What is asked for. RMW: a locked operation, which must own the line.
enum cache_kind { CACHE_FETCH, CACHE_LOAD, CACHE_STORE, CACHE_RMW };
// Who served it: one of the units, memory, another processor's caches, or nobody (the line was here, others had to give theirs up).
enum cache_server { CACHE_BY_MEMORY = CACHE_NUNIT, CACHE_BY_PEER, CACHE_BY_UPGRADE };

struct cache_config {
    unsigned cpus;
    struct profile_cache unit[CACHE_NUNIT]; // size 0: absent. All lines are equally long
    uint32_t memory;                        // cycles of an access that no cache serves
    struct profile_line line[3]; // cycles of accesses where another processor has the line: on the same die, one hop away, two
    unsigned die;                // processors on a die; 0: all
};
struct cache_result {
    uint32_t cycles;
    uint32_t server; // enum cache_unit or cache_server
};

struct caches;
int cache_config_check(const struct cache_config *cfg, struct sim_error *err);
struct caches *caches_create(const struct cache_config *cfg, struct sim_error *err); // NULL: a geometry that cannot be
void caches_destroy(struct caches *h);
void caches_clear(struct caches *h); // all lines I, all counters 0

uint64_t cache_line(const struct caches *h, uint64_t pa); // the line of an address
// One access inside one line.
struct cache_result cache_access(struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind);
// A processor's first-level cache: who accesses it often asks array_again() first (sim/cache_array.h).
struct cache_array *cache_first(struct caches *h, unsigned cpu, enum cache_unit l1);
// What PREFETCHh and PREFETCHW ask for. T0: as a load. L2: to L2 (T1 and T2), no nearer. NTA: to L1D without a place in L2. W: as a store, but the line
// stays unmodified.
enum cache_prefetch { CACHE_PREFETCH_T0, CACHE_PREFETCH_L2, CACHE_PREFETCH_NTA, CACHE_PREFETCH_W };
struct cache_result cache_prefetch(struct caches *h, unsigned cpu, uint64_t pa, enum cache_prefetch how);
// Would a load or store of the line hit in L1D, and change nothing but the count of hits and the order of replacement? Count so many more of
// them, which change the count only.
bool cache_hits(const struct caches *h, unsigned cpu, uint64_t pa, enum cache_kind kind);
void cache_count_hits(struct caches *h, unsigned cpu, uint64_t n);
// Of several processors: what an access that left this one's caches (r) takes in all, if it begins at `now`: requests of others for the line
// that began before are served first. Those of a processor that has run ahead of this one began later, whatever the order of the calls.
uint32_t cache_queue(struct caches *h, unsigned cpu, uint64_t pa, struct cache_result r, uint64_t now);
// What a processor does to lines otherwise. Returned: how many modified lines went to memory for it.
//    flush    CLFLUSH: the line leaves all caches of all processors
//    clean    CLWB: the same, but who has the line keeps it, unmodified
//    store    a non-temporal store: the line leaves all caches, as the store goes to memory past them
//    all      WBINVD, INVD (which writes nothing back): everything that the processor has leaves, and all of L3 with what others have of that
unsigned cache_flush_line(struct caches *h, unsigned cpu, uint64_t pa);
unsigned cache_clean_line(struct caches *h, unsigned cpu, uint64_t pa);
unsigned cache_store_past(struct caches *h, unsigned cpu, uint64_t pa);
unsigned cache_flush_all(struct caches *h, unsigned cpu, bool write_back);

// --- for people and tests: nothing of it changes anything
struct cache_geometry {
    uint32_t sets, ways, line, latency; // sets 0: absent
};
struct cache_geometry cache_geometry(const struct caches *h, enum cache_unit u);
enum cache_state cache_state(const struct caches *h, unsigned cpu, enum cache_unit u, uint64_t pa);
unsigned cache_cpus(const struct caches *h);
enum cache_state cache_held(const struct caches *h, unsigned cpu,
                            uint64_t pa); // the highest state in any of the processor's own caches
// What way of a set holds: false if nothing. Of L3, cpu does not matter.
bool cache_way(const struct caches *h, unsigned cpu, enum cache_unit u, uint32_t set, uint32_t way, uint64_t *pa,
               enum cache_state *state);
uint32_t cache_victim(const struct caches *h, unsigned cpu, enum cache_unit u,
                      uint32_t set); // the way that a new line would take
uint32_t cache_set_of(const struct caches *h, enum cache_unit u, uint64_t pa);

struct cache_counts {
    uint64_t hits, misses; // of accesses that came to the unit
    uint64_t evictions;    // lines that made room
    uint64_t writebacks;   // of them, modified ones
};
// A processor's accesses to the unit; evictions are counted for whoever caused them.
struct cache_counts cache_counts(const struct caches *h, unsigned cpu, enum cache_unit u);
struct cache_traffic {
    uint64_t memory;        // accesses that memory served
    uint64_t transfers;     // accesses that another processor's modified line served
    uint64_t invalidations; // lines that other processors lost to this one's stores
    uint64_t upgrades;      // stores to lines that were here, but shared
    uint64_t recalls;       // lines that processors lost because L3 needed room
    uint64_t flushed;       // lines that left the caches because this processor said so
    uint64_t cleaned;       // modified lines that were written to memory because it said so
    uint64_t past;          // lines written past the caches; stores to one line after another count once
};
struct cache_traffic cache_traffic(const struct caches *h, unsigned cpu);

uint64_t caches_hash(const struct caches *h); // of lines, states, order of replacement and requests under way
const char *cache_unit_name(enum cache_unit u);
char cache_state_letter(enum cache_state s);
// Assert what must always hold: at most one owner, nobody shares an owned line, L3 includes all, no line twice in a set.
void caches_check(const struct caches *h);

#endif
