// vmx-model/entry_test.c: every row of entry_checks.def has cases that pass and cases that fail by it alone.
//
// A case names a valid VMCS to start from, assignments under which the row applies and everything still passes, and assignments that
// break exactly this row. Data-driven: a row without a case fails the test.
#include "vmx-model/testvm.h"

#include <stdio.h>

#include "isa/manual.h"
#include "vmx-model/checks.h"

enum op { END, SET, OR, CLR, MEM };
struct assign {
    uint8_t op;
    uint32_t f; // field, or address of a 64-bit write
    uint64_t v;
};
struct test_case {
    const char *id;
    enum tv_golden golden;
    int field; // expected field of the failure; the row's own by default (-1)
    uint64_t no_ept_cap;
    struct assign pre[8], bad[6];
};

#define S(f, v)                                                                                                                    \
    {                                                                                                                              \
        SET, VF_##f, v                                                                                                             \
    }
#define O(f, v)                                                                                                                    \
    {                                                                                                                              \
        OR, VF_##f, v                                                                                                              \
    }
#define X(f, v)                                                                                                                    \
    {                                                                                                                              \
        CLR, VF_##f, v                                                                                                             \
    }
#define M(at, v)                                                                                                                   \
    {                                                                                                                              \
        MEM, at, v                                                                                                                 \
    }
#define NOTHING                                                                                                                    \
    {                                                                                                                              \
        {                                                                                                                          \
            END                                                                                                                    \
        }                                                                                                                          \
    }
#define A(...)                                                                                                                     \
    {                                                                                                                              \
        __VA_ARGS__                                                                                                                \
    }
#define T(id, g, pre, bad)         {id, TV_##g, -1, 0, pre, bad},

#define NC                         0x800000000000ull // not canonical
#define WIDE                       (1ull << TV_WIDTH)
#define VALID                      VMX_INTR_VALID
#define EXTINT                     (VALID | 0x30)
#define NMI                        (VALID | 2u << 8 | 2)
#define UD                         (VALID | 3u << 8 | 6)
#define GP                         (VALID | 3u << 8 | VMX_INTR_ERROR | 13)
#define SWINT                      (VALID | 4u << 8 | 0x80)
// One case per segment register.

#define EACH_AR(id, g, r, o, val)  {id, TV_##g, VF_GUEST_##r##_AR_BYTES, 0, NOTHING, {{o, VF_GUEST_##r##_AR_BYTES, val}}},
#define EACH(id, g, field, o, val) {id, TV_##g, VF_##field, 0, NOTHING, {{o, VF_##field, val}}},

#define DATA4(M, id, g, o, val)    M(id, g, ES, o, val) M(id, g, DS, o, val) M(id, g, FS, o, val) M(id, g, GS, o, val)
#define ALL6(M, id, g, o, val)     M(id, g, CS, o, val) M(id, g, SS, o, val) DATA4(M, id, g, o, val)
#define LIMIT_CASE(id, g, r, o, val)                                                                                               \
    {id,                                                                                                                           \
     TV_##g,                                                                                                                       \
     VF_GUEST_##r##_AR_BYTES,                                                                                                      \
     0,                                                                                                                            \
     {{SET, VF_GUEST_##r##_LIMIT, 0x1000}, {CLR, VF_GUEST_##r##_AR_BYTES, ISA_AR_G}},                                              \
     {{o, VF_GUEST_##r##_AR_BYTES, val}}},
#define CODE_CASE(id, g, r, o, val)                                                                                                \
    {id, TV_##g, VF_GUEST_##r##_AR_BYTES, 0, {{SET, VF_GUEST_##r##_AR_BYTES, 0xc09b}}, {{o, VF_GUEST_##r##_AR_BYTES, val}}},
#define RPL_CASE(id, g, r, o, val)  {id, TV_##g, VF_GUEST_##r##_AR_BYTES, 0, NOTHING, {{o, VF_GUEST_##r##_SELECTOR, val}}},
#define BASE_CASE(id, g, r, o, val) EACH(id, g, GUEST_##r##_BASE, o, val)
#define LIM_CASE(id, g, r, o, val)  EACH(id, g, GUEST_##r##_LIMIT, o, val)

#define TPR_SHADOW                                                                                                                 \
    O(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW), S(VIRTUAL_APIC_PAGE_ADDR, TV_VMCS2), M(TV_VMCS2 + 0x80, 0x50)
#define X2APIC    O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUALIZE_X2APIC)
#define REGISTERS O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_APIC_REGISTER_VIRTUALIZATION)
#define DELIVERY  O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY)
#define POSTED                                                                                                                     \
    TPR_SHADOW, DELIVERY, O(PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_POSTED_INTERRUPTS), O(VM_EXIT_CONTROLS, VMX_EXIT_ACK_INTERRUPT),    \
        S(POSTED_INTR_NV, 0xf2)

static const struct test_case cases[] = {
    // --- the virtual-APIC page
    T("E-CT-018", 64, A(TPR_SHADOW), A(O(VIRTUAL_APIC_PAGE_ADDR, 8))) T("E-CT-018", 64, A(TPR_SHADOW),
                                                                        A(O(VIRTUAL_APIC_PAGE_ADDR, WIDE)))
        T("E-CT-019", 64, A(TPR_SHADOW), A(S(TPR_THRESHOLD, 0x10))) T("E-CT-020", 64, A(TPR_SHADOW, S(TPR_THRESHOLD, 5)),
                                                                      A(S(TPR_THRESHOLD, 6)))
            T("E-CT-020", 64, A(TPR_SHADOW, S(TPR_THRESHOLD, 5)), A(M(TV_VMCS2 + 0x80, 0x4f)))
                T("E-CT-021", 64, A(TPR_SHADOW, X2APIC), A(X(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW)))
                    T("E-CT-022", 64, A(TPR_SHADOW, X2APIC), A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES)))
                        T("E-CT-023", 64,
                          A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES), S(APIC_ACCESS_ADDR, TV_DATA)),
                          A(O(APIC_ACCESS_ADDR, 0x10)))
                            T("E-CT-023", 64,
                              A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUALIZE_APIC_ACCESSES), S(APIC_ACCESS_ADDR, TV_DATA)),
                              A(O(APIC_ACCESS_ADDR, WIDE)))
    // --- virtual interrupts. With them the TPR threshold may be anything.
    T("E-CT-021", 64, A(TPR_SHADOW, REGISTERS), A(X(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW))) T(
        "E-CT-021", 64, A(TPR_SHADOW, DELIVERY), A(X(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_USE_TPR_SHADOW)))
        T("E-CT-024", 64, A(TPR_SHADOW, DELIVERY, S(TPR_THRESHOLD, 0xff)), A(X(PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_EXT_INT_EXITING)))
            T("E-CT-025", 64, A(POSTED), A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VIRTUAL_INTERRUPT_DELIVERY)))
                T("E-CT-026", 64, A(POSTED), A(X(VM_EXIT_CONTROLS, VMX_EXIT_ACK_INTERRUPT)))
                    T("E-CT-027", 64, A(POSTED), A(S(POSTED_INTR_NV, 0x1f2)))
                        T("E-CT-028", 64, A(POSTED), A(S(POSTED_INTR_DESC_ADDR, TV_DATA + 0x20)))
                            T("E-CT-028", 64, A(POSTED), A(S(POSTED_INTR_DESC_ADDR, WIDE)))
    // --- mode-based execute control
    T("E-CT-089", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_MODE_BASED_EXECUTE)),
      A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT)))
    // --- execution controls
    T("E-CT-001", 64, NOTHING, A(X(PIN_BASED_VM_EXEC_CONTROL, 2)))
        T("E-CT-002", 64, NOTHING, A(O(PIN_BASED_VM_EXEC_CONTROL, 1 << 8)))
            T("E-CT-002", 64, NOTHING, A(O(PIN_BASED_VM_EXEC_CONTROL, 1 << 30))) T("E-CT-003", 64, NOTHING,
                                                                                   A(X(CPU_BASED_VM_EXEC_CONTROL, 2)))
                T("E-CT-004", 64, NOTHING, A(O(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_ACTIVATE_TERTIARY)))
                    T("E-CT-005", 64, NOTHING, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_SUB_PAGE_WRITE)))
                        T("E-CT-006", 64, A(S(CR3_TARGET_COUNT, 4)), A(S(CR3_TARGET_COUNT, 5)))
                            T("E-CT-007", 64, NOTHING, A(O(IO_BITMAP_A, 1))) T("E-CT-008", 64, NOTHING, A(O(IO_BITMAP_B, WIDE)))
                                T("E-CT-009", 64, NOTHING, A(O(MSR_BITMAP, 0x800)))
                                    T("E-CT-010", 64, A(X(PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_NMI_EXITING | VMX_PIN_VIRTUAL_NMIS)),
                                      A(O(PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_VIRTUAL_NMIS)))
                                        T("E-CT-011", 64, A(X(PIN_BASED_VM_EXEC_CONTROL, VMX_PIN_VIRTUAL_NMIS)),
                                          A(O(CPU_BASED_VM_EXEC_CONTROL, VMX_PROC_NMI_WINDOW_EXITING)))
                                            T("E-CT-012", 64, NOTHING, A(S(VIRTUAL_PROCESSOR_ID, 0)))
                                                T("E-CT-013", 64, NOTHING, A(S(EPT_POINTER, TV_TABLE | 0x1a)))
                                                    T("E-CT-014", 64, NOTHING, A(S(EPT_POINTER, TV_TABLE | 0x16))){
                                                        "E-CT-015", TV_64, -1, 1 << 21, NOTHING, {O(EPT_POINTER, 0x40)}},
    T("E-CT-016", 64, A(O(EPT_POINTER, 0x40)), A(O(EPT_POINTER, 0x80))) T("E-CT-016", 64, NOTHING, A(O(EPT_POINTER, WIDE)))
        T("E-CT-017", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_UNRESTRICTED_GUEST)),
          A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT)))
    // --- VMCS shadowing
    T("E-CT-080", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VMCS_SHADOWING)), A(O(VMREAD_BITMAP, 0x10)))
        T("E-CT-080", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VMCS_SHADOWING)), A(O(VMREAD_BITMAP, WIDE)))
            T("E-CT-081", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VMCS_SHADOWING)), A(O(VMWRITE_BITMAP, 0x800))) T(
                "E-GS-132", 64,
                A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_VMCS_SHADOWING), S(VMCS_LINK_POINTER, TV_VMCS2), M(TV_VMCS2, 0x80000012)),
                A(M(TV_VMCS2, 0x12)))
    // --- VM functions, TSC scaling
    T("E-CT-082", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1)),
      A(O(VM_FUNCTION_CONTROL, 2)))
        T("E-CT-083", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1)),
          A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT)))
            T("E-CT-084", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1)),
              A(S(EPTP_LIST_ADDRESS, 8)))
                T("E-CT-084", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1)),
                  A(S(EPTP_LIST_ADDRESS, WIDE)))
                    T("E-CT-085", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_USE_TSC_SCALING), S(TSC_MULTIPLIER, 1)),
                      A(S(TSC_MULTIPLIER, 0)))
    // --- page-modification logging, #VE
    T("E-CT-086", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_PML)), A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT)))
        T("E-CT-087", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_PML)), A(S(PML_ADDRESS, 0x800)))
            T("E-CT-087", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_PML)), A(S(PML_ADDRESS, WIDE)))
                T("E-CT-088", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_EPT_VIOLATION_VE)), A(S(VIRT_EXCEPTION_INFO, 1)))
                    T("E-CT-088", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_EPT_VIOLATION_VE)), A(S(VIRT_EXCEPTION_INFO, WIDE)))
    // --- exit controls
    T("E-CT-030", 64, NOTHING, A(X(VM_EXIT_CONTROLS, 1))) T("E-CT-031", 64, NOTHING,
                                                            A(O(VM_EXIT_CONTROLS, VMX_EXIT_CLEAR_RTIT_CTL)))
        T("E-CT-032", 64, A(S(VM_EXIT_MSR_STORE_COUNT, 1), S(VM_EXIT_MSR_STORE_ADDR, TV_AREA)),
          A(O(VM_EXIT_MSR_STORE_ADDR, 8))) T("E-CT-033", 64, A(S(VM_EXIT_MSR_STORE_COUNT, 2), S(VM_EXIT_MSR_STORE_ADDR, TV_AREA)),
                                             A(S(VM_EXIT_MSR_STORE_ADDR, WIDE - 16)))
            T("E-CT-034", 64, A(S(VM_EXIT_MSR_LOAD_COUNT, 1), S(VM_EXIT_MSR_LOAD_ADDR, TV_AREA)), A(O(VM_EXIT_MSR_LOAD_ADDR, 4)))
                T("E-CT-035", 64, A(S(VM_EXIT_MSR_LOAD_COUNT, 1), S(VM_EXIT_MSR_LOAD_ADDR, TV_AREA)),
                  A(O(VM_EXIT_MSR_LOAD_ADDR, WIDE)))
                    T("E-CT-036", 64, NOTHING, A(O(VM_EXIT_CONTROLS, VMX_EXIT_SAVE_PREEMPTION_TIMER)))
    // --- entry controls
    T("E-CT-050", 64, NOTHING, A(X(VM_ENTRY_CONTROLS, 1))) T("E-CT-051", 64, NOTHING,
                                                             A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_RTIT_CTL)))
        T("E-CT-052", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, UD)), A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 1u << 8 | 6)))
            T("E-CT-053", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, NMI)), A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 2u << 8 | 3)))
                T("E-CT-053", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, UD)), A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 3u << 8 | 32))) T(
                    "E-CT-053", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 7u << 8)),
                    A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 7u << 8 | 1))) T("E-CT-054", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, UD)),
                                                                           A(O(VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_ERROR)))
                    T("E-CT-054", REAL, A(S(VM_ENTRY_INTR_INFO_FIELD, GP & ~VMX_INTR_ERROR)),
                      A(O(VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_ERROR))) T("E-CT-055", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, GP)),
                                                                        A(X(VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_ERROR)))
                        T("E-CT-055", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 3u << 8 | VMX_INTR_ERROR | 17)),
                          A(X(VM_ENTRY_INTR_INFO_FIELD, VMX_INTR_ERROR))) T("E-CT-056", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, UD)),
                                                                            A(O(VM_ENTRY_INTR_INFO_FIELD, 1 << 12)))
                            T("E-CT-056", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, UD)), A(O(VM_ENTRY_INTR_INFO_FIELD, 1 << 30))) T(
                                "E-CT-057", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, GP), S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0xffff)),
                                A(S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10000)))
                                T("E-CT-058", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, SWINT), S(VM_ENTRY_INSTRUCTION_LEN, 2)),
                                  A(S(VM_ENTRY_INSTRUCTION_LEN, 0)))
                                    T("E-CT-058", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, SWINT), S(VM_ENTRY_INSTRUCTION_LEN, 15)),
                                      A(S(VM_ENTRY_INSTRUCTION_LEN, 16)))
                                        T("E-CT-059", 64, A(S(VM_ENTRY_MSR_LOAD_COUNT, 1), S(VM_ENTRY_MSR_LOAD_ADDR, TV_AREA)),
                                          A(O(VM_ENTRY_MSR_LOAD_ADDR, 1)))
                                            T("E-CT-060", 64, A(S(VM_ENTRY_MSR_LOAD_COUNT, 1), S(VM_ENTRY_MSR_LOAD_ADDR, TV_AREA)),
                                              A(O(VM_ENTRY_MSR_LOAD_ADDR, WIDE << 3)))
                                                T("E-CT-061", 64, NOTHING, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_ENTRY_TO_SMM)))
                                                    T("E-CT-061", 64, NOTHING,
                                                      A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_DEACTIVATE_DUAL_MONITOR)))
    // --- performance monitoring
    T("E-HS-010", 64, A(O(VM_EXIT_CONTROLS, VMX_EXIT_LOAD_PERF_GLOBAL_CTRL), S(HOST_IA32_PERF_GLOBAL_CTRL, 0x70000000full)),
      A(O(HOST_IA32_PERF_GLOBAL_CTRL, 0x10))) T("E-HS-010", 64, A(O(VM_EXIT_CONTROLS, VMX_EXIT_LOAD_PERF_GLOBAL_CTRL)),
                                                A(S(HOST_IA32_PERF_GLOBAL_CTRL, 1ull << 35)))
        T("E-GS-017", 64, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL), S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x70000000full)),
          A(O(GUEST_IA32_PERF_GLOBAL_CTRL, 1ull << 63)))
            T("E-GS-017", 64, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL)), A(S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x80)))
    // --- host state
    T("E-HS-001", 64, NOTHING, A(X(HOST_CR0, ISA_CR0_NE))) T("E-HS-002", 64, NOTHING, A(O(HOST_CR0, 1ull << 32)))
        T("E-HS-003", 64, NOTHING, A(X(HOST_CR4, ISA_CR4_VMXE))) T("E-HS-004", 64, NOTHING, A(O(HOST_CR4, ISA_CR4_LA57)))
            T("E-HS-005", 64, NOTHING, A(O(HOST_CR3, WIDE))) EACH("E-HS-006", 64, HOST_IA32_SYSENTER_ESP, SET, NC)
                EACH("E-HS-006", 64, HOST_IA32_SYSENTER_EIP, SET, NC) T("E-HS-007", 64, NOTHING, A(S(HOST_IA32_PAT, 0x0200))) T(
                    "E-HS-008", 64, NOTHING, A(O(HOST_IA32_EFER, 2))) T("E-HS-009", 64, NOTHING, A(X(HOST_IA32_EFER, ISA_EFER_LMA)))
                    T("E-HS-009", 64, NOTHING, A(X(HOST_IA32_EFER, ISA_EFER_LME))) EACH("E-HS-020", 64, HOST_ES_SELECTOR, OR, 3)
                        EACH("E-HS-020", 64, HOST_CS_SELECTOR, OR, 4) EACH("E-HS-020", 64, HOST_SS_SELECTOR, OR,
                                                                           1) EACH("E-HS-020", 64, HOST_DS_SELECTOR, OR, 2)
                            EACH("E-HS-020", 64, HOST_FS_SELECTOR, OR, 3) EACH("E-HS-020", 64, HOST_GS_SELECTOR, OR, 4) EACH(
                                "E-HS-020", 64, HOST_TR_SELECTOR, OR, 4) T("E-HS-021", 64, NOTHING, A(S(HOST_CS_SELECTOR, 0)))
                                T("E-HS-022", 64, NOTHING,
                                  A(S(HOST_TR_SELECTOR, 0))) T("E-HS-023", HOST32, NOTHING, A(S(HOST_SS_SELECTOR, 0)))
                                    EACH("E-HS-024", 64, HOST_FS_BASE, SET, NC) EACH("E-HS-024", 64, HOST_GS_BASE, SET, NC) EACH(
                                        "E-HS-024", 64, HOST_TR_BASE, SET, NC) EACH("E-HS-024", 64, HOST_GDTR_BASE, SET, NC)
                                        EACH("E-HS-024", 64, HOST_IDTR_BASE, SET,
                                             NC) T("E-HS-030", HOST32, NOTHING,
                                                   A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_IA32E_MODE_GUEST), O(GUEST_CR4, ISA_CR4_PAE),
                                                     S(GUEST_IA32_EFER, LME_LMA_NXE)))
                                            T("E-HS-031", HOST32, NOTHING,
                                              A(O(VM_EXIT_CONTROLS, VMX_EXIT_HOST_ADDRESS_SPACE_SIZE), O(HOST_CR4, ISA_CR4_PAE),
                                                S(HOST_IA32_EFER, LME_LMA_NXE)))
                                                T("E-HS-032", 64, NOTHING,
                                                  A(X(VM_EXIT_CONTROLS, VMX_EXIT_HOST_ADDRESS_SPACE_SIZE), S(HOST_IA32_EFER, 0)))
                                                    T("E-HS-034", HOST32, NOTHING, A(O(HOST_CR4, ISA_CR4_PCIDE)))
                                                        T("E-HS-035", HOST32, NOTHING, A(O(HOST_RIP, 1ull << 32)))
                                                            T("E-HS-036", 64, NOTHING, A(X(HOST_CR4, ISA_CR4_PAE)))
                                                                T("E-HS-037", 64, NOTHING, A(S(HOST_RIP, NC)))
    // --- guest control registers and MSRs
    T("E-GS-001", 64, NOTHING, A(X(GUEST_CR0, ISA_CR0_NE))) T("E-GS-001", REAL, NOTHING, A(X(GUEST_CR0, ISA_CR0_NE))) T(
        "E-GS-002", 64, A(O(GUEST_CR0, ISA_CR0_CD | ISA_CR0_NW)),
        A(O(GUEST_CR0, 1ull << 40))) T("E-GS-003", REAL, A(O(GUEST_CR0, ISA_CR0_PE | ISA_CR0_PG)),
                                       A(X(GUEST_CR0, ISA_CR0_PE))) T("E-GS-004", 64, NOTHING, A(X(GUEST_CR4, ISA_CR4_VMXE)))
        T("E-GS-005", 64, NOTHING, A(O(GUEST_CR4, ISA_CR4_LA57))) T("E-GS-006", 64, NOTHING, A(S(GUEST_IA32_DEBUGCTL, 1)))
            T("E-GS-007", 64, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_UNRESTRICTED_GUEST)), A(X(GUEST_CR0, ISA_CR0_PG))) T(
                "E-GS-008", 64, NOTHING, A(X(GUEST_CR4, ISA_CR4_PAE))) T("E-GS-009", PAE, NOTHING, A(O(GUEST_CR4, ISA_CR4_PCIDE)))
                T("E-GS-010", 64, NOTHING, A(O(GUEST_CR3, WIDE))) T("E-GS-011", 64, NOTHING, A(O(GUEST_DR7, 1ull << 32)))
                    EACH("E-GS-012", 64, GUEST_SYSENTER_ESP, SET, NC) EACH("E-GS-012", 64, GUEST_SYSENTER_EIP, SET, NC) T(
                        "E-GS-013", 64, NOTHING, A(S(GUEST_IA32_PAT, 8))) T("E-GS-014", 64, NOTHING, A(O(GUEST_IA32_EFER, 1 << 16)))
                        T("E-GS-015", 64, NOTHING, A(X(GUEST_IA32_EFER, ISA_EFER_LMA | ISA_EFER_LME)))
                            T("E-GS-015", PAE, NOTHING, A(O(GUEST_IA32_EFER, ISA_EFER_LMA | ISA_EFER_LME)))
                                T("E-GS-016", 64, NOTHING, A(X(GUEST_IA32_EFER, ISA_EFER_LME))) T(
                                    "E-GS-018",
                                    64, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS), S(GUEST_BNDCFGS, 0xffff800012345003)),
                                    A(O(GUEST_BNDCFGS, 4))) T("E-GS-018", 64, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS)),
                                                              A(O(GUEST_BNDCFGS, 0x800)))
                                    T("E-GS-018", REAL, A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS)), A(O(GUEST_BNDCFGS, 0x10)))
                                        T("E-GS-019", 64,
                                          A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS), S(GUEST_BNDCFGS, 0x00007ffffffff001)),
                                          A(S(GUEST_BNDCFGS, NC)))
    // --- guest segments
    T("E-GS-030", 64, NOTHING, A(O(GUEST_TR_SELECTOR, 4))) T("E-GS-031", 64, NOTHING, A(O(GUEST_LDTR_SELECTOR, 4)))
        T("E-GS-032", 64, NOTHING, A(S(GUEST_SS_SELECTOR, 0x13), S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_CS_AR_BYTES, 0xa0fb))) ALL6(
            BASE_CASE, "E-GS-033", V86, SET, 0x12340) EACH("E-GS-034", 64, GUEST_FS_BASE, SET, NC)
            EACH("E-GS-034", 64, GUEST_GS_BASE, SET, NC) T("E-GS-035", 64, NOTHING, A(S(GUEST_TR_BASE, NC))) T(
                "E-GS-036", 64, NOTHING, A(S(GUEST_LDTR_BASE, NC))) EACH("E-GS-037", 64, GUEST_ES_BASE, SET, 1ull << 32)
                EACH("E-GS-037", 64, GUEST_CS_BASE, SET, 1ull << 32) EACH("E-GS-037", 64, GUEST_SS_BASE, SET, 1ull << 32) EACH(
                    "E-GS-037", 64, GUEST_DS_BASE, SET, 1ull << 32) ALL6(LIM_CASE, "E-GS-038", V86, SET, 0xfffff)
                    ALL6(EACH_AR, "E-GS-039", V86, SET, 0x93) T("E-GS-040", 64, NOTHING, A(S(GUEST_CS_AR_BYTES, 0xa098))) T(
                        "E-GS-040",
                        64,
                        NOTHING, A(S(GUEST_CS_AR_BYTES, 0xa093))) T("E-GS-040", REAL, A(S(GUEST_CS_AR_BYTES, 0x93)),
                                                                    A(S(GUEST_CS_AR_BYTES, 0x97)))
                        T("E-GS-041", 64, NOTHING,
                          A(S(GUEST_SS_AR_BYTES, 0xc091))) T("E-GS-041", 64, A(S(GUEST_SS_AR_BYTES, 0xc097)),
                                                             A(S(GUEST_SS_AR_BYTES, 0xc09b))) DATA4(EACH_AR, "E-GS-042", 64, CLR, 1)
                            DATA4(CODE_CASE, "E-GS-043", 64,
                                  CLR, 2) ALL6(EACH_AR, "E-GS-044", 64, CLR,
                                               ISA_AR_S) T("E-GS-045", 64, NOTHING, A(O(GUEST_CS_AR_BYTES, 0x60)))
                                T("E-GS-045", 64, A(S(GUEST_CS_AR_BYTES, 0xa09f)),
                                  A(O(GUEST_CS_AR_BYTES, 0x20))) T("E-GS-045", REAL, A(S(GUEST_CS_AR_BYTES, 0x93)),
                                                                   A(S(GUEST_CS_AR_BYTES, 0xf3)))
                                    T("E-GS-046", 64, NOTHING, A(S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_CS_AR_BYTES, 0xa0fb)))
                                        T("E-GS-047", REAL, NOTHING, A(S(GUEST_SS_AR_BYTES, 0xf3), S(GUEST_CS_AR_BYTES, 0xfb))) T(
                                            "E-GS-047",
                                            REAL,
                                            A(S(GUEST_CS_AR_BYTES, 0x93), O(GUEST_CR0, ISA_CR0_PE)),
                                            A(S(GUEST_SS_AR_BYTES, 0xf3))) DATA4(RPL_CASE, "E-GS-048", 64, OR,
                                                                                 3) ALL6(EACH_AR, "E-GS-049", 64, CLR, ISA_AR_P)
                                            ALL6(EACH_AR, "E-GS-050", 64, OR, 0x100) ALL6(EACH_AR, "E-GS-050", 64, OR, 0x80000000)
                                                T("E-GS-051", 64, NOTHING,
                                                  A(O(GUEST_CS_AR_BYTES, ISA_AR_DB))) ALL6(LIMIT_CASE, "E-GS-052", 64, OR, ISA_AR_G)
                                                    ALL6(EACH_AR, "E-GS-053", 64, CLR,
                                                         ISA_AR_G) T("E-GS-060", 64, NOTHING, A(S(GUEST_TR_AR_BYTES, 0x89)))
                                                        T("E-GS-060", 64, NOTHING, A(S(GUEST_TR_AR_BYTES, 0x83))) T(
                                                            "E-GS-060",
                                                            PAE, A(S(GUEST_TR_AR_BYTES, 0x83)),
                                                            A(S(GUEST_TR_AR_BYTES, 0x81)))
                                                            T("E-GS-061", 64, NOTHING, A(O(GUEST_TR_AR_BYTES, ISA_AR_S)))
                                                                T("E-GS-062", 64, NOTHING, A(X(GUEST_TR_AR_BYTES, ISA_AR_P))) T(
                                                                    "E-GS-063", 64, NOTHING, A(O(GUEST_TR_AR_BYTES, 1 << 20)))
                                                                    T("E-GS-064", 64, NOTHING, A(O(GUEST_TR_AR_BYTES, ISA_AR_G))) T(
                                                                        "E-GS-065", 64,
                                                                        A(S(GUEST_TR_LIMIT, 0x1fffff),
                                                                          O(GUEST_TR_AR_BYTES, ISA_AR_G)),
                                                                        A(X(GUEST_TR_AR_BYTES,
                                                                            ISA_AR_G))) T("E-GS-066", 64, NOTHING,
                                                                                          A(O(GUEST_TR_AR_BYTES, ISA_AR_UNUSABLE)))
                                                                        T("E-GS-070", 64, NOTHING, A(S(GUEST_LDTR_AR_BYTES, 0x8b)))
                                                                            T("E-GS-071", 64, NOTHING,
                                                                              A(O(GUEST_LDTR_AR_BYTES, ISA_AR_S)))
                                                                                T("E-GS-072", 64, NOTHING,
                                                                                  A(X(GUEST_LDTR_AR_BYTES, ISA_AR_P)))
                                                                                    T("E-GS-073", 64, NOTHING,
                                                                                      A(O(GUEST_LDTR_AR_BYTES, 1 << 11)))
                                                                                        T("E-GS-074", 64,
                                                                                          A(S(GUEST_LDTR_LIMIT, 0x1000)),
                                                                                          A(O(GUEST_LDTR_AR_BYTES, ISA_AR_G)))
                                                                                            T("E-GS-075", 64,
                                                                                              A(S(GUEST_LDTR_LIMIT, 0x1fffff),
                                                                                                O(GUEST_LDTR_AR_BYTES, ISA_AR_G)),
                                                                                              A(X(GUEST_LDTR_AR_BYTES, ISA_AR_G)))
    // --- guest tables, RIP, RFLAGS
    EACH("E-GS-080", 64, GUEST_GDTR_BASE, SET, NC) EACH("E-GS-080", 64, GUEST_IDTR_BASE, SET,
                                                        NC) EACH("E-GS-081", 64, GUEST_GDTR_LIMIT, SET, 0x10000)
        EACH("E-GS-081", 64, GUEST_IDTR_LIMIT, SET, 0xffffffff) T("E-GS-090", PAE, NOTHING, A(O(GUEST_RIP, 1ull << 32)))
            T("E-GS-090", 64, A(S(GUEST_CS_AR_BYTES, 0xc09b)), A(O(GUEST_RIP, 1ull << 40))) T(
                "E-GS-091", 64, A(S(GUEST_RIP, NC)), A(O(GUEST_RIP, 1ull << 60))) T("E-GS-092", 64, NOTHING, A(O(GUEST_RFLAGS, 8)))
                T("E-GS-092", 64, NOTHING, A(O(GUEST_RFLAGS, 1 << 22))) T("E-GS-093", 64, NOTHING, A(X(GUEST_RFLAGS, 2)))
                    T("E-GS-094", V86, A(O(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_UNRESTRICTED_GUEST), X(GUEST_RFLAGS, 0)),
                      A(X(GUEST_CR0, ISA_CR0_PE | ISA_CR0_PG))) T("E-GS-094", V86, NOTHING,
                                                                  A(O(VM_ENTRY_CONTROLS, VMX_ENTRY_IA32E_MODE_GUEST),
                                                                    O(GUEST_CR4, ISA_CR4_PAE), S(GUEST_IA32_EFER, LME_LMA_NXE)))
                        T("E-GS-095", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, EXTINT), S(GUEST_RFLAGS, 0x202)), A(S(GUEST_RFLAGS, 2)))
    // --- guest non-register state
    T("E-GS-100", 64, NOTHING, A(S(GUEST_ACTIVITY_STATE, 4))) T(
        "E-GS-101", 64, A(S(GUEST_ACTIVITY_STATE, ISA_HLT)),
        A(S(GUEST_SS_SELECTOR, 0x13), S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_CS_SELECTOR, 0xb), S(GUEST_CS_AR_BYTES, 0xa0fb)))
        T("E-GS-102", 64, A(S(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_MOVSS)), A(S(GUEST_ACTIVITY_STATE, ISA_SHUTDOWN))) T(
            "E-GS-103", 64, A(S(GUEST_ACTIVITY_STATE, ISA_HLT), S(VM_ENTRY_INTR_INFO_FIELD, NMI)),
            A(S(VM_ENTRY_INTR_INFO_FIELD, UD))) T("E-GS-103", 64,
                                                  A(S(GUEST_ACTIVITY_STATE, ISA_SHUTDOWN),
                                                    S(VM_ENTRY_INTR_INFO_FIELD, VALID | 3u << 8 | 18)),
                                                  A(S(VM_ENTRY_INTR_INFO_FIELD, VALID | 3u << 8 | 1)))
            T("E-GS-103", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, NMI)),
              A(S(GUEST_ACTIVITY_STATE, ISA_WAIT_SIPI))) T("E-GS-110", 64, NOTHING, A(O(GUEST_INTERRUPTIBILITY_INFO, 0x10)))
                T("E-GS-111", 64, A(S(GUEST_RFLAGS, 0x202), S(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_MOVSS)),
                  A(O(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_STI))) T("E-GS-112", 64,
                                                                      NOTHING, A(O(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_STI)))
                    T("E-GS-113", 64, A(S(GUEST_RFLAGS, 0x202), S(VM_ENTRY_INTR_INFO_FIELD, EXTINT)),
                      A(O(GUEST_INTERRUPTIBILITY_INFO,
                          ISA_BLOCK_STI))) T("E-GS-113", 64, A(S(GUEST_RFLAGS, 0x202), S(VM_ENTRY_INTR_INFO_FIELD, EXTINT)),
                                             A(O(GUEST_INTERRUPTIBILITY_INFO,
                                                 ISA_BLOCK_MOVSS))) T("E-GS-114", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, NMI)),
                                                                      A(O(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_MOVSS)))
                        T("E-GS-115", 64, NOTHING,
                          A(O(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_SMI))) T("E-GS-116", 64, A(S(VM_ENTRY_INTR_INFO_FIELD, NMI)),
                                                                              A(O(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_NMI)))
                            T("E-GS-120", 64, NOTHING, A(S(GUEST_PENDING_DBG_EXCEPTIONS, 1 << 13))) T(
                                "E-GS-121",
                                64,
                                A(S(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_MOVSS), O(GUEST_RFLAGS, ISA_FL_TF),
                                  S(GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14)),
                                A(S(GUEST_PENDING_DBG_EXCEPTIONS,
                                    0))) T("E-GS-122", 64, A(S(GUEST_INTERRUPTIBILITY_INFO, ISA_BLOCK_MOVSS)),
                                           A(S(GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14)))
                                T("E-GS-122", 64, A(S(GUEST_ACTIVITY_STATE, ISA_HLT)), A(S(GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14)))
                                    T("E-GS-130", 64, A(S(VMCS_LINK_POINTER, TV_VMCS2)), A(O(VMCS_LINK_POINTER, 1)))
                                        T("E-GS-131", 64, A(S(VMCS_LINK_POINTER, TV_VMCS2)), A(O(VMCS_LINK_POINTER, WIDE)))
                                            T("E-GS-132", 64, A(S(VMCS_LINK_POINTER, TV_VMCS2)), A(S(VMCS_LINK_POINTER, TV_DATA)))
                                                T("E-GS-132", 64, A(S(VMCS_LINK_POINTER, TV_VMCS2)), A(M(TV_VMCS2, 0x80000012)))
                                                    T("E-GS-133", 64, A(S(VMCS_LINK_POINTER, TV_VMCS2)),
                                                      A(S(VMCS_LINK_POINTER, TV_VMCS))) EACH("E-GS-140", PAE, GUEST_PDPTR0, OR, 2)
                                                        EACH("E-GS-140", PAE, GUEST_PDPTR1, OR, 0x20)
                                                            EACH("E-GS-140", PAE, GUEST_PDPTR2, OR, WIDE)
                                                                EACH("E-GS-140", PAE, GUEST_PDPTR3, OR, 1ull << 63)
                                                                    T("E-GS-141", PAE,
                                                                      A(X(SECONDARY_VM_EXEC_CONTROL, VMX_PROC2_ENABLE_EPT),
                                                                        M(TV_TABLE + 8, 0x6001)),
                                                                      A(M(TV_TABLE + 16, 0x6003)))};
#define NCASE (sizeof cases / sizeof *cases)

static void apply(const struct assign *a)
{
    for (; a->op != END; a++) {
        enum vmcs_field f = (enum vmcs_field)a->f;
        switch (a->op) {
        case SET: tv_set(f, a->v); break;
        case OR: tv_set(f, tv_get(f) | a->v); break;
        case CLR: tv_set(f, tv_get(f) & ~a->v); break;
        default: tv_w64(a->f, a->v); break;
        }
    }
}

static void check(struct vmx_entry_report *r)
{
    memset(r, 0, sizeof *r);
    vmx_check_entry(tv.c, &tv.v, r);
}

static void expect_none(const struct vmx_entry_report *r, const char *what)
{
    for (unsigned n = 0; n < r->n; n++)
        print_error("%s: %s %s = %llx: %s\n", what, r->failure[n].id, vmcs_field_info[r->failure[n].field].name,
                    (unsigned long long)r->failure[n].value, r->failure[n].rule);
    assert_int_equal(r->n, 0);
    assert_int_equal(r->outcome, VMX_ENTRY_OK);
}

static void test_goldens(void **state)
{
    struct vmx_entry_report r;
    for (unsigned g = 0; g < TV_NGOLDEN; g++) {
        tv_golden((enum tv_golden)g);
        check(&r);
        expect_none(&r, "golden");
        assert_true(r.checks > 60);
        tv_close();
    }
}

static void run_case(const struct test_case *k)
{
    struct vmx_entry_report r = {0};
    const struct vmx_check *row = vmx_check_of(k->id);
    assert_non_null(row);
    tv_golden(k->golden);
    tv_with_mpx();
    tv.caps.ept_vpid &= ~k->no_ept_cap;
    apply(k->pre);
    check(&r);
    expect_none(&r, k->id);
    apply(k->bad);
    check(&r);
    if (r.n != 1)
        for (unsigned n = 0; n < r.n; n++)
            print_error("%s: %s %s = %llx\n", k->id, r.failure[n].id, vmcs_field_info[r.failure[n].field].name,
                        (unsigned long long)r.failure[n].value);
    assert_int_equal(r.n, 1);
    const struct vmx_failure *f = &r.failure[0];
    assert_string_equal(f->id, k->id);
    assert_string_equal(vmcs_field_info[f->field].name,
                        vmcs_field_info[k->field < 0 ? row->info.field : (enum vmcs_field)k->field].name);
    assert_int_equal(f->value, tv_get(f->field));
    assert_int_equal(r.outcome, row->group == VMX_CHECK_GS ? VMX_ENTRY_FAIL_EXIT : VMX_ENTRY_FAIL_VALID);
    if (f->has_suggestion) { // the suggested value satisfies the rule
        tv_set(f->field, f->suggestion);
        struct vmx_entry_report again = {0};
        vmx_run_check(tv.c, &tv.v, row, &again);
        if (again.n)
            print_error("%s: the suggestion %llx does not help\n", k->id, (unsigned long long)f->suggestion);
        assert_int_equal(again.n, 0);
    }
    tv_close();
}

static void test_rows(void **state)
{
    unsigned missing = 0;
    for (unsigned n = 0; n < NCASE; n++)
        run_case(&cases[n]);
    for (unsigned row = 0; row < vmx_ncheck; row++) {
        bool found = false;
        for (unsigned n = 0; n < NCASE; n++)
            found |= !strcmp(cases[n].id, vmx_check[row].info.id);
        if (!found) {
            print_error("%s has no case\n", vmx_check[row].info.id);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
    printf("# entry checks: %u rows, %u cases, each with a passing state before it\n", vmx_ncheck, (unsigned)NCASE);
}

// Each row applies, and passes, in some valid state.
static bool seen_to_pass(const struct vmx_check *row, enum tv_golden g, const struct assign *pre)
{
    struct vmx_entry_report r = {0};
    tv_golden(g);
    if (pre)
        apply(pre);
    bool applied = vmx_run_check(tv.c, &tv.v, row, &r);
    tv_close();
    return applied && !r.n;
}

static void test_rows_apply(void **state)
{
    for (unsigned row = 0; row < vmx_ncheck; row++) {
        bool seen = false;
        for (unsigned g = 0; g < TV_NGOLDEN && !seen; g++)
            seen = seen_to_pass(&vmx_check[row], (enum tv_golden)g, NULL);
        for (unsigned n = 0; n < NCASE && !seen; n++)
            seen = !strcmp(cases[n].id, vmx_check[row].info.id) && seen_to_pass(&vmx_check[row], cases[n].golden, cases[n].pre);
        if (!seen)
            print_error("%s is never seen to pass\n", vmx_check[row].info.id);
        assert_true(seen);
    }
}

static void test_rows_have_texts(void **state)
{
    for (unsigned row = 0; row < vmx_ncheck; row++) {
        const struct vmx_check *k = &vmx_check[row];
        assert_non_null(isa_manual(k->info.sdm));
        assert_true(strlen(k->info.rule) > 10 && strlen(k->info.title) > 3 && strlen(k->info.fix) > 3);
        assert_ptr_equal(vmx_check_by_id(k->info.id), &k->info);
        for (unsigned n = 0; n < row; n++)
            assert_string_not_equal(vmx_check[n].info.id, k->info.id);
    }
}

// Whatever is not modelled is refused by name, on the processor that has most: a control by one check, which says that it is not modelled; a
// field by VM-instruction error 12, and its explanation says why.
static void test_refusals(void **state)
{
    static const char *const id[VMX_NWORD] = {[VMX_WORD_PIN] = "E-CT-002",
                                              [VMX_WORD_PROC] = "E-CT-004",
                                              [VMX_WORD_PROC2] = "E-CT-005",
                                              [VMX_WORD_EXIT] = "E-CT-031",
                                              [VMX_WORD_ENTRY] = "E-CT-051"};
    char text[4096], want[64];
    unsigned controls = 0, fields = 0;
    const struct vmx_control *k;
    tv_golden(TV_64);
    tv.caps = vmx_caps_later;
    tv_with_mpx();
    for (unsigned n = 0; (k = vmx_control_n(n)); n++) {
        const enum vmcs_field f = vmx_word_field((enum vmx_ctl_word)k->word);
        if (k->modelled)
            continue;
        controls++;
        snprintf(want, sizeof want, "%s (bit %u, not modelled)", k->name, k->bit);
        vmx_bits_text(f, 1ull << k->bit, text, sizeof text);
        assert_string_equal(text, want);
        if (!id[k->word]) { // the word itself is not there
            assert_false(vmcs_exists(&tv.caps, f));
            continue;
        }
        struct vmx_entry_report r = {0};
        const uint64_t good = tv_get(f);
        tv_set(f, good | 1ull << k->bit);
        check(&r);
        assert_int_equal(r.n, 1);
        assert_string_equal(r.failure[0].id, id[k->word]);
        assert_int_equal(r.failure[0].bits, 1ull << k->bit);
        assert_int_equal(r.outcome, VMX_ENTRY_FAIL_VALID);
        tv_set(f, good);
    }
    for (unsigned f = 0; f < VMCS_NFIELD; f++) {
        const struct vmcs_field_info *i = &vmcs_field_info[f];
        if (i->cap != VMCS_CAP_UNMODELLED)
            continue;
        fields++;
        assert_false(vmcs_exists(&tv.caps, (enum vmcs_field)f));
        vmx_explain_field(i->encoding, text, sizeof text);
        assert_non_null(strstr(text, "not modelled: VMREAD and VMWRITE of it fail with error 12"));
        static const uint8_t vmread[] = {0x0f, 0x78, 0xc3}; // vmread rbx, rax
        tv.c->gpr[ISA_RAX] = i->encoding;
        isa_te_code(tv.t, TV_HOST, vmread, 3);
        assert_int_equal(isa_te_run(tv.t, 1), ISA_R_STOP);
        assert_int_equal(tv_get(VF_VM_INSTRUCTION_ERROR), 12);
        tv_set(VF_VM_INSTRUCTION_ERROR, 0);
    }
    tv_close();
    printf("# refused by name: %u controls, %u fields\n", controls, fields);
    assert_true(controls > 20 && fields > 20);
}

// The controls of IA32_BNDCFGS are for processors that have it, and its field exists there alone.
static void test_mpx_processor(void **state)
{
    static const struct {
        enum vmcs_field f;
        uint64_t bit;
        const char *id;
    } k[] = {{VF_VM_EXIT_CONTROLS, VMX_EXIT_CLEAR_BNDCFGS, "E-CT-031"}, {VF_VM_ENTRY_CONTROLS, VMX_ENTRY_LOAD_BNDCFGS, "E-CT-051"}};
    for (unsigned n = 0; n < 4; n++) {
        struct vmx_entry_report r = {0};
        const bool has = n & 1;
        tv_golden(TV_64);
        if (has)
            tv_with_mpx();
        tv_set(k[n / 2].f, tv_get(k[n / 2].f) | k[n / 2].bit);
        vmx_check_entry(tv.c, &tv.v, &r);
        assert_int_equal(r.n, !has);
        assert_true(has || !strcmp(r.failure[0].id, k[n / 2].id));
        assert_int_equal(vmcs_exists(&tv.caps, VF_GUEST_BNDCFGS), has);
        tv_close();
    }
}

// A 5-level EPT is for processors that report it; so is "enable XSAVES/XRSTORS".
static void test_later_processor(void **state)
{
    for (unsigned later = 0; later < 2; later++) {
        struct vmx_entry_report r = {0};
        tv_golden(TV_64);
        if (later)
            tv.caps = vmx_caps_later;
        tv_set(VF_EPT_POINTER, TV_TABLE | 4 << 3 | 6);
        vmx_check_entry(tv.c, &tv.v, &r);
        assert_int_equal(r.n, !later);
        assert_true(later || !strcmp(r.failure[0].id, "E-CT-014"));
        tv_set(VF_EPT_POINTER, TV_TABLE | 3 << 3 | 6);
        tv_set(VF_SECONDARY_VM_EXEC_CONTROL, tv_get(VF_SECONDARY_VM_EXEC_CONTROL) | VMX_PROC2_ENABLE_XSAVES);
        vmx_check_entry(tv.c, &tv.v, &r);
        assert_int_equal(r.n, !later);
        assert_true(later || !strcmp(r.failure[0].id, "E-CT-005"));
        assert_int_equal(vmcs_exists(&tv.caps, VF_XSS_EXIT_BITMAP), later);
        tv_close();
    }
}

// --- three planted mistakes are reported as exactly those three

static int launch(void)
{
    isa_te_code(tv.t, TV_HOST, "\x0f\x01\xc2", 3);
    return isa_te_run(tv.t, 1);
}

static void test_three_mistakes(void **state)
{
    static const char *const id[] = {"E-GS-051", "E-GS-100", "E-GS-131"};
    static const enum vmcs_field field[] = {VF_GUEST_CS_AR_BYTES, VF_GUEST_ACTIVITY_STATE, VF_VMCS_LINK_POINTER};
    static const uint64_t value[] = {0xe09b, 7, 0xffffffff00000000};
    tv_golden(TV_64);
    for (unsigned n = 0; n < 3; n++)
        vmcs_write(&tv.v.vmcs, field[n], value[n], 100 + n, 0x8000 + n);
    assert_int_equal(launch(), ISA_R_STOP);
    const struct vmx_entry_report *r = &tv.v.report;
    assert_int_equal(r->n, 3);
    for (unsigned n = 0; n < 3; n++) {
        const struct vmx_failure *f = &r->failure[n];
        assert_string_equal(f->id, id[n]);
        assert_int_equal(f->field, field[n]);
        assert_int_equal(f->value, value[n]);
        assert_int_equal(f->writer_cycle, 100 + n);
        assert_int_equal(f->writer_rip, 0x8000 + n);
        assert_true(f->has_suggestion);
    }
    assert_int_equal(r->failure[0].bits, ISA_AR_DB);
    assert_int_equal(r->failure[0].suggestion, 0xa09b);
    assert_int_equal(r->failure[1].bits, 0xffffffff);
    assert_int_equal(r->failure[2].suggestion, VMX_NO_PTR);
    assert_int_equal(tv_get(VF_VM_EXIT_REASON), 0x80000021);
    assert_int_equal(tv.c->rip, tv_get(VF_HOST_RIP));
    tv_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_apply),     cmocka_unit_test(test_rows_have_texts),
        cmocka_unit_test(test_three_mistakes), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mpx_processor),  cmocka_unit_test(test_later_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
