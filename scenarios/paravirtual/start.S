# start.S: the kernel's part in assembly. Without XEN it starts as Multiboot has it and sets up the processor; with XEN it starts at ring 1, with paging on.
#include "multiboot.s"
    MULTIBOOT
#ifdef XEN
    movl $stack_top, %esp           # ESI: machine address of linear address 0; EDI: where the first page directory is
    movl %esi, machine_base
    movl %edi, first_directory
    call set_up
#else
    FLAT_KERNEL
    movl $0x10, tss + 8
    movl $0x680000, tss + 100
    call set_up
    PAGING_ON
#endif
    call kernel_main
1:  jmp 1b

# System calls of programs, INT 80H: EAX 0 does nothing, 1 ends the program (EBX is its result), 2 gives the processor to the other process.
    .globl system_call, page_fault_entry, run_user
system_call:
    cmpl $1, %eax
    jb 1f
    je 2f
    pushal                          # yield: this process goes on from here when it is its turn again
    pushl %esp
    call other_process              # EAX: where the other one stopped
    movl %eax, %esp
    popal
1:  iret
2:  movl kernel_esp, %esp
    movl %ebx, %eax
    popl %ebp
    popl %edi
    popl %esi
    popl %ebx
    ret
# run_user(eip, esp, argument in EDI, another in ESI): run a program at ring 3; returns its result.
run_user:
    pushl %ebx
    pushl %esi
    pushl %edi
    pushl %ebp
    movl 20(%esp), %eax
    movl 24(%esp), %edx
    movl 28(%esp), %edi
    movl 32(%esp), %esi
    movl %esp, kernel_esp
    pushl $0x23
    pushl %edx
    pushl $0x202
    pushl $0x1b
    pushl %eax
    iret                            # from ring 1 to ring 3 as well as from ring 0
page_fault_entry:                   # with XEN the hypervisor has put CR2 above the error code, since ring 1 cannot read it
    pushl %eax
    pushl %ecx
    pushl %edx
#ifdef XEN
    movl 12(%esp), %eax
#else
    movl %cr2, %eax
#endif
    pushl %eax
    call page_fault
    addl $4, %esp
    popl %edx
    popl %ecx
    popl %eax
#ifdef XEN
    addl $8, %esp
#else
    addl $4, %esp
#endif
    iret

# --- programs at ring 3: one page, mapped at 40000000H
    .section .user, "ax"
    .align 4096
    .globl user_page, user_null, user_touch, user_yield
user_page:
user_null:                          # EDI null calls
    call begin
1:  xorl %eax, %eax
    int $0x80
    decl %edi
    jnz 1b
    jmp end
user_touch:                         # write to EDI pages
    call begin
    call touch
    jmp end
user_yield:                         # EDI times: write to ESI pages, give the processor away
    call begin
1:  pushl %edi
    movl %esi, %edi
    call touch
    popl %edi
    movl $2, %eax
    int $0x80
    decl %edi
    jnz 1b
end:
    rdtsc
    subl %eax, %ebx
    negl %ebx
    movl $1, %eax
    int $0x80
begin:                              # EBX: the time
    rdtsc
    movl %eax, %ebx
    ret
touch:
    movl $0x40100000, %ecx
1:  decl %edi
    js 2f
    incl (%ecx)
    addl $0x1000, %ecx
    jmp 1b
2:  ret
    .align 4096

    .section .data
#ifndef XEN
    .align 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        # 08 kernel code
    .quad 0x00cf93000000ffff        # 10 kernel data
    .quad 0x00cffb000000ffff        # 18 user code
    .quad 0x00cff3000000ffff        # 20 user data
    .quad 0x0000890000000067        # 28 TSS
gdtr: .word gdtr - gdt - 1
    .long gdt
idtr: .word 8 * 129 - 1
    .long idt
#endif
kernel_esp: .long 0
    .globl machine_base
machine_base: .long 0
#ifdef XEN
    .globl first_directory
first_directory: .long 0
#endif
    .section .bss
    .align 16
    .skip 16384
    .globl stack_top
stack_top:
