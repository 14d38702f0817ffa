; nested.asm: under a hypervisor; guest and EPT use 4 KiB pages.

%include "hypervisor.inc"
