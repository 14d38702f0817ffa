// What a compiler makes of loops with AVX2, FMA and F16C (scenarios/vectors): the guest prints what the same code prints as a program of
// the host, in every fidelity and with either dispatcher.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "sim/internal.h"
#include "sim/loader.h"

#define DIR "build/guests/vectors/"

// What the host's program prints; NULL if its processor has not what it takes.
static char *of_host(void)
{
    char *text = calloc(1, 1 << 16);
    FILE *f = popen(DIR "host", "r");
    assert_non_null(f);
    size_t n = fread(text, 1, (1 << 16) - 1, f);
    int status = pclose(f);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && n)
        return text;
    free(text);
    return NULL;
}

static char *of_guest(enum sim_fidelity fidelity, bool loop)
{
    struct sim_error err = {0};
    struct sim_machine *m = sim_create(
        &(struct sim_config){.ram_bytes = 64u << 20, .profile = "haswell-2013", .fidelity = fidelity, .loop = loop}, &err);
    assert_non_null(m);
    if (sim_load_file(m, DIR "vectors.bin", &(struct sim_load){.image = SIM_IMAGE_AUTO}, NULL, &err) < 0)
        fail_msg("%s", err.what);
    assert_int_not_equal(sim_run(m, &(struct sim_until){.insns = 20000000}).kind, SIM_STOP_UNTIL);
    char *text = strdup(sim_output(m, NULL));
    sim_destroy(m);
    return text;
}

static void test_vectors(void **state)
{
    char *host = of_host(), *first = of_guest(SIM_FAST, false);
    assert_non_null(strstr(first, "VECTORS-DONE"));
    if (host)
        assert_string_equal(first, host);
    else
        print_message("# vectors: not compared with the host: it lacks AVX2, FMA or F16C\n");
    for (unsigned k = 0; k < 6; k++) {
        char *text = of_guest((enum sim_fidelity)(k / 2), k & 1);
        assert_string_equal(text, first);
        free(text);
    }
    free(first);
    free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
