; The kernel of kernel.inc where it was written for: ring 0.
%define RING 0
%include "boot.inc"
