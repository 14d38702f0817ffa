; memory.asm: a program that touches pages of a window, at random or one after another, natively or as a VMX guest. The scenarios of this folder set
; the parameters below before the first instruction. Started in 64-bit mode.
;
; The guest's linear addresses: the first 2 MiB are its code and tables, mapped to themselves; WINDOW is up to 1 GiB, as much as `pages` and `apart` ask for (but
; 32 MiB at least), mapped to guest-physical DATA, by pages of 4 KiB or 2 MiB. Guest-physical 0 lies at GUEST_RAM, also without a hypervisor (then the tables hold host-physical addresses).

%include "vmx.inc"

bits 64
default abs

%define HOST_CODE   0x80000
%define VMX_REGIONS 0x90000
%define VMX_STACK   0x98000
%define VMX_GDT     gdt
%define CS64        0x08
%define DS64        0x10
%define TSS64       0x18
%define INVEPT_DESC 0x9b000

%define GUEST_RAM   0x4000000
%define EPT_PML4    0x200000
%define EPT_PDPT    0x201000
%define EPT_PD      0x202000    ; two pages
%define EPT_PT      0x204000    ; one page per 2 MiB

; guest-physical
%define PML4        0x100000
%define PDPT        0x101000
%define PD          0x102000    ; of the first GiB
%define WINDOW_PD   0x103000
%define WINDOW_PT   0x400000    ; one page per 2 MiB
%define LOW_PT      0x130000
%define GUEST_CODE  0x10000
%define GUEST_STACK 0x20000
%define DATA        0x1000000
%define WINDOW      0x40000000

section host start=0 vstart=HOST_CODE align=16
start:
    jmp go
align 8
; --- parameters, 64 bits each
nested:    dq 1                 ; 0: no hypervisor
vpid:      dq 1                 ; 0: "enable VPID" is 0
guest_2m:  dq 0                 ; pages of the window: 1: 2 MiB
ept_2m:    dq 0
pages:     dq 16                ; that are touched, a power of 2
apart:     dq 1                 ; their distance, in pages of 4 KiB
accesses:  dq 1000              ; in each of the two rounds
random:    dq 1                 ; 0: one after another
exit_each: dq 0                 ; a CPUID after so many accesses; 0: none
act:       dq 0                 ; in the end: 1: read, hypervisor raises the right to write upon the violation, without INVEPT
                                ; 2: write, hypercall lowers the right without INVEPT, write; 3: the same with INVEPT
    VMX_GDT_TABLE
units:     dq 0                 ; of 2 MiB in the window

go:
    mov rsp, VMX_STACK
    mov rax, [pages]
    imul rax, [apart]
    shr rax, 9
    cmp rax, 16
    jae .sized
    mov eax, 16
.sized:
    mov [units], rax
    call build_tables
    mov esi, guest_image
    mov edi, GUEST_RAM + GUEST_CODE
    mov ecx, guest_size
    rep movsb
    cmp qword [nested], 0
    jne hypervisor
    mov eax, GUEST_RAM + PML4
    mov cr3, rax
    mov rsp, GUEST_STACK
    jmp guest

hypervisor:
    VMX_START
    call build_ept
    call vmx_host_state
    call vmx_flat_guest
    CONTROLS VMCS_PIN_BASED_VM_EXEC_CONTROL, IA32_VMX_TRUE_PIN, 0
    CONTROLS VMCS_CPU_BASED_VM_EXEC_CONTROL, IA32_VMX_TRUE_PROC, 1 << 31                     ; secondary controls
    mov ebx, 1 << 1             ; EPT
    mov rax, [vpid]
    shl eax, 5
    or ebx, eax
    CONTROLS VMCS_SECONDARY_VM_EXEC_CONTROL, IA32_VMX_PROC2, ebx
    VMW VMCS_EPT_POINTER, EPT_PML4 | 3 << 3 | 6                                              ; 4 levels, write-back
    VMW VMCS_VIRTUAL_PROCESSOR_ID, [vpid]
    VMX_GUEST64 PML4
    VMW VMCS_GUEST_RSP, GUEST_STACK
    VMW VMCS_GUEST_RIP, guest
    vmlaunch
    jmp vmx_failed

; The EPT: guest-physical 0 ... to GUEST_RAM. 7: read, write, execute; 37: the same and memory type write-back; B7: and a 2 MiB page.
build_ept:
    mov edi, EPT_PML4
    xor eax, eax
    mov ecx, 4 * 0x1000 / 8
    rep stosq
    mov dword [EPT_PML4], EPT_PDPT + 7
    mov dword [EPT_PDPT], EPT_PD + 7
    mov dword [EPT_PDPT + 8], EPT_PD + 0x1000 + 7
    mov rsi, [units]
    add rsi, DATA >> 21         ; so many units of 2 MiB
    mov eax, EPT_PT + 7
    mov edx, 0x1000
    cmp qword [ept_2m], 0
    je .pd
    mov eax, GUEST_RAM + 0xb7
    mov edx, 0x200000
.pd:
    mov [EPT_PD + rcx * 8], rax
    add eax, edx
    inc ecx
    cmp ecx, esi
    jb .pd
    xor ecx, ecx
    mov eax, GUEST_RAM + 0x37
    shl esi, 9
.pt:
    mov [EPT_PT + rcx * 8], rax
    add eax, 0x1000
    inc ecx
    cmp ecx, esi
    jb .pt
    cmp qword [act], 1
    jne .done
    and byte [EPT_PT + DATA / 0x1000 * 8], ~2   ; the first page of the window: no writes, until the violation
.done:
    ret

; The guest's tables. rbp = what an address in them is more than guest-physical: the tables of a native program hold host-physical addresses.
build_tables:
    mov edi, GUEST_RAM + PML4
    xor eax, eax
    mov ecx, 0x40000 / 8
    rep stosq
    mov ebp, GUEST_RAM
    cmp qword [nested], 0
    je .native
    xor ebp, ebp
.native:
%macro ENTRY 2                  ; where, guest-physical target and flags
    lea rax, [rbp + %2]
    mov [GUEST_RAM + %1], rax
%endmacro
    ENTRY PML4, PDPT + 3
    ENTRY PDPT, PD + 3
    ENTRY PDPT + 8, WINDOW_PD + 3
    ENTRY PD, LOW_PT + 3
    xor ecx, ecx
    lea rax, [rbp + 3]
.low:
    mov [GUEST_RAM + LOW_PT + rcx * 8], rax
    add rax, 0x1000
    inc ecx
    cmp ecx, 512
    jb .low
    test rbp, rbp
    jz .window                  ; a native program goes on where it is: its parameters lie at the real addresses
    lea rax, [HOST_CODE + 3]
    mov ecx, HOST_CODE / 0x1000
.same:
    mov [GUEST_RAM + LOW_PT + rcx * 8], rax
    add rax, 0x1000
    inc ecx
    cmp ecx, HOST_CODE / 0x1000 + 32
    jb .same
.window:
    cmp qword [guest_2m], 0
    jne .large
    xor ecx, ecx
    lea rax, [rbp + WINDOW_PT + 3]
.pd:
    mov [GUEST_RAM + WINDOW_PD + rcx * 8], rax
    add rax, 0x1000
    inc ecx
    cmp ecx, [units]
    jb .pd
    xor ecx, ecx
    lea rax, [rbp + DATA + 3]
    mov edx, [units]
    shl edx, 9
.pt:
    mov [GUEST_RAM + WINDOW_PT + rcx * 8], rax
    add rax, 0x1000
    inc ecx
    cmp ecx, edx
    jb .pt
    jmp .parameters
.large:
    xor ecx, ecx
    lea rax, [rbp + DATA + 0x83]
.pd2:
    mov [GUEST_RAM + WINDOW_PD + rcx * 8], rax
    add rax, 0x200000
    inc ecx
    cmp ecx, [units]
    jb .pd2
.parameters:                    ; the guest has a copy of its own
    mov esi, HOST_CODE
    mov edi, GUEST_RAM + HOST_CODE
    mov ecx, 0x1000
    rep movsb
    ret

%include "vmx-code.inc"

; VM exits: CPUID is skipped; a violation raises the right to write; VMCALL lowers it.
vmx_exit:
    push rax
    push rcx
    push rdx
    mov ecx, VMCS_VM_EXIT_REASON
    vmread rax, rcx
    cmp eax, 10
    je .skip
    cmp eax, 48
    je .violation
    cmp eax, 18
    jne .unexpected
    and byte [EPT_PT + DATA / 0x1000 * 8], ~2
    cmp qword [act], 3
    jne .skip
    mov qword [INVEPT_DESC], EPT_PML4 | 3 << 3 | 6
    mov qword [INVEPT_DESC + 8], 0
    mov eax, 1                  ; single context
    invept rax, [INVEPT_DESC]
    jbe vmx_failed
.skip:
    mov ecx, VMCS_VM_EXIT_INSTRUCTION_LEN
    vmread rax, rcx
    mov ecx, VMCS_GUEST_RIP
    vmread rdx, rcx
    add rax, rdx
    vmwrite rcx, rax
.resume:
    pop rdx
    pop rcx
    pop rax
    vmresume
    jmp vmx_failed
.violation:
    or byte [EPT_PT + DATA / 0x1000 * 8], 2     ; no INVEPT: the violation itself has dropped what was cached
    jmp .resume
.unexpected:
    mov al, 0x57                ; exit status AFH
    out 0xf4, al
    hlt

align 16
guest_image:                    ; the guest's code stands behind this section

section guest_memory follows=host vstart=GUEST_CODE align=16
guest:
    mov r15d, WINDOW
    mov r9, [pages]
    dec r9
    mov r10d, 1                 ; state of the random numbers
    mov r14, [apart]
    shl r14, 12
    xor r12d, r12d              ; counts accesses
warm_up:                        ; the first round warms the caches
    call round
measure:
    call round
measured:
    cmp qword [act], 1
    je raise
    jb done
lower:
    mov byte [r15], 1
    vmcall
lowered:
    mov byte [r15], 2           ; a stale entry lets it pass
    jmp done
raise:
    mov al, [r15]
    mov byte [r15], 1
done:
    mov al, 0
    out 0xf4, al                ; debug-exit port: ends the run with status 1
    hlt

round:
    mov r8, [accesses]
    mov r11, [exit_each]
    mov r13, 6364136223846793005
.next:
    mov rax, r12
    inc r12
    cmp qword [random], 0
    je .touch
    imul r10, r13
    add r10, 1442695
    mov rax, r10
    shr rax, 33
.touch:
    and rax, r9
    imul rax, r14
    movzx edx, byte [r15 + rax]
    dec r11
    jnz .go_on
    xor eax, eax
    cpuid
    mov r11, [exit_each]
.go_on:
    dec r8
    jnz .next
    ret
guest_end:
guest_size equ guest_end - guest
