; native-2m.asm: no hypervisor; 2 MiB pages.

%define GUEST_2M
%include "native.asm"
