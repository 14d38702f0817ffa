// sim/output.c: what the guest wrote, and what the user types to it.
#include "sim/internal.h"

const char *sim_output(struct sim_machine *m, uint64_t *len)
{
    if (len)
        *len = m->output_len;
    return m->output ? m->output : "";
}

void sim_input(struct sim_machine *m, const void *bytes, uint64_t n) { bus_input(m, bytes, n); }
