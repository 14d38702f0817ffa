// sim/disasm_test.c: what people read: modes, syntaxes, symbols, and bytes that are no instruction.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim/internal.h"

struct fix {
    struct sim_machine *m;
    struct isa_cpu *c;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof *f);
    struct sim_config cfg = {.ram_bytes = 1 << 20};
    struct sim_error err = {0};
    f->m = sim_create(&cfg, &err);
    assert_non_null(f->m);
    f->c = sim_cpu(f->m, 0);
    f->c->seg[ISA_CS].base = 0;
    sim_symbol_add(f->m, "start", 0x7c00);
    sim_symbol_add(f->m, "gdt", 0x8000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;
    sim_destroy(f->m);
    free(f);
    return 0;
}

static void check(struct fix *f, enum isa_mode mode, uint64_t la, bool att, const char *bytes, unsigned n, unsigned len,
                  const char *expect)
{
    char text[128];
    f->c->mode = (uint8_t)mode;
    assert_int_equal(disasm_bytes(f->m, f->c, la, att, (const uint8_t *)bytes, n, text, sizeof text), len);
    assert_string_equal(text, expect);
}

static void modes_and_syntaxes(void **state)
{
    struct fix *f = *state;
    check(f, ISA_LONG64, 0x10, false, "\x48\x89\x44\x8b\x10", 5, 5, "mov [rbx+rcx*4+0x10], rax");
    check(f, ISA_LONG64, 0x10, true, "\x48\x89\x44\x8b\x10", 5, 5, "mov %rax, 0x10(%rbx,%rcx,4)");
    check(f, ISA_PROT32, 0x10, false, "\x0f\x01\x50\x06", 4, 4, "lgdt [eax+0x6]");
    check(f, ISA_REAL, 0x10, false, "\xb8\x34\x12", 3, 3, "mov ax, 0x1234");
    check(f, ISA_V86, 0x10, false, "\xcd\x21", 2, 2, "int 0x21");
    check(f, ISA_REAL, 0x10, false, "\x00\x00", 2, 2, "add [bx+si], al");
    check(f, ISA_REAL, 0x10, true, "\x00\x00", 2, 2, "add %al, (%bx,%si)");
    check(f, ISA_LONG64, 0x10, false, "\x8b\x44\x08\x04", 4, 4, "mov eax, [rax+rcx+0x4]");
}

static void symbols(void **state)
{
    struct fix *f = *state;
    check(f, ISA_LONG64, 0x7c10, false, "\xe8\xeb\xff\xff\xff", 5, 5, "call 0x7c00 <start>");
    check(f, ISA_LONG64, 0x7c10, false, "\x0f\x01\x15\xe9\x03\x00\x00", 7, 7, "lgdt [0x8000 <gdt>]");
    f->c->seg[ISA_CS].base = 0x7000; // the text shows the offset, the symbol is found by linear address
    check(f, ISA_REAL, 0x7c10, false, "\xeb\xee", 2, 2, "jmp 0xc00 <start>");
    f->c->seg[ISA_CS].base = 0;
    check(f, ISA_REAL, 0x10, false, "\xeb\x00", 2, 2, "jmp 0x12");
}

// The definition that counts does not depend on what was looked up before, and what is no text is no name.
static void names_twice(void **state)
{
    struct fix *f = *state;
    char text[32];
    uint64_t addr = 0;
    sim_symbol_add(f->m, "start", 0x9000);
    sim_symbol_add(f->m, "twice", 0x9100);
    sim_symbol_add(f->m, "twice", 0x7d00);
    sim_symbol_add(f->m, "a\x1b[2J\nb", 0x5000);
    for (unsigned n = 0; n < 2; n++) {
        assert_true(sim_symbol_addr(f->m, "start", &addr));
        assert_int_equal(addr, 0x9000);
        assert_true(sim_symbol_addr(f->m, "twice", &addr));
        assert_int_equal(addr, 0x7d00);
        sim_symbol(f->m, 0x7c00, text, sizeof text); // sorts
        assert_string_equal(text, "start");
    }
    sim_symbol(f->m, 0x5000, text, sizeof text);
    assert_string_equal(text, "");
}

static void not_an_instruction(void **state)
{
    struct fix *f = *state;
    check(f, ISA_LONG64, 0, false, "\x06", 1, 1, "(undefined)");
    check(f, ISA_LONG64, 0, false, "\x48\x8b", 2, 2, "(cut off by an unreadable page)");
    check(f, ISA_LONG64, 0, false, "", 0, 0, "(unreadable)");
    check(f, ISA_LONG64, 0, false, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15, 1, "(undefined)");
}

// From memory: the end of RAM cuts an instruction off.
static void reads_memory(void **state)
{
    struct fix *f = *state;
    char text[128];
    uint8_t bytes[16];
    assert_int_equal(sim_poke(f->m, 0, SIM_HOST_PHYSICAL, 0x7c00, "\xb8\x34\x12\xf4", 4), 4);
    assert_int_equal(sim_disasm(f->m, 0, 0x7c00, false, text, sizeof text, bytes), 3);
    assert_string_equal(text, "mov ax, 0x1234");
    assert_memory_equal(bytes, "\xb8\x34\x12\xf4", 4);
    assert_int_equal(sim_disasm(f->m, 0, 0x7c03, true, text, sizeof text, bytes), 1);
    assert_string_equal(text, "hlt");
    assert_int_equal(sim_poke(f->m, 0, SIM_HOST_PHYSICAL, 0xfffff, "\xb8", 1), 1);
    assert_int_equal(sim_disasm(f->m, 0, 0xfffff, false, text, sizeof text, bytes), 1);
    assert_string_equal(text, "(cut off by an unreadable page)");
    assert_int_equal(sim_disasm(f->m, 0, 0x200000, false, text, sizeof text, bytes), 0);
    assert_string_equal(text, "(unreadable)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modes_and_syntaxes, setup, teardown),
        cmocka_unit_test_setup_teardown(symbols, setup, teardown),
        cmocka_unit_test_setup_teardown(names_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(not_an_instruction, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
