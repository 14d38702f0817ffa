// isa/mpx.h: memory-protection extensions: bounds that go with pointers, checked by instructions of their own.
//
// MODELS     BND0..BND3, each a lower bound and the one's complement of an upper bound, so that zeros allow every address; BNDCFGU and
//            IA32_BNDCFGS, which configure MPX for CPL 3 and for CPL below 3:
//                63..12 base of the bound directory   11..2 reserved   1 BNDPRESERVE   0 enable
//            and BNDSTATUS, which tells why #BR was raised: 1 a bound was broken; 2, with its address, an entry of the directory is invalid.
// ENABLED    if CR4.OSXSAVE and bits 3 and 4 of XCR0 are 1, and bit 0 of the configuration of the current privilege level. Else the
//            instructions are the no-operations that they are to processors without MPX. Blocks are decoded for one or the other
//            (ISA_KEY_MPX), so nothing asks when it runs.
// BRANCHES   while MPX is enabled, near CALL, RET, JMP (not the short one) and Jcc without the prefix BND (F2) set all bounds to zeros,
//            unless BNDPRESERVE: handlers of their own do that, which are chosen when a block is decoded.
// MANUAL     "Intel Memory Protection Extensions"; the pages of BNDMK, BNDCL, BNDCU, BNDCN, BNDMOV, BNDLDX and BNDSTX.
#ifndef ISA_MPX_H
#define ISA_MPX_H

#include "isa/insn.h"
#include "isa/xstate.h"

#define ISA_BNDCFG_EN       1ull
#define ISA_BNDCFG_PRESERVE 2ull
#define ISA_BNDCFG_RESERVED 0xffcull
#define ISA_BNDSTATUS_BOUND 1ull
#define ISA_BNDSTATUS_ENTRY 2ull

// Would this configuration enable MPX?
static inline bool isa_mpx_on(const struct isa_cpu *c, uint64_t cfg)
{
    return (cfg & ISA_BNDCFG_EN) && (c->cr4 & ISA_CR4_OSXSAVE) && (c->xcr0 & ISA_XS_MPX) == ISA_XS_MPX;
}
// That of the current privilege level.
static inline uint64_t isa_bndcfg(const struct isa_cpu *c) { return c->cpl == 3 ? c->bndcfgu : c->bndcfgs; }

// Load a configuration; it was checked.
void isa_set_bndcfgs(struct isa_cpu *c, uint64_t v);
// From an XSAVE area, which no fault refuses: the base is made canonical, reserved bits are dropped.
void isa_set_bndcfgu(struct isa_cpu *c, uint64_t v);
// A near branch without BND: zeros in all bound registers, unless the configuration preserves them.
void isa_bounds_init(struct isa_cpu *c);
// BOUND raises #BR, which is then no matter of MPX: BNDSTATUS = 0.
int isa_bound_broken(struct isa_cpu *c);

// The bodies of the instructions (isa/exec_mpx.c wraps them).
#define ISA_MPXOP(family) int isa_x_##family(struct isa_cpu *c, const struct isa_insn *i)
ISA_MPXOP(bndmk);
ISA_MPXOP(bndcl);
ISA_MPXOP(bndcu);
ISA_MPXOP(bndcn);
ISA_MPXOP(bndmov_g_e);
ISA_MPXOP(bndmov_e_g);
ISA_MPXOP(bndldx);
ISA_MPXOP(bndstx);

#endif
