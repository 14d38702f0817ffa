// isa/seg_test.c: descriptors, segment loads with every check, segmentation of memory operands.
#include <stdio.h>

#include "isa/systest.h"

#include "isa/mem.h"

static struct st machine;
static struct st *t = &machine;

static void parse(void **state)
{
    // base 12345678H, limit FEDCBH pages, DPL 2, present, 32-bit data, AVL
    uint64_t lo = 0x129fd3345678edcbull;
    struct isa_seg s = isa_desc_parse(lo, 0, 8);
    assert_int_equal(s.base, 0x12345678);
    assert_int_equal(s.limit, 0xfedcbfff);
    assert_int_equal(s.ar, 0x90d3);
    s = isa_desc_parse(lo & ~(1ull << 55), 0xabcd, 8);
    assert_int_equal(s.limit, 0xfedcb);
    assert_int_equal(s.base, 0xabcd12345678);
    struct isa_gate g = isa_gate_parse(0x12348c0500085678ull, 0x9abcdef0);
    assert_int_equal(g.sel, 8);
    assert_int_equal(g.offset, 0x9abcdef012345678);
    assert_int_equal(g.type, ISA_SYS_CALL32);
    assert_true(g.present);
    assert_int_equal(g.params, 5);
}

// Loads of data segment registers and SS: selector, level, and what happens.
static const struct {
    const char *what;
    unsigned s, sel, cpl, vector, error;
} loads[] = {
    {"data of own level", ISA_DS, ST_D32(0), 0, 0, 0},
    {"data of level 3 by level 0", ISA_ES, ST_D32(3), 0, 0, 0},
    {"data of level 0 by level 3", ISA_DS, ST_D32(0), 3, ISA_X_GP, ST_D32(0)},
    {"RPL weakens level 0", ISA_DS, ST_D32(0) | 3, 0, ISA_X_GP, ST_D32(0)},
    {"readable code", ISA_FS, ST_C32(3), 3, 0, 0},
    {"conforming code of level 0 by level 3", ISA_GS, ST_CONF(0) | 3, 3, 0, 0},
    {"execute-only code", ISA_DS, ST_XONLY, 3, ISA_X_GP, ST_XONLY & ~3},
    {"system descriptor", ISA_DS, ST_TSSSEL, 0, ISA_X_GP, ST_TSSSEL},
    {"absent", ISA_DS, ST_ABSENT, 0, ISA_X_NP, ST_ABSENT},
    {"null", ISA_DS, 3, 3, 0, 0},
    {"beyond the GDT", ISA_DS, ST_GDTCOUNT * 8, 0, ISA_X_GP, ST_GDTCOUNT * 8},
    {"beyond the LDT", ISA_DS, 0x104, 0, ISA_X_GP, 0x104},
    {"read-only data into DS", ISA_DS, ST_ROM, 3, 0, 0},
    {"stack of own level", ISA_SS, ST_D32(3), 3, 0, 0},
    {"stack with wrong RPL", ISA_SS, ST_D32(0) | 1, 0, ISA_X_GP, ST_D32(0)},
    {"stack of outer level", ISA_SS, ST_D32(3) & ~3, 0, ISA_X_GP, ST_D32(3) & ~3},
    {"stack read-only", ISA_SS, ST_ROM, 3, ISA_X_GP, ST_ROM & ~3},
    {"stack code", ISA_SS, ST_C32(0), 0, ISA_X_GP, ST_C32(0)},
    {"stack null", ISA_SS, 0, 0, ISA_X_GP, 0},
    {"stack absent", ISA_SS, ST_ABSENT, 0, ISA_X_SS, ST_ABSENT},
};

static void load_checks(void **state)
{
    for (unsigned mode = ST_P32; mode <= ST_C32M; mode++)
        for (unsigned k = 0; k < sizeof loads / sizeof *loads; k++) {
            st_init(t, mode, loads[k].cpl);
            struct isa_seg old = t->c.seg[loads[k].s];
            int r = isa_seg_load(&t->c, loads[k].s, (uint16_t)loads[k].sel);
            if (!loads[k].vector) {
                assert_int_equal(r, 0);
                assert_int_equal(t->c.seg[loads[k].s].sel, loads[k].sel);
            } else {
                if (r != ISA_R_FAULT || t->c.fault.vector != loads[k].vector || t->c.fault.error != loads[k].error)
                    fail_msg("%s: result %d, vector %u, error %x", loads[k].what, r, t->c.fault.vector, t->c.fault.error);
                assert_memory_equal(&t->c.seg[loads[k].s], &old, sizeof old);
                assert_int_equal(isa_rule_info(t->c.fault.rule)->vector, loads[k].vector);
            }
        }
    printf("# segment loads: %zu cases in 2 modes\n", sizeof loads / sizeof *loads);
}

static void accessed(void **state)
{
    st_init(t, ST_P32, 0);
    st_desc(t, ST_GATE, 0x1000, 0xff, 0x4092); // not accessed yet
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, ST_GATE), 0);
    assert_int_equal(t->ram[ST_GDT + ST_GATE + 5], 0x93);
    assert_int_equal(t->c.seg[ISA_DS].ar, 0x4093);
    // A GDT that cannot be written: the load faults, the register stays.
    st_init(t, ST_P32, 0);
    st_desc(t, ST_GATE, 0x1000, 0xff, 0x4092);
    t->absent = ST_GDT;
    struct isa_seg old = t->c.seg[ISA_DS];
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, ST_GATE), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_PF);
    assert_int_equal(t->c.fault.addr, ST_GDT + ST_GATE);
    assert_memory_equal(&t->c.seg[ISA_DS], &old, sizeof old);
}

static void null64(void **state)
{
    st_init(t, ST_L64, 0);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 0), 0);
    assert_int_equal(t->c.cpl, 0);
    st_init(t, ST_L64, 2);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 2), 0); // CPL stays 2 though SS is null
    assert_int_equal(t->c.cpl, 2);
    assert_true(t->c.seg[ISA_SS].ar & ISA_AR_UNUSABLE);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 1), ISA_R_FAULT);
    st_init(t, ST_L64, 3);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 3), ISA_R_FAULT);
    t->c.seg[ISA_FS].base = 0x123456789abc;
    assert_int_equal(isa_seg_load(&t->c, ISA_FS, 0), 0); // null clears the base
    assert_int_equal(t->c.seg[ISA_FS].base, 0);
}

static void paragraphs(void **state)
{
    st_init(t, ST_REAL, 0);
    t->c.seg[ISA_DS].limit = 0xffffffff; // as protected mode left it
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, 0x1234), 0);
    assert_int_equal(t->c.seg[ISA_DS].base, 0x12340);
    assert_int_equal(t->c.seg[ISA_DS].limit, 0xffffffff);
    st_init(t, ST_V86, 3);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 0xffff), 0);
    assert_int_equal(t->c.seg[ISA_SS].base, 0xffff0);
    assert_int_equal(t->c.seg[ISA_SS].limit, 0xffff);
    assert_int_equal(t->c.seg[ISA_SS].ar, 0xf3);
    assert_int_equal(t->c.cpl, 3);
}

static void system_registers(void **state)
{
    struct isa_cpu *c = &t->c;
    st_init(t, ST_P32, 0);
    assert_int_equal(isa_load_tr(c, ST_TSS2SEL), 0);
    assert_int_equal(t->ram[ST_GDT + ST_TSS2SEL + 5], 0x8b); // busy now
    assert_int_equal(c->seg[ISA_TR].ar, 0x8b);
    assert_int_equal(isa_load_tr(c, ST_TSS2SEL), ISA_R_FAULT); // busy
    assert_int_equal(c->fault.error, ST_TSS2SEL);
    assert_int_equal(isa_load_tr(c, ST_TSS2SEL | 4), ISA_R_FAULT);
    assert_int_equal(isa_load_ldtr(c, ST_D32(0)), ISA_R_FAULT);
    st_desc(t, ST_GATE, 0, 0xff, 0x02);
    assert_int_equal(isa_load_ldtr(c, ST_GATE), ISA_R_FAULT);
    assert_int_equal(c->fault.vector, ISA_X_NP);
    assert_int_equal(isa_load_ldtr(c, 0), 0);
    assert_int_equal(isa_seg_load(c, ISA_DS, 4), ISA_R_FAULT); // no LDT any more
    // IA-32e mode: 16-byte descriptors, base above 4 GB, and no 16-bit TSS
    st_init(t, ST_L64, 0);
    st_desc(t, ST_GATE, 0xffff800012345000, 0x67, 0x89);
    assert_int_equal(isa_load_tr(c, ST_GATE), 0);
    assert_int_equal(c->seg[ISA_TR].base, 0xffff800012345000);
    st_desc(t, ST_GATE, 0x0001000012345000, 0x67, 0x89);
    assert_int_equal(isa_load_tr(c, ST_GATE), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_BASE_CANONICAL);
    st_desc(t, ST_GATE, 0, 0x67, 0x81);
    assert_int_equal(isa_load_tr(c, ST_GATE), ISA_R_FAULT);
    st_desc(t, (ST_GDTCOUNT - 1) * 8, 0, 0x67, 0x89); // only half of it inside the table
    assert_int_equal(isa_load_tr(c, (ST_GDTCOUNT - 1) * 8), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_TABLE_LIMIT);
}

// Offsets into a segment: selector, offset, bytes, access, vector (0: allowed).
static const struct {
    const char *what;
    unsigned s, sel;
    uint64_t off;
    unsigned n, acc, vector;
} operands[] = {
    {"last byte", ISA_DS, ST_SMALL, 0xfff, 1, ISA_ACC_R, 0},
    {"one beyond", ISA_DS, ST_SMALL, 0x1000, 1, ISA_ACC_R, ISA_X_GP},
    {"across the limit", ISA_DS, ST_SMALL, 0xffd, 4, ISA_ACC_R, ISA_X_GP},
    {"stack across the limit", ISA_SS, ST_SMALL, 0xffd, 4, ISA_ACC_W, ISA_X_SS},
    {"expand-down, below", ISA_DS, ST_DOWN, 0xfff, 1, ISA_ACC_R, ISA_X_GP},
    {"expand-down, first", ISA_DS, ST_DOWN, 0x1000, 4, ISA_ACC_W, 0},
    {"expand-down, last", ISA_DS, ST_DOWN, 0xfffffffc, 4, ISA_ACC_W, 0},
    {"expand-down, beyond", ISA_DS, ST_DOWN, 0xfffffffd, 4, ISA_ACC_W, ISA_X_GP},
    {"write to read-only", ISA_DS, ST_ROM, 0, 4, ISA_ACC_W, ISA_X_GP},
    {"read-modify-write of read-only", ISA_DS, ST_ROM, 0, 4, ISA_ACC_R | ISA_ACC_RMW, ISA_X_GP},
    {"read of read-only", ISA_DS, ST_ROM, 0, 4, ISA_ACC_R, 0},
    {"write to code", ISA_DS, ST_C32(3), 0, 4, ISA_ACC_W, ISA_X_GP},
    {"read of code", ISA_DS, ST_C32(3), 0, 4, ISA_ACC_R, 0},
    {"null", ISA_ES, 0, 0, 1, ISA_ACC_R, ISA_X_GP},
    {"flat, across 4 GB", ISA_DS, ST_D32(3), 0xfffffffd, 4, ISA_ACC_R, ISA_X_GP},
};

static void operand_checks(void **state)
{
    uint64_t la;
    for (unsigned k = 0; k < sizeof operands / sizeof *operands; k++) {
        st_init(t, ST_P32, 3);
        assert_int_equal(isa_seg_load(&t->c, operands[k].s, (uint16_t)operands[k].sel), 0);
        int r = isa_seg_la(&t->c, operands[k].s, operands[k].off, operands[k].n, operands[k].acc, &la);
        if (r != (operands[k].vector ? ISA_R_FAULT : 0) || (r && (t->c.fault.vector != operands[k].vector || t->c.fault.error)))
            fail_msg("%s: result %d, vector %u", operands[k].what, r, t->c.fault.vector);
        if (!r)
            assert_int_equal(la, operands[k].off);
    }
    // 16-bit expand-down ends at FFFFH
    st_init(t, ST_P32, 3);
    st_desc(t, ST_DOWN, 0, 0xfff, 0xf7);
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, ST_DOWN), 0);
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0xfffc, 4, ISA_ACC_R, &la), 0);
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0xfffd, 4, ISA_ACC_R, &la), ISA_R_FAULT);
    // real mode: the limit is 64 KB; linear addresses do not wrap at 1 MB
    st_init(t, ST_REAL, 0);
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, 0xffff), 0);
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0xffff, 1, ISA_ACC_R, &la), 0);
    assert_int_equal(la, 0x10ffef);
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0xffff, 2, ISA_ACC_R, &la), ISA_R_FAULT);
    assert_int_equal(isa_seg_la(&t->c, ISA_SS, 0xffff, 2, ISA_ACC_R, &la), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_SS);
}

static void operands64(void **state)
{
    uint64_t la;
    st_init(t, ST_L64, 0);
    t->c.seg[ISA_DS].base = 0x1000; // ignored
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0xffff800000000000, 8, ISA_ACC_W, &la), 0);
    assert_int_equal(la, 0xffff800000000000);
    assert_int_equal(isa_seg_la(&t->c, ISA_DS, 0x7ffffffffff9, 8, ISA_ACC_W, &la), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_GP);
    assert_int_equal(isa_seg_la(&t->c, ISA_SS, 1ull << 63, 8, ISA_ACC_W, &la), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_SS);
    t->c.seg[ISA_GS].base = 0xffff888000000000;
    assert_int_equal(isa_seg_la(&t->c, ISA_GS, 0x28, 8, ISA_ACC_R, &la), 0);
    assert_int_equal(la, 0xffff888000000028);
    assert_int_equal(isa_seg_la(&t->c, ISA_GS, -0x28ull, 8, ISA_ACC_R, &la), 0);
    assert_int_equal(la, 0xffff887fffffffd8);
}

static void derived(void **state)
{
    st_init(t, ST_P32, 0);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_PROT32 | ISA_KEY_FLAT | ISA_KEY_SS_D);
    assert_int_equal(isa_seg_load(&t->c, ISA_ES, 0), 0);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_PROT32 | ISA_KEY_SS_D);
    st_init(t, ST_P32, 3);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_PROT32 | ISA_KEY_FLAT | ISA_KEY_CPL3 | ISA_KEY_SS_D);
    st_init(t, ST_L64, 0);
    assert_int_equal(isa_seg_load(&t->c, ISA_DS, 0), 0);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_LONG64 | ISA_KEY_FLAT);
    t->c.vmx = ISA_VMX_NONROOT;
    isa_update_mode(&t->c);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_LONG64 | ISA_KEY_FLAT | ISA_KEY_NONROOT);
    st_init(t, ST_C32M, 1);
    assert_int_equal(t->c.mode, ISA_COMPAT32);
    assert_int_equal(t->c.cpl, 1);
    st_init(t, ST_REAL, 0);
    assert_int_equal(t->c.mode_key, ISA_REAL);
    st_init(t, ST_V86, 3);
    assert_int_equal(t->c.mode_key, (unsigned)ISA_V86 | ISA_KEY_CPL3);
}

// A write through a CS override faults even where all segments are flat; a read does not.
static void cs_override(void **state)
{
    st_init(t, ST_P32, 0);
    st_code(t, "\x2e\x89\x03", 3); // mov cs:[ebx], eax
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_TYPE_WRITE);
    st_code(t, "\x2e\x8b\x03", 3);
    assert_int_equal(st_step(t), 0);
}

// MOV SS and POP SS hold interrupts off for one instruction, LSS does not; STI only if IF was 0.
static void blocking(void **state)
{
    static const struct {
        char bytes[4];
        unsigned want;
        bool ifl;
    } cases[] = {{"\x8e\xd0", ISA_BLOCK_MOVSS, true}, {"\x17", ISA_BLOCK_MOVSS, true},
                 {"\x0f\xb2\x23", 0, true},           {"\xfb", 0, true},
                 {"\xfb", ISA_BLOCK_STI, false},      {"\x8e\xd8", 0, true}};
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++) {
        st_init(t, ST_P32, 0);
        t->c.gpr[ISA_RAX] = ST_D32(0);
        st_put(t, t->c.gpr[ISA_RSP], ST_D32(0), 4);
        st_put(t, ST_DATA, 0x9000, 4);
        st_put(t, ST_DATA + 4, ST_D32(0), 2);
        if (!cases[k].ifl)
            t->c.rflags_sys &= ~ISA_FL_IF;
        st_code(t, cases[k].bytes, 3);
        assert_int_equal(st_step(t), 0);
        assert_int_equal(t->c.blocking, cases[k].want);
        if (cases[k].want)
            assert_int_equal(t->c.attention, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse),          cmocka_unit_test(load_checks), cmocka_unit_test(accessed),
        cmocka_unit_test(null64),         cmocka_unit_test(paragraphs),  cmocka_unit_test(system_registers),
        cmocka_unit_test(operand_checks), cmocka_unit_test(operands64),  cmocka_unit_test(derived),
        cmocka_unit_test(blocking),       cmocka_unit_test(cs_override),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
