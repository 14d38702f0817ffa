; nested-5.asm: under a hypervisor; 5-level paging of the guest, 4-level EPT.

%define LEVELS_5
%include "hypervisor.inc"
