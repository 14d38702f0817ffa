// Everything that real guests execute (isa/linux_forms.def) decodes to what it is and executes, or is of an extension that no profile
// offers.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "isa/systest.h"

static const struct form {
    unsigned mode;
    const char *encoding;
    bool w;
    const char *name;
} forms[] = {
#define FORM(mode, encoding, w, name) {mode, encoding, w, name},
#define MNEMONIC(name)
#include "isa/linux_forms.def"
#undef FORM
#undef MNEMONIC
};
static const char *const mnemonics[] = {
#define FORM(mode, encoding, w, name)
#define MNEMONIC(name) name,
#include "isa/linux_forms.def"
#undef FORM
#undef MNEMONIC
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

// --- names: one row of isa/opcodes.def stands for several names of a disassembler

static const char *const cond[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};

static const char *row_name(const char *name, char *buf)
{
    static const char *const same[][2] = {
        {"movabs", "mov"}, {"iretq", "iret"},          {"iretd", "iret"},        {"pushfq", "pushf"},  {"pushfd", "pushf"},
        {"popfq", "popf"}, {"popfd", "popf"},          {"popal", "popa"},        {"pushal", "pusha"},  {"retfq", "retf"},
        {"ljmp", "jmp"},   {"lcall", "call"},          {"cdqe", "cbw"},          {"cwde", "cbw"},      {"cqo", "cwd"},
        {"cdq", "cwd"},    {"fxsave64", "fxsave"},     {"fxrstor64", "fxrstor"}, {"xsave64", "xsave"}, {"xrstor64", "xrstor"},
        {"jcxz", "jrcxz"}, {"xsaveopt64", "xsaveopt"}, {"fwait", "wait"},        {"endbr64", "nop"},   {"prefetcht0", "nop"},
    };
    static const char *const kinds[] = {"cmov", "set", "j"};
    static const char *const prefixes[] = {"rep ", "repe ", "repne ", "lock "};
    static const char *const strings[] = {"movs", "stos", "lods", "scas", "cmps", "ins", "outs"};
    for (unsigned k = 0; k < COUNT(prefixes); k++)
        if (strncmp(name, prefixes[k], strlen(prefixes[k])) == 0)
            name += strlen(prefixes[k]);
    for (unsigned k = 0; k < COUNT(same); k++)
        if (strcmp(name, same[k][0]) == 0)
            return same[k][1];
    for (unsigned k = 0; k < COUNT(kinds); k++)
        for (unsigned n = 0; n < 16; n++) {
            snprintf(buf, 16, "%s%s", kinds[k], cond[n]);
            if (strcmp(buf, name) == 0) {
                snprintf(buf, 16, "%scc", kinds[k]);
                return buf;
            }
        }
    for (unsigned k = 0; k < COUNT(strings); k++) {
        size_t n = strlen(strings[k]);
        if (strncmp(name, strings[k], n) == 0 && strlen(name) == n + 1 && strchr("bwdq", name[n])) {
            snprintf(buf, 16, "%s", strings[k]);
            return buf;
        }
    }
    return name;
}

static bool row_is(unsigned op, const char *name)
{
    char buf[16];
    const char *want = row_name(name, buf), *have = isa_opinfo[op].mnemonic;
    size_t n = strlen(want);
    // Rows of string instructions may carry the size: movsb, movsd ...
    return strcmp(have, want) == 0 || (strncmp(have, want, n) == 0 && strlen(have) == n + 1 && strchr("bwdqv", have[n])) ||
           strcmp(have, name) == 0;
}

// --- forms

// Bytes of a form, behind a mandatory prefix that the encoding does not name (0: none). ModRM names register rm, or [rBX] for MEM.
#define MEM 8
static void bytes_of(const struct form *f, uint8_t prefix, unsigned rm, uint8_t *b)
{
    const char *s = f->encoding, *slash = strchr(s, '/');
    unsigned n = 0, reg = slash ? (unsigned)slash[1] - '0' : 0;
    if (prefix)
        b[n++] = prefix;
    for (const char *dot; (dot = strchr(s, '.')); s = dot + 1)
        b[n++] = (uint8_t)strtoul(s, NULL, 16);
    if (f->w)
        b[n++] = 0x48;
    for (; isxdigit((unsigned char)s[0]); s += 2)
        b[n++] = (uint8_t)strtoul((const char[]){s[0], s[1], 0}, NULL, 16);
    b[n++] = (uint8_t)(reg << 3 | (rm == MEM ? 3 : 0xc0 | rm));
    memset(b + n, 0, 15 - n);
}

static bool decodes(const struct st *t, const uint8_t *b, struct isa_insn *i)
{
    struct isa_decode_mode m = {.mode = t->c.mode, .flat = t->c.mode_key & ISA_KEY_FLAT};
    memset(m.features, 0xff, sizeof m.features);
    return isa_decode(&m, b, 15, i) > 0 && i->op != ISA_OP_INVALID;
}

static void prepare(struct st *t, unsigned mode)
{
    st_init(t, mode == 64 ? ST_L64 : ST_P32, 0);
    t->c.cr4 |= ISA_CR4_OSFXSR | ISA_CR4_OSXMMEXCPT | ISA_CR4_OSXSAVE | ISA_CR4_FSGSBASE;
    t->c.efer |= ISA_EFER_SCE;
    t->c.xcr0 = 3;
}

static void test_forms(void **state)
{
    struct st *t = malloc(sizeof *t);
    unsigned ran = 0;
    for (unsigned k = 0; k < COUNT(forms); k++) {
        unsigned fits = 0;
        for (unsigned way = 0; way < 3 * (MEM + 1); way++) {
            static const uint8_t prefix[] = {0, 0xf2, 0xf3};
            uint8_t b[16];
            struct isa_insn i;
            prepare(t, forms[k].mode);
            bytes_of(&forms[k], prefix[way / (MEM + 1)], way % (MEM + 1), b);
            if (!decodes(t, b, &i) || !row_is(i.op, forms[k].name))
                continue;
            fits++;
            st_code(t, b, 15);
            int r = st_step(t);
            if (r == ISA_R_FAULT && t->c.fault.vector == ISA_X_UD && strcmp(forms[k].name, "ud2") != 0)
                fail_msg("%u:%s %s: #UD (%s)", forms[k].mode, forms[k].encoding, forms[k].name, isa_rule_info(t->c.fault.rule)->id);
            ran++;
        }
        if (!fits)
            fail_msg("%u:%s %s: decodes to something else", forms[k].mode, forms[k].encoding, forms[k].name);
    }
    printf("# forms of real guests: %u, executed in %u ways\n", (unsigned)COUNT(forms), ran);
    free(t);
}

// --- mnemonics

// Extensions without rows. No profile can offer them: isa/features.def does not know them.
static bool not_offered(const char *name)
{
    static const char *const svm[] = {"vmload", "vmsave"};
    bool found = false;
    for (unsigned k = 0; k < COUNT(svm); k++)
        found |= strcmp(name, svm[k]) == 0;
    return found;
}

static void test_mnemonics(void **state)
{
    unsigned rows = 0, refused = 0;
    for (unsigned k = 0; k < COUNT(mnemonics); k++) {
        bool have = false;
        for (unsigned op = 1; op < ISA_OP_NUM && !have; op++)
            have = row_is(op, mnemonics[k]);
        if (have == not_offered(mnemonics[k]))
            fail_msg("%s: %s", mnemonics[k], have ? "has a row, but counts as not offered" : "no row of isa/opcodes.def");
        rows += have;
        refused += !have;
    }
    assert_true(refused);
    for (unsigned f = 1; f < ISA_FEAT_NUM; f++) {
        assert_null(strstr(isa_feature_info[f].flag, "avx512"));
        assert_string_not_equal(isa_feature_info[f].flag, "svm");
    }
    printf("# mnemonics of real guests: %u have rows, %u belong to SVM, which no profile offers\n", rows, refused);
}

// RSM has a row, and is #UD outside system-management mode.
static void test_rsm(void **state)
{
    struct st *t = malloc(sizeof *t);
    prepare(t, 64);
    st_code(t, "\x0f\xaa", 2);
    assert_int_equal(st_step(t), ISA_R_FAULT);
    assert_int_equal(t->c.fault.rule, ISA_RULE_UD_SMM);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_mnemonics),
        cmocka_unit_test(test_rsm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
