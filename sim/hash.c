// sim/hash.c: a hash of the whole architectural state: two machines that a guest cannot tell apart hash alike.
//
// COVERED    registers with hidden parts, MSRs, the clock, activity and blocking; RAM; VMX state and the cached VMCS; devices.
// LEFT OUT   what only the simulator knows: decoded blocks, inline TLBs, counters; and the TLBs, which sim_tlb_hash() covers.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "isa/flags.h"
#include "sim/internal.h"

uint64_t hash_bytes(uint64_t h, const void *p, uint64_t n)
{
    const uint8_t *b = p;
    uint64_t v;
    for (; n >= 8; n -= 8, b += 8) {
        memcpy(&v, b, 8);
        h = hash_u64(h, v);
    }
    v = 0;
    memcpy(&v, b, n);
    return n ? hash_u64(h, v ^ n << 56) : h;
}

static uint64_t hash_pmu(uint64_t h, const struct isa_pmu *p)
{
    for (unsigned k = 0; k < ISA_PMU_ALL; k++)
        h = hash_u64(h, p->counter[k]);
    for (unsigned k = 0; k < ISA_PMU_GENERAL; k++)
        h = hash_u64(h, p->select[k]);
    return hash_u64(hash_u64(hash_u64(h, p->fixed_ctrl), p->global_ctrl), p->status);
}

static uint64_t hash_cpu(uint64_t h, const struct isa_cpu *c)
{
    for (unsigned r = 0; r < 16; r++)
        h = hash_u64(h, c->gpr[r]);
    for (unsigned s = 0; s < ISA_NSREG; s++) {
        h = hash_u64(hash_u64(h, c->seg[s].base), c->seg[s].limit);
        h = hash_u64(h, c->seg[s].ar | (uint64_t)c->seg[s].sel << 32);
    }
    const uint64_t word[] = {
        c->rip,           isa_rflags(c),   c->cycles,       c->insns,      c->gdtr.base,
        c->gdtr.limit,    c->idtr.base,    c->idtr.limit,   c->cr0,        c->cr2,
        c->cr3,           c->cr4,          c->cr8,          c->xcr0,       c->efer,
        c->activity,      c->blocking,     c->pending_dbg,  c->vmx,        c->cpl,
        c->mode,          c->star,         c->lstar,        c->cstar,      c->fmask,
        c->sysenter_cs,   c->sysenter_esp, c->sysenter_eip, c->pat,        c->apic_base,
        c->tsc_offset,    c->tsc_aux,      c->misc_enable,  c->debugctl,   c->feature_control,
        c->spec_ctrl,     c->tsc_adjust,   c->cr0_fixed0,   c->cr0_fixed1, c->kernel_gs_base,
        c->mtrr_def_type, c->cr4_fixed0,   c->cr4_fixed1,   c->xss,        c->pkru,
        c->pm_ctl1,       c->bndcfgu,      c->bndstatus,    c->bndcfgs,
    };
    for (unsigned k = 0; k < sizeof word / sizeof *word; k++)
        h = hash_u64(h, word[k]);
    for (unsigned k = 0; k < 8; k++)
        h = hash_u64(h, c->dr[k]);
    for (unsigned k = 0; k < 4; k++)
        h = hash_u64(h, c->pdpte[k]);
    for (unsigned k = 0; k < 16; k++)
        h = hash_u64(h, c->mtrr_var[k]);
    for (unsigned k = 0; k < 11; k++)
        h = hash_u64(h, c->mtrr_fix[k]);
    h = hash_pmu(h, &c->pmu);
    const struct isa_x87 *x = &c->x87;
    h = hash_u64(hash_u64(hash_u64(h, x->cw | (uint64_t)x->sw << 16 | (uint64_t)x->fop << 32 | (uint64_t)x->valid << 48), x->fip),
                 x->fdp);
    for (unsigned k = 0; k < 8; k++)
        h = hash_u64(hash_u64(h, x->r[k].sig), x->r[k].se);
    for (unsigned k = 0; k < 16; k++)
        h = hash_u64(hash_u64(h, c->xmm[k].q[0]), c->xmm[k].q[1]);
    for (unsigned k = 0; k < 4; k++)
        h = hash_u64(hash_u64(h, c->bnd[k].lb), c->bnd[k].ub);
    for (unsigned k = 0; k < 16; k++)
        h = hash_u64(hash_u64(h, c->ymmh[k].q[0]), c->ymmh[k].q[1]);
    return hash_u64(h, c->mxcsr);
}

static uint64_t hash_vmx(uint64_t h, const struct vmx_cpu *v)
{
    h = hash_u64(hash_u64(hash_u64(h, v->on), v->vmxon_ptr), v->vmcs_ptr);
    if (v->vmcs_ptr == VMX_NO_PTR)
        return h;
    for (unsigned f = 0; f < VMCS_NFIELD; f++)
        h = hash_u64(h, v->vmcs.f[f]);
    h = hash_u64(hash_u64(h, v->pause_last), v->pause_first);
    h = hash_u64(h, v->trap_qual | (uint64_t)v->virq << 62 | (uint64_t)v->mtf_pending << 63);
    return hash_u64(h, v->vmcs.launched | (uint64_t)v->vmcs.abort << 8 | (uint64_t)v->trap_reason << 40);
}

// What waits for the processor, and what it waits for.
static uint64_t hash_waiting(uint64_t h, const struct sim_cpu *cpu)
{
    h = hash_u64(h, cpu->nmi | cpu->init << 1 | cpu->parked << 2 | cpu->monitor.armed << 3 | cpu->monitor.waiting << 4 |
                        cpu->monitor.written << 5 | (uint64_t)cpu->sipi << 8);
    return cpu->monitor.armed || cpu->monitor.waiting ? hash_u64(h, cpu->monitor.la) : h;
}

// Pages of zeros count as absent, so touched and untouched zero pages hash alike.
static uint64_t hash_page(uint64_t h, uint64_t index, const uint8_t *p)
{
    uint64_t any = 0, v;
    for (unsigned k = 0; k < 4096; k += 8) {
        memcpy(&v, p + k, 8);
        any |= v;
    }
    return any ? hash_bytes(hash_u64(h, index), p, 4096) : h;
}

// Only pages that the host has given memory to can differ from zero; /proc/self/pagemap tells them (bit 63 present, 62 swapped out).
// Without it all of RAM is read.
static uint64_t hash_ram(uint64_t h, const struct sim_ram *r)
{
    enum { BATCH = 512 };
    uint64_t map[BATCH], pages = (r->size + 4095) >> 12;
    int fd = sysconf(_SC_PAGESIZE) == 4096 ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
    for (uint64_t k = 0; k < pages; k += BATCH) {
        uint64_t n = pages - k < BATCH ? pages - k : BATCH;
        bool known = fd >= 0 && pread(fd, map, n * 8, (off_t)((((uintptr_t)r->base >> 12) + k) * 8)) == (ssize_t)(n * 8);
        for (uint64_t j = 0; j < n; j++)
            if (!known || map[j] >> 62)
                h = hash_page(h, k + j, r->base + ((k + j) << 12));
    }
    if (fd >= 0)
        close(fd);
    return h;
}

uint64_t sim_state_hash(struct sim_machine *m)
{
    uint64_t h = hash_u64(0, m->ram.size);
    for (unsigned n = 0; n < m->ncpus; n++) {
        isa_pmu_sync(&m->cpu[n]->isa);
        h = hash_waiting(hash_vmx(hash_cpu(h, &m->cpu[n]->isa), &m->cpu[n]->vmx), m->cpu[n]);
    }
    h = m->ncpus > 1 ? hash_u64(hash_u64(h, m->running), m->seen) : h;
    h = hash_u64(h, m->rng);
    h = m->pkg_hdc ? hash_u64(h, m->pkg_hdc) : h;
    return bus_hash(m, hash_ram(h, &m->ram));
}

uint64_t sim_tlb_hash(const struct sim_machine *m)
{
    uint64_t h = 0;
    for (unsigned n = 0; n < m->ncpus; n++) {
        const struct tlb_entry *e;
        for (unsigned pos = 0; (e = tlb_next(m->cpu[n]->tlb, &pos));) {
            h = hash_u64(hash_u64(hash_u64(h, e->tag), e->frame.v), e->gpa.v);
            h = hash_u64(h, e->unit | e->mapping << 8 | e->page_shift << 16 | (uint64_t)e->perms << 24 | (uint64_t)e->vpid << 32 |
                                (uint64_t)e->pcid << 48);
            h = hash_u64(hash_u64(h, e->eptrta), e->global | e->dirty << 1 | e->pkey << 2);
            h = hash_u64(hash_u64(h, e->filled_at), e->filled_rip);
        }
    }
    return h;
}
