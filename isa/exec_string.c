// isa/exec_string.c: MOVS, CMPS, STOS, LODS, SCAS and their repetition.
//
// MODELS     direction, address size, the segment override of the source (the destination is always ES). Each iteration commits by
//            itself: after a fault the registers stand at the iteration that failed, as on the processor.
// CHUNKS     a repetition gives way to the engine (RIP at the instruction itself) as soon as its clock reaches the cycle budget, when
//            something wants attention, and in single-step mode after every iteration. The time of the iterations is the static
//            cost of the row: once by the engine, for the others here. A repetition counts as one instruction, however many chunks:
//            RIP, which still stands at the instruction, tells the engine that it gave way.
// SPEED      runs of REP MOVS and REP STOS inside a page of plain RAM (with caches: inside a line) go by host pointer, after the first iteration
//            there has made its translations; the result is that of the single iterations, overlaps included.
// MANUAL     "String Instructions", "REP/REPE/REPZ/REPNE/REPNZ".
#include "isa/operand.h"

enum str_op { MOVS, STOS, LODS, CMPS, SCAS };
#define MAX_CHUNK 65536 // iterations; keeps the host responsive

ISA_INLINE uint64_t by_asz(const struct isa_insn *i, uint64_t v)
{
    return i->asz == 8 ? v : i->asz == 4 ? (uint32_t)v : (uint16_t)v;
}
ISA_INLINE uint64_t get_asz(const struct isa_cpu *c, const struct isa_insn *i, unsigned reg) { return by_asz(i, c->gpr[reg]); }
ISA_INLINE void set_asz(struct isa_cpu *c, const struct isa_insn *i, unsigned reg, uint64_t v)
{
    if (i->asz == 8)
        c->gpr[reg] = v;
    else if (i->asz == 4)
        isa_w32(c, reg, (uint32_t)v);
    else
        isa_w16(c, reg, (uint16_t)v);
}

ISA_INLINE int ld_n(struct isa_cpu *c, uint64_t la, unsigned n, uint64_t *v)
{
    uint8_t b;
    uint16_t w;
    uint32_t d;
    int r;
    switch (n) {
    case 1: r = isa_ld8(c, la, &b), *v = r ? 0 : b; return r;
    case 2: r = isa_ld16(c, la, &w), *v = r ? 0 : w; return r;
    case 4: r = isa_ld32(c, la, &d), *v = r ? 0 : d; return r;
    default: return isa_ld64(c, la, v);
    }
}
ISA_INLINE int st_n(struct isa_cpu *c, uint64_t la, unsigned n, uint64_t v)
{
    switch (n) {
    case 1: return isa_st8(c, la, (uint8_t)v);
    case 2: return isa_st16(c, la, (uint16_t)v);
    case 4: return isa_st32(c, la, (uint32_t)v);
    default: return isa_st64(c, la, v);
    }
}
ISA_INLINE uint64_t sx_n(uint64_t v, unsigned n)
{
    return n == 1 ? isa_sx8((uint8_t)v) : n == 2 ? isa_sx16((uint16_t)v) : n == 4 ? isa_sx32((uint32_t)v) : v;
}

ISA_INLINE bool dst_flat(const struct isa_cpu *c) { return c->mode == ISA_LONG64 || (c->seg_flat & 1u << ISA_ES); }
ISA_INLINE int src_la(struct isa_cpu *c, const struct isa_insn *i, unsigned n, uint64_t *la)
{
    *la = get_asz(c, i, ISA_RSI);
    if (!ISA_RARE(i->segchk))
        return 0;
    struct isa_loaded x = isa_seg_la_v(c, i->seg, *la, n, ISA_ACC_R);
    *la = x.v;
    return x.r;
}
ISA_INLINE int dst_la(struct isa_cpu *c, const struct isa_insn *i, unsigned n, unsigned acc, uint64_t *la)
{
    *la = get_asz(c, i, ISA_RDI);
    if (dst_flat(c))
        return 0;
    struct isa_loaded x = isa_seg_la_v(c, ISA_ES, *la, n, acc);
    *la = x.v;
    return x.r;
}

// One iteration without the count. Commits, or fails and commits nothing.
ISA_INLINE int step(struct isa_cpu *c, const struct isa_insn *i, enum str_op op, unsigned n)
{
    uint64_t s, d, a, b, delta = c->rflags_sys & ISA_FL_DF ? 0 - (uint64_t)n : n;
    bool uses_si = op == MOVS || op == LODS || op == CMPS, uses_di = op != LODS;
    if (uses_si) {
        ISA_TRY(src_la(c, i, n, &s));
        ISA_TRY(ld_n(c, s, n, &a));
    } else {
        a = c->gpr[ISA_RAX];
    }
    if (uses_di) {
        bool write = op == MOVS || op == STOS;
        ISA_TRY(dst_la(c, i, n, write ? ISA_ACC_W : ISA_ACC_R, &d));
        if (write)
            ISA_TRY(st_n(c, d, n, a));
        else
            ISA_TRY(ld_n(c, d, n, &b));
    }
    if (op == CMPS || op == SCAS) {
        a = sx_n(a, n), b = sx_n(b, n);
        isa_cc_set(c, ISA_CC_SUB, a, b, sx_n(a - b, n));
    }
    if (op == LODS) {
        if (n == 1)
            isa_w8(c, 0, (uint8_t)a);
        else if (n == 2)
            isa_w16(c, ISA_RAX, (uint16_t)a);
        else
            c->gpr[ISA_RAX] = a;
    }
    if (uses_si)
        set_asz(c, i, ISA_RSI, c->gpr[ISA_RSI] + delta);
    if (uses_di)
        set_asz(c, i, ISA_RDI, c->gpr[ISA_RDI] + delta);
    return 0;
}

// Copy k elements of n bytes upwards, one after the other, as far as anyone can tell.
static void copy_up(uint8_t *d, const uint8_t *s, uint64_t k, unsigned n)
{
    if (d <= s || d >= s + k * n) {
        memmove(d, s, k * n);
        return;
    }
    for (; k != 0; k--, d += n, s += n) {
        uint8_t t[8];
        memcpy(t, s, n);
        memcpy(d, t, n);
    }
}
static void fill_up(uint8_t *d, uint64_t v, uint64_t k, unsigned n)
{
    if (n == 1) {
        memset(d, (int)(v & 0xff), k);
        return;
    }
    for (; k != 0; k--, d += n)
        memcpy(d, &v, n);
}

// As many iterations of MOVS or STOS, at most k, as fit into one run of plain RAM at each side. 0: none.
static uint64_t run(struct isa_cpu *c, const struct isa_insn *i, enum str_op op, unsigned n, uint64_t k)
{
    uint64_t di = get_asz(c, i, ISA_RDI), si = get_asz(c, i, ISA_RSI), len;
    const uint8_t *s = NULL;
    if (op == MOVS) {
        s = c->env->host_run(c, si, k * n, &len, ISA_ACC_R);
        if (!s || len < n)
            return 0;
        k = len / n < k ? len / n : k;
    }
    uint8_t *d = c->env->host_run(c, di, k * n, &len, ISA_ACC_W);
    if (!d || len < n)
        return 0;
    k = len / n < k ? len / n : k;
    if (op == MOVS) {
        copy_up(d, s, k, n);
        set_asz(c, i, ISA_RSI, si + k * n);
    } else {
        fill_up(d, c->gpr[ISA_RAX], k, n);
    }
    set_asz(c, i, ISA_RDI, di + k * n);
    if (c->env->host_ran)
        c->env->host_ran(c, d, s, k);
    return k;
}

// Iterations, 0..MAX_CHUNK, until the clock reaches the budget, when `c->cycles` counts all but the last of those done.
static inline uint64_t until_budget(const struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t now = c->cycles + i->cost_before + i->cost;
    if (now >= c->budget)
        return 0;
    uint64_t k = i->cost ? (c->budget - now + i->cost - 1) / i->cost : MAX_CHUNK;
    return k < MAX_CHUNK ? k : MAX_CHUNK;
}
static inline bool must_yield(const struct isa_cpu *c, const struct isa_insn *i, uint64_t done)
{
    return c->attention || (c->rflags_sys & ISA_FL_TF) || done >= MAX_CHUNK || until_budget(c, i) == 0;
}

// The host-pointer run pays only where a page (or line) has just been entered, and only upwards through flat segments.
ISA_INLINE bool run_starts(const struct isa_cpu *c, const struct isa_insn *i, enum str_op op, unsigned n, uint64_t done)
{
    if ((op != MOVS && op != STOS) || (c->rflags_sys & ISA_FL_DF) || !dst_flat(c) || i->segchk)
        return false;
    const uint64_t in = c->env->run_mask;
    return done == 1 || (c->gpr[ISA_RDI] & in) < 2 * n || (op == MOVS && (c->gpr[ISA_RSI] & in) < 2 * n);
}

// With 32-bit addresses in 64-bit mode a repetition clears upper halves before anything else, even if its count is 0 or the first
// iteration faults: that of RCX, and those of the pointers of MOVS and STOS.
ISA_INLINE void truncate_registers(struct isa_cpu *c, const struct isa_insn *i, enum str_op op)
{
    isa_w32(c, ISA_RCX, isa_r32(c, ISA_RCX));
    if (op == MOVS)
        isa_w32(c, ISA_RSI, isa_r32(c, ISA_RSI));
    if (op == MOVS || op == STOS)
        isa_w32(c, ISA_RDI, isa_r32(c, ISA_RDI));
}

// The whole repeated instruction, or a chunk of it; sets c->rip.
ISA_INLINE int repeat(struct isa_cpu *c, const struct isa_insn *i, enum str_op op, unsigned n)
{
    uint64_t left = get_asz(c, i, ISA_RCX), done = 0;
    const bool compares = op == CMPS || op == SCAS, goes_on = compares && c->rep_cut;
    const uint64_t cc[] = {goes_on ? c->rep_cc[0] : c->cc_kind, goes_on ? c->rep_cc[1] : c->cc_a, goes_on ? c->rep_cc[2] : c->cc_b,
                           goes_on ? c->rep_cc[3] : c->cc_res};
    c->rep_cut = c->rep_mid = false;
    if (i->asz == 4)
        truncate_registers(c, i, op);
    while (left != 0) {
        if (done != 0)
            c->cycles += i->cost;
        int r = step(c, i, op, n);
        if (r) {
            if (compares) // a fault gives the flags back as they were at the start
                isa_cc_set(c, (enum isa_cc_kind)cc[0], cc[1], cc[2], cc[3]);
            return r;
        }
        set_asz(c, i, ISA_RCX, --left);
        done++;
        if (compares && isa_zf(c) != (i->rep == ISA_REP_F3))
            break;
        if (left != 0 && run_starts(c, i, op, n, done) && !must_yield(c, i, done)) {
            uint64_t most = until_budget(c, i), k = run(c, i, op, n, left < most ? left : most);
            c->cycles += k * i->cost;
            done += k;
            set_asz(c, i, ISA_RCX, left -= k);
        }
        if (left != 0 && must_yield(c, i, done)) {
            c->rip = isa_insn_rip(c, i);
            c->rep_mid = true;
            if (compares) {
                c->rep_cut = true;
                memcpy(c->rep_cc, cc, sizeof cc);
            }
            return 0;
        }
    }
    c->rip = isa_next_rip(c, i);
    return 0;
}

#define STRING(name, op, bits)                                                                                                     \
    static __attribute__((noinline)) int name##bits##_rep(struct isa_cpu *c, const struct isa_insn *i)                             \
    {                                                                                                                              \
        return repeat(c, i, op, bits / 8);                                                                                         \
    }                                                                                                                              \
    static __attribute__((noinline)) int name##bits##_once(struct isa_cpu *c, const struct isa_insn *i)                            \
    {                                                                                                                              \
        ISA_TRY(step(c, i, op, bits / 8));                                                                                         \
        c->rip = isa_next_rip(c, i);                                                                                               \
        return 0;                                                                                                                  \
    }                                                                                                                              \
    static int name##bits(struct isa_cpu *c, const struct isa_insn *i)                                                             \
    {                                                                                                                              \
        ISA_HERE(c, i);                                                                                                            \
        int r = i->rep != ISA_REP_NONE ? name##bits##_rep(c, i) : name##bits##_once(c, i);                                         \
        if (ISA_RARE(r))                                                                                                           \
            ISA_ABORT(c, i, r);                                                                                                    \
        ISA_END(c, i);                                                                                                             \
    }
#define STRINGS(name, op)                                                                                                          \
    STRING(name, op, 8) STRING(name, op, 16) STRING(name, op, 32) STRING(name, op, 64) ISA_FAMILY8S(name, name);
STRINGS(movs, MOVS)
STRINGS(stos, STOS)
STRINGS(lods, LODS)
STRINGS(cmps, CMPS)
STRINGS(scas, SCAS)
