// isa/frame.h: stack frames of far transfers and event delivery, on stacks that need not be current yet.
//
// A transfer collects what it will push, then isa_frame_write() checks every slot (segment limit, canonicality, paging) before the
// first byte is written, so that a fault leaves stack and registers as they were.
// MANUAL     "Stack Usage on Transfers to Interrupt and Exception-Handling Routines", "Stack Switching".
#ifndef ISA_FRAME_H
#define ISA_FRAME_H

#include "isa/seg.h"
#include "isa/stack.h"

#define ISA_FRAME_MAX 48
struct isa_frame {
    struct isa_seg ss; // the stack segment to push to
    uint64_t sp;       // current top; moves down as slots are added
    bool long_mode;    // 64-bit stack: no limit, canonical addresses
    unsigned acc;      // ISA_ACC_W with USER or SYS as the new privilege level asks
    uint32_t ss_error; // error code of #SS: the selector of a stack being switched to, or 0
    unsigned n;
    struct {
        uint64_t off, val;
        unsigned size;
    } slot[ISA_FRAME_MAX];
};

// A frame on the current stack, or on the stack ss:sp for privilege level cpl.
void isa_frame_current(struct isa_frame *f, const struct isa_cpu *c);
void isa_frame_switch(struct isa_frame *f, const struct isa_cpu *c, const struct isa_seg *ss, uint64_t sp, unsigned cpl,
                      bool long_mode);
void isa_frame_push(struct isa_frame *f, uint64_t val, unsigned size);
int isa_frame_write(struct isa_cpu *c, struct isa_frame *f);
// Read size bytes at the top of the current stack plus off, as a POP would.
static inline int isa_stack_read(struct isa_cpu *c, unsigned off, unsigned size, uint64_t *val)
{
    return isa_stack_ld(c, isa_sp(c) + off, size, val);
}
// The stack pointer n bytes up, in the stack's width.
static inline uint64_t isa_sp_up(const struct isa_cpu *c, unsigned n) { return (isa_sp(c) + n) & isa_stack_mask(c); }

#endif
