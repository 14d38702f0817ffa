// sim/profile.h: a micro-architecture as data: frequency, TLB geometry, costs, features, VMX capability MSRs.
#ifndef SIM_PROFILE_H
#define SIM_PROFILE_H

#include "isa/tables.h"
#include "vmx-model/caps.h"

struct profile_tlb {
    uint16_t entries, ways;
}; // entries 0: absent; ways = entries: fully associative
struct sim_profile {
    const char *name, *text;
    uint64_t hz;
    const uint32_t *cost; // by enum isa_cost
    struct profile_tlb itlb, dtlb, stlb, ntlb, pml4e, pdpte, pde;
    const uint64_t *features; // [4], bit set of enum isa_feature: what the decoder accepts and CPUID reports
    uint8_t maxphyaddr;
    uint32_t family_model_stepping; // CPUID.1:EAX
    struct vmx_caps vmx;
};
const struct sim_profile *sim_profile_by_name(const char *name);
const struct sim_profile *sim_profile_n(unsigned n); // NULL at the end

#endif
