// vmx-model/exit_test.c: what the guest sees where nothing exits, and what an exit says, saves and loads.
#include "vmx-model/exit_testkit.h"

#include "isa/mpx.h"
#include "isa/msr.h"

#include <stdio.h>

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

// IA32_BNDCFGS: loaded and cleared by their controls, saved wherever one of them may be 1. #BR of a bound check exits by bit 5 of the
// exception bitmap, as that of BOUND does.
static void test_bndcfgs(void **state)
{
    for (unsigned n = 0; n < 8; n++) {
        const bool load = n & 1, clear = n & 2, exits = n & 4;
        start();
        tv_with_mpx();
        tv.c->xcr0 |= ISA_XS_MPX;
        isa_set_bndcfgs(tv.c, 0x5001);
        if (load)
            on(VF_VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS);
        if (clear)
            on(VF_VM_EXIT_CONTROLS, VMX_EXIT_CLEAR_BNDCFGS);
        tv_set(VF_GUEST_BNDCFGS, 0xffff800000007003);
        tv_set(VF_EXCEPTION_BITMAP, exits ? 1u << ISA_X_BR : 0);
        enter_guest();
        assert_int_equal(tv.c->bndcfgs, load ? 0xffff800000007003 : 0x5001);
        assert_true(tv.c->mode_key & ISA_KEY_MPX);
        tv.c->gpr[ISA_RAX] = 0x1234;
        assert_int_equal(guest("\xf3\x0f\x1b\x08", 4), ISA_R_STOP); // bndmk bnd1, [rax]
        tv.c->gpr[ISA_RAX]--;
        tv.t->deliver = NULL;
        const int r = guest("\xf3\x0f\x1a\xc8", 4); // bndcl bnd1, rax
        assert_int_equal(r, ISA_R_FAULT);
        assert_int_equal(tv.c->fault.vector, ISA_X_BR);
        assert_int_equal(tv.c->bndstatus, 1);
        assert_int_equal(tv.t->env.intercept_event(tv.c, &tv.c->fault), exits ? ISA_R_VMEXIT : 0);
        if (!exits)
            vmx_exit_record(&tv.v, VMX_R_CPUID, 0, NULL);
        else
            assert_int_equal(tv.v.exit.intr_info, VMX_INTR_VALID | ISA_EV_HWEXC << 8 | ISA_X_BR);
        tv.c->gpr[ISA_RCX] = ISA_MSR_BNDCFGS;
        tv.c->bndcfgs |= 0x1000000; // the guest's own
        const uint64_t own = tv.c->bndcfgs;
        assert_true(vmx_take_exit(tv.c, &tv.v));
        assert_int_equal(tv_get(VF_GUEST_BNDCFGS), own);
        assert_int_equal(tv.c->bndcfgs, clear ? 0 : own);
        assert_int_equal(!!(tv.c->mode_key & ISA_KEY_MPX), !clear && (tv.c->cr4 & ISA_CR4_OSXSAVE));
        tv_close();
    }
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
    } k[] = {{0x174, 0x2e, false},      {0xc0000081, 0x410, false}, {0x174, 0x82e, true},
             {0xc0000081, 0xc10, true}, {0xd90, 0x1b2, false},      {0xd90, 0x9b2, true}};
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++)
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
    assert_false(exits_here()); // IF = 0
    tv.c->rflags_sys |= ISA_FL_IF;
    tv.c->blocking = ISA_BLOCK_STI;
    assert_false(exits_here());
    tv.c->blocking = 0;
    tv.c->activity = ISA_HLT; // an open window wakes from HLT
    assert_true(exits_here());
    assert_int_equal(tv.v.exit.reason, VMX_R_INTERRUPT_WINDOW);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_ACTIVITY_STATE), ISA_HLT);
    assert_int_equal(tv.c->activity, ISA_ACTIVE);
    tv_close();
    start();
    on(PROC, VMX_PROC_NMI_WINDOW_EXITING);
    tv_set(VF_GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI);
    enter_guest();
    assert_false(exits_here());
    tv.c->blocking = 0;
    assert_true(exits_here());
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
    assert_false(exits_here()); // before the first instruction
    vmx_insn_comes(tv.c, &tv.v);
    guest_code("\x90", 1);
    assert_true(exits_here());
    assert_int_equal(tv.v.exit.reason, VMX_R_MONITOR_TRAP_FLAG);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST + 1);
    tv_close();
    start();
    tv_set(VF_VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_VALID | 7u << 8); // pending MTF VM exit, without the control
    enter_guest();
    assert_true(exits_here());
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_and_shadows),
        cmocka_unit_test(test_bndcfgs),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
