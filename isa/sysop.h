// isa/sysop.h: the bodies of the system instructions; isa/exec_*.c wraps each into a handler.
//
// One function per family of isa/opcodes.def, compiled once. Result 0: done; for rows that end a block the wrapper sets c->rip to the next
// instruction, except for the families that set it themselves (FAR in isa/sysops.def). Nonzero: the handler's result, nothing was committed.
// ORDER      #UD, then privilege, then the VM exit (in VMX non-root operation), then operands, as the manual orders them.
// MANUAL     "Instruction Set Reference"; "Instructions That Cause VM Exits" for the place of each VM exit.
#ifndef ISA_SYSOP_H
#define ISA_SYSOP_H

#include "isa/exec.h"

#define ISA_SYSOP(family) int isa_x_##family(struct isa_cpu *c, const struct isa_insn *i)

#define S(family, end)    ISA_SYSOP(family);
#include "isa/sysops.def"
#undef S

// --- shared by these files

static inline int isa_need_cpl0(struct isa_cpu *c) { return c->cpl ? isa_gp0(c, ISA_RULE_GP_CPL0) : 0; }

static inline int isa_icpt(struct isa_cpu *c, const struct isa_insn *i, enum isa_icpt point, uint64_t arg, uint64_t *val)
{
    return c->vmx == ISA_VMX_NONROOT ? c->env->intercept(c, i, point, arg, val) : 0;
}

// CPL may exceed IOPL here only if this is 0 (real mode has CPL 0, virtual-8086 mode CPL 3).
static inline bool isa_iopl_ok(const struct isa_cpu *c) { return c->cpl <= (c->rflags_sys & ISA_FL_IOPL) >> ISA_FL_IOPL_SHIFT; }

// Linear address of the memory operand without any check, for VM-exit information.
static inline uint64_t isa_raw_la(const struct isa_cpu *c, const struct isa_insn *i)
{
    if (c->mode == ISA_LONG64)
        return isa_ea(c, i) + (i->seg >= ISA_FS ? c->seg[i->seg].base : 0);
    return (uint32_t)(isa_ea(c, i) + c->seg[i->seg].base);
}

// Registers by operand size (2, 4, 8).
static inline void isa_wreg(struct isa_cpu *c, unsigned r, unsigned size, uint64_t v)
{
    if (size == 2)
        isa_w16(c, r, (uint16_t)v);
    else
        c->gpr[r] = size == 4 ? (uint32_t)v : v;
}

#endif
