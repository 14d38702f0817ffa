// Tests of performance counters in the machine: what they count, overflow at the exact instruction, interrupts, sleep, and VM transitions, in every
// dispatcher.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isa/msr.h"
#include "sim/vmx_testkit.h"

#define CODE         0x200000u // a page of its own, for ring 3
#define IDT          0x120000u
#define LVT_PERF     0xfee00340u
#define ALL_RINGS    (3u << 16)
#define EN           (1u << 22)
#define INT          (1u << 20)
#define CYCLES       0x3cu
#define INSNS        0xc0u
#define BRANCHES     0xc4u
#define BIT48        (1ull << 48)
#define GLOBAL       0x38fu
#define STATUS       0x38eu
#define EACH_MODE(k) for (unsigned k = 0; k < MODES; k++)

static void wr(struct sim_machine *m, uint32_t msr, uint64_t v)
{
    enum isa_rule rule;
    assert_true(isa_wrmsr(&m->cpu[0]->isa, msr, v, &rule));
}
static uint64_t rd(struct sim_machine *m, uint32_t msr)
{
    enum isa_rule rule;
    uint64_t v = 0;
    assert_true(isa_rdmsr(&m->cpu[0]->isa, msr, &v, &rule));
    return v;
}

static void gate(struct sim_machine *m, unsigned vector, uint64_t handler)
{
    const uint64_t g[2] = {(handler & 0xffff) | 0x18ull << 16 | 0x8e00ull << 32 | (handler >> 16 & 0xffff) << 48, handler >> 32};
    put(m, IDT + vector * 16, g, 16);
}

// 64-bit mode in ring 0; the pages of CODE belong to ring 3 too; vectors 2 and 40H go to HANDLER.
static struct sim_machine *boot(unsigned mode, enum sim_fidelity f, const char *profile, const void *code, unsigned n)
{
    const struct sim_config cfg = {
        .ram_bytes = 8 << 20, .loop = mode & 1, .no_mirror = mode & 2, .fidelity = f, .profile = profile};
    const struct sim_load load = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
    struct sim_error err;
    struct sim_machine *m = sim_create(&cfg, &err);
    assert_non_null(m);
    assert_int_equal(sim_load_bytes(m, "test", code, n, &load, NULL, &err), 0);
    for (uint64_t at = 0x2000; at < 0x5000; at += 0x1000) {
        uint64_t e = 0;
        const uint64_t entry = at < 0x4000 ? at : at + 8; // the second 2-MByte page
        sim_peek(m, 0, SIM_HOST_PHYSICAL, entry, &e, 8);
        e |= 4;
        put(m, entry, &e, 8);
    }
    struct isa_cpu *c = sim_cpu(m, 0);
    c->idtr = (struct isa_dtr){IDT, 0xfff};
    c->gpr[ISA_RSP] = 0x300000;
    static const uint8_t handler[] = {
        0x48, 0x89, 0xc3, // mov rbx, rax
        0x49, 0xff, 0xc7, // inc r15
        0x48, 0xcf,       // iretq
    };
    put(m, HANDLER, handler, sizeof handler);
    gate(m, 2, HANDLER);
    gate(m, 0x40, HANDLER);
    sim_touch(m, 0);
    return m;
}

static void lvt(struct sim_machine *m, uint32_t v) { bus_mmio_write(m, (struct hpa){LVT_PERF}, 4, v); }

static struct sim_stop run(struct sim_machine *m) { return sim_run(m, &(struct sim_until){.max_insns = 1000000}); }

// rax counts to 1000: 3003 instructions with what is around, 1000 of them branches.
static const uint8_t loop_code[] = {
    0x31, 0xc0,                   // xor eax, eax
    0xff, 0xc0,                   // l: inc eax
    0x3d, 0xe8, 0x03, 0x00, 0x00, // cmp eax, 1000
    0x75, 0xf7,                   // jne l
    0x90,                         // nop
    0xf4,                         // h: hlt
    0xeb, 0xfd,                   // jmp h
};

static void test_counts(void **state)
{
    uint64_t hash[SIM_DETAILED + 1] = {0};
    for (enum sim_fidelity f = 0; f <= SIM_DETAILED; f++)
        EACH_MODE(k)
        {
            struct sim_machine *m = boot(k, f, NULL, loop_code, sizeof loop_code);
            struct isa_cpu *c = sim_cpu(m, 0);
            wr(m, 0x186, CYCLES | ALL_RINGS | EN);
            wr(m, 0x187, INSNS | ALL_RINGS | EN);
            wr(m, 0x188, BRANCHES | ALL_RINGS | EN);
            wr(m, 0x189, INSNS | 1u << 24 | 1u << 23 | ALL_RINGS | EN); // cycles without
            wr(m, 0x38d, 0x333);
            wr(m, GLOBAL, 0x70000000f);
            assert_int_equal(run(m).kind, SIM_STOP_HALT);
            assert_int_equal(c->insns, 3003);
            assert_int_equal(rd(m, 0xc1), c->cycles);
            assert_int_equal(rd(m, 0xc2), 3003);
            assert_int_equal(rd(m, 0xc3), 1000);
            assert_int_equal(rd(m, 0xc4), c->cycles - 3003);
            assert_int_equal(rd(m, 0x309), 3003);
            assert_int_equal(rd(m, 0x30a), c->cycles);
            assert_int_equal(rd(m, 0x30b), c->cycles);
            if (f == SIM_FUNCTIONAL)
                assert_int_equal(c->cycles, 3003);
            if (k)
                assert_int_equal(sim_state_hash(m), hash[f]);
            hash[f] = sim_state_hash(m);
            sim_destroy(m);
        }
}

// Ring 3 counts to 5 and calls the system, three times.
static const uint8_t ring3_code[] = {
    0xb9, 0x05, 0x00, 0x00, 0x00, // u: mov ecx, 5
    0xff, 0xc9,                   // l: dec ecx
    0x75, 0xfc,                   // jne l
    0x0f, 0x05,                   // syscall
    0xeb, 0xf3,                   // jmp u
};
static const uint8_t system_code[] = {
    0x49, 0xff, 0xc7,       // inc r15
    0x49, 0x83, 0xff, 0x03, // cmp r15, 3
    0x74, 0x03,             // je done
    0x48, 0x0f, 0x07,       // sysretq
    0xf4,                   // done: hlt
};

static void test_rings(void **state)
{
    uint64_t hash = 0;
    EACH_MODE(k)
    {
        struct sim_machine *m = boot(k, SIM_FAST, NULL, ring3_code, sizeof ring3_code);
        struct isa_cpu *c = sim_cpu(m, 0);
        put(m, 0x150000, system_code, sizeof system_code);
        c->star = 0x0020001800000000; // SYSCALL: 18H, 20H; SYSRET: 30H, 28H with RPL 3
        c->lstar = 0x150000;
        static const uint8_t start[] = {0x48, 0x0f, 0x07}; // sysretq, to rcx
        put(m, 0x160000, start, sizeof start);
        c->gpr[ISA_RCX] = CODE;
        c->gpr[ISA_R11] = 2;
        c->rip = 0x160000;
        sim_touch(m, 0);
        wr(m, 0x186, INSNS | 1u << 17 | EN);
        wr(m, 0x187, INSNS | 1u << 16 | EN);
        wr(m, 0x188, BRANCHES | 1u << 16 | EN);
        wr(m, 0x189, BRANCHES | 1u << 17 | EN);
        wr(m, 0x38d, 0x213);
        wr(m, GLOBAL, 0x70000000f);
        assert_int_equal(run(m).kind, SIM_STOP_HALT);
        // Above ring 0: three SYSRETs (they end there), 3 * (1 + 10) and two JMPs; in ring 0 the rest.
        const uint64_t user = 3 + 3 * 11 + 2;
        assert_int_equal(rd(m, 0xc2), user);
        assert_int_equal(rd(m, 0xc1), c->insns - user);
        assert_int_equal(rd(m, 0x309), c->insns);
        assert_int_equal(rd(m, 0x30a) + rd(m, 0x30b), c->cycles);
        assert_true(rd(m, 0x30a) > 40 && rd(m, 0x30b) > user);
        assert_int_equal(rd(m, 0xc3), 3 + 3 * 5 + 2);
        assert_int_equal(rd(m, 0xc4), 3 + 3);
        if (k)
            assert_int_equal(sim_state_hash(m), hash);
        hash = sim_state_hash(m);
        sim_destroy(m);
    }
}

// The handler keeps RAX, which tells where the interrupt came.
static void test_overflow(void **state)
{
    static const struct {
        uint32_t select;
        unsigned after, rax;
    } all[] = {
        {INSNS, 1, 0},     {INSNS, 2, 1},        {INSNS, 4, 1},        {INSNS, 5, 2},
        {INSNS, 300, 100}, {INSNS, 301, 100},    {INSNS, 302, 101},    {INSNS, 2999, 1000},
        {BRANCHES, 1, 1},  {BRANCHES, 500, 500}, {BRANCHES, 999, 999}, {INSNS | 1u << 24, 302, 101},
    };
    for (enum sim_fidelity f = 0; f <= SIM_DETAILED; f++)
        EACH_MODE(k)
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++)
        for (unsigned nmi = 0; nmi < 2; nmi++) {
            struct sim_machine *m = boot(k, f, NULL, loop_code, sizeof loop_code);
            struct isa_cpu *c = sim_cpu(m, 0);
            c->rflags_sys |= nmi ? 0 : ISA_FL_IF;
            lvt(m, nmi ? 0x400 : 0x40);
            wr(m, 0x4c2, BIT48 - all[n].after);
            wr(m, 0x187, all[n].select | ALL_RINGS | EN | INT);
            run(m);
            assert_int_equal(c->gpr[ISA_R15], 1);
            assert_int_equal(c->gpr[ISA_RBX], all[n].rax);
            assert_int_equal(rd(m, STATUS), 2);
            assert_int_equal(bus_mmio_read(m, (struct hpa){LVT_PERF}, 4), 0x10000 | (nmi ? 0x400 : 0x40));
            sim_destroy(m);
        }
}

// Overflows of cycles, of user-mode events and of several counters: in all dispatchers, and cut into pieces, at the same cycle.
static void test_overflow_equal(void **state)
{
    static const uint32_t select[] = {CYCLES, INSNS, INSNS | 1u << 24 | 1u << 23, BRANCHES | 1u << 24 | 1u << 23, BRANCHES};
    uint64_t want = 0, cases = 0;
    for (unsigned n = 0; n < sizeof select / sizeof *select; n++)
        for (unsigned after = 1; after < 3000; after = after * 2 + 1)
            for (unsigned k = 0; k < 2 * MODES; k++, cases++) {
                struct sim_machine *m = boot(k & 3, SIM_FAST, NULL, loop_code, sizeof loop_code);
                sim_event_hash_enable(m);
                lvt(m, 0x400);
                wr(m, 0x4c1, BIT48 - after);
                wr(m, 0x186, select[n] | ALL_RINGS | EN | INT);
                struct sim_stop s;
                do
                    s = sim_run(m, &(struct sim_until){.insns = k & 4 ? 1 + after % 7 : 0, .max_insns = 10000});
                while (s.kind == SIM_STOP_UNTIL);
                const uint64_t got = hash_u64(sim_state_hash(m), sim_event_hash(m));
                if (k)
                    assert_int_equal(got, want);
                want = got;
                sim_destroy(m);
            }
    printf("# overflows under all dispatchers: %llu\n", (unsigned long long)cases);
}

static void test_masked(void **state)
{
    struct sim_machine *m = boot(0, SIM_FAST, NULL, loop_code, sizeof loop_code);
    wr(m, 0x4c1, BIT48 - 100); // the entry is masked after reset
    wr(m, 0x186, INSNS | ALL_RINGS | EN | INT);
    run(m);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 0);
    assert_int_equal(rd(m, STATUS), 1);
    assert_int_equal(rd(m, 0xc1), 3003 - 100);
    sim_destroy(m);
}

static void test_freeze(void **state)
{
    for (unsigned v4 = 0; v4 < 2; v4++) {
        struct sim_machine *m = boot(0, SIM_FAST, v4 ? "later" : NULL, loop_code, sizeof loop_code);
        wr(m, ISA_MSR_DEBUGCTL, ISA_DEBUGCTL_FREEZE_PMU);
        lvt(m, 0x400);
        wr(m, 0x4c1, BIT48 - 500);
        wr(m, 0x186, INSNS | ALL_RINGS | EN | INT);
        wr(m, 0x187, BRANCHES | ALL_RINGS | EN);
        run(m);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 1);
        assert_int_equal(rd(m, 0xc1), 0);
        assert_int_equal(rd(m, 0xc2), 166);
        assert_int_equal(rd(m, GLOBAL), v4 ? 0xf : 0);
        assert_int_equal(rd(m, STATUS), v4 ? 1 | 1ull << 59 : 1);
        sim_destroy(m);
    }
}

// Cycles asleep do not count, and do not bring an overflow near.
static void test_sleep(void **state)
{
    static const uint8_t code[] = {0xf4, 0x90, 0xf4};
    EACH_MODE(k)
    {
        struct sim_machine *m = boot(k, SIM_FAST, NULL, code, sizeof code);
        struct isa_cpu *c = sim_cpu(m, 0);
        c->rflags_sys |= ISA_FL_IF;
        lvt(m, 0x400);
        wr(m, 0x186, CYCLES | ALL_RINGS | EN | INT);
        wr(m, 0x4c1, BIT48 - 1000);
        assert_int_equal(sim_run(m, &(struct sim_until){.cycles = 1000000}).kind, SIM_STOP_UNTIL);
        assert_int_equal(c->cycles, 1000000);
        assert_int_equal(c->insns, 1);
        assert_true(rd(m, 0xc1) > BIT48 - 1000 && rd(m, 0xc1) < BIT48);
        assert_int_equal(rd(m, STATUS), 0);
        sim_destroy(m);
    }
}

// A guest of five instructions and a CPUID; its VMM counts outside, or inside only.
static void test_vmx(void **state)
{
    static const uint8_t guest[] = {0x90, 0x90, 0x0f, 0xa2, 0x90, 0x90, 0x90, 0xf4}; // nop nop cpuid nop nop nop hlt
    EACH_MODE(k)
    for (unsigned inside = 0; inside < 2; inside++) {
        struct sim_machine *m = boot_vmm(k, guest, sizeof guest);
        struct sim_cpu *cpu = m->cpu[0];
        vmcs_put(&cpu->vmx.vmcs, VF_VM_ENTRY_CONTROLS,
                 vmcs_get(&cpu->vmx.vmcs, VF_VM_ENTRY_CONTROLS) | VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL);
        vmcs_put(&cpu->vmx.vmcs, VF_VM_EXIT_CONTROLS,
                 vmcs_get(&cpu->vmx.vmcs, VF_VM_EXIT_CONTROLS) | VMX_EXIT_LOAD_PERF_GLOBAL_CTRL);
        vmcs_put(&cpu->vmx.vmcs, VF_GUEST_IA32_PERF_GLOBAL_CTRL, inside ? 1 : 0);
        vmcs_put(&cpu->vmx.vmcs, VF_HOST_IA32_PERF_GLOBAL_CTRL, inside ? 0 : 1);
        wr(m, 0x186, INSNS | ALL_RINGS | EN);
        wr(m, GLOBAL, inside ? 0 : 1);
        run(m);
        assert_int_equal(cpu->isa.gpr[ISA_R15], 2);
        assert_int_equal(rd(m, GLOBAL), inside ? 0 : 1);
        // The guest retires five NOPs; CPUID and HLT exit instead. VMLAUNCH and VMRESUME end inside.
        assert_int_equal(rd(m, 0xc1), inside ? 5 + 2 : cpu->isa.insns - 7);
        sim_destroy(m);
    }
}

static void test_vmx_save(void **state)
{
    static const uint8_t guest[] = {0x0f, 0x30, 0xf4}; // wrmsr; hlt
    struct sim_machine *m = boot_vmm(0, guest, sizeof guest);
    struct sim_cpu *cpu = m->cpu[0];
    vmcs_put(&cpu->vmx.vmcs, VF_VM_EXIT_CONTROLS, vmcs_get(&cpu->vmx.vmcs, VF_VM_EXIT_CONTROLS) | VMX_EXIT_SAVE_PERF_GLOBAL_CTRL);
    static struct vmx_caps caps; // teach does not offer it
    caps = *cpu->vmx.caps;
    caps.exit |= (uint64_t)VMX_EXIT_SAVE_PERF_GLOBAL_CTRL << 32;
    cpu->vmx.caps = &caps;
    cpu->isa.gpr[ISA_RCX] = GLOBAL;
    cpu->isa.gpr[ISA_RAX] = 5;
    cpu->isa.gpr[ISA_RDX] = 2;
    vmcs_put(&cpu->vmx.vmcs, VF_CPU_BASED_VM_EXEC_CONTROL,
             vmcs_get(&cpu->vmx.vmcs, VF_CPU_BASED_VM_EXEC_CONTROL) | VMX_PROC_USE_MSR_BITMAPS); // of zeros
    run(m);
    assert_int_equal(cpu->isa.gpr[ISA_R15], 1);
    assert_int_equal(rd(m, GLOBAL), 0x200000005);
    assert_int_equal(vmcs_get(&cpu->vmx.vmcs, VF_GUEST_IA32_PERF_GLOBAL_CTRL), 0x200000005);
    sim_destroy(m);
}

// Reads one byte of each line of 16 KB, 100 times: L1 and L2 of these sizes do not hold them.
static const uint8_t lines_code[] = {
    0xbb, 0x64, 0x00, 0x00, 0x00,       // mov ebx, 100
    0xbe, 0x00, 0x00, 0x40, 0x00,       // o: mov esi, 400000h
    0x8a, 0x06,                         // i: mov al, [rsi]
    0x83, 0xc6, 0x40,                   // add esi, 64
    0x81, 0xfe, 0x00, 0x40, 0x40, 0x00, // cmp esi, 404000h
    0x75, 0xf3,                         // jne i
    0xff, 0xcb,                         // dec ebx
    0x75, 0xea,                         // jne o
    0xf4,                               // h: hlt
    0xeb, 0xfd,                         // jmp h
};

static void test_last_level(void **state)
{
    static const char *const small[] = {"cache.l1d.size=1024", "cache.l1d.ways=1", "cache.l2.size=4096", "cache.l2.ways=1",
                                        "cache.l3.size=65536"};
    uint64_t want = 0;
    EACH_MODE(k)
    {
        const struct sim_config cfg = {.ram_bytes = 8 << 20,
                                       .loop = k & 1,
                                       .no_mirror = k & 2,
                                       .fidelity = SIM_DETAILED,
                                       .set = small,
                                       .nset = sizeof small / sizeof *small};
        const struct sim_load load = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
        struct sim_error err;
        struct sim_machine *m = sim_create(&cfg, &err);
        assert_non_null(m);
        assert_int_equal(sim_load_bytes(m, "test", lines_code, sizeof lines_code, &load, NULL, &err), 0);
        uint32_t r[4];
        sim_cpuid(sim_cpu(m, 0), 10, 0, r);
        assert_int_equal(r[1], 0x40);
        sim_cpu(m, 0)->idtr = (struct isa_dtr){IDT, 0xfff};
        put(m, HANDLER, "\x48\xcf", 2); // iretq
        gate(m, 2, HANDLER);
        lvt(m, 0x400);
        wr(m, 0x186, 0x4f2e | ALL_RINGS | EN);
        wr(m, 0x187, 0x412e | ALL_RINGS | EN);
        wr(m, 0x188, 0x4f2e | ALL_RINGS | EN | INT);
        wr(m, 0x4c3, BIT48 - 12000);
        assert_int_equal(run(m).kind, SIM_STOP_HALT);
        uint64_t hits, misses;
        assert_true(sim_stat(m, 0, "l3.hit", &hits) && sim_stat(m, 0, "l3.miss", &misses));
        assert_int_equal(rd(m, 0xc1), hits + misses);
        assert_int_equal(rd(m, 0xc2), misses);
        assert_in_range(rd(m, 0xc1), 25600, 25900); // 256 lines a turn, and a few of code and tables
        assert_in_range(rd(m, 0xc2), 256, 300);     // once
        assert_int_equal(rd(m, STATUS), 4);
        if (k)
            assert_int_equal(sim_state_hash(m), want);
        want = sim_state_hash(m);
        sim_set_fidelity(m, SIM_FAST); // there are no caches any more
        const uint64_t refs = rd(m, 0xc1);
        sim_cpu(m, 0)->rip = CODE;
        sim_touch(m, 0);
        run(m);
        assert_int_equal(rd(m, 0xc1), refs);
        sim_cpuid(sim_cpu(m, 0), 10, 0, r);
        assert_int_equal(r[1], 0x58);
        sim_destroy(m);
    }
}

// By name, for people and scripts.
static void test_names(void **state)
{
    struct sim_machine *m = boot(0, SIM_FAST, NULL, loop_code, sizeof loop_code);
    uint64_t v = 1;
    assert_true(sim_reg_set(m, 0, "msr.IA32_PERFEVTSEL2", INSNS | ALL_RINGS | EN));
    assert_true(sim_reg_set(m, 0, "msr.IA32_A_PMC2", 1000));
    assert_false(sim_reg_set(m, 0, "msr.IA32_A_PMC2", BIT48));
    assert_false(sim_reg_set(m, 0, "msr.IA32_PERF_GLOBAL_STATUS", 0));
    assert_false(sim_reg_set(m, 0, "msr.IA32_PERF_GLOBAL_STATUS_SET", 1)); // version 4 has it
    run(m);
    assert_true(sim_reg_get(m, 0, "msr.IA32_PMC2", &v));
    assert_int_equal(v, 1000 + 3003);
    assert_true(sim_reg_get(m, 0, "msr.IA32_PERF_GLOBAL_INUSE", &v));
    assert_int_equal(v, 0);
    sim_destroy(m);
}

// Each processor has its own.
static void test_processors(void **state)
{
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20, .cpus = 2}, &err);
    assert_non_null(m);
    enum isa_rule rule;
    uint64_t v = 1;
    wr(m, 0xc1, 5);
    assert_true(isa_rdmsr(&m->cpu[1]->isa, 0xc1, &v, &rule));
    assert_int_equal(v, 0);
    const uint64_t h = sim_state_hash(m);
    wr(m, 0xc1, 6);
    assert_int_not_equal(sim_state_hash(m), h);
    sim_destroy(m);
}

// CPUID.0AH of the profiles, and that what it does not report does not exist.
static void test_profiles(void **state)
{
    static const struct {
        const char *name;
        uint32_t eax, edx;
        bool controls;
    } all[] = {
        {"teach", 0x07300403, 0x603, true},
        {"textbook", 0x07300403, 0x603, true},
        {"later", 0x07300404, 0x603, true},
        {"prescott-2005", 0, 0, false},
        {"merom-2006", 0x07280202, 0x503, false},
        {"nehalem-2008", 0x07300403, 0x603, true},
        {"sandybridge-2011", 0x07300403, 0x603, true},
        {"haswell-2013", 0x07300403, 0x603, true},
        {"skylake-2015", 0x07300404, 0x603, true},
    };
    for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
        struct sim_error err;
        struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 1 << 20, .profile = all[k].name}, &err);
        assert_non_null(m);
        struct isa_cpu *c = sim_cpu(m, 0);
        uint32_t r[4];
        c->env->cpuid(c, 0, 0, r);
        const bool leaf = r[0] >= 10;
        c->env->cpuid(c, 10, 0, r);
        assert_int_equal(leaf ? r[0] : 0, all[k].eax);
        assert_int_equal(leaf ? r[1] : 0x58, 0x58);
        assert_int_equal(leaf ? r[3] : 0, all[k].edx);
        enum isa_rule rule;
        uint64_t v;
        assert_int_equal(isa_rdmsr(c, 0xc1, &v, &rule), all[k].eax != 0);
        assert_int_equal(vmcs_exists(&m->profile->vmx, VF_GUEST_IA32_PERF_GLOBAL_CTRL), all[k].controls);
        sim_destroy(m);
    }
    static const char *const none[] = {"pmu.version=0"};
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 1 << 20, .set = none, .nset = 1}, &err);
    assert_non_null(m);
    uint32_t r[4];
    sim_cpuid(sim_cpu(m, 0), 10, 0, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    sim_cpuid(sim_cpu(m, 0), 1, 0, r);
    assert_int_equal(r[2] >> 15 & 1, 0);
    assert_false(vmcs_exists(&m->profile->vmx, VF_GUEST_IA32_PERF_GLOBAL_CTRL));
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_rings),  cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_overflow_equal), cmocka_unit_test(test_masked), cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_sleep),          cmocka_unit_test(test_vmx),    cmocka_unit_test(test_vmx_save),
        cmocka_unit_test(test_processors),     cmocka_unit_test(test_names),  cmocka_unit_test(test_last_level),
        cmocka_unit_test(test_profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
