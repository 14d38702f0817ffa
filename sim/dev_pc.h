// sim/dev_pc.h: the devices of the PC, for the bus: 8259 pair, 8254, clock, 16550s at 3F8H and 2F8H, debug ports.
#ifndef SIM_DEV_PC_H
#define SIM_DEV_PC_H

#include "sim/device.h"

// The devices that the bus itself talks to: input, interrupt lines, MSRs.
struct dev_pc {
    struct dev *serial, *pic, *lapic, *ioapic, *fwcfg, *console; // console: NULL without one
};
// Attach all; -1 when out of memory, or when the disk image cannot be used.
int dev_pc_attach(struct sim_machine *m, struct dev_pc *pc, struct sim_error *err);

// Each attaches one device; NULL when out of memory.
struct dev *dev_pic_attach(struct sim_machine *m); // dev_pic.c: 8259A pair, ports 20H, A0H, 4D0H
struct dev *dev_pit_attach(struct sim_machine *m); // dev_pit.c: 8254, ports 40H..43H, speaker and gate port 61H
struct dev *dev_uart_attach(struct sim_machine *m, uint16_t port, unsigned irq); // dev_uart.c: 16550A
struct dev *dev_debug_attach(struct sim_machine *m);                             // dev_debug.c: F4H, E9H, 402H

struct dev *dev_rtc_attach(struct sim_machine *m);     // dev_rtc.c: clock and CMOS memory, 70H, 71H
struct dev *dev_8042_attach(struct sim_machine *m);    // dev_8042.c: keyboard controller, 60H, 64H
struct dev *dev_chipset_attach(struct sim_machine *m); // dev_chipset.c: 80H, 92H, CF9H
struct dev *dev_acpi_attach(struct sim_machine *m);    // dev_acpi.c: PM1 registers and timer, 600H
struct dev *dev_testdev_attach(struct sim_machine *m); // dev_testdev.c: what test images of QEMU expect

// dev_fwcfg.c: configuration for a firmware, 510H. A file of the directory: its bytes are copied; -1 when there is no room for it.
struct dev *dev_fwcfg_attach(struct sim_machine *m);
int dev_fwcfg_add(struct dev *fwcfg, const char *name, const void *bytes, uint32_t n);
// dev_rom.c: read-only memory that ends at 4 GiB; the bytes are copied.
struct dev *dev_rom_attach(struct sim_machine *m, const void *bytes, uint32_t n);

// INTR of the 8259 pair reaches the processor, or a local APIC keeps it out.
void dev_pic_gate(struct dev *pic, bool open);
// Drive an interrupt line of the 8259 pair; true if its level changed.
bool dev_pic_line(struct dev *pic, unsigned line, bool level);
// Bytes that arrive at a serial port.
void dev_uart_input(struct dev *uart, const void *bytes, uint64_t n);

// Fold a device's plain-data state into a hash (FNV-1a).
uint64_t dev_hash_bytes(uint64_t h, const void *p, uint64_t n);

#endif
