; invept.asm: a hypervisor gives its guest two views, two EPT roots over the same lower tables. It moves a page in these while the second view is
; in use, and executes INVEPT for that one only.

%define WITH_EPT
%macro BEFORE 0
    mov eax, 2                  ; the second view
    vmcall
    mov al, [rbx]
%endmacro
%macro CHANGE 0
    mov eax, 1
    vmcall
%endmacro
%macro AFTER 0
    mov eax, 3                  ; the first view
    vmcall
%endmacro

%include "host.inc"
    HOST
