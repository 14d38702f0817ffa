// visualizer/vz.c: the debugger's life, what the scenario says to it, and the loop of a drive.
#include <stdlib.h>
#include <string.h>

#include "visualizer/ui.h"

struct vz *vz_new(const struct vz_options *opt, unsigned theme)
{
    struct vz *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    if (opt)
        v->opt = *opt;
    v->theme = theme;
    v->view = VZ_V_code;
    v->pane[VZ_V_exits].follow_end = v->pane[VZ_V_events].follow_end = v->pane[VZ_V_story].follow_end = true;
    return v;
}

struct vz *vz_open(const struct vz_options *opt, struct sim_error *err)
{
    unsigned theme = 0;
    const char *no_color = getenv("NO_COLOR");
    const char *name = opt && opt->theme ? opt->theme : getenv("RINGSIDE_THEME");
    if (name && *name) {
        int n = vz_theme_by_name(name);
        if (n < 0) {
            sim_fail(err, SIM_USAGE, "debug: unknown theme '%s'; known are default, light, contrast, colour-blind, mono", name);
            return NULL;
        }
        theme = (unsigned)n;
    } else if ((opt && opt->mono) || (no_color && *no_color))
        theme = vz_theme_mono;
    struct vz *v = vz_new(opt, theme);
    if (!v) {
        sim_fail(err, SIM_INTERNAL, "debug: out of memory");
        return NULL;
    }
    if (!vz_term_open(&v->io, opt, theme, err)) {
        vz_close(v);
        return NULL;
    }
    v->grid.ascii = v->io.ascii;
    vz_past_open(v, 0.3);
    vz_message(v, VZ_A_HINT, "Welcome. s steps, c runs, 1-9 change the view, ? lists all keys, q leaves.");
    return v;
}

void vz_close(struct vz *v)
{
    if (!v)
        return;
    if (v->io.close)
        v->io.close(v->io.ctx);
    vz_grid_free(&v->grid);
    vz_past_close(v);
    for (unsigned i = 0; i < v->story.n; i++)
        free(v->story.line[i].text);
    free(v->story.line);
    free(v->play.ent);
    free(v);
}

void vz_message(struct vz *v, enum vz_attr a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->message, sizeof v->message, fmt, ap);
    va_end(ap);
    v->message_attr = a;
}

// --- what the scenario says

void vz_say(struct vz *v, enum vz_saying kind, const char *fmt, ...)
{
    struct vz_story *s = &v->story;
    if (s->n == s->cap) {
        unsigned cap = s->cap ? s->cap * 2 : 64;
        void *p = realloc(s->line, cap * sizeof *s->line);
        if (!p)
            return;
        s->line = p;
        s->cap = cap;
    }
    va_list ap;
    char *text = NULL;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (!text)
        return;
    s->line[s->n].kind = kind;
    s->line[s->n++].text = text;
}

void vz_narrate(struct vz *v, const char *text) { vz_say(v, VZ_SAY_TEXT, "%s", text ? text : ""); }

void vz_check(struct vz *v, bool ok, const char *what, const char *detail)
{
    vz_say(v, ok ? VZ_SAY_OK : VZ_SAY_FAIL, "%s%s%s", what ? what : "", detail && *detail ? ": " : "", detail ? detail : "");
}

void vz_mark(struct vz *v, const struct sim_mark *mark)
{
    vz_say(v, VZ_SAY_MARK, "%s%s%s", mark->name ? mark->name : "?", mark->text ? ": " : "", mark->text ? mark->text : "");
    if (mark->has_la) {
        v->walk_chosen = true;
        v->walk_la = mark->la;
        v->walk_acc = mark->acc;
    }
}

// --- drives

// Continue with what the user asked for in the last drive, unless there is something new to read.
static bool goes_on(const struct vz *v)
{
    if (v->goal == VZ_GOAL_NONE || v->goal == VZ_GOAL_REF)
        return false;
    return v->goal == VZ_GOAL_FINISH || v->goal == VZ_GOAL_WHEN || v->story.n == v->story_seen;
}

static void stop_message(struct vz *v)
{
    const struct sim_stop *s = &v->stop;
    if (s->kind == SIM_STOP_UNTIL || s->kind == SIM_STOP_REQUEST)
        return;
    vz_message(v, s->kind == SIM_STOP_EXIT ? VZ_A_GOOD : VZ_A_BAD, "%s: %s", sim_stop_name(s->kind), s->text);
}

// A stop that nobody asked for is shown before the scenario gets it.
static bool worth_showing(const struct vz *v)
{
    return v->goal != VZ_GOAL_FINISH && v->goal != VZ_GOAL_WHEN &&
           (v->stop.kind == SIM_STOP_SHUTDOWN || v->stop.kind == SIM_STOP_LIMIT || v->stop.kind == SIM_STOP_UNMODELLED);
}

static void ask(struct vz *v)
{
    v->story_seen = v->story.n;
    if (v->m)
        vz_code_stopped(v);
    vz_paint(v);
    vz_key(v, v->io.key(v->io.ctx, true));
}

struct sim_stop vz_drive(struct vz *v, struct sim_machine *m, const struct sim_until *until, bool *quit)
{
    *quit = false;
    vz_run_begin(v, m, until);
    bool shown = false;
    if (!goes_on(v)) {
        if (v->goal != VZ_GOAL_NONE && v->story.n > v->story_seen)
            vz_message(v, VZ_A_HINT, "The scenario: %.250s", v->story.line[v->story.n - 1].text);
        v->goal = VZ_GOAL_NONE;
    }
    while (!v->quit) {
        if (v->goal != VZ_GOAL_NONE && !v->done)
            vz_advance(v);
        if (v->done && !v->play.on) {
            if (shown || !worth_showing(v))
                break;
            shown = true;
            stop_message(v);
            v->goal = VZ_GOAL_NONE;
        }
        ask(v);
        if (v->done && v->goal != VZ_GOAL_NONE)
            break;
    }
    *quit = v->quit;
    if (v->quit && !v->done)
        v->stop = (struct sim_stop){.kind = SIM_STOP_REQUEST, .cpu = v->cpu, .text = "the user left the debugger"};
    stop_message(v);
    vz_run_end(v);
    return v->stop;
}

void vz_finish(struct vz *v, struct sim_machine *m, const char *verdict)
{
    static const struct sim_until none;
    if (v->quit)
        return;
    vz_say(v, VZ_SAY_VERDICT, "%s", verdict && *verdict ? verdict : "The scenario has ended.");
    vz_message(v, VZ_A_HINT, "%.200s  (q leaves)", v->story.line ? v->story.line[v->story.n - 1].text : "");
    v->finished = true;
    if (m)
        vz_run_begin(v, m, &none);
    v->done = true;
    if (v->goal == VZ_GOAL_WHEN)
        vz_past_arrived(v);
    v->goal = VZ_GOAL_NONE;
    if (v->story.n > 1)
        vz_show(v, VZ_V_story);
    while (!v->quit)
        ask(v);
    if (m)
        vz_run_end(v);
}
