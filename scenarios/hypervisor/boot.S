# boot.S: from a Multiboot loader to 64-bit C; the world switch; the interrupt stubs.
#
# The image holds no initialised data that is ever written: what lies between _load and _load_end stays as the loader put it. So the hypervisor can
# give a fresh copy of itself to its guest (hv.c, load_guest).
#include "multiboot.s"
    MULTIBOOT
    cli
    movl $stack_top, %esp
    movl %ebx, boot_info
    movl $pdpt + 3, pml4            # identity mapping of 4 GiB by 2 MiB pages
    movl $pd + 3, %eax
    movl $pdpt, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 1b
    movl $0x83, %eax
    movl $pd, %edi
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0x20, %eax                # PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    movl $0x100, %eax               # EFER.LME
    xorl %edx, %edx
    wrmsr
    movl $0x80000033, %eax          # PG, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt gdtr
    ljmp $8, $1f
    .code64
1:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl boot_info, %edi
    call hv_main                    # returns with VMCS 01 complete
    movl $1, %eax
    jmp vm_enter

# The processor arrives here at every VM exit, with the host state of the VMCS. HOST_RSP points behind `regs`, so that pushing saves the guest's
# registers into it; the guest's RSP, RIP and RFLAGS are in the VMCS already.
    .globl vm_exit
vm_exit:
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rbp
    pushq %rsp                      # its place only
    pushq %rbx
    pushq %rdx
    pushq %rcx
    pushq %rax
    movl $stack_top, %esp
    call handle_exit
# EAX: 1 for the first entry with the current VMCS (VMLAUNCH), 0 for another (VMRESUME).
vm_enter:
    testl %eax, %eax
    movl $regs, %esp
    popq %rax                       # POP and LEA leave the flags alone
    popq %rcx
    popq %rdx
    popq %rbx
    leaq 8(%rsp), %rsp
    popq %rbp
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    popq %r12
    popq %r13
    popq %r14
    popq %r15
    jnz 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  pushq %r15                      # still here: the entry failed before the guest state was loaded; regs holds what it held
    movl $stack_top, %esp
    call entry_failed
    jmp vm_enter

# Interrupts reach root operation only while the hypervisor waits for them (hv.c, wait_for_interrupt). Each stub notes its vector.
    .globl stubs
    .align 16
stubs:
    .set n, 0
    .rept 256
    .align 16
    .if n < 32
    movl $n, %edi
    movq %rsp, %rsi
    call host_fault
    .else
    movl $n, host_vector
    iretq
    .endif
    .set n, n + 1
    .endr

    .align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 08 code
    .quad 0x00cf93000000ffff        # 10 data
    .quad 0x00008b0000000067, 0     # 18 TSS: VM exit loads TR from the VMCS; nothing reads this
gdtr: .word gdtr - gdt - 1
    .long gdt, 0
    .globl gdt
    .globl payload, payload_end     # the kernel to run unless a Multiboot module is given
    .align 4096
payload:
    .incbin "build/guests/hypervisor/kernel.bin"
payload_end:

    .section .bss
    .align 4096
    .globl pml4, boot_info
pml4: .skip 4096
pdpt: .skip 4096
pd:   .skip 16384
boot_info: .skip 16
    .align 16
    .skip 16384
stack_top:
