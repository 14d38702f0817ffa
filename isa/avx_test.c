// Tests of AVX: when its instructions run, what they do with upper halves and alignment, and where they stop when memory faults.
// (isa/hostdiff_fp_test.c compares what they compute with the host's processor, isa/decode_zydis_test.c how they are encoded.)
#include <stdlib.h>

#include "isa/avx.h"
#include "isa/fpu.h"
#include "isa/systest.h"

static struct st *open_64(void)
{
    struct st *t = calloc(1, sizeof *t);
    st_init(t, ST_L64, 0);
    t->c.cr4 |= ISA_CR4_OSXSAVE | ISA_CR4_OSFXSR | ISA_CR4_OSXMMEXCPT;
    t->c.xcr0 = ISA_XS_X87 | ISA_XS_VECTORS;
    t->c.mxcsr = ISA_MXCSR_INIT;
    t->c.gpr[ISA_RBX] = ST_DATA;
    for (unsigned k = 0; k < 16; k++) {
        t->c.xmm[k] = (union isa_vec){.q = {k, k + 0x100}};
        t->c.ymmh[k] = (union isa_vec){.q = {k + 0x200, k + 0x300}};
    }
    return t;
}
static int run(struct st *t, const char *code, unsigned n)
{
    t->c.rip = ST_CODE;
    st_code(t, code, n);
    return st_step(t);
}
#define RUN(t, code) run(t, code, sizeof code - 1)
#define VPADDD_YMM   "\xc5\xed\xfe\xcb"         // vpaddd ymm1, ymm2, ymm3
#define VPADDD_XMM   "\xc5\xe9\xfe\xcb"         // vpaddd xmm1, xmm2, xmm3
#define PADDD        "\x66\x0f\xfe\xcb"         // paddd xmm1, xmm3
#define VMOVUPS      "\xc5\xfc\x10\x0b"         // vmovups ymm1, [rbx]
#define VMOVAPS      "\xc5\xfc\x28\x0b"         // vmovaps ymm1, [rbx]
#define VADDPS       "\xc5\xec\x58\x0b"         // vaddps ymm1, ymm2, [rbx]
#define VADDPS_R     "\xc5\xec\x58\xcb"         // vaddps ymm1, ymm2, ymm3
#define VGATHERDPS   "\xc4\xe2\x6d\x92\x0c\x1b" // vgatherdps ymm1, [rbx + ymm3], ymm2
#define VMASKMOV_LD  "\xc4\xe2\x6d\x2c\x0b"     // vmaskmovps ymm1, ymm2, [rbx]
#define VMASKMOV_ST  "\xc4\xe2\x6d\x2e\x0b"     // vmaskmovps [rbx], ymm2, ymm1
#define VZEROUPPER   "\xc5\xf8\x77"
#define VZEROALL     "\xc5\xfc\x77"

static void expect_fault(struct st *t, unsigned vector, unsigned rule)
{
    assert_int_equal(t->c.fault.vector, vector);
    assert_int_equal(t->c.fault.rule, rule);
}

static void test_availability(void **state)
{
    struct st *t = open_64();
    assert_int_equal(RUN(t, VPADDD_YMM), 0);
    t->c.cr0 |= ISA_CR0_EM; // does not matter to VEX
    t->c.cr4 &= ~(uint64_t)ISA_CR4_OSFXSR;
    assert_int_equal(RUN(t, VPADDD_YMM), 0);
    t->c.cr0 |= ISA_CR0_TS;
    assert_int_equal(RUN(t, VPADDD_YMM), ISA_R_FAULT);
    expect_fault(t, ISA_X_NM, ISA_RULE_NM_TS);
    for (unsigned k = 0; k < 3; k++) { // #UD comes before #NM
        t->c.xcr0 = (const uint64_t[]){1, 3, 7}[k];
        t->c.cr4 = k == 2 ? t->c.cr4 & ~(uint64_t)ISA_CR4_OSXSAVE : t->c.cr4;
        assert_int_equal(RUN(t, VPADDD_YMM), ISA_R_FAULT);
        expect_fault(t, ISA_X_UD, ISA_RULE_UD_AVX_OFF);
        assert_int_equal(RUN(t, VMOVUPS), ISA_R_FAULT);
        expect_fault(t, ISA_X_UD, ISA_RULE_UD_AVX_OFF);
        assert_int_equal(RUN(t, VGATHERDPS), ISA_R_FAULT);
        expect_fault(t, ISA_X_UD, ISA_RULE_UD_AVX_OFF);
        assert_int_equal(RUN(t, VZEROUPPER), ISA_R_FAULT);
        expect_fault(t, ISA_X_UD, ISA_RULE_UD_AVX_OFF);
    }
    free(t);
}

// The features are separate, and so are the lengths: VPADDD of 128 bits is AVX, of 256 AVX2.
static void test_features(void **state)
{
    static const struct {
        const char *code;
        unsigned n, feature;
    } needs[] = {
        {VPADDD_XMM, 4, ISA_FEAT_AVX},
        {VADDPS_R, 4, ISA_FEAT_AVX},
        {VPADDD_YMM, 4, ISA_FEAT_AVX2},
        {VGATHERDPS, 6, ISA_FEAT_AVX2},
        {"\xc4\xe2\x69\x98\xcb", 5, ISA_FEAT_FMA},
        {"\xc4\xe2\x79\x13\xcb", 5, ISA_FEAT_F16C},
    };
    for (unsigned k = 0; k < sizeof needs / sizeof *needs; k++)
        for (unsigned without = 0; without < 2; without++) {
            struct isa_decode_mode m = {.mode = ISA_LONG64, .flat = true};
            struct isa_insn i;
            uint8_t b[16] = {0};
            memcpy(b, needs[k].code, needs[k].n);
            memset(m.features, 0xff, sizeof m.features);
            if (without)
                m.features[needs[k].feature / 64] &= ~(1ull << needs[k].feature % 64);
            assert_true(isa_decode(&m, b, 16, &i) == needs[k].n || without);
            assert_int_equal(i.op == ISA_OP_INVALID, without);
            if (without)
                assert_int_equal(i.imm, ISA_RULE_UD_FEATURE);
        }
}

static void test_upper_halves(void **state)
{
    struct st *t = open_64();
    assert_int_equal(RUN(t, PADDD), 0);
    assert_int_equal(t->c.xmm[1].q[0], 4);
    assert_int_equal(t->c.ymmh[1].q[0], 0x201); // SSE keeps it
    assert_int_equal(RUN(t, VPADDD_YMM), 0);
    assert_int_equal(t->c.xmm[1].q[1], 0x205);
    assert_int_equal(t->c.ymmh[1].q[0], 0x405);
    assert_int_equal(t->c.ymmh[1].q[1], 0x605);
    assert_int_equal(RUN(t, VPADDD_XMM), 0);
    assert_int_equal(t->c.ymmh[1].q[0] | t->c.ymmh[1].q[1], 0);
    assert_int_equal(RUN(t, VZEROUPPER), 0);
    assert_int_equal(t->c.ymmh[15].q[0], 0);
    assert_int_equal(t->c.xmm[15].q[0], 15);
    assert_int_equal(RUN(t, VZEROALL), 0);
    assert_int_equal(t->c.xmm[15].q[0] | t->c.xmm[15].q[1], 0);
    free(t);
}
// Outside 64-bit mode registers 8..15 are out of reach.
static void test_vzero_32(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    st_init(t, ST_P32, 0);
    t->c.cr4 |= ISA_CR4_OSXSAVE;
    t->c.xcr0 = 7;
    t->c.ymmh[7].q[0] = t->c.ymmh[8].q[0] = 5;
    assert_int_equal(RUN(t, VZEROALL), 0);
    assert_int_equal(t->c.ymmh[7].q[0], 0);
    assert_int_equal(t->c.ymmh[8].q[0], 5);
    free(t);
}

static void test_alignment(void **state)
{
    struct st *t = open_64();
    t->c.gpr[ISA_RBX] = ST_DATA + 16;
    assert_int_equal(RUN(t, VADDPS), 0);
    assert_int_equal(RUN(t, VMOVUPS), 0);
    assert_int_equal(RUN(t, VMOVAPS), ISA_R_FAULT);
    expect_fault(t, ISA_X_GP, ISA_RULE_GP_ALIGN_AVX);
    t->c.gpr[ISA_RBX] = ST_DATA + 32;
    assert_int_equal(RUN(t, VMOVAPS), 0);
    free(t);
}

// Alignment checking at level 3 reaches operands of up to 8 bytes.
static void test_alignment_check(void **state)
{
    struct st *t = calloc(1, sizeof *t);
    st_init(t, ST_L64, 3);
    t->c.cr4 |= ISA_CR4_OSXSAVE;
    t->c.cr0 |= ISA_CR0_AM;
    t->c.rflags_sys |= ISA_FL_AC;
    t->c.xcr0 = 7;
    t->c.gpr[ISA_RBX] = ST_DATA + 1;
    assert_int_equal(RUN(t, VMOVUPS), 0);
    assert_int_equal(RUN(t, VADDPS), 0);
    assert_int_equal(RUN(t, "\xc5\xfb\x10\x0b"), ISA_R_FAULT); // vmovsd xmm1, [rbx]
    expect_fault(t, ISA_X_AC, ISA_RULE_AC_MISALIGNED);
    free(t);
}

// Elements that are not selected may lie in a page that is not there.
static void test_masked_moves(void **state)
{
    struct st *t = open_64();
    t->absent = ST_DATA + 0x1000;
    t->c.gpr[ISA_RBX] = ST_DATA + 0x1000 - 16;
    for (unsigned k = 0; k < 4; k++)
        st_put(t, ST_DATA + 0x1000 - 16 + 4 * k, 0x11111111u * (k + 1), 4);
    t->c.xmm[2] = (union isa_vec){.d = {0, ~0u, 0x80000000, 0x7fffffff}};
    t->c.ymmh[2] = (union isa_vec){.q = {0, 0}};
    assert_int_equal(RUN(t, VMASKMOV_LD), 0);
    assert_int_equal(t->c.xmm[1].q[0], 0x2222222200000000);
    assert_int_equal(t->c.xmm[1].q[1], 0x33333333);
    assert_int_equal(t->c.ymmh[1].q[0], 0);
    t->c.xmm[1] = (union isa_vec){.d = {1, 2, 3, 4}};
    assert_int_equal(RUN(t, VMASKMOV_ST), 0);
    assert_int_equal(st_get(t, ST_DATA + 0x1000 - 12, 4), 2);
    assert_int_equal(st_get(t, ST_DATA + 0x1000 - 4, 4), 0x44444444);
    t->c.ymmh[2].d[1] = 0x80000000;
    t->c.xmm[1].d[1] = 9;
    assert_int_equal(RUN(t, VMASKMOV_ST), ISA_R_FAULT);
    assert_int_equal(t->c.fault.addr, ST_DATA + 0x1004);
    assert_int_equal(st_get(t, ST_DATA + 0x1000 - 12, 4), 2); // nothing was written
    assert_int_equal(RUN(t, VMASKMOV_LD), ISA_R_FAULT);
    assert_int_equal(t->c.xmm[1].d[1], 9);
    free(t);
}

// A gather that faults has done what comes before, and goes on from there.
static void test_gather(void **state)
{
    struct st *t = open_64();
    t->absent = ST_DATA + 0x1000;
    for (unsigned k = 0; k < 8; k++) {
        st_put(t, ST_DATA + 8 * k, 100 + k, 4);
        (k < 4 ? &t->c.xmm[3] : &t->c.ymmh[3])->d[k % 4] = k == 5 ? 0x1000 : 8 * k;
        (k < 4 ? &t->c.xmm[2] : &t->c.ymmh[2])->d[k % 4] = k == 2 ? 1 : 0x80000000;
    }
    t->c.xmm[1].d[2] = 7;
    assert_int_equal(RUN(t, VGATHERDPS), ISA_R_FAULT);
    assert_int_equal(t->c.fault.vector, ISA_X_PF);
    assert_int_equal(t->c.fault.addr, ST_DATA + 0x1000);
    assert_int_equal(t->c.xmm[1].d[0], 100);
    assert_int_equal(t->c.xmm[1].d[2], 7);
    assert_int_equal(t->c.ymmh[1].d[0], 104);
    assert_int_equal(t->c.xmm[2].q[0] | t->c.xmm[2].q[1], 0);
    assert_int_equal(t->c.ymmh[2].d[0], 0);
    assert_int_equal(t->c.ymmh[2].d[1], ~0u);
    t->absent = 1;
    assert_int_equal(RUN(t, VGATHERDPS), 0);
    assert_int_equal(t->c.ymmh[1].d[3], 107);
    assert_int_equal(t->c.ymmh[2].q[0] | t->c.ymmh[2].q[1], 0);
    free(t);
}
// #UD: two of the three registers are one; no SIB byte.
static void test_gather_ud(void **state)
{
    static const char *const bad[] = {"\xc4\xe2\x75\x92\x0c\x1b", "\xc4\xe2\x6d\x92\x0c\x0b", "\xc4\xe2\x65\x92\x0c\x1b",
                                      "\xc4\xe2\x6d\x92\x0b\x90"};
    struct st *t = open_64();
    for (unsigned k = 0; k < 4; k++) {
        assert_int_equal(run(t, bad[k], 6), ISA_R_FAULT);
        expect_fault(t, ISA_X_UD, ISA_RULE_UD_FORM);
    }
    free(t);
}

// Flags of two lanes: an unmasked one of an operand hides those of results, in the other lane too.
static void test_flags(void **state)
{
    struct st *t = open_64();
    t->c.xmm[2] = (union isa_vec){.d = {0x3f800000, 0, 0, 0}}; // 1 + 2^-30: #P
    t->c.xmm[3] = (union isa_vec){.d = {0x30800000, 0, 0, 0}};
    t->c.ymmh[2] = (union isa_vec){.d = {0x7f800001, 0, 0, 0}}; // a signalling NaN: #I
    t->c.ymmh[3] = (union isa_vec){.q = {0, 0}};
    assert_int_equal(RUN(t, VADDPS_R), 0);
    assert_int_equal(t->c.mxcsr, ISA_MXCSR_INIT | ISA_FX_I | ISA_FX_P);
    assert_int_equal(t->c.ymmh[1].d[0], 0x7fc00001);
    t->c.mxcsr = ISA_MXCSR_INIT & ~(ISA_FX_I << 7);
    t->c.ymmh[1].d[0] = 5;
    assert_int_equal(RUN(t, VADDPS_R), ISA_R_FAULT);
    expect_fault(t, ISA_X_XM, ISA_RULE_XM_UNMASKED);
    assert_int_equal(t->c.mxcsr, (ISA_MXCSR_INIT & ~(ISA_FX_I << 7)) | ISA_FX_I);
    assert_int_equal(t->c.ymmh[1].d[0], 5);
    free(t);
}

// Rounded once: (1 + 2^-23)^2 - (1 + 2^-22) is exactly 2^-46; a product rounded first would give 0.
static void test_fma(void **state)
{
    struct st *t = open_64();
    t->c.xmm[1] = t->c.xmm[3] = (union isa_vec){.d = {0x3f800001, 0, 0, 0}};
    t->c.xmm[2] = (union isa_vec){.d = {0xbf800002, 0, 0, 0}};
    assert_int_equal(RUN(t, "\xc4\xe2\x69\x99\xcb"), 0); // vfmadd132ss xmm1, xmm2, xmm3
    assert_int_equal(t->c.xmm[1].d[0], 0x28800000);
    assert_int_equal(t->c.mxcsr, ISA_MXCSR_INIT);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_availability), cmocka_unit_test(test_features),        cmocka_unit_test(test_upper_halves),
        cmocka_unit_test(test_vzero_32),     cmocka_unit_test(test_alignment),       cmocka_unit_test(test_masked_moves),
        cmocka_unit_test(test_gather),       cmocka_unit_test(test_gather_ud),       cmocka_unit_test(test_flags),
        cmocka_unit_test(test_fma),          cmocka_unit_test(test_alignment_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
