// sim/mmu_inval.c: what drops cached translations: instructions, faults, VMX transitions. Each rule drops exactly what the manual
// requires, so that a guest that forgets an invalidation shows it. Manual: "Invalidation of TLBs and Paging-Structure Caches",
// "Invalidating Cached Translation Information" (VMX).
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/internal.h"

static void told(struct sim_cpu *c, const char *cause, uint64_t a, uint64_t b, uint64_t la, unsigned dropped)
{
    if (ev_wanted(c->m, EV_TLB_FLUSH)) {
        struct ev ev = {.kind = EV_TLB_FLUSH, .u.flush = {cause, a, b, la, dropped}};
        ev_emit(c, &ev);
    }
}

// Selections of the current VPID's linear and combined mappings.
static struct tlb_select here(const struct sim_cpu *c, uint32_t units)
{
    return (struct tlb_select){.units = units, .mappings = TLB_MAP_LA, .one_vpid = true, .vpid = c->mmu.vpid};
}
static struct tlb_select of_pcid(const struct sim_cpu *c, uint32_t units, uint16_t pcid)
{
    struct tlb_select s = here(c, units);
    s.one_pcid = true;
    s.pcid = pcid;
    return s;
}
static struct tlb_select of_page(struct tlb_select s, uint64_t addr)
{
    s.one_page = true;
    s.addr = addr;
    return s;
}
static struct tlb_select but_globals(struct tlb_select s)
{
    s.keep_global = true;
    return s;
}
// What an instruction selects: entries that any of these select, none twice.
struct plan {
    struct tlb_select s[2];
    unsigned n;
};
static unsigned drop(struct sim_cpu *c, struct tlb_select s) { return tlb_invalidate(c->tlb, &s); }
static unsigned carry_out(struct sim_cpu *c, const struct plan *p)
{
    unsigned n = 0;
    for (unsigned k = 0; k < p->n; k++)
        n += drop(c, p->s[k]);
    return n;
}
static struct plan one(struct tlb_select s) { return (struct plan){.s = {s}, .n = 1}; }

static struct plan plan_invlpg(const struct sim_cpu *c, uint64_t la)
{
    return (struct plan){.s = {of_page(of_pcid(c, TLB_UNITS_TLB, c->mmu.pcid), la), of_pcid(c, TLB_UNITS_PSC, c->mmu.pcid)},
                         .n = 2};
}

static struct plan plan_invpcid(const struct sim_cpu *c, uint64_t type, uint16_t pcid, uint64_t la)
{
    const uint32_t both = TLB_UNITS_TLB | TLB_UNITS_PSC;
    switch (type) {
    case 0: return one(but_globals(of_page(of_pcid(c, both, pcid), la)));
    case 1: return one(but_globals(of_pcid(c, both, pcid)));
    case 2: return one(here(c, both));
    default: return one(but_globals(here(c, both)));
    }
}

static struct plan plan_cr3(const struct sim_cpu *c, uint64_t val)
{
    const bool pcide = c->isa.cr4 & ISA_CR4_PCIDE;
    if (pcide && val >> 63)
        return (struct plan){.n = 0};
    return one(but_globals(of_pcid(c, TLB_UNITS_TLB | TLB_UNITS_PSC, pcide ? val & 0xfff : 0)));
}

static struct plan plan_invept(unsigned type, uint64_t eptp)
{
    struct tlb_select s = {.units = TLB_UNITS_ALL, .mappings = 1u << TLB_GUEST_PHYSICAL | 1u << TLB_COMBINED};
    s.one_eptrta = type == 1;
    s.eptrta = eptp & EPT_ADDR;
    return one(s);
}

static struct plan plan_invvpid(unsigned type, uint16_t vpid, uint64_t la)
{
    struct tlb_select s = {.units = TLB_UNITS_TLB | TLB_UNITS_PSC, .mappings = TLB_MAP_LA, .one_vpid = type != 2, .vpid = vpid};
    s.not_vpid0 = type == 2;
    s.keep_global = type == 3;
    return one(type == 0 ? of_page(s, la) : s);
}

static void load_cr3(struct sim_cpu *c, const char *cause, uint64_t val)
{
    const struct plan p = plan_cr3(c, val);
    told(c, cause, val, 0, 0, carry_out(c, &p));
}

static void load_cr4(struct sim_cpu *c, uint64_t changed)
{
    const uint32_t both = TLB_UNITS_TLB | TLB_UNITS_PSC;
    uint64_t now = c->isa.cr4;
    if ((changed & ISA_CR4_PGE) || (changed & ~now & ISA_CR4_PCIDE))
        told(c, "MOV CR4", changed, 0, 0, drop(c, here(c, both)));
    else if ((changed & ISA_CR4_PAE) || (changed & now & ISA_CR4_SMEP))
        told(c, "MOV CR4", changed, 0, 0, drop(c, of_pcid(c, both, c->mmu.pcid)));
}

void mmu_inval(struct isa_cpu *isa, enum isa_inval kind, uint64_t a, uint64_t b, uint64_t la)
{
    struct sim_cpu *c = sim_cpu_of(isa);
    struct plan p;
    mmu_context(c);
    switch (kind) {
    case ISA_INVAL_INVLPG:
        p = plan_invlpg(c, a);
        told(c, "INVLPG", a, 0, a, carry_out(c, &p));
        break;
    case ISA_INVAL_INVPCID:
        p = plan_invpcid(c, a, (uint16_t)b, la);
        told(c, "INVPCID", a, b & 0xffff, la, carry_out(c, &p));
        break;
    case ISA_INVAL_CR3: load_cr3(c, "MOV CR3", a); break;
    case ISA_INVAL_TASK: load_cr3(c, "task switch", isa->cr3); break;
    case ISA_INVAL_CR0_PG:
        if (!(isa->cr0 & ISA_CR0_PG))
            told(c, "MOV CR0", isa->cr0, 0, 0, drop(c, here(c, TLB_UNITS_TLB | TLB_UNITS_PSC)));
        break;
    case ISA_INVAL_CR4: load_cr4(c, a); break;
    case ISA_INVAL_EFER: break; // changes how entries are walked and checked from now on; drops nothing
    }
}

// --- VMX

// Mirrors of the APIC-access page may be left from an entry without that control: contexts do not tell the two apart.
static void set_apic_page(struct sim_cpu *c, bool entry)
{
    uint64_t page = entry ? vmx_apic_access_page(&c->vmx) : VMX_NO_PTR;
    c->mmu.apic_page = page == VMX_NO_PTR ? 0 : page | 1;
    if (!entry || c->mmu.apic_page == c->mmu.apic_page_last)
        return;
    c->mmu.apic_page_last = c->mmu.apic_page;
    mmu_mirror_clear_cpu(c);
}

void mmu_vm_transition(struct sim_cpu *c, bool entry)
{
    const uint64_t *f = c->vmx.vmcs.f;
    mmu_context(c); // root or non-root has changed, so all is computed anew
    set_apic_page(c, entry);
    mmu_watch(c); // DR7 was loaded, and an event may be injected
    bool vpid = (f[VF_CPU_BASED_VM_EXEC_CONTROL] >> 31 & 1) && (f[VF_SECONDARY_VM_EXEC_CONTROL] >> 5 & 1);
    if (vpid)
        return;
    struct tlb_select s = {.units = TLB_UNITS_TLB | TLB_UNITS_PSC, .mappings = TLB_MAP_LA, .one_vpid = true, .vpid = 0};
    told(c, entry ? "VM entry" : "VM exit", 0, 0, 0, drop(c, s));
}

// VMFUNC changed the EPTP under the guest's feet: what was cached stays, under its own EPTRTA.
void mmu_eptp_switched(struct sim_cpu *c)
{
    c->mmu.valid = false;
    mmu_context(c);
}

void mmu_invept(struct sim_cpu *c, unsigned type, uint64_t eptp)
{
    const struct plan p = plan_invept(type, eptp);
    told(c, "INVEPT", type, eptp, 0, carry_out(c, &p));
}

void mmu_invvpid(struct sim_cpu *c, unsigned type, uint16_t vpid, uint64_t la)
{
    const struct plan p = plan_invvpid(type, vpid, la);
    told(c, "INVVPID", type, vpid, la, carry_out(c, &p));
}

void sim_tlb_flush_all(struct sim_machine *m, unsigned cpu)
{
    const struct tlb_select all = {.units = TLB_UNITS_ALL, .mappings = TLB_MAP_ALL};
    struct sim_cpu *c = m->cpu[cpu];
    told(c, "scenario", 0, 0, 0, tlb_invalidate(c->tlb, &all));
}

// --- faults

int mmu_page_fault(struct sim_cpu *c, uint64_t la, unsigned acc, unsigned rights, enum isa_rule rule)
{
    // So that a fault that the tables no longer justify does not recur. Globals of other PCIDs would serve this access too.
    unsigned n = drop(c, of_page(of_pcid(c, TLB_UNITS_TLB | TLB_UNITS_PSC, c->mmu.pcid), la));
    if (n)
        told(c, "page fault", 0, 0, la, n);
    return isa_raise_pf(&c->isa, la, isa_pg_error(&c->mmu.pg, rule, rights, isa_pg_user(&c->isa, acc), acc), rule);
}

static void drop_guest_physical(struct sim_cpu *c, const char *cause, struct gpa gpa, uint64_t la, bool la_valid)
{
    struct tlb_select s = {
        .units = TLB_UNITS_EPT, .mappings = 1u << TLB_GUEST_PHYSICAL, .one_eptrta = true, .eptrta = c->mmu.eptrta};
    unsigned n = drop(c, of_page(s, gpa.v));
    if (la_valid) {
        s = of_page(of_pcid(c, TLB_UNITS_TLB | TLB_UNITS_PSC, c->mmu.pcid), la);
        s.mappings = 1u << TLB_COMBINED;
        s.one_eptrta = true;
        s.eptrta = c->mmu.eptrta;
        n += drop(c, s);
    }
    if (n)
        told(c, cause, gpa.v, 0, la, n);
}

int mmu_ept_violation(struct sim_cpu *c, struct gpa gpa, uint64_t la, bool la_valid, bool final, unsigned acc, unsigned perms,
                      uint64_t entry)
{
    drop_guest_physical(c, "EPT violation", gpa, la, la_valid);
    return glue_ept_violation(&c->isa, gpa, la, la_valid, final, acc, perms, entry);
}

int mmu_ept_misconfig(struct sim_cpu *c, struct gpa gpa) { return glue_ept_misconfig(&c->isa, gpa); }

// --- previews

struct invalidation {
    const char *name, *operands;
    unsigned n; // how many operands
    uint64_t type_lowest, type_highest;
};

static struct plan plan_by_name(const struct sim_cpu *c, unsigned which, const uint64_t *v)
{
    switch (which) {
    case 0: return plan_invlpg(c, v[0]);
    case 1: return plan_invpcid(c, v[0], (uint16_t)v[1], v[2]);
    case 2: return plan_cr3(c, v[0]);
    case 3: return plan_invvpid((unsigned)v[0], (uint16_t)v[1], v[2]);
    default: return plan_invept((unsigned)v[0], v[1]);
    }
}

// The name at the beginning of the text, and its operands; missing ones are 0. -1 if it is none of them.
static int parse(const char *text, const struct invalidation *all, unsigned count, uint64_t v[3])
{
    for (unsigned k = 0; k < count; k++) {
        size_t n = strlen(all[k].name);
        if (strncasecmp(text, all[k].name, n) != 0 || (text[n] && !strchr(" ,", text[n])))
            continue;
        unsigned got = 0;
        for (text += n; *(text += strspn(text, " ,")); got++) {
            char *end;
            if (got == all[k].n)
                return -1;
            v[got] = strtoull(text, &end, 0);
            if (end == text || (*end && !strchr(" ,", *end)))
                return -1;
            text = end;
        }
        bool types = all[k].type_highest && (v[0] < all[k].type_lowest || v[0] > all[k].type_highest);
        return got == 0 || types ? -1 : (int)k;
    }
    return -1;
}

int sim_tlb_preview(struct sim_machine *m, unsigned cpu, const char *text, tlb_visit_fn *fn, void *ctx, struct sim_error *err)
{
    static const struct invalidation all[] = {{"INVLPG", "ADDRESS", 1, 0, 0},
                                              {"INVPCID", "TYPE PCID ADDRESS", 3, 0, 3},
                                              {"MOV CR3", "VALUE", 1, 0, 0},
                                              {"INVVPID", "TYPE VPID ADDRESS", 3, 0, 3},
                                              {"INVEPT", "TYPE EPTP", 2, 1, 2}};
    uint64_t v[3] = {0};
    int which = parse(text, all, sizeof all / sizeof *all, v);
    if (which < 0)
        return sim_fail(
            err, SIM_USAGE,
            "preview '%.60s': write INVLPG ADDRESS, INVPCID TYPE PCID ADDRESS, MOV CR3 VALUE, INVVPID TYPE VPID ADDRESS "
            "or INVEPT TYPE EPTP",
            text);
    const struct tlb *t = sim_tlb(m, cpu);
    const struct plan p = plan_by_name(m->cpu[cpu], (unsigned)which, v);
    unsigned pos = 0;
    int n = 0;
    for (const struct tlb_entry *e; (e = tlb_next(t, &pos));)
        for (unsigned k = 0; k < p.n; k++)
            if ((p.s[k].units >> e->unit & 1) && tlb_selects(&p.s[k], e)) {
                n++;
                if (fn)
                    fn(ctx, e);
                break;
            }
    return n;
}
