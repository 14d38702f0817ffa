// sim/gdb_internal.h: what the files of the GDB server share: gdb.c (packets, commands), gdb_run.c (running under control), gdb_regs.c
// (registers and their description), gdb_monitor.c (the monitor commands).
#ifndef SIM_GDB_INTERNAL_H
#define SIM_GDB_INTERNAL_H

#include "sim/gdb.h"
#include "sim/inspect.h"

#define GDB_PACKET      0x4000u // longest packet either way, without $ and #xx
#define GDB_BREAKS      256u
#define GDB_WATCHES     32u
#define GDB_EXITS       16u // VM exits remembered
#define GDB_SIG_INT     2u  // GDB's own signal numbers
#define GDB_SIG_TRAP    5u
#define GDB_SIG_SEGV    11u
#define GDB_SIG_STOP    17u
#define GDB_NEXITREASON 80u

// Text that is being made; cut silently at its end.
struct gdb_text {
    char *p;
    unsigned n, size;
};
void gdb_textf(struct gdb_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct gdb_watch {
    uint64_t addr, len;
    uint8_t type; // 2 write, 3 read, 4 both: the numbers of the Z packets
};
struct gdb_exit {
    uint64_t cycle, rip, qual;
    uint16_t reason;
    uint8_t cpu;
};

enum gdb_go { GDB_STOPPED, GDB_CONTINUE, GDB_STEP, GDB_DETACHED, GDB_ENDED };

struct gdb {
    struct gdb_io io;
    int (*idle)(void *ctx);
    void *idle_ctx;
    struct sim_machine *m; // while gdb_drive() runs
    unsigned cpu;          // the processor that register and memory packets mean
    enum gdb_go go;
    bool no_ack, swbreak, hwbreak;
    bool greeted;    // a packet came: there is a GDB
    bool finished;   // W was sent
    const char *end; // why the session ended
    // packets
    char in[GDB_PACKET + 1];
    unsigned in_n;
    enum { GDB_IDLE, GDB_BODY, GDB_SUM1, GDB_SUM2 } state;
    bool too_long, escaped, interrupt;
    uint8_t sum, want;
    char out[2 * GDB_PACKET + 8]; // the last reply as sent, for a repetition
    unsigned out_n;
    char text[GDB_PACKET + 1];    // the reply being made
    char console[4 * GDB_PACKET]; // of a monitor command
    // breakpoints and watchpoints. A break of GDB is of the software kind, the hardware kind, or both at once.
    uint64_t brk[GDB_BREAKS];
    uint8_t brk_kinds[GDB_BREAKS]; // bit 0: Z0, bit 1: Z1
    unsigned nbrk;
    struct gdb_watch watch[GDB_WATCHES];
    unsigned nwatch;
    // the run under way
    uint64_t resume_la, resume_insns;
    bool hit; // a watchpoint was hit
    struct gdb_watch hit_watch;
    uint64_t hit_addr;
    unsigned hit_cpu;
    uint64_t seen; // kinds of events since the run began
    char stop_reply[256];
    // VM exits, for people
    struct gdb_exit exits[GDB_EXITS];
    uint64_t nexits, exit_count[GDB_NEXITREASON];
};

// --- gdb.c
void gdb_send(struct gdb *g, const char *body, unsigned n);
void gdb_say(struct gdb *g, const char *text); // on GDB's console, while the guest runs
// Handle what came, waiting up to ms milliseconds (-1: until something comes). false: the other side is gone.
bool gdb_listen(struct gdb *g, int ms);
// Parse hexadecimal digits at *p; false if there are none or too many.
bool gdb_hex(const char **p, uint64_t *v);
void gdb_put_hex(struct gdb_text *t, const void *bytes, unsigned n);
unsigned gdb_get_hex(const char *hex, void *bytes, unsigned max); // whole bytes read

// --- gdb_regs.c
unsigned gdb_nregs(const struct gdb *g); // those of MPX, the last ones, only where the profile has it
unsigned gdb_reg_bytes(unsigned n);
void gdb_reg_read(struct gdb *g, unsigned n, uint8_t *bytes);
bool gdb_reg_write(struct gdb *g, unsigned n, const uint8_t *bytes); // false: read-only
uint64_t gdb_pc(struct gdb *g, unsigned cpu);                        // linear
void gdb_set_pc(struct gdb *g, unsigned cpu, uint64_t la);
void gdb_target_xml(const struct gdb *g, struct gdb_text *t);
void gdb_system_registers(struct gdb *g, struct gdb_text *t); // for people

// --- gdb_monitor.c
void gdb_monitor(struct gdb *g, const char *command, struct gdb_text *t);

#endif
