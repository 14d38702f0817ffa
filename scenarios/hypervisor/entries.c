// entries.c: a guest that does VMX wrong in every way it knows, and says what the processor answers. It is started by scenarios/bench/start.S.
//
// On the bare machine the simulator answers, under hv.c the hypervisor does, under two of them the hypervisor's hypervisor, too. All must give the answers
// written here, which are the manual's ("VM-Instruction Error Numbers", "VM-Entry Failures During or After Loading Guest State").
#include "vmx.h"

#define INVALID 0x1000u  // VMfailInvalid: no current VMCS to hold an error number
#define EXITED  0x10000u // plus the basic exit reason; a failed entry sets EXIT_FAILED, too
#define FAILED  0x20000u

// attempt(launch): 0 there was an exit, 1 CF, 2 ZF. The guest's only instruction is VMCALL.
unsigned attempt(int launch);
extern char vm_back[], vm_guest[];
asm("attempt: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov $0x6c14, %ecx; vmwrite %rsp, %rcx\n" // HOST_RSP
    "cmp $1, %edi; ja 4f; je 1f; vmresume; jmp 2f\n"
    "1: vmlaunch\n"
    "2: mov $1, %eax; jc 3f; mov $2, %eax; jz 3f; mov $3, %eax; jmp 3f\n"
    "4: mov %ss, %ecx; mov %ecx, %ss; vmlaunch; jmp 2b\n" // right behind MOV SS
    "vm_back: mov $0, %eax\n"
    "3: pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
    "vm_guest: vmcall; jmp vm_guest\n");

static unsigned answer(unsigned how)
{
    if (how == 1)
        return INVALID;
    if (how == 2)
        return (unsigned)vmread(VMCS_VM_INSTRUCTION_ERROR);
    unsigned reason = (unsigned)vmread(VMCS_VM_EXIT_REASON);
    return EXITED | (reason & 0xffff) | (reason >> 31 ? FAILED : 0);
}

static unsigned wrong, done;
static int has_ept; // a hypervisor may have none to offer
static void check(const char *what, unsigned got, unsigned expected)
{
    done++;
    if (got == expected)
        return;
    wrong++;
    print_text("ENTRIES: ");
    print_text(what);
    print_text(": ");
    print_number(got, 10);
    print_text(" instead of ");
    print_number(expected, 10);
    print_text("\n");
}

// A VMCS by which an entry succeeds, but for one field.
static void good(void)
{
    new_vmcs();
    set_controls(has_ept);
    set_host();
    set_guest();
    put_field(VMCS_HOST_RIP, (u64)vm_back);
    put_field(VMCS_GUEST_RIP, (u64)vm_guest);
}
enum { SET, FLIP }; // the field becomes the value, or those bits of it change
static const struct {
    const char *what;
    unsigned field, how;
    u64 value;
    unsigned expected;
} entries[] = {
    {"pin-based control that does not exist", VMCS_PIN_BASED_VM_EXEC_CONTROL, FLIP, 1u << 31, 7},
    {"pin-based control that must be 1", VMCS_PIN_BASED_VM_EXEC_CONTROL, FLIP, 2, 7},
    {"primary control that must be 1", VMCS_CPU_BASED_VM_EXEC_CONTROL, FLIP, 2, 7},
    {"secondary control that does not exist", VMCS_SECONDARY_VM_EXEC_CONTROL, FLIP, 1u << 31, 7},
    {"VPID 0", VMCS_VIRTUAL_PROCESSOR_ID, SET, 0, 7},
    {"EPT of 3 levels", VMCS_EPT_POINTER, FLIP, 1 << 3, 7},
    {"EPT pointer with memory type 4", VMCS_EPT_POINTER, FLIP, 2, 7},
    {"EPT pointer with a reserved bit", VMCS_EPT_POINTER, FLIP, 1 << 8, 7},
    {"four CR3 targets too many", VMCS_CR3_TARGET_COUNT, SET, 8, 7},
    {"exit control that must be 1", VMCS_VM_EXIT_CONTROLS, FLIP, 1, 7},
    {"entry control that must be 1", VMCS_VM_ENTRY_CONTROLS, FLIP, 1, 7},
    {"injection of reserved type 1", VMCS_VM_ENTRY_INTR_INFO_FIELD, SET, 0x80000100, 7},
    {"injection of an exception above 31", VMCS_VM_ENTRY_INTR_INFO_FIELD, SET, 0x80000320, 7},
    {"host CR0 without PE", VMCS_HOST_CR0, FLIP, 1, 8},
    {"host CR0 without PG", VMCS_HOST_CR0, FLIP, 1u << 31, 8},
    {"host CR4 without VMXE", VMCS_HOST_CR4, FLIP, 1 << 13, 8},
    {"host CR4 without PAE", VMCS_HOST_CR4, FLIP, 1 << 5, 8},
    {"host CR3 too wide", VMCS_HOST_CR3, FLIP, 1ull << 60, 8},
    {"host CS null", VMCS_HOST_CS_SELECTOR, SET, 0, 8},
    {"host TR null", VMCS_HOST_TR_SELECTOR, SET, 0, 8},
    {"host SS of ring 3", VMCS_HOST_SS_SELECTOR, FLIP, 3, 8},
    {"host DS in the LDT", VMCS_HOST_DS_SELECTOR, FLIP, 4, 8},
    {"host FS base not canonical", VMCS_HOST_FS_BASE, SET, 1ull << 63, 8},
    {"host GDTR base not canonical", VMCS_HOST_GDTR_BASE, SET, 1ull << 63, 8},
    {"host SYSENTER_EIP not canonical", VMCS_HOST_IA32_SYSENTER_EIP, SET, 1ull << 63, 8},
    {"host RIP not canonical", VMCS_HOST_RIP, SET, 1ull << 63, 8},
    {"host not in 64-bit mode", VMCS_VM_EXIT_CONTROLS, FLIP, 1 << 9, 0}, // 7 or 8: which group holds the check is left open
    {"guest CR0 without PE", VMCS_GUEST_CR0, SET, 0x80000030, EXITED | FAILED | 33},
    {"guest CR0 without NE", VMCS_GUEST_CR0, FLIP, 0x20, EXITED | FAILED | 33},
    {"guest CR4 without VMXE", VMCS_GUEST_CR4, FLIP, 1 << 13, EXITED | FAILED | 33},
    {"guest CR4 without PAE", VMCS_GUEST_CR4, FLIP, 1 << 5, EXITED | FAILED | 33},
    {"guest CR3 too wide", VMCS_GUEST_CR3, FLIP, 1ull << 60, EXITED | FAILED | 33},
    {"guest RFLAGS without bit 1", VMCS_GUEST_RFLAGS, SET, 0, EXITED | FAILED | 33},
    {"guest CS a data segment", VMCS_GUEST_CS_AR_BYTES, SET, 0xc093, EXITED | FAILED | 33},
    {"guest TR not usable", VMCS_GUEST_TR_AR_BYTES, SET, 0x10000, EXITED | FAILED | 33},
    {"guest SS of ring 3", VMCS_GUEST_SS_AR_BYTES, FLIP, 3 << 5, EXITED | FAILED | 33},
    {"guest RIP not canonical", VMCS_GUEST_RIP, SET, 1ull << 63, EXITED | FAILED | 33},
    {"guest activity state 4", VMCS_GUEST_ACTIVITY_STATE, SET, 4, EXITED | FAILED | 33},
    {"guest blocked by STI and MOV SS", VMCS_GUEST_INTERRUPTIBILITY_INFO, SET, 3, EXITED | FAILED | 33},
    {"link pointer to no page", VMCS_VMCS_LINK_POINTER, SET, 1, EXITED | FAILED | 33},
    {"nothing", VMCS_GUEST_RSP, FLIP, 0, EXITED | 18},
};
static void try_entries(void)
{
    for (unsigned n = 0; n < sizeof entries / sizeof *entries; n++) {
        if (entries[n].field == VMCS_EPT_POINTER && !has_ept)
            continue;
        good();
        u64 before = vmread(entries[n].field);
        put_field(entries[n].field, entries[n].how == FLIP ? before ^ entries[n].value : entries[n].value);
        unsigned got = answer(attempt(1));
        check(entries[n].what, got, entries[n].expected ? entries[n].expected : got == 8 ? 8 : 7);
        if (got == (EXITED | FAILED | 33)) {
            check("qualification", (unsigned)vmread(VMCS_EXIT_QUALIFICATION), entries[n].field == VMCS_VMCS_LINK_POINTER ? 4 : 0);
            check("VMRESUME after a failed entry", answer(attempt(0)), 5); // it did not launch
        }
        put_field(entries[n].field, before);
    }
    good();
    check("VMRESUME before VMLAUNCH", answer(attempt(0)), 5);
    check("VMLAUNCH behind MOV SS", answer(attempt(2)), 26);
    check("VMLAUNCH", answer(attempt(1)), EXITED | 18);
    check("VMLAUNCH again", answer(attempt(1)), 4);
    check("VMRESUME", answer(attempt(0)), EXITED | 18);
}

// The other instructions. Each macro gives 0, INVALID, or the error number.
#define OUTCOME(insn, ...)                                                                                                         \
    ({                                                                                                                             \
        unsigned char cf, zf;                                                                                                      \
        asm volatile(insn "; setc %0; setz %1" : "=&r"(cf), "=&r"(zf) : __VA_ARGS__ : "rax", "cc", "memory");                      \
        cf ? INVALID : zf ? (unsigned)vmread(VMCS_VM_INSTRUCTION_ERROR) : 0;                                                       \
    })
static u64 other[512] __attribute__((aligned(4096)));
static void try_instructions(void)
{
    u64 at = (u64)vmcs, on = (u64)vmxon_region, odd = (u64)vmcs + 8, bad = (u64)other, none[2] = {0, 0};
    good();
    other[0] = vmcs[0] ^ 1; // another revision
    check("VMCLEAR, not aligned", OUTCOME("vmclear %2", "m"(odd)), 2);
    check("VMCLEAR of the VMXON region", OUTCOME("vmclear %2", "m"(on)), 3);
    check("VMPTRLD, not aligned", OUTCOME("vmptrld %2", "m"(odd)), 9);
    check("VMPTRLD of the VMXON region", OUTCOME("vmptrld %2", "m"(on)), 10);
    check("VMPTRLD of another revision", OUTCOME("vmptrld %2", "m"(bad)), 11);
    check("VMREAD of no field", OUTCOME("vmread %2, %%rax", "r"(0x6fffull)), 12);
    check("VMWRITE of no field", OUTCOME("vmwrite %2, %3", "r"(0ull), "r"(0x6fffull)), 12);
    check("VMXON in root operation", OUTCOME("vmxon %2", "m"(on)), 15);
    if (has_ept)
        check("INVEPT of type 9", OUTCOME("invept %2, %3", "m"(none), "r"(9ull)), 28);
    check("INVVPID of type 9", OUTCOME("invvpid %2, %3", "m"(none), "r"(9ull)), 28);
    check("INVVPID of VPID 0", OUTCOME("invvpid %2, %3", "m"(none), "r"(1ull)), 28);
    check("VMCLEAR of the current VMCS", OUTCOME("vmclear %2", "m"(at)), 0);
    check("VMREAD without a VMCS", OUTCOME("vmread %2, %%rax", "r"((u64)VMCS_GUEST_RIP)), INVALID);
    check("VMRESUME without a VMCS", OUTCOME("vmresume", "m"(at)), INVALID);
    check("VMXOFF", OUTCOME("vmxoff", "m"(at)), 0);
}

void bench(void);
void bench(void)
{
    vmx_on();
    has_ept = rdmsr(0x48b) >> 33 & 1;
    try_entries();
    try_instructions();
    print_number(done, 10);
    print_text(wrong ? " answers, not all right: ENTRIES-FAILED\n" : " answers: ENTRIES-OK\n");
}
