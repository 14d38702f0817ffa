// sim/inspect.c: looking at and poking a machine without disturbing it (sim/inspect.h). Registers are sim/regs.c, descriptors
// sim/desc.c, translations sim/walk.c.
#include "sim/inspect.h"

#include <string.h>

#include "sim/internal.h"

// --- memory

bool sim_resolve(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, struct hpa *pa)
{
    struct sim_walk w;
    switch (space) {
    case SIM_HOST_PHYSICAL: pa->v = addr; return true;
    case SIM_GUEST_PHYSICAL: sim_translate_gpa(m, cpu, (struct gpa){addr}, ISA_ACC_R, &w); break;
    default:
        sim_translate(m, cpu, addr, ISA_ACC_R | ISA_ACC_SYS, &w);
        if (w.outcome == SIM_WALK_PF)
            sim_translate(m, cpu, addr, ISA_ACC_R | ISA_ACC_USER, &w);
        break;
    }
    *pa = w.hpa;
    return w.outcome == SIM_WALK_OK || w.outcome == SIM_WALK_NO_PAGING;
}

static uint64_t transfer(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, uint8_t *out, const uint8_t *in,
                         uint64_t n)
{
    uint64_t done = 0;
    if (cpu >= m->ncpus)
        return 0;
    while (done < n) {
        uint64_t here = 0x1000 - ((addr + done) & 0xfff);
        struct hpa pa;
        if (here > n - done)
            here = n - done;
        if (!sim_resolve(m, cpu, space, addr + done, &pa))
            break;
        uint8_t *p = ram_at(&m->ram, pa);
        const uint8_t *from = out ? bus_code_at(m, pa) : p;
        if (!from)
            break;
        if (out) {
            memcpy(out + done, from, here);
        } else {
            engine_code_written(m, pa, here);
            memcpy(p, in + done, here);
            if (mmu_guarded(m, pa))
                mmu_written(m, pa, (unsigned)here);
        }
        done += here;
    }
    return done;
}

uint64_t sim_peek(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, void *buf, uint64_t n)
{
    return transfer(m, cpu, space, addr, buf, NULL, n);
}

uint64_t sim_poke(struct sim_machine *m, unsigned cpu, enum sim_space space, uint64_t addr, const void *buf, uint64_t n)
{
    return transfer(m, cpu, space, addr, NULL, buf, n);
}

// --- VMX

const struct vmcs *sim_vmcs(struct sim_machine *m, unsigned cpu)
{
    return cpu < m->ncpus && m->cpu[cpu]->vmx.vmcs_ptr != VMX_NO_PTR ? &m->cpu[cpu]->vmx.vmcs : NULL;
}

bool sim_vmcs_write(struct sim_machine *m, unsigned cpu, uint32_t encoding, uint64_t val)
{
    if (!sim_vmcs(m, cpu))
        return false;
    int f = vmcs_by_encoding(encoding);
    if (f < 0)
        return false;
    struct vmcs *v = &m->cpu[cpu]->vmx.vmcs;
    if (encoding & 1) // the high half of a 64-bit field
        val = (v->f[f] & 0xffffffffu) | val << 32;
    vmcs_write(v, (enum vmcs_field)f, val, engine_now(&m->cpu[cpu]->isa), 0);
    mmu_context(m->cpu[cpu]); // EPTP and VPID matter in non-root operation
    return true;
}

uint64_t sim_vmcs_ptr(struct sim_machine *m, unsigned cpu) { return cpu < m->ncpus ? m->cpu[cpu]->vmx.vmcs_ptr : VMX_NO_PTR; }
uint16_t sim_vpid(struct sim_machine *m, unsigned cpu) { return cpu < m->ncpus ? m->cpu[cpu]->mmu.vpid : 0; }
uint16_t sim_pcid(struct sim_machine *m, unsigned cpu) { return cpu < m->ncpus ? m->cpu[cpu]->mmu.pcid : 0; }
uint64_t sim_eptp(struct sim_machine *m, unsigned cpu)
{
    return cpu < m->ncpus && m->cpu[cpu]->mmu.ept_on ? m->cpu[cpu]->mmu.eptp : 0;
}

const struct vmx_entry_report *sim_entry_report(struct sim_machine *m, unsigned cpu)
{
    return cpu < m->ncpus && m->cpu[cpu]->vmx.has_report ? &m->cpu[cpu]->vmx.report : NULL;
}

bool sim_check_entry(struct sim_machine *m, unsigned cpu, struct vmx_entry_report *report)
{
    memset(report, 0, sizeof *report);
    if (!sim_vmcs(m, cpu))
        return false;
    vmx_check_entry(&m->cpu[cpu]->isa, &m->cpu[cpu]->vmx, report);
    return true;
}

// --- TLB

const struct tlb *sim_tlb(struct sim_machine *m, unsigned cpu)
{
    if (cpu >= m->ncpus)
        return NULL;
    tlb_refresh_stale(m, cpu);
    return m->cpu[cpu]->tlb;
}

const struct caches *sim_caches(const struct sim_machine *m) { return m->caches; }

// --- counters: the clock, then sim/stats.def

static const struct {
    const char *name, *text;
} stat_info[] = {
    {"cycles", "model cycles since reset"},
    {"insns", "instructions retired since reset"},
#define S(id, name, text) {name, text},
#include "sim/stats.def"
#undef S
};
#define NSTATS  (sizeof stat_info / sizeof *stat_info)
#define NLISTED (2 + SIM_STAT_TLB_HITS) // the rest tells of the simulator, not of the machine (sim/stats.def)

bool sim_stat(struct sim_machine *m, unsigned cpu, const char *name, uint64_t *val)
{
    if (cpu >= m->ncpus)
        return false;
    detailed_counts(m);
    for (unsigned k = 0; k < NSTATS; k++)
        if (strcmp(stat_info[k].name, name) == 0) {
            const struct isa_cpu *c = &m->cpu[cpu]->isa;
            *val = k == 0 ? engine_now(c) : k == 1 ? engine_insns(c) : m->cpu[cpu]->stat[k - 2];
            return true;
        }
    return false;
}
const char *sim_stat_name(unsigned n) { return n < NLISTED ? stat_info[n].name : NULL; }
const char *sim_stat_text(unsigned n) { return n < NLISTED ? stat_info[n].text : NULL; }

// --- names

const char *sim_mode_name(const struct isa_cpu *c)
{
    static const char *const name[ISA_NMODE] = {
        [ISA_REAL] = "real",           [ISA_V86] = "virtual-8086",          [ISA_PROT16] = "protected-16",
        [ISA_PROT32] = "protected-32", [ISA_COMPAT16] = "compatibility-16", [ISA_COMPAT32] = "compatibility-32",
        [ISA_LONG64] = "64-bit",
    };
    return c->mode < ISA_NMODE ? name[c->mode] : "?";
}

const char *sim_stop_name(enum sim_stop_kind k)
{
    static const char *const name[] = {
        [SIM_STOP_UNTIL] = "until",           [SIM_STOP_REQUEST] = "request",
        [SIM_STOP_LIMIT] = "limit",           [SIM_STOP_HALT] = "halt",
        [SIM_STOP_SHUTDOWN] = "shutdown",     [SIM_STOP_EXIT] = "exit",
        [SIM_STOP_UNMODELLED] = "unmodelled", [SIM_STOP_RESET] = "reset",
        [SIM_STOP_STUCK] = "no-progress",
    };
    return (unsigned)k < sizeof name / sizeof *name ? name[k] : "?";
}
