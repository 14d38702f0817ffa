// sim/elf.h: reading ELF32 and ELF64 images of x86, from untrusted bytes.
// MANUAL: "System V Application Binary Interface", chapters "Object Files" and "Program Loading".
#ifndef SIM_ELF_H
#define SIM_ELF_H

#include "sim/error.h"
#include "sim/machine.h"

struct elf_segment {
    uint64_t paddr, offset, filesz, memsz;
};
#define ELF_MAX_SEGMENTS 64
struct elf_image {
    bool is64;      // ELF64; else ELF32
    bool x86_64;    // machine type
    uint64_t entry; // physical: translated through the segment that holds it
    unsigned nsegments;
    struct elf_segment segment[ELF_MAX_SEGMENTS]; // PT_LOAD with memsz > 0
};
bool elf_is(const void *bytes, uint64_t n);
// Parse and check all that loading needs. name is for messages.
int elf_parse(const char *name, const void *bytes, uint64_t n, struct elf_image *out, struct sim_error *err);
// Add the symbols of the symbol table (functions, objects, untyped labels). Malformed tables are ignored: they are for people only.
void elf_symbols(struct sim_machine *m, const void *bytes, uint64_t n);

#endif
