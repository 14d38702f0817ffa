// Tests of the XSAVE family: formats, components, headers, and what counts as in use. (isa/hostdiff_fp_test.c compares the unprivileged
// ones with this host's processor, as far as that goes.)
#include <stdlib.h>

#include "isa/fpu.h"
#include "isa/msr.h"
#include "isa/systest.h"
#include "isa/xstate.h"

#define AREA (ST_DATA + 0x1000) // 4 KB
#define ALL  (ISA_XS_X87 | ISA_XS_SSE | ISA_XS_PKRU)

static void open_64(struct st *t)
{
    st_init(t, ST_L64, 0);
    struct isa_cpu *c = &t->c;
    c->cr4 |= ISA_CR4_OSXSAVE | ISA_CR4_OSFXSR | ISA_CR4_PKE;
    c->xcr0 = ALL;
    c->gpr[ISA_RBX] = AREA;
    c->gpr[ISA_RDX] = 0;
    isa_x87_init(&c->x87);
    memset(c->x87.r, 0, sizeof c->x87.r);
    memset(t->ram + AREA, 0xaa, 4096);
}

// Execute op with these components asked for.
static int run(struct st *t, const char *op, uint64_t components)
{
    t->c.gpr[ISA_RAX] = (uint32_t)components;
    t->c.gpr[ISA_RDX] = components >> 32;
    t->c.rip = ST_CODE;
    st_code(t, op, (unsigned)strlen(op));
    return st_step(t);
}
#define XSAVE    "\x0f\xae\x23"
#define XRSTOR   "\x0f\xae\x2b"
#define XSAVEOPT "\x0f\xae\x33"
#define XRSTORS  "\x0f\xc7\x1b"
#define XSAVEC   "\x0f\xc7\x23"
#define XSAVES   "\x0f\xc7\x2b"

static uint64_t at(struct st *t, unsigned off, unsigned n) { return st_get(t, AREA + off, n); }

static void clear_area(struct st *t) { memset(t->ram + AREA, 0, 4096); }

static void test_layout(void **state)
{
    assert_int_equal(isa_xstate_size(ISA_XS_X87, false), 576);
    assert_int_equal(isa_xstate_size(ALL, false), 2696);
    assert_int_equal(isa_xstate_size(ALL, true), 584);
    assert_int_equal(isa_xstate_at(ISA_XSTATE_PKRU, 0), 2688);
    assert_int_equal(isa_xstate_at(ISA_XSTATE_PKRU, ALL | ISA_XS_COMPACT), 576);
}

// MPX: two components; what enables MPX is restored with them.
static void test_mpx(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    struct isa_cpu *c = &t->c;
    st_init(t, ST_L64, 3);
    c->cr4 |= ISA_CR4_OSXSAVE;
    c->xcr0 = ISA_XS_X87 | ISA_XS_SSE | ISA_XS_MPX;
    c->gpr[ISA_RBX] = AREA;
    isa_x87_init(&c->x87);
    isa_update_mode(c);
    assert_int_equal(isa_xstate_size(c->xcr0, false), 1088);
    assert_int_equal(isa_xstate_size(c->xcr0, true), 704);
    assert_int_equal(isa_xstate_at(ISA_XSTATE_BNDCSR, ISA_XS_MPX | ISA_XS_COMPACT), 640);
    memset(t->ram + AREA, 0xaa, 4096);
    clear_area(t);
    assert_int_equal(run(t, XSAVE, ~0ull), 0);
    assert_int_equal(at(t, 512, 8) & ISA_XS_MPX, 0);
    assert_int_equal(isa_xinuse(c) & ISA_XS_MPX, 0);
    c->bnd[2] = (struct isa_bounds){0x1234, 0x5678};
    assert_int_equal(isa_xinuse(c) & ISA_XS_MPX, ISA_XS_BNDREGS);
    c->bndstatus = 1;
    assert_int_equal(isa_xinuse(c) & ISA_XS_MPX, ISA_XS_MPX);
    assert_int_equal(run(t, XSAVEOPT, ISA_XS_MPX), 0);
    assert_int_equal(at(t, 960 + 32, 8), 0x1234);
    assert_int_equal(at(t, 960 + 40, 8), 0x5678);
    assert_int_equal(at(t, 1024, 8), 0);
    assert_int_equal(at(t, 1032, 8), 1);
    assert_int_equal(at(t, 512, 8), ISA_XS_MPX);
    // XRSTOR enables MPX, makes the base canonical and drops reserved bits.
    st_put(t, AREA + 1024, 0x0000800012345fff, 8);
    st_put(t, AREA + 1032, 0x777, 8);
    st_put(t, AREA + 960, 0x99, 8);
    assert_int_equal(run(t, XRSTOR, ISA_XS_MPX), 0);
    assert_int_equal(c->bndcfgu, 0xffff800012345003);
    assert_int_equal(c->bndstatus, 0x777);
    assert_int_equal(c->bnd[0].lb, 0x99);
    assert_int_equal(c->bnd[2].ub, 0x5678);
    assert_true(c->mode_key & ISA_KEY_MPX);
    assert_int_equal(run(t, XSAVEC, ~0ull), 0);
    assert_int_equal(at(t, 576, 8), 0x99);
    assert_int_equal(at(t, 640, 8), 0xffff800012345003);
    // In their initial states both are zeros, and MPX is off.
    clear_area(t);
    assert_int_equal(run(t, XRSTOR, ISA_XS_BNDREGS), 0);
    assert_int_equal(c->bnd[0].lb | c->bnd[2].ub, 0);
    assert_true(c->mode_key & ISA_KEY_MPX);
    assert_int_equal(run(t, XRSTOR, ISA_XS_BNDCSR), 0);
    assert_int_equal(c->bndcfgu | c->bndstatus, 0);
    assert_false(c->mode_key & ISA_KEY_MPX);
    free(t);
}

static void test_standard(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    open_64(t);
    clear_area(t);
    t->c.pkru = 0x12345678;
    t->c.xmm[3].q[0] = 7;
    st_put(t, AREA + 2688, ~0ull, 8);
    assert_int_equal(run(t, XSAVE, ISA_XS_SSE), 0); // PKRU is not asked for
    assert_int_equal(at(t, 2688, 8), ~0ull);
    assert_int_equal(at(t, 512, 8), ISA_XS_SSE);
    assert_int_equal(run(t, XSAVE, ~0ull), 0);
    assert_int_equal(at(t, 2688, 8), 0x12345678);
    assert_int_equal(at(t, 512, 8), ISA_XS_SSE | ISA_XS_PKRU); // the x87 unit is in its initial state
    assert_int_equal(at(t, 520, 8), 0);
    t->c.pkru = 0;
    st_put(t, AREA + 2688, 99, 8);
    assert_int_equal(run(t, XSAVEOPT, ~0ull), 0);
    assert_int_equal(at(t, 2688, 8), 99); // left out
    assert_int_equal(at(t, 512, 8), ISA_XS_SSE);
    st_put(t, AREA + 512, ISA_XS_PKRU, 8);
    st_put(t, AREA + 2688, 0xabcdef0155555554ull, 8);
    assert_int_equal(run(t, XRSTOR, ISA_XS_PKRU), 0);
    assert_int_equal(t->c.pkru, 0x55555554);
    assert_int_equal(t->c.xmm[3].q[0], 7);
    st_put(t, AREA + 512, 0, 8);
    assert_int_equal(run(t, XRSTOR, ~0ull), 0); // all to their initial states
    assert_int_equal(t->c.pkru, 0);
    assert_int_equal(t->c.xmm[3].q[0], 0);
    free(t);
}

static void test_compacted(void **state)
{
    static const char *const save[] = {XSAVEC, XSAVES}, *const restore[] = {XRSTOR, XRSTORS};
    struct st *t = calloc(1, sizeof *t);
    for (unsigned k = 0; k < 2; k++) {
        open_64(t);
        clear_area(t);
        t->c.pkru = 0x1234;
        assert_int_equal(run(t, save[k], ~0ull), 0);
        assert_int_equal(at(t, 512, 8), ISA_XS_PKRU);
        assert_int_equal(at(t, 520, 8), ALL | ISA_XS_COMPACT);
        assert_int_equal(at(t, 576, 8), 0x1234);
        assert_int_equal(at(t, 2688, 8), 0);
        t->c.pkru = 0;
        t->c.xmm[0].q[1] = 5;
        t->c.mxcsr = 0x1fa0;
        assert_int_equal(run(t, restore[k], ~0ull), 0);
        assert_int_equal(t->c.pkru, 0x1234);
        assert_int_equal(t->c.xmm[0].q[1], 0);
        assert_int_equal(t->c.mxcsr, ISA_MXCSR_INIT);
        t->c.mxcsr = 0x1fa0; // MXCSR alone makes SSE count
        assert_int_equal(run(t, save[k], ~0ull), 0);
        assert_int_equal(at(t, 512, 8), ISA_XS_PKRU | ISA_XS_SSE);
        assert_int_equal(at(t, 24, 4), 0x1fa0);
        // headers that make no sense
        st_put(t, AREA + 520, ISA_XS_X87 | ISA_XS_COMPACT, 8);
        assert_int_equal(run(t, restore[k], ~0ull), ISA_R_FAULT); // XSTATE_BV has what XCOMP_BV has not
        assert_int_equal(t->c.fault.rule, ISA_RULE_GP_XSAVE_HEADER);
        st_put(t, AREA + 520, ALL | 1u << 2 | ISA_XS_COMPACT, 8);
        assert_int_equal(run(t, restore[k], ~0ull), ISA_R_FAULT); // XCR0 does not enable AVX
        st_put(t, AREA + 520, 0, 8);
        assert_int_equal(run(t, restore[k], ~0ull), k ? ISA_R_FAULT : 0); // XRSTORS takes the compacted format only
    }
    free(t);
}

// Component 2: the upper halves, of registers 0..7 alone outside 64-bit mode; in the standard format MXCSR goes with it too.
static void test_avx(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    open_64(t);
    t->c.xcr0 |= ISA_XS_AVX;
    assert_int_equal(isa_xstate_size(ISA_XS_AVX, false), 832);
    clear_area(t);
    t->c.mxcsr = 0x1fa0;
    t->c.ymmh[3].q[1] = 77;
    t->c.ymmh[15].q[0] = 88;
    assert_int_equal(run(t, XSAVE, ISA_XS_AVX), 0);
    assert_int_equal(at(t, 512, 8), ISA_XS_AVX);
    assert_int_equal(at(t, 576 + 3 * 16 + 8, 8), 77);
    assert_int_equal(at(t, 576 + 15 * 16, 8), 88);
    assert_int_equal(at(t, 24, 4), 0x1fa0);
    t->c.ymmh[3].q[1] = 0;
    t->c.mxcsr = ISA_MXCSR_INIT;
    assert_int_equal(run(t, XRSTOR, ISA_XS_AVX), 0);
    assert_int_equal(t->c.ymmh[3].q[1], 77);
    assert_int_equal(t->c.mxcsr, 0x1fa0);
    st_put(t, AREA + 512, 0, 8); // its initial state
    assert_int_equal(run(t, XRSTOR, ISA_XS_AVX), 0);
    assert_int_equal(t->c.ymmh[3].q[1] | t->c.ymmh[15].q[0], 0);
    assert_int_equal(run(t, XSAVEOPT, ISA_XS_AVX), 0);
    assert_int_equal(at(t, 512, 8), 0);
    assert_int_equal(at(t, 576 + 15 * 16, 8), 88); // not in use: not written
    t->c.ymmh[2].q[0] = 6;
    assert_int_equal(run(t, XSAVEC, ISA_XS_AVX | ISA_XS_PKRU), 0);
    assert_int_equal(at(t, 512, 8), ISA_XS_AVX);
    assert_int_equal(at(t, 520, 8), ISA_XS_AVX | ISA_XS_PKRU | ISA_XS_COMPACT);
    assert_int_equal(at(t, 576 + 2 * 16, 8), 6);
    // XCR0: bit 2 needs bit 1
    assert_int_equal(isa_set_xcr0(&t->c, 5), ISA_R_FAULT);
    free(t);
}
static void test_avx_32(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    st_init(t, ST_P32, 0);
    t->c.cr4 |= ISA_CR4_OSXSAVE | ISA_CR4_OSFXSR;
    t->c.xcr0 = 7;
    t->c.gpr[ISA_RBX] = AREA;
    clear_area(t);
    t->c.ymmh[7].q[0] = 7;
    t->c.ymmh[8].q[0] = 8;
    assert_int_equal(run(t, XSAVE, ISA_XS_AVX), 0);
    assert_int_equal(at(t, 576 + 7 * 16, 8), 7);
    assert_int_equal(at(t, 576 + 8 * 16, 8), 0);
    st_put(t, AREA + 512, 0, 8);
    assert_int_equal(run(t, XRSTOR, ISA_XS_AVX), 0);
    assert_int_equal(t->c.ymmh[7].q[0], 0);
    assert_int_equal(t->c.ymmh[8].q[0], 8);
    free(t);
}

static void test_xgetbv(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    open_64(t);
    t->c.gpr[ISA_RCX] = 1;
    assert_int_equal(run(t, "\x0f\x01\xd0", 0), 0);
    assert_int_equal(t->c.gpr[ISA_RAX], 0);
    t->c.pkru = 4;
    t->c.mxcsr = 0x1f81;
    assert_int_equal(run(t, "\x0f\x01\xd0", 0), 0);
    assert_int_equal(t->c.gpr[ISA_RAX], ISA_XS_SSE | ISA_XS_PKRU);
    t->c.xcr0 = 1;
    assert_int_equal(run(t, "\x0f\x01\xd0", 0), 0);
    assert_int_equal(t->c.gpr[ISA_RAX], 0); // only what XCR0 enables
    assert_int_equal(t->c.gpr[ISA_RDX], 0);
    free(t);
}

// A supervisor component: where IA32_XSS enables it, and in the compacted format only.
static void test_supervisor(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    enum isa_rule rule;
    uint64_t val = 5;
    open_64(t);
    assert_true(isa_wrmsr(&t->c, ISA_MSR_XSS, 0, &rule));
    assert_false(isa_wrmsr(&t->c, ISA_MSR_XSS, 1u << 8, &rule)); // CPUID does not report it
    assert_int_equal(rule, ISA_RULE_GP_MSR_VALUE);
    assert_false(isa_wrmsr(&t->c, ISA_MSR_XSS, ISA_XS_PKRU, &rule)); // a user component
    assert_true(isa_wrmsr(&t->c, 0xdb1, 0, &rule));
    assert_false(isa_wrmsr(&t->c, 0xdb1, 2, &rule));
    assert_false(isa_wrmsr(&t->c, 0xdb2, 0, &rule));
    assert_true(isa_rdmsr(&t->c, 0xdb2, &val, &rule));
    assert_int_equal(val, 0);
    t->c.pkru = 7;
    for (unsigned enabled = 0; enabled < 2; enabled++) {
        const uint64_t all = ALL | (enabled ? ISA_XS_HDC : 0);
        t->c.pm_ctl1 = 0;
        assert_true(isa_wrmsr(&t->c, ISA_MSR_XSS, enabled ? ISA_XS_HDC : 0, &rule));
        clear_area(t);
        assert_int_equal(run(t, XSAVEC, ~0ull), 0); // never sees it
        assert_int_equal(at(t, 520, 8), ALL | ISA_XS_COMPACT);
        assert_int_equal(run(t, XSAVES, ~0ull), 0);
        assert_int_equal(at(t, 520, 8), all | ISA_XS_COMPACT);
        assert_int_equal(at(t, 512, 8), ISA_XS_PKRU | (all & ISA_XS_HDC)); // 0 is not its initial value
        assert_int_equal(at(t, 584, 8), 0);
        t->c.pm_ctl1 = 1;
        assert_int_equal(run(t, XRSTORS, ~0ull), 0);
        assert_int_equal(t->c.pm_ctl1, !enabled);
        t->c.pm_ctl1 = 1;
        assert_int_equal(run(t, XSAVES, ~0ull), 0);
        assert_int_equal(at(t, 512, 8), ISA_XS_PKRU);
        t->c.pm_ctl1 = 0;
        assert_int_equal(run(t, XRSTORS, ISA_XS_HDC), 0);
        assert_int_equal(t->c.pm_ctl1, enabled);                            // its initial value
        assert_int_equal(run(t, XRSTOR, ~0ull), enabled ? ISA_R_FAULT : 0); // XCOMP_BV has what only XRSTORS handles
    }
    st_put(t, AREA + 512, ISA_XS_HDC, 8);
    st_put(t, AREA + 584, 2, 8);
    assert_int_equal(run(t, XRSTORS, ~0ull), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_MSR_VALUE);
    assert_int_equal(t->c.pm_ctl1, 1);
    assert_int_equal(t->c.pkru, 7);
    free(t);
}

// Faults leave the area as it was: what is missing is the page of PKRU.
static void test_faults(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    open_64(t);
    t->c.gpr[ISA_RBX] = AREA + 0x800; // PKRU at AREA + 1280H
    t->absent = AREA + 0x1000;
    t->c.pkru = 1;
    memset(t->ram + AREA + 0x800, 0, 576);
    assert_int_equal(run(t, XSAVE, ISA_XS_X87 | ISA_XS_SSE), 0);
    memset(t->ram + AREA + 0x800, 0, 576);
    assert_int_equal(run(t, XSAVE, ~0ull), ISA_R_FAULT);
    assert_int_equal(t->c.fault.addr, AREA + 0x800 + 2688);
    for (unsigned k = 0; k < 576; k++)
        assert_int_equal(t->ram[AREA + 0x800 + k], 0);
    st_put(t, AREA + 0x800 + 512, ISA_XS_PKRU, 8);
    assert_int_equal(run(t, XRSTOR, ISA_XS_X87), 0);
    assert_int_equal(run(t, XRSTOR, ~0ull), ISA_R_FAULT);
    assert_int_equal(t->c.pkru, 1);
    t->c.gpr[ISA_RBX] = AREA + 32;
    assert_int_equal(run(t, XSAVES, ~0ull), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_GP_ALIGN_XSAVE);
    t->c.cr0 |= ISA_CR0_TS;
    assert_int_equal(run(t, XSAVES, ~0ull), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_NM);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_mpx),    cmocka_unit_test(test_standard),
        cmocka_unit_test(test_compacted),  cmocka_unit_test(test_xgetbv), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_supervisor), cmocka_unit_test(test_avx),    cmocka_unit_test(test_avx_32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
