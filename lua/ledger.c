// lua/ledger.c: Machine:ledger(): the account by level (sim/ledger.h) as tables.
#include "lua/api.h"
#include "lua/state.h"
#include "sim/ledger.h"
#include "vmx-model/explain.h"

static void push_level(lua_State *L, const struct ledger_level *v)
{
    lua_newtable(L);
    lx_set_u64(L, "entries", v->entries);
    lx_set_u64(L, "exits", v->exits);
    lx_set_u64(L, "cycles", v->cycles);
    lx_set_u64(L, "walks", v->walks);
    lx_set_u64(L, "refs", v->refs);
    lx_set_u64(L, "flushes", v->flushes);
    lx_set_u64(L, "dropped", v->dropped);
    lua_newtable(L);
    for (unsigned r = 0; r < LEDGER_REASONS; r++)
        if (v->by_reason[r]) {
            const char *name = vmx_exit_name(r);
            if (name)
                lx_set_u64(L, name, v->by_reason[r]);
        }
    lua_setfield(L, -2, "reasons");
}

static void push_vmcs(lua_State *L, const struct ledger_vmcs *v)
{
    lua_newtable(L);
    lx_set_u64(L, "address", v->ptr);
    lx_set_u64(L, "eptp", v->eptp);
    lx_set_u64(L, "vpid", v->vpid);
    lx_set_u64(L, "level", v->level);
    lx_set_u64(L, "entries", v->entries);
    lx_set_u64(L, "exits", v->exits);
    lx_set_u64(L, "cycles", v->cycles);
}

int lx_m_ledger(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    struct ledger *l = ledger_keep(lm->m);
    ledger_update(l);
    lua_newtable(L);
    lx_set_u64(L, "exits", ledger_exits(l, LEDGER_REASONS));
    lua_newtable(L);
    for (unsigned k = 0; k < ledger_levels(l); k++) {
        push_level(L, &l->level[k]);
        lua_rawseti(L, -2, k);
    }
    lua_setfield(L, -2, "levels");
    lua_newtable(L);
    for (unsigned k = 0; k < l->n; k++) {
        push_vmcs(L, &l->vmcs[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_setfield(L, -2, "vmcs");
    return 1;
}
