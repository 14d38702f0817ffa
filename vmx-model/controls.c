// vmx-model/controls.c: look-ups in the table of control bits.
#include "vmx-model/controls.h"

static const struct vmx_control control[] = {
#define C(word, bit, name, modelled, text) {VMX_WORD_##word, bit, modelled, #name, text},
#include "vmx-model/controls.def"
#undef C
};
#define NCONTROL (sizeof control / sizeof *control)

static const struct {
    enum vmcs_field field;
    const char *name;
} word_info[VMX_NWORD] = {
    [VMX_WORD_PIN] = {VF_PIN_BASED_VM_EXEC_CONTROL, "pin-based VM-execution controls"},
    [VMX_WORD_PROC] = {VF_CPU_BASED_VM_EXEC_CONTROL, "primary processor-based VM-execution controls"},
    [VMX_WORD_PROC2] = {VF_SECONDARY_VM_EXEC_CONTROL, "secondary processor-based VM-execution controls"},
    [VMX_WORD_PROC3] = {VF_TERTIARY_VM_EXEC_CONTROL, "tertiary processor-based VM-execution controls"},
    [VMX_WORD_EXIT] = {VF_VM_EXIT_CONTROLS, "primary VM-exit controls"},
    [VMX_WORD_EXIT2] = {VF_SECONDARY_VM_EXIT_CONTROLS, "secondary VM-exit controls"},
    [VMX_WORD_ENTRY] = {VF_VM_ENTRY_CONTROLS, "VM-entry controls"},
};

const struct vmx_control *vmx_control_n(unsigned n) { return n < NCONTROL ? &control[n] : NULL; }

const struct vmx_control *vmx_control(enum vmx_ctl_word word, unsigned bit)
{
    for (unsigned n = 0; n < NCONTROL; n++)
        if (control[n].word == word && control[n].bit == bit)
            return &control[n];
    return NULL;
}

enum vmcs_field vmx_word_field(enum vmx_ctl_word word) { return word_info[word].field; }
const char *vmx_word_name(enum vmx_ctl_word word) { return word_info[word].name; }
