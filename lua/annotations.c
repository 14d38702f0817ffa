// lua/annotations.c: the API as LuaCATS annotations (---@meta), so that editors complete and check scenarios.
#include <stdlib.h>
#include <string.h>

#include "lua/state.h"

static void doc(struct lx_buf *b, const char *text) { lx_wrap(b, text, strlen(text), "---", 100); }

// The next parameter of a list, at nesting depth 0: its end.
static const char *param_end(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        depth += *s == '(' || *s == '<' || *s == '[';
        depth -= *s == ')' || *s == '>' || *s == ']';
        if (*s == ',' && depth == 0)
            break;
    }
    return s;
}

// "a: type, b?: type" as @param lines; the bare names are collected in `names`.
static void params(struct lx_buf *b, const char *s, struct lx_buf *names)
{
    while (*s) {
        const char *end = param_end(s), *colon = strchr(s, ':');
        int nname = (int)(colon - s), bare = nname - (colon[-1] == '?');
        lx_buf_addf(b, "---@param %.*s %.*s\n", nname, s, (int)(end - colon - 2), colon + 2);
        lx_buf_addf(names, "%s%.*s", names->n ? ", " : "", bare, s);
        s = *end ? end + 2 : end;
    }
}

static void function(struct lx_buf *b, const struct lx_row *row)
{
    struct lx_buf names = {0};
    doc(b, row->text);
    params(b, row->params, &names);
    for (const char *s = row->result; *s;) {
        const char *end = param_end(s);
        lx_buf_addf(b, "---@return %.*s\n", (int)(end - s), s);
        s = *end ? end + 2 : end;
    }
    lx_buf_addf(b, "function %s%s%s(%s) end\n\n", row->klass, strcmp(row->klass, "ringside") ? ":" : ".", row->name,
                names.s ? names.s : "");
    lx_buf_free(&names);
}

static void klass(struct lx_buf *b, unsigned first)
{
    const struct lx_row *c = &lx_rows[first];
    bool global = !strcmp(c->klass, "ringside"), functions = global;
    doc(b, c->text);
    lx_buf_addf(b, "---@class %s%s%s%s\n", global ? "" : "ringside.", c->klass, *c->result ? ": ringside." : "", c->result);
    for (unsigned n = first + 1; n < lx_nrows && lx_rows[n].name; n++) {
        const struct lx_row *row = &lx_rows[n];
        functions = functions || row->fn;
        if (!row->fn)
            lx_buf_addf(b, "---@field %s %s %s\n", row->name, row->params, row->text);
    }
    if (functions)
        lx_buf_addf(b, "%s%s = {}\n", global ? "" : "local ", c->klass);
    lx_buf_addf(b, "\n");
    for (unsigned n = first + 1; n < lx_nrows && lx_rows[n].name; n++)
        if (lx_rows[n].fn)
            function(b, &lx_rows[n]);
}

char *lx_annotations(void)
{
    struct lx_buf b = {0};
    lx_buf_addf(&b, "---@meta\n"
                    "-- Scenario API of Ringside, generated from lua/api.def. Not to be run: it is for editors.\n\n"
                    "---Whose addresses: linear (default), guest-physical or host-physical.\n"
                    "---@alias ringside.Space \"linear\"|\"guest\"|\"host\"\n\n"
                    "---The scenario's own arguments, from the command line.\n"
                    "---@type string[]\n"
                    "arg = {}\n\n");
    for (unsigned n = 0; n < lx_nrows; n++)
        if (!lx_rows[n].name)
            klass(&b, n);
    return b.s;
}
