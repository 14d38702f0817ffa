// vmx-model/explain.h: VMX in words, from the tables. Pure: results are static strings, or written into the caller's buffer.
#ifndef VMX_EXPLAIN_H
#define VMX_EXPLAIN_H

#include "vmx-model/controls.h"

// Texts by number; NULL for what does not exist.
const char *vmx_exit_name(uint32_t reason); // basic reason (bits 15..0 of the field): "EPT_VIOLATION"
const char *vmx_exit_text(uint32_t reason); // one sentence
int vmx_exit_by_name(const char *name);     // case-insensitive; -1: no such reason
const char *vmx_error_name(uint32_t error); // VM-instruction error: "VMLAUNCH_NONCLEAR_VMCS"
const char *vmx_error_text(uint32_t error);

// A row of entry_checks.def.
struct vmx_check_info {
    const char *id, *title, *rule, *fix, *sdm; // fix: what to do about it; sdm: key of isa/sdm.def
    enum vmcs_field field;                     // the field to look at first
};
const struct vmx_check_info *vmx_check_n(unsigned n);         // NULL at the end
const struct vmx_check_info *vmx_check_by_id(const char *id); // case-insensitive; NULL: no such check

// Longer texts, several lines, no trailing newline. Each returns the length that the whole text has, as snprintf does.
unsigned vmx_explain_field(uint32_t encoding, char *buf, unsigned size);
unsigned vmx_explain_exit(uint32_t reason, char *buf, unsigned size);
unsigned vmx_explain_error(uint32_t error, char *buf, unsigned size);
unsigned vmx_explain_check(const char *id, char *buf, unsigned size);

// One line: the bit fields of an exit qualification, "access: MOV to CR, register: RAX, CR number: 3".
unsigned vmx_qual_text(uint32_t reason, uint64_t qual, char *buf, unsigned size);
// One line: the value of a field in words, where it has bit names (controls, access rights, interruption information ...); else hex.
unsigned vmx_value_text(enum vmcs_field f, uint64_t val, char *buf, unsigned size);
// One line: the names of some bits of a field, "ACTIVATE_TERTIARY (bit 17, not modelled), bit 30"; "" if bits is 0.
unsigned vmx_bits_text(enum vmcs_field f, uint64_t bits, char *buf, unsigned size);
unsigned vmx_access_rights_text(uint32_t ar, char *buf, unsigned size);
unsigned vmx_intr_info_text(uint32_t info, char *buf, unsigned size);

#endif
