// isa/operand.h: how the unprivileged handlers are generated: bodies, and their operands.
//
// A handler is written as a body: an inline function name_b(c, i, fast) that computes and commits, and returns 0, or the reason why
// it committed nothing. ISA_HANDLER(name) makes two handlers of it:
//    name        fast = true: memory is reached through the inline TLB alone, nothing can fault; a leaf without stack frame. If the
//                body returns nonzero, it jumps to
//    name_slow   fast = false: every check, segmentation, faults; the same body from the start.
// So the common path carries no code for the rare one, and neither path says anything twice.
//
// BITS is 8, 16, 32 or 64 throughout. G is the register operand (ModRM.reg), E the register-or-memory operand, of which
// the bodies' names say which form they serve (r, m).
#ifndef ISA_OPERAND_H
#define ISA_OPERAND_H

#include "isa/mem.h"
#include "isa/stack.h"

#define ISA_INLINE  static inline __attribute__((always_inline))
#define ISA_COLD    static __attribute__((noinline, cold))
#define ISA_GO_SLOW (-1) // what a fast body returns where it cannot go on
#define ISA_RARE(x) __builtin_expect(!!(x), 0)

#define ISA_HANDLER(name)                                                                                                          \
    ISA_COLD int name##_slow(struct isa_cpu *c, const struct isa_insn *i)                                                          \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r_ = name##_b(c, i, false);                                                                                            \
        if (r_)                                                                                                                    \
            ISA_ABORT(c, i, r_);                                                                                                   \
        ISA_NEXT(c, i);                                                                                                            \
    }                                                                                                                              \
    static int name(struct isa_cpu *c, const struct isa_insn *i)                                                                   \
    {                                                                                                                              \
        if (ISA_RARE(name##_b(c, i, true)))                                                                                        \
            return name##_slow(c, i);                                                                                              \
        ISA_NEXT(c, i);                                                                                                            \
    }
// The same for rows that end a block: the body sets c->rip.
#define ISA_HANDLER_END(name)                                                                                                      \
    ISA_COLD int name##_slow(struct isa_cpu *c, const struct isa_insn *i)                                                          \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r_ = name##_b(c, i, false);                                                                                            \
        if (r_)                                                                                                                    \
            ISA_ABORT(c, i, r_);                                                                                                   \
        ISA_END(c, i);                                                                                                             \
    }                                                                                                                              \
    static int name(struct isa_cpu *c, const struct isa_insn *i)                                                                   \
    {                                                                                                                              \
        if (ISA_RARE(name##_b(c, i, true)))                                                                                        \
            return name##_slow(c, i);                                                                                              \
        ISA_END(c, i);                                                                                                             \
    }
// (A file may use some of a family's bodies only: isa/exec_fused.c.)
#define ISA_BODY(name) ISA_INLINE __attribute__((unused)) int name##_b(struct isa_cpu *c, const struct isa_insn *i, bool fast)

// Sign extension to 64 bits, as isa/flags.h wants operands.
ISA_INLINE uint64_t isa_sx8(uint8_t v) { return (uint64_t)(int64_t)(int8_t)v; }
ISA_INLINE uint64_t isa_sx16(uint16_t v) { return (uint64_t)(int64_t)(int16_t)v; }
ISA_INLINE uint64_t isa_sx32(uint32_t v) { return (uint64_t)(int64_t)(int32_t)v; }
ISA_INLINE uint64_t isa_sx64(uint64_t v) { return v; }

// Registers by number, all widths.
ISA_INLINE uint64_t isa_r64(const struct isa_cpu *c, unsigned r) { return c->gpr[r]; }
ISA_INLINE void isa_w64(struct isa_cpu *c, unsigned r, uint64_t v) { c->gpr[r] = v; }

// Register operands of the instruction, all widths.
#define ISA_REGS(bits, greg, ereg)                                                                                                 \
    ISA_INLINE uint##bits##_t isa_g##bits(const struct isa_cpu *c, const struct isa_insn *i) { return isa_r##bits(c, i->greg); }   \
    ISA_INLINE void isa_setg##bits(struct isa_cpu *c, const struct isa_insn *i, uint##bits##_t v) { isa_w##bits(c, i->greg, v); }  \
    ISA_INLINE uint##bits##_t isa_e##bits(const struct isa_cpu *c, const struct isa_insn *i) { return isa_r##bits(c, i->ereg); }   \
    ISA_INLINE void isa_sete##bits(struct isa_cpu *c, const struct isa_insn *i, uint##bits##_t v) { isa_w##bits(c, i->ereg, v); }
ISA_REGS(8, reg8, rm8)
ISA_REGS(16, reg, rm)
ISA_REGS(32, reg, rm)
ISA_REGS(64, reg, rm)
#undef ISA_REGS

// The memory operand. A place remembers where a read-modify-write read, so that the write needs no second look-up.
struct isa_place {
    uint64_t la;
    void *host;
};

// Linear address without a fault: flat segments, and FS and GS in 64-bit mode. An address that is not canonical hits no inline TLB.
ISA_INLINE bool isa_fast_la(const struct isa_cpu *c, const struct isa_insn *i, uint64_t *la)
{
    if (__builtin_expect(i->simple, 1)) {
        *la = c->gpr[i->base] + (c->gpr[i->index] << i->scale) + i->disp;
        return true;
    }
    *la = isa_ea(c, i);
    if (i->segchk) {
        if (c->mode != ISA_LONG64)
            return false;
        *la += c->seg[i->seg].base;
    }
    return true;
}

#define ISA_OPMEM(bits)                                                                                                            \
    /* Read. */                                                                                                                    \
    ISA_INLINE int isa_opld##bits(struct isa_cpu *c, const struct isa_insn *i, bool fast, uint##bits##_t *v)                       \
    {                                                                                                                              \
        if (fast) {                                                                                                                \
            uint64_t la;                                                                                                           \
            if (!isa_fast_la(c, i, &la))                                                                                           \
                return ISA_GO_SLOW;                                                                                                \
            const struct isa_mirror *e = isa_hit(c->rd, c, la, bits / 8);                                                          \
            if (!e)                                                                                                                \
                return ISA_GO_SLOW;                                                                                                \
            memcpy(v, (const void *)(uintptr_t)(e->addend + la), bits / 8);                                                        \
            return 0;                                                                                                              \
        }                                                                                                                          \
        uint64_t la;                                                                                                               \
        int r = isa_operand_la(c, i, bits / 8, ISA_ACC_R, &la);                                                                    \
        if (r)                                                                                                                     \
            return r;                                                                                                              \
        struct isa_loaded x = isa_ld_v(c, la, bits / 8, ISA_ACC_R); /* the inline TLB has just been asked */                       \
        *v = (uint##bits##_t)x.v;                                                                                                  \
        return x.r;                                                                                                                \
    }                                                                                                                              \
    /* Write. */                                                                                                                   \
    ISA_INLINE int isa_opst##bits(struct isa_cpu *c, const struct isa_insn *i, bool fast, uint##bits##_t v)                        \
    {                                                                                                                              \
        if (fast) {                                                                                                                \
            uint64_t la;                                                                                                           \
            if (!isa_fast_la(c, i, &la))                                                                                           \
                return ISA_GO_SLOW;                                                                                                \
            const struct isa_mirror *e = isa_hit(c->wr, c, la, bits / 8);                                                          \
            if (!e)                                                                                                                \
                return ISA_GO_SLOW;                                                                                                \
            memcpy((void *)(uintptr_t)(e->addend + la), &v, bits / 8);                                                             \
            return 0;                                                                                                              \
        }                                                                                                                          \
        uint64_t la;                                                                                                               \
        int r = isa_operand_la(c, i, bits / 8, ISA_ACC_W, &la);                                                                    \
        return r ? r : isa_st_v(c, la, v, bits / 8, ISA_ACC_W);                                                                    \
    }                                                                                                                              \
    /* Read at a linear address what will be written: see isa_place. */                                                            \
    ISA_INLINE int isa_lardw##bits(struct isa_cpu *c, bool fast, struct isa_place *p, uint##bits##_t *v)                           \
    {                                                                                                                              \
        if (fast) {                                                                                                                \
            const struct isa_mirror *e = isa_hit(c->wr, c, p->la, bits / 8);                                                       \
            if (!e)                                                                                                                \
                return ISA_GO_SLOW;                                                                                                \
            p->host = (void *)(uintptr_t)(e->addend + p->la);                                                                      \
            memcpy(v, p->host, bits / 8);                                                                                          \
            return 0;                                                                                                              \
        }                                                                                                                          \
        return isa_ldw##bits(c, p->la, v);                                                                                         \
    }                                                                                                                              \
    ISA_INLINE int isa_oprdw##bits(struct isa_cpu *c, const struct isa_insn *i, bool fast, struct isa_place *p, uint##bits##_t *v) \
    {                                                                                                                              \
        if (fast) {                                                                                                                \
            if (!isa_fast_la(c, i, &p->la))                                                                                        \
                return ISA_GO_SLOW;                                                                                                \
        } else {                                                                                                                   \
            int r = isa_operand_la(c, i, bits / 8, ISA_ACC_W, &p->la);                                                             \
            if (r)                                                                                                                 \
                return r;                                                                                                          \
        }                                                                                                                          \
        return isa_lardw##bits(c, fast, p, v);                                                                                     \
    }                                                                                                                              \
    ISA_INLINE int isa_opwr##bits(struct isa_cpu *c, bool fast, const struct isa_place *p, uint##bits##_t v)                       \
    {                                                                                                                              \
        if (fast) {                                                                                                                \
            memcpy(p->host, &v, bits / 8);                                                                                         \
            return 0;                                                                                                              \
        }                                                                                                                          \
        return isa_st##bits(c, p->la, v);                                                                                          \
    }
ISA_OPMEM(8)
ISA_OPMEM(16)
ISA_OPMEM(32)
ISA_OPMEM(64)
#undef ISA_OPMEM

// Push; pop; and look at the top of the stack. 64-bit operands exist in 64-bit mode only, 32-bit ones never there.
#define ISA_OPSTACK(bits)                                                                                                          \
    ISA_INLINE bool isa_stack_fast##bits(const struct isa_cpu *c)                                                                  \
    {                                                                                                                              \
        bool flat32 = (c->seg_flat & 1u << ISA_SS) && (c->seg[ISA_SS].ar & ISA_AR_DB);                                             \
        return bits == 64 || (bits == 16 && c->mode == ISA_LONG64) || (c->mode != ISA_LONG64 && flat32);                           \
    }                                                                                                                              \
    ISA_INLINE uint64_t isa_stack_wrap##bits(const struct isa_cpu *c, uint64_t sp)                                                 \
    {                                                                                                                              \
        return bits == 64 || (bits == 16 && c->mode == ISA_LONG64) ? sp : (uint32_t)sp;                                            \
    }                                                                                                                              \
    ISA_INLINE int isa_push##bits(struct isa_cpu *c, bool fast, uint##bits##_t v)                                                  \
    {                                                                                                                              \
        if (!fast)                                                                                                                 \
            return isa_push(c, bits / 8, v);                                                                                       \
        if (ISA_RARE(!isa_stack_fast##bits(c)))                                                                                    \
            return ISA_GO_SLOW;                                                                                                    \
        uint64_t sp = isa_stack_wrap##bits(c, c->gpr[ISA_RSP] - bits / 8);                                                         \
        const struct isa_mirror *e = isa_hit(c->wr, c, sp, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return ISA_GO_SLOW;                                                                                                    \
        memcpy((void *)(uintptr_t)(e->addend + sp), &v, bits / 8);                                                                 \
        c->gpr[ISA_RSP] = sp;                                                                                                      \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    ISA_INLINE int isa_peek##bits(struct isa_cpu *c, bool fast, uint##bits##_t *v)                                                 \
    {                                                                                                                              \
        if (!fast) {                                                                                                               \
            uint64_t x;                                                                                                            \
            int r = isa_stack_ld(c, isa_sp(c), bits / 8, &x);                                                                      \
            *v = (uint##bits##_t)x;                                                                                                \
            return r;                                                                                                              \
        }                                                                                                                          \
        if (ISA_RARE(!isa_stack_fast##bits(c)))                                                                                    \
            return ISA_GO_SLOW;                                                                                                    \
        uint64_t sp = isa_stack_wrap##bits(c, c->gpr[ISA_RSP]);                                                                    \
        const struct isa_mirror *e = isa_hit(c->rd, c, sp, bits / 8);                                                              \
        if (!e)                                                                                                                    \
            return ISA_GO_SLOW;                                                                                                    \
        memcpy(v, (const void *)(uintptr_t)(e->addend + sp), bits / 8);                                                            \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    /* Move the stack pointer after a peek. */                                                                                     \
    ISA_INLINE void isa_drop##bits(struct isa_cpu *c, bool fast, unsigned n)                                                       \
    {                                                                                                                              \
        if (fast)                                                                                                                  \
            c->gpr[ISA_RSP] = isa_stack_wrap##bits(c, c->gpr[ISA_RSP] + n);                                                        \
        else                                                                                                                       \
            isa_set_sp(c, isa_sp(c) + n);                                                                                          \
    }
ISA_OPSTACK(16)
ISA_OPSTACK(32)
ISA_OPSTACK(64)
#undef ISA_OPSTACK

// Return from the enclosing body if an access failed.
#define ISA_TRY(expr)                                                                                                              \
    do {                                                                                                                           \
        int r_ = (expr);                                                                                                           \
        if (r_)                                                                                                                    \
            return r_;                                                                                                             \
    } while (0)

// Handlers of an instruction that only reads E, from ISA_INLINE int name<bits>(c, i, fast, value of E).
#define ISA_READS_E(name, bits)                                                                                                    \
    ISA_BODY(name##bits##r) { return name##bits(c, i, fast, isa_e##bits(c, i)); }                                                  \
    ISA_BODY(name##bits##m)                                                                                                        \
    {                                                                                                                              \
        uint##bits##_t v;                                                                                                          \
        ISA_TRY(isa_opld##bits(c, i, fast, &v));                                                                                   \
        return name##bits(c, i, fast, v);                                                                                          \
    }                                                                                                                              \
    ISA_HANDLER(name##bits##r)                                                                                                     \
    ISA_HANDLER(name##bits##m)
#define ISA_E_FN(name, bits) ISA_INLINE int name##bits(struct isa_cpu *c, const struct isa_insn *i, bool fast, uint##bits##_t e)

// A family from handlers named stem8r ... stem64m; and one whose byte forms do not exist.
#define ISA_FAMILY8(name, s) ISA_FAMILY(name, s##8r, s##8m, s##16r, s##16m, s##32r, s##32m, s##64r, s##64m)
#define ISA_FAMILY6(name, s) ISA_FAMILY(name, isa_h_bug, isa_h_bug, s##16r, s##16m, s##32r, s##32m, s##64r, s##64m)
#define ISA_FAMILY4(name, s)                                                                                                       \
    ISA_FAMILY(name, isa_h_bug, isa_h_bug, isa_h_bug, isa_h_bug, s##32r, s##32m, s##64r, s##64m) // 32 and 64 bits alone
// A conditional family (ISA_F_COND) has eight handlers for each of the sixteen conditions; ROW(cc) gives eight, with a comma at the end.
#define ISA_EACH_COND(M)                                                                                                           \
    M(0)                                                                                                                           \
    M(1)                                                                                                                           \
    M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(a) M(b) M(c) M(d) M(e) M(f)
#define ISA_FAMILY_COND(name, ROW) isa_handler *const ISA_H(isa_f_##name)[16 * 8] = {ISA_EACH_COND(ROW)}
// Families whose handlers depend on the size alone.
#define ISA_FAMILY8S(name, s)      ISA_FAMILY(name, s##8, s##8, s##16, s##16, s##32, s##32, s##64, s##64)
#define ISA_FAMILY6S(name, s)      ISA_FAMILY(name, isa_h_bug, isa_h_bug, s##16, s##16, s##32, s##32, s##64, s##64)

#endif
