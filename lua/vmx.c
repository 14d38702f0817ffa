// lua/vmx.c: VMCS fields, entry reports, TLB entries and translations of a machine.
#include <inttypes.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"
#include "vmx-model/explain.h"
#include "vmx-model/vmx.h"

// --- VMCS fields: m.vmcs.GUEST_CR3, m.vmcs[0x6802]
static struct lx_machine *vmcs_machine(lua_State *L)
{
    luaL_checkudata(L, 1, "ringside.Vmcs");
    lua_getiuservalue(L, 1, 1);
    struct lx_machine *lm = lx_check_machine(L, -1);
    lua_pop(L, 1);
    return lm;
}

static unsigned check_field(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TSTRING) {
        lua_Integer encoding = luaL_checkinteger(L, idx);
        int field = encoding >= 0 && encoding <= 0xffff ? vmcs_by_encoding((uint32_t)encoding) : -1;
        if (field < 0)
            lx_error(L, SIM_SCRIPT, "no VMCS field has the encoding 0x%llx", (unsigned long long)encoding);
        return (unsigned)field;
    }
    const char *name = lua_tostring(L, idx), *near;
    int field = vmcs_by_name(name);
    if (field < 0) {
        near = vmcs_nearest_name(name);
        lx_error(L, SIM_SCRIPT, "no VMCS field is called '%.60s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "",
                 near ? "'?" : "");
    }
    return (unsigned)field;
}

static const struct vmcs *current(lua_State *L, struct lx_machine *lm)
{
    const struct vmcs *v = sim_vmcs(lm->m, lm->cpu);
    if (!v)
        lx_error(L, SIM_SCRIPT, "machine %u has no current VMCS: its guest has not executed VMPTRLD", lm->n);
    return v;
}

int lx_vmcs_index(lua_State *L)
{
    struct lx_machine *lm = vmcs_machine(L);
    unsigned field = check_field(L, 2);
    lua_pushinteger(L, (lua_Integer)current(L, lm)->f[field]);
    return 1;
}

int lx_vmcs_newindex(lua_State *L)
{
    struct lx_machine *lm = vmcs_machine(L);
    unsigned field = check_field(L, 2);
    uint64_t val = lx_check_u64(L, 3);
    lua_getiuservalue(L, 1, 1);
    lx_check_stopped(L, -1);
    current(L, lm);
    if (!sim_vmcs_write(lm->m, lm->cpu, vmcs_field_info[field].encoding, val))
        return lx_error(L, SIM_SCRIPT, "VMCS field %s does not take 0x%" PRIx64, vmcs_field_info[field].name, val);
    return 0;
}

// --- the report of a failed entry
static void push_failure(lua_State *L, const struct vmx_failure *f)
{
    lua_newtable(L);
    lx_set_str(L, "id", f->id);
    lx_set_str(L, "title", f->title);
    lx_set_str(L, "field", f->field < VMCS_NFIELD ? vmcs_field_info[f->field].name : NULL);
    lx_set_u64(L, "value", f->value);
    char names[200];
    vmx_bits_text(f->field, f->bits, names, sizeof names);
    lx_set_u64(L, "bits", f->bits);
    lx_set_str(L, "bit_names", names);
    lx_set_str(L, "rule", f->rule);
    lx_set_str(L, "manual", f->sdm);
    if (f->has_suggestion)
        lx_set_u64(L, "fix", f->suggestion);
    if (f->writer_cycle) {
        lx_set_u64(L, "writer_cycle", f->writer_cycle);
        lx_set_u64(L, "writer_rip", f->writer_rip);
    }
}

void lx_push_entry_report(lua_State *L, const struct vmx_entry_report *r)
{
    static const char *const outcomes[] = {"ok", "fail-invalid", "fail-valid", "fail-exit"};
    lua_newtable(L);
    lx_set_str(L, "outcome", outcomes[r->outcome & 3]);
    lx_set_u64(L, "error", r->error);
    lx_set_u64(L, "qualification", r->qualification);
    lx_set_u64(L, "checks", r->checks);
    lx_set_u64(L, "cycle", r->cycle);
    lx_set_u64(L, "rip", r->rip);
    for (unsigned n = 0; n < r->n && n < VMX_MAX_FAILURES; n++) {
        push_failure(L, &r->failure[n]);
        lua_rawseti(L, -2, n + 1);
    }
}

int lx_m_entry_report(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    const struct vmx_entry_report *r = sim_entry_report(lm->m, lm->cpu);
    if (!r)
        return 0;
    lx_push_entry_report(L, r);
    return 1;
}

// --- TLB
int lx_m_tlb(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    const struct tlb *t = sim_tlb(lm->m, lm->cpu);
    const struct tlb_entry *e;
    bool some = !lua_isnoneornil(L, 2);
    uint64_t la = some ? lx_check_addr(L, lm, 2) : 0;
    unsigned pos = 0;
    lua_Integer n = 0;
    lua_newtable(L);
    while (t && (e = tlb_next(t, &pos)) != NULL) {
        if (some && ((e->tag ^ la) >> (e->page_shift & 63)) != 0)
            continue;
        lx_push_tlb_entry(L, e);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

struct preview {
    lua_State *L;
    lua_Integer n;
};
static void preview_entry(void *ctx, const struct tlb_entry *e)
{
    struct preview *p = ctx;
    lx_push_tlb_entry(p->L, e);
    lua_rawseti(p->L, -2, ++p->n);
}

int lx_m_tlb_preview(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    const char *what = luaL_checkstring(L, 2);
    struct sim_error err = {0};
    struct preview p = {.L = L};
    lua_newtable(L);
    if (sim_tlb_preview(lm->m, lm->cpu, what, preview_entry, &p, &err) < 0)
        return lx_error(L, SIM_SCRIPT, "%s", err.what);
    return 1;
}

// --- caches
static void set_int(lua_State *L, const char *key, uint64_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, key);
}

static void push_lines(lua_State *L, const struct caches *h, unsigned cpu, enum cache_unit u)
{
    const struct cache_geometry g = cache_geometry(h, u);
    lua_newtable(L);
    for (uint32_t set = 0; set < g.sets; set++)
        for (uint32_t way = 0; way < g.ways; way++) {
            uint64_t pa;
            enum cache_state s;
            if (!cache_way(h, cpu, u, set, way, &pa, &s))
                continue;
            const char letter = cache_state_letter(s);
            lua_pushlstring(L, &letter, 1);
            lua_rawseti(L, -2, (lua_Integer)pa);
        }
}

int lx_m_cache(lua_State *L)
{
    static const char *const units[] = {"l1i", "l1d", "l2", "l3", NULL};
    struct lx_machine *lm = lx_check_machine(L, 1);
    const enum cache_unit u = (enum cache_unit)lx_word(L, "unit", luaL_checkstring(L, 2), units);
    const struct caches *h = sim_caches(lm->m);
    if (!h || !cache_geometry(h, u).sets)
        return 0;
    const struct cache_geometry g = cache_geometry(h, u);
    const struct cache_counts n = cache_counts(h, lm->cpu, u);
    lua_newtable(L);
    set_int(L, "sets", g.sets);
    set_int(L, "ways", g.ways);
    set_int(L, "line", g.line);
    set_int(L, "latency", g.latency);
    set_int(L, "hits", n.hits);
    set_int(L, "misses", n.misses);
    set_int(L, "evictions", n.evictions);
    set_int(L, "writebacks", n.writebacks);
    push_lines(L, h, lm->cpu, u);
    lua_setfield(L, -2, "lines");
    return 1;
}

// --- translations
static const char *const access_names[] = {"r", "w", "x", NULL};

// Options of translate(): access and user.
static unsigned read_access(lua_State *L, int idx)
{
    static const char *const keys[] = {"access", "user", NULL};
    static const unsigned acc[] = {ISA_ACC_R, ISA_ACC_W, ISA_ACC_X};
    const char *word;
    unsigned a = ISA_ACC_R;
    lx_opt_keys(L, idx, "translate", keys);
    if ((word = lx_opt_string(L, idx, "access")) != NULL)
        a = acc[lx_word(L, "access", word, access_names)];
    if (lua_istable(L, idx) && lua_getfield(L, idx, "user") != LUA_TNIL)
        a |= lx_opt_bool(L, idx, "user", false) ? ISA_ACC_USER : ISA_ACC_SYS;
    return a;
}

static void push_step(lua_State *L, const struct sim_walk_step *s)
{
    static const char *const names[] = {"data", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    char name[16];
    lua_newtable(L);
    lx_set_u64(L, "number", s->number);
    lx_set_str(L, "table", s->ept ? "ept" : "guest");
    snprintf(name, sizeof name, "%s%s", s->ept ? "EPT " : "", names[(s->ept ? s->elevel : s->glevel) % 6]);
    lx_set_str(L, "entry_name", name);
    lx_set_str(L, "for_name", names[s->glevel % 6]);
    lx_set_u64(L, "glevel", s->glevel);
    lx_set_u64(L, "elevel", s->elevel);
    lx_set_u64(L, "index", s->index);
    lx_set_u64(L, "gpa", s->gpa.v);
    lx_set_u64(L, "at", s->at.v);
    lx_set_u64(L, "entry", s->entry);
    lx_set_bool(L, "leaf", s->leaf);
    lx_set_bool(L, "failed", s->failed);
    if (s->why)
        lx_set_str(L, "why", s->why);
}

static int push_walk(lua_State *L, const struct sim_walk *w)
{
    static const char *const outcomes[] = {"ok", "page-fault", "ept-violation", "ept-misconfiguration", "no-paging"};
    bool ok = w->outcome == SIM_WALK_OK || w->outcome == SIM_WALK_NO_PAGING;
    lua_newtable(L);
    lx_set_bool(L, "ok", ok);
    lx_set_str(L, "outcome", outcomes[w->outcome % 5]);
    lx_set_u64(L, "la", w->la);
    lx_set_u64(L, "refs", w->refs);
    lx_set_u64(L, "guest_levels", w->guest_levels);
    lx_set_u64(L, "ept_levels", w->ept_levels);
    if (ok) {
        lx_set_u64(L, "gpa", w->gpa.v);
        lx_set_u64(L, "hpa", w->hpa.v);
        lx_set_u64(L, "page_size", 1ull << (w->page_shift & 63));
    } else if (w->outcome == SIM_WALK_PF) {
        lx_set_u64(L, "error", w->pf_error);
    } else {
        lx_set_u64(L, "gpa", w->gpa.v);
    }
    lua_newtable(L);
    for (unsigned n = 0; n < w->refs && n < SIM_WALK_MAX; n++) {
        push_step(L, &w->step[n]);
        lua_rawseti(L, -2, n + 1);
    }
    lua_setfield(L, -2, "steps");
    return 1;
}

int lx_m_translate(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    struct sim_walk w = {0};
    lua_settop(L, 3);
    uint64_t la = lx_check_addr(L, lm, 2);
    sim_translate(lm->m, lm->cpu, la, read_access(L, 3), &w);
    return push_walk(L, &w);
}

int lx_m_translate_gpa(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    struct sim_walk w = {0};
    lua_settop(L, 3);
    sim_translate_gpa(lm->m, lm->cpu, (struct gpa){lx_check_u64(L, 2)}, read_access(L, 3), &w);
    return push_walk(L, &w);
}
