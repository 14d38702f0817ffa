// lua/plot.c: a line chart as SVG, without any other program.
#include <math.h>
#include <string.h>

#include "lua/target.h"

enum { W = 760, H = 420, LEFT = 84, RIGHT = 24, TOP = 56, BOTTOM = 64 };
enum { ENTRIES = 4, ENTRY_H = 18 }; // of the legend: in a row; height of a row

struct scale {
    double lo, hi;
    bool log;
    double from, to; // on the page
};
static double at(const struct scale *s, double v)
{
    double a = s->log ? log2(s->lo) : s->lo, b = s->log ? log2(s->hi) : s->hi, x = s->log ? log2(v) : v;
    return b > a ? s->from + (x - a) / (b - a) * (s->to - s->from) : (s->from + s->to) / 2;
}

// A point of series n: apart without colours, too, and two that lie on each other can both be seen, as every other one is hollow.
static void marker(FILE *f, unsigned n, const char *ink, double x, double y)
{
    static const char *const shape[] = {"M-3,0 a3,3 0 1,0 6,0 a3,3 0 1,0 -6,0", "M-4.5,-4.5 h9 v9 h-9 z",
                                        "M0,-4.5 L4.5,3.5 H-4.5 z", "M0,-6 L6,0 L0,6 L-6,0 z"};
    fprintf(f, "<path d=\"%s\" transform=\"translate(%.1f %.1f)\" fill=\"%s\" stroke=\"%s\"/>\n", shape[n % 4], x, y,
            (n + n / 4) % 2 ? "none" : ink, ink);
}

static void text(FILE *f, double x, double y, const char *anchor, int size, const char *extra, const char *s)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\"%s>", x, y, anchor, size, extra);
    for (; *s; s++)
        if (*s == '<' || *s == '>' || *s == '&')
            fprintf(f, "&#%d;", *s);
        else
            fputc(*s, f);
    fputs("</text>\n", f);
}

// A round step that gives at most eight ticks.
static double step_of(double range)
{
    double p = pow(10, floor(log10(range / 8)));
    for (unsigned k = 0;; k++) {
        static const double mantissa[] = {1, 2, 5, 10, 20};
        if (range / (mantissa[k] * p) <= 8 || k == 4)
            return mantissa[k] * p;
    }
}

static void bounds(const struct lx_plot *p, struct scale *x, struct scale *y)
{
    bool any = false;
    double least = INFINITY;
    y->lo = y->hi = 0;
    for (unsigned s = 0; s < p->nseries; s++)
        for (unsigned k = 0; k < p->series[s].n; k++) {
            double v = p->series[s].x[k];
            x->lo = any ? fmin(x->lo, v) : v;
            x->hi = any ? fmax(x->hi, v) : v;
            y->hi = fmax(y->hi, p->series[s].y[k]);
            least = fmin(least, p->series[s].y[k]);
            any = true;
        }
    if (y->hi <= 0)
        y->hi = 1;
    y->hi *= 1.05;
    y->log = p->log_y && any && least > 0;
    if (y->log)
        y->lo = exp2(floor(log2(least)));
    if (p->nnames)
        *x = (struct scale){.lo = 0.5, .hi = p->nnames + 0.5, .from = x->from, .to = x->to};
    if (x->log && !(x->lo > 0))
        x->log = false;
}

static void axes(FILE *f, const struct lx_plot *p, const struct scale *x, const struct scale *y)
{
    char t[48];
    double dy = step_of(y->hi), dx = x->hi > x->lo ? step_of(x->hi - x->lo) : 1;
    for (double v = y->lo; v <= y->hi; v = y->log ? v * 2 : v + dy) {
        fprintf(f, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#d8d8d8\"/>\n", LEFT, W - RIGHT, at(y, v), at(y, v));
        snprintf(t, sizeof t, "%g", v);
        text(f, LEFT - 8, at(y, v) + 4, "end", 12, "", t);
    }
    for (unsigned k = 0; k < p->nnames; k++)
        text(f, at(x, k + 1), H - BOTTOM + 18, "middle", 12, "", p->names[k]);
    for (double v = x->log ? x->lo : ceil(x->lo / dx) * dx; !p->nnames && v <= x->hi * 1.0001; v = x->log ? v * 2 : v + dx) {
        snprintf(t, sizeof t, "%g", v);
        text(f, at(x, v), H - BOTTOM + 18, "middle", 12, "", t);
    }
    fprintf(f, "<path d=\"M%d,%d V%d H%d\" fill=\"none\" stroke=\"#1a1a1a\"/>\n", LEFT, TOP, H - BOTTOM, W - RIGHT);
    text(f, (LEFT + W - RIGHT) / 2.0, H - BOTTOM + 38, "middle", 13, "", p->x);
    char turn[64];
    snprintf(turn, sizeof turn, " transform=\"rotate(-90 18 %d)\"", (TOP + H - BOTTOM) / 2);
    text(f, 18, (TOP + H - BOTTOM) / 2.0, "middle", 13, turn, p->y);
    text(f, LEFT, 24, "start", 16, " font-weight=\"bold\"", p->title);
}

void lx_plot_svg(FILE *f, const struct lx_plot *p)
{
    static const char *const ink[] = {"#2f5f98", "#c06000", "#3b2300", "#5f8f3f", "#7a4f9a", "#9a9a9a", "#101010", "#b03060"};
    static const char *const dash[] = {"",    "7,3",  "2,3", "9,3,2,3",
                                       "4,2", "14,4", "1,2", "9,2,2,2,2,2"}; // apart without colours, too
    struct scale x = {.log = p->log_x, .from = LEFT, .to = W - RIGHT}, y = {.from = H - BOTTOM, .to = TOP};
    const unsigned columns = p->nseries < ENTRIES ? p->nseries : ENTRIES;
    const int h = H + (p->nseries ? (int)(p->nseries - 1) / ENTRIES * ENTRY_H : 0);
    bounds(p, &x, &y);
    fprintf(
        f,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"Helvetica,Arial,"
        "Liberation Sans,sans-serif\" fill=\"#1a1a1a\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
        W, h, W, h, W, h);
    axes(f, p, &x, &y);
    for (unsigned s = 0; s < p->nseries; s++) {
        fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.2\" stroke-dasharray=\"%s\" points=\"", ink[s], dash[s]);
        for (unsigned k = 0; k < p->series[s].n; k++)
            fprintf(f, "%.1f,%.1f ", at(&x, p->series[s].x[k]), at(&y, p->series[s].y[k]));
        fputs("\"/>\n", f);
        for (unsigned k = 0; k < p->series[s].n; k++)
            marker(f, s, ink[s], at(&x, p->series[s].x[k]), at(&y, p->series[s].y[k]));
        const double lx = LEFT + s % ENTRIES * (double)(W - LEFT - RIGHT) / columns;
        const int ly = H - 12 + (int)(s / ENTRIES) * ENTRY_H;
        fprintf(f,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"2.2\" stroke-dasharray=\"%s\"/>\n",
                lx, lx + 32, ly, ly, ink[s], dash[s]);
        marker(f, s, ink[s], lx + 16, ly);
        text(f, lx + 38, ly + 4, "start", 12, "", p->series[s].name);
    }
    fputs("</svg>\n", f);
}
