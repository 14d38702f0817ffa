// vmx-model/exit_test.c: what exits, what the exit says, and what it saves and loads. Guest code runs on the flat test machine.
#include "vmx-model/testvm.h"

#include <stdio.h>

#include "isa/cr.h"
#include "isa/deliver.h"
#include "isa/flags.h"

static const uint8_t vmlaunch[] = {0x0f, 0x01, 0xc2}, vmresume[] = {0x0f, 0x01, 0xc3};

static int enter(bool resume)
{
    isa_te_code(tv.t, TV_HOST, resume ? vmresume : vmlaunch, 3);
    int r = isa_te_run(tv.t, 1);
    for (unsigned n = 0; n < tv.v.report.n; n++)
        print_error("entry: %s\n", tv.v.report.failure[n].id);
    assert_int_equal(tv.v.report.n, 0);
    return r;
}

static void enter_guest(void)
{
    assert_int_equal(enter(false), ISA_R_STOP);
    assert_int_equal(tv.c->vmx, ISA_VMX_NONROOT);
    tv.t->deliver = isa_deliver_fault;
}

static void on(enum vmcs_field f, uint64_t bits) { tv_set(f, tv_get(f) | bits); }
static void off(enum vmcs_field f, uint64_t bits) { tv_set(f, tv_get(f) & ~bits); }
#define PROC  VF_CPU_BASED_VM_EXEC_CONTROL
#define PROC2 VF_SECONDARY_VM_EXEC_CONTROL
#define PIN   VF_PIN_BASED_VM_EXEC_CONTROL

static void start(void)
{
    tv_golden(TV_64);
    off(PROC, VMX_PROC_HLT_EXITING | VMX_PROC_USE_IO_BITMAPS);
    tv_set(VF_GUEST_CR4, ISA_CR4_PAE | ISA_CR4_VMXE | ISA_CR4_OSXSAVE);
}

// --- the matrix: instruction, controls, expected exit

#define NO_EXIT  (-1)
#define FAULT_UD (-2)
struct matrix {
    const char *name;
    uint8_t code[8];
    uint8_t n;
    uint32_t pin, proc, proc2;
    struct {
        int field; // enum vmcs_field, 0: none (VF 0 is the VPID, which no case needs)
        uint64_t val;
    } set[3];
    int reason;
    uint64_t qual;
    uint32_t info;
};
// RAX = TV_DATA, RCX = 11H, RDX = 3F8H, RBX = 0, RSI = RDI = TV_DATA + 100H
static const struct matrix matrix[] = {
    {"cpuid", {0x0f, 0xa2}, 2, .reason = VMX_R_CPUID},
    {"invd", {0x0f, 0x08}, 2, .reason = VMX_R_INVD},
    {"xsetbv", {0x0f, 0x01, 0xd1}, 3, .reason = VMX_R_XSETBV},
    {"wbinvd", {0x0f, 0x09}, 2, .proc2 = VMX_PROC2_WBINVD_EXITING, .reason = VMX_R_WBINVD},
    {"wbinvd", {0x0f, 0x09}, 2, .reason = NO_EXIT},
    {"hlt", {0xf4}, 1, .proc = VMX_PROC_HLT_EXITING, .reason = VMX_R_HLT},
    {"hlt", {0xf4}, 1, .reason = NO_EXIT},
    {"pause", {0xf3, 0x90}, 2, .proc = VMX_PROC_PAUSE_EXITING, .reason = VMX_R_PAUSE},
    {"pause", {0xf3, 0x90}, 2, .reason = NO_EXIT},
    {"rdtsc", {0x0f, 0x31}, 2, .proc = VMX_PROC_RDTSC_EXITING, .reason = VMX_R_RDTSC},
    {"rdtsc", {0x0f, 0x31}, 2, .reason = NO_EXIT},
    {"rdtscp", {0x0f, 0x01, 0xf9}, 3, .proc = VMX_PROC_RDTSC_EXITING, .reason = VMX_R_RDTSCP},
    {"rdtscp", {0x0f, 0x01, 0xf9}, 3, .reason = NO_EXIT},
    {"rdtscp not enabled", {0x0f, 0x01, 0xf9}, 3, .set = {{PROC2, VMX_PROC2_ENABLE_EPT}}, .reason = FAULT_UD},
    {"rdpid rax", {0xf3, 0x0f, 0xc7, 0xf8}, 4, .proc = VMX_PROC_RDTSC_EXITING, .reason = NO_EXIT},
    {"rdpid not enabled", {0xf3, 0x0f, 0xc7, 0xf8}, 4, .set = {{PROC2, VMX_PROC2_ENABLE_EPT}}, .reason = FAULT_UD},
    {"rdpmc", {0x0f, 0x33}, 2, .proc = VMX_PROC_RDPMC_EXITING, .reason = VMX_R_RDPMC},
    {"invlpg", {0x0f, 0x01, 0x38}, 3, .proc = VMX_PROC_INVLPG_EXITING, .reason = VMX_R_INVLPG, .qual = TV_DATA},
    {"invlpg", {0x0f, 0x01, 0x38}, 3, .reason = NO_EXIT},
    {"invpcid rbx",
     {0x66, 0x0f, 0x38, 0x82, 0x58, 0x20},
     6,
     .proc = VMX_PROC_INVLPG_EXITING,
     .proc2 = VMX_PROC2_ENABLE_INVPCID,
     .reason = VMX_R_INVPCID,
     .qual = 0x20,
     .info = 3u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"invpcid not enabled", {0x66, 0x0f, 0x38, 0x82, 0x18}, 5, .proc = VMX_PROC_INVLPG_EXITING, .reason = FAULT_UD},
    {"rdrand ecx", {0x0f, 0xc7, 0xf1}, 3, .proc2 = VMX_PROC2_RDRAND_EXITING, .reason = VMX_R_RDRAND, .info = 1u << 3 | 1u << 11},
    {"rdrand ecx", {0x0f, 0xc7, 0xf1}, 3, .reason = NO_EXIT},
    {"rdseed rdx",
     {0x48, 0x0f, 0xc7, 0xfa},
     4,
     .proc2 = VMX_PROC2_RDSEED_EXITING,
     .reason = VMX_R_RDSEED,
     .info = 2u << 3 | 2u << 11},
    // VMX instructions always exit
    {"vmcall", {0x0f, 0x01, 0xc1}, 3, .reason = VMX_R_VMCALL},
    {"vmlaunch", {0x0f, 0x01, 0xc2}, 3, .reason = VMX_R_VMLAUNCH},
    {"vmresume", {0x0f, 0x01, 0xc3}, 3, .reason = VMX_R_VMRESUME},
    {"vmxoff", {0x0f, 0x01, 0xc4}, 3, .reason = VMX_R_VMXOFF},
    {"vmxon [rax+8]",
     {0xf3, 0x0f, 0xc7, 0x70, 0x08},
     5,
     .reason = VMX_R_VMXON,
     .qual = 8,
     .info = 6u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"vmptrld [rax+rcx*4]",
     {0x0f, 0xc7, 0x34, 0x88},
     4,
     .reason = VMX_R_VMPTRLD,
     .info = 6u << 28 | 1u << 18 | 3u << 15 | 2u << 7 | 2},
    {"vmptrst [rip+10h]",
     {0x0f, 0xc7, 0x3d, 0x10, 0, 0, 0},
     7,
     .reason = VMX_R_VMPTRST,
     .qual = TV_GUEST + 7 + 0x10,
     .info = 7u << 28 | 1u << 27 | 1u << 22 | 3u << 15 | 2u << 7},
    {"vmclear fs:[rax]",
     {0x64, 0x66, 0x0f, 0xc7, 0x30},
     5,
     .reason = VMX_R_VMCLEAR,
     .info = 6u << 28 | 1u << 22 | 4u << 15 | 2u << 7},
    {"vmread rbx, rcx", {0x0f, 0x78, 0xcb}, 3, .reason = VMX_R_VMREAD, .info = 1u << 28 | 1u << 10 | 3u << 3},
    {"vmwrite rcx, [rax-1]",
     {0x0f, 0x79, 0x48, 0xff},
     4,
     .reason = VMX_R_VMWRITE,
     .qual = ~0ull,
     .info = 1u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"invept", {0x66, 0x0f, 0x38, 0x80, 0x08}, 5, .reason = VMX_R_INVEPT, .info = 1u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"invvpid", {0x66, 0x0f, 0x38, 0x81, 0x08}, 5, .reason = VMX_R_INVVPID, .info = 1u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"vmfunc", {0x0f, 0x01, 0xd4}, 3, .reason = FAULT_UD},
    // control registers
    {"mov cr3, rax", {0x0f, 0x22, 0xd8}, 3, .proc = VMX_PROC_CR3_LOAD_EXITING, .reason = VMX_R_CR_ACCESS, .qual = 3},
    {"mov cr3, rax", {0x0f, 0x22, 0xd8}, 3, .reason = NO_EXIT},
    {"mov cr3, rax to a target",
     {0x0f, 0x22, 0xd8},
     3,
     .proc = VMX_PROC_CR3_LOAD_EXITING,
     .set = {{VF_CR3_TARGET_COUNT, 2}, {VF_CR3_TARGET_VALUE1, TV_DATA}},
     .reason = NO_EXIT},
    {"mov cr3, rax to an unused target",
     {0x0f, 0x22, 0xd8},
     3,
     .proc = VMX_PROC_CR3_LOAD_EXITING,
     .set = {{VF_CR3_TARGET_COUNT, 1}, {VF_CR3_TARGET_VALUE1, TV_DATA}},
     .reason = VMX_R_CR_ACCESS,
     .qual = 3},
    {"mov rdx, cr3",
     {0x0f, 0x20, 0xda},
     3,
     .proc = VMX_PROC_CR3_STORE_EXITING,
     .reason = VMX_R_CR_ACCESS,
     .qual = 3 | 1 << 4 | 2 << 8},
    {"mov rdx, cr3", {0x0f, 0x20, 0xda}, 3, .reason = NO_EXIT},
    {"mov cr8, rbx", {0x44, 0x0f, 0x22, 0xc3}, 4, .proc = VMX_PROC_CR8_LOAD_EXITING, .reason = VMX_R_CR_ACCESS, .qual = 8 | 3 << 8},
    {"mov cr8, rbx", {0x44, 0x0f, 0x22, 0xc3}, 4, .reason = NO_EXIT},
    {"mov r9, cr8",
     {0x45, 0x0f, 0x20, 0xc1},
     4,
     .proc = VMX_PROC_CR8_STORE_EXITING,
     .reason = VMX_R_CR_ACCESS,
     .qual = 8 | 1 << 4 | 9 << 8},
    {"mov cr4, rbp against the shadow",
     {0x0f, 0x22, 0xe5},
     3,
     .set = {{VF_CR4_GUEST_HOST_MASK, ISA_CR4_VMXE}, {VF_CR4_READ_SHADOW, 0}},
     .reason = VMX_R_CR_ACCESS,
     .qual = 4 | 5 << 8},
    {"mov cr4, rbp as the shadow",
     {0x0f, 0x22, 0xe5},
     3,
     .set = {{VF_CR4_GUEST_HOST_MASK, ISA_CR4_VMXE}, {VF_CR4_READ_SHADOW, ISA_CR4_VMXE}},
     .reason = NO_EXIT},
    {"clts",
     {0x0f, 0x06},
     2,
     .set = {{VF_CR0_GUEST_HOST_MASK, 8}, {VF_CR0_READ_SHADOW, 8}},
     .reason = VMX_R_CR_ACCESS,
     .qual = 2 << 4},
    {"clts, shadow clear", {0x0f, 0x06}, 2, .set = {{VF_CR0_GUEST_HOST_MASK, 8}}, .reason = NO_EXIT},
    {"clts", {0x0f, 0x06}, 2, .reason = NO_EXIT},
    {"lmsw cx",
     {0x0f, 0x01, 0xf1},
     3,
     .set = {{VF_CR0_GUEST_HOST_MASK, 1}},
     .reason = VMX_R_CR_ACCESS,
     .qual = 3 << 4 | 0x11 << 16},
    {"lmsw [rax]",
     {0x0f, 0x01, 0x30},
     3,
     .set = {{VF_CR0_GUEST_HOST_MASK, 8}, {VF_CR0_READ_SHADOW, 8}},
     .reason = VMX_R_CR_ACCESS,
     .qual = 3 << 4 | 1 << 6},
    {"lmsw bx, cannot clear PE",
     {0x0f, 0x01, 0xf3},
     3,
     .set = {{VF_CR0_GUEST_HOST_MASK, 1}, {VF_CR0_READ_SHADOW, 1}},
     .reason = NO_EXIT},
    {"mov dr7, rcx", {0x0f, 0x23, 0xf9}, 3, .proc = VMX_PROC_MOV_DR_EXITING, .reason = VMX_R_DR_ACCESS, .qual = 7 | 1 << 8},
    {"mov rcx, dr6",
     {0x0f, 0x21, 0xf1},
     3,
     .proc = VMX_PROC_MOV_DR_EXITING,
     .reason = VMX_R_DR_ACCESS,
     .qual = 6 | 1 << 4 | 1 << 8},
    {"mov rcx, dr6", {0x0f, 0x21, 0xf1}, 3, .reason = NO_EXIT},
    // ports
    {"in al, 60h",
     {0xe4, 0x60},
     2,
     .proc = VMX_PROC_UNCONDITIONAL_IO_EXITING,
     .reason = VMX_R_IO_INSTRUCTION,
     .qual = 0x60 << 16 | 1 << 6 | 1 << 3},
    {"in al, 60h", {0xe4, 0x60}, 2, .reason = NO_EXIT},
    {"in al, 60h, bitmap clear",
     {0xe4, 0x60},
     2,
     .proc = VMX_PROC_UNCONDITIONAL_IO_EXITING | VMX_PROC_USE_IO_BITMAPS,
     .reason = NO_EXIT},
    {"out dx, eax, bitmap", {0xef}, 1, .proc = VMX_PROC_USE_IO_BITMAPS, .reason = VMX_R_IO_INSTRUCTION, .qual = 0x3f8u << 16 | 3},
    {"out 0xfb, al, beside the bitmap", {0xe6, 0xfb}, 2, .proc = VMX_PROC_USE_IO_BITMAPS, .reason = NO_EXIT},
    {"rep outsb",
     {0xf3, 0x6e},
     2,
     .proc = VMX_PROC_UNCONDITIONAL_IO_EXITING,
     .reason = VMX_R_IO_INSTRUCTION,
     .qual = 0x3f8u << 16 | 1 << 4 | 1 << 5,
     .info = 2u << 7 | 3u << 15},
    {"insw",
     {0x66, 0x6d},
     2,
     .proc = VMX_PROC_UNCONDITIONAL_IO_EXITING,
     .reason = VMX_R_IO_INSTRUCTION,
     .qual = 0x3f8u << 16 | 1 << 4 | 1 << 3 | 1,
     .info = 2u << 7},
    // MSRs: RCX = 11H; the bitmap page is zero but for the bits that test_bitmaps() sets
    {"rdmsr without bitmaps", {0x0f, 0x32}, 2, .set = {{PROC, 0x04006172}}, .reason = VMX_R_RDMSR},
    {"wrmsr without bitmaps", {0x0f, 0x30}, 2, .set = {{PROC, 0x04006172}}, .reason = VMX_R_WRMSR},
    // descriptor tables
    {"lgdt [rax+4]",
     {0x0f, 0x01, 0x50, 0x04},
     4,
     .proc2 = VMX_PROC2_DESCRIPTOR_TABLE_EXITING,
     .reason = VMX_R_GDTR_IDTR_ACCESS,
     .qual = 4,
     .info = 2u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"sidt [rax]",
     {0x0f, 0x01, 0x08},
     3,
     .proc2 = VMX_PROC2_DESCRIPTOR_TABLE_EXITING,
     .reason = VMX_R_GDTR_IDTR_ACCESS,
     .info = 1u << 28 | 1u << 22 | 3u << 15 | 2u << 7},
    {"sgdt [rax]", {0x0f, 0x01, 0x00}, 3, .reason = NO_EXIT},
    {"str dx",
     {0x0f, 0x00, 0xca},
     3,
     .proc2 = VMX_PROC2_DESCRIPTOR_TABLE_EXITING,
     .reason = VMX_R_LDTR_TR_ACCESS,
     .info = 1u << 28 | 1u << 10 | 2u << 3},
    {"lldt bx",
     {0x0f, 0x00, 0xd3},
     3,
     .proc2 = VMX_PROC2_DESCRIPTOR_TABLE_EXITING,
     .reason = VMX_R_LDTR_TR_ACCESS,
     .info = 2u << 28 | 1u << 10 | 3u << 3},
    // exceptions
    {"ud2", {0x0f, 0x0b}, 2, .set = {{VF_EXCEPTION_BITMAP, 1 << 6}}, .reason = VMX_R_EXCEPTION_NMI},
    {"int3", {0xcc}, 1, .set = {{VF_EXCEPTION_BITMAP, 1 << 3}}, .reason = VMX_R_EXCEPTION_NMI},
    {"int1", {0xf1}, 1, .set = {{VF_EXCEPTION_BITMAP, 1 << 1}}, .reason = VMX_R_EXCEPTION_NMI},
    {"ud2 without handler", {0x0f, 0x0b}, 2, .set = {{VF_GUEST_IDTR_LIMIT, 0}}, .reason = VMX_R_TRIPLE_FAULT},
};

static void prepare(const struct matrix *k)
{
    start();
    on(PIN, k->pin);
    on(PROC, k->proc);
    on(PROC2, k->proc2);
    for (unsigned n = 0; n < 3 && k->set[n].field; n++)
        tv_set((enum vmcs_field)k->set[n].field, k->set[n].val);
    *(uint8_t *)isa_te_at(tv.t, TV_IO_A + 0x3f8 / 8) = 8; // port 3FBH: the last byte of a dword at 3F8H
    enter_guest();
    tv.c->gpr[ISA_RAX] = TV_DATA;
    tv.c->gpr[ISA_RCX] = 0x11;
    tv.c->gpr[ISA_RDX] = 0x3f8;
    tv.c->gpr[ISA_RBX] = 0;
    tv.c->gpr[ISA_RBP] = tv.c->cr4;
    tv.c->gpr[ISA_RSI] = tv.c->gpr[ISA_RDI] = TV_DATA + 0x100;
    isa_te_code(tv.t, TV_GUEST, k->code, k->n);
}

static void test_matrix(void **state)
{
    unsigned exits = 0, total = sizeof matrix / sizeof *matrix;
    for (unsigned n = 0; n < total; n++) {
        const struct matrix *k = &matrix[n];
        prepare(k);
        if (k->reason == FAULT_UD)
            tv.t->deliver = NULL;
        int r = isa_te_run(tv.t, 1), got = r == ISA_R_VMEXIT ? (int)tv.v.exit.reason : r == ISA_R_FAULT ? FAULT_UD : NO_EXIT;
        if (got != k->reason)
            print_error("%s: got %d (result %d, fault %u), want %d\n", k->name, got, r, tv.c->fault.vector, k->reason);
        assert_int_equal(got, k->reason);
        if (got == FAULT_UD)
            assert_int_equal(tv.c->fault.vector, ISA_X_UD);
        if (got >= 0) {
            exits++;
            if (tv.v.exit.qual != k->qual || tv.v.exit.insn_info != k->info)
                print_error("%s: qualification %llx, information %x\n", k->name, (unsigned long long)tv.v.exit.qual,
                            tv.v.exit.insn_info);
            assert_int_equal(tv.v.exit.qual, k->qual);
            assert_int_equal(tv.v.exit.insn_info, k->info);
            assert_int_equal(tv.c->rip, TV_GUEST);
            bool fault = k->reason == VMX_R_TRIPLE_FAULT || (k->reason == VMX_R_EXCEPTION_NMI && k->code[0] == 0x0f);
            assert_int_equal(tv.v.exit.insn_len, fault ? 0 : k->n);
            assert_true(vmx_take_exit(tv.c, &tv.v));
            assert_int_equal(tv.c->vmx, ISA_VMX_ROOT);
            assert_int_equal(tv_get(VF_VM_EXIT_REASON), k->reason);
            assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST);
            assert_int_equal(tv.c->rip, tv_get(VF_HOST_RIP));
        }
        tv_close();
    }
    printf("# intercept matrix: %u instructions, %u exits\n", total, exits);
}

// What the guest sees where nothing exits.

static void guest_code(const void *code, unsigned n)
{
    isa_te_code(tv.t, TV_GUEST, code, n);
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_STOP);
}

static void test_masks_and_shadows(void **state)
{
    start();
    tv_set(VF_CR0_GUEST_HOST_MASK, ISA_CR0_NE | ISA_CR0_TS);
    tv_set(VF_CR0_READ_SHADOW, ISA_CR0_TS);
    tv_set(VF_CR4_GUEST_HOST_MASK, ISA_CR4_VMXE);
    enter_guest();
    uint64_t cr0 = tv.c->cr0, cr4 = tv.c->cr4;
    guest_code("\x0f\x20\xc0", 3); // mov rax, cr0
    assert_int_equal(tv.c->gpr[ISA_RAX], (cr0 & ~(uint64_t)ISA_CR0_NE) | ISA_CR0_TS);
    guest_code("\x0f\x01\xe0", 3); // smsw eax
    assert_int_equal(tv.c->gpr[ISA_RAX] & 0xffff, (cr0 & 0xffff & ~(uint64_t)ISA_CR0_NE) | ISA_CR0_TS);
    guest_code("\x0f\x20\xe0", 3); // mov rax, cr4
    assert_int_equal(tv.c->gpr[ISA_RAX], cr4 & ~(uint64_t)ISA_CR4_VMXE);
    tv.c->gpr[ISA_RAX] = (cr0 & ~(uint64_t)ISA_CR0_NE) | ISA_CR0_TS | ISA_CR0_WP; // as the shadow shows it, and WP
    guest_code("\x0f\x22\xc0", 3);                                                // mov cr0, rax
    assert_int_equal(tv.c->cr0, cr0 | ISA_CR0_WP);                                // host-owned bits did not change
    tv_close();
}

static void test_tsc_offset(void **state)
{
    start();
    on(PROC, VMX_PROC_TSC_OFFSETTING);
    tv_set(VF_TSC_OFFSET, 1ull << 40);
    enter_guest();
    guest_code("\x0f\x31", 2);
    assert_int_equal(tv.c->gpr[ISA_RDX], 1 << 8);
    tv.c->gpr[ISA_RCX] = 0x10;
    guest_code("\x0f\x32", 2); // rdmsr of the counter
    assert_int_equal(tv.c->gpr[ISA_RDX], 1 << 8);
    tv_close();
}

// (counter * multiplier) >> 48, of the whole 128-bit product, plus the offset; only if offsetting is on too.
static void test_tsc_scaling(void **state)
{
    static const struct {
        uint64_t tsc, multiplier, want;
    } k[] = {
        {1000, 1ull << 48, 1000},
        {1000, 3ull << 47, 1500},
        {1, (1ull << 48) - 1, 0},
        {0xfedcba9876543210ull, 0x123456789abcdull, 0x21fa00ad77d65432ull},
        {UINT64_MAX, UINT64_MAX, 0xfffffffffffe0000ull}, // cut to 64 bits
    };
    start();
    enter_guest();
    on(PROC2, VMX_PROC2_USE_TSC_SCALING);
    tv_set(VF_TSC_OFFSET, 7);
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        tv_set(VF_TSC_MULTIPLIER, k[n].multiplier);
        off(PROC, VMX_PROC_TSC_OFFSETTING);
        assert_int_equal(vmx_guest_tsc(&tv.v, k[n].tsc), k[n].tsc);
        on(PROC, VMX_PROC_TSC_OFFSETTING);
        assert_int_equal(vmx_guest_tsc(&tv.v, k[n].tsc) - 7, k[n].want);
    }
    tv_close();
}

// PAUSE after waiting `wait` cycles: does it exit?
static bool pause_exits(uint64_t wait)
{
    static const uint8_t code[] = {0xf3, 0x90};
    tv.c->cycles += wait;
    isa_te_code(tv.t, TV_GUEST, code, sizeof code);
    int r = isa_te_run(tv.t, 1);
    assert_true(r == ISA_R_STOP || (r == ISA_R_VMEXIT && tv.v.exit.reason == VMX_R_PAUSE));
    return r == ISA_R_VMEXIT;
}

static void test_pause_loop(void **state)
{
    start();
    tv_set(VF_PLE_GAP, 128);
    tv_set(VF_PLE_WINDOW, 1000);
    on(PROC2, VMX_PROC2_PAUSE_LOOP_EXITING);
    enter_guest();
    tv.c->cycles = 5000;
    memset(tv.t->cost, 0, sizeof tv.t->cost); // PAUSE itself takes no time here
    assert_false(pause_exits(0));             // the first
    for (unsigned n = 0; n < 10; n++)
        assert_false(pause_exits(100)); // 1000 cycles after it: inside the window
    assert_true(pause_exits(1));
    assert_false(pause_exits(129)); // beyond the gap: another loop
    for (unsigned n = 0; n < 7; n++)
        assert_false(pause_exits(128));
    assert_true(pause_exits(128));
    isa_te_mode(tv.t, ISA_LONG64, 3); // not at CPL 3
    tv.c->vmx = ISA_VMX_NONROOT;
    assert_false(pause_exits(1));
    on(PROC, VMX_PROC_PAUSE_EXITING); // which holds at any CPL and leaves no loops
    assert_true(pause_exits(5000));
    tv_close();
}

static void test_msr_bitmaps(void **state)
{
    static const struct {
        uint32_t msr, at;
        bool write;
    } k[] = {{0x174, 0x2e, false}, {0xc0000081, 0x410, false}, {0x174, 0x82e, true}, {0xc0000081, 0xc10, true}};
    for (unsigned n = 0; n < 4; n++)
        for (unsigned bit = 0; bit < 2; bit++) {
            start();
            enter_guest();
            *(uint8_t *)isa_te_at(tv.t, TV_MSRS + k[n].at) =
                bit ? (uint8_t)(1u << (k[n].msr & 7)) : (uint8_t) ~(1u << (k[n].msr & 7));
            tv.c->gpr[ISA_RCX] = k[n].msr;
            isa_te_code(tv.t, TV_GUEST, k[n].write ? "\x0f\x30" : "\x0f\x32", 2);
            assert_int_equal(isa_te_run(tv.t, 1), bit ? ISA_R_VMEXIT : ISA_R_STOP);
            if (bit)
                assert_int_equal(tv.v.exit.reason, k[n].write ? VMX_R_WRMSR : VMX_R_RDMSR);
            tv_close();
        }
    start(); // outside both ranges: always
    enter_guest();
    tv.c->gpr[ISA_RCX] = 0x4000;
    isa_te_code(tv.t, TV_GUEST, "\x0f\x32", 2);
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    tv_close();
}

// --- exceptions

static void test_page_fault_mask(void **state)
{
    static const struct {
        uint32_t mask, match, bitmap;
        bool exits; // the access writes to a page that it may not write: error code 3 at CPL 0
    } k[] = {{0, 0, 1 << 14, true}, {0, 0, 0, false}, {1, 1, 1 << 14, true}, {1, 0, 1 << 14, false},
             {1, 0, 0, true},       {4, 4, 0, true},  {4, 4, 1 << 14, false}};
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        start();
        tv_set(VF_EXCEPTION_BITMAP, k[n].bitmap);
        tv_set(VF_PAGE_FAULT_ERROR_CODE_MASK, k[n].mask);
        tv_set(VF_PAGE_FAULT_ERROR_CODE_MATCH, k[n].match);
        enter_guest();
        tv.c->cr2 = 0x77;
        struct isa_event e = {.type = ISA_EV_HWEXC, .vector = 14, .has_error = true, .error = 3, .addr = 0x5678};
        assert_int_equal(vmx_intercept_event(tv.c, &tv.v, &e), k[n].exits ? ISA_R_VMEXIT : 0);
        if (k[n].exits) {
            assert_true(vmx_take_exit(tv.c, &tv.v));
            assert_int_equal(tv_get(VF_EXIT_QUALIFICATION), 0x5678);
            assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), 0x80000b0e);
            assert_int_equal(tv_get(VF_VM_EXIT_INTR_ERROR_CODE), 3);
            assert_int_equal(tv.c->cr2, 0x77); // an intercepted fault does not load CR2
        }
        tv_close();
    }
}

static void test_exception_info(void **state)
{
    start();
    tv_set(VF_EXCEPTION_BITMAP, ~0u);
    enter_guest();
    isa_te_code(tv.t, TV_GUEST, "\xcc", 1);
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.intr_info, 0x80000603); // software exception 3
    assert_int_equal(tv.v.exit.insn_len, 1);
    tv.c->gpr[ISA_RCX] = 0;
    isa_te_code(tv.t, TV_GUEST, "\xf7\xf1", 2); // div ecx
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.intr_info, 0x80000300);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_RFLAGS) & ISA_FL_RF, ISA_FL_RF);
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0);
    tv_close();
}

// INT n never exits; the fault of its delivery does, and the exit names the interrupt that was on its way.
static void test_idt_vectoring(void **state)
{
    start();
    tv_set(VF_EXCEPTION_BITMAP, 1 << 13);
    tv_set(VF_GUEST_IDTR_LIMIT, 0xff);
    enter_guest();
    isa_te_code(tv.t, TV_GUEST, "\xcd\x80", 2); // int 80h, beyond the IDT's limit
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), VMX_R_EXCEPTION_NMI);
    assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), 0x80000b0d);
    assert_int_equal(tv_get(VF_VM_EXIT_INTR_ERROR_CODE), 0x80 * 8 + 2);
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0x80000480);
    assert_int_equal(tv_get(VF_VM_EXIT_INSTRUCTION_LEN), 2);
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST);
    tv_close();
}

// A double fault that exits at once is no nested event.
static void test_double_fault_exit(void **state)
{
    start();
    tv_set(VF_EXCEPTION_BITMAP, 1 << 8);
    tv_set(VF_GUEST_IDTR_LIMIT, 0);
    enter_guest();
    tv.c->gpr[ISA_RCX] = 0;
    isa_te_code(tv.t, TV_GUEST, "\xf7\xf1", 2); // div ecx: #DE, then #GP for its gate
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), 0x80000b08);
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0);
    tv_close();
}

// Hardware task switches always exit: JMP to a TSS, and an exception through a task gate.
static void test_task_switch(void **state)
{
    tv_golden(TV_PAE);
    tv_w64(0xe018, 0x0000890030000067ull);         // GDT: available 32-bit TSS
    tv_w64(TV_IDT + 6 * 8, 0x0000850000180000ull); // #UD: task gate
    tv_set(VF_GUEST_GDTR_BASE, 0xe000);
    enter_guest();
    isa_te_code(tv.t, TV_GUEST, "\xea\0\0\0\0\x18\0", 7); // jmp 18h:0
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.reason, VMX_R_TASK_SWITCH);
    assert_int_equal(tv.v.exit.qual, 2u << 30 | 0x18);
    assert_int_equal(tv.v.exit.insn_len, 7);
    isa_te_code(tv.t, TV_GUEST, "\x0f\x0b", 2);
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.qual, 3u << 30 | 0x18);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0x80000306);
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST);
    tv_close();
}

// --- interrupts and windows

static void test_external_interrupt(void **state)
{
    for (unsigned ack = 0; ack < 2; ack++) {
        start();
        if (ack)
            on(VF_VM_EXIT_CONTROLS, VMX_EXIT_ACK_INTERRUPT);
        enter_guest();
        assert_int_equal(vmx_ack_on_exit(&tv.v), ack);
        assert_true(vmx_intercept_irq(tv.c, &tv.v, false, ack ? 0x31 : -1)); // although IF = 0
        assert_true(vmx_take_exit(tv.c, &tv.v));
        assert_int_equal(tv_get(VF_VM_EXIT_REASON), VMX_R_EXTERNAL_INTERRUPT);
        assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), ack ? 0x80000031 : 0);
        assert_int_equal(tv_get(VF_VM_EXIT_INSTRUCTION_LEN), 0);
        tv_close();
    }
    start();
    off(PIN, VMX_PIN_EXT_INT_EXITING);
    enter_guest();
    assert_false(vmx_intercept_irq(tv.c, &tv.v, false, -1));
    tv_close();
}

static void test_nmi(void **state)
{
    start();
    enter_guest();
    assert_true(vmx_intercept_irq(tv.c, &tv.v, true, -1));
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), 0x80000202);
    assert_int_equal(tv.c->blocking, ISA_BLOCK_NMI);
    tv_close();
    start();
    off(PIN, VMX_PIN_VIRTUAL_NMIS); // then the guest's blocking by NMI is the processor's
    tv_set(VF_GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI);
    enter_guest();
    assert_false(vmx_intercept_irq(tv.c, &tv.v, true, -1));
    tv_close();
    start();
    off(PIN, VMX_PIN_VIRTUAL_NMIS | VMX_PIN_NMI_EXITING);
    enter_guest();
    assert_false(vmx_intercept_irq(tv.c, &tv.v, true, -1));
    tv_close();
}

static void test_windows(void **state)
{
    start();
    on(PROC, VMX_PROC_INT_WINDOW_EXITING);
    enter_guest();
    assert_true(vmx_window_armed(tv.c, &tv.v));
    assert_false(vmx_window_exit(tv.c, &tv.v)); // IF = 0
    tv.c->rflags_sys |= ISA_FL_IF;
    tv.c->blocking = ISA_BLOCK_STI;
    assert_false(vmx_window_exit(tv.c, &tv.v));
    tv.c->blocking = 0;
    tv.c->activity = ISA_HLT; // an open window wakes from HLT
    assert_true(vmx_window_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_INTERRUPT_WINDOW);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_ACTIVITY_STATE), ISA_HLT);
    assert_int_equal(tv.c->activity, ISA_ACTIVE);
    tv_close();
    start();
    on(PROC, VMX_PROC_NMI_WINDOW_EXITING);
    tv_set(VF_GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI);
    enter_guest();
    assert_false(vmx_window_exit(tv.c, &tv.v));
    tv.c->blocking = 0;
    assert_true(vmx_window_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_NMI_WINDOW);
    tv_close();
    start();
    enter_guest();
    assert_false(vmx_window_armed(tv.c, &tv.v));
    tv_close();
}

static void test_monitor_trap_flag(void **state)
{
    start();
    on(PROC, VMX_PROC_MONITOR_TRAP_FLAG);
    enter_guest();
    assert_false(vmx_window_exit(tv.c, &tv.v)); // before the first instruction
    guest_code("\x90", 1);
    assert_true(vmx_window_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_MONITOR_TRAP_FLAG);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST + 1);
    tv_close();
    start();
    tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_VALID | 7u << 8); // pending MTF VM exit, without the control
    enter_guest();
    assert_true(vmx_window_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_MONITOR_TRAP_FLAG);
    tv_close();
}

static void test_ept(void **state)
{
    start();
    enter_guest();
    assert_int_equal(vmx_ept_violation(tv.c, &tv.v, (struct gpa){0x7654321}, 0x123456, true, true, ISA_ACC_W, 1, 0), ISA_R_VMEXIT);
    tv.c->delivering = (struct isa_event){.type = ISA_EV_EXTINT, .vector = 0x20};
    tv.c->delivering_valid = true;
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), 48);
    assert_int_equal(tv_get(VF_EXIT_QUALIFICATION), 0x18a);
    assert_int_equal(tv_get(VF_GUEST_LINEAR_ADDRESS), 0x123456);
    assert_int_equal(tv_get(VF_GUEST_PHYSICAL_ADDRESS), 0x7654321);
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0x80000020);
    assert_false(tv.c->delivering_valid);
    assert_int_equal(enter(true), ISA_R_STOP);
    assert_int_equal(vmx_ept_misconfig(tv.c, &tv.v, (struct gpa){0x9000}), ISA_R_VMEXIT);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), 49);
    assert_int_equal(tv_get(VF_GUEST_PHYSICAL_ADDRESS), 0x9000);
    tv_close();
}

// --- state

static void test_state_round_trip(void **state)
{
    static struct vmcs before;
    start();
    tv_set(VF_GUEST_RSP, 0x1234567890);
    tv_set(VF_GUEST_RFLAGS, 0x10246);
    tv_set(VF_GUEST_SYSENTER_CS, 0x10);
    tv_set(VF_GUEST_SYSENTER_ESP, 0x7fff00001111);
    tv_set(VF_GUEST_FS_BASE, 0x7f0012340000);
    tv_set(VF_GUEST_GDTR_BASE, 0x9000);
    tv_set(VF_GUEST_DS_AR_BYTES, 0x10000);
    before = tv.v.vmcs;
    uint64_t host_cr0 = tv.c->cr0;
    enter_guest();
    assert_int_equal(tv.c->gpr[ISA_RSP], 0x1234567890);
    assert_int_equal(tv.c->seg[ISA_FS].base, 0x7f0012340000);
    assert_true(tv.v.vmcs.launched);
    vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    for (unsigned f = 0; f < VMCS_NFIELD; f++)
        if (vmcs_field_info[f].type == VMCS_GUEST) {
            if (tv_get((enum vmcs_field)f) != before.f[f])
                print_error("%s: %llx, was %llx\n", vmcs_field_info[f].name, (unsigned long long)tv_get((enum vmcs_field)f),
                            (unsigned long long)before.f[f]);
            assert_int_equal(tv_get((enum vmcs_field)f), before.f[f]);
        }
    assert_int_equal(tv.c->cr0, host_cr0);
    assert_int_equal(isa_rflags(tv.c), ISA_FL_1);
    assert_int_equal(tv.c->seg[ISA_CS].ar, 0xa09b);
    assert_int_equal(tv.c->seg[ISA_SS].ar, 0xc093);
    assert_int_equal(tv.c->seg[ISA_TR].ar, 0x8b);
    assert_int_equal(tv.c->seg[ISA_TR].limit, 0x67);
    assert_true(tv.c->seg[ISA_LDTR].ar & ISA_AR_UNUSABLE);
    assert_int_equal(tv.c->dr[7], 0x400);
    assert_int_equal(tv.c->mode, ISA_LONG64);
    tv_close();
}

static void test_host32(void **state)
{
    tv_golden(TV_HOST32);
    enter_guest();
    assert_int_equal(tv.c->mode, ISA_PROT32);
    isa_te_code(tv.t, TV_GUEST, "\x0f\xa2", 2);
    assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv.c->mode, ISA_PROT32);
    assert_int_equal(tv.c->seg[ISA_CS].ar, 0xc09b);
    assert_int_equal(tv.c->efer & ISA_EFER_LMA, 0);
    tv_close();
}

static void test_modes(void **state)
{
    static const struct {
        enum tv_golden golden;
        enum isa_mode mode;
    } k[] = {{TV_64, ISA_LONG64}, {TV_PAE, ISA_PROT32}, {TV_REAL, ISA_REAL}, {TV_V86, ISA_V86}};
    for (unsigned n = 0; n < 4; n++) {
        tv_golden(k[n].golden);
        enter_guest();
        assert_int_equal(tv.c->mode, k[n].mode);
        if (k[n].golden == TV_PAE)
            assert_int_equal(tv.c->pdpte[3], TV_TABLE + 0x4001);
        assert_int_equal(tv.c->cr0_fixed0 & ISA_CR0_PE, k[n].golden == TV_REAL ? 0 : ISA_CR0_PE);
        tv_close();
    }
}

// CD, NW, ET and reserved bits of CR0 are neither loaded by entries nor by exits.
static void test_cr0_bits(void **state)
{
    start();
    tv.c->cr0 |= ISA_CR0_CD;
    tv_set(VF_GUEST_CR0, tv_get(VF_GUEST_CR0) | ISA_CR0_NW | 1 << 6 | ISA_CR0_WP);
    tv_set(VF_HOST_CR0, tv_get(VF_HOST_CR0) & ~(uint64_t)ISA_CR0_ET);
    enter_guest();
    assert_int_equal(tv.c->cr0, ISA_CR0_PE | ISA_CR0_ET | ISA_CR0_NE | ISA_CR0_PG | ISA_CR0_CD | ISA_CR0_WP);
    vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv.c->cr0, ISA_CR0_PE | ISA_CR0_ET | ISA_CR0_NE | ISA_CR0_PG | ISA_CR0_CD);
    tv_close();
}

// A guest in IA-32e mode cannot exit to a 32-bit host: VMX abort.
static void test_abort(void **state)
{
    start();
    enter_guest();
    off(VF_VM_EXIT_CONTROLS, VMX_EXIT_HOST_ADDRESS_SPACE_SIZE);
    vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
    assert_false(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv.c->activity, ISA_SHUTDOWN);
    assert_int_equal(tv_r64(TV_VMCS) >> 32, VMX_ABORT_64_TO_32);
    tv_close();
}

static void test_msr_areas(void **state)
{
    start();
    tv_set(VF_VM_ENTRY_MSR_LOAD_ADDR, TV_AREA);
    tv_set(VF_VM_ENTRY_MSR_LOAD_COUNT, 2);
    tv_w64(TV_AREA, 0xc0000082);
    tv_w64(TV_AREA + 8, 0x1111);
    tv_w64(TV_AREA + 16, 0xc0000102);
    tv_w64(TV_AREA + 24, 0x2222);
    tv_set(VF_VM_EXIT_MSR_STORE_ADDR, TV_AREA + 0x100);
    tv_set(VF_VM_EXIT_MSR_STORE_COUNT, 1);
    tv_w64(TV_AREA + 0x100, 0xc0000082);
    tv_set(VF_VM_EXIT_MSR_LOAD_ADDR, TV_AREA + 0x200);
    tv_set(VF_VM_EXIT_MSR_LOAD_COUNT, 1);
    tv_w64(TV_AREA + 0x200, 0xc0000082);
    tv_w64(TV_AREA + 0x208, 0x3333);
    enter_guest();
    assert_int_equal(tv.c->lstar, 0x1111);
    assert_int_equal(tv.c->kernel_gs_base, 0x2222);
    tv.c->lstar = 0x4444;
    vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_r64(TV_AREA + 0x108), 0x4444);
    assert_int_equal(tv.c->lstar, 0x3333);
    tv_close();
}

// Entries that cannot be loaded: exit reason 34, qualification = number of the entry; the VMCS is not launched.
static void test_msr_load_failure(void **state)
{
    static const struct {
        uint64_t index, data;
    } bad[] = {{0xc0000100, 0}, {0xc0000101, 0}, {0x1dead, 0}, {1ull << 32 | 0xc0000082, 0}, {0xc0000082, 1ull << 63}, {0x808, 0}};
    for (unsigned n = 0; n < sizeof bad / sizeof *bad; n++) {
        start();
        tv_set(VF_VM_ENTRY_MSR_LOAD_ADDR, TV_AREA);
        tv_set(VF_VM_ENTRY_MSR_LOAD_COUNT, 2);
        tv_w64(TV_AREA, 0xc0000082);
        tv_w64(TV_AREA + 16, bad[n].index);
        tv_w64(TV_AREA + 24, bad[n].data);
        assert_int_equal(enter(false), ISA_R_STOP);
        assert_int_equal(tv.v.report.outcome, VMX_ENTRY_FAIL_EXIT);
        assert_int_equal(tv_get(VF_VM_EXIT_REASON), 0x80000022);
        assert_int_equal(tv_get(VF_EXIT_QUALIFICATION), 2);
        assert_int_equal(tv.c->vmx, ISA_VMX_ROOT);
        assert_int_equal(tv.c->rip, tv_get(VF_HOST_RIP));
        assert_false(tv.v.vmcs.launched);
        tv_close();
    }
}

// --- event injection: through the guest's IDT, with all that comes with it

static void gate(unsigned vector, uint64_t handler)
{
    tv_w64(TV_IDT + 16 * vector, (handler & 0xffff) | 8ull << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48);
    tv_w64(TV_IDT + 16 * vector + 8, handler >> 32);
}

static void with_tables(void)
{
    tv_w64(0xe008, 0x00af9b000000ffffull); // GDT: 64-bit code
    tv_w64(0xe010, 0x00cf93000000ffffull);
    tv_set(VF_GUEST_GDTR_BASE, 0xe000);
    tv_set(VF_GUEST_RSP, TV_STACK);
}

static void test_injection(void **state)
{
    static const struct {
        uint32_t info, error, len;
        unsigned pushed; // words on the stack
        uint64_t rip;    // return address
    } k[] = {
        {0x80000030, 0, 0, 5, TV_GUEST}, {0x80000202, 0, 0, 5, TV_GUEST},     {0x80000b0d, 0x18, 0, 6, TV_GUEST},
        {0x80000306, 0, 0, 5, TV_GUEST}, {0x80000430, 0, 2, 5, TV_GUEST + 2}, {0x80000603, 0, 1, 5, TV_GUEST + 1},
        {0x80000b0e, 2, 0, 6, TV_GUEST},
    };
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        unsigned vector = k[n].info & 0xff;
        start();
        with_tables();
        gate(vector, 0x23450);
        tv_set(VF_GUEST_RFLAGS, 0x202);
        tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, k[n].info);
        tv_set(VF_VM_ENTRY_EXCEPTION_ERROR_CODE, k[n].error);
        tv_set(VF_VM_ENTRY_INSTRUCTION_LEN, k[n].len);
        tv.c->cr2 = 0x99;
        enter_guest();
        assert_int_equal(tv.c->rip, 0x23450);
        assert_int_equal(tv.c->gpr[ISA_RSP], TV_STACK - 8 * k[n].pushed);
        if (k[n].pushed == 6)
            assert_int_equal(tv_r64(TV_STACK - 48), k[n].error);
        assert_int_equal(tv_r64(TV_STACK - 40), k[n].rip);
        assert_int_equal(tv.c->cr2, 0x99); // injection does not load CR2
        assert_int_equal(tv.c->rflags_sys & ISA_FL_IF, 0);
        assert_int_equal(!!(tv.c->blocking & ISA_BLOCK_NMI), vector == 2);
        vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
        assert_true(vmx_take_exit(tv.c, &tv.v));
        assert_int_equal(tv_get(VF_VM_ENTRY_INTR_INFO_FIELD) >> 31, 0); // not injected again
        tv_close();
    }
}

// Delivery of the injected event fails and the guest's #GP exits: the VMM learns what was being delivered.
static void test_injection_exits(void **state)
{
    start();
    with_tables();
    tv_set(VF_GUEST_IDTR_LIMIT, 0xff);
    tv_set(VF_EXCEPTION_BITMAP, 1 << 13);
    tv_set(VF_GUEST_RFLAGS, 0x202);
    tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, 0x80000030);
    assert_int_equal(enter(false), ISA_R_STOP);
    assert_int_equal(tv.c->vmx, ISA_VMX_ROOT);
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), VMX_R_EXCEPTION_NMI);
    assert_int_equal(tv_get(VF_VM_EXIT_INTR_INFO), 0x80000b0d);
    assert_int_equal(tv_get(VF_IDT_VECTORING_INFO_FIELD), 0x80000030);
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST);
    tv_close();
}

static void test_activity_and_debug(void **state)
{
    start();
    tv_set(VF_GUEST_ACTIVITY_STATE, ISA_HLT);
    tv_set(VF_GUEST_RFLAGS, 2 | ISA_FL_TF);
    tv_set(VF_GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14);
    enter_guest();
    assert_int_equal(tv.c->activity, ISA_HLT);
    assert_int_equal(tv.c->pending_dbg, 1 << 14);
    vmx_intercept_irq(tv.c, &tv.v, false, -1);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_PENDING_DBG_EXCEPTIONS), 1 << 14);
    assert_int_equal(tv.c->pending_dbg, 0);
    assert_int_equal(tv.c->activity, ISA_ACTIVE);
    tv_close();
}

// What an IRET that faults does to blocking by NMI, by the two controls, and how the exit says so.
static void test_iret_unblocks(void **state)
{
    static const struct {
        uint32_t pin_off, blocking, unblocked;
    } k[] = {{0, 0, VMX_INTR_UNBLOCKED},               // virtual NMIs: ends virtual blocking
             {VMX_PIN_VIRTUAL_NMIS, ISA_BLOCK_NMI, 0}, // NMI exiting alone: IRET has no effect
             {VMX_PIN_VIRTUAL_NMIS | VMX_PIN_NMI_EXITING, 0, VMX_INTR_UNBLOCKED}};
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        start();
        off(PIN, k[n].pin_off);
        tv_set(VF_GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI);
        tv_set(VF_GUEST_RSP, TV_VMCS2); // CS 0: #GP(0)
        tv_set(VF_EXCEPTION_BITMAP, 1u << ISA_X_GP);
        memset(isa_te_at(tv.t, TV_VMCS2), 0, 64);
        enter_guest();
        isa_te_code(tv.t, TV_GUEST, "\x48\xcf", 2);
        assert_int_equal(isa_te_run(tv.t, 1), ISA_R_VMEXIT);
        assert_int_equal(tv.v.exit.intr_info, VMX_INTR_VALID | VMX_INTR_ERROR | 3u << 8 | ISA_X_GP | k[n].unblocked);
        vmx_ept_violation(tv.c, &tv.v, (struct gpa){TV_VMCS2}, TV_VMCS2, true, true, ISA_ACC_R, 0, 0);
        assert_int_equal(tv.v.exit.qual & EPT_QUAL_UNBLOCKED, k[n].unblocked);
        assert_true(vmx_take_exit(tv.c, &tv.v));
        assert_int_equal(tv_get(VF_GUEST_INTERRUPTIBILITY_INFO), k[n].blocking);
        assert_false(tv.c->iret_unblocked || tv.c->iret_keeps_nmi);
        tv_close();
    }
}

// --- the virtual-APIC page

#define VAPIC TV_VMCS2

static void start_tpr_shadow(uint64_t vtpr, uint64_t threshold)
{
    start();
    on(PROC, VMX_PROC_USE_TPR_SHADOW);
    tv_set(VF_VIRTUAL_APIC_PAGE_ADDR, VAPIC);
    tv_set(VF_TPR_THRESHOLD, threshold);
    tv_w64(VAPIC + 0x80, vtpr);
}

static int guest(const char *code, unsigned n)
{
    isa_te_code(tv.t, TV_GUEST, code, n);
    tv.c->rip = TV_GUEST;
    return isa_te_run(tv.t, 1);
}

// CR8 of the guest is bits 7:4 of the virtual TPR; the processor's own stays.
static void test_tpr_shadow(void **state)
{
    start_tpr_shadow(0x9abcdef0000075, 3);
    enter_guest();
    tv.c->cr8 = 9;
    assert_int_equal(guest("\x44\x0f\x20\xc1", 4), ISA_R_STOP); // mov rcx, cr8
    assert_int_equal(tv.c->gpr[ISA_RCX], 7);
    tv.c->gpr[ISA_RAX] = 3;
    assert_int_equal(guest("\x44\x0f\x22\xc0", 4), ISA_R_STOP); // mov cr8, rax: not below 3
    assert_int_equal(tv_r64(VAPIC + 0x80), 0x9abcde00000030);
    assert_false(vmx_trap_exit(tv.c, &tv.v));
    tv.c->gpr[ISA_RAX] = 2;
    assert_int_equal(guest("\x44\x0f\x22\xc0", 4), ISA_R_STOP);
    assert_int_equal(tv.c->vmx, ISA_VMX_NONROOT); // a trap: the instruction completed
    assert_int_equal(tv.c->rip, TV_GUEST + 4);
    assert_int_equal(tv_r64(VAPIC + 0x80), 0x9abcde00000020);
    assert_true(vmx_window_armed(tv.c, &tv.v));
    tv.c->pending_dbg = 1 << 14;
    assert_true(vmx_trap_exit(tv.c, &tv.v)); // before the debug trap, which stays pending
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), VMX_R_TPR_BELOW_THRESHOLD);
    assert_int_equal(tv_get(VF_EXIT_QUALIFICATION), 0);
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST + 4);
    assert_int_equal(tv_get(VF_GUEST_PENDING_DBG_EXCEPTIONS), 1 << 14);
    assert_int_equal(tv.c->cr8, 9);
    assert_false(vmx_window_armed(tv.c, &tv.v));
    tv_close();
}

static void test_tpr_shadow_faults_and_exits(void **state)
{
    start_tpr_shadow(0x50, 0);
    enter_guest();
    tv.t->deliver = NULL;
    tv.c->gpr[ISA_RAX] = 16;
    assert_int_equal(guest("\x44\x0f\x22\xc0", 4), ISA_R_FAULT); // reserved bits
    assert_int_equal(tv.c->fault.vector, ISA_X_GP);
    assert_int_equal(tv_r64(VAPIC + 0x80), 0x50);
    on(PROC, VMX_PROC_CR8_LOAD_EXITING | VMX_PROC_CR8_STORE_EXITING); // exiting goes before the shadow
    assert_int_equal(guest("\x44\x0f\x22\xc0", 4), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.qual, 8);
    assert_int_equal(guest("\x44\x0f\x20\xc1", 4), ISA_R_VMEXIT);
    assert_int_equal(tv.v.exit.qual, 8 | 1 << 4 | ISA_RCX << 8);
    assert_int_equal(tv_r64(VAPIC + 0x80), 0x50);
    tv_close();
}

// RDMSR and WRMSR of the x2APIC's task priority go to the page; the bitmaps go before.
static void test_virtual_x2apic(void **state)
{
    start_tpr_shadow(0x1234567800000041, 4);
    on(PROC2, VMX_PROC2_VIRTUALIZE_X2APIC);
    enter_guest();
    tv.t->deliver = NULL;
    tv.c->gpr[ISA_RCX] = 0x808;
    assert_int_equal(guest("\x0f\x32", 2), ISA_R_STOP);
    assert_int_equal(tv.c->gpr[ISA_RAX], 0x41);
    assert_int_equal(tv.c->gpr[ISA_RDX], 0x12345678);    // the page is read as it is
    assert_int_equal(guest("\x0f\x30", 2), ISA_R_FAULT); // bits 63:8
    assert_int_equal(tv.c->fault.vector, ISA_X_GP);
    tv.c->gpr[ISA_RDX] = 0;
    tv.c->gpr[ISA_RAX] = 0x3f;
    assert_int_equal(guest("\x0f\x30", 2), ISA_R_STOP);
    assert_int_equal(tv_r64(VAPIC + 0x80), 0x3f);
    assert_true(vmx_trap_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_TPR_BELOW_THRESHOLD);
    *(uint8_t *)isa_te_at(tv.t, TV_MSRS + 0x808 / 8) |= 1;         // read
    *(uint8_t *)isa_te_at(tv.t, TV_MSRS + 0x800 + 0x808 / 8) |= 1; // write
    assert_int_equal(guest("\x0f\x32", 2), ISA_R_VMEXIT);
    assert_int_equal(guest("\x0f\x30", 2), ISA_R_VMEXIT);
    *(uint8_t *)isa_te_at(tv.t, TV_MSRS + 0x808 / 8) &= ~1;
    off(PROC2, VMX_PROC2_VIRTUALIZE_X2APIC); // not virtualized: the processor's own, which this machine has not
    assert_int_equal(guest("\x0f\x32", 2), ISA_R_FAULT);
    tv_close();
}

static void test_apic_accesses(void **state)
{
    static const struct {
        unsigned off, n, acc, delivering;
        int type; // of the exit; -1: virtualized
    } k[] = {{0x80, 4, ISA_ACC_R, 0, -1},  {0x80, 1, ISA_ACC_W, 0, -1},   {0x81, 2, ISA_ACC_R, 0, -1}, {0x83, 1, ISA_ACC_W, 0, -1},
             {0x83, 2, ISA_ACC_R, 0, 0},   {0x80, 8, ISA_ACC_R, 0, 0},    {0x80, 8, ISA_ACC_W, 0, 1},  {0x7f, 2, ISA_ACC_R, 0, 0},
             {0x84, 1, ISA_ACC_R, 0, 0},   {0xb0, 4, ISA_ACC_W, 0, 1},    {0x20, 4, ISA_ACC_R, 0, 0},  {0x300, 4, ISA_ACC_W, 0, 1},
             {0x80, 1, ISA_ACC_X, 0, 2},   {0xfff, 1, ISA_ACC_R, 0, 0},   {0x40, 8, ISA_ACC_W, 1, 3},  {0x40, 8, ISA_ACC_R, 1, 3},
             {0x90, 4, ISA_ACC_RMW, 0, 0}, {0x80, 4, ISA_ACC_RMW, 0, -1}, {0x380, 4, ISA_ACC_R, 0, 0}};
    start_tpr_shadow(0x50, 0);
    on(PROC2, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES);
    tv_set(VF_APIC_ACCESS_ADDR, TV_DATA);
    enter_guest();
    assert_int_equal(vmx_apic_access_page(&tv.v), TV_DATA);
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        uint64_t val = 0x33;
        tv.c->delivering_valid = k[n].delivering;
        int r = vmx_apic_access(tv.c, &tv.v, k[n].off, &val, k[n].n, k[n].acc);
        assert_int_equal(r, k[n].type < 0 ? 0 : ISA_R_VMEXIT);
        if (r)
            assert_int_equal(tv.v.exit.qual, k[n].off | (unsigned)k[n].type << 12);
    }
    for (unsigned delivering = 0; delivering < 2; delivering++) {
        tv.c->delivering_valid = delivering;
        assert_int_equal(vmx_apic_access_physical(tv.c, &tv.v, 0x80), ISA_R_VMEXIT);
        assert_int_equal(tv.v.exit.qual, 0x80 | (delivering ? 10 : 15) << 12);
    }
    off(PROC, VMX_PROC_USE_TPR_SHADOW); // without it every access exits
    tv.c->delivering_valid = false;
    assert_int_equal(vmx_apic_access(tv.c, &tv.v, 0x80, NULL, 4, ISA_ACC_R), ISA_R_VMEXIT);
    off(PROC2, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES);
    assert_true(vmx_apic_access_page(&tv.v) == VMX_NO_PTR);
    printf("# APIC accesses: %u cases\n", (unsigned)(sizeof k / sizeof *k));
    tv_close();
}

// --- the exit matrix: every intercept on and off, from ring 0 and 3, in real, protected and 64-bit mode

enum { EXITS, GP3 = ISA_X_GP, UD3 = ISA_X_UD }; // what ring 3 sees: the exit, or the fault that goes before it
struct intercept_case {
    const char *name;
    uint8_t code[4], n;
    uint8_t word; // enum vmx_ctl_word of the control
    uint32_t control;
    uint8_t reason, ring3;
    bool always;  // no control turns it off
    bool no_real; // #UD in real mode
    bool only_64;
};
#define ALWAYS(name, reason, ring3, no_real, n, ...)                                                                               \
    {                                                                                                                              \
        name, {__VA_ARGS__}, n, 0, 0, VMX_R_##reason, ring3, true, no_real, false                                                  \
    }
#define BY(w, control, name, reason, ring3, no_real, n, ...)                                                                       \
    {                                                                                                                              \
        name, {__VA_ARGS__}, n, VMX_WORD_##w, VMX_##w##_##control, VMX_R_##reason, ring3, false, no_real, false                    \
    }
static const struct intercept_case icases[] = {
    ALWAYS("cpuid", CPUID, EXITS, false, 2, 0x0f, 0xa2),
    ALWAYS("invd", INVD, GP3, false, 2, 0x0f, 0x08),
    ALWAYS("xsetbv", XSETBV, GP3, false, 3, 0x0f, 0x01, 0xd1),
    ALWAYS("vmcall", VMCALL, EXITS, false, 3, 0x0f, 0x01, 0xc1),
    ALWAYS("vmlaunch", VMLAUNCH, EXITS, true, 3, 0x0f, 0x01, 0xc2),
    ALWAYS("vmresume", VMRESUME, EXITS, true, 3, 0x0f, 0x01, 0xc3),
    ALWAYS("vmxoff", VMXOFF, EXITS, true, 3, 0x0f, 0x01, 0xc4),
    ALWAYS("vmread", VMREAD, EXITS, true, 3, 0x0f, 0x78, 0xc8),
    ALWAYS("vmwrite", VMWRITE, EXITS, true, 3, 0x0f, 0x79, 0xc8),
    ALWAYS("vmptrld", VMPTRLD, EXITS, true, 3, 0x0f, 0xc7, 0x30),
    ALWAYS("vmptrst", VMPTRST, EXITS, true, 3, 0x0f, 0xc7, 0x38),
    ALWAYS("vmclear", VMCLEAR, EXITS, true, 4, 0x66, 0x0f, 0xc7, 0x30),
    ALWAYS("vmxon", VMXON, EXITS, true, 4, 0xf3, 0x0f, 0xc7, 0x30),
    BY(PROC, HLT_EXITING, "hlt", HLT, GP3, false, 1, 0xf4),
    BY(PROC, PAUSE_EXITING, "pause", PAUSE, EXITS, false, 2, 0xf3, 0x90),
    BY(PROC, MWAIT_EXITING, "mwait", MWAIT, UD3, false, 3, 0x0f, 0x01, 0xc9),
    BY(PROC, MONITOR_EXITING, "monitor", MONITOR, UD3, false, 3, 0x0f, 0x01, 0xc8),
    BY(PROC2, WBINVD_EXITING, "wbinvd", WBINVD, GP3, false, 2, 0x0f, 0x09),
    BY(PROC, INVLPG_EXITING, "invlpg", INVLPG, GP3, false, 3, 0x0f, 0x01, 0x38),
    BY(PROC, RDPMC_EXITING, "rdpmc", RDPMC, GP3, false, 2, 0x0f, 0x33),
    BY(PROC2, RDRAND_EXITING, "rdrand", RDRAND, EXITS, false, 3, 0x0f, 0xc7, 0xf1),
    BY(PROC2, RDSEED_EXITING, "rdseed", RDSEED, EXITS, false, 3, 0x0f, 0xc7, 0xf9),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "sgdt", GDTR_IDTR_ACCESS, EXITS, false, 3, 0x0f, 0x01, 0x00),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "sidt", GDTR_IDTR_ACCESS, EXITS, false, 3, 0x0f, 0x01, 0x08),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "lgdt", GDTR_IDTR_ACCESS, GP3, false, 3, 0x0f, 0x01, 0x10),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "lidt", GDTR_IDTR_ACCESS, GP3, false, 3, 0x0f, 0x01, 0x18),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "sldt", LDTR_TR_ACCESS, EXITS, true, 3, 0x0f, 0x00, 0xc0),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "str", LDTR_TR_ACCESS, EXITS, true, 3, 0x0f, 0x00, 0xc8),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "lldt", LDTR_TR_ACCESS, GP3, true, 3, 0x0f, 0x00, 0xd0),
    BY(PROC2, DESCRIPTOR_TABLE_EXITING, "ltr", LDTR_TR_ACCESS, GP3, true, 3, 0x0f, 0x00, 0xd8),
    BY(PROC, RDTSC_EXITING, "rdtsc", RDTSC, EXITS, false, 2, 0x0f, 0x31),
    BY(PROC, RDTSC_EXITING, "rdtscp", RDTSCP, EXITS, false, 3, 0x0f, 0x01, 0xf9),
    BY(PROC, CR3_LOAD_EXITING, "mov cr3, eax", CR_ACCESS, GP3, false, 3, 0x0f, 0x22, 0xd8),
    BY(PROC, CR3_STORE_EXITING, "mov eax, cr3", CR_ACCESS, GP3, false, 3, 0x0f, 0x20, 0xd8),
    BY(PROC, MOV_DR_EXITING, "mov eax, dr0", DR_ACCESS, GP3, false, 3, 0x0f, 0x21, 0xc0),
    BY(PROC, MOV_DR_EXITING, "mov dr0, eax", DR_ACCESS, GP3, false, 3, 0x0f, 0x23, 0xc0),
    BY(PROC, UNCONDITIONAL_IO_EXITING, "in al, dx", IO_INSTRUCTION, GP3, false, 1, 0xec),
    BY(PROC, UNCONDITIONAL_IO_EXITING, "out dx, al", IO_INSTRUCTION, GP3, false, 1, 0xee),
    {"mov cr8, rax",
     {0x44, 0x0f, 0x22, 0xc0},
     4,
     VMX_WORD_PROC,
     VMX_PROC_CR8_LOAD_EXITING,
     VMX_R_CR_ACCESS,
     GP3,
     false,
     true,
     true},
    {"mov rax, cr8",
     {0x44, 0x0f, 0x20, 0xc0},
     4,
     VMX_WORD_PROC,
     VMX_PROC_CR8_STORE_EXITING,
     VMX_R_CR_ACCESS,
     GP3,
     false,
     true,
     true},
    // "use MSR bitmaps" the other way round: without them all MSRs exit
    {"rdmsr", {0x0f, 0x32}, 2, VMX_WORD_PROC, VMX_PROC_USE_MSR_BITMAPS, VMX_R_RDMSR, GP3, false, false, false},
    {"wrmsr", {0x0f, 0x30}, 2, VMX_WORD_PROC, VMX_PROC_USE_MSR_BITMAPS, VMX_R_WRMSR, GP3, false, false, false},
};

static void matrix_guest(enum tv_golden g, bool ring3)
{
    tv_golden(g);
    off(PROC, VMX_PROC_HLT_EXITING | VMX_PROC_USE_IO_BITMAPS);
    on(VF_GUEST_CR4, ISA_CR4_OSXSAVE);
    if (ring3) {
        on(VF_GUEST_CS_SELECTOR, 3);
        on(VF_GUEST_SS_SELECTOR, 3);
        on(VF_GUEST_CS_AR_BYTES, 3 << 5);
        on(VF_GUEST_SS_AR_BYTES, 3 << 5);
    }
    assert_int_equal(enter(false), ISA_R_STOP);
    assert_int_equal(tv.c->cpl, ring3 ? 3 : 0);
    for (unsigned r = 0; r < 8; r++)
        if (r != ISA_RSP)
            tv.c->gpr[r] = 0;
    tv.c->gpr[ISA_RBX] = TV_DATA;
    memset(isa_te_at(tv.t, tv.c->seg[ISA_TR].base + 0x66), 0xff, 2); // no I/O permission bitmap
}

static void run_intercept_case(const struct intercept_case *k, enum tv_golden g, bool ring3, bool set)
{
    matrix_guest(g, ring3);
    enum vmcs_field f = k->word == VMX_WORD_PROC2 ? PROC2 : PROC;
    if (!k->always)
        set ? on(f, k->control) : off(f, k->control);
    bool want = k->always || set == !(k->control == VMX_PROC_USE_MSR_BITMAPS && k->word == VMX_WORD_PROC);
    unsigned fault = g == TV_REAL && k->no_real ? ISA_X_UD : ring3 ? k->ring3 : 0;
    isa_te_code(tv.t, tv.c->seg[ISA_CS].base + tv.c->rip, k->code, k->n);
    int r = isa_te_run(tv.t, 1);
    bool ok = fault ? r == ISA_R_FAULT && tv.c->fault.vector == fault
                    : (r == ISA_R_VMEXIT) == want && (!want || (tv.v.exit.reason == k->reason && tv.v.exit.insn_len == k->n));
    if (!ok)
        fail_msg("%s, state %u, ring %u, control %u: result %d, reason %u, length %u, fault %u", k->name, g, ring3 ? 3 : 0, set, r,
                 tv.v.exit.reason, tv.v.exit.insn_len, tv.c->fault.vector);
    tv_close();
}

// In which rings the instruction exists in this mode. MOV to and from CR8 is an instruction of 64-bit mode alone.
static unsigned rings(const struct intercept_case *k, enum tv_golden g)
{
    return k->only_64 && g != TV_64 ? 0 : g == TV_REAL ? 1 : 2;
}

static void test_exit_matrix(void **state)
{
    static const enum tv_golden mode[] = {TV_64, TV_PAE, TV_REAL};
    unsigned cases = 0, rows = sizeof icases / sizeof *icases;
    for (unsigned n = 0; n < rows; n++)
        for (unsigned m = 0; m < 3; m++)
            for (unsigned ring3 = 0; ring3 < rings(&icases[n], mode[m]); ring3++)
                for (unsigned set = icases[n].always; set < 2; set++, cases++)
                    run_intercept_case(&icases[n], mode[m], ring3, set);
    printf("# exit matrix: %u instructions, %u cases: control off and on, ring 0 and 3, 64-bit, protected and real mode\n", rows,
           cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_exit_matrix),
        cmocka_unit_test(test_masks_and_shadows),
        cmocka_unit_test(test_tsc_offset),
        cmocka_unit_test(test_msr_bitmaps),
        cmocka_unit_test(test_tsc_scaling),
        cmocka_unit_test(test_pause_loop),
        cmocka_unit_test(test_page_fault_mask),
        cmocka_unit_test(test_exception_info),
        cmocka_unit_test(test_idt_vectoring),
        cmocka_unit_test(test_double_fault_exit),
        cmocka_unit_test(test_external_interrupt),
        cmocka_unit_test(test_nmi),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_monitor_trap_flag),
        cmocka_unit_test(test_ept),
        cmocka_unit_test(test_state_round_trip),
        cmocka_unit_test(test_host32),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_cr0_bits),
        cmocka_unit_test(test_msr_areas),
        cmocka_unit_test(test_msr_load_failure),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_injection_exits),
        cmocka_unit_test(test_activity_and_debug),
        cmocka_unit_test(test_task_switch),
        cmocka_unit_test(test_iret_unblocks),
        cmocka_unit_test(test_tpr_shadow),
        cmocka_unit_test(test_tpr_shadow_faults_and_exits),
        cmocka_unit_test(test_virtual_x2apic),
        cmocka_unit_test(test_apic_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
