// lua/scenario.c: what a scenario tells and claims: title, section, say, table, check, expect_equal, mark, hex.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"

// The text of say(), title() ...: a string, or a format and its arguments.
static const char *text_arg(lua_State *L, size_t *len)
{
    luaL_checkstring(L, 1);
    lx_check_alive(L);
    if (lua_gettop(L) > 1) {
        lua_getfield(L, LUA_REGISTRYINDEX, "ringside.format");
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, 1);
    }
    return lua_tolstring(L, 1, len);
}

// A script that tells too much is stopped: a JSON report is held in memory until the end, and text fills a disk.
int lx_told(lua_State *L)
{
    if (rep_full(&lx_of(L)->rep))
        return lx_fatal(L, SIM_LIMIT, "the scenario tells more than 64 MiB");
    return 0;
}

int lx_s_title(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, &n);
    rep_title(&lx_of(L)->rep, s, n);
    return lx_told(L);
}

int lx_s_section(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, &n);
    rep_section(&lx_of(L)->rep, s, n);
    return lx_told(L);
}

int lx_s_say(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, &n);
    rep_say(&lx_of(L)->rep, s, n);
    return lx_told(L);
}

// --- tables
#define MAX_TABLE_COLUMNS 16
struct columns {
    unsigned n;
    size_t width[MAX_TABLE_COLUMNS];
    bool text[MAX_TABLE_COLUMNS]; // some cell below the header is no number
};

// Cell n of the row at the top, as text; pushes it. NULL if the row is shorter.
static const char *cell(lua_State *L, unsigned n, size_t *len, bool *number)
{
    if (lua_rawgeti(L, -1, (lua_Integer)n + 1) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    *number = lua_type(L, -1) == LUA_TNUMBER;
    const char *s = lx_tostring(L, -1, len);
    lua_remove(L, -2);
    return s;
}

static void measure(lua_State *L, struct columns *c, bool header)
{
    if (!lua_istable(L, -1))
        lx_error(L, SIM_SCRIPT, "table: a row is a list of cells, not %s", luaL_typename(L, -1));
    for (unsigned k = 0; k < MAX_TABLE_COLUMNS; k++) {
        size_t len;
        bool number;
        const char *s = cell(L, k, &len, &number);
        if (!s)
            return;
        size_t w = lx_width(s, len);
        c->n = k >= c->n ? k + 1 : c->n;
        c->width[k] = w > c->width[k] ? w : c->width[k];
        c->text[k] = c->text[k] || (!number && !header && len);
        lua_pop(L, 1);
    }
}

static void add_spaces(luaL_Buffer *b, size_t n)
{
    while (n--)
        luaL_addchar(b, ' ');
}

// The row at `row` as a line, appended to the string at `out`.
static void add_row(lua_State *L, int out, int row, const struct columns *c)
{
    for (unsigned k = 0; k < c->n; k++) {
        size_t len = 0, room;
        bool number;
        luaL_Buffer b;
        lua_pushvalue(L, row);
        const char *s = cell(L, k, &len, &number);
        if (!s)
            s = lua_pushstring(L, "");
        int text = lua_gettop(L);
        room = c->width[k] - lx_width(s, len);
        luaL_buffinit(L, &b);
        add_spaces(&b, 2);
        if (!c->text[k])
            add_spaces(&b, room);
        luaL_addlstring(&b, s, len);
        if (c->text[k] && k + 1 < c->n)
            add_spaces(&b, room);
        luaL_pushresult(&b);
        lua_pushvalue(L, out);
        lua_insert(L, -2);
        lua_concat(L, 2);
        lua_replace(L, out);
        lua_settop(L, text - 2);
    }
    lua_pushvalue(L, out);
    lua_pushstring(L, "\n");
    lua_concat(L, 2);
    lua_replace(L, out);
}

int lx_s_table(lua_State *L)
{
    struct columns c = {0};
    size_t len;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lx_check_alive(L);
    lua_Integer rows = (lua_Integer)lua_rawlen(L, 1);
    if (!lua_isnil(L, 2))
        measure(L, &c, true);
    for (lua_Integer n = 1; n <= rows; n++) {
        lua_rawgeti(L, 1, n);
        measure(L, &c, false);
        lua_pop(L, 1);
    }
    lua_pushstring(L, ""); // 3: the text
    if (!lua_isnil(L, 2)) {
        add_row(L, 3, 2, &c);
        lua_pushvalue(L, 3);
        for (unsigned k = 0; k < c.n; k++) {
            luaL_Buffer b;
            luaL_buffinit(L, &b);
            add_spaces(&b, 2);
            for (size_t w = 0; w < c.width[k]; w++)
                luaL_addchar(&b, '-');
            luaL_pushresult(&b);
            lua_concat(L, 2);
        }
        lua_pushstring(L, "\n");
        lua_concat(L, 2);
        lua_replace(L, 3);
    }
    for (lua_Integer n = 1; n <= rows; n++) {
        lua_rawgeti(L, 1, n);
        add_row(L, 3, lua_gettop(L), &c);
        lua_settop(L, 3);
    }
    const char *s = lua_tolstring(L, 3, &len);
    rep_table(&lx_of(L)->rep, s, len);
    return lx_told(L);
}

// --- checks
static const char *where(lua_State *L)
{
    luaL_where(L, 1); // "file:line: "
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    lua_pushlstring(L, s, n > 2 ? n - 2 : 0);
    lua_remove(L, -2);
    return lua_tostring(L, -1);
}

int lx_s_check(lua_State *L)
{
    luaL_checkany(L, 1);
    bool ok = lua_toboolean(L, 1);
    const char *what = luaL_checkstring(L, 2), *detail = luaL_optstring(L, 3, NULL);
    lx_check_alive(L);
    rep_check(&lx_of(L)->rep, ok, what, detail, where(L), NULL, NULL);
    lua_pushboolean(L, ok);
    lx_told(L);
    return 1;
}

// Equal by value; tables by their contents, to a depth.
static bool equal(lua_State *L, int a, int b, int depth)
{
    if (lua_compare(L, a, b, LUA_OPEQ))
        return true;
    if (!lua_istable(L, a) || !lua_istable(L, b) || depth == 0)
        return false;
    luaL_checkstack(L, 10, NULL);
    for (int pass = 0; pass < 2; pass++) {
        int from = pass ? b : a, to = pass ? a : b;
        for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
            lua_pushvalue(L, -2);
            lua_rawget(L, to);
            bool same = pass ? !lua_isnil(L, -1) : equal(L, lua_gettop(L) - 1, lua_gettop(L), depth - 1);
            lua_pop(L, 1);
            if (!same) {
                lua_pop(L, 2);
                return false;
            }
        }
    }
    return true;
}

// A value for a failure message: whole numbers also in hexadecimal, lists by their elements.
static void describe(lua_State *L, int idx, int depth)
{
    char hex[64];
    luaL_checkstack(L, 10, NULL);
    if (lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointeger(L, idx);
        if (v >= 0 && v < 10)
            snprintf(hex, sizeof hex, "%lld", (long long)v);
        else
            snprintf(hex, sizeof hex, "%lld (0x%llx)", (long long)v, (unsigned long long)v);
        lua_pushstring(L, hex);
    } else if (lua_type(L, idx) == LUA_TSTRING) {
        lua_pushfstring(L, "\"%s\"", lua_tostring(L, idx));
    } else if (lua_istable(L, idx) && lua_rawlen(L, idx) && depth) {
        lua_pushstring(L, "{");
        lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
        for (lua_Integer k = 1; k <= n && k <= 16; k++) {
            lua_pushstring(L, k > 1 ? ", " : "");
            lua_rawgeti(L, idx, k);
            describe(L, lua_gettop(L), depth - 1);
            lua_remove(L, -2);
            lua_concat(L, 3);
        }
        lua_pushstring(L, n > 16 ? ", ...}" : "}");
        lua_concat(L, 2);
    } else {
        lx_tostring(L, idx, NULL);
    }
}

int lx_s_expect_equal(lua_State *L)
{
    luaL_checkany(L, 2);
    const char *what = luaL_checkstring(L, 3), *at;
    lua_settop(L, 3);
    lx_check_alive(L);
    bool ok = equal(L, 1, 2, 8);
    describe(L, 1, 3); // 4
    describe(L, 2, 3); // 5
    at = where(L);
    rep_check(&lx_of(L)->rep, ok, what, NULL, at, lua_tostring(L, 4), lua_tostring(L, 5));
    lua_pushboolean(L, ok);
    lx_told(L);
    return 1;
}

// --- marks
int lx_s_mark(lua_State *L)
{
    static const char *const keys[] = {"machine", "la", "access", "text", NULL};
    static const char *const access[] = {"r", "w", "x", NULL};
    static const unsigned acc[] = {ISA_ACC_R, ISA_ACC_W, ISA_ACC_X};
    struct lx *lx = lx_of(L);
    struct sim_mark mark = {.name = luaL_checkstring(L, 1)};
    const char *word;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lx_check_alive(L);
    lx_opt_keys(L, 2, "mark", keys);
    lua_getfield(L, 2, "machine"); // 3
    if (!luaL_testudata(L, 3, "ringside.Machine"))
        return lx_error(L, SIM_SCRIPT, "mark: say which machine, as in {machine = m}");
    struct lx_machine *lm = lx_check_machine(L, 3);
    mark.m = lm->m;
    mark.text = lx_opt_string(L, 2, "text");
    if (lua_getfield(L, 2, "la") != LUA_TNIL) {
        mark.la = lx_check_addr(L, lm, 4);
        mark.has_la = true;
    }
    if ((word = lx_opt_string(L, 2, "access")) != NULL)
        mark.acc = acc[lx_word(L, "access", word, access)];
    rep_mark(&lx->rep, &mark);
    lx_emit_mark(L, lm, mark.name);
    if (lx->hooks.mark && lx->hooks.mark(lx->hooks.ctx, &mark))
        return lx_fatal(L, SIM_OK, "the caller has what it wanted");
    return lx_told(L);
}

int lx_s_hex(lua_State *L)
{
    char text[32];
    lua_Integer digits = luaL_optinteger(L, 2, 1);
    luaL_argcheck(L, digits >= 1 && digits <= 16, 2, "1 to 16 digits");
    snprintf(text, sizeof text, "0x%0*" PRIx64, (int)digits, lx_check_u64(L, 1));
    lua_pushstring(L, text);
    return 1;
}
