// isa/x87.h: the frame of x87 instructions.
//
// An instruction begins (availability, pending exceptions), reads memory, computes with an environment that collects exceptions, commits
// registers unless an unmasked exception of the operands blocks it, and ends: status word, FIP, and FOP and FDP for unmasked exceptions.
// MANUAL     "x87 FPU Floating-Point Exception Handling", "x87 FPU Floating-Point Exception Conditions".
#ifndef ISA_X87_H
#define ISA_X87_H

#include "isa/fp.h"

#define X(family) ISA_FPOP(family);
#include "isa/x87.def"
#undef X

// One instruction under way.
struct isa_x87_run {
    struct isa_cpu *c;
    const struct isa_insn *i;
    struct isa_x87 *x;
    struct isa_fp_env e;
    bool stack_fault, overflow; // stack fault; it is an overflow
    bool keep_c1;               // C1 changes at stack faults only
};

int isa_x87_begin(struct isa_x87_run *o, struct isa_cpu *c, const struct isa_insn *i);
int isa_x87_end(struct isa_x87_run *o); // always 0
// An unmasked exception that leaves the operands as they were.
static inline bool isa_x87_blocked(const struct isa_x87_run *o)
{
    return (o->e.flags & ~(unsigned)o->e.masks & (ISA_FX_I | ISA_FX_D | ISA_FX_Z)) != 0;
}

static inline struct isa_f80 *isa_x87_st(struct isa_x87 *x, unsigned k) { return &x->r[isa_x87_phys(x, k)]; }
static inline bool isa_x87_empty(const struct isa_x87 *x, unsigned k) { return !(x->valid >> isa_x87_phys(x, k) & 1); }
bool isa_x87_need(struct isa_x87_run *o, unsigned k);               // ST(k) holds something, else stack underflow
static inline bool isa_x87_need2(struct isa_x87_run *o, unsigned k) // ST(0) and ST(k)
{
    bool a = isa_x87_need(o, 0), b = isa_x87_need(o, k);
    return a && b;
}
bool isa_x87_room(struct isa_x87_run *o); // there is room to push, else stack overflow
void isa_x87_put(struct isa_x87_run *o, unsigned k, struct isa_fp v);
void isa_x87_push(struct isa_x87_run *o, struct isa_fp v);
void isa_x87_pop(struct isa_x87_run *o);
static inline struct isa_fp isa_x87_get(struct isa_x87_run *o, unsigned k) { return isa_fp_un80(*isa_x87_st(o->x, k)); }
static inline void isa_x87_cc(struct isa_x87_run *o, unsigned mask, unsigned bits)
{
    o->x->sw = (uint16_t)((o->x->sw & ~mask) | bits);
}
// The format that precision control asks for.
struct isa_fp_format isa_x87_format(const struct isa_x87 *x);

#endif
