// isa/exec_ends_test.c: handlers leave a block exactly where the opcode map says so (ISA_F_END), and set RIP there and nowhere else.
//
// One encoding of every form that the decoder can produce runs alone under the plain dispatcher, on a processor whose memory reads
// as zero. Forms that fault here (they want descriptors, or divide by zero) tell nothing and are counted out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "isa/decode_testing.h"
#include "isa/exec.h"
#include "isa/tables.h"

// --- a machine that answers everything with zero

static int fake_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n, unsigned acc) { return memset(buf, 0, n), 0; }
static int fake_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n, unsigned acc) { return 0; }
static int fake_probe(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc) { return 0; }
static void *fake_host_run(struct isa_cpu *c, uint64_t la, uint64_t max, uint64_t *len, unsigned acc) { return NULL; }
static int fake_read_phys(struct isa_cpu *c, struct gpa pa, void *buf, unsigned n) { return memset(buf, 0, n), 0; }
static int fake_write_phys(struct isa_cpu *c, struct gpa pa, const void *buf, unsigned n) { return 0; }
static int fake_in(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t *val) { return *val = 0, 0; }
static int fake_out(struct isa_cpu *c, uint16_t port, unsigned size, uint32_t val) { return 0; }
static bool fake_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val) { return *val = 0, true; }
static bool fake_wrmsr(struct isa_cpu *c, uint32_t msr, uint64_t val) { return true; }
static void fake_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4]) { memset(out, 0, 16); }
static uint64_t fake_tsc(struct isa_cpu *c, uint64_t cycles) { return cycles; }
static uint64_t fake_random(struct isa_cpu *c) { return 4; }
static void fake_inval(struct isa_cpu *c, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la) {}
static void fake_context(struct isa_cpu *c) {}
static int fake_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt p, uint64_t arg, uint64_t *val) { return 0; }
static int fake_intercept_event(struct isa_cpu *c, const struct isa_event *e) { return 0; }
static int fake_intercept_triple(struct isa_cpu *c) { return 0; }
static int fake_vmx(struct isa_cpu *c, const struct isa_insn *i) { return 0; }
static void fake_charge(struct isa_cpu *c, unsigned cost_class) {}
static void fake_on_event(struct isa_cpu *c, const struct isa_event *e) {}
static void fake_on_cr(struct isa_cpu *c, unsigned cr, uint64_t old, uint64_t now) {}
static void fake_on_msr(struct isa_cpu *c, uint32_t msr, uint64_t val, bool write) {}
static void fake_on_seg(struct isa_cpu *c, unsigned sreg, uint16_t sel) {}
static void fake_on_ring(struct isa_cpu *c, unsigned from, unsigned to) {}

static const struct isa_env fake = {
    .read = fake_read,
    .write = fake_write,
    .probe = fake_probe,
    .host_run = fake_host_run,
    .read_phys = fake_read_phys,
    .write_phys = fake_write_phys,
    .in = fake_in,
    .out = fake_out,
    .rdmsr = fake_rdmsr,
    .wrmsr = fake_wrmsr,
    .cpuid = fake_cpuid,
    .tsc = fake_tsc,
    .random = fake_random,
    .inval = fake_inval,
    .context = fake_context,
    .intercept = fake_intercept,
    .intercept_event = fake_intercept_event,
    .intercept_triple = fake_intercept_triple,
    .vmx = fake_vmx,
    .charge = fake_charge,
    .on_event = fake_on_event,
    .on_cr = fake_on_cr,
    .on_msr = fake_on_msr,
    .on_seg = fake_on_seg,
    .on_ring = fake_on_ring,
};

#define RIP 0x1000u

// CPL 0, flat segments in protected and 64-bit mode, every CR4 switch on that would otherwise give #UD.
static void enter(struct isa_cpu *c, enum isa_mode mode)
{
    c->env = &fake;
    isa_reset(c);
    for (unsigned r = 0; r < 16; r++)
        c->gpr[r] = 0x40;
    c->gpr[ISA_RDX] = 0;
    c->gpr[ISA_RSP] = 0x8000;
    c->rip = c->gpr[ISA_REG_RIP] = RIP;
    c->cr4 = ISA_CR4_OSXSAVE | ISA_CR4_FSGSBASE | ISA_CR4_SMAP | ISA_CR4_VMXE;
    c->gdtr = (struct isa_dtr){.limit = 0xffff};
    if (mode != ISA_REAL) {
        c->cr0 |= ISA_CR0_PE;
        for (unsigned s = ISA_ES; s <= ISA_GS; s++)
            c->seg[s] = (struct isa_seg){.limit = 0xffffffff, .ar = 0xc093, .sel = 0x10};
        c->seg[ISA_CS] = (struct isa_seg){.limit = 0xffffffff, .ar = 0xc09b, .sel = 8};
    } else
        c->seg[ISA_CS] = (struct isa_seg){.limit = 0xffff, .ar = 0x9b};
    if (mode == ISA_LONG64) {
        c->cr0 |= ISA_CR0_PG;
        c->cr4 |= ISA_CR4_PAE;
        c->efer = ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_SCE;
        c->seg[ISA_CS].ar = 0xa09b;
    }
    isa_update_mode(c);
    assert_int_equal(c->mode, mode);
}

static bool done[ISA_OP_NUM][8];
static unsigned ran, wrong;

static void complain(const struct isa_insn *i, const char *what)
{
    const struct isa_opinfo *op = &isa_opinfo[i->op];
    print_error("%s %s, %u bits, %s: %s\n", op->mnemonic, op->operands, i->osz * 8u, i->is_mem ? "memory" : "register", what);
    wrong++;
}

static void run(struct isa_cpu *c, enum isa_mode mode, struct isa_insn *i)
{
    static const uint32_t cost[ISA_COST_NUM];
    bool end = isa_opinfo[i->op].props & ISA_F_END;
    enter(c, mode);
    isa_prepare(i, isa_run_loop, 0, 0, 0, cost);
    c->rip = 0xdead;
    int r = i->run(c, i);
    if (r != ISA_R_NEXT && r != ISA_R_STOP) {
        if (c->at != i)
            complain(i, "aborts without saying where");
        return;
    }
    done[i->op][__builtin_ctz(i->osz) * 2 + i->is_mem] = true;
    ran++;
    if (r == ISA_R_STOP && !end)
        complain(i, "ends the block, but its row lacks ISA_F_END");
    else if (r == ISA_R_NEXT && end)
        complain(i, "goes on, but its row has ISA_F_END");
    else if (end ? c->rip == 0xdead : c->rip != 0xdead)
        complain(i, end ? "ends the block without setting RIP" : "sets RIP in the middle of a block");
}

static void run_map(struct isa_cpu *c, const struct isa_decode_mode *m, const char *before)
{
    uint8_t b[40] = {0};
    struct isa_insn i;
    unsigned n = put_hex(b, before);
    for (unsigned x = 0; x < 0x10000; x++) { // opcode, and ModRM or first immediate byte
        b[n] = (uint8_t)(x >> 8);
        b[n + 1] = (uint8_t)x;
        isa_decode(m, b, 16, &i);
        if (!done[i.op][__builtin_ctz(i.osz) * 2 + i.is_mem])
            run(c, (enum isa_mode)m->mode, &i);
    }
}

static void blocks_end_where_the_table_says(void **state)
{
    static const char *const before[] = {"",         "66",       "f2",       "f3",       "48",     "0f",     "660f",   "f20f",
                                         "f30f",     "480f",     "f3480f",   "0f38",     "660f38", "f20f38", "f30f38", "480f38",
                                         "f2480f38", "66480f38", "f3480f38", "66f20f38", "660fc7", "c4e278", "c4e279", "c4e27a",
                                         "c4e27b",   "c4e37b",   "c4e2f8",   "c4e2f9",   "c4e2fa", "c4e2fb", "c4e3fb"};
    static const enum isa_mode modes[] = {ISA_REAL, ISA_PROT32, ISA_LONG64};
    struct isa_cpu *c = calloc(1, sizeof *c);
    for (unsigned k = 0; k < 3; k++) {
        struct isa_decode_mode m = mode_of(modes[k], modes[k] != ISA_REAL);
        for (unsigned p = 0; p < sizeof before / sizeof before[0]; p++)
            run_map(c, &m, before[p]);
    }
    unsigned rows = 0;
    for (unsigned op = 1; op < ISA_OP_NUM; op++) {
        bool any = false;
        for (unsigned k = 0; k < 8; k++)
            any |= done[op][k];
        rows += any;
        if (!any)
            print_message("faults here always: %s %s\n", isa_opinfo[op].mnemonic, isa_opinfo[op].operands);
    }
    free(c);
    printf("# blocks: %u forms of %u rows ran without a fault\n", ran, rows);
    assert_int_equal(wrong, 0);
    assert_true(rows > 350);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_end_where_the_table_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
