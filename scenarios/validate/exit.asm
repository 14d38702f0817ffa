; exit.asm: a guest that executes CPUID over and over, and a hypervisor that does nothing but skip it. Keeps to what the first processors with VT-x
; have: no EPT, no VPID, no secondary controls. The guest runs in 64-bit mode in the hypervisor's own address space. Started in 64-bit mode.

%define VMX_FIRST
%include "vmx.inc"

bits 64
default abs

%define HOST_CODE   0x80000
%define VMX_REGIONS 0x90000
%define VMX_STACK   0x98000
%define GUEST_STACK 0x9c000
%define VMX_GDT     gdt
%define CS64        0x08
%define DS64        0x10
%define TSS64       0x18
%define ROUNDS      1000

org HOST_CODE
start:
    VMX_START
    call vmx_host_state
    call vmx_flat_guest
    CONTROLS VMCS_PIN_BASED_VM_EXEC_CONTROL, 0x481, 0
    CONTROLS VMCS_CPU_BASED_VM_EXEC_CONTROL, 0x482, 0
    CONTROLS VMCS_VM_EXIT_CONTROLS, 0x483, 1 << 9           ; 64-bit host
    CONTROLS VMCS_VM_ENTRY_CONTROLS, 0x484, 1 << 9          ; 64-bit guest
    mov rax, cr0
    VMW VMCS_GUEST_CR0, rax
    mov rax, cr3
    VMW VMCS_GUEST_CR3, rax
    mov rax, cr4
    VMW VMCS_GUEST_CR4, rax
    VMW VMCS_GUEST_CS_AR_BYTES, 0xa09b                      ; 64-bit code
    VMW VMCS_GUEST_RSP, GUEST_STACK
    VMW VMCS_GUEST_RIP, guest
    vmlaunch
    jmp vmx_failed

%include "vmx-code.inc"

vmx_exit:                       ; every exit is a CPUID
    mov ecx, VMCS_VM_EXIT_INSTRUCTION_LEN
    vmread rax, rcx
    mov ecx, VMCS_GUEST_RIP
    vmread rdx, rcx
    add rax, rdx
    vmwrite rcx, rax
    vmresume
    jmp vmx_failed

align 16
guest:
    mov ebp, ROUNDS
.next:
    cpuid
    dec ebp
    jnz .next
done:
    mov al, 0
    out 0xf4, al                ; debug-exit port: ends the run with status 1
    hlt

align 8
    VMX_GDT_TABLE
