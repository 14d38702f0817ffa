; vtx.asm: the same kernel under VT-x: it runs at ring 0 of non-root operation, with its own IDT, CR3 and IF. The monitor sees only what it asked for:
; port I/O, HLT, and the hardware timer. CLI, STI, LIDT and MOV CR run at full speed. Started in 64-bit mode.

%include "layout.inc"
%include "vmx.inc"

bits 64
org MONITOR
default abs

%define VMX_REGIONS 0x91000
%define EPT         0x93000     ; PML4, PDPT, one PD of 2 MiB pages
%define VMX_STACK   MSTACK
%define VMX_GDT     gdt
%define CS64        0x08
%define DS64        0x10
%define TSS64       0x18

start:
    VMX_START
    mov esi, kernel_image
    mov edi, KERNEL
    mov ecx, kernel_size
    rep movsb
    mov edi, EPT
    xor eax, eax
    mov ecx, 0x3000 / 4
    rep stosd
    mov edi, COUNTS
    mov ecx, 0x40
    rep stosd
    mov eax, on_timer           ; IDT: vector 20H only
    mov [idt + 0x20 * 16], ax
    mov word [idt + 0x20 * 16 + 2], CS64
    mov word [idt + 0x20 * 16 + 4], 0x8e00
    shr eax, 16
    mov [idt + 0x20 * 16 + 6], ax
    lidt [idtr]
    call init_pic

    ; EPT: guest-physical = host-physical for the first GiB.
    mov dword [EPT], EPT + 0x1000 + 7
    mov dword [EPT + 0x1000], EPT + 0x2000 + 7
    mov rdi, EPT + 0x2000
    mov eax, 0xb7               ; read, write, execute, write-back, 2 MiB page
    mov ecx, 512
.pde:
    mov [rdi], rax
    add rax, 0x200000
    add rdi, 8
    loop .pde

    call vmx_host_state
    call vmx_flat_guest
    CONTROLS VMCS_PIN_BASED_VM_EXEC_CONTROL, IA32_VMX_TRUE_PIN, 1                      ; external-interrupt exiting
    CONTROLS VMCS_CPU_BASED_VM_EXEC_CONTROL, IA32_VMX_TRUE_PROC, 1 << 7 | 1 << 24 | 1 << 31 ; HLT, I/O, secondary
    CONTROLS VMCS_SECONDARY_VM_EXEC_CONTROL, IA32_VMX_PROC2, 1 << 1 | 1 << 5 | 1 << 7  ; EPT, VPID, unrestricted guest
    CONTROLS VMCS_VM_EXIT_CONTROLS, IA32_VMX_TRUE_EXIT, 1 << 9 | 1 << 15 | 1 << 21     ; 64-bit host, acknowledge, load EFER
    CONTROLS VMCS_VM_ENTRY_CONTROLS, IA32_VMX_TRUE_ENTRY, 1 << 15                      ; load EFER
    VMW VMCS_EPT_POINTER, EPT | 3 << 3 | 6
    VMW VMCS_VIRTUAL_PROCESSOR_ID, 1
    VMW VMCS_GUEST_GDTR_BASE, guest_gdt
    VMW VMCS_GUEST_GDTR_LIMIT, 0x17
    VMW VMCS_GUEST_RSP, KSTACK
    VMW VMCS_GUEST_RIP, KERNEL
    vmlaunch
    jmp vmx_failed

%include "pic.inc"

%include "vmx-code.inc"

; --- every VM exit arrives here. The guest's general registers are still in place: save what the handlers use.
vmx_exit:
    mov [guest_rax], rax
    mov [guest_rcx], rcx
    mov [guest_rdx], rdx
    mov ecx, VMCS_VM_EXIT_REASON
    vmread rax, rcx
    cmp eax, 1
    je .irq
    cmp eax, 7
    je .window
    cmp eax, 12
    je .hlt
    cmp eax, 30
    je .io
    mov al, 0x57                ; an exit that was not asked for
    out 0xf4, al
    hlt

.io:
    inc dword [COUNTS + C_IO]
    mov ecx, VMCS_EXIT_QUALIFICATION
    vmread rax, rcx
    mov rdx, rax
    shr rdx, 16                 ; port
    test al, 8
    jnz .in
    cmp edx, 0x20               ; the interrupt controller is the monitor's
    je .skip
    cmp edx, 0x21
    je .skip
    mov al, [guest_rax]
    out dx, al
    jmp .skip
.in:
    in al, dx
    mov [guest_rax], al
    jmp .skip

.hlt:
    inc dword [COUNTS + C_HLT]
.sleep:
    cmp dword [pending], 0
    jne .skip
    sti                         ; the monitor's own IDT takes the timer here
    hlt
    cli
    jmp .sleep

.irq:                           ; acknowledged by the exit; the vector is in the interruption information
    inc dword [COUNTS + C_IRQ]
    mov al, 0x20
    out 0x20, al
    mov dword [pending], 1
    jmp .enter

.window:
    inc dword [COUNTS + C_WINDOW]
    mov ecx, VMCS_CPU_BASED_VM_EXEC_CONTROL
    vmread rax, rcx
    and eax, ~(1 << 2)
    VMW VMCS_CPU_BASED_VM_EXEC_CONTROL, rax
    jmp .enter

.skip:                          ; return behind the instruction
    mov ecx, VMCS_VM_EXIT_INSTRUCTION_LEN
    vmread rax, rcx
    mov ecx, VMCS_GUEST_RIP
    vmread rdx, rcx
    add rax, rdx
    vmwrite rcx, rax
    VMW VMCS_GUEST_INTERRUPTIBILITY_INFO, 0 ; the instruction behind STI has been done

.enter:
    cmp dword [pending], 0
    je .resume
    mov ecx, VMCS_GUEST_RFLAGS
    vmread rax, rcx
    test eax, 0x200
    jz .later
    mov ecx, VMCS_GUEST_INTERRUPTIBILITY_INFO
    vmread rax, rcx
    test al, 3
    jnz .later
    mov dword [pending], 0
    inc dword [COUNTS + C_INJECT]
    VMW VMCS_VM_ENTRY_INTR_INFO_FIELD, 0x80000020
    jmp .resume
.later:                         ; ask for an exit as soon as the guest can take it
    mov ecx, VMCS_CPU_BASED_VM_EXEC_CONTROL
    vmread rax, rcx
    or eax, 1 << 2
    VMW VMCS_CPU_BASED_VM_EXEC_CONTROL, rax
.resume:
    mov rax, [guest_rax]
    mov rcx, [guest_rcx]
    mov rdx, [guest_rdx]
    vmresume
    jmp vmx_failed

; The timer while the monitor itself sleeps.
on_timer:
    push rax
    inc dword [COUNTS + C_IRQ]
    mov al, 0x20
    out 0x20, al
    mov dword [pending], 1
    pop rax
    iretq

align 8
gdt:
    dq 0
    dq 0x00af9b000000ffff       ; 08 64-bit code
    dq 0x00cf93000000ffff       ; 10 data
    dq 0x0000890000000067, 0    ; 18 TSS at 0 (never used: there is no other ring here)
guest_gdt:                      ; the flat segments that the kernel finds when it starts, as on the bare machine
    dq 0
    dq 0x00cf9b000000ffff       ; 08 code
    dq 0x00cf93000000ffff       ; 10 data
gdtr:
    dw guest_gdt - gdt - 1
    dq gdt
idtr:
    dw 0xfff
    dq idt
guest_rax: dq 0
guest_rcx: dq 0
guest_rdx: dq 0
pending: dd 0
align 8
idt: times 512 dq 0
kernel_image:
%include "embed.inc"
