# start.S: the nanobenchmark kernel, its part in assembly: start-up, the ways into the kernel, the loops that are measured, the programs at ring 3.
#
# A 32-bit kernel for the bare machine: Multiboot, 4 KiB pages without PAE, rings 0 and 3, SYSENTER. It knows nothing of the VMMs that it may run under.
#include "multiboot.s"
    MULTIBOOT
    FLAT_KERNEL
    call set_up                     # IDT, page tables; returns the page directory
    PAGING_ON
    movl $0x174, %ecx               # SYSENTER: CS, ESP, EIP
    movl $0x08, %eax
    xorl %edx, %edx
    wrmsr
    incl %ecx
    movl $stack_top, %eax
    wrmsr
    incl %ecx
    movl $sysenter_entry, %eax
    wrmsr
    call kernel_main
    .globl finish
finish:
    movl $0, %eax
    outb %al, $0xf4
1:  hlt
    jmp 1b

# --- ways into the kernel
# SYSENTER of a program: EAX 0 does nothing, 1 ends the program (EBX is its result); EDX and ECX: where it goes on, its stack.
sysenter_entry:
    testl %eax, %eax
    jnz 1f
    sysexit
1:  movl kernel_esp, %esp
    movl %ebx, %eax
    popl %ebp
    popl %edi
    popl %esi
    popl %ebx
    ret
# run_user(eip, esp, argument in EDI): run a program at ring 3; returns its result.
    .globl run_user
run_user:
    pushl %ebx
    pushl %esi
    pushl %edi
    pushl %ebp
    movl 20(%esp), %eax
    movl 24(%esp), %edx
    movl 28(%esp), %edi
    movl %esp, kernel_esp
    movl %esp, tss + 4              # exceptions of the program use the stack below
    pushl $0x23
    pushl %edx
    pushl $0x202
    pushl $0x1b
    pushl %eax
    iret
    .globl divide_error, page_fault_entry
divide_error:                       # behind the instruction, which is 2 bytes long
    addl $2, (%esp)
    iret
page_fault_entry:                   # the nanobenchmark's page is skipped; others are the kernel's business
    pushl %eax
    movl %cr2, %eax
    cmpl $0x50000000, %eax
    jne 1f
    popl %eax
    addl $4, %esp
    addl $2, (%esp)
    iret
1:  pushl %ecx
    pushl %edx
    pushl %eax
    call page_fault
    addl $4, %esp
    popl %edx
    popl %ecx
    popl %eax
    addl $4, %esp
    iret

# --- loops of the kernel: time of N rounds of 16 operations. Time is RDTSC's.
    .macro MEASURE name
    .globl \name
\name:
    pushl %ebx
    pushl %esi
    movl 12(%esp), %esi
    movl 16(%esp), %ecx
    rdtsc
    movl %eax, %ebx
    .align 16
1:
    .endm
    .macro MEASURED
    decl %esi
    jnz 1b
    rdtsc
    subl %ebx, %eax
    popl %esi
    popl %ebx
    ret
    .endm
MEASURE loop_nothing
    MEASURED
MEASURE loop_in
    .rept 16
    inb $0x80, %al
    .endr
    MEASURED
MEASURE loop_callret
    .rept 16
    call 2f
    .endr
    MEASURED
    .align 16
2:  ret
MEASURE loop_ptemod                 # the argument is where the entry is
    movl $0x200027, %eax
    .rept 16
    movl %eax, (%ecx)
    .endr
    MEASURED

# straight(): time of 32 instructions in a row
    .globl straight
straight:
    pushl %ebx
    rdtsc
    movl %eax, %ebx
    .rept 32
    leal 1(%eax), %ecx
    .endr
    rdtsc
    subl %ebx, %eax
    popl %ebx
    ret

# --- programs at ring 3: one page, mapped at 40000000H. EDI: how many rounds. Each ends by SYSENTER with EAX = 1 and its time in EBX.
    .section .user, "ax"
    .align 4096
    .globl user_page, user_syscall, user_divzero, user_pgfault, user_touch
user_page:
user_syscall:
    call begin
1:  leal 2f - 1b(%ebp), %edx
    movl %esp, %ecx
    xorl %eax, %eax
    sysenter
2:  decl %edi
    jnz 1b
    jmp end
user_divzero:
    call begin
1:  movl $1, %eax
    xorl %edx, %edx
    divl %esi
    decl %edi
    jnz 1b
    jmp end
user_pgfault:
    call begin
    movl $0x50000000, %ecx
1:  movl (%ecx), %eax               # 2 bytes
    decl %edi
    jnz 1b
    jmp end
user_touch:                         # write to EDI pages of its memory
    call begin
    movl $0x40100000, %ecx
1:  incl (%ecx)
    addl $0x1000, %ecx
    decl %edi
    jnz 1b
    jmp end
begin:                              # EBP: address behind the call; EBX: the time; ESI: 0
    movl (%esp), %ebp
    rdtsc
    movl %eax, %ebx
    xorl %esi, %esi
    ret
end:
    rdtsc
    subl %eax, %ebx
    negl %ebx
    movl $1, %eax
    sysenter
    .align 4096

    .section .data
    .align 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        # 08 kernel code
    .quad 0x00cf93000000ffff        # 10 kernel data
    .quad 0x00cffb000000ffff        # 18 user code     (SYSEXIT: SYSENTER_CS + 16)
    .quad 0x00cff3000000ffff        # 20 user data     (+ 24)
    .quad 0x0000890000000067        # 28 TSS
gdtr: .word gdtr - gdt - 1
    .long gdt
idtr: .word 8 * 32 - 1
    .long idt
    .globl tss
    .align 4
tss: .long 0, stack_top, 0x10
    .skip 0x58
    .word 0, 0x68
kernel_esp: .long 0
    .section .bss
    .align 16
    .skip 16384
    .globl stack_top
stack_top:
