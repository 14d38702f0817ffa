// sim/gdb.c: packets and commands of the GDB remote serial protocol (sim/gdb.h).
//
// A packet is $body#xx, xx the sum of the body's bytes modulo 256; } escapes the next byte by 20H. The receiver answers + or - until
// both sides agreed to do without. A byte 03H between packets asks a running guest to stop. An empty reply means "unsupported".
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/gdb_internal.h"

static const char digits[] = "0123456789abcdef";

// --- text

void gdb_textf(struct gdb_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->p + t->n, t->size - t->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->n = (unsigned)n < t->size - t->n ? t->n + (unsigned)n : t->size - 1;
}

void gdb_put_hex(struct gdb_text *t, const void *bytes, unsigned n)
{
    const uint8_t *b = bytes;
    for (unsigned k = 0; k < n && t->n + 2 < t->size; k++) {
        t->p[t->n++] = digits[b[k] >> 4];
        t->p[t->n++] = digits[b[k] & 15];
    }
    t->p[t->n] = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gdb_hex(const char **p, uint64_t *v)
{
    const char *start = *p;
    *v = 0;
    for (; digit(**p) >= 0; (*p)++) {
        if (*v >> 60)
            return false;
        *v = *v << 4 | (unsigned)digit(**p);
    }
    return *p != start;
}

unsigned gdb_get_hex(const char *hex, void *bytes, unsigned max)
{
    uint8_t *b = bytes;
    unsigned n = 0;
    while (n < max && digit(hex[0]) >= 0 && digit(hex[1]) >= 0) {
        b[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex += 2;
    }
    return n;
}

// --- sending

static void write_out(struct gdb *g, const char *p, unsigned n)
{
    if (g->go == GDB_ENDED || g->io.write(g->io.ctx, p, n))
        return;
    g->go = GDB_ENDED;
    g->end = "GDB went away";
}

void gdb_send(struct gdb *g, const char *body, unsigned n)
{
    uint8_t sum = 0;
    char *o = g->out;
    *o++ = '$';
    for (unsigned k = 0; k < n && k < GDB_PACKET; k++) {
        char c = body[k];
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            *o++ = '}';
            sum = (uint8_t)(sum + '}');
            c ^= 0x20;
        }
        *o++ = c;
        sum = (uint8_t)(sum + (uint8_t)c);
    }
    *o++ = '#';
    *o++ = digits[sum >> 4];
    *o++ = digits[sum & 15];
    g->out_n = (unsigned)(o - g->out);
    write_out(g, g->out, g->out_n);
}

static void send_text(struct gdb *g, const char *s) { gdb_send(g, s, (unsigned)strlen(s)); }

static void say(struct gdb *g, const char *text, unsigned n)
{
    while (n) {
        unsigned part = n < GDB_PACKET / 2 - 8 ? n : GDB_PACKET / 2 - 8;
        struct gdb_text t = {.p = g->text, .size = sizeof g->text};
        gdb_textf(&t, "O");
        gdb_put_hex(&t, text, part);
        gdb_send(g, t.p, t.n);
        text += part;
        n -= part;
    }
}
void gdb_say(struct gdb *g, const char *text) { say(g, text, (unsigned)strlen(text)); }

// --- registers and memory

static struct gdb_text reply(struct gdb *g)
{
    g->text[0] = 0;
    return (struct gdb_text){.p = g->text, .size = sizeof g->text};
}

static void read_registers(struct gdb *g)
{
    struct gdb_text t = reply(g);
    uint8_t b[16];
    for (unsigned n = 0; n < gdb_nregs(g); n++) {
        gdb_reg_read(g, n, b);
        gdb_put_hex(&t, b, gdb_reg_bytes(n));
    }
    gdb_send(g, t.p, t.n);
}

static void write_registers(struct gdb *g, const char *p)
{
    uint8_t b[16];
    unsigned n = 0;
    bool ok = true;
    for (; n < gdb_nregs(g) && *p; n++) {
        if (gdb_get_hex(p, b, gdb_reg_bytes(n)) < gdb_reg_bytes(n))
            break;
        ok = gdb_reg_write(g, n, b) && ok;
        p += 2 * gdb_reg_bytes(n);
    }
    send_text(g, ok && n && !*p ? "OK" : "E01");
}

static void read_register(struct gdb *g, const char *p)
{
    struct gdb_text t = reply(g);
    uint8_t b[16];
    uint64_t n;
    if (!gdb_hex(&p, &n) || *p || n >= gdb_nregs(g)) {
        send_text(g, "E01");
        return;
    }
    gdb_reg_read(g, (unsigned)n, b);
    gdb_put_hex(&t, b, gdb_reg_bytes((unsigned)n));
    gdb_send(g, t.p, t.n);
}

static void write_register(struct gdb *g, const char *p)
{
    uint8_t b[16];
    uint64_t n;
    bool ok = gdb_hex(&p, &n) && *p == '=' && n < gdb_nregs(g);
    ok = ok && gdb_get_hex(p + 1, b, gdb_reg_bytes((unsigned)n)) == gdb_reg_bytes((unsigned)n);
    send_text(g, ok && gdb_reg_write(g, (unsigned)n, b) ? "OK" : "E01");
}

// "ADDRESS,LENGTH" and what stands behind it.
static bool span(const char **p, uint64_t *addr, uint64_t *len)
{
    if (!gdb_hex(p, addr) || **p != ',')
        return false;
    (*p)++;
    return gdb_hex(p, len);
}

// An address as the processor would take it: 32 bits wide outside long mode. false: not canonical.
static bool linear(struct gdb *g, uint64_t *addr)
{
    const struct isa_cpu *c = sim_cpu(g->m, g->cpu);
    if (!isa_long(c))
        *addr = (uint32_t)*addr;
    return !isa_long(c) || isa_canonical(c, *addr);
}

static void read_memory(struct gdb *g, const char *p)
{
    uint8_t b[GDB_PACKET / 2];
    uint64_t addr, len;
    struct gdb_text t = reply(g);
    if (!span(&p, &addr, &len) || *p) {
        send_text(g, "E01");
        return;
    }
    if (!linear(g, &addr))
        len = 0;
    len = sim_peek(g->m, g->cpu, SIM_LINEAR, addr, b, len < sizeof b ? len : sizeof b);
    gdb_put_hex(&t, b, (unsigned)len);
    send_text(g, len ? t.p : "E14");
}

// Bytes are written all or not at all.
static void write_bytes(struct gdb *g, uint64_t addr, const void *bytes, uint64_t n)
{
    uint8_t old[GDB_PACKET];
    bool ok = linear(g, &addr) && n <= sizeof old && sim_peek(g->m, g->cpu, SIM_LINEAR, addr, old, n) == n;
    ok = ok && sim_poke(g->m, g->cpu, SIM_LINEAR, addr, bytes, n) == n;
    send_text(g, ok ? "OK" : "E14");
}

static void write_memory(struct gdb *g, const char *p, unsigned n, bool binary)
{
    uint8_t b[GDB_PACKET / 2];
    uint64_t addr, len;
    const char *end = p + n;
    bool ok = span(&p, &addr, &len) && *p == ':';
    if (ok && binary && len == (uint64_t)(end - p - 1)) {
        write_bytes(g, addr, p + 1, len);
        return;
    }
    ok = ok && !binary && len <= sizeof b && (uint64_t)(end - p - 1) == 2 * len && gdb_get_hex(p + 1, b, (unsigned)len) == len;
    if (ok)
        write_bytes(g, addr, b, len);
    else
        send_text(g, "E01");
}

// --- breakpoints and watchpoints

static bool break_change(struct gdb *g, bool set, unsigned kind, uint64_t addr)
{
    unsigned k = 0;
    while (k < g->nbrk && g->brk[k] != addr)
        k++;
    if (set) {
        if (k == GDB_BREAKS)
            return false;
        if (k == g->nbrk) {
            g->brk[g->nbrk] = addr;
            g->brk_kinds[g->nbrk++] = 0;
        }
        g->brk_kinds[k] |= (uint8_t)(1u << kind);
    } else if (k < g->nbrk && !(g->brk_kinds[k] &= (uint8_t) ~(1u << kind))) {
        g->brk[k] = g->brk[--g->nbrk];
        g->brk_kinds[k] = g->brk_kinds[g->nbrk];
    }
    return true;
}

static bool watch_change(struct gdb *g, bool set, unsigned type, uint64_t addr, uint64_t len)
{
    unsigned k = 0;
    while (k < g->nwatch && (g->watch[k].addr != addr || g->watch[k].len != len || g->watch[k].type != type))
        k++;
    if (set && k == g->nwatch) {
        if (k == GDB_WATCHES || !len)
            return false;
        g->watch[g->nwatch++] = (struct gdb_watch){addr, len, (uint8_t)type};
    }
    if (!set && k < g->nwatch)
        g->watch[k] = g->watch[--g->nwatch];
    return true;
}

static void breakpoint(struct gdb *g, const char *p, bool set)
{
    uint64_t addr, len;
    unsigned type = (unsigned)(*p - '0');
    if (*p && type > 4) {
        send_text(g, "");
        return;
    }
    bool ok = *p && p[1] == ',';
    p += ok ? 2 : 0;
    ok = ok && span(&p, &addr, &len) && (!*p || *p == ';');
    ok = ok && (type < 2 ? break_change(g, set, type, addr) : watch_change(g, set, type, addr, len));
    send_text(g, ok ? "OK" : "E01");
}

// --- running

// c, s [ADDRESS]; C, S SIGNAL[;ADDRESS]: a machine has no signals, so theirs is dropped.
static void go_packet(struct gdb *g, const char *p)
{
    uint64_t v, addr;
    enum gdb_go go = *p == 's' || *p == 'S' ? GDB_STEP : GDB_CONTINUE;
    bool signal = *p == 'C' || *p == 'S', ok = true, has = false;
    p++;
    if (signal)
        ok = gdb_hex(&p, &v) && (!*p || *p++ == ';');
    if (ok && *p)
        ok = has = gdb_hex(&p, &addr);
    if (!ok || *p) {
        send_text(g, "E01");
        return;
    }
    if (has)
        gdb_set_pc(g, g->cpu, addr);
    g->go = go;
}

// ;ACTION[:THREAD]...: all processors run together; a step wins, and is one of the processor it names.
static void vcont(struct gdb *g, const char *p)
{
    enum gdb_go go = GDB_STOPPED;
    unsigned cpu = g->cpu;
    bool ok = *p == ';';
    while (ok && *p == ';') {
        char a = *++p;
        uint64_t v;
        ok = a && strchr("cCsS", a);
        p += ok;
        if (ok && (a == 'C' || a == 'S'))
            ok = gdb_hex(&p, &v);
        bool step = a == 's' || a == 'S';
        if (ok && *p == ':') {
            p++;
            bool all = p[0] == '-' && p[1] == '1';
            p += all ? 2 : 0;
            ok = all || (gdb_hex(&p, &v) && v <= sim_ncpus(g->m));
            if (ok && !all && v && step && go != GDB_STEP)
                cpu = (unsigned)v - 1;
        }
        go = step ? GDB_STEP : go == GDB_STOPPED ? GDB_CONTINUE : go;
    }
    if (!ok || *p) {
        send_text(g, "E01");
        return;
    }
    g->cpu = cpu;
    g->go = go;
}

// --- queries

static void supported(struct gdb *g, const char *p)
{
    g->swbreak = strstr(p, "swbreak+");
    g->hwbreak = strstr(p, "hwbreak+");
    struct gdb_text t = reply(g);
    gdb_textf(&t,
              "PacketSize=%x;qXfer:features:read+;swbreak+;hwbreak+;QStartNoAckMode+;vContSupported+;ReverseStep-;ReverseContinue-",
              GDB_PACKET);
    gdb_send(g, t.p, t.n);
}

static void target_xml(struct gdb *g, const char *p)
{
    uint64_t off, len;
    if (strncmp(p, "target.xml:", 11) || (p += 11, !span(&p, &off, &len)) || *p) {
        send_text(g, "E00");
        return;
    }
    struct gdb_text xml = {.p = g->console, .size = sizeof g->console}, t = reply(g);
    gdb_target_xml(g, &xml);
    if (off > xml.n)
        off = xml.n;
    if (len > GDB_PACKET / 2) // escapes may double it
        len = GDB_PACKET / 2;
    bool last = len >= xml.n - off;
    gdb_textf(&t, "%c%.*s", last ? 'l' : 'm', (int)(last ? xml.n - off : len), xml.p + off);
    gdb_send(g, t.p, t.n);
}

static void monitor(struct gdb *g, const char *p)
{
    char command[256];
    unsigned n = gdb_get_hex(p, command, sizeof command - 1);
    command[n] = 0;
    if (p[2 * n]) {
        send_text(g, "E01");
        return;
    }
    struct gdb_text t = {.p = g->console, .size = sizeof g->console};
    g->console[0] = 0;
    gdb_monitor(g, command, &t);
    say(g, t.p, t.n);
    send_text(g, "OK");
}

static void threads(struct gdb *g)
{
    struct gdb_text t = reply(g);
    for (unsigned k = 0; k < sim_ncpus(g->m); k++)
        gdb_textf(&t, "%c%x", k ? ',' : 'm', k + 1);
    gdb_send(g, t.p, t.n);
}

static bool thread_number(struct gdb *g, const char *p, unsigned *cpu)
{
    uint64_t v;
    if (!gdb_hex(&p, &v) || *p || !v || v > sim_ncpus(g->m))
        return false;
    *cpu = (unsigned)v - 1;
    return true;
}

static void thread_words(struct gdb *g, const char *p)
{
    struct gdb_text t = reply(g);
    char words[96];
    unsigned cpu;
    if (!thread_number(g, p, &cpu)) {
        send_text(g, "E01");
        return;
    }
    const struct isa_cpu *c = sim_cpu(g->m, cpu);
    snprintf(words, sizeof words, "processor %u, %s, CPL %u%s%s", cpu, sim_mode_name(c), c->cpl,
             c->vmx == ISA_VMX_NONROOT ? ", VMX non-root" : "", c->activity == ISA_HLT ? ", halted" : "");
    gdb_put_hex(&t, words, (unsigned)strlen(words));
    gdb_send(g, t.p, t.n);
}

static const char *after(const char *p, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(p, prefix, n) ? NULL : p + n;
}

static void query(struct gdb *g, const char *p)
{
    const char *a;
    if ((a = after(p, "qSupported"))) {
        supported(g, a);
    } else if ((a = after(p, "qXfer:features:read:"))) {
        target_xml(g, a);
    } else if ((a = after(p, "qRcmd,"))) {
        monitor(g, a);
    } else if ((a = after(p, "qThreadExtraInfo,"))) {
        thread_words(g, a);
    } else if (!strcmp(p, "qAttached")) {
        send_text(g, "1"); // GDB found the machine running: leaving it means to detach
    } else if (!strcmp(p, "qC")) {
        struct gdb_text t = reply(g);
        gdb_textf(&t, "QC%x", g->cpu + 1);
        gdb_send(g, t.p, t.n);
    } else if (!strcmp(p, "qfThreadInfo")) {
        threads(g);
    } else if (!strcmp(p, "qsThreadInfo")) {
        send_text(g, "l");
    } else if (!strcmp(p, "QStartNoAckMode")) {
        send_text(g, "OK");
        g->no_ack = true;
    } else {
        send_text(g, "");
    }
}

static void select_thread(struct gdb *g, const char *p)
{
    unsigned cpu;
    bool any = !strcmp(p + 1, "-1") || !strcmp(p + 1, "0");
    bool ok = (*p == 'g' || *p == 'c') && (any || thread_number(g, p + 1, &cpu));
    if (ok && *p == 'g' && !any)
        g->cpu = cpu;
    send_text(g, ok ? "OK" : "E01");
}

static void finish(struct gdb *g, enum gdb_go go, const char *why)
{
    g->nbrk = g->nwatch = 0;
    g->go = go;
    g->end = why;
}

static void v_packet(struct gdb *g, const char *p)
{
    if (!strcmp(p, "vCont?")) {
        send_text(g, "vCont;c;C;s;S");
    } else if (after(p, "vCont")) {
        vcont(g, p + 5);
    } else if (after(p, "vKill")) {
        send_text(g, "OK");
        finish(g, GDB_ENDED, "GDB killed it");
    } else {
        send_text(g, "");
    }
}

static void command(struct gdb *g, const char *p, unsigned n)
{
    unsigned cpu;
    switch (*p) {
    case '?': send_text(g, g->stop_reply); break;
    case 'g': read_registers(g); break;
    case 'G': write_registers(g, p + 1); break;
    case 'p': read_register(g, p + 1); break;
    case 'P': write_register(g, p + 1); break;
    case 'm': read_memory(g, p + 1); break;
    case 'M': write_memory(g, p + 1, n - 1, false); break;
    case 'X': write_memory(g, p + 1, n - 1, true); break;
    case 'Z': breakpoint(g, p + 1, true); break;
    case 'z': breakpoint(g, p + 1, false); break;
    case 'c':
    case 'C':
    case 's':
    case 'S': go_packet(g, p); break;
    case 'q':
    case 'Q': query(g, p); break;
    case 'H': select_thread(g, p + 1); break;
    case 'T': send_text(g, thread_number(g, p + 1, &cpu) ? "OK" : "E01"); break;
    case 'v': v_packet(g, p); break;
    case 'D':
        send_text(g, "OK");
        finish(g, GDB_DETACHED, "GDB detached");
        break;
    case 'k': finish(g, GDB_ENDED, "GDB killed it"); break;
    default: send_text(g, ""); break; // bs and bc, reverse execution, among them
    }
}

// --- receiving

static void packet(struct gdb *g)
{
    bool bad = g->sum != g->want;
    g->state = GDB_IDLE;
    g->in[g->in_n] = 0;
    if (!g->no_ack)
        write_out(g, bad ? "-" : "+", 1);
    g->greeted = true;
    if (bad && !g->no_ack)
        return; // GDB sends it again
    if (bad || g->too_long || g->go == GDB_CONTINUE || g->go == GDB_STEP)
        send_text(g, "E01"); // while the guest runs, nothing but an interruption is due
    else
        command(g, g->in, g->in_n);
}

static void idle_byte(struct gdb *g, char c)
{
    if (c == 3)
        g->interrupt = true;
    else if (c == '-' && !g->no_ack && g->out_n)
        write_out(g, g->out, g->out_n);
    if (c != '$')
        return;
    g->state = GDB_BODY;
    g->in_n = 0;
    g->sum = g->want = 0;
    g->too_long = g->escaped = false;
}

static void body_byte(struct gdb *g, char c)
{
    if (c == '$' && !g->escaped) { // the rest of the last one was lost
        idle_byte(g, c);
        return;
    }
    if (c == '#') {
        g->state = GDB_SUM1;
        return;
    }
    g->sum = (uint8_t)(g->sum + (uint8_t)c);
    if (c == '}' && !g->escaped) {
        g->escaped = true;
        return;
    }
    if (g->in_n < GDB_PACKET)
        g->in[g->in_n++] = g->escaped ? (char)(c ^ 0x20) : c;
    else
        g->too_long = true;
    g->escaped = false;
}

static void byte(struct gdb *g, char c)
{
    switch (g->state) {
    case GDB_IDLE: idle_byte(g, c); break;
    case GDB_BODY: body_byte(g, c); break;
    default:
        if (digit(c) < 0) { // not a packet after all
            g->state = GDB_IDLE;
            idle_byte(g, c);
            break;
        }
        g->want = (uint8_t)(g->want << 4 | digit(c));
        if (g->state == GDB_SUM1)
            g->state = GDB_SUM2;
        else
            packet(g);
        break;
    }
}

bool gdb_listen(struct gdb *g, int ms)
{
    char buf[1024];
    long n = g->io.read(g->io.ctx, buf, sizeof buf, ms);
    for (long k = 0; k < n && g->go != GDB_ENDED && g->go != GDB_DETACHED; k++)
        byte(g, buf[k]);
    return n >= 0;
}

struct gdb *gdb_create(const struct gdb_io *io, int (*idle)(void *ctx), void *idle_ctx)
{
    struct gdb *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->io = *io;
    g->idle = idle;
    g->idle_ctx = idle_ctx;
    snprintf(g->stop_reply, sizeof g->stop_reply, "T05thread:1;");
    return g;
}

void gdb_destroy(struct gdb *g) { free(g); }

void gdb_finish(struct gdb *g, unsigned status)
{
    char text[16];
    if (g->finished || g->go == GDB_DETACHED || g->go == GDB_ENDED)
        return;
    g->finished = true;
    snprintf(text, sizeof text, "W%02x", status & 0xff);
    send_text(g, text);
}
