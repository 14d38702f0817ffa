// sim/device.h: how devices attach to the machine: ports, memory-mapped ranges, interrupt lines, deadlines on the cycle clock.
//
// A device never reads the wall clock; time is the machine's cycle count, converted by the profile's frequency (dev_ns_to_cycles).
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "sim/machine.h"

struct dev;
struct dev_ops {
    const char *name;
    void (*reset)(struct dev *d);
    void (*destroy)(struct dev *d);
    // size 1, 2, 4 (8 for MMIO); off is relative to the range. Absent registers read as all ones.
    uint64_t (*read)(struct dev *d, unsigned range, uint64_t off, unsigned size);
    void (*write)(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val);
    void (*deadline)(struct dev *d);                   // the cycle given to dev_set_deadline has come
    uint64_t (*hash)(const struct dev *d, uint64_t h); // fold the device's state into a hash
};
struct dev {
    const struct dev_ops *ops;
    struct sim_machine *m;
    uint64_t deadline; // absolute cycle, UINT64_MAX for none; change it by dev_set_deadline only
};

// Attach d (owned by the machine from now on). range numbers are the device's own.
void dev_attach(struct sim_machine *m, struct dev *d);
void dev_map_port(struct dev *d, unsigned range, uint16_t port, unsigned n);
void dev_map_mmio(struct dev *d, unsigned range, struct hpa base, uint64_t n);
void dev_unmap_mmio(struct dev *d, unsigned range);
void dev_set_deadline(struct dev *d, uint64_t cycle);
uint64_t dev_now(const struct dev *d);                       // current cycle; exact, in the middle of a block too
uint64_t dev_hz(const struct dev *d);                        // cycles per second of the profile
uint64_t dev_ns_to_cycles(const struct dev *d, uint64_t ns); // by the profile's frequency

// Interrupt lines: 0..15 go to the 8259 pair and the I/O APIC (0 to its pin 2), 16..23 to the I/O APIC only.
void dev_irq(struct dev *d, unsigned line, bool level);
// The processor's interrupt input, driven by the interrupt controllers: the engine asks at instruction boundaries.
struct dev_intc {
    bool (*pending)(struct dev *d, unsigned cpu); // an interrupt waits for this processor (cheap)
    int (*ack)(struct dev *d, unsigned cpu);      // interrupt acknowledge: vector, or -1 (spurious withdrawn)
};
void dev_set_intc(struct sim_machine *m, struct dev *d, const struct dev_intc *ops, unsigned priority); // lower is asked first
void dev_intc_changed(struct sim_machine *m); // pending() may have changed

// A byte of guest output (of a firmware's log: it is told to observers only, and kept nowhere), and a guest-requested exit.
#define SIM_OUTPUT_FIRMWARE "firmware"
void dev_output(struct dev *d, const char *port, uint8_t byte);
void dev_exit(struct dev *d, uint64_t code);
// The guest switched the machine off: the run ends with SIM_STOP_EXIT, code 0.
void dev_power_off(struct dev *d);
// The guest asked a device for what is not modelled: the run ends with SIM_STOP_UNMODELLED and this text.
void dev_refuse(struct dev *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The guest asked for a reset through `by`: the run ends with SIM_STOP_RESET at the next instruction boundary.
void dev_request_reset(struct dev *d, const char *by);

#endif
