// window.s: for assembly: how a 32-bit VMM in the last 64 MiB of every address space (window-vmm.h) starts, and how exceptions reach its C code.
//
//   WINDOW_START         from a Multiboot loader to C above FC000000H: Multiboot header; 64 MiB by pages of 4 MiB, in the window and, for a few instructions, at 0; the GDT at
//                        gdtr. What follows runs there, with CS 80H; no other segment is loaded yet. EBX is still the loader's
//   TRAP_STUBS n, to     n stubs, 16 bytes apart, for vectors from 0: each pushes an error code where the processor has pushed none, and its vector, and jumps to `to`
//   TRAP_ENTER           saves the registers, loads the VMM's data segments, pushes the address of all that: the argument of a C function
//   TRAP_LEAVE           and back to where the exception came from
#define WINDOW 0xfc000000
    .macro WINDOW_START
    MULTIBOOT WINDOW
    cli
    movl $0x83, %eax
    movl $host_directory - WINDOW, %edi
    movl $16, %ecx
1:  movl %eax, (%edi)
    movl %eax, 1008 * 4(%edi)
    addl $0x400000, %eax
    addl $4, %edi
    loop 1b
    movl $host_directory - WINDOW, %eax
    movl %eax, %cr3
    movl $0x10, %eax                # PSE
    movl %eax, %cr4
    movl $0x80010031, %eax          # PG, WP, NE, ET, PE
    movl %eax, %cr0
    lgdt gdtr - WINDOW
    ljmp $0x80, $1f
    .text
1:
    .endm

    .macro TRAP_STUBS count, to
    .set n, 0
    .rept \count
    .align 16
    .if (n != 8) && (n != 10) && (n != 11) && (n != 12) && (n != 13) && (n != 14) && (n != 17)
    pushl $0
    .endif
    pushl $n
    jmp \to
    .set n, n + 1
    .endr
    .endm

    .macro TRAP_ENTER
    pushal
    pushl %ds
    pushl %es
    pushl %fs
    pushl %gs
    movl $0x88, %eax
    movl %eax, %ds
    movl %eax, %es
    cld
    pushl %esp
    .endm
    .macro TRAP_LEAVE
    popl %eax
    popl %gs
    popl %fs
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iret
    .endm
