// vmx-model/checks.c: the checks of VM entry: helpers of the rows of vmx-model/entry_checks.def, and the loop over them.
#include "vmx-model/checks.h"

#include <string.h>

#include "isa/cr.h"
#include "isa/mpx.h"
#include "vmx-model/internal.h"

#define WHOLE             UINT64_MAX // the value as a whole is wrong, not single bits of it
#define EFER_RESERVED     (~(uint64_t)(ISA_EFER_SCE | ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_NXE))
#define CD_NW             ((uint64_t)(ISA_CR0_CD | ISA_CR0_NW)) // VM entry neither checks nor loads them
#define DEBUGCTL_RESERVED (~isa_pmu_debugctl_bits(w->c))        // branch records and single-stepping on branches are not modelled
#define ISA_BS            (1u << 14)
#define NEED_TPR_SHADOW                                                                                                            \
    (VMX_PROC2_VIRTUALIZE_X2APIC | VMX_PROC2_APIC_REGISTER_VIRTUALIZATION | VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY)
#define BTF                (1u << 1)

#define V                  (w->val)
#define N                  (w->n)
#define F(field)           (w->f[VF_##field])
#define SEL(n)             (w->f[VF_GUEST_ES_SELECTOR + (n)])
#define LIM(n)             (w->f[VF_GUEST_ES_LIMIT + (n)])
#define AR(n)              (w->f[VF_GUEST_ES_AR_BYTES + (n)])
#define usable(w, n)       (!(AR(n) & ISA_AR_UNUSABLE))

// --- capabilities. The low half of the MSR has the bits that must be 1, the high half those that may be. The TRUE MSRs rule where they
// exist; there is no such MSR for the secondary controls.
#define must_be_1(w, word) ((uint32_t)(vmx_has_true((w)->k) ? (w)->k->true_##word : (w)->k->word))
#define may_be_1(w, word)  ((w)->k->word >> 32)

// --- addresses

static uint64_t beyond(const struct vmx_view *w) { return V >> w->v->maxphyaddr << w->v->maxphyaddr; }
static uint64_t page_bad(const struct vmx_view *w) { return (V & 0xfff) | beyond(w); }
static bool page_bad_at(const struct vmx_view *w, uint64_t pa) { return (pa & 0xfff) || vmx_beyond_width(w->v, pa); }
static uint64_t page_good(const struct vmx_view *w) { return V & ~page_bad(w); }
static uint64_t area_bad_align(const struct vmx_view *w) { return V & 15; }
static uint64_t area_bad_end(const struct vmx_view *w, uint64_t count)
{
    uint64_t last = (V & ~15ull) + 16 * count - 1;
    return beyond(w) ? beyond(w) : last >> w->v->maxphyaddr ? WHOLE : 0;
}

static uint64_t canonical(const struct vmx_view *w)
{
    unsigned unused = w->k->cr4_fixed1 & ISA_CR4_LA57 ? 7 : 16;
    return (uint64_t)((int64_t)(V << unused) >> unused);
}
static uint64_t noncanonical(const struct vmx_view *w) { return V ^ canonical(w); }
// The bits above a linear address, if they are not all equal. Which they equal is not asked: it need not be canonical.
static uint64_t beyond_linear(const struct vmx_view *w)
{
    const unsigned bits = w->k->cr4_fixed1 & ISA_CR4_LA57 ? 57 : 48;
    const int64_t above = (int64_t)V >> bits;
    return above == 0 || above == -1 ? 0 : V & ~0ull << bits;
}

// --- the virtual-APIC page

// The threshold that the virtual TPR is below, or 0.
static uint64_t threshold_above_vtpr(const struct vmx_view *w) { return (V & 15) > vmx_virtual_priority(w->c, w->v) ? V & 15 : 0; }

// --- event injection

static bool software_event(const struct vmx_view *w)
{
    unsigned t = VMX_INTR_TYPE(w->info);
    return t == ISA_EV_SWINT || t == ISA_EV_PRIVSW || t == ISA_EV_SWEXC;
}

static bool type_reserved(const struct vmx_view *w)
{
    unsigned t = VMX_INTR_TYPE(w->info);
    return t == 1 || (t == VMX_INTR_TYPE_OTHER && !(may_be_1(w, proc) & VMX_PROC_MONITOR_TRAP_FLAG));
}

static bool vector_bad(const struct vmx_view *w)
{
    unsigned t = VMX_INTR_TYPE(w->info), n = VMX_INTR_VECTOR(w->info);
    return (t == ISA_EV_NMI && n != ISA_X_NMI) || (t == ISA_EV_HWEXC && n > 31) || (t == VMX_INTR_TYPE_OTHER && n);
}

static uint64_t vector_good(const struct vmx_view *w)
{
    unsigned t = VMX_INTR_TYPE(w->info);
    return (V & ~0xffull) | (t == ISA_EV_NMI ? ISA_X_NMI : t == ISA_EV_HWEXC ? ISA_X_GP : 0);
}

static bool error_code_due(const struct vmx_view *w)
{
    unsigned n = VMX_INTR_VECTOR(w->info);
    bool protected_mode = !w->ug || (w->cr0 & ISA_CR0_PE);
    bool has = n == ISA_X_DF || (n >= ISA_X_TS && n <= ISA_X_PF) || n == ISA_X_AC;
    return protected_mode && VMX_INTR_TYPE(w->info) == ISA_EV_HWEXC && has;
}

static bool event_not_for_activity(const struct vmx_view *w)
{
    unsigned t = VMX_INTR_TYPE(w->info), n = VMX_INTR_VECTOR(w->info);
    bool mc = t == ISA_EV_HWEXC && n == ISA_X_MC, db = t == ISA_EV_HWEXC && n == ISA_X_DB;
    switch (V) {
    case ISA_HLT: return !(t == ISA_EV_EXTINT || t == ISA_EV_NMI || mc || db || t == VMX_INTR_TYPE_OTHER);
    case ISA_SHUTDOWN: return !(t == ISA_EV_NMI || mc);
    case ISA_WAIT_SIPI: return true;
    default: return false;
    }
}

// --- registers

static uint64_t guest_cr0_fixed(const struct vmx_view *w)
{
    return w->k->cr0_fixed0 & ~(w->ug ? (uint64_t)(ISA_CR0_PE | ISA_CR0_PG) : 0);
}

static uint64_t pat_byte_bad(uint64_t pat, unsigned n)
{
    uint64_t t = pat >> 8 * n & 0xff;
    return t == 2 || t == 3 || t > 7 ? 0xffull << 8 * n : 0;
}
static uint64_t pat_bad(const struct vmx_view *w)
{
    uint64_t bad = 0;
    for (unsigned n = 0; n < 8; n++)
        bad |= pat_byte_bad(V, n);
    return bad;
}
static uint64_t pat_good(const struct vmx_view *w)
{
    uint64_t bad = pat_bad(w);
    return (V & ~bad) | (0x0606060606060606ull & bad);
}

#define LMA_LME ((uint64_t)(ISA_EFER_LMA | ISA_EFER_LME))
static uint64_t efer_fix(uint64_t efer, bool ia32e) { return ia32e ? efer | LMA_LME : efer & ~LMA_LME; }
static uint64_t efer_mismatch(uint64_t efer, bool ia32e) { return (efer ^ efer_fix(efer, ia32e)) & LMA_LME; }

// --- segments

static bool data_register(unsigned n) { return n != ISA_CS && n != ISA_SS; }

static bool cs_type_bad(const struct vmx_view *w)
{
    unsigned t = V & 15;
    return !((t >= 9 && (t & 1)) || (t == 3 && w->ug));
}

static bool cs_dpl_bad(const struct vmx_view *w)
{
    unsigned dpl = V >> ISA_AR_DPL_SHIFT & 3, ss = AR(ISA_SS) >> ISA_AR_DPL_SHIFT & 3;
    switch (V & 15) {
    case 3: return dpl != 0;
    case 9:
    case 11: return dpl != ss;
    case 13:
    case 15: return dpl > ss;
    default: return false;
    }
}

static bool tr_type_bad(const struct vmx_view *w)
{
    unsigned t = V & 15;
    return t != 11 && !(t == 3 && !w->ia32e);
}

// --- non-register state

static bool activity_unknown(const struct vmx_view *w)
{
    return V > ISA_WAIT_SIPI || (V != ISA_ACTIVE && !(w->k->misc >> (5 + V) & 1));
}

// States in which a single-step trap that is due must be pending.
static bool waits_for_boundary(const struct vmx_view *w)
{
    return (F(GUEST_INTERRUPTIBILITY_INFO) & (ISA_BLOCK_STI | ISA_BLOCK_MOVSS)) || F(GUEST_ACTIVITY_STATE) == ISA_HLT;
}
static bool single_step(const struct vmx_view *w) { return (w->rflags & ISA_FL_TF) && !(F(GUEST_IA32_DEBUGCTL) & BTF); }

static bool link_revision_bad(const struct vmx_view *w)
{
    uint32_t revision = 0;
    vmx_phys_read(w->c, V, &revision, 4);
    bool shadowing = w->proc2 & VMX_PROC2_VMCS_SHADOWING;
    return (revision & 0x7fffffff) != vmx_revision(w->k) || revision >> 31 != shadowing;
}

// --- PDPTEs

static bool pae_guest(const struct vmx_view *w) { return (w->cr0 & ISA_CR0_PG) && (w->cr4 & ISA_CR4_PAE) && !w->ia32e; }

static uint64_t pdpte_reserved(const struct vmx_view *w, uint64_t e) { return e & (0x1e6 | ~((1ull << w->v->maxphyaddr) - 1)); }

static bool memory_pdptes_bad(const struct vmx_view *w)
{
    for (unsigned n = 0; n < 4; n++) {
        uint64_t e = 0;
        vmx_phys_read(w->c, (V & 0xffffffe0) + 8 * n, &e, 8);
        if ((e & 1) && pdpte_reserved(w, e))
            return true;
    }
    return false;
}

// --- the table: three functions and a row each

#define GOOD(x) return x
#define NO_GOOD return 0
#define K(group, number, field, instances, qual, applies, bad, good, sdm, title, rule, fix)                                        \
    static bool applies_##group##_##number(const struct vmx_view *w) { return applies; }                                           \
    static uint64_t bad_##group##_##number(const struct vmx_view *w) { return bad; }                                               \
    static uint64_t good_##group##_##number(const struct vmx_view *w) { good; }
#include "vmx-model/entry_checks.def"
#undef K
#undef GOOD
#undef NO_GOOD

#define GOOD(x) true
#define NO_GOOD false
const struct vmx_check vmx_check[] = {
#define K(group, number, field, instances, qual, applies, bad, good, sdm, title, rule, fix)                                        \
    {{"E-" #group "-" #number, title, rule, fix, #sdm, VF_##field},                                                                \
     VMX_CHECK_##group,                                                                                                            \
     qual,                                                                                                                         \
     instances,                                                                                                                    \
     applies_##group##_##number,                                                                                                   \
     bad_##group##_##number,                                                                                                       \
     good_##group##_##number,                                                                                                      \
     good},
#include "vmx-model/entry_checks.def"
#undef K
};
const unsigned vmx_ncheck = sizeof vmx_check / sizeof *vmx_check;
_Static_assert(sizeof vmx_check / sizeof *vmx_check <= VMX_MAX_CHECKS, "struct vmx_passed has room for all rows");

const struct vmx_check *vmx_check_of(const char *id)
{
    for (unsigned n = 0; n < vmx_ncheck; n++)
        if (!strcmp(vmx_check[n].info.id, id))
            return &vmx_check[n];
    return NULL;
}

void vmx_view_init(struct vmx_view *w, struct isa_cpu *c, const struct vmx_cpu *v)
{
    memset(w, 0, sizeof *w);
    w->f = v->vmcs.f;
    w->c = c;
    w->v = v;
    w->k = v->caps;
    w->pin = vmx_pin(v);
    w->proc = vmx_proc(v);
    w->proc2 = vmx_proc2(v);
    w->exit = (uint32_t)F(VM_EXIT_CONTROLS);
    w->entry = (uint32_t)F(VM_ENTRY_CONTROLS);
    w->info = (uint32_t)F(VM_ENTRY_INTR_INFO_FIELD);
    w->cr0 = F(GUEST_CR0);
    w->cr4 = F(GUEST_CR4);
    w->rflags = F(GUEST_RFLAGS);
    w->ug = w->proc2 & VMX_PROC2_UNRESTRICTED_GUEST;
    w->ept = w->proc2 & VMX_PROC2_ENABLE_EPT;
    w->ia32e = w->entry & VMX_ENTRY_IA32E_MODE_GUEST;
    w->v86 = w->rflags & ISA_FL_VM;
    w->host64 = w->exit & VMX_EXIT_HOST_ADDRESS_SPACE_SIZE;
}

// A suggestion is given only if it satisfies the rule: some depend on registers that may be wrong themselves.
static bool suggest(const struct vmx_check *k, const struct vmx_view *w, uint64_t *val)
{
    struct vmx_view with = *w;
    if (!k->has_good)
        return false;
    with.val = *val = k->good(w);
    return !k->applies(&with) || !k->bad(&with);
}

static void add_failure(struct vmx_entry_report *r, const struct vmx_check *k, const struct vmx_view *w, enum vmcs_field field,
                        uint64_t bits)
{
    if (r->n == VMX_MAX_FAILURES)
        return;
    const struct vmcs *m = &w->v->vmcs;
    struct vmx_failure *f = &r->failure[r->n++];
    *f = (struct vmx_failure){
        .row = k,
        .id = k->info.id,
        .title = k->info.title,
        .field = field,
        .value = w->val,
        .bits = bits == WHOLE ? 0 : bits,
        .rule = k->info.rule,
        .sdm = k->info.sdm,
        .writer_cycle = m->writer[field].cycle,
        .writer_rip = m->writer[field].rip,
    };
    f->has_suggestion = suggest(k, w, &f->suggestion);
}

bool vmx_run_row(struct vmx_view *w, const struct vmx_check *k, struct vmx_entry_report *r)
{
    bool applied = false;
    const unsigned instances = k->instances;
    for (unsigned n = 0; n < instances; n++) {
        enum vmcs_field field = (enum vmcs_field)(k->info.field + n);
        w->n = n;
        w->val = w->f[field];
        if (!k->applies(w))
            continue;
        applied = true;
        uint64_t bits = k->bad(w);
        if (bits)
            add_failure(r, k, w, field, bits);
    }
    r->checks += applied;
    return applied;
}

bool vmx_run_check(struct isa_cpu *c, const struct vmx_cpu *v, const struct vmx_check *k, struct vmx_entry_report *r)
{
    struct vmx_view w;
    vmx_view_init(&w, c, v);
    return vmx_run_row(&w, k, r);
}

void vmx_run_checks(struct isa_cpu *c, const struct vmx_cpu *v, bool *applied, struct vmx_entry_report *r)
{
    struct vmx_view w;
    vmx_view_init(&w, c, v);
    r->n = r->checks = 0;
    for (unsigned n = 0; n < vmx_ncheck; n++) {
        bool did = vmx_run_row(&w, &vmx_check[n], r);
        if (applied)
            applied[n] = did;
    }
}
