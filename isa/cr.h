// isa/cr.h: writing control registers and EFER, with every rule that makes the write fault.
//
// RESULTS    0: done, translations invalidated (env->inval), observers told (env->on_cr), mode recomputed; or ISA_R_FAULT (#GP(0)), or
//            the result of a failed PDPTE load, with nothing changed. Privilege and intercepts are the caller's business.
// VMX        while c->vmx is not OFF the fixed bits cr0_fixed0 .. cr4_fixed1 of struct isa_cpu apply.
// MANUAL     "Control Registers", "MOV--Move to/from Control Registers", "Paging-Mode Enabling".
#ifndef ISA_CR_H
#define ISA_CR_H

#include "isa/env.h"
#include "isa/fault.h"

int isa_set_cr0(struct isa_cpu *c, uint64_t v);
int isa_set_cr3(struct isa_cpu *c, uint64_t v);
int isa_set_cr4(struct isa_cpu *c, uint64_t v);
int isa_set_cr8(struct isa_cpu *c, uint64_t v);
int isa_set_efer(struct isa_cpu *c, uint64_t v);
int isa_set_xcr0(struct isa_cpu *c, uint64_t v);
void isa_set_pkru(struct isa_cpu *c, uint32_t v); // PKRU decides what translations allow: the machine is told (env->context)

// PAE paging is in use (CR0.PG, CR4.PAE, not IA-32e): CR3 points at four PDPTEs that the processor keeps in registers.
static inline bool isa_pae_paging(const struct isa_cpu *c)
{
    return (c->cr0 & ISA_CR0_PG) && (c->cr4 & ISA_CR4_PAE) && !(c->efer & ISA_EFER_LMA);
}
// Read and check the PDPTEs at cr3: #GP(0) if a present one has reserved bits set. Fills out[4] only.
int isa_read_pdptes(struct isa_cpu *c, uint64_t cr3, uint64_t out[4]);

// Canonical for the widest linear addresses that the processor has, whatever the paging mode: what registers that hold an address may be
// loaded with (MSRs, segment and table bases), and what instructions that invalidate translations may name.
bool isa_canonical_base(struct isa_cpu *c, uint64_t la);

// CR4 bits that this processor's CPUID allows; physical-address width; reserved bits above it.
uint64_t isa_cr4_allowed(struct isa_cpu *c);
unsigned isa_maxphyaddr(struct isa_cpu *c);

// Effect of loading DR7 or DR6 (reserved bits fixed).
#define ISA_DR6_INIT 0xffff0ff0ull
#define ISA_DR7_INIT 0x400ull
#define ISA_DR6_BD   (1u << 13)
#define ISA_DR6_BS   (1u << 14)
#define ISA_DR6_BT   (1u << 15)
#define ISA_DR7_GD   (1u << 13)
int isa_set_dr(struct isa_cpu *c, unsigned n, uint64_t v);
uint64_t isa_get_dr(const struct isa_cpu *c, unsigned n);

#endif
