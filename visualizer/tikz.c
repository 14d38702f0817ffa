// visualizer/tikz.c: see visualizer/tikz.h. Reads only what Graphviz writes: no entities but the common ones, no nested styles.
#include "visualizer/tikz.h"

#include <stdlib.h>
#include <string.h>

struct tag {
    const char *p, *end; // between < and >
};

// The value of an attribute; false if absent.
static bool attr(const struct tag *t, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *p = t->p; p + n + 2 < t->end; p++) {
        if (p[-1] != ' ' || strncmp(p, name, n) != 0 || p[n] != '=' || p[n + 1] != '"')
            continue;
        const char *from = p + n + 2, *to = memchr(from, '"', (size_t)(t->end - from));
        size_t len = to ? (size_t)(to - from) : 0;
        if (!to || len >= size)
            return false;
        memcpy(out, from, len);
        out[len] = 0;
        return true;
    }
    return false;
}

// A colour as an option of TikZ; false for none.
static bool colour(FILE *f, const char *key, const char *c)
{
    if (!strcmp(c, "none") || !strcmp(c, "transparent"))
        return false;
    if (c[0] == '#' && strlen(c) == 7) {
        unsigned long rgb = strtoul(c + 1, NULL, 16);
        fprintf(f, "%s={rgb,255:red,%lu;green,%lu;blue,%lu},", key, rgb >> 16, rgb >> 8 & 255, rgb & 255);
    } else {
        fprintf(f, "%s=%s,", key, c);
    }
    return true;
}

static void options(FILE *f, const struct tag *t)
{
    char v[64], dash[64];
    fputs("\\path[", f);
    if (attr(t, "fill", v, sizeof v))
        colour(f, "fill", v);
    if (attr(t, "stroke", v, sizeof v) && colour(f, "draw", v)) {
        fprintf(f, "line width=%spt,", attr(t, "stroke-width", v, sizeof v) ? v : "1");
        if (attr(t, "stroke-dasharray", dash, sizeof dash))
            fputs(dash[0] == '1' ? "dotted," : "dashed,", f);
    }
    fputs("] ", f);
}

// The next number of a list of coordinates; NULL at its end.
static const char *number(const char *p, double *v)
{
    char *end;
    while (*p == ' ' || *p == ',')
        p++;
    *v = strtod(p, &end);
    return end == p ? NULL : end;
}

static const char *point(FILE *f, const char *p)
{
    double x, y;
    if (!(p = number(p, &x)) || !(p = number(p, &y)))
        return NULL;
    fprintf(f, "(%.2f,%.2f)", x, y);
    return p;
}

static bool polygon(FILE *f, const struct tag *t, bool closed)
{
    char list[16384];
    if (!attr(t, "points", list, sizeof list))
        return false;
    options(f, t);
    bool more = false;
    for (const char *p = list; *p;) {
        double x;
        if (!number(p, &x))
            break;
        if (more)
            fputs(" -- ", f);
        if (!(p = point(f, p)))
            return false;
        more = true;
    }
    fputs(closed ? " -- cycle;\n" : ";\n", f);
    return true;
}

static bool ellipse(FILE *f, const struct tag *t)
{
    char x[32], y[32], rx[32], ry[32];
    if (!attr(t, "cx", x, sizeof x) || !attr(t, "cy", y, sizeof y) || !attr(t, "rx", rx, sizeof rx) ||
        !attr(t, "ry", ry, sizeof ry))
        return false;
    options(f, t);
    fprintf(f, "(%s,%s) ellipse [x radius=%s,y radius=%s];\n", x, y, rx, ry);
    return true;
}

// Moves and Bezier curves.
static bool path(FILE *f, const struct tag *t)
{
    char d[65536];
    if (!attr(t, "d", d, sizeof d))
        return false;
    options(f, t);
    const char *p = d;
    if (*p++ != 'M' || !(p = point(f, p)))
        return false;
    while (*p == 'C' || *p == 'L' || *p == ' ' || *p == '-' || (*p >= '0' && *p <= '9')) {
        bool line = *p == 'L';
        p += *p == 'C' || *p == 'L';
        fputs(line ? " -- " : " .. controls ", f);
        if (!(p = point(f, p)))
            return false;
        if (line)
            continue;
        fputs(" and ", f);
        if (!(p = point(f, p)))
            return false;
        fputs(" .. ", f);
        if (!(p = point(f, p)))
            return false;
    }
    fputs(*p == 'Z' || *p == 'z' ? " -- cycle;\n" : ";\n", f);
    return *p == 0 || *p == 'Z' || *p == 'z';
}

// Text with XML's entities, as LaTeX.
static void words(FILE *f, const char *p, const char *end)
{
    static const struct {
        const char *xml, *tex;
    } entity[] = {{"&amp;", "\\&"},   {"&lt;", "\\textless{}"}, {"&gt;", "\\textgreater{}"},
                  {"&quot;", "\"{}"}, {"&#39;", "'"},           {"&#45;", "-{}"},
                  {"&#160;", "~"},    {"&apos;", "'"}};
    while (p < end) {
        bool done = false;
        for (unsigned k = 0; *p == '&' && k < sizeof entity / sizeof *entity && !done; k++) {
            size_t n = strlen(entity[k].xml);
            if ((size_t)(end - p) >= n && !memcmp(p, entity[k].xml, n)) {
                fputs(entity[k].tex, f);
                p += n;
                done = true;
            }
        }
        if (done)
            continue;
        switch (*p) {
        case '\\': fputs("\\textbackslash{}", f); break;
        case '^': fputs("\\textasciicircum{}", f); break;
        case '~': fputs("\\textasciitilde{}", f); break;
        case '-': fputs("-{}", f); break; // no dashes
        case '{':
        case '}':
        case '$':
        case '&':
        case '#':
        case '_':
        case '%': fputc('\\', f); /* fall through */
        default: fputc(*p, f);
        }
        p++;
    }
}

static void text(FILE *f, const struct tag *t, const char *from, const char *to)
{
    char x[32] = "0", y[32] = "0", v[256];
    double size = attr(t, "font-size", v, sizeof v) ? strtod(v, NULL) : 14;
    attr(t, "x", x, sizeof x);
    attr(t, "y", y, sizeof y);
    bool start = attr(t, "text-anchor", v, sizeof v) && !strcmp(v, "start"), end = !start && !strcmp(v, "end");
    fprintf(f, "\\node[anchor=base%s,inner sep=0pt,", start ? " west" : end ? " east" : "");
    if (attr(t, "fill", v, sizeof v))
        colour(f, "text", v);
    bool mono = attr(t, "font-family", v, sizeof v) && strstr(v, "Mono");
    // The typewriter face of Latin Modern is narrower than the one that the layout was made for, the sans-serif one as wide.
    fprintf(f, "font=\\fontsize{%.1f}{%.1f}\\%s", size, size, mono ? "ttfamily" : "sffamily");
    if (attr(t, "font-weight", v, sizeof v))
        fputs("\\bfseries", f);
    if (attr(t, "font-style", v, sizeof v))
        fputs("\\itshape", f);
    fprintf(f, "\\selectfont] at (%s,%s) {\\strut ", x, y);
    words(f, from, to);
    fputs("};\n", f);
}

static bool is(const struct tag *t, const char *name)
{
    size_t n = strlen(name);
    return (size_t)(t->end - t->p) >= n && !strncmp(t->p, name, n) && (t->p[n] == ' ' || t->p[n] == '>');
}

bool tikz_of_svg(FILE *out, const char *svg, size_t n)
{
    const char *end = svg + n, *p = memmem(svg, n, "<g ", 3);
    bool ok = p != NULL;
    fputs("% \\input this; needs \\usepackage{tikz,lmodern}. Scale it with \\resizebox.\n\\begin{tikzpicture}[x=1pt,y=-1pt]\n",
          out);
    while (ok && (p = memchr(p, '<', (size_t)(end - p)))) {
        struct tag t = {p + 1, memchr(p, '>', (size_t)(end - p))};
        if (!t.end)
            break;
        p = t.end + 1;
        if (is(&t, "polygon") || is(&t, "polyline"))
            ok = polygon(out, &t, is(&t, "polygon"));
        else if (is(&t, "ellipse"))
            ok = ellipse(out, &t);
        else if (is(&t, "path"))
            ok = path(out, &t);
        else if (is(&t, "text")) {
            const char *to = memchr(p, '<', (size_t)(end - p));
            ok = to != NULL;
            if (ok)
                text(out, &t, p, to);
        } else if (is(&t, "title") || t.p[0] == '!') {
            continue; // names of nodes, comments
        } else if (t.p[0] != '/' && !is(&t, "g"))
            ok = false;
    }
    fputs("\\end{tikzpicture}\n", out);
    return ok;
}
