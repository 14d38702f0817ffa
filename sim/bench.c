// sim/bench.c: the benchmarks: an integer loop, a memory loop, a pointer chase that misses the TLBs, system calls, VM exits.
//
// Guests run in 64-bit mode on the identity mapping of sim_start_at(); registers, user pages and the VMCS are set up from outside.
#include "sim/bench.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sim/inspect.h"
#include "sim/loader.h"

#define CODE    0x100000u
#define HANDLER 0x101000u
#define GUEST   0x102000u
#define VMXON   0x140000u
#define VMCS    0x141000u
#define CHASE   0x400000u
#define SECONDS 0.6

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
#define VMX_FIRST_HLT 26
#define VMX_EXIT      31
static const uint8_t vmx_code[] = {
    0xf3, 0x0f, 0xc7, 0x34, 0x25, 0x00, 0x00, 0x15, 0x00, // vmxon [0x150000]
    0x66, 0x0f, 0xc7, 0x34, 0x25, 0x08, 0x00, 0x15, 0x00, // vmclear [0x150008]
    0x0f, 0xc7, 0x34, 0x25, 0x08, 0x00, 0x15, 0x00,       // vmptrld [0x150008]
    0xf4,                                                 // hlt: the VMCS is filled in here
    0x0f, 0x01, 0xc2,                                     // vmlaunch
    0xf4,                                                 // hlt: the entry failed
    0xb8, 0x1e, 0x68, 0x00, 0x00,                         // exit: mov eax, GUEST_RIP
    0x0f, 0x78, 0xc3,                                     // vmread rbx, rax
    0x48, 0x83, 0xc3, 0x02,                               // add rbx, 2
    0x0f, 0x79, 0xc3,                                     // vmwrite rax, rbx
    0x0f, 0x01, 0xc3,                                     // vmresume
    0xf4,                                                 // hlt
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

static void put(struct sim_machine *m, enum vmcs_field f, uint64_t v) { sim_vmcs_write(m, 0, vmcs_field_info[f].encoding, v); }

static void guest_segment(struct sim_machine *m, enum vmcs_field sel, enum vmcs_field limit, enum vmcs_field ar, uint64_t s,
                          uint64_t l, uint64_t a)
{
    put(m, sel, s);
    put(m, limit, l);
    put(m, ar, a);
}

// Control words: what must be 1, and the wishes.
static uint64_t control(uint64_t cap, uint64_t wish) { return ((cap & 0xffffffff) | wish) & cap >> 32; }

static void fill_vmcs(struct sim_machine *m)
{
    const struct isa_cpu *c = sim_cpu(m, 0);
    uint64_t pin, proc, exit, entry;
    sim_reg_get(m, 0, "msr.IA32_VMX_PINBASED_CTLS", &pin);
    sim_reg_get(m, 0, "msr.IA32_VMX_PROCBASED_CTLS", &proc);
    sim_reg_get(m, 0, "msr.IA32_VMX_EXIT_CTLS", &exit);
    sim_reg_get(m, 0, "msr.IA32_VMX_ENTRY_CTLS", &entry);
    put(m, VF_PIN_BASED_VM_EXEC_CONTROL, control(pin, 0));
    put(m, VF_CPU_BASED_VM_EXEC_CONTROL, control(proc, 0));
    put(m, VF_VM_EXIT_CONTROLS, control(exit, 1u << 9));   // host is 64-bit
    put(m, VF_VM_ENTRY_CONTROLS, control(entry, 1u << 9)); // guest is IA-32e
    put(m, VF_HOST_CR0, c->cr0);
    put(m, VF_HOST_CR3, c->cr3);
    put(m, VF_HOST_CR4, c->cr4);
    put(m, VF_GUEST_CR0, c->cr0);
    put(m, VF_GUEST_CR3, c->cr3);
    put(m, VF_GUEST_CR4, c->cr4);
    put(m, VF_HOST_CS_SELECTOR, 0x18);
    put(m, VF_HOST_SS_SELECTOR, 0x10);
    put(m, VF_HOST_TR_SELECTOR, 0x20);
    put(m, VF_HOST_GDTR_BASE, c->gdtr.base);
    put(m, VF_HOST_RIP, CODE + VMX_EXIT);
    put(m, VF_HOST_RSP, 0x7000);
    guest_segment(m, VF_GUEST_CS_SELECTOR, VF_GUEST_CS_LIMIT, VF_GUEST_CS_AR_BYTES, 0x18, 0xffffffff, 0xa09b);
    guest_segment(m, VF_GUEST_SS_SELECTOR, VF_GUEST_SS_LIMIT, VF_GUEST_SS_AR_BYTES, 0x10, 0xffffffff, 0xc093);
    guest_segment(m, VF_GUEST_DS_SELECTOR, VF_GUEST_DS_LIMIT, VF_GUEST_DS_AR_BYTES, 0x10, 0xffffffff, 0xc093);
    guest_segment(m, VF_GUEST_ES_SELECTOR, VF_GUEST_ES_LIMIT, VF_GUEST_ES_AR_BYTES, 0x10, 0xffffffff, 0xc093);
    guest_segment(m, VF_GUEST_FS_SELECTOR, VF_GUEST_FS_LIMIT, VF_GUEST_FS_AR_BYTES, 0x10, 0xffffffff, 0xc093);
    guest_segment(m, VF_GUEST_GS_SELECTOR, VF_GUEST_GS_LIMIT, VF_GUEST_GS_AR_BYTES, 0x10, 0xffffffff, 0xc093);
    guest_segment(m, VF_GUEST_LDTR_SELECTOR, VF_GUEST_LDTR_LIMIT, VF_GUEST_LDTR_AR_BYTES, 0, 0, 0x10000);
    guest_segment(m, VF_GUEST_TR_SELECTOR, VF_GUEST_TR_LIMIT, VF_GUEST_TR_AR_BYTES, 0x20, 0x67, 0x8b);
    put(m, VF_GUEST_DR7, 0x400);
    put(m, VF_GUEST_RFLAGS, 2);
    put(m, VF_GUEST_RIP, GUEST);
    put(m, VF_GUEST_RSP, 0x6000);
    put(m, VF_VMCS_LINK_POINTER, UINT64_MAX);
}

static int setup_vmx(struct sim_machine *m, struct sim_error *err)
{
    uint64_t basic, cr0, cr4, ptr[2] = {VMXON, VMCS};
    poke(m, GUEST, vmx_guest, sizeof vmx_guest);
    sim_reg_get(m, 0, "msr.IA32_VMX_BASIC", &basic);
    poke(m, 0x150000, ptr, sizeof ptr);
    poke(m, VMXON, &basic, 4);
    poke(m, VMCS, &basic, 4);
    sim_reg_get(m, 0, "cr0", &cr0);
    sim_reg_get(m, 0, "cr4", &cr4);
    sim_reg_set(m, 0, "cr0", cr0 | ISA_CR0_NE);
    sim_reg_set(m, 0, "cr4", cr4 | ISA_CR4_VMXE);
    sim_reg_set(m, 0, "msr.IA32_FEATURE_CONTROL", 5);
    struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = 100});
    if (s.kind != SIM_STOP_HALT || sim_cpu(m, 0)->rip != CODE + VMX_FIRST_HLT + 1 || !sim_vmcs(m, 0))
        return sim_fail(err, SIM_INTERNAL, "bench: VMXON did not work: %s", s.text);
    fill_vmcs(m);
    sim_reg_set(m, 0, "rip", CODE + VMX_FIRST_HLT + 1); // on from the HLT
    return 0;
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

static struct sim_machine *prepare(const struct bench *b, struct sim_error *err)
{
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 16 << 20}, err);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
    if (m && (sim_load_bytes(m, b->key, b->code, b->n, &l, NULL, err) < 0 || (b->setup && b->setup(m, err) < 0))) {
        sim_destroy(m);
        return NULL;
    }
    return m;
}

static int run(const struct bench *b, struct figures *f, struct sim_error *err)
{
    struct sim_machine *m = prepare(b, err);
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
        s = sim_run(m, &(struct sim_until){.insns = 2000000});
        t = now() - start;
    } while (s.kind == SIM_STOP_UNTIL && t < SECONDS);
    sim_stat(m, 0, "insns", &insns1);
    sim_stat(m, 0, per, &unit1);
    sim_destroy(m);
    f->insns = insns1 - insns0;
    f->units = unit1 - unit0;
    if (s.kind != SIM_STOP_UNTIL || !f->units)
        return sim_fail(err, SIM_INTERNAL, "bench: the %s ended early: %s", b->text, s.text);
    f->mips = (double)f->insns / t * 1e-6;
    f->ns = t * 1e9 / (double)f->units;
    return 0;
}

int sim_bench(FILE *out, bool json, struct sim_error *err)
{
    if (json)
        fputs("{", out);
    for (unsigned k = 0; k < NBENCH; k++) {
        const struct bench *b = &benches[k];
        struct figures f;
        if (run(b, &f, err) < 0)
            return -1;
        if (json)
            fprintf(out, "%s\"%s\":{\"mips\":%.1f,\"ns\":%.2f,\"per\":\"%s\",\"insns\":%" PRIu64 ",\"count\":%" PRIu64 "}",
                    k ? "," : "", b->key, f.mips, f.ns, b->unit, f.insns, f.units);
        else
            fprintf(out, "%-32s %8.1f MIPS %9.2f ns per %s\n", b->text, f.mips, f.ns, b->unit);
        fflush(out);
    }
    if (json)
        fputs("}\n", out);
    return 0;
}
