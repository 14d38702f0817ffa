// lua/confine.c: fork, confine, exec, collect output.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

#include "lua/confine.h"

// Full path of a program: PATH, without its relative entries.
static bool find_program(const char *name, char *path, size_t size)
{
    const char *dirs = getenv("PATH");
    for (const char *s = dirs && *dirs ? dirs : "/usr/bin:/bin"; *s;) {
        size_t n = strcspn(s, ":");
        struct stat st;
        int len = snprintf(path, size, "%.*s/%s", (int)n, s, name);
        if (*s == '/' && len > 0 && (size_t)len < size && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
            return true;
        s += n + (s[n] == ':');
    }
    return false;
}

#if defined(LANDLOCK_ACCESS_FS_READ_FILE) && defined(SYS_landlock_create_ruleset)
static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr at = {.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    if (at.parent_fd < 0)
        return;
    if (fstat(at.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        at.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0);
    close(at.parent_fd);
}

// Keep the process inside its folder. Kernels without Landlock refuse the first call, and nothing changes.
static void confine(const char *dir, const char *program)
{
    static const char *const system_paths[] = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/nix", "/gnu", "/dev/null"};
    const uint64_t look = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t change = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
    struct landlock_ruleset_attr attr = {.handled_access_fs = look | change | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                                              LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |
                                                              LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                                              LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0)
        return;
    for (size_t k = 0; k < sizeof system_paths / sizeof *system_paths; k++)
        allow(rules, system_paths[k], look);
    allow(rules, program, look);
    allow(rules, dir, look | change);
    syscall(SYS_landlock_restrict_self, rules, 0);
    close(rules);
}
#else
static void confine(const char *dir, const char *program) {}
#endif

static void limit(int what, rlim_t n)
{
    struct rlimit l = {n, n};
    setrlimit(what, &l);
}

// The child's half: never returns.
static void child(const struct lx_process *p, const char *program, int out, int failure)
{
    static char *const env[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), error = 0;
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || chdir(p->dir) < 0)
        error = errno;
    if (!error) {
        limit(RLIMIT_CPU, 10);
        limit(RLIMIT_FSIZE, 64 << 20);
        limit(RLIMIT_CORE, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        confine(p->dir, program);
        execve(program, (char *const *)p->argv, env);
        error = errno;
    }
    if (write(failure, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

// Read to the end, keep the beginning.
static void collect(int fd, struct lx_process *p)
{
    char rest[512];
    for (;;) {
        bool room = p->n + 1 < sizeof p->output;
        ssize_t n = room ? read(fd, p->output + p->n, sizeof p->output - 1 - p->n) : read(fd, rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        p->n += room ? (size_t)n : 0;
    }
    p->output[p->n] = 0;
}

void lx_run_process(struct lx_process *p)
{
    char program[PATH_MAX];
    int out[2], failure[2], status = 0;
    p->n = 0;
    p->output[0] = 0;
    p->status = -2;
    p->error = ENOENT;
    if (!find_program(p->argv[0], program, sizeof program))
        return;
    if (pipe2(out, O_CLOEXEC) < 0) {
        p->error = errno;
        return;
    }
    if (pipe2(failure, O_CLOEXEC) < 0) {
        p->error = errno;
        close(out[0]);
        close(out[1]);
        return;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child(p, program, out[1], failure[1]);
    p->error = pid < 0 ? errno : 0;
    close(out[1]);
    close(failure[1]);
    if (pid > 0) {
        collect(out[0], p);
        int error;
        bool started = read(failure[0], &error, sizeof error) != sizeof error;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (started)
            p->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        else
            p->error = error;
    }
    close(out[0]);
    close(failure[0]);
}
