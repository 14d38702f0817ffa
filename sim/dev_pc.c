// sim/dev_pc.c: the set of devices that every machine has.
#include "sim/dev_pc.h"

#include "sim/dev_lapic.h"

int dev_pc_attach(struct sim_machine *m, struct dev_pc *pc)
{
    pc->pic = dev_pic_attach(m);
    pc->serial = dev_uart_attach(m, 0x3f8, 4);
    if (!pc->pic || !pc->serial || !(pc->lapic = dev_lapic_attach(m, pc->pic)) || !(pc->ioapic = dev_ioapic_attach(m, pc->lapic)))
        return -1;
    return dev_pit_attach(m) && dev_debug_attach(m) && dev_uart_attach(m, 0x2f8, 3) && dev_rtc_attach(m) && dev_8042_attach(m) &&
                   dev_chipset_attach(m) && dev_acpi_attach(m)
               ? 0
               : -1;
}

uint64_t dev_hash_bytes(uint64_t h, const void *p, uint64_t n)
{
    const uint8_t *b = p;
    while (n--)
        h = (h ^ *b++) * 0x100000001b3ull;
    return h;
}
