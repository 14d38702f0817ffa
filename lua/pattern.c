// lua/pattern.c: string.find, match, gmatch and gsub with a bound.
//
// A pattern may take time that grows with a high power of its subject's length, and a subject may be what an untrusted guest has printed.
// The library's matcher is one step for the step limit, however long it takes; this one counts every look at a character.
// The language is that of Lua 5.4's manual, 6.4.1; lua/pattern_test.c compares the two.
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "lua/state.h"

#define MOST_CAPTURES 32
#define DEPTH         200 // nested calls of match()
#define OPEN          (-1)
#define POSITION      (-2)

struct matcher {
    lua_State *L;
    struct lx *lx;
    const char *src, *end; // the subject
    const char *pend;      // end of the pattern
    int depth, level;
    struct {
        const char *at;
        ptrdiff_t len; // or OPEN, or POSITION: "()"
    } cap[MOST_CAPTURES];
};

static void spend(struct matcher *m, uint64_t steps)
{
    m->lx->steps += steps;
    if (m->lx->steps > m->lx->max_steps)
        lx_out_of_steps(m->L, lx_fatal);
}

// --- single characters

static const char *item_end(struct matcher *m, const char *p)
{
    if (*p == '%') {
        if (++p == m->pend)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (*p++ != '[')
        return p;
    if (p < m->pend && *p == '^')
        p++;
    do { // a ']' that stands first is itself
        if (p == m->pend)
            luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%' && p < m->pend)
            p++;
    } while (p == m->pend || *p != ']');
    return p + 1;
}

static bool in_class(unsigned char c, unsigned char class)
{
    int in;
    switch (tolower(class)) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break;
    default: return class == c;
    }
    return (in != 0) != (isupper(class) != 0);
}

// p is at '[', last at its ']'.
static bool in_set(unsigned char c, const char *p, const char *last)
{
    const bool not = p[1] == '^';
    for (p += 1 + not ; p < last; p++) {
        bool in;
        if (*p == '%') {
            in = in_class(c, (unsigned char)*++p);
        } else if (p[1] == '-' && p + 2 < last) {
            in = (unsigned char)p[0] <= c && c <= (unsigned char)p[2];
            p += 2;
        } else {
            in = (unsigned char)*p == c;
        }
        if (in)
            return !not ;
    }
    return not ;
}

// Does the character at s match the item from p to ep?
static bool one(struct matcher *m, const char *s, const char *p, const char *ep)
{
    spend(m, 1);
    if (s == m->end)
        return false;
    switch (*p) {
    case '.': return true;
    case '%': return in_class((unsigned char)*s, (unsigned char)p[1]);
    case '[': return in_set((unsigned char)*s, p, ep - 1);
    default: return *p == *s;
    }
}

// --- captures

static const char *match(struct matcher *m, const char *s, const char *p);

static const char *open_capture(struct matcher *m, const char *s, const char *p, ptrdiff_t kind)
{
    if (m->level == MOST_CAPTURES)
        luaL_error(m->L, "too many captures");
    m->cap[m->level].at = s;
    m->cap[m->level++].len = kind;
    const char *end = match(m, s, p);
    m->level -= !end;
    return end;
}

static const char *close_capture(struct matcher *m, const char *s, const char *p)
{
    int n = m->level;
    do {
        if (n-- == 0)
            luaL_error(m->L, "invalid pattern capture");
    } while (m->cap[n].len != OPEN);
    m->cap[n].len = s - m->cap[n].at;
    const char *end = match(m, s, p);
    if (!end)
        m->cap[n].len = OPEN;
    return end;
}

// %1: what a capture holds, again.
static const char *same_again(struct matcher *m, const char *s, char digit)
{
    const int n = digit - '1';
    if (n < 0 || n >= m->level || m->cap[n].len == OPEN)
        luaL_error(m->L, "invalid capture index %%%d", n + 1);
    const ptrdiff_t len = m->cap[n].len;
    if (len < 0 || m->end - s < len)
        return NULL;
    spend(m, (uint64_t)len);
    return memcmp(m->cap[n].at, s, (size_t)len) == 0 ? s + len : NULL;
}

static void push_capture(struct matcher *m, int n, const char *s, const char *e)
{
    if (n >= m->level && n > 0)
        luaL_error(m->L, "invalid capture index %%%d", n + 1);
    if (n >= m->level)
        lua_pushlstring(m->L, s, (size_t)(e - s));
    else if (m->cap[n].len == POSITION)
        lua_pushinteger(m->L, m->cap[n].at - m->src + 1);
    else if (m->cap[n].len == OPEN)
        luaL_error(m->L, "unfinished capture");
    else
        lua_pushlstring(m->L, m->cap[n].at, (size_t)m->cap[n].len);
}

// All captures; if there are none the whole match, unless s is NULL. How many.
static int push_captures(struct matcher *m, const char *s, const char *e)
{
    const int n = m->level ? m->level : s != NULL;
    luaL_checkstack(m->L, n, "too many captures");
    for (int k = 0; k < n; k++)
        push_capture(m, k, s, e);
    return n;
}

// --- matching

// %b(): from the opening character to the one that closes it.
static const char *balanced(struct matcher *m, const char *s, const char *p)
{
    if (p >= m->pend - 1)
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s == m->end || *s != *p)
        return NULL;
    for (int depth = 1; ++s < m->end;) {
        spend(m, 1);
        if (*s == p[1] && --depth == 0)
            return s + 1;
        depth += *s != p[1] && *s == *p;
    }
    return NULL;
}

// %f[set]: here, between a character outside and one inside. NUL stands beyond both ends.
static bool at_frontier(struct matcher *m, const char *s, const char *p, const char *ep)
{
    spend(m, 1);
    const unsigned char before = s == m->src ? 0 : (unsigned char)s[-1], here = s == m->end ? 0 : (unsigned char)*s;
    return !in_set(before, p, ep - 1) && in_set(here, p, ep - 1);
}

// As many as there are, then fewer and fewer.
static const char *longest(struct matcher *m, const char *s, const char *p, const char *ep)
{
    ptrdiff_t n = 0;
    while (one(m, s + n, p, ep))
        n++;
    for (; n >= 0; n--) {
        const char *end = match(m, s + n, ep + 1);
        if (end)
            return end;
    }
    return NULL;
}

// None, then more and more.
static const char *shortest(struct matcher *m, const char *s, const char *p, const char *ep)
{
    for (;; s++) {
        const char *end = match(m, s, ep + 1);
        if (end || !one(m, s, p, ep))
            return end;
    }
}

// An item with what follows it, *, +, - or ?. True: it is done, go on at *s and *p. False: *s is the end of the match or NULL.
static bool item(struct matcher *m, const char **s, const char **p)
{
    const char *ep = item_end(m, *p), *end;
    const char how = ep < m->pend ? *ep : 0;
    const bool once = one(m, *s, *p, ep), may_miss = how == '*' || how == '?' || how == '-';
    if (!once && may_miss) {
        *p = ep + 1;
        return true;
    }
    if (!once) {
        *s = NULL;
        return false;
    }
    switch (how) {
    case '*': *s = longest(m, *s, *p, ep); return false;
    case '+': *s = longest(m, *s + 1, *p, ep); return false;
    case '-': *s = shortest(m, *s, *p, ep); return false;
    case '?':
        end = match(m, *s + 1, ep + 1);
        *s = end ? end : *s;
        *p = ep + 1;
        return !end;
    default:
        ++*s;
        *p = ep;
        return true;
    }
}

// What begins with '%' and is more than a class. True: go on at *s and *p.
static bool special(struct matcher *m, const char **s, const char **p)
{
    const char what = (*p)[1];
    if (what == 'b') {
        *s = balanced(m, *s, *p + 2);
        *p += 4;
        return *s != NULL;
    }
    if (what == 'f') {
        *p += 2;
        if (*p >= m->pend || **p != '[')
            luaL_error(m->L, "missing '[' after '%%f' in pattern");
        const char *ep = item_end(m, *p);
        if (!at_frontier(m, *s, *p, ep))
            *s = NULL;
        *p = ep;
        return *s != NULL;
    }
    if (isdigit((unsigned char)what)) {
        *s = same_again(m, *s, what);
        *p += 2;
        return *s != NULL;
    }
    return item(m, s, p);
}

// The end of a match of the pattern from p on that begins at s, or NULL.
static const char *match(struct matcher *m, const char *s, const char *p)
{
    bool on = true;
    if (m->depth-- == 0)
        luaL_error(m->L, "pattern too complex");
    while (on && p < m->pend) {
        if (*p == '(') {
            const bool position = p + 1 < m->pend && p[1] == ')';
            s = open_capture(m, s, p + 1 + position, position ? POSITION : OPEN);
            on = false;
        } else if (*p == ')') {
            s = close_capture(m, s, p + 1);
            on = false;
        } else if (*p == '$' && p + 1 == m->pend) {
            s = s == m->end ? s : NULL;
            on = false;
        } else if (*p == '%') {
            on = special(m, &s, &p);
        } else {
            on = item(m, &s, &p);
        }
    }
    m->depth++;
    return s;
}

static const char *match_at(struct matcher *m, const char *s, const char *p)
{
    m->level = 0;
    m->depth = DEPTH;
    return match(m, s, p);
}

// --- the functions

static struct matcher prepare(lua_State *L, const char **pattern)
{
    size_t n, np;
    const char *s = luaL_checklstring(L, 1, &n);
    *pattern = luaL_checklstring(L, 2, &np);
    return (struct matcher){.L = L, .lx = lx_of(L), .src = s, .end = s + n, .pend = *pattern + np};
}

// Where to begin: argument 3, from 1, or from the end if it is negative. NULL beyond the end.
static const char *begin_at(const struct matcher *m)
{
    const lua_Integer n = m->end - m->src, at = luaL_optinteger(m->L, 3, 1);
    if (at > n + 1)
        return NULL;
    return m->src + (at > 0 ? at - 1 : at == 0 || at < -n ? 0 : n + at);
}

static bool is_plain(const char *p, const char *end)
{
    for (; p < end; p++)
        if (*p && strchr("^$*+?.([%-", *p))
            return false;
    return true;
}

static int find_plain(struct matcher *m, const char *s, const char *p)
{
    const size_t n = (size_t)(m->pend - p);
    const char *at = n ? memmem(s, (size_t)(m->end - s), p, n) : s;
    spend(m, (uint64_t)(m->end - s) / 16);
    if (!at)
        return lua_pushnil(m->L), 1;
    lua_pushinteger(m->L, at - m->src + 1);
    lua_pushinteger(m->L, at - m->src + (lua_Integer)n);
    return 2;
}

static int search(lua_State *L, bool find)
{
    const char *p, *e = NULL;
    struct matcher m = prepare(L, &p);
    const char *s = begin_at(&m);
    if (!s)
        return lua_pushnil(L), 1;
    if (find && (lua_toboolean(L, 4) || is_plain(p, m.pend)))
        return find_plain(&m, s, p);
    const bool anchor = p < m.pend && *p == '^';
    p += anchor;
    while (!(e = match_at(&m, s, p)) && !anchor && s < m.end)
        s++;
    if (!e)
        return lua_pushnil(L), 1;
    if (!find)
        return push_captures(&m, s, e);
    lua_pushinteger(L, s - m.src + 1);
    lua_pushinteger(L, e - m.src);
    return push_captures(&m, NULL, NULL) + 2;
}
static int find(lua_State *L) { return search(L, true); }
static int match_function(lua_State *L) { return search(L, false); }

// Upvalues: subject, pattern, and this.
struct walk {
    ptrdiff_t at, last; // offsets; last: where the previous match ended, or -1
};

static int gmatch_next(lua_State *L)
{
    struct walk *w = lua_touserdata(L, lua_upvalueindex(3));
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    const char *p, *e;
    struct matcher m = prepare(L, &p);
    for (const char *s = m.src + w->at; s <= m.end; s++)
        if ((e = match_at(&m, s, p)) != NULL && e - m.src != w->last) {
            w->at = w->last = e - m.src;
            return push_captures(&m, s, e);
        }
    w->at = m.end - m.src + 1;
    return 0;
}

static int gmatch(lua_State *L)
{
    const char *p;
    const struct matcher m = prepare(L, &p);
    const char *s = begin_at(&m);
    lua_settop(L, 2);
    struct walk *w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (struct walk){.at = s ? s - m.src : m.end - m.src + 1, .last = -1};
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

// A replacement text: %0 is the match, %1 ... %9 are captures, %% is '%'.
static void add_text(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
    size_t n;
    const char *r = lua_tolstring(m->L, 3, &n), *end = r + n;
    for (; r < end; r++) {
        if (*r != '%') {
            luaL_addchar(b, *r);
        } else if (++r < end && *r == '%') {
            luaL_addchar(b, *r);
        } else if (r < end && *r == '0') {
            luaL_addlstring(b, s, (size_t)(e - s));
        } else if (r < end && isdigit((unsigned char)*r)) {
            push_capture(m, *r - '1', s, e);
            luaL_tolstring(m->L, -1, NULL);
            lua_remove(m->L, -2);
            luaL_addvalue(b);
        } else {
            luaL_error(m->L, "invalid use of '%%' in replacement string");
        }
    }
}

// What stands for the match from s to e. False: the match itself.
static bool add_value(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
    lua_State *L = m->L;
    const int type = lua_type(L, 3);
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, e), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(m, 0, s, e);
        lua_gettable(L, 3);
    } else {
        add_text(m, b, s, e);
        return true;
    }
    const bool keep = !lua_toboolean(L, -1);
    if (keep) {
        lua_pop(L, 1);
        luaL_addlstring(b, s, (size_t)(e - s));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        luaL_addvalue(b);
    }
    return !keep;
}

static int gsub(lua_State *L)
{
    const char *p, *last = NULL, *e = NULL;
    struct matcher m = prepare(L, &p);
    const int type = lua_type(L, 3);
    const lua_Integer most = luaL_optinteger(L, 4, m.end - m.src + 1);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
                     "string/function/table");
    const bool anchor = p < m.pend && *p == '^';
    lua_Integer n = 0;
    bool changed = false;
    luaL_Buffer b;
    p += anchor;
    luaL_buffinit(L, &b);
    for (const char *s = m.src;; last = s = e) {
        while (n < most && (!(e = match_at(&m, s, p)) || e == last) && s < m.end && !anchor)
            luaL_addchar(&b, *s++);
        if (n >= most || !e || e == last) {
            luaL_addlstring(&b, s, (size_t)(m.end - s));
            break;
        }
        n++;
        changed |= add_value(&m, &b, s, e);
        if (anchor) {
            luaL_addlstring(&b, e, (size_t)(m.end - e));
            break;
        }
    }
    luaL_pushresult(&b);
    if (!changed)
        lua_pushvalue(L, 1);
    lua_pushinteger(L, n);
    return 2;
}

void lx_set_patterns(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", find}, {"match", match_function}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
