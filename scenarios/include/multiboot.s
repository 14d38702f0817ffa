// multiboot.s: for assembly: how a flat image tells a Multiboot loader what it is, and the segments of a flat 32-bit kernel.
//
//   MULTIBOOT [OFFSET]  the header, and `start`, where the loader begins: 32-bit protected mode, flat segments, no paging, EBX: what the loader says of the machine.
//                       OFFSET: linear minus physical address of an image that is linked to run elsewhere. The linker script gives _load, _load_end, _bss_end.
//   FLAT_KERNEL         the first thing that a 32-bit kernel does: a stack at stack_top, its own GDT at gdtr (08 code, 10 data, 1B and 23 of programs, 28 a TSS), whose TSS
//                       descriptor gets the address of `tss`. DS and ES hold 23H: as Linux does, so that no entry from a program loads them
//   PAGING_ON           the page directory is in EAX; write protection holds for the kernel, too. Loads TR, and IDTR from idtr
    .macro MULTIBOOT offset=0
    .section .boot, "ax"
    .code32
    .align 4
header:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long header - \offset, _load - \offset, _load_end - \offset, _bss_end - \offset, start - \offset
    .globl start
start:
    .endm

    .macro FLAT_KERNEL
    cli
    movl $stack_top, %esp
    lgdt gdtr
    ljmp $0x08, $1f
1:  movl $0x10, %eax
    movl %eax, %ss
    movl $0x23, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $tss, %eax
    movw %ax, gdt + 0x2a
    shrl $16, %eax
    movb %al, gdt + 0x2c
    .endm

    .macro PAGING_ON
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80010020, %eax           # PG, WP, NE
    movl %eax, %cr0
    movl $0x28, %eax
    ltr %ax
    lidt idtr
    .endm
