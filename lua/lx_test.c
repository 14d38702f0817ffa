// lua/lx_test.c: the scenario API from outside: whole scripts through lx_run(), their output, status and error line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "lua/report.h"
#include "lua/state.h"

// --- run a script of the test and see what came of it
struct result {
    enum sim_status status;
    char *out;
    struct sim_error err;
};
static char dir[64];

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/lx_test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static void put(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(text, 1, n, f);
    fclose(f);
}

static int remove_dir(void **state)
{
    static const char *const names[] = {
        "t.lua",        "sib.lua",          "sub/deep.lua",       "guest.bin",        "lesson/both.lua",
        "lesson/l.lua", "include/both.lua", "include/common.lua", "other/private.lua"};
    static const char *const folders[] = {"sub", "lesson", "include", "other"};
    char path[128];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[k]);
        unlink(path);
    }
    for (size_t k = 0; k < sizeof folders / sizeof *folders; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, folders[k]);
        rmdir(path);
    }
    return rmdir(dir);
}

static struct result run_with(const char *text, size_t n, struct lx_options opt, const struct lx_hooks *hooks)
{
    struct result r = {0};
    size_t size = 0;
    char path[128];
    put("t.lua", text, n);
    snprintf(path, sizeof path, "%s/t.lua", dir);
    opt.file = path;
    opt.guests = dir;
    opt.out = open_memstream(&r.out, &size);
    opt.max_steps = opt.max_steps ? opt.max_steps : 5000000;
    opt.max_memory = 128 << 20;
    r.status = lx_run(&opt, hooks, &r.err);
    fclose(opt.out);
    // The script's path differs from run to run: cut it out of messages.
    char *at;
    while ((at = strstr(r.err.what, dir)) != NULL)
        memmove(at, at + strlen(dir) + 1, strlen(at + strlen(dir) + 1) + 1);
    return r;
}

static struct result run(const char *text, enum lx_format format)
{
    return run_with(text, strlen(text), (struct lx_options){.format = format}, NULL);
}

static void done(struct result *r) { free(r->out); }

// The script succeeds: all its checks hold. What it says on failure is shown.
static void holds(const char *text)
{
    struct result r = run(text, LX_TEXT);
    if (r.status != SIM_OK)
        fail_msg("status %d: %s\n%s", r.status, r.err.what, r.out);
    done(&r);
}

static void fails(const char *text, enum sim_status status, const char *message)
{
    struct result r = run(text, LX_TEXT);
    if (r.status != status || !strstr(r.err.what, message))
        fail_msg("expected %d '%s', got %d '%s'", status, message, r.status, r.err.what);
    done(&r);
}

static void prints(const char *text, enum lx_format format, const char *want)
{
    struct result r = run(text, format);
    char *at;
    while ((at = strstr(r.out, dir)) != NULL)
        memmove(at, at + strlen(dir) + 1, strlen(at + strlen(dir) + 1) + 1);
    if (strcmp(r.out, want) != 0)
        fail_msg("expected:\n%s\ngot (status %d, %s):\n%s", want, r.status, r.err.what, r.out);
    done(&r);
}

// --- formats
static const char story[] =
    "ringside.title('A # title')\n"
    "ringside.say('one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen')\n"
    "ringside.section('Numbers')\n"
    "ringside.table({{'a', 1}, {'bcd', 200}}, {'name', 'n'})\n"
    "print('x', nil, true)\n"
    "ringside.check(true, 'fine')\n"
    "ringside.check(nil, 'not # fine', 'because')\n"
    "ringside.expect_equal(255, 16, 'equal')\n";

static void text_golden(void **state)
{
    prints(story, LX_TEXT,
           "A # title\n=========\n\n"
           "one two three four five six seven eight nine ten eleven twelve thirteen fourteen\nfifteen\n\n"
           "Numbers\n-------\n\n"
           "  name    n\n  ----  ---\n  a       1\n  bcd   200\n"
           "x\tnil\ttrue\n"
           "  ok    fine\n"
           "  FAIL  not # fine\n        at: t.lua:7\n        detail: because\n"
           "  FAIL  equal\n        at: t.lua:8\n        got: 255 (0xff)\n        want: 16 (0x10)\n"
           "\n2 of 3 checks failed.\n");
}

static void tap_golden(void **state)
{
    prints(story, LX_TAP,
           "TAP version 13\n"
           "# A # title\n# =========\n"
           "# one two three four five six seven eight nine ten eleven twelve thirteen\n# fourteen fifteen\n"
           "# Numbers\n# -------\n"
           "#   name    n\n#   ----  ---\n#   a       1\n#   bcd   200\n"
           "# x\tnil\ttrue\n"
           "ok 1 - fine\n"
           "not ok 2 - not \\# fine\n  ---\n  at: \"t.lua:7\"\n  detail: \"because\"\n  ...\n"
           "not ok 3 - equal\n  ---\n  at: \"t.lua:8\"\n  got: \"255 (0xff)\"\n  want: \"16 (0x10)\"\n  ...\n"
           "1..3\n");
    prints("print('hi')", LX_TAP, "TAP version 13\n# hi\n1..0 # SKIP the scenario checks nothing\n");
    prints("ringside.check(true, 'a') error('b\\nc', 0)", LX_TAP, "TAP version 13\nok 1 - a\nBail out! b c\n");
}

static void json_golden(void **state)
{
    prints(story, LX_JSON,
           "{\"schema\":\"ringside-run\",\"version\":1,\"file\":\"t.lua\",\"title\":\"A # title\",\"status\":1,"
           "\"narrative\":[{\"kind\":\"title\",\"text\":\"A # title\"},{\"kind\":\"say\",\"text\":\"one two three four five six "
           "seven eight "
           "nine ten eleven twelve thirteen fourteen "
           "fifteen\"},{\"kind\":\"section\",\"text\":\"Numbers\"},{\"kind\":\"table\",\"text\":\""
           "  name    n\\n  ----  ---\\n  a       1\\n  bcd   200\\n\"},{\"kind\":\"lines\",\"text\":\"x\\u0009nil\\u0009true\"}],"
           "\"checks\":[{\"ok\":true,\"message\":\"fine\"},{\"ok\":false,\"message\":\"not # fine\",\"at\":\"t.lua:7\",\"detail\":"
           "\"because\"},{\"ok\":false,\"message\":\"equal\",\"at\":\"t.lua:8\",\"got\":\"255 (0xff)\",\"want\":\"16 (0x10)\"}],"
           "\"results\":[],\"marks\":[],\"machines\":[]}\n");
}

// A JSON reader that only says whether a document is well formed (RFC 8259).
static const char *json_value(const char *s, int depth);
static const char *json_string(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s == '\\') {
            s++;
            if (*s == 'u') {
                for (int k = 0; k < 4; k++)
                    if (!strchr("0123456789abcdefABCDEF", *++s))
                        return NULL;
            } else if (!strchr("\"\\/bfnrt", *s)) {
                return NULL;
            }
        }
    }
    return s + 1;
}
static const char *json_list(const char *s, int depth, char close, bool keys)
{
    if (*++s == close)
        return s + 1;
    for (;; s++) {
        if (keys) {
            s = json_string(s);
            if (!s || *s++ != ':')
                return NULL;
        }
        s = json_value(s, depth + 1);
        if (!s)
            return NULL;
        if (*s == close)
            return s + 1;
        if (*s != ',')
            return NULL;
    }
}
static const char *json_value(const char *s, int depth)
{
    if (depth > 20)
        return NULL;
    if (*s == '{' || *s == '[')
        return json_list(s, depth, *s == '{' ? '}' : ']', *s == '{');
    if (*s == '"')
        return json_string(s);
    if (!strncmp(s, "true", 4) || !strncmp(s, "null", 4))
        return s + 4;
    if (!strncmp(s, "false", 5))
        return s + 5;
    size_t n = strspn(s, "-0123456789");
    return n ? s + n : NULL;
}

static void json_is_valid_whatever_is_said(void **state)
{
    static const char script[] =
        "local all = {} for i = 0, 255 do all[#all+1] = string.char(i) end\n"
        "local s = table.concat(all)\n"
        "ringside.title(s) ringside.section(s) ringside.say(s) print(s)\n"
        "ringside.check(false, s, s) ringside.expect_equal(s, s .. 'x', s)\n"
        "ringside.table({{s, s}}, {s})\n"
        "for _, t in ipairs{'\\xf0\\x90\\x80\\x80', '\\xed\\xa0\\x80', '\\xc0\\x80', '\\xe2\\x82', '\\xf4\\x90\\x80\\x80'} do "
        "print(t) end\n"
        "local m = ringside.machine{} ringside.mark('\"', {machine = m, la = -1, text = s})\n"
        "error(s)";
    struct result r = run(script, LX_JSON);
    assert_int_equal(r.status, SIM_SCRIPT);
    const char *end = json_value(r.out, 0);
    assert_non_null(end);
    assert_string_equal(end, "\n");
    assert_non_null(strstr(r.out, "\xf0\x90\x80\x80"));
    assert_null(strstr(r.out, "\xed\xa0\x80"));
    assert_non_null(strstr(r.out, "\"la\":\"0xffffffffffffffff\""));
    assert_non_null(strstr(r.out, "\"walk_refs\":0"));
    done(&r);
}

// Too much for one document: the script ends, and what was told before is whole; parts that each fit go out together.
static void json_is_valid_however_long(void **state)
{
    static const struct {
        const char *script;
        enum sim_status status;
        size_t least;
    } t[] = {
        {"ringside.check(true, 'kept') for _ = 1, 70 do ringside.say(('x'):rep(1 << 20)) end", SIM_LIMIT, 60u << 20},
        {"ringside.check(true, 'kept') ringside.title(('\\1'):rep(11 << 20))", SIM_LIMIT, 100},
        {"ringside.check(true, 'kept') local s = ('y'):rep(1 << 20) for _ = 1, 40 do ringside.say(s) ringside.check(true, s) end",
         SIM_LIMIT, 60u << 20},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct result r = run(t[k].script, LX_JSON);
        assert_int_equal(r.status, t[k].status);
        const char *end = json_value(r.out, 0);
        assert_non_null(end);
        assert_string_equal(end, "\n");
        assert_true((size_t)(end - r.out) > t[k].least);
        assert_non_null(strstr(r.out, "\"message\":\"kept\""));
        done(&r);
    }
    struct result r = run("local s = ('x'):rep(1 << 20) for _ = 1, 70 do print(s) end", LX_TEXT); // nor is a disk filled
    assert_int_equal(r.status, SIM_LIMIT);
    done(&r);
    r = run("local s = ('x'):rep(1 << 20) for _ = 1, 70 do ringside.check(true, s) end", LX_TAP);
    assert_int_equal(r.status, SIM_LIMIT);
    done(&r);
    fails("local m, s = ringside.machine{ram = '1M'}, ('x'):rep(1 << 20) for _ = 1, 70 do m:input(s) end", SIM_LIMIT,
          "input: more than 64 MiB for machine 1");
}

static void json_has_results(void **state)
{
    struct result r =
        run("ringside.result('points', 5) ringside.result('half', 0.5) ringside.result('none', 0/0) ringside.result('who', "
            "'\"x') ringside.result('fine', true)",
            LX_JSON);
    assert_non_null(strstr(r.out, "\"results\":[{\"name\":\"points\",\"value\":5},{\"name\":\"half\",\"value\":0.5},"
                                  "{\"name\":\"none\",\"value\":\"nan\"},{\"name\":\"who\",\"value\":\"\\\"x\"},"
                                  "{\"name\":\"fine\",\"value\":true}],"));
    done(&r);
}

// What a guest has printed may be told: it neither reaches the terminal as commands nor a TAP reader as lines.
static void bytes_become_text(void **state)
{
    static const char script[] = "ringside.say('') print('a\\r\\nok 1 - forged\\rx\\27[2J\\0\\127\\xff\\xc2\\x9b') "
                                 "ringside.check(true, 'e\\27#\\nf')";
    prints(
        script, LX_TEXT,
        "a\nok 1 - forged\xe2\x90\x8dx\xe2\x90\x9b[2J\xe2\x90\x80\xe2\x90\xa1\xef\xbf\xbd\xef\xbf\xbd\n  ok    e\xe2\x90\x9b# f\n"
        "\n1 of 1 checks held.\n");
    prints(script, LX_TAP,
           "TAP version 13\n# a\n# ok 1 - forged\xe2\x90\x8dx\xe2\x90\x9b[2J\xe2\x90\x80\xe2\x90\xa1\xef\xbf\xbd\xef\xbf\xbd\n"
           "ok 1 - e\xe2\x90\x9b\\# f\n1..1\n");
    fails("error('a\\27[2Jb\\nc')", SIM_SCRIPT, "t.lua:1: a [2Jb c");
}

static void quiet_says_failures_only(void **state)
{
    struct result r = run_with(story, sizeof story - 1, (struct lx_options){.quiet = true}, NULL);
    assert_null(strstr(r.out, "Numbers"));
    assert_null(strstr(r.out, "ok    fine"));
    assert_non_null(strstr(r.out, "FAIL  equal"));
    done(&r);
}

static void wrapping(void **state)
{
    static const struct {
        const char *in, *out;
    } t[] = {
        {"", ""},
        {"a", "a\n"},
        {"a b c d e f", "a b c\nd e f\n"},
        {"a\nb", "a b\n"},
        {"a\n\nb", "a\n\nb\n"},
        {"a\n  x  y\nb", "a\n  x  y\nb\n"},
        {"longerthanfive b", "longerthanfive\nb\n"},
        {"\xc3\xa4\xc3\xa4 \xc3\xb6\xc3\xb6 u", "\xc3\xa4\xc3\xa4 \xc3\xb6\xc3\xb6\nu\n"},
        {"a\n", "a\n"},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct lx_buf b = {0};
        lx_wrap(&b, t[k].in, strlen(t[k].in), "", 5);
        assert_string_equal(b.s ? b.s : "", t[k].out);
        lx_buf_free(&b);
    }
    assert_int_equal(lx_distance("GUEST_CR3", "guest_cr3"), 0);
    assert_int_equal(lx_distance("rxa", "rax"), 1);
    assert_int_equal(lx_distance("walks", "walk"), 1);
    assert_int_equal(lx_distance("", "abc"), 3);
}

// --- the sandbox
static void no_way_out(void **state)
{
    holds("for _, name in ipairs{'io', 'os', 'debug', 'package', 'dofile', 'loadfile', 'collectgarbage', 'warn'} do\n"
          "  ringside.check(_G[name] == nil, name .. ' is not there')\nend\n"
          "ringside.check(string.dump == nil, 'no string.dump')\n"
          "ringside.check(getmetatable(ringside.machine()) == 'ringside', 'metatables are hidden')\n"
          "ringside.check(not pcall(setmetatable, {}, {__gc = function() end}), 'no finalizers')\n"
          "ringside.check(not load('\\27Lua'), 'no byte code')\n"
          "ringside.check(not load('\\27Lua', 'x', 'b'), 'no byte code whatever the mode')\n"
          "ringside.check(not load(function() return '\\27Lua' end, 'x', 'bt'), 'nor from a function')\n"
          "ringside.check(load('return 1 + 1')() == 2, 'text is fine')\n"
          "ringside.check(load('return x', 'x', 't', {x = 7})() == 7, 'with an environment')\n"
          "local ok, e = pcall(ringside.assemble, 'incbin \"/etc/passwd\"')\n"
          "ringside.check(not ok and tostring(e):find('may not use other files'), 'no files for the assembler', tostring(e))\n"
          "for _, name in ipairs{'/etc/passwd', '../x', '', 'a/../b', './/../x'} do\n"
          "  local ok, e = pcall(function() ringside.machine():load(name) end)\n"
          "  ringside.check(not ok and tostring(e):find('without') , 'no guest ' .. name, tostring(e))\nend\n"
          "for _, name in ipairs{'/etc/x', '..x', 'a/b', '', '.', 'a..b', 'x\\0y'} do\n"
          "  ringside.check(not pcall(require, name), 'no module ' .. name)\nend");
    struct result r = run_with("\x1bLua", 4, (struct lx_options){0}, NULL);
    assert_int_equal(r.status, SIM_SCRIPT);
    done(&r);
}

static void requires_siblings(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/sub", dir);
    mkdir(path, 0700);
    put("sib.lua", "local name = ... return {name = name, deep = require 'sub.deep'}", 64);
    put("sub/deep.lua", "return 42", 9);
    holds("local s = require 'sib' ringside.expect_equal(s.name, 'sib', 'name') ringside.expect_equal(s.deep, 42, 'deep')\n"
          "ringside.check(require 'sib' == s, 'once')");
    fails("require 'nothing'", SIM_SCRIPT, "t.lua:1: require: cannot open");
}

// A lesson's folder and `include` beside it: the lesson's own file goes first.
static void requires_shared(void **state)
{
    static const char text[] =
        "ringside.expect_equal(require 'both', 'own', 'own') ringside.expect_equal(require 'common', 'shared', 'shared')\n"
        "ringside.check(not pcall(require, 'private'), 'no other folder')";
    const char *const folders[] = {"lesson", "include", "other"};
    char path[160];
    for (unsigned k = 0; k < 3; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, folders[k]);
        mkdir(path, 0700);
    }
    put("lesson/both.lua", "return 'own'", 12);
    put("include/both.lua", "return 'shared'", 15);
    put("include/common.lua", "return 'shared'", 15);
    put("other/private.lua", "return 1", 8);
    put("lesson/l.lua", text, sizeof text - 1);
    snprintf(path, sizeof path, "%s/lesson/l.lua", dir);
    struct sim_error err = {0};
    FILE *out = fopen("/dev/null", "w");
    assert_int_equal(lx_run(&(struct lx_options){.file = path, .out = out}, NULL, &err), SIM_OK);
    fclose(out);
}

static void deterministic(void **state)
{
    holds("local t = {} for _, k in ipairs{'z', 'a', 'm', 'b'} do t[k] = 1 end t[10] = 1 t[-3] = 1 t[1] = 1 t[true] = 1\n"
          "local keys = {} for k in pairs(t) do keys[#keys+1] = tostring(k) end\n"
          "ringside.expect_equal(table.concat(keys, ' '), '-3 1 10 a b m z true', 'pairs() is sorted')\n"
          "ringside.expect_equal(tostring({}), 'table', 'no addresses')\n"
          "ringside.check(not pcall(math.randomseed), 'no seed from the host')\n"
          "local co = coroutine.wrap(function() return xpcall(function(a) coroutine.yield(a) error('e', 0) end, function(e) return "
          "e .. '!' end, 4) end)\n"
          "ringside.expect_equal({co(), select(2, co())}, {4, 'e!'}, 'xpcall() with a yield')\n"
          "for k in pairs(t) do t[k] = nil end ringside.check(next(t) == nil, 'removal while traversing')\n"
          "local p = setmetatable({}, {__pairs = function() return function(_, k) return not k and 1 or nil end, nil, nil end})\n"
          "local n = 0 for k in pairs(p) do n = n + 1 end ringside.expect_equal(n, 1, '__pairs')");
    struct result a = run("print(math.random(1 << 40), math.random())", LX_TEXT),
                  b = run("print(math.random(1 << 40), math.random())", LX_TEXT);
    assert_string_equal(a.out, b.out);
    done(&a);
    done(&b);
}

static void limits_end_a_script(void **state)
{
    static const char loop[] = "is there an endless loop?";
    fails("while true do end", SIM_LIMIT, loop);
    fails("\nwhile true do end", SIM_LIMIT, "t.lua:2: the script ran ");
    fails("while true do pcall(function() while true do end end) end", SIM_LIMIT, loop);
    fails("xpcall(function() while true do end end, function() while true do end end) while true do end", SIM_LIMIT, loop);
    fails("while true do coroutine.wrap(function() for i = 1, 100 do end end)() end", SIM_LIMIT, loop);
    fails("while true do coroutine.resume(coroutine.create(function() while true do end end)) end", SIM_LIMIT, loop);
    fails("local t <close> = setmetatable({}, {__close = function() while true do end end}) error('x')", SIM_LIMIT, loop);
    fails("setmetatable(_G, {__index = function(t, k) while true do end end}) x()", SIM_LIMIT, loop);
    fails("local s = 'x' .. (' '):rep(1e5) .. 'y' while true do pcall(s.match, s, '^%s*(.-)%s*$') end", SIM_LIMIT, loop);
    fails("\nreturn ('a'):rep(99):find(('a?'):rep(99) .. ('a'):rep(99))", SIM_LIMIT, "t.lua:2: the script ran ");
    fails("for _ in ('a'):rep(1e5):gmatch('a-b') do end", SIM_LIMIT, loop);
    fails("return (('a'):rep(1e5):gsub('.-b', ''))", SIM_LIMIT, loop);
    fails("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1 << 20) .. i end", SIM_LIMIT, "more memory than the 128 MiB");
    fails("local s = ('x'):rep(1 << 26) return s .. s .. s", SIM_LIMIT, "memory");
    fails("local m = {} for i = 1, 100 do m[i] = ringside.machine{ram = '1M'} end", SIM_LIMIT, "there are 64 machines already");
    holds("for i = 1, 200 do ringside.machine{ram = '1M'} end ringside.check(true, 'garbage goes away')");
    holds("for i = 1, 200 do ringside.machine{ram = '1M'}:close() end ringside.check(true, 'and so do closed ones')");
}

static void new_memory_takes_steps(void **state)
{
    static const char text[] = "while true do local s = ('x'):rep(1e6) end";
    struct result r = run_with(text, sizeof text - 1, (struct lx_options){.max_steps = 200000}, NULL);
    assert_int_equal(r.status, SIM_LIMIT);
    done(&r);
}

static void bad_scripts_do_not_crash(void **state)
{
    fails("local function f() return f() + 1 end f()", SIM_SCRIPT, "stack overflow");
    fails("local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", SIM_SCRIPT, "");
    fails("error()", SIM_SCRIPT, "t.lua: the script raised an error without a text: nil");
    fails("error{status = 5, message = 'not ours'}", SIM_SCRIPT, "without a text: table");
    fails("error({})", SIM_SCRIPT, "table");
    fails("error(setmetatable({}, {__tostring = function() error('no') end}))", SIM_SCRIPT, "cannot be printed");
    fails("error(setmetatable({}, {__tostring = function() return {} end}))", SIM_SCRIPT, "cannot be printed");
    fails("this is no Lua", SIM_SCRIPT, "t.lua:1: syntax error");
    fails("string.rep()", SIM_SCRIPT, "t.lua:1: bad argument #1 to 'rep'");
    fails("ringside.machine(1)", SIM_SCRIPT, "bad argument #1");
    fails("ringside.say(nil)", SIM_SCRIPT, "bad argument #1 to 'say'");
    fails("local ok, e = pcall(ringside.say) error(e)", SIM_SCRIPT, "bad argument #1 to 'ringside.say'");
    fails("local m = ringside.machine() local ok, e = pcall(m.u8, m, {}) error(e)", SIM_SCRIPT, "bad argument #2 to 'Machine.u8'");
    fails("ringside.machine{cpus = 0}", SIM_SCRIPT, "option 'cpus' must be 1 or more, not 0");
    fails("ringside.machine{cpus = 1 << 40}", SIM_SCRIPT, "4294967295 processors: give 1 to 8");
    fails("ringside.machine{seed = 1.5}", SIM_SCRIPT, "option 'seed' must be a whole number, not 1.5");
    fails("ringside.machine():run{max_insns = 0}", SIM_SCRIPT,
          "option 'max_insns' must be 1 or more, not 0"); // no limit is no number
    fails("ringside.machine():run{max_cycles = -1}", SIM_SCRIPT, "option 'max_cycles' must be 1 or more, not -1");
    fails("ringside.table{1}", SIM_SCRIPT, "table: a row is a list of cells, not number");
    fails("ringside.machine().cpu.rax.x = 1", SIM_SCRIPT, "attempt to index a number");
    fails("getmetatable('').__index = nil; ('x'):rep(1)", SIM_SCRIPT, "");
    holds("local co = coroutine.wrap(function() local m = ringside.machine() m:assemble('nop\\nhlt') coroutine.yield(m:run().kind) "
          "end)\n"
          "ringside.expect_equal(co(), 'halt', 'a machine may run in a coroutine')");
    // Every function of the API, and every metamethod, with arguments of the wrong kind.
    holds("local m = ringside.machine() local bad = {'', 'x', -1, 1 << 62, 0.5, 1e300, true, {}, {{}}, print, m, m.cpu, m.vmcs}\n"
          "local names = {} for k in pairs(ringside) do names[#names+1] = k end\n"
          "local n = 0\n"
          "for _, k in ipairs(names) do if type(ringside[k]) == 'function' and k ~= 'say' then for _, a in ipairs(bad) do for _, b "
          "in ipairs(bad) do\n"
          "  if k ~= 'check' and k ~= 'expect_equal' and k ~= 'help' and k ~= 'assemble' and k ~= 'title' and k ~= 'section' then\n"
          "  n = n + 1 pcall(ringside[k], a, b, a) end end end end end\n"
          "local methods = {} for line in ([[load start run step_ref run_to run_to_cycle run_until_event stop on read write u8 u16 "
          "u32 u64 write_u8\n"
          "write_u16 write_u32 write_u64 string descriptor gate translate translate_gpa tlb cache stat entry_report disasm symbol "
          "add_symbol output input hash]])\n"
          ":gmatch('%S+') do for _, a in ipairs(bad) do for _, b in ipairs(bad) do n = n + 1\n"
          "  pcall(function() return m[line](m, a, b, {max_insns = 10}) end) pcall(m[line], a, m, b) end end end\n"
          "for _, a in ipairs(bad) do for _, p in ipairs{m, m.cpu, m.vmcs} do pcall(function() return p[a] end) pcall(function() "
          "p[a] = a end) end end\n"
          "ringside.check(n > 1000, 'survived')");
}

// --- machines
static void machine_basics(void **state)
{
    holds("local function cycles(set) local m = ringside.machine{set = set} m:assemble('cpuid\\nhlt', {at = 0x9000}) m:run() "
          "return m.cycles end\n"
          "ringside.expect_equal(cycles{['cost.cpuid'] = 1100} - cycles(), 1000, 'set')\n"
          "ringside.expect_equal(cycles{['cost.cpuid'] = '2K', ['dram.ns'] = 1} - cycles(), 1948, 'set with a unit')\n");
    holds("local m = ringside.machine{ram = '16M', profile = 'teach', seed = 3}\n"
          "ringside.expect_equal(m.ram, 16 << 20, 'ram') ringside.expect_equal(m.profile, 'teach', 'profile')\n"
          "local l = m:assemble([[\nstart: mov rax, 0x1234\n  add rax, rbx\n.loop: dec rax\n  jnz .loop\n  mov qword [data], "
          "77\nend: hlt\ndata: dq 5\n]],"
          " {at = 0x10000})\n"
          "ringside.expect_equal(m:symbol('start'), 0x10000, 'label')\n"
          "ringside.expect_equal(m:symbol(0x10003), 'start+0x3', 'name')\n"
          "ringside.expect_equal(m.cpu.rip, 0x10000, 'rip') ringside.expect_equal(m.mode, '64-bit', 'mode')\n"
          "ringside.expect_equal(m.level, 'off', 'level')\n"
          "local text, n = m:disasm('start') ringside.check(text:find('mov') and n > 4, 'disasm', text)\n"
          "m.cpu.rbx = 2\n"
          "ringside.expect_equal(m:step().kind, 'until', 'step') ringside.expect_equal(m.cpu.rax, 0x1234, 'rax')\n"
          "ringside.expect_equal(m:step(1).condition, 'insns', 'condition') ringside.expect_equal(m.cpu.rax, 0x1236, 'sum')\n"
          "ringside.expect_equal(m.insns, 2, 'insns') ringside.check(m.cycles > 0, 'cycles')\n"
          "ringside.expect_equal(m:run_to('end').condition, 'to', 'run_to') ringside.expect_equal(m.cpu.rip, m:symbol('end'), "
          "'there')\n"
          "ringside.expect_equal(m:run_to('end').condition, 'to', 'there already')\n"
          "ringside.expect_equal(m:u64('data'), 77, 'memory') m:write_u64('data', -1)\n"
          "ringside.expect_equal(m:u64('data'), -1, 'signed') ringside.expect_equal(m:u32('data'), 0xffffffff, 'u32')\n"
          "m:write('data', 'hello\\0x') ringside.expect_equal(m:string('data'), 'hello', 'string')\n"
          "ringside.expect_equal(m:read('data', 5, 'host'), 'hello', 'host') ringside.expect_equal(m:read('data', 5, 'guest'), "
          "'hello', 'guest')\n"
          "ringside.expect_equal(m:u8('data'), 104, 'u8') ringside.expect_equal(m:u16('data'), 0x6568, 'u16')\n"
          "local s = m:run() ringside.expect_equal(s.kind, 'halt', 'halt') ringside.check(tostring(s) ~= '', 'text')\n"
          "local h = m:hash() m:write_u8('data', 1) ringside.check(m:hash() ~= h and #h == 16, 'hash')\n"
          "ringside.expect_equal(m.cpu['cs.base'], 0, 'hidden part') ringside.expect_equal(m:descriptor(0x18).kind, '64-bit code', "
          "'descriptor')\n"
          "ringside.check(m:descriptor(0xfff8) == nil, 'outside')\n"
          "ringside.check(tostring(m):find('^machine 1 %(teach, cycle %d+%)$'), 'tostring', tostring(m))\n"
          "m:close() ringside.expect_equal(tostring(m), 'machine 1 (closed)', 'closed')");
}

static void machine_sixteen_bits_and_gas(void **state)
{
    holds("local m = ringside.machine()\n"
          "m:assemble('mov ax, 5\\nhlt', {at = 0x7c00, bits = 16}) ringside.expect_equal(m.mode, 'real', 'real') m:run()\n"
          "ringside.expect_equal(m.cpu.ax, 5, 'ax')\n"
          "m:assemble('mov $6, %eax\\nspot: hlt', {at = 0x9000, bits = 32, syntax = 'gas'}) m:run()\n"
          "ringside.expect_equal(m.cpu.eax, 6, 'eax') ringside.expect_equal(m:symbol('spot'), 0x9005, 'label of as')\n"
          "m:assemble('.intel_syntax noprefix\\nmov rax, [rip+x]\\nhlt\\nx: .quad 9', {at = 0x9000, syntax = 'gas'}) m:run()\n"
          "ringside.expect_equal(m.cpu.rax, 9, 'rip-relative')\n"
          "m:assemble('mov ax, 7', {at = 0x7c00, bits = 16, start = 'keep'}) ringside.expect_equal(m:u8(0x7c00), 0xb8, 'kept')\n"
          "local _, own = ringside.assemble('%macro m 0\\n%%x: nop\\n%endmacro\\nm\\ny: ret', {at = 0x5000})\n"
          "local names = {} for name in pairs(own) do names[#names + 1] = name end\n"
          "ringside.expect_equal(names, {'y'}, 'labels inside macros have no names of their own')\n"
          "local bytes, labels = ringside.assemble('a: nop\\nb: ret', {at = 0x5000})\n"
          "ringside.expect_equal(bytes, '\\x90\\xc3', 'bytes') ringside.expect_equal(labels.b, 0x5001, 'labels')");
}

static void loads_guests(void **state)
{
    put("guest.bin", "\xb0\x2a\xe6\xf4\xf4", 5); // mov al, 2ah; out 0f4h, al; hlt
    holds("local m = ringside.machine() local l = m:load('guest.bin')\n"
          "ringside.expect_equal({l.format, l.lo, l.hi, l.entry}, {'flat', 0x7c00, 0x7c05, 0x7c00}, 'loaded')\n"
          "local s = m:run() ringside.expect_equal({s.kind, s.code}, {'exit', 0x55}, 'exit')");
    fails("ringside.machine():load('missing.bin')", SIM_IMAGE, "guest 'missing.bin': missing.bin: No such file");
    fails("ringside.machine():load('guest.bin', {format = 'elf'})", SIM_IMAGE, "guest.bin");
    fails("ringside.machine():load('guest.bin', {modules = {'missing.mod'}})", SIM_IMAGE,
          "guest 'missing.mod': missing.mod: No such file");
    fails("ringside.machine():load('sub')", SIM_IMAGE, "guest 'sub': sub: is a folder");
    fails("ringside.machine():load('..g')", SIM_IMAGE, "guest '..g': ..g: No such file"); // dots are no way out by themselves
    fails("ringside.machine():load('guest.bin', {modules = {'guest.bin', 7}})", SIM_SCRIPT, "load: module 2 is number, not a name");
    fails("ringside.machine():load('guest.bin', {modules = 'guest.bin'})", SIM_SCRIPT,
          "load: modules is string, not a list of names");
    fails("ringside.machine():boot('kvn')", SIM_USAGE, "boot: no system \"kvn\" (did you mean kvm?)");
    fails("ringside.machine():boot('debian')", SIM_USAGE, "boot: debian boots from a disk");
    fails("ringside.machine():boot('kvm')", SIM_USAGE, "boot: kvm needs 384M of memory, this machine has 64M");
    fails("ringside.machine():load('guest.bin', {modules = {1,2,3,4,5,6,7,8,9}})", SIM_SCRIPT, "load: 8 modules at most");
    char path[128];
    snprintf(path, sizeof path, "%s/guest.bin", dir);
    const char *args[] = {path, NULL};
    const char *text = "ringside.machine():load(arg[1])";
    struct result r = run_with(text, strlen(text), (struct lx_options){.args = args}, NULL);
    assert_int_equal(r.status, SIM_OK); // the user named it
    done(&r);
    char set[160];
    snprintf(set, sizeof set, "answer=%s", path);
    const char *sets[] = {set};
    text = "ringside.machine():load(ringside.param('answer', 'x'))";
    r = run_with(text, strlen(text), (struct lx_options){.set = sets, .nset = 1}, NULL);
    assert_int_equal(r.status, SIM_OK); // the same
    done(&r);
    snprintf(path, sizeof path, "%s/pipe.bin", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    fails("ringside.machine():load('pipe.bin')", SIM_IMAGE, "guest 'pipe.bin': pipe.bin: is no ordinary file");
    unlink(path);
    snprintf(path, sizeof path, "%s/guest.map", dir); // beside the guest, and nobody writes into it
    assert_int_equal(mkfifo(path, 0600), 0);
    holds("ringside.machine():load('guest.bin')");
    unlink(path);
}

static void stops(void **state)
{
    static const char boom[] = "local m = ringside.machine() m:assemble('lidt [x]\\nud2\\nx: dq 0, 0', {at = 0x8000}) ";
    char text[512];
    snprintf(text, sizeof text, "%s m:run()", boom);
    fails(text, SIM_UNRECOVERABLE, "t.lua:1: shutdown: triple fault: #UD");
    snprintf(text, sizeof text, "%s ringside.expect_equal(m:run{allow = {'shutdown'}}.kind, 'shutdown', 'allowed')", boom);
    holds(text);
    snprintf(text, sizeof text,
             "%s local ok, e = pcall(m.run, m) ringside.expect_equal({ok, e.kind, e.status, e.stop.kind}, {false, 'shutdown', 6, "
             "'shutdown'}, 'caught')",
             boom);
    holds(text);
    static const char loop[] = "local m = ringside.machine() m:assemble('a: jmp a') ";
    snprintf(text, sizeof text, "%s m:run{max_cycles = 100}", loop);
    fails(text, SIM_LIMIT, "t.lua:1: limit: ");
    snprintf(text, sizeof text,
             "%s ringside.expect_equal(m:run{max_insns = 100, allow = 'limit'}.kind, 'limit', 'allowed') "
             "ringside.expect_equal(m.insns, 100, 'exactly') ringside.expect_equal(m:run{insns = 5}.condition, 'insns', 'five') "
             "m:run_to_cycle(m.cycles + 50) ringside.expect_equal(m:run{cycle = m.cycles + 9}.condition, 'cycle', 'cycle')",
             loop);
    holds(text);
    snprintf(text, sizeof text, "%s while true do pcall(m.run, m, {max_insns = 1000000}) end", loop);
    struct result r = run_with(text, strlen(text), (struct lx_options){.max_cycles = 3000000}, NULL);
    assert_int_equal(r.status, SIM_LIMIT);
    assert_non_null(strstr(r.err.what, "has used up its guest cycles"));
    done(&r);
    fails("local m = ringside.machine() m:assemble('hlt\\nx: nop') m:run_to('x')", SIM_SCRIPT, "the guest never came to x: ");
}

static void events(void **state)
{
    holds(
        "local m = ringside.machine{profile = 'teach'}\n"
        "m:assemble([[\nmov al, 'h'\nout 0xe9, al\nmov al, 'i'\nout 0xe9, al\nmov rbx, 0x200000\nmov rcx, [rbx]\nmov cr3, "
        "rax\nhlt]], {at = 0x9000})\n"
        "local seen = {} local h = m:on({'output', 'cr'}, function(e) seen[#seen+1] = e end)\n"
        "local refs = 0 m:on('ref', function(e) if e.la == 0x200000 then refs = refs + 1 end end)\n"
        "m:run{insns = 2} ringside.expect_equal(seen[1].char, 'h', 'char') ringside.expect_equal(seen[1].kind, 'output', 'kind')\n"
        "h:off() h:off() m:run{insns = 2} ringside.expect_equal(#seen, 1, 'off') ringside.expect_equal(m:output(), 'hi', "
        "'output')\n"
        "m:step(2) ringside.check(refs > 0 and refs <= 3, 'references of a load', tostring(refs)) ringside.expect_equal(refs, refs "
        "| 0, 'whole')\n"
        "ringside.check(m:stat('walks') > 0, 'stat')\n"
        "local t = m:tlb(0x200000) ringside.check(#t > 0 and t[1].page_size >= 4096 and not t[1].stale, 'tlb')\n"
        "ringside.check(#m:tlb() > #t, 'all of it')\n"
        "ringside.check(m:cache('l1d') == nil, 'caches in detailed fidelity only')\n"
        "local d = ringside.machine{fidelity = 'detailed', set = {['cache.l3.size'] = 0}}\n"
        "d:assemble('mov eax, [0x9000]\\nmov [0x9040], eax\\nhlt') d:run{insns = 2}\n"
        "local c = d:cache('l1d')\n"
        "ringside.expect_equal({c.lines[0x9000], c.lines[0x9040], c.lines[0xa000]}, {'E', 'M'}, 'lines')\n"
        "ringside.expect_equal({c.sets * c.ways * c.line, d:stat('l1d.miss'), d:cache('l3') == nil}, {32768, c.misses, true}, "
        "'l1d')");
    holds("local m = ringside.machine() m:assemble('mov ecx, 5\\na: out 0xe9, al\\nloop a\\nhlt')\n"
          "local n = 0 local e, s = m:run_until_event('output', function(e) n = n + 1 return n == 3 end)\n"
          "ringside.expect_equal({e.kind, s.kind, s.condition, m.cpu.ecx}, {'output', 'until', 'event', 3}, 'third')\n"
          "local e = m:run_until_event('output') ringside.expect_equal(m.cpu.ecx, 2, 'next')\n"
          "local e, s = m:run_until_event('vmexit') ringside.expect_equal({e == nil, s.kind}, {true, 'halt'}, 'never')\n"
          "ringside.expect_equal(m:run{event = 'output', insns = 3}.kind, 'halt', 'stays halted')");
    holds("local m = ringside.machine() m:assemble('a: inc eax\\njmp a')\n"
          "local name m:on('mark', function(e) name = e.name end) ringside.mark('here', {machine = m}) ringside.expect_equal(name, "
          "'here', 'mark')\n"
          "local h = m:on('mark', function(e) error('x', 0) end) local ok, e = pcall(ringside.mark, 'there', {machine = m})\n"
          "ringside.expect_equal({ok, e}, {false, 'x'}, 'its handler fails') h:off()\n"
          "m:on('insn', function(e) if m.cpu.eax == 5 then m:stop() end end)\n"
          "ringside.expect_equal(m:run().kind, 'request', 'stop') ringside.check(m.cpu.eax <= 6, 'at once')");
}

static void event_handlers_look_only(void **state)
{
    static const char make[] =
        "local m = ringside.machine() m:assemble('out 0xe9, al\\nhlt') m:on('output', function(e) %s end) m:run()";
    static const struct {
        const char *what, *message;
    } t[] = {
        {"m:run()", "an event handler may look at its machine and stop it"},
        {"m:step()", "an event handler may look"},
        {"m.cpu.rax = 1", "an event handler may look"},
        {"m:write_u8(0, 1)", "an event handler may look"},
        {"m:close()", "an event handler may look"},
        {"m:reset()", "an event handler may look"},
        {"m:assemble('nop')", "an event handler may look"},
        {"error('mine')", "t.lua:2: mine"},
        {"local x = nil + 1", "t.lua:2: attempt to perform arithmetic"},
        {"coroutine.yield()", "attempt to yield"},
        {"while true do end", "endless loop"},
    };
    char text[512];
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        snprintf(text, sizeof text, make, t[k].what);
        struct result r = run(text, LX_TEXT);
        if (!strstr(r.err.what, t[k].message) && !strstr(r.err.what, strchr(t[k].message, ' ')))
            fail_msg("%s: %s", t[k].what, r.err.what);
        assert_int_not_equal(r.status, SIM_OK);
        done(&r);
    }
    snprintf(text, sizeof text, make,
             "local n = ringside.machine() n:assemble('hlt') assert(n:run().kind == 'halt') ringside.check(m.cycles > 0, 'look')");
    holds(text);
}

static void stepping_by_reference(void **state)
{
    holds("local m = ringside.machine{profile = 'teach'} m:assemble('mov rbx, 0x400000\\nmov rax, [rbx]\\nhlt', {at = 0x9000}) "
          "m:step()\n"
          "local kinds, e = {}, m:step_ref() local at = m.insns\n"
          "while true do kinds[#kinds+1] = e.kind if e.left == 0 then break end e = m:step_ref() end\n"
          "ringside.expect_equal(m.insns, at, 'one instruction') ringside.expect_equal(at, 2, 'the load')\n"
          "local last = kinds[#kinds] ringside.expect_equal(last, 'mem', 'the data itself comes last')\n"
          "local refs = 0 for _, k in ipairs(kinds) do if k == 'ref' then refs = refs + 1 end end ringside.check(refs >= 1, 'walk "
          "first', table.concat(kinds, ' '))");
}

static void translations(void **state)
{
    holds(
        "local m = ringside.machine() m:assemble('hlt', {at = 0x9000})\n"
        "local w = m:translate(0x201234) ringside.expect_equal({w.ok, w.outcome, w.refs, #w.steps, w.hpa, w.page_size, "
        "w.guest_levels, w.ept_levels},\n"
        "  {true, 'ok', 3, 3, 0x201234, 2 << 20, 4, 0}, '2 MiB page')\n"
        "ringside.expect_equal({w.steps[1].entry_name, w.steps[3].entry_name, w.steps[3].leaf}, {'PML4E', 'PDE', true}, 'names')\n"
        "local w = m:translate(1 << 39) ringside.expect_equal({w.ok, w.outcome, w.steps[1].failed}, {false, 'page-fault', true}, "
        "'fault')\n"
        "ringside.check(#w.steps[1].why > 0, 'why')\n"
        "local w = m:translate(0x201234, {access = 'w', user = true}) ringside.expect_equal({w.outcome, w.error}, {'page-fault', "
        "7}, 'user')\n"
        "ringside.expect_equal(m:translate_gpa(0x5000).hpa, 0x5000, 'no EPT')\n"
        "ringside.check(not pcall(m.u8, m, 1 << 39), 'unmapped')");
}

static void vmx_by_name(void **state)
{
    holds(
        "local m = ringside.machine() m:assemble([[\n"
        "mov rax, cr4\nor eax, 1 << 13\nmov cr4, rax\nmov rax, cr0\nor eax, 0x20\nmov cr0, rax\nmov ecx, 0x3a\nrdmsr\nor eax, "
        "5\nwrmsr\n"
        "mov ecx, 0x480\nrdmsr\nmov [0x10000], eax\nmov [0x11000], eax\nmov qword [p], 0x10000\nvmxon [p]\nmov qword [p], 0x11000\n"
        "vmclear [p]\nvmptrld [p]\nloaded: mov eax, 0x6802\nmov ebx, 0x5000\nvmwrite rax, rbx\nready: vmlaunch\nhlt\np: dq 0]])\n"
        "local names = {} m:on('vmx', function(e) names[#names+1] = e.name .. ' ' .. e.outcome end)\n"
        "m:run_to('loaded') ringside.expect_equal(names, {'vmxon ok', 'vmclear ok', 'vmptrld ok'}, 'events')\n"
        "ringside.expect_equal(m.level, 'root', 'level') m:run_to('ready')\n"
        "ringside.expect_equal({m.vmcs.GUEST_CR3, m.vmcs.guest_cr3, m.vmcs[0x6802]}, {0x5000, 0x5000, 0x5000}, 'a field, three "
        "ways')\n"
        "m.vmcs.GUEST_CR3 = 0x6000 ringside.expect_equal(m.vmcs[0x6802], 0x6000, 'written') ringside.check(m:entry_report() == "
        "nil, 'no report yet')\n"
        "local e = m:run_until_event('vmentry-fail') local r = m:entry_report()\n"
        "ringside.expect_equal({r.outcome, r.error, #r == #e.report, #r > 0}, {'fail-valid', 7, true, true}, 'error 7')\n"
        "for _, f in ipairs(r) do ringside.check(f.id:find('^E%-') and #f.field > 3 and #f.rule > 10 and math.type(f.value) == "
        "'integer' and "
        "math.type(f.bits) == 'integer', f.id) end\n"
        "ringside.expect_equal(r.checks >= #r, true, 'checks') ringside.expect_equal(m:run().kind, 'halt', 'goes on')");
}

static void unknown_names_suggest(void **state)
{
    static const struct {
        const char *script, *message;
    } t[] = {
        {"print(m.cpu.rxa)", "no register is called 'rxa'; did you mean 'rax'?"},
        {"m.cpu.raxx = 1", "no register is called 'raxx'; did you mean 'rax'?"},
        {"m.cpu.rax = 'x'", "register rax takes a whole number, not string"},
        {"m.cpu.cpl = 1", "register cpl can be read only"},
        {"print(m.vmcs.GUEST_CR33)", "no VMCS field is called 'GUEST_CR33'; did you mean 'GUEST_CR3'?"},
        {"print(m.vmcs[0x9999])", "no VMCS field has the encoding 0x9999"},
        {"print(m.vmcs.GUEST_CR3)", "machine 1 has no current VMCS"},
        {"m:stat('wlaks')", "no counter is called 'wlaks'; did you mean 'walks'?"},
        {"m:on('vmexits', print)", "no event is called 'vmexits'; did you mean 'vmexit'?"},
        {"m:on({}, print)", "the list of kinds of event is empty"},
        {"m:runn()", "a machine has no 'runn'; did you mean 'run'?"},
        {"m:run{zzzzzzzz = 1}", "run has no option 'zzzzzzzz'; it knows to, event, cycle, insns"},
        {"m:run{evnt = 1}", "run has no option 'evnt'; did you mean 'event'?"},
        {"m:run{allow = {'shutdwn'}}", "unknown kind of stop 'shutdwn'; did you mean 'shutdown'?"},
        {"m:run_to('nowhere')", "no symbol 'nowhere' in what machine 1 has loaded"},
        {"m:read(0, 4, 'lineal')", "unknown address space 'lineal'; did you mean 'linear'?"},
        {"ringside.machine{ram = '64Q'}", "ram = \"64Q\": give a size such as \"64M\" or \"2G\""},
        {"ringside.machine{profile = 'tech'}", "'tech'"},
        {"ringside.machine{set = {['tlb.l2.entrees'] = 64}}", "did you mean tlb.l2.entries?"},
        {"ringside.machine{set = {['tlb.l2.entries'] = 63}}", "63 entries in 4 ways"},
        {"ringside.machine{set = {'tlb.l2.entries=64'}}", "names are strings"},
        {"ringside.machine{set = {['dram.ns'] = 1.5}}", "names are strings"},
        {"ringside.machine{set = 3}", "give a table"},
        {"m:assemble('mov rax,\\n  foo bar baz\\n')", "assemble: nasm, line "},
        {"m:assemble('bad %eax', {syntax = 'gas'})", "assemble: as, line 1: no such instruction"},
        {"m:assemble('call nowhere', {syntax = 'gas'})", "undefined reference to `nowhere'"},
        {"m:assemble('nop', {bits = 63})", "bits must be 16, 32 or 64"},
        {"m:assemble('nop', {at = 0x2000})", "would overlap the tables of its start state"},
        {"m:u8(1 << 40, 'host')", "host address 0x10000000000 is not mapped"},
        {"m:write_u8(0, 256)", "0x100 does not fit in 8 bits"},
        {"ringside.mark('x', {})", "mark: say which machine"},
        {"ringside.help('Machine.run_two')", "no help on 'Machine.run_two'; try 'Machine.run_to"},
    };
    char text[256];
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        snprintf(text, sizeof text, "local m = ringside.machine{}\n%s", t[k].script);
        fails(text, SIM_SCRIPT, t[k].message);
        fails(text, SIM_SCRIPT, "t.lua:2: ");
        fails(text, SIM_SCRIPT, "(at guest cycle 0, RIP 0x");
    }
}

static void missing_assembler_is_named(void **state)
{
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    struct result r = run("ringside.assemble('nop')", LX_TEXT);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(r.status, SIM_SCRIPT);
    assert_non_null(strstr(r.err.what, "t.lua:1: assemble: nasm was not found in PATH; install it"));
    done(&r);
}

static void assembling_leaves_nothing(void **state)
{
    setenv("TMPDIR", dir, 1);
    holds("ringside.check(#ringside.assemble('nop') == 1, 'fine') pcall(ringside.assemble, 'bad bad')\n"
          "pcall(ringside.assemble, 'x', {syntax = 'gas'})");
    unsetenv("TMPDIR");
    char path[128];
    snprintf(path, sizeof path, "%s/sub", dir); // remove_dir() fails at the end if anything is left
    rmdir(path);
}

// Where the kernel has Landlock, even a directive in disguise cannot read outside the temporary folder.
static void assembler_is_confined(void **state)
{
    char text[512];
#ifdef SYS_landlock_create_ruleset
    bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0; // asks for the version
#else
    bool landlock = false;
#endif
    if (!landlock)
        skip();
    put("guest.bin", "secret", 6);
    snprintf(text, sizeof text,
             "local ok, e = pcall(ringside.assemble, '%%define x inc\\n%%[x]bin \"%s/guest.bin\"\\n')\n"
             "ringside.check(not ok and tostring(e):find('unable to open'), 'refused', tostring(e))",
             dir);
    holds(text);
}

// --- hooks
struct hooked {
    unsigned drives, narrations, checks, marks, finishes;
    char last[256];
    enum sim_status status;
    unsigned quit_at, stop_at;
};
static struct sim_stop hook_drive(void *ctx, struct sim_machine *m, const struct sim_until *until, bool *quit)
{
    struct hooked *h = ctx;
    *quit = ++h->drives == h->quit_at;
    return sim_run(m, until);
}
static void hook_narrate(void *ctx, const char *text) { ((struct hooked *)ctx)->narrations++; }
static void hook_check(void *ctx, bool ok, const char *what, const char *detail) { ((struct hooked *)ctx)->checks++; }
static int hook_mark(void *ctx, const struct sim_mark *mark)
{
    struct hooked *h = ctx;
    snprintf(h->last, sizeof h->last, "%s %s %#llx", mark->name, mark->text, (unsigned long long)mark->la);
    return ++h->marks == h->stop_at;
}
static void hook_finish(void *ctx, struct sim_machine *m, enum sim_status status, const char *line)
{
    struct hooked *h = ctx;
    h->finishes++;
    h->status = status;
    assert_true(m == NULL || sim_ncpus(m) == 1);
}

static struct hooked run_hooked(const char *text, struct hooked h, enum sim_status want)
{
    struct lx_hooks hooks = {&h, hook_drive, hook_narrate, hook_check, hook_mark, hook_finish};
    struct result r = run_with(text, strlen(text), (struct lx_options){0}, &hooks);
    assert_int_equal(r.status, want);
    assert_string_equal(r.out ? r.out : "", "");
    done(&r);
    return h;
}

static void hooks_take_over(void **state)
{
    static const char text[] =
        "local m = ringside.machine() m:assemble('a: jmp a')\n"
        "ringside.say('x') m:step() ringside.check(true, 'y') m:step() ringside.mark('one', {machine = m, la = 'a', text = 'T'})\n"
        "pcall(m.step, m) pcall(m.step, m) ringside.mark('two', {machine = m, text = 'U'}) ringside.check(false, 'z')";
    struct hooked h = run_hooked(text, (struct hooked){0}, SIM_CHECK_FAILED);
    assert_int_equal(h.drives, 4);
    assert_int_equal(h.checks, 2);
    assert_int_equal(h.marks, 2);
    assert_int_equal(h.finishes, 1);
    assert_int_equal(h.status, SIM_CHECK_FAILED);
    assert_int_equal(h.narrations, 1);                           // marks and checks are not narrated as well
    h = run_hooked(text, (struct hooked){.quit_at = 3}, SIM_OK); // the script's pcall() does not hold it back
    assert_int_equal(h.drives, 3);
    assert_int_equal(h.checks, 1);
    h = run_hooked(text, (struct hooked){.stop_at = 1}, SIM_OK);
    assert_int_equal(h.drives, 2);
    assert_string_equal(h.last, "one T 0x8000");
}

// --- annotations and help
static void annotations_hold_every_row(void **state)
{
    char *text = lx_annotations(), want[128];
    assert_non_null(text);
    assert_int_equal(strncmp(text, "---@meta\n", 9), 0);
    for (unsigned n = 0; n < lx_nrows; n++) {
        const struct lx_row *row = &lx_rows[n];
        bool top = !strcmp(row->klass, "ringside");
        if (!row->name)
            snprintf(want, sizeof want, "---@class %s%s", top ? "" : "ringside.", row->klass);
        else if (row->fn)
            snprintf(want, sizeof want, "function %s%s%s(", row->klass, top ? "." : ":", row->name);
        else
            snprintf(want, sizeof want, "---@field %s %s ", row->name, row->params);
        if (!strstr(text, want))
            fail_msg("annotations lack '%s'", want);
        assert_true(strlen(row->text) > 4);
    }
    lua_State *L = luaL_newstate();
    if (luaL_loadstring(L, text) != LUA_OK)
        fail_msg("annotations are no Lua: %s", lua_tostring(L, -1));
    lua_close(L);
    free(text);
}

static void ledger_accounts(void **state)
{
    holds("local m = ringside.machine{}\n"
          "m:assemble([[\n"
          "  mov rax, [0x300000]\n"
          "  mov rax, cr3\n"
          "  mov cr3, rax\n"
          "  mov rax, [0x300000]\n"
          "  hlt]], {at = 0x8000, start = 'long64'})\n"
          "m:run()\n"
          "local l = m:ledger()\n"
          "ringside.expect_equal(l.exits, 0, 'no VM exit')\n"
          "ringside.expect_equal(#l.vmcs, 0, 'no VMCS')\n"
          "ringside.expect_equal(l.levels[1], nil, 'no guest')\n"
          "local root = l.levels[0]\n"
          "ringside.expect_equal(root.cycles, m.cycles, 'cycles')\n"
          "ringside.expect_equal(root.walks, m:stat('walks'), 'walks')\n"
          "ringside.expect_equal(root.refs, m:stat('walk_refs'), 'references')\n"
          "ringside.expect_equal(root.dropped, m:stat('tlb_flushed'), 'entries dropped')\n"
          "ringside.check(root.flushes >= 1 and root.dropped >= 1 and root.walks >= 3, 'MOV CR3 dropped what had been walked "
          "for')\n");
}

// Machines are announced when they are made and when they go, in whatever way.
static void on_machine(void *ctx, struct sim_machine *m, bool made) { *(int *)ctx += made ? 10 : 1; }
static void machines_are_announced(void **state)
{
    int seen = 0;
    const struct lx_hooks hooks = {.ctx = &seen, .machine = on_machine};
    static const char text[] = "local a, b = ringside.machine{}, ringside.machine{}\na:close()\nerror('end')\n";
    struct result r = run_with(text, strlen(text), (struct lx_options){0}, &hooks);
    assert_int_equal(r.status, SIM_SCRIPT);
    assert_int_equal(seen, 22);
    done(&r);
    // What ran, and is reset by whatever means, is another machine for those who count; what is only put into memory is not.
    static const char again[] =
        "local m = ringside.machine{} local function load(how) m:assemble('hlt', how) end\n"
        "load() load() m:run() load{start = 'keep'} load() m:run() m:start(0x8000, 'long64') m:run() m:reset() m:reset()\n"
        "m:assemble('hlt') m:run() pcall(m.load, m, 'guest.bin', {at = -1})";
    seen = 0;
    r = run_with(again, strlen(again), (struct lx_options){0}, &hooks);
    assert_int_equal(r.status, SIM_OK);
    assert_int_equal(seen, 55);
    done(&r);
}

// Machines are reported in the order in which they were made, in whatever order they go.
static void machines_keep_their_order(void **state)
{
    static const char text[] = "local m = {} for i = 1, 5 do m[i] = ringside.machine{ram = '1M'} end\n"
                               "for _, i in ipairs{4, 2, 5, 1, 3} do m[i]:close() end";
    const enum lx_format formats[] = {LX_JSON, LX_TEXT};
    for (unsigned f = 0; f < 2; f++) {
        struct result r = run_with(text, strlen(text), (struct lx_options){.format = formats[f], .hash = true}, NULL);
        const char *at = r.out;
        for (unsigned n = 1; n <= 5; n++) {
            char want[32];
            snprintf(want, sizeof want, formats[f] == LX_JSON ? "{\"machine\":%u," : "machine %u: ", n);
            at = strstr(at, want);
            assert_non_null(at);
        }
        if (formats[f] == LX_JSON)
            assert_non_null(strstr(r.out, "\"machines\":[{"));
        done(&r);
    }
}

static void help_prints(void **state)
{
    struct result r = run("ringside.help('Machine.step')", LX_TEXT);
    assert_string_equal(r.out, "  Machine:step(count?: integer) -> ringside.Stop\n      Execute instructions: one, or count.\n");
    done(&r);
    r = run("ringside.help()", LX_TEXT);
    assert_non_null(strstr(r.out, "ringside.machine(config?: ringside.Config) -> ringside.Machine"));
    done(&r);
}

// --- scripts that are noise: nothing but a status comes of them
static void noise(void **state)
{
    static const char *const words[] = {
        "m",     ":",        "run",    "(",    ")",  "{",       "}",         "=",   "'",   "rax", ".",  "cpu",  "1",
        "local", "ringside", "end",    "step", ",",  "\"x\"",   "machine",   "for", "do",  "in",  "[",  "]",    "\n",
        "pcall", "function", "return", "nil",  "-1", "1 << 63", "translate", "on",  "tlb", "==",  "..", "vmcs", "error"};
    uint64_t x = 88172645463325252ull;
    unsigned ran = 0;
    for (int n = 0; n < 300; n++) {
        char text[1024] = "local m = ringside.machine{ram = '1M'} m:assemble('a: jmp a') ";
        struct lx_buf b = {0};
        lx_buf_addf(&b, "%s", n % 4 ? "" : "local m = ringside.machine{ram = '1M'} ");
        for (int k = 0; k < 30; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            lx_buf_addf(&b, "%s ", words[x % (sizeof words / sizeof *words)]);
        }
        snprintf(text, sizeof text, "%s", b.s);
        struct result r = run_with(text, strlen(text), (struct lx_options){.max_cycles = 1000, .max_steps = 100000}, NULL);
        assert_in_range(r.status, SIM_OK, SIM_UNRECOVERABLE);
        ran++;
        done(&r);
        lx_buf_free(&b);
    }
    printf("# %u random scripts\n", ran);
}

// Every function of the API with arguments that it does not expect: errors at most.
static void functions_mind_their_arguments(void **state)
{
    static const char before[] =
        "local function new() local m = ringside.machine{ram = '1M'} m:assemble('a: inc eax\\njmp a') return m end\n"
        "local m, dead = new(), new()\n"
        "local cpu, vmcs, on = dead.cpu, dead.vmcs, dead:on('vmexit', print) dead:close()\n"
        "local lim = {max_cycles = 100, allow = {'limit', 'shutdown', 'unmodelled', 'reset'}}\n"
        "local odd = {false, true, 0, -1, 1, 2, 0x8000, 2^53, math.mininteger, math.maxinteger, 0.5, 0/0, 1/0, '', 'a', '\\0', "
        "'rax',\n"
        "  'vmexit', 'linear', 'r', 'INVVPID 1 2', ('x'):rep(300), {}, {1}, {a = 1}, {{1}}, lim, {machine = m}, {machine = dead}, "
        "print,\n"
        "  function() m:run() end, function() m:close() end, function() coroutine.yield() end, coroutine.create(print), m, dead, "
        "m.cpu,\n"
        "  cpu, vmcs, on, ringside, setmetatable({}, {__index = error, __len = error, __eq = error, __tostring = error})}\n"
        "local driven, dear = {run = 1, run_to = 2, run_to_cycle = 2, run_until_event = 3}, {assemble = true, boot = true}\n"
        "local functions, methods = {}, {";
    static const char after[] =
        "}\nfor name in pairs(ringside) do functions[#functions + 1] = name end\n"
        "local calls = 0\n"
        "for n = 1, 6000 do\n"
        "  local a, k, name, f, self = {}, math.random(0, 4), methods[math.random(#methods)], nil, nil\n"
        "  for i = 1, 4 do a[i] = odd[math.random(#odd + 1)] end\n"
        "  if n % 4 == 0 then name = functions[math.random(#functions)] f = ringside[name] else f = m[name] self = m end\n"
        "  if driven[name] then a[driven[name]] = lim k = 4 end\n"
        "  if name == 'step' then a[1] = 3 end\n"
        "  if n % 16 == 1 then self = a[4] end\n"
        "  if not dear[name] or n % 64 < 2 then calls = calls + 1\n"
        "    if n % 4 == 0 then pcall(f, table.unpack(a, 1, k)) else pcall(f, self, table.unpack(a, 1, k)) end end\n"
        "  if not pcall(m.hash, m) then m = new() end\n"
        "  local p = ({m.cpu, cpu, m.vmcs, vmcs, on, m, dead})[n % 7 + 1]\n"
        "  pcall(function() return p[a[1]] end) pcall(function() p[a[1]] = a[2] end)\n"
        "end\n"
        "ringside.result('calls', calls)";
    struct lx_buf b = {0};
    lx_buf_add(&b, before, sizeof before - 1);
    for (unsigned k = 0; k < lx_nrows; k++)
        if (lx_rows[k].fn && !strcmp(lx_rows[k].klass, "Machine"))
            lx_buf_addf(&b, "'%s', ", lx_rows[k].name);
    lx_buf_add(&b, after, sizeof after - 1);
    struct result r = run_with(b.s, b.n, (struct lx_options){.max_steps = 100000000}, NULL);
    const char *calls = strstr(r.out, "  calls = ");
    if (r.status > SIM_CHECK_FAILED || !calls)
        fail_msg("status %d: %s", r.status, r.err.what);
    assert_in_range(atoi(calls + 10), 5000, 6000);
    lx_buf_free(&b);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_golden),
        cmocka_unit_test(tap_golden),
        cmocka_unit_test(json_golden),
        cmocka_unit_test(json_is_valid_whatever_is_said),
        cmocka_unit_test(json_is_valid_however_long),
        cmocka_unit_test(json_has_results),
        cmocka_unit_test(bytes_become_text),
        cmocka_unit_test(quiet_says_failures_only),
        cmocka_unit_test(wrapping),
        cmocka_unit_test(no_way_out),
        cmocka_unit_test(requires_siblings),
        cmocka_unit_test(requires_shared),
        cmocka_unit_test(deterministic),
        cmocka_unit_test(limits_end_a_script),
        cmocka_unit_test(new_memory_takes_steps),
        cmocka_unit_test(bad_scripts_do_not_crash),
        cmocka_unit_test(machine_basics),
        cmocka_unit_test(machine_sixteen_bits_and_gas),
        cmocka_unit_test(loads_guests),
        cmocka_unit_test(stops),
        cmocka_unit_test(events),
        cmocka_unit_test(event_handlers_look_only),
        cmocka_unit_test(stepping_by_reference),
        cmocka_unit_test(translations),
        cmocka_unit_test(vmx_by_name),
        cmocka_unit_test(unknown_names_suggest),
        cmocka_unit_test(missing_assembler_is_named),
        cmocka_unit_test(assembling_leaves_nothing),
        cmocka_unit_test(assembler_is_confined),
        cmocka_unit_test(hooks_take_over),
        cmocka_unit_test(annotations_hold_every_row),
        cmocka_unit_test(ledger_accounts),
        cmocka_unit_test(machines_are_announced),
        cmocka_unit_test(machines_keep_their_order),
        cmocka_unit_test(help_prints),
        cmocka_unit_test(functions_mind_their_arguments),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
