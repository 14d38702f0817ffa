// vmx-model/testvm.h: a processor in VMX operation for the tests of this folder, on the flat machine of isa/testenv.h, and valid VMCSs
// to start from. Included by tests only.
//
// Linear = physical. 1000H VMXON region  2000H VMCS  3000H second VMCS  4000H data  5000H tables  6000H, 7000H I/O bitmaps
// 8000H MSR bitmaps  9000H MSR area  A000H IDT  B000H stack (down)  10000H host code  20000H guest code
#ifndef VMX_TESTVM_H
#define VMX_TESTVM_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef TV_NO_CMOCKA // the fuzz target uses this machine too
#include <cmocka.h>
#endif

#include "isa/testenv.h"
#include "vmx-model/internal.h"

#define TV_VMXON    0x1000u
#define TV_VMCS     0x2000u
#define TV_VMCS2    0x3000u
#define TV_DATA     0x4000u
#define TV_TABLE    0x5000u
#define TV_IO_A     0x6000u
#define TV_IO_B     0x7000u
#define TV_MSRS     0x8000u
#define TV_AREA     0x9000u
#define TV_IDT      0xa000u
#define TV_STACK    0xc000u
#define TV_HOST     0x10000u
#define TV_GUEST    0x20000u
#define TV_WIDTH    39
#define LME_LMA_NXE (ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_NXE)

struct tv {
    struct isa_testenv *t;
    struct isa_cpu *c;
    struct vmx_cpu v;
    struct vmx_done done;
    struct vmx_caps caps;
};
// Env functions are handed the processor alone; one machine per test program.
static struct tv tv;

static inline int tv_vmx(struct isa_cpu *c, const struct isa_insn *i)
{
    int r = vmx_insn(c, &tv.v, i, &tv.done);
    if (r == ISA_R_STOP && tv.v.report.outcome == VMX_ENTRY_OK && vmx_inject(c, &tv.v) == ISA_R_VMEXIT)
        vmx_take_exit(c, &tv.v);
    return r;
}
static inline int tv_intercept(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val)
{
    return vmx_intercept(c, &tv.v, i, point, arg, val);
}
static inline int tv_intercept_event(struct isa_cpu *c, const struct isa_event *e) { return vmx_intercept_event(c, &tv.v, e); }
static inline int tv_intercept_triple(struct isa_cpu *c) { return vmx_intercept_triple(c, &tv.v); }
static inline bool tv_rdmsr(struct isa_cpu *c, uint32_t msr, uint64_t *val) { return vmx_caps_rdmsr(tv.v.caps, msr, val); }
static inline void tv_cpuid(struct isa_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    memset(out, 0xff, 16);
    if (leaf == 0x80000008)
        out[0] = TV_WIDTH | 48 << 8;
}

static inline void tv_w32(uint64_t at, uint32_t val) { memcpy(isa_te_at(tv.t, at), &val, 4); }
static inline void tv_w64(uint64_t at, uint64_t val) { memcpy(isa_te_at(tv.t, at), &val, 8); }
static inline uint64_t tv_r64(uint64_t at)
{
    uint64_t val;
    memcpy(&val, isa_te_at(tv.t, at), 8);
    return val;
}

// A host in 64-bit mode, not yet in VMX operation, with every condition of VMXON met.
static inline void tv_open(void)
{
    memset(&tv, 0, sizeof tv);
    tv.t = isa_te_create(0, 0x40000);
    assert(tv.t);
    tv.c = &tv.t->cpu;
    tv.caps = vmx_caps_teach;
    tv.t->env.vmx = tv_vmx;
    tv.t->env.intercept = tv_intercept;
    tv.t->env.intercept_event = tv_intercept_event;
    tv.t->env.intercept_triple = tv_intercept_triple;
    tv.t->env.rdmsr = tv_rdmsr;
    tv.t->env.cpuid = tv_cpuid;
    vmx_init(&tv.v, &tv.caps, TV_WIDTH);
    isa_te_mode(tv.t, ISA_LONG64, 0);
    tv.c->cr0 |= ISA_CR0_NE;
    tv.c->cr4 = ISA_CR4_PAE | ISA_CR4_VMXE;
    tv.c->cr3 = TV_TABLE;
    tv.c->feature_control = 5;
    tv.c->pmu.has = (struct isa_pmu_shape){
        .version = 3, .general = 4, .general_width = 48, .fixed = 3, .fixed_width = 48, .capabilities = true};
    tv.c->gpr[ISA_RSP] = TV_STACK;
    isa_update_mode(tv.c);
    tv_w32(TV_VMXON, vmx_revision(&tv.caps));
    tv_w32(TV_VMCS, vmx_revision(&tv.caps));
    tv_w32(TV_VMCS2, vmx_revision(&tv.caps));
    tv.c->rip = TV_HOST;
}
static inline void tv_close(void) { isa_te_destroy(tv.t); }

// A processor that has memory-protection extensions.
static inline void tv_with_mpx(void)
{
    tv.caps.exit |= (uint64_t)VMX_EXIT_CLEAR_BNDCFGS << 32;
    tv.caps.entry |= (uint64_t)VMX_ENTRY_LOAD_BNDCFGS << 32;
    tv.caps.true_exit |= (uint64_t)VMX_EXIT_CLEAR_BNDCFGS << 32;
    tv.caps.true_entry |= (uint64_t)VMX_ENTRY_LOAD_BNDCFGS << 32;
}

// As after VMXON, VMCLEAR and VMPTRLD of the first VMCS.
static inline void tv_root(void)
{
    tv_open();
    tv.c->vmx = ISA_VMX_ROOT;
    tv.v.on = true;
    tv.v.vmxon_ptr = TV_VMXON;
    tv.v.vmcs_ptr = TV_VMCS;
    memset(&tv.v.vmcs, 0, sizeof tv.v.vmcs);
    tv.v.vmcs.revision = vmx_revision(&tv.caps);
    isa_update_mode(tv.c);
}

static inline void tv_set(enum vmcs_field f, uint64_t val) { vmcs_put(&tv.v.vmcs, f, val); }
static inline uint64_t tv_get(enum vmcs_field f) { return vmcs_get(&tv.v.vmcs, f); }

enum tv_golden { TV_64, TV_PAE, TV_REAL, TV_V86, TV_HOST32, TV_NGOLDEN };

static inline void tv_controls(void)
{
    tv_set(VF_PIN_BASED_VM_EXEC_CONTROL, 0x16 | VMX_PIN_EXT_INT_EXITING | VMX_PIN_NMI_EXITING | VMX_PIN_VIRTUAL_NMIS);
    tv_set(VF_CPU_BASED_VM_EXEC_CONTROL,
           0x04006172 | VMX_PROC_HLT_EXITING | VMX_PROC_USE_IO_BITMAPS | VMX_PROC_USE_MSR_BITMAPS | VMX_PROC_ACTIVATE_SECONDARY);
    tv_set(VF_SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT | VMX_PROC2_ENABLE_VPID | VMX_PROC2_ENABLE_RDTSCP);
    tv_set(VF_VM_EXIT_CONTROLS, 0x36dfb | VMX_EXIT_SAVE_DEBUG_CONTROLS | VMX_EXIT_HOST_ADDRESS_SPACE_SIZE | VMX_EXIT_SAVE_PAT |
                                    VMX_EXIT_LOAD_PAT | VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER);
    tv_set(VF_VM_ENTRY_CONTROLS,
           0x11fb | VMX_ENTRY_LOAD_DEBUG_CONTROLS | VMX_ENTRY_IA32E_MODE_GUEST | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER);
    tv_set(VF_IO_BITMAP_A, TV_IO_A);
    tv_set(VF_IO_BITMAP_B, TV_IO_B);
    tv_set(VF_MSR_BITMAP, TV_MSRS);
    tv_set(VF_EPT_POINTER, TV_TABLE | 0x1e);
    tv_set(VF_VIRTUAL_PROCESSOR_ID, 1);
    tv_set(VF_VMCS_LINK_POINTER, VMX_NO_PTR);
}

static inline void tv_host64(void)
{
    tv_set(VF_HOST_CR0, tv.c->cr0);
    tv_set(VF_HOST_CR3, tv.c->cr3);
    tv_set(VF_HOST_CR4, tv.c->cr4);
    tv_set(VF_HOST_CS_SELECTOR, 8);
    for (unsigned f = VF_HOST_SS_SELECTOR; f <= VF_HOST_GS_SELECTOR; f++)
        tv_set((enum vmcs_field)f, 16);
    tv_set(VF_HOST_ES_SELECTOR, 16);
    tv_set(VF_HOST_TR_SELECTOR, 24);
    tv_set(VF_HOST_IA32_EFER, LME_LMA_NXE);
    tv_set(VF_HOST_IA32_PAT, 0x0007040600070406ull);
    tv_set(VF_HOST_RIP, TV_HOST + 0x800);
    tv_set(VF_HOST_RSP, TV_STACK);
    tv_set(VF_HOST_IDTR_BASE, TV_IDT);
}

static inline void tv_segments(uint32_t cs, uint32_t data, uint32_t limit)
{
    for (unsigned s = ISA_ES; s <= ISA_GS; s++) {
        tv_set(VF_GUEST_ES_SELECTOR + s, s == ISA_CS ? 8 : 16);
        tv_set(VF_GUEST_ES_BASE + s, 0);
        tv_set(VF_GUEST_ES_LIMIT + s, limit);
        tv_set(VF_GUEST_ES_AR_BYTES + s, s == ISA_CS ? cs : data);
    }
}

static inline void tv_guest64(void)
{
    tv_segments(0xa09b, 0xc093, 0xffffffff);
    tv_set(VF_GUEST_LDTR_SELECTOR, 32);
    tv_set(VF_GUEST_LDTR_LIMIT, 0xffff);
    tv_set(VF_GUEST_LDTR_AR_BYTES, 0x82);
    tv_set(VF_GUEST_TR_SELECTOR, 24);
    tv_set(VF_GUEST_TR_LIMIT, 0x67);
    tv_set(VF_GUEST_TR_AR_BYTES, 0x8b);
    tv_set(VF_GUEST_GDTR_LIMIT, 0xffff);
    tv_set(VF_GUEST_IDTR_LIMIT, 0xffff);
    tv_set(VF_GUEST_IDTR_BASE, TV_IDT);
    tv_set(VF_GUEST_CR0, ISA_CR0_PE | ISA_CR0_ET | ISA_CR0_NE | ISA_CR0_PG);
    tv_set(VF_GUEST_CR3, TV_TABLE);
    tv_set(VF_GUEST_CR4, ISA_CR4_PAE | ISA_CR4_VMXE);
    tv_set(VF_GUEST_IA32_EFER, LME_LMA_NXE);
    tv_set(VF_GUEST_IA32_PAT, 0x0007040600070406ull);
    tv_set(VF_GUEST_DR7, 0x400);
    tv_set(VF_GUEST_RFLAGS, 2);
    tv_set(VF_GUEST_RIP, TV_GUEST);
    tv_set(VF_GUEST_RSP, TV_STACK - 0x1000);
}

static inline void tv_outside_ia32e(void)
{
    tv_set(VF_VM_ENTRY_CONTROLS, tv_get(VF_VM_ENTRY_CONTROLS) & ~(uint64_t)VMX_ENTRY_IA32E_MODE_GUEST);
    tv_set(VF_GUEST_IA32_EFER, 0);
    tv_set(VF_GUEST_CR4, ISA_CR4_VMXE);
    tv_segments(0xc09b, 0xc093, 0xffffffff);
}

static inline void tv_real_or_v86(uint32_t cs, uint32_t data)
{
    tv_outside_ia32e();
    tv_segments(cs, data, 0xffff);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        tv_set(VF_GUEST_ES_BASE + s, tv_get(VF_GUEST_ES_SELECTOR + s) << 4);
    tv_set(VF_GUEST_RIP, TV_GUEST & 0xffff);
}

// A VMCS that passes every check; the processor stands where VMLAUNCH would be.
static inline void tv_golden(enum tv_golden g)
{
    tv_root();
    tv_controls();
    tv_host64();
    tv_guest64();
    switch (g) {
    case TV_64: break;
    case TV_PAE:
        tv_outside_ia32e();
        tv_set(VF_GUEST_CR4, ISA_CR4_VMXE | ISA_CR4_PAE);
        for (unsigned n = 0; n < 4; n++)
            tv_set(VF_GUEST_PDPTR0 + n, TV_TABLE + 0x1000 * (n + 1) + 1);
        break;
    case TV_REAL:
        tv_real_or_v86(0x9b, 0x93);
        tv_set(VF_SECONDARY_VM_EXEC_CONTROL, tv_get(VF_SECONDARY_VM_EXEC_CONTROL) | VMX_PROC2_UNRESTRICTED_GUEST);
        tv_set(VF_GUEST_CR0, ISA_CR0_ET | ISA_CR0_NE);
        break;
    case TV_V86:
        tv_real_or_v86(0xf3, 0xf3);
        tv_set(VF_GUEST_RFLAGS, 2 | ISA_FL_VM);
        break;
    default: // TV_HOST32: the host runs without IA-32e mode, and so does the guest
        tv_outside_ia32e();
        isa_te_mode(tv.t, ISA_PROT32, 0);
        tv.c->cr0 |= ISA_CR0_NE | ISA_CR0_PG;
        tv.c->cr4 = ISA_CR4_VMXE;
        tv.c->vmx = ISA_VMX_ROOT;
        tv_set(VF_HOST_CR4, ISA_CR4_VMXE);
        tv_set(VF_HOST_IA32_EFER, 0);
        tv_set(VF_VM_EXIT_CONTROLS, tv_get(VF_VM_EXIT_CONTROLS) & ~(uint64_t)VMX_EXIT_HOST_ADDRESS_SPACE_SIZE);
        break;
    }
}

#endif
