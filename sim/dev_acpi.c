// sim/dev_acpi.c: the ACPI fixed hardware: PM1a event and control registers and the power-management timer. The tables are sim/acpi.c.
//
//    600H  PM1 status   (2 bytes; writing ones clears)      604H  PM1 control (2 bytes)
//    602H  PM1 enable   (2 bytes)                           608H  PM timer (4 bytes, 3.579545 MHz)
//
// MODELS     ACPI mode always on (SCI_EN reads 1); sleep type 5 with SLP_EN switches the machine off: the run ends with status 0. No event
//            source exists, so the status bits stay 0 and no SCI comes. Other sleep types are refused by name.
// SOURCE     ACPI specification, "Fixed Hardware".
#include <stdlib.h>

#include "sim/acpi.h"
#include "sim/dev_pc.h"

#define PM_HZ   3579545u
#define SCI_EN  1u
#define SLP_EN  (1u << 13)
#define CNT_MAY 0x1c07u

struct acpi {
    struct dev d;
    uint16_t enable, control;
};

static uint64_t acpi_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    const struct acpi *a = (const struct acpi *)d;
    uint64_t regs = (uint64_t)a->enable << 16 | (uint64_t)(a->control | SCI_EN) << 32;
    if (off >= 8)
        return (uint32_t)((unsigned __int128)dev_now(d) * PM_HZ / dev_hz(d)) >> (off - 8) * 8;
    return regs >> off * 8;
}

static void acpi_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct acpi *a = (struct acpi *)d;
    if (off == 0 && size == 4)
        a->enable = (uint16_t)(val >> 16);
    if (off == 2)
        a->enable = (uint16_t)val;
    if (off != 4 || size == 1)
        return;
    a->control = val & CNT_MAY;
    if (!(val & SLP_EN))
        return;
    if ((val >> 10 & 7) == ACPI_SLEEP_OFF)
        dev_power_off(d);
    else
        dev_refuse(d, "ACPI sleep type %u: only soft-off exists", (unsigned)(val >> 10 & 7));
}

static void acpi_reset(struct dev *d)
{
    struct acpi *a = (struct acpi *)d;
    a->enable = a->control = 0;
}

static uint64_t acpi_hash(const struct dev *d, uint64_t h)
{
    const struct acpi *a = (const struct acpi *)d;
    const uint16_t flat[] = {a->enable, a->control};
    return dev_hash_bytes(h, flat, sizeof flat);
}

static const struct dev_ops acpi_ops = {
    .name = "acpi", .reset = acpi_reset, .read = acpi_read, .write = acpi_write, .hash = acpi_hash};

struct dev *dev_acpi_attach(struct sim_machine *m)
{
    struct acpi *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->d.ops = &acpi_ops;
    dev_attach(m, &a->d);
    dev_map_port(&a->d, 0, ACPI_PM1_EVENT, 12);
    return &a->d;
}
