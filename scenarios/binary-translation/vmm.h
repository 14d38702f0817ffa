// vmm.h: two small VMMs that share all but the way in which they run the guest's kernel. Start reading at vmm.c.
//
//   bt.c    software: the kernel is translated, block by block, into code that is safe at ring 1 (Adams and Agesen's "software VMM")
//   vtx.c   hardware: the kernel runs as it is in VMX non-root operation ("hardware VMM"), with shadow page tables or with EPT
//
// Both run the same guest: 32-bit, paging without PAE and without large pages, 16 MiB of memory, no interrupts. shadow.c serves both.
//
// Linear addresses: see window-vmm.h.
#ifndef VMM_H
#define VMM_H
#include "paging32.h"
#include "window-vmm.h"

#define CR0_PG 0x80000000u
#define CR0_WP 0x10000u
#define CR0_NE 0x20u
#define CR0_TS 8u

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI }; // as instructions number them

// What the guest's processor holds, as far as the guest's own is not the real one. Translated code finds it at GS:0; boot.S knows the offsets.
struct vcpu {
    u32 regs[8];            // 000
    u32 eip, eflags, vif;   // 020 024 028: vif: the guest's IF, 200H or 0
    u32 next;               // 02c where translated code goes on after a callout
    u32 save[4];            // 030 what translated code puts aside
    u32 cr0, cr2, cr3, cr4; // 040
    u32 user;               // 050 the callout ends at ring 3
    u32 sysenter_tc;        // 054 translation of the guest's SYSENTER entry
    u32 sysenter[3];        // 058 05c 060: its MSRs: CS, ESP, EIP
    u32 patch;              // 064 jump to be chained; see bt.c
    u32 segments[6];        // 068 selectors as the guest loaded them: ES CS SS DS FS GS
    u32 idt, idt_limit;     // 080
    u32 gdt, gdt_limit;     // 088
    u32 tss;                // 090
    u32 offset;             // 094 bt_store's own
    u32 pad[26];            // 098
    struct {                // 100 page tables that the kernel has stored to: minus the linear address of the page,
        u32 minus_page;     //     the table and its shadow in the window
        u32 guest, shadow, none;
    } stores[16];
    u32 returns[256][2]; // 200 for RET: minus a guest address, and its translation
};
extern struct vcpu vcpu;
extern struct statistics { // [3] is `traced`: boot.S counts there, too
    u32 exits, hidden, true_faults, traced, fused, cr3, invlpg, io, blocks, instructions, callouts, unshadowed;
} stat;

// vmm.c
void end_of_run(void) __attribute__((noreturn));
u32 device_in(u32 port); // one byte
void device_out(u32 port, u32 value);

// shadow.c: the guest's memory. The processor walks shadows of the guest's page tables.
enum fault {
    FAULT_HIDDEN, // the shadow lacked an entry, and has it now: go on
    FAULT_TRUE,   // the guest's own: *error is what its handler is to see
    FAULT_TRACED  // a store to a page table that has a shadow, at guest-physical *gpa
};
enum fault shadow_fault(u32 la, u32 *error, u32 *gpa);
bool guest_walk(u32 la, u32 *gpa); // by the guest's tables, whatever their rights
u32 shadow_use(void);              // host-physical directory for vcpu.cr0 and vcpu.cr3
void shadow_store(u32 gpa, u32 value);
void unshadow(u32 gpa);
u32 *shadow_table(u32 gpa); // shadow of the page table there, or NULL
bool traced(u32 gpa);
extern void (*flush)(void);        // drop what the TLB holds of the guest
extern void (*flush_page)(u32 la); // of one page, at which the processor has faulted

// decode.c: one instruction of 32-bit code.
struct insn {
    u8 length, prefix66, rep, segment, lock; // segment: its prefix byte, or 0
    u8 two, op, modrm, modrm_at, imm_at, sib, has_modrm, imm_size;
    u32 imm;
    int32_t disp;
};
bool decode(const u8 *code, struct insn *i);                      // false: an opcode that is not known here
u32 operand_address(const struct insn *i, const u32 *regs);       // of a memory operand, segments being flat
bool is_store(const struct insn *i, const u32 *regs, u32 *value); // a plain store of 32 bits?

// the engines
void vtx_run(bool ept, bool small, bool fuse) __attribute__((noreturn));
void bt_run(bool adaptive, bool tiny) __attribute__((noreturn));
#endif
