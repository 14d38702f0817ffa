; native.asm: no hypervisor. A 64-bit program builds its own paging structures and reads through them. Started in 64-bit mode.

%include "layout.inc"

bits 64
org GUEST_CODE
default abs

%macro FLUSH 0
    mov rax, cr3                ; reloading CR3 drops all that is not global, paging-structure caches too
    mov cr3, rax
%endmacro

start:
    cli
    mov rsp, GUEST_STACK
    xor edi, edi                ; guest-physical 0 is address 0 here
    call build_tables
    mov eax, PML4
    mov cr3, rax
%include "guest.inc"
%include "tables.inc"
