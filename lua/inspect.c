// lua/inspect.c: registers, memory, descriptors, symbols, disassembly, counters of a machine.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"

// --- registers
static struct lx_machine *proxy_machine(lua_State *L, const char *klass)
{
    luaL_checkudata(L, 1, klass);
    lua_getiuservalue(L, 1, 1);
    struct lx_machine *lm = lx_check_machine(L, -1);
    lua_pop(L, 1);
    return lm;
}

static const char *reg_name(const void *ctx, unsigned n) { return sim_reg_name(n); }

static int no_register(lua_State *L, const char *name)
{
    const char *near = lx_nearest(name, reg_name, NULL);
    return lx_error(L, SIM_SCRIPT, "no register is called '%.60s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "",
                    near ? "'?" : "");
}

int lx_registers_index(lua_State *L)
{
    struct lx_machine *lm = proxy_machine(L, "ringside.Registers");
    const char *name = luaL_checkstring(L, 2);
    uint64_t val;
    if (!sim_reg_get(lm->m, lm->cpu, name, &val))
        return no_register(L, name);
    lua_pushinteger(L, (lua_Integer)val);
    return 1;
}

int lx_registers_newindex(lua_State *L)
{
    struct lx_machine *lm = proxy_machine(L, "ringside.Registers");
    const char *name = luaL_checkstring(L, 2);
    uint64_t val;
    lua_getiuservalue(L, 1, 1);
    lx_check_stopped(L, -1);
    if (!lua_isinteger(L, 3) && lua_type(L, 3) != LUA_TNUMBER)
        return lx_error(L, SIM_SCRIPT, "register %.60s takes a whole number, not %s", name, luaL_typename(L, 3));
    if (!sim_reg_get(lm->m, lm->cpu, name, &val))
        return no_register(L, name);
    if (!sim_reg_set(lm->m, lm->cpu, name, lx_check_u64(L, 3)))
        return lx_error(L, SIM_SCRIPT, "register %.60s can be read only", name);
    return 0;
}

// --- memory
static const char *const space_names[] = {"linear", "guest", "host", NULL};
static const enum sim_space spaces[] = {SIM_LINEAR, SIM_GUEST_PHYSICAL, SIM_HOST_PHYSICAL};

static enum sim_space check_space(lua_State *L, int idx)
{
    return spaces[lx_word(L, "address space", luaL_optstring(L, idx, "linear"), space_names)];
}

static int unmapped(lua_State *L, enum sim_space space, uint64_t addr, uint64_t done, uint64_t n)
{
    if (n > 1)
        return lx_error(L, SIM_SCRIPT, "%s address 0x%" PRIx64 " is not mapped (%" PRIu64 " of %" PRIu64 " bytes were)",
                        space_names[space], addr + done, done, n);
    return lx_error(L, SIM_SCRIPT, "%s address 0x%" PRIx64 " is not mapped", space_names[space], addr + done);
}

static void peek(lua_State *L, struct lx_machine *lm, int space_idx, uint64_t addr, void *buf, uint64_t n)
{
    enum sim_space space = check_space(L, space_idx);
    uint64_t done = sim_peek(lm->m, lm->cpu, space, addr, buf, n);
    if (done < n)
        unmapped(L, space, addr, done, n);
}

static void poke(lua_State *L, struct lx_machine *lm, int space_idx, uint64_t addr, const void *buf, uint64_t n)
{
    enum sim_space space = check_space(L, space_idx);
    uint64_t done = sim_poke(lm->m, lm->cpu, space, addr, buf, n);
    if (done < n)
        unmapped(L, space, addr, done, n);
}

int lx_m_read(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t addr = lx_check_addr(L, lm, 2);
    lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n >= 0 && n <= LX_MAX_MEMORY / 4, 3, "a count from 0 to 128 MiB");
    luaL_Buffer b;
    lua_settop(L, 4); // the buffer takes stack slots: the address space must not be taken for one of them
    char *buf = luaL_buffinitsize(L, &b, (size_t)n);
    peek(L, lm, 4, addr, buf, (uint64_t)n);
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

int lx_m_write(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    size_t n;
    const char *bytes = luaL_checklstring(L, 3, &n);
    poke(L, lm, 4, lx_check_addr(L, lm, 2), bytes, n);
    return 0;
}

static int read_int(lua_State *L, unsigned n)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t val = 0;
    peek(L, lm, 3, lx_check_addr(L, lm, 2), &val, n); // little-endian, as the host is
    lua_pushinteger(L, (lua_Integer)val);
    return 1;
}

static int write_int(lua_State *L, unsigned n)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    uint64_t addr = lx_check_addr(L, lm, 2), val = lx_check_u64(L, 3), high = n < 8 ? val >> (8 * n) : 0;
    // Both the signed and the unsigned reading of a value are welcome.
    if (high != 0 && high != UINT64_MAX >> (8 * n))
        return lx_error(L, SIM_SCRIPT, "0x%" PRIx64 " does not fit in %u bits", val, 8 * n);
    poke(L, lm, 4, addr, &val, n);
    return 0;
}

int lx_m_u8(lua_State *L) { return read_int(L, 1); }
int lx_m_u16(lua_State *L) { return read_int(L, 2); }
int lx_m_u32(lua_State *L) { return read_int(L, 4); }
int lx_m_u64(lua_State *L) { return read_int(L, 8); }
int lx_m_write_u8(lua_State *L) { return write_int(L, 1); }
int lx_m_write_u16(lua_State *L) { return write_int(L, 2); }
int lx_m_write_u32(lua_State *L) { return write_int(L, 4); }
int lx_m_write_u64(lua_State *L) { return write_int(L, 8); }

int lx_m_string(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t addr = lx_check_addr(L, lm, 2);
    lua_Integer max = luaL_optinteger(L, 3, 4096);
    enum sim_space space = check_space(L, 4);
    luaL_argcheck(L, max >= 0 && max <= 1 << 20, 3, "a count from 0 to 1 MiB");
    luaL_Buffer b;
    char *buf = luaL_buffinitsize(L, &b, (size_t)max);
    uint64_t done = sim_peek(lm->m, lm->cpu, space, addr, buf, (uint64_t)max);
    size_t n = strnlen(buf, (size_t)done);
    if (n == done && done < (uint64_t)max)
        return unmapped(L, space, addr, done, done + 1);
    luaL_pushresultsize(&b, n);
    return 1;
}

// --- descriptors
static int push_desc(lua_State *L, const struct sim_desc *d)
{
    if (!d->valid)
        return 0;
    lua_newtable(L);
    lx_set_str(L, "kind", d->kind);
    lx_set_u64(L, "raw", d->raw[0]);
    if (d->wide)
        lx_set_u64(L, "raw_high", d->raw[1]);
    lx_set_bool(L, "present", d->present);
    lx_set_bool(L, "system", d->system);
    lx_set_u64(L, "type", d->type);
    lx_set_u64(L, "dpl", d->dpl);
    if (d->gate) {
        lx_set_u64(L, "selector", d->gate_sel);
        lx_set_u64(L, "offset", d->gate_off);
        lx_set_u64(L, "ist", d->gate_ist);
        lx_set_u64(L, "params", d->gate_params);
    } else {
        lx_set_u64(L, "base", d->seg.base);
        lx_set_u64(L, "limit", d->seg.limit);
        lx_set_u64(L, "ar", d->seg.ar);
    }
    return 1;
}

int lx_m_descriptor(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    lua_Integer sel = luaL_checkinteger(L, 2);
    struct sim_desc d = {0};
    luaL_argcheck(L, sel >= 0 && sel <= 0xffff, 2, "a selector has 16 bits");
    sim_descriptor(lm->m, lm->cpu, (uint16_t)sel, &d);
    return push_desc(L, &d);
}

int lx_m_gate(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    lua_Integer vector = luaL_checkinteger(L, 2);
    struct sim_desc d = {0};
    luaL_argcheck(L, vector >= 0 && vector <= 255, 2, "a vector from 0 to 255");
    sim_idt_gate(lm->m, lm->cpu, (unsigned)vector, &d);
    return push_desc(L, &d);
}

// --- code, symbols, counters, devices
int lx_m_disasm(lua_State *L)
{
    static const char *const syntaxes[] = {"intel", "att", NULL};
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t la = lx_check_addr(L, lm, 2);
    bool att = lx_word(L, "syntax", luaL_optstring(L, 3, "intel"), syntaxes) == 1;
    char text[128];
    uint8_t bytes[16];
    unsigned n = sim_disasm(lm->m, lm->cpu, la, att, text, sizeof text, bytes);
    if (!n)
        return 0;
    lua_pushstring(L, text);
    lua_pushinteger(L, n);
    return 2;
}

int lx_m_symbol(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    char name[128] = "";
    uint64_t addr;
    if (lua_type(L, 2) == LUA_TSTRING) {
        if (!sim_symbol_addr(lm->m, lua_tostring(L, 2), &addr))
            return 0;
        lua_pushinteger(L, (lua_Integer)addr);
        return 1;
    }
    sim_symbol(lm->m, lx_check_u64(L, 2), name, sizeof name);
    if (!name[0])
        return 0;
    lua_pushstring(L, name);
    return 1;
}

int lx_m_add_symbol(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    sim_symbol_add(lm->m, luaL_checkstring(L, 2), lx_check_u64(L, 3));
    return 0;
}

static const char *stat_name(const void *ctx, unsigned n) { return sim_stat_name(n); }

int lx_m_stat(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    const char *name = luaL_checkstring(L, 2), *near;
    uint64_t val;
    if (!sim_stat(lm->m, lm->cpu, name, &val)) {
        near = lx_nearest(name, stat_name, NULL);
        return lx_error(L, SIM_SCRIPT, "no counter is called '%.60s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "",
                        near ? "'?" : "");
    }
    lua_pushinteger(L, (lua_Integer)val);
    return 1;
}

int lx_m_output(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    uint64_t n = 0;
    const char *s = sim_output(lm->m, &n);
    lua_pushlstring(L, s ? s : "", s ? (size_t)n : 0);
    return 1;
}

int lx_m_input(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    size_t n;
    const char *s = luaL_checklstring(L, 2, &n);
    lm->input += n;
    if (lm->input > LX_MAX_REPORT)
        return lx_error(L, SIM_LIMIT, "input: more than 64 MiB for machine %u", lm->n);
    sim_input(lm->m, s, n);
    return 0;
}

int lx_m_hash(lua_State *L)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, sim_state_hash(lx_check_machine(L, 1)->m));
    lua_pushstring(L, text);
    return 1;
}
