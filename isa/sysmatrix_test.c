// isa/sysmatrix_test.c: every system instruction at every privilege level in every mode: allowed, #UD, #GP(0) ...
//
// The expected outcomes are those of the instructions' pages in the manual ("Instruction Set Reference"). A row's verdicts read
//    real virtual-8086 protected(CPL 0 1 2 3) compatibility(0 1 2 3) 64-bit(0 1 2 3)
// with . done, U #UD, G #GP(0), N #NM, D #DB, g #GP(selector), T triple fault. IOPL is 0 unless the row says otherwise.
#include <stdio.h>

#include "isa/systest.h"

struct row {
    const char *name;
    char b16[9]; // bytes in real and V86 mode (16-bit addresses)
    char b32[9]; // in the others; "": the same
    const char *want;
    void (*prepare)(struct st *t);
};

static void ax(struct st *t, unsigned v) { t->c.gpr[ISA_RAX] = v; }
static void iopl(struct st *t, unsigned n) { t->c.rflags_sys |= n << ISA_FL_IOPL_SHIFT; }
static void iopl1(struct st *t) { iopl(t, 1); }
static void iopl3(struct st *t) { iopl(t, 3); }
static void open_port(struct st *t)
{
    st_desc(t, ST_TSSSEL, ST_TSS, 0x6f, 0x8b);
    if (t->c.mode != ISA_REAL)
        st_load(t, ISA_TR, ST_TSSSEL);
}
static void tsd(struct st *t) { t->c.cr4 |= ISA_CR4_TSD; }
static void pce(struct st *t) { t->c.cr4 |= ISA_CR4_PCE; }
static void counters(struct st *t)
{
    t->c.pmu.has = (struct isa_pmu_shape){.version = 3, .general = 4, .general_width = 48, .fixed = 3, .fixed_width = 48};
    t->c.gpr[ISA_RCX] = 3;
}
static void counters_pce(struct st *t)
{
    counters(t);
    pce(t);
}
static void counters_fixed(struct st *t)
{
    counters_pce(t);
    t->c.gpr[ISA_RCX] = 1u << 30 | 2;
}
static void counters_beyond(struct st *t)
{
    counters_pce(t);
    t->c.gpr[ISA_RCX] = 4;
}
static void counters_fixed_beyond(struct st *t)
{
    counters_pce(t);
    t->c.gpr[ISA_RCX] = 1u << 30 | 3;
}
static void umip(struct st *t) { t->c.cr4 |= ISA_CR4_UMIP; }
static void de(struct st *t) { t->c.cr4 |= ISA_CR4_DE; }
static void gd(struct st *t) { t->c.dr[7] |= ISA_DR7_GD; }
static void fsgs(struct st *t) { t->c.cr4 |= ISA_CR4_FSGSBASE; }
static void noncanonical(struct st *t)
{
    fsgs(t);
    t->c.gpr[ISA_RAX] = 1ull << 63;
}
static void osxsave(struct st *t)
{
    t->c.cr4 |= ISA_CR4_OSXSAVE;
    t->c.gpr[ISA_RDX] = 0;
    ax(t, 1);
}
static void xgetbv1(struct st *t)
{
    osxsave(t);
    t->c.gpr[ISA_RCX] = 1;
}
static void xgetbv2(struct st *t)
{
    osxsave(t);
    t->c.gpr[ISA_RCX] = 2;
}
static void xarea(struct st *t) // a compacted area of nothing
{
    osxsave(t);
    st_put(t, ST_DATA + 520, 1ull << 63, 8);
}
static void pke(struct st *t)
{
    t->c.cr4 |= ISA_CR4_PKE;
    t->c.gpr[ISA_RCX] = t->c.gpr[ISA_RDX] = 0;
}
static void pke_rcx(struct st *t)
{
    pke(t);
    t->c.gpr[ISA_RCX] = 1;
}
static void pke_rdx(struct st *t)
{
    pke(t);
    t->c.gpr[ISA_RDX] = 1;
}
static void sce(struct st *t)
{
    t->c.efer |= ISA_EFER_SCE;
    t->c.star = 0x0013000800000000ull;
    t->c.lstar = ST_CODE;
    t->c.gpr[ISA_RCX] = ST_CODE;
}
static void sce_bad_rcx(struct st *t)
{
    sce(t);
    t->c.gpr[ISA_RCX] = 1ull << 62;
}
static void sep(struct st *t)
{
    t->c.sysenter_cs = 8;
    t->c.sysenter_eip = t->c.gpr[ISA_RDX] = ST_CODE;
    t->c.sysenter_esp = t->c.gpr[ISA_RCX] = ST_STACK;
}
static void msr_tsc(struct st *t) { t->c.gpr[ISA_RCX] = 0x10; }
static void msr_sysenter(struct st *t) { t->c.gpr[ISA_RCX] = 0x174; }
static void msr_none(struct st *t) { t->c.gpr[ISA_RCX] = 0x12345678; }
static void msr_pat_bad(struct st *t)
{
    t->c.gpr[ISA_RCX] = 0x277;
    ax(t, 2);
}
static void tss(struct st *t) { ax(t, ST_TSS2SEL); }
static void ldt(struct st *t) { ax(t, ST_LDTSEL); }
static void data3(struct st *t) { ax(t, ST_D32(3)); }
static void data0(struct st *t) { ax(t, ST_D32(0)); }
static void data_cpl(struct st *t) { ax(t, ST_D32(t->c.cpl)); }
static void code3(struct st *t) { ax(t, ST_C32(3)); }
static void xonly(struct st *t) { ax(t, ST_XONLY); }
static void outside(struct st *t) { ax(t, 0x7f8); }
static void cr0_same(struct st *t) { ax(t, (uint32_t)t->c.cr0); }
static void cr0_pg_no_pe(struct st *t) { ax(t, ISA_CR0_PG); }
static void cr0_nw(struct st *t) { ax(t, (uint32_t)t->c.cr0 | ISA_CR0_NW); }
static void cr4_same(struct st *t) { ax(t, (uint32_t)t->c.cr4); }
static void cr4_vme(struct st *t) { ax(t, (uint32_t)t->c.cr4 | ISA_CR4_VME); }
static void cr4_high(struct st *t) { ax(t, (uint32_t)t->c.cr4 | 1u << 31); }
static void cr8_bad(struct st *t) { ax(t, 16); }
static void mp_ts(struct st *t) { t->c.cr0 |= ISA_CR0_MP | ISA_CR0_TS; }
static void pcid5(struct st *t)
{
    ax(t, 0);
    st_put(t, ST_DATA, 5, 8);
}
static void type4(struct st *t) { ax(t, 4); }
static void flags_of(struct st *t)
{
    st_gate(t, 4 * 4, 0, 0x7000, 0, 0, 0, false); // real mode: vector 4 at 0:7000
    t->c.idtr.base = t->c.mode == ISA_REAL ? 0 : ST_IDT;
}

#define ALL_OK   ". . .... .... ...."
#define ALL_UD   "U U UUUU UUUU UUUU"
#define ALL_GP   "G G GGGG GGGG GGGG"
#define CPL0     ". G .GGG .GGG .GGG"
#define PROT     "U U .... .... ...."
#define PROTCPL0 "U U .GGG .GGG .GGG"
#define ONLY64   "U U UUUU UUUU ...."
#define CPL0_64  "U U UUUU UUUU .GGG"

static const struct row rows[] = {
    // interrupts and flags
    {"hlt", "\xf4", "", CPL0, NULL},
    {"cli", "\xfa", "", CPL0, NULL},
    {"cli, IOPL 1", "\xfa", "", ". G ..GG ..GG ..GG", iopl1},
    {"cli, IOPL 3", "\xfa", "", ALL_OK, iopl3},
    {"sti", "\xfb", "", CPL0, NULL},
    {"sti, IOPL 3", "\xfb", "", ALL_OK, iopl3},
    {"pushf", "\x9c", "", ". G .... .... ....", NULL},
    {"pushf, IOPL 3", "\x9c", "", ALL_OK, iopl3},
    {"popf", "\x9d", "", ". G .... .... ....", NULL},
    {"popf, IOPL 3", "\x9d", "", ALL_OK, iopl3},
    {"clac", "\x0f\x01\xca", "", ". U .UUU .UUU .UUU", NULL},
    {"stac", "\x0f\x01\xcb", "", ". U .UUU .UUU .UUU", NULL},
    {"int 80h, empty IDT", "\xcd\x80", "", ". G TTTT TTTT TTTT", NULL},
    {"iret", "\xcf", "", ". G GGGG GGGG GGGG", NULL},
    {"into, OF = 0", "\xce", "", ". . .... .... UUUU", flags_of},
    {"wait, MP and TS", "\x9b", "", "N N NNNN NNNN NNNN", mp_ts},
    {"wait", "\x9b", "", ALL_OK, NULL},
    // ports
    {"in al, 10h", "\xe4\x10", "", CPL0, NULL},
    {"in al, 10h, bitmap", "\xe4\x10", "", ALL_OK, open_port},
    {"in al, 10h, IOPL 3", "\xe4\x10", "", ". G .... .... ....", iopl3},
    {"in al, dx", "\xec", "", CPL0, NULL},
    {"out 10h, al", "\xe6\x10", "", CPL0, NULL},
    {"out 10h, al, bitmap", "\xe6\x10", "", ALL_OK, open_port},
    {"out dx, eax", "\x66\xef", "\xef", CPL0, NULL},
    {"insb", "\x6c", "", CPL0, NULL},
    {"insb, IOPL 1", "\x6c", "", ". G ..GG ..GG ..GG", iopl1},
    {"outsb", "\x6e", "", CPL0, NULL},
    // control and debug registers
    {"mov eax, cr0", "\x0f\x20\xc0", "", CPL0, NULL},
    {"mov eax, cr1", "\x0f\x20\xc8", "", ALL_UD, NULL},
    {"mov eax, cr2", "\x0f\x20\xd0", "", CPL0, NULL},
    {"mov eax, cr3", "\x0f\x20\xd8", "", CPL0, NULL},
    {"mov eax, cr4", "\x0f\x20\xe0", "", CPL0, NULL},
    {"mov cr0, eax", "\x0f\x22\xc0", "", CPL0, cr0_same},
    {"mov cr0, PG without PE", "\x0f\x22\xc0", "", ALL_GP, cr0_pg_no_pe},
    {"mov cr0, NW without CD", "\x0f\x22\xc0", "", ALL_GP, cr0_nw},
    {"mov cr3, eax", "\x0f\x22\xd8", "", CPL0, NULL},
    {"mov cr4, eax", "\x0f\x22\xe0", "", CPL0, cr4_same},
    {"mov cr4, VME", "\x0f\x22\xe0", "", ALL_GP, cr4_vme},
    {"mov cr4, reserved", "\x0f\x22\xe0", "", ALL_GP, cr4_high},
    {"mov rax, cr8", "\x0f\x0b", "\x44\x0f\x20\xc0", "U U UUUU UUUU .GGG", NULL},
    {"mov cr8, 16", "\x0f\x0b", "\x44\x0f\x22\xc0", "U U UUUU UUUU GGGG", cr8_bad},
    {"mov eax, dr0", "\x0f\x21\xc0", "", CPL0, NULL},
    {"mov eax, dr4, DE = 1", "\x0f\x21\xe0", "", ALL_UD, de},
    {"mov eax, dr4", "\x0f\x21\xe0", "", CPL0, NULL},
    {"mov dr7, eax", "\x0f\x23\xf8", "", CPL0, NULL},
    {"mov dr7, eax, GD = 1", "\x0f\x23\xf8", "", "D G DGGG DGGG DGGG", gd},
    {"clts", "\x0f\x06", "", CPL0, NULL},
    {"lmsw ax", "\x0f\x01\xf0", "", CPL0, cr0_same},
    {"smsw ax", "\x0f\x01\xe0", "", ALL_OK, NULL},
    {"smsw ax, UMIP", "\x0f\x01\xe0", "", CPL0, umip},
    {"smsw [bx]", "\x0f\x01\x27", "\x0f\x01\x23", ALL_OK, NULL},
    {"xgetbv", "\x0f\x01\xd0", "", ALL_OK, osxsave},
    {"xgetbv, OSXSAVE = 0", "\x0f\x01\xd0", "", ALL_UD, NULL},
    {"xgetbv, ECX = 1", "\x0f\x01\xd0", "", ALL_OK, xgetbv1},
    {"xgetbv, ECX = 2", "\x0f\x01\xd0", "", ALL_GP, xgetbv2},
    {"xsetbv", "\x0f\x01\xd1", "", CPL0, osxsave},
    {"xsaves", "\x0f\xc7\x2f", "\x0f\xc7\x2b", CPL0, osxsave},
    {"xsaves, OSXSAVE = 0", "\x0f\xc7\x2f", "\x0f\xc7\x2b", ALL_UD, NULL},
    {"xrstors", "\x0f\xc7\x1f", "\x0f\xc7\x1b", CPL0, xarea},
    {"xrstors, standard format", "\x0f\xc7\x1f", "\x0f\xc7\x1b", ALL_GP, osxsave},
    {"rdpkru", "\x0f\x01\xee", "", ALL_OK, pke},
    {"rdpkru, PKE = 0", "\x0f\x01\xee", "", ALL_UD, NULL},
    {"rdpkru, ECX = 1", "\x0f\x01\xee", "", ALL_GP, pke_rcx},
    {"wrpkru", "\x0f\x01\xef", "", ALL_OK, pke},
    {"wrpkru, PKE = 0", "\x0f\x01\xef", "", ALL_UD, NULL},
    {"wrpkru, ECX = 1", "\x0f\x01\xef", "", ALL_GP, pke_rcx},
    {"wrpkru, EDX = 1", "\x0f\x01\xef", "", ALL_GP, pke_rdx},
    {"rdpid", "\xf3\x0f\xc7\xf8", "", ALL_OK, NULL},
    {"xsetbv, OSXSAVE = 0", "\x0f\x01\xd1", "", ALL_UD, NULL},
    // model-specific registers, time
    {"rdmsr tsc", "\x0f\x32", "", CPL0, msr_tsc},
    {"rdmsr unknown", "\x0f\x32", "", ALL_GP, msr_none},
    {"wrmsr sysenter_cs", "\x0f\x30", "", CPL0, msr_sysenter},
    {"wrmsr unknown", "\x0f\x30", "", ALL_GP, msr_none},
    {"wrmsr pat, bad type", "\x0f\x30", "", ALL_GP, msr_pat_bad},
    {"rdtsc", "\x0f\x31", "", ALL_OK, NULL},
    {"rdtsc, TSD", "\x0f\x31", "", CPL0, tsd},
    {"rdtscp", "\x0f\x01\xf9", "", ALL_OK, NULL},
    {"rdtscp, TSD", "\x0f\x01\xf9", "", CPL0, tsd},
    {"rdpmc, PCE, no counters", "\x0f\x33", "", ALL_GP, pce},
    {"rdpmc", "\x0f\x33", "", CPL0, counters},
    {"rdpmc, PCE", "\x0f\x33", "", ALL_OK, counters_pce},
    {"rdpmc, PCE, fixed-function", "\x0f\x33", "", ALL_OK, counters_fixed},
    {"rdpmc, PCE, beyond the last", "\x0f\x33", "", ALL_GP, counters_beyond},
    {"rdpmc, PCE, beyond the last fixed-function", "\x0f\x33", "", ALL_GP, counters_fixed_beyond},
    {"rdpid eax", "\xf3\x0f\xc7\xf8", "", ALL_OK, NULL},
    // tables
    {"lgdt [bx]", "\x0f\x01\x17", "\x0f\x01\x13", CPL0, NULL},
    {"lidt [bx]", "\x0f\x01\x1f", "\x0f\x01\x1b", CPL0, NULL},
    {"sgdt [bx]", "\x0f\x01\x07", "\x0f\x01\x03", ALL_OK, NULL},
    {"sgdt [bx], UMIP", "\x0f\x01\x07", "\x0f\x01\x03", CPL0, umip},
    {"sidt [bx]", "\x0f\x01\x0f", "\x0f\x01\x0b", ALL_OK, NULL},
    {"sidt [bx], UMIP", "\x0f\x01\x0f", "\x0f\x01\x0b", CPL0, umip},
    {"sldt ax", "\x0f\x00\xc0", "", PROT, NULL},
    {"sldt ax, UMIP", "\x0f\x00\xc0", "", PROTCPL0, umip},
    {"str ax", "\x0f\x00\xc8", "", PROT, NULL},
    {"str ax, UMIP", "\x0f\x00\xc8", "", PROTCPL0, umip},
    {"lldt ax", "\x0f\x00\xd0", "", PROTCPL0, ldt},
    {"lldt null", "\x0f\x00\xd0", "", PROTCPL0, NULL},
    {"ltr ax", "\x0f\x00\xd8", "", PROTCPL0, tss},
    {"ltr null", "\x0f\x00\xd8", "", "U U GGGG GGGG GGGG", NULL},
    {"lar eax, ax", "\x0f\x02\xc0", "", PROT, data3},
    {"lar eax, beyond the table", "\x0f\x02\xc0", "", PROT, outside},
    {"lsl eax, ax", "\x0f\x03\xc0", "", PROT, data3},
    {"verr ax", "\x0f\x00\xe0", "", PROT, xonly},
    {"verw ax", "\x0f\x00\xe8", "", PROT, data3},
    {"arpl ax, ax", "\x63\xc0", "", PROT, NULL},
    // segment registers
    {"mov ds, ax, data of level 3", "\x8e\xd8", "", ALL_OK, data3},
    {"mov ds, ax, data of level 0", "\x8e\xd8", "", ". . .ggg .ggg .ggg", data0},
    {"mov ds, ax, execute-only", "\x8e\xd8", "", ". . gggg gggg gggg", xonly},
    {"mov ds, ax, null", "\x8e\xd8", "", ALL_OK, NULL},
    {"mov ss, ax, data of CPL", "\x8e\xd0", "", ALL_OK, data_cpl},
    {"mov ss, ax, code", "\x8e\xd0", "", ". . gggg gggg gggg", code3},
    {"mov ss, ax, null", "\x8e\xd0", "", ". . GGGG GGGG .GGG", NULL},
    {"mov cs, ax", "\x8e\xc8", "", ALL_UD, data3},
    {"mov sreg 6, ax", "\x8e\xf0", "", ALL_UD, data3},
    {"mov ax, ds", "\x8c\xd8", "", ALL_OK, NULL},
    {"push es", "\x06", "", ". . .... .... UUUU", NULL},
    {"push fs", "\x0f\xa0", "", ALL_OK, NULL},
    {"pop gs, null", "\x0f\xa9", "", ALL_OK, NULL},
    {"swapgs", "\x0f\x01\xf8", "", CPL0_64, NULL},
    {"rdfsbase", "\xf3\x0f\xae\xc0", "", ONLY64, fsgs},
    {"rdfsbase, FSGSBASE = 0", "\xf3\x0f\xae\xc0", "", ALL_UD, NULL},
    {"wrgsbase", "\xf3\x48\x0f\xae\xd8", "", "x x xxxx xxxx ....", fsgs},
    {"wrgsbase, not canonical", "\xf3\x48\x0f\xae\xd8", "", "x x xxxx xxxx GGGG", noncanonical},
    // far transfers
    {"jmp far, null", "\xea\x00\x00\x00\x00", "\xea\x00\x00\x00\x00\x00\x00", ". . GGGG GGGG UUUU", NULL},
    {"call far, null", "\x9a\x00\x00\x00\x00", "\x9a\x00\x00\x00\x00\x00\x00", ". . GGGG GGGG UUUU", NULL},
    {"retf, null", "\xcb", "", ". . GGGG GGGG GGGG", NULL},
    {"syscall", "\x0f\x05", "", ONLY64, sce},
    {"syscall, SCE = 0", "\x0f\x05", "", ALL_UD, NULL},
    {"sysret", "\x0f\x07", "", CPL0_64, sce},
    {"sysret, RCX not canonical", "\x48\x0f\x07", "", "x x xxxx xxxx GGGG", sce_bad_rcx},
    {"sysret, SCE = 0", "\x0f\x07", "", ALL_UD, NULL},
    {"sysenter", "\x0f\x34", "", "G . .... .... ....", sep},
    {"sysenter, CS null", "\x0f\x34", "", ALL_GP, NULL},
    {"sysexit", "\x0f\x35", "", "G G .GGG .GGG .GGG", sep},
    // caches, TLBs, the rest
    {"cpuid", "\x0f\xa2", "", ALL_OK, NULL},
    {"invd", "\x0f\x08", "", CPL0, NULL},
    {"wbinvd", "\x0f\x09", "", CPL0, NULL},
    {"invlpg [bx]", "\x0f\x01\x3f", "\x0f\x01\x3b", CPL0, NULL},
    {"invlpg ax", "\x0f\x01\xf9\x90", "", ALL_OK, NULL}, // mod = 3: RDTSCP
    {"invpcid", "\x66\x0f\x38\x82\x07", "\x66\x0f\x38\x82\x03", CPL0, NULL},
    {"invpcid, PCID 5, PCIDE = 0", "\x66\x0f\x38\x82\x07", "\x66\x0f\x38\x82\x03", ALL_GP, pcid5},
    {"invpcid, type 4", "\x66\x0f\x38\x82\x07", "\x66\x0f\x38\x82\x03", ALL_GP, type4},
    {"rdrand eax", "\x0f\xc7\xf0", "", ALL_OK, NULL},
    {"rdseed eax", "\x0f\xc7\xf8", "", ALL_OK, NULL},
    {"pause", "\xf3\x90", "", ALL_OK, NULL},
    {"monitor, not offered", "\x0f\x01\xc8", "", ALL_UD, NULL},
    {"mwait, not offered", "\x0f\x01\xc9", "", ALL_UD, NULL},
    {"rsm", "\x0f\xaa", "", ALL_UD, NULL},
    {"getsec", "\x0f\x37", "", ALL_UD, NULL},
    {"ud2", "\x0f\x0b", "", ALL_UD, NULL},
};

static char outcome(struct st *t, int r)
{
    const struct isa_event *e = &t->c.fault;
    if (!r)
        return t->triples ? 'T' : '.';
    if (r != ISA_R_FAULT)
        return '?';
    switch (e->vector) {
    case ISA_X_UD: return 'U';
    case ISA_X_GP: return e->error ? 'g' : 'G';
    case ISA_X_NM: return 'N';
    case ISA_X_DB: return 'D';
    default: return '?';
    }
}

static bool same_state(const struct isa_cpu *a, const struct isa_cpu *b)
{
    return !memcmp(a->gpr, b->gpr, ISA_REG_ZERO * sizeof *a->gpr) && isa_rflags(a) == isa_rflags(b) &&
           !memcmp(a->seg, b->seg, sizeof a->seg) && a->cr0 == b->cr0 && a->cr3 == b->cr3 && a->cr4 == b->cr4 &&
           a->efer == b->efer && a->rip == b->rip && a->cpl == b->cpl && a->mode == b->mode && a->gdtr.base == b->gdtr.base &&
           a->idtr.base == b->idtr.base;
}

static struct st machine, before;

static void matrix(void **state)
{
    static const struct {
        enum st_mode mode;
        unsigned cpl;
        const char *name;
    } col[] = {{ST_REAL, 0, "real"},
               {ST_V86, 3, "V86"},
               {ST_P32, 0, "protected 0"},
               {ST_P32, 1, "protected 1"},
               {ST_P32, 2, "protected 2"},
               {ST_P32, 3, "protected 3"},
               {ST_C32M, 0, "compatibility 0"},
               {ST_C32M, 1, "compatibility 1"},
               {ST_C32M, 2, "compatibility 2"},
               {ST_C32M, 3, "compatibility 3"},
               {ST_L64, 0, "64-bit 0"},
               {ST_L64, 1, "64-bit 1"},
               {ST_L64, 2, "64-bit 2"},
               {ST_L64, 3, "64-bit 3"}};
    unsigned cases = 0, bad = 0;
    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++) {
        const char *want = rows[k].want;
        for (unsigned m = 0; m < sizeof col / sizeof *col; m++, want++) {
            while (*want == ' ')
                want++;
            if (*want == 'x') // the bytes mean something else in this mode
                continue;
            struct st *t = &machine;
            st_init(t, col[m].mode, col[m].cpl);
            const char *bytes = col[m].mode <= ST_V86 || !*rows[k].b32 ? rows[k].b16 : rows[k].b32;
            // Only 64-bit mode has REX: the other columns of such rows ask for UD2 instead.
            if (col[m].mode != ST_L64 && *rows[k].b32 && !strcmp(rows[k].b16, "\x0f\x0b"))
                bytes = rows[k].b16;
            st_code(t, bytes, 8);
            if (rows[k].prepare)
                rows[k].prepare(t);
            memcpy(&before, t, sizeof before);
            char got = outcome(t, st_step(t));
            cases++;
            if (got != *want) {
                print_error("%s in %s: %c, the manual says %c (%s)\n", rows[k].name, col[m].name, got, *want,
                            got == '.' ? "" : isa_rule_info(t->c.fault.rule)->id);
                bad++;
            }
            if (got != '.' && got != 'T' && (!same_state(&t->c, &before.c) || memcmp(t->ram, before.ram, ST_RAM))) {
                print_error("%s in %s: faulted, but state changed\n", rows[k].name, col[m].name);
                bad++;
            }
        }
    }
    printf("# sysmatrix: %zu rows, %u cases\n", sizeof rows / sizeof *rows, cases);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(matrix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
