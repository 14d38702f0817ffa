// isa/exec_table_test.c: every instruction that the decoder can produce has a handler, under both dispatchers.
// (That every family exists is the linker's business: isa/exec_table.c names them all.)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "isa/decode_testing.h"
#include "isa/exec.h"

static bool used[ISA_OP_NUM][8];

static void decode_map(const struct isa_decode_mode *m, const char *before, const char *map)
{
    uint8_t b[40] = {0};
    unsigned n = put_hex(b, before);
    n += put_hex(b + n, map);
    for (unsigned x = 0; x < 0x10000; x++) { // opcode, and ModRM or first immediate byte
        struct isa_insn i;
        b[n] = (uint8_t)(x >> 8);
        b[n + 1] = (uint8_t)x;
        isa_decode(m, b, 16, &i);
        used[i.op][__builtin_ctz(i.osz) * 2 + i.is_mem] = true;
    }
}

// Decode everything once: opcodes of all maps under the prefixes that change size or row, and VEX with all prefix fields and W.
static void decode_all(const struct isa_decode_mode *m)
{
    static const char *const before[] = {"", "66", "f2", "f3", "48", "66f3", "f348", "41"};
    static const char *const maps[] = {"", "0f", "0f38", "0f3a"};
    static const char *const vex[] = {"c4e278", "c4e279", "c4e27a", "c4e27b", "c4e37b",
                                      "c4e2f8", "c4e2f9", "c4e2fa", "c4e2fb", "c4e3fb"};
    for (unsigned p = 0; p < sizeof before / sizeof before[0]; p++)
        for (unsigned k = 0; k < sizeof maps / sizeof maps[0]; k++)
            decode_map(m, before[p], maps[k]);
    for (unsigned k = 0; k < sizeof vex / sizeof vex[0]; k++)
        decode_map(m, "", vex[k]);
}

static void check(isa_handler *const *const *table, const char *name)
{
    unsigned bad = 0;
    for (unsigned op = 0; op < ISA_OP_NUM; op++)
        for (unsigned k = 0; k < 8; k++)
            if (used[op][k] && (!table[op][k] || table[op][k] == isa_h_bug)) {
                print_error("%s: %s %s, %u bits, %s: no handler\n", name, isa_opinfo[op].mnemonic, isa_opinfo[op].operands,
                            8u << k / 2, k & 1 ? "memory" : "register");
                bad++;
            }
    assert_int_equal(bad, 0);
}

static void every_form_has_a_handler(void **state)
{
    static const enum isa_mode modes[] = {ISA_REAL, ISA_PROT32, ISA_LONG64};
    unsigned forms = 0;
    for (unsigned k = 0; k < 3; k++) {
        struct isa_decode_mode m = mode_of(modes[k], true);
        decode_all(&m);
    }
    for (unsigned k = 0; k < ISA_OP_NUM * 8; k++)
        forms += used[k / 8][k % 8];
    printf("# handlers: %u forms of %u rows\n", forms, ISA_OP_NUM - 1);
    check(isa_run_loop, "loop");
#ifndef RINGSIDE_NO_TAIL
    check(isa_run_tail, "tail");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form_has_a_handler)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
