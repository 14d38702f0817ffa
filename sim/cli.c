// sim/cli.c: see sim/cli.h. Parsing itself is getopt_long's.
#include "sim/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct verb {
    const char *name, *args, *text;
};
static const struct verb verbs[] = {
#define VERB(id, name, args, text) {name, args, text},
#include "sim/options.def"
#undef VERB
};
struct opt {
    unsigned verbs;
    const char *name;
    char letter;
    const char *arg, *text;
};
#define V(id) (1u << CLI_##id)
static const struct opt opts[] = {
#define OPT(id, verbs, name, letter, arg, text) {verbs, name, letter, arg, text},
#include "sim/options.def"
#undef OPT
};
#undef V

static unsigned distance(const char *a, const char *b)
{
    unsigned row[64], n = (unsigned)strlen(b);
    if (n > 62)
        return 99;
    for (unsigned k = 0; k <= n; k++)
        row[k] = k;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diag = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= n; k++) {
            unsigned best = diag + (*a != b[k - 1]);
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            diag = row[k];
            row[k] = best;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *s, const char *const *words)
{
    const char *best = NULL;
    unsigned least = (unsigned)strlen(s) / 3 + 2;
    for (; *words; words++) {
        unsigned d = distance(s, *words);
        if (d < least) {
            least = d;
            best = *words;
        }
    }
    return best;
}

static int find_verb(const char *name)
{
    for (unsigned v = 0; v < CLI_NVERB; v++)
        if (!strcmp(verbs[v].name, name))
            return (int)v;
    return -1;
}

static int unknown_option(const struct cli *c, const char *word, struct sim_error *err)
{
    const char *names[CLI_NOPT + 1], **n = names;
    char bare[64];
    for (unsigned o = 0; o < CLI_NOPT; o++)
        if (opts[o].verbs >> c->verb & 1)
            *n++ = opts[o].name;
    *n = NULL;
    snprintf(bare, sizeof bare, "%s", word + strspn(word, "-"));
    bare[strcspn(bare, "=")] = 0;
    const char *near = cli_nearest(bare, names);
    return sim_fail(err, SIM_USAGE, "ringside %s: no option %s%s%s%s; ringside help %s lists them", verbs[c->verb].name, word,
                    near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "", verbs[c->verb].name);
}

static int parse_options(struct cli *c, int argc, char **argv, struct sim_error *err)
{
    struct option longs[CLI_NOPT + 1];
    char shorts[3 * CLI_NOPT + 3] = "+:";
    unsigned n = 0;
    memset(longs, 0, sizeof longs);
    for (unsigned o = 0; o < CLI_NOPT; o++) {
        if (!(opts[o].verbs >> c->verb & 1))
            continue;
        longs[n++] = (struct option){opts[o].name, opts[o].arg ? required_argument : no_argument, NULL, (int)o + 256};
        if (opts[o].letter)
            snprintf(shorts + strlen(shorts), 3, "%c%s", opts[o].letter, opts[o].arg ? ":" : "");
    }
    // Options may stand before and between the first two positional words; after the scenario all words belong to the scenario.
    opterr = 0;
    optind = 0; // not 1: forget what the last parse left of a word
    int kept = 1;
    for (int stop = c->verb == CLI_RUN || c->verb == CLI_DEBUG ? 1 : 1000; optind < argc;) {
        const char *word = argv[optind ? optind : 1];
        int k = getopt_long(argc, argv, shorts, longs, NULL);
        if (k == -1) {
            if (optind >= argc || kept > stop)
                break;
            argv[kept++] = argv[optind++];
            continue;
        }
        if (k == ':')
            return sim_fail(err, SIM_USAGE, "ringside %s: %s needs an argument", verbs[c->verb].name, word);
        if (k == '?')
            return unknown_option(c, word, err);
        for (unsigned o = 0; k < 256 && o < CLI_NOPT; o++)
            if (opts[o].letter == k)
                k = (int)o + 256;
        c->opt[k - 256] = optarg ? optarg : "";
        if (k - 256 == OPT_SET && c->nset == CLI_MOST_SET)
            return sim_fail(err, SIM_USAGE, "--set %s: that is too much; %u assignments at most", optarg, CLI_MOST_SET);
        if (k - 256 == OPT_SET)
            c->set[c->nset++] = optarg;
    }
    while (optind < argc)
        argv[kept++] = argv[optind++];
    argv[kept] = NULL;
    c->args = argv + 1;
    c->nargs = kept - 1;
    return 0;
}

int cli_parse(struct cli *c, int argc, char **argv, struct sim_error *err)
{
    memset(c, 0, sizeof *c);
    c->verb = CLI_HELP;
    c->args = argv + argc;
    if (argc < 2)
        return 0;
    int v = find_verb(argv[1]);
    if (v < 0 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
        return 0;
    if (v < 0) {
        const char *names[CLI_NVERB + 1] = {NULL};
        for (unsigned k = 0; k < CLI_NVERB; k++)
            names[k] = verbs[k].name;
        const char *near = cli_nearest(argv[1], names);
        return sim_fail(err, SIM_USAGE, "no verb \"%s\"%s%s%s; ringside help lists them", argv[1], near ? " (did you mean " : "",
                        near ? near : "", near ? "?)" : "");
    }
    c->verb = (enum cli_verb)v;
    return parse_options(c, argc - 1, argv + 1, err);
}

int cli_number(const struct cli *c, enum cli_opt o, uint64_t fallback, uint64_t *out, struct sim_error *err)
{
    const char *s = c->opt[o];
    *out = fallback;
    if (!s)
        return 0;
    char *end;
    errno = 0;
    uint64_t v = strtoull(s, &end, 0), unit = 1;
    bool bad = !isdigit((unsigned char)*s) || errno;
    if (!bad && *end == 'e') { // 1e9
        const double d = strtod(s, &end);
        bad = !(d < 18e18);
        v = bad ? 0 : (uint64_t)d;
    } else if (!bad && *end) {
        for (const char *u = "KMG", *p = u; *p; p++)
            if (*end == *p || *end == *p + 32) {
                unit = 1ull << 10 * (p - u + 1);
                end++;
                break;
            }
    }
    if (bad || *end || v > UINT64_MAX / unit)
        return sim_fail(err, SIM_USAGE, "--%s %s: not a whole number below 2^64 (decimal, 0x..., 1e9, or with K, M or G)",
                        opts[o].name, s);
    *out = v * unit;
    return 0;
}

int cli_count(const struct cli *c, enum cli_opt o, unsigned most, unsigned *out, struct sim_error *err)
{
    uint64_t n;
    if (cli_number(c, o, 1, &n, err) < 0)
        return -1;
    if (n < 1 || n > most)
        return sim_fail(err, SIM_USAGE, "--%s %s: give 1 to %u", opts[o].name, c->opt[o], most);
    *out = (unsigned)n;
    return 0;
}

int cli_refuse(const struct cli *c, const char *kind, const char *why, struct sim_error *err)
{
    for (unsigned o = 0; o < CLI_NOPT; o++)
        if (c->opt[o] && !strncmp(opts[o].text, kind, strlen(kind)))
            return sim_fail(err, SIM_USAGE, "--%s: %s", opts[o].name, why);
    return 0;
}

// --- generated texts

static void usage_of(char *buf, size_t n, const struct opt *o)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(buf, n, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

// Wrap text at 80 columns behind a left margin.
static void wrapped(FILE *f, const char *text, unsigned margin, unsigned column)
{
    while (*text) {
        unsigned len = (unsigned)strcspn(text, " ");
        if (column + len > 79 && column > margin) {
            fprintf(f, "\n%*s", (int)margin, "");
            column = margin;
        }
        fprintf(f, "%.*s", (int)len, text);
        column += len + 1;
        text += len;
        if (*text == ' ') {
            text++;
            if (column + strcspn(text, " ") <= 79)
                fputc(' ', f);
        }
    }
    fputc('\n', f);
}

void cli_item(FILE *f, const char *name, unsigned width, const char *text)
{
    fprintf(f, "  %-*s ", (int)width, name);
    wrapped(f, text, width + 3, width + 3);
}

void cli_help(FILE *f)
{
    fprintf(f, "Ringside: a VT-x machine that you can see inside.\n\nusage: ringside VERB [OPTION...] ARGUMENT...\n\n");
    for (unsigned v = 0; v < CLI_NVERB; v++)
        cli_item(f, verbs[v].name, 9, verbs[v].text);
    fprintf(f, "\n`ringside help VERB` lists a verb's options. Start here:\n"
               "  ringside lessons               what there is to learn\n"
               "  ringside run page-walk         why a nested walk reads 24 entries\n"
               "  ringside debug page-walk       the same, step by step on the screen\n"
               "\nExit status: 0 ok, 1 a check failed, 2 usage, 3 script error, 4 image error,\n5 limit reached, 6 guest "
               "unrecoverable, 7 internal error.\n");
}

void cli_help_verb(FILE *f, enum cli_verb v)
{
    fprintf(f, "usage: ringside %s [OPTION...] %s\n\n", verbs[v].name, verbs[v].args);
    wrapped(f, verbs[v].text, 0, 0);
    fputc('\n', f);
    for (unsigned o = 0; o < CLI_NOPT; o++) {
        char left[64];
        if (!(opts[o].verbs >> v & 1))
            continue;
        usage_of(left, sizeof left, &opts[o]);
        fprintf(f, "  %-25s ", left);
        wrapped(f, opts[o].text, 28, 28);
    }
}

void cli_man(FILE *f)
{
    fprintf(f, ".TH RINGSIDE 1\n.SH NAME\nringside \\- a VT-x machine that you can see inside\n.SH SYNOPSIS\n");
    for (unsigned v = 0; v < CLI_NVERB; v++)
        fprintf(f, ".B ringside %s\n[OPTION...] %s\n.br\n", verbs[v].name, verbs[v].args);
    fprintf(f, ".SH DESCRIPTION\nA cycle-level teaching simulator of an x86-64 computer with Intel VMX. It runs guests and nested "
               "guests, driven by Lua 5.4 "
               "scenarios, and shows, explains and draws every privileged step.\n.SH VERBS\n");
    for (unsigned v = 0; v < CLI_NVERB; v++) {
        fprintf(f, ".SS %s\n%s\n", verbs[v].name, verbs[v].text);
        for (unsigned o = 0; o < CLI_NOPT; o++)
            if (opts[o].verbs >> v & 1 && o != OPT_HELP)
                fprintf(f, ".TP\n.B \\-\\-%s%s%s\n%s\n", opts[o].name, opts[o].arg ? " " : "", opts[o].arg ? opts[o].arg : "",
                        opts[o].text);
    }
    fprintf(f,
            ".SH ENVIRONMENT\n.TP\n.B RINGSIDE_THEME\ncolours of the visualizer, as \\-\\-theme\n.TP\n.B NO_COLOR\nif not empty: "
            "no colours\n");
    fprintf(f, ".SH EXIT STATUS\n0 ok, 1 a check failed, 2 usage, 3 script error, 4 image error, 5 limit reached, 6 guest "
               "unrecoverable, 7 internal error.\n");
}

void cli_completion_bash(FILE *f)
{
    fprintf(f, "# bash completion of ringside\n_ringside() {\n    local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}\n"
               "    if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W \"");
    for (unsigned v = 0; v < CLI_NVERB; v++)
        fprintf(f, "%s%s", v ? " " : "", verbs[v].name);
    fprintf(f, "\" -- \"$cur\")); return; fi\n    case $verb,$cur in\n");
    for (unsigned v = 0; v < CLI_NVERB; v++) {
        fprintf(f, "    %s,-*) COMPREPLY=($(compgen -W \"", verbs[v].name);
        for (unsigned o = 0; o < CLI_NOPT; o++)
            if (opts[o].verbs >> v & 1)
                fprintf(f, "--%s ", opts[o].name);
        fprintf(f, "\" -- \"$cur\"));;\n");
    }
    // Words that the program itself lists: lessons beside files, tables.
    fprintf(f,
            "    run,*|debug,*|draw,*|sweep,*) COMPREPLY=($(compgen -f -- \"$cur\") $(compgen -W \"$(\"$1\" lessons 2>/dev/null |\n"
            "        sed -n 's/^  \\([a-z][a-z-]*\\)  .*/\\1/p')\" -- \"$cur\"));;\n"
            "    info,*) COMPREPLY=($(compgen -W \"$(\"$1\" info 2>/dev/null | sed -n 's/^  \\([a-z]*\\) .*/\\1/p') profile\" -- "
            "\"$cur\"));;\n"
            "    *) COMPREPLY=($(compgen -f -- \"$cur\"));;\n    esac\n}\ncomplete -o filenames -F _ringside ringside\n");
}

void cli_markdown(FILE *f)
{
    fprintf(f, "# Command line\n\n");
    for (unsigned v = 0; v < CLI_NVERB; v++) {
        fprintf(f, "## `ringside %s %s`\n\n%c%s.\n\n", verbs[v].name, verbs[v].args,
                verbs[v].text[0] - (verbs[v].text[0] >= 'a' ? 32 : 0), verbs[v].text + 1);
        for (unsigned o = 0; o < CLI_NOPT; o++)
            if (opts[o].verbs >> v & 1 && o != OPT_HELP)
                fprintf(f, "- `--%s%s%s`: %s\n", opts[o].name, opts[o].arg ? " " : "", opts[o].arg ? opts[o].arg : "",
                        opts[o].text);
        fputc('\n', f);
    }
}
