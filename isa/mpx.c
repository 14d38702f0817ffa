// isa/mpx.c: memory-protection extensions (isa/mpx.h).
#include "isa/mpx.h"

#include "isa/mem.h"

void isa_set_bndcfgs(struct isa_cpu *c, uint64_t v)
{
    if (v == c->bndcfgs)
        return;
    c->bndcfgs = v;
    isa_update_mode(c);
}

void isa_set_bndcfgu(struct isa_cpu *c, uint64_t v)
{
    const unsigned sh = c->cr4 & ISA_CR4_LA57 ? 7 : 16;
    v = (uint64_t)((int64_t)(v << sh) >> sh) & ~ISA_BNDCFG_RESERVED;
    if (v == c->bndcfgu)
        return;
    c->bndcfgu = v;
    isa_update_mode(c);
}

void isa_bounds_init(struct isa_cpu *c)
{
    if (!(isa_bndcfg(c) & ISA_BNDCFG_PRESERVE))
        memset(c->bnd, 0, sizeof c->bnd);
}

int isa_bound_broken(struct isa_cpu *c)
{
    if (c->mode_key & ISA_KEY_MPX)
        c->bndstatus = 0;
    return isa_raise(c, ISA_X_BR, 0, ISA_RULE_BR_BOUND);
}

static bool wide(const struct isa_cpu *c) { return c->mode == ISA_LONG64; }
static uint64_t width(const struct isa_cpu *c) { return wide(c) ? UINT64_MAX : UINT32_MAX; }

// --- making and checking bounds. Addresses are offsets, as those of LEA.

ISA_MPXOP(bndmk)
{
    c->bnd[i->reg] = (struct isa_bounds){c->gpr[i->base] & width(c), ~isa_ea(c, i) & width(c)};
    return 0;
}

static uint64_t pointer(const struct isa_cpu *c, const struct isa_insn *i)
{
    return i->is_mem ? isa_ea(c, i) : c->gpr[i->rm] & width(c);
}

static int check(struct isa_cpu *c, bool broken, enum isa_rule rule)
{
    if (!broken)
        return 0;
    c->bndstatus = ISA_BNDSTATUS_BOUND;
    return isa_raise(c, ISA_X_BR, 0, rule);
}
ISA_MPXOP(bndcl) { return check(c, pointer(c, i) < (c->bnd[i->reg].lb & width(c)), ISA_RULE_BR_LOWER); }
ISA_MPXOP(bndcu) { return check(c, pointer(c, i) > (~c->bnd[i->reg].ub & width(c)), ISA_RULE_BR_UPPER); }
ISA_MPXOP(bndcn) { return check(c, pointer(c, i) > (c->bnd[i->reg].ub & width(c)), ISA_RULE_BR_UPPER); }

// --- moving bounds: two quadwords, outside 64-bit mode two doublewords

static int load_bounds(struct isa_cpu *c, uint64_t la, struct isa_bounds *b)
{
    const unsigned n = wide(c) ? 8 : 4;
    struct isa_loaded lb = isa_ld_v(c, la, n, ISA_ACC_R), ub = lb.r ? lb : isa_ld_v(c, la + n, n, ISA_ACC_R);
    *b = (struct isa_bounds){lb.v, ub.v};
    return ub.r;
}

ISA_MPXOP(bndmov_g_e)
{
    struct isa_bounds b;
    uint64_t la;
    int r;
    if (!i->is_mem) {
        const struct isa_bounds from = c->bnd[i->rm];
        c->bnd[i->reg] = (struct isa_bounds){from.lb & width(c), from.ub & width(c)};
        return 0;
    }
    if ((r = isa_operand_la(c, i, wide(c) ? 16 : 8, ISA_ACC_R, &la)) || (r = load_bounds(c, la, &b)))
        return r;
    c->bnd[i->reg] = b;
    return 0;
}

// n values of the mode's width at a linear address: nothing is written unless all can be.
static int store_all(struct isa_cpu *c, uint64_t la, const uint64_t *v, unsigned n)
{
    const unsigned size = wide(c) ? 8 : 4;
    int r = 0;
    for (unsigned k = 0; k < n && !r; k++)
        r = isa_probe_w(c, la + k * size, size, ISA_ACC_W);
    for (unsigned k = 0; k < n && !r; k++)
        r = isa_st_v(c, la + k * size, v[k], size, ISA_ACC_W);
    return r;
}

ISA_MPXOP(bndmov_e_g)
{
    const struct isa_bounds from = c->bnd[i->reg];
    uint64_t la;
    if (!i->is_mem) {
        c->bnd[i->rm] = (struct isa_bounds){from.lb & width(c), from.ub & width(c)};
        return 0;
    }
    int r = isa_operand_la(c, i, wide(c) ? 16 : 8, ISA_ACC_W, &la);
    return r ? r : store_all(c, la, (const uint64_t[]){from.lb, from.ub}, 2);
}

// --- bound directory and bound tables
//
// The address of a pointer (not its value) selects an entry of the directory, which holds the address of a table, and an entry there:
//                  directory entry            table entry
//    64-bit mode   address bits 47..20, 8 B   bits 19..3, 32 B: lower bound, upper bound, pointer value, reserved
//    else          address bits 31..12, 4 B   bits 11..2, 16 B: the same in doublewords
// Bit 0 of a directory entry says that it is valid. Both structures are named by linear addresses. The processor's MAWA is 0.
static int in_range(struct isa_cpu *c, uint64_t la, unsigned n)
{
    if (wide(c))
        return isa_canonical(c, la) && isa_canonical(c, la + n - 1) ? 0 : isa_gp0(c, ISA_RULE_GP_CANONICAL);
    return la + n - 1 <= UINT32_MAX ? 0 : isa_gp0(c, ISA_RULE_GP_LIMIT);
}

static int table_entry(struct isa_cpu *c, uint64_t at, uint64_t *la)
{
    const uint64_t directory = isa_bndcfg(c) & ~0xfffull;
    const uint64_t entry =
        wide(c) ? directory + (at >> 20 & 0xfffffff) * 8 : (uint32_t)(directory + (uint64_t)(uint32_t)(at >> 12 & 0xfffff) * 4);
    int r = in_range(c, entry, 1);
    if (r)
        return r;
    const struct isa_loaded table = isa_ld_v(c, entry, wide(c) ? 8 : 4, ISA_ACC_R);
    if (table.r)
        return table.r;
    if (!(table.v & 1)) {
        c->bndstatus = entry | ISA_BNDSTATUS_ENTRY;
        return isa_raise(c, ISA_X_BR, 0, ISA_RULE_BR_DIRECTORY);
    }
    *la = wide(c) ? (table.v & ~7ull) + (at >> 3 & 0x1ffff) * 32 : (uint32_t)((table.v & ~3ull) + (at >> 2 & 0x3ff) * 16);
    return in_range(c, *la, wide(c) ? 24 : 12);
}

// Where the pointer lies: base and displacement, in its segment, but without any check. The index register holds the pointer's value.
static uint64_t pointer_at(const struct isa_cpu *c, const struct isa_insn *i)
{
    const uint64_t ea = c->gpr[i->base] + i->disp;
    if (wide(c))
        return ea + (i->seg >= ISA_FS ? c->seg[i->seg].base : 0);
    return (uint32_t)((uint32_t)ea + c->seg[i->seg].base);
}
static uint64_t pointer_value(const struct isa_cpu *c, const struct isa_insn *i) { return c->gpr[i->index] & width(c); }

ISA_MPXOP(bndldx)
{
    struct isa_bounds b;
    uint64_t la;
    int r = table_entry(c, pointer_at(c, i), &la);
    if (r || (r = load_bounds(c, la, &b)))
        return r;
    const unsigned n = wide(c) ? 8 : 4;
    const struct isa_loaded value = isa_ld_v(c, la + 2 * n, n, ISA_ACC_R);
    if (value.r)
        return value.r;
    c->bnd[i->reg] = value.v == pointer_value(c, i) ? b : (struct isa_bounds){0, 0};
    return 0;
}

ISA_MPXOP(bndstx)
{
    const struct isa_bounds from = c->bnd[i->reg];
    uint64_t la;
    int r = table_entry(c, pointer_at(c, i), &la);
    return r ? r : store_all(c, la, (const uint64_t[]){from.lb, from.ub, pointer_value(c, i)}, 3);
}
