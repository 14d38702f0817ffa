// visualizer/view_code.c: disassembly with symbols, as a view and as the strip above the other views.
#include <string.h>

#include "visualizer/ui.h"

typedef unsigned long long ull;

static unsigned length_at(struct vz *v, uint64_t la)
{
    char text[96];
    uint8_t bytes[16];
    unsigned n = sim_disasm(v->m, v->cpu, la, v->att, text, sizeof text, bytes);
    return n ? n : 1;
}

// The processor has stopped in the midst of these bytes: they are no instruction.
static bool straddles(const struct vz *v, uint64_t la, unsigned len)
{
    for (unsigned i = 0; i < v->nstopped && i < sizeof v->stopped_at / sizeof *v->stopped_at; i++)
        if (v->stopped_at[i] - la - 1 < len - 1)
            return true;
    return false;
}

void vz_code_stopped(struct vz *v)
{
    const unsigned most = sizeof v->stopped_at / sizeof *v->stopped_at;
    const uint64_t la = vz_rip_la(v);
    if (!v->nstopped || v->stopped_at[(v->nstopped - 1) % most] != la)
        v->stopped_at[v->nstopped++ % most] = la;
}

// Code cannot be decoded backwards. Decode forwards from a symbol or from somewhat earlier, and keep the first start whose
// instructions meet la; *last is the one just before it.
static bool meets(struct vz *v, uint64_t from, uint64_t la, unsigned back, uint64_t *start)
{
    uint64_t ring[16];
    unsigned n = 0, len;
    for (uint64_t a = from; a < la; a += len) {
        len = length_at(v, a);
        ring[n++ % 16] = a;
        if (n > 400 || straddles(v, a, len))
            return false;
        if (a + len == la) {
            *start = ring[(n > back ? n - back : 0) % 16];
            return true;
        }
    }
    return false;
}

// The start of the line `back` instructions before la (back <= 15).
static uint64_t before(struct vz *v, uint64_t la, unsigned back)
{
    char sym[80];
    uint64_t base, start;
    sim_symbol(v->m, la, sym, sizeof sym);
    char *plus = strchr(sym, '+');
    if (sym[0] && !plus && back > 1) // a label begins something: what stands before it may not be code
        return la;
    if (plus) {
        *plus = 0;
        if (sim_symbol_addr(v->m, sym, &base) && base < la && la - base < 1024 && meets(v, base, la, back, &start))
            return start;
    }
    for (uint64_t d = 15 * back < la ? 15 * back : la; d >= back; d--)
        if (meets(v, la - d, la, back, &start))
            return start;
    return la;
}

static bool label_at(struct vz *v, uint64_t la, char *sym, size_t n)
{
    sim_symbol(v->m, la, sym, (unsigned)n);
    return sym[0] && !strchr(sym, '+');
}

static unsigned draw_line(struct vz *v, const struct vz_win *w, int r, uint64_t la, bool bytes_too)
{
    char text[128], hex[48] = "";
    uint8_t bytes[16];
    bool now = la == vz_rip_la(v), brk = vz_at_break(v, la);
    unsigned n = sim_disasm(v->m, v->cpu, la, v->att, text, sizeof text, bytes);
    for (unsigned i = 0; i < n && i < 15; i++)
        snprintf(hex + 2 * i, sizeof hex - 2 * i, "%02x", bytes[i]);
    enum vz_attr a = now ? VZ_A_CURRENT : VZ_A_NORMAL;
    vz_text(w, r, 0, VZ_A_BAD, brk ? "B" : " ");
    vz_text(w, r, 1, VZ_A_CURRENT, now ? "\u25b6" : " ");
    int c = vz_at(w, r, 2, VZ_A_ADDR, la >> 32 ? "%016llx" : "%08llx", (ull)la) + 1;
    if (bytes_too) {
        if (strlen(hex) > 20)
            strcpy(hex + 18, "..");
        vz_at(w, r, c, VZ_A_DIM, "%-20s", hex);
        c += 21;
    }
    vz_text(w, r, c, n ? a : VZ_A_DIM, n ? text : "unreadable");
    return n ? n : 1;
}

static bool visible(const struct vz *v, uint64_t la, int rows)
{
    for (unsigned i = 0; i < v->ncode && (int)i < rows; i++)
        if (v->code_line[i] == la)
            return true;
    return false;
}

// Lay the lines out from v->code_top: code_line[] gets the address of each row (a label row has that of its instruction).
static void layout(struct vz *v, int rows, bool *is_label)
{
    char sym[80];
    uint64_t la = v->code_top;
    v->ncode = 0;
    for (int r = 0; r < rows && r < 64; r++) {
        is_label[r] = r + 1 < rows && label_at(v, la, sym, sizeof sym) && !(r && is_label[r - 1]);
        v->code_line[v->ncode++] = la;
        if (!is_label[r])
            la += length_at(v, la);
    }
}

void vz_view_code(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    bool is_label[64];
    int rows = w->h < 64 ? w->h : 64;
    uint64_t rip = vz_rip_la(v);
    char sym[80];

    layout(v, rows, is_label);
    if (!v->code_free && (!visible(v, rip, rows - 2) || v->code_top == 0)) {
        v->code_top = before(v, rip, 3);
        layout(v, rows, is_label);
    }
    if (!v->code_free) // the cursor rests on the current instruction
        for (unsigned i = 0; i < v->ncode; i++)
            if (v->code_line[i] == rip && !is_label[i])
                p->cursor = (int)i;
    if (p->cursor >= rows)
        p->cursor = rows - 1;
    p->nrows = p->height = rows;
    for (int r = 0; r < rows; r++)
        if (is_label[r]) {
            label_at(v, v->code_line[r], sym, sizeof sym);
            vz_at(w, r, 1, VZ_A_TITLE, "%s:", sym);
        } else
            draw_line(v, w, r, v->code_line[r], w->w >= 60);
    vz_select(w, p->cursor, 0, w->w);
    sim_symbol(v->m, rip, sym, sizeof sym);
    snprintf(p->title, sizeof p->title, "Code %s", sym);
}

// Move the cursor; at an edge, the code. True: handled.
bool vz_code_key(struct vz *v, int rows)
{
    struct vz_pane *p = &v->pane[VZ_V_code];
    if (!v->m || !v->ncode)
        return true;
    v->code_free = true;
    for (; rows > 0; rows--)
        if (p->cursor + 1 < p->height)
            p->cursor++;
        else
            v->code_top += length_at(v, v->code_top);
    for (; rows < 0; rows++)
        if (p->cursor > 0)
            p->cursor--;
        else
            v->code_top = before(v, v->code_top, 1);
    return true;
}

void vz_code_strip(struct vz *v, const struct vz_win *w)
{
    char sym[80], title[200];
    uint64_t la = vz_rip_la(v);
    if (!label_at(v, la, sym, sizeof sym))
        la = before(v, la, 1);
    sim_symbol(v->m, vz_rip_la(v), sym, sizeof sym);
    if (v->play.on)
        snprintf(title, sizeof title, "Code %s  (playing: %s)", sym, v->play.insn);
    else
        snprintf(title, sizeof title, "Code %s", sym);
    vz_hline(w, 0, VZ_A_TITLE, title);
    for (int r = 1; r < w->h; r++)
        la += draw_line(v, w, r, la, true);
}
