// visualizer/grid.c: the off-screen grid. See visualizer/grid.h.
#include "visualizer/grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- UTF-8

uint32_t vz_utf8(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    unsigned n = s[0] < 0x80                   ? 0
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1
                 : (s[0] & 0xf0) == 0xe0       ? 2
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 3
                                               : 9;
    (*p)++;
    if (n == 0)
        return s[0];
    if (n == 9)
        return 0xfffd;
    uint32_t cp = s[0] & (0x3fu >> n);
    for (unsigned i = 1; i <= n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0xfffd;
        cp = cp << 6 | (s[i] & 0x3f);
    }
    if ((n == 2 && (cp < 0x800 || (cp >= 0xd800 && cp < 0xe000))) || (n == 3 && (cp < 0x10000 || cp > 0x10ffff)))
        return 0xfffd;
    *p += n;
    return cp;
}

unsigned vz_utf8_put(char out[5], uint32_t cp)
{
    unsigned n = 0;
    if (cp < 0x80)
        out[n++] = (char)cp;
    else if (cp < 0x800) {
        out[n++] = (char)(0xc0 | cp >> 6);
        out[n++] = (char)(0x80 | (cp & 0x3f));
    } else if (cp < 0x10000) {
        out[n++] = (char)(0xe0 | cp >> 12);
        out[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (cp & 0x3f));
    } else {
        out[n++] = (char)(0xf0 | cp >> 18);
        out[n++] = (char)(0x80 | (cp >> 12 & 0x3f));
        out[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (cp & 0x3f));
    }
    out[n] = 0;
    return n;
}

// Our own table instead of wcwidth(), which depends on the locale: the ranges that matter for narration in any language.
int vz_glyph_width(uint32_t cp)
{
    static const struct {
        uint32_t lo, hi;
        uint8_t width;
    } range[] = {{0x300, 0x36f, 0},   {0x200b, 0x200f, 0},   {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},  {0x2e80, 0x303e, 2},
                 {0x3041, 0xa4cf, 2}, {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},  {0xff00, 0xff60, 2},
                 {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2}};
    for (unsigned i = 0; i < sizeof range / sizeof *range; i++)
        if (cp >= range[i].lo && cp <= range[i].hi)
            return range[i].width;
    return 1;
}

unsigned vz_text_width(const char *s)
{
    unsigned n = 0;
    while (*s)
        n += (unsigned)vz_glyph_width(vz_utf8(&s));
    return n;
}

static uint32_t to_ascii(uint32_t cp)
{
    static const struct {
        uint32_t cp;
        char c;
    } like[] = {{0x2500, '-'}, {0x2501, '='}, {0x2502, '|'}, {0x2503, '|'},  {0x250c, '+'},  {0x2510, '+'}, {0x2514, '+'},
                {0x2518, '+'}, {0x251c, '+'}, {0x2524, '+'}, {0x252c, '+'},  {0x2534, '+'},  {0x253c, '+'}, {0x2504, '.'},
                {0x2550, '='}, {0x2551, '|'}, {0x2554, '#'}, {0x2557, '#'},  {0x255a, '#'},  {0x255d, '#'}, {0x2190, '<'},
                {0x2191, '^'}, {0x2192, '>'}, {0x2193, 'v'}, {0x25b6, '>'},  {0x25cf, '*'},  {0x25cb, 'o'}, {0x2022, '*'},
                {0x00b7, '.'}, {0x2013, '-'}, {0x2014, '-'}, {0x2018, '\''}, {0x2019, '\''}, {0x201c, '"'}, {0x201d, '"'},
                {0x2026, '~'}, {0x00d7, 'x'}, {0x2713, '+'}, {0x2717, 'x'},  {0x2588, '#'},  {0x2591, '.'}, {0x2592, ':'},
                {0x00a0, ' '}};
    if (cp < 0x80)
        return cp;
    for (unsigned i = 0; i < sizeof like / sizeof *like; i++)
        if (like[i].cp == cp)
            return (uint32_t)like[i].c;
    return '?';
}

// --- the grid

bool vz_grid_resize(struct vz_grid *g, int w, int h)
{
    if (w < 0 || h < 0 || w > 4096 || h > 4096)
        w = h = 0;
    struct vz_cell *cell = w && h ? malloc(sizeof *cell * (size_t)w * (size_t)h) : NULL;
    free(g->cell);
    g->cell = cell;
    g->w = cell ? w : 0;
    g->h = cell ? h : 0;
    vz_grid_clear(g);
    return cell != NULL;
}

void vz_grid_free(struct vz_grid *g)
{
    free(g->cell);
    g->cell = NULL;
    g->w = g->h = 0;
}

void vz_grid_clear(struct vz_grid *g)
{
    for (int i = 0; i < g->w * g->h; i++)
        g->cell[i] = (struct vz_cell){.cp = ' ', .attr = VZ_A_NORMAL};
}

char *vz_grid_text(const struct vz_grid *g)
{
    char *out = malloc((size_t)g->w * (size_t)g->h * 4 + (size_t)g->h + 1), *p = out;
    if (!out)
        return NULL;
    for (int r = 0; r < g->h; r++) {
        int end = g->w;
        while (end > 0 && g->cell[r * g->w + end - 1].cp == ' ')
            end--;
        for (int c = 0; c < end; c++) {
            char u[5];
            uint32_t cp = g->cell[r * g->w + c].cp;
            if (!cp)
                continue;
            unsigned n = vz_utf8_put(u, cp);
            memcpy(p, u, n);
            p += n;
        }
        *p++ = '\n';
    }
    *p = 0;
    return out;
}

static void put(const struct vz_win *w, int r, int c, enum vz_attr a, uint32_t cp, int width)
{
    if (r < 0 || r >= w->h || c < 0 || c + width > w->w)
        return;
    int gr = w->r + r, gc = w->c + c;
    if (gr < 0 || gr >= w->g->h || gc < 0 || gc + width > w->g->w)
        return;
    struct vz_cell *cell = &w->g->cell[gr * w->g->w + gc];
    *cell = (struct vz_cell){.cp = cp, .attr = (uint8_t)a};
    if (width == 2)
        cell[1] = (struct vz_cell){.cp = 0, .attr = (uint8_t)a};
}

struct vz_win vz_sub(const struct vz_win *w, int r, int c, int h, int cols)
{
    if (r < 0)
        r = 0;
    if (c < 0)
        c = 0;
    if (r > w->h)
        r = w->h;
    if (c > w->w)
        c = w->w;
    if (h < 0 || h > w->h - r)
        h = w->h - r;
    if (cols < 0 || cols > w->w - c)
        cols = w->w - c;
    return (struct vz_win){.g = w->g, .r = w->r + r, .c = w->c + c, .h = h, .w = cols};
}

static int put_cp(const struct vz_win *w, int r, int c, enum vz_attr a, uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
        cp = '.';
    int width = vz_glyph_width(cp);
    if (w->g->ascii && cp >= 0x80) {
        cp = to_ascii(cp);
        for (int i = 1; i < width; i++)
            put(w, r, c + i, a, cp, 1);
        if (width)
            put(w, r, c, a, cp, 1);
    } else if (width)
        put(w, r, c, a, cp == 0xfffd ? '?' : cp, width);
    return c + width;
}

int vz_text(const struct vz_win *w, int r, int c, enum vz_attr a, const char *s)
{
    while (*s && *s != '\n')
        c = put_cp(w, r, c, a, vz_utf8(&s));
    return c;
}

int vz_at(const struct vz_win *w, int r, int c, enum vz_attr a, const char *fmt, ...)
{
    char buf[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    return vz_text(w, r, c, a, buf);
}

void vz_fill(const struct vz_win *w, int r, int c, int h, int cols, enum vz_attr a, uint32_t cp)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < cols; x++)
            put_cp(w, r + y, c + x, a, cp);
}

void vz_hline(const struct vz_win *w, int r, enum vz_attr a, const char *title)
{
    vz_fill(w, r, 0, 1, w->w, VZ_A_DIM, 0x2500);
    if (title && *title) {
        int c = vz_text(w, r, 2, a, " ");
        c = vz_text(w, r, c, a, title);
        vz_text(w, r, c, a, " ");
    }
}

void vz_vline(const struct vz_win *w, int c, int r, int h, enum vz_attr a) { vz_fill(w, r, c, h, 1, a, 0x2502); }

void vz_box(const struct vz_win *w, int r, int c, int h, int cols, enum vz_attr a)
{
    if (h < 2 || cols < 2)
        return;
    vz_fill(w, r, c + 1, 1, cols - 2, a, 0x2500);
    vz_fill(w, r + h - 1, c + 1, 1, cols - 2, a, 0x2500);
    vz_fill(w, r + 1, c, h - 2, 1, a, 0x2502);
    vz_fill(w, r + 1, c + cols - 1, h - 2, 1, a, 0x2502);
    put_cp(w, r, c, a, 0x250c);
    put_cp(w, r, c + cols - 1, a, 0x2510);
    put_cp(w, r + h - 1, c, a, 0x2514);
    put_cp(w, r + h - 1, c + cols - 1, a, 0x2518);
}

void vz_select(const struct vz_win *w, int r, int c, int cols)
{
    if (r < 0 || r >= w->h || w->r + r >= w->g->h)
        return;
    for (int x = c; x < c + cols && x < w->w; x++)
        if (x >= 0 && w->c + x < w->g->w)
            w->g->cell[(w->r + r) * w->g->w + w->c + x].selected = true;
}

int vz_wrap(const struct vz_win *w, int r, int c, int cols, enum vz_attr a, const char *s)
{
    int row = r, col = 0;
    if (cols < 4)
        cols = 4;
    while (*s) {
        if (*s == '\n') {
            row++;
            col = 0;
            s++;
            continue;
        }
        const char *end = s;
        int width = 0, blanks = 0;
        while (*end == ' ') {
            end++;
            blanks++;
        }
        const char *word = end;
        while (*end && *end != ' ' && *end != '\n')
            width += vz_glyph_width(vz_utf8(&end));
        if (col && col + blanks + width > cols) {
            row++;
            col = 0;
            blanks = 0;
        }
        col += blanks;
        while (word < end) {
            uint32_t cp = vz_utf8(&word);
            int gw = vz_glyph_width(cp);
            if (col + gw > cols) { // a word longer than the line is cut
                row++;
                col = 0;
            }
            put_cp(w, row, c + col, a, cp);
            col += gw;
        }
        s = end;
    }
    return row - r + 1;
}
