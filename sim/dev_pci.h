// sim/dev_pci.h: PCI bus 0 with configuration mechanism 1; functions attach to slots of it.
//
// A function embeds struct pci_fn first, fills in its configuration space and calls pci_attach. Base addresses are 32-bit memory only; range
// number of a base address register in dev_ops.read and write: its index. The base addresses are assigned as a firmware would have done.
// SOURCE     PCI Local Bus Specification 3.0.
#ifndef SIM_DEV_PCI_H
#define SIM_DEV_PCI_H

#include "sim/device.h"

#define PCI_SLOTS     8
#define PCI_MEM_START 0xe0000000u // the window that the host bridge passes on
#define PCI_MEM_END   0xfec00000u

struct pci;
struct pci_fn {
    struct dev d;
    uint8_t cfg[256], may[256]; // may: bits that software can write
    uint32_t bar_size[6];       // powers of two, at least 4096; 0: none
    uint32_t mapped[6];         // where it answers now; 0: nowhere
    struct pci *bus;
    unsigned slot;
    bool irq; // INTA# asserted
};

void pci_put(struct pci_fn *f, unsigned at, uint32_t v, unsigned size);
// The interrupt line that INTA# of a slot is wired to (8259 line and I/O APIC pin alike).
unsigned pci_line(unsigned slot);
// Attach f (already filled in); slot 0 is the host bridge.
struct dev *dev_pci_attach(struct sim_machine *m); // the bridge
void pci_attach(struct dev *bridge, struct pci_fn *f, unsigned slot);
// Drive INTA#.
void pci_irq(struct pci_fn *f, bool level);
// To be called by the function's own reset: base addresses and command register as a firmware leaves them.
void pci_reset(struct pci_fn *f);
uint64_t pci_hash(const struct pci_fn *f, uint64_t h);

#endif
