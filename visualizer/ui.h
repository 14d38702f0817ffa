// visualizer/ui.h: the inside of the debugger; included by visualizer/*.c only.
//
// PARTS   vz.c      life, what the script says, the loop of a drive      run.c    the step ladder on top of sim_run()
//         frame.c   status line, tabs, panes, footer                     view_*.c one view each, drawing into a window
//         keys.c    what keys do (keys.def)                              cmd.c    the command line (commands.def), edit.c its editor
//         why.c     explanations          help.c  help                   term.c   the only file that knows ncurses
//         past.c    going back
// STATE   all of it in struct vz. Views read machines through sim/inspect.h and keep nothing but their cursor.
#ifndef VZ_UI_H
#define VZ_UI_H

#include "visualizer/grid.h"
#include "visualizer/model.h"
#include "visualizer/vz.h"

// --- keys: a code point, or one of these
enum {
    VZ_KEY_NONE = -1, // nothing pressed (poll), or the wait was cut short by a resize
    VZ_KEY_HANGUP = -2,
    VZ_KEY_UP = 0x110000,
    VZ_KEY_DOWN,
    VZ_KEY_LEFT,
    VZ_KEY_RIGHT,
    VZ_KEY_PGUP,
    VZ_KEY_PGDN,
    VZ_KEY_HOME,
    VZ_KEY_END,
    VZ_KEY_BACKTAB,
    VZ_KEY_DELETE,
    VZ_KEY_BACKSPACE,
    VZ_KEY_F1,
    VZ_KEY_MOUSE, // io.mouse_col, io.mouse_row say where
};
#define VZ_KEY_ESC    27
#define VZ_KEY_CTRL_C 3

// --- the terminal, or in tests a queue of keys and a grid
struct vz_io {
    void *ctx;
    bool ascii;
    int (*key)(void *ctx, bool wait);
    void (*paint)(void *ctx, const struct vz_grid *g, int row, int col); // cursor at row, col; hidden if row < 0
    void (*size)(void *ctx, int *w, int *h);
    bool (*tick)(void *ctx); // true about ten times a second: time to show progress
    void (*theme)(void *ctx, unsigned n);
    void (*mouse)(void *ctx, int *row, int *col);
    void (*again)(void *ctx, unsigned theme); // another process had the screen meanwhile; NULL: nothing to do
    void (*close)(void *ctx);
};
bool vz_term_open(struct vz_io *io, const struct vz_options *opt, unsigned theme, struct sim_error *err); // term.c

// --- themes (themes.def)
enum { VZ_BOLD = 1, VZ_UNDERLINE = 2, VZ_REVERSE = 4, VZ_DIM = 8 };
struct vz_look {
    int8_t fg, bg; // 0..7, -1: the terminal's own
    uint8_t flags;
};
unsigned vz_theme_count(void);
const char *vz_theme_name(unsigned n);
const char *vz_theme_text(unsigned n);
int vz_theme_by_name(const char *name);
struct vz_look vz_theme_look(unsigned theme, enum vz_attr a);
extern const unsigned vz_theme_mono;

// --- views
enum vz_view_id {
#define VIEW(id, ...) VZ_V_##id,
#include "visualizer/views.def"
#undef VIEW
    VZ_NVIEW
};
struct vz_pane {
    int top, cursor, nrows, height; // nrows and height as of the last drawing
    int sel, nsel;                  // left and right choose; the view says among how many
    char title[96];                 // set while drawing; the view's own title if empty
    bool follow_end;                // logs: stay at the newest line until the user moves
};
struct vz;
struct vz_view {
    const char *name, *tab, *title, *text;
    int key;     // chooses it; 0: none
    bool tabbed; // has a place in the row of tabs
    bool needs_machine;
    void (*draw)(struct vz *v, const struct vz_win *w, struct vz_pane *p);
};
extern const struct vz_view vz_views[VZ_NVIEW];
#define VIEW(id, ...) void vz_view_##id(struct vz *v, const struct vz_win *w, struct vz_pane *p);
#include "visualizer/views.def"
#undef VIEW
// Tell the pane how many rows there are; clamps cursor and top. Returns the first visible row.
int vz_rows(struct vz_pane *p, const struct vz_win *w, int nrows);

// --- when: a place in what happens, between two steps
struct vz_when {
    unsigned drive; // from 1
    bool done;      // behind its last step, at a stop that the user sees before the scenario does
    uint64_t time;  // steps of the drive: instructions, and exceptions and VM exits, which are steps of their own
};
static inline bool vz_when_before(struct vz_when a, struct vz_when b)
{
    return a.drive != b.drive ? a.drive < b.drive : a.time != b.time ? a.time < b.time : a.done < b.done;
}

// --- logs
struct vz_logent {
    struct ev e;
    struct vz_when when;  // behind the step of the event
    struct tlb_entry tlb; // what e pointed to
    char name[40];        // a mark's; of a refused entry, which checks
};
#define VZ_LOG_SIZE 512
struct vz_log {
    struct vz_logent ent[VZ_LOG_SIZE];
    uint64_t n; // ever; the last VZ_LOG_SIZE are kept
};
static inline unsigned vz_log_count(const struct vz_log *l) { return l->n < VZ_LOG_SIZE ? (unsigned)l->n : VZ_LOG_SIZE; }
static inline const struct vz_logent *vz_log_at(const struct vz_log *l, unsigned i) // 0: oldest kept
{
    return &l->ent[(l->n - vz_log_count(l) + i) % VZ_LOG_SIZE];
}

enum vz_saying { VZ_SAY_TEXT, VZ_SAY_OK, VZ_SAY_FAIL, VZ_SAY_MARK, VZ_SAY_VERDICT };
struct vz_story {
    struct {
        enum vz_saying kind;
        char *text;
    } * line;
    unsigned n, cap;
};
void vz_say(struct vz *v, enum vz_saying kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// --- what the user wants to happen
enum vz_goal {
    VZ_GOAL_NONE,
    VZ_GOAL_STEP,     // goal_n instructions
    VZ_GOAL_REF,      // one instruction, then play its references
    VZ_GOAL_RIP,      // to goal_rip (over, cursor)
    VZ_GOAL_CYCLE,    // to goal_n
    VZ_GOAL_EXIT,     // next VM exit or entry
    VZ_GOAL_EVENT,    // next notable event
    VZ_GOAL_CONTINUE, // to a breakpoint, or to what the script says next
    VZ_GOAL_FINISH,   // to a breakpoint or the end of the script
    VZ_GOAL_WHEN,     // to goal_when, past everything: the way back
};

// References of one instruction, played one at a time while the registers show what was before it.
struct vz_play {
    bool on;
    struct vz_logent *ent;
    unsigned n, cap, pos; // ent[0..pos) have been played
    struct isa_cpu cpu;   // before the instruction
    uint64_t eptp;
    uint16_t vpid, pcid;
    char insn[64];
};

enum vz_mode { VZ_MODE_NORMAL, VZ_MODE_COMMAND, VZ_MODE_FILTER, VZ_MODE_CONFIRM };

#define VZ_EDIT_SIZE 160
#define VZ_HISTORY   32
struct vz_edit {
    char text[VZ_EDIT_SIZE];
    unsigned len, pos;
    char history[VZ_HISTORY][VZ_EDIT_SIZE];
    unsigned nhistory, browse;
    char kept[VZ_EDIT_SIZE]; // what was typed before browsing
    char list[VZ_EDIT_SIZE]; // candidates of the last completion
};

#define VZ_MAX_BREAK 32
struct vz {
    struct vz_io io;
    struct vz_options opt;
    struct vz_grid grid;
    unsigned theme;
    bool att; // AT&T syntax

    // the drive under way; m is NULL outside
    struct sim_machine *m;
    const void *last_m; // of the last drive; only to be compared
    unsigned cpu;
    struct sim_until until;
    uint64_t start_cycle, start_insn, ran; // at the start of the drive; instructions asked of sim_run so far
    int sub;                               // event subscription
    uint64_t seen;                         // event kinds since the last sim_run began
    uint64_t seen_here;                    // those of the processor that is shown
    bool done, quit, finished;
    struct sim_stop stop;
    enum vz_goal goal;
    uint64_t goal_n, goal_rip;
    struct vz_when goal_when, came_from; // where the last command began
    // going back (past.c)
    struct vz_past *past; // NULL: no way back
    unsigned drive;       // number of this drive, or of the last one
    uint64_t bumps;       // exceptions and VM exits of the drive
    struct vz_when ended; // the end of the drive before
    bool again;           // back from a future: the goal is another one
    bool kept, poked;     // there is a past; the user has changed the machine since
    double worked;        // seconds of processor time up to the latest past
    unsigned story_seen;  // lines when the user last had control
    bool no_progress;
    uint64_t repeat;
    struct ev repeat_ev;

    struct vz_log log, paging, exits;
    uint64_t exit_count[128];
    struct vz_story story;
    struct vz_play play;
    // the last fault, exit and entry failure, for "why"
    struct vz_logent last;
    bool has_last;
    struct isa_cpu shut;   // the processor that shut down last, with the chain of its faults
    struct vz_logent best; // of the events since the last command, the one that says most
    unsigned best_rank;
    struct vmx_entry_report report;
    bool has_report;

    // what is shown
    enum vz_view_id view, back;
    struct vz_pane pane[VZ_NVIEW];
    enum vz_mode mode;
    struct vz_edit edit;
    char filter[VZ_EDIT_SIZE];
    char message[320];
    enum vz_attr message_attr;
    struct isa_cpu before; // at the last stop, to mark what changed
    bool has_before;
    uint64_t code_top; // linear address of the first line of code
    bool code_free;    // the user moved it: do not follow RIP until the next stop
    uint64_t code_line[64];
    uint64_t stopped_at[64]; // where instructions are known to begin; the oldest are forgotten
    unsigned nstopped;
    unsigned ncode;
    uint64_t mem_addr;
    uint8_t mem_old[1024]; // bytes shown at the last stop, to mark what changed
    unsigned mem_old_n;
    uint64_t mem_old_addr;
    int mem_old_sel;
    bool walk_chosen;
    uint64_t walk_la;
    unsigned walk_acc;
    uint64_t brk[VZ_MAX_BREAK];
    unsigned nbrk;
    bool edited; // the user changed the machine or set breakpoints: ask before quitting
};

// --- pieces
static inline const struct isa_cpu *vz_cpu(struct vz *v) { return v->play.on ? &v->play.cpu : sim_cpu(v->m, v->cpu); }
static inline struct vz_when vz_now(const struct vz *v) { return (struct vz_when){v->drive, v->done, v->ran + v->bumps}; }
static inline uint64_t vz_rip_la(struct vz *v) { return vz_code_la(vz_cpu(v), vz_cpu(v)->rip); }
struct vz *vz_new(const struct vz_options *opt, unsigned theme); // without a terminal; the caller fills v->io
void vz_message(struct vz *v, enum vz_attr a, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vz_paint(struct vz *v);      // draw everything and show it
void vz_draw_frame(struct vz *v); // into v->grid
void vz_show(struct vz *v, enum vz_view_id id);
// run.c
void vz_log_text(struct vz *v, const struct vz_logent *l, char *buf, size_t n); // the machine may be gone
void vz_run_begin(struct vz *v, struct sim_machine *m, const struct sim_until *until);
void vz_run_end(struct vz *v);
void vz_advance(struct vz *v); // towards the goal, until it is reached, the drive is done or a key is pressed
void vz_set_goal(struct vz *v, enum vz_goal g, uint64_t n);
void vz_step_over(struct vz *v);
void vz_play_next(struct vz *v);
void vz_play_end(struct vz *v);
bool vz_at_break(const struct vz *v, uint64_t la);
// past.c: all do nothing but say so where v->past is NULL
void vz_past_open(struct vz *v, double apart); // seconds of work between two pasts, at least
void vz_past_close(struct vz *v);
// Call before running on: makes the present a past if one is due, and goes on in a child. True: back from a future, with another goal.
bool vz_past_keep(struct vz *v);
void vz_past_go(struct vz *v, struct vz_when want); // returns if nothing lies behind, and says so
void vz_past_arrived(struct vz *v);                 // VZ_GOAL_WHEN is reached; may go again
// keys.c
void vz_key(struct vz *v, int key);
struct vz_keyrow {
    const char *keys; // as shown: "s", "Tab"
    const char *label, *text;
    bool footer;
    bool (*valid)(struct vz *v);
};
const struct vz_keyrow *vz_keyrow(unsigned n);             // NULL at the end
int vz_footer_column(struct vz *v, unsigned n, int width); // -1: not in the footer now
// cmd.c
void vz_command(struct vz *v, const char *line);
unsigned vz_complete(struct vz *v, const char *line, char *out, unsigned size, char *list, unsigned list_size); // candidates
struct vz_cmdrow {
    const char *name, *args, *text;
};
const struct vz_cmdrow *vz_cmdrow(unsigned n);
bool vz_parse_addr(struct vz *v, const char *s, uint64_t *addr);
// edit.c
void vz_edit_begin(struct vz_edit *e);
enum { VZ_EDIT_GO_ON, VZ_EDIT_DONE, VZ_EDIT_CANCEL };
int vz_edit_key(struct vz *v, struct vz_edit *e, int key);
// why.c: the explanation, as text; malloc'd
char *vz_why_text(struct vz *v);
// view_walk.c: recorded references as a walk
bool vz_play_walk(struct vz *v, struct sim_walk *w, unsigned *reached);
// view_code.c
void vz_code_strip(struct vz *v, const struct vz_win *w);
bool vz_code_key(struct vz *v, int key);
void vz_code_stopped(struct vz *v); // the processor stands at the start of an instruction
// view_mem.c: keep the bytes now shown, to mark what will have changed
void vz_mem_keep(struct vz *v);
// view_regs.c
void vz_regs_column(struct vz *v, const struct vz_win *w);

#endif
