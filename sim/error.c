// sim/error.c: filling in struct sim_error.
#include "sim/error.h"

#include <stdarg.h>
#include <stdio.h>

int sim_fail(struct sim_error *e, enum sim_status status, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        e->status = status;
        vsnprintf(e->what, sizeof e->what, fmt, ap);
        va_end(ap);
        for (char *p = e->what; *p; p++)
            if ((unsigned char)*p < ' ' || *p == 0x7f) // names of files and symbols may hold anything
                *p = ' ';
    }
    return -1;
}
