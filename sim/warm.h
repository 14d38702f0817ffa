// sim/warm.h: what the TLB and the paging-structure caches would save of a translation now, for people: nothing is touched, stamped or filled.
#ifndef SIM_WARM_H
#define SIM_WARM_H

#include "sim/tlb.h"
#include "sim/walk.h"

struct sim_warm {
    int tlb;     // enum tlb_unit that holds the translation: no walk at all; -1: none
    uint8_t psc; // guest level whose entry a paging-structure cache holds, 4..2: the walk begins below it; 0: none
    uint8_t epsc
        [6]; // by guest level (0: the final address): EPT level whose entry for that address a paging-structure cache holds; 0: none
    uint8_t ntlb; // bit n: the guest-physical address needed for guest level n (0: the final one) is in the nTLB
};
// What a walk like w, of sim_translate(), would be saved if it was made now by the live MMU. (Unless the walk itself drives an entry out
// of the nTLB before it comes to use it.)
void sim_warm(struct sim_machine *m, unsigned cpu, const struct sim_walk *w, struct sim_warm *out);
// Does the step happen, given what is cached?
bool sim_warm_makes(const struct sim_warm *h, const struct sim_walk_step *s);
// The unit that makes the step unnecessary, or NULL.
const char *sim_warm_why(const struct sim_warm *h, unsigned glevel, unsigned elevel);

#endif
