// lua/target.h: measured figures against published ones (lua/targets.def), and the report of `ringside validate`.
//
// A scenario measures: it runs a guest, counts, and calls ringside.target(id, value). The row says what is expected and how near is near
// enough. A miss that the scenario explains (what the model or the guest does differently) is shown as such, with the explanation.
#ifndef LX_TARGET_H
#define LX_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/error.h"

struct lx_target_row {
    const char *id;
    int64_t lowest, highest; // thousandths
    const char *expected, *tolerance, *statement, *source, *needs;
};
extern const struct lx_target_row lx_target_rows[];
extern const unsigned lx_ntarget_rows;

enum lx_verdict { LX_PASS, LX_EXPLAINED, LX_FAIL };
// What a scenario measured.
struct lx_measured {
    const struct lx_target_row *row;
    char got[96];        // the value, with its detail if there is one
    const char *because; // explanation of a miss, or NULL
    enum lx_verdict verdict;
};

// A line chart of the report.
#define LX_PLOT_SERIES 8
#define LX_PLOT_POINTS 64
#define LX_PLOT_NAMES  12
struct lx_plot {
    char name[48]; // of its file, without ending
    char title[128], x[64], y[64];
    bool log_x, log_y; // doubles from tick to tick; y: only if all of it is above 0
    unsigned nnames;
    char names[LX_PLOT_NAMES][32]; // of x = 1, 2, 3 ...; none: numbers
    unsigned nseries;
    struct {
        char name[48];
        unsigned n;
        double x[LX_PLOT_POINTS], y[LX_PLOT_POINTS];
    } series[LX_PLOT_SERIES];
};
void lx_plot_svg(FILE *f, const struct lx_plot *p);

struct lx_validate_options {
    const char *dir;        // of the scenarios: files called v01-v02-what.lua, after the targets that they measure
    const char *guests;     // as in lx_options
    const char *const *ids; // NULL-terminated; empty: all
    const char *report;     // Markdown file, its plots beside it; NULL: none
    FILE *out;
    FILE *
        progress; // which scenario is under way: a line each, or on a terminal one that is written over; in the end the seconds; NULL: nowhere
};
// Measure, print a table, write the report. SIM_OK, or SIM_CHECK_FAILED if a target failed or a scenario did; err says how many.
enum sim_status lx_validate(const struct lx_validate_options *o, struct sim_error *err);

#endif
