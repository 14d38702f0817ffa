// Tests of the engine: blocks, exact limits, self-modifying code, interrupts at the exact boundary, HLT, traps, in every dispatcher.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "isa/flags.h"
#include "sim/internal.h"
#include "sim/loader.h"

#define CODE         0x100000u
#define HANDLER      0x110000u
#define IDT          0x120000u
#define MMIO         0xfe000000u

// Every test runs under the four combinations of dispatcher and inline TLB.
#define EACH_MODE(k) for (unsigned k = 0; k < 4; k++)

static struct sim_machine *boot(unsigned mode, enum sim_start start, uint64_t addr, const void *code, uint64_t n)
{
    struct sim_config cfg = {.ram_bytes = 8 << 20, .loop = mode & 1, .no_mirror = mode & 2};
    struct sim_error err;
    struct sim_machine *m = sim_create(&cfg, &err);
    assert_non_null(m);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = start, .addr = addr};
    assert_int_equal(sim_load_bytes(m, "test", code, n, &l, NULL, &err), 0);
    return m;
}

// 64-bit mode with an IDT; handlers of 64-bit interrupt gates lie at CODE segment 18H.
static struct sim_machine *boot64(unsigned mode, const void *code, uint64_t n)
{
    struct sim_machine *m = boot(mode, SIM_START_LONG64, CODE, code, n);
    struct isa_cpu *c = sim_cpu(m, 0);
    c->idtr = (struct isa_dtr){IDT, 0xfff};
    c->gpr[ISA_RSP] = 0x300000;
    c->gpr[ISA_R14] = 0x10;
    return m;
}

static void gate(struct sim_machine *m, unsigned vector, uint64_t handler)
{
    uint64_t g[2] = {(handler & 0xffff) | 0x18ull << 16 | 0x8e00ull << 32 | (handler >> 16 & 0xffff) << 48, handler >> 32};
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, IDT + vector * 16, g, 16), 16);
}

static void put(struct sim_machine *m, uint64_t addr, const void *p, uint64_t n)
{
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, addr, p, n), n);
}

static const uint8_t count_handler[] = {
    0x49, 0xff, 0xc7, // inc r15
    0x48, 0xcf,       // iretq
};

static const uint8_t loop_code[] = {
    0xb9, 0xe8, 0x03, 0x00, 0x00,                   // mov ecx, 1000
    0x48, 0x01, 0xc8,                               // again: add rax, rcx
    0x48, 0x31, 0xc2,                               // xor rdx, rax
    0x48, 0x8d, 0x5c, 0x42, 0x05,                   // lea rbx, [rdx+rax*2+5]
    0x48, 0x89, 0x1c, 0x25, 0x00, 0x00, 0x20, 0x00, // mov [0x200000], rbx
    0x48, 0x03, 0x34, 0x25, 0x00, 0x00, 0x20, 0x00, // add rsi, [0x200000]
    0xff, 0xc9,                                     // dec ecx
    0x75, 0xe1,                                     // jnz again
    0xf4,                                           // hlt
};

static void test_loop_counts(void **state)
{
    uint64_t hash = 0, cycles = 0;
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
        struct sim_stop s = sim_run(m, NULL);
        assert_int_equal(s.kind, SIM_STOP_HALT);
        assert_non_null(strstr(s.text, "IF = 0"));
        struct isa_cpu *c = sim_cpu(m, 0);
        assert_int_equal(c->insns, 1 + 1000 * 7 + 1);
        assert_int_equal(c->gpr[ISA_RAX], 1000 * 1001 / 2);
        if (!k) {
            hash = sim_state_hash(m);
            cycles = c->cycles;
        }
        assert_int_equal(sim_state_hash(m), hash);
        assert_int_equal(c->cycles, cycles);
        sim_destroy(m);
    }
}

// n instructions at once, and one by one, are the same.
static void test_until_insns(void **state)
{
    for (unsigned n = 1; n <= 24; n++) {
        uint64_t hash[5];
        for (unsigned k = 0; k < 5; k++) {
            struct sim_machine *m = boot64(k & 3, loop_code, sizeof loop_code);
            struct sim_stop s;
            for (unsigned i = 0; i < (k == 4 ? n : 1); i++) {
                s = sim_run(m, &(struct sim_until){.insns = k == 4 ? 1 : n});
                assert_int_equal(s.kind, SIM_STOP_UNTIL);
                assert_int_equal(s.code, SIM_UNTIL_INSNS);
            }
            assert_int_equal(sim_cpu(m, 0)->insns, n);
            hash[k] = sim_state_hash(m);
            assert_int_equal(hash[k], hash[0]);
            sim_destroy(m);
        }
    }
}

// The cycle at each of the first instruction boundaries.
static unsigned boundaries(const void *code, uint64_t n, uint64_t *cycle, unsigned max)
{
    struct sim_machine *m = boot64(1, code, n);
    for (unsigned i = 0; i < max; i++) {
        cycle[i] = sim_cpu(m, 0)->cycles;
        sim_run(m, &(struct sim_until){.insns = 1});
    }
    sim_destroy(m);
    return max;
}

static uint64_t first_at(const uint64_t *cycle, unsigned n, uint64_t at)
{
    for (unsigned i = 0; i < n; i++)
        if (cycle[i] >= at)
            return cycle[i];
    fail();
    return 0;
}

static void test_until_cycles(void **state)
{
    uint64_t b[200];
    unsigned n = boundaries(loop_code, sizeof loop_code, b, 200);
    for (uint64_t at = b[3] + 1; at < b[30]; at++)
        EACH_MODE(k)
        {
            struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
            struct sim_stop s = sim_run(m, &(struct sim_until){.cycles = at, .max_insns = 1000});
            assert_int_equal(s.kind, SIM_STOP_UNTIL);
            assert_int_equal(s.code, SIM_UNTIL_CYCLES);
            assert_int_equal(sim_cpu(m, 0)->cycles, first_at(b, n, at));
            sim_destroy(m);
        }
}

static void test_until_rip(void **state)
{
    static const uint8_t at[] = {5, 8, 11, 16, 24, 32, 34};
    for (unsigned i = 0; i < sizeof at; i++)
        EACH_MODE(k)
        {
            struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
            for (unsigned turn = 0; turn < 3; turn++) {
                struct sim_stop s = sim_run(m, &(struct sim_until){.has_rip = true, .rip = CODE + at[i]});
                assert_int_equal(s.kind, SIM_STOP_UNTIL);
                assert_int_equal(s.code, SIM_UNTIL_RIP);
                assert_int_equal(sim_cpu(m, 0)->rip, CODE + at[i]);
                assert_int_equal(sim_cpu(m, 0)->insns, 1 + i + 7 * turn);
            }
            sim_destroy(m);
        }
}

// Several addresses: every visit to each of them, in the middle of blocks too; beside a single one; not where the run begins.
static void test_until_stops(void **state)
{
    static const uint64_t at[] = {CODE + 24, CODE + 8, CODE + 9 /* inside an instruction */};
    static const uint64_t want[] = {CODE + 8, CODE + 16, CODE + 24};
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
        for (unsigned turn = 0; turn < 9; turn++) {
            struct sim_stop s = sim_run(m, &(struct sim_until){.stops = at, .nstops = 3, .has_rip = true, .rip = CODE + 16});
            assert_int_equal(s.kind, SIM_STOP_UNTIL);
            assert_int_equal(s.code, SIM_UNTIL_RIP);
            assert_int_equal(sim_cpu(m, 0)->rip, want[turn % 3]);
        }
        sim_destroy(m);
    }
}

static void test_limits(void **state)
{
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
        struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 123});
        assert_int_equal(s.kind, SIM_STOP_LIMIT);
        assert_int_equal(sim_cpu(m, 0)->insns, 123);
        assert_non_null(strstr(s.text, "limit of 123 instructions"));
        s = sim_run(m, &(struct sim_until){.max_cycles = 50});
        assert_int_equal(s.kind, SIM_STOP_LIMIT);
        s = sim_run(m, &(struct sim_until){.insns = 10, .max_insns = 10}); // the wish wins over the limit
        assert_int_equal(s.kind, SIM_STOP_UNTIL);
        sim_destroy(m);

        static const uint8_t self[] = {0xeb, 0xfe}; // jmp $
        m = boot64(k, self, sizeof self);
        s = sim_run(m, &(struct sim_until){.max_cycles = 100000});
        assert_int_equal(s.kind, SIM_STOP_LIMIT);
        assert_non_null(strstr(s.text, "jumps to itself"));
        sim_destroy(m);
    }
}

static const uint8_t smc_code[] = {
    0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x2a, // mov byte [rel patch+1], 0x2a
    0xb0, 0x01,                               // patch: mov al, 1
    0xb9, 0x03, 0x00, 0x00, 0x00,             // mov ecx, 3
    0xb2, 0x01,                               // again: mov dl, 1
    0x00, 0xd3,                               // add bl, dl
    0xfe, 0x05, 0xf7, 0xff, 0xff, 0xff,       // inc byte [rel again+1]
    0xff, 0xc9,                               // dec ecx
    0x75, 0xf2,                               // jnz again
    0xf4,                                     // hlt
};

static void test_self_modifying(void **state)
{
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, smc_code, sizeof smc_code);
        sim_run(m, NULL);
        struct isa_cpu *c = sim_cpu(m, 0);
        assert_int_equal(c->gpr[ISA_RAX] & 0xff, 0x2a);
        assert_int_equal(c->gpr[ISA_RBX] & 0xff, 1 + 2 + 3);
        assert_int_equal(c->insns, 3 + 3 * 5 + 1);
        // a poke from outside is seen too
        put(m, CODE + 8, "\x77", 1);
        assert_true(sim_reg_set(m, 0, "rip", CODE + 7)); // wakes it from HLT
        sim_run(m, &(struct sim_until){.insns = 1});
        assert_int_equal(c->gpr[ISA_RAX] & 0xff, 0x77);
        sim_destroy(m);
    }
}

// --- interrupts

struct testdev {
    struct dev d; // first: the bus frees it
    uint64_t at;  // raise at this cycle
    bool line;
    uint64_t acked_at, acked_insns;
    unsigned acks;
};
static bool pending(struct dev *d, unsigned cpu) { return ((struct testdev *)d)->line; }
static int ack(struct dev *d, unsigned cpu)
{
    struct testdev *t = (struct testdev *)d;
    t->line = false;
    t->acked_at = dev_now(d);
    t->acked_insns = sim_cpu(d->m, 0)->insns;
    t->acks++;
    return 0x50;
}
static const struct dev_intc intc = {pending, ack};
static void raise_line(struct dev *d)
{
    ((struct testdev *)d)->line = true;
    dev_intc_changed(d->m);
}
static void on_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    ((struct testdev *)d)->at = dev_now(d);
    raise_line(d);
}
static uint64_t on_read(struct dev *d, unsigned range, uint64_t off, unsigned size) { return dev_now(d); }
static const struct dev_ops ops = {.name = "test", .read = on_read, .write = on_write, .deadline = raise_line};

static struct testdev *add_device(struct sim_machine *m)
{
    struct testdev *t = calloc(1, sizeof *t);
    t->d.ops = &ops;
    dev_attach(m, &t->d);
    dev_set_intc(m, &t->d, &intc, 0);
    dev_map_mmio(&t->d, 0, (struct hpa){MMIO}, 0x1000);
    gate(m, 0x50, HANDLER);
    put(m, HANDLER, count_handler, sizeof count_handler);
    return t;
}

static const uint8_t irq_code[] = {
    0xfb,                   // sti
    0x48, 0xff, 0xc0,       // again: inc rax
    0x48, 0x01, 0xc3,       // add rbx, rax
    0x48, 0x0f, 0xaf, 0xcb, // imul rcx, rbx
    0x48, 0xff, 0xc2,       // inc rdx
    0x48, 0x31, 0xce,       // xor rsi, rcx
    0x48, 0xff, 0xc7,       // inc rdi
    0xeb, 0xeb,             // jmp again
};

static void test_interrupt_boundary(void **state)
{
    uint64_t b[200];
    unsigned n = boundaries(irq_code, sizeof irq_code, b, 200);
    for (uint64_t at = b[2] + 1; at < b[24]; at++)
        EACH_MODE(k)
        {
            struct sim_machine *m = boot64(k, irq_code, sizeof irq_code);
            struct testdev *t = add_device(m);
            dev_set_deadline(&t->d, at);
            struct sim_stop s = sim_run(m, &(struct sim_until){.insns = 60});
            assert_int_equal(s.kind, SIM_STOP_UNTIL);
            assert_int_equal(t->acks, 1);
            assert_int_equal(t->acked_at, first_at(b, n, at));
            assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 1);
            sim_destroy(m);
        }
}

static void test_halt_wakes(void **state)
{
    static const uint8_t code[] = {
        0xfb,                         // sti
        0xf4,                         // hlt
        0xb8, 0x07, 0x00, 0x00, 0x00, // mov eax, 7
        0xfb,                         // sti
        0xf4,                         // hlt
    };
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, code, sizeof code);
        struct testdev *t = add_device(m);
        dev_set_deadline(&t->d, 123456);
        struct sim_stop s = sim_run(m, NULL);
        assert_int_equal(s.kind, SIM_STOP_HALT); // the second HLT: no device will raise an interrupt
        assert_non_null(strstr(s.text, "no device"));
        assert_int_equal(t->acked_at, 123456);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_RAX], 7);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 1);
        // the clock stops where it is asked to
        s = sim_run(m, &(struct sim_until){.cycles = 200000});
        assert_int_equal(s.kind, SIM_STOP_UNTIL);
        assert_int_equal(sim_cpu(m, 0)->cycles, 200000);
        sim_destroy(m);
    }
}

// STI and MOV SS delay an interrupt that waits by one instruction.
static void test_interrupt_shadow(void **state)
{
    static const uint8_t code[] = {
        0x90,             // nop
        0xfb,             // sti
        0xff, 0xc0,       // inc eax
        0xff, 0xc0,       // inc eax
        0xf4,             // hlt
        0xfb,             // sti
        0x41, 0x8e, 0xd6, // mov ss, r14d
        0xff, 0xc0,       // inc eax
        0xff, 0xc0,       // inc eax
        0xf4,             // hlt
    };
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, code, sizeof code);
        struct testdev *t = add_device(m);
        t->line = true;
        sim_run(m, &(struct sim_until){.insns = 3});
        assert_int_equal(t->acks, 0);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_RAX], 1);
        sim_run(m, &(struct sim_until){.insns = 1});
        assert_int_equal(t->acks, 1);
        assert_int_equal(t->acked_insns, 3);

        struct isa_cpu *c = sim_cpu(m, 0);
        c->rip = CODE + 7;
        isa_set_rflags(c, ISA_FL_1);
        c->gpr[ISA_RAX] = 0;
        t->acks = 0;
        t->line = true;
        sim_run(m, &(struct sim_until){.insns = 3}); // STI shadows MOV SS, MOV SS shadows INC
        assert_int_equal(t->acks, 0);
        assert_int_equal(c->gpr[ISA_RAX], 1);
        sim_run(m, &(struct sim_until){.insns = 1});
        assert_int_equal(t->acks, 1);
        sim_destroy(m);
    }
}

// A store to a device in the middle of a block: exact time there, and its interrupt comes right after the store.
static void test_mmio_kick(void **state)
{
    static const uint8_t code[] = {
        0xfb,                         // sti
        0x90,                         // nop
        0xbb, 0x00, 0x00, 0x00, 0xfe, // mov ebx, MMIO
        0xff, 0xc0,                   // inc eax
        0x89, 0x03,                   // mov [rbx], eax
        0xff, 0xc0,                   // inc eax
        0xff, 0xc0,                   // inc eax
        0x8b, 0x13,                   // mov edx, [rbx]
        0xff, 0xc0,                   // inc eax
        0xfa,                         // cli
        0xf4,                         // hlt
    };
    uint64_t hash = 0;
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, code, sizeof code);
        struct testdev *t = add_device(m);
        sim_run(m, NULL);
        assert_int_equal(t->acks, 1);
        assert_int_equal(t->acked_insns, 5);
        if (!k)
            hash = sim_state_hash(m) ^ t->at ^ t->acked_at;
        assert_int_equal(sim_state_hash(m) ^ t->at ^ t->acked_at, hash); // edx holds the time of the read
        sim_destroy(m);
    }
}

// --- traps

static void test_single_step(void **state)
{
    static const uint8_t code[] = {
        0x9c,                                     // pushfq
        0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, // or dword [rsp], 0x100
        0x9d,                                     // popfq
        0x90,                                     // nop              trap 1
        0xff, 0xc0,                               // inc eax          trap 2
        0x41, 0x8e, 0xd6,                         // mov ss, r14d     held back
        0xff, 0xc0,                               // inc eax          trap 3
        0xcd, 0x40,                               // int 0x40         none: delivery clears TF
        0x90,                                     // nop              trap 4
        0x9c,                                     // pushfq           trap 5
        0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, // and dword [rsp], ~0x100   trap 6
        0x9d,                                     // popfq            trap 7
        0x90,                                     // nop
        0xf4,                                     // hlt
    };
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, code, sizeof code);
        gate(m, 1, HANDLER);
        gate(m, 0x40, HANDLER + 3);
        put(m, HANDLER, count_handler, sizeof count_handler);
        struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 1000});
        assert_int_equal(s.kind, SIM_STOP_HALT);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 7);
        assert_true(sim_cpu(m, 0)->dr[6] & 1u << 14);
        sim_destroy(m);
    }
}

// An instruction breakpoint faults before its instruction; the handler's IRET with RF lets it run.
static void test_insn_breakpoint(void **state)
{
    static const uint8_t rf_handler[] = {
        0x49, 0xff, 0xc7,                               // inc r15
        0x81, 0x4c, 0x24, 0x10, 0x00, 0x00, 0x01, 0x00, // or dword [rsp+16], RF
        0x48, 0xcf,                                     // iretq
    };
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
        struct isa_cpu *c = sim_cpu(m, 0);
        gate(m, 1, HANDLER);
        put(m, HANDLER, rf_handler, sizeof rf_handler);
        c->dr[0] = CODE + 11; // the lea
        c->dr[7] |= 1;
        struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 20000});
        assert_int_equal(s.kind, SIM_STOP_HALT);
        assert_int_equal(c->gpr[ISA_R15], 1000);
        assert_int_equal(c->dr[6] & 15, 1);
        assert_false(c->rflags_sys & ISA_FL_RF);
        sim_destroy(m);
    }
}

// A page fault whose handler cannot be fetched, on a stack of its own: it never ends, and executes nothing that a limit could count.
static void test_endless_fault(void **state)
{
    static const uint8_t code[] = {0xa0, 0, 0, 0, 0, 0, 0x40, 0, 0}; // mov al, [400000000000h]
    for (unsigned k = 0; k < 2; k++) {
        const struct sim_config cfg = {.ram_bytes = 4 << 20, .loop = k, .fidelity = k ? SIM_FUNCTIONAL : SIM_FAST};
        struct sim_error err;
        struct sim_machine *m = sim_create(&cfg, &err);
        const struct sim_load how = {.image = SIM_IMAGE_FLAT, .addr = CODE, .start = SIM_START_LONG64};
        assert_int_equal(sim_load_bytes(m, "code", code, sizeof code, &how, NULL, &err), 0);
        struct isa_cpu *c = sim_cpu(m, 0);
        c->idtr = (struct isa_dtr){IDT, 0xfff};
        c->seg[ISA_TR] = (struct isa_seg){.sel = 0x20, .base = IDT + 0x1000, .limit = 0x67, .ar = 0x8b};
        gate(m, 14, 0x400000000000); // as little there as where the code reads
        put(m, IDT + 14 * 16 + 4, "\1", 1);
        put(m, IDT + 0x1000 + 36, &(uint64_t){0x300000}, 8);
        const struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 1000});
        assert_int_equal(s.kind, SIM_STOP_LIMIT);
        assert_non_null(strstr(s.text, "without one instruction executed (last: #PF)"));
        assert_int_equal(sim_insns(m), 0);
        sim_destroy(m);
    }
}

// Counts in r15, and keeps RCX, the return address and the flags of the last trap in r13, r12 and r11.
static const uint8_t trap_handler[] = {
    0x49, 0xff, 0xc7,             // inc r15
    0x49, 0x89, 0xcd,             // mov r13, rcx
    0x4c, 0x8b, 0x24, 0x24,       // mov r12, [rsp]
    0x4c, 0x8b, 0x5c, 0x24, 0x10, // mov r11, [rsp+16]
    0x48, 0xcf,                   // iretq
};
enum { BP_EXEC, BP_WRITE, BP_IO, BP_RW };
#define DR7(kind, len) (1u | (unsigned)(kind) << 16 | (unsigned)((len) == 8 ? 2 : (len)-1) << 18)

// Run code in each mode with breakpoint 0; all modes must agree. The machine of the last one is handed back.
static struct sim_machine *run_watched(const void *code, uint64_t n, uint64_t dr0, uint32_t dr7, uint64_t cr4)
{
    struct sim_machine *m = NULL;
    uint64_t hash = 0;
    EACH_MODE(k)
    {
        if (m)
            sim_destroy(m);
        m = boot64(k, code, n);
        struct isa_cpu *c = sim_cpu(m, 0);
        gate(m, 0, HANDLER + 0x100);
        gate(m, 1, HANDLER);
        gate(m, 0x40, HANDLER + 0x100);
        put(m, HANDLER, trap_handler, sizeof trap_handler);
        put(m, HANDLER + 0x100, (const uint8_t[]){0xf4}, 1);
        put(m, 0x200000, &(uint64_t){0}, 8);
        c->cr4 |= cr4;
        c->dr[0] = dr0;
        c->dr[7] |= dr7;
        struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 40000});
        assert_int_equal(s.kind, SIM_STOP_HALT);
        assert_int_equal(c->dbg_hits, 0);
        if (!k)
            hash = sim_state_hash(m);
        assert_int_equal(sim_state_hash(m), hash);
    }
    return m;
}

// The loop stores 8 bytes at 200000H and reads them back: which breakpoints trap, how often, and behind which instruction.
static void test_data_breakpoint(void **state)
{
    static const struct {
        uint64_t dr0;
        uint32_t dr7;
        unsigned traps, last; // offset of the return address
    } t[] = {
        {0x200000, DR7(BP_WRITE, 8), 1000, 24},
        {0x200000, DR7(BP_RW, 8), 2000, 32},
        {0x200007, DR7(BP_RW, 1), 2000, 32},
        {0x200008, DR7(BP_RW, 4), 0, 0},
        {0x200007, DR7(BP_WRITE, 4), 1000, 24},
        {0x1fffff, DR7(BP_RW, 1), 0, 0},
        {0x200000, DR7(BP_IO, 4), 0, 0},
        {0x200004, DR7(BP_RW, 2) & ~1u, 0, 0},
        {0x200004, DR7(BP_RW, 2) << 1 & ~0xff0000u, 0, 0},
    };
    for (unsigned k = 0; k < sizeof t / sizeof *t; k++) {
        struct sim_machine *m = run_watched(loop_code, sizeof loop_code, t[k].dr0, t[k].dr7, 0);
        struct isa_cpu *c = sim_cpu(m, 0);
        assert_int_equal(c->gpr[ISA_R15], t[k].traps);
        assert_int_equal(c->dr[6] & 0xf, t[k].traps != 0);
        if (t[k].traps)
            assert_int_equal(c->gpr[ISA_R12], CODE + t[k].last);
        assert_false(c->gpr[ISA_R11] & ISA_FL_RF);
        sim_destroy(m);
    }
}

// A repeated instruction traps after the iteration; a fault drops the hit; MOV SS holds it back; delivery of an event hits, too.
static void test_data_breakpoint_ends(void **state)
{
    static const uint8_t rep[] = {
        0xbe, 0x00, 0x00, 0x18, 0x00, // mov esi, 0x180000
        0xbf, 0x00, 0xff, 0x1f, 0x00, // mov edi, 0x1fff00
        0xb9, 0x00, 0x02, 0x00, 0x00, // mov ecx, 0x200
        0xf3, 0xa4,                   // rep movsb
        0xf4,                         // hlt
    };
    struct sim_machine *m = run_watched(rep, sizeof rep, 0x200010, DR7(BP_WRITE, 1), 0);
    struct isa_cpu *c = sim_cpu(m, 0);
    assert_int_equal(c->gpr[ISA_R15], 1);
    assert_int_equal(c->gpr[ISA_R12], CODE + 15);
    assert_int_equal(c->gpr[ISA_R13], 0x200 - 0x111);
    assert_int_equal(c->gpr[ISA_RCX], 0);
    assert_int_equal(c->insns, 3 + 1 + 5 + 1);
    assert_true(c->gpr[ISA_R11] & ISA_FL_RF); // between two iterations
    sim_destroy(m);
    m = run_watched(rep, sizeof rep, 0x2000ff, DR7(BP_WRITE, 1), 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R12], CODE + 17);
    assert_false(sim_cpu(m, 0)->gpr[ISA_R11] & ISA_FL_RF); // after the last one
    sim_destroy(m);
    static const uint8_t divide[] = {0x48, 0xf7, 0x34, 0x25, 0x00, 0x00, 0x20, 0x00}; // div qword [0x200000]
    m = run_watched(divide, sizeof divide, 0x200000, DR7(BP_RW, 8), 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 0);
    assert_int_equal(sim_cpu(m, 0)->dr[6] & 0xf, 0);
    sim_destroy(m);
    static const uint8_t mov_ss[] = {
        0x66, 0xc7, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00, 0x10, 0x00, // mov word [0x200000], 10h
        0x8e, 0x14, 0x25, 0x00, 0x00, 0x20, 0x00,                   // mov ss, [0x200000]
        0x90, 0x90, 0xf4,                                           // nop; nop; hlt
    };
    m = run_watched(mov_ss, sizeof mov_ss, 0x200000, DR7(BP_RW, 1), 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 2);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R12], CODE + 18);
    sim_destroy(m);
    // an instruction breakpoint behind MOV SS is suppressed (this handler would meet it for ever)
    static const uint8_t behind[] = {0x41, 0x8e, 0xd6, 0x90, 0x90, 0xf4}; // mov ss, r14d; nop; nop; hlt
    m = run_watched(behind, sizeof behind, CODE + 3, 1, 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 0);
    sim_destroy(m);
    static const uint8_t software_int[] = {0xcd, 0x40}; // its frame is pushed below 300000H
    m = run_watched(software_int, sizeof software_int, 0x300000 - 8, DR7(BP_WRITE, 8), 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 1);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R12], HANDLER + 0x100);
    sim_destroy(m);
}

// A breakpoint that the program sets itself, on a page that it has used before: from the next instruction on.
static void test_data_breakpoint_armed(void **state)
{
    static const uint8_t code[] = {
        0xbf, 0x00, 0x00, 0x20, 0x00,                   // mov edi, 0x200000
        0x88, 0x07, 0x8a, 0x07,                         // mov [rdi], al; mov al, [rdi]
        0x0f, 0x23, 0xc7,                               // mov dr0, rdi
        0xb8, 0x01, 0x04, 0x03, 0x00, 0x0f, 0x23, 0xf8, // mov eax, 30401h; mov dr7, rax
        0x88, 0x07, 0x88, 0x47, 0x01, 0x8a, 0x07,       // mov [rdi], al; mov [rdi+1], al; mov al, [rdi]
        0xb8, 0x00, 0x04, 0x00, 0x00, 0x0f, 0x23, 0xf8, // mov eax, 400h; mov dr7, rax
        0x88, 0x07, 0xf4,                               // mov [rdi], al; hlt
    };
    struct sim_machine *m = run_watched(code, sizeof code, 0, 0, 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 2);
    sim_destroy(m);
}

static void test_io_breakpoint(void **state)
{
    static const uint8_t code[] = {
        0xe6, 0x80,                   // out 80h, al
        0xe5, 0x7e,                   // in eax, 7eh: 7EH..81H
        0xe4, 0x81,                   // in al, 81h
        0xbe, 0x00, 0x00, 0x20, 0x00, // mov esi, 0x200000
        0x66, 0xba, 0x80, 0x00,       // mov dx, 80h
        0xb9, 0x03, 0x00, 0x00, 0x00, // mov ecx, 3
        0xf3, 0x6e,                   // rep outsb
        0xf4,                         // hlt
    };
    struct sim_machine *m = run_watched(code, sizeof code, 0x80, DR7(BP_IO, 1), ISA_CR4_DE);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 5);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R13], 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R12], CODE + 22);
    sim_destroy(m);
    m = run_watched(code, sizeof code, 0x80, DR7(BP_IO, 1), 0);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 0);
    sim_destroy(m);
    m = run_watched(code, sizeof code, 0x81, DR7(BP_IO, 2), ISA_CR4_DE);
    assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 6);
    sim_destroy(m);
}

// --- odd ends

static void test_storm_and_shutdown(void **state)
{
    static const uint8_t ud[] = {0x0f, 0x0b}; // ud2
    struct sim_machine *m = boot64(0, ud, sizeof ud);
    gate(m, 6, CODE); // the handler of #UD is UD2
    struct isa_cpu *c = sim_cpu(m, 0);
    c->gpr[ISA_RSP] = 0x7000000000ull; // not mapped: the delivery of #UD faults
    struct sim_stop s = sim_run(m, NULL);
    assert_int_equal(s.kind, SIM_STOP_SHUTDOWN);
    assert_non_null(strstr(s.text, "#UD"));
    assert_non_null(strstr(s.text, "0x100000"));
    // the whole chain: the stack of #UD's handler is not mapped, #PF has no gate, nor has #DF
    static const char *const link[] = {"Its delivery looked up IDT entry 6 at 0x",
                                       "failed with: #PF for address 0x6ffffffff8, error code 0x2: ",
                                       "Its delivery looked up IDT entry 14 at 0x",
                                       "failed with: #GP for IDT entry 14: ",
                                       "Together that is #DF. Its delivery looked up IDT entry 8 at 0x",
                                       "failed with: #GP for IDT entry 8: "};
    const char *rest = s.text;
    for (unsigned n = 0; n < sizeof link / sizeof *link; n++) {
        rest = strstr(rest, link[n]);
        assert_non_null(rest);
    }
    sim_destroy(m);

    // What may have led there: an access beyond RAM, the first of them.
    static const uint8_t beyond[] = {0xb8, 0x10, 0x00, 0x00, 0x10, 0x8b, 0x00, 0x8b, 0x80, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x0b};
    m = boot64(0, beyond, sizeof beyond); // mov eax, 256 MiB + 16; mov eax, [rax]; mov eax, [rax+0x1000]; ud2
    s = sim_run(m, NULL);
    assert_int_equal(s.kind, SIM_STOP_SHUTDOWN);
    assert_non_null(strstr(s.text, "at 0x100005, it accessed address 0x10000010"));
    assert_non_null(strstr(s.text, "--ram 257M"));
    sim_destroy(m);

    static const uint8_t iret_to_ud[] = {0x48, 0xcf}; // iretq: returns to the UD2 for ever
    m = boot64(0, ud, sizeof ud);
    gate(m, 6, HANDLER);
    put(m, HANDLER, iret_to_ud, sizeof iret_to_ud);
    s = sim_run(m, &(struct sim_until){.max_cycles = 1000000});
    assert_int_equal(s.kind, SIM_STOP_LIMIT);
    sim_destroy(m);
}

static void count_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    ++*(unsigned *)ctx;
    assert_int_equal(e->kind, EV_SHUTDOWN);
    assert_int_equal(e->rip, CODE);
}

// Whatever could not be delivered: a fault, or what an instruction asked for. A machine that is shut down stays so without telling again.
static void test_shutdown_is_told(void **state)
{
    static const uint8_t code[][2] = {{0x0f, 0x0b}, {0xcc, 0x90}, {0xcd, 0x80}, {0xf1, 0x90}}; // ud2; int3; int 80h; int1
    for (unsigned k = 0; k < sizeof code / sizeof *code; k++) {
        unsigned n = 0;
        struct sim_machine *m = boot64(0, code[k], 2);
        sim_cpu(m, 0)->idtr.limit = 0;
        ev_subscribe(m, EV_BIT(EV_SHUTDOWN), count_event, &n);
        assert_int_equal(sim_run(m, NULL).kind, SIM_STOP_SHUTDOWN);
        assert_int_equal(n, 1);
        assert_int_equal(sim_run(m, NULL).kind, SIM_STOP_SHUTDOWN);
        assert_int_equal(n, 1);
        sim_destroy(m);
    }
}

static void test_no_ram(void **state)
{
    static const uint8_t code[] = {0xb8, 0x00, 0x00, 0x00, 0x10, 0xff, 0xe0}; // mov eax, 256 MiB; jmp rax
    struct sim_machine *m = boot64(0, code, sizeof code);
    struct sim_stop s = sim_run(m, NULL);
    assert_int_equal(s.kind, SIM_STOP_UNMODELLED);
    assert_non_null(strstr(s.text, "0x10000000"));
    sim_destroy(m);
}

// A long straight run of code overflows the cache of decoded blocks several times.
static void test_cache_overflow(void **state)
{
    for (unsigned k = 0; k < 2; k++) {
        struct sim_machine *m = boot64(k, loop_code, 1);
        uint8_t *p = ram_at(&m->ram, (struct hpa){0x200000});
        memset(p, 0x90, 0x100000);
        p[0xfffff] = 0xf4;
        struct isa_cpu *c = sim_cpu(m, 0);
        for (unsigned turn = 0; turn < 2; turn++) {
            c->rip = 0x200000;
            c->activity = ISA_ACTIVE;
            struct sim_stop s = sim_run(m, NULL);
            assert_int_equal(s.kind, SIM_STOP_HALT);
            assert_int_equal(c->insns, 0x100000ull * (turn + 1));
        }
        sim_destroy(m);
    }
}

static void test_real_mode_limit(void **state)
{
    static const uint8_t code[] = {0xea, 0xfe, 0xff, 0x00, 0x00}; // jmp 0:fffe
    EACH_MODE(k)
    {
        struct sim_machine *m = boot(k, SIM_START_REAL, 0x7c00, code, sizeof code);
        put(m, 0xfffe, "\x90\x90", 2);         // after these two, IP = 10000H is beyond the limit: #GP
        put(m, 13 * 4, "\x00\x05\x00\x00", 4); // vector 13 -> 0:500
        put(m, 0x500, "\xf4", 1);
        struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 100});
        assert_int_equal(s.kind, SIM_STOP_HALT);
        assert_int_equal(sim_cpu(m, 0)->rip, 0x501);
        assert_int_equal(sim_cpu(m, 0)->insns, 4);
        sim_destroy(m);
    }
}

static void stop_at_once(void *ctx, struct sim_machine *m, const struct ev *e)
{
    *(uint64_t *)ctx = e->insn;
    sim_request_stop(m);
}

// An observer of a rare event in the middle of a block stops it after the instruction that caused it.
static void test_stop_request(void **state)
{
    EACH_MODE(k)
    {
        struct sim_machine *m = boot64(k, loop_code, sizeof loop_code);
        sim_run(m, &(struct sim_until){.insns = 1}); // the walk of the fetch is past
        uint64_t insn = 0;
        ev_subscribe(m, EV_BIT(EV_WALK), stop_at_once, &insn);
        struct sim_stop s = sim_run(m, NULL); // the walk of the store
        assert_int_equal(s.kind, SIM_STOP_REQUEST);
        assert_int_equal(insn, 4);
        assert_int_equal(sim_cpu(m, 0)->insns, 5);
        s = sim_run(m, &(struct sim_until){.events = EV_BIT(EV_HALT)});
        assert_int_equal(s.kind, SIM_STOP_UNTIL);
        assert_int_equal(s.code, SIM_UNTIL_EVENT);
        assert_int_equal(sim_cpu(m, 0)->activity, ISA_HLT);
        sim_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_counts),
        cmocka_unit_test(test_until_insns),
        cmocka_unit_test(test_until_cycles),
        cmocka_unit_test(test_until_rip),
        cmocka_unit_test(test_until_stops),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_self_modifying),
        cmocka_unit_test(test_interrupt_boundary),
        cmocka_unit_test(test_halt_wakes),
        cmocka_unit_test(test_interrupt_shadow),
        cmocka_unit_test(test_mmio_kick),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_insn_breakpoint),
        cmocka_unit_test(test_endless_fault),
        cmocka_unit_test(test_data_breakpoint),
        cmocka_unit_test(test_data_breakpoint_ends),
        cmocka_unit_test(test_data_breakpoint_armed),
        cmocka_unit_test(test_io_breakpoint),
        cmocka_unit_test(test_storm_and_shutdown),
        cmocka_unit_test(test_shutdown_is_told),
        cmocka_unit_test(test_no_ram),
        cmocka_unit_test(test_cache_overflow),
        cmocka_unit_test(test_real_mode_limit),
        cmocka_unit_test(test_stop_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
