// isa/sys_io.c: IN, OUT, INS, OUTS, and who may use a port.
#include "isa/debug.h"
#include "isa/mem.h"
#include "isa/seg.h"
#include "isa/sysop.h"

// --- the I/O permission bitmap (manual, "I/O Permission Bit Map")

static int bitmap_check(struct isa_cpu *c, uint16_t port, unsigned size)
{
    const struct isa_seg *tr = &c->seg[ISA_TR];
    unsigned type = isa_seg_type(tr);
    uint16_t base, bits;
    int r;
    if ((tr->ar & ISA_AR_UNUSABLE) || (type != ISA_SYS_TSS32 && type != ISA_SYS_TSS32_BUSY) || tr->limit < 103)
        return isa_gp0(c, ISA_RULE_GP_IO_BITMAP);
    if ((r = isa_sys_read(c, tr->base + 102, &base, 2)))
        return r;
    uint32_t at = base + port / 8u;
    if (at + 1 > tr->limit) // two bytes are read, whatever the size
        return isa_gp0(c, ISA_RULE_GP_IO_BITMAP);
    if ((r = isa_sys_read(c, tr->base + at, &bits, 2)))
        return r;
    return bits >> (port & 7) & ((1u << size) - 1) ? isa_gp0(c, ISA_RULE_GP_IO_BITMAP) : 0;
}

static int port_check(struct isa_cpu *c, uint16_t port, unsigned size)
{
    if (c->mode == ISA_V86 || !isa_iopl_ok(c))
        return bitmap_check(c, port, size);
    return 0;
}

#define IO_IN     (1ull << 24)
#define IO_STRING (1ull << 25)
#define IO_REP    (1ull << 26)
#define IO_IMM    (1ull << 27)

static int io_icpt(struct isa_cpu *c, const struct isa_insn *i, uint16_t port, unsigned size, uint64_t how, uint64_t la)
{
    return isa_icpt(c, i, ISA_ICPT_IO, port | (uint64_t)size << 16 | how, &la);
}

// --- IN, OUT

static int in(struct isa_cpu *c, const struct isa_insn *i, uint16_t port, uint64_t how)
{
    uint32_t v;
    int r;
    if ((r = port_check(c, port, i->osz)) || (r = io_icpt(c, i, port, i->osz, how | IO_IN, 0)) ||
        (r = c->env->in(c, port, i->osz, &v)))
        return r;
    isa_bp_io(c, port, i->osz);
    if (i->osz == 1)
        isa_w8(c, ISA_RAX * 8, (uint8_t)v);
    else
        isa_wreg(c, ISA_RAX, i->osz, v);
    return 0;
}

static int out(struct isa_cpu *c, const struct isa_insn *i, uint16_t port, uint64_t how)
{
    uint32_t v = isa_r32(c, ISA_RAX) & (i->osz == 4 ? UINT32_MAX : (1u << 8 * i->osz) - 1);
    int r;
    if ((r = port_check(c, port, i->osz)) || (r = io_icpt(c, i, port, i->osz, how, 0)))
        return r;
    if ((r = c->env->out(c, port, i->osz, v)))
        return r;
    isa_bp_io(c, port, i->osz);
    return 0;
}

ISA_SYSOP(in_i) { return in(c, i, (uint8_t)i->imm, IO_IMM); }
ISA_SYSOP(in_dx) { return in(c, i, isa_r16(c, ISA_RDX), 0); }
ISA_SYSOP(out_i) { return out(c, i, (uint8_t)i->imm, IO_IMM); }
ISA_SYSOP(out_dx) { return out(c, i, isa_r16(c, ISA_RDX), 0); }

// --- INS, OUTS: one iteration per execution; a repeated instruction stays at its own address until the count is used up

static uint64_t asz_mask(const struct isa_insn *i) { return i->asz == 8 ? UINT64_MAX : i->asz == 4 ? UINT32_MAX : UINT16_MAX; }

static void step_index(struct isa_cpu *c, const struct isa_insn *i, unsigned reg)
{
    uint64_t v = c->gpr[reg] + (c->rflags_sys & ISA_FL_DF ? -(uint64_t)i->osz : i->osz);
    isa_wreg(c, reg, i->asz, v);
}

// After an iteration: count down and say where to go on.
static void step_count(struct isa_cpu *c, const struct isa_insn *i)
{
    uint64_t rip = isa_insn_rip(c, i);
    bool more = false;
    if (i->rep) {
        isa_wreg(c, ISA_RCX, i->asz, c->gpr[ISA_RCX] - 1);
        more = c->gpr[ISA_RCX] & asz_mask(i);
    }
    c->rep_mid = more;
    if (!more)
        c->rip = isa_next_rip(c, i);
    else
        c->rip = c->mode == ISA_LONG64 ? rip : (uint32_t)rip;
}

static bool nothing_to_do(struct isa_cpu *c, const struct isa_insn *i)
{
    if (!i->rep || (c->gpr[ISA_RCX] & asz_mask(i)))
        return false;
    c->rip = isa_next_rip(c, i);
    return true;
}

static uint64_t raw_string_la(const struct isa_cpu *c, unsigned s, uint64_t ea)
{
    if (c->mode == ISA_LONG64)
        return ea + (s >= ISA_FS ? c->seg[s].base : 0);
    return (uint32_t)(c->seg[s].base + ea);
}

ISA_SYSOP(ins)
{
    uint16_t port = isa_r16(c, ISA_RDX);
    uint64_t ea = c->gpr[ISA_RDI] & asz_mask(i), la, how = IO_IN | IO_STRING | (i->rep ? IO_REP : 0);
    uint32_t v;
    int r;
    if (nothing_to_do(c, i))
        return 0;
    if ((r = port_check(c, port, i->osz)) || (r = io_icpt(c, i, port, i->osz, how, raw_string_la(c, ISA_ES, ea))))
        return r;
    // The device is read only when the store cannot fail any more.
    if ((r = isa_seg_la(c, ISA_ES, ea, i->osz, ISA_ACC_W, &la)) || (r = isa_probe_w(c, la, i->osz, ISA_ACC_W)) ||
        (r = c->env->in(c, port, i->osz, &v)) || (r = isa_st_slow(c, la, &v, i->osz, ISA_ACC_W)))
        return r;
    isa_bp_io(c, port, i->osz);
    step_index(c, i, ISA_RDI);
    step_count(c, i);
    return 0;
}

ISA_SYSOP(outs)
{
    uint16_t port = isa_r16(c, ISA_RDX);
    uint64_t ea = c->gpr[ISA_RSI] & asz_mask(i), la, how = IO_STRING | (i->rep ? IO_REP : 0);
    uint32_t v = 0;
    int r;
    if (nothing_to_do(c, i))
        return 0;
    if ((r = port_check(c, port, i->osz)) || (r = io_icpt(c, i, port, i->osz, how, raw_string_la(c, i->seg, ea))))
        return r;
    if ((r = isa_seg_la(c, i->seg, ea, i->osz, ISA_ACC_R, &la)) || (r = isa_ld_slow(c, la, &v, i->osz, ISA_ACC_R)) ||
        (r = c->env->out(c, port, i->osz, v)))
        return r;
    isa_bp_io(c, port, i->osz);
    step_index(c, i, ISA_RSI);
    step_count(c, i);
    return 0;
}
