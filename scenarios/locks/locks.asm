; locks.asm: four locks that several processors fight for, and messages from one processor to another: by a line of memory, and by interrupt. Started in flat
; 32-bit protected mode on processor 0, which wakes the others.
;
; The scenario sets the parameters below before the first instruction. A lock is taken `total` times in all, by whoever gets it. The holder spends `work` rounds of
; a loop inside, then `think` rounds outside. Times are the guest's own, by RDTSC: from taking number `warm` to taking number `total`.

SMP_STACKS equ 0x60000
SMP_IDT    equ 0x5000
CHAIN      equ 0x100000
LINES      equ 64                        ; of the chain
LINE       equ 128                       ; what lies so far apart is in no line together
NODE       equ 4                         ; lines

org 0x10000
bits 32
start:
    jmp smp_main
align 4
; --- parameters
cpus:    dd 1
way:     dd 0                            ; of the table `ways`
total:   dd 1000
warm:    dd 200
work:    dd 0
jitter:  dd 0                            ; and up to so many rounds more, at random: a power of two, less 1
think:   dd 0
owner:   dd 1                            ; transfer: who has the lines
access:  dd 0                            ; and what processor 0 does with them: 0 load, 1 store, 2 exchange
sharer:  dd 0                            ; and who has loaded them since, if not 0
; --- results
from:    dd 0                            ; RDTSC at taking number `warm`, at number `total`
until:   dd 0
oneway:  dd 0                            ; cycles of all messages one way, and of all with their answers; of a transfer's accesses
cycles:  dd 0

%include "smp.inc"

    SMP_MAIN [cpus], [begin], [finished], run

; What processor EBP does: EBX are its own lines.
run:
    imul ebx, ebp, NODE * LINE
    add ebx, nodes
    lea edi, [ebp + 1]                   ; state of the random numbers
    mov eax, [way]
    jmp [ways + eax * 4]
ways: dd tas, ttas, ticket, mcs, message, ipi, transfer

%macro DELAY 0                           ; ECX rounds
    jecxz %%done
%%again:
    dec ecx
    jnz %%again
%%done:
%endmacro

; Inside the lock: count, and take the time at numbers `warm` and `total`. Afterwards zero if it was the last one or later.
%macro INSIDE 1                          ; name of the lock
%1_inside:
    inc dword [counter]
    mov esi, [counter]
    inc dword [ebx + 2 * LINE]
    cmp esi, [warm]
    jne %%not_warm
%1_warm:
    rdtsc
    mov [from], eax
%%not_warm:
    cmp esi, [total]
    jne %%not_total
%1_total:
    rdtsc
    mov [until], eax
%%not_total:
    imul edi, edi, 1664525               ; a little of each processor's own random time, so that processors do not fall into step
    add edi, 1013904223
    mov ecx, edi
    shr ecx, 16
    and ecx, [jitter]
    add ecx, [work]
    DELAY
%endmacro
%macro OUTSIDE 1                         ; again?
    cmp esi, [total]
    jae %%enough
    mov ecx, [think]
    DELAY
    jmp %1
%%enough:
    ret
%endmacro

tas:                                     ; test and set: each try writes
    mov eax, 1
    xchg eax, [word_]
    test eax, eax
    jz tas_inside
    pause
    jmp tas
    INSIDE tas
    mov dword [word_], 0
    OUTSIDE tas

ttas:                                    ; test, then test and set: look before trying
    cmp dword [word_], 0
    je .try
    pause
    jmp ttas
.try:
    mov eax, 1
    xchg eax, [word_]
    test eax, eax
    jnz ttas
    INSIDE ttas
    mov dword [word_], 0
    OUTSIDE ttas

ticket:                                  ; first come, first served; all wait for the same word
    mov eax, 1
    lock xadd [next], eax
.spin:
    cmp eax, [serving]
    je ticket_inside
    pause
    jmp .spin
    INSIDE ticket
    inc dword [serving]
    OUTSIDE ticket

; Mellor-Crummey and Scott 1991: a queue, in which each waits for a word of its own. A place: at 0 who comes next, at LINE whether to wait.
mcs:
    mov dword [ebx], 0
    mov eax, ebx
    xchg eax, [tail]
    test eax, eax
    jz mcs_inside
    mov dword [ebx + LINE], 1
    mov [eax], ebx
.spin:
    cmp dword [ebx + LINE], 0
    je mcs_inside
    pause
    jmp .spin
    INSIDE mcs
mcs_release:
    cmp dword [ebx], 0
    jne .pass
    mov eax, ebx
    xor edx, edx
    lock cmpxchg [tail], edx             ; nobody comes next: the lock is free
    jz mcs_again
.wait:                                   ; somebody is about to say who it is
    pause
    cmp dword [ebx], 0
    je .wait
.pass:
    mov edx, [ebx]
    mov dword [edx + LINE], 0
mcs_again:
    OUTSIDE mcs

; Messages from processor 0 to the last one and back, `total` times. A message is the time at which it was sent: the receiver, which waits for a word to change,
; sees in the same load that it came and when it was sent. Of each processor, a line that it alone writes.
message:
    mov edi, [cpus]
    dec edi
    mov ecx, [total]
    test ebp, ebp
    jz .first
    cmp ebp, edi
    je .answer
    ret
.first:
    xor ebx, ebx                         ; the answer that is known
.send:
    rdtsc
    mov esi, eax
    mov [request], eax
.wait:
    mov edx, [reply]
    cmp edx, ebx
    je .wait
    mov ebx, edx
    rdtsc
    sub eax, esi
    add [cycles], eax
    dec ecx
    jnz .send
    ret
.answer:
    xor ebx, ebx
.listen:
    mov esi, [request]
    cmp esi, ebx
    je .listen
    mov ebx, esi
    rdtsc
    mov [reply], eax
    sub eax, esi
    add [oneway], eax
    dec ecx
    jnz .listen
    ret

; The same by interrupts: both sleep in HLT, and a handler takes the time.
ipi:
    mov edi, [cpus]
    dec edi
    mov ecx, [total]
    test ebp, ebp
    jz .send
    cmp ebp, edi
    je .answer
    ret
.send:
    mov eax, edi
    shl eax, 24
    mov [LAPIC + 0x310], eax
    rdtsc
    mov [request], eax
    mov esi, eax
    mov dword [ICR], 0x4000 + IPI
    sti                                  ; takes effect behind the next instruction
    hlt
    cli
    sub eax, esi                         ; the handler's time
    add [cycles], eax
    dec ecx
    jnz .send
    ret
.answer:
    sti
    hlt
    cli
    mov dword [LAPIC + 0x310], 0
    mov dword [ICR], 0x4000 + IPI
    sub eax, [request]
    add [oneway], eax
    dec ecx
    jnz .answer
    ret
on_ipi:
    rdtsc
    SMP_EOI
    iret

; Lines that processor `owner` has written, and `sharer` loaded since (if it is not 0): processor 0 loads, stores to or exchanges with one after another.
; Twice, so that the code is in the caches the second time. Loads follow a chain, so that each waits for the one before.
transfer:
    xor ebx, ebx                         ; counts stages: 3 in each round
.turn:
    cmp ebp, [owner]
    je .write
    test ebp, ebp
    jz .use
    cmp ebp, [sharer]
    jne .done
    lea eax, [ebx + 1]
    call .await
    call chain_load
    jmp .second
.write:
    mov eax, ebx
    call .await
    mov edi, CHAIN
    mov ecx, LINES
.next:
    lea eax, [edi + LINE]
    mov [edi], eax
    mov edi, eax
    dec ecx
    jnz .next
    cmp dword [sharer], 0
    je .second
    lea eax, [ebx + 1]
    jmp .tell
.second:
    lea eax, [ebx + 2]
    jmp .tell
.use:
    lea eax, [ebx + 2]
    call .await
    mov eax, [access]
    mov esi, [accesses + eax * 4]
    rdtsc
    mov ecx, eax
    call esi
    rdtsc
    sub eax, ecx
    mov [cycles], eax
    lea eax, [ebx + 3]
.tell:
    mov [stage], eax
    add ebx, 3
    cmp ebx, 6
    jb .turn
.done:
    ret
.await:                                  ; stage EAX
    pause
    cmp eax, [stage]
    jne .await
    ret
accesses: dd chain_load, chain_store, chain_exchange
chain_load:
    mov edi, CHAIN
%rep LINES
    mov edi, [edi]
%endrep
    ret
chain_store:
%assign n 0
%rep LINES
    mov [CHAIN + n * LINE], eax
%assign n n + 1
%endrep
    ret
chain_exchange:
%assign n 0
%rep LINES
    xchg eax, [CHAIN + n * LINE]
%assign n n + 1
%endrep
    ret

    SMP_TABLES

; --- what the processors share, each in lines of its own
section shared nobits vstart=0x20000
%macro OWN 1-2 1                         ; name, lines
%1: resb %2 * LINE
%endmacro
OWN SMP_ONLINE
OWN begin                                ; 1: they may begin
OWN finished                             ; processors that are done
OWN stage
OWN word_                                ; TAS, TTAS
OWN next                                 ; ticket
OWN serving
OWN tail                                 ; MCS
OWN counter
OWN request
OWN reply
OWN nodes, 8 * NODE                      ; of each processor: two lines of the MCS lock, one to count how often it had the lock
