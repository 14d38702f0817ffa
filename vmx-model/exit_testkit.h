// vmx-model/exit_testkit.h: what the tests of VM exits share: entering the guest of vmx-model/testvm.h and running its code on the flat
// test machine. Included by tests only.
#ifndef VMX_EXIT_TESTKIT_H
#define VMX_EXIT_TESTKIT_H

#include "vmx-model/testvm.h"

#include "isa/cr.h"
#include "isa/deliver.h"
#include "isa/flags.h"

static inline int enter(bool resume)
{
    static const uint8_t vmlaunch[] = {0x0f, 0x01, 0xc2}, vmresume[] = {0x0f, 0x01, 0xc3};
    isa_te_code(tv.t, TV_HOST, resume ? vmresume : vmlaunch, 3);
    int r = isa_te_run(tv.t, 1);
    for (unsigned n = 0; n < tv.v.report.n; n++)
        print_error("entry: %s\n", tv.v.report.failure[n].id);
    assert_int_equal(tv.v.report.n, 0);
    return r;
}

static inline void enter_guest(void)
{
    assert_int_equal(enter(false), ISA_R_STOP);
    assert_int_equal(tv.c->vmx, ISA_VMX_NONROOT);
    tv.t->deliver = isa_deliver_fault;
}

static inline void on(enum vmcs_field f, uint64_t bits) { tv_set(f, tv_get(f) | bits); }
static inline void off(enum vmcs_field f, uint64_t bits) { tv_set(f, tv_get(f) & ~bits); }
#define PROC  VF_CPU_BASED_VM_EXEC_CONTROL
#define PROC2 VF_SECONDARY_VM_EXEC_CONTROL
#define PIN   VF_PIN_BASED_VM_EXEC_CONTROL

static inline void start(void)
{
    tv_golden(TV_64);
    off(PROC, VMX_PROC_HLT_EXITING | VMX_PROC_USE_IO_BITMAPS);
    tv_set(VF_GUEST_CR4, ISA_CR4_PAE | ISA_CR4_VMXE | ISA_CR4_OSXSAVE);
}

// A VM exit at the boundary where the guest stands, without anything from outside.
static inline bool exits_here(void)
{
    return vmx_trap_exit(tv.c, &tv.v) || vmx_mtf_exit(tv.c, &tv.v) || vmx_nmi_window_exit(tv.c, &tv.v) ||
           vmx_int_window_exit(tv.c, &tv.v);
}

// One instruction of the guest.
static inline int guest(const char *code, unsigned n)
{
    isa_te_code(tv.t, TV_GUEST, code, n);
    tv.c->rip = TV_GUEST;
    return isa_te_run(tv.t, 1);
}

#endif
