// sim/mmu.c: the configuration and context of a processor's memory-management unit.
#include <string.h>

#include "sim/internal.h"

// Bits of the VM-execution controls that concern address translation.
#define PROC_SECONDARY (1u << 31)
#define PROC2_EPT      (1u << 1)
#define PROC2_MBEC     (1u << 22)
#define PROC2_VPID     (1u << 5)

static void vmx_context(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    const uint64_t *f = c->vmx.vmcs.f;
    s->ept_on = false;
    s->vpid = 0;
    s->eptrta = 0;
    s->eptp = 0;
    if (c->isa.vmx != ISA_VMX_NONROOT || !(f[VF_CPU_BASED_VM_EXEC_CONTROL] & PROC_SECONDARY))
        return;
    if (f[VF_SECONDARY_VM_EXEC_CONTROL] & PROC2_VPID)
        s->vpid = (uint16_t)f[VF_VIRTUAL_PROCESSOR_ID];
    if (f[VF_SECONDARY_VM_EXEC_CONTROL] & PROC2_EPT) {
        s->ept_on = true;
        s->eptp = f[VF_EPT_POINTER];
        ept_init(&s->ept, s->eptp, c->m->profile->maxphyaddr, c->m->profile->vmx.ept_vpid);
        s->ept.mbec = f[VF_SECONDARY_VM_EXEC_CONTROL] & PROC2_MBEC;
        s->eptrta = s->ept.root;
    }
}

// What paging, EPT and the dirty flag say of every combination of rights.
static void grant_all(struct mmu_state *s)
{
    for (unsigned row = 0; row < 8; row++)
        for (unsigned data = 0; data < 128; data++) {
            const struct isa_pg pg = {.wp = row & 4, .smap = row & 2};
            const unsigned e = TLB_DATA_EPERMS(data);
            const bool r = isa_pg_check(&pg, data & 7, row & 1, ISA_ACC_R, false) == ISA_RULE_NONE && e & EPT_R;
            const bool w = isa_pg_check(&pg, data & 7, row & 1, ISA_ACC_W, false) == ISA_RULE_NONE && e & EPT_W;
            s->grant[row][data] = (r ? MMU_MAY_READ : 0) | (r && w && data & TLB_DATA_DIRTY ? MMU_MAY_WRITE : 0);
        }
}

static void recompute(struct sim_cpu *c)
{
    struct mmu_state *s = &c->mmu;
    const struct isa_cpu *isa = &c->isa;
    const struct sim_profile *p = c->m->profile;
    s->cr0 = isa->cr0;
    s->cr3 = isa->cr3;
    s->cr4 = isa->cr4;
    s->efer = isa->efer;
    s->pkru = isa->pkru;
    s->vmx = isa->vmx;
    s->valid = true;
    isa_pg_init(&s->pg, isa, p->maxphyaddr, isa_has(p->features, ISA_FEAT_PSE36), isa_has(p->features, ISA_FEAT_PAGE1GB));
    s->grants = s->pg.wp << 2 | s->pg.smap << 1;
    vmx_context(c);
    s->pcid = isa->cr4 & ISA_CR4_PCIDE ? isa->cr3 & 0xfff : 0;
    s->direct = s->pg.mode == ISA_PG_NONE && !s->ept_on;
    s->root = s->pg.mode >= ISA_PG_4L ? isa->cr3 & 0x000ffffffffff000ull : isa->cr3 & 0xfffff000u;
    s->key1 = s->eptrta | s->pcid | (uint64_t)(s->ept_on ? TLB_COMBINED : TLB_LINEAR) << TLB_K1_MAP_SHIFT |
              (s->pg.mode == ISA_PG_NONE ? TLB_K1_UNPAGED : 0);
    s->gkey1 = s->eptrta | (uint64_t)TLB_GUEST_PHYSICAL << TLB_K1_MAP_SHIFT;
    mmu_mirror_select(c);
}

void mmu_context(struct sim_cpu *c)
{
    if (mmu_inputs_stand(c)) {
        c->isa.mctx = mmu_mctx(c);
        isa_new_epoch(&c->isa);
    } else if (c->tlb && c->tlb->cpu)
        recompute(c);
}

void mmu_forget(struct sim_cpu *c)
{
    const struct tlb_select all = {.units = TLB_UNITS_ALL, .mappings = TLB_MAP_ALL};
    struct mmu_state kept = c->mmu;
    psc_settle(c->tlb);
    c->tlb->cpu = NULL; // nobody hears of it
    tlb_invalidate(c->tlb, &all);
    memset(&c->mmu, 0, sizeof c->mmu);
    for (unsigned k = 0; k < MMU_UPPERS_SIZE; k++)
        c->mmu.uppers[k].tag = MMU_NO_UPPERS;
    c->mmu.soft = kept.soft;
    c->mmu.wide = kept.wide;
    c->mmu.wide_serial = kept.wide_serial;
    c->mmu.last_serial = kept.last_serial;
    c->mmu.apic_page = kept.apic_page;
    grant_all(&c->mmu);
    if (mmu_is_soft(c))
        soft_create(c);
    mmu_mirror_clear_cpu(c);
    c->tlb->cpu = c;
    mmu_context(c);
}

void mmu_reset(struct sim_cpu *c)
{
    c->mmu.apic_page = 0;
    mmu_forget(c);
}

void mmu_destroy(struct sim_cpu *c) { soft_destroy(c); }
