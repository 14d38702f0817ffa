// lua/lx.c: run one scenario from beginning to end.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state.h"

// Everything that may raise while a script is set up and run happens in here, under lua_pcall().
static int body(lua_State *L)
{
    struct lx *lx = lx_of(L);
    lx_open_sandbox(L);
    lx_open_api(L);
    lua_newtable(L);
    lua_pushstring(L, lx->opt->file);
    lua_rawseti(L, -2, 0);
    for (lua_Integer n = 0; lx->opt->args && lx->opt->args[n]; n++) {
        lua_pushstring(L, lx->opt->args[n]);
        lua_rawseti(L, -2, n + 1);
    }
    lua_setglobal(L, "arg");
    if (luaL_loadfilex(L, lx->opt->file, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 0);
    lua_gc(L, LUA_GCSTOP); // the machines stay until the caller has seen them
    return 0;
}

// The outermost message handler: from here on nothing is collected, so that the message can say where the machine stood.
static int keep_machines(lua_State *L)
{
    lua_gc(L, LUA_GCSTOP);
    return 1;
}

// Make one line of an error value: its text, one line, on top of the stack.
static int error_text(lua_State *L)
{
    size_t n;
    const bool text = lua_type(L, 1) == LUA_TSTRING || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL;
    const char *s = lx_tostring(L, 1, &n);
    luaL_Buffer b;
    if (!text) {
        lua_pushfstring(L, "%s: the script raised an error without a text: %s", lx_of(L)->opt->file, s);
        s = lua_tolstring(L, -1, &n);
    }
    luaL_buffinit(L, &b);
    for (size_t k = 0; k < n && k < 900; k++)
        luaL_addchar(&b, (unsigned char)s[k] < ' ' || s[k] == 0x7f ? ' ' : s[k]);
    luaL_pushresult(&b);
    return 1;
}

// The exit status that an error value carries: ours say so, Lua's own and the script's are script errors.
static enum sim_status error_status(lua_State *L, int code)
{
    enum sim_status status = code == LUA_ERRMEM ? SIM_LIMIT : SIM_SCRIPT;
    if (lua_istable(L, -1) && lua_getmetatable(L, -1)) {
        if (luaL_getmetatable(L, "ringside.Error") == LUA_TTABLE && lua_rawequal(L, -1, -2)) {
            lua_getfield(L, -3, "status");
            lua_Integer n = lua_tointeger(L, -1);
            if (n >= SIM_CHECK_FAILED && n <= SIM_INTERNAL)
                status = (enum sim_status)n;
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
    return status;
}

// Where the machine stood, for script errors: " (at guest cycle 12, RIP 0x7c03 start+0x3)".
static void add_place(struct lx *lx, struct sim_error *err)
{
    struct lx_machine *lm = lx->last ? lx->last : lx->machines;
    char name[80] = "";
    size_t n = strlen(err->what);
    if (!lm || !lm->m || err->status == SIM_IMAGE) // a file is at fault, not what ran
        return;
    sim_symbol(lm->m, lx_linear_rip(lm), name, sizeof name);
    snprintf(err->what + n, sizeof err->what - n, " (at guest cycle %" PRIu64 ", RIP 0x%" PRIx64 "%s%s)", lx_cpu(lm)->cycles,
             lx_cpu(lm)->rip, name[0] ? " " : "", name);
}

// Turn what lua_pcall() left into a status and a line.
static enum sim_status failure(struct lx *lx, lua_State *L, int code, struct sim_error *err)
{
    enum sim_status status = error_status(L, code);
    if (lx->fatal) {
        status = lx->fatal_status;
        snprintf(err->what, sizeof err->what, "%s", lx->fatal_text);
    } else if (code == LUA_ERRMEM) {
        snprintf(err->what, sizeof err->what, "%s: the script needs more memory than the %zu MiB that a scenario may use",
                 lx->opt->file, lx->max_memory >> 20);
    } else {
        lua_pushcfunction(L, error_text);
        lua_insert(L, -2);
        bool fine = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING;
        snprintf(err->what, sizeof err->what, "%.900s",
                 fine ? lua_tostring(L, -1) : "the script failed, and its error cannot be printed");
    }
    err->status = status;
    if (status != SIM_OK)
        add_place(lx, err);
    return status;
}

static void verdict(const struct lx *lx, enum sim_status status, const struct sim_error *err, char *line, size_t size)
{
    if (status != SIM_OK && status != SIM_CHECK_FAILED)
        snprintf(line, size, "%s", err->what);
    else if (lx->rep.failed)
        snprintf(line, size, "%u of %u checks failed", lx->rep.failed, lx->rep.checks);
    else
        snprintf(line, size, "%u of %u checks held", lx->rep.checks, lx->rep.checks);
}

// The folder of a path, malloc'd.
static char *folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static enum sim_status run(struct lx *lx, struct sim_error *err)
{
    lua_State *L = lx_new_state(lx);
    if (!L)
        return snprintf(err->what, sizeof err->what, "out of memory"), err->status = SIM_INTERNAL;
    enum sim_status status = SIM_OK;
    lua_pushcfunction(L, keep_machines);
    lua_pushcfunction(L, body);
    int code = lua_pcall(L, 0, 0, 1);
    lua_gc(L, LUA_GCSTOP);
    if (code != LUA_OK || lx->fatal)
        status = failure(lx, L, code, err);
    const char *error = status != SIM_OK ? err->what : NULL;
    if (status == SIM_OK && lx->rep.failed) {
        status = err->status = SIM_CHECK_FAILED;
        snprintf(err->what, sizeof err->what, "%s: %u of %u checks failed", lx->opt->file, lx->rep.failed, lx->rep.checks);
    }
    if ((status == SIM_OK || status == SIM_CHECK_FAILED) && lx_params_all_read(lx, err) < 0)
        status = err->status;
    struct lx_machine *lm = lx->last ? lx->last : lx->machines;
    if (lx->hooks.finish) {
        char line[sizeof err->what];
        verdict(lx, status, err, line, sizeof line);
        lx->hooks.finish(lx->hooks.ctx, lm ? lm->m : NULL, status, line);
    }
    lx_machines_destroy(lx); // also puts their counters into the report
    rep_close(&lx->rep, status, error);
    lua_close(L);
    return status;
}

enum sim_status lx_run(const struct lx_options *opt, const struct lx_hooks *hooks, struct sim_error *err)
{
    struct lx lx = {.opt = opt, .hooks = hooks ? *hooks : (struct lx_hooks){0}};
    struct sim_error ignored;
    err = err ? err : &ignored;
    *err = (struct sim_error){0};
    lx.max_cycles = opt->max_cycles ? opt->max_cycles : LX_MAX_CYCLES;
    lx.max_memory = opt->max_memory ? opt->max_memory : LX_MAX_MEMORY;
    lx.max_steps = opt->max_steps ? opt->max_steps : LX_MAX_STEPS;
    lx.dir = folder(opt->file);
    if (!lx.dir)
        return snprintf(err->what, sizeof err->what, "out of memory"), err->status = SIM_INTERNAL;
    if (lx_split_sets(&lx, err) < 0)
        return free(lx.dir), err->status;
    rep_open(&lx.rep, opt, &lx.hooks);
    enum sim_status status = run(&lx, err);
    rep_free(&lx.rep);
    free(lx.dir);
    return status;
}
