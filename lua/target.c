// lua/target.c: ringside.target() and ringside.plot(): see lua/target.h.
#include "lua/target.h"

#include <string.h>

#include "lua/api.h"
#include "lua/state.h"

const struct lx_target_row lx_target_rows[] = {
#define T(...) {__VA_ARGS__},
#include "lua/targets.def"
#undef T
};
const unsigned lx_ntarget_rows = sizeof lx_target_rows / sizeof *lx_target_rows;

static const char *target_id(const void *ctx, unsigned n) { return n < lx_ntarget_rows ? lx_target_rows[n].id : NULL; }

static const struct lx_target_row *find(lua_State *L, const char *id)
{
    for (unsigned k = 0; k < lx_ntarget_rows; k++)
        if (!strcmp(lx_target_rows[k].id, id))
            return &lx_target_rows[k];
    const char *near = lx_nearest(id, target_id, NULL);
    lx_error(L, SIM_SCRIPT, "no target is called '%.20s'%s%s%s", id, near ? "; did you mean '" : "", near ? near : "",
             near ? "'?" : "");
    return NULL;
}

// A measured value in thousandths, and as text.
static int64_t value(lua_State *L, int idx, char *text, size_t size)
{
    if (lua_isboolean(L, idx)) {
        snprintf(text, size, "%s", lua_toboolean(L, idx) ? "holds" : "does not hold");
        return lua_toboolean(L, idx) ? 1000 : 0;
    }
    if (lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointeger(L, idx);
        luaL_argcheck(L, v > -1000000000000 && v < 1000000000000, idx, "a number below 1e12");
        snprintf(text, size, "%lld", (long long)v);
        return v * 1000;
    }
    double v = luaL_checknumber(L, idx);
    luaL_argcheck(L, v > -1e12 && v < 1e12, idx, "a number below 1e12");
    int64_t t = (int64_t)(v * 1000 + (v < 0 ? -0.5 : 0.5));
    snprintf(text, size, "%s%lld.%03u", t < 0 ? "-" : "", (long long)(t < 0 ? -t : t) / 1000, (unsigned)((t < 0 ? -t : t) % 1000));
    return t;
}

int lx_s_target(lua_State *L)
{
    struct lx *lx = lx_of(L);
    lx_check_alive(L);
    struct lx_measured m = {.row = find(L, luaL_checkstring(L, 1)), .because = luaL_optstring(L, 4, NULL)};
    int64_t v = value(L, 2, m.got, sizeof m.got);
    const char *detail = luaL_optstring(L, 3, NULL);
    size_t n = strlen(m.got);
    if (detail)
        snprintf(m.got + n, sizeof m.got - n, " (%s)", detail);
    bool met = v >= m.row->lowest && v <= m.row->highest;
    m.verdict = met ? LX_PASS : m.because ? LX_EXPLAINED : LX_FAIL;
    if (met)
        m.because = NULL;
    char what[256];
    snprintf(what, sizeof what, "%s %s", m.row->id, m.row->statement);
    rep_check(&lx->rep, m.verdict != LX_FAIL, what, m.because, NULL, m.got, m.row->expected);
    if (lx->hooks.measured)
        lx->hooks.measured(lx->hooks.ctx, &m);
    lua_pushboolean(L, met);
    return 1;
}

// --- plots

static void text_field(lua_State *L, const char *key, char *out, size_t size)
{
    const char *s = lx_opt_string(L, 1, key);
    if (!s)
        lx_error(L, SIM_SCRIPT, "plot: %s is missing", key);
    snprintf(out, size, "%s", s);
}

// The series at the top: {name, {x, y}, {x, y} ...}
static void add_series(lua_State *L, struct lx_plot *p)
{
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_rawgeti(L, -1, 1);
    snprintf(p->series[p->nseries].name, sizeof p->series[0].name, "%s", luaL_checkstring(L, -1));
    lua_pop(L, 1);
    for (lua_Integer k = 2; lua_rawgeti(L, -1, k) == LUA_TTABLE; k++) {
        unsigned n = p->series[p->nseries].n;
        if (n == LX_PLOT_POINTS)
            lx_error(L, SIM_SCRIPT, "plot: at most %d points", LX_PLOT_POINTS);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        p->series[p->nseries].x[n] = luaL_checknumber(L, -2);
        p->series[p->nseries].y[n] = luaL_checknumber(L, -1);
        p->series[p->nseries].n++;
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
    p->nseries++;
}

// {"Prescott", "Merom" ...}: what stands at x = 1, 2 ...
static void add_names(lua_State *L, struct lx_plot *p)
{
    if (lua_getfield(L, 1, "names") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        for (lua_Integer k = 1; lua_rawgeti(L, -1, k) != LUA_TNIL; k++) {
            if (p->nnames == LX_PLOT_NAMES)
                lx_error(L, SIM_SCRIPT, "plot: at most %d names", LX_PLOT_NAMES);
            snprintf(p->names[p->nnames++], sizeof p->names[0], "%s", luaL_checkstring(L, -1));
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int lx_s_plot(lua_State *L)
{
    static const char *const keys[] = {"name", "title", "x", "y", "log_x", "log_y", "names", "series", NULL};
    struct lx *lx = lx_of(L);
    lx_check_alive(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lx_opt_keys(L, 1, "ringside.plot", keys);
    struct lx_plot *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    text_field(L, "name", p->name, sizeof p->name);
    text_field(L, "title", p->title, sizeof p->title);
    text_field(L, "x", p->x, sizeof p->x);
    text_field(L, "y", p->y, sizeof p->y);
    p->log_x = lx_opt_bool(L, 1, "log_x", false);
    p->log_y = lx_opt_bool(L, 1, "log_y", false);
    add_names(L, p);
    if (strspn(p->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(p->name) || !p->name[0])
        return lx_error(L, SIM_SCRIPT, "plot: name = \"%s\": small letters, digits and hyphens, since it names a file", p->name);
    if (lua_getfield(L, 1, "series") != LUA_TTABLE)
        return lx_error(L, SIM_SCRIPT, "plot: series is missing");
    for (lua_Integer k = 1; lua_rawgeti(L, -1, k) != LUA_TNIL; k++) {
        if (p->nseries == LX_PLOT_SERIES)
            return lx_error(L, SIM_SCRIPT, "plot: at most %d series", LX_PLOT_SERIES);
        add_series(L, p);
        lua_pop(L, 1);
    }
    if (lx->hooks.plot)
        lx->hooks.plot(lx->hooks.ctx, p);
    return 0;
}
