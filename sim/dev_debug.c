// sim/dev_debug.c: ports for guests that are programs, not systems, and for what a firmware has to say.
//   F4H  debug exit: a write of v ends the run with status (v << 1) | 1, as QEMU's isa-debug-exit does
//   E9H  output: a byte written goes to the machine's output; reads give E9H, by which guests detect the port (as Bochs's)
//   402H  output of a firmware: the same, apart from the rest
#include <stdlib.h>

#include "sim/dev_pc.h"

enum { DEBUG_EXIT, DEBUG_E9, DEBUG_FIRMWARE };

static uint64_t debug_read(struct dev *d, unsigned range, uint64_t off, unsigned size) { return range == DEBUG_EXIT ? 0 : 0xe9; }

static void debug_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    if (range == DEBUG_EXIT)
        dev_exit(d, val << 1 | 1);
    else
        dev_output(d, range == DEBUG_E9 ? "e9" : SIM_OUTPUT_FIRMWARE, (uint8_t)val);
}

static const struct dev_ops debug_ops = {.name = "debug", .read = debug_read, .write = debug_write};

struct dev *dev_debug_attach(struct sim_machine *m)
{
    struct dev *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->ops = &debug_ops;
    dev_attach(m, d);
    dev_map_port(d, DEBUG_EXIT, 0xf4, 4);
    dev_map_port(d, DEBUG_E9, 0xe9, 1);
    dev_map_port(d, DEBUG_FIRMWARE, 0x402, 1);
    return d;
}
