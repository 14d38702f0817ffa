// sim/firmware.h: PC firmware (SeaBIOS's bios.bin) in its flash memory, and the processor at the reset vector.
//
// The image ends at 4 GiB; its last 128 KiB are also in RAM at E0000H..FFFFFH, as after a chipset has been told to shadow it. The memory map
// and the ACPI tables are handed over through fw_cfg (sim/dev_fwcfg.c, sim/acpi.h); the disk is found on the PCI bus.
#ifndef SIM_FIRMWARE_H
#define SIM_FIRMWARE_H

#include "sim/machine.h"

// Load an image of 64 KiB to 16 MiB in whole 64 KiB, and reset the machine. One image per machine.
int sim_load_firmware(struct sim_machine *m, const char *path, struct sim_error *err);

#endif
