; nested-2m-ept.asm: under a hypervisor; the guest uses 4 KiB pages, the EPT 2 MiB pages.

%define EPT_2M
%include "hypervisor.inc"
