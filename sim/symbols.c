// sim/symbols.c: names of addresses, from the images loaded or added by hand.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/symbols.h"

struct symbol {
    char *name;
    uint64_t addr;
    unsigned order; // of definition: the first name of an address wins
};
struct sim_symbols {
    struct symbol *s;
    unsigned n, cap;
    bool sorted;
};

#define SYMBOLS_MAX 1000000u

// Names are printed, so there are none with control characters.
static bool printable(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7f)
            return false;
    return true;
}

void sim_symbol_add(struct sim_machine *m, const char *name, uint64_t addr)
{
    struct sim_symbols *t = m->symbols;
    if (!t && !(t = m->symbols = calloc(1, sizeof *t)))
        return;
    if (t->n >= SYMBOLS_MAX || strlen(name) > 255 || !printable(name))
        return;
    if (t->n == t->cap) {
        unsigned cap = t->cap ? t->cap * 2 : 64;
        struct symbol *p = realloc(t->s, cap * sizeof *p);
        if (!p)
            return;
        t->s = p;
        t->cap = cap;
    }
    char *copy = strdup(name);
    if (!copy)
        return;
    t->s[t->n] = (struct symbol){copy, addr, t->n};
    t->n++;
    t->sorted = false;
}

static int by_addr(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

bool sim_symbol_addr(struct sim_machine *m, const char *name, uint64_t *addr)
{
    const struct symbol *last = NULL; // of several with that name the one that was defined last
    for (unsigned i = 0; m->symbols && i < m->symbols->n; i++) {
        const struct symbol *s = &m->symbols->s[i];
        if (!strcmp(s->name, name) && (!last || s->order > last->order))
            last = s;
    }
    if (last)
        *addr = last->addr;
    return last != NULL;
}

void sim_symbol(struct sim_machine *m, uint64_t addr, char *buf, unsigned size)
{
    struct sim_symbols *t = m->symbols;
    buf[0] = 0;
    if (!t || !t->n)
        return;
    if (!t->sorted) {
        qsort(t->s, t->n, sizeof *t->s, by_addr);
        t->sorted = true;
    }
    unsigned lo = 0, hi = t->n; // the first symbol above addr
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (t->s[mid].addr <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || addr - t->s[lo - 1].addr > 0xffff) // farther than 64 KiB a name misleads
        return;
    const struct symbol *s = &t->s[lo - 1];
    while (s > t->s && s[-1].addr == s->addr)
        s--;
    if (addr == s->addr)
        snprintf(buf, size, "%s", s->name);
    else
        snprintf(buf, size, "%s+0x%llx", s->name, (unsigned long long)(addr - s->addr));
}

void symbols_destroy(struct sim_symbols *t)
{
    for (unsigned i = 0; t && i < t->n; i++)
        free(t->s[i].name);
    if (t)
        free(t->s);
    free(t);
}
