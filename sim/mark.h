// sim/mark.h: named points of a scenario, where diagrams can be drawn and the debugger can stop.
#ifndef SIM_MARK_H
#define SIM_MARK_H

#include "sim/machine.h"

struct sim_mark {
    const char *name;
    const char *text; // one line
    struct sim_machine *m;
    unsigned cpu;
    bool has_la; // a linear address worth drawing the walk of
    uint64_t la;
    unsigned acc;
};

#endif
