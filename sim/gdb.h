// sim/gdb.h: GDB attached to a machine: a server of the GDB remote serial protocol.
//
// MODELS     nothing: GDB sees processors as threads, and memory by linear address. One 64-bit target description serves all
//            processor modes, so that nothing changes under GDB's feet when a guest switches. docs/gdb.md tells what users see.
// GUEST      is never altered behind its back: breakpoints are addresses that the engine stops at, watchpoints observe accesses,
//            reads have no side effects. Only GDB's own writes to registers and memory change anything.
// ROBUST     whoever is at the other end may send anything: packets that are broken, too long or unknown are answered by the
//            protocol's error replies and change nothing.
#ifndef SIM_GDB_H
#define SIM_GDB_H

#include "sim/machine.h"

// The stream to GDB.
struct gdb_io {
    void *ctx;
    // Read up to n bytes, waiting up to ms milliseconds for the first (-1: without end). 0: none came; -1: the other side is gone.
    long (*read)(void *ctx, void *buf, unsigned n, int ms);
    // Write all n bytes. false: the other side is gone.
    bool (*write)(void *ctx, const void *buf, unsigned n);
};

struct gdb;
// idle (may be NULL) is called about twenty times a second while the guest stands; nonzero ends the session. NULL: out of memory.
struct gdb *gdb_create(const struct gdb_io *io, int (*idle)(void *ctx), void *idle_ctx);
void gdb_destroy(struct gdb *g);

// sim_run() under GDB's control: returns when the condition came true or the machine stopped by itself, and GDB has let it go on.
// The first call waits for GDB before the first instruction. *quit: GDB ended the run or went away; the stop says so.
struct sim_stop gdb_drive(struct gdb *g, struct sim_machine *m, const struct sim_until *until, bool *quit);
// The run is over: tell GDB the exit status.
void gdb_finish(struct gdb *g, unsigned status);
// What GDB should be told of a machine that ended its run by itself: the guest's exit code, else 0.
unsigned gdb_exit_code(const struct sim_stop *s);

// --- the network (sim/gdb_net.c)
struct gdb_net;
// Listen at "[HOST]:PORT" (no HOST: this computer only; IPv6 addresses in brackets), tell on standard error how to attach, wait for
// GDB and accept it. NULL with *err.
struct gdb_net *gdb_net_open(const char *where, struct sim_error *err);
void gdb_net_close(struct gdb_net *n); // NULL is allowed
struct gdb_io gdb_net_io(struct gdb_net *n);
// The same over a connected socket that the caller has; it stays the caller's.
struct gdb_io gdb_socket_io(int *fd);

#endif
