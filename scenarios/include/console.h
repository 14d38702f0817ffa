// console.h: for freestanding C of 32 and 64 bits: text, by a function put(char) that the includer defines before: a port, a hypercall.
//
//   print_text(s)            a string
//   print_number(v, base)    digits, no more than needed
//   print_list(format, list) %s a string, %x and %d an unsigned long; nothing else
#ifndef CONSOLE_H
#define CONSOLE_H
#include <stdarg.h>

static inline void print_text(const char *s)
{
    for (; *s; s++)
        put(*s);
}
static inline void print_number(unsigned long v, unsigned base)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    while (n)
        put(digits[--n]);
}
static inline void print_list(const char *f, va_list a)
{
    for (; *f; f++) {
        if (*f != '%')
            put(*f);
        else if (*++f == 's')
            print_text(va_arg(a, const char *));
        else
            print_number(va_arg(a, unsigned long), *f == 'x' ? 16 : 10);
    }
}

#endif
