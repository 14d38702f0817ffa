// sim/error.h: errors of users and hosts: a file that is missing, an image that is malformed, an unknown name.
//
// Three kinds of error never mix: what the guest sees is a value (events, stop reasons); what the user or host did wrong is a
// struct sim_error; what we did wrong is an assert.
#ifndef SIM_ERROR_H
#define SIM_ERROR_H

// The documented exit statuses of the program.
enum sim_status {
    SIM_OK = 0,
    SIM_CHECK_FAILED = 1,
    SIM_USAGE = 2,
    SIM_SCRIPT = 3,
    SIM_IMAGE = 4,
    SIM_LIMIT = 5,
    SIM_UNRECOVERABLE = 6,
    SIM_INTERNAL = 7
};

// what: one line, "place: reason; what to do" in plain words, no newline. status: what the program should exit with.
struct sim_error {
    enum sim_status status;
    char what[1024];
};

// Fill *e (if not NULL) printf-style and return -1, so that "return sim_fail(...)" reads well.
int sim_fail(struct sim_error *e, enum sim_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
