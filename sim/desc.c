// sim/desc.c: descriptors and gates for people: read without side effects, decoded, named.
#include <string.h>

#include "isa/seg.h"
#include "sim/internal.h"

static bool read_table(struct sim_machine *m, unsigned cpu, uint64_t la, void *buf, unsigned n)
{
    return sim_peek(m, cpu, SIM_LINEAR, isa_long(&m->cpu[cpu]->isa) ? la : (uint32_t)la, buf, n) == n;
}

static const char *code_data_kind(const struct isa_seg *s)
{
    if (isa_seg_is_code(s)) {
        if (s->ar & ISA_AR_L)
            return isa_seg_conforming(s) ? "64-bit conforming code" : "64-bit code";
        if (s->ar & ISA_AR_DB)
            return isa_seg_conforming(s) ? "32-bit conforming code" : "32-bit code";
        return isa_seg_conforming(s) ? "16-bit conforming code" : "16-bit code";
    }
    if (s->ar & ISA_TY_DOWN)
        return s->ar & ISA_TY_WRITE ? "expand-down data" : "read-only expand-down data";
    if (s->ar & ISA_AR_DB)
        return s->ar & ISA_TY_WRITE ? "32-bit data" : "32-bit read-only data";
    return s->ar & ISA_TY_WRITE ? "16-bit data" : "16-bit read-only data";
}

static const char *system_kind(unsigned type, bool wide)
{
    static const char *const legacy[16] = {
        [ISA_SYS_TSS16] = "16-bit available TSS",  [ISA_SYS_LDT] = "LDT",
        [ISA_SYS_TSS16_BUSY] = "16-bit busy TSS",  [ISA_SYS_CALL16] = "16-bit call gate",
        [ISA_SYS_TASK_GATE] = "task gate",         [ISA_SYS_INT16] = "16-bit interrupt gate",
        [ISA_SYS_TRAP16] = "16-bit trap gate",     [ISA_SYS_TSS32] = "32-bit available TSS",
        [ISA_SYS_TSS32_BUSY] = "32-bit busy TSS",  [ISA_SYS_CALL32] = "32-bit call gate",
        [ISA_SYS_INT32] = "32-bit interrupt gate", [ISA_SYS_TRAP32] = "32-bit trap gate",
    };
    static const char *const ia32e[16] = {
        [ISA_SYS_LDT] = "LDT",
        [ISA_SYS_TSS32] = "64-bit available TSS",
        [ISA_SYS_TSS32_BUSY] = "64-bit busy TSS",
        [ISA_SYS_CALL32] = "64-bit call gate",
        [ISA_SYS_INT32] = "64-bit interrupt gate",
        [ISA_SYS_TRAP32] = "64-bit trap gate",
    };
    const char *k = (wide ? ia32e : legacy)[type & 15];
    return k ? k : "reserved";
}

static bool is_gate(unsigned type)
{
    return type == ISA_SYS_CALL16 || type == ISA_SYS_TASK_GATE || type == ISA_SYS_INT16 || type == ISA_SYS_TRAP16 ||
           type == ISA_SYS_CALL32 || type == ISA_SYS_INT32 || type == ISA_SYS_TRAP32;
}

static void decode(struct sim_desc *d, uint16_t sel, bool long_mode)
{
    uint64_t lo = d->raw[0], hi = d->raw[1];
    d->seg = isa_desc_parse(lo, hi, sel);
    d->type = (uint8_t)(lo >> 40 & 15);
    d->system = !(lo >> 44 & 1);
    d->dpl = (uint8_t)(lo >> 45 & 3);
    d->present = lo >> 47 & 1;
    d->gate = d->system && is_gate(d->type);
    d->wide = d->system && long_mode;
    d->kind = d->system ? system_kind(d->type, d->wide) : code_data_kind(&d->seg);
    if (!lo && !hi)
        d->kind = "empty";
    if (d->gate) {
        struct isa_gate g = isa_gate_parse(lo, d->wide ? hi : 0);
        d->gate_sel = g.sel;
        d->gate_off = g.offset;
        d->gate_ist = d->wide ? g.ist : 0;
        d->gate_params = d->wide ? 0 : g.params;
    }
}

void sim_descriptor(struct sim_machine *m, unsigned cpu, uint16_t sel, struct sim_desc *d)
{
    memset(d, 0, sizeof *d);
    d->kind = "outside the table";
    if (cpu >= m->ncpus)
        return;
    const struct isa_cpu *c = &m->cpu[cpu]->isa;
    const struct isa_seg *ldt = &c->seg[ISA_LDTR];
    bool local = sel & 4;
    if (local && ((ldt->ar & ISA_AR_UNUSABLE) || !(ldt->ar & ISA_AR_P)))
        return;
    uint64_t base = local ? ldt->base : c->gdtr.base, limit = local ? ldt->limit : c->gdtr.limit;
    unsigned at = sel & ~7u;
    if (at + 7 > limit)
        return;
    if (!read_table(m, cpu, base + at, &d->raw[0], 8)) {
        d->kind = "unreadable";
        return;
    }
    bool wide = isa_long(c) && !(d->raw[0] >> 44 & 1) && (d->raw[0] >> 40 & 15);
    if (wide && (at + 15 > limit || !read_table(m, cpu, base + at + 8, &d->raw[1], 8)))
        return;
    d->valid = true;
    decode(d, sel, wide);
}

void sim_idt_gate(struct sim_machine *m, unsigned cpu, unsigned vector, struct sim_desc *d)
{
    memset(d, 0, sizeof *d);
    d->kind = "outside the table";
    if (cpu >= m->ncpus)
        return;
    const struct isa_cpu *c = &m->cpu[cpu]->isa;
    unsigned size = c->mode == ISA_REAL ? 4 : isa_long(c) ? 16 : 8;
    if (vector > 255 || vector * size + size - 1 > c->idtr.limit)
        return;
    if (!read_table(m, cpu, c->idtr.base + vector * size, d->raw, size)) {
        d->kind = "unreadable";
        return;
    }
    d->valid = true;
    if (size > 4) {
        decode(d, 0, size == 16);
        return;
    }
    d->gate = d->present = true;
    d->gate_off = d->raw[0] & 0xffff;
    d->gate_sel = (uint16_t)(d->raw[0] >> 16);
    d->kind = "real-mode vector";
}
