; nested-2m-both.asm: under a hypervisor; guest and EPT use 2 MiB pages.

%define GUEST_2M
%define EPT_2M
%include "hypervisor.inc"
