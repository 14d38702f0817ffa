// spare.c: exits that need not be (spare=1): a processor with VMCS shadowing lets our guest access its VMCS without us, and what CPUID says is kept.
//
// VMREAD and VMWRITE of a guest go to the shadow VMCS that VMCS 01 links to, unless the bitmaps say that they exit. The processor knows nothing of VMCS 12: so we
// copy the fields below into the shadow VMCS when L1 is about to run, and what L1 may have written back before we use it. All other fields exit as ever.
#include "hv.h"

// L1 may write the first WRITABLE of them; the rest is exit information.
static const uint16_t fields[] = {
    VMCS_GUEST_RIP,
    VMCS_GUEST_RSP,
    VMCS_GUEST_RFLAGS,
    VMCS_GUEST_CR0,
    VMCS_GUEST_CR3,
    VMCS_GUEST_CR4,
    VMCS_GUEST_CS_AR_BYTES,
    VMCS_GUEST_SS_AR_BYTES,
    VMCS_GUEST_INTERRUPTIBILITY_INFO,
    VMCS_GUEST_ACTIVITY_STATE,
    VMCS_CPU_BASED_VM_EXEC_CONTROL,
    VMCS_VM_ENTRY_INTR_INFO_FIELD,
    VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE,
    VMCS_VM_ENTRY_INSTRUCTION_LEN,
    VMCS_VM_EXIT_REASON,
    VMCS_EXIT_QUALIFICATION,
    VMCS_VM_EXIT_INTR_INFO,
    VMCS_VM_EXIT_INTR_ERROR_CODE,
    VMCS_IDT_VECTORING_INFO_FIELD,
    VMCS_IDT_VECTORING_ERROR_CODE,
    VMCS_VM_EXIT_INSTRUCTION_LEN,
    VMCS_VMX_INSTRUCTION_INFO,
    VMCS_GUEST_LINEAR_ADDRESS,
    VMCS_GUEST_PHYSICAL_ADDRESS,
};
enum { ALL = sizeof fields / sizeof *fields, WRITABLE = 14 };

static u32 region[1024] __attribute__((aligned(4096)));
static uint8_t read_exits[4096] __attribute__((aligned(4096))),
    write_exits[4096] __attribute__((aligned(4096))); // a bit for each field: it exits

static struct {
    u32 leaf, r[4];
} kept[64];
static unsigned nkept;

// Leaves of which ECX chooses a part are not kept.
static bool has_parts(u32 leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || (leaf >= 0xf && leaf < 0x40000000);
}
static void keep(u32 first)
{
    u32 last = first;
    for (u32 leaf = first; leaf <= last && nkept < sizeof kept / sizeof *kept; leaf++) {
        if (has_parts(leaf))
            continue;
        kept[nkept].leaf = kept[nkept].r[0] = leaf;
        cpuid(kept[nkept].r);
        if (leaf == first)
            last = kept[nkept].r[0];
        nkept++;
    }
}
bool spare_cpuid(u32 r[4])
{
    for (unsigned n = 0; n < nkept; n++)
        if (kept[n].leaf == r[0]) {
            for (unsigned k = 0; k < 4; k++)
                r[k] = kept[n].r[k];
            return true;
        }
    return false;
}

// VMCS 01 is current.
void spare_on(void)
{
    keep(0);
    keep(0x80000000);
    // It takes the control, and VMWRITE to exit information; a guest of somebody who offers neither does without.
    vm.shadowing = vm.ept && rdmsr(0x48b) >> 46 & 1 && rdmsr(0x485) >> 29 & 1;
    if (!vm.shadowing)
        return;
    for (unsigned n = 0; n < sizeof read_exits; n++)
        read_exits[n] = write_exits[n] = 0xff;
    for (unsigned n = 0; n < ALL; n++) {
        read_exits[fields[n] >> 3] &= (uint8_t) ~(1 << (fields[n] & 7));
        if (n < WRITABLE)
            write_exits[fields[n] >> 3] &= (uint8_t) ~(1 << (fields[n] & 7));
    }
    region[0] = revision | 0x80000000; // a shadow VMCS
    clear_vmcs(region);
    vmwrite(VMCS_SECONDARY_VM_EXEC_CONTROL, vmread(VMCS_SECONDARY_VM_EXEC_CONTROL) | 1 << 14);
    vmwrite(VMCS_VMREAD_BITMAP, (u64)read_exits);
    vmwrite(VMCS_VMWRITE_BITMAP, (u64)write_exits);
}

// The current VMCS of L1 is about to be used, or to be another one: fetch what L1 wrote.
void spare_fetch(void)
{
    if (!vm.shadowing || vm.vmcs12 == ~0ull)
        return;
    load_vmcs(region);
    for (unsigned n = 0; n < WRITABLE; n++)
        *vmcs12_field(fields[n]) = vmread(fields[n]);
    clear_vmcs(region); // what the processor keeps of it goes to memory
    load_vmcs(vmcs01);
}
// L1 is about to run, with another VMCS, or with new contents.
void spare_show(void)
{
    if (!vm.shadowing)
        return;
    if (vm.vmcs12 != ~0ull) {
        load_vmcs(region);
        for (unsigned n = 0; n < ALL; n++)
            vmwrite(fields[n], *vmcs12_field(fields[n]));
        clear_vmcs(region);
        load_vmcs(vmcs01);
    }
    vmwrite(VMCS_VMCS_LINK_POINTER, vm.vmcs12 == ~0ull ? ~0ull : (u64)region); // with none, VMREAD fails without us, too
}
