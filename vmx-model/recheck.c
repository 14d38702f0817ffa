// vmx-model/recheck.c: the checks of a VM entry that differs little from the last one that passed.
//
// EXACT      A row's result follows from the field (or fields) it is applied to, from what other_rows() and readers[] say of the fields
//            that rows of other fields read, from the mode of the host, and, for the rows of three fields, from memory and the
//            current-VMCS pointer: those always run. Rows of which nothing changed since they passed pass again. If one fails, all rows
//            run, so the report is that of vmx_run_checks(). vmx-model/recheck_test.c compares the two under random changes.
#include <string.h>

#include "isa/cr.h"
#include "vmx-model/checks.h"
#include "vmx-model/internal.h"

_Static_assert(VMCS_NFIELD < 256, "fields are listed as bytes");

// Fields whose rows read memory, or the current-VMCS pointer.
static const uint8_t reads_memory[] = {VF_GUEST_CR3, VF_VMCS_LINK_POINTER, VF_TPR_THRESHOLD};

// Rows of these fields read the field before them as well. Their ends are 0: that field has no such rows.
static const struct {
    uint8_t field, also[6];
} readers[] = {
    {VF_GUEST_RFLAGS, {VF_GUEST_INTERRUPTIBILITY_INFO, VF_GUEST_PENDING_DBG_EXCEPTIONS}},
    {VF_GUEST_INTERRUPTIBILITY_INFO, {VF_GUEST_ACTIVITY_STATE, VF_GUEST_PENDING_DBG_EXCEPTIONS}},
    {VF_GUEST_ACTIVITY_STATE, {VF_GUEST_PENDING_DBG_EXCEPTIONS}},
    {VF_VM_ENTRY_INTR_INFO_FIELD,
     {VF_VM_ENTRY_EXCEPTION_ERROR_CODE, VF_VM_ENTRY_INSTRUCTION_LEN, VF_GUEST_RFLAGS, VF_GUEST_ACTIVITY_STATE,
      VF_GUEST_INTERRUPTIBILITY_INFO}},
};

// The bits of a field that rows of too many other fields read: if one of them changes, all rows run.
static uint64_t other_rows(unsigned f)
{
    bool segment = (f >= VF_GUEST_ES_SELECTOR && f <= VF_GUEST_TR_SELECTOR) || (f >= VF_GUEST_ES_LIMIT && f <= VF_GUEST_TR_LIMIT) ||
                   (f >= VF_GUEST_ES_AR_BYTES && f <= VF_GUEST_TR_AR_BYTES);
    if (segment)
        return UINT64_MAX;
    switch (f) {
    case VF_PIN_BASED_VM_EXEC_CONTROL:
    case VF_CPU_BASED_VM_EXEC_CONTROL:
    case VF_SECONDARY_VM_EXEC_CONTROL:
    case VF_VM_EXIT_CONTROLS:
    case VF_VM_ENTRY_CONTROLS:
    case VF_VM_EXIT_MSR_STORE_COUNT:
    case VF_VM_EXIT_MSR_LOAD_COUNT:
    case VF_VM_ENTRY_MSR_LOAD_COUNT:
    case VF_GUEST_CR0:
    case VF_GUEST_CR4:
    case VF_GUEST_IA32_DEBUGCTL: return UINT64_MAX;
    case VF_GUEST_RFLAGS: return ISA_FL_VM;
    default: return 0;
    }
}

// The bits of a field that no row reads.
static uint64_t no_rows(unsigned f)
{
    return f == VF_GUEST_RFLAGS ? ISA_FL_CF | ISA_FL_PF | ISA_FL_AF | ISA_FL_ZF | ISA_FL_SF | ISA_FL_DF | ISA_FL_OF : 0;
}

// --- the rows of each field, as lists

static void index_rows(struct vmx_passed *p)
{
    unsigned node = 0;
    for (unsigned n = 0; n < vmx_ncheck; n++)
        for (unsigned k = 0; k < vmx_check[n].instances; k++) {
            unsigned f = vmx_check[n].info.field + k;
            p->row[++node] = (uint8_t)n;
            p->next[node] = p->first[f];
            p->first[f] = (uint8_t)node;
        }
    p->indexed = true;
}

static void recheck_field(struct vmx_view *w, struct vmx_passed *p, unsigned f, struct vmx_entry_report *r)
{
    for (unsigned node = p->first[f]; node; node = p->next[node]) {
        bool *applied = &p->applied[p->row[node]];
        r->checks -= *applied;
        *applied = vmx_run_row(w, &vmx_check[p->row[node]], r);
    }
}

static void recheck_changed(struct vmx_view *w, struct vmx_passed *p, unsigned f, struct vmx_entry_report *r)
{
    recheck_field(w, p, f, r);
    for (unsigned k = 0; k < sizeof readers / sizeof *readers; k++)
        for (unsigned n = 0; readers[k].field == f && readers[k].also[n]; n++)
            recheck_field(w, p, readers[k].also[n], r);
}

// Most fields are as they were: compare some at a time.
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));
enum { BATCH = 16 };
static inline bool same_batch(const uint64_t *f, const uint64_t *g)
{
    const pair *a = (const pair *)f, *b = (const pair *)g;
    const pair d = ((a[0] ^ b[0]) | (a[1] ^ b[1])) | ((a[2] ^ b[2]) | (a[3] ^ b[3])) | ((a[4] ^ b[4]) | (a[5] ^ b[5])) |
                   ((a[6] ^ b[6]) | (a[7] ^ b[7]));
    return !(d[0] | d[1]);
}

// The rows that may have changed their result since all passed. False: too much has changed, or a row fails.
static bool recheck(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_passed *p, struct vmx_entry_report *r)
{
    struct vmx_view w;
    if (!p->valid || p->host_long != isa_long(c))
        return false;
    vmx_view_init(&w, c, v);
    r->n = 0;
    r->checks = p->checks;
    for (unsigned from = 0; from < VMCS_NFIELD; from += BATCH) {
        const unsigned end = from + BATCH < VMCS_NFIELD ? from + BATCH : VMCS_NFIELD;
        if (end == from + BATCH && same_batch(p->f + from, v->vmcs.f + from))
            continue;
        for (unsigned f = from; f < end; f++) {
            const uint64_t changed = p->f[f] ^ v->vmcs.f[f];
            if (!changed)
                continue;
            if (changed & other_rows(f))
                return false;
            p->f[f] = v->vmcs.f[f];
            if (changed & ~no_rows(f))
                recheck_changed(&w, p, f, r);
        }
    }
    for (unsigned k = 0; k < sizeof reads_memory; k++)
        recheck_field(&w, p, reads_memory[k], r);
    p->checks = r->checks;
    return !r->n;
}

static void remember(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_passed *p, const struct vmx_entry_report *r)
{
    p->valid = !r->n;
    p->host_long = isa_long(c);
    p->checks = r->checks;
    memcpy(p->f, v->vmcs.f, sizeof p->f);
}

bool vmx_recheck(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_passed *p, struct vmx_entry_report *r)
{
    if (!p->indexed)
        index_rows(p);
    if (recheck(c, v, p, r))
        return true;
    vmx_run_checks(c, v, p->applied, r);
    remember(c, v, p, r);
    return false;
}
