// isa/refused_test.c: what the processor has not (docs/quirks.md) is refused, and the rule of the refusal says why: bits of CR4, model-specific
// registers and instructions of features that are not modelled.
#include <stdlib.h>

#include "isa/msr.h"
#include "isa/systest.h"

static struct st *machine(void)
{
    struct st *t = calloc(1, sizeof *t);
    assert_non_null(t);
    st_init(t, ST_L64, 0);
    return t;
}

static void test_cr4(void **state)
{
    static const struct {
        unsigned bit;
        const char *name;
    } bits[] = {{0, "VME"},  {1, "PVI"},  {14, "SMXE"},  {15, "reserved"}, {19, "KL"},
                {23, "CET"}, {24, "PKS"}, {25, "UINTR"}, {28, "LAM_SUP"},  {32, "FRED"}};
    for (unsigned k = 0; k < sizeof bits / sizeof *bits; k++) {
        struct st *t = machine();
        const uint64_t old = t->c.cr4;
        t->c.gpr[ISA_RAX] = old | 1ull << bits[k].bit;
        st_code(t, "\x0f\x22\xe0", 3); // mov cr4, rax
        if (st_step(t) != ISA_R_FAULT || t->c.fault.vector != ISA_X_GP || t->c.fault.rule != ISA_RULE_GP_CR4_RESERVED)
            fail_msg("CR4.%s is not refused", bits[k].name);
        assert_int_equal(t->c.cr4, old);
        free(t);
    }
}

static void test_msrs(void **state)
{
    static const struct {
        uint32_t msr;
        const char *name;
    } msrs[] = {{0x8c, "IA32_SGXLEPUBKEYHASH0"},
                {0x9b, "IA32_SMM_MONITOR_CTL"},
                {0x9e, "IA32_SMBASE"},
                {0xe1, "IA32_UMWAIT_CONTROL"},
                {0x1c4, "IA32_XFD"},
                {0x570, "IA32_RTIT_CTL"},
                {0x6a0, "IA32_U_CET"},
                {0x6a2, "IA32_S_CET"},
                {0x6e1, "IA32_PKRS"},
                {0x988, "IA32_UINTR_MISC"},
                {0xd93, "IA32_PASID"},
                {0x14ce, "IA32_LBR_CTL"}};
    for (unsigned k = 0; k < 2 * (sizeof msrs / sizeof *msrs); k++) {
        struct st *t = machine();
        t->c.gpr[ISA_RCX] = msrs[k / 2].msr;
        t->c.gpr[ISA_RAX] = t->c.gpr[ISA_RDX] = 0;
        st_code(t, k & 1 ? "\x0f\x30" : "\x0f\x32", 2); // wrmsr, rdmsr
        if (st_step(t) != ISA_R_FAULT || t->c.fault.vector != ISA_X_GP || t->c.fault.rule != ISA_RULE_GP_MSR_UNKNOWN)
            fail_msg("%s is not refused", msrs[k / 2].name);
        free(t);
    }
}

static void test_instructions(void **state)
{
    static const struct {
        const char *name, *code;
        unsigned n;
        enum isa_rule rule;
    } insns[] = {
        {"rsm", "\x0f\xaa", 2, ISA_RULE_UD_SMM},
        {"getsec", "\x0f\x37", 2, ISA_RULE_UD_SMX},
        {"encls", "\x0f\x01\xcf", 3, ISA_RULE_UD_OPCODE},
        {"enclu", "\x0f\x01\xd7", 3, ISA_RULE_UD_OPCODE},
        {"enclv", "\x0f\x01\xc0", 3, ISA_RULE_UD_OPCODE},
        {"pconfig", "\x0f\x01\xc5", 3, ISA_RULE_UD_OPCODE},
        {"umwait ecx", "\xf2\x0f\xae\xf1", 4, ISA_RULE_UD_OPCODE},
        {"tpause ecx", "\x66\x0f\xae\xf1", 4, ISA_RULE_UD_OPCODE},
        {"umonitor rcx", "\xf3\x0f\xae\xf1", 4, ISA_RULE_UD_OPCODE},
        {"enqcmd rax, [rbx]", "\xf2\x0f\x38\xf8\x03", 5, ISA_RULE_UD_OPCODE},
        {"enqcmds rax, [rbx]", "\xf3\x0f\x38\xf8\x03", 5, ISA_RULE_UD_OPCODE},
        {"loadiwkey xmm0, xmm1", "\xf3\x0f\x38\xdc\xc1", 5, ISA_RULE_UD_OPCODE},
        {"senduipi rax", "\xf3\x0f\xc7\xf0", 4, ISA_RULE_UD_OPCODE},
        {"wrssd [rbx], eax", "\x0f\x38\xf6\x03", 4, ISA_RULE_UD_OPCODE},
        {"saveprevssp", "\xf3\x0f\x01\xea", 4, ISA_RULE_UD_OPCODE},
        {"xbegin $", "\xc7\xf8\0\0\0\0", 6, ISA_RULE_UD_OPCODE},
        {"ptwrite eax", "\xf3\x0f\xae\xe0", 4, ISA_RULE_UD_OPCODE},
    };
    for (unsigned k = 0; k < sizeof insns / sizeof *insns; k++) {
        struct st *t = machine();
        st_code(t, insns[k].code, insns[k].n);
        if (st_step(t) != ISA_R_FAULT || t->c.fault.vector != ISA_X_UD)
            fail_msg("%s is not refused", insns[k].name);
        // Some share their opcode with an instruction that takes memory only.
        if (t->c.fault.rule != insns[k].rule && (insns[k].rule != ISA_RULE_UD_OPCODE || t->c.fault.rule != ISA_RULE_UD_FORM))
            fail_msg("%s is refused by %s", insns[k].name, isa_rule_info(t->c.fault.rule)->id);
        free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cr4), cmocka_unit_test(test_msrs),
                                       cmocka_unit_test(test_instructions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
