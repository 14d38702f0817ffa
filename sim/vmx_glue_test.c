// sim/vmx_glue_test.c: a small VMM and its guests on the whole machine: events, counters, cycles and exact boundaries, alike under both
// dispatchers and with and without the inline TLB.
#include "sim/vmx_testkit.h"

#include "sim/ledger.h"

struct log {
    unsigned n;
    struct {
        enum ev_kind kind;
        unsigned reason, level;
        uint64_t cycle, rip;
    } e[64];
    unsigned failures;
    char first[16];
    unsigned vmx_fails, last_error;
};

static void record(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct log *l = ctx;
    if (e->kind == EV_VMX) {
        l->vmx_fails += e->u.vmx.outcome != 0;
        l->last_error = e->u.vmx.error ? e->u.vmx.error : l->last_error;
        return;
    }
    if (e->kind == EV_VMENTRY_FAIL) {
        l->failures = e->u.entry_fail.report->n;
        strncpy(l->first, e->u.entry_fail.report->failure[0].id, sizeof l->first - 1);
    }
    if (l->n < 64) {
        l->e[l->n].kind = e->kind;
        l->e[l->n].reason = e->kind == EV_VMEXIT ? e->u.vmexit.reason : 0;
        l->e[l->n].level = e->level;
        l->e[l->n].cycle = e->cycle;
        l->e[l->n].rip = e->rip;
        l->n++;
    }
}

// Whoever is told of an exit finds it in the VMCS already, and the guest's registers still in the processor.
static void compare(void *ctx, struct sim_machine *m, const struct ev *e)
{
    const struct vmx_cpu *v = &m->cpu[0]->vmx;
    assert_int_equal(vmcs_get(&v->vmcs, VF_VM_EXIT_REASON), e->u.vmexit.reason);
    assert_int_equal(vmcs_get(&v->vmcs, VF_EXIT_QUALIFICATION), e->u.vmexit.qual);
    assert_int_equal(vmcs_get(&v->vmcs, VF_GUEST_PHYSICAL_ADDRESS), e->u.vmexit.gpa.v);
    assert_int_equal(vmcs_get(&v->vmcs, VF_VM_EXIT_INSTRUCTION_LEN), e->u.vmexit.len);
    const struct isa_cpu *c = &m->cpu[0]->isa;
    assert_int_equal(vmcs_get(&v->vmcs, VF_GUEST_RIP), e->rip);
    assert_int_equal(vmcs_get(&v->vmcs, VF_GUEST_RIP), c->rip);
    assert_int_equal(vmcs_get(&v->vmcs, VF_GUEST_RSP), c->gpr[ISA_RSP]);
    assert_int_equal(vmcs_get(&v->vmcs, VF_GUEST_CR3), c->cr3);
    assert_int_equal(c->vmx, ISA_VMX_NONROOT);
    ++*(unsigned *)ctx;
}

static struct sim_machine *boot(unsigned mode, const void *guest, unsigned n, struct log *log)
{
    struct sim_machine *m = boot_vmm(mode, guest, n);
    memset(log, 0, sizeof *log);
    ev_subscribe(m, EV_BIT(EV_VMENTRY) | EV_BIT(EV_VMEXIT) | EV_BIT(EV_VMENTRY_FAIL) | EV_BIT(EV_VMX), record, log);
    return m;
}

static struct sim_stop run(struct sim_machine *m)
{
    const struct sim_until u = {.max_insns = 100000};
    return sim_run(m, &u);
}

static uint64_t stat(struct sim_machine *m, const char *name)
{
    uint64_t v = 0;
    assert_true(sim_stat(m, 0, name, &v));
    return v;
}

static void test_exits(void **state)
{
    static const uint8_t guest[] = {0x31, 0xc0, 0x0f, 0xa2, 0x31, 0xc0, 0x0f, 0xa2, 0xf4}; // xor eax, eax; cpuid; twice; hlt
    uint64_t cycles[MODES], nonroot[MODES];
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        unsigned compared = 0;
        ev_subscribe(m, EV_BIT(EV_VMEXIT), compare, &compared);
        struct sim_stop s = run(m);
        assert_int_equal(s.kind, SIM_STOP_HALT);
        static const unsigned reasons[] = {10, 10, 12};
        assert_int_equal(l.n, 6);
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(l.e[2 * n].kind, EV_VMENTRY);
            assert_int_equal(l.e[2 * n + 1].kind, EV_VMEXIT);
            assert_int_equal(l.e[2 * n + 1].reason, reasons[n]);
            assert_int_equal(l.e[2 * n + 1].level, 1);
            assert_true(l.e[2 * n + 1].cycle > l.e[2 * n].cycle);
        }
        assert_int_equal(l.e[0].rip, HOST);
        assert_int_equal(l.e[1].rip, GUEST + 2);
        assert_int_equal(l.e[5].rip, GUEST + 8);
        assert_int_equal(l.vmx_fails, 0);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R15], 3);
        assert_int_equal(stat(m, "vmentries"), 3);
        assert_int_equal(stat(m, "vmexits"), 3);
        nonroot[mode] = stat(m, "cycles_nonroot");
        cycles[mode] = sim_cpu(m, 0)->cycles;
        assert_true(nonroot[mode] >= 3 * 500 && nonroot[mode] < cycles[mode]); // each exit is charged to the guest's time
        assert_int_equal(cycles[mode], cycles[0]);
        assert_int_equal(nonroot[mode], nonroot[0]);
        assert_int_equal(compared, 3);
        sim_destroy(m);
    }
}

static void test_ledger(void **state)
{
    static const uint8_t guest[] = {0x31, 0xc0, 0x0f, 0xa2, 0x31, 0xc0, 0x0f, 0xa2, 0xf4}; // xor eax, eax; cpuid; twice; hlt
    struct log l;
    struct ledger g;
    char text[4096] = "";
    struct sim_machine *m = boot(0, guest, sizeof guest, &l);
    ledger_open(&g, m);
    FILE *f = fmemopen(text, sizeof text - 1, "w");
    ledger_print(&g, f);
    fflush(f);
    assert_string_equal(text, "ledger: no VM entry\n");
    assert_int_equal(run(m).kind, SIM_STOP_HALT);
    ledger_close(&g);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.vmcs[0].ptr, TV_VMCS);
    assert_int_equal(g.vmcs[0].entries, 3);
    assert_int_equal(ledger_exits(&g, VMX_R_CPUID), 2);
    assert_int_equal(ledger_exits(&g, VMX_R_HLT), 1);
    assert_int_equal(ledger_exits(&g, LEDGER_REASONS), 3);
    uint64_t cycles = 0;
    for (unsigned n = 0; n < l.n; n += 2)
        cycles += l.e[n + 1].cycle - l.e[n].cycle;
    assert_int_equal(g.vmcs[0].cycles, cycles);
    rewind(f);
    ledger_print(&g, f);
    fclose(f);
    assert_non_null(strstr(text, "  10 CPUID                              2           2"));
    assert_non_null(strstr(text, "     all                                3           3"));
    sim_destroy(m);
}

// More VMCSs than rows share the last one, and the text says so.
static void test_ledger_many(void **state)
{
    struct log l;
    struct ledger g;
    char text[16384] = "";
    struct sim_machine *m = boot(0, "\xf4", 1, &l);
    ledger_open(&g, m);
    for (unsigned n = 0; n < LEDGER_VMCSES + 3; n++) {
        struct ev in = {.kind = EV_VMENTRY}, out = {.kind = EV_VMEXIT};
        in.u.vmentry.vmcs = 0x1000 * (n + 1);
        out.u.vmexit.reason = VMX_R_CPUID;
        ev_emit(m->cpu[0], &in);
        ev_emit(m->cpu[0], &out);
    }
    ledger_close(&g);
    assert_int_equal(g.n, LEDGER_VMCSES);
    assert_int_equal(g.vmcs[0].entries, 1);
    assert_int_equal(g.vmcs[LEDGER_VMCSES - 1].entries, 4);
    assert_int_equal(ledger_exits(&g, VMX_R_CPUID), LEDGER_VMCSES + 3);
    FILE *f = fmemopen(text, sizeof text - 1, "w");
    ledger_print(&g, f);
    fclose(f);
    assert_non_null(strstr(text, " 64+ "));
    assert_non_null(strstr(text, "from number 64 on"));
    sim_destroy(m);
}

static void test_failed_entry(void **state)
{
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, "\xf4", 1, &l);
        vmcs_put(vmcs(m), VF_GUEST_ACTIVITY_STATE, 9);
        assert_int_equal(run(m).kind, SIM_STOP_HALT); // the handler's VMRESUME fails too, and it falls through to HLT
        assert_int_equal(l.n, 1);
        assert_int_equal(l.e[0].kind, EV_VMENTRY_FAIL);
        assert_int_equal(l.e[0].rip, HOST);
        assert_int_equal(l.failures, 1);
        assert_string_equal(l.first, "E-GS-100");
        assert_int_equal(l.vmx_fails, 1);
        assert_int_equal(l.last_error, 5);
        assert_int_equal(vmcs_get(vmcs(m), VF_VM_EXIT_REASON), 0x80000021);
        assert_int_equal(stat(m, "vmentries"), 0);
        sim_destroy(m);
        m = boot(mode, "\xf4", 1, &l);
        or_field(m, VF_HOST_CS_SELECTOR, 3);
        run(m);
        assert_int_equal(l.e[0].kind, EV_VMENTRY_FAIL);
        assert_int_equal(l.last_error, 8);
        assert_int_equal(sim_cpu(m, 0)->rip, HOST + 4); // VMfailValid: the next instruction ran
        sim_destroy(m);
    }
}

// Exit after each instruction, wherever blocks would end.
// RIP may lie just outside of the canonical addresses (manual, "Checks on Guest RIP, RFLAGS, and SSP"); what is fetched there is #GP.
static void test_noncanonical_rip(void **state)
{
    for (unsigned k = 0; k < MODES; k++) {
        struct sim_machine *m = boot_vmm(k, "\x90", 1);
        vmcs_put(vmcs(m), VF_GUEST_RIP, 0x800000000000);
        vmcs_put(vmcs(m), VF_HOST_RIP, HOST + 3); // hlt
        vmcs_put(vmcs(m), VF_EXCEPTION_BITMAP, 1u << ISA_X_GP);
        assert_int_equal(sim_run(m, &(struct sim_until){.max_insns = 100}).kind, SIM_STOP_HALT);
        assert_int_equal(vmcs_get(vmcs(m), VF_VM_EXIT_REASON), VMX_R_EXCEPTION_NMI);
        assert_int_equal(vmcs_get(vmcs(m), VF_VM_EXIT_INTR_INFO), VMX_INTR_VALID | 3u << 8 | VMX_INTR_ERROR | ISA_X_GP);
        assert_int_equal(vmcs_get(vmcs(m), VF_VM_EXIT_INTR_ERROR_CODE), 0);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_RIP), 0x800000000000);
        sim_destroy(m);
    }
}

static void test_monitor_trap_flag(void **state)
{
    static const uint8_t guest[] = {0x90, 0xff, 0xc0, 0xeb, 0x00, 0x90, 0xf4}; // nop; inc eax; jmp +0; nop; hlt
    static const uint64_t at[] = {GUEST + 1, GUEST + 3, GUEST + 5, GUEST + 6, GUEST + 6};
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_MONITOR_TRAP_FLAG);
        run(m);
        assert_int_equal(l.n, 10);
        for (unsigned n = 0; n < 5; n++) {
            assert_int_equal(l.e[2 * n + 1].reason, n < 4 ? 37 : 12);
            assert_int_equal(l.e[2 * n + 1].rip, at[n]);
        }
        sim_destroy(m);
    }
}

// A repeated string instruction is left after each iteration, with RIP still at it and its count in RCX.
static void test_monitor_trap_flag_repeats(void **state)
{
    static const uint8_t guest[] = {0xf3, 0xaa, 0xf4}; // rep stosb; hlt
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_MONITOR_TRAP_FLAG);
        m->cpu[0]->isa.gpr[ISA_RCX] = 3;
        m->cpu[0]->isa.gpr[ISA_RDI] = 0x200000;
        put(m, HANDLER, "\x0f\x01\xc3", 3); // vmresume
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        for (unsigned n = 0; n < 4; n++) {
            assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
            assert_int_equal(l.e[l.n - 1].reason, n < 3 ? 37 : 12);
            assert_int_equal(l.e[l.n - 1].rip, n < 2 ? GUEST : GUEST + 2);
            assert_int_equal(m->cpu[0]->isa.gpr[ISA_RCX], n < 2 ? 2 - n : 0);
        }
        sim_destroy(m);
    }
}

// The monitor trap flag's exit goes before the single-step trap of the same boundary, which stays pending.
static void test_monitor_trap_before_debug_trap(void **state)
{
    static const uint8_t guest[] = {0x90, 0xf4}; // nop; hlt
    static const unsigned reasons[] = {37, 0, 12};
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_MONITOR_TRAP_FLAG);
        vmcs_put(vmcs(m), VF_GUEST_RFLAGS, 2 | ISA_FL_TF);
        vmcs_put(vmcs(m), VF_EXCEPTION_BITMAP, 1 << ISA_X_DB);
        run(m);
        assert_int_equal(l.n, 6);
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(l.e[2 * n + 1].reason, reasons[n]);
            assert_int_equal(l.e[2 * n + 1].rip, GUEST + 1);
        }
        sim_destroy(m);
    }
}

// MOV to CR8 below the threshold exits behind the instruction; without a change the next entry fails.
static void test_tpr_below_threshold(void **state)
{
    static const uint8_t guest[] = {0xb8, 5,    0,    0,    0,    0x44,
                                    0x0f, 0x22, 0xc0, 0xb0, 1,           // mov eax, 5; mov cr8, rax; mov al, 1
                                    0x44, 0x0f, 0x22, 0xc0, 0x90, 0xf4}; // mov cr8, rax; nop; hlt
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW);
        vmcs_put(vmcs(m), VF_VIRTUAL_APIC_PAGE_ADDR, 0x200000);
        vmcs_put(vmcs(m), VF_TPR_THRESHOLD, 3);
        put(m, 0x200080, "\x40", 1);
        run(m);
        assert_int_equal(l.n, 3);
        assert_int_equal(l.e[1].reason, 43);
        assert_int_equal(l.e[1].rip, GUEST + 15);
        assert_int_equal(l.e[2].kind, EV_VMENTRY_FAIL);
        assert_string_equal(l.first, "E-CT-020");
        assert_int_equal(sim_cpu(m, 0)->cr8, 0);
        sim_destroy(m);
    }
}

#define APIC_PAGE    0x300000u
#define VIRTUAL_APIC 0x200000u

static struct sim_machine *boot_apic(unsigned mode, const void *guest, unsigned n, struct log *l, unsigned threshold)
{
    struct sim_machine *m = boot(mode, guest, n, l);
    or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW | VMX_PROC_ACTIVATE_SECONDARY);
    vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES);
    vmcs_put(vmcs(m), VF_VIRTUAL_APIC_PAGE_ADDR, VIRTUAL_APIC);
    vmcs_put(vmcs(m), VF_APIC_ACCESS_ADDR, APIC_PAGE);
    vmcs_put(vmcs(m), VF_TPR_THRESHOLD, threshold);
    put(m, VIRTUAL_APIC + 0x80, "\x45\x77", 2);
    return m;
}

// The task priority is virtualized; other registers exit and the VMM skips them. A write of it below the threshold exits behind the
// instruction, and every entry after that at once.
static void test_apic_access_page(void **state)
{
    static const uint8_t guest[] = {0x44, 0x8b, 0x34, 0x25, 0x80, 0,    0x30, 0,           // mov r14d, [300080h]
                                    0x66, 0xff, 0x04, 0x25, 0x80, 0,    0x30, 0,           // inc word [300080h]
                                    0x44, 0x0f, 0xb6, 0x2c, 0x25, 0x80, 0,    0x30, 0,     // movzx r13d, byte [300080h]
                                    0x8b, 0x04, 0x25, 0x20, 0,    0x30, 0,                 // mov eax, [300020h]
                                    0x89, 0x04, 0x25, 0xb0, 0,    0x30, 0,                 // mov [3000b0h], eax
                                    0x48, 0x8b, 0x04, 0x25, 0x80, 0,    0x30, 0,           // mov rax, [300080h]: more than 32 bits
                                    0xc6, 0x04, 0x25, 0x80, 0,    0x30, 0,    0x10, 0xf4}; // mov byte [300080h], 10h; hlt
    static const unsigned reasons[] = {44, 44, 44, 43, 43, 43};
    static const uint64_t at[] = {25, 32, 39, 55, 55, 55};
    uint64_t cycles = 0;
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot_apic(mode, guest, sizeof guest, &l, 2);
        assert_int_equal(run(m).kind, SIM_STOP_LIMIT);
        assert_int_equal(l.n, 64);
        for (unsigned n = 0; n < sizeof reasons / sizeof *reasons; n++) {
            assert_int_equal(l.e[2 * n + 1].reason, reasons[n]);
            assert_int_equal(l.e[2 * n + 1].rip, GUEST + at[n]);
        }
        uint64_t vtpr = 0, access = 1;
        sim_peek(m, 0, SIM_HOST_PHYSICAL, VIRTUAL_APIC + 0x80, &vtpr, 8);
        sim_peek(m, 0, SIM_HOST_PHYSICAL, APIC_PAGE + 0x80, &access, 8);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R14], 0x7745);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R13], 0x46);
        assert_int_equal(vtpr, 0x10); // bits 31:8 are cleared by each write
        assert_int_equal(access, 0);  // the page itself is never accessed
        cycles = mode ? cycles : sim_cpu(m, 0)->cycles;
        assert_int_equal(sim_cpu(m, 0)->cycles, cycles);
        sim_destroy(m);
    }
}

static void test_apic_access_fetch(void **state)
{
    static const uint8_t guest[] = {0xb8, 0x40, 5, 0x30, 0, 0xff, 0xe0}; // mov eax, 300540h; jmp rax
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot_apic(mode, guest, sizeof guest, &l, 0);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 44);
        assert_int_equal(vmcs_get(vmcs(m), VF_EXIT_QUALIFICATION), 2 << 12 | 0x540);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_RIP), APIC_PAGE + 0x540);
        sim_destroy(m);
    }
}

// A page that was mirrored while nothing virtualized it is not served from the mirror once the control is 1, and the other way round.
static void test_apic_access_after_mirror(void **state)
{
    static const uint8_t guest[] = {0x8b, 0x04, 0x25, 0x20, 0, 0x30, 0, 0x8b, 0x04, 0x25, 0x20, 0, 0x30, 0, 0x0f, 0xa2}; // cpuid
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot_apic(mode, guest, sizeof guest, &l, 0);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VPID); // transitions flush nothing
        vmcs_put(vmcs(m), VF_VIRTUAL_PROCESSOR_ID, 1);
        sim_run(m, &u);
        assert_int_equal(l.e[1].reason, 10);
        vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VPID | VMX_PROC2_VIRTUALIZE_APIC_ACCESSES);
        vmcs_put(vmcs(m), VF_GUEST_RIP, GUEST - 2);
        put(m, GUEST - 2, "\x90\x90", 2);
        sim_run(m, &u);
        assert_int_equal(l.e[3].reason, 44);
        vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VPID);
        sim_run(m, &u);
        assert_int_equal(l.e[5].reason, 10);
        sim_destroy(m);
    }
}

// --- virtual interrupts

#define DESCRIPTOR 0x201000u
#define NOTIFY     0xf2u

static struct sim_machine *boot_virtual(unsigned mode, const void *guest, unsigned n, struct log *l, uint32_t proc2)
{
    struct sim_machine *m = boot_apic(mode, guest, n, l, 0);
    or_field(m, VF_PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_EXT_INT_EXITING | VMX_PIN_POSTED_INTERRUPTS);
    or_field(m, VF_VM_EXIT_CONTROLS, VMX_EXIT_ACK_INTERRUPT);
    vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY | proc2);
    vmcs_put(vmcs(m), VF_POSTED_INTR_NV, NOTIFY);
    vmcs_put(vmcs(m), VF_POSTED_INTR_DESC_ADDR, DESCRIPTOR);
    put(m, VIRTUAL_APIC + 0x80, "\0\0", 2);
    return m;
}

// The guest sends itself an interrupt by its command register while interrupts are off, turns them on, and ends it: no exit but HLT's.
static void test_virtual_interrupt(void **state)
{
    static const uint8_t guest[] = {0xfa, 0xc7, 0x04, 0x25, 0x00, 0x03, 0x30, 0, 0x50, 0, 4, 0, // cli; mov dword [300300h], 40050h
                                    0xff, 0xc3, 0xfb, 0xff, 0xc3, 0xff, 0xc3,                   // inc ebx; sti; inc ebx; inc ebx
                                    0xeb, 0xfe,                                                 // loop: jmp loop
                                    0x41, 0x89, 0xde,                                           // handler: mov r14d, ebx
                                    0xc7, 0x04, 0x25, 0xb0, 0x00, 0x30, 0,    0, 0,    0, 0, 0xf4}; // mov dword [3000b0h], 0; hlt
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot_virtual(mode, guest, sizeof guest, &l, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        uint64_t isr = 1, status;
        gate64(m, 0x50, GUEST + 21);
        vmcs_put(vmcs(m), VF_GUEST_RFLAGS, 2);
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[l.n - 1].reason, 12);
        assert_int_equal(sim_cpu(m, 0)->gpr[ISA_R14], 2); // behind the instruction that STI shadows
        sim_peek(m, 0, SIM_HOST_PHYSICAL, VIRTUAL_APIC + 0x120, &isr, 8);
        assert_int_equal(isr, 0);
        status = vmcs_get(vmcs(m), VF_GUEST_INTR_STATUS);
        assert_int_equal(status, 0);
        sim_destroy(m);
    }
}

// An event that is delivered at the first boundary after the entry is followed by the exit at once, before its handler's first instruction.
static void test_monitor_trap_after_event(void **state)
{
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, "\x90\x90\x90\xf4", 4, &l);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        gate64(m, 1, GUEST + 2);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_MONITOR_TRAP_FLAG);
        vmcs_put(vmcs(m), VF_GUEST_PENDING_DBG_EXCEPTIONS, 1 << 12 | 1);
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[l.n - 1].reason, 37);
        assert_int_equal(l.e[l.n - 1].rip, GUEST + 2);
        sim_destroy(m);
    }
}

// A notification reaches a guest that is halted: the posted interrupt wakes it, without an exit, and the local APIC has its EOI.
static void test_posted_interrupt(void **state)
{
    static const uint8_t guest[] = {0xfb, 0xf4, 0xeb, 0xfd, 0x0f, 0xa2}; // sti; hlt; jmp hlt; handler: cpuid
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot_virtual(mode, guest, sizeof guest, &l, 0);
        const struct sim_until entry = {.events = EV_BIT(EV_VMENTRY), .max_insns = 1000},
                               left = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        gate64(m, 0x77, GUEST + 4);
        vmcs_put(vmcs(m), VF_CPU_BASED_VM_EXEC_CONTROL,
                 vmcs_get(vmcs(m), VF_CPU_BASED_VM_EXEC_CONTROL) & ~(uint64_t)VMX_PROC_HLT_EXITING);
        assert_int_equal(sim_run(m, &entry).kind, SIM_STOP_UNTIL);
        put(m, DESCRIPTOR + 0x77 / 8, "\x80", 1);
        put(m, DESCRIPTOR + 32, "\x01", 1);
        self_ipi(m, NOTIFY);
        assert_int_equal(sim_run(m, &left).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[l.n - 1].reason, 10);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_INTR_STATUS), 0x7700);
        assert_false(bus_irq_pending(m, 0));
        self_ipi(m, NOTIFY - 1); // nothing of this class is in service
        assert_true(bus_irq_pending(m, 0));
        sim_destroy(m);
    }
}

// Virtual-NMI blocking does not hold back an NMI of the processor: it exits.
static void test_nmi_exits_while_virtual_nmis_are_blocked(void **state)
{
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, "\x90\xf4", 2, &l);
        vmcs_put(vmcs(m), VF_GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI);
        const struct sim_until u = {.events = EV_BIT(EV_VMENTRY), .max_insns = 1000};
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        m->cpu[0]->nmi = true;
        run(m);
        assert_int_equal(l.e[1].reason, 0);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_INTERRUPTIBILITY_INFO), ISA_BLOCK_NMI);
        sim_destroy(m);
    }
}

// STI blocks for one more instruction; then the window is open.
static void test_interrupt_window(void **state)
{
    static const uint8_t guest[] = {0xfa, 0x90, 0xfb, 0x90, 0x90, 0xf4}; // cli; nop; sti; nop; nop; hlt
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, guest, sizeof guest, &l);
        or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_INT_WINDOW_EXITING);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 7);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_RIP), GUEST + 4);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_INTERRUPTIBILITY_INFO), 0);
        sim_destroy(m);
    }
}

// A guest that never gives way exits at the first boundary at which its time is over; what is left is saved.
static void test_preemption_timer(void **state)
{
    static const uint8_t spin[] = {0xff, 0xc0, 0xeb, 0xfc}; // inc eax; jmp back
    uint64_t cycles[MODES], count[MODES];
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, spin, sizeof spin, &l);
        or_field(m, VF_PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_PREEMPTION_TIMER);
        or_field(m, VF_VM_EXIT_CONTROLS, VMX_EXIT_SAVE_PREEMPTION_TIMER);
        vmcs_put(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE, 100);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 100000};
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 52);
        uint64_t ran = l.e[1].cycle - l.e[0].cycle;
        assert_true(ran >= 3200 && ran < 3200 + 20);
        assert_int_equal(vmcs_get(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE), 0);
        cycles[mode] = sim_cpu(m, 0)->cycles;
        count[mode] = sim_cpu(m, 0)->gpr[ISA_RAX];
        assert_true(count[mode] > 500);
        assert_int_equal(cycles[mode], cycles[0]);
        assert_int_equal(count[mode], count[0]);
        sim_destroy(m);
        m = boot(mode, "\x0f\xa2", 2, &l); // cpuid exits long before
        or_field(m, VF_PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_PREEMPTION_TIMER);
        or_field(m, VF_VM_EXIT_CONTROLS, VMX_EXIT_SAVE_PREEMPTION_TIMER);
        vmcs_put(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE, 0xffffffff);
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 10);
        uint64_t left = vmcs_get(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE);
        assert_true(left < 0xffffffff && left > 0xffffff00);
        sim_destroy(m);
        m = boot(mode, "\xf4", 1, &l); // halted, interrupts off: the timer still exits
        vmcs_put(vmcs(m), VF_CPU_BASED_VM_EXEC_CONTROL, 0x04006172);
        or_field(m, VF_PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_PREEMPTION_TIMER);
        vmcs_put(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE, 100000);
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 52);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_ACTIVITY_STATE), ISA_HLT);
        assert_int_equal(l.e[1].cycle - l.e[0].cycle, 3200000);
        assert_int_equal(vmcs_get(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE), 100000); // not saved
        sim_destroy(m);
    }
}

// INIT and a start-up IPI in non-root operation are exits and nothing else; in root operation an INIT waits.
static void test_init_and_sipi(void **state)
{
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        const struct sim_until entry = {.events = EV_BIT(EV_VMENTRY), .max_insns = 100000},
                               exit = {.events = EV_BIT(EV_VMEXIT), .max_insns = 100000}, some = {.insns = 1};
        struct sim_machine *m = boot(mode, "\xeb\xfe", 2, &l);
        assert_int_equal(sim_run(m, &entry).kind, SIM_STOP_UNTIL);
        startup_init(m->cpu[0]);
        assert_int_equal(sim_run(m, &exit).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 3);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_ACTIVITY_STATE), ISA_ACTIVE);
        assert_int_equal(sim_cpu(m, 0)->rip, HANDLER);
        startup_init(m->cpu[0]);
        const uint64_t cr3 = sim_cpu(m, 0)->cr3;
        sim_run(m, &some);
        assert_int_equal(sim_cpu(m, 0)->cr3, cr3);
        assert_true(m->cpu[0]->init);
        startup_sipi(m->cpu[0], 0x13); // lost: the INIT that waits will be an exit
        assert_int_equal(m->cpu[0]->sipi, 0);
        sim_destroy(m);

        m = boot(mode, "\xeb\xfe", 2, &l);
        vmcs_put(vmcs(m), VF_GUEST_ACTIVITY_STATE, ISA_WAIT_SIPI);
        assert_int_equal(sim_run(m, &entry).kind, SIM_STOP_UNTIL);
        startup_init(m->cpu[0]); // blocked
        startup_sipi(m->cpu[0], 0x12);
        assert_int_equal(sim_run(m, &exit).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 4);
        assert_int_equal(vmcs_get(vmcs(m), VF_EXIT_QUALIFICATION), 0x12);
        assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_ACTIVITY_STATE), ISA_WAIT_SIPI);
        sim_destroy(m);
    }
}

// A triple fault in the guest is an exit; in the host it stops the machine.
static void test_triple_fault(void **state)
{
    for (unsigned mode = 0; mode < MODES; mode++) {
        struct log l;
        struct sim_machine *m = boot(mode, "\x0f\x0b", 2, &l);
        vmcs_put(vmcs(m), VF_GUEST_IDTR_LIMIT, 0);
        const struct sim_until u = {.events = EV_BIT(EV_VMEXIT), .max_insns = 1000};
        assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
        assert_int_equal(l.e[1].reason, 2);
        assert_int_equal(sim_cpu(m, 0)->rip, HANDLER);
        sim_destroy(m);
    }
}

// A VMM that resumes its guest at the instruction that exits, for ever.
static void test_no_progress(void **state)
{
    static const uint8_t resume[] = {0x0f, 0x01, 0xc3}; // vmresume
    for (unsigned mode = 0; mode < MODES; mode++)
        for (unsigned limit = 0; limit <= 50; limit += 50) {
            struct log l;
            struct sim_machine *m = boot(mode, "\x48\xff\xc0\x0f\xa2", 5, &l); // inc rax; cpuid
            m->cfg.stuck_exits = limit;
            put(m, HANDLER, resume, sizeof resume);
            uint64_t exits = m->cpu[0]->stat[SIM_STAT_VMEXITS];
            struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 10000});
            assert_int_equal(s.kind, limit ? SIM_STOP_STUCK : SIM_STOP_LIMIT);
            if (limit) {
                assert_non_null(strstr(s.text, "VM exit 10 (CPUID) at 0x140003 50 times"));
                assert_int_equal(m->cpu[0]->stat[SIM_STAT_VMEXITS] - exits, 51); // INC was progress before the first
            }
            sim_destroy(m);
        }
}

static void test_abort(void **state)
{
    struct log l;
    struct sim_machine *m = boot(0, "\xf4", 1, &l);
    vmcs_put(vmcs(m), VF_VM_EXIT_MSR_LOAD_COUNT, 1); // address 0: MSR 0, which does not exist
    vmcs_put(vmcs(m), VF_VM_EXIT_MSR_LOAD_ADDR, 0x200000);
    put(m, 0x200000, "\xad\xde\x01\0\0\0\0\0", 8);
    struct sim_stop s = run(m);
    assert_int_equal(s.kind, SIM_STOP_UNMODELLED);
    assert_non_null(strstr(s.text, "VMX abort 4"));
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exits),
        cmocka_unit_test(test_ledger),
        cmocka_unit_test(test_ledger_many),
        cmocka_unit_test(test_failed_entry),
        cmocka_unit_test(test_noncanonical_rip),
        cmocka_unit_test(test_monitor_trap_flag),
        cmocka_unit_test(test_monitor_trap_flag_repeats),
        cmocka_unit_test(test_monitor_trap_before_debug_trap),
        cmocka_unit_test(test_tpr_below_threshold),
        cmocka_unit_test(test_apic_access_page),
        cmocka_unit_test(test_apic_access_fetch),
        cmocka_unit_test(test_apic_access_after_mirror),
        cmocka_unit_test(test_virtual_interrupt),
        cmocka_unit_test(test_posted_interrupt),
        cmocka_unit_test(test_monitor_trap_after_event),
        cmocka_unit_test(test_nmi_exits_while_virtual_nmis_are_blocked),
        cmocka_unit_test(test_interrupt_window),
        cmocka_unit_test(test_triple_fault),
        cmocka_unit_test(test_no_progress),
        cmocka_unit_test(test_preemption_timer),
        cmocka_unit_test(test_init_and_sipi),
        cmocka_unit_test(test_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
