// hv.h: a small hypervisor that can run itself. Start reading at hv.c; nested.c is the second lesson.
//
// Level 0 runs on the processor. What it runs is level 1, and so on. Every level is this same program, but for the last, which is a kernel that
// knows nothing of all this. A level has the machine's memory but for what it keeps: it gives the upper half to its guest.
#ifndef HV_H
#define HV_H
#include "vmx-insn.h"

// General registers in the order of their numbers, so that an instruction's register number indexes them. [4] is RSP, which lives in the VMCS.
enum { RAX, RCX, RDX, RBX, RSP };
extern u64 regs[16];

// Exit reasons that are handled (manual: "Basic Exit Reasons").
enum {
    EXIT_EXCEPTION = 0,
    EXIT_EXT_INT = 1,
    EXIT_TRIPLE_FAULT = 2,
    EXIT_INT_WINDOW = 7,
    EXIT_CPUID = 10,
    EXIT_HLT = 12,
    EXIT_INVLPG = 14,
    EXIT_VMCALL = 18,
    EXIT_VMCLEAR = 19,
    EXIT_VMLAUNCH = 20,
    EXIT_VMPTRLD = 21,
    EXIT_VMPTRST = 22,
    EXIT_VMREAD = 23,
    EXIT_VMRESUME = 24,
    EXIT_VMWRITE = 25,
    EXIT_VMXOFF = 26,
    EXIT_VMXON = 27,
    EXIT_CR = 28,
    EXIT_IO = 30,
    EXIT_RDMSR = 31,
    EXIT_WRMSR = 32,
    EXIT_BAD_GUEST_STATE = 33,
    EXIT_EPT_VIOLATION = 48,
    EXIT_EPT_MISCONFIG = 49,
    EXIT_INVEPT = 50,
    EXIT_INVVPID = 53,
};
#define EFER_LME  0x100u
#define EFER_LMA  0x400u
#define CR0_PG    0x80000000u
#define CR0_WP    0x10000u
#define CR0_NE    0x20u
#define CR4_VMXE  0x2000u
#define CR4_PAE   0x20u
#define PAGE_SIZE 4096ull
#define BIG_PAGE  0x200000ull

enum paging { PAGING_NONE, PAGING_PAE, PAGING_LONG }; // of a guest with shadow page tables; 32-bit paging is not done

// What this level knows of its guest.
struct vm {
    u64 base, size; // guest-physical 0..size lies at base..base+size
    u64 eptp01;     // EPT 01: the guest's memory
    bool use_vpid;
    bool ept; // else shadow.c; cr3 and efer are then what the guest wrote
    u64 cr3, efer;
    u64 tag;            // VPID of its guest in VMCS 02; FFFFH if it uses none
    bool big_only;      // EPT 01 has no small pages
    int pending;        // vector of an interrupt that the guest has not got yet, or -1
    u32 proc01, proc12; // primary controls in force without the interrupt window; what the guest asked for its own guest
    bool in_l2;         // VMCS 02 is current: our guest's guest runs
    bool vmxon;         // the guest has executed VMXON
    u64 vmxon_at;       // its VMXON region
    u64 vmcs12;         // guest-physical address of its current VMCS, or -1
    bool launched02;    // VMCS 02 has been launched
    bool shadowing;     // L1 accesses a shadow VMCS (spare.c)
    bool trying;        // an entry with VMCS 02 is under way that the guest asked for
};
extern struct vm vm;
extern int level; // 0 on the processor

// hv.c
void print(const char *format, ...); // %s %x %d only; a line begins with the level
void stop(const char *why) __attribute__((noreturn));
void load_vmcs(void *region), clear_vmcs(void *region);
void *memset(void *to, int v, unsigned long n);
u64 own_cr0(void), own_cr4(void);     // bits of a guest's CR0 and CR4 that belong to us
u64 real_cr0(u64 v), real_cr4(u64 v); // what a guest gets in truth if it wants v
void use_cr3(bool fresh);             // of our guest, with shadow page tables
void *guest_memory(u64 gpa, u64 n);   // NULL outside the guest's memory
u64 guest_msr(u32 n, bool *ok);
void ept_map(u64 *root, u64 gpa, u64 hpa, bool big, u32 rights, u64 *(*page)(void));
extern u64 vmcs01[], vmcs02[];
extern u32 revision, physical_bits;

// shadow.c
void shadow_drop(void);
void shadow_use(u64 tag, u64 cr3, enum paging paging, bool fresh);
bool shadow_fault(u64 la, u32 *error, bool write_protect);
void shadow_invlpg(u64 la);

// spare.c
void spare_on(void);
bool spare_cpuid(u32 r[4]); // EAX is the leaf; false: not kept
void spare_fetch(void), spare_show(void);

// nested.c
u64 *vmcs12_field(u64 encoding); // NULL: no field can be called so
bool nested_handles(u32 reason); // an exit of our guest that is a VMX instruction
bool nested_exit(u32 reason);    // an exit of our guest's guest: true if it was handed to our guest (or solved here)
void nested_reflect(u32 reason, u64 qualification, u32 intr_info);
void nested_entry_failed(u32 error);
u64 nested_cr(u32 n); // CR0, CR3 or CR4 of our guest's guest, and how it writes it
void nested_write_cr(u32 n, u64 v);
#endif
