// visualizer/golden_test.c: golden screens and golden DOT: visualizer/golden/*. VZ_UPDATE_GOLDEN=1 writes them anew.
// Screens are text, as a terminal without colour would show them. Cycle numbers are set before they are shown, so that a new cost
// model does not touch them.
#include "visualizer/dot.h"
#include "visualizer/testkit.h"

static void compare(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "visualizer/golden/%s", name);
    if (getenv("VZ_UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        return;
    }
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing: run the tests from the top folder; VZ_UPDATE_GOLDEN=1 writes it", path);
    char *want = calloc(1, 1 << 20);
    size_t n = fread(want, 1, (1 << 20) - 1, f);
    fclose(f);
    if (strlen(text) != n || memcmp(text, want, n)) {
        unsigned line = 1, i = 0;
        while (text[i] && text[i] == want[i])
            line += text[i++] == '\n';
        print_message("%s differs first in line %u; it is now:\n%s\n", path, line, text);
        free(want);
        fail_msg("%s differs; if that is right: VZ_UPDATE_GOLDEN=1", path);
    }
    free(want);
}

static void calm(struct vz *v)
{
    struct vz_log *logs[] = {&v->log, &v->paging, &v->exits};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = 0; k < vz_log_count(logs[i]); k++)
            logs[i]->ent[k].e.cycle = 1000 + 10 * k;
    v->last.e.cycle = v->report.cycle = 48112;
    for (unsigned i = 0; i < VMX_MAX_FAILURES; i++)
        if (v->report.failure[i].writer_cycle)
            v->report.failure[i].writer_cycle = 31870;
    v->play.cpu.cycles = 48112;
    if (v->m) {
        sim_cpu(v->m, 0)->cycles = 48112;
        for (unsigned p = 0; v->m; p++) {
            struct tlb_entry *e = (struct tlb_entry *)tlb_next(sim_tlb(v->m, 0), &p);
            if (!e)
                break;
            e->filled_at = 48000;
            p--;
        }
    }
}

// The screen after keys, in a drive that stays open: the keys run out, which would end it, so the picture is taken at the last paint.
struct shot {
    struct kit kit;
    struct vz *v;
    char *text;
};
static void shot_paint(void *ctx, const struct vz_grid *g, int row, int col)
{
    struct shot *s = ctx; // kit is its first member
    if (*s->kit.keys)
        return;
    calm(s->v);
    vz_draw_frame(s->v);
    free(s->text);
    s->text = vz_grid_text(g);
}

static void shoot(const char *name, int w, int h, bool ascii, const char *keys, const char *keys2)
{
    struct shot s = {.text = NULL};
    struct sim_until u = {0};
    bool quit;
    struct sim_machine *m = kit_machine();
    if (!strncmp(name, "caches", 6))
        sim_set_fidelity(m, SIM_DETAILED);
    struct vz *v = s.v = kit_open(&s.kit, w, h, ascii);
    v->io.paint = shot_paint;
    vz_narrate(v, "The guest adds, stores, faults, and fails to enter a virtual machine. Each step can be seen.");
    kit_drive(v, m, &u, keys, &quit);
    if (keys2) { // a second drive: what the scenario says in between is shown
        vz_check(v, true, "the sum is right", "9");
        vz_check(v, false, "the guest runs", "VM entry failed");
        vz_mark(v, &(struct sim_mark){.name = "end", .text = "after the VM entry", .m = m});
        kit_drive(v, m, &u, keys2, &quit);
    }
    assert_non_null(s.text);
    compare(name, s.text);
    free(s.text);
    vz_close(v);
    sim_destroy(m);
}

#define TO_LAUNCH ":goto 100099\r"
static void screens_80x24(void **state)
{
    shoot("code-80x24.txt", 80, 24, false, "ssss", NULL);
    shoot("regs-80x24.txt", 80, 24, false, "ssss2", NULL);
    shoot("rings-80x24.txt", 80, 24, false, TO_LAUNCH "3", NULL);
    shoot("gdt-80x24.txt", 80, 24, false, "4", NULL);
    shoot("idt-80x24.txt", 80, 24, false, TO_LAUNCH "5", NULL);
    shoot("tss-80x24.txt", 80, 24, false, "6", NULL);
    shoot("vmcs-80x24.txt", 80, 24, false, TO_LAUNCH ":vmcs GUEST_CR3\r", NULL);
    shoot("tlb-80x24.txt", 80, 24, false, TO_LAUNCH "8", NULL);
    shoot("caches-80x24.txt", 80, 24, false, TO_LAUNCH "C" K_RIGHT, NULL);
    shoot("walk-80x24.txt", 80, 24, false, ":walk data w\r" K_RIGHT, NULL);
    shoot("walk-fault-80x24.txt", 80, 24, false, ":walk 123456789000\r", NULL);
    shoot("mem-80x24.txt", 80, 24, false, ":mem data\rnnnns", NULL);
    shoot("play-80x24.txt", 80, 24, false, ":goto 10000f\rmm", NULL);
    shoot("events-80x24.txt", 80, 24, false, TO_LAUNCH "sE", NULL);
    shoot("exits-80x24.txt", 80, 24, false, TO_LAUNCH "s0", NULL);
    shoot("why-fault-80x24.txt", 80, 24, false, "ew", NULL);
    shoot("why-entry-80x24.txt", 80, 24, false, TO_LAUNCH "sw", NULL);
    shoot("help-80x24.txt", 80, 24, false, "?", NULL);
    shoot("help-filter-80x24.txt", 80, 24, false, "?/vm\r", NULL);
    shoot("story-80x24.txt", 80, 24, false, ":step 3\r", "N");
    shoot("command-80x24.txt", 80, 24, false, ":r ra", NULL);
}

static void screens_120x40(void **state)
{
    shoot("code-120x40.txt", 120, 40, false, "ssss", "s");
    shoot("regs-120x40.txt", 120, 40, false, "ssss2", NULL);
    shoot("walk-120x40.txt", 120, 40, false, ":walk data w\r" K_RIGHT K_RIGHT, NULL);
    shoot("vmcs-120x40.txt", 120, 40, false, TO_LAUNCH "7", NULL);
    shoot("rings-120x40.txt", 120, 40, false, TO_LAUNCH "3", NULL);
    shoot("tlb-120x40.txt", 120, 40, false, TO_LAUNCH "8", NULL);
}

static void screens_ascii(void **state)
{
    shoot("code-ascii.txt", 80, 24, true, "ssss", NULL);
    shoot("walk-ascii.txt", 80, 24, true, ":walk data w\r", NULL);
    shoot("rings-ascii.txt", 80, 24, true, TO_LAUNCH "3", NULL);
    shoot("play-ascii.txt", 80, 24, true, ":goto 10000f\rmm", NULL);
}

static void screen_too_small(void **state)
{
    shoot("small-59x20.txt", 59, 20, false, "s", NULL);
    shoot("least-60x20.txt", 60, 20, false, "s9", NULL);
}

// --- DOT

// The walk of the manual's figures, built by hand: no machine is needed to draw it.
static void make_walk(struct sim_walk *w, unsigned guest, unsigned ept, unsigned guest_leaf, unsigned ept_leaf, unsigned fails_at)
{
    memset(w, 0, sizeof *w);
    w->la = 0x7f0012345678;
    w->guest_levels = (uint8_t)guest;
    w->ept_levels = (uint8_t)ept;
    uint64_t table = 0x101000;
    for (int g = (int)guest; g >= 0; g--) {
        uint64_t index = g ? w->la >> (12 + 9 * (g - 1)) & 511 : 0, gpa = g ? table + index * 8 : 0x12345678;
        for (unsigned e = ept; e >= 1; e--) {
            struct sim_walk_step *s = &w->step[w->refs++];
            uint64_t i = gpa >> (12 + 9 * (e - 1)) & 511;
            *s = (struct sim_walk_step){.number = w->refs,
                                        .ept = true,
                                        .glevel = (uint8_t)g,
                                        .elevel = (uint8_t)e,
                                        .index = i,
                                        .gpa = {gpa},
                                        .at = {0x200000 + (4 - e) * 0x1000 + i * 8},
                                        .entry = 0x201007 + (4 - e) * 0x1000,
                                        .leaf = e == ept_leaf};
            if (e == ept_leaf)
                s->entry = (0x1000000 + (gpa & ~0xfffull)) | 0x37 | (e > 1 ? 0x80 : 0);
            if (w->refs == fails_at) {
                s->failed = true;
                s->entry = 0;
                s->why = "the EPT entry is not present";
                w->outcome = SIM_WALK_EPT_VIOLATION;
                return;
            }
            if (e == ept_leaf)
                break;
        }
        if (!g)
            break;
        struct sim_walk_step *s = &w->step[w->refs++];
        table += 0x1000;
        *s = (struct sim_walk_step){.number = w->refs,
                                    .glevel = (uint8_t)g,
                                    .index = index,
                                    .gpa = {gpa},
                                    .at = {(ept ? 0x1000000 : 0) + gpa},
                                    .entry = table | (g == (int)guest_leaf && g > 1 ? 0xe7 : 0x67),
                                    .leaf = g == (int)guest_leaf};
        if (g == (int)guest_leaf)
            g = 1;
    }
    w->gpa.v = 0x12345678;
    w->hpa.v = 0x13345678;
    w->page_shift = 12;
}

static void draw_to(const char *name, void (*draw)(FILE *, const struct vz_fig *), const struct vz_fig *fig,
                    const struct sim_walk *w)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (w)
        draw_walk_of(f, w, "example", "by hand", 0x101000, 0x20001e);
    else
        draw(f, fig);
    fclose(f);
    compare(name, text);
    free(text);
}

static void dot_walks(void **state)
{
    static const struct {
        const char *name;
        unsigned guest, ept, gleaf, eleaf, fails, refs;
    } t[] = {{"walk-4.dot", 4, 0, 1, 0, 0, 4},   {"walk-24.dot", 4, 4, 1, 1, 0, 24},     {"walk-19.dot", 4, 4, 2, 1, 0, 19},
             {"walk-15.dot", 4, 4, 2, 2, 0, 15}, {"walk-fails.dot", 4, 4, 1, 1, 13, 13}, {"walk-35.dot", 5, 5, 1, 1, 0, 35}};
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        struct sim_walk w;
        make_walk(&w, t[i].guest, t[i].ept, t[i].gleaf, t[i].eleaf, t[i].fails);
        assert_int_equal(w.refs, t[i].refs);
        draw_to(t[i].name, NULL, NULL, &w);
    }
}

static void dot_tables(void **state)
{
    struct sim_machine *m = kit_machine();
    struct sim_mark mark = {
        .name = "here", .text = "a \"quoted\" <text> & more", .m = m, .has_la = true, .la = 0x200010, .acc = ISA_ACC_W};
    struct vz_fig fig = {.mark = &mark, .m = m};
    struct sim_until u = {.has_rip = true, .rip = KIT_LAUNCH, .max_insns = 100000};
    assert_int_equal(sim_run(m, &u).kind, SIM_STOP_UNTIL);
    draw_to("gdt.dot", draw_gdt, &fig, NULL);
    draw_to("idt.dot", draw_idt, &fig, NULL);
    draw_to("tss.dot", draw_tss, &fig, NULL);
    draw_to("vmcs.dot", draw_vmcs, &fig, NULL);
    draw_to("rings.dot", draw_rings, &fig, NULL);
    draw_to("walk-machine.dot", draw_walk, &fig, NULL);
    sim_destroy(m);
}

// Who has which line: shared by two, modified by one, owned by another, and modified in L3 once it is shared.
static void dot_caches_of_processors(void **state)
{
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20, .cpus = 3, .fidelity = SIM_DETAILED}, &err);
    assert_non_null(m);
    struct sim_mark mark = {.name = "here", .m = m};
    struct vz_fig fig = {.mark = &mark, .m = m, .cpu = 1};
    struct caches *h = (struct caches *)sim_caches(m);
    draw_to("caches-cpus-none.dot", draw_caches, &fig, NULL);
    for (unsigned n = 0; n < 2; n++)
        cache_access(h, n, 0x1000, CACHE_LOAD);
    cache_access(h, 2, 0x2000, CACHE_STORE);
    cache_access(h, 1, 0x3000, CACHE_LOAD);
    cache_access(h, 0, 0x4000, CACHE_STORE);
    cache_access(h, 2, 0x4000, CACHE_LOAD);
    draw_to("caches-cpus.dot", draw_caches, &fig, NULL);
    for (unsigned line = 0; line < 20; line++)
        cache_access(h, 1, 0x5000 + line * 64, CACHE_STORE);
    draw_to("caches-cpus-many.dot", draw_caches, &fig, NULL);
    sim_destroy(m);
}

// The same on the screen: one processor's L1D, then who has what. Counts of millions fit, and addresses of 8 digits.
static void screens_caches_of_processors(void **state)
{
    static const struct {
        const char *file, *keys;
        int w, h;
    } t[] = {{"caches-cpus-80x24.txt", ":cpu 1\rC" K_RIGHT, 80, 24}, {"caches-who-80x24.txt", "C" K_LEFT, 80, 24}};
    for (unsigned n = 0; n < 2; n++) {
        struct sim_error err = {0};
        struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 512 << 20, .cpus = 3, .fidelity = SIM_DETAILED}, &err);
        assert_non_null(m);
        struct caches *h = (struct caches *)sim_caches(m);
        for (unsigned cpu = 0; cpu < 2; cpu++)
            cache_access(h, cpu, 0x1000, CACHE_LOAD);
        cache_access(h, 2, 0x1fff2000, CACHE_STORE);
        for (unsigned k = 0; k < 1234567; k++) {
            cache_access(h, k % 2, 0x1ff04000, CACHE_STORE);
            cache_access(h, 1 - k % 2, 0x1ff04040, CACHE_RMW);
        }
        struct shot s = {.text = NULL};
        bool quit;
        struct vz *v = s.v = kit_open(&s.kit, t[n].w, t[n].h, false);
        v->io.paint = shot_paint;
        kit_drive(v, m, &(struct sim_until){0}, t[n].keys, &quit);
        assert_non_null(s.text);
        compare(t[n].file, s.text);
        free(s.text);
        vz_close(v);
        sim_destroy(m);
    }
}

static void dot_caches(void **state)
{
    struct sim_machine *m = kit_machine();
    struct sim_mark mark = {.name = "here", .m = m};
    struct vz_fig fig = {.mark = &mark, .m = m};
    draw_to("caches-none.dot", draw_caches, &fig, NULL);
    sim_set_fidelity(m, SIM_DETAILED);
    assert_int_equal(sim_run(m, &(struct sim_until){.has_rip = true, .rip = KIT_LAUNCH, .max_insns = 100000}).kind, SIM_STOP_UNTIL);
    draw_to("caches.dot", draw_caches, &fig, NULL);
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(screens_80x24),
        cmocka_unit_test(screens_120x40),
        cmocka_unit_test(screens_ascii),
        cmocka_unit_test(screen_too_small),
        cmocka_unit_test(dot_walks),
        cmocka_unit_test(dot_tables),
        cmocka_unit_test(dot_caches),
        cmocka_unit_test(dot_caches_of_processors),
        cmocka_unit_test(screens_caches_of_processors),
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
