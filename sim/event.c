// sim/event.c: the event bus: subscriptions, delivery in a fixed order, and the event hash.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

#define FREQUENT true
#define RARE     false
const struct ev_info ev_info[EV_NUM] = {
#define E(id, name, rarity, text) [EV_##id] = {name, rarity, text},
#include "sim/events.def"
#undef E
};
#define EV_FREQUENT (EV_BIT(EV_INSN) | EV_BIT(EV_MEM))
// What the event hash leaves out: listening to any of these takes the inline TLBs away.
#define EV_UNHASHED (EV_FREQUENT | EV_BIT(EV_TLB_STALE))

int ev_by_name(const char *name)
{
    for (int k = 0; k < EV_NUM; k++)
        if (strcmp(ev_info[k].name, name) == 0)
            return k;
    return -1;
}

void ev_update_mask(struct sim_machine *m)
{
    uint64_t mask = m->ev_until | (m->hash_events ? EV_ALL & ~EV_UNHASHED : 0);
    for (unsigned k = 0; k < m->nsubs; k++)
        mask |= m->subs[k].mask;
    m->refs_heard = mask >> EV_REF & 1;
    if (m->fidelity == SIM_DETAILED)
        mask |= EV_BIT(EV_REF); // the caches serve each of them: mmu_walk.c
    uint64_t changed = mask ^ m->ev_mask;
    m->ev_mask = mask;
    if (changed & EV_UNHASHED) { // inline TLBs hide accesses: they start afresh
        mmu_mirror_clear(m);
        engine_kick(m);
    }
}

int ev_subscribe(struct sim_machine *m, uint64_t mask, ev_fn *fn, void *ctx)
{
    struct ev_sub *p = realloc(m->subs, (m->nsubs + 1) * sizeof *p);
    assert(p); // a few dozen bytes
    m->subs = p;
    p[m->nsubs++] = (struct ev_sub){++m->next_handle, mask & EV_ALL, fn, ctx};
    ev_update_mask(m);
    return m->next_handle;
}

static void remove_dead(struct sim_machine *m)
{
    unsigned n = 0;
    for (unsigned k = 0; k < m->nsubs; k++)
        if (m->subs[k].fn)
            m->subs[n++] = m->subs[k];
    m->nsubs = n;
    m->subs_dead = false;
}

void ev_unsubscribe(struct sim_machine *m, int handle)
{
    for (unsigned k = 0; k < m->nsubs; k++)
        if (m->subs[k].handle == handle) {
            m->subs[k].fn = NULL; // the array is being walked if an event is under way
            m->subs[k].mask = 0;
            m->subs_dead = true;
        }
    if (m->subs_dead && !m->delivering)
        remove_dead(m);
    ev_update_mask(m);
}

// Fold what an event says, field by field: padding and pointers have no place in a hash.
static uint64_t hash_event(uint64_t h, const struct ev *e)
{
    h = hash_u64(h, e->kind | (uint64_t)e->cpu << 8 | (uint64_t)e->level << 16);
    h = hash_u64(hash_u64(hash_u64(h, e->cycle), e->insn), e->rip);
#define H1(a)       (h = hash_u64(h, (uint64_t)(a)))
#define H2(a, b)    (H1(a), H1(b))
#define H3(a, b, c) (H2(a, b), H1(c))
    switch (e->kind) {
    case EV_WALK:
        H3(e->u.walk.la, e->u.walk.acc, e->u.walk.done);
        H3(e->u.walk.outcome, e->u.walk.refs, e->u.walk.err);
        H3(e->u.walk.gpa.v, e->u.walk.hpa.v, e->u.walk.page);
        break;
    case EV_REF:
        H3(e->u.ref.dim, e->u.ref.glevel, e->u.ref.elevel);
        H3(e->u.ref.number, e->u.ref.la, e->u.ref.gpa.v);
        H3(e->u.ref.at.v, e->u.ref.entry, e->u.ref.hit_psc | e->u.ref.set_ad << 1);
        break;
    case EV_TLB_FILL:
    case EV_TLB_EVICT:
        if (e->u.tlb.e) {
            H3(e->u.tlb.e->tag, e->u.tlb.e->frame.v, e->u.tlb.e->unit);
            H3(e->u.tlb.e->perms, e->u.tlb.e->vpid, e->u.tlb.e->pcid);
        }
        break;
    case EV_TLB_FLUSH:
        h = hash_bytes(h, e->u.flush.cause, e->u.flush.cause ? strlen(e->u.flush.cause) : 0);
        H3(e->u.flush.a, e->u.flush.b, e->u.flush.la);
        H1(e->u.flush.dropped);
        break;
    case EV_EXCEPTION:
        H3(e->u.exc.e.type, e->u.exc.e.vector, e->u.exc.e.error);
        H3(e->u.exc.e.addr, e->u.exc.cs, e->u.exc.handler);
        break;
    case EV_RING: H2(e->u.ring.from, e->u.ring.to); break;
    case EV_CR: H3(e->u.cr.n, e->u.cr.old, e->u.cr.now); break;
    case EV_MSR: H3(e->u.msr.n, e->u.msr.val, e->u.msr.write); break;
    case EV_SEG: H2(e->u.seg.sreg, e->u.seg.sel); break;
    case EV_IO:
        H3(e->u.io.port, e->u.io.size, e->u.io.in);
        H1(e->u.io.val);
        break;
    case EV_IRQ: H3(e->u.irq.line, e->u.irq.vector, e->u.irq.what); break;
    case EV_VMENTRY: H3(e->u.vmentry.vpid, e->u.vmentry.vmcs, e->u.vmentry.eptp); break;
    case EV_VMENTRY_FAIL:
        if (e->u.entry_fail.report)
            H3(e->u.entry_fail.report->outcome, e->u.entry_fail.report->error, e->u.entry_fail.report->n);
        break;
    case EV_VMEXIT:
        H3(e->u.vmexit.reason, e->u.vmexit.qual, e->u.vmexit.len);
        H3(e->u.vmexit.info, e->u.vmexit.gla, e->u.vmexit.gpa.v);
        H2(e->u.vmexit.intr_info, e->u.vmexit.intr_err);
        break;
    case EV_VMX:
        H3(e->u.vmx.op, e->u.vmx.outcome, e->u.vmx.error);
        H1(e->u.vmx.operand);
        break;
    case EV_HALT: H1(e->u.halt.awake); break;
    case EV_OUTPUT: H1(e->u.output.byte); break;
    case EV_MARK: h = hash_bytes(h, e->u.mark.name, e->u.mark.name ? strlen(e->u.mark.name) : 0); break;
    case EV_INSN:
    case EV_MEM:
    case EV_TLB_STALE:
    case EV_SHUTDOWN:
    case EV_NUM: break;
    }
#undef H1
#undef H2
#undef H3
    return h;
}

void ev_emit(struct sim_cpu *c, struct ev *e) { ev_emit_at(c, e, engine_rip(&c->isa)); }

void ev_emit_at(struct sim_cpu *c, struct ev *e, uint64_t rip)
{
    struct sim_machine *m = c->m;
    psc_settle_all(m);
    e->cpu = (uint8_t)c->n;
    e->level = c->isa.vmx == ISA_VMX_NONROOT;
    e->cycle = engine_now(&c->isa);
    e->insn = engine_insns(&c->isa);
    e->rip = rip;
    m->events_seen |= EV_BIT(e->kind);
    if (EV_BIT(e->kind) & m->ev_until)
        engine_kick(m);
    if (m->hash_events && !(EV_BIT(e->kind) & EV_UNHASHED))
        m->ev_hash = hash_event(m->ev_hash, e);
    m->delivering++;
    for (unsigned k = 0, n = m->nsubs; k < n;
         k++) // subscribers that come during delivery wait for the next; those that left are skipped
        if ((m->subs[k].mask >> e->kind & 1) && m->subs[k].fn)
            m->subs[k].fn(m->subs[k].ctx, m, e);
    if (--m->delivering == 0 && m->subs_dead)
        remove_dead(m);
}

void ev_mark(struct sim_machine *m, unsigned cpu, const char *name)
{
    struct ev e = {.kind = EV_MARK, .u.mark = {name}};
    if (ev_wanted(m, EV_MARK))
        ev_emit(m->cpu[cpu], &e);
}

void sim_event_hash_enable(struct sim_machine *m)
{
    m->hash_events = true;
    m->ev_hash = 0;
    ev_update_mask(m);
}
uint64_t sim_event_hash(const struct sim_machine *m) { return m->ev_hash; }
