// sim/json.c: see sim/json.h.
#include "sim/json.h"

#include <stdbool.h>

// Bytes of the well-formed UTF-8 sequence at s, or 0.
static unsigned utf8(const unsigned char *s)
{
    unsigned n = s[0] < 0x80                   ? 1
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;
    for (unsigned k = 1; k < n; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    bool over = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90); // a longer form than needed
    bool none = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f); // surrogates, beyond the last
    return over || none ? 0 : n;
}

void json_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        unsigned n = utf8(p);
        if (!n) {
            fputs("\\ufffd", f);
            p++;
        } else if (*p < 0x20 || *p == 0x7f) {
            fprintf(f, "\\u%04x", *p++);
        } else {
            if (*p == '"' || *p == '\\')
                fputc('\\', f);
            fwrite(p, 1, n, f);
            p += n;
        }
    }
    fputc('"', f);
}
