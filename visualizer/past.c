// visualizer/past.c: going back in time.
//
// A past is this whole process as it was, kept by fork(): machine, script and screen are in it alike, and memory is shared until somebody
// writes. The process that was there waits, and its child is the present; so the pasts are a chain of parents, the oldest of which is the
// one that the shell knows. To go back, the present writes down where to, and ends; its parent wakes, ends as well if it is too late a past,
// or else forks once more, and that child runs up to the place. A run from a past is the same run (everything is deterministic), so few pasts
// do: one where the first run begins, one whenever running up from the latest would take too long, and one behind each change that the user
// made.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "visualizer/ui.h"

enum { GONE_BACK = 77, MOST = 64 };

// What stays as the user has it, whenever it is.
#define EACH_KEPT(DO)                                                                                                              \
    DO(view) DO(back) DO(pane) DO(theme) DO(att) DO(brk) DO(nbrk) DO(edit) DO(mem_addr) DO(walk_la) DO(walk_acc) DO(walk_chosen)
#define FIELD(name) __typeof__(((struct vz *)NULL)->name) name;
struct kept {
    EACH_KEPT(FIELD)
};

// What all of these processes share.
struct vz_past {
    bool back;                 // a present has ended in order to go back
    struct vz_when want, from; // to there, from here
    unsigned depth;            // pasts that wait
    double apart;              // seconds of work between two pasts, at least
    struct kept kept;
};

void vz_past_open(struct vz *v, double apart)
{
    void *p = mmap(NULL, sizeof *v->past, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    v->past = p == MAP_FAILED ? NULL : p;
    if (v->past)
        v->past->apart = apart;
}

void vz_past_close(struct vz *v)
{
    if (v->past)
        munmap(v->past, sizeof *v->past);
    v->past = NULL;
}

static void take_along(struct vz *v)
{
#define TAKE(name) memcpy(&v->past->kept.name, &v->name, sizeof v->name);
    EACH_KEPT(TAKE)
}

// In a past that is the present again.
static void arrive(struct vz *v)
{
    const struct vz_past *p = v->past;
#define GIVE(name) memcpy(&v->name, &p->kept.name, sizeof v->name);
    EACH_KEPT(GIVE)
    v->mode = VZ_MODE_NORMAL;
    v->play.on = v->has_before = v->code_free = false;
    v->message[0] = 0;
    v->goal = VZ_GOAL_WHEN;
    v->goal_when = p->want;
    if (v->io.again)
        v->io.again(v->io.ctx, v->theme);
}

// A stop of the present (Ctrl-Z) is passed on, so that the shell sees it.
static int wait_for(pid_t present)
{
    int status;
    for (;;) {
        if (waitpid(present, &status, WUNTRACED) < 0) {
            if (errno != EINTR)
                _exit(SIM_INTERNAL);
        } else if (!WIFSTOPPED(status))
            return status;
        else {
            raise(SIGSTOP);
            kill(present, SIGCONT);
        }
    }
}

static void end_alike(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    int sig = WTERMSIG(status);
    if (sig == SIGKILL) // the present could not give the terminal back: let the handler of this process do it
        raise(SIGTERM);
    signal(sig, SIG_DFL);
    raise(sig);
    _exit(SIM_INTERNAL);
}

// The processor time of a process begins at its fork. How far pasts are apart decides nothing but how long the way back takes.
static double worked(void) { return (double)clock() / CLOCKS_PER_SEC; }

static bool due(const struct vz *v)
{
    double apart = v->worked / 4 > v->past->apart ? v->worked / 4 : v->past->apart;
    return !v->kept || v->poked || (v->past->depth < MOST && worked() >= apart);
}

bool vz_past_keep(struct vz *v)
{
    if (!v->past || !due(v))
        return false;
    const pid_t self = getpid();
    const unsigned depth = v->past->depth;
    const bool poked = v->poked;
    bool returned = false;
    v->kept = true;
    v->worked += worked();
    v->poked = false;
    fflush(NULL);
    for (;;) {
        pid_t present = depth < MOST ? fork() : -1;
        if (present < 0) {
            if (poked || !depth) // a run from an older past would not have the user's change
                vz_past_close(v);
            return false;
        }
        if (present == 0) {
            prctl(PR_SET_PDEATHSIG, SIGHUP);
            if (getppid() != self)
                raise(SIGHUP);
            v->past->depth = depth + 1;
            if (returned)
                arrive(v);
            return returned;
        }
        int status = wait_for(present);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != GONE_BACK || !v->past->back)
            end_alike(status);
        if (vz_when_before(v->past->want, vz_now(v)) && depth)
            _exit(GONE_BACK);
        v->past->back = false;
        returned = true;
    }
}

static void go(struct vz *v, struct vz_when want, struct vz_when from)
{
    take_along(v);
    v->past->want = want;
    v->past->from = from;
    v->past->back = true;
    fflush(NULL);
    _exit(GONE_BACK);
}

void vz_past_go(struct vz *v, struct vz_when want)
{
    static const struct vz_when first = {.drive = 1};
    if (v->past && v->past->depth && vz_when_before(first, vz_now(v)))
        go(v, want, vz_now(v));
    vz_message(v, VZ_A_WARN, v->past ? "Nothing has been executed yet." : "There is no way back.");
}

// A step that raises several events passes over what is not a place between two steps, and the end of a drive is the start of the next
// one: an attempt that ends where it came from goes to the place before.
void vz_past_arrived(struct vz *v)
{
    struct vz_when now = vz_now(v), want = v->goal_when;
    if (!vz_when_before(now, v->past->from) && want.time) {
        want.time--;
        go(v, want, v->past->from);
    }
    char n[32];
    vz_commas(n, sizeof n, v->m ? sim_now(v->m) : 0);
    vz_message(v, VZ_A_HINT, "Back at cycle %s.", n);
}
