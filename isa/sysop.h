// isa/sysop.h: the bodies of the system instructions; isa/exec_*.c wraps each into a handler.
//
// One function per family of isa/opcodes.def, compiled once. Result 0: done; for rows that end a block the wrapper sets c->rip to the next
// instruction, except for the families marked "sets rip". Nonzero: the handler's result, nothing was committed.
// ORDER      #UD, then privilege, then the VM exit (in VMX non-root operation), then operands, as the manual orders them.
// MANUAL     "Instruction Set Reference"; "Instructions That Cause VM Exits" for the place of each VM exit.
#ifndef ISA_SYSOP_H
#define ISA_SYSOP_H

#include "isa/exec.h"

#define ISA_SYSOP(family) int isa_x_##family(struct isa_cpu *c, const struct isa_insn *i)

// isa/sys_cr.c: control, debug and model-specific registers, time stamps, CPUID, caches and TLBs
ISA_SYSOP(mov_r_c);
ISA_SYSOP(mov_c_r);
ISA_SYSOP(mov_r_d);
ISA_SYSOP(mov_d_r);
ISA_SYSOP(clts);
ISA_SYSOP(lmsw);
ISA_SYSOP(smsw);
ISA_SYSOP(rdmsr);
ISA_SYSOP(wrmsr);
ISA_SYSOP(xgetbv);
ISA_SYSOP(xsetbv);
ISA_SYSOP(rdpkru);
ISA_SYSOP(wrpkru);
// isa/sys_misc.c
ISA_SYSOP(rdtsc);
ISA_SYSOP(rdtscp);
ISA_SYSOP(rdpmc);
ISA_SYSOP(rdpid);
ISA_SYSOP(cpuid);
ISA_SYSOP(rdrand);
ISA_SYSOP(rdseed);
ISA_SYSOP(hlt);
ISA_SYSOP(pause);
ISA_SYSOP(monitor);
ISA_SYSOP(mwait);
ISA_SYSOP(invd);
ISA_SYSOP(wbinvd);
ISA_SYSOP(invlpg);
ISA_SYSOP(invpcid);
ISA_SYSOP(wait);
ISA_SYSOP(rsm);
ISA_SYSOP(getsec);
ISA_SYSOP(rdfsbase);
ISA_SYSOP(rdgsbase);
ISA_SYSOP(wrfsbase);
ISA_SYSOP(wrgsbase);
ISA_SYSOP(swapgs);
// isa/sys_flags.c
ISA_SYSOP(pushf);
ISA_SYSOP(popf);
ISA_SYSOP(cli);
ISA_SYSOP(sti);
ISA_SYSOP(clac);
ISA_SYSOP(stac);
// isa/sys_seg.c: segment registers, descriptor tables, descriptor queries
ISA_SYSOP(mov_e_s);
ISA_SYSOP(mov_s_e);
ISA_SYSOP(push_seg);
ISA_SYSOP(pop_seg);
ISA_SYSOP(lseg);
ISA_SYSOP(sgdt);
ISA_SYSOP(sidt);
ISA_SYSOP(lgdt);
ISA_SYSOP(lidt);
ISA_SYSOP(sldt);
ISA_SYSOP(str);
ISA_SYSOP(lldt);
ISA_SYSOP(ltr);
ISA_SYSOP(lar);
ISA_SYSOP(lsl);
ISA_SYSOP(verr);
ISA_SYSOP(verw);
ISA_SYSOP(arpl);
// isa/sys_far.c (all set rip)
ISA_SYSOP(jmp_far_ptr);
ISA_SYSOP(jmp_far_mem);
ISA_SYSOP(call_far_ptr);
ISA_SYSOP(call_far_mem);
ISA_SYSOP(ret_far);
ISA_SYSOP(ret_far_i);
ISA_SYSOP(iret);
ISA_SYSOP(int_n);
ISA_SYSOP(int3);
ISA_SYSOP(int1);
ISA_SYSOP(into);
ISA_SYSOP(syscall);
ISA_SYSOP(sysret);
ISA_SYSOP(sysenter);
ISA_SYSOP(sysexit);
// isa/sys_io.c (INS and OUTS set rip)
ISA_SYSOP(in_i);
ISA_SYSOP(in_dx);
ISA_SYSOP(out_i);
ISA_SYSOP(out_dx);
ISA_SYSOP(ins);
ISA_SYSOP(outs);

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
