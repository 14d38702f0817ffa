// visualizer/ui_test.c: the grid, the command line, the step ladder against plain runs, and a user who presses anything anywhere.
#include "visualizer/testkit.h"

// --- grid

static void grid_clips_and_wraps(void **state)
{
    struct vz_grid g = {.ascii = false};
    assert_true(vz_grid_resize(&g, 10, 3));
    struct vz_win all = {.g = &g, .h = 3, .w = 10}, sub = vz_sub(&all, 1, 6, 5, 50);
    assert_int_equal(sub.h, 2);
    assert_int_equal(sub.w, 4);
    vz_text(&sub, 0, 2, VZ_A_NORMAL, "abcdef");
    vz_text(&all, -1, 0, VZ_A_NORMAL, "no");
    vz_text(&all, 9, 0, VZ_A_NORMAL, "no");
    vz_text(&all, 0, -2, VZ_A_NORMAL, "xyz");
    vz_text(&all, 2, 0, VZ_A_NORMAL, "a\tb\nc");
    char *t = vz_grid_text(&g);
    assert_string_equal(t, "z\n        ab\na.b\n");
    free(t);
    vz_grid_clear(&g);
    assert_int_equal(vz_wrap(&all, 0, 0, 10, VZ_A_NORMAL, "one two three\nfour abcdefghijklm"), 5);
    t = vz_grid_text(&g);
    assert_string_equal(t, "one two\nthree\nfour\n");
    free(t);
    assert_false(vz_grid_resize(&g, 0, 0));
    assert_false(vz_grid_resize(&g, 100000, 100000));
    vz_grid_free(&g);
}

static void grid_speaks_utf8_and_ascii(void **state)
{
    struct vz_grid g = {.ascii = false};
    struct vz_win w = {.g = &g, .h = 1, .w = 12};
    assert_true(vz_grid_resize(&g, 12, 1));
    int c = vz_text(&w, 0, 0, VZ_A_NORMAL,
                    "\xe2\x86\x92\xe6\xbc\xa2x\xcc\x81\xff\xc3"); // arrow, a wide glyph, x with combining accent, garbage
    assert_int_equal(c, 6);
    char *t = vz_grid_text(&g);
    assert_string_equal(t, "\xe2\x86\x92\xe6\xbc\xa2x??\n");
    free(t);
    g.ascii = true;
    vz_grid_clear(&g);
    vz_text(&w, 0, 0, VZ_A_NORMAL, "\xe2\x86\x92\xe2\x94\x80\xe6\xbc\xa2");
    t = vz_grid_text(&g);
    assert_string_equal(t, ">-??\n");
    for (const char *p = t; *p; p++)
        assert_true((unsigned char)*p < 0x80);
    free(t);
    // Every code point survives the trip; malformed bytes advance by one and never pass the end.
    for (uint32_t cp = 1; cp < 0x110000; cp += cp < 0x3000 ? 1 : 257) {
        char u[5];
        const char *p = u;
        if (cp >= 0xd800 && cp < 0xe000)
            continue;
        vz_utf8_put(u, cp);
        assert_int_equal(vz_utf8(&p), cp);
        assert_ptr_equal(p, u + strlen(u));
    }
    const char *bad[] = {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x86", "\xf0\x9f"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *p = bad[i];
        assert_int_equal(vz_utf8(&p), 0xfffd);
        assert_ptr_equal(p, bad[i] + 1);
    }
    vz_grid_free(&g);
}

// --- texts

static void large_pages_have_their_size(void **state)
{
    static const struct {
        bool ept;
        unsigned pde_shift, level;
        const char *size;
    } t[] = {{false, 22, 2, " 4M"}, {false, 21, 2, " 2M"}, {false, 21, 3, " 1G"}, {true, 22, 2, " 2M"}};
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        char flags[64];
        vz_pte_flags(flags, sizeof flags, 0x10000e3, t[i].ept, t[i].pde_shift, t[i].level, true);
        assert_non_null(strstr(flags, t[i].size));
    }
}

// --- commands

static struct vz *open_at_start(struct kit *k, struct sim_machine *m)
{
    static const struct sim_until none;
    struct vz *v = kit_open(k, 80, 24, false);
    vz_run_begin(v, m, &none);
    return v;
}

static void addresses_parse(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t val;
    } t[] = {{"0x10", true, 0x10},
             {"10", true, 0x10},
             {"ffffffff80000000", true, 0xffffffff80000000},
             {"start", true, KIT_START},
             {"start+0x24", true, KIT_LOOP},
             {"loop1-24", true, KIT_START},
             {"rip", true, KIT_START},
             {"RSP+8", true, 0x7c00},
             {"add_up", true, 0x10009d},
             {"", false, 0},
             {"zzz", false, 0},
             {"start+", false, 0},
             {"start+q", false, 0},
             {"0x", false, 0},
             {"1ffffffffffffffff", false, 0},
             {"-5", false, 0}};
    struct kit k;
    struct sim_machine *m = kit_machine();
    struct vz *v = open_at_start(&k, m);
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        uint64_t a = 0;
        if (vz_parse_addr(v, t[i].text, &a) != t[i].ok || a != t[i].val * t[i].ok)
            if (t[i].ok)
                fail_msg("'%s' gives %llx", t[i].text, (unsigned long long)a);
        assert_int_equal(vz_parse_addr(v, t[i].text, &a), t[i].ok);
    }
    vz_run_end(v);
    vz_close(v);
    sim_destroy(m);
}

static void commands_do_what_they_say(void **state)
{
    static const struct {
        const char *line, *message; // a part of the message
    } t[] = {{"r rax=0x1234", "rax = 0x1234, was 0x0"},
             {"r rax", "0x1234 (4660)"},
             {"r AX = 5", "ax = 0x5"},
             {"r cpl=3", "cannot be written"},
             {"r nosuch", "is no register"},
             {"r rax=zz", "is no value"},
             {"break start+24", "Breakpoint at 100024 loop1"},
             {"break loop1", "already"},
             {"break", "1 breakpoint: 100024"},
             {"delete 5", "no breakpoint at 5"},
             {"delete loop1", "removed"},
             {"break qqq", "is no address"},
             {"wlk data", "no command 'wlk' (did you mean walk?)"},
             {"zzzzzzz", "no command 'zzzzzzz'; ?"},
             {"cpu 3", "one processor"},
             {"vmcs NOSUCH", "no field 'NOSUCH'"},
             {"vmcs GUEST_CR3=5", "no current VMCS"},
             {"mem data = 90 c3", "2 bytes written at 200010"},
             {"mem g:200010", ""},
             {"mem = 1 2 zz", "is no byte"},
             {"mem h:fffffffff000 = 1", "Only 0 of 1"},
             {"tlb stale", "0 stale entries"},
             {"tlb preview INVLPG 0x200000", "would drop"},
             {"tlb preview INVLPQ 1", "write INVLPG ADDRESS"},
             {"set theme light", "Theme light"},
             {"set theme x", "Themes:"},
             {"set syntax att", "Syntax: att"},
             {"view gdt", ""},
             {"view nosuch", "no view"},
             {"frobnicate", "no command 'frobnicate'"},
             {"goto", "needs an address"},
             {"goto cycle 0", "later than now"},
             {"step x", "number of instructions"},
             {"export /nonexistent/x", "cannot write"},
             {"s", "no command 's'"},
             {"delete all", "removed"}};
    struct kit k;
    struct sim_machine *m = kit_machine();
    struct vz *v = open_at_start(&k, m);
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        v->message[0] = 0;
        vz_command(v, t[i].line);
        if (!strstr(v->message, t[i].message))
            fail_msg(":%s says '%s', not '%s'", t[i].line, v->message, t[i].message);
    }
    uint64_t val = 0;
    uint8_t b[2];
    assert_true(sim_reg_get(m, 0, "ax", &val));
    assert_int_equal(val, 5);
    sim_peek(m, 0, SIM_LINEAR, 0x200010, b, 2);
    assert_int_equal(b[0] << 8 | b[1], 0x90c3);
    assert_int_equal(v->view, VZ_V_gdt);
    assert_true(v->edited);
    vz_run_end(v);
    vz_close(v);
    sim_destroy(m);
}

static void completion_and_history(void **state)
{
    struct kit k;
    bool quit;
    struct sim_until u = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    char out[VZ_EDIT_SIZE], list[VZ_EDIT_SIZE];
    assert_int_equal(vz_complete(v, "he", out, sizeof out, list, sizeof list), 1);
    assert_string_equal(out, "help ");
    assert_int_equal(vz_complete(v, "vmcs guest_rfl", out, sizeof out, list, sizeof list), 1);
    assert_string_equal(out, "vmcs GUEST_RFLAGS");
    assert_true(vz_complete(v, "vmcs HOST_", out, sizeof out, list, sizeof list) > 10);
    assert_string_equal(out, "vmcs HOST_");
    assert_int_equal(vz_complete(v, "set theme col", out, sizeof out, list, sizeof list), 1);
    assert_string_equal(out, "set theme colour-blind");
    assert_int_equal(vz_complete(v, "step 1", out, sizeof out, list, sizeof list), 0);
    assert_int_equal(vz_complete(v, "", out, sizeof out, list, sizeof list), 16);
    // Two commands; up twice recalls the first, which is then run again.
    kit_drive(v, m, &u, ":r rbx=7\r:r rcx=8\r:r rbx=9\r:" K_UP K_UP K_UP K_ENTER ":xx" K_ESC, &quit);
    uint64_t val;
    assert_true(sim_reg_get(m, 0, "rbx", &val));
    assert_int_equal(val, 7);
    assert_true(quit);
    vz_close(v);
    sim_destroy(m);
}

// --- the ladder: whatever the user does in between, the machine arrives where a plain run arrives

static void check_same(const struct sim_until *u, const char *keys, unsigned drives)
{
    struct sim_machine *a = kit_machine(), *b = kit_machine();
    sim_event_hash_enable(a);
    sim_event_hash_enable(b);
    struct kit k;
    struct vz *v = kit_open(&k, 80, 24, false);
    k.keys = keys;
    for (unsigned i = 0; i < drives; i++) {
        bool quit;
        struct sim_stop x = sim_run(a, u), y = vz_drive(v, b, u, &quit);
        if (quit)
            fail_msg("keys '%s' ran out in drive %u", keys, i + 1);
        if (x.kind != y.kind || x.code != y.code || strcmp(x.text, y.text))
            fail_msg("'%s', drive %u: plain run gives %d/%llu '%s', debugger %d/%llu '%s'", keys, i + 1, x.kind,
                     (unsigned long long)x.code, x.text, y.kind, (unsigned long long)y.code, y.text);
        if (sim_state_hash(a) != sim_state_hash(b) || sim_event_hash(a) != sim_event_hash(b) ||
            sim_cpu(a, 0)->cycles != sim_cpu(b, 0)->cycles)
            fail_msg("'%s', drive %u: states differ; RIP %llx and %llx", keys, i + 1, (unsigned long long)sim_cpu(a, 0)->rip,
                     (unsigned long long)sim_cpu(b, 0)->rip);
    }
    vz_close(v);
    sim_destroy(a);
    sim_destroy(b);
}

static void ladder_arrives_where_a_run_arrives(void **state)
{
    const struct sim_until rip = {.has_rip = true, .rip = KIT_LAUNCH}, insns = {.insns = 37},
                           event = {.events = EV_BIT(EV_EXCEPTION)}, cycles = {.cycles = 900},
                           loop = {.has_rip = true, .rip = KIT_LOOP}, limit = {.max_insns = 50},
                           entry = {.events = EV_BIT(EV_VMENTRY_FAIL)}, end = {.max_cycles = 1000000};
    const struct sim_until *all[] = {&rip, &insns, &event, &cycles, &loop, &limit, &entry, &end};
    static const char *const ways[] = {"c",
                                       "sssssc",
                                       "nnnnnnnnc",
                                       "mmmmmsmmsc",
                                       "eeec",
                                       "xc",
                                       ":step 11\r:step 20\rc",
                                       ":break loop1\rccc:delete all\rc",
                                       ":break loop1\r:break add_up\rccccc:delete all\rc",
                                       ":goto 10002f\rc",
                                       ":goto cycle 300\rc",
                                       "f",
                                       "2s3s4s5sc"};
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        for (unsigned j = 0; j < sizeof ways / sizeof *ways; j++, n++) {
            char keys[400]; // enough to end the drive in any case: the stop that is shown first needs one more
            snprintf(keys, sizeof keys, "%scccccccc", ways[j]);
            check_same(all[i], keys, 1);
        }
    check_same(&loop, "cccccccccccc", 5);
    check_same(&insns, "sscmmmmsccccccccccccc", 4);
    print_message("# %u ways through %zu conditions\n", n, sizeof all / sizeof *all);
}

static void steps_stop_where_they_should(void **state)
{
    static const struct {
        const char *keys;
        uint64_t rip;
    } t[] = {{"s", KIT_START + 5},
             {"nnn", KIT_START + 0xf},
             {"sss", 0x10009d},
             {":goto 100033\rs", 0x1000a4},
             {"e", 0x1000a4},
             {":goto 100033\rm", 0x1000a4},
             {":goto 100033\rms", 0x1000a4},
             {":step 3\r", 0x10009d},
             {":break loop1\rc", KIT_LOOP},
             {":break loop1\rcc", KIT_LOOP},
             {":break data\r:break loop1\rcc", KIT_LOOP},
             {"x", KIT_HLT},
             {":goto add_up\r", 0x10009d},
             {K_DOWN K_DOWN "r", KIT_START + 0xa},
             {"b" K_DOWN K_DOWN K_DOWN "bc", KIT_START + 0xf}};
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        struct kit k;
        bool quit;
        const struct sim_until none = {0};
        struct sim_machine *m = kit_machine();
        struct vz *v = kit_open(&k, 80, 24, false);
        kit_drive(v, m, &none, t[i].keys, &quit);
        assert_true(quit);
        uint64_t now = sim_cpu(m, 0)->rip;
        if (now != t[i].rip)
            fail_msg("'%s' ends at %llx, not %llx", t[i].keys, (unsigned long long)now, (unsigned long long)t[i].rip);
        vz_close(v);
        sim_destroy(m);
    }
}

static void quitting_asks_only_if_something_would_be_lost(void **state)
{
    struct kit k;
    bool quit;
    const struct sim_until none = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    kit_drive(v, m, &none, "sqss", &quit);
    assert_true(quit);
    assert_string_equal(k.keys, "ss"); // gone at q
    kit_drive(v, m, &none, ":break loop1\rqnsqys", &quit);
    assert_true(quit);
    assert_string_equal(k.keys, "s");
    assert_int_equal(sim_cpu(m, 0)->insns, 2);
    vz_close(v);
    sim_destroy(m);
}

static void a_key_interrupts_a_run(void **state)
{
    static const uint8_t forever[] = {0xeb, 0xfe};
    struct kit k;
    bool quit;
    const struct sim_until none = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    kit_poke(m, KIT_START, forever, 2);
    struct sim_stop s = kit_drive(v, m, &none, "c" K_CTRLC "q", &quit);
    assert_true(quit);
    assert_int_equal(s.kind, SIM_STOP_REQUEST);
    assert_true(sim_cpu(m, 0)->insns > 1000);
    vz_close(v);
    sim_destroy(m);
}

// The log says of each refused entry what was wrong with that one; a field that no instruction wrote has no instruction to blame.
static void each_refused_entry_is_told_apart(void **state)
{
    struct kit k;
    bool quit;
    const struct sim_until launch = {.has_rip = true, .rip = KIT_LAUNCH}, entry = {.events = EV_BIT(EV_VMENTRY_FAIL)};
    char first[100], then[100];
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    sim_cpu(m, 0)->idtr = (struct isa_dtr){KIT_IDT, 0xff};
    sim_run(m, &launch);
    kit_drive(v, m, &entry, "c", &quit);
    vz_log_text(v, vz_log_at(&v->exits, 0), first, sizeof first);
    assert_non_null(strstr(first, "entry refused: E-CT-001 and "));
    uint64_t pin = 0;
    sim_reg_get(m, 0, "msr.IA32_VMX_PINBASED_CTLS", &pin);
    sim_vmcs_write(m, 0, vmcs_field_info[VF_PIN_BASED_VM_EXEC_CONTROL].encoding, pin & 0xffffffff);
    sim_vmcs_write(m, 0, vmcs_field_info[VF_CR3_TARGET_COUNT].encoding, 5);
    sim_reg_set(m, 0, "rip", KIT_LAUNCH);
    kit_drive(v, m, &entry, "c", &quit);
    vz_log_text(v, vz_log_at(&v->exits, 1), then, sizeof then);
    assert_null(strstr(then, "E-CT-001"));
    vz_log_text(v, vz_log_at(&v->exits, 0), then, sizeof then);
    assert_string_equal(first, then);
    char *why = vz_why_text(v);
    assert_non_null(strstr(why, "set by   the scenario"));
    free(why);
    vz_close(v);
    sim_destroy(m);
}

// The same fault again and again is noticed; a plain run would go on for ever.
static void no_progress_is_told(void **state)
{
    static const uint8_t ud[] = {0x0f, 0x0b}, iret[] = {0x48, 0xcf};
    struct kit k;
    bool quit;
    const struct sim_until none = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    sim_cpu(m, 0)->idtr = (struct isa_dtr){KIT_IDT, 0xff};
    kit_poke(m, KIT_START, ud, 2);
    kit_poke(m, 0x1000a4, iret, 2);
    kit_drive(v, m, &none, "c", &quit);
    assert_non_null(strstr(v->message, "No progress"));
    vz_close(v);
    sim_destroy(m);
}

// What stands before an instruction is decoded so that places where the processor has stopped begin instructions, too.
static void code_begins_where_it_was_seen_to_begin(void **state)
{
    static const uint8_t mov[] = {0xb8, 0x34, 0x12, 0x00, 0x00, 0x90, 0x90}; // behind 00: also add [rax+1234], bh
    struct kit k;
    bool quit, there = false;
    const struct sim_until none = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    kit_poke(m, 0x150000, mov, sizeof mov);
    sim_reg_set(m, 0, "rip", 0x150000);
    kit_drive(v, m, &none, "2s1", &quit);
    for (unsigned i = 0; i < v->ncode; i++) {
        assert_int_not_equal(v->code_line[i], 0x14ffff);
        there |= v->code_line[i] == 0x150000;
    }
    assert_true(there);
    vz_close(v);
    sim_destroy(m);
}

static void shutdown_is_shown_before_the_scenario_gets_it(void **state)
{
    struct kit k;
    bool quit;
    const struct sim_until none = {0};
    struct sim_machine *m = kit_machine();
    struct vz *v = kit_open(&k, 80, 24, false);
    uint8_t ud[] = {0x0f, 0x0b};
    kit_poke(m, KIT_START, ud, 2); // the IDT is empty
    struct sim_stop s = kit_drive(v, m, &none, "cwsc", &quit);
    assert_int_equal(s.kind, SIM_STOP_SHUTDOWN);
    char *t = vz_why_text(v);
    assert_non_null(strstr(t, "TRIPLE FAULT"));
    assert_non_null(strstr(t, "first    #UD"));
    assert_non_null(strstr(t, "then     the delivery looked up IDT entry 6 at"));
    assert_non_null(strstr(t, "together #DF"));
    free(t);
    vz_close(v);
    sim_destroy(m);
}

// --- anyone, anything

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void hostile(struct sim_machine *m, uint64_t *s)
{
    struct isa_cpu *c = sim_cpu(m, 0);
    for (unsigned i = 0; i < 16; i++)
        c->gpr[i] = rnd(s);
    if (rnd(s) & 1)
        c->gdtr = (struct isa_dtr){rnd(s), (uint16_t)rnd(s)};
    if (rnd(s) & 1)
        c->idtr = (struct isa_dtr){rnd(s) & 1 ? rnd(s) : 0, (uint16_t)rnd(s)};
    if (rnd(s) & 1)
        c->cr3 = rnd(s) & (rnd(s) & 1 ? ~0ull : 0xffffff);
    if (rnd(s) & 1)
        c->seg[ISA_TR] =
            (struct isa_seg){.sel = (uint16_t)rnd(s), .base = rnd(s), .limit = (uint32_t)rnd(s), .ar = (uint32_t)rnd(s) & 0x1ffff};
    if (rnd(s) & 1)
        c->rip = rnd(s);
    if (rnd(s) % 4 == 0)
        c->seg[ISA_CS].ar = rnd(s) & 0xffff;
    if (rnd(s) % 8 == 0)
        c->cr0 = rnd(s) & 0x80000001;
    sim_touch(m, 0);
}

static void anyone_may_press_anything(void **state)
{
    static const char keys[] = "snmxecrbwfat/123456789"
                               "0MNE?:jkhl \t\r" K_UP K_DOWN K_LEFT K_RIGHT K_PGDN K_PGUP K_ESC;
    static const char *const lines[] = {":walk ffff800000000000\r",
                                        ":mem 0\r",
                                        ":mem h:ffffffffffffffff\r",
                                        ":break start\r",
                                        ":vmcs GUEST_CR3=1\r",
                                        ":step 30\r",
                                        ":tlb 5\r",
                                        ":r rip=0x100000\r"};
    uint64_t s = 0x9e3779b97f4a7c15;
    unsigned pressed = 0;
    for (unsigned round = 0; round < 40; round++) {
        struct kit k;
        bool quit;
        char feed[600];
        size_t n = 0;
        while (n < 400)
            if (rnd(&s) % 12 == 0)
                n += (size_t)sprintf(feed + n, "%s", lines[rnd(&s) % (sizeof lines / sizeof *lines)]);
            else
                feed[n++] = keys[rnd(&s) % (sizeof keys - 1)];
        feed[n] = 0;
        struct sim_machine *m = kit_machine();
        struct vz *v = kit_open(&k, (int)(rnd(&s) % 140) + 1, (int)(rnd(&s) % 50) + 1, rnd(&s) & 1);
        const struct sim_until u = {.max_insns = 20000};
        if (round & 1)
            hostile(m, &s);
        k.keys = feed;
        for (unsigned d = 0; d < 20 && *k.keys; d++) {
            vz_narrate(v, "and \xff so \xe2\x86\x92 on");
            vz_drive(v, m, &u, &quit);
            v->quit = false;
            k.w = (int)(rnd(&s) % 140) + 1;
            pressed++;
        }
        k.keys = "12345?" K_ESC "N";
        vz_finish(v, m, "done");
        vz_close(v);
        sim_destroy(m);
    }
    print_message("# %u drives under random keys\n", pressed);
}

// Each unit of the TLB can be told from the others in the first column of its view.
static void units_of_the_tlb_can_be_told_apart(void **state)
{
    struct kit k;
    struct vz *v = kit_open(&k, 80, 24, false);
    struct sim_machine *m = kit_machine();
    struct vz_pane pane = {.sel = 0};
    struct vz_grid g = {0};
    struct vz_win w = {.g = &g, .h = 24, .w = 80};
    char seen[TLB_NUNIT][8];
    unsigned pos = 0;
    sim_run(m, &(struct sim_until){.insns = 1});
    struct tlb_entry *e = (struct tlb_entry *)tlb_next(sim_tlb(m, 0), &pos);
    assert_non_null(e);
    const uint8_t was = e->unit;
    v->m = m;
    for (unsigned u = 0; u < TLB_NUNIT; u++) {
        assert_true(vz_grid_resize(&g, 80, 24));
        e->unit = (uint8_t)u;
        vz_view_tlb(v, &w, &pane);
        char *text = vz_grid_text(&g), *row = strchr(text, '\n') + 1;
        snprintf(seen[u], sizeof seen[u], "%.7s", row + 1);
        assert_int_equal(row[7], ' '); // it ends before the page begins
        assert_int_not_equal(row[8], ' ');
        for (unsigned other = 0; other < u; other++)
            assert_string_not_equal(seen[u], seen[other]);
        free(text);
    }
    e->unit = was;
    v->m = NULL;
    vz_grid_free(&g);
    vz_close(v);
    sim_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_clips_and_wraps),
        cmocka_unit_test(grid_speaks_utf8_and_ascii),
        cmocka_unit_test(large_pages_have_their_size),
        cmocka_unit_test(addresses_parse),
        cmocka_unit_test(commands_do_what_they_say),
        cmocka_unit_test(completion_and_history),
        cmocka_unit_test(ladder_arrives_where_a_run_arrives),
        cmocka_unit_test(steps_stop_where_they_should),
        cmocka_unit_test(quitting_asks_only_if_something_would_be_lost),
        cmocka_unit_test(a_key_interrupts_a_run),
        cmocka_unit_test(each_refused_entry_is_told_apart),
        cmocka_unit_test(no_progress_is_told),
        cmocka_unit_test(code_begins_where_it_was_seen_to_begin),
        cmocka_unit_test(shutdown_is_shown_before_the_scenario_gets_it),
        cmocka_unit_test(units_of_the_tlb_can_be_told_apart),
        cmocka_unit_test(anyone_may_press_anything),
    };
    return cmocka_run_group_tests_name("ui", tests, NULL, NULL);
}
