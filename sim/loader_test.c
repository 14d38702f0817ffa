// Images: what loads, where, with which start state; and what hostile ones get: one clear message, never a crash.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/flags.h"
#include "sim/inspect.h"
#include "sim/loader.h"

#include <elf.h>

static struct sim_machine *m;
static struct sim_error err;

static int set_up(void **state)
{
    struct sim_config cfg = {.ram_bytes = 4 << 20};
    m = sim_create(&cfg, &err);
    return m ? 0 : -1;
}
static int tear_down(void **state)
{
    sim_destroy(m);
    return 0;
}

static uint32_t peek32(uint64_t a)
{
    uint32_t v = 0xdeadbeef;
    sim_peek(m, 0, SIM_HOST_PHYSICAL, a, &v, 4);
    return v;
}

static void test_flat(void **state)
{
    struct sim_loaded out;
    struct sim_load how = {.addr = 0x7c00};
    assert_int_equal(sim_load_bytes(m, "boot", "\xeb\xfe\x90\x90", 4, &how, &out, &err), 0);
    assert_int_equal(peek32(0x7c00), 0x9090feeb);
    assert_int_equal(sim_cpu(m, 0)->rip, 0x7c00);
    assert_int_equal(sim_cpu(m, 0)->mode, ISA_REAL);
    how.start = SIM_START_LONG64;
    assert_int_equal(sim_load_bytes(m, "boot", "\xeb\xfe", 2, &how, &out, &err), 0);
    assert_int_equal(sim_cpu(m, 0)->mode, ISA_LONG64);
    how.addr = 0x3fffff;
    assert_int_equal(sim_load_bytes(m, "boot", "\xeb\xfe", 2, &how, &out, &err), -1);
    assert_int_equal(err.status, SIM_IMAGE);
    assert_non_null(strstr(err.what, "4 MiB of RAM"));
    how.addr = UINT64_MAX;
    assert_int_equal(sim_load_bytes(m, "boot", "\xeb\xfe", 2, &how, &out, &err), -1);
}

// An ELF64 of one segment at 2 MiB, with room for damage.
struct tiny64 {
    Elf64_Ehdr e;
    Elf64_Phdr p;
    uint8_t code[16];
};
static struct tiny64 tiny64(void)
{
    struct tiny64 t;
    memset(&t, 0, sizeof t);
    memcpy(t.e.e_ident, ELFMAG "\2\1\1", 7);
    t.e.e_type = ET_EXEC;
    t.e.e_machine = EM_X86_64;
    t.e.e_entry = 0xffff800000200004;
    t.e.e_phoff = offsetof(struct tiny64, p);
    t.e.e_phentsize = sizeof(Elf64_Phdr);
    t.e.e_phnum = 1;
    t.p = (Elf64_Phdr){.p_type = PT_LOAD,
                       .p_offset = offsetof(struct tiny64, code),
                       .p_vaddr = 0xffff800000200000,
                       .p_paddr = 0x200000,
                       .p_filesz = 16,
                       .p_memsz = 0x1000};
    memset(t.code, 0x90, sizeof t.code);
    return t;
}

static void test_elf64(void **state)
{
    struct tiny64 t = tiny64();
    struct sim_loaded out;
    uint32_t junk = 0x11111111;
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x200800, &junk, 4);
    assert_int_equal(sim_load_bytes(m, "k.elf", &t, sizeof t, NULL, &out, &err), 0);
    assert_int_equal(out.entry, 0x200004); // through the segment that holds it
    assert_int_equal(peek32(0x200000), 0x90909090);
    assert_int_equal(peek32(0x200800), 0); // bss is cleared
    assert_int_equal(out.hi, 0x201000);
    assert_int_equal(sim_cpu(m, 0)->mode, ISA_LONG64);
}

// A file of text is nobody's flat binary.
static void test_text(void **state)
{
    static const char text[] = "# A page\n\nin several\nlines\n";
    struct sim_loaded out;
    memset(&err, 0, sizeof err);
    assert_int_equal(sim_load_bytes(m, "README.md", text, sizeof text - 1, NULL, &out, &err), -1);
    assert_int_equal(err.status, SIM_IMAGE);
    assert_non_null(strstr(err.what, "this is text"));
    const struct sim_load flat = {.image = SIM_IMAGE_FLAT, .addr = 0x7c00}; // but if somebody insists
    assert_int_equal(sim_load_bytes(m, "README.md", text, sizeof text - 1, &flat, &out, &err), 0);
}

// What nobody would read is refused.
static void test_no_multiboot(void **state)
{
    static const uint8_t flat[16] = {0xf4};
    struct sim_loaded out;
    const struct sim_load line = {.addr = 0x7c00, .cmdline = "x"},
                          module = {.addr = 0x7c00, .modules = {{.path = "y"}}, .nmodules = 1};
    memset(&err, 0, sizeof err);
    assert_int_equal(sim_load_bytes(m, "g.bin", flat, sizeof flat, &line, &out, &err), -1);
    assert_non_null(strstr(err.what, "a flat binary: only a Multiboot image takes a command line"));
    struct tiny64 t = tiny64();
    assert_int_equal(sim_load_bytes(m, "k.elf", &t, sizeof t, &module, &out, &err), -1);
    assert_non_null(strstr(err.what, "takes modules"));
}

static void test_bad_elf(void **state)
{
    struct sim_loaded out;
    static const struct {
        unsigned what;
        const char *says;
    } rows[] = {
        {0, "truncated"},       {1, "machine type"},        {2, "not an executable"}, {3, "program header table"},
        {4, "truncated"},       {5, "inconsistent"},        {6, "MiB of RAM"},        {7, "class"},
        {8, "nothing to load"}, {9, "an operating system"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tiny64 t = tiny64();
        uint64_t n = sizeof t;
        switch (rows[i].what) {
        case 0: n = 20; break;
        case 1: t.e.e_machine = EM_AARCH64; break;
        case 2: t.e.e_type = ET_REL; break;
        case 3: t.e.e_phoff = UINT64_MAX - 8; break;
        case 4: t.p.p_filesz = 17; break;
        case 5: t.p.p_memsz = 3; break;
        case 6: t.p.p_memsz = 1ull << 40; break;
        case 7: t.e.e_ident[EI_DATA] = ELFDATA2MSB; break;
        case 8: t.p.p_type = PT_NOTE; break;
        case 9: t.p.p_type = PT_INTERP; break;
        }
        memset(&err, 0, sizeof err);
        assert_int_equal(sim_load_bytes(m, "k.elf", &t, n, NULL, &out, &err), -1);
        assert_int_equal(err.status, SIM_IMAGE);
        if (!strstr(err.what, rows[i].says))
            fail_msg("row %u: \"%s\" does not say \"%s\"", i, err.what, rows[i].says);
    }
}

static void test_multiboot(void **state)
{
    // Header with load addresses: the image at 1 MiB, entry 1 MiB + 20H.
    uint32_t img[16] = {0x1badb002, 0x10000, (uint32_t) - (0x1badb002 + 0x10000), 0x100000, 0x100000, 0, 0x101000, 0x100020};
    struct sim_loaded out;
    struct sim_load how = {.cmdline = "a=1"};
    assert_int_equal(sim_load_bytes(m, "kernel", img, sizeof img, &how, &out, &err), 0);
    assert_int_equal(out.image, SIM_IMAGE_MULTIBOOT);
    const struct isa_cpu *c = sim_cpu(m, 0);
    assert_int_equal(c->gpr[ISA_RAX], 0x2badb002);
    assert_int_equal(c->rip, 0x100020);
    assert_int_equal(c->mode, ISA_PROT32);
    assert_false(isa_rflags(c) & ISA_FL_IF);
    uint64_t info = c->gpr[ISA_RBX];
    assert_int_equal(peek32(info) & 0x45, 0x45);
    assert_int_equal(peek32(info + 8), (4 << 10) - 1024); // mem_upper in KiB
    char cmd[16] = "";
    sim_peek(m, 0, SIM_HOST_PHYSICAL, peek32(info + 16), cmd, 11);
    assert_string_equal(cmd, "kernel a=1");
    // INT 15H in real mode says that there is no such service: carry.
    const uint8_t ask[] = {0xf8, 0xcd, 0x15, 0x73, 0xfe, 0xf4}; // clc; int 15h; jnc $; hlt
    struct isa_cpu *real = sim_cpu(m, 0);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x7c00, ask, sizeof ask);
    real->cr0 &= ~(uint64_t)ISA_CR0_PE;
    real->idtr = (struct isa_dtr){0, 0x3ff};
    real->seg[ISA_CS] = real->seg[ISA_SS] = (struct isa_seg){.limit = 0xffff, .ar = 0x93};
    real->rip = 0x7c00;
    real->gpr[ISA_RSP] = 0x7c00;
    isa_update_mode(real);
    sim_touch(m, 0);
    assert_int_equal(sim_run(m, &(struct sim_until){.max_insns = 1000}).kind, SIM_STOP_HALT);
    img[1] = 4, img[2] = (uint32_t) - (0x1badb002 + 4); // wants a video mode
    assert_int_equal(sim_load_bytes(m, "kernel", img, sizeof img, &how, &out, &err), -1);
    assert_non_null(strstr(err.what, "video"));
    img[1] = 0x10000, img[2] = (uint32_t) - (0x1badb002 + 0x10000), img[5] = 0x200000; // load_end beyond the file
    assert_int_equal(sim_load_bytes(m, "kernel", img, sizeof img, &how, &out, &err), -1);
    assert_non_null(strstr(err.what, "truncated"));
}

static void test_foreign_and_missing(void **state)
{
    struct sim_loaded out;
    assert_int_equal(sim_load_bytes(m, "x.gz", "\x1f\x8b\x08\x00zzzz", 8, NULL, &out, &err), -1);
    assert_non_null(strstr(err.what, "gunzip"));
    assert_int_equal(sim_load_bytes(m, "empty", "", 0, NULL, &out, &err), -1);
    assert_non_null(strstr(err.what, "empty"));
    assert_int_equal(sim_load_file(m, "/nonexistent/guest.bin", NULL, &out, &err), -1);
    assert_non_null(strstr(err.what, "/nonexistent/guest.bin"));
    assert_int_equal(sim_load_file(m, "/", NULL, &out, &err), -1);
}

// Random damage never crashes and always says something.
static void test_damage(void **state)
{
    uint64_t x = 88172645463325252ull;
    for (unsigned k = 0; k < 20000; k++) {
        struct tiny64 t = tiny64();
        struct sim_loaded out;
        for (unsigned j = 0; j < 3; j++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            ((uint8_t *)&t)[4 + x % (sizeof t - 20)] = (uint8_t)(x >> 32);
        }
        err.what[0] = 0;
        struct sim_load how = {.start = SIM_START_KEEP};
        if (sim_load_bytes(m, "k.elf", &t, sizeof t, &how, &out, &err) < 0)
            assert_true(err.what[0] != 0);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(test_flat), T(test_elf64),     T(test_no_multiboot),        T(test_bad_elf),
                                       T(test_text), T(test_multiboot), T(test_foreign_and_missing), T(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
