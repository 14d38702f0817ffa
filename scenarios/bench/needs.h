// needs.h: NEEDS(MIB) in a program of start.S that uses more memory than its image: on a smaller machine it ends at once, with a message and status 1.
#ifndef NEEDS_H
#define NEEDS_H

#define NEEDS(mib)                                                                                                                 \
    const struct {                                                                                                                 \
        unsigned kib; /* above 1 MiB, as Multiboot counts */                                                                       \
        char text[120];                                                                                                            \
    } needs = {((mib)-1) << 10, "This program needs " #mib " MiB of memory: --ram " #mib "M in Ringside, -m " #mib " in QEMU.\n"}

#endif
