// isa/manual.h: the processor manual's sections by key (isa/sdm.def), so that code and tables cite titles and never drifting numbers.
#ifndef ISA_MANUAL_H
#define ISA_MANUAL_H

struct isa_manual_section {
    const char *key, *volume, *number, *title;
};                                                            // number: "" where not checked against the pinned edition
const struct isa_manual_section *isa_manual(const char *key); // NULL: no such key
const struct isa_manual_section *isa_manual_n(unsigned n);    // NULL at the end

#endif
