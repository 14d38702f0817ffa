; invvpid.asm: a hypervisor without EPT moves a page in the tables that its guest runs on (VPID 1), and executes INVVPID for VPID 2.

%macro BEFORE 0
%endmacro
%macro CHANGE 0
    mov eax, 1
    vmcall
%endmacro
%macro AFTER 0
%endmacro

%include "host.inc"
    HOST
