// lua/asm.c: text to flat bytes and labels, through NASM or GNU as in a folder of their own.
//
// The assembler is a program of the host, so a scenario could make it read files: the directives that do so are refused here by
// name, and lua/confine.c keeps the process in its folder where the kernel can.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/confine.h"
#include "lua/state.h"

struct job {
    char dir[64];
    const char *text;
    size_t len;
    uint64_t at;
    unsigned bits;
    struct lx_code *code;
};

static int fail(struct lx_code *code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct lx_code *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(code->error, sizeof code->error, fmt, ap);
    va_end(ap);
    for (char *s = code->error; *s; s++)
        if (*s == '\n' || *s == '\r' || *s == '\t')
            *s = ' ';
    return -1;
}

// --- the folder
static void path_in(const struct job *j, const char *name, char *path, size_t size) { snprintf(path, size, "%s/%s", j->dir, name); }

static int open_folder(struct job *j)
{
    const char *tmp = getenv("TMPDIR");
    if (!tmp || *tmp != '/' || strlen(tmp) > 40)
        tmp = "/tmp";
    snprintf(j->dir, sizeof j->dir, "%s/ringside-XXXXXX", tmp);
    if (!mkdtemp(j->dir))
        return fail(j->code, "assemble: no folder for temporary files in %s: %s", tmp, strerror(errno));
    return 0;
}

static void remove_folder(const struct job *j)
{
    DIR *d = opendir(j->dir);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(j->dir);
}

static int put_source(const struct job *j, const char *name, const char *before)
{
    char path[128];
    path_in(j, name, path, sizeof path);
    FILE *f = fopen(path, "wx");
    if (!f)
        return fail(j->code, "assemble: cannot write %s: %s", path, strerror(errno));
    fputs(before, f);
    fwrite(j->text, 1, j->len, f);
    fputc('\n', f);
    bool bad = ferror(f);
    bad |= fclose(f) != 0;
    return bad ? fail(j->code, "assemble: cannot write %s: %s", path, strerror(errno)) : 0;
}

// A file of the folder, whole, NUL-terminated; NULL if it is missing or longer than the limit.
static char *get_file(const struct job *j, const char *name, uint64_t *n)
{
    char path[128], *s = NULL;
    struct stat st;
    path_in(j, name, path, sizeof path);
    FILE *f = fopen(path, "re");
    if (f && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= 64 << 20 &&
        (s = malloc((size_t)st.st_size + 1)) != NULL) {
        *n = fread(s, 1, (size_t)st.st_size, f);
        s[*n] = 0;
    }
    if (f)
        fclose(f);
    return s;
}

// --- messages
// Line `number` (from 1) of the source, without the blanks around it.
static const char *source_line(const struct job *j, unsigned long number, int *len)
{
    const char *s = j->text, *end = j->text + j->len, *nl;
    for (; number > 1 && (nl = memchr(s, '\n', (size_t)(end - s))) != NULL; number--)
        s = nl + 1;
    nl = memchr(s, '\n', (size_t)(end - s));
    end = nl ? nl : end;
    while (s < end && isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    *len = end - s > 80 ? 80 : (int)(end - s);
    return s;
}

// Say what a tool complained of: the first line that names a place and an error, with the source line.
static int complain(const struct job *j, const char *tool, const char *output)
{
    unsigned errors = 0;
    char first[256] = "", any[256] = "";
    unsigned long number = 0;
    for (const char *s = output; *s;) {
        size_t n = strcspn(s, "\n");
        const char *msg = strncmp(s, "a.asm:", 6) == 0 || strncmp(s, "a.s:", 4) == 0 ? strchr(s, ':') + 1 : NULL;
        if (msg && isdigit((unsigned char)*msg)) {
            char *rest;
            unsigned long at = strtoul(msg, &rest, 10);
            bool error = !strncmp(rest, ": error: ", 9) || !strncmp(rest, ": Error: ", 9) || !strncmp(rest, ": fatal: ", 9);
            if (error && errors++ == 0) {
                number = at;
                snprintf(first, sizeof first, "%.*s", (int)(n - (size_t)(rest + 9 - s)), rest + 9);
            }
        }
        if (n)
            snprintf(any, sizeof any, "%.*s", (int)n, s);
        s += n + (s[n] == '\n');
    }
    if (!errors)
        return fail(j->code, "assemble: %s: %s", tool, any[0] ? any : "failed without a message");
    int len;
    const char *line = source_line(j, number, &len);
    char more[32] = "";
    if (errors > 1)
        snprintf(more, sizeof more, " (and %u more)", errors - 1);
    return fail(j->code, "assemble: %s, line %lu: %s: %.*s%s", tool, number, first, len, line, more);
}

static int run_tool(const struct job *j, const char *const *argv, char **output)
{
    struct lx_process *p = calloc(1, sizeof *p);
    int r = -1;
    if (!p)
        return fail(j->code, "assemble: out of memory");
    p->argv = argv;
    p->dir = j->dir;
    lx_run_process(p);
    if (p->status == -2 && p->error == ENOENT)
        fail(j->code, "assemble: %s was not found in PATH; %s", argv[0],
             !strcmp(argv[0], "nasm") ? "install it (Debian: apt install nasm), or write for GNU as and say syntax = \"gas\""
                                      : "install it (Debian: apt install binutils)");
    else if (p->status == -2)
        fail(j->code, "assemble: cannot run %s: %s", argv[0], strerror(p->error));
    else if (p->status == -1)
        fail(j->code, "assemble: %s was ended: it may take 10 seconds and write 64 MiB", argv[0]);
    else if (p->status != 0)
        complain(j, argv[0], p->output);
    else
        r = 0;
    if (r == 0 && output)
        *output = strdup(p->output);
    free(p);
    return r;
}

// --- labels
bool lx_map_line(const char *line, size_t n, uint64_t *addr, char name[256])
{
    char copy[512], real[32], virt[32], tail;
    snprintf(copy, sizeof copy, "%.*s", (int)(n < 511 ? n : 511), line);
    if (sscanf(copy, " %31s %31s %255s %c", real, virt, name, &tail) != 3)
        return false;
    if (!strncmp(name, "..@", 3)) // NASM's own names for labels inside macros
        return false;
    char *end1, *end2;
    strtoull(real, &end1, 16);
    *addr = strtoull(virt, &end2, 16);
    return *end1 == 0 && *end2 == 0;
}

static char *symbols_of_map(const char *map)
{
    struct lx_buf b = {0};
    uint64_t addr;
    char name[256];
    for (const char *s = map; s && *s;) {
        size_t n = strcspn(s, "\n");
        if (lx_map_line(s, n, &addr, name))
            lx_buf_addf(&b, "%s %" PRIx64 "\n", name, addr);
        s += n + (s[n] == '\n');
    }
    return b.s;
}

// nm's list: "address type name".
static char *symbols_of_nm(const char *list)
{
    struct lx_buf b = {0};
    unsigned long long addr;
    char name[256], line[512], type;
    for (const char *s = list; s && *s;) {
        size_t n = strcspn(s, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, s);
        bool ours = sscanf(line, "%llx %c %255s", &addr, &type, name) == 3 && strchr("tTdDbBrRaA", type);
        if (ours && strcmp(name, "__bss_start") != 0 && strcmp(name, "_edata") != 0 && strcmp(name, "_end") != 0)
            lx_buf_addf(&b, "%s %llx\n", name, addr);
        s += n + (s[n] == '\n');
    }
    return b.s;
}

// --- the assemblers
static int with_nasm(struct job *j)
{
    char bits[16], org[40];
    snprintf(bits, sizeof bits, "bits %u", j->bits);
    snprintf(org, sizeof org, "org 0x%" PRIx64, j->at);
    const char *argv[] = {"nasm", "-f",    "bin",   "--before", bits, "--before", org, "--before", "[map symbols a.map]",
                          "-o",   "a.bin", "a.asm", NULL};
    uint64_t n = 0;
    if (put_source(j, "a.asm", "") < 0 || run_tool(j, argv, NULL) < 0)
        return -1;
    char *map = get_file(j, "a.map", &n);
    j->code->symbols = symbols_of_map(map);
    free(map);
    return 0;
}

static int with_gas(struct job *j)
{
    char text[40];
    snprintf(text, sizeof text, "-Ttext=0x%" PRIx64, j->at);
    bool wide = j->bits == 64;
    const char *as[] = {"as", wide ? "--64" : "--32", "-mx86-used-note=no", "-o", "a.o", "a.s", NULL};
    const char *ld[] = {
        "ld", "-m", wide ? "elf_x86_64" : "elf_i386", "-N", "-e", "0", "--no-warn-rwx-segments", text, "-o", "a.elf", "a.o", NULL};
    const char *ld_old[] = {"ld", "-m", wide ? "elf_x86_64" : "elf_i386", "-N", "-e", "0", text, "-o", "a.elf", "a.o", NULL};
    const char *copy[] = {"objcopy", "-O", "binary", "a.elf", "a.bin", NULL};
    const char *nm[] = {"nm", "a.elf", NULL};
    char *list = NULL;
    if (put_source(j, "a.s", j->bits == 16 ? ".code16; " : "") < 0 || run_tool(j, as, NULL) < 0)
        return -1;
    if (run_tool(j, ld, NULL) < 0 && (!strstr(j->code->error, "no-warn-rwx") || run_tool(j, ld_old, NULL) < 0))
        return -1;
    if (run_tool(j, copy, NULL) < 0 || run_tool(j, nm, &list) < 0)
        return -1;
    j->code->symbols = symbols_of_nm(list);
    free(list);
    return 0;
}

// The directives that make an assembler open other files.
static const char *forbidden(const char *text, size_t len)
{
    static const char *const words[] = {"incbin", "include", "pathsearch", "%depend", "%!", "[map"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        for (size_t at = 0, n = strlen(words[k]); at + n <= len; at++)
            if (!strncasecmp(text + at, words[k], n))
                return words[k];
    return NULL;
}

int lx_asm(const char *text, size_t len, enum lx_syntax syntax, unsigned bits, uint64_t at, struct lx_code *code)
{
    struct job j = {.text = text, .len = len, .at = at, .bits = bits, .code = code};
    const char *word = forbidden(text, len);
    if (word)
        return fail(code, "assemble: a scenario's text may not use other files, and it contains \"%s\"", word);
    if (len > 1 << 20)
        return fail(code, "assemble: the text is longer than 1 MiB");
    if (open_folder(&j) < 0)
        return -1;
    int r = syntax == LX_GAS ? with_gas(&j) : with_nasm(&j);
    if (r == 0 && !(code->bytes = (uint8_t *)get_file(&j, "a.bin", &code->n)))
        r = fail(code, "assemble: the assembler left no output");
    remove_folder(&j);
    return r;
}
