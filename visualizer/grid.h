// visualizer/grid.h: the off-screen grid that views draw into.
//
// MODELS     a screen as cells, each one glyph and an attribute class. Pure: no terminal, no ncurses, no locale, so that golden
//            screens test the views. visualizer/term.c paints it.
// ASCII      with g->ascii every glyph outside ASCII becomes a look-alike inside it when it is drawn.
// MONO       attribute classes say what a cell means; a theme decides how it looks. No meaning hangs on the class alone: a changed
//            value also carries a '*', the current line a '>', a failed check the word FAILS.
#ifndef VZ_GRID_H
#define VZ_GRID_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum vz_attr {
#define A(id, text) VZ_A_##id,
#include "visualizer/attrs.def"
#undef A
    VZ_NATTR
};

struct vz_cell {
    uint32_t cp;   // code point; 0 in the right half of a wide glyph
    uint8_t attr;  // enum vz_attr
    bool selected; // shown in reverse, whatever the class
};
struct vz_grid {
    int w, h;
    bool ascii;
    struct vz_cell *cell; // h rows of w
};

// Decode one code point and advance; malformed bytes give U+FFFD, one byte at a time. Never reads past a NUL.
uint32_t vz_utf8(const char **p);
unsigned vz_utf8_put(char out[5], uint32_t cp); // returns the length; NUL-terminates
int vz_glyph_width(uint32_t cp);                // 0, 1 or 2 columns
unsigned vz_text_width(const char *s);

bool vz_grid_resize(struct vz_grid *g, int w, int h); // clears; false: no memory (the grid is then empty)
void vz_grid_free(struct vz_grid *g);
void vz_grid_clear(struct vz_grid *g);
// The grid as lines of UTF-8 without trailing blanks; malloc'd. Selected rows are not marked.
char *vz_grid_text(const struct vz_grid *g);

// A rectangle of a grid; everything drawn through it is clipped to it. Coordinates are relative to it.
struct vz_win {
    struct vz_grid *g;
    int r, c, h, w;
};
struct vz_win vz_sub(const struct vz_win *w, int r, int c, int h, int cols); // clipped part of a window
// Text at a place; returns the column after it. Control characters are shown as '.', newlines end the text.
int vz_text(const struct vz_win *w, int r, int c, enum vz_attr a, const char *s);
int vz_at(const struct vz_win *w, int r, int c, enum vz_attr a, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void vz_fill(const struct vz_win *w, int r, int c, int h, int cols, enum vz_attr a, uint32_t cp);
void vz_hline(const struct vz_win *w, int r, enum vz_attr a, const char *title); // a rule across the window with a title in it
void vz_vline(const struct vz_win *w, int c, int r, int h, enum vz_attr a);
void vz_box(const struct vz_win *w, int r, int c, int h, int cols, enum vz_attr a);
void vz_select(const struct vz_win *w, int r, int c, int cols); // mark cells as selected
// Words of text wrapped to cols columns starting at row r; draws rows skip.. and returns the number of rows the text needs.
// r may be negative or beyond the window: rows outside are counted, not drawn.
int vz_wrap(const struct vz_win *w, int r, int c, int cols, enum vz_attr a, const char *s);

#endif
