// isa/fpu.h: the x87, MMX and SSE units: control words, availability, state images.
//
// MODELS     when an instruction of these units may run (#UD, #NM, #MF), the control and status words, MMX aliasing, FXSAVE, FSAVE.
// MANUAL     "Programming with the x87 FPU", "Programming with Intel MMX Technology", "Programming with Intel Streaming SIMD Extensions".
//
// FSW  15 14  13..11 10 9  8  7  6  5  4  3  2  1  0        FCW  12 11..10 9..8 6 5  4  3  2  1  0
//      B  C3  TOP    C2 C1 C0 ES SF PE UE OE ZE DE IE            X  RC     PC   1 PM UM OM ZM DM IM
// MXCSR  15 14..13 12 11 10 9  8  7  6   5  4  3  2  1  0
//        FZ RC     PM UM OM ZM DM IM DAZ PE UE OE ZE DE IE
#ifndef ISA_FPU_H
#define ISA_FPU_H

#include "isa/insn.h"

// Exception flags, as in FSW and MXCSR; masks are the same bits of FCW, and 7 places higher in MXCSR.
#define ISA_FX_I       0x01u
#define ISA_FX_D       0x02u
#define ISA_FX_Z       0x04u
#define ISA_FX_O       0x08u
#define ISA_FX_U       0x10u
#define ISA_FX_P       0x20u
#define ISA_FX_ALL     0x3fu

#define ISA_FSW_SF     0x0040u
#define ISA_FSW_ES     0x0080u
#define ISA_FSW_C0     0x0100u
#define ISA_FSW_C1     0x0200u
#define ISA_FSW_C2     0x0400u
#define ISA_FSW_C3     0x4000u
#define ISA_FSW_B      0x8000u
#define ISA_FSW_CC     (ISA_FSW_C0 | ISA_FSW_C1 | ISA_FSW_C2 | ISA_FSW_C3)
#define ISA_FSW_TOP    0x3800u

#define ISA_FCW_INIT   0x037fu
#define ISA_MXCSR_INIT 0x1f80u
#define ISA_MXCSR_DAZ  0x0040u
#define ISA_MXCSR_FZ   0x8000u
#define ISA_MXCSR_MASK 0xffffu // bits that exist

static inline unsigned isa_x87_top(const struct isa_x87 *x) { return x->sw >> 11 & 7; }
static inline void isa_x87_set_top(struct isa_x87 *x, unsigned top)
{
    x->sw = (uint16_t)((x->sw & ~ISA_FSW_TOP) | (top & 7) << 11);
}
// Physical number of ST(k).
static inline unsigned isa_x87_phys(const struct isa_x87 *x, unsigned k) { return (isa_x87_top(x) + k) & 7; }

// 0, or the fault: an unmasked exception of an earlier x87 instruction (#MF with CR0.NE; without it nothing: docs/quirks.md).
int isa_x87_pending(struct isa_cpu *c);
// May an x87 instruction run? waiting: it reports pending exceptions (all but FN... instructions).
int isa_x87_on(struct isa_cpu *c, bool waiting);
int isa_mmx_on(struct isa_cpu *c);
int isa_sse_on(struct isa_cpu *c);
static inline bool isa_sse_off(const struct isa_cpu *c)
{
    return ((c->cr0 & (ISA_CR0_EM | ISA_CR0_TS)) | (~c->cr4 & ISA_CR4_OSFXSR)) != 0;
}

// ES and B follow from the flags and masks.
void isa_x87_summary(struct isa_x87 *x);
// FNINIT, and the tag word in its 16-bit form.
void isa_x87_init(struct isa_x87 *x);
uint16_t isa_x87_tags(const struct isa_x87 *x);
void isa_x87_set_tags(struct isa_x87 *x, uint16_t tags);
// What every MMX instruction does to the x87 state; a written register also gets exponent FFFFH.
void isa_mmx_enter(struct isa_x87 *x);
static inline void isa_mmx_write(struct isa_x87 *x, unsigned r, uint64_t v)
{
    x->r[r].sig = v;
    x->r[r].se = 0xffff;
}

// The legacy region of FXSAVE and XSAVE, 512 bytes, in the format that wide chooses (REX.W: 64-bit pointers). Parts: the x87 state,
// MXCSR, XMM registers (0..7 outside 64-bit mode).
void isa_fx_put_x87(const struct isa_cpu *c, uint8_t *area, bool wide);
void isa_fx_get_x87(struct isa_cpu *c, const uint8_t *area, bool wide);

// Instructions: 0, or the fault.
#define ISA_FPOP(name) int isa_x_##name(struct isa_cpu *c, const struct isa_insn *i)
ISA_FPOP(fninit);
ISA_FPOP(fnclex);
ISA_FPOP(fnopx);
ISA_FPOP(fnstcw);
ISA_FPOP(fldcw);
ISA_FPOP(fnstsw_m);
ISA_FPOP(fnstsw_ax);
ISA_FPOP(fnstenv);
ISA_FPOP(fldenv);
ISA_FPOP(fnsave);
ISA_FPOP(frstor);
ISA_FPOP(fxsave);
ISA_FPOP(fxrstor);
ISA_FPOP(ldmxcsr);
ISA_FPOP(stmxcsr);
ISA_FPOP(ldmxcsr_y); // the VEX forms
ISA_FPOP(stmxcsr_y);
ISA_FPOP(emms);
ISA_FPOP(xsave);
ISA_FPOP(xsaveopt);
ISA_FPOP(xsavec);
ISA_FPOP(xrstor);
ISA_FPOP(xsaves);
ISA_FPOP(xrstors);
// The components that are not in their initial state, as XGETBV with ECX = 1 sees them.
uint64_t isa_xinuse(const struct isa_cpu *c);

#endif
