// sim/inspect.h: looking at and poking a machine by name, for Lua, views, diagrams and graders. No call has side effects on the
// guest's timing, TLBs or A/D flags; writers say so.
#ifndef SIM_INSPECT_H
#define SIM_INSPECT_H

#include "sim/cache.h"
#include "sim/machine.h"
#include "sim/tlb.h"
#include "sim/walk.h"
#include "vmx-model/vmcs.h"

// --- registers by name: rax eax ax al ah ... r15b, rip, rflags, cs..gs ldtr tr (selector), cs.base cs.limit cs.ar, gdtr.base gdtr.limit
// idtr.base idtr.limit, cr0 cr2 cr3 cr4 cr8, dr0..dr7, efer, cpl (read only), and the MSRs of isa/msr.def as msr.NAME.
bool sim_reg_get(struct sim_machine *m, unsigned cpu, const char *name, uint64_t *val);
// false: no such register, or read-only. Writes are raw: no exception rules apply; mode is recomputed.
bool sim_reg_set(struct sim_machine *m, unsigned cpu, const char *name, uint64_t val);
// The n-th register name (for listing and completion), or NULL.
const char *sim_reg_name(unsigned n);

// To be called after writing registers through sim_cpu() directly: recomputes modes and drops cached translations' contexts.
void sim_touch(struct sim_machine *m, unsigned cpu);

// --- memory. Return the number of bytes transferred before the first unmapped one. Writes drop decoded code, never fault.
enum sim_space { SIM_LINEAR, SIM_GUEST_PHYSICAL, SIM_HOST_PHYSICAL };
// Host-physical address of one byte, or false. Linear reads succeed wherever some privilege level could read.
bool sim_resolve(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, struct hpa *pa);
uint64_t sim_peek(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, void *buf, uint64_t n);
uint64_t sim_poke(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, const void *buf, uint64_t n);

// --- descriptors. Decodes the descriptor of a selector (GDT or LDT) or an IDT gate.
struct sim_desc {
    uint64_t raw[2];                  // second half for 16-byte descriptors
    bool valid;                       // inside the table's limit and readable
    bool system, present, gate, wide; // wide: 16 bytes
    uint8_t type, dpl;
    struct isa_seg seg; // segments, LDT, TSS
    uint16_t gate_sel;
    uint64_t gate_off;
    uint8_t gate_ist, gate_params;
    const char *kind; // "64-bit code", "32-bit interrupt gate" ..., static
};
void sim_descriptor(struct sim_machine *m, unsigned cpu, uint16_t sel, struct sim_desc *d);
void sim_idt_gate(struct sim_machine *m, unsigned cpu, unsigned vector, struct sim_desc *d);

// --- VMX. The current VMCS of a processor, or NULL. Field access by encoding or name is in vmx-model/vmcs.h.
const struct vmcs *sim_vmcs(struct sim_machine *m, unsigned cpu);
bool sim_vmcs_write(struct sim_machine *m, unsigned cpu, uint32_t encoding, uint64_t val); // raw, for scenarios
uint64_t sim_vmcs_ptr(struct sim_machine *m, unsigned cpu);                                // current-VMCS pointer, all ones if none
uint16_t sim_vpid(struct sim_machine *m, unsigned cpu); // current VPID (0 in root operation or without VPID)
uint16_t sim_pcid(struct sim_machine *m, unsigned cpu);
uint64_t sim_eptp(struct sim_machine *m, unsigned cpu); // current EPTP in non-root operation with EPT, else 0
// The report of the last failed VM entry, or NULL.
const struct vmx_entry_report *sim_entry_report(struct sim_machine *m, unsigned cpu);
// The checks of a VM entry with the current VMCS as it stands, without entering. false: no current VMCS (the report is empty).
bool sim_check_entry(struct sim_machine *m, unsigned cpu, struct vmx_entry_report *report);

// --- TLB
const struct tlb *sim_tlb(struct sim_machine *m, unsigned cpu); // marks stale entries first
// What an invalidation would drop now, without doing it: "INVLPG ADDRESS", "INVPCID TYPE PCID ADDRESS", "MOV CR3 VALUE",
// "INVVPID TYPE VPID ADDRESS" or "INVEPT TYPE EPTP", executed in the current context. fn (or NULL) is called for each entry, in the order of
// tlb_next(). Returns how many; -1 where the text is none of these.
typedef void tlb_visit_fn(void *ctx, const struct tlb_entry *e);
int sim_tlb_preview(struct sim_machine *m, unsigned cpu, const char *text, tlb_visit_fn *fn, void *ctx, struct sim_error *err);
// Empty all TLBs and paging-structure caches of a processor, guest-physical mappings included: the next access walks cold. For scenarios;
// no instruction does that much.
void sim_tlb_flush_all(struct sim_machine *m, unsigned cpu);

// --- caches: NULL but in detailed fidelity
const struct caches *sim_caches(const struct sim_machine *m);

// --- disassembly of one instruction at a linear address, Intel syntax (or AT&T). Returns its length, 0 if unreadable.
unsigned sim_disasm(struct sim_machine *m, unsigned cpu, uint64_t la, bool att, char *text, unsigned size, uint8_t bytes[16]);

// --- symbols, from the images loaded or added by hand. sim_symbol gives "name+0x12" or "" in buf. Of several addresses of a name the last
// added counts, of several names of an address the first.
bool sim_symbol_addr(struct sim_machine *m, const char *name, uint64_t *addr);
void sim_symbol(struct sim_machine *m, uint64_t addr, char *buf, unsigned size);
void sim_symbol_add(struct sim_machine *m, const char *name, uint64_t addr);

// --- counters of sim/stats.def, by name ("insns", "walks", "walk_refs", "tlb_hits", "vmexits" ...)
bool sim_stat(struct sim_machine *m, unsigned cpu, const char *name, uint64_t *val);
const char *sim_stat_name(unsigned n);
const char *sim_stat_text(unsigned n);

// --- names
const char *sim_mode_name(const struct isa_cpu *c); // "real", "protected-32", "64-bit" ...
const char *sim_stop_name(enum sim_stop_kind k);

// --- what the guest wrote to its serial port and port E9H so far; NUL-terminated, owned by the machine.
const char *sim_output(struct sim_machine *m, uint64_t *len);
void sim_input(struct sim_machine *m, const void *bytes, uint64_t n); // bytes to arrive at the serial port

#endif
