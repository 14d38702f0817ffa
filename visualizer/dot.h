// visualizer/dot.h: the few shapes that diagrams are made of, written as DOT.
//
// Figures with a fixed place for everything (walk, rings) are laid out here in points, y downwards, and rendered by `neato -n2`, so
// that no version of Graphviz moves anything. Tables (gdt, idt, tss, vmcs) are one HTML-like label each, rendered by `dot`.
// Text from guests is untrusted: dot_text() escapes it and replaces what is not printable UTF-8.
#ifndef VZ_DOT_H
#define VZ_DOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/inspect.h"
#include "sim/mark.h"

#define DOT_SANS       "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
#define DOT_MONO       "DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,monospace"

// Fills and inks. The pairs differ in lightness, so that they stay apart in greyscale; no meaning hangs on hue alone.
#define DOT_INK        "#1a1a1a"
#define DOT_GREY       "#5f5f5f"
#define DOT_FAINT      "#9a9a9a"
#define DOT_EPT_FILL   "#e6eef7"
#define DOT_EPT_BAR    "#2f5f98"
#define DOT_GUEST_FILL "#fbdcae"
#define DOT_GUEST_BAR  "#3b2300"
#define DOT_HEAD_FILL  "#ececec"
#define DOT_ROW_FILL   "#f6f6f6"

struct dot {
    FILE *f;
    double height; // of the page in points: y is flipped against it
    unsigned n;    // running number of anonymous nodes
};
// Attributes of a fixed-position node.
struct dot_box {
    double x, y, w, h; // left, top, width, height
    const char *shape; // "box" by default
    const char *style; // "filled,rounded" ...
    const char *fill, *ink;
    double pen;
    int rings; // peripheries, 0: 1
};

void dot_begin(struct dot *d, FILE *f, const char *name, double w, double h); // fixed positions
// A figure of HTML-like tables: title, subtitle, facts, then tables.
void dot_begin_table(FILE *f, const char *name, const char *title, const char *subtitle, const char *facts);
void dot_end_table(FILE *f);
// Open a node; between open and close write the HTML-like label (dot_text, dot_f). Returns its name in d->n ("n12").
unsigned dot_open(struct dot *d, const struct dot_box *b);
void dot_close(struct dot *d);
unsigned dot_plain(struct dot *d, const struct dot_box *b); // a node without label
// A node with one line of text, aligned "LEFT", "CENTER" or "RIGHT" in its width.
unsigned dot_line(struct dot *d, double x, double y, double w, double size, const char *align, bool bold, const char *ink,
                  const char *text);
// A line from node a to node b along points (x0 y0 x1 y1 ...), corners rounded; arrowhead at the end if arrow.
void dot_path(struct dot *d, unsigned a, unsigned b, const double *xy, unsigned npoints, bool arrow, const char *style, double pen,
              const char *ink);
void dot_end(struct dot *d);

void dot_text(FILE *f, const char *text);                                        // escaped for HTML-like labels
void dot_f(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3))); // formatted, then escaped

// One writer per kind of diagram (visualizer/draws.def).
struct vz_fig {
    const struct sim_mark *mark;
    struct sim_machine *m;
    unsigned cpu;
    bool warm;  // of walks: as the caches would shorten them now
    bool steps; // only what happened up to frame `step`
    unsigned step;
};
#define DRAW(name, program, text) void draw_##name(FILE *f, const struct vz_fig *fig);
#include "visualizer/draws.def"
#undef DRAW
// How many frames (0, 1, ...) a figure of steps has; 0: it has no steps.
unsigned draw_walk_frames(const struct vz_fig *fig);
unsigned draw_timeline_frames(const struct vz_fig *fig);
// The walk figure of a translation that is already at hand.
void draw_walk_of(FILE *f, const struct sim_walk *w, const char *name, const char *text, uint64_t root, uint64_t eptp);

#endif
