// isa/frame.c: stack frames that are checked whole before they are written.
#include "isa/frame.h"

#include <assert.h>

#include "isa/stack.h"

static uint64_t stack_mask(bool long_mode, const struct isa_seg *ss)
{
    return long_mode ? UINT64_MAX : ss->ar & ISA_AR_DB ? 0xffffffff : 0xffff;
}

void isa_frame_current(struct isa_frame *f, const struct isa_cpu *c)
{
    bool lm = c->mode == ISA_LONG64;
    f->ss = c->seg[ISA_SS];
    f->long_mode = lm;
    f->acc = ISA_ACC_W;
    f->ss_error = 0;
    f->n = 0; // what slots hold beyond n is nobody's business: clearing them took longer than all else here
    f->sp = c->gpr[ISA_RSP] & stack_mask(lm, &f->ss);
}

void isa_frame_switch(struct isa_frame *f, const struct isa_cpu *c, const struct isa_seg *ss, uint64_t sp, unsigned cpl,
                      bool long_mode)
{
    f->ss = *ss;
    f->long_mode = long_mode;
    f->ss_error = ss->sel & 0xfffc;
    f->n = 0;
    f->acc = ISA_ACC_W | (cpl == c->cpl ? 0 : cpl == 3 ? ISA_ACC_USER : ISA_ACC_SYS);
    f->sp = sp & stack_mask(long_mode, ss);
}

void isa_frame_push(struct isa_frame *f, uint64_t val, unsigned size)
{
    assert(f->n < ISA_FRAME_MAX);
    f->sp = (f->sp - size) & stack_mask(f->long_mode, &f->ss);
    f->slot[f->n].off = f->sp;
    f->slot[f->n].val = val;
    f->slot[f->n++].size = size;
}

static bool in_limit(const struct isa_seg *s, uint64_t off, unsigned n)
{
    uint64_t last = off + n - 1;
    bool down = isa_seg_is_data(s) && (s->ar & ISA_TY_DOWN);
    if (!down)
        return last <= s->limit;
    return off > s->limit && last <= (s->ar & ISA_AR_DB ? 0xffffffffull : 0xffff);
}

// The usual frame: it lies in one page that the inline TLB knows.
static bool write_at_once(struct isa_cpu *c, const struct isa_frame *f)
{
    if (!f->long_mode || !f->n)
        return false;
    uint64_t size = f->slot[0].off + f->slot[0].size - f->sp;
    uint8_t *p = size <= 4096 ? isa_mirror_at(c, f->sp, (unsigned)size, f->acc) : NULL;
    if (!p)
        return false;
    for (unsigned k = 0; k < f->n; k++) {
        uint8_t *at = p + (f->slot[k].off - f->sp);
        if (f->slot[k].size == 8)
            memcpy(at, &f->slot[k].val, 8);
        else
            memcpy(at, &f->slot[k].val, f->slot[k].size);
    }
    return true;
}

int isa_frame_write(struct isa_cpu *c, struct isa_frame *f)
{
    uint64_t la[ISA_FRAME_MAX];
    int r;
    isa_context_stands(c);
    if (write_at_once(c, f))
        return 0;
    for (unsigned k = 0; k < f->n; k++) {
        uint64_t off = f->slot[k].off;
        unsigned size = f->slot[k].size;
        if (f->long_mode) {
            la[k] = off;
            if (!isa_canonical(c, off) || !isa_canonical(c, off + size - 1))
                return isa_raise(c, ISA_X_SS, 0, ISA_RULE_SS_CANONICAL);
        } else {
            la[k] = (uint32_t)(f->ss.base + off);
            if (!in_limit(&f->ss, off, size))
                return isa_raise(c, ISA_X_SS, f->ss_error, ISA_RULE_SS_LIMIT);
        }
        if (!isa_mirror_at(c, la[k], size, f->acc) && (r = c->env->probe(c, la[k], size, f->acc)))
            return r;
    }
    for (unsigned k = 0; k < f->n; k++) {
        void *p = isa_mirror_at(c, la[k], f->slot[k].size, f->acc);
        if (p)
            memcpy(p, &f->slot[k].val, f->slot[k].size);
        else if ((r = c->env->write(c, la[k], &f->slot[k].val, f->slot[k].size, f->acc)))
            return r;
    }
    return 0;
}
