// Tests of inspection: registers by name, memory, descriptors, counters, configuration errors; and that looking changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "isa/flags.h"
#include "sim/internal.h"
#include "sim/loader.h"

#define CODE 0x100000u

static struct sim_machine *boot(enum sim_start start)
{
    static const uint8_t code[] = {0x90, 0x90, 0xf4};
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20}, &err);
    assert_non_null(m);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = start, .addr = start == SIM_START_REAL ? 0x7c00 : CODE};
    assert_int_equal(sim_load_bytes(m, "test", code, sizeof code, &l, NULL, &err), 0);
    return m;
}

static uint64_t reg(struct sim_machine *m, const char *name)
{
    uint64_t v = 0;
    if (!sim_reg_get(m, 0, name, &v))
        fail_msg("no register %s", name);
    return v;
}

static void test_every_register(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    unsigned n = 0;
    for (; sim_reg_name(n); n++) {
        uint64_t v;
        assert_true(sim_reg_get(m, 0, sim_reg_name(n), &v));
        for (unsigned k = 0; k < n; k++)
            assert_string_not_equal(sim_reg_name(k), sim_reg_name(n));
    }
    assert_true(n > 100);
    uint64_t v;
    assert_false(sim_reg_get(m, 0, "rex", &v));
    assert_false(sim_reg_get(m, 0, "msr.NONE", &v));
    assert_false(sim_reg_get(m, 1, "rax", &v));
    assert_false(sim_reg_set(m, 0, "cpl", 3));
    assert_false(sim_reg_set(m, 0, "msr.IA32_VMX_BASIC", 0));
    assert_int_equal(reg(m, "msr.IA32_VMX_BASIC"), m->profile->vmx.basic);
    sim_destroy(m);
}

static void test_parts(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    assert_true(sim_reg_set(m, 0, "rax", 0x1122334455667788));
    assert_int_equal(reg(m, "eax"), 0x55667788);
    assert_int_equal(reg(m, "ax"), 0x7788);
    assert_int_equal(reg(m, "ah"), 0x77);
    assert_int_equal(reg(m, "al"), 0x88);
    assert_true(sim_reg_set(m, 0, "ah", 0xab));
    assert_int_equal(reg(m, "rax"), 0x112233445566ab88);
    assert_true(sim_reg_set(m, 0, "ax", 0x1234));
    assert_int_equal(reg(m, "rax"), 0x1122334455661234);
    assert_true(sim_reg_set(m, 0, "eax", 5)); // as instructions do: clears the upper half
    assert_int_equal(reg(m, "rax"), 5);
    assert_true(sim_reg_set(m, 0, "r15b", 0xff));
    assert_int_equal(reg(m, "r15"), 0xff);
    assert_true(sim_reg_set(m, 0, "rflags", 0x246));
    assert_int_equal(reg(m, "rflags"), 0x246);
    assert_int_equal(isa_rflags(sim_cpu(m, 0)), 0x246);
    assert_int_equal(reg(m, "cs"), 0x18);
    assert_int_equal(reg(m, "cs.ar"), 0xa09b);
    sim_destroy(m);
}

// What follows from a register follows a raw write too.
static void test_derived(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    const struct isa_cpu *c = sim_cpu(m, 0);
    assert_string_equal(sim_mode_name(c), "64-bit");
    sim_reg_set(m, 0, "cs.ar", 0xc09b);
    assert_string_equal(sim_mode_name(c), "compatibility-32");
    sim_reg_set(m, 0, "ss.ar", 0xc0f3);
    assert_int_equal(reg(m, "cpl"), 3);
    sim_destroy(m);

    m = boot(SIM_START_LONG64); // CR3: translations of the old tables are gone
    sim_run(m, &(struct sim_until){.insns = 1});
    uint64_t pd[512], up, v = 0x1234;
    for (unsigned k = 0; k < 512; k++) // every page of the first GiB shows the second 2 MiB
        pd[k] = 0x200000 | 0x83;
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x12000, pd, sizeof pd);
    up = 0x12003;
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x11000, &up, 8);
    up = 0x11003;
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x10000, &up, 8);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x300000, "\xf4", 1);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x300000 + 0x10, &v, 8);
    sim_reg_set(m, 0, "rip", CODE);
    sim_reg_set(m, 0, "cr3", 0x10000);
    uint64_t got = 0;
    assert_int_equal(sim_peek(m, 0, SIM_LINEAR, CODE + 0x10, &got, 8), 8);
    assert_int_equal(got, v);
    struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 10});
    assert_int_equal(s.kind, SIM_STOP_HALT);
    assert_int_equal(reg(m, "rip"), CODE + 1);
    sim_destroy(m);
}

static void test_memory(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    uint8_t buf[64] = {0}, want[64];
    uint64_t not_present = 0, hash;
    for (unsigned k = 0; k < 64; k++)
        want[k] = (uint8_t)(k * 7);
    assert_int_equal(sim_poke(m, 0, SIM_LINEAR, 0x2fffe0, want, 64), 64); // crosses a page
    hash = sim_state_hash(m);
    uint64_t tlb = sim_tlb_hash(m);
    assert_int_equal(sim_peek(m, 0, SIM_LINEAR, 0x2fffe0, buf, 64), 64);
    assert_memory_equal(buf, want, 64);
    assert_int_equal(sim_peek(m, 0, SIM_GUEST_PHYSICAL, 0x2fffe0, buf, 64), 64);
    assert_memory_equal(buf, want, 64);
    assert_int_equal(sim_peek(m, 0, SIM_HOST_PHYSICAL, 0x3fffe0, buf, 64), 32); // up to the end of RAM
    assert_int_equal(sim_peek(m, 0, SIM_LINEAR, 0x8000000000, buf, 1), 0);      // not mapped
    assert_int_equal(sim_state_hash(m), hash);                                  // looking changes nothing
    assert_int_equal(sim_tlb_hash(m), tlb);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x4000 + 8, &not_present, 8);
    assert_int_equal(sim_peek(m, 0, SIM_LINEAR, 0x1fffe0, buf, 64), 32);
    sim_destroy(m);
}

static void test_descriptors(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    struct sim_desc d;
    uint64_t gdt[8] = {
        0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x0000891234560067, 0x9abc, 0x00cff3000000ffff, 0};
    uint64_t gate[2] = {0x0012ee0300185678, 0xdeadbeef};
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x9000, gdt, sizeof gdt);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0xa000 + 16 * 0x21, gate, 16);
    sim_reg_set(m, 0, "gdtr.base", 0x9000);
    sim_reg_set(m, 0, "gdtr.limit", sizeof gdt - 1);
    sim_reg_set(m, 0, "idtr.base", 0xa000);
    sim_reg_set(m, 0, "idtr.limit", 0xfff);
    sim_descriptor(m, 0, 0x18, &d);
    assert_true(d.valid && d.present && !d.system && !d.wide);
    assert_string_equal(d.kind, "64-bit code");
    sim_descriptor(m, 0, 0x33, &d);
    assert_string_equal(d.kind, "32-bit data");
    assert_int_equal(d.dpl, 3);
    assert_int_equal(d.seg.limit, 0xffffffff);
    sim_descriptor(m, 0, 0x20, &d);
    assert_true(d.valid && d.system && d.wide);
    assert_string_equal(d.kind, "64-bit available TSS");
    assert_int_equal(d.seg.base, 0x9abc00123456);
    sim_descriptor(m, 0, 0x40, &d);
    assert_false(d.valid);
    sim_reg_set(m, 0, "ldtr.ar", ISA_AR_UNUSABLE);
    sim_descriptor(m, 0, 0x0c, &d); // no LDT
    assert_false(d.valid);
    sim_idt_gate(m, 0, 0x21, &d);
    assert_true(d.valid && d.gate && d.present);
    assert_string_equal(d.kind, "64-bit interrupt gate");
    assert_int_equal(d.gate_off, 0xdeadbeef00125678);
    assert_int_equal(d.gate_sel, 0x18);
    assert_int_equal(d.gate_ist, 3);
    assert_int_equal(d.dpl, 3);
    sim_idt_gate(m, 0, 256, &d);
    assert_false(d.valid);
    sim_destroy(m);

    m = boot(SIM_START_REAL);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 0x21 * 4, "\x34\x12\x00\xf0", 4);
    sim_idt_gate(m, 0, 0x21, &d);
    assert_string_equal(d.kind, "real-mode vector");
    assert_int_equal(d.gate_sel, 0xf000);
    assert_int_equal(d.gate_off, 0x1234);
    sim_destroy(m);
}

static void test_counters(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    uint64_t v;
    sim_run(m, NULL);
    assert_true(sim_stat(m, 0, "insns", &v));
    assert_int_equal(v, 3);
    assert_true(sim_stat(m, 0, "cycles", &v));
    assert_int_equal(v, sim_cpu(m, 0)->cycles);
    assert_true(sim_stat(m, 0, "walks", &v));
    assert_int_equal(v, 1);
    assert_false(sim_stat(m, 0, "nonsense", &v));
    for (unsigned k = 0; sim_stat_name(k); k++) {
        assert_true(sim_stat(m, 0, sim_stat_name(k), &v));
        assert_non_null(sim_stat_text(k));
    }
    sim_destroy(m);
}

static void test_configuration(void **state)
{
    static const struct {
        struct sim_config c;
        const char *says;
    } bad[] = {{{.profile = "i486"}, "teach"},
               {{.ram_bytes = 5}, "1 MiB"},
               {{.ram_bytes = 128ull << 30}, "64 GiB"},
               {{.cpus = 9}, "1 to 8"}};
    for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct sim_error err = {0};
        assert_null(sim_create(&bad[k].c, &err));
        assert_int_equal(err.status, SIM_USAGE);
        assert_non_null(strstr(err.what, bad[k].says));
    }
    // a large machine is sparse, its hash too
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 16ull << 30}, &err);
    assert_non_null(m);
    uint64_t h = sim_state_hash(m);
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, 10ull << 30, "x", 1), 1);
    assert_int_not_equal(sim_state_hash(m), h);
    sim_poke(m, 0, SIM_HOST_PHYSICAL, 10ull << 30, "\0", 1);
    assert_int_equal(sim_state_hash(m), h);
    sim_destroy(m);
}

static void test_cpuid(void **state)
{
    struct sim_machine *m = boot(SIM_START_LONG64);
    uint32_t r[4];
    char brand[49] = "";
    sim_cpuid(sim_cpu(m, 0), 0, 0, r);
    assert_memory_equal(&r[1], "Genu", 4);
    uint32_t highest = r[0];
    sim_cpuid(sim_cpu(m, 0), 1, 77, r);
    assert_true(r[2] & 1u << 5);  // VMX
    assert_true(r[2] & 1u << 20); // SSE4.2
    sim_cpuid(sim_cpu(m, 0), 7, 0, r);
    assert_true(r[1] & 1u << 7);
    sim_cpuid(sim_cpu(m, 0), 7, 1, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    for (unsigned k = 0; k < 3; k++)
        sim_cpuid(sim_cpu(m, 0), 0x80000002 + k, 0, (uint32_t *)(void *)(brand + 16 * k));
    assert_non_null(strstr(brand, "teach"));
    uint32_t top[4];
    sim_cpuid(sim_cpu(m, 0), 0x7fffffff, 1, r);
    sim_cpuid(sim_cpu(m, 0), highest, 1, top);
    assert_memory_equal(r, top, sizeof r);
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_register), cmocka_unit_test(test_parts),       cmocka_unit_test(test_derived),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_descriptors), cmocka_unit_test(test_counters),
        cmocka_unit_test(test_configuration),  cmocka_unit_test(test_cpuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
