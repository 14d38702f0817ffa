// lua/run.c: driving a machine: run, step, step by reference, until an event; and why it stopped.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"

static const char *const kinds[] = {"until", "request", "limit",      "halt",        "shutdown",
                                    "exit",  "reset",   "unmodelled", "no-progress", NULL};
static const char *const conditions[] = {"insns", "cycle", "event", "to"};

bool lx_drive_try(lua_State *L, struct lx_machine *lm, struct sim_until *until, struct sim_stop *stop)
{
    struct lx *lx = lm->lx;
    uint64_t left = lx->max_cycles > lx->cycles_used ? lx->max_cycles - lx->cycles_used : 0;
    bool ours = !until->max_cycles || until->max_cycles >= left;
    lm->pending = LX_OUT_OF_CYCLES;
    if (!left)
        return false;
    if (ours)
        until->max_cycles = left;

    lua_State *outer = lx->running;
    uint64_t before = sim_now(lm->m);
    bool quit = false;
    lx->running = L;
    lx->last = lm;
    lm->running = true;
    lm->handler_failed = false;
    *stop = lx->hooks.drive ? lx->hooks.drive(lx->hooks.ctx, lm->m, until, &quit) : sim_run(lm->m, until);
    lm->running = false;
    lx->running = outer;
    uint64_t now = sim_now(lm->m);
    lx->cycles_used += now >= before ? now - before : now;

    lm->pending = quit                                                                        ? LX_QUIT
                  : lm->handler_failed                                                        ? LX_HANDLER_FAILED
                  : stop->kind == SIM_STOP_LIMIT && ours && lx->cycles_used >= lx->max_cycles ? LX_OUT_OF_CYCLES
                                                                                              : LX_NOTHING;
    return lm->pending == LX_NOTHING;
}

void lx_drive_raise(lua_State *L, struct lx_machine *lm)
{
    if (lm->pending == LX_QUIT)
        lx_fatal(L, SIM_OK, "the user ended the run");
    if (lm->pending == LX_OUT_OF_CYCLES)
        lx_fatal(L, SIM_LIMIT, "the scenario has used up its guest cycles (--limit sets how many it may)");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &lm->handler_failed);
    lua_pushboolean(L, false);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lm->handler_failed);
    lua_error(L);
}

void lx_emit_mark(lua_State *L, struct lx_machine *lm, const char *name)
{
    bool inside = lm->running; // declared by an event handler: whoever drives the machine raises its errors
    lua_State *outer = lm->lx->running;
    if (!inside)
        lm->handler_failed = false;
    lm->lx->running = L;
    lm->running = true;
    ev_mark(lm->m, 0, name);
    lm->running = inside;
    lm->lx->running = outer;
    if (inside || !lm->handler_failed)
        return;
    lm->pending = LX_HANDLER_FAILED;
    lx_drive_raise(L, lm);
}

void lx_push_stop(lua_State *L, struct lx_machine *lm, const struct sim_stop *stop)
{
    lua_newtable(L);
    luaL_setmetatable(L, "ringside.Stop");
    lx_set_str(L, "kind", kinds[stop->kind]);
    lx_set_str(L, "text", stop->text);
    if (stop->kind == SIM_STOP_UNTIL && stop->code < sizeof conditions / sizeof *conditions)
        lx_set_str(L, "condition", conditions[stop->code]);
    if (stop->kind == SIM_STOP_EXIT)
        lx_set_u64(L, "code", stop->code);
    lx_set_u64(L, "cycle", sim_now(lm->m));
    lx_set_u64(L, "cpu", stop->cpu);
    lx_set_u64(L, "rip", sim_cpu(lm->m, stop->cpu)->rip);
}

int lx_stop_tostring(lua_State *L)
{
    lua_getfield(L, 1, "kind");
    if (lua_getfield(L, 1, "text") == LUA_TSTRING && lua_rawlen(L, -1) > 0)
        return 1;
    lua_pop(L, 1);
    return 1;
}

// Kinds of stop that the script takes without an error, as a bit mask.
static unsigned allowed(lua_State *L, int idx)
{
    unsigned mask = 1u << SIM_STOP_UNTIL | 1u << SIM_STOP_REQUEST | 1u << SIM_STOP_HALT | 1u << SIM_STOP_EXIT;
    if (!lua_istable(L, idx))
        return mask;
    int type = lua_getfield(L, idx, "allow");
    if (type == LUA_TSTRING)
        mask |= 1u << lx_word(L, "kind of stop", lua_tostring(L, -1), kinds);
    else if (type == LUA_TTABLE)
        for (lua_Integer n = 1; lua_rawgeti(L, -1, n) != LUA_TNIL; n++) {
            mask |= 1u << lx_word(L, "kind of stop", luaL_tolstring(L, -1, NULL), kinds);
            lua_pop(L, 2);
        }
    else if (type != LUA_TNIL)
        lx_error(L, SIM_SCRIPT, "allow: give a list of kinds of stop, as in {\"shutdown\"}");
    lua_settop(L, idx);
    return mask;
}

// Raise an error for a stop that nobody asked for: text, and an exit status of its own.
static void judge(lua_State *L, struct lx_machine *lm, const struct sim_stop *stop, unsigned mask)
{
    if (mask >> stop->kind & 1)
        return;
    enum sim_status status = stop->kind == SIM_STOP_LIMIT ? SIM_LIMIT : SIM_UNRECOVERABLE;
    luaL_where(L, 1);
    lua_pushfstring(L, "%s: %s", kinds[stop->kind], stop->text);
    lua_concat(L, 2);
    lua_newtable(L);
    luaL_setmetatable(L, "ringside.Error");
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    lx_set_u64(L, "status", status);
    lx_set_str(L, "kind", kinds[stop->kind]);
    lx_push_stop(L, lm, stop);
    lua_setfield(L, -2, "stop");
    lua_error(L);
}

// Options of run() and its kin.
static void read_until(lua_State *L, struct lx_machine *lm, int idx, struct sim_until *u)
{
    static const char *const keys[] = {"to", "event", "cycle", "insns", "max_cycles", "max_insns", "allow", NULL};
    *u = (struct sim_until){0};
    lx_opt_keys(L, idx, "run", keys);
    if (!lua_istable(L, idx))
        return;
    if (lua_getfield(L, idx, "to") != LUA_TNIL) {
        u->rip = lx_check_addr(L, lm, lua_gettop(L));
        u->has_rip = true;
    }
    if (lua_getfield(L, idx, "event") != LUA_TNIL)
        u->events = lx_event_mask(L, lua_gettop(L));
    lx_opt_count(L, idx, "cycle", &u->cycles);
    lx_opt_count(L, idx, "insns", &u->insns);
    lx_opt_count(L, idx, "max_cycles", &u->max_cycles);
    lx_opt_count(L, idx, "max_insns", &u->max_insns);
    lua_settop(L, idx);
}

static void push_already(lua_State *L, struct lx_machine *lm, unsigned condition)
{
    struct sim_stop stop = {.kind = SIM_STOP_UNTIL, .code = condition};
    snprintf(stop.text, sizeof stop.text, "there already");
    lx_push_stop(L, lm, &stop);
}

// Drive, judge, and push the stop. A machine that stands where it is to run to does not run.
static int drive(lua_State *L, struct lx_machine *lm, struct sim_until *u, unsigned mask)
{
    if (u->has_rip && u->rip == lx_linear_rip(lm)) {
        push_already(L, lm, SIM_UNTIL_RIP);
        return 1;
    }
    lm->nqueue = lm->qpos = 0;
    struct sim_stop stop;
    if (!lx_drive_try(L, lm, u, &stop))
        lx_drive_raise(L, lm);
    judge(L, lm, &stop, mask);
    lx_push_stop(L, lm, &stop);
    return 1;
}

int lx_m_run(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_until u;
    lua_settop(L, 2);
    read_until(L, lm, 2, &u);
    return drive(L, lm, &u, allowed(L, 2));
}

int lx_m_step(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    lua_Integer n = luaL_optinteger(L, 2, 1);
    luaL_argcheck(L, n >= 0, 2, "a count is not negative");
    if (n == 0)
        return push_already(L, lm, SIM_UNTIL_INSNS), 1;
    struct sim_until u = {.insns = (uint64_t)n};
    return drive(L, lm, &u, allowed(L, 3));
}

int lx_m_run_to(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_until u;
    lua_settop(L, 3);
    uint64_t addr = lx_check_addr(L, lm, 2);
    read_until(L, lm, 3, &u);
    if (u.has_rip)
        return lx_error(L, SIM_SCRIPT, "run_to: the address is given already; option 'to' is for run()");
    u.rip = addr;
    u.has_rip = true;
    drive(L, lm, &u, allowed(L, 3)); // the stop is at 4
    lua_getfield(L, 4, "kind");
    const char *kind = lua_tostring(L, -1);
    bool ended = !strcmp(kind, "halt") || !strcmp(kind, "exit");
    if (ended && !lua_istable(L, 3)) {
        const char *where = luaL_tolstring(L, 2, NULL), *why = luaL_tolstring(L, 4, NULL);
        return lx_error(L, SIM_SCRIPT, "the guest never came to %s: %s", where, why);
    }
    lua_settop(L, 4);
    return 1;
}

int lx_m_run_to_cycle(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_until u;
    lua_settop(L, 3);
    uint64_t cycle = lx_check_u64(L, 2);
    read_until(L, lm, 3, &u);
    u.cycles = cycle;
    if (cycle <= sim_now(lm->m))
        return push_already(L, lm, SIM_UNTIL_CYCLES), 1;
    return drive(L, lm, &u, allowed(L, 3));
}

// What run_until_event() waits for. The filter lies at a stack index of the driving thread.
struct wait {
    lua_State *L;
    struct lx_machine *lm;
    int filter, found; // stack indices; filter 0: none
    bool done;
};

static void on_wait(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct wait *w = ctx;
    if (w->done || w->lm->handler_failed)
        return;
    if (!lx_call_handler(w->L, w->lm, e, w->filter, w->found))
        return;
    w->done = true;
    sim_request_stop(m);
}

int lx_m_run_until_event(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_until u;
    lua_settop(L, 4);
    uint64_t mask = lx_event_mask(L, 2);
    if (!lua_isnil(L, 3))
        luaL_checktype(L, 3, LUA_TFUNCTION);
    read_until(L, lm, 4, &u);
    unsigned ok = allowed(L, 4);
    lua_pushnil(L); // 5: the event
    struct wait w = {.L = L, .lm = lm, .filter = lua_isnil(L, 3) ? 0 : 3, .found = 5};
    struct sim_stop stop;
    lm->nqueue = lm->qpos = 0;
    int handle = ev_subscribe(lm->m, mask, on_wait, &w);
    bool fine = lx_drive_try(L, lm, &u, &stop);
    ev_unsubscribe(lm->m, handle);
    if (!fine)
        lx_drive_raise(L, lm);
    if (w.done && stop.kind == SIM_STOP_REQUEST)
        stop = (struct sim_stop){.kind = SIM_STOP_UNTIL, .code = SIM_UNTIL_EVENT};
    judge(L, lm, &stop, ok);
    lua_settop(L, 5);
    lx_push_stop(L, lm, &stop);
    return 2;
}

// --- step_ref: the references of one instruction, handed out one by one
#define MAX_QUEUE 65536u

static void on_reference(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct lx_machine *lm = ctx;
    if (lm->nqueue == lm->qcap) {
        unsigned cap = lm->qcap ? lm->qcap * 2 : 64;
        struct ev *q = cap <= MAX_QUEUE ? realloc(lm->queue, cap * sizeof *q) : NULL;
        if (!q)
            return; // an instruction with more references than that is a long REP; its first ones are shown
        lm->queue = q;
        lm->qcap = cap;
    }
    lm->queue[lm->nqueue++] = *e;
}

int lx_m_step_ref(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    if (lm->qpos >= lm->nqueue) {
        struct sim_until u = {.insns = 1};
        struct sim_stop stop;
        lm->nqueue = lm->qpos = 0;
        int handle = ev_subscribe(lm->m, EV_BIT(EV_REF) | EV_BIT(EV_MEM), on_reference, lm);
        bool fine = lx_drive_try(L, lm, &u, &stop);
        ev_unsubscribe(lm->m, handle);
        if (!fine)
            lx_drive_raise(L, lm);
        judge(L, lm, &stop, allowed(L, 2));
    }
    if (lm->qpos >= lm->nqueue)
        return 0;
    lx_push_event(L, lm, &lm->queue[lm->qpos++]);
    lx_set_u64(L, "left", lm->nqueue - lm->qpos);
    return 1;
}

int lx_m_stop(lua_State *L)
{
    sim_request_stop(lx_check_machine(L, 1)->m);
    return 0;
}
