// vmx-model/vmcs.h: the virtual-machine control structure as data.
//
// MODELS     every VMCS field of the pinned manual edition by name, encoding, width, type and group; a VMCS as an array of values.
//            Encoding bits: 0 access type (1 = high half of a 64-bit field), 9..1 index, 11..10 type (0 control, 1 exit information,
//            2 guest state, 3 host state), 14..13 width (0: 16, 1: 64, 2: 32, 3: natural).
// MANUAL     "Virtual-Machine Control Structures", "Field Encoding in VMCS".
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vmcs_width { VMCS_W16, VMCS_W64, VMCS_W32, VMCS_WNAT };
enum vmcs_type { VMCS_CONTROL, VMCS_INFO, VMCS_GUEST, VMCS_HOST };
// The six logical groups of the manual.
enum vmcs_group { VMCS_G_GUEST, VMCS_G_HOST, VMCS_G_EXEC, VMCS_G_EXIT, VMCS_G_ENTRY, VMCS_G_INFO, VMCS_NGROUP };

// enum vmcs_field: dense index of a field, in table order; VF_<NAME>.
enum vmcs_field {
#define V(name, encoding, width, type, group, cap, text) VF_##name,
#include "vmx-model/vmcs_fields.def"
#undef V
    VMCS_NFIELD
};

struct vmcs_field_info {
    const char *name; // "GUEST_CR3": the names of Linux and Xen where they have one
    uint16_t encoding;
    uint8_t width, type, group;
    uint8_t cap; // which capability makes it exist, enum vmcs_cap (vmx-model/caps.h)
    const char *text;
};
extern const struct vmcs_field_info vmcs_field_info[VMCS_NFIELD];
extern const char *const vmcs_group_name[VMCS_NGROUP];

struct vmcs {
    uint64_t f[VMCS_NFIELD];
    uint32_t revision;
    uint32_t abort;
    bool launched;
    bool shadow;
    // who wrote each field last, for explanations: cycle and RIP of the VMWRITE (0: never)
    struct {
        uint64_t cycle, rip;
    } writer[VMCS_NFIELD];
    uint64_t changed[(VMCS_NFIELD + 63) / 64]; // fields written since the last VM entry
};

// Dense index by encoding (access-type bit ignored) or by name (case-insensitive), or -1.
int vmcs_by_encoding(uint32_t encoding);
int vmcs_by_name(const char *name);
// Nearest existing name to a misspelt one, for error messages.
const char *vmcs_nearest_name(const char *name);
// Bits a field has: 16, 32 or 64.
unsigned vmcs_bits(enum vmcs_field f);

#endif
