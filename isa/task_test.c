// isa/task_test.c: hardware task switches by JMP, CALL, IRET and interrupts, with every check; the I/O permission bitmap.
#include <stdio.h>

#include "isa/systest.h"

static struct st machine, before;
static struct st *t = &machine;

static uint64_t tss(unsigned base, unsigned off, unsigned n) { return st_get(t, base + off, n); }

// A runnable 32-bit task of level cpl in the second TSS: code at 5000H, stack at 9000H.
static void new_task(unsigned cpl)
{
    st_put(t, ST_TSS2 + 32, 0x5000, 4);
    st_put(t, ST_TSS2 + 36, 2, 4);
    for (unsigned k = 0; k < 8; k++)
        st_put(t, ST_TSS2 + 40 + 4 * k, 0x100 + k, 4);
    st_put(t, ST_TSS2 + 56, 0x9000, 4); // ESP
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        st_put(t, ST_TSS2 + 72 + 4 * s, s == ISA_CS ? ST_C32(cpl) : ST_D32(cpl), 2);
    st_put(t, ST_TSS2 + 96, 0, 2);
    st_put(t, ST_TSS2 + 100, 0, 1);
}

static int far(bool call, uint16_t sel)
{
    uint8_t b[7] = {call ? 0x9a : 0xea};
    memcpy(b + 5, &sel, 2);
    st_code(t, b, 7);
    memcpy(&before, t, sizeof before);
    return st_step(t);
}

static void assert_in_new_task(unsigned cpl)
{
    struct isa_cpu *c = &t->c;
    assert_int_equal(c->rip, 0x5000);
    assert_int_equal(c->cpl, cpl);
    for (unsigned k = 0; k < 8; k++)
        assert_int_equal(c->gpr[k], k == ISA_RSP ? 0x9000 : 0x100 + k);
    assert_int_equal(c->seg[ISA_CS].sel, ST_C32(cpl));
    assert_int_equal(c->seg[ISA_GS].sel, ST_D32(cpl));
    assert_int_equal(c->seg[ISA_GS].limit, 0xffffffff);
    assert_int_equal(c->seg[ISA_TR].sel, ST_TSS2SEL);
    assert_int_equal(c->seg[ISA_TR].base, ST_TSS2);
    assert_true(c->seg[ISA_LDTR].ar & ISA_AR_UNUSABLE);
    assert_true(c->cr0 & ISA_CR0_TS);
    assert_int_equal(t->ram[ST_GDT + ST_TSS2SEL + 5], 0x8b);
}

static void jmp(void **state)
{
    st_init(t, ST_P32, 0);
    new_task(3);
    for (unsigned k = 0; k < 8; k++)
        t->c.gpr[k] = 0xabc0 + k;
    t->c.dr[7] |= 0x3ff;
    assert_int_equal(far(false, ST_TSS2SEL), 0);
    assert_in_new_task(3);
    assert_int_equal(isa_rflags(&t->c), 2);
    assert_int_equal(t->c.dr[7], ISA_DR7_INIT | 0x2aa);
    assert_int_equal(t->ram[ST_GDT + ST_TSSSEL + 5], 0x89); // the old task is available again
    assert_int_equal(tss(ST_TSS, 32, 4), ST_CODE + 7);
    assert_int_equal(tss(ST_TSS, 36, 4), 2 | ISA_FL_IF);
    for (unsigned k = 0; k < 8; k++)
        assert_int_equal(tss(ST_TSS, 40 + 4 * k, 4), 0xabc0 + k);
    assert_int_equal(tss(ST_TSS, 76, 2), ST_C32(0));
    assert_int_equal(tss(ST_TSS2, 0, 2), 0); // no link
    assert_int_equal(t->c.pending_dbg, 0);
}

static void call_and_iret(void **state)
{
    st_init(t, ST_P32, 0);
    new_task(0);
    st_put(t, ST_TSS2 + 100, 1, 1); // debug trap
    t->ram[0x5000] = 0xcf;          // IRET
    uint64_t rsp = t->c.gpr[ISA_RSP];
    assert_int_equal(far(true, ST_TSS2SEL), 0);
    assert_in_new_task(0);
    assert_int_equal(isa_rflags(&t->c), 2 | ISA_FL_NT);
    assert_int_equal(tss(ST_TSS2, 0, 2), ST_TSSSEL);
    assert_int_equal(t->ram[ST_GDT + ST_TSSSEL + 5], 0x8b); // both busy
    assert_int_equal(t->c.pending_dbg, ISA_DR6_BT);
    // A second call into a busy task is refused.
    assert_int_equal(far(true, ST_TSSSEL), ISA_R_FAULT);
    assert_int_equal(t->c.fault.error, ST_TSSSEL);
    t->ram[0x5000] = 0xcf;
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.rip, ST_CODE + 7);
    assert_int_equal(t->c.gpr[ISA_RSP], rsp);
    assert_int_equal(t->c.seg[ISA_TR].sel, ST_TSSSEL);
    assert_int_equal(t->ram[ST_GDT + ST_TSS2SEL + 5], 0x89);
    assert_int_equal(t->ram[ST_GDT + ST_TSSSEL + 5], 0x8b);
    assert_int_equal(tss(ST_TSS2, 36, 4), 2); // NT was cleared in the image
    assert_int_equal(tss(ST_TSS2, 32, 4), 0x5001);
    assert_int_equal(isa_rflags(&t->c), 2 | ISA_FL_IF);
    // IRET with a bad link: not busy, null, in the LDT
    static const unsigned link[][2] = {{ST_TSS2SEL, ISA_RULE_TS_LINK_BUSY}, {0, ISA_RULE_TS_LINK}, {4 | 8, ISA_RULE_TS_LINK}};
    for (unsigned k = 0; k < 3; k++) {
        st_init(t, ST_P32, 0);
        t->c.rflags_sys |= ISA_FL_NT;
        st_put(t, ST_TSS, link[k][0], 2);
        st_code(t, "\xcf", 1);
        assert_int_equal(st_step(t), ISA_R_FAULT);
        assert_int_equal(t->c.fault.vector, ISA_X_TS);
        assert_int_equal(t->c.fault.error, link[k][0] & ~3u);
        assert_int_equal(t->c.fault.rule, link[k][1]);
    }
}

static void task_gates(void **state)
{
    // In the IDT, with an error code
    st_init(t, ST_P32, 3);
    new_task(0);
    st_gate(t, ST_IDT + ISA_X_DF * 8, ST_TSS2SEL, 0, ISA_SYS_TASK_GATE, 0, 0, false);
    assert_int_equal(isa_raise(&t->c, ISA_X_GP, 0, ISA_RULE_GP_LIMIT), ISA_R_FAULT);
    assert_int_equal(isa_deliver_fault(&t->c), 0); // no handler for #GP, nor for #NP or #GP after it: double fault
    assert_int_equal(t->last.vector, ISA_X_DF);
    assert_int_equal(t->c.rip, 0x5000);
    assert_int_equal(t->c.gpr[ISA_RSP], 0x9000 - 4);
    assert_int_equal(st_get(t, 0x8ffc, 4), 0);
    assert_int_equal(tss(ST_TSS2, 0, 2), ST_TSSSEL);
    assert_int_equal(tss(ST_TSS, 32, 4), ST_CODE);
    assert_true(t->c.rflags_sys & ISA_FL_NT);
    assert_int_equal(t->c.cpl, 0);
    // INT n through a task gate returns behind INT; the gate's DPL counts, the TSS's does not.
    st_init(t, ST_P32, 3);
    new_task(0);
    st_gate(t, ST_IDT + 0x40 * 8, ST_TSS2SEL, 0, ISA_SYS_TASK_GATE, 3, 0, false);
    st_code(t, "\xcd\x40", 2);
    assert_int_equal(st_step(t), 0);
    assert_in_new_task(0);
    assert_int_equal(tss(ST_TSS, 32, 4), ST_CODE + 2);
    // JMP and CALL through a gate in the GDT
    for (unsigned call = 0; call < 2; call++) {
        st_init(t, ST_P32, 3);
        new_task(0);
        st_gate(t, ST_GDT + ST_GATE, ST_TSS2SEL, 0, ISA_SYS_TASK_GATE, 3, 0, false);
        assert_int_equal(far(call, ST_GATE | 3), 0);
        assert_in_new_task(0);
        assert_int_equal(!!(t->c.rflags_sys & ISA_FL_NT), call);
    }
    static const unsigned bad[][3] = {{0, ISA_X_GP, ISA_RULE_GP_TASK_GATE_SEL},
                                      {ST_TSS2SEL | 4, ISA_X_GP, ISA_RULE_GP_TASK_GATE_SEL},
                                      {ST_TSSSEL, ISA_X_GP, ISA_RULE_GP_TASK_GATE_TSS},
                                      {ST_D32(0), ISA_X_GP, ISA_RULE_GP_TASK_GATE_TSS}};
    for (unsigned k = 0; k < 4; k++) {
        st_init(t, ST_P32, 3);
        st_gate(t, ST_GDT + ST_GATE, (uint16_t)bad[k][0], 0, ISA_SYS_TASK_GATE, 3, 0, false);
        assert_int_equal(far(true, ST_GATE | 3), ISA_R_FAULT);
        assert_int_equal(t->c.fault.vector, bad[k][1]);
        assert_int_equal(t->c.fault.rule, bad[k][2]);
        assert_int_equal(t->c.fault.error, bad[k][0] & ~3u);
    }
}

static void tss16(void **state)
{
    st_init(t, ST_P32, 0);
    st_desc(t, ST_TSS2SEL, ST_TSS2, 0x2b, 0x81);
    st_put(t, ST_TSS2 + 14, 0x5000, 2);
    st_put(t, ST_TSS2 + 16, 2, 2);
    for (unsigned k = 0; k < 8; k++)
        st_put(t, ST_TSS2 + 18 + 2 * k, k == ISA_RSP ? 0x9000 : 0x100 + k, 2);
    for (unsigned s = 0; s < 4; s++)
        st_put(t, ST_TSS2 + 34 + 2 * s, s == ISA_CS ? ST_C16(0) : ST_D16(0), 2);
    t->ram[0x5000] = 0xcf;
    assert_int_equal(far(true, ST_TSS2SEL), 0);
    assert_int_equal(t->c.mode, ISA_PROT16);
    assert_int_equal(t->c.gpr[ISA_RDI], 0x107);
    assert_int_equal(t->c.seg[ISA_FS].sel, 0);
    assert_int_equal(tss(ST_TSS2, 0, 2), ST_TSSSEL);
    assert_int_equal(t->ram[ST_GDT + ST_TSS2SEL + 5], 0x83);
    t->c.gpr[ISA_RAX] = 0x7777;
    assert_int_equal(st_step(t), 0); // back to the 32-bit task
    assert_int_equal(t->c.mode, ISA_PROT32);
    assert_int_equal(t->c.rip, ST_CODE + 7);
    assert_int_equal(tss(ST_TSS2, 18, 2), 0x7777);
    assert_int_equal(tss(ST_TSS2, 14, 2), 0x5001);
    assert_int_equal(t->ram[ST_GDT + ST_TSS2SEL + 5], 0x81);
}

// Refused before anything happened: the old task goes on.
static void early_checks(void **state)
{
    static const struct {
        const char *what;
        unsigned cpl, sel, ar, limit, vector, rule;
    } k[] = {
        {"limit", 0, ST_TSS2SEL, 0x89, 0x66, ISA_X_TS, ISA_RULE_TS_LIMIT},
        {"limit, 16 bits", 0, ST_TSS2SEL, 0x81, 0x2a, ISA_X_TS, ISA_RULE_TS_LIMIT},
        {"absent", 0, ST_TSS2SEL, 0x09, 0x67, ISA_X_NP, ISA_RULE_NP_TSS},
        {"busy", 0, ST_TSS2SEL, 0x8b, 0x67, ISA_X_GP, ISA_RULE_GP_FAR_TYPE},
        {"DPL", 3, ST_TSS2SEL, 0x89, 0x67, ISA_X_GP, ISA_RULE_GP_TSS_DPL},
        {"RPL", 0, ST_TSS2SEL | 3, 0x89, 0x67, ISA_X_GP, ISA_RULE_GP_TSS_DPL},
    };
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++)
        for (unsigned call = 0; call < 2; call++) {
            st_init(t, ST_P32, k[m].cpl);
            new_task(0);
            st_desc(t, ST_TSS2SEL, ST_TSS2, k[m].limit, k[m].ar);
            int r = far(call, (uint16_t)k[m].sel);
            if (r != ISA_R_FAULT || t->c.fault.vector != k[m].vector || t->c.fault.rule != k[m].rule ||
                t->c.fault.error != ST_TSS2SEL)
                fail_msg("%s: %d, vector %u, %s", k[m].what, r, t->c.fault.vector, isa_rule_info(t->c.fault.rule)->id);
            assert_memory_equal(t->ram, before.ram, ST_RAM);
            assert_memory_equal(t->c.seg, before.c.seg, sizeof t->c.seg);
        }
    // A TSS descriptor in the LDT
    st_init(t, ST_P32, 0);
    new_task(0);
    st_desc(t, 8 | 4, ST_TSS2, 0x67, 0x89);
    assert_int_equal(far(false, 8 | 4), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_FAR_TYPE);
    // The new TSS lies in an absent page.
    st_init(t, ST_P32, 0);
    st_desc(t, ST_TSS2SEL, 0x6fe0, 0x67, 0x89);
    t->absent = 0x7000;
    assert_int_equal(far(true, ST_TSS2SEL), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_PF);
    assert_memory_equal(t->ram, before.ram, ST_RAM);
    printf("# task switch: %zu early checks, jmp and call\n", sizeof k / sizeof *k);
}

// Refused when the new task's segments are loaded: the fault happens in the new task.
static void late_checks(void **state)
{
    static const struct {
        const char *what;
        unsigned off, sel, vector, error;
    } k[] = {
        {"CS null", 76, 0, ISA_X_TS, 0},
        {"CS data", 76, ST_D32(0), ISA_X_TS, ST_D32(0)},
        {"CS DPL", 76, ST_C32(3) & ~3, ISA_X_TS, ST_C32(3) & ~3},
        {"CS absent", 76, ST_CABSENT, ISA_X_NP, ST_CABSENT},
        {"SS null", 80, 0, ISA_X_TS, 0},
        {"SS DPL", 80, ST_D32(3), ISA_X_TS, ST_D32(3) & ~3},
        {"SS absent", 80, ST_ABSENT, ISA_X_SS, ST_ABSENT},
        {"DS execute-only", 84, ST_XONLY, ISA_X_TS, ST_XONLY & ~3},
        {"ES absent", 72, ST_ABSENT, ISA_X_NP, ST_ABSENT},
        {"LDT not an LDT", 96, ST_D32(0), ISA_X_TS, ST_D32(0)},
        {"GS beyond the table", 92, 0x7f8, ISA_X_TS, 0x7f8},
    };
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++) {
        st_init(t, ST_P32, 0);
        new_task(0);
        st_put(t, ST_TSS2 + k[m].off, k[m].sel, 2);
        // Handlers switch to a third task, which needs nothing of the broken one.
        st_desc(t, ST_GATE, 0x6000, 0x67, 0x89);
        memcpy(t->ram + 0x6000, t->ram + ST_TSS2, 104);
        st_put(t, 0x6000 + 32, 0x5500, 4);
        for (unsigned s = ISA_ES; s <= ISA_GS; s++)
            st_put(t, 0x6000 + 72 + 4 * s, s == ISA_CS ? ST_C32(0) : ST_D32(0), 2);
        st_put(t, 0x6000 + 96, 0, 2);
        for (unsigned v = ISA_X_TS; v <= ISA_X_GP; v++)
            st_gate(t, ST_IDT + v * 8, ST_GATE, 0, ISA_SYS_TASK_GATE, 0, 0, false);
        assert_int_equal(far(false, ST_TSS2SEL), 0);
        if (t->last.vector != k[m].vector || t->last.error != k[m].error)
            fail_msg("%s: vector %u, error %x, %s", k[m].what, t->last.vector, t->last.error, isa_rule_info(t->last.rule)->id);
        assert_int_equal(t->c.rip, 0x5500);
        assert_int_equal(st_get(t, 0x9000 - 4, 4), k[m].error);
        assert_int_equal(tss(0x6000, 0, 2), ST_TSS2SEL);   // out of the new task
        assert_int_equal(tss(ST_TSS2, 32, 4), 0x5000);     // which did not get beyond its first instruction
        assert_int_equal(tss(ST_TSS, 32, 4), ST_CODE + 7); // the first task is done
    }
    printf("# task switch: %zu late checks\n", sizeof k / sizeof *k);
}

static void to_v86(void **state)
{
    st_init(t, ST_P32, 0);
    new_task(0);
    st_put(t, ST_TSS2 + 36, 2 | ISA_FL_VM, 4);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        st_put(t, ST_TSS2 + 72 + 4 * s, 0x200 + s, 2);
    assert_int_equal(far(false, ST_TSS2SEL), 0);
    assert_int_equal(t->c.mode, ISA_V86);
    assert_int_equal(t->c.cpl, 3);
    assert_int_equal(t->c.seg[ISA_FS].base, 0x2040);
}

// Ports and the bitmap: which bytes of it must be clear for which access.
static void io_bitmap(void **state)
{
    static const struct {
        uint16_t port;
        unsigned size, closed; // a port whose bit is 1
        bool ok;
    } k[] = {{8, 1, 9, true}, {9, 1, 9, false},   {8, 2, 9, false},  {10, 4, 9, true},   {6, 4, 9, false},
             {7, 2, 9, true}, {15, 2, 16, false}, {15, 1, 16, true}, {13, 4, 16, false}, {12, 4, 16, true}};
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++)
        for (unsigned mode = ST_V86; mode <= ST_L64; mode++) {
            st_init(t, mode, 3);
            st_desc(t, ST_TSSSEL, ST_TSS, 0x68 + 3, 0x8b);
            st_load(t, ISA_TR, ST_TSSSEL);
            st_put(t, ST_TSS + 0x68, 1u << k[m].closed, 4);
            t->c.gpr[ISA_RDX] = k[m].port;
            const char *wide = mode == ST_V86 ? "\x66\xed" : "\xed", *word = mode == ST_V86 ? "\xed" : "\x66\xed";
            st_code(t, k[m].size == 1 ? "\xec" : k[m].size == 2 ? word : wide, 2);
            int r = st_step(t);
            if (r != (k[m].ok ? 0 : ISA_R_FAULT))
                fail_msg("port %u size %u with %u closed: %d", k[m].port, k[m].size, k[m].closed, r);
            assert_int_equal(t->ins, k[m].ok);
        }
    // The last byte of the map must be followed by one more inside the limit.
    st_init(t, ST_P32, 3);
    st_desc(t, ST_TSSSEL, ST_TSS, 0x68, 0x8b);
    st_load(t, ISA_TR, ST_TSSSEL);
    st_code(t, "\xe4\x00", 2);
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_IO_BITMAP);
    // INS: the port is not read when the store would fault; OUTS and REP count down.
    st_init(t, ST_P32, 0);
    t->absent = 0x8000;
    t->c.gpr[ISA_RDI] = 0x8000;
    st_code(t, "\x6c", 1);
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->ins, 0);
    st_init(t, ST_P32, 0);
    t->c.gpr[ISA_RDI] = 0x7ffe;
    t->c.gpr[ISA_RCX] = 3;
    t->port_value = 0xbeef;
    st_code(t, "\xf3\x66\x6d", 3);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(t->c.rip, ST_CODE);
        assert_int_equal(st_step(t), 0);
    }
    assert_int_equal(t->c.rip, ST_CODE + 3);
    assert_int_equal(t->ins, 3);
    assert_int_equal(t->c.gpr[ISA_RCX], 0);
    assert_int_equal(t->c.gpr[ISA_RDI], 0x8004);
    assert_int_equal(st_get(t, 0x8000, 4), 0xbeefbeef);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jmp),          cmocka_unit_test(call_and_iret), cmocka_unit_test(task_gates), cmocka_unit_test(tss16),
        cmocka_unit_test(early_checks), cmocka_unit_test(late_checks),   cmocka_unit_test(to_v86),     cmocka_unit_test(io_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
