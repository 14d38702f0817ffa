// sim/lessons.c: see sim/lessons.h.
#include "sim/lessons.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli.h"

void lessons_tree_above(char *out, size_t size, unsigned up)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = 0;
    for (unsigned k = 0; k < up; k++) {
        char *slash = strrchr(out, '/');
        if (slash)
            *slash = 0;
    }
}

void lessons_tree_path(char *out, size_t size, const char *name)
{
    static const struct {
        unsigned up;
        const char *below;
    } place[] = {{3, ""}, {2, "share/ringside/"}}; // of ROOT/build/MODE/ringside, and of PREFIX/bin/ringside
    char root[1024];
    snprintf(out, size, "%s", name);
    for (unsigned p = 0; p < sizeof place / sizeof *place && access(out, R_OK) != 0; p++) {
        lessons_tree_above(root, sizeof root, place[p].up);
        snprintf(out, size, "%s/%s%s", root, place[p].below, name);
    }
}

bool lessons_path(char *out, size_t size, const char *name)
{
    char below[300];
    if (!*name || strchr(name, '/') || *name == '.')
        return false;
    snprintf(below, sizeof below, "scenarios/%s/lab.lua", name);
    lessons_tree_path(out, size, below);
    return access(out, R_OK) == 0;
}

// What the first line of a script says behind its title.
static void first_line(const char *path, char *out, size_t size)
{
    char line[400] = "";
    FILE *f = fopen(path, "r");
    if (f && !fgets(line, sizeof line, f))
        line[0] = 0;
    if (f)
        fclose(f);
    line[strcspn(line, "\n")] = 0;
    const char *colon = strstr(line, ": ");
    snprintf(out, size, "%s", colon ? colon + 2 : line);
}

int lessons_list(FILE *f, struct sim_error *err)
{
    char dir[2048], path[2048], text[400];
    struct dirent **entry;
    lessons_tree_path(dir, sizeof dir, "scenarios");
    int n = scandir(dir, &entry, NULL, alphasort);
    if (n < 0)
        return sim_fail(err, SIM_USAGE, "lessons: there is no folder %s here, nor where ringside was built or installed", dir);
    for (int k = 0; k < n; k++) {
        if (lessons_path(path, sizeof path, entry[k]->d_name)) {
            first_line(path, text, sizeof text);
            cli_item(f, entry[k]->d_name, 20, text);
        }
        free(entry[k]);
    }
    free(entry);
    fprintf(f, "\n  ringside run NAME            the text of a lesson\n"
               "  ringside debug NAME          the same, step by step on the screen\n"
               "  ringside draw --list NAME    what can be drawn of it\n");
    return 0;
}
