// sim/ept_fuzz.c: accesses through random EPT tables and random guest tables, with A/D flags, page-modification logging and #VE.
//
// The first bytes choose controls; records of 6 bytes put entries into a page of tables that refer to themselves and each other, and
// between them come accesses and invalidations.
// PROMISES   no crash, no finding of a sanitizer (debug builds check the mirrors' invariants too); an access ends in success, a fault or a
//            VM exit of reason 48, 49 or 62, and an access that succeeded succeeds again.
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "isa/paging.h"
#include "sim/internal.h"
#include "vmx-model/controls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLES 0x100000u // 16 pages, each a table of any level
#define LOG    0x200000u
#define AREA   0x201000u

static void put(struct sim_machine *m, uint64_t at, uint64_t val) { memcpy(ram_at(&m->ram, (struct hpa){at}), &val, 8); }

static void controls(struct sim_cpu *c, const uint8_t *p)
{
    uint64_t *f = c->vmx.vmcs.f;
    f[VF_CPU_BASED_VM_EXEC_CONTROL] = VMX_PROC_ACTIVATE_SECONDARY;
    f[VF_SECONDARY_VM_EXEC_CONTROL] = VMX_PROC2_ENABLE_EPT | (p[0] & 1 ? VMX_PROC2_ENABLE_VPID : 0) |
                                      (p[0] & 2 ? VMX_PROC2_ENABLE_PML : 0) | (p[0] & 4 ? VMX_PROC2_EPT_VIOLATION_VE : 0) |
                                      (p[0] & 32 ? VMX_PROC2_MODE_BASED_EXECUTE : 0);
    f[VF_VIRTUAL_PROCESSOR_ID] = 1;
    f[VF_EPT_POINTER] = TABLES | (p[0] & 64 ? 0x26 : 0x1e) | (p[0] & 8 ? EPTP_AD : 0);
    f[VF_PML_ADDRESS] = LOG;
    f[VF_GUEST_PML_INDEX] = p[1] * 2u;
    f[VF_VIRT_EXCEPTION_INFO] = AREA;
    c->vmx.vmcs_ptr = 0x1000;
    c->isa.vmx = ISA_VMX_NONROOT;
    c->isa.cr0 |= ISA_CR0_PE | (p[0] & 16 ? ISA_CR0_PG : 0);
    if (p[0] & 16) {
        c->isa.cr4 |= ISA_CR4_PAE;
        c->isa.efer |= ISA_EFER_LME | ISA_EFER_LMA | ISA_EFER_NXE;
        c->isa.cr3 = TABLES + 0x8000;
    }
    isa_update_mode(&c->isa);
    c->mmu.valid = false;
    mmu_context(c);
}

static void access(struct sim_cpu *c, const uint8_t *p)
{
    static const unsigned kind[] = {ISA_ACC_R, ISA_ACC_W, ISA_ACC_X, ISA_ACC_RMW};
    const unsigned acc = kind[p[1] & 3];
    const uint64_t la = (uint64_t)(p[2] & 7) << 12 | (uint64_t)(p[3] & 3) << 21 | (uint64_t)(p[4] & 1) << 30 | p[5];
    struct hpa first, again;
    int r = mmu_translate(c, la, acc, &first);
    if (r == ISA_R_VMEXIT)
        assert(c->vmx.exit.reason == 48 || c->vmx.exit.reason == 49 || c->vmx.exit.reason == 62);
    else if (r)
        assert(r == ISA_R_FAULT && (c->isa.fault.vector == ISA_X_PF || c->isa.fault.vector == ISA_X_VE));
    else
        assert(mmu_translate(c, la, acc, &again) == 0 && again.v == first.v);
}

static void entry(struct sim_machine *m, const uint8_t *p)
{
    uint64_t val = (uint64_t)(p[3] | p[4] << 8) & 0xfff;
    val |= TABLES + ((uint64_t)(p[2] & 15) << 12);
    if (p[2] & 0x80)
        val = (val & 0xfff) | (uint64_t)p[5] << 21;
    val |= (uint64_t)(p[2] >> 5 & 1) << 63 | (uint64_t)(p[2] >> 6 & 1) << (p[5] % 52);
    put(m, TABLES + ((uint64_t)(p[1] & 15) << 12) + (uint64_t)(p[1] >> 4 & 7) * 8, val);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_error err;
    struct sim_config cfg = {.ram_bytes = 8 << 20};
    if (size < 2)
        return 0;
    if (data[0] & 64) // an EPT of 5 levels
        cfg.profile = "later";
    struct sim_machine *m = sim_create(&cfg, &err);
    assert(m);
    struct sim_cpu *c = m->cpu[0];
    for (unsigned n = 0; n < 16; n++) // at first all is mapped: each table's entries refer to the next
        for (unsigned k = 0; k < 8; k++)
            put(m, TABLES + 0x1000 * n + 8 * k,
                (n % 8 >= 3 ? 0x300000 + 0x1000 * k : TABLES + 0x1000 * (n + 1)) | (n < 8 ? 7 | (n == 3 ? 0x30 : 0) : 7));
    controls(c, data);
    for (const uint8_t *p = data + 2; p + 6 <= data + size; p += 6)
        switch (p[0] & 7) {
        case 0:
        case 1: entry(m, p); break;
        case 2: mmu_invept(c, 1 + (p[1] & 1), c->vmx.vmcs.f[VF_EPT_POINTER]); break;
        case 3: mmu_invvpid(c, p[1] & 3, 1, (uint64_t)p[2] << 12); break;
        default: access(c, p); break;
        }
    sim_destroy(m);
    return 0;
}
