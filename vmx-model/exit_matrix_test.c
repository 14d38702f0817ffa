// vmx-model/exit_matrix_test.c: which instructions exit: one by one with all that the exit says, and every intercept on and off from each ring
// and mode.
#include "vmx-model/exit_testkit.h"

#include <stdio.h>

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
