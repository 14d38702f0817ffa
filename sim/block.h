// sim/block.h: decoded blocks: runs of at most 32 instructions, found by where they lie in RAM and in what mode they run.
//
// MODELS     nothing that a guest could see: x86 keeps instruction fetches coherent with stores, so a block lives only as long as its
//            bytes. Decoding costs no cycles.
// KEY        host-physical address of the first byte, RIP, mode_key (struct isa_cpu), single. Two linear addresses of one page
//            frame give two blocks.
// SHAPE      a block ends after an ISA_F_END instruction, at 32 instructions, at the end of its 4 KiB page, at an address that the
//            decoder refuses. An instruction that crosses into the next page is a block of its own. One sentinel instruction follows
//            the last: len 0, its off, idx and cost_before are the totals, its run leaves the block.
// OWNERSHIP  blocks lie in one arena of the machine; dropping a block unlinks it and leaves its memory alone, so the block under way
//            may be dropped. A full arena is flushed as a whole by block_build(), which is called between blocks only.
#ifndef SIM_BLOCK_H
#define SIM_BLOCK_H

#include <stddef.h>

#include "sim/internal.h"

#define BLOCK_MAX       32
#define BLOCK_HASH_BITS 17          // a kernel has 100 000 blocks, and comes back to each
#define BLOCK_SINGLE    0x80000000u // in struct block.key: holds one instruction, for the precise loop

struct block {
    uint64_t pa; // host-physical address of the first byte; all ones once dropped
    uint64_t rip;
    uint32_t key;  // mode_key, BLOCK_SINGLE
    uint32_t last; // outside 64-bit mode: offset in CS of the last byte, to be compared with the limit; else 0
    uint32_t cost; // static cycles of all instructions
    uint16_t n;
    uint16_t bytes;
    bool cross;            // the one instruction reaches into another page
    uint64_t pa2;          // that page's host-physical address
    struct block *succ[2]; // blocks that followed lately (dispatch_tail.c), to be looked at only while
    uint64_t epoch[2];     // this is the processor's epoch
    struct block *next;    // in the bucket
    struct block *page_next[2];
    struct isa_insn insn[];
};
// The block that holds an instruction.
static inline struct block *block_of(const struct isa_insn *i)
{
    return (struct block *)((uintptr_t)(i - i->idx) - offsetof(struct block, insn));
}

int block_cache_create(struct sim_machine *m, struct sim_error *err);
void block_cache_destroy(struct sim_machine *m);
void block_drop(struct sim_machine *m, struct block *b);
void block_flush(struct sim_machine *m); // forget all blocks; not while a block runs

static inline unsigned block_slot(uint64_t pa, uint64_t rip, uint32_t key)
{
    uint64_t h = (pa ^ rip << 20 ^ (uint64_t)key << 44) * 0x9e3779b97f4a7c15ull;
    return (unsigned)(h >> (64 - BLOCK_HASH_BITS));
}
static inline struct block *block_find(const struct sim_cpu *cpu, uint64_t pa, uint64_t rip, uint32_t key)
{
    struct block *b = cpu->blocks[block_slot(pa, rip, key)];
    while (b && (b->pa != pa || b->rip != rip || b->key != key))
        b = b->next;
    return b;
}

// What the engine fetched for a block that starts at c->rip: the first page, and the second once it was needed.
struct block_bytes {
    uint64_t pa, pa2;
    bool has_second;
};
enum block_outcome { BLOCK_OK, BLOCK_NEED_SECOND, BLOCK_LIMIT, BLOCK_NO_RAM };
// Decode a block. NEED_SECOND: the first instruction crosses its page; fetch the next page and call again. LIMIT: it crosses the CS
// limit. NO_RAM: there is no RAM at the address to fetch from.
enum block_outcome block_build(struct sim_cpu *cpu, const struct block_bytes *where, bool single, struct block **out);

// Handlers of sentinels, by dispatcher (dispatch_loop.c, dispatch_tail.c): behind ISA_F_END instructions, behind repeated string
// instructions, behind others.
isa_handler block_end_loop, block_rep_loop, block_fall_loop, block_end_tail, block_rep_tail, block_fall_tail;

#endif
