// isa/mem.c: the slow paths of data access: what the inline TLB does not answer (isa/mem.h).
//
// MODELS     canonicality in 64-bit mode, the end of the 4 GB linear space elsewhere, alignment checking. Manual: "Canonical
//            Addressing", "Alignment Check Exception (#AC)".
#include "isa/mem.h"

// #GP(0) or #SS(0) for bytes that no linear address can name. A flat 4 GB segment may fault or wrap at its end (manual, "Limit
// Checking"); here it faults, as a real segment limit does.
static int check_range(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    if (c->mode == ISA_LONG64 && (la | (la + n - 1)) >> 47 == 0) // the common half of the canonical addresses
        return 0;
    bool stack = (acc & ISA_ACC_STACK) || (c->at && c->at->is_mem && c->at->seg == ISA_SS);
    if (c->mode == ISA_LONG64 || ((acc & ISA_ACC_SYS) && isa_long(c))) {
        if (isa_canonical(c, la) && isa_canonical(c, la + n - 1))
            return 0;
        return stack ? isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_CANONICAL) : isa_gp0(c, ISA_RULE_GP_CANONICAL);
    }
    if (la + n - 1 <= UINT32_MAX)
        return 0;
    return stack ? isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_LIMIT) : isa_gp0(c, ISA_RULE_GP_LIMIT);
}

static inline bool alignment_fault(const struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    return (la & (n - 1)) != 0 && c->cpl == 3 && (c->rflags_sys & ISA_FL_AC) && (c->cr0 & ISA_CR0_AM) && (n & (n - 1)) == 0 &&
           !(acc & (ISA_ACC_SYS | ISA_ACC_NOAC));
}

// Paging comes before alignment in the order of priorities (manual, "Priority Among Concurrent Events").
static int raise_ac(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    int r = c->env->probe(c, la, n, acc);
    return r ? r : isa_raise(c, ISA_X_AC, 0, ISA_RULE_AC_MISALIGNED);
}

// A copy of a variable size is a call; most are of this size.
static inline void copy(void *to, const void *from, unsigned n)
{
    if (n == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, n);
}

// What the inline TLB knows is canonical; but 64-bit code may know pages that are out of range for other code.
static inline void *known(const struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    if ((c->mode != ISA_LONG64 && la > UINT32_MAX) || alignment_fault(c, la, n, acc))
        return NULL;
    return isa_mirror_at(c, la, n, acc);
}

static inline int ld(struct isa_cpu *c, uint64_t la, void *v, unsigned n, unsigned acc)
{
    __builtin_prefetch(
        (const void *)(uintptr_t)(c->guess + la)); // to wait for the data while looking for them; a wrong guess harms nobody
    const void *p = known(c, la, n, acc);
    if (p) {
        copy(v, p, n);
        return 0;
    }
    int r = check_range(c, la, n, acc);
    if (r)
        return r;
    const bool misaligned = alignment_fault(c, la, n, acc);
    acc &= ~(ISA_ACC_STACK | ISA_ACC_NOAC);
    return misaligned ? raise_ac(c, la, n, acc) : c->env->read(c, la, v, n, acc);
}

int isa_ld_slow(struct isa_cpu *c, uint64_t la, void *v, unsigned n, unsigned acc) { return ld(c, la, v, n, acc); }

int isa_st_slow(struct isa_cpu *c, uint64_t la, const void *v, unsigned n, unsigned acc)
{
    acc |= ISA_ACC_W;
    void *p = known(c, la, n, acc);
    if (p) {
        copy(p, v, n);
        return 0;
    }
    int r = check_range(c, la, n, acc);
    if (r)
        return r;
    const bool misaligned = alignment_fault(c, la, n, acc);
    acc &= ~(ISA_ACC_STACK | ISA_ACC_NOAC);
    return misaligned ? raise_ac(c, la, n, acc) : c->env->write(c, la, v, n, acc);
}

int isa_probe_w(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    acc |= ISA_ACC_W;
    int r = check_range(c, la, n, acc);
    if (r)
        return r;
    const bool misaligned = alignment_fault(c, la, n, acc);
    acc &= ~(ISA_ACC_STACK | ISA_ACC_NOAC);
    if ((r = c->env->probe(c, la, n, acc)))
        return r;
    return misaligned ? isa_raise(c, ISA_X_AC, 0, ISA_RULE_AC_MISALIGNED) : 0;
}

// An address that is aligned and in the common half of the canonical ones has nothing to be asked but paging.
static inline bool is_common(const struct isa_cpu *c, uint64_t la, unsigned n)
{
    return c->mode == ISA_LONG64 && (la & (~0ull << 47 | (n - 1))) == 0;
}

struct isa_loaded isa_ld_v(struct isa_cpu *c, uint64_t la, unsigned n, unsigned acc)
{
    uint64_t v = 0;
    int r;
    if (__builtin_expect(is_common(c, la, n), 1)) {
        __builtin_prefetch((const void *)(uintptr_t)(c->guess + la)); // as in ld()
        r = c->env->read(c, la, &v, n, acc & ~(ISA_ACC_STACK | ISA_ACC_NOAC));
    } else {
        r = ld(c, la, &v, n, acc);
    }
    return (struct isa_loaded){r ? 0 : v, r};
}

int isa_st_v(struct isa_cpu *c, uint64_t la, uint64_t v, unsigned n, unsigned acc) { return isa_st_slow(c, la, &v, n, acc); }

struct isa_loaded isa_seg_la_v(struct isa_cpu *c, unsigned s, uint64_t ea, unsigned n, unsigned acc)
{
    uint64_t la = 0;
    int r = isa_seg_la(c, s, ea, n, acc, &la);
    return (struct isa_loaded){r ? 0 : la, r};
}
