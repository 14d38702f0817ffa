// isa/far_test.c: far jumps, calls and returns; call gates of three widths; conforming segments; SYSCALL and SYSENTER.
#include <stdio.h>

#include "isa/systest.h"

static struct st machine, before;
static struct st *t = &machine;

static uint64_t stack(unsigned at, unsigned n) { return st_get(t, t->c.gpr[ISA_RSP] + at, n); }

// jmp far or call far to sel:off (protected and compatibility mode: EA/9A; 64-bit mode: through memory)
static int far(bool call, uint16_t sel, uint32_t off)
{
    uint8_t b[8] = {call ? 0x9a : 0xea};
    memcpy(b + 1, &off, 4);
    memcpy(b + 5, &sel, 2);
    if (t->c.mode == ISA_LONG64) {
        st_put(t, ST_DATA, off, 4);
        st_put(t, ST_DATA + 4, sel, 2);
        memcpy(b, call ? "\xff\x1b" : "\xff\x2b", 2);
    }
    st_code(t, b, 7);
    memcpy(&before, t, sizeof before);
    return st_step(t);
}

static const struct {
    const char *what;
    enum st_mode mode;
    unsigned cpl, sel;
    uint32_t off;
    unsigned vector, error;
} direct[] = {
    {"own level", ST_P32, 0, ST_C32(0), 0x5000, 0, 0},
    {"own level, RPL 0 at 3", ST_P32, 3, ST_C32(3) & ~3, 0x5000, 0, 0},
    {"RPL above CPL", ST_P32, 0, ST_C32(0) | 3, 0x5000, ISA_X_GP, ST_C32(0)},
    {"inner level", ST_P32, 3, ST_C32(0), 0x5000, ISA_X_GP, ST_C32(0)},
    {"outer level", ST_P32, 0, ST_C32(3), 0x5000, ISA_X_GP, ST_C32(3) & ~3},
    {"conforming, inner", ST_P32, 3, ST_CONF(0), 0x5000, 0, 0},
    {"conforming, outer", ST_P32, 0, ST_CONF(3), 0x5000, ISA_X_GP, ST_CONF(3) & ~3},
    {"data", ST_P32, 0, ST_D32(0), 0x5000, ISA_X_GP, ST_D32(0)},
    {"null", ST_P32, 0, 0, 0x5000, ISA_X_GP, 0},
    {"beyond the table", ST_P32, 0, 0x7f8, 0x5000, ISA_X_GP, 0x7f8},
    {"absent", ST_P32, 0, ST_CABSENT, 0x5000, ISA_X_NP, ST_CABSENT},
    {"LDT descriptor", ST_P32, 0, ST_LDTSEL, 0x5000, ISA_X_GP, ST_LDTSEL},
    {"busy TSS", ST_P32, 0, ST_TSSSEL, 0x5000, ISA_X_GP, ST_TSSSEL},
    {"TSS in IA-32e mode", ST_L64, 0, ST_TSS2SEL, 0x5000, ISA_X_GP, ST_TSS2SEL},
    {"64-bit to compatibility", ST_L64, 3, ST_C32(3), 0x5000, 0, 0},
    {"compatibility to 64-bit", ST_C32M, 3, ST_C64(3), 0x5000, 0, 0},
    {"64-bit to 16-bit", ST_L64, 0, ST_C16(0), 0x5000, 0, 0},
};

static void direct_transfers(void **state)
{
    for (unsigned k = 0; k < sizeof direct / sizeof *direct; k++)
        for (unsigned call = 0; call < 2; call++) {
            st_init(t, direct[k].mode, direct[k].cpl);
            int r = far(call, (uint16_t)direct[k].sel, direct[k].off);
            if (r != (direct[k].vector ? ISA_R_FAULT : 0) ||
                (r && (t->c.fault.vector != direct[k].vector || t->c.fault.error != direct[k].error)))
                fail_msg("%s: %d, vector %u, error %x", direct[k].what, r, t->c.fault.vector, t->c.fault.error);
            if (r) {
                assert_memory_equal(t->ram, before.ram, ST_RAM);
                assert_memory_equal(t->c.seg, before.c.seg, sizeof t->c.seg);
                continue;
            }
            assert_int_equal(t->c.rip, direct[k].off);
            assert_int_equal(t->c.seg[ISA_CS].sel, (direct[k].sel & ~3u) | direct[k].cpl);
            assert_int_equal(t->c.cpl, direct[k].cpl);
            assert_int_equal(t->c.gpr[ISA_RSP], before.c.gpr[ISA_RSP] - 8 * call);
            if (call) {
                assert_int_equal(stack(0, 4), ST_CODE + (direct[k].mode == ST_L64 ? 2 : 7));
                assert_int_equal(stack(4, 4), before.c.seg[ISA_CS].sel);
            }
        }
    st_init(t, ST_P32, 0);
    st_desc(t, ST_GATE, 0, 0xfff, 0x409b); // limit
    assert_int_equal(far(false, ST_GATE, 0x1000), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_RIP_LIMIT);
    st_init(t, ST_L64, 0);
    st_desc(t, ST_GATE, 0, 0xfffff, 0xe09b); // L and D
    assert_int_equal(far(false, ST_GATE, 0x1000), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_CS_L_D);
    printf("# far transfers: %zu direct cases, jmp and call\n", sizeof direct / sizeof *direct);
}

static void real_mode(void **state)
{
    st_init(t, ST_REAL, 0);
    st_code(t, "\x9a\x34\x12\x00\x03", 5); // call 0300:1234
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.rip, 0x1234);
    assert_int_equal(t->c.seg[ISA_CS].base, 0x3000);
    assert_int_equal(stack(0, 2), 0x7005);
    st_code(t, "\xca\x06\x00", 3); // retf 6
    uint64_t rsp = t->c.gpr[ISA_RSP];
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.rip, 0x7005);
    assert_int_equal(t->c.gpr[ISA_RSP], rsp + 10);
}

// A call from level 3 through a gate to level 0, with parameters, and the return that releases them.
static void call_gates(void **state)
{
    static const struct {
        enum st_mode mode;
        unsigned type, size, params;
        uint64_t target;
    } k[] = {{ST_P32, ISA_SYS_CALL32, 4, 3, 0x12345},
             {ST_P32, ISA_SYS_CALL16, 2, 2, 0x2345},
             {ST_P32, ISA_SYS_CALL32, 4, 31, 0x12345},
             {ST_L64, ISA_SYS_CALL32, 8, 0, 0x12345},
             {ST_C32M, ISA_SYS_CALL32, 8, 0, 0x12345}};
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++) {
        unsigned size = k[m].size, n = k[m].params;
        st_init(t, k[m].mode, 3);
        st_gate(t, ST_GDT + ST_GATE, k[m].mode == ST_P32 ? ST_C32(0) : ST_C64(0), k[m].target, k[m].type, 3, n, size == 8);
        for (unsigned p = 0; p < n; p++)
            st_put(t, t->c.gpr[ISA_RSP] + p * size, 0x1100 + p, size);
        uint64_t rsp = t->c.gpr[ISA_RSP];
        assert_int_equal(far(true, ST_GATE | 3, 0xffffff), 0); // the offset is ignored
        assert_int_equal(t->c.rip, k[m].target);
        assert_int_equal(t->c.cpl, 0);
        assert_int_equal(t->c.seg[ISA_CS].sel, k[m].mode == ST_P32 ? ST_C32(0) : ST_C64(0));
        assert_int_equal(t->c.seg[ISA_SS].sel, size == 8 ? 0 : ST_D32(0));
        assert_int_equal(t->c.gpr[ISA_RSP], ST_STACK - (4 + n) * size);
        assert_int_equal(stack(0, size), (k[m].mode == ST_L64 ? ST_CODE + 2 : ST_CODE + 7) & (size == 2 ? 0xffff : UINT32_MAX));
        assert_int_equal(stack(size, size), k[m].mode == ST_L64 ? ST_C64(3) : ST_C32(3));
        for (unsigned p = 0; p < n; p++)
            assert_int_equal(stack((2 + p) * size, size), 0x1100 + p);
        assert_int_equal(stack((2 + n) * size, size), rsp);
        assert_int_equal(stack((3 + n) * size, size), ST_D32(3));
        if (size == 2) // a 16-bit frame keeps 16 bits of EIP: nothing to return to at 10007H
            continue;
        uint8_t ret[4] = {0xca, (uint8_t)(n * size), 0};
        if (size == 8)
            memcpy(ret, "\x48\xcb", 2);
        st_code(t, ret, 3);
        assert_int_equal(st_step(t), 0);
        assert_int_equal(t->c.cpl, 3);
        assert_int_equal(t->c.gpr[ISA_RSP], rsp + n * size);
        assert_int_equal(t->c.seg[ISA_SS].sel, ST_D32(3));
        assert_int_equal(t->c.seg[ISA_DS].sel, ST_D32(3));
        assert_int_equal(t->c.mode, before.c.mode);
    }
}

static void gate_checks(void **state)
{
    static const struct {
        const char *what;
        unsigned cpl, rpl, target, type, dpl;
        bool call, absent;
        unsigned vector, error;
    } k[] = {
        {"gate DPL below CPL", 3, 3, ST_C32(0), ISA_SYS_CALL32, 2, true, false, ISA_X_GP, ST_GATE},
        {"gate DPL below RPL", 0, 3, ST_C32(0), ISA_SYS_CALL32, 2, true, false, ISA_X_GP, ST_GATE},
        {"gate absent", 3, 3, ST_C32(0), ISA_SYS_CALL32, 3, true, true, ISA_X_NP, ST_GATE},
        {"null target", 3, 3, 0, ISA_SYS_CALL32, 3, true, false, ISA_X_GP, 0},
        {"data target", 3, 3, ST_D32(0), ISA_SYS_CALL32, 3, true, false, ISA_X_GP, ST_D32(0)},
        {"outward", 0, 0, ST_C32(3), ISA_SYS_CALL32, 3, true, false, ISA_X_GP, ST_C32(3) & ~3},
        {"absent target", 0, 0, ST_CABSENT, ISA_SYS_CALL32, 3, true, false, ISA_X_NP, ST_CABSENT},
        {"jmp inward", 3, 3, ST_C32(0), ISA_SYS_CALL32, 3, false, false, ISA_X_GP, ST_C32(0)},
        {"jmp, same level", 3, 3, ST_C32(3), ISA_SYS_CALL32, 3, false, false, 0, 0},
        {"jmp, conforming", 3, 3, ST_CONF(0), ISA_SYS_CALL32, 3, false, false, 0, 0},
        {"call, same level", 0, 0, ST_C32(0), ISA_SYS_CALL32, 3, true, false, 0, 0},
        {"an interrupt gate in the GDT", 0, 0, ST_C32(0), ISA_SYS_INT32, 3, true, false, ISA_X_GP, ST_GATE},
    };
    for (unsigned m = 0; m < sizeof k / sizeof *k; m++) {
        st_init(t, ST_P32, k[m].cpl);
        st_gate(t, ST_GDT + ST_GATE, (uint16_t)k[m].target, 0x5000, k[m].type, k[m].dpl, 0, false);
        if (k[m].absent)
            t->ram[ST_GDT + ST_GATE + 5] &= 0x7f;
        int r = far(k[m].call, (uint16_t)(ST_GATE | k[m].rpl), 0);
        if (r != (k[m].vector ? ISA_R_FAULT : 0) || (r && (t->c.fault.vector != k[m].vector || t->c.fault.error != k[m].error)))
            fail_msg("%s: %d, vector %u, error %x", k[m].what, r, t->c.fault.vector, t->c.fault.error);
        if (r)
            assert_memory_equal(t->ram, before.ram, ST_RAM);
    }
    // Stacks from the TSS: selector, and the #TS or #SS that it gives.
    static const struct {
        unsigned ss, vector, error;
        uint32_t esp;
    } s[] = {{0, ISA_X_TS, 0, ST_STACK},
             {ST_D32(3), ISA_X_TS, ST_D32(3) & ~3, ST_STACK},
             {ST_C32(0), ISA_X_TS, ST_C32(0), ST_STACK},
             {ST_ABSENT, ISA_X_SS, ST_ABSENT, ST_STACK},
             {0x7f8, ISA_X_TS, 0x7f8, ST_STACK},
             {ST_GATE2, ISA_X_SS, ST_GATE2, 0x1008},
             {ST_D32(0), ISA_X_PF, 2, 0x6008}};
    for (unsigned m = 0; m < sizeof s / sizeof *s; m++) {
        st_init(t, ST_P32, 3);
        st_gate(t, ST_GDT + ST_GATE, ST_C32(0), 0x5000, ISA_SYS_CALL32, 3, 0, false);
        st_desc(t, ST_GATE2, 0, 0xfff, 0x4093);
        st_put(t, ST_TSS + 4, s[m].esp, 4);
        st_put(t, ST_TSS + 8, s[m].ss, 2);
        t->absent = 0x5000;
        int r = far(true, ST_GATE | 3, 0);
        if (r != ISA_R_FAULT || t->c.fault.vector != s[m].vector || t->c.fault.error != s[m].error)
            fail_msg("stack %u: %d, vector %u, error %x", m, r, t->c.fault.vector, t->c.fault.error);
        assert_memory_equal(t->c.seg, before.c.seg, sizeof t->c.seg);
        assert_memory_equal(t->c.gpr, before.c.gpr, ISA_REG_ZERO * 8);
        assert_int_equal(st_get(t, 0x6000, 8), 0);
    }
    printf("# call gates: %zu gate and %zu stack checks\n", sizeof k / sizeof *k, sizeof s / sizeof *s);
}

static void returns(void **state)
{
    // Outer return drops what level 3 may not use, and needs a fitting SS.
    st_init(t, ST_P32, 0);
    uint32_t v[4] = {ST_CODE, ST_C32(3), 0x9000, ST_D32(3)};
    memcpy(t->ram + t->c.gpr[ISA_RSP], v, sizeof v);
    st_code(t, "\xcb", 1);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.cpl, 3);
    assert_int_equal(t->c.gpr[ISA_RSP], 0x9000);
    assert_true(t->c.seg[ISA_DS].ar & ISA_AR_UNUSABLE);
    // Inward return
    v[1] = ST_C32(0);
    memcpy(t->ram + t->c.gpr[ISA_RSP], v, sizeof v);
    st_code(t, "\xcb", 1);
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_RET_INWARD);
    // A 16-bit stack segment takes SP alone.
    st_init(t, ST_P32, 0);
    t->c.gpr[ISA_RSP] = 0xa000;
    uint32_t w[4] = {0x5000, ST_C32(3), 0x12349000, ST_D16(3)};
    memcpy(t->ram + t->c.gpr[ISA_RSP], w, sizeof w);
    st_code(t, "\xcb", 1);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(t->c.gpr[ISA_RSP] & 0xffff, 0x9000);
    assert_int_equal(t->c.gpr[ISA_RSP] >> 16, 0);
}

static void fast_calls(void **state)
{
    struct isa_cpu *c = &t->c;
    st_init(t, ST_L64, 3);
    c->efer |= ISA_EFER_SCE;
    c->star = (uint64_t)(ST_D32(2) | 3) << 48 | (uint64_t)ST_C32(0) << 32;
    c->lstar = 0x4000;
    c->fmask = ISA_FL_IF | ISA_FL_DF;
    c->rflags_sys |= ISA_FL_DF;
    st_code(t, "\x0f\x05", 2);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(c->rip, 0x4000);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->mode, ISA_LONG64);
    assert_int_equal(c->gpr[ISA_RCX], ST_CODE + 2);
    assert_int_equal(c->gpr[ISA_R11], 2 | ISA_FL_IF | ISA_FL_DF);
    assert_int_equal(isa_rflags(c), 2);
    assert_int_equal(c->seg[ISA_SS].sel, ST_C32(0) + 8);
    st_code(t, "\x48\x0f\x07", 3);
    assert_int_equal(st_step(t), 0);
    assert_int_equal(c->rip, ST_CODE + 2);
    assert_int_equal(c->cpl, 3);
    assert_int_equal(c->seg[ISA_CS].sel, (ST_D32(2) | 3) + 16);
    assert_int_equal(c->seg[ISA_SS].sel, (ST_D32(2) | 3) + 8);
    assert_int_equal(isa_rflags(c), 2 | ISA_FL_IF | ISA_FL_DF);
    assert_int_equal(c->mode, ISA_LONG64);
    // SYSENTER, SYSEXIT: to 32-bit and to 64-bit code
    for (unsigned wide = 0; wide < 2; wide++) {
        st_init(t, ST_C32M, 3);
        c->sysenter_cs = 8;
        c->sysenter_eip = 0x4000;
        c->sysenter_esp = 0x9000;
        st_code(t, "\x0f\x34", 2);
        assert_int_equal(st_step(t), 0);
        assert_int_equal(c->mode, ISA_LONG64);
        assert_int_equal(c->cpl, 0);
        assert_int_equal(c->rip, 0x4000);
        assert_int_equal(c->gpr[ISA_RSP], 0x9000);
        assert_int_equal(c->seg[ISA_SS].sel, 16);
        assert_false(c->rflags_sys & ISA_FL_IF);
        c->gpr[ISA_RDX] = 0x5000;
        c->gpr[ISA_RCX] = 0xa000;
        st_code(t, wide ? "\x48\x0f\x35" : "\x0f\x35", 3);
        assert_int_equal(st_step(t), 0);
        assert_int_equal(c->mode, wide ? ISA_LONG64 : ISA_COMPAT32);
        assert_int_equal(c->cpl, 3);
        assert_int_equal(c->seg[ISA_CS].sel, wide ? 43 : 27);
        assert_int_equal(c->seg[ISA_SS].sel, wide ? 51 : 35);
        assert_int_equal(c->rip, 0x5000);
        assert_int_equal(c->gpr[ISA_RSP], 0xa000);
    }
}

// The way from real mode to 64-bit mode and the rules on it.
static void mode_switches(void **state)
{
    struct isa_cpu *c = &t->c;
    st_init(t, ST_REAL, 0);
    assert_int_equal(isa_set_cr0(c, c->cr0 | ISA_CR0_PE), 0);
    assert_int_equal(c->mode, ISA_PROT16);
    assert_int_equal(c->cpl, 0);
    st_code(t, "\xea\x00\x50\x08\x00", 5); // jmp 0008:5000, still 16-bit code
    assert_int_equal(st_step(t), 0);
    assert_int_equal(c->mode, ISA_PROT32);
    assert_int_equal(isa_set_efer(c, ISA_EFER_LME | ISA_EFER_NXE), 0);
    assert_int_equal(isa_set_cr0(c, c->cr0 | ISA_CR0_PG), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_LME_PAE);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE | ISA_CR4_PCIDE), ISA_R_FAULT);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE), 0);
    c->seg[ISA_TR].ar = 0x83;
    assert_int_equal(isa_set_cr0(c, c->cr0 | ISA_CR0_PG), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_LME_TSS16);
    c->seg[ISA_TR].ar = 0x8b;
    assert_int_equal(isa_set_cr0(c, c->cr0 | ISA_CR0_PG), 0);
    assert_int_equal(c->mode, ISA_COMPAT32);
    assert_int_equal(c->efer, ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_NXE);
    assert_int_equal(isa_set_efer(c, ISA_EFER_NXE), ISA_R_FAULT);
    assert_int_equal(isa_set_cr4(c, 0), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CR4_PAE_LONG);
    st_load(t, ISA_CS, ST_C64(0));
    isa_update_mode(c);
    assert_int_equal(isa_set_cr0(c, c->cr0 & ~(uint64_t)ISA_CR0_PG), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CR0_PG_LONG);
    assert_int_equal(isa_set_cr3(c, 1ull << 45), ISA_R_FAULT);
    assert_int_equal(isa_set_cr3(c, 0x5001), 0);
    assert_int_equal(isa_set_cr4(c, c->cr4 | ISA_CR4_PCIDE), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CR4_PCIDE);
    assert_int_equal(isa_set_cr3(c, 0x5000), 0);
    assert_int_equal(isa_set_cr4(c, c->cr4 | ISA_CR4_PCIDE), 0);
    assert_int_equal(isa_set_cr3(c, 1ull << 63 | 0x6007), 0);
    assert_int_equal(c->cr3, 0x6007);
    st_load(t, ISA_CS, ST_C32(0));
    isa_update_mode(c);
    assert_int_equal(isa_set_cr0(c, c->cr0 & ~(uint64_t)ISA_CR0_PG), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CR0_PG_PCIDE);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE), 0);
    assert_int_equal(isa_set_cr0(c, c->cr0 & ~(uint64_t)ISA_CR0_PG), 0);
    assert_int_equal(c->efer, ISA_EFER_LME | ISA_EFER_NXE);
    assert_int_equal(c->mode, ISA_PROT32);
    // VMX operation fixes bits.
    c->vmx = ISA_VMX_ROOT;
    c->cr0_fixed0 = 0x80000021;
    c->cr0_fixed1 = c->cr4_fixed1 = 0xffffffff;
    c->cr4_fixed0 = ISA_CR4_VMXE;
    assert_int_equal(isa_set_cr0(c, ISA_CR0_PE), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_VMX_FIXED);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_CR4_VMXE);
}

// Data segments of an inner level become null on a return to an outer one. A register that held a null selector all along, made usable
// by a VM entry, keeps its base: nested hypervisors return to programs that use FS that way.
static void inner_segments(void **state)
{
    struct isa_cpu *c = &t->c;
    st_init(t, ST_L64, 0);
    c->seg[ISA_DS] = (struct isa_seg){.sel = 0x18, .base = 0x1000, .limit = 0xffffffff, .ar = 0xc093};
    c->seg[ISA_ES] = (struct isa_seg){.sel = 0x1b, .base = 0x2000, .limit = 0xffffffff, .ar = 0xc0f3};
    c->seg[ISA_FS] = (struct isa_seg){.sel = 0, .base = 0xf1a6380, .limit = 0xffffffff, .ar = 0xc093};
    c->seg[ISA_GS] = (struct isa_seg){.sel = 0, .base = 0x4000, .ar = ISA_AR_UNUSABLE};
    isa_seg_drop_inner(c, 3);
    assert_int_equal(c->seg[ISA_DS].sel, 0);
    assert_int_equal(c->seg[ISA_DS].base, 0);
    assert_true(c->seg[ISA_DS].ar & ISA_AR_UNUSABLE);
    assert_int_equal(c->seg[ISA_ES].sel, 0x1b);
    assert_int_equal(c->seg[ISA_ES].base, 0x2000);
    assert_true(c->seg[ISA_FS].ar & ISA_AR_UNUSABLE);
    assert_int_equal(c->seg[ISA_FS].base, 0xf1a6380);
    assert_int_equal(c->seg[ISA_GS].base, 0x4000);
}

static void pdptes(void **state)
{
    struct isa_cpu *c = &t->c;
    st_init(t, ST_P32, 0);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE), 0);
    st_put(t, 0x20020, 0x30001, 8);
    st_put(t, 0x20028, 0x31002, 8); // not present: reserved bits do not matter
    assert_int_equal(isa_set_cr3(c, 0x20020), 0);
    assert_int_equal(isa_set_cr0(c, c->cr0 | ISA_CR0_PG), 0);
    assert_int_equal(c->pdpte[0], 0x30001);
    st_put(t, 0x20020, 0x30003, 8);
    uint64_t cr3 = c->cr3;
    assert_int_equal(isa_set_cr3(c, 0x20020), ISA_R_FAULT);
    assert_int_equal(c->fault.rule, ISA_RULE_GP_PDPTE);
    assert_int_equal(c->cr3, cr3);
    assert_int_equal(c->pdpte[0], 0x30001);
    assert_int_equal(isa_set_cr4(c, ISA_CR4_PAE | ISA_CR4_PGE), ISA_R_FAULT);
    assert_int_equal(c->cr4, ISA_CR4_PAE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(direct_transfers), cmocka_unit_test(real_mode), cmocka_unit_test(call_gates),
        cmocka_unit_test(gate_checks),      cmocka_unit_test(returns),   cmocka_unit_test(fast_calls),
        cmocka_unit_test(mode_switches),    cmocka_unit_test(pdptes),    cmocka_unit_test(inner_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
