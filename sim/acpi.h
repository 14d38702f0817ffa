// sim/acpi.h: the ACPI tables that a loader puts into memory in place of a firmware, and the numbers that tables and devices share.
//
//    RSDP -> XSDT -> FADT -> FACS, DSDT (\_S5, the serial ports, the PCI root)
//                 -> MADT (processors, I/O APIC, timer on pin 2, PCI lines level-triggered)
//
// All in E0000H..EFFFFH, where the old search for the RSDP finds it too. AML is written by a small emitter (sim/acpi.c).
// SOURCE     ACPI specification 6.x.
#ifndef SIM_ACPI_H
#define SIM_ACPI_H

#include "sim/machine.h"

#define ACPI_PM1_EVENT   0x600
#define ACPI_PM1_CONTROL 0x604
#define ACPI_PM_TIMER    0x608
#define ACPI_SLEEP_OFF   5
#define ACPI_SCI         9
#define ACPI_RSDP        0xe0000ull

// Hand the tables to a firmware instead, through fw_cfg: the files etc/acpi/rsdp and etc/acpi/tables, and etc/table-loader, by whose commands
// the firmware places them, adds addresses to their pointers and corrects their checksums. -1 when out of memory.
int acpi_fwcfg(struct sim_machine *m);
// Write the tables; the address of the RSDP is ACPI_RSDP.
int acpi_place(struct sim_machine *m, struct sim_error *err);

#endif
