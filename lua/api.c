// lua/api.c: the API's rows put to use: registration and ringside.help().
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"

const struct lx_row lx_rows[] = {
#define C(klass, parent, text)                   {#klass, NULL, NULL, NULL, parent, text},
#define F(klass, name, fn, params, result, text) {#klass, #name, lx_##fn, params, result, text},
#define P(klass, name, type, text)               {#klass, #name, NULL, type, NULL, text},
#include "lua/api.def"
#undef C
#undef F
#undef P
};
const unsigned lx_nrows = sizeof lx_rows / sizeof *lx_rows;

// Put the functions of a class into the table at the top.
static void set_functions(lua_State *L, const char *klass)
{
    for (unsigned n = 0; n < lx_nrows; n++)
        if (lx_rows[n].fn && !strcmp(lx_rows[n].klass, klass)) {
            lua_pushcfunction(L, lx_rows[n].fn);
            lua_setfield(L, -2, lx_rows[n].name);
        }
}

// A metatable "ringside.KLASS" with the given metamethods, whose __metatable keeps scripts away from it.
static void new_class(lua_State *L, const char *name, const luaL_Reg *meta)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_pushliteral(L, "ringside");
    lua_setfield(L, -2, "__metatable");
}

static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    return 1;
}

void lx_open_api(lua_State *L)
{
    static const luaL_Reg machine[] = {
        {"__index", lx_machine_index}, {"__tostring", lx_machine_tostring}, {"__gc", lx_machine_gc}, {NULL, NULL}};
    static const luaL_Reg regs[] = {{"__index", lx_registers_index}, {"__newindex", lx_registers_newindex}, {NULL, NULL}};
    static const luaL_Reg vmcs[] = {{"__index", lx_vmcs_index}, {"__newindex", lx_vmcs_newindex}, {NULL, NULL}};
    static const luaL_Reg stop[] = {{"__tostring", lx_stop_tostring}, {NULL, NULL}};
    static const luaL_Reg error[] = {{"__tostring", error_tostring}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};

    new_class(L, "ringside.Machine", machine);
    lua_newtable(L);
    set_functions(L, "Machine");
    lua_setfield(L, LUA_REGISTRYINDEX, "ringside.methods");
    new_class(L, "ringside.Registers", regs);
    new_class(L, "ringside.Vmcs", vmcs);
    new_class(L, "ringside.Stop", stop);
    new_class(L, "ringside.Error", error);
    new_class(L, "ringside.Handle", none);
    lua_newtable(L);
    set_functions(L, "Handle");
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    set_functions(L, "ringside");
    lx_set_str(L, "version", "1");
    lua_setglobal(L, "ringside");
    // Where Lua looks up the names of functions for its messages.
    lua_newtable(L);
    lua_getglobal(L, "ringside");
    lua_setfield(L, -2, "ringside");
    lua_getfield(L, LUA_REGISTRYINDEX, "ringside.methods");
    lua_setfield(L, -2, "Machine");
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_settop(L, 0);
}

static const char *row_name(const void *ctx, unsigned n)
{
    char *buf = (char *)ctx;
    if (n >= lx_nrows)
        return NULL;
    snprintf(buf, 64, "%s%s%s", lx_rows[n].klass, lx_rows[n].name ? "." : "", lx_rows[n].name ? lx_rows[n].name : "");
    return buf;
}

static void help_row(lua_State *L, const struct lx_row *row)
{
    struct lx *lx = lx_of(L);
    const char *text;
    if (!row->name)
        text = lua_pushfstring(L, "%s", row->klass);
    else if (row->fn)
        text = lua_pushfstring(L, "  %s%s%s(%s)%s%s", row->klass, strcmp(row->klass, "ringside") ? ":" : ".", row->name,
                               row->params, *row->result ? " -> " : "", row->result);
    else
        text = lua_pushfstring(L, "  %s.%s: %s", row->klass, row->name, row->params);
    rep_verbatim(&lx->rep, text, strlen(text));
    struct lx_buf b = {0};
    lx_wrap(&b, row->text, strlen(row->text), "      ", LX_COLUMNS);
    if (b.s)
        rep_verbatim(&lx->rep, b.s, b.n);
    lx_buf_free(&b);
    lua_pop(L, 1);
}

int lx_s_help(lua_State *L)
{
    const char *want = luaL_optstring(L, 1, NULL);
    char name[64];
    bool found = false;
    lx_check_alive(L);
    for (unsigned n = 0; n < lx_nrows; n++) {
        const struct lx_row *row = &lx_rows[n];
        bool show = want ? !strcmp(row_name(name, n), want) || !strcmp(row->klass, want) : !row->name || row->fn;
        if (show)
            help_row(L, row);
        found = found || show;
    }
    if (found)
        return lx_told(L);
    unsigned best = 0, least = 64;
    for (unsigned n = 0; n < lx_nrows; n++) {
        unsigned d = lx_distance(want, row_name(name, n));
        if (d < least) {
            least = d;
            best = n;
        }
    }
    return lx_error(L, SIM_SCRIPT, "no help on '%.60s'; try '%s'", want, row_name(name, best));
}
