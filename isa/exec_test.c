// isa/exec_test.c: what the comparison with the host cannot reach: 16- and 32-bit modes, segments, instructions that 64-bit mode lacks,
// instructions that are run again after a fault, and how repeated string instructions share time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/testenv.h"

#define RAM  0x10000ull
#define CODE 0x10000ull
#define DATA 0x12000ull
#define SIZE 0x10000ull

static struct isa_testenv *env;
static struct isa_cpu *cpu;

// Enter a mode with code; registers zero, the stack at the end of a page.
static void begin(enum isa_mode mode, const void *code, unsigned n)
{
    memset(env->ram, 0, SIZE);
    isa_te_protect(env, RAM, SIZE, 0);
    memset(cpu->gpr, 0, sizeof cpu->gpr);
    isa_te_mode(env, mode, 0);
    if (mode == ISA_REAL || mode == ISA_V86) // segments of 64 KB at the start of RAM
        for (unsigned s = ISA_ES; s <= ISA_GS; s++)
            cpu->seg[s].base = RAM, cpu->seg[s].sel = RAM >> 4;
    isa_update_mode(cpu);
    cpu->budget = UINT64_MAX;
    cpu->cycles = cpu->insns = 0;
    cpu->attention = 0;
    isa_te_code(env, CODE, code, n);
}
#define BEGIN(mode, ...)                                                                                                           \
    do {                                                                                                                           \
        static const uint8_t code_[] = {__VA_ARGS__};                                                                              \
        begin(mode, code_, sizeof code_);                                                                                          \
    } while (0)
#define R(x) cpu->gpr[ISA_##x]

static void run(unsigned n) { assert_int_equal(isa_te_run(env, n), ISA_R_STOP); }
static void fault(enum isa_vector v, enum isa_rule rule)
{
    assert_int_equal(isa_te_run(env, 1), ISA_R_FAULT);
    assert_int_equal(cpu->fault.vector, v);
    assert_int_equal(cpu->fault.rule, rule);
}
static uint64_t mem(uint64_t la, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, isa_te_at(env, la), n);
    return v;
}
static void set_mem(uint64_t la, uint64_t v, unsigned n) { memcpy(isa_te_at(env, la), &v, n); }

// --- stack sizes

static void test_push_sizes(void **state)
{
    BEGIN(ISA_REAL, 0x50, 0x66, 0x50); // push ax; push eax
    R(RAX) = 0x11223344, R(RSP) = 0xaaaa0000;
    run(1); // the 16-bit stack pointer wraps; its upper bits stay
    assert_int_equal(R(RSP), 0xaaaafffe);
    assert_int_equal(mem(RAM + 0xfffe, 2), 0x3344);
    run(1);
    assert_int_equal(R(RSP), 0xaaaafffa);
    assert_int_equal(mem(RAM + 0xfffa, 4), 0x11223344);

    BEGIN(ISA_PROT32, 0x50, 0x66, 0x50, 0x5b, 0x66, 0x59); // push eax; push ax; pop ebx; pop cx
    R(RAX) = 0x11223344, R(RSP) = DATA + 0x100;
    run(2);
    assert_int_equal(R(RSP), DATA + 0xfa);
    assert_int_equal(mem(DATA + 0xfc, 4), 0x11223344);
    assert_int_equal(mem(DATA + 0xfa, 2), 0x3344);
    run(2);
    assert_int_equal(R(RBX), 0x33443344);
    assert_int_equal(R(RCX), 0x1122);
    assert_int_equal(R(RSP), DATA + 0x100);

    BEGIN(ISA_PROT32, 0x50, 0x58); // a 32-bit code segment on a 16-bit stack
    cpu->seg[ISA_SS] = (struct isa_seg){.base = DATA, .limit = 0xffff, .ar = 0x93, .sel = 0x18};
    isa_update_mode(cpu);
    R(RAX) = 0xcafe, R(RSP) = 0x77770010;
    run(1);
    assert_int_equal(R(RSP), 0x7777000c);
    assert_int_equal(mem(DATA + 0xc, 4), 0xcafe);
    run(1);
    assert_int_equal(R(RSP), 0x77770010);
}

static void test_push_faults(void **state)
{
    BEGIN(ISA_PROT32, 0x50);
    cpu->seg[ISA_SS] = (struct isa_seg){.base = 0, .limit = DATA + 0x10, .ar = 0x4093, .sel = 0x18};
    isa_update_mode(cpu);
    R(RSP) = DATA + 0x20;
    fault(ISA_X_SS, ISA_RULE_SS_LIMIT);
    assert_int_equal(cpu->fault.error, 0);
    assert_int_equal(R(RSP), DATA + 0x20);

    BEGIN(ISA_LONG64, 0x50, 0xc3);
    R(RSP) = 0x800000000000ull;
    run(0);
    assert_int_equal(isa_te_run(env, 1), ISA_R_FAULT); // the slot below is canonical but not there
    assert_int_equal(cpu->fault.vector, ISA_X_PF);
    cpu->rip = CODE + 1;
    fault(ISA_X_SS, ISA_RULE_SS_CANONICAL);
}

static void test_pusha_popa(void **state)
{
    BEGIN(ISA_PROT32, 0x60, 0x61); // pusha; popa
    for (unsigned r = 0; r < 8; r++)
        cpu->gpr[r] = 0x1000 + r;
    R(RSP) = DATA + 0x100;
    run(1);
    assert_int_equal(R(RSP), DATA + 0xe0);
    for (unsigned r = 0; r < 8; r++)
        assert_int_equal(mem(DATA + 0x100 - 4 * (r + 1), 4), r == ISA_RSP ? DATA + 0x100 : 0x1000 + r);
    set_mem(DATA + 0xec, 0xdead, 4); // the slot of ESP is skipped
    memset(cpu->gpr, 0, 4 * sizeof cpu->gpr[0]);
    run(1);
    assert_int_equal(R(RSP), DATA + 0x100);
    assert_int_equal(R(RAX), 0x1000);
    assert_int_equal(R(RDI), 0x1007);

    BEGIN(ISA_PROT32, 0x60); // the sixth push would fault: nothing happens at all
    R(RSP) = DATA + 0x1014;
    R(RAX) = 0x5555;
    isa_te_protect(env, DATA, 0x1000, ISA_TE_NO_WRITE);
    fault(ISA_X_PF, ISA_RULE_PF_WRITE);
    assert_int_equal(R(RSP), DATA + 0x1014);
    assert_int_equal(mem(DATA + 0x1010, 4), 0);
    isa_te_protect(env, DATA, 0x1000, 0);
    run(1);
    assert_int_equal(mem(DATA + 0x1010, 4), 0x5555);
}

static void test_enter_leave(void **state)
{
    BEGIN(ISA_PROT32, 0xc8, 0x10, 0x00, 0x03, 0xc9); // enter 10H, 3; leave
    R(RSP) = DATA + 0x200, R(RBP) = DATA + 0x300;
    set_mem(DATA + 0x2fc, 0xaaaa, 4), set_mem(DATA + 0x2f8, 0xbbbb, 4);
    run(1);
    assert_int_equal(R(RBP), DATA + 0x1fc);
    assert_int_equal(R(RSP), DATA + 0x200 - 4 * 4 - 0x10);
    assert_int_equal(mem(DATA + 0x1fc, 4), DATA + 0x300);
    assert_int_equal(mem(DATA + 0x1f8, 4), 0xaaaa);
    assert_int_equal(mem(DATA + 0x1f4, 4), 0xbbbb);
    assert_int_equal(mem(DATA + 0x1f0, 4), DATA + 0x1fc);
    run(1);
    assert_int_equal(R(RSP), DATA + 0x200);
    assert_int_equal(R(RBP), DATA + 0x300);

    BEGIN(ISA_PROT32, 0xc8, 0x00, 0x01, 0x00); // enter 100H, 0: the final stack pointer lies in a page that cannot be written
    R(RSP) = DATA + 0x1080, R(RBP) = 0x1234;
    isa_te_protect(env, DATA, 0x1000, ISA_TE_NO_WRITE);
    fault(ISA_X_PF, ISA_RULE_PF_WRITE);
    assert_int_equal(R(RSP), DATA + 0x1080);
    assert_int_equal(mem(DATA + 0x107c, 4), 0);

    BEGIN(ISA_REAL, 0xc8, 0x04, 0x00, 0x00, 0xc9); // 16-bit operands keep the upper half of EBP
    R(RSP) = 0x8000, R(RBP) = 0xffff1234;
    run(1);
    assert_int_equal(R(RBP), 0xffff7ffe);
    assert_int_equal(R(RSP), 0x7ffa);
    run(1);
    assert_int_equal(R(RBP), 0xffff1234);
}

// POP to memory: the address uses ESP after the increment; a fault leaves ESP alone.
static void test_pop_memory(void **state)
{
    BEGIN(ISA_PROT32, 0x8f, 0x04, 0x24); // pop dword [esp]
    R(RSP) = DATA;
    set_mem(DATA, 0x1234, 4);
    run(1);
    assert_int_equal(R(RSP), DATA + 4);
    assert_int_equal(mem(DATA + 4, 4), 0x1234);

    BEGIN(ISA_PROT32, 0x8f, 0x00); // pop dword [eax]
    R(RSP) = DATA, R(RAX) = DATA + 0x1000;
    isa_te_protect(env, DATA + 0x1000, 0x1000, ISA_TE_NO_WRITE);
    fault(ISA_X_PF, ISA_RULE_PF_WRITE);
    assert_int_equal(R(RSP), DATA);
}

// --- branches

static void test_branch_limits(void **state)
{
    BEGIN(ISA_REAL, 0xe9, 0x00, 0x80); // jmp near, 16 bits: the offset wraps at 64 KB
    run(1);
    assert_int_equal(cpu->rip, 0x8003);
    BEGIN(ISA_REAL, 0xeb, 0xfc); // jmp -4 from offset 0
    run(1);
    assert_int_equal(cpu->rip, 0xfffe);
    BEGIN(ISA_REAL, 0x66, 0xe9, 0x00, 0x00, 0x01, 0x00); // jmp near, 32 bits, beyond the limit
    fault(ISA_X_GP, ISA_RULE_GP_LIMIT);
    assert_int_equal(cpu->rip, 0);
    BEGIN(ISA_PROT32, 0x66, 0xe9, 0x00, 0x00); // a 16-bit operand truncates EIP
    run(1);
    assert_int_equal(cpu->rip, (CODE + 4) & 0xffff);
    BEGIN(ISA_PROT32, 0xe8, 0x00, 0x10, 0x00, 0x00); // call beyond the limit pushes nothing
    cpu->seg[ISA_CS].limit = CODE + 0xfff;
    R(RSP) = DATA;
    fault(ISA_X_GP, ISA_RULE_GP_LIMIT);
    assert_int_equal(R(RSP), DATA);
    BEGIN(ISA_PROT32, 0xc3); // ret to beyond the limit pops nothing
    cpu->seg[ISA_CS].limit = CODE + 0xfff;
    R(RSP) = DATA;
    set_mem(DATA, CODE + 0x1000, 4);
    fault(ISA_X_GP, ISA_RULE_GP_LIMIT);
    assert_int_equal(R(RSP), DATA);
    BEGIN(ISA_LONG64, 0xff, 0xe0); // jmp rax, not canonical
    R(RAX) = 0x800000000000ull;
    fault(ISA_X_GP, ISA_RULE_GP_CANONICAL);
    assert_int_equal(cpu->rip, CODE);
    R(RAX) = 0xffff800000000000ull;
    run(1);
    assert_int_equal(cpu->rip, 0xffff800000000000ull);
}

static void test_call_ret(void **state)
{
    BEGIN(ISA_REAL, 0xe8, 0x05, 0x00, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc2, 0x04, 0x00); // call +5; ...; ret 4
    R(RSP) = 0x8000;
    run(1);
    assert_int_equal(cpu->rip, 8);
    assert_int_equal(mem(RAM + 0x7ffe, 2), 3);
    run(1);
    assert_int_equal(cpu->rip, 3);
    assert_int_equal(R(RSP), 0x8004);
}

static void test_loop_sizes(void **state)
{
    BEGIN(ISA_PROT32, 0xe2, 0xfe); // loop $, ECX
    R(RCX) = 0x10001;
    run(1);
    assert_int_equal(cpu->rip, CODE);
    assert_int_equal(R(RCX), 0x10000);
    BEGIN(ISA_PROT32, 0x67, 0xe2, 0xfd); // addr16 loop $, CX: 1 becomes 0 and the upper half stays
    R(RCX) = 0x10001;
    run(1);
    assert_int_equal(cpu->rip, CODE + 3);
    assert_int_equal(R(RCX), 0x10000);
    BEGIN(ISA_REAL, 0xe3, 0x10); // jcxz
    R(RCX) = 0x10000;
    run(1);
    assert_int_equal(cpu->rip, 0x12);
}

// --- segments and 16-bit addresses

static void test_addressing_16(void **state)
{
    BEGIN(ISA_REAL, 0x8b, 0x40, 0x10, 0x8a, 0x02); // mov ax, [bx+si+10h]; mov al, [bp+si]
    R(RBX) = 0xfff0, R(RSI) = 0x2000;
    set_mem(RAM + 0x2000, 0xbeef, 2);
    run(1); // the sum wraps at 64 KB
    assert_int_equal(R(RAX), 0xbeef);
    cpu->seg[ISA_SS].base = DATA; // BP means SS
    R(RBP) = 0x20, R(RSI) = 1;
    set_mem(DATA + 0x21, 0x77, 1);
    run(1);
    assert_int_equal(R(RAX), 0xbe77);
    BEGIN(ISA_REAL, 0x8b, 0x07); // mov ax, [bx] across the limit
    R(RBX) = 0xffff;
    fault(ISA_X_GP, ISA_RULE_GP_LIMIT);
    BEGIN(ISA_REAL, 0x8b, 0x46, 0x00); // mov ax, [bp]: the stack segment
    R(RBP) = 0xffff;
    fault(ISA_X_SS, ISA_RULE_SS_LIMIT);
}

static void test_bound(void **state)
{
    BEGIN(ISA_PROT32, 0x62, 0x03); // bound eax, [ebx]
    R(RBX) = DATA;
    set_mem(DATA, (uint32_t)-5, 4), set_mem(DATA + 4, 7, 4);
    for (int v = -8; v <= 10; v++) {
        cpu->rip = CODE;
        R(RAX) = (uint32_t)v;
        if (v < -5 || v > 7)
            fault(ISA_X_BR, ISA_RULE_BR_BOUND);
        else
            run(1);
    }
}

static void test_alignment_check(void **state)
{
    BEGIN(ISA_PROT32, 0x8b, 0x03, 0x89, 0x03); // mov eax, [ebx]; mov [ebx], eax
    isa_te_mode(env, ISA_PROT32, 3);
    cpu->cr0 |= ISA_CR0_AM;
    R(RBX) = DATA + 2;
    run(1);
    cpu->rflags_sys |= ISA_FL_AC;
    cpu->rip = CODE;
    isa_te_flush(env);
    fault(ISA_X_AC, ISA_RULE_AC_MISALIGNED);
    cpu->rip = CODE + 2;
    fault(ISA_X_AC, ISA_RULE_AC_MISALIGNED);
    isa_te_protect(env, DATA, 0x1000, ISA_TE_NO_WRITE); // paging comes first
    fault(ISA_X_PF, ISA_RULE_PF_WRITE);
    R(RBX) = DATA + 4;
    isa_te_protect(env, DATA, 0x1000, 0);
    run(1);
}

// --- decimal arithmetic, exhaustively against the manual's pseudocode, written out again on plain integers

static void bcd_model(unsigned op, unsigned *ax, unsigned *cf, unsigned *af)
{
    unsigned al = *ax & 0xff, ah = *ax >> 8, old_al = al, old_cf = *cf;
    bool low = (al & 15) > 9 || *af;
    switch (op) {
    case 0x27: // DAA
        al += low ? 6 : 0;
        *af = low;
        *cf = old_al > 0x99 || old_cf;
        al += *cf ? 0x60 : 0;
        break;
    case 0x2f: // DAS
        *cf = low && (old_cf || al < 6);
        al -= low ? 6 : 0;
        *af = low;
        if (old_al > 0x99 || old_cf)
            al -= 0x60, *cf = 1;
        break;
    case 0x37: // AAA
    case 0x3f: // AAS
        if (low) {
            unsigned v = op == 0x37 ? *ax + 0x106 : *ax - 0x106;
            al = v & 0xff, ah = v >> 8;
        }
        *af = *cf = low;
        al &= 15;
        break;
    }
    *ax = (al & 0xff) | (ah & 0xff) << 8;
}
static void test_decimal(void **state)
{
    static const uint8_t ops[] = {0x27, 0x2f, 0x37, 0x3f};
    for (unsigned k = 0; k < 4; k++) {
        begin(ISA_PROT32, &ops[k], 1);
        for (unsigned v = 0; v < 1u << 18; v++) {
            unsigned ax = v & 0xffff, cf = v >> 16 & 1, af = v >> 17;
            if (k < 2 && (ax & 0xff00) != 0x3300) // DAA and DAS do not look at AH
                continue;
            R(RAX) = ax;
            isa_set_status(cpu, (cf ? ISA_FL_CF : 0) | (af ? ISA_FL_AF : 0));
            cpu->rip = CODE;
            run(1);
            bcd_model(ops[k], &ax, &cf, &af);
            if (R(RAX) != ax || isa_cf(cpu) != cf || isa_af(cpu) != af ||
                (k < 2 && (isa_zf(cpu) != ((ax & 0xff) == 0) || isa_sf(cpu) != (ax >> 7 & 1))))
                fail_msg("opcode %02x: case %05x: AX %04lx, want %04x; CF %d %u AF %d %u", ops[k], v, R(RAX), ax, isa_cf(cpu), cf,
                         isa_af(cpu), af);
        }
    }
    BEGIN(ISA_PROT32, 0xd4, 0x0a, 0xd5, 0x0a, 0xd4, 0x00); // aam; aad; aam 0
    R(RAX) = 87;
    run(1);
    assert_int_equal(R(RAX), 0x0807);
    run(1);
    assert_int_equal(R(RAX), 87);
    fault(ISA_X_DE, ISA_RULE_DIV_ZERO);
    BEGIN(ISA_PROT32, 0xf9, 0xd6, 0xf8, 0xd6); // stc; salc; clc; salc
    run(2);
    assert_int_equal(R(RAX), 0xff);
    run(2);
    assert_int_equal(R(RAX), 0);
}

// --- strings

static void test_string_segments(void **state)
{
    static const uint8_t code[] = {0x26, 0xa4, 0xf3, 0x64, 0xa5}; // es movsb; rep fs movsw
    begin(ISA_REAL, code, sizeof code);
    isa_te_code(env, CODE + 0x300, code, sizeof code);
    cpu->seg[ISA_DS].base = 0xdead0000;
    cpu->seg[ISA_FS].base = DATA;
    isa_update_mode(cpu);
    R(RSI) = 0x100, R(RDI) = 0x200;
    set_mem(RAM + 0x100, 0x5a, 1);
    run(1);
    assert_int_equal(mem(RAM + 0x200, 1), 0x5a);
    R(RSI) = 0xfffc, R(RDI) = 0x8000, R(RCX) = 4; // SI wraps
    cpu->seg[ISA_FS].base = RAM;
    for (unsigned k = 0; k < 4; k++)
        set_mem(RAM + 0xfffc + 2 * k - (k >= 2 ? 0x10000 : 0), 0x1111 * (k + 1), 2);
    run(1);
    for (unsigned k = 0; k < 4; k++)
        assert_int_equal(mem(RAM + 0x8000 + 2 * k, 2), 0x1111 * (k + 1));
    assert_int_equal(R(RSI), 4);
    assert_int_equal(R(RCX), 0);
}

// REP MOVS and REP STOS in every element size, direction and overlap give what single iterations give, with and without host runs.
static void test_rep_equals_iterations(void **state)
{
    enum { N = 0x3000 };
    static uint8_t want[N];
    uint8_t code[3] = {0xf3, 0x48, 0xa4};
    uint32_t x = 1;
    unsigned cases = 0;
    for (unsigned round = 0; round < 2000; round++) {
        x = x * 1664525 + 1013904223;
        unsigned size = 1u << (x >> 30), stos = x >> 29 & 1, down = x >> 28 & 1 & (x >> 27);
        unsigned count = x >> 8 & (x & 0x80 ? 0x7ff : 0x1f);
        code[1] = size == 8 ? 0x48 : size == 2 ? 0x66 : 0x40;
        code[2] = (uint8_t)((stos ? 0xaa : 0xa4) | (size > 1));
        uint8_t seq[4] = {0xf3, code[1], code[2]};
        if (size == 2)
            seq[0] = 0x66, seq[1] = 0xf3;
        begin(ISA_LONG64, seq, 3);
        env->mirror = x & 1;
        cpu->rflags_sys |= down ? ISA_FL_DF : 0;
        for (unsigned k = 0; k < N; k++)
            *(uint8_t *)isa_te_at(env, DATA + k) = (uint8_t)(k * 7 + (k >> 8));
        memcpy(want, isa_te_at(env, DATA), N);
        int delta = (int)(x >> 12 & 0x3f) - 32;
        unsigned from = 0x1400 + (x >> 18 & 0xff), to = (unsigned)((int)from + (x & 2 ? delta : delta * 64));
        while (count * size + 0x1000 > N - 0x1000)
            count /= 2;
        if (down)
            from += count * size, to += count * size;
        if (to + (down ? 8 : count * size) > N || from + (down ? 8 : count * size) > N || (down && to < count * size))
            continue;
        R(RAX) = 0x8877665544332211ull;
        for (unsigned k = 0; k < count; k++) {
            long at = (down ? -(long)(k * size) : (long)(k * size));
            uint8_t t[8];
            memcpy(t, stos ? (const uint8_t *)&R(RAX) : want + (long)from + at, size);
            memcpy(want + (long)to + at, t, size);
        }
        R(RSI) = DATA + from, R(RDI) = DATA + to, R(RCX) = count;
        run(1);
        cases++;
        long end = down ? -(long)(count * size) : (long)(count * size);
        assert_int_equal(R(RCX), 0);
        assert_int_equal(R(RDI), DATA + to + (uint64_t)end);
        assert_int_equal(R(RSI), DATA + from + (stos ? 0 : (uint64_t)end));
        assert_memory_equal(isa_te_at(env, DATA), want, N);
        assert_int_equal(cpu->cycles, (count ? count : 1) * env->cost[ISA_COST_STRING]);
        assert_int_equal(cpu->insns, 1);
    }
    env->mirror = true;
    assert_true(cases > 1000);
}

// A repetition stops at the iteration that faults, and goes on from there.
static void test_rep_fault(void **state)
{
    BEGIN(ISA_LONG64, 0xf3, 0xab); // rep stosd
    R(RAX) = 0x11223344, R(RDI) = DATA + 0xff0, R(RCX) = 10;
    isa_te_protect(env, DATA + 0x1000, 0x1000, ISA_TE_NO_WRITE);
    fault(ISA_X_PF, ISA_RULE_PF_WRITE);
    assert_int_equal(R(RDI), DATA + 0x1000);
    assert_int_equal(R(RCX), 6);
    assert_int_equal(cpu->rip, CODE);
    assert_int_equal(cpu->fault.addr, DATA + 0x1000);
    assert_int_equal(cpu->cycles, 4 * env->cost[ISA_COST_STRING]);
    isa_te_protect(env, DATA + 0x1000, 0x1000, 0);
    run(1);
    assert_int_equal(R(RCX), 0);
    assert_int_equal(mem(DATA + 0x1014, 4), 0x11223344);
    assert_int_equal(cpu->cycles, 10 * env->cost[ISA_COST_STRING]);
    assert_int_equal(cpu->insns, 1);
}

// Iterations until the clock reaches the budget, or until something wants attention; then RIP stands at the instruction, and no
// instruction has retired. The time is the same however the work is divided.
static void test_rep_budget(void **state)
{
    env->one_chunk = true;
    for (unsigned v = 0; v < 4 * 60; v++) {
        unsigned budget = v / 4, cost = env->cost[ISA_COST_STRING], chunks = 0;
        BEGIN(ISA_LONG64, 0x90, 0xf3, 0xa4); // nop; rep movsb
        env->mirror = v & 1;
        R(RSI) = DATA, R(RDI) = DATA + 0x1000, R(RCX) = 1000;
        run(1);
        uint64_t start = cpu->cycles;
        while (cpu->insns < 2) {
            uint64_t left = R(RCX), now = cpu->cycles, done = (budget + cost - 1) / cost;
            cpu->budget = now + budget;
            cpu->attention = v >> 1 & 1;
            run(1);
            done = cpu->attention || done == 0 ? 1 : done < left ? done : left;
            assert_int_equal(left - R(RCX), done);
            assert_int_equal(cpu->cycles - now, done * cost);
            assert_int_equal(cpu->rip, R(RCX) ? CODE + 1 : CODE + 3);
            chunks++;
        }
        assert_int_equal(cpu->cycles, start + 1000 * cost);
        assert_int_equal(R(RDI), DATA + 0x1000 + 1000);
        assert_true(chunks > 1);
    }
    env->mirror = true;
    env->one_chunk = false;
}

static void test_scan(void **state)
{
    BEGIN(ISA_PROT32, 0xf2, 0xae, 0xf3, 0xa6); // repne scasb; repe cmpsb
    memcpy(isa_te_at(env, DATA), "ringside", 9);
    memcpy(isa_te_at(env, DATA + 0x100), "ringsize", 9);
    R(RDI) = DATA, R(RCX) = 0xffffffff;
    run(1); // strlen
    assert_int_equal((uint32_t)~R(RCX) - 1, 8);
    R(RSI) = DATA, R(RDI) = DATA + 0x100, R(RCX) = 9;
    run(1);
    assert_int_equal(R(RCX), 2);
    assert_false(isa_zf(cpu));
    assert_true(isa_cf(cpu)); // 'd' < 'z'
}

// --- blocks: RIP-relative operands and relative branches in the middle of a block

static void test_blocks(void **state)
{
    BEGIN(ISA_LONG64, 0x90, 0x48, 0x8b, 0x05, 0xf8, 0x1f, 0x00, 0x00, 0x48, 0xff, 0xc0, 0xeb,
          0x10); // nop; mov rax,[rip+1ff8h]; inc rax; jmp
    set_mem(CODE + 8 + 0x1ff8, 41, 8);
    env->block = 32;
    for (unsigned tail = 0; tail < 2; tail++) {
        env->tail = tail;
        cpu->rip = CODE;
        cpu->insns = cpu->cycles = 0;
        run(4);
        assert_int_equal(R(RAX), 42);
        assert_int_equal(cpu->rip, CODE + 13 + 0x10);
        assert_int_equal(cpu->insns, 4);
    }
    env->block = 1, env->tail = false;
}

static int setup(void **state)
{
    env = isa_te_create(RAM, SIZE);
    assert_non_null(env);
    cpu = &env->cpu;
    return 0;
}
static int teardown(void **state)
{
    isa_te_destroy(env);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_sizes),
        cmocka_unit_test(test_push_faults),
        cmocka_unit_test(test_pusha_popa),
        cmocka_unit_test(test_enter_leave),
        cmocka_unit_test(test_pop_memory),
        cmocka_unit_test(test_branch_limits),
        cmocka_unit_test(test_call_ret),
        cmocka_unit_test(test_loop_sizes),
        cmocka_unit_test(test_addressing_16),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_string_segments),
        cmocka_unit_test(test_rep_equals_iterations),
        cmocka_unit_test(test_rep_fault),
        cmocka_unit_test(test_rep_budget),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
