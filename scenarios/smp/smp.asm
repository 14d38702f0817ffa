; smp.asm: several processors work on one counter. Started in flat 32-bit protected mode on processor 0, which wakes the others.
;
; The scenario writes what to do at PARAMS: number of processors, way, rounds of each. Results are at RESULTS.
PARAMS   equ 0x7000
CPUS     equ PARAMS + 0
WAY      equ PARAMS + 4
ROUNDS   equ PARAMS + 8
RESULTS  equ 0x7100
COUNTER  equ RESULTS + 0         ; what all processors count on
SMP_ONLINE equ RESULTS + 4        ; processors that have arrived
GO       equ RESULTS + 8         ; 1: they may begin
FINISHED equ RESULTS + 12        ; processors that are done
LOCKWORD equ RESULTS + 64        ; each lock variable on a line of its own
TICKET   equ RESULTS + 128
OWNER    equ RESULTS + 192
WARPS    equ RESULTS + 16        ; times at which the time-stamp counter went back
LAST     equ RESULTS + 24        ; what a processor read last
PINGS    equ 0x7400              ; 64 bytes for each processor: interrupts or stores that it has answered
FLAGS    equ 0x7800              ; 64 bytes for each processor: what it watches with MONITOR
SMP_STACKS equ 0x60000
SMP_IDT  equ 0x5000

org 0x10000
bits 32
start:
    jmp smp_main
%include "smp.inc"
    SMP_MAIN [CPUS], [GO], [FINISHED], work

; --- the work of processor EBP
work:
    mov ecx, [ROUNDS]
    mov eax, [WAY]
    jmp [ways + eax * 4]
ways: dd plain, locked, tas, ttas, ticket, ipi, monitor_, warp

plain:                                   ; read, add, write: another processor may come in between
    mov eax, [COUNTER]
    inc eax
    mov [COUNTER], eax
    dec ecx
    jnz plain
    ret
locked:
    lock inc dword [COUNTER]
    dec ecx
    jnz locked
    ret
tas:                                     ; test and set: each attempt writes
    mov eax, 1
    xchg eax, [LOCKWORD]
    test eax, eax
    jz .mine
    pause
    jmp tas
.mine:
    inc dword [COUNTER]
    mov dword [LOCKWORD], 0
    dec ecx
    jnz tas
    ret
ttas:                                    ; look before trying
    cmp dword [LOCKWORD], 0
    je .try
    pause
    jmp ttas
.try:
    mov eax, 1
    xchg eax, [LOCKWORD]
    test eax, eax
    jnz ttas
    inc dword [COUNTER]
    mov dword [LOCKWORD], 0
    dec ecx
    jnz ttas
    ret
ticket:                                  ; first come, first served
    mov eax, 1
    lock xadd [TICKET], eax
.spin:
    cmp eax, [OWNER]
    je .mine
    pause
    jmp .spin
.mine:
    inc dword [COUNTER]
    inc dword [OWNER]
    dec ecx
    jnz ticket
    ret

; Under a lock: does the time-stamp counter ever show less than another processor read before?
warp:
    mov eax, 1
    xchg eax, [LOCKWORD]
    test eax, eax
    jz .mine
    pause
    jmp warp
.mine:
    rdtsc
    cmp edx, [LAST + 4]
    ja .later
    jb .back
    cmp eax, [LAST]
    jae .later
.back:
    inc dword [WARPS]
.later:
    mov [LAST], eax
    mov [LAST + 4], edx
    inc dword [COUNTER]
    mov dword [LOCKWORD], 0
    dec ecx
    jnz warp
    ret

; Processor 0 interrupts each of the others in turn, and waits for the answer; they sleep in HLT.
ipi:
    test ebp, ebp
    jz .send
    mov ebx, ebp
    shl ebx, 6
.sleep:
    cli
    mov eax, [PINGS + ebx]
    cmp eax, [ROUNDS]
    je .done
    sti
    hlt
    jmp .sleep
.send:
    mov edx, 1
.next:
    cmp edx, [CPUS]
    je .round
    mov ebx, edx
    shl ebx, 6
    mov esi, [PINGS + ebx]
    mov eax, edx
    shl eax, 24
    SMP_IPI
.answer:
    pause
    cmp esi, [PINGS + ebx]
    je .answer
    inc edx
    jmp .next
.round:
    dec ecx
    jnz .send
.done:
    ret

; Processor 0 stores to what each of the others watches; they sleep in MWAIT.
monitor_:
    test ebp, ebp
    jz .store
    mov ebx, ebp
    shl ebx, 6
.watch:
    mov esi, [PINGS + ebx]
    cmp esi, [ROUNDS]
    je .done
    lea eax, [FLAGS + ebx]
    xor ecx, ecx
    xor edx, edx
    monitor
    cmp esi, [FLAGS + ebx]
    jne .seen
    mwait
    cmp esi, [FLAGS + ebx]               ; MWAIT may end for any reason
    je .watch
.seen:
    inc dword [PINGS + ebx]
    jmp .watch
.store:
    mov edx, 1
.next:
    cmp edx, [CPUS]
    je .round
    mov ebx, edx
    shl ebx, 6
    mov esi, [PINGS + ebx]
    inc dword [FLAGS + ebx]
.answer:
    pause
    cmp esi, [PINGS + ebx]
    je .answer
    inc edx
    jmp .next
.round:
    dec ecx
    jnz .store
.done:
    ret

on_ipi:
    push eax
    push ebx
    mov ebx, [LAPIC + 0x20]
    shr ebx, 24
    shl ebx, 6
    SMP_EOI
    inc dword [PINGS + ebx]
    pop ebx
    pop eax
    iret

    SMP_TABLES
