// lua/state.h: the inside of the scenario runner; included by lua/*.c only.
//
// ERRORS     functions that take a lua_State raise Lua errors by longjmp; they therefore own no memory but Lua's while they may raise.
//            Handlers of events run inside sim_run(): their errors are kept and raised again when the machine has stopped.
// LIMITS     what a scenario may use up: see LX_MAX_*. Crossing one ends the script with status 5, and no pcall() holds that back.
#ifndef LX_STATE_H
#define LX_STATE_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/lx.h"
#include "lua/report.h"
#include "sim/inspect.h"

#define LX_MAX_MEMORY   (512u << 20)    // bytes of Lua objects
#define LX_MAX_STEPS    1000000000ull   // virtual instructions of Lua itself
#define LX_MAX_CYCLES   100000000000ull // guest cycles of all machines together
#define LX_MAX_MACHINES 64              // alive at a time
#define LX_MAX_SET      64              // assignments on the command line
#define LX_MAX_RESULTS  4096
#define LX_HOOK_PERIOD  1000

struct lx_machine;

struct lx {
    const struct lx_options *opt;
    struct lx_hooks hooks;
    char *dir; // folder of the script, "." if none was given
    struct lx_report rep;
    size_t mem_used, max_memory;
    uint64_t steps, max_steps, cycles_used, max_cycles;
    // The script is ending and nothing may catch it: a limit was crossed, the user quit, the caller has its mark.
    bool fatal;
    enum sim_status fatal_status;
    char fatal_text[900];
    // Machines that are alive, in order of creation, and the one that ran last.
    struct lx_machine *machines, *last;
    unsigned nmachines, nalive;
    // What the command line sets: values of profiles, the profile, and the scenario's own parameters (param.c).
    const char *set[LX_MAX_SET], *profile, *param[LX_MAX_SET];
    unsigned nset, nparam, nread, nresults;
    uint64_t param_read;       // bit k: the scenario has read param[k]
    char read[LX_MAX_SET][40]; // names of the parameters that it read
    lua_State *running;        // the thread whose call drives a machine, for event handlers
};

// A machine as Lua sees it: userdata "ringside.Machine". Its user value is a table that keeps its proxies and handles alive.
struct lx_machine {
    struct lx *lx;
    struct sim_machine *m; // NULL once closed
    unsigned n;            // its number, from 1
    unsigned cpu;          // the processor that scripts look at (Machine:select)
    bool running;          // inside sim_run(): handlers look, they neither drive nor change it
    bool handler_failed;   // a handler raised an error: the value is in the registry under this lx_machine's address
    enum { LX_NOTHING, LX_QUIT, LX_OUT_OF_CYCLES, LX_HANDLER_FAILED } pending; // what the last drive wants raised
    uint64_t input;                                                            // bytes that scripts have typed
    struct lx_machine *next;
    // references that step_ref() has not handed out yet
    struct ev *queue;
    unsigned nqueue, qpos, qcap;
};

static inline struct lx *lx_of(lua_State *L) { return *(struct lx **)lua_getextraspace(L); }

// --- state.c: errors, arguments, objects
// Raise a Lua error that carries an exit status: a table {message=, status=} that prints as its message.
int lx_error(lua_State *L, enum sim_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// The same from a struct sim_error.
int lx_error_from(lua_State *L, const struct sim_error *err);
// End the script whatever it does: no pcall() catches this for long.
int lx_fatal(lua_State *L, enum sim_status status, const char *text);
int lx_fatal_in_hook(lua_State *L, enum sim_status status, const char *text); // the line is that of the function interrupted
// Raise again if the script is ending. Called by everything that has an effect outside Lua.
void lx_check_alive(lua_State *L);
// Name from `names` (or from a function that enumerates them) that is nearest to s, or NULL if none is near.
typedef const char *lx_names_fn(const void *ctx, unsigned n);
const char *lx_nearest(const char *s, lx_names_fn *names, const void *ctx);
const char *lx_list_name(const void *list, unsigned n); // lx_names_fn over a NULL-terminated array
// Options: a table at idx (or none). Unknown keys raise an error that names the nearest.
void lx_opt_keys(lua_State *L, int idx, const char *what, const char *const *keys);
bool lx_opt_u64(lua_State *L, int idx, const char *key, uint64_t *val);   // false if absent
bool lx_opt_count(lua_State *L, int idx, const char *key, uint64_t *val); // the same, 1 or more
const char *lx_opt_string(lua_State *L, int idx, const char *key);        // NULL if absent; stays on the stack's table
bool lx_opt_bool(lua_State *L, int idx, const char *key, bool dflt);
// One of a NULL-terminated list of words, as its index; raises an error that names the nearest.
unsigned lx_word(lua_State *L, const char *what, const char *word, const char *const *list);
uint64_t lx_check_u64(lua_State *L, int idx);
void lx_set_u64(lua_State *L, const char *key, uint64_t val); // in the table at the top
void lx_set_str(lua_State *L, const char *key, const char *val);
void lx_set_bool(lua_State *L, const char *key, bool val);
// Userdata by C address, without keeping it alive.
void lx_remember(lua_State *L, const void *object); // the userdata at the top
bool lx_push_object(lua_State *L, const void *object);
// Text of any value as scenarios see it: like tostring(), but without addresses. Pushes it.
const char *lx_tostring(lua_State *L, int idx, size_t *len);

// --- machine.c
struct lx_machine *lx_check_machine(lua_State *L, int idx); // alive
struct lx_machine *lx_check_stopped(lua_State *L, int idx); // alive, and not inside one of its own event handlers
struct isa_cpu *lx_cpu(struct lx_machine *lm);
uint64_t lx_linear_rip(struct lx_machine *lm);
uint64_t lx_check_addr(lua_State *L, struct lx_machine *lm, int idx); // a number, or the name of a symbol
void lx_machine_record(struct lx_machine *lm);                        // put its counters into the report
void lx_machines_destroy(struct lx *lx);
int lx_machine_index(lua_State *L);
int lx_machine_tostring(lua_State *L);
int lx_machine_gc(lua_State *L);
// The guest program `name`, sought in the folder of guests and beside the script; pushes the path or raises an error.
const char *lx_guest_path(lua_State *L, const char *name);

// --- run.c
// Drive the machine. False if something must be raised: clean up, then call lx_drive_raise(), which does not return.
bool lx_drive_try(lua_State *L, struct lx_machine *lm, struct sim_until *until, struct sim_stop *stop);
void lx_drive_raise(lua_State *L, struct lx_machine *lm);
// Tell the machine's observers of a mark; raises what a handler of it raised.
void lx_emit_mark(lua_State *L, struct lx_machine *lm, const char *name);
void lx_push_stop(lua_State *L, struct lx_machine *lm, const struct sim_stop *stop);
int lx_stop_tostring(lua_State *L);

// --- events.c
uint64_t lx_event_mask(lua_State *L, int idx); // a kind or a list of kinds
void lx_push_event(lua_State *L, struct lx_machine *lm, const struct ev *e);
void lx_push_tlb_entry(lua_State *L, const struct tlb_entry *e);
// Make the event's table and call the function at stack index fn with it (0: none); put the table at stack index `keep` (0: nowhere).
// Never raises: an error is kept for lx_drive_raise() and stops the machine. Returns whether the function gave a true value.
bool lx_call_handler(lua_State *L, struct lx_machine *lm, const struct ev *e, int fn, int keep);

// --- param.c
int lx_split_sets(struct lx *lx, struct sim_error *err);            // -1: an assignment that cannot be right
int lx_params_all_read(const struct lx *lx, struct sim_error *err); // -1: one that the scenario never asked for

// --- inspect.c, vmx.c
int lx_registers_index(lua_State *L);
int lx_registers_newindex(lua_State *L);
int lx_vmcs_index(lua_State *L);
int lx_vmcs_newindex(lua_State *L);
void lx_push_entry_report(lua_State *L, const struct vmx_entry_report *r);

// --- scenario.c
int lx_told(lua_State *L); // to be called after the report has grown; ends a script that tells too much

// --- asm.c
struct lx_code {
    uint8_t *bytes; // malloc'd
    uint64_t n;
    char *symbols; // lines "name hexaddress", malloc'd
    char error[960];
};
enum lx_syntax { LX_NASM, LX_GAS };
// One line of a map that NASM wrote: "real virtual name". False for its other lines.
bool lx_map_line(const char *line, size_t n, uint64_t *addr, char name[256]);
// Assemble text to flat bytes at an address. 0, or -1 with code->error. The caller frees bytes and symbols.
int lx_asm(const char *text, size_t len, enum lx_syntax syntax, unsigned bits, uint64_t at, struct lx_code *code);

// --- pattern.c
void lx_set_patterns(lua_State *L); // find, match, gmatch and gsub, that count their steps, into the table at the top

// --- sandbox.c
// The limit of steps was crossed: end the script by lx_fatal() or lx_fatal_in_hook().
int lx_out_of_steps(lua_State *L, int (*end)(lua_State *L, enum sim_status status, const char *text));
lua_State *lx_new_state(struct lx *lx);
void lx_open_sandbox(lua_State *L);

// --- api.c: the rows of lua/api.def
struct lx_row {
    const char *klass, *name; // name NULL: the row describes the class
    lua_CFunction fn;         // NULL: a field
    const char *params;       // functions: "a: type, b?: type"; fields: the type
    const char *result;
    const char *text;
};
extern const struct lx_row lx_rows[];
extern const unsigned lx_nrows;
void lx_open_api(lua_State *L);

#endif
