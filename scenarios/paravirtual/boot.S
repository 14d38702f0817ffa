# boot.S: from a Multiboot loader to C above FC000000H; the ways in from rings 1 and 3.
#include "multiboot.s"
#include "window.s"
    WINDOW_START
    movl $0x88, %eax
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
    TRAP_STUBS 32, 1f
1:  TRAP_ENTER
    call trap
    TRAP_LEAVE
hypercall_entry:
    pushl $0
    pushl $0x82
    TRAP_ENTER
    call hypercall_from
    TRAP_LEAVE

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
