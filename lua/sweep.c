// lua/sweep.c: see lua/sweep.h.
#include "lua/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/lx.h"
#include "sim/inspect.h"

#define MOST_SET   65 // one more than a run takes: it refuses that
#define MOST_STATS 64

struct task {
    char *line;
    FILE *result; // where the process that runs it writes lines "name<TAB>value"
    char *out;    // these lines, when it has ended
    pid_t pid;    // 0: not running
    bool done;    // it has ended by itself
};
struct sweep {
    const struct lx_sweep_options *o;
    struct task *task;
    unsigned n, cap;
    unsigned begun, oldest; // tasks that were started; the first of them that may still run
};

static volatile sig_atomic_t interrupted; // by a signal to leave: the tasks that have ended make the table
static void on_signal(int n) { interrupted = n; }
static void catch_signals(void (*handler)(int))
{
    const struct sigaction sa = {.sa_handler = handler}; // waitpid() returns
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
}

// --- tasks

static int add_task(struct sweep *s, const char *line, size_t n, struct sim_error *err)
{
    if (s->n == LX_SWEEP_TASKS)
        return sim_fail(err, SIM_USAGE, "sweep: more than %u tasks", LX_SWEEP_TASKS);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        struct task *p = realloc(s->task, s->cap * sizeof *p);
        if (!p)
            return sim_fail(err, SIM_INTERNAL, "sweep: out of memory");
        s->task = p;
    }
    s->task[s->n] = (struct task){.line = strndup(line, n)};
    return s->task[s->n++].line ? 0 : sim_fail(err, SIM_INTERNAL, "sweep: out of memory");
}

// Value number k of "name=a,b,c"; its length in *n. NULL at the end.
static const char *nth_value(const char *assignment, unsigned k, size_t *n)
{
    const char *p = strchr(assignment, '=') + 1;
    for (; k && *p; k--) {
        p += strcspn(p, ",");
        if (!*p)
            return NULL;
        p++;
    }
    *n = strcspn(p, ",");
    return p;
}

static int combine(struct sweep *s, unsigned level, char *line, size_t at, size_t size, struct sim_error *err)
{
    if (level == s->o->nset)
        return add_task(s, line, at, err);
    const char *a = s->o->set[level], *v;
    size_t n;
    for (unsigned k = 0; (v = nth_value(a, k, &n)); k++) {
        int add = snprintf(line + at, size - at, "%s%.*s%.*s", at ? " " : "", (int)(strchr(a, '=') + 1 - a), a, (int)n, v);
        if (!n || (size_t)add >= size - at)
            return sim_fail(err, SIM_USAGE, "sweep: --set %.80s: %s", a, n ? "too long" : "a value is empty");
        if (combine(s, level + 1, line, at + (size_t)add, size, err) < 0)
            return -1;
    }
    return 0;
}

static int product(struct sweep *s, struct sim_error *err)
{
    char line[4096];
    for (unsigned k = 0; k < s->o->nset; k++) {
        const char *a = s->o->set[k];
        if (!strchr(a, '=') || *a == '=' || strpbrk(a, " \t\n\r"))
            return sim_fail(err, SIM_USAGE, "sweep: --set '%.80s': write it like tlb.l2.entries=16,64,256, without blanks", a);
    }
    return combine(s, 0, line, 0, sizeof line, err);
}

static int read_tasks(struct sweep *s, struct sim_error *err)
{
    bool in = !strcmp(s->o->from, "-");
    FILE *f = in ? stdin : fopen(s->o->from, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int r = 0;
    if (!f)
        return sim_fail(err, SIM_USAGE, "sweep: %s: %s", s->o->from, strerror(errno));
    while (!r && (n = getline(&line, &cap, f)) >= 0) {
        while (n && strchr(" \t\r\n", line[n - 1]))
            n--;
        size_t skip = strspn(line, " \t");
        if ((size_t)n > skip && line[skip] != '#')
            r = add_task(s, line + skip, (size_t)n - skip, err);
    }
    free(line);
    if (!r && ferror(f))
        r = sim_fail(err, SIM_USAGE, "sweep: %s: %s", s->o->from, strerror(errno));
    if (!in)
        fclose(f);
    return r;
}

// --- one task, in a process of its own

struct child {
    FILE *result;
    uint64_t sum[MOST_STATS];
};

static void on_result(void *ctx, const char *name, const char *value)
{
    struct child *c = ctx;
    fprintf(c->result, "%s\t%s\n", name, value);
}

static void on_machine(void *ctx, struct sim_machine *m, bool made)
{
    struct child *c = ctx;
    const char *name;
    uint64_t v;
    for (unsigned k = 0; !made && k < MOST_STATS && (name = sim_stat_name(k)); k++)
        for (unsigned cpu = 0; sim_stat(m, cpu, name, &v); cpu++)
            c->sum[k] += v;
}

// Split a line at its blanks, in place.
static unsigned split(char *line, const char *set[MOST_SET])
{
    unsigned n = 0;
    for (char *p = strtok(line, " \t"); p && n < MOST_SET; p = strtok(NULL, " \t"))
        set[n++] = p;
    return n;
}

// In the child: the other tasks' files are not ours.
static void close_others(const struct sweep *s, const struct task *t)
{
    for (const struct task *k = s->task + s->oldest; k < t; k++)
        if (k->result)
            close(fileno(k->result));
}

static void run_task(const struct sweep *s, const struct task *t)
{
    const char *set[MOST_SET], *name;
    struct child c = {.result = t->result};
    struct sim_error err = {0};
    char *line = strdup(t->line);
    FILE *null = fopen("/dev/null", "w");
    if (!line || !null)
        _exit(SIM_INTERNAL);
    struct lx_options o = {.file = s->o->file,
                           .guests = s->o->guests,
                           .args = s->o->args,
                           .out = null,
                           .max_cycles = s->o->max_cycles,
                           .stuck_exits = SIM_STUCK_EXITS,
                           .set = set,
                           .nset = split(line, set)};
    const struct lx_hooks hooks = {.ctx = &c, .machine = on_machine, .result = on_result};
    enum sim_status status = lx_run(&o, &hooks, &err);
    fprintf(t->result, "\tstatus\t%u\n", (unsigned)status); // a leading tab: ours, not the scenario's
    for (unsigned k = 0; k < MOST_STATS && (name = sim_stat_name(k)); k++)
        fprintf(t->result, "\t%s\t%" PRIu64 "\n", name, c.sum[k]);
    if (status > SIM_CHECK_FAILED)
        fprintf(t->result, "\terror\t%s\n", err.what);
    _exit(fflush(t->result) == 0 ? 0 : SIM_INTERNAL);
}

static int start(struct sweep *s, struct task *t, struct sim_error *err)
{
    t->result = tmpfile();
    if (!t->result)
        return sim_fail(err, SIM_INTERNAL, "sweep: cannot make a temporary file: %s", strerror(errno));
    fflush(NULL);
    t->pid = fork();
    if (t->pid < 0) {
        t->pid = 0;
        fclose(t->result);
        return sim_fail(err, SIM_INTERNAL, "sweep: cannot start a process: %s", strerror(errno));
    }
    if (t->pid == 0) {
        catch_signals(SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody would read what it finds
        close_others(s, t);
        run_task(s, t);
    }
    return 0;
}

// The process of the task has ended: keep what it wrote.
static void collect(struct task *t, int status)
{
    size_t n = 0;
    t->pid = 0;
    t->done = !interrupted;
    FILE *out = open_memstream(&t->out, &n);
    int c;
    rewind(t->result);
    while (out && (c = fgetc(t->result)) != EOF)
        fputc(c, out);
    fclose(t->result);
    t->result = NULL;
    if (out && WIFSIGNALED(status))
        fprintf(out, "\tstatus\t%u\n\terror\tthe process of the task ended by signal %d\n", (unsigned)SIM_INTERNAL,
                WTERMSIG(status));
    else if (out && WEXITSTATUS(status))
        fprintf(out, "\tstatus\t%u\n\terror\tthis computer had no memory, file or disk space for the task\n",
                (unsigned)SIM_INTERNAL);
    if (out)
        fclose(out);
}

static void end_all(const struct sweep *s)
{
    for (unsigned k = s->oldest; k < s->begun; k++)
        if (s->task[k].pid)
            kill(s->task[k].pid, SIGKILL);
}

// Wait for one of our processes; how many are left.
static unsigned reap(struct sweep *s, unsigned running)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
        if (interrupted)
            end_all(s);
    for (unsigned k = s->oldest; pid > 0 && k < s->begun; k++)
        if (s->task[k].pid == pid) {
            collect(&s->task[k], status);
            while (s->oldest < s->begun && !s->task[s->oldest].pid)
                s->oldest++;
            return running - 1;
        }
    return pid < 0 ? 0 : running;
}

static int run_all(struct sweep *s, struct sim_error *err)
{
    unsigned running = 0, jobs = s->o->jobs ? s->o->jobs : 1;
    int r = 0;
    interrupted = 0;
    catch_signals(on_signal);
    for (unsigned k = 0; k < s->n && !r && !interrupted; k++) {
        while (running >= jobs)
            running = reap(s, running);
        while (!interrupted && (r = start(s, &s->task[k], err)) < 0 && running) {
            running = reap(s, running); // there is room for fewer at a time
            *err = (struct sim_error){0};
        }
        if (interrupted || r < 0)
            break;
        running++;
        s->begun = k + 1;
    }
    if (interrupted)
        end_all(s);
    while (running)
        running = reap(s, running);
    catch_signals(SIG_DFL);
    return r;
}

// --- the table

struct names {
    char **name;
    unsigned n, cap;
};
static void add_name(struct names *c, const char *name, size_t len)
{
    for (unsigned k = 0; k < c->n; k++)
        if (strlen(c->name[k]) == len && !strncmp(c->name[k], name, len))
            return;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        c->name = realloc(c->name, c->cap * sizeof *c->name);
    }
    if (c->name)
        c->name[c->n++] = strndup(name, len);
}
static void free_names(struct names *c)
{
    for (unsigned k = 0; k < c->n; k++)
        free(c->name[k]);
    free(c->name);
}

static void csv_field(FILE *f, const char *s, size_t n, bool first)
{
    if (!first)
        fputc(',', f);
    bool quote = strcspn(s, ",\"\n\r") < n;
    if (quote)
        fputc('"', f);
    for (size_t k = 0; k < n; k++) {
        if (s[k] == '"')
            fputc('"', f);
        fputc(s[k], f);
    }
    if (quote)
        fputc('"', f);
}

// What the line sets for a name.
static const char *setting(const char *line, const char *name, size_t *n)
{
    size_t len = strlen(name);
    const char *found = NULL;
    for (const char *p = line; *p; p += strspn(p, " \t")) {
        size_t word = strcspn(p, " \t");
        if (word > len && !strncmp(p, name, len) && p[len] == '=') {
            found = p + len + 1;
            *n = word - len - 1;
        }
        p += word;
    }
    return found;
}

// The last value of a result; own: of ours. In buf.
static const char *result(const struct task *t, const char *name, bool own, char *buf, size_t size)
{
    const char *found = NULL;
    size_t len = strlen(name);
    for (const char *line = t->out ? t->out : ""; *line;) {
        size_t n = strcspn(line, "\n");
        const char *p = line + own;
        if ((line[0] == '\t') == own && !strncmp(p, name, len) && p[len] == '\t') {
            snprintf(buf, size, "%.*s", (int)(line + n - (p + len + 1)), p + len + 1);
            found = buf;
        }
        line += n + (line[n] == '\n');
    }
    return found;
}

static void result_field(FILE *f, const struct task *t, const char *name, bool own)
{
    char buf[1200];
    const char *v = result(t, name, own, buf, sizeof buf);
    csv_field(f, v ? v : "", v ? strlen(v) : 0, false);
}

static void columns(const struct sweep *s, struct names *set, struct names *res)
{
    for (unsigned k = 0; k < s->n; k++) {
        for (const char *p = s->task[k].line; *p; p += strspn(p, " \t")) {
            add_name(set, p, strcspn(p, "= \t"));
            p += strcspn(p, " \t");
        }
        for (const char *p = s->task[k].done ? s->task[k].out : ""; *p; p += *p == '\n') {
            if (*p != '\t')
                add_name(res, p, strcspn(p, "\t"));
            p += strcspn(p, "\n");
        }
    }
}

static bool has_name(const struct names *c, const char *name)
{
    for (unsigned k = 0; k < c->n; k++)
        if (!strcmp(c->name[k], name))
            return true;
    return false;
}

static void header(const struct names *set, const struct names *res, FILE *f)
{
    const char *name;
    for (unsigned k = 0; k < set->n; k++)
        csv_field(f, set->name[k], strlen(set->name[k]), k == 0);
    csv_field(f, "status", 6, set->n == 0);
    for (unsigned k = 0; (name = sim_stat_name(k)); k++)
        csv_field(f, name, strlen(name), false);
    for (unsigned k = 0; k < res->n; k++) {
        char own[80]; // apart from a counter or a parameter of that name
        bool taken = has_name(set, res->name[k]) || !strcmp(res->name[k], "status");
        for (unsigned c = 0; !taken && (name = sim_stat_name(c)); c++)
            taken = !strcmp(name, res->name[k]);
        snprintf(own, sizeof own, "%s%s", taken ? "result." : "", res->name[k]);
        csv_field(f, own, strlen(own), false);
    }
    fputc('\n', f);
}

// Returns how many tasks failed.
static unsigned write_csv(const struct sweep *s, FILE *f)
{
    struct names set = {0}, res = {0};
    char buf[1200];
    const char *name, *v;
    unsigned failed = 0;
    columns(s, &set, &res);
    if (!s->o->no_header)
        header(&set, &res, f);
    for (unsigned t = 0; t < s->n; t++) {
        const struct task *task = &s->task[t];
        size_t n = 0;
        if (!task->done)
            continue;
        for (unsigned k = 0; k < set.n; k++) {
            v = setting(task->line, set.name[k], &n);
            csv_field(f, v ? v : "", v ? n : 0, k == 0);
        }
        v = result(task, "status", true, buf, sizeof buf);
        csv_field(f, v ? v : "7", v ? strlen(v) : 1, set.n == 0);
        for (unsigned k = 0; (name = sim_stat_name(k)); k++)
            result_field(f, task, name, true);
        for (unsigned k = 0; k < res.n; k++)
            result_field(f, task, res.name[k], false);
        fputc('\n', f);
        if ((v = result(task, "error", true, buf, sizeof buf))) {
            failed++;
            fprintf(stderr, "ringside: sweep: %s: %s\n", task->line, v);
        }
    }
    free_names(&set);
    free_names(&res);
    return failed;
}

static void run_and_write(struct sweep *s, FILE *f, struct sim_error *err)
{
    unsigned done = 0;
    if (run_all(s, err) < 0)
        return;
    if (s->o->csv && ftruncate(fileno(f), 0) < 0 && errno != EINVAL) { // no ordinary file: nothing to cut
        sim_fail(err, SIM_USAGE, "sweep: --csv %s: cannot be written: %s", s->o->csv, strerror(errno));
        return;
    }
    unsigned failed = write_csv(s, f);
    for (unsigned k = 0; k < s->n; k++)
        done += s->task[k].done;
    if (fflush(f) != 0 || ferror(f))
        sim_fail(err, SIM_USAGE, "sweep: %s could not be written whole: %s", s->o->csv ? s->o->csv : "the table", strerror(errno));
    else if (done < s->n)
        sim_fail(err, SIM_CHECK_FAILED, "sweep: ended by a signal: the table has %u of %u tasks", done, s->n);
    else if (failed)
        sim_fail(err, SIM_CHECK_FAILED, "sweep: %u of %u tasks failed", failed, s->n);
}

// The table's file. What is in it stays until there is something better.
static FILE *open_table(const char *path, struct sim_error *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        sim_fail(err, SIM_USAGE, "sweep: --csv %s: cannot be written: %s", path, strerror(errno));
    return f;
}

enum sim_status lx_sweep(const struct lx_sweep_options *o, struct sim_error *err)
{
    struct sweep s = {.o = o};
    FILE *f = o->out;
    if (o->from && o->nset)
        sim_fail(err, SIM_USAGE, "sweep: give --set or --from, not both");
    else if (access(o->file, R_OK) != 0)
        sim_fail(err, SIM_SCRIPT, "sweep: %s: %s", o->file, strerror(errno));
    else if ((o->from ? read_tasks(&s, err) : product(&s, err)) == 0) {
        if (o->tasks) {
            for (unsigned k = 0; k < s.n; k++)
                fprintf(o->out, "%s\n", s.task[k].line);
        } else if (!o->csv || (f = open_table(o->csv, err)) != NULL) {
            run_and_write(&s, f, err);
            if (o->csv && fclose(f) != 0 && !err->status)
                sim_fail(err, SIM_USAGE, "sweep: --csv %s: could not be written whole: %s", o->csv, strerror(errno));
        }
    }
    for (unsigned k = 0; k < s.n; k++) {
        free(s.task[k].line);
        free(s.task[k].out);
    }
    free(s.task);
    return err->status;
}
