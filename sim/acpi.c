// sim/acpi.c: see sim/acpi.h.
#include "sim/acpi.h"

#include <assert.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/dev_pci.h"
#include "sim/internal.h"
#include "sim/multiboot.h"

#define AREA     0x2000u
#define AT_XSDT  0x0040u
#define AT_FADT  0x0100u
#define AT_FACS  0x0200u
#define AT_MADT  0x0300u
#define AT_DSDT  0x0800u
#define HEADER   36u
#define POINTERS 8
#define TABLES   4

struct area {
    uint8_t b[AREA];
    unsigned n; // where the emitters write
    struct {
        uint16_t at;
        uint8_t size;
    } pointer[POINTERS]; // fields that hold addresses of tables
    unsigned npointers;
    uint16_t table[TABLES]; // tables with a checksum in their header
    unsigned ntables;
};

static void put(struct area *a, uint64_t v, unsigned size)
{
    assert(a->n + size <= AREA);
    memcpy(a->b + a->n, &v, size);
    a->n += size;
}
static void pointer(struct area *a, unsigned table, unsigned size)
{
    assert(a->npointers < POINTERS);
    a->pointer[a->npointers].at = (uint16_t)a->n;
    a->pointer[a->npointers++].size = (uint8_t)size;
    put(a, ACPI_RSDP + table, size);
}
static void bytes(struct area *a, const void *p, unsigned n)
{
    assert(a->n + n <= AREA);
    memcpy(a->b + a->n, p, n);
    a->n += n;
}

static uint8_t checksum(const uint8_t *p, unsigned n)
{
    unsigned sum = 0;
    while (n--)
        sum += *p++;
    return (uint8_t)-sum;
}

// A table's header; table_end fills in length and checksum.
static void table_begin(struct area *a, unsigned at, const char *signature, unsigned revision)
{
    a->n = at;
    bytes(a, signature, 4);
    put(a, 0, 4);
    put(a, revision, 1);
    put(a, 0, 1);
    bytes(a, "RNGSDERINGSIDE", 14); // OEM identification and table identification
    put(a, 1, 4);
    bytes(a, "RNGS", 4);
    put(a, 1, 4);
}
static void table_end(struct area *a, unsigned at)
{
    uint32_t n = a->n - at;
    memcpy(a->b + at + 4, &n, 4);
    a->b[at + 9] = checksum(a->b + at, n);
    assert(a->ntables < TABLES);
    a->table[a->ntables++] = (uint16_t)at;
}

// --- AML

// Packages and other terms with a length: two length bytes are reserved and filled in by aml_end.
static unsigned aml_begin(struct area *a, unsigned op)
{
    if (op > 0xff)
        put(a, op >> 8, 1);
    put(a, op & 0xff, 1);
    put(a, 0, 2);
    return a->n - 2;
}
static void aml_end(struct area *a, unsigned at)
{
    unsigned n = a->n - at;
    assert(n < 0x1000);
    a->b[at] = (uint8_t)(0x40 | (n & 15));
    a->b[at + 1] = (uint8_t)(n >> 4);
}
enum { AML_SCOPE = 0x10, AML_BUFFER = 0x11, AML_PACKAGE = 0x12, AML_DEVICE = 0x5b82, AML_NAME = 0x08 };

static void aml_integer(struct area *a, uint32_t v)
{
    if (v < 2) {
        put(a, v, 1); // Zero, One
    } else {
        put(a, v < 0x100 ? 0x0a : v < 0x10000 ? 0x0b : 0x0c, 1);
        put(a, v, v < 0x100 ? 1 : v < 0x10000 ? 2 : 4);
    }
}
static void aml_name(struct area *a, const char *name)
{
    put(a, AML_NAME, 1);
    bytes(a, name, (unsigned)strlen(name));
}
// A name whose value is a compressed EISA identifier: three letters of five bits, four hexadecimal digits, most significant byte first.
static void aml_hid(struct area *a, const char *id)
{
    unsigned v = (unsigned)(id[0] - '@') << 10 | (unsigned)(id[1] - '@') << 5 | (unsigned)(id[2] - '@'), num = 0;
    for (const char *s = id + 3; *s; s++)
        num = num * 16 + (unsigned)(*s <= '9' ? *s - '0' : *s - 'A' + 10);
    aml_name(a, "_HID");
    put(a, 0x0c, 1);
    put(a, v >> 8, 1);
    put(a, v & 0xff, 1);
    put(a, num >> 8, 1);
    put(a, num & 0xff, 1);
}

// _CRS: a buffer of resource descriptors, closed by the end tag.
struct crs {
    unsigned buffer, size;
};
static struct crs crs_begin(struct area *a)
{
    struct crs c;
    aml_name(a, "_CRS");
    c.buffer = aml_begin(a, AML_BUFFER);
    put(a, 0x0b, 1); // the size, a word
    c.size = a->n;
    put(a, 0, 2);
    return c;
}
static void crs_end(struct area *a, struct crs c)
{
    put(a, 0x0079, 2); // end tag, no checksum
    uint16_t n = (uint16_t)(a->n - c.size - 2);
    memcpy(a->b + c.size, &n, 2);
    aml_end(a, c.buffer);
}
static void crs_io(struct area *a, unsigned base, unsigned n)
{
    put(a, 0x47, 1);
    put(a, 1, 1); // 16-bit decode
    put(a, base, 2);
    put(a, base, 2);
    put(a, 1, 1);
    put(a, n, 1);
}
static void crs_irq(struct area *a, unsigned line)
{
    put(a, 0x22, 1);
    put(a, 1u << line, 2);
}
// A window that a bridge passes on: type 0 memory, 1 I/O, 2 bus numbers.
static void crs_window(struct area *a, unsigned type, uint32_t lo, uint32_t hi)
{
    unsigned size = type == 0 ? 4 : 2;
    put(a, type == 0 ? 0x87 : 0x88, 1);
    put(a, 3 + 5 * size, 2);
    put(a, type, 1);
    put(a, 0x0c, 1);                              // minimum and maximum are fixed, decoded by the bridge
    put(a, type == 0 ? 1 : type == 1 ? 3 : 0, 1); // read and write; all of the I/O range
    put(a, 0, size);
    put(a, lo, size);
    put(a, hi, size);
    put(a, 0, size);
    put(a, hi - lo + 1, size);
}

static void isa_device(struct area *a, const char *name, const char *hid, unsigned uid, unsigned io, unsigned n, unsigned line)
{
    unsigned dev = aml_begin(a, AML_DEVICE);
    bytes(a, name, 4);
    aml_hid(a, hid);
    aml_name(a, "_UID");
    aml_integer(a, uid);
    struct crs c = crs_begin(a);
    crs_io(a, io, n);
    crs_irq(a, line);
    crs_end(a, c);
    aml_end(a, dev);
}

// Which I/O APIC pin INTA# of each slot is wired to.
static void pci_routes(struct area *a)
{
    aml_name(a, "_PRT");
    unsigned all = aml_begin(a, AML_PACKAGE);
    put(a, PCI_SLOTS - 1, 1);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++) {
        unsigned one = aml_begin(a, AML_PACKAGE);
        put(a, 4, 1);
        aml_integer(a, slot << 16 | 0xffff);
        aml_integer(a, 0);
        aml_integer(a, 0);
        aml_integer(a, pci_line(slot));
        aml_end(a, one);
    }
    aml_end(a, all);
}

static void pci_root(struct area *a)
{
    unsigned dev = aml_begin(a, AML_DEVICE);
    bytes(a, "PCI0", 4);
    aml_hid(a, "PNP0A03");
    struct crs c = crs_begin(a);
    crs_window(a, 2, 0, 0xff);
    crs_io(a, 0xcf8, 8);
    crs_window(a, 1, 0, 0xcf7);
    crs_window(a, 1, 0xd00, 0xffff);
    crs_window(a, 0, PCI_MEM_START, PCI_MEM_END - 1);
    crs_end(a, c);
    pci_routes(a);
    aml_end(a, dev);
}

static void dsdt(struct area *a)
{
    table_begin(a, AT_DSDT, "DSDT", 2);
    aml_name(a, "_S5_");
    unsigned p = aml_begin(a, AML_PACKAGE);
    put(a, 4, 1);
    aml_integer(a, ACPI_SLEEP_OFF);
    aml_integer(a, ACPI_SLEEP_OFF);
    aml_integer(a, 0);
    aml_integer(a, 0);
    aml_end(a, p);
    unsigned scope = aml_begin(a, AML_SCOPE);
    bytes(a, "\\_SB_", 5);
    pci_root(a);
    isa_device(a, "COM1", "PNP0501", 1, 0x3f8, 8, 4);
    isa_device(a, "COM2", "PNP0501", 2, 0x2f8, 8, 3);
    isa_device(a, "RTC_", "PNP0B00", 1, 0x70, 2, 8);
    aml_end(a, scope);
    table_end(a, AT_DSDT);
}

// --- the other tables

static void gas(struct area *a, uint64_t port, unsigned size) // generic address: I/O space
{
    put(a, port ? 1 : 0, 1);
    put(a, size * 8, 1);
    put(a, 0, 1);
    put(a, size == 4 ? 3 : size, 1);
    put(a, port, 8);
}

static void fadt(struct area *a)
{
    table_begin(a, AT_FADT, "FACP", 3);
    pointer(a, AT_FACS, 4);
    pointer(a, AT_DSDT, 4);
    put(a, 0, 1);
    put(a, 1, 1); // a desktop
    put(a, ACPI_SCI, 2);
    put(a, 0, 8); // no SMI command port: ACPI mode is always on
    put(a, ACPI_PM1_EVENT, 4);
    put(a, 0, 4);
    put(a, ACPI_PM1_CONTROL, 4);
    put(a, 0, 8);
    put(a, ACPI_PM_TIMER, 4);
    put(a, 0, 8);
    put(a, 4, 1); // lengths of the blocks
    put(a, 2, 1);
    put(a, 0, 1);
    put(a, 4, 1);
    put(a, 0, 4);
    put(a, 0xffffffff, 4); // no C2, no C3
    put(a, 0, 8);
    put(a, 0x32, 1);                // the clock's century register
    put(a, 1 | 1 << 1 | 1 << 2, 2); // legacy devices, 8042; no VGA
    put(a, 0, 1);
    put(a, 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 10, 4); // WBINVD, no fixed buttons, 32-bit timer, reset register
    gas(a, 0xcf9, 1);
    put(a, 6, 1);
    put(a, 0, 3);
    put(a, 0, 8); // the FACS has its 32-bit address above
    pointer(a, AT_DSDT, 8);
    gas(a, ACPI_PM1_EVENT, 4);
    gas(a, 0, 0);
    gas(a, ACPI_PM1_CONTROL, 2);
    gas(a, 0, 0);
    gas(a, 0, 0);
    gas(a, ACPI_PM_TIMER, 4);
    gas(a, 0, 0);
    gas(a, 0, 0);
    table_end(a, AT_FADT);
    a->n = AT_FACS;
    bytes(a, "FACS", 4);
    put(a, 64, 4);
    a->b[AT_FACS + 32] = 1;
}

static void madt(struct area *a, unsigned cpus)
{
    static const uint8_t level[] = {ACPI_SCI, 10, 11}; // lines that are level-triggered, active high
    table_begin(a, AT_MADT, "APIC", 3);
    put(a, 0xfee00000, 4);
    put(a, 1, 4); // there are 8259s too
    for (unsigned n = 0; n < cpus; n++)
        put(a, 0x0800 | (uint64_t)n << 16 | (uint64_t)n << 24 | 1ull << 32, 8);
    put(a, 0x0c01, 4);
    put(a, 0xfec00000, 4);
    put(a, 0, 4);
    put(a, 0x0a02, 4); // the timer, line 0, is pin 2
    put(a, 2, 4);
    put(a, 0, 2);
    for (unsigned k = 0; k < sizeof level; k++) {
        put(a, 0x0a02 | (uint32_t)level[k] << 24, 4);
        put(a, level[k], 4);
        put(a, 0x0d, 2);
    }
    put(a, 0x0604 | 0xff << 16, 4); // LINT1 of all processors is NMI
    put(a, 1 << 8, 2);
    table_end(a, AT_MADT);
}

static void rsdp(struct area *a)
{
    table_begin(a, AT_XSDT, "XSDT", 1);
    pointer(a, AT_FADT, 8);
    pointer(a, AT_MADT, 8);
    table_end(a, AT_XSDT);
    a->n = 0;
    bytes(a, "RSD PTR ", 8);
    put(a, 0, 1);
    bytes(a, "RNGSDE", 6);
    put(a, 2, 1);
    put(a, 0, 4);
    put(a, 36, 4);
    pointer(a, AT_XSDT, 8);
    a->b[8] = checksum(a->b, 20);
    a->b[32] = checksum(a->b, 36);
}

static void tables(struct area *a, const struct sim_machine *m)
{
    memset(a, 0, sizeof *a);
    dsdt(a);
    fadt(a);
    madt(a, sim_ncpus(m));
    rsdp(a);
}

// --- for a firmware

#define FILE_RSDP   "etc/acpi/rsdp"
#define FILE_TABLES "etc/acpi/tables" // the area from its XSDT on
#define RSDP_SIZE   36u

// A command of etc/table-loader: 128 bytes, of which the names take 56 each.
struct command {
    uint32_t what; // 1 allocate, 2 add pointer, 3 add checksum
    char file[56];
    union {
        struct {
            uint32_t align;
            uint8_t zone; // 1 anywhere, 2 where the old search for the RSDP looks
        } allocate;
        struct {
            char to[56];
            uint32_t at;
            uint8_t size;
        } pointer;
        struct {
            uint32_t at, start, n;
        } sum;
        uint8_t all[68];
    };
};
_Static_assert(sizeof(struct command) == 128, "the size that firmware expects");

static struct command command(unsigned what, bool in_rsdp)
{
    struct command c = {.what = what};
    memcpy(c.file, in_rsdp ? FILE_RSDP : FILE_TABLES, in_rsdp ? sizeof FILE_RSDP : sizeof FILE_TABLES);
    return c;
}

static struct command add_sum(bool in_rsdp, unsigned at, unsigned start, unsigned n)
{
    struct command c = command(3, in_rsdp);
    c.sum.at = at;
    c.sum.start = start;
    c.sum.n = n;
    return c;
}

// The firmware adds the address of the file that a pointer leads into, so the field holds an offset until then.
static struct command add_pointer(struct area *a, unsigned k)
{
    unsigned at = a->pointer[k].at;
    bool in_rsdp = at < AT_XSDT;
    struct command c = command(2, in_rsdp);
    uint64_t to = 0;
    memcpy(&to, a->b + at, a->pointer[k].size);
    to -= ACPI_RSDP + AT_XSDT;
    memcpy(a->b + at, &to, a->pointer[k].size);
    memcpy(c.pointer.to, FILE_TABLES, sizeof FILE_TABLES);
    c.pointer.at = in_rsdp ? at : at - AT_XSDT;
    c.pointer.size = a->pointer[k].size;
    return c;
}

int acpi_fwcfg(struct sim_machine *m)
{
    struct command c[POINTERS + TABLES + 4];
    struct area a;
    unsigned n = 0;
    tables(&a, m);
    for (unsigned k = 0; k < 2; k++, n++) {
        c[n] = command(1, k == 0);
        c[n].allocate.align = 64; // the FACS asks for it
        c[n].allocate.zone = k ? 1 : 2;
    }
    for (unsigned k = 0; k < a.npointers; k++)
        c[n++] = add_pointer(&a, k);
    for (unsigned k = 0; k < a.ntables; k++) {
        uint32_t size;
        memcpy(&size, a.b + a.table[k] + 4, 4);
        c[n++] = add_sum(false, a.table[k] + 9 - AT_XSDT, a.table[k] - AT_XSDT, size);
    }
    c[n++] = add_sum(true, 8, 0, 20);
    c[n++] = add_sum(true, 32, 0, RSDP_SIZE);
    return dev_fwcfg_add(bus_fwcfg(m), FILE_RSDP, a.b, RSDP_SIZE) < 0 ||
                   dev_fwcfg_add(bus_fwcfg(m), FILE_TABLES, a.b + AT_XSDT, AREA - AT_XSDT) < 0 ||
                   dev_fwcfg_add(bus_fwcfg(m), "etc/table-loader", c, n * (uint32_t)sizeof *c) < 0
               ? -1
               : 0;
}

int acpi_place(struct sim_machine *m, struct sim_error *err)
{
    struct area a;
    tables(&a, m);
    return loader_copy(m, "ACPI tables", ACPI_RSDP, a.b, sizeof a.b, err);
}
