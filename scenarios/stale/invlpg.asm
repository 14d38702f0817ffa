; invlpg.asm: a kernel moves a page and forgets INVLPG.

%include "layout.inc"

%macro BEFORE 0
%endmacro
%macro CHANGE 0
write:
    mov dword [PT], PAGE_B + 3
    cmp byte [PARAM], 0
    je changed
    invlpg [rbx]
%endmacro
%macro AFTER 0
%endmacro

org 0x10000
start:
    TABLES
    mov eax, PML4
    mov cr3, rax
    GUEST
