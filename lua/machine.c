// lua/machine.c: machines as Lua sees them: build, load, start, close, and their properties.
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lua/api.h"
#include "lua/state.h"
#include "sim/boot.h"
#include "sim/ledger.h"
#include "sim/loader.h"

struct lx_machine *lx_check_machine(lua_State *L, int idx)
{
    struct lx_machine *lm = luaL_checkudata(L, idx, "ringside.Machine");
    if (!lm->m)
        lx_error(L, SIM_SCRIPT, "machine %d was closed", (int)lm->n);
    return lm;
}

struct lx_machine *lx_check_stopped(lua_State *L, int idx)
{
    struct lx_machine *lm = lx_check_machine(L, idx);
    lx_check_alive(L);
    if (lm->running)
        lx_error(L, SIM_SCRIPT,
                 "an event handler may look at its machine and stop it, not drive or change it; do that after run() returns");
    return lm;
}

struct isa_cpu *lx_cpu(struct lx_machine *lm) { return sim_cpu(lm->m, lm->cpu); }

uint64_t lx_linear_rip(struct lx_machine *lm)
{
    const struct isa_cpu *c = lx_cpu(lm);
    return c->mode == ISA_LONG64 ? c->rip : (uint32_t)(c->seg[ISA_CS].base + c->rip);
}

uint64_t lx_check_addr(lua_State *L, struct lx_machine *lm, int idx)
{
    uint64_t addr;
    if (lua_type(L, idx) != LUA_TSTRING)
        return lx_check_u64(L, idx);
    if (!sim_symbol_addr(lm->m, lua_tostring(L, idx), &addr))
        lx_error(L, SIM_SCRIPT, "no symbol '%.60s' in what machine %u has loaded", lua_tostring(L, idx), lm->n);
    return addr;
}

// "64M" or a number of bytes.
static uint64_t ram_option(lua_State *L, int idx)
{
    uint64_t bytes = 0;
    if (!lua_istable(L, idx))
        return 0;
    if (lua_getfield(L, idx, "ram") == LUA_TSTRING) {
        const char *s = lua_tostring(L, -1);
        char *end;
        errno = 0;
        bytes = strtoull(s, &end, 0);
        unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
        bool ok = end != s && *s != '-' && !errno && end[shift != 0] == 0 && bytes != 0 && bytes <= UINT64_MAX >> shift;
        if (!ok)
            lx_error(L, SIM_SCRIPT, "ram = \"%.40s\": give a size such as \"64M\" or \"2G\"", s);
        bytes <<= shift;
    } else if (!lua_isnil(L, -1)) {
        lx_opt_u64(L, idx, "ram", &bytes);
        if ((int64_t)bytes <= 0)
            lx_error(L, SIM_SCRIPT, "ram = %lld: give a size such as \"64M\" or \"2G\"", (long long)bytes);
    }
    lua_pop(L, 1);
    return bytes;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// The assignments of the option `set`, in the order of their names, then those of the command line. They stay on the stack.
static void set_option(lua_State *L, int idx, const struct lx *opt, struct sim_config *cfg)
{
    unsigned n = 0;
    cfg->set = opt->set;
    cfg->nset = opt->nset;
    if (lua_isnoneornil(L, idx) || lua_getfield(L, idx, "set") == LUA_TNIL)
        return;
    if (!lua_istable(L, -1))
        lx_error(L, SIM_SCRIPT, "set: give a table such as {[\"tlb.l2.entries\"] = 64}, not %s", luaL_typename(L, -1));
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        n++;
    const char **set = lua_newuserdatauv(L, (n + opt->nset + 1) * sizeof *set, 0);
    lua_newtable(L); // keeps the texts
    n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !(lua_isinteger(L, -1) || lua_type(L, -1) == LUA_TSTRING))
            lx_error(L, SIM_SCRIPT, "set: names are strings, values are integers or strings such as \"256K\"");
        lua_pushvalue(L, -1); // lua_tostring changes what it reads
        set[n] = lua_pushfstring(L, "%s=%s", lua_tostring(L, -3), lua_tostring(L, -1));
        lua_rawseti(L, table + 2, ++n);
        lua_pop(L, 1);
    }
    qsort(set, n, sizeof *set, by_text);
    for (unsigned k = 0; k < opt->nset; k++)
        set[n++] = opt->set[k];
    cfg->set = set;
    cfg->nset = n;
}

int lx_s_machine(lua_State *L)
{
    static const char *const keys[] = {"ram", "profile", "set", "tlb", "seed", "cpus", "quantum", "fidelity", NULL};
    struct lx *lx = lx_of(L);
    struct sim_config cfg = {.no_mirror = lx->opt->no_mirror, .loop = lx->opt->loop, .stuck_exits = lx->opt->stuck_exits};
    struct sim_error err = {0};
    lx_check_alive(L);
    lx_opt_keys(L, 1, "ringside.machine", keys);
    cfg.ram_bytes = ram_option(L, 1);
    cfg.profile = lx_opt_string(L, 1, "profile");
    set_option(L, 1, lx, &cfg);
    if (lx->profile)
        cfg.profile = lx->profile;
    const char *tlb = lx_opt_string(L, 1, "tlb");
    if ((tlb || (tlb = lx->opt->tlb)) && sim_tlb_policy_by_name(tlb, &cfg, &err) < 0)
        return lx_error(L, SIM_SCRIPT, "%s", err.what);
    lx_opt_u64(L, 1, "seed", &cfg.seed);
    uint64_t cpus = 1;
    lx_opt_count(L, 1, "cpus", &cpus);
    cfg.cpus = cpus > UINT_MAX ? UINT_MAX : (unsigned)cpus; // the machine refuses too many, and says why
    lx_opt_count(L, 1, "quantum", &cfg.quantum);
    const char *fidelity = lx_opt_string(L, 1, "fidelity");
    if (fidelity)
        cfg.fidelity = (enum sim_fidelity)lx_word(L, "fidelity", fidelity, sim_fidelity_names());
    if (lx->nalive >= LX_MAX_MACHINES)
        lua_gc(L, LUA_GCCOLLECT); // perhaps some are garbage
    if (lx->nalive >= LX_MAX_MACHINES)
        return lx_error(L, SIM_LIMIT, "there are %d machines already; close() those that are done", LX_MAX_MACHINES);

    struct lx_machine *lm = lua_newuserdatauv(L, sizeof *lm, 1);
    *lm = (struct lx_machine){.lx = lx, .n = lx->nmachines + 1};
    luaL_setmetatable(L, "ringside.Machine");
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    lx_remember(L, lm);
    lua_pushboolean(L, false); // the slot for a handler's error
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lm->handler_failed);
    lm->m = sim_create(&cfg, &err);
    if (!lm->m) {
        err.status = err.status == SIM_OK || err.status == SIM_USAGE ? SIM_SCRIPT : err.status; // the script's mistake
        return lx_error_from(L, &err);
    }
    lx->nmachines++;
    lx->nalive++;
    struct lx_machine **tail = &lx->machines;
    while (*tail)
        tail = &(*tail)->next;
    *tail = lm;
    lx->last = lm;
    if (lx->opt->hash)
        sim_event_hash_enable(lm->m);
    ledger_keep(lm->m); // from the beginning, for Machine:ledger() and diagrams
    if (lx->hooks.machine)
        lx->hooks.machine(lx->hooks.ctx, lm->m, true);
    return 1;
}

static void destroy(struct lx_machine *lm)
{
    struct lx *lx = lm->lx;
    if (!lm->m)
        return;
    for (struct lx_machine **p = &lx->machines; *p; p = &(*p)->next)
        if (*p == lm) {
            *p = lm->next;
            break;
        }
    if (lx->last == lm)
        lx->last = NULL;
    rep_machine(&lx->rep, lm->m, lm->n);
    if (lx->hooks.machine)
        lx->hooks.machine(lx->hooks.ctx, lm->m, false);
    sim_destroy(lm->m);
    lm->m = NULL;
    free(lm->queue);
    lm->queue = NULL;
    lx->nalive--;
}

void lx_machines_destroy(struct lx *lx)
{
    while (lx->machines)
        destroy(lx->machines);
}

int lx_machine_gc(lua_State *L)
{
    struct lx_machine *lm = luaL_checkudata(L, 1, "ringside.Machine");
    destroy(lm);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lm->handler_failed);
    return 0;
}

int lx_machine_tostring(lua_State *L)
{
    struct lx_machine *lm = luaL_checkudata(L, 1, "ringside.Machine");
    if (lm->m)
        lua_pushfstring(L, "machine %d (%s, cycle %I)", (int)lm->n, sim_profile_name(lm->m), (lua_Integer)sim_now(lm->m));
    else
        lua_pushfstring(L, "machine %d (closed)", (int)lm->n);
    return 1;
}

int lx_m_close(lua_State *L)
{
    destroy(lx_check_stopped(L, 1));
    return 0;
}

int lx_m_select(lua_State *L)
{
    struct lx_machine *lm = lx_check_machine(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 0 || n >= (lua_Integer)sim_ncpus(lm->m))
        return lx_error(L, SIM_SCRIPT, "machine %u has no processor %lld; its processors are numbered 0 to %u", lm->n, (long long)n,
                        sim_ncpus(lm->m) - 1);
    lm->cpu = (unsigned)n;
    return 0;
}

int lx_m_set_fidelity(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    sim_set_fidelity(lm->m, (enum sim_fidelity)lx_word(L, "fidelity", luaL_checkstring(L, 2), sim_fidelity_names()));
    return 0;
}

// Loading and starting a program resets the machine: clocks and counters begin anew. For those who count, what ran before is a machine
// of its own.
static bool before_reset(const struct lx_machine *lm)
{
    const struct lx_hooks *h = &lm->lx->hooks;
    const bool ran = h->machine && sim_insns(lm->m);
    if (ran)
        h->machine(h->ctx, lm->m, false);
    return ran;
}
static void after_reset(const struct lx_machine *lm, bool ran)
{
    if (ran)
        lm->lx->hooks.machine(lm->lx->hooks.ctx, lm->m, true);
}

int lx_m_reset(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    const bool ran = before_reset(lm);
    lm->nqueue = lm->qpos = 0;
    sim_reset(lm->m);
    after_reset(lm, ran);
    return 0;
}

// The machine's proxy for registers or VMCS fields, made at first use. The machine is at index 1.
static int proxy(lua_State *L, const char *klass)
{
    lua_getiuservalue(L, 1, 1);
    if (lua_getfield(L, -1, klass) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    lua_newuserdatauv(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, klass);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, klass);
    return 1;
}

static const char *const properties[] = {"cpu", "vmcs",    "cycles", "insns",    "mode",     "level",
                                         "ram", "profile", "cpus",   "selected", "fidelity", NULL};

// Names of all that m.NAME can be: properties, then methods.
static const char *member(const void *ctx, unsigned n)
{
    unsigned k = 0;
    for (; properties[k]; k++)
        if (k == n)
            return properties[k];
    for (unsigned r = 0; r < lx_nrows; r++)
        if (lx_rows[r].fn && !strcmp(lx_rows[r].klass, "Machine") && k++ == n)
            return lx_rows[r].name;
    return NULL;
}

int lx_machine_index(lua_State *L)
{
    static const char *const levels[] = {"off", "root", "non-root"};
    const char *key = luaL_checkstring(L, 2);
    luaL_checkudata(L, 1, "ringside.Machine");
    lua_getfield(L, LUA_REGISTRYINDEX, "ringside.methods");
    if (lua_getfield(L, -1, key) != LUA_TNIL)
        return 1;
    unsigned k = 0;
    while (properties[k] && strcmp(properties[k], key) != 0)
        k++;
    struct lx_machine *lm = properties[k] ? lx_check_machine(L, 1) : NULL;
    switch (k) {
    case 0: return proxy(L, "ringside.Registers");
    case 1: return proxy(L, "ringside.Vmcs");
    case 2: lua_pushinteger(L, (lua_Integer)sim_now(lm->m)); return 1;
    case 3: lua_pushinteger(L, (lua_Integer)sim_insns(lm->m)); return 1;
    case 4: lua_pushstring(L, sim_mode_name(lx_cpu(lm))); return 1;
    case 5: lua_pushstring(L, levels[lx_cpu(lm)->vmx % 3]); return 1;
    case 6: lua_pushinteger(L, (lua_Integer)sim_ram_size(lm->m)); return 1;
    case 7: lua_pushstring(L, sim_profile_name(lm->m)); return 1;
    case 8: lua_pushinteger(L, (lua_Integer)sim_ncpus(lm->m)); return 1;
    case 9: lua_pushinteger(L, (lua_Integer)lm->cpu); return 1;
    case 10: lua_pushstring(L, sim_fidelity_names()[sim_fidelity(lm->m)]); return 1;
    }
    const char *near = lx_nearest(key, member, NULL);
    return lx_error(L, SIM_SCRIPT, "a machine has no '%.60s'%s%s%s", key,
                    near ? "; did you mean '" : "; see ringside.help(\"Machine\")", near ? near : "", near ? "'?" : "");
}

static const char *const start_names[] = {"auto", "real", "prot32", "long64", "keep", NULL};
static const enum sim_start starts[] = {SIM_START_AUTO, SIM_START_REAL, SIM_START_PROT32, SIM_START_LONG64, SIM_START_KEEP};
static const char *const image_names[] = {"auto", "flat", "elf", "multiboot", NULL};
static const enum sim_image images[] = {SIM_IMAGE_AUTO, SIM_IMAGE_FLAT, SIM_IMAGE_ELF, SIM_IMAGE_MULTIBOOT};

static void read_load(lua_State *L, int idx, struct sim_load *how)
{
    const char *word;
    lx_opt_u64(L, idx, "at", &how->addr);
    lx_opt_u64(L, idx, "entry", &how->entry);
    if ((word = lx_opt_string(L, idx, "start")) != NULL)
        how->start = starts[lx_word(L, "start", word, start_names)];
    if ((word = lx_opt_string(L, idx, "format")) != NULL)
        how->image = images[lx_word(L, "format", word, image_names)];
    how->cmdline = lx_opt_string(L, idx, "cmdline");
}

// Why a guest cannot be loaded from there, or NULL.
static const char *unfit(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return strerror(errno);
    return S_ISDIR(st.st_mode) ? "is a folder" : S_ISREG(st.st_mode) ? NULL : "is no ordinary file";
}

static bool leads_out(const char *name)
{
    bool up = false;
    for (const char *p = name; *p && !up; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        up = n == 2 && !strncmp(p, "..", 2);
        p += n;
    }
    return up || name[0] == '/' || !name[0];
}

// Scripts reach their own folders, and files that the user named on the command line: as arguments, or as values of parameters.
static bool named_by_user(const struct lx *lx, const char *name)
{
    for (const char *const *a = lx->opt->args; a && *a; a++)
        if (!strcmp(*a, name))
            return true;
    for (unsigned k = 0; k < lx->nparam; k++)
        if (!strcmp(strchr(lx->param[k], '=') + 1, name))
            return true;
    return false;
}

static const char *in_folder(lua_State *L, const char *dir, const char *name)
{
    return !strcmp(dir, ".") ? lua_pushstring(L, name) : lua_pushfstring(L, "%s/%s", dir, name);
}

const char *lx_guest_path(lua_State *L, const char *name)
{
    const struct lx *lx = lx_of(L);
    const char *place[3];
    const bool out = leads_out(name), named = name[0] && named_by_user(lx, name);
    unsigned n = 0;
    if (out && !named)
        lx_error(L, SIM_IMAGE,
                 "guest '%.200s': guests are named relative to the folder of built guests or to the script, without '..'", name);
    if (!out) {
        place[n++] = in_folder(L, lx->opt->guests ? lx->opt->guests : lua_pushfstring(L, "%s/../../build/guests", lx->dir), name);
        place[n++] = in_folder(L, lx->dir, name);
    }
    if (named)
        place[n++] = lua_pushstring(L, name);
    for (unsigned k = 0; k < n; k++)
        if (!unfit(place[k]))
            return lua_pushstring(L, place[k]);
    lua_pushstring(L, "");
    for (unsigned k = 0, j; k < n; k++) {
        for (j = 0; strcmp(place[j], place[k]) != 0; j++)
            continue;
        if (j == k) // not tried before
            lua_pushfstring(L, "%s%s%s: %s", lua_tostring(L, -1), k ? "; " : "", place[k], unfit(place[k]));
    }
    lx_error(L, SIM_IMAGE, "guest '%.200s': %.600s%s", name, lua_tostring(L, -1),
             lx->opt->guests || named ? "" : "; --guests says where guests are, `make guests` builds those of the lessons");
    return NULL;
}

#define MAP_LINES 1000000u // what comes with an answer may be anything

// Labels of a flat image: the map file that NASM left beside it ("Real Virtual Name" lines).
static void load_map(struct sim_machine *m, const char *path)
{
    char map[4096], line[512], name[256];
    size_t n = strlen(path);
    if (n < 4 || n >= sizeof map || strcmp(path + n - 4, ".bin") != 0)
        return;
    snprintf(map, sizeof map, "%.*s.map", (int)(n - 4), path);
    FILE *f = unfit(map) ? NULL : fopen(map, "r");
    if (!f)
        return;
    uint64_t addr;
    for (unsigned k = 0; k < MAP_LINES && fgets(line, sizeof line, f); k++)
        if (lx_map_line(line, strlen(line), &addr, name))
            sim_symbol_add(m, name, addr);
    fclose(f);
}

// The start states of protected and 64-bit mode keep their tables in low memory: a program must not lie there (sim/start.c).
static void check_room(lua_State *L, enum sim_start start, uint64_t lo, uint64_t hi)
{
    uint64_t end = start == SIM_START_LONG64 ? 0x8000 : start == SIM_START_PROT32 ? 0x1030 : 0;
    if (lo < end && hi > 0x1000)
        lx_error(L, SIM_SCRIPT,
                 "a program at 0x%" PRIx64 " would overlap the tables of its start state (0x1000 to 0x%" PRIx64
                 "); load it elsewhere, such as at 0x8000, or use start = \"keep\"",
                 lo, end - 1);
}

// The paths stay on the stack while `how` is in use.
static void read_modules(lua_State *L, int idx, struct sim_load *how)
{
    const unsigned room = sizeof how->modules / sizeof *how->modules;
    if (!lua_istable(L, idx) || lua_getfield(L, idx, "modules") == LUA_TNIL)
        return;
    const int list = lua_gettop(L);
    if (!lua_istable(L, list))
        lx_error(L, SIM_SCRIPT, "load: modules is %s, not a list of names", luaL_typename(L, list));
    if (lua_rawlen(L, list) > room)
        lx_error(L, SIM_SCRIPT, "load: %u modules at most", room);
    luaL_checkstack(L, 4 * (int)room, NULL);
    for (lua_Integer k = 1; lua_rawgeti(L, list, k) != LUA_TNIL; k++) {
        if (lua_type(L, -1) != LUA_TSTRING)
            lx_error(L, SIM_SCRIPT, "load: module %d is %s, not a name", (int)k, luaL_typename(L, -1));
        how->modules[how->nmodules++].path = lx_guest_path(L, lua_tostring(L, -1));
    }
}

int lx_m_load(lua_State *L)
{
    static const char *const keys[] = {"at", "start", "entry", "format", "cmdline", "modules", NULL};
    struct lx_machine *lm = lx_check_stopped(L, 1);
    const char *name = luaL_checkstring(L, 2);
    struct sim_load how = {.addr = 0x7c00};
    struct sim_loaded got = {0};
    struct sim_error err = {0};
    lua_settop(L, 3);
    lx_opt_keys(L, 3, "load", keys);
    read_load(L, 3, &how);
    read_modules(L, 3, &how);
    const char *path = lx_guest_path(L, name);
    const bool ran = how.start != SIM_START_KEEP && before_reset(lm);
    const int r = sim_load_file(lm->m, path, &how, &got, &err);
    after_reset(lm, ran);
    if (r < 0)
        return lx_error_from(L, &err);
    if (got.image == SIM_IMAGE_FLAT) {
        check_room(L, how.start, got.lo, got.hi);
        load_map(lm->m, path);
    }
    lm->lx->last = lm;
    lm->nqueue = lm->qpos = 0;
    lua_newtable(L);
    lx_set_str(L, "format", got.image == SIM_IMAGE_ELF ? "elf" : got.image == SIM_IMAGE_MULTIBOOT ? "multiboot" : "flat");
    lx_set_u64(L, "lo", got.lo);
    lx_set_u64(L, "hi", got.hi);
    lx_set_u64(L, "entry", got.entry);
    lx_set_str(L, "path", path);
    return 1;
}

int lx_m_boot(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_error err = {0};
    const char *system = luaL_checkstring(L, 2), *append = luaL_optstring(L, 3, NULL);
    const bool ran = before_reset(lm);
    const int r = sim_boot_load(lm->m, system, append, &err);
    after_reset(lm, ran);
    if (r < 0)
        return lx_error_from(L, &err);
    lm->lx->last = lm;
    lm->nqueue = lm->qpos = 0;
    return 0;
}

int lx_m_start(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    uint64_t entry = lx_check_addr(L, lm, 2);
    enum sim_start start = starts[lx_word(L, "start", luaL_checkstring(L, 3), start_names)];
    struct sim_error err = {0};
    if (start == SIM_START_AUTO || start == SIM_START_KEEP)
        return lx_error(L, SIM_SCRIPT, "start: give \"real\", \"prot32\" or \"long64\"");
    const bool ran = before_reset(lm);
    const int r = sim_start_at(lm->m, start, entry, &err);
    after_reset(lm, ran);
    if (r < 0)
        return lx_error_from(L, &err);
    lm->nqueue = lm->qpos = 0;
    return 0;
}

// Options of assemble(): checked, with defaults filled in.
static void read_assembly(lua_State *L, int idx, struct sim_load *how, enum lx_syntax *syntax, unsigned *bits)
{
    static const char *const keys[] = {"at", "bits", "syntax", "start", "entry", NULL};
    static const char *const syntaxes[] = {"nasm", "gas", NULL};
    uint64_t n = 64;
    const char *word;
    lx_opt_keys(L, idx, "assemble", keys);
    *how = (struct sim_load){.image = SIM_IMAGE_FLAT, .addr = 0x8000};
    read_load(L, idx, how);
    lx_opt_u64(L, idx, "bits", &n);
    if (n != 16 && n != 32 && n != 64)
        lx_error(L, SIM_SCRIPT, "assemble: bits must be 16, 32 or 64");
    *bits = (unsigned)n;
    *syntax = (word = lx_opt_string(L, idx, "syntax")) != NULL ? (enum lx_syntax)lx_word(L, "syntax", word, syntaxes) : LX_NASM;
    if (how->start == SIM_START_AUTO)
        how->start = n == 16 ? SIM_START_REAL : n == 32 ? SIM_START_PROT32 : SIM_START_LONG64;
}

// Lines "name hexaddress" into the table at the top, or into a machine's symbols.
static void take_symbols(lua_State *L, const char *lines, struct sim_machine *m)
{
    char name[256];
    unsigned long long addr;
    int used;
    for (const char *s = lines; s && sscanf(s, "%255s %llx%n", name, &addr, &used) == 2; s += used) {
        if (m)
            sim_symbol_add(m, name, addr);
        else
            lx_set_u64(L, name, addr);
    }
}

// The code object as userdata, so that errors free its memory.
static int code_gc(lua_State *L)
{
    struct lx_code *code = lua_touserdata(L, 1);
    free(code->bytes);
    free(code->symbols);
    *code = (struct lx_code){0};
    return 0;
}

static struct lx_code *assemble(lua_State *L, int source, int options, struct sim_load *how)
{
    size_t len;
    const char *text = luaL_checklstring(L, source, &len);
    enum lx_syntax syntax;
    unsigned bits;
    lx_check_alive(L);
    read_assembly(L, options, how, &syntax, &bits);
    struct lx_code *code = lua_newuserdatauv(L, sizeof *code, 0);
    *code = (struct lx_code){0};
    if (luaL_newmetatable(L, "ringside.Code")) {
        lua_pushcfunction(L, code_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (lx_asm(text, len, syntax, bits, how->addr, code) < 0)
        lx_error(L, SIM_SCRIPT, "%s", code->error);
    return code;
}

int lx_s_assemble(lua_State *L)
{
    struct sim_load how;
    lua_settop(L, 2);
    struct lx_code *code = assemble(L, 1, 2, &how);
    lua_pushlstring(L, code->n ? (const char *)code->bytes : "", code->n);
    lua_newtable(L);
    take_symbols(L, code->symbols, NULL);
    return 2;
}

int lx_m_assemble(lua_State *L)
{
    struct lx_machine *lm = lx_check_stopped(L, 1);
    struct sim_load how;
    struct sim_loaded got = {0};
    struct sim_error err = {0};
    lua_settop(L, 3);
    struct lx_code *code = assemble(L, 2, 3, &how);
    check_room(L, how.start, how.addr, how.addr + code->n);
    const bool ran = how.start != SIM_START_KEEP && before_reset(lm);
    const int r = sim_load_bytes(lm->m, "assembled text", code->bytes, code->n, &how, &got, &err);
    after_reset(lm, ran);
    if (r < 0)
        return lx_error_from(L, &err);
    take_symbols(L, code->symbols, lm->m);
    lm->lx->last = lm;
    lm->nqueue = lm->qpos = 0;
    lua_newtable(L);
    lx_set_str(L, "format", "flat");
    lx_set_u64(L, "lo", how.addr);
    lx_set_u64(L, "hi", how.addr + code->n);
    lx_set_u64(L, "entry", got.entry ? got.entry : how.addr);
    return 1;
}
