; nested-2m-guest.asm: under a hypervisor; the guest uses 2 MiB pages, the EPT 4 KiB pages.

%define GUEST_2M
%include "hypervisor.inc"
