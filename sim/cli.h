// sim/cli.h: the command line as data: parsing by sim/options.def, and the texts generated from it.
#ifndef SIM_CLI_H
#define SIM_CLI_H

#include <stdint.h>
#include <stdio.h>

#include "sim/error.h"

enum cli_verb {
#define VERB(id, name, args, text) CLI_##id,
#include "sim/options.def"
#undef VERB
    CLI_NVERB
};
enum cli_opt {
#define OPT(id, verbs, name, letter, arg, text) OPT_##id,
#include "sim/options.def"
#undef OPT
    CLI_NOPT
};

#define CLI_MOST_SET 64
struct cli {
    enum cli_verb verb;
    const char *opt[CLI_NOPT];     // the argument, or "" for a flag that was given; NULL: absent
    const char *set[CLI_MOST_SET]; // the arguments of --set, in order
    unsigned nset;
    char **args; // positional arguments, NULL-terminated (into argv)
    int nargs;
};

// Parse; -1 with a message that suggests the nearest word for a misspelt verb or option. No verb at all gives CLI_HELP.
int cli_parse(struct cli *c, int argc, char **argv, struct sim_error *err);
// A number with 0x, and with K, M, G for sizes. -1 with a message naming the option.
int cli_number(const struct cli *c, enum cli_opt o, uint64_t fallback, uint64_t *out, struct sim_error *err);
// Options whose text begins with kind ("image: ") mean nothing here: an error rather than silence.
int cli_refuse(const struct cli *c, const char *kind, const char *why, struct sim_error *err);
// A number from 1 (which stands for a missing option, too) to most.
int cli_count(const struct cli *c, enum cli_opt o, unsigned most, unsigned *out, struct sim_error *err);

void cli_help(FILE *f); // all verbs
// "  name text", the text wrapped at 80 columns behind a name of so many.
void cli_item(FILE *f, const char *name, unsigned width, const char *text);
void cli_help_verb(FILE *f, enum cli_verb v); // one verb with its options
void cli_man(FILE *f);                        // roff
void cli_completion_bash(FILE *f);
void cli_markdown(FILE *f);

// The word of a NULL-terminated list that is nearest to s by edit distance, or NULL if none is near.
const char *cli_nearest(const char *s, const char *const *words);

#endif
