// vmx-model/controls.h: the VM-execution, VM-exit and VM-entry control bits by name (vmx-model/controls.def).
//
// VMX_PROC_HLT_EXITING and the like are masks in their control word. A bit that is not in the table is reserved.
// MANUAL: "VM-Execution Control Fields", "VM-Exit Controls", "VM-Entry Controls".
#ifndef VMX_CONTROLS_H
#define VMX_CONTROLS_H

#include "vmx-model/vmcs.h"

enum vmx_ctl_word {
    VMX_WORD_PIN,
    VMX_WORD_PROC,
    VMX_WORD_PROC2,
    VMX_WORD_PROC3,
    VMX_WORD_EXIT,
    VMX_WORD_EXIT2,
    VMX_WORD_ENTRY,
    VMX_NWORD
};

enum vmx_ctl {
#define C(word, bit, name, modelled, text) VMX_##word##_##name = 1u << (bit),
#include "vmx-model/controls.def"
#undef C
};

struct vmx_control {
    uint8_t word; // enum vmx_ctl_word
    uint8_t bit;
    bool modelled;
    const char *name; // "HLT_EXITING"
    const char *text;
};
// The n-th control of the table, or NULL at its end.
const struct vmx_control *vmx_control_n(unsigned n);
// The control at a bit of a word, or NULL: reserved.
const struct vmx_control *vmx_control(enum vmx_ctl_word word, unsigned bit);
enum vmcs_field vmx_word_field(enum vmx_ctl_word word);
const char *vmx_word_name(enum vmx_ctl_word word); // "primary processor-based VM-execution controls"

#endif
