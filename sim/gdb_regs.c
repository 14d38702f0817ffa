// sim/gdb_regs.c: the registers that GDB sees, in the order of its packets, and their description in XML.
//
// GDB thinks in flat addresses: its rip is the linear address of the next instruction, in every mode, so that breakpoints,
// disassembly and the stack of frames agree. The architectural RIP, an offset in CS, is the system register ip_offset.
#include <stdio.h>
#include <string.h>

#include "isa/fpu.h"
#include "sim/engine.h"
#include "sim/gdb_internal.h"

enum feature { CORE, SSE, AVX, SEGMENTS, SYSTEM, MPX, NFEATURE };
static const char *const feature_name[NFEATURE] = {"org.gnu.gdb.i386.core",     "org.gnu.gdb.i386.sse", "org.gnu.gdb.i386.avx",
                                                   "org.gnu.gdb.i386.segments", "org.ringside.system",  "org.gnu.gdb.i386.mpx"};

// How a register is read and written.
enum how { NAMED, PC, TAGS, ZERO, VPID, EPTP, VMCSPTR, PAIR };
struct row {
    const char *name, *type;
    uint8_t feature, bits, how;
    const char *sim, *high; // name in sim/inspect.h; PAIR: of the rest above bit 63
};
#define R(name, type, bits, sim)                                                                                                   \
    {                                                                                                                              \
        name, type, CORE, bits, NAMED, sim, NULL                                                                                   \
    }
#define ST(k)                                                                                                                      \
    {                                                                                                                              \
        "st" #k, "i387_ext", CORE, 80, PAIR, "st" #k, "st" #k ".se"                                                                \
    }
#define XMM(k)                                                                                                                     \
    {                                                                                                                              \
        "xmm" #k, "vec128", SSE, 128, PAIR, "xmm" #k, "xmm" #k ".hi"                                                               \
    }
#define YMMH(k)                                                                                                                    \
    {                                                                                                                              \
        "ymm" #k "h", "uint128", AVX, 128, PAIR, "ymm" #k "h", "ymm" #k "h.hi"                                                     \
    }
#define SYS(name, type, bits, sim)                                                                                                 \
    {                                                                                                                              \
        name, type, SYSTEM, bits, NAMED, sim, NULL                                                                                 \
    }
#define BND(k)                                                                                                                     \
    {                                                                                                                              \
        "bnd" #k "raw", "br128", MPX, 128, PAIR, "bnd" #k ".lb", "bnd" #k ".ub"                                                    \
    }
#define I64(name) R(name, "int64", 64, name)
#define SEL(name) R(name, "int32", 32, name)
#define FP(name, sim)                                                                                                              \
    {                                                                                                                              \
        name, "int", CORE, 32, NAMED, sim, NULL                                                                                    \
    }
static const struct row rows[] = {
    I64("rax"),
    I64("rbx"),
    I64("rcx"),
    I64("rdx"),
    I64("rsi"),
    I64("rdi"),
    R("rbp", "data_ptr", 64, "rbp"),
    R("rsp", "data_ptr", 64, "rsp"),
    I64("r8"),
    I64("r9"),
    I64("r10"),
    I64("r11"),
    I64("r12"),
    I64("r13"),
    I64("r14"),
    I64("r15"),
    {"rip", "code_ptr", CORE, 64, PC, NULL, NULL},
    R("eflags", "i386_eflags", 32, "rflags"),
    SEL("cs"),
    SEL("ss"),
    SEL("ds"),
    SEL("es"),
    SEL("fs"),
    SEL("gs"),
    ST(0),
    ST(1),
    ST(2),
    ST(3),
    ST(4),
    ST(5),
    ST(6),
    ST(7),
    FP("fctrl", "fcw"),
    FP("fstat", "fsw"),
    {"ftag", "int", CORE, 32, TAGS, NULL, NULL},
    {"fiseg", "int", CORE, 32, ZERO, NULL, NULL},
    FP("fioff", "fip"),
    {"foseg", "int", CORE, 32, ZERO, NULL, NULL},
    FP("fooff", "fdp"),
    FP("fop", "fop"),
    XMM(0),
    XMM(1),
    XMM(2),
    XMM(3),
    XMM(4),
    XMM(5),
    XMM(6),
    XMM(7),
    XMM(8),
    XMM(9),
    XMM(10),
    XMM(11),
    XMM(12),
    XMM(13),
    XMM(14),
    XMM(15),
    {"mxcsr", "i386_mxcsr", SSE, 32, NAMED, "mxcsr", NULL},
    YMMH(0),
    YMMH(1),
    YMMH(2),
    YMMH(3),
    YMMH(4),
    YMMH(5),
    YMMH(6),
    YMMH(7),
    YMMH(8),
    YMMH(9),
    YMMH(10),
    YMMH(11),
    YMMH(12),
    YMMH(13),
    YMMH(14),
    YMMH(15),
    {"fs_base", "int64", SEGMENTS, 64, NAMED, "fs.base", NULL},
    {"gs_base", "int64", SEGMENTS, 64, NAMED, "gs.base", NULL},
    SYS("cr0", "i386_cr0", 64, "cr0"),
    SYS("cr2", "data_ptr", 64, "cr2"),
    SYS("cr3", "uint64", 64, "cr3"),
    SYS("cr4", "i386_cr4", 64, "cr4"),
    SYS("cr8", "uint64", 64, "cr8"),
    SYS("efer", "i386_efer", 64, "efer"),
    SYS("gdtr_base", "data_ptr", 64, "gdtr.base"),
    SYS("gdtr_limit", "uint32", 32, "gdtr.limit"),
    SYS("idtr_base", "data_ptr", 64, "idtr.base"),
    SYS("idtr_limit", "uint32", 32, "idtr.limit"),
    SYS("ldtr", "uint32", 32, "ldtr"),
    SYS("ldtr_base", "data_ptr", 64, "ldtr.base"),
    SYS("ldtr_limit", "uint32", 32, "ldtr.limit"),
    SYS("tr", "uint32", 32, "tr"),
    SYS("tr_base", "data_ptr", 64, "tr.base"),
    SYS("tr_limit", "uint32", 32, "tr.limit"),
    SYS("cs_base", "data_ptr", 64, "cs.base"),
    SYS("ss_base", "data_ptr", 64, "ss.base"),
    SYS("ds_base", "data_ptr", 64, "ds.base"),
    SYS("es_base", "data_ptr", 64, "es.base"),
    SYS("ip_offset", "uint64", 64, "rip"),
    SYS("cpl", "uint32", 32, "cpl"),
    {"vpid", "uint32", SYSTEM, 32, VPID, NULL, NULL},
    {"eptp", "uint64", SYSTEM, 64, EPTP, NULL, NULL},
    {"vmcs_ptr", "uint64", SYSTEM, 64, VMCSPTR, NULL, NULL},
    BND(0),
    BND(1),
    BND(2),
    BND(3),
    {"bndcfgu", "uint64", MPX, 64, NAMED, "bndcfgu", NULL},
    {"bndstatus", "uint64", MPX, 64, NAMED, "bndstatus", NULL},
};
#define NROWS (sizeof rows / sizeof *rows)
#define NMPX  6u // rows at the end

unsigned gdb_nregs(const struct gdb *g) { return isa_has(g->m->profile->features, ISA_FEAT_MPX) ? NROWS : NROWS - NMPX; }
unsigned gdb_reg_bytes(unsigned n) { return rows[n].bits / 8; }

uint64_t gdb_pc(struct gdb *g, unsigned cpu) { return engine_code_la(sim_cpu(g->m, cpu)); }

void gdb_set_pc(struct gdb *g, unsigned cpu, uint64_t la)
{
    const struct isa_cpu *c = sim_cpu(g->m, cpu);
    sim_reg_set(g->m, cpu, "rip", c->mode == ISA_LONG64 ? la : (uint32_t)(la - c->seg[ISA_CS].base));
}

static uint64_t value(struct gdb *g, const struct row *r)
{
    uint64_t v = 0;
    switch (r->how) {
    case PC: return gdb_pc(g, g->cpu);
    case TAGS: return isa_x87_tags(&sim_cpu(g->m, g->cpu)->x87);
    case VPID: return sim_vpid(g->m, g->cpu);
    case EPTP: return sim_eptp(g->m, g->cpu);
    case VMCSPTR: return sim_vmcs_ptr(g->m, g->cpu);
    case ZERO: return 0;
    default: sim_reg_get(g->m, g->cpu, r->sim, &v); return v;
    }
}

void gdb_reg_read(struct gdb *g, unsigned n, uint8_t *bytes)
{
    const struct row *r = &rows[n];
    uint64_t low = value(g, r), high = 0;
    if (r->how == PAIR)
        sim_reg_get(g->m, g->cpu, r->high, &high);
    memcpy(bytes, &low, r->bits < 64 ? r->bits / 8 : 8);
    if (r->bits > 64)
        memcpy(bytes + 8, &high, r->bits / 8 - 8);
}

bool gdb_reg_write(struct gdb *g, unsigned n, const uint8_t *bytes)
{
    const struct row *r = &rows[n];
    uint8_t now[16];
    uint64_t low = 0, high = 0;
    gdb_reg_read(g, n, now);
    if (!memcmp(now, bytes, r->bits / 8))
        return true; // a packet with all registers changes the ones that differ
    memcpy(&low, bytes, r->bits < 64 ? r->bits / 8 : 8);
    if (r->bits > 64)
        memcpy(&high, bytes + 8, r->bits / 8 - 8);
    switch (r->how) {
    case PC: gdb_set_pc(g, g->cpu, low); return true;
    case TAGS: isa_x87_set_tags(&sim_cpu(g->m, g->cpu)->x87, (uint16_t)low); return true;
    case PAIR: return sim_reg_set(g->m, g->cpu, r->sim, low) && sim_reg_set(g->m, g->cpu, r->high, high);
    case NAMED: return sim_reg_set(g->m, g->cpu, r->sim, low);
    default: return false;
    }
}

// --- the description

struct flag {
    const char *name;
    uint8_t bit, last; // last: of a field of several bits, else 0
};
static const struct flags {
    const char *id;
    uint8_t size;
    struct flag f[24];
} flag_types[] = {
    {"i386_eflags",
     4,
     {{"CF", 0},
      {"", 1},
      {"PF", 2},
      {"AF", 4},
      {"ZF", 6},
      {"SF", 7},
      {"TF", 8},
      {"IF", 9},
      {"DF", 10},
      {"OF", 11},
      {"IOPL", 12, 13},
      {"NT", 14},
      {"RF", 16},
      {"VM", 17},
      {"AC", 18},
      {"VIF", 19},
      {"VIP", 20},
      {"ID", 21}}},
    {"i386_mxcsr",
     4,
     {{"IE", 0},
      {"DE", 1},
      {"ZE", 2},
      {"OE", 3},
      {"UE", 4},
      {"PE", 5},
      {"DAZ", 6},
      {"IM", 7},
      {"DM", 8},
      {"ZM", 9},
      {"OM", 10},
      {"UM", 11},
      {"PM", 12},
      {"RC", 13, 14},
      {"FZ", 15}}},
    {"i386_cr0",
     8,
     {{"PE", 0},
      {"MP", 1},
      {"EM", 2},
      {"TS", 3},
      {"ET", 4},
      {"NE", 5},
      {"WP", 16},
      {"AM", 18},
      {"NW", 29},
      {"CD", 30},
      {"PG", 31}}},
    {"i386_cr4", 8, {{"VME", 0},   {"PVI", 1},       {"TSD", 2},    {"DE", 3},       {"PSE", 4},   {"PAE", 5},   {"MCE", 6},
                     {"PGE", 7},   {"PCE", 8},       {"OSFXSR", 9}, {"OSXMMEX", 10}, {"UMIP", 11}, {"LA57", 12}, {"VMXE", 13},
                     {"SMXE", 14}, {"FSGSBASE", 16}, {"PCIDE", 17}, {"OSXSAVE", 18}, {"SMEP", 20}, {"SMAP", 21}, {"PKE", 22}}},
    {"i386_efer", 8, {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}}},
};

static void put_types(struct gdb_text *t, const char *const *want)
{
    for (; *want; want++)
        for (unsigned k = 0; k < sizeof flag_types / sizeof *flag_types; k++) {
            const struct flags *f = &flag_types[k];
            if (strcmp(f->id, *want))
                continue;
            gdb_textf(t, "<flags id=\"%s\" size=\"%u\">\n", f->id, f->size);
            for (unsigned b = 0; f->f[b].name; b++)
                gdb_textf(t, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f->f[b].name, f->f[b].bit,
                          f->f[b].last ? f->f[b].last : f->f[b].bit);
            gdb_textf(t, "</flags>\n");
        }
}

static void put_vectors(struct gdb_text *t)
{
    static const struct {
        const char *id, *type, *field;
        unsigned n;
    } v[] = {{"v4f", "ieee_single", "v4_float", 4}, {"v2d", "ieee_double", "v2_double", 2}, {"v16i8", "int8", "v16_int8", 16},
             {"v8i16", "int16", "v8_int16", 8},     {"v4i32", "int32", "v4_int32", 4},      {"v2i64", "int64", "v2_int64", 2}};
    for (unsigned k = 0; k < sizeof v / sizeof *v; k++)
        gdb_textf(t, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", v[k].id, v[k].type, v[k].n);
    gdb_textf(t, "<union id=\"vec128\">\n");
    for (unsigned k = 0; k < sizeof v / sizeof *v; k++)
        gdb_textf(t, "<field name=\"%s\" type=\"%s\"/>\n", v[k].field, v[k].id);
    gdb_textf(t, "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n");
}

void gdb_target_xml(const struct gdb *g, struct gdb_text *t)
{
    static const char *const types[NFEATURE][5] = {
        [CORE] = {"i386_eflags"}, [SSE] = {"i386_mxcsr"}, [SYSTEM] = {"i386_cr0", "i386_cr4", "i386_efer"}};
    gdb_textf(t, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n"
                 "<architecture>i386:x86-64</architecture>\n");
    for (unsigned f = 0; f < NFEATURE; f++) {
        if (f == MPX && gdb_nregs(g) < NROWS)
            continue;
        gdb_textf(t, "<feature name=\"%s\">\n", feature_name[f]);
        put_types(t, types[f]);
        if (f == SSE)
            put_vectors(t);
        if (f == MPX)
            gdb_textf(t, "<struct id=\"br128\">\n<field name=\"lbound\" type=\"uint64\"/>\n"
                         "<field name=\"ubound_raw\" type=\"uint64\"/>\n</struct>\n");
        for (unsigned n = 0; n < NROWS; n++) {
            const struct row *r = &rows[n];
            if (r->feature != f)
                continue;
            gdb_textf(t, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"", r->name, r->bits, r->type, n);
            gdb_textf(t, "%s/>\n",
                      f == SYSTEM               ? " group=\"system\" save-restore=\"no\""
                      : !strcmp(r->type, "int") ? " group=\"float\""
                                                : "");
        }
        gdb_textf(t, "</feature>\n");
    }
    gdb_textf(t, "</target>\n");
}

void gdb_system_registers(struct gdb *g, struct gdb_text *t)
{
    for (unsigned n = 0; n < NROWS; n++)
        if (rows[n].feature == SYSTEM)
            gdb_textf(t, "%-12s 0x%llx\n", rows[n].name, (unsigned long long)value(g, &rows[n]));
}
