// isa/x87_move.c: x87 loads, stores, conversions, constants and stack manipulation.
//
// MANUAL     the instructions' own pages; "Packed BCD Integers".
#include "isa/exec.h"
#include "isa/mem.h"
#include "isa/x87.h"

#define BEGIN                                                                                                                      \
    struct isa_x87_run o;                                                                                                          \
    int r_ = isa_x87_begin(&o, c, i);                                                                                              \
    if (r_)                                                                                                                        \
    return r_

static int load_bytes(struct isa_x87_run *o, void *p, unsigned n)
{
    uint64_t la;
    int r = isa_operand_la(o->c, o->i, n, ISA_ACC_R, &la);
    return r ? r : isa_ld_slow(o->c, la, p, n, ISA_ACC_R);
}
static int store_bytes(struct isa_x87_run *o, const void *p, unsigned n)
{
    uint64_t la;
    int r = isa_operand_la(o->c, o->i, n, ISA_ACC_W, &la);
    return r ? r : isa_st_slow(o->c, la, p, n, ISA_ACC_W);
}

// --- loads

static int push(struct isa_x87_run *o, struct isa_fp v)
{
    if (!isa_x87_room(o))
        v = isa_fp_default_nan();
    if (!(o->e.flags & ~(unsigned)o->e.masks & ISA_FX_I)) // a denormal is pushed even if #D is not masked
        isa_x87_push(o, v);
    return isa_x87_end(o);
}
// Raw bits: no exception but stack overflow.
static int push_raw(struct isa_x87_run *o, struct isa_f80 v)
{
    bool room = isa_x87_room(o);
    if (!isa_x87_blocked(o)) {
        isa_x87_push(o, isa_fp_default_nan());
        if (room)
            *isa_x87_st(o->x, 0) = v;
    }
    return isa_x87_end(o);
}

ISA_FPOP(fld_m32)
{
    uint32_t v;
    BEGIN;
    if ((r_ = load_bytes(&o, &v, 4)))
        return r_;
    if (!isa_x87_room(&o))
        return push(&o, isa_fp_default_nan());
    return push(&o, isa_fp_convert(&o.e, &isa_fp80, isa_fp_un32(&o.e, v)));
}
ISA_FPOP(fld_m64)
{
    uint64_t v;
    BEGIN;
    if ((r_ = load_bytes(&o, &v, 8)))
        return r_;
    if (!isa_x87_room(&o))
        return push(&o, isa_fp_default_nan());
    return push(&o, isa_fp_convert(&o.e, &isa_fp80, isa_fp_un64(&o.e, v)));
}
ISA_FPOP(fld_m80)
{
    uint8_t b[10];
    struct isa_f80 v;
    BEGIN;
    if ((r_ = load_bytes(&o, b, 10)))
        return r_;
    memcpy(&v.sig, b, 8);
    memcpy(&v.se, b + 8, 2);
    return push_raw(&o, v);
}
ISA_FPOP(fld_i)
{
    BEGIN;
    struct isa_f80 v = *isa_x87_st(o.x, i->modrm & 7);
    if (!isa_x87_need(&o, i->modrm & 7))
        v = isa_fp_pk80(isa_fp_default_nan());
    if (o.stack_fault) {
        if (!isa_x87_blocked(&o))
            isa_x87_push(&o, isa_fp_default_nan());
        return isa_x87_end(&o);
    }
    return push_raw(&o, v);
}
#define FILD(name, type)                                                                                                           \
    ISA_FPOP(name)                                                                                                                 \
    {                                                                                                                              \
        type v;                                                                                                                    \
        BEGIN;                                                                                                                     \
        if ((r_ = load_bytes(&o, &v, sizeof v)))                                                                                   \
            return r_;                                                                                                             \
        return push(&o, isa_fp_int(v));                                                                                            \
    }
FILD(fild_i16, int16_t)
FILD(fild_i32, int32_t)
FILD(fild_i64, int64_t)

ISA_FPOP(fbld)
{
    uint8_t b[10];
    uint64_t v = 0;
    BEGIN;
    if ((r_ = load_bytes(&o, b, 10)))
        return r_;
    for (unsigned k = 9; k-- > 0;)
        v = v * 100 + (b[k] >> 4) * 10u + (b[k] & 15);
    struct isa_fp f = isa_fp_int((int64_t)v);
    f.neg = b[9] >> 7;
    return push(&o, f);
}

// Constants: 64 bits, the rest being more or less than a half, so that the rounding mode shows in the last bit.
static int constant(struct isa_cpu *c, const struct isa_insn *i, uint64_t below, bool up_to_nearest, int exp)
{
    BEGIN;
    bool up = o.e.rc == ISA_RC_UP || (o.e.rc == ISA_RC_NEAREST && up_to_nearest);
    return push(&o, (struct isa_fp){.cls = ISA_FP_NUM, .sig = below + up, .exp = exp});
}
ISA_FPOP(fldl2t) { return constant(c, i, 0xd49a784bcd1b8afe, false, 1); }
ISA_FPOP(fldl2e) { return constant(c, i, 0xb8aa3b295c17f0bb, true, 0); }
ISA_FPOP(fldpi) { return constant(c, i, 0xc90fdaa22168c234, true, 1); }
ISA_FPOP(fldlg2) { return constant(c, i, 0x9a209a84fbcff798, true, -2); }
ISA_FPOP(fldln2) { return constant(c, i, 0xb17217f7d1cf79ab, true, -1); }
ISA_FPOP(fld1)
{
    BEGIN;
    return push(&o, isa_fp_int(1));
}
ISA_FPOP(fldz)
{
    BEGIN;
    return push(&o, isa_fp_zero(false));
}

// --- stores

// After the value: an unmasked exception keeps memory and the stack as they are, except #P.
static bool store_blocked(const struct isa_x87_run *o)
{
    return (o->e.flags & ~(unsigned)o->e.masks & (ISA_FX_ALL & ~ISA_FX_P)) != 0;
}
static int store(struct isa_x87_run *o, const void *p, unsigned n, bool pop)
{
    if (!store_blocked(o)) {
        int r = store_bytes(o, p, n);
        if (r)
            return r;
        if (pop)
            isa_x87_pop(o);
    } else {
        o->e.flags &= (uint8_t)~ISA_FX_P;
        o->e.up = false;
    }
    return isa_x87_end(o);
}

static int fst(struct isa_cpu *c, const struct isa_insn *i, bool wide, bool pop)
{
    BEGIN;
    struct isa_fp v = isa_fp_default_nan();
    if (isa_x87_need(&o, 0)) {
        v = isa_x87_get(&o, 0);
        v.den = false; // a store does not report denormal operands
        v = isa_fp_convert(&o.e, wide ? &isa_fp64 : &isa_fp32, v);
    }
    uint64_t bits = wide ? isa_fp_pk64(v) : isa_fp_pk32(v);
    return store(&o, &bits, wide ? 8 : 4, pop);
}
ISA_FPOP(fst_m32) { return fst(c, i, false, false); }
ISA_FPOP(fst_m64) { return fst(c, i, true, false); }
ISA_FPOP(fstp_m32) { return fst(c, i, false, true); }
ISA_FPOP(fstp_m64) { return fst(c, i, true, true); }

ISA_FPOP(fstp_m80)
{
    uint8_t b[10];
    BEGIN;
    struct isa_f80 v = *isa_x87_st(o.x, 0);
    if (!isa_x87_need(&o, 0))
        v = isa_fp_pk80(isa_fp_default_nan());
    memcpy(b, &v.sig, 8);
    memcpy(b + 8, &v.se, 2);
    return store(&o, b, 10, true);
}

static int fist(struct isa_cpu *c, const struct isa_insn *i, unsigned bytes, bool truncate, bool pop)
{
    BEGIN;
    int64_t v = (int64_t)(~0ull << (bytes * 8 - 1));
    o.e.rc = truncate ? ISA_RC_ZERO : o.e.rc;
    if (isa_x87_need(&o, 0))
        v = isa_fp_to_int(&o.e, isa_x87_get(&o, 0), bytes * 8);
    return store(&o, &v, bytes, pop);
}
ISA_FPOP(fist_i16) { return fist(c, i, 2, false, false); }
ISA_FPOP(fist_i32) { return fist(c, i, 4, false, false); }
ISA_FPOP(fistp_i16) { return fist(c, i, 2, false, true); }
ISA_FPOP(fistp_i32) { return fist(c, i, 4, false, true); }
ISA_FPOP(fistp_i64) { return fist(c, i, 8, false, true); }
ISA_FPOP(fisttp_i16) { return fist(c, i, 2, true, true); }
ISA_FPOP(fisttp_i32) { return fist(c, i, 4, true, true); }
ISA_FPOP(fisttp_i64) { return fist(c, i, 8, true, true); }

ISA_FPOP(fbstp)
{
    static const uint8_t indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};
    uint8_t b[10];
    BEGIN;
    memcpy(b, indefinite, 10);
    if (isa_x87_need(&o, 0)) {
        struct isa_fp a = isa_x87_get(&o, 0);
        struct isa_fp_env e = o.e;
        int64_t v = isa_fp_to_int(&e, a, 64);
        uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        if (e.flags & ISA_FX_I || m > 999999999999999999ull)
            o.e.flags |= ISA_FX_I;
        else {
            o.e = e;
            for (unsigned k = 0; k < 9; k++, m /= 100)
                b[k] = (uint8_t)(m / 10 % 10 << 4 | m % 10);
            b[9] = a.neg ? 0x80 : 0;
        }
    }
    return store(&o, b, 10, true);
}

// --- between registers

static int copy(struct isa_cpu *c, const struct isa_insn *i, bool pop)
{
    BEGIN;
    unsigned k = i->modrm & 7;
    struct isa_f80 v = *isa_x87_st(o.x, 0);
    if (!isa_x87_need(&o, 0))
        v = isa_fp_pk80(isa_fp_default_nan());
    if (!isa_x87_blocked(&o)) {
        isa_x87_put(&o, k, isa_fp_default_nan());
        *isa_x87_st(o.x, k) = v;
        if (pop)
            isa_x87_pop(&o);
    }
    return isa_x87_end(&o);
}
ISA_FPOP(fst_i) { return copy(c, i, false); }
ISA_FPOP(fstp_i) { return copy(c, i, true); }
// The alias D9 D8+i pops an empty stack without a fault.
ISA_FPOP(fstpnce)
{
    BEGIN;
    unsigned k = i->modrm & 7, from = isa_x87_phys(o.x, 0), to = isa_x87_phys(o.x, k);
    if (!isa_x87_empty(o.x, 0)) {
        o.x->r[to] = o.x->r[from];
        o.x->valid |= (uint8_t)(1u << to);
    }
    isa_x87_pop(&o);
    return isa_x87_end(&o);
}

ISA_FPOP(fxch)
{
    BEGIN;
    unsigned k = i->modrm & 7;
    bool a = isa_x87_need(&o, 0), b = isa_x87_need(&o, k);
    if (!isa_x87_blocked(&o)) {
        if (!a)
            isa_x87_put(&o, 0, isa_fp_default_nan());
        if (!b)
            isa_x87_put(&o, k, isa_fp_default_nan());
        struct isa_f80 t = *isa_x87_st(o.x, 0);
        *isa_x87_st(o.x, 0) = *isa_x87_st(o.x, k);
        *isa_x87_st(o.x, k) = t;
    }
    return isa_x87_end(&o);
}

static int cmov(struct isa_cpu *c, const struct isa_insn *i, unsigned flags, bool want)
{
    BEGIN;
    unsigned k = i->modrm & 7;
    bool ok = isa_x87_need2(&o, k);
    o.keep_c1 = true;
    if (!ok) {
        if (!isa_x87_blocked(&o))
            isa_x87_put(&o, 0, isa_fp_default_nan());
    } else if (((isa_status(c) & flags) != 0) == want)
        *isa_x87_st(o.x, 0) = *isa_x87_st(o.x, k);
    return isa_x87_end(&o);
}
ISA_FPOP(fcmovb) { return cmov(c, i, ISA_FL_CF, true); }
ISA_FPOP(fcmove) { return cmov(c, i, ISA_FL_ZF, true); }
ISA_FPOP(fcmovbe) { return cmov(c, i, ISA_FL_CF | ISA_FL_ZF, true); }
ISA_FPOP(fcmovu) { return cmov(c, i, ISA_FL_PF, true); }
ISA_FPOP(fcmovnb) { return cmov(c, i, ISA_FL_CF, false); }
ISA_FPOP(fcmovne) { return cmov(c, i, ISA_FL_ZF, false); }
ISA_FPOP(fcmovnbe) { return cmov(c, i, ISA_FL_CF | ISA_FL_ZF, false); }
ISA_FPOP(fcmovnu) { return cmov(c, i, ISA_FL_PF, false); }

ISA_FPOP(ffree)
{
    BEGIN;
    o.x->valid &= (uint8_t) ~(1u << isa_x87_phys(o.x, i->modrm & 7));
    return isa_x87_end(&o);
}
ISA_FPOP(ffreep)
{
    BEGIN;
    o.x->valid &= (uint8_t) ~(1u << isa_x87_phys(o.x, i->modrm & 7));
    isa_x87_pop(&o);
    return isa_x87_end(&o);
}
ISA_FPOP(fincstp)
{
    BEGIN;
    isa_x87_set_top(o.x, isa_x87_top(o.x) + 1);
    return isa_x87_end(&o);
}
ISA_FPOP(fdecstp)
{
    BEGIN;
    isa_x87_set_top(o.x, isa_x87_top(o.x) - 1);
    return isa_x87_end(&o);
}
ISA_FPOP(fnop)
{
    BEGIN;
    o.keep_c1 = true;
    return isa_x87_end(&o);
}
