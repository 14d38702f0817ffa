// lua/events.c: subscriptions, and events as tables with named fields.
#include <string.h>

#include "isa/decode.h"
#include "isa/fault.h"
#include "lua/api.h"
#include "lua/state.h"

// --- kinds
static const char *kind_name(const void *ctx, unsigned n) { return n < EV_NUM ? ev_info[n].name : NULL; }

static uint64_t kind_bit(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TSTRING)
        return (uint64_t)lx_error(L, SIM_SCRIPT, "a kind of event is a string such as \"vmexit\", not %s", luaL_typename(L, idx));
    int kind = ev_by_name(lua_tostring(L, idx));
    if (kind >= 0)
        return EV_BIT(kind);
    const char *near = lx_nearest(lua_tostring(L, idx), kind_name, NULL);
    return (uint64_t)lx_error(L, SIM_SCRIPT, "no event is called '%.60s'%s%s%s", lua_tostring(L, idx),
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

uint64_t lx_event_mask(lua_State *L, int idx)
{
    uint64_t mask = 0;
    if (!lua_istable(L, idx))
        return kind_bit(L, idx);
    for (lua_Integer n = 1; lua_rawgeti(L, idx, n) != LUA_TNIL; n++) {
        mask |= kind_bit(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (!mask)
        lx_error(L, SIM_SCRIPT, "the list of kinds of event is empty");
    return mask;
}

// --- tables
static const char *access_name(unsigned acc)
{
    return acc & ISA_ACC_X ? "x" : acc & ISA_ACC_RMW ? "rw" : acc & ISA_ACC_W ? "w" : "r";
}

void lx_push_tlb_entry(lua_State *L, const struct tlb_entry *e)
{
    char perms[] = "----";
    static const unsigned bit[] = {TLB_PERM_R, TLB_PERM_W, TLB_PERM_X, TLB_PERM_U};
    for (unsigned k = 0; k < 4; k++)
        if (e->perms & bit[k])
            perms[k] = "rwxu"[k];
    lua_newtable(L);
    lx_set_str(L, "unit", tlb_unit_name(e->unit));
    lx_set_str(L, "mapping", tlb_mapping_name(e->mapping));
    lx_set_u64(L, "la", e->tag);
    lx_set_u64(L, "gpa", e->gpa.v);
    lx_set_u64(L, "frame", e->frame.v);
    lx_set_u64(L, "page_size", 1ull << (e->page_shift & 63));
    lx_set_str(L, "perms", perms);
    lx_set_u64(L, "vpid", e->vpid);
    lx_set_u64(L, "pcid", e->pcid);
    lx_set_u64(L, "eptrta", e->eptrta);
    lx_set_bool(L, "global", e->global);
    lx_set_bool(L, "dirty", e->dirty);
    lx_set_bool(L, "stale", e->stale);
    if (e->stale) {
        lx_set_u64(L, "stale_cycle", e->stale_cycle);
        lx_set_u64(L, "stale_rip", e->stale_rip);
        lx_set_u64(L, "stale_cpu", e->stale_cpu);
        lx_set_bool(L, "stale_root", e->stale_root);
        lx_set_u64(L, "stale_at", e->src[e->stale_which].v);
        lx_set_u64(L, "stale_old", e->src_val[e->stale_which]);
        lx_set_u64(L, "stale_new", e->stale_new);
        lx_set_str(L, "stale_source", e->stale_which ? "ept" : "guest");
    }
    lx_set_u64(L, "filled_cycle", e->filled_at);
    lx_set_u64(L, "filled_rip", e->filled_rip);
}

static void set_entry(lua_State *L, const struct tlb_entry *e)
{
    if (!e)
        return;
    lx_push_tlb_entry(L, e);
    lua_setfield(L, -2, "entry");
}

static const char *exit_reason_name(unsigned reason)
{
    static const struct {
        unsigned number;
        const char *name;
    } names[] = {
#define X(number, name, qualification, text) {number, #name},
#include "vmx-model/exit_reasons.def"
#undef X
    };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (names[k].number == (reason & 0xffff))
            return names[k].name;
    return NULL;
}

// Kinds that tell of memory and translation. False if e is of another kind.
static bool push_memory(lua_State *L, const struct ev *e)
{
    static const char *const outcomes[] = {"ok", "page-fault", "ept-violation", "ept-misconfiguration", "", "pml-full", "", ""};
    switch (e->kind) {
    case EV_MEM:
        lx_set_u64(L, "la", e->u.mem.la);
        lx_set_u64(L, "pa", e->u.mem.pa.v);
        lx_set_u64(L, "size", e->u.mem.size);
        lx_set_str(L, "access", access_name(e->u.mem.acc));
        lx_set_u64(L, "value", e->u.mem.value);
        return true;
    case EV_WALK:
        lx_set_u64(L, "la", e->u.walk.la);
        lx_set_str(L, "access", access_name(e->u.walk.acc));
        lx_set_bool(L, "done", e->u.walk.done);
        lx_set_u64(L, "refs", e->u.walk.refs);
        if (!e->u.walk.done)
            return true;
        lx_set_str(L, "outcome", outcomes[e->u.walk.outcome & 7]);
        lx_set_u64(L, "error", e->u.walk.err);
        lx_set_u64(L, "gpa", e->u.walk.gpa.v);
        lx_set_u64(L, "hpa", e->u.walk.hpa.v);
        lx_set_u64(L, "size", e->u.walk.page);
        return true;
    case EV_REF:
        lx_set_str(L, "table", e->u.ref.dim == EV_DIM_EPT ? "ept" : "guest");
        lx_set_u64(L, "glevel", e->u.ref.glevel);
        lx_set_u64(L, "elevel", e->u.ref.elevel);
        lx_set_u64(L, "number", e->u.ref.number);
        lx_set_u64(L, "la", e->u.ref.la);
        lx_set_u64(L, "gpa", e->u.ref.gpa.v);
        lx_set_u64(L, "at", e->u.ref.at.v);
        lx_set_u64(L, "entry", e->u.ref.entry);
        lx_set_bool(L, "cached", e->u.ref.hit_psc);
        lx_set_bool(L, "set_ad", e->u.ref.set_ad);
        return true;
    case EV_TLB_FILL:
    case EV_TLB_EVICT: set_entry(L, e->u.tlb.e); return true;
    case EV_TLB_FLUSH:
        lx_set_str(L, "cause", e->u.flush.cause);
        lx_set_u64(L, "a", e->u.flush.a);
        lx_set_u64(L, "b", e->u.flush.b);
        lx_set_u64(L, "la", e->u.flush.la);
        lx_set_u64(L, "dropped", e->u.flush.dropped);
        return true;
    case EV_TLB_STALE:
        set_entry(L, e->u.stale.e);
        lx_set_u64(L, "la", e->u.stale.la);
        lx_set_u64(L, "now", e->u.stale.now);
        return true;
    default: return false;
    }
}

static void push_exception(lua_State *L, const struct ev *e)
{
    static const char *const types[] = {"external-interrupt", "reserved", "nmi",       "exception",
                                        "software-interrupt", "int1",     "int3-into", "other"};
    const struct isa_event *x = &e->u.exc.e;
    bool exception = x->type == ISA_EV_HWEXC || x->type == ISA_EV_SWEXC || x->type == ISA_EV_PRIVSW;
    lx_set_u64(L, "vector", x->vector);
    lx_set_str(L, "type", types[x->type & 7]);
    if (exception && x->vector < 32)
        lx_set_str(L, "name", isa_vector_info(x->vector)->mnemonic);
    if (x->has_error)
        lx_set_u64(L, "error", x->error);
    if (x->vector == ISA_X_PF && exception)
        lx_set_u64(L, "la", x->addr);
    if (x->rule && x->rule < ISA_RULE_NUM)
        lx_set_str(L, "rule", isa_rule_info(x->rule)->text);
    lx_set_u64(L, "selector", e->u.exc.cs);
    lx_set_u64(L, "handler", e->u.exc.handler);
}

static bool push_processor(lua_State *L, const struct ev *e)
{
    static const char *const sregs[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    char name[8];
    switch (e->kind) {
    case EV_INSN:
        lx_set_u64(L, "length", e->u.insn_.i->len);
        lx_set_str(L, "name", isa_opinfo[e->u.insn_.i->op].mnemonic);
        return true;
    case EV_EXCEPTION: push_exception(L, e); return true;
    case EV_RING:
        lx_set_u64(L, "from", e->u.ring.from);
        lx_set_u64(L, "to", e->u.ring.to);
        return true;
    case EV_CR:
        snprintf(name, sizeof name, "CR%u", e->u.cr.n);
        lx_set_str(L, "name", name);
        lx_set_u64(L, "old", e->u.cr.old);
        lx_set_u64(L, "new", e->u.cr.now);
        return true;
    case EV_MSR:
        lx_set_u64(L, "msr", e->u.msr.n);
        lx_set_u64(L, "value", e->u.msr.val);
        lx_set_bool(L, "write", e->u.msr.write);
        return true;
    case EV_SEG:
        lx_set_str(L, "register", sregs[e->u.seg.sreg & 7]);
        lx_set_u64(L, "selector", e->u.seg.sel);
        return true;
    case EV_HALT: lx_set_bool(L, "awake", e->u.halt.awake); return true;
    default: return false;
    }
}

static bool push_vmx(lua_State *L, const struct ev *e)
{
    static const char *const outcomes[] = {"ok", "fail-invalid", "fail-valid", "other"};
    switch (e->kind) {
    case EV_VMENTRY:
        lx_set_u64(L, "vpid", e->u.vmentry.vpid);
        lx_set_u64(L, "vmcs", e->u.vmentry.vmcs);
        lx_set_u64(L, "eptp", e->u.vmentry.eptp);
        lx_set_bool(L, "launch", e->u.vmentry.launch);
        return true;
    case EV_VMENTRY_FAIL:
        lx_push_entry_report(L, e->u.entry_fail.report);
        lua_setfield(L, -2, "report");
        return true;
    case EV_VMEXIT:
        lx_set_u64(L, "reason", e->u.vmexit.reason);
        lx_set_str(L, "name", exit_reason_name(e->u.vmexit.reason));
        lx_set_u64(L, "qualification", e->u.vmexit.qual);
        lx_set_u64(L, "length", e->u.vmexit.len);
        lx_set_u64(L, "info", e->u.vmexit.info);
        lx_set_u64(L, "gla", e->u.vmexit.gla);
        lx_set_u64(L, "gpa", e->u.vmexit.gpa.v);
        lx_set_u64(L, "intr_info", e->u.vmexit.intr_info);
        lx_set_u64(L, "intr_error", e->u.vmexit.intr_err);
        return true;
    case EV_VMX:
        lx_set_str(L, "name", isa_opinfo[e->u.vmx.op].mnemonic);
        lx_set_str(L, "outcome", outcomes[e->u.vmx.outcome & 3]);
        lx_set_u64(L, "error", e->u.vmx.error);
        lx_set_u64(L, "operand", e->u.vmx.operand);
        return true;
    default: return false;
    }
}

static void push_device(lua_State *L, const struct ev *e)
{
    static const char *const what[] = {"lowered", "raised", "accepted", "init", "sipi", "virtual", "posted"};
    switch (e->kind) {
    case EV_IO:
        lx_set_u64(L, "port", e->u.io.port);
        lx_set_u64(L, "size", e->u.io.size);
        lx_set_bool(L, "write", !e->u.io.in);
        lx_set_u64(L, "value", e->u.io.val);
        break;
    case EV_IRQ:
        lx_set_u64(L, "line", e->u.irq.line);
        lx_set_u64(L, "vector", e->u.irq.vector);
        lx_set_str(L, "what", what[e->u.irq.what % EV_NIRQ]);
        break;
    case EV_OUTPUT:
        lx_set_str(L, "port", e->u.output.port);
        lx_set_u64(L, "value", e->u.output.byte);
        lua_pushlstring(L, (const char *)&e->u.output.byte, 1);
        lua_setfield(L, -2, "char");
        break;
    case EV_MARK: lx_set_str(L, "name", e->u.mark.name); break;
    default: break;
    }
}

static void push_story(lua_State *L, struct lx_machine *lm, const struct ev *e)
{
    char text[512];
    sim_stale_text(lm->m, e->cpu, e->u.stale.e, e->u.stale.la, text, sizeof text);
    lx_set_str(L, "story", text);
    sim_stale_remedy(e->u.stale.e, e->u.stale.la, text, sizeof text);
    lx_set_str(L, "remedy", text);
}

void lx_push_event(lua_State *L, struct lx_machine *lm, const struct ev *e)
{
    lua_createtable(L, 0, 16);
    lx_set_str(L, "kind", ev_info[e->kind].name);
    lx_set_u64(L, "cycle", e->cycle);
    lx_set_u64(L, "insn", e->insn);
    lx_set_u64(L, "cpu", e->cpu);
    lx_set_u64(L, "rip", e->rip);
    lx_set_u64(L, "level", e->level);
    if (e->kind == EV_TLB_STALE && e->u.stale.e)
        push_story(L, lm, e);
    if (!push_memory(L, e) && !push_processor(L, e) && !push_vmx(L, e))
        push_device(L, e);
}

// A subscription: userdata "ringside.Handle"; user value 1 is the function, 2 the machine. The machine's table keeps it while it is on.
struct sub {
    struct lx_machine *lm;
    int handle; // 0: off
};

// --- handlers. They run in the middle of sim_run(), so no error may pass out of them: all that could raise one is done in protected().
struct call {
    struct lx_machine *lm;
    const struct ev *e;
    const struct sub *sub; // whose function to call, or NULL: the one at index 1
};

// (function or nil, call) -> the event's table, what the function gave
static int protected(lua_State *L)
{
    const struct call *c = lua_touserdata(L, 2);
    lua_settop(L, 1);
    if (c->sub && lx_push_object(L, c->sub)) {
        lua_getiuservalue(L, -1, 1);
        lua_replace(L, 1);
    }
    lx_push_event(L, c->lm, c->e);
    if (lua_isnil(L, 1)) {
        lua_pushboolean(L, true);
        return 2;
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    return 2;
}

static bool call_handler(lua_State *L, struct call *c, int fn, int keep)
{
    struct lx_machine *lm = c->lm;
    if (lm->handler_failed || !lua_checkstack(L, 8))
        return false;
    lua_pushcfunction(L, protected);
    if (fn)
        lua_pushvalue(L, fn);
    else
        lua_pushnil(L);
    lua_pushlightuserdata(L, c);
    const unsigned selected = lm->cpu;
    lm->cpu = c->e->cpu; // in a handler, the event's
    int status = lua_pcall(L, 2, 2, 0);
    lm->cpu = selected;
    if (status != LUA_OK) {
        lm->handler_failed = true;
        lua_rawsetp(L, LUA_REGISTRYINDEX, &lm->handler_failed); // the slot was made with the machine: nothing is allocated
        sim_request_stop(lm->m);
        return false;
    }
    bool truth = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (keep && truth)
        lua_replace(L, keep);
    else
        lua_pop(L, 1);
    return truth;
}

bool lx_call_handler(lua_State *L, struct lx_machine *lm, const struct ev *e, int fn, int keep)
{
    struct call c = {lm, e, NULL};
    return call_handler(L, &c, fn, keep);
}

static void on_event(void *ctx, struct sim_machine *m, const struct ev *e)
{
    struct sub *s = ctx;
    struct call c = {s->lm, e, s};
    if (s->handle && s->lm->lx->running) // not while something else than Lua drives the machine
        call_handler(s->lm->lx->running, &c, 0, 0);
}

int lx_m_on(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t mask = lx_event_mask(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    lx_check_alive(L);
    struct sub *s = lua_newuserdatauv(L, sizeof *s, 2);
    *s = (struct sub){.lm = lm};
    luaL_setmetatable(L, "ringside.Handle");
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 4, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, 2);
    lx_remember(L, s);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 4);
    lua_rawsetp(L, -2, s);
    lua_pop(L, 1);
    s->handle = ev_subscribe(lm->m, mask, on_event, s);
    return 1;
}

int lx_h_off(lua_State *L)
{
    struct sub *s = luaL_checkudata(L, 1, "ringside.Handle");
    if (!s->handle)
        return 0;
    int handle = s->handle;
    s->handle = 0;
    if (s->lm->m) {
        ev_unsubscribe(s->lm->m, handle);
        lua_getiuservalue(L, 1, 2);
        lua_getiuservalue(L, -1, 1);
        lua_pushnil(L);
        lua_rawsetp(L, -2, s);
    }
    return 0;
}
