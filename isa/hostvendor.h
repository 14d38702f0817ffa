// isa/hostvendor.h: where another vendor's processor may differ from the Intel processor that Ringside models, for tests on the host.
//
// MODELS     nothing: each function takes what both gave and leaves out only what the vendors define differently. On an Intel host
//            nothing is left out.
// SOURCE     AMD64 Architecture Programmer's Manual, "x87 Instruction Pointer and Data Pointer", "MXCSR Register", "FXSAVE and FXRSTOR".
#ifndef ISA_HOSTVENDOR_H
#define ISA_HOSTVENDOR_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool host_is_amd(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163; // "AuthenticAMD"
}

// One line for the report of a test.
static inline const char *host_vendor_text(void)
{
    return host_is_amd() ? "AMD (x87 pointers without a pending exception, MXCSR bit 17, last bits of RCP and RSQRT, NaNs of DPPS, "
                           "state after some faults and after a 32-bit REP of no iteration are its own)"
                         : "Intel or alike (compared in full)";
}

// FXSAVE images: AMD keeps FOP, FIP and FDP (bytes 6 to 23) only while an unmasked x87 exception is pending (FSW.ES), and has one
// more bit in MXCSR_MASK (17, misaligned SSE). ours takes these from host; always: pointers that were loaded are taken, too.
static inline void host_fx_forgive(const uint8_t *host, uint8_t *ours, bool always)
{
    if (!host_is_amd())
        return;
    if (always || !(host[2] & 0x80))
        memcpy(ours + 6, host + 6, 18);
    ours[30] = (uint8_t)((ours[30] & ~2) | (host[30] & 2));
}

// A store whose result raises an unmasked x87 exception at an address that page-faults: AMD reports the page fault, Intel sets the
// exception pending. ours: the FXSAVE image after.
static inline bool host_pf_before_mf(bool host_pf, bool our_fault, const uint8_t *ours)
{
    return host_is_amd() && host_pf && !our_fault && ours[2] & 0x80;
}
// FPREM and FPREM1 by infinity: AMD signals a denormal dividend first. in: the FXSAVE image before.
static inline bool host_remainder_by_infinity(const uint8_t *in)
{
    return host_is_amd() && in[56] == 0xff && (in[57] & 0x7f) == 0x7f;
}
// FSCALE of a denormal by zero: AMD signals an unmasked underflow. in: the FXSAVE image before.
static inline bool host_scale_by_zero(const uint8_t *in)
{
    static const uint8_t zero[9];
    return host_is_amd() && memcmp(in + 48, zero, 9) == 0 && (in[57] & 0x7f) == 0 && in[40] == 0 && (in[41] & 0x7f) == 0 &&
           !(in[0] & 0x10);
}
// An MMX instruction whose memory operand faults: Intel has set TOP to 0 and the tags to valid by then, AMD has not.
static inline void host_mmx_fault_forgive(const uint8_t *host, uint8_t *ours)
{
    if (!host_is_amd())
        return;
    memcpy(ours + 2, host + 2, 3);
    memcpy(ours + 32, host + 32, 128);
}
// Bit 17 of MXCSR may be set on AMD, and is #GP on Intel. host: the FXSAVE image after.
static inline bool host_mxcsr_bit17(bool only_ours_faults, const uint8_t *host)
{
    return host_is_amd() && only_ours_faults && host[26] & 2;
}

// RCPPS, RSQRTPS and their scalar forms: the manuals allow a relative error of 1.5 * 2^-12, so two processors differ by at most
// 3 * 2^-12, which is 0x1800 units of a number with 23 bits of fraction.
static inline void host_approximation_forgive(const uint8_t *host, uint8_t *ours)
{
    if (!host_is_amd())
        return;
    for (unsigned k = 0; k < 16; k += 4) {
        uint32_t a, b;
        memcpy(&a, host + k, 4), memcpy(&b, ours + k, 4);
        if ((a ^ b) >> 31 == 0 && (a > b ? a - b : b - a) <= 0x1800 && (a >> 23 & 255) != 255 && (b >> 23 & 255) != 255)
            memcpy(ours + k, host + k, 4);
    }
}

// DPPS, DPPD: which of several NaNs, or the default one, comes out depends on the order of the sums, which is not defined.
// width: bytes of a lane, 4 or 8.
static inline void host_nan_forgive(const uint8_t *host, uint8_t *ours, unsigned width)
{
    unsigned quiet = width == 4 ? 0xc0 : 0xf8; // of the byte below the top one: what is left of the exponent, and the quiet bit
    if (!host_is_amd())
        return;
    for (unsigned k = 0; k < 16; k += width) {
        const uint8_t *h = host + k + width - 2, *o = ours + k + width - 2;
        if ((h[1] & o[1] & 0x7f) == 0x7f && (h[0] & o[0] & quiet) == quiet)
            memcpy(ours + k, host + k, width);
    }
}

// A gather that faults: Intel first makes every element of the mask all ones or zeros and clears what is beyond them; AMD leaves both
// as they were. A destination register's upper half is not touched by either. mask: 32 bytes; size: of an element, n: of all.
static inline void host_gather_forgive(const uint8_t *host, uint8_t *ours, unsigned size, unsigned n)
{
    if (!host_is_amd())
        return;
    for (unsigned k = 0; k < 32; k += size)
        if (k >= n || !((host[k + size - 1] ^ ours[k + size - 1]) & 0x80))
            memcpy(ours + k, host + k, size);
}

// A repeated string instruction with 32-bit addresses that did no iteration (count 0, or a fault in the first): AMD leaves the upper
// halves of RCX, RSI and RDI alone. ours: the 16 general registers.
static inline void host_rep_forgive(const uint64_t *in, const uint64_t *host, uint64_t *ours)
{
    static const unsigned reg[] = {1, 6, 7}; // RCX, RSI, RDI
    if (!host_is_amd() || (uint32_t)host[1] != (uint32_t)in[1])
        return;
    for (unsigned k = 0; k < 3; k++)
        if ((uint32_t)host[reg[k]] == (uint32_t)ours[reg[k]] && host[reg[k]] == in[reg[k]])
            ours[reg[k]] = host[reg[k]];
}

// MOVSXD with a 16-bit operand: Intel reads 16 bits of memory, AMD 32, which may reach into a page that faults.
static inline bool host_movsxd_reads_more(bool host_pf, bool our_fault, unsigned osz)
{
    return host_is_amd() && host_pf && !our_fault && osz == 2;
}

// PREFETCHW of a register: Intel takes it as a hint without an address, AMD has no such form (#UD).
static inline bool host_prefetchw_register(bool host_ud, bool our_fault, bool is_mem)
{
    return host_is_amd() && host_ud && !our_fault && !is_mem;
}

// A repeated CMPS or SCAS that faults after some iterations: Intel gives the flags of before, AMD those of the last comparison.
static inline uint64_t host_rep_flags_forgiven(bool compares, bool faulted)
{
    return host_is_amd() && compares && faulted ? 0x8d5 : 0; // the status flags
}

#endif
