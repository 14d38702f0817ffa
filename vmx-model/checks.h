// vmx-model/checks.h: the checks of VM entry (vmx-model/entry_checks.def) as a table.
#ifndef VMX_CHECKS_H
#define VMX_CHECKS_H

#include "vmx-model/explain.h"
#include "vmx-model/vmx.h"

enum vmx_check_group { VMX_CHECK_CT, VMX_CHECK_HS, VMX_CHECK_GS }; // controls, host-state area, guest-state area

// What a predicate sees: the VMCS, the processor, and the instance (segment register, PDPTE ...) that the row is applied to.
struct vmx_view {
    const uint64_t *f; // the fields
    struct isa_cpu *c;
    const struct vmx_cpu *v;
    const struct vmx_caps *k;
    uint32_t pin, proc, proc2, exit, entry; // controls, as they act
    uint32_t info;                          // VM-entry interruption information
    uint64_t cr0, cr4, rflags;              // of the guest
    bool ug, ept, ia32e, v86, host64;
    unsigned n;   // instance of a row that repeats: n-th field after the row's field
    uint64_t val; // value of the field
};

typedef bool vmx_applies_fn(const struct vmx_view *w);
typedef uint64_t vmx_bits_fn(const struct vmx_view *w);

struct vmx_check {
    struct vmx_check_info info;
    uint8_t group;     // enum vmx_check_group
    uint8_t qual;      // exit qualification if it fails (guest state)
    uint8_t instances; // how many consecutive fields the row checks
    vmx_applies_fn *applies;
    vmx_bits_fn *bad;  // offending bits of the field's value; 0: the check holds
    vmx_bits_fn *good; // the nearest legal value
    bool has_good;
};
extern const struct vmx_check vmx_check[];
extern const unsigned vmx_ncheck;
const struct vmx_check *vmx_check_of(const char *id);

// Apply one row to the current VMCS of v, and append its failures to r; returns whether it applied.
bool vmx_run_check(struct isa_cpu *c, const struct vmx_cpu *v, const struct vmx_check *k, struct vmx_entry_report *r);
// Every row, in the order of the table. applied (NULL, or vmx_ncheck of them): which rows did.
void vmx_run_checks(struct isa_cpu *c, const struct vmx_cpu *v, bool *applied, struct vmx_entry_report *r);
// The same result, quickly if little changed since the entry that p remembers; p is updated. Returns whether the short way was taken.
bool vmx_recheck(struct isa_cpu *c, const struct vmx_cpu *v, struct vmx_passed *p, struct vmx_entry_report *r);

// Parts of these: the view of the current VMCS, and one row.
void vmx_view_init(struct vmx_view *w, struct isa_cpu *c, const struct vmx_cpu *v);
bool vmx_run_row(struct vmx_view *w, const struct vmx_check *k, struct vmx_entry_report *r);

#endif
