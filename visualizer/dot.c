// visualizer/dot.c: DOT output. See visualizer/dot.h.
#include "visualizer/dot.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "visualizer/grid.h"

void dot_text(FILE *f, const char *text)
{
    for (const char *p = text; *p;) {
        uint32_t cp = vz_utf8(&p);
        switch (cp) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        default:
            if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xfffd)
                fputc('?', f);
            else {
                char u[5];
                fwrite(u, 1, vz_utf8_put(u, cp), f);
            }
        }
    }
}

void dot_f(FILE *f, const char *fmt, ...)
{
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    dot_text(f, buf);
}

// The name of a mark may hold anything; a quoted DOT string needs its quotes and backslashes escaped.
static void quoted(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', f);
        fputc((unsigned char)*s < 0x20 ? ' ' : *s, f);
    }
    fputc('"', f);
}

void dot_begin(struct dot *d, FILE *f, const char *name, double w, double h)
{
    *d = (struct dot){.f = f, .height = h};
    fputs("// Render with: neato -n2 -Tsvg\n", f);
    fputs("digraph ", f);
    quoted(f, name);
    fprintf(f,
            " {\n  graph [bb=\"0,0,%g,%g\", pad=0.15, outputorder=edgesfirst, bgcolor=white];\n"
            "  node [label=\"\", shape=box, fixedsize=true, margin=0, fontname=\"" DOT_SANS "\", fontcolor=\"" DOT_INK "\"];\n"
            "  edge [color=\"" DOT_INK "\", arrowsize=0.8];\n",
            w, h);
    // Two invisible corners keep the page size whatever the content.
    fprintf(
        f,
        "  c0 [pos=\"0,0\", width=0.01, height=0.01, style=invis];\n  c1 [pos=\"%g,%g\", width=0.01, height=0.01, style=invis];\n",
        w, h);
}

static unsigned open_node(struct dot *d, const struct dot_box *b)
{
    unsigned id = ++d->n;
    fprintf(d->f, "  n%u [pos=\"%g,%g\", width=%.4f, height=%.4f", id, b->x + b->w / 2, d->height - b->y - b->h / 2, b->w / 72,
            b->h / 72);
    if (b->shape)
        fprintf(d->f, ", shape=%s", b->shape);
    if (b->style)
        fprintf(d->f, ", style=\"%s\"", b->style);
    if (b->fill)
        fprintf(d->f, ", fillcolor=\"%s\"", b->fill);
    if (b->ink)
        fprintf(d->f, ", color=\"%s\"", b->ink);
    if (b->pen > 0)
        fprintf(d->f, ", penwidth=%g", b->pen);
    if (b->rings)
        fprintf(d->f, ", peripheries=%d", b->rings);
    return id;
}

unsigned dot_open(struct dot *d, const struct dot_box *b)
{
    unsigned id = open_node(d, b);
    fputs(", label=<", d->f);
    return id;
}

unsigned dot_plain(struct dot *d, const struct dot_box *b)
{
    unsigned id = open_node(d, b);
    fputs("];\n", d->f);
    return id;
}

void dot_close(struct dot *d) { fputs(">];\n", d->f); }

unsigned dot_line(struct dot *d, double x, double y, double w, double size, const char *align, bool bold, const char *ink,
                  const char *text)
{
    double h = ceil(size * 1.5);
    unsigned id = dot_open(d, &(struct dot_box){.x = x, .y = y, .w = w, .h = h, .shape = "none"});
    fprintf(d->f,
            "<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR><TD FIXEDSIZE=\"TRUE\" WIDTH=\"%.0f\" "
            "HEIGHT=\"%.0f\" ALIGN=\"%s\"><FONT POINT-SIZE=\"%g\" COLOR=\"%s\">%s",
            w, h, align, size, ink ? ink : DOT_INK, bold ? "<B>" : "");
    dot_text(d->f, *text ? text : " "); // Graphviz takes an empty FONT for a mistake
    fprintf(d->f, "%s</FONT></TD></TR></TABLE>", bold ? "</B>" : "");
    dot_close(d);
    return id;
}

#define CORNER 9.0

static void bezier(struct dot *d, double x0, double y0, double x1, double y1, double x2, double y2, double x3, double y3,
                   bool first)
{
    if (first)
        fprintf(d->f, " %.2f,%.2f", x0, d->height - y0);
    fprintf(d->f, " %.2f,%.2f %.2f,%.2f %.2f,%.2f", x1, d->height - y1, x2, d->height - y2, x3, d->height - y3);
}

static void straight(struct dot *d, double x0, double y0, double x1, double y1, bool first)
{
    bezier(d, x0, y0, x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3, x0 + 2 * (x1 - x0) / 3, y0 + 2 * (y1 - y0) / 3, x1, y1, first);
}

void dot_path(struct dot *d, unsigned a, unsigned b, const double *xy, unsigned npoints, bool arrow, const char *style, double pen,
              const char *ink)
{
    assert(npoints >= 2);
    fprintf(d->f, "  n%u -> n%u [pos=\"", a, b);
    double ex = xy[2 * npoints - 2], ey = xy[2 * npoints - 1];
    double px = xy[2 * npoints - 4], py = xy[2 * npoints - 3];
    double len = hypot(ex - px, ey - py), back = arrow ? fmin(9, len / 2) : 0;
    double sx = len > 0 ? ex - (ex - px) / len * back : ex,
           sy = len > 0 ? ey - (ey - py) / len * back : ey; // where the head begins
    if (arrow)
        fprintf(d->f, "e,%.2f,%.2f", ex, d->height - ey);
    double x = xy[0], y = xy[1];
    for (unsigned i = 1; i < npoints; i++) {
        bool last = i == npoints - 1;
        double tx = last ? sx : xy[2 * i], ty = last ? sy : xy[2 * i + 1];
        if (last) {
            straight(d, x, y, tx, ty, i == 1);
            break;
        }
        double nx = xy[2 * i + 2], ny = xy[2 * i + 3];
        double l1 = hypot(tx - x, ty - y), l2 = hypot(nx - tx, ny - ty), r = fmin(CORNER, fmin(l1, l2) / 2);
        if (l1 <= 0 || l2 <= 0)
            continue;
        double bx = tx - (tx - x) / l1 * r, by = ty - (ty - y) / l1 * r, ax = tx + (nx - tx) / l2 * r, ay = ty + (ny - ty) / l2 * r;
        straight(d, x, y, bx, by, i == 1);
        bezier(d, bx, by, bx + (tx - bx) * 0.55, by + (ty - by) * 0.55, ax + (tx - ax) * 0.55, ay + (ty - ay) * 0.55, ax, ay,
               false);
        x = ax;
        y = ay;
    }
    fprintf(d->f, "\", penwidth=%g, color=\"%s\"", pen, ink ? ink : DOT_INK);
    if (style)
        fprintf(d->f, ", style=%s", style);
    if (!arrow)
        fputs(", dir=none", d->f);
    fputs("];\n", d->f);
}

void dot_end(struct dot *d) { fputs("}\n", d->f); }

// --- tables: title row, the caller's rows, caption row

static void head_row(FILE *f, const char *size, const char *ink, bool bold, const char *text)
{
    if (!*text)
        return;
    fprintf(f, "  <TR><TD ALIGN=\"LEFT\"><FONT POINT-SIZE=\"%s\" COLOR=\"%s\">%s", size, ink, bold ? "<B>" : "");
    dot_text(f, text);
    fprintf(f, "%s</FONT></TD></TR>\n", bold ? "</B>" : "");
}

void dot_begin_table(FILE *f, const char *name, const char *title, const char *subtitle, const char *facts)
{
    fputs("// Render with: dot -Tsvg\ndigraph ", f);
    quoted(f, name);
    fputs(" {\n  graph [pad=0.15, bgcolor=white];\n  node [shape=plain, fontname=\"" DOT_SANS
          "\", fontsize=14, fontcolor=\"" DOT_INK
          "\"];\n  figure [label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"4\">\n",
          f);
    head_row(f, "26", DOT_INK, true, title);
    head_row(f, "15", DOT_GREY, false, subtitle);
    head_row(f, "13", DOT_GREY, false, facts);
    fputs("  <TR><TD ALIGN=\"LEFT\" VALIGN=\"TOP\">\n", f);
}

void dot_end_table(FILE *f) { fputs("  </TD></TR></TABLE>>];\n}\n", f); }
