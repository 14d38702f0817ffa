// visualizer/model.h: facts read from a machine and put into words, shared by the views and the diagrams. Never writes.
#ifndef VZ_MODEL_H
#define VZ_MODEL_H

#include <stddef.h>

#include "isa/fault.h"
#include "isa/flags.h"
#include "sim/inspect.h"
#include "vmx-model/vmx.h"

// --- paging
const char *vz_level_name(unsigned level); // "PML4E" ...
// Flags of a paging-structure entry in words: "P W U A D", "R W X WB 2M".
// pde_shift: that of struct sim_walk; 0 if it does not matter.
void vz_pte_flags(char *buf, size_t n, uint64_t entry, bool ept, unsigned pde_shift, unsigned level, bool leaf);
const char *vz_walk_outcome(const struct sim_walk *w);      // "translated", "#PF" ...
uint64_t vz_code_la(const struct isa_cpu *c, uint64_t rip); // linear address of code at an offset in CS

// --- segments and descriptors
const char *vz_sreg_name(unsigned sreg);                          // "ES" ... "TR"
void vz_ar_text(char *buf, size_t n, uint32_t ar);                // "P DPL0 code R L G"
void vz_desc_text(char *buf, size_t n, const struct sim_desc *d); // one line about a GDT or LDT entry
bool vz_desc_null(const struct sim_desc *d);
// The segment registers that hold a selector (RPL ignored): "CS SS", "" if none.
void vz_seg_users(char *buf, size_t n, const struct isa_cpu *c, uint16_t sel);

// --- TSS
enum vz_tss_kind { VZ_TSS_NONE, VZ_TSS_16, VZ_TSS_32, VZ_TSS_64 };
struct vz_tss_field {
    const char *name;
    uint8_t off, size;
    const char *text;
};
enum vz_tss_kind vz_tss_kind(const struct isa_cpu *c);
const struct vz_tss_field *vz_tss_field(enum vz_tss_kind k, unsigned n); // NULL at the end
struct vz_iobitmap {
    bool present; // inside the limit
    uint16_t base;
    unsigned allowed, ports; // ports covered by the bitmap, and how many of them it allows
    struct {
        uint16_t lo, hi;
    } run[8]; // the first runs of allowed ports
    unsigned nruns;
};
void vz_iobitmap(struct sim_machine *m, unsigned cpu, struct vz_iobitmap *b);

// --- rings: what leads inwards, one line each
#define VZ_MAX_LINES 24
struct vz_lines {
    char text[VZ_MAX_LINES][160];
    unsigned n;
};
void vz_inward(struct vz_lines *l, struct sim_machine *m, unsigned cpu);

// --- VM entry: what the checks say now; nothing outside VMX root operation
void vz_check_entry(struct sim_machine *m, unsigned cpu, struct vmx_entry_report *rep);
const char *vz_failing(const struct vmx_entry_report *rep, unsigned field); // id of the first check that fails for it, or NULL

// --- names
const char *vz_vector_name(unsigned vector);           // "#PF", "NMI", "" for 32 and above
const char *vz_sdm_title(const char *key);             // title of a manual section by key, or the key
const char *vz_vmx_mode_name(const struct isa_cpu *c); // "L0 root", "L1 non-root", "L0 no VMX"
void vz_commas(char *buf, size_t n, uint64_t v);       // 48,112
// One line about an event, without cycle; the machine is asked for symbols, unless NULL.
void vz_event_text(char *buf, size_t n, struct sim_machine *m, const struct ev *e);
// "entry refused: E-CT-001 and 2 more"
void vz_refused_text(char *buf, size_t n, const struct vmx_entry_report *r);
const char *vz_acc_name(unsigned acc); // "read", "write", "fetch"

#endif
