// visualizer/vz.h: the ncurses debugger and the diagram writers. Both read machine state and never write it, save through the
// user's explicit commands (:r, :mem).
#ifndef VZ_VZ_H
#define VZ_VZ_H

#include <stdio.h>

#include "sim/inspect.h"
#include "sim/mark.h"

// --- debugger
struct vz;
// theme: default, light, contrast, colour-blind, mono; NULL: what RINGSIDE_THEME names, mono with NO_COLOR, else default.
// ascii: also chosen by a locale without UTF-8. mono: no colour whatever the theme.
struct vz_options {
    const char *theme;
    bool ascii, mono;
};
// Takes the terminal; NULL if there is none, or it cannot place a cursor. Below 60x20 it only says so until it grows.
struct vz *vz_open(const struct vz_options *opt, struct sim_error *err);
// Gives the terminal back and frees v (NULL is allowed). The terminal also comes back at exit() and on every signal that ends the process.
void vz_close(struct vz *v);
// Let the user drive the machine until the condition comes true or the user quits.
struct sim_stop vz_drive(struct vz *v, struct sim_machine *m, const struct sim_until *until, bool *quit);
void vz_narrate(struct vz *v, const char *text);
void vz_check(struct vz *v, bool ok, const char *what, const char *detail);
void vz_mark(struct vz *v, const struct sim_mark *mark);
// The script has ended: stay on screen until the user quits.
void vz_finish(struct vz *v, struct sim_machine *m, const char *verdict);

// --- diagrams: what is a kind of visualizer/draws.def. DOT is written by us; svg, pdf, png by Graphviz (dot -n2 / neato -n2); TikZ is made
// of its svg. path NULL or "-": DOT to out. The format follows the ending of path.
int vz_draw(const char *what, const struct sim_mark *mark, const char *path, FILE *out, struct sim_error *err);
// The same in frames, one file each: walk.svg becomes walk-00.svg, walk-01.svg ... Needs a path. Only walk and timeline have steps.
// warm: a walk as TLBs and paging-structure caches shorten it now.
struct vz_draw_how {
    bool steps, warm;
};
int vz_draw_how(const char *what, const struct sim_mark *mark, const struct vz_draw_how *how, const char *path, FILE *out,
                struct sim_error *err);
const char *vz_draw_kind(unsigned n); // "walk", "gdt" ..., NULL at the end
const char *vz_draw_text(unsigned n);
const char *vz_draw_kinds(char *buf, unsigned size); // all of them, as "walk, gdt, ... and rings"

#endif
