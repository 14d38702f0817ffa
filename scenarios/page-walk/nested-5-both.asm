; nested-5-both.asm: under a hypervisor; 5-level paging of the guest, 5-level EPT.

%define LEVELS_5
%define EPT_5
%include "hypervisor.inc"
