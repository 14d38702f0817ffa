// isa/exec_far.c: handlers of instructions that set RIP themselves: thin wrappers around isa/sysop.h; and the VMX instructions.
#include "isa/sysop.h"

#define FAR          ISA_THIN_FAR
#define NEXT(family) // isa/exec_sys.c
#define END(family)
#define S(family, end) end(family);
#include "isa/sysops.def"
#undef S

// env->vmx() says STOP where a VM entry loaded the guest's RIP.
static int h_vmx(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    uint64_t next = isa_next_rip(c, i);
    int r = c->env->vmx(c, i);
    if (r && r != ISA_R_STOP)
        ISA_ABORT(c, i, r);
    if (!r)
        c->rip = next;
    ISA_END(c, i);
}
ISA_FAMILY1(vmx, h_vmx);

// VMREAD and VMWRITE change nothing that the next instruction depends on.
static int h_vmcs(struct isa_cpu *c, const struct isa_insn *i)
{
    ISA_HERE(c, i);
    int r = c->env->vmx(c, i);
    if (r)
        ISA_ABORT(c, i, r);
    ISA_NEXT(c, i);
}
ISA_FAMILY1(vmcs, h_vmcs);
