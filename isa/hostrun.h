// isa/hostrun.h: run one instruction on the host processor, for tests on x86-64 hosts.
//
// MODELS     nothing: it asks. Registers, flags and memory go in; registers, flags, RIP, memory and any exception come out.
// LAYOUT     one mapping at HOST_BASE, below 2 GB so that every addressing form reaches it:
//               +0000  code: entry, the instruction at HOST_INSN, landing pads for branches, exit (readable, writable, executable)
//               +1000  the state that entry and exit load and store, and their private stack
//               +2000  no access
//               +3000  arena, two pages
//               +5000  a page that can only be read
//               +6000  no access
// EXCEPTIONS a signal handler on its own stack copies the registers from the signal frame and resumes at the exit.
// VECTORS    with host_fp set before host_open(), entry and exit also load and store x87, MMX and SSE state (FXSAVE images), and with
//            host_avx the YMM registers.
#ifndef ISA_HOSTRUN_H
#define ISA_HOSTRUN_H

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <ucontext.h>

#define HOST_BASE    0x20000000ull
#define HOST_SIZE    0x7000u
#define HOST_INSN    (HOST_BASE + 0x400)
#define HOST_PAD(n)  (HOST_BASE + ((n) ? 0x440 : 0x3c0)) // branch targets after and before the instruction
#define HOST_EXIT    (HOST_BASE + 0x800)
#define HOST_RETURN  (HOST_BASE + 0xa00)
#define HOST_ARENA   (HOST_BASE + 0x3000)
#define HOST_ARENA_N 0x2000u
#define HOST_RO      (HOST_BASE + 0x5000)

struct host_state {
    uint64_t gpr[16];
    uint64_t rflags;
    uint64_t rip;
};
// What stands on the state page; entry and exit address it relative to RIP.
struct host_page {
    struct host_state in, out;
    uint64_t saved_rsp;
    uint64_t active; // the instruction is running: signals are its exceptions
    int64_t trap;    // exception vector, -1 for none
    uint64_t err, cr2;
    uint64_t stack[64];
    uint8_t fx_in[512] __attribute__((aligned(16))), fx_out[512] __attribute__((aligned(16)));
    uint8_t ymm_in[16][32], ymm_out[16][32];
    uint32_t mxcsr; // the one to leave with
};
static bool host_fp, host_avx;
#define HOST_PAGE ((struct host_page *)(uintptr_t)(HOST_BASE + 0x1000))

// Code emission into the code page.
struct host_emit {
    uint64_t at;
};
static inline void host_b(struct host_emit *e, unsigned byte) { *(uint8_t *)(uintptr_t)e->at++ = (uint8_t)byte; }
static inline void host_d(struct host_emit *e, uint32_t v)
{
    memcpy((void *)(uintptr_t)e->at, &v, 4);
    e->at += 4;
}
// An instruction with a RIP-relative operand at a field of the state page, and after_disp bytes of immediate.
static inline void host_rel(struct host_emit *e, const void *field, unsigned after_disp)
{
    host_d(e, (uint32_t)((uint64_t)(uintptr_t)field - (e->at + 4 + after_disp)));
}
static inline void host_mov(struct host_emit *e, unsigned opcode, unsigned reg, const void *field) // 89 store, 8B load, 8D address
{
    host_b(e, 0x48 | (reg & 8) >> 1);
    host_b(e, opcode);
    host_b(e, 5 | (reg & 7) << 3);
    host_rel(e, field, 0);
}
static inline void host_jmp(struct host_emit *e, uint64_t target)
{
    host_b(e, 0xe9);
    host_d(e, (uint32_t)(target - (e->at + 4)));
}
// FXSAVE64, FXRSTOR64 (/0, /1), LDMXCSR (/2).
static inline void host_state_op(struct host_emit *e, unsigned digit, const void *field)
{
    if (digit < 2)
        host_b(e, 0x48);
    host_b(e, 0x0f), host_b(e, 0xae), host_b(e, 5 | digit << 3);
    host_rel(e, field, 0);
}
// VMOVDQU between a YMM register and memory: 6F load, 7F store.
static inline void host_ymm(struct host_emit *e, unsigned opcode, unsigned reg, const void *field)
{
    host_b(e, 0xc5), host_b(e, reg < 8 ? 0xfe : 0x7e), host_b(e, opcode), host_b(e, 5 | (reg & 7) << 3);
    host_rel(e, field, 0);
}
// Landing place: note where we are, and leave.
static inline void host_land(struct host_emit *e)
{
    uint64_t here = e->at;
    host_b(e, 0x48), host_b(e, 0xc7), host_b(e, 0x05); // mov qword [out.rip], here
    host_rel(e, &HOST_PAGE->out.rip, 4);
    host_d(e, (uint32_t)here);
    host_jmp(e, HOST_EXIT);
}

static inline void host_emit_frame(void)
{
    static const uint8_t pushes[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57}; // rbx rbp r12..r15
    static const uint8_t pops[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3};
    struct host_page *p = HOST_PAGE;
    struct host_emit e = {HOST_BASE};
    for (unsigned k = 0; k < sizeof pushes; k++)
        host_b(&e, pushes[k]);
    host_mov(&e, 0x89, 4, &p->saved_rsp);
    host_mov(&e, 0x8d, 4, &p->stack[64]);
    if (host_fp)
        host_state_op(&e, 1, p->fx_in);
    for (unsigned r = 0; host_avx && r < 16; r++)
        host_ymm(&e, 0x6f, r, p->ymm_in[r]);
    host_b(&e, 0xff), host_b(&e, 0x35), host_rel(&e, &p->in.rflags, 0); // push [in.rflags]; popf
    host_b(&e, 0x9d);
    for (unsigned r = 0; r < 16; r++)
        host_mov(&e, 0x8b, r, &p->in.gpr[r]);
    host_jmp(&e, HOST_INSN);
    assert(e.at < HOST_PAD(0));
    e.at = HOST_EXIT;
    if (host_fp)
        host_state_op(&e, 0, p->fx_out);
    for (unsigned r = 0; host_avx && r < 16; r++)
        host_ymm(&e, 0x7f, r, p->ymm_out[r]);
    for (unsigned r = 0; r < 16; r++)
        host_mov(&e, 0x89, r, &p->out.gpr[r]);
    host_mov(&e, 0x8d, 4, &p->stack[64]);
    host_b(&e, 0x9c), host_b(&e, 0x8f), host_b(&e, 0x05), host_rel(&e, &p->out.rflags, 0); // pushf; pop [out.rflags]
    host_jmp(&e, HOST_RETURN);
    e.at = HOST_RETURN;
    host_mov(&e, 0x8b, 4, &p->saved_rsp);
    host_b(&e, 0xfc); // cld
    if (host_fp) {
        host_b(&e, 0xdb), host_b(&e, 0xe3); // fninit
        host_state_op(&e, 2, &p->mxcsr);
    }
    for (unsigned k = 0; k < sizeof pops; k++)
        host_b(&e, pops[k]);
    for (unsigned n = 0; n < 2; n++) {
        e.at = HOST_PAD(n);
        host_land(&e);
    }
}

// The frame is an XSAVE image, where a component in its initial state may be left out (XSTATE_BV at 512).
static void host_signal_fp(struct host_page *p, const uint8_t *fx)
{
    memcpy(p->fx_out, fx, 512);
    uint32_t magic;
    memcpy(&magic, fx + 464, 4);
    if (magic != 0x46505853) // no extended image
        return;
    if (!(fx[512] & 1)) {
        memset(p->fx_out, 0, 24);
        memset(p->fx_out + 32, 0, 128);
        p->fx_out[0] = 0x7f, p->fx_out[1] = 3;
    }
    if (!(fx[512] & 2))
        memset(p->fx_out + 160, 0, 256);
    for (unsigned r = 0; host_avx && r < 16; r++) {
        memcpy(p->ymm_out[r], p->fx_out + 160 + 16 * r, 16);
        memset(p->ymm_out[r] + 16, 0, 16);
        if (fx[512] & 4)
            memcpy(p->ymm_out[r] + 16, fx + 576 + 16 * r, 16);
    }
}

static void host_signal(int sig, siginfo_t *info, void *ctx)
{
    ucontext_t *u = ctx;
    greg_t *g = u->uc_mcontext.gregs;
    static const int map[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    struct host_page *p = HOST_PAGE;
    if (!p->active) { // a bug of the test itself
        signal(sig, SIG_DFL);
        return;
    }
    for (unsigned r = 0; r < 16; r++)
        p->out.gpr[r] = (uint64_t)g[map[r]];
    if (host_fp)
        host_signal_fp(p, (const uint8_t *)u->uc_mcontext.fpregs);
    p->out.rflags = (uint64_t)g[REG_EFL];
    p->out.rip = (uint64_t)g[REG_RIP];
    p->trap = g[REG_TRAPNO];
    p->err = (uint64_t)g[REG_ERR];
    p->cr2 = (uint64_t)g[REG_CR2];
    g[REG_RIP] = (greg_t)HOST_RETURN;
}

// Map everything and take over the signals. False if the host does not let us (address in use, no executable memory).
static inline bool host_open(void)
{
    void *m = mmap((void *)(uintptr_t)HOST_BASE, HOST_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (m != (void *)(uintptr_t)HOST_BASE)
        return false;
    host_emit_frame();
    mprotect((char *)m + 0x1000, 0x1000, PROT_READ | PROT_WRITE);
    mprotect((char *)m + 0x3000, HOST_ARENA_N, PROT_READ | PROT_WRITE);
    mprotect((char *)m + 0x2000, 0x1000, PROT_NONE);
    mprotect((char *)m + 0x6000, 0x1000, PROT_NONE);
    static uint8_t stack[1 << 16];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction sa = {.sa_sigaction = host_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&ss, NULL);
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned k = 0; k < sizeof sigs / sizeof *sigs; k++)
        sigaction(sigs[k], &sa, NULL);
    return true;
}

// Put the instruction in place; a landing place follows it.
static inline void host_install(const uint8_t *code, unsigned n)
{
    struct host_emit e = {HOST_INSN};
    for (unsigned k = 0; k < n; k++)
        host_b(&e, code[k]);
    host_land(&e);
}

// Run it on HOST_PAGE->in; results in HOST_PAGE->out, trap, err, cr2 and in the arena.
static inline void host_run(void)
{
    struct host_page *p = HOST_PAGE;
    void (*entry)(void);
    uintptr_t a = HOST_BASE;
    memcpy(&entry, &a, sizeof entry);
    p->trap = -1;
    p->mxcsr = 0x1f80;
    p->active = 1;
    __asm__ volatile("" ::: "memory");
    entry();
    __asm__ volatile("" ::: "memory");
    p->active = 0;
}

#endif
