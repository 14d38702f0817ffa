// sim/dev_pc.c: the set of devices that every machine has.
#include "sim/dev_pc.h"

#include "sim/dev_lapic.h"
#include "sim/dev_virtio.h"
#include "sim/internal.h"

// On the PCI bus: the disk in slot 1 if there is one, the entropy source in slot 2, the console in slot 3 if asked for.
static int attach_pci(struct sim_machine *m, struct dev_pc *pc, struct sim_error *err)
{
    struct dev *pci = dev_pci_attach(m);
    if (pci && m->cfg.disk && !dev_virtio_blk_attach(m, pci, 1, err))
        return -1;
    bool ok = pci && dev_virtio_rng_attach(m, pci, 2);
    if (ok && m->cfg.virtio_console)
        ok = (pc->console = dev_virtio_console_attach(m, pci, 3)) != NULL;
    return ok ? 0 : sim_fail(err, SIM_INTERNAL, "machine: out of memory for the PCI bus");
}

int dev_pc_attach(struct sim_machine *m, struct dev_pc *pc, struct sim_error *err)
{
    pc->pic = dev_pic_attach(m);
    pc->serial = dev_uart_attach(m, 0x3f8, 4);
    pc->lapic = pc->pic ? dev_lapic_attach(m, pc->pic) : NULL;
    pc->ioapic = pc->lapic ? dev_ioapic_attach(m, pc->lapic) : NULL;
    if (!pc->ioapic || !pc->serial || !dev_pit_attach(m) || !dev_debug_attach(m) || !dev_uart_attach(m, 0x2f8, 3) ||
        !dev_rtc_attach(m) || !dev_8042_attach(m) || !dev_acpi_attach(m) || !dev_testdev_attach(m) ||
        !(pc->fwcfg = dev_fwcfg_attach(m)))
        return sim_fail(err, SIM_INTERNAL, "machine: out of memory for the devices");
    if (attach_pci(m, pc, err) < 0)
        return -1;
    if (!dev_chipset_attach(m)) // after PCI: its port CF9H lies in the middle of the other's CF8H
        return sim_fail(err, SIM_INTERNAL, "machine: out of memory for the devices");
    return 0;
}

uint64_t dev_hash_bytes(uint64_t h, const void *p, uint64_t n)
{
    const uint8_t *b = p;
    while (n--)
        h = (h ^ *b++) * 0x100000001b3ull;
    return h;
}
