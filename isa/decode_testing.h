// isa/decode_testing.h: what the tests of the decoder share.
#ifndef ISA_DECODE_TESTING_H
#define ISA_DECODE_TESTING_H

#include <string.h>

#include "isa/decode.h"

// A mode with every feature there is.
static inline struct isa_decode_mode mode_of(enum isa_mode mode, bool flat)
{
    struct isa_decode_mode m = {.mode = (uint8_t)mode, .flat = flat};
    memset(m.features, 0xff, sizeof m.features);
    return m;
}

// The bytes of a string of hexadecimal digits; returns how many.
static inline unsigned put_hex(uint8_t *b, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned n = 0;
    for (; hex[0] && hex[1]; hex += 2)
        b[n++] = (uint8_t)((strchr(digits, hex[0]) - digits) << 4 | (strchr(digits, hex[1]) - digits));
    return n;
}

#endif
