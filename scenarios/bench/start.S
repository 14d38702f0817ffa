# start.S: from a Multiboot loader to 64-bit C, for the benchmark programs. They run unchanged on Ringside, Bochs (GRUB) and QEMU.
#
# Identity mapping of the first GiB by 2 MiB pages; GDT with kernel and user segments; IDT for the program to fill; at the end the machine is told to
# stop in every way that one of the three knows: port F4H (Ringside, QEMU's isa-debug-exit), the word Shutdown to port 8900H (Bochs).

#include "multiboot.s"
    MULTIBOOT
    cli
    movl $stack_top, %esp
    movl $needs, %eax               # a program that needs more memory than most machines have says so (needs.h)
    testl %eax, %eax
    jz 1f
    movl (%eax), %edx
    cmpl %edx, 8(%ebx)              # KiB above 1 MiB
    jb too_little
1:
    # page tables
    movl $pdpt + 7, pml4
    movl $pd + 7, pdpt
    movl $0x87, %eax
    movl $pd, %edi
    movl $512, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x101, %eax                # LME, SCE
    wrmsr
    movl %cr0, %eax
    orl $0x80000021, %eax
    movl %eax, %cr0
    lgdt gdtr
    ljmp $8, $1f
    .code64
1:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $stack_top, %esp
    lidt idtr
    call bench
    .globl finish
finish:
    movl $0, %eax
end_of_run:                         # EAX: the status
    outb %al, $0xf4
    movw $0x8900, %dx
    movl $word, %esi
    movl $8, %ecx
    rep outsb
1:  hlt
    jmp 1b
word: .ascii "Shutdown"
    .code32
too_little:
    leal 4(%eax), %esi
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, $0xe9
    jmp 1b
2:  movl $1, %eax
    jmp end_of_run                  # which means the same in 32-bit code
    .weak needs
    .code64

    .align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 08 kernel code
    .quad 0x00cf93000000ffff        # 10 kernel data
    .quad 0                         # 18
    .quad 0x00cff3000000ffff        # 20 user data   (SYSRET: STAR[63:48] + 8)
    .quad 0x00affb000000ffff        # 28 user code   (SYSRET: STAR[63:48] + 16)
gdtr: .word gdtr - gdt - 1
    .long gdt, 0
idtr: .word 16 * 32 - 1
    .quad idt

# user_calls(n): n times SYSCALL from ring 3 and SYSRET back, then the end of the program.
    .globl user_calls
user_calls:
    leaq 1f(%rip), %rcx
    movl $2, %r11d
    sysretq
1:  decl %edi
    syscall
    jmp 1b
    .globl syscall_entry
syscall_entry:
    testl %edi, %edi
    jz finish
    sysretq

    .section .bss
    .align 4096
    .globl pml4, pdpt, pd, idt
pml4: .skip 4096
pdpt: .skip 4096
pd:   .skip 4096
idt:  .skip 512
    .align 16
    .skip 32768
stack_top:
