; bounce.asm: what does an exception of an application cost in the 0/1/3 model? The application at ring 3 divides by zero ROUNDS times; the kernel at
; ring 1 skips the instruction and returns. The word `direct` chooses the way there:
;
;   1   the IDT's gate names the kernel's code segment: the processor goes from ring 3 to ring 1 itself, as INT 80H does in this model
;   0   the gate leads to the monitor at ring 0, as a monitor must have it that wants to see exceptions first (a page fault may be its own, and CR2
;       cannot be read at ring 1): it copies the frame to the kernel's stack and returns into the kernel. This is called bouncing.
;
; Started in protected mode. Paging off, segments flat.

%define ROUNDS   1000
%define MON_TOP  0x98000        ; stacks
%define KERN_TOP 0x9a000
%define USER_TOP 0x9c000

bits 32
org 0x80000
start:
    mov esp, MON_TOP
    lgdt [gdtr]
    jmp MCODE:.reload
.reload:
    mov ax, MDATA
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov eax, tss
    mov [gdt + TSSEL + 2], ax
    shr eax, 16
    mov [gdt + TSSEL + 4], al
    mov eax, monitor            ; gate 0: to the monitor, or to the kernel
    mov ecx, MCODE << 16
    cmp dword [direct], 0
    je .gate
    mov eax, kernel
    mov ecx, KCODE << 16
.gate:
    mov dx, ax
    movzx edx, dx
    or edx, ecx
    mov [idt], edx
    mov ax, 0x8e00
    mov [idt + 4], eax
    mov dword [idt + 8], 0      ; no other gate
    lidt [idtr]
    mov ax, TSSEL
    ltr ax
    mov ax, UDATA
    mov ds, ax
    mov es, ax
    push dword UDATA
    push dword USER_TOP
    push dword 2
    push dword UCODE
    push dword application
    iret

application:
    mov esi, ROUNDS
measure:
    xor ebx, ebx
.next:
    mov eax, 1
    cdq
    div ebx                     ; 2 bytes
    dec esi
    jnz .next
measured:
    jmp $

; The kernel's handler of divide errors: behind the instruction, if it was an application's. A kernel at ring 1 returns to ring 3 by IRET without help.
kernel:
    add dword [esp], 2
    iret

; --- the monitor, ring 0
monitor:                        ; on the stack: EIP, CS, EFLAGS, ESP, SS of the application
    push dword 0                ; vector, and above it the error code, if there were one
    pushad
    push ds
    push es
    push fs
    push gs
    mov ax, MDATA
    mov ds, ax
    mov es, ax
    mov ebp, esp
%define FRAME ebp + 52          ; EIP of the frame above
    mov eax, [FRAME + 4]        ; an exception of the monitor itself would be a bug
    test al, 3
    jz $
    movzx eax, byte [FRAME - 4]
    lea edx, [trap_table + eax * 8]     ; what the kernel has registered: selector and address of its handler
    cmp dword [edx + 4], 0
    je $                                ; a kernel without handler would be ended here
    and dword [FRAME + 8], ~0x10000     ; RF
    mov edi, [tss + 12]                 ; from ring 3: to the kernel's stack ss1:esp1, where the processor itself would have gone
    mov ebx, [tss + 16]
    mov ecx, 5
    test byte [FRAME + 4], 2
    jnz .copy
    mov edi, [FRAME + 12]               ; an exception of the kernel itself: no change of stack
    mov ebx, [FRAME + 16]
    mov ecx, 3
.copy:
    lea eax, [ecx * 4]
    sub edi, eax
    cmp edi, [kernel_low]               ; would the frame leave the memory of the kernel?
    jb $
    mov eax, edi
    lea esi, [FRAME]
    cld
    rep movsd
    mov [FRAME + 12], eax               ; and return into the handler, at ring 1
    mov [FRAME + 16], ebx
    mov eax, [edx + 4]
    mov [FRAME], eax
    mov eax, [edx]
    mov [FRAME + 4], eax
    and dword [FRAME + 8], ~0x24100     ; TF, NT, VM
    inc dword [bounced]
    pop gs
    pop fs
    pop es
    pop ds
    popad
    add esp, 4
    iret

align 8
direct:     dd 0
bounced:    dd 0
kernel_low: dd KERN_TOP - 0x1000
trap_table: dd KCODE, kernel
gdt:        dq 0
MCODE equ $ - gdt
            dq 0x00cf9b000000ffff
MDATA equ $ - gdt
            dq 0x00cf93000000ffff
KCODE equ ($ - gdt) | 1
            dq 0x00cfbb000000ffff
KDATA equ ($ - gdt) | 1
            dq 0x00cfb3000000ffff
UCODE equ ($ - gdt) | 3
            dq 0x00cffb000000ffff
UDATA equ ($ - gdt) | 3
            dq 0x00cff3000000ffff
TSSEL equ $ - gdt
            dq 0x0000890000000067
gdtr:       dw $ - gdt - 1
            dd gdt
idtr:       dw 15
            dd idt
align 16
tss:        dd 0, MON_TOP, MDATA, KERN_TOP, KDATA
            times 0x64 - 20 db 0
            dw 0, 0x68
idt:        dq 0, 0
