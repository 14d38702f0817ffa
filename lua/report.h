// lua/report.h: what a scenario tells: narrative, tables, marks and checks, as text, TAP 13 or one JSON document.
//
// TEXT       paragraphs wrapped at 80 columns; a line per check; a closing verdict.
// TAP        narrative as comments, one test point per check, details as YAML; the plan comes last.
// JSON       collected and written at the end: {"schema":"ringside-run","version":1,...}. Addresses are strings "0x...", counts numbers.
// BYTES      what a guest has written may be told, so text and TAP show control characters as the pictures of U+2400 and on, and bytes that
//            are not UTF-8 as U+FFFD: nothing reaches the terminal but text.
// HOOKS      narrative and checks go to the caller's functions instead where it gave some (text format only).
#ifndef LX_REPORT_H
#define LX_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lua/lx.h"

#define LX_COLUMNS    80
#define LX_MAX_REPORT (64u << 20) // bytes that a script may tell

// A growing string. After a failed allocation, or beyond LX_MAX_REPORT, it drops what is added and remembers that.
struct lx_buf {
    char *s; // NUL-terminated once anything was added
    size_t n, cap;
    bool full;
};
void lx_buf_add(struct lx_buf *b, const char *s, size_t n);
void lx_buf_addf(struct lx_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lx_buf_free(struct lx_buf *b);
// The end of an item that began at b->n == before: if it did not fit, nothing of it stays.
void lx_buf_whole(struct lx_buf *b, size_t before);
// Append s as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void lx_buf_json(struct lx_buf *b, const char *s, size_t n);
// Append a key and the opening of its value: ,"key": (without the comma after an opening bracket).
void lx_buf_key(struct lx_buf *b, const char *key);

// Print text: newlines and tabs as they are, carriage returns at the end of a line not at all.
void lx_put_text(FILE *f, const char *s, size_t n);

// Columns that UTF-8 text takes (one per code point).
size_t lx_width(const char *s, size_t n);
// Wrap text at `columns`, each line after `prefix`; single newlines are spaces, empty lines separate paragraphs, indented lines stay.
void lx_wrap(struct lx_buf *b, const char *text, size_t n, const char *prefix, unsigned columns);
// Levenshtein distance with transpositions, case ignored, of strings up to 63 bytes.
unsigned lx_distance(const char *a, const char *b);

struct lx_machine_item {
    unsigned machine;
    size_t size;
};

struct lx_report {
    const struct lx_options *opt;
    const struct lx_hooks *hooks;
    FILE *out;
    enum lx_format format;
    unsigned checks, failed, marks;
    uint64_t told;                                                                        // bytes, about
    struct lx_buf title, narrative, check_items, result_items, mark_items, machine_items; // JSON
    struct lx_machine_item *machines; // in machine_items, which stays in the order of their numbers
    size_t nmachines;
    bool fresh; // nothing printed yet
    bool tight; // the last thing printed was a line that checks and marks may follow without a gap
};

void rep_open(struct lx_report *r, const struct lx_options *opt, const struct lx_hooks *hooks);
void rep_title(struct lx_report *r, const char *text, size_t n);
void rep_section(struct lx_report *r, const char *text, size_t n);
void rep_say(struct lx_report *r, const char *text, size_t n);      // a paragraph, wrapped
void rep_verbatim(struct lx_report *r, const char *text, size_t n); // lines as they are
void rep_table(struct lx_report *r, const char *text, size_t n);    // the same, set apart
// where: "file:line"; got and want may be NULL.
void rep_check(struct lx_report *r, bool ok, const char *what, const char *detail, const char *where, const char *got,
               const char *want);
void rep_result(struct lx_report *r, const char *name, const char *value, bool bare); // bare: JSON needs no quotes
void rep_mark(struct lx_report *r, const struct sim_mark *mark);
void rep_machine(struct lx_report *r, struct sim_machine *m, unsigned n); // counters and, if asked, hashes
bool rep_full(const struct lx_report *r);
// Write the verdict (text), the plan (TAP) or the document (JSON). error: the line of a failed script, or NULL.
void rep_close(struct lx_report *r, enum sim_status status, const char *error);
void rep_free(struct lx_report *r);

#endif
