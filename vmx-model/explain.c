// vmx-model/explain.c: texts from the tables.
#include "vmx-model/explain.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "isa/fault.h"
#include "isa/manual.h"
#include "vmx-model/caps.h"
#include "vmx-model/checks.h"
#include "vmx-model/internal.h"

enum layout {
    LAYOUT_NONE,
    LAYOUT_ADDRESS,
    LAYOUT_DISPLACEMENT,
    LAYOUT_EXCEPTION,
    LAYOUT_SIPI,
    LAYOUT_VECTOR,
    LAYOUT_APIC_WRITE,
    LAYOUT_MWAIT,
    LAYOUT_ENTRY_FAIL,
    LAYOUT_ENTRY_MSR,
    LAYOUT_TASK_SWITCH,
    LAYOUT_CR_ACCESS,
    LAYOUT_DR_ACCESS,
    LAYOUT_IO,
    LAYOUT_APIC_ACCESS,
    LAYOUT_EPT_VIOLATION,
    LAYOUT_PML_FULL,
};

static const struct {
    uint8_t layout, hi, lo;
    const char *name, *values;
} qual_field[] = {
#define Q(layout, hi, lo, name, values) {LAYOUT_##layout, hi, lo, name, values},
#include "vmx-model/quals.def"
#undef Q
};
#define NQUAL (sizeof qual_field / sizeof *qual_field)

static const struct {
    uint8_t number, layout;
    const char *name, *text;
} exit_info[] = {
#define X(number, name, qualification, text) {number, LAYOUT_##qualification, #name, text},
#include "vmx-model/exit_reasons.def"
#undef X
};
#define NEXIT (sizeof exit_info / sizeof *exit_info)

static const struct {
    uint8_t number;
    const char *name, *text;
} error_info[] = {
#define E(number, name, text) {number, #name, text},
#include "vmx-model/errors.def"
#undef E
};
#define NERROR (sizeof error_info / sizeof *error_info)

static const struct {
    uint8_t reason;
    const char *point, *text;
} exit_cause[] = {
#define I(point, reason, word, control, info, text) {VMX_R_##reason, #point, text},
#include "vmx-model/intercepts.def"
#undef I
};
#define NCAUSE (sizeof exit_cause / sizeof *exit_cause)

// --- a growing text in the caller's buffer. len counts on where the buffer is full.

struct text {
    char *buf;
    unsigned size, len;
};
static void put(struct text *t, const char *s, size_t n)
{
    for (; n; n--, s++, t->len++)
        if (t->len + 1 < t->size) {
            t->buf[t->len] = *s;
            t->buf[t->len + 1] = 0;
        }
}
static void put_number(struct text *t, uint64_t v, unsigned base)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = "0123456789abcdef"[v % base];
    while (v /= base);
    put(t, p, (size_t)(digits + sizeof digits - p));
}
// Formats: %s string, %u unsigned, %U uint64_t, %H uint64_t as 0x....
static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        const char *s;
        if (*fmt != '%') {
            put(t, fmt, 1);
            continue;
        }
        switch (*++fmt) {
        case 's':
            s = va_arg(ap, const char *);
            put(t, s, strlen(s));
            break;
        case 'u': put_number(t, va_arg(ap, unsigned), 10); break;
        case 'U': put_number(t, va_arg(ap, uint64_t), 10); break;
        default:
            put(t, "0x", 2);
            put_number(t, va_arg(ap, uint64_t), 16);
            break;
        }
    }
    va_end(ap);
}
static struct text begin(char *buf, unsigned size)
{
    if (size)
        buf[0] = 0;
    return (struct text){buf, size, 0};
}
static void comma(struct text *t) { add(t, "%s", t->len ? ", " : ""); }

static void add_manual(struct text *t, const char *key)
{
    const struct isa_manual_section *m = isa_manual(key);
    if (m)
        add(t, "\nmanual: \"%s\"", m->title);
}

// --- names

static int exit_index(uint32_t reason)
{
    for (unsigned n = 0; n < NEXIT; n++)
        if (exit_info[n].number == (reason & 0xffff))
            return (int)n;
    return -1;
}

const char *vmx_exit_name(uint32_t reason)
{
    int n = exit_index(reason);
    return n < 0 ? NULL : exit_info[n].name;
}

const char *vmx_exit_text(uint32_t reason)
{
    int n = exit_index(reason);
    return n < 0 ? NULL : exit_info[n].text;
}

int vmx_exit_by_name(const char *name)
{
    for (unsigned n = 0; n < NEXIT; n++)
        if (!strcasecmp(exit_info[n].name, name))
            return exit_info[n].number;
    return -1;
}

static int error_index(uint32_t error)
{
    for (unsigned n = 0; n < NERROR; n++)
        if (error_info[n].number == error)
            return (int)n;
    return -1;
}

const char *vmx_error_name(uint32_t error)
{
    int n = error_index(error);
    return n < 0 ? NULL : error_info[n].name;
}

const char *vmx_error_text(uint32_t error)
{
    int n = error_index(error);
    return n < 0 ? NULL : error_info[n].text;
}

const struct vmx_check_info *vmx_check_n(unsigned n) { return n < vmx_ncheck ? &vmx_check[n].info : NULL; }

const struct vmx_check_info *vmx_check_by_id(const char *id)
{
    for (unsigned n = 0; n < vmx_ncheck; n++)
        if (!strcasecmp(vmx_check[n].info.id, id))
            return &vmx_check[n].info;
    return NULL;
}

// --- longer texts

// What makes a field exist: vmcs_exists().
static const char *const cap_text[] = {
    [VMCS_CAP_PROC2] = "\"activate secondary controls\"",
    [VMCS_CAP_TPR_SHADOW] = "\"use TPR shadow\"",
    [VMCS_CAP_MSR_BITMAP] = "\"use MSR bitmaps\"",
    [VMCS_CAP_VPID] = "\"enable VPID\"",
    [VMCS_CAP_EPT] = "\"enable EPT\"",
    [VMCS_CAP_APIC_ACCESS] = "\"virtualize APIC accesses\"",
    [VMCS_CAP_PLE] = "\"PAUSE-loop exiting\"",
    [VMCS_CAP_VMFUNC] = "\"enable VM functions\"",
    [VMCS_CAP_SHADOW] = "\"VMCS shadowing\"",
    [VMCS_CAP_PML] = "\"enable PML\"",
    [VMCS_CAP_VE] = "\"EPT-violation #VE\"",
    [VMCS_CAP_XSAVES] = "\"enable XSAVES/XRSTORS\"",
    [VMCS_CAP_TSC_SCALING] = "\"use TSC scaling\"",
    [VMCS_CAP_POSTED] = "\"process posted interrupts\"",
    [VMCS_CAP_VID] = "\"virtual-interrupt delivery\"",
    [VMCS_CAP_PREEMPTION] = "\"activate VMX-preemption timer\"",
    [VMCS_CAP_PAT] = "a control that saves or loads IA32_PAT",
    [VMCS_CAP_EFER] = "a control that saves or loads IA32_EFER",
    [VMCS_CAP_PERF] = "a control that saves or loads IA32_PERF_GLOBAL_CTRL",
    [VMCS_CAP_BNDCFGS] = "a control that clears or loads IA32_BNDCFGS",
    [VMCS_CAP_UNMODELLED] = NULL,
};

unsigned vmx_explain_field(uint32_t encoding, char *buf, unsigned size)
{
    static const char *const width[] = {"16-bit", "64-bit", "32-bit", "natural-width"};
    static const char *const type[] = {"control", "read-only data", "guest state", "host state"};
    struct text t = begin(buf, size);
    int f = vmcs_by_encoding(encoding);
    if (f < 0) {
        add(&t, "There is no VMCS field with encoding %H.", (uint64_t)encoding);
        return t.len;
    }
    const struct vmcs_field_info *i = &vmcs_field_info[f];
    add(&t, "%s (encoding %H): %s\n", i->name, (uint64_t)i->encoding, i->text);
    add(&t, "%s field, %s, in the %s", width[i->width], type[i->type], vmcs_group_name[i->group]);
    if (i->cap == VMCS_CAP_UNMODELLED)
        add(&t, "\nnot modelled: VMREAD and VMWRITE of it fail with error 12");
    else if (cap_text[i->cap])
        add(&t, "\nexists where %s may be 1 (else VMREAD and VMWRITE of it fail with error 12)", cap_text[i->cap]);
    for (unsigned w = 0; w < VMX_NWORD; w++)
        for (unsigned b = 0; vmx_word_field((enum vmx_ctl_word)w) == (enum vmcs_field)f && b < 32; b++) {
            const struct vmx_control *c = vmx_control((enum vmx_ctl_word)w, b);
            if (c)
                add(&t, "\n  bit %u %s: %s%s", b, c->name, c->text, c->modelled ? "" : " (not modelled)");
        }
    for (unsigned n = 0; n < vmx_ncheck; n++)
        if ((unsigned)f - vmx_check[n].info.field < vmx_check[n].instances)
            add(&t, "\n  %s %s", vmx_check[n].info.id, vmx_check[n].info.rule);
    return t.len;
}

unsigned vmx_explain_exit(uint32_t reason, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    int x = exit_index(reason);
    if (x < 0) {
        add(&t, "There is no basic exit reason %u.", reason & 0xffff);
        return t.len;
    }
    add(&t, "exit reason %u, %s: %s.", exit_info[x].number, exit_info[x].name, exit_info[x].text);
    for (unsigned n = 0; n < NCAUSE; n++)
        if (exit_cause[n].reason == exit_info[x].number)
            add(&t, "\n  %s exits: %s", exit_cause[n].point, exit_cause[n].text);
    for (unsigned n = 0; n < NQUAL; n++)
        if (exit_info[x].layout && qual_field[n].layout == exit_info[x].layout) {
            const char *v = qual_field[n].values;
            add(&t, "\n  qualification %u:%u %s%s%s", qual_field[n].hi, qual_field[n].lo, qual_field[n].name,
                *v && *v != '#' && *v != '?' ? ": " : "", *v == '#' || *v == '?' ? "" : v);
        }
    return t.len;
}

unsigned vmx_explain_error(uint32_t error, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    int e = error_index(error);
    if (e < 0)
        add(&t, "There is no VM-instruction error %u.", error);
    else
        add(&t, "VM-instruction error %u, %s: %s.", error, error_info[e].name, error_info[e].text);
    return t.len;
}

unsigned vmx_explain_check(const char *id, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    const struct vmx_check_info *k = vmx_check_by_id(id);
    if (!k) {
        add(&t, "There is no VM-entry check %s.", id);
        return t.len;
    }
    const struct vmx_check *row = vmx_check_of(k->id);
    static const char *const then[] = {"VMfailValid, error 7", "VMfailValid, error 8", "VM-entry failure, exit reason 33"};
    add(&t, "%s  %s\nrule:   %s\nfix:    %s\nfield:  %s", k->id, k->title, k->rule, k->fix, vmcs_field_info[k->field].name);
    if (row->instances > 1)
        add(&t, " to %s", vmcs_field_info[k->field + row->instances - 1].name);
    add(&t, "\nfails:  %s", then[row->group]);
    add_manual(&t, k->sdm);
    return t.len;
}

// --- values

// The n-th of the names in "a|b|c", or "".
static void add_name(struct text *t, const char *names, uint64_t n)
{
    for (; n && *names; names++)
        n -= *names == '|';
    put(t, names, strcspn(names, "|"));
}

unsigned vmx_qual_text(uint32_t reason, uint64_t qual, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    int x = exit_index(reason);
    for (unsigned n = 0; x >= 0 && exit_info[x].layout && n < NQUAL; n++) {
        if (qual_field[n].layout != exit_info[x].layout)
            continue;
        unsigned bits = qual_field[n].hi - qual_field[n].lo + 1u;
        uint64_t v = qual >> qual_field[n].lo & (~0ull >> (64 - bits));
        const char *values = qual_field[n].values;
        if (*values == '?' && !v)
            continue;
        comma(&t);
        add(&t, "%s%s", qual_field[n].name, *values == '?' ? "" : *values ? ": " : " ");
        if (*values == '#')
            add(&t, "%H", v);
        else if (!*values)
            add(&t, "%U", v);
        else if (*values != '?')
            add_name(&t, values, v);
    }
    if (!t.len && qual)
        add(&t, "%H", qual);
    return t.len;
}

unsigned vmx_access_rights_text(uint32_t ar, char *buf, unsigned size)
{
    static const char *const data[] = {"data", "stack", "code", "conforming code"};
    static const char *const sys[] = {"reserved",    "TSS-16",       "LDT",      "busy TSS-16", "call gate-16", "task gate",
                                      "int gate-16", "trap gate-16", "reserved", "TSS",         "reserved",     "busy TSS",
                                      "call gate",   "reserved",     "int gate", "trap gate"};
    struct text t = begin(buf, size);
    if (ar & ISA_AR_UNUSABLE)
        add(&t, "unusable");
    comma(&t);
    if (ar & ISA_AR_S)
        add(&t, "%s %s%s", data[ar >> 2 & 3], ar & 8 ? (ar & 2 ? "readable" : "execute-only") : (ar & 2 ? "writable" : "read-only"),
            ar & 1 ? " accessed" : "");
    else
        add(&t, "%s", sys[ar & 15]);
    add(&t, ", DPL %u, %s", ar >> 5 & 3, ar & ISA_AR_P ? "present" : "not present");
    add(&t, "%s%s%s%s", ar & ISA_AR_AVL ? ", AVL" : "", ar & ISA_AR_L ? ", L" : "", ar & ISA_AR_DB ? ", D/B" : "",
        ar & ISA_AR_G ? ", G" : "");
    return t.len;
}

unsigned vmx_intr_info_text(uint32_t info, char *buf, unsigned size)
{
    static const char *const type[] = {"external interrupt", "reserved type",      "NMI",
                                       "hardware exception", "software interrupt", "INT1",
                                       "software exception", "other event"};
    struct text t = begin(buf, size);
    unsigned n = VMX_INTR_VECTOR(info);
    if (!(info & VMX_INTR_VALID)) {
        add(&t, "none (valid bit is 0)");
        return t.len;
    }
    add(&t, "%s, vector %u", type[VMX_INTR_TYPE(info)], n);
    if (VMX_INTR_TYPE(info) == ISA_EV_HWEXC && n < 32)
        add(&t, " (%s)", isa_vector_info(n)->mnemonic);
    if (info & VMX_INTR_ERROR)
        add(&t, ", with error code");
    return t.len;
}

static unsigned control_text(enum vmx_ctl_word word, uint64_t val, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    for (unsigned b = 0; b < 32; b++) {
        const struct vmx_control *c = val >> b & 1 ? vmx_control(word, b) : NULL;
        if (c) {
            comma(&t);
            add(&t, "%s", c->name);
        }
    }
    if (!t.len)
        add(&t, "no control set");
    return t.len;
}

static unsigned flags_text(const char *const *name, uint64_t val, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    for (unsigned b = 0; name[b]; b++)
        if (val >> b & 1) {
            comma(&t);
            add(&t, "%s", name[b]);
        }
    if (!t.len)
        add(&t, "none");
    return t.len;
}

unsigned vmx_value_text(enum vmcs_field f, uint64_t val, char *buf, unsigned size)
{
    static const char *const blocking[] = {"STI", "MOV SS", "SMI", "NMI", NULL};
    static const char *const activity[] = {"active", "HLT", "shutdown", "wait-for-SIPI"};
    for (unsigned w = 0; w < VMX_NWORD; w++)
        if (vmx_word_field((enum vmx_ctl_word)w) == f)
            return control_text((enum vmx_ctl_word)w, val, buf, size);
    if (f >= VF_GUEST_ES_AR_BYTES && f <= VF_GUEST_TR_AR_BYTES)
        return vmx_access_rights_text((uint32_t)val, buf, size);
    struct text t = begin(buf, size);
    switch (f) {
    case VF_VM_ENTRY_INTR_INFO_FIELD:
    case VF_VM_EXIT_INTR_INFO:
    case VF_IDT_VECTORING_INFO_FIELD: return vmx_intr_info_text((uint32_t)val, buf, size);
    case VF_GUEST_INTERRUPTIBILITY_INFO: return flags_text(blocking, val, buf, size);
    case VF_GUEST_ACTIVITY_STATE: add(&t, "%s", val < 4 ? activity[val] : "reserved"); break;
    case VF_VM_EXIT_REASON:
        add(&t, "%s%s", vmx_exit_name((uint32_t)val) ? vmx_exit_name((uint32_t)val) : "unknown",
            val >> 31 ? ", VM-entry failure" : "");
        break;
    case VF_VM_INSTRUCTION_ERROR:
        add(&t, "%s", val ? (vmx_error_text((uint32_t)val) ? vmx_error_text((uint32_t)val) : "unknown") : "none");
        break;
    default: add(&t, "%H", val); break;
    }
    return t.len;
}

// --- bits of a field by name

static const char *const cr0_bit[64] = {
    "PE", "MP", "EM", "TS", "ET", "NE", [16] = "WP", [18] = "AM", [29] = "NW", [30] = "CD", [31] = "PG"};
static const char *const cr4_bit[64] = {"VME",      "PVI",    "TSD",        "DE",   "PSE",  "PAE",  "MCE",  "PGE",
                                        "PCE",      "OSFXSR", "OSXMMEXCPT", "UMIP", "LA57", "VMXE", "SMXE", NULL,
                                        "FSGSBASE", "PCIDE",  "OSXSAVE",    NULL,   "SMEP", "SMAP", "PKE"};
static const char *const efer_bit[64] = {"SCE", [8] = "LME", [10] = "LMA", [11] = "NXE"};
static const char *const rflags_bit[64] = {"CF", [2] = "PF",  [4] = "AF",  [6] = "ZF", "SF", "TF",  "IF",  "DF",
                                           "OF", [14] = "NT", [16] = "RF", "VM",       "AC", "VIF", "VIP", "ID"};
static const char *const ar_bit[64] = {[4] = "S", [7] = "P", [12] = "AVL", [13] = "L", [14] = "D/B", [15] = "G", [16] = "unusable"};
static const char *const blocking_bit[64] = {"blocking by STI", "blocking by MOV SS", "blocking by SMI", "blocking by NMI"};
static const char *const pending_bit[64] = {"B0", "B1", "B2", "B3", [12] = "enabled breakpoint", [14] = "BS"};
static const char *const none_bit[64];

static const char *const *bit_names(enum vmcs_field f)
{
    switch (f) {
    case VF_GUEST_CR0:
    case VF_HOST_CR0: return cr0_bit;
    case VF_GUEST_CR4:
    case VF_HOST_CR4: return cr4_bit;
    case VF_GUEST_IA32_EFER:
    case VF_HOST_IA32_EFER: return efer_bit;
    case VF_GUEST_RFLAGS: return rflags_bit;
    case VF_GUEST_INTERRUPTIBILITY_INFO: return blocking_bit;
    case VF_GUEST_PENDING_DBG_EXCEPTIONS: return pending_bit;
    default: return f >= VF_GUEST_ES_AR_BYTES && f <= VF_GUEST_TR_AR_BYTES ? ar_bit : none_bit;
    }
}

static const struct vmx_control *control_at(enum vmcs_field f, unsigned bit)
{
    for (unsigned w = 0; w < VMX_NWORD; w++)
        if (vmx_word_field((enum vmx_ctl_word)w) == f)
            return vmx_control((enum vmx_ctl_word)w, bit);
    return NULL;
}

unsigned vmx_bits_text(enum vmcs_field f, uint64_t bits, char *buf, unsigned size)
{
    struct text t = begin(buf, size);
    const char *const *name = bit_names(f);
    for (unsigned b = 0; b < 64; b++) {
        if (!(bits >> b & 1))
            continue;
        unsigned last = b;
        const struct vmx_control *c = control_at(f, b);
        const char *n = c ? c->name : name[b];
        while (!n && last < 63 && (bits >> (last + 1) & 1) && !control_at(f, last + 1) && !name[last + 1])
            last++; // bits without names, as a range
        comma(&t);
        if (n)
            add(&t, "%s (bit %u%s)", n, b, c && !c->modelled ? ", not modelled" : "");
        else if (last > b)
            add(&t, "bits %u:%u", last, b);
        else
            add(&t, "bit %u", b);
        b = last;
    }
    return t.len;
}
