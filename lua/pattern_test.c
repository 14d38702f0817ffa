// lua/pattern_test.c: the pattern functions of scenarios against those of the Lua library: the same results and messages.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lua/state.h"

// Random patterns on random subjects, with every function; all that came of it as one string.
static const char script[] =
    "local out, x, calls, matched = {}, ..., 0, 0\n"
    "local function r(n) x = x * 6364136223846793005 + 1442695040888963407 return (x >> 33) % n end\n"
    "local pieces = {'a', 'b', 'c', ' ', '1', '.', '%a', '%d', '%s', '%w', '%A', '%S', '%x', '%p', '%u', '%l', '%g', '%c', '%z', "
    "'%q', '%%', '[ab]',\n"
    "  '[^a]', '[a-c]', '[%a1]', '[^%s]', '[]]', '[^]]', '[a-]', '[%]a]', '[%a-z]', '%b()', '%bab', '%f[%a]', '%f[^a]', '(', ')', "
    "'()', '(a)',\n"
    "  '(.-)', '(%a+)', '%1', '%2', '%0', '*', '+', '-', '?', '^', '$', '%', '[', '[^', '%f', '%b', '%b(', '\\0', '\\xe4', '|'}\n"
    "local letters = {'a', 'b', 'c', 'a', 'b', ' ', '(', ')', '1', '%', '\\0', 'B', ']', '-', '\\xe4', '\\n'}\n"
    "local function text(from, most) local t = {} for k = 1, r(most + 1) do t[k] = from[r(#from) + 1] end return table.concat(t) "
    "end\n"
    "local function note(ok, ...)\n"
    "  calls = calls + 1 if ok and ... then matched = matched + 1 end\n"
    "  for k = 1, select('#', ...) do out[#out + 1] = math.type((select(k, ...))) or type((select(k, ...))) out[#out + 1] = "
    "tostring((select(k, ...))) end\n"
    "  out[#out + 1] = ok and 'ok' or 'error' return ok end\n"
    "local function all(s, p, from) local t = {} for a, b in string.gmatch(s, p, from) do t[#t + 1] = tostring(a) .. ',' .. "
    "tostring(b) end\n"
    "  return #t > 0 and table.concat(t, ';') end\n"
    "local values = {'<%0>', '%1', '%2%%', '%', '%x', '', 7, 1.5, {a = 'A', b = false, [1] = 5, c = {}}, function(a, b) return b "
    "end,\n"
    "  function(a) return a ~= 'a' and 'X' end, function() return {} end, true, print}\n"
    "values[14] = nil\n"
    "for n = 1, 30000 do\n"
    "  local p, s, from = text(pieces, 6), text(letters, 14), r(24) - 8\n"
    "  note(pcall(string.find, s, p, from)) note(pcall(string.find, s, p, from, n % 2 == 0)) note(pcall(string.match, s, p)) "
    "note(pcall(all, s, p, from))\n"
    "  note(pcall(string.gsub, s, p, values[r(13) + 1], n % 3 == 0 and r(4) - 1 or nil))\n"
    "end\n"
    "for _, s in ipairs{'', 12, 1.5} do note(pcall(string.find, s, '')) note(pcall(string.gsub, s, '', '-')) note(pcall(all, s, "
    "'')) end\n"
    "for _, a in ipairs{{}, {'a'}, {'a', {}}, {'a', 'b', 'c'}, {'a', 'b', 1.5}, {'a', 'b', math.mininteger}, {'a', 'b', "
    "math.maxinteger}} do\n"
    "  for _, f in ipairs{string.find, string.match, string.gmatch, string.gsub} do note(pcall(f, table.unpack(a)) ) end end\n"
    "note(pcall(string.match, ('a'):rep(300), ('a?'):rep(300))) note(pcall(string.match, ('b'):rep(300), ('a*'):rep(300)))\n"
    "note(pcall(string.match, 'a', ('(a'):rep(40))) note(pcall(string.match, ('a'):rep(33), ('(a)'):rep(33)))\n"
    "return (table.concat(out, '\\1'):gsub('function: [^\\1]*', 'function')), calls, matched\n";

static char *results(lua_State *L, int64_t seed, lua_Integer *calls, lua_Integer *matched)
{
    if (luaL_loadstring(L, script) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    lua_pushinteger(L, seed);
    if (lua_pcall(L, 1, 3, 0) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    size_t n;
    const char *s = lua_tolstring(L, -3, &n);
    char *copy = malloc(n + 1);
    memcpy(copy, s, n + 1);
    for (size_t k = 0; k < n; k++)
        copy[k] = copy[k] ? copy[k] : 2;
    *calls = lua_tointeger(L, -2);
    *matched = lua_tointeger(L, -1);
    lua_settop(L, 0);
    return copy;
}

static void same_as_the_library(void **state)
{
    struct lx lx = {.max_steps = UINT64_MAX, .max_memory = 1 << 30};
    lua_State *theirs = luaL_newstate(), *ours = lx_new_state(&lx);
    luaL_openlibs(theirs);
    luaL_openlibs(ours);
    lua_getglobal(ours, "string");
    lx_set_patterns(ours);
    lua_settop(ours, 0);
    for (int64_t seed = 1; seed <= 3; seed++) {
        lua_Integer calls, matched, calls2, matched2;
        char *a = results(theirs, seed, &calls, &matched), *b = results(ours, seed, &calls2, &matched2);
        size_t k = 0;
        while (a[k] && a[k] == b[k])
            k++;
        if (a[k] != b[k])
            fail_msg("seed %d, after %zu bytes: library ...%.80s, ours ...%.80s", (int)seed, k, a + (k > 40 ? k - 40 : 0),
                     b + (k > 40 ? k - 40 : 0));
        assert_int_equal(calls, calls2);
        assert_int_equal(matched, matched2);
        if (seed == 1)
            printf("# %d calls, %d of them with a match\n", (int)calls, (int)matched);
        free(a), free(b);
    }
    lua_close(theirs);
    lua_close(ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_the_library)};
    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
