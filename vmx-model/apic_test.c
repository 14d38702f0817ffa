// vmx-model/apic_test.c: the virtual-APIC page and virtual interrupts: what is virtualized, what exits, and what is delivered.
#include "vmx-model/exit_testkit.h"

#include <stdio.h>

#define VAPIC TV_VMCS2

static void start_tpr_shadow(uint64_t vtpr, uint64_t threshold)
{
    start();
    on(PROC, VMX_PROC_USE_TPR_SHADOW);
    tv_set(VF_VIRTUAL_APIC_PAGE_ADDR, VAPIC);
    tv_set(VF_TPR_THRESHOLD, threshold);
    tv_w64(VAPIC + 0x80, vtpr);
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

// --- APIC-register virtualization

// One access to a register: is it virtualized, and which exit follows?
struct reg_case {
    unsigned off, n, write;
    int exit; // of the write: 0 none, -1: an APIC-access exit instead
};

static void access_page(uint32_t proc2)
{
    start_tpr_shadow(0x50, 0);
    on(PROC2, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES | proc2);
    tv_set(VF_APIC_ACCESS_ADDR, TV_DATA);
    enter_guest();
    tv.c->delivering_valid = false;
}

static void check_access(const struct reg_case *k)
{
    uint32_t val = 0x12345678, in_page = 0;
    tv_w32(VAPIC + k->off, 0xaabbccdd);
    int r = vmx_apic_access(tv.c, &tv.v, k->off, &val, k->n, k->write ? ISA_ACC_W : ISA_ACC_R);
    if ((r == ISA_R_VMEXIT) != (k->exit < 0))
        fail_msg("offset %x, %s: result %d", k->off, k->write ? "write" : "read", r);
    if (k->exit < 0) {
        assert_int_equal(tv.v.exit.reason, VMX_R_APIC_ACCESS);
        assert_int_equal(tv.v.exit.qual, k->off | k->write << 12);
        return;
    }
    memcpy(&in_page, isa_te_at(tv.t, VAPIC + k->off), 4);
    if (!k->write)
        assert_int_equal(val, 0xaabbccdd);
    else if (k->exit)
        assert_int_equal(in_page, 0x12345678);
    assert_int_equal(vmx_trap_exit(tv.c, &tv.v), k->exit != 0);
    if (k->exit) {
        assert_int_equal(tv.v.exit.reason, k->exit);
        assert_int_equal(tv.v.exit.qual, k->off);
    }
}

static void test_register_virtualization(void **state)
{
    enum { W = VMX_R_APIC_WRITE };
    static const struct reg_case k[] = {
        {0x20, 4, 0, 0},   {0x30, 4, 0, 0},  {0x80, 4, 0, 0},   {0xb0, 4, 0, 0},   {0xd0, 4, 0, 0},   {0xe0, 4, 0, 0},
        {0xf0, 4, 0, 0},   {0x100, 4, 0, 0}, {0x170, 4, 0, 0},  {0x1f0, 4, 0, 0},  {0x270, 4, 0, 0},  {0x280, 4, 0, 0},
        {0x300, 4, 0, 0},  {0x310, 4, 0, 0}, {0x370, 4, 0, 0},  {0x380, 4, 0, 0},  {0x3e0, 4, 0, 0},  {0x90, 4, 0, -1},
        {0xa0, 4, 0, -1},  {0xc0, 4, 0, -1}, {0x390, 4, 0, -1}, {0x2f0, 4, 0, -1}, {0x3f0, 4, 0, -1}, {0x400, 4, 0, -1},
        {0x22, 4, 0, -1},  {0x24, 4, 0, -1}, {0x20, 4, 1, W},   {0x30, 4, 1, -1},  {0xb0, 4, 1, W},   {0xd0, 4, 1, W},
        {0xe0, 4, 1, W},   {0xf0, 4, 1, W},  {0x280, 4, 1, W},  {0x300, 4, 1, W},  {0x310, 4, 1, 0},  {0x320, 4, 1, W},
        {0x370, 4, 1, W},  {0x380, 4, 1, W}, {0x3e0, 4, 1, W},  {0x100, 4, 1, -1}, {0x200, 4, 1, -1}, {0xa0, 4, 1, -1},
        {0x390, 4, 1, -1},
    };
    access_page(VMX_PROC2_APIC_REGISTER_VIRTUALIZATION);
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++)
        check_access(&k[n]);
    assert_int_equal((uint32_t)tv_r64(VAPIC + 0x310), 0x12000000); // of the high half of the ICR only the destination exists
    assert_int_equal(vmx_apic_access(tv.c, &tv.v, 0x30, NULL, 4, ISA_ACC_RMW), ISA_R_VMEXIT);
    tv_close();
    static const struct reg_case delivery[] = {{0x20, 4, 0, -1}, {0xb0, 4, 0, -1},  {0xb0, 4, 1, 0},  {0x300, 4, 0, -1},
                                               {0x300, 4, 1, W}, {0x310, 4, 1, -1}, {0xf0, 4, 1, -1}, {0x80, 4, 0, 0}};
    access_page(VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY);
    for (unsigned n = 0; n < sizeof delivery / sizeof *delivery; n++)
        check_access(&delivery[n]);
    printf("# APIC registers: %u cases\n", (unsigned)(sizeof k / sizeof *k + sizeof delivery / sizeof *delivery));
    tv_close();
}

// --- virtual interrupts

#define STATUS tv_get(VF_GUEST_INTR_STATUS)
#define VPPR   ((uint32_t)tv_r64(VAPIC + 0xa0))

static void set_bit(unsigned reg, unsigned vector)
{
    *(uint8_t *)isa_te_at(tv.t, VAPIC + reg + vector / 32 * 16 + vector % 32 / 8) |= (uint8_t)(1 << vector % 8);
}

static bool bit(unsigned reg, unsigned vector)
{
    return *(uint8_t *)isa_te_at(tv.t, VAPIC + reg + vector / 32 * 16 + vector % 32 / 8) >> vector % 8 & 1;
}

enum { ISR = 0x100, IRR = 0x200 };

// A guest with virtual-interrupt delivery; what is requested and in service stands in the status and in the page.
static void start_delivery(unsigned vtpr, unsigned status)
{
    start_tpr_shadow(vtpr, 0);
    on(PROC2, VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY | VMX_PROC2_VIRTUALIZE_X2APIC);
    on(VF_GUEST_RFLAGS, ISA_FL_IF);
    tv_set(VF_GUEST_INTR_STATUS, status);
    for (unsigned reg = 0, v = status & 0xff; reg < 2; reg++, v = status >> 8)
        if (v)
            set_bit(reg ? ISR : IRR, v);
}

static int wrmsr(unsigned msr, uint64_t val)
{
    tv.c->gpr[ISA_RCX] = msr;
    tv.c->gpr[ISA_RAX] = (uint32_t)val;
    tv.c->gpr[ISA_RDX] = val >> 32;
    return guest("\x0f\x30", 2);
}

static void test_delivery(void **state)
{
    start_delivery(0x20, 0x4151); // 51H is requested, 41H in service
    set_bit(IRR, 0x33);
    enter_guest();
    assert_int_equal(VPPR, 0x40);
    assert_true(tv.c->attention);
    tv.c->rflags_sys &= ~(uint64_t)ISA_FL_IF;
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), -1);
    tv.c->rflags_sys |= ISA_FL_IF;
    tv.c->blocking = ISA_BLOCK_STI;
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), -1);
    tv.c->blocking = ISA_BLOCK_NMI;
    tv.c->activity = ISA_SHUTDOWN;
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), -1);
    tv.c->activity = ISA_HLT;
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), 0x51);
    tv.c->activity = ISA_ACTIVE;
    assert_int_equal(STATUS, 0x5133);
    assert_int_equal(VPPR, 0x50);
    assert_true(bit(ISR, 0x51) && bit(ISR, 0x41) && !bit(IRR, 0x51) && bit(IRR, 0x33));
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), -1);
    tv.t->deliver = NULL;
    assert_int_equal(wrmsr(0x80b, 1), ISA_R_FAULT); // an EOI is 0
    assert_int_equal(STATUS, 0x5133);
    assert_int_equal(wrmsr(0x80b, 0), ISA_R_STOP);
    assert_int_equal(STATUS, 0x4133);
    assert_int_equal(VPPR, 0x40);
    assert_false(tv.v.virq); // 33H has the lower priority
    assert_int_equal(wrmsr(0x80b, 0), ISA_R_STOP);
    assert_int_equal(STATUS, 0x33);
    assert_int_equal(VPPR, 0x20);
    assert_true(tv.v.virq);
    assert_int_equal(wrmsr(0x808, 0x30), ISA_R_STOP); // the task priority now holds it back: recognition ceases
    assert_false(tv.v.virq);
    assert_int_equal(VPPR, 0x30);
    tv.c->gpr[ISA_RAX] = 2;
    assert_int_equal(guest("\x44\x0f\x22\xc0", 4), ISA_R_STOP); // mov cr8, rax
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), 0x33);
    assert_int_equal(STATUS, 0x3300);
    vmx_exit_record(&tv.v, VMX_R_VMCALL, 0, NULL);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(STATUS, 0x3300);
    tv_close();
}

// Recognition depends on "interrupt-window exiting"; and it ends with the exit.
static void test_recognition(void **state)
{
    for (unsigned window = 0; window < 2; window++) {
        start_delivery(0, 0x61);
        on(PROC, window ? VMX_PROC_INT_WINDOW_EXITING : 0);
        enter_guest();
        assert_int_equal(tv.v.virq, !window);
        assert_int_equal(exits_here(), window);
        if (!window)
            vmx_exit_record(&tv.v, VMX_R_VMCALL, 0, NULL);
        assert_true(vmx_take_exit(tv.c, &tv.v));
        assert_false(tv.v.virq);
        assert_int_equal(STATUS, 0x61);
        tv_close();
    }
    start_delivery(0x60, 0x6f); // of the same class: no
    enter_guest();
    assert_false(tv.v.virq);
    assert_int_equal(VPPR, 0x60);
    tv_close();
}

static void test_eoi_exit(void **state)
{
    start_delivery(0, 0xc571);
    tv_set(VF_EOI_EXIT_BITMAP3, 1ull << (0xc5 - 192));
    enter_guest();
    assert_int_equal(wrmsr(0x80b, 0), ISA_R_STOP);
    assert_int_equal(STATUS, 0x71);
    assert_false(tv.v.virq); // the exit comes instead of the evaluation
    assert_true(vmx_trap_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_VIRTUALIZED_EOI);
    assert_int_equal(tv.v.exit.qual, 0xc5);
    assert_true(vmx_take_exit(tv.c, &tv.v));
    assert_int_equal(tv_get(VF_GUEST_RIP), TV_GUEST + 2);
    assert_int_equal(tv_get(VF_EXIT_QUALIFICATION), 0xc5);
    tv_close();
}

// An IPI to itself: by the x2APIC's register, and by the xAPIC's command register if it is fixed, edge-triggered and legal.
static void test_self_ipi(void **state)
{
    static const struct {
        uint32_t icr;
        bool virtualized;
    } k[] = {{0x40045, true},  {0x44845, true},  {0x48045, false}, {0x4000f, false}, {0x80045, false},  {0x45, false},
             {0x41045, false}, {0x40145, false}, {0x40445, false}, {0xc0045, false}, {0x140045, false}, {0x50045, false}};
    start_delivery(0, 0);
    enter_guest();
    tv.t->deliver = NULL;
    assert_int_equal(wrmsr(0x83f, 0x100), ISA_R_FAULT);
    assert_int_equal(wrmsr(0x83f, 0x42), ISA_R_STOP);
    assert_int_equal(STATUS, 0x42);
    assert_true(tv.v.virq && bit(IRR, 0x42));
    assert_int_equal(wrmsr(0x83f, 0x31), ISA_R_STOP);
    assert_int_equal(STATUS, 0x42); // RVI is the highest
    assert_true(bit(IRR, 0x31));
    assert_int_equal(wrmsr(0x83f, 0x0e), ISA_R_STOP);
    assert_true(vmx_trap_exit(tv.c, &tv.v));
    assert_int_equal(tv.v.exit.reason, VMX_R_APIC_WRITE);
    assert_int_equal(tv.v.exit.qual, 0x3f0);
    tv_close();
    for (unsigned n = 0; n < sizeof k / sizeof *k; n++) {
        uint32_t icr = k[n].icr;
        access_page(VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY);
        assert_int_equal(vmx_apic_access(tv.c, &tv.v, 0x300, &icr, 4, ISA_ACC_W), 0);
        assert_int_equal(STATUS, k[n].virtualized ? icr & 0xff : 0);
        assert_int_equal(vmx_trap_exit(tv.c, &tv.v), !k[n].virtualized);
        tv_close();
    }
}

// RDMSR of any register of the x2APIC reads the page, where APIC registers are virtualized.
static void test_x2apic_reads(void **state)
{
    for (unsigned registers = 0; registers < 2; registers++) {
        start_tpr_shadow(0, 0);
        on(PROC2, VMX_PROC2_VIRTUALIZE_X2APIC | (registers ? VMX_PROC2_APIC_REGISTER_VIRTUALIZATION : 0));
        enter_guest();
        tv.t->deliver = NULL;
        for (unsigned reg = 0; reg < 0x100; reg++) {
            tv_w64(VAPIC + 16 * reg, 0x1111111122222200 + reg);
            tv.c->gpr[ISA_RCX] = 0x800 + reg;
            int r = guest("\x0f\x32", 2);
            assert_int_equal(r, registers || reg == 8 ? ISA_R_STOP : ISA_R_FAULT);
            if (r == ISA_R_STOP)
                assert_int_equal(tv.c->gpr[ISA_RAX] | tv.c->gpr[ISA_RDX] << 32, 0x1111111122222200 + reg);
        }
        assert_int_equal(wrmsr(0x80b, 0), ISA_R_FAULT); // writes need virtual-interrupt delivery
        assert_int_equal(wrmsr(0x83f, 0x40), ISA_R_FAULT);
        tv_close();
    }
}

static void test_posted(void **state)
{
    start_delivery(0, 0x45);
    on(PIN, VMX_PIN_POSTED_INTERRUPTS);
    on(VF_VM_EXIT_CONTROLS, VMX_EXIT_ACK_INTERRUPT);
    tv_set(VF_POSTED_INTR_NV, 0xf2);
    tv_set(VF_POSTED_INTR_DESC_ADDR, TV_DATA);
    tv_w64(TV_DATA, 1ull << 0x3e);
    tv_w64(TV_DATA + 24, 1ull << (0xd1 - 192));
    tv_w64(TV_DATA + 32, 0xffffffff00000003); // ON; the rest is software's
    enter_guest();
    assert_false(vmx_post_interrupts(tv.c, &tv.v, 0xf1));
    assert_int_equal(STATUS, 0x45);
    assert_true(vmx_post_interrupts(tv.c, &tv.v, 0xf2));
    assert_int_equal(STATUS, 0xd1);
    assert_true(bit(IRR, 0x3e) && bit(IRR, 0x45) && bit(IRR, 0xd1));
    assert_true(!tv_r64(TV_DATA) && !tv_r64(TV_DATA + 24));
    assert_int_equal(tv_r64(TV_DATA + 32), 0xffffffff00000002);
    assert_int_equal(vmx_take_virtual_interrupt(tv.c, &tv.v), 0xd1);
    assert_int_equal(STATUS, 0xd145);
    assert_true(vmx_post_interrupts(tv.c, &tv.v, 0xf2)); // nothing posted: RVI stays
    assert_int_equal(STATUS, 0xd145);
    off(PIN, VMX_PIN_POSTED_INTERRUPTS);
    assert_false(vmx_post_interrupts(tv.c, &tv.v, 0xf2));
    tv_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tpr_shadow),
        cmocka_unit_test(test_tpr_shadow_faults_and_exits),
        cmocka_unit_test(test_virtual_x2apic),
        cmocka_unit_test(test_apic_accesses),
        cmocka_unit_test(test_register_virtualization),
        cmocka_unit_test(test_delivery),
        cmocka_unit_test(test_recognition),
        cmocka_unit_test(test_eoi_exit),
        cmocka_unit_test(test_self_ipi),
        cmocka_unit_test(test_x2apic_reads),
        cmocka_unit_test(test_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
