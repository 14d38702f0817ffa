// isa/systest.h: a small flat machine for the tests of system instructions, with tables to fill in. Included by tests only.
//
// RAM begins at linear 0; linear = physical. One page (st.absent) can be made absent, to fault where a test wants it.
//    1000H GDT   2000H IDT   3000H TSS   3800H second TSS   4000H LDT   8000H data   A000H..F000H stacks of levels 0..3   10000H code
#ifndef ISA_SYSTEST_H
#define ISA_SYSTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "isa/xstate.h"
#include "isa/cr.h"
#include "isa/decode.h"
#include "isa/deliver.h"
#include "isa/exec.h"
#include "isa/seg.h"
#include "isa/tables.h"

#define ST_RAM      (1u << 20)
#define ST_GDT      0x1000u
#define ST_IDT      0x2000u
#define ST_TSS      0x3000u
#define ST_TSS2     0x3800u
#define ST_LDT      0x4000u
#define ST_DATA     0x8000u
#define ST_STACK    0xb000u // top of level 0's; level n's is at + n * 1000H
#define ST_CODE     0x10000u

// Selectors of the standard GDT. CODE, DATA: 32-bit, CODE64, CODE16, DATA16, CONF (conforming 32-bit) of level n.
#define ST_NULL     0
#define ST_C32(n)   ((1 + (n)) * 8 | (n))
#define ST_D32(n)   ((5 + (n)) * 8 | (n))
#define ST_C64(n)   ((9 + (n)) * 8 | (n))
#define ST_C16(n)   ((13 + (n)) * 8 | (n))
#define ST_D16(n)   ((17 + (n)) * 8 | (n))
#define ST_CONF(n)  ((21 + (n)) * 8 | (n))
#define ST_TSSSEL   (26 * 8) // two slots each
#define ST_TSS2SEL  (28 * 8)
#define ST_LDTSEL   (30 * 8)
#define ST_GATE     (32 * 8) // for gates of the tests
#define ST_GATE2    (34 * 8)
#define ST_ABSENT   (36 * 8)     // data segment, not present
#define ST_ROM      (37 * 8 | 3) // read-only data, DPL 3
#define ST_XONLY    (38 * 8 | 3) // execute-only code, DPL 3
#define ST_DOWN     (39 * 8 | 3) // expand-down data, limit 0FFFH, DPL 3
#define ST_SMALL    (40 * 8 | 3) // data with limit 0FFFH, DPL 3
#define ST_CABSENT  (41 * 8)     // code, not present
#define ST_GDTCOUNT 48

struct st {
    struct isa_cpu c;
    uint8_t ram[ST_RAM];
    uint64_t absent; // linear address of an absent page, or 1
    bool no_cpuid;
    uint32_t port_value;
    unsigned ins, outs, triples, events;
    struct isa_event last;
};

static struct st *st_of(struct isa_cpu *c) { return (struct st *)c; }

static int st_check(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    struct st *t = st_of(c);
    bool absent = la <= (t->absent | 0xfff) && la + n - 1 >= t->absent && t->absent != 1;
    if (la + n > ST_RAM || absent)
        return isa_raise_pf(c, absent && la < t->absent ? t->absent : la, acc & ISA_ACC_W ? ISA_PF_W : 0, ISA_RULE_PF_NOT_PRESENT);
    return 0;
}
static int st_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc)
{
    int r = st_check(c, la, n, acc);
    if (!r)
        memcpy(buf, st_of(c)->ram + la, n);
    return r;
}
static int st_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc)
{
    int r = st_check(c, la, n, acc | ISA_ACC_W);
    if (!r)
        memcpy(st_of(c)->ram + la, buf, n);
    return r;
}
static int st_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc) { return st_check(c, la, n, acc); }
static int st_read_phys(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n)
{
    memcpy(buf, st_of(c)->ram + pa.v, n);
    return 0;
}
static int st_in(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t *v)
{
    st_of(c)->ins++;
    *v = st_of(c)->port_value;
    return 0;
}
static int st_out(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t v)
{
    st_of(c)->outs++;
    st_of(c)->port_value = v;
    return 0;
}
static bool st_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *v) { return false; }
static bool st_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t v) { return false; }
static void st_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    memset(out, 0, 16);
    for (unsigned f = 1; f < ISA_FEAT_NUM; f++)
        if (isa_feature_info[f].leaf == leaf && isa_feature_info[f].sub == sub && f != ISA_FEAT_MONITOR && f != ISA_FEAT_LA57)
            out[isa_feature_info[f].reg] |= 1u << isa_feature_info[f].bit;
    if (leaf == 0x80000008)
        out[0] = 40;
    if (leaf == 0xd && sub == 0)
        out[0] = ISA_XS_X87 | ISA_XS_SSE | ISA_XS_MPX | ISA_XS_PKRU;
    if (leaf == 0xd && sub == 1)
        out[2] = ISA_XS_HDC;
}
static uint64_t st_tsc(struct isa_cpu *c, uint64_t cycles) { return cycles + c->tsc_offset; }
static uint64_t st_random(struct isa_cpu *c) { return 0x123456789abcdef0ull; }
static void st_inval(struct isa_cpu *c, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la) {}
static int st_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt p, uint64_t arg, uint64_t *val) { return 0; }
static int st_intercept_event(struct isa_cpu *c, const struct isa_event *e) { return 0; }
static int st_triple(struct isa_cpu *c)
{
    st_of(c)->triples++;
    return 0;
}
static int st_vmx(struct isa_cpu *c, const struct isa_insn *i) { return isa_ud(c, ISA_RULE_UD_OPCODE); }
static void st_charge(struct isa_cpu *c, unsigned cost) {}
static void st_on_event(struct isa_cpu *c, const struct isa_event *e)
{
    st_of(c)->events++;
    st_of(c)->last = *e;
}
static void st_on_cr(struct isa_cpu *c, unsigned cr, uint64_t old, uint64_t now) {}
static void st_on_msr(struct isa_cpu *c, uint32_t msr, uint64_t v, bool write) {}
static void st_on_seg(struct isa_cpu *c, unsigned s, uint16_t sel) {}
static void st_on_ring(struct isa_cpu *c, unsigned from, unsigned to) {}

static const struct isa_env st_env = {
    .read = st_read,
    .write = st_write,
    .probe = st_probe,
    .read_phys = st_read_phys,
    .in = st_in,
    .out = st_out,
    .rdmsr = st_rdmsr,
    .wrmsr = st_wrmsr,
    .cpuid = st_cpuid,
    .tsc = st_tsc,
    .random = st_random,
    .inval = st_inval,
    .intercept = st_intercept,
    .intercept_event = st_intercept_event,
    .intercept_triple = st_triple,
    .vmx = st_vmx,
    .charge = st_charge,
    .on_event = st_on_event,
    .on_cr = st_on_cr,
    .on_msr = st_on_msr,
    .on_seg = st_on_seg,
    .on_ring = st_on_ring,
};

// --- memory and tables

static inline void st_put(struct st *t, uint64_t la, uint64_t v, unsigned n) { memcpy(t->ram + la, &v, n); }
static inline uint64_t st_get(struct st *t, uint64_t la, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, t->ram + la, n);
    return v;
}
// Segment descriptor: ar in the layout of struct isa_seg; limit in bytes (with G: in pages).
static inline void st_desc(struct st *t, unsigned sel, uint64_t base, uint32_t limit, uint32_t ar)
{
    uint64_t at = (sel & 4 ? ST_LDT : ST_GDT) + (sel & 0xfff8u);
    uint64_t v = (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(ar & 0xf0ff) << 40 | (uint64_t)(limit & 0xf0000) << 32 |
                 (base >> 24 & 0xff) << 56;
    st_put(t, at, v, 8);
    if (!(ar & ISA_AR_S) && isa_long(&t->c))
        st_put(t, at + 8, base >> 32, 8);
}
// Gate: at linear address la.
static inline void st_gate(struct st *t, uint64_t la, uint16_t sel, uint64_t off, unsigned type, unsigned dpl, unsigned low,
                           bool wide)
{
    uint64_t v = (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)(low & 31) << 32 | (uint64_t)(0x80 | dpl << 5 | type) << 40 |
                 (off >> 16 & 0xffff) << 48;
    st_put(t, la, v, 8);
    if (wide)
        st_put(t, la + 8, off >> 32, 8);
}

enum st_mode { ST_REAL, ST_V86, ST_P32, ST_C32M, ST_L64, ST_NMODES };

static inline void st_load(struct st *t, unsigned s, unsigned sel)
{
    struct isa_desc d;
    assert_int_equal(isa_desc_read(&t->c, (uint16_t)sel, &d), 0);
    t->c.seg[s] = d.seg;
}

static void st_tables(struct st *t)
{
    for (unsigned n = 0; n < 4; n++) {
        uint32_t dpl = n << 5;
        st_desc(t, ST_C32(n), 0, 0xfffff, 0xc09b | dpl);
        st_desc(t, ST_D32(n), 0, 0xfffff, 0xc093 | dpl);
        st_desc(t, ST_C64(n), 0, 0xfffff, 0xa09b | dpl);
        st_desc(t, ST_C16(n), 0, 0xfffff, 0x809b | dpl);
        st_desc(t, ST_D16(n), 0, 0xffff, 0x0093 | dpl);
        st_desc(t, ST_CONF(n), 0, 0xfffff, 0xc09f | dpl);
    }
    st_desc(t, ST_TSSSEL, ST_TSS, 0x67, 0x8b);
    st_desc(t, ST_TSS2SEL, ST_TSS2, 0x67, 0x89);
    st_desc(t, ST_LDTSEL, ST_LDT, 0xff, 0x82);
    st_desc(t, ST_ABSENT, 0, 0xfffff, 0xc013);
    st_desc(t, ST_CABSENT, 0, 0xfffff, 0xc01b);
    st_desc(t, ST_ROM, 0, 0xfffff, 0xc0f1);
    st_desc(t, ST_XONLY, 0, 0xfffff, 0xc0f9);
    st_desc(t, ST_DOWN, 0, 0xfff, 0x40f7);
    st_desc(t, ST_SMALL, 0, 0xfff, 0x40f3);
}

// A machine in the given mode at the given level, IOPL 0, interrupts on, all segments flat (paragraph 0 in real and V86 mode).
static void st_init(struct st *t, enum st_mode mode, unsigned cpl)
{
    static const struct isa_mirror empty = {.tag = ISA_MIRROR_EMPTY};
    struct isa_cpu *c = &t->c;
    memset(t, 0, sizeof *t);
    c->env = &st_env;
    isa_reset(c);
    c->rd[0] = empty;
    t->absent = 1;
    c->gdtr = (struct isa_dtr){ST_GDT, ST_GDTCOUNT * 8 - 1};
    c->idtr = (struct isa_dtr){ST_IDT, 0xfff};
    if (mode == ST_C32M || mode == ST_L64)
        c->efer = ISA_EFER_LME | ISA_EFER_LMA;
    c->cr0 = ISA_CR0_ET | (mode == ST_REAL ? 0 : ISA_CR0_PE);
    c->cr4 = isa_long(c) ? ISA_CR4_PAE : 0;
    if (isa_long(c))
        c->cr0 |= ISA_CR0_PG;
    st_tables(t);
    isa_set_rflags(c, ISA_FL_IF | ISA_FL_1 | (mode == ST_V86 ? ISA_FL_VM : 0));
    if (mode == ST_REAL || mode == ST_V86) {
        for (unsigned s = ISA_ES; s <= ISA_GS; s++)
            c->seg[s] = mode == ST_V86 ? isa_seg_v86(0) : isa_seg_real(&c->seg[s], 0);
    } else {
        static const uint8_t data[] = {ISA_ES, ISA_SS, ISA_DS, ISA_FS, ISA_GS};
        for (unsigned k = 0; k < sizeof data; k++)
            st_load(t, data[k], ST_D32(cpl));
        st_load(t, ISA_CS, mode == ST_L64 ? ST_C64(cpl) : ST_C32(cpl));
    }
    if (mode != ST_REAL) {
        st_load(t, ISA_TR, ST_TSSSEL);
        st_load(t, ISA_LDTR, ST_LDTSEL);
        for (unsigned n = 0; n < 3; n++) {
            if (isa_long(c)) {
                st_put(t, ST_TSS + 4 + 8 * n, ST_STACK + 0x1000 * n, 8);
            } else {
                st_put(t, ST_TSS + 4 + 8 * n, ST_STACK + 0x1000 * n, 4);
                st_put(t, ST_TSS + 8 + 8 * n, ST_D32(n), 2);
            }
        }
        st_put(t, ST_TSS + 102, 0x68, 2); // I/O map beyond the limit: no port allowed
    }
    isa_update_mode(c);
    c->gpr[ISA_RSP] = ST_STACK + 0x1000 * c->cpl - 0x800;
    c->gpr[ISA_RBX] = ST_DATA;
    c->rip = mode == ST_REAL || mode == ST_V86 ? 0x7000 : ST_CODE;
}

static inline void st_code(struct st *t, const void *bytes, unsigned n)
{
    memcpy(t->ram + (uint32_t)(t->c.mode == ISA_LONG64 ? 0 : t->c.seg[ISA_CS].base) + t->c.rip, bytes, n);
}

// Execute the instruction at CS:RIP. The handler's result; RIP is that of the instruction after a fault, else of what comes next.
static int st_step(struct st *t)
{
    static const uint32_t cost[ISA_COST_NUM];
    struct isa_cpu *c = &t->c;
    struct isa_insn i[2] = {0};
    uint64_t features[4] = {0};
    for (unsigned f = 1; f < ISA_FEAT_NUM; f++)
        if (f != ISA_FEAT_MONITOR)
            features[f / 64] |= 1ull << f % 64;
    const struct isa_decode_mode m = isa_decode_mode_of(c, features);
    uint64_t rip = c->rip, la = c->mode == ISA_LONG64 ? rip : (uint32_t)(c->seg[ISA_CS].base + rip);
    assert_true(isa_decode(&m, t->ram + la, 15, i) > 0);
    isa_prepare(i, isa_run_loop, 0, 0, 0, cost);
    c->gpr[ISA_REG_RIP] = rip;
    c->at = i;
    int r = i->run(c, i);
    if (r == ISA_R_NEXT)
        c->rip = isa_next_rip(c, i);
    else if (r == ISA_R_FAULT)
        c->rip = rip;
    c->at = NULL;
    return r == ISA_R_NEXT || r == ISA_R_STOP ? 0 : r;
}

// The same, and the delivery of the fault it may raise.
static inline int st_step_deliver(struct st *t)
{
    int r = st_step(t);
    return r == ISA_R_FAULT ? isa_deliver_fault(&t->c) : r;
}

#endif
