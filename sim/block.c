// sim/block.c: building, finding and dropping decoded blocks (sim/block.h).
#include "sim/block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "isa/decode.h"
#include "isa/exec.h"

#define ARENA_BYTES (32ull << 20)
#define GRANULE     64 // bytes of a page that share one "holds code" bit

// A page of RAM that holds decoded code. Crossing blocks are listed with both of their pages.
struct code_page {
    uint64_t page; // host-physical address
    uint64_t granules;
    struct block *list;
    struct code_page *next;
};
#define PAGE_HASH 1024

struct block_cache {
    struct block *bucket[1u << BLOCK_HASH_BITS];
    struct code_page *pages[PAGE_HASH];
    uint8_t *arena;
    uint64_t used;
    uint64_t nbits; // of sim_machine.code_pages
};

int block_cache_create(struct sim_machine *m, struct sim_error *err)
{
    struct block_cache *bc = calloc(1, sizeof *bc);
    uint64_t pages = (m->ram.size + 4095) >> 12;
    void *arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t *bits = calloc((pages + 63) / 64, 8);
    if (!bc || !bits || arena == MAP_FAILED) {
        free(bc);
        free(bits);
        if (arena != MAP_FAILED)
            munmap(arena, ARENA_BYTES);
        return sim_fail(err, SIM_INTERNAL, "machine: out of memory for decoded code");
    }
    bc->arena = arena;
    m->code_pages = bits;
    bc->nbits = pages;
    m->block_cache = bc;
    for (unsigned n = 0; n < m->ncpus; n++)
        m->cpu[n]->blocks = bc->bucket;
    return 0;
}

// What follows what has changed.
static void new_generation(struct sim_machine *m)
{
    for (unsigned n = 0; n < m->ncpus; n++)
        isa_new_generation(&m->cpu[n]->isa);
}

static void forget_pages(struct block_cache *bc)
{
    for (unsigned k = 0; k < PAGE_HASH; k++)
        while (bc->pages[k]) {
            struct code_page *p = bc->pages[k];
            bc->pages[k] = p->next;
            free(p);
        }
}

void block_flush(struct sim_machine *m)
{
    struct block_cache *bc = m->block_cache;
    new_generation(m);
    forget_pages(bc);
    memset(bc->bucket, 0, sizeof bc->bucket);
    memset(m->code_pages, 0, (bc->nbits + 63) / 64 * 8);
    bc->used = 0;
}

void block_cache_destroy(struct sim_machine *m)
{
    if (!m->block_cache)
        return;
    forget_pages(m->block_cache);
    munmap(m->block_cache->arena, ARENA_BYTES);
    free(m->code_pages);
    free(m->block_cache);
    m->block_cache = NULL;
}

// --- pages that hold code

static bool page_bit(const struct sim_machine *m, uint64_t pa, uint64_t **word, uint64_t *mask)
{
    const uint8_t *p = ram_at(&m->ram, (struct hpa){pa});
    if (!p)
        return false;
    uint64_t k = (uint64_t)(p - m->ram.base) >> 12;
    *word = &m->code_pages[k / 64];
    *mask = 1ull << k % 64;
    return true;
}

static struct code_page **page_slot(struct block_cache *bc, uint64_t page)
{
    struct code_page **pp = &bc->pages[(page >> 12 ^ page >> 22) % PAGE_HASH];
    while (*pp && (*pp)->page != page)
        pp = &(*pp)->next;
    return pp;
}

static uint64_t granule_mask(unsigned lo, unsigned hi) // bytes lo..hi of a page, inclusive
{
    unsigned a = lo / GRANULE, b = hi / GRANULE;
    return (~0ull << a) & (~0ull >> (63 - b));
}

// The bytes of b in its page number k (0: where it starts, 1: where a crossing instruction ends).
static void block_extent(const struct block *b, unsigned k, unsigned *lo, unsigned *hi)
{
    unsigned start = b->pa & 0xfff, first = b->cross ? 0x1000 - start : b->bytes;
    if (b->cross && (b->pa2 & ~0xfffull) == (b->pa & ~0xfffull)) { // both linear pages lie in one frame: all of it
        *lo = 0;
        *hi = 0xfff;
        return;
    }
    *lo = k ? 0 : start;
    *hi = k ? b->bytes - first - 1 : start + first - 1;
}

static void page_add(struct sim_machine *m, struct block *b, unsigned k)
{
    struct block_cache *bc = m->block_cache;
    uint64_t page = (k ? b->pa2 : b->pa) & ~0xfffull, *word, mask;
    struct code_page **pp = page_slot(bc, page);
    if (!*pp) {
        *pp = calloc(1, sizeof **pp);
        assert(*pp);
        (*pp)->page = page;
        if (page_bit(m, page, &word, &mask))
            *word |= mask;
        mmu_code_page(m, (struct hpa){page});
    }
    unsigned lo, hi;
    block_extent(b, k, &lo, &hi);
    (*pp)->granules |= granule_mask(lo, hi);
    b->page_next[k] = (*pp)->list;
    (*pp)->list = b;
}

static unsigned page_index(const struct block *b, uint64_t page) { return (b->pa & ~0xfffull) == page ? 0 : 1; }

static void unlink_from_page(struct sim_machine *m, struct block *b, unsigned k)
{
    uint64_t page = (k ? b->pa2 : b->pa) & ~0xfffull, *word, mask;
    struct code_page **pp = page_slot(m->block_cache, page), *p = *pp;
    assert(p);
    struct block **bp = &p->list;
    while (*bp != b)
        bp = &(*bp)->page_next[page_index(*bp, page)];
    *bp = b->page_next[k];
    if (!p->list) {
        *pp = p->next;
        free(p);
        if (page_bit(m, page, &word, &mask))
            *word &= ~mask;
    }
}

void block_drop(struct sim_machine *m, struct block *b)
{
    unlink_from_page(m, b, 0);
    if (b->cross && (b->pa2 & ~0xfffull) != (b->pa & ~0xfffull))
        unlink_from_page(m, b, 1);
    struct block **bp = &m->block_cache->bucket[block_slot(b->pa, b->rip, b->key)];
    while (*bp != b)
        bp = &(*bp)->next;
    *bp = b->next;
    b->pa = UINT64_MAX;
    new_generation(m);
}

// Drop the blocks of one page whose bytes lo..hi were written; stop the block under way if it is one of them.
static void written(struct sim_machine *m, uint64_t page, unsigned lo, unsigned hi)
{
    struct code_page *p = *page_slot(m->block_cache, page);
    if (!p || !(p->granules & granule_mask(lo, hi)))
        return;
    uint64_t granules = 0;
    bool more = false;
    for (struct block *b = p->list, *next; b; b = next) {
        unsigned k = page_index(b, page), blo, bhi;
        next = b->page_next[k];
        block_extent(b, k, &blo, &bhi);
        if (blo <= hi && lo <= bhi) {
            for (unsigned n = 0; n < m->ncpus; n++)
                if (m->cpu[n]->isa.at && block_of(m->cpu[n]->isa.at) == b)
                    engine_kick(m);
            block_drop(m, b); // frees p with its last block
        } else {
            granules |= granule_mask(blo, bhi);
            more = true;
        }
    }
    if (more)
        p->granules = granules;
}

void engine_code_written(struct sim_machine *m, struct hpa pa, uint64_t n)
{
    for (uint64_t a = pa.v, end = pa.v + n; a < end;) {
        uint64_t page = a & ~0xfffull, stop = end < page + 0x1000 ? end : page + 0x1000;
        if (engine_page_has_code(m, (struct hpa){page}))
            written(m, page, (unsigned)(a - page), (unsigned)(stop - 1 - page));
        a = stop;
    }
}

// --- building

static struct block *arena_block(struct sim_machine *m)
{
    struct block_cache *bc = m->block_cache;
    uint64_t most = sizeof(struct block) + (BLOCK_MAX + 1) * sizeof(struct isa_insn);
    if (bc->used + most > ARENA_BYTES)
        block_flush(m);
    struct block *b = (struct block *)(bc->arena + bc->used);
    memset(b, 0, sizeof *b);
    return b;
}

#ifndef RINGSIDE_NO_TAIL
#define TABLE(loop) ((loop) ? isa_run_loop : isa_run_tail)
#define END(loop)   ((loop) ? block_end_loop : block_end_tail)
#define REP(loop)   ((loop) ? block_rep_loop : block_rep_tail)
#define FALL(loop)  ((loop) ? block_fall_loop : block_fall_tail)
#else
#define TABLE(loop) ((void)(loop), isa_run_loop)
#define END(loop)   ((void)(loop), block_end_loop)
#define REP(loop)   ((void)(loop), block_rep_loop)
#define FALL(loop)  ((void)(loop), block_fall_loop)
#endif

static void add_insn(const struct sim_cpu *cpu, struct block *b, bool loop)
{
    struct isa_insn *i = &b->insn[b->n];
    isa_prepare(i, TABLE(loop), b->bytes, b->n, b->cost, cpu->m->cost);
    b->bytes = (uint16_t)(b->bytes + i->len);
    b->cost += i->cost;
    b->n++;
}

// A conditional branch at the end runs together with what sets its flags.
static void fuse(struct block *b, bool loop)
{
#ifndef RINGSIDE_NO_TAIL
    isa_handler *both = loop || b->n < 2 ? NULL : isa_fused(&b->insn[b->n - 2]);
    if (both)
        b->insn[b->n - 2].run = both;
#endif
}

static void add_sentinel(struct block *b, bool ends, bool loop)
{
    struct isa_insn *s = &b->insn[b->n];
    memset(s, 0, sizeof *s);
    s->off = b->bytes;
    s->idx = b->n;
    s->cost_before = b->cost;
    bool rep = s[-1].rep && (isa_opinfo[s[-1].op].props & ISA_F_REP);
    s->run = rep ? REP(loop) : ends ? END(loop) : FALL(loop);
}

// Bytes from RIP to the CS limit.
static uint64_t limit_room(const struct isa_cpu *c)
{
    if (c->mode == ISA_LONG64)
        return UINT64_MAX;
    return c->rip > c->seg[ISA_CS].limit ? 0 : c->seg[ISA_CS].limit - c->rip + 1;
}

static void commit(struct sim_cpu *cpu, struct block *b)
{
    struct block_cache *bc = cpu->m->block_cache;
    assert(b->cost + !b->insn[b->n - 1].cost >=
           b->n); // choose_budget() relies on it; an event that ends the block is charged when delivered
    bc->used += (sizeof *b + (b->n + 1u) * sizeof(struct isa_insn) + 63) & ~63ull;
    struct block **bucket = &bc->bucket[block_slot(b->pa, b->rip, b->key)];
    b->next = *bucket;
    *bucket = b;
    page_add(cpu->m, b, 0);
    if (b->cross && (b->pa2 & ~0xfffull) != (b->pa & ~0xfffull))
        page_add(cpu->m, b, 1);
    cpu->stat[SIM_STAT_BLOCKS]++;
}

enum block_outcome block_build(struct sim_cpu *cpu, const struct block_bytes *where, bool single, struct block **out)
{
    struct sim_machine *m = cpu->m;
    const struct isa_cpu *c = &cpu->isa;
    const struct isa_decode_mode mode = isa_decode_mode_of(c, m->profile->features);
    const uint8_t *p = bus_code_at(m, (struct hpa){where->pa}), *p2 = NULL;
    if (!p || (where->has_second && !(p2 = bus_code_at(m, (struct hpa){where->pa2}))))
        return BLOCK_NO_RAM;
    unsigned in_page = 0x1000 - (where->pa & 0xfff);
    uint64_t room = limit_room(c);
    if (!room)
        return BLOCK_LIMIT;

    struct block *b = arena_block(m);
    bool loop = single || m->cfg.loop, ends = false;
    if (where->has_second) {
        uint8_t bytes[ISA_MAX_INSN_LEN];
        unsigned first = in_page < sizeof bytes ? in_page : sizeof bytes;
        memcpy(bytes, p, first);
        memcpy(bytes + first, p2, sizeof bytes - first);
        if (!isa_decode(&mode, bytes, room < sizeof bytes ? (unsigned)room : sizeof bytes, &b->insn[0]))
            return BLOCK_LIMIT;
        add_insn(cpu, b, loop);
        ends = isa_opinfo[b->insn[0].op].props & ISA_F_END;
        b->cross = b->bytes > in_page;
    }
    while (!where->has_second && b->n < (single ? 1 : BLOCK_MAX) && !ends) {
        uint64_t left = in_page - b->bytes, avail = room - b->bytes < left ? room - b->bytes : left;
        struct isa_insn *i = &b->insn[b->n];
        if (!avail || !isa_decode(&mode, p + b->bytes, avail < ISA_MAX_INSN_LEN ? (unsigned)avail : ISA_MAX_INSN_LEN, i)) {
            if (b->n)
                break;
            return room <= in_page ? BLOCK_LIMIT : BLOCK_NEED_SECOND;
        }
        add_insn(cpu, b, loop);
        ends = i->op == ISA_OP_INVALID || (isa_opinfo[i->op].props & ISA_F_END);
    }
    b->pa = where->pa;
    b->pa2 = where->pa2;
    if (m->caches)
        detailed_prepare(m, b, loop);
    else
        fuse(b, loop);
    add_sentinel(b, ends, loop);
    b->rip = c->rip;
    b->key = c->mode_key | (single ? BLOCK_SINGLE : 0);
    b->last = c->mode == ISA_LONG64 ? 0 : (uint32_t)(c->rip + b->bytes - 1);
    commit(cpu, b);
    *out = b;
    return BLOCK_OK;
}
