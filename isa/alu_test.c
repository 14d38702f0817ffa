// isa/alu_test.c: results and flags of every 8-bit operation, exhaustively, against a model that says them in the simplest way.
//
// The model works on wide integers and states each flag as the manual does ("EFLAGS Cross-Reference"); it shares nothing with the
// lazy flags of isa/flags.h. Both dispatchers run where the build has both.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "isa/testenv.h"

#define CF ISA_FL_CF
#define PF ISA_FL_PF
#define AF ISA_FL_AF
#define ZF ISA_FL_ZF
#define SF ISA_FL_SF
#define OF ISA_FL_OF

struct out {
    unsigned r;     // 8-bit result (16-bit for MUL and the like)
    unsigned flags; // of the six
    unsigned undef; // flags that the manual leaves undefined
};

static unsigned parity(unsigned v)
{
    unsigned ones = 0;
    for (unsigned k = 0; k < 8; k++)
        ones += v >> k & 1;
    return ones % 2 == 0 ? PF : 0;
}
static unsigned szp(unsigned r) { return (r & 0x80 ? SF : 0) | ((r & 0xff) == 0 ? ZF : 0) | parity(r); }
static int s8(unsigned v) { return v & 0x80 ? (int)(v & 0xff) - 256 : (int)(v & 0xff); }

static struct out m_add(unsigned a, unsigned b, unsigned carry)
{
    unsigned wide = a + b + carry, r = wide & 0xff;
    int s = s8(a) + s8(b) + (int)carry;
    return (struct out){r, szp(r) | (wide > 0xff ? CF : 0) | (s < -128 || s > 127 ? OF : 0) |
                               ((a & 15) + (b & 15) + carry > 15 ? AF : 0)};
}
static struct out m_sub(unsigned a, unsigned b, unsigned borrow)
{
    unsigned r = (a - b - borrow) & 0xff;
    int s = s8(a) - s8(b) - (int)borrow;
    return (struct out){r, szp(r) | (a < b + borrow ? CF : 0) | (s < -128 || s > 127 ? OF : 0) |
                               ((a & 15) < (b & 15) + borrow ? AF : 0)};
}
static struct out m_logic(unsigned r) { return (struct out){r, szp(r), AF}; }

// Two-operand operations by their number in the opcode (ADD OR ADC SBB AND SUB XOR CMP); 8 is TEST.
static struct out model2(unsigned op, unsigned a, unsigned b, unsigned fl)
{
    unsigned cf = fl & CF ? 1 : 0;
    struct out o;
    switch (op) {
    case 0: return m_add(a, b, 0);
    case 1: return m_logic(a | b);
    case 2: return m_add(a, b, cf);
    case 3: return m_sub(a, b, cf);
    case 4: return m_logic(a & b);
    case 5: return m_sub(a, b, 0);
    case 6: return m_logic(a ^ b);
    case 7: o = m_sub(a, b, 0); break;
    default: o = m_logic(a & b); break;
    }
    o.r = a;
    return o;
}

// INC DEC NOT NEG.
static struct out model1(unsigned op, unsigned a, unsigned fl)
{
    struct out o;
    switch (op) {
    case 0: o = m_add(a, 1, 0), o.flags = (o.flags & ~CF) | (fl & CF); return o;
    case 1: o = m_sub(a, 1, 0), o.flags = (o.flags & ~CF) | (fl & CF); return o;
    case 2: return (struct out){~a & 0xff, fl};
    default: return m_sub(0, a, 0);
    }
}

// Shifts and rotates, one bit at a time: ROL ROR RCL RCR SHL SHR SAL SAR.
static struct out model_shift(unsigned op, unsigned a, unsigned count, unsigned fl)
{
    unsigned n = count & 31, r = a, cf = fl & CF ? 1 : 0, last = cf;
    for (unsigned k = 0; k < n; k++) {
        unsigned top = r >> 7, low = r & 1;
        switch (op) {
        case 0: r = (r << 1 | top) & 0xff, last = top; break;
        case 1: r = r >> 1 | low << 7, last = low; break;
        case 2: r = (r << 1 | last) & 0xff, last = top; break;
        case 3: r = r >> 1 | last << 7, last = low; break;
        case 5: r = r >> 1, last = low; break;
        case 7: r = r >> 1 | top << 7, last = low; break;
        default: r = (r << 1) & 0xff, last = top; break;
        }
    }
    if (n == 0)
        return (struct out){a, fl};
    unsigned of = ((a ^ r) & 0x80) ? OF : 0; // for a count of 1: the sign changed
    struct out o = {.r = r, .undef = n == 1 ? 0 : OF};
    if (op < 4) {
        o.flags = (fl & (SF | ZF | PF | AF)) | (last ? CF : 0) | of;
        return o;
    }
    o.flags = szp(r) | (last ? CF : 0) | of;
    o.undef |= AF | ((op == 4 || op == 5 || op == 6) && n > 8 ? CF : 0);
    return o;
}

static struct isa_testenv *env;
static unsigned long cases;

// Exhaustive in ordinary builds; sanitized builds, ten times slower, take a spread.
#ifdef RINGSIDE_DEBUG
#define STRIDE 11
#else
#define STRIDE 1
#endif

static void start(const uint8_t *code, unsigned n, unsigned fl)
{
    isa_te_code(env, 0x10000, code, n);
    isa_set_rflags(&env->cpu, fl);
}
static void finish(const char *what, unsigned op, unsigned a, unsigned b, unsigned fl, unsigned r, const struct out *want)
{
    unsigned got = isa_status(&env->cpu);
    cases++;
    if (r == want->r && ((got ^ want->flags) & ~want->undef) == 0)
        return;
    fail_msg("%s %u: a=%02x b=%02x flags=%03x: got %x flags %03x, want %x flags %03x (undefined %03x)", what, op, a, b, fl, r, got,
             want->r, want->flags, want->undef);
}

// Every a, b and carry-in through the forms E,G, G,E, E,I and, for some of them, memory.
static void test_two_operands(void **state)
{
    for (unsigned op = 0; op <= 8; op++)
        for (unsigned v = 0; v < 1u << 17; v += STRIDE) {
            unsigned a = v & 0xff, b = v >> 8 & 0xff, fl = v >> 16 ? CF | AF : SF | ZF;
            struct out want = model2(op, a, b, fl);
            const uint8_t eg[] = {op == 8 ? 0x84 : (uint8_t)(op << 3), 0xd9};     // op cl, bl
            const uint8_t ge[] = {op == 8 ? 0x84 : (uint8_t)(op << 3 | 2), 0xcb}; // op cl, bl
            const uint8_t ei[] = {op == 8 ? 0xf6 : 0x80, op == 8 ? 0xc1 : (uint8_t)(0xc1 | op << 3), (uint8_t)b};
            const uint8_t mi[] = {op == 8 ? 0xf6 : 0x80, op == 8 ? 0x06 : (uint8_t)(0x06 | op << 3), (uint8_t)b}; // op [rsi], b
            env->cpu.gpr[ISA_RBX] = b;
            for (unsigned form = 0; form < 3; form++) {
                env->cpu.gpr[ISA_RCX] = a;
                start(form == 0 ? eg : form == 1 ? ge : ei, form == 2 ? 3 : 2, fl);
                assert_int_equal(isa_te_run(env, 1), ISA_R_STOP);
                finish("two operands", op, a, b, fl, (unsigned)env->cpu.gpr[ISA_RCX], &want);
            }
            env->cpu.gpr[ISA_RSI] = 0x11000;
            *(uint8_t *)isa_te_at(env, 0x11000) = (uint8_t)a;
            start(mi, 3, fl);
            assert_int_equal(isa_te_run(env, 1), ISA_R_STOP);
            finish("two operands in memory", op, a, b, fl, *(uint8_t *)isa_te_at(env, 0x11000), &want);
        }
}

static void test_one_operand(void **state)
{
    static const uint8_t code[4][2] = {{0xfe, 0xc1}, {0xfe, 0xc9}, {0xf6, 0xd1}, {0xf6, 0xd9}}; // inc dec not neg cl
    for (unsigned op = 0; op < 4; op++)
        for (unsigned a = 0; a < 256; a++)
            for (unsigned f = 0; f < 64; f++) {
                unsigned fl = (f & 1 ? CF : 0) | (f & 2 ? PF : 0) | (f & 4 ? AF : 0) | (f & 8 ? ZF : 0) | (f & 16 ? SF : 0) |
                              (f & 32 ? OF : 0);
                struct out want = model1(op, a, fl);
                env->cpu.gpr[ISA_RCX] = a;
                start(code[op], 2, fl);
                assert_int_equal(isa_te_run(env, 1), ISA_R_STOP);
                finish("one operand", op, a, 0, fl, (unsigned)env->cpu.gpr[ISA_RCX], &want);
            }
}

static void test_shifts(void **state)
{
    for (unsigned op = 0; op < 8; op++)
        for (unsigned a = 0; a < 256; a++)
            for (unsigned count = 0; count < 256; count += STRIDE)
                for (unsigned cf = 0; cf < 2; cf++) {
                    unsigned fl = cf ? CF | ZF : AF | OF | SF;
                    struct out want = model_shift(op, a, count, fl);
                    const uint8_t cl[] = {0xd2, (uint8_t)(0xc3 | op << 3)};                 // op bl, cl
                    const uint8_t ib[] = {0xc0, (uint8_t)(0xc3 | op << 3), (uint8_t)count}; // op bl, count
                    for (unsigned form = 0; form < 2; form++) {
                        env->cpu.gpr[ISA_RBX] = a;
                        env->cpu.gpr[ISA_RCX] = form == 0 ? count : 0xee;
                        start(form == 0 ? cl : ib, 2 + form, fl);
                        assert_int_equal(isa_te_run(env, 1), ISA_R_STOP);
                        finish("shift", op, a, count, fl, (unsigned)env->cpu.gpr[ISA_RBX], &want);
                    }
                }
}

// MUL IMUL DIV IDIV of 8 bits: every AL (or a spread of AX) and every operand.
static void test_multiply(void **state)
{
    for (unsigned v = 0; v < 1u << 17; v += STRIDE) {
        unsigned a = v & 0xff, b = v >> 8 & 0xff, sgn = v >> 16;
        int p = sgn ? s8(a) * s8(b) : (int)(a * b);
        bool wide = sgn ? p < -128 || p > 127 : p > 255;
        struct out want = {(unsigned)p & 0xffff, wide ? CF | OF : 0, SF | ZF | AF | PF};
        const uint8_t code[] = {0xf6, sgn ? 0xeb : 0xe3}; // imul bl, mul bl
        env->cpu.gpr[ISA_RAX] = 0x5500 | a;
        env->cpu.gpr[ISA_RBX] = b;
        start(code, 2, SF | CF);
        assert_int_equal(isa_te_run(env, 1), ISA_R_STOP);
        finish("multiply", sgn, a, b, SF | CF, (unsigned)env->cpu.gpr[ISA_RAX], &want);
    }
}
static void test_divide(void **state)
{
    for (unsigned ax = 0; ax < 0x10000; ax += 7 * STRIDE)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned sgn = 0; sgn < 2; sgn++) {
                int n = sgn && ax & 0x8000 ? (int)ax - 0x10000 : (int)ax, d = sgn ? s8(b) : (int)b;
                bool bad = d == 0 || (sgn ? n / d < -128 || n / d > 127 : n / d > 255);
                const uint8_t code[] = {0xf6, sgn ? 0xfb : 0xf3}; // idiv bl, div bl
                env->cpu.gpr[ISA_RAX] = ax;
                env->cpu.gpr[ISA_RBX] = b;
                start(code, 2, SF | CF);
                int r = isa_te_run(env, 1);
                cases++;
                if (bad) {
                    assert_int_equal(r, ISA_R_FAULT);
                    assert_int_equal(env->cpu.fault.vector, ISA_X_DE);
                    assert_int_equal(env->cpu.fault.rule, d == 0 ? ISA_RULE_DIV_ZERO : ISA_RULE_DIV_RANGE);
                    assert_int_equal(env->cpu.gpr[ISA_RAX], ax);
                } else {
                    assert_int_equal(r, ISA_R_STOP);
                    assert_int_equal(env->cpu.gpr[ISA_RAX], ((unsigned)(n / d) & 0xff) | ((unsigned)(n % d) & 0xff) << 8);
                }
            }
}

// The sixteen conditions over all combinations of the flags, through SETcc, however the flags came to be.
static bool model_cond(unsigned cc, unsigned fl)
{
    bool c = fl & CF, z = fl & ZF, s = fl & SF, o = fl & OF, p = fl & PF, r = false;
    switch (cc >> 1) {
    case 0: r = o; break;
    case 1: r = c; break;
    case 2: r = z; break;
    case 3: r = c || z; break;
    case 4: r = s; break;
    case 5: r = p; break;
    case 6: r = s != o; break;
    case 7: r = z || s != o; break;
    }
    return cc & 1 ? !r : r;
}
static void test_conditions(void **state)
{
    for (unsigned v = 0; v < 1u << 17; v += STRIDE) {
        unsigned a = v & 0xff, b = v >> 8 & 0xff, op = v >> 16; // 0: add, 1: cmp
        struct out o = op ? m_sub(a, b, 0) : m_add(a, b, 0);
        for (unsigned cc = v & 1; cc < 16; cc += 2) {
            const uint8_t code[] = {op ? 0x38 : 0x00, 0xd9, 0x0f, (uint8_t)(0x90 | cc), 0xc2}; // op cl, bl; setcc dl
            env->cpu.gpr[ISA_RCX] = a;
            env->cpu.gpr[ISA_RBX] = b;
            env->cpu.gpr[ISA_RDX] = 0x77;
            start(code, sizeof code, 0);
            assert_int_equal(isa_te_run(env, 2), ISA_R_STOP);
            cases++;
            if ((env->cpu.gpr[ISA_RDX] != 0) != model_cond(cc, o.flags))
                fail_msg("condition %x after %s %02x, %02x", cc, op ? "cmp" : "add", a, b);
        }
    }
}

static int setup(void **state)
{
    env = isa_te_create(0x10000, 0x4000);
    assert_non_null(env);
    env->tail = *state != NULL;
    env->block = 4;
    return 0;
}
static int teardown(void **state)
{
    isa_te_destroy(env);
    return 0;
}

int main(void)
{
#ifdef RINGSIDE_NO_TAIL
#define BOTH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#else
    static int tail = 1;
#define BOTH(f)                                                                                                                    \
    {#f " (loop)", f, setup, teardown, NULL}, { #f " (tail)", f, setup, teardown, &tail }
#endif
    const struct CMUnitTest tests[] = {
        BOTH(test_two_operands), BOTH(test_one_operand), BOTH(test_shifts),
        BOTH(test_multiply),     BOTH(test_divide),      BOTH(test_conditions),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("# alu: %lu cases\n", cases);
    return failed;
}
