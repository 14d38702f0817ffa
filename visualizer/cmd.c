// visualizer/cmd.c: the command line (commands.def). A mistake is one message that says what was expected; nothing is half-done.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "visualizer/ui.h"

typedef unsigned long long ull;

static void wrong(struct vz *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct vz *v, const char *fmt, ...)
{
    char t[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t, sizeof t, fmt, ap);
    va_end(ap);
    vz_message(v, VZ_A_WARN, "%s", t);
}
#define SAY(...) vz_message(v, VZ_A_HINT, __VA_ARGS__)

static bool need_machine(struct vz *v)
{
    if (!v->m)
        wrong(v, "There is no machine now.");
    return v->m != NULL;
}

// --- parsing

static bool parse_hex(const char *s, uint64_t *val)
{
    char *end;
    if (!isxdigit((unsigned char)*s))
        return false;
    errno = 0;
    *val = strtoull(s, &end, 16);
    return *end == 0 && !errno;
}

static bool parse_value(const char *s, uint64_t *val)
{
    char *end;
    if (!isdigit((unsigned char)*s) && *s != '-')
        return false;
    errno = 0;
    *val = strtoull(s, &end, 0);
    return *end == 0 && end != s && !errno;
}

// Register or symbol first, then hexadecimal: a symbol named "add" is the symbol.
static bool atom(struct vz *v, const char *s, uint64_t *val)
{
    char lower[64];
    unsigned i = 0;
    for (; s[i] && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)s[i]);
    lower[i] = 0;
    if (v->m && sim_symbol_addr(v->m, s, val))
        return true;
    if (v->m && !isdigit((unsigned char)*s) && sim_reg_get(v->m, v->cpu, lower, val)) {
        if (!strcmp(lower, "rip"))
            *val = vz_rip_la(v);
        return true;
    }
    return parse_hex(s, val);
}

bool vz_parse_addr(struct vz *v, const char *s, uint64_t *addr)
{
    char t[VZ_EDIT_SIZE];
    snprintf(t, sizeof t, "%s", s);
    char *op = strpbrk(t + (t[0] != 0), "+-");
    char sign = op ? *op : 0;
    uint64_t off = 0;
    if (op) {
        *op = 0;
        if (!parse_hex(op + 1, &off))
            return false;
    }
    if (!atom(v, t, addr))
        return false;
    *addr = sign == '-' ? *addr - off : *addr + off;
    return true;
}

static bool addr_or_say(struct vz *v, const char *s, uint64_t *addr)
{
    if (vz_parse_addr(v, s, addr))
        return true;
    wrong(v, "'%.20s' is no address: a hex number, symbol or register, each with +N or -N", s);
    return false;
}

// Cut the first word off; returns the rest.
static char *word(char *s)
{
    while (*s && *s != ' ')
        s++;
    while (*s == ' ')
        *s++ = 0;
    return s;
}

static char *trim(char *s)
{
    while (*s == ' ')
        s++;
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ')
        s[--n] = 0;
    return s;
}

// --- commands

static void cmd_brk(struct vz *v, char *arg)
{
    uint64_t la;
    char t[200] = "", sym[64];
    if (!*arg) {
        for (unsigned i = 0; i < v->nbrk; i++)
            snprintf(t + strlen(t), sizeof t - strlen(t), " %llx", (ull)v->brk[i]);
        SAY("%u breakpoint%s%s%s", v->nbrk, v->nbrk == 1 ? "" : "s", v->nbrk ? ":" : "", t);
        return;
    }
    if (!need_machine(v) || !addr_or_say(v, arg, &la))
        return;
    if (vz_at_break(v, la) || v->nbrk == VZ_MAX_BREAK) {
        wrong(v, v->nbrk == VZ_MAX_BREAK ? "No more than %u breakpoints" : "There is a breakpoint already (%u in all)",
              v->nbrk == VZ_MAX_BREAK ? VZ_MAX_BREAK : v->nbrk);
        return;
    }
    v->brk[v->nbrk++] = la;
    v->edited = true;
    sim_symbol(v->m, la, sym, sizeof sym);
    SAY("Breakpoint at %llx %s", (ull)la, sym);
}

static void cmd_delete(struct vz *v, char *arg)
{
    uint64_t la;
    if (!strcmp(arg, "all")) {
        SAY("%u breakpoint%s removed", v->nbrk, v->nbrk == 1 ? "" : "s");
        v->nbrk = 0;
        return;
    }
    if (!*arg) {
        wrong(v, "delete needs an address, a symbol, or all");
        return;
    }
    if (!addr_or_say(v, arg, &la))
        return;
    for (unsigned i = 0; i < v->nbrk; i++)
        if (v->brk[i] == la) {
            memmove(v->brk + i, v->brk + i + 1, (v->nbrk - i - 1) * sizeof *v->brk);
            v->nbrk--;
            SAY("Breakpoint at %llx removed", (ull)la);
            return;
        }
    wrong(v, "There is no breakpoint at %llx", (ull)la);
}

static void cmd_reg(struct vz *v, char *arg)
{
    char *eq = strchr(arg, '=');
    uint64_t val, old;
    if (!need_machine(v))
        return;
    if (eq)
        *eq++ = 0;
    arg = trim(arg);
    for (char *p = arg; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    if (!*arg || !sim_reg_get(v->m, v->cpu, arg, &old)) {
        wrong(v, "'%s' is no register; r rax, r cs.base, r msr.IA32_LSTAR (Tab completes)", arg);
        return;
    }
    if (!eq) {
        SAY("%s = 0x%llx (%llu)", arg, (ull)old, (ull)old);
        return;
    }
    eq = trim(eq);
    if (!parse_value(eq, &val)) {
        wrong(v, "'%s' is no value: decimal, or hexadecimal with 0x", eq);
        return;
    }
    if (v->play.on || v->finished) {
        wrong(v,
              v->finished ? "The scenario has ended: nothing can be changed." : "References are being played; s ends that first.");
        return;
    }
    if (!sim_reg_set(v->m, v->cpu, arg, val)) {
        wrong(v, "%s cannot be written", arg);
        return;
    }
    v->edited = v->poked = true;
    sim_reg_get(v->m, v->cpu, arg, &val);
    SAY("%s = 0x%llx, was 0x%llx", arg, (ull)val, (ull)old);
}

static void write_bytes(struct vz *v, char *list)
{
    uint8_t bytes[64];
    unsigned n = 0;
    for (char *s = trim(list); *s;) {
        char *next = word(s);
        uint64_t b;
        if (n == sizeof bytes || !parse_hex(s, &b) || b > 255) {
            wrong(v, "'%s' is no byte; mem ADDR = 90 90 c3 writes up to 64 hexadecimal bytes", s);
            return;
        }
        bytes[n++] = (uint8_t)b;
        s = next;
    }
    if (v->play.on || v->finished || !n) {
        wrong(v, !n ? "No bytes given" : "Nothing can be changed now.");
        return;
    }
    uint64_t done = sim_poke(v->m, v->cpu, (enum sim_space)v->pane[VZ_V_mem].sel, v->mem_addr, bytes, n);
    if (done < n)
        wrong(v, "Only %llu of %u bytes written: the rest is not mapped", (ull)done, n);
    else
        SAY("%u byte%s written at %llx", n, n == 1 ? "" : "s", (ull)v->mem_addr);
    v->edited |= done > 0;
    v->poked |= done > 0;
}

static void cmd_mem(struct vz *v, char *arg)
{
    static const char space[] = "lgh";
    uint64_t a;
    if (!need_machine(v))
        return;
    char *eq = strchr(arg, '=');
    if (eq)
        *eq++ = 0;
    arg = trim(arg);
    int sel = v->pane[VZ_V_mem].sel;
    if (arg[0] && arg[1] == ':' && strchr(space, arg[0])) {
        sel = (int)(strchr(space, arg[0]) - space);
        arg += 2;
    }
    if (*arg) {
        if (!addr_or_say(v, arg, &a))
            return;
        v->mem_addr = a;
    }
    v->pane[VZ_V_mem].sel = sel;
    vz_show(v, VZ_V_mem);
    if (eq)
        write_bytes(v, eq);
}

static void show_field(struct vz *v, unsigned f)
{
    struct vz_pane *p = &v->pane[VZ_V_vmcs];
    int row = 0;
    for (unsigned i = 0; i < f; i++)
        row += vmcs_field_info[i].group == vmcs_field_info[f].group;
    p->sel = vmcs_field_info[f].group;
    p->cursor = row;
    vz_show(v, VZ_V_vmcs);
}

static void cmd_vmcs(struct vz *v, char *arg)
{
    char *eq = strchr(arg, '=');
    uint64_t val;
    if (!need_machine(v))
        return;
    if (eq)
        *eq++ = 0;
    arg = trim(arg);
    if (!*arg) {
        vz_show(v, VZ_V_vmcs);
        return;
    }
    int f = vmcs_by_name(arg);
    if (f < 0 && isdigit((unsigned char)*arg) && parse_value(arg, &val))
        f = vmcs_by_encoding((uint32_t)val);
    if (f < 0) {
        const char *near = vmcs_nearest_name(arg);
        wrong(v, "The VMCS has no field '%s'%s%s%s", arg, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        return;
    }
    show_field(v, (unsigned)f);
    if (!eq)
        return;
    if (!parse_value(trim(eq), &val)) {
        wrong(v, "'%s' is no value: decimal, or hexadecimal with 0x", trim(eq));
        return;
    }
    if (v->play.on || v->finished || !sim_vmcs_write(v->m, v->cpu, vmcs_field_info[f].encoding, val)) {
        wrong(v, sim_vmcs(v->m, v->cpu) ? "%s cannot be written now" : "There is no current VMCS to hold %s",
              vmcs_field_info[f].name);
        return;
    }
    v->edited = v->poked = true;
    SAY("%s = 0x%llx", vmcs_field_info[f].name, (ull)sim_vmcs(v->m, v->cpu)->f[f]);
}

struct dropped {
    unsigned by_unit[TLB_NUNIT];
};
static void count_dropped(void *ctx, const struct tlb_entry *e) { ((struct dropped *)ctx)->by_unit[e->unit]++; }

static void tlb_preview(struct vz *v, const char *what)
{
    struct dropped d = {0};
    struct sim_error err = {0};
    int n = sim_tlb_preview(v->m, v->cpu, what, count_dropped, &d, &err);
    char text[160] = "";
    if (n < 0) {
        wrong(v, "%s", err.what);
        return;
    }
    for (unsigned unit = 0, len = 0; unit < TLB_NUNIT && len < sizeof text; unit++)
        if (d.by_unit[unit])
            len += (unsigned)snprintf(text + len, sizeof text - len, "%s%u %s", len ? ", " : ": ", d.by_unit[unit],
                                      tlb_unit_name((enum tlb_unit)unit));
    SAY("%s would drop %d entr%s%s", what, n, n == 1 ? "y" : "ies", text);
}

static void cmd_tlb(struct vz *v, char *arg)
{
    if (!need_machine(v))
        return;
    const struct tlb_entry *e;
    unsigned pos = 0, row = 0, stale = 0;
    uint64_t la = 0;
    vz_show(v, VZ_V_tlb);
    v->pane[VZ_V_tlb].sel = 0;
    if (!*arg)
        return;
    if (!strncmp(arg, "preview ", 8)) {
        tlb_preview(v, arg + 8);
        return;
    }
    bool want_stale = !strcmp(arg, "stale");
    if (!want_stale && !addr_or_say(v, arg, &la))
        return;
    int found = -1;
    for (; (e = tlb_next(sim_tlb(v->m, v->cpu), &pos)); row++) {
        bool hit = want_stale ? e->stale : la >> e->page_shift == e->tag >> e->page_shift;
        stale += e->stale;
        if (hit && found < 0)
            found = (int)row;
    }
    if (found >= 0)
        v->pane[VZ_V_tlb].cursor = found;
    if (want_stale)
        SAY("%u stale entr%s", stale, stale == 1 ? "y" : "ies");
    else if (found < 0)
        wrong(v, "No TLB entry translates %llx", (ull)la);
}

static void cmd_walk(struct vz *v, char *arg)
{
    if (!need_machine(v))
        return;
    char *acc = word(arg);
    uint64_t la;
    vz_show(v, VZ_V_walk);
    v->pane[VZ_V_walk].sel = 0;
    if (!*arg) {
        v->walk_chosen = false;
        return;
    }
    if (!addr_or_say(v, arg, &la))
        return;
    v->walk_chosen = true;
    v->walk_la = la;
    v->walk_acc = *acc == 'w' ? ISA_ACC_W : *acc == 'x' ? ISA_ACC_X : ISA_ACC_R;
}

static bool can_run(struct vz *v)
{
    if (v->finished || !v->m)
        wrong(v, "The scenario has ended: nothing left to run.");
    else if (v->play.on)
        vz_play_end(v);
    return v->m && !v->finished;
}

static void cmd_go_to(struct vz *v, char *arg)
{
    uint64_t n;
    if (!can_run(v))
        return;
    if (!strncmp(arg, "cycle ", 6)) {
        char t[64];
        unsigned o = 0;
        for (char *p = arg + 6; *p && o + 1 < sizeof t; p++) // as printed: 48,112
            if (*p != ',' && *p != ' ')
                t[o++] = *p;
        t[o] = 0;
        if (!parse_value(t, &n) || n <= sim_now(v->m)) {
            wrong(v, "goto cycle needs a cycle later than now; S, X and U go back");
            return;
        }
        vz_set_goal(v, VZ_GOAL_CYCLE, n);
        return;
    }
    if (!*arg) {
        wrong(v, "goto needs an address, or: goto cycle N");
        return;
    }
    if (!addr_or_say(v, arg, &n))
        return;
    vz_set_goal(v, VZ_GOAL_RIP, 0);
    v->goal_rip = n;
}

static void cmd_step(struct vz *v, char *arg)
{
    uint64_t n = 1;
    if (*arg && (!parse_value(arg, &n) || !n || n > UINT64_MAX / 2)) {
        wrong(v, "step needs a number of instructions");
        return;
    }
    if (can_run(v))
        vz_set_goal(v, VZ_GOAL_STEP, n);
}

static void cmd_cpu(struct vz *v, char *arg)
{
    uint64_t n;
    if (!v->m) {
        wrong(v, "There is no machine now.");
        return;
    }
    if (!*arg || !parse_value(arg, &n) || n >= sim_ncpus(v->m)) {
        if (sim_ncpus(v->m) > 1)
            wrong(v, "cpu needs a processor's number, 0 to %u; shown is %u", sim_ncpus(v->m) - 1, v->cpu);
        else
            wrong(v, "There is one processor, number 0");
        return;
    }
    v->has_before = v->has_before && v->cpu == n;
    v->cpu = (unsigned)n;
}

static void cmd_view(struct vz *v, char *arg)
{
    for (unsigned i = 0; i < VZ_NVIEW; i++)
        if (!strcasecmp(vz_views[i].name, arg)) {
            vz_show(v, (enum vz_view_id)i);
            return;
        }
    wrong(v, "There is no view '%s' (Tab completes)", arg);
}

static void cmd_set(struct vz *v, char *arg)
{
    char *val = word(arg);
    if (!strcmp(arg, "theme")) {
        int n = vz_theme_by_name(val);
        if (n < 0) {
            wrong(v, "Themes: default, light, contrast, colour-blind, mono");
            return;
        }
        v->theme = (unsigned)n;
        if (v->io.theme)
            v->io.theme(v->io.ctx, v->theme);
        SAY("Theme %s: %s", vz_theme_name(v->theme), vz_theme_text(v->theme));
    } else if (!strcmp(arg, "syntax") && (!strcmp(val, "intel") || !strcmp(val, "att"))) {
        v->att = val[0] == 'a';
        SAY("Syntax: %s", val);
    } else
        wrong(v, "set theme NAME, or set syntax intel|att");
}

static void cmd_export(struct vz *v, char *arg)
{
    char name[VZ_EDIT_SIZE + 32];
    if (*arg)
        snprintf(name, sizeof name, "%s", arg);
    else
        snprintf(name, sizeof name, "ringside-%s-%llu.txt", vz_views[v->view].name, (ull)(v->m ? vz_cpu(v)->cycles : 0));
    FILE *f = fopen(name, *arg ? "w" : "wx");
    if (!f) {
        wrong(v, "%s: cannot write: %s", name, strerror(errno));
        return;
    }
    // The whole view, however long it is: drawn into a grid tall enough.
    struct vz_grid g = {.ascii = v->grid.ascii};
    struct vz_pane saved = v->pane[v->view], *p = &v->pane[v->view];
    int rows = p->nrows > v->grid.h ? p->nrows + 1 : v->grid.h;
    char *text = NULL;
    if (vz_grid_resize(&g, v->grid.w > 100 ? v->grid.w : 100, rows < 4000 ? rows : 4000)) {
        struct vz_win w = {.g = &g, .h = g.h, .w = g.w};
        if (!vz_views[v->view].needs_machine || v->m)
            vz_views[v->view].draw(v, &w, p);
        text = vz_grid_text(&g);
    }
    *p = saved;
    vz_grid_free(&g);
    size_t n = text ? strlen(text) : 0;
    while (n > 1 && text[n - 2] == '\n')
        n--;
    bool ok = text && fprintf(f, "%s\n\n", vz_views[v->view].title) > 0 && fwrite(text, 1, n, f) == n;
    ok &= fclose(f) == 0;
    free(text);
    if (ok)
        SAY("Written to %s", name);
    else
        wrong(v, "%s: cannot write: %s", name, strerror(errno));
}

static void cmd_why(struct vz *v, char *arg) { vz_show(v, VZ_V_why); }

static void cmd_help(struct vz *v, char *arg)
{
    vz_show(v, VZ_V_help);
    v->pane[VZ_V_help].top = v->pane[VZ_V_help].cursor = 0;
    snprintf(v->filter, sizeof v->filter, "%s", arg);
}

static void cmd_quit(struct vz *v, char *arg)
{
    if (v->edited && !v->finished)
        v->mode = VZ_MODE_CONFIRM;
    else
        v->quit = true;
}

// --- the table

enum complete { COMPLETE_NONE, COMPLETE_ADDR, COMPLETE_REG, COMPLETE_FIELD, COMPLETE_VIEW, COMPLETE_SET, COMPLETE_CMD };
struct row {
    struct vz_cmdrow shown;
    void (*run)(struct vz *v, char *arg);
    enum complete complete;
};
static const struct row rows[] = {
#define CMD(name, fn, args, completion, text) {{name, args, text}, cmd_##fn, COMPLETE_##completion},
#include "visualizer/commands.def"
#undef CMD
};
enum { NROWS = sizeof rows / sizeof *rows };

const struct vz_cmdrow *vz_cmdrow(unsigned n) { return n < NROWS ? &rows[n].shown : NULL; }

// A command by its name, or by a beginning that fits only one.
static void no_command(struct vz *v, const char *name)
{
    const char *names[NROWS + 1] = {NULL};
    for (unsigned n = 0; n < NROWS; n++)
        names[n] = rows[n].shown.name;
    const char *near = cli_nearest(name, names);
    wrong(v, "There is no command '%.30s'%s%s%s; ? lists them, Tab completes", name, near ? " (did you mean " : "",
          near ? near : "", near ? "?)" : "");
}

static const struct row *find(const char *name)
{
    const struct row *hit = NULL;
    size_t n = strlen(name);
    for (unsigned i = 0; i < NROWS; i++) {
        if (!strcmp(rows[i].shown.name, name))
            return &rows[i];
        if (n && !strncmp(rows[i].shown.name, name, n)) {
            if (hit)
                return NULL;
            hit = &rows[i];
        }
    }
    return hit;
}

void vz_command(struct vz *v, const char *line)
{
    char t[VZ_EDIT_SIZE];
    snprintf(t, sizeof t, "%s", line);
    char *name = trim(t);
    if (!*name)
        return;
    char *arg = word(name);
    const struct row *r = find(name);
    if (r)
        r->run(v, arg);
    else
        no_command(v, name);
}

// --- completion

static const char *candidate(enum complete what, unsigned n)
{
    static const char *const settings[] = {"theme", "syntax"};
    switch (what) {
    case COMPLETE_ADDR:
    case COMPLETE_REG: return sim_reg_name(n);
    case COMPLETE_FIELD: return n < VMCS_NFIELD ? vmcs_field_info[n].name : NULL;
    case COMPLETE_VIEW: return n < VZ_NVIEW ? vz_views[n].name : NULL;
    case COMPLETE_SET: return n < 2 ? settings[n] : NULL;
    case COMPLETE_CMD: return n < NROWS ? rows[n].shown.name : NULL;
    default: return NULL;
    }
}

static const char *theme_candidate(unsigned n) { return n < vz_theme_count() ? vz_theme_name(n) : NULL; }

unsigned vz_complete(struct vz *v, const char *line, char *out, unsigned size, char *list, unsigned list_size)
{
    char t[VZ_EDIT_SIZE], common[VZ_EDIT_SIZE] = "";
    snprintf(t, sizeof t, "%s", line);
    char *last = strrchr(t, ' ');
    enum complete what = COMPLETE_CMD;
    bool themes = false;
    if (last) {
        char head[VZ_EDIT_SIZE];
        snprintf(head, sizeof head, "%s", t);
        char *arg = word(head);
        const struct row *r = find(head);
        what = r ? r->complete : COMPLETE_NONE;
        themes = what == COMPLETE_SET && !strncmp(arg, "theme ", 6);
    }
    const char *part = last ? last + 1 : t, *c;
    size_t len = strlen(part);
    unsigned n = 0;
    list[0] = 0;
    for (unsigned i = 0; (c = themes ? theme_candidate(i) : candidate(what, i)); i++) {
        if (strncasecmp(c, part, len))
            continue;
        if (n++ == 0)
            snprintf(common, sizeof common, "%s", c);
        else
            for (size_t k = 0; common[k]; k++)
                if (tolower((unsigned char)common[k]) != tolower((unsigned char)c[k]))
                    common[k] = 0;
        size_t l = strlen(list);
        if (l + strlen(c) + 3 < list_size)
            snprintf(list + l, list_size - l, "%s%s", l ? " " : "", c);
    }
    if (n <= 1)
        list[0] = 0;
    if (n)
        snprintf(out, size, "%.*s%s%s", (int)(part - t), t, common, n == 1 && !last ? " " : "");
    return n;
}
