// vmx-model/state.c: saving and loading guest and host state: loops over vmx-model/state_map.def, and the MSR areas.
#include <string.h>

#include "isa/cr.h"
#include "isa/flags.h"
#include "isa/msr.h"
#include "vmx-model/internal.h"

// CR0 bits that transitions load; CD, NW, ET and the reserved ones stay as they are.
#define CR0_LOADED                                                                                                                 \
    ((uint64_t)(ISA_CR0_PE | ISA_CR0_MP | ISA_CR0_EM | ISA_CR0_TS | ISA_CR0_NE | ISA_CR0_WP | ISA_CR0_AM | ISA_CR0_PG))

static uint64_t keep_cr0(uint64_t old, uint64_t val) { return (old & ~CR0_LOADED) | (val & CR0_LOADED); }
// Bits 12, 14 and 15 are cleared, bit 10 is set.
static uint64_t fix_dr7(uint64_t val) { return (val & ~0xd000ull) | ISA_DR7_INIT; }

// Without "load IA32_EFER", LMA follows the control, and LME too if paging is on (GUEST_CR0 was loaded before).
static uint64_t guest_efer(const struct isa_cpu *c, uint32_t e, uint64_t val)
{
    uint64_t bits = ISA_EFER_LMA;
    if (e & VMX_ENTRY_LOAD_EFER)
        return val;
    if (c->cr0 & ISA_CR0_PG)
        bits |= ISA_EFER_LME;
    return (c->efer & ~bits) | (e & VMX_ENTRY_IA32E_MODE_GUEST ? bits : 0);
}

static uint64_t host_efer(const struct isa_cpu *c, uint32_t x, uint64_t val)
{
    const uint64_t bits = ISA_EFER_LMA | ISA_EFER_LME;
    if (x & VMX_EXIT_LOAD_EFER)
        return val;
    return (c->efer & ~bits) | (x & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE ? bits : 0);
}

static uint64_t host_cr4(uint64_t val, uint32_t x)
{
    return x & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE ? val | ISA_CR4_PAE : val & ~(uint64_t)ISA_CR4_PCIDE;
}

// The saved RF flag (manual, "Saving RIP, RSP, RFLAGS, and SSP"): 0 for instructions that exit; what the stack would have shown for
// events; 1 for EPT faults outside of event delivery, so that the instruction's breakpoints do not hit twice.
static uint64_t saved_rflags(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    uint64_t fl = isa_rflags(c);
    unsigned type = VMX_INTR_TYPE(v->exit.intr_info), vector = VMX_INTR_VECTOR(v->exit.intr_info);
    const uint64_t mid = c->rep_mid ? ISA_FL_RF : 0; // between two iterations of a repeated string instruction
    switch (v->exit.reason) {
    case VMX_R_TRIPLE_FAULT: return fl | ISA_FL_RF;
    case VMX_R_APIC_ACCESS:
    case VMX_R_EPT_VIOLATION:
    case VMX_R_EPT_MISCONFIGURATION:
    case VMX_R_PML_FULL: return c->delivering_valid && c->delivering.type != ISA_EV_HWEXC ? fl : fl | ISA_FL_RF;
    case VMX_R_EXCEPTION_NMI:
        if (type == ISA_EV_HWEXC && (vector != ISA_X_DB || (v->exit.qual & ISA_DR6_BD)))
            return fl | ISA_FL_RF;
        return fl | mid;
    case VMX_R_EXTERNAL_INTERRUPT: return fl | mid;
    case VMX_R_INTERRUPT_WINDOW:
    case VMX_R_NMI_WINDOW:
    case VMX_R_PREEMPTION_TIMER:
    case VMX_R_TPR_BELOW_THRESHOLD:
    case VMX_R_VIRTUALIZED_EOI:
    case VMX_R_APIC_WRITE:
    case VMX_R_MONITOR_TRAP_FLAG: return fl;
    default: return fl & ~(uint64_t)ISA_FL_RF;
    }
}

// Debug traps that were still waiting are kept for exits at an instruction boundary; others happened before the traps arose.
static uint64_t saved_pending_dbg(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    const uint64_t hit = 0xf;
    if (!v->exit.trap_like || !c->pending_dbg)
        return 0;
    uint64_t bits = c->pending_dbg & (hit | ISA_DR6_BS);
    return bits & hit ? bits | 1u << 12 : bits; // bit 12: an enabled breakpoint was met
}

// Which events of VM entry make pending debug exceptions disappear (manual, "Delivery of Pending Debug Exceptions after VM Entry").
static uint64_t pending_dbg_after_entry(const struct vmx_cpu *v, uint64_t val)
{
    uint64_t info = vmx_get(v, VF_VM_ENTRY_INTR_INFO_FIELD), activity = vmx_get(v, VF_GUEST_ACTIVITY_STATE);
    bool mov_ss = vmx_get(v, VF_GUEST_INTERRUPTIBILITY_INFO) & ISA_BLOCK_MOVSS;
    if (!(info & VMX_INTR_VALID) || VMX_INTR_TYPE(info) == VMX_INTR_TYPE_OTHER)
        return activity == ISA_SHUTDOWN || activity == ISA_WAIT_SIPI ? 0 : val & (0xf | ISA_DR6_BS);
    unsigned type = VMX_INTR_TYPE(info);
    bool software = type == ISA_EV_SWINT || type == ISA_EV_SWEXC;
    return software && mov_ss ? val & (0xf | ISA_DR6_BS) : 0;
}

static bool saves_timer(const struct vmx_cpu *v, uint32_t x)
{
    return (x & VMX_EXIT_SAVE_PREEMPTION_TIMER) && (vmx_pin(v) & VMX_PIN_PREEMPTION_TIMER);
}

// Wherever a control for it may be 1.
static bool saves_bndcfgs(const struct vmx_cpu *v)
{
    const uint64_t controls =
        (v->caps->exit & (uint64_t)VMX_EXIT_CLEAR_BNDCFGS << 32) | (v->caps->entry & (uint64_t)VMX_ENTRY_LOAD_BNDCFGS << 32);
    return controls != 0;
}

static inline bool saves_pdptes(const struct isa_cpu *c, const struct vmx_cpu *v)
{
    return isa_pae_paging(c) && (vmx_proc2(v) & VMX_PROC2_ENABLE_EPT);
}

// A value that the guest changed is not the VMM's any more: no VMWRITE is to blame for it.
static void save(struct vmx_cpu *v, enum vmcs_field f, uint64_t val)
{
    uint64_t old = vmx_get(v, f);
    vmcs_put(&v->vmcs, f, val);
    if (vmx_get(v, f) != old)
        v->vmcs.writer[f].cycle = v->vmcs.writer[f].rip = 0;
}

static void save_seg(struct vmx_cpu *v, const struct isa_seg *s, enum vmcs_field sel)
{
    unsigned n = (unsigned)sel - VF_GUEST_ES_SELECTOR; // the field table keeps the order of enum isa_sreg
    save(v, sel, s->sel);
    save(v, VF_GUEST_ES_LIMIT + n, s->limit);
    save(v, VF_GUEST_ES_AR_BYTES + n, s->ar);
    save(v, VF_GUEST_ES_BASE + n, s->base);
}

static void load_seg(const struct vmx_cpu *v, struct isa_seg *s, enum vmcs_field sel)
{
    unsigned n = (unsigned)sel - VF_GUEST_ES_SELECTOR;
    s->sel = (uint16_t)vmx_get(v, sel);
    s->limit = (uint32_t)vmx_get(v, VF_GUEST_ES_LIMIT + n);
    s->ar = (uint32_t)vmx_get(v, VF_GUEST_ES_AR_BYTES + n) & 0x1f0ffu;
    s->base = vmx_get(v, VF_GUEST_ES_BASE + n);
}

void vmx_save_guest(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint32_t x = (uint32_t)vmx_get(v, VF_VM_EXIT_CONTROLS);
#define G(field, save_if, get, load_if, put)                                                                                       \
    if (save_if)                                                                                                                   \
        save(v, VF_##field, get);
#define SEG(name, s) save_seg(v, &c->seg[s], VF_GUEST_##name##_SELECTOR);
#define H(field, load_if, put)
#include "vmx-model/state_map.def"
#undef G
#undef SEG
#undef H
    // The processor keeps the control "IA-32e mode guest" up to date (IA32_VMX_MISC bit 5).
    uint32_t e = (uint32_t)vmx_get(v, VF_VM_ENTRY_CONTROLS) & ~(uint32_t)VMX_ENTRY_IA32E_MODE_GUEST;
    if (v->caps->misc >> 5 & 1)
        vmcs_put(&v->vmcs, VF_VM_ENTRY_CONTROLS, e | (isa_long(c) ? VMX_ENTRY_IA32E_MODE_GUEST : 0));
}

void vmx_load_guest(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint32_t e = (uint32_t)vmx_get(v, VF_VM_ENTRY_CONTROLS);
    uint64_t val;
#define G(field, save_if, get, load_if, put)                                                                                       \
    if (load_if) {                                                                                                                 \
        val = vmx_get(v, VF_##field);                                                                                              \
        put;                                                                                                                       \
    }
#define SEG(name, s) load_seg(v, &c->seg[s], VF_GUEST_##name##_SELECTOR);
#define H(field, load_if, put)
#include "vmx-model/state_map.def"
#undef G
#undef SEG
#undef H
}

// The hidden parts that a VM exit gives to the segment registers (manual, "Loading Host Segment and Descriptor-Table Registers").
static void host_segments(struct isa_cpu *c, bool host64)
{
    const uint32_t data = 0x93, flat = data | ISA_AR_G | ISA_AR_DB;
    for (unsigned s = ISA_ES; s <= ISA_GS; s++) {
        struct isa_seg *g = &c->seg[s];
        if (s != ISA_FS && s != ISA_GS)
            g->base = 0;
        g->limit = 0xffffffff;
        g->ar = flat | (g->sel || s == ISA_CS ? 0 : ISA_AR_UNUSABLE);
    }
    c->seg[ISA_CS].ar = 0x9b | ISA_AR_G | (host64 ? ISA_AR_L : ISA_AR_DB);
    c->seg[ISA_LDTR] = (struct isa_seg){.ar = ISA_AR_UNUSABLE};
    c->seg[ISA_TR].limit = 0x67;
    c->seg[ISA_TR].ar = 0x8b;
    c->gdtr.limit = c->idtr.limit = 0xffff;
}

void vmx_load_host(struct isa_cpu *c, struct vmx_cpu *v)
{
    uint32_t x = (uint32_t)vmx_get(v, VF_VM_EXIT_CONTROLS);
    uint64_t val;
#define G(field, save_if, get, load_if, put)
#define SEG(name, s)
#define H(field, load_if, put)                                                                                                     \
    if (load_if) {                                                                                                                 \
        val = vmx_get(v, VF_##field);                                                                                              \
        put;                                                                                                                       \
    }
#include "vmx-model/state_map.def"
#undef G
#undef SEG
#undef H
    host_segments(c, x & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE);
    c->dr[7] = ISA_DR7_INIT;
    c->debugctl = 0;
    if (x & VMX_EXIT_CLEAR_BNDCFGS)
        c->bndcfgs = 0;
    isa_set_rflags(c, ISA_FL_1);
    c->activity = ISA_ACTIVE;
    c->pending_dbg = 0;
}

bool vmx_load_pdptes(struct isa_cpu *c)
{
    uint64_t e[4] = {0};
    if (!isa_pae_paging(c))
        return true;
    // PDPTE bits that must be 0 in a present entry: 2..1, 8..5 and what lies beyond the physical-address width.
    uint64_t reserved = 0x1e6 | ~((1ull << isa_maxphyaddr(c)) - 1);
    for (unsigned n = 0; n < 4; n++) {
        vmx_phys_read(c, (c->cr3 & 0xffffffe0) + 8 * n, &e[n], 8);
        if ((e[n] & 1) && (e[n] & reserved))
            return false;
    }
    memcpy(c->pdpte, e, sizeof e);
    return true;
}

// --- MSR areas: lists of { index 31..0, reserved 63..32, data 127..64 }

static bool read_entry(struct isa_cpu *c, uint64_t at, uint64_t *index, uint64_t *data)
{
    vmx_phys_read(c, at, index, 8);
    vmx_phys_read(c, at + 8, data, 8);
    return !(*index >> 32);
}

static bool x2apic_msr(uint64_t index) { return index >> 8 == 8; }

unsigned vmx_msr_load(struct isa_cpu *c, struct vmx_cpu *v, uint64_t at, uint64_t count)
{
    unsigned max = vmx_msr_list_max(v->caps);
    for (unsigned n = 0; n < count; n++) {
        uint64_t index = 0, data = 0;
        enum isa_rule rule;
        if (n == max || !read_entry(c, at + 16ull * n, &index, &data))
            return n + 1;
        // FS and GS bases have fields of their own; microcode updates and SMM controls cannot be loaded this way
        bool never = index == ISA_MSR_FS_BASE || index == ISA_MSR_GS_BASE || index == 0x79 || index == 0x9b || x2apic_msr(index);
        if (never || !isa_wrmsr(c, (uint32_t)index, data, &rule))
            return n + 1;
    }
    return 0;
}

unsigned vmx_msr_store(struct isa_cpu *c, struct vmx_cpu *v, uint64_t at, uint64_t count)
{
    unsigned max = vmx_msr_list_max(v->caps);
    for (unsigned n = 0; n < count; n++) {
        uint64_t index = 0, data = 0;
        enum isa_rule rule;
        if (n == max || !read_entry(c, at + 16ull * n, &index, &data))
            return n + 1;
        if (index == 0x9e || x2apic_msr(index) || !isa_rdmsr(c, (uint32_t)index, &data, &rule))
            return n + 1;
        vmx_phys_write(c, at + 16ull * n + 8, &data, 8);
    }
    return 0;
}

// EPT must not translate the addresses of VMX structures, so the machine is asked as if in root operation.
int vmx_phys_read(struct isa_cpu *c, uint64_t pa, void *buf, unsigned n)
{
    uint8_t vmx = c->vmx;
    c->vmx = ISA_VMX_ROOT;
    int r = c->env->read_phys(c, (struct gpa){pa}, buf, n);
    c->vmx = vmx;
    return r;
}

int vmx_phys_write(struct isa_cpu *c, uint64_t pa, const void *buf, unsigned n)
{
    uint8_t vmx = c->vmx;
    c->vmx = ISA_VMX_ROOT;
    int r = c->env->write_phys(c, (struct gpa){pa}, buf, n);
    c->vmx = vmx;
    return r;
}
