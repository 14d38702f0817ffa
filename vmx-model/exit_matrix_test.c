// vmx-model/exit_matrix_test.c: which instructions exit: one by one with all that the exit says, and every intercept on and off from each ring
// and mode.
#include "vmx-model/exit_testkit.h"

#include <stdio.h>

#include "isa/msr.h"
#include "isa/xstate.h"

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

// XSAVES and XRSTORS exit if EDX:EAX, IA32_XSS and the XSS-exiting bitmap have a bit in common, and say where their operand is.
static void test_xsaves(void **state)
{
    static const struct {
        uint8_t code[4];
        unsigned reason;
    } k[] = {{{0x0f, 0xc7, 0x6b, 0x40}, VMX_R_XSAVES}, {{0x0f, 0xc7, 0x5b, 0x40}, VMX_R_XRSTORS}}; // [rbx + 40h]
    static const uint64_t sets[] = {0, 1, ISA_XS_HDC, ISA_XS_HDC | 1ull << 40, 1ull << 40};
    unsigned cases = 0, exits = 0;
    for (unsigned n = 0; n < 2 * 5 * 5 * 5; n++, cases++) {
        const uint64_t mask = sets[n / 2 % 5], xss = sets[n / 10 % 5], bitmap = sets[n / 50];
        start();
        tv.caps = vmx_caps_later;
        on(PROC2, VMX_PROC2_ENABLE_XSAVES);
        tv_set(VF_XSS_EXIT_BITMAP, bitmap);
        enter_guest();
        tv.c->xss = xss;
        tv.c->gpr[ISA_RBX] = TV_DATA;
        tv.c->gpr[ISA_RAX] = (uint32_t)mask;
        tv.c->gpr[ISA_RDX] = mask >> 32;
        tv_w64(TV_DATA + 0x40 + 520, 1ull << 63);
        int r = guest((const char *)k[n % 2].code, 4);
        if (mask & xss & bitmap) {
            assert_int_equal(r, ISA_R_VMEXIT);
            assert_int_equal(tv.v.exit.reason, k[n % 2].reason);
            assert_int_equal(tv.v.exit.qual, 0x40);
            assert_int_equal(tv.v.exit.insn_len, 4);
            assert_int_equal(tv.v.exit.insn_info & 0x0fffffff, 3u << 23 | 1u << 22 | 3u << 15 | 2u << 7);
            exits++;
        } else {
            assert_int_equal(r, ISA_R_STOP);
        }
        tv_close();
    }
    printf("# XSAVES and XRSTORS: %u cases, %u exits\n", cases, exits);
}

// --- the exit matrix: every intercept on and off, from ring 0 and 3, in real, virtual-8086, protected and 64-bit mode

enum { EXITS, GP3 = ISA_X_GP, UD3 = ISA_X_UD }; // what ring 3 sees: the exit, or the fault that goes before it
struct intercept_case {
    const char *name;
    uint8_t code[8], n;
    uint8_t word; // enum vmx_ctl_word of the control
    uint32_t control;
    uint8_t reason, ring3;
    bool always;  // no control turns it off
    bool no_real; // #UD in real and virtual-8086 mode
    bool only_64;
    // what masks, shadows, bitmaps and operands decide
    bool only_pae;           // protected mode alone: hardware task switches
    bool never;              // nothing makes it exit
    bool undefined;          // #UD if the intercept is off
    void (*prepare)(void);   // registers and what else is needed, after the entry
    void (*intercept)(bool); // turns the intercept on or off, instead of a control
    uint64_t qual;           // of the exit, with prepare
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

// --- cases that masks, shadows, bitmaps and operands decide

#define RAX_AT tv.c->gpr[ISA_RAX]
#define RCX_AT tv.c->gpr[ISA_RCX]
#define RDX_AT tv.c->gpr[ISA_RDX]

static void nothing(void) {}
static void value_cr0(void) { RAX_AT = tv.c->cr0; }
static void value_pe(void) { RCX_AT = 1; }
static void value_cr4(void) { RAX_AT = tv.c->cr4; }
static void cr0_mask(bool set, uint64_t bit, uint64_t shadow)
{
    tv_set(VF_CR0_GUEST_HOST_MASK, set ? bit : 0);
    tv_set(VF_CR0_READ_SHADOW, shadow);
}
static void own_ts(bool set) { cr0_mask(set, ISA_CR0_TS, ISA_CR0_TS); } // the guest reads TS = 1
static void own_mp(bool set) { cr0_mask(set, ISA_CR0_MP, ISA_CR0_MP); }
static void own_mp_same(bool set) { cr0_mask(set, ISA_CR0_MP, 0); } // and reads what it writes: no exit
static void own_pe(bool set) { cr0_mask(set, ISA_CR0_PE, 0); }      // reads PE = 0: setting it exits
static void own_vmxe(bool set) { tv_set(VF_CR4_GUEST_HOST_MASK, set ? ISA_CR4_VMXE : 0); }
static void cr3_target(bool set)
{
    on(PROC, VMX_PROC_CR3_LOAD_EXITING);
    tv_set(VF_CR3_TARGET_COUNT, set ? 3 : 4);
    tv_set(VF_CR3_TARGET_VALUE0 + 3, RAX_AT);
    tv_set(VF_CR3_TARGET_VALUE0, 0x1000);
}
static void value_cr3(void) { RAX_AT = tv.c->cr3; }

static void enable_invpcid(void)
{
    on(PROC2, VMX_PROC2_ENABLE_INVPCID);
    RCX_AT = 0; // type: an address of a PCID
    tv.c->gpr[ISA_RBX] = TV_DATA;
    memset(isa_te_at(tv.t, TV_DATA), 0, 16);
}
static void invlpg_exiting(bool set) { set ? on(PROC, VMX_PROC_INVLPG_EXITING) : off(PROC, VMX_PROC_INVLPG_EXITING); }
static void invpcid_enabled(bool set)
{
    on(PROC, VMX_PROC_INVLPG_EXITING);
    set ? on(PROC2, VMX_PROC2_ENABLE_INVPCID) : off(PROC2, VMX_PROC2_ENABLE_INVPCID);
}

// The area is at TV_DATA, or in 16-bit modes at BP + DI = 0 of the stack segment.
static void xsave_area(void)
{
    const uint64_t at = tv.c->mode == ISA_LONG64 || tv.c->mode == ISA_PROT32 ? TV_DATA : tv.c->seg[ISA_SS].base;
    memset(isa_te_at(tv.t, at), 0, 1024);
    tv_w64(at + 520, 1ull << 63);
    on(PROC2, VMX_PROC2_ENABLE_XSAVES);
    tv.c->xss = RAX_AT = ISA_XS_HDC;
    tv_set(VF_XSS_EXIT_BITMAP, ISA_XS_HDC);
}
static void xss_bitmap(bool set) { tv_set(VF_XSS_EXIT_BITMAP, set ? ISA_XS_HDC : ~ISA_XS_HDC); }
static void xss_component(bool set) { tv.c->xss = set ? ISA_XS_HDC : 0; }
static void xss_asked(bool set) { RAX_AT = set ? ISA_XS_HDC : 0; }
static void xsaves_enabled(bool set) { set ? on(PROC2, VMX_PROC2_ENABLE_XSAVES) : off(PROC2, VMX_PROC2_ENABLE_XSAVES); }

static void rdtscp_enabled(bool set)
{
    on(PROC, VMX_PROC_RDTSC_EXITING);
    set ? on(PROC2, VMX_PROC2_ENABLE_RDTSCP) : off(PROC2, VMX_PROC2_ENABLE_RDTSCP);
}
static void no_tsd(void) { tv.c->cr4 |= ISA_CR4_TSD; }

static void bit_of(uint64_t map, unsigned n, bool set)
{
    uint8_t *p = isa_te_at(tv.t, map + n / 8);
    *p = (uint8_t)(set ? *p | 1 << n % 8 : *p & ~(1 << n % 8));
}
static void io_bitmaps(void)
{
    on(PROC, VMX_PROC_USE_IO_BITMAPS | VMX_PROC_UNCONDITIONAL_IO_EXITING); // which then is ignored
    tv.c->gpr[ISA_RDI] = tv.c->gpr[ISA_RSI] = 0x2000;
}
static void port_low(void) { io_bitmaps(), RDX_AT = 0x3f8; }
static void port_rep(void) { io_bitmaps(), RDX_AT = 0x3f8, RCX_AT = 2; }
static void port_high(void) { io_bitmaps(), RDX_AT = 0x8000; }
static void port_between(void) { io_bitmaps(), RDX_AT = 0x7ffe; } // four ports in both bitmaps
static void port_wraps(void) { io_bitmaps(), RDX_AT = 0xfffe; }
static void map_low(bool set) { bit_of(TV_IO_A, 0x3f8, set); }
static void map_last(bool set) { bit_of(TV_IO_A, 0x3fb, set); }
static void map_high(bool set) { bit_of(TV_IO_B, 0, set); }
static void map_between(bool set) { bit_of(TV_IO_B, 1, set); }
static void map_immediate(bool set) { bit_of(TV_IO_A, 0x80, set); }

#define LSTAR 0xc0000082u
static void msr_low(void) { RCX_AT = ISA_MSR_TSC; }
static void msr_high(void) { RCX_AT = LSTAR; }
static void msr_outside(void) { RCX_AT = 0x40000000; }
static void read_low(bool set) { bit_of(TV_MSRS, ISA_MSR_TSC, set); }
static void read_high(bool set) { bit_of(TV_MSRS + 0x400, LSTAR - 0xc0000000, set); }
static void write_low(bool set) { bit_of(TV_MSRS + 0x800, ISA_MSR_TSC, set); }
static void write_high(bool set) { bit_of(TV_MSRS + 0xc00, LSTAR - 0xc0000000, set); }

static void task(void)
{
    tv_w64(0xe018, 0x0000890030000067ull);            // GDT: available 32-bit TSS
    tv_w64(TV_IDT + 0x21 * 8, 0x0000e50000180000ull); // task gate for all rings
    tv.c->gdtr.base = 0xe000;
    tv.c->gdtr.limit = 0x1f;
}
// IRET with NT goes back to the task of the link in the TSS.
static void nested_task(void)
{
    task();
    tv_w64(0xe018, 0x00008b0030000067ull); // busy
    tv_w64(tv.c->seg[ISA_TR].base, 0x18);
    tv.c->rflags_sys |= ISA_FL_NT;
}

// What the special columns say, after the code.
#define SPECIAL(nm, rsn, r3, ...) .name = nm, .reason = VMX_R_##rsn, .ring3 = r3, __VA_ARGS__
#define CODE(...)                 .code = {__VA_ARGS__}, .n = sizeof((const uint8_t[]){__VA_ARGS__})
#define CR(n, access, more)       .qual = (n) | (access) << 4 | (more)
#define IOQ(port, size, more)     .qual = (uint64_t)(port) << 16 | ((size)-1) | (more)
enum { IN = 8, STRING = 16, REP = 32, IMM = 64 };
static const struct intercept_case special[] = {
    {SPECIAL("clts", CR_ACCESS, GP3, CODE(0x0f, 0x06), CR(0u, 2, 0), .prepare = nothing, .intercept = own_ts)},
    {SPECIAL("lmsw ax", CR_ACCESS, GP3, CODE(0x0f, 0x01, 0xf0), CR(0u, 3, 0), .prepare = nothing, .intercept = own_mp)},
    {SPECIAL("lmsw ax, as shadowed", CR_ACCESS, GP3, CODE(0x0f, 0x01, 0xf0), .never = true, .prepare = nothing,
             .intercept = own_mp_same)},
    {SPECIAL("lmsw cx, PE", CR_ACCESS, GP3, CODE(0x0f, 0x01, 0xf1), CR(0u, 3, 0x10000), .prepare = value_pe, .intercept = own_pe)},
    {SPECIAL("mov cr0, eax", CR_ACCESS, GP3, CODE(0x0f, 0x22, 0xc0), CR(0u, 0, 0), .prepare = value_cr0, .intercept = own_ts)},
    {SPECIAL("mov cr0, eax, NE as shadowed", CR_ACCESS, GP3, CODE(0x0f, 0x22, 0xc0), .never = true, .prepare = value_cr0,
             .intercept = own_mp_same)},
    {SPECIAL("mov cr4, eax", CR_ACCESS, GP3, CODE(0x0f, 0x22, 0xe0), CR(4u, 0, 0), .prepare = value_cr4, .intercept = own_vmxe)},
    {SPECIAL("mov ecx, cr0", CR_ACCESS, GP3, CODE(0x0f, 0x20, 0xc1), .never = true, .prepare = nothing, .intercept = own_ts)},
    {SPECIAL("mov ecx, cr4", CR_ACCESS, GP3, CODE(0x0f, 0x20, 0xe1), .never = true, .prepare = nothing, .intercept = own_vmxe)},
    {SPECIAL("smsw ecx", CR_ACCESS, EXITS, CODE(0x0f, 0x01, 0xe1), .never = true, .prepare = nothing, .intercept = own_ts)},
    {SPECIAL("mov cr3, eax, a target", CR_ACCESS, GP3, CODE(0x0f, 0x22, 0xd8), CR(3u, 0, 0), .prepare = value_cr3,
             .intercept = cr3_target)},
    {SPECIAL("invpcid", INVPCID, GP3, CODE(0x66, 0x0f, 0x38, 0x82, 0x0b), .prepare = enable_invpcid, .intercept = invlpg_exiting)},
    {SPECIAL("invpcid enabled", INVPCID, GP3, CODE(0x66, 0x0f, 0x38, 0x82, 0x0b), .undefined = true, .prepare = nothing,
             .intercept = invpcid_enabled)},
    {SPECIAL("rdtscp enabled", RDTSCP, GP3, CODE(0x0f, 0x01, 0xf9), .undefined = true, .prepare = no_tsd,
             .intercept = rdtscp_enabled)},
    {SPECIAL("xsaves, XSS-exiting bitmap", XSAVES, GP3, CODE(0x0f, 0xc7, 0x2b), .prepare = xsave_area, .intercept = xss_bitmap)},
    {SPECIAL("xsaves, IA32_XSS", XSAVES, GP3, CODE(0x0f, 0xc7, 0x2b), .prepare = xsave_area, .intercept = xss_component)},
    {SPECIAL("xsaves, EDX:EAX", XSAVES, GP3, CODE(0x0f, 0xc7, 0x2b), .prepare = xsave_area, .intercept = xss_asked)},
    {SPECIAL("xsaves enabled", XSAVES, GP3, CODE(0x0f, 0xc7, 0x2b), .undefined = true, .prepare = xsave_area,
             .intercept = xsaves_enabled)},
    {SPECIAL("xrstors, XSS-exiting bitmap", XRSTORS, GP3, CODE(0x0f, 0xc7, 0x1b), .prepare = xsave_area, .intercept = xss_bitmap)},
    {SPECIAL("xrstors, IA32_XSS", XRSTORS, GP3, CODE(0x0f, 0xc7, 0x1b), .prepare = xsave_area, .intercept = xss_component)},
    {SPECIAL("xrstors, EDX:EAX", XRSTORS, GP3, CODE(0x0f, 0xc7, 0x1b), .prepare = xsave_area, .intercept = xss_asked)},
    {SPECIAL("xrstors enabled", XRSTORS, GP3, CODE(0x0f, 0xc7, 0x1b), .undefined = true, .prepare = xsave_area,
             .intercept = xsaves_enabled)},
    {SPECIAL("invept", INVEPT, EXITS, CODE(0x66, 0x0f, 0x38, 0x80, 0x08), .always = true, .no_real = true, .prepare = nothing)},
    {SPECIAL("invvpid", INVVPID, EXITS, CODE(0x66, 0x0f, 0x38, 0x81, 0x08), .always = true, .no_real = true, .prepare = nothing)},
    {SPECIAL("in al, dx", IO_INSTRUCTION, GP3, CODE(0xec), IOQ(0x3f8, 1, IN), .prepare = port_low, .intercept = map_low)},
    {SPECIAL("in al, 80h", IO_INSTRUCTION, GP3, CODE(0xe4, 0x80), IOQ(0x80, 1, IN | IMM), .prepare = io_bitmaps,
             .intercept = map_immediate)},
    {SPECIAL("out dx, al", IO_INSTRUCTION, GP3, CODE(0xee), IOQ(0x3f8, 1, 0), .prepare = port_low, .intercept = map_low)},
    {SPECIAL("in al, dx, bitmap B", IO_INSTRUCTION, GP3, CODE(0xec), IOQ(0x8000, 1, IN), .prepare = port_high,
             .intercept = map_high)},
    {SPECIAL("insb", IO_INSTRUCTION, GP3, CODE(0x6c), IOQ(0x3f8, 1, IN | STRING), .prepare = port_low, .intercept = map_low)},
    {SPECIAL("rep outsb", IO_INSTRUCTION, GP3, CODE(0xf3, 0x6e), IOQ(0x3f8, 1, STRING | REP), .prepare = port_rep,
             .intercept = map_low)},
    {SPECIAL("rdmsr, low bitmap", RDMSR, GP3, CODE(0x0f, 0x32), .prepare = msr_low, .intercept = read_low)},
    {SPECIAL("rdmsr, high bitmap", RDMSR, GP3, CODE(0x0f, 0x32), .prepare = msr_high, .intercept = read_high)},
    {SPECIAL("rdmsr, no bitmap", RDMSR, GP3, CODE(0x0f, 0x32), .always = true, .prepare = msr_outside)},
    {SPECIAL("wrmsr, low bitmap", WRMSR, GP3, CODE(0x0f, 0x30), .prepare = msr_low, .intercept = write_low)},
    {SPECIAL("wrmsr, high bitmap", WRMSR, GP3, CODE(0x0f, 0x30), .prepare = msr_high, .intercept = write_high)},
    {SPECIAL("wrmsr, no bitmap", WRMSR, GP3, CODE(0x0f, 0x30), .always = true, .prepare = msr_outside)},
    {SPECIAL("in eax, dx, last of four", IO_INSTRUCTION, GP3, CODE(0xed), IOQ(0x3f8, 4, IN), .only_pae = true, .prepare = port_low,
             .intercept = map_last)},
    {SPECIAL("out dx, eax, both bitmaps", IO_INSTRUCTION, GP3, CODE(0xef), IOQ(0x7ffe, 4, 0), .only_pae = true,
             .prepare = port_between, .intercept = map_between)},
    {SPECIAL("in eax, dx, wraps around", IO_INSTRUCTION, GP3, CODE(0xed), IOQ(0xfffe, 4, IN), .only_pae = true, .always = true,
             .prepare = port_wraps)},
    {SPECIAL("jmp TSS", TASK_SWITCH, GP3, CODE(0xea, 0, 0, 0, 0, 0x18, 0), .qual = 2u << 30 | 0x18, .only_pae = true,
             .always = true, .prepare = task)},
    {SPECIAL("call TSS", TASK_SWITCH, GP3, CODE(0x9a, 0, 0, 0, 0, 0x18, 0), .qual = 0x18, .only_pae = true, .always = true,
             .prepare = task)},
    {SPECIAL("int 21h, a task gate", TASK_SWITCH, EXITS, CODE(0xcd, 0x21), .qual = 3u << 30 | 0x18, .only_pae = true,
             .always = true, .prepare = task)},
    {SPECIAL("iret, NT", TASK_SWITCH, EXITS, CODE(0xcf), .qual = 1u << 30 | 0x18, .only_pae = true, .always = true,
             .prepare = nested_task)},
};

static void matrix_guest(enum tv_golden g, bool ring3)
{
    tv_golden(g);
    off(PROC, VMX_PROC_HLT_EXITING | VMX_PROC_USE_IO_BITMAPS);
    on(VF_GUEST_CR4, ISA_CR4_OSXSAVE);
    if (ring3 && g != TV_V86) {
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

// The fault that goes before the exit in this state and ring, or 0.
static unsigned fault_before(const struct intercept_case *k, enum tv_golden g, bool ring3)
{
    return (g == TV_REAL || g == TV_V86) && k->no_real ? ISA_X_UD : ring3 ? k->ring3 : 0;
}

static void turn(const struct intercept_case *k, bool set)
{
    enum vmcs_field f = k->word == VMX_WORD_PROC2 ? PROC2 : PROC;
    if (k->prepare)
        k->prepare();
    if (k->intercept)
        k->intercept(set);
    else if (!k->always)
        set ? on(f, k->control) : off(f, k->control);
}

static void run_intercept_case(const struct intercept_case *k, enum tv_golden g, bool ring3, bool set)
{
    matrix_guest(g, ring3);
    turn(k, set);
    bool inverse = k->control == VMX_PROC_USE_MSR_BITMAPS && k->word == VMX_WORD_PROC;
    bool want = !k->never && (k->always || set == !inverse);
    unsigned fault = k->undefined && !set ? (unsigned)ISA_X_UD : fault_before(k, g, ring3);
    isa_te_code(tv.t, tv.c->seg[ISA_CS].base + tv.c->rip, k->code, k->n);
    int r = isa_te_run(tv.t, 1);
    bool right = tv.v.exit.reason == k->reason && tv.v.exit.insn_len == k->n && (!k->prepare || tv.v.exit.qual == k->qual);
    bool done = k->prepare ? r == ISA_R_STOP : r != ISA_R_VMEXIT; // what is not prepared may fault
    bool ok = fault ? r == ISA_R_FAULT && tv.c->fault.vector == fault : want ? r == ISA_R_VMEXIT && right : done;
    if (!ok)
        fail_msg("%s, state %u, ring %u, intercept %u: result %d, reason %u, length %u, qualification %llx, fault %u", k->name, g,
                 ring3 ? 3 : 0, set, r, tv.v.exit.reason, tv.v.exit.insn_len, (unsigned long long)tv.v.exit.qual,
                 tv.c->fault.vector);
    tv_close();
}

static const struct place {
    enum tv_golden g;
    bool ring3;
} place[] = {{TV_64, false}, {TV_64, true}, {TV_PAE, false}, {TV_PAE, true}, {TV_REAL, false}, {TV_V86, true}};
#define NPLACE (sizeof place / sizeof *place)

// MOV to and from CR8 is an instruction of 64-bit mode alone; hardware task switches are for protected mode.
static bool exists(const struct intercept_case *k, const struct place *p)
{
    return (!k->only_64 || p->g == TV_64) && (!k->only_pae || p->g == TV_PAE);
}

static unsigned run_cases(const struct intercept_case *k, unsigned rows)
{
    unsigned cases = 0;
    for (unsigned n = 0; n < rows; n++)
        for (unsigned p = 0; p < NPLACE; p++)
            for (unsigned set = k[n].always; set < 2 && exists(&k[n], &place[p]); set++, cases++)
                run_intercept_case(&k[n], place[p].g, place[p].ring3, set);
    return cases;
}

static void test_exit_matrix(void **state)
{
    const unsigned rows = sizeof icases / sizeof *icases, more = sizeof special / sizeof *special;
    unsigned cases = run_cases(icases, rows), decided = run_cases(special, more);
    printf("# exit matrix: %u instructions, %u cases by a control; %u and %u by masks, shadows, bitmaps and operands; each off and "
           "on, ring 0 and "
           "3, 64-bit, protected, real and virtual-8086 mode\n",
           rows, cases, more, decided);
}

// Every exception, with its bit of the exception bitmap alone clear and alone set. What is not intercepted is delivered, and what comes of that in a guest
// without handlers is no exit for this vector.
static void test_exceptions(void **state)
{
    unsigned cases = 0;
    for (unsigned vector = 0; vector < 32; vector++)
        for (unsigned p = 0; p < NPLACE; p++)
            for (unsigned set = 0; set < 2; set++, cases++) {
                matrix_guest(place[p].g, place[p].ring3);
                const bool error = isa_vector_info(vector)->has_error && place[p].g != TV_REAL;
                const uint32_t info = VMX_INTR_VALID | (uint32_t)ISA_EV_HWEXC << 8 | vector | (error ? VMX_INTR_ERROR : 0);
                const uint64_t qual = vector == ISA_X_PF ? 0x1234 : vector == ISA_X_DB ? 5 : 0;
                tv_set(VF_EXCEPTION_BITMAP, set ? 1u << vector : ~(1u << vector));
                isa_raise(tv.c, (enum isa_vector)vector, 0x18, ISA_RULE_NONE);
                tv.c->fault.addr = tv.c->fault.dr6 = qual;
                int r = isa_deliver_fault(tv.c);
                bool exits = r == ISA_R_VMEXIT && tv.v.exit.reason == VMX_R_EXCEPTION_NMI && tv.v.exit.intr_info == info;
                if (exits != set)
                    fail_msg("exception %u, place %u, bit %u: result %d, reason %u, information %x", vector, p, set, r,
                             tv.v.exit.reason, tv.v.exit.intr_info);
                if (set) {
                    assert_int_equal(tv.v.exit.qual, qual);
                    assert_int_equal(tv.v.exit.intr_err, error ? 0x18 : 0);
                    assert_int_equal(tv.v.exit.insn_len, 0);
                }
                tv_close();
            }
    printf("# exception bitmap: 32 vectors, %u cases\n", cases);
}

// No row of intercepts.def is without a case, and no modelled control that makes instructions exit.
static bool has_case(unsigned reason, unsigned word, uint32_t control)
{
    for (unsigned n = 0; n < sizeof icases / sizeof *icases; n++)
        if (control ? icases[n].word == word && icases[n].control == control : icases[n].reason == reason)
            return true;
    for (unsigned n = 0; !control && n < sizeof special / sizeof *special; n++)
        if (special[n].reason == reason)
            return true;
    return false;
}

static void test_matrix_is_complete(void **state)
{
    static const struct {
        const char *point;
        unsigned reason, word;
        uint32_t control;
    } rows[] = {
#define W_ALWAYS                                    0
#define W_FN                                        0
#define W_PIN                                       VMX_WORD_PIN
#define W_PROC                                      VMX_WORD_PROC
#define W_PROC2                                     VMX_WORD_PROC2
#define I(point, reason, word, control, info, text) {#point, VMX_R_##reason, W_##word, control},
#include "vmx-model/intercepts.def"
#undef I
    };
    unsigned missing = 0, n = sizeof rows / sizeof *rows;
    for (unsigned k = 0; k < n; k++) {
        if (rows[k].reason == VMX_R_GETSEC ||
            rows[k].reason == VMX_R_RSM) // #UD: no SMX, no system-management mode (docs/quirks.md)
            continue;
        if (!has_case(rows[k].reason, rows[k].word, rows[k].control)) {
            print_error("%s has no case in the exit matrix\n", rows[k].point);
            missing++;
        }
    }
    for (unsigned reason = VMX_R_VMCALL; reason <= VMX_R_VMXON; reason++)
        missing += !has_case(reason, 0, 0);
    assert_int_equal(missing, 0);
    printf("# exit matrix: all %u rows of intercepts.def have cases\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_xsaves),
        cmocka_unit_test(test_exit_matrix),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_matrix_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
