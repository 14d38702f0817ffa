// isa/far.h: far JMP, CALL and RET, and IRET, in every mode.
//
// MODELS     direct transfers, call gates of 16, 32 and 64 bits with stack switch and copied parameters, task gates and TSSs,
//            conforming segments, returns to outer levels, IRET to virtual-8086 mode and out of nested tasks.
// RESULTS    0: done, c->rip holds the target and the mode is up to date; else the fault or VM exit, with nothing committed.
//            c->rip is not read: the address of the next instruction comes from i.
// MANUAL     "Calling Procedures Using CALL and RET", "Privilege Level Checking When Transferring Program Control Between Code
//            Segments", and the pages of CALL, JMP, RET, IRET.
#ifndef ISA_FAR_H
#define ISA_FAR_H

#include "isa/seg.h"

// osz: operand size in bytes, 2, 4 or 8.
int isa_far_jmp(struct isa_cpu *c, const struct isa_insn *i, uint16_t sel, uint64_t off, unsigned osz);
int isa_far_call(struct isa_cpu *c, const struct isa_insn *i, uint16_t sel, uint64_t off, unsigned osz);
// pop: bytes of parameters to release.
int isa_far_ret(struct isa_cpu *c, const struct isa_insn *i, unsigned osz, unsigned pop);
int isa_iret(struct isa_cpu *c, const struct isa_insn *i, unsigned osz);

// Which RFLAGS bits POPF and IRET may change at this privilege level, given the operand size.
uint64_t isa_flags_writable(const struct isa_cpu *c, unsigned osz, bool iret);

// The stack pointers of level dpl in the current TSS (32- and 16-bit TSS: with SS). #TS if the TSS is too short.
int isa_tss_stack(struct isa_cpu *c, unsigned dpl, uint16_t *ss, uint64_t *sp);
// In IA-32e mode: RSP0..2 (slot 0..2) or IST1..7 (slot 3 + n).
int isa_tss_rsp(struct isa_cpu *c, unsigned slot, uint64_t *rsp);

#endif
