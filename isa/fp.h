// isa/fp.h: IEEE 754 arithmetic in integers, with the rules of x86.
//
// MODELS     binary32, binary64 and the 80-bit extended format with all rounding modes and exception flags; NaN propagation of SSE and
//            of x87; denormals-are-zeros, flush-to-zero; tininess is detected after rounding.
// PURE       results depend on the arguments alone, whatever the host. No host floating point.
// FORM       numbers are unpacked into struct isa_fp, computed with 64-bit significands and 128-bit intermediate results, rounded once
//            to a format, and packed.
// MANUAL     "Programming with the x87 FPU", "Handling SIMD Floating-Point Exceptions in Software".
#ifndef ISA_FP_H
#define ISA_FP_H

#include <stdbool.h>
#include <stdint.h>

#include "isa/fpu.h"

typedef unsigned __int128 isa_u128;

enum isa_fp_class { ISA_FP_ZERO, ISA_FP_NUM, ISA_FP_INF, ISA_FP_QNAN, ISA_FP_SNAN, ISA_FP_BAD /* not a number of the format */ };

// A number: sig / 2^63 * 2^exp, with bit 63 of sig set. NaN: sig is the significand, left-aligned, bit 63 set, bit 62 quiet.
struct isa_fp {
    uint64_t sig;
    int32_t exp;
    uint8_t cls; // enum isa_fp_class
    bool neg;
    bool den; // was denormal in its format
};

// A format to round to: precision in bits, range of exponents.
struct isa_fp_format {
    int p, emin, emax;
};
extern const struct isa_fp_format isa_fp16, isa_fp32, isa_fp64, isa_fp80;

enum isa_fp_rc { ISA_RC_NEAREST, ISA_RC_DOWN, ISA_RC_UP, ISA_RC_ZERO };

// How to compute, and what came of it.
struct isa_fp_env {
    uint8_t rc, masks; // enum isa_fp_rc; ISA_FX_* masked
    bool daz, fz, x87;
    uint8_t flags; // ISA_FX_* raised (or'ed)
    bool up;       // the last rounding increased the magnitude
};

struct isa_fp_env isa_fp_env_sse(uint32_t mxcsr);
struct isa_fp_env isa_fp_env_x87(uint16_t fcw);

// Unpacking; packing takes numbers that were rounded to the format.
struct isa_fp isa_fp_un32(const struct isa_fp_env *e, uint32_t v);
struct isa_fp isa_fp_un64(const struct isa_fp_env *e, uint64_t v);
struct isa_fp isa_fp_un80(struct isa_f80 v);
struct isa_fp isa_fp_un16(uint16_t v); // a denormal does not count as one: nothing notes it
uint16_t isa_fp_pk16(struct isa_fp v);
uint32_t isa_fp_pk32(struct isa_fp v);
uint64_t isa_fp_pk64(struct isa_fp v);
struct isa_f80 isa_fp_pk80(struct isa_fp v);

static inline bool isa_fp_nan(struct isa_fp v) { return v.cls == ISA_FP_QNAN || v.cls == ISA_FP_SNAN; }
struct isa_fp isa_fp_default_nan(void);
struct isa_fp isa_fp_zero(bool neg);
struct isa_fp isa_fp_inf(bool neg);
struct isa_fp isa_fp_int(int64_t v); // exact

// v / 2^127 * 2^exp, any v, rounded. The low bit of v may be sticky.
struct isa_fp isa_fp_round(struct isa_fp_env *e, const struct isa_fp_format *f, bool neg, int exp, isa_u128 v);
// The same for a number: conversion between formats. NaNs are quieted (#I for signalling ones), denormals noted (#D).
struct isa_fp isa_fp_convert(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a);

// The NaN that an operation on these gives; at least one is a NaN or bad.
struct isa_fp isa_fp_nan2(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b);

typedef struct isa_fp isa_fp_op(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b);
isa_fp_op isa_fp_add, isa_fp_sub, isa_fp_mul, isa_fp_div;
// a * b + d, rounded once; the product and the addend may be negated, which does not touch NaNs.
struct isa_fp isa_fp_fma(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a, struct isa_fp b, struct isa_fp d,
                         bool negate_product, bool negate_addend);
struct isa_fp isa_fp_sqrt(struct isa_fp_env *e, const struct isa_fp_format *f, struct isa_fp a);
struct isa_fp isa_fp_rint(struct isa_fp_env *e, struct isa_fp a); // to an integer in floating point

enum isa_fp_order { ISA_FP_LESS, ISA_FP_EQUAL, ISA_FP_GREATER, ISA_FP_UNORDERED };
// quiet: a quiet NaN is no reason for #I.
enum isa_fp_order isa_fp_compare(struct isa_fp_env *e, struct isa_fp a, struct isa_fp b, bool quiet);

// To a signed integer of 16, 32 or 64 bits; what does not fit is #I and gives the most negative number.
int64_t isa_fp_to_int(struct isa_fp_env *e, struct isa_fp a, unsigned bits);

// The end of a vector operation: flags go to MXCSR; returns 0, or the fault of an unmasked exception (isa/sse.c).
int isa_fp_finish(struct isa_cpu *c, const struct isa_fp_env *e);

#endif
