// Tests of the GDB server: the protocol over a scripted stream in lock-step, and over a socketpair with the client in another thread.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/gdb_internal.h"
#include "sim/loader.h"

#define CODE 0x100000u

// Three turns of a loop that writes 110000H and reads 110004H; then the guest ends with (3 << 1) | 1 = 7.
static const uint8_t turns[] = {
    0xb9, 3,    0,    0,    0,          // 100000 mov ecx, 3
    0xff, 0x04, 0x25, 0,    0, 0x11, 0, // 100005 inc dword [110000H]
    0x8b, 0x04, 0x25, 4,    0, 0x11, 0, // 10000c mov eax, [110004H]
    0xe2, 0xf0,                         // 100013 loop 100005H
    0xb0, 3,    0xe6, 0xf4,             // 100015 mov al, 3; out 0f4h, al
    0xf4,                               // 100019 hlt
};
static const uint8_t endless[] = {0x48, 0xff, 0xc0, 0xeb, 0xfb}; // inc rax; jmp $-3
static const uint8_t broken[] = {0x90, 0x0f, 0x0b};              // nop; ud2, without an IDT

static struct sim_machine *boot(const uint8_t *code, unsigned n, enum sim_start start)
{
    struct sim_error err;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20}, &err);
    assert_non_null(m);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = start, .addr = start == SIM_START_REAL ? 0x7c00 : CODE};
    assert_int_equal(sim_load_bytes(m, "test", code, n, &l, NULL, &err), 0);
    return m;
}

// --- a stream that plays a script: one line is sent each time the server waits, and what it sends before the next wait is compared

struct line {
    const char *send; // the body of a packet; from a '!' on: bytes as they stand
    const char *want; // packets joined by '|'; a '*' at the end: and whatever follows. NULL: anything
};
struct script {
    const struct line *line;
    unsigned n, at;
    bool raw;        // compare acknowledgements and frames too
    unsigned polls;  // while the guest runs: interrupt at this one
    char got[80000]; // since the last line
    unsigned got_n;
};

static void packet(const char *body, char *out)
{
    uint8_t sum = 0;
    for (const char *p = body; *p; p++)
        sum = (uint8_t)(sum + (uint8_t)*p);
    sprintf(out, "$%s#%02x", body, sum);
}

static void compare(struct script *s)
{
    if (!s->at)
        return;
    const struct line *l = &s->line[s->at - 1];
    char *joined = calloc(1, s->got_n + 1);
    unsigned n = 0;
    for (unsigned k = 0; k < s->got_n; k++) {
        char c = s->got[k];
        if (s->raw) {
            joined[n++] = c;
        } else if (c == '$') {
            if (n)
                joined[n++] = '|';
        } else if (c == '#') {
            k += 2;
        } else if (n || c != '+') {
            joined[n++] = c;
        }
    }
    joined[n] = 0;
    s->got_n = 0;
    size_t want = l->want ? strlen(l->want) : 0;
    bool prefix = want && l->want[want - 1] == '*';
    if (l->want && (prefix ? strncmp(joined, l->want, want - 1) : strcmp(joined, l->want)))
        fail_msg("%s: got \"%.300s\", wanted \"%s\"", l->send, joined, l->want);
    free(joined);
}

static long script_read(void *ctx, void *buf, unsigned n, int ms)
{
    struct script *s = ctx;
    if (ms == 0) { // the guest runs
        if (!s->polls || --s->polls)
            return 0;
        *(char *)buf = 3;
        return 1;
    }
    compare(s);
    if (s->at == s->n)
        return -1;
    const char *send = s->line[s->at++].send;
    char frame[1000];
    if (*send == '!')
        strcpy(frame, send + 1);
    else
        packet(send, frame);
    assert_true(strlen(frame) <= n);
    memcpy(buf, frame, strlen(frame));
    return (long)strlen(frame);
}

static bool script_write(void *ctx, const void *buf, unsigned n)
{
    struct script *s = ctx;
    assert_true(s->got_n + n < sizeof s->got);
    memcpy(s->got + s->got_n, buf, n);
    s->got_n += n;
    return true;
}

static struct sim_stop play_until(struct script *s, struct sim_machine *m, const struct sim_until *u, bool *quit)
{
    const struct gdb_io io = {s, script_read, script_write};
    struct gdb *g = gdb_create(&io, NULL, NULL);
    assert_non_null(g);
    *quit = false;
    struct sim_stop stop = gdb_drive(g, m, u, quit);
    if (!*quit)
        gdb_finish(g, gdb_exit_code(&stop));
    compare(s);
    assert_int_equal(s->at, s->n);
    gdb_destroy(g);
    return stop;
}
static struct sim_stop play(struct script *s, struct sim_machine *m, bool *quit)
{
    return play_until(s, m, &(struct sim_until){.max_insns = 1000000000}, quit);
}
#define PLAY(m, quit, ...)                                                                                                         \
    ({                                                                                                                             \
        static const struct line lines_[] = {__VA_ARGS__};                                                                         \
        static struct script script_;                                                                                              \
        script_ = (struct script){.line = lines_, .n = sizeof lines_ / sizeof *lines_};                                            \
        play(&script_, m, quit);                                                                                                   \
    })

// --- tests

static void test_queries(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    struct sim_stop s =
        PLAY(m, &quit, {"qSupported:swbreak+;xmlRegisters=i386", "PacketSize=4000;qXfer:features:read+*"}, {"?", "T05thread:1;*"},
             {"vCont?", "vCont;c;C;s;S"}, {"vMustReplyEmpty", ""}, {"bs", ""}, {"bc", ""}, {"!$bs#d5", ""}, {"qAttached", "1"},
             {"qC", "QC1"}, {"qfThreadInfo", "m1"}, {"qsThreadInfo", "l"},
             {"qThreadExtraInfo,1", "70726f636573736f7220302c2036342d6269742c2043504c2030"}, {"qThreadExtraInfo,2", "E01"},
             {"Hg0", "OK"}, {"Hc-1", "OK"}, {"Hg1", "OK"}, {"Hg2", "E01"}, {"Hx1", "E01"}, {"T1", "OK"}, {"T9", "E01"},
             {"!$#00", ""}, {"R00", ""}, {"qXfer:features:read:other.xml:0,10", "E00"}, {"qXfer:features:read:target.xml:0", "E00"},
             {"qXfer:features:read:target.xml:ffffff,10", "l"}, {"qXfer:features:read:target.xml:0,5", "m<?xml"},
             {"qXfer:memory-map:read::0,10", ""}, {"QStartNoAckMode", "OK"}, {"qC", "QC1"}, {"!-", ""}, {"k", ""});
    assert_true(quit);
    assert_int_equal(s.kind, SIM_STOP_REQUEST);
    assert_string_equal(s.text, "GDB killed it");
    assert_int_equal(sim_cpu(m, 0)->insns, 0);
    sim_destroy(m);
}

// The description is well-formed as far as numbers go: every register once, in order, its sizes those of a "g" reply.
static void description(const char *profile)
{
    struct sim_error err;
    struct gdb g = {.m = sim_create(&(struct sim_config){.ram_bytes = 4 << 20, .profile = profile}, &err)};
    assert_non_null(g.m);
    char *xml = malloc(65536), *p = xml;
    struct gdb_text t = {.p = xml, .size = 65536};
    unsigned n = 0, bits, num;
    gdb_target_xml(&g, &t);
    assert_true(t.n < 65535 && t.n < sizeof g.console);
    for (; (p = strstr(p, "<reg name=\"")); n++) {
        assert_int_equal(sscanf(p, "<reg name=\"%*[a-z0-9_]\" bitsize=\"%u\" type=\"%*[a-z0-9_]\" regnum=\"%u\"", &bits, &num), 2);
        assert_int_equal(num, n);
        assert_int_equal(bits, 8 * gdb_reg_bytes(n));
        p++;
    }
    assert_int_equal(n, gdb_nregs(&g));
    static const char *const must[] = {"org.gnu.gdb.i386.core",
                                       "org.gnu.gdb.i386.sse",
                                       "org.ringside.system",
                                       "\"cr0\"",
                                       "\"cr8\"",
                                       "\"efer\"",
                                       "\"gdtr_limit\"",
                                       "\"idtr_base\"",
                                       "\"ldtr\"",
                                       "\"tr_base\"",
                                       "\"cs_base\"",
                                       "\"cpl\"",
                                       "\"vpid\"",
                                       "\"eptp\"",
                                       "\"vmcs_ptr\"",
                                       "group=\"system\""};
    for (unsigned k = 0; k < sizeof must / sizeof *must; k++)
        assert_non_null(strstr(xml, must[k]));
    const bool mpx = !strcmp(profile, "skylake-2015");
    assert_true(mpx == !!strstr(xml, "org.gnu.gdb.i386.mpx") && mpx == !!strstr(xml, "\"bnd3raw\""));
    for (unsigned k = 0; k < n; k++) { // what is read can be written back
        uint8_t b[16];
        gdb_reg_read(&g, k, b);
        assert_true(gdb_reg_write(&g, k, b));
    }
    free(xml);
    sim_destroy(g.m);
}
static void test_description(void **state)
{
    description("teach");
    description("skylake-2015"); // has MPX
}

static void test_registers(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    PLAY(m, &quit, {"p10", "0000100000000000"}, {"P0=8877665544332211", "OK"}, {"p0", "8877665544332211"}, {"pff", "E01"},
         {"p", "E01"}, {"p0x", "E01"}, {"P0=88", "E01"}, {"P0", "E01"}, {"Pfff=00", "E01"},
         {"P28=000102030405060708090a0b0c0d0e0f", "OK"}, {"p28", "000102030405060708090a0b0c0d0e0f"},
         {"P18=0000000000000080ff3f", "OK"}, {"p18", "0000000000000080ff3f"}, {"P10=0c00100000000000", "OK"}, {"G", "E01"},
         {"Gzz", "E01"}, {"G0102030405060708", "OK"}, {"g", "0102030405060708*"}, {"G010203", "E01"}, {"D", "OK"});
    assert_false(quit);
    sim_destroy(m);
    m = boot(turns, sizeof turns, SIM_START_LONG64);
    PLAY(m, &quit, {"s10000c", "T05*"}, {"p10", "1300100000000000"}, {"sxx", "E01"}, {"k", ""});
    assert_true(quit);
    sim_destroy(m);
}

static void test_memory(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    PLAY(m, &quit, {"m100000,5", "b903000000"}, {"m100000,0", "E14"}, {"m7fffffffffff,1", "E14"},
         {"m3ffffe,ffffffffffffffff", "0000"}, {"m8000000000000000,10", "E14"}, {"m100000", "E01"}, {"m,", "E01"},
         {"m100000,5x", "E01"}, {"m10000000000000000,1", "E01"}, {"M110010,3:a1b2c3", "OK"}, {"m110010,4", "a1b2c300"},
         {"M110010,3:a1b2", "E01"}, {"M110010,1:a1b2", "E01"}, {"M110010,ffffffffffffffff:a1", "E01"}, {"M110010:a1", "E01"},
         {"M3fffff,2:1122", "E14"}, {"m3fffff,1", "00"}, {"X110020,0:", "OK"}, {"X110020,2:}\x03Q", "OK"}, {"m110020,2", "2351"},
         {"X110020,5:ab", "E01"}, {"X", "E01"}, {"k", ""});
    sim_destroy(m);
}

// Breakpoints stop at every visit, cost no byte of guest memory, and do not hold the guest where it resumes.
static void test_breakpoints(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    struct sim_stop s =
        PLAY(m, &quit, {"qSupported:swbreak+;hwbreak+", NULL}, {"Z0,10000c,1", "OK"}, {"c", "T05swbreak:;thread:1;*"},
             {"p10", "0c00100000000000"}, {"m10000c,3", "8b0425"}, {"m110000,4", "01000000"}, {"vCont;c", "T05swbreak:;*"},
             {"m110000,4", "02000000"}, {"z0,10000c,1", "OK"}, {"Z1,10000c,1", "OK"}, {"C05", "T05hwbreak:;*"},
             {"p1", "0000000000000000"}, {"z1,10000c,1", "OK"}, {"z1,10000c,1", "OK"}, {"Z0,nonsense", "E01"}, {"Z", "E01"},
             {"Z9,1,1", ""}, {"vCont;c:1", "W07"});
    assert_false(quit);
    assert_int_equal(s.kind, SIM_STOP_EXIT);
    assert_int_equal(s.code, 7);
    sim_destroy(m);

    m = boot(turns, sizeof turns, SIM_START_LONG64); // a GDB that does not know the reasons gets none
    PLAY(m, &quit, {"Z0,100013,1", "OK"}, {"c", "T05thread:1;*"}, {"s", "T05thread*"}, {"p10", "0500100000000000"}, {"k", ""});
    sim_destroy(m);

    m = boot(endless, sizeof endless, SIM_START_LONG64); // there is an end to them
    char text[32];
    struct line *many = calloc(GDB_BREAKS + 2, sizeof *many);
    for (unsigned k = 0; k <= GDB_BREAKS; k++) {
        snprintf(text, sizeof text, "Z0,%x,1", 0x200000 + k);
        many[k] = (struct line){strdup(text), k < GDB_BREAKS ? "OK" : "E01"};
    }
    many[GDB_BREAKS + 1] = (struct line){strdup("k"), ""};
    struct script *sc = calloc(1, sizeof *sc);
    *sc = (struct script){.line = many, .n = GDB_BREAKS + 2};
    play(sc, m, &quit);
    for (unsigned k = 0; k < GDB_BREAKS + 2; k++)
        free((char *)many[k].send);
    free(many);
    free(sc);
    sim_destroy(m);
}

static void test_watchpoints(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    PLAY(m, &quit, {"Z2,110000,4", "OK"}, {"c", "T05watch:110000;thread:1;*"}, {"p10", "0c00100000000000"}, {"m110000,1", "01"},
         {"c", "T05watch:110000;*"}, {"m110000,1", "02"}, {"z2,110000,4", "OK"}, {"Z3,110006,100", "OK"},
         {"c", "T05rwatch:110006;*"}, {"p10", "1300100000000000"}, {"z3,110006,100", "OK"}, {"Z4,110003,1", "OK"},
         {"c", "T05awatch:110003;*"}, {"m110000,1", "03"}, {"Z2,110000,0", "E01"}, {"z4,110003,1", "OK"}, {"Z2,110004,4", "OK"},
         {"Z3,100000,30", "OK"}, // never written; fetches do not count
         {"c", "W07"});
    sim_destroy(m);
}

static void test_steps(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    PLAY(m, &quit, {"s", "T05*"}, {"p10", "0500100000000000"}, {"vCont;s:1;c", "T05*"}, {"p10", "0c00100000000000"},
         {"S05", "T05*"}, {"p10", "1300100000000000"}, {"vCont;S05:1", "T05*"}, {"p10", "0500100000000000"}, {"vCont", "E01"},
         {"vCont;", "E01"}, {"vCont;x", "E01"}, {"vCont;c:9", "E01"}, {"vCont;Czz", "E01"}, {"Szz", "E01"}, {"vCont;c;", "E01"},
         {"c", "W07"});
    assert_int_equal(sim_cpu(m, 0)->insns, 12);
    sim_destroy(m);
}

// A step that raises an exception ends at its handler; a guest that cannot go on says why, once, then the run ends.
static void test_exceptions(void **state)
{
    struct sim_machine *m = boot(broken, sizeof broken, SIM_START_LONG64);
    bool quit;
    // an IDT with a 64-bit interrupt gate for #UD to CODE, at 110000H
    const uint64_t gate[2] = {(CODE & 0xffffull) | 0x18ull << 16 | 0x8e00ull << 32 | (uint64_t)(CODE >> 16) << 48, 0};
    sim_poke(m, 0, SIM_LINEAR, 0x110000 + 6 * 16, gate, 16);
    sim_reg_set(m, 0, "idtr.base", 0x110000);
    sim_reg_set(m, 0, "idtr.limit", 0xfff);
    sim_reg_set(m, 0, "rsp", 0x120000);
    PLAY(m, &quit, {"s", "T05*"}, {"p10", "0100100000000000"}, {"s", "T05*"}, {"p10", "0000100000000000"},
         {"m11ffd8,8", "0100100000000000"}, {"k", ""});
    assert_int_equal(sim_cpu(m, 0)->insns, 1);
    sim_destroy(m);

    m = boot(broken, sizeof broken, SIM_START_LONG64);
    struct sim_stop s = PLAY(m, &quit, {"c", "O72696e67736964653a2073687574646f776e3a20*"}, {"p10", NULL}, {"c", "W00"});
    assert_false(quit);
    assert_int_equal(s.kind, SIM_STOP_SHUTDOWN);
    sim_destroy(m);
}

static void test_interrupt(void **state)
{
    struct sim_machine *m = boot(endless, sizeof endless, SIM_START_LONG64);
    static const struct line lines[] = {{"c", "T02thread:1;*"}, {"!\x03$qC#b4", "QC1"}, {"k", ""}};
    struct script *s = calloc(1, sizeof *s);
    *s = (struct script){.line = lines, .n = 3, .polls = 3};
    bool quit;
    play(s, m, &quit);
    assert_true(quit);
    assert_true(sim_cpu(m, 0)->insns > 1000);
    free(s);
    sim_destroy(m);
}

static void test_broken_packets(void **state)
{
    static const struct line lines[] = {
        {"!$qC#00", "-"},
        {"!$qC#b4", "+$QC1#c5"},
        {"!-", "$QC1#c5"},
        {"!+", ""},
        {"!nothing", ""},
        {"!$m100000,$qC#b4", "+$QC1#c5"}, // the first one never ended
        {"!$qC#zz", ""},
        {"!$qC", ""},
        {"!#b4", "+$QC1#c5"}, // in two parts
        {"!$q}\x63#51", "+$QC1#c5"},
        {"!$}", ""},
        {"!#7d", "+$#00"},
        {"!$\xff\x80\x01#80", "+$#00"},
        {"!$k", ""}, // and then silence
    };
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    struct script *s = calloc(1, sizeof *s);
    *s = (struct script){.line = lines, .n = sizeof lines / sizeof *lines, .raw = true};
    bool quit;
    struct sim_stop stop = play(s, m, &quit);
    assert_true(quit);
    assert_string_equal(stop.text, "GDB went away");
    free(s);
    sim_destroy(m);
}

static void test_too_long(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    struct line *lines = calloc(70, sizeof *lines);
    char part[901] = "!";
    memset(part + 1, 'm', 899);
    lines[0] = (struct line){"!$", ""};
    for (unsigned k = 1; k < 40; k++)
        lines[k] = (struct line){part, ""};
    lines[40] = (struct line){"!#01", NULL}; // right or wrong, an answer
    lines[41] = (struct line){"qC", "QC1"};
    lines[42] = (struct line){"k", ""};
    struct script *s = calloc(1, sizeof *s);
    *s = (struct script){.line = lines, .n = 43};
    bool quit;
    play(s, m, &quit);
    free(s);
    free(lines);
    sim_destroy(m);
}

// After a detachment the guest runs on alone, without breakpoints.
static void test_detach(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    struct sim_stop s = PLAY(m, &quit, {"Z0,10000c,1", "OK"}, {"Z2,110000,4", "OK"}, {"c", "T05*"}, {"D", "OK"});
    assert_false(quit);
    assert_int_equal(s.kind, SIM_STOP_EXIT);
    assert_int_equal(sim_cpu(m, 0)->insns, 12);
    sim_destroy(m);
}

// GDB's looking on changes nothing: the same state and events as without it. What the caller asked for is met exactly.
static void test_undisturbed(void **state)
{
    uint64_t hash[2][2];
    bool quit;
    for (unsigned with = 0; with < 2; with++) {
        struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
        sim_event_hash_enable(m);
        if (with)
            PLAY(m, &quit, {"Z0,100005,1", "OK"}, {"Z4,110000,8", "OK"}, {"c", "T05*"}, {"s", "T05*"}, {"g", NULL},
                 {"m100000,1000", NULL}, {"qRcmd,746c62", NULL}, {"c", "T05*"}, {"c", "T05*"}, {"z0,100005,1", "OK"},
                 {"z4,110000,8", "OK"}, {"c", "W07"});
        else
            assert_int_equal(sim_run(m, NULL).kind, SIM_STOP_EXIT);
        hash[with][0] = sim_state_hash(m);
        hash[with][1] = sim_event_hash(m);
        sim_destroy(m);
    }
    assert_int_equal(hash[0][0], hash[1][0]);
    assert_int_equal(hash[0][1], hash[1][1]);

    static const struct line lines[] = {{"c", ""}};
    static const struct {
        struct sim_until u;
        enum sim_stop_kind kind;
        unsigned code;
    } rows[] = {
        {{.insns = 5}, SIM_STOP_UNTIL, SIM_UNTIL_INSNS},
        {{.cycles = 100}, SIM_STOP_UNTIL, SIM_UNTIL_CYCLES},
        {{.cycles = 5000001}, SIM_STOP_UNTIL, SIM_UNTIL_CYCLES},
        {{.has_rip = true, .rip = CODE + 3}, SIM_STOP_UNTIL, SIM_UNTIL_RIP},
        {{.events = EV_BIT(EV_WALK)}, SIM_STOP_UNTIL, SIM_UNTIL_EVENT},
        {{.insns = 3000000}, SIM_STOP_UNTIL, SIM_UNTIL_INSNS},
    };
    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct sim_machine *a = boot(endless, sizeof endless, SIM_START_LONG64),
                           *b = boot(endless, sizeof endless, SIM_START_LONG64);
        struct script *s = calloc(1, sizeof *s);
        *s = (struct script){.line = lines, .n = 1};
        const struct gdb_io io = {s, script_read, script_write};
        struct gdb *g = gdb_create(&io, NULL, NULL);
        quit = false;
        struct sim_stop with = gdb_drive(g, a, &rows[k].u, &quit), without = sim_run(b, &rows[k].u);
        assert_false(quit);
        assert_int_equal(with.kind, rows[k].kind);
        assert_int_equal(with.code, rows[k].code);
        assert_int_equal(without.code, with.code);
        assert_int_equal(sim_state_hash(a), sim_state_hash(b));
        gdb_destroy(g);
        free(s);
        sim_destroy(a);
        sim_destroy(b);
    }
}

// In real mode the program counter is linear; the offset in CS is a register of its own.
static void test_real_mode(void **state)
{
    static const uint8_t code[] = {0xea, 5, 0, 0xc0, 0x07, 0x90, 0x90, 0xf4}; // jmp 07c0:0005; nop; nop; hlt
    struct sim_machine *m = boot(code, sizeof code, SIM_START_REAL);
    bool quit;
    PLAY(m, &quit, {"p10", "007c000000000000"}, {"Z0,7c06,1", "OK"}, {"c", "T05*"}, {"p10", "067c000000000000"},
         {"p12", "c0070000"}, {"m7c06,2", "90f4"}, {"P10=057c000000000000", "OK"}, {"c", "T05*"}, {"k", ""});
    assert_int_equal(sim_cpu(m, 0)->rip, 6);
    sim_destroy(m);
}

static void monitor(struct sim_machine *m, const char *command, const char *want)
{
    static char buf[65536];
    struct gdb *g = calloc(1, sizeof *g);
    struct gdb_text t = {.p = buf, .size = sizeof buf};
    buf[0] = 0;
    g->m = m;
    gdb_monitor(g, command, &t);
    if (!strstr(buf, want))
        fail_msg("monitor %s: \"%.500s\" does not hold \"%s\"", command, buf, want);
    free(g);
}

static void test_monitor(void **state)
{
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    bool quit;
    monitor(m, "help", "monitor walk  ADDRESS");
    monitor(m, " info registers ", "64-bit mode, CPL 0, VMX off");
    monitor(m, "info", "gdtr_limit");
    monitor(m, "info frame", "info knows");
    monitor(m, "regs", "cs.limit");
    monitor(m, "regs rip", "rip 0x100000");
    monitor(m, "regs rap", "no register rap");
    monitor(m, "walk 0x100000", "0x100000: translated to guest-physical 0x100000, host-physical 0x100000, 3 references");
    monitor(m, "walk rip", "0x100000: translated");
    monitor(m, "walk 0x7fffffff0000", "page fault, error code 0x0");
    monitor(m, "walk", "a number, a register or a symbol");
    monitor(m, "walk 12x", "a number, a register or a symbol");
    monitor(m, "tlb", "0 entries");
    monitor(m, "vmcs", "there is no current VMCS");
    monitor(m, "exits", "0 VM exits");
    monitor(m, "disas", "0x100005: inc [0x110000]");
    monitor(m, "disas 0xffff800000000000", "cannot be read");
    monitor(m, "reset", "reset:");
    monitor(m, "wlak 1", "did you mean walk?");
    monitor(m, "", "no monitor command \"\"");
    PLAY(m, &quit, {"s", "T05*"}, {"qRcmd,746c62", "O*"}, {"qRcmd,7", "E01"}, {"qRcmd,", "O*"}, {"k", ""});
    sim_run(m, &(struct sim_until){.insns = 1});
    monitor(m, "tlb", "dTLB");
    sim_destroy(m);
}

// --- over a socket

static void *client(void *arg)
{
    int fd = *(int *)arg;
    static const char *const say[] = {"Z0,10000c,1", "c", "z0,10000c,1", "c"};
    static const char *const want[] = {"OK#9a", "T05", "OK#9a", "$W07#"};
    for (unsigned k = 0; k < 4; k++) {
        char buf[4096], frame[64];
        size_t n = 0;
        ssize_t r;
        buf[0] = 0;
        packet(say[k], frame);
        if (write(fd, frame, strlen(frame)) < 0)
            return (void *)"cannot write";
        while (!strstr(buf, want[k]) && n < sizeof buf - 1 && (r = read(fd, buf + n, sizeof buf - 1 - n)) > 0) {
            n += (size_t)r;
            buf[n] = 0;
        }
        if (!strstr(buf, want[k]))
            return (void *)want[k];
    }
    return NULL;
}

static void test_socket(void **state)
{
    int fd[2];
    pthread_t t;
    void *failed;
    bool quit = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct sim_machine *m = boot(turns, sizeof turns, SIM_START_LONG64);
    const struct gdb_io io = gdb_socket_io(&fd[0]);
    struct gdb *g = gdb_create(&io, NULL, NULL);
    assert_int_equal(pthread_create(&t, NULL, client, &fd[1]), 0);
    struct sim_stop s = gdb_drive(g, m, &(struct sim_until){0}, &quit);
    gdb_finish(g, gdb_exit_code(&s));
    pthread_join(t, &failed);
    if (failed)
        fail_msg("no %s came", (const char *)failed);
    assert_false(quit);
    assert_int_equal(s.kind, SIM_STOP_EXIT);
    sim_destroy(m);
    gdb_destroy(g);

    m = boot(turns, sizeof turns, SIM_START_LONG64); // the other side goes away
    g = gdb_create(&io, NULL, NULL);
    close(fd[1]);
    s = gdb_drive(g, m, &(struct sim_until){0}, &quit);
    assert_true(quit);
    gdb_destroy(g);
    sim_destroy(m);
    close(fd[0]);
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"", ":", "1234567", ":x", ":99999", "::1:1234", "[]:1x", ":-1"};
    for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct sim_error err = {0};
        assert_null(gdb_net_open(bad[k], &err));
        assert_int_equal(err.status, SIM_USAGE);
        assert_non_null(strstr(err.what, "--gdb"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),        cmocka_unit_test(test_description), cmocka_unit_test(test_registers),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_breakpoints), cmocka_unit_test(test_watchpoints),
        cmocka_unit_test(test_steps),          cmocka_unit_test(test_exceptions),  cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_broken_packets), cmocka_unit_test(test_too_long),    cmocka_unit_test(test_detach),
        cmocka_unit_test(test_undisturbed),    cmocka_unit_test(test_real_mode),   cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_socket),         cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
