; counters.asm: a kernel that programs performance counters, and a program in ring 3 that they watch.
;
; PARAM = 0  counts instructions and cycles of each ring while the program calls the kernel ROUNDS times; results at RESULTS
; PARAM = 1  a profiler: each PERIOD instructions of ring 3 a counter overflows and interrupts, and the handler notes where. The places stand at
;            SAMPLES, their number at NSAMPLES
; Loaded at 200000H in the documented 64-bit start state (sim/start.c); the page from there to 3FFFFFH is the program's too.

bits 64
default abs

%define PARAM    0x9f00
%define RESULTS  0x9000         ; eight bytes each: PMC0 to PMC3, FIXED_CTR0 to 2
%define NSAMPLES 0x9f08
%define SAMPLES  0x300000
%define ROUNDS   50
%define PERIOD   997

%define IDT      0x120000
%define STACK    0x180000       ; of interrupts from ring 3
%define LAPIC    0xfee00000
%define VECTOR   0x40

; IA32_PERFEVTSELx
%define CYCLES   0x3c
%define INSNS    0xc0
%define USR      1 << 16
%define OS       1 << 17
%define INT      1 << 20        ; interrupt on overflow
%define EN       1 << 22

%macro WRMSR 3                  ; register, upper half, lower half
    mov ecx, %1
    mov edx, %2
    mov eax, %3
    wrmsr
%endmacro

org 0x200000
start:
    mov rsp, 0x280000           ; the program's, too; interrupts from ring 3 go to STACK
    or byte [0x2000], 4         ; the start state's paging structures: ring 3 may use the second 2 MiB
    or byte [0x3000], 4
    or byte [0x4008], 4
    mov rax, cr3
    mov cr3, rax
    lgdt [gdtr]
    mov ax, 0x38
    ltr ax
    WRMSR 0xc0000081, 0x00200018, 0         ; IA32_STAR: SYSRET to 33H and 2BH, SYSCALL to 18H and 20H
    WRMSR 0xc0000082, 0, system             ; IA32_LSTAR
    mov r11d, 0x202                         ; RFLAGS of the program: interrupts on
    cmp byte [PARAM], 0
    jne profile

count:
    WRMSR 0x38f, 0, 0                       ; IA32_PERF_GLOBAL_CTRL: none; after RESET it lets PMC0 to PMC3 count
    WRMSR 0x186, 0, INSNS | OS | EN         ; IA32_PERFEVTSEL0
    WRMSR 0x187, 0, INSNS | USR | EN
    WRMSR 0x188, 0, CYCLES | OS | EN
    WRMSR 0x189, 0, CYCLES | USR | EN
    WRMSR 0x38d, 0, 0x333                   ; IA32_FIXED_CTR_CTRL: all rings
    mov ecx, 0x38f                          ; all of them
    mov edx, 7
    mov eax, 0xf
begin:
    wrmsr                                   ; from here on
    mov rcx, program
    o64 sysret

profile:
    mov rax, pmi                            ; the gate of VECTOR: offset, 18H, present 64-bit interrupt gate
    mov ebx, IDT + VECTOR * 16
    mov [rbx], ax
    mov word [rbx + 2], 0x18
    mov word [rbx + 4], 0x8e00
    shr rax, 16
    mov [rbx + 6], ax
    shr rax, 16
    mov [rbx + 8], rax
    lidt [idtr]
    call arm
    WRMSR 0x186, 0, INSNS | USR | INT | EN
    mov rcx, mix
    o64 sysret

; The counter overflows after PERIOD more. The local APIC has masked its entry when it interrupted.
arm:
    WRMSR 0x4c1, 0xffff, -PERIOD            ; IA32_A_PMC0: all its bits
    WRMSR 0x390, 0, 1                       ; IA32_PERF_GLOBAL_OVF_CTRL
    mov ebx, LAPIC
    mov dword [rbx + 0x340], VECTOR         ; performance-counter entry of the local vector table
    ret

pmi:
    push rax
    push rbx
    push rcx
    push rdx
    mov rax, [rsp + 32]                     ; where the program was
    mov rbx, [NSAMPLES]
    mov [SAMPLES + rbx * 8], rax
    inc qword [NSAMPLES]
    call arm
    mov dword [rbx + 0xb0], 0               ; end of interrupt
    pop rdx
    pop rcx
    pop rbx
    pop rax
    iretq

; EAX = 0: nothing much; else the program is done.
system:
    test eax, eax
    jnz done
    nop
    nop
    nop
    o64 sysret
done:
    mov ecx, 0x38f
    xor edx, edx
    xor eax, eax
finish:
    wrmsr                                   ; up to here
    mov edi, RESULTS
    mov ecx, 0xc1                           ; IA32_PMC0 to 3
.general:
    call result
    cmp ecx, 0xc5
    jne .general
    mov ecx, 0x309                          ; IA32_FIXED_CTR0 to 2
.fixed:
    call result
    cmp ecx, 0x30c
    jne .fixed
    xor eax, eax
    out 0xf4, al                            ; debug-exit port: ends the run
    hlt
result:
    rdmsr
    mov [rdi], eax
    mov [rdi + 4], edx
    add edi, 8
    inc ecx
    ret

; --- ring 3

program:
    mov ebx, ROUNDS
.round:
    mov edx, 20
.work:
    dec edx
    jnz .work
    xor eax, eax
    syscall
    dec ebx
    jnz .round
    mov eax, 1
    syscall

; Where does it spend its instructions? Six, three and one of ten.
mix:
    mov ebp, 100
.again:
    mov esi, 300
    call most
    mov esi, 150
    call some
    mov esi, 50
    call few
    dec ebp
    jnz .again
    mov eax, 1
    syscall

%macro BUSY 1
%1:
    imul rdi, rdi, 3
    inc rdi
    dec esi
    jnz %1
    ret
%endmacro
    BUSY most
    BUSY some
    BUSY few
the_end:

align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff    ; 8H 32-bit code, 10H data, 18H 64-bit code
    dq 0, 0x00cff3000000ffff, 0x00affb000000ffff                        ; 28H data, 30H 64-bit code of ring 3
    dq 0x0000890000000067 | (tss - $$ & 0xffffff) << 16 | 0x20 << 32, 0 ; 38H TSS, at 200000H and more
tss:
    dd 0
    dq STACK                                                            ; RSP0
    times 23 dd 0
gdtr:
    dw gdtr - gdt - 1
    dq gdt
idtr:
    dw 0xfff
    dq IDT
