// isa/deliver_test.c: events through the IDT, IRET back, double and triple faults, what a VM exit in the middle leaves.
#include <stdio.h>

#include "isa/systest.h"

static struct st machine, before;
static struct st *t = &machine;

#define HANDLER 0x12340u
#define DF_AT   0x15670u

static void idt(unsigned vector, unsigned sel, uint64_t off, unsigned type, unsigned dpl, unsigned ist)
{
    bool wide = isa_long(&t->c);
    st_gate(t, ST_IDT + vector * (wide ? 16 : 8), (uint16_t)sel, off, type, dpl, ist, wide);
}
static void idt_absent(unsigned vector)
{
    bool wide = isa_long(&t->c);
    t->ram[ST_IDT + vector * (wide ? 16 : 8) + 5] &= 0x7f;
}
static int event(unsigned type, unsigned vector)
{
    struct isa_event e = {.type = (uint8_t)type, .vector = (uint8_t)vector};
    return isa_deliver_event(&t->c, &e);
}
static int fault(unsigned vector, uint32_t err)
{
    isa_raise(&t->c, vector, err, ISA_RULE_GP_LIMIT);
    return isa_deliver_fault(&t->c);
}
static uint64_t stack(unsigned at, unsigned n) { return st_get(t, t->c.gpr[ISA_RSP] + at, n); }

static void real_mode(void **state)
{
    st_init(t, ST_REAL, 0);
    t->c.idtr = (struct isa_dtr){0, 0x3ff};
    st_put(t, 0x21 * 4, 0x0100 | 0x0200 << 16, 4);
    st_code(t, "\xcd\x21", 2);
    assert_int_equal(isa_seg_load(&t->c, ISA_SS, 0x0900), 0);
    t->c.gpr[ISA_RSP] = 0x100;
    t->c.rflags_sys |= ISA_FL_TF | ISA_FL_AC;
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.rip, 0x100);
    assert_int_equal(t->c.seg[ISA_CS].sel, 0x200);
    assert_int_equal(t->c.seg[ISA_CS].base, 0x2000);
    assert_int_equal(t->c.gpr[ISA_RSP], 0xfa);
    assert_int_equal(st_get(t, 0x90fa, 2), 0x7002); // after INT
    assert_int_equal(st_get(t, 0x90fe, 2), 0x302);
    assert_int_equal(isa_rflags(&t->c), 2);
    st_code(t, "\xcf", 1);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.rip, 0x7002);
    assert_int_equal(t->c.gpr[ISA_RSP], 0x100);
    assert_int_equal(isa_rflags(&t->c), 0x302);
    // A vector beyond the table: #GP, whose vector is beyond it too, and so on: triple fault.
    t->c.idtr.limit = 0x1f;
    t->c.rflags_sys &= ~ISA_FL_TF;
    assert_int_equal(event(ISA_EV_EXTINT, 0x21), 0);
    assert_int_equal(t->triples, 1);
    assert_int_equal(t->c.activity, ISA_SHUTDOWN);
    assert_int_equal(t->c.rip, 0x7002);
}

// Protected mode: from level, gate type, handler's level. Then IRET.
static void protected_gates(void **state)
{
    static const struct {
        unsigned from, type, to;
    } k[] = {{0, ISA_SYS_INT32, 0}, {0, ISA_SYS_TRAP32, 0}, {3, ISA_SYS_INT32, 0}, {3, ISA_SYS_TRAP32, 0}, {3, ISA_SYS_INT32, 1},
             {2, ISA_SYS_INT32, 1}, {3, ISA_SYS_INT32, 3},  {3, ISA_SYS_INT16, 0}, {0, ISA_SYS_TRAP16, 0}, {1, ISA_SYS_INT16, 0}};
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++) {
        bool wide = k[m].type & 8, changes = k[m].from != k[m].to, trap = k[m].type & 1;
        unsigned size = wide ? 4 : 2;
        st_init(t, ST_P32, k[m].from);
        uint64_t off = wide ? HANDLER : 0x6340;
        idt(0x40, ST_C32(k[m].to), off, k[m].type, 0, 0);
        t->c.rip = wide ? ST_CODE : 0x7000;
        uint64_t rip = t->c.rip, rsp = t->c.gpr[ISA_RSP], fl = isa_rflags(&t->c);
        assert_int_equal(event(ISA_EV_EXTINT, 0x40), 0);
        assert_int_equal(t->c.rip, off);
        assert_int_equal(t->c.cpl, k[m].to);
        assert_int_equal(t->c.seg[ISA_CS].sel, ST_C32(k[m].to));
        assert_int_equal(t->c.seg[ISA_SS].sel, ST_D32(k[m].to));
        assert_int_equal(t->c.gpr[ISA_RSP], (changes ? ST_STACK + 0x1000 * k[m].to : rsp) - (changes ? 5 : 3) * size);
        assert_int_equal(isa_rflags(&t->c), trap ? fl : fl & ~(uint64_t)ISA_FL_IF);
        assert_int_equal(stack(0, size), rip);
        assert_int_equal(stack(size, size), ST_C32(k[m].from));
        assert_int_equal(stack(2 * size, size), fl);
        if (changes) {
            assert_int_equal(stack(3 * size, size), rsp & (wide ? UINT32_MAX : 0xffff));
            assert_int_equal(stack(4 * size, size), ST_D32(k[m].from));
        }
        st_code(t, wide ? "\xcf" : "\x66\xcf", 2);
        assert_int_equal(st_step(t), 0);
        assert_int_equal(t->c.rip, rip);
        assert_int_equal(t->c.cpl, k[m].from);
        assert_int_equal(t->c.gpr[ISA_RSP], rsp);
        // A handler above IOPL cannot set IF again.
        assert_int_equal(isa_rflags(&t->c), trap || k[m].to == 0 ? fl : fl & ~(uint64_t)ISA_FL_IF);
        assert_int_equal(t->c.seg[ISA_SS].sel, ST_D32(k[m].from));
    }
}

static void error_codes(void **state)
{
    st_init(t, ST_P32, 3);
    idt(ISA_X_GP, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    idt(0x30, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0); // DPL 0
    st_code(t, "\xcd\x30", 2);
    assert_int_equal(st_step(t), 0); // INT 30H from level 3: #GP(30H * 8 + 2), saved RIP is that of INT itself
    assert_int_equal(t->last.vector, ISA_X_GP);
    assert_int_equal(stack(0, 4), 0x30 * 8 + 2);
    assert_int_equal(stack(4, 4), ST_CODE);
    assert_true(stack(12, 4) & ISA_FL_RF);
    // The same by hardware: the gate's DPL does not matter.
    st_init(t, ST_P32, 3);
    idt(0x30, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    assert_int_equal(event(ISA_EV_EXTINT, 0x30), 0);
    assert_int_equal(t->last.vector, 0x30);
    assert_false(stack(8, 4) & ISA_FL_RF);
    // Gate not present: #NP with IDT bit; EXT only if an interrupt or exception was on its way.
    for (unsigned hard = 0; hard < 2; hard++) {
        st_init(t, ST_P32, 0);
        idt(ISA_X_NP, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
        idt(0x30, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
        idt_absent(0x30);
        st_code(t, "\xcd\x30", 2);
        assert_int_equal(hard ? event(ISA_EV_EXTINT, 0x30) : st_step(t), 0);
        assert_int_equal(t->last.vector, ISA_X_NP);
        assert_int_equal(stack(0, 4), 0x30 * 8 + 2 + hard);
    }
    // #PF: CR2 and error code as raised, RF pushed
    st_init(t, ST_P32, 0);
    idt(ISA_X_PF, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    isa_raise_pf(&t->c, 0xdeadb000, 7, ISA_RULE_PF_USER);
    assert_int_equal(t->c.cr2, 0);
    assert_int_equal(isa_deliver_fault(&t->c), 0);
    assert_int_equal(t->c.cr2, 0xdeadb000);
    assert_int_equal(stack(0, 4), 7);
    assert_true(stack(12, 4) & ISA_FL_RF);
    // #DB: DR6 gathers, GD falls; of its kinds only this one pushes RF, unless it comes in the middle of a repetition
    st_init(t, ST_P32, 0);
    idt(ISA_X_DB, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    t->c.dr[7] |= ISA_DR7_GD;
    isa_raise_db(&t->c, ISA_DR6_BD, ISA_RULE_DB_GD);
    assert_int_equal(isa_deliver_fault(&t->c), 0);
    assert_int_equal(t->c.dr[6], ISA_DR6_INIT | ISA_DR6_BD);
    assert_int_equal(t->c.dr[7], ISA_DR7_INIT);
    assert_true(stack(8, 4) & ISA_FL_RF);
    for (unsigned mid = 0; mid < 2; mid++) {
        st_init(t, ST_P32, 0);
        idt(ISA_X_DB, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
        t->c.rep_mid = mid;
        isa_raise_db(&t->c, 1, ISA_RULE_NONE);
        assert_int_equal(isa_deliver_fault(&t->c), 0);
        assert_int_equal(t->c.dr[6], ISA_DR6_INIT | 1);
        assert_int_equal(!!(stack(8, 4) & ISA_FL_RF), mid);
    }
}

static void v86(void **state)
{
    st_init(t, ST_V86, 3);
    idt(ISA_X_GP, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        if (s != ISA_CS && s != ISA_SS)
            t->c.seg[s] = isa_seg_v86((uint16_t)(0x100 + s));
    st_code(t, "\xfa", 1);
    uint64_t rsp = t->c.gpr[ISA_RSP];
    struct isa_seg seg[6];
    memcpy(seg, t->c.seg, sizeof seg);
    assert_int_equal(st_step_deliver(t), 0); // CLI, IOPL 0
    assert_int_equal(t->c.mode, ISA_PROT32);
    assert_int_equal(t->c.cpl, 0);
    assert_int_equal(t->c.gpr[ISA_RSP], ST_STACK - 40);
    assert_int_equal(stack(4, 4), 0x7000);
    assert_true(stack(12, 4) & ISA_FL_VM);
    assert_int_equal(stack(16, 4), rsp);
    assert_int_equal(stack(24, 4), 0x100 + ISA_ES);
    assert_int_equal(stack(28, 4), 0x100 + ISA_DS);
    assert_int_equal(stack(36, 4), 0x100 + ISA_GS);
    assert_true(t->c.seg[ISA_DS].ar & ISA_AR_UNUSABLE);
    t->c.gpr[ISA_RSP] += 4;
    st_code(t, "\xcf", 1);
    assert_int_equal(st_step(t), 0); // IRET to virtual-8086 mode
    assert_int_equal(t->c.mode, ISA_V86);
    assert_int_equal(t->c.rip, 0x7000);
    assert_int_equal(t->c.gpr[ISA_RSP], rsp);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++) {
        assert_int_equal(t->c.seg[s].sel, seg[s].sel);
        assert_int_equal(t->c.seg[s].base, seg[s].base);
        assert_int_equal(t->c.seg[s].limit, seg[s].limit);
        assert_int_equal(t->c.seg[s].ar, seg[s].ar);
    }
    // A handler outside level 0 cannot take it: #GP(selector), here without a handler either: triple fault
    st_init(t, ST_V86, 3);
    idt(0x20, ST_C32(1), HANDLER, ISA_SYS_INT32, 3, 0);
    idt(ISA_X_GP, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    assert_int_equal(event(ISA_EV_EXTINT, 0x20), 0);
    assert_int_equal(t->last.vector, ISA_X_GP);
    assert_int_equal(stack(0, 4), (ST_C32(1) & ~3) | ISA_ERR_EXT);
    assert_int_equal(t->last.rule, ISA_RULE_GP_V86_HANDLER);
}

static void long_mode(void **state)
{
    for (unsigned m = 0; m < 6; m++) {
        bool compat = m & 1, ist = m >= 4;
        unsigned from = m < 2 ? 0 : 3;
        st_init(t, compat ? ST_C32M : ST_L64, from);
        st_put(t, ST_TSS + 36 + 8, 0x7f08, 8); // IST2, not aligned
        idt(ISA_X_GP, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, ist ? 2 : 0);
        t->c.gpr[ISA_RSP] -= 5; // not aligned
        uint64_t rsp = t->c.gpr[ISA_RSP], ss = t->c.seg[ISA_SS].sel, cs = t->c.seg[ISA_CS].sel, fl = isa_rflags(&t->c);
        assert_int_equal(fault(ISA_X_GP, 0x123), 0);
        assert_int_equal(t->c.mode, ISA_LONG64);
        assert_int_equal(t->c.cpl, 0);
        assert_int_equal(t->c.rip, HANDLER);
        uint64_t top = ist ? 0x7f00 : from ? ST_STACK : rsp & ~15ull;
        assert_int_equal(t->c.gpr[ISA_RSP], top - 48);
        assert_int_equal(stack(0, 8), 0x123);
        assert_int_equal(stack(8, 8), ST_CODE);
        assert_int_equal(stack(16, 8), cs);
        assert_int_equal(stack(24, 8), fl | ISA_FL_RF);
        assert_int_equal(stack(32, 8), rsp);
        assert_int_equal(stack(40, 8), ss);
        assert_int_equal(t->c.seg[ISA_SS].sel, from ? 0 : ss);
        assert_false(t->c.rflags_sys & ISA_FL_IF);
        t->c.gpr[ISA_RSP] += 8;
        st_code(t, "\x48\xcf", 2);
        assert_int_equal(st_step(t), 0); // IRETQ
        assert_int_equal(t->c.mode, compat ? ISA_COMPAT32 : ISA_LONG64);
        assert_int_equal(t->c.cpl, from);
        assert_int_equal(t->c.rip, ST_CODE);
        assert_int_equal(t->c.gpr[ISA_RSP], rsp);
        assert_int_equal(t->c.seg[ISA_SS].sel, ss);
        assert_int_equal(isa_rflags(&t->c), fl | ISA_FL_RF);
        if (from)
            assert_int_equal(t->c.seg[ISA_DS].sel, ST_D32(3)); // usable by level 3, so kept
    }
    // Handlers must be 64-bit code.
    st_init(t, ST_L64, 0);
    idt(0x20, ST_C32(0), HANDLER, ISA_SYS_INT32, 0, 0);
    idt(ISA_X_GP, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, 0);
    assert_int_equal(event(ISA_EV_EXTINT, 0x20), 0);
    assert_int_equal(t->last.rule, ISA_RULE_GP_GATE_NOT64);
    assert_int_equal(stack(0, 8), ST_C32(0) | ISA_ERR_EXT);
}

// IRET faults: what is on the stack, and the fault.
static void iret_checks(void **state)
{
    static const struct {
        const char *what;
        enum st_mode mode;
        unsigned cpl;
        uint64_t rip, cs, ss;
        unsigned vector, error;
    } k[] = {
        {"inward", ST_P32, 3, ST_CODE, ST_C32(0), 0, ISA_X_GP, ST_C32(0)},
        {"null CS", ST_P32, 0, ST_CODE, 0, 0, ISA_X_GP, 0},
        {"data as CS", ST_P32, 0, ST_CODE, ST_D32(0), 0, ISA_X_GP, ST_D32(0)},
        {"wrong DPL", ST_P32, 0, ST_CODE, ST_C32(0) | 3, ST_D32(3), ISA_X_GP, ST_C32(0)},
        {"absent CS", ST_P32, 0, ST_CODE, ST_CABSENT, 0, ISA_X_NP, ST_CABSENT},
        {"beyond the GDT", ST_P32, 0, ST_CODE, 0x7f8, 0, ISA_X_GP, 0x7f8},
        {"null SS to level 3", ST_P32, 0, ST_CODE, ST_C32(3), 0, ISA_X_GP, 0},
        {"SS of level 0 to level 3", ST_P32, 0, ST_CODE, ST_C32(3), ST_D32(0), ISA_X_GP, ST_D32(0)},
        {"null SS to 64-bit level 3", ST_L64, 0, ST_CODE, ST_C64(3), 3, ISA_X_GP, 0},
        {"null SS to 64-bit level 0", ST_L64, 0, ST_CODE, ST_C64(0), 0, 0, 0},
        {"null SS to 64-bit level 1", ST_L64, 0, ST_CODE, ST_C64(1), 1, 0, 0},
        {"null SS to compatibility level 0", ST_L64, 0, ST_CODE, ST_C32(0), 0, ISA_X_GP, 0},
        {"RIP not canonical", ST_L64, 0, 1ull << 60, ST_C64(3), ST_D32(3), ISA_X_GP, 0},
        {"RIP beyond 4 GB to compatibility mode", ST_L64, 0, 1ull << 33, ST_C32(3), ST_D32(3), ISA_X_GP, 0},
        {"to 64-bit level 3", ST_L64, 0, ST_CODE, ST_C64(3), ST_D32(3), 0, 0},
        {"to compatibility level 3", ST_L64, 0, ST_CODE, ST_C32(3), ST_D32(3), 0, 0},
    };
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++) {
        unsigned size = k[m].mode == ST_L64 ? 8 : 4;
        st_init(t, k[m].mode, k[m].cpl);
        uint64_t v[5] = {k[m].rip, k[m].cs, 2, 0x9000, k[m].ss};
        for (unsigned n = 0; n < 5; n++)
            st_put(t, t->c.gpr[ISA_RSP] + n * size, v[n], size);
        st_code(t, size == 8 ? "\x48\xcf" : "\xcf", 2);
        memcpy(&before, t, sizeof before);
        int r = st_step(t);
        if (k[m].vector) {
            if (r != ISA_R_FAULT || t->c.fault.vector != k[m].vector || t->c.fault.error != k[m].error)
                fail_msg("%s: %d, vector %u error %x", k[m].what, r, t->c.fault.vector, t->c.fault.error);
            assert_memory_equal(t->c.seg, before.c.seg, sizeof t->c.seg);
            assert_int_equal(t->c.gpr[ISA_RSP], before.c.gpr[ISA_RSP]);
        } else {
            if (r)
                fail_msg("%s: vector %u error %x", k[m].what, t->c.fault.vector, t->c.fault.error);
            assert_int_equal(t->c.cpl, k[m].cs & 3);
            assert_int_equal(t->c.gpr[ISA_RSP], 0x9000);
        }
    }
    // IRET to level 3 drops data segments that level 3 may not use.
    st_init(t, ST_P32, 0);
    uint32_t v[5] = {ST_CODE, ST_C32(3), 2 | ISA_FL_IOPL | ISA_FL_IF, 0x9000, ST_D32(3)};
    memcpy(t->ram + t->c.gpr[ISA_RSP], v, sizeof v);
    assert_int_equal(isa_seg_load(&t->c, ISA_FS, ST_D32(3)), 0);
    assert_int_equal(isa_seg_load(&t->c, ISA_GS, ST_CONF(0)), 0);
    st_code(t, "\xcf", 1);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.seg[ISA_DS].sel, 0);
    assert_true(t->c.seg[ISA_ES].ar & ISA_AR_UNUSABLE);
    assert_int_equal(t->c.seg[ISA_FS].sel, ST_D32(3));
    assert_int_equal(t->c.seg[ISA_GS].sel, ST_CONF(0));
    // At level 3 with IOPL 3 IRET changes IF but not IOPL; at IOPL 0 neither.
    assert_int_equal(t->c.rflags_sys & ISA_FL_IOPL, ISA_FL_IOPL);
    v[2] = 2;
    memcpy(t->ram + t->c.gpr[ISA_RSP], v, sizeof v);
    st_code(t, "\xcf", 1);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(isa_rflags(&t->c), 2 | ISA_FL_IOPL);
    // NT in IA-32e mode
    st_init(t, ST_L64, 0);
    t->c.rflags_sys |= ISA_FL_NT;
    st_code(t, "\x48\xcf", 2);
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_IRET_NT);
}

// The table of the manual, "Double Fault Exception": first and second event; serially, or #DF.
static void double_fault(void **state)
{
    enum { BENIGN, CONTRIBUTORY, PAGE };
    static const uint8_t first_vector[] = {ISA_X_UD, ISA_X_NP, ISA_X_PF};
    static const bool df[3][3] = {{false, false, false}, {false, true, false}, {false, true, true}};
    unsigned cases = 0;
    for (unsigned first = 0; first < 3; first++)
        for (unsigned second = CONTRIBUTORY; second <= PAGE; second++) {
            st_init(t, ST_L64, 0);
            unsigned v = first_vector[first];
            // The first vector's handler cannot be reached: its gate is absent (#NP), or its stack is (#PF).
            idt(v, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, second == PAGE ? 1 : 0);
            if (second == CONTRIBUTORY)
                idt_absent(v);
            if (v != ISA_X_NP)
                idt(ISA_X_NP, ST_C64(0), HANDLER + 16, ISA_SYS_INT32, 0, 0);
            if (v != ISA_X_PF)
                idt(ISA_X_PF, ST_C64(0), HANDLER + 16, ISA_SYS_INT32, 0, 0);
            idt(ISA_X_DF, ST_C64(0), DF_AT, ISA_SYS_INT32, 0, 0);
            st_put(t, ST_TSS + 36, 0x6000, 8); // IST1: pushes go to an absent page
            t->absent = 0x5000;
            assert_int_equal(fault(v, 0), 0);
            assert_int_equal(t->events, 1);
            assert_int_equal(t->last.vector, df[first][second] ? ISA_X_DF : second == PAGE ? ISA_X_PF : ISA_X_NP);
            assert_int_equal(t->c.rip, df[first][second] ? DF_AT : HANDLER + 16);
            assert_int_equal(stack(8, 8), ST_CODE);
            if (df[first][second])
                assert_int_equal(stack(0, 8), 0);
            if (second == PAGE)
                assert_int_equal(t->c.cr2, 0x5ff8);
            cases++;
        }
    // Interrupts and NMIs are benign whatever their vector.
    st_init(t, ST_L64, 0);
    idt(ISA_X_GP, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, 0);
    idt_absent(ISA_X_GP);
    idt(ISA_X_NP, ST_C64(0), HANDLER + 16, ISA_SYS_INT32, 0, 0);
    assert_int_equal(event(ISA_EV_EXTINT, ISA_X_GP), 0);
    assert_int_equal(t->last.vector, ISA_X_NP);
    printf("# double fault: %u pairs of 9; the others cannot be provoked\n", cases);
    // A fault in the delivery of #DF: shutdown, registers as at the first fault.
    st_init(t, ST_L64, 3);
    memcpy(&before, t, sizeof before);
    assert_int_equal(fault(ISA_X_GP, 0), 0);
    assert_int_equal(t->triples, 1);
    assert_int_equal(t->c.activity, ISA_SHUTDOWN);
    assert_memory_equal(t->c.gpr, before.c.gpr, sizeof t->c.gpr);
    assert_memory_equal(t->c.seg, before.c.seg, sizeof t->c.seg);
    assert_memory_equal(t->ram, before.ram, ST_RAM);
    assert_int_equal(t->c.rip, ST_CODE);
    assert_false(t->c.delivering_valid);
}

// A fault while the frame is pushed leaves no trace of the half-pushed frame.
static void nothing_half_done(void **state)
{
    st_init(t, ST_L64, 3);
    st_put(t, ST_TSS + 4, 0x6010, 8); // RSP0: two slots fit, the rest lies in an absent page
    t->absent = 0x5000;
    st_put(t, ST_TSS + 36, 0x7000, 8);
    idt(0x20, ST_C64(0), HANDLER, ISA_SYS_INT32, 3, 0);
    idt(ISA_X_PF, ST_C64(0), DF_AT, ISA_SYS_INT32, 0, 1);
    st_code(t, "\xcd\x20", 2);
    memcpy(&before, t, sizeof before);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->last.vector, ISA_X_PF);
    assert_memory_equal(t->ram + 0x6000, before.ram + 0x6000, 0x20);
    assert_int_equal(stack(8, 8), ST_CODE);                // RIP of INT
    assert_int_equal(stack(16, 8), ST_C64(3));             // CS
    assert_int_equal(stack(32, 8), before.c.gpr[ISA_RSP]); // RSP
    assert_int_equal(t->c.cr2, 0x5ff8);
}

static unsigned intercepted; // vector whose exceptions exit
static int exits(struct isa_cpu *c, const struct isa_event *e) { return e->vector == intercepted ? ISA_R_VMEXIT : 0; }
static int triple_exits(struct isa_cpu *c) { return ISA_R_VMEXIT; }

static void vm_exits(void **state)
{
    struct isa_env env = st_env;
    env.intercept_event = exits;
    env.intercept_triple = triple_exits;
    // Intercepted at once: no event was being delivered.
    st_init(t, ST_L64, 3);
    t->c.env = &env;
    t->c.vmx = ISA_VMX_NONROOT;
    intercepted = ISA_X_PF;
    isa_raise_pf(&t->c, 0x1234, 4, ISA_RULE_PF_USER);
    assert_int_equal(isa_deliver_fault(&t->c), ISA_R_VMEXIT);
    assert_false(t->c.delivering_valid);
    assert_int_equal(t->c.cr2, 0);
    // A fault of the delivery is intercepted: the outer event is the one being delivered.
    intercepted = ISA_X_GP;
    assert_int_equal(event(ISA_EV_EXTINT, 0x55), ISA_R_VMEXIT);
    assert_true(t->c.delivering_valid);
    assert_int_equal(t->c.delivering.vector, 0x55);
    assert_int_equal(t->c.delivering.type, ISA_EV_EXTINT);
    // #DF intercepted: an event of its own.
    intercepted = ISA_X_DF;
    assert_int_equal(fault(ISA_X_GP, 0), ISA_R_VMEXIT);
    assert_false(t->c.delivering_valid);
    // Triple fault
    intercepted = 99;
    assert_int_equal(fault(ISA_X_GP, 0), ISA_R_VMEXIT);
    assert_false(t->c.delivering_valid);
    assert_int_equal(t->c.activity, ISA_ACTIVE);
    // INT n is not an exception; INT3 is.
    intercepted = 3;
    idt(3, ST_C64(0), HANDLER, ISA_SYS_INT32, 3, 0);
    st_code(t, "\xcd\x03", 2);
    assert_int_equal(st_step(t), 0);
    st_init(t, ST_L64, 3);
    t->c.env = &env;
    t->c.vmx = ISA_VMX_NONROOT;
    st_code(t, "\xcc", 2);
    assert_int_equal(st_step(t), ISA_R_VMEXIT);
}

static void canonical_stack(void **state)
{
    st_init(t, ST_L64, 0);
    idt(ISA_X_SS, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, 1);
    st_put(t, ST_TSS + 36, 0x7000, 8);
    t->c.gpr[ISA_RBP] = t->c.gpr[ISA_RBX] = 1ull << 63;
    st_code(t, "\x8b\x45\x00", 3); // mov eax, [rbp]: through SS
    assert_int_equal(st_step_deliver(t), 0);
    assert_int_equal(t->last.vector, ISA_X_SS);
    assert_int_equal(stack(0, 8), 0);
    t->c.rip = ST_CODE;
    st_code(t, "\x8b\x03", 2); // mov eax, [rbx]: through DS
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_GP);
    // NMI blocks NMIs until IRET.
    st_init(t, ST_L64, 0);
    idt(2, ST_C64(0), HANDLER, ISA_SYS_INT32, 0, 0);
    assert_int_equal(event(ISA_EV_NMI, 2), 0);
    assert_true(t->c.blocking & ISA_BLOCK_NMI);
    st_code(t, "\x48\xcf", 2);
    assert_int_equal(st_step(t), 0);
    assert_false(t->c.blocking & ISA_BLOCK_NMI);
    assert_false(t->c.iret_unblocked);
    // Until an IRET that faults, too, but not where NMIs are the VMM's.
    for (unsigned keeps = 0; keeps < 2; keeps++) {
        st_init(t, ST_L64, 0);
        t->c.blocking = ISA_BLOCK_NMI;
        t->c.iret_keeps_nmi = keeps;
        t->c.gpr[ISA_RSP] = 1ull << 63;
        st_code(t, "\x48\xcf", 2);
        assert_int_equal(st_step(t), ISA_R_FAULT);
        assert_int_equal(t->c.blocking, keeps ? ISA_BLOCK_NMI : 0);
        assert_int_equal(t->c.iret_unblocked, !keeps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_mode),    cmocka_unit_test(protected_gates),
        cmocka_unit_test(error_codes),  cmocka_unit_test(v86),
        cmocka_unit_test(long_mode),    cmocka_unit_test(iret_checks),
        cmocka_unit_test(double_fault), cmocka_unit_test(nothing_half_done),
        cmocka_unit_test(vm_exits),     cmocka_unit_test(canonical_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
