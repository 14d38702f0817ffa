// lua/validate.c: lx_validate(): runs the scenarios that measure targets, and reports. See lua/target.h.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lua/lx.h"
#include "lua/target.h"

#define MOST_MEASURED 256
#define MOST_PLOTS    32

struct measured {
    const struct lx_target_row *row;
    char got[96], because[400], file[96];
    enum lx_verdict verdict;
};
struct run {
    const struct lx_validate_options *o;
    char file[96]; // under way
    struct measured m[MOST_MEASURED];
    unsigned n, failed_scripts;
    time_t began;
    struct lx_plot *plots;
    unsigned nplots;
};

static bool wanted(const struct run *r, const char *id)
{
    if (!r->o->ids || !r->o->ids[0])
        return true;
    for (unsigned k = 0; r->o->ids[k]; k++)
        if (!strcasecmp(r->o->ids[k], id))
            return true;
    return false;
}

// Does the name of a scenario (v01-v02-what.lua) announce a target that is wanted?
static bool file_wanted(const struct run *r, const char *name)
{
    for (const char *p = name; tolower((unsigned char)p[0]) == 'v' && isdigit((unsigned char)p[1]);) {
        char id[8];
        size_t n = strcspn(p, "-.");
        snprintf(id, sizeof id, "%.*s", (int)n, p);
        if (wanted(r, id))
            return true;
        p += n + (p[n] == '-');
    }
    return false;
}

static void on_measured(void *ctx, const struct lx_measured *x)
{
    struct run *r = ctx;
    if (!wanted(r, x->row->id) || r->n == MOST_MEASURED)
        return;
    struct measured *m = &r->m[r->n++];
    *m = (struct measured){.row = x->row, .verdict = x->verdict};
    snprintf(m->got, sizeof m->got, "%s", x->got);
    snprintf(m->because, sizeof m->because, "%s", x->because ? x->because : "");
    snprintf(m->file, sizeof m->file, "%s", r->file);
}

static void on_plot(void *ctx, const struct lx_plot *p)
{
    struct run *r = ctx;
    if (r->nplots < MOST_PLOTS)
        r->plots[r->nplots++] = *p;
}

static int is_scenario(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && !strcmp(d->d_name + n - 4, ".lua") && d->d_name[0] == 'v';
}

// Which scenario is under way: some take seconds. name NULL: all are done.
static void progress(const struct run *r, unsigned k, unsigned n, const char *name)
{
    FILE *f = r->o->progress;
    if (!f)
        return;
    const bool terminal = isatty(fileno(f));
    if (name)
        fprintf(f, "%smeasuring, %u of %u: %.*s%s", terminal ? "\r\033[K" : "", k, n, (int)strcspn(name, "."), name,
                terminal ? "" : "\n");
    else
        fprintf(f, "%smeasured in %ld s\n", terminal ? "\r\033[K" : "", (long)(time(NULL) - r->began));
    fflush(f);
}

static void run_file(struct run *r, const char *name)
{
    char path[1024];
    struct sim_error err = {0};
    FILE *null = fopen("/dev/null", "w");
    snprintf(path, sizeof path, "%s/%s", r->o->dir, name);
    snprintf(r->file, sizeof r->file, "%s", name);
    const struct lx_options o = {.file = path, .guests = r->o->guests, .out = null};
    const struct lx_hooks hooks = {.ctx = r, .measured = on_measured, .plot = on_plot};
    enum sim_status s = lx_run(&o, &hooks, &err);
    if (s != SIM_OK && s != SIM_CHECK_FAILED) {
        r->failed_scripts++;
        fprintf(r->o->out, "FAIL       %s: %s\n", name, err.what);
    }
    if (null)
        fclose(null);
}

static const struct measured *measured_of(const struct run *r, const struct lx_target_row *row, unsigned *from)
{
    while (*from < r->n)
        if (r->m[(*from)++].row == row)
            return &r->m[*from - 1];
    return NULL;
}

static const char *const verdict_name[] = {"PASS", "EXPLAINED", "FAIL"};

static void print_table(const struct run *r, FILE *f)
{
    for (unsigned k = 0; k < lx_ntarget_rows; k++) {
        const struct lx_target_row *t = &lx_target_rows[k];
        const struct measured *m;
        for (unsigned from = 0; (m = measured_of(r, t, &from));) {
            fprintf(f, "%-10s %-4s %s [%s]\n", verdict_name[m->verdict], t->id, t->statement, t->source);
            const bool words = !strncmp(m->got, "holds", 5) || !strncmp(m->got, "does not", 8);
            fprintf(f, "%-15s expected %s (%s)%s %s\n", "", t->expected, t->tolerance, words ? ":" : ", got", m->got);
            if (m->because[0])
                fprintf(f, "%-15s %s\n", "", m->because);
        }
    }
}

// Targets that no scenario measured; returns how many.
static unsigned uncovered(const struct run *r, FILE *f, bool markdown)
{
    unsigned n = 0;
    for (unsigned k = 0; k < lx_ntarget_rows; k++) {
        const struct lx_target_row *t = &lx_target_rows[k];
        unsigned from = 0;
        if (!wanted(r, t->id) || measured_of(r, t, &from))
            continue;
        n++;
        if (markdown)
            fprintf(f, "| %s | %s | %s |\n", t->id, t->statement, t->needs[0] ? t->needs : "a scenario");
        else
            fprintf(f, "%-10s %-4s %s: needs %s\n", "not yet", t->id, t->statement, t->needs[0] ? t->needs : "a scenario");
    }
    return n;
}

static void markdown(const struct run *r, FILE *f)
{
    fputs("# Validation\n\nPublished figures and what guest programs measure on the model: written by `make validate`. Each value "
          "is counted from events of a "
          "guest that ran; the scenarios are in `scenarios/validate/`, the rows in `lua/targets.def`.\n\n"
          "| id | statement | expected | tolerance | got | verdict | source |\n|---|---|---|---|---|---|---|\n",
          f);
    for (unsigned k = 0; k < lx_ntarget_rows; k++) {
        const struct lx_target_row *t = &lx_target_rows[k];
        const struct measured *m;
        for (unsigned from = 0; (m = measured_of(r, t, &from));)
            fprintf(f, "| %s | %s | %s | %s | %s | %s%s%s | %s |\n", t->id, t->statement, t->expected, t->tolerance, m->got,
                    verdict_name[m->verdict], m->because[0] ? ": " : "", m->because, t->source);
    }
    fputs("\n## Not measured\n\n| id | statement | needs |\n|---|---|---|\n", f);
    uncovered(r, f, true);
    if (r->nplots)
        fputs("\n## Plots\n", f);
    for (unsigned k = 0; k < r->nplots; k++)
        fprintf(f, "\n![%s](validation-%s.svg)\n", r->plots[k].title, r->plots[k].name);
}

static FILE *create(const char *path, struct sim_error *err)
{
    FILE *f = fopen(path, "w");
    if (!f)
        sim_fail(err, SIM_USAGE, "validate: %s cannot be written: %s", path, strerror(errno));
    return f;
}

static int write_report(const struct run *r, struct sim_error *err)
{
    FILE *f = create(r->o->report, err);
    if (!f)
        return -1;
    markdown(r, f);
    bool bad = fclose(f) != 0;
    const char *slash = strrchr(r->o->report, '/');
    for (unsigned k = 0; k < r->nplots && !bad; k++) {
        char path[1200];
        snprintf(path, sizeof path, "%.*svalidation-%s.svg", (int)(slash ? slash + 1 - r->o->report : 0), r->o->report,
                 r->plots[k].name);
        if (!(f = create(path, err)))
            return -1;
        lx_plot_svg(f, &r->plots[k]);
        bad = fclose(f) != 0;
    }
    return bad ? sim_fail(err, SIM_USAGE, "validate: %s and its plots could not be written whole", r->o->report) : 0;
}

static int check_ids(const struct lx_validate_options *o, struct sim_error *err)
{
    for (unsigned n = 0; o->ids && o->ids[n]; n++) {
        bool known = false;
        for (unsigned k = 0; k < lx_ntarget_rows; k++)
            known |= !strcasecmp(lx_target_rows[k].id, o->ids[n]);
        if (!known)
            return sim_fail(err, SIM_USAGE,
                            "validate: no target %s; they are V01 to V55 and V70 to V76; ringside validate lists them", o->ids[n]);
    }
    return 0;
}

enum sim_status lx_validate(const struct lx_validate_options *o, struct sim_error *err)
{
    struct dirent **names;
    struct run *r = calloc(1, sizeof *r);
    unsigned count[3] = {0};
    if (!r || !(r->plots = calloc(MOST_PLOTS, sizeof *r->plots)))
        return free(r), sim_fail(err, SIM_INTERNAL, "validate: out of memory"), err->status;
    r->o = o;
    r->began = time(NULL);
    int n = check_ids(o, err) < 0 ? -2 : scandir(o->dir, &names, is_scenario, alphasort);
    if (n == -1)
        sim_fail(err, SIM_USAGE, "validate: %s: %s", o->dir, strerror(errno));
    unsigned files = 0, nth = 0;
    for (int k = 0; k < n; k++)
        files += file_wanted(r, names[k]->d_name);
    for (int k = 0; k < n; k++) {
        if (file_wanted(r, names[k]->d_name)) {
            progress(r, ++nth, files, names[k]->d_name);
            run_file(r, names[k]->d_name);
        }
        free(names[k]);
    }
    if (n >= 0) {
        free(names);
        progress(r, nth, files, NULL);
        print_table(r, o->out);
        for (unsigned k = 0; k < r->n; k++)
            count[r->m[k].verdict]++;
        unsigned missing = uncovered(r, o->out, false);
        fprintf(o->out, "\n%u targets: %u passed, %u missed and explained, %u failed; %u not measured\n", r->n + missing,
                count[LX_PASS], count[LX_EXPLAINED], count[LX_FAIL], missing);
        if ((!o->report || write_report(r, err) == 0) && count[LX_FAIL] + r->failed_scripts)
            sim_fail(err, SIM_CHECK_FAILED, "validate: %u targets and %u scenarios failed", count[LX_FAIL], r->failed_scripts);
    }
    free(r->plots);
    free(r);
    return err->status;
}
