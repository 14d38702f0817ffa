// isa/exec_fuzz.c: random bytes as code, in a random mode, with random registers, page rights and block length.
//
// Whatever the bytes are: no crash, no finding of a sanitizer, and the processor ends in a state that its own rules allow. The first 32
// bytes of the input choose the setting, the rest is code; RAM around it repeats the input, so that stacks, descriptors and
// strings hold what the fuzzer found interesting.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "isa/deliver.h"
#include "isa/mpx.h"
#include "isa/testenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { BASE = 0x10000, SIZE = 0x10000, CODE = 0x14000 };

static void registers(struct isa_cpu *c, const uint8_t *s)
{
    for (unsigned r = 0; r < 16; r++) {
        uint64_t v = s[r];
        switch (v & 7) {
        case 0: c->gpr[r] = BASE + (v << 8); break;
        case 1: c->gpr[r] = 0 - (v >> 3); break;
        case 2: c->gpr[r] = 1ull << (v >> 2); break;
        case 3: c->gpr[r] = BASE + SIZE - (v >> 3); break;
        case 4: c->gpr[r] = v * 0x0101010101010101ull; break;
        default: c->gpr[r] = v >> 3; break;
        }
    }
    c->gpr[ISA_RSP] = s[4] & 1 ? c->gpr[ISA_RSP] : BASE + 0x8000 + s[4];
}

static void check_state(const struct isa_cpu *c)
{
    assert(c->cc_kind <= ISA_CC_SUB);
    assert(c->gpr[ISA_REG_ZERO] == 0);
    assert(c->rflags_sys & ISA_FL_1);
    assert((c->rflags_sys & ISA_FL_STATUS) == 0);
    assert(c->mode < ISA_NMODE && c->cpl <= 3);
    assert(c->mode == ISA_LONG64 || c->rip <= UINT32_MAX);
    assert(!(c->bndcfgu & ISA_BNDCFG_RESERVED) && isa_canonical(c, c->bndcfgu & ~0xfffull));
    assert(!!(c->mode_key & ISA_KEY_MPX) == isa_mpx_on(c, isa_bndcfg(c)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 34)
        return 0;
    struct isa_testenv *t = isa_te_create(BASE, SIZE);
    if (!t)
        abort();
    const uint8_t *code = data + 32;
    size_t len = n - 32 < 0x1000 ? n - 32 : 0x1000;
    for (size_t k = 0; k < SIZE; k += n)
        memcpy(t->ram + k, data, n < SIZE - k ? n : SIZE - k);
    isa_te_mode(t, (enum isa_mode)(data[16] % ISA_NMODE), data[17] & 3);
    struct isa_cpu *c = &t->cpu;
    registers(c, data);
    isa_set_rflags(c, (isa_rflags(c) & ISA_FL_VM) | (data[18] & 0xd5) | (uint32_t)(data[19] & 0x7d) << 8 | ISA_FL_1);
    c->cr0 |= data[20] & 1 ? ISA_CR0_AM : 0;
    c->rflags_sys |= data[20] & 2 ? ISA_FL_AC : 0;
    c->gdtr = (struct isa_dtr){BASE + 0x2000, 0xfff};
    c->idtr = (struct isa_dtr){BASE + 0x3000, 0xfff};
    if (data[21] & 1) // a segment that is not flat
        c->seg[data[21] >> 1 & 3].limit = data[22] << 8, c->seg[data[21] >> 1 & 3].base = BASE + (data[23] << 4);
    if (data[30] & 1) { // MPX
        c->cr4 |= ISA_CR4_OSXSAVE;
        c->xcr0 |= ISA_XS_MPX;
        c->bndcfgs = BASE + 0x4000 + (data[30] & 2) + ISA_BNDCFG_EN;
        c->bndcfgu = BASE + 0x5000 + (data[30] & 4) / 2 + ISA_BNDCFG_EN;
        for (unsigned k = 0; k < 4; k++)
            c->bnd[k] = (struct isa_bounds){BASE + data[31] * (k << 4), ~(uint64_t)(BASE + data[31] * (k << 8))};
    }
    c->xcr0 |= data[26] & 2 ? 6 : 0; // AVX
    isa_update_mode(c);
    if (data[24] & 1)
        isa_te_protect(t, BASE + (data[24] >> 1 & 15) * 0x1000, 1, data[25] & 15);
    t->mirror = data[26] & 1;
    t->block = data[27] % ISA_TE_BLOCK + 1;
    t->deliver = data[28] & 1 ? isa_deliver_fault : NULL;
    c->budget = data[28] & 2 ? data[29] * 16u : UINT64_MAX;
    c->attention = data[28] >> 2 & 1;
    // Real and 16-bit modes reach the code through CS: base it there.
    if (c->seg[ISA_CS].limit < BASE + SIZE) {
        c->seg[ISA_CS].base = BASE;
        isa_update_mode(c);
    }
    isa_te_code(t, CODE, code, (unsigned)len);
    t->one_chunk = true; // long repetitions get their turns among these, no more
    for (unsigned k = 0, r = ISA_R_STOP; k < 60 && r == ISA_R_STOP; k++)
        r = (unsigned)isa_te_run(t, 5 + k % 3 * 10);
    check_state(c);
    isa_te_destroy(t);
    return 0;
}
