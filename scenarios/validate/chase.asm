; chase.asm: loads that each need the value of the one before: a chain of pointers through RSI bytes (a power of two, 4 KiB or more), one to a line, in
; random order within a page, page by page in random order, so that TLB misses are few. RDI (a multiple of 32) loads warm the caches, as many are timed:
; their cycles are in RAX at the label done. The scenario sets RSI and RDI. Started in 64-bit mode.

bits 64
default abs

%define CHAIN 0x1000000

org 0x10000
start:
    mov r8, rsi
    shr r8, 12
    dec r8                      ; mask of page numbers
    mov r9, rsi
    shr r9, 6                   ; lines
    mov ebx, CHAIN
    xor eax, eax                ; page
    xor ecx, ecx                ; line in it
link:                           ; both sequences are congruential with full period: after the last line comes the first
    lea ecx, [rcx + rcx * 4 + 3]
    and ecx, 63
    jnz .page
    imul rax, rax, 1664525
    add rax, 1013904223
    and rax, r8
.page:
    mov rdx, rax
    shl rdx, 6
    or rdx, rcx
    shl rdx, 6
    add rdx, CHAIN
    mov [rbx], rdx
    mov rbx, rdx
    dec r9
    jnz link
built:
    call round
    rdtsc
    mov r10d, eax
    call round
    rdtsc
    sub eax, r10d
done:
    hlt

round:
    mov rcx, rdi
.next:
%rep 32
    mov rbx, [rbx]
%endrep
    sub rcx, 32
    jnz .next
    ret
