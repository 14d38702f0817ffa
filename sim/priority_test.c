// sim/priority_test.c: what comes first when several events wait at one instruction boundary of a guest; what activity states and blocking hold back.
//
// The events stand in the order of the manual's tables, highest priority first; every pair of different priorities is tried, on each dispatcher.
// MANUAL   "Prioritization of Concurrent Events"; "TPR Virtualization", "Monitor Trap Flag", "VMX-Preemption Timer", "NMI-Window Exiting",
//          "Interrupt-Window Exiting and Virtual-Interrupt Delivery", "Delivery of Pending Debug Exceptions after VM Entry"; "Activity State";
//          "Guest Non-Register State" (interruptibility state).
#include "sim/vmx_testkit.h"

#define VIRTUAL_APIC 0x200000u
#define VECTOR       0x61
#define V_VIRTUAL    0x50
#define IRQ          0x100 // added to enum ev_irq_what in what was seen

// Before the entry: controls and fields. After it: what arrives from outside, or was left by the instruction before.
static void none(struct sim_machine *m) {}
static void trap(struct sim_machine *m, uint32_t reason, uint64_t qual)
{
    vmx_trap_after(&m->cpu[0]->isa, &m->cpu[0]->vmx, reason, qual);
}
static void tpr(struct sim_machine *m) { trap(m, VMX_R_TPR_BELOW_THRESHOLD, 0); }
static void eoi(struct sim_machine *m) { trap(m, VMX_R_VIRTUALIZED_EOI, 0x31); }
static void apic_write(struct sim_machine *m) { trap(m, VMX_R_APIC_WRITE, 0x300); }
static void init(struct sim_machine *m) { startup_init(m->cpu[0]); }
static bool init_left(struct sim_machine *m) { return m->cpu[0]->init; }
static void mtf(struct sim_machine *m) { m->cpu[0]->vmx.mtf_pending = true; }
static void db_fields(struct sim_machine *m)
{
    vmcs_put(vmcs(m), VF_EXCEPTION_BITMAP, 1 << ISA_X_DB);
    vmcs_put(vmcs(m), VF_GUEST_PENDING_DBG_EXCEPTIONS, 1 << 12 | 2);
}
static bool db_left(struct sim_machine *m) { return vmcs_get(vmcs(m), VF_GUEST_PENDING_DBG_EXCEPTIONS) & 2; }
static void timer_fields(struct sim_machine *m)
{
    or_field(m, VF_PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_PREEMPTION_TIMER);
    vmcs_put(vmcs(m), VF_VMX_PREEMPTION_TIMER_VALUE, 0);
}
static void nmi_window_fields(struct sim_machine *m) { or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_NMI_WINDOW_EXITING); }
static void nmi(struct sim_machine *m) { m->cpu[0]->nmi = true; }
static bool nmi_left(struct sim_machine *m) { return m->cpu[0]->nmi; }
static void window_fields(struct sim_machine *m) { or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_INT_WINDOW_EXITING); }
static void virtual_fields(struct sim_machine *m)
{
    or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW);
    or_field(m, VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY);
    vmcs_put(vmcs(m), VF_VIRTUAL_APIC_PAGE_ADDR, VIRTUAL_APIC);
    vmcs_put(vmcs(m), VF_GUEST_INTR_STATUS, V_VIRTUAL);
}
static bool virtual_left(struct sim_machine *m) { return (vmcs_get(vmcs(m), VF_GUEST_INTR_STATUS) & 0xff) == V_VIRTUAL; }
static void external(struct sim_machine *m) { self_ipi(m, VECTOR); }
static bool external_left(struct sim_machine *m) { return bus_irq_pending(m, 0); }
static void breakpoint_fields(struct sim_machine *m)
{
    vmcs_put(vmcs(m), VF_EXCEPTION_BITMAP, 1 << ISA_X_DB);
    vmcs_put(vmcs(m), VF_GUEST_DR7, 0x402);
    m->cpu[0]->isa.dr[0] = GUEST;
}
static void sipi(struct sim_machine *m) { startup_sipi(m->cpu[0], 0x12); }

// Which of the states below let the event come: A active, H HLT, S shutdown, W wait-for-SIPI; and which blocking holds it back: s STI, m MOV SS, n NMI.
static const struct event {
    const char *name;
    unsigned priority;
    void (*fields)(struct sim_machine *m);
    void (*comes)(struct sim_machine *m);
    bool (*left)(struct sim_machine *m); // it still waits after an exit for another event; NULL: nothing to see
    unsigned seen;                       // exit reason, or IRQ + enum ev_irq_what
    uint64_t qual;                       // of the exit; of exceptions and interrupts: the vector, 256 * the qualification
    const char *states, *blocked;
} event[] = {
    {"TPR below threshold", 1, none, tpr, NULL, VMX_R_TPR_BELOW_THRESHOLD, 0, "AH", ""},
    {"EOI exit", 1, none, eoi, NULL, VMX_R_VIRTUALIZED_EOI, 0x31, "AH", ""},
    {"APIC write", 1, none, apic_write, NULL, VMX_R_APIC_WRITE, 0x300, "AH", ""},
    {"INIT", 2, none, init, init_left, VMX_R_INIT_SIGNAL, 0, "AHS", ""},
    {"start-up IPI", 2, none, sipi, NULL, VMX_R_STARTUP_IPI, 0x12, "W", ""},
    {"monitor trap flag", 3, none, mtf, NULL, VMX_R_MONITOR_TRAP_FLAG, 0, "AH", ""},
    {"debug trap", 4, db_fields, none, db_left, VMX_R_EXCEPTION_NMI, 2 << 8 | ISA_X_DB, "AH", "m"},
    {"preemption timer", 5, timer_fields, none, NULL, VMX_R_PREEMPTION_TIMER, 0, "AHS", ""},
    {"NMI window", 6, nmi_window_fields, none, NULL, VMX_R_NMI_WINDOW, 0, "AHS", "smn"},
    {"NMI", 7, none, nmi, nmi_left, VMX_R_EXCEPTION_NMI, ISA_X_NMI, "AHS", "sm"},
    {"interrupt window", 8, window_fields, none, NULL, VMX_R_INTERRUPT_WINDOW, 0, "AH", "sm"},
    {"virtual interrupt", 8, virtual_fields, none, virtual_left, IRQ + EV_IRQ_VIRTUAL, V_VIRTUAL, "AH", "sm"},
    {"external interrupt", 9, none, external, external_left, VMX_R_EXTERNAL_INTERRUPT, 0, "AH", "sm"},
    {"code breakpoint", 10, breakpoint_fields, none, NULL, VMX_R_EXCEPTION_NMI, 1 << 8 | ISA_X_DB, "A", "m"},
    {"the instruction", 11, none, none, NULL, VMX_R_CPUID, 0, "A", ""},
};
#define EVENTS (sizeof event / sizeof *event)

struct seen {
    unsigned what;
    uint64_t qual;
    bool any;
};

static void see(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct seen *s = ctx;
    if (s->any || (e->kind == EV_IRQ && e->u.irq.what != EV_IRQ_VIRTUAL))
        return;
    s->any = true;
    if (e->kind == EV_IRQ) {
        s->what = IRQ + e->u.irq.what;
        s->qual = e->u.irq.vector;
    } else {
        s->what = e->u.vmexit.reason;
        s->qual = e->u.vmexit.intr_info ? e->u.vmexit.qual << 8 | (e->u.vmexit.intr_info & 0xff) : e->u.vmexit.qual;
    }
    sim_request_stop(m);
}

static void is(const struct seen *s, const struct event *e, const char *beside)
{
    if (!s->any || s->what != e->seen || s->qual != e->qual)
        print_error("%s was to come before %s: %#x with %#llx came\n", e->name, beside, s->what, (unsigned long long)s->qual);
    assert_true(s->any);
    assert_int_equal(s->what, e->seen);
    assert_int_equal(s->qual, e->qual);
}

// The guest's instruction is CPUID. Interrupts are on in the guest; external ones and NMIs exit.
static struct sim_machine *start(unsigned mode, const struct event *a, const struct event *b, unsigned activity, uint32_t blocking,
                                 struct seen *s)
{
    const struct sim_until entry = {.events = EV_BIT(EV_VMENTRY), .max_insns = 10};
    struct sim_machine *m = boot_vmm(mode, "\x0f\xa2", 2);
    or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_ACTIVATE_SECONDARY);
    vmcs_put(vmcs(m), VF_SECONDARY_VM_EXEC_CONTROL, 0);
    vmcs_put(vmcs(m), VF_GUEST_RFLAGS, 2 | ISA_FL_IF);
    vmcs_put(vmcs(m), VF_GUEST_ACTIVITY_STATE, activity);
    vmcs_put(vmcs(m), VF_GUEST_INTERRUPTIBILITY_INFO, blocking);
    gate64(m, V_VIRTUAL, GUEST + 16);
    a->fields(m);
    b->fields(m);
    assert_int_equal(sim_run(m, &entry).kind, SIM_STOP_UNTIL);
    *s = (struct seen){0};
    ev_subscribe(m, EV_BIT(EV_VMEXIT) | EV_BIT(EV_IRQ), see, s);
    a->comes(m);
    b->comes(m);
    return m;
}
static enum sim_stop_kind go(struct sim_machine *m)
{
    return sim_run(m, &(struct sim_until){.max_insns = 1000, .max_cycles = 1000000}).kind;
}

static bool exclude(const struct event *a, const struct event *b)
{
    // Only the state wait-for-SIPI has start-up IPIs. With "interrupt-window exiting" no virtual interrupt is recognized. Both use one exception bitmap, and
    // the trap is delivered with its own DR6.
    return a->priority == b->priority || a->comes == sipi || b->comes == sipi;
}

static void test_pairs(void **state)
{
    unsigned cases = 0;
    for (unsigned mode = 0; mode < MODES; mode++)
        for (const struct event *a = event; a < event + EVENTS; a++)
            for (const struct event *b = a + 1; b < event + EVENTS; b++) {
                struct seen s;
                if (exclude(a, b))
                    continue;
                for (unsigned swap = 0; swap < 2; swap++) { // the order of arrival decides nothing
                    struct sim_machine *m = start(mode, swap ? b : a, swap ? a : b, ISA_ACTIVE, 0, &s);
                    go(m);
                    is(&s, a, b->name);
                    if (b->left && !b->left(m))
                        print_error("%s is lost beside %s\n", b->name, a->name);
                    assert_true(!b->left || b->left(m));
                    sim_destroy(m);
                }
                cases++;
            }
    print_message("# priority of concurrent events: %u events, %u pairs in %u modes\n", (unsigned)EVENTS, cases / MODES, MODES);
}

// One event and the guest's instruction, or its sleep.
static void alone(unsigned mode, const struct event *e, unsigned activity, uint32_t blocking, bool comes)
{
    static const char *const held = "what holds it back";
    const struct event *insn = event + EVENTS - 1;
    struct seen s;
    struct sim_machine *m = start(mode, e, insn, activity, blocking, &s);
    enum sim_stop_kind kind = go(m);
    if (comes) {
        is(&s, e, held);
    } else if (activity == ISA_ACTIVE) {
        is(&s, insn, e->name);
    } else {
        if (s.any)
            print_error("%s came in activity state %u\n", e->name, activity);
        assert_false(s.any);
        assert_true(kind == SIM_STOP_HALT || kind == SIM_STOP_LIMIT);
        assert_int_equal(m->cpu[0]->isa.activity, activity);
        assert_int_equal(m->cpu[0]->isa.vmx, ISA_VMX_NONROOT);
    }
    if (!comes && e->left && e->fields == none && e->left != virtual_left) // it waits, and is not lost
        assert_true(e->left(m));
    sim_destroy(m);
}

static void test_activity_states(void **state)
{
    static const char letter[] = "AHSW";
    unsigned cases = 0;
    for (unsigned mode = 0; mode < MODES; mode++)
        for (unsigned activity = 0; activity < 4; activity++)
            for (const struct event *e = event; e < event + EVENTS; e++, cases++)
                alone(mode, e, activity, 0, strchr(e->states, letter[activity]));
    print_message("# activity states: %u cases\n", cases);
}

static void test_blocking(void **state)
{
    static const struct {
        char letter;
        uint32_t bit;
    } k[] = {{'s', ISA_BLOCK_STI}, {'m', ISA_BLOCK_MOVSS}, {'n', ISA_BLOCK_NMI}};
    unsigned cases = 0;
    for (unsigned mode = 0; mode < MODES; mode++)
        for (unsigned n = 0; n < sizeof k / sizeof *k; n++)
            for (const struct event *e = event; e < event + EVENTS; e++, cases++)
                if (strchr(e->states, 'A'))
                    alone(mode, e, ISA_ACTIVE, k[n].bit, !strchr(e->blocked, k[n].letter));
    print_message("# interruptibility states: %u cases\n", cases);
}

// Without "NMI exiting" an NMI wakes a guest from the shutdown state. What the state held back comes behind its delivery.
static void test_nmi_leaves_shutdown(void **state)
{
    static const struct {
        void (*fields)(struct sim_machine *m), (*comes)(struct sim_machine *m);
        unsigned reason;
    } k[] = {{none, tpr, VMX_R_TPR_BELOW_THRESHOLD}, {none, external, VMX_R_EXTERNAL_INTERRUPT}, {none, none, VMX_R_CPUID}};
    for (unsigned mode = 0; mode < MODES; mode++)
        for (unsigned n = 0; n <= sizeof k / sizeof *k; n++) {
            const bool flag = n == sizeof k / sizeof *k; // the last case: the monitor trap flag
            struct event a = {.fields = none, .comes = nmi}, b = {.fields = none, .comes = flag ? none : k[n].comes};
            const struct sim_until entry = {.events = EV_BIT(EV_VMENTRY), .max_insns = 10};
            struct seen s = {0};
            struct sim_machine *m = boot_vmm(mode, "\x0f\xa2", 2);
            gate64(m, ISA_X_NMI, GUEST);
            vmcs_put(vmcs(m), VF_PIN_BASED_VM_EXEC_CONTROL,
                     vmcs_get(vmcs(m), VF_PIN_BASED_VM_EXEC_CONTROL) & ~(uint64_t)(VMX_PIN_NMI_EXITING | VMX_PIN_VIRTUAL_NMIS));
            or_field(m, VF_CPU_BASED_VM_EXEC_CONTROL, flag ? VMX_PROC_MONITOR_TRAP_FLAG : 0);
            vmcs_put(vmcs(m), VF_GUEST_ACTIVITY_STATE, ISA_SHUTDOWN);
            assert_int_equal(sim_run(m, &entry).kind, SIM_STOP_UNTIL);
            ev_subscribe(m, EV_BIT(EV_VMEXIT), see, &s);
            b.comes(m);
            assert_int_equal(go(m), SIM_STOP_HALT); // nothing wakes it yet
            assert_false(s.any);
            a.comes(m);
            go(m);
            assert_true(s.any);
            assert_int_equal(s.what, flag ? VMX_R_MONITOR_TRAP_FLAG : k[n].reason);
            assert_int_equal(vmcs_get(vmcs(m), VF_GUEST_ACTIVITY_STATE), ISA_ACTIVE);
            assert_true(vmcs_get(vmcs(m), VF_GUEST_INTERRUPTIBILITY_INFO) & ISA_BLOCK_NMI);
            sim_destroy(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_activity_states),
        cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_nmi_leaves_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
