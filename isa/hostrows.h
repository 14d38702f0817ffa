// isa/hostrows.h: the rows of isa/opcodes.def for the tests against the host's processor, and which of these tests a row belongs to.
//
// Every row belongs to one of three: what the system reserves for itself or 64-bit programs do not have (tests of the system
// instructions); floating point and vectors (isa/hostdiff_fp_test.c); the rest (isa/hostdiff_test.c).
#ifndef ISA_HOSTROWS_H
#define ISA_HOSTROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "isa/decode.h"
#include "isa/tables.h"

enum ext_kind { X_NONE, X_REG, X_RM, X_NOREXB };
enum pfx { PFX_ANY, PFX_NP, PFX_NFX, PFX_P66, PFX_PF3, PFX_PF2 };
struct row {
    const char *id, *family, *operands;
    uint8_t map, opcode, prefix, ext, ext_reg, ext_rm;
    uint32_t props;
    uint16_t feature;
};
static const struct row rows[] = {
    {"", "", "", 0},
#define NOEXT    X_NONE, 0, 0
#define REG(n)   X_REG, n, 0
#define RM(n, m) X_RM, n, m
#define NOREXB   X_NOREXB, 0, 0
#define ROW(id, family, operands, map, opcode, prefix, props, feature, ...)                                                        \
    {#id, #family, operands, map, opcode, PFX_##prefix, __VA_ARGS__, props, ISA_FEAT_##feature},
#define OP(id, map, opcode, prefix, ext, mnemonic, operands, family, props, cost, feature, text)                                   \
    ROW(id, family, operands, map, opcode, prefix, props, feature, ext)
#include "isa/opcodes.def"
#undef OP
};

static inline bool family_among(const struct row *r, const char *const *name, unsigned n)
{
    bool found = false;
    for (unsigned k = 0; k < n && !found; k++)
        found = strcmp(r->family, name[k]) == 0;
    return found;
}

// The system's, or not in 64-bit mode.
static inline bool row_is_system(const struct row *r)
{
    static const char *const name[] = {
        "vmx",
#define S(family, end) #family,
#include "isa/sysops.def"
#undef S
    };
    return (r->props & (ISA_F_CPL0 | ISA_F_NO64)) || family_among(r, name, sizeof name / sizeof *name);
}

// Floating point or vectors: a feature of that kind, less the instructions on general registers that came with one.
static inline bool row_is_vector(const struct row *r)
{
    static const uint16_t feature[] = {ISA_FEAT_FPU,   ISA_FEAT_MMX,    ISA_FEAT_FXSR,   ISA_FEAT_SSE,      ISA_FEAT_SSE2,
                                       ISA_FEAT_SSE3,  ISA_FEAT_SSSE3,  ISA_FEAT_SSE41,  ISA_FEAT_SSE42,    ISA_FEAT_AES,
                                       ISA_FEAT_XSAVE, ISA_FEAT_PCLMUL, ISA_FEAT_XSAVEC, ISA_FEAT_XSAVEOPT, ISA_FEAT_AVX,
                                       ISA_FEAT_AVX2,  ISA_FEAT_F16C,   ISA_FEAT_FMA};
    static const char *const general[] = {"fence", "mov_e_g", "crc32_g_e", "crc32_g_e8", "nop", "prefetch", "prefetchw"};
    bool found = false;
    for (unsigned k = 0; k < sizeof feature / sizeof *feature; k++)
        found |= r->feature == feature[k];
    return found && !row_is_system(r) && !family_among(r, general, sizeof general / sizeof *general);
}

// Memory-protection extensions: processors that have them are rare by now, and those of test hosts have not.
static inline bool row_is_mpx(const struct row *r) { return r->feature == ISA_FEAT_MPX; }

#endif
