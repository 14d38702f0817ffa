// vmx-model/vmcs.c: the VMCS field table, and the VMCS as values and as bytes.
#include "vmx-model/vmcs.h"

#include <string.h>
#include <strings.h>

#include "vmx-model/caps.h"

// Natural-width fields have width 3 and 64-bit fields width 1; the encoding of a row must say the same, and be a full access.
#define V(name, encoding, width, type, group, cap, text)                                                                           \
    _Static_assert(((encoding) >> 13 & 3) == (width), #name ": width disagrees with the encoding");                                \
    _Static_assert(((encoding) >> 10 & 3) == (type), #name ": type disagrees with the encoding");                                  \
    _Static_assert(((encoding)&0x9001) == 0, #name ": reserved encoding bit or access type set");                                  \
    _Static_assert((type) == VMCS_INFO ? (group) == VMCS_G_INFO : (group) != VMCS_G_INFO, #name ": group disagrees with type");    \
    _Static_assert(((type) == VMCS_GUEST) == ((group) == VMCS_G_GUEST), #name ": group disagrees with type");                      \
    _Static_assert(((type) == VMCS_HOST) == ((group) == VMCS_G_HOST), #name ": group disagrees with type");
#include "vmx-model/vmcs_fields.def"
#undef V
_Static_assert(VMCS_OFF_FIELDS + 8 * VMCS_NFIELD <= VMCS_REGION_SIZE, "the image fits the region");

const struct vmcs_field_info vmcs_field_info[VMCS_NFIELD] = {
#define V(name, encoding, width, type, group, cap, text) {#name, encoding, width, type, group, VMCS_CAP_##cap, text},
#include "vmx-model/vmcs_fields.def"
#undef V
};

const char *const vmcs_group_name[VMCS_NGROUP] = {
    "guest-state area",       "host-state area",         "VM-execution control fields",
    "VM-exit control fields", "VM-entry control fields", "VM-exit information"};

// VMREAD and VMWRITE come here: a table by width, type and the low bits of the index, as the encoding has them. The compiler warns of fields that
// collide there, for an element would be initialized twice.
#define INDEX_BITS 6
#define SLOT(encoding)                                                                                                             \
    ((((encoding) >> 13 & 3) << 2 | ((encoding) >> 10 & 3)) << INDEX_BITS | ((encoding) >> 1 & ((1u << INDEX_BITS) - 1)))
static const uint8_t by_slot[16u << INDEX_BITS] = {
// 1 + field, or 0
#define V(name, encoding, width, type, group, cap, text) [SLOT(encoding)] = VF_##name + 1,
#include "vmx-model/vmcs_fields.def"
#undef V
};
_Static_assert(VMCS_NFIELD < 255, "fields are listed as bytes");

int vmcs_by_encoding(uint32_t encoding)
{
    const int f = by_slot[SLOT(encoding)] - 1;
    return f >= 0 && vmcs_field_info[f].encoding == (encoding & ~1u) ? f : -1;
}

int vmcs_by_name(const char *name)
{
    for (int f = 0; f < VMCS_NFIELD; f++)
        if (!strcasecmp(vmcs_field_info[f].name, name))
            return f;
    return -1;
}

// Edit distance (insert, delete, replace), letters compared without case; row by row. Names are shorter than 40.
#define NAME_MAX_LEN 40
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1], m = (unsigned)strnlen(b, NAME_MAX_LEN);
    for (unsigned j = 0; j <= m; j++)
        row[j] = j;
    for (unsigned i = 1; *a && i <= NAME_MAX_LEN; a++, i++) {
        unsigned diag = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            char x = *a | 0x20, y = b[j - 1] | 0x20;
            unsigned sub = diag + (x != y);
            diag = row[j];
            unsigned del = row[j] + 1, ins = row[j - 1] + 1;
            row[j] = sub < del ? sub : del;
            row[j] = row[j] < ins ? row[j] : ins;
        }
    }
    return row[m];
}

const char *vmcs_nearest_name(const char *name)
{
    unsigned best = ~0u, at = 0;
    for (unsigned f = 0; f < VMCS_NFIELD; f++) {
        unsigned d = distance(name, vmcs_field_info[f].name);
        if (d < best)
            best = d, at = f;
    }
    return best <= strlen(name) / 2 ? vmcs_field_info[at].name : NULL; // farther away it is no misspelling
}

void vmcs_write(struct vmcs *v, enum vmcs_field f, uint64_t val, uint64_t cycle, uint64_t rip)
{
    vmcs_put(v, f, val);
    v->writer[f].cycle = cycle;
    v->writer[f].rip = rip;
    v->changed[f / 64] |= 1ull << (f % 64);
}

void vmcs_to_image(const struct vmcs *v, uint8_t image[VMCS_REGION_SIZE])
{
    uint32_t revision = v->revision | (v->shadow ? 1u << 31 : 0), launch = v->launched;
    memset(image, 0, VMCS_REGION_SIZE);
    memcpy(image, &revision, 4);
    memcpy(image + VMCS_OFF_ABORT, &v->abort, 4);
    memcpy(image + VMCS_OFF_LAUNCH, &launch, 4);
    memcpy(image + VMCS_OFF_FIELDS, v->f, sizeof v->f);
}

void vmcs_from_image(struct vmcs *v, const uint8_t image[VMCS_REGION_SIZE])
{
    uint32_t revision, launch;
    uint64_t val;
    memset(v, 0, sizeof *v);
    memcpy(&revision, image, 4);
    memcpy(&v->abort, image + VMCS_OFF_ABORT, 4);
    memcpy(&launch, image + VMCS_OFF_LAUNCH, 4);
    v->revision = revision & 0x7fffffffu;
    v->shadow = revision >> 31;
    v->launched = launch == 1;
    for (unsigned f = 0; f < VMCS_NFIELD; f++) { // put, not a copy: the region may hold anything
        memcpy(&val, image + vmcs_image_offset(f), 8);
        vmcs_put(v, f, val);
    }
}

bool vmcs_exists(const struct vmx_caps *k, enum vmcs_field f)
{
    // allowed-1 settings stand in the upper halves
    uint32_t pin = k->pin >> 32, proc = k->proc >> 32, exit = k->exit >> 32, entry = k->entry >> 32;
    uint32_t proc2 = vmx_has_proc2(k) ? (uint32_t)(k->proc2 >> 32) : 0;
    switch ((enum vmcs_cap)vmcs_field_info[f].cap) {
    case VMCS_CAP_ALWAYS: return true;
    case VMCS_CAP_PROC2: return vmx_has_proc2(k);
    case VMCS_CAP_TPR_SHADOW: return proc >> 21 & 1;
    case VMCS_CAP_MSR_BITMAP: return proc >> 28 & 1;
    case VMCS_CAP_VPID: return proc2 >> 5 & 1;
    case VMCS_CAP_EPT: return proc2 >> 1 & 1;
    case VMCS_CAP_APIC_ACCESS: return proc2 & 1;
    case VMCS_CAP_PLE: return proc2 >> 10 & 1;
    case VMCS_CAP_VMFUNC: return proc2 >> 13 & 1;
    case VMCS_CAP_SHADOW: return proc2 >> 14 & 1;
    case VMCS_CAP_PML: return proc2 >> 17 & 1;
    case VMCS_CAP_VE: return proc2 >> 18 & 1;
    case VMCS_CAP_XSAVES: return proc2 >> 20 & 1;
    case VMCS_CAP_TSC_SCALING: return proc2 >> 25 & 1;
    case VMCS_CAP_POSTED: return pin >> 7 & 1;
    case VMCS_CAP_VID: return proc2 >> 9 & 1;
    case VMCS_CAP_PREEMPTION: return pin >> 6 & 1;
    case VMCS_CAP_PAT: return (entry >> 14 & 1) || (exit >> 18 & 3);
    case VMCS_CAP_EFER: return (entry >> 15 & 1) || (exit >> 20 & 3);
    case VMCS_CAP_PERF: return (entry >> 13 & 1) || (exit >> 12 & 1) || (exit >> 30 & 1);
    case VMCS_CAP_BNDCFGS: return (entry >> 16 & 1) || (exit >> 23 & 1);
    case VMCS_CAP_UNMODELLED: break;
    }
    return false;
}
