; The same kernel in the 0/1/3 model: a monitor owns ring 0, the kernel runs at ring 1, its application at ring 3.
%define RING 1
%include "boot.inc"
