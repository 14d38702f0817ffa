// lua/param.c: assignments from the command line: values of the profile, the profile itself, and parameters that the scenario declares by
// reading them: ringside.param(). And ringside.result().
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"
#include "sim/profile.h"

static bool is_profile_key(const char *assignment, size_t n)
{
    struct profile_key k;
    for (unsigned i = 0; sim_profile_key(i, &k); i++)
        if (strlen(k.name) == n && !strncmp(k.name, assignment, n))
            return true;
    return false;
}

int lx_split_sets(struct lx *lx, struct sim_error *err)
{
    struct sim_profile any; // a number that is wrong is the user's mistake, not the script's
    if (lx->opt->nset > LX_MAX_SET)
        return sim_fail(err, SIM_USAGE, "set: at most %d assignments", LX_MAX_SET);
    if (lx->opt->nset && sim_profile_load(&any, "teach", err) < 0)
        return -1;
    for (unsigned k = 0; k < lx->opt->nset; k++) {
        const char *s = lx->opt->set[k], *eq = strchr(s, '=');
        if (!eq || eq == s)
            return sim_fail(err, SIM_USAGE, "set: '%.80s' is no assignment; write it like tlb.l2.entries=64", s);
        if (is_profile_key(s, (size_t)(eq - s))) {
            if (sim_profile_set(&any, s, err) < 0)
                return -1;
            lx->set[lx->nset++] = s;
        } else if (!strncmp(s, "profile=", 8)) {
            if (sim_profile_load(&any, s + 8, err) < 0)
                return -1;
            lx->profile = s + 8;
        } else {
            lx->param[lx->nparam++] = s;
        }
    }
    return 0;
}

// Names for suggestions: parameters that the script read, then those of profiles. NULL at the end.
static const char *known(const struct lx *lx, unsigned n, struct profile_key *k)
{
    if (n < lx->nread)
        return lx->read[n];
    return sim_profile_key(n - lx->nread, k) ? k->name : NULL;
}

int lx_params_all_read(const struct lx *lx, struct sim_error *err)
{
    for (unsigned k = 0; k < lx->nparam; k++) {
        char name[80], near[80] = "";
        if (lx->param_read >> k & 1)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lx->param[k], "="), lx->param[k]);
        struct profile_key key;
        unsigned best = 99;
        const char *s;
        for (unsigned n = 0; (s = known(lx, n, &key)); n++) {
            unsigned d = lx_distance(name, s);
            if (d < best) {
                best = d;
                snprintf(near, sizeof near, "%s", s);
            }
        }
        bool close = best <= strlen(name) / 3 + 1;
        return sim_fail(
            err, SIM_USAGE,
            "set: no value of the profile is called '%s' (ringside info keys), and the scenario has no such parameter%s%s%s", name,
            close ? "; did you mean " : "", close ? near : "", close ? "?" : "");
    }
    return 0;
}

static void remember(struct lx *lx, const char *name)
{
    for (unsigned k = 0; k < lx->nread; k++)
        if (!strcmp(lx->read[k], name))
            return;
    if (lx->nread < LX_MAX_SET)
        snprintf(lx->read[lx->nread++], sizeof lx->read[0], "%s", name);
}

// param(name, default): what the command line says, of the type of the default.
int lx_s_param(lua_State *L)
{
    struct lx *lx = lx_of(L);
    const char *name = luaL_checkstring(L, 1), *value = NULL;
    size_t n = strlen(name);
    lx_check_alive(L);
    luaL_argcheck(L, n > 0 && n < sizeof lx->read[0] && !strpbrk(name, "=, \t\n"), 1, "a short name without blanks, = and commas");
    lua_settop(L, 2);
    remember(lx, name);
    for (unsigned k = 0; k < lx->nparam; k++)
        if (!strncmp(lx->param[k], name, n) && lx->param[k][n] == '=') {
            value = lx->param[k] + n + 1; // the last one counts
            lx->param_read |= 1ull << k;
        }
    if (!value)
        return 1;
    switch (lua_type(L, 2)) {
    case LUA_TNUMBER:
        if (!lua_stringtonumber(L, value) || (lua_isinteger(L, 2) && !lua_isinteger(L, -1)))
            return lx_error(L, SIM_USAGE, "%s=%.60s: the scenario wants a %s", name, value,
                            lua_isinteger(L, 2) ? "whole number" : "number");
        return 1;
    case LUA_TBOOLEAN:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return lx_error(L, SIM_USAGE, "%s=%.60s: the scenario wants true or false", name, value);
        lua_pushboolean(L, !strcmp(value, "true"));
        return 1;
    default: lua_pushstring(L, value); return 1;
    }
}

// result(name, value): a column of a sweep; a line of the text.
int lx_s_result(lua_State *L)
{
    struct lx *lx = lx_of(L);
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    lx_check_alive(L);
    luaL_argcheck(L, n > 0 && n < 64 && strlen(name) == n && !strpbrk(name, "\t\n\r"), 1, "a short name in one line");
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    const char *value = lx_tostring(L, 2, &n);
    if (n > 200 || strlen(value) != n || strpbrk(value, "\t\n\r"))
        return lx_error(L, SIM_SCRIPT, "result %s: a value is one line of at most 200 bytes", name);
    if (lx->nresults++ == LX_MAX_RESULTS)
        return lx_fatal(L, SIM_LIMIT, "the scenario reports more than 4096 results");
    if (lx->hooks.result) {
        lx->hooks.result(lx->hooks.ctx, name, value);
        return 0;
    }
    const bool bare =
        lua_isboolean(L, 2) || (lua_type(L, 2) == LUA_TNUMBER && value[n - 1] >= '0' && value[n - 1] <= '9'); // no inf, nan
    rep_result(&lx->rep, name, value, bare);
    return lx_told(L);
}
