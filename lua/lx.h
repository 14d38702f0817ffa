// lua/lx.h: run a Lua 5.4 scenario.
//
// A scenario builds machines, loads guests, drives them, narrates, declares marks and checks what it claims. The caller may hook what
// it does: the debugger drives the machine itself, `ringside draw` stops at a mark.
// STATUS  the documented exit statuses (enum sim_status): 0 all checks held, 1 a check failed, 3 script error, 4 image, 5 limit, 6 guest.
#ifndef LX_LX_H
#define LX_LX_H

#include <stdio.h>

#include "sim/machine.h"
#include "sim/mark.h"

struct lx_measured;
struct lx_plot;
enum lx_format { LX_TEXT, LX_TAP, LX_JSON };
struct lx_hooks {
    void *ctx;
    // Instead of sim_run(): run until the condition; set *quit to unwind the script. NULL: sim_run().
    struct sim_stop (*drive)(void *ctx, struct sim_machine *m, const struct sim_until *until, bool *quit);
    void (*narrate)(void *ctx, const char *text);                            // NULL: printed by format
    void (*check)(void *ctx, bool ok, const char *what, const char *detail); // NULL: printed by format
    int (*mark)(void *ctx, const struct sim_mark *mark);                     // nonzero: stop the script here, status 0
    // The script has ended (or failed); its machines still stand. m is the machine used last, or NULL; verdict is one line.
    void (*finish)(void *ctx, struct sim_machine *m, enum sim_status status, const char *verdict);
    // The script has made a machine (made), or it is about to go. A machine that ran and is loaded, started or reset again goes and is made.
    void (*machine)(void *ctx, struct sim_machine *m, bool made);
    // The script measured a target, or has a chart for the report (lua/target.h).
    void (*measured)(void *ctx, const struct lx_measured *m);
    void (*plot)(void *ctx, const struct lx_plot *p);
    // The script reports a result (ringside.result). NULL: printed by format.
    void (*result)(void *ctx, const char *name, const char *value);
};
struct lx_options {
    const char *file;
    enum lx_format format;
    const char *const *args; // the scenario's own arguments (global table `arg`), NULL-terminated
    const char *guests;      // folder of built guest programs; NULL: build/guests beside the scenarios
    FILE *out;               // where the narrative, TAP or JSON goes; NULL: stdout
    uint64_t max_cycles;     // overall limit, 0: 100e9
    uint64_t max_steps;      // virtual instructions of Lua, 0: 1e9
    size_t max_memory;       // bytes of Lua objects, 0: 512 MiB
    // "name=value": values of the profile to set in every machine, behind its own (sim_config.set); profile=NAME for every machine; what is
    // neither is a parameter that the scenario must ask for.
    const char *const *set;
    unsigned nset;
    const char *tlb;      // policy of every machine that says none itself; NULL: model
    unsigned stuck_exits; // sim_config.stuck_exits of every machine
    bool loop, no_mirror; // test switches for every machine that the script builds
    bool quiet;
    bool hash; // print state and event hashes of every machine at the end (check-modes)
};
// Returns the exit status. err is filled when it is not 0 (for 1: how many checks failed).
enum sim_status lx_run(const struct lx_options *opt, const struct lx_hooks *hooks, struct sim_error *err);
// Write the ---@meta annotations of the API, generated from the rows of the bindings, as Lua text (malloc'd).
char *lx_annotations(void);

#endif
