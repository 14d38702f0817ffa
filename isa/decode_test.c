// isa/decode_test.c: the opcode map is well formed, and the decoder keeps the promises of isa/opcodes.def and isa/insn.h.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "isa/decode_testing.h"
#include "isa/fault.h"
#include "isa/tables.h"

// --- one instruction at a time

static unsigned decode_in(enum isa_mode mode, bool flat, const char *hex, struct isa_insn *i)
{
    struct isa_decode_mode m = mode_of(mode, flat);
    uint8_t b[40] = {0};
    return isa_decode(&m, b, put_hex(b, hex), i);
}

// Decodes whole to this row, and needs every byte of it.
static struct isa_insn expect(enum isa_mode mode, const char *hex, enum isa_op op)
{
    struct isa_insn i, cut;
    struct isa_decode_mode m = mode_of(mode, true);
    uint8_t b[40] = {0};
    unsigned n = put_hex(b, hex);
    assert_int_equal(isa_decode(&m, b, n, &i), n);
    assert_string_equal(isa_opinfo[i.op].mnemonic, isa_opinfo[op].mnemonic);
    assert_int_equal(i.op, op);
    for (unsigned k = 0; k < n; k++)
        assert_int_equal(isa_decode(&m, b, k, &cut), 0);
    return i;
}

static void expect_bad(enum isa_mode mode, const char *hex, enum isa_rule rule)
{
    struct isa_insn i;
    assert_true(decode_in(mode, true, hex, &i) > 0);
    assert_int_equal(i.op, ISA_OP_INVALID);
    assert_string_equal(isa_rule_info((unsigned)i.imm)->id, isa_rule_info(rule)->id);
}

static void broken_rules(void **state)
{
    expect_bad(ISA_LONG64, "06", ISA_RULE_UD_MODE);
    expect_bad(ISA_LONG64, "d6", ISA_RULE_UD_MODE);
    expect_bad(ISA_PROT32, "0f01f8", ISA_RULE_UD_MODE);         // SWAPGS
    expect_bad(ISA_REAL, "0f00d8", ISA_RULE_UD_MODE);           // LTR
    expect_bad(ISA_V86, "63c0", ISA_RULE_UD_MODE);              // ARPL
    expect_bad(ISA_COMPAT32, "0f05", ISA_RULE_UD_MODE);         // SYSCALL
    expect_bad(ISA_LONG64, "8dc0", ISA_RULE_UD_FORM);           // LEA with a register
    expect_bad(ISA_REAL, "c4c0", ISA_RULE_UD_FORM);             // LES with a register
    expect_bad(ISA_LONG64, "0f04", ISA_RULE_UD_OPCODE);         //
    expect_bad(ISA_LONG64, "8ec8", ISA_RULE_UD_OPCODE);         // MOV CS, EAX
    expect_bad(ISA_LONG64, "8cf0", ISA_RULE_UD_OPCODE);         // no seventh segment register
    expect_bad(ISA_LONG64, "0f20c8", ISA_RULE_UD_OPCODE);       // CR1
    expect_bad(ISA_LONG64, "440f21c0", ISA_RULE_UD_OPCODE);     // DR8
    expect_bad(ISA_LONG64, "f090", ISA_RULE_UD_LOCK);           //
    expect_bad(ISA_LONG64, "f001c0", ISA_RULE_UD_LOCK);         // register destination
    expect_bad(ISA_LONG64, "f00301", ISA_RULE_UD_LOCK);         // memory is the source
    expect_bad(ISA_LONG64, "f03901", ISA_RULE_UD_LOCK);         // CMP
    expect_bad(ISA_PROT32, "f00f22c0", ISA_RULE_UD_LOCK);       // MOV CR8 of other makers
    expect_bad(ISA_LONG64, "66c4e278f2c0", ISA_RULE_UD_OPCODE); // 66 before VEX
    expect_bad(ISA_LONG64, "c4e27cf2c0", ISA_RULE_UD_OPCODE);   // VEX.L = 1
}

static void length_limit(void **state)
{
    expect(ISA_LONG64, "666666666666666666666666666690", ISA_OP_NOP);
    expect_bad(ISA_LONG64, "66666666666666666666666666666690", ISA_RULE_GP_INSN_LEN);
    expect_bad(ISA_LONG64, "666666666666666666666666666666", ISA_RULE_GP_INSN_LEN);
    expect_bad(ISA_PROT32, "26262626268184880000000000000000", ISA_RULE_GP_INSN_LEN);
    expect(ISA_PROT32, "262626268184880000000000000000", ISA_OP_ADD_Ev_Iz);
    expect_bad(ISA_LONG64, "6666666666666666666666666666e8aabbccdd", ISA_RULE_GP_INSN_LEN);
}

static void features_decide(void **state)
{
    static const struct {
        const char *hex;
        enum isa_feature f;
        enum isa_op with, without;
    } t[] = {
        {"f30fbcc1", ISA_FEAT_BMI1, ISA_OP_TZCNT_Gv_Ev, ISA_OP_BSF_Gv_Ev},
        {"f30fbdc1", ISA_FEAT_LZCNT, ISA_OP_LZCNT_Gv_Ev, ISA_OP_BSR_Gv_Ev},
        {"f30fb8c1", ISA_FEAT_POPCNT, ISA_OP_POPCNT_Gv_Ev, ISA_OP_INVALID},
        {"9f", ISA_FEAT_LAHF64, ISA_OP_LAHF64, ISA_OP_INVALID},
        {"480fc709", ISA_FEAT_CX16, ISA_OP_CMPXCHG16B, ISA_OP_INVALID},
        {"0f01c1", ISA_FEAT_VMX, ISA_OP_VMCALL, ISA_OP_INVALID},
        {"c4e270f2c2", ISA_FEAT_BMI1, ISA_OP_ANDN_Gy_By_Ey, ISA_OP_INVALID},
    };
    for (unsigned k = 0; k < sizeof t / sizeof t[0]; k++) {
        struct isa_insn i = expect(ISA_LONG64, t[k].hex, t[k].with);
        struct isa_decode_mode m = mode_of(ISA_LONG64, true);
        uint8_t b[16];
        unsigned n = put_hex(b, t[k].hex);
        m.features[t[k].f / 64] &= ~(1ull << t[k].f % 64);
        assert_int_equal(isa_decode(&m, b, n, &i), n);
        assert_int_equal(i.op, t[k].without);
        if (t[k].without == ISA_OP_INVALID)
            assert_int_equal(i.imm, ISA_RULE_UD_FEATURE);
    }
}

static void segments(void **state)
{
    static const struct {
        enum isa_mode mode;
        bool flat;
        const char *hex;
        enum isa_sreg seg;
        bool check;
    } t[] = {
        {ISA_PROT32, true, "8b03", ISA_DS, false},        {ISA_PROT32, false, "8b03", ISA_DS, true},
        {ISA_PROT32, true, "8b4500", ISA_SS, false},      {ISA_PROT32, true, "8b0424", ISA_SS, false},
        {ISA_PROT32, true, "8b442d00", ISA_SS, false},    {ISA_PROT32, true, "8b046d00000000", ISA_DS, false},
        {ISA_PROT32, true, "268b4500", ISA_ES, false},    {ISA_PROT32, true, "648b03", ISA_FS, true},
        {ISA_REAL, false, "8b4600", ISA_SS, true},        {ISA_REAL, false, "8b02", ISA_SS, true},
        {ISA_REAL, false, "8b060000", ISA_DS, true},      {ISA_REAL, false, "2e8b07", ISA_CS, true},
        {ISA_LONG64, true, "498b04e4", ISA_DS, false},    {ISA_LONG64, true, "498b4500", ISA_DS, false},
        {ISA_LONG64, false, "268b4500", ISA_SS, false},   {ISA_LONG64, true, "658b03", ISA_GS, true},
        {ISA_LONG64, true, "65268b03", ISA_GS, true},     {ISA_LONG64, true, "65a5", ISA_GS, true},
        {ISA_PROT32, true, "2ea4", ISA_CS, true},         {ISA_PROT32, false, "d7", ISA_DS, true},
        {ISA_PROT32, true, "64a100000000", ISA_FS, true},
    };
    for (unsigned k = 0; k < sizeof t / sizeof t[0]; k++) {
        struct isa_insn i;
        assert_int_equal(decode_in(t[k].mode, t[k].flat, t[k].hex, &i), strlen(t[k].hex) / 2);
        assert_int_equal(i.seg, t[k].seg);
        assert_int_equal(i.segchk, t[k].check);
    }
}

// What the head of isa/opcodes.def promises to handlers.
static void conventions(void **state)
{
    struct isa_insn i = expect(ISA_LONG64, "48d1e3", ISA_OP_SHL_Ev_1);
    assert_int_equal(i.imm, 1);
    i = expect(ISA_LONG64, "4805ffffffff", ISA_OP_ADD_rAX_Iz);
    assert_true(i.rm == ISA_RAX && !i.is_mem && i.osz == 8 && i.imm == ~0ull);
    i = expect(ISA_LONG64, "83c0ff", ISA_OP_ADD_Ev_Ibs);
    assert_true(i.imm == ~0ull);
    i = expect(ISA_LONG64, "04ff", ISA_OP_ADD_AL_Ib);
    assert_true(i.rm8 == 0 && i.osz == 1 && i.imm == 0xff);
    i = expect(ISA_PROT32, "c8341202", ISA_OP_ENTER_Iw_Ib);
    assert_int_equal(i.imm, 0x21234);
    i = expect(ISA_PROT32, "ea785634120800", ISA_OP_JMP_Ap);
    assert_true(i.imm == 0x812345678ull && i.osz == 4);
    i = expect(ISA_REAL, "ea34120008", ISA_OP_JMP_Ap);
    assert_true(i.imm == 0x80000001234ull && i.osz == 2);
    i = expect(ISA_LONG64, "48a18877665544332211", ISA_OP_MOV_rAX_Ov);
    assert_true(i.is_mem && i.disp == 0x1122334455667788ull && i.base == ISA_REG_ZERO && i.index == ISA_REG_ZERO && i.reg == 0);
    i = expect(ISA_LONG64, "67a388776655", ISA_OP_MOV_Ov_rAX);
    assert_true(i.is_mem && i.disp == 0x55667788 && i.asz == 4);
    i = expect(ISA_LONG64, "4991", ISA_OP_XCHG_Zv_rAX);
    assert_true(i.rm == ISA_R9 && i.reg == ISA_RAX && i.osz == 8);
    i = expect(ISA_LONG64, "4190", ISA_OP_XCHG_Zv_rAX); // not a NOP with REX.B
    assert_int_equal(i.rm, ISA_R8);
    i = expect(ISA_LONG64, "49b8efcdab8967452301", ISA_OP_MOV_Zv_Iv);
    assert_true(i.rm == ISA_R8 && i.imm == 0x0123456789abcdefull);
    i = expect(ISA_PROT32, "b4ff", ISA_OP_MOV_Zb_Ib);
    assert_int_equal(i.rm8, 1); // AH
    i = expect(ISA_LONG64, "40b4ff", ISA_OP_MOV_Zb_Ib);
    assert_int_equal(i.rm8, 8 * ISA_RSP); // SPL
    i = expect(ISA_PROT32, "c403", ISA_OP_LES_Gz_Mp);
    assert_true(i.rm == ISA_ES && i.reg == ISA_RAX);
    i = expect(ISA_LONG64, "480fb203", ISA_OP_LSS_Gv_Mp);
    assert_true(i.rm == ISA_SS && i.osz == 8);
    i = expect(ISA_LONG64, "0fa8", ISA_OP_PUSH_GS);
    assert_true(i.rm == ISA_GS && i.osz == 8);
    i = expect(ISA_LONG64, "8cd8", ISA_OP_MOV_Ev_Sw);
    assert_true(i.reg == ISA_DS && i.osz == 4);
    i = expect(ISA_LONG64, "488c18", ISA_OP_MOV_Ev_Sw);
    assert_true(i.reg == ISA_DS && i.osz == 2 && i.is_mem);
}

// Sizes of stack and branch instructions.
static void default_sizes(void **state)
{
    assert_int_equal(expect(ISA_LONG64, "50", ISA_OP_PUSH_Zv).osz, 8);
    assert_int_equal(expect(ISA_LONG64, "6650", ISA_OP_PUSH_Zv).osz, 2);
    assert_int_equal(expect(ISA_LONG64, "66e900000000", ISA_OP_JMP_Jz).osz, 8); // 66 is ignored by Intel processors
    assert_int_equal(expect(ISA_PROT32, "66e90000", ISA_OP_JMP_Jz).osz, 2);
    assert_int_equal(expect(ISA_LONG64, "66c3", ISA_OP_RET).osz, 8);
    assert_int_equal(expect(ISA_LONG64, "cb", ISA_OP_RETF).osz, 4);
    assert_int_equal(expect(ISA_LONG64, "48cf", ISA_OP_IRET).osz, 8);
    assert_int_equal(expect(ISA_LONG64, "0f20c0", ISA_OP_MOV_Ry_Cy).osz, 8);
    assert_int_equal(expect(ISA_REAL, "0f20c0", ISA_OP_MOV_Ry_Cy).osz, 4);
    assert_int_equal(expect(ISA_LONG64, "0f2003", ISA_OP_MOV_Ry_Cy).is_mem, false); // mod is ignored
    assert_int_equal(expect(ISA_LONG64, "67e3fe", ISA_OP_JRCXZ_Jb).asz, 4);
    assert_int_equal(expect(ISA_LONG64, "f348a5", ISA_OP_MOVS_Yv_Xv).rep, ISA_REP_F3);
    assert_int_equal(expect(ISA_LONG64, "f2f390", ISA_OP_PAUSE).rep, ISA_REP_NONE);
    assert_int_equal(expect(ISA_LONG64, "4866b80100", ISA_OP_MOV_Zv_Iv).osz, 2); // REX before a prefix is lost
    assert_int_equal(expect(ISA_LONG64, "0f8500000000", ISA_OP_Jcc_Jz).cc, 5);
    assert_int_equal(expect(ISA_LONG64, "0f9fc0", ISA_OP_SETcc_Eb).cc, 15);
}

static void prepare(void **state)
{
    static uint32_t cost[ISA_COST_NUM];
    static isa_handler *const family[8] = {0};
    static isa_handler *const *table[ISA_OP_NUM];
    for (unsigned k = 0; k < ISA_COST_NUM; k++)
        cost[k] = isa_cost_info[k].teach;
    for (unsigned k = 0; k < ISA_OP_NUM; k++)
        table[k] = family;
    struct isa_insn i = expect(ISA_LONG64, "488b05f0ffffff", ISA_OP_MOV_Gv_Ev);
    assert_true(i.base == ISA_REG_RIP && i.disp == -16ull);
    isa_prepare(&i, table, 100, 3, 17, cost);
    assert_true(i.disp == 100 + 7 - 16 && i.off == 100 && i.idx == 3 && i.cost_before == 17 && i.cost == cost[ISA_COST_LOAD]);
    i = expect(ISA_LONG64, "f04801042500000000", ISA_OP_ADD_Ev_Gv);
    assert_int_equal(isa_static_cost(&i, cost), cost[ISA_COST_LOCKED]);
    i = expect(ISA_LONG64, "8703", ISA_OP_XCHG_Ev_Gv);
    assert_int_equal(isa_static_cost(&i, cost), cost[ISA_COST_LOCKED]);
    i = expect(ISA_LONG64, "4801d8", ISA_OP_ADD_Ev_Gv);
    assert_int_equal(isa_static_cost(&i, cost), cost[ISA_COST_ALU]);
    i = expect(ISA_LONG64, "8903", ISA_OP_MOV_Ev_Gv);
    assert_int_equal(isa_static_cost(&i, cost), cost[ISA_COST_STORE]);
    i = expect(ISA_LONG64, "f723", ISA_OP_MUL_Ev);
    assert_int_equal(isa_static_cost(&i, cost), cost[ISA_COST_MUL] + cost[ISA_COST_LOAD] - cost[ISA_COST_ALU]);
}

// --- the table itself

#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text) (map) << 8 | (opcode),
static const uint16_t keys[ISA_OP_NUM] = {
    0,
#include "isa/opcodes.def"
};
#undef OP

static void table_is_sorted(void **state)
{
    for (unsigned op = 2; op < ISA_OP_NUM; op++)
        assert_true(keys[op - 1] <= keys[op]);
}

static bool known_operand(const char *s, size_t n)
{
    static const char *const known =
        " Eb Ev Ew Ed Ey Gb Gv Gw Gy Gz M Ma Mb Mp Ms Mq Mdq Mv My Ry Rv Rv/Mw Zb Zv Ib Iw Iz Iv Ibs Jb Jz Ap Ob Ov Xb Xv Xz Yb "
        "Yv Yz By Sw Cy Dy Fv 1 AL rAX eAX CL DX ES CS SS DS FS GS "
        "Eq Gd Md Mw Mt Mx Rd/Mw Rd/Mb Pq Qd Qq Nq Vx Wx Wq Wd Ww Ux T0 Ti Ky ky "
        "Vdq Vqq Hx Hdq Hqq Ux Udq Wb Wdq Wqq Wh Wf We Lx md mq ";
    char word[16];
    snprintf(word, sizeof word, " %.*s ", (int)n, s);
    return n < 8 && strstr(known, word);
}

static void rows_make_sense(void **state)
{
    for (unsigned op = 1; op < ISA_OP_NUM; op++) {
        const struct isa_opinfo *o = &isa_opinfo[op];
        uint32_t p = o->props;
        for (const char *s = o->operands; *s; s += strcspn(s, ","), s += *s == ',')
            if (!known_operand(s, strcspn(s, ",")))
                fail_msg("row %u (%s): operand %s", op, o->mnemonic, s);
        bool mem = strchr(o->operands, 'M') || strchr(o->operands, 'E') || strchr(o->operands, 'O') || strpbrk(o->operands, "WQkm");
        bool only_mem = strpbrk(o->operands, "Mm") && !strchr(o->operands, '/');
        assert_int_equal(!!only_mem, !!(p & ISA_F_MEM));
        assert_true(mem || !(p & (ISA_F_RD | ISA_F_WR)));
        assert_true(!(p & ISA_F_LOCK) || (p & ISA_F_WR && p & ISA_F_RD));
        assert_true((p & (ISA_F_NO64 | ISA_F_ONLY64)) != (ISA_F_NO64 | ISA_F_ONLY64));
        assert_true(p & ISA_F_VEX || !(p & (ISA_F_L0 | ISA_F_L1 | ISA_F_LIG | ISA_F_AVX2L) || strpbrk(o->operands, "Hm")));
        assert_true(!(p & ISA_F_BRANCH) || p & ISA_F_END);
        assert_true(!(p & ISA_F_COND) || keys[op] % 16 == 0);
        assert_true(!strchr(o->operands, 'Z') || keys[op] % 8 == 0);
        assert_true(o->cost < ISA_COST_NUM && o->feature < ISA_FEAT_NUM && o->text[0] && o->mnemonic[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sorted), cmocka_unit_test(rows_make_sense), cmocka_unit_test(broken_rules),
        cmocka_unit_test(length_limit),    cmocka_unit_test(features_decide), cmocka_unit_test(segments),
        cmocka_unit_test(conventions),     cmocka_unit_test(default_sizes),   cmocka_unit_test(prepare),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
