// lua/text.c: growing strings, JSON strings, word wrap, edit distance.
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lua/report.h"

static bool grow(struct lx_buf *b, size_t more)
{
    if (b->full || more > LX_MAX_REPORT || b->n + more + 1 > LX_MAX_REPORT) {
        b->full = true;
        return false;
    }
    if (b->n + more + 1 <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->n + more + 1)
        cap *= 2;
    char *s = realloc(b->s, cap);
    if (!s) {
        b->full = true;
        return false;
    }
    b->s = s;
    b->cap = cap;
    return true;
}

void lx_buf_add(struct lx_buf *b, const char *s, size_t n)
{
    if (!grow(b, n))
        return;
    if (n)
        memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = 0;
}

void lx_buf_addf(struct lx_buf *b, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > 0)
        lx_buf_add(b, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void lx_buf_free(struct lx_buf *b)
{
    free(b->s);
    *b = (struct lx_buf){0};
}

void lx_buf_whole(struct lx_buf *b, size_t before)
{
    if (b->full && b->s)
        b->s[b->n = before] = 0;
}

// Length of the well-formed UTF-8 sequence at s (Unicode standard, table 3-7), or 0.
static size_t utf8_len(const unsigned char *s, size_t n)
{
    unsigned lo = 0x80, hi = 0xbf;
    size_t len;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        len = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        len = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        lo = 0xa0;
    if (s[0] == 0xed)
        hi = 0x9f;
    if (s[0] == 0xf0)
        lo = 0x90;
    if (s[0] == 0xf4)
        hi = 0x8f;
    if (n < len || s[1] < lo || s[1] > hi)
        return 0;
    for (size_t k = 2; k < len; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    return len;
}

// Bytes at the beginning that are printable ASCII, but not of those: most text is, and goes at once.
static size_t plain(const unsigned char *s, size_t n, char a, char b)
{
    size_t k = 0;
    while (k < n && s[k] >= 0x20 && s[k] < 0x7f && s[k] != a && s[k] != b)
        k++;
    return k;
}

void lx_buf_json(struct lx_buf *b, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    lx_buf_add(b, "\"", 1);
    for (size_t k = 0, len; k < n; k += len) {
        if ((len = plain(s + k, n - k, '"', '\\')) != 0) {
            lx_buf_add(b, text + k, len);
            continue;
        }
        len = utf8_len(s + k, n - k);
        if (!len)
            lx_buf_add(b, "\xef\xbf\xbd", 3);
        else if (s[k] == '"' || s[k] == '\\')
            lx_buf_addf(b, "\\%c", s[k]);
        else if (s[k] == '\n')
            lx_buf_add(b, "\\n", 2);
        else if (len == 1)
            lx_buf_addf(b, "\\u%04x", s[k]);
        else
            lx_buf_add(b, text + k, len);
        len = len ? len : 1;
    }
    lx_buf_add(b, "\"", 1);
}

void lx_put_text(FILE *f, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t k = 0, len; k < n; k += len) {
        len = s[k] == '\n' ? 1 : plain(s + k, n - k, 0, 0);
        if (len) {
            fwrite(s + k, 1, len, f);
            continue;
        }
        len = utf8_len(s + k, n - k);
        const bool control = len == 1 && s[k] != '\t'; // the others are gone
        if (control && s[k] == '\r' && (k + 1 == n || s[k + 1] == '\n'))
            continue;
        if (control)
            fprintf(f, "\xe2\x90%c", s[k] == 0x7f ? 0xa1 : 0x80 + s[k]); // U+2400 and on: pictures of control characters
        else if (!len || (s[k] == 0xc2 && s[k + 1] < 0xa0))
            fputs("\xef\xbf\xbd", f);
        else
            fwrite(s + k, 1, len, f);
        len = len ? len : 1;
    }
}

void lx_buf_key(struct lx_buf *b, const char *key)
{
    if (b->n && b->s[b->n - 1] != '{' && b->s[b->n - 1] != '[')
        lx_buf_add(b, ",", 1);
    lx_buf_json(b, key, strlen(key));
    lx_buf_add(b, ":", 1);
}

size_t lx_width(const char *s, size_t n)
{
    size_t w = 0;
    for (size_t k = 0; k < n; k++)
        w += ((unsigned char)s[k] & 0xc0) != 0x80;
    return w;
}

// One paragraph: words between spaces, as many to a line as fit.
static void wrap_paragraph(struct lx_buf *b, const char *s, size_t n, const char *prefix, unsigned columns)
{
    size_t col = 0, room = strlen(prefix) < columns ? columns - strlen(prefix) : 1;
    for (size_t k = 0; k < n;) {
        while (k < n && isspace((unsigned char)s[k]))
            k++;
        size_t start = k;
        while (k < n && !isspace((unsigned char)s[k]))
            k++;
        if (k == start)
            break;
        size_t w = lx_width(s + start, k - start);
        if (col && col + 1 + w > room) {
            lx_buf_add(b, "\n", 1);
            col = 0;
        }
        lx_buf_addf(b, "%s", col ? " " : prefix);
        lx_buf_add(b, s + start, k - start);
        col += w + (col ? 1 : 0);
    }
    if (col)
        lx_buf_add(b, "\n", 1);
}

void lx_wrap(struct lx_buf *b, const char *text, size_t n, const char *prefix, unsigned columns)
{
    size_t par = 0; // start of the paragraph under way
    for (size_t k = 0; k <= n;) {
        const char *nl = k < n ? memchr(text + k, '\n', n - k) : NULL;
        size_t end = nl ? (size_t)(nl - text) : n;
        bool indented = end > k && (text[k] == ' ' || text[k] == '\t');
        bool empty = end == k;
        if (indented || empty) {
            wrap_paragraph(b, text + par, k - par, prefix, columns);
            if (indented || (end < n && b->n)) {
                lx_buf_addf(b, "%s", prefix);
                lx_buf_add(b, text + k, end - k);
                while (b->n && b->s[b->n - 1] == ' ')
                    b->s[--b->n] = 0;
                lx_buf_add(b, "\n", 1);
            }
            par = end + 1;
        }
        if (end >= n) {
            if (!indented && !empty)
                wrap_paragraph(b, text + par, n - par, prefix, columns);
            break;
        }
        k = end + 1;
    }
}

unsigned lx_distance(const char *a, const char *b)
{
    unsigned row[3][65];
    size_t na = strnlen(a, 64), nb = strnlen(b, 64);
    if (na == 64 || nb == 64)
        return 64;
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        cur[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            unsigned best = prev[j - 1] + (x != y);
            if (prev[j] + 1 < best)
                best = prev[j] + 1;
            if (cur[j - 1] + 1 < best)
                best = cur[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]) &&
                prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return row[na % 3][nb];
}
