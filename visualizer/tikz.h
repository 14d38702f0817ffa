// visualizer/tikz.h: a picture as TikZ, for LaTeX and beamer.
//
// Graphviz lays a figure out and writes SVG of a few plain shapes; each becomes one TikZ command with the same coordinates, in points.
// The result is one tikzpicture to \input (packages tikz and lmodern, whose fonts come in every size).
#ifndef VZ_TIKZ_H
#define VZ_TIKZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// False: there is something in the SVG that is none of these shapes.
bool tikz_of_svg(FILE *out, const char *svg, size_t n);

#endif
