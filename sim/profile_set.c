// sim/profile_set.c: setting single values of a profile by name.
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/profile.h"

static const struct profile_key keys[] = {
#define K(nm, member, un, lo, hi, sc, txt)                                                                                         \
    {.name = nm,                                                                                                                   \
     .unit = un,                                                                                                                   \
     .text = txt,                                                                                                                  \
     .lowest = lo,                                                                                                                 \
     .highest = hi,                                                                                                                \
     .scale = sc,                                                                                                                  \
     .offset = offsetof(struct sim_profile, member),                                                                               \
     .size = sizeof((struct sim_profile *)0)->member},
#include "sim/profile_keys.def"
#undef K
};
#define NKEY       (sizeof keys / sizeof *keys)
#define COST_LEAST 1u // the engine counts on it: an instruction costs at least a cycle (sim/boundary.c)
#define COST_MOST  100000000u
#define FIRST_COST 1u // ISA_COST_NONE stays 0

static bool named(struct profile_key *k, const char *prefix, const char *name)
{
    snprintf(k->name, sizeof k->name, "%s.%s", prefix, name);
    for (char *c = k->name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return true;
}

bool sim_profile_key(unsigned n, struct profile_key *k)
{
    if (n < NKEY) {
        *k = keys[n];
        return true;
    }
    unsigned cost = n - (unsigned)NKEY + FIRST_COST;
    if (cost >= ISA_COST_NUM) {
        const unsigned f = cost - ISA_COST_NUM + ISA_FEAT_NONE + 1;
        if (f >= ISA_FEAT_NUM)
            return false;
        *k = (struct profile_key){.unit = "0 or 1", .text = isa_feature_info[f].text, .highest = 1, .scale = 1, .offset = f};
        return named(k, "feature", isa_feature_info[f].flag);
    }
    *k = (struct profile_key){.unit = "cycles",
                              .text = isa_cost_info[cost].text,
                              .lowest = COST_LEAST,
                              .highest = COST_MOST,
                              .scale = 1,
                              .offset = (unsigned)(offsetof(struct sim_profile, cost) + cost * sizeof(uint32_t)),
                              .size = sizeof(uint32_t)};
    return named(k, "cost", isa_cost_info[cost].id);
}

bool sim_profile_find_key(const char *name, struct profile_key *k)
{
    for (unsigned n = 0; sim_profile_key(n, k); n++)
        if (!strcmp(k->name, name))
            return true;
    return false;
}

uint64_t sim_profile_get(const struct sim_profile *p, const struct profile_key *k)
{
    const char *at = (const char *)p + k->offset;
    uint8_t v1;
    uint16_t v2;
    uint32_t v4;
    uint64_t v8;
    switch (k->size) {
    case 0: return isa_has(p->features, (enum isa_feature)k->offset);
    case 1: return memcpy(&v1, at, 1), v1 / k->scale;
    case 2: return memcpy(&v2, at, 2), v2 / k->scale;
    case 4: return memcpy(&v4, at, 4), v4 / k->scale;
    default: return memcpy(&v8, at, 8), v8 / k->scale;
    }
}

void sim_profile_put(struct sim_profile *p, const struct profile_key *k, uint64_t v)
{
    if (!k->size) {
        uint64_t *word = &p->features[k->offset / 64], bit = 1ull << k->offset % 64;
        *word = v ? *word | bit : *word & ~bit;
        return;
    }
    v *= k->scale;
    memcpy((char *)p + k->offset, &v, k->size); // little-endian hosts only, like the rest of the simulator
}

static int unknown(const char *name, struct sim_error *err)
{
    struct profile_key k;
    static const unsigned most = NKEY + ISA_COST_NUM + ISA_FEAT_NUM;
    char(*copy)[sizeof k.name] = calloc(most, sizeof *copy);
    const char **names = calloc(most + 1, sizeof *names), *near = NULL;
    for (unsigned n = 0; copy && names && sim_profile_key(n, &k); n++)
        names[n] = strcpy(copy[n], k.name);
    if (copy && names)
        near = cli_nearest(name, names);
    sim_fail(err, SIM_USAGE, "set: no value is called '%.60s'%s%s%s; ringside info keys lists them", name,
             near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    free(names);
    free(copy);
    return -1;
}

// A word of "lru/fifo", as its index.
static bool word(const char *words, const char *s, uint64_t *v)
{
    size_t n = strlen(s);
    *v = 0;
    for (const char *w = words; strchr(words, '/'); w += strcspn(w, "/") + 1, ++*v) {
        if (strcspn(w, "/") == n && !strncmp(w, s, n))
            return true;
        if (!w[strcspn(w, "/")])
            return false;
    }
    return false;
}

static bool number(const char *s, uint64_t *v)
{
    char *end;
    *v = strtoull(s, &end, 0);
    if (end == s || *s == '-' || *s == '+')
        return false;
    unsigned shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end[shift != 0] || *v > UINT64_MAX >> shift)
        return false;
    *v <<= shift;
    return true;
}

int sim_profile_set(struct sim_profile *p, const char *assignment, struct sim_error *err)
{
    struct profile_key k;
    const char *eq = strchr(assignment, '=');
    char name[80];
    uint64_t v;
    if (!eq || eq == assignment || !eq[1])
        return sim_fail(err, SIM_USAGE, "set: '%.80s' is no assignment; write it like tlb.l2.entries=64", assignment);
    snprintf(name, sizeof name, "%.*s", (int)(eq - assignment), assignment);
    if (!sim_profile_find_key(name, &k))
        return unknown(name, err);
    if (!k.size && !k.highest && strcmp(eq + 1, "0") != 0)
        return sim_fail(err, SIM_USAGE, "set: %s=%.40s: this feature is not modelled whole, so no profile can offer it", name,
                        eq + 1);
    if ((word(k.unit, eq + 1, &v) || number(eq + 1, &v)) && v >= k.lowest && v <= k.highest) {
        sim_profile_put(p, &k, v);
        return 0;
    }
    char range[80];
    if (strchr(k.unit, '/') || !strcmp(k.unit, "0 or 1")) // words
        snprintf(range, sizeof range, "%s", k.unit);
    else
        snprintf(range, sizeof range, "%llu to %llu %s", (unsigned long long)k.lowest, (unsigned long long)k.highest, k.unit);
    return sim_fail(err, SIM_USAGE, "set: %s=%.40s: give %s (%s)", k.name, eq + 1, range, k.text);
}

// --- what belongs together

static bool is_power(uint64_t n) { return n && !(n & (n - 1)); }

static int check_tlb(const char *name, struct profile_tlb t, struct sim_error *err)
{
    unsigned ways = t.ways ? t.ways : t.entries;
    if (!t.entries || (t.entries % ways == 0 && is_power(t.entries / ways)))
        return 0;
    return sim_fail(err, SIM_USAGE,
                    "set: %s: %u entries in %u ways: entries divided by ways must be a power of two, the number of sets", name,
                    t.entries, ways);
}

static int check_policy(const struct sim_profile *p, struct sim_error *err)
{
    unsigned ways = p->stlb.ways ? p->stlb.ways : p->stlb.entries;
    if (p->stlb_policy == PROFILE_PLRU && (!is_power(ways) || ways > 8))
        return sim_fail(err, SIM_USAGE, "set: tlb.l2.policy=plru: a tree needs 1, 2, 4 or 8 ways, not %u", ways);
    if (p->stlb_policy == PROFILE_MRU3PLRU4 && ways != 12)
        return sim_fail(err, SIM_USAGE, "set: tlb.l2.policy=mru3plru4 is for 12 ways, not %u", ways);
    return 0;
}

static int check_cache(const char *name, struct profile_cache c, struct sim_error *err)
{
    uint64_t way = (uint64_t)c.ways * c.line;
    if (!c.size || (is_power(c.line) && way && c.size % way == 0))
        return 0;
    return sim_fail(
        err, SIM_USAGE,
        "set: %s: %u bytes in %u ways of %u-byte lines: the line must be a power of two, and ways times line must divide "
        "the size",
        name, c.size, c.ways, c.line);
}

int sim_profile_check(const struct sim_profile *p, struct sim_error *err)
{
#define K(name, member, unit, lo, hi, scale, text)
#define TLB(name, member, text)                                                                                                    \
    if (check_tlb(name, p->member, err) < 0)                                                                                       \
        return -1;
#define CACHE(name, member, text)                                                                                                  \
    if (check_cache(name, p->member, err) < 0)                                                                                     \
        return -1;
#include "sim/profile_keys.def"
#undef K
    return check_policy(p, err);
}
