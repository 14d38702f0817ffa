# boot.S: from a Multiboot loader to C above FC000000H; the ways in from rings 1 and 3.
#define WINDOW 0xfc000000
    .section .boot, "ax"
    .code32
    .align 4
header:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long header - WINDOW, _load - WINDOW, _load_end - WINDOW, _bss_end - WINDOW, start - WINDOW
    .globl start
start:
    cli
    movl $0x83, %eax                # 64 MiB by pages of 4 MiB, in the window and, for these few instructions, at 0
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
1:  movl $0x88, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $trap_stack_top, %esp
    pushl %ebx
    call vmm_main

# Exceptions, and hypercalls by INT 82H.
    .globl traps, hypercall_entry
    .align 16
traps:
    .set n, 0
    .rept 32
    .align 16
    .if (n != 8) && (n != 10) && (n != 11) && (n != 12) && (n != 13) && (n != 14) && (n != 17)
    pushl $0
    .endif
    pushl $n
    jmp 1f
    .set n, n + 1
    .endr
    .macro ENTER
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
    .macro LEAVE
    popl %eax
    popl %gs
    popl %fs
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iret
    .endm
1:  ENTER
    call trap
    LEAVE
hypercall_entry:
    pushl $0
    pushl $0x82
    ENTER
    call hypercall_from
    LEAVE

    .section .data
    .align 8
    .globl gdt, tss
gdt:
    .quad 0
    .quad 0x00cfbb000000bfff        # 08 the guest's kernel: ring 1, to FBFFFFFF
    .quad 0x00cfb3000000bfff        # 10
    .quad 0x00cffb000000bfff        # 18 its programs: ring 3
    .quad 0x00cff3000000bfff        # 20
    .skip 0x80 - 0x28
    .quad 0x00cf9b000000ffff        # 80 hypervisor
    .quad 0x00cf93000000ffff        # 88
    .quad 0x0000890000000067        # 90 TSS
gdt_end:
gdtr: .word gdt_end - gdt - 1
    .long gdt
    .section .bss
    .align 16
tss: .skip 104
    .skip 8192
    .globl trap_stack_top
    .align 16
trap_stack_top:
