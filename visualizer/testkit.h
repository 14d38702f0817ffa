// visualizer/testkit.h: what the tests of this folder share: a debugger without a terminal, fed from a string of keys, and a small
// machine with a guest that calls, loops, faults, and fails to enter a virtual machine.
#ifndef VZ_TESTKIT_H
#define VZ_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/loader.h"
#include "visualizer/ui.h"

// --- keys from a string; special ones as control characters. When they are used up, the terminal hangs up.
#define K_UP    "\001"
#define K_DOWN  "\002"
#define K_CTRLC "\003"
#define K_LEFT  "\004"
#define K_RIGHT "\005"
#define K_PGDN  "\006"
#define K_PGUP  "\016"
#define K_ESC   "\033"
#define K_ENTER "\r"
struct kit {
    const char *keys;
    int w, h;
    unsigned paints;
};

static inline int kit_key(void *ctx, bool wait)
{
    struct kit *k = ctx;
    static const int special[] = {[1] = VZ_KEY_UP,    [2] = VZ_KEY_DOWN, [3] = VZ_KEY_CTRL_C, [4] = VZ_KEY_LEFT,
                                  [5] = VZ_KEY_RIGHT, [6] = VZ_KEY_PGDN, [14] = VZ_KEY_PGUP};
    if (!wait && *k->keys != VZ_KEY_CTRL_C) // only Ctrl-C interrupts a run here; other keys wait for the prompt
        return VZ_KEY_NONE;
    if (!*k->keys)
        return VZ_KEY_HANGUP;
    int c = (unsigned char)*k->keys++;
    return c < 15 && special[c] ? special[c] : c;
}
static inline void kit_paint(void *ctx, const struct vz_grid *g, int row, int col) { ((struct kit *)ctx)->paints++; }
static inline void kit_size(void *ctx, int *w, int *h)
{
    *w = ((struct kit *)ctx)->w;
    *h = ((struct kit *)ctx)->h;
}
static inline bool kit_tick(void *ctx) { return false; }

static inline struct vz *kit_open(struct kit *k, int w, int h, bool ascii)
{
    *k = (struct kit){.keys = "", .w = w, .h = h};
    struct vz *v = vz_new(NULL, vz_theme_mono);
    assert_non_null(v);
    v->io = (struct vz_io){.ctx = k, .ascii = ascii, .key = kit_key, .paint = kit_paint, .size = kit_size, .tick = kit_tick};
    v->grid.ascii = ascii;
    return v;
}

// --- the machine

// start: mov eax, 1; mov ebx, 2; call add_up; mov [200010], rax; lidt; 50 times add and store; ud2;
// after_ud: VMXON, VMCLEAR, VMPTRLD, two VMWRITEs, VMLAUNCH (which fails: nearly all fields are 0); hlt
static const uint8_t kit_code[] = {
    0xb8, 0x01, 0x00, 0x00, 0x00, 0xbb, 0x02, 0x00, 0x00, 0x00, 0xe8, 0x8e, 0x00, 0x00, 0x00, 0x48, 0x89, 0x04, 0x25, 0x10, 0x00,
    0x20, 0x00, 0x0f, 0x01, 0x1c, 0x25, 0xb0, 0x00, 0x10, 0x00, 0xb9, 0x32, 0x00, 0x00, 0x00, 0x48, 0x01, 0xc8, 0x48, 0x89, 0x04,
    0x25, 0x18, 0x00, 0x20, 0x00, 0xff, 0xc9, 0x75, 0xf1, 0x0f, 0x0b, 0x0f, 0x20, 0xe2, 0x48, 0x81, 0xca, 0x00, 0x20, 0x00, 0x00,
    0x0f, 0x22, 0xe2, 0xb9, 0x3a, 0x00, 0x00, 0x00, 0xb8, 0x05, 0x00, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30, 0xb9, 0x80, 0x04, 0x00,
    0x00, 0x0f, 0x32, 0x89, 0x04, 0x25, 0x00, 0x10, 0x30, 0x00, 0x89, 0x04, 0x25, 0x00, 0x20, 0x30, 0x00, 0xf3, 0x0f, 0xc7, 0x34,
    0x25, 0xba, 0x00, 0x10, 0x00, 0x66, 0x0f, 0xc7, 0x34, 0x25, 0xc2, 0x00, 0x10, 0x00, 0x0f, 0xc7, 0x34, 0x25, 0xc2, 0x00, 0x10,
    0x00, 0xba, 0x20, 0x68, 0x00, 0x00, 0xb8, 0x02, 0x00, 0x00, 0x00, 0x0f, 0x79, 0xd0, 0xba, 0x02, 0x68, 0x00, 0x00, 0xb8, 0x00,
    0x30, 0x12, 0x00, 0x0f, 0x79, 0xd0, 0x0f, 0x01, 0xc2, 0xf4, 0x53, 0x48, 0x8d, 0x04, 0x98, 0x5b, 0xc3, 0x48, 0x83, 0x04, 0x24,
    0x02, 0x48, 0xcf, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x30,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00};
enum {
    KIT_START = 0x100000,
    KIT_LOOP = 0x100024,
    KIT_UD = 0x100033,
    KIT_LAUNCH = 0x100099,
    KIT_HLT = 0x10009c,
    KIT_IDT = 0x300000,
    KIT_TSS = 0x304000
};

static inline void kit_poke(struct sim_machine *m, uint64_t a, const void *p, uint64_t n)
{
    assert_int_equal(sim_poke(m, 0, SIM_HOST_PHYSICAL, a, p, n), n);
}

static inline void kit_gate(struct sim_machine *m, unsigned vector, uint64_t to, unsigned dpl, unsigned ist)
{
    uint64_t g[2] = {(to & 0xffff) | 0x18ull << 16 | (uint64_t)ist << 32 | (uint64_t)(0x8e | dpl << 5) << 40 |
                         (to >> 16 & 0xffff) << 48,
                     to >> 32};
    kit_poke(m, KIT_IDT + vector * 16, g, sizeof g);
}

static inline struct sim_machine *kit_machine(void)
{
    static const struct {
        const char *name;
        uint64_t at;
    } symbol[] = {{"start", KIT_START}, {"loop1", KIT_LOOP}, {"after_ud", KIT_UD + 2},
                  {"add_up", 0x10009d}, {"on_ud", 0x1000a4}, {"data", 0x200010}};
    static const uint64_t tss_desc[2] = {0x00008b3040000067 | 0x2000, 0}; // limit 2067H: room for the I/O bitmap
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 16 << 20}, &err);
    if (!m)
        fail_msg("%s", err.what);
    kit_poke(m, KIT_START, kit_code, sizeof kit_code);
    for (unsigned i = 0; i < sizeof symbol / sizeof *symbol; i++)
        sim_symbol_add(m, symbol[i].name, symbol[i].at);
    if (sim_start_at(m, SIM_START_LONG64, KIT_START, &err))
        fail_msg("%s", err.what);
    kit_gate(m, 3, 0x1000a4, 3, 0);
    kit_gate(m, 6, 0x1000a4, 0, 0);
    kit_gate(m, 8, 0x1000a4, 0, 1);
    kit_poke(m, 0x1020, tss_desc, sizeof tss_desc);
    uint64_t rsp0 = 0x80000, ist1 = 0x90000;
    uint8_t map[2] = {0x68, 0x00}, bits[0x2001];
    kit_poke(m, KIT_TSS + 4, &rsp0, 8);
    kit_poke(m, KIT_TSS + 36, &ist1, 8);
    kit_poke(m, KIT_TSS + 102, map, 2);
    memset(bits, 0xff, sizeof bits);
    bits[0x3f8 / 8] = 0; // COM1
    kit_poke(m, KIT_TSS + 0x68, bits, sizeof bits);
    struct isa_cpu *c = sim_cpu(m, 0);
    c->cr0 |= ISA_CR0_NE; // VMX wants it
    c->seg[ISA_TR] = (struct isa_seg){.sel = 0x20, .base = KIT_TSS, .limit = 0x2068, .ar = 0x8b};
    sim_touch(m, 0);
    return m;
}

// Drive with keys; the machine stays.
static inline struct sim_stop kit_drive(struct vz *v, struct sim_machine *m, const struct sim_until *u, const char *keys,
                                        bool *quit)
{
    ((struct kit *)v->io.ctx)->keys = keys;
    v->quit = false;
    return vz_drive(v, m, u, quit);
}

#endif
