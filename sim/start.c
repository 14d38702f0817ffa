// sim/start.c: processor start states for images that have no boot loader of their own.
//
//    REAL     CS:IP = entry >> 4 : entry & 15 (or 0000:entry below 64 KiB), SS:SP = 0000:7C00, IF = 0
//    PROT32   flat 4 GiB segments, paging off, ESP = 0x7C00, GDT at 0x1000
//    LONG64   64-bit mode, identity mapping of the first 4 GiB by 2 MiB pages at 0x2000..0x7FFF, RSP = 0x1000 + ... = 0x7BF8, GDT at 0x1000
// GDT: 08H 32-bit code, 10H data, 18H 64-bit code, 20H 64-bit TSS slot (left empty). IDT empty: a guest that wants interrupts loads its own.
#include "sim/loader.h"

#include <string.h>

#include "sim/internal.h"

#define START_GDT   0x1000
#define START_PML4  0x2000
#define START_STACK 0x7c00

static const uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0, 0};

static struct isa_seg flat(uint16_t sel, uint32_t ar) { return (struct isa_seg){.sel = sel, .limit = 0xffffffff, .ar = ar}; }

static int poke(struct sim_machine *m, uint64_t addr, const void *p, uint64_t n, struct sim_error *err)
{
    if (sim_poke(m, 0, SIM_HOST_PHYSICAL, addr, p, n) != n)
        return sim_fail(err, SIM_IMAGE, "start state: the machine needs at least 64 KiB of RAM");
    return 0;
}

// PML4 -> PDPT -> four page directories of 2 MiB pages.
static int identity_tables(struct sim_machine *m, struct sim_error *err)
{
    uint64_t e = (START_PML4 + 0x1000) | 3, pdpt[4], pd[512];
    if (poke(m, START_PML4, &e, 8, err) < 0)
        return -1;
    for (unsigned i = 0; i < 4; i++) {
        pdpt[i] = (START_PML4 + 0x2000 + i * 0x1000ull) | 3;
        for (unsigned k = 0; k < 512; k++)
            pd[k] = ((uint64_t)i << 30 | (uint64_t)k << 21) | 0x83;
        if (poke(m, START_PML4 + 0x2000 + i * 0x1000ull, pd, sizeof pd, err) < 0)
            return -1;
    }
    return poke(m, START_PML4 + 0x1000, pdpt, sizeof pdpt, err);
}

static void start_real(struct isa_cpu *c, uint64_t entry)
{
    uint16_t cs = entry < 0x10000 ? 0 : (uint16_t)(entry >> 4);
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s] = (struct isa_seg){.limit = 0xffff, .ar = s == ISA_CS ? 0x9b : 0x93};
    c->seg[ISA_CS].sel = cs;
    c->seg[ISA_CS].base = (uint64_t)cs << 4;
    c->rip = entry - c->seg[ISA_CS].base;
    c->idtr = (struct isa_dtr){0, 0x3ff};
}

static void start_flat(struct isa_cpu *c, uint64_t entry, bool long64)
{
    for (unsigned s = ISA_ES; s <= ISA_GS; s++)
        c->seg[s] = flat(0x10, 0xc093);
    c->seg[ISA_CS] = long64 ? flat(0x18, 0xa09b) : flat(8, 0xc09b);
    c->gdtr = (struct isa_dtr){START_GDT, sizeof gdt - 1};
    c->idtr = (struct isa_dtr){0, 0};
    c->cr0 |= ISA_CR0_PE;
    if (long64) {
        c->cr4 |= ISA_CR4_PAE;
        c->efer |= ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_SCE | ISA_EFER_NXE;
        c->cr3 = START_PML4;
        c->cr0 |= ISA_CR0_PG | ISA_CR0_WP;
    }
    c->rip = entry;
}

void sim_touch(struct sim_machine *m, unsigned cpu)
{
    m->cpu[cpu]->isa.rep_cut = m->cpu[cpu]->isa.rep_mid = false;
    isa_update_mode(&m->cpu[cpu]->isa);
    mmu_context(m->cpu[cpu]);
}

int sim_start_at(struct sim_machine *m, enum sim_start start, uint64_t entry, struct sim_error *err)
{
    struct isa_cpu *c = sim_cpu(m, 0);
    if (start == SIM_START_KEEP)
        return 0;
    if (start == SIM_START_REAL && entry > 0xfffff)
        return sim_fail(
            err, SIM_IMAGE,
            "start state: entry 0x%llx cannot be reached in real mode (below 1 MiB); load lower or start in prot32 or long64",
            (unsigned long long)entry);
    sim_reset(m);
    c->cr0 &= ~(uint64_t)(ISA_CR0_CD | ISA_CR0_NW);
    if (start == SIM_START_REAL || start == SIM_START_AUTO) {
        start_real(c, entry);
    } else {
        if (poke(m, START_GDT, gdt, sizeof gdt, err) < 0 || (start == SIM_START_LONG64 && identity_tables(m, err) < 0))
            return -1;
        start_flat(c, entry, start == SIM_START_LONG64);
    }
    c->gpr[ISA_RSP] = start == SIM_START_LONG64 ? START_STACK - 8 : START_STACK; // as after a CALL: 16-byte aligned plus 8
    isa_update_mode(c);
    sim_touch(m, 0);
    return 0;
}
