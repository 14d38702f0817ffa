# boot.S: from a Multiboot loader to C above FC000000H; the world switch of VT-x; the ways between translated code and the VMM.
#include "multiboot.s"
#include "window.s"
    WINDOW_START
    movl $0x88, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $stack_top, %esp
    movl $16, %ecx
1:  movl $0, host_directory - 4(, %ecx, 4)
    loop 1b
    movl %cr3, %eax
    movl %eax, %cr3
    pushl %ebx
    call vmm_main

# --- VT-x: the processor arrives here at every VM exit. HOST_RSP points behind vcpu.regs, so that pushing saves the guest's registers there.
    .globl vtx_exit, vtx_enter
vtx_exit:
    pushl %edi
    pushl %esi
    pushl %ebp
    pushl %esp                      # its place only: the guest's is in the VMCS
    pushl %ebx
    pushl %edx
    pushl %ecx
    pushl %eax
    movl $stack_top, %esp
    call vtx_handle
vtx_enter:
    cmpl $0, vtx_launched
    movl $1, vtx_launched
    movl $vcpu, %esp
    popl %eax                       # POP and LEA leave the flags alone
    popl %ecx
    popl %edx
    popl %ebx
    leal 4(%esp), %esp
    popl %ebp
    popl %esi
    popl %edi
    jz 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  movl $stack_top, %esp           # still here: the entry failed
    call vtx_failed


# --- binary translation. Translated code runs at ring 1 with the guest's DS, ES and SS, whose limit keeps it below the VMM; FS reaches everything, GS is
# struct vcpu. A callout goes to C code of the VMM at ring 1; exceptions go to C code at ring 0.
#define EIP     0x20
#define EFLAGS  0x24
#define VIF     0x28
#define NEXT    0x2c
#define SAVE    0x30
#define USER    0x50
#define SYSENTER_TC 0x54
#define SYSENTER    0x58
#define PATCH   0x64
#define ES_SEL  0x68
#define CS_SEL  0x6c
#define SS_SEL  0x70
#define DS_SEL  0x74
#define OFFSET  0x94
#define STORES  0x100
#define RETURNS 0x200

    .globl bt_callout_entry, bt_start, bt_return, bt_store, bt_traps, bt_sysenter, trap_stack_top, callout_stack_top
# Translated code wants the VMM: vcpu.eip says where the guest is, vcpu.patch why.
bt_callout_entry:
    movl %eax, %gs:0
    movl %ecx, %gs:4
    movl %edx, %gs:8
    movl %ebx, %gs:12
    movl %esp, %gs:16
    movl %ebp, %gs:20
    movl %esi, %gs:24
    movl %edi, %gs:28
    movw %es, %gs:ES_SEL
    movw %ds, %gs:DS_SEL
    movl $0xa1, %eax
    movl %eax, %ss
    movl $callout_stack_top, %esp
    pushfl
    popl %gs:EFLAGS
    movl %eax, %ds
    movl %eax, %es
    cld
    call bt_callout
# And back, to vcpu.next or to the guest's program at ring 3.
bt_start:
    movl vcpu + 4, %ecx
    movl vcpu + 8, %edx
    movl vcpu + 12, %ebx
    movl vcpu + 20, %ebp
    movl vcpu + 24, %esi
    movl vcpu + 28, %edi
    cmpl $0, vcpu + USER
    jne 1f
    pushl vcpu + EFLAGS
    popfl
    movl vcpu + SS_SEL, %eax
    leal 1(%eax), %eax              # ring 1 where the guest has ring 0; LEA leaves the flags alone
    movl %eax, %ss
    movl %gs:16, %esp
    movl %gs:ES_SEL, %eax
    movl %eax, %es
    movl %gs:DS_SEL, %eax
    movl %eax, %ds
    movl %gs:0, %eax
    jmp *%gs:NEXT
1:  pushl vcpu + SS_SEL
    pushl vcpu + 16
    pushl vcpu + EFLAGS
    pushl vcpu + CS_SEL
    pushl vcpu + EIP
    movl vcpu + ES_SEL, %eax
    movl %eax, %es
    movl vcpu + DS_SEL, %eax
    movl %eax, %ds
    movl %gs:0, %eax
    iret                            # FS and GS become null on the way

# RET of the guest. The low byte of the return address chooses an entry of vcpu.returns. Flags are left alone throughout.
bt_return:
    movl %ecx, %gs:SAVE + 4
    popl %ecx
    movl %eax, %gs:SAVE
    movzbl %cl, %eax
    movl %ecx, %gs:EIP
    leal (, %eax, 8), %eax
    movl %gs:RETURNS + 4(%eax), %eax
    movl %eax, %gs:NEXT
    movzbl %cl, %eax
    movl %gs:RETURNS(, %eax, 8), %eax
    leal (%eax, %ecx), %ecx
    jecxz 1f
    movl $1, %gs:PATCH              # not there: the VMM finds the translation, and puts it there
    movl %gs:SAVE, %eax
    movl %gs:SAVE + 4, %ecx
    jmp bt_callout_entry
1:  movl %gs:SAVE, %eax
    movl %gs:SAVE + 4, %ecx
    jmp *%gs:NEXT

# A store that is known to go to page tables: ECX is its address, SAVE + 8 its value; EAX and ECX themselves are in SAVE and SAVE + 4, the way on in NEXT.
bt_store:
    lahf
    seto %al
    movl %eax, %gs:SAVE + 12
    movl %ecx, %eax
    shrl $8, %eax
    andl $0xf0, %eax
    addl %gs:STORES(%eax), %ecx
    cmpl $0xfff, %ecx
    ja 1f
    movl %ecx, %gs:OFFSET
    addl %gs:STORES + 8(%eax), %ecx
    cmpl $0, %fs:(%ecx)             # an entry of the shadow is made from this one: that takes more
    jne 2f
    movl %gs:STORES + 4(%eax), %eax
    addl %gs:OFFSET, %eax
    movl %gs:SAVE + 8, %ecx
    movl %ecx, %fs:(%eax)
    incl %fs:stat + 12
    movl %gs:SAVE + 12, %eax
    addb $0x7f, %al
    sahf
    movl %gs:SAVE, %eax
    movl %gs:SAVE + 4, %ecx
    jmp *%gs:NEXT
1:
2:  movl $2, %gs:PATCH
    movl %gs:SAVE + 12, %eax
    addb $0x7f, %al
    sahf
    movl %gs:SAVE, %eax
    movl %gs:SAVE + 4, %ecx
    jmp bt_callout_entry

# SYSENTER of the guest's program: the processor is at ring 0, on the VMM's stack, with the program's DS. On to the translation of the kernel's entry.
bt_sysenter:
    pushl %eax
    movl $0xa1, %eax
    movl %eax, %fs
    movl $0xa9, %eax
    movl %eax, %gs
    movl $0, %gs:VIF
    movl %gs:SYSENTER, %eax
    movl %eax, %gs:CS_SEL
    leal 8(%eax), %eax
    movl %eax, %gs:SS_SEL
    leal 1(%eax), %eax
    xchgl %eax, (%esp)              # SS
    pushl %gs:SYSENTER + 4          # ESP
    pushfl
    pushl $0x99
    pushl %gs:SYSENTER_TC
    iret

# Exceptions, and INT 31H: the VMM at ring 1 asks for what only ring 0 can do.
    .align 16
bt_traps:
    TRAP_STUBS 64, trap
trap:
    TRAP_ENTER
    call bt_trap
    TRAP_LEAVE

    .section .data
    .align 8
    .globl gdt
gdt:                                # 00 to 7F: the guest's descriptors, made harmless (bt.c)
    .skip 0x80
    .quad 0x00cf9b000000ffff        # 80 VMM code
    .quad 0x00cf93000000ffff        # 88 VMM data
    .quad 0x0000890000000067        # 90 TSS
    .quad 0x00cfbb000000ffff        # 98 code at ring 1
    .quad 0x00cfb3000000ffff        # a0 data at ring 1, no limit: the VMM's part of ring 1 only
    .quad 0x0040b30000000fff        # a8 data at ring 1: struct vcpu
gdt_end:
gdtr: .word gdt_end - gdt - 1
    .long gdt
    .section .bss
    .align 16
    .skip 16384
    .globl stack_top
stack_top:
    .skip 8192
callout_stack_top:
    .skip 8192
trap_stack_top:
