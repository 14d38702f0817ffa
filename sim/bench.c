// sim/bench.c: the benchmarks: an integer loop, a memory loop, a pointer chase that misses the TLBs, system calls, VM exits.
//
// Guests run in 64-bit mode on the identity mapping of sim_start_at(); registers, user pages and the VMCS are set up from outside.
#include "sim/bench.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sim/inspect.h"
#include "sim/loader.h"
#include "sim/vmx_setup.h"

#define CODE    0x100000u
#define HANDLER 0x101000u
#define GUEST   0x102000u
#define VMXON   0x140000u
#define VMCS    0x141000u
#define STUB    0x142000u
#define CHASE   0x400000u
#define SECONDS 0.4 // of each loop in each fidelity

static const uint8_t integer_code[] = {
    0x48, 0x01, 0xc8,                   // add rax, rcx
    0x48, 0x31, 0xc2,                   // xor rdx, rax
    0x48, 0x8d, 0x5c, 0x42, 0x05,       // lea rbx, [rdx+rax*2+5]
    0x48, 0xc1, 0xe6, 0x03,             // shl rsi, 3
    0x48, 0x29, 0xde,                   // sub rsi, rbx
    0x81, 0xe7, 0xff, 0xff, 0x00, 0x00, // and edi, 0xffff
    0x01, 0xf7,                         // add edi, esi
    0x49, 0x89, 0xf8,                   // mov r8, rdi
    0x49, 0x39, 0xc0,                   // cmp r8, rax
    0x41, 0x83, 0xd1, 0x00,             // adc r9d, 0
    0x48, 0xff, 0xc1,                   // inc rcx
    0x75, 0xd7,                         // jnz to the start
    0xeb, 0xd5,                         // jmp to the start
};
static const uint8_t memory_code[] = {
    0xbf, 0x00, 0x00, 0x20, 0x00,       // mov edi, 0x200000
    0x48, 0x8b, 0x07,                   // again: mov rax, [rdi]
    0x48, 0x01, 0xc8,                   // add rax, rcx
    0x48, 0x89, 0x47, 0x08,             // mov [rdi+8], rax
    0x48, 0x01, 0x4f, 0x10,             // add [rdi+16], rcx
    0x0f, 0xb6, 0x57, 0x03,             // movzx edx, byte [rdi+3]
    0x52,                               // push rdx
    0x5b,                               // pop rbx
    0x48, 0x83, 0xc7, 0x40,             // add rdi, 64
    0x81, 0xe7, 0xff, 0x7f, 0x20, 0x00, // and edi, 0x207fff
    0x48, 0xff, 0xc1,                   // inc rcx
    0x75, 0xdd,                         // jnz again
    0xeb, 0xdb,                         // jmp again
};
static const uint8_t chase_code[] = {
    0xb8, 0x00, 0x00, 0x40, 0x00, // mov eax, CHASE
    0x48, 0x8b, 0x00,             // again: mov rax, [rax]
    0x48, 0x8b, 0x00,             // mov rax, [rax]
    0x48, 0x8b, 0x00,             // mov rax, [rax]
    0x48, 0x8b, 0x00,             // mov rax, [rax]
    0xeb, 0xf2,                   // jmp again
};
static const uint8_t syscall_code[] = {
    0x0f, 0x05,       // again: syscall
    0x48, 0xff, 0xc3, // inc rbx
    0xeb, 0xf9,       // jmp again
};
static const uint8_t syscall_handler[] = {
    0x48, 0xff, 0xc2, // inc rdx
    0x48, 0x0f, 0x07, // sysretq
};
static const uint8_t vmx_code[] = {
    0xb8, 0x1e, 0x68, 0x00, 0x00, // mov eax, GUEST_RIP
    0x0f, 0x78, 0xc3,             // vmread rbx, rax
    0x48, 0x83, 0xc3, 0x02,       // add rbx, 2
    0x0f, 0x79, 0xc3,             // vmwrite rax, rbx
    0x0f, 0x01, 0xc3,             // vmresume
    0xf4,                         // hlt
};
static const uint8_t vmx_guest[] = {
    0x0f, 0xa2, // again: cpuid
    0x0f, 0xa2, // cpuid
    0x0f, 0xa2, // cpuid
    0x0f, 0xa2, // cpuid
    0xeb, 0xf6, // jmp again
};

struct bench {
    const char *key, *text;
    const uint8_t *code;
    unsigned n;
    const char *per;  // counter that the nanoseconds are divided by; NULL: instructions
    const char *unit; // what one of it is called
    int (*setup)(struct sim_machine *m, struct sim_error *err);
};

static void poke(struct sim_machine *m, uint64_t at, const void *p, uint64_t n) { sim_poke(m, 0, SIM_HOST_PHYSICAL, at, p, n); }

// A ring of pointers through 1024 pages, each in another cache set: far more pages than any TLB of the profile holds.
static int setup_chase(struct sim_machine *m, struct sim_error *err)
{
    for (unsigned k = 0; k < 1024; k++) {
        uint64_t from = k * 389 % 1024, to = (k + 1) * 389 % 1024;
        uint64_t next = CHASE + to * 4096 + to % 64 * 64;
        poke(m, CHASE + from * 4096 + from % 64 * 64, &next, 8);
    }
    for (unsigned k = 0; k < 512; k++) { // small pages
        for (unsigned t = 0; t < 2; t++) {
            uint64_t pte = (CHASE + ((uint64_t)t << 21) + k * 4096) | 3;
            poke(m, 0x160000 + t * 4096 + k * 8, &pte, 8);
        }
    }
    for (unsigned t = 0; t < 2; t++) {
        uint64_t pde = (0x160000 + t * 4096) | 3;
        poke(m, 0x4000 + (CHASE / 0x200000 + t) * 8, &pde, 8);
    }
    return 0;
}

static int setup_syscall(struct sim_machine *m, struct sim_error *err)
{
    poke(m, HANDLER, syscall_handler, sizeof syscall_handler);
    for (uint64_t at = 0x2000; at <= 0x4000; at += 0x1000) { // the first 2 MiB become the user's
        uint8_t e;
        sim_peek(m, 0, SIM_HOST_PHYSICAL, at, &e, 1);
        e |= 4;
        poke(m, at, &e, 1);
    }
    static const struct {
        const char *reg;
        uint64_t val;
    } set[] = {{"msr.IA32_STAR", 0x23ull << 48 | 0x18ull << 32},
               {"msr.IA32_LSTAR", HANDLER},
               {"cs", 0x33},
               {"cs.ar", 0xa0fb},
               {"ss", 0x2b},
               {"ss.ar", 0xc0f3}};
    for (unsigned k = 0; k < sizeof set / sizeof *set; k++)
        if (!sim_reg_set(m, 0, set[k].reg, set[k].val))
            return sim_fail(err, SIM_INTERNAL, "bench: no register %s", set[k].reg);
    return 0;
}

static int setup_vmx(struct sim_machine *m, struct sim_error *err)
{
    poke(m, GUEST, vmx_guest, sizeof vmx_guest);
    const struct vmx_setup s = {
        .vmxon = VMXON, .vmcs = VMCS, .stub = STUB, .guest_rip = GUEST, .guest_rsp = 0x6000, .host_rip = CODE, .host_rsp = 0x7000};
    return vmx_setup(m, &s, err);
}

static const struct bench benches[] = {
    {"integer", "integer loop", integer_code, sizeof integer_code, NULL, "instruction", NULL},
    {"memory", "memory loop", memory_code, sizeof memory_code, NULL, "instruction", NULL},
    {"chase", "pointer chase, every load walks", chase_code, sizeof chase_code, "walks", "page walk", setup_chase},
    {"syscall", "system-call loop", syscall_code, sizeof syscall_code, NULL, "instruction", setup_syscall},
    {"vmexit", "VM-exit loop", vmx_code, sizeof vmx_code, "vmexits", "VM exit and entry", setup_vmx},
};
#define NBENCH (sizeof benches / sizeof *benches)

struct figures {
    double mips, ns; // ns per unit
    uint64_t insns, units;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct sim_machine *prepare(const struct bench *b, const struct sim_config *cfg, struct sim_error *err)
{
    struct sim_machine *m = sim_create(cfg, err);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
    if (m && (sim_load_bytes(m, b->key, b->code, b->n, &l, NULL, err) < 0 || (b->setup && b->setup(m, err) < 0))) {
        sim_destroy(m);
        return NULL;
    }
    return m;
}

static int run(const struct bench *b, const struct sim_config *cfg, struct figures *f, struct sim_error *err)
{
    struct sim_machine *m = prepare(b, cfg, err);
    if (!m)
        return -1;
    const char *per = b->per ? b->per : "insns";
    uint64_t insns0, insns1, unit0, unit1;
    sim_run(m, &(struct sim_until){.insns = 1000}); // decode
    sim_stat(m, 0, "insns", &insns0);
    sim_stat(m, 0, per, &unit0);
    double start = now(), t;
    struct sim_stop s;
    do {
        s = sim_run(m, &(struct sim_until){.insns = 1000000});
        t = now() - start;
    } while (s.kind == SIM_STOP_UNTIL && t < SECONDS);
    sim_stat(m, 0, "insns", &insns1);
    sim_stat(m, 0, per, &unit1);
    sim_destroy(m);
    f->insns = insns1 - insns0;
    f->units = unit1 - unit0;
    if (s.kind != SIM_STOP_UNTIL)
        return sim_fail(err, SIM_INTERNAL, "bench: the %s ended early: %s", b->text, s.text);
    f->mips = (double)f->insns / t * 1e-6;
    f->ns = f->units ? t * 1e9 / (double)f->units : 0;
    return 0;
}

// Index: enum sim_fidelity.
static void print(FILE *out, const struct bench *b, const struct figures f[3])
{
    fprintf(out, "%-32s %10.1f %10.1f %10.1f %9.2f ns per %s\n", b->text, f[SIM_FUNCTIONAL].mips, f[SIM_FAST].mips,
            f[SIM_DETAILED].mips, f[SIM_FAST].ns, b->unit);
}

static void print_json(FILE *out, const struct bench *b, const struct figures f[3])
{
    fprintf(out,
            "\"%s\":{\"mips\":%.1f,\"functional_mips\":%.1f,\"detailed_mips\":%.1f,\"ns\":%.2f,\"per\":\"%s\",\"insns\":%" PRIu64
            ",\"count\":%" PRIu64 "}",
            b->key, f[SIM_FAST].mips, f[SIM_FUNCTIONAL].mips, f[SIM_DETAILED].mips, f[SIM_FAST].ns, b->unit, f[SIM_FAST].insns,
            f[SIM_FAST].units);
}

int sim_bench(FILE *out, bool json, const char *const *set, unsigned nset, struct sim_error *err)
{
    struct sim_config cfg = {.ram_bytes = 16 << 20, .set = set, .nset = nset};
    if (json)
        fputs("{", out);
    else
        fprintf(out, "%-32s %10s %10s %10s %9s\n", "MIPS", "functional", "fast", "detailed", "fast");
    for (unsigned k = 0; k < NBENCH; k++) {
        struct figures f[3] = {0};
        for (cfg.fidelity = SIM_FAST; cfg.fidelity <= SIM_DETAILED; cfg.fidelity++)
            if (run(&benches[k], &cfg, &f[cfg.fidelity], err) < 0)
                return -1;
        fputs(json && k ? "," : "", out);
        (json ? print_json : print)(out, &benches[k], f);
        fflush(out);
    }
    if (json)
        fputs("}\n", out);
    return 0;
}
