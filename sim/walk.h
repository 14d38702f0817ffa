// sim/walk.h: a translation as a table of steps, for people.
//
// sim_translate() walks as the processor would (guest tables times EPT), without reading or changing TLBs, A and D flags or cycles.
// The reference numbers are those of the REF events of a cold walk. Manual: "4-Level Paging and 5-Level Paging",
// "The Extended Page Table Mechanism (EPT)".
#ifndef SIM_WALK_H
#define SIM_WALK_H

#include "isa/cpu.h"

#define SIM_WALK_MAX 64
enum sim_walk_outcome {
    SIM_WALK_OK,
    SIM_WALK_PF,
    SIM_WALK_EPT_VIOLATION,
    SIM_WALK_EPT_MISCONFIG,
    SIM_WALK_NO_PAGING,
    SIM_WALK_LOG_FULL /* live walks only */
};

struct sim_walk_step {
    uint16_t number; // 1..
    bool ept;        // reads an EPT entry (else a guest paging-structure entry)
    uint8_t glevel;  // guest level whose entry is wanted: 5..1; 0: the final guest-physical address
    uint8_t elevel;  // EPT level 5..1; 0 for a guest entry
    uint64_t index;  // index in the table
    struct gpa gpa;  // guest-physical address being translated (EPT) or of the entry (guest)
    struct hpa at;   // host-physical address of the entry
    uint64_t entry;  // its value
    bool leaf;       // maps a page
    bool failed;     // the walk ends here with a fault
    const char *why; // of a failed step: one sentence, static
};
struct sim_walk {
    uint64_t la;
    uint8_t acc;                      // ISA_ACC_*
    uint8_t guest_levels, ept_levels; // 0 when off; levels in memory: PAE paging has 2, its PDPTEs are registers
    uint8_t pde_shift;                // bits of the page that a guest PDE maps by itself: 22 with 32-bit paging, else 21
    enum sim_walk_outcome outcome;
    uint32_t pf_error;
    uint16_t refs;      // number of steps
    uint8_t page_shift; // of the resulting translation: the smaller of guest and host page
    struct gpa gpa;
    struct hpa hpa;
    struct sim_walk_step step[SIM_WALK_MAX];
};

struct sim_machine;
void sim_translate(struct sim_machine *m, unsigned cpu, uint64_t la, unsigned acc, struct sim_walk *out);
// Guest-physical to host-physical by the current EPT alone (identity when EPT is off).
void sim_translate_gpa(struct sim_machine *m, unsigned cpu, struct gpa gpa, unsigned acc, struct sim_walk *out);

#endif
