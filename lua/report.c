// lua/report.c: narrative, checks, marks and counters as text, TAP or JSON.
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/report.h"
#include "sim/inspect.h"
#include "sim/json.h"

void rep_open(struct lx_report *r, const struct lx_options *opt, const struct lx_hooks *hooks)
{
    *r = (struct lx_report){.opt = opt, .hooks = hooks, .out = opt->out ? opt->out : stdout, .format = opt->format, .fresh = true};
    if (r->format == LX_TAP)
        fputs("TAP version 13\n", r->out);
}

void rep_free(struct lx_report *r)
{
    struct lx_buf *all[] = {&r->title, &r->narrative, &r->check_items, &r->result_items, &r->mark_items, &r->machine_items};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        lx_buf_free(all[k]);
    free(r->machines);
}

bool rep_full(const struct lx_report *r)
{
    return r->told > LX_MAX_REPORT || r->title.full || r->narrative.full || r->check_items.full || r->result_items.full ||
           r->mark_items.full || r->machine_items.full;
}

// Lines as TAP comments: "# " before each, bare "#" for empty ones.
static void tap_comment(FILE *out, const char *s, size_t n)
{
    for (size_t k = 0; k < n;) {
        const char *nl = memchr(s + k, '\n', n - k);
        size_t end = nl ? (size_t)(nl - s) : n;
        fputs(end > k ? "# " : "#", out);
        lx_put_text(out, s + k, end - k);
        fputc('\n', out);
        k = end + 1;
    }
}

// An item of one of the lists, all of which begin with a comma. Returns where it begins, for its end.
static size_t item_open(struct lx_buf *b)
{
    const size_t before = b->n;
    lx_buf_add(b, ",{", 2);
    return before;
}

static void item_close(struct lx_buf *b, size_t before)
{
    lx_buf_add(b, "}", 1);
    lx_buf_whole(b, before);
}

static void json_item(struct lx_buf *b, const char *kind, const char *text, size_t n)
{
    const size_t before = item_open(b);
    lx_buf_key(b, "kind");
    lx_buf_json(b, kind, strlen(kind));
    lx_buf_key(b, "text");
    lx_buf_json(b, text, n);
    item_close(b, before);
}

// Text that is ready to print, to wherever narrative goes. `gap`: an empty line before it.
static void narrate(struct lx_report *r, const char *kind, const char *raw, size_t nraw, struct lx_buf *ready, bool gap)
{
    r->told += nraw;
    if (r->format == LX_JSON) {
        json_item(&r->narrative, kind, raw, nraw);
    } else if (r->opt->quiet) {
        return;
    } else if (r->format == LX_TAP) {
        tap_comment(r->out, ready->s, ready->n);
    } else if (r->hooks->narrate) {
        if (ready->s)
            r->hooks->narrate(r->hooks->ctx, ready->s);
    } else {
        if (gap && !r->fresh)
            fputc('\n', r->out);
        lx_put_text(r->out, ready->s, ready->n);
        r->fresh = false;
        r->tight = !gap;
    }
}

static void heading(struct lx_report *r, const char *kind, const char *text, size_t n, char line)
{
    struct lx_buf b = {0};
    lx_buf_add(&b, text, n);
    lx_buf_add(&b, "\n", 1);
    for (size_t k = lx_width(text, n); k > 0; k--)
        lx_buf_add(&b, &line, 1);
    lx_buf_add(&b, "\n", 1);
    narrate(r, kind, text, n, &b, true);
    lx_buf_free(&b);
}

void rep_title(struct lx_report *r, const char *text, size_t n)
{
    r->title.n = 0;
    if (r->format == LX_JSON) {
        lx_buf_json(&r->title, text, n);
        lx_buf_whole(&r->title, 0);
    }
    heading(r, "title", text, n, '=');
}

void rep_section(struct lx_report *r, const char *text, size_t n) { heading(r, "section", text, n, '-'); }

void rep_say(struct lx_report *r, const char *text, size_t n)
{
    struct lx_buf b = {0};
    // TAP and hooks add their own margin, so that lines stay within 80 columns there too.
    lx_wrap(&b, text, n, "", LX_COLUMNS - (r->format == LX_TAP ? 2 : 0));
    narrate(r, "say", text, n, &b, true);
    lx_buf_free(&b);
}

static void lines(struct lx_report *r, const char *kind, const char *text, size_t n, bool gap)
{
    struct lx_buf b = {0};
    lx_buf_add(&b, text, n);
    if (!n || text[n - 1] != '\n')
        lx_buf_add(&b, "\n", 1);
    narrate(r, kind, text, n, &b, gap);
    lx_buf_free(&b);
}

void rep_verbatim(struct lx_report *r, const char *text, size_t n) { lines(r, "lines", text, n, false); }
void rep_table(struct lx_report *r, const char *text, size_t n) { lines(r, "table", text, n, true); }

// A test point's description: one line, with TAP's directive sign escaped.
static void tap_line(FILE *out, const char *s)
{
    for (size_t n; *s; s += n) {
        n = strcspn(s, "#\\\r\n");
        lx_put_text(out, s, n);
        if (!n) {
            fputs(*s == '#' ? "\\#" : *s == '\\' ? "\\\\" : " ", out);
            n = 1;
        }
    }
}

// A YAML value in double quotes; JSON strings are YAML strings.
static void tap_yaml(FILE *out, const char *key, const char *value)
{
    if (!value)
        return;
    struct lx_buf b = {0};
    lx_buf_json(&b, value, strlen(value));
    if (b.s)
        fprintf(out, "  %s: %s\n", key, b.s);
    lx_buf_free(&b);
}

static void check_json(struct lx_report *r, bool ok, const char *what, const char *const pairs[][2], size_t npairs)
{
    struct lx_buf *b = &r->check_items;
    const size_t before = item_open(b);
    lx_buf_key(b, "ok");
    lx_buf_addf(b, "%s", ok ? "true" : "false");
    lx_buf_key(b, "message");
    lx_buf_json(b, what, strlen(what));
    for (size_t k = 0; k < npairs; k++) {
        if (!pairs[k][1])
            continue;
        lx_buf_key(b, pairs[k][0]);
        lx_buf_json(b, pairs[k][1], strlen(pairs[k][1]));
    }
    item_close(b, before);
}

static void check_text(struct lx_report *r, bool ok, const char *what, const char *const pairs[][2], size_t npairs)
{
    if (ok && r->opt->quiet)
        return;
    struct lx_buf b = {0};
    lx_wrap(&b, what, strlen(what), "        ", LX_COLUMNS);
    if (b.n >= 8)
        memcpy(b.s, ok ? "  ok    " : "  FAIL  ", 8);
    if (!ok)
        for (size_t k = 0; k < npairs; k++)
            if (pairs[k][1]) {
                struct lx_buf line = {0};
                lx_buf_addf(&line, "%s: %s", pairs[k][0], pairs[k][1]);
                lx_wrap(&b, line.s, line.n, "        ", LX_COLUMNS);
                lx_buf_free(&line);
            }
    if (!r->tight && !r->fresh)
        fputc('\n', r->out);
    lx_put_text(r->out, b.s, b.n);
    r->fresh = false;
    r->tight = true;
    lx_buf_free(&b);
}

void rep_check(struct lx_report *r, bool ok, const char *what, const char *detail, const char *where, const char *got,
               const char *want)
{
    const char *const pairs[][2] = {
        {"at", ok ? NULL : where}, {"got", ok ? NULL : got}, {"want", ok ? NULL : want}, {"detail", detail}};
    size_t npairs = sizeof pairs / sizeof *pairs;
    r->checks++;
    r->failed += !ok;
    r->told += strlen(what) + 100; // and what stands around it
    if (r->format == LX_JSON) {
        check_json(r, ok, what, pairs, npairs);
    } else if (r->format == LX_TAP) {
        fprintf(r->out, "%s %u - ", ok ? "ok" : "not ok", r->checks);
        tap_line(r->out, what);
        fputc('\n', r->out);
        if (!ok) {
            fputs("  ---\n", r->out);
            for (size_t k = 0; k < npairs; k++)
                tap_yaml(r->out, pairs[k][0], pairs[k][1]);
            fputs("  ...\n", r->out);
        }
    } else if (r->hooks->check) {
        struct lx_buf b = {0};
        for (size_t k = 0; k < npairs; k++)
            if (pairs[k][1])
                lx_buf_addf(&b, "%s%s: %s", b.n ? "; " : "", pairs[k][0], pairs[k][1]);
        r->hooks->check(r->hooks->ctx, ok, what, b.s);
        lx_buf_free(&b);
    } else {
        check_text(r, ok, what, pairs, npairs);
    }
}

void rep_mark(struct lx_report *r, const struct sim_mark *mark)
{
    r->marks++;
    if (r->hooks->mark && r->format != LX_JSON)
        return; // who takes marks shows them
    if (r->format != LX_JSON) {
        struct lx_buf b = {0};
        lx_buf_addf(&b, "  mark  %s%s%s\n", mark->name, mark->text ? ": " : "", mark->text ? mark->text : "");
        narrate(r, "mark", b.s, b.n, &b, !r->tight);
        r->tight = true;
        lx_buf_free(&b);
        return;
    }
    struct lx_buf *b = &r->mark_items;
    const size_t before = item_open(b);
    lx_buf_key(b, "name");
    lx_buf_json(b, mark->name, strlen(mark->name));
    if (mark->text) {
        lx_buf_key(b, "text");
        lx_buf_json(b, mark->text, strlen(mark->text));
    }
    lx_buf_key(b, "cycle");
    lx_buf_addf(b, "%" PRIu64, sim_cpu(mark->m, mark->cpu)->cycles);
    if (mark->has_la) {
        lx_buf_key(b, "la");
        lx_buf_addf(b, "\"0x%" PRIx64 "\"", mark->la);
    }
    item_close(b, before);
}

void rep_result(struct lx_report *r, const char *name, const char *value, bool bare)
{
    if (r->format == LX_JSON) {
        struct lx_buf *b = &r->result_items;
        const size_t before = item_open(b);
        lx_buf_key(b, "name");
        lx_buf_json(b, name, strlen(name));
        lx_buf_key(b, "value");
        if (bare)
            lx_buf_add(b, value, strlen(value));
        else
            lx_buf_json(b, value, strlen(value));
        item_close(b, before);
        return;
    }
    char line[300];
    int n = snprintf(line, sizeof line, "  %s = %s", name, value);
    rep_verbatim(r, line, (size_t)n);
}

static void machine_json(struct lx_buf *b, struct sim_machine *m, unsigned n, bool hash)
{
    const size_t before = item_open(b);
    lx_buf_key(b, "machine");
    lx_buf_addf(b, "%u", n);
    lx_buf_key(b, "profile");
    lx_buf_json(b, sim_profile_name(m), strlen(sim_profile_name(m)));
    lx_buf_key(b, "cycles");
    lx_buf_addf(b, "%" PRIu64, sim_now(m));
    lx_buf_key(b, "insns");
    lx_buf_addf(b, "%" PRIu64, sim_insns(m));
    if (hash) {
        lx_buf_key(b, "state_hash");
        lx_buf_addf(b, "\"%016" PRIx64 "\"", sim_state_hash(m));
        lx_buf_key(b, "event_hash");
        lx_buf_addf(b, "\"%016" PRIx64 "\"", sim_event_hash(m));
    }
    lx_buf_key(b, "stats");
    lx_buf_add(b, "{", 1);
    const char *name;
    for (unsigned k = 0; (name = sim_stat_name(k)) != NULL; k++) {
        uint64_t v = 0, one;
        for (unsigned cpu = 0; sim_stat(m, cpu, name, &one); cpu++)
            v += one;
        lx_buf_key(b, name);
        lx_buf_addf(b, "%" PRIu64, v);
    }
    lx_buf_add(b, "}", 1);
    item_close(b, before);
}

// The item that begins at b->n == before goes behind those of machines with lower numbers: in which order Lua's garbage collector closes machines, nobody
// can foresee.
static void put_in_order(struct lx_report *r, unsigned n, size_t before)
{
    struct lx_buf *b = &r->machine_items;
    const size_t size = b->n - before;
    if (!size)
        return; // it did not fit
    r->machines = realloc(r->machines, (r->nmachines + 1) * sizeof *r->machines);
    char *item = malloc(size);
    assert(r->machines && item);
    size_t at = before, k = r->nmachines++;
    for (; k && r->machines[k - 1].machine > n; k--) {
        at -= r->machines[k - 1].size;
        r->machines[k] = r->machines[k - 1];
    }
    r->machines[k] = (struct lx_machine_item){n, size};
    memcpy(item, b->s + before, size);
    memmove(b->s + at + size, b->s + at, before - at);
    memcpy(b->s + at, item, size);
    free(item);
}

void rep_machine(struct lx_report *r, struct sim_machine *m, unsigned n)
{
    struct lx_buf *b = &r->machine_items;
    const size_t before = b->n;
    if (r->format == LX_JSON)
        machine_json(b, m, n, r->opt->hash);
    else if (r->opt->hash)
        lx_buf_addf(b, "%smachine %u: state %016" PRIx64 " events %016" PRIx64 " cycles %" PRIu64 " insns %" PRIu64 "\n",
                    r->format == LX_TAP ? "# " : "", n, sim_state_hash(m), sim_event_hash(m), sim_now(m), sim_insns(m));
    put_in_order(r, n, before);
}

// The document goes out piece by piece: together its parts may be longer than one buffer holds.
static void put_items(FILE *out, const char *key, const struct lx_buf *items)
{
    fprintf(out, ",\"%s\":[", key);
    if (items->n)
        fwrite(items->s + 1, 1, items->n - 1, out);
    fputc(']', out);
}

static void close_json(struct lx_report *r, enum sim_status status, const char *error)
{
    fputs("{\"schema\":\"ringside-run\",\"version\":1,\"file\":", r->out);
    json_string(r->out, r->opt->file);
    fprintf(r->out, ",\"title\":%s,\"status\":%u", r->title.n ? r->title.s : "\"\"", (unsigned)status);
    if (error) {
        fputs(",\"error\":", r->out);
        json_string(r->out, error);
    }
    put_items(r->out, "narrative", &r->narrative);
    put_items(r->out, "checks", &r->check_items);
    put_items(r->out, "results", &r->result_items);
    put_items(r->out, "marks", &r->mark_items);
    put_items(r->out, "machines", &r->machine_items);
    fputs("}\n", r->out);
}

static void close_tap(struct lx_report *r, const char *error)
{
    if (error) {
        fputs("Bail out! ", r->out);
        tap_line(r->out, error);
        fputc('\n', r->out);
    } else if (r->checks) {
        fprintf(r->out, "1..%u\n", r->checks);
    } else {
        fputs("1..0 # SKIP the scenario checks nothing\n", r->out);
    }
}

void rep_close(struct lx_report *r, enum sim_status status, const char *error)
{
    if (r->format == LX_JSON) {
        close_json(r, status, error);
        return;
    }
    if (r->machine_items.s)
        fwrite(r->machine_items.s, 1, r->machine_items.n, r->out);
    if (r->format == LX_TAP) {
        close_tap(r, error);
    } else if (!r->hooks->check && r->checks && !error) {
        const char *gap = r->fresh ? "" : "\n";
        if (r->failed)
            fprintf(r->out, "%s%u of %u checks failed.\n", gap, r->failed, r->checks);
        else if (!r->opt->quiet)
            fprintf(r->out, "%s%u of %u checks held.\n", gap, r->checks, r->checks);
    }
    fflush(r->out);
}
