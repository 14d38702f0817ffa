// visualizer/themes.c: themes.def as a table.
#include <string.h>

#include "visualizer/ui.h"

struct theme {
    const char *name, *text;
};
struct look_row {
    int8_t theme; // -1: this row begins a theme
    const char *name, *text;
    uint8_t attr;
    struct vz_look look;
};
static const struct look_row rows[] = {
#define THEME(name, text)      {-1, #name, text, 0, {0, 0, 0}},
#define L(attr, fg, bg, flags) {0, NULL, NULL, VZ_A_##attr, {fg, bg, flags}},
#include "visualizer/themes.def"
#undef THEME
#undef L
};
enum { NROWS = sizeof rows / sizeof *rows };
const unsigned vz_theme_mono = 4;

static const struct look_row *begin(unsigned n)
{
    for (unsigned i = 0; i < NROWS; i++)
        if (rows[i].theme < 0 && n-- == 0)
            return &rows[i];
    return NULL;
}

unsigned vz_theme_count(void)
{
    unsigned n = 0;
    while (begin(n))
        n++;
    return n;
}
const char *vz_theme_name(unsigned n) { return begin(n) ? begin(n)->name : NULL; }
const char *vz_theme_text(unsigned n) { return begin(n) ? begin(n)->text : NULL; }

int vz_theme_by_name(const char *name)
{
    for (unsigned i = 0; begin(i); i++)
        if (!strcmp(begin(i)->name, name))
            return (int)i;
    return -1;
}

struct vz_look vz_theme_look(unsigned theme, enum vz_attr a)
{
    const struct look_row *r = begin(theme);
    struct vz_look plain = {-1, -1, 0};
    if (!r)
        return plain;
    for (r++; r < rows + NROWS && r->theme >= 0; r++)
        if (r->attr == a)
            return r->look;
    return plain;
}
