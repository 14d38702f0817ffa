// lua/sandbox.c: a Lua state without the outside world.
//
// A scenario gets base, string, table, math, utf8 and coroutine, minus what reads files, loads byte code, finalizes objects or differs
// from run to run: dofile, loadfile, collectgarbage, warn, string.dump, __gc, random seeds, the order of pairs(). There is no io, os, debug
// or package; require() finds Lua files in the scenario's own folder, and in `include` beside it.
#include <inttypes.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/state.h"

#define BYTES_PER_STEP 256 // of new memory: a library function may make much of it in one step

static void *alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    struct lx *lx = ud;
    size_t old = ptr ? osize : 0;
    if (nsize == 0) {
        lx->mem_used -= old;
        free(ptr);
        return NULL;
    }
    if (nsize > old && lx->mem_used - old + nsize > lx->max_memory)
        return NULL;
    void *p = realloc(ptr, nsize);
    if (p)
        lx->mem_used = lx->mem_used - old + nsize;
    if (nsize > old)
        lx->steps += (nsize - old) / BYTES_PER_STEP;
    return p;
}

int lx_out_of_steps(lua_State *L, int (*end)(lua_State *L, enum sim_status status, const char *text))
{
    char text[128];
    snprintf(text, sizeof text, "the script ran %" PRIu64 " steps of Lua without an end; is there an endless loop?",
             lx_of(L)->max_steps);
    return end(L, SIM_LIMIT, text);
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
    struct lx *lx = lx_of(L);
    lx_check_alive(L);
    lx->steps += LX_HOOK_PERIOD;
    if (lx->steps > lx->max_steps)
        lx_out_of_steps(L, lx_fatal_in_hook);
}

// load(chunk [, name [, mode [, env]]]): text only, whatever mode says.
static int base_load(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, lua_isnone(L, 4) ? 3 : 4);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 2);
    return 2;
}

// The next key of a sorted traversal: upvalues are the array of keys and the position.
static int pairs_next(lua_State *L)
{
    lua_Integer n = lua_tointeger(L, lua_upvalueindex(2));
    while (lua_rawgeti(L, lua_upvalueindex(1), ++n) != LUA_TNIL) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL) {
            lua_pushinteger(L, n);
            lua_replace(L, lua_upvalueindex(2));
            return 2;
        }
        lua_pop(L, 2); // removed meanwhile
    }
    return 1;
}

static int key_rank(lua_State *L, int idx)
{
    int type = lua_type(L, idx);
    return type == LUA_TNUMBER ? 0 : type == LUA_TSTRING ? 1 : type == LUA_TBOOLEAN ? 2 : 3;
}

static int key_less(lua_State *L)
{
    int a = key_rank(L, 1), b = key_rank(L, 2);
    bool less = a < b;
    if (a == b && a < 2)
        less = lua_compare(L, 1, 2, LUA_OPLT);
    else if (a == b && a == 2)
        less = !lua_toboolean(L, 1) && lua_toboolean(L, 2);
    lua_pushboolean(L, less);
    return 1;
}

// pairs(t): numbers in order, then strings in order, so that output does not depend on the hash of the day.
static int base_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_newtable(L);
    int keys = lua_gettop(L);
    lua_Integer n = 0;
    bool sorted = true; // 1, 2, 3 ... need no sorting
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, keys, ++n);
        sorted = sorted && lua_isinteger(L, -2) && lua_tointeger(L, -2) == n;
    }
    if (!sorted) {
        lua_getfield(L, LUA_REGISTRYINDEX, "ringside.sort");
        lua_pushvalue(L, keys);
        lua_pushcfunction(L, key_less);
        lua_call(L, 2, 0);
    }
    lua_pushinteger(L, 0);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, pairs_next, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

// setmetatable without finalizers: they would run beyond the reach of the step limit.
static int base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int type = lua_type(L, 2);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "scenarios have no finalizers (__gc)");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

// A message handler that stands aside while the script is being ended: errors of the step limit are raised inside a hook, where nothing
// could interrupt the script's own handler.
static int handle_message(lua_State *L)
{
    lua_settop(L, 1);
    if (lx_of(L)->fatal)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int all_results(lua_State *L, int status, lua_KContext ctx) { return lua_gettop(L); }

// xpcall(f, handler, ...)
static int base_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, all_results);
    return lua_gettop(L);
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    lx_tostring(L, 1, NULL);
    return 1;
}

static int base_print(lua_State *L)
{
    luaL_Buffer b;
    int n = lua_gettop(L);
    lx_check_alive(L);
    luaL_buffinit(L, &b);
    for (int k = 1; k <= n; k++) {
        if (k > 1)
            luaL_addchar(&b, '\t');
        lx_tostring(L, k, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *s = lua_tolstring(L, -1, &len);
    rep_verbatim(&lx_of(L)->rep, s, len);
    return lx_told(L);
}

// math.randomseed(n): a seed must be given, since without one it would come from the host.
static int math_randomseed(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

// New coroutines start with a fresh instruction count; charge one period, so that making many does not evade the limit.
static int charge_and_call(lua_State *L)
{
    lx_of(L)->steps += LX_HOOK_PERIOD;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

// A module's name as a path inside the scenario's folder: letters, digits, '_' and '-'; dots are folders.
static bool module_path(const char *name, char *path, size_t size)
{
    size_t n = strlen(name);
    if (!n || n + 5 > size || name[0] == '.' || name[n - 1] == '.' || strstr(name, ".."))
        return false;
    for (size_t k = 0; k < n; k++) {
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.", name[k]))
            return false;
        path[k] = name[k] == '.' ? '/' : name[k];
    }
    memcpy(path + n, ".lua", 5);
    return true;
}

// Modules stand in the scenario's folder, those that several scenarios share in the folder `include` beside it. The first that there is counts.
static void load_module(lua_State *L, const char *path)
{
    const char *dir = lx_of(L)->dir, *slash = strrchr(dir, '/');
    if (slash && slash != dir && strcmp(slash, "/..") != 0 && strcmp(slash, "/.") != 0) {
        lua_pushlstring(L, dir, (size_t)(slash - dir));
        lua_pushfstring(L, "%s/include/%s", lua_tostring(L, -1), path);
        lua_remove(L, -2);
    } else {
        lua_pushfstring(L, "%s/../include/%s", dir, path);
    }
    lua_pushfstring(L, "%s/%s", lx_of(L)->dir, path);
    const bool shared = access(lua_tostring(L, -1), F_OK) != 0 && access(lua_tostring(L, -2), F_OK) == 0;
    if (luaL_loadfilex(L, lua_tostring(L, shared ? -2 : -1), "t") != LUA_OK)
        luaL_error(L, "require: %s", lua_tostring(L, -1));
}

static int base_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    char path[256];
    lua_settop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "ringside.loaded");
    if (lua_getfield(L, 2, name) != LUA_TNIL)
        return 1;
    if (!module_path(name, path, sizeof path))
        return luaL_error(L, "require: '%s' is no module name; modules are Lua files in the scenario's folder, or in ../include",
                          name);
    load_module(L, path);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static void remove_globals(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setglobal(L, *names);
    }
}

// Replace field `name` of the table at the top by a C function that has the old value as its upvalue.
static void wrap(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

void lx_open_sandbox(lua_State *L)
{
    static const luaL_Reg libs[] = {{LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string},
                                    {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
                                    {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_COLIBNAME, luaopen_coroutine}};
    static const char *const gone[] = {"dofile", "loadfile", "collectgarbage", "warn", NULL};
    static const luaL_Reg base[] = {{"pairs", base_pairs}, {"setmetatable", base_setmetatable}, {"tostring", base_tostring},
                                    {"print", base_print}, {"require", base_require},           {NULL, NULL}};
    for (size_t k = 0; k < sizeof libs / sizeof *libs; k++) {
        luaL_requiref(L, libs[k].name, libs[k].func, 1);
        lua_pop(L, 1);
    }
    remove_globals(L, gone);
    lua_pushglobaltable(L);
    luaL_setfuncs(L, base, 0);
    wrap(L, "load", base_load);
    wrap(L, "xpcall", base_xpcall);
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lx_set_patterns(L);
    lua_getglobal(L, LUA_MATHLIBNAME);
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, 1);
    lua_call(L, 1, 0);
    wrap(L, "randomseed", math_randomseed);
    lua_getglobal(L, LUA_COLIBNAME);
    wrap(L, "create", charge_and_call);
    wrap(L, "wrap", charge_and_call);
    lua_getglobal(L, LUA_TABLIBNAME);
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_getfield(L, -1, "format");
    lua_setfield(L, LUA_REGISTRYINDEX, "ringside.format");
    lua_pop(L, 1);
    lua_getfield(L, -1, "sort");
    lua_setfield(L, LUA_REGISTRYINDEX, "ringside.sort");
    lua_settop(L, 0);
    // What luaL_requiref() kept would lead back to the originals.
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

lua_State *lx_new_state(struct lx *lx)
{
    lua_State *L = lua_newstate(alloc, lx);
    if (!L)
        return NULL;
    *(struct lx **)lua_getextraspace(L) = lx;
    lua_sethook(L, count_hook, LUA_MASKCOUNT, LX_HOOK_PERIOD);
    return L;
}
