// sim/mpx_test.c: memory-protection extensions in the machine: who reports them, and blocks that are decoded for them enabled or not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "isa/mpx.h"
#include "sim/internal.h"
#include "sim/loader.h"
#include "sim/profile.h"

#define CODE 0x100000u

static void test_cpuid(void **state)
{
    unsigned have = 0;
    const char *name;
    for (unsigned n = 0; (name = sim_profile_nth(n)); n++) {
        struct sim_config cfg = {.ram_bytes = 1 << 20, .profile = name};
        struct sim_error err;
        struct sim_machine *m = sim_create(&cfg, &err);
        assert_non_null(m);
        struct isa_cpu *c = sim_cpu(m, 0);
        const bool mpx = !strcmp(name, "skylake-2015");
        uint32_t r[4], sub[4];
        if (m->profile->max_leaf < 0xd) { // too old to have the leaves at all
            sim_destroy(m);
            continue;
        }
        c->env->cpuid(c, 7, 0, r);
        assert_int_equal(r[1] >> 14 & 1, mpx);
        c->env->cpuid(c, 0xd, 0, r);
        assert_int_equal(r[0] & ISA_XS_MPX, mpx ? ISA_XS_MPX : 0);
        for (unsigned k = 3; k <= 4; k++) {
            c->env->cpuid(c, 0xd, k, sub);
            assert_int_equal(sub[0], mpx ? 64 : 0);
            assert_int_equal(sub[1], mpx ? (k == 3 ? 960 : 1024) : 0);
            assert_int_equal(sub[2] | sub[3], 0);
        }
        assert_int_equal(m->profile->vmx.exit >> 55 & 1, mpx);
        assert_int_equal(m->profile->vmx.entry >> 48 & 1, mpx);
        assert_int_equal(vmcs_exists(&m->profile->vmx, VF_GUEST_BNDCFGS), mpx);
        if (mpx) { // what an area must hold follows XCR0
            assert_true(r[2] >= 1088);
            c->xcr0 = 0x1b;
            c->env->cpuid(c, 0xd, 0, r);
            assert_int_equal(r[1], 1088);
        }
        have += mpx;
        sim_destroy(m);
    }
    assert_int_equal(have, 1);
}

// A feature that is taken away takes its VMX controls with it.
static void test_settled(void **state)
{
    static const char *const off[] = {"feature.mpx=0", "feature.xsaves=0"};
    static const char *const profile[] = {"skylake-2015", "later"};
    for (unsigned n = 0; n < 4; n++) {
        struct sim_config cfg = {.ram_bytes = 1 << 20, .profile = profile[n / 2], .set = &off[n / 2], .nset = n & 1};
        struct sim_error err;
        struct sim_machine *m = sim_create(&cfg, &err);
        assert_non_null(m);
        const struct vmx_caps *k = &m->profile->vmx;
        const bool has = !(n & 1);
        if (n < 2) {
            assert_true((k->exit >> 55 & 1) == has && (k->true_exit >> 55 & 1) == has);
            assert_true((k->entry >> 48 & 1) == has && (k->true_entry >> 48 & 1) == has);
        } else {
            assert_int_equal(k->proc2 >> 52 & 1, has);
        }
        assert_int_equal(vmcs_exists(k, n < 2 ? VF_GUEST_BNDCFGS : VF_XSS_EXIT_BITMAP), has);
        sim_destroy(m);
    }
}

// Make bounds and copy them; a branch that may run as one with what sets its flags; a call that keeps bounds.
static const uint8_t code[] = {
    0xf3, 0x0f, 0x1b, 0x4b, 0x0f,    // bndmk bnd1, [rbx + 15]
    0x66, 0x0f, 0x1a, 0xd1,          // bndmov bnd2, bnd1
    0x39, 0xc0, 0x75, 0x00,          // cmp eax, eax; jne +0
    0xf2, 0xe8, 0,    0,    0,    0, // bnd call +0
    0x5a,                            // pop rdx
    0xf4,                            // hlt
};

static void go(struct sim_machine *m, uint64_t bndcfgs)
{
    assert_true(sim_reg_set(m, 0, "msr.IA32_BNDCFGS", bndcfgs));
    for (const char *const *r = (const char *const[]){"bnd1.lb", "bnd1.ub", "bnd2.lb", "bnd2.ub", NULL}; *r; r++)
        assert_true(sim_reg_set(m, 0, *r, 7));
    assert_true(sim_reg_set(m, 0, "rip", CODE));
    const struct sim_stop s = sim_run(m, &(struct sim_until){.max_insns = sim_insns(m) + 100});
    assert_int_equal(s.kind, SIM_STOP_HALT);
}

static void test_blocks(void **state)
{
    static const struct {
        uint64_t cfg, bnd1, bnd2; // lower bounds at the end
    } way[] = {{0, 7, 7}, {1, 0, 0}, {3, 0x5000, 0x5000}, {0, 7, 7}, {3, 0x5000, 0x5000}, {2, 7, 7}, {1, 0, 0}, {1, 0, 0}};
    for (unsigned n = 0; n < 12; n++) {
        struct sim_config cfg = {.ram_bytes = 4 << 20,
                                 .profile = "skylake-2015",
                                 .loop = n & 1,
                                 .no_mirror = n & 2,
                                 .fidelity = (enum sim_fidelity)(n / 4)};
        struct sim_error err;
        struct sim_machine *m = sim_create(&cfg, &err);
        assert_non_null(m);
        struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = SIM_START_LONG64, .addr = CODE};
        assert_int_equal(sim_load_bytes(m, "bounds", code, sizeof code, &l, NULL, &err), 0);
        struct isa_cpu *c = sim_cpu(m, 0);
        c->cr4 |= ISA_CR4_OSXSAVE;
        c->xcr0 = 0x1b;
        c->gpr[ISA_RBX] = 0x5000;
        c->gpr[ISA_RSP] = 0x80000;
        sim_touch(m, 0);
        for (unsigned k = 0; k < sizeof way / sizeof *way; k++) {
            const uint64_t before = sim_state_hash(m);
            go(m, way[k].cfg);
            assert_int_equal(c->bnd[1].lb, way[k].bnd1);
            assert_int_equal(c->bnd[2].lb, way[k].bnd2);
            assert_int_equal(c->bnd[2].ub, way[k].bnd2 == 0x5000 ? ~0x500full : way[k].bnd2);
            assert_int_not_equal(sim_state_hash(m), before); // the clock, if nothing else
        }
        const uint64_t hash = sim_state_hash(m);
        c->bndstatus ^= 1; // all of it is state
        assert_int_not_equal(sim_state_hash(m), hash);
        c->bndstatus ^= 1;
        c->bnd[3].ub ^= 1;
        assert_int_not_equal(sim_state_hash(m), hash);
        c->bnd[3].ub ^= 1;
        c->bndcfgu ^= 2;
        assert_int_not_equal(sim_state_hash(m), hash);
        sim_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpuid), cmocka_unit_test(test_settled), cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
