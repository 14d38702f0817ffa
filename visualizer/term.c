// visualizer/term.c: the terminal; the only file that knows ncurses.
//
// RESTORING  The terminal comes back on every way out. Normally through vz_close(), which atexit() also calls. On a signal
//            (INT, TERM, HUP, QUIT; SEGV, BUS, FPE, ILL, ABRT) ncurses must not be called: the handler writes strings that were prepared when the
//            terminal was taken, sets the saved modes with tcsetattr(), which is async-signal-safe, and lets the signal take its course.
//            So that it works on a broken stack too, it runs on its own.
// GLOBAL     What a signal handler needs must be static: there is one controlling terminal per process.
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#undef key_end
#undef key_home
#undef tab
#undef columns
#undef lines

#include "visualizer/ui.h"

struct vz_term {
    SCREEN *screen;
    unsigned theme;
    bool colour, mono;
    struct timespec last;
    int mouse_row, mouse_col;
};

// --- the way out by signal

static struct {
    volatile sig_atomic_t taken;
    struct termios saved;
    bool has_saved;
    char restore[256];
    unsigned restore_len;
    char stack[32768];
    struct vz_io *open;
} terminal;
static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { NFATAL = sizeof fatal / sizeof *fatal };
static struct sigaction before[NFATAL];

static void give_back_raw(void)
{
    if (!terminal.taken)
        return;
    terminal.taken = 0;
    const char *p = terminal.restore;
    for (unsigned n = terminal.restore_len; n;) {
        ssize_t k = write(STDOUT_FILENO, p, n);
        if (k <= 0)
            break;
        p += k;
        n -= (unsigned)k;
    }
    if (terminal.has_saved)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
}

static void on_fatal(int sig)
{
    give_back_raw();
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigaction(sig, &dfl, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
}

static void prepare(const char *cap)
{
    const char *s = tigetstr(cap);
    if (!s || s == (const char *)-1)
        return;
    for (; *s && terminal.restore_len + 1 < sizeof terminal.restore; s++) {
        if (*s == '$' && s[1] == '<') { // padding is for slow terminals
            s = strchr(s, '>');
            if (!s)
                break;
            continue;
        }
        terminal.restore[terminal.restore_len++] = *s;
    }
}

static void catch_signals(void)
{
    stack_t alt = {.ss_sp = terminal.stack, .ss_size = sizeof terminal.stack};
    struct sigaction sa = {.sa_handler = on_fatal, .sa_flags = SA_ONSTACK};
    sigemptyset(&sa.sa_mask);
    sigaltstack(&alt, NULL);
    for (unsigned i = 0; i < NFATAL; i++)
        sigaction(fatal[i], &sa, &before[i]);
}

// --- painting

static attr_t look_attr(const struct vz_term *t, enum vz_attr a)
{
    struct vz_look k = vz_theme_look(t->theme, a);
    attr_t x = A_NORMAL;
    if (k.flags & VZ_BOLD)
        x |= A_BOLD;
    if (k.flags & VZ_UNDERLINE)
        x |= A_UNDERLINE;
    if (k.flags & VZ_REVERSE)
        x |= A_REVERSE;
    if (k.flags & VZ_DIM)
        x |= A_DIM;
    if (t->mono || !t->colour) { // a background that is not there must not leave its text plain
        if (k.bg >= 0 && k.fg >= 0 && k.bg > 0)
            x |= A_REVERSE;
        return x;
    }
    return x | (attr_t)COLOR_PAIR(a + 1);
}

static void set_pairs(struct vz_term *t)
{
    if (!t->colour)
        return;
    for (unsigned a = 0; a < VZ_NATTR; a++) {
        struct vz_look k = vz_theme_look(t->theme, (enum vz_attr)a);
        init_pair((short)(a + 1), k.fg, k.bg);
    }
}

static void paint(void *ctx, const struct vz_grid *g, int row, int col)
{
    struct vz_term *t = ctx;
    erase();
    for (int r = 0; r < g->h && r < LINES; r++)
        for (int c = 0; c < g->w && c < COLS; c++) {
            const struct vz_cell *x = &g->cell[r * g->w + c];
            wchar_t s[2] = {(wchar_t)x->cp, 0};
            cchar_t cc;
            if (!x->cp)
                continue;
            attr_t a = look_attr(t, (enum vz_attr)x->attr);
            if (x->selected)
                a ^= A_REVERSE;
            if (g->ascii)
                mvaddch(r, c, (chtype)x->cp | a);
            else {
                setcchar(&cc, s, a & ~(attr_t)A_COLOR, (short)PAIR_NUMBER(a), NULL);
                mvadd_wch(r, c, &cc);
            }
        }
    curs_set(row >= 0);
    if (row >= 0)
        move(row, col);
    refresh();
}

static void size(void *ctx, int *w, int *h)
{
    *w = COLS;
    *h = LINES;
}

// --- keys

static int translate(struct vz_term *t, int k)
{
    MEVENT e;
    switch (k) {
    case KEY_UP: return VZ_KEY_UP;
    case KEY_DOWN: return VZ_KEY_DOWN;
    case KEY_LEFT: return VZ_KEY_LEFT;
    case KEY_RIGHT: return VZ_KEY_RIGHT;
    case KEY_PPAGE: return VZ_KEY_PGUP;
    case KEY_NPAGE: return VZ_KEY_PGDN;
    case KEY_HOME: return VZ_KEY_HOME;
    case KEY_END: return VZ_KEY_END;
    case KEY_BTAB: return VZ_KEY_BACKTAB;
    case KEY_DC: return VZ_KEY_DELETE;
    case KEY_BACKSPACE: return VZ_KEY_BACKSPACE;
    case KEY_ENTER: return '\n';
    case KEY_F(1): return VZ_KEY_F1;
    case KEY_MOUSE:
        if (getmouse(&e) != OK || !(e.bstate & (BUTTON1_CLICKED | BUTTON1_PRESSED)))
            return VZ_KEY_NONE;
        t->mouse_row = e.y;
        t->mouse_col = e.x;
        return VZ_KEY_MOUSE;
    default: return k >= KEY_MIN ? VZ_KEY_NONE : k; // KEY_RESIZE and the like: the caller paints again
    }
}

static int key(void *ctx, bool wait)
{
    struct vz_term *t = ctx;
    timeout(wait ? 1000 : 0);
    for (;;) {
        errno = 0;
        int k = getch();
        if (k == 26) { // Ctrl-Z: raw mode takes the signal away from the terminal driver
            endwin();
            terminal.taken = 0;
            raise(SIGSTOP);
            terminal.taken = 1;
            refresh();
            return VZ_KEY_NONE;
        }
        if (k != ERR)
            return translate(t, k);
        if (!wait)
            return VZ_KEY_NONE;
        // A terminal that is gone reads as end of file at once, for ever.
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        if (errno != EINTR && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)))
            return VZ_KEY_HANGUP;
    }
}

static bool tick(void *ctx)
{
    struct vz_term *t = ctx;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (int64_t)(now.tv_sec - t->last.tv_sec) * 1000 + (now.tv_nsec - t->last.tv_nsec) / 1000000;
    if (ms < 120)
        return false;
    t->last = now;
    return true;
}

static void theme(void *ctx, unsigned n)
{
    struct vz_term *t = ctx;
    t->theme = n;
    set_pairs(t);
    bkgd(' ' | look_attr(t, VZ_A_NORMAL));
    clearok(stdscr, TRUE);
}

static void mouse(void *ctx, int *row, int *col)
{
    struct vz_term *t = ctx;
    *row = t->mouse_row;
    *col = t->mouse_col;
}

static void again(void *ctx, unsigned n)
{
    struct winsize s;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &s) == 0 && s.ws_row && s.ws_col && (s.ws_row != LINES || s.ws_col != COLS))
        resizeterm(s.ws_row, s.ws_col);
    theme(ctx, n);
    clearok(curscr, TRUE);
}

// --- taking and giving back

static void close_term(void *ctx)
{
    struct vz_term *t = ctx;
    if (!t)
        return;
    if (terminal.taken) {
        terminal.taken = 0;
        endwin();
    }
    for (unsigned i = 0; i < NFATAL; i++)
        sigaction(fatal[i], &before[i], NULL);
    terminal.open = NULL;
    if (t->screen)
        delscreen(t->screen);
    free(t);
}

static void at_exit(void)
{
    if (terminal.taken) {
        terminal.taken = 0;
        endwin();
    }
}

bool vz_term_open(struct vz_io *io, const struct vz_options *opt, unsigned theme_no, struct sim_error *err)
{
    int code = 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        sim_fail(err, SIM_USAGE, "debug: standard input and output must be a terminal; use `ringside run` for text");
        return false;
    }
    if (setupterm(NULL, STDOUT_FILENO, &code) == ERR) {
        sim_fail(err, SIM_USAGE, "debug: the terminal type TERM=%s is unknown here; try TERM=vt100 or TERM=xterm",
                 getenv("TERM") ? getenv("TERM") : "");
        return false;
    }
    const char *cup = tigetstr("cup");
    if (!cup || cup == (const char *)-1) {
        sim_fail(err, SIM_USAGE, "debug: the terminal TERM=%s cannot place its cursor; use `ringside run` for text",
                 getenv("TERM") ? getenv("TERM") : "");
        return false;
    }
    struct vz_term *t = calloc(1, sizeof *t);
    setlocale(LC_CTYPE, "");
    bool ascii = (opt && opt->ascii) || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    terminal.has_saved = tcgetattr(STDIN_FILENO, &terminal.saved) == 0;
    if (t)
        t->screen = newterm(NULL, stdout, stdin);
    if (!t || !t->screen) {
        free(t);
        sim_fail(err, SIM_USAGE, "debug: the terminal TERM=%s cannot be used for full-screen output",
                 getenv("TERM") ? getenv("TERM") : "");
        return false;
    }
    terminal.restore_len = 0;
    static const char *const caps[] = {"sgr0", "rmkx", "cnorm", "rmcup"};
    for (unsigned i = 0; i < 4; i++)
        prepare(caps[i]);
    static const char mouse_off[] = "\033[?1000l\033[?1006l\r\n";
    if (terminal.restore_len + sizeof mouse_off < sizeof terminal.restore) {
        memcpy(terminal.restore + terminal.restore_len, mouse_off, sizeof mouse_off - 1);
        terminal.restore_len += sizeof mouse_off - 1;
    }
    static bool registered; // once per process
    if (!registered)
        registered = atexit(at_exit) == 0;
    terminal.taken = 1;
    terminal.open = io;
    catch_signals();
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    mousemask(BUTTON1_CLICKED | BUTTON1_PRESSED, NULL);
    mouseinterval(0);
    t->mono = theme_no == vz_theme_mono || (opt && opt->mono);
    t->theme = theme_no;
    t->colour = !t->mono && has_colors() && start_color() == OK && use_default_colors() == OK && COLOR_PAIRS > (int)VZ_NATTR;
    set_pairs(t);
    *io = (struct vz_io){.ctx = t,
                         .ascii = ascii,
                         .key = key,
                         .paint = paint,
                         .size = size,
                         .tick = tick,
                         .theme = theme,
                         .mouse = mouse,
                         .again = again,
                         .close = close_term};
    return true;
}
