// sim/tlb_stale.c: entries whose source in memory has changed: who changed it, who uses them, and what should have been in between.
//
// An entry is stale where translation or rights would come out differently now. Not every use of a stale entry is a mistake: between the
// write and the invalidation a processor may use either. A guest that never invalidates depends on luck; policies (sim/tlb_policy.c) take
// the luck away. Manual: "Invalidation", "Guidelines for Use of the INVVPID Instruction", "Guidelines for Use of the INVEPT Instruction".
#include <stdio.h>

#include "sim/internal.h"

void tlb_blame(struct sim_machine *m, struct tlb_entry *e, uint64_t now, unsigned which)
{
    const struct sim_cpu *writer = m->cpu[m->running];
    e->stale_cycle = engine_now(&writer->isa);
    e->stale_rip = engine_rip(&writer->isa);
    e->stale_cpu = (uint8_t)writer->n;
    e->stale_root = writer->isa.vmx != ISA_VMX_NONROOT;
    e->stale_which = (uint8_t)which;
    e->stale_new = now;
}

void tlb_used(struct sim_cpu *c, struct tlb_entry *e, uint64_t la)
{
    uint64_t now;
    unsigned which;
    bool stale = tlb_source_changed(c->m, e, &now, &which);
    if (!stale) {
        e->stale = false;
        return;
    }
    if (!e->stale) { // by a write that nobody reported, such as the simulator's own
        e->stale_cycle = e->stale_rip = 0;
        e->stale_which = (uint8_t)which;
        e->stale_new = now;
    }
    e->stale = true;
    struct ev ev = {.kind = EV_TLB_STALE, .u.stale = {e, la, now}};
    ev_emit(c, &ev);
}

// --- for people

static unsigned remedy(const struct tlb_entry *e, uint64_t la, char *buf, size_t n)
{
    const unsigned long long at = la, ept = e->eptrta;
    if (e->stale_which)
        return (unsigned)snprintf(buf, n, "INVEPT of type 1 for the EPT at %llx, or of type 2", ept);
    if (e->stale_root && (e->vpid || e->mapping == TLB_COMBINED))
        return (unsigned)snprintf(buf, n, "INVVPID of type 0 for VPID %u and address %llx, or of type 1 to 3", e->vpid, at);
    return (unsigned)snprintf(
        buf, n, e->global ? "INVLPG of %llx (the page is global: MOV to CR3 keeps it)" : "INVLPG of %llx, INVPCID, or MOV to CR3",
        at);
}

unsigned sim_stale_remedy(const struct tlb_entry *e, uint64_t la, char *buf, unsigned size) { return remedy(e, la, buf, size); }

unsigned sim_stale_text(struct sim_machine *m, unsigned cpu, const struct tlb_entry *e, uint64_t la, char *buf, unsigned size)
{
    char what[160], by[64], tags[80], rip[128] = "";
    const unsigned k = e->stale_which;
    remedy(e, la, what, sizeof what);
    sim_symbol(m, e->stale_rip, by, sizeof by);
    if (e->mapping == TLB_GUEST_PHYSICAL)
        snprintf(tags, sizeof tags, "EPT %llx", (unsigned long long)e->eptrta);
    else if (e->mapping == TLB_COMBINED)
        snprintf(tags, sizeof tags, "VPID %u, PCID %u, EPT %llx", e->vpid, e->pcid, (unsigned long long)e->eptrta);
    else
        snprintf(tags, sizeof tags, "VPID %u, PCID %u", e->vpid, e->pcid);
    if (e->stale_cycle)
        snprintf(rip, sizeof rip, "processor %u at %llx%s%s%s, cycle %llu,", e->stale_cpu, (unsigned long long)e->stale_rip,
                 *by ? " (" : "", by, *by ? ")" : "", (unsigned long long)e->stale_cycle);
    return (unsigned)snprintf(
        buf, size, "%s entry %llx -> %llx (%s) is stale: %s wrote %llx over %llx in the %s entry at %llx%s; missing%s: %s",
        tlb_unit_name((enum tlb_unit)e->unit), (unsigned long long)e->tag, (unsigned long long)e->frame.v, tags,
        *rip ? rip : "somebody", (unsigned long long)e->stale_new, (unsigned long long)e->src_val[k], k ? "EPT" : "guest's",
        (unsigned long long)e->src[k].v, e->stale_root ? ", in root operation" : "",
        e->stale_cycle && e->stale_cpu != cpu ? " on this processor" : "", what);
}
