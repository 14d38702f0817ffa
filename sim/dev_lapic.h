// sim/dev_lapic.h: the local APICs, one per processor, and the I/O APIC: how interrupts reach processors.
//
//    device lines -> 8259 pair --INTR--> LINT0 (ExtINT) of processor 0
//                 -> I/O APIC  --message--> dev_lapic_deliver() -> IRR of the addressed processors
//
// MANUAL     "Advanced Programmable Interrupt Controller (APIC)".
#ifndef SIM_DEV_LAPIC_H
#define SIM_DEV_LAPIC_H

#include "sim/device.h"

// Delivery modes of the ICR, the LVT and redirection entries.
enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI = 4, APIC_INIT, APIC_STARTUP, APIC_EXTINT };

// An interrupt message as it travels between I/O APIC, message-signalled interrupts and local APICs.
struct apic_msg {
    uint32_t dest; // APIC identifier, or a set in logical mode
    uint8_t vector;
    uint8_t mode; // enum apic_mode
    bool logical, level;
    bool x2; // dest is 32 bits wide (sent by an x2APIC)
};

struct dev *dev_lapic_attach(struct sim_machine *m, struct dev *pic);
void dev_lapic_deliver(struct dev *lapic, const struct apic_msg *msg);
// MSRs 800H to 83FH and IA32_TSC_DEADLINE; false: no such MSR now, or a bad value.
bool dev_lapic_rdmsr(struct dev *lapic, unsigned cpu, uint32_t msr, uint64_t *val);
bool dev_lapic_wrmsr(struct dev *lapic, unsigned cpu, uint32_t msr, uint64_t val);
// IA32_APIC_BASE, or the time-stamp counter, was written.
void dev_lapic_msr_changed(struct dev *lapic, unsigned cpu, uint32_t msr);
// The processor ends the interrupt in service with the highest priority, without a write of the EOI register.
void dev_lapic_eoi(struct dev *lapic, unsigned cpu);
// The processor took an INIT: all registers but the identifier are as after power-up.
void dev_lapic_pmi(struct dev *lapic, unsigned cpu); // a performance counter overflowed
void dev_lapic_init(struct dev *lapic, unsigned cpu);

struct dev *dev_ioapic_attach(struct sim_machine *m, struct dev *lapic);
// Drive one of the 24 pins.
void dev_ioapic_line(struct dev *ioapic, unsigned pin, bool level);
// A processor ended a level-triggered interrupt.
void dev_ioapic_eoi(struct dev *ioapic, uint8_t vector);
// The I/O APIC hands the 8259's INTR to processor 0 (pin 0 in ExtINT mode).
void dev_lapic_extint_by_ioapic(struct dev *lapic, bool on);
void dev_lapic_set_ioapic(struct dev *lapic, struct dev *ioapic);

#endif
