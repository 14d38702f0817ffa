; ring1.asm: a monitor by trap and emulate. It owns ring 0 and runs the kernel at ring 1 with IOPL = 0, so that CLI, STI, HLT, LIDT, MOV CR and I/O
; raise #GP. The handler decodes the instruction at the kernel's EIP, does on virtual state what the kernel meant, and returns behind it.
;
; Virtual state: IF (vif), IDT base (vidt), a pending timer interrupt. The real IF stays 1 while the kernel runs, so that the monitor always
; gets the hardware interrupt; the kernel gets it when its virtual IF allows. The kernel's segments end below the monitor, which protects it.
;
; Simplifications of this monitor: guest-physical = physical, so the kernel's page tables are used as they are; the interrupt controller is the
; monitor's, the kernel's writes to it are dropped; an interrupt that waits while vif is 0 is delivered at HLT or by the next tick.

%include "layout.inc"
bits 32
org MONITOR

%define CODE0 0x08
%define DATA0 0x10
%define DATA1 0x19
%define CODE1 0x21
%define TSS   0x28

start:
    cli
    mov esp, MSTACK
    mov esi, kernel_image
    mov edi, KERNEL
    mov ecx, kernel_size
    rep movsb
    mov edi, COUNTS
    xor eax, eax
    mov ecx, 0x40
    rep stosd
    mov eax, on_gp
    mov ecx, 0x0d
    call gate
    mov eax, on_timer
    mov ecx, 0x20
    call gate
    mov eax, on_other
    mov ecx, 0x06
    call gate
    mov ecx, 0x0e
    call gate
    lgdt [gdtr]
    lidt [idtr]
    jmp CODE0:.reload
.reload:
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, tss
    mov [gdt + TSS + 2], ax
    shr eax, 16
    mov [gdt + TSS + 4], al
    mov ax, TSS
    ltr ax
    call init_pic

    mov ax, DATA1
    mov ds, ax
    mov es, ax
    push dword DATA1
    push dword KSTACK
    push dword 0x202            ; the real IF is on; the virtual one starts at 0
    push dword CODE1
    push dword KERNEL
    iret

gate:                           ; eax = handler, ecx = vector
    mov edx, eax
    and edx, 0xffff
    or edx, CODE0 << 16
    mov [idt + ecx * 8], edx
    mov edx, eax
    and edx, 0xffff0000
    or edx, 0x8e00
    mov [idt + ecx * 8 + 4], edx
    ret

%include "pic.inc"

; The frame of a trap, from esp on, after PUSHA and two segment registers.
%define F_EDI    8
%define F_EAX    36
%define F_EDX    28
%define F_EIP    44             ; behind the error code (40)
%define F_CS     48
%define F_EFLAGS 52
%define F_ESP    56

; --- #GP: decode and emulate.
on_gp:
    pusha
    push ds
    push es
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    mov ebp, esp
    mov esi, [ebp + F_EIP]
    mov al, [esi]
    cmp al, 0xfa
    je .cli
    cmp al, 0xfb
    je .sti
    cmp al, 0xf4
    je .hlt
    cmp al, 0xe6
    je .out_imm
    cmp al, 0xe4
    je .in_imm
    cmp al, 0xee
    je .out_dx
    cmp al, 0xec
    je .in_dx
    cmp al, 0x0f
    je .two
.refuse:                        ; not one of the instructions that this monitor knows: say so by the exit status
    mov al, 0x55
    out 0xf4, al
    hlt

.cli:
    inc dword [COUNTS + C_CLI]
    mov dword [vif], 0
    inc esi
    jmp .resume
.sti:
    inc dword [COUNTS + C_STI]
    mov dword [vif], 1
    inc esi
    jmp .resume
.hlt:
    inc dword [COUNTS + C_HLT]
    inc esi
    mov [ebp + F_EIP], esi
.sleep:                         ; sleep for real until the timer has left something to deliver
    cmp dword [pending], 0
    jne .wake
    sti
    hlt
    cli
    jmp .sleep
.wake:
    call inject
    jmp .return

.out_imm:
    movzx edx, byte [esi + 1]
    add esi, 2
    jmp .out
.out_dx:
    movzx edx, word [ebp + F_EDX]
    inc esi
.out:
    inc dword [COUNTS + C_IO]
    mov al, [ebp + F_EAX]
    cmp edx, 0x20               ; the interrupt controller is the monitor's
    je .resume
    cmp edx, 0x21
    je .resume
    out dx, al
    jmp .resume
.in_imm:
    movzx edx, byte [esi + 1]
    add esi, 2
    jmp .in
.in_dx:
    movzx edx, word [ebp + F_EDX]
    inc esi
.in:
    inc dword [COUNTS + C_IO]
    in al, dx
    mov [ebp + F_EAX], al
    jmp .resume

.two:
    movzx eax, byte [esi + 2]   ; ModRM
    cmp byte [esi + 1], 0x22
    je .to_cr
    cmp byte [esi + 1], 0x20
    je .from_cr
    cmp byte [esi + 1], 0x01
    jne .refuse
    cmp al, 0x1d                ; LIDT [disp32]
    jne .refuse
    inc dword [COUNTS + C_LIDT]
    mov edi, [esi + 3]
    mov eax, [edi + 2]
    mov [vidt], eax
    add esi, 7
    jmp .resume

.to_cr:                         ; MOV CRn, r32: reg of ModRM is n, rm the register
    inc dword [COUNTS + C_CR]
    mov ebx, eax
    and ebx, 7
    xor ebx, 7                  ; PUSHA stores EAX last, EDI first
    mov ebx, [ebp + ebx * 4 + F_EDI]
    shr eax, 3
    and eax, 7
    add esi, 3
    cmp eax, 3
    je .cr3
    cmp eax, 0
    jne .refuse
    or ebx, 0x21                ; protected mode stays on, whatever the kernel believes
    mov cr0, ebx
    jmp .resume
.cr3:
    mov cr3, ebx
    jmp .resume
.from_cr:
    inc dword [COUNTS + C_CR]
    mov ebx, eax
    and ebx, 7
    xor ebx, 7
    mov edx, cr0
    test eax, 0x38
    jz .store
    mov edx, cr3
.store:
    mov [ebp + ebx * 4 + F_EDI], edx
    add esi, 3

.resume:
    mov [ebp + F_EIP], esi
.return:
    pop es
    pop ds
    popa
    add esp, 4                  ; error code
    iret

; --- the hardware timer. From ring 1: deliver to the kernel if its virtual IF allows. From ring 0 (the sleep above): only note it.
on_timer:
    push dword 0                ; the place of an error code, so that the frame is the same
    pusha
    push ds
    push es
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    mov ebp, esp
    inc dword [COUNTS + C_IRQ]
    mov al, 0x20
    out 0x20, al
    mov dword [pending], 1
    test byte [ebp + F_CS], 3
    jz .return
    cmp dword [vif], 0
    je .return
    call inject
.return:
    pop es
    pop ds
    popa
    add esp, 4
    iret

; Make the frame at ebp return into the kernel's handler for vector 20H, as the processor would have done it at ring 0.
inject:
    inc dword [COUNTS + C_INJECT]
    mov dword [pending], 0
    mov edi, [ebp + F_ESP]
    sub edi, 12
    mov eax, [ebp + F_EFLAGS]
    mov [edi + 8], eax
    mov eax, [ebp + F_CS]
    mov [edi + 4], eax
    mov eax, [ebp + F_EIP]
    mov [edi], eax
    mov [ebp + F_ESP], edi
    mov edx, [vidt]
    mov eax, [edx + 0x20 * 8]
    mov ecx, [edx + 0x20 * 8 + 4]
    and ecx, 0xffff0000
    movzx edi, ax
    or edi, ecx
    mov [ebp + F_EIP], edi
    mov dword [vif], 0          ; an interrupt gate
    ret

on_other:
    mov al, 0x56
    out 0xf4, al
    hlt

align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff       ; 08 code, ring 0
    dq 0x00cf93000000ffff       ; 10 data, ring 0
    dq 0x0047b3000000ffff  ; 18 data, ring 1, limit 7FFFFH: the monitor lies above
    dq 0x0047bb000000ffff       ; 20 code, ring 1
    dq 0x0000890000000067       ; 28 TSS
gdtr:
    dw gdtr - gdt - 1
    dd gdt
idtr:
    dw 0x7ff
    dd idt
vif: dd 0
vidt: dd 0
pending: dd 0
tss:
    dd 0
    dd MSTACK, DATA0            ; esp0, ss0
    times 22 dd 0
    dw 0, 0x68                  ; no I/O permission bitmap
align 8
idt: times 256 dq 0
kernel_image:
%include "embed.inc"
