// lua/state.c: errors that carry an exit status, arguments, options, userdata by address.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state.h"

static int raise(lua_State *L, enum sim_status status)
{
    lua_newtable(L);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
    luaL_setmetatable(L, "ringside.Error");
    return lua_error(L);
}

int lx_error(lua_State *L, enum sim_status status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    luaL_where(L, 1);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    return raise(L, status);
}

int lx_error_from(lua_State *L, const struct sim_error *err) { return lx_error(L, err->status, "%s", err->what); }

static int fatal(lua_State *L, enum sim_status status, const char *text, int level)
{
    struct lx *lx = lx_of(L);
    if (!lx->fatal) {
        luaL_where(L, level);
        lx->fatal = true;
        lx->fatal_status = status;
        snprintf(lx->fatal_text, sizeof lx->fatal_text, "%s%s", lua_tostring(L, -1), text);
        lua_pop(L, 1);
    }
    // From now on every instruction of this thread raises it again, so that a pcall() gains one instruction at most.
    lua_sethook(L, lua_gethook(L), LUA_MASKCOUNT, 1);
    lua_pushstring(L, lx->fatal_text);
    return raise(L, lx->fatal_status);
}

int lx_fatal(lua_State *L, enum sim_status status, const char *text) { return fatal(L, status, text, 1); }
int lx_fatal_in_hook(lua_State *L, enum sim_status status, const char *text) { return fatal(L, status, text, 0); }

void lx_check_alive(lua_State *L)
{
    struct lx *lx = lx_of(L);
    if (lx->fatal)
        lx_fatal(L, lx->fatal_status, lx->fatal_text);
}

const char *lx_list_name(const void *list, unsigned n) { return ((const char *const *)list)[n]; }

const char *lx_nearest(const char *s, lx_names_fn *names, const void *ctx)
{
    const char *best = NULL, *name;
    unsigned least = (unsigned)strlen(s) / 2 + 2; // farther away it is no misspelling
    for (unsigned n = 0; (name = names(ctx, n)) != NULL; n++) {
        unsigned d = lx_distance(s, name);
        if (d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

void lx_opt_keys(lua_State *L, int idx, const char *what, const char *const *keys)
{
    if (lua_isnoneornil(L, idx))
        return;
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            lx_error(L, SIM_SCRIPT, "options of %s have names, as in {%s = ...}", what, keys[0]);
        const char *key = lua_tostring(L, -1), *near;
        unsigned n = 0;
        while (keys[n] && strcmp(keys[n], key) != 0)
            n++;
        if (keys[n])
            continue;
        if ((near = lx_nearest(key, lx_list_name, keys)) != NULL)
            lx_error(L, SIM_SCRIPT, "%s has no option '%.60s'; did you mean '%s'?", what, key, near);
        lua_pushstring(L, "");
        for (n = 0; keys[n]; n++)
            lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), n ? ", " : "", keys[n]);
        lx_error(L, SIM_SCRIPT, "%s has no option '%.60s'; it knows %s", what, key, lua_tostring(L, -1));
    }
}

static int opt_field(lua_State *L, int idx, const char *key)
{
    if (!lua_istable(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    lua_pushstring(L, key);
    return lua_rawget(L, idx < 0 ? idx - 1 : idx);
}

bool lx_opt_u64(lua_State *L, int idx, const char *key, uint64_t *val)
{
    bool given = opt_field(L, idx, key) != LUA_TNIL;
    if (given) {
        int ok;
        *val = (uint64_t)lua_tointegerx(L, -1, &ok);
        if (!ok)
            lx_error(L, SIM_SCRIPT, "option '%s' must be a whole number, not %.60s", key, lx_tostring(L, -1, NULL));
    }
    lua_pop(L, 1);
    return given;
}

bool lx_opt_count(lua_State *L, int idx, const char *key, uint64_t *val)
{
    bool given = lx_opt_u64(L, idx, key, val);
    if (given && (int64_t)*val < 1)
        lx_error(L, SIM_SCRIPT, "option '%s' must be 1 or more, not %lld", key, (long long)*val);
    return given;
}

const char *lx_opt_string(lua_State *L, int idx, const char *key)
{
    const char *s = NULL;
    if (opt_field(L, idx, key) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING)
            lx_error(L, SIM_SCRIPT, "option '%s' must be a string, not %s", key, luaL_typename(L, -1));
        s = lua_tostring(L, -1);
    }
    lua_pop(L, 1);
    return s;
}

bool lx_opt_bool(lua_State *L, int idx, const char *key, bool dflt)
{
    if (opt_field(L, idx, key) != LUA_TNIL) {
        if (!lua_isboolean(L, -1))
            lx_error(L, SIM_SCRIPT, "option '%s' must be true or false, not %s", key, luaL_typename(L, -1));
        dflt = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
    return dflt;
}

unsigned lx_word(lua_State *L, const char *what, const char *word, const char *const *list)
{
    for (unsigned n = 0; list[n]; n++)
        if (!strcmp(list[n], word))
            return n;
    const char *near = lx_nearest(word, lx_list_name, list);
    if (near)
        return (unsigned)lx_error(L, SIM_SCRIPT, "unknown %s '%.60s'; did you mean '%s'?", what, word, near);
    lua_pushstring(L, "");
    for (unsigned n = 0; list[n]; n++) {
        lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), n ? ", " : "", list[n]);
        lua_remove(L, -2);
    }
    return (unsigned)lx_error(L, SIM_SCRIPT, "unknown %s '%.60s'; there are %s", what, word, lua_tostring(L, -1));
}

uint64_t lx_check_u64(lua_State *L, int idx) { return (uint64_t)luaL_checkinteger(L, idx); }

void lx_set_u64(lua_State *L, const char *key, uint64_t val)
{
    lua_pushinteger(L, (lua_Integer)val);
    lua_setfield(L, -2, key);
}

void lx_set_str(lua_State *L, const char *key, const char *val)
{
    lua_pushstring(L, val); // nil for NULL
    lua_setfield(L, -2, key);
}

void lx_set_bool(lua_State *L, const char *key, bool val)
{
    lua_pushboolean(L, val);
    lua_setfield(L, -2, key);
}

static void objects(lua_State *L)
{
    if (luaL_getsubtable(L, LUA_REGISTRYINDEX, "ringside.objects"))
        return;
    lua_newtable(L);
    lx_set_str(L, "__mode", "v");
    lua_setmetatable(L, -2);
}

void lx_remember(lua_State *L, const void *object)
{
    objects(L);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, object);
    lua_pop(L, 1);
}

bool lx_push_object(lua_State *L, const void *object)
{
    objects(L);
    int type = lua_rawgetp(L, -1, object);
    lua_remove(L, -2);
    return type != LUA_TNIL;
}

const char *lx_tostring(lua_State *L, int idx, size_t *len)
{
    int type = lua_type(L, idx);
    bool opaque = type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TTHREAD || type == LUA_TUSERDATA;
    if (opaque && luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        opaque = false;
    }
    if (opaque)
        return lua_pushstring(L, lua_typename(L, type)), lua_tolstring(L, -1, len);
    if (type == LUA_TNUMBER && !lua_rawequal(L, idx, idx))
        return lua_pushstring(L, "nan"), lua_tolstring(L, -1, len); // whose sign depends on the host
    return luaL_tolstring(L, idx, len);
}
