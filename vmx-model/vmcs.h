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

// --- the image of a VMCS in its region (byte offsets; little-endian)
//      0  revision identifier (bit 31: shadow-VMCS indicator)    as the manual says; the rest is this model's own format
//      4  VMX-abort indicator
//      8  launch state: 0 clear, 1 launched
//     12  0
//     16  the fields in table order, 8 bytes each
// The processor writes it on VMCLEAR and when another VMCS becomes current; until then the region is stale, as on real processors.
#define VMCS_REGION_SIZE 4096u
#define VMCS_OFF_ABORT   4u
#define VMCS_OFF_LAUNCH  8u
#define VMCS_OFF_FIELDS  16u
static inline unsigned vmcs_image_offset(enum vmcs_field f) { return VMCS_OFF_FIELDS + 8u * (unsigned)f; }
// Between the region's bytes and the cached VMCS. from_image forgets who wrote the fields: the region does not hold that.
void vmcs_to_image(const struct vmcs *v, uint8_t image[VMCS_REGION_SIZE]);
void vmcs_from_image(struct vmcs *v, const uint8_t image[VMCS_REGION_SIZE]);

// Bits a field has: 16, 32 or 64. A table in the header, so that constant fields need none at run time: transitions put dozens.
static inline unsigned vmcs_bits(enum vmcs_field f)
{
    static const uint8_t of_width[] = {[VMCS_W16] = 16, [VMCS_W64] = 64, [VMCS_W32] = 32, [VMCS_WNAT] = 64};
    static const uint8_t width_of[VMCS_NFIELD] = {
#define V(name, encoding, width, type, group, cap, text) width,
#include "vmx-model/vmcs_fields.def"
#undef V
    };
    return of_width[width_of[f]];
}
// Raw field access; put cuts the value to the field's width. Natural-width fields are 64 bits wide here.
static inline uint64_t vmcs_get(const struct vmcs *v, enum vmcs_field f) { return v->f[f]; }
static inline uint64_t vmcs_cut(enum vmcs_field f, uint64_t val)
{
    unsigned bits = vmcs_bits(f);
    return bits == 64 ? val : val & ((1ull << bits) - 1);
}
static inline void vmcs_put(struct vmcs *v, enum vmcs_field f, uint64_t val) { v->f[f] = vmcs_cut(f, val); }
// Software's write (VMWRITE, or a scenario): put, and remember who did it for explanations.
void vmcs_write(struct vmcs *v, enum vmcs_field f, uint64_t val, uint64_t cycle, uint64_t rip);
static inline bool vmcs_changed(const struct vmcs *v, enum vmcs_field f) { return v->changed[f / 64] >> (f % 64) & 1; }

// Whether a processor with these capabilities has the field.
struct vmx_caps;
bool vmcs_exists(const struct vmx_caps *caps, enum vmcs_field f);

// Dense index by encoding (access-type bit ignored) or by name (case-insensitive), or -1.
int vmcs_by_encoding(uint32_t encoding);
int vmcs_by_name(const char *name);
// Nearest existing name to a misspelt one, for error messages; NULL: none is near.
const char *vmcs_nearest_name(const char *name);
static inline bool vmcs_read_only(enum vmcs_field f) { return vmcs_field_info[f].type == VMCS_INFO; }

#endif
