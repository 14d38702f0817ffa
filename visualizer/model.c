// visualizer/model.c: facts of a machine in words. See visualizer/model.h.
#include "visualizer/model.h"

#include <stdio.h>
#include <string.h>

#include "isa/env.h"

// --- appending text

struct out {
    char *p;
    size_t n, len;
};
static void add(struct out *o, const char *s)
{
    size_t l = strlen(s);
    if (o->n == 0)
        return;
    if (o->len && o->len + 1 < o->n && o->p[o->len - 1] != ' ')
        o->p[o->len++] = ' ';
    if (l > o->n - 1 - o->len)
        l = o->n - 1 - o->len;
    memcpy(o->p + o->len, s, l);
    o->len += l;
    o->p[o->len] = 0;
}
static struct out out_begin(char *buf, size_t n)
{
    if (n)
        buf[0] = 0;
    return (struct out){.p = buf, .n = n};
}

void vz_commas(char *buf, size_t n, uint64_t v)
{
    char t[24];
    int len = snprintf(t, sizeof t, "%llu", (unsigned long long)v);
    size_t o = 0;
    for (int i = 0; i < len && o + 1 < n; i++) {
        if (i && (len - i) % 3 == 0 && o + 2 < n)
            buf[o++] = ',';
        buf[o++] = t[i];
    }
    if (n)
        buf[o] = 0;
}

// --- paging

const char *vz_level_name(unsigned level)
{
    static const char *const name[] = {"final", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    return level < 6 ? name[level] : "?";
}

const char *vz_acc_name(unsigned acc) { return acc & ISA_ACC_X ? "fetch" : acc & (ISA_ACC_W | ISA_ACC_RMW) ? "write" : "read"; }

static const char *large(unsigned level) { return level == 3 ? "1G" : level == 2 ? "2M" : ""; }

void vz_pte_flags(char *buf, size_t n, uint64_t e, bool ept, unsigned pde_shift, unsigned level, bool leaf)
{
    struct out o = out_begin(buf, n);
    if (ept) {
        static const char *const type[8] = {"UC", "WC", "type2", "type3", "WT", "WP", "WB", "type7"};
        if (!(e & 7)) {
            add(&o, "not present");
            return;
        }
        add(&o, e & 1 ? "R" : "-");
        add(&o, e & 2 ? "W" : "-");
        add(&o, e & 4 ? "X" : "-");
        if (leaf) {
            add(&o, type[e >> 3 & 7]);
            if (level > 1)
                add(&o, large(level));
        }
        if (e & 1u << 8)
            add(&o, "A");
        if (e & 1u << 9 && leaf)
            add(&o, "D");
        return;
    }
    if (!(e & 1)) {
        add(&o, "not present");
        return;
    }
    add(&o, "P");
    add(&o, e & 2 ? "W" : "ro");
    add(&o, e & 4 ? "U" : "S");
    if (e & 1u << 5)
        add(&o, "A");
    if (leaf && e & 1u << 6)
        add(&o, "D");
    if (leaf && level > 1)
        add(&o, level == 2 && pde_shift == 22 ? "4M" : large(level));
    if (leaf && e & 1u << 8)
        add(&o, "G");
    if (e >> 63)
        add(&o, "XD");
}

const char *vz_walk_outcome(const struct sim_walk *w)
{
    switch (w->outcome) {
    case SIM_WALK_OK: return "translated";
    case SIM_WALK_PF: return "#PF";
    case SIM_WALK_EPT_VIOLATION: return "EPT violation";
    case SIM_WALK_EPT_MISCONFIG: return "EPT misconfiguration";
    case SIM_WALK_LOG_FULL: return "PML full";
    default: return "paging is off";
    }
}

uint64_t vz_code_la(const struct isa_cpu *c, uint64_t rip)
{
    return c->mode == ISA_LONG64 ? rip : (c->seg[ISA_CS].base + rip) & 0xffffffff;
}

// --- segments

const char *vz_sreg_name(unsigned s)
{
    static const char *const name[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};
    return s < ISA_NSREG ? name[s] : "?";
}

void vz_ar_text(char *buf, size_t n, uint32_t ar)
{
    static const char *const data[] = {"data RO",      "data RO",      "data RW",      "data RW",
                                       "data RO down", "data RO down", "data RW down", "data RW down"};
    static const char *const code[] = {"code X",      "code X",      "code XR",      "code XR",
                                       "code X conf", "code X conf", "code XR conf", "code XR conf"};
    static const char *const sys[] = {"reserved", "TSS16 avail", "LDT",      "TSS16 busy", "call16", "task gate", "int16", "trap16",
                                      "reserved", "TSS avail",   "reserved", "TSS busy",   "call",   "reserved",  "int",   "trap"};
    struct out o = out_begin(buf, n);
    char t[16];
    unsigned type = ar & ISA_AR_TYPE;
    if (ar & ISA_AR_UNUSABLE) {
        add(&o, "unusable");
        return;
    }
    add(&o, ar & ISA_AR_P ? "P" : "not-present");
    snprintf(t, sizeof t, "DPL%u", (ar & ISA_AR_DPL) >> ISA_AR_DPL_SHIFT);
    add(&o, t);
    add(&o, !(ar & ISA_AR_S) ? sys[type] : type & 8 ? code[type & 7] : data[type]);
    if (ar & ISA_AR_S && type & 1)
        add(&o, "A");
    if (ar & ISA_AR_L)
        add(&o, "L");
    if (ar & ISA_AR_DB)
        add(&o, ar & ISA_AR_S && !(type & 8) ? "B" : "D");
    if (ar & ISA_AR_G)
        add(&o, "G");
}

bool vz_desc_null(const struct sim_desc *d) { return d->raw[0] == 0 && (!d->wide || d->raw[1] == 0); }

void vz_desc_text(char *buf, size_t n, const struct sim_desc *d)
{
    if (!d->valid)
        snprintf(buf, n, "unreadable");
    else if (d->raw[0] == 0)
        snprintf(buf, n, "null");
    else if (d->gate)
        snprintf(buf, n, "%s to %04x:%llx", d->kind ? d->kind : "gate", d->gate_sel, (unsigned long long)d->gate_off);
    else
        snprintf(buf, n, "%s", d->kind ? d->kind : "?");
}

void vz_seg_users(char *buf, size_t n, const struct isa_cpu *c, uint16_t sel)
{
    static const uint8_t order[] = {ISA_CS, ISA_SS, ISA_DS, ISA_ES, ISA_FS, ISA_GS, ISA_LDTR, ISA_TR};
    struct out o = out_begin(buf, n);
    if (!(sel & ~7u))
        return;
    for (unsigned i = 0; i < sizeof order; i++)
        if (((c->seg[order[i]].sel ^ sel) & ~3u) == 0 && !(c->seg[order[i]].ar & ISA_AR_UNUSABLE))
            add(&o, vz_sreg_name(order[i]));
}

// --- TSS

static const struct vz_tss_field tss16[] = {{"link", 0, 2, "selector of the previous task"},
                                            {"SP0", 2, 2, "stack for ring 0"},
                                            {"SS0", 4, 2, ""},
                                            {"SP1", 6, 2, "stack for ring 1"},
                                            {"SS1", 8, 2, ""},
                                            {"SP2", 10, 2, "stack for ring 2"},
                                            {"SS2", 12, 2, ""},
                                            {"IP", 14, 2, "saved on a task switch"},
                                            {"FLAGS", 16, 2, ""},
                                            {"AX", 18, 2, ""},
                                            {"CX", 20, 2, ""},
                                            {"DX", 22, 2, ""},
                                            {"BX", 24, 2, ""},
                                            {"SP", 26, 2, ""},
                                            {"BP", 28, 2, ""},
                                            {"SI", 30, 2, ""},
                                            {"DI", 32, 2, ""},
                                            {"ES", 34, 2, ""},
                                            {"CS", 36, 2, ""},
                                            {"SS", 38, 2, ""},
                                            {"DS", 40, 2, ""},
                                            {"LDT", 42, 2, ""},
                                            {NULL, 0, 0, NULL}};
static const struct vz_tss_field tss32[] = {{"link", 0, 2, "selector of the previous task"},
                                            {"ESP0", 4, 4, "stack for ring 0"},
                                            {"SS0", 8, 2, ""},
                                            {"ESP1", 12, 4, "stack for ring 1"},
                                            {"SS1", 16, 2, ""},
                                            {"ESP2", 20, 4, "stack for ring 2"},
                                            {"SS2", 24, 2, ""},
                                            {"CR3", 28, 4, "address space of the task"},
                                            {"EIP", 32, 4, "saved on a task switch"},
                                            {"EFLAGS", 36, 4, ""},
                                            {"EAX", 40, 4, ""},
                                            {"ECX", 44, 4, ""},
                                            {"EDX", 48, 4, ""},
                                            {"EBX", 52, 4, ""},
                                            {"ESP", 56, 4, ""},
                                            {"EBP", 60, 4, ""},
                                            {"ESI", 64, 4, ""},
                                            {"EDI", 68, 4, ""},
                                            {"ES", 72, 2, ""},
                                            {"CS", 76, 2, ""},
                                            {"SS", 80, 2, ""},
                                            {"DS", 84, 2, ""},
                                            {"FS", 88, 2, ""},
                                            {"GS", 92, 2, ""},
                                            {"LDT", 96, 2, ""},
                                            {"T", 100, 2, "bit 0: debug trap on task switch"},
                                            {"I/O map", 102, 2, "offset of the I/O permission bitmap"},
                                            {NULL, 0, 0, NULL}};
static const struct vz_tss_field tss64[] = {{"RSP0", 4, 8, "stack for ring 0"},
                                            {"RSP1", 12, 8, "stack for ring 1"},
                                            {"RSP2", 20, 8, "stack for ring 2"},
                                            {"IST1", 36, 8, "interrupt stack 1"},
                                            {"IST2", 44, 8, "interrupt stack 2"},
                                            {"IST3", 52, 8, "interrupt stack 3"},
                                            {"IST4", 60, 8, "interrupt stack 4"},
                                            {"IST5", 68, 8, "interrupt stack 5"},
                                            {"IST6", 76, 8, "interrupt stack 6"},
                                            {"IST7", 84, 8, "interrupt stack 7"},
                                            {"I/O map", 102, 2, "offset of the I/O permission bitmap"},
                                            {NULL, 0, 0, NULL}};

enum vz_tss_kind vz_tss_kind(const struct isa_cpu *c)
{
    const struct isa_seg *tr = &c->seg[ISA_TR];
    unsigned type = tr->ar & ISA_AR_TYPE;
    if (tr->ar & (ISA_AR_UNUSABLE | ISA_AR_S) || !(tr->ar & ISA_AR_P) || !(tr->sel & ~7u))
        return VZ_TSS_NONE;
    if (type == 1 || type == 3)
        return VZ_TSS_16;
    if (type != 9 && type != 11)
        return VZ_TSS_NONE;
    return isa_long(c) ? VZ_TSS_64 : VZ_TSS_32;
}

const struct vz_tss_field *vz_tss_field(enum vz_tss_kind k, unsigned n)
{
    static const struct vz_tss_field none[] = {{NULL, 0, 0, NULL}};
    const struct vz_tss_field *t = k == VZ_TSS_16 ? tss16 : k == VZ_TSS_32 ? tss32 : k == VZ_TSS_64 ? tss64 : none;
    for (unsigned i = 0; i < n; i++)
        if (!t[i].name)
            return NULL;
    return t[n].name ? &t[n] : NULL;
}

// A port is allowed if its bit is 0 and the byte after the one that holds it lies inside the limit too (manual, "I/O Permission Bit Map").
void vz_iobitmap(struct sim_machine *m, unsigned cpu, struct vz_iobitmap *b)
{
    const struct isa_cpu *c = sim_cpu(m, cpu);
    const struct isa_seg *tr = &c->seg[ISA_TR];
    uint8_t base[2];
    memset(b, 0, sizeof *b);
    enum vz_tss_kind k = vz_tss_kind(c);
    if ((k != VZ_TSS_32 && k != VZ_TSS_64) || tr->limit < 103 || sim_peek(m, cpu, SIM_LINEAR, tr->base + 102, base, 2) != 2)
        return;
    b->base = (uint16_t)(base[0] | base[1] << 8);
    if (b->base >= tr->limit)
        return;
    b->present = true;
    uint32_t bytes = tr->limit - b->base; // the last byte inside the limit only ends the bitmap
    if (bytes > 8192)
        bytes = 8192;
    b->ports = bytes * 8;
    bool in_run = false;
    uint8_t map[256];
    for (uint32_t p = 0; p < b->ports; p++) {
        if (p % (sizeof map * 8) == 0) {
            memset(map, 0xff, sizeof map);
            sim_peek(m, cpu, SIM_LINEAR, tr->base + b->base + p / 8, map, bytes - p / 8 < sizeof map ? bytes - p / 8 : sizeof map);
        }
        bool ok = !(map[p / 8 % sizeof map] >> (p & 7) & 1);
        b->allowed += ok;
        if (ok && !in_run && b->nruns < 8) {
            b->run[b->nruns].lo = (uint16_t)p;
            b->nruns++;
            in_run = true;
        }
        if (ok && in_run)
            b->run[b->nruns - 1].hi = (uint16_t)p;
        if (!ok)
            in_run = false;
    }
}

// --- names

const char *vz_vector_name(unsigned v) { return v < 32 ? isa_vector_info(v)->mnemonic : ""; }

const char *vz_sdm_title(const char *key)
{
    static const struct {
        const char *key, *title;
    } sdm[] = {
#define K(id, volume, number, name) {#id, name},
#include "isa/sdm.def"
#undef K
    };
    for (unsigned i = 0; key && i < sizeof sdm / sizeof *sdm; i++)
        if (!strcmp(sdm[i].key, key))
            return sdm[i].title;
    return key ? key : "";
}

const char *vz_vmx_mode_name(const struct isa_cpu *c)
{
    return c->vmx == ISA_VMX_NONROOT ? "L1 non-root" : c->vmx == ISA_VMX_ROOT ? "L0 root" : "L0 no VMX";
}

// --- VM entry

void vz_check_entry(struct sim_machine *m, unsigned cpu, struct vmx_entry_report *rep)
{
    rep->n = 0;
    if (sim_cpu(m, cpu)->vmx == ISA_VMX_ROOT && sim_vmcs(m, cpu))
        sim_check_entry(m, cpu, rep);
}

const char *vz_failing(const struct vmx_entry_report *rep, unsigned field)
{
    for (unsigned i = 0; i < rep->n && i < VMX_MAX_FAILURES; i++)
        if (rep->failure[i].field == field)
            return rep->failure[i].id;
    return NULL;
}
