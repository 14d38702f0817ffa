; native.asm: the kernel on the bare machine, at ring 0. Started in flat 32-bit protected mode.
%include "layout.inc"
bits 32
org MONITOR
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
    jmp KERNEL
kernel_image:
%include "embed.inc"
